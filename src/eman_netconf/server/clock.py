"""The clock everything below the shell is given: real, or (for the demo site) faster and starting elsewhere."""

from __future__ import annotations

import ctypes
import json
import time
from dataclasses import dataclass
from pathlib import Path

from eman_netconf.energy.values import Now
from eman_netconf.server.files import write_private

_STA_UNSYNC = 0x0040  # adjtimex(2)
_AT_ONCE = 0.0001  # seconds between two clocks that are read at the same time
_TRIES = 5  # to do so, on a machine that does other things in between


@dataclass(frozen=True, slots=True)
class Clock:
    """Site time = ``site_origin`` + (real time - ``real_origin``) * ``speed``."""

    real_origin: float = 0.0
    site_origin: float = 0.0
    speed: float = 1.0

    def now(self) -> Now:
        """Both clocks at one instant: what came between would be taken for a step of the wall clock."""
        before = time.monotonic()
        for _ in range(_TRIES):
            wall, after = time.time(), time.monotonic()
            if after - before <= _AT_ONCE:
                break
            before = after
        return Now(self._site(wall), after * self.speed)

    def _site(self, real: float) -> float:
        return self.site_origin + (real - self.real_origin) * self.speed

    def real(self, seconds: float) -> float:
        """How long to wait in truth for ``seconds`` of site time; at least 50 ms so that no speed can spin."""
        return max(seconds / self.speed, 0.05) if self.speed != 1.0 else seconds


def demo_clock(path: Path, *, speed: float | None, start: float | None) -> Clock:
    """The demo site's clock, continued from ``path`` so that site time never runs backwards over restarts."""
    real = time.time()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        previous: Clock | None = Clock(stored["real-origin"], stored["site-origin"], stored["speed"])
    except (OSError, ValueError, KeyError, TypeError):
        previous = None
    if previous is None:
        clock = Clock(real, real if start is None else start, speed or 1.0)
    else:
        site = previous.now().wall
        clock = Clock(real, site if start is None else max(site, start), speed or previous.speed)
    stored = {"real-origin": clock.real_origin, "site-origin": clock.site_origin, "speed": clock.speed}
    write_private(path, json.dumps(stored).encode())
    return clock


def synchronised() -> tuple[bool, float] | None:
    """Whether the kernel's clock is disciplined (NTP, PTP) and its estimated error in seconds; None = cannot tell."""

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_byte * 256),
        )

    try:
        timex = Timex()
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    return not timex.status & _STA_UNSYNC, timex.esterror / 1e6

"""The demo site's time never runs backwards, at whatever speed."""

from __future__ import annotations

import time
from pathlib import Path

from eman_netconf.server.clock import Clock, demo_clock, synchronised


def test_the_real_clock_is_real() -> None:
    """Without options, site time is the machine's time."""
    before = time.time()
    shown = Clock().now().wall
    assert before <= shown <= time.time()
    assert Clock().real(10.0) == 10.0


def test_speed_scales_both_times_and_waiting() -> None:
    """At 60 times the speed a site minute is a real second, for stamps, durations and waiting."""
    real = time.time()
    clock = Clock(real - 10, 1_000_000.0, 60.0)
    shown = clock.now().wall
    passed = time.time() - real
    assert shown + 0.001 >= 1_000_600  # as far as floating point goes
    assert shown <= 1_000_600 + 60 * passed + 0.001
    assert clock.real(60.0) == 1.0
    assert clock.real(0.001) == 0.05


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """Site time goes on over a restart, also at another speed, and an earlier start time does not turn it back."""
    file = tmp_path / "clock.json"
    first = demo_clock(file, speed=100.0, start=2_000_000_000.0)
    shown = first.now().wall
    assert demo_clock(file, speed=None, start=None).speed == 100.0
    for again in (demo_clock(file, speed=1.0, start=None), demo_clock(file, speed=1.0, start=1_000_000.0)):
        assert again.now().wall >= shown


def test_a_damaged_file_starts_anew(tmp_path: Path) -> None:
    """Garbage in the clock's file is no reason not to start."""
    (tmp_path / "clock.json").write_text("{")
    assert demo_clock(tmp_path / "clock.json", speed=None, start=5.0).now().wall >= 5.0


def test_the_kernel_tells_whether_its_clock_is_disciplined() -> None:
    """Asking adjtimex gives a truth value and a non-negative error, or says that it cannot tell."""
    answer = synchronised()
    assert answer is None or (isinstance(answer[0], bool) and answer[1] >= 0)

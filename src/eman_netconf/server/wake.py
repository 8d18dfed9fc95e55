"""Magic packets of Wake-on-LAN, out over UDP: one after the other, and never more waiting than a bounded number."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from eman_netconf.energy.effects import Wake
from eman_netconf.energy.values import Outcome

log = logging.getLogger(__name__)

SPACING = 0.02  # seconds between two packets, so that a group of machines does not flood its network
WAITING = 1000


class Waker:
    """Sends what it is given; ``told`` hears how each went, by its command, and never within the call of ``send``."""

    def __init__(self, told: Callable[[int, Outcome, str | None], None]) -> None:
        self._told = told
        self._waiting: deque[Wake] = deque()
        self._next: asyncio.TimerHandle | None = None

    def send(self, wake: Wake) -> None:
        """Take a packet; it goes out in its turn."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= WAITING:
            loop.call_soon(self._told, wake.command, Outcome.UNAVAILABLE, f"{WAITING} others wait to be woken")
            return
        self._waiting.append(wake)
        if self._next is None:
            self._next = loop.call_later(0, self._send)

    def close(self) -> None:
        """Send no more."""
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()

    def _send(self) -> None:
        if not self._waiting:
            self._next = None
            return
        self._next = asyncio.get_running_loop().call_later(SPACING, self._send)
        wake = self._waiting.popleft()
        try:
            _send(wake)
        except OSError as error:
            where = f"{wake.magic.address} port {wake.magic.port}"
            self._told(wake.command, Outcome.UNAVAILABLE, f"no packet can be sent to {where}: {error.strerror}")
            return
        log.info("a magic packet for %s went to %s port %d", wake.magic.mac, wake.magic.address, wake.magic.port)
        self._told(wake.command, Outcome.ACCEPTED, None)


def _send(wake: Wake) -> None:
    """One packet; numbers alone are looked up, so nothing waits for a name server. Raises OSError."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        wake.magic.address, wake.magic.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
    )[0]
    with socket.socket(family, kind, protocol) as door:
        door.setblocking(False)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        door.sendto(wake.magic.payload, place)

"""Call home: the server connects to its clients, and then serves them as if they had connected (RFC 8071)."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from eman_netconf.server.config import CallHome, StartWith
from eman_netconf.server.connections import keep_alive

log = logging.getLogger(__name__)

#: Seconds that a TCP connection may take to come about.
CONNECT_WITHIN: Final = 30.0

# Seconds before the second attempt; doubled before each that follows.
_FIRST_WAIT = 1.0

#: Serves a connection until it is over; True when it had a session.
Serve = Callable[[socket.socket, CallHome], Awaitable[bool]]


class Attempts:
    """Whom to call next and how long to wait before: the reconnect strategy, without clock or network.

    ``chance`` gives numbers from 0 up to 1.
    """

    def __init__(self, told: CallHome, chance: Callable[[], float]) -> None:
        self._told = told
        self._chance = chance
        self._last: int | None = None  # the client that was served last
        self._failed = 0  # attempts at this client
        self._waits = 0  # attempts in a row that failed, at whomever
        self._at = 0
        self._start()

    @property
    def address(self) -> str:
        """Whom to call now."""
        return self._told.addresses[self._at]

    def succeeded(self) -> float:
        """The connection had a session and is over; the seconds to wait before the next one."""
        self._last = self._at
        self._waits = self._failed = 0
        self._start()
        return self._told.period or self._jittered(_FIRST_WAIT)

    def failed(self) -> float:
        """Nobody was served; the seconds to wait before the next attempt."""
        self._failed += 1
        if self._failed >= self._told.max_attempts:
            self._at = (self._at + 1) % len(self._told.addresses)
            self._failed = 0
        wait = min(self._told.max_wait, _FIRST_WAIT * 2.0 ** min(self._waits, 32))
        self._waits += 1
        return self._jittered(wait)

    def _start(self) -> None:
        match self._told.start_with:
            case StartWith.FIRST_LISTED:
                self._at = 0
            case StartWith.LAST_CONNECTED:
                self._at = self._last or 0
            case StartWith.RANDOM_SELECTION:
                self._at = int(self._chance() * len(self._told.addresses))

    def _jittered(self, wait: float) -> float:
        """Half of it to all of it, so that servers that lost their client together do not come back together."""
        return wait * (0.5 + self._chance() / 2)


class CallHomes:
    """One task for each entry of the bootstrap file."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._tasks: dict[CallHome, asyncio.Task[None]] = {}

    def follow(self, wanted: Iterable[CallHome]) -> None:
        """Call these and nobody else; those already called are not disturbed, and connections with sessions stay."""
        kept = {told: self._tasks.pop(told, None) for told in wanted}
        self.stop()
        self._tasks = {
            told: task or asyncio.create_task(self._call(told), name=f"call home {', '.join(told.addresses)}")
            for told, task in kept.items()
        }

    def stop(self) -> None:
        """Call nobody any more."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _call(self, told: CallHome) -> None:
        attempts = Attempts(told, random.SystemRandom().random)
        while True:
            address = attempts.address
            try:
                served = await self._once(address, told)
            except OSError as error:
                served = False
                reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error) or "no answer"
                log.info("call home to %s port %d: %s", address, told.port, reason)
            except Exception:
                served = False
                log.exception("call home to %s port %d failed", address, told.port)
            await asyncio.sleep(attempts.succeeded() if served else attempts.failed())

    async def _once(self, address: str, told: CallHome) -> bool:
        async with asyncio.timeout(CONNECT_WITHIN):
            connected = await _connect(address, told.port)
        keep_alive(connected, told.keepalive)
        log.info("call home to %s port %d: connected", address, told.port)
        return await self._serve(connected, told)


async def _connect(address: str, port: int) -> socket.socket:
    """A TCP connection to the first address of a name that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    refusal: OSError | None = None
    for family, kind, protocol, _, place in await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.setblocking(False)
            await loop.sock_connect(connected, place)
        except OSError as error:
            connected.close()
            refusal = error
        except BaseException:
            connected.close()
            raise
        else:
            return connected
    raise refusal or OSError(f"{address} has no address")

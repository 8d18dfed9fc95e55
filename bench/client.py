"""The client of all measurements: sessions over asyncssh with the least work of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

from eman_netconf.errors import BASE_NS
from eman_netconf.messages.framing import WORKING, FrameLimits, Framer, frame
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Hello, rpc_bytes

USER = "bench"
PATIENCE = 120.0
_LIMITS = FrameLimits(message=1 << 30)
_GREETING = frame(Hello((BASE_1_0, BASE_1_1)).to_bytes(), chunked=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and the private key (a file) it takes."""

    host: str
    port: int
    key: Path
    user: str = USER


class Refused(Exception):
    """The server answered with rpc-error."""


class _Wire(asyncssh.SSHClientSession[bytes]):
    """Bytes to replies, in the order they were asked for."""

    def __init__(self) -> None:
        self.framer = Framer(_LIMITS)
        self.chunked = False
        self.waiting: deque[asyncio.Future[bytes]] = deque()
        self.received = 0

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.received += len(data)
        self.framer.receive(data)
        while (message := self.framer.next()) is not None:
            if message is WORKING:
                continue
            if not self.chunked and BASE_1_1.encode() in message:
                self.chunked = True
                self.framer.upgrade()
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(exc or ConnectionResetError("the server closed the session"))


class Client:
    """One session on a connection of its own."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._ids = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        async with asyncio.timeout(PATIENCE):
            self._connection = await asyncssh.connect(self._address.host, self._address.port, **_options(self._address))
            self._wire = wire = _Wire()
            channel, _ = await self._connection.create_session(lambda: wire, subsystem="netconf", encoding=None)
            self._channel = channel
            hello = self._expect()
            channel.write(_GREETING)
            await hello

    async def close(self) -> None:
        self._connection.close()
        await self._connection.wait_closed()

    def abort(self) -> None:
        self._connection.abort()

    @property
    def received(self) -> int:
        """Bytes that came so far."""
        return self._wire.received

    def _expect(self) -> asyncio.Future[bytes]:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._wire.waiting.append(future)
        return future

    async def rpc(self, operation: bytes) -> bytes:
        """Ask, and wait for the whole reply. Raises Refused."""
        self._ids += 1
        reply = self._expect()
        self._channel.write(frame(rpc_bytes(str(self._ids), operation), chunked=self._wire.chunked))
        async with asyncio.timeout(PATIENCE):
            return _checked(await reply)

    async def pipeline(self, operations: list[bytes], ahead: int = 64) -> None:
        """Ask all, ``ahead`` at a time in one write, twice as many on their way; wait for all replies."""
        last: list[asyncio.Future[bytes]] = []
        for start in range(0, len(operations), ahead):
            batch = [self._expect() for _ in operations[start : start + ahead]]
            self._channel.write(
                b"".join(
                    frame(rpc_bytes(str(start + number), operation), chunked=self._wire.chunked)
                    for number, operation in enumerate(operations[start : start + ahead], 1)
                )
            )
            await self._all(last)
            last = batch
        await self._all(last)

    @staticmethod
    async def _all(replies: list[asyncio.Future[bytes]]) -> None:
        async with asyncio.timeout(PATIENCE):
            for reply in replies:
                _checked(await reply)


def _checked(reply: bytes) -> bytes:
    if b"rpc-error" in reply[:1000]:
        raise Refused(reply[:2000].decode(errors="replace"))
    return reply


def _options(address: Address) -> dict[str, Any]:
    """The same algorithms with every server, and nothing from this machine's own settings."""
    return {
        "username": address.user,
        "client_keys": [str(address.key)],
        "known_hosts": None,
        "config": None,
        "agent_path": None,
        "compression_algs": None,
        "kex_algs": ["curve25519-sha256", "curve25519-sha256@libssh.org"],
        "encryption_algs": ["aes128-gcm@openssh.com", "aes128-ctr"],
        "preferred_auth": "publickey",
        "login_timeout": PATIENCE,
        "connect_timeout": PATIENCE,
    }


# --- operations ------------------------------------------------------------------------------------------------------

ENTITY_NS = b"urn:eman:yang:eman-entity"


def _operation(name: bytes, content: bytes) -> bytes:
    return b'<%b xmlns="%b">%b</%b>' % (name, BASE_NS.encode(), content, name)


GET = _operation(b"get", b"")
GET_CONFIG = _operation(b"get-config", b"<source><running/></source>")


def get_subtree(entity: str, leaf: str = "") -> bytes:
    """<get> of one entity, or of one of its leaves, by key."""
    wanted = b"<entity><id>%b</id>%b</entity>" % (entity.encode(), f"<{leaf}/>".encode() if leaf else b"")
    return _operation(
        b"get",
        b'<filter><energy-management xmlns="%b"><entities>%b</entities></energy-management></filter>'
        % (ENTITY_NS, wanted),
    )


def get_xpath(entity: str) -> bytes:
    """<get> of one entity by an XPath expression."""
    select = b"/e:energy-management/e:entities/e:entity[e:id='%b']" % entity.encode()
    return _operation(b"get", b'<filter type="xpath" xmlns:e="%b" select="%b"/>' % (ENTITY_NS, select))


VALIDATE = _operation(b"validate", b"<source><candidate/></source>")
COMMIT = _operation(b"commit", b"")


def edit(config: str, target: str = "running") -> bytes:
    """<edit-config> of a datastore with a whole <config>."""
    return _operation(b"edit-config", f"<target><{target}/></target>{config}".encode())

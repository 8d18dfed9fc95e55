"""Connections that carry one NETCONF session each, over whatever bytes flow in order: TLS and Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from eman_netconf.server import audit
from eman_netconf.server.config import Limits
from eman_netconf.server.sessions import READ_AHEAD, Full, LiveSession, Sessions

#: Seconds a closing connection may take to carry what was written.
LINGER: Final = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end, as the transport knows it."""

    user: str
    source_host: str
    how: str  # by what he is known, for the audit log
    groups: frozenset[str] = frozenset()


class Refused(Exception):
    """Whoever is at the other end is not let in; the text is the reason, for the audit log."""


#: Seconds of silence after which the other end is asked whether it is still there, and how often it is asked.
KEEPALIVE: Final = 60.0
KEEPALIVES: Final = 3


def keep_alive(connected: Any, seconds: float = KEEPALIVE) -> None:
    """Have the system ask on a TCP socket, or on all that a listening one accepts (RFC 8071 section 4.1)."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(seconds))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, int(seconds))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVES)


#: Finds out who is at the other end, and gives the transport to go on with. Raises Refused.
Admit = Callable[[asyncio.Transport, asyncio.Protocol], Awaitable[tuple[asyncio.Transport, Caller]]]


class Connections:
    """All connections of one transport. ``name`` is that in RFC 6022's list of sessions."""

    def __init__(self, name: str, sessions: Sessions, limits: Callable[[], Limits], admit: Admit) -> None:
        self.name = name
        self.sessions = sessions
        self.limits = limits
        self.admit = admit
        self.open: set[Connection] = set()
        self._changed = asyncio.Event()  # a connection is gone

    def protocol(self) -> Connection:
        """What answers on one accepted connection."""
        return Connection(self)

    async def serve(self, connected: socket.socket) -> bool:
        """Answer on a connection that this server made, until it is over; True when it had a session.

        Whoever cancels this leaves the connection open once it has a session. Raises OSError.
        """
        _, connection = await asyncio.get_running_loop().create_connection(self.protocol, sock=connected)
        try:
            await connection.over.wait()
        except asyncio.CancelledError:
            if not connection.served:
                connection.abort()
            raise
        return connection.served

    def gone(self, connection: Connection) -> None:
        """Called by a connection at its end."""
        self.open.discard(connection)
        self._changed.set()

    async def finish(self, seconds: float) -> None:
        """Wait until what was written to sessions is out and they are closed, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(connection.served for connection in self.open):
                    self._changed.clear()
                    await self._changed.wait()

    async def close(self) -> None:
        """Cut every connection."""
        for connection in list(self.open):
            connection.abort()
        while self.open:
            self._changed.clear()
            await self._changed.wait()


class Connection(asyncio.Protocol):
    """One connection: admission, then the events of its session in one direction and its bytes in the other."""

    def __init__(self, connections: Connections) -> None:
        self.served = False  # it has had a session
        self.over = asyncio.Event()
        self._connections = connections
        self._transport: asyncio.Transport
        self._session: LiveSession | None = None
        self._admission: asyncio.Task[None] | None = None
        self._early = bytearray()  # came before it was known from whom
        self._ended = False  # nothing more comes
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        full = len(self._connections.open) >= self._connections.limits().sessions
        self._connections.open.add(self)
        if full:
            self._transport.abort()
            return
        self._transport.pause_reading()
        self._admission = asyncio.get_running_loop().create_task(self._admit())

    async def _admit(self) -> None:
        """Find out who it is and open a session; cut the connection otherwise."""
        connections, user = self._connections, None
        peer = self._transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else "localhost"
        try:
            async with asyncio.timeout(connections.limits().login_seconds):
                self._transport, caller = await connections.admit(self._transport, self)
            user = caller.user
            audit.login(user, caller.source_host, connections.name, caller.how)
            session = connections.sessions.open(
                self,
                user=user,
                source_host=caller.source_host,
                transport=connections.name,
                groups=caller.groups,
            )
        except (Refused, Full) as refusal:
            audit.refused(user, address, connections.name, str(refusal))
            self._transport.abort()
        except TimeoutError:
            audit.refused(user, address, connections.name, "it took too long to say who it is")
            self._transport.abort()
        except OSError as error:
            audit.refused(user, address, connections.name, f"it went without saying who it is ({error})")
            self._transport.abort()
        else:
            self._begin(session)
        finally:
            self._admission = None
            if self._transport.is_closing() and self._session is None:
                self._over()

    def _begin(self, session: LiveSession) -> None:
        if self.over.is_set():  # it went while it was admitted
            session.lost()
            return
        self.served = True
        self._session = session
        session.start()
        early, self._early = bytes(self._early), bytearray()
        if early:
            session.received(early)
        if self._ended:
            session.ended()
        else:
            self._transport.resume_reading()

    # --- from the client

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.received(data)
        elif len(self._early) + len(data) > READ_AHEAD:
            self._transport.abort()
        else:
            self._early += data

    def eof_received(self) -> bool:
        self._ended = True
        if self._session is not None:
            self._session.ended()
        return self._transport.get_extra_info("sslcontext") is None  # replies still go out, which TLS has no way for

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()

    def _over(self) -> None:
        if self.over.is_set():
            return
        self.over.set()
        if self._timer is not None:
            self._timer.cancel()
        session, self._session = self._session, None  # each refers to the other
        if session is not None:
            session.lost()
        self._connections.gone(self)

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume()

    # --- to the client (sessions.Channel)

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        self._transport.close()
        if not self.over.is_set():
            self._timer = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        self._transport.abort()

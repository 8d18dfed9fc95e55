"""Connections that carry one NETCONF session each, over whatever bytes flow in order: TLS and Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from eman_netconf.server import audit
from eman_netconf.server.config import Limits
from eman_netconf.server.sessions import READ_AHEAD, Full, LiveSession, Sessions

log = logging.getLogger(__name__)

#: Seconds a closing connection may take to carry what was written.
LINGER: Final = 10.0

# Seconds until it is tried again to accept a connection.
_PAUSE = 0.1

#: Where clients on this machine come from, in the list of sessions.
LOCAL_HOST: Final = "localhost"

#: Ends a listener.
Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end, as the transport knows it."""

    user: str
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


def host_of(connected: socket.socket) -> str:
    """The address of the other end."""
    try:
        peer = connected.getpeername()
    except OSError:  # it is gone already
        return "unknown"
    return str(peer[0]) if isinstance(peer, tuple) else LOCAL_HOST


#: Finds out who is at the other end. Raises Refused.
Admit = Callable[[asyncio.Transport], Awaitable[Caller]]


def _no_tls() -> None:
    return None


class Connections:
    """All connections of one transport. ``name`` is that in RFC 6022's list of sessions.

    ``context`` gives what TLS is spoken with, None where it is not, and is asked for each connection. Connections are
    accepted here and not by the loop, because that would speak TLS with what was given when the listener was made.
    """

    def __init__(
        self,
        name: str,
        sessions: Sessions,
        limits: Callable[[], Limits],
        admit: Admit,
        context: Callable[[], ssl.SSLContext | None] = _no_tls,
    ) -> None:
        self.name = name
        self.sessions = sessions
        self.limits = limits
        self.admit = admit
        self.open: set[Connection] = set()
        self.arriving: set[asyncio.Task[Connection | None]] = set()  # in the handshake of TLS
        self._context = context
        self._changed = asyncio.Event()  # a connection is gone, or has arrived

    def listen(self, listening: socket.socket) -> Close:
        """Accept connections at a socket, which is closed with what is returned."""
        accepting = asyncio.create_task(self._accept(listening), name=f"accept {self.name}")

        async def close() -> None:
            accepting.cancel()
            await asyncio.wait({accepting})
            listening.close()

        return close

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, _ = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, or memory
                log.error("no connection can be accepted: %s", error.strerror or error)
                await asyncio.sleep(_PAUSE)
                continue
            if len(self.open) + len(self.arriving) >= self.limits().sessions:
                connected.close()
            else:
                self._arrive(connected)

    async def serve(self, connected: socket.socket) -> bool:
        """Answer on a connection that this server made, until it is over; True when it had a session.

        Whoever cancels this leaves the connection open once it has a session.
        """
        arriving = self._arrive(connected)
        try:
            connection = await arriving
        except asyncio.CancelledError:
            arriving.cancel()
            raise
        if connection is None:
            return False
        try:
            await connection.over.wait()
        except asyncio.CancelledError:
            if not connection.served:
                connection.abort()
            raise
        return connection.served

    def _arrive(self, connected: socket.socket) -> asyncio.Task[Connection | None]:
        arriving = asyncio.create_task(self._shake_hands(connected), name=f"arrive {self.name}")
        self.arriving.add(arriving)
        arriving.add_done_callback(self._arrived)
        return arriving

    def _arrived(self, arriving: asyncio.Task[Connection | None]) -> None:
        self.arriving.discard(arriving)
        self._changed.set()

    async def _shake_hands(self, connected: socket.socket) -> Connection | None:
        """A connection that can be read and written; None when it did not come to that."""
        connected.setblocking(False)
        times = {"ssl_handshake_timeout": self.limits().login_seconds, "ssl_shutdown_timeout": LINGER}
        address = host_of(connected)
        try:
            context = self._context()
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self, address), connected, ssl=context, **(times if context else {})
            )
        except Refused as refusal:
            connected.close()
            audit.refused(None, address, self.name, str(refusal))
        except ssl.SSLError as error:
            audit.refused(None, address, self.name, f"TLS: {error.reason or error}")
        except OSError as error:
            audit.refused(None, address, self.name, f"it went without saying who it is ({error})")
        else:
            return connection
        return None

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
        for arriving in self.arriving:
            arriving.cancel()
        for connection in list(self.open):
            connection.abort()
        while self.open or self.arriving:
            self._changed.clear()
            await self._changed.wait()


class Connection(asyncio.Protocol):
    """One connection: admission, then the events of its session in one direction and its bytes in the other."""

    def __init__(self, connections: Connections, address: str) -> None:
        self.served = False  # it has had a session
        self.over = asyncio.Event()
        self._connections = connections
        self._address = address
        self._transport: asyncio.Transport
        self._session: LiveSession | None = None
        self._admission: asyncio.Task[None] | None = None
        self._early = bytearray()  # came before it was known from whom
        self._ended = False  # nothing more comes
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.open.add(self)
        self._admission = asyncio.get_running_loop().create_task(self._admit())

    async def _admit(self) -> None:
        """Find out who it is and open a session; cut the connection otherwise."""
        connections, user = self._connections, None
        try:
            async with asyncio.timeout(connections.limits().login_seconds):
                caller = await connections.admit(self._transport)
            user = caller.user
            audit.login(user, self._address, connections.name, caller.how)
            session = connections.sessions.open(
                self, user=user, source_host=self._address, transport=connections.name, groups=caller.groups
            )
        except (Refused, Full) as refusal:
            audit.refused(user, self._address, connections.name, str(refusal))
            self._transport.abort()
        except OSError as error:  # a timeout among them
            audit.refused(user, self._address, connections.name, f"nobody can tell who it is ({error})")
            self._transport.abort()
        except Exception:
            log.exception("%s: nobody can tell who it is", self._address)
            self._transport.abort()
        else:
            self._begin(session)
        finally:
            self._admission = None

    def _begin(self, session: LiveSession) -> None:
        if self.over.is_set():  # it went while it was admitted
            session.lost()
            return
        self.served = True
        self._session = session
        session.start()
        if not self._transport.is_reading():
            self.resume_reading()
        early, self._early = bytes(self._early), bytearray()
        if early:
            session.received(early)
        if self._ended:
            session.ended()

    # --- from the client

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.received(data)
        else:
            self._early += data
            if len(self._early) > READ_AHEAD:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._session is not None:
            self._session.ended()
        # Replies still go out, but not over TLS: asyncio answers a close_notify with its own before any task runs.
        return self._transport.get_extra_info("sslcontext") is None

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

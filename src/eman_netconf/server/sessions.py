"""Live sessions: one task each pumps its channel, the wire core and the handler of requests."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Final, Protocol

from eman_netconf.errors import BASE_NS, ErrorTag, RpcError, RpcErrors
from eman_netconf.messages.framing import PIECE, WORKING, FrameLimits
from eman_netconf.messages.rpc import Hello, Reply, Rpc, SessionInfo
from eman_netconf.messages.session import Event, Limits, Opened, ProtocolFault, Refused, Role, Session, State
from eman_netconf.safexml import XmlLimits
from eman_netconf.server import config

log = logging.getLogger(__name__)

#: Bytes of pipelined requests a session holds while it answers one; past it the channel is not read.
READ_AHEAD: Final = 256 * 1024

#: Bytes of notifications that wait for a slow reader; past it ``notify`` says no.
NOTIFICATIONS_AHEAD: Final = 1024 * 1024

# Seconds a session works before it lets the others run.
_TURN = 0.001

# Seconds a cancelled request may take to let go of what it holds.
_UNWIND = 5.0

_CLOSE_SESSION = f"{{{BASE_NS}}}close-session"
_LAST_ID = 4_294_967_295


class Channel(Protocol):
    """What a transport gives a session; every call is safe at any time, also after the channel is gone."""

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        """Close when what was written is out, within a time of the transport's choice."""

    def abort(self) -> None:
        """Close now, dropping what is not out yet."""


#: Answers one request. Raises RpcError or RpcErrors for a refusal; anything else becomes operation-failed.
Handler = Callable[[SessionInfo, Rpc], Awaitable[Reply]]


class Termination(StrEnum):
    """Why a session ended (RFC 6470 section 2.2, termination-reason)."""

    CLOSED = "closed"
    KILLED = "killed"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    BAD_HELLO = "bad-hello"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class End:
    """How a session ended; ``killed_by`` is the session that killed it, None when none did or nobody knows."""

    reason: Termination
    killed_by: int | None = None


class Full(Exception):
    """No more sessions are taken; the text is a sentence for the client."""


@dataclass(slots=True)
class Counters:
    """What RFC 6022 counts for each session and for all together."""

    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


@dataclass(slots=True)
class Totals(Counters):
    """What RFC 6022 counts for the whole server."""

    in_sessions: int = 0
    in_bad_hellos: int = 0
    dropped_sessions: int = 0


class Sessions:
    """All live sessions. ``limits`` is asked when a session opens, ``capabilities`` likewise.

    ``opened`` are told of each session that has exchanged hellos, ``ended`` once of each that was taken in, greeted or
    not, when its last request is done: locks go then. They are told in their order, and what one raises is logged.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        capabilities: Callable[[], tuple[str, ...]],
        limits: Callable[[], config.Limits],
        wall: Callable[[], float],
    ) -> None:
        self.handler = handler
        self.opened: list[Callable[[SessionInfo], None]] = []
        self.ended: list[Callable[[SessionInfo, End], None]] = []
        self.totals = Totals()
        self._capabilities = capabilities
        self._limits = limits
        self._wall = wall
        self._live: dict[int, LiveSession] = {}
        self._of_user: Counter[str] = Counter()
        self._last_id = 0
        self._draining = False

    def open(
        self,
        channel: Channel,
        *,
        user: str,
        source_host: str,
        transport: str = "netconf-ssh",
        groups: frozenset[str] = frozenset(),
    ) -> LiveSession:
        """Take a session in; its channel calls ``start`` once it may be written to. Raises Full."""
        limits = self._limits()
        if self._draining:
            raise Full("The server is shutting down.")
        if len(self._live) >= limits.sessions:
            raise Full(f"All {limits.sessions} sessions of this server are in use. Close one or try later.")
        if self._of_user[user] >= limits.sessions_per_user:
            raise Full(f"User {user} has {limits.sessions_per_user} sessions open, the most allowed. Close one.")
        info = SessionInfo(self._next_id(), user, source_host, self._wall(), transport, groups)
        session = LiveSession(self, info, channel, limits, self._capabilities())
        self._live[info.id] = session
        self._of_user[user] += 1
        return session

    def live(self) -> list[LiveSession]:
        """The sessions whose <hello> was sent."""
        return [session for session in self._live.values() if session.started]

    def get(self, session_id: int) -> LiveSession | None:
        return self._live.get(session_id)

    async def kill(self, session_id: int, by: int | None = None) -> bool:
        """End a session whatever it is doing; True when it is gone with its locks, False when there was none.

        ``by`` is the session that asks for it.
        """
        session = self._live.get(session_id)
        if session is None:
            return False
        await session.kill(by)
        return True

    async def departed(self, session_id: int) -> None:
        """Return when the client of a session has gone, at once when there is none."""
        session = self._live.get(session_id)
        if session is not None:
            await session.departed()

    async def drain(self, seconds: float) -> None:
        """Take no more sessions, let each finish the request it is answering, end all within ``seconds``."""
        self._draining = True
        for session in self._live.values():
            session.finish()
        await self._wait(seconds)
        for session in list(self._live.values()):
            session.cancel()
        await self._wait(_UNWIND)

    async def _wait(self, seconds: float) -> None:
        tasks = [session.task for session in self._live.values() if session.task]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def greeted(self, session: LiveSession) -> None:
        """Called by the session when hellos are exchanged."""
        for told in self.opened:
            try:
                told(session.info)
            except Exception:
                log.exception("session %d: its start could not be handled", session.info.id)

    def forget(self, session: LiveSession, end: End) -> None:
        """Called by the session at its end, once."""
        info = session.info
        if self._live.pop(info.id, None) is None:
            return
        self._of_user[info.user] -= 1
        if not self._of_user[info.user]:
            del self._of_user[info.user]
        for told in self.ended:
            try:
                told(info, end)
            except Exception:
                log.exception("session %d: its end could not be handled", info.id)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % _LAST_ID + 1
            if self._last_id not in self._live:
                return self._last_id


class _Lost(Exception):
    """The channel is gone."""


class LiveSession:
    """One session. The transport calls ``start``, ``received``, ``ended``, ``lost``, ``pause`` and ``resume``."""

    __slots__ = (
        "_busy",
        "_channel",
        "_departed",
        "_drained",
        "_finishing",
        "_flushing",
        "_input",
        "_killed",
        "_limits",
        "_loop",
        "_lost",
        "_notifications",
        "_notifications_size",
        "_out",
        "_out_size",
        "_reading",
        "_registry",
        "_replying",
        "_turn",
        "_watching",
        "_wire",
        "_writable",
        "counters",
        "info",
        "task",
    )

    def __init__(
        self,
        registry: Sessions,
        info: SessionInfo,
        channel: Channel,
        limits: config.Limits,
        capabilities: tuple[str, ...],
    ) -> None:
        self.info = info
        self.counters = Counters()
        self._watching = False
        self.task: asyncio.Task[None] | None = None
        self._registry = registry
        self._channel = channel
        self._limits = limits
        self._wire = Session(
            Role.SERVER,
            Hello(capabilities, info.id),
            Limits(frame=FrameLimits(message=limits.message_bytes), xml=XmlLimits(size=limits.message_bytes)),
        )
        self._loop = asyncio.get_running_loop()
        self._input = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._busy = True  # not waiting for input
        self._replying = False  # inside a reply, where no notification may go
        self._finishing = False
        self._killed: End | None = None
        self._lost = False
        self._departed: asyncio.Event | None = None  # made when somebody waits for it
        self._turn = 0.0  # when the others last ran
        self._out: list[bytes] = []
        self._out_size = 0
        self._flushing = False
        self._notifications: list[bytes] = []
        self._notifications_size = 0
        self._drained: asyncio.Event | None = None  # made when somebody waits for it

    # --- called by the transport

    @property
    def started(self) -> bool:
        return self.task is not None

    @property
    def buffered(self) -> int:
        """Bytes held for this session: received and not decoded, or not yet given to the channel."""
        return self._wire.buffered + self._out_size + self._notifications_size

    @property
    def unread(self) -> int:
        """Bytes of notifications that wait for a slow reader."""
        return self._notifications_size

    @property
    def watching(self) -> bool:
        """Whether it has a subscription: then silence is no idleness."""
        return self._watching

    @watching.setter
    def watching(self, has_subscription: bool) -> None:
        self._watching = has_subscription
        self._input.set()  # how long it waits for the client is another time now

    def start(self) -> None:
        """The channel may be written to from now on."""
        self._registry.totals.in_sessions += 1
        self.task = self._loop.create_task(self._run(), name=f"session-{self.info.id}")

    def received(self, data: bytes) -> None:
        self._wire.receive(data)
        if not self._busy:
            self._input.set()
        elif self._reading and self._wire.buffered > READ_AHEAD:
            self._reading = False
            self._channel.pause_reading()

    def ended(self) -> None:
        """The peer writes no more; it may still read."""
        self._wire.end_of_input()
        self._input.set()

    def lost(self) -> None:
        """The channel is gone. A request being answered is finished; nobody is told."""
        self._lost = True
        self._wire.close()
        self._input.set()
        self._writable.set()
        if self._drained is not None:
            self._drained.set()
        if self._departed is not None:
            self._departed.set()
        if self.task is None:
            self._registry.forget(self, End(Termination.DROPPED))

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()
        self._schedule_flush()

    # --- called by the server

    def notify(self, message: bytes) -> bool:
        """Send a message of ``rpc.notification_bytes``, between replies; False when too many are waiting already."""
        if self._notifications_size + len(message) > NOTIFICATIONS_AHEAD:
            return False
        self.counters.out_notifications += 1
        self._registry.totals.out_notifications += 1
        self._notifications.append(self._wire.notification(message))
        self._notifications_size += len(message)
        self._schedule_flush()
        return True

    async def drained(self) -> None:
        """Return when no notification waits any more, or the session is over."""
        while self._notifications and not self._lost:
            if self._drained is None:
                self._drained = asyncio.Event()
            self._drained.clear()
            await self._drained.wait()

    async def departed(self) -> None:
        """Return when the channel is gone."""
        if self._departed is None:
            self._departed = asyncio.Event()
            if self._lost:
                self._departed.set()
        await self._departed.wait()

    def finish(self) -> None:
        """End once the request being answered is done."""
        self._finishing = True
        if not self._busy:
            self._wire.close()
            self._input.set()

    def cancel(self) -> None:
        """End now; what a request holds is released when it has unwound."""
        self._channel.abort()
        if self.task is None:
            self._registry.forget(self, self._killed or End(Termination.OTHER))
        else:
            self.task.cancel()

    async def kill(self, by: int | None = None) -> None:
        """End now, and return when all is released. Not for a session's own request (RFC 6241 section 7.9)."""
        self._killed = self._killed or End(Termination.KILLED, by)
        self.cancel()
        if self.task is not None:
            await asyncio.wait([self.task], timeout=_UNWIND)

    # --- the task

    async def _run(self) -> None:
        dropped = True
        end = End(Termination.OTHER)
        try:
            self._write(self._wire.greeting())
            async with asyncio.timeout(self._limits.hello_seconds):
                greeted = isinstance(await self._next(), Opened)
            log.info("session %d: opened by %s from %s", self.info.id, self.info.user, self.info.source_host)
            if greeted:
                self._registry.greeted(self)
            end = End(Termination.DROPPED)
            while greeted and not self._finishing and (event := await self._next()):
                self._busy = True
                if isinstance(event, Refused):
                    await self._refuse(event)
                elif isinstance(event, Rpc) and await self._answer(event):
                    end = End(Termination.CLOSED)
                    break
            if self._finishing and end.reason is Termination.DROPPED:
                end = End(Termination.OTHER)
            dropped = self._lost
            log.info("session %d: closed", self.info.id)
            self._flush()
            self._channel.close()
        except ProtocolFault as fault:
            end = End(Termination.BAD_HELLO if self._wire.peer is None else Termination.OTHER)
            self._count_fault()
            log.info("session %d: closed, %.300r", self.info.id, str(fault))  # as repr: it may hold what came in
            if fault.farewell:
                self._count_error()
                self._write(fault.farewell)
            self._flush()
            self._channel.close()
        except TimeoutError:
            end = End(Termination.TIMEOUT)
            log.info("session %d: closed, nothing came from the client for too long", self.info.id)
            self._channel.abort()
        except _Lost:
            end = End(Termination.DROPPED)
            log.info("session %d: the client went away", self.info.id)
        except asyncio.CancelledError:
            dropped = False
            end = self._killed or End(Termination.OTHER)
            log.info("session %d: ended by the server", self.info.id)
            self._channel.abort()
        except Exception:
            end = End(Termination.OTHER)
            log.exception("session %d: closed, the reply could not be finished", self.info.id)
            self._channel.abort()
        finally:
            self._registry.totals.dropped_sessions += dropped
            self._wire.close()
            self._registry.forget(self, end)

    def _count_fault(self) -> None:
        if self._wire.peer is None:
            self._registry.totals.in_bad_hellos += 1
        else:
            self._count_bad_rpc()

    def _count_bad_rpc(self) -> None:
        self.counters.in_bad_rpcs += 1
        self._registry.totals.in_bad_rpcs += 1

    def _count_error(self) -> None:
        self.counters.out_rpc_errors += 1
        self._registry.totals.out_rpc_errors += 1

    async def _next(self) -> Event | None:
        """The next event; None when the session is over. Reads on only when nothing is left to do."""
        while True:
            event = self._wire.next_event()
            if event is WORKING:
                await self._yield()
                continue
            if event is not None or self._wire.state is State.CLOSED:
                return event
            self._input.clear()
            self._busy = False
            if not self._reading:
                self._reading = True
                self._channel.resume_reading()  # may call ``received`` before it returns
            async with asyncio.timeout(self._patience()):
                await self._input.wait()
            self._busy = True
            self._turn = monotonic()

    def _patience(self) -> float | None:
        """Seconds to wait for the peer; None: for ever."""
        return self._limits.idle_seconds if self._limits.idle_seconds and not self.watching else None

    async def _refuse(self, event: Refused) -> None:
        self._count_bad_rpc()
        self._count_error()
        log.info("session %d: %.300r", self.info.id, str(event.error))
        self._write(event.reply)
        await self._room()

    async def _answer(self, request: Rpc) -> bool:
        """Handle one request and send the reply; True when it was the last."""
        self.counters.in_rpcs += 1
        self._registry.totals.in_rpcs += 1
        try:
            reply = await self._registry.handler(self.info, request)
            pieces = self._wire.reply(request, reply)
            first = next(pieces)  # what fails up to here can still be told
        except RpcErrors as refusal:
            await self._answer_errors(request, refusal.errors)
        except RpcError as refusal:
            await self._answer_errors(request, (refusal,))
        except (Exception, asyncio.CancelledError) as fault:
            if isinstance(fault, asyncio.CancelledError) and self.task and self.task.cancelling():
                raise  # this session is ended; any other cancellation is of something the request waited for
            log.exception("session %d: %.200r failed", self.info.id, request.operation.tag)
            text = "The server could not do this because of a fault of its own; its log tells more."
            await self._answer_errors(request, (RpcError(ErrorTag.OPERATION_FAILED, text),))
        else:
            await self._send(first, pieces)
            return request.operation.tag == _CLOSE_SESSION
        return False

    async def _answer_errors(self, request: Rpc, errors: tuple[RpcError, ...]) -> None:
        self._count_error()
        self._write(self._wire.reply_errors(request, errors))
        await self._room()

    async def _send(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._flush_notifications()
        self._replying = True
        for piece in itertools.chain((first,), rest):
            if piece:
                self._write(piece)
            await self._room()
        self._replying = False
        if self._notifications:
            self._schedule_flush()

    async def _room(self) -> None:
        """Wait until the channel takes more; let the others run when it is their turn. Raises _Lost."""
        if not self._writable.is_set():
            async with asyncio.timeout(self._patience()):
                await self._writable.wait()
            self._turn = monotonic()
        else:
            await self._yield()
        if self._lost:
            raise _Lost

    async def _yield(self) -> None:
        # by the clock, not by the loop's time: uvloop's stands still within a turn
        if monotonic() - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = monotonic()

    # --- writing: what is written in one turn of the loop goes out together

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size >= PIECE:
            self._flush()
        else:
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._writable.is_set() and not self._replying:
            self._flush_notifications()
        if self._out and not self._lost:
            self._channel.write(b"".join(self._out))
        self._out.clear()
        self._out_size = 0

    def _flush_notifications(self) -> None:
        if self._notifications:
            self._out += self._notifications
            self._out_size += self._notifications_size
            self._notifications.clear()
            self._notifications_size = 0
            if self._drained is not None:
                self._drained.set()

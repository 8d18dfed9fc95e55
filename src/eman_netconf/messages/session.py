"""One NETCONF session without I/O, in either role: bytes in, events out, bytes to send (RFC 6241, RFC 6242).

The caller feeds ``receive`` and asks ``next_event`` until it returns None. Messages are decoded one at a time, when
asked for, so what was pipelined waits as bytes; ``buffered`` tells how many, for the caller to stop reading.

Whatever bytes come in, only ProtocolFault escapes, and after it the session is closed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from lxml import etree

from eman_netconf import safexml
from eman_netconf.errors import BASE_NS, ErrorTag, ErrorType, RpcError
from eman_netconf.messages import framing, rpc
from eman_netconf.messages.framing import WORKING, FrameLimits, Framer, FramingFault, Working
from eman_netconf.messages.rpc import Envelope, Hello, Notification, Reply, Rpc, RpcReply


class ProtocolFault(Exception):
    """The session cannot go on. ``farewell`` is to be sent before closing; it may be empty."""

    def __init__(self, message: str, farewell: bytes = b"") -> None:
        super().__init__(message)
        self.farewell = farewell


class Role(StrEnum):
    CLIENT = "client"
    SERVER = "server"


class State(StrEnum):
    """Where a session stands. The two open states differ in framing, and in what an error may say."""

    GREETING = "greeting"  # our hello may be sent, the peer's has not come
    OPEN_1_0 = "open-1.0"
    OPEN_1_1 = "open-1.1"
    CLOSED = "closed"


class Input(StrEnum):
    """What can happen to a session."""

    HELLO_1_0 = "hello-1.0"  # base:1.0 is all we share
    HELLO_1_1 = "hello-1.1"
    BAD_HELLO = "bad-hello"
    RPC = "rpc"
    REPLY = "rpc-reply"
    NOTIFICATION = "notification"
    BAD_MESSAGE = "bad-message"  # well-formed, but nothing we can take
    MALFORMED = "malformed"  # no XML at all
    BROKEN_FRAME = "broken-frame"
    END = "end"  # the peer sends no more
    END_INSIDE = "end-inside-message"
    CLOSE = "close"  # our own wish


class Action(StrEnum):
    """What to do about it."""

    OPEN = "open"  # tell who the peer is, change the framing
    DELIVER = "deliver"
    REFUSE = "refuse"  # answer with rpc-error, go on
    FAREWELL = "farewell"  # answer with rpc-error, then fail
    FAIL = "fail"
    STOP = "stop"


_GREETING: Final = {
    (State.GREETING, Input.HELLO_1_0): (State.OPEN_1_0, Action.OPEN),
    (State.GREETING, Input.HELLO_1_1): (State.OPEN_1_1, Action.OPEN),
    (State.GREETING, Input.END): (State.CLOSED, Action.STOP),
    (State.GREETING, Input.CLOSE): (State.CLOSED, Action.STOP),
}
_OPEN: Final = {
    (state, cause): (State.CLOSED, Action.STOP)
    for state in (State.OPEN_1_0, State.OPEN_1_1)
    for cause in (Input.END, Input.CLOSE)
}

#: (state, input) -> (next state, action); what is not here closes the session with a ProtocolFault.
#: malformed-message must not be sent to a peer of base:1.0 (RFC 6241 appendix A), so there the session ends.
TABLES: Final[Mapping[Role, Mapping[tuple[State, Input], tuple[State, Action]]]] = MappingProxyType(
    {
        Role.SERVER: {
            **_GREETING,
            **_OPEN,
            (State.OPEN_1_0, Input.RPC): (State.OPEN_1_0, Action.DELIVER),
            (State.OPEN_1_0, Input.BAD_MESSAGE): (State.OPEN_1_0, Action.REFUSE),
            (State.OPEN_1_1, Input.RPC): (State.OPEN_1_1, Action.DELIVER),
            (State.OPEN_1_1, Input.BAD_MESSAGE): (State.OPEN_1_1, Action.REFUSE),
            (State.OPEN_1_1, Input.MALFORMED): (State.OPEN_1_1, Action.REFUSE),
            (State.OPEN_1_1, Input.BROKEN_FRAME): (State.CLOSED, Action.FAREWELL),
        },
        Role.CLIENT: {
            **_GREETING,
            **_OPEN,
            (State.OPEN_1_0, Input.REPLY): (State.OPEN_1_0, Action.DELIVER),
            (State.OPEN_1_0, Input.NOTIFICATION): (State.OPEN_1_0, Action.DELIVER),
            (State.OPEN_1_1, Input.REPLY): (State.OPEN_1_1, Action.DELIVER),
            (State.OPEN_1_1, Input.NOTIFICATION): (State.OPEN_1_1, Action.DELIVER),
        },
    }
)


@dataclass(frozen=True, slots=True)
class Opened:
    """Both hellos are exchanged; ``peer`` is theirs."""

    peer: Hello


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was no proper request; ``reply`` answers it and is to be sent."""

    error: RpcError
    reply: bytes


Event = Opened | Rpc | Refused | RpcReply | Notification | Literal[Working.WORKING]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may send: its hello in bytes, each later message, and the XML in it."""

    hello: int = 1024 * 1024
    frame: FrameLimits = field(default_factory=FrameLimits)
    xml: safexml.XmlLimits = safexml.DEFAULT_LIMITS


class Session:
    """See the module. ``hello`` is ours; a server's holds the session-id."""

    __slots__ = ("_ended", "_framer", "_limits", "_parsing", "_table", "hello", "peer", "role", "state")

    def __init__(self, role: Role, hello: Hello, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        if (role is Role.SERVER) != (hello.session_id is not None):
            raise ValueError("a server's hello holds a session-id, a client's none")
        self.role = role
        self.hello = hello
        self.peer: Hello | None = None
        self.state = State.GREETING
        self._table = TABLES[role]
        self._framer = Framer(FrameLimits(message=self._limits.hello))
        self._parsing: Generator[None, None, etree._Element] | None = None
        self._ended = False

    # --- receiving

    @property
    def buffered(self) -> int:
        """Bytes received and not yet decoded."""
        return self._framer.buffered

    def receive(self, data: bytes) -> None:
        if self.state is not State.CLOSED:
            self._framer.receive(data)

    def end_of_input(self) -> None:
        """The peer sends no more; what it sent before is still taken."""
        self._ended = True

    def close(self) -> None:
        """Take nothing more."""
        if self.state is not State.CLOSED:
            self._step(Input.CLOSE)

    def next_event(self) -> Event | None:
        """The next thing that happened; None: nothing before more bytes come (or never, once ``state`` is closed).

        WORKING means that a long message is being read: call again, with other work between.
        Raises ProtocolFault.
        """
        if self.state is State.CLOSED:
            return None
        if self._parsing is None:
            try:
                message = self._framer.next()
            except FramingFault as fault:
                return self._step(Input.BROKEN_FRAME, error=_malformed(str(fault)))
            if message is WORKING:
                return WORKING
            if message is None:
                if not self._ended:
                    return None
                return self._step(Input.END_INSIDE if self._framer.inside_message else Input.END)
            self._parsing = safexml.parsing(message, limits=self._limits.xml)
        try:
            next(self._parsing)
        except StopIteration as done:
            self._parsing = None
            return self._take(done.value)
        except RpcError as error:
            self._parsing = None
            malformed = error.tag is ErrorTag.MALFORMED_MESSAGE
            return self._step(Input.MALFORMED if malformed else Input.BAD_MESSAGE, error=error)
        return WORKING

    def _take(self, root: etree._Element) -> Event | None:
        """What a whole document means."""
        if root.tag == f"{{{BASE_NS}}}hello":
            return self._take_hello(root)
        if self.role is Role.SERVER:
            try:
                return self._step(Input.RPC, rpc.read_rpc(root))
            except RpcError as error:
                return self._step(Input.BAD_MESSAGE, error=error, envelope=rpc.read_envelope(root))
        try:
            if root.tag == f"{{{BASE_NS}}}rpc-reply":
                return self._step(Input.REPLY, rpc.read_reply(root))
            if root.tag == f"{{{rpc.NOTIFICATION_NS}}}notification":
                return self._step(Input.NOTIFICATION, rpc.read_notification(root))
        except ValueError as fault:
            return self._step(Input.BAD_MESSAGE, error=_malformed(f"The server's message is wrong: {fault}."))
        return self._step(Input.BAD_MESSAGE, error=_malformed(f"The server sent <{etree.QName(root).localname}>."))

    def _take_hello(self, root: etree._Element) -> Event | None:
        try:
            peer = rpc.read_hello(root)
        except rpc.NotHello as fault:
            return self._step(Input.BAD_HELLO, error=_malformed(str(fault)))
        if self.role is Role.SERVER and peer.session_id is not None:
            return self._step(Input.BAD_HELLO, error=_malformed("A client's <hello> must not hold a <session-id>."))
        if self.role is Role.CLIENT and peer.session_id is None:
            return self._step(Input.BAD_HELLO, error=_malformed("The server's <hello> holds no <session-id>."))
        common = set(peer.capabilities).intersection(self.hello.capabilities)
        if rpc.BASE_1_1 in common:
            return self._step(Input.HELLO_1_1, Opened(peer))
        if rpc.BASE_1_0 in common:
            return self._step(Input.HELLO_1_0, Opened(peer))
        mine = " or ".join(uri for uri in (rpc.BASE_1_0, rpc.BASE_1_1) if uri in self.hello.capabilities)
        return self._step(Input.BAD_HELLO, error=_malformed(f"The <hello> does not offer {mine}."))

    def _step(
        self,
        cause: Input,
        event: Event | None = None,
        *,
        error: RpcError | None = None,
        envelope: Envelope | None = None,
    ) -> Event | None:
        """Look the input up in the table, go to the next state, act."""
        before = self.state
        self.state, action = self._table.get((before, cause), (State.CLOSED, Action.FAIL))
        if self.state is State.CLOSED:
            self._framer.discard()
            self._parsing = None
        match action:
            case Action.OPEN:
                assert isinstance(event, Opened)
                self.peer = event.peer
                self._framer.limits = self._limits.frame
                if self.state is State.OPEN_1_1:
                    self._framer.upgrade()
                return event
            case Action.DELIVER:
                return event
            case Action.REFUSE:
                assert error is not None
                return Refused(error, self._frame(rpc.errors_bytes(envelope or Envelope(), [error])))
            case Action.FAREWELL:
                assert error is not None
                raise ProtocolFault(error.message, self._frame(rpc.errors_bytes(Envelope(), [error])))
            case Action.FAIL:
                raise ProtocolFault(error.message if error else _UNEXPECTED.get(cause, _unexpected(cause, before)))
            case Action.STOP:
                return None

    # --- sending

    @property
    def chunked(self) -> bool:
        return self._framer.chunked

    def greeting(self) -> bytes:
        """Our hello, always with end-of-message framing; to be sent at once (RFC 6241 section 8.1)."""
        return framing.frame(self.hello.to_bytes(), chunked=False)

    def reply(self, request: Rpc, reply: Reply) -> Iterator[bytes]:
        """The answer in pieces, made while they are taken; what the data's slices raise comes through."""
        return framing.stream(rpc.reply_slices(request.envelope, reply), chunked=self.chunked)

    def reply_errors(self, request: Rpc, errors: Iterable[RpcError]) -> bytes:
        """The answer when it is no."""
        return self._frame(rpc.errors_bytes(request.envelope, errors))

    def notification(self, message: bytes) -> bytes:
        """A message of ``rpc.notification_bytes``, which many sessions may share, as it goes out here."""
        return self._frame(message)

    def request(self, message_id: str, operation: bytes) -> bytes:
        """A client's <rpc> around ``operation``."""
        return self._frame(rpc.rpc_bytes(message_id, operation))

    def _frame(self, message: bytes) -> bytes:
        return framing.frame(message, chunked=self.chunked)


_UNEXPECTED: Final = {
    Input.END_INSIDE: "The input ended inside a message.",
    Input.HELLO_1_0: "A second <hello> came.",
    Input.HELLO_1_1: "A second <hello> came.",
}


def _unexpected(cause: Input, state: State) -> str:
    wanted = "<hello>" if state is State.GREETING else "another message"
    return f"{cause} came where {wanted} was expected."


def _malformed(message: str) -> RpcError:
    return RpcError(ErrorTag.MALFORMED_MESSAGE, message, type=ErrorType.RPC)

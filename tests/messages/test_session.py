"""The state machine of a session in both roles."""

from __future__ import annotations

import pytest

from eman_netconf.errors import BASE_NS, ErrorTag
from eman_netconf.messages.framing import WORKING, FrameLimits, frame
from eman_netconf.messages.rpc import (
    BASE_1_0,
    BASE_1_1,
    Data,
    Envelope,
    Hello,
    Notification,
    Ok,
    Rpc,
    RpcReply,
    notification_bytes,
    read_reply,
    reply_start,
)
from eman_netconf.messages.session import (
    TABLES,
    Action,
    Event,
    Input,
    Limits,
    Opened,
    ProtocolFault,
    Refused,
    Role,
    Session,
    State,
)
from eman_netconf.safexml import XmlLimits, parse

BOTH = (BASE_1_0, BASE_1_1)
LIMITS = Limits(hello=5000, frame=FrameLimits(message=100_000), xml=XmlLimits(size=100_000))


def events(session: Session) -> list[Event]:
    """All that happened, but for pauses."""
    found: list[Event] = []
    while (event := session.next_event()) is not None:
        if event is not WORKING:
            found.append(event)
    return found


def feed(session: Session, data: bytes) -> list[Event]:
    session.receive(data)
    return events(session)


def server(capabilities: tuple[str, ...] | None = BOTH) -> Session:
    """A server; greeted by a client with these capabilities unless None."""
    session = Session(Role.SERVER, Hello(BOTH, 7), LIMITS)
    if capabilities is not None:
        (opened,) = feed(session, frame(Hello(capabilities).to_bytes(), chunked=False))
        assert isinstance(opened, Opened)
    return session


def client() -> Session:
    session = Session(Role.CLIENT, Hello(BOTH), LIMITS)
    feed(session, server(None).greeting())
    assert session.state is State.OPEN_1_1
    return session


def request(inside: bytes = b"<get/>", *, chunked: bool = True) -> bytes:
    return frame(b'<rpc xmlns="%b" message-id="1">%b</rpc>' % (BASE_NS.encode(), inside), chunked=chunked)


def message_in(wire: bytes, *, chunked: bool = True) -> bytes:
    """The one message that was framed."""
    if not chunked:
        return wire.removesuffix(b"]]>]]>")
    return wire.removesuffix(b"\n##\n").split(b"\n", 2)[2]


@pytest.mark.parametrize(
    ("theirs", "state"),
    [(BOTH, State.OPEN_1_1), ((BASE_1_1,), State.OPEN_1_1), ((BASE_1_0,), State.OPEN_1_0)],
)
def test_version(theirs: tuple[str, ...], state: State) -> None:
    """The highest version both offer is spoken (RFC 6241 section 8.1)."""
    assert server(theirs).state is state


def test_whole_conversation() -> None:
    """Two sessions understand each other: hellos, a request, its reply in pieces, a notification."""
    here, there = Session(Role.CLIENT, Hello(BOTH)), server(None)
    assert isinstance(feed(here, there.greeting())[0], Opened)
    assert isinstance(feed(there, here.greeting())[0], Opened)
    assert here.peer is not None
    assert here.peer.session_id == 7
    (rpc,) = feed(there, here.request("5", b"<get/>"))
    assert isinstance(rpc, Rpc)
    (reply,) = feed(here, b"".join(there.reply(rpc, Data([b"<x xmlns='urn:x'/>"] * 5000))))
    assert isinstance(reply, RpcReply)
    assert reply.message_id == "5"
    assert len(reply.element[0]) == 5000
    (event,) = feed(here, there.notification(notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'/>")))
    assert isinstance(event, Notification)


@pytest.mark.parametrize(
    "greeting",
    [
        frame(Hello(("urn:other",)).to_bytes(), chunked=False),
        frame(Hello(BOTH, 3).to_bytes(), chunked=False),
        frame(b'<hello xmlns="urn:wrong"/>', chunked=False),
        frame(b"<hello", chunked=False),
        request(chunked=False),
        b"\n#5\n<rpc>\n##\n" + b"x" * 6000,
        b"x" * 6000,
        b"]]>]]>",
    ],
)
def test_bad_greeting(greeting: bytes) -> None:
    """Who does not begin with a proper hello is sent away without a word."""
    session = server(None)
    with pytest.raises(ProtocolFault) as fault:
        feed(session, greeting)
    assert fault.value.farewell == b""
    assert session.state is State.CLOSED


def test_server_hello_needs_session_id() -> None:
    """A client does not go on with a server that gives no session-id."""
    session = Session(Role.CLIENT, Hello(BOTH))
    with pytest.raises(ProtocolFault, match="session-id"):
        feed(session, frame(Hello(BOTH).to_bytes(), chunked=False))


@pytest.mark.parametrize("capabilities", [BOTH, (BASE_1_0,)])
def test_second_hello(capabilities: tuple[str, ...]) -> None:
    """A second hello ends the session."""
    session = server(capabilities)
    with pytest.raises(ProtocolFault, match="second"):
        feed(session, frame(Hello(BOTH).to_bytes(), chunked=session.chunked))


def test_malformed_on_1_1() -> None:
    """A message that is no XML is answered with malformed-message, and the session goes on (RFC 6241 section 3)."""
    session = server()
    refused, rpc = feed(session, frame(b"<rpc><get></rpc>", chunked=True) + request())
    assert isinstance(refused, Refused)
    assert refused.error.tag is ErrorTag.MALFORMED_MESSAGE
    (error,) = read_reply(parse(message_in(refused.reply))).errors
    assert error.tag is ErrorTag.MALFORMED_MESSAGE
    assert isinstance(rpc, Rpc)


def test_malformed_on_1_0() -> None:
    """malformed-message is unknown to base:1.0, so there the session ends (RFC 6241 appendix A)."""
    session = server((BASE_1_0,))
    with pytest.raises(ProtocolFault) as fault:
        feed(session, frame(b"<rpc><get></rpc>", chunked=False))
    assert fault.value.farewell == b""


def test_broken_frame() -> None:
    """After a fault of framing nothing can be read: the client is told and the session ends (RFC 6242 section 4.2)."""
    session = server()
    with pytest.raises(ProtocolFault) as fault:
        feed(session, b"<rpc/>]]>]]>")
    (error,) = read_reply(parse(message_in(fault.value.farewell))).errors
    assert error.tag is ErrorTag.MALFORMED_MESSAGE
    assert session.state is State.CLOSED
    assert feed(session, request()) == []


@pytest.mark.parametrize("chunked", [True, False])
def test_refusal_keeps_attributes(chunked: bool) -> None:
    """A refused rpc gets its attributes back, so that the client can tell which one it was."""
    session = server(BOTH if chunked else (BASE_1_0,))
    wire = frame(f'<rpc xmlns="{BASE_NS}" xmlns:u="urn:u" u:tag="z"><get/></rpc>'.encode(), chunked=chunked)
    (refused,) = feed(session, wire)
    assert isinstance(refused, Refused)
    assert refused.error.tag is ErrorTag.MISSING_ATTRIBUTE
    assert parse(message_in(refused.reply, chunked=chunked)).get("{urn:u}tag") == "z"


@pytest.mark.parametrize("chunked", [True, False])
def test_wrong_namespace(chunked: bool) -> None:
    """An rpc of another namespace is refused, the next one is served."""
    session = server(BOTH if chunked else (BASE_1_0,))
    wire = frame(b'<rpc xmlns="urn:wrong" message-id="3"><get/></rpc>', chunked=chunked)
    refused, rpc = feed(session, wire + request(chunked=chunked))
    assert isinstance(refused, Refused)
    assert refused.error.tag is ErrorTag.UNKNOWN_NAMESPACE
    assert parse(message_in(refused.reply, chunked=chunked)).get("message-id") == "3"
    assert isinstance(rpc, Rpc)


def test_too_many_tags() -> None:
    """A message that is too big as XML is refused as too-big, on both versions."""
    for capabilities in (BOTH, (BASE_1_0,)):
        limits = Limits(xml=XmlLimits(tags=100))
        session = Session(Role.SERVER, Hello(BOTH, 7), limits)
        feed(session, frame(Hello(capabilities).to_bytes(), chunked=False))
        (refused,) = feed(session, request(b"<get/>" * 200, chunked=session.chunked))
        assert isinstance(refused, Refused)
        assert refused.error.tag is ErrorTag.TOO_BIG


def test_end() -> None:
    """The end of input closes quietly, after what came before it was taken."""
    session = server()
    session.receive(request())
    session.end_of_input()
    (rpc,) = events(session)
    assert isinstance(rpc, Rpc)
    assert session.state is State.CLOSED
    assert b"".join(session.reply(rpc, Ok())).startswith(b"\n#")  # the answer still goes out as it must


@pytest.mark.parametrize("part", [request()[:-1], request()[:20], b"\n#", b"\n#3\n"])
def test_end_inside_message(part: bytes) -> None:
    """Input that ends inside a message is a fault."""
    session = server()
    session.receive(part)
    session.end_of_input()
    with pytest.raises(ProtocolFault, match="inside"):
        events(session)


def test_half_a_hello() -> None:
    """Half a hello is waited for; its end is a fault."""
    session = server(None)
    assert feed(session, b"<hello xmlns=") == []
    session.end_of_input()
    with pytest.raises(ProtocolFault):
        events(session)


def test_close() -> None:
    """After close nothing is taken and nothing is held."""
    session = server()
    session.close()
    session.close()
    session.receive(request())
    assert session.next_event() is None
    assert session.buffered == 0


def test_long_message_in_steps() -> None:
    """While a long message is parsed, the caller gets its turn."""
    session = server()
    session.receive(request(b"<a>" + b"x" * 90_000 + b"</a>"))
    assert session.next_event() is WORKING
    (rpc,) = events(session)
    assert isinstance(rpc, Rpc)


def test_pipelined_wait_as_bytes() -> None:
    """Requests that came together are decoded one at a time."""
    session = server()
    session.receive(request() * 3)
    assert isinstance(session.next_event(), Rpc)
    assert session.buffered == 2 * len(request())


@pytest.mark.parametrize(
    "message",
    [
        b"<x/>",
        b"<rpc-reply",
        frame(b"", chunked=False),
        b'<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>',
        reply_start(Envelope()) + b"<rpc-error><error-tag>odd</error-tag></rpc-error></rpc-reply>",
    ],
)
def test_client_and_nonsense(message: bytes) -> None:
    """A client ends the session when the server sends what is no answer."""
    session = client()
    with pytest.raises(ProtocolFault):
        feed(session, frame(message, chunked=True))


def test_tables_are_whole() -> None:
    """Every state is reached, nothing leaves closed, and only a failure may be left out of a table."""
    for table in TABLES.values():
        assert {next_state for next_state, _ in table.values()} == set(State) - {State.GREETING}
        assert all(state is not State.CLOSED for state, _ in table)
        assert all(action is not Action.FAIL for _, action in table.values())
    assert all((State.OPEN_1_0, cause) not in TABLES[Role.SERVER] for cause in (Input.MALFORMED, Input.BROKEN_FRAME))


def test_roles_differ_in_session_id() -> None:
    """Only a server's hello holds a session-id."""
    for role, hello in ((Role.SERVER, Hello(BOTH)), (Role.CLIENT, Hello(BOTH, 1))):
        with pytest.raises(ValueError, match="session-id"):
            Session(role, hello)

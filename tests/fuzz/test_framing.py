"""Random bytes against the wire core: only ProtocolFault escapes, and what is held stays bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.errors import BASE_NS
from eman_netconf.messages.framing import FrameLimits, frame
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Hello
from eman_netconf.messages.session import Limits, ProtocolFault, Role, Session, State
from eman_netconf.safexml import XmlLimits

LIMITS = Limits(hello=2000, frame=FrameLimits(message=2000, chunks=50), xml=XmlLimits(2000, 100, 50))
BOTH = (BASE_1_0, BASE_1_1)

#: What is more likely than noise to lead somewhere.
DICTIONARY = [
    *(frame(Hello(offer, number).to_bytes(), chunked=False) for offer in (BOTH, (BASE_1_0,)) for number in (None, 1)),
    f'<rpc xmlns="{BASE_NS}" message-id="1"><get/></rpc>'.encode(),
    f'<rpc-reply xmlns="{BASE_NS}" message-id="1"><ok/></rpc-reply>'.encode(),
    f'<rpc-reply xmlns="{BASE_NS}"><rpc-error><error-type>rpc</error-type></rpc-error></rpc-reply>'.encode(),
    b"\n#",
    b"\n##\n",
    b"\n#1\n",
    b"\n#30\n",
    b"\n#4294967295\n",
    b"\n#99999999999\n",
    b"]]>]]>",
    b"]]>",
    b"<!DOCTYPE a [",
    b"<![CDATA[",
    b"<a>" * 40,
    b"</a>" * 40,
    b"<?xml version='1.0'?>",
    b"\xff\xfe",
    b"\0",
    b"\xef\xbb\xbf",
]
PARTS = st.lists(
    st.one_of(
        st.sampled_from(DICTIONARY),
        st.sampled_from(DICTIONARY).map(lambda message: frame(message, chunked=True)),
        st.sampled_from(DICTIONARY).map(lambda message: frame(message, chunked=False)),
        st.binary(max_size=40),
    ),
    max_size=12,
)


def drive(session: Session, parts: list[bytes], size: int | None) -> None:
    """Feed all, in parts of ``size`` bytes or as they are, then end."""
    wire = b"".join(parts)
    pieces = parts if size is None else [wire[start : start + size] for start in range(0, len(wire), size)]
    try:
        for piece in pieces:
            session.receive(piece)
            for _ in range(1000):
                if session.next_event() is None:
                    break
            else:
                raise AssertionError("the session never comes to rest")
            assert session.buffered <= LIMITS.frame.message + 100
        session.end_of_input()
        while session.next_event() is not None:
            pass
    except ProtocolFault:
        pass  # the one thing that may come out
    assert session.state is State.CLOSED


@given(PARTS, st.sampled_from(list(Role)), st.booleans(), st.sampled_from([None, 1, 7]))
def test_any_bytes(parts: list[bytes], role: Role, greeted: bool, size: int | None) -> None:
    """Whatever comes, in whatever parts, a session ends in order."""
    session = Session(role, Hello(BOTH, 7 if role is Role.SERVER else None), LIMITS)
    if greeted:
        theirs = Hello(BOTH, None if role is Role.SERVER else 7)
        session.receive(frame(theirs.to_bytes(), chunked=False))
        session.next_event()
        assert session.state is State.OPEN_1_1
    drive(session, parts, size)


@given(st.binary(max_size=400), st.data())
def test_mutated_message(noise: bytes, data: st.DataObject) -> None:
    """A proper conversation with some bytes replaced ends in order too."""
    request = f'<rpc xmlns="{BASE_NS}" message-id="1" xmlns:x="urn:x" x:y="&amp;"><get><filter/></get></rpc>'.encode()
    wire = frame(Hello(BOTH).to_bytes(), chunked=False) + frame(request, chunked=True) * 3
    start = data.draw(st.integers(0, len(wire)))
    end = data.draw(st.integers(start, min(len(wire), start + 20)))
    session = Session(Role.SERVER, Hello(BOTH, 7), LIMITS)
    drive(session, [wire[:start] + noise[: end - start + 5] + wire[end:]], data.draw(st.sampled_from([None, 1, 50])))

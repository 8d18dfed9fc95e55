"""Messages as values and their XML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorPath, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import (
    BASE_1_0,
    BASE_1_1,
    Data,
    Envelope,
    Hello,
    NotHello,
    Ok,
    Output,
    errors_bytes,
    escape,
    escape_attribute,
    notification_bytes,
    read_envelope,
    read_hello,
    read_notification,
    read_reply,
    read_rpc,
    reply_slices,
    reply_start,
    rpc_bytes,
)
from eman_netconf.safexml import parse


def rpc(attributes: str = 'message-id="1"', inside: str = "<get/>", namespace: str = BASE_NS) -> etree._Element:
    return parse(f'<rpc xmlns="{namespace}" {attributes}>{inside}</rpc>'.encode())


def test_hello_both_ways() -> None:
    """A hello is read back as it was written."""
    hello = Hello((BASE_1_0, BASE_1_1, "urn:x?a=1&b=<2>"), 4_294_967_295)
    assert read_hello(parse(hello.to_bytes())) == hello
    assert read_hello(parse(Hello((BASE_1_0,)).to_bytes())) == Hello((BASE_1_0,))


def test_capabilities_are_trimmed() -> None:
    """White space around a capability, which pretty-printing clients send, is no part of it."""
    text = Hello((BASE_1_1,)).to_bytes().replace(b"urn:ietf:params:netconf:base:1.1", b"\n  %b\n" % BASE_1_1.encode())
    root = parse(text)
    assert b"\n  urn" in text
    assert read_hello(root).capabilities == (BASE_1_1,)


@pytest.mark.parametrize("number", ["0", "-1", "x", "4294967296", "", "1.0", "٣", "9" * 5000])
def test_bad_session_id(number: str) -> None:
    """A session-id that is no number from 1 to 4294967295 makes the hello invalid."""
    text = Hello((BASE_1_0,), 7).to_bytes().decode().replace(">7<", f">{number}<")
    with pytest.raises(NotHello):
        read_hello(parse(text.encode()))


def test_hello_without_capabilities() -> None:
    """A hello must offer something."""
    with pytest.raises(NotHello):
        read_hello(parse(f'<hello xmlns="{BASE_NS}"/>'.encode()))


def test_reads_rpc() -> None:
    """The operation and the message-id of a request."""
    request = read_rpc(rpc('message-id="a b"', "\n  <get-config/>\n"))
    assert request.message_id == "a b"
    assert request.operation.tag == f"{{{BASE_NS}}}get-config"


@pytest.mark.parametrize(
    ("root", "tag", "info"),
    [
        (rpc(""), ErrorTag.MISSING_ATTRIBUTE, {"bad-attribute": "message-id", "bad-element": "rpc"}),
        (rpc(f'message-id="{"1" * 4096}"'), ErrorTag.BAD_ATTRIBUTE, {"bad-attribute": "message-id"}),
        (rpc(namespace="urn:wrong"), ErrorTag.UNKNOWN_NAMESPACE, {"bad-namespace": "urn:wrong"}),
        (parse(b'<rpc message-id="1"/>'), ErrorTag.UNKNOWN_NAMESPACE, {"bad-element": "rpc"}),
        (parse(b"<get/>"), ErrorTag.UNKNOWN_ELEMENT, {"bad-element": "get"}),
        (rpc(inside=""), ErrorTag.MISSING_ELEMENT, {}),
        (rpc(inside="<get/><lock/>"), ErrorTag.UNKNOWN_ELEMENT, {"bad-element": "lock"}),
        (rpc(inside="text<get/>"), ErrorTag.BAD_ELEMENT, {"bad-element": "rpc"}),
    ],
)
def test_refuses_what_is_no_rpc(root: etree._Element, tag: ErrorTag, info: dict[str, str]) -> None:
    """Each way to be no proper request has its error-tag and error-info (RFC 6241 appendix A)."""
    with pytest.raises(RpcError) as refusal:
        read_rpc(root)
    assert refusal.value.tag is tag
    assert refusal.value.type in {ErrorType.RPC, ErrorType.PROTOCOL}
    assert info.items() <= {item.name: item.value for item in refusal.value.info}.items()


def test_attributes_return() -> None:
    """Every attribute of the rpc is on its reply with namespace and value, prefixes declared again (section 4.1)."""
    root = parse(
        (
            f'<nc:rpc xmlns:nc="{BASE_NS}" xmlns:ex="http://example.net/content/1.0" xmlns="urn:mine" message-id="101"'
            ' ex:user-id="fred &quot;&amp;&lt; &#10;" kind="ex:thing" xml:lang="de"><nc:get/></nc:rpc>'
        ).encode()
    )
    reply = parse(b"".join(reply_slices(read_rpc(root).envelope, Ok())))
    assert reply.tag == f"{{{BASE_NS}}}rpc-reply"
    assert sorted(reply.items()) == sorted(root.items())
    assert reply.nsmap["ex"] == "http://example.net/content/1.0"


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "{urn:1}a", "{urn:2}a", "{http://www.w3.org/XML/1998/namespace}lang"]),
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")),
    )
)
def test_any_attributes_return(attributes: dict[str, str]) -> None:
    """As above, whatever the values are."""
    root = etree.Element(f"{{{BASE_NS}}}rpc", nsmap={"p": "urn:1", "q": "urn:2", "nc": BASE_NS})
    for name, value in attributes.items():
        root.set(name, value)
    parsed = parse(etree.tostring(root))
    again = parse(reply_start(read_envelope(parsed)) + b"</rpc-reply>")
    assert sorted(again.items()) == sorted(parsed.items())


def test_replies() -> None:
    """ok, data in its namespace, and output."""

    def written(reply: Ok | Data | Output) -> bytes:
        return b"".join(reply_slices(Envelope({"message-id": "1"}), reply))

    start = f'<rpc-reply xmlns="{BASE_NS}" message-id="1">'.encode()
    assert written(Ok()) == start + b"<ok/></rpc-reply>"
    assert written(Data([b"<a/>", b"<b/>"])) == start + b"<data><a/><b/></data></rpc-reply>"
    assert written(Data([], "urn:n&n")) == start + b'<data xmlns="urn:n&amp;n"></data></rpc-reply>'
    assert written(Output(b"<x xmlns='urn:x'/>")) == start + b"<x xmlns='urn:x'/></rpc-reply>"


def test_errors_both_ways() -> None:
    """All fields of an rpc-error are read back as they were written, the namespaces of error-path with them."""
    sent = RpcError(
        ErrorTag.DATA_MISSING,
        'There is no <entity> "a&b".',
        path=ErrorPath("/em:entities/em:entity[em:id='a<b']", {"em": "urn:em"}),
        app_tag="instance-required",
        info=(
            ErrorInfo("bad-element", "entity"),
            ErrorInfo("missing-choice", "c", "urn:ietf:params:xml:ns:yang:1"),
            ErrorInfo("non-unique", "/em:a", "urn:ietf:params:xml:ns:yang:1", {"em": "urn:em"}),
        ),
    )
    root = parse(errors_bytes(Envelope({"message-id": "7"}), [sent, RpcError(ErrorTag.IN_USE, "Wait.")]))
    reply = read_reply(root)
    assert reply.message_id == "7"
    assert not reply.ok
    first, second = reply.errors
    assert (first.tag, first.type, first.message, first.app_tag) == (sent.tag, sent.type, sent.message, sent.app_tag)
    assert first.path is not None
    assert first.path.text == "/em:entities/em:entity[em:id='a<b']"
    assert first.path.namespaces["em"] == "urn:em"
    assert [(info.name, info.value, info.namespace) for info in first.info] == [
        (info.name, info.value, info.namespace) for info in sent.info
    ]
    assert first.info[2].namespaces["em"] == "urn:em"
    assert (second.tag, second.path, second.info) == (ErrorTag.IN_USE, None, ())
    message = root.find(f".//{{{BASE_NS}}}error-message")
    assert message is not None
    assert message.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"


def test_order_of_error_fields() -> None:
    """The children of rpc-error stand in the order of the XML Schema (RFC 6241 appendix B)."""
    error = RpcError(ErrorTag.IN_USE, "m", path=ErrorPath("/"), app_tag="a", info=[ErrorInfo("bad-element", "b")])
    root = parse(errors_bytes(Envelope(), [error]))
    assert [etree.QName(child).localname for child in root[0]] == [
        "error-type",
        "error-tag",
        "error-severity",
        "error-app-tag",
        "error-path",
        "error-message",
        "error-info",
    ]


def test_warnings_are_no_errors() -> None:
    """A client takes a reply with warnings alone as a success."""
    text = errors_bytes(Envelope(), [RpcError(ErrorTag.IN_USE, "m")]).replace(b">error<", b">warning<")
    assert read_reply(parse(text)).ok


@given(st.text())
def test_any_text_is_written(text: str) -> None:
    """Whatever an error says can be parsed: what XML cannot carry is replaced, all else is kept."""
    root = parse(f'<a b="{escape_attribute(text)}">{escape(text)}</a>'.encode())
    kept = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
        for c in text
    )
    assert (root.text or "") == kept
    assert root.get("b") == kept


def test_no_delimiter_in_attributes() -> None:
    """The end-of-message delimiter cannot get into a reply through an attribute that is returned."""
    assert b"]]>" not in reply_start(Envelope({"message-id": "]]>]]>"}))


def test_request_and_notification() -> None:
    """A client's request is read by the server, a server's notification by the client."""
    assert read_rpc(parse(rpc_bytes('1"<', b"<get/>"))).message_id == '1"<'
    event = read_notification(parse(notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'/>")))
    assert event.event_time == "2026-01-01T00:00:00Z"
    assert event.content.tag == "{urn:e}e"

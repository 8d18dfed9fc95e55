"""Messages as values: hello, rpc, rpc-reply and notification, and their XML (RFC 6241 section 4, RFC 5277)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorPath, ErrorTag, ErrorType, RpcError

NOTIFICATION_NS: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"

_XML_NS = "http://www.w3.org/XML/1998/namespace"
_LAST_SESSION_ID = 4_294_967_295
_LONGEST_MESSAGE_ID = 4095  # RFC 6241 appendix B, messageIdType

# Characters that XML 1.0 cannot carry, even escaped.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES = _ESCAPES | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


# --- what a handler is told and gives back ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who asks: one NETCONF session (RFC 6022 section 2.1.3). ``login_time`` is seconds since the epoch.

    ``groups`` are those of the user that the transport tells (RFC 8341 section 2.5).
    """

    id: int
    user: str
    source_host: str
    login_time: float
    transport: str = "netconf-ssh"
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ok:
    """The reply is <ok/>."""


@dataclass(frozen=True, slots=True)
class Data:
    """The reply is <data> of these slices, which are made while they are sent.

    Each slice is namespace-complete XML. ``namespace`` is that of <data> itself: <get> and <get-config> have it
    in the base namespace, others (<get-data>, <get-schema>) in that of their module.
    """

    chunks: Iterable[bytes]
    namespace: str = BASE_NS


@dataclass(frozen=True, slots=True)
class Output:
    """The reply holds the output parameters of an operation or action: ``body``, and ``more`` slices that are made
    while they are sent. All are namespace-complete XML.
    """

    body: bytes
    more: Iterable[bytes] = ()


Reply = Ok | Data | Output


# --- what comes in ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Capabilities offered; ``session_id`` is there from the server only."""

    capabilities: tuple[str, ...]
    session_id: int | None = None

    def to_bytes(self) -> bytes:
        listed = "".join(f"<capability>{escape(uri)}</capability>" for uri in self.capabilities)
        number = "" if self.session_id is None else f"<session-id>{self.session_id}</session-id>"
        return f'<hello xmlns="{BASE_NS}"><capabilities>{listed}</capabilities>{number}</hello>'.encode()


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the reply takes over from its <rpc>: every attribute, and the prefixes they may use."""

    attributes: Mapping[str, str] = field(default_factory=dict)  # name, or lxml's {namespace}name -> value
    namespaces: Mapping[str, str] = field(default_factory=dict)  # prefix -> namespace


@dataclass(frozen=True, slots=True)
class Rpc:
    """A request: ``operation`` is the one child of <rpc>."""

    message_id: str
    operation: etree._Element
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RpcReply:
    """An answer, as a client gets it: <ok/>, errors, or the children of ``element``."""

    message_id: str | None
    element: etree._Element
    errors: tuple[RpcError, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors


@dataclass(frozen=True, slots=True)
class Notification:
    """One event, as a client gets it: ``event_time`` as written (RFC 3339), ``content`` the event's element."""

    event_time: str
    content: etree._Element


class NotHello(ValueError):
    """A <hello> that breaks the rules; the text is a sentence."""


def read_hello(root: etree._Element) -> Hello:
    """Raises NotHello. Whether a session-id may be there is the session's concern (RFC 6241 section 8.1)."""
    uris = tuple(
        (item.text or "").strip() for item in root.iterfind(f"{{{BASE_NS}}}capabilities/{{{BASE_NS}}}capability")
    )
    if not any(uris):
        raise NotHello("The <hello> names no capability.")
    number = root.findtext(f"{{{BASE_NS}}}session-id")
    if number is None:
        return Hello(uris)
    digits = number.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and 1 <= int(digits) <= _LAST_SESSION_ID):
        raise NotHello("The <session-id> of the <hello> is not a number from 1 to 4294967295.")
    return Hello(uris, int(digits))


def read_envelope(root: etree._Element) -> Envelope:
    """The attributes of an <rpc>; of any other element nothing is taken over."""
    if etree.QName(root).localname != "rpc":
        return Envelope()
    namespaces = {prefix: uri for prefix, uri in root.nsmap.items() if prefix and prefix != "xml"}
    return Envelope({str(name): str(value) for name, value in root.attrib.items()}, namespaces)


def read_rpc(root: etree._Element) -> Rpc:
    """A request from its root element. Raises RpcError for what is no proper <rpc> (RFC 6241 section 4.1)."""
    name = etree.QName(root)
    if root.tag != f"{{{BASE_NS}}}rpc":
        if name.localname == "rpc":
            raise _protocol(
                ErrorTag.UNKNOWN_NAMESPACE,
                f"<rpc> belongs to the namespace {BASE_NS}, not to {name.namespace or 'none'}.",
                ErrorInfo("bad-element", "rpc"),
                ErrorInfo("bad-namespace", name.namespace or ""),
            )
        raise _protocol(
            ErrorTag.UNKNOWN_ELEMENT,
            f"<{name.localname}> is no request; send <rpc> in the namespace {BASE_NS}.",
            ErrorInfo("bad-element", name.localname),
        )
    message_id = root.get("message-id")
    if message_id is None:
        raise RpcError(
            ErrorTag.MISSING_ATTRIBUTE,
            "<rpc> needs the attribute message-id.",
            type=ErrorType.RPC,
            info=(ErrorInfo("bad-attribute", "message-id"), ErrorInfo("bad-element", "rpc")),
        )
    if len(message_id) > _LONGEST_MESSAGE_ID:
        raise RpcError(
            ErrorTag.BAD_ATTRIBUTE,
            f"The message-id has {len(message_id)} characters; at most {_LONGEST_MESSAGE_ID} are allowed.",
            type=ErrorType.RPC,
            info=(ErrorInfo("bad-attribute", "message-id"), ErrorInfo("bad-element", "rpc")),
        )
    if len(root) == 0:
        raise _protocol(
            ErrorTag.MISSING_ELEMENT,
            "<rpc> holds no operation.",
            ErrorInfo("bad-element", "rpcOperation"),  # what the XML Schema of RFC 6241 appendix B calls it
        )
    if len(root) > 1:
        extra = etree.QName(root[1]).localname
        raise _protocol(
            ErrorTag.UNKNOWN_ELEMENT,
            f"<rpc> holds more than one operation; <{extra}> is one too many.",
            ErrorInfo("bad-element", extra),
        )
    if (root.text or "").strip() or (root[0].tail or "").strip():
        raise _protocol(ErrorTag.BAD_ELEMENT, "<rpc> holds text beside its operation.", ErrorInfo("bad-element", "rpc"))
    return Rpc(message_id, root[0], read_envelope(root))


def _protocol(tag: ErrorTag, message: str, *info: ErrorInfo) -> RpcError:
    return RpcError(tag, message, type=ErrorType.PROTOCOL, info=info)


def read_reply(root: etree._Element) -> RpcReply:
    """An answer from its root element; warnings are no errors. Raises ValueError for an unknown error-tag or type."""
    errors = tuple(
        _read_error(item)
        for item in root.iterfind(f"{{{BASE_NS}}}rpc-error")
        if (item.findtext(f"{{{BASE_NS}}}error-severity") or "error").strip() == "error"
    )
    return RpcReply(root.get("message-id"), root, errors)


def _read_error(item: etree._Element) -> RpcError:
    def text(name: str) -> str:
        return (item.findtext(f"{{{BASE_NS}}}{name}") or "").strip()

    path = item.find(f"{{{BASE_NS}}}error-path")
    info = item.find(f"{{{BASE_NS}}}error-info")
    return RpcError(
        ErrorTag(text("error-tag")),
        text("error-message"),
        type=ErrorType(text("error-type")),
        path=None if path is None else ErrorPath((path.text or "").strip(), _prefixes(path)),
        app_tag=text("error-app-tag") or None,
        info=() if info is None else tuple(_read_info(child) for child in info),
    )


def _read_info(child: etree._Element) -> ErrorInfo:
    name = etree.QName(child)
    return ErrorInfo(name.localname, "".join(map(str, child.itertext())), name.namespace or "", _prefixes(child))


def _prefixes(element: etree._Element) -> dict[str, str]:
    return {prefix: uri for prefix, uri in element.nsmap.items() if prefix}


def read_notification(root: etree._Element) -> Notification:
    """An event from its root element. Raises ValueError when its parts are missing (RFC 5277 section 4)."""
    stamp = root.findtext(f"{{{NOTIFICATION_NS}}}eventTime")
    contents = [child for child in root if child.tag != f"{{{NOTIFICATION_NS}}}eventTime"]
    if stamp is None or len(contents) != 1:
        raise ValueError("A <notification> holds an <eventTime> and one event.")
    return Notification(stamp.strip(), contents[0])


# --- what goes out ---------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Character data: markup escaped, characters that XML cannot carry replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text).translate(_ESCAPES)


def escape_attribute(text: str) -> str:
    """As ``escape``, for a value between double quotes; white space is kept through the reader's normalisation."""
    return _ILLEGAL.sub("\ufffd", text).translate(_ATTRIBUTE_ESCAPES)


def rpc_bytes(message_id: str, operation: bytes) -> bytes:
    """A request around ``operation``, which is namespace-complete XML."""
    opening = f'<rpc xmlns="{BASE_NS}" message-id="{escape_attribute(message_id)}">'
    return b"%b%b</rpc>" % (opening.encode(), operation)


_NOTIFICATION: Final = f'<notification xmlns="{NOTIFICATION_NS}"><eventTime>%b</eventTime>%b</notification>'.encode()


def notification_bytes(event_time: str, content: bytes) -> bytes:
    """A notification (RFC 5277 section 4) at a date-and-time around ``content``, which is namespace-complete XML."""
    return _NOTIFICATION % (event_time.encode(), content)


REPLY_END: Final = b"</rpc-reply>"


def reply_start(envelope: Envelope) -> bytes:
    """The start tag of a reply: the attributes of the <rpc> unchanged, their prefixes declared again."""
    parts = [f'<rpc-reply xmlns="{BASE_NS}"']
    prefixes = {_XML_NS: "xml"}
    for prefix, uri in envelope.namespaces.items():
        prefixes.setdefault(uri, prefix)
        parts.append(f'xmlns:{prefix}="{escape_attribute(uri)}"')
    for name, value in envelope.attributes.items():
        uri, _, local = name.rpartition("}")
        qualified = f"{prefixes[uri[1:]]}:{local}" if uri else local
        parts.append(f'{qualified}="{escape_attribute(value)}"')
    return f"{' '.join(parts)}>".encode()


def reply_slices(envelope: Envelope, reply: Reply) -> Iterable[bytes]:
    """One whole <rpc-reply>, slice by slice."""
    yield reply_start(envelope)
    match reply:
        case Ok():
            yield b"<ok/>"
        case Output(body, more):
            yield body
            yield from more
        case Data(chunks, namespace):
            declared = "" if namespace == BASE_NS else f' xmlns="{escape_attribute(namespace)}"'
            yield f"<data{declared}>".encode()
            yield from chunks
            yield b"</data>"
    yield REPLY_END


def errors_bytes(envelope: Envelope, errors: Iterable[RpcError]) -> bytes:
    """One whole <rpc-reply> of one rpc-error each (RFC 6241 section 4.3)."""
    return reply_start(envelope) + "".join(map(_error, errors)).encode() + REPLY_END


def _error(error: RpcError) -> str:
    parts = [
        f"<rpc-error><error-type>{error.type}</error-type><error-tag>{error.tag}</error-tag>",
        "<error-severity>error</error-severity>",
    ]
    if error.app_tag is not None:
        parts.append(f"<error-app-tag>{escape(error.app_tag)}</error-app-tag>")
    if error.path is not None:
        parts.append(f"<error-path{_declare(error.path.namespaces)}>{escape(error.path.text)}</error-path>")
    parts.append(f'<error-message xml:lang="en">{escape(error.message)}</error-message>')
    if error.info:
        parts.append("<error-info>")
        parts.extend(map(_info, error.info))
        parts.append("</error-info>")
    parts.append("</rpc-error>")
    return "".join(parts)


def _info(info: ErrorInfo) -> str:
    own = "" if info.namespace == BASE_NS else f' xmlns="{escape_attribute(info.namespace)}"'
    content = "".join(map(_info, info.inside)) or escape(info.value)
    return f"<{info.name}{own}{_declare(info.namespaces)}>{content}</{info.name}>"


def _declare(namespaces: Mapping[str, str]) -> str:
    return "".join(f' xmlns:{prefix}="{escape_attribute(uri)}"' for prefix, uri in namespaces.items())

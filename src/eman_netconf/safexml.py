"""The one parser for XML from outside: no DTD, no entities, no network, bounded in size, tags and depth."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from lxml import etree

from eman_netconf.errors import ErrorTag, ErrorType, RpcError

#: Elements may be nested this deep; libxml2 holds it while it parses, so nothing deeper is ever built.
MAX_DEPTH = 256

#: Prefixes in scope at one element: every element whose prefixes are looked up costs that many.
MAX_PREFIXES = 128

#: Bytes parsed in one step: about a millisecond of work.
SLICE = 32_768

# A document type declaration after nothing but white space, comments and processing instructions;
# the same characters inside a CDATA section or a comment are harmless text.
_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What one document may cost: ``size`` in bytes, ``tags`` (start and end), ``attributes`` counted by their "="."""

    size: int = 32 * 1024 * 1024
    tags: int = 2_000_000
    attributes: int = 250_000


DEFAULT_LIMITS = XmlLimits()


def parse(data: bytes, *, limits: XmlLimits = DEFAULT_LIMITS) -> etree._Element:
    """The root element of a UTF-8 document, comments and processing instructions left out.

    Raises RpcError: too-big beyond the limits, malformed-message for anything that is not well-formed XML in
    UTF-8 or that holds a document type declaration (RFC 6241 sections 3 and 4.3).
    """
    steps = parsing(data, limits=limits)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            root: etree._Element = end.value
            return root


def parsing(data: bytes, *, limits: XmlLimits = DEFAULT_LIMITS) -> Generator[None, None, etree._Element]:
    """As ``parse``, in steps of one slice, for a caller that has other work between them."""
    if len(data) > limits.size:
        raise _too_big(f"The message has {len(data)} bytes; at most {limits.size} are taken. Send it in smaller parts.")
    if data.count(b"<") > limits.tags:
        raise _too_big(f"The message has more than {limits.tags} tags. Send it in smaller parts.")
    if data.count(b"=") > limits.attributes:
        raise _too_big(f"The message has more than {limits.attributes} attributes. Send it in smaller parts.")
    if b"<!DOCTYPE" in data and _DOCTYPE.match(data):
        raise _malformed("A document type declaration is not allowed in a NETCONF message.")
    parser = etree.XMLPullParser(
        events=("start-ns", "end-ns") if data.count(b"xmlns") > MAX_PREFIXES else (),
        encoding="utf-8",
        load_dtd=False,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    prefixes = 0
    try:
        for start in range(0, len(data), SLICE):
            if start:
                yield
            parser.feed(data[start : start + SLICE])
            for event, _ in parser.read_events():
                prefixes += 1 if event == "start-ns" else -1
                if prefixes > MAX_PREFIXES:
                    raise _too_big(f"The message declares more than {MAX_PREFIXES} prefixes around one element.")
        return parser.close()
    except etree.XMLSyntaxError as fault:
        reason = " ".join((fault.msg or "it is empty").split())[:200]
        raise _malformed(f"The message is not well-formed XML in UTF-8: {reason}.") from None


def _malformed(message: str) -> RpcError:
    return RpcError(ErrorTag.MALFORMED_MESSAGE, message, type=ErrorType.RPC)


def _too_big(message: str) -> RpcError:
    return RpcError(ErrorTag.TOO_BIG, message, type=ErrorType.RPC)

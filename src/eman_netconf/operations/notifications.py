"""RFC 5277: create-subscription, and the streams there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from lxml import etree

from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import NOTIFICATION_NS, Ok, Reply
from eman_netconf.notifications.filters import FILTER_BYTES, event_schema
from eman_netconf.notifications.streams import NETCONF, Streams, event_time
from eman_netconf.operations.filters import read_filter
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, make_inner

#: What the hello announces (RFC 5277 sections 3.1.1 and 6.2).
CAPABILITIES: Final = (
    "urn:ietf:params:netconf:capability:notification:1.0",
    "urn:ietf:params:netconf:capability:interleave:1.0",
)

_FILTER: Final = f"{{{NOTIFICATION_NS}}}filter"


async def create_subscription(server: Server, request: Request) -> Reply:
    """Deliver events in this session (RFC 5277 section 2.1.1)."""
    said = request.input.leaf
    if any(server.subscriptions.publisher.registry.of(request.session.id)):
        raise RpcError(
            ErrorTag.OPERATION_NOT_SUPPORTED,
            "This session has a subscription by establish-subscription; use another session for create-subscription.",
            type=ErrorType.PROTOCOL,
        )
    stream = said("stream") or NETCONF
    if stream != NETCONF:
        raise _bad(ErrorTag.INVALID_VALUE, "stream", f"There is no stream {stream}; the one there is is {NETCONF}.")
    start, stop = _instant(said("startTime"), "startTime"), _instant(said("stopTime"), "stopTime")
    if start is not None and start > server.wall():
        raise _bad(
            ErrorTag.BAD_ELEMENT,
            "startTime",
            "startTime is in the future; leave it out for events from now on, or compare the clocks.",
        )
    if stop is not None and start is None:
        raise _bad(ErrorTag.MISSING_ELEMENT, "startTime", "stopTime needs a startTime.")
    if start is not None and stop is not None and stop < start:
        raise _bad(ErrorTag.BAD_ELEMENT, "stopTime", "stopTime is before startTime.")
    found = request.element.find(_FILTER)
    if found is not None and len(etree.tostring(found)) > FILTER_BYTES:
        raise _bad(ErrorTag.TOO_BIG, "filter", f"The filter has more than the {FILTER_BYTES} bytes that are allowed.")
    selection = read_filter(found, event_schema(server.schema))
    server.receivers.subscribe(request.session, selection, start, stop)
    return Ok()


def _instant(text: str | None, parameter: str) -> float | None:
    """A date-and-time in seconds since the epoch."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise _bad(ErrorTag.INVALID_VALUE, parameter, f"{parameter} names no instant: {text}.") from None


def _bad(tag: ErrorTag, parameter: str, message: str) -> RpcError:
    return RpcError(tag, message, type=ErrorType.PROTOCOL, info=(ErrorInfo("bad-element", parameter),))


def _meant(element: Element) -> None:
    """ncclient puts the filter into the base namespace; what it means is plain."""
    for child in element.iterchildren(f"{{{BASE_NS}}}filter"):
        child.tag = _FILTER


#: What is changed in a request before it is read, where clients are known to write something else than they mean.
MEANT: Mapping[tuple[str, str], Callable[[Element], None]] = {(NOTIFICATION_NS, "create-subscription"): _meant}

HANDLERS: Mapping[tuple[str, str], Handler] = {(NOTIFICATION_NS, "create-subscription"): create_subscription}


class StreamsShown:
    """The container /netconf with the streams there are (RFC 5277 section 3.2.5), as an OperationalSource."""

    def __init__(self, schema: Schema, streams: Streams) -> None:
        self._node = schema.find("nc-notifications:netconf")
        self._streams = streams

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        return ((self._node, Late(self._node, self._shown)),)

    def _shown(self) -> Mapping[SchemaNode, Data]:
        log = self._streams.log
        stream = {
            "name": NETCONF,
            "description": "All events of this server.",
            "replaySupport": True,
            "replayLogCreationTime": event_time(log.created),
            "replayLogAgedTime": None if log.aged is None else event_time(log.aged),
        }
        return make_inner(self._node, {"streams": {"stream": [stream]}}).children

"""RFC 8639, RFC 8640 and RFC 8641: subscriptions are established, modified, deleted, killed and resynchronised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from eman_netconf import safexml
from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.select import EVERYTHING, Selection, compile_subtree, compile_xpath
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import Ok, Output, Reply
from eman_netconf.notifications.filters import FILTER_BYTES, event_schema
from eman_netconf.notifications.publisher import Publisher
from eman_netconf.notifications.streams import NETCONF, Streams, event_time
from eman_netconf.notifications.subscriptions import (
    SN_NS,
    YP_NS,
    Now,
    OnChange,
    Periodic,
    Reason,
    Refused,
    Subscription,
    Terms,
)
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.yang.diff import Change
from eman_netconf.yang.instance import Element, opaque
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, ListNode, Opaque, Path, Step, make_inner, path_text

SN: Final = "ietf-subscribed-notifications"
YP: Final = "ietf-yang-push"
_XML = f"{SN}:encode-xml"
_FILTERS = f"{SN}:filters"
_DATASTORES: Final = {"ietf-datastores:running": "running", "ietf-datastores:operational": "operational"}

_CENTI: Final = 100  # centiseconds in a second

#: The words in which filters are said: for the stream, and for datastores.
_STREAM_WORDS = ("stream-filter-name", "stream-subtree-filter", "stream-xpath-filter")
_STORE_WORDS = ("selection-filter-ref", "datastore-subtree-filter", "datastore-xpath-filter")


# --- the operations --------------------------------------------------------------------------------------------------


async def establish(server: Server, request: Request) -> Reply:
    """RFC 8639 section 2.4.2; the reply comes before anything else of the subscription."""
    port = server.subscriptions
    port.check_session(request.session.id)
    stream = request.input.at("stream") is not None
    try:
        terms = _terms(server, request, None)
        steps = port.publisher.establish(request.session, terms, port.now())
        made = await paced(steps, server.datastores.breathe)
    except Refused as refused:
        raise _refusal("establish", stream, refused) from None
    port.begun(made)
    output: dict[str, object] = {"id": made.id}
    log = server.streams.log
    complete = log.created if log.aged is None else log.aged  # from then on all is kept
    if terms.replay_start is not None and terms.replay_start < complete:
        output["replay-start-time-revision"] = event_time(complete)
    return Output(make_inner(request.node.child("output"), output).xml())


async def modify(server: Server, request: Request) -> Reply:
    """RFC 8639 section 2.4.3: what the request does not name stays as it is."""
    port = server.subscriptions
    number = int(request.input.leaf("id") or 0)
    stream = True
    try:
        before = port.publisher.registry.find(number, request.session.id)
        stream = before.terms.trigger is None
        terms = _terms(server, request, before)
        steps = port.publisher.modify(request.session, number, terms, port.now())
        await paced(steps, server.datastores.breathe)
    except Refused as refused:
        raise _refusal("modify", stream, refused) from None
    port.wake()
    return Ok()


async def delete(server: Server, request: Request) -> Reply:
    """RFC 8639 section 2.4.4."""
    try:
        server.subscriptions.publisher.delete(request.session, int(request.input.leaf("id") or 0))
    except Refused as refused:
        raise refused.error(None, SN_NS) from None
    return Ok()


async def kill(server: Server, request: Request) -> Reply:
    """RFC 8639 section 2.4.5, for those whom the rules of access allow it."""
    port = server.subscriptions
    try:
        killed = port.publisher.kill(int(request.input.leaf("id") or 0), port.now())
    except Refused as refused:
        raise refused.error(None, SN_NS) from None
    port.killed(request.session, killed)
    return Ok()


async def resync(server: Server, request: Request) -> Reply:
    """RFC 8641 section 4.4.4."""
    port = server.subscriptions
    try:
        port.publisher.resync(request.session, int(request.input.leaf("id") or 0), port.now())
    except Refused as refused:
        raise refused.error("resync-subscription-error", YP_NS) from None
    port.wake()
    return Ok()


def _refusal(operation: str, stream: bool, refused: Refused) -> RpcError:
    kind, namespace = ("stream", SN_NS) if stream else ("datastore", YP_NS)
    return refused.error(f"{operation}-subscription-{kind}-error-info", namespace)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (SN_NS, "establish-subscription"): establish,
    (SN_NS, "modify-subscription"): modify,
    (SN_NS, "delete-subscription"): delete,
    (SN_NS, "kill-subscription"): kill,
    (YP_NS, "resync-subscription"): resync,
}


# --- what was asked for ----------------------------------------------------------------------------------------------


def _terms(server: Server, request: Request, before: Subscription | None) -> Terms:
    """What the request asks for; what it does not name is as in ``before``. Raises RpcError and Refused."""
    given = request.input
    asked = {name: value for name, value in _plain(given).items() if name != f"{SN}:id"}
    stream, datastore = given.leaf("stream"), given.leaf("ietf-yang-push:datastore")
    old = before.terms if before is not None else None
    if old is not None and old.trigger is not None and datastore is None:
        raise _wrong("datastore", "A subscription to a datastore stays one; name its datastore.")
    if old is not None and old.trigger is None and datastore is not None:
        raise _wrong("datastore", "A subscription to a stream cannot become one to a datastore.")
    if stream is not None and stream != NETCONF:
        raise _wrong("stream", f"There is no stream {stream}; the one there is is {NETCONF}.")
    trigger = _trigger(given, old.trigger if old is not None else None, datastore)
    store = "" if datastore is None else _DATASTORES.get(datastore, "")
    if datastore is not None and not store:
        name = datastore.partition(":")[2]
        raise Refused(
            Reason.DATASTORE_NOT_SUBSCRIBABLE, f"{name} cannot be subscribed to; running and operational can."
        )
    if old is not None and store != old.datastore:
        raise _wrong("datastore", f"The subscription is to {old.datastore}, and stays so.")
    words = _STORE_WORDS if store else _STREAM_WORDS
    filter_name, selection, alike = _filter(server, request, words)
    subtree = _subtree(request, words)
    if subtree is not None:
        asked[f"{YP if store else SN}:{words[1]}"] = opaque(subtree)
    if old is not None:
        kept = dict(old.asked)
        if any(word in _local(asked) for word in words):
            kept = {key: value for key, value in kept.items() if key.rpartition(":")[2] not in words}
        else:
            filter_name, selection, alike = old.filter_name, old.selection, old.alike
        asked = {**kept, **asked}
        if isinstance(trigger, OnChange):
            asked[f"{YP}:on-change"] = {**old.asked.get(f"{YP}:on-change", {}), **asked.get(f"{YP}:on-change", {})}
    now = server.subscriptions.now().wall
    stop = _instant(given.leaf("stop-time"), "stop-time")
    start = _instant(given.leaf("replay-start-time"), "replay-start-time")
    if start is not None and start > now:
        raise _wrong("replay-start-time", "replay-start-time is in the future; leave it out for events from now on.")
    if stop is not None and stop <= (now if start is None else start):
        raise _wrong("stop-time", f"stop-time is not after {'now' if start is None else 'replay-start-time'}.")
    asked[f"{SN}:encoding"] = _XML
    return Terms(
        selection,
        alike,
        asked,
        filter_name,
        old.stop if stop is None and old is not None else stop,
        old.replay_start if old is not None else start,
        store,
        trigger,
    )


def _local(asked: Mapping[str, Any]) -> set[str]:
    return {name.rpartition(":")[2] for name in asked}


def _plain(inner: Inner) -> dict[str, Any]:
    """The children of a node in the form of ``make_inner``."""

    def plain(data: Data) -> Any:
        return _plain(data) if isinstance(data, Inner) else list(data) if isinstance(data, tuple) else data

    return {node.qualified_name: plain(data) for node, data in inner.children.items()}


def _trigger(given: Inner, old: Periodic | OnChange | None, datastore: str | None) -> Periodic | OnChange | None:
    """When updates are sent; ``old`` is what a modification does not change."""
    periodic, change = given.at(f"{YP}:periodic"), given.at(f"{YP}:on-change")
    said = "periodic" if periodic is not None else "on-change"
    if datastore is None:
        if periodic is not None or change is not None:
            raise _wrong(said, f"{said} is for datastores; the events of a stream come when they happen.")
        return None
    if isinstance(periodic, Inner):
        if isinstance(old, OnChange):
            raise _wrong(said, "A subscription on change stays one.")
        anchor = _instant(periodic.leaf("anchor-time"), "anchor-time")
        return Periodic(int(periodic.leaf("period") or 0) / _CENTI, anchor)
    if isinstance(change, Inner):
        if isinstance(old, Periodic):
            raise _wrong(said, "A periodic subscription stays one.")
        dampening = change.leaf("dampening-period")
        seconds = int(dampening) / _CENTI if dampening is not None else (old.dampening if old is not None else 0.0)
        if old is not None:
            return OnChange(seconds, old.sync, old.excluded)
        excluded = change.at("excluded-change")
        return OnChange(
            seconds,
            change.leaf("sync-on-start") != "false",
            frozenset(excluded) if isinstance(excluded, tuple) else frozenset(),
        )
    if old is None:
        raise RpcError(
            ErrorTag.MISSING_ELEMENT,
            "Say when updates are wanted: periodic or on-change.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "periodic"),),
        )
    return old


def _instant(text: str | None, parameter: str) -> float | None:
    """A date-and-time in seconds since the epoch."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise _wrong(parameter, f"{parameter} names no instant: {text}.") from None


def _wrong(parameter: str, message: str) -> RpcError:
    return RpcError(
        ErrorTag.INVALID_VALUE, message, type=ErrorType.PROTOCOL, info=(ErrorInfo("bad-element", parameter),)
    )


# --- filters ---------------------------------------------------------------------------------------------------------


def _filter(server: Server, request: Request, words: tuple[str, str, str]) -> tuple[str | None, Selection, bytes]:
    """The name of the filter, what it selects, and bytes that are equal for equal filters. Raises Refused."""
    by_name, _, by_xpath = words
    schema = event_schema(server.schema) if words is _STREAM_WORDS else server.schema
    name = request.input.leaf(by_name)
    subtree = _subtree(request, words)
    expression = request.input.leaf(by_xpath)
    if name is not None:
        found = named(server.datastores.running, name, words is _STREAM_WORDS)
        assert found is not None, "the reference was checked"
        return name, *read_named(found, schema)
    if subtree is not None:
        return None, *_compiled(compile_subtree, subtree, schema, opaque(subtree).xml)
    if expression is not None:
        return None, *_compiled(_by_xpath, expression, schema, expression.encode())
    return None, EVERYTHING, b""


def _subtree(request: Request, words: tuple[str, str, str]) -> Element | None:
    """The subtree filter as it was sent."""
    return request.element.find(f"{{{SN_NS if words is _STREAM_WORDS else YP_NS}}}{words[1]}")


def _by_xpath(text: str, schema: Schema) -> Selection:
    """The selection of an expression in its canonical form, whose prefixes are names of modules."""
    return compile_xpath(text, {module.name: module.namespace for module in schema.modules.values()}, schema)


def _compiled(
    compile_: Callable[[Any, Schema], Selection], content: Element | str, schema: Schema, text: bytes
) -> tuple[Selection, bytes]:
    if len(text) > FILTER_BYTES:
        message = f"The filter has {len(text)} bytes; {FILTER_BYTES} are allowed in a subscription."
        raise Refused(Reason.FILTER_UNSUPPORTED, message, filter_failure_hint=message)
    try:
        return compile_(content, schema), text
    except RpcError as error:
        raise Refused(Reason.FILTER_UNSUPPORTED, error.message, filter_failure_hint=error.message) from None


def named(running: Inner, name: str, stream: bool) -> Inner | None:
    """The configured filter of that name."""
    filters = running.at(_FILTERS, "stream-filter" if stream else f"{YP}:selection-filter")
    return filters.entries.get((name,)) if isinstance(filters, ListNode) else None


def read_named(entry: Inner, schema: Schema) -> tuple[Selection, bytes]:
    """What a configured filter selects; one without content selects everything. Raises Refused."""
    for node, data in entry.children.items():
        if isinstance(data, Opaque):
            return _compiled(compile_subtree, safexml.parse(b"<filter>%b</filter>" % data.xml), schema, data.xml)
        if node.name.endswith("xpath-filter") and isinstance(data, str):
            return _compiled(_by_xpath, data, schema, data.encode())
    return EVERYTHING, b""


class NamedFilters:
    """Participant of commits: configured filters can be read, and subscriptions are not configured."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._filters = schema.find(_FILTERS)
        self._subscriptions = schema.find(f"{SN}:subscriptions")

    def prepare(self, change: Change, new: Inner) -> None:
        """Raises RpcErrors."""
        errors: list[RpcError] = []
        for child in change.children:
            if child.schema is self._subscriptions:
                errors.append(
                    RpcError(
                        ErrorTag.OPERATION_NOT_SUPPORTED,
                        "Subscriptions are not configured here; use establish-subscription.",
                        path=path_text((Step(child.schema),)),
                    )
                )
            elif child.schema is self._filters:
                errors.extend(self._unreadable(new))
        if errors:
            raise RpcErrors(errors)

    def _unreadable(self, new: Inner) -> Iterable[RpcError]:
        filters = new.children.get(self._filters)
        lists = filters.children.values() if isinstance(filters, Inner) else ()
        for data in lists:
            if not isinstance(data, ListNode):
                continue
            schema = self._schema if data.schema.module.name == YP else event_schema(self._schema)
            for key, entry in data.entries.items():
                try:
                    read_named(entry, schema)
                except Refused as refused:
                    path: Path = (Step(self._filters), Step(data.schema, key))
                    yield RpcError(ErrorTag.INVALID_VALUE, refused.message, path=path_text(path))

    def apply(self, change: Change, new: Inner) -> None:
        """Those who name a filter are told by ``follow``."""


def follow(publisher: Publisher, schema: Schema, change: Change, running: Inner, now: Now) -> None:
    """The configuration has changed: subscriptions that name a filter go on with what it selects now."""
    if not any(child.schema.qualified_name == _FILTERS for child in change.children):
        return
    for subscription in list(publisher.registry.live.values()):
        terms = subscription.terms
        if terms.filter_name is None:
            continue
        stream = terms.trigger is None
        entry = named(running, terms.filter_name, stream)
        if entry is None:
            publisher.withdrawn(subscription, now)
            continue
        selection, alike = read_named(entry, event_schema(schema) if stream else schema)
        if alike != terms.alike:
            publisher.altered(subscription, terms.with_selection(selection, alike), now)


# --- what is shown ---------------------------------------------------------------------------------------------------


class SubscriptionsShown:
    """The containers streams and subscriptions (RFC 8639 section 3), as an OperationalSource."""

    def __init__(self, schema: Schema, publisher: Publisher, streams: Streams) -> None:
        self._streams_node = schema.find(f"{SN}:streams")
        self._subscriptions_node = schema.find(f"{SN}:subscriptions")
        self._publisher = publisher
        self._streams = streams

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        streams, subscriptions = self._streams_node, self._subscriptions_node
        registry = self._publisher.registry
        listed = Late(subscriptions, lambda: registry.listed(subscriptions).children) if registry.live else None
        return ((streams, Late(streams, self._shown)), (subscriptions, listed))

    def _shown(self) -> Mapping[SchemaNode, Data]:
        log = self._streams.log
        stream = {
            "name": NETCONF,
            "description": "All events of this server.",
            "replay-support": "",
            "replay-log-creation-time": event_time(log.created),
            "replay-log-aged-time": None if log.aged is None else event_time(log.aged),
        }
        return make_inner(self._streams_node, {"stream": [stream]}).children

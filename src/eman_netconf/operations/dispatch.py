"""From a request to its handler: the name looked up, access judged, the input checked against the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat

from lxml import etree

from eman_netconf.errors import BASE_NS, YANG_NS, AppTag, ErrorInfo, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import Ok, Output, Reply, Rpc, SessionInfo
from eman_netconf.operations import (
    base,
    history,
    monitoring,
    nmda,
    notifications,
    partial_lock,
    subscriptions,
    transactions,
)
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.yang.instance import MAX_ERRORS, Element, read_inner
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Opaque, Path, Step, path_text
from eman_netconf.yang.types import TypeFault
from eman_netconf.yang.validate import validate_input

#: All rpcs this server performs.
HANDLERS: Mapping[tuple[str, str], Handler] = {
    **base.HANDLERS,
    **transactions.HANDLERS,
    **monitoring.HANDLERS,
    **subscriptions.HANDLERS,
    **nmda.HANDLERS,
    **notifications.HANDLERS,
    **partial_lock.HANDLERS,
    **history.HANDLERS,
}

_OPAQUE = (Kind.ANYXML, Kind.ANYDATA)
_MEANT = {**notifications.MEANT, **transactions.MEANT}

_ACTION = f"{{{YANG_NS}}}action"

#: Elements that may stand in an rpc beside its <config> and its <filter>.
MAX_PARAMETERS = 1_000


async def dispatch(server: Server, session: SessionInfo, rpc: Rpc) -> Reply:
    """Perform one request. Raises RpcErrors with all that is wrong with it, as far as the user may know."""
    try:
        return await _perform(server, session, rpc.operation)
    except RpcError as error:
        # without what leads back to here, and to all that the request held: no cycle for the collection of garbage
        errors: Sequence[RpcError] = (error.with_traceback(None),)
    except RpcErrors as several:
        errors = several.errors
    raise RpcErrors(server.judge.veiled(session, errors))


async def _perform(server: Server, session: SessionInfo, element: Element) -> Reply:
    if element.tag == _ACTION:
        return await _act(server, session, element)
    name = etree.QName(element)
    known = (name.namespace or "", name.localname)
    node = server.schema.rpcs.get(known)
    handler = HANDLERS.get(known)
    if node is None or handler is None or _names_nothing(node):
        raise _unsupported(server.schema, name)
    server.judge.operation(session, node)
    _MEANT.get(known, _as_said)(element)
    given = _read_input(server, element, node, server.judge.readable(session, server.datastores.running))
    return await handler(server, Request(session, node, given, element))


def _names_nothing(node: SchemaNode) -> bool:
    """Whether an operation has a parameter for which there is no choice: delete-config without :startup and :url."""
    parameters = node.child("input").children.values()
    return any(child.kind is Kind.CONTAINER and not child.children for child in parameters)


def _unsupported(schema: Schema, name: etree.QName) -> RpcError:
    if name.namespace not in schema.by_namespace:
        return RpcError(
            ErrorTag.UNKNOWN_NAMESPACE,
            f"{name.localname} is in the namespace {name.namespace or '(none)'}, of which this server has no module; "
            f"the operations of NETCONF are in {BASE_NS}.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", name.localname), ErrorInfo("bad-namespace", name.namespace or "")),
        )
    return RpcError(
        ErrorTag.OPERATION_NOT_SUPPORTED,
        f"This server does not perform {name.localname}; the capabilities in its <hello> tell what it does.",
        type=ErrorType.PROTOCOL,
        info=(ErrorInfo("bad-element", name.localname),),
    )


def _read_input(server: Server, element: Element, node: SchemaNode, root: Inner, path: Path = ()) -> Inner:
    """The input parameters, checked; they may refer to ``root``. ``path`` is that of the node an action is on."""
    schema = node.child("input")
    operation = node.kind is Kind.RPC
    plain = _only_content(element, schema, server.schema) if operation else None
    if plain is not None:
        return plain
    errors: list[RpcError] = []
    errors.extend(_attribute(element, name) for name in islice(element.attrib, MAX_ERRORS))
    bare = _without_content(element, schema) if operation else element
    given = read_inner(bare, schema, server.schema, path=(*path, Step(node)), errors=errors)
    if not errors:
        errors.extend(validate_input(server.schema, given, root, path=path))
    if errors:
        for error in errors:
            if operation:
                error.type = ErrorType.PROTOCOL
                nmda.REFUSALS.get((node.namespace, node.name), _as_it_is)(error)
            if error.app_tag == AppTag.MISSING_CHOICE:
                # the data-missing of RFC 7950 section 15.6 is about configuration; here a parameter was not sent
                error.tag = ErrorTag.MISSING_ELEMENT
        raise RpcErrors(errors)
    return given


def _as_said(_element: Element) -> None:
    """What the client wrote is what it means."""


def _as_it_is(_error: RpcError) -> None:
    """RFC 7950 says all there is to say."""


def _attribute(element: Element, name: str) -> RpcError:
    operation = etree.QName(element).localname
    local = etree.QName(name).localname
    return RpcError(
        ErrorTag.UNKNOWN_ATTRIBUTE,
        f"{operation} takes no attribute {local}.",
        info=(ErrorInfo("bad-attribute", local), ErrorInfo("bad-element", operation)),
    )


def _only_content(element: Element, node: SchemaNode, schema: Schema) -> Inner | None:
    """The input where it is anyxml and anydata alone, each at most once, and no more is demanded; else None.

    Such an input, a <get> with a filter for one, cannot be wrong, and needs no reading.
    """
    contents = schema.cache.get((_only_content, node))
    if not isinstance(contents, dict):
        demanding = node.musts or any(
            child.mandatory or child.min_elements or child.whens or child.musts or child.kind is Kind.CONTAINER
            for child in node.children.values()
        )
        demanding = demanding or any(choice.mandatory for choice in node.choices)
        opaque = {child.tag: child for child in node.children.values() if child.kind in _OPAQUE and child.case is None}
        contents = schema.cache[_only_content, node] = {} if demanding else opaque
    if not contents or element.attrib or (element.text or "").strip():
        return None
    children: dict[SchemaNode, Data] = {}
    for child in element:
        known = contents.get(child.tag)
        if known is None or known in children or (child.tail or "").strip():
            return None
        children[known] = Opaque(b"")
    return Inner(node, children)


def _without_content(element: Element, node: SchemaNode) -> Element:
    """The element with its anyxml and anydata emptied: <config> and <filter> are read by those who use them."""
    if not any(child.kind in (*_OPAQUE, Kind.CONTAINER) for child in node.children.values()):
        return element
    bare = etree.Element(element.tag, nsmap=element.nsmap)
    _copy_bare(element, node, bare, repeat(None, MAX_PARAMETERS))
    return bare


def _copy_bare(element: Element, node: SchemaNode, bare: Element, room: Iterator[None]) -> None:
    bare.text = element.text
    for child in element:
        if not isinstance(child.tag, str):
            continue
        if next(room, False) is False:
            raise RpcError(
                ErrorTag.TOO_BIG,
                f"The request has more than {MAX_PARAMETERS} elements that are no content of <config> or <filter>.",
                type=ErrorType.PROTOCOL,
            )
        below = etree.SubElement(bare, child.tag, nsmap=child.nsmap)
        below.tail = child.tail
        known = node.by_tag.get(child.tag)
        if known is None or known.kind not in _OPAQUE:
            _copy_bare(child, known or node, below, room)


# --- actions (RFC 7950 section 7.15) ---------------------------------------------------------------------------------


async def _act(server: Server, session: SessionInfo, element: Element) -> Reply:
    path, node, target = resolve(server.schema, element)
    server.judge.action(session, node, path)  # before it is asked what exists: the answer tells nobody what does
    operational = server.judge.readable(session, server.datastores.operational())
    _check_exists(path, operational)
    given = _read_input(server, target, node, operational, path)
    handler = server.actions.get((node.module.name, node.name))
    if handler is None:
        raise RpcError(
            ErrorTag.OPERATION_NOT_SUPPORTED,
            f"This server does not perform the action {node.name}.",
            path=path_text((*path, Step(node))),
        )
    output = await handler(server, session, path, given)
    if output is None:
        return Ok()
    return output if isinstance(output, Output) else Output(output.xml())


def resolve(schema: Schema, action: Element) -> tuple[Path, SchemaNode, Element]:
    """Which action is meant and where: the path of the node it is on, the action, and its element. Raises RpcError."""
    path: Path = ()
    node = schema.root
    element = action
    while True:
        element = _next(element, node, path, schema)
        name = etree.QName(element)
        found = node.actions.get((name.namespace or "", name.localname))
        if found is not None:
            return path, found, element
        node = node.by_tag[str(element.tag)]
        path = (*path, Step(node, _entry_key(element, node, path) if node.kind is Kind.LIST else None))


def _check_exists(path: Path, operational: Inner) -> None:
    """Raises RpcError data-missing when a node on the path of an action is not there."""
    inner = operational
    for length, (node, key) in enumerate(path, 1):
        data = inner.children.get(node)
        if isinstance(data, ListNode):
            data = data.entries.get(key or ())
        elif data is None and node.kind is Kind.CONTAINER and not node.presence:
            data = Inner(node)
        if not isinstance(data, Inner):
            shown = ", ".join(filter(None, key or ()))
            raise RpcError(
                ErrorTag.DATA_MISSING,
                f"There is no {node.name}{f' {shown}' if shown else ''} to act on.",
                path=path_text(path[:length]),
            )
        inner = data


def _next(element: Element, node: SchemaNode, path: Path, schema: Schema) -> Element:
    """The one child that leads on to the action: a container, a list entry or the action itself."""
    keys = {leaf.tag for leaf in node.keys}
    leading = [child for child in element if isinstance(child.tag, str) and child.tag not in keys]
    here = path_text(path) if path else None
    if not leading:
        raise RpcError(
            ErrorTag.MISSING_ELEMENT,
            f"The action is missing: {node.name or 'action'} holds no element that leads to one.",
            path=here,
            info=(ErrorInfo("bad-element", node.name or "action"),),
        )
    for child in leading:
        name = etree.QName(child)
        known = node.by_tag.get(str(child.tag))
        leads = known is not None and known.kind in (Kind.CONTAINER, Kind.LIST)
        if leads or (name.namespace or "", name.localname) in node.actions:
            continue
        info = [ErrorInfo("bad-element", name.localname)]
        if name.namespace not in schema.by_namespace:
            info.append(ErrorInfo("bad-namespace", name.namespace or ""))
            raise RpcError(
                ErrorTag.UNKNOWN_NAMESPACE,
                f"{name.localname} is in the namespace {name.namespace or '(none)'}, which this server does not know.",
                path=here,
                info=info,
            )
        raise RpcError(
            ErrorTag.UNKNOWN_ELEMENT,
            f"{name.localname} leads to no action below {node.name or 'the top'}.",
            path=here,
            info=info,
        )
    if len(leading) > 1:
        extra = etree.QName(leading[1]).localname
        raise RpcError(
            ErrorTag.BAD_ELEMENT,
            f"One request calls one action at one place; {extra} is one too many.",
            path=here,
            info=(ErrorInfo("bad-element", extra),),
        )
    return leading[0]


def _entry_key(element: Element, node: SchemaNode, path: Path) -> Key:
    values: list[str] = []
    for leaf in node.keys:
        found = next(element.iterchildren(leaf.tag), None)
        here = path_text((*path, Step(node)))
        if found is None:
            raise RpcError(
                ErrorTag.MISSING_ELEMENT,
                f"The entry of {node.name} to act on needs its key {leaf.name}.",
                path=here,
                info=(ErrorInfo("bad-element", leaf.name),),
            )
        assert leaf.type is not None
        try:
            values.append(leaf.type.parse(found.text or "", found.nsmap.get))
        except TypeFault as wrong:
            raise RpcError(wrong.tag, f"{leaf.name} {wrong.message}", path=here, app_tag=wrong.app_tag) from None
    return tuple(values)

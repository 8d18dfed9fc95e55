"""Elements to instance trees: the reading of data below a schema node, with every fault told."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from lxml import etree

from eman_netconf.errors import ErrorInfo, ErrorPath, ErrorTag, RpcError
from eman_netconf.yang.render import escape
from eman_netconf.yang.schema import Choice, Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Opaque, Path, Step, path_text
from eman_netconf.yang.types import TypeFault, shared, shown

Element = Any  # lxml's element classes have no usable types of their own

MAX_ERRORS = 100
"""So many faults are told of one reading, then it ends: a broken client makes the same mistake all over."""

_TAG_NAME = re.compile(rb"<[^\s/>]+")


def read_inner(
    element: Element,
    schema_node: SchemaNode,
    schema: Schema,
    *,
    path: Path = (),
    state: bool = True,
    errors: list[RpcError],
) -> Inner:
    """The children of ``element`` as data below ``schema_node``.

    ``schema_node`` is a container, list (then ``element`` is one entry), rpc input or output, notification,
    or the root for what stands in <data> or <config>. ``path`` is where it stands, itself included (the root
    and inputs have none). With ``state`` False data that is not configuration is an error. Faults are added to
    ``errors``, each with its path, as RFC 7950 section 8.3.1 wants them; what they concern is left out.
    """
    try:
        return _Reader(schema, path, state, errors).inner(element, schema_node)
    except _EnoughError:
        return Inner(schema_node)


def read_data(
    element: Element,
    node: SchemaNode,
    schema: Schema,
    *,
    path: Path = (),
    state: bool = True,
    errors: list[RpcError],
) -> Data | None:
    """One element as data of ``node``; ``path`` is that of its parent.

    A list gives the Inner of one entry, a leaf-list a tuple of one value. None when an error was added.
    """
    try:
        data: Data | None = _Reader(schema, path, state, errors).data(element, node)
    except _EnoughError:
        return None
    return data


def entry_key(element: Element, node: SchemaNode) -> Key | None:
    """The canonical key of the list entry ``element``, None where it lacks a key or has a bad one."""
    values = []
    for leaf in node.keys:
        found = element.find(leaf.tag)
        if found is None or leaf.type is None:
            return None
        try:
            values.append(leaf.type.parse(found.text or "", found.nsmap.get))
        except TypeFault:
            return None
    return tuple(values)


def opaque(element: Element) -> Opaque:
    """The content of an anydata or anyxml element, every namespace declared where it is needed."""
    parts = [escape(element.text or "")]
    for child in element:
        xml = etree.tostring(child, with_tail=True, encoding="utf-8")
        if None not in child.nsmap:
            # without this, names without namespace would fall into the default one of where it is printed
            xml = _TAG_NAME.sub(rb'\g<0> xmlns=""', xml, count=1)
        parts.append(xml)
    return Opaque(b"".join(parts))


class _EnoughError(Exception):
    """MAX_ERRORS faults are told; looking for more would only cost time."""


class _Reader:
    """One reading: the recursion follows the schema, so its depth is the schema's."""

    __slots__ = ("base", "errors", "inside", "schema", "state")

    def __init__(self, schema: Schema, path: Path, state: bool, errors: list[RpcError]) -> None:
        self.schema = schema
        self.base = path
        self.state = state
        self.errors = errors
        self.inside: list[tuple[SchemaNode, Element]] = []  # from the base down to what is being read

    def inner(self, element: Element, node: SchemaNode) -> Inner:
        """All children of ``element``, which is an instance of ``node``."""
        children: dict[SchemaNode, Any] = {}
        many: list[SchemaNode] = []  # lists, gathered in dicts, and leaf-lists, as what was seen and all in order
        by_tag = node.by_tag
        text = element.text
        if text is not None and not text.isspace():
            self.stray_text(text)
        for child in element:
            text = child.tail
            if text is not None and not text.isspace():
                self.stray_text(text)
            schema = by_tag.get(child.tag)
            if schema is None:
                self.unknown(child, node)
                continue
            kind = schema.kind
            if kind is Kind.LIST:
                if schema not in children:
                    children[schema] = {}
                    many.append(schema)
                self.entry(child, schema, children[schema])
                continue
            data = self.data(child, schema)
            if data is None:
                continue
            if kind is Kind.LEAF_LIST:
                if schema not in children:
                    children[schema] = ({}, [])
                    many.append(schema)
                seen, values = children[schema]
                if schema.config and data in seen:
                    self.twice(schema, data)
                    continue
                seen[data] = None
                values += data
            elif schema in children:
                self.twice(schema, None)
            else:
                children[schema] = data
        for schema in many:
            if schema.kind is Kind.LEAF_LIST:
                children[schema] = tuple(children[schema][1])
            elif children[schema]:
                children[schema] = ListNode(schema, children[schema])
            else:
                del children[schema]  # every entry had a fault
        if node.choices:
            self.check_choices(children)
        return Inner(node, children)

    def data(self, element: Element, schema: SchemaNode) -> Any:
        """One element of any kind; a list entry as Inner, a leaf-list item as a tuple of one."""
        if not (self.state or schema.config):
            message = f"{schema.name} is state, which cannot be configured"
            self.report(ErrorTag.UNKNOWN_ELEMENT, message, self.path(schema, element), _bad_element(schema))
            return None
        kind = schema.type
        if kind is not None:
            if len(element):
                message = f"{schema.name} must hold a value, not elements"
                self.report(ErrorTag.BAD_ELEMENT, message, self.path(schema, element), _bad_element(schema))
                return None
            try:
                value = shared(kind.parse(element.text or "", element.nsmap.get if kind.prefixed else _unresolved))
            except TypeFault as fault:
                self.report(
                    fault.tag, f"{schema.name} {fault.message}", self.path(schema, element), app_tag=fault.app_tag
                )
                return None
            return value if schema.kind is Kind.LEAF else (value,)
        if schema.kind in {Kind.ANYDATA, Kind.ANYXML}:
            return opaque(element)
        self.inside.append((schema, element))
        inner = self.inner(element, schema)
        self.inside.pop()
        return inner

    def entry(self, element: Element, schema: SchemaNode, entries: dict[Key, Inner]) -> None:
        """Read one list entry into ``entries``."""
        entry = self.data(element, schema)
        if entry is None:
            return
        children = entry.children
        try:
            key = tuple([children[leaf] for leaf in schema.keys]) if schema.keys else (str(len(entries)),)
        except KeyError:
            for leaf in schema.keys:
                if leaf not in children and element.find(leaf.tag) is None:
                    message = f"an entry of {schema.name} needs its key {leaf.name}"
                    self.report(ErrorTag.MISSING_ELEMENT, message, self.path(schema, element), _bad_element(leaf))
            return  # a key that is there and bad has been reported
        if key in entries:
            self.twice(schema, key)
        else:
            entries[key] = entry

    # faults --------------------------------------------------------------------------------------------

    def check_choices(self, children: dict[SchemaNode, Any]) -> None:
        """Data of two cases of one choice is a bad-element (RFC 7950 section 8.3.1)."""
        chosen: dict[Choice, tuple[str, SchemaNode]] = {}
        for schema in list(children):
            case = schema.case
            while case is not None:
                choice, name = case
                first_name, first = chosen.setdefault(choice, (name, schema))
                if first_name != name:
                    message = f"{first.name} and {schema.name} exclude each other: choose one case of {choice.name}"
                    self.report(ErrorTag.BAD_ELEMENT, message, self.path(schema), _bad_element(schema))
                    break
                case = choice.parent_case

    def unknown(self, element: Element, node: SchemaNode) -> None:
        if not isinstance(element.tag, str):
            return  # a comment or processing instruction of a tree that another parser made
        name = etree.QName(element)
        place = node.name if node.parent is not None else "the top level"
        info = [ErrorInfo("bad-element", name.localname)]
        if name.namespace not in self.schema.by_namespace:
            info.append(ErrorInfo("bad-namespace", name.namespace or ""))
            what = f"the namespace {name.namespace}" if name.namespace else "an element without namespace"
            message = f"{name.localname} is in {what}, which this server does not know"
            self.report(ErrorTag.UNKNOWN_NAMESPACE, message, self.path(), info)
            return
        near = get_close_matches(name.localname, [child.name for child in node.children.values()], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        message = f"{name.localname} (namespace {name.namespace}) is not known below {place}{hint}"
        if near and near[0] == name.localname:
            namespaces = [child.namespace for child in node.children.values() if child.name == near[0]]
            message = f"{name.localname} below {place} is in the namespace {namespaces[0]}, not {name.namespace}"
        self.report(ErrorTag.UNKNOWN_ELEMENT, message, self.path(), info)

    def twice(self, schema: SchemaNode, key: Key | None) -> None:
        which = f" with {', '.join(key)}" if key else ""
        path = path_text((*self.steps(), Step(schema, key)))
        self.report(ErrorTag.BAD_ELEMENT, f"{schema.name}{which} stands here twice", path, _bad_element(schema))

    def stray_text(self, text: str) -> None:
        message = f"there is text between the elements: {shown(text.strip())}"
        self.report(ErrorTag.BAD_ELEMENT, message, self.path())

    def report(
        self,
        tag: ErrorTag,
        message: str,
        path: ErrorPath | None,
        info: list[ErrorInfo] | None = None,
        app_tag: str | None = None,
    ) -> None:
        if len(self.errors) >= MAX_ERRORS:
            raise _EnoughError
        self.errors.append(RpcError(tag, message, path=path, info=info or (), app_tag=app_tag))

    def path(self, schema: SchemaNode | None = None, element: Element | None = None) -> ErrorPath | None:
        """Where reading is, or one element below; None at the very top."""
        steps = self.steps()
        if schema is not None:
            steps = (*steps, self.step(schema, element))
        return path_text(steps) if steps else None

    def steps(self) -> Path:
        return (*self.base, *(self.step(schema, element) for schema, element in self.inside))

    @staticmethod
    def step(schema: SchemaNode, element: Element | None) -> Step:
        if schema.kind is Kind.LIST and schema.keys and element is not None:
            return Step(schema, entry_key(element, schema))
        return Step(schema)


def _bad_element(schema: SchemaNode) -> list[ErrorInfo]:
    return [ErrorInfo("bad-element", schema.name)]


def _unresolved(_prefix: str | None) -> None:
    return None

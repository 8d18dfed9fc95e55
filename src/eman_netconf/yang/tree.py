"""Instance trees: immutable nodes that share what did not change, their paths, and their bytes.

A tree is made of five kinds of data, told apart by the schema node they stand under:

- leaf: ``str``, the canonical value (RFC 7950 section 9; identityrefs and instance-identifiers in the
  ``module:name`` form of RFC 7951);
- leaf-list: ``tuple[str, ...]``, canonical values in order;
- container, list entry, rpc input and output, notification, root: ``Inner``;
- list: ``ListNode``, entries by key;
- anydata and anyxml: ``Opaque``, the XML of its content.

Nothing is ever changed in place. A change makes new nodes along one path and shares all the others, so a
reader keeps the tree it started with, two trees compare by identity, and a node may remember its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from eman_netconf.errors import ErrorPath
from eman_netconf.yang.layers import writable
from eman_netconf.yang.schema import Kind, SchemaNode

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opaque:
    """The content of an anydata or anyxml node as namespace-complete XML, without the node's own tags."""

    xml: bytes


class Inner:
    """A container-like node: its schema and its children, absent ones left out.

    ``children`` is never changed after construction; its order carries no meaning (see ``ordered``).
    """

    __slots__ = ("_xml", "children", "schema")

    def __init__(self, schema: SchemaNode, children: Mapping[SchemaNode, Data] | None = None) -> None:
        self.schema = schema
        self.children: Mapping[SchemaNode, Data] = {} if children is None else children
        self._xml: bytes | None = None

    def get(self, schema: SchemaNode) -> Data | None:
        return self.children.get(schema)

    def leaf(self, name: str) -> str | None:
        """The value of the child leaf ``name`` (or ``module:name``), None when absent or of another kind."""
        value = self.at(name)
        return value if isinstance(value, str) else None

    def at(self, *names: str) -> Data | None:
        """Walk down containers by name: ``root.at("energy-management", "entities", "entity")``."""
        data: Data | None = self
        for name in names:
            if not isinstance(data, Inner):
                return None
            try:
                data = data.children.get(data.schema.child(name))
            except KeyError:
                return None
        return data

    def ordered(self) -> list[tuple[SchemaNode, Data]]:
        """The children in schema order, list keys first."""
        return sorted(self.children.items(), key=_order)

    def key(self) -> Key:
        """The key of a list entry, () where the list has none."""
        return tuple(str(self.children[node]) for node in self.schema.keys)

    def replace(self, schema: SchemaNode, data: Data | None) -> Inner:
        """This node with one child set, or with None left out; self when nothing changes."""
        old = self.children.get(schema)
        if old is data:
            return self
        children = dict(self.children)
        if data is None:
            del children[schema]
        else:
            children[schema] = data
        return Inner(self.schema, children)

    def with_children(self, children: Mapping[SchemaNode, Data]) -> Inner:
        """What else is known of this node, around other children."""
        return Inner(self.schema, children)

    def xml(self) -> bytes:
        """The bytes of this node with all below, explicit values only; remembered."""
        if self._xml is None:
            self._xml = _to_bytes()(self)
        return self._xml

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Inner) and self.schema is other.schema and self.children == other.children

    __hash__ = None  # type: ignore[assignment]  # trees are compared, never hashed

    def __repr__(self) -> str:
        return f"<Inner {self.schema.path} {len(self.children)} children>"


class Late(Inner):
    """A node whose children are made when somebody looks at them first, and then stay; ``xml``: its bytes, if known."""

    __slots__ = ("_make",)

    def __init__(
        self, schema: SchemaNode, make: Callable[[], Mapping[SchemaNode, Data]], xml: bytes | None = None
    ) -> None:
        self.schema = schema
        self._xml = xml
        self._make = make

    def __getattr__(self, name: str) -> Mapping[SchemaNode, Data]:
        """``children`` while they are not made: Python asks here for what is not set."""
        if name != "children":
            raise AttributeError(name)
        self.children = self._make()
        return self.children


@cache
def _to_bytes() -> Callable[[Inner], bytes]:
    from eman_netconf.yang.render import to_bytes  # noqa: PLC0415 - render reads this module's types

    return to_bytes


def _order(item: tuple[SchemaNode, Data]) -> int:
    return item[0].order


class ListNode:
    """The entries of a list by key, in order: of creation, or for ordered-by user as the client put them.

    ``entries`` may be any Mapping, also one that makes its entries when asked (operational state).
    Entries of a keyless list are numbered: ("0",), ("1",) ...
    """

    __slots__ = ("entries", "schema")

    def __init__(self, schema: SchemaNode, entries: Mapping[Key, Inner] | None = None) -> None:
        self.schema = schema
        self.entries: Mapping[Key, Inner] = {} if entries is None else entries

    def replace(self, key: Key, entry: Inner | None) -> ListNode:
        """This list with one entry set in its place (or at the end), or with None left out."""
        entries = writable(self.entries)
        if entry is None:
            entries.pop(key, None)
        else:
            entries[key] = entry
        return ListNode(self.schema, entries)

    def __eq__(self, other: object) -> bool:
        """Equal entries; in equal order only where the user orders them."""
        if self is other:
            return True
        if not isinstance(other, ListNode) or self.schema is not other.schema:
            return False
        if self.schema.ordered_by_user and list(self.entries) != list(other.entries):
            return False
        return self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]  # as Inner

    def __repr__(self) -> str:
        return f"<ListNode {self.schema.path} {len(self.entries)} entries>"


Data = str | tuple[str, ...] | Inner | ListNode | Opaque


def make_inner(schema: SchemaNode, values: Mapping[str, Any]) -> Inner:
    """A tree from plain values by child name: str, bool or int for a leaf, a list for a leaf-list, a mapping for
    a container, a list of mappings for a list. None and empty lists are left out.

    Names may be ``module:name``. Values are canonical and not checked: this is for what the server itself says.
    KeyError for a name the schema does not have.
    """
    children: dict[SchemaNode, Data] = {}
    for name, value in values.items():
        node = schema.child(name)
        if value is None or value == []:
            continue
        if node.kind is Kind.LIST:
            entries = [make_inner(node, entry) for entry in value]
            children[node] = ListNode(
                node, {entry.key() or (str(place),): entry for place, entry in enumerate(entries)}
            )
        elif node.kind is Kind.LEAF_LIST:
            children[node] = tuple(_text(item) for item in value)
        elif node.kind is Kind.LEAF:
            children[node] = _text(value)
        elif isinstance(value, Opaque | Inner):
            children[node] = value
        else:
            children[node] = make_inner(node, value)
    return Inner(schema, children)


def _text(value: str | bool | int) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


class Step(NamedTuple):
    """One step of an instance path: a schema node, and the key of a list entry or value of a leaf-list item."""

    schema: SchemaNode
    key: Key | None = None


Path = tuple[Step, ...]


def inner_at(root: Inner, path: Path) -> Inner | None:
    """The container or list entry at a path; None where there is none."""
    inner = root
    for node, key in path:
        data = inner.children.get(node)
        if isinstance(data, ListNode):
            data = data.entries.get(key or ())
        if not isinstance(data, Inner):
            return None
        inner = data
    return inner


def path_text(path: Path) -> ErrorPath:
    """A path as XPath with the modules' own prefixes, fit for error-path."""
    parts: list[str] = []
    namespaces: dict[str, str] = {}
    for schema, key in path:
        prefix = schema.module.prefix
        namespaces[prefix] = schema.module.namespace
        parts.append(f"/{prefix}:{schema.name}")
        if key is None:
            continue
        if schema.kind is Kind.LEAF_LIST:
            parts.append(f"[.={quoted(key[0])}]")
        elif schema.keys:
            parts.extend(
                f"[{node.module.prefix}:{node.name}={quoted(value)}]"
                for node, value in zip(schema.keys, key, strict=True)
            )
        else:
            parts.append(f"[{int(key[0]) + 1}]")
    return ErrorPath("".join(parts) or "/", namespaces)


def quoted(value: str) -> str:
    """A string literal of XPath 1.0 (which cannot hold both kinds of quotes; then the value is joined)."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    return "concat(" + ', "\'", '.join(f"'{part}'" for part in value.split("'")) + ")"


def walk(node: Inner, path: Path = ()) -> Iterator[tuple[Path, Data]]:
    """Every data node below ``node`` in schema order with its path; list entries, not lists."""
    for schema, data in node.ordered():
        if isinstance(data, ListNode):
            for key, entry in data.entries.items():
                here = (*path, Step(schema, key))
                yield here, entry
                yield from walk(entry, here)
        else:
            here = (*path, Step(schema))
            yield here, data
            if isinstance(data, Inner):
                yield from walk(data, here)

"""Defaults in a tree: filled in where they are in use, or left out where they say nothing new (RFC 6243).

Which defaults are in use: RFC 7950 sections 7.5.1 (containers without presence), 7.6.1 (leafs), 7.7.2 (leaf-lists),
7.9.3 (default cases) and 7.21.5 (none whose when is false).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from eman_netconf.yang.schema import Choice, Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode
from eman_netconf.yang.views import Entries
from eman_netconf.yang.xpath import evaluation
from eman_netconf.yang.xpath_nodes import Ref, case_in_use


class Mode(StrEnum):
    """How defaults are reported (RFC 6243 section 3). The server's own way is explicit."""

    REPORT_ALL = "report-all"
    REPORT_ALL_TAGGED = "report-all-tagged"
    TRIM = "trim"
    EXPLICIT = "explicit"


class Default(str):
    """A value, of a leaf or an item of a leaf-list, that is in use without being set."""

    __slots__ = ()


class Implied(Inner):
    """A container that is there for the defaults in it alone."""

    __slots__ = ()

    def with_children(self, children: Mapping[SchemaNode, Data]) -> Inner:
        return Implied(self.schema, children)


def is_default(node: SchemaNode, data: Data) -> bool:
    """Whether a leaf or a whole leaf-list has the value its schema gives it, set or not."""
    if isinstance(data, str):
        return node.default == data
    return isinstance(data, tuple) and bool(data) and node.defaults == data


# --- report-all ------------------------------------------------------------------------------------------------------


def reported(schema: Schema, root: Inner, *, state: bool) -> Inner:
    """A view of ``root`` with the defaults in use, each a ``Default``; with ``state`` also those of config false nodes.

    Nodes that stay without defaults are those of ``root`` itself. Conditions are judged by what is in ``root``.
    """
    return _Filler(schema, root, state=state).late(Ref.root(root))


class _Filler:
    """One view of one tree."""

    def __init__(self, schema: Schema, root: Inner, *, state: bool) -> None:
        self.run = evaluation(schema, Ref.root(root), state=state)
        self.growing = _remembered(schema)

    def late(self, node: Ref) -> Inner:
        """A node outside all lists: its children are looked at when they are asked for."""
        inner = node.data
        assert isinstance(inner, Inner)
        return Late(inner.schema, partial(self._children, node, lists=True)) if self._grow(inner.schema) else inner

    def filled(self, node: Ref) -> Inner:
        inner = node.data
        assert isinstance(inner, Inner)
        children = self._children(node, lists=False)
        return inner if children is inner.children else Inner(inner.schema, children)

    def _children(self, node: Ref, *, lists: bool) -> Mapping[SchemaNode, Data]:
        """The children with defaults, the same mapping where there are none; with ``lists`` it is outside all lists."""
        inner = node.data
        assert isinstance(inner, Inner)
        children = inner.children
        for schema in self._grow(inner.schema):
            data = inner.children.get(schema)
            new: Data | None
            if data is None:
                new = self._implicit(node, schema)
            elif isinstance(data, ListNode):
                new = self._list(node, data)
            elif isinstance(data, Inner):
                child = Ref(schema, data, node)
                new = self.late(child) if lists else self.filled(child)
            else:
                continue
            if new is not None and new is not data:
                if children is inner.children:
                    children = dict(children)
                children[schema] = new  # type: ignore[index]  # a copy by now
        return children

    def _list(self, node: Ref, data: ListNode) -> ListNode:
        def show(key: Key, entry: Inner) -> Inner:
            return self.filled(Ref(data.schema, entry, node, key))

        return ListNode(data.schema, Entries(data.entries, show, every=True))

    def _implicit(self, node: Ref, schema: SchemaNode) -> Data | None:
        data = None if schema.kind is Kind.LIST else self.run.implicit(node, schema)
        if isinstance(data, str):
            return Default(data)
        if isinstance(data, tuple):
            return tuple(map(Default, data))
        if isinstance(data, Inner):
            children = self._children(Ref(schema, data, node), lists=False)
            return Implied(schema, children) if children else None
        return None

    def _grow(self, schema: SchemaNode) -> tuple[SchemaNode, ...]:
        """The children that may have a default, or something below that may."""
        return reaching(schema, self.growing)


def reaching(schema: SchemaNode, known: dict[SchemaNode, tuple[SchemaNode, ...]]) -> tuple[SchemaNode, ...]:
    """The children of a node that have a default, or lead to one; remembered in ``known``."""
    found = known.get(schema)
    if found is None:
        found = known[schema] = tuple(
            child
            for child in schema.children.values()
            if child.default is not None or child.defaults or reaching(child, known)
        )
    return found


def _remembered(schema: Schema) -> dict[SchemaNode, tuple[SchemaNode, ...]]:
    known = schema.cache.setdefault("defaults", {})
    assert isinstance(known, dict)
    return known


# --- trim ------------------------------------------------------------------------------------------------------------


def says_something(parent: Inner, node: SchemaNode, data: Data) -> bool:
    """Whether a leaf or leaf-list of ``parent`` is more than its default (RFC 6243 section 3.2).

    A default that chooses a case of a choice says something where nothing else chooses it.
    """
    if node.is_key or not is_default(node, data):
        return True
    return node.case is not None and not _chosen_by_others(parent, node, node.case)


def chooses_case(parent: Inner, node: SchemaNode) -> bool:
    """Whether the case of a choice that ``node`` is in holds in ``parent`` by what is in this container alone."""
    return node.case is not None and not _chosen_by_others(parent, node, node.case)


def _chosen_by_others(parent: Inner, node: SchemaNode, case: tuple[Choice, str]) -> bool:
    """Whether a case would hold without ``node``, and without the leafs that have their defaults."""
    others = {
        other: data
        for other, data in parent.children.items()
        if other is not node and not (other.case is not None and is_default(other, data))
    }
    return case_in_use(Inner(parent.schema, others), case)

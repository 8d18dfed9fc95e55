"""Leaves that tell of a value which another leaf shows: whoever may not read the one does not learn it from the other.

A series shows the peak of a quantity, a threshold whether its level is passed: by moving the level one could find out
any value. Rules about these leaves hold beside this, and can only take more away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from eman_netconf.nacm.rights import Rights
from eman_netconf.nacm.rules import Access
from eman_netconf.nacm.scopes import Scope
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode, Path, Step, inner_at
from eman_netconf.yang.views import Entries


class Shadow(Protocol):
    """A list, in the entries of another, of which ``leaves`` tell of a value."""

    @property
    def list(self) -> SchemaNode: ...

    @property
    def leaves(self) -> frozenset[SchemaNode]: ...

    def source(self, owner: Path, entry: Inner) -> Path | None:
        """The leaf that shows the value; None = nobody can tell which it is."""


class Shadows:
    """The shadows that a schema has; ``running`` gives the configuration in force."""

    def __init__(self, shadows: Iterable[Shadow], running: Callable[[], Inner]) -> None:
        self._running = running
        self._by_list = {shadow.list: shadow for shadow in shadows}
        self._owners: dict[SchemaNode, list[Shadow]] = {}
        for shadow in self._by_list.values():
            assert shadow.list.parent is not None
            self._owners.setdefault(shadow.list.parent, []).append(shadow)

    def dimmed(self, root: Inner, rights: Rights) -> Inner:
        """A tree that tells a user no values he may not read; the tree itself where he may read all."""
        for owner, shadows in self._owners.items():
            above = tuple(reversed([*owner.ancestors()]))
            scope = _scope(rights, (*above, owner))
            if not scope.whole:
                start = tuple(map(Step, above))
                root = _mapped(root, (*above, owner), partial(_dimmed, rights, scope, start, shadows))
        return root

    def reads(self, rights: Rights, path: Path) -> bool:
        """Whether a user may read the value that an instance tells of, if it does of any. One that is gone told of
        something nobody knows.
        """
        for place, step in enumerate(path):
            shadow = self._by_list.get(step.schema)
            if shadow is not None and not _scope_of(rights, path[:place]).whole:
                entry = inner_at(self._running(), path[: place + 1])
                return entry is not None and _reads(rights, shadow, path[:place], entry)
        return True


def _scope(rights: Rights, way: Iterable[SchemaNode]) -> Scope:
    scope = rights.scope(Access.READ)
    for node in way:
        scope = scope.child(node)
    return scope


def _scope_of(rights: Rights, path: Path) -> Scope:
    scope = rights.scope(Access.READ)
    for node, key in path:
        scope = scope.child(node)
        if key is not None:
            scope = scope.entry(key)
    return scope


def _reads(rights: Rights, shadow: Shadow, owner: Path, entry: Inner) -> bool:
    source = shadow.source(owner, entry)
    return source is not None and rights.reads(source)


def _mapped(inner: Inner, way: tuple[SchemaNode, ...], show: Callable[[Key, Inner], Inner]) -> Inner:
    """A tree in which the entries of the list at the end of ``way`` are as ``show`` shows them."""
    node, *more = way
    if more:
        below = inner.children.get(node)
        return inner.replace(node, _mapped(below, tuple(more), show)) if isinstance(below, Inner) else inner
    return Late(inner.schema, lambda: _viewed(inner, node, show))


def _viewed(inner: Inner, node: SchemaNode, show: Callable[[Key, Inner], Inner]) -> Mapping[SchemaNode, Data]:
    data = inner.children.get(node)
    if not isinstance(data, ListNode):
        return inner.children
    return {**inner.children, node: ListNode(node, Entries(data.entries, show, every=True))}


def _dimmed(rights: Rights, scope: Scope, above: Path, shadows: list[Shadow], key: Key, entry: Inner) -> Inner:
    """One owner without what it tells of values that the user may not read."""
    if scope.entry(key).whole:
        return entry
    owner = (*above, Step(entry.schema, key))
    if isinstance(entry, Late):
        return Late(entry.schema, lambda: _children(rights, owner, shadows, entry))
    children = _children(rights, owner, shadows, entry)
    return entry if children is entry.children else entry.with_children(children)


def _children(rights: Rights, owner: Path, shadows: list[Shadow], entry: Inner) -> Mapping[SchemaNode, Data]:
    children = entry.children
    for shadow in shadows:
        told = children.get(shadow.list)
        if isinstance(told, ListNode) and told.entries:
            dark = {
                key: _without(each, shadow.leaves)
                for key, each in told.entries.items()
                if not shadow.leaves.isdisjoint(each.children) and not _reads(rights, shadow, owner, each)
            }
            if dark:
                children = {**children, shadow.list: ListNode(shadow.list, {**told.entries, **dark})}
    return children


def _without(entry: Inner, leaves: frozenset[SchemaNode]) -> Inner:
    return entry.with_children({node: data for node, data in entry.children.items() if node not in leaves})

"""What a user sees of a tree: the same nodes without those he may not read, left out when somebody looks there.

Nothing is built before it is asked for, and what is permitted as a whole is the very same object with the bytes
it remembers. A filter that is applied to the view cannot tell what was left out from what does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, ValuesView

from eman_netconf.nacm.scopes import Scope
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode


def seen(inner: Inner, scope: Scope) -> Inner:
    """The permitted part of a node that is itself permitted; ``scope`` is that of this instance."""
    if scope.whole:
        return inner
    if isinstance(inner, Late):
        return Late(inner.schema, lambda: _children(inner, scope))
    children = _children(inner, scope)
    return inner if children is inner.children else inner.with_children(children)


def _children(inner: Inner, scope: Scope) -> Mapping[SchemaNode, Data]:
    narrowed = scope.narrowed
    if narrowed.keys().isdisjoint(inner.children):
        return inner.children
    children: dict[SchemaNode, Data] = {}
    for node, data in inner.children.items():
        below = narrowed.get(node)
        kept = data if below is None else _seen_data(data, below)
        if kept is not None:
            children[node] = kept
    return children


def _seen_data(data: Data, scope: Scope) -> Data | None:
    if isinstance(data, tuple):
        return tuple(value for value in data if scope.entry((value,)).permitted) or None
    if isinstance(data, ListNode):
        return ListNode(data.schema, _Seen(data.entries, scope)) if scope.gated or scope.visible else None
    if not scope.permitted:
        return None
    if isinstance(data, Inner):
        part = seen(data, scope)
        emptied = part is not data and not isinstance(part, Late) and not part.children
        # a container that says nothing by itself would tell that there is something in it
        return None if emptied and data.schema.kind is Kind.CONTAINER and not data.schema.presence else part
    return data


class _Seen(Mapping[Key, Inner]):
    """The entries of a list that may be seen, each as far as it may, made when it is asked for."""

    def __init__(self, entries: Mapping[Key, Inner], scope: Scope) -> None:
        self._entries = entries
        self._scope = scope

    def __getitem__(self, key: Key) -> Inner:
        entry = self._entries[key]
        scope = self._scope.entry(key)
        if not scope.visible:
            raise KeyError(key)
        return seen(entry, scope)

    def __contains__(self, key: object) -> bool:
        return key in self._entries and isinstance(key, tuple) and self._scope.entry(key).visible

    def __iter__(self) -> Iterator[Key]:
        scope = self._scope
        if not scope.gated:
            return iter(self._entries)
        return (key for key in self._entries if scope.entry(key).visible)

    def __len__(self) -> int:
        return sum(1 for _ in self) if self._scope.gated else len(self._entries)

    def values(self) -> ValuesView[Inner]:
        return _Values(self)

    def each(self) -> Iterator[Inner]:
        """What ``values`` gives, with one decision for each entry."""
        for key, entry in self._entries.items():
            scope = self._scope.entry(key)
            if scope.visible:
                yield seen(entry, scope)


class _Values(ValuesView[Inner]):
    """Entries in the order of their list."""

    def __init__(self, seen: _Seen) -> None:
        super().__init__(seen)
        self._seen = seen

    def __iter__(self) -> Iterator[Inner]:
        return self._seen.each()

"""Which entries of a list a change of configuration touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode

if TYPE_CHECKING:
    from eman_netconf.yang.diff import Change

_NONE: Mapping[Key, Inner] = {}

Touched = tuple[Key, Inner | None, Inner | None]  # key, before, after


def entries(root: Inner, node: SchemaNode) -> Mapping[Key, Inner]:
    """The entries of the list ``node`` below ``root``, whose way from the root holds containers only.

    The mapping of the tree itself: the same object as long as the list is the same.
    """
    way: list[SchemaNode] = [node, *(item for item in node.ancestors() if item.kind is not Kind.ROOT)]
    here: object = root
    for step in reversed(way):
        here = here.children.get(step) if isinstance(here, Inner) else None
    return here.entries if isinstance(here, ListNode) else _NONE


def touched(change: Change, node: SchemaNode) -> Iterator[Touched]:
    """The entries of the list ``node`` that differ; the cost is that of the change."""
    return _touched(change, node, frozenset((node, *node.ancestors())))


def _touched(change: Change, node: SchemaNode, way: frozenset[SchemaNode]) -> Iterator[Touched]:
    if change.schema is node:
        if change.key is not None:
            yield change.key, _inner(change.old), _inner(change.new)
        return
    if change.schema.kind is not Kind.ROOT and change.schema not in way:
        return
    if change.children:
        for child in change.children:
            if child.schema is node and child.key is not None:  # by far most of them
                yield child.key, _inner(child.old), _inner(child.new)
            else:
                yield from _touched(child, node, way)
        return
    old = _below(change.old, change.schema, node)
    new = _below(change.new, change.schema, node)
    for key in dict.fromkeys((*new, *old)):
        if old.get(key) is not new.get(key):
            yield key, old.get(key), new.get(key)


def _inner(data: object) -> Inner | None:
    return data if isinstance(data, Inner) else None


def _below(data: object, schema: SchemaNode, node: SchemaNode) -> dict[Key, Inner]:
    """The entries of ``node`` below the data of ``schema``, which stands on the way to it."""
    way = [node]
    for ancestor in node.ancestors():
        if ancestor is schema:
            break
        way.append(ancestor)
    here = data
    for step in reversed(way):
        here = here.children.get(step) if isinstance(here, Inner) else None
    return dict(here.entries) if isinstance(here, ListNode) else {}

"""What a user may not do of a change: every node that would be created, changed or deleted is judged by itself.

RFC 8341 sections 3.2.5 and 3.4.5. A node that is only on the way to another needs no permission, nor does a
container without presence, which is no more than its content; nor what goes because another case of its choice
comes. Descendants of a node that is denied are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eman_netconf.nacm.rules import Access
from eman_netconf.nacm.scopes import Scope
from eman_netconf.yang.diff import Change, Op
from eman_netconf.yang.schema import Choice, Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step


@dataclass(frozen=True, slots=True)
class Denied:
    """One node that may not be touched in this way."""

    access: Access
    path: Path


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of one place for all that can be done to it."""

    create: Scope
    update: Scope
    delete: Scope

    def at(self, node: SchemaNode, key: Key | None) -> Scopes:
        return self._each(lambda scope: scope.child(node) if key is None else scope.child(node).entry(key))

    def _each(self, step: Callable[[Scope], Scope]) -> Scopes:
        return Scopes(step(self.create), step(self.update), step(self.delete))


def denials(change: Change, scopes: Scopes) -> Iterator[Denied]:
    """All that is denied of a change of the root, in the order of the schema, made as it is asked for."""
    return _below(change, scopes, ())


def _below(change: Change, scopes: Scopes, path: Path) -> Iterator[Denied]:
    for child in change.children:
        if child.op is Op.DELETE and _gives_way(child.schema, change):
            continue
        node = child.schema
        here = (*path, Step(node, child.key))
        there = scopes.at(node, child.key)
        if isinstance(child.old, tuple) or isinstance(child.new, tuple):
            yield from _values(child, there, here)
        elif child.op is Op.CREATE and child.new is not None:
            yield from _all(node, child.new, there.create, Access.CREATE, here)
        elif child.op is Op.DELETE and child.old is not None:
            yield from _all(node, child.old, there.delete, Access.DELETE, here)
        else:
            altered = child.op is Op.MOVE or not isinstance(child.new, Inner)
            if altered and not there.update.permitted:
                yield Denied(Access.UPDATE, here)
            elif isinstance(child.new, Inner):
                yield from _below(child, there, here)


def _gives_way(node: SchemaNode, change: Change) -> bool:
    """Whether a node goes because another case of one of its choices comes (RFC 8341 section 3.2.5)."""
    coming = [_cases(child.schema) for child in change.children if child.op is not Op.DELETE] if node.case else []
    return any(
        any(other is choice and name != case for other, name in cases)
        for choice, case in _cases(node)
        for cases in coming
    )


def _cases(node: SchemaNode) -> list[tuple[Choice, str]]:
    """The cases a node is in, the innermost first."""
    found: list[tuple[Choice, str]] = []
    at = node.case
    while at is not None:
        found.append(at)
        at = at[0].parent_case
    return found


def _values(change: Change, scopes: Scopes, path: Path) -> Iterator[Denied]:
    """A leaf-list, value by value; another order of the same values is an update."""
    old = change.old if isinstance(change.old, tuple) else ()
    new = change.new if isinstance(change.new, tuple) else ()
    before, after = set(old), set(new)
    node = change.schema
    for value in new:
        if value not in before and not scopes.create.entry((value,)).permitted:
            yield Denied(Access.CREATE, (*path[:-1], Step(node, (value,))))
    for value in old:
        if value not in after and not scopes.delete.entry((value,)).permitted:
            yield Denied(Access.DELETE, (*path[:-1], Step(node, (value,))))
    if before == after and not scopes.update.permitted:
        yield Denied(Access.UPDATE, path)


def _all(node: SchemaNode, data: Data, scope: Scope, access: Access, path: Path) -> Iterator[Denied]:
    """The creation or deletion of a node with all below it."""
    if scope.whole:
        return
    itself = node.kind is not Kind.CONTAINER or node.presence
    if itself and not scope.permitted:
        yield Denied(access, path)
        return
    if not isinstance(data, Inner):
        return
    narrowed = scope.narrowed
    for child in narrowed.keys() & data.children.keys():
        below, value = narrowed[child], data.children[child]
        if isinstance(value, ListNode):
            for key, entry in value.entries.items():
                yield from _all(child, entry, below.entry(key), access, (*path, Step(child, key)))
        elif isinstance(value, tuple):
            for item in value:
                if not below.entry((item,)).permitted:
                    yield Denied(access, (*path, Step(child, (item,))))
        else:
            yield from _all(child, value, below, access, (*path, Step(child)))

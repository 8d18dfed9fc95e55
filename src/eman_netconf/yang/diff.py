"""The difference of two trees: what it is, how it is made, applied, inverted and listed.

Trees share what did not change, so equal parts are found by identity and never entered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from eman_netconf.yang.layers import writable
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step

Touched = dict[Step, "Touched"]
"""The steps an edit went through; below an empty dict anything may be different.

A list's entries are steps of their own; a step of the list without key means all of them.
"""

_NO_ENTRIES: Mapping[Key, Inner] = {}


class Op(StrEnum):
    """What became of a node. MOVE: another place in a list ordered by the user; its content may differ too."""

    CREATE = "create"
    DELETE = "delete"
    MODIFY = "modify"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Change:
    """How one node differs, the root or one below; ``key`` is given for list entries only.

    ``children`` are the differences below a modified or moved inner node, in schema order; entries stand
    directly below the parent of their list, in the order of the new list and before those deleted from it. A
    leaf-list is one Change. The new place of a created or moved entry is that in the parent's ``new``.
    """

    schema: SchemaNode
    key: Key | None
    op: Op
    old: Data | None
    new: Data | None
    children: tuple[Change, ...] = ()


def diff(old: Inner, new: Inner, touched: Touched | None = None) -> Change | None:
    """The difference from ``old`` to ``new``, None when they are equal.

    With ``touched`` only those parts are compared; the caller vouches that all others are the same. The cost
    is that of the parts compared, except that a list ordered by the user has its keys read.
    """
    return _inner(None, old, new, touched or None)


def _inner(key: Key | None, old: Inner, new: Inner, touched: Touched | None) -> Change | None:
    if old is new:
        return None
    children: list[Change] = []
    if touched is None:
        schemas: Iterable[SchemaNode] = old.children.keys() | new.children.keys()
        parts: dict[SchemaNode, Touched | None] = dict.fromkeys(schemas)
    else:
        parts = _parts(touched)
    for schema in sorted(parts, key=lambda node: node.order):
        before, after = old.children.get(schema), new.children.get(schema)
        if before is after:
            continue
        if schema.kind is Kind.LIST:
            children.extend(_entries(schema, before, after, parts[schema]))
            continue
        change = _child(schema, None, before, after, parts[schema])
        if change is not None:
            children.append(change)
    return Change(new.schema, key, Op.MODIFY, old, new, tuple(children)) if children else None


def _parts(touched: Touched) -> dict[SchemaNode, Touched | None]:
    """What is touched by schema node; of a list the steps of the entries, None meaning all of them."""
    parts: dict[SchemaNode, Touched | None] = {}
    for step, below in touched.items():
        if step.schema.kind is not Kind.LIST:
            parts[step.schema] = below or None
        elif step.key is None:
            parts[step.schema] = None
        else:
            entries = parts.setdefault(step.schema, {})
            if entries is not None:
                entries[step] = below
    return parts


def _child(
    schema: SchemaNode, key: Key | None, before: Data | None, after: Data | None, touched: Touched | None
) -> Change | None:
    if before is None:
        return Change(schema, key, Op.CREATE, None, after)
    if after is None:
        return Change(schema, key, Op.DELETE, before, None)
    if isinstance(before, Inner) and isinstance(after, Inner):
        return _inner(key, before, after, touched)
    return None if before == after else Change(schema, key, Op.MODIFY, before, after)


def _entries(schema: SchemaNode, before: Data | None, after: Data | None, touched: Touched | None) -> Iterator[Change]:
    old = before.entries if isinstance(before, ListNode) else _NO_ENTRIES
    new = after.entries if isinstance(after, ListNode) else _NO_ENTRIES
    moved = _moved(old, new) if schema.ordered_by_user else frozenset()
    # keys are asked in the order of the new list where that is read anyway
    keys: Iterable[Key] = new if touched is None or schema.ordered_by_user else _keys(touched)
    wanted = None if touched is None else {step.key for step in touched} | moved
    for key in keys:
        if wanted is not None and key not in wanted:
            continue
        entry = new.get(key)
        if entry is None:
            continue
        below = touched.get(Step(schema, key)) if touched is not None else None
        change = _child(schema, key, old.get(key), entry, below or None)
        if key in moved:
            children = change.children if change is not None else ()
            change = Change(schema, key, Op.MOVE, old[key], entry, children)
        if change is not None:
            yield change
    for key in old if touched is None else _keys(touched):
        if key not in new and key in old:
            yield Change(schema, key, Op.DELETE, old[key], None)


def _keys(touched: Touched) -> list[Key]:
    return [step.key for step in touched if step.key is not None]


def _moved(old: Mapping[Key, Inner], new: Mapping[Key, Inner]) -> frozenset[Key]:
    """The fewest entries that must move: those outside a longest increasing run of old positions."""
    places = {key: place for place, key in enumerate(old)}
    kept = [key for key in new if key in places]
    tails: list[int] = []  # the smallest last place of a run of each length
    last: list[Key] = []
    before: dict[Key, Key | None] = {}
    for key in kept:
        length = bisect_left(tails, places[key])
        before[key] = last[length - 1] if length else None
        if length == len(tails):
            tails.append(places[key])
            last.append(key)
        else:
            tails[length] = places[key]
            last[length] = key
    still: set[Key] = set()
    at = last[-1] if last else None
    while at is not None:
        still.add(at)
        at = before[at]
    return frozenset(key for key in kept if key not in still)


def apply(root: Inner, change: Change) -> Inner:
    """The tree after the change; ``root`` may differ from the tree it was made on where the change does not reach.

    What is to be deleted or modified and is not there stays away.
    """
    if root is change.old and isinstance(change.new, Inner):
        return change.new
    children = dict(root.children)
    entries: dict[SchemaNode, list[Change]] = {}
    for child in change.children:
        if child.schema.kind is Kind.LIST:
            entries.setdefault(child.schema, []).append(child)
        else:
            _put(children, child.schema, _after(children.get(child.schema), child))
    for schema, changes in entries.items():
        data = children.get(schema)
        target = change.new.children.get(schema) if isinstance(change.new, Inner) else None
        order = target.entries if schema.ordered_by_user and isinstance(target, ListNode) else _NO_ENTRIES
        changed = _apply_entries(data.entries if isinstance(data, ListNode) else _NO_ENTRIES, changes, order)
        _put(children, schema, ListNode(schema, changed) if changed else None)
    return Inner(root.schema, children)


def _put(children: dict[SchemaNode, Data], schema: SchemaNode, data: Data | None) -> None:
    if data is None:
        children.pop(schema, None)
    else:
        children[schema] = data


def _after(data: Data | None, change: Change) -> Data | None:
    if change.op in (Op.MODIFY, Op.MOVE) and isinstance(change.new, Inner):
        return apply(data, change) if isinstance(data, Inner) else None
    return change.new


def _apply_entries(old: Mapping[Key, Inner], changes: list[Change], order: Iterable[Key]) -> Mapping[Key, Inner]:
    """Entries after the changes; those created or moved stand behind the entry they follow in ``order``."""
    entries = writable(old)
    placed: set[Key] = set()
    for change in changes:
        assert change.key is not None
        entry = _after(entries.get(change.key), change)
        if isinstance(entry, Inner):
            entries[change.key] = entry
        else:
            entries.pop(change.key, None)
        if change.op in (Op.CREATE, Op.MOVE):
            placed.add(change.key)
    if not placed or not order:
        return entries
    following: dict[Key | None, Key] = {}
    before: Key | None = None
    for key in order:
        if key in placed:
            following[before] = key
        before = key
    result: dict[Key, Inner] = {}

    def emit(key: Key | None) -> None:
        while key is not None and key in entries and key not in result:
            result[key] = entries[key]
            key = following.get(key)

    emit(following.get(None))
    for key in entries:
        if key not in placed:
            emit(key)
    for key in entries:  # those whose neighbour is not here
        emit(key)
    return result


def touch(touched: Touched, change: Change) -> None:
    """Add the steps that ``change`` went through to ``touched``, in place; the cost is that of the change."""
    for child in change.children:
        step = Step(child.schema, child.key)
        below = touched.get(step)
        if below is None:
            below = touched[step] = {}
            touch(below, child)
        elif below and child.children:
            touch(below, child)
        else:
            touched[step] = {}


def invert(change: Change) -> Change:
    """The change that undoes ``change``."""
    opposite = {Op.CREATE: Op.DELETE, Op.DELETE: Op.CREATE}.get(change.op, change.op)
    children = tuple(invert(child) for child in change.children)
    return Change(change.schema, change.key, opposite, change.new, change.old, children)


def paths(change: Change, base: Path = ()) -> Iterator[tuple[Path, Op, Data | None, Data | None]]:
    """Every act of a change with its path, parents before children.

    Created and deleted subtrees are told once, at their top; an inner node that is only modified is not told.
    """
    path = base if change.schema.kind is Kind.ROOT else (*base, Step(change.schema, change.key))
    if change.op is not Op.MODIFY or not isinstance(change.new, Inner):
        yield path, change.op, change.old, change.new
    for child in change.children:
        yield from paths(child, path)


def count(change: Change) -> int:
    """How many acts ``paths`` tells."""
    own = change.op is not Op.MODIFY or not isinstance(change.new, Inner)
    return own + sum(map(count, change.children))

"""Parts of trees: what a change may have reached, cut out, looked at, and put in place of what was there.

So a tree that somebody keeps is brought up to date at the cost of what changed. The parts are cut no finer than an
entry of an outermost list, since whether an entry is selected may hang on any leaf of it.
"""

from __future__ import annotations

from eman_netconf.yang.diff import Change, Op, Touched
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Path, Step


def reached(change: Change) -> Touched:
    """What a change of a whole tree reached."""
    touched: Touched = {}
    for child in change.children:
        schema = child.schema
        if schema.kind is Kind.LIST:
            alone = schema.keys and not schema.ordered_by_user  # else the place among the others counts too
            touched[Step(schema, child.key if alone else None)] = {}
        elif schema.kind is Kind.CONTAINER and child.op is Op.MODIFY and _no_leaves(child):
            touched[Step(schema)] = reached(child)
        else:
            touched[Step(schema)] = {}
    return touched


def _no_leaves(change: Change) -> bool:
    """Whether only inner nodes differ: on a leaf may hang whether its siblings are selected."""
    return all(child.schema.kind in (Kind.CONTAINER, Kind.LIST) for child in change.children)


def at(path: Path) -> Touched:
    """What a change at ``path`` reached."""
    touched: Touched = {}
    for step in reversed(path):
        touched = {step: touched}
    return touched


def merge(into: Touched, more: Touched) -> None:
    """Add ``more`` to ``into``, where {} below a step means all of it."""
    for step, below in more.items():
        there = into.get(step)
        if there is None:
            into[step] = dict(below)
        elif there and below:
            merge(there, below)
        else:
            into[step] = {}


def part(inner: Inner, touched: Touched) -> Inner:
    """``inner`` with what is touched alone, beside the leaves on the way to it."""
    children: dict[SchemaNode, Data] = {
        node: data for node, data in inner.children.items() if not isinstance(data, Inner | ListNode)
    }
    lists: dict[SchemaNode, dict[tuple[str, ...], Inner]] = {}
    for step, below in touched.items():
        data = inner.children.get(step.schema)
        if isinstance(data, ListNode) and step.key is not None:
            entry = data.entries.get(step.key)
            if entry is not None:
                lists.setdefault(step.schema, {})[step.key] = entry
        elif isinstance(data, Inner) and below:
            children[step.schema] = part(data, below)
        elif data is not None:
            children[step.schema] = data
    for node, entries in lists.items():
        if node not in children:  # where all of the list is touched it is there whole
            children[node] = ListNode(node, entries)
    return Inner(inner.schema, children)


def graft(kept: Inner, fresh: Inner, touched: Touched) -> Inner:
    """``kept`` with what is touched as it is in ``fresh``; containers that this leaves empty are gone."""
    leaves = {node: data for node, data in fresh.children.items() if not isinstance(data, Inner | ListNode)}
    children: dict[SchemaNode, Data] = {**kept.children, **leaves}
    lists: dict[SchemaNode, dict[tuple[str, ...], Inner]] = {}
    for step, below in touched.items():
        node = step.schema
        new = fresh.children.get(node)
        if step.key is not None:
            entries = lists.get(node)
            if entries is None:
                old = children.get(node)
                entries = lists[node] = dict(old.entries) if isinstance(old, ListNode) else {}
            entry = new.entries.get(step.key) if isinstance(new, ListNode) else None
            if entry is None:
                entries.pop(step.key, None)
            else:
                entries[step.key] = entry
        elif below:
            old = children.get(node)
            merged = graft(
                old if isinstance(old, Inner) else Inner(node), new if isinstance(new, Inner) else Inner(node), below
            )
            _put(children, node, merged if merged.children or node.presence else None)
        else:
            _put(children, node, new)
    for node, entries in lists.items():
        whole = Step(node) in touched
        if not whole:
            _put(children, node, ListNode(node, entries) if entries else None)
    return Inner(kept.schema, children)


def _put(children: dict[SchemaNode, Data], node: SchemaNode, data: Data | None) -> None:
    if data is None:
        children.pop(node, None)
    else:
        children[node] = data

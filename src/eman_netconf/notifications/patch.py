"""A difference of two trees as the edits of a YANG patch (RFC 8072 section 2.5, RFC 8641 section 3.7).

A receiver that makes the edits one after the other, in their order, gets from the one tree to the other. Targets
are the paths of RFC 8040 section 3.5.3. Where one instance has no path of its own (an entry of a list without
keys, one of two equal values) the node around it is replaced. ``merge`` and ``remove`` are never used: a receiver
that missed something is to find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from eman_netconf.yang.diff import Change, Op
from eman_netconf.yang.render import data_bytes, escape
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode


class Operation(StrEnum):
    """What an edit does; also the words of excluded-change (RFC 8641, change-type)."""

    CREATE = "create"
    DELETE = "delete"
    INSERT = "insert"
    MOVE = "move"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit. ``value`` is the target itself as XML; inserted and moved instances come first or after ``after``."""

    operation: Operation
    target: str
    value: bytes | None = None
    after: str | None = None


def edits(change: Change) -> Iterator[Edit]:
    """The edits of a difference of two roots, parents before children."""
    yield from _inside(change, "")


def standing(schema: SchemaNode, data: Data) -> bytes:
    """The bytes of one instance that mean the same wherever they stand."""
    text = data_bytes(schema, data)
    name = f"<{schema.name}".encode()
    declared = f'{name.decode()} xmlns="{schema.namespace}"'.encode()
    return text if text.startswith(declared) else declared + text[len(name) :]


def written(made: Iterable[Edit]) -> Iterator[bytes]:
    """Each edit as XML, numbered from 1; the namespace of ietf-yang-push is to be in scope."""
    for number, edit in enumerate(made, 1):
        parts = [
            b"<edit><edit-id>%d</edit-id><operation>%b</operation><target>%b</target>"
            % (number, edit.operation.encode(), escape(edit.target))
        ]
        if edit.operation in (Operation.INSERT, Operation.MOVE):
            if edit.after is None:
                parts.append(b"<where>first</where>")
            else:
                parts.append(b"<point>%b</point><where>after</where>" % escape(edit.after))
        if edit.value is not None:
            parts.append(b"<value>%b</value>" % edit.value)
        parts.append(b"</edit>")
        yield b"".join(parts)


def encoded(patch_id: int, edits_written: bytes) -> bytes:
    """The container datastore-changes around edits of ``written``."""
    return b"<datastore-changes><yang-patch><patch-id>%d</patch-id>%b</yang-patch></datastore-changes>" % (
        patch_id,
        edits_written,
    )


def _inside(change: Change, path: str) -> Iterator[Edit]:
    """What is different below a node that is in both trees."""
    assert isinstance(change.new, Inner)
    if any(_nameless(child) for child in change.children):
        yield Edit(Operation.REPLACE, path or "/", _whole(change.new))
        return
    for child in change.children:
        schema = child.schema
        if schema.kind is Kind.LEAF_LIST:
            yield from _items(schema, path, _values(child.old), _values(child.new))
            continue
        target = path + _segment(schema, child.key)
        if child.op is Op.DELETE:
            yield Edit(Operation.DELETE, target)
        elif child.op is Op.CREATE:
            assert child.new is not None
            value = standing(schema, child.new)
            if schema.kind is Kind.LIST and schema.ordered_by_user:
                yield Edit(Operation.INSERT, target, value, _before(change.new, path, child))
            else:
                yield Edit(Operation.CREATE, target, value)
        else:
            if child.op is Op.MOVE:
                yield Edit(Operation.MOVE, target, after=_before(change.new, path, child))
            if not isinstance(child.new, Inner):
                assert child.new is not None
                yield Edit(Operation.REPLACE, target, standing(schema, child.new))
            else:
                yield from _inside(child, target)


def _whole(inner: Inner) -> bytes:
    if inner.schema.kind is Kind.ROOT:
        return b"".join(data_bytes(node, data) for node, data in inner.ordered())
    return standing(inner.schema, inner)


def _nameless(change: Change) -> bool:
    """Whether what is different has no path of its own."""
    schema = change.schema
    if schema.kind is Kind.LIST:
        return not schema.keys
    if schema.kind is Kind.LEAF_LIST:
        values = (_values(change.old), _values(change.new))
        return any(len(set(some)) < len(some) for some in values)
    return False


def _values(data: Data | None) -> Sequence[str]:
    return data if isinstance(data, tuple) else ()


def _items(schema: SchemaNode, path: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Edit]:
    """From one leaf-list to another, value by value."""

    def target(value: str) -> str:
        return path + _segment(schema, (value,))

    wanted = set(new)
    here = [value for value in old if value in wanted]
    for value in old:
        if value not in wanted:
            yield Edit(Operation.DELETE, target(value))
    known = set(here)
    for place, value in enumerate(new):
        if value not in known:
            written = standing(schema, (value,))
            if schema.ordered_by_user:
                yield Edit(Operation.INSERT, target(value), written, target(new[place - 1]) if place else None)
            else:
                yield Edit(Operation.CREATE, target(value), written)
            here.insert(place, value)
        elif schema.ordered_by_user and here[place] != value:
            yield Edit(Operation.MOVE, target(value), after=target(new[place - 1]) if place else None)
            here.remove(value)
            here.insert(place, value)


def _before(parent: Inner, path: str, change: Change) -> str | None:
    """The path of the entry that comes before a created or moved one; None when it is the first."""
    data = parent.children[change.schema]
    assert isinstance(data, ListNode)
    previous: Key | None = None
    for key in data.entries:
        if key == change.key:
            break
        previous = key
    return None if previous is None else path + _segment(change.schema, previous)


def _segment(schema: SchemaNode, key: Key | None) -> str:
    parent = schema.parent
    same = parent is not None and parent.kind is not Kind.ROOT and parent.module is schema.module
    name = schema.name if same else schema.qualified_name
    if key is None:
        return f"/{name}"
    return f"/{name}={','.join(quote(value, safe='') for value in key)}"

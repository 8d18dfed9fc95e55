"""What a commit leaves on the disk: its Change written as the edit-config that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from xml.sax.saxutils import escape, quoteattr

from eman_netconf.datastore.select import pieces
from eman_netconf.errors import BASE_NS, YANG_NS
from eman_netconf.yang.diff import Change, Op, count, invert, paths
from eman_netconf.yang.render import data_bytes
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, quoted
from eman_netconf.yang.xpath_instance import to_instance_identifier

STORAGE_NS = "urn:eman:storage"

#: The user who is told as the author of what the server does of its own accord.
SERVER = "eman-netconf"

_REMOVE = b' nc:operation="remove"'
_REPLACE = b' nc:operation="replace"'


#: Changes of a commit that are told one by one.
CHANGES = 20

_CONFIG = f'<config xmlns="{BASE_NS}" xmlns:nc="{BASE_NS}" xmlns:yang="{YANG_NS}">'.encode()


def record(change: Change, *, generation: int, wall: float, user: str, session: int) -> Iterator[bytes]:
    """One commit: who made it, when (seconds since the epoch), what it changes in short, the edit that leads to
    ``generation``, and the edit that undoes it; in parts."""
    told, changes = summary(change)
    head = (
        f'<commit xmlns="{STORAGE_NS}" generation="{generation}" time="{stamp(wall)}" user={quoteattr(user)} '
        f'session="{session}" changes="{changes}">'
    )
    places = "".join(f'<change operation="{operation}">{escape(place)}</change>' for operation, place in told)
    yield (head + places).encode() + _CONFIG
    yield from _children(change)
    yield b"</config><undo>" + _CONFIG
    yield from _children(invert(change))
    yield b"</config></undo></commit>"


def summary(change: Change) -> tuple[tuple[tuple[str, str], ...], int]:
    """What a commit does where: the first changes as operation and instance-identifier, and how many there are.

    A leaf-list as a whole has no instance-identifier; that of its parent stands for it.
    """
    first = islice(paths(change), CHANGES)
    return tuple((operation.value, _place(path)) for path, operation, _, _ in first), count(change)


def _place(path: Path) -> str:
    whole = path[-1].schema.kind is Kind.LEAF_LIST and path[-1].key is None
    return to_instance_identifier(path[:-1] if whole else path) or "/"


def edit(change: Change) -> bytes:
    """The content of ``<config>`` which, merged into the old tree, gives the new one; prefixes nc and yang are used."""
    return b"".join(_children(change))


def _children(change: Change) -> Iterator[bytes]:
    """The edits below a changed node: removals first, so that no two cases of a choice ever stand together."""
    for child in change.children:
        if child.op is Op.DELETE:
            yield _removal(child.schema, child.old, child.key)
    places: dict[SchemaNode, dict[Key, Key | None]] = {}
    for child in change.children:
        if child.op is Op.DELETE:
            continue
        node = child.schema
        if node.kind is Kind.CONTAINER:
            yield from _container(child)
        elif node.kind is Kind.LIST:
            place = b""
            if node.ordered_by_user and child.op is not Op.MODIFY:
                if node not in places:
                    places[node] = _places(change.new, node)
                assert child.key is not None
                place = _insert(node, places[node][child.key])
            yield from _entry(child, place)
        else:
            yield _leaf(child)


def _container(change: Change) -> Iterator[bytes]:
    if change.op is Op.CREATE:
        assert isinstance(change.new, Inner)
        yield from pieces(change.new)
        return
    yield change.schema.open_tag
    yield from _children(change)
    yield change.schema.close_tag


def _leaf(change: Change) -> bytes:
    """A leaf, leaf-list, anydata or anyxml that is created or changed."""
    node = change.schema
    assert change.new is not None
    written = data_bytes(node, change.new)
    if node.kind is Kind.LEAF_LIST and change.old is not None:
        # all values anew, so that their order is that of the new tree
        return _removal(node, change.old, None) + written
    return _with(written, _REPLACE) if node.kind in (Kind.ANYDATA, Kind.ANYXML) else written


def _entry(change: Change, place: bytes) -> Iterator[bytes]:
    """A list entry that is created, changed or moved."""
    node = change.schema
    if change.op is Op.CREATE:
        assert isinstance(change.new, Inner)
        yield _with(change.new.xml(), place)
        return
    yield _with(node.open_tag, place)
    yield _keys(change.new)
    yield from _children(change)
    yield node.close_tag


def _removal(node: SchemaNode, old: Data | None, key: Key | None) -> bytes:
    if isinstance(old, tuple):
        return b"".join(_with(data_bytes(node, (value,)), _REMOVE) for value in old)
    if isinstance(old, Inner) and key is not None:
        return b"%b%b%b" % (_with(node.open_tag, _REMOVE), _keys(old), node.close_tag)
    return _with(node.empty_tag, _REMOVE)


def _keys(entry: Data | None) -> bytes:
    assert isinstance(entry, Inner)
    return b"".join(data_bytes(leaf, entry.children[leaf]) for leaf in entry.schema.keys)


def _places(parent: Data | None, node: SchemaNode) -> dict[Key, Key | None]:
    """The key of the entry before each one."""
    assert isinstance(parent, Inner)
    data = parent.children[node]
    assert isinstance(data, ListNode)
    keys = list(data.entries)
    return dict(zip(keys, [None, *keys], strict=False))


def _insert(node: SchemaNode, before: Key | None) -> bytes:
    if before is None:
        return b' yang:insert="first"'
    predicates = ""
    declared: dict[str, str] = {}
    for leaf, value in zip(node.keys, before, strict=True):
        assert leaf.type is not None
        text, prefixes = leaf.type.xml(value)
        predicates += f"[{leaf.name}={quoted(text)}]"
        declared.update(prefixes)
    namespaces = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in declared.items())
    return f'{namespaces} yang:insert="after" yang:key={quoteattr(predicates)}'.encode()


def _with(written: bytes, attribute: bytes) -> bytes:
    """An element's bytes with an attribute put into its start tag, right behind the name."""
    if not attribute:
        return written
    end = 1
    while written[end] not in b" />":
        end += 1
    return written[:end] + attribute + written[end:]

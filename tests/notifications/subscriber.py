"""A subscriber of RFC 8641: it holds the selected data and makes the edits it is sent, one after the other."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import unquote

from lxml import etree

from eman_netconf.errors import RpcError
from eman_netconf.yang.instance import read_data, read_inner
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

Placed = TypeVar("Placed", Inner, str)
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"


class Subscriber:
    """What one receiver knows. Edits that do not fit what it holds fail."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.tree = Inner(schema.root)
        self.patches: list[str] = []  # their ids

    def take(self, notification: etree._Element) -> None:
        """Take the content of one notification: push-update or push-change-update."""
        errors: list[RpcError] = []
        if notification.tag == f"{{{YP}}}push-update":
            contents = notification.find(f"{{{YP}}}datastore-contents")
            assert contents is not None
            self.tree = read_inner(contents, self.schema.root, self.schema, errors=errors)
        else:
            assert notification.tag == f"{{{YP}}}push-change-update", notification.tag
            patch = notification.find(f"{{{YP}}}datastore-changes/{{{YP}}}yang-patch")
            assert patch is not None
            self.patches.append(patch.findtext(f"{{{YP}}}patch-id") or "")
            for edit in patch.iterfind(f"{{{YP}}}edit"):
                self._edit(edit, errors)
        assert not errors, errors

    def _edit(self, edit: etree._Element, errors: list[RpcError]) -> None:
        said = {etree.QName(child).localname: child for child in edit}
        operation, target = said["operation"].text or "", said["target"].text or ""
        if target == "/":
            self.tree = read_inner(said["value"], self.schema.root, self.schema, errors=errors)
            return
        names = [_split(segment) for segment in target.split("/")[1:]]
        value: Data | None = None
        if "value" in said:
            node = self.schema.root
            for name, _ in names:
                node = node.child(name)
            value = read_data(said["value"][0], node, self.schema, errors=errors)
        after: Key | None = None
        if "where" in said and said["where"].text == "after":
            after = _split((said["point"].text or "").rpartition("/")[2])[1]
        self.tree = _edited(self.tree, names, operation, value, after)


def meaning(inner: Inner, *, empty: bool = True) -> Inner:
    """The same with leaf-lists sorted whose order has no meaning.

    With ``empty`` False, without containers that only hold others and hold none: whether these are there says nothing.
    """
    children: dict[SchemaNode, Data] = {}
    for node, data in inner.children.items():
        kept: Data = data
        if isinstance(data, Inner):
            kept = meaning(data, empty=empty)
            if not (empty or kept.children or node.presence):
                continue
        elif isinstance(data, ListNode):
            kept = ListNode(node, {key: meaning(entry, empty=empty) for key, entry in data.entries.items()})
        elif isinstance(data, tuple) and not node.ordered_by_user:
            kept = tuple(sorted(data))
        children[node] = kept
    return Inner(inner.schema, children)


def _split(segment: str) -> tuple[str, Key]:
    name, equals, keys = segment.partition("=")
    return name, tuple(unquote(key) for key in keys.split(",")) if equals else ()


def _edited(inner: Inner, names: list[tuple[str, Key]], operation: str, value: Data | None, after: Key | None) -> Inner:
    (name, key), *below = names
    node = inner.schema.child(name)
    data = inner.children.get(node)
    children = dict(inner.children)
    made: Data | None
    if node.kind is Kind.LIST:
        entries: dict[Key, Inner] = dict(data.entries) if isinstance(data, ListNode) else {}
        if below:
            entries[key] = _edited(entries[key], below, operation, value, after)
        else:
            assert value is None or isinstance(value, Inner)
            entries = _placed(node, entries, key, operation, value, after)
        made = ListNode(node, entries) if entries else None
    elif node.kind is Kind.LEAF_LIST:
        items = {(item,): item for item in data} if isinstance(data, tuple) else {}
        made = tuple(_placed(node, items, key, operation, key[0], after).values()) or None
    elif below:
        assert isinstance(data, Inner), f"there is no {name} to go into"
        made = _edited(data, below, operation, value, after)
    else:
        assert (data is None) == (operation == "create"), f"{operation} of {name}, which is {data}"
        made = None if operation == "delete" else value
    if made is None:
        del children[node]
    else:
        children[node] = made
    return Inner(inner.schema, children)


def _placed(
    node: SchemaNode, entries: dict[Key, Placed], key: Key, operation: str, value: Placed | None, after: Key | None
) -> dict[Key, Placed]:
    """The entries when one of them was created, deleted, replaced, inserted or moved."""
    assert (key in entries) == (operation in ("delete", "replace", "move")), f"{operation} of {node.name} {key}"
    assert node.ordered_by_user or operation not in ("insert", "move")
    if operation == "delete":
        return {other: entry for other, entry in entries.items() if other != key}
    if operation == "move":
        value = entries[key]
    assert value is not None
    if operation in ("create", "replace"):
        return {**entries, key: value}
    rest = [(other, entry) for other, entry in entries.items() if other != key]
    keys = [other for other, _ in rest]
    rest.insert(0 if after is None else keys.index(after) + 1, (key, value))
    return dict(rest)

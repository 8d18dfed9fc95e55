"""Structural sharing after a replacement: equal parts of the old tree take the place of their copies."""

from __future__ import annotations

from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode


def share(schema: SchemaNode, old: Data | None, new: Data) -> Data:
    """``new`` made of as many parts of ``old`` as are equal, in the order of ``old`` where order has no meaning.

    What was replaced by its own copy is then the same object, so that differences are found by identity
    and a configuration written again keeps its bytes.
    """
    if isinstance(new, Inner):
        return share_inner(old, new) if isinstance(old, Inner) else new
    if isinstance(new, ListNode):
        return _share_list(old, new) if isinstance(old, ListNode) else new
    if isinstance(new, tuple) and isinstance(old, tuple) and not schema.ordered_by_user:
        kept = set(new)
        before = set(old)
        new = (*(value for value in old if value in kept), *(value for value in new if value not in before))
    return old if old is not None and old == new else new


def share_inner(old: Inner, new: Inner) -> Inner:
    """As ``share``."""
    children = {schema: share(schema, old.children.get(schema), data) for schema, data in new.children.items()}
    if len(children) == len(old.children) and all(
        old.children.get(schema) is data for schema, data in children.items()
    ):
        return old
    return Inner(new.schema, children)


def _share_list(old: ListNode, new: ListNode) -> ListNode:
    entries = {
        key: share_inner(old.entries[key], entry) if key in old.entries else entry for key, entry in new.entries.items()
    }
    if not new.schema.ordered_by_user:
        entries = {
            **{key: entries[key] for key in old.entries if key in entries},
            **{key: entry for key, entry in entries.items() if key not in old.entries},
        }
    same = list(entries) == list(old.entries) and all(old.entries[key] is entry for key, entry in entries.items())
    return old if same else ListNode(new.schema, entries)

"""Notifications as trees of their own: those of modules, and those that stand in the data (RFC 7950 section 7.16).

One that is defined in the data tree is told with the nodes it stands in, of lists the one entry with its keys. The
schema of events has these nodes without all else that they hold.
"""

from __future__ import annotations

from dataclasses import replace

from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, ListNode


def event_schema(schema: Schema) -> Schema:
    """The schema whose top level has what events of ``schema`` are told as, in place of its data."""
    made = schema.cache.get(event_schema)
    if made is None:
        leading = ((name, _leading(node)) for name, node in schema.root.children.items())
        children = {**schema.notifications, **{name: node for name, node in leading if node is not None}}
        root = SchemaNode(Kind.ROOT, "", schema.root.module, None, config=False, children=children)
        root.seal()
        made = schema.cache[event_schema] = replace(schema, root=root, cache={})
    assert isinstance(made, Schema)
    return made


def _leading(node: SchemaNode) -> SchemaNode | None:
    """The node with nothing below it but what leads to notifications, and keys; None where there are none."""
    below = {name: child for name, each in node.children.items() if (child := _leading(each)) is not None}
    below |= node.notifications
    if not below:
        return None
    keys = {(leaf.namespace, leaf.name): leaf for leaf in node.keys}
    made = replace(node, children=keys | below, actions={}, notifications={}, choices=(), by_tag={}, by_name={})
    made.seal()
    return made


def notification_of(event: Inner) -> Inner:
    """The notification itself in what an event is told as."""
    inner = event
    while inner.schema.kind is not Kind.NOTIFICATION:
        (inner,) = (
            next(iter(data.entries.values())) if isinstance(data, ListNode) else data
            for data in inner.children.values()
            if isinstance(data, Inner | ListNode)
        )
    return inner

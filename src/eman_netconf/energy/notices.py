"""Notifications of the energy core as instance trees."""

from __future__ import annotations

from collections.abc import Mapping

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.effects import Notify
from eman_netconf.energy.entities import Entity
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner

Leaves = Mapping[str, str | tuple[str, ...] | None]


class Notices:
    """Builds a notification from its name and its leaves; None and empty leaf-lists are left out."""

    def __init__(self, schema: Schema) -> None:
        self._nodes: dict[str, tuple[SchemaNode, dict[str, SchemaNode]]] = {}
        for node in schema.notifications.values():
            if node.module.name.startswith("eman-"):
                self._nodes[node.name] = node, {child.name: child for child in node.children.values()}

    def about(self, name: str, entity: Entity, wall: float, leaves: Leaves | None = None) -> Notify:
        """``name`` happened to ``entity`` at ``wall`` (seconds since the epoch)."""
        subject = {"entity": entity.id, "entity-uuid": entity.uuid, "time": stamp(wall)}
        return Notify(self._build(name, {**subject, **(leaves or {})}), entity.id)

    def about_backend(self, name: str, backend: str, wall: float, leaves: Leaves) -> Notify:
        return Notify(self._build(name, {"backend": backend, "time": stamp(wall), **leaves}), "")

    def about_total(self, name: str, wall: float, leaves: Leaves) -> Notify:
        """``name`` happened to a domain or a group, which ``leaves`` names."""
        return Notify(self._build(name, {"time": stamp(wall), **leaves}), "")

    def _build(self, name: str, leaves: Leaves) -> Inner:
        node, children = self._nodes[name]
        data: dict[SchemaNode, Data] = {}
        for leaf, value in leaves.items():
            if value is not None and value != ():
                data[children[leaf]] = clipped(value) if isinstance(value, str) else value
        return Inner(node, data)

"""What of the energy model is in operation, and where from (RFC 8342): the devices, or this server."""

from __future__ import annotations

from eman_netconf.energy.relationships import Evidence
from eman_netconf.energy.state_sets import IEEE1621
from eman_netconf.yang.origin import Origin
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode
from eman_netconf.yang.views import Entries

TOP = "eman-entity:energy-management"


class Origins:
    """The rules of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.top = schema.find(TOP)
        self.entities = self.top.child("entities")
        self.entity = self.entities.child("entity")
        interface = self.entity.child("power-interface")
        wire = interface.child("connected-to")
        relationship = self.entity.child("relationship")
        self._seen_by = self.entity.child("backend")
        self._interface = interface
        self._direction = interface.child("direction")
        self._evidence = {wire: wire.child("evidence"), relationship: relationship.child("evidence")}
        self._set = self.entity.child("power-state").child("set")
        self._set_name = self._set.child("name")
        self._member = self.top.child("groups").child("group").child("member")

    @classmethod
    def of(cls, schema: Schema) -> Origins:
        """The rules of ``schema``, made once."""
        known = schema.cache.get("origins")
        if not isinstance(known, Origins):
            known = schema.cache["origins"] = cls(schema)
        return known

    def in_use(self, operational: Inner) -> Inner:
        """``operational`` without the entities that are configured and that no device has told of."""
        top = operational.children.get(self.top)
        entities = top.children.get(self.entities) if isinstance(top, Inner) else None
        listed = entities.children.get(self.entity) if isinstance(entities, Inner) else None
        if not (isinstance(top, Inner) and isinstance(entities, Inner) and isinstance(listed, ListNode)):
            return operational

        def seen(_key: Key, entry: Inner) -> Inner | None:
            return entry if entry.get(self._seen_by) is not None else None

        used = ListNode(self.entity, Entries(listed.entries, seen, every=False))
        return operational.replace(self.top, top.replace(self.entities, entities.replace(self.entity, used)))

    def rule(self, node: SchemaNode, data: Data, parent: Origin) -> Origin:
        """As yang.origin.Rule.

        The server itself makes what it infers or shows at the other end of what is configured, the interfaces that
        only a wire names, the members that a group finds, and the states of IEEE 1621 that every entity has. What
        else nobody configured is from where its parent is; below what is configured, devices told it.
        """
        if parent is Origin.INTENDED:
            parent = Origin.LEARNED if self._about_energy(node) else Origin.SYSTEM
        if node is self._member:
            return Origin.SYSTEM
        if not isinstance(data, Inner):
            return parent
        evidence = self._evidence.get(node)
        if evidence is not None:
            return Origin.LEARNED if data.children.get(evidence) == Evidence.DISCOVERED else Origin.SYSTEM
        if node is self._interface:
            return Origin.LEARNED if self._direction in data.children else Origin.SYSTEM
        if node is self._set:
            return Origin.SYSTEM if data.children.get(self._set_name) == IEEE1621 else Origin.LEARNED
        return parent

    def _about_energy(self, node: SchemaNode) -> bool:
        return node is self.top or self.top in node.ancestors()

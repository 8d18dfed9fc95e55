"""What can be told on change: configuration, and the state of entities without what changes with every reading.

RFC 8641 section 3.10 leaves it to the server which nodes it can tell of on change. Here these are:

- all configuration, in running and in the operational state;
- of the operational state below an entity: identity, reachability, power states, wishes, supplies, wires,
  relationships, batteries' charging states and alarms;
- the power of an entity that has a ``report-deadband``, when it moved by that much or more.

All else changes by itself, with time or with every reading, and is told periodically only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from eman_netconf.datastore.pick import Pick
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

ENTITY: Final = "/eman-entity:energy-management/entities/entity"

#: What of an entity changes with every reading.
READINGS: Final = (
    *("power", "energy", "electrical"),
    *("power-interface/power", "power-interface/energy", "power-interface/electrical"),
    "power-state/set/supported-state/statistics",
    *("battery/charge", "battery/charge-percent", "battery/actual-capacity", "battery/runtime-remaining"),
    *("battery/voltage", "battery/current", "battery/temperature", "battery/time"),
)

#: Configuration by its model alone: nobody configures subscriptions here.
_SUBSCRIPTIONS = "/ietf-subscribed-notifications:subscriptions"

#: The deadband of an entity in watts, by its key; None when it has none.
Deadband = Callable[[Key], Decimal | None]


class Observable:
    """Which nodes of a schema can be told on change, and trees without the others."""

    def __init__(self, schema: Schema) -> None:
        self._entity = schema.find(ENTITY)
        self._power = self._entity.child("power")
        self._active = self._power.child("active")
        self._deadband = self._entity.child("report-deadband")
        readings = {schema.find(path) for path in (*(f"{ENTITY}/{name}" for name in READINGS), _SUBSCRIPTIONS)}
        self._dropped: frozenset[SchemaNode] = frozenset(self._find(schema.root, readings, state=False))
        self._leading = frozenset(node for dropped in self._dropped for node in dropped.ancestors())

    def _find(self, parent: SchemaNode, readings: set[SchemaNode], *, state: bool) -> Iterator[SchemaNode]:
        """The topmost nodes that cannot be told on change; ``state``: below an entity, where state can."""
        for node in parent.children.values():
            if node in readings or not (state or node.config):
                yield node
            else:
                yield from self._find(node, readings, state=state or node is self._entity)

    @property
    def periodic_only(self) -> list[str]:
        """The schema paths of what cannot be told on change, with all below them."""
        return sorted(node.path for node in self._dropped)

    def selected(self, pick: Pick, node: SchemaNode, *, power: bool) -> bool:
        """Whether a filter selects anything that can be told on change; ``power``: some entity has a deadband."""
        if node in self._dropped:
            return power and node is self._power
        if pick.whole or not node.children:
            return True
        return any(
            self.selected(below, child, power=power) for child, picks in pick.children.items() for below in picks
        )

    def deadband(self, root: Inner) -> Deadband:
        """The deadbands that the entities of ``root`` have."""
        data = root.at("eman-entity:energy-management", "entities", "entity")

        def of(key: Key) -> Decimal | None:
            entry = data.entries.get(key) if isinstance(data, ListNode) else None
            value = entry.children.get(self._deadband) if entry is not None else None
            return Decimal(value) if isinstance(value, str) else None

        return of

    def has_deadband(self, running: Inner) -> bool:
        """Whether some entity has a deadband; the cost is that of a look at each."""
        data = running.at("eman-entity:energy-management", "entities", "entity")
        return isinstance(data, ListNode) and any(self._deadband in entry.children for entry in data.entries.values())

    def without_readings(self, inner: Inner, told: Inner | None, deadband: Deadband) -> Inner:
        """``inner`` without what cannot be told on change.

        Of an entity with a deadband the power stays, as it is in ``told`` (the same node in the tree told last) while
        it has not moved far enough.
        """
        if inner.schema not in self._leading and inner.schema.parent is not None:
            return inner
        children: dict[SchemaNode, Data] = {}
        for node, data in inner.children.items():
            before = told.children.get(node) if told is not None else None
            if node in self._dropped:
                if node is self._power and (band := deadband(inner.key())) is not None:
                    children[node] = before if before is not None and not self._moved(before, data, band) else data
            elif isinstance(data, Inner):
                children[node] = self.without_readings(data, before if isinstance(before, Inner) else None, deadband)
            elif isinstance(data, ListNode) and node in self._leading:
                entries = before.entries if isinstance(before, ListNode) else {}
                children[node] = ListNode(
                    node,
                    {
                        key: self.without_readings(entry, entries.get(key), deadband)
                        for key, entry in data.entries.items()
                    },
                )
            else:
                children[node] = data
        return Inner(inner.schema, children)

    def _moved(self, before: Data, after: Data, band: Decimal) -> bool:
        old = before.children.get(self._active) if isinstance(before, Inner) else None
        new = after.children.get(self._active) if isinstance(after, Inner) else None
        if isinstance(old, str) and isinstance(new, str):
            return abs(Decimal(old) - Decimal(new)) >= band
        return old is not new

"""The wiring as it is served: one entry for each entity in it, made when it is asked for (eman-topology)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from eman_netconf.energy.canonical import boolean
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.printing import Leaves
from eman_netconf.energy.topology import Supply, Topology, Way
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode

Entities = Mapping[Key, Entity]


class TopologyNodes:
    """The schema nodes of the container topology, and its entries."""

    def __init__(self, schema: Schema) -> None:
        self.container = schema.find("/eman-entity:energy-management/eman-topology:topology")
        self.node = node = self.container.child("node")
        self._entity = node.child("entity")
        self._uuid = node.child("entity-uuid")
        self._level = node.child("level")
        self._powered = node.child("powered")
        self._feed = feed = node.child("feed")
        self._source = feed.child("source")
        self._outlet = feed.child("source-interface")
        self._component = feed.child("component")
        self._inlet = feed.child("interface")
        self._passes = feed.child("passes")
        self._supplies = feed.child("supplies")
        self._left = feed.child("sources-left")
        self._redundancy = redundancy = node.child("redundancy")
        self._state = redundancy.child("state")
        self._feeds = redundancy.child("feeds")
        self._supplying = redundancy.child("feeds-supplying")
        self._sources = redundancy.child("sources")
        self._count = redundancy.child("points-of-failure")
        self._points = points = redundancy.child("single-point-of-failure")
        self._point_entity = points.child("entity")
        self._point_interface = points.child("interface")

    def served(self, topology: Topology, known: Mapping[str, Entity], order: Callable[[], Entities]) -> Inner:
        """The container; ``order`` gives the entities in the order in which they are served."""
        nodes = _Nodes(self, topology, known, order)
        return Late(self.container, lambda: {self.node: ListNode(self.node, nodes)})

    def render(self, entity: Entity, supply: Supply) -> Inner:
        """One entry."""
        children: dict[SchemaNode, Data] = {
            self._entity: entity.id,
            self._uuid: entity.uuid,
            self._level: str(supply.level),
            self._powered: boolean(supply.powered),
        }
        if supply.ways:
            feeds: dict[Key, Inner] = {
                (str(place),): self._render_feed(entity.id, way) for place, way in enumerate(supply.ways)
            }
            children[self._feed] = ListNode(self._feed, feeds)
        redundancy: dict[SchemaNode, Data] = {
            self._state: supply.state.value,
            self._feeds: str(len(supply.ways)),
            self._supplying: str(supply.supplying),
            self._sources: str(supply.sources),
            self._count: str(supply.point_count),
        }
        if supply.points:
            points: dict[Key, Inner] = {}
            for point in supply.points:
                below: dict[SchemaNode, Data] = {self._point_entity: point if isinstance(point, str) else point.entity}
                if not isinstance(point, str):
                    below[self._point_interface] = point.interface
                points[str(len(points)),] = Leaves(self._points, below)
            redundancy[self._points] = ListNode(self._points, points)
        children[self._redundancy] = Leaves(self._redundancy, redundancy)
        return Leaves(self.node, children)

    def _render_feed(self, entity: str, way: Way) -> Inner:
        feed = way.feed
        told = (
            (self._source, feed.source or None),
            (self._outlet, feed.outlet),
            (self._component, way.part if way.part != entity else None),
            (self._inlet, feed.inlet),
            (self._passes, boolean(way.passes)),
            (self._supplies, boolean(way.supplies)),
            (self._left, str(way.sources_left)),
        )
        return Leaves(self._feed, {node: value for node, value in told if value is not None})


class _Nodes(Mapping[Key, Inner]):
    """The entries of the list node, each worked out when it is asked for."""

    def __init__(
        self, nodes: TopologyNodes, topology: Topology, known: Mapping[str, Entity], order: Callable[[], Entities]
    ) -> None:
        self._nodes = nodes
        self._topology = topology
        self._known = known
        self._order = order

    def __getitem__(self, key: Key) -> Inner:
        if key not in self:
            raise KeyError(key)
        return self._nodes.render(self._known[key[0]], self._topology.supply(key[0]))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 1 and key[0] in self._known and self._topology.wired(key[0])

    def __iter__(self) -> Iterator[Key]:
        return (key for key in self._order() if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

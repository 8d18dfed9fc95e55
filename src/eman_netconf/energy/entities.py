"""Entities: one record of what is configured, what is discovered and what is read of a device or a part of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from eman_netconf.energy.accumulation import Flow
from eman_netconf.energy.anomalies import Anomalies, AnomalyNodes
from eman_netconf.energy.batteries import Battery, BatteryNodes
from eman_netconf.energy.canonical import Identities, clipped, decimal64
from eman_netconf.energy.interfaces import ForeignIdNodes, Interface, InterfaceNodes
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.power_states import PowerStates, StateNodes
from eman_netconf.energy.printing import Base, Entry, Leaves
from eman_netconf.energy.quantities import ReadingNodes
from eman_netconf.energy.relationships import Graph, Relation
from eman_netconf.energy.requests import Holder
from eman_netconf.energy.state_sets import StateSets
from eman_netconf.energy.taps import Extra, Selector, Tap
from eman_netconf.energy.values import EntityInfo, LinkState, Point
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

ENTITY_CLASS = "eman-entity:entity-class"
_decimal = decimal64(3)
_UNFIT = re.compile(r"[^A-Za-z0-9._~\-]+")
_CATEGORIES = frozenset({"consumer", "producer", "meter", "distributor", "store"})
_CURRENTS = frozenset({"ac", "dc", "mixed"})


class Reachability(StrEnum):
    """Whether the server gets readings of an entity, the best first."""

    REACHABLE = "reachable"
    STALE = "stale"
    UNREACHABLE = "unreachable"


_BEST = {reach: rank for rank, reach in enumerate(Reachability)}

#: What the state of a link makes of the entities behind it.
REACHED: Mapping[LinkState, Reachability] = {
    LinkState.CLOSED: Reachability.UNREACHABLE,
    LinkState.OPENING: Reachability.UNREACHABLE,
    LinkState.UP: Reachability.REACHABLE,
    LinkState.STALE: Reachability.STALE,
    LinkState.BACKING_OFF: Reachability.UNREACHABLE,
}


def worst(*reaches: Reachability) -> Reachability:
    return max(reaches, key=_BEST.__getitem__)


def fit_name(text: str, length: int) -> str:
    """``text`` as an entity-id or name: what they cannot hold becomes hyphens; "" when nothing is left."""
    return _UNFIT.sub("-", text).lstrip("-._~")[:length]


class EntityNodes:
    """The schema nodes of the list entity, with those of everything below."""

    def __init__(self, schema: Schema, identities: Identities, new_uuid: Callable[[str], str]) -> None:
        self.identities = identities
        self.new_uuid = new_uuid
        self.entities = schema.find("/eman-entity:energy-management/entities")
        self.entity = entity = self.entities.child("entity")
        self.id = entity.child("id")
        self.uuid = entity.child("uuid")
        self.identifier_persistence = entity.child("identifier-persistence")
        self.name = entity.child("name")
        self.description = entity.child("description")
        self.entity_class = entity.child("class")
        self.manufacturer = entity.child("manufacturer")
        self.model = entity.child("model")
        self.firmware_version = entity.child("firmware-version")
        self.contained_in = entity.child("contained-in")
        self.foreign_ids = ForeignIdNodes(entity, identities)
        self.role = entity.child("role")
        self.keyword = entity.child("keyword")
        self.category = entity.child("category")
        self.vital = entity.child("vital")
        self.lifecycle = entity.child("lifecycle")
        self.power_priority = entity.child("power-priority")
        self.importance = entity.child("importance")
        self.nameplate_power = entity.child("nameplate-power")
        self.current_type = entity.child("current-type")
        self.reachability = entity.child("reachability")
        self.reachability_since = entity.child("reachability-since")
        self.backend = entity.child("backend")
        self.domain = entity.child("domain")
        self.group = entity.child("group")
        classes = {name.rpartition(":")[2]: name for name in identities.derived("eman-types:accuracy-class")}
        classes.update({name: name for name in classes.values()})
        self.accuracy_classes = classes
        self.readings = ReadingNodes(entity, classes)
        self.interfaces = InterfaceNodes(entity, identities, classes)
        self.states = StateNodes(entity)
        self.batteries = BatteryNodes(entity, identities)
        self.anomalies = AnomalyNodes(entity)
        self.relationship = relation = entity.child("relationship")
        self.relation_type = relation.child("type")
        self.peer = relation.child("peer")
        self.peer_uuid = relation.child("peer-uuid")
        self.relation_interface = relation.child("interface")
        self.relation_peer_interface = relation.child("peer-interface")
        self.reports = relation.child("reports")
        self.controls = relation.child("controls")
        self.endpoint = relation.child("endpoint")
        self.evidence = relation.child("evidence")
        self.report_bits = ("power", "energy", "electrical", "power-state", "battery", "series")
        self.control_bits = ("power-state", "power-limit", "supply")
        self.laid: set[SchemaNode] = set()  # lists of which the entries are an extra's
        self.stirred: set[str] = set()  # ids of entities that show something else than before, readings aside
        self.shifted: set[str] = set()  # the same, for those who keep in mind what hangs on what
        self.unsaved: dict[Entity, None] = {}  # whose counters or wishes changed since they were last persisted


class SiteView(Protocol):
    """What an entity needs of the others to be rendered."""

    graph: Graph

    def uuid_of(self, entity: str) -> str | None:
        """The uuid of an entity of this server; None of others."""

    def sources_pass(self, interface: Interface) -> bool | None:
        """Whether a source of an inlet passes power; None = no source is known."""


class Teller:
    """A backend as far as it tells about one entity: what it said, and whether it still does."""

    __slots__ = ("backend", "info", "point", "reach")

    def __init__(self, backend: str, info: EntityInfo) -> None:
        self.backend = backend
        self.info = info
        self.point = Point(info.local)
        self.reach = Reachability.REACHABLE


class Entity:
    """The record of one entity. Everything rendered is remembered until ``*_changed`` says it no longer holds."""

    __slots__ = (
        "_base",
        "_batteries_node",
        "_interfaces_node",
        "_relations_node",
        "anomalies",
        "batteries",
        "config",
        "extras",
        "going_off",
        "groups",
        "id",
        "interfaces",
        "key",
        "limit_holder",
        "meter",
        "node",
        "nodes",
        "reach",
        "reach_since",
        "stands_for",
        "state_holder",
        "states",
        "tapped",
        "tellers",
        "uuid",
    )

    def __init__(self, nodes: EntityNodes, sets: StateSets, id_: str) -> None:
        self.nodes = nodes
        self.id = id_
        self.key: Key = (id_,)
        self.uuid = ""  # given as soon as it appears
        self.config: Inner | None = None
        self.tellers: dict[tuple[str, str], Teller] = {}  # by backend and local name
        self.meter = Meter(nodes.readings, self)
        self.interfaces: dict[str, Interface] = {}
        self.states = PowerStates(nodes.states, sets)
        self.batteries: dict[str, Battery] = {}
        self.stands_for: Battery | None = None  # the battery of another entity that this one is
        self.groups: tuple[str, ...] = ()
        self.extras: dict[str, Extra] = {}
        self.tapped: dict[str, tuple[tuple[Selector, Tap], ...]] = {}
        self.reach: Reachability | None = None
        self.reach_since: float | None = None
        self.anomalies: Anomalies | None = None  # as soon as there was one
        self.going_off = False  # a command under way or planned turns it off
        self.state_holder = Holder()
        self.limit_holder = Holder()
        self.node: Entry | None = None
        self._base: Base | None = None
        self._interfaces_node: ListNode | None = None
        self._relations_node: ListNode | None = None
        self._batteries_node: ListNode | None = None
        self.keep()

    # what it is

    @property
    def record_key(self) -> str:
        """By which its records are kept."""
        return self.id

    @property
    def node_of_list(self) -> SchemaNode:
        return self.nodes.entity

    def configured(self, node: SchemaNode) -> str | None:
        """The configured value of a leaf of the entity."""
        value = self.config.get(node) if self.config is not None else None
        return value if isinstance(value, str) else None

    def value(self, node: SchemaNode) -> str | None:
        """The value of an identity leaf, configured or else discovered."""
        value = self.base.children.get(node)
        return value if isinstance(value, str) else None

    def values(self, node: SchemaNode) -> tuple[str, ...]:
        """The configured values of a leaf-list."""
        value = self.config.get(node) if self.config is not None else None
        return value if isinstance(value, tuple) else ()

    @property
    def container(self) -> str | None:
        """The entity it is contained in, as configured or else discovered."""
        configured = self.configured(self.nodes.contained_in)
        if configured is not None:
            return configured
        return next((clipped(info.contained_in, 128) for info in self.infos if info.contained_in), None)

    @property
    def vital(self) -> bool:
        return self.configured(self.nodes.vital) == "true"

    @property
    def life(self) -> str:
        """Where it stands in its life: planned, in-service or retired."""
        return self.configured(self.nodes.lifecycle) or "in-service"

    @property
    def in_service(self) -> bool:
        """Whether it takes commands, raises alarms and adds to totals."""
        return self.life == "in-service"

    @property
    def runs(self) -> bool:
        """Whether it can be counted on to pass power on: not off, and nobody is about to turn it off."""
        return not self.going_off and not self.states.is_off

    @property
    def backends(self) -> list[str]:
        return list(dict.fromkeys(teller.backend for teller in self.tellers.values()))

    @property
    def exists(self) -> bool:
        return self.config is not None or bool(self.tellers)

    @property
    def infos(self) -> list[EntityInfo]:
        return [teller.info for teller in self.tellers.values()]

    def rename(self, id_: str) -> None:
        """The same thing under another id."""
        self.stir()
        self.id, self.key = id_, (id_,)
        for interface in self.interfaces.values():
            interface.end = interface.end._replace(entity=id_)
            interface.wires_changed()
            interface.identity_changed()
        for holder in self.holders():
            for request in holder.wishes.values():
                request.target = request.target._replace(entity=id_)
        self.identity_changed()
        self.keep()

    def holders(self) -> list[Holder]:
        """Where the wishes for it, its interfaces and its batteries are kept."""
        interfaces = [interface.holder for interface in self.interfaces.values()]
        batteries = [battery.test.holder for battery in self.batteries.values()]
        return [self.state_holder, self.limit_holder, *interfaces, *batteries]

    # reachability

    def judge_reach(self, wall: float) -> bool:
        """Work out the reachability from all who tell about the entity; whether it changed."""
        best = min((teller.reach for teller in self.tellers.values()), key=_BEST.__getitem__, default=None)
        if best is self.reach:
            return False
        self.reach, self.reach_since = best, wall
        hidden = best is Reachability.UNREACHABLE
        if hidden is not self.meter.hidden:
            for meter in (self.meter, *(interface.meter for interface in self.interfaces.values())):
                meter.hidden = hidden
                meter.reset()
            for battery in self.batteries.values():
                battery.hide(hidden=hidden)
            self.batteries_changed()
        self.stir()
        return True

    # invalidation

    def changed(self) -> None:
        """A reading of the entity itself is not what it was."""
        self.node = None

    def stir(self) -> None:
        """Something else than a reading is not what it was."""
        self.node = None
        self.nodes.stirred.add(self.id)
        self.nodes.shifted.add(self.id)

    def keep(self) -> None:
        """Its counters or wishes are not what they were: its record is to be persisted."""
        self.nodes.unsaved[self] = None

    def flowed(self, flow: Flow, wall: float) -> None:
        """Energy flowed: the power states take their share."""
        energy = self.meter.energy
        self.states.flowed(flow, wall, received=energy.received is not None, provided=energy.provided is not None)
        self.keep()
        self.node = None

    def corrected(self, received: int, provided: int, wall: float) -> None:
        """Somebody knows better what flowed."""
        self.states.corrected(received, provided, wall)
        self.keep()

    def identity_changed(self) -> None:
        self._base = None
        self.stir()

    def interface_read(self) -> None:
        """A reading of an interface is not what it was."""
        self._interfaces_node = self.node = None

    def interface_changed(self) -> None:
        self._interfaces_node = None
        self.stir()

    def relations_changed(self) -> None:
        self._relations_node = None
        self.stir()

    def batteries_changed(self) -> None:
        self._batteries_node = None
        self.stir()

    def states_changed(self) -> None:
        self.states.node = None
        self.stir()

    # rendering

    def render(self, site: SiteView) -> Entry:
        """The entry, remembered until something in it changes."""
        if self.node is not None:
            return self.node
        nodes = self.nodes
        base = self.base
        children = dict(base.children)
        if self.reach is not None and self.reach_since is not None:
            children[nodes.reachability] = self.reach.value
            children[nodes.reachability_since] = stamp(self.reach_since)
        self.meter.render(children)
        if self.interfaces:
            interfaces = self._interfaces_node
            if interfaces is None:
                interfaces = self._interfaces_node = self._render_interfaces(site)
            children[nodes.interfaces.interface] = interfaces
        children[nodes.states.container] = self.states.node or self.states.render(
            self.state_holder.in_force or self.limit_holder.in_force
        )
        relations = self._relations_node
        if relations is None:
            relations = self._relations_node = self._render_relations(site)
        if relations.entries:
            children[nodes.relationship] = relations
        if self.batteries:
            batteries = self._batteries_node
            if batteries is None:
                rendered: dict[Key, Inner] = {(battery.name,): battery.render() for battery in self.batteries.values()}
                batteries = self._batteries_node = ListNode(nodes.batteries.battery, rendered)
            children[nodes.batteries.battery] = batteries
        for extra in self.extras.values():
            extra.lay(children)
        self.node = Entry(nodes.entity, base, children)
        return self.node

    def _render_interfaces(self, site: SiteView) -> ListNode:
        entries: dict[Key, Inner] = {}
        for interface in self.interfaces.values():
            node = interface.node
            if node is None:
                node = interface.render(site.graph.wired, site.uuid_of, site.sources_pass(interface))
            entries[interface.name,] = node
        return ListNode(self.nodes.interfaces.interface, entries)

    @property
    def base(self) -> Base:
        """Who the entity is: what is configured over what is discovered, without what has a part of its own."""
        if self._base is None:
            self._base = Base(self._lay_base())
        return self._base

    def _lay_base(self) -> dict[SchemaNode, Data]:
        nodes = self.nodes
        children: dict[SchemaNode, Data] = {nodes.id: self.id}
        for info in reversed(self.infos):
            self._lay_info(children, info)
        if self.config is not None:
            children.update(self.config.children)
            for node in (nodes.interfaces.interface, nodes.states.container, nodes.relationship, *nodes.laid):
                children.pop(node, None)
            children.pop(nodes.batteries.battery, None)
        if self.tellers:
            nodes.foreign_ids.lay(children, [foreign for info in self.infos for foreign in info.foreign_ids])
            children[nodes.backend] = tuple(self.backends)
        children[nodes.uuid] = self.uuid
        if self.groups:
            children[nodes.group] = self.groups
        return children

    def _lay_info(self, children: dict[SchemaNode, Data], info: EntityInfo) -> None:
        nodes = self.nodes
        told = (
            (nodes.name, info.name, 255),
            (nodes.description, info.description, 1024),
            (nodes.manufacturer, info.manufacturer, 255),
            (nodes.model, info.model, 255),
            (nodes.firmware_version, info.firmware_version, 255),
            (nodes.contained_in, info.contained_in, 128),
            (nodes.category, info.category if info.category in _CATEGORIES else None, 255),
            (nodes.current_type, info.current_type if info.current_type in _CURRENTS else None, 255),
            (nodes.role, info.role, 255),
        )
        children.update((node, clipped(text, length)) for node, text, length in told if text)
        entity_class = nodes.identities.find(info.entity_class, ENTITY_CLASS)
        if entity_class is not None:
            children[nodes.entity_class] = entity_class
        keywords = tuple(dict.fromkeys(clipped(word, 255) for word in info.keywords if word))
        if keywords:
            children[nodes.keyword] = keywords
        if info.importance is not None and 1 <= info.importance <= 100:
            children[nodes.importance] = str(info.importance)
        if info.nameplate_power is not None:
            children[nodes.nameplate_power] = _decimal(info.nameplate_power)
        children[nodes.identifier_persistence] = info.identifier_persistence.value

    def _render_relations(self, site: SiteView) -> ListNode:
        nodes = self.nodes
        configured = self.config.get(nodes.relationship) if self.config is not None else None
        entries: dict[Key, Inner] = {}
        for relation in site.graph.of(self.id):
            key = relation.type, relation.peer
            own = configured.entries.get(key) if isinstance(configured, ListNode) else None
            entries[key] = Leaves(nodes.relationship, self._lay_relation(site, relation, own))
        return ListNode(nodes.relationship, entries)

    def _lay_relation(self, site: SiteView, relation: Relation, own: Inner | None) -> dict[SchemaNode, Data]:
        nodes = self.nodes
        children: dict[SchemaNode, Data] = {nodes.relation_type: relation.type, nodes.peer: relation.peer}
        if relation.interfaces:
            children[nodes.relation_interface] = relation.interfaces
        if relation.peer_interfaces:
            children[nodes.relation_peer_interface] = relation.peer_interfaces
        if relation.reports:
            children[nodes.reports] = " ".join(bit for bit in nodes.report_bits if bit in relation.reports)
        if relation.controls:
            children[nodes.controls] = " ".join(bit for bit in nodes.control_bits if bit in relation.controls)
        if relation.endpoint:
            children[nodes.endpoint] = relation.endpoint
        if own is not None:
            children.update(own.children)
        uuid = site.uuid_of(relation.peer)
        if uuid is not None:
            children[nodes.peer_uuid] = uuid
        children[nodes.evidence] = relation.evidence.value
        return children

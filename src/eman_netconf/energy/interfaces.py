"""Power interfaces of an entity: inlets and outlets, their wires, their supply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from eman_netconf.energy.accumulation import Flow
from eman_netconf.energy.canonical import Identities, boolean, clipped, decimal64, is_uuid, optional
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.pacing import Pace, PacingNodes
from eman_netconf.energy.printing import Base, Entry, Leaves
from eman_netconf.energy.quantities import ReadingNodes
from eman_netconf.energy.relationships import End, Evidence, Role
from eman_netconf.energy.requests import Holder, RequestNodes
from eman_netconf.energy.values import Direction, ForeignId, InterfaceInfo, Neighbour, Point, Quantity, Supply
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

if TYPE_CHECKING:
    from eman_netconf.energy.entities import Entity

FOREIGN_ID_KIND = "eman-entity:foreign-id-kind"
_WIRINGS = frozenset({"single", "split", "delta", "wye"})
_DIRECTIONS: Mapping[str, Direction] = {direction.value: direction for direction in Direction}
_decimal = decimal64(3)


class ForeignIdNodes:
    """The schema nodes of the list foreign-id below ``parent``."""

    def __init__(self, parent: SchemaNode, identities: Identities) -> None:
        self._identities = identities
        self.list = parent.child("foreign-id")
        self.kind = self.list.child("kind")
        self.value = self.list.child("value")
        self.authority = self.list.child("authority")
        self.persistence = self.list.child("persistence")

    def canonical(self, known: Iterable[ForeignId]) -> list[tuple[tuple[str, str], ForeignId]]:
        """Discovered identifiers with their keys (canonical kind, value); those that fit no leaf are left out."""
        found: list[tuple[tuple[str, str], ForeignId]] = []
        for foreign in known:
            kind = self._identities.find(foreign.kind, FOREIGN_ID_KIND)
            if kind is not None and 0 < len(foreign.value) <= 255:
                found.append(((kind, clipped(foreign.value)), foreign))
        return found

    def lay(self, children: dict[SchemaNode, Data], known: Iterable[ForeignId]) -> None:
        """Add what was discovered to the configured entries that ``children`` may hold already."""
        learned = self.canonical(known)
        if not learned:
            return
        configured = children.get(self.list)
        entries: dict[Key, Inner] = dict(configured.entries) if isinstance(configured, ListNode) else {}
        for key, foreign in learned:
            below: dict[SchemaNode, Data] = {self.kind: key[0], self.value: key[1]}
            if foreign.authority:
                below[self.authority] = clipped(foreign.authority)
            below[self.persistence] = foreign.persistence.value
            entries[key] = Inner(self.list, below)
        children[self.list] = ListNode(self.list, entries)


class InterfaceNodes:
    """The schema nodes of the list power-interface below ``entity``."""

    def __init__(self, entity: SchemaNode, identities: Identities, accuracy_classes: Mapping[str, str]) -> None:
        self.interface = interface = entity.child("power-interface")
        self.name = interface.child("name")
        self.uuid = interface.child("uuid")
        self.label = interface.child("label")
        self.foreign_ids = ForeignIdNodes(interface, identities)
        self.direction = interface.child("direction")
        self.operational_direction = interface.child("operational-direction")
        self.current_type = interface.child("current-type")
        self.nominal_voltage = interface.child("nominal-voltage")
        self.minimum = self.nominal_voltage.child("minimum")
        self.maximum = self.nominal_voltage.child("maximum")
        self.nominal_frequency = interface.child("nominal-frequency")
        self.ac_phases = interface.child("ac-phases")
        self.ac_configuration = interface.child("ac-configuration")
        self.rated_current = interface.child("rated-current")
        self.rated_power = interface.child("rated-power")
        self.connected_to = wire = interface.child("connected-to")
        self.peer_entity = wire.child("entity")
        self.peer_interface = wire.child("interface")
        self.peer_uuid = wire.child("entity-uuid")
        self.peer_role = wire.child("peer-role")
        self.evidence = wire.child("evidence")
        self.neighbour = neighbour = interface.child("neighbour")
        self.neighbour_name = neighbour.child("name")
        self.neighbour_description = neighbour.child("description")
        self.neighbour_interface = neighbour.child("interface")
        self.neighbour_ids = ForeignIdNodes(neighbour, identities)
        self.power_available = interface.child("power-available")
        self.in_use = interface.child("in-use")
        self.control = optional(interface, "control")
        self.supply = supply = interface.child("supply")
        self.oper_state = supply.child("oper-state")
        self.oper_state_since = supply.child("oper-state-since")
        self.request = RequestNodes(supply.child("request"))
        pacing = optional(supply, "pacing")
        self.pacing = PacingNodes(pacing) if pacing is not None else None
        self.readings = ReadingNodes(interface, accuracy_classes)


Wires = Callable[[End], Iterable[tuple[End, Role | None, Evidence]]]


class Interface:
    """One power interface of one entity, configured, discovered, or only named by a wire."""

    __slots__ = (
        "_base",
        "_connected",
        "_nodes",
        "_supply_node",
        "_taken",
        "available",
        "config",
        "end",
        "entity",
        "holder",
        "in_use",
        "info",
        "meter",
        "name",
        "node",
        "operational_direction",
        "pace",
        "pending",
        "supply",
        "supply_since",
        "switch",
    )

    def __init__(self, nodes: InterfaceNodes, entity: Entity, name: str) -> None:
        self._nodes = nodes
        self.entity = entity
        self.name = name
        self.end = End(entity.id, name)
        self.meter = Meter(nodes.readings, self)
        self.info: InterfaceInfo | None = None
        self.config: Inner | None = None
        self.switch: tuple[str, Point] | None = None  # how its supply is switched: backend and point
        self.holder = Holder()  # the wishes for its supply
        self.pace: Pace | None = None  # how often its supply may be switched, where that is limited
        self.pending: Supply | None = None  # what a command under way or planned makes of it
        self.supply: Supply | None = None
        self.supply_since: float | None = None
        self.available: bool | None = None  # as read
        self.in_use: bool | None = None  # as read
        self.operational_direction: Direction | None = None  # as read
        self._taken: dict[Quantity, tuple[float, float]] = {}  # when the last reading held: monotonic, wall clock
        self.node: Inner | None = None
        self._base: Base | None = None
        self._connected: ListNode | None = None
        self._supply_node: Inner | None = None

    # what it is

    @property
    def uuid(self) -> str:
        """Its own where the device tells one, else one made of its entity's and its name."""
        told = self.info.uuid if self.info is not None else None
        if told is not None and is_uuid(told):
            return told.lower()
        return self.entity.nodes.new_uuid(f"{self.entity.uuid}/{self.name}")

    @property
    def built_as(self) -> Direction | None:
        """What it is built for, as configured or else as the device says."""
        configured = self.config.get(self._nodes.direction) if self.config is not None else None
        if isinstance(configured, str):
            return _DIRECTIONS[configured]
        return self.info.direction if self.info is not None else None

    @property
    def works_as(self) -> Direction | None:
        """What it works as at present; None where it may be either or nobody knows."""
        if self.operational_direction is not None:
            return self.operational_direction
        built = self.built_as
        return built if built is not Direction.BOTH else None

    @property
    def admin_state(self) -> str | None:
        """The standing wish for its supply."""
        supply = self.config.get(self._nodes.supply) if self.config is not None else None
        return supply.leaf("admin-state") if isinstance(supply, Inner) else None

    @property
    def exists(self) -> bool:
        """Whether it is configured or discovered, and not only named by a wire."""
        return self.info is not None or self.config is not None

    @property
    def passes(self) -> bool:
        """Whether it can be counted on to pass power: on as far as known, and nobody is about to switch it off."""
        return self.supply in (None, Supply.ON) and self.pending is not Supply.OFF

    # readings in

    def fresh(self, quantity: Quantity, at: float, mono: float) -> bool:
        """Whether a reading is newer than the last one of its quantity; remembers it if so."""
        last = self._taken.get(quantity)
        if last is not None and (mono <= last[0] or at == last[1]):
            return False
        self._taken[quantity] = (mono, at)
        return True

    def found(self, supply: Supply, at: float) -> Supply | None:
        """The supply is found to be ``supply``; what it was before (None = not known)."""
        before = self.supply
        if before is not supply:
            self.supply, self.supply_since = supply, at
            self.supply_changed()
        return before

    # invalidation

    def changed(self) -> None:
        """A reading is not what it was."""
        self.node = None
        self.entity.interface_read()

    def turned(self) -> None:
        """Something else than a reading is not what it was."""
        self.node = None
        self.entity.interface_changed()

    def flowed(self, flow: Flow, wall: float) -> None:
        """Its own energy only goes into the sums its meter knows."""

    def corrected(self, received: int, provided: int, wall: float) -> None:
        """Somebody knows better what flowed."""
        self.entity.keep()

    def identity_changed(self) -> None:
        self._base = None
        self.turned()

    def wires_changed(self) -> None:
        self._connected = None
        self.turned()

    def supply_changed(self) -> None:
        self._supply_node = None
        self.turned()

    # rendering

    def render(self, wires: Wires, uuid_of: Callable[[str], str | None], sources_pass: bool | None) -> Inner:
        """The entry. ``sources_pass``: whether a source feeds it, of an inlet; None = not known."""
        nodes = self._nodes
        base = self._base
        if base is None:
            base = self._base = Base(self._lay_base())
        children = dict(base.children)
        if self._connected is None:
            self._connected = self._render_wires(wires, uuid_of)
        if self._connected.entries:
            children[nodes.connected_to] = self._connected
        direction = self.works_as
        if direction is not None:
            children[nodes.operational_direction] = direction.value
        available = self._available(sources_pass)
        if available is not None:
            children[nodes.power_available] = boolean(available)
        used = self._used()
        if used is not None:
            children[nodes.in_use] = boolean(used)
        supply = self._supply_node
        if supply is None:
            configured = self.config.get(nodes.supply) if self.config is not None else None
            supply = self._supply_node = self._render_supply(configured)
        if supply.children:
            children[nodes.supply] = supply
        self.meter.render(children)
        self.node = Entry(nodes.interface, base, children)
        return self.node

    def _available(self, sources_pass: bool | None) -> bool | None:
        if self.available is not None:
            return self.available
        if self.supply is not None and self.works_as is not Direction.INLET:
            return self.supply is Supply.ON
        return sources_pass if self.works_as is Direction.INLET else None

    def _used(self) -> bool | None:
        if self.in_use is not None:
            return self.in_use
        return self.meter.flows

    def _lay_base(self) -> dict[SchemaNode, Data]:
        nodes = self._nodes
        children: dict[SchemaNode, Data] = {nodes.name: self.name}
        info = self.info
        if info is not None:
            children[nodes.direction] = info.direction.value
            told = (
                (nodes.label, clipped(info.label) if info.label else None),
                (nodes.current_type, info.current_type if info.current_type in ("ac", "dc") else None),
                (nodes.nominal_frequency, None if info.nominal_frequency is None else _decimal(info.nominal_frequency)),
                (nodes.ac_phases, str(info.ac_phases) if info.ac_phases in (1, 2, 3) else None),
                (nodes.ac_configuration, info.ac_configuration if info.ac_configuration in _WIRINGS else None),
                (nodes.rated_current, None if info.rated_current is None else _decimal(info.rated_current)),
                (nodes.rated_power, None if info.rated_power is None else _decimal(info.rated_power)),
            )
            children.update((node, value) for node, value in told if value is not None)
            if info.nominal_voltage is not None:
                low, high = info.nominal_voltage
                children[nodes.nominal_voltage] = Inner(
                    nodes.nominal_voltage, {nodes.minimum: _decimal(low), nodes.maximum: _decimal(high)}
                )
        if self.config is not None:
            children.update(self.config.children)
        children.pop(nodes.connected_to, None)  # shown from the graph, where configured wires are, too
        children.pop(nodes.supply, None)  # rendered with what is read of it
        children[nodes.uuid] = self.uuid
        if info is not None:
            nodes.foreign_ids.lay(children, info.foreign_ids)
            if info.neighbour is not None:
                children[nodes.neighbour] = self._lay_neighbour(info.neighbour)
        return children

    def _lay_neighbour(self, neighbour: Neighbour) -> Inner:
        nodes = self._nodes
        told = (
            (nodes.neighbour_name, neighbour.name),
            (nodes.neighbour_description, neighbour.description),
            (nodes.neighbour_interface, neighbour.interface),
        )
        children: dict[SchemaNode, Data] = {node: clipped(text) for node, text in told if text}
        nodes.neighbour_ids.lay(children, neighbour.foreign_ids)
        return Inner(nodes.neighbour, children)

    def _render_wires(self, wires: Wires, uuid_of: Callable[[str], str | None]) -> ListNode:
        nodes = self._nodes
        entries: dict[Key, Inner] = {}
        for other, role, evidence in wires(self.end):
            children: dict[SchemaNode, Data] = {
                nodes.peer_entity: other.entity,
                nodes.peer_interface: other.interface,
                nodes.evidence: evidence.value,
            }
            uuid = uuid_of(other.entity)
            if uuid is not None:
                children[nodes.peer_uuid] = uuid
            if role is not None:
                children[nodes.peer_role] = role.value
            entries[other] = Leaves(nodes.connected_to, children)
        return ListNode(nodes.connected_to, entries)

    def _render_supply(self, configured: Data | None) -> Inner:
        nodes = self._nodes
        children: dict[SchemaNode, Data] = dict(configured.children) if isinstance(configured, Inner) else {}
        if self.supply is not None and self.supply_since is not None:
            children[nodes.oper_state] = self.supply.value
            children[nodes.oper_state_since] = stamp(self.supply_since)
        if nodes.pacing is not None:
            nodes.pacing.lay(children, self.pace)
        request = self.holder.in_force
        if request is not None:
            children[nodes.request.container] = nodes.request.render(request)
        return Leaves(nodes.supply, children)

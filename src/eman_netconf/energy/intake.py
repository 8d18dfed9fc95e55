"""Readings taken in: each to the record its point means, and what follows from it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from eman_netconf.energy.accumulation import RANK
from eman_netconf.energy.anomalies import Anomalies, Kind
from eman_netconf.energy.batteries import QUANTITIES as BATTERY_QUANTITIES
from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.canonical import finite, in_thousandths
from eman_netconf.energy.control import Control
from eman_netconf.energy.effects import Changed, Effect
from eman_netconf.energy.entities import REACHED, Entity, Reachability, worst
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.links import Link
from eman_netconf.energy.quantities import COUNTERS, GAUGES, MOST
from eman_netconf.energy.relationships import End, Role
from eman_netconf.energy.requests import Request
from eman_netconf.energy.site import Site
from eman_netconf.energy.state_sets import IEEE1621
from eman_netconf.energy.sums import Quality, Watts
from eman_netconf.energy.values import Direction, Method, Now, Point, Quantity, Reading, RequestState, Supply

_METERED = frozenset({*GAUGES, *COUNTERS})
_LAST_STAMP = 253_402_300_799.0  # the last second that a date-and-time can hold
_GIVEN_UP = 300.0  # seconds an entity behind a live link may be missing before it counts as unreachable
_OPEN = (RequestState.PENDING, RequestState.OUTCOME_UNKNOWN)


class Intake:
    """What happens with one pass of one backend."""

    def __init__(self, site: Site, control: Control) -> None:
        self._site = site
        self._control = control
        self._handlers: Mapping[Quantity, Callable[[Entity, Interface | None, Reading, float, Now, list[Effect]], str]]
        self._handlers = {
            Quantity.POWER_STATE: self._power_state,
            Quantity.SUPPLY_STATE: self._supply_state,
            Quantity.POWER_AVAILABLE: self._flag,
            Quantity.IN_USE: self._flag,
            Quantity.OPERATIONAL_DIRECTION: self._direction,
            Quantity.POWER_LIMIT: self._power_limit,
            Quantity.LOCAL_CONTROL: self._local_control,
        }

    def take(self, link: Link, readings: Iterable[Reading], now: Now, out: list[Effect]) -> None:
        """Take readings in their order. Those of unknown points, late ones and impossible values change nothing.

        What is wrong with them is noted at the entity, or at the link where they are of no entity.
        """
        changed: dict[tuple[str, str], None] = {}
        points = link.points
        wall, mono_now = now.wall, now.mono
        for reading in readings:
            found = points.get(reading.point)
            if found is None:
                link.unknown(reading.point, out)
                continue
            entity, thing = found
            if reading.method not in RANK or not 0 <= reading.at <= _LAST_STAMP:
                self._note(entity, Kind.MALFORMED, reading, now, out, taken=False)
                continue
            # the monotonic instant at which it held; a stamp from the future is taken as now
            age = wall - reading.at
            mono = mono_now - age if age > 0 else mono_now
            quantity = reading.quantity
            part: str | None
            if quantity in _METERED:
                if isinstance(thing, Battery):
                    continue
                interface = thing
                meter = entity.meter if interface is None else interface.meter
                first = not meter.measures
                part = meter.take(quantity, reading, mono)
                if meter.odd is not None:
                    odd, meter.odd = meter.odd, None
                    self._note(entity, odd, reading, now, out, taken=part is not None)
                elif part is not None and entity.anomalies is not None and entity.anomalies.active:
                    self._good(entity, reading, out)
                if part is None:
                    continue
                taps = meter.taps
                if taps is not None and part != "energy":
                    value: Decimal = reading.value  # type: ignore[assignment]  # a gauge's, which was taken
                    taps.observe(reading.phase or 0, quantity, value, reading.method, reading.at, mono, out)
                if interface is not None:
                    part = "power-interface"
                if first and interface is not None:
                    self._site.now_measured(interface)
                if part == "energy" or interface is not None:
                    entity.keep()
            elif isinstance(reading.value, Decimal | float) and not finite(reading.value):
                self._note(entity, Kind.NOT_A_NUMBER, reading, now, out, taken=False)
                continue
            elif isinstance(thing, Battery):
                part = self._battery(entity, thing, reading, mono, now, out)
            elif quantity in self._handlers:
                part = self._handlers[quantity](entity, thing, reading, mono, now, out)
            else:
                continue
            if part:
                changed[entity.id, part] = None
        out.extend(Changed(entity_id, part) for entity_id, part in changed)

    def _note(self, entity: Entity, odd: Kind, reading: Reading, now: Now, out: list[Effect], *, taken: bool) -> None:
        """Keep what is odd about a reading where it is seen."""
        anomalies = entity.anomalies
        if anomalies is None:
            anomalies = entity.anomalies = Anomalies(self._site.nodes.anomalies)
            entity.extras["anomalies"] = anomalies
        if anomalies.note(odd, entity.id, reading, now, out, taken=taken):
            entity.stir()
        else:
            entity.changed()

    def _good(self, entity: Entity, reading: Reading, out: list[Effect]) -> None:
        """A reading is as it should be: what was wrong with its quantity is past."""
        if entity.anomalies is not None and entity.anomalies.good(entity.id, reading, out):
            entity.stir()

    # --- who answered

    def missing(
        self, link: Link, missing: Mapping[Point, str], seen: Iterable[str], now: Now, out: list[Effect]
    ) -> None:
        """Entities that should have answered but did not become stale, and unreachable when it lasts."""
        for local in link.missed.keys() & set(seen):
            del link.missed[local]
            self._judge(link, local, now, out)
        for point in missing:
            if point.interface is None and point.battery is None and point.entity in link.tells:
                link.missed.setdefault(point.entity, now.mono)
                self._judge(link, point.entity, now, out)

    def link_turned(self, link: Link, now: Now, out: list[Effect]) -> None:
        """The way to a backend is in another state, so are all the entities behind it."""
        for local in link.tells:
            self._judge(link, local, now, out)

    def _judge(self, link: Link, local: str, now: Now, out: list[Effect]) -> None:
        entity = self._site.entities[link.tells[local]]
        reach = REACHED[link.state]
        since = link.missed.get(local)
        if since is not None:
            long = now.mono - since > max(_GIVEN_UP, link.longest_gap)
            reach = worst(reach, Reachability.UNREACHABLE if long else Reachability.STALE)
        entity.tellers[link.name, local].reach = reach
        if entity.judge_reach(now.wall):
            out.append(Changed(entity.id, "entity"))

    # --- one quantity each; the part of the entity that changed, or ""

    def _battery(
        self, entity: Entity, battery: Battery, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        if reading.quantity not in BATTERY_QUANTITIES:
            return ""
        events = battery.take(reading.quantity, reading, mono, entity.meter.longest_gap)
        if events is None:
            return ""
        for event in events:
            leaves = {"battery": battery.name, **event.leaves}
            out.append(self._site.notices.about(event.notification, entity, reading.at, leaves))
        battery.tell(reading, mono, out)
        if reading.quantity is Quantity.TEST_RESULT:
            self._control.read(battery.test.holder, entity, mono, now, out)
        entity.batteries_changed()
        return "battery"

    def _power_state(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        state = self._site.sets.find(reading.value) if isinstance(reading.value, str) else None
        if state is None or interface is not None:
            return ""
        return self._observed(entity, state, reading.at, mono, now, out)

    def _observed(self, entity: Entity, state: str, at: float, mono: float, now: Now, out: list[Effect]) -> str:
        """An entity is in ``state``: account for it, tell of a change, and let its wishes know."""
        states = entity.states
        changes = states.observe(state, at, mono, entity.meter.longest_gap)
        if changes is None:
            return ""
        known = [change for change in changes if change[1] is not None]
        if known:
            request = self._cause(entity)
            reason = _because(request, states.local_control)
            states.explain(reason)
            for name, before, after in known:
                leaves = {
                    "set": name,
                    "from": before,
                    "to": after,
                    "admin-state": wanted.state if (wanted := entity.state_holder.in_force) is not None else None,
                    "reason": reason,
                    "requested-by": request.by or None if request is not None else None,
                    "request-id": str(request.id) if request is not None else None,
                    "through": request.through if request is not None else (),
                }
                out.append(self._site.notices.about("power-state-changed", entity, at, leaves))
        typical = states.typical()
        if typical is not None or entity.meter.modelled is not None:
            watts = Watts(in_thousandths(typical), Quality(Method.STATE_MODEL, at)) if typical is not None else None
            entity.meter.model(watts, mono)
        entity.states_changed()
        entity.keep()
        if states.pace is not None and entity.state_holder.is_since_sent(mono):
            states.pace.found(on=not states.is_off, at=at, changed=bool(known))
        if states.is_off:
            entity.going_off = False
            self._control.jobs.went_off(entity, now, out)
        self._control.read(entity.state_holder, entity, mono, now, out)
        return "power-state"

    def _cause(self, entity: Entity) -> Request | None:
        """The wish that brought the entity where it is now, if one did."""
        request = entity.state_holder.in_force
        if request is not None and request.status in _OPEN and self._control.fulfilled(request, entity):
            return request
        return None

    def _supply_state(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        if interface is None or not isinstance(reading.value, str) or reading.value not in _SUPPLIES:
            return ""
        if not interface.fresh(reading.quantity, reading.at, mono):
            return ""
        supply = Supply(reading.value)
        before = interface.found(supply, reading.at)
        loads = [other for other, role, _ in self._site.graph.wired(interface.end) if role is Role.LOAD]
        if before is not supply:
            if before is not None:
                self._switched(entity, interface, before, loads, reading.at, out)
            for load in loads:
                other = self._site.interface(load)
                if other is not None:
                    other.turned()
        if supply is Supply.OFF:
            interface.pending = None
        if interface.pace is not None and supply in (Supply.ON, Supply.OFF) and interface.holder.is_since_sent(mono):
            changed = before is not None and before is not supply
            if interface.pace.found(on=supply is Supply.ON, at=reading.at, changed=changed):
                entity.keep()
        self._control.read(interface.holder, entity, mono, now, out)
        for id_ in dict.fromkeys(self._supplied(interface, loads)):
            self._by_supply(self._site.entities[id_], reading.at, mono, now, out)
        return "power-interface"

    def _switched(
        self, entity: Entity, interface: Interface, before: Supply, loads: list[End], at: float, out: list[Effect]
    ) -> None:
        request = self._switched_by(interface, loads)
        assert interface.supply is not None
        leaves = {
            "interface": interface.name,
            "from": before.value,
            "to": interface.supply.value,
            "reason": _because(request, None),
            "requested-by": request.by or None if request is not None else None,
            "request-id": str(request.id) if request is not None else None,
            "affected": tuple(dict.fromkeys(load.entity for load in loads)),
        }
        out.append(self._site.notices.about("supply-switched", entity, at, leaves))

    def _switched_by(self, interface: Interface, loads: list[End]) -> Request | None:
        """The wish that switched the supply: one for the interface, or one for an entity behind it."""
        request = interface.holder.in_force
        if request is not None and request.status in _OPEN:
            return request
        for load in loads:
            other = self._site.entities.get(load.entity)
            wanted = other.state_holder.in_force if other is not None else None
            if wanted is not None and wanted.status in _OPEN and interface.end.entity in wanted.through:
                return wanted
        return None

    def _supplied(self, interface: Interface, loads: list[End]) -> Iterable[str]:
        """The entities that have no state but that of their supply, of which this is a part."""
        for load in loads:
            inside: str | None = load.entity
            for _ in range(8):
                entity = self._site.entities.get(inside) if inside is not None else None
                if entity is None:
                    break
                if entity.states.by_supply:
                    yield entity.id
                inside = self._site.container(entity.id)

    def _by_supply(self, entity: Entity, at: float, mono: float, now: Now, out: list[Effect]) -> None:
        """An entity that tells no state itself is off when all its outlets are, and on when one is on."""
        outlets = [self._site.interface(end) for end in self._site.graph.outlets_of(entity.id)]
        supplies = [outlet.supply if outlet is not None else None for outlet in outlets]
        if Supply.ON in supplies:
            state = f"{IEEE1621}-on"
        elif supplies and all(supply in (Supply.OFF, Supply.FAULT) for supply in supplies):
            state = f"{IEEE1621}-off"
        else:
            return
        if self._observed(entity, state, at, mono, now, out):
            out.append(Changed(entity.id, "power-state"))

    def _flag(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        if interface is None or not interface.fresh(reading.quantity, reading.at, mono):
            return ""
        if reading.quantity is Quantity.IN_USE:
            interface.in_use = bool(reading.value)
        else:
            interface.available = bool(reading.value)
        interface.turned()
        return "power-interface"

    def _direction(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        if interface is None or not isinstance(reading.value, str) or reading.value not in _WAYS:
            return ""
        if not interface.fresh(reading.quantity, reading.at, mono):
            return ""
        direction = Direction(reading.value)
        if direction is not interface.operational_direction:
            interface.operational_direction = direction
            self._site.turned(interface)
        return "power-interface"

    def _power_limit(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        value = reading.value
        if interface is not None or not isinstance(value, Decimal | int | float) or not -MOST <= value <= MOST:
            return ""
        entity.states.oper_limit = Decimal(str(value))
        entity.states_changed()
        self._control.read(entity.limit_holder, entity, mono, now, out)
        return "power-state"

    def _local_control(
        self, entity: Entity, interface: Interface | None, reading: Reading, mono: float, now: Now, out: list[Effect]
    ) -> str:
        if interface is not None:
            return ""
        entity.states.local_control = bool(reading.value)
        entity.states_changed()
        return "power-state"


_SUPPLIES = frozenset(supply.value for supply in Supply)
_WAYS = frozenset({Direction.INLET.value, Direction.OUTLET.value})


def _because(request: Request | None, local_control: bool | None) -> str | None:
    """Why something changed, in a few words."""
    if request is not None:
        return request.reason or (f"wished by {request.by}" if request.by else f"wished by {request.origin.value}")
    return "local control" if local_control else None

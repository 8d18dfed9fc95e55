"""What is measured of an entity, an interface or a sum: power, electrical values, energy, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import atan2, degrees, hypot
from typing import Protocol, TypeVar

from eman_netconf.energy.accumulation import RANK, Energy, Flow
from eman_netconf.energy.anomalies import Kind
from eman_netconf.energy.canonical import decimal64, finite, in_thousandths, thousandths
from eman_netconf.energy.counters import CEILING
from eman_netconf.energy.printing import Leaves
from eman_netconf.energy.quantities import COUNTERS, GAUGES, MOST, POWER, ElectricalNodes, QualityNodes, ReadingNodes
from eman_netconf.energy.samples import Mark
from eman_netconf.energy.sums import (
    LONG,
    LongSum,
    Part,
    Quality,
    Watts,
    accuracies,
    combine,
    common,
    missing,
    seen_through,
    weakest,
)
from eman_netconf.energy.taps import Taps
from eman_netconf.energy.values import Method, Quantity, Reading
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

DOUBTED = 150  # percent of the nameplate beyond which power is doubted
REFUSED = 10  # times the nameplate beyond which it is refused
_ANY = int(MOST) * 1000
_LEAST_ACCURATE = 1e6  # percent
_METERED = RANK[Method.REMOTE_METER]  # power of a weaker method is an estimate
_KEPT = 20.0  # seconds a value is shown beside newer ones of its container; then it is no longer known


class Owner(Protocol):
    """Whose meter it is: told when something it shows has changed, and when energy flowed."""

    def changed(self) -> None: ...

    def flowed(self, flow: Flow, wall: float) -> None: ...

    def corrected(self, received: int, provided: int, wall: float) -> None: ...


class Listener(Protocol):
    """Who is told of each flow of energy."""

    def flowed(self, flow: Flow, wall: float) -> None:
        """Energy flowed until ``wall``; the meter's totals hold it already."""


class Ledger(Listener, Protocol):
    """Who keeps account of the energy of a meter over time.

    What ended by ``closed`` (wall-clock seconds) is over for it.
    """

    closed: float

    def powered(self, milliwatts: int, method: str, mono: float) -> None:
        """Real power was read."""

    def shared(self, end: float, seconds: float, rank: int) -> None:
        """A part of this sum knows so much of the interval that ended at ``end``, by a method of this rank."""


_K = TypeVar("_K")
_Sample = tuple[float, Reading]  # when it held by the monotonic clock, and what
_PHASES = (None, 1, 2, 3)
_ABSENT = object()  # of a rendered container: looked at, and empty
_UNKNOWN = object()  # not worked out yet


class Meter:
    """The readings of one thing, or the sum of its ``parts`` where it is not metered itself."""

    __slots__ = (
        "_electrical",
        "_electrical_node",
        "_energy_node",
        "_long_sum",
        "_power",
        "_power_node",
        "_watts",
        "dependents",
        "doubted",
        "energy",
        "hidden",
        "ledger",
        "listeners",
        "longest_gap",
        "metered",
        "modelled",
        "nodes",
        "odd",
        "owner",
        "parts",
        "refused",
        "reporter",
        "taps",
    )

    def __init__(self, nodes: ReadingNodes, owner: Owner) -> None:
        self.nodes = nodes
        self.owner = owner
        self.energy = Energy()
        self.metered = False  # it has energy of its own, so none is taken over from parts
        self.parts: tuple[Part, ...] = ()
        self.dependents: tuple[tuple[Meter, bool], ...] = ()  # the sums it goes into, and whether turned
        self.hidden = False  # unreachable for long: what was measured is no longer shown
        self.longest_gap = 60.0  # seconds between samples of power that are still joined
        self.reporter: str | None = None  # who measured, where a reading says remote-meter
        self.modelled: Watts | None = None  # by the present power state, where nothing measures
        self.odd: Kind | None = None  # what was odd about the last reading, for whoever gave it to take away
        self.doubted = self.refused = _ANY  # milliwatts of the whole beyond which power is doubted, and refused
        self.taps: Taps | None = None  # who watches its values
        self.ledger: Ledger | None = None
        self.listeners: tuple[Listener, ...] = ()
        self._power: dict[Quantity, _Sample] = {}
        self._electrical: dict[tuple[int, Quantity], _Sample] = {}
        self._power_node: object = None
        self._long_sum: LongSum | None = None  # of parts that are many
        self._watts: object = _UNKNOWN  # remembered from when it was asked for until it is upset
        self._energy_node: object = None
        self._electrical_node: object = None

    # readings in

    def take(self, quantity: Quantity, reading: Reading, mono: float) -> str | None:
        """Take a reading that held at ``mono``; the part it changed: power, energy, electrical, or None if not taken.

        A duplicate or late reading, or one beyond what the quantity can be, changes nothing; of the latter ``odd``
        tells.
        """
        value = reading.value
        if quantity in COUNTERS:
            return "energy" if self._count(quantity, reading, mono) else None
        gauge = GAUGES[quantity]
        try:
            if not gauge.low <= value <= gauge.high:  # type: ignore[operator]  # the quantity says it is a number
                self.odd = Kind.OUT_OF_RANGE if finite(value) else Kind.NOT_A_NUMBER  # type: ignore[arg-type]  # as above
                return None
        except (TypeError, ArithmeticError):
            self.odd = Kind.NOT_A_NUMBER
            return None
        if reading.phase is None and quantity in POWER:
            last = self._power.get(quantity)
            if last is not None and (mono <= last[0] or reading.at == last[1].at):
                return None
            if quantity is Quantity.ACTIVE_POWER and not self._integrate(reading, mono):
                return None
            self._power[quantity] = (mono, reading)
            self.upset()
            return "power"
        if reading.phase not in _PHASES:
            self.odd = Kind.MALFORMED
            return None
        key = (reading.phase or 0, quantity)
        last = self._electrical.get(key)
        if last is not None and (mono <= last[0] or reading.at == last[1].at):
            return None
        self._electrical[key] = (mono, reading)
        self._electrical_node = None
        self.owner.changed()
        return "electrical"

    def _count(self, quantity: Quantity, reading: Reading, mono: float) -> bool:
        value, wraps_at = reading.value, reading.wraps_at
        try:
            if not 0 <= value <= MOST:  # type: ignore[operator]  # the quantity says it is a number
                self.odd = Kind.OUT_OF_RANGE if finite(value) else Kind.NOT_A_NUMBER  # type: ignore[arg-type]  # as above
                return False
            around = in_thousandths(wraps_at) if wraps_at is not None and 0 < wraps_at <= MOST else None
        except (TypeError, ArithmeticError):
            self.odd = Kind.NOT_A_NUMBER
            return False
        raw = in_thousandths(value)  # type: ignore[arg-type]  # checked to be a number
        energy = self.energy
        flow = energy.count(quantity, raw, reading.at, mono, around, self.longest_gap)
        if energy.odd is not None:
            self.odd, energy.odd = energy.odd, None
        if flow is None:
            return False
        self._own_energy(reading.method, reading)
        self.hand_on(flow, reading.at)
        return True

    def _integrate(self, reading: Reading, mono: float) -> bool:
        """Take real power into the energy; whether it can be power of this thing at all."""
        milliwatts = in_thousandths(reading.value)  # type: ignore[arg-type]  # checked to be a number
        mark = Mark.MEASURED if RANK[reading.method] <= _METERED else Mark.ESTIMATED
        if abs(milliwatts) > self.doubted:
            if abs(milliwatts) > self.refused:
                self.odd = Kind.ABSURD_POWER
                return False
            self.odd, mark = Kind.ABOVE_NAMEPLATE, Mark.ESTIMATED
        interval = reading.interval
        if interval is not None and not 0 < interval < MOST:  # such as of a device that has just started
            interval = None
        flow = self.energy.integrate(
            milliwatts, reading.at, mono, mean_over=interval, longest=self.longest_gap, mark=mark
        )
        if self.energy.odd is not None:
            self.odd, self.energy.odd = self.energy.odd, None
        if flow is not None:
            self._own_energy(Method.INTEGRATED, None)
            self.hand_on(flow, reading.at)
        if self.ledger is not None:
            self.ledger.powered(milliwatts, reading.method, mono)
        return True

    def rate(self, nameplate: int | None) -> None:
        """Take what the maker states for the thing in milliwatts; None = not known."""
        if nameplate:
            self.doubted = abs(nameplate) * DOUBTED // 100
            self.refused = self.energy.ceiling = abs(nameplate) * REFUSED
        else:
            self.doubted = self.refused = _ANY
            self.energy.ceiling = CEILING

    def _own_energy(self, method: str, reading: Reading | None) -> None:
        self.metered = True
        self.energy.method = method
        self.energy.accuracy = _sound(reading.accuracy) if reading else None
        self.energy.accuracy_class = reading.accuracy_class if reading else None

    def model(self, watts: Watts | None, mono: float) -> None:
        """Take the typical power of the present state, used where neither the meter nor a part tells."""
        self.modelled = watts
        if watts is None or self.measures or self._fed or self._summed() is not None:
            if not self.metered:
                self.energy.pause()
        else:
            at = watts.quality.at
            flow = self.energy.integrate(
                watts.milliwatts, at, mono, mean_over=None, longest=self.longest_gap, mark=Mark.ESTIMATED
            )
            if flow is not None:
                self.energy.method = Method.INTEGRATED
                self.hand_on(flow, at)
        self.upset()

    @property
    def _fed(self) -> bool:
        """Whether parts hand their energy on to it, with power beside it or without."""
        return any(part.meter.energy.start is not None for part in self.parts)

    def hand_on(self, flow: Flow, wall: float, reached: set[Meter] | None = None) -> None:
        """Energy flowed here: it goes into every sum once, also where several ways lead to it."""
        self._energy_node = None
        self.owner.changed()
        self.owner.flowed(flow, wall)
        if self.ledger is not None:
            self.ledger.flowed(flow, wall)
        for listener in self.listeners:
            listener.flowed(flow, wall)
        if self.taps is not None:
            self.taps.unsettled[self] = None
        if not self.dependents:
            return
        reached = {self} if reached is None else reached
        known = self.energy.received is not None, self.energy.provided is not None
        for dependent, turned in self.dependents:
            if dependent.metered or dependent in reached:
                continue
            reached.add(dependent)
            received, provided = (known[1], known[0]) if turned else known
            handed = flow.turned() if turned else flow
            dependent.energy.take(handed, wall, received=received, provided=provided)
            dependent.hand_on(handed, wall, reached)

    def correct(self, received: int, provided: int, wall: float) -> None:
        """Somebody knows better what flowed (corrections); the sums are corrected by themselves."""
        self.energy.correct(received, provided, wall)
        self._energy_node = None
        self.owner.corrected(received, provided, wall)
        self.owner.changed()
        if self.taps is not None:
            self.taps.unsettled[self] = None

    def upset(self, part: Meter | None = None) -> None:
        """What this meter tells as power has changed, because ``part`` has, and so have the sums it goes into."""
        if part is not None and self._long_sum is not None:
            self._long_sum.changed(part)
        if self.taps is not None:
            self.taps.unsettled[self] = None
        if self._power_node is None and self._watts is _UNKNOWN:
            return  # nobody has asked since it was upset the last time
        self._power_node, self._watts = None, _UNKNOWN
        self.owner.changed()
        for dependent, _turned in self.dependents:
            dependent.upset(self)

    def reset(self) -> None:
        """Nothing rendered so far holds any more, as after a change of parts or of reachability."""
        self._energy_node = self._electrical_node = None
        self._watts = None
        self.upset()

    # power out

    @property
    def measures(self) -> bool:
        """Whether power or energy is read here, not taken over."""
        return self.metered or bool(self._power)

    def unread(self, phase: int, quantity: Quantity) -> tuple[int | None, str, float | None] | None:
        """Value, method and time of what is not told by readings, or not known now; None where readings tell it."""
        energy = self.energy
        if quantity in COUNTERS:
            total = energy.received if quantity is Quantity.ENERGY_RECEIVED else energy.provided
            value = None if total is None or energy.hidden else total * 1000
            return value, energy.method or Method.INTEGRATED, energy.end
        if quantity is Quantity.ACTIVE_POWER and not phase and not (self.reads_power and not self.hidden):
            watts = self.watts()
            if watts is None:
                return None, Method.DIRECT_METER, None
            return watts.milliwatts * 1000, watts.quality.method, watts.quality.at
        return (None, Method.DIRECT_METER, None) if self.hidden else None

    @property
    def reads_power(self) -> bool:
        """Whether real power itself is read here."""
        return Quantity.ACTIVE_POWER in self._power

    def watts(self) -> Watts | None:
        """The real power: read here, else the sum of the parts, else by the present state; None = not known."""
        known = self._watts
        if known is _UNKNOWN:
            self._watts = None  # a loop of sums comes back here, and ends
            known = self._watts = self._work_out()
        return known  # type: ignore[return-value]  # Watts or None, once it is worked out

    def _work_out(self) -> Watts | None:
        own = self._power.get(Quantity.ACTIVE_POWER)
        if own is not None and not self.hidden:
            value = own[1].value
            return Watts(in_thousandths(value), self._quality(own[1]), self._reactive(own))  # type: ignore[arg-type]  # checked: a number
        total = self._summed() if self.parts else None
        if total is not None:
            return total
        return None if self.hidden else self.modelled

    def _summed(self) -> Watts | None:
        parts = self.parts
        if len(parts) < LONG:
            return combine(parts)
        if self._long_sum is None or self._long_sum.parts is not parts:
            self._long_sum = LongSum(parts)
        return self._long_sum.watts()

    def _reactive(self, real: _Sample) -> int | None:
        """The reactive power in thousandths that belongs to a real power; None where it is older, or weaker."""
        known = self._power.get(Quantity.REACTIVE_POWER)
        if known is None or known[0] < real[0] - _KEPT or RANK[known[1].method] > RANK[real[1].method]:
            return None
        return in_thousandths(known[1].value)  # type: ignore[arg-type]  # checked when it was taken

    @property
    def flows(self) -> bool | None:
        """Whether power flows; None = not known."""
        own = self._power.get(Quantity.ACTIVE_POWER)
        if own is not None and not self.hidden:
            return bool(own[1].value)
        watts = self.watts()
        return bool(watts.milliwatts) if watts is not None else None

    def _quality(self, reading: Reading) -> Quality:
        return Quality(
            reading.method,
            reading.at,
            _sound(reading.accuracy),
            reading.accuracy_class,
            reading.interval,
            self.reporter if reading.method is Method.REMOTE_METER else None,
        )

    # rendering

    def render(self, children: dict[SchemaNode, Data]) -> None:
        """Put the containers that have something to say into ``children``."""
        nodes = self.nodes
        node = self._power_node
        if node is None:
            node = self._power_node = self._render_power() or _ABSENT
        if node is not _ABSENT:
            children[nodes.power] = node  # type: ignore[assignment]  # an Inner, or else absent
        node = self._energy_node
        if node is None:
            node = self._energy_node = self._render_energy() or _ABSENT
        if node is not _ABSENT:
            children[nodes.energy] = node  # type: ignore[assignment]  # as above
        if self._electrical:
            node = self._electrical_node
            if node is None:
                node = self._electrical_node = self._render_electrical() or _ABSENT
            if node is not _ABSENT and nodes.electrical is not None:
                children[nodes.electrical] = node  # type: ignore[assignment]  # as above

    def _render_power(self) -> Inner | None:
        nodes = self.nodes
        children: dict[SchemaNode, Data] = {}
        own = self._power
        watts = None if Quantity.ACTIVE_POWER in own and not self.hidden else self.watts()
        if watts is not None:
            children[nodes.active] = thousandths(watts.milliwatts)
            if watts.reactive is not None:
                self._lay_complex(children, watts.milliwatts, watts.reactive)
            self._lay_quality(children, nodes.power_quality, *watts.quality)
        elif own and not self.hidden:
            lead, kept = _strongest(own, Quantity.ACTIVE_POWER)
            for quantity, reading in kept:
                node, printer = nodes.power_fields[quantity]
                children[node] = printer(reading.value)  # type: ignore[arg-type]  # checked when it was taken
            self._lay_reading_quality(children, nodes.power_quality, lead)
        else:
            return None
        return Leaves(nodes.power, children)

    def _lay_complex(self, children: dict[SchemaNode, Data], active: int, reactive: int) -> None:
        """What follows from the real and the reactive power of a sum: the length and the angle of their vector."""
        apparent = hypot(active, reactive)
        values = {Quantity.REACTIVE_POWER: reactive / 1000, Quantity.APPARENT_POWER: apparent / 1000}
        if apparent:
            values[Quantity.POWER_FACTOR] = active / apparent
            values[Quantity.PHASE_ANGLE] = degrees(atan2(reactive, active))
        for quantity, value in values.items():
            node, printer = self.nodes.power_fields[quantity]
            children[node] = printer(value)

    def _lay_reading_quality(self, children: dict[SchemaNode, Data], nodes: QualityNodes, reading: Reading) -> None:
        reporter = self.reporter if reading.method is Method.REMOTE_METER else None
        self._lay_quality(
            children,
            nodes,
            reading.method,
            reading.at,
            reading.accuracy,
            reading.accuracy_class,
            reading.interval,
            reporter,
        )

    def _lay_quality(
        self,
        children: dict[SchemaNode, Data],
        nodes: QualityNodes,
        method: str,
        at: float,
        accuracy: float | Decimal | None = None,
        accuracy_class: str | None = None,
        interval: float | None = None,
        reporter: str | None = None,
        missing: tuple[str, ...] = (),
        bound: float | None = None,
    ) -> None:
        """The leaves of the quality of some values; see Quality."""
        children[nodes.method] = METHOD_NAMES[method]
        if nodes.time is not None and nodes.interval is not None:
            children[nodes.time] = stamp(at)
            children[nodes.interval] = _seconds(interval) if interval and 0 < interval < MOST else "0.0"
        if _sound(accuracy) is not None:
            children[nodes.accuracy] = _percent(accuracy)  # type: ignore[arg-type]  # not None, as it is sound
        if bound is not None:
            children[nodes.accuracy_bound] = _percent(bound)
        if accuracy_class is not None:
            name = self.nodes.accuracy_classes.get(accuracy_class)
            if name is not None:
                children[nodes.accuracy_class] = name
        if reporter is not None:
            children[nodes.reporter] = reporter
        if missing:
            children[nodes.missing] = missing

    def _render_energy(self) -> Inner | None:
        energy, nodes = self.energy, self.nodes
        if energy.start is None or energy.end is None or energy.hidden:
            return None
        children: dict[SchemaNode, Data] = {}
        if energy.received is not None:
            children[nodes.received] = thousandths(energy.received)
        if energy.provided is not None:
            children[nodes.provided] = thousandths(energy.provided)
        if not children:
            return None
        children[nodes.start_time] = stamp(energy.start)
        children[nodes.end_time] = stamp(energy.end)
        if energy.broken is not None:
            children[nodes.discontinuity_time] = stamp(energy.broken)
        if self.metered and energy.method is not None:
            reporter = self.reporter if energy.method == Method.REMOTE_METER else None
            quality, told = nodes.energy_quality, (energy.accuracy, energy.accuracy_class, None, reporter)
            self._lay_quality(children, quality, energy.method, energy.end, *told)
        else:
            derived = self.energy_quality(energy.end)
            if derived is not None:
                self._lay_quality(children, nodes.energy_quality, *derived)
        return Leaves(nodes.energy, children)

    def energy_quality(self, at: float, asked: set[Meter] | None = None) -> Quality | None:
        """How the totals came about: by this meter, or by those that they are sums of."""
        energy = self.energy
        asked = {self} if asked is None else asked
        if self.metered or not self.parts:
            if energy.method is None:
                return None
            reporter = self.reporter if energy.method == Method.REMOTE_METER else None
            return Quality(energy.method, at, energy.accuracy, energy.accuracy_class, reporter=reporter)
        found: list[tuple[Part, Quality | None]] = []
        for part in self.parts:
            if part.meter not in asked:
                asked.add(part.meter)
                found.append((part, part.meter.energy_quality(at, asked)))
        known = [(part, quality) for part, quality in found if quality is not None]
        if not known:
            return Quality(energy.method, at) if energy.method is not None else None
        amounts = [(part.meter.energy.amount, quality) for part, quality in known]
        accuracy, bound = accuracies(sum(amount for amount, _ in amounts), amounts)
        return Quality(
            weakest(seen_through(part, quality.method) for part, quality in known),
            at,
            accuracy,
            bound=bound,
            reporter=common(part.reporter or quality.reporter for part, quality in known),
            missing=missing((part, quality) for part, quality in found),
        )

    def _render_electrical(self) -> Inner | None:
        nodes = self.nodes
        if self.hidden or nodes.electrical is None:
            return None
        lead, kept = _strongest(self._electrical, None)
        children: dict[SchemaNode, Data] = {}
        phases: dict[int, dict[SchemaNode, Data]] = {}
        for (phase, quantity), reading in kept:
            if phase:
                inside = phases.setdefault(phase, {nodes.phase_name: f"l{phase}"})
                _lay(inside, nodes.of_phase, quantity, reading)
            else:
                _lay(children, nodes.whole, quantity, reading)
        if phases:
            entries: dict[Key, Inner] = {(f"l{phase}",): Leaves(nodes.phase, phases[phase]) for phase in sorted(phases)}
            children[nodes.phase] = ListNode(nodes.phase, entries)
        if not children:
            return None
        self._lay_reading_quality(children, nodes.electrical_quality, lead)
        return Leaves(nodes.electrical, children)


_seconds = decimal64(3)
_percent = decimal64(2)
#: Canonical identities of the methods.
METHOD_NAMES: Mapping[str, str] = {method: f"eman-types:{method.value}" for method in Method}


def _lay(children: dict[SchemaNode, Data], nodes: ElectricalNodes, quantity: Quantity, reading: Reading) -> None:
    """One electrical value into its leaf; quantities that have none here are left out."""
    field = nodes.fields.get(quantity)
    if field is not None:
        children[field[0]] = field[1](reading.value)  # type: ignore[arg-type]  # checked when it was taken
        return
    field = nodes.impedance_fields.get(quantity)
    if field is not None and nodes.impedance is not None:
        inside = children.get(nodes.impedance)
        below: dict[SchemaNode, Data] = dict(inside.children) if isinstance(inside, Inner) else {}
        below[field[0]] = field[1](reading.value)  # type: ignore[arg-type]  # as above
        children[nodes.impedance] = Inner(nodes.impedance, below)


def _strongest(samples: Mapping[_K, _Sample], lead: _K | None) -> tuple[Reading, list[tuple[_K, Reading]]]:
    """The reading whose quality a container states, and the readings that are as good and not much older.

    That is the reading at ``lead`` where there is one, else the newest of the strongest.
    """
    items = iter(samples.items())
    key, (newest, best) = next(items)
    kept = [(key, best)]
    for key, (mono, reading) in items:
        if mono != newest or reading.method is not best.method:
            break
        kept.append((key, reading))
    else:  # nearly always: all from one pass and by one meter
        led = samples.get(lead) if lead is not None else None
        return led[1] if led is not None else best, kept
    oldest = max(mono for mono, _ in samples.values()) - _KEPT
    fresh = [(key, mono, reading) for key, (mono, reading) in samples.items() if mono >= oldest]
    leading = [item for item in fresh if item[0] == lead] or fresh
    best = min(leading, key=lambda item: (RANK[item[2].method], -item[1]))[2]
    rank = RANK[best.method]
    return best, [(key, reading) for key, _, reading in fresh if RANK[reading.method] <= rank]


def _sound(accuracy: float | Decimal | None) -> float | Decimal | None:
    """An accuracy that was told, if it can be one."""
    return accuracy if accuracy is not None and finite(accuracy) and 0 <= accuracy <= _LEAST_ACCURATE else None

"""From resources to readings: rules, each of which says where one value of one point is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from eman_netconf.backend import Direction, Method, Pass, Point, Quantity, Reading, Supply

from .documents import Document, dig, number, path_of, text
from .library import Fetched
from .turns import in_turns

Value = Decimal | str | bool
Tell = Callable[[Document], Value | None]
Path = tuple[str | int, ...]

THOUSAND = Decimal(1000)
JOULES = 1 / Decimal(3600)  # watt-hours of a joule
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Meter:
    """How the values of one sensor come about, as the service tells it."""

    method: Method = Method.DIRECT_METER
    accuracy: Decimal | None = None  # percent
    error: Decimal | None = None  # in the unit of the reading, where no percentage is told


TOLD = Meter()


@dataclass(frozen=True, slots=True)
class Rule:
    """One value: the resource it is in, what it means, and how it is got out; None of ``tell`` is *not known*."""

    resource: str
    point: Point
    quantity: Quantity
    tell: Tell
    phase: int | None = None
    meter: Meter = TOLD
    interval: Tell | None = None  # seconds that it is a mean over


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of a service that is worth reading, at most one rule for each value."""

    rules: tuple[Rule, ...] = ()
    resources: tuple[str, ...] = field(default=())


def scaled(*path: str | int, scale: Decimal = ONE) -> Tell:
    """The number at ``path`` times ``scale``."""

    def tell(document: Document) -> Value | None:
        found = number(document, *path)
        return None if found is None else found * scale

    return tell


def worded(words: Mapping[str, Value], *path: str | int) -> Tell:
    """What the word at ``path`` means; None for a word that has no meaning here."""

    def tell(document: Document) -> Value | None:
        return words.get(text(document, *path) or "")

    return tell


def balance(document: Document) -> Value | None:
    """Amperes into a battery, less those out of it (BatteryMetrics)."""
    into = number(document, "InputCurrentAmps", "Reading")
    outputs = dig(document, "OutputCurrentAmps")
    out = [number(item, "Reading") for item in outputs[:64]] if isinstance(outputs, list) else []
    if into is None and not out:
        return None
    if None in out:
        return None
    return (into or Decimal(0)) - sum((amperes for amperes in out if amperes is not None), Decimal(0))


def meter(sensor: Document) -> Meter:
    """What a Sensor says of itself: where its value comes from, and how exact it is."""
    method = {"Synthesized": Method.LOAD_MODEL, "Reported": Method.REMOTE_METER}.get(
        text(sensor, "Implementation") or "", Method.DIRECT_METER
    )
    accuracy, error = number(sensor, "Accuracy"), number(sensor, "ReadingAccuracy")
    return Meter(
        method,
        accuracy if accuracy is not None and accuracy >= 0 else None,
        error if error is not None and error >= 0 and accuracy is None else None,
    )


#: A sensor's excerpt of power, beside its Reading (Sensor schema, SensorPowerExcerpt).
_BESIDE_POWER = (
    (Quantity.APPARENT_POWER, "ApparentVA"),
    (Quantity.REACTIVE_POWER, "ReactiveVAR"),
    (Quantity.POWER_FACTOR, "PowerFactor"),
    (Quantity.PHASE_ANGLE, "PhaseAngleDegrees"),
)
LINES = ("Line1", "Line2", "Line3")
_NEXT = ("Line1ToLine2", "Line2ToLine3", "Line3ToLine1")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a resource belong, and which way power goes there."""

    resource: str
    point: Point
    direction: Direction = Direction.INLET
    direct: bool = False  # a direct current has a sign as well
    meters: Mapping[str, Meter] = field(default_factory=dict)  # by the path of the sensor

    @property
    def _turn(self) -> Decimal:
        return -ONE if self.direction is Direction.OUTLET else ONE

    def rule(self, document: Document, quantity: Quantity, path: Path, scale: Decimal, phase: int | None) -> Rule:
        """The rule of a number in an excerpt, or of a number by itself."""
        known = self.meters.get(path_of(dig(document, *path[:-1], "DataSourceUri")) or "", TOLD)
        if path[-1] not in {"Reading", "LifetimeReading"}:  # how exact it is, is said of these alone
            known = Meter(known.method)
        return Rule(self.resource, self.point, quantity, scaled(*path, scale=scale), phase, known)

    def power(self, document: Document, *path: str | int, phase: int | None = None) -> Iterator[Rule]:
        """Power at an excerpt of a power sensor."""
        if _offers(document, *path, "Reading"):
            yield self.rule(document, Quantity.ACTIVE_POWER, (*path, "Reading"), self._turn, phase)
        for quantity, name in _BESIDE_POWER:
            if _offers(document, *path, name):
                yield self.rule(document, quantity, (*path, name), ONE, phase)

    def current(self, document: Document, *path: str | int, phase: int | None = None) -> Iterator[Rule]:
        if _offers(document, *path, "Reading"):
            scale = self._turn if self.direct else ONE
            yield self.rule(document, Quantity.CURRENT, (*path, "Reading"), scale, phase)
        if _offers(document, *path, "THDPercent"):
            yield self.rule(document, Quantity.THD_CURRENT, (*path, "THDPercent"), ONE, phase)

    def voltage(self, document: Document, *path: str | int, phase: int | None = None) -> Iterator[Rule]:
        if _offers(document, *path, "Reading"):
            yield self.rule(document, Quantity.VOLTAGE, (*path, "Reading"), ONE, phase)
        if _offers(document, *path, "THDPercent"):
            yield self.rule(document, Quantity.THD_VOLTAGE, (*path, "THDPercent"), ONE, phase)

    def energy(self, document: Document, name: str, *path: str | int, phase: int | None = None) -> Iterator[Rule]:
        """A counter: that of the whole life where there is one, since the other may be reset by anybody."""
        outward = self.direction is Direction.OUTLET
        quantity = Quantity.ENERGY_PROVIDED if outward else Quantity.ENERGY_RECEIVED
        scale = JOULES if name == "EnergyJoules" else THOUSAND
        lasting = number(document, name, *path, "LifetimeReading") is not None
        counter = "LifetimeReading" if lasting else "Reading"
        if _offers(document, name, *path, counter):
            yield self.rule(document, quantity, (name, *path, counter), scale, phase)

    def circuit(self, document: Document) -> Iterator[Rule]:
        """All that the schemas Outlet, Circuit, EnvironmentMetrics and PowerDistributionMetrics have in common."""
        yield from self.power(document, "PowerWatts")
        yield from self.voltage(document, "Voltage")
        yield from self.current(document, "CurrentAmps")
        yield from self.energy(document, "EnergykWh")
        yield from self.energy(document, "EnergyJoules")
        if _offers(document, "FrequencyHz", "Reading"):
            yield self.rule(document, Quantity.FREQUENCY, ("FrequencyHz", "Reading"), ONE, None)
        for phase, line in enumerate(LINES, 1):
            neutral = f"{line}ToNeutral"
            yield from self.power(document, "PolyPhasePowerWatts", neutral, phase=phase)
            yield from self.voltage(document, "PolyPhaseVoltage", neutral, phase=phase)
            yield from self.current(document, "PolyPhaseCurrentAmps", line, phase=phase)
            yield from self.energy(document, "PolyPhaseEnergykWh", neutral, phase=phase)
            between = ("PolyPhaseVoltage", _NEXT[phase - 1], "Reading")
            if _offers(document, *between):
                yield self.rule(document, Quantity.VOLTAGE_TO_NEXT, between, ONE, phase)
        lost = ("PolyPhaseCurrentAmps", "Neutral", "Reading")
        if _offers(document, *lost):
            yield self.rule(document, Quantity.NEUTRAL_CURRENT, lost, ONE, None)

    def state(self, quantity: Quantity, words: Mapping[str, Value], *path: str | int) -> Rule:
        return Rule(self.resource, self.point, quantity, worded(words, *path))


SUPPLY: Mapping[str, Value] = {
    "On": Supply.ON.value,
    "Off": Supply.OFF.value,
    "PoweringOn": Supply.SWITCHING.value,
    "PoweringOff": Supply.SWITCHING.value,
}


def _offers(document: Document, *path: str | int) -> bool:
    """Whether a resource has a property, be it null now."""
    above = dig(document, *path[:-1])
    return isinstance(above, dict) and path[-1] in above


async def told(plan: Plan, fetched: Fetched, at: float) -> Pass:
    """What the resources say. A point of which a resource could not be had is missing."""
    made: list[Reading] = []
    missing: dict[Point, str] = {}
    async for rule in in_turns(plan.rules):
        if rule.resource in fetched.missing:
            missing[rule.point] = f"cannot be read: {fetched.missing[rule.resource]}"
        elif (reading := _reading(rule, fetched, at)) is not None:
            made.append(reading)
    return Pass(tuple(made), missing)


def _reading(rule: Rule, fetched: Fetched, at: float) -> Reading | None:
    document = fetched.documents.get(rule.resource)
    value = rule.tell(document) if document is not None else None
    if document is None or value is None:
        return None
    interval = rule.interval(document) if rule.interval is not None else None
    return Reading(
        rule.point,
        rule.quantity,
        value,
        at,
        phase=rule.phase,
        method=rule.meter.method,
        accuracy=_accuracy(rule.meter, value),
        interval=float(interval) if isinstance(interval, Decimal) and interval > 0 else None,
    )


def _accuracy(known: Meter, value: Value) -> Decimal | None:
    if known.accuracy is not None or known.error is None or not isinstance(value, Decimal) or not value:
        return known.accuracy
    percent = known.error / abs(value) * 100
    return percent.quantize(Decimal("0.01")) if percent < 100 else None

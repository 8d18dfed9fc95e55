"""From what a device answered to readings: pure functions over the cells of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from eman_netconf.backend import Pass, Point, Quantity, Reading, Supply

from .complete import Oid, Value
from .tables import PHASED, Condition, Exponent, Rule, Whole, Word, instance
from .writes import Write

Known = Decimal | Word
MOST_DIGITS = 24  # yocto and yotta are as far as units go
AT_ONCE = 500  # cells that are worked on before others on the loop have their turn


class Cell(NamedTuple):
    """One rule at one point; ``oids`` are the instances of what the rule needs, in the rule's order."""

    point: Point
    rule: Rule
    oids: tuple[Oid, ...]
    phase: int | None = None


def cell(point: Point, rule: Rule, row: str = "", phase: int | None = None) -> Cell:
    """A rule at a point, of the row with this index."""
    return Cell(point, rule, tuple(instance(oid, row) for oid in rule.needs), phase)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass asks for and what becomes of it, and what is written for each command.

    A pass is one GET of ``oids`` and ``readings(part, values, at)`` for each of ``parts``; all cells of a point are in
    the same part. A command is one SET: ``switches[point][Supply.OFF]``, ``states[point]["dmtf-off-soft"]``,
    ``tests[point]``; a point or state that is not there cannot be told.
    """

    cells: tuple[Cell, ...] = ()
    switches: Mapping[Point, Mapping[Supply, Write]] = field(default_factory=dict)  # ON and OFF, of interfaces
    states: Mapping[Point, Mapping[str, Write]] = field(default_factory=dict)  # by state or transition, of entities
    tests: Mapping[Point, Write] = field(default_factory=dict)  # of batteries
    oids: tuple[Oid, ...] = field(init=False)  # everything to be asked for, once each
    parts: tuple[tuple[Cell, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "oids", tuple(dict.fromkeys(oid for one in self.cells for oid in one.oids)))
        points: dict[Point, list[Cell]] = {}
        for one in self.cells:
            points.setdefault(one.point, []).append(one)
        parts: list[list[Cell]] = [[]]
        for cells in points.values():
            if len(parts[-1]) + len(cells) > AT_ONCE:
                parts.append([])
            parts[-1] += cells
        object.__setattr__(self, "parts", tuple(tuple(part) for part in parts))


def number(value: Value | None) -> int | None:
    """A number as the device gave it; some give numbers as text."""
    if isinstance(value, bytes):
        try:
            return int(value.decode("ascii"))
        except ValueError:
            return None
    return value if isinstance(value, int) else None


def readings(cells: Sequence[Cell], values: Mapping[Oid, Value], at: float) -> Pass:
    """The pass that these values make. A point of which nothing came is missing."""
    found: dict[tuple[Point, Quantity], list[tuple[Cell, Known | None]]] = {}
    heard: set[Point] = set()
    blind: set[Point] = set()
    for one in cells:
        told = {need: values[oid] for need, oid in zip(one.rule.needs, one.oids, strict=True) if oid in values}
        found.setdefault((one.point, one.rule.quantity), []).append((one, _value(one.rule, told) if told else None))
        if told:
            heard.add(one.point)
        if told and one.rule.only_when is not None and not _holds(one.rule.only_when, told):
            blind.add(one.point)
    made = [
        Reading(
            point,
            quantity,
            value,
            at,
            phase=phase,
            method=rule.method,
            accuracy=rule.accuracy,
            accuracy_class=rule.accuracy_class,
            wraps_at=None if rule.wraps_at is None else rule.wraps_at * rule.scale,
        )
        for (point, quantity), same in found.items()
        for phase, value, rule in _together(same)
    ]
    points = dict.fromkeys(one.point for one in cells)
    missing = {point: "the device does not answer for it any more" for point in points if point not in heard}
    blind -= {reading.point for reading in made}
    missing |= {point: "the device says that it cannot measure it just now" for point in points if point in blind}
    return Pass(tuple(made), missing)


def _together(cells: list[tuple[Cell, Known | None]]) -> Iterable[tuple[int | None, Known, Rule]]:
    """The values of one quantity at one point, by phase, and what they make as a whole."""
    rule = cells[0][0].rule
    if len(cells) == 1:
        if (value := cells[0][1]) is not None:
            yield None, value, rule
        return
    by_phase: dict[int | None, tuple[Known | None, Rule]] = {}
    for one, value in cells:
        by_phase.setdefault(one.phase, (value, one.rule))
    if rule.whole is None or (rule.quantity in PHASED and None not in by_phase):
        alone = rule.whole is None and len(by_phase) == 1
        for phase, (value, its) in by_phase.items():
            if value is not None:
                yield (None if alone else phase), value, its
    if rule.whole is None:
        return
    if rule.whole is Whole.FIRST:
        known = next(((value, one.rule) for one, value in cells if value is not None), None)
        if known is not None:
            yield None, *known
        return
    whole = _whole(rule.whole, [value for _, value in cells])
    if whole is not None:
        yield None, whole, rule


def _whole(how: Whole, values: list[Known | None]) -> Known | None:
    numbers = [value for value in values if isinstance(value, Decimal)]
    if len(numbers) < len(values):
        return None  # a part is not known, so the whole is not
    total = sum(numbers, Decimal(0))
    return total if how is Whole.SUM else (total / len(numbers)).quantize(Decimal("0.001"))


def _value(rule: Rule, told: Mapping[Oid, Value]) -> Known | None:
    if rule.only_when is not None and not _holds(rule.only_when, told):
        return None
    if rule.unless is not None and _holds(rule.unless, told):
        return None
    if rule.every:
        return frozenset[str]().union(
            *(case.value for case in rule.cases if isinstance(case.value, frozenset) and _holds(case.condition, told))
        )
    if rule.oid is None:
        return next((case.value for case in rule.cases if _holds(case.condition, told)), None)
    raw = number(told.get(rule.oid))
    if raw is None or raw in rule.absent:
        return None
    if raw == 0 and rule.zero_when is not None and not _holds(rule.zero_when, told):
        return None
    value = raw * rule.scale + 0  # no negative zero
    for exponent in rule.exponents:
        power = _power(exponent, told)
        if power is None:
            return None
        value = value.scaleb(power)
    if rule.negative_when is not None:
        value = abs(value) if not _holds(rule.negative_when, told) else -abs(value)
    if rule.between is not None and not rule.between[0] <= value <= rule.between[1]:
        return None
    return value


def _power(exponent: Exponent, told: Mapping[Oid, Value]) -> int | None:
    """The power of ten that the device tells, None where it makes no sense."""
    given = number(told.get(exponent.oid))
    power = given if given is None or exponent.words is None else exponent.words.get(given)
    return None if power is None or abs(power) > MOST_DIGITS else power * exponent.sign


def _holds(condition: Condition, told: Mapping[Oid, Value]) -> bool:
    value = number(told.get(condition.oid))
    return value is not None and condition.holds(value)

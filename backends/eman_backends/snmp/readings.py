"""From what a device answered to readings: pure functions over the cells of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple
from weakref import WeakValueDictionary

from eman_netconf.backend import Pass, Point, Quantity, Reading, Supply

from .complete import Oid, Value
from .tables import PHASED, Rule, Whole, instance
from .tellers import Known, Teller, holds, number, teller
from .writes import Write

__all__ = ["Cell", "Part", "Plan", "cell", "number", "readings", "shared"]

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


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Plan:
    """What a pass asks for and what becomes of it, and what is written for each command.

    A pass is one GET of ``oids`` and ``part.read(values, at)`` for each of ``parts``; all cells of a point are in the
    same part. A command is one SET: ``switches[point][Supply.OFF]``, ``states[point]["dmtf-off-soft"]``,
    ``tests[point]``; a point or state that is not there cannot be told.
    """

    cells: tuple[Cell, ...] = ()
    switches: Mapping[Point, Mapping[Supply, Write]] = field(default_factory=dict)  # ON and OFF, of interfaces
    states: Mapping[Point, Mapping[str, Write]] = field(default_factory=dict)  # by state or transition, of entities
    tests: Mapping[Point, Write] = field(default_factory=dict)  # of batteries
    witness: Oid | None = None  # its value is another when the device has other parts, or numbers them anew
    oids: tuple[Oid, ...] = field(init=False)  # everything to be asked for, once each
    parts: tuple[Part, ...] = field(init=False, compare=False, repr=False)

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
        object.__setattr__(self, "parts", tuple(Part(part) for part in parts))


_PLANS: WeakValueDictionary[tuple[Oid, ...], Plan] = WeakValueDictionary()


def shared(plan: Plan) -> Plan:
    """The same plan for all devices that are read alike: there may be thousands, and a plan is long."""
    known = _PLANS.setdefault(plan.oids, plan)
    return known if known == plan else plan


class Group(NamedTuple):
    """The cells of one quantity at one point, each with what tells its value."""

    quantity: Quantity
    cells: tuple[tuple[Cell, Teller], ...]


class Part:
    """Cells, prepared so that a pass is quick."""

    __slots__ = ("_points",)

    def __init__(self, cells: Iterable[Cell]) -> None:
        points: dict[Point, dict[Quantity, list[tuple[Cell, Teller]]]] = {}
        for one in cells:
            same = points.setdefault(one.point, {}).setdefault(one.rule.quantity, [])
            same.append((one, teller(one.rule, one.oids)))
        self._points = tuple(
            (point, tuple(Group(quantity, tuple(same)) for quantity, same in groups.items()))
            for point, groups in points.items()
        )

    def read(self, values: Mapping[Oid, Value], at: float) -> Pass:
        """The pass that these values make. A point of which nothing came is missing."""
        made: list[Reading] = []
        missing: dict[Point, str] = {}
        for point, groups in self._points:
            before = len(made)
            for quantity, cells in groups:
                if len(cells) == 1:
                    one, tell = cells[0]
                    value = tell(values)
                    if value is not None:
                        made.append(_reading(point, quantity, value, at, None, one.rule))
                    continue
                told = [(one, tell(values)) for one, tell in cells]
                made += [_reading(point, quantity, value, at, phase, rule) for phase, value, rule in _together(told)]
            if len(made) == before and (why := _silence(groups, values)) is not None:
                missing[point] = why
        return Pass(tuple(made), missing)


def readings(cells: Iterable[Cell], values: Mapping[Oid, Value], at: float) -> Pass:
    """The pass that these values make."""
    return Part(cells).read(values, at)


def _reading(point: Point, quantity: Quantity, value: Known, at: float, phase: int | None, rule: Rule) -> Reading:
    wraps_at = None if rule.wraps_at is None else rule.wraps_at * rule.scale
    return Reading(point, quantity, value, at, phase, rule.method, rule.accuracy, rule.accuracy_class, None, wraps_at)


def _silence(groups: Iterable[Group], values: Mapping[Oid, Value]) -> str | None:
    """Why there is no reading of a point; None where the device told something of it, which only means nothing."""
    cells = [one for group in groups for one, _ in group.cells]
    heard = [one for one in cells if any(oid in values for oid in one.oids)]
    if not heard:
        return "the device does not answer for it any more"
    for one in heard:
        if one.rule.only_when is not None and not holds(one.rule.only_when, one.rule.needs, one.oids, values):
            return "the device says that it cannot measure it just now"
    return None


def _together(cells: list[tuple[Cell, Known | None]]) -> Iterable[tuple[int | None, Known, Rule]]:
    """The values of one quantity at one point, by phase, and what they make as a whole."""
    rule = cells[0][0].rule
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

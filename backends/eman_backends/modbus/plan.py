"""What a pass asks a unit, and what becomes of the answers: pure functions over the cells of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from eman_netconf.backend import EntityInfo, Point, Reading

from .registers import SIZES, Block, Field, Words, blocks
from .tables import BETWEEN, GAP, MOST, Rule, Switch


class Cell(NamedTuple):
    """One rule at one point; its addresses are those of the device."""

    point: Point
    rule: Rule


class Anchor(NamedTuple):
    """Registers that hold what they held when the plan was made, or the plan is of another device."""

    block: Block
    values: tuple[int, ...]

    def moved(self, words: Words) -> bool:
        """Whether something else was read there."""
        held = self.block.words(self.values)
        return any(words.get(place, value) != value for place, value in held.items())


@dataclass(frozen=True, slots=True)
class Limit:
    """How the power of an entity is limited: a percentage of ``watts``, and whether it holds (1) or not (0)."""

    percent: Field
    enabled: Field
    watts: Decimal

    def told(self, words: Words) -> Decimal | None:
        """The limit that holds, in watts; without one it is the most that the device does."""
        enabled = self.enabled.number(words)
        if enabled is None:
            return None
        percent = self.percent.number(words)
        if enabled != 1:
            return self.watts
        return None if percent is None else percent * self.watts / 100


@dataclass(frozen=True, slots=True)
class Plan:
    """One unit: what it is, and what is asked of it and written to it."""

    entities: tuple[EntityInfo, ...]
    cells: tuple[Cell, ...] = ()
    switches: Mapping[Point, Switch] = field(default_factory=dict)
    limits: Mapping[Point, Limit] = field(default_factory=dict)
    anchors: tuple[Anchor, ...] = ()  # read in every pass
    identity: tuple[Anchor, ...] = ()  # read where it may be another device
    most: int = MOST
    gap: int = GAP

    def blocks(self, without: frozenset[Field] = frozenset()) -> tuple[Block, ...]:
        """The requests of a pass, but for fields that the device does not have."""
        return blocks([one for one in self.fields() if one not in without], self.most, self.gap)

    def fields(self) -> Iterable[Field]:
        """Everything that is read in a pass."""
        for cell in self.cells:
            yield from cell.rule.fields
        for limit in self.limits.values():
            yield from (limit.percent, limit.enabled)
        for anchor in self.anchors:
            yield Field(anchor.block.address, space=anchor.block.space, length=anchor.block.count)

    def anchor(self, address: int) -> Anchor | None:
        """What stands before a register to be written, if anything does."""
        before = [anchor for anchor in self.anchors if anchor.block.address <= address]
        return max(before, key=lambda anchor: anchor.block.address, default=None)

    def points(self) -> tuple[Point, ...]:
        """Everything that is told of in a pass."""
        return tuple(dict.fromkeys([*(cell.point for cell in self.cells), *self.limits]))


def readings(cells: Iterable[Cell], words: Words, at: float) -> Iterable[Reading]:
    """What these registers tell; what they do not tell is left out."""
    for point, rule in cells:
        number = rule.field.number(words)
        if number is None:
            continue
        value = _scaled(rule, number, words) if rule.words is None else rule.words.get(int(number))
        if value is not None:
            yield Reading(
                point,
                rule.quantity,
                value,
                at,
                phase=rule.phase,
                method=rule.method,
                accuracy=rule.accuracy,
                accuracy_class=rule.accuracy_class,
                wraps_at=_end(rule, words) if rule.counter else None,
            )


def _scaled(rule: Rule, value: Decimal, words: Words) -> Decimal | None:
    """In the unit of the quantity, with our sign; None for what the quantity cannot be."""
    value *= rule.scale
    if rule.signed_by is not None:
        number = rule.signed_by.number(words)
        if rule.signs is not None:
            sign = None if number is None else rule.signs.get(int(number))
            value = value if sign is None else abs(value) * sign
        elif number is not None:
            value = -abs(value) if number * rule.scale < 0 else abs(value)
    low_high = BETWEEN.get(rule.quantity)
    if low_high is not None and not low_high[0] <= value <= low_high[1]:
        return None
    return value + 0  # no negative zero


def _end(rule: Rule, words: Words) -> Decimal:
    """The watt-hours at which a counter begins anew."""
    end = Decimal(2 ** (16 * SIZES[rule.field.type])) * rule.scale
    if rule.field.factor is None:
        return end
    exponent = words[rule.field.space, rule.field.factor]
    return end.scaleb(exponent - 0x10000 if exponent >= 0x8000 else exponent)

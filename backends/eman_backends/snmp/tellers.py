"""One rule at one point: from what a device answered to its value, prepared once and done in every pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from .complete import Oid, Value
from .tables import Condition, Exponent, Rule, Word

Known = Decimal | Word
Teller = Callable[[Mapping[Oid, Value]], Known | None]  # None: not known
MOST_DIGITS = 24  # yocto and yotta are as far as units go


def number(value: Value | None) -> int | None:
    """A number as the device gave it; some give numbers as text."""
    if isinstance(value, bytes):
        try:
            return int(value.decode("ascii"))
        except ValueError:
            return None
    return value if isinstance(value, int) else None


def teller(rule: Rule, oids: Sequence[Oid]) -> Teller:
    """What tells the value of a rule from what the device answered at ``oids``, the instances of ``rule.needs``.

    Rules are as simple as they look in most tables: a number with a scale, or words for numbers. These two have a way
    of their own, since a pass has many of them.
    """
    if rule.needs == (rule.oid,):
        return _scaled(rule, oids[0])
    if rule.oid is None and not rule.every and rule.only_when is None and rule.unless is None:
        return _worded(rule, oids)
    return _any(rule, oids)


def _scaled(rule: Rule, oid: Oid) -> Teller:
    scale, absent = rule.scale + 0, rule.absent  # written out, whatever its exponent
    nothing = abs(0 * scale)  # no negative zero
    low, high = _bounds(rule)

    def tell(values: Mapping[Oid, Value]) -> Known | None:
        raw = values.get(oid)
        if type(raw) is not int:
            raw = number(raw)
            if raw is None:
                return None
        if not low <= raw <= high or raw in absent:
            return None
        return raw * scale if raw else nothing

    return tell


def _bounds(rule: Rule) -> tuple[float, float]:
    """Between which numbers, as the device tells them, a value is known; whole ones, since those are compared fast."""
    if rule.between is None:
        return -math.inf, math.inf
    if not rule.scale:
        return (-math.inf, math.inf) if rule.between[0] <= 0 <= rule.between[1] else (math.inf, -math.inf)
    ends = sorted(Fraction(end) / Fraction(rule.scale) for end in rule.between)
    return math.ceil(ends[0]), math.floor(ends[1])


def _worded(rule: Rule, oids: Sequence[Oid]) -> Teller:
    place = dict(zip(rule.needs, oids, strict=True))
    cases = tuple((place[case.condition.oid], _test(case.condition), case.value) for case in rule.cases)

    def tell(values: Mapping[Oid, Value]) -> Known | None:
        for oid, fits, word in cases:
            raw = values.get(oid)
            if type(raw) is not int:
                raw = number(raw)
                if raw is None:
                    continue
            if fits(raw):
                return word
        return None

    return tell


def _test(condition: Condition) -> Callable[[int], bool]:
    if condition.equals is not None and condition == Condition(condition.oid, condition.equals):
        return condition.equals.__contains__
    return condition.holds


def _any(rule: Rule, oids: Sequence[Oid]) -> Teller:
    places = tuple(zip(rule.needs, oids, strict=True))

    def tell(values: Mapping[Oid, Value]) -> Known | None:
        told = {need: values[oid] for need, oid in places if oid in values}
        return _value(rule, told) if told else None

    return tell


def holds(condition: Condition, cell_needs: Sequence[Oid], oids: Sequence[Oid], values: Mapping[Oid, Value]) -> bool:
    """Whether a condition of a rule holds now."""
    return _holds(condition, {need: values[oid] for need, oid in zip(cell_needs, oids, strict=True) if oid in values})


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

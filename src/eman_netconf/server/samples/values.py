"""Samples as the store computes with them: packed quality, adding up, putting together, shares of time."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from eman_netconf.energy.accumulation import RANK
from eman_netconf.energy.samples import Joining, Mark, Sample, worst
from eman_netconf.energy.values import Method, Quantity

HOUR: Final = 3600
DAY: Final = 86_400

ENERGIES: Final = frozenset({Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED})

#: Their places are in the file: only ever append. "" = nobody said.
_METHODS: Final = (
    "",
    Method.DIRECT_METER,
    Method.REMOTE_METER,
    Method.LOAD_MODEL,
    Method.STATE_MODEL,
    Method.INTEGRATED,
    Method.NAMEPLATE,
)
_METHOD_CODES: Final = {method: code for code, method in enumerate(_METHODS)}
_MARKS: Final = (Mark.MEASURED, Mark.ESTIMATED, Mark.MISSING)
_MARK_CODES: Final = {mark: code for code, mark in enumerate(_MARKS)}
_MOST: Final = (1 << 63) - 1


class Summary(NamedTuple):
    """What is known of one channel over a stretch of time: a sample, or several put together.

    ``low`` and ``high`` are the least and the greatest value, of energy of no meaning.
    """

    start: float
    end: float
    value: int | None
    low: int
    high: int
    method: str
    coverage: float
    mark: Mark

    def sample(self) -> Sample:
        return Sample(self.start, self.end, self.value, self.method, self.coverage, self.mark)


@lru_cache(1 << 16)
def quality(method: str, coverage: float, mark: Mark, known: bool) -> int:
    """Everything about a sample but its value and time, in 22 bits; coverage to a hundredth of a percent."""
    hundredths = min(max(round(coverage * 100), 0), 10_000)
    return known | _MARK_CODES[mark] << 1 | _METHOD_CODES.get(method, 0) << 3 | hundredths << 8


@lru_cache(1 << 16)
def qualified(code: int) -> tuple[bool, str, float, Mark]:
    """Known, method, coverage and mark of a ``quality``."""
    return bool(code & 1), str(_METHODS[(code >> 3) & 31]), (code >> 8) / 100, _MARKS[(code >> 1) & 3]


def fits(value: int | None) -> int | None:
    """``value``, or None for what no 64 bits hold."""
    return value if value is None or -_MOST <= value <= _MOST else None


def pack(code: str, numbers: Iterable[int] | Iterable[float]) -> bytes:
    """Little-endian, one after the other; ``code`` as in module array. Raises OverflowError."""
    made = array(code, numbers)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def unpack(code: str, octets: bytes | memoryview) -> array[int]:
    made = array(code)
    made.frombytes(octets)
    if sys.byteorder == "big":
        made.byteswap()
    return made


def hour_of(end: float) -> int:
    """The hour (since the epoch) in which an interval that ends at ``end`` is kept: it lies in it, or ends in it."""
    return -int(-end // HOUR) - 1


def began(start: float, end: float, since: float) -> float:
    """Where an hour or day from ``start`` to ``end`` begins for a channel that is kept ``since`` then."""
    return max(float(start), since) if since < end else float(start)


def share(amount: int, start: float, end: float, since: float, until: float) -> int:
    """The part of ``amount``, which flowed evenly from ``start`` to ``end``, that flowed from ``since`` to ``until``.

    Parts that follow each other sum to the whole to the last digit.
    """
    first, length = round(start * 1e6), round(end * 1e6) - round(start * 1e6)
    if length <= 0:
        return amount if since <= end < until or until == end else 0
    low = min(max(round(since * 1e6) - first, 0), length)
    high = min(max(round(until * 1e6) - first, 0), length)
    return amount * high // length - amount * low // length


def weakest(methods: Iterable[str]) -> str:
    """The one that deserves the least trust; "" when there is none."""
    return max((method for method in methods if method), key=lambda method: RANK.get(method, 0), default="")


def added(one: Summary, other: Summary, *, energy: bool) -> Summary:
    """Two of the same instant: slices of a tick, or a clock that was set back. Their coverages add up."""
    if one.value is None or other.value is None:
        known = other if one.value is None else one
        return known._replace(
            start=min(one.start, other.start),
            method=weakest((one.method, other.method)),
            coverage=min(100.0, one.coverage + other.coverage),
            mark=worst(one.mark, other.mark),
        )
    if energy:
        value = low = high = one.value + other.value
    else:
        weight, more = (one.coverage, other.coverage) if one.coverage or other.coverage else (1.0, 1.0)
        value = round((one.value * weight + other.value * more) / (weight + more))
        low, high = min(one.low, other.low), max(one.high, other.high)
    return Summary(
        min(one.start, other.start),
        one.end,
        value,
        low,
        high,
        weakest((one.method, other.method)),
        min(100.0, one.coverage + other.coverage),
        worst(one.mark, other.mark),
    )


def together(parts: Sequence[Summary], start: float, end: float, *, energy: bool) -> Summary:
    """``parts``, which lie within ``start`` to ``end``, as one: energies are added, all else averaged over time."""
    known = [part for part in parts if part.value is not None]
    length = end - start
    covered = sum(part.coverage * (part.end - part.start) for part in parts)
    there = sum(part.end - part.start for part in parts)
    mark = worst(*(part.mark for part in parts)) if parts else Mark.MISSING
    if energy and there < length - 1e-3:
        mark = Mark.MISSING
    method = weakest(part.method for part in parts)
    coverage = min(100.0, round(covered / length, 2)) if length > 0 else 0.0
    if not known:
        return Summary(start, end, None, 0, 0, method, coverage, mark)
    low, high = min(part.low for part in known), max(part.high for part in known)
    if energy:
        value = sum(part.value or 0 for part in known)
    else:
        weights = [part.coverage * (part.end - part.start) for part in known]
        if not any(weights):
            weights = [part.end - part.start or 1.0 for part in known]
        value = round(
            sum((part.value or 0) * weight for part, weight in zip(known, weights, strict=True)) / sum(weights)
        )
    return Summary(start, end, value, low, high, method, coverage, mark)


def added_as(one: Summary, other: Summary, joining: Joining) -> Summary:
    """Two values of a series of the same instant, ``other`` told later."""
    if joining in {Joining.LAST, Joining.NEWEST}:
        return one if other.value is None else other
    return _extreme(added(one, other, energy=joining is Joining.SUM), joining)


def together_as(parts: Sequence[Summary], start: float, end: float, joining: Joining) -> Summary:
    """``parts``, by ascending end, as one value from ``start`` to ``end``."""
    if joining is Joining.NEWEST:
        return parts[-1]
    whole = together(parts, start, end, energy=joining is Joining.SUM)
    return whole._replace(value=parts[-1].value) if joining is Joining.LAST else _extreme(whole, joining)


def _extreme(one: Summary, joining: Joining) -> Summary:
    if one.value is None or joining not in {Joining.MINIMUM, Joining.MAXIMUM}:
        return one
    return one._replace(value=one.low if joining is Joining.MINIMUM else one.high)

"""Sums of power: what parts come to, how good that is, and how long sums are kept up as their parts change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf, isqrt, sqrt
from typing import TYPE_CHECKING, NamedTuple

from eman_netconf.energy.accumulation import RANK
from eman_netconf.energy.values import Method

if TYPE_CHECKING:
    from eman_netconf.energy.measurements import Meter

LONG = 64  # parts from which on a sum is kept in portions
_METHODS = sorted(RANK, key=RANK.__getitem__)


class Quality(NamedTuple):
    """How values came about. ``at`` is wall-clock seconds, ``missing`` names the contributors not in a sum.

    ``accuracy`` of a sum takes its parts for independent of each other; ``bound`` is what it may be off at worst.
    """

    method: str
    at: float
    accuracy: float | Decimal | None = None  # percent
    accuracy_class: str | None = None
    interval: float | None = None  # seconds
    reporter: str | None = None
    missing: tuple[str, ...] = ()
    bound: float | None = None  # percent; of sums


class Watts(NamedTuple):
    """Real power with its quality, and reactive power in thousandths where that is known.

    ``sources`` of a sum: the meters that are in it, and whether they are turned.
    """

    milliwatts: int
    quality: Quality
    reactive: int | None = None
    sources: Mapping[Meter, bool] | None = None


class Part(NamedTuple):
    """One meter that goes into a sum; ``turned`` at the other end of a wire, where received is provided.

    ``entity`` is the contributor; ``reporter`` is set where it measures what the sum stands for.
    """

    meter: Meter
    turned: bool
    entity: str
    reporter: str | None = None


class _Portion(NamedTuple):
    """What some parts come to, in such a form that portions can be joined. Of nothing known ``rank`` is -1."""

    terms: int
    milliwatts: int
    reactive: int | None  # None = one does not tell
    squares: float | None  # of how far each may be off; None = one does not tell
    off: float  # at worst
    bound: float | None  # of a term that is alone
    rank: int  # of the weakest method
    at: float  # the oldest
    classes: frozenset[str | None]
    interval: float  # the longest; 0 = no mean
    reporters: frozenset[str | None]
    missing: tuple[str, ...]
    sources: Mapping[Meter, bool]


def combine(parts: tuple[Part, ...]) -> Watts | None:
    """The sum of the parts: the weakest method, the oldest time, how far it may be off; None when no part is known.

    A meter that goes into several parts counts once. Reactive power is there when all parts that are known tell it.
    """
    return _told(_portion(parts))


class LongSum:
    """A sum of many parts: to ask for it again costs what changed, and the root of how many there are."""

    __slots__ = ("_once", "_places", "_portions", "_sources", "_stale", "_sums", "parts")

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        size = isqrt(len(parts))
        self._portions = [parts[start : start + size] for start in range(0, len(parts), size)]
        self._places: dict[Meter, list[int]] = {}
        for place, portion in enumerate(self._portions):
            for part in portion:
                self._places.setdefault(part.meter, []).append(place)
        self._sums: dict[int, _Portion] = {}
        self._stale = set(range(len(self._portions)))
        self._sources: dict[Meter, bool] | None = None
        self._once = True  # no meter is in two portions

    def changed(self, meter: Meter) -> None:
        """One of the parts tells something else."""
        self._stale.update(self._places.get(meter, ()))

    def watts(self) -> Watts | None:
        """As ``combine``."""
        for place in self._stale:
            before, now = self._sums.get(place), _portion(self._portions[place])
            if before is not None and before.sources == now.sources:
                now = now._replace(sources=before.sources)
            else:
                self._sources = None
            self._sums[place] = now
        self._stale.clear()
        sums = [self._sums[place] for place in range(len(self._portions))]
        if self._sources is None:
            self._sources = {}
            for each in sums:
                self._sources.update(each.sources)
            self._once = len(self._sources) == sum(len(each.sources) for each in sums)
        return _told(_joined(sums, self._sources)) if self._once else combine(self.parts)


def _portion(parts: tuple[Part, ...]) -> _Portion:
    found = [(part, part.meter.watts()) for part in parts]
    known = [(part, watts) for part, watts in found if watts is not None]
    sources = _sources(known)
    if len(sources) < sum(len(watts.sources) if watts.sources is not None else 1 for _, watts in known):
        terms = [(meter.watts(), turned) for meter, turned in sources.items()]
    else:
        terms = [(watts, part.turned) for part, watts in known]
    summed = [(watts, -1 if turned else 1) for watts, turned in terms if watts is not None]
    reactives = [sign * watts.reactive for watts, sign in summed if watts.reactive is not None]
    return _Portion(
        len(summed),
        sum(sign * watts.milliwatts for watts, sign in summed),
        sum(reactives) if len(reactives) == len(summed) else None,
        *_deviations([(watts.milliwatts, watts.quality) for watts, _ in summed]),
        max((RANK[seen_through(part, watts.quality.method)] for part, watts in known), default=-1),
        min((watts.quality.at for _, watts in known), default=inf),
        frozenset(watts.quality.accuracy_class for _, watts in known),
        max((watts.quality.interval or 0.0 for _, watts in known), default=0.0),
        frozenset(part.reporter or watts.quality.reporter for part, watts in known),
        missing((part, watts.quality if watts else None) for part, watts in found),
        sources,
    )


def _joined(sums: list[_Portion], sources: Mapping[Meter, bool]) -> _Portion:
    """All as one; none of them has a meter of another."""
    reactives = [each.reactive for each in sums if each.reactive is not None]
    squares = [each.squares for each in sums if each.squares is not None]
    terms = sum(each.terms for each in sums)
    return _Portion(
        terms,
        sum(each.milliwatts for each in sums),
        sum(reactives) if len(reactives) == len(sums) else None,
        sum(squares) if len(squares) == len(sums) else None,
        sum(each.off for each in sums),
        next(each.bound for each in sums if each.terms) if terms == 1 else None,
        max(each.rank for each in sums),
        min(each.at for each in sums),
        frozenset[str | None]().union(*(each.classes for each in sums)),
        max(each.interval for each in sums),
        frozenset[str | None]().union(*(each.reporters for each in sums)),
        tuple(dict.fromkeys(name for each in sums for name in each.missing)),
        sources,
    )


def _told(sums: _Portion) -> Watts | None:
    if sums.rank < 0:
        return None
    accuracy, bound = _relative(sums.milliwatts, sums.terms, sums.squares, sums.off, sums.bound)
    quality = Quality(
        _METHODS[sums.rank],
        sums.at,
        accuracy,
        common(sums.classes),
        sums.interval or None,
        common(sums.reporters),
        sums.missing,
        bound,
    )
    return Watts(sums.milliwatts, quality, sums.reactive, sums.sources)


def accuracies(total: int, parts: list[tuple[int, Quality]]) -> tuple[float | None, float | None]:
    """How far a sum may be off in percent of itself: the root of the summed squares, and at worst.

    None when one part does not tell, or the sum is 0. What is of one part alone has no other bound than its accuracy.
    """
    return _relative(total, len(parts), *_deviations(parts))


def _deviations(terms: list[tuple[int, Quality]]) -> tuple[float | None, float, float | None]:
    """Of amounts: the summed squares of how far each may be off, all that at worst, and the bound of the only one."""
    squares = off = 0.0
    for amount, quality in terms:
        if quality.accuracy is None:
            return None, 0.0, None
        squares += (amount * float(quality.accuracy)) ** 2
        off += abs(amount) * (float(quality.accuracy) if quality.bound is None else quality.bound)
    return squares, off, terms[0][1].bound if len(terms) == 1 else None


def _relative(
    total: int, terms: int, squares: float | None, off: float, bound: float | None
) -> tuple[float | None, float | None]:
    if not total or squares is None:
        return None, None
    return sqrt(squares) / abs(total), bound if terms == 1 else off / abs(total)


def _sources(known: list[tuple[Part, Watts]]) -> dict[Meter, bool]:
    """The meters that the parts come from in the end, and whether they are turned as seen from here."""
    sources: dict[Meter, bool] = {}
    for part, watts in known:
        if watts.sources is None:
            sources[part.meter] = part.turned
        else:
            sources.update((meter, turned is not part.turned) for meter, turned in watts.sources.items())
    return sources


def missing(found: Iterable[tuple[Part, Quality | None]]) -> tuple[str, ...]:
    """The contributors without a value, and those that are missing in a contributor."""
    names: dict[str, None] = {}
    for part, quality in found:
        for name in (part.entity,) if quality is None else quality.missing:
            names[name] = None
    return tuple(names)


def common(values: Iterable[str | None]) -> str | None:
    """The value that all have; None when they differ."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def seen_through(part: Part, method: str) -> str:
    """A meter seen from another entity than its own is remote."""
    return Method.REMOTE_METER if part.reporter is not None and method == Method.DIRECT_METER else method


def weakest(methods: Iterable[str]) -> str:
    return max(methods, key=RANK.__getitem__)

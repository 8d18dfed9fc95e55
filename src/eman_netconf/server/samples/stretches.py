"""Energy that came to be known late, and corrections: how they lie over the samples of a channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from eman_netconf.energy.samples import Mark, Stretch, worst
from eman_netconf.energy.values import Method, Quantity
from eman_netconf.server.samples.values import HOUR, Summary, share

#: A stretch of up to so many seconds goes into the blocks of its hours; longer ones, which are few, are added whenever
#: something is read, so that one of weeks costs one row.
LONG: Final = 2 * HOUR


#: What is said to have flowed in no time flowed within so many seconds.
SHORTEST: Final = 1.0


class Overlay(NamedTuple):
    """A stretch of one direction, as it lies over samples. ``counted``: its time counts as covered."""

    start: float
    end: float
    amount: int
    mark: Mark
    counted: bool

    def within(self, start: float, end: float) -> int:
        return share(self.amount, self.start, self.end, start, end)


def overlay(stretch: Stretch, quantity: str) -> Overlay:
    """``stretch`` as it concerns one quantity of energy.

    What is missing is not there: it covers nothing.
    """
    start = min(stretch.start, stretch.end - SHORTEST)
    amount = stretch.received if quantity == Quantity.ENERGY_RECEIVED else stretch.provided
    return Overlay(start, stretch.end, amount, stretch.mark, stretch.mark is not Mark.MISSING)


def by_hour(over: Overlay) -> list[tuple[int, Overlay]]:
    """``over`` in pieces, each within one hour; they sum to the whole."""
    pieces, start = [], over.start
    while start < over.end:
        hour = int(start // HOUR)
        end = min(float((hour + 1) * HOUR), over.end)
        pieces.append((hour, over._replace(start=start, end=end, amount=over.within(start, end))))
        start = end
    return pieces


def spread(
    samples: Sequence[Summary], overlays: Iterable[Overlay], since: float, until: float, period: float
) -> list[Summary]:
    """``samples`` within ``since`` to ``until``, by ascending end, with what ``overlays`` add to them there.

    Where there is no sample but energy, there are samples of a ``period`` afterwards.
    """
    found = list(samples)
    for over in overlays:
        if over.start >= until or over.end <= since:
            continue
        start, end = max(over.start, since), min(over.end, until)
        found = _cells(found, start, end, since, until, period)
        at = start
        for place, cell in enumerate(found):
            upto = min(cell.end, end)
            if upto > at:
                found[place] = _with(cell, over, at, upto)
                at = upto
    return found


def _with(cell: Summary, over: Overlay, start: float, end: float) -> Summary:
    """``cell`` and what ``over`` adds to it from ``start`` to ``end``."""
    value = (cell.value or 0) + over.within(start, end)
    coverage = cell.coverage
    if over.counted and cell.end > cell.start:
        coverage = min(100.0, round(coverage + 100 * (end - start) / (cell.end - cell.start), 2))
    known = cell.value is not None or cell.mark is not Mark.MISSING
    mark = worst(cell.mark, over.mark) if known else over.mark
    return cell._replace(
        value=value, low=value, high=value, method=cell.method or Method.INTEGRATED, coverage=coverage, mark=mark
    )


def _cells(
    samples: list[Summary], start: float, end: float, since: float, until: float, period: float
) -> list[Summary]:
    """``samples``, with empty ones in the gaps between ``start`` and ``end``."""
    cells: list[Summary] = []
    at = since
    for item in samples:
        cells += _empty(at, item.start, start, end, period)
        cells.append(item)
        at = max(at, item.end)
    cells += _empty(at, until, start, end, period)
    cells.sort(key=lambda cell: cell.end)
    return cells


def _empty(since: float, until: float, start: float, end: float, period: float) -> Iterator[Summary]:
    """Empty samples that end at multiples of ``period`` and hold some of ``start`` to ``end``."""
    at = since
    if start > since:
        at = max(since, start // period * period)
    while at < min(until, end):
        next_ = min((at // period + 1) * period, until)
        if next_ > start:
            yield Summary(at, next_, None, 0, 0, "", 0.0, Mark.MEASURED)
        at = next_

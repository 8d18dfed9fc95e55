"""Energy that only grows: counters of devices taken as they are, power integrated over time, increments handed on.

The laws:

1. Totals are whole milliwatt-hours, and they move by increments alone; a part and the sums it goes into get the same
   ones, so that what is served adds up exactly. Received and provided energy are never netted.
2. Where the device counts, its counter is the truth (``counters``), and the power beside it serves plausibility only.
3. Where it does not, power goes straight from one sample to the next. A step of the load then errs by as much as it
   falls early or late between two samples, which is as often the one as the other: errors cancel instead of adding up,
   as they would not if each sample held until the next one. A sample that is a mean is exact over its interval.
4. Samples further apart than is joined add nothing; the totals are broken there and say so. Over half of that and
   more the line is an estimate, and so is all that is made of power that was not metered.
5. Durations come from the monotonic clock alone, so that a stepped clock neither makes nor loses energy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from eman_netconf.energy.anomalies import Kind
from eman_netconf.energy.counters import CEILING, Counter, Flow
from eman_netconf.energy.samples import Mark, worst
from eman_netconf.energy.values import Method, Quantity

__all__ = ["RANK", "Energy", "Flow", "shares", "split"]

#: Methods from the strongest to the weakest; a sum has the weakest of its parts (eman-types:measurement-method).
RANK: Mapping[str, int] = {
    Method.DIRECT_METER: 0,
    Method.REMOTE_METER: 1,
    Method.LOAD_MODEL: 2,
    Method.STATE_MODEL: 3,
    Method.INTEGRATED: 4,
    Method.NAMEPLATE: 5,
}

_MILLIWATT_HOUR = 7_200_000_000  # in half nanojoules: half a milliwatt times a microsecond, so trapezoids stay whole
_MICROJOULES = 3_600_000_000  # milliwatts times microseconds in a milliwatt-hour


def split(before: int, after: int, microseconds: int) -> tuple[int, int]:
    """Received and provided half nanojoules of a power going straight from ``before`` to ``after`` (milliwatts)."""
    if before >= 0 and after >= 0:
        return (before + after) * microseconds, 0
    if before <= 0 and after <= 0:
        return 0, -(before + after) * microseconds
    swing = abs(before - after)
    received = max(before, after) ** 2 * microseconds // swing
    provided = min(before, after) ** 2 * microseconds // swing
    return received, provided


def shares(difference: int, amounts: Sequence[int]) -> list[int]:
    """``difference`` in whole parts in proportion to ``amounts``; less than it where one would fall below 0."""
    whole = sum(amounts)
    difference = max(difference, -whole)
    found: list[int] = []
    behind = given = 0
    for amount in amounts:
        behind += amount
        upto = difference * behind // whole if whole else 0
        found.append(upto - given)
        given = upto
    return found


class Book(Protocol):
    """Who keeps account of the totals over time."""

    def dump(self) -> list[Any] | None:
        """JSON-able: what is in the totals and was not recorded yet; None = nothing."""


class Energy:
    """The two growing totals of one meter, and where they come from.

    Counted by the device where it counts (``count``), else integrated from power (``integrate``), else taken over
    from other meters (``take``). ``start``, ``end`` and ``broken`` (discontinuity) are wall-clock seconds. ``ceiling``
    is what the place can carry at most, in milliwatts. ``odd`` is what was odd about the last reading, for whoever
    gave it to take away. ``unrecorded`` is what the ``book`` of an earlier life told, until there is one that takes it.
    """

    __slots__ = (
        "_carry",
        "_in",
        "_integrated",
        "_out",
        "_sample",
        "accuracy",
        "accuracy_class",
        "book",
        "broken",
        "ceiling",
        "end",
        "hidden",
        "method",
        "odd",
        "provided",
        "received",
        "start",
        "unrecorded",
    )

    def __init__(self) -> None:
        self.received: int | None = None
        self.provided: int | None = None
        self.start: float | None = None
        self.end: float | None = None
        self.broken: float | None = None
        self.method: str | None = None
        self.accuracy: Any = None
        self.accuracy_class: str | None = None
        self.ceiling = CEILING
        self.odd: Kind | None = None
        self.hidden = False  # not shown until the device was read again
        self.book: Book | None = None
        self.unrecorded: list[Any] | None = None
        self._in: Counter | None = None
        self._out: Counter | None = None
        self._sample: tuple[int, int] | None = None  # microseconds of the monotonic clock, milliwatts
        self._integrated = False
        self._carry = (0, 0)  # half nanojoules not yet a milliwatt-hour

    @property
    def counted(self) -> bool:
        """Whether the device itself counts."""
        return self._in is not None or self._out is not None

    @property
    def amount(self) -> int:
        """All that flowed, either way."""
        return (self.received or 0) + (self.provided or 0)

    def count(
        self, quantity: str, raw: int, wall: float, mono: float, wraps_at: int | None, longest: float = 60.0
    ) -> Flow | None:
        """A reading of the device's counter in milliwatt-hours; None when nothing is taken from it (Counter.read)."""
        received = quantity == Quantity.ENERGY_RECEIVED
        counter = self._in if received else self._out
        if counter is None:
            since, mark = mono, Mark.MEASURED
            if not self.counted and not self.received and not self.provided:
                # the power beside the counter came first; which directions there are, the counters tell
                self.received = self.provided = None
                self._integrated = False
            elif not self.counted and self._sample is not None and self._sample[0] < round(mono * 1e6):
                since, mark = self._sample[0] / 1e6, Mark.MISSING  # it was integrated until then, and no further
            counter = Counter(raw, wall, mono, received=received)
            if received:
                self._in = counter
            else:
                self._out = counter
            begun = Flow(0, 0, since, mono, mark is Mark.MISSING, mark)
            return self.take(begun, wall, received=received, provided=not received)
        beside = 0.0
        sample = self._sample
        if sample is not None and (sample[1] > 0) is received:
            span = round(mono * 1e6) - sample[0]
            if 0 < span <= longest * 1e6:
                beside = abs(sample[1]) * span / _MICROJOULES
        flow = counter.read(raw, wall, mono, wraps_at=wraps_at, longest=longest, ceiling=self.ceiling, beside=beside)
        if counter.odd is not None:
            self.odd, counter.odd = counter.odd, None
        if flow is None:
            return None
        self.hidden = False
        self._add(flow, wall)
        return flow

    def integrate(
        self,
        milliwatts: int,
        wall: float,
        mono: float,
        *,
        mean_over: float | None,
        longest: float,
        mark: Mark = Mark.MEASURED,
    ) -> Flow | None:
        """A sample of power; None when it is a duplicate or late, or the device counts by itself.

        A sample that is a mean holds over its interval; ``longest`` is the gap in seconds over which samples are
        joined, and ``mark`` that of the power itself.
        """
        now = round(mono * 1e6)
        last = self._sample
        span = now - last[0] if last is not None else 1
        if span <= 0:
            return None
        self._sample = (now, milliwatts)
        if self._in is not None or self._out is not None:
            if last is not None and span <= longest * 1e6:
                beside = self._in if last[1] > 0 else self._out
                if beside is not None:
                    beside.beside(abs(last[1]) * span / _MICROJOULES)
            if not ((self._in and self._in.heard(mono)) or (self._out and self._out.heard(mono))):
                self.odd = Kind.COUNTER_SILENT
            return None
        if last is None:  # a gap where it was integrated already before the server restarted
            away = max(wall - self.end, 0.0) if self._integrated and self.end is not None else 0.0
            lost = Mark.MISSING if self._integrated else mark
            flow = Flow(0, 0, mono - away, mono, self._integrated, lost)
            self._integrated = True
            return self.take(flow, wall, received=True, provided=True)
        covered = min(span, round((mean_over or 0.0) * 1e6))
        gap = span - covered
        broken = gap > longest * 1e6
        received, provided = (0, 0) if broken else split(last[1], milliwatts, gap)
        if milliwatts >= 0:
            received += 2 * milliwatts * covered
        else:
            provided -= 2 * milliwatts * covered
        grown = (
            divmod(self._carry[0] + received, _MILLIWATT_HOUR),
            divmod(self._carry[1] + provided, _MILLIWATT_HOUR),
        )
        self._carry = grown[0][1], grown[1][1]
        if broken:
            mark = Mark.MISSING
        elif gap * 2 > longest * 1e6:
            mark = worst(mark, Mark.ESTIMATED)
        flow = Flow(grown[0][0], grown[1][0], last[0] / 1e6, mono, broken, mark)
        self._add(flow, wall)
        return flow

    def replace(self) -> None:
        """Another device measures from now on: its counters begin elsewhere, its power is not joined to the last."""
        for counter in (self._in, self._out):
            if counter is not None:
                counter.replace()
        self.pause()

    def correct(self, received: int, provided: int, wall: float) -> None:
        """Move the totals by what was found to be wrong; the caller sees to it that neither falls below 0."""
        if received:
            self.received = (self.received or 0) + received
        if provided:
            self.provided = (self.provided or 0) + provided
        self.broken = wall

    def take(self, flow: Flow, wall: float, *, received: bool, provided: bool) -> Flow:
        """Take in a flow, such as one handed on by a part; which directions are known decides what is shown."""
        if self.start is None:
            self.start = wall - (flow.until - flow.since)
        if received and self.received is None:
            self.received = 0
        if provided and self.provided is None:
            self.provided = 0
        self.hidden = False
        self._add(flow, wall)
        return flow

    def pause(self) -> None:
        """Forget the last sample: what comes next is not joined to it."""
        self._sample = None

    def _add(self, flow: Flow, wall: float) -> None:
        if flow.received:
            self.received = (self.received or 0) + flow.received
        if flow.provided:
            self.provided = (self.provided or 0) + flow.provided
        if flow.broken:
            self.broken = wall
        if self.start is not None:
            self.end = max(wall, self.start)

    # what outlives the process

    def dump(self) -> dict[str, Any]:
        """JSON-able state; a counter's last reading and the total it led to stay together."""
        return {
            "received": self.received,
            "provided": self.provided,
            "start": self.start,
            "end": self.end,
            "broken": self.broken,
            "method": self.method,
            "integrated": self._integrated,
            "carry": list(self._carry),
            "counters": {
                name: counter.dump()
                for name, counter in ((Quantity.ENERGY_RECEIVED, self._in), (Quantity.ENERGY_PROVIDED, self._out))
                if counter is not None
            },
            "unrecorded": self.unrecorded if self.book is None else self.book.dump(),
        }

    def load(self, state: Mapping[str, Any], now_wall: float, *, clean: bool) -> None:
        """Go on from ``state``. After an unclean stop the last second may be missing.

        What the device counts goes on exactly with its next reading and is hidden until then; what was integrated
        or taken over is marked broken at once.
        """
        self.received, self.provided = state["received"], state["provided"]
        self.start, self.end, self.broken = state["start"], state["end"], state["broken"]
        self.method, self._integrated = state["method"], state["integrated"]
        self.unrecorded = state.get("unrecorded")
        self._carry = (state["carry"][0], state["carry"][1])
        counters = state["counters"]
        if Quantity.ENERGY_RECEIVED in counters:
            self._in = Counter.load(counters[Quantity.ENERGY_RECEIVED], received=True)
        if Quantity.ENERGY_PROVIDED in counters:
            self._out = Counter.load(counters[Quantity.ENERGY_PROVIDED], received=False)
        if clean or self.start is None:
            return
        if self.counted:
            self.hidden = True
        else:
            self.broken = now_wall

"""The growing counter of a device, read now and then: what flowed between two readings.

The laws, in the order in which they are asked:

1. A reading that is not newer than the last one changes nothing, so repeats and stragglers never add.
2. A reading not below the last one has grown by the difference, whatever happened between: amounts are exact.
3. One below it by no more than rounding has not grown; the counter waits until it passes its highest value again.
4. One below it has gone round where the modulus is known and the growth that means stands to reason.
5. Everything else, and growth beyond reason, is *held*: nothing is added, and the next reading decides. Goes that on
   from the last good value, then what was held was a slip, and nothing is lost. Goes it on from what was held, then
   the counter began elsewhere: it is counted on from there, and what flowed between the last good reading and the
   held one is missing. So nothing is ever invented; a jump adds nothing and a reset loses one interval, marked.

What stands to reason: no more than the place can carry (``ceiling``), and where power is read beside the counter, and
closely, no more than some times what that power makes. A counter that counts more than that twice running is believed:
then it is the power that is wrong. What grew within a gap is exact in its amount and a guess in its place in time; when
the counter may have gone round more than once in the gap, some of it may be missing, and it says so.

A counter that stands still while power flows beside it is *stuck*: what it tells meanwhile is in doubt, and what it
catches up later lies in the whole time it stood still. Power is never integrated beside a counter, so that a counter
that catches up counts nothing twice.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from eman_netconf.energy.anomalies import Kind
from eman_netconf.energy.samples import Mark, worst

CEILING = 50_000_000_000  # milliwatts; no counter of ours carries more than 50 MW
_COARSE = 1_000_000  # milliwatt-hours; coarse counters step by up to 1 kWh at once
_NOISE = 1_000  # milliwatt-hours; a counter may fall by 1 Wh of rounding without having been reset
_POWER_MARGIN = 4  # a counter may outrun the power beside it so many times: power is sampled, and it changes
_CLOSELY = 90.0  # seconds; what happens between readings further apart is not for the power at their times to judge
_RATE_MARGIN = 8  # a counter that goes round may be so many times as fast as it ever was
_STUCK_AFTER = 1800.0  # seconds; meters that count in steps of a quarter of an hour or half are not stuck
_SILENT_AFTER = 7200.0  # seconds; a counter that is read once an hour is not gone
_ABSENCE = 3600.0  # seconds that the wall clock may be wrong by when the server was away


class Flow(NamedTuple):
    """Energy that flowed between two instants of the monotonic clock, in milliwatt-hours.

    ``broken``: some of it is missing, so totals that take it in are discontinuous. ``mark`` says how far the amount
    and its place in time may be trusted; what broke is MISSING.
    """

    received: int
    provided: int
    since: float
    until: float
    broken: bool = False
    mark: Mark = Mark.MEASURED

    def turned(self) -> Flow:
        """The same flow seen from the other end of the wire."""
        return self._replace(received=self.provided, provided=self.received)


class Step(StrEnum):
    """What one reading of a growing counter turned out to be, as against the one before."""

    GROWN = "grown"
    FROZEN = "frozen"
    WRAPPED = "wrapped"
    NOISE = "noise"
    DOUBTFUL = "doubtful"


def unwrap(last: int, raw: int, most: float, wraps_at: int | None, most_around: float) -> tuple[Step, int]:
    """What a counter did from ``last`` to ``raw``, and by how much it grew (all milliwatt-hours).

    It may have grown by ``most``, and by ``most_around`` if it went round at ``wraps_at`` (None: it is not known to).
    """
    growth = raw - last
    if growth > 0:
        return (Step.GROWN, growth) if growth <= most else (Step.DOUBTFUL, 0)
    if growth == 0:
        return Step.FROZEN, 0
    if wraps_at is not None and last < wraps_at:
        around = growth + wraps_at
        if around <= most_around and around <= wraps_at // 2:
            return Step.WRAPPED, around
    if -growth <= _NOISE < raw:
        return Step.NOISE, 0
    return Step.DOUBTFUL, 0


class _Held(NamedTuple):
    """A reading that did not stand to reason, and what the power beside had made until then."""

    raw: int
    wall: float
    mono: float
    expected: float


class Counter:
    """One direction's counter. ``last``, ``wall`` and ``mono`` are of its last good reading.

    ``mono`` is None after a restart of the server. ``odd`` is what was odd about the last reading, for whoever asked
    for it to take away. All amounts are milliwatt-hours.
    """

    __slots__ = (
        "_believes_power",
        "_changed",
        "_expected",
        "_held",
        "_least",
        "_rate",
        "_replaced",
        "_stuck",
        "last",
        "mono",
        "odd",
        "received",
        "wall",
    )

    def __init__(self, raw: int, wall: float, mono: float | None, *, received: bool) -> None:
        self.received = received
        self.last = raw
        self.wall = wall
        self.mono = mono
        self.odd: Kind | None = None
        self._changed = mono or 0.0  # when it was seen to grow the last time
        self._least = 0  # what it grew by at least, never less than its resolution; 0 = it has not grown yet
        self._rate = 0.0  # milliwatts, the fastest it ever grew
        self._expected = 0.0  # what the power beside it made since it grew
        self._believes_power = True  # which is over once it was found to be wrong
        self._held: _Held | None = None
        self._stuck = False
        self._replaced = False

    def beside(self, energy: float) -> None:
        """So much flowed in its direction, by the power that is read beside it."""
        self._expected += energy

    def heard(self, mono: float) -> bool:
        """Whether it was read lately, as far as is known."""
        return self.mono is None or mono - self.mono <= _SILENT_AFTER

    def replace(self) -> None:
        """The meter is another one: its next reading is a beginning."""
        self._replaced = True

    def read(
        self,
        raw: int,
        wall: float,
        mono: float,
        *,
        wraps_at: int | None = None,
        longest: float = 60.0,
        ceiling: int = CEILING,
        beside: float = 0.0,
    ) -> Flow | None:
        """What flowed since the last good reading; None when this one is a duplicate, late, or held.

        ``wraps_at``: the modulus, None = not known. ``longest``: seconds over which readings are joined without doubt.
        ``ceiling``: milliwatts the place can carry. ``beside``: what the power beside it made lately that was not told
        by the method ``beside`` yet.
        """
        held = self._held
        if wall == self.wall or (self.mono is not None and mono <= self.mono):
            return None
        if held is not None and (wall == held.wall or mono <= held.mono):
            return None
        if self.mono is None:  # only the wall clock tells, roughly, how long the server was away
            away = max(wall - self.wall, 0.0)
            since = self._changed = mono - away
            late, gap, span = True, True, away + _ABSENCE
        else:
            since, span = self.mono, mono - self._changed
            late = mono - since > longest
            gap = mono - (since if held is None else held.mono) > _CLOSELY
        if wraps_at is not None and wraps_at <= raw:
            wraps_at = None
        expected = self._expected + beside if self._believes_power else 0.0
        watched = expected if not gap else 0.0
        most = ceiling * span / 3600 + _COARSE
        likely = min(most, _POWER_MARGIN * watched + _COARSE) if watched else most
        around = self._most_around(most, span, watched, wraps_at) if wraps_at is not None else 0.0
        step, growth = unwrap(self.last, raw, likely, wraps_at, around)
        mark = Mark.MEASURED
        if self._replaced:
            growth, mark, self.odd, self._replaced = 0, Mark.MISSING, Kind.METER_REPLACED, False
            self._least, self._rate, self._believes_power = 0, 0.0, True
            self._changed, self._expected = mono, 0.0
        elif step is Step.DOUBTFUL:
            resumed = self._resume(raw, mono, held, most, expected, wraps_at, ceiling) if held is not None else None
            if resumed is None:
                self._held = _Held(raw, wall, mono, expected)
                self.odd = Kind.COUNTER_JUMPED
                return None
            growth, mark, self.odd = resumed
            self._believes_power = self.odd is not Kind.POWER_DISAGREES
        elif late and wraps_at is not None and 2 * self._rate * span / 3600 >= wraps_at:
            mark, self.odd = Mark.MISSING, Kind.COUNTER_AMBIGUOUS
        elif late and growth:
            mark = Mark.ESTIMATED
        if growth:
            if self._stuck:
                since, mark, self._stuck = min(since, self._changed), worst(mark, Mark.ESTIMATED), False
            self._grew(growth, mono)
        elif step is Step.FROZEN and self._stands_still(expected, mono):
            self._stuck, self.odd, mark = True, Kind.COUNTER_FROZEN, worst(mark, Mark.ESTIMATED)
        if step is not Step.NOISE:
            self.last = raw
        self.wall, self.mono, self._held = wall, mono, None
        broken = mark is Mark.MISSING
        if self.received:
            return Flow(growth, 0, since, mono, broken, mark)
        return Flow(0, growth, since, mono, broken, mark)

    def _most_around(self, most: float, span: float, watched: float, wraps_at: int) -> float:
        """What it may have grown by if it went round: a reset near the end of the range must not pass for that."""
        slack = max(2 * self._least, min(_COARSE, wraps_at // 8))
        if watched:
            return min(most, _POWER_MARGIN * watched + slack)
        return min(most, _RATE_MARGIN * self._rate * span / 3600 + slack) if self._rate else most

    def _resume(
        self, raw: int, mono: float, held: _Held, most: float, expected: float, wraps_at: int | None, ceiling: int
    ) -> tuple[int, Mark, Kind] | None:
        """What a second doubtful reading comes to after the one that was held; None = it is as doubtful."""
        reach = ceiling * (mono - held.mono) / 3600 + _COARSE
        step, growth = unwrap(held.raw, raw, reach, wraps_at, reach)
        if step is Step.DOUBTFUL:
            return None
        outruns = growth > _POWER_MARGIN * (expected - held.expected) + 2 * self._least
        if outruns and 0 <= raw - self.last <= most:
            return raw - self.last, Mark.ESTIMATED, Kind.POWER_DISAGREES
        return growth, Mark.MISSING, Kind.COUNTER_RESTARTED

    def _stands_still(self, expected: float, mono: float) -> bool:
        """Whether it would have to have grown, for all that is known of its steps and of the power beside it."""
        return expected > 2 * (self._least or _COARSE) and mono - self._changed > _STUCK_AFTER

    def _grew(self, growth: int, mono: float) -> None:
        if self._least and mono > self._changed:  # the first step may have been nearly due when it was first read
            self._rate = max(self._rate, growth * 3600 / (mono - self._changed))
        self._least = min(self._least or growth, growth)
        self._changed, self._expected = mono, 0.0

    # what outlives the process

    def dump(self) -> list[Any]:
        return [self.last, self.wall, self._least, self._rate]

    @classmethod
    def load(cls, saved: list[Any], *, received: bool) -> Counter:
        last, wall, *known = saved
        counter = cls(last, wall, None, received=received)
        if known:
            counter._least, counter._rate = known
        return counter

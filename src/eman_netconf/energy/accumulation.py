"""Energy that only grows: device counters unwrapped, power integrated over time, increments handed on.

Totals are whole milliwatt-hours, so that what is served adds up exactly: a part and the sum it goes into get the
same increments. Durations come from the monotonic clock alone, so a stepped clock invents no energy.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from eman_netconf.energy.samples import Mark, worst
from eman_netconf.energy.values import Method, Quantity

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
_PLAUSIBLE_MILLIWATTS = 50_000_000_000  # no counter of ours carries more than 50 MW
_PLAUSIBLE_STEP = 1_000_000  # coarse counters step by up to 1 kWh at once
_NOISE = 1_000  # a counter may fall by 1 Wh of rounding without having been reset


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
    """What one reading of a growing counter turned out to be."""

    GROWN = "grown"
    FROZEN = "frozen"
    WRAPPED = "wrapped"
    NOISE = "noise"  # fell by no more than rounding: waits until it passes its highest value again
    RESET = "reset"  # started again, or jumped beyond all reason: counted on from here


def unwrap(last: int, raw: int, wraps_at: int | None, seconds: float) -> tuple[Step, int]:
    """What a counter did from ``last`` to ``raw`` within ``seconds``, and by how much it grew (all milliwatt-hours)."""
    plausible = int(_PLAUSIBLE_MILLIWATTS * max(seconds, 0.0) / 3600) + _PLAUSIBLE_STEP
    growth = raw - last
    if growth == 0:
        return Step.FROZEN, 0
    if growth > 0:
        return (Step.GROWN, growth) if growth <= plausible else (Step.RESET, 0)
    if wraps_at is not None:
        around = growth + wraps_at
        if 0 <= around <= plausible and around <= wraps_at // 2:
            return Step.WRAPPED, around
    if -growth <= _NOISE and raw > _NOISE:
        return Step.NOISE, 0
    return Step.RESET, 0


class _Counter:
    """The last reading of one direction's counter. ``mono`` is None after a restart of the server."""

    __slots__ = ("last", "mono", "wall")

    def __init__(self, last: int, wall: float, mono: float | None) -> None:
        self.last = last
        self.wall = wall
        self.mono = mono


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


class Energy:
    """The two growing totals of one meter, and where they come from.

    Counted by the device where it counts (``count``), else integrated from power (``integrate``), else taken over
    from other meters (``take``). ``start``, ``end`` and ``broken`` (discontinuity) are wall-clock seconds.
    """

    __slots__ = (
        "_carry",
        "_counters",
        "_integrated",
        "_sample",
        "accuracy",
        "accuracy_class",
        "broken",
        "end",
        "hidden",
        "method",
        "provided",
        "received",
        "start",
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
        self.hidden = False  # not shown until the device was read again
        self._counters: dict[str, _Counter] = {}
        self._sample: tuple[int, int] | None = None  # microseconds of the monotonic clock, milliwatts
        self._integrated = False
        self._carry = (0, 0)  # half nanojoules not yet a milliwatt-hour

    @property
    def counted(self) -> bool:
        """Whether the device itself counts."""
        return bool(self._counters)

    def count(
        self, quantity: str, raw: int, wall: float, mono: float, wraps_at: int | None, longest: float = 60.0
    ) -> Flow | None:
        """A reading of the device's counter in milliwatt-hours; None when it is a duplicate or late.

        When what grew in a gap of more than ``longest`` seconds flowed is not known: it is marked as estimated.
        """
        counter = self._counters.get(quantity)
        received = quantity == Quantity.ENERGY_RECEIVED
        if counter is None:
            if not self._counters and not self.received and not self.provided:
                # the power beside the counter came first; which directions there are, the counters tell
                self.received = self.provided = None
                self._integrated = False
            self._counters[quantity] = _Counter(raw, wall, mono)
            return self.take(Flow(0, 0, mono, mono), wall, received=received, provided=not received)
        if wall == counter.wall or (counter.mono is not None and mono <= counter.mono):
            return None
        if counter.mono is None:  # the server was away: only the wall clock tells, roughly, for how long
            away = max(wall - counter.wall, 0.0)
            since, seconds, gap = mono - away, away + 3600.0, True
        else:
            since, seconds = counter.mono, mono - counter.mono
            gap = seconds > longest
        step, growth = unwrap(counter.last, raw, wraps_at, seconds)
        if step is not Step.NOISE:
            counter.last = raw
        counter.wall, counter.mono = wall, mono
        self.hidden = False
        broken = step is Step.RESET
        mark = Mark.MISSING if broken else Mark.ESTIMATED if gap and growth else Mark.MEASURED
        flow = Flow(growth if received else 0, 0 if received else growth, since, mono, broken, mark)
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

        Between two samples power is taken to go straight from one to the other; a sample that is a mean holds over
        its interval. A gap of more than ``longest`` seconds adds nothing and breaks the totals; over half of that
        and more the line is an estimate. ``mark`` is that of the power itself.
        """
        if self._counters:
            return None
        now = round(mono * 1e6)
        last, self._sample = self._sample, (now, milliwatts)
        if last is None:  # a gap where it was integrated already before the server restarted
            away = max(wall - self.end, 0.0) if self._integrated and self.end is not None else 0.0
            lost = Mark.MISSING if self._integrated else mark
            flow = Flow(0, 0, mono - away, mono, self._integrated, lost)
            self._integrated = True
            return self.take(flow, wall, received=True, provided=True)
        span = now - last[0]
        if span <= 0:
            self._sample = last
            return None
        since = last[0] / 1e6
        if span > longest * 1e6:
            flow = Flow(0, 0, since, mono, broken=True, mark=Mark.MISSING)
        else:
            covered = min(span, round((mean_over or 0.0) * 1e6))
            received, provided = split(last[1], milliwatts, span - covered)
            if milliwatts >= 0:
                received += 2 * milliwatts * covered
            else:
                provided -= 2 * milliwatts * covered
            grown = (
                divmod(self._carry[0] + received, _MILLIWATT_HOUR),
                divmod(self._carry[1] + provided, _MILLIWATT_HOUR),
            )
            self._carry = grown[0][1], grown[1][1]
            if (span - covered) * 2 > longest * 1e6:
                mark = worst(mark, Mark.ESTIMATED)
            flow = Flow(grown[0][0], grown[1][0], since, mono, mark=mark)
        self._add(flow, wall)
        return flow

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
            "counters": {name: [counter.last, counter.wall] for name, counter in self._counters.items()},
        }

    def load(self, state: Mapping[str, Any], now_wall: float, *, clean: bool) -> None:
        """Go on from ``state``. After an unclean stop the last second may be missing.

        What the device counts goes on exactly with its next reading and is hidden until then; what was integrated
        or taken over is marked broken at once.
        """
        self.received, self.provided = state["received"], state["provided"]
        self.start, self.end, self.broken = state["start"], state["end"], state["broken"]
        self.method, self._integrated = state["method"], state["integrated"]
        self._carry = (state["carry"][0], state["carry"][1])
        self._counters = {name: _Counter(last, wall, None) for name, (last, wall) in state["counters"].items()}
        if clean or self.start is None:
            return
        if self._counters:
            self.hidden = True
        else:
            self.broken = now_wall

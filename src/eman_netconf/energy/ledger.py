"""Time cut into intervals: what flowed and what held in each of them, exact at their ends, and when they are over.

Intervals end at multiples of their length by the wall clock, so those of everybody can be compared. Lengths of time
come from the monotonic clock. A wall clock that is set forward leaves a gap; one that is set back passes the same
intervals once more, and what is told of them adds up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from math import floor, inf
from typing import Generic, Protocol, TypeVar

from eman_netconf.energy.accumulation import RANK, Flow
from eman_netconf.energy.effects import Effect, Record
from eman_netconf.energy.samples import Channel, Mark, Sample, Tick, worst
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Method, Now

GRACE = 20.0  # seconds after the end of an interval until it is over, so that a reading beyond its end can be split
PATIENCE = 3600.0  # seconds for which it is waited for somebody who is read seldom
MOMENT = 1.0  # seconds in which flowed what is said to have flowed in no time; stamps of devices may differ by it
_SET_BACK = 1.0  # seconds; a clock that is slewed moves by less between two readings
_JOINED = 60.0  # seconds between two readings that are joined whatever the pace
_CHANNELS = 500  # so many are closed in one turn
_NEXT_TURN = 0.005  # seconds to the next one
_WHOLE = 99.9  # percent; what is missing to the whole is the jitter of two clocks
_NEVER: tuple[()] = ()
_METERED = RANK[Method.REMOTE_METER]


class Wall:
    """The wall clock at instants of the monotonic one. ``generation`` counts how often it was set back."""

    __slots__ = ("generation", "now", "offset")

    def __init__(self) -> None:
        self.offset = -inf
        self.now = 0.0
        self.generation = 0

    def set(self, now: Now) -> None:
        offset = now.wall - now.mono
        if offset < self.offset - _SET_BACK:
            self.generation += 1
        self.offset = offset
        self.now = now.wall


class Flowed:
    """Energy of one interval in milliwatt-hours.

    ``seconds`` are those it is known of. ``shares`` adds up what the parts of a sum know, in seconds each.
    """

    __slots__ = ("mark", "provided", "rank", "received", "seconds", "shares")

    def __init__(self) -> None:
        self.received = 0
        self.provided = 0
        self.seconds = 0.0
        self.shares = 0.0
        self.rank = 0  # of the weakest method
        self.mark = Mark.MEASURED

    def add(self, other: Flowed) -> None:
        self.received += other.received
        self.provided += other.provided
        self.seconds += other.seconds
        self.shares += other.shares
        self.rank = max(self.rank, other.rank)
        self.mark = worst(self.mark, other.mark)


class Held:
    """A value over one interval: the integral over ``seconds``, the extremes and the last."""

    __slots__ = ("area", "high", "last", "low", "method", "seconds")

    def __init__(self) -> None:
        self.area = 0.0
        self.seconds = 0.0
        self.low: float = inf
        self.high: float = -inf
        self.last: float | None = None
        self.method: str = ""

    def add(self, other: Held) -> None:
        """``other`` is later."""
        self.area += other.area
        self.seconds += other.seconds
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.last = self.last if other.last is None else other.last
        self.by(other.method)

    def by(self, method: str) -> None:
        if not self.method or (method and RANK[method] > RANK[self.method]):
            self.method = method

    @property
    def mean(self) -> float | None:
        """Over time; None where there was no time, but a single reading at most."""
        if self.seconds <= 0:
            return None
        return min(max(self.area / self.seconds, self.low), self.high)

    @property
    def mark(self) -> Mark:
        return Mark.MEASURED if RANK.get(self.method, 0) <= _METERED else Mark.ESTIMATED


_Slot = TypeVar("_Slot", Flowed, Held)


class Track(ABC, Generic[_Slot]):
    """The intervals of one thing that are not over yet.

    Those that ended by ``closed`` are; ``until`` is how far the thing is known. Both are wall-clock seconds.
    """

    __slots__ = ("_before", "_done", "_end", "_generation", "_slot", "_start", "_wall", "closed", "period", "until")

    def __init__(self, wall: Wall, period: float) -> None:
        self._wall = wall
        self._generation = wall.generation
        self.period = period
        self.closed = self._edge_before(wall.now - GRACE)
        self.until = -inf
        self._start, self._end = inf, -inf  # of the newest interval
        self._slot: _Slot | None = None
        self._before: list[tuple[float, _Slot]] | tuple[()] = _NEVER  # by their ends, oldest first
        self._done: list[tuple[float, _Slot]] | tuple[()] = _NEVER  # over, but not taken yet

    @property
    @abstractmethod
    def gap(self) -> float:
        """Seconds between two readings that are still joined."""

    @abstractmethod
    def _new(self) -> _Slot: ...

    def _edge_before(self, wall: float) -> float:
        return floor(wall / self.period) * self.period

    def over(self, edge: float) -> float:
        """Up to when intervals are over at ``edge`` or may be taken to be: a reading that splits one may yet come."""
        until = self.until
        if until >= edge or until < edge - min(self.gap, PATIENCE) or self._generation != self._wall.generation:
            return edge
        return max(self.closed, self._edge_before(until))

    def take(self, upto: float) -> list[tuple[float, _Slot]]:
        """The intervals that are over, with their ends, oldest first; those that ended by ``upto`` are from now on."""
        if self._generation != self._wall.generation:
            self._set_back()
        before = self._before
        if before and not self._done and before[-1][0] <= upto < self._end:  # nearly always, of one interval
            self.closed, self._before = upto, _NEVER
            return list(before)
        if upto > self.closed:
            self._close(upto)
        if not self._done:
            return []
        found: dict[float, _Slot] = {}
        for end, slot in self._done:
            if end in found:
                found[end].add(slot)
            else:
                found[end] = slot
        self._done = _NEVER
        return sorted(found.items(), key=_by_end)

    def resume(self, saved: Iterable[tuple[float, _Slot]]) -> None:
        """Go on with what ``everything`` told in an earlier life."""
        for end, slot in saved:
            if end <= self.closed:
                self._finish(((end, slot),))
            else:
                self._at(end).add(slot)

    def everything(self) -> Iterator[tuple[float, _Slot]]:
        """All intervals with something in them that were not taken yet."""
        yield from self._done
        yield from self._before
        if self._slot is not None:
            yield self._end, self._slot

    def _close(self, upto: float) -> None:
        self.closed = upto
        if self._before:
            self._finish(item for item in self._before if item[0] <= upto)
            self._before = [item for item in self._before if item[0] > upto] or _NEVER
        if self._slot is not None and self._end <= upto:
            self._finish(((self._end, self._slot),))
            self._slot, self._start, self._end = None, inf, -inf

    def _finish(self, items: Iterable[tuple[float, _Slot]]) -> None:
        done = list(self._done)
        done.extend(items)
        self._done = done or _NEVER

    def _set_back(self) -> None:
        """The wall clock was: the intervals come once more."""
        self._finish(list(self.everything())[len(self._done) :])
        self._before, self._slot, self._start, self._end = _NEVER, None, inf, -inf
        self._generation = self._wall.generation
        self.closed = self._edge_before(self._wall.now - GRACE)
        self.until = -inf

    def _ready(self, end: float) -> None:
        """Before something is added that reaches to ``end``."""
        if self._generation != self._wall.generation:
            self._set_back()
        oldest = self._edge_before(end - PATIENCE - 2 * self.period)
        if oldest > self.closed:  # nobody has asked what is over for long
            self._close(oldest)

    def _pieces(self, begin: float, end: float) -> Iterator[tuple[_Slot, float, float]]:
        """The intervals between two instants after ``closed``, and the time in each."""
        while begin < end:
            edge = self._edge_before(begin) + self.period
            upto = min(edge, end)
            yield self._at(edge), begin, upto
            begin = upto

    def _at(self, edge: float) -> _Slot:
        """The interval that ends at ``edge``."""
        if edge == self._end and self._slot is not None:
            return self._slot
        if edge > self._end:
            if self._slot is not None:
                self._before = [*self._before, (self._end, self._slot)]
            slot = self._slot = self._new()
            self._start, self._end = edge - self.period, edge
            return slot
        for end, slot in self._before:
            if end == edge:
                return slot
        slot = self._new()
        self._before = sorted([*self._before, (edge, slot)], key=_by_end)
        return slot

    def _edge_after(self, instant: float) -> float:
        """The end of the interval that ``instant`` is in or ends."""
        return -floor(-instant / self.period) * self.period

    def coverage(self, seconds: float, length: float | None = None) -> float:
        """In percent of an interval."""
        share = seconds / (length or self.period) * 100
        return 100.0 if share > _WHOLE else round(max(share, 0.0), 2)


class EnergyTrack(Track[Flowed]):
    """Energy by intervals: a flow that crosses the end of one is split by time, and not a milliwatt-hour is lost."""

    __slots__ = ()

    def _new(self) -> Flowed:
        return Flowed()

    @abstractmethod
    def _late(self, begin: float, end: float, received: int, provided: int, mark: Mark) -> None:
        """Energy of intervals that were over already."""

    def flowed(self, flow: Flow, wall: float) -> None:
        """Energy flowed (measurements.Ledger); when, its monotonic instants tell, not the device's stamps."""
        offset = self._wall.offset
        begin, end = flow.since + offset, flow.until + offset
        slot = self._slot
        if begin < self._start or end > self._end or slot is None or self._generation != self._wall.generation:
            self._spread(flow, begin, end)
            return
        slot.received += flow.received
        slot.provided += flow.provided
        if flow.mark is not Mark.MEASURED:
            slot.mark = worst(slot.mark, flow.mark)
        if end > self.until:
            if not flow.broken:
                slot.seconds += end - max(begin, self.until)
            self.until = end

    def _spread(self, flow: Flow, begin: float, end: float) -> None:
        """A flow over several intervals: each gets its share of time, the last one what is left."""
        self._ready(end)
        known, self.until = self.until, max(end, self.until)
        if begin == end < self.closed:  # such as after a restart, when the device's stamp is older than its last one
            begin -= MOMENT
        length = end - begin
        left = flow.received, flow.provided
        if begin < self.closed:
            upto = min(self.closed, end)
            part = _share(flow, (upto - begin) / length) if end > upto else left
            if not flow.broken or part != (0, 0):
                self._late(begin, upto, *part, flow.mark)
            left = left[0] - part[0], left[1] - part[1]
            begin = upto
            if begin == end:
                return
        if begin == end:
            pieces: Iterable[tuple[Flowed, float, float]] = [(self._at(self._edge_after(end)), end, end)]
        else:
            pieces = self._pieces(begin, end)
        gone = length - (end - begin)
        told = flow.received - left[0], flow.provided - left[1]
        for slot, since, upto in pieces:
            gone += upto - since
            due = _share(flow, gone / length) if upto < end else (flow.received, flow.provided)
            due = max(due[0], told[0]), max(due[1], told[1])  # a hair's breadth of time may round the other way
            slot.received += due[0] - told[0]
            slot.provided += due[1] - told[1]
            told = due
            slot.mark = worst(slot.mark, flow.mark)
            if not flow.broken and upto > known:
                slot.seconds += upto - max(since, known)


def _share(flow: Flow, share: float) -> tuple[int, int]:
    return int(flow.received * share), int(flow.provided * share)


class ValueTrack(Track[Held]):
    """A value by intervals, taken to go straight from one reading to the next unless that is long ago."""

    __slots__ = ("_mono", "_value")

    def __init__(self, wall: Wall, period: float) -> None:
        super().__init__(wall, period)
        self._value: int | None = None
        self._mono = -inf

    def _new(self) -> Held:
        return Held()

    def observe(self, value: int | None, method: str, wall: float, mono: float, out: list[Effect]) -> None:
        """A value held at ``mono``, or is not known any more (taps.Tap)."""
        if value is None:
            self._value = None
            return
        since = self._mono
        if mono <= since:
            return
        last = self._value
        self._value, self._mono = value, mono
        clock, slot = self._wall, self._slot
        begin, end = since + clock.offset, mono + clock.offset
        if (
            slot is None
            or last is None
            or begin < self._start
            or end > self._end
            or (mono - since > _JOINED and mono - since > self.gap)
            or self._generation != clock.generation
        ):
            self._draw(begin if last is not None and mono - since <= self.gap else end, end, last or 0, value, method)
            return
        slot.area += (last + value) * 0.5 * (end - begin)
        slot.seconds += end - begin
        if value < slot.low:
            slot.low = value
        elif value > slot.high:
            slot.high = value
        slot.last = value
        if method != slot.method:
            slot.by(method)
        self.until = end

    def _draw(self, begin: float, end: float, first: float, last: float, method: str) -> None:
        """The line from one reading to the next, or a reading that stands alone."""
        self._ready(end)
        self.until = max(end, self.until)
        if begin == end:
            edge = self._edge_after(end)
            if edge > self.closed:
                _mark(self._at(edge), end, end, last, last, method)
            return
        rise = (last - first) / (end - begin)
        for slot, since, upto in self._pieces(max(begin, self.closed), end):
            _mark(slot, since, upto, first + rise * (since - begin), last - rise * (end - upto), method)


def _mark(slot: Held, since: float, upto: float, first: float, last: float, method: str) -> None:
    slot.area += (first + last) / 2 * (upto - since)
    slot.seconds += upto - since
    slot.low = min(slot.low, first, last)
    slot.high = max(slot.high, first, last)
    slot.last = last
    slot.by(method)


def _by_end(item: tuple[float, object]) -> float:
    return item[0]


def beginning(begun: float | None, start: float, end: float) -> float:
    """When the interval from ``start`` to ``end`` begins for a meter: the one in which it began, when it did."""
    return begun if begun is not None and start < begun < end else start


Ticks = dict[float, dict[Channel, Sample]]


class Member(Protocol):
    """Somebody whose intervals are closed in rounds."""

    @property
    def channels(self) -> int:
        """How much work it is."""

    def close(self, edge: float, now: Now, ticks: Ticks, out: list[Effect]) -> bool:
        """Put what is over at ``edge`` into ``ticks``, by the end of its interval; whether that is all up to there."""


class Rounds:
    """Closes the intervals of one length for all its members, in turns short enough that nobody has to wait.

    Members that are not ready yet are asked again a little later.
    """

    def __init__(self, period: float, timers: Timers, wall: Wall) -> None:
        self.period = period
        self.members: dict[Member, None] = {}
        self._timers = timers
        self._wall = wall
        self._queue: list[Member] = []
        self._again: list[Member] = []
        self._closed_some = False
        self._edge = -inf
        self._due: float | None = None

    def add(self, member: Member, now: Now) -> None:
        self.members[member] = None
        if self._due is None:
            self._at(self._next(now))

    def remove(self, member: Member, now: Now, out: list[Effect]) -> None:
        """It is a member no more: what it had is told now."""
        if member not in self.members:
            return
        del self.members[member]
        ticks: Ticks = {}
        member.close(inf, now, ticks, out)
        self._tell(ticks, out)

    def _next(self, now: Now) -> float:
        """When the next interval is over, by the monotonic clock."""
        edge = floor((now.wall - GRACE) / self.period + 1) * self.period
        return now.mono + max(edge + GRACE - now.wall, _NEXT_TURN)

    def _at(self, mono: float) -> None:
        self._due = mono
        self._timers.at(mono, self._turn)

    def _turn(self, now: Now, out: list[Effect]) -> None:
        if self._due is None or now.mono < self._due:
            return
        self._wall.set(now)
        edge = floor((now.wall - GRACE) / self.period) * self.period
        if not self._queue:
            self._queue = self._again if edge == self._edge and self._again else list(self.members)
            self._queue.reverse()
            self._again, self._closed_some = [], False
            self._edge = edge
        ticks: Ticks = {}
        work = 0
        while self._queue and work < _CHANNELS:
            member = self._queue.pop()
            if member not in self.members:
                continue
            work += member.channels
            if member.close(self._edge, now, ticks, out):
                self._closed_some = True
            else:
                self._again.append(member)
        self._tell(ticks, out)
        if self._queue or (self._again and self._closed_some):
            self._at(now.mono + _NEXT_TURN)
        elif self.members:
            due = self._next(now)
            self._at(min(due, now.mono + GRACE) if self._again else due)
        else:
            self._due = None

    def _tell(self, ticks: Ticks, out: list[Effect]) -> None:
        out.extend(Record(Tick(end, self.period, samples)) for end, samples in sorted(ticks.items()) if samples)

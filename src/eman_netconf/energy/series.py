"""Series: a quantity of an entity, domain or group, collected at equal intervals (RFC 6988 section 5.7).

The values themselves are told and forgotten; what is remembered here is the interval that is not over yet, what a
total or sliding one is made of, and which values there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from math import inf
from typing import Any, NamedTuple, Protocol

from eman_netconf.energy.accumulation import RANK, Flow
from eman_netconf.energy.canonical import decimal64
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.ledger import EnergyTrack, Flowed, Held, Ticks, ValueTrack, Wall, beginning
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.quantities import COUNTERS, SelectorNodes, selector
from eman_netconf.energy.samples import Channel, Joining, Kept, Mark, Sample, Stretch, digits, worst
from eman_netconf.energy.taps import Observed, Selector
from eman_netconf.energy.values import Method, Now, Quantity
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner

CAPACITY = 100_000  # samples that one series may keep
_FAR = 86_400.0  # seconds; values that much in the future are those of a clock that was wrong
_UNSET = 1_577_836_800.0  # 2020: a clock that shows an earlier time is not set
_FEW = 16  # steps that are remembered anew with every reading; those of more when one of them is over
_FURTHEST = 1000  # intervals that energy which is known late is still put into
_METHODS = tuple(RANK)
_MARKS = tuple(Mark)
_number = decimal64(6)


class Interval(StrEnum):
    """How the intervals of a series lie."""

    TOTAL = "total"
    DELTA = "delta"
    SLIDING = "sliding"


class Sampling(StrEnum):
    """Which value stands for an interval; of energy it is always what flowed."""

    SAMPLED = "sampled"
    MEAN = "mean"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


class Rule(NamedTuple):
    """What decides the values of a series. ``watched`` is None for a quantity that nobody here reads."""

    watched: Selector | None
    interval: Interval
    sampling: Sampling
    length: int  # seconds
    window: int  # seconds; that of an interval, where they slide

    @property
    def pace(self) -> float:
        """Steps that are added up in a second of time, on average."""
        return self.window / self.length / self.length if self.interval is Interval.SLIDING else 0.0

    @property
    def counts(self) -> bool:
        """Whether it is of energy."""
        return self.watched is not None and self.watched.quantity in COUNTERS

    @property
    def joining(self) -> Joining:
        if self.interval is not Interval.DELTA:
            return Joining.NEWEST
        return Joining.SUM if self.counts else _JOININGS[self.sampling]


class SeriesNodes:
    """The schema nodes of a list of series."""

    def __init__(self, node: SchemaNode) -> None:
        self.list = node
        self.selector = SelectorNodes(node)
        parts = self.selector.quantity, self.selector.phase, self.selector.interface, self.selector.battery
        self.selected = tuple(part for part in parts if part is not None)
        names = ("enabled", "interval-type", "sampling", "length", "window", "capacity", "report")
        self.enabled, self.interval, self.sampling, self.length, self.window, self.capacity, self.report = map(
            node.child, names
        )
        shown = ("max-capacity", "stored", "oldest", "newest", "peak")
        self.max_capacity, self.stored, self.oldest, self.newest, self.peak = map(node.child, shown)
        self.peak_value = self.peak.child("value")
        self.peak_start = self.peak.child("start-time")

    def rule(self, entry: Inner) -> Rule:
        length = self.number(entry, self.length)
        return Rule(
            selector(entry, self.selector),
            Interval(self.value(entry, self.interval)),
            Sampling(self.value(entry, self.sampling)),
            length,
            self.number(entry, self.window) or length,
        )

    @staticmethod
    def value(entry: Inner, node: SchemaNode) -> str:
        """What is configured, or else the default; a leaf that has neither is ""."""
        value = entry.get(node)
        return value if isinstance(value, str) else node.default or ""

    def number(self, entry: Inner, node: SchemaNode) -> int:
        return int(self.value(entry, node) or 0)


class Home(Protocol):
    """Whose series it is."""

    key: str

    @property
    def nodes(self) -> SeriesNodes: ...

    def keep(self, series: Series) -> None:
        """What is remembered of one is not what it was."""

    def turned(self, out: list[Effect]) -> None:
        """What is shown is not what it was."""

    def notice(self, series: Series, samples: list[Sample], wall: float) -> Effect:
        """The notification that tells a block of new values."""


class EnergySeries(EnergyTrack):
    """The energy of one meter (measurements.Listener)."""

    __slots__ = ("_series", "meter")

    def __init__(self, series: Series, wall: Wall, meter: Meter) -> None:
        super().__init__(wall, series.rule.length)
        self._series = series
        self.meter = meter

    @property
    def gap(self) -> float:
        return self.meter.longest_gap

    def flowed(self, flow: Flow, wall: float) -> None:
        super().flowed(flow, wall)
        self._series.flows()

    def _late(self, begin: float, end: float, received: int, provided: int, mark: Mark) -> None:
        """What is too old for the series to have a place for it is left to the history of the site."""
        late = Flow(received, provided, begin, end, mark=mark)
        told = (0, 0)
        edge = self._edge_before(begin) + self.period
        skipped = self._edge_before(end) - _FURTHEST * self.period
        whole = self._series.rule.interval is Interval.TOTAL
        if whole or edge < skipped:
            edge = max(edge, self._edge_after(end) if whole else skipped)
            told = (0, 0) if whole else _until(late, edge - self.period)
        since = begin if whole else max(begin, edge - self.period)
        while since < end:
            upto = end if whole else min(edge, end)
            due = (received, provided) if upto == end else _until(late, upto)
            slot = Flowed()
            slot.received, slot.provided = due[0] - told[0], due[1] - told[1]
            slot.seconds, slot.mark = upto - since, mark
            self._finish([(edge, slot)])
            told, since, edge = due, upto, edge + self.period


def _until(flow: Flow, instant: float) -> tuple[int, int]:
    """What of a flow between two wall-clock times had flowed by a third."""
    share = (instant - flow.since) / (flow.until - flow.since)
    return int(flow.received * share), int(flow.provided * share)


class ValueSeries(ValueTrack):
    """The values of one quantity."""

    __slots__ = ("_observed", "_series")

    def __init__(self, series: Series, wall: Wall, observed: Observed) -> None:
        super().__init__(wall, series.rule.length)
        self._series = series
        self._observed = observed

    @property
    def gap(self) -> float:
        return self._observed.meter.longest_gap

    def observe(self, value: int | None, method: str, wall: float, mono: float, out: list[Effect]) -> None:
        super().observe(value, method, wall, mono, out)
        self._series.flows()


class Present:
    """Which values of a series there are: runs of ends without a gap, oldest first."""

    __slots__ = ("capacity", "count", "length", "runs")

    def __init__(self, length: int, capacity: int, runs: Iterable[tuple[float, float]] = ()) -> None:
        self.length = length
        self.capacity = capacity
        self.runs = deque([first, last] for first, last in runs)
        self.count = sum(self._long(run) for run in self.runs)

    def _long(self, run: list[float]) -> int:
        return round((run[1] - run[0]) / self.length) + 1

    @property
    def newest(self) -> float:
        return self.runs[-1][1] if self.runs else -inf

    def add(self, end: float) -> None:
        """There is a value now; one that was there already, as when the clock was set back, is one value."""
        if end == self.newest + self.length:
            self.runs[-1][1] = end
        elif end > self.newest:
            self.runs.append([end, end])
        elif any(run[0] <= end <= run[1] for run in self.runs):
            return
        else:
            self.runs = deque(sorted([*self.runs, [end, end]]))
        self.count += 1
        self.limit()

    def cut(self, upto: float) -> None:
        """There is nothing after ``upto`` any more."""
        while self.runs and self.runs[-1][0] > upto:
            self.runs.pop()
        if self.newest > upto:
            first = self.runs[-1][0]
            self.runs[-1][1] = first + (upto - first) // self.length * self.length
        self.count = sum(self._long(run) for run in self.runs)

    def limit(self) -> None:
        """The oldest make room."""
        while self.count > self.capacity:
            over = min(self.count - self.capacity, self._long(self.runs[0]))
            self.count -= over
            self.runs[0][0] += over * self.length
            if self.runs[0][0] > self.runs[0][1]:
                self.runs.popleft()


class Series:
    """One series."""

    __slots__ = (
        "_begin",
        "_block",
        "_home",
        "_node",
        "_peak",
        "_ring",
        "_total",
        "config",
        "held",
        "name",
        "rule",
        "track",
    )

    def __init__(self, home: Home, name: str, config: Inner, begin: float) -> None:
        self._home = home
        self.name = name
        self.config = config
        self.rule = home.nodes.rule(config)
        self.track: EnergySeries | ValueSeries | None = None  # None = nothing is collected
        self.held = Present(self.rule.length, self.capacity)
        self._begin = begin
        self._total: Flowed | Held = Flowed() if self.rule.counts else Held()
        self._ring: deque[tuple[float, Flowed | Held]] = deque()  # the steps of sliding intervals, with their ends
        self._peak: tuple[int, float] | None = None
        self._block: list[Sample] = []  # to be reported
        self._node: Inner | None = None

    @property
    def capacity(self) -> int:
        return self._home.nodes.number(self.config, self._home.nodes.capacity)

    @property
    def channel(self) -> Channel:
        watched = self.rule.watched
        if watched is None:
            return Channel(self._home.key, "", "", 0, self.name)
        return Channel(self._home.key, watched.part, watched.quantity, watched.phase, self.name)

    def kept(self, capacity: int) -> Kept:
        """What the store is told of it."""
        return Kept(self.channel, self.rule.length, capacity, self.rule.joining)

    def reconfigure(self, config: Inner) -> None:
        """Another entry with the same rule."""
        self.config = config
        self.held.capacity = self.capacity
        self.held.limit()
        self._node = None

    def keep(self) -> None:
        """What is remembered is not what it was."""
        self._home.keep(self)

    def flows(self) -> None:
        """Something came into the interval that is not over. Where that is a small part of all that is remembered, it
        is not worth remembering yet.
        """
        if len(self._ring) <= _FEW:
            self.keep()

    # --- intervals

    @property
    def channels(self) -> int:
        """See ledger.Member: adding up the steps of a sliding interval is most of the work."""
        return 1 + len(self._ring)

    def close(self, edge: float, now: Now, ticks: Ticks, out: list[Effect]) -> bool:
        """See ledger.Member."""
        track = self.track
        if track is None:
            return True
        if self.held.newest > now.wall + _FAR and now.wall > _UNSET:
            self._forget(now.wall)
        taken = track.take(track.over(edge))
        for end, slot in taken:
            sample = self._value(end, slot)
            if sample is not None:
                ticks.setdefault(end, {})[self.channel] = sample
                self._told(sample, now, out)
        if taken:
            self.keep()
            self._node = None
            self._home.turned(out)
        return track.closed >= edge

    def _forget(self, upto: float) -> None:
        """The clock was far ahead: what is of times that are still to come is in nobody's way."""
        self.held.cut(upto)
        self._ring = deque(step for step in self._ring if step[0] <= upto)

    def _value(self, end: float, slot: Flowed | Held) -> Sample | None:
        """The value of the interval that ended at ``end``, of which ``slot`` is the newest step."""
        length, late = self.rule.length, end <= self.held.newest
        start, rank = end - length, 0
        if isinstance(slot, Flowed) and isinstance(self.track, EnergySeries):
            share, rank = _known(self.track.meter, start, end)
            slot.seconds *= share
            slot.rank = max(slot.rank, rank)
        match self.rule.interval:
            case Interval.TOTAL:
                self._total.add(slot)  # type: ignore[arg-type]  # of one kind, as the rule says
                if late:
                    return None
                start = self._begin = min(self._begin, start)  # the first interval may hold what flowed before
                slot = self._total
            case Interval.SLIDING:
                self._ring = deque(sorted([*self._ring, (end, slot)], key=lambda item: item[0]))
                newest = self._ring[-1][0]
                while self._ring[0][0] <= newest - self.rule.window:
                    self._ring.popleft()
                if late:
                    return None
                start = end - self.rule.window
                slot = Flowed() if self.rule.counts else Held()
                for _, step in self._ring:
                    slot.add(step)  # type: ignore[arg-type]  # as above
        if self.rule.interval is not Interval.SLIDING and isinstance(self.track, EnergySeries):
            start = beginning(self.track.meter.energy.start, start, end)
        return self._sample(start, end, slot)

    def _sample(self, start: float, end: float, slot: Flowed | Held) -> Sample | None:
        assert self.track is not None
        assert self.rule.watched is not None
        quantity = self.rule.watched.quantity
        coverage = self.track.coverage(min(slot.seconds, end - start), end - start)
        if isinstance(slot, Flowed):
            assert isinstance(self.track, EnergySeries)
            energy, received = self.track.meter.energy, quantity is Quantity.ENERGY_RECEIVED
            value = slot.received if received else slot.provided
            if (energy.received if received else energy.provided) is None or not (value or slot.seconds):
                return None
            return Sample(start, end, value, _METHODS[slot.rank], coverage, slot.mark)
        chosen = _CHOSEN[self.rule.sampling](slot)
        if chosen is None or slot.seconds <= 0:  # a single reading is no interval
            return None
        return Sample(start, end, round(chosen / 10 ** (6 - digits(quantity))), slot.method, coverage, slot.mark)

    def _told(self, sample: Sample, now: Now, out: list[Effect]) -> None:
        """A value is complete."""
        assert sample.value is not None
        late = sample.end <= self.held.newest
        self.held.add(sample.end)
        if self._peak is None or sample.value > self._peak[0]:
            self._peak = sample.value, sample.start
        report = self._home.nodes.number(self.config, self._home.nodes.report)
        if report and not late:
            self._block.append(sample)
            if len(self._block) >= report:
                out.append(self._home.notice(self, self._block, now.wall))
                self._block = []

    def corrected(self, stretch: Stretch) -> None:
        """Energy was corrected: what comes of its time later has to hold that; what was told is put right elsewhere."""
        if not isinstance(self.track, EnergySeries):
            return
        steps = [*self._ring, *self.track.everything()]
        pieces = [(end - self.rule.length, end, slot) for end, slot in steps]
        pieces.append((self._begin, self.track.closed, self._total))
        flow = Flow(stretch.received, stretch.provided, stretch.start, stretch.end)
        for start, end, slot in pieces:
            since, upto = max(start, stretch.start), min(end, stretch.end)
            if isinstance(slot, Flowed) and since < upto:
                before, after = _until(flow, since), _until(flow, upto)
                slot.received += after[0] - before[0]
                slot.provided += after[1] - before[1]
                slot.mark = worst(slot.mark, stretch.mark)
        self.keep()

    # --- what is shown

    def render(self) -> Inner:
        """The entry, remembered until something in it changes."""
        if self._node is None:
            nodes = self._home.nodes
            children = dict(self.config.children)
            children[nodes.max_capacity] = str(CAPACITY)
            children[nodes.stored] = str(self.held.count)
            if self.held.runs:
                children[nodes.oldest] = stamp(self.held.runs[0][0])
                children[nodes.newest] = stamp(self.held.newest)
            if self._peak is not None:
                value, start = self._peak
                peak: dict[SchemaNode, Data] = {nodes.peak_value: self.text(value), nodes.peak_start: stamp(start)}
                children[nodes.peak] = Inner(nodes.peak, peak)
            self._node = Inner(nodes.list, children)
        return self._node

    def text(self, value: int) -> str:
        """A sample's value as it is printed."""
        assert self.rule.watched is not None
        return _number(Decimal(value).scaleb(-digits(self.rule.watched.quantity)))

    # --- what outlives the process

    def dump(self) -> dict[str, Any]:
        return {
            "rule": _plain(self.rule),
            "begin": self._begin,
            "total": _dumped(self._total),
            "ring": [[end, _dumped(slot)] for end, slot in self._ring],
            "runs": [list(run) for run in self.held.runs],
            "peak": self._peak,
            "block": self._block,
            "open": [[end, _dumped(slot)] for end, slot in self.track.everything()] if self.track is not None else [],
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take up a record, which is left alone where it is of another rule."""
        if saved.get("rule") != _plain(self.rule):
            return
        self._begin = saved["begin"]
        self._total = self._slot(saved["total"])
        self._ring = deque((end, self._slot(slot)) for end, slot in saved["ring"])
        self.held = Present(self.rule.length, self.capacity, [(first, last) for first, last in saved["runs"]])
        self._peak = (saved["peak"][0], saved["peak"][1]) if saved["peak"] is not None else None
        self._block = [
            Sample(start, end, value, method, coverage, Mark(mark))
            for start, end, value, method, coverage, mark in saved.get("block", ())
        ]

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on with the intervals that were not over."""
        if self.track is not None and saved.get("rule") == _plain(self.rule):
            for end, slot in saved["open"]:
                self.track.resume([(end, self._slot(slot))])  # type: ignore[list-item]  # of one kind, as the rule says

    def _slot(self, saved: list[Any]) -> Flowed | Held:
        if self.rule.counts:
            flowed = Flowed()
            flowed.received, flowed.provided, flowed.seconds, flowed.rank, mark = saved
            flowed.mark = _MARKS[mark]
            return flowed
        held = Held()
        held.area, held.seconds, low, high, held.last, held.method = saved
        held.low, held.high = inf if low is None else low, -inf if high is None else high
        return held


_CHOSEN: Mapping[Sampling, Callable[[Held], float | None]] = {
    Sampling.SAMPLED: lambda held: held.last,
    Sampling.MEAN: lambda held: held.mean,
    Sampling.MINIMUM: lambda held: held.low,
    Sampling.MAXIMUM: lambda held: held.high,
}

_JOININGS: Mapping[Sampling, Joining] = {
    Sampling.SAMPLED: Joining.LAST,
    Sampling.MEAN: Joining.MEAN,
    Sampling.MINIMUM: Joining.MINIMUM,
    Sampling.MAXIMUM: Joining.MAXIMUM,
}


def _plain(rule: Rule) -> list[Any]:
    """As it comes back from JSON."""
    watched = list(rule.watched) if rule.watched is not None else None
    return [watched, str(rule.interval), str(rule.sampling), rule.length, rule.window]


def _dumped(slot: Flowed | Held) -> list[Any]:
    if isinstance(slot, Flowed):
        return [slot.received, slot.provided, slot.seconds, slot.rank, _MARKS.index(slot.mark)]
    low, high = (slot.low, slot.high) if slot.method else (None, None)
    return [slot.area, slot.seconds, low, high, slot.last, slot.method]


def _known(meter: Meter, start: float, end: float, depth: int = 4) -> tuple[float, int]:
    """How much of the parts of a sum is known of an interval, and the rank of the weakest method among them."""
    energy = meter.energy
    if meter.metered or not meter.parts or not depth:
        return 1.0, RANK[energy.method or Method.INTEGRATED]
    shares, count, weakest = 0.0, 0, 0
    for part in meter.parts:
        total = part.meter.energy
        if total.start is not None and total.end is not None:
            share, rank = _known(part.meter, start, end, depth - 1)
            shares += share * min(max((total.end - start) / (end - start), 0.0), 1.0)
            count, weakest = count + 1, max(weakest, rank)
    return (shares / count if count else 0.0), weakest

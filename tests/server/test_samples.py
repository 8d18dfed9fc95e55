"""What is kept of samples, against a naive model: whatever came, was sealed, dropped or renamed, sums hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eman_netconf.energy.samples import Channel, Mark, Recorded, Renamed, Sample, Stretch, Tick
from eman_netconf.energy.values import Method, Quantity
from eman_netconf.server.samples import retention, sealing
from eman_netconf.server.samples.file import open_to_write
from eman_netconf.server.samples.filing import Filing
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.values import DAY, HOUR, Summary, added, share

T0 = 20_000 * float(DAY)
FOREVER = T0 + 1e9
RECEIVED, PROVIDED, POWER = Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED, Quantity.ACTIVE_POWER


class Shelf:
    """A file of samples, driven step by step as the writer's thread does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "samples.sqlite"
        self.open()

    def open(self) -> None:
        self.db = open_to_write(self.path)
        self.filing = Filing(self.db)
        self.reader = Reader(self.path)

    def close(self) -> None:
        self.reader.close()
        self.db.close()

    def again(self) -> None:
        self.close()
        self.open()

    def take(self, *batch: Recorded) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.filing.take(batch)
        self.db.execute("COMMIT")

    def seal(self, now: float) -> None:
        """All that is due at ``now``: hours, then days."""
        names, state = self.filing.names, self.filing.state
        self.db.execute("BEGIN IMMEDIATE")
        for hour, shard in sealing.due(self.db, now):
            sealing.seal(self.db, names, state, hour, shard)
        while (day := sealing.day_due(self.db, state, now)) is not None:
            first: int | None = 0
            while first is not None:
                first = sealing.close_some(self.db, names, day, first)
            state.closed = day + 1
        state.write(self.db)
        self.filing.head.tidy()
        self.db.execute("COMMIT")

    def age(self, kept: Settings, now: float) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        while retention.step(self.db, self.filing.state, kept, now):
            pass
        self.db.execute("COMMIT")

    def all(self, channel: Channel, resolution: float | None = None, limit: int = 100_000) -> list[Sample]:
        """Every sample, gaps left out."""
        found, _ = self.reader.samples(channel, 0.0, FOREVER, resolution, limit)
        return [sample for sample in found if sample.value is not None or sample.coverage or sample.method]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.close()


def sample(end: float, value: int | None, period: float = 60.0, coverage: float = 100.0) -> Sample:
    return Sample(end - period, end, value, Method.DIRECT_METER, coverage, Mark.MEASURED)


def tick(end: float, values: dict[Channel, int | None], period: float = 60.0) -> Tick:
    return Tick(end, period, {channel: sample(end, value, period) for channel, value in values.items()})


def stretch(owner: str, start: float, end: float, received: int, **more: object) -> Stretch:
    made = Stretch(owner, "", start, end, received, 0, Mark.ESTIMATED, end)
    return replace(made, **more)  # type: ignore[arg-type] - any field


PDU = Channel("pdu", "", RECEIVED)
WATTS = Channel("pdu", "", POWER)

# --- a naive model

OWNERS = ("a", "b", "c")
MINUTES = st.one_of(
    st.integers(1, 3), st.sampled_from((30, 59, 60, 61)), st.integers(1379, 1443), st.integers(2879, 2885)
)
AMOUNTS = st.integers(-500_000, 5_000_000)
MARKS = st.sampled_from(list(Mark))
SAMPLES = st.dictionaries(
    st.builds(
        Channel,
        st.sampled_from(OWNERS),
        st.sampled_from(("", "interface:1")),
        st.sampled_from((RECEIVED, PROVIDED, POWER)),
        st.just(0),
        st.just(""),
    ),
    st.tuples(
        st.one_of(st.none(), AMOUNTS),
        st.integers(0, 400).map(lambda quarter: quarter / 4),
        MARKS,
        st.sampled_from(list(Method)),
    ),
    min_size=1,
    max_size=8,
)


class Against(RuleBasedStateMachine):
    """Ticks, stretches, renames, restarts, sealing, dropping; at every step the sums are those of the model."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.shelf = Shelf(Path(self.folder.name))
        self.gauges: dict[Channel, dict[float, Summary]] = defaultdict(dict)
        self.flows: dict[Channel, list[tuple[float, float, int]]] = defaultdict(list)
        self.newest = 0.0
        self.dropped = False

    def teardown(self) -> None:
        self.shelf.close()
        self.folder.cleanup()

    @rule(minute=MINUTES, samples=SAMPLES)
    def tick(self, minute: int, samples: dict[Channel, tuple[int | None, float, Mark, Method]]) -> None:
        end = T0 + 60 * minute
        made = {
            channel: Sample(end - 60, end, value, method, coverage, mark)
            for channel, (value, coverage, mark, method) in samples.items()
        }
        self.shelf.take(Tick(end, 60.0, made))
        self.newest = max(self.newest, end)
        for channel, one in made.items():
            if channel.quantity == POWER:
                new = Summary(one.start, end, one.value, one.value or 0, one.value or 0, *one[3:])
                before = self.gauges[channel].get(end)
                self.gauges[channel][end] = new if before is None else added(before, new, energy=False)
            elif one.value is not None:
                self.flows[channel].append((one.start, end, one.value))

    @precondition(lambda self: self.newest)
    @rule(
        owner=st.sampled_from(OWNERS),
        minute=MINUTES,
        seconds=st.one_of(st.integers(1, 300), st.integers(3000, 200_000)),
        received=AMOUNTS,
        provided=AMOUNTS,
        mark=MARKS,
        by=st.sampled_from(("", "", "ann")),
    )
    def stretch(self, owner: str, minute: int, seconds: int, received: int, provided: int, mark: Mark, by: str) -> None:
        end = min(T0 + 60 * minute + 7, self.newest)
        start = end - seconds
        self.shelf.take(Stretch(owner, "", start, end, received, provided, mark, self.newest, by, "why" if by else ""))
        for quantity, amount in ((RECEIVED, received), (PROVIDED, provided)):
            if amount or Channel(owner, "", quantity) in self.flows:
                self.flows[Channel(owner, "", quantity)].append((start, end, amount))

    @rule(before=st.sampled_from(OWNERS), after=st.sampled_from(OWNERS))
    def rename(self, before: str, after: str) -> None:
        if before == after:
            return
        self.shelf.take(Renamed(before, after))
        for channel in [channel for channel in self.flows if channel.owner == before]:
            self.flows[channel._replace(owner=after)] += self.flows.pop(channel)
        for channel in [channel for channel in self.gauges if channel.owner == before]:
            mine = self.gauges[channel._replace(owner=after)]
            for end, one in self.gauges.pop(channel).items():
                mine[end] = added(mine[end], one, energy=False) if end in mine else one

    @rule()
    def restart(self) -> None:
        self.shelf.again()

    @rule(minute=st.integers(0, 4400))
    def seal(self, minute: int) -> None:
        self.shelf.seal(T0 + 60 * minute)

    @rule(hours=st.integers(0, 60))
    def drop(self, hours: int) -> None:
        self.dropped = True
        self.shelf.age(Settings(raw=HOUR, hourly=2 * HOUR), T0 + HOUR * hours)

    @invariant()
    def sums_hold(self) -> None:
        """Everything that flowed up to the newest tick is there, to the last digit, at whatever resolution."""
        for channel, flows in self.flows.items():
            total = sum(amount for _, _, amount in flows)
            energy = self.shelf.reader.energy(channel.owner, channel.part, 0.0, FOREVER)
            assert energy is not None
            kept = energy.received if channel.quantity == RECEIVED else energy.provided
            assert kept == total
            for resolution in (None, 300.0, 3600.0, 86_400.0):
                found = self.shelf.all(channel, resolution)
                last = found[-1].end if found else 0.0
                rest = sum(share(amount, start, end, last, FOREVER) for start, end, amount in flows if end > last)
                assert abs(sum(one.value or 0 for one in found) + rest - total) <= len(flows)

    @invariant()
    def samples_hold(self) -> None:
        """Means are those that came, until the finest are dropped."""
        if self.dropped:
            return
        for channel, by_end in self.gauges.items():
            found, more = self.shelf.reader.samples(channel, 0.0, FOREVER, None, 10_000)
            assert more is None
            assert [one.end for one in found] == sorted({one.end for one in found})
            kept = {one.end: one for one in found}
            for end, wanted in by_end.items():
                one = kept.pop(end)
                assert (one.start, one.coverage, one.mark, one.method) == (
                    wanted.start,
                    wanted.coverage,
                    wanted.mark,
                    wanted.method,
                )
                assert one.value == wanted.value or abs((one.value or 0) - (wanted.value or 0)) <= 10_000_000
            assert all(one.value is None and not one.coverage for one in kept.values())

    @invariant()
    def halves_make_the_whole(self) -> None:
        """Energy between three instants sums up, wherever they lie."""
        for channel in list(self.flows)[:1]:
            middle = T0 + 24.3 * HOUR + 17
            reader, owner, part = self.shelf.reader, channel.owner, channel.part
            parts = [reader.energy(owner, part, *times) for times in ((0.0, middle), (middle, FOREVER), (0.0, FOREVER))]
            sums = [0 if one is None else (one.received or 0) for one in parts]
            assert sums[0] + sums[1] == sums[2]


TestAgainst = pytest.mark.timeout(600)(Against.TestCase)
TestAgainst.settings = settings(max_examples=30, stateful_step_count=15, deadline=None, report_multiple_bugs=False)

"""What is kept of samples, against a naive model: whatever came, was sealed, dropped or renamed, sums hold."""

from __future__ import annotations

import contextlib
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eman_netconf.energy.samples import Channel, Energy, Joining, Kept, Mark, Recorded, Renamed, Sample, Stretch, Tick
from eman_netconf.energy.values import Method, Quantity
from eman_netconf.server.samples import forgetting, names, retention, sealing
from eman_netconf.server.samples.columns import Column, decode, encode
from eman_netconf.server.samples.file import open_to_write
from eman_netconf.server.samples.filing import Filing
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.values import DAY, HOUR, Summary, added, share
from eman_netconf.server.samples.waiting import STEP, Waiting, weight

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
        looked = forgetting.Round()
        while looked.step(self.db, self.filing.names, self.filing.state, now):
            pass
        self.db.execute("COMMIT")

    def owners(self) -> list[str]:
        return [owner for (owner,) in self.db.execute("SELECT owner FROM shelf ORDER BY id")]

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
    def nothing_flowed_before(self) -> None:
        """What flowed since the first instant of which something is known is all."""
        for channel, flows in self.flows.items():
            began = min((start for start, _, _ in flows), default=0.0)
            energy = self.shelf.reader.energy(channel.owner, channel.part, began, FOREVER)
            kept = energy and (energy.received if channel.quantity == RECEIVED else energy.provided)
            assert not flows or kept == sum(amount for _, _, amount in flows)

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


# --- blocks

NUMBERS = st.one_of(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=70),
    st.lists(st.integers(-300, 300).map(lambda number: 230_000 + 100 * number), min_size=1, max_size=70),
    st.lists(st.sampled_from((0, 0, 0, 7, 10**12)), min_size=1, max_size=70),
)


@given(st.lists(st.tuples(st.integers(1, 10**6), NUMBERS), max_size=5, min_size=1), st.booleans(), st.data())
def test_blocks_give_back_what_they_hold(
    columns: list[tuple[int, list[int]]], regular: bool, data: st.DataObject
) -> None:
    """Whatever the numbers are, a block gives them back, all channels or those that are asked for."""
    made: dict[int, Column] = {}
    for channel, values in columns:
        steps = range(1, len(values) + 1) if regular else data.draw(rising(len(values)))
        codes = data.draw(
            st.one_of(
                st.just([9] * len(values)), st.lists(st.integers(0, 2**22), min_size=len(values), max_size=len(values))
            )
        )
        starts = {} if regular else {0: T0 - 5.5}
        made[channel] = Column(60.0, [T0 + 60 * step for step in steps], values, codes, starts)
    packed = encode(made)
    back = decode(packed)
    assert set(back) == set(made)
    for channel, one in made.items():
        for found in (back[channel], decode(packed, channel.__eq__)[channel]):
            assert (found.period, list(found.ends), list(found.values)) == (60.0, list(one.ends), list(one.values))
            assert (list(found.qualities), dict(found.starts)) == (list(one.qualities), dict(one.starts))


def rising(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, 3600), min_size=count, max_size=count, unique=True).map(sorted)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_garbage_is_no_block(front: bytes, body: bytes) -> None:
    """What is no block is said to be none, whatever it holds."""
    for packed in (front, len(zlib.compress(front)).to_bytes(4, "little") + b"\x01" + zlib.compress(front) + body):
        with contextlib.suppress(ValueError):
            decode(packed)


# --- series and what ends


def test_a_series_keeps_its_capacity(shelf: Shelf) -> None:
    """A configured series keeps so many samples as its capacity says, fewer when that is made smaller, none when it
    ends; the history of the site is not touched."""
    series = WATTS._replace(series="peak")
    shelf.take(Kept(series, 900.0, 5, Joining.MEAN))
    for step in range(1, 9):
        shelf.take(tick(T0 + 900 * step, {series: step, WATTS: step}, 900.0))
    assert [one.value for one in shelf.all(series)] == [4, 5, 6, 7, 8]
    assert len(shelf.reader.samples(series, 0.0, FOREVER, None, 100)[0]) == 5, "what made room is no gap"
    assert shelf.reader.span(series).stored == 5
    shelf.again()
    shelf.take(Kept(series, 900.0, 2, Joining.MEAN))
    assert [one.value for one in shelf.all(series)] == [7, 8]
    shelf.take(Kept(series, 900.0, 0, Joining.MEAN))
    assert shelf.all(series) == []
    assert len(shelf.all(WATTS)) == 8


@pytest.mark.parametrize(
    ("joining", "expected"),
    [
        (Joining.SUM, [15, 18]),
        (Joining.MEAN, [5, 6]),
        (Joining.MINIMUM, [2, 1]),
        (Joining.MAXIMUM, [9, 10]),
        (Joining.LAST, [4, 7]),
    ],
)
def test_a_series_becomes_coarser_as_it_says(shelf: Shelf, joining: Joining, expected: list[int]) -> None:
    """Values of a series are joined as their sampling asks for, wherever a question begins, also after a restart."""
    series = WATTS._replace(series="some")
    shelf.take(Kept(series, 60.0, 100, joining))
    for step, value in enumerate((9, 2, 4, 1, 10, 7), 1):
        shelf.take(tick(T0 + 60 * step, {series: value}))
    shelf.again()
    found = shelf.all(series, 180.0)
    assert [(one.start - T0, one.end - T0, one.value) for one in found] == [
        (0, 180, expected[0]),
        (180, 360, expected[1]),
    ]
    half, _ = shelf.reader.samples(series, T0 + 70, FOREVER, 180.0, 10)
    assert [one.value for one in half] == expected


def test_of_intervals_that_overlap_the_newest_stands(shelf: Shelf) -> None:
    """Totals and sliding intervals are not added up: one of them stands for a longer interval, without false gaps."""
    series = PDU._replace(series="total")
    shelf.take(Kept(series, 60.0, 100, Joining.NEWEST))
    for step in (1, 2, 3, 4, 5, 9, 10, 11, 12):
        end = T0 + 60 * step
        shelf.take(Tick(end, 60.0, {series: Sample(T0, end, step * 10, Method.DIRECT_METER)}))
    found, _ = shelf.reader.samples(series, 0.0, FOREVER, 180.0, 10)
    assert [(one.start - T0, one.end - T0, one.value) for one in found] == [
        (0, 180, 30),
        (0, 300, 50),
        (0, 540, 90),
        (0, 720, 120),
    ]


def test_a_series_can_be_joined_another_way(shelf: Shelf) -> None:
    """What a series says of itself later is followed, and two values of one instant are joined like those of many."""
    series = WATTS._replace(series="some")
    for value in (5, 3, 8):
        shelf.take(tick(T0 + 60, {series: value}))
    assert [one.value for one in shelf.all(series)] == [6]
    shelf.take(Kept(series, 60.0, 100, Joining.MINIMUM))
    for value in (5, 3, 8):
        shelf.take(tick(T0 + 120, {series: value}))
    assert [one.value for one in shelf.all(series, 120.0)] == [3]


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    """What an earlier server kept is read on."""
    old = Shelf(tmp_path)
    old.take(tick(T0 + 60, {PDU: 7, WATTS._replace(series="some"): 5}))
    old.db.executescript(
        "ALTER TABLE channel DROP COLUMN joining; UPDATE meta SET value = 1 WHERE name = 'format';"
        "DELETE FROM meta WHERE name = 'aged'"
    )
    old.close()
    new = Shelf(tmp_path)
    new.take(tick(T0 + 120, {PDU: 8}))
    assert [one.value for one in new.all(PDU, 120.0)] == [15]
    assert [one.value for one in new.all(WATTS._replace(series="some"))] == [5]
    new.close()


def test_a_clock_far_ahead_leaves_a_series_its_past(shelf: Shelf) -> None:
    """When a series is full, values that a wrong clock put far ahead make room before those of the past do."""
    series = WATTS._replace(series="some")
    shelf.take(Kept(series, 60.0, 4, Joining.MEAN))
    for step in (1, 2, 1_000_000, 1_000_001, 3, 4):
        shelf.take(tick(T0 + 60 * step, {series: step}))
    assert [one.value for one in shelf.all(series)] == [1, 2, 3, 4]


def test_a_correction_is_in_series_too(shelf: Shelf) -> None:
    """A correction adds to the samples of series by their own intervals, also of those that overlap."""
    series = PDU._replace(series="sliding")
    shelf.take(Kept(series, 900.0, 100, Joining.MEAN))
    for step in range(2, 6):
        end = T0 + 900 * step
        shelf.take(Tick(end, 900.0, {series: Sample(end - 1800, end, 10, Method.DIRECT_METER)}))
    shelf.take(stretch("pdu", T0 + 900, T0 + 2700, 200, by="ann"))
    assert [one.value for one in shelf.all(series)] == [110, 210, 110, 10]


def test_a_gap_is_shown_as_a_gap(shelf: Shelf) -> None:
    """An interval of which nothing is known comes without a value, wherever a page begins."""
    for minute in (1, 2, 8, 9, 10):
        shelf.take(tick(T0 + 60 * minute, {WATTS: minute}))
    found, _ = shelf.reader.samples(WATTS, 0.0, FOREVER, None, 100)
    assert [(one.end - T0, one.value, one.coverage) for one in found if one.value is None] == [(420, None, 0.0)]
    page, more = shelf.reader.samples(WATTS, T0, FOREVER, None, 2)
    assert (len(page), more) == (2, T0 + 120)
    page, more = shelf.reader.samples(WATTS, T0 + 120, T0 + 300, None, 10)
    assert ([(one.start - T0, one.end - T0, one.value) for one in page], more) == ([(120, 300, None)], None)
    found, _ = shelf.reader.samples(WATTS, 0.0, FOREVER, 120.0, 100)
    assert [one.value for one in found] == [2, None, None, 8, 10]
    assert [one.coverage for one in found] == [100.0, 0.0, 0.0, 50.0, 100.0]


def test_what_came_late_is_told_before_its_interval_is_over(shelf: Shelf) -> None:
    """Energy that came late counts at once, though nothing has an interval yet that ends as late."""
    shelf.take(tick(T0 + 60, {PDU: 100}), stretch("pdu", T0 + 60, T0 + 120, 60))
    found = shelf.reader.energy("pdu", "", T0, T0 + 300)
    assert found == Energy(160, None, T0, T0 + 120, 100.0, Mark.ESTIMATED)
    found = shelf.reader.energy("pdu", "", T0, T0 + 90)
    assert found == Energy(130, None, T0, T0 + 90, 100.0, Mark.ESTIMATED)


def test_what_came_late_may_be_the_first(shelf: Shelf) -> None:
    """Where nothing is kept but energy that came late, it is kept from the beginning of that, not of a minute."""
    shelf.take(stretch("pdu", T0 + 50, T0 + 100, 60), tick(T0 + 120, {PDU: 100}))
    found = shelf.reader.energy("pdu", "", T0, T0 + 120)
    assert found is not None
    assert (found.received, found.start) == (160, T0 + 50)


@pytest.mark.parametrize("seal", [False, True])
def test_what_came_late_begins_when_it_began(shelf: Shelf, seal: bool) -> None:
    """Before the first energy of a channel there is none, although its interval begins earlier."""
    shelf.take(stretch("pdu", T0 + 0.7, T0 + 100, 1_000_000), tick(T0 + 180, {PDU: 5}))
    if seal:
        shelf.seal(T0 + 3 * HOUR)
    energy = shelf.reader.energy("pdu", "", T0 + 0.7, FOREVER)
    assert energy is not None
    assert energy.received == 1_000_005
    assert shelf.all(PDU)[0].start == T0 + 0.7


def test_what_is_dropped_is_coarser(shelf: Shelf) -> None:
    """When the finest are gone hours answer, with their coverage, then days; energy at the edges is an estimate."""
    for minute in range(1, 60 * 24 * 3 + 1, 2):
        shelf.take(tick(T0 + 60 * minute, {PDU: 60, WATTS: 1000}))
    end = T0 + 3 * DAY
    shelf.seal(end + HOUR)
    shelf.age(Settings(raw=DAY, hourly=2 * DAY), end)
    hours, _ = shelf.reader.samples(WATTS, T0 + DAY, T0 + DAY + 7200, None, 10)
    assert [(one.end - one.start, one.value, one.coverage) for one in hours] == [(3600, 1000, 50.0)] * 2
    (day,) = shelf.reader.samples(PDU, T0, T0 + DAY, None, 10)[0]
    assert (day.start, day.end, day.value, day.coverage) == (T0, T0 + DAY, 43_200, 50.0)
    energy = shelf.reader.energy("pdu", "", T0 + DAY / 2, T0 + DAY + 1800)
    assert energy is not None
    assert (energy.received, energy.coverage) == (21_600 + 900, 50.0)
    assert shelf.reader.energy("pdu", "", 0.0, end).received == 3 * 43_200  # type: ignore[union-attr] - is there


# --- what is gone


SHORT = Settings(raw=HOUR, hourly=HOUR, daily=DAY)


def test_who_is_gone_is_forgotten(shelf: Shelf) -> None:
    """Of whom nothing is kept any more no name is kept, in the file or in memory; whoever has samples, a correction or
    a configured series keeps it."""
    series = Channel("series", "", POWER, 0, "peak")
    shelf.take(Kept(series, 60.0, 5, Joining.MEAN))
    for number in range(1200):  # more than are looked at at once
        gone = Channel(f"gone.{number}", "", RECEIVED)
        shelf.take(tick(T0 + 60, {gone: 1, gone._replace(quantity=POWER): 1}))
    corrected = tick(T0 + 60, {PDU._replace(owner="corrected"): 1})
    shelf.take(corrected, stretch("corrected", T0, T0 + 60, -1, by="ann", reason="why"), tick(T0 + 60, {series: 5}))
    shelf.age(SHORT, T0 + 600)
    assert len(shelf.owners()) == 1202, "what is not sealed yet is kept"
    shelf.seal(T0 + 2 * HOUR)
    shelf.age(SHORT, T0 + 2 * HOUR)
    assert len(shelf.owners()) == 1202, "hours are kept of a day that is not over"
    shelf.take(tick(T0 + 3 * DAY, {PDU: 1, WATTS: 1}))
    shelf.seal(T0 + 3 * DAY)
    shelf.age(replace(SHORT, daily=5 * DAY), T0 + 3 * DAY)
    assert len(shelf.owners()) == 1203, "days are kept"
    shelf.age(SHORT, T0 + 3 * DAY)
    assert shelf.owners() == ["series", "corrected", "pdu"]
    known = shelf.filing.names
    assert {channel.owner for channel in known.channels} == {"series", "corrected", "pdu"}
    assert set(known.by_id) == {id_ for (id_,) in shelf.db.execute("SELECT id FROM channel")}
    shelf.take(tick(T0 + 3 * DAY + 60, {Channel("gone.7", "", RECEIVED): 7, PDU: 2}))
    assert [one.value for one in shelf.all(Channel("gone.7", "", RECEIVED))] == [7]
    assert [one.value for one in shelf.all(PDU)] == [1, 2]


def test_half_of_whoever_was_put_together_is_forgotten(shelf: Shelf) -> None:
    """Of an owner who was two the one that has samples stays, and what comes goes there."""
    shelf.take(tick(T0 + 60, {PDU: 1}))
    shelf.seal(T0 + 2 * HOUR)
    new = PDU._replace(owner="new")
    shelf.take(tick(T0 + 3 * DAY, {new: 2}), Renamed("new", "pdu"))
    shelf.seal(T0 + 3 * DAY)
    shelf.age(SHORT, T0 + 3 * DAY)
    assert shelf.owners() == ["pdu"]
    shelf.take(tick(T0 + 3 * DAY + 60, {PDU: 3}))
    assert [one.value for one in shelf.all(PDU)] == [2, 3]
    assert shelf.db.execute("SELECT count(*) FROM channel").fetchone() == (1,)


def test_numbers_of_the_forgotten_are_given_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many things came and went, there are numbers for those that come, also after a restart."""
    monkeypatch.setattr(names, "_MOST_SHELVES", 5)
    for turn in range(6):
        start = T0 + 3 * DAY * turn
        shelf.take(tick(start + 60, {PDU: 1, Channel(f"a{turn}", "", RECEIVED): 1, Channel(f"b{turn}", "", POWER): 1}))
        shelf.seal(start + 2 * HOUR)
        shelf.take(tick(start + 3 * DAY - 60, {PDU: 1}))
        shelf.seal(start + 3 * DAY + HOUR)
        shelf.age(SHORT, start + 3 * DAY + HOUR)
        assert shelf.owners() == ["pdu"]
        if turn % 2:
            shelf.again()


def test_what_waits_is_given_up_in_steps() -> None:
    """A batch that comes back beyond the bound is given up some at a time, by whoever holds the thread of the disk as
    by whoever records; its energy is owed, and what is no tick keeps its place."""
    waiting = Waiting(most=20_100)
    meters = [Channel(f"m{number}", "", RECEIVED) for number in range(20_000)]
    waiting.put(tick(T0 + 60, dict.fromkeys(meters, 1)))
    waiting.put(Renamed("m1", "n1"))
    batch = waiting.take()
    waiting.put(tick(T0 + 120, dict.fromkeys(meters, 2)))
    assert waiting.lost == 0
    waiting.give_back(batch)
    waiting.put(tick(T0 + 180, {PDU: 6}))
    steps = 1
    while waiting.relieve():
        steps += 1
    assert steps >= 20_000 // STEP - 2
    assert (waiting.lost, waiting.samples) == (20_000, 20_002)
    again = waiting.take()
    assert sum(one.received for one in again if isinstance(one, Stretch)) == 20_000
    assert [type(one) for one in again[20_000:]] == [Renamed, Tick, Tick]
    assert sum(map(weight, again)) == 40_002
    assert not waiting
    assert waiting.samples == 0

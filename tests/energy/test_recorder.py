"""The history of the site adds up to the meters, whatever happens, and says what it does not know."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.accumulation import Flow
from eman_netconf.energy.effects import Effect, Record
from eman_netconf.energy.ledger import GRACE, EnergyTrack, Wall
from eman_netconf.energy.samples import Channel, Mark, Renamed, Sample, Stretch, Tick
from eman_netconf.energy.values import EntityInfo, ForeignId, Method, Now, Quantity
from tests.energy.bench import START, Bench, outlet

Q = Quantity
METERS = (("pdu", ""), ("pdu", "interface:o1"), ("groups:all", ""))
SERIAL = ForeignId("serial-number", "4711")
MINUTE = 60.0
FIRST = START - START % MINUTE  # the last full minute before the bench's clock starts


class Kept:
    """A bench with what was recorded of it, kept as the shell does: records of the core first, then samples."""

    def __init__(self, boot: Callable[[], Bench], **history: Any) -> None:
        self.bench = boot()
        self.records: dict[str, Any] = {}
        self.ticks: list[Tick] = []
        self.stretches: list[Stretch] = []
        self.renamed: list[Renamed] = []
        group = {"group": [{"name": "all", "member": ["pdu"]}]}
        self.bench.commit(groups=group, **({"history": history} if history else {}))
        self.meet()
        self._seen = 0

    def meet(self) -> None:
        self.bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))

    def save(self) -> None:
        for key, record in self.bench.domain.dirty():
            self.records[key] = json.loads(json.dumps(record))
        for what in recorded(self.bench.effects[self._seen :]):
            if isinstance(what, Tick):
                self.ticks.append(what)
            elif isinstance(what, Stretch):
                self.stretches.append(what)
            elif isinstance(what, Renamed):
                self.renamed.append(what)
        self._seen = len(self.bench.effects)

    def restart(self, away: float, *, clean: bool) -> None:
        if clean:
            self.save()
        old = self.bench
        self.bench = Bench(old.schema, start=old.now.wall + away)
        self.bench.running = old.running
        self.bench.boot({key: record for key, record in self.records.items() if record is not None}, clean=clean)
        self._seen = 0
        self.meet()

    def samples(self, quantity: Quantity, owner: str = "pdu", part: str = "") -> list[Sample]:
        self.save()
        channel = Channel(owner, part, quantity)
        return [tick.samples[channel] for tick in self.ticks if channel in tick.samples]

    def sums(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What all that was recorded adds up to, with what is open."""
        self.save()
        received: dict[tuple[str, str], int] = defaultdict(int)
        provided: dict[tuple[str, str], int] = defaultdict(int)
        for tick in self.ticks:
            assert tick.end % tick.period == 0
            for channel, sample in tick.samples.items():
                assert 0 <= sample.coverage <= 100
                into = {Q.ENERGY_RECEIVED: received, Q.ENERGY_PROVIDED: provided}.get(Q(channel.quantity))
                if into is not None:
                    assert sample.value is not None
                    assert sample.value >= 0
                    into[channel.owner, channel.part] += sample.value
        for stretch in self.stretches:
            received[stretch.owner, stretch.part] += stretch.received
            provided[stretch.owner, stretch.part] += stretch.provided
        for meter in METERS:
            rest = self.bench.domain.recorder.open(*meter, -inf, inf)
            if rest is not None:
                received[meter] += rest.received or 0
                provided[meter] += rest.provided or 0
        return {meter: (received[meter], provided[meter]) for meter in METERS}

    def totals(self) -> dict[tuple[str, str], tuple[int, int]]:
        entity = self.bench.domain.site.entities["pdu"]
        meters = {
            METERS[0]: entity.meter,
            METERS[1]: entity.interfaces["o1"].meter,
            METERS[2]: self.bench.domain.groups.groups["all"].meter,
        }
        return {key: (meter.energy.received or 0, meter.energy.provided or 0) for key, meter in meters.items()}


def recorded(effects: Iterable[Effect]) -> list[object]:
    return [effect.what for effect in effects if isinstance(effect, Record)]


def at_minute(kept: Kept) -> None:
    """Wait for the next full minute."""
    kept.bench.wait(MINUTE - kept.bench.now.wall % MINUTE)


happenings = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((1.0, 7.5, 10.0, 31.0, 60.0, 85.0, 200.0, 4000.0, 90_000.0))),
    st.tuples(st.just("count"), st.integers(0, 5_000)),
    st.tuples(st.just("count"), st.integers(0, 50)),
    st.tuples(st.just("give"), st.integers(0, 5_000)),
    st.tuples(st.just("watts"), st.integers(-3_000, 3_000)),
    st.tuples(st.just("step"), st.sampled_from((-7200.0, -61.0, -0.4, 0.7, 45.0, 86_400.0))),
    st.tuples(st.just("save"), st.just(0)),
    st.tuples(st.just("stop"), st.sampled_from((0.0, 5.0, 600.0))),
    st.tuples(st.just("crash"), st.sampled_from((0.0, 5.0, 600.0))),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(happenings, max_size=25))
def test_it_adds_up(boot: Callable[[], Bench], said: list[tuple[str, Any]]) -> None:
    """Ticks, stretches and what is open are the totals of box, outlet and group, also over crashes and clock steps."""
    kept = Kept(boot)
    received, provided = Decimal(1000), Decimal(0)
    for what, value in said:
        bench = kept.bench
        match what:
            case "wait":
                bench.wait(value)
            case "count":
                received += Decimal(value) / 1000
                bench.tell("pdu", Q.ENERGY_RECEIVED, received, "", "o1")
                bench.tell("pdu", Q.ENERGY_RECEIVED, received)
            case "give":
                provided += Decimal(value) / 1000
                bench.tell("pdu", Q.ENERGY_PROVIDED, provided, "", "o1")
            case "watts":
                bench.tell("pdu", Q.ACTIVE_POWER, value)
            case "step":
                bench.step_clock(value)
            case "save":
                kept.save()
            case "stop" | "crash":
                kept.restart(value, clean=what == "stop")
        if what == "save":
            assert kept.sums() == kept.totals()
    kept.bench.wait(7300)
    assert kept.sums() == kept.totals()


def read_every(kept: Kept, seconds: float, count: int, *, watt_hours: Decimal = Decimal("0.1")) -> None:
    """The device counts on, and is read ``count`` times."""
    known = kept.__dict__.setdefault("counter", Decimal(500))
    for _ in range(count):
        kept.bench.tell("pdu", Q.ENERGY_RECEIVED, known, "", "o1")
        kept.bench.tell("pdu", Q.ENERGY_RECEIVED, known)
        kept.bench.wait(seconds)
        known += watt_hours
    kept.__dict__["counter"] = known


def test_a_tick_is_what_flowed_in_it(boot: Callable[[], Bench]) -> None:
    """A flow across the end of a minute is split by time: each minute has its own, of outlet, box and group."""
    kept = Kept(boot)
    at_minute(kept)
    start = kept.bench.now.wall
    kept.bench.wait(5)
    read_every(kept, 10, 30)
    for owner, part in METERS:
        found = kept.samples(Q.ENERGY_RECEIVED, owner, part)
        assert [sample.end - start for sample in found] == [60, 120, 180, 240]
        assert [sample.value for sample in found] == [550, 600, 600, 600]
        assert [sample.start - start for sample in found] == [5, 60, 120, 180], "it begins with the first reading"
        assert [sample.coverage for sample in found] == [100, 100, 100, 100]
        assert {sample.method for sample in found} == {Method.DIRECT_METER}
        assert {sample.mark for sample in found} == {Mark.MEASURED}
        assert not kept.samples(Q.ENERGY_PROVIDED, owner, part), "nobody tells of it"
        assert [sample.value for sample in kept.samples(Q.ACTIVE_POWER, owner, part)] == [36_000] * 4
    assert not kept.stretches


@pytest.mark.parametrize("interval", [25, 45, 60, 250, 900])
def test_who_is_read_seldom_is_waited_for(boot: Callable[[], Bench], interval: int) -> None:
    """Ticks of a device that is read every few minutes are whole, if late; nothing is guessed."""
    kept = Kept(boot)
    kept.bench.commit(
        groups={"group": [{"name": "all", "member": ["pdu"]}]},
        backends={"backend": [{"name": "pdu", "poll-interval": str(interval)}]},
    )
    kept.meet()
    at_minute(kept)
    kept.bench.wait(13)
    read_every(kept, interval, 8)
    for owner, part in METERS:
        found = kept.samples(Q.ENERGY_RECEIVED, owner, part)
        assert len(found) > 7 * interval // 60 - 1
        assert {sample.coverage for sample in found[1:]} == {100.0}
    assert not kept.stretches
    assert kept.sums() == kept.totals()


def test_a_gap_is_no_zero(boot: Callable[[], Bench]) -> None:
    """While nobody is read there are no samples; energy that was counted meanwhile is a stretch of that time."""
    kept = Kept(boot)
    at_minute(kept)
    start = kept.bench.now.wall
    read_every(kept, 10, 6)
    kept.bench.wait(4000)
    read_every(kept, 10, 12)
    found = kept.samples(Q.ENERGY_RECEIVED)
    assert all(not 120 < sample.end - start <= 4020 for sample in found)
    assert {stretch.owner for stretch in kept.stretches} == {"pdu", "groups:all"}
    for stretch in kept.stretches:
        assert stretch.mark is Mark.ESTIMATED
        assert 50 <= stretch.start - start <= 120
        assert 4000 <= stretch.end - start <= 4080
    assert kept.sums() == kept.totals()


def test_power_is_the_mean_of_what_was_read(boot: Callable[[], Bench]) -> None:
    """Mean power comes from readings of power, over time, and says how much of the minute it rests on."""
    kept = Kept(boot)
    at_minute(kept)
    for watts in (100, 200, 200, 300):
        kept.bench.tell("pdu", Q.ACTIVE_POWER, watts)
        kept.bench.wait(10)
    kept.bench.wait(120)
    found = kept.samples(Q.ACTIVE_POWER)
    assert [(sample.value, sample.coverage, sample.method) for sample in found] == [(200_000, 50.0, "direct-meter")]


def test_all_of_a_meter_begins_when_it_does(boot: Callable[[], Bench]) -> None:
    """The first interval is from the first reading on, of energy and power, of a device and of a sum alike."""
    kept = Kept(boot)
    at_minute(kept)
    start = kept.bench.now.wall
    kept.bench.wait(36)
    for _ in range(12):
        kept.bench.tell("pdu", Q.ACTIVE_POWER, 100)
        kept.bench.tell("pdu", Q.VOLTAGE, 230)
        kept.bench.wait(10)
    for owner in ("pdu", "groups:all"):
        for quantity in (Q.ENERGY_RECEIVED, Q.ACTIVE_POWER):
            first = kept.samples(quantity, owner)[0]
            assert (first.start - start, first.end - start, first.coverage) == (36, 60, 100), (owner, quantity)


@pytest.mark.parametrize("interval", [60, 900])
def test_what_is_told_late_begins_when_the_meter_does(boot: Callable[[], Bench], interval: int) -> None:
    """Of a meter that was away since its first interval the history begins when its total does, to the instant, also
    where the device's stamp is not the server's and where intervals have another length by then."""
    kept = Kept(boot, interval=60)
    at_minute(kept)
    bench = kept.bench
    bench.wait(36)
    for number in (0, 1):
        bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(number), at=bench.now.wall - 0.04)
        bench.wait(1)
    start = bench.domain.site.entities["pdu"].meter.energy.start
    assert start is not None
    bench.commit(groups={"group": [{"name": "all", "member": ["pdu"]}]}, history={"interval": interval})
    kept.restart(600, clean=True)
    kept.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(100))
    kept.bench.wait(7300)
    for owner in ("pdu", "groups:all"):
        ticks = [sample.start for sample in kept.samples(Q.ENERGY_RECEIVED, owner)]
        late = [stretch.start for stretch in kept.stretches if (stretch.owner, stretch.part) == (owner, "")]
        assert min(ticks + late) == pytest.approx(start, abs=1e-6), owner
    assert kept.sums() == kept.totals()


def test_a_sum_says_how_much_of_it_is_known(boot: Callable[[], Bench]) -> None:
    """The coverage of a sum is that of its parts; one that is away half of the time takes its share of it."""
    kept = Kept(boot)
    bench = kept.bench
    bench.commit(groups={"group": [{"name": "all", "member": ["pdu", "srv"]}]})
    bench.discover("srv", EntityInfo())
    at_minute(kept)
    for turn in range(13):
        bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(turn))
        if turn <= 9:
            bench.tell("srv", Q.ENERGY_RECEIVED, Decimal(turn))
        bench.wait(10)
    bench.wait(300)
    coverage = [sample.coverage for sample in kept.samples(Q.ENERGY_RECEIVED, "groups:all")]
    assert coverage == [100.0, 75.0]
    assert [sample.value for sample in kept.samples(Q.ENERGY_RECEIVED, "groups:all")] == [12_000, 9_000]


def test_what_is_configured_is_kept(boot: Callable[[], Bench]) -> None:
    """Further quantities and another interval are configured for the whole site; without history nothing is kept."""
    kept = Kept(boot, interval="10", quantity=["eman-types:voltage", "eman-battery:battery-charge-percent"])
    bench = kept.bench
    for volts in (229, 231, 230, 230):
        bench.tell("pdu", Q.VOLTAGE, volts, "", "o1")
        bench.tell("pdu", Q.ACTIVE_POWER, 50, "", "o1")
        bench.wait(10)
    bench.wait(40)
    found = kept.samples(Q.VOLTAGE, "pdu", "interface:o1")
    assert [sample.value for sample in found][:3] == [230_000, 230_500, 230_000]
    assert all(sample.end % 10 == 0 for sample in found)
    bench.commit(groups={"group": [{"name": "all", "member": ["pdu"]}]}, history={"enabled": "false"})
    bench.wait(20)
    kept.save()
    before = len(kept.ticks)
    bench.tell("pdu", Q.VOLTAGE, 240, "", "o1")
    bench.tell("pdu", Q.ACTIVE_POWER, 80, "", "o1")
    bench.wait(120)
    kept.save()
    assert len(kept.ticks) == before
    bench.commit(groups={"group": [{"name": "all", "member": ["pdu"]}]})
    bench.wait(20)
    for _ in range(6):
        bench.tell("pdu", Q.ACTIVE_POWER, 80, "", "o1")
        bench.wait(30)
    assert kept.samples(Q.ACTIVE_POWER, "pdu", "interface:o1")[-1][1:3] == (bench.now.wall // 60 * 60 - 60, 80_000)


def test_a_rename_is_told(boot: Callable[[], Bench]) -> None:
    """Who goes by another id keeps the history, and goes on under the new one."""
    kept = Kept(boot)
    kept.bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),), foreign_ids=(SERIAL,)))
    at_minute(kept)
    read_every(kept, 10, 6)
    kept.bench.commit(
        {"id": "rack-pdu", "foreign-id": [{"kind": "eman-entity:serial-number", "value": "4711"}]},
        groups={"group": [{"name": "all", "member": ["rack-pdu"]}]},
    )
    kept.save()
    assert kept.renamed == [Renamed("pdu", "rack-pdu")]
    kept.bench.wait(200)
    assert [sample.value for sample in kept.samples(Q.ENERGY_RECEIVED, "rack-pdu")] == [500]


def test_what_is_open_is_known(boot: Callable[[], Bench]) -> None:
    """The energy of the minute that is not over is known at once, and shares of it by time."""
    kept = Kept(boot)
    at_minute(kept)
    start = kept.bench.now.wall
    read_every(kept, 10, 3)
    recorder = kept.bench.domain.recorder
    rest = recorder.open("pdu", "", start, start + 100)
    assert rest is not None
    assert (rest.received, rest.provided, rest.start, rest.end, rest.coverage) == (200, None, start, start + 20, 100.0)
    half = recorder.open("pdu", "", start, start + 10)
    assert half is not None
    assert half.received == 100
    assert recorder.open("pdu", "", start - 500, start) is None
    assert recorder.closed("pdu", "") == start
    assert recorder.open("lamp", "", start, start + 10) is None


def test_nobody_waits_for_a_round(boot: Callable[[], Bench]) -> None:
    """A round over many things is cut into turns, each with a bounded number of samples, and misses nobody."""
    bench = boot()
    names = [f"e{number}" for number in range(3000)]
    bench.discover("gw", *(EntityInfo(name) for name in names))
    ids = [entity.id for entity in bench.domain.site.entities.values()]
    for turn in range(8):
        readings = [bench.reading(Q.ENERGY_RECEIVED, Decimal(turn), name) for name in names]
        bench.read("gw", *readings)
        bench.wait(10)
    before = len(bench.effects)
    bench.wait(150)
    ticks = [what for what in recorded(bench.effects[before:]) if isinstance(what, Tick)]
    assert len(ticks) > 3
    assert max(len(tick.samples) for tick in ticks) <= 1100
    assert {channel.owner for tick in ticks for channel in tick.samples} == set(ids)


def test_a_clock_that_is_set_back_tells_the_minutes_again(boot: Callable[[], Bench]) -> None:
    """After the wall clock was set back by ten minutes, ticks of the same instants follow, and nothing is doubled."""
    kept = Kept(boot)
    at_minute(kept)
    read_every(kept, 10, 30)
    kept.bench.step_clock(-600)
    read_every(kept, 10, 90)
    ends = [sample.end for sample in kept.samples(Q.ENERGY_RECEIVED)]
    assert len(ends) > len(set(ends))
    assert kept.sums() == kept.totals()


def test_the_grace_is_kept(boot: Callable[[], Bench]) -> None:
    """A minute is over a little after its end, when the reading beyond it was taken."""
    kept = Kept(boot)
    at_minute(kept)
    end = kept.bench.now.wall + 60
    read_every(kept, 10, 7)
    kept.save()
    assert not kept.ticks
    kept.bench.wait(end + GRACE - kept.bench.now.wall)
    assert [sample.end for sample in kept.samples(Q.ENERGY_RECEIVED)] == [end]


@settings(deadline=None, max_examples=15)
@given(st.permutations(("a", "b", "c")), st.lists(st.integers(0, 900), min_size=14, max_size=14))
def test_the_order_of_things_makes_no_difference(boot: Callable[[], Bench], order: list[str], steps: list[int]) -> None:
    """Whoever is closed first, each interval of each meter, sums included, has the same sample."""

    def told(names: Iterable[str]) -> dict[tuple[float, Channel], Sample]:
        bench = boot()
        bench.commit(groups={"group": [{"name": "all", "match": {"class": "eman-entity:device"}}]})
        for name in names:
            bench.discover(name, EntityInfo())
        counters = dict.fromkeys(sorted(names), Decimal(0))
        bench.wait(MINUTE - bench.now.wall % MINUTE)
        for turn, step in enumerate(steps):
            name = "abc"[turn % 3]
            counters[name] += Decimal(step) / 1000
            bench.tell(name, Q.ENERGY_RECEIVED, counters[name])
            bench.wait(7)
        bench.wait(200)
        ticks = [what for what in recorded(bench.effects) if isinstance(what, Tick)]
        return {(tick.end, channel): sample for tick in ticks for channel, sample in tick.samples.items()}

    assert told(order) == told("abc")


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0.5, 90.0)), min_size=1, max_size=20))
def test_each_interval_gets_its_share_of_time(flows: list[tuple[int, float]]) -> None:
    """What flowed evenly is in each interval by the time it has of it, to a milliwatt-hour for each flow."""
    wall = Wall()
    wall.set(Now(START, 0.0))
    track = Plain(wall, MINUTE)
    mono, expected = 0.0, defaultdict[float, float](float)
    for energy, seconds in flows:
        track.flowed(Flow(energy, 0, mono, mono + seconds), 0.0)
        begin, end = START + mono, START + mono + seconds
        edge = begin // MINUTE * MINUTE
        while edge < end:
            inside = min(end, edge + MINUTE) - max(begin, edge)
            expected[edge + MINUTE] += energy * inside / seconds
            edge += MINUTE
        mono += seconds
    found = {end: slot.received for end, slot in track.everything()}
    assert sum(found.values()) == sum(energy for energy, _ in flows)
    for end, energy in expected.items():
        assert abs(found.get(end, 0) - energy) <= len(flows)


class Plain(EnergyTrack):
    """Energy by intervals, and nobody to tell."""

    gap = MINUTE

    def _late(self, begin: float, end: float, received: int, provided: int, mark: Mark) -> None:
        raise AssertionError("nothing is late")

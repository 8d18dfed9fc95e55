"""Series: rows of equal intervals, whole, honest about what they rest on, and the same after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.collector import ALL, PACE
from eman_netconf.energy.effects import Changed, Effect, Record
from eman_netconf.energy.samples import Channel, Joining, Kept, Mark, Sample, Tick
from eman_netconf.energy.series import CAPACITY, Present
from eman_netconf.energy.values import EntityInfo, Now, Quantity
from eman_netconf.errors import ErrorTag, RpcErrors
from eman_netconf.yang.stamps import stamp
from tests.energy.bench import Bench, outlet

Q = Quantity
POWER = "eman-types:active-power"
RECEIVED = "eman-types:energy-received"
LENGTH = 60


def series(name: str, quantity: str = POWER, **more: Any) -> dict[str, Any]:
    return {"name": name, "quantity": quantity, "length": str(LENGTH), **more}


class Site:
    """A box with an outlet in a group, its series, and the samples that were told of them, kept as the shell does."""

    def __init__(self, boot: Callable[[], Bench], *entries: Mapping[str, Any], **totals: Any) -> None:
        self.bench = boot()
        self.records: dict[str, Any] = {}
        self.rows: dict[Channel, dict[float, list[Sample]]] = {}
        self.kept: list[Kept] = []
        self._seen = 0
        self.configure(*entries, **totals)
        self.meet()
        self.bench.wait(LENGTH - self.bench.now.wall % LENGTH)
        self.start = self.bench.now.wall

    def configure(self, *entries: Mapping[str, Any], **totals: Any) -> None:
        group = {"name": "all", "member": ["pdu"], **totals}
        self.bench.commit({"id": "pdu", "series": list(entries)}, groups={"group": [group]})

    def meet(self) -> None:
        self.bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))

    def save(self) -> None:
        """Records first, then the samples."""
        domain = self.bench.domain
        for key, record in domain.dirty():
            self.records[key] = json.loads(json.dumps(record))
        for key, record in domain.series.dirty(1000):
            self.records[f"series:{key}"] = json.loads(json.dumps(record))
        for what in recorded(self.bench.effects[self._seen :]):
            if isinstance(what, Kept):
                self.kept.append(what)
            elif isinstance(what, Tick):
                for channel, sample in what.samples.items():
                    if channel.series:
                        self.rows.setdefault(channel, {}).setdefault(what.end, []).append(sample)
        self._seen = len(self.bench.effects)

    def restart(self, away: float, *, clean: bool) -> None:
        if clean:
            self.save()
        old = self.bench
        self.bench = Bench(old.schema, start=old.now.wall + away)
        self.bench.running = old.running
        saved = {key: record for key, record in self.records.items() if record is not None}
        mine = {key.removeprefix("series:"): saved.pop(key) for key in list(saved) if key.startswith("series:")}
        self.bench.domain.series.restore(mine)
        self.bench.boot(saved, clean=clean)
        self._seen = 0
        self.meet()

    def of(self, name: str, owner: str = "pdu") -> list[Sample]:
        """The rows of a series, several of one instant added up."""
        self.save()
        found = next(
            (rows for channel, rows in self.rows.items() if (channel.owner, channel.series) == (owner, name)), {}
        )
        return [added(found[end]) for end in sorted(found)]

    def values(self, name: str, owner: str = "pdu") -> list[int | None]:
        return [sample.value for sample in self.of(name, owner)]

    def shown(self, name: str) -> Any:
        return self.bench.at("pdu", "series", (name,))


def recorded(effects: Iterable[Effect]) -> list[object]:
    return [effect.what for effect in effects if isinstance(effect, Record)]


def added(samples: list[Sample]) -> Sample:
    if len(samples) == 1:
        return samples[0]
    assert all(sample.value is not None for sample in samples)
    return samples[0]._replace(
        value=sum(sample.value or 0 for sample in samples),
        coverage=min(sum(sample.coverage for sample in samples), 100),
    )


def watts(site: Site, *values: int | None, every: float = 10.0) -> None:
    for value in values:
        if value is not None:
            site.bench.tell("pdu", Q.ACTIVE_POWER, value)
        site.bench.wait(every)


def count(site: Site, *steps: int, every: float = 10.0) -> None:
    """The device has counted so many milliwatt-hours more."""
    for step in steps:
        site.__dict__["counter"] = site.__dict__.get("counter", 10_000) + step
        site.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(site.__dict__["counter"]) / 1000)
        site.bench.wait(every)


def test_samplings(boot: Callable[[], Bench]) -> None:
    """Mean over time, smallest, largest and last value of the line between the readings, also at the ends."""
    names = ("mean", "minimum", "maximum", "sampled")
    site = Site(boot, *(series(name, sampling=name) for name in names))
    watts(site, 0, 600, every=30)
    watts(site, 300, 300, 300, every=60)
    site.bench.wait(60)
    first, second = zip(*(site.values(name)[:2] for name in names), strict=True)
    assert first == (375_000, 0, 600_000, 300_000)
    assert second == (300_000, 300_000, 300_000, 300_000)
    assert [sample.coverage for sample in site.of("mean")] == [100.0, 100.0, 100.0]
    assert site.of("mean")[0].start == site.start


def test_delta_total_and_sliding(boot: Callable[[], Bench]) -> None:
    """Energy of intervals that follow each other, of all since the beginning, and of the last three."""
    site = Site(
        boot,
        series("delta", RECEIVED),
        series("total", RECEIVED, **{"interval-type": "total"}),
        series("sliding", RECEIVED, **{"interval-type": "sliding", "window": "180"}),
    )
    count(site, *([10] * 6 + [20] * 6 + [30] * 6 + [40] * 6 + [50] * 4))
    delta = site.values("delta")
    assert delta == [70, 130, 190, 250]
    assert site.values("total") == [70, 200, 390, 640]
    assert site.values("sliding") == [70, 200, 390, 570]
    assert [(sample.end - sample.start) for sample in site.of("sliding")] == [180.0] * 4
    assert [sample.coverage for sample in site.of("sliding")] == [33.33, 66.67, 100.0, 100.0]
    assert len({sample.start for sample in site.of("total")}) == 1


def test_a_sum_has_series(boot: Callable[[], Bench]) -> None:
    """A series of a group: the power that is added up, and the energy."""
    site = Site(boot, series=[series("p"), series("e", RECEIVED)])
    for _ in range(16):
        site.bench.tell("pdu", Q.ACTIVE_POWER, 360)
        site.bench.wait(10)
    assert site.values("p", "groups:all")[1:] == [360_000]
    assert site.values("e", "groups:all") == [6000, 6000]
    shown = site.bench.served().at("groups", "group").entries["all",].at("series").entries["e",]
    assert shown.leaf("stored") == "2"


def test_what_is_shown(boot: Callable[[], Bench]) -> None:
    """The entry tells how many values there are, from when to when, how many there may be, and the largest."""
    site = Site(boot, series("demand", capacity="3"), series("nothing", "eman-types:frequency"))
    assert site.shown("demand").leaf("stored") == "0"
    for power in (100, 500, 300, 200, 200):
        watts(site, *[power] * 6)
    shown = site.shown("demand")
    assert shown.leaf("stored") == "3"
    assert shown.leaf("max-capacity") == str(CAPACITY)
    newest = site.of("demand")[-1].end
    assert newest == site.start + 240
    assert shown.leaf("oldest") < shown.leaf("newest")
    assert shown.at("peak").leaf("value") == str(Decimal(site.values("demand")[1]) / 1000)
    assert site.shown("nothing").leaf("stored") == "0"
    assert site.shown("nothing").leaf("newest") is None
    assert Changed("pdu", "series") in site.bench.effects
    assert Kept(Channel("pdu", "", Q.ACTIVE_POWER, 0, "demand"), LENGTH, 3, Joining.MEAN) in site.kept


def test_a_gap_is_a_gap(boot: Callable[[], Bench]) -> None:
    """An interval in which nobody was read has no row; one that was read in part says so."""
    site = Site(boot, series("p"), series("e", RECEIVED))
    watts(site, 100, 100, 100, 100, None, None, *[None] * 30, 100, 100, 100)
    site.bench.wait(200)
    assert [(sample.value, sample.coverage) for sample in site.of("p")] == [(100_000, 50.0), (100_000, 33.33)]
    assert [sample.end - site.start for sample in site.of("p")] == [60.0, 420.0]


def test_energy_that_is_known_late(boot: Callable[[], Bench]) -> None:
    """What a counter tells after a long gap goes into the rows it flowed in, marked, and no total misses it."""
    site = Site(
        boot,
        series("delta", RECEIVED),
        series("total", RECEIVED, **{"interval-type": "total"}),
        series("sliding", RECEIVED, **{"interval-type": "sliding", "window": "120"}),
    )
    count(site, 0, 10, 10, 10, 10, 10, every=10)
    site.bench.wait(600)
    count(site, 660, *[10] * 20)
    delta = site.of("delta")
    assert sum(sample.value or 0 for sample in delta) == site.values("total")[-1]
    assert all(sample.mark is Mark.ESTIMATED for sample in delta[1:10])
    assert site.values("sliding")[-1] == sum(site.values("delta")[-2:])  # type: ignore[arg-type]  # all known


def test_a_correction_reaches_what_is_to_come(boot: Callable[[], Bench]) -> None:
    """After a correction the rows that are not told yet hold it, in total as in the open interval."""
    site = Site(boot, series("total", RECEIVED, **{"interval-type": "total"}), series("long", RECEIVED, length="900"))
    bench = site.bench
    count(site, *[10] * 30)
    before = site.values("total")[-1]
    bench.domain.correct("pdu", "", -100, 0, site.start, site.start + 100, "ann", "a test", bench.now)
    count(site, *[10] * 80)
    assert before == 240
    assert site.values("total")[4] == 300 - 100
    first, second = site.of("long")
    assert first.end - site.start == 60
    assert (first.value, second.value) == (60, 900 - 40), "the first was told before; who keeps it corrects it"


def test_reports(boot: Callable[[], Bench]) -> None:
    """Every so many values are told in one notification, of an entity and of a group, each value once."""
    site = Site(boot, series("p", report="2"), series=[series("g", report="3")])
    watts(site, *[100] * 40)
    site.bench.wait(30)
    told = site.bench.notices("series-samples")
    mine = [leaves for leaves in told if leaves.get("entity") == "pdu"]
    assert [len(leaves["value"].entries) for leaves in mine] == [2, 2, 2]
    assert mine[0]["series"] == "p"
    assert mine[0]["quantity"] == POWER
    entries = [entry for leaves in mine for entry in leaves["value"].entries.values()]
    assert [entry.leaf("value") for entry in entries] == ["100.0"] * 6
    assert len({entry.leaf("end-time") for entry in entries}) == 6
    group = [leaves for leaves in told if leaves.get("group") == "all"]
    assert [len(leaves["value"].entries) for leaves in group] == [3, 3]
    assert group[0]["source"].endswith("/eman-group:groups/group[name='all']/power/active")


def test_a_block_is_whole_after_a_restart(boot: Callable[[], Bench]) -> None:
    """Values that wait for their block are told in it after a restart, too."""
    site = Site(boot, series("p", report="4"))
    watts(site, *[100] * 22)
    site.bench.wait(20)
    before = site.values("p")
    assert len(before) == 3
    assert not site.bench.notices("series-samples")
    site.restart(5, clean=True)
    watts(site, *[100] * 20)
    (told, *_) = site.bench.notices("series-samples")
    assert len(told["value"].entries) == 4
    ends = [sample.end for sample in site.of("p")][:4]
    assert [one.leaf("end-time") for one in told["value"].entries.values()] == [stamp(end) for end in ends]


def test_a_clock_that_was_far_ahead_is_in_nobodys_way(boot: Callable[[], Bench]) -> None:
    """After a wrong clock is put right totals, sliding means and reports go on, and what was kept before is."""
    sliding = {"interval-type": "sliding", "window": "120"}
    site = Site(boot, series("t", RECEIVED, **{"interval-type": "total"}), series("s", **sliding, report="1"))
    for leap in (0.0, 4e8, -4e8):
        site.bench.now = Now(site.bench.now.wall + leap, site.bench.now.mono)
        for _ in range(30):
            site.bench.tell("pdu", Q.ACTIVE_POWER, 100)
            count(site, 10)
    present = [sample for sample in site.of("t") if sample.end < site.start + 1e6]
    assert present[-1].value is not None
    assert present[-1].value >= 800, "all that flowed, also by the wrong clock"
    assert [sample.value for sample in site.of("s") if sample.end > present[-1].end - 180][:1] == [100_000]
    stored = site.shown("s").leaf("stored")
    assert int(stored) == len([sample for sample in site.of("s") if sample.end < site.start + 1e6])
    assert site.shown("s").leaf("newest") == stamp(present[-1].end)


def test_too_much_is_refused(boot: Callable[[], Bench]) -> None:
    """A capacity beyond what the server can keep is refused at its leaf, alone or together with the others."""
    site = Site(boot)
    with pytest.raises(RpcErrors) as refused:
        site.configure(series("p", capacity=str(CAPACITY + 1)))
    error = refused.value.errors[0]
    assert error.tag is ErrorTag.RESOURCE_DENIED
    assert error.path is not None
    assert str(error.path.text).endswith("/emser:series[emser:name='p']/emser:capacity")
    many = [series(f"s{number}", capacity=str(CAPACITY)) for number in range(ALL // CAPACITY)]
    site.configure(*many)
    with pytest.raises(RpcErrors):
        site.configure(*many, series("p", capacity="1"))
    site.configure(*many[:-1], series("p", capacity="1"))
    assert site.shown("p") is not None


def test_too_much_to_add_up_is_refused(boot: Callable[[], Bench]) -> None:
    """Sliding intervals of many short steps are as many as can be added up; others can be without number."""
    site = Site(boot)
    fast = {"interval-type": "sliding", "length": "1", "window": "1000"}
    many = [series(f"s{number}", **fast) for number in range(round(PACE / 1000))]
    site.configure(*many)
    with pytest.raises(RpcErrors) as refused:
        site.configure(*many, series("p", **fast))
    (error,) = refused.value.errors
    assert error.tag is ErrorTag.RESOURCE_DENIED
    assert str(error.path and error.path.text).endswith("/emser:series[emser:name='p']/emser:window")
    site.configure(*many, series("p", length="1"))
    site.configure(*many[:-1], series("p", **fast))
    assert site.shown("p") is not None


def test_long_records_come_in_small_batches(boot: Callable[[], Bench]) -> None:
    """Steps of sliding intervals are remembered when one is over, some of them at a time."""
    fast = {"interval-type": "sliding", "length": "1", "window": "1000"}
    site = Site(boot, *(series(f"s{number}", **fast) for number in range(3)))
    watts(site, *[100] * 60)
    kept = site.bench.domain.series
    batches: list[int] = []
    while batch := kept.dirty(500):
        batches.append(len(batch))
    assert batches == [2, 1]
    site.bench.tell("pdu", Q.ACTIVE_POWER, 100)
    assert kept.dirty(500) == [], "nothing is over"


def test_another_definition_is_another_series(boot: Callable[[], Bench]) -> None:
    """A change of what is collected begins anew; one of the capacity, of enabled or of the report does not."""
    site = Site(boot, series("p"))
    watts(site, *[100] * 20)
    site.configure(series("p", capacity="2"))
    assert site.shown("p").leaf("stored") == "2"
    site.configure(series("p", capacity="2", enabled="false"))
    site.save()
    site.kept.clear()
    rows = len(site.of("p"))
    watts(site, *[100] * 20)
    assert len(site.of("p")) == rows
    assert not site.kept
    site.configure(series("p", capacity="2", sampling="maximum"))
    site.save()
    channel = Channel("pdu", "", Q.ACTIVE_POWER, 0, "p")
    assert site.kept == [Kept(channel, LENGTH, 0, Joining.MEAN), Kept(channel, LENGTH, 2, Joining.MAXIMUM)]
    assert site.shown("p").leaf("stored") == "0"
    site.configure()
    site.save()
    assert site.kept[-1] == Kept(channel, LENGTH, 0, Joining.MAXIMUM)
    assert {key: record for key, record in site.records.items() if key.startswith("series:")} == {"series:pdu/p": None}


@pytest.mark.parametrize("clean", [True, False])
def test_a_restart_goes_on(boot: Callable[[], Bench], clean: bool) -> None:
    """After a restart within an interval energy is whole, means are right, and what was told is remembered."""
    site = Site(
        boot,
        series("p"),
        series("delta", RECEIVED),
        series("total", RECEIVED, **{"interval-type": "total"}),
        series("sliding", RECEIVED, **{"interval-type": "sliding", "window": "120"}),
    )
    for _ in range(15):
        site.bench.tell("pdu", Q.ACTIVE_POWER, 100)
        count(site, 10)
    site.save()
    stored = site.shown("p").leaf("stored")
    peak = site.shown("p").at("peak")
    site.restart(5, clean=clean)
    assert site.shown("p").leaf("stored") == stored
    assert site.shown("p").at("peak") == peak
    for _ in range(30):
        site.bench.tell("pdu", Q.ACTIVE_POWER, 100)
        count(site, 10)
    assert set(site.values("p")) == {100_000}
    assert min(sample.coverage for sample in site.of("p")) < 100, "the time around the restart is not known"
    delta = [value or 0 for value in site.values("delta")]
    assert sum(delta) == site.values("total")[-1]
    assert site.values("sliding")[-1] == sum(delta[-2:])
    assert len({sample.start for sample in site.of("total")}) == 1


def test_what_is_configured_no_more_is_forgotten(boot: Callable[[], Bench]) -> None:
    """The record of a series that was taken out of the configuration while nobody served is deleted."""
    site = Site(boot, series("p"), series("q"))
    watts(site, *[100] * 10)
    site.save()
    site.bench.running = Site(boot, series("p")).bench.running
    site.restart(5, clean=True)
    watts(site, *[100] * 10)
    site.save()
    assert site.records["series:pdu/q"] is None
    assert site.records["series:pdu/p"] is not None


steps = st.lists(
    st.tuples(
        st.sampled_from(("watts", "count", "stop", "crash", "save", "step")),
        st.integers(-500, 2000),
        st.sampled_from((1.0, 7.5, 10.0, 30.0, 61.0, 130.0, 400.0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(steps)
def test_rows_agree(boot: Callable[[], Bench], said: list[tuple[str, int, float]]) -> None:
    """Delta rows sum to the total, sliding rows are the sums of their steps, and means lie between the extremes."""
    names = ("mean", "minimum", "maximum", "sampled")
    site = Site(
        boot,
        *(series(name, sampling=name) for name in names),
        *(series(f"s-{name}", sampling=name, window="180", **{"interval-type": "sliding"}) for name in names),
        series("delta", RECEIVED),
        series("total", RECEIVED, **{"interval-type": "total"}),
        series("sliding", RECEIVED, **{"interval-type": "sliding", "window": "180"}),
    )
    for what, value, seconds in said:
        match what:
            case "watts":
                watts(site, value, every=seconds)
            case "count":
                count(site, max(value, 0), every=seconds)
            case "stop" | "crash":
                site.restart(seconds, clean=what == "stop")
            case "save":
                site.save()
            case "step":
                site.bench.step_clock(seconds)
    count(site, 0, *[100] * 30)
    delta = {sample.end: sample for sample in site.of("delta")}
    total = site.of("total")
    if not any(what == "crash" for what, _, _ in said):
        assert sum(sample.value or 0 for sample in delta.values()) == (total[-1].value or 0)
        for row in site.of("sliding")[-1:]:
            assert row.value == sum(delta[end].value or 0 for end in delta if row.start < end <= row.end)
    for prefix in ("", "s-"):
        found = {name: {sample.end: sample for sample in site.of(prefix + name)} for name in names}
        for end, mean in found["mean"].items():
            low, high, last = (found[name][end].value for name in ("minimum", "maximum", "sampled"))
            assert low is not None
            assert mean.value is not None
            assert high is not None
            assert last is not None
            assert low <= mean.value <= high
            assert low <= last <= high
            assert 0 < mean.coverage <= 100


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 20))
def test_what_is_present_is_counted(ends: list[int], capacity: int) -> None:
    """However values come, those that are counted are the newest ones there is room for, and the oldest is told."""
    present = Present(60, capacity)
    kept: set[float] = set()
    for end in ends:
        present.add(end * 60.0)
        kept = set(sorted({*kept, end * 60.0})[-capacity:])
        assert present.count == len(kept)
        assert present.newest == max(kept)
        assert present.runs[0][0] == min(kept)

"""Thresholds: one notification for each crossing, over restarts too, and none for what is not a crossing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.conditions import Kind, Severity, Sort, Subject
from eman_netconf.energy.effects import Changed
from eman_netconf.energy.thresholds import TABLE
from eman_netconf.energy.values import BatteryInfo, EntityInfo, LinkState, Quantity
from eman_netconf.yang.schema import Schema
from tests.energy.bench import Bench, inlet
from tests.work import calls

Q = Quantity
POWER = "eman-types:active-power"
HOT: dict[str, Any] = {"name": "hot", "quantity": POWER, "direction": "above", "level": "100.0"}


def watch(bench: Bench, *thresholds: dict[str, Any]) -> None:
    bench.commit({"id": "srv", "threshold": list(thresholds)})


def server(bench: Bench, **more: Any) -> None:
    """A server that is read, watched for more than 100 W."""
    watch(bench, HOT | more)
    bench.discover("srv", EntityInfo())


def tell(bench: Bench, *watts: Any, step: float = 10) -> None:
    for value in watts:
        bench.wait(step)
        bench.tell("srv", Q.ACTIVE_POWER, value)


def events(bench: Bench) -> list[tuple[str, str]]:
    """What was told of thresholds: event and value."""
    return [(notice["event"], notice["value"]) for notice in bench.notices("threshold-crossed")]


def shown(bench: Bench, name: str = "hot", id_: str = "srv") -> str | None:
    return bench.at(id_, "threshold", (name,), "state")


def kept(bench: Bench) -> dict[str, Any]:
    """The records of thresholds, as if asked for since the start."""
    thresholds = bench.domain.thresholds
    for key, home in thresholds._homes.items():
        thresholds.unsaved.update(dict.fromkeys((key, name) for name in home.by_name))
    return json.loads(json.dumps({name: record for name, record in thresholds.dirty(1000) if record is not None}))


def again(before: Bench) -> Bench:
    """The same site after a restart of the server, nothing read yet."""
    bench = Bench(before.schema)
    bench.now = before.now
    bench.running = before.running
    bench.domain.thresholds.restore(kept(before))
    bench.boot()
    bench.discover("srv", EntityInfo())
    return bench


# --- crossing


def test_a_crossing_is_told_once_and_its_end_once(bench: Bench) -> None:
    """Above the level it is crossed, within the hysteresis nothing is told, back by the hysteresis it is cleared."""
    server(bench, hysteresis="10.0")
    tell(bench, 90, 101, 150, 95, 101, 91, 90, 95, 100, 100.001)
    assert events(bench) == [("crossed", "101.0"), ("cleared", "90.0"), ("crossed", "100.001")]
    notice = bench.notices("threshold-crossed")[0]
    assert notice["entity"] == "srv"
    assert notice["entity-uuid"] == bench.at("srv", "uuid")
    assert notice["source"] == (
        "/eman-entity:energy-management/entities/entity[id='srv']/eman-measurement:power/active"
    )
    assert (notice["threshold"], notice["quantity"], notice["level"]) == ("hot", POWER, "100.0")
    assert (notice["direction"], notice["severity"]) == ("above", "minor")
    assert bench.at("srv", "threshold", ("hot",), "crossings") == "2"


def test_a_threshold_below(bench: Bench) -> None:
    """Below the level it is crossed; at the level it is not, and by the hysteresis above it is cleared."""
    server(bench, direction="below", level="-5.0", hysteresis="2.0")
    tell(bench, -5, Decimal("-5.001"), -4, -3)
    assert events(bench) == [("crossed", "-5.001"), ("cleared", "-3.0")]


def test_equal_is_not_beyond(bench: Bench) -> None:
    """Without hysteresis the level itself clears what is above it; a float is taken to the nearest millionth."""
    server(bench)
    tell(bench, 100, 100.0000001, Decimal("100.000001"), 100)
    assert events(bench) == [("crossed", "100.000001"), ("cleared", "100.0")]


def test_the_state_is_shown(bench: Bench) -> None:
    """Nothing until a value is known, then normal or crossed and since when."""
    server(bench)
    assert shown(bench) is None
    tell(bench, 50)
    assert shown(bench) == "normal"
    tell(bench, 150)
    assert shown(bench) == "crossed"
    assert bench.at("srv", "threshold", ("hot",), "state-since") == "2023-11-14T22:13:40Z"
    assert Changed("srv", "threshold") in bench.effects
    assert b"<state>crossed</state>" in bench.entity("srv").xml()


# --- hold time


def test_a_short_excess_is_none(bench: Bench) -> None:
    """Only what lasts for the hold time without a break is told, at its end, with the value of then."""
    server(bench, **{"hold-time": "30.0"})
    tell(bench, 150, 160, 90, 150, 170)
    assert events(bench) == []
    assert shown(bench) == "normal"
    bench.wait(19.9)
    assert events(bench) == []
    bench.wait(0.2)
    assert events(bench) == [("crossed", "170.0")]
    assert bench.notices("threshold-crossed")[0]["time"] == "2023-11-14T22:14:30Z"


def test_a_late_timer_makes_no_difference(bench: Bench) -> None:
    """A reading that comes before the timer finds that the hold time was over."""
    server(bench, **{"hold-time": "30.0"})
    tell(bench, 150)
    bench.now = type(bench.now)(bench.now.wall + 31, bench.now.mono + 31)
    bench.tell("srv", Q.ACTIVE_POWER, 50)
    assert events(bench) == [("crossed", "150.0"), ("cleared", "50.0")]
    bench.wait(100)
    assert len(events(bench)) == 2


def test_a_value_that_hovers_sets_one_timer(bench: Bench) -> None:
    """However often an excess begins anew within a long hold time, one timer waits for its end."""
    server(bench, **{"hold-time": "86400.0"})
    for _ in range(100):
        tell(bench, 150, 50, step=1)
    assert len(bench.domain.timers._heap) < 10  # with those of others


# --- what is not known


def test_a_device_that_goes_away(bench: Bench) -> None:
    """A crossed threshold stays as it was, and what happened meanwhile is told when it is back."""
    server(bench)
    tell(bench, 150)
    bench.link("srv", LinkState.BACKING_OFF)
    bench.wait(1000)
    assert shown(bench) == "crossed"
    bench.link("srv", LinkState.UP)
    tell(bench, 160)
    assert [event for event, _ in events(bench)] == ["crossed"]
    bench.link("srv", LinkState.BACKING_OFF)
    bench.wait(1000)
    bench.link("srv", LinkState.UP)
    tell(bench, 20)
    assert events(bench)[1:] == [("cleared", "20.0")]


def test_a_gap_breaks_the_hold_time(bench: Bench) -> None:
    """An excess that nobody saw lasting begins anew."""
    server(bench, **{"hold-time": "60.0"})
    tell(bench, 150)
    bench.link("srv", LinkState.BACKING_OFF)
    bench.wait(50)
    bench.link("srv", LinkState.UP)
    tell(bench, 150)
    bench.wait(30)
    assert events(bench) == []
    bench.wait(40)
    assert events(bench) == [("crossed", "150.0")]


@pytest.mark.parametrize("nonsense", [float("nan"), Decimal("NaN"), float("inf"), Decimal("-Infinity"), "much", 1e300])
def test_nonsense_crosses_nothing(bench: Bench, nonsense: Any) -> None:
    """What is no value a quantity can have leaves a threshold as it was."""
    server(bench)
    tell(bench, 50, nonsense, 150, nonsense, 50)
    assert [event for event, _ in events(bench)] == ["crossed", "cleared"]


def test_a_value_too_big_to_print(bench: Bench) -> None:
    """What a meter may tell but the notification cannot is told as the most that it can."""
    server(bench)
    tell(bench, 9e15)
    assert events(bench) == [("crossed", "9223372036854.775807")]


# --- configuration


def test_another_level_is_judged_at_once(bench: Bench) -> None:
    """A commit crosses or clears by the last value, and tells nothing where both levels say the same."""
    server(bench, hysteresis="20.0")
    tell(bench, 150)
    watch(bench, HOT | {"level": "120.0"})
    watch(bench, HOT | {"level": "140.0", "severity": "major"})
    watch(bench, HOT | {"level": "160.0", "hysteresis": "20.0"})
    assert events(bench) == [("crossed", "150.0")]
    watch(bench, HOT | {"level": "160.0", "hysteresis": "5.0"})
    assert events(bench) == [("crossed", "150.0"), ("cleared", "150.0")]
    watch(bench, HOT | {"level": "149.0"})
    assert events(bench)[2:] == [("crossed", "150.0")]


def test_another_level_begins_the_hold_time_anew(bench: Bench) -> None:
    """Nobody knows how long the new level was exceeded."""
    server(bench, **{"hold-time": "60.0"})
    tell(bench, 150)
    bench.wait(50)
    watch(bench, HOT | {"level": "140.0", "hold-time": "60.0"})
    bench.wait(50)
    assert events(bench) == []
    watch(bench, HOT | {"level": "140.0", "hold-time": "5.0"})
    bench.wait(5)
    assert events(bench) == [("crossed", "150.0")]


def test_a_threshold_that_is_switched_off(bench: Bench) -> None:
    """It watches nothing and shows no state; switched on again it tells only what is new."""
    server(bench)
    tell(bench, 150)
    watch(bench, HOT | {"enabled": False})
    assert shown(bench) is None
    tell(bench, 20, 150)
    watch(bench, HOT)
    assert shown(bench) == "crossed"
    tell(bench, 160)
    assert [event for event, _ in events(bench)] == ["crossed"]
    watch(bench, HOT | {"enabled": False})
    watch(bench, HOT)
    tell(bench, 20)
    assert events(bench)[1:] == [("cleared", "20.0")]


def test_a_threshold_that_is_taken_out(bench: Bench) -> None:
    """Nothing is told, its record goes, and one of the same name later begins anew."""
    server(bench, **{"hold-time": "5.0"})
    tell(bench, 150, 150)
    assert "srv/hot" in kept(bench)
    bench.commit({"id": "srv"})
    assert ("srv/hot", None) in bench.domain.thresholds.dirty(10)
    assert bench.at("srv", "threshold") is None
    bench.wait(100)
    tell(bench, 20)
    watch(bench, HOT)
    assert shown(bench) is None
    tell(bench, 150)
    assert [event for event, _ in events(bench)] == ["crossed", "crossed"]
    bench.commit()
    bench.domain.forget("srv", bench.now)
    bench.wait(0)
    assert bench.domain.thresholds.of("srv") == {}


def test_another_quantity_is_another_threshold(bench: Bench) -> None:
    """What was crossed of the power says nothing about the voltage."""
    server(bench)
    tell(bench, 150)
    watch(bench, HOT | {"quantity": "eman-types:voltage"})
    assert shown(bench) is None
    bench.tell("srv", Q.VOLTAGE, 230)
    assert [event for event, _ in events(bench)] == ["crossed", "crossed"]
    assert bench.at("srv", "threshold", ("hot",), "crossings") == "1"


def test_an_entity_that_goes_by_another_id(bench: Bench) -> None:
    """Its thresholds go along with their records."""
    server(bench)
    tell(bench, 150)
    thresholds = bench.domain.thresholds
    thresholds.dirty(10)
    thresholds.renamed("srv", "host", bench.now, [])
    assert dict(thresholds.dirty(10)).keys() == {"srv/hot", "host/hot"}
    assert thresholds.of("host")["hot"].crossed


# --- parts and sums


def test_parts_of_an_entity(bench: Bench) -> None:
    """A phase, an interface and a battery are watched by name; one that is not there is waited for."""
    watch(
        bench,
        {"name": "l2", "quantity": "eman-types:current", "phase": "l2", "direction": "above", "level": "16.0"},
        {"name": "a", "quantity": POWER, "interface": "a", "direction": "above", "level": "10.0"},
        {
            "name": "cold",
            "quantity": "eman-battery:battery-temperature",
            "battery": "b",
            "direction": "below",
            "level": "0.0",
        },
    )
    bench.discover("srv", EntityInfo())
    bench.tell("srv", Q.CURRENT, 20, phase=1)
    bench.tell("srv", Q.CURRENT, 20, phase=2)
    bench.discover("srv", EntityInfo(interfaces=(inlet("a"),), batteries=(BatteryInfo("b"),)))
    bench.tell("srv", Q.ACTIVE_POWER, 20, "", "a")
    bench.tell("srv", Q.TEMPERATURE, -1, battery="b")
    told = bench.notices("threshold-crossed")
    assert [(each["threshold"], each.get("phase"), each.get("interface"), each.get("battery")) for each in told] == [
        ("l2", "l2", None, None),
        ("a", None, "a", None),
        ("cold", None, None, "b"),
    ]
    assert told[2]["source"].endswith("entity[id='srv']/eman-battery:battery[name='b']/temperature")
    bench.discover("srv", EntityInfo())
    assert [shown(bench, name) for name in ("a", "cold")] == ["crossed", "crossed"], "as they were"


def test_totals_of_domains_and_groups(bench: Bench) -> None:
    """A sum crosses once a second at most, whatever its parts do meanwhile; the notification names whose it is."""
    limit = {"name": "all", "quantity": POWER, "direction": "above", "level": "250.0"}
    bench.commit(
        {"id": "a", "domain": "hall"},
        {"id": "b", "domain": "hall"},
        domains={"domain": [{"name": "hall", "threshold": [limit]}]},
        groups={"group": [{"name": "rack", "member": ["a", "b"], "threshold": [limit | {"severity": "major"}]}]},
    )
    bench.discover("a", EntityInfo(), EntityInfo("two", "b"))
    bench.wait(5)
    bench.tell("a", Q.ACTIVE_POWER, 150)
    bench.wait(5)
    bench.tell("a", Q.ACTIVE_POWER, 150, "two")
    assert bench.notices("threshold-crossed") == []
    bench.wait(1)
    told = bench.notices("threshold-crossed")
    assert [(each.get("domain"), each.get("group"), each["value"]) for each in told] == [
        ("hall", None, "300.0"),
        (None, "rack", "300.0"),
    ]
    assert all("entity" not in each for each in told)
    rack = bench.served().at("groups", "group").entries["rack",]  # type: ignore[union-attr]
    assert b"<state>crossed</state>" in rack.xml()
    conditions = bench.domain.conditions
    (found,) = conditions.holding(Subject(Sort.GROUP, "rack"))
    assert (found.severity, found.text) == (Severity.MAJOR, "The active-power of rack is above 250.0 W")
    assert found.resource == (
        "/eman-entity:energy-management/eman-group:groups/group[name='rack']/eman-threshold:threshold[name='all']"
    )
    assert bench.domain.upset() == {"domains:hall", "groups:rack"}
    bench.commit({"id": "a"}, {"id": "b"})
    assert conditions.holding(Subject(Sort.GROUP, "rack")) == []
    assert bench.domain.upset() == {"domains:hall", "groups:rack"}


def test_energy_that_adds_up(bench: Bench) -> None:
    """A total that only grows crosses its level once for all."""
    energy = {"name": "bill", "quantity": "eman-types:energy-received", "direction": "above", "level": "1.5"}
    watch(bench, energy)
    bench.discover("srv", EntityInfo())
    for total in (1000, 1001, 1002, 1003):
        bench.wait(10)
        bench.tell("srv", Q.ENERGY_RECEIVED, total)
        bench.wait(2)
    assert events(bench) == [("crossed", "2.0")]


# --- alarms


def test_a_crossed_threshold_is_an_alarm_of_its_severity(bench: Bench) -> None:
    """It holds while it is crossed and switched on; one that is worth an information only is none."""
    server(bench, severity="critical")
    conditions, subject = bench.domain.conditions, Subject(Sort.ENTITY, "srv")
    assert conditions.unsure(subject, Kind.THRESHOLD_CROSSED, "hot")
    tell(bench, 150)
    (found,) = conditions.holding(subject)
    assert (found.kind, found.part, found.severity) == (Kind.THRESHOLD_CROSSED, "hot", Severity.CRITICAL)
    assert found.text == "The active-power of srv is above 100.0 W"
    assert found.resource == (
        "/eman-entity:energy-management/entities/entity[id='srv']/eman-threshold:threshold[name='hot']"
    )
    watch(bench, HOT | {"severity": "info"})
    assert conditions.holding(subject) == []
    watch(bench, HOT | {"enabled": False})
    assert conditions.holding(subject) == []
    assert not conditions.unsure(subject, Kind.THRESHOLD_CROSSED, "hot")
    bench.domain.stirred()
    watch(bench)
    assert bench.domain.stirred() == {"srv"}
    assert conditions.holding(subject) == []


# --- restarts


def test_a_restart_repeats_nothing(bench: Bench) -> None:
    """What was crossed stays crossed, is not told again, and is cleared by the first value that is back."""
    server(bench)
    tell(bench, 150)
    second = again(bench)
    assert shown(second) == "crossed"
    assert second.domain.conditions.holding(Subject(Sort.ENTITY, "srv")) != []
    tell(second, 160)
    assert events(second) == []
    third = again(second)
    tell(third, 50)
    assert events(third) == [("cleared", "50.0")]
    assert third.at("srv", "threshold", ("hot",), "crossings") == "1"


def test_records_that_make_no_sense(schema: Schema) -> None:
    """What is no record of a threshold, or of none that is configured, is left alone and deleted."""
    bench = Bench(schema)
    bench.running = bench.configured(entities={"entity": [{"id": "srv", "threshold": [HOT]}]})
    bench.domain.thresholds.restore({"srv/hot": {"state": "burning"}, "srv/gone": {"state": "crossed"}, "x": {}})
    bench.boot()
    assert shown(bench) is None
    assert dict(bench.domain.thresholds.dirty(10)) == {"srv/gone": None, "x": None}


# --- for any values

VALUES = st.one_of(st.none(), st.integers(0, 12))
STREAMS = st.lists(st.tuples(VALUES, st.sampled_from([1, 5, 20])), max_size=40)


def reference(
    stream: Iterable[tuple[int | None, float]], hysteresis: int, hold: float, breaks: frozenset[int] = frozenset()
) -> list[str]:
    """What has to be told, worked out from the definition: level 6, from above."""
    told: list[str] = []
    crossed, since, now = False, None, 0.0
    for place, (value, step) in enumerate(stream):
        if place in breaks:  # a restart: no value is known for a moment
            since = None
        now += step if value is not None else step + 1
        if since is not None and now >= since + hold:
            told.append("crossed")
            crossed, since = True, None
        if value is None:
            since = None
        elif value > 6:
            since = now if since is None and not crossed else since
            if since is not None and hold == 0:
                told.append("crossed")
                crossed, since = True, None
        elif value <= 6 - hysteresis and crossed:
            told.append("cleared")
            crossed = False
        else:
            since = None
    return told


@settings(max_examples=60, deadline=None)
@given(
    stream=STREAMS,
    hysteresis=st.integers(0, 5),
    hold=st.sampled_from([0.0, 7.5, 20.5]),
    breaks=st.frozensets(st.integers(0, 39), max_size=3),
)
def test_any_stream_of_values(
    boot: Callable[[], Bench],
    stream: list[tuple[int | None, float]],
    hysteresis: int,
    hold: float,
    breaks: frozenset[int],
) -> None:
    """Crossed and cleared alternate, crossed only after the hold time, and restarts of the server change nothing but
    that an excess has to last anew."""
    bench = boot()
    server(bench, level="6.0", hysteresis=str(Decimal(hysteresis)) + ".0", **{"hold-time": str(hold)})
    told: list[str] = []
    for place, (value, step) in enumerate(stream):
        if place in breaks:
            told += [event for event, _ in events(bench)]
            bench = again(bench)
        bench.wait(step)
        if value is None:
            bench.link("srv", LinkState.BACKING_OFF)
            bench.wait(1)
            bench.link("srv", LinkState.UP)
        else:
            bench.tell("srv", Q.ACTIVE_POWER, value)
    told += [event for event, _ in events(bench)]
    assert told == reference(stream, hysteresis, hold, breaks)
    assert told == [("crossed", "cleared")[place % 2] for place in range(len(told))]


# --- work


def test_a_reading_costs_only_its_own_thresholds(bench: Bench) -> None:
    """A hundred thresholds on another quantity and a thousand of other entities add nothing to a reading."""

    def work() -> int:
        bench.wait(10)
        reading = bench.reading(Q.ACTIVE_POWER, 50)
        return calls(lambda: bench.domain.ingest("srv", [reading], bench.now))

    server(bench)
    tell(bench, 50, 51)
    alone = work()
    voltage = [HOT | {"name": f"v{each}", "quantity": "eman-types:voltage"} for each in range(100)]
    others = [{"id": f"e{each}", "threshold": [HOT]} for each in range(1000)]
    bench.commit({"id": "srv", "threshold": [HOT, *voltage]}, *others)
    tell(bench, 50, 51)
    assert work() <= alone


def test_what_was_acted_upon_needs_nothing_more() -> None:
    """The same input again, in the state it led to, changes nothing; the code looks nothing up for it."""
    for (_, happened), (state, _) in TABLE.items():
        assert (state, happened) not in TABLE

"""Batteries: what is shown of them, and warnings told once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from eman_netconf.energy.conditions import Kind, Sort, Subject
from eman_netconf.energy.values import BatteryInfo, EntityInfo, LinkState, Quantity
from tests.energy.bench import Bench

Q = Quantity


def ups(bench: Bench, identifier: str = "B1", **alarm: str) -> None:
    entity: dict[str, Any] = {"id": "ups", "battery": [{"name": "b", "alarm": alarm}]}
    bench.commit(entity)
    info = BatteryInfo("b", identifier, technology="vrla-agm", nominal_capacity=7000, nominal_voltage=Decimal(12))
    bench.discover("ups", EntityInfo(batteries=(info,)))


def tell(bench: Bench, quantity: Quantity, value: Any) -> None:
    bench.wait(10)
    bench.tell("ups", quantity, value, battery="b")


def test_readings_are_shown_with_what_is_known_of_the_battery(bench: Bench) -> None:
    """Charge in percent is worked out from charge and capacity when the device does not tell it."""
    ups(bench)
    tell(bench, Q.CHARGE, 2100)
    tell(bench, Q.ACTUAL_CAPACITY, 6000)
    tell(bench, Q.CHARGING_STATE, "charging")
    tell(bench, Q.TEMPERATURE, Decimal("24.96"))
    battery = bench.at("ups", "battery", ("b",))
    shown = {node.name: value for node, value in battery.children.items() if isinstance(value, str)}
    assert (shown["charge"], shown["charge-percent"], shown["temperature"]) == ("2100", "35.0", "25.0")
    assert shown["technology"] == "eman-battery:vrla-agm"
    assert shown["charging-state"] == "charging"
    assert battery.at("alarm", "active") == ""


def test_a_low_battery_is_told_once_and_cleared_once(bench: Bench) -> None:
    """Hovering at the threshold raises nothing again; critical comes from the device."""
    ups(bench, **{"low-charge-percent": "30.0"})
    for percent in (40, 29, 30.5, 29.5, 28, 31.5, 50):
        tell(bench, Q.CHARGE_PERCENT, percent)
    assert [notice["level"] for notice in bench.notices("battery-low")] == ["low", "cleared"]
    assert bench.notices("battery-low")[0]["charge-percent"] == "29.0"
    tell(bench, Q.CHARGE_PERCENT, 20)
    tell(bench, Q.ALARM, frozenset({"critical"}))
    assert bench.at("ups", "battery", ("b",), "alarm", "active") == "low critical"
    tell(bench, Q.ALARM, frozenset())
    assert [notice["level"] for notice in bench.notices("battery-low")][2:] == ["low", "critical", "low"]


def test_an_aging_battery_is_told_once_until_it_is_replaced(bench: Bench) -> None:
    """Another identifier is another battery: out, in, and the count begins anew."""
    ups(bench, **{"high-cycle-count": "300"})
    for cycles in (299, 301, 302):
        tell(bench, Q.CYCLE_COUNT, cycles)
    assert [notice["cycle-count"] for notice in bench.notices("battery-aging")] == ["301"]
    assert bench.at("ups", "battery", ("b",), "last-full-cycle") is not None
    ups(bench, "B2", **{"high-cycle-count": "300"})
    assert [len(bench.notices(f"battery-{event}")) for event in ("disconnected", "connected")] == [1, 1]
    tell(bench, Q.CYCLE_COUNT, 1)
    tell(bench, Q.CYCLE_COUNT, 301)
    assert len(bench.notices("battery-aging")) == 2


def test_what_it_does_is_told_when_it_changes(bench: Bench) -> None:
    """Discharging is news, the first state found is not."""
    ups(bench)
    for state in ("charging", "charging", "discharging", "nonsense"):
        tell(bench, Q.CHARGING_STATE, state)
    assert [(n["from"], n["to"]) for n in bench.notices("battery-charging-state-changed")] == [
        ("charging", "discharging")
    ]


def test_heat_and_cold_are_told(bench: Bench) -> None:
    """Beyond either threshold, once for each time."""
    ups(bench, **{"high-temperature": "40.0", "low-temperature": "0.0"})
    for degrees in (20, 41, 42, 20, -1):
        tell(bench, Q.TEMPERATURE, degrees)
    assert [notice["temperature"] for notice in bench.notices("battery-temperature")] == ["41.0", "-1.0"]


def test_a_threshold_set_later_is_judged_at_once(bench: Bench) -> None:
    """The commit of a threshold that is passed already warns."""
    ups(bench)
    tell(bench, Q.CHARGE_PERCENT, 20)
    assert bench.notices("battery-low") == []
    bench.commit({"id": "ups", "battery": [{"name": "b", "alarm": {"low-charge-percent": "30.0"}}]})
    assert len(bench.notices("battery-low")) == 1


def test_capacity_that_hovers_is_old_once(bench: Bench) -> None:
    """Around its threshold the capacity is measured a little differently each time; that is no replacement."""
    ups(bench, **{"low-capacity": "6000"})
    for capacity in (6001, 5999, 6010, 5990, 6100, 5980):
        tell(bench, Q.ACTUAL_CAPACITY, capacity)
    assert len(bench.notices("battery-aging")) == 1
    tell(bench, Q.ACTUAL_CAPACITY, 7000)
    assert bench.at("ups", "battery", ("b",), "alarm", "active") == ""
    tell(bench, Q.ACTUAL_CAPACITY, 5000)
    assert len(bench.notices("battery-aging")) == 2


def test_a_threshold_whose_value_is_not_known_stays_as_it_was(bench: Bench) -> None:
    """Two thresholds for one warning are judged each for itself."""
    ups(bench, **{"low-charge": "2000", "low-voltage": "11.5"})
    tell(bench, Q.BATTERY_VOLTAGE, 11)
    tell(bench, Q.CHARGE, 1900)
    tell(bench, Q.BATTERY_VOLTAGE, 12)
    assert bench.at("ups", "battery", ("b",), "alarm", "active") == "low"
    tell(bench, Q.CHARGE, 2010)
    assert bench.at("ups", "battery", ("b",), "alarm", "active") == "low", "within one percent of the threshold"
    tell(bench, Q.CHARGE, 2100)
    assert [notice["level"] for notice in bench.notices("battery-low")] == ["low", "cleared"]


# --- how long it lasts


def runtime(bench: Bench) -> tuple[str | None, str | None]:
    battery = bench.at("ups", "battery", ("b",))
    return battery.leaf("runtime-remaining"), battery.leaf("runtime-method")


def test_how_long_it_lasts_is_worked_out_from_charge_and_current(bench: Bench) -> None:
    """Only while it discharges, marked as estimated; what the device tells comes first."""
    ups(bench)
    tell(bench, Q.BATTERY_CURRENT, -10)
    assert runtime(bench) == (None, None)
    tell(bench, Q.CHARGE_PERCENT, 50)
    assert runtime(bench) == ("1260.0", "eman-types:estimated"), "half of what it held when it was new"
    tell(bench, Q.ACTUAL_CAPACITY, 6000)
    assert runtime(bench)[0] == "1080.0"
    tell(bench, Q.CHARGE, 2000)
    assert runtime(bench)[0] == "720.0"
    for amperes in (0, 5):
        tell(bench, Q.BATTERY_CURRENT, amperes)
        assert runtime(bench) == (None, None)
    tell(bench, Q.BATTERY_CURRENT, Decimal("-0.000000000001"))
    assert runtime(bench) == (None, None), "longer than can be said"
    tell(bench, Q.BATTERY_CURRENT, -10)
    tell(bench, Q.RUNTIME_REMAINING, 900)
    assert runtime(bench) == ("900.0", "eman-types:direct-meter")


def test_the_estimate_is_told_with_the_warning(bench: Bench) -> None:
    """Whoever hears that a battery is low hears how long it lasts."""
    ups(bench, **{"low-charge": "2500"})
    tell(bench, Q.BATTERY_CURRENT, -10)
    tell(bench, Q.CHARGE, 2000)
    (notice,) = bench.notices("battery-low")
    assert (notice["runtime-remaining"], notice["charge"]) == ("720.0", "2000")


# --- what adds up


def statistics(bench: Bench) -> dict[str, str]:
    shown = bench.at("ups", "battery", ("b",), "statistics")
    return {node.name: value for node, value in shown.children.items()}


def currents(bench: Bench, *amperes: Any, step: float = 30) -> None:
    for value in amperes:
        bench.wait(step)
        bench.tell("ups", Q.BATTERY_CURRENT, value, battery="b")


def test_charge_in_and_out_adds_up(bench: Bench) -> None:
    """From the current between readings, in each direction by itself, and a gap is said."""
    ups(bench)
    currents(bench, *[12] * 11, *[-24] * 21)
    told = statistics(bench)
    # five minutes at 12 A and ten at -24 A, and half a minute in between on a straight line from one to the other
    assert int(told["charge-received"]) == 1016
    assert int(told["charge-provided"]) == 4066
    assert "discontinuity-time" not in told
    currents(bench, -24, step=4000)
    assert statistics(bench)["charge-provided"] == told["charge-provided"]
    assert "discontinuity-time" in statistics(bench)


def test_discharges_are_counted(bench: Bench) -> None:
    """Each time that it begins to discharge."""
    ups(bench)
    currents(bench, -1)
    for state in ("discharging", "charging", "discharging", "discharging", "maintaining", "discharging"):
        tell(bench, Q.CHARGING_STATE, state)
    assert statistics(bench)["discharges"] == "2", "nobody saw the first begin"


def test_another_battery_begins_anew(bench: Bench) -> None:
    """Nothing of the old one counts for the new; cycles that fall in the same one are a break."""
    ups(bench)
    currents(bench, *[120] * 5)
    tell(bench, Q.CYCLE_COUNT, 80)
    tell(bench, Q.CYCLE_COUNT, 2)
    assert "discontinuity-time" in statistics(bench)
    ups(bench, "B2")
    assert bench.at("ups", "battery", ("b",), "statistics") is None
    currents(bench, 1)
    assert statistics(bench)["charge-received"] == "0"
    assert "discontinuity-time" not in statistics(bench)


# --- restarts


#: what the disk had when a site was started
KEPT: WeakKeyDictionary[Bench, dict[str, Any]] = WeakKeyDictionary()


def kept(bench: Bench) -> dict[str, Any]:
    """The records of the batteries as the disk has them."""
    records = {**KEPT.get(bench, {}), **dict(bench.domain.batteries.dirty(100))}
    return json.loads(json.dumps({name: record for name, record in records.items() if record is not None}))


def again(before: Bench, identifier: str = "B1", records: dict[str, Any] | None = None) -> Bench:
    """The same site after a restart of the server, nothing read yet."""
    bench = Bench(before.schema)
    bench.now, bench.running = before.now, before.running
    KEPT[bench] = kept(before) if records is None else records
    bench.domain.batteries.restore(KEPT[bench])
    bench.boot()
    info = BatteryInfo("b", identifier, technology="vrla-agm", nominal_capacity=7000, nominal_voltage=Decimal(12))
    bench.discover("ups", EntityInfo(batteries=(info,)))
    return bench


def test_a_restart_tells_nothing_again(bench: Bench) -> None:
    """Low, old and hot stay as they were, whatever is read first, and end when they are read to have ended."""
    ups(bench, **{"low-charge-percent": "30.0", "high-cycle-count": "300", "high-temperature": "40.0"})
    tell(bench, Q.CHARGE_PERCENT, 20)
    tell(bench, Q.CYCLE_COUNT, 301)
    tell(bench, Q.TEMPERATURE, 41)
    tell(bench, Q.CHARGING_STATE, "charging")
    second = again(bench)
    assert second.at("ups", "battery", ("b",), "alarm", "active") == "low aging temperature"
    assert {each.kind for each in second.domain.conditions.holding(Subject(Sort.ENTITY, "ups"))} == {
        Kind.BATTERY_LOW,
        Kind.BATTERY_AGING,
        Kind.BATTERY_TEMPERATURE,
    }
    tell(second, Q.BATTERY_VOLTAGE, 12)
    tell(second, Q.CYCLE_COUNT, 302)
    tell(second, Q.TEMPERATURE, 42)
    tell(second, Q.CHARGE_PERCENT, 21)
    assert not any(second.notices(f"battery-{name}") for name in ("low", "aging", "temperature"))
    assert second.at("ups", "battery", ("b",), "last-full-cycle") is not None
    third = again(second)
    tell(third, Q.CHARGE_PERCENT, 90)
    assert [notice["level"] for notice in third.notices("battery-low")] == ["cleared"]
    tell(third, Q.CHARGING_STATE, "discharging")
    assert third.notices("battery-charging-state-changed")[0]["from"] == "charging"
    assert third.at("ups", "battery", ("b",), "alarm", "active") == "aging temperature"


def test_what_a_device_warned_of_outlives_the_server(bench: Bench) -> None:
    """Until the device says otherwise."""
    ups(bench)
    tell(bench, Q.ALARM, frozenset({"critical"}))
    second = again(bench)
    tell(second, Q.CHARGE_PERCENT, 5)
    tell(second, Q.ALARM, frozenset({"critical"}))
    assert second.notices("battery-low") == []
    tell(second, Q.ALARM, frozenset())
    assert [notice["level"] for notice in second.notices("battery-low")] == ["cleared"]


def test_what_adds_up_goes_on(bench: Bench) -> None:
    """Counters never fall, and say that something is missing."""
    ups(bench)
    currents(bench, *[120] * 5)
    before = statistics(bench)
    second = again(bench)
    assert statistics(second) == before
    currents(second, *[120] * 2)
    after = statistics(second)
    assert int(after["charge-received"]) == int(before["charge-received"]) + 1000
    assert (after["start-time"], "discontinuity-time" in after) == (before["start-time"], True)


def test_a_battery_that_was_replaced_meanwhile(bench: Bench) -> None:
    """What was remembered is of another battery; and what is no record is left alone and deleted."""
    ups(bench, **{"high-cycle-count": "300"})
    tell(bench, Q.CYCLE_COUNT, 301)
    second = again(bench, "B2")
    assert second.at("ups", "battery", ("b",), "alarm", "active") is None
    tell(second, Q.CYCLE_COUNT, 305)
    assert len(second.notices("battery-aging")) == 1
    third = again(bench, records={"ups/b": {"identifier": "B1", "beyond": 5}})
    assert third.at("ups", "battery", ("b",), "alarm", "active") is None
    assert "ups/b" in dict(third.domain.batteries.dirty(10))
    third.discover("ups", EntityInfo())
    third.commit({"id": "ups"})
    assert dict(third.domain.batteries.dirty(10)) == {"ups/b": None}


# --- what is watched


def watch(id_: str, quantity: str, level: str, **battery: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "threshold": [
            {
                "name": "t",
                "quantity": f"eman-battery:battery-{quantity}",
                "battery": "b",
                "direction": "below",
                "level": level,
            }
        ],
        **battery,
    }


def test_what_is_worked_out_is_watched_too(bench: Bench) -> None:
    """Thresholds hear of the share of the charge and of the time left, and of nothing while it is out of reach."""
    bench.commit(watch("ups", "charge-percent", "50.0"))
    bench.discover("ups", EntityInfo(batteries=(BatteryInfo("b"),)))
    tell(bench, Q.ACTUAL_CAPACITY, 1000)
    tell(bench, Q.CHARGE, 400)
    assert [notice["value"] for notice in bench.notices("threshold-crossed")] == ["40.0"]
    bench.commit(watch("ups", "runtime-remaining", "100.0"))
    tell(bench, Q.BATTERY_CURRENT, -20)
    assert [notice["value"] for notice in bench.notices("threshold-crossed")] == ["40.0", "72.0"]
    tell(bench, Q.BATTERY_CURRENT, 20)
    threshold = bench.domain.thresholds.of("ups")["t"]
    assert (threshold.value, threshold.state) == (None, "crossed")
    bench.commit(watch("ups", "charge", "300.0"))
    bench.wait(2)
    assert (threshold.value, threshold.state) == (400_000_000, "normal"), "what is known is judged at once"
    bench.link("ups", LinkState.BACKING_OFF)
    bench.wait(2)
    assert threshold.value is None


# --- a battery that is an entity


def test_a_battery_that_is_an_entity(bench: Bench) -> None:
    """Each shows the other, and thresholds work at either under the battery's name."""
    bench.commit(
        watch("ups", "temperature", "0.0", battery=[{"name": "b", "entity": "pack"}]),
        watch("pack", "temperature", "5.0"),
    )
    bench.discover("ups", EntityInfo(batteries=(BatteryInfo("b"),)))
    shown = bench.at("pack", "battery-of")
    assert (shown.leaf("entity"), shown.leaf("battery")) == ("ups", "b")
    assert bench.at("ups", "battery", ("b",), "entity") == "pack"
    tell(bench, Q.TEMPERATURE, 3)
    tell(bench, Q.TEMPERATURE, -1)
    assert [(notice["entity"], notice["value"]) for notice in bench.notices("threshold-crossed")] == [
        ("pack", "3.0"),
        ("ups", "-1.0"),
    ]
    bench.commit(watch("ups", "temperature", "0.0"), watch("pack", "temperature", "5.0"))
    assert bench.at("pack", "battery-of") is None
    tell(bench, Q.TEMPERATURE, 10)
    assert bench.domain.thresholds.of("pack")["t"].state == "crossed", "it is no battery any more"
    assert bench.domain.thresholds.of("ups")["t"].state == "normal"


def test_a_device_may_say_which_entity_a_battery_is(bench: Bench) -> None:
    """In whatever order the two appear, and until one of them goes; its power tells how long it lasts."""
    ups_, pack = EntityInfo(batteries=(BatteryInfo("b", entity="pack"),)), EntityInfo("pack", "pack")
    bench.discover("ups", ups_)
    assert bench.at("ups", "battery", ("b",), "entity") == "pack"
    bench.discover("ups", ups_, pack)
    assert bench.at("pack", "battery-of", "battery") == "b"
    tell(bench, Q.BATTERY_VOLTAGE, 12)
    bench.tell("ups", Q.ACTIVE_POWER, -24, "pack")
    tell(bench, Q.CHARGE, 1000)
    assert runtime(bench) == ("1800.0", "eman-types:estimated")
    bench.discover("ups", ups_)
    tell(bench, Q.CHARGE, 999)
    assert runtime(bench) == (None, None)
    bench.discover("ups", EntityInfo(), pack)
    assert bench.at("pack", "battery-of") is None


def test_strings_of_a_ups(bench: Bench) -> None:
    """Several batteries of one entity are told, warned of and counted each for itself."""
    strings = tuple(BatteryInfo(name, name) for name in ("s1", "s2", "s3"))
    alarm = {"low-charge-percent": "30.0"}
    bench.commit({"id": "ups", "battery": [{"name": name, "alarm": alarm} for name in ("s1", "s2")]})
    bench.discover("ups", EntityInfo(batteries=strings))
    for name, percent in (("s1", 10), ("s2", 50), ("s3", 10)):
        bench.wait(1)
        bench.tell("ups", Q.CHARGE_PERCENT, percent, battery=name)
    assert [notice["battery"] for notice in bench.notices("battery-low")] == ["s1"]
    assert [bench.at("ups", "battery", (name,), "charge-percent") for name in ("s1", "s2", "s3")] == [
        "10.0",
        "50.0",
        "10.0",
    ]
    bench.discover("ups", EntityInfo(batteries=strings[:2]))
    assert [notice["battery"] for notice in bench.notices("battery-disconnected")] == ["s3"]

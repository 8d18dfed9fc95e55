"""Batteries: what is shown of them, and warnings told once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from eman_netconf.energy.values import BatteryInfo, EntityInfo, Quantity
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

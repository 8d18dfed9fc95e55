"""Every value in the unit and with the sign of the contract, from resources with values as devices have them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.backend import Method, Pass, Point, Quantity, Reading
from tests.well_formed import check_inventory, check_pass

from . import mockups
from .bmc import Bmc, serving
from .conftest import Make
from .counterparts import static

HERE = Point()
BAY1, OUT1, BBU = Point("", "psu-Bay1"), Point("psu-Bay1", "out"), Point("", None, "BBU")
MAINS, OUTLET, BRANCH = Point("", "mains-AC1"), Point("", "outlet-A1"), Point("pdu-1-branch-A")
Row = tuple[Point, Quantity, int | None, Any]

NEW: tuple[Row, ...] = (
    (HERE, Quantity.POWER_STATE, None, "redfish-on"),
    (HERE, Quantity.ACTIVE_POWER, None, Decimal(374)),
    (HERE, Quantity.APPARENT_POWER, None, Decimal("389.6")),
    (HERE, Quantity.REACTIVE_POWER, None, Decimal("109.1")),
    (HERE, Quantity.POWER_FACTOR, None, Decimal("0.96")),
    (HERE, Quantity.ENERGY_RECEIVED, None, Decimal(30514250)),  # the counter of a lifetime, not that of anybody's reset
    (HERE, Quantity.POWER_LIMIT, None, Decimal(500)),
    (BAY1, Quantity.POWER_AVAILABLE, None, True),
    (BAY1, Quantity.ACTIVE_POWER, None, Decimal("191.4")),
    (BAY1, Quantity.VOLTAGE, None, Decimal("230.2")),
    (BAY1, Quantity.CURRENT, None, Decimal("0.84")),
    (BAY1, Quantity.THD_CURRENT, None, Decimal("4.1")),
    (BAY1, Quantity.FREQUENCY, None, Decimal("50.02")),
    (BAY1, Quantity.ENERGY_RECEIVED, None, Decimal(162500)),
    (OUT1, Quantity.ACTIVE_POWER, None, Decimal("-174.25")),
    (BBU, Quantity.CHARGING_STATE, None, "charging"),
    (BBU, Quantity.CHARGE_PERCENT, None, Decimal("87.5")),
    (BBU, Quantity.CHARGE, None, Decimal("1907.5")),
    (BBU, Quantity.ACTUAL_CAPACITY, None, Decimal(2180)),
    (BBU, Quantity.CYCLE_COUNT, None, Decimal("8.67")),
    (BBU, Quantity.TEMPERATURE, None, Decimal("33.2")),
    (BBU, Quantity.BATTERY_VOLTAGE, None, Decimal("11.98")),
    (BBU, Quantity.BATTERY_CURRENT, None, Decimal("0.35")),
)
OLD: tuple[Row, ...] = (
    (HERE, Quantity.POWER_STATE, None, "redfish-off"),
    (HERE, Quantity.ACTIVE_POWER, None, Decimal(344)),
    (HERE, Quantity.POWER_LIMIT, None, Decimal(450)),
    (Point("", "psu-0"), Quantity.ACTIVE_POWER, None, Decimal("361.5")),
    (Point("", "psu-0"), Quantity.VOLTAGE, None, Decimal(231)),
    (Point("psu-0", "out"), Quantity.ACTIVE_POWER, None, Decimal(-325)),
)
PDU: tuple[Row, ...] = (
    (HERE, Quantity.ACTIVE_POWER, None, Decimal(6438)),
    (HERE, Quantity.ENERGY_RECEIVED, None, Decimal(56438000)),
    (MAINS, Quantity.FREQUENCY, None, Decimal("60.1")),
    (MAINS, Quantity.VOLTAGE, 2, Decimal("117.6")),
    (MAINS, Quantity.VOLTAGE_TO_NEXT, 3, Decimal("205.4")),
    (MAINS, Quantity.CURRENT, 1, Decimal("18.14")),
    (MAINS, Quantity.NEUTRAL_CURRENT, None, Decimal("1.29")),
    (MAINS, Quantity.ACTIVE_POWER, 3, Decimal(2293)),
    (OUTLET, Quantity.SUPPLY_STATE, None, "on"),
    (OUTLET, Quantity.ACTIVE_POWER, None, Decimal("-197.4")),
    (OUTLET, Quantity.APPARENT_POWER, None, Decimal("198.1")),
    (OUTLET, Quantity.VOLTAGE, None, Decimal("117.5")),
    (OUTLET, Quantity.CURRENT, None, Decimal("1.68")),  # effective values of an alternating current have no sign
    (OUTLET, Quantity.ENERGY_PROVIDED, None, Decimal(36166000)),
    (BRANCH, Quantity.ACTIVE_POWER, None, Decimal("937.4")),
    (BRANCH, Quantity.CURRENT, None, Decimal("5.19")),
)


def by_key(result: Pass) -> dict[tuple[Point, Quantity, int | None], Reading]:
    return {(reading.point, reading.quantity, reading.phase): reading for reading in result.readings}


@pytest.mark.parametrize(
    ("tree", "rows"), [(mockups.new_server, NEW), (mockups.old_server, OLD), (mockups.rack_pdu, PDU)]
)
async def test_a_tree_of_resources_is_read_from_a_server_of_others(
    tree: Callable[[], mockups.Tree], rows: tuple[Row, ...], make: Make, tmp_path: Path
) -> None:
    """Served by sushy-static, a server of today, one of ten years ago and a rack PDU are read with all their values."""
    mockups.write(tree(), tmp_path)
    counterpart = static(tmp_path)
    try:
        backend = make({"address": "127.0.0.1", "port": counterpart.port, "unencrypted": True})
        inventory = await backend.open()
        result = await backend.read()
        await backend.close()
    finally:
        counterpart.stop()
    check_inventory(inventory)
    check_pass(inventory, result)
    found = by_key(result)
    for point, quantity, phase, value in rows:
        assert found[point, quantity, phase].value == value, (point, quantity, phase)
    assert result.missing == {}


async def test_what_a_sensor_says_of_itself_goes_with_its_values(make: Make) -> None:
    """Accuracy and origin of a value are those of the Sensor it is an excerpt of; else they stay open."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        found = by_key(await backend.read())
    measured = found[HERE, Quantity.ACTIVE_POWER, None]
    assert (measured.method, measured.accuracy) == (Method.DIRECT_METER, Decimal("2.5"))
    assert found[HERE, Quantity.ENERGY_RECEIVED, None].method is Method.LOAD_MODEL
    assert found[BAY1, Quantity.ACTIVE_POWER, None].accuracy is None


async def test_an_error_in_watts_becomes_one_in_percent(make: Make) -> None:
    """A Sensor may tell its accuracy in its own unit: 5.61 W of 374 W are 1.5 %."""
    tree = mockups.new_server()
    sensor = tree["/redfish/v1/Chassis/1U/Sensors/TotalPower"]
    del sensor["Accuracy"]
    sensor["ReadingAccuracy"] = 5.61
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        await backend.open()
        found = by_key(await backend.read())
    assert found[HERE, Quantity.ACTIVE_POWER, None].accuracy == Decimal("1.50")


async def test_a_mean_is_told_as_one(make: Make) -> None:
    """Where only the average is there, it is a reading over its interval, and not power now."""
    tree = mockups.old_server()
    control = tree["/redfish/v1/Chassis/1/Power"]["PowerControl"][0]
    del control["PowerConsumedWatts"]
    async with serving(Bmc(tree)) as bmc:
        bmc.users = None
        backend = make(bmc)
        await backend.open()
        found = by_key(await backend.read())
    mean = found[HERE, Quantity.ACTIVE_POWER, None]
    assert (mean.value, mean.interval) == (319, 1800)


async def test_null_is_not_known_and_is_known_again(make: Make) -> None:
    """A null is no zero and nothing missing; the value comes back with the number."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        metrics = bmc.tree["/redfish/v1/Chassis/1U/EnvironmentMetrics"]
        metrics["PowerWatts"]["Reading"] = None
        backend = make(bmc)
        await backend.open()
        result = await backend.read()
        assert (HERE, Quantity.ACTIVE_POWER, None) not in by_key(result)
        assert result.missing == {}
        metrics["PowerWatts"]["Reading"] = 210
        assert by_key(await backend.read())[HERE, Quantity.ACTIVE_POWER, None].value == 210


async def test_a_resource_that_fails_is_missing_with_the_words_of_the_service(make: Make) -> None:
    """Its points are named with the reason, and all others are read."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        del bmc.tree["/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay2/Metrics"]
        result = await backend.read()
    assert set(result.missing) == {Point("", "psu-Bay2"), Point("psu-Bay2", "out")}
    assert "was not found" in result.missing[Point("", "psu-Bay2")]
    assert (BAY1, Quantity.VOLTAGE, None) in by_key(result)


async def test_a_state_on_its_way_is_none(make: Make) -> None:
    """PoweringOn and PoweringOff are no states of rest: nothing is told until one is reached."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.tree["/redfish/v1/Systems/437XR"]["PowerState"] = "PoweringOff"
        assert (HERE, Quantity.POWER_STATE, None) not in by_key(await backend.read())
        bmc.tree["/redfish/v1/Systems/437XR"]["PowerState"] = "Off"
        assert by_key(await backend.read())[HERE, Quantity.POWER_STATE, None].value == "redfish-off"


async def test_current_out_of_a_battery_is_negative(make: Make) -> None:
    """What a battery takes counts positive, what it gives negative, over all its outputs."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        metrics = bmc.tree["/redfish/v1/Chassis/1U/PowerSubsystem/Batteries/BBU/Metrics"]
        metrics |= {"InputCurrentAmps": {"Reading": 0}, "OutputCurrentAmps": [{"Reading": 4.5}, {"Reading": 0.25}]}
        backend = make(bmc)
        await backend.open()
        found = by_key(await backend.read())
    assert found[BBU, Quantity.BATTERY_CURRENT, None].value == Decimal("-4.75")


async def test_power_that_only_a_sensor_tells_is_found(make: Make) -> None:
    """A chassis without EnvironmentMetrics and Power is read from the one Sensor that is of all of it."""
    tree = mockups.new_server()
    chassis = "/redfish/v1/Chassis/1U"
    del tree[chassis]["EnvironmentMetrics"]
    tree[f"{chassis}/Sensors/TotalPower"]["PhysicalContext"] = "Chassis"
    tree[f"{chassis}/Sensors/TotalEnergy"]["RelatedItem"] = [
        mockups.ref(f"{chassis}/PowerSubsystem/PowerSupplies/Bay1")
    ]
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        await backend.open()
        found = by_key(await backend.read())
    assert found[HERE, Quantity.ACTIVE_POWER, None].value == 374
    assert (HERE, Quantity.ENERGY_RECEIVED, None) not in found

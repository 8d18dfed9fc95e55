"""Through upsd and its driver snmp-ups to agents: outlets of a Raritan PX, a UPS of Eaton; what is written arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from eman_backends.nut.backend import Nut
from eman_backends.nut.tests.conftest import Make
from eman_backends.nut.tests.counterparts import OUTLET, SHUTDOWN, TEST, Upsd, eventually, recordings, snmp_section
from eman_backends.nut.tests.told import battery, of, output, until
from eman_backends.snmp.tests.counterparts import ask
from eman_netconf.backend import Inventory, Method, Point, Quantity, Supply
from tests.well_formed import check_inventory, check_pass

AGENTS = {"raritan": "auto", "apc-7902b": "auto", "eaton-93e-80": "ietf", "huawei": "auto"}


@pytest.fixture(scope="module")
def agents() -> int:
    """The port of the agents."""
    return recordings().port


@pytest.fixture(scope="module")
def drivers(agents: int) -> Iterator[Upsd]:
    """upsd with a snmp-ups for each agent."""
    server = Upsd({}, {name: snmp_section(agents, name, mibs) for name, mibs in AGENTS.items()}).start()
    yield server
    server.stop()


async def complete(backend: Nut) -> Inventory:
    """Open until the drivers have told all they have."""

    async def opens() -> Inventory | None:
        inventory = await backend.open()
        raritan = [one.switchable for one in inventory.entities[1].interfaces if one.name != "input"]
        return inventory if raritan == [True] * 4 and not (await backend.read()).missing else None

    return await eventually(opens)


async def test_what_drivers_of_real_models_tell_is_well_formed(make: Make, drivers: Upsd) -> None:
    """Recordings of an APC PDU and of UPSs of Eaton and Huawei, as snmp-ups reads them, make legal readings."""
    backend = make(drivers.port)
    inventory = await complete(backend)
    result = await backend.read()
    check_inventory(inventory)
    check_pass(inventory, result)
    models = {one.local: one.model for one in inventory.entities}
    assert models == {
        "": "upsd",
        "raritan": "DPXR8-15",
        "apc-7902b": "AP7902B",
        "eaton-93e-80": "EATON 93E 80",
        "huawei": "UPS5000-E",
    }
    assert of(result, Point("apc-7902b"))[Quantity.ACTIVE_POWER] == 192
    assert of(result, Point("raritan"))[Quantity.ACTIVE_POWER] == 912
    eaton = of(result, output("eaton-93e-80"))
    assert eaton[Quantity.ACTIVE_POWER] == -11400
    assert Quantity.ACTIVE_POWER not in of(result, Point("eaton-93e-80")), "zeros beside 21 A"
    huawei = [one for one in result.readings if one.point == output("huawei") and "power" in one.quantity]
    assert {one.method for one in huawei if one.quantity == Quantity.APPARENT_POWER} == {Method.LOAD_MODEL}
    assert of(result, battery("huawei"))[Quantity.TEST_RESULT] == "none"


async def test_an_outlet_is_switched_at_the_device_and_read_back(make: Make, drivers: Upsd, agents: int) -> None:
    """INSTCMD reaches the agent's object, and the next readings of the driver show it."""
    backend = make(drivers.port)
    await complete(backend)
    point = Point("raritan", "outlet-2")
    for supply, number in ((Supply.ON, 1), (Supply.OFF, 0)):
        await backend.switch_supply(point, supply)
        assert await asyncio.to_thread(ask, agents, "raritan", f"{OUTLET}.2") == number
        await until(backend, point, Quantity.SUPPLY_STATE, supply)


async def test_the_test_of_a_battery_is_started_and_its_result_read(make: Make, drivers: Upsd, agents: int) -> None:
    """The agent is told which test, and what it tells of its course becomes the result."""
    backend = make(drivers.port)
    await complete(backend)
    point = battery("eaton-93e-80")
    assert await asyncio.to_thread(ask, agents, "eaton-93e-80", f"{TEST}.1.0") == 7
    await backend.test_battery(point)
    assert await asyncio.to_thread(ask, agents, "eaton-93e-80", f"{TEST}.1.0") == 0, "as snmp-ups writes it"
    for number, result in ((5, "in-progress"), (3, "failed"), (1, "passed")):
        await asyncio.to_thread(ask, agents, "eaton-93e-80", f"{TEST}.3.0", number)
        await until(backend, point, Quantity.TEST_RESULT, result)


async def test_the_whole_output_is_switched(make: Make, drivers: Upsd, agents: int) -> None:
    """load.off of a UPS reaches its agent as a shutdown without delay."""
    backend = make(drivers.port)
    await complete(backend)
    await backend.switch_supply(output("eaton-93e-80"), Supply.OFF)
    assert await asyncio.to_thread(ask, agents, "eaton-93e-80", SHUTDOWN) == 0

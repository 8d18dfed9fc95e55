"""SunSpec against devices of modbus-serial, whose registers pysunspec2 made and reads back beside us."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

import pytest
import sunspec2.modbus.client

from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import COMMON, Unit, sunspec
from eman_backends.modbus.tests.plant import BATTERY, CASES, DER, FLOAT_INVERTER, INVERTER, METER, NAMEPLATE
from eman_backends.modbus.tests.told import backend, numbers, opened, until_read, values
from eman_netconf.backend import (
    EntityInfo,
    ForeignId,
    Persistence,
    Point,
    Quantity,
    Unavailable,
)

SINGLE = {101, 111, 201, 211}


def oracle(port: int, number: int) -> Mapping[str, float]:
    """The values of a model as pysunspec2 reads them, scaled."""
    device = sunspec2.modbus.client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
    try:
        device.scan()
        (model,) = device.models[number]
        return {name: point.cvalue for name, point in model.points.items() if point.cvalue is not None}
    finally:
        device.close()


@pytest.mark.parametrize("number", sorted(CASES))
async def test_every_model_is_read_as_pysunspec2_reads_it(number: int, device: Devices) -> None:
    """Each value that another reader finds in a model is told by us, with our sign, and no other."""
    data, points = CASES[number]
    port = (await asyncio.to_thread(device, {1: sunspec((1, COMMON), (number, data))})).port
    theirs = await asyncio.to_thread(oracle, port, number)
    expected = {ours: float(theirs[name]) * factor for name, (ours, factor) in points.items() if name in theirs}
    if number in SINGLE:  # the first phase is all there is
        firsts = {name.removesuffix("/1"): value for name, value in expected.items() if name.endswith("/1")}
        expected = {**firsts, **{name: value for name, value in expected.items() if "/" not in name}}
    if expected.get("active-power", 0) < 0:  # sizes without a sign have that of the power
        expected = {
            name: -abs(value) if name.startswith(("current", "power-factor")) else value
            for name, value in expected.items()
        }
    async with opened(port) as made:
        ours = values((await made.read()).readings)
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(expected, rel=1e-6)


async def test_an_inverter_provides(device: Devices) -> None:
    """Six kilowatts that are generated are minus 6000 W, and the counter is of energy provided and wraps."""
    port = device({1: sunspec((1, COMMON), (103, INVERTER), (120, NAMEPLATE))}).port
    made = backend(port)
    (entity,) = (await made.open()).entities
    told = await made.read()
    await made.close()
    assert entity == EntityInfo(
        manufacturer="Sonnenwerk",
        model="SW-10k",
        firmware_version="2.4.1",
        category="producer",
        current_type="ac",
        nameplate_power=Decimal(10000),
        foreign_ids=(ForeignId("serial-number", "SW0815", persistence=Persistence.PERSISTENT),),
        interfaces=entity.interfaces,
    )
    assert [one.name for one in entity.interfaces] == ["ac", "dc"]
    assert values(told.readings) == numbers(
        current__1=-8.7,
        current__2=-8.7,
        current__3=-8.7,
        voltage__1=230.1,
        voltage__2=229.9,
        voltage__3=230.4,
        active_power=-6000,
        frequency=49.99,
        energy_provided=1234560,
    )
    (counter,) = [one for one in told.readings if one.quantity is Quantity.ENERGY_PROVIDED]
    assert counter.wraps_at == 2**32 * 10
    assert told.missing == {}


async def test_what_is_not_implemented_is_left_out(device: Devices) -> None:
    """A counter at zero, a number that says none, and a value without its scale factor are not told."""
    data = {**INVERTER, "WH": 0, "Hz": 0xFFFF, "V_SF": -0x8000}
    port = device({1: sunspec((1, COMMON), (103, data))}).port
    async with opened(port) as made:
        told = await made.read()
    assert values(told.readings) == numbers(current__1=-8.7, current__2=-8.7, current__3=-8.7, active_power=-6000)
    assert told.missing == {}


async def test_what_comes_from_the_panels_is_received_at_the_dc_side(device: Devices) -> None:
    """The direct current of an inverter is read at an interface of its own."""
    dc = {"DCA": 151, "DCA_SF": -1, "DCV": 4052, "DCV_SF": -1, "DCW": 6118, "DCW_SF": 0}
    port = device({1: sunspec((1, COMMON), (103, {**INVERTER, **dc}))}).port
    async with opened(port) as made:
        told = values((await made.read()).readings, Point(interface="dc"))
    assert told == numbers(current=15.1, voltage=405.2, active_power=6118)


@pytest.mark.parametrize("base", [40000, 50000, 0])
async def test_the_models_are_found_wherever_they_may_begin(base: int, device: Devices) -> None:
    """All three places of the word SunS are looked at."""
    port = device({1: sunspec((1, COMMON), (103, INVERTER), base=base)}).port
    async with opened(port) as made:
        assert values((await made.read()).readings)["active-power"] == -6000


async def test_a_plant_has_its_parts(device: Devices) -> None:
    """Meter and battery of an inverter are entities of their own within it, whatever the order of the models."""
    port = device({1: sunspec((1, COMMON), (203, METER), (103, INVERTER), (802, BATTERY))}).port
    made = backend(port, unit=[{"id": 1, "name": "roof"}])
    gateway, inverter, battery, meter = (await made.open()).entities
    told = await made.read()
    await made.close()
    assert gateway == EntityInfo()
    assert (inverter.local, inverter.category) == ("roof", "producer")
    assert (battery.local, battery.category, battery.contained_in) == ("roof.battery", "store", "roof")
    assert (meter.local, meter.category, meter.entity_class) == ("roof.meter", "meter", "component")
    assert values(told.readings, Point("roof"))["active-power"] == -6000
    assert values(told.readings, Point("roof.meter"))["active-power"] == -3450
    assert values(told.readings, Point("roof.battery"))["active-power"] == 1500


async def test_a_second_common_model_begins_a_device_of_its_own(device: Devices) -> None:
    """A meter that is read through an inverter has its own maker and serial number, and is not within it."""
    other = {"Mn": "Zaehler AG", "Md": "Z3", "SN": "Z-17", "Vr": "1", "DA": 2}
    port = device({1: sunspec((1, COMMON), (103, INVERTER), (1, other), (203, METER), (1, other), (201, METER))}).port
    made = backend(port)
    _, first, second = (await made.open()).entities
    await made.close()
    assert (first.local, first.manufacturer, first.model, first.contained_in) == ("meter", "Zaehler AG", "Z3", None)
    assert (second.local, second.entity_class) == ("meter-2", "device")


@pytest.mark.parametrize(
    ("state", "watts", "told"),
    [(4, -1500, 1500), (4, 1500, 1500), (3, 1500, -1500), (3, -1500, -1500), (6, 1500, -1500), (0xFFFF, -1500, 1500)],
)
async def test_a_battery_says_which_way_it_goes(state: int, watts: int, told: int, device: Devices) -> None:
    """The charge status gives power its sign; where it has none to give, what is discharged is positive over there."""
    data = {**BATTERY, "ChaSt": state, "W": watts}
    port = device({1: sunspec((1, COMMON), (802, data))}).port
    async with opened(port) as made:
        assert values((await made.read()).readings)["active-power"] == told


async def test_a_battery_tells_its_charge(device: Devices) -> None:
    """Charge, state, cycles, volts and amperes are those of the battery, whose make is in the inventory."""
    port = device({1: sunspec((1, COMMON), (802, BATTERY))}).port
    made = backend(port)
    (entity,) = (await made.open()).entities
    told = values((await made.read()).readings, Point(battery="battery"))
    await made.close()
    (battery,) = entity.batteries
    assert (battery.technology, battery.nominal_capacity, battery.type) == ("lithium-ion", 200000, "rechargeable")
    assert told == {
        **numbers(charge_percent=76.5, cycle_count=321, battery_voltage=51.2, battery_current=29.3),
        "charging-state": "charging",
    }


async def test_storage_without_a_power_of_its_own_is_a_battery_of_the_inverter(device: Devices) -> None:
    """Model 713 tells the charge of what the inverter stores."""
    storage = {"WHRtg": 100, "WHAvail": 60, "SoC": 605, "SoH": 990, "Sta": 0, "WH_SF": 2, "Pct_SF": -1}
    port = device({1: sunspec((1, COMMON), (701, DER), (713, storage))}).port
    async with opened(port) as made:
        told = (await made.read()).readings
    assert values(told, Point(battery="battery")) == numbers(charge_percent=60.5)


async def test_a_meter_may_be_turned(device: Devices) -> None:
    """The orientation turns a meter, and leaves an inverter beside it alone."""
    port = device({1: sunspec((1, COMMON), (103, INVERTER), (203, METER))}).port
    async with opened(port, unit=[{"id": 1, "orientation": "provided"}]) as made:
        told = (await made.read()).readings
    meter = values(told, Point("meter"))
    assert (meter["active-power"], meter["current/1"]) == (3450, 5)
    assert (meter["energy-received"], meter["energy-provided"]) == (112230, 445560)
    assert values(told)["active-power"] == -6000


async def test_of_models_that_say_the_same_one_is_read(device: Devices) -> None:
    """An inverter that has its values as whole numbers and as floats is one entity."""
    port = device({1: sunspec((1, COMMON), (103, INVERTER), (113, FLOAT_INVERTER))}).port
    made = backend(port)
    inventory = await made.open()
    told = await made.read()
    await made.close()
    assert len(inventory.entities) == 1
    assert values(told.readings)["active-power"] == -6000


async def test_models_nobody_knows_are_stepped_over(device: Devices) -> None:
    """A model of the maker's own, of any length, does not hide those after it."""
    unit = sunspec((1, COMMON), (103, INVERTER))
    holding = unit["holding"]
    end = max(holding) - 1
    vendor = [64999, 3, 7, 8, 9]
    meter = sunspec((203, METER))["holding"]
    rest = [meter[at] for at in sorted(meter)][2:]
    for at, word in enumerate([*vendor, *rest], end):
        holding[at] = word
    port = device({1: unit}).port
    async with opened(port) as made:
        assert values((await made.read()).readings, Point("meter"))["active-power"] == -3450


def broken(at: int, word: int) -> Unit:
    """A chain in which one register is something else; 40002 has the first number, 40003 its length."""
    unit = sunspec((1, COMMON), (103, INVERTER))
    unit["holding"][at] = word
    return unit


@pytest.mark.parametrize(
    "unit",
    [broken(40003, 0xFFFF), broken(40003, 0), broken(40003, 65000), broken(40070, 0), broken(40071, 60000)],
    ids=["endless", "empty", "beyond", "nothing", "far"],
)
async def test_a_chain_that_leads_nowhere_ends(unit: Unit, device: Devices) -> None:
    """Lengths that cannot be end the walk; there is an entity, and nothing to read of it."""
    port = device({1: unit}).port
    made = backend(port)
    assert len((await made.open()).entities) == 1
    with pytest.raises(Unavailable):
        await made.read()
    await made.close()


async def test_a_chain_without_an_end_is_walked_so_far(relayed: Relays) -> None:
    """A device that is nothing but small models is left after a bounded number of questions."""
    holding = dict.fromkeys(range(65536), 1)
    holding |= {40000: 0x5375, 40001: 0x6E53}
    holding |= {40002 + 3 * number: 999 for number in range(8000)}
    relay = await relayed({1: {"holding": holding}})
    made = backend(relay.port)
    await made.open()
    await made.close()
    assert len(relay.questions) < 110


async def test_a_device_without_sunspec_says_what_to_do(device: Devices) -> None:
    """Where the word SunS is nowhere, opening fails with the setting to set."""
    port = device({1: {"holding": dict.fromkeys(range(10), 0)}}).port
    with pytest.raises(Unavailable, match="modbus/unit/table"):
        await backend(port).open()


async def test_another_device_in_its_place_is_looked_at_anew(device: Devices) -> None:
    """When the models are no longer where they were nothing is told of them but that the inventory is outdated."""
    there = device({1: sunspec((1, COMMON), (103, INVERTER))})
    async with opened(there.port) as made:
        await made.read()
        there.set("holding", sunspec((1, {**COMMON, "SN": "other"}), (203, METER))["holding"])
        told = await made.read()
        assert told.outdated
        assert told.readings == ()
        inventory = await made.open()
        assert inventory.entities[0].category == "meter"
        assert values((await made.read()).readings)["active-power"] == -3450


async def test_another_device_of_the_same_kind_is_noticed(device: Devices, relayed: Relays) -> None:
    """What answers over a new connection with another serial number is another device, whose inventory is taken."""
    relay = await relayed({1: sunspec((1, COMMON), (103, INVERTER))})
    async with opened(relay.port) as made:
        relay.lead_to(device({1: sunspec((1, COMMON), (103, INVERTER))}).port)
        assert (await until_read(made)).readings
        relay.lead_to(device({1: sunspec((1, {**COMMON, "SN": "SW4711"}), (103, INVERTER))}).port)
        told = await until_read(made)
        assert told.outdated
        assert told.readings == ()
        (entity,) = (await made.open()).entities
        assert [one.value for one in entity.foreign_ids] == ["SW4711"]
        assert (await made.read()).readings

"""Families of devices without a recording: what their MIBs write in whole numbers comes out in watts, with its sign."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_backends.snmp.readings import readings
from eman_backends.snmp.survey import choose, survey
from eman_backends.snmp.tables import GENERIC, load
from eman_backends.snmp.tables.walk import Value, Walk
from eman_backends.snmp.tests.agent import serving
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.scripted import FOLDER, Device, walked
from eman_backends.snmp.tests.told import of, outlet, three
from eman_netconf.backend import EntityInfo, Inventory, Method, Pass, Point, Quantity, Supply
from tests.well_formed import check_inventory, check_pass

Q = Quantity
DEVICE = Point()
BATTERY = Point(battery="battery")
FAMILIES = sorted(path.stem for path in FOLDER.glob("*.walk"))


async def seen(name: str) -> tuple[Inventory, Pass]:
    """What the tables that come along make of a device."""
    walk, tables = walked(name), load()
    inventory, plan = await survey(walk, await choose(walk, tables, ()), tables[GENERIC])
    result = readings(plan.cells, walk.values, 5.0)
    check_inventory(inventory)
    check_pass(inventory, result)
    return inventory, result


def at(unit: str, interface: str) -> Point:
    return Point(unit, interface=interface)


def facts(*values: object) -> tuple[Any, ...]:
    return values


def labels(entity: EntityInfo) -> dict[str, str | None]:
    return {one.name: one.label for one in entity.interfaces}


def switchable(entity: EntityInfo) -> set[str]:
    return {one.name for one in entity.interfaces if one.switchable}


@pytest.mark.parametrize("name", FAMILIES)
async def test_the_wire_tells_what_a_walk_tells(make: Make, name: str) -> None:
    """A device over UDP comes up with the same entities and the same values as a walk of it, read from a file."""
    inventory, result = await seen(name)
    device = Device(name)
    async with serving(device.agent):
        backend = make(device.target)
        assert await backend.open() == inventory
        told = await backend.read()
    assert {(one.point, one.quantity, one.phase, one.value) for one in told.readings} == {
        (one.point, one.quantity, one.phase, one.value) for one in result.readings
    }
    assert not told.missing


NONSENSE: dict[str, Value] = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "too long": b"9" * 5000,
    "a text": b"16A of {index} \x00 and more",
    "zero": 0,
    "much": 2**64 - 1,
    "little": -(2**31),
    "a name": "1.3.6.1.4.1",
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("name", FAMILIES)
async def test_a_device_that_talks_nonsense_is_not_believed_and_harms_nobody(name: str, nonsense: Value) -> None:
    """Whatever stands in all objects, or in every second, names stay legal and values stay of their kind."""
    for step in (1, 2):
        walk, tables = walked(name), load()
        chosen = await choose(walk, tables, ())
        for oid in list(walk.values)[::step]:
            walk.values[oid] = nonsense
        inventory, plan = await survey(walk, chosen, tables[GENERIC])
        result = readings(plan.cells, walk.values, 5.0)
        check_inventory(inventory)
        check_pass(inventory, result)


async def test_raritan_tells_the_digits_of_each_sensor() -> None:
    """680 with three digits are 0.680 A, 500 with one are 50.0 Hz; an outlet provides; a lost sensor tells nothing."""
    inventory, result = await seen("raritan-single-phase")
    (entity,) = inventory.entities
    assert (entity.name, entity.manufacturer, entity.model) == ("rack 7 left", "Raritan", "PX3-5190R")
    assert entity.firmware_version == "3.5.0"
    inlet = entity.interfaces[0]
    assert inlet.nominal_voltage == (Decimal(200), Decimal(240))  # "200-240V"
    assert inlet.rated_current == 16  # "16A"
    assert inlet.rated_power is None  # "3.2-3.8kVA" is a range
    assert of(result, DEVICE) == {Q.ACTIVE_POWER: 138, Q.ENERGY_RECEIVED: 89_890}
    assert of(result, outlet("inlet-1")) == {
        Q.CURRENT: 0.680,
        Q.VOLTAGE: 233,
        Q.ACTIVE_POWER: 138,
        Q.APPARENT_POWER: 158,
        Q.POWER_FACTOR: 0.87,
        Q.ENERGY_RECEIVED: 89_890,
        Q.FREQUENCY: 50.0,
    }
    assert of(result, outlet("outlet-3")) == {
        Q.CURRENT: 0.311,
        Q.VOLTAGE: 233,
        Q.ACTIVE_POWER: -68,
        Q.POWER_FACTOR: 0.94,
        Q.ENERGY_PROVIDED: 24_017,
        Q.IN_USE: True,
        Q.SUPPLY_STATE: Supply.ON,  # 7; off is 8
    }
    assert of(result, outlet("outlet-4"))[Q.SUPPLY_STATE] is Supply.OFF
    assert Q.ENERGY_PROVIDED not in of(result, outlet("outlet-10"))  # not available, though its value is 0
    assert switchable(entity) == {"outlet-3", "outlet-4"}
    accuracies = {one.quantity: one.accuracy for one in result.readings if one.point == outlet("outlet-3")}
    assert accuracies[Q.ACTIVE_POWER] == 1  # 100 hundredths of a percent
    assert accuracies[Q.VOLTAGE] is None


async def test_raritan_with_three_phases() -> None:
    """Poles are phases of their inlet: 230.1 V to neutral, 398.5 V to the next; 61234 with one digit are 6123.4 W."""
    inventory, result = await seen("raritan-three-phase")
    (entity,) = inventory.entities
    inlet = entity.interfaces[0]
    assert facts(inlet.ac_phases, inlet.rated_current, inlet.rated_power) == (3, 32, 22_000)
    told = of(result, outlet("inlet-1"))
    assert told == {
        Q.ACTIVE_POWER: 6123.4,
        **three(Q.ACTIVE_POWER, 2056, 2004, 2063),
        Q.APPARENT_POWER: 6250,
        **three(Q.APPARENT_POWER, 2098, 2044, 2108),
        Q.REACTIVE_POWER: 1211,
        Q.POWER_FACTOR: 0.98,
        **three(Q.POWER_FACTOR, 0.98, 0.98, 0.98),
        **three(Q.VOLTAGE, 230.1, 230.4, 229.9),
        **three(Q.VOLTAGE_TO_NEXT, 398.5, 399.1, 399.0),
        **three(Q.CURRENT, 9.12, 8.871, 9.17),
        Q.FREQUENCY: 49.9,
        Q.ENERGY_RECEIVED: 1_234_567,
    }
    assert sum(told[(Q.ACTIVE_POWER, phase)] for phase in (1, 2, 3)) == pytest.approx(told[Q.ACTIVE_POWER], rel=0.001)
    first = of(result, outlet("outlet-1"))
    assert (first[Q.ACTIVE_POWER], first[Q.ENERGY_PROVIDED], first[Q.CURRENT]) == (-278.1, 99_887.7, 1.234)


async def test_eaton_counts_in_thousandths() -> None:
    """229871 mV, 8123 mA, 965 thousandths and 499 tenths of a hertz; watts and watt-hours stand as they are."""
    inventory, result = await seen("eaton-epdu")
    assert [one.local for one in inventory.entities] == ["", "unit-1", "section-1"]
    entity = inventory.entities[0]
    assert (entity.name, entity.model, entity.firmware_version) == ("row 3 A", "EMAB20", "5.0.0")
    inlet = entity.interfaces[0]
    assert facts(inlet.label, inlet.ac_configuration, inlet.ac_phases, inlet.rated_current) == ("feed A", "wye", 3, 32)
    assert of(result, DEVICE) == {Q.ACTIVE_POWER: 5508, Q.APPARENT_POWER: 5709, Q.ENERGY_RECEIVED: 87_654_321}
    assert of(result, outlet("inlet-1")) == {
        Q.ACTIVE_POWER: 5508,
        **three(Q.ACTIVE_POWER, 1801, 1700, 2007),
        Q.APPARENT_POWER: 5709,
        **three(Q.APPARENT_POWER, 1867, 1768, 2074),
        Q.REACTIVE_POWER: 1490,
        Q.POWER_FACTOR: 0.965,
        **three(Q.POWER_FACTOR, 0.965, 0.962, 0.968),
        **three(Q.VOLTAGE, 229.871, 231.004, 230.122),
        **three(Q.CURRENT, 8.123, 7.654, 9.011),
        Q.NEUTRAL_CURRENT: 1.204,
        Q.FREQUENCY: 49.9,
        Q.ENERGY_RECEIVED: 87_654_321,
    }
    assert of(result, outlet("outlet-1")) == {
        Q.ACTIVE_POWER: -316,
        Q.APPARENT_POWER: 329,
        Q.POWER_FACTOR: 0.96,
        Q.VOLTAGE: 229.871,
        Q.CURRENT: 1.432,
        Q.ENERGY_PROVIDED: 5_550_123,
        Q.IN_USE: True,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, outlet("outlet-2"))[Q.SUPPLY_STATE] is Supply.SWITCHING  # pendingOn
    assert Q.ACTIVE_POWER not in of(result, outlet("outlet-3"))  # -1 is not measured
    assert switchable(entity) == {"outlet-1", "outlet-2"}  # 2 is not switchable
    assert {one.wraps_at for one in result.readings if one.point == outlet("outlet-1")} == {None, 2**32}


async def test_eaton_units_that_are_strapped_are_devices_beside_the_first() -> None:
    """Unit 0 is the device; unit 1 has its own inlet, and -1 for the watts it does not measure."""
    inventory, result = await seen("eaton-epdu")
    second = inventory.entities[1]
    assert (second.entity_class, second.contained_in, second.name) == ("device", None, "row 3 B")
    assert of(result, at("unit-1", "inlet-1")) == {
        Q.APPARENT_POWER: 576,
        Q.VOLTAGE: 230.5,
        Q.CURRENT: 2.5,
        Q.FREQUENCY: 50.0,
        Q.ENERGY_RECEIVED: 1000,
    }
    section = of(result, Point("section-1"))  # the group that an operator made up is none
    assert section == {Q.VOLTAGE: 229.871, Q.CURRENT: 4.1, Q.ACTIVE_POWER: 911, Q.ENERGY_RECEIVED: 7_654_321}


async def test_server_technology_has_two_units_of_energy() -> None:
    """8937 at a cord are 893.7 kWh, 456789 at an outlet are watt-hours; current in hundredths, voltage in tenths."""
    inventory, result = await seen("servertech-sentry4")
    assert [one.local for one in inventory.entities] == ["", "unit-2", "branch-AA1", "branch-AA2"]
    entity = inventory.entities[0]
    assert (entity.name, entity.model, entity.manufacturer) == ("Master", "C2WG36TE", "Server Technology")
    inlet = entity.interfaces[0]
    assert facts(inlet.label, inlet.rated_current, inlet.rated_power) == ("Master_Cord_A", 30, 10_807)
    assert inlet.nominal_voltage == (Decimal(200), Decimal(240))
    assert of(result, DEVICE) == {Q.ACTIVE_POWER: 1701, Q.APPARENT_POWER: 1790, Q.ENERGY_RECEIVED: 893_700}
    assert of(result, outlet("inlet-1")) == {
        Q.ACTIVE_POWER: 1701,
        Q.APPARENT_POWER: 1790,
        Q.POWER_FACTOR: 0.95,
        Q.FREQUENCY: 60,
        Q.ENERGY_RECEIVED: 893_700,
        Q.POWER_AVAILABLE: True,
        **three(Q.CURRENT, 5.6, 3.69, 5.6),
        **three(Q.VOLTAGE_TO_NEXT, 207.9, 208.9, 209.4),  # L1-L2 lies between lines, so these are no volts of a line
    }
    assert of(result, outlet("outlet-AA1")) == {
        Q.ACTIVE_POWER: -243,
        Q.APPARENT_POWER: 255,
        Q.POWER_FACTOR: 0.95,
        Q.CURRENT: 1.23,
        Q.VOLTAGE: 207.9,
        Q.ENERGY_PROVIDED: 456_789,
        Q.SUPPLY_STATE: Supply.ON,
        Q.IN_USE: True,
    }
    assert of(result, outlet("outlet-AA2"))[Q.SUPPLY_STATE] is Supply.OFF
    assert of(result, outlet("outlet-AA4"))[Q.SUPPLY_STATE] is Supply.FAULT  # its breaker has tripped
    assert switchable(entity) == {"outlet-AA1", "outlet-AA2", "outlet-AA4"}  # AA3 is always on
    assert of(result, Point("branch-AA2")) == {Q.CURRENT: 2.02}


async def test_server_technology_links_units() -> None:
    """The linked unit is a device of its own: one line to neutral, so its volts are those of the phase."""
    inventory, result = await seen("servertech-sentry4")
    assert labels(inventory.entities[1]) == {"inlet-1": "Link1_Cord_A", "outlet-BA1": "nas"}
    told = of(result, at("unit-2", "inlet-1"))
    assert (told[Q.VOLTAGE], told[Q.CURRENT], told[Q.ACTIVE_POWER]) == (119.9, 7.04, 812)
    assert Q.VOLTAGE_TO_NEXT not in told
    assert of(result, Point("unit-2"))[Q.ENERGY_RECEIVED] == 432_100


async def test_apc_units_that_share_a_port() -> None:
    """Rows count on over all PDUs, and a column tells the PDU of each: row 3 is outlet 1 of the second."""
    inventory, result = await seen("apc-rpdu2-chain")
    assert [(one.local, one.name, one.model) for one in inventory.entities] == [
        ("", "pdu-a", "AP8959EU3"),
        ("unit-2", "pdu-b", "AP8858EU3"),
    ]
    assert labels(inventory.entities[0]) == {"inlet": None, "outlet-1": "left", "outlet-2": "right"}
    assert labels(inventory.entities[1]) == {"inlet": None, "outlet-1": "top"}
    assert of(result, DEVICE)[Q.ACTIVE_POWER] == 880
    assert of(result, Point("unit-2"))[Q.ACTIVE_POWER] == 410
    assert of(result, at("unit-2", "inlet")) == {
        Q.VOLTAGE: 229,
        Q.CURRENT: 1.9,
        Q.ACTIVE_POWER: 410,
        Q.APPARENT_POWER: 430,
        Q.POWER_FACTOR: 0.95,
        Q.ENERGY_RECEIVED: 6_543_200,
    }
    assert of(result, at("unit-2", "outlet-1")) == {
        Q.ACTIVE_POWER: -405,
        Q.CURRENT: 1.9,
        Q.ENERGY_PROVIDED: 5_432_100,
        Q.IN_USE: True,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, outlet("outlet-2"))[Q.SUPPLY_STATE] is Supply.OFF


async def test_an_apc_ups_is_read_by_its_own_mib() -> None:
    """Tenths go before whole numbers, 354000 ticks are 59 minutes, 456712 times 0.01 kWh are 4567120 Wh."""
    inventory, result = await seen("apc-ups")
    (entity,) = inventory.entities
    assert (entity.manufacturer, entity.model, entity.name) == ("APC", "Smart-UPS X 3000", "ups-5")
    assert labels(entity) == {"input": None, "output": None, "group-1": "Main", "group-2": "Printers"}
    assert switchable(entity) == {"output", "group-1", "group-2"}
    assert of(result, outlet("input")) == {Q.VOLTAGE: 231.3, Q.FREQUENCY: 49.9}
    assert of(result, outlet("output")) == {
        Q.ACTIVE_POWER: -812,
        Q.APPARENT_POWER: 901,
        Q.VOLTAGE: 230.4,
        Q.CURRENT: 3.9,
        Q.FREQUENCY: 49.9,
        Q.ENERGY_PROVIDED: 4_567_120,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, outlet("group-2")) == {Q.SUPPLY_STATE: Supply.OFF}
    assert of(result, BATTERY) == {
        Q.CHARGE_PERCENT: 97.2,
        Q.TEMPERATURE: 24.6,
        Q.BATTERY_VOLTAGE: 136.4,
        Q.RUNTIME_REMAINING: 3540,
        Q.ALARM: frozenset(),
        Q.CHARGING_STATE: "charging",
        Q.TEST_RESULT: "passed",
    }
    assert entity.batteries[0].testable
    assert entity.batteries[0].nominal_voltage == 120


async def test_an_apc_ups_without_the_finer_values() -> None:
    """An older card has whole numbers only, and energy in kWh; -1 is what the UPS does not measure."""
    walk, tables = walked("apc-ups"), load()
    base = "1.3.6.1.4.1.318.1.1.1"
    for name in [one for one in walk.values if one.startswith((f"{base}.2.3.", f"{base}.3.3.", f"{base}.4.3."))]:
        del walk.values[name]
    walk.values[f"{base}.4.2.8.0"] = -1
    _, plan = await survey(walk, (tables["apc-ups"],), tables[GENERIC])
    result = readings(plan.cells, walk.values, 5.0)
    assert of(result, outlet("output")) == {
        Q.APPARENT_POWER: 901,
        Q.VOLTAGE: 230,
        Q.CURRENT: 4,
        Q.FREQUENCY: 50,
        Q.ENERGY_PROVIDED: 4_567_000,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, BATTERY)[Q.TEMPERATURE] == 24


@pytest.mark.parametrize(("phases", "table"), [(1, "apc-ups"), (3, "rfc1628-ups"), (None, "rfc1628-ups")])
async def test_an_apc_ups_with_three_phases_is_read_by_the_standard_mib(phases: int | None, table: str) -> None:
    """Its own MIB tells the whole, the standard one each phase; a card that tells no number of phases is as well."""
    text = (FOLDER / "apc-ups.walk").read_text(encoding="utf-8")
    object_ = ".1.3.6.1.4.1.318.1.1.1.4.1.2.0 = INTEGER:"
    walk = Walk(text.replace(f"{object_} 1\n", "" if phases is None else f"{object_} {phases}\n"))
    assert [one.name for one in await choose(walk, load(), ())] == [table]


async def test_a_ups_that_has_all_of_the_standard_mib() -> None:
    """Whole volts, tenths of amperes, hertz and battery volts, watts, minutes; the test of the battery, never run."""
    inventory, result = await seen("rfc1628-ups")
    (entity,) = inventory.entities
    assert facts(entity.name, entity.manufacturer, entity.nameplate_power) == ("ups-9", "Maker", 1350)
    rated = {one.name: (one.nominal_voltage, one.nominal_frequency, one.rated_power) for one in entity.interfaces}
    assert rated["input"] == ((Decimal(230), Decimal(230)), Decimal(50), None)
    assert rated["output"] == ((Decimal(230), Decimal(230)), Decimal(50), Decimal(1500))
    assert switchable(entity) == {"output"}
    assert of(result, DEVICE) == {Q.ACTIVE_POWER: 690}
    assert of(result, outlet("input")) == {Q.VOLTAGE: 229, Q.CURRENT: 3.1, Q.ACTIVE_POWER: 690, Q.FREQUENCY: 50.1}
    assert of(result, outlet("output")) == {
        Q.VOLTAGE: 230,
        Q.CURRENT: 2.8,
        Q.ACTIVE_POWER: -610,
        Q.FREQUENCY: 50,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, BATTERY) == {
        Q.RUNTIME_REMAINING: 2520,
        Q.CHARGE_PERCENT: 88,
        Q.BATTERY_VOLTAGE: 54.3,
        Q.BATTERY_CURRENT: 1.2,
        Q.TEMPERATURE: 27,
        Q.ALARM: frozenset(),
        Q.CHARGING_STATE: "charging",
        Q.TEST_RESULT: "none",
    }
    methods = {one.quantity: one.method for one in result.readings if one.point == BATTERY}
    assert methods[Q.CHARGE_PERCENT] is methods[Q.RUNTIME_REMAINING] is Method.LOAD_MODEL
    assert methods[Q.BATTERY_VOLTAGE] is Method.DIRECT_METER


@pytest.mark.parametrize(
    ("column", "value", "point", "quantity", "expected"),
    [
        ("4.1.0", 5, BATTERY, Q.CHARGING_STATE, "discharging"),
        ("4.1.0", 5, BATTERY, Q.BATTERY_CURRENT, -1.2),
        ("4.1.0", 2, outlet("output"), Q.SUPPLY_STATE, Supply.OFF),
        ("2.1.0", 3, BATTERY, Q.ALARM, frozenset({"low"})),
        ("2.1.0", 4, BATTERY, Q.ALARM, frozenset({"low", "critical"})),
        ("2.3.0", 0, BATTERY, Q.RUNTIME_REMAINING, None),  # minutes begin at 1
        ("3.3.1.5.1", 0, outlet("input"), Q.ACTIVE_POWER, None),  # not believed while there is a load
        ("4.4.1.4.1", 0, outlet("output"), Q.ACTIVE_POWER, None),  # at 41 percent load
        ("7.3.0", 5, BATTERY, Q.TEST_RESULT, "in-progress"),
        ("7.3.0", 2, BATTERY, Q.TEST_RESULT, "warning"),
    ],
)
async def test_traps_of_the_standard_mib(
    column: str, value: int, point: Point, quantity: Quantity, expected: object
) -> None:
    """One value changes, and with it what is told: signs, zeros that are no measurement, states."""
    walk, tables = walked("rfc1628-ups"), load()
    walk.values[f"1.3.6.1.2.1.33.1.{column}"] = value
    _, plan = await survey(walk, (tables["rfc1628-ups"],), tables[GENERIC])
    assert of(readings(plan.cells, walk.values, 5.0), point).get(quantity) == expected


async def test_ports_that_feed_what_hangs_on_them() -> None:
    """Detection tells use and fault, administration tells off; a class is told while the port feeds, as its limit."""
    inventory, result = await seen("poe-stack")
    entity, *sources = inventory.entities
    states = {name: of(result, outlet(name)) for name in labels(entity)}
    assert {name: (told[Q.SUPPLY_STATE], told[Q.IN_USE]) for name, told in states.items()} == {
        "port-1.1": (Supply.ON, True),
        "port-1.2": (Supply.ON, True),
        "port-1.3": (Supply.ON, False),  # searching
        "port-1.4": (Supply.OFF, False),
        "port-2.1": (Supply.FAULT, False),
        "port-2.2": (Supply.ON, True),
    }
    rated = {one.name: one.rated_power for one in entity.interfaces if one.rated_power is not None}
    # codes 5, 2 and 4 are the classes 4, 1 and 3
    assert rated == {"port-1.1": 30, "port-1.2": 4, "port-2.2": Decimal("15.4")}
    assert [facts(one.local, one.nameplate_power) for one in sources] == [("pse-1", 370), ("pse-2", 740)]
    assert of(result, Point("pse-1")) == {Q.ACTIVE_POWER: 31}
    assert of(result, Point("pse-2")) == {Q.ACTIVE_POWER: 9}
    assert switchable(entity) == set(states)

"""Recordings of real devices, replayed by snmpsim, come up as entities with the right numbers, on both paths."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import Counterpart, snmpsim
from eman_backends.snmp.tests.told import of, outlet, three
from eman_netconf.backend import (
    Direction,
    EntityInfo,
    ForeignId,
    Inventory,
    Method,
    Pass,
    Persistence,
    Point,
    Quantity,
    Supply,
)

Q = Quantity
DEVICE = Point()
BATTERY = Point(battery="battery")


@pytest.fixture(scope="session")
def recordings() -> Counterpart:
    return snmpsim()


async def surveyed(make: Make, recordings: Counterpart, name: str, *tables: str) -> tuple[EntityInfo, Pass]:
    """The device of a recording, and its first pass."""
    inventory, result = await all_of(make, recordings, name, *tables)
    return inventory.entities[0], result


async def all_of(make: Make, recordings: Counterpart, name: str, *tables: str) -> tuple[Inventory, Pass]:
    """All that a recording has, and its first pass."""
    backend = make(Target("127.0.0.1", recordings.port, Community(name), tables=tables))
    return await backend.open(), await backend.read()


async def test_a_pdu_with_metered_outlets(make: Make, recordings: Counterpart) -> None:
    """AP8641: device power in 10 W, outlet power in W, energy in 0.1 kWh; outlets provide, so theirs is negative."""
    entity, result = await surveyed(make, recordings, "apc-8641")
    assert (entity.name, entity.manufacturer, entity.model) == ("pwr-dc01-pdu-rack01-01", "APC", "AP8641")
    assert entity.firmware_version == "6.7.2"
    assert entity.nameplate_power == 5000
    assert entity.category == "distributor"
    assert ForeignId("serial-number", "3F3452A52295", persistence=Persistence.PERSISTENT) in entity.foreign_ids
    assert [one.name for one in entity.interfaces] == ["inlet", *(f"outlet-{number}" for number in range(1, 25))]
    assert [one.label for one in entity.interfaces[1:4]] == ["CP-CM-SAN-01", "DISK TRAY", "CPDXDCVHOST02"]
    assert [one.switchable for one in entity.interfaces[:2]] == [False, True]
    device = {Q.ACTIVE_POWER: 1210, Q.APPARENT_POWER: 1310, Q.POWER_FACTOR: 0.94, Q.ENERGY_RECEIVED: 1_951_600}
    assert of(result, DEVICE) == device
    inlet = of(result, outlet("inlet"))
    assert inlet == {**device, Q.VOLTAGE: 201, Q.CURRENT: 6.5, Q.ACTIVE_POWER: 1220}
    assert entity.interfaces[0].rated_current == 24
    assert inlet[Q.VOLTAGE] * inlet[Q.CURRENT] == pytest.approx(inlet[Q.APPARENT_POWER], rel=0.01)
    first = of(result, outlet("outlet-1"))
    assert first.pop(Q.SUPPLY_STATE) in {Supply.ON, Supply.OFF}  # the recording lets it vary
    assert first == {Q.ACTIVE_POWER: -163, Q.CURRENT: 0.9, Q.ENERGY_PROVIDED: 304_600, Q.IN_USE: True}
    outlets = [of(result, outlet(f"outlet-{number}")) for number in range(1, 25)]
    assert sum(one[Q.ACTIVE_POWER] for one in outlets) == pytest.approx(-1210, rel=0.2)
    assert not any(one[Q.IN_USE] for one in outlets if one[Q.CURRENT] == 0)
    assert {reading.method for reading in result.readings} == {Method.DIRECT_METER}
    assert not result.missing


async def test_a_pdu_with_switched_outlets_only(make: Make, recordings: Counterpart) -> None:
    """AP8932: outlets without a meter have a state and nothing else; 121 V times 1.4 A are the 170 VA of the inlet."""
    entity, result = await surveyed(make, recordings, "apc-8932")
    assert entity.model == "AP8932"
    assert entity.nameplate_power == 2900
    assert len(entity.interfaces) == 25
    device = {Q.ACTIVE_POWER: 160, Q.APPARENT_POWER: 170, Q.POWER_FACTOR: 0.95, Q.ENERGY_RECEIVED: 642_600}
    assert of(result, DEVICE) == device
    assert of(result, outlet("inlet"))[Q.VOLTAGE] == 121
    assert of(result, outlet("inlet"))[Q.CURRENT] == 1.4
    assert all(set(of(result, outlet(f"outlet-{number}"))) == {Q.SUPPLY_STATE} for number in range(1, 25))


async def test_banks_of_a_pdu_have_amperes(make: Make, recordings: Counterpart) -> None:
    """AP8641 and AP7902B: two banks are components; their 3.8 A and 2.4 A are about the 6.5 A of the inlet."""
    inventory, result = await all_of(make, recordings, "apc-8641")
    assert [(one.local, one.name, one.entity_class) for one in inventory.entities[1:]] == [
        ("bank-1", "Bank 1", "component"),
        ("bank-2", "Bank 2", "component"),
    ]
    assert of(result, Point("bank-1")) == {Q.CURRENT: 3.8}
    assert of(result, Point("bank-2")) == {Q.CURRENT: 2.4}
    inventory, result = await all_of(make, recordings, "apc-7902b")
    assert [one.local for one in inventory.entities] == ["", "bank-1", "bank-2"]
    assert of(result, Point("bank-1")) == {Q.CURRENT: 0}
    assert of(result, Point("bank-2")) == {Q.CURRENT: 1.1}


async def test_a_pdu_of_the_first_generation(make: Make, recordings: Counterpart) -> None:
    """AP7902B: on is 1 and off is 2 in state and command alike; banks in the table of phases are left out."""
    entity, result = await surveyed(make, recordings, "apc-7902b")
    assert entity.model == "AP7902B"
    assert [one.name for one in entity.interfaces] == ["inlet", *(f"outlet-{number}" for number in range(1, 17))]
    assert entity.interfaces[1].label == "SW-CO-NY-3850-01"
    assert all(one.switchable for one in entity.interfaces[1:])
    states = [of(result, outlet(f"outlet-{number}"))[Q.SUPPLY_STATE] for number in range(1, 17)]
    assert [number for number, state in enumerate(states, 1) if state is Supply.ON] == [1, 2, 16]
    assert of(result, DEVICE) == {Q.ACTIVE_POWER: 192, Q.APPARENT_POWER: 192, Q.POWER_FACTOR: 1.0}
    inlet = of(result, outlet("inlet"))
    assert inlet == {Q.CURRENT: 1.6, Q.ACTIVE_POWER: 192, Q.APPARENT_POWER: 192, Q.POWER_FACTOR: 1.0}
    methods = {one.quantity: one.method for one in result.readings if one.point == outlet("inlet")}
    assert methods[Q.CURRENT] is Method.DIRECT_METER
    assert methods[Q.ACTIVE_POWER] is Method.LOAD_MODEL  # 192 W are 1.6 A at 120 V that somebody set


async def test_a_three_phase_ups(make: Make, recordings: Counterpart) -> None:
    """Eaton 93E: volts, tenths of amperes and of hertz, watts; the input has no meter of power, so it is not zero."""
    entity, result = await surveyed(make, recordings, "eaton-93e-80")
    assert (entity.manufacturer, entity.model, entity.category) == ("EATON", "EATON 93E 80", "store")
    assert entity.nameplate_power == 72_090
    names = {one.name: (one.direction, one.ac_phases) for one in entity.interfaces}
    assert names == {
        "input": (Direction.INLET, 3),
        "bypass": (Direction.INLET, 3),
        "output": (Direction.OUTLET, 3),
    }
    assert {one.name: one.rated_power for one in entity.interfaces}["output"] == 80_100
    assert {one.name: one.nominal_voltage for one in entity.interfaces}["output"] == (Decimal(220), Decimal(220))
    # 50 where the MIB has tenths of hertz, and 500 where it is right
    assert [one.nominal_frequency for one in entity.interfaces] == [None, None, 50]
    assert not any(one.switchable for one in entity.interfaces)  # a shutdown would shut the UPS too
    assert not entity.batteries[0].testable  # there is no upsTestId
    assert of(result, outlet("input")) == {
        **three(Q.VOLTAGE, 227, 227, 233),
        Q.VOLTAGE: 229,
        **three(Q.CURRENT, 21, 21, 21),
        Q.CURRENT: 21,
        Q.FREQUENCY: 50,
    }
    output = of(result, outlet("output"))
    assert output == {
        **three(Q.VOLTAGE, 220, 220, 220),
        Q.VOLTAGE: 220,
        **three(Q.CURRENT, 27, 18, 15),
        Q.CURRENT: 20,
        **three(Q.ACTIVE_POWER, -5100, -3600, -2700),
        Q.ACTIVE_POWER: -11_400,
        Q.FREQUENCY: 49,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, outlet("bypass")) == {**three(Q.VOLTAGE, 227, 230, 231), Q.VOLTAGE: 229.333}
    assert of(result, DEVICE) == {}
    assert of(result, BATTERY) == {
        Q.RUNTIME_REMAINING: 1092 * 60,
        Q.CHARGE_PERCENT: 100,
        Q.BATTERY_VOLTAGE: 521,
        Q.BATTERY_CURRENT: 0,
        Q.TEMPERATURE: 25,
        Q.ALARM: frozenset(),
        Q.CHARGING_STATE: "maintaining",
        Q.TEST_RESULT: "passed",
    }
    assert {one.method for one in result.readings if one.quantity is Q.RUNTIME_REMAINING} == {Method.LOAD_MODEL}


async def test_a_ups_with_groups_of_outlets(make: Make, recordings: Counterpart) -> None:
    """Eaton 9PX: energy in Wh for the output and each group; 0 A beside 50 W are whole amperes, and not believed."""
    entity, result = await surveyed(make, recordings, "eaton-9px")
    assert (entity.manufacturer, entity.model) == ("Eaton", "Eaton 9PX 2200i RT 3U")
    assert entity.nameplate_power == 2200
    assert ForeignId("serial-number", "GX13G45099", persistence=Persistence.PERSISTENT) in entity.foreign_ids
    assert [one.name for one in entity.interfaces] == ["input", "bypass", "output", "group-1", "group-2"]
    assert [one.switchable for one in entity.interfaces] == [False, False, True, True, True]
    assert of(result, outlet("input")) == {Q.VOLTAGE: 243, Q.FREQUENCY: 50}
    assert of(result, outlet("bypass")) == {Q.VOLTAGE: 243}
    assert of(result, outlet("output")) == {
        Q.VOLTAGE: 231,
        Q.ACTIVE_POWER: -50,
        Q.FREQUENCY: 50,
        Q.ENERGY_PROVIDED: 533_733,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, outlet("group-1")) == {Q.SUPPLY_STATE: Supply.ON, Q.ENERGY_PROVIDED: 27}
    assert of(result, outlet("group-2")) == {Q.SUPPLY_STATE: Supply.ON, Q.ENERGY_PROVIDED: 17_260}
    assert of(result, BATTERY) == {
        Q.RUNTIME_REMAINING: 17_218,
        Q.CHARGE_PERCENT: 100,
        Q.BATTERY_VOLTAGE: 78,
        Q.BATTERY_CURRENT: 0,
        Q.CHARGING_STATE: "not-charging",  # it rests
        Q.TEST_RESULT: "none",
    }
    assert entity.batteries[0].testable


async def test_a_ups_without_a_load(make: Make, recordings: Counterpart) -> None:
    """Phoenixtec: three rows but one line; the idle output is at 0 W, while a zero at the input is not believed."""
    entity, result = await surveyed(make, recordings, "phoenixtec")
    assert {one.name for one in entity.interfaces} == {"input", "output"}
    assert of(result, outlet("input")) == {Q.VOLTAGE: 238, Q.FREQUENCY: 50}
    output = of(result, outlet("output"))
    assert output == {Q.VOLTAGE: 231, Q.CURRENT: 0, Q.ACTIVE_POWER: 0, Q.FREQUENCY: 50, Q.SUPPLY_STATE: Supply.ON}
    battery = of(result, BATTERY)
    assert (battery[Q.BATTERY_VOLTAGE], battery[Q.TEMPERATURE], battery[Q.CHARGE_PERCENT]) == (41, 31, 100)
    assert Q.RUNTIME_REMAINING not in battery
    assert entity.nameplate_power is None
    assert [one.switchable for one in entity.interfaces] == [False, True]
    assert entity.batteries[0].testable


async def test_a_ups_whose_rows_have_an_index_of_two_parts(make: Make, recordings: Counterpart) -> None:
    """EAST EA9080: its loads of 20 to 30 percent show that the zeros of current and power are not measured."""
    entity, result = await surveyed(make, recordings, "eastpower")
    assert (entity.manufacturer, entity.model) == ("EAST", "EA9080")
    assert of(result, outlet("input")) == {**three(Q.VOLTAGE, 236, 236, 234), Q.VOLTAGE: 235.333, Q.FREQUENCY: 50}
    output = of(result, outlet("output"))
    assert output == {
        **three(Q.VOLTAGE, 219, 219, 219),
        Q.VOLTAGE: 219,
        Q.FREQUENCY: 50,
        Q.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, BATTERY)[Q.BATTERY_VOLTAGE] == 213


async def test_a_ups_with_scales_of_its_own(make: Make, recordings: Counterpart) -> None:
    """Huawei UPS5000: its own tables tell three phases, where its rows of the standard MIB have other scales."""
    entity, result = await surveyed(make, recordings, "huawei")
    assert (entity.manufacturer, entity.model) == ("Huawei", "UPS5000-E")
    output = of(result, outlet("output"))
    assert output == {
        **three(Q.VOLTAGE, 221.3, 220.4, 217.9),
        Q.VOLTAGE: 219.867,
        **three(Q.CURRENT, 12.1, 13.4, 29.8),
        Q.CURRENT: 18.433,
        **three(Q.ACTIVE_POWER, -2100, -2400, -6000),
        Q.ACTIVE_POWER: -10_500,
        **three(Q.APPARENT_POWER, 2700, 2900, 6400),
        Q.APPARENT_POWER: 12_000,
        Q.FREQUENCY: 49.99,
        Q.SUPPLY_STATE: Supply.ON,
    }
    for phase in (1, 2, 3):
        product = output[(Q.VOLTAGE, phase)] * output[(Q.CURRENT, phase)]
        assert product == pytest.approx(output[(Q.APPARENT_POWER, phase)], rel=0.03)
    assert of(result, outlet("input"))[Q.FREQUENCY] == 50
    assert of(result, BATTERY) == {
        Q.BATTERY_VOLTAGE: 538.5,
        Q.BATTERY_CURRENT: 0.1,
        Q.CHARGE_PERCENT: 100,
        Q.RUNTIME_REMAINING: 28_080,
        Q.CHARGING_STATE: "maintaining",
    }


async def test_a_ups_that_counts_zeros_as_time(make: Make, recordings: Counterpart) -> None:
    """Santak Array: 21.1 kW at the output; zeros that come as TimeTicks are numbers like others."""
    entity, result = await surveyed(make, recordings, "ingrasys")
    assert entity.manufacturer == "Santak"
    assert entity.nameplate_power == 48_000
    output = of(result, outlet("output"))
    assert output[Q.ACTIVE_POWER] == -21_100
    assert output[(Q.CURRENT, 3)] == 41
    assert Q.FREQUENCY not in output
    assert {one.name for one in entity.interfaces} == {"input", "output"}
    assert of(result, BATTERY)[Q.BATTERY_VOLTAGE] == 273


async def test_named_tables_go_before_the_choice(make: Make, recordings: Counterpart) -> None:
    """With snmp/table the operator decides: the PDU is read as one of the first generation."""
    entity, result = await surveyed(make, recordings, "apc-8641", "apc-rpdu")
    assert len(entity.interfaces) == 25
    assert Q.ENERGY_RECEIVED not in of(result, DEVICE)


async def test_a_device_that_fits_no_table_has_its_name(make: Make, recordings: Counterpart) -> None:
    """With the generic table alone there is an entity, alive, of which nothing is measured."""
    entity, result = await surveyed(make, recordings, "apc-8932", "generic")
    assert entity.name == "pwr-dc01-pdu-rack3-01"
    assert (entity.description or "").startswith("APC Web/SNMP Management Card")
    assert not entity.interfaces
    assert result == Pass(())


async def test_numbers_are_exact(make: Make, recordings: Counterpart) -> None:
    """Scaled values are decimal numbers, without the dust of binary fractions."""
    _, result = await surveyed(make, recordings, "apc-8641")
    values = {reading.value for reading in result.readings if reading.quantity is Q.CURRENT}
    assert Decimal("6.5") in values
    assert all(isinstance(value, Decimal) for value in values)

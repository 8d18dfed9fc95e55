"""Parts of devices (ENTITY-MIB) and what their sensors measure (ENTITY-SENSOR-MIB), of recordings and of small devices.

Devices that are no recordings are made by hand, with the numbers that such equipment shows.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysnmp.proto import rfc1902

from eman_backends.snmp.backend import Snmp
from eman_backends.snmp.builder import Builder
from eman_backends.snmp.complete import Value
from eman_backends.snmp.containment import Kind
from eman_backends.snmp.explorers import Exploration
from eman_backends.snmp.physical import LAST_CHANGE, MOST_PARTS, MOST_ROWS, explore, identify
from eman_backends.snmp.sensors import Sense, Sensor, measures
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.survey import Asks
from eman_backends.snmp.tables import load
from eman_backends.snmp.tests.agent import Agent, oid, serving
from eman_backends.snmp.tests.agent import switch as agent_switch
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import place_of_recordings, simulate, temporary
from eman_backends.snmp.tests.mibs import ENTITY, SENSOR, Walk, explored, part, passed, recording, sensor, written
from eman_backends.snmp.tests.told import of
from eman_netconf.backend import (
    Context,
    Direction,
    EntityInfo,
    ForeignId,
    Inventory,
    Method,
    Now,
    Pass,
    Persistence,
    Point,
    Quantity,
    Unavailable,
)

Q = Quantity
TREES = ("1.3.6.1.2.1.47.", "1.3.6.1.2.1.99.")
CHASSIS, SUPPLY, MODULE, PORT, STACK, BATTERY = 3, 6, 9, 10, 11, 14
VOLTS_AC, VOLTS_DC, AMPERES, WATTS, HERTZ, CELSIUS = range(3, 9)
MILLI, UNITS = 8, 9
UUID = bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")


def switch() -> dict[str, Value]:
    """A chassis with two power supplies, of which the second has lost its cord, and a card with a meter."""
    rows: dict[str, Value] = {}
    for one in (
        part(1, 0, CHASSIS, "Chassis", c12=b"Acme", c13=b"SW-9000", c11=b"CH1", c10=b"7.1", c15=b"A-4711", c19=UUID),
        part(10, 1, 5, "Power supply bay"),
        part(11, 10, SUPPLY, "PSU 1", c11=b"PS1", c16=1),
        sensor(12, 11, "PSU 1 Input Power", WATTS, 2_145, precision=1),
        sensor(13, 11, "PSU 1 Output Power", WATTS, 193_000, scale=MILLI),
        sensor(14, 11, "PSU 1 Input Voltage", VOLTS_AC, 2301, precision=1),
        sensor(15, 11, "PSU 1 Output Voltage", VOLTS_DC, 1205, precision=2),
        sensor(16, 11, "PSU 1 Output Current", AMPERES, 16_020, scale=MILLI),
        sensor(17, 11, "PSU 1 Input Frequency", HERTZ, 499, precision=1),
        sensor(18, 11, "PSU 1 Temperature", CELSIUS, 41),
        part(21, 1, SUPPLY, "PSU 2", c11=b"PS2", c16=1),
        sensor(22, 21, "PSU 2 Input Power", WATTS, 0),
        sensor(24, 21, "PSU 2 Input Voltage", VOLTS_AC, 0, status=2),
        part(31, 1, MODULE, "Slot 3", c11=b"LC3", c13=b"LC-48", c16=1),
        sensor(32, 31, "Power consumption", WATTS, 88),
        part(40, 31, PORT, "Ethernet 3/1"),
        part(41, 40, MODULE, "10G transceiver", c11=b"X1", c16=1),
        sensor(42, 41, "Transmit power", WATTS, 6015, scale=MILLI, precision=4),
        part(50, 1, MODULE, "Fixed module"),
    ):
        rows |= one
    return rows


async def read(values: dict[str, Value]) -> tuple[Inventory, Pass]:
    walk = Walk(values)
    inventory, plan = await explored(walk, explore)
    return inventory, passed(walk, inventory, plan)


def by_name(inventory: Inventory) -> dict[str, EntityInfo]:
    return {entity.local: entity for entity in inventory.entities}


async def test_parts_that_matter_for_energy_are_entities_in_one_another() -> None:
    """Chassis, power supplies and replaceable modules come up; transceivers, fixed modules and bays do not."""
    inventory, _ = await read(switch())
    entities = by_name(inventory)
    assert {name: one.contained_in for name, one in entities.items()} == {
        "": None,
        "PSU-1": "",
        "PSU-2": "",
        "Slot-3": "",
    }
    device = entities[""]
    assert (device.manufacturer, device.model, device.firmware_version) == ("Acme", "SW-9000", "7.1")
    assert device.uuid == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert device.identifier_persistence is Persistence.PERSISTENT
    assert set(device.foreign_ids) == {
        ForeignId("ent-physical-uuid", device.uuid, persistence=Persistence.PERSISTENT),
        ForeignId("serial-number", "CH1", persistence=Persistence.PERSISTENT),
        ForeignId("asset-tag", "A-4711", persistence=Persistence.PERSISTENT),
        ForeignId("ent-physical-index", "1", persistence=Persistence.BOOT_SCOPED),
    }
    assert entities["PSU-1"].entity_class == "component"
    assert {one.name: (one.direction, one.current_type) for one in entities["PSU-1"].interfaces} == {
        "input": (Direction.INLET, "ac"),
        "output": (Direction.OUTLET, "dc"),
    }


async def test_a_power_supply_receives_at_its_input_and_provides_at_its_output() -> None:
    """Names tell input from output; what is provided is negative; scale and precision are applied exactly."""
    _, result = await read(switch())
    assert of(result, Point("PSU-1", "input")) == {Q.ACTIVE_POWER: 214.5, Q.VOLTAGE: 230.1, Q.FREQUENCY: 49.9}
    assert of(result, Point("PSU-1", "output")) == {Q.ACTIVE_POWER: -193, Q.VOLTAGE: 12.05, Q.CURRENT: -16.02}
    assert of(result, Point("PSU-1")) == {Q.ACTIVE_POWER: 214.5}
    assert of(result, Point("Slot-3")) == {Q.ACTIVE_POWER: 88}
    assert {reading.method for reading in result.readings} == {Method.DIRECT_METER}


async def test_a_device_without_a_meter_receives_what_its_supplies_do() -> None:
    """The inputs of all power supplies make the power of the chassis; outputs and cards are inside and not added."""
    _, result = await read(switch())
    assert of(result, Point()) == {Q.ACTIVE_POWER: 214.5}


async def test_a_sum_lacks_no_part() -> None:
    """While one supply does not tell its input, nobody knows the power of the whole, and the reason is told."""
    values = switch() | {f"{SENSOR}.5.22": 3}
    _, result = await read(values)
    assert of(result, Point()) == {}
    why = "the device says that it cannot measure it just now"
    assert result.missing == dict.fromkeys((Point(), Point("PSU-2"), Point("PSU-2", "input")), why)


async def test_a_chassis_with_a_meter_is_not_added_up() -> None:
    """What the chassis measures itself is its power, not that of its supplies."""
    _, result = await read(switch() | sensor(60, 1, "Total system power", WATTS, 209))
    assert of(result, Point()) == {Q.ACTIVE_POWER: 209}


async def test_a_stack_is_its_chassis() -> None:
    """Each chassis of a stack is a device in it, and their power is the power of the stack."""
    values: dict[str, Value] = part(1, 0, STACK, "Stack")
    for unit in (1, 2):
        values |= part(unit * 1000, 1, CHASSIS, str(unit), c6=unit)
        values |= part(unit * 1000 + 1, unit * 1000, SUPPLY, "Power Supply", c6=0)
        values |= sensor(unit * 1000 + 2, unit * 1000 + 1, "Input power", WATTS, unit * 50)
    inventory, result = await read(values)
    entities = by_name(inventory)
    assert {name: (one.entity_class, one.contained_in) for name, one in entities.items()} == {
        "": ("device", None),
        "chassis-1": ("device", ""),
        "chassis-2": ("device", ""),
        "chassis-1.Power-Supply": ("component", "chassis-1"),
        "chassis-2.Power-Supply": ("component", "chassis-2"),
    }
    told = {name: of(result, Point(name))[Q.ACTIVE_POWER] for name in entities}
    assert told == {
        "": 150,
        "chassis-1": 50,
        "chassis-2": 100,
        "chassis-1.Power-Supply": 50,
        "chassis-2.Power-Supply": 100,
    }


async def test_a_battery_has_volts_amperes_and_a_temperature() -> None:
    """Sensors in a battery are about it; a temperature elsewhere has no place in the model."""
    values = part(1, 0, CHASSIS, "Box") | part(2, 1, BATTERY, "Battery") | sensor(6, 1, "Air", CELSIUS, 21)
    values |= sensor(3, 2, "Voltage", VOLTS_DC, 52_400, scale=MILLI) | sensor(4, 2, "Current", AMPERES, -3)
    values |= sensor(5, 2, "Temperature", CELSIUS, 275, precision=1)
    inventory, result = await read(values)
    assert by_name(inventory)["Battery"].category == "store"
    battery = of(result, Point("Battery", battery="battery"))
    assert battery == {Q.BATTERY_VOLTAGE: 52.4, Q.BATTERY_CURRENT: -3, Q.TEMPERATURE: 27.5}
    assert {reading.point.entity for reading in result.readings} == {"Battery"}


def said(*names: tuple[str, Sense]) -> list[Sensor]:
    return [Sensor(place, sense, 0, name.lower()) for place, (name, sense) in enumerate(names)]


@pytest.mark.parametrize(
    ("kind", "sensors", "told"),
    [
        (Kind.POWER_SUPPLY, [("Power In", Sense.WATTS)], {("input", Q.ACTIVE_POWER): [0], (None, Q.ACTIVE_POWER): [0]}),
        (Kind.POWER_SUPPLY, [("PSU 1 Pout", Sense.WATTS)], {("output", Q.ACTIVE_POWER): [0]}),
        (  # as SONiC has it: the only voltage is a direct one, so all is about the output
            Kind.POWER_SUPPLY,
            [("PSU 1 Power", Sense.WATTS), ("PSU 1 Voltage", Sense.VOLTS_DC), ("PSU 1 Current", Sense.AMPERES)],
            {("output", Q.ACTIVE_POWER): [0], ("output", Q.VOLTAGE): [1], ("output", Q.CURRENT): [2]},
        ),
        (
            Kind.POWER_SUPPLY,
            [("PEM power", Sense.WATTS), ("PEM voltage", Sense.VOLTS_AC)],
            {("input", Q.ACTIVE_POWER): [0], ("input", Q.VOLTAGE): [1], (None, Q.ACTIVE_POWER): [0]},
        ),
        (Kind.POWER_SUPPLY, [("Power", Sense.WATTS)], {(None, Q.ACTIVE_POWER): [0]}),
        (Kind.POWER_SUPPLY, [("Input A power", Sense.WATTS), ("Input B power", Sense.WATTS)], {}),
        (Kind.POWER_SUPPLY, [("Max input power", Sense.WATTS), ("Power capacity", Sense.WATTS)], {}),
        (Kind.CHASSIS, [("Rail 5V", Sense.VOLTS_DC), ("Rail 12V", Sense.VOLTS_DC)], {}),
        (Kind.CHASSIS, [("Rail power", Sense.WATTS), ("Core power", Sense.WATTS)], {}),
        (Kind.CHASSIS, [("Output power", Sense.WATTS)], {}),
        (
            Kind.CHASSIS,
            [("PSU 1 input power", Sense.WATTS), ("PSU 2 input power", Sense.WATTS)],
            {(None, Q.ACTIVE_POWER): [0, 1]},
        ),
        (
            Kind.CHASSIS,
            [("Total power", Sense.WATTS), ("PSU 1 input power", Sense.WATTS), ("Input voltage", Sense.VOLTS_AC)],
            {(None, Q.ACTIVE_POWER): [0], (None, Q.VOLTAGE): [2]},
        ),
        (Kind.MODULE, [("DOM TX Power Sensor for Ethernet5", Sense.WATTS)], {}),
        (Kind.MODULE, [("Gi1/0/1 Receive Power Sensor", Sense.WATTS)], {}),
    ],
)
def test_which_sensor_counts_as_what(
    kind: Kind, sensors: list[tuple[str, Sense]], told: dict[tuple[str | None, Quantity], list[int]]
) -> None:
    """Names and kinds decide; what they leave open is not told, and light is not power that is used."""
    found = measures(kind, said(*sensors))
    assert {(one.interface, one.quantity): [each.place for each in one.sensors] for one in found} == told


@pytest.mark.parametrize(
    ("scale", "precision", "value", "watts"),
    [
        (9, 0, 212, Decimal(212)),
        (9, 2, 21_234, Decimal("212.34")),
        (8, 0, 212_340, Decimal("212.34")),
        (8, 3, 212_340_000, Decimal("212.34")),
        (10, 2, 21, Decimal(210)),
        (9, -3, 212, Decimal(212)),  # three of its digits are accurate
        (10, 0, -2, Decimal(-2000)),
        (9, 0, 1_000_000_000, None),  # beyond what can be told
        (9, 0, -1_000_000_000, None),
        (14, 0, 1, None),  # an exawatt
        (18, 0, 1, None),
        (0, 0, 1, None),
        (9, 10, 1, None),
        (9, -9, 1, None),
    ],
)
async def test_scale_and_precision(scale: int, precision: int, value: int, watts: Decimal | None) -> None:
    """The value is scaled as RFC 3433 has it, exactly; what makes no sense is not known."""
    values = part(1, 0, CHASSIS, "Box") | sensor(2, 1, "Power", WATTS, value, scale=scale, precision=precision)
    _, result = await read(values)
    assert [reading.value for reading in result.readings] == ([] if watts is None else [watts])


# --- recordings -------------------------------------------------------------------------------------------------------


async def recorded(name: str) -> tuple[Inventory, Pass]:
    return await read(recording(place_of_recordings() / name, *TREES))


async def test_a_switch_with_sensors_of_its_supplies() -> None:
    """Arista DCS-7150S: its 460 W supplies have volts and amperes at both sides; rails and light do not count."""
    inventory, result = await recorded("cloud/arista-dcs-7150s-52-cl.snmprec.bz2")
    entities = by_name(inventory)
    assert {name: one.model for name, one in entities.items()} == {
        "": "DCS-7150S-52-CL",
        "PowerSupply1": "PWR-460AC-F",
        "PowerSupply2": "PWR-460AC-F",
    }
    assert of(result, Point("PowerSupply1", "input")) == {Q.VOLTAGE: 216, Q.CURRENT: 0.38}
    assert of(result, Point("PowerSupply1", "output")) == {Q.VOLTAGE: 12.19, Q.CURRENT: -5.5}
    assert {reading.point.entity for reading in result.readings} == {"PowerSupply1", "PowerSupply2"}
    provided = 12.19 * 5.5
    assert provided == pytest.approx(216 * 0.38, rel=0.25)  # volts times amperes of an input are more than its watts


async def test_a_firewall_with_fans_and_temperatures_only() -> None:
    """Palo Alto PA-5050: a chassis, of which nothing about energy is measured."""
    inventory, result = await recorded("network/firewall/paloalto-pa-5000.snmprec.bz2")
    (device,) = inventory.entities
    assert (device.manufacturer, device.model, device.firmware_version) == ("Palo Alto Networks", "PA-5050", "8.0.1")
    assert result == Pass(())


async def test_a_stack_of_two_routers() -> None:
    """H3C SR8808-X: two chassis with boards and six supplies each; names that occur twice carry their chassis."""
    inventory, _ = await recorded("network/switch/h3c-comware-7-1-075.snmprec.bz2")
    entities = by_name(inventory)
    assert [name for name, one in entities.items() if one.entity_class == "device"] == [
        "",
        "H3C-SR8808-X-1",
        "H3C-SR8808-X-2",
    ]
    assert entities["H3C-SR8808-X-2.Board-10"].contained_in == "H3C-SR8808-X-2"
    supplies = [one.contained_in for name, one in entities.items() if name.startswith("PW-")]
    assert sorted(str(one) for one in supplies) == ["H3C-SR8808-X-1"] * 6 + ["H3C-SR8808-X-2"] * 6


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("cloud/arista-dcs-7150s-52-cl.snmprec.bz2", "DCS-7150S-52-CL"),
        ("network/appliance/cisco-unknown-01.snmprec.bz2", "WS-C6509-E"),
        ("network/switch/cisco-n5000.snmprec.bz2", "N5K-C5548UP"),
        ("network/router/huawei-s5720.snmprec.bz2", None),
    ],
)
async def test_who_a_device_is_takes_few_questions(name: str, model: str | None) -> None:
    """Who just wants to know who is there gets the device as the whole exploration tells it, for a part of the work."""
    whole, light = (Walk(recording(place_of_recordings() / name, *TREES)) for _ in range(2))
    inventory, _ = await explored(whole, explore)
    found, plan = await explored(light, identify)
    (device,) = found.entities
    assert device == inventory.entities[0]
    assert device.model == model
    assert not plan.cells
    assert light.asked < whole.asked


async def test_a_stack_of_one_switch() -> None:
    """Cisco Catalyst 3750: the stack is the device, the switch is in it, its supply in the switch; ports have light."""
    inventory, result = await recorded("network/switch/cisco-c3750.snmprec.bz2")
    told = [(one.local, one.contained_in, one.model) for one in inventory.entities]
    assert told == [
        ("", None, None),
        ("chassis-1", "", "WS-C3750G-12S-S"),
        ("Switch-1-WS-C3750G-12S-Power-Supply-0", "chassis-1", None),
    ]
    assert result == Pass(())


async def test_names_that_occur_twice_carry_their_position() -> None:
    """Juniper MX960: four supplies of one name are told apart by where they sit, which stays when indexes do not."""
    inventory, _ = await recorded("network/router/juniper-mx960-16-1r6-7-a.snmprec.bz2")
    assert list(by_name(inventory)) == ["", *(f"PWR-MX960-4100-AC-S-{place}" for place in range(4))]


async def test_over_the_wire(make: Make, tmp_path: Path) -> None:
    """A whole device behind snmpsim, made by hand, is opened and read as the walk is."""
    del tmp_path
    directory = temporary("parts")
    (directory / "data").mkdir()
    system: dict[str, Value] = {
        "1.3.6.1.2.1.1.1.0": b"a switch made by hand",
        "1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.8072.3.2.10",
        "1.3.6.1.2.1.1.3.0": 4711,
        "1.3.6.1.2.1.1.5.0": b"core-1",
    }
    (directory / "data" / "switch.snmprec").write_text(written(system | switch()), encoding="ascii")
    device = simulate(directory, "switch")
    backend = make(Target("127.0.0.1", device.port, Community("switch")))
    inventory = await backend.open()
    expected, _ = await read(switch())
    assert {one.local: one.foreign_ids for one in inventory.entities} == {
        one.local: one.foreign_ids for one in expected.entities
    }
    assert inventory.entities[0].name == "core-1"
    result = await backend.read()
    assert of(result, Point()) == {Q.ACTIVE_POWER: 214.5}
    assert of(result, Point("PSU-1", "output"))[Q.ACTIVE_POWER] == -193


# --- whatever a device says -------------------------------------------------------------------------------------------

ROW = st.tuples(
    st.integers(1, 30),  # index
    st.integers(-1, 32),  # what it is in: itself, nothing, something that is not there, a loop
    st.integers(0, 17),  # class
    st.sampled_from(["", "PSU 1", "1", "Input power", "../etc", "ä" * 300, "Output\0", "total power"]),
)
TOLD = st.one_of(st.integers(-(2**31), 2**31), st.binary(max_size=20), st.just("1.3"))
SENSED = st.tuples(st.integers(1, 30), st.integers(0, 13), TOLD, TOLD, TOLD, st.integers(0, 4))


@settings(max_examples=150)
@given(rows=st.lists(ROW, max_size=30), sensors=st.lists(SENSED, max_size=30))
async def test_whatever_rows_say_the_inventory_is_well_formed(
    rows: list[tuple[int, int, int, str]], sensors: list[tuple[int, int, Value, Value, Value, int]]
) -> None:
    """Loops, parents that do not exist, and absurd scales make no loop here, and nothing that breaks the contract."""
    values: dict[str, Value] = {}
    for index, inside, kind, name in rows:
        values |= part(index, inside, kind, name, c16=1, c11=name.encode()[:8], c19=name.encode()[:16])
    for index, kind, scale, precision, value, status in sensors:
        columns: tuple[Value, ...] = (kind, scale, precision, value, status)
        values |= {f"{SENSOR}.{column}.{index}": told for column, told in enumerate(columns, 1)}
    await read(values)


async def test_ten_thousand_rows_are_bounded_work() -> None:
    """Of a device with 10,000 rows a part is asked for, and the log says so; no more entities come of it than may."""
    values: dict[str, Value] = {}
    for index in range(1, 10_001):
        values[f"{ENTITY}.5.{index}"] = SUPPLY
        values[f"{ENTITY}.4.{index}"] = index - 1
        values[f"{SENSOR}.1.{index}"] = WATTS
    walk = Walk(values)
    inventory, plan = await explored(walk, explore)
    assert len(inventory.entities) <= MOST_PARTS + 1
    assert walk.asked < 20 * MOST_ROWS
    assert len(plan.cells) <= 2 * MOST_PARTS
    assert any("the others are not shown" in text for text in walk.said)


# --- devices that do not bear to be asked -----------------------------------------------------------------------------


class Silent:
    """An explorer of a device that does not answer to it, while ``deaf``."""

    def __init__(self) -> None:
        self.deaf = True
        self.asked = 0

    async def __call__(self, client: Asks, builder: Builder) -> None:
        self.asked += 1
        if self.deaf:
            raise Unavailable("no answer")
        await explore(client, builder)


async def attempts(count: int, exploration: Exploration, walk: Walk) -> list[int]:
    """How many entities each attempt brings; 0 where it fails."""
    found = []
    for _ in range(count):
        try:
            inventory, _ = await explored(walk, exploration)
        except Unavailable:
            found.append(0)
        else:
            found.append(len(inventory.entities))
    return found


async def test_a_device_that_never_tells_its_parts_is_read_without() -> None:
    """Two attempts are lost; the third comes up with what the tables know, and the log says what is missing."""
    silent, walk = Silent(), Walk(switch())
    assert await attempts(4, Exploration([silent]), walk) == [0, 0, 1, 1]
    assert silent.asked == 2
    assert any("is read without" in text for text in walk.said)


async def test_a_device_that_told_its_parts_once_is_waited_for() -> None:
    """Its parts do not come and go with every delay."""
    silent, walk = Silent(), Walk(switch())
    exploration = Exploration([silent])
    assert await attempts(1, exploration, walk) == [0]
    silent.deaf = False
    assert await attempts(1, exploration, walk) == [4]
    silent.deaf = True
    assert await attempts(4, exploration, walk) == [0, 0, 0, 0]
    silent.deaf = False
    assert await attempts(1, exploration, walk) == [4]
    assert not walk.said


async def test_a_device_that_gets_other_parts_is_opened_again(tmp_path: Path) -> None:
    """When entLastChangeTime moves, the inventory is outdated; where it moves all the time, four times in an hour."""
    now = 0.0
    parts = {name: rfc1902.Integer32(value) for name, value in switch().items() if isinstance(value, int)}
    agent = Agent(agent_switch() | parts | {LAST_CHANGE: rfc1902.TimeTicks(10)})
    context = Context("it", lambda: Now(now, now), Random(7), tmp_path, logging.getLogger(__name__))
    async with serving(agent):
        backend = Snmp(Target("127.0.0.1", agent.port, Community("public")), load(), context)
        try:
            before = await backend.open()
            assert not (await backend.read()).outdated
            del agent.tree[oid(f"{ENTITY}.5.21")]
            agent.order.remove(oid(f"{ENTITY}.5.21"))
            for wait, outdated in ((60, True), (60, False), (700, False), (200, True), (60, False)):
                agent.tree[oid(LAST_CHANGE)] = rfc1902.TimeTicks(int(now) + 20)
                now += wait
                result = await backend.read()
                assert result.outdated is outdated
                if outdated:
                    assert len((await backend.open()).entities) == len(before.entities) - 1
                    await backend.read()
        finally:
            await backend.close()

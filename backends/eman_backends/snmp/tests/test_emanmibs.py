"""The MIBs of energy management (RFC 7460, 7461, 7577): power, states and their control, energy, context, batteries.

Hardly any device has them, so the devices here are made by hand from the text of the MIBs.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_backends.snmp import batteries, emanmibs
from eman_backends.snmp.builder import Builder
from eman_backends.snmp.complete import Oid, Value
from eman_backends.snmp.emanmibs import STATES, TRANSITIONS
from eman_backends.snmp.physical import explore
from eman_backends.snmp.readings import Plan
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.survey import Asks
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import (
    SNMPD_WRITER,
    Counterpart,
    ask,
    free_port,
    run_snmpd,
    simulate,
    temporary,
)
from eman_backends.snmp.tests.mibs import Walk, explored, part, passed, sensor, written
from eman_backends.snmp.tests.told import of, three
from eman_backends.snmp.writes import Write
from eman_netconf.backend import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Method,
    Pass,
    Peer,
    Point,
    Quantity,
    Refused,
    RelationInfo,
    StateInfo,
)
from tests.programs import program

Q = Quantity
EO, PA, CONTEXT = "1.3.6.1.2.1.229.1", "1.3.6.1.2.1.230.1", "1.3.6.1.2.1.231.1"
BATTERY = "1.3.6.1.2.1.233.1.1.1"
ADMIN, OPER = f"{EO}.2.1.8", f"{EO}.2.1.9"
CHASSIS, SUPPLY, ENERGY_OBJECT, CELLS = 3, 6, 13, 14
UUIDS = [bytes([index] * 16) for index in range(1, 4)]
POINT = Point("Server-3")


def server(**power: Value) -> dict[Oid, Value]:
    """A server in a chassis, as an energy object; ``power`` are columns of eoPowerTable, as ``c5=3``."""
    columns: dict[str, Value] = {
        "1": 1844,  # eoPower
        "2": 7500,
        "3": -1,
        "4": 150,
        "5": 3,
        "6": 1,
        "7": 1,
        "8": 259,
        "9": 259,
    }
    columns |= {column[1:]: value for column, value in power.items()}
    rows = part(1, 0, CHASSIS, "Chassis", c19=UUIDS[0]) | part(7, 1, ENERGY_OBJECT, "Server 3", c19=UUIDS[1])
    return rows | {f"{EO}.2.1.{column}.7": value for column, value in columns.items()}


def states(*codes: int) -> dict[Oid, Value]:
    """Rows of eoPowerStateTable: the code itself is the most power, in tenths of watts."""
    return {f"{EO}.3.1.{column}.7.{code}": value for code in codes for column, value in ((2, code), (3, -1))}


async def told(values: dict[Oid, Value]) -> tuple[dict[str, EntityInfo], Pass, Plan]:
    walk = Walk(values)
    inventory, plan = await explored(walk, explore)
    return {entity.local: entity for entity in inventory.entities}, passed(walk, inventory, plan), plan


async def test_power_with_its_unit_accuracy_and_origin() -> None:
    """184.4 W of 750 W, measured to 1.5 percent; watts are scaled by the multiplier read in the same pass."""
    entities, result, _ = await told(server())
    assert entities["Server-3"].nameplate_power == 750
    assert entities["Server-3"].current_type == "ac"
    (power,) = [one for one in result.readings if one.quantity is Q.ACTIVE_POWER]
    assert (power.point, power.value, power.method) == (POINT, Decimal("184.4"), Method.DIRECT_METER)
    assert power.accuracy == Decimal("1.5")


@pytest.mark.parametrize(
    ("caliber", "local", "method"),
    [
        (3, 1, Method.DIRECT_METER),
        (3, 2, Method.REMOTE_METER),
        (4, 1, Method.LOAD_MODEL),
        (2, 1, Method.LOAD_MODEL),
        (5, 1, Method.NAMEPLATE),
    ],
)
async def test_the_caliber_is_the_method(caliber: int, local: int, method: Method) -> None:
    """Measured here or by another, estimated, or a fixed number: the reading says which."""
    _, result, _ = await told(server(c5=caliber, c7=local))
    assert [one.method for one in result.readings if one.quantity is Q.ACTIVE_POWER] == [method]


async def test_what_is_unavailable_is_no_zero() -> None:
    """While an object cannot tell its power, its 0 W are not told; when it can, they are."""
    walk = Walk(server(c5=1, c1=0))
    inventory, plan = await explored(walk, explore)
    assert Q.ACTIVE_POWER not in of(passed(walk, inventory, plan), POINT)
    walk.values |= {f"{EO}.2.1.5.7": 3, f"{EO}.2.1.1.7": 33}
    assert of(passed(walk, inventory, plan), POINT)[Q.ACTIVE_POWER] == 3.3


async def test_a_producer_provides() -> None:
    """What is produced is negative, here as there."""
    _, result, _ = await told(server(c1=-4_200, c3=0))
    assert of(result, POINT)[Q.ACTIVE_POWER] == -4200


async def test_a_sensor_does_not_add_to_an_energy_object() -> None:
    """Where both speak of the power of one thing, the energy object goes first, and it is told once."""
    _, result, _ = await told(server() | sensor(8, 7, "Power consumption", 6, 200))
    assert of(result, POINT)[Q.ACTIVE_POWER] == 184.4


# --- states -----------------------------------------------------------------------------------------------------------


def test_numbers_of_states_are_those_of_the_mib() -> None:
    """They are mapped by name, for the numbers of the DMTF's set do not follow the rule that names the sets."""
    by_name = {state: code for code, state in STATES.items() if code > 1024 or code < 768}
    assert (by_name["ieee1621-off"], by_name["ieee1621-on"]) == (257, 259)
    assert (by_name["dmtf-on"], by_name["dmtf-off-soft"], by_name["dmtf-hibernate"]) == (513, 517, 518)
    assert (by_name["eman-mechoff"], by_name["eman-high"]) == (1025, 1036)
    assert (STATES[769], STATES[780]) == ("eman-mechoff", "eman-high")
    assert (TRANSITIONS[521], TRANSITIONS[527]) == ("dmtf-master-bus-reset", "dmtf-power-cycle-off-hard-graceful")
    assert not {519, 520} & (STATES.keys() | TRANSITIONS.keys())


async def test_the_sets_of_an_object_are_those_it_lists() -> None:
    """States, transitions and the most power in each state come from the table of states."""
    entities, result, plan = await told(server(c8=513, c9=516) | states(257, 259, 513, 516, 519, 523, 4711))
    sets = {one.name: one for one in entities["Server-3"].state_sets}
    assert {name: [state.state for state in one.states] for name, one in sets.items()} == {
        "dmtf": ["dmtf-off-hard", "dmtf-on"],
        "ieee1621": ["ieee1621-on", "ieee1621-off"],
    }
    assert StateInfo("dmtf-on", max_power=Decimal("51.3")) in sets["dmtf"].states
    assert sets["dmtf"].transitions == ("dmtf-off-soft-graceful",)
    assert all(one.settable for one in sets.values())
    assert of(result, POINT)[Q.POWER_STATE] == "dmtf-off-hard"
    assert plan.states[POINT] == {
        "ieee1621-off": Write(f"{ADMIN}.7", 257),
        "ieee1621-on": Write(f"{ADMIN}.7", 259),
        "dmtf-on": Write(f"{ADMIN}.7", 513),
        "dmtf-off-hard": Write(f"{ADMIN}.7", 516),
        "dmtf-off-soft-graceful": Write(f"{ADMIN}.7", 523),
    }


@pytest.mark.parametrize("first", [1025, 769])
async def test_the_eman_set_has_two_numberings(first: int) -> None:
    """The MIB numbers it from 1024 on, the text of the RFC from 768 on: what the device lists is written."""
    _, result, plan = await told(server(c9=first + 11) | states(first + 3, first + 11))
    assert of(result, POINT)[Q.POWER_STATE] == "eman-high"
    assert plan.states[POINT]["eman-sleep"] == Write(f"{ADMIN}.7", first + 3)


async def test_both_numberings_are_read() -> None:
    """A device may list one and show the other."""
    _, result, _ = await told(server(c9=769 + 11) | states(1025, 1036))
    assert of(result, POINT)[Q.POWER_STATE] == "eman-high"


async def test_without_a_table_of_states_the_present_set_is_shown() -> None:
    """Nobody knows which states can be ordered, so none can."""
    entities, result, plan = await told(server(c9=258))
    assert [(one.name, one.settable) for one in entities["Server-3"].state_sets] == [("ieee1621", False)]
    assert of(result, POINT)[Q.POWER_STATE] == "ieee1621-sleep"
    assert not plan.states
    entities, result, _ = await told(server(c9=255))  # unknown
    assert not entities["Server-3"].state_sets
    assert Q.POWER_STATE not in of(result, POINT)


# --- electricity and energy -------------------------------------------------------------------------------------------


async def test_electricity_of_the_whole_and_of_phases() -> None:
    """Tenths of volts, hundredths of hertz, power factors in ten thousandths; phases by their angle."""
    whole = {1: 3, 2: 2305, 3: 12, 4: 5001, 5: 0, 8: -310, 9: 8280, 10: 9950, 11: 320, 12: 150}
    values = server(c1=8200, c3=0) | {f"{PA}.1.1.{column}.7": value for column, value in whole.items()}
    for angle, volts in ((0, 2301), (120, 2306), (240, 2308), (77, 1)):
        phase = {2: volts, 3: 119, 4: 2733, 7: -9940}
        values |= {f"{PA}.3.1.{column}.7.{angle}": value for column, value in phase.items()}
    _, result, _ = await told(values)
    assert of(result, POINT) == {
        Q.ACTIVE_POWER: 8200,
        Q.VOLTAGE: 230.5,
        Q.CURRENT: 12,
        Q.FREQUENCY: 50.01,
        Q.REACTIVE_POWER: -310,
        Q.APPARENT_POWER: 8280,
        Q.POWER_FACTOR: 0.995,
        Q.THD_CURRENT: 3.2,
        Q.THD_VOLTAGE: 1.5,
        **three(Q.VOLTAGE, 230.1, 230.6, 230.8),
        **three(Q.CURRENT, 11.9, 11.9, 11.9),
        **three(Q.ACTIVE_POWER, 2733, 2733, 2733),
        **three(Q.POWER_FACTOR, -0.994, -0.994, -0.994),
        Q.POWER_STATE: "ieee1621-on",
    }


def meter(mode: int = 3, users: tuple[int, ...] = (7,), starts: tuple[int, ...] = (1200,)) -> dict[Oid, Value]:
    """A definition of a measurement, number 5, and its rows of energy in tenths of watt-hours."""
    rows: dict[Oid, Value] = {}
    for user in users:
        rows |= {f"{EO}.4.1.5.{user}.5": mode, f"{EO}.4.1.9.{user}.5": 1}
    for start in starts:
        energy = {2: 123_456, 3: 78, 4: 123_378, 5: -1, 6: 100}
        rows |= {f"{EO}.5.1.{column}.5.{start}": value for column, value in energy.items()}
    return rows


async def test_energy_since_the_beginning_is_a_counter() -> None:
    """One interval that goes on since the beginning, of an object alone, is the meter of that object."""
    _, result, _ = await told(server() | meter())
    assert of(result, POINT)[Q.ENERGY_RECEIVED] == 12_345.6
    assert of(result, POINT)[Q.ENERGY_PROVIDED] == 7.8
    assert {one.accuracy for one in result.readings if one.quantity is Q.ENERGY_RECEIVED} == {Decimal(1)}


@pytest.mark.parametrize(
    "rows",
    [meter(mode=1), meter(mode=2), meter(users=(7, 1)), meter(starts=(1200, 91_200)), meter(starts=())],
    ids=["periods", "sliding", "two objects", "two rows", "no row"],
)
async def test_energy_of_intervals_is_no_counter(rows: dict[Oid, Value]) -> None:
    """Rows that are of a period, or of nobody knows whom, are not told: the rows do not say whose they are."""
    _, result, _ = await told(server() | rows)
    assert Q.ENERGY_RECEIVED not in of(result, POINT)


# --- context ----------------------------------------------------------------------------------------------------------


async def test_context_and_relations() -> None:
    """Who an object is, what it is for and what it is to others; others are named by their entPhysicalUUID."""
    context: dict[int, Value] = {
        1: 0,
        2: 0,
        3: 0,
        4: bytes.fromhex("00a0b1c2d3e4"),
        5: 1,
        6: bytes([192, 0, 2, 9]),
        7: b"s3.example.org",
        8: b"lab",
        9: b"mail",
        10: b"blue, lab ,,blue",
        11: 80,
        12: 0,
        13: b"CMDB-12",
        14: 0,
    }
    values = server() | {f"{CONTEXT}.1.1.{column}.7": value for column, value in context.items()}
    for row, (peer, kind) in enumerate([(UUIDS[0], 1), (UUIDS[2], 3), (UUIDS[1], 2), (b"", 4)]):
        values |= {f"{CONTEXT}.2.1.2.7.{row}": peer, f"{CONTEXT}.2.1.3.7.{row}": kind}
    entities, _, _ = await told(values)
    one = entities["Server-3"]
    assert (one.role, one.keywords, one.importance, one.category) == ("mail", ("blue", "lab"), 80, "consumer")
    assert {
        ForeignId("mac-address", "00:a0:b1:c2:d3:e4"),
        ForeignId("ip-address", "192.0.2.9"),
        ForeignId("domain-name", "s3.example.org"),
        ForeignId("alternate-key", "CMDB-12"),
    } <= set(one.foreign_ids)
    assert [face.name for face in one.interfaces] == ["inlet"]
    elsewhere = str(UUID(bytes=UUIDS[2]))
    assert one.relationships == (RelationInfo("powered-by", ""), RelationInfo("metered-by", elsewhere))


@pytest.mark.parametrize("kind", [((14, 0),), ()], ids=["inlet", "not told"])
async def test_an_object_may_be_fed_by_a_port_of_its_device(kind: tuple[tuple[int, int], ...]) -> None:
    """eoEthPortIndex and eoEthPortGrpIndex lead to the PoE port, which is at the other end of its inlet."""
    values = server() | {f"{CONTEXT}.1.1.{column}.7": value for column, value in ((1, 4), (2, 1), (12, 0), *kind)}

    async def ports(client: Asks, builder: Builder) -> None:
        del client
        identity = (ForeignId("peth-pse-port", "1.4"),)
        builder.interface(InterfaceInfo("port-1.4", Direction.OUTLET, foreign_ids=identity))

    inventory, _ = await explored(Walk(values), ports, explore)
    fed = {entity.local: entity for entity in inventory.entities}["Server-3"]
    assert [one.connected_to for one in fed.interfaces] == [(Peer("", "port-1.4"),)]


# --- batteries --------------------------------------------------------------------------------------------------------


def cells(**columns: Value) -> dict[Oid, Value]:
    """A box with a battery: 40 Ah of 48 V, three quarters charged, being discharged."""
    row: dict[str, Value] = {
        "1": b"BAT-77",
        "2": b"2.1",
        "3": 4,
        "4": 18,
        "5": 48_000,
        "6": 15,
        "7": 40_000,
        "8": 0,
        "9": 0,
        "10": 38_000,
        "11": 112,
        "13": 5,
        "14": 1,
        "15": 28_500,
        "16": 51_230,
        "17": -4_250,
        "18": 254,
        "19": 8_000,
        "20": 44_000,
        "21": 30_000,
        "22": 500,
        "23": 450,
        "24": -50,
    }
    row |= {column[1:]: value for column, value in columns.items()}
    rows = part(1, 0, CHASSIS, "Box") | part(4, 1, CELLS, "Battery 1")
    return rows | {f"{BATTERY}.{column}.4": value for column, value in row.items()}


BATTERY_POINT = Point("Battery-1", battery="battery")


async def test_a_battery_with_all_its_values() -> None:
    """Millivolts, milliamperes and tenths of degrees become volts, amperes and degrees; discharging is negative."""
    entities, result, _ = await told(cells())
    assert entities["Battery-1"].batteries == (
        BatteryInfo(
            "battery",
            identifier="BAT-77",
            firmware_version="2.1",
            type="rechargeable",
            technology="lithium-ion",
            nominal_capacity=40_000,
            nominal_voltage=Decimal(48),
            cell_count=15,
        ),
    )
    assert of(result, BATTERY_POINT) == {
        Q.CHARGE: 28_500,
        Q.ACTUAL_CAPACITY: 38_000,
        Q.CYCLE_COUNT: 112,
        Q.CHARGING_STATE: "discharging",
        Q.BATTERY_VOLTAGE: 51.23,
        Q.BATTERY_CURRENT: -4.25,
        Q.TEMPERATURE: 25.4,
        Q.ALARM: frozenset(),
    }


async def test_what_a_battery_does_not_know() -> None:
    """The numbers that mean unknown are no values, and raise no alarm."""
    unknown, signed = 0xFFFFFFFF, 0x7FFFFFFF
    nothing: dict[str, Value] = {
        "c3": 1,
        "c4": 1,
        "c5": 0,
        "c6": 0,
        "c7": unknown,
        "c10": unknown,
        "c11": unknown,
        "c13": 1,
        "c15": unknown,
        "c16": unknown,
        "c17": signed,
        "c18": signed,
    }
    entities, result, _ = await told(cells(**nothing))
    assert entities["Battery-1"].batteries == (BatteryInfo("battery", identifier="BAT-77", firmware_version="2.1"),)
    assert of(result, BATTERY_POINT) == {Q.ALARM: frozenset()}


@pytest.mark.parametrize(
    ("columns", "alarms"),
    [
        ({"c15": 7_999}, {"low"}),
        ({"c16": 43_999}, {"low"}),
        ({"c10": 29_999}, {"aging"}),
        ({"c11": 501}, {"aging"}),
        ({"c18": 451}, {"temperature"}),
        ({"c18": -51}, {"temperature"}),
        ({"c15": 1, "c18": 600, "c11": 900}, {"low", "aging", "temperature"}),
        ({"c15": 1, "c19": 0}, set()),  # 0 switches the threshold off
        ({"c18": 900, "c23": 0x7FFFFFFF}, set()),
        ({"c18": -1, "c24": 0}, {"temperature"}),  # 0 degrees are a threshold
    ],
)
async def test_alarms_by_the_thresholds_of_the_device(columns: dict[str, Value], alarms: set[str]) -> None:
    """Beyond a threshold that the device was given, its alarm is on; several may be."""
    _, result, _ = await told(cells(**columns))
    assert of(result, BATTERY_POINT)[Q.ALARM] == alarms


def test_technologies_and_kinds_are_identities_of_the_models() -> None:
    """Every word told of a battery, of a state or of a relation is one the models know."""
    models = {path.stem: path.read_text("utf-8") for path in Path("yang").glob("eman-*.yang")}
    words = [("eman-battery", name) for name in batteries.TECHNOLOGIES.values()]
    words += [("eman-power-state-set", name) for name in (*STATES.values(), *TRANSITIONS.values())]
    words += [("eman-relationship", name) for name in emanmibs.RELATIONS.values()]
    for module, name in words:
        assert f"identity {name} {{" in models[module], name


# --- over the wire ----------------------------------------------------------------------------------------------------

SYSTEM: dict[Oid, Value] = {
    "1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.8072.3.2.10",
    "1.3.6.1.2.1.1.3.0": 4711,
    "1.3.6.1.2.1.1.5.0": b"blade-1",
}


@pytest.fixture(scope="session")
def simulated() -> Counterpart:
    """A server in the mode of snmpsim that keeps what is written."""
    directory = temporary("objects")
    (directory / "data").mkdir()
    values = SYSTEM | server(c8=513, c9=513) | states(513, 517, 523)
    text = written(values, [f"{ADMIN}.7", f"{OPER}.7"])
    (directory / "data" / "server.snmprec").write_text(text, encoding="ascii")
    return simulate(directory, "server")


async def test_a_power_state_is_ordered_and_read_back(make: Make, simulated: Counterpart) -> None:
    """The number of the state is written to eoPowerAdminState; what eoPowerOperState then shows is told."""
    backend = make(Target("127.0.0.1", simulated.port, Community("server")))
    await backend.open()
    await backend.set_power_state(POINT, "dmtf-off-soft")
    assert ask(simulated.port, "server", f"{ADMIN}.7") == 517
    ask(simulated.port, "server", f"{OPER}.7", 517)  # as the device does when it got there
    assert of(await backend.read(), POINT)[Q.POWER_STATE] == "dmtf-off-soft"
    await backend.set_power_state(POINT, "dmtf-off-soft-graceful")
    assert ask(simulated.port, "server", f"{ADMIN}.7") == 523
    with pytest.raises(Refused, match="cannot be ordered into dmtf-hibernate"):
        await backend.set_power_state(POINT, "dmtf-hibernate")
    ask(simulated.port, "server", f"{OPER}.7", 513)


def types(name: Oid, value: Value) -> str:
    """How snmpd is told to show a value."""
    match value:
        case int():
            return f"override -rw .{name} integer {value}"
        case bytes():
            return f"override .{name} octet_str 0x{value.hex() or '00'}"
        case str():
            return f"override .{name} object_id .{value}"


async def test_an_agent_of_others_shows_the_tables_and_takes_the_order(make: Make) -> None:
    """Net-SNMP's agent, given the tables, is read as an energy object; its state is set and read back."""
    agent = program("snmpd", "snmpd")
    port = free_port()
    tables = server(c8=259, c9=259) | states(257, 259) | cells()
    lines = [f"agentaddress udp:127.0.0.1:{port}", "rocommunity public", f"rwcommunity {SNMPD_WRITER}"]
    lines += [types(name, value) for name, value in tables.items() if value != b""]
    run_snmpd(agent, temporary("objects"), port, lines)
    reader, writer = (
        make(Target("127.0.0.1", port, Community("public"))),
        Target("127.0.0.1", port, Community(SNMPD_WRITER)),
    )
    inventory = await reader.open()
    assert {"", "Server-3"} <= {entity.local for entity in inventory.entities}
    with pytest.raises(Refused):
        await reader.set_power_state(POINT, "ieee1621-off")
    backend = make(writer)
    await backend.open()
    assert of(await backend.read(), POINT) == {Q.ACTIVE_POWER: 184.4, Q.POWER_STATE: "ieee1621-on"}
    await backend.set_power_state(POINT, "ieee1621-off")
    assert ask(port, "public", f"{ADMIN}.7") == 257
    ask(port, SNMPD_WRITER, f"{OPER}.7", 257)
    assert of(await backend.read(), POINT)[Q.POWER_STATE] == "ieee1621-off"


# --- whatever a device says -------------------------------------------------------------------------------------------

TOLD = st.one_of(st.integers(-(2**31), 2**32 - 1), st.binary(max_size=20), st.just("1.3"))
TABLES = st.sampled_from([f"{EO}.{n}.1" for n in (2, 3, 4, 5)] + [f"{PA}.1.1", f"{PA}.3.1", f"{CONTEXT}.1.1"])
ROWS = st.lists(
    st.tuples(
        st.one_of(TABLES, st.sampled_from([f"{CONTEXT}.2.1", BATTERY])),
        st.integers(1, 25),
        st.one_of(
            st.lists(st.integers(1, 9), min_size=1, max_size=1),
            st.tuples(st.integers(1, 9), st.sampled_from([0, 1, 120, 257, 513, 519, 523, 769, 1025])).map(list),
            st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4),
        ),
        TOLD,
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(rows=ROWS)
async def test_whatever_objects_say_the_inventory_is_well_formed(
    rows: list[tuple[str, int, list[int], Value]],
) -> None:
    """Rows without their parts, multipliers and states that make no sense, and wrong types come to nothing bad."""
    values = part(1, 0, CHASSIS, "Box", c19=UUIDS[0]) | part(2, 1, CELLS, "B") | part(3, 2, SUPPLY, "P", c19=UUIDS[1])
    for table, column, index, value in rows:
        values[f"{table}.{column}.{'.'.join(map(str, index))}"] = value
    await told(values)


def test_the_tables_are_those_of_the_documents() -> None:
    """The objects that are read are where RFC 7460, 7461 and 7577 and the entity MIB have them."""
    assert f"{EO}.2.1.1" == emanmibs.POWER
    assert emanmibs.ADMIN == ADMIN
    assert (f"{EO}.5.1.2", f"{EO}.5.1.6") == (emanmibs.CONSUMED, emanmibs.ENERGY_ACCURACY)
    assert f"{CONTEXT}.1.1.14" == emanmibs.INTERFACE
    assert batteries.BATTERY == BATTERY

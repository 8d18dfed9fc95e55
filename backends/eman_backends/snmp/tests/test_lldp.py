"""Neighbours of PoE ports: which port it is, who is there, and what it asks for.

Recordings of switches are given the rows of POWER-ETHERNET-MIB by hand, for none of them has any.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_backends.snmp.complete import Oid, Value
from eman_backends.snmp.explorers import EXPLORERS
from eman_backends.snmp.lldp import LLDP, Port, by_index, by_name
from eman_backends.snmp.readings import Plan
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.survey import choose, survey
from eman_backends.snmp.tables import GENERIC, load
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import place_of_recordings, simulate, temporary
from eman_backends.snmp.tests.mibs import Walk, passed, recording, written
from eman_backends.snmp.tests.told import of, outlet
from eman_netconf.backend import ForeignId, InterfaceInfo, Inventory, Method, Neighbour, Quantity
from tests.well_formed import check_inventory

PETH, REMOTE = "1.3.6.1.2.1.105.1", f"{LLDP}.4.1.1"
IF_TYPE, IF_NAME = "1.3.6.1.2.1.2.2.1.3", "1.3.6.1.2.1.31.1.1.1.1"
TREES = (f"{LLDP}.", "1.3.6.1.2.1.1.", f"{IF_TYPE}.", f"{IF_NAME}.", "1.3.6.1.2.1.2.2.1.6.")
PHONE = bytes.fromhex("00a0b1c2d3e4")


def poe(*ports: Port) -> dict[Oid, Value]:
    """PoE ports that are on; the ones with an odd number feed something."""
    rows: dict[Oid, Value] = {}
    for group, port in ports:
        rows |= {
            f"{PETH}.1.1.3.{group}.{port}": 1,
            f"{PETH}.1.1.6.{group}.{port}": 3 if port % 2 else 2,
            f"{PETH}.1.1.9.{group}.{port}": b"",
        }
    return rows


def interfaces(names: dict[int, str], kind: int = 6) -> dict[Oid, Value]:
    rows: dict[Oid, Value] = {f"{IF_NAME}.{index}": name.encode() for index, name in names.items()}
    return rows | {f"{IF_TYPE}.{index}": kind for index in names}


def remote(row: str, **columns: Value) -> dict[Oid, Value]:
    """A row of lldpRemTable: a phone, unless ``columns``, as ``c9=b"name"``, say else."""
    told: dict[str, Value] = {
        "4": 4,
        "5": PHONE,
        "6": 3,
        "7": PHONE,
        "8": b"SW PORT",
        "9": b"phone-7",
        "10": b"IP Phone",
    }
    told |= {column[1:]: value for column, value in columns.items()}
    return {f"{REMOTE}.{column}.{row}": value for column, value in told.items()}


async def surveyed(values: dict[Oid, Value]) -> tuple[Walk, Inventory, Plan]:
    walk = Walk({"1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.8072.3.2.10"} | values)
    tables = load()
    inventory, plan = await survey(walk, await choose(walk, tables, ()), tables[GENERIC], EXPLORERS)
    check_inventory(inventory)
    return walk, inventory, plan


def neighbours(inventory: Inventory) -> dict[str, Neighbour]:
    found: tuple[InterfaceInfo, ...] = inventory.entities[0].interfaces
    return {one.name: one.neighbour for one in found if one.neighbour is not None}


STACK = {
    10101: "Gi1/0/1",
    10107: "Gi1/0/7",
    10201: "Gi1/1/1",
    10607: "Gi2/0/7",
    10701: "Te2/1/1",
}


@pytest.mark.parametrize(
    ("ports", "names", "interface", "port"),
    [
        ([(1, 1), (1, 7), (2, 1), (2, 7)], STACK, 10107, (1, 7)),
        ([(1, 1), (1, 7), (2, 1), (2, 7)], STACK, 10607, (2, 7)),
        ([(1, 1), (1, 7), (2, 1), (2, 7)], STACK, 10201, None),  # a module for uplinks has a port 1 as well
        ([(1, 1), (1, 7)], {1: "1", 7: "7"}, 7, (1, 7)),
        ([(1, 1), (1, 7)], {1: "ge.1", 7: "ge.7"}, 7, (1, 7)),
        ([(3, 1), (3, 7), (4, 7)], {1: "Gi3/1", 2: "Gi3/7", 3: "Gi4/7"}, 3, (4, 7)),
        ([(1, 3), (1, 4)], {3: "Gi0/1", 4: "Gi0/2", 5: "Gi0/3", 6: "Gi0/4"}, 3, None),  # two ways that disagree
        ([(1, 3), (1, 4)], {4: "Gi0/2", 5: "Gi0/3", 6: "Gi0/4"}, 5, (1, 3)),  # interface 3 is no Ethernet port
        ([(1, 1)], {5: "A1", 6: "B1"}, 5, None),  # two interfaces that it could be
        ([(1, 1), (2, 1)], {5: "uplink"}, 5, None),
    ],
)
def test_which_port_an_interface_is(
    ports: list[Port], names: dict[int, str], interface: int, port: Port | None
) -> None:
    """By its index or by the numbers of its name; where the two disagree or two would fit, it is none."""
    ways = {by_index(interface, ports, names), by_name(ports, names).get(interface)} - {None}
    assert (ways.pop() if len(ways) == 1 else None) == port


async def test_a_phone_at_a_port() -> None:
    """Chassis, port and management address and the inventory of LLDP-MED say who is there, in the model's kinds."""
    row = "4711.10107.1"
    med = f"{LLDP}.5.4795.1.3.3.1"
    values = poe((1, 1), (1, 7)) | interfaces(STACK) | remote(row, c4=5, c5=bytes([1, 192, 0, 2, 77]))
    values |= {
        f"{LLDP}.3.7.1.2.10107": 5,
        f"{LLDP}.3.7.1.3.10107": b"Gi1/0/7",
        f"{LLDP}.4.2.1.3.{row}.1.4.192.0.2.78": 2,
        f"{LLDP}.4.2.1.3.{row}.2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.78": 2,
        f"{med}.4.{row}": b"FCH1234ABCD",
        f"{med}.5.{row}": b"Acme",
        f"{med}.6.{row}": b"P-8851",
        f"{med}.7.{row}": b"A-99",
    }
    _, inventory, _ = await surveyed(values)
    assert neighbours(inventory) == {
        "port-1.7": Neighbour(
            foreign_ids=(
                ForeignId("mac-address", "00:a0:b1:c2:d3:e4"),
                ForeignId("ip-address", "192.0.2.78"),
                ForeignId("ip-address", "2001:db8::4e"),
                ForeignId("ip-address", "192.0.2.77"),
                ForeignId("serial-number", "FCH1234ABCD"),
                ForeignId("asset-tag", "A-99"),
            ),
            name="phone-7",
            description="IP Phone",
            interface="SW PORT",
        )
    }


async def test_of_two_at_a_port_the_one_that_is_fed_is_there() -> None:
    """A telephone passes on what the computer behind it says, the port feeds the telephone; of two others nobody."""
    values = poe((1, 1), (1, 2)) | interfaces({1: "1", 2: "2"})
    for port in (1, 2):
        values |= remote(f"0.{port}.1", c9=b"computer") | remote(f"0.{port}.2")
    _, inventory, _ = await surveyed(values | {f"{LLDP}.5.4795.1.3.5.1.1.0.1.2": 3})
    assert {name: one.name for name, one in neighbours(inventory).items()} == {"port-1.1": "phone-7"}


@pytest.mark.parametrize("requested", ["5.4795.1.3.7.1.1", "5.4623.1.3.2.1.10"])
async def test_what_a_device_asks_for_is_the_best_that_is_known(requested: str) -> None:
    """What it may take at most, in tenths of watts, is told as rated and not as measured, while the port feeds it."""
    values = poe((1, 1)) | interfaces({1: "1"}) | remote("0.1.1") | {f"{LLDP}.{requested}.0.1.1": 62}
    walk, inventory, plan = await surveyed(values)
    result = passed(walk, inventory, plan)
    (power,) = [one for one in result.readings if one.quantity is Quantity.ACTIVE_POWER]
    assert (power.point, power.value, power.method) == (outlet("port-1.1"), Decimal("-6.2"), Method.NAMEPLATE)
    walk.values[f"{PETH}.1.1.6.1.1"] = 2
    assert Quantity.ACTIVE_POWER not in of(passed(walk, inventory, plan), outlet("port-1.1"))


async def test_the_device_may_say_which_port_it_is() -> None:
    """RFC 7461 leads from the port of LLDP to the PoE port where no names and numbers do."""
    context = "1.3.6.1.2.1.231.1.1.1"
    values = poe((1, 1), (2, 1)) | interfaces({17: "uplink-a", 18: "uplink-b"}) | remote("0.33.1")
    _, inventory, _ = await surveyed(values)
    assert not neighbours(inventory)
    values |= {f"{context}.1.9": 1, f"{context}.2.9": 2, f"{context}.3.9": 33}
    _, inventory, _ = await surveyed(values)
    assert list(neighbours(inventory)) == ["port-2.1"]


async def test_the_second_version_of_the_mib() -> None:
    """Where a device has LLDP-V2-MIB alone, its neighbours are found there, by ifIndex."""
    row, base = "0.10607.1.5", "1.3.111.2.802.1.1.13.1.4.1.1"
    told: dict[int, Value] = {5: 4, 6: PHONE, 7: 5, 8: b"eth0", 9: b"", 10: b"camera-3", 11: b""}
    values = poe((1, 7), (2, 7)) | interfaces(STACK) | {f"{base}.{column}.{row}": one for column, one in told.items()}
    _, inventory, _ = await surveyed(values)
    identity = (ForeignId("mac-address", "00:a0:b1:c2:d3:e4"),)
    assert neighbours(inventory) == {"port-2.7": Neighbour(identity, name="camera-3", interface="eth0")}


async def test_a_blade_switch() -> None:
    """HPE 6120XG: of the servers at ports 8, 15 and 16 the addresses; at 17 two speak, so nobody is taken for it."""
    values = recording(place_of_recordings() / "network/switch/hpe-procurve-516733-b21.snmprec.bz2", *TREES)
    _, inventory, _ = await surveyed(values | poe(*((1, port) for port in range(1, 25))))
    assert {name: [one.value for one in told.foreign_ids] for name, told in neighbours(inventory).items()} == {
        "port-1.8": ["e8:39:35:1a:ca:99"],
        "port-1.15": ["e8:39:35:1a:3c:65"],
        "port-1.16": ["e8:39:35:1a:ca:91"],
    }


async def test_a_switch_that_names_its_ports() -> None:
    """Arista DCS-7150S: at two ports the same switch, with its name, its management address and its own ports."""
    values = recording(place_of_recordings() / "cloud/arista-dcs-7150s-52-cl.snmprec.bz2", *TREES)
    _, inventory, _ = await surveyed(values | poe(*((1, port) for port in range(1, 53))))
    found = neighbours(inventory)
    assert {name: told.interface for name, told in found.items()} == {
        "port-1.47": "Ethernet23",
        "port-1.48": "Ethernet24",
    }
    told = found["port-1.47"]
    assert told.name == "ZJ-BP-Bak-Arista"
    assert (told.description or "").startswith("Arista Networks EOS version 4.19.5M")
    assert [(one.kind, one.value) for one in told.foreign_ids] == [
        ("mac-address", "44:4c:a8:31:3e:df"),
        ("ip-address", "172.16.229.22"),
    ]


TOLD = st.one_of(st.integers(-1, 20), st.binary(max_size=20), st.just("1.3"))
ROWS = st.lists(st.tuples(st.integers(4, 12), st.lists(st.integers(0, 300), min_size=1, max_size=7), TOLD), max_size=30)


@settings(max_examples=100)
@given(rows=ROWS, addresses=ROWS, names=st.dictionaries(st.integers(1, 9), st.text(max_size=12), max_size=9))
async def test_whatever_neighbours_say_the_inventory_is_well_formed(
    rows: list[tuple[int, list[int], Value]], addresses: list[tuple[int, list[int], Value]], names: dict[int, str]
) -> None:
    """Rows with wrong indexes and values of wrong types make no neighbour and no harm."""
    values = poe((1, 1), (1, 2), (2, 3)) | interfaces(names)
    for column, index, value in rows:
        values[f"{REMOTE}.{column}.{'.'.join(map(str, index))}"] = value
        values[f"{LLDP}.3.7.1.{column % 4}.{index[0]}"] = value
    for _, index, value in addresses:
        values[f"{LLDP}.4.2.1.3.{'.'.join(map(str, index))}"] = value
    walk, inventory, plan = await surveyed(values)
    passed(walk, inventory, plan)


async def test_over_the_wire(make: Make) -> None:
    """The blade switch behind snmpsim comes up with the same neighbours, on both paths."""
    values = recording(place_of_recordings() / "network/switch/hpe-procurve-516733-b21.snmprec.bz2", *TREES)
    values |= poe(*((1, port) for port in range(1, 25))) | {"1.3.6.1.2.1.1.3.0": 4711}
    directory = temporary("neighbours")
    (directory / "data").mkdir()
    (directory / "data" / "switch.snmprec").write_text(written(values), encoding="ascii")
    device = simulate(directory, "switch")
    backend = make(Target("127.0.0.1", device.port, Community("switch")))
    inventory = await backend.open()
    assert list(neighbours(inventory)) == ["port-1.8", "port-1.15", "port-1.16"]
    assert of(await backend.read(), outlet("port-1.15"))[Quantity.IN_USE] is True

"""Who is at the other end of the cables of PoE ports: LLDP-MIB (IEEE 802.1AB), LLDP-EXT-MED-MIB, LLDP-EXT-DOT3-MIB.

LLDP numbers ports in its own way, and so does POWER-ETHERNET-MIB; nothing standard but RFC 7461 leads from one to the
other. Two ways are tried, by ifIndex and by the numbers in the name of the interface, and where they disagree the port
has no neighbour: no cable is better than a wrong one, since loads are switched off by them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from eman_netconf.backend import ForeignId, Method, Neighbour, Persistence, Point, Quantity

from .builder import Builder
from .complete import Oid, Value
from .readings import cell, number
from .survey import Asks
from .tables import Condition, Rule
from .words import address, mac, text

LLDP = "1.0.8802.1.1.2.1"
REMOTE, LOCAL, ADDRESSES = f"{LLDP}.4.1.1", f"{LLDP}.3.7.1", f"{LLDP}.4.2.1.3"
REMOTE_V2 = "1.3.111.2.802.1.1.13.1.4.1.1"  # the same columns, each one further
CHASSIS = 4  # column of the kind of chassis id; then chassis id, kind of port id, port id, port, name, description
MED_INVENTORY, MED_KIND, MED_REQUESTED = (f"{LLDP}.5.4795.1.3.{part}" for part in ("3.1", "5.1.1", "7.1.1"))
DOT3_CLASS, DOT3_REQUESTED = (f"{LLDP}.5.4623.1.3.2.1.{column}" for column in (1, 10))
MED_POWERED, DOT3_POWERED = 3, 2  # of MED_KIND and DOT3_CLASS: a device that is fed
EO_PORT, EO_GROUP, EO_LLDP = (f"1.3.6.1.2.1.231.1.1.1.{column}" for column in (1, 2, 3))
IF_TYPE, IF_NAME, IF_MAC = "1.3.6.1.2.1.2.2.1.3", "1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.2.2.1.6"
ETHERNET = 6  # of IF_TYPE
DETECTION, DELIVERING = "1.3.6.1.2.1.105.1.1.1.6", 3  # pethPsePortDetectionStatus
MOST_ROWS = 1024  # of each table
MOST_REQUESTED = Decimal(100)  # watts; IEEE 802.3bt ends at 90

MAC_KIND, ADDRESS_KIND = 4, 5  # of a chassis id
PORT_MAC, PORT_NAME, PORT_LOCAL = 3, 5, 7  # of a port id

Port = tuple[int, int]  # pethPsePortGroupIndex, pethPsePortIndex


class Fed(NamedTuple):
    """A PoE port: the entity and interface it is here."""

    local: str
    interface: str


@dataclass(frozen=True, slots=True, eq=False)
class Remote:
    """One neighbour: the row that tells of it, and the local port, by its ifIndex or its number in LLDP."""

    row: str
    port: int
    indexed: bool
    told: Mapping[int, Value]  # by column of LLDP-MIB


# --- which port -------------------------------------------------------------------------------------------------------


def by_index(interface: int, ports: Iterable[Port], names: Mapping[int, str]) -> Port | None:
    """Where ports are numbered as interfaces are: each port of the group is then an Ethernet interface.

    The name of the interface may have no other number.
    """
    numbers = _numbers(names.get(interface, ""))
    if numbers and numbers[-1] != interface:
        return None
    groups = {group for group, port in ports if port == interface}
    if len(groups) != 1:
        return None
    group = groups.pop()
    return (group, interface) if all(port in names for one, port in ports if one == group) else None


def by_name(ports: Iterable[Port], names: Mapping[int, str]) -> dict[int, Port]:
    """Ports by ifIndex, of interfaces whose names end in the number of a port, as 7, 3/7 or Gi1/0/7 do.

    Of several numbers the first is the group, or 0 where there is one group. What two interfaces would be is neither.
    """
    known = set(ports)
    groups = {group for group, _ in known}
    found: dict[int, Port] = {}
    for interface, name in names.items():
        numbers = _numbers(name)
        if not numbers or any(numbers[1:-1]):  # in the middle 0 is the front; others are modules for uplinks
            continue
        tries = [(numbers[0], numbers[-1])] if len(numbers) > 1 else []
        tries += [(next(iter(groups)), numbers[-1])] if len(groups) == 1 and not any(numbers[:-1]) else []
        port = next((one for one in tries if one in known), None)
        if port is not None:
            found[interface] = port
    often = Counter(found.values())
    return {interface: port for interface, port in found.items() if often[port] == 1}


def _numbers(name: str) -> list[int]:
    return [int(one) for one in re.findall(r"[0-9]{1,9}", name)]


def interface_of(
    port: int, told: tuple[int | None, Value | None], names: Mapping[int, str], macs: Mapping[str, int]
) -> int | None:
    """The ifIndex of a port of LLDP, by the kind and value of its id, or else by its number."""
    kind, value = told
    indexes = {name: index for index, name in names.items()}
    said = text(value) or ""
    if kind in {PORT_NAME, PORT_LOCAL} and said in indexes:
        return indexes[said]
    if kind == PORT_LOCAL and said.isdigit() and int(said[:9]) in names:
        return int(said[:9])
    if kind == PORT_MAC and (hardware := mac(value)) in macs:
        return macs[hardware or ""]
    return port if port in names else None


# --- who --------------------------------------------------------------------------------------------------------------


def neighbour(told: Mapping[int, Value], inventory: Mapping[int, Value], addresses: Sequence[str]) -> Neighbour:
    """What a neighbour says of itself; ``inventory`` by column of lldpXMedRemInventoryTable."""
    kind, chassis = number(told.get(CHASSIS)), told.get(CHASSIS + 1)
    port = told.get(CHASSIS + 3)
    hardware = [mac(chassis)] if kind == MAC_KIND else []
    hardware += [mac(port)] if number(told.get(CHASSIS + 2)) == PORT_MAC else []
    network = list(addresses)
    if kind == ADDRESS_KIND and isinstance(chassis, bytes) and (own := address(chassis[1:])) is not None:
        network.append(own)
    identifiers = [("mac-address", one) for one in hardware if one]
    identifiers += [("ip-address", one) for one in network]
    identifiers += [("serial-number", serial)] if (serial := text(inventory.get(4))) else []
    identifiers += [("asset-tag", tag)] if (tag := text(inventory.get(7))) else []
    named = mac(port) if number(told.get(CHASSIS + 2)) == PORT_MAC else text(port)
    made = " ".join(said for column in (5, 6) if (said := text(inventory.get(column))))
    return Neighbour(
        foreign_ids=tuple(
            ForeignId(each, value, persistence=Persistence.UNKNOWN) for each, value in dict.fromkeys(identifiers)
        ),
        name=text(told.get(CHASSIS + 5)),
        description=text(told.get(CHASSIS + 6)) or made or None,
        interface=text(told.get(CHASSIS + 4)) or named,
    )


def _managed(rows: Iterable[str]) -> dict[str, list[str]]:
    """Management addresses by the row of their neighbour; they are in the index: kind, length, octets."""
    found: dict[str, list[str]] = {}
    for row in rows:
        parts = row.split(".")
        octets = parts[5:] if len(parts) > 5 and parts[4].isdigit() and int(parts[4]) == len(parts) - 5 else parts[4:]
        if all(part.isdigit() and int(part) < 256 for part in octets):
            told = address(bytes(int(part) for part in octets))
            if told is not None:
                found.setdefault(".".join(parts[:3]), []).append(told)
    return found


# --- asking and telling -----------------------------------------------------------------------------------------------


async def explore(client: Asks, builder: Builder) -> None:
    """The explorer: neighbours of the PoE ports that tables have found. Raises Unavailable."""
    ports = {
        port: Fed("", info.name)
        for info in builder.interfaces().values()
        for one in info.foreign_ids
        if one.kind == "peth-pse-port" and (port := _port(one.value)) is not None
    }
    if not ports:
        return
    remotes = await _remotes(client)
    if not remotes:
        return
    placed = await _placed(client, remotes, ports)
    rows = [remote.row for remote in remotes if remote in placed and not remote.indexed]
    wanted = [f"{column}.{row}" for row in rows for column in (MED_KIND, MED_REQUESTED, DOT3_CLASS, DOT3_REQUESTED)]
    wanted += [f"{MED_INVENTORY}.{column}.{row}" for row in rows for column in (4, 5, 6, 7)]
    values = await client.get(wanted, whole=True)
    managed = _managed(await client.column(ADDRESSES, MOST_ROWS) if rows else ())
    for port, fed in ports.items():
        there = [remote for remote, where in placed.items() if where == port]
        fed_ones = [remote for remote in there if _is_fed(remote.row, values)]
        who = there[0] if len(there) == 1 else fed_ones[0] if len(fed_ones) == 1 else None
        if who is None:  # nobody, or several that the port cannot all feed
            continue
        inventory = {
            column: value
            for column in (4, 5, 6, 7)
            if not who.indexed and (value := values.get(f"{MED_INVENTORY}.{column}.{who.row}")) is not None
        }
        known = builder.interfaces(fed.local)[fed.interface]
        found = neighbour(who.told, inventory, [] if who.indexed else managed.get(who.row, []))
        builder.interface(replace(known, neighbour=found), fed.local)
        for place in (MED_REQUESTED, DOT3_REQUESTED):
            if not who.indexed and number(values.get(f"{place}.{who.row}")):
                builder.read(cell(Point(fed.local, fed.interface), requested(f"{place}.{who.row}", port)))
                break


def requested(place: Oid, port: Port) -> Rule:
    """What a neighbour asks for is the most it may take: better than nothing while the port feeds it, and no meter."""
    return Rule(
        Quantity.ACTIVE_POWER,
        oid=place,
        scale=Decimal("-0.1"),
        between=(-MOST_REQUESTED, Decimal(0)),
        only_when=Condition(f"{DETECTION}.{port[0]}.{port[1]}", frozenset({DELIVERING})),
        method=Method.NAMEPLATE,
    )


def _port(value: str) -> Port | None:
    group, _, port = value.partition(".")
    return (int(group), int(port)) if group.isdigit() and port.isdigit() else None


def _is_fed(row: str, values: Mapping[Oid, Value]) -> bool:
    med, dot3 = number(values.get(f"{MED_KIND}.{row}")), number(values.get(f"{DOT3_CLASS}.{row}"))
    return med == MED_POWERED or dot3 == DOT3_POWERED


async def _remotes(client: Asks) -> list[Remote]:
    """The neighbours of the first version of the MIB, or else of the second."""
    for base, shift, parts in ((REMOTE, 0, 3), (REMOTE_V2, 1, 4)):
        if not await client.first([f"{base}.{CHASSIS + 1 + shift}"]):
            continue
        ids = await client.column(f"{base}.{CHASSIS + 1 + shift}", MOST_ROWS)
        rows = [row for row in ids if row.count(".") == parts - 1]
        columns = range(CHASSIS, CHASSIS + 7)
        names = {(row, column): f"{base}.{column + shift}.{row}" for row in rows for column in columns}
        values = await client.get(list(names.values()), whole=True)
        told: dict[str, dict[int, Value]] = {}
        for (row, column), name in names.items():
            if name in values:
                told.setdefault(row, {})[column] = values[name]
        return [Remote(row, int(row.split(".")[1]), shift == 1, told.get(row, {})) for row in rows]
    return []


async def _placed(client: Asks, remotes: Sequence[Remote], ports: Mapping[Port, Fed]) -> dict[Remote, Port]:
    """The PoE port that each neighbour is at, as far as that is known."""
    types = await client.column(IF_TYPE, MOST_ROWS)
    told = await client.column(IF_NAME, MOST_ROWS)
    names = {
        int(row): name
        for row, value in told.items()
        if row.isdigit() and number(types.get(row)) == ETHERNET and (name := text(value)) is not None
    }
    numbers = sorted({remote.port for remote in remotes if not remote.indexed})
    wanted = [f"{LOCAL}.{column}.{port}" for port in numbers for column in (2, 3)]
    values = await client.get(wanted, whole=True)
    ids = {port: (number(values.get(f"{LOCAL}.2.{port}")), values.get(f"{LOCAL}.3.{port}")) for port in numbers}
    macs: dict[str, int] = {}
    if any(kind == PORT_MAC for kind, _ in ids.values()):
        told = await client.column(IF_MAC, MOST_ROWS)
        hardware = {int(row): mac(value) for row, value in told.items() if row.isdigit()}
        often = Counter(hardware.values())
        macs = {one: index for index, one in hardware.items() if one and often[one] == 1 and index in names}
    stated = await _stated(client, ports)
    named = by_name(ports, names)
    placed: dict[Remote, Port] = {}
    for remote in remotes:
        index = remote.port if remote.indexed else interface_of(remote.port, ids[remote.port], names, macs)
        ways = {by_index(index, ports, names), named.get(index)} - {None} if index is not None else set()
        port = stated.get(remote.port) if not remote.indexed and remote.port in stated else None
        if port is None and len(ways) == 1:
            port = ways.pop()
        if port is not None:
            placed[remote] = port
    return placed


async def _stated(client: Asks, ports: Mapping[Port, Fed]) -> dict[int, Port]:
    """Which port of LLDP is which PoE port where the device says so (RFC 7461)."""
    if not await client.first([EO_LLDP]):
        return {}
    rows = await client.column(EO_LLDP, MOST_ROWS)
    values = await client.get([f"{column}.{row}" for row in rows for column in (EO_GROUP, EO_PORT)], whole=True)
    found: dict[int, set[Port]] = {}
    for row, value in rows.items():
        port = number(values.get(f"{EO_GROUP}.{row}")) or 0, number(values.get(f"{EO_PORT}.{row}")) or 0
        if port in ports:
            found.setdefault(number(value) or 0, set()).add(port)
    return {lldp: next(iter(one)) for lldp, one in found.items() if lldp and len(one) == 1}

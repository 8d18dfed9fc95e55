"""Devices of general MIBs: as walks that are asked without a network, and as files for snmpsim."""

from __future__ import annotations

import bz2
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eman_backends.snmp.builder import Builder
from eman_backends.snmp.complete import Oid, Value
from eman_backends.snmp.readings import Plan, readings
from eman_backends.snmp.survey import Explorer
from eman_netconf.backend import Inventory, Pass
from tests.well_formed import check_inventory, check_pass

ENTITY, SENSOR = "1.3.6.1.2.1.47.1.1.1.1", "1.3.6.1.2.1.99.1.1.1"
_TAGS: Mapping[str, Callable[[str], Value]] = {
    **dict.fromkeys(("2", "65", "66", "67", "70"), int),
    "4": str.encode,
    "4x": bytes.fromhex,
    "6": str,
    "64": str,
}


def part(index: int, inside: int, kind: int, name: str, **more: Value) -> dict[Oid, Value]:
    """A row of entPhysicalTable; ``more`` by column, as ``c11=b"serial"``."""
    row: dict[str, Value] = {"2": b"", "4": inside, "5": kind, "7": name.encode()}
    row |= {column[1:]: value for column, value in more.items()}
    return {f"{ENTITY}.{column}.{index}": value for column, value in row.items()}


def sensor(
    index: int, inside: int, name: str, kind: int, value: int, *, scale: int = 9, precision: int = 0, status: int = 1
) -> dict[Oid, Value]:
    """A sensor with its rows in both tables."""
    columns = enumerate((kind, scale, precision, value, status), 1)
    return part(index, inside, 8, name) | {f"{SENSOR}.{column}.{index}": told for column, told in columns}


class Walk:
    """What a device would answer to, in a mapping; counts what it is asked."""

    def __init__(self, values: Mapping[Oid, Value]) -> None:
        self.values = dict(values)
        self.order = sorted(values, key=_order)
        self.asked = 0
        self.said: list[str] = []

    async def get(self, names: Sequence[Oid], *, whole: bool = False) -> dict[Oid, Value]:
        del whole
        self.asked += len(names)
        return {name: self.values[name] for name in names if name in self.values}

    async def walk(self, column: Oid, most: int) -> list[str]:
        return list(await self.column(column, most))

    async def column(self, column: Oid, most: int) -> dict[str, Value]:
        found = [name for name in self.order if name.startswith(f"{column}.")][:most]
        self.asked += len(found)
        return {name[len(column) + 1 :]: self.values[name] for name in found}

    async def first(self, prefixes: Sequence[Oid]) -> dict[Oid, Value]:
        found = {prefix: next((n for n in self.order if n.startswith(f"{prefix}.")), None) for prefix in prefixes}
        return {prefix: self.values[name] for prefix, name in found.items() if name is not None}

    def say(self, text: str) -> None:
        self.said.append(text)


async def explored(walk: Walk, *explorers: Explorer) -> tuple[Inventory, Plan]:
    """What explorers tell of a device; checked to be well formed."""
    builder = Builder()
    for explore in explorers:
        await explore(walk, builder)
        builder.turn()
    inventory = builder.inventory()
    check_inventory(inventory)
    return inventory, builder.plan()


def passed(walk: Walk, inventory: Inventory, plan: Plan) -> Pass:
    """The pass that the plan makes of what the device has; checked to be well formed."""
    result = readings(plan.cells, walk.values, 0.0)
    check_pass(inventory, result)
    return result


def recording(path: Path, *prefixes: str) -> dict[Oid, Value]:
    """What a file of snmpsim holds below these OIDs; values that it varies are left out."""
    data = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
    found: dict[Oid, Value] = {}
    for line in data.decode("latin-1").splitlines():
        name, _, rest = line.partition("|")
        tag, _, value = rest.partition("|")
        if name.startswith(prefixes) and tag in _TAGS:
            found[name] = _TAGS[tag](value)
    return found


def written(values: Mapping[Oid, Value], writable: Sequence[Oid] = ()) -> str:
    """A file for snmpsim; what is ``writable`` keeps what is written."""
    return "".join(f"{_line(name, values[name], name in writable)}\n" for name in sorted(values, key=_order))


def _line(name: Oid, value: Value, writable: bool) -> str:
    match value:
        case int():
            return f"{name}|2:writecache|value={value}" if writable else f"{name}|2|{value}"
        case bytes():
            return f"{name}|4x|{value.hex()}"
        case str():
            return f"{name}|6|{value}"


def _order(name: Oid) -> list[int]:
    return [int(part) for part in name.split(".")]

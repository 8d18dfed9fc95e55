"""Shows what a table makes of a device that was walked: ``python -m eman_backends.snmp.tables WALK [TABLE]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from eman_backends.snmp.explorers import EXPLORERS
from eman_backends.snmp.readings import Plan, readings
from eman_backends.snmp.survey import choose, survey
from eman_netconf.backend import EntityInfo, Inventory, Pass, Point, Quantity, Reading

from . import GENERIC, TableError, load, names, read
from .walk import Walk, WalkError

UNITS = {
    **dict.fromkeys((Quantity.ACTIVE_POWER, Quantity.POWER_LIMIT), "W"),
    Quantity.APPARENT_POWER: "VA",
    Quantity.REACTIVE_POWER: "var",
    **dict.fromkeys((Quantity.VOLTAGE, Quantity.VOLTAGE_TO_NEXT, Quantity.BATTERY_VOLTAGE), "V"),
    **dict.fromkeys((Quantity.CURRENT, Quantity.NEUTRAL_CURRENT, Quantity.BATTERY_CURRENT), "A"),
    Quantity.FREQUENCY: "Hz",
    **dict.fromkeys((Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED), "Wh"),
    **dict.fromkeys((Quantity.CHARGE_PERCENT, Quantity.THD_VOLTAGE, Quantity.THD_CURRENT), "%"),
    **dict.fromkeys((Quantity.CHARGE, Quantity.ACTUAL_CAPACITY), "mAh"),
    Quantity.TEMPERATURE: "°C",
    Quantity.RUNTIME_REMAINING: "s",
    Quantity.PHASE_ANGLE: "°",
}


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 when the table fits and something is read, else 1 with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m eman_backends.snmp.tables",
        description="Show the inventory and the readings that a table makes of a device that was walked.",
    )
    parser.add_argument("walk", type=Path, help="what snmpwalk -On printed; - reads it from the standard input")
    parser.add_argument("table", type=Path, nargs="?", help="a table to try; else those that come along and fit")
    given = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if str(given.walk) == "-" else given.walk.read_text(encoding="utf-8", errors="replace")
        lines = asyncio.run(_shown(Walk(text), given.table))
    except TableError as error:
        return _failed(str(error))
    except (OSError, WalkError) as error:
        return _failed(f"{given.walk}: {error}")
    print("\n".join(lines))
    return 0


def _failed(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


async def _shown(walk: Walk, path: Path | None) -> list[str]:
    """What is printed. Raises TableError."""
    tables = dict(load())
    if path is not None:
        tables[path.stem] = own = read(path)
    chosen = await choose(walk, tables, ())
    if path is not None:
        if own not in chosen:
            raise TableError(f"{path.name}: match: the device does not bear these marks")
        if others := [table for table in chosen if table is not own]:
            walk.say(f"{names(others)} is read too; name it in instead-of where this table tells all of it")
        chosen = (own,)
    if not chosen:
        raise TableError("no table fits this device; write one, and give it as the second argument")
    inventory, plan = await survey(walk, chosen, tables[GENERIC], EXPLORERS)
    told = readings(plan.cells, walk.values, 0.0)
    return [f"read as {names(chosen)}", *_inventory(inventory, plan, told), *(f"! {text}" for text in walk.remarks)]


def _inventory(inventory: Inventory, plan: Plan, told: Pass) -> Iterator[str]:
    for entity in inventory.entities:
        yield ""
        yield f"{entity.entity_class} {entity.local or '(the device)'}: {_facts(entity)}"
        yield from _about(Point(entity.local), plan, told)
        for interface in entity.interfaces:
            yield f"  {interface.direction} {interface.name}: {_facts(interface)}"
            yield from _about(Point(entity.local, interface=interface.name), plan, told)
        for battery in entity.batteries:
            yield f"  battery {battery.name}: {_facts(battery)}"
            yield from _about(Point(entity.local, battery=battery.name), plan, told)


def _facts(info: Any) -> str:
    """Fields that say more than their default."""
    skipped = {"local", "name", "direction", "interfaces", "batteries", "entity_class"}
    if isinstance(info, EntityInfo):
        skipped.remove("name")
    facts = ((one.name, getattr(info, one.name)) for one in fields(info) if one.name not in skipped)
    known = ((name, value) for name, value in facts if value not in {None, (), False, "", "unknown"})
    return ", ".join(name.replace("_", "-") + ("" if value is True else f" {_plain(value)}") for name, value in known)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, tuple):
        return " ".join(_plain(one) for one in value)
    kind, text = getattr(value, "kind", None), getattr(value, "value", None)
    return f"{kind}={text}" if kind is not None else str(value)


def _about(point: Point, plan: Plan, told: Pass) -> Iterator[str]:
    """What is read there, and what is written for a command."""
    for one in _sorted(one for one in told.readings if one.point == point):
        unit, phase = UNITS.get(one.quantity, ""), f" of phase {one.phase}" if one.phase else ""
        accuracy = f" ±{_plain(one.accuracy)} %" if one.accuracy is not None else ""
        method = f" ({one.method})" if isinstance(one.value, Decimal) else ""
        yield f"    {one.quantity}{phase} {_plain(one.value)}{f' {unit}' if unit else ''}{accuracy}{method}"
    for supply, write in plan.switches.get(point, {}).items():
        yield f"    {supply}: write {write}"
    for state, write in plan.states.get(point, {}).items():
        yield f"    {state}: write {write}"
    if (test := plan.tests.get(point)) is not None:
        yield f"    test: write {test}"
    if point in told.missing:
        yield f"    nothing: {told.missing[point]}"


def _sorted(found: Iterable[Reading]) -> list[Reading]:
    return sorted(found, key=lambda one: (one.quantity, one.phase or 0))


if __name__ == "__main__":
    sys.exit(main())

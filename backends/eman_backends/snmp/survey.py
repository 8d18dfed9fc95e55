"""From a device that answers to its inventory and the plan of its readings, by the tables that fit it."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from eman_netconf.backend import BatteryInfo, ForeignId, InterfaceInfo, Inventory, Point, Supply

from .builder import Builder
from .client import Client
from .complete import Oid, Value
from .readings import Plan, cell, number
from .tables import GENERIC, NUMBERS, Attribute, Identifier, Kind, Section, Table, instance
from .writes import Write

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
MOST_ROWS = 2048  # of one SNMP table; a stack of eight switches has 400 ports
MOST_VALUES = 10000  # of one device
ROWS_AT_ONCE = 100  # that are worked on before others on the loop have their turn

Row = tuple[Section, str]  # a section and the index of one of its rows, "" for a section without rows


async def choose(client: Client, tables: Mapping[str, Table], named: Sequence[str]) -> tuple[Table, ...]:
    """The tables that fit the device: those named, or those whose marks it bears. Raises Unavailable."""
    if named:
        return tuple(tables[name] for name in named)
    said = (await client.get([SYS_OBJECT_ID])).get(SYS_OBJECT_ID)
    kind = said if isinstance(said, str) else ""
    fitting = [
        table
        for table in tables.values()
        if table.name != GENERIC
        and (not table.objects or any(f"{kind}.".startswith(f"{prefix}.") for prefix in table.objects))
    ]
    found = await client.first([table.probe for table in fitting if table.probe is not None])
    fitting = [
        table
        for table in fitting
        if table.probe is None or (table.probe in found and number(found[table.probe]) not in table.unlike)
    ]
    replaced = {name for table in fitting for name in table.instead_of}
    return tuple(table for table in fitting if table.name not in replaced)


class Explorer(Protocol):
    """Looks for one MIB and tells what it finds there; such are the modules of general MIBs.

    An explorer asks ``client.first(...)`` whether the device has its MIB, and returns at once where it has not. What
    it finds it tells the builder, after the tables: ``builder.entity``, ``interface``, ``battery``, ``state_set`` for
    what is there, ``read(cell(point, rule, row))`` for what a pass asks for, ``switch``, ``states``, ``test`` for what
    can be written. It walks no more than ``MOST_ROWS`` rows, and gives others on the loop a turn among many.
    """

    async def __call__(self, client: Client, builder: Builder) -> None:
        """Raises Unavailable when the device stops answering."""


async def survey(
    client: Client, tables: Sequence[Table], generic: Table, explorers: Sequence[Explorer] = ()
) -> tuple[Inventory, Plan]:
    """What the device has, and how it is read and told. Raises Unavailable.

    The tables go first, then the explorers in their order, at last what every device tells of itself.
    """
    builder = Builder()
    await _apply(client, tables, builder)
    for explore in explorers:
        builder.turn()
        await explore(client, builder)
    if generic not in tables:
        builder.turn()
        await _apply(client, [generic], builder)
    return builder.inventory(), builder.plan()


async def _apply(client: Client, tables: Sequence[Table], builder: Builder) -> None:
    """Tell the builder what the device has of these tables."""
    rows: list[Row] = [(table.entity, "") for table in tables]
    wanted = [oid for section, index in rows for oid in _needs(section, index)]
    for row in [row for table in tables for section in table.sections for row in await _rows(client, section)]:
        needed = _needs(*row)
        if len(wanted) + len(needed) > MOST_VALUES:
            client.say(f"has more than {MOST_VALUES} values; the others are not read")
            break
        wanted += needed
        rows.append(row)
    values = await client.get(wanted, whole=True)
    for count, (section, index) in enumerate(rows):
        _tell(builder, section, index, values)
        if count % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)


def _tell(builder: Builder, section: Section, index: str, values: Mapping[Oid, Value]) -> None:
    """One row of a section, or a section without rows."""
    label = _filled(section.name, index)
    point = _point(section.kind, label)
    cells = [cell(point, rule, index, _phase(section, index, rule.phase)) for rule in section.rules]
    live = [one for one in cells if any(oid in values for oid in one.oids)]
    if section.kind is not Kind.DEVICE and not live and (not index or section.phase is not None):
        return  # nothing of it is there
    attributes = _attributes(section, index, values)
    identifiers = _identifiers(section, index, values)
    match section.kind:
        case Kind.DEVICE | Kind.COMPONENT:
            builder.entity(point.entity, foreign_ids=identifiers, **attributes)
        case Kind.INTERFACE:
            builder.interface(InterfaceInfo(label, section.direction, foreign_ids=identifiers, **attributes))
        case Kind.BATTERY:
            builder.battery(BatteryInfo(label, **attributes))
    for one in live:
        builder.read(one)
    if section.switch is not None:
        oid = instance(section.switch.oid, index)
        builder.switch(point, {Supply.ON: Write(oid, section.switch.on), Supply.OFF: Write(oid, section.switch.off)})


async def _rows(client: Client, section: Section) -> list[Row]:
    """The rows that are real."""
    if section.rows is None:
        return [(section, "")]
    found = await client.walk(section.rows, MOST_ROWS)
    if section.count is not None:
        count = number((await client.get([section.count])).get(section.count))
        found = found[: max(count, 0)] if count is not None else found
    if section.where is not None:
        where = {index: instance(section.where.oid, index) for index in found}
        told = await client.get(list(where.values()), whole=True)
        given = {index: number(told.get(oid)) for index, oid in where.items()}
        found = [index for index, mark in given.items() if mark is not None and section.where.holds(mark)]
    if section.phase is not None:
        found = [index for index in found if _part(index, section.phase) in {1, 2, 3}]
    return [(section, index) for index in found]


def _needs(section: Section, index: str) -> list[Oid]:
    places: list[Attribute | Identifier] = [*section.attributes.values(), *section.identifiers]
    needed = [place.oid for place in places if place.oid is not None]
    needed += [place.when.oid for place in places if place.when is not None]
    needed += [oid for rule in section.rules for oid in rule.needs]
    return [instance(oid, index) for oid in needed]


def _part(index: str, which: int) -> int | None:
    parts = index.split(".")
    return int(parts[which - 1]) if which <= len(parts) else None


def _phase(section: Section, index: str, own: int | None) -> int | None:
    return _part(index, section.phase) if section.phase is not None else own


def _filled(template: str, index: str) -> str:
    text = template.replace("{index}", index)
    return re.sub(r"\{([1-9])\}", lambda match: str(_part(index, int(match[1])) or 0), text)


def _point(kind: Kind, label: str) -> Point:
    match kind:
        case Kind.INTERFACE:
            return Point(interface=label)
        case Kind.BATTERY:
            return Point(battery=label)
        case Kind.COMPONENT:
            return Point(entity=label)
        case Kind.DEVICE:
            return Point()


def _identifiers(section: Section, index: str, values: Mapping[Oid, Value]) -> tuple[ForeignId, ...]:
    found = []
    for one in section.identifiers:
        if one.template is not None:
            found.append(ForeignId(one.kind, _filled(one.template, index), persistence=one.persistence))
            continue
        value = _told(one, index, values)
        text = _mac(value) if one.kind == "mac-address" else _text(value)
        if text and text not in one.absent:
            found.append(ForeignId(one.kind, text, persistence=one.persistence))
    return tuple(found)


def _attributes(section: Section, index: str, values: Mapping[Oid, Value]) -> dict[str, Any]:
    """Fields of the info classes, by name; what is not known is left out."""
    found: dict[str, Any] = {}
    for name, attribute in section.attributes.items():
        value = attribute.text if attribute.text is not None else _read(name, attribute, index, values)
        if value is not None:
            found[name.replace("-", "_")] = value
    return found


def _read(name: str, attribute: Attribute, index: str, values: Mapping[Oid, Value]) -> str | int | Decimal | None:
    value = _told(attribute, index, values)
    if value is None:
        return None
    if name == "uuid":
        return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) and len(value) == 16 and any(value) else None
    if attribute.words is not None:
        given = number(value)
        return attribute.words.get(given) if given is not None else None
    if name in NUMBERS:
        given = number(value)
        if given is None or given in attribute.absent:
            return None
        return int(given * attribute.scale) if name in {"nominal-capacity", "cell-count"} else given * attribute.scale
    text = _text(value)
    return None if text in attribute.absent else text


def _told(place: Attribute | Identifier, index: str, values: Mapping[Oid, Value]) -> Value | None:
    if place.when is not None:
        given = number(values.get(instance(place.when.oid, index)))
        if given is None or not place.when.holds(given):
            return None
    return values.get(instance(place.oid or "", index))


def _text(value: Value | None) -> str | None:
    """What a device calls something: readable, on one line, not empty, at most 255 characters."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = "".join(character if character.isprintable() else " " for character in text.split("\0")[0])
    return " ".join(text.split())[:255] or None


def _mac(value: Value | None) -> str | None:
    return value.hex(":") if isinstance(value, bytes) and len(value) == 6 and any(value) else None

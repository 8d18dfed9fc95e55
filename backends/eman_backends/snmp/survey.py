"""From a device that answers to its inventory and the plan of its readings, by the tables that fit it."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from eman_netconf.backend import (
    BatteryInfo,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Inventory,
    Persistence,
    Point,
)

from .client import Client
from .complete import Oid, Value
from .readings import Cell, Plan, cell, number
from .tables import GENERIC, NUMBERS, Attribute, Identifier, Kind, Section, Switch, Table, instance

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


async def survey(client: Client, tables: Sequence[Table], generic: Table, name: str) -> tuple[Inventory, Plan]:
    """What the device has, and how it is read. ``name`` is that of the backend. Raises Unavailable."""
    described = (*tables, *(() if generic in tables else (generic,)))
    rows: list[Row] = [(table.entity, "") for table in described]
    wanted = [oid for section, index in rows for oid in _needs(section, index)]
    for row in [row for table in tables for section in table.sections for row in await _rows(client, section)]:
        needed = _needs(*row)
        if len(wanted) + len(needed) > MOST_VALUES:
            client.say(f"has more than {MOST_VALUES} values; the others are not read")
            break
        wanted += needed
        rows.append(row)
    findings = Findings(name, await client.get(wanted, whole=True))
    for count, (section, index) in enumerate(rows):
        findings.add(section, index)
        if count % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return findings.inventory(), Plan(tuple(findings.cells), findings.switches)


class Findings:
    """What is made of a device's rows, one after the other; where two tell of one thing, the first goes first."""

    def __init__(self, backend: str, values: Mapping[Oid, Value]) -> None:
        self.cells: list[Cell] = []
        self.switches: dict[Point, Switch] = {}
        self._backend = backend
        self._values = values
        self._attributes: dict[str, Any] = {}
        self._identifiers: dict[ForeignId, None] = {}
        self._interfaces: dict[str, InterfaceInfo] = {}
        self._phases: dict[str, set[int]] = {}
        self._batteries: dict[str, BatteryInfo] = {}
        self._components: dict[str, EntityInfo] = {}

    def add(self, section: Section, index: str) -> None:
        """One row of a section, or a section without rows."""
        label = _filled(section.name, index)
        point = _point(section.kind, label)
        cells = [cell(point, rule, index, _phase(section, index, rule.phase)) for rule in section.rules]
        live = [one for one in cells if any(oid in self._values for oid in one.oids)]
        self.cells += live
        if section.kind is Kind.DEVICE:
            self._attributes = _attributes(section, index, self._values) | self._attributes
            self._identifiers |= dict.fromkeys(_identifiers(section, index, self._values))
        elif live or (index and section.phase is None):  # else nothing of it is there
            self._thing(section, index, label, live)
            if section.switch is not None:
                self.switches[point] = replace(section.switch, oid=instance(section.switch.oid, index))

    def _thing(self, section: Section, index: str, label: str, live: Sequence[Cell]) -> None:
        attributes = _attributes(section, index, self._values)
        identifiers = _identifiers(section, index, self._values)
        match section.kind:
            case Kind.INTERFACE:
                made = InterfaceInfo(
                    label,
                    section.direction,
                    foreign_ids=identifiers,
                    switchable=section.switch is not None,
                    **attributes,
                )
                known = self._interfaces.get(label)
                self._interfaces[label] = made if known is None else _joined(known, made)
                self._phases.setdefault(label, set()).update(one.phase for one in live if one.phase is not None)
            case Kind.BATTERY:
                self._batteries.setdefault(label, BatteryInfo(label, **attributes))
            case Kind.COMPONENT:
                made_of = EntityInfo(
                    local=label,
                    contained_in=self._backend,
                    entity_class="component",
                    foreign_ids=identifiers,
                    **attributes,
                )
                self._components.setdefault(label, made_of)

    def inventory(self) -> Inventory:
        """All that was found."""
        interfaces = [
            replace(one, ac_phases=len(phases)) if (phases := self._phases[name]) and one.current_type == "ac" else one
            for name, one in self._interfaces.items()
        ]
        device = EntityInfo(
            **self._attributes,
            identifier_persistence=Persistence.PERSISTENT if "uuid" in self._attributes else Persistence.UNKNOWN,
            foreign_ids=tuple(self._identifiers),
            interfaces=tuple(interfaces),
            batteries=tuple(self._batteries.values()),
        )
        return Inventory((device, *self._components.values()))


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


def _joined(one: InterfaceInfo, other: InterfaceInfo) -> InterfaceInfo:
    """One interface that two sections speak of; what the first tells goes first."""
    return replace(
        one,
        label=one.label or other.label,
        current_type=one.current_type or other.current_type,
        rated_current=one.rated_current if one.rated_current is not None else other.rated_current,
        rated_power=one.rated_power if one.rated_power is not None else other.rated_power,
        foreign_ids=tuple(dict.fromkeys((*one.foreign_ids, *other.foreign_ids))),
        switchable=one.switchable or other.switchable,
    )


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

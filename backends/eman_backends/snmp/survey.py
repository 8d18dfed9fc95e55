"""From a device that answers to its inventory and the plan of its readings, by the tables that fit it."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from eman_netconf.backend import BatteryInfo, ForeignId, InterfaceInfo, Inventory, Point, Supply

from .builder import Builder
from .complete import Oid, Value
from .readings import Plan, cell, number
from .tables import (
    GENERIC,
    NUMBERS,
    Attribute,
    Condition,
    Identifier,
    Kind,
    Rule,
    Section,
    Switch,
    Table,
    instance,
)

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
MOST_ROWS = 2048  # of one SNMP table; a stack of eight switches has 400 ports
MOST_VALUES = 10000  # of one device
MOST_DIGITS = 18  # after the point
ROWS_AT_ONCE = 100  # that are worked on before others on the loop have their turn

_WRITTEN = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<kilo>k?)(?:A|V|VA|W|Hz)?")
_RANGE = re.compile(r"(?P<low>[0-9]+) ?- ?(?P<high>[0-9]+) ?V?")


class Asks(Protocol):
    """A way to ask a device: a ``Client``, or a walk that somebody saved."""

    async def get(self, names: Sequence[Oid], *, whole: bool = False) -> dict[Oid, Value]:
        """The values that the device has under these names. Raises Unavailable."""

    async def walk(self, column: Oid, most: int) -> list[str]:
        """The indexes of the rows that a column has. Raises Unavailable."""

    async def column(self, column: Oid, most: int) -> dict[str, Value]:
        """What stands in a column, by the indexes of its rows. Raises Unavailable."""

    async def first(self, prefixes: Sequence[Oid]) -> dict[Oid, Value]:
        """The first value below each prefix that has one. Raises Unavailable."""

    def say(self, text: str) -> None:
        """Log a peculiarity of the device, once."""


@dataclass(frozen=True, slots=True)
class Row:
    """A section and one of its rows; the index is "" for a section without rows."""

    section: Section
    index: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""  # the local name of the entity it belongs to, "" = the device
    phase: int | None = None

    def filled(self, template: str) -> str:
        """A name, with the parts of the index and the columns put in."""
        parts = {str(number): part for number, part in enumerate(self.index.split("."), 1)}
        known = {"index": self.index, **parts, **self.columns}
        return re.sub(r"\{([^}]+)\}", lambda match: known.get(match[1], "0"), template)

    def of(self, oid: Oid) -> Oid:
        """The instance of a column in this row."""
        return instance(oid, self.index)

    @property
    def point(self) -> Point:
        """Where what it tells belongs."""
        label = self.filled(self.section.name)
        match self.section.kind:
            case Kind.INTERFACE:
                return Point(self.unit, interface=label)
            case Kind.BATTERY:
                return Point(self.unit, battery=label)
            case Kind.COMPONENT:
                return Point(f"{self.unit}.{label}" if self.unit else label)
            case Kind.DEVICE | Kind.UNIT:
                return Point(self.unit)


async def choose(client: Asks, tables: Mapping[str, Table], named: Sequence[str]) -> tuple[Table, ...]:
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

    async def __call__(self, client: Asks, builder: Builder) -> None:
        """Raises Unavailable when the device stops answering."""


async def survey(
    client: Asks, tables: Sequence[Table], generic: Table, explorers: Sequence[Explorer] = ()
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


async def _apply(client: Asks, tables: Sequence[Table], builder: Builder) -> None:
    """Tell the builder what the device has of these tables."""
    rows = [Row(table.entity) for table in tables]
    wanted = [oid for row in rows for oid in _needs(row)]
    for row in [row for table in tables for section in table.sections for row in await _rows(client, table, section)]:
        needed = _needs(row)
        if len(wanted) + len(needed) > MOST_VALUES:
            client.say(f"has more than {MOST_VALUES} values; the others are not read")
            break
        wanted += needed
        rows.append(row)
    values = await client.get(wanted, whole=True)
    for count, row in enumerate(rows):
        _tell(builder, row, values)
        if count % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)


def _tell(builder: Builder, row: Row, values: Mapping[Oid, Value]) -> None:
    """One row of a section, or a section without rows."""
    section, point = row.section, row.point
    rules = [settled for rule in section.rules if (settled := _settled(rule, row, values)) is not None]
    cells = [cell(point, rule, row.index, row.phase or rule.phase) for rule in rules]
    live = [one for one in cells if any(oid in values for oid in one.oids)]
    if section.kind not in {Kind.DEVICE, Kind.UNIT} and not live and (not row.index or section.phase is not None):
        return  # nothing of it is there
    attributes = _attributes(row, values)
    identifiers = _identifiers(row, values)
    match section.kind:
        case Kind.DEVICE:
            builder.entity(point.entity, foreign_ids=identifiers, **attributes)
        case Kind.UNIT:  # a device beside the first, not inside it
            builder.entity(point.entity, entity_class="device", foreign_ids=identifiers, **attributes)
        case Kind.COMPONENT:
            builder.entity(point.entity, contained_in=row.unit, foreign_ids=identifiers, **attributes)
        case Kind.INTERFACE:
            label = str(point.interface)
            builder.interface(InterfaceInfo(label, section.direction, foreign_ids=identifiers, **attributes), row.unit)
        case Kind.BATTERY:
            builder.battery(BatteryInfo(str(point.battery), **attributes), row.unit)
    for one in live:
        builder.read(one)
    if section.switch is not None and _switchable(section.switch, row, values):
        on, off = section.switch.on, section.switch.off
        builder.switch(
            point, {Supply.ON: replace(on, oid=row.of(on.oid)), Supply.OFF: replace(off, oid=row.of(off.oid))}
        )
    if section.test is not None and row.of(section.test.oid) in values:
        builder.test(point, replace(section.test, oid=row.of(section.test.oid)))


async def _rows(client: Asks, table: Table, section: Section) -> list[Row]:
    """The rows that are real."""
    if section.rows is None:
        return [Row(section)]
    found = await client.walk(section.rows, MOST_ROWS)
    if section.count is not None:
        count = number((await client.get([section.count])).get(section.count))
        found = found[: max(count, 0)] if count is not None else found
    asked = [column.oid for column in section.columns.values()]
    if section.where is not None:
        asked.append(section.where.oid)
    told = await client.get([instance(oid, index) for index in found for oid in asked], whole=True) if asked else {}
    rows = (_row(table, section, index, told) for index in found)
    return [row for row in rows if row is not None]


def _row(table: Table, section: Section, index: str, told: Mapping[Oid, Value]) -> Row | None:
    """One row, None where it is not real."""
    if not _met(section.where, Row(section, index), told):
        return None
    columns = {}
    for name, column in section.columns.items():
        value = told.get(instance(column.oid, index))
        given = number(value)
        if column.words is not None:
            given = column.words.get(given) if given is not None else None
        part = _text(value) if given is None and column.words is None else given
        if column.pattern is not None and part is not None:
            match = re.fullmatch(column.pattern, str(part))
            part = match[1] if match else None
        if part is None or not re.fullmatch(r"[A-Za-z0-9._~-]{1,32}", str(part)):
            return None
        columns[name] = str(part)
    row = Row(section, index, columns)
    unit = row.filled(section.unit) if section.unit is not None else str(table.first_unit)
    phase = row.filled(section.phase) if section.phase is not None else None
    if not unit.isdecimal() or phase not in {None, "1", "2", "3"}:
        return None
    return replace(
        row, unit="" if int(unit) == table.first_unit else f"unit-{int(unit)}", phase=int(phase) if phase else None
    )


def _needs(row: Row) -> list[Oid]:
    """What is asked once, to see what is there and what it is called."""
    section = row.section
    places: list[Attribute | Identifier] = [*section.attributes.values(), *section.identifiers]
    places += [rule.accuracy_at for rule in section.rules if rule.accuracy_at is not None]
    needed = [place.oid for place in places if place.oid is not None]
    needed += [place.when.oid for place in places if place.when is not None]
    needed += [oid for rule in section.rules for oid in rule.needs]
    needed += [rule.digits for rule in section.rules if rule.digits is not None]
    if section.switch is not None:
        needed += [one.oid for one in (section.switch.when, section.switch.unless) if one is not None]
    if section.test is not None:
        needed.append(section.test.oid)
    return [row.of(oid) for oid in needed]


def _met(condition: Condition | None, row: Row, values: Mapping[Oid, Value]) -> bool:
    if condition is None:
        return True
    given = number(values.get(row.of(condition.oid)))
    return given is not None and condition.holds(given)


def _switchable(switch: Switch, row: Row, values: Mapping[Oid, Value]) -> bool:
    return _met(switch.when, row, values) and (switch.unless is None or not _met(switch.unless, row, values))


def _settled(rule: Rule, row: Row, values: Mapping[Oid, Value]) -> Rule | None:
    """A rule with what the device says of its digits and accuracy; None where the digits are not known."""
    if rule.accuracy_at is not None:
        rule = replace(rule, accuracy=_number(rule.accuracy_at, _told(rule.accuracy_at, row, values)) or None)
    if rule.digits is not None:
        digits = number(values.get(row.of(rule.digits)))
        if digits is None or not 0 <= digits <= MOST_DIGITS:
            return None
        rule = replace(rule, scale=rule.scale.scaleb(-digits), digits=None)
    return rule


def _identifiers(row: Row, values: Mapping[Oid, Value]) -> tuple[ForeignId, ...]:
    found = []
    for one in row.section.identifiers:
        if one.template is not None:
            found.append(ForeignId(one.kind, row.filled(one.template), persistence=one.persistence))
            continue
        value = _told(one, row, values)
        text = _mac(value) if one.kind == "mac-address" else _text(value)
        if text and text not in one.absent:
            found.append(ForeignId(one.kind, text, persistence=one.persistence))
    return tuple(found)


def _attributes(row: Row, values: Mapping[Oid, Value]) -> dict[str, Any]:
    """Fields of the info classes, by name; what is not known is left out."""
    found: dict[str, Any] = {}
    for name, attribute in row.section.attributes.items():
        value = row.filled(attribute.text) if attribute.text is not None else _read(name, attribute, row, values)
        if value is not None:
            found[name.replace("-", "_")] = value
    if row.section.kind is Kind.INTERFACE:
        nominal = found.pop("nominal_voltage", None)
        low, high = found.pop("nominal_voltage_min", nominal), found.pop("nominal_voltage_max", nominal)
        if (place := row.section.attributes.get("nominal-voltage")) is not None and low is None:
            span = _RANGE.fullmatch(_text(_told(place, row, values)) or "")
            low, high = (Decimal(span["low"]), Decimal(span["high"])) if span else (None, None)
        if low is not None and high is not None and low <= high:
            found["nominal_voltage"] = (low, high)
    return found


def _read(name: str, attribute: Attribute, row: Row, values: Mapping[Oid, Value]) -> str | int | Decimal | None:
    value = _told(attribute, row, values)
    if value is None:
        return None
    if name == "uuid":
        return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) and len(value) == 16 and any(value) else None
    if attribute.words is not None:
        given = number(value)
        word = attribute.words.get(given) if given is not None else None
        return Decimal(word) if name in NUMBERS and word is not None else word
    if name in NUMBERS:
        scaled = _number(attribute, value)
        return int(scaled) if scaled is not None and name in {"nominal-capacity", "cell-count"} else scaled
    text = _text(value)
    return None if text in attribute.absent else text


def _number(attribute: Attribute, value: Value | None) -> Decimal | None:
    """A scaled number; what is written for people, as "16A" or "5.8kVA", is one too, but no range is."""
    given = number(value)
    if given is not None:
        return None if given in attribute.absent or given < 0 else given * attribute.scale
    written = _WRITTEN.fullmatch(_text(value) or "")
    if written is None:
        return None
    return Decimal(written["number"]) * attribute.scale * (1000 if written["kilo"] else 1)


def _told(place: Attribute | Identifier, row: Row, values: Mapping[Oid, Value]) -> Value | None:
    return values.get(row.of(place.oid or "")) if _met(place.when, row, values) else None


def _text(value: Value | None) -> str | None:
    """What a device calls something: readable, on one line, not empty, at most 255 characters."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = "".join(character if character.isprintable() else " " for character in text.split("\0")[0])
    return " ".join(text.split())[:255] or None


def _mac(value: Value | None) -> str | None:
    return value.hex(":") if isinstance(value, bytes) and len(value) == 6 and any(value) else None

"""ENTITY-MIB (RFC 6933) with ENTITY-SENSOR-MIB (RFC 3433): asks a device for its parts and sensors, and tells of them.

Of all that a device lists, the parts that matter for energy become entities: chassis, power supplies, batteries,
replaceable modules, and whatever has a sensor of its power.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eman_netconf.backend import BatteryInfo, Direction, ForeignId, InterfaceInfo, Persistence, Point, Quantity

from . import batteries, emanmibs
from .builder import Builder
from .complete import Oid, Value
from .containment import ALWAYS, DEEPEST, FRAMES, Kind, Part, ancestors, arrange, owner, root
from .readings import cell, number
from .sensors import LIGHT, PRECISION, SCALE, SENSOR_TYPE, Measure, Sense, Sensor, measures, rule, sensor, summed
from .survey import Asks
from .words import text, uuid_of

ENTITY = "1.3.6.1.2.1.47.1.1.1.1"
DESCRIPTION, CONTAINED_IN, CLASS, NAME = f"{ENTITY}.2", f"{ENTITY}.4", f"{ENTITY}.5", f"{ENTITY}.7"
FIRMWARE, SOFTWARE, SERIAL, MAKER, MODEL = (f"{ENTITY}.{column}" for column in (9, 10, 11, 12, 13))
POSITION, ALIAS, ASSET, REPLACEABLE, UUID = (f"{ENTITY}.{column}" for column in (6, 14, 15, 16, 19))
LAST_CHANGE = "1.3.6.1.2.1.47.1.4.1.0"  # entLastChangeTime
DETAILS = (DESCRIPTION, NAME, FIRMWARE, SOFTWARE, SERIAL, MAKER, MODEL, POSITION, ALIAS, ASSET, REPLACEABLE, UUID)

MOST_ROWS = 2048  # of each table
MOST_SENSORS = 512  # that are looked at; a switch has five of light in each of its ports
ROWS_AT_ONCE = 32  # that are worked on before others on the loop have their turn
MOST_PARTS = 256  # that become entities
CATEGORIES = {Kind.POWER_SUPPLY: "distributor", Kind.BATTERY: "store"}


@dataclass(frozen=True, slots=True)
class Body:
    """What was found of a device: its parts, what they are, and what is measured in each."""

    parts: Mapping[int, Part]
    values: Mapping[Oid, Value]
    told: Mapping[int, Sequence[Measure]]

    def local(self, index: int) -> str | None:
        """The name of the entity at an index."""
        part = self.parts.get(index)
        return part.local if part is not None else None

    def uuid(self, index: int) -> str | None:
        """Its entPhysicalUUID."""
        return uuid_of(self.values.get(f"{UUID}.{index}"))


async def find(client: Asks, others: Collection[int] = ()) -> Body:
    """The parts of a device; ``others`` are indexes that become entities in any case. Raises Unavailable."""
    kinds = await _kinds(client)
    kinds |= {index: Kind.OTHER for index in others if index not in kinds}
    senses = {
        int(row): Sense(sense)
        for row, value in (await client.column(SENSOR_TYPE, MOST_ROWS)).items()
        if row.isdigit() and (sense := number(value)) in set(Sense)
    }
    if Kind.BATTERY not in kinds.values():  # nothing else has a temperature that is told
        senses = {index: sense for index, sense in senses.items() if sense is not Sense.CELSIUS}
    likely = {index for index, kind in kinds.items() if kind in ALWAYS or kind is Kind.MODULE} | set(others)
    parents = await _parents(client, likely | senses.keys(), kinds)
    owners: dict[int, int] = {}
    for count, index in enumerate(senses):
        await _rest(count)
        one = owner(index, kinds, parents)
        if one is not None and kinds.get(one, Kind.PORT) is not Kind.PORT:
            owners[index] = one
    if len(owners) > MOST_SENSORS:
        client.say(f"has more than {MOST_SENSORS} sensors of energy; the others are not read")
        owners = dict(sorted(owners.items())[:MOST_SENSORS])
    wanted = [f"{column}.{index}" for index in owners for column in (DESCRIPTION, NAME, SCALE, PRECISION)]
    wanted += [f"{column}.{index}" for index in sorted(likely | set(owners.values())) for column in DETAILS]
    values = await client.get(wanted, whole=True)
    told = {}
    for index, sensors in (await _grouped(owners, senses, values)).items():
        told[index] = measures(kinds[index], sensors)
        await _rest(0)
    energetic = {index for index, measured in told.items() if measured} | set(others)
    energetic |= {index for index, kind in kinds.items() if kind in ALWAYS}
    await _rest(0)
    modules = [
        index
        for index in sorted(likely - energetic)
        if number(values.get(f"{REPLACEABLE}.{index}")) == 1 and _stands_for_itself(index, kinds, parents, values)
    ]
    if len(energetic) + len(modules) > MOST_PARTS:
        client.say(f"has more than {MOST_PARTS} parts; the others are not shown")
    chosen = [*sorted(energetic), *modules][:MOST_PARTS]
    said = {index: _said(index, values) for index in chosen}
    positions = {index: place for index in chosen if (place := number(values.get(f"{POSITION}.{index}"))) is not None}
    parts = arrange(kinds, parents, chosen, said, positions)
    return Body(parts, values, {index: measured for index, measured in told.items() if index in parts})


async def identify(client: Asks, builder: Builder) -> None:
    """The explorer for who only wants to know who is there: what the device as a whole says of itself, at little cost.

    Raises Unavailable.
    """
    kinds = await _kinds(client)
    frames = [index for index, kind in kinds.items() if kind in FRAMES]
    whole = root(kinds, await _parents(client, frames, kinds))
    if whole is not None:
        values = await client.get([f"{column}.{whole}" for column in DETAILS], whole=True)
        await tell_parts(builder, Body({whole: Part(whole, kinds[whole], "", None)}, values, {}))


async def _parents(client: Asks, wanted: Collection[int], kinds: Mapping[int, Kind]) -> dict[int, int]:
    """What each is contained in, and what that is contained in, as far as it exists."""
    parents: dict[int, int] = {}
    level = sorted(wanted)
    for _ in range(DEEPEST):
        told = await client.get([f"{CONTAINED_IN}.{index}" for index in level], whole=True) if level else {}
        found = {index: number(told.get(f"{CONTAINED_IN}.{index}")) or 0 for index in level}
        parents |= found
        level = sorted({parent for parent in found.values() if parent in kinds and parent not in parents})
    return parents


async def _rest(count: int) -> None:
    """Others on the loop have their turn, now and then."""
    if count % ROWS_AT_ONCE == 0:
        await asyncio.sleep(0)


async def _grouped(
    owners: Mapping[int, int], senses: Mapping[int, Sense], values: Mapping[Oid, Value]
) -> dict[int, list[Sensor]]:
    """The sensors of each owner."""
    groups: dict[int, list[Sensor]] = {}
    for count, (index, one) in enumerate(owners.items()):
        await _rest(count)
        scale, precision = number(values.get(f"{SCALE}.{index}")), number(values.get(f"{PRECISION}.{index}"))
        said = f"{text(values.get(f'{NAME}.{index}')) or ''} {text(values.get(f'{DESCRIPTION}.{index}')) or ''}"
        made = sensor(index, senses[index], scale, precision, said.lower())
        if made is not None:
            groups.setdefault(one, []).append(made)
    return groups


async def _kinds(client: Asks) -> dict[int, Kind]:
    """What everything in ENTITY-MIB is, by index."""
    return {int(row): _kind(value) for row, value in (await client.column(CLASS, MOST_ROWS)).items() if row.isdigit()}


def _kind(value: Value) -> Kind:
    told = number(value)
    return Kind(told) if told in set(Kind) else Kind.UNKNOWN


def _said(index: int, values: Mapping[Oid, Value]) -> str:
    return text(values.get(f"{NAME}.{index}")) or text(values.get(f"{DESCRIPTION}.{index}")) or ""


def _stands_for_itself(
    index: int, kinds: Mapping[int, Kind], parents: Mapping[int, int], values: Mapping[Oid, Value]
) -> bool:
    """Whether a module has a number or model of its own, and is no transceiver in a port."""
    around = list(ancestors(index, parents))
    said = f"{_said(index, values)} {text(values.get(f'{DESCRIPTION}.{index}')) or ''}".lower()
    if LIGHT.search(said) or any(kinds.get(one) is Kind.PORT for one in around):
        return False
    serial = text(values.get(f"{SERIAL}.{index}"))
    if serial is None:
        return text(values.get(f"{MODEL}.{index}")) is not None
    return all(text(values.get(f"{SERIAL}.{one}")) != serial for one in around)


async def tell_parts(builder: Builder, body: Body) -> None:
    """The entities, the outer ones first."""
    order = sorted(body.parts.items(), key=lambda one: (one[1].local != "", one[0]))
    for count, (index, part) in enumerate(order):
        await _rest(count)

        def told(column: Oid, index: int = index) -> str | None:
            return text(body.values.get(f"{column}.{index}"))

        uuid = body.uuid(index)
        known: dict[str, Any] = {
            "uuid": uuid,
            "manufacturer": told(MAKER),
            "model": told(MODEL),
            "firmware_version": told(SOFTWARE) or told(FIRMWARE),
            "category": CATEGORIES.get(part.kind),
        }
        if part.local:
            known |= {"name": told(ALIAS) or told(NAME) or told(DESCRIPTION), "description": told(DESCRIPTION)}
            known["contained_in"] = part.inside
            known["entity_class"] = "device" if part.kind is Kind.CHASSIS else "component"
        numbers = (("ent-physical-uuid", uuid), ("serial-number", told(SERIAL)), ("asset-tag", told(ASSET)))
        identifiers = [ForeignId(kind, value, persistence=Persistence.PERSISTENT) for kind, value in numbers if value]
        identifiers.append(ForeignId("ent-physical-index", str(index), persistence=Persistence.BOOT_SCOPED))
        builder.entity(part.local, foreign_ids=tuple(identifiers), **known)
        if part.kind is Kind.BATTERY and part.local:
            builder.battery(BatteryInfo("battery"), part.local)


async def tell_sensors(builder: Builder, body: Body) -> None:
    """What is read of the entities, and the inputs and outputs of power supplies."""
    for count, (index, measured) in enumerate(body.told.items()):
        await _rest(count)
        local = body.parts[index].local
        for side in dict.fromkeys(each.interface for each in measured if each.interface is not None):
            builder.interface(_interface(side, [each for each in measured if each.interface == side]), local)
        for each in measured:
            provided = each.interface == "output" and each.quantity in {Quantity.ACTIVE_POWER, Quantity.CURRENT}
            point = Point(local, each.interface, each.battery)
            for one in each.sensors:
                made = rule(each.quantity, one, provided=provided, several=len(each.sensors) > 1)
                builder.read(cell(point, made, str(one.place)))
    for local, sensors in summed(body.parts, body.told).items():
        for one in sensors:
            made = rule(Quantity.ACTIVE_POWER, one, provided=False, several=len(sensors) > 1)
            builder.read(cell(Point(local), made, str(one.place)))


def _interface(side: str, measured: Sequence[Measure]) -> InterfaceInfo:
    if side == "output":
        return InterfaceInfo(side, Direction.OUTLET, current_type="dc")
    volts = {one.sense for each in measured for one in each.sensors} & {Sense.VOLTS_AC, Sense.VOLTS_DC}
    kind = {frozenset({Sense.VOLTS_AC}): "ac", frozenset({Sense.VOLTS_DC}): "dc"}.get(frozenset(volts))
    return InterfaceInfo(side, Direction.INLET, current_type=kind)


async def explore(client: Asks, builder: Builder) -> None:
    """The explorer of ENTITY-MIB and of the MIBs whose rows go by its index. Raises Unavailable."""
    if not await client.first([CLASS]):
        return
    objects, cells = await emanmibs.find(client), await batteries.find(client)
    body = await find(client, objects.indexes.union(cells.indexes))
    if LAST_CHANGE in await client.get([LAST_CHANGE]):
        builder.witness(LAST_CHANGE)
    await tell_parts(builder, body)
    uuids = {uuid: part.local for index, part in body.parts.items() if (uuid := body.uuid(index)) is not None}
    await emanmibs.tell(builder, objects, body.local, uuids)
    batteries.tell(builder, cells, body.local)
    builder.turn()  # a sensor does not add to what those MIBs measure of the same thing
    await tell_sensors(builder, body)

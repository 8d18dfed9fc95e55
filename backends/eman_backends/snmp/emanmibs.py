"""The MIBs of energy management: RFC 7460 (power, electricity, states, energy) and RFC 7461 (context, relations).

Their rows go by entPhysicalIndex, so they speak of the parts that ``physical`` finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from eman_netconf.backend import (
    Direction,
    ForeignId,
    InterfaceInfo,
    Method,
    Peer,
    Persistence,
    Point,
    Quantity,
    RelationInfo,
    StateInfo,
    StateSetInfo,
)

from .builder import Builder
from .complete import Oid, Value
from .readings import cell, number
from .survey import Asks
from .tables import Case, Condition, Exponent, Rule
from .words import address, mac, text, uuid_of
from .writes import Write

Local = Callable[[int], str | None]  # the entity at an entPhysicalIndex
MOST_OBJECTS = 512  # energy objects
MOST_ROWS = 4096  # about them, in each table


def _columns(base: str, *names: int) -> tuple[str, ...]:
    return tuple(f"{base}.{column}" for column in names)


POWER, NAMEPLATE, MULTIPLIER, ACCURACY, CALIBER, CURRENT_TYPE, LOCALLY, ADMIN, OPER = _columns(
    "1.3.6.1.2.1.229.1.2.1", *range(1, 10)
)
STATE_POWER, STATE_MULTIPLIER = _columns("1.3.6.1.2.1.229.1.3.1", 2, 3)
MODE, STATUS = _columns("1.3.6.1.2.1.229.1.4.1", 5, 9)
CONSUMED, PROVIDED, ENERGY_MULTIPLIER, ENERGY_ACCURACY = _columns("1.3.6.1.2.1.229.1.5.1", 2, 3, 5, 6)
WHOLE, DELTA, WYE = (f"1.3.6.1.2.1.230.1.{table}.1" for table in (1, 2, 3))
PORT, PORT_GROUP, MAC, ADDRESS, DOMAIN_NAME, ROLE, KEYWORDS, IMPORTANCE, CATEGORY, KEY, INTERFACE = _columns(
    "1.3.6.1.2.1.231.1.1.1", 1, 2, 4, 6, 7, 9, 10, 11, 12, 13, 14
)
PEER, RELATION = _columns("1.3.6.1.2.1.231.1.2.1", 2, 3)

UNKNOWN_POWER = {-1, 0xFFFFFFFF}  # of STATE_POWER
TOTAL, ACTIVE = 3, 1  # of MODE: one interval since the beginning; of STATUS

METHODS = {2: Method.LOAD_MODEL, 3: Method.DIRECT_METER, 4: Method.LOAD_MODEL, 5: Method.NAMEPLATE}  # by CALIBER
CURRENTS = {1: "ac", 2: "dc"}
CATEGORIES = dict(enumerate(("consumer", "producer", "meter", "distributor", "store")))
DIRECTIONS = dict(enumerate(Direction))
RELATIONS = dict(
    enumerate(("powered-by", "powering", "metered-by", "metering", "aggregated-by", "aggregating"), start=1)
)

_EMAN = (
    *("mechoff", "softoff", "hibernate", "sleep", "standby", "ready"),
    *("low-minus", "low", "medium-minus", "medium", "high-minus", "high"),
)
#: States by their number. The MIB numbers the EMAN set from 1024 on, the text of RFC 7460 from 768 on: both are met.
STATES: Mapping[int, str] = {
    **dict(enumerate((f"ieee1621-{name}" for name in ("off", "sleep", "on")), start=257)),
    **dict(
        enumerate(
            (f"dmtf-{name}" for name in ("on", "sleep-light", "sleep-deep", "off-hard", "off-soft", "hibernate")),
            start=513,
        )
    ),
    **dict(enumerate((f"eman-{name}" for name in _EMAN), start=1025)),
    **dict(enumerate((f"eman-{name}" for name in _EMAN), start=769)),
}
#: 519 and 520 are left out: their names say "power off", their places in the list of the DMTF "power cycle".
TRANSITIONS: Mapping[int, str] = dict(
    enumerate(
        (
            f"dmtf-{name}"
            for name in (
                *("master-bus-reset", "diagnostic-interrupt", "off-soft-graceful", "off-hard-graceful"),
                *("master-bus-reset-graceful", "power-cycle-off-soft-graceful", "power-cycle-off-hard-graceful"),
            )
        ),
        start=521,
    )
)

_TENTH, _HUNDREDTH, _RATIO = (Decimal(1).scaleb(power) for power in (-1, -2, -4))
Q = Quantity
_OF_WHOLE = (  # columns of eoACPwrAttributesTable; None = by the multiplier beside it
    *((2, Q.VOLTAGE, _TENTH), (3, Q.CURRENT, Decimal(1)), (4, Q.FREQUENCY, _HUNDREDTH)),
    *((8, Q.REACTIVE_POWER, None), (9, Q.APPARENT_POWER, None), (10, Q.POWER_FACTOR, _RATIO)),
    *((11, Q.THD_CURRENT, _HUNDREDTH), (12, Q.THD_VOLTAGE, _HUNDREDTH)),
)
_OF_WYE = (  # None = by the multiplier of eoPower
    *((2, Q.VOLTAGE, _TENTH), (3, Q.CURRENT, _TENTH), (4, Q.ACTIVE_POWER, None), (5, Q.REACTIVE_POWER, None)),
    *((6, Q.APPARENT_POWER, None), (7, Q.POWER_FACTOR, _RATIO), (8, Q.THD_CURRENT, _HUNDREDTH)),
    (9, Q.THD_VOLTAGE, _HUNDREDTH),
)
_PHASES = {0: 1, 120: 2, 240: 3}  # by their angles in degrees


@dataclass(frozen=True, slots=True)
class Objects:
    """What a device has in these MIBs. Rows are indexes; ``values`` what does not change, or rarely."""

    power: Sequence[int] = ()
    context: Sequence[int] = ()
    states: Mapping[int, Sequence[int]] = field(default_factory=dict)  # numbers of states
    meters: Mapping[int, str] = field(default_factory=dict)  # row of eoEnergyTable
    phases: Sequence[str] = ()  # rows of the wye table
    relations: Sequence[str] = ()
    values: Mapping[Oid, Value] = field(default_factory=dict)

    @property
    def indexes(self) -> set[int]:
        """Every entPhysicalIndex that something is told of."""
        return {*self.power, *self.context}


async def find(client: Asks) -> Objects:
    """What the device has in these MIBs; nothing, for nearly every device. Raises Unavailable."""
    sources = (POWER, CATEGORY)
    found = await client.first(sources)
    if not found:
        return Objects()

    values: dict[Oid, Value] = {}

    async def rows(column: Oid, most: int = MOST_ROWS) -> list[str]:
        told = await client.column(column, most)
        values.update({f"{column}.{row}": value for row, value in told.items()})
        return list(told)

    power, context = [
        [int(row) for row in await rows(column, MOST_OBJECTS) if row.isdigit()] if column in found else []
        for column in sources
    ]
    states: dict[int, list[int]] = {}
    for row in await rows(STATE_POWER):
        index, state = _pair(row)
        if state in STATES or state in TRANSITIONS:
            states.setdefault(index, []).append(state)
    phases = [row for row in await rows(f"{WYE}.2") if _pair(row)[1] in _PHASES]
    relations, parameters, intervals = await rows(RELATION), await rows(MODE), await rows(CONSUMED)
    for beside, column in ((states, STATE_MULTIPLIER), (relations, PEER), (parameters, STATUS)):
        if beside:
            await rows(column)
    meters = _meters(parameters, intervals, values)
    wanted = [f"{column}.{index}" for index in power for column in _OF_POWER]
    wanted += [f"{column}.{index}" for index in context for column in _OF_CONTEXT]
    wanted += [f"{ENERGY_ACCURACY}.{row}" for row in meters.values()]
    values |= await client.get(wanted, whole=True)
    return Objects(power, context, states, meters, phases, relations, values)


_OF_POWER = (
    NAMEPLATE,
    MULTIPLIER,
    ACCURACY,
    CALIBER,
    CURRENT_TYPE,
    LOCALLY,
    ADMIN,
    OPER,
    *(f"{WHOLE}.{n[0]}" for n in _OF_WHOLE),
)
_OF_CONTEXT = (PORT, PORT_GROUP, MAC, ADDRESS, DOMAIN_NAME, ROLE, KEYWORDS, IMPORTANCE, CATEGORY, KEY, INTERFACE)


def _pair(row: str) -> tuple[int, int]:
    """An index of two parts; (-1, -1) where it has others."""
    parts = row.split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(part.isdigit() for part in parts) else (-1, -1)


def _meters(parameters: Iterable[str], intervals: Iterable[str], values: Mapping[Oid, Value]) -> dict[int, str]:
    """The rows of energy that grow for ever, by whose they are.

    The rows of energy go by the number of their parameters alone, which several objects may have: only a number that
    one object has, in the mode of one interval since the beginning, with one row, tells whose energy it is.
    """
    users: dict[int, list[tuple[int, bool]]] = {}
    for row in parameters:
        index, which = _pair(row)
        total = number(values.get(f"{MODE}.{row}")) == TOTAL and number(values.get(f"{STATUS}.{row}")) == ACTIVE
        users.setdefault(which, []).append((index, total))
    rows: dict[int, list[str]] = {}
    for row in intervals:
        rows.setdefault(_pair(row)[0], []).append(row)
    return {
        found[0][0]: rows[which][0]
        for which, found in users.items()
        if len(found) == 1 and found[0][1] and len(rows.get(which, ())) == 1
    }


# --- telling ----------------------------------------------------------------------------------------------------------


async def tell(builder: Builder, objects: Objects, local: Local, uuids: Mapping[str, str]) -> None:
    """All of it. ``uuids`` leads from the entPhysicalUUID of a part to its entity."""
    for count, index in enumerate(sorted(objects.indexes)):
        name = local(index)
        if name is None:
            continue
        if index in objects.power:
            _tell_power(builder, objects, index, name)
            _tell_states(builder, objects, index, name)
        if index in objects.context:
            _tell_context(builder, objects, index, name)
        if count % 50 == 0:
            await asyncio.sleep(0)
    for row in objects.phases:
        index, angle = _pair(row)
        if (name := local(index)) is not None:
            for column, quantity, scale in _OF_WYE:
                made = _electrical(quantity, f"{WYE}.{column}", scale, f"{MULTIPLIER}.{{1}}")
                builder.read(cell(Point(name), made, row, _PHASES[angle]))
    for row in objects.relations:
        name = local(_pair(row)[0])
        uuid = uuid_of(objects.values.get(f"{PEER}.{row}"))
        peer = uuids.get(uuid, uuid) if uuid is not None else None  # of another device: the server may know it
        kind = RELATIONS.get(number(objects.values.get(f"{RELATION}.{row}")) or 0)
        if name is not None and peer is not None and kind is not None and peer != name:
            builder.relation(RelationInfo(kind, peer), name)


def _tell_power(builder: Builder, objects: Objects, index: int, local: str) -> None:
    values = objects.values

    def told(column: Oid) -> int | None:
        return number(values.get(f"{column}.{index}"))

    nameplate, power = told(NAMEPLATE), told(MULTIPLIER)
    rated = Decimal(nameplate).scaleb(power) if nameplate and power is not None and abs(power) <= 24 else None
    builder.entity(local, nameplate_power=rated, current_type=CURRENTS.get(told(CURRENT_TYPE) or 0))
    caliber = told(CALIBER)
    method = METHODS.get(caliber or 0, Method.DIRECT_METER)
    alike = frozenset(code for code, one in METHODS.items() if one is method)
    if method is Method.DIRECT_METER and told(LOCALLY) == 2:
        method = Method.REMOTE_METER
    builder.read(
        cell(
            Point(local),
            Rule(
                Quantity.ACTIVE_POWER,
                oid=POWER,
                exponents=(Exponent(MULTIPLIER),),
                between=_BETWEEN,
                only_when=None if caliber is None else Condition(CALIBER, alike),
                method=method,
                accuracy=_accuracy(told(ACCURACY)),
            ),
            str(index),
        )
    )
    for place, quantity, scale in ((f"{WHOLE}.{column}", *rest) for column, *rest in _OF_WHOLE):
        if f"{place}.{index}" in values:
            builder.read(cell(Point(local), _electrical(quantity, place, scale, f"{WHOLE}.5"), str(index)))
    if index in objects.meters:
        row = objects.meters[index]
        accuracy = _accuracy(number(values.get(f"{ENERGY_ACCURACY}.{row}")))
        for quantity, column in ((Quantity.ENERGY_RECEIVED, CONSUMED), (Quantity.ENERGY_PROVIDED, PROVIDED)):
            counter = Rule(quantity, oid=column, exponents=(Exponent(ENERGY_MULTIPLIER),), accuracy=accuracy)
            builder.read(cell(Point(local), counter, row))


_BETWEEN = (Decimal(-(10**12)), Decimal(10**12))


def _electrical(quantity: Quantity, place: Oid, scale: Decimal | None, multiplier: Oid) -> Rule:
    if scale is None:
        return Rule(quantity, oid=place, exponents=(Exponent(multiplier),), between=_BETWEEN)
    return Rule(quantity, oid=place, scale=scale, between=_BETWEEN)


def _accuracy(told: int | None) -> Decimal | None:
    """Percent, of hundredths; 0 is not known."""
    return Decimal(told) * _HUNDREDTH if told and 0 < told <= 10_000 else None


def _tell_states(builder: Builder, objects: Objects, index: int, local: str) -> None:
    """The sets an object has are those of which it lists states, with the numbers it lists them under."""
    listed = sorted(objects.states.get(index, ()), reverse=True)  # the numbers of the MIB before those of the text
    if not listed:
        current = number(objects.values.get(f"{OPER}.{index}")) or 0
        prefix = STATES.get(current, "").partition("-")[0]
        known = [code for code, state in STATES.items() if prefix and state.startswith(f"{prefix}-")]
        if not known:
            return
    else:
        known = listed
    controlled = bool(listed) and f"{ADMIN}.{index}" in objects.values
    sets: dict[str, dict[str, StateInfo]] = {}
    writes: dict[str, Write] = {}
    for code in known:
        state = STATES.get(code) or TRANSITIONS[code]
        writes.setdefault(state, Write(f"{ADMIN}.{index}", code))
        if code in STATES:
            most = _state_power(objects.values, f"{index}.{code}")
            sets.setdefault(state.partition("-")[0], {}).setdefault(state, StateInfo(state, max_power=most))
    passing = tuple(TRANSITIONS[code] for code in known if code in TRANSITIONS)
    for name, states in sets.items():
        found = StateSetInfo(name, tuple(states.values()), passing if name == "dmtf" else (), settable=controlled)
        builder.state_set(found, local)
    told = {state for states in sets.values() for state in states}
    cases = tuple(Case(Condition(OPER, frozenset({code})), state) for code, state in STATES.items() if state in told)
    builder.read(cell(Point(local), Rule(Quantity.POWER_STATE, cases=cases), str(index)))
    if controlled:
        builder.states(Point(local), {state: write for state, write in writes.items() if state in {*told, *passing}})


def _state_power(values: Mapping[Oid, Value], row: str) -> Decimal | None:
    watts, power = number(values.get(f"{STATE_POWER}.{row}")), number(values.get(f"{STATE_MULTIPLIER}.{row}"))
    if watts is None or watts in UNKNOWN_POWER or power is None or abs(power) > 24:
        return None
    return Decimal(watts).scaleb(power)


def _tell_context(builder: Builder, objects: Objects, index: int, local: str) -> None:
    def told(column: Oid) -> Value | None:
        return objects.values.get(f"{column}.{index}")

    numbers = (
        ("mac-address", mac(told(MAC))),
        ("ip-address", address(told(ADDRESS))),
        ("domain-name", text(told(DOMAIN_NAME))),
        ("alternate-key", text(told(KEY))),
    )
    importance = number(told(IMPORTANCE))
    known: dict[str, Any] = {
        "category": CATEGORIES.get(_code(told(CATEGORY))),
        "role": text(told(ROLE)),
        "keywords": _keywords(told(KEYWORDS)) or None,
        "importance": importance if importance is not None and 1 < importance <= 100 else None,  # 1 when nobody set it
    }
    identifiers = [ForeignId(kind, value, persistence=Persistence.UNKNOWN) for kind, value in numbers if value]
    builder.entity(local, foreign_ids=tuple(identifiers), **known)
    feeding = _feeding(builder, told)
    direction = DIRECTIONS.get(_code(told(INTERFACE)), Direction.INLET if feeding else None)
    if direction is not None:
        builder.interface(InterfaceInfo(direction.value, direction, connected_to=feeding), local)


def _feeding(builder: Builder, told: Callable[[Oid], Value | None]) -> tuple[Peer, ...]:
    """The port of this device that feeds the object with Power over Ethernet."""
    port = f"{number(told(PORT_GROUP)) or 0}.{number(told(PORT)) or 0}"
    return tuple(
        Peer("", name)
        for name, info in builder.interfaces().items()
        if any(one.kind == "peth-pse-port" and one.value == port for one in info.foreign_ids)
    )


def _code(value: Value | None) -> int:
    told = number(value)
    return -1 if told is None else told


def _keywords(value: Value | None) -> tuple[str, ...]:
    """Tags of one string, at most 64 of them."""
    said = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
    return tuple(dict.fromkeys(word for part in said.split(",")[:64] if (word := text(part))))

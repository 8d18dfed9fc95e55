"""What the sensors of ENTITY-SENSOR-MIB (RFC 3433) measure of the parts of a device: pure functions over its rows.

The MIB has a unit, a scale and a name for each sensor. Whether that is of an input or an output stands in the names
alone. README.md says which sensor counts as what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from eman_netconf.backend import Quantity

from .containment import FRAMES, Kind, Part
from .tables import Condition, Rule, Whole

SENSOR = "1.3.6.1.2.1.99.1.1.1"
SENSOR_TYPE, SCALE, PRECISION, VALUE, STATUS = (f"{SENSOR}.{column}" for column in (1, 2, 3, 4, 5))
OK = 1  # of STATUS; else the device cannot obtain the value, or its sensor is broken
BEYOND = frozenset({-1_000_000_000, 1_000_000_000})  # VALUE below or above what can be told
MOST = Decimal(10**9)  # volts, amperes, watts that can be
SCALES = dict(zip(range(1, 18), (*range(-24, 13, 3), 18, 15, 21, 24), strict=True))  # exa before peta, as printed


class Sense(IntEnum):
    """EntitySensorDataType, what of it is about energy."""

    VOLTS_AC = 3
    VOLTS_DC = 4
    AMPERES = 5
    WATTS = 6
    HERTZ = 7
    CELSIUS = 8


LIGHT = re.compile(r"\b(dom|optic\w*|laser|bias|[tr]x|transmit|receive|lane|xcvr|transceiver|[a-z]*sfp\w*|xfp|gbic)\b")
_NOT_NOW = re.compile(
    r"\b(max|maximum|min|minimum|peak|limit|capacity|rated|budget|threshold|allocat\w*|availab\w*|average|avg)\b"
)
_INPUT = re.compile(r"\b(input|inlet|mains|feed|[vip]in|(?:voltage|current|power) in)\b")
_OUTPUT = re.compile(r"\b(output|outlet|[vip]out|(?:voltage|current|power) out)\b")
_TOTAL = re.compile(r"\b(total|system|chassis|consum\w*|overall)\b")


class Sensor(NamedTuple):
    """What one sensor measures: real value = value times ten to the ``exponent``."""

    place: int  # entPhysicalIndex
    sense: Sense
    exponent: int
    said: str  # name and description, in lower case


class Measure(NamedTuple):
    """A quantity at a point of an entity, as the sum of what these sensors tell."""

    quantity: Quantity
    sensors: tuple[Sensor, ...]
    interface: str | None = None  # "input" or "output"
    battery: str | None = None


def measures(kind: Kind, sensors: Sequence[Sensor]) -> list[Measure]:
    """What the sensors of one thing of this kind tell of it. Which of several is meant is not guessed."""
    telling = [one for one in sensors if not LIGHT.search(one.said) and not _NOT_NOW.search(one.said)]
    match kind:
        case Kind.POWER_SUPPLY:
            return list(_of_supply(telling))
        case Kind.BATTERY:
            return list(_of_battery(telling))
        case _:
            return list(_of_consumer(telling))


def _of_supply(sensors: Sequence[Sensor]) -> Iterator[Measure]:
    """A power supply receives at its input and provides at its output."""
    nameless = [one for one in sensors if _side(one) is None]
    kinds = {one.sense for one in nameless}
    assumed = None
    if (Sense.VOLTS_AC in kinds or Sense.HERTZ in kinds) != (Sense.VOLTS_DC in kinds):
        assumed = "output" if Sense.VOLTS_DC in kinds else "input"
    for side in ("input", "output"):
        mine = [one for one in sensors if (_side(one) or assumed) == side]
        for quantity, senses in _ELECTRICAL:
            found = [one for one in mine if one.sense in senses]
            if len(found) == 1:
                yield Measure(quantity, (found[0],), interface=side)
                if quantity is Quantity.ACTIVE_POWER and side == "input":
                    yield Measure(quantity, (found[0],))
    if assumed is None and not any(_side(one) == "input" and one.sense is Sense.WATTS for one in sensors):
        watts = [one for one in nameless if one.sense is Sense.WATTS]
        if len(watts) == 1:
            yield Measure(Quantity.ACTIVE_POWER, (watts[0],))


def _of_battery(sensors: Sequence[Sensor]) -> Iterator[Measure]:
    for quantity, senses in (
        (Quantity.BATTERY_VOLTAGE, {Sense.VOLTS_AC, Sense.VOLTS_DC}),
        (Quantity.BATTERY_CURRENT, {Sense.AMPERES}),
        (Quantity.TEMPERATURE, {Sense.CELSIUS}),
    ):
        found = [one for one in sensors if one.sense in senses]
        if len(found) == 1:
            yield Measure(quantity, (found[0],), battery="battery")
    yield from _power([one for one in sensors if one.sense is Sense.WATTS])


def _of_consumer(sensors: Sequence[Sensor]) -> Iterator[Measure]:
    """What is inside knows many voltages; those of the whole are called its input."""
    received = [one for one in sensors if _side(one) != "output"]
    yield from _power([one for one in received if one.sense is Sense.WATTS])
    for quantity, senses in _ELECTRICAL[1:]:
        found = [one for one in received if one.sense in senses and _side(one) == "input"]
        if len(found) == 1:
            yield Measure(quantity, (found[0],))


def _power(watts: Sequence[Sensor]) -> Iterator[Measure]:
    """The one that is called the total, or all inputs, or the only one."""
    total = [one for one in watts if _TOTAL.search(one.said)]
    if len(total) == 1 or len(watts) == 1:
        yield Measure(Quantity.ACTIVE_POWER, tuple(total or watts))
    elif watts and not total and all(_side(one) == "input" for one in watts):
        yield Measure(Quantity.ACTIVE_POWER, tuple(watts))


_ELECTRICAL = (
    (Quantity.ACTIVE_POWER, frozenset({Sense.WATTS})),
    (Quantity.VOLTAGE, frozenset({Sense.VOLTS_AC, Sense.VOLTS_DC})),
    (Quantity.CURRENT, frozenset({Sense.AMPERES})),
    (Quantity.FREQUENCY, frozenset({Sense.HERTZ})),
)


def _side(sensor: Sensor) -> str | None:
    inward, outward = bool(_INPUT.search(sensor.said)), bool(_OUTPUT.search(sensor.said))
    return None if inward is outward else "input" if inward else "output"


def summed(parts: Mapping[int, Part], told: Mapping[int, Sequence[Measure]]) -> dict[str, tuple[Sensor, ...]]:
    """Where a stack or chassis has no meter: what its chassis, or else all its power supplies, receive; by local name.

    Only where each of them tells it; a sum of some would look like the whole.
    """
    own: dict[str, tuple[Sensor, ...]] = {}
    for index, measured in told.items():
        part = parts[index]
        for each in measured:
            # the watts of a power supply that are not called its input may be what it provides
            known = part.kind is not Kind.POWER_SUPPLY or any(one.interface == "input" for one in measured)
            if each.quantity is Quantity.ACTIVE_POWER and each.interface is None and known:
                own[part.local] = each.sensors
    by_local = {part.local: part for part in parts.values()}
    frames = {part.local: part.kind for part in parts.values() if part.kind in FRAMES} | {"": Kind.STACK}
    feeding: dict[tuple[str, Kind], list[str]] = {}
    for part in parts.values():
        around = part.inside
        while around is not None and around not in frames:
            around = by_local[around].inside
        if around is not None:
            feeding.setdefault((around, part.kind), []).append(part.local)
    found: dict[str, tuple[Sensor, ...]] = {}
    for local in sorted(frames, key=lambda one: (one == "", frames[one] is Kind.STACK)):  # what is inside goes first
        sources = feeding.get((local, Kind.CHASSIS)) or feeding.get((local, Kind.POWER_SUPPLY)) or []
        if local not in own and sources and all(one in own for one in sources):
            found[local] = own[local] = tuple(each for one in sources for each in own[one])
    return found


def sensor(place: int, sense: int, scale: int | None, precision: int | None, said: str) -> Sensor | None:
    """A sensor that is about energy, and whose scale and precision make sense (RFC 3433 section 3)."""
    if sense not in set(Sense) or scale not in SCALES or precision is None or not -8 <= precision <= 9:
        return None
    return Sensor(place, Sense(sense), SCALES[scale] - max(precision, 0), said)


def rule(quantity: Quantity, one: Sensor, *, provided: bool, several: bool) -> Rule:
    """How a sensor is read. It is believed while the device says that it works."""
    return Rule(
        quantity,
        oid=VALUE,
        scale=Decimal(-1 if provided else 1).scaleb(one.exponent),
        absent=BEYOND,
        only_when=Condition(STATUS, frozenset({OK})),
        between=(Decimal(0), Decimal(1000)) if quantity is Quantity.FREQUENCY else (-MOST, MOST),
        whole=Whole.SUM if several else None,
    )

"""BATTERY-MIB (RFC 7577): batteries, each a part of the device that ``physical`` finds by its entPhysicalIndex."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from eman_netconf.backend import BatteryInfo, Point, Quantity

from .builder import Builder
from .complete import Oid, Value
from .readings import cell, number
from .survey import Asks
from .tables import Case, Condition, Rule
from .words import text

BATTERY = "1.3.6.1.2.1.233.1.1.1"
MOST_BATTERIES = 256
UNKNOWN = 0xFFFFFFFF  # of an Unsigned32
UNKNOWN_SIGNED = 0x7FFFFFFF  # of an Integer32
Q = Quantity

TYPES = {3: "primary", 4: "rechargeable", 5: "capacitor"}
TECHNOLOGIES = dict(
    enumerate(
        (
            *("zinc-carbon", "zinc-chloride", "nickel-oxyhydroxide", "lithium-copper-oxide"),
            *("lithium-iron-disulfide", "lithium-manganese-dioxide", "zinc-air", "silver-oxide", "alkaline"),
            *("lead-acid", "vrla-gel", "vrla-agm", "nickel-cadmium", "nickel-metal-hydride", "nickel-zinc"),
            *("lithium-ion", "lithium-polymer", "double-layer-capacitor"),
        ),
        start=3,
    )
)
CHARGING = {2: "charging", 3: "maintaining", 4: "not-charging", 5: "discharging"}
_OF_BATTERY = (
    (10, Q.ACTUAL_CAPACITY, Decimal(1), UNKNOWN),
    (11, Q.CYCLE_COUNT, Decimal(1), UNKNOWN),
    (15, Q.CHARGE, Decimal(1), UNKNOWN),
    (16, Q.BATTERY_VOLTAGE, Decimal("0.001"), UNKNOWN),
    (17, Q.BATTERY_CURRENT, Decimal("0.001"), UNKNOWN_SIGNED),
    (18, Q.TEMPERATURE, Decimal("0.1"), UNKNOWN_SIGNED),
)
_WARNINGS = (  # threshold, what it is about, whether above it is bad, the alarm, what is no threshold or value
    (19, 15, False, "low", UNKNOWN),
    (20, 16, False, "low", UNKNOWN),
    (21, 10, False, "aging", UNKNOWN),
    (22, 11, True, "aging", UNKNOWN),
    (23, 18, True, "temperature", UNKNOWN_SIGNED),
    (24, 18, False, "temperature", UNKNOWN_SIGNED),
)


_DESCRIBED = (*range(1, 8), *range(19, 25))  # columns that do not change, or seldom


@dataclass(frozen=True, slots=True)
class Batteries:
    """The rows of the MIB, and what of them does not change."""

    indexes: Sequence[int] = ()
    values: Mapping[Oid, Value] = field(default_factory=dict)


async def find(client: Asks) -> Batteries:
    """The batteries a device has. Raises Unavailable."""
    if not await client.first([f"{BATTERY}.3"]):
        return Batteries()
    indexes = [int(row) for row in await client.walk(f"{BATTERY}.3", MOST_BATTERIES) if row.isdigit()]
    wanted = [f"{BATTERY}.{column}.{index}" for index in indexes for column in _DESCRIBED]
    return Batteries(indexes, await client.get(wanted, whole=True))


def tell(builder: Builder, batteries: Batteries, local: Callable[[int], str | None]) -> None:
    """What they are and how they are read."""
    for index in batteries.indexes:
        if (name := local(index)) is not None:
            _tell(builder, batteries.values, index, name)


def _tell(builder: Builder, values: Mapping[Oid, Value], index: int, local: str) -> None:
    def told(column: int) -> Value | None:
        return values.get(f"{BATTERY}.{column}.{index}")

    def known(column: int) -> int | None:
        value = number(told(column))
        return value if value and value != UNKNOWN else None

    millivolts = known(5)
    builder.battery(
        BatteryInfo(
            "battery",
            identifier=text(told(1)),
            firmware_version=text(told(2)),
            type=TYPES.get(known(3) or 0),
            technology=TECHNOLOGIES.get(known(4) or 0),
            nominal_voltage=Decimal(millivolts) * Decimal("0.001") if millivolts else None,
            cell_count=known(6),
            nominal_capacity=known(7),
        ),
        local,
    )
    point = Point(local, battery="battery")
    charging = tuple(Case(Condition(f"{BATTERY}.13", frozenset({code})), word) for code, word in CHARGING.items())
    rules = [Rule(Quantity.CHARGING_STATE, cases=charging), *_warnings(told)]
    rules += [
        Rule(
            quantity,
            oid=f"{BATTERY}.{column}",
            scale=scale,
            absent=frozenset({unknown}),
            between=(Decimal(-(10**9)), Decimal(10**9)),
        )
        for column, quantity, scale, unknown in _OF_BATTERY
    ]
    for made in rules:
        builder.read(cell(point, made, str(index)))


def _warnings(told: Callable[[int], Value | None]) -> Iterator[Rule]:
    """The alarms by the thresholds that the device has; 0 switches one off, but for temperatures."""
    cases = []
    for threshold, column, above, alarm, unknown in _WARNINGS:
        limit = number(told(threshold))
        if limit is None or limit == unknown or (limit == 0 and unknown == UNKNOWN):
            continue
        bad = (
            Condition(f"{BATTERY}.{column}", above=Decimal(limit), below=Decimal(unknown))
            if above
            else Condition(f"{BATTERY}.{column}", below=Decimal(limit))
        )
        cases.append(Case(bad, frozenset({alarm})))
    if cases:
        yield Rule(Quantity.ALARM, cases=tuple(cases), every=True)

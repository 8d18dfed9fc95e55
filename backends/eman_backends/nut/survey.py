"""What a UPS consists of, found in the names of its variables and commands, and where each value is to be read.

Names are those of the NUT naming convention (Network UPS Tools, User Manual: variables and commands). Of a value that
drivers tell under several names the first that is there counts.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from eman_netconf.backend import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Persistence,
    Point,
    Quantity,
)

from .status import technology

INPUT, BYPASS, OUTPUT, BATTERY = "input", "bypass", "output", "battery"
PHASES = (1, 2, 3)
_NEXT = {1: "L1-L2", 2: "L2-L3", 3: "L3-L1"}
_UNTOLD = frozenset({"", "-", "n/a", "na", "none", "null", "unknown", "unknow", "not set", "not available", "unset"})
_OUTLET = re.compile(r"outlet\.([1-9][0-9]{0,3})\.[a-z]")
_SOURCE = re.compile(r"input\.([1-9])\.[a-z]")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_TESTS = ("test.battery.start.quick", "test.battery.start")  # never the deep one, which empties the battery
_OUTLETS = 512
#: what drivers without an answer send for a nominal value is outside of these
_VOLTS, _HERTZ = (Decimal(5), Decimal(1000)), (Decimal(16), Decimal(500))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of one phase (None = the whole) of one interface are told: quantity to name of variable."""

    phase: int | None
    names: Mapping[Quantity, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What makes a UPS do something: a command, or with ``value`` a variable to be set."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Terminal:
    """An interface of a UPS: its places, which way power goes, and what its state is told by."""

    point: Point
    places: tuple[Place, ...]
    inlet: bool
    state: str | None = None  # the variable of an outlet


class Abilities(NamedTuple):
    """What a UPS can be told: commands, and variables that can be set."""

    commands: frozenset[str] = frozenset()
    writable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ups:
    """One UPS (or PDU) as surveyed: what is told of it, where it is read, and what it can be told."""

    name: str
    info: EntityInfo
    terminals: tuple[Terminal, ...]
    battery: Point | None
    main: Point | None  # the interface through which all comes in
    switches: Mapping[Point, tuple[Order, Order]]  # on, off
    test: Order | None
    abilities: Abilities
    shape: tuple[object, ...]

    @property
    def point(self) -> Point:
        """The UPS itself."""
        return Point(self.info.local)


def number(told: str | None, low: Decimal | int = 0, high: Decimal | int = 10**9) -> Decimal | None:
    """A value as a number within bounds; None where it is none."""
    if told is None:
        return None
    try:
        value = Decimal(told)
    except InvalidOperation:
        return None
    return value if value.is_finite() and low <= value <= high else None


def shape(variables: Mapping[str, str]) -> tuple[object, ...]:
    """What an inventory is made of; another shape may be another inventory."""
    return (frozenset(variables), *(variables.get(name) for name in _FIXED))


def survey(
    ups: str,
    local: str,
    variables: Mapping[str, str],
    abilities: Abilities,
    *,
    description: str | None = None,
    where: str | None = None,
) -> Ups:
    """What the UPS has. ``where`` names the server, for an identifier."""
    power_device = variables.get("device.type", "ups").lower()
    is_ups = power_device == "ups"
    terminals: list[Terminal] = []
    interfaces: list[InterfaceInfo] = []
    switches: dict[Point, tuple[Order, Order]] = {}
    phased = {name.partition(".L")[0] for name in variables if ".L" in name}

    def add(info: InterfaceInfo, prefixes: Iterable[str], state: str | None = None) -> None:
        point = Point(local, info.name)
        terminals.append(
            Terminal(point, tuple(_places(prefixes, variables, phased)), info.direction is Direction.INLET, state)
        )
        interfaces.append(info)

    sources = sorted({match[1] for name in variables if (match := _SOURCE.match(name))})
    if sources and not is_ups:
        for source in sources:
            add(_interface(f"{INPUT}-{source}", Direction.INLET, f"input.{source}", variables), (f"input.{source}",))
    elif variables:
        add(
            _interface(INPUT, Direction.INLET, "input", variables),
            ("input",) if is_ups else ("input", "outlet", "ups"),
        )
    if any(name.startswith("input.bypass.") for name in variables) and variables.get("input.bypass.phases") != "0":
        add(_interface(BYPASS, Direction.INLET, "input.bypass", variables), ("input.bypass",))
    if variables and (is_ups or any(name.startswith("output.") for name in variables)):
        whole = _switch("", abilities)
        if whole is not None:
            switches[Point(local, OUTPUT)] = whole
        volt_amperes = _first(variables, "ups.power.nominal", "output.power.nominal")
        add(
            _interface(
                OUTPUT, Direction.OUTLET, "output", variables, switchable=whole is not None, rated_power=volt_amperes
            ),
            ("output", "ups", "outlet"),
        )
    for outlet in _outlets(variables):
        prefix = f"outlet.{outlet}"
        orders = None if variables.get(f"{prefix}.switchable") == "no" else _switch(f"{prefix}.", abilities)
        point = Point(local, f"outlet-{outlet}")
        if orders is not None:
            switches[point] = orders
        state = next((name for name in (f"{prefix}.status", f"{prefix}.switch") if name in variables), None)
        info = _interface(f"outlet-{outlet}", Direction.OUTLET, prefix, variables, switchable=orders is not None)
        add(info, (prefix,), state)
    inlets = [terminal.point for terminal in terminals if terminal.inlet and terminal.point.interface != BYPASS]
    test = next((Order(name) for name in _TESTS if name in abilities.commands), None)
    has_battery = test is not None or any(name.startswith("battery.") for name in variables)
    made = EntityInfo(
        local,
        name=ups,
        description=_said(description) or _said(variables.get("device.description")),
        manufacturer=_told(variables, "device.mfr", "ups.mfr"),
        model=_told(variables, "device.model", "ups.model"),
        firmware_version=_told(variables, "ups.firmware"),
        category=("store" if is_ups else "distributor") if variables else None,
        nameplate_power=_first(variables, "ups.realpower.nominal", "output.realpower.nominal"),
        current_type="ac" if variables else None,
        foreign_ids=tuple(_identifiers(ups, variables, where)),
        interfaces=tuple(interfaces),
        batteries=(_battery(variables, testable=test is not None),) if has_battery else (),
    )
    return Ups(
        ups,
        made,
        tuple(terminals),
        Point(local, battery=BATTERY) if has_battery else None,
        inlets[0] if len(inlets) == 1 else None,
        switches,
        test,
        abilities,
        shape(variables),
    )


#: variables whose values, not only their presence, are in the inventory
_FIXED = (
    *("device.type", "device.mfr", "device.model", "device.serial", "device.macaddr", "device.description"),
    *("ups.mfr", "ups.model", "ups.serial", "ups.firmware", "ups.realpower.nominal", "ups.power.nominal"),
    *("output.realpower.nominal", "output.power.nominal", "battery.type", "battery.capacity"),
    *("battery.voltage.nominal", "input.phases", "output.phases", "input.bypass.phases"),
)


def _outlets(variables: Mapping[str, str]) -> list[int]:
    found = {int(match[1]) for name in variables if (match := _OUTLET.match(name))}
    return sorted(found)[:_OUTLETS]


def _switch(prefix: str, abilities: Abilities) -> tuple[Order, Order] | None:
    """What switches on and off; None where one of the two is missing: what went off would stay so."""
    on, off = f"{prefix}load.on", f"{prefix}load.off"
    if {on, off} <= abilities.commands:
        return Order(on), Order(off)
    variable = f"{prefix}switch"  # not the status: what snmp-ups lists as writable it refuses
    return (Order(variable, "on"), Order(variable, "off")) if prefix and variable in abilities.writable else None


def _places(prefixes: Iterable[str], variables: Mapping[str, str], phased: Container[str]) -> Iterator[Place]:
    prefixes = tuple(prefixes)
    for phase in (None, *PHASES) if any(prefix in phased for prefix in prefixes) else (None,):
        if names := _names(prefixes, phase, variables):
            yield Place(phase, names)


def _names(prefixes: tuple[str, ...], phase: int | None, variables: Mapping[str, str]) -> dict[Quantity, str]:
    lines = ("",) if phase is None else (f"L{phase}-N.", f"L{phase}.")
    wanted = {
        quantity: [f"{prefix}.{line}{leaf}" for prefix in prefixes for line in lines]
        for quantity, leaf in _LEAVES.items()
        if phase is None or quantity is not Quantity.FREQUENCY
    }
    if phase is None:
        wanted[Quantity.FREQUENCY] += [f"{prefix}.L1.frequency" for prefix in prefixes]
        wanted[Quantity.NEUTRAL_CURRENT] = [f"{prefix}.N.current" for prefix in prefixes]
    else:
        wanted[Quantity.VOLTAGE_TO_NEXT] = [f"{prefix}.{_NEXT[phase]}.voltage" for prefix in prefixes]
    found = {quantity: next((name for name in names if name in variables), None) for quantity, names in wanted.items()}
    return {quantity: name for quantity, name in found.items() if name is not None}


_LEAVES = {
    Quantity.VOLTAGE: "voltage",
    Quantity.CURRENT: "current",
    Quantity.FREQUENCY: "frequency",
    Quantity.ACTIVE_POWER: "realpower",
    Quantity.APPARENT_POWER: "power",
    Quantity.POWER_FACTOR: "powerfactor",
}


def _interface(
    name: str,
    direction: Direction,
    prefix: str,
    variables: Mapping[str, str],
    *,
    switchable: bool = False,
    rated_power: Decimal | None = None,
) -> InterfaceInfo:
    volts = number(variables.get(f"{prefix}.voltage.nominal"), *_VOLTS)
    phases = number(variables.get(f"{prefix}.phases"), 1, 3)
    own = variables.get(f"{prefix}.id")
    label = _told(variables, f"{prefix}.desc", f"{prefix}.name")
    return InterfaceInfo(
        name,
        direction,
        label=label,
        foreign_ids=(ForeignId("alternate-key", own),) if own and own != name.rpartition("-")[2] else (),
        current_type="ac",
        nominal_voltage=(volts, volts) if volts is not None else None,
        nominal_frequency=number(variables.get(f"{prefix}.frequency.nominal"), *_HERTZ),
        ac_phases=int(phases) if phases is not None else None,
        rated_current=_first(variables, f"{prefix}.current.nominal"),
        rated_power=rated_power,
        switchable=switchable,
    )


def _battery(variables: Mapping[str, str], *, testable: bool) -> BatteryInfo:
    amperes = number(variables.get("battery.capacity"), Decimal("0.001"), 10**6)
    return BatteryInfo(
        BATTERY,
        type="rechargeable",
        technology=technology(variables.get("battery.type", "")),
        nominal_capacity=int(amperes * 1000) if amperes is not None else None,
        nominal_voltage=_first(variables, "battery.voltage.nominal"),
        testable=testable,
    )


def _identifiers(ups: str, variables: Mapping[str, str], where: str | None) -> Iterator[ForeignId]:
    serial = _told(variables, "device.serial", "ups.serial")
    if serial is not None and serial.strip("0"):
        yield ForeignId("serial-number", serial, persistence=Persistence.PERSISTENT)
    mac = variables.get("device.macaddr", "").lower().replace("-", ":").replace(" ", ":")
    if _MAC.fullmatch(mac):
        yield ForeignId("mac-address", mac, persistence=Persistence.PERSISTENT)
    if where is not None:
        yield ForeignId("alternate-key", f"{ups}@{where}", persistence=Persistence.PERSISTENT)


def _first(variables: Mapping[str, str], *names: str) -> Decimal | None:
    """The first of the values that is a number above zero."""
    found = (number(variables.get(name)) for name in names)
    return next((value for value in found if value), None)


def _told(variables: Mapping[str, str], *names: str) -> str | None:
    return next((said for name in names if (said := _said(variables.get(name)))), None)


def _said(text: str | None) -> str | None:
    """What a driver says, unless it says that it does not know."""
    return None if text is None or text.lower() in _UNTOLD or text == "Description unavailable" else text[:255]

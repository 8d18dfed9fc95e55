"""Readings made of what a UPS tells. What contradicts itself is left out, what is reckoned says so.

Power of an outlet is negative, since it is provided; alternating currents have no sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from eman_netconf.backend import Method, Pass, Point, Quantity, Reading, Supply

from . import status
from .survey import BYPASS, OUTPUT, PHASES, Place, Terminal, Ups, number

HUNDRED = Decimal(100)
MILLI = Decimal("0.001")
_NAN = Decimal("NaN")
Values = dict[Quantity, Decimal]
_BOUNDS = {
    Quantity.VOLTAGE: 1000,  # beyond that it is another unit
    Quantity.VOLTAGE_TO_NEXT: 1000,
    Quantity.CURRENT: 10**5,
    Quantity.NEUTRAL_CURRENT: 10**5,
    Quantity.FREQUENCY: 1000,
    Quantity.ACTIVE_POWER: 10**8,
    Quantity.APPARENT_POWER: 10**8,
    Quantity.POWER_FACTOR: 1,
}
_POWERS = (Quantity.ACTIVE_POWER, Quantity.APPARENT_POWER)
_SIGNED = (Quantity.ACTIVE_POWER, Quantity.POWER_FACTOR)
_OF_CURRENT = (Quantity.CURRENT, *_POWERS)
#: shares of volts times amperes between which a power is one of these volts and amperes
_LEAST, _GREATEST = Decimal("0.02"), Decimal("1.5")
_TELLING = 20  # volt-amperes from which on that is asked


@dataclass(frozen=True, slots=True)
class Told:
    """What one UPS told in one pass."""

    variables: Mapping[str, str]
    flags: frozenset[str]
    at: float

    def value(self, name: str, low: Decimal | int = 0, high: Decimal | int = 10**9) -> Decimal | None:
        return number(self.variables.get(name), low, high)

    @property
    def on_mains(self) -> bool:
        """Whether the UPS says that it takes its power from the mains at present."""
        return "OL" in self.flags and not self.flags & {"OFF", "OB"}


def readings(ups: Ups, variables: Mapping[str, str], at: float, assumed_factor: Decimal | None = None) -> Pass:
    """All readings of one UPS of its variables; ``assumed_factor`` is the operator's power factor for its output."""
    told = Told(variables, frozenset(variables.get("ups.status", "").split()), at)
    made: list[Reading] = []
    missing: dict[Point, str] = {}
    for terminal in ups.terminals:
        before = len(made)
        made += _terminal(terminal, told, assumed_factor)
        if len(made) == before and (terminal.places or terminal.state):
            missing[terminal.point] = "nothing that its driver tells of it can be believed"
    made += _device(ups, made, told)
    if ups.battery is not None:
        made += _battery(ups.battery, told)
    return Pass(tuple(made), missing)


def _terminal(terminal: Terminal, told: Told, assumed_factor: Decimal | None) -> Iterator[Reading]:
    point = terminal.point
    at = told.at
    values = {place.phase: _values(place, terminal, told) for place in terminal.places}
    whole = values.setdefault(None, {})
    _sum_up(values, whole)
    for phase, those in values.items():
        for quantity, value in those.items():
            signed = -value if quantity in _SIGNED and not terminal.inlet else value
            yield Reading(point, quantity, signed, at, phase)
    if point.interface == OUTPUT:
        for quantity, value in _reckoned(values, told, assumed_factor):
            yield Reading(point, quantity, value, at, method=Method.LOAD_MODEL)
    yield from _state(terminal, told)


def _values(place: Place, terminal: Terminal, told: Told) -> Values:
    """What one place tells and can be believed."""
    found = {}
    for quantity, name in place.names.items():
        value = told.value(name, -1 if quantity is Quantity.POWER_FACTOR else 0, _BOUNDS[quantity])
        if value is not None:
            found[quantity] = abs(value)
    volts, amperes = found.get(Quantity.VOLTAGE), found.get(Quantity.CURRENT)
    if volts is not None and amperes is not None and volts * amperes > _TELLING:
        for power in _POWERS:  # another unit, or not measured
            if power in found and not _LEAST <= found[power] / (volts * amperes) <= _GREATEST:
                del found[power]
    if _idle_beyond_belief(terminal, told):
        for quantity in _OF_CURRENT:
            if found.get(quantity) == 0:
                del found[quantity]
    return found


def _idle_beyond_belief(terminal: Terminal, told: Told) -> bool:
    """Whether a zero at the terminal only says that nobody measured: of a UPS on mains, and of one with a load."""
    if terminal.point.interface == OUTPUT:
        return bool(told.value("ups.load"))
    return terminal.inlet and terminal.point.interface != BYPASS and told.on_mains


def _sum_up(values: Mapping[int | None, Values], whole: Values) -> None:
    """What three phases come to: the power is their sum, voltage and current are their means."""
    if not all(phase in values for phase in PHASES):
        return
    for quantity in (*_POWERS, Quantity.VOLTAGE, Quantity.CURRENT):
        parts = [values[phase].get(quantity) for phase in PHASES]
        if quantity not in whole and None not in parts:
            total = sum((part for part in parts if part is not None), Decimal(0))
            whole[quantity] = total if quantity in _POWERS else (total / 3).quantize(MILLI)


def _reckoned(
    values: Mapping[int | None, Values], told: Told, assumed_factor: Decimal | None
) -> Iterator[tuple[Quantity, Decimal]]:
    """Power of the output that is not measured: of volts and amperes, or of the load in percent of the rating."""
    if status.supply(told.flags) is Supply.OFF:
        return
    whole = values[None]
    load = told.value("ups.load", 0, 1000)
    apparent = whole.get(Quantity.APPARENT_POWER)
    if apparent is None:
        apparent, rated = _volt_amperes(values), _nominal(told, "power")
        if apparent is None and rated is not None and load is not None:
            apparent = load * rated / HUNDRED
        if apparent is not None:
            yield Quantity.APPARENT_POWER, apparent
    if Quantity.ACTIVE_POWER in whole:
        return
    factor = whole.get(Quantity.POWER_FACTOR)
    rated = _nominal(told, "realpower")
    if apparent is not None and factor is not None:
        yield Quantity.ACTIVE_POWER, -(apparent * factor).quantize(MILLI)
    elif load is not None and rated is not None:
        yield Quantity.ACTIVE_POWER, -(load * rated / HUNDRED)
    elif apparent is not None and assumed_factor is not None:
        yield Quantity.ACTIVE_POWER, -(apparent * assumed_factor).quantize(MILLI)


def _volt_amperes(values: Mapping[int | None, Values]) -> Decimal | None:
    """Volts times amperes, of one phase or the sum of three; None where one is not told."""
    phases = [values[phase] for phase in PHASES] if all(phase in values for phase in PHASES) else [values[None]]
    if len(phases) == 1 and len(values) > 1:
        return None
    products = [phase.get(Quantity.VOLTAGE, _NAN) * phase.get(Quantity.CURRENT, _NAN) for phase in phases]
    total = sum(products, Decimal(0))
    return None if total.is_nan() else total.quantize(MILLI)


def _nominal(told: Told, which: str) -> Decimal | None:
    return told.value(f"ups.{which}.nominal", 1) or told.value(f"output.{which}.nominal", 1)


def _state(terminal: Terminal, told: Told) -> Iterator[Reading]:
    point = terminal.point
    supply: Supply | None = None
    available: bool | None = None
    if terminal.state is not None:
        supply = status.switched(told.variables.get(terminal.state, ""))
    elif point.interface == OUTPUT:
        supply = status.supply(told.flags)
    elif point.interface == BYPASS:
        available = True if "BYPASS" in told.flags else None
    elif terminal.inlet:
        available = status.mains(told.flags)
    if supply is not None:
        yield Reading(point, Quantity.SUPPLY_STATE, supply, told.at)
    if available is not None:
        yield Reading(point, Quantity.POWER_AVAILABLE, available, told.at)


def _device(ups: Ups, made: list[Reading], told: Told) -> Iterator[Reading]:
    """What the device takes in: read at its inlet, or reckoned of what it gives and of its efficiency."""
    if ups.main is None:
        return
    powers = [reading for reading in made if reading.quantity is Quantity.ACTIVE_POWER]
    taken_in = [reading for reading in powers if reading.point == ups.main]
    for reading in taken_in:
        yield reading._replace(point=ups.point)
    efficiency = told.value("ups.efficiency", 1, 100)
    outputs = (reading for reading in powers if reading.point.interface == OUTPUT and reading.phase is None)
    output = next(outputs, None)
    if not taken_in and output is not None and efficiency is not None and told.on_mains:
        given = -Decimal(str(output.value))
        taken = (given * HUNDRED / efficiency).quantize(MILLI)
        yield Reading(ups.point, Quantity.ACTIVE_POWER, taken, told.at, method=Method.LOAD_MODEL)


def _battery(point: Point, told: Told) -> Iterator[Reading]:
    flags = told.flags
    at = told.at
    charge = told.value("battery.charge", 0, 100)
    if charge is not None:
        yield Reading(point, Quantity.CHARGE_PERCENT, charge, at, method=Method.LOAD_MODEL)
    runtime = told.value("battery.runtime", 0, 10**7)
    if runtime is not None and (runtime or "OB" in flags):  # 0 on mains is not reckoned
        yield Reading(point, Quantity.RUNTIME_REMAINING, runtime, at, method=Method.LOAD_MODEL)
    volts = told.value("battery.voltage", MILLI, 10**4)
    if volts is not None:
        yield Reading(point, Quantity.BATTERY_VOLTAGE, volts, at)
    does = status.charging(flags, told.variables.get("battery.charger.status"), charge == HUNDRED)
    amperes = told.value("battery.current", -(10**4), 10**4)
    if amperes is not None:  # the sign is each driver's own
        size = abs(amperes)
        signed = {"discharging": -size, "charging": size}.get(does or "", amperes)
        yield Reading(point, Quantity.BATTERY_CURRENT, signed, at)
    degrees = told.value("battery.temperature", -40, 120)
    if degrees:  # 0 is what those without a sensor tell
        yield Reading(point, Quantity.TEMPERATURE, degrees, at)
    if does is not None:
        yield Reading(point, Quantity.CHARGING_STATE, does, at)
    if (alarms := status.alarms(flags)) is not None:
        yield Reading(point, Quantity.ALARM, alarms, at)
    if (result := status.test_result(told.variables.get("ups.test.result", ""))) is not None:
        yield Reading(point, Quantity.TEST_RESULT, result, at)

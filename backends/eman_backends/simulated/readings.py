"""What the instruments of a box show now."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from eman_netconf.backend import Method, Pass, Point, Quantity, Reading, Supply

from . import loads
from .electrical import Electrical, between
from .inventory import local
from .scenario import Entity, Kind, String, Wire
from .site import WORN_OUT, Site

LOW = 0.3  # of a bank's charge
CRITICAL = 0.05
ANALYSERS = (Kind.METER, Kind.FEED)  # their instruments tell phase angles, distortion and impedance


def read(site: Site, box: str, wall: float) -> Pass:
    """All readings of a box at the site's present, stamped ``wall``; what is dark behind it is missing."""
    instruments = Electrical(site.scenario, site.flows, site.at)
    readings: list[Reading] = []
    missing: dict[Point, str] = {}
    for entity in site.scenario.box(box):
        if entity.states and not entity.self_powered and not site.flows.supplied[entity.index]:
            missing[Point(local(entity))] = f"{entity.id} does not answer"
        else:
            readings.extend(_Panel(site, instruments, entity, wall).all())
    return Pass(tuple(readings), missing)


def thousandths(value: int) -> Decimal:
    """Milliwatts as watts, exactly."""
    return Decimal(value).scaleb(-3)


def decimal(value: float, digits: int) -> Decimal:
    """Rounded to so many digits, and never minus nothing."""
    return Decimal(f"{value:.{digits}f}") + 0


def watt_hours(microjoules: int) -> Decimal:
    """As a meter shows them: whole milliwatt-hours, never rounded up."""
    return Decimal(microjoules // 3_600_000).scaleb(-3)


class _Panel:
    """The readings of one entity."""

    def __init__(self, site: Site, instruments: Electrical, entity: Entity, wall: float) -> None:
        self.site = site
        self.instruments = instruments
        self.entity = entity
        self.wall = wall
        self.local = local(entity)
        self.method = Method(entity.method)
        self.metered = self.method is not Method.STATE_MODEL
        self.accuracy = None if entity.accuracy is None else Decimal(str(entity.accuracy))

    def all(self) -> Iterator[Reading]:
        entity, site = self.entity, self.site
        here = Point(self.local)
        if entity.measures is not None:
            wire = site.scenario.wires[entity.measures]
            yield from self.flow(here, site.flows.power[wire.index], site.flows.reactive[wire.index])
            yield from self.counters(here, *site.energy(wire))
            yield from self.electrical(here, wire)
            return
        yield from self.flow(here, site.flows.entity_power[entity.index], site.flows.entity_reactive[entity.index])
        received, provided = site.entity_energy(entity)
        gives = entity.kind is Kind.SOLAR
        yield from self.counters(here, None if gives else received, provided if gives else None)
        yield from self.control(here)
        for index in (*entity.inlets, *entity.outlets):
            yield from self.interface(site.scenario.wires[index])
        if entity.bank is not None:
            stored = site.stored(entity) / entity.bank.full
            for string in entity.bank.strings:
                yield from self.battery(string, stored)

    def reading(self, point: Point, quantity: Quantity, value: Decimal, phase: int | None = None) -> Reading:
        """A measured value, with how and how well this entity measures."""
        return Reading(point, quantity, value, self.wall, phase, self.method, self.accuracy, self.entity.accuracy_class)

    def state(self, point: Point, quantity: Quantity, value: bool | str | frozenset[str]) -> Reading:
        return Reading(point, quantity, value, self.wall)

    def flow(self, point: Point, power: int, reactive: int, phase: int | None = None) -> Iterator[Reading]:
        """Active power, and with alternating current what belongs to it."""
        yield self.reading(point, Quantity.ACTIVE_POWER, thousandths(power), phase)
        if self.direct(point) or not self.metered:
            return
        apparent = math.hypot(power, reactive)
        yield self.reading(point, Quantity.APPARENT_POWER, decimal(apparent / 1000, 3), phase)
        yield self.reading(point, Quantity.REACTIVE_POWER, thousandths(reactive), phase)
        if apparent:
            yield self.reading(point, Quantity.POWER_FACTOR, decimal(power / apparent, 4), phase)
            if self.entity.kind in ANALYSERS:
                angle = math.degrees(math.atan2(reactive, power))
                yield self.reading(point, Quantity.PHASE_ANGLE, decimal(angle, 2), phase)

    def direct(self, point: Point) -> bool:
        """Whether the point has direct current alone."""
        wires = self.site.scenario.wires
        indices = (*self.entity.inlets, *self.entity.outlets)
        if point.interface is None:
            return bool(self.entity.inlets) and all(wires[index].direct for index in self.entity.inlets)
        return any(wires[index].direct and wires[index].name == point.interface for index in indices)

    def counters(self, point: Point, received: int | None, provided: int | None) -> Iterator[Reading]:
        """Energy in the directions that the point can have."""
        method = self.method if self.metered else Method.INTEGRATED
        for quantity, counted in ((Quantity.ENERGY_RECEIVED, received), (Quantity.ENERGY_PROVIDED, provided)):
            if counted is not None:
                yield self.reading(point, quantity, watt_hours(counted))._replace(method=method)

    def control(self, here: Point) -> Iterator[Reading]:
        entity, site = self.entity, self.site
        if entity.states is not None:
            yield self.state(here, Quantity.POWER_STATE, site.memory.state[entity.index])
            yield self.state(here, Quantity.LOCAL_CONTROL, value=False)
        limit = site.memory.limit.get(entity.index)
        if limit is not None:
            yield Reading(here, Quantity.POWER_LIMIT, thousandths(limit), self.wall)

    def interface(self, wire: Wire) -> Iterator[Reading]:
        """What is seen at an interface; nothing at those of a thing that only tells its state."""
        if not self.metered:
            return
        site = self.site
        point = Point(self.local, wire.name)
        power = site.flows.power[wire.index]
        yield from self.flow(point, power, site.flows.reactive[wire.index])
        received, provided = site.energy(wire)
        gives = not wire.inlet or wire.reversible
        yield from self.counters(point, received if wire.inlet else None, provided if gives else None)
        yield from self.electrical(point, wire)
        yield self.state(point, Quantity.POWER_AVAILABLE, value=site.flows.live[wire.index])
        yield self.state(point, Quantity.IN_USE, value=power != 0)
        if wire.switchable:
            yield self.state(point, Quantity.SUPPLY_STATE, site.supply(wire))
        elif not wire.inlet:
            yield self.state(point, Quantity.SUPPLY_STATE, Supply.ON if site.flows.live[wire.index] else Supply.OFF)
        if wire.reversible:
            yield self.state(point, Quantity.OPERATIONAL_DIRECTION, "inlet" if power >= 0 else "outlet")

    def electrical(self, point: Point, wire: Wire) -> Iterator[Reading]:
        """Voltage, current and frequency; of three phases each, and their mean voltage as the whole."""
        volts = self.instruments.volts(wire) or (0.0,) * wire.phases
        amperes = self.instruments.currents(wire) or (0.0,) * wire.phases
        yield self.reading(point, Quantity.VOLTAGE, decimal(sum(volts) / len(volts), 3))
        if (frequency := self.instruments.frequency(wire)) is not None:
            yield self.reading(point, Quantity.FREQUENCY, decimal(frequency, 3))
        if wire.phases == 1:
            yield self.reading(point, Quantity.CURRENT, decimal(amperes[0], 3))
            yield from self.quality(point, volts[0])
            return
        neutral = self.instruments.neutral(wire)
        yield self.reading(point, Quantity.NEUTRAL_CURRENT, decimal(neutral or 0.0, 3))
        active, reactive = self.instruments.active(wire), self.instruments.reactive(wire)
        for number in range(wire.phases):
            phase = number + 1
            following = volts[(number + 1) % len(volts)]
            yield self.reading(point, Quantity.VOLTAGE, decimal(volts[number], 3), phase)
            yield self.reading(point, Quantity.VOLTAGE_TO_NEXT, decimal(between(volts[number], following), 3), phase)
            yield self.reading(point, Quantity.CURRENT, decimal(amperes[number], 3), phase)
            yield from self.flow(point, active[number], reactive[number], phase)
            yield from self.quality(point, volts[number], phase)

    def quality(self, point: Point, volts: float, phase: int | None = None) -> Iterator[Reading]:
        """Distortion and the impedance of the supply, of instruments that analyse them."""
        if self.entity.kind not in ANALYSERS or not volts:
            return
        bent = loads.harmonics(self.site.scenario, f"{self.entity.id} l{phase or 1}", self.site.at)
        yield self.reading(point, Quantity.THD_VOLTAGE, decimal(1.8 * bent, 2), phase)
        yield self.reading(point, Quantity.THD_CURRENT, decimal(7.5 * bent, 2), phase)
        yield self.reading(point, Quantity.RESISTANCE, decimal(0.18 * bent, 6), phase)
        yield self.reading(point, Quantity.REACTANCE, decimal(0.11 * bent, 6), phase)

    def battery(self, string: String, stored: float) -> Iterator[Reading]:
        """One string of a bank, which has its part of the bank's charge and current by its capacity."""
        bank = self.entity.bank
        assert bank is not None
        point = Point(self.local, None, string.name)
        capacity = round(string.capacity * string.health)
        part = capacity / sum(round(each.capacity * each.health) for each in bank.strings)
        into = self.site.flows.battery.get(self.entity.index, 0) / 1000 * part
        volts = bank.volts * (0.94 + 0.14 * stored + (0.05 if into > 0 else -0.03 if into < 0 else 0.0))
        cycles = self.site.cycles(self.entity, string)
        if into:
            doing = "charging" if into > 0 else "discharging"
        else:
            doing = "maintaining" if stored >= 1 else "not-charging"
        wave = loads.wandering(self.site.scenario.seed, f"{self.entity.id} {string.name}", self.site.at)
        flags = {"low": stored < LOW, "critical": stored < CRITICAL, "aging": cycles >= WORN_OUT}
        yield self.reading(point, Quantity.CHARGE, Decimal(int(capacity * stored)))
        yield self.reading(point, Quantity.CHARGE_PERCENT, decimal(math.floor(stored * 10000) / 100, 2))
        yield self.state(point, Quantity.CHARGING_STATE, doing)
        yield self.reading(point, Quantity.CYCLE_COUNT, Decimal(cycles))
        yield self.reading(point, Quantity.ACTUAL_CAPACITY, Decimal(capacity))
        yield self.reading(point, Quantity.BATTERY_VOLTAGE, decimal(volts, 3))
        yield self.reading(point, Quantity.BATTERY_CURRENT, decimal(into / volts, 3))
        yield self.reading(point, Quantity.TEMPERATURE, decimal(23.5 + 1.5 * wave + min(abs(into) / 300, 12), 1))
        runtime = self.site.runtime(self.entity)
        if math.isfinite(runtime):
            yield self.reading(point, Quantity.RUNTIME_REMAINING, decimal(runtime, 0))
        yield self.state(point, Quantity.ALARM, frozenset(name for name, raised in flags.items() if raised))
        yield self.state(point, Quantity.TEST_RESULT, self.site.tested(self.entity, string))

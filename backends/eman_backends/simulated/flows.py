"""How power flows through the site, given switches, loads and batteries: one pass down, one pass up.

Powers are whole milliwatts and millivars, so that what an outlet provides and what its inlets receive are the same
number and sums are exact. Positive is received, negative is provided.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from .scenario import Entity, Kind, Scenario


@dataclass(frozen=True, slots=True)
class Given:
    """What decides the flows for a while. ``loads`` are what each entity draws itself when it is supplied."""

    closed: Sequence[bool]  # per interface: its switch, where it has one, lets power through
    loads: Sequence[int]  # per entity, milliwatts
    sun: Mapping[int, int]  # per solar inverter, milliwatts it could give
    stored: Mapping[int, int]  # per storage, microjoules in its bank
    charging: Mapping[int, int]  # per storage, milliwatts its charger takes while there is supply
    testing: Container[int] = frozenset()  # storages that carry their loads from their banks to try them


@dataclass(frozen=True, slots=True)
class Flows:
    """Active and reactive power per interface and per entity, and where there is power."""

    power: Sequence[int]
    reactive: Sequence[int]
    live: Sequence[bool]  # per interface: power can be drawn here
    supplied: Sequence[bool]  # per entity
    entity_power: Sequence[int]
    entity_reactive: Sequence[int]
    battery: Mapping[int, int]  # per storage: milliwatts into (positive) or out of its bank


def solve(scenario: Scenario, given: Given) -> Flows:
    """The flows while nothing changes. Work is proportional to the number of interfaces."""
    return _Solver(scenario, given).solve()


class _Solver:
    def __init__(self, scenario: Scenario, given: Given) -> None:
        self.scenario = scenario
        self.given = given
        count = len(scenario.wires)
        self.power = [0] * count
        self.reactive = [0] * count
        self.live = [False] * count
        self.supplied = [False] * len(scenario.entities)
        self.battery: dict[int, int] = {}

    def solve(self) -> Flows:
        entities = self.scenario.entities
        for index in self.scenario.order:
            self.down(entities[index])
        for index in reversed(self.scenario.order):
            self.up(entities[index])
        powers, reactives = [], []
        for entity in entities:
            inlets = entity.inlets or entity.outlets  # a source has outlets alone, and provides
            powers.append(sum([self.power[wire] for wire in inlets]))
            reactives.append(sum([self.reactive[wire] for wire in inlets]))
        return Flows(self.power, self.reactive, self.live, self.supplied, powers, reactives, self.battery)

    def down(self, entity: Entity) -> None:
        """Where there is power, from the sources on."""
        wires, live, closed = self.scenario.wires, self.live, self.given.closed
        for inlet in entity.inlets:
            source = wires[inlet].source
            live[inlet] = closed[inlet] and (source is None or live[source])
        match entity.kind:
            case Kind.SOLAR:
                supplied = entity.grid is not None and closed[entity.grid]
            case Kind.FEED:
                supplied = live[entity.inlets[0]]
            case Kind.STORAGE:
                supplied = live[entity.inlets[0]] or self.given.stored.get(entity.index, 0) > 0
            case _:
                supplied = any(live[inlet] for inlet in entity.inlets)
        self.supplied[entity.index] = supplied
        for outlet in entity.outlets:
            live[outlet] = supplied and closed[outlet]
        if entity.kind is Kind.SOLAR:
            self.shine(entity)

    def up(self, entity: Entity) -> None:
        """What flows, from the loads back."""
        if not self.supplied[entity.index] or entity.kind is Kind.SOLAR:
            return
        through, reactive = self.demand(entity)
        total = self.given.loads[entity.index] + through + round(through * entity.loss)
        match entity.kind:
            case Kind.FEED:
                grid, *others = entity.inlets
                self.power[grid] = total - sum([self.power[each] for each in others])
                self.reactive[grid] = reactive - sum([self.reactive[each] for each in others])
            case Kind.STORAGE:
                self.store(entity, total)
            case Kind.TRANSFER:
                chosen = next(inlet for inlet in entity.inlets if self.live[inlet])
                self.power[chosen], self.reactive[chosen] = total, reactive
            case _:
                self.share(entity, total, reactive)

    def demand(self, entity: Entity) -> tuple[int, int]:
        """What the outlets provide, by what hangs on them."""
        through = reactive = 0
        for outlet in entity.outlets:
            if self.live[outlet]:
                inlets = self.scenario.feeds.get(outlet, ())
                power = sum([self.power[inlet] for inlet in inlets])
                self.power[outlet] = -power
                self.reactive[outlet] = -sum([self.reactive[inlet] for inlet in inlets])
                through += power
                reactive -= self.reactive[outlet]
        return through, reactive

    def share(self, entity: Entity, total: int, reactive: int) -> None:
        """Equal parts from all inlets that have power, the odd milliwatts from the first."""
        inlets = [inlet for inlet in entity.inlets if self.live[inlet]]
        if entity.power_factor is not None:
            reactive = lagging(total, entity.power_factor)
        each, odd = divmod(total, len(inlets))
        each_reactive, odd_reactive = divmod(reactive, len(inlets))
        for number, inlet in enumerate(inlets):
            self.power[inlet] = each + (number < odd)
            self.reactive[inlet] = each_reactive + (number < odd_reactive)

    def store(self, entity: Entity, total: int) -> None:
        """From the inlet, which charges as well; or out of the bank, which then gives more than arrives."""
        assert entity.bank is not None
        inlet = entity.inlets[0]
        if self.live[inlet] and entity.index not in self.given.testing:
            charging = self.given.charging.get(entity.index, 0)
            self.power[inlet] = total + charging
            self.reactive[inlet] = lagging(total + charging, entity.power_factor or 1.0)
            self.battery[entity.index] = round(charging * entity.bank.charging)
        else:
            self.battery[entity.index] = -round(total / entity.bank.discharging)

    def shine(self, entity: Entity) -> None:
        """A solar inverter decides itself what it provides; the inlet at the other end takes it."""
        (outlet,) = entity.outlets
        if self.live[outlet]:
            given = self.given.sun.get(entity.index, 0)
            self.power[outlet] = -given
            for inlet in self.scenario.feeds.get(outlet, ()):
                self.power[inlet] = given


def lagging(power: int, power_factor: float) -> int:
    """The reactive power of an inductive load with this power factor."""
    return round(power * math.sqrt(max(1 / power_factor**2 - 1, 0.0)))

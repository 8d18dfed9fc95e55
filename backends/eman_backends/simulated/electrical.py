"""Voltages, currents and phases that go with the flows of power."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

from . import loads
from .flows import Flows
from .scenario import Entity, Kind, Scenario, Wire

Parts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Electrical:
    """What instruments show while flows hold at a time; powers in milliwatts and millivars as the flows have them."""

    scenario: Scenario
    flows: Flows
    at: int

    def volts(self, wire: Wire) -> tuple[float, ...] | None:
        """The voltage of each phase to neutral (or the direct voltage); None where there is none."""
        if not self.flows.live[wire.index]:
            return None
        owner = self.scenario.entities[wire.owner]
        if wire.inlet:
            if wire.source is not None:
                return self.volts(self.scenario.wires[wire.source])
            return tuple(
                wire.volts * loads.voltage(self.scenario, owner, phase, self.at) for phase in range(1, wire.phases + 1)
            )
        if owner.regulated:
            return (wire.volts,) * wire.phases
        if owner.kind is Kind.SOLAR:
            assert owner.grid is not None
            return self.volts(self.scenario.wires[owner.grid])
        volts = self.volts(self.in_use(owner))
        if volts is not None and len(volts) == 3 and wire.phases == 1:
            return (volts[(wire.phase or 1) - 1],)
        return volts

    def in_use(self, owner: Entity) -> Wire:
        """The first inlet that has power, or the first."""
        wires = self.scenario.wires
        return next((wires[inlet] for inlet in owner.inlets if self.flows.live[inlet]), wires[owner.inlets[0]])

    def frequency(self, wire: Wire) -> float | None:
        """Hertz; None for direct current and where there is no voltage."""
        if wire.direct or not self.flows.live[wire.index]:
            return None
        owner = self.scenario.entities[wire.owner]
        if wire.inlet and wire.source is not None:
            return self.frequency(self.scenario.wires[wire.source])
        if owner.kind is Kind.STORAGE and not self.flows.live[owner.inlets[0]]:
            return 50.0  # an inverter on its battery has nothing to follow
        return loads.frequency(self.scenario, self.at)

    def active(self, wire: Wire) -> Parts:
        """The active power of each phase; their sum is the flow."""
        return self._parts(wire, self.flows.power)

    def reactive(self, wire: Wire) -> Parts:
        """The reactive power of each phase; their sum is the flow."""
        return self._parts(wire, self.flows.reactive)

    def _parts(self, wire: Wire, flow: Sequence[int]) -> Parts:
        """Evenly, but for the grid side of a feed: there each phase has what hangs on it."""
        total = flow[wire.index]
        if wire.phases == 1:
            return (total,)
        owner = self.scenario.entities[wire.owner]
        if owner.kind is not Kind.FEED or not wire.inlet or wire.source is not None:
            return thirds(total)
        parts = [0, 0, 0]
        for index in (*owner.outlets, *owner.inlets[1:]):
            other = self.scenario.wires[index]
            if other.phases == 1:
                parts[(other.phase or 1) - 1] -= flow[index]
            else:
                parts = [part - third for part, third in zip(parts, thirds(flow[index]), strict=True)]
        parts[0] += total - sum(parts)  # what the feed takes itself
        return tuple(parts)

    def currents(self, wire: Wire) -> tuple[float, ...] | None:
        """Amperes of each phase; signed for direct current alone. None where there is no voltage."""
        volts = self.volts(wire)
        if volts is None:
            return None
        if wire.direct:
            return (self.flows.power[wire.index] / 1000 / volts[0],)
        return tuple(
            math.hypot(power, reactive) / 1000 / volt
            for power, reactive, volt in zip(self.active(wire), self.reactive(wire), volts, strict=True)
        )

    def neutral(self, wire: Wire) -> float | None:
        """The current in the neutral of three phases: what their currents do not cancel of each other."""
        volts = self.volts(wire)
        if volts is None or len(volts) != 3:
            return None
        total = 0j
        parts = zip(self.active(wire), self.reactive(wire), volts, strict=True)
        for number, (power, reactive, volt) in enumerate(parts):
            total += complex(power, -reactive) / 1000 / volt * cmath.exp(-2j * math.pi * number / 3)
        return abs(total)


def thirds(total: int) -> tuple[int, int, int]:
    """Three nearly equal parts with this sum, the same for a flow and its opposite."""
    each, odd = divmod(abs(total), 3)
    sign = -1 if total < 0 else 1
    return sign * (each + (odd > 0)), sign * (each + (odd > 1)), sign * each


def between(one: float, two: float) -> float:
    """The voltage between two phases a third of a turn apart."""
    return math.sqrt(one * one + two * two + one * two)

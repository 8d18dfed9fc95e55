"""Sites for the tests, and the laws that hold at any of them at any time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from random import Random

from eman_backends.simulated.flows import Flows
from eman_backends.simulated.scenario import Kind, Scenario, load
from eman_backends.simulated.site import Site
from eman_netconf.backend import Now, Supply

DEMO = load("demo")
NOON = datetime.fromisoformat("2026-06-21T11:00:00+00:00").timestamp()
MIDNIGHT = datetime.fromisoformat("2026-06-20T23:00:00+00:00").timestamp()


class Clocked:
    """A site with hands on its clock."""

    def __init__(self, start: float = NOON, path: Path | None = None, seed: int = 1, scenario: Scenario = DEMO) -> None:
        self.start = start
        self.elapsed = 0.0
        self.site = Site(scenario, self.now(), Random(seed), path)

    def now(self) -> Now:
        return Now(self.start + self.elapsed, 1000.0 + self.elapsed)

    def run(self, seconds: float) -> Site:
        """Let time pass."""
        self.elapsed += seconds
        self.site.advance(self.now())
        return self.site

    def watts(self, entity: str) -> float:
        return self.site.flows.entity_power[self.site.scenario.entity(entity).index] / 1000

    def flow(self, entity: str, interface: str) -> int:
        """Milliwatts received at an interface."""
        return self.site.flows.power[self.site.scenario.wire(entity, interface).index]

    def live(self, entity: str, interface: str) -> bool:
        return self.site.flows.live[self.site.scenario.wire(entity, interface).index]

    def state(self, entity: str) -> str:
        return self.site.memory.state[self.site.scenario.entity(entity).index]

    def switch(self, entity: str, interface: str, supply: Supply) -> None:
        self.site.switch(self.site.scenario.wire(entity, interface), supply)

    def set_state(self, entity: str, state: str) -> None:
        self.site.set_state(self.site.scenario.entity(entity), state)

    def energies(self) -> list[tuple[int, int]]:
        """All counters: of every interface, then of every entity."""
        site = self.site
        return [
            *(site.energy(wire) for wire in site.scenario.wires),
            *(site.entity_energy(entity) for entity in site.scenario.entities),
        ]


def check_conservation(scenario: Scenario, flows: Flows) -> None:
    """What an outlet provides its inlets receive; what an entity receives it draws, loses, stores or passes on."""
    for wire in scenario.wires:
        if not wire.inlet:
            received = sum(flows.power[inlet] for inlet in scenario.feeds.get(wire.index, ()))
            assert -flows.power[wire.index] == received, scenario.entities[wire.owner].id
        if not flows.live[wire.index]:
            assert flows.power[wire.index] == 0
    for entity in scenario.entities:
        received = sum(flows.power[inlet] for inlet in entity.inlets)
        provided = -sum(flows.power[outlet] for outlet in entity.outlets)
        battery = flows.battery.get(entity.index, 0)
        taken = received + max(-battery, 0) - provided - max(battery, 0)
        if entity.kind in {Kind.SOLAR, Kind.METER}:
            assert received == 0
        else:
            assert taken >= 0, entity.id  # what stays inside is heat

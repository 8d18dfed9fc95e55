"""One box of a simulated site, behind the contract of a backend."""

from __future__ import annotations

import asyncio
import threading
import weakref
from decimal import Decimal
from pathlib import Path

from eman_netconf.backend import (
    Context,
    Inventory,
    OutcomeUnknown,
    Pass,
    Point,
    Refused,
    Supply,
    Unavailable,
)

from . import readings
from .inventory import inventory
from .lies import confuse, lie
from .scenario import Entity, Scenario, ScenarioError, Wire, load, locate
from .site import Fault, Site

LATE = 3600.0  # seconds after which a slow box would answer

_sites: weakref.WeakValueDictionary[tuple[Path, Path], Site] = weakref.WeakValueDictionary()
_making = threading.Lock()


def site_of(directory: Path, scenario: str = "demo") -> Site:
    """The site that backends with this directory and scenario share now. KeyError while none of them is open."""
    return _sites[directory.resolve(), locate(scenario).resolve()]


def _shared(name: str, context: Context) -> Site:
    """The site of this process for the directory and the scenario, made when nobody has it. Reads files."""
    path = locate(name).resolve()
    key = (context.directory.resolve(), path)
    with _making:
        site = _sites.get(key)
        if site is None:
            kept = context.directory / f"{path.stem}.json"
            site = Site(load(name), context.clock(), context.random, kept, context.log)
            _sites[key] = site
    return site


class Simulated:
    """A way to one box. All boxes of one scenario and directory share one site."""

    def __init__(self, box: str, scenario: str, context: Context) -> None:
        self._box = box
        self._scenario = scenario
        self._context = context
        self._site: Site | None = None
        self._asked = 0
        self._swaps = 0  # of the box, when it told what it is

    async def open(self) -> Inventory:
        """Join the site and tell what the box is. Raises Unavailable."""
        try:
            if self._site is None:
                self._site = await asyncio.to_thread(_shared, self._scenario, self._context)
            self._site.scenario.box(self._box)
        except ScenarioError as error:
            raise Unavailable(str(error)) from error
        self._swaps = self._site.swaps(self._box)
        site = await self._reach()
        return inventory(site.scenario, self._box, site.memory.uuid, site.memory.swapped)

    async def read(self) -> Pass:
        """All the box shows now. Raises Unavailable."""
        site = await self._reach()
        result = readings.read(site, self._box, self._context.clock().wall)
        match site.faults.get(self._box):
            case Fault.LYING:
                return lie(result, self._context.random)
            case Fault.CONFUSED:
                return confuse(result)
        return result

    async def close(self) -> None:
        """Leave the site; safe at any time and twice. The last to leave has it remembered."""
        site, self._site = self._site, None
        if site is not None:
            site.save()

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Return when the box accepted it; a switch closes a little later. Raises as the contract says."""
        site = await self._reach()
        wire = self._wire(site.scenario, point)
        if not wire.switchable:
            raise Refused(f"{point.interface} cannot be switched")
        if supply not in {Supply.ON, Supply.OFF}:
            raise Refused(f"supply can be switched on or off, not to {supply}")
        site.switch(wire, supply)
        self._answer(site)

    async def set_power_state(self, point: Point, state: str) -> None:
        """Return when the box accepted it; the state follows later. Raises as the contract says."""
        site = await self._reach()
        entity = self._entity(site.scenario, point)
        if not site.flows.supplied[entity.index]:
            raise Refused(f"{entity.id} has no power")
        site.set_state(entity, state)
        self._answer(site)

    async def limit_power(self, point: Point, watts: Decimal | None) -> None:
        """Return when the box accepted it. Raises as the contract says."""
        site = await self._reach()
        site.limit(self._entity(site.scenario, point), None if watts is None else float(watts))
        self._answer(site)

    async def test_battery(self, point: Point) -> None:
        """Return when the box accepted it; the test goes on for a while. Raises as the contract says."""
        site = await self._reach()
        site.test(self._entity(site.scenario, point), point.battery or "")
        self._answer(site)

    async def _reach(self) -> Site:
        """The site at the present, if the box answers. Raises Unavailable."""
        site = self._site
        if site is None:
            raise Unavailable("the way to the box is not open")
        await site.catch_up(self._context.clock())
        if site.swaps(self._box) != self._swaps:
            raise Unavailable(f"{self._box} is not what it was")
        self._asked += 1
        match site.faults.get(self._box):
            case Fault.DEAD:
                raise Unavailable(f"{self._box} does not answer")
            case Fault.FLAKY if self._asked % 3 == 0:
                raise Unavailable(f"{self._box} did not answer this time")
            case Fault.SLOW:
                await asyncio.sleep(LATE)
        box = site.scenario.box(self._box)[0]
        if not box.self_powered and not site.flows.supplied[box.index]:
            raise Unavailable(f"{self._box} does not answer: it has no power")
        return site

    def _answer(self, site: Site) -> None:
        if site.faults.get(self._box) is Fault.DEAF:
            raise OutcomeUnknown(f"{self._box} was told and did not answer")

    def _entity(self, scenario: Scenario, point: Point) -> Entity:
        for entity in scenario.box(self._box):
            if point.entity in {entity.id, "" if entity.id == self._box else entity.id}:
                return entity
        raise Refused(f"{self._box} has nothing called {point.entity!r}")

    def _wire(self, scenario: Scenario, point: Point) -> Wire:
        entity = self._entity(scenario, point)
        try:
            return scenario.wire(entity.id, point.interface or "")
        except KeyError:
            raise Refused(f"{entity.id} has no interface {point.interface!r}") from None

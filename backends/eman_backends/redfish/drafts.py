"""Entities while they are found, and the inventory and plan that are made of them in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from eman_netconf.backend import (
    BatteryInfo,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Inventory,
    Peer,
    Point,
    Quantity,
    StateSetInfo,
)

from .describe import slug
from .documents import Document, dig, path_of
from .library import Library
from .orders import Limit, Reset, Switch
from .readings import Meter, Place, Plan, Rule, meter
from .turns import in_turns

MOST_ENTITIES = 512
MOST_RULES = 20000


@dataclass(slots=True)
class Draft:
    """An entity as far as it is known; ``key`` is the path of its resource."""

    key: str
    local: str
    attributes: dict[str, Any] = field(default_factory=dict)
    inside: str | None = None  # the key of what it is in
    entity_class: str = "device"
    optional: bool = False  # worth telling of only if it has something to tell or something in it
    category: str | None = None
    nameplate: Decimal | None = None
    interfaces: dict[str, InterfaceInfo] = field(default_factory=dict)
    batteries: dict[str, BatteryInfo] = field(default_factory=dict)
    states: StateSetInfo | None = None
    limits: tuple[Decimal, Decimal] | None = None

    def point(self, interface: str | None = None, battery: str | None = None) -> Point:
        """A point of it, as long as its name is not settled."""
        return Point(self.key, interface, battery)

    def free(self, name: str) -> str:
        """A name that no other interface has."""
        found, count = name, 1
        while found in self.interfaces:
            count += 1
            found = f"{name}-{count}"
        return found


class Service(NamedTuple):
    """What is known of a service: what it has, how it is read, what it can be told."""

    inventory: Inventory
    plan: Plan
    resets: dict[Point, Reset]
    switches: dict[Point, Switch]
    limits: dict[Point, Limit]
    tests: dict[Point, str]


class Drafts:
    """All that was found so far. Of two values for one thing the first is kept."""

    def __init__(self, library: Library, backend: str) -> None:
        self.library = library
        self.found: dict[str, Draft] = {}
        self.resets: dict[Point, Reset] = {}
        self.switches: dict[Point, Switch] = {}
        self.limits: dict[Point, Limit] = {}
        self.tests: dict[Point, str] = {}
        self.supplies: dict[str, Point] = {}  # the inlet that belongs to a power supply, by its path
        self.feeds: dict[Point, tuple[str, ...]] = {}  # the power supplies on an outlet
        self._backend = backend
        self._rules: dict[tuple[Point, Quantity, int | None], Rule] = {}
        self._meters: dict[str, Meter] = {}

    def add(self, key: str, *name: str | None, **known: Any) -> Draft:
        """A new entity. ``name`` becomes its local name, with a number where another has that."""
        wanted = slug(*name)
        taken = {draft.local for draft in self.found.values()}
        local = next(
            one for n in range(1, len(taken) + 2) if (one := wanted if n == 1 else f"{wanted}-{n}") not in taken
        )
        self.found[key] = Draft(key, local, **known)
        return self.found[key]

    @property
    def full(self) -> bool:
        return len(self.found) >= MOST_ENTITIES

    def tell(self, rules: Iterable[Rule]) -> int:
        """Keep rules; how many were new."""
        before = len(self._rules)
        for rule in rules:
            if len(self._rules) < MOST_RULES:
                self._rules.setdefault((rule.point, rule.quantity, rule.phase), rule)
        return len(self._rules) - before

    def tells(self, point: Point, quantity: Quantity) -> bool:
        return (point, quantity, None) in self._rules

    def forget(self, key: str) -> None:
        """Leave out an entity that has nothing to tell."""
        del self.found[key]
        self._rules = {at: rule for at, rule in self._rules.items() if at[0].entity != key}

    def speaks(self, key: str) -> bool:
        """Whether an entity has more to tell than a power state."""
        draft = self.found[key]
        told = any(point.entity == key and what is not Quantity.POWER_STATE for point, what, _ in self._rules)
        return bool(told or draft.interfaces or draft.batteries or draft.limits)

    async def place(
        self, document: Document, resource: str, point: Point, direction: Direction = Direction.INLET, **known: Any
    ) -> Place:
        """Where the values of a resource belong, with what its sensors say of themselves. Raises Unavailable."""
        for source in _sources(document):
            if source not in self._meters:
                self._meters[source] = meter(await self.library.aside(source))
        return Place(resource, point, direction, meters=self._meters, **known)

    async def service(self) -> Service:
        """Everything, by the names that entities go by: the one that is in no other is the device itself."""
        for draft in self.found.values():
            self._open_circle(draft)
        outermost = [draft for draft in self.found.values() if draft.inside not in self.found]
        names = {key: draft.local for key, draft in self.found.items()}
        if len(outermost) == 1:
            names[outermost[0].key] = ""
        entities = tuple([self._entity(draft, names) async for draft in in_turns(self.found.values())])
        rules = tuple([_of(rule, names) async for rule in in_turns(self._rules.values())])
        resources = tuple(dict.fromkeys(rule.resource for rule in rules))
        return Service(
            Inventory(entities),
            Plan(rules, resources),
            {_named(point, names): order for point, order in self.resets.items()},
            {_named(point, names): order for point, order in self.switches.items()},
            {_named(point, names): order for point, order in self.limits.items()},
            {_named(point, names): order for point, order in self.tests.items()},
        )

    def _open_circle(self, draft: Draft) -> None:
        """Nothing is in itself, however far around; where a service says so, the last that does is in nothing."""
        seen, above = {draft.key}, draft.inside
        while above in self.found and above is not None:
            if above in seen:
                draft.inside = None
                return
            seen.add(above)
            above = self.found[above].inside

    def _entity(self, draft: Draft, names: dict[str, str]) -> EntityInfo:
        inside = names[draft.inside] if draft.inside in self.found and draft.inside is not None else None
        interfaces = tuple(
            replace(interface, connected_to=self._peers(draft.point(interface.name), names))
            for interface in draft.interfaces.values()
        )
        return EntityInfo(
            local=names[draft.key],
            contained_in=None if inside is None else self._id(inside),
            entity_class=draft.entity_class,
            category=draft.category,
            nameplate_power=draft.nameplate,
            interfaces=interfaces,
            state_sets=() if draft.states is None else (draft.states,),
            power_limits=draft.limits,
            batteries=tuple(draft.batteries.values()),
            **draft.attributes,
        )

    def _peers(self, outlet: Point, names: dict[str, str]) -> tuple[Peer, ...]:
        ends = (self.supplies.get(supply) for supply in self.feeds.get(outlet, ()))
        return tuple(Peer(self._id(names[end.entity]), end.interface or "") for end in ends if end is not None)

    def _id(self, local: str) -> str:
        return f"{self._backend}.{local}" if local else self._backend


def _of(rule: Rule, names: dict[str, str]) -> Rule:
    return replace(rule, point=_named(rule.point, names))


def _named(point: Point, names: dict[str, str]) -> Point:
    return point._replace(entity=names[point.entity])


def _sources(document: Document, depth: int = 4) -> list[str]:
    """The sensors that the excerpts of a resource are of."""
    found: list[str] = []
    for value in document.values() if depth else ():
        if isinstance(value, dict):
            source = path_of(dig(value, "DataSourceUri"))
            if source is not None and "/Sensors/" in source:
                found.append(source)
            found += _sources(value, depth - 1)
    return found

"""Read a scenario file: which boxes a site has, how they are wired, and what they draw."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

PACKAGED = Path(__file__).parent / "scenarios"
LARGEST = 1_000_000  # octets of a scenario file
MOST = 5000  # entities
_COPY = re.compile(r"\{(n+)(?:\+(\d+))?\}")  # the number of an entity: {n}, {nn} with two digits, {n+6}
_OUTLET = re.compile(r"\{(#+)(?:\+(\d+))?\}")  # the number of an outlet, likewise
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~\-]*")


class ScenarioError(ValueError):
    """The scenario cannot be used; the text says what is wrong and where."""


class Kind(StrEnum):
    """How an entity passes power on."""

    FEED = "feed"  # from the grid, whatever is asked for; takes what a solar inverter gives
    SOLAR = "solar"  # gives what the sun gives, while its grid is there
    TRANSFER = "transfer"  # from its first inlet that has power
    STORAGE = "storage"  # from its inlet, or from its battery while that lasts
    LOAD = "load"  # from all inlets that have power in equal parts, to itself and to its outlets
    METER = "meter"  # measures an interface of another entity


@dataclass(frozen=True, slots=True)
class Profile:
    """What a load draws when it is on: a base that swings through the day and the week, and noise."""

    watts: float
    swing: float = 0.0  # share of watts, over the day
    peak: float = 14.0  # hour of the day, solar time
    weekend: float = 1.0  # factor on Saturdays and Sundays
    noise: float = 0.0  # share of watts
    night: float = 1.0  # factor while the sun is down


@dataclass(frozen=True, slots=True)
class State:
    """A power state: what it draws (None = as the profile says) and how long entering it takes."""

    name: str
    watts: float | None = None
    enter: float = 0.0
    typical: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class States:
    """The power-state set of an entity. ``dark`` is its state without supply."""

    set: str
    states: tuple[State, ...]
    dark: str
    transitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # each a chain of states


@dataclass(frozen=True, slots=True)
class Wire:
    """A power interface of an entity; ``source`` is the index of the outlet that feeds an inlet."""

    index: int
    owner: int
    name: str
    inlet: bool
    phases: int = 1
    phase: int | None = None  # which of three a single-phase outlet hangs on
    switchable: bool = False
    switch_time: float = 1.0
    reversible: bool = False
    source: int | None = None
    volts: float = 230.0
    direct: bool = False  # direct current
    rated_current: float | None = None
    label: str | None = None
    port: str | None = None  # the group.port of power over Ethernet


@dataclass(frozen=True, slots=True)
class String:
    """One string of batteries of a storage."""

    name: str
    capacity: int  # milliampere-hours when new
    health: float  # share of it that is left
    cycles: int


@dataclass(frozen=True, slots=True)
class Bank:
    """The batteries of a storage, all at one voltage, sharing the load by their capacities."""

    strings: tuple[String, ...]
    volts: float
    charge_watts: float
    charging: float = 0.9  # share of the charging power that is stored
    discharging: float = 0.94  # share of the stored energy that comes out
    technology: str = "vrla-agm"
    cells: int = 96

    @property
    def full(self) -> int:
        """What the bank holds when full, in microjoules."""
        return sum(round(string.capacity * string.health) for string in self.strings) * round(self.volts * 3_600_000)


@dataclass(frozen=True, slots=True)
class Entity:
    """One device of the site."""

    index: int
    id: str
    box: str
    kind: Kind
    inlets: tuple[int, ...] = ()
    outlets: tuple[int, ...] = ()
    profile: Profile | None = None
    states: States | None = None
    loss: float = 0.0  # share of what passes through
    power_factor: float | None = None  # at the inlets; None passes on what the outlets have
    regulated: bool = False  # makes the voltage of its outlets itself
    bank: Bank | None = None
    peak_watts: float = 0.0  # of a solar inverter
    grid: int | None = None  # the inlet whose voltage a solar inverter follows
    measures: int | None = None
    limits: tuple[float, float] | None = None
    category: str = "consumer"
    method: str = "direct-meter"
    accuracy: float | None = 1.0
    accuracy_class: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    nameplate: float | None = None
    self_powered: bool = False  # answers without supply, too
    controller: str | None = None  # the entity through which it is controlled and read
    fault: str | None = None
    poll_interval: float = 10.0
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A site: its entities with sources before loads, and its wires."""

    name: str
    title: str
    seed: int
    latitude: float
    longitude: float
    entities: tuple[Entity, ...]
    wires: tuple[Wire, ...]
    order: tuple[int, ...]  # entities, every source before what it feeds
    feeds: Mapping[int, tuple[int, ...]]  # outlet -> the inlets it feeds
    domains: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()

    def box(self, name: str) -> tuple[Entity, ...]:
        """The entities of a box, the box itself first. ScenarioError names the boxes there are."""
        found = sorted((entity for entity in self.entities if entity.box == name), key=lambda each: each.id != name)
        if not found or found[0].id != name:
            known = ", ".join(self.boxes())
            raise ScenarioError(f"scenario {self.name} has no box {name!r}; it has {known}")
        return tuple(found)

    def boxes(self) -> list[str]:
        return list(dict.fromkeys(entity.box for entity in self.entities))

    def entity(self, name: str) -> Entity:
        """The entity with this id. KeyError if none."""
        for entity in self.entities:
            if entity.id == name:
                return entity
        raise KeyError(name)

    def wire(self, entity: str, name: str) -> Wire:
        """The interface of an entity. KeyError if none."""
        owner = self.entity(entity)
        for index in (*owner.inlets, *owner.outlets):
            if self.wires[index].name == name:
                return self.wires[index]
        raise KeyError(f"{entity}/{name}")


def locate(scenario: str) -> Path:
    """The file of a scenario: one that comes with the server, or a path."""
    return Path(scenario) if "/" in scenario or scenario.endswith(".toml") else PACKAGED / f"{scenario}.toml"


def is_packaged(scenario: str) -> bool:
    """Whether the scenario is (or would be) one that comes with the server."""
    return locate(scenario).parent == PACKAGED


def load(scenario: str) -> Scenario:
    """Read a scenario, once for those that come with the server. ScenarioError for whatever is wrong."""
    return _packaged(scenario) if is_packaged(scenario) else _load(scenario)


@cache
def _packaged(scenario: str) -> Scenario:
    return _load(scenario)


def _load(scenario: str) -> Scenario:
    path = locate(scenario)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        packaged = ", ".join(sorted(each.stem for each in PACKAGED.glob("*.toml")))
        reason = error.strerror or str(error)
        raise ScenarioError(f"scenario {scenario!r} cannot be read ({reason}); there is {packaged}") from error
    if len(data) > LARGEST:
        raise ScenarioError(f"scenario {scenario!r} is larger than {LARGEST} octets")
    try:
        return parse(path.stem, tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario {scenario!r} is not TOML: {error}") from error


def parse(name: str, document: Mapping[str, Any]) -> Scenario:
    """A scenario from what its file holds. ScenarioError if it does not hold together."""
    try:
        return _Reader(name, document).scenario()
    except ScenarioError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScenarioError(f"scenario {name}: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _numbered(value: Any, number: int, sign: re.Pattern[str]) -> Any:
    """The value with the number put in place of every sign, all the way down."""
    if isinstance(value, str):
        return sign.sub(lambda m: str(number + int(m[2] or 0)).zfill(len(m[1])), value)
    if isinstance(value, list):
        return [_numbered(each, number, sign) for each in value]
    if isinstance(value, dict):
        return {_numbered(key, number, sign): _numbered(each, number, sign) for key, each in value.items()}
    return value


class _Reader:
    """Gathers entities and wires while going through the file once."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self.document = document
        self.wires: list[dict[str, Any]] = []
        self.named: dict[str, int] = {}  # entity/interface -> wire
        self.sources: list[tuple[int, str]] = []  # inlet, entity/outlet

    def scenario(self) -> Scenario:
        tables = list(self._tables())
        if len(tables) > MOST:
            raise ScenarioError(f"scenario {self.name} has more than {MOST} entities")
        parts = [self._wires(index, table) for index, table in enumerate(tables)]
        for inlet, source in self.sources:
            self.wires[inlet]["source"] = self._named(source, outlet=True)
        wires = tuple(Wire(**wire) for wire in self.wires)
        entities = tuple(
            self._entity(index, table, *both) for index, (table, both) in enumerate(zip(tables, parts, strict=True))
        )
        feeds: dict[int, list[int]] = {}
        for wire in wires:
            if wire.source is not None:
                feeds.setdefault(wire.source, []).append(wire.index)
        place = self.document.get("place", {})
        return Scenario(
            name=self.name,
            title=str(self.document.get("title", self.name)),
            seed=int(self.document.get("seed", 0)),
            latitude=float(place.get("latitude", 50.0)),
            longitude=float(place.get("longitude", 10.0)),
            entities=entities,
            wires=wires,
            order=_ordered(entities, wires),
            feeds={outlet: tuple(inlets) for outlet, inlets in feeds.items()},
            domains=tuple(self.document.get("domain", ())),
            groups=tuple(self.document.get("group", ())),
        )

    def _tables(self) -> Iterator[dict[str, Any]]:
        seen = set()
        contexts = self.document.get("context", {})
        for table in self.document["entity"]:
            first, last = table.get("copies", (1, 1))
            for number in range(first, last + 1):
                copy = _numbered(table, number, _COPY)
                entity = copy["id"]
                if not _NAME.fullmatch(entity):
                    raise ScenarioError(f"scenario {self.name}: {entity!r} is not an entity id")
                if entity in seen:
                    raise ScenarioError(f"scenario {self.name}: there are two entities {entity}")
                seen.add(entity)
                copy["context"] = {**copy.get("context", {}), **contexts.get(entity, {})}
                yield copy
        for unknown in contexts.keys() - seen:
            raise ScenarioError(f"scenario {self.name}: there is a context for {unknown}, but no such entity")

    def _wires(self, owner: int, table: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        inlets, outlets = [], []
        for name, said in table.get("inlets", {}).items():
            options = {"from": said} if isinstance(said, str) else dict(said)
            source = options.pop("from", None)
            index = self._wire(owner, table, name, options, inlet=True)
            inlets.append(index)
            if source is not None:
                self.sources.append((index, source))
        for said in table.get("outlets", ()):
            options = dict(said)
            first, last = options.pop("copies", (1, 1))
            for number in range(first, last + 1):
                numbered = _numbered(options, number, _OUTLET)
                outlets.append(self._wire(owner, table, numbered.pop("name"), numbered, inlet=False))
        return tuple(inlets), tuple(outlets)

    def _wire(self, owner: int, table: Mapping[str, Any], name: str, options: dict[str, Any], *, inlet: bool) -> int:
        index = len(self.wires)
        full = f"{table['id']}/{name}"
        if not _NAME.fullmatch(name) or full in self.named:
            raise ScenarioError(f"scenario {self.name}: {full} is not a name, or there are two of it")
        self.named[full] = index
        fields = {key.replace("-", "_"): value for key, value in options.items()}
        self.wires.append({"index": index, "owner": owner, "name": name, "inlet": inlet, **fields})
        return index

    def _named(self, full: str, *, outlet: bool) -> int:
        index = self.named.get(full)
        if index is None or (outlet and self.wires[index]["inlet"]):
            raise ScenarioError(f"scenario {self.name}: there is no {'outlet' if outlet else 'interface'} {full}")
        return index

    def _entity(
        self, index: int, table: Mapping[str, Any], inlets: tuple[int, ...], outlets: tuple[int, ...]
    ) -> Entity:
        special = {"copies", "inlets", "outlets", "load", "states", "battery", "grid", "measures", "limits", "kind"}
        fields = {key.replace("-", "_"): value for key, value in table.items() if key not in special}
        fields.setdefault("box", table["id"])
        return Entity(
            index=index,
            kind=Kind(table.get("kind", "load")),
            inlets=inlets,
            outlets=outlets,
            profile=Profile(**table["load"]) if "load" in table else None,
            states=_states(table["states"]) if "states" in table else None,
            bank=_bank(table["battery"]) if "battery" in table else None,
            grid=self._named(table["grid"], outlet=False) if "grid" in table else None,
            measures=self._named(table["measures"], outlet=False) if "measures" in table else None,
            limits=(float(table["limits"][0]), float(table["limits"][1])) if "limits" in table else None,
            **fields,
        )


def _states(table: Mapping[str, Any]) -> States:
    states = tuple(State(name, **said) for name, said in table["states"].items())
    names = {state.name for state in states}
    transitions = {name: tuple(chain) for name, chain in table.get("transitions", {}).items()}
    for name in [table["dark"], *(each for chain in transitions.values() for each in chain)]:
        if name not in names:
            raise ScenarioError(f"the power state {name} is named but not described")
    return States(table["set"], states, table["dark"], transitions)


def _bank(table: Mapping[str, Any]) -> Bank:
    fields = {key.replace("-", "_"): value for key, value in table.items() if key != "strings"}
    return Bank(strings=tuple(String(**string) for string in table["strings"]), **fields)


def _ordered(entities: tuple[Entity, ...], wires: tuple[Wire, ...]) -> tuple[int, ...]:
    """The entities with every source before what it feeds. ScenarioError where supply runs in a loop."""
    order: list[int] = []
    state: dict[int, int] = {}  # 1 = being visited, 2 = done
    for start in entities:
        stack = [(start.index, False)]
        while stack:
            index, done = stack.pop()
            if done:
                state[index] = 2
                order.append(index)
            elif index not in state:
                state[index] = 1
                stack.append((index, True))
                for inlet in entities[index].inlets:
                    source = wires[inlet].source
                    if source is not None:
                        owner = wires[source].owner
                        if state.get(owner) == 1:
                            raise ScenarioError(f"{entities[owner].id} feeds itself in a loop")
                        stack.append((owner, False))
    return tuple(order)

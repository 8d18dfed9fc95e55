"""What a site keeps over a restart, as its meters, switches and batteries would: a JSON file, replaced as a whole."""

from __future__ import annotations

import heapq
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from eman_netconf.backend import Supply

from .scenario import Scenario

VERSION = 1


class Event(NamedTuple):
    """Something that will happen: a switch of an interface moves, or an entity enters a power state."""

    due: int  # milliseconds
    number: int  # orders events of one instant
    switch: bool  # a switch, otherwise a state
    target: int  # index of the interface or the entity
    value: str


@dataclass(slots=True)
class Meter:
    """Two counters in microjoules."""

    received: int = 0
    provided: int = 0

    def add(self, power: int, duration: int) -> None:
        """Count ``power`` milliwatts for ``duration`` milliseconds."""
        if power > 0:
            self.received += power * duration
        else:
            self.provided -= power * duration


@dataclass(slots=True)
class Memory:
    """All that is not a function of scenario and time."""

    at: int  # milliseconds since the epoch: up to then everything is counted
    uuid: uuid.UUID  # of this site, from which those of its entities are made
    wires: list[Meter]
    entities: list[Meter]
    supplied: list[bool]  # whether each entity had supply
    supply: dict[int, Supply]  # of interfaces that are not simply on
    state: dict[int, str]  # power states
    wanted: dict[int, str]  # those to return to after a loss of supply
    limit: dict[int, int]  # milliwatts
    stored: dict[int, int]  # microjoules in the banks
    discharged: dict[int, int]  # microjoules ever taken out of them
    swapped: dict[str, int] = field(default_factory=dict)  # how often: entity, or entity/part
    unworn: dict[str, int] = field(default_factory=dict)  # entity/string -> what was discharged when it was put in
    testing: dict[int, tuple[str, int]] = field(default_factory=dict)  # storage -> string, and when it is over
    tested: dict[str, str] = field(default_factory=dict)  # entity/string -> how the last test went
    charging: dict[int, int] = field(default_factory=dict)  # milliwatts, decided anew each minute
    minute: int = -1  # the minute they were decided in
    events: list[Event] = field(default_factory=list)  # a heap
    issued: int = 0

    def schedule(self, due: int, *, switch: bool, target: int, value: str) -> None:
        """Put an event in, in the place of others for the same interface or entity."""
        self.cancel(switch=switch, target=target)
        self.append(due, switch=switch, target=target, value=value)

    def append(self, due: int, *, switch: bool, target: int, value: str) -> None:
        self.issued += 1
        heapq.heappush(self.events, Event(due, self.issued, switch, target, value))

    def cancel(self, *, switch: bool, target: int) -> None:
        self.events = [each for each in self.events if (each.switch, each.target) != (switch, target)]
        heapq.heapify(self.events)

    def due(self, at: int) -> Iterable[Event]:
        """Take out, one by one, what happens until ``at``."""
        while self.events and self.events[0].due <= at:
            yield heapq.heappop(self.events)


def fresh(scenario: Scenario, at: int, random: Random) -> Memory:
    """A site that was just installed: everything on, batteries full, meters at zero."""
    stateful = {entity.index: entity.states.states[0].name for entity in scenario.entities if entity.states}
    banks = {entity.index: entity.bank for entity in scenario.entities if entity.bank}
    return Memory(
        at=at,
        uuid=uuid.UUID(int=random.getrandbits(128), version=4),
        wires=[Meter() for _ in scenario.wires],
        entities=[Meter() for _ in scenario.entities],
        supplied=[True] * len(scenario.entities),
        supply={},
        state=dict(stateful),
        wanted=dict(stateful),
        limit={},
        stored={index: bank.full for index, bank in banks.items()},
        discharged=dict.fromkeys(banks, 0),
    )


def to_document(scenario: Scenario, memory: Memory) -> dict[str, Any]:
    """The memory by names, so that it survives changes of the scenario."""
    entities = [entity.id for entity in scenario.entities]
    wires = [f"{entities[wire.owner]}/{wire.name}" for wire in scenario.wires]
    return {
        "version": VERSION,
        "at": memory.at,
        "uuid": str(memory.uuid),
        "interfaces": {name: [meter.received, meter.provided] for name, meter in zip(wires, memory.wires, strict=True)},
        "entities": {
            name: [meter.received, meter.provided] for name, meter in zip(entities, memory.entities, strict=True)
        },
        "dark": [name for name, supplied in zip(entities, memory.supplied, strict=True) if not supplied],
        "supply": {wires[index]: supply.value for index, supply in memory.supply.items()},
        **{
            key: {entities[index]: value for index, value in getattr(memory, key).items()}
            for key in ("state", "wanted", "limit", "stored", "discharged", "charging")
        },
        "swapped": memory.swapped,
        "unworn": memory.unworn,
        "testing": {entities[index]: [*test] for index, test in memory.testing.items()},
        "tested": memory.tested,
        "minute": memory.minute,
        "events": [
            [each.due, (wires if each.switch else entities)[each.target], each.value] for each in sorted(memory.events)
        ],
    }


def from_document(scenario: Scenario, document: Mapping[str, Any], memory: Memory) -> Memory:
    """Put what the document holds into a fresh memory; names that are no longer there are passed over.

    ValueError, KeyError or TypeError if the document is not one of ours.
    """
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']} is not {VERSION}")
    entities = {entity.id: entity.index for entity in scenario.entities}
    wires = {f"{scenario.entities[wire.owner].id}/{wire.name}": wire.index for wire in scenario.wires}
    memory.at = int(document["at"])
    memory.uuid = uuid.UUID(document["uuid"])
    for names, meters, key in ((wires, memory.wires, "interfaces"), (entities, memory.entities, "entities")):
        for name, (received, provided) in document[key].items():
            if name in names:
                meters[names[name]] = Meter(int(received), int(provided))
    for name in document["dark"]:
        if name in entities:
            memory.supplied[entities[name]] = False
    memory.supply = {wires[name]: Supply(value) for name, value in document["supply"].items() if name in wires}
    for key in ("state", "wanted", "limit", "stored", "discharged", "charging"):
        kept = getattr(memory, key)
        for name, value in document[key].items():
            index = entities.get(name)
            if index is not None and _fits(scenario, index, key, value):
                kept[index] = value
    for kept, key in ((memory.swapped, "swapped"), (memory.unworn, "unworn")):  # absent before there were any
        kept.update((str(name), int(value)) for name, value in document.get(key, {}).items())
    for name, (string, end) in document.get("testing", {}).items():
        bank = scenario.entities[entities[name]].bank if name in entities else None
        if bank is not None and string in {each.name for each in bank.strings}:
            memory.testing[entities[name]] = str(string), int(end)
    memory.tested.update((str(name), str(result)) for name, result in document.get("tested", {}).items())
    memory.minute = int(document["minute"])
    for due, name, value in document["events"]:
        switch = "/" in name
        found = (wires if switch else entities).get(name)
        if found is not None and (switch or _fits(scenario, found, "state", value)):
            memory.append(int(due), switch=switch, target=found, value=str(value))
    return memory


def _fits(scenario: Scenario, index: int, key: str, value: Any) -> bool:
    """Whether a remembered value still has a meaning in the scenario."""
    entity = scenario.entities[index]
    match key:
        case "state" | "wanted":
            return entity.states is not None and value in {state.name for state in entity.states.states}
        case "limit":
            return entity.limits is not None and isinstance(value, int)
        case "stored":
            return entity.bank is not None and 0 <= value <= entity.bank.full
        case _:
            return entity.bank is not None and isinstance(value, int)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file as a whole. OSError if that cannot be.

    Without fsync: a simulated site may lose its last minutes with the machine's power, not with the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(document), encoding="utf-8")
    beside.replace(path)


def read(path: Path, scenario: Scenario, memory: Memory) -> Memory | None:
    """What was remembered; None if nothing was, or nothing that can be used. The bad file is kept aside."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return from_document(scenario, json.loads(text), memory)
    except (ValueError, KeyError, TypeError, AttributeError):
        path.replace(path.with_suffix(".bad"))
        return None

"""What is wrong now with entities and with the ways to devices: the conditions that alarms are raised for (RFC 8632).

A condition holds, does not hold, or nobody can tell: after a restart before the first reading, while a device is gone,
or while a command is under way. It is all read off the records of the site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from eman_netconf.energy.batteries import Alarm as Warn
from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.entities import Entity, Reachability
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.links import Link
from eman_netconf.energy.relationships import Feed, Role
from eman_netconf.energy.requests import Request
from eman_netconf.energy.site import Site
from eman_netconf.energy.thresholds import Thresholds
from eman_netconf.energy.values import Direction, LinkState, RequestState, Supply
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Step
from eman_netconf.yang.xpath_instance import to_instance_identifier


class Kind(StrEnum):
    """What can be wrong; the names are those of the identities in eman-alarm."""

    BACKEND_UNREACHABLE = "backend-unreachable"
    ENTITY_UNREACHABLE = "entity-unreachable"
    CONTROL_FAILED = "control-failed"
    SUPPLY_FAULT = "supply-fault"
    SUPPLY_LOST = "supply-lost"
    SUPPLY_CUT = "supply-cut"
    BATTERY_LOW = "battery-low"
    BATTERY_AGING = "battery-aging"
    BATTERY_TEMPERATURE = "battery-temperature"
    BATTERY_TEST_FAILED = "battery-test-failed"
    THRESHOLD_CROSSED = "threshold-crossed"


class Severity(StrEnum):
    """How bad it is (RFC 8632, typedef severity), the least first."""

    INDETERMINATE = "indeterminate"
    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Sort(StrEnum):
    """What can have something wrong with it."""

    ENTITY = "entity"
    BACKEND = "backend"
    DOMAIN = "domain"
    GROUP = "group"


class Subject(NamedTuple):
    """One entity with its interfaces and batteries, by id, or one backend, domain or group, by name."""

    sort: Sort
    name: str


@dataclass(frozen=True, slots=True)
class Condition:
    """Something is wrong.

    ``part`` is the interface, battery or threshold of the subject, "" = the subject itself; ``resource`` the
    canonical instance-identifier of it.
    """

    kind: Kind
    part: str
    resource: str
    severity: Severity
    text: str


_BATTERY = {
    Kind.BATTERY_AGING: (
        Warn.AGING,
        Severity.WARNING,
        "should be replaced: it holds too little or had too many cycles",
    ),
    Kind.BATTERY_TEMPERATURE: (Warn.TEMPERATURE, Severity.MAJOR, "is hotter or colder than it should be"),
    Kind.BATTERY_TEST_FAILED: (Warn.TEST_FAILED, Severity.MAJOR, "has failed its last test"),
}
_SEVERITIES = {
    severity.value: severity for severity in (Severity.WARNING, Severity.MINOR, Severity.MAJOR, Severity.CRITICAL)
}
_FAILED = {RequestState.FAILED: Severity.MAJOR, RequestState.OUTCOME_UNKNOWN: Severity.MINOR}


#: under which key the thresholds of a total are found
_TOTALS = {Sort.DOMAIN: "domains:", Sort.GROUP: "groups:"}


def about_total(key: str) -> Subject:
    """The domain or group that goes by ``key``."""
    start, _, name = key.partition(":")
    return Subject(next(sort for sort, word in _TOTALS.items() if word == f"{start}:"), name)


class Conditions:
    """Questions about a site; ``vital`` tells whether an entity must be kept running."""

    def __init__(self, site: Site, vital: Callable[[str], bool], thresholds: Thresholds) -> None:
        self._site = site
        self._vital = vital
        self._thresholds = thresholds
        self._passing: dict[str, tuple[bool, tuple[str, ...], list[Feed]]] = {}

    def holding(self, subject: Subject) -> list[Condition]:
        """All that is wrong with ``subject``; nothing is with what is not there."""
        if subject.sort is Sort.BACKEND:
            link = self._site.links.get(subject.name)
            return [] if link is None or self._is_quiet(link) else list(self._of_link(link))
        if subject.sort in _TOTALS:
            return list(self._of_thresholds(_TOTALS[subject.sort] + subject.name))
        entity = self._site.entities.get(subject.name)
        return [] if entity is None or self._site.quiet(entity.id) else list(self._of_entity(entity))

    def hush(self, subject: Subject) -> str | None:
        """Why nobody is to be alarmed about ``subject``; None where everybody is."""
        if subject.sort is Sort.BACKEND:
            link = self._site.links.get(subject.name)
            quiet = link is not None and self._is_quiet(link)
            return f"All behind the backend {subject.name} is in maintenance or not in service" if quiet else None
        if subject.sort is not Sort.ENTITY or not self._site.quiet(subject.name):
            return None
        maintenance = self._site.maintenance(subject.name)
        return clipped(maintenance or f"{subject.name} is not in service.").removesuffix(".")

    def unsure(self, subject: Subject, kind: Kind, part: str) -> bool:
        """Whether nobody can tell now if ``kind`` holds, which is not among those that do."""
        if subject.sort is Sort.BACKEND:
            link = self._site.links.get(subject.name)
            return link is not None and link.enabled and link.state in (LinkState.CLOSED, LinkState.OPENING)
        if kind is Kind.THRESHOLD_CROSSED:
            threshold = self._thresholds.of(_TOTALS.get(subject.sort, "") + subject.name).get(part)
            quiet = subject.sort is Sort.ENTITY and self._site.quiet(subject.name)
            return threshold is not None and threshold.unsure and not quiet
        entity = self._site.entities.get(subject.name)
        if entity is None or self._site.quiet(entity.id):
            return False
        match kind:
            case Kind.ENTITY_UNREACHABLE:
                return entity.reach is not Reachability.REACHABLE and bool(entity.tellers)
            case Kind.CONTROL_FAILED:
                requests = _supply_wish(entity.interfaces.get(part)) if part else _own_wishes(entity)
                return any(request.status is RequestState.PENDING for request in requests)
            case Kind.SUPPLY_FAULT:
                interface = entity.interfaces.get(part)
                return interface is not None and interface.supply is None
            case Kind.SUPPLY_LOST:
                interface = entity.interfaces.get(part)
                return interface is not None and interface.available is None
            case Kind.SUPPLY_CUT:
                outlets = [self._site.interface(end) for end in self._site.graph.outlets_of(entity.id)]
                return any(outlet is not None and outlet.supply is None for outlet in outlets)
            case _:
                battery = entity.batteries.get(part)
                return battery is not None and not battery.was_read

    def dependent(self, entities: Iterable[str]) -> set[str]:
        """Those whose conditions are others by those of ``entities`` that pass power otherwise than they did when they
        were asked about last: the loads on them, and the vital entities whose supply may go over them. Batteries stir
        at every reading, and much may hang on one.
        """
        moved = [id_ for id_ in entities if self._moved(id_)]
        graph, known = self._site.graph, self._site.entities
        interfaces = [interface for id_ in moved if id_ in known for interface in known[id_].interfaces.values()]
        loads = {peer.entity for interface in interfaces for peer in graph.peers(interface.end, Role.LOAD)}
        return {id_ for id_ in loads if id_ in known} | {id_ for id_ in graph.downstream(moved) if self._vital(id_)}

    def _moved(self, id_: str) -> bool:
        entity = self._site.entities.get(id_)
        if entity is None:
            return self._passing.pop(id_, None) is not None
        passing = tuple(interface.name for interface in entity.interfaces.values() if interface.passes)
        before, now = self._passing.get(id_), (entity.runs, passing, self._site.graph.feeds(id_))
        self._passing[id_] = now
        return now != before

    # --- backends

    def _is_quiet(self, link: Link) -> bool:
        """Whether nobody is to be alarmed about any of the entities behind a link."""
        return bool(link.tells) and all(self._site.quiet(id_) for id_ in link.tells.values())

    def _of_link(self, link: Link) -> Iterator[Condition]:
        if link.lost and link.enabled and link.down:
            why = f": {link.error}" if link.error else ""
            text = f"The device behind the backend {link.name} does not answer{why}"
            if link.unusable:
                text = f"The backend {link.name} cannot be used{why}"
            resource = _resource(self._site.link_nodes.backend, link.name)
            yield Condition(Kind.BACKEND_UNREACHABLE, "", resource, Severity.MAJOR, clipped(text))

    # --- entities

    def _of_entity(self, entity: Entity) -> Iterator[Condition]:
        nodes = entity.nodes
        if entity.reach is Reachability.UNREACHABLE and self._is_told(entity):
            text = f"{entity.id} is not read any more, though the device that tells about it answers"
            yield Condition(Kind.ENTITY_UNREACHABLE, "", _entity(entity), Severity.MINOR, text)
        wishes = _own_wishes(entity)
        if wishes:
            yield from _failed(wishes, entity.id, "", _entity(entity))
        if self._vital(entity.id) and not self._site.graph.fed(entity.id):
            text = f"{entity.id} is vital, and no way is left on which power could reach it"
            yield Condition(Kind.SUPPLY_CUT, "", _entity(entity), Severity.CRITICAL, text)
        for interface in entity.interfaces.values():
            yield from self._of_interface(entity, interface, nodes.interfaces.interface)
        for battery in entity.batteries.values():
            if battery.active:
                yield from _of_battery(entity, battery, nodes.batteries.battery)
        yield from self._of_thresholds(entity.id)

    def _of_thresholds(self, key: str) -> Iterator[Condition]:
        for name, threshold in self._thresholds.of(key).items():
            severity = _SEVERITIES.get(threshold.rule.severity)
            if threshold.crossed and severity is not None:
                resource = _resource(threshold.node_of_list, key.rpartition(":")[2], name)
                yield Condition(Kind.THRESHOLD_CROSSED, name, resource, severity, clipped(threshold.text))

    def _is_told(self, entity: Entity) -> bool:
        links = (self._site.links.get(name) for name in entity.backends)
        return any(link is not None and link.state is LinkState.UP for link in links)

    def _of_interface(self, entity: Entity, interface: Interface, node: SchemaNode) -> Iterator[Condition]:
        name = interface.name
        if interface.supply is Supply.FAULT:
            text = f"The supply at {name} of {entity.id} is faulty"
            yield Condition(Kind.SUPPLY_FAULT, name, _resource(node, entity.id, name), Severity.MAJOR, text)
        inlet = interface.works_as is Direction.INLET
        off = self._site.sources_pass(interface) is False if inlet else interface.supply not in (None, Supply.ON)
        if interface.available is False and not off:
            text = f"There is no power at {name} of {entity.id}, and nobody switched it off"
            yield Condition(Kind.SUPPLY_LOST, name, _resource(node, entity.id, name), Severity.MAJOR, text)
        if interface.holder.wishes:
            resource = _resource(node, entity.id, name)
            yield from _failed(_supply_wish(interface), f"{name} of {entity.id}", name, resource)


def _of_battery(entity: Entity, battery: Battery, node: SchemaNode) -> Iterator[Condition]:
    resource, name = _resource(node, entity.id, battery.name), f"The battery {battery.name} of {entity.id}"
    if Warn.CRITICAL in battery.active:
        text = f"{name} is about to fail its load"
        yield Condition(Kind.BATTERY_LOW, battery.name, resource, Severity.CRITICAL, text)
    elif Warn.LOW in battery.active:
        yield Condition(Kind.BATTERY_LOW, battery.name, resource, Severity.MINOR, f"{name} is low")
    for kind, (warn, severity, what) in _BATTERY.items():
        if warn in battery.active:
            yield Condition(kind, battery.name, resource, severity, f"{name} {what}")


# --- wishes


def _own_wishes(entity: Entity) -> list[Request]:
    """The wishes in force for its state and its limit."""
    in_force = (entity.state_holder.in_force, entity.limit_holder.in_force)
    return [request for request in in_force if request is not None]


def _supply_wish(interface: Interface | None) -> list[Request]:
    in_force = interface.holder.in_force if interface is not None else None
    return [in_force] if in_force is not None else []


def _failed(requests: Iterable[Request], what: str, part: str, resource: str) -> Iterator[Condition]:
    failed = [request for request in requests if request.status in _FAILED]
    if failed:
        severity = max((_FAILED[request.status] for request in failed), key=lambda each: each.rank)
        text = ". ".join(_told(request, what) for request in failed)
        yield Condition(Kind.CONTROL_FAILED, part, resource, severity, clipped(text))


def _told(request: Request, what: str) -> str:
    wanted = f"{request.limit} W" if request.limit is not None else (request.state or "").rpartition(":")[2]
    by = f" by {request.by}" if request.by else ""
    account = "; ".join(request.account) or "no reason was given"
    outcome = "was not reached" if request.status is RequestState.FAILED else "may not have been reached"
    return f"{wanted} of {what} is wanted{by} and {outcome}: {account}"


# --- resources


def _entity(entity: Entity) -> str:
    return _resource(entity.nodes.entity, entity.id)


def _resource(node: SchemaNode, *names: str) -> str:
    """The instance-identifier of an entry whose lists have one key each; ``names`` are theirs, from the outside in."""
    keys = iter(names)
    way = [*reversed([*node.ancestors()]), node]
    return to_instance_identifier(tuple(Step(each, (next(keys),) if each.keys else None) for each in way))

"""One graph of who powers, controls, meters and sums up whom, and the questions asked of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Generator, Hashable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from eman_netconf.energy.values import Direction

_MODULE = "eman-relationship:"
POWERING, POWERED_BY = f"{_MODULE}powering", f"{_MODULE}powered-by"
CONTROLLING, CONTROLLED_BY = f"{_MODULE}controlling", f"{_MODULE}controlled-by"
METERING, METERED_BY = f"{_MODULE}metering", f"{_MODULE}metered-by"
AGGREGATING, AGGREGATED_BY = f"{_MODULE}aggregating", f"{_MODULE}aggregated-by"
PROXYING, PROXIED_BY = f"{_MODULE}proxying", f"{_MODULE}proxied-by"

#: What the peer is to the entity, for each thing that the entity is to the peer.
INVERSE: Mapping[str, str] = {
    one: other
    for pair in (
        (POWERING, POWERED_BY),
        (CONTROLLING, CONTROLLED_BY),
        (METERING, METERED_BY),
        (AGGREGATING, AGGREGATED_BY),
        (PROXYING, PROXIED_BY),
    )
    for one, other in (pair, pair[::-1])
}

#: By which an entity reports on its peer.
REPORTING = (METERING, AGGREGATING, PROXYING)


class Evidence(StrEnum):
    """How a fact about two entities became known (eman-types:evidence), the best first."""

    CONFIGURED = "configured"
    DISCOVERED = "discovered"
    INFERRED = "inferred"


_STEP = 20  # entities that are judged between two turns of others
_STRENGTH = {evidence: rank for rank, evidence in enumerate(Evidence)}


class End(NamedTuple):
    """One end of a wire: an entity and the name of its power interface."""

    entity: str
    interface: str


class Role(StrEnum):
    """What the other end of a wire is to this one."""

    SOURCE = "source"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Relation:
    """What ``subject`` is to ``peer``; ``reports`` and ``controls`` are names of bits."""

    subject: str
    type: str  # canonical identity
    peer: str
    interfaces: tuple[str, ...] = ()
    peer_interfaces: tuple[str, ...] = ()
    reports: frozenset[str] = frozenset()
    controls: frozenset[str] = frozenset()
    endpoint: str | None = None
    evidence: Evidence = Evidence.CONFIGURED

    def inverse(self) -> Relation | None:
        """The same seen from the peer; None for a type whose inverse is not known."""
        type_ = INVERSE.get(self.type)
        if type_ is None:
            return None
        return Relation(
            self.peer,
            type_,
            self.subject,
            self.peer_interfaces,
            self.interfaces,
            self.reports,
            self.controls,
            None,
            Evidence.INFERRED,
        )

    def joined(self, other: Relation) -> Relation:
        """This relation with what ``other`` knows beside it; this one's own statements go first."""
        return Relation(
            self.subject,
            self.type,
            self.peer,
            tuple(dict.fromkeys((*self.interfaces, *other.interfaces))),
            tuple(dict.fromkeys((*self.peer_interfaces, *other.peer_interfaces))),
            self.reports or other.reports,
            self.controls or other.controls,
            self.endpoint or other.endpoint,
            self.evidence,
        )


#: The source that is outside of the model; no id is empty.
OUTSIDE = ""


class Feed(NamedTuple):
    """One way by which an entity gets power: from ``source``, out of ``outlet`` into ``inlet``; None = not modelled."""

    source: str
    outlet: str | None
    inlet: str | None


class Claim(NamedTuple):
    """What one witness says: wires from an end of its own, and relations."""

    wires: tuple[tuple[End, End], ...] = ()
    relations: tuple[Relation, ...] = ()
    evidence: Evidence = Evidence.CONFIGURED


_SILENT = Claim()


class Site(Protocol):
    """What the graph asks of those who know the interfaces and the entities."""

    def direction(self, end: End) -> Direction | None:
        """What the interface works as at present; None where it is not known or may be either."""

    def passes(self, end: End) -> bool:
        """Whether the outlet can be counted on to pass power."""

    def takes(self, end: End) -> bool:
        """Whether the inlet is not known to be switched off."""

    def grids(self, entity: str) -> Iterable[str]:
        """The interfaces of the entity that are built to take and to give: without a wire they lead to the grid."""

    def runs(self, entity: str) -> bool:
        """Whether the entity can be counted on to pass power on, as far as its own state goes."""

    def switchable(self, end: End) -> bool: ...

    def measures(self, end: End) -> bool: ...

    def container(self, entity: str) -> str | None: ...

    def components(self, entity: str) -> Iterable[str]: ...


class Graph:
    """Wires and relations by entity. Each fact stands as long as one witness claims it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._claims: dict[Hashable, Claim] = {}
        self._wires: dict[str, dict[str, dict[End, int]]] = {}  # entity, interface, other end: how many claims
        self._said: dict[tuple[End, End], dict[Hashable, Evidence]] = {}  # by who says it, at this end
        self._relations: dict[str, dict[tuple[str, str], dict[tuple[Hashable, bool], Relation]]] = {}
        self._feeds: dict[str, list[Feed]] | None = None  # of a copy that remembers

    def remembering(self, site: Site | None = None) -> Graph:
        """The same facts for one question, of which nothing is worked out twice; ``site`` answers instead."""
        other = copy(self)
        other._site = site or self._site  # noqa: SLF001 - of its own copy
        other._feeds = {}  # noqa: SLF001 - as above
        return other

    # facts in

    def claim(self, witness: Hashable, claim: Claim | None) -> set[str]:
        """Take what ``witness`` now says in place of what it said; the entities about which something changed."""
        if witness not in self._claims and (claim is None or not (claim.wires or claim.relations)):
            return set()
        old = self._claims.get(witness, _SILENT)
        new = _once(claim) if claim is not None else _SILENT
        if old == new:
            return set()
        if new.wires or new.relations:
            self._claims[witness] = new
        else:
            self._claims.pop(witness, None)
        touched: set[str] = set()
        for here, there in old.wires:
            self._unwire(witness, here, there)
            touched |= {here.entity, there.entity}
        for here, there in new.wires:
            self._wire(witness, here, there, new.evidence)
            touched |= {here.entity, there.entity}
        for relation in old.relations:
            for mine, fact in _both(relation):
                self._retract(fact, (witness, mine))
                touched.add(fact.subject)
        for relation in new.relations:
            for mine, fact in _both(relation):
                known = self._relations.setdefault(fact.subject, {}).setdefault((fact.type, fact.peer), {})
                known[witness, mine] = fact
                touched.add(fact.subject)
        return touched

    def _retract(self, fact: Relation, by: tuple[Hashable, bool]) -> None:
        about = self._relations[fact.subject]
        stated = about[fact.type, fact.peer]
        stated.pop(by, None)
        if not stated:
            del about[fact.type, fact.peer]
        if not about:
            del self._relations[fact.subject]

    def claimed(self, witness: Hashable) -> Claim | None:
        return self._claims.get(witness)

    def _wire(self, witness: Hashable, here: End, there: End, evidence: Evidence) -> None:
        for one, other in ((here, there), (there, here)):
            others = self._wires.setdefault(one.entity, {}).setdefault(one.interface, {})
            others[other] = others.get(other, 0) + 1
        self._said.setdefault((here, there), {})[witness] = evidence

    def _unwire(self, witness: Hashable, here: End, there: End) -> None:
        for one, other in ((here, there), (there, here)):
            others = self._wires[one.entity][one.interface]
            others[other] -= 1
            if not others[other]:
                del others[other]
            if not others:
                del self._wires[one.entity][one.interface]
            if not self._wires[one.entity]:
                del self._wires[one.entity]
        said = self._said[here, there]
        said.pop(witness, None)
        if not said:
            del self._said[here, there]

    # wires out

    def knows(self, entity: str) -> bool:
        """Whether there is any wire or relation of ``entity``."""
        return entity in self._wires or entity in self._relations

    def interfaces(self, entity: str) -> Iterable[str]:
        """The interfaces of ``entity`` that some wire ends at."""
        return self._wires.get(entity, {})

    def wired(self, end: End) -> Iterator[tuple[End, Role | None, Evidence]]:
        """The other ends of the wires at ``end``, what they are to it, and how that is known at this end."""
        for other in self._wires.get(end.entity, {}).get(end.interface, ()):
            said = self._said.get((end, other), {})
            evidence = min(said.values(), key=_STRENGTH.__getitem__, default=Evidence.INFERRED)
            yield other, self.role(end, other), evidence

    def role(self, end: End, other: End) -> Role | None:
        """What ``other`` is to ``end``; None while nobody knows which way the wire carries power."""
        match self._site.direction(end):
            case Direction.INLET:
                return Role.SOURCE
            case Direction.OUTLET:
                return Role.LOAD
        match self._site.direction(other):
            case Direction.INLET:
                return Role.LOAD
            case Direction.OUTLET:
                return Role.SOURCE
        return None

    def witnesses(self, end: End) -> dict[Hashable, Evidence]:
        """Who says from either side that something is wired to ``end``, and how it is known."""
        found: dict[Hashable, Evidence] = {}
        for other in self._wires.get(end.entity, {}).get(end.interface, ()):
            found |= self._said.get((end, other), {})
            found |= self._said.get((other, end), {})
        return found

    def peers(self, end: End, role: Role) -> list[End]:
        """The other ends at ``end`` that are its sources or its loads."""
        return [
            other for other in self._wires.get(end.entity, {}).get(end.interface, ()) if self.role(end, other) is role
        ]

    def feeds(self, entity: str) -> list[Feed]:
        """Every known way by which ``entity`` itself gets power."""
        if self._feeds is None:
            return self._find_feeds(entity)
        known = self._feeds.get(entity)
        if known is None:
            known = self._feeds[entity] = self._find_feeds(entity)
        return known

    def _find_feeds(self, entity: str) -> list[Feed]:
        found: dict[Feed, None] = {}
        for interface in self._wires.get(entity, ()):
            for other in self.peers(End(entity, interface), Role.SOURCE):
                found[Feed(other.entity, other.interface, interface)] = None
        wired = {feed.source for feed in found}
        for relation in self._stated(entity, POWERED_BY):
            if relation.peer not in wired:
                for outlet in relation.peer_interfaces or (None,):
                    found[Feed(relation.peer, outlet, None)] = None
        for name in self._site.grids(entity):
            if name not in self._wires.get(entity, ()):
                found[Feed(OUTSIDE, None, name)] = None
        return list(found)

    def loads(self, entity: str, outlet: str | None = None) -> list[str]:
        """The entities fed by ``entity``, or by one outlet of it alone."""
        found: dict[str, None] = {}
        interfaces = self._wires.get(entity, {}) if outlet is None else (outlet,)
        for interface in interfaces:
            for other in self.peers(End(entity, interface), Role.LOAD):
                found[other.entity] = None
        for relation in self._stated(entity, POWERING):
            if relation.peer not in found and (outlet is None or outlet in relation.interfaces):
                found[relation.peer] = None
        return list(found)

    # relations out

    def _stated(self, entity: str, type_: str) -> Iterator[Relation]:
        for (known, _peer), facts in self._relations.get(entity, {}).items():
            if known == type_ and facts:
                yield _best(facts.values())

    def related(self, entity: str, type_: str) -> list[Relation]:
        """The relations of one type that were stated at either end."""
        return list(self._stated(entity, type_))

    def of(self, entity: str) -> list[Relation]:
        """Every relation of ``entity``: stated, inverse, and what follows from the wiring."""
        merged: dict[tuple[str, str], Relation] = {}
        for key, facts in self._relations.get(entity, {}).items():
            if facts:
                merged[key] = _best(facts.values())
        for relation in self._following(entity):
            key = relation.type, relation.peer
            merged[key] = merged[key].joined(relation) if key in merged else relation
        return list(merged.values())

    def _following(self, entity: str) -> Iterator[Relation]:
        """What the wires of ``entity`` imply: powering, and control and metering by the outlet."""
        site = self._site
        for interface in self._wires.get(entity, ()):
            here = End(entity, interface)
            for there in self._wires[entity][interface]:
                role = self.role(here, there)
                if role is None or there.entity == entity:
                    continue
                fact = Relation(
                    entity, POWERED_BY, there.entity, (interface,), (there.interface,), evidence=Evidence.INFERRED
                )
                outlet = there if role is Role.SOURCE else here
                facts = [fact]
                if site.switchable(outlet):
                    facts.append(_as(fact, CONTROLLED_BY, controls=frozenset({"supply"})))
                if site.measures(outlet):
                    facts.append(_as(fact, METERED_BY, reports=frozenset({"power", "energy"})))
                for item in facts:
                    yield item if role is Role.SOURCE else _as(item, INVERSE[item.type])

    # questions

    def loop(self, entity: str) -> list[str] | None:
        """A way by which ``entity`` would feed itself, as the entities on it; None if there is none."""
        return find_loop(entity, lambda one: (feed.source for feed in self.feeds(one)))

    def outlets_of(self, entity: str) -> list[End]:
        """The outlets that feed ``entity`` or its parts, or that are stated to control its supply."""
        found: dict[End, None] = {}
        for _, feed in self.ways(entity):
            if feed.outlet is not None:
                found[End(feed.source, feed.outlet)] = None
        if not found:
            for relation in self._stated(entity, CONTROLLED_BY):
                if "supply" in relation.controls or not relation.controls:
                    found.update((End(relation.peer, name), None) for name in relation.peer_interfaces)
        return list(found)

    def loss(self, cut: Iterable[End] = (), off: Iterable[str] = ()) -> list[str]:
        """The entities that lose their last known supply when interfaces are ``cut`` and entities turned ``off``.

        An entity without any known feed and without container is taken to be fed from outside the model, and so is
        one with an interface to the grid. Batteries are not counted on. ``off`` themselves are not in the answer.
        """
        losing = self.losing(cut, off)
        while True:
            try:
                next(losing)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what losing returns

    def losing(self, cut: Iterable[End] = (), off: Iterable[str] = ()) -> Generator[None, None, list[str]]:
        """What ``loss`` gives, worked out in steps, between which others get their turn."""
        cuts = set(cut)
        dark = dict.fromkeys(off)
        asked = set(dark)
        waiting = self._hanging_on(cuts, dark)
        graph = self.remembering()
        for count in itertools.count(1):
            if not waiting:
                break
            entity = waiting.pop()
            if entity not in dark and not graph._fed(entity, cuts, dark):  # noqa: SLF001 - a copy of its own
                dark[entity] = None
                waiting += self._behind(entity, None)
            if count % _STEP == 0:
                yield
        return [entity for entity in dark if entity not in asked]

    def fed(self, entity: str) -> bool:
        """Whether power can reach ``entity``, by the same measure as ``loss``."""
        return self._fed(entity, set(), {})

    def downstream(self, entities: Iterable[str]) -> set[str]:
        """``entities`` and all whose supply may depend on one of them."""
        return set(self.following(entities))

    def following(self, entities: Iterable[str], cut: Iterable[End] = ()) -> Iterator[str]:
        """``entities`` and all whose supply may depend on one of them, or on an interface that is ``cut``."""
        found: set[str] = set()
        waiting = [*entities, *self._hanging_on(cut, ())]
        while waiting:
            entity = waiting.pop()
            if entity not in found:
                found.add(entity)
                yield entity
                waiting += self._behind(entity, None)

    def _hanging_on(self, cut: Iterable[End], off: Iterable[str]) -> list[str]:
        """Those whose supply may depend directly on interfaces or entities; of an inlet, who has it."""
        found: list[str] = []
        for end in cut:
            found += self._behind(end.entity, end.interface)
            if any(feed.inlet == end.interface for feed in self.feeds(end.entity)):
                found += self._around(end.entity)
        for entity in off:
            found += self._behind(entity, None)
        return found

    def _around(self, entity: str) -> dict[str, None]:
        """An entity and what it is contained in, from the inside out."""
        found: dict[str, None] = {}
        inside: str | None = entity
        while inside is not None and inside not in found:
            found[inside] = None
            inside = self._site.container(inside)
        return found

    def _behind(self, entity: str, outlet: str | None) -> list[str]:
        """Whose supply may depend on an entity or one outlet of it: loads, their containers, and parts."""
        found: dict[str, None] = {}
        for load in self.loads(entity, outlet):
            found.update(self._around(load))
        if outlet is None:
            found.update(dict.fromkeys(self._site.components(entity)))
            container = self._site.container(entity)
            if container is not None:
                found[container] = None
        return list(found)

    def ways(self, entity: str) -> list[tuple[str, Feed]]:
        """The feeds of an entity and of those parts of it that have their own, such as power supplies, each with
        who has the inlet.
        """
        inside = dict.fromkeys([entity])
        waiting = [entity]
        while waiting:
            for part in self._site.components(waiting.pop()):
                if part not in inside:
                    inside[part] = None
                    waiting.append(part)
        return [(part, feed) for part in inside for feed in self.feeds(part)]

    def passes(self, part: str, feed: Feed, cuts: Container[End] = ()) -> bool:
        """Whether a feed of ``part`` is switched through at both ends, when ``cuts`` are not."""
        site = self._site
        if feed.outlet is not None:
            outlet = End(feed.source, feed.outlet)
            if outlet in cuts or not site.passes(outlet):
                return False
        if feed.inlet is None:
            return True
        inlet = End(part, feed.inlet)
        return inlet not in cuts and site.takes(inlet)

    def _vouched(self, part: str, feed: Feed) -> bool:
        """Whether somebody else than the source says that ``part`` gets power by a feed: itself, or an operator."""
        said: dict[Hashable, Evidence] = {}
        if feed.inlet is not None and feed.outlet is not None:
            here, there = End(part, feed.inlet), End(feed.source, feed.outlet)
            if (here, there) in self._said:
                return True
            said = self._said.get((there, here), {})
        facts = self._relations.get(part, {}).get((POWERED_BY, feed.source), {})
        return Evidence.CONFIGURED in said.values() or any(
            own or self._claims[witness].evidence is Evidence.CONFIGURED for witness, own in facts
        )

    def _counted_on(self, entity: str) -> list[tuple[str, Feed]]:
        """The ways by which an entity may be taken to have power.

        Who claims to feed somebody that others are known to feed makes him no safer: he may be mistaken about whom he
        hears, or lie.
        """
        ways = self.ways(entity)
        vouched = {way for way in ways if self._vouched(*way)}
        return [way for way in ways if way in vouched or way[1].source == OUTSIDE] if vouched else ways

    def _fed(self, entity: str, cuts: set[End], dark: Mapping[str, None]) -> bool:
        """Whether some way up from ``entity`` through what passes power ends at an entity that needs no feed."""
        asked: set[str] = set()
        waiting = [entity]
        while waiting:
            here = waiting.pop()
            if here == OUTSIDE:
                return True
            if here in asked or here in dark or (here != entity and not self._site.runs(here)):
                continue
            asked.add(here)
            ways = self._counted_on(here)
            if not ways:
                container = self._site.container(here)
                if container is None:
                    return True
                waiting.append(container)
            waiting += [feed.source for part, feed in ways if self.passes(part, feed, cuts)]
        return False


def find_loop(start: str, following: Callable[[str], Iterable[str]]) -> list[str] | None:
    """The first way found from ``start`` back to itself, ``start`` first; None if there is none."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for there in following(here):
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return None


def find_loops(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> Iterator[list[str]]:
    """Loops that can be reached from ``starts``: for everyone on some loop, at least one with it.

    What lies ahead is seen to first, so that of long ways without loop each step is taken a few times only.
    """
    free: set[str] = set()
    looped: set[str] = set()
    for here in _last_first(starts, following):
        if here not in looped:
            loop = find_loop(here, lambda one: (there for there in following(one) if there not in free))
            if loop is None:
                free.add(here)
            else:
                looped.update(loop)
                yield loop


def _last_first(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """All that is reached from ``starts``, each after what follows it (where there is no loop)."""
    seen: set[str] = set()
    for start in starts:
        under_way = [(start, iter((start,)))]  # the first of a pair was reached, and what follows it is looked at
        while under_way:
            here, ahead = under_way[-1]
            there = next((one for one in ahead if one not in seen), None)
            if there is not None:
                seen.add(there)
                under_way.append((there, iter(list(following(there)))))
            else:
                under_way.pop()
                if under_way:
                    yield here


def _once(claim: Claim) -> Claim:
    """A claim without what it says twice, as devices do."""
    relations = {(relation.subject, relation.type, relation.peer): relation for relation in claim.relations}
    return Claim(tuple(dict.fromkeys(claim.wires)), tuple(relations.values()), claim.evidence)


def _both(relation: Relation) -> list[tuple[bool, Relation]]:
    """A relation and its inverse, each with whether it is the one stated."""
    inverse = relation.inverse()
    return [(True, relation)] if inverse is None else [(True, relation), (False, inverse)]


def _best(facts: Iterable[Relation]) -> Relation:
    """The statements about one relation as one, the best evidence first."""
    ordered = sorted(facts, key=lambda fact: _STRENGTH[fact.evidence])
    joined = ordered[0]
    for fact in ordered[1:]:
        joined = joined.joined(fact)
    return joined


def _as(
    fact: Relation, type_: str, *, reports: frozenset[str] | None = None, controls: frozenset[str] | None = None
) -> Relation:
    """``fact`` as a relation of another type between the same ends."""
    return Relation(
        fact.subject,
        type_,
        fact.peer,
        fact.interfaces,
        fact.peer_interfaces,
        fact.reports if reports is None else reports,
        fact.controls if controls is None else controls,
        None,
        fact.evidence,
    )

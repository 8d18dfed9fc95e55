"""The wiring as a whole: how far each entity is from its sources, what its supply hangs on, and what if it failed.

An entity hangs on whatever stands on all ways by which power reaches it: its dominators in the graph of what passes
power. Of each vertex (an entity, or an end of a wire) the nearest one is kept, ``above`` it; so one step up from
another gives them all, and they cost one entry each. Worked out for who is asked about with those above him, and
remembered until something up there is not what it was.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, compress
from typing import NamedTuple

from eman_netconf.energy.relationships import End, Feed, Graph
from eman_netconf.energy.relationships import Site as Judge

Vertex = str | End

#: Points of failure that are named for one entity; all are counted.
MOST_POINTS = 64

_OUTSIDE: Vertex = ""  # above all sources; no id is empty
_MANY = 200  # entities that changed: to look at each takes longer than to forget all


class Redundancy(StrEnum):
    """How well an entity is supplied (eman-topology)."""

    REDUNDANT = "redundant"
    DEGRADED = "degraded"
    SINGLE = "single"
    NONE = "none"
    UNPOWERED = "unpowered"


class Way(NamedTuple):
    """A feed of an entity, or of a ``part`` of it."""

    part: str
    feed: Feed
    passes: bool
    supplies: bool
    sources_left: int  # sources that the entity would still be powered from without it


@dataclass(frozen=True, slots=True)
class Supply:
    """What the supply of one entity is made of; ``points`` are the nearest of ``point_count``."""

    level: int
    state: Redundancy
    ways: tuple[Way, ...]
    sources: int
    points: tuple[Vertex, ...]
    point_count: int

    @property
    def powered(self) -> bool:
        return self.state is not Redundancy.UNPOWERED

    @property
    def supplying(self) -> int:
        return sum(way.supplies for way in self.ways)


class _Facts(NamedTuple):
    """All of an entity itself that decides about its supply; beside its outlets, that decide about others'."""

    runs: bool
    container: str | None
    feeds: list[tuple[Feed, bool]]


class Topology:
    """The supply of all entities, worked out as it is asked for. Loops are tolerated.

    ``shifted`` collects the ids of entities of which something is not what it was. Those in ``off`` have no power
    and pass none, interfaces in ``cut`` pass none, and those in ``held`` have power of their own.
    """

    def __init__(
        self,
        site: Judge,
        graph: Graph,
        shifted: set[str],
        *,
        cut: Container[End] = (),
        off: Container[str] = (),
        held: Container[str] = (),
    ) -> None:
        self._site = site
        self._graph = graph
        self._shifted = shifted
        self._cut, self._off, self._held = cut, off, held
        self._levels: dict[str, int] = {}
        self._sources: dict[str, frozenset[str]] = {}  # of entities that have power
        self._above: dict[Vertex, Vertex] = {}
        self._number: dict[Vertex, int] = {_OUTSIDE: 0}  # what is above has the lower number
        self._last = 0
        self._moved = False  # something was placed elsewhere than before
        self._ends: dict[str, set[End]] = {}  # those that have a number, by entity
        self._led: dict[str, set[str]] = {}  # entity -> those that were worked out from it
        self._facts: dict[str, _Facts] = {}
        self._outlets: dict[str, dict[str, bool]] = {}  # those that others hang on, and whether they pass power

    # --- what is asked

    def supply(self, entity: str) -> Supply:
        """What the supply of an entity is made of now."""
        self._know(entity)
        found = self._graph.ways(entity)
        supplying = [self._supplies(part, feed) for part, feed in found]
        share = Counter(chain.from_iterable(self._sources[feed.source] for _, feed in compress(found, supplying)))
        ways: list[Way] = []
        for (part, feed), supplies in zip(found, supplying, strict=True):
            alone = sum(share[source] == 1 for source in self._sources[feed.source]) if supplies else 0
            ways.append(Way(part, feed, self._passes(part, feed), supplies, len(share) - alone))
        points = list(self.points(entity))
        return Supply(
            self._levels[entity],
            self._state(entity, found, supplying),
            tuple(ways),
            len(self._sources.get(entity, ())),
            tuple(points[:MOST_POINTS]),
            len(points),
        )

    def reach(self, entity: str) -> tuple[int, int]:
        """By how many feeds, and from how many sources, power reaches an entity now."""
        self._know(entity)
        feeds = sum(self._supplies(part, feed) for part, feed in self._graph.ways(entity))
        return feeds, len(self._sources.get(entity, ()))

    def points(self, entity: str) -> Iterator[Vertex]:
        """What the loss of alone would take the power from an entity, the nearest first."""
        self._know(entity)
        vertex = self._above.get(entity, _OUTSIDE)
        while vertex != _OUTSIDE:
            yield vertex
            vertex = self._above[vertex]

    def wired(self, entity: str) -> bool:
        """Whether an entity is part of the wiring."""
        graph = self._graph
        return (
            bool(graph.interfaces(entity))
            or bool(graph.ways(entity))
            or bool(graph.loads(entity))
            or self._site.container(entity) is not None
        )

    def touch(self) -> None:
        """Let go of what nobody asks for; to be called now and then."""
        if not self._levels:
            self._shifted.clear()

    def _state(self, entity: str, ways: list[tuple[str, Feed]], supplying: list[bool]) -> Redundancy:
        if entity not in self._sources:
            return Redundancy.UNPOWERED
        if not ways:
            container = self._site.container(entity)
            if container is None or entity in self._held:
                return Redundancy.NONE
            inside = self._graph.ways(container)
            return self._state(container, inside, [self._supplies(part, feed) for part, feed in inside])
        if not all(supplying):
            return Redundancy.DEGRADED
        return Redundancy.REDUNDANT if self._above[entity] == _OUTSIDE else Redundancy.SINGLE

    # --- what is remembered

    def _know(self, entity: str) -> None:
        """Bring what is known of an entity up to date."""
        if self._shifted:
            self._review()
        if entity not in self._levels:
            ways: dict[str, list[tuple[str, Feed]]] = {}

            def above(here: str) -> list[str]:
                if here in self._levels:
                    return []
                ways[here] = self._graph.ways(here)
                return self._leading(here, ways[here])

            for circle in circles(entity, above):
                if circle[0] in ways:
                    self._settle(circle, ways)

    def _leading(self, here: str, ways: list[tuple[str, Feed]]) -> list[str]:
        """Whom an entity is worked out from: who feeds it, and those of its parts that are fed, or its container."""
        if ways:
            return list(
                dict.fromkeys(chain((feed.source for _, feed in ways), (part for part, _ in ways if part != here)))
            )
        container = self._site.container(here)
        return [container] if container is not None else []

    def _review(self) -> None:
        """Forget what no longer holds."""
        shifted = list(self._shifted)
        self._shifted.clear()
        if len(shifted) > _MANY:
            self._forget(list(self._levels))
            return
        stale: list[str] = []
        for entity in shifted:
            known, facts = self._facts.get(entity), self._look(entity)
            if known is None:
                stale += [facts.container] if facts.container is not None and facts.feeds else ()
            elif known != facts or self._switched(entity):
                stale += [entity, *filter(None, (known.container, facts.container))]
        self._forget(stale)

    def _switched(self, entity: str) -> bool:
        """Whether an outlet passes power that did not, or the other way round."""
        outlets = self._outlets.get(entity, {})
        return any(self._site.passes(End(entity, name)) is not passed for name, passed in outlets.items())

    def _look(self, entity: str) -> _Facts:
        graph = self._graph
        feeds = [(feed, graph.passes(entity, feed)) for feed in graph.feeds(entity)]
        return _Facts(self._site.runs(entity), self._site.container(entity), feeds)

    def _forget(self, entities: list[str]) -> None:
        while entities:
            entity = entities.pop()
            entities += self._led.pop(entity, ())
            if self._levels.pop(entity, None) is None:
                continue
            self._facts.pop(entity, None)
            self._outlets.pop(entity, None)
            self._sources.pop(entity, None)
            for vertex in (entity, *self._ends.pop(entity, ())):
                self._number.pop(vertex, None)
                self._above.pop(vertex, None)

    # --- how it is worked out

    def _settle(self, circle: list[str], ways: Mapping[str, list[tuple[str, Feed]]]) -> None:
        """Work out entities of which all above is known, but for what they are to each other."""
        inside = set(circle)
        leading = {here: self._leading(here, ways[here]) for here in circle}
        level = 0
        following: dict[str, list[str]] = {}
        for here in circle:
            parts = {part for part, _ in ways[here]} - {here}
            for other in leading[here]:
                self._led.setdefault(other, set()).add(here)
                if other in inside:
                    following.setdefault(other, []).append(here)
                else:
                    level = max(level, self._levels[other] + (other not in parts))
            for _, feed in ways[here]:
                if feed.outlet is not None:
                    outlet = End(feed.source, feed.outlet)
                    self._outlets.setdefault(feed.source, {})[feed.outlet] = self._site.passes(outlet)
        self._levels.update(dict.fromkeys(circle, level))
        waiting = deque(circle)
        while waiting:
            here = waiting.popleft()
            self._moved = False
            self._step(here, ways[here])
            if self._moved:
                waiting.extend(following.get(here, ()))
        for here in circle:
            self._facts[here] = self._look(here)

    def _step(self, here: str, ways: list[tuple[str, Feed]]) -> None:
        """Place an entity, and the ends of what feeds it, by what is known so far."""
        if here in self._off:
            return
        container = self._site.container(here)
        if here in self._held or (not ways and container is None):
            self._reached(here, _OUTSIDE, frozenset((here,)))
            return
        if not ways and container is not None:
            if container in self._sources and self._runs(container):
                self._reached(here, container, self._sources[container])
            return
        heads: list[Vertex] = []
        inlets: dict[End, list[Vertex]] = {}
        sources: set[frozenset[str]] = set()
        for part, feed in ways:
            if not self._supplies(part, feed):
                continue
            sources.add(self._sources[feed.source])
            tail: Vertex = feed.source
            if feed.outlet is not None:
                tail = self._end(End(feed.source, feed.outlet), feed.source)
            if feed.inlet is None:
                heads.append(tail)
            else:
                inlets.setdefault(End(part, feed.inlet), []).append(tail)
        for inlet, tails in inlets.items():
            heads.append(self._end(inlet, self._common(tails)))
        if heads:
            only, *more = sources
            self._reached(here, self._common(heads), only.union(*more) if more else only)

    def _reached(self, entity: str, above: Vertex, sources: frozenset[str]) -> None:
        self._place(entity, above)
        if self._sources.get(entity) != sources:
            self._sources[entity] = sources
            self._moved = True

    def _end(self, end: End, above: Vertex) -> End:
        self._ends.setdefault(end.entity, set()).add(end)
        self._place(end, above)
        return end

    def _place(self, vertex: Vertex, above: Vertex) -> None:
        if vertex not in self._number:
            self._last += 1
            self._number[vertex] = self._last
        elif self._above[vertex] == above:
            return
        self._above[vertex] = above
        self._moved = True

    def _common(self, vertices: Iterable[Vertex]) -> Vertex:
        """The nearest vertex that all of some hang on, or which they are."""
        number, above = self._number, self._above
        first, *others = vertices
        for other in others:
            there = other
            while first != there:
                if number[first] > number[there]:
                    first = above[first]
                else:
                    there = above[there]
        return first

    def _runs(self, entity: str) -> bool:
        return entity not in self._off and self._site.runs(entity)

    def _passes(self, part: str, feed: Feed) -> bool:
        return self._runs(feed.source) and self._graph.passes(part, feed, self._cut)

    def _supplies(self, part: str, feed: Feed) -> bool:
        return feed.source in self._sources and self._passes(part, feed)


def circles(start: str, above: Callable[[str], Iterable[str]]) -> Iterator[list[str]]:
    """All that is reached from ``start``, after what is above it; those that reach each other together (Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    done: set[str] = set()
    under_way: list[tuple[str, Iterator[str]]] = []

    def visit(here: str) -> None:
        number[here] = lowest[here] = len(number)
        waiting.append(here)
        under_way.append((here, iter(above(here))))

    visit(start)
    while under_way:
        here, ahead = under_way[-1]
        for there in ahead:
            if there not in number:
                visit(there)
                break
            if there not in done:
                lowest[here] = min(lowest[here], number[there])
        else:
            under_way.pop()
            if under_way:
                parent = under_way[-1][0]
                lowest[parent] = min(lowest[parent], lowest[here])
            if lowest[here] == number[here]:
                place = waiting.index(here) if waiting[-1] != here else -1
                circle = waiting[place:]
                del waiting[place:]
                done.update(circle)
                yield circle

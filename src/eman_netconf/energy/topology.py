"""The wiring as a whole: how far each entity is from its sources, what its supply hangs on, and what if it failed.

An entity hangs on whatever stands on all ways by which power reaches it: its dominators in the graph of what passes
power. Of each vertex (an entity, or an end of a wire) the nearest one is kept, ``above`` it; so one step up from
another gives them all, and they cost one entry each. Worked out for who is asked about with those above him, and
remembered until something up there is not what it was.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, compress
from typing import NamedTuple

from eman_netconf.energy.relationships import OUTSIDE, End, Feed, Graph
from eman_netconf.energy.relationships import Site as Judge

Vertex = str | End

#: Points of failure that are named for one entity; all are counted.
MOST_POINTS = 64

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


_Way = tuple[str, Feed, bool]  # who has the inlet, and whether it is switched through


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
        self._ways: dict[str, list[_Way]] = {}
        self._sources: dict[str, frozenset[str]] = {}  # of entities that have power
        self._above: dict[Vertex, Vertex] = {}
        self._number: dict[Vertex, int] = {OUTSIDE: 0}  # what is above has the lower number
        self._last = 0
        self._moved = False  # something was placed elsewhere than before
        self._ends: dict[str, set[End]] = {}  # those that have a number, by entity
        self._led: dict[Vertex, set[str]] = {}  # entity or outlet -> those that were worked out from it
        self._facts: dict[str, _Facts] = {}
        self._outlets: dict[str, dict[str, bool]] = {}  # those that others hang on, and whether they pass power

    # --- what is asked

    def supply(self, entity: str) -> Supply:
        """What the supply of an entity is made of now."""
        self._know(entity)
        found = self._ways[entity]
        supplying = [self._supplies(way) for way in found]
        share = Counter(chain.from_iterable(self._origin(part, feed) for part, feed, _ in compress(found, supplying)))
        ways: list[Way] = []
        for (part, feed, passes), supplies in zip(found, supplying, strict=True):
            alone = sum(share[source] == 1 for source in self._origin(part, feed)) if supplies else 0
            ways.append(Way(part, feed, passes and self._runs(feed.source), supplies, len(share) - alone))
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
        return sum(map(self._supplies, self._ways[entity])), len(self._sources.get(entity, ()))

    def points(self, entity: str) -> Iterator[Vertex]:
        """What the loss of alone would take the power from an entity, the nearest first."""
        self._know(entity)
        vertex = self._above.get(entity, OUTSIDE)
        while vertex != OUTSIDE:
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

    def _state(self, entity: str, ways: list[_Way], supplying: list[bool]) -> Redundancy:
        if entity not in self._sources:
            return Redundancy.UNPOWERED
        if not ways:
            container = self._site.container(entity)
            if container is None or entity in self._held:
                return Redundancy.NONE
            around = self._ways[container]
            return self._state(container, around, [self._supplies(way) for way in around])
        if not all(supplying):
            return Redundancy.DEGRADED
        return Redundancy.REDUNDANT if self._above[entity] == OUTSIDE else Redundancy.SINGLE

    # --- what is remembered

    def _know(self, entity: str) -> None:
        """Bring what is known of an entity up to date."""
        if self._shifted:
            self._review()
        if entity not in self._levels:
            for circle in circles(entity, self._unknown):
                if circle[0] not in self._levels:
                    self._settle(circle)

    def _unknown(self, here: str) -> list[str]:
        """Whom an entity is worked out from, if it is not known yet."""
        if here in self._levels:
            return []
        graph = self._graph
        ways = [(part, feed, graph.passes(part, feed, self._cut)) for part, feed in graph.ways(here)]
        self._ways[here] = ways
        own = [(feed, passes) for part, feed, passes in ways if part == here]
        self._facts[here] = _Facts(self._site.runs(here), self._site.container(here), own)
        return self._leading(here)

    def _leading(self, here: str) -> list[str]:
        """Whom an entity is worked out from: who feeds it, and those of its parts that are fed, or its container."""
        ways = self._ways[here]
        if ways:
            parts = (part for part, _, _ in ways if part != here)
            sources = (feed.source for _, feed, _ in ways if feed.source != OUTSIDE)
            return list(dict.fromkeys(chain(sources, parts)))
        container = self._facts[here].container
        return [container] if container is not None else []

    def _review(self) -> None:
        """Forget what no longer holds."""
        shifted = list(self._shifted)
        self._shifted.clear()
        if len(shifted) > _MANY:
            self._forget_all()
            return
        stale: list[Vertex] = []
        for entity in shifted:
            known, facts = self._facts.get(entity), self._look(entity)
            if known is None:
                stale += [facts.container] if facts.container is not None and facts.feeds else ()
            elif known != facts:
                stale += [entity, *filter(None, (known.container, facts.container))]
            else:
                stale += self._switched(entity)
        self._forget(stale)

    def _switched(self, entity: str) -> list[End]:
        """The outlets of an entity that pass power and did not, or the other way round."""
        outlets = ((End(entity, name), passed) for name, passed in self._outlets.get(entity, {}).items())
        return [end for end, passed in outlets if self._site.passes(end) is not passed]

    def _look(self, entity: str) -> _Facts:
        graph = self._graph
        feeds = [(feed, graph.passes(entity, feed, self._cut)) for feed in graph.feeds(entity)]
        return _Facts(self._site.runs(entity), self._site.container(entity), feeds)

    def _forget(self, stale: list[Vertex]) -> None:
        """Forget entities, those that hang on outlets, and all that was worked out from them."""
        count = 0
        while stale:
            vertex = stale.pop()
            stale += self._led.pop(vertex, ())
            if not isinstance(vertex, str):
                self._outlets.get(vertex.entity, {}).pop(vertex.interface, None)
                continue
            if self._levels.pop(vertex, None) is None:
                continue
            count += 1
            if count > _MANY:
                self._forget_all()
                return
            self._facts.pop(vertex, None)
            self._ways.pop(vertex, None)
            self._sources.pop(vertex, None)
            stale += [End(vertex, name) for name in self._outlets.pop(vertex, ())]
            for place in (vertex, *self._ends.pop(vertex, ())):
                self._number.pop(place, None)
                self._above.pop(place, None)

    def _forget_all(self) -> None:
        self._levels, self._ways, self._sources, self._facts = {}, {}, {}, {}
        self._above, self._number, self._ends = {}, {OUTSIDE: 0}, {}
        self._led, self._outlets = {}, {}

    # --- how it is worked out

    def _settle(self, circle: list[str]) -> None:
        """Work out entities of which all above is known, but for what they are to each other."""
        inside = set(circle)
        ways = self._ways
        level = 0
        following: dict[str, list[str]] = {}
        for here in circle:
            parts = {part for part, _, _ in ways[here]} - {here}
            for other in self._leading(here):
                self._led.setdefault(other, set()).add(here)
                if other in inside:
                    following.setdefault(other, []).append(here)
                else:
                    level = max(level, self._levels[other] + (other not in parts))
            for _, feed, _ in ways[here]:
                if feed.outlet is not None:
                    outlet = End(feed.source, feed.outlet)
                    self._outlets.setdefault(feed.source, {})[feed.outlet] = self._site.passes(outlet)
                    self._led.setdefault(outlet, set()).add(here)
        self._levels.update(dict.fromkeys(circle, level))
        waiting = deque(circle)
        while waiting:
            here = waiting.popleft()
            self._moved = False
            self._step(here)
            if self._moved:
                waiting.extend(following.get(here, ()))

    def _step(self, here: str) -> None:
        """Place an entity, and the ends of what feeds it, by what is known so far."""
        if here in self._off:
            return
        ways, container = self._ways[here], self._facts[here].container
        if here in self._held or (not ways and container is None):
            self._reached(here, OUTSIDE, frozenset((here,)))
            return
        if not ways and container is not None:
            if container in self._sources and self._runs(container):
                self._reached(here, container, self._sources[container])
            return
        heads: list[Vertex] = []
        inlets: dict[End, list[Vertex]] = {}
        sources: set[frozenset[str]] = set()
        for way in ways:
            if not self._supplies(way):
                continue
            part, feed, _ = way
            sources.add(self._origin(part, feed))
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
        return entity == OUTSIDE or (entity not in self._off and self._facts[entity].runs)

    def _origin(self, part: str, feed: Feed) -> frozenset[str]:
        """The sources behind a feed that supplies; of the grid, who is connected to it."""
        return self._sources[feed.source] if feed.source != OUTSIDE else frozenset((part,))

    def _supplies(self, way: _Way) -> bool:
        _, feed, passes = way
        return passes and (feed.source == OUTSIDE or (feed.source in self._sources and self._runs(feed.source)))


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

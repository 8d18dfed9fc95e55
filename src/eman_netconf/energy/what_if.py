"""What would come of failures and of switching: who would lose power or part of it. Nothing is changed."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from eman_netconf.energy.groups import Groups
from eman_netconf.energy.relationships import End, Graph
from eman_netconf.energy.relationships import Site as Judge
from eman_netconf.energy.site import Site
from eman_netconf.energy.topology import Topology
from eman_netconf.energy.values import Direction

_STEP = 20  # entities that are judged between two turns of others


class Assumed(NamedTuple):
    """One thing that is assumed to fail or be switched off, or with ``on`` to work: an entity or its interface."""

    entity: str
    interface: str | None = None
    on: bool = False


class Reach(NamedTuple):
    """By how many feeds and from how many sources power reaches an entity."""

    feeds: int
    sources: int


class Fate(NamedTuple):
    """What would become of an entity; ``held``: a battery would give it power for a while."""

    entity: str
    before: Reach
    after: Reach
    held: bool = False


@dataclass(slots=True)
class Outlook:
    """What would come: entities whose power ``shed`` names together is what would not be taken any more, and
    ``batteries`` are the entities with batteries that would take over.
    """

    lost: list[Fate] = field(default_factory=list)
    weakened: list[Fate] = field(default_factory=list)
    regained: list[Fate] = field(default_factory=list)
    shed: list[str] = field(default_factory=list)
    batteries: list[str] = field(default_factory=list)


class _Supposed:
    """A site in which some interfaces and entities work that do not."""

    def __init__(self, site: Judge, working: frozenset[End], running: frozenset[str]) -> None:
        self._site = site
        self._working = working
        self._running = running

    def direction(self, end: End) -> Direction | None:
        return self._site.direction(end)

    def passes(self, end: End) -> bool:
        return end in self._working or self._site.passes(end)

    def takes(self, end: End) -> bool:
        return end in self._working or self._site.takes(end)

    def grids(self, entity: str) -> Iterable[str]:
        return self._site.grids(entity)

    def runs(self, entity: str) -> bool:
        return entity in self._running or self._site.runs(entity)

    def switchable(self, end: End) -> bool:
        return self._site.switchable(end)

    def measures(self, end: End) -> bool:
        return self._site.measures(end)

    def container(self, entity: str) -> str | None:
        return self._site.container(entity)

    def components(self, entity: str) -> Iterable[str]:
        return self._site.components(entity)


def what_if(
    site: Site, topology: Topology, groups: Groups, assumed: Iterable[Assumed]
) -> Generator[None, None, Outlook]:
    """What would come of all that is ``assumed`` together, by the rules of the guard.

    Worked out in steps, so that others get their turn; what they change meanwhile may be in the answer or not.
    """
    assumed = tuple(assumed)
    ends = {each: End(each.entity, each.interface) for each in assumed if each.interface is not None}
    cut = frozenset(end for each, end in ends.items() if not each.on)
    working = frozenset(ends.values()) - cut
    off = frozenset(each.entity for each in assumed if each.interface is None and not each.on)
    running = frozenset(each.entity for each in assumed if each.interface is None) - off
    then: Judge = _Supposed(site, working, running)
    graph = site.graph.remembering(then)
    after = Topology(then, graph, set(), cut=cut, off=off)
    outlook = Outlook()
    lost = dict.fromkeys((yield from graph.losing(cut, off)))
    for id_ in lost:
        outlook.lost.append(Fate(id_, Reach(*topology.reach(id_)), Reach(*after.reach(id_))))
        if len(outlook.lost) % _STEP == 0:
            yield
    for count, id_ in enumerate(graph.following(off | running, cut | working), 1):
        if count % _STEP == 0:
            yield
        if id_ in lost or id_ in off:
            continue
        fate = Fate(id_, Reach(*topology.reach(id_)), Reach(*after.reach(id_)))
        if fate.after.sources and not fate.before.sources:
            outlook.regained.append(fate)
        elif fate.after.feeds < fate.before.feeds or fate.after.sources < fate.before.sources:
            outlook.weakened.append(fate)
    outlook.batteries = [id_ for id_ in lost if (entity := site.entities.get(id_)) is not None and entity.batteries]
    if outlook.batteries:
        held = Topology(then, graph, set(), cut=cut, off=off, held=frozenset(outlook.batteries))
        for place, fate in enumerate(outlook.lost, 1):
            outlook.lost[place - 1] = fate._replace(held=held.reach(fate.entity)[1] > 0)
            if place % _STEP == 0:
                yield
    whole = yield from _whole(graph, then, {*lost, *off})
    for count, id_ in enumerate(sorted(whole), 1):
        if not groups.counted_already(id_, whole, graph):
            outlook.shed.append(id_)
        if count % _STEP == 0:
            yield
    for fates in (outlook.lost, outlook.weakened, outlook.regained):
        fates.sort(key=itemgetter(0))
    return outlook


def _whole(graph: Graph, site: Judge, gone: set[str]) -> Generator[None, None, set[str]]:
    """Those of ``gone`` of which all that they are part of and all that they feed is gone, too: what goes through
    the others is taken by another feed instead, at least in part.
    """
    waiting: list[str] = []
    for count, id_ in enumerate(gone, 1):
        if count % _STEP == 0:
            yield
        container = site.container(id_)
        if (container is not None and container not in gone) or any(load not in gone for load in graph.loads(id_)):
            waiting.append(id_)
    partly: set[str] = set()
    while waiting:
        here = waiting.pop()
        if here not in partly:
            partly.add(here)
            if len(partly) % _STEP == 0:
                yield
            waiting += [feed.source for feed in graph.feeds(here) if feed.source in gone]
    return gone - partly

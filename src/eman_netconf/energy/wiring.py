"""Meters along wires and relations: whose readings stand for whom where there is no meter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from eman_netconf.energy.entities import Entity
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.relationships import AGGREGATING, METERED_BY, METERING, End, Graph, Role
from eman_netconf.energy.sums import Part
from eman_netconf.energy.values import Direction


class Wired(Protocol):
    """Where the other ends are found."""

    graph: Graph

    @property
    def entities(self) -> Mapping[str, Entity]: ...

    def interface(self, end: End) -> Interface | None: ...

    def components(self, entity: str) -> Iterable[str]: ...


def connect(site: Wired, entity: Entity) -> None:
    """Work out anew what the meters of an entity and its interfaces are sums of.

    An inlet stands for the one outlet that feeds it alone; an entity for its inlets, else for the meter that
    measures it, else for those it aggregates.
    """
    entity.relations_changed()
    related = site.graph.knows(entity.id)
    inlets: list[tuple[Interface, str]] = []
    for interface in entity.interfaces.values():
        interface.wires_changed()
        sources = site.graph.peers(interface.end, Role.SOURCE) if related else []
        parts: tuple[Part, ...] = ()
        outlet = site.interface(sources[0]) if len(sources) == 1 else None
        if outlet is not None and len(site.graph.peers(sources[0], Role.LOAD)) == 1:
            parts = (Part(outlet.meter, True, sources[0].entity, sources[0].entity),)
        set_parts(interface.meter, parts)
        if interface.works_as is not Direction.OUTLET and (sources or interface.meter.measures):
            inlets.append((interface, sources[0].entity if sources else entity.id))
    set_parts(entity.meter, _parts_of(site, entity, inlets) if inlets or related else ())
    fed = related or site.components(entity.id)
    by_supply = bool(fed and not entity.states.native and site.graph.outlets_of(entity.id))
    if by_supply is not entity.states.by_supply:
        entity.states.by_supply = by_supply
        entity.states.arrange()
        entity.states_changed()


def _parts_of(site: Wired, entity: Entity, inlets: list[tuple[Interface, str]]) -> tuple[Part, ...]:
    if inlets:
        return tuple(Part(inlet.meter, False, source) for inlet, source in inlets)
    for relation in site.graph.related(entity.id, METERED_BY):
        meter = site.entities.get(relation.peer)
        if meter is None:
            continue
        if relation.peer_interfaces:
            found = (meter.interfaces.get(name) for name in relation.peer_interfaces)
            return tuple(Part(item.meter, False, meter.id, meter.id) for item in found if item is not None)
        if len(site.graph.related(meter.id, METERING)) == 1:
            return (Part(meter.meter, False, meter.id, meter.id),)
    contributors = (site.entities.get(relation.peer) for relation in site.graph.related(entity.id, AGGREGATING))
    return tuple(Part(peer.meter, False, peer.id) for peer in contributors if peer is not None and peer.in_service)


def set_parts(meter: Meter, parts: tuple[Part, ...]) -> None:
    """Make ``meter`` the sum of ``parts``, and them know it."""
    if meter.parts == parts:
        return
    for part in meter.parts:
        part.meter.dependents = tuple(item for item in part.meter.dependents if item[0] is not meter)
    meter.parts = parts
    for part in parts:
        part.meter.dependents += ((meter, part.turned),)
    meter.reset()

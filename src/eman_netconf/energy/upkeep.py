"""One record kept whole: what is below an entity, in line with its configuration, what devices tell, and its wires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from eman_netconf.energy import nameplates
from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.entities import Entity, EntityNodes, fit_name
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.links import Link
from eman_netconf.energy.notices import Notices
from eman_netconf.energy.pacing import set_paces
from eman_netconf.energy.relationships import Graph
from eman_netconf.energy.values import BatteryInfo, Direction, InterfaceInfo, Now, Point
from eman_netconf.energy.wiring import set_parts
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode

_Told = tuple[InterfaceInfo, Point, str]  # what is told of an interface, where it is, and by which backend


class Holding(Protocol):
    """Who has the records."""

    nodes: EntityNodes
    notices: Notices
    graph: Graph
    entities: dict[str, Entity]
    links: dict[str, Link]
    interface_appeared: Callable[[Interface], None]
    both_ways: dict[str, tuple[str, ...]]  # by entity, the interfaces that are built to take power and to give it


def refresh(site: Holding, entity: Entity) -> None:
    """Bring everything below the record in line with configuration, inventories and wires."""
    nodes = site.nodes
    entity.identity_changed()
    refresh_interfaces(site, entity)
    config = entity.config.get(nodes.states.container) if entity.config is not None else None
    infos = [state_set for info in entity.infos for state_set in info.state_sets]
    entity.states.limits = next((info.power_limits for info in entity.infos if info.power_limits), None)
    entity.states.learn(infos, config if isinstance(config, Inner) else None)
    gap = max((site.links[teller.backend].longest_gap for teller in entity.tellers.values()), default=60.0)
    for meter in (entity.meter, *(interface.meter for interface in entity.interfaces.values())):
        meter.longest_gap = gap
    nameplates.rate(entity)
    set_paces(entity)
    entity.relations_changed()
    entity.states_changed()


def _interface_names(site: Holding, entity: Entity) -> dict[str, _Told | None]:
    """The interfaces an entity has, in order: discovered (with who tells), configured, named by a wire."""
    names: dict[str, _Told | None] = {}
    for (backend, local), teller in entity.tellers.items():
        for info in teller.info.interfaces:
            name = fit_name(info.name, 64)
            if name:
                names.setdefault(name, (info, Point(local, info.name), backend))
    for (name,) in _configs(entity, site.nodes.interfaces.interface):
        names.setdefault(name, None)
    for name in site.graph.interfaces(entity.id):
        names.setdefault(name, None)
    return names


def _configs(entity: Entity, node: SchemaNode) -> Mapping[Key, Inner]:
    """The configured entries of a list of an entity."""
    configured = entity.config.get(node) if entity.config is not None else None
    return configured.entries if isinstance(configured, ListNode) else {}


def lacks_interfaces(site: Holding, entity: Entity) -> bool:
    """Whether wires came or went since, so that the entity has to have other interfaces."""
    return _interface_names(site, entity).keys() != entity.interfaces.keys()


def refresh_interfaces(site: Holding, entity: Entity) -> None:
    """Let the entity have the interfaces that are configured, told of, or named by a wire."""
    nodes = site.nodes.interfaces
    configs = _configs(entity, nodes.interface)
    names = _interface_names(site, entity)
    for name in [name for name in entity.interfaces if name not in names]:
        set_parts(entity.interfaces.pop(name).meter, ())
        entity.interface_changed()
    for name, known in names.items():
        interface = entity.interfaces.get(name)
        if interface is None:
            interface = entity.interfaces[name] = Interface(nodes, entity, name)
            site.interface_appeared(interface)
            entity.interface_changed()
        info, point, backend = known if known is not None else (None, None, "")
        config = configs.get((name,))
        if interface.config is not config or interface.info != info:
            interface.info, interface.config = info, config
            interface.identity_changed()
            interface.supply_changed()
        switchable = info is not None and info.switchable and nodes.control is not None
        interface.switch = (backend, point) if switchable and point is not None else None
    both = tuple(face.name for face in entity.interfaces.values() if face.built_as is Direction.BOTH)
    if both:
        site.both_ways[entity.id] = both
    else:
        site.both_ways.pop(entity.id, None)


def learn_batteries(site: Holding, entity: Entity, now: Now, out: list[Effect], *, announce: bool) -> None:
    """Batteries as told and configured; ``announce`` those that came and went."""
    infos: dict[str, BatteryInfo] = {}
    testers: dict[str, tuple[str, Point]] = {}
    for (backend, local), teller in entity.tellers.items():
        for battery_info in teller.info.batteries:
            key = fit_name(battery_info.name, 64)
            infos.setdefault(key, battery_info)
            if battery_info.testable and site.nodes.batteries.control is not None:
                testers.setdefault(key, (backend, Point(local, None, battery_info.name)))
    configs = _configs(entity, site.nodes.batteries.battery)
    if not (infos or configs or entity.batteries):
        return
    names = dict.fromkeys((*infos, *(key[0] for key in configs)))
    for name in dict.fromkeys((*entity.batteries, *names)):
        if not name:
            continue
        battery = entity.batteries.get(name)
        was = battery.info if battery is not None else None
        info = infos.get(name)
        swapped = was is not None and info is not None and was.identifier != info.identifier
        if announce and was is not None and (info is None or swapped):
            out.append(site.notices.about("battery-disconnected", entity, now.wall, {"battery": name}))
        if announce and info is not None and (was is None or swapped):
            leaves = {"battery": name, "identifier": info.identifier or None}
            out.append(site.notices.about("battery-connected", entity, now.wall, leaves))
        if name not in names:
            del entity.batteries[name]
            continue
        if battery is None:
            battery = entity.batteries[name] = Battery(site.nodes.batteries, name)
        if swapped or (was is not None and info is None):
            battery.renew()
        battery.info, battery.test.tester = info, testers.get(name)
        for event in battery.configure(configs.get((name,))):
            leaves = {"battery": name, **event.leaves}
            out.append(site.notices.about(event.notification, entity, now.wall, leaves))
    entity.batteries_changed()


def bind_points(site: Holding, link: Link) -> None:
    """Where the readings of a backend go."""
    root = link.tells.get("")
    points: dict[Point, tuple[Entity, Interface | Battery | None]] = {}
    for local, id_ in link.tells.items():
        entity = site.entities[id_]
        points[Point(local)] = entity, None
        info = entity.tellers[link.name, local].info
        reporter = root if root != id_ else None
        if entity.meter.reporter is None:
            entity.meter.reporter = reporter
        for item in info.interfaces:
            interface = entity.interfaces.get(fit_name(item.name, 64))
            if interface is not None:
                points[Point(local, item.name)] = entity, interface
                interface.meter.reporter = reporter
        for battery_info in info.batteries:
            battery = entity.batteries.get(fit_name(battery_info.name, 64))
            if battery is not None:
                points[Point(local, None, battery_info.name)] = entity, battery
    link.points = points
    link.found()

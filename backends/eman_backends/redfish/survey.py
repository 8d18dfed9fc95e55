"""From a service to its inventory and plan: systems and chassis joined, their managers, equipment that distributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eman_netconf.backend import Quantity

from . import describe, equipment, power
from .documents import Document, dig, link, links, path_of, text
from .drafts import Draft, Drafts, Service
from .library import Library
from .orders import POWER_STATE, READ_ONLY, Reset, action
from .readings import Rule, worded

_PORTS = 16  # Ethernet interfaces of a system that are looked at
_ENERGY = ("PowerSubsystem", "EnvironmentMetrics", "Power", "Sensors")


@dataclass(frozen=True, slots=True)
class Found:
    """A resource, and where it is."""

    path: str
    document: Document


async def survey(library: Library, root: Document, backend: str) -> Service:
    """What a service has, how it is read and what it can be told. Raises Unavailable."""
    drafts = Drafts(library, backend)
    systems = await _all(library, link(root, "Systems"))
    chassis = await _all(library, link(root, "Chassis"))
    inside = residents(systems, chassis)
    joined = join(inside, chassis)
    for system in systems:
        await _system(drafts, system)
    for one in chassis:
        await _chassis(drafts, one, joined, inside[one.path])
    await equipment.look(drafts, link(root, "PowerEquipment"))
    _prune(drafts)
    for manager in await _all(library, link(root, "Managers")):
        _manager(drafts, manager, joined)
    if not drafts.found:
        drafts.add("/redfish/v1", "service", attributes=_of_root(root))
    library.settle()
    return await drafts.service()


async def _all(library: Library, collection: str | None) -> list[Found]:
    paths = await library.members(collection)
    return [Found(path, document) for path in paths if describe.there(document := await library.get(path))]


def residents(systems: list[Found], chassis: list[Found]) -> dict[str, list[str]]:
    """Of each chassis the systems in it, whichever of the two says so; by their paths."""
    inside: dict[str, dict[str, None]] = {one.path: {} for one in chassis}
    known = {system.path for system in systems}
    for system in systems:
        for path in links(system.document, "Links", "Chassis"):
            if path in inside:
                inside[path][system.path] = None
    for one in chassis:
        inside[one.path] |= dict.fromkeys(known.intersection(links(one.document, "Links", "ComputerSystems")))
    outer = [one.path for one in chassis if link(one.document, "Links", "ContainedBy") not in inside]
    if len(systems) == len(outer) == 1 and not any(inside.values()):
        inside[outer[0]][systems[0].path] = None  # nobody says so, and what else could it be
    return {path: sorted(those) for path, those in inside.items()}


def join(inside: Mapping[str, list[str]], chassis: list[Found]) -> dict[str, str]:
    """The system that is the same device as a chassis, by the chassis' path.

    A system is one with the chassis that it is alone in: of several the first that has anything of energy. Systems
    that share a chassis are devices of their own in it.
    """
    documents = {one.path: one.document for one in chassis}
    alone: dict[str, list[str]] = {}
    for path, those in inside.items():
        if len(those) == 1:
            alone.setdefault(those[0], []).append(path)
    return {
        min(paths, key=lambda path: not any(name in documents[path] for name in _ENERGY)): system
        for system, paths in alone.items()
    }


async def _system(drafts: Drafts, system: Found) -> None:
    if drafts.full:
        return
    document = system.document
    attributes = describe.attributes(document)
    ports = [
        await drafts.library.get(path)
        for path in (await drafts.library.members(link(document, "EthernetInterfaces")))[:_PORTS]
    ]
    attributes["foreign_ids"] += describe.macs(ports)
    draft = drafts.add(system.path, "system", describe.identifier(document, system.path), attributes=attributes)
    draft.category = "consumer"
    await _states(drafts, draft, system, "ComputerSystem.Reset")


async def _states(drafts: Drafts, draft: Draft, found: Found, name: str) -> None:
    """The power states of a system or chassis, and how they are asked for."""
    info = await drafts.library.get(path_of(dig(found.document, "Actions", f"#{name}", "@Redfish.ActionInfo")))
    reset = action(found.document, name, "ResetType", info)
    if reset is not None:
        drafts.resets[draft.point()] = Reset(reset)
        draft.states = Reset(reset).states(found.document)
    elif text(found.document, "PowerState") in POWER_STATE:
        draft.states = READ_ONLY
    if draft.states is not None:
        words = {
            word: state for word, state in POWER_STATE.items() if state in {it.state for it in draft.states.states}
        }
        drafts.tell([Rule(found.path, draft.point(), Quantity.POWER_STATE, worded(words, "PowerState"))])


async def _chassis(drafts: Drafts, chassis: Found, joined: dict[str, str], inside: list[str]) -> None:
    """A chassis: part of what its system is, or an entity of its own with the systems in it."""
    system = joined.get(chassis.path)
    if system in drafts.found and system is not None:
        draft = drafts.found[system]
        _complete(draft, describe.attributes(chassis.document))
    elif drafts.full:
        return
    else:
        name = describe.identifier(chassis.document, chassis.path)
        attributes = describe.attributes(chassis.document)
        draft = drafts.add(chassis.path, "chassis", name, attributes=attributes, optional=True)
        await _states(drafts, draft, chassis, "Chassis.Reset")
    container = link(chassis.document, "Links", "ContainedBy")
    if container is not None:
        draft.inside = joined.get(container, container)
    for path in inside:
        inner = drafts.found.get(path)
        if inner is not None and inner is not draft and inner.inside is None:
            inner.inside = draft.key
    await power.look(drafts, draft, chassis.document)


def _complete(draft: Draft, more: dict[str, Any]) -> None:
    """What the chassis knows and the system does not; the identifiers of both."""
    known = draft.attributes
    identifiers = tuple(dict.fromkeys((*known["foreign_ids"], *more["foreign_ids"])))
    of_uuid = more if known["uuid"] is None else known
    draft.attributes = {
        **{name: more[name] if value is None else value for name, value in known.items()},
        **{name: of_uuid[name] for name in ("uuid", "identifier_persistence")},
        "foreign_ids": identifiers,
    }


def _prune(drafts: Drafts) -> None:
    """Leave out chassis that tell nothing and hold nothing, as boards and backplanes; what is in another is a part."""
    while True:
        held = {draft.inside for draft in drafts.found.values()}
        empty = [draft.key for draft in drafts.found.values() if draft.optional and draft.key not in held]
        idle = [key for key in empty if not drafts.speaks(key)]
        if not idle or len(drafts.found) == 1:
            break
        for key in idle[: len(drafts.found) - 1]:
            drafts.forget(key)
    holding = {draft.inside for draft in drafts.found.values() if not draft.optional}
    for draft in drafts.found.values():
        if draft.optional and draft.inside in drafts.found and draft.key not in holding:
            draft.entity_class = "component"


def _manager(drafts: Drafts, manager: Found, joined: dict[str, str]) -> None:
    """A controller, as a component of what it manages, or of what it is in."""
    document = manager.document
    managed = [
        *links(document, "Links", "ManagerInChassis"),
        *((inside,) if (inside := link(document, "Links", "ManagerInChassis")) else ()),
        *links(document, "Links", "ManagerForServers"),
        *links(document, "Links", "ManagerForChassis"),
    ]
    owner = next((key for path in managed if (key := joined.get(path, path)) in drafts.found), None)
    outermost = [draft.key for draft in drafts.found.values() if draft.inside not in drafts.found]
    if owner is None and len(outermost) == 1:
        owner = outermost[0]
    if owner is None or drafts.full:
        return
    attributes = describe.attributes(document)
    if any(draft.attributes["uuid"] == attributes["uuid"] for draft in drafts.found.values()):
        attributes["uuid"] = None  # it is that of the system
    name = describe.identifier(document, manager.path)
    drafts.add(manager.path, "manager", name, attributes=attributes, inside=owner, entity_class="component")


def _of_root(root: Document) -> dict[str, Any]:
    """The service itself, where it tells of nothing else."""
    return {
        **describe.attributes(root),
        "name": text(root, "Product") or text(root, "Name"),
        "manufacturer": text(root, "Vendor"),
    }

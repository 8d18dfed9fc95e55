"""Equipment that distributes power: rack and floor PDUs, transfer switches, power shelves (PowerDistribution)."""

from __future__ import annotations

from eman_netconf.backend import Direction, Point, Quantity

from . import describe
from .documents import Document, dig, link, links, path_of, text
from .drafts import Draft, Drafts
from .orders import Switch, action
from .power import look as look_at_power
from .readings import SUPPLY, Rule, Tell, Value

#: The collections of PowerEquipment, and what their members are called.
_KINDS = {
    "RackPDUs": "pdu",
    "FloorPDUs": "pdu",
    "TransferSwitches": "transfer-switch",
    "Switchgear": "switchgear",
    "PowerShelves": "power-shelf",
    "ElectricalBuses": "bus",
}
#: The circuits at the edge of a unit, and which way power goes there; branches are inside.
_CIRCUITS = {"Mains": Direction.INLET, "Feeders": Direction.OUTLET, "Subfeeds": Direction.OUTLET}
_NAMES = {"Mains": "mains", "Feeders": "feeder", "Subfeeds": "subfeed"}


async def look(drafts: Drafts, path: str | None) -> None:
    """Add all that is below PowerEquipment. Raises Unavailable."""
    library = drafts.library
    found = await library.get(path)
    for kind, name in _KINDS.items():
        for at in await library.members(link(found, kind)):
            if not drafts.full and describe.there(await library.get(at)):
                await _unit(drafts, at, name)


async def _unit(drafts: Drafts, at: str, name: str) -> None:
    library = drafts.library
    unit = await library.get(at)
    draft = drafts.add(
        at, name, describe.identifier(unit, at), attributes=describe.attributes(unit), category="distributor"
    )
    metrics_at = link(unit, "Metrics")
    metrics = await library.get(metrics_at)
    if metrics_at is not None and metrics:
        place = await drafts.place(metrics, metrics_at, draft.point())
        drafts.tell(place.circuit(metrics))
    for edge, direction in _CIRCUITS.items():
        for circuit in await library.members(link(unit, edge)):
            point = await _circuit(drafts, draft, circuit, edge, direction)
            if point is not None and edge == "Mains" and "TransferConfiguration" in unit:
                mains = describe.identifier(await library.get(circuit), circuit)
                drafts.tell([Rule(at, point, Quantity.IN_USE, _chosen(mains))])
    for outlet in await library.members(link(unit, "Outlets")):
        await _outlet(drafts, draft, outlet)
    for branch in await library.members(link(unit, "Branches")):
        await _branch(drafts, draft, branch)
    await look_at_power(drafts, draft, {"PowerSubsystem": {"@odata.id": at}} if "PowerSupplies" in unit else {})


async def _circuit(drafts: Drafts, draft: Draft, at: str, kind: str, direction: Direction) -> Point | None:
    """What feeds the unit, or is fed by it: its point, if it is there."""
    circuit = await drafts.library.get(at)
    if not describe.there(circuit):
        return None
    name = draft.free(describe.slug(_NAMES[kind], describe.identifier(circuit, at)))
    made = describe.interface(circuit, name, direction)
    draft.interfaces[name] = made
    place = await drafts.place(circuit, at, draft.point(name), direction, direct=made.current_type == "dc")
    drafts.tell(place.circuit(circuit))
    return place.point


def _chosen(mains: str) -> Tell:
    """Whether a transfer switch takes its power from these mains; None where it does not tell from which."""

    def tell(unit: Document) -> Value | None:
        active = dig(unit, "TransferConfiguration", "ActiveMainsId")
        return active == mains if isinstance(active, str) else None

    return tell


async def _outlet(drafts: Drafts, draft: Draft, at: str) -> None:
    outlet = await drafts.library.get(at)
    if not describe.there(outlet):
        return
    name = draft.free(describe.slug("outlet", describe.identifier(outlet, at)))
    info = await drafts.library.get(path_of(dig(outlet, "Actions", "#Outlet.PowerControl", "@Redfish.ActionInfo")))
    switch = action(outlet, "Outlet.PowerControl", "PowerState", info)
    made = describe.interface(outlet, name, Direction.OUTLET, switchable=switch is not None)
    draft.interfaces[name] = made
    point = draft.point(name)
    if switch is not None:
        drafts.switches[point] = Switch(switch)
    place = await drafts.place(outlet, at, point, Direction.OUTLET, direct=made.current_type == "dc")
    if "PowerState" in outlet:
        drafts.tell([place.state(Quantity.SUPPLY_STATE, SUPPLY, "PowerState")])
    drafts.tell(place.circuit(outlet))
    drafts.feeds[point] = links(outlet, "Links", "PowerSupplies")


async def _branch(drafts: Drafts, draft: Draft, at: str) -> None:
    """A circuit inside the unit, with its own breaker: a component that distributes."""
    circuit = await drafts.library.get(at)
    if not describe.there(circuit) or drafts.full:
        return
    attributes = {**describe.attributes(circuit), "name": text(circuit, "UserLabel") or text(circuit, "Name")}
    name = describe.identifier(circuit, at)
    branch = drafts.add(
        at,
        *(draft.local, "branch", name),
        attributes=attributes,
        inside=draft.key,
        entity_class="component",
        category="distributor",
    )
    current, _ = describe.volts(dig(circuit, "NominalVoltage"))
    place = await drafts.place(circuit, at, branch.point(), direct=current == "dc")
    drafts.tell(place.circuit(circuit))

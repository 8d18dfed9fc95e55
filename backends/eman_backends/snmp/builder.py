"""From what was found out about a device, piece by piece, to its inventory and its plan.

Tables and explorers tell a ``Builder`` what they find. Two may speak of one thing: what was told first goes first, and
the other fills in what is not known yet. So tables, which know their devices, come before the explorers of general
MIBs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from eman_netconf.backend import (
    BatteryInfo,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Inventory,
    Persistence,
    Point,
    Quantity,
    RelationInfo,
    StateSetInfo,
    Supply,
)

from .complete import Oid
from .readings import Cell, Plan
from .writes import Write

T = TypeVar("T", InterfaceInfo, BatteryInfo, StateSetInfo)


@dataclass
class _Entity:
    """An entity as far as it is known; ``told`` are fields of EntityInfo."""

    told: dict[str, Any] = field(default_factory=dict)
    identifiers: dict[ForeignId, None] = field(default_factory=dict)
    interfaces: dict[str, InterfaceInfo] = field(default_factory=dict)
    batteries: dict[str, BatteryInfo] = field(default_factory=dict)
    state_sets: dict[str, StateSetInfo] = field(default_factory=dict)
    relationships: dict[RelationInfo, None] = field(default_factory=dict)


class Builder:
    """What is made of a device, one finding after the other. The device itself, "", is there from the beginning."""

    def __init__(self) -> None:
        self._entities: dict[str, _Entity] = {"": _Entity()}
        self._cells: list[Cell] = []
        self._tellers: dict[tuple[Point, Quantity], int] = {}
        self._teller = 0
        self._switches: dict[Point, dict[Supply, Write]] = {}
        self._states: dict[Point, dict[str, Write]] = {}
        self._tests: dict[Point, Write] = {}
        self._witness: Oid | None = None

    # --- what is there ------------------------------------------------------------------------------------------------

    def entity(self, local: str = "", *, foreign_ids: tuple[ForeignId, ...] = (), **told: Any) -> None:
        """An entity, or more of one that is known; ``told`` are fields of EntityInfo, None = not known.

        Others than the device are components in it unless ``entity_class`` and ``contained_in`` (a local name) differ.
        """
        one = self._entities.setdefault(local, _Entity())
        for name, value in told.items():
            if value is not None:
                one.told.setdefault(name, value)
        one.identifiers |= dict.fromkeys(foreign_ids)

    def interface(self, info: InterfaceInfo, local: str = "") -> None:
        """A power interface, or more of one that is known."""
        _add(self._entities.setdefault(local, _Entity()).interfaces, info)

    def battery(self, info: BatteryInfo, local: str = "") -> None:
        """A battery, or more of one that is known."""
        _add(self._entities.setdefault(local, _Entity()).batteries, info)

    def state_set(self, info: StateSetInfo, local: str = "") -> None:
        """A set of power states, or more of one that is known."""
        _add(self._entities.setdefault(local, _Entity()).state_sets, info)

    def relation(self, info: RelationInfo, local: str = "") -> None:
        """A relationship that the device knows of."""
        self._entities.setdefault(local, _Entity()).relationships[info] = None

    def has(self, local: str) -> bool:
        """Whether anything was told of this entity."""
        return local in self._entities

    def interfaces(self, local: str = "") -> Mapping[str, InterfaceInfo]:
        """The interfaces of an entity so far, by name."""
        one = self._entities.get(local)
        return dict(one.interfaces) if one is not None else {}

    # --- how it is read and told --------------------------------------------------------------------------------------

    def turn(self) -> None:
        """What comes from here on is told by another. Its rules for what is read already are not taken."""
        self._teller += 1

    def read(self, cell: Cell) -> bool:
        """What a pass asks for. False where another reads that quantity at that point already."""
        taken = self._tellers.setdefault((cell.point, cell.rule.quantity), self._teller) == self._teller
        if taken:
            self._cells.append(cell)
        return taken

    def reads(self, point: Point, quantity: Quantity) -> bool:
        """Whether something reads that quantity at that point."""
        return (point, quantity) in self._tellers

    def switch(self, point: Point, writes: Mapping[Supply, Write]) -> None:
        """What turns the supply at an interface on and off; the interface becomes switchable."""
        assert point.interface is not None
        self._switches.setdefault(point, dict(writes))
        known = self._entities[point.entity].interfaces[point.interface]
        self._entities[point.entity].interfaces[point.interface] = replace(known, switchable=True)

    def states(self, point: Point, writes: Mapping[str, Write]) -> None:
        """What brings an entity into power states or through transitions, by identity as in its ``state_set``."""
        self._states[point] = {**writes, **self._states.get(point, {})}

    def test(self, point: Point, write: Write) -> None:
        """What has a battery test itself; the battery becomes testable."""
        assert point.battery is not None
        self._tests.setdefault(point, write)
        known = self._entities[point.entity].batteries[point.battery]
        self._entities[point.entity].batteries[point.battery] = replace(known, testable=True)

    def witness(self, oid: Oid) -> None:
        """An object whose value is another when the device has other parts, or numbers them anew."""
        self._witness = self._witness or oid

    # --- what came of it ----------------------------------------------------------------------------------------------

    def inventory(self) -> Inventory:
        """All that was told, the device first."""
        phases: dict[Point, set[int]] = {}
        for cell in self._cells:
            if cell.phase is not None:
                phases.setdefault(cell.point, set()).add(cell.phase)
        return Inventory(tuple(self._info(local, one, phases) for local, one in self._entities.items()))

    def plan(self) -> Plan:
        """How the device is read and told."""
        return Plan(tuple(self._cells), self._switches, self._states, self._tests, self._witness)

    def _info(self, local: str, one: _Entity, phases: Mapping[Point, set[int]]) -> EntityInfo:
        told = one.told
        if local:
            told = {"entity_class": "component", **told}
        if told.get("entity_class") == "component":
            told = {"contained_in": "", **told}
        if "uuid" in told:
            told = {"identifier_persistence": Persistence.PERSISTENT, **told}
        interfaces = []
        for name, info in one.interfaces.items():
            found = phases.get(Point(local, name))
            if found and info.ac_phases is None and info.current_type == "ac":
                info = replace(info, ac_phases=len(found))  # noqa: PLW2901 - the same interface, better known
            interfaces.append(info)
        return EntityInfo(
            local=local,
            **told,
            foreign_ids=tuple(one.identifiers),
            interfaces=tuple(interfaces),
            batteries=tuple(one.batteries.values()),
            state_sets=tuple(one.state_sets.values()),
            relationships=tuple(one.relationships),
        )


def _add(known: dict[str, T], info: T) -> None:
    """Put in what is new, and fill in what was not known."""
    before = known.get(info.name)
    known[info.name] = info if before is None else _joined(before, info)


def _joined(one: T, other: T) -> T:
    """What the first tells goes first; what it leaves at the default comes from the other, lists from both."""
    gained: dict[str, Any] = {}
    for part in fields(one):
        mine: Any = getattr(one, part.name)
        theirs: Any = getattr(other, part.name)
        if isinstance(mine, tuple) and mine and isinstance(theirs, tuple) and part.name in _LISTS:
            gained[part.name] = tuple(dict.fromkeys((*mine, *theirs)))
        elif mine == part.default:
            gained[part.name] = theirs
    return replace(one, **gained)


_LISTS = {"foreign_ids", "connected_to", "states", "transitions"}  # fields that are unions, not values

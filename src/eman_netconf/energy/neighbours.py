"""Who is at the other end of a cable, by the identifiers heard over it (IEEE 802.1AB): the entity that has one of them.

What is heard becomes a wire when exactly one entity fits. Each question costs the identifiers of one entity or of
one cable, whatever the size of the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from eman_netconf.energy.binding import SCOPED, ForeignKey, Told
from eman_netconf.energy.entities import Entity, fit_name
from eman_netconf.energy.interfaces import ForeignIdNodes, Interface
from eman_netconf.energy.relationships import End
from eman_netconf.energy.uuids import UUID_KIND, told_uuids
from eman_netconf.energy.values import Direction, EntityInfo, ForeignId, Neighbour
from eman_netconf.yang.tree import ListNode

_MAC = "eman-entity:mac-address"
_CASELESS = frozenset({UUID_KIND, "eman-entity:domain-name"})
_SEPARATORS = re.compile(r"[:.\- ]")
_V = TypeVar("_V")
_INLET = "inlet"  # what is called so where nobody has a name for it


class Ear(NamedTuple):
    """An interface that heard somebody, and by whom it is told; also what its wire is claimed by."""

    backend: str
    local: str
    interface: str


class Neighbours:
    """Identifiers heard and identifiers held, and the interfaces for which that changed."""

    def __init__(self, nodes: ForeignIdNodes) -> None:
        self._nodes = nodes
        self._ears: dict[Ear, Neighbour] = {}
        self._listening: dict[ForeignKey, dict[Ear, None]] = {}
        self._holders: dict[ForeignKey, dict[str, None]] = {}
        self._held: dict[str, frozenset[ForeignKey]] = {}  # by entity
        self._stirred: dict[Ear, None] = {}
        self._refused: dict[Ear, None] = {}  # they would have closed a loop

    # in

    def hear(self, told: Told, old: EntityInfo | None, new: EntityInfo | None) -> None:
        """Take what the interfaces of an entity hear in place of what they heard before."""
        before, after = dict(_heard(told, old)), dict(_heard(told, new))
        for ear in before.keys() | after.keys():
            if before.get(ear) == after.get(ear):
                continue
            self._stirred[ear] = None
            for key in self._keys(before[ear].foreign_ids) if ear in before else ():
                _drop(self._listening, key, ear)
            self._ears.pop(ear, None)
        for ear, neighbour in after.items():
            self._ears[ear] = neighbour
            for key in self._keys(neighbour.foreign_ids):
                self._listening.setdefault(key, {})[ear] = None

    def know(self, entity: Entity) -> None:
        """An entity is as it is now: what it is called, what it hears, and where its inlets are."""
        configured = entity.config.get(self._nodes.list) if entity.config is not None else None
        keys = {_normal(key[0], key[1]) for key in configured.entries} if isinstance(configured, ListNode) else set()
        for info in entity.infos:
            keys.update(self._keys(info.foreign_ids))
        keys.update((UUID_KIND, uuid) for uuid in told_uuids(entity.infos))
        self._hold(entity.id, frozenset(key for key in keys if key[0] not in SCOPED))
        self.stir(entity)

    def forget(self, id_: str) -> None:
        """There is no such entity any more."""
        self._hold(id_, frozenset())

    def stir(self, entity: Entity) -> None:
        """The wires of an entity changed, which may be more to the point than what it hears."""
        for (backend, local), teller in entity.tellers.items():
            for ear, _ in _heard((backend, local), teller.info):
                self._stirred[ear] = None

    def _hold(self, id_: str, keys: frozenset[ForeignKey]) -> None:
        before = self._held.pop(id_, frozenset())
        if keys:
            self._held[id_] = keys
        for key in before - keys:
            _drop(self._holders, key, id_)
        for key in keys - before:
            self._holders.setdefault(key, {})[id_] = None
        for key in before | keys:
            self._stirred.update(self._listening.get(key, {}))

    def _keys(self, known: Iterable[ForeignId]) -> list[ForeignKey]:
        found = (_normal(*key) for key, _ in self._nodes.canonical(known))
        return [key for key in found if key[0] not in SCOPED]

    # out

    def due(self) -> list[Ear]:
        """The interfaces that are to be wired anew since this was asked, those that were refused among them."""
        if not self._stirred:
            return []
        due = [*dict.fromkeys((*self._stirred, *self._refused))]
        self._stirred, self._refused = {}, {}
        return due

    def refuse(self, ear: Ear) -> None:
        """What an interface hears cannot be; it may when something else has changed."""
        self._refused[ear] = None

    def at(self, ear: Ear) -> tuple[Neighbour, str] | None:
        """What is heard at an interface, and the one entity it can be; None where there is no such one."""
        neighbour = self._ears.get(ear)
        if neighbour is None:
            return None
        holders = {id_ for key in self._keys(neighbour.foreign_ids) for id_ in self._holders.get(key, ())}
        return (neighbour, holders.pop()) if len(holders) == 1 else None


def far_end(near: Interface, entity: Entity, word: str | None) -> End | None:
    """Where a cable from ``near`` ends at ``entity``, whose own ``word`` for it was heard; None where no power can go.

    That is the interface of that name. An outlet else feeds the only inlet there is, or where none is known one that
    only the wire knows. Who has several, as servers have, is not fed by the port that hears him.
    """
    named = _called(entity, word) if word else None
    if near.built_as is Direction.INLET:
        return named.end if named is not None and named.built_as is not Direction.INLET else None
    if named is not None:
        return named.end if named.built_as is not Direction.OUTLET else None
    inlets = [face for face in entity.interfaces.values() if face.built_as is Direction.INLET]
    if inlets:
        return inlets[0].end if len(inlets) == 1 else None
    return End(entity.id, fit_name(word or "", 64) or _INLET)


def _called(entity: Entity, word: str) -> Interface | None:
    """The interface that goes by a name, of those that are not only named by a wire."""
    wanted = {word.casefold(), fit_name(word, 64).casefold()}
    for face in entity.interfaces.values():
        if face.exists and not wanted.isdisjoint(name.casefold() for name in _names(face)):
            return face
    return None


def _names(face: Interface) -> Iterator[str]:
    yield face.name
    if face.info is not None:
        yield face.info.label or face.name
        yield from (foreign.value for foreign in face.info.foreign_ids)


def _heard(told: Told, info: EntityInfo | None) -> Iterator[tuple[Ear, Neighbour]]:
    """The interfaces that hear somebody; where a device knows the other end itself, that is it."""
    for interface in info.interfaces if info is not None else ():
        if interface.neighbour is not None and not interface.connected_to:
            name = fit_name(interface.name, 64)
            if name:
                yield Ear(*told, name), interface.neighbour


def _normal(kind: str, value: str) -> ForeignKey:
    """An identifier as it is compared: hardware addresses are written in many ways."""
    if kind == _MAC:
        value = _SEPARATORS.sub("", value).lower()
    elif kind in _CASELESS:
        value = value.rstrip(".").lower()
    return kind, value


def _drop(index: dict[ForeignKey, dict[_V, None]], key: ForeignKey, value: _V) -> None:
    known = index.get(key, {})
    known.pop(value, None)
    if not known:
        index.pop(key, None)

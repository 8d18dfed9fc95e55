"""Who is meant: entities by what configuration, devices and other entities call them (RFC 6988 section 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.entities import Entity, fit_name
from eman_netconf.energy.interfaces import ForeignIdNodes
from eman_netconf.energy.plausible import plausible
from eman_netconf.energy.uuids import UUID_KIND, told_uuids
from eman_netconf.energy.values import EntityInfo, Inventory
from eman_netconf.yang.tree import Inner, ListNode

#: Identifiers that are unique only under the authority that gave them: they bind one discovered entity, not several.
SCOPED = frozenset(
    f"eman-entity:{kind}"
    for kind in ("ent-physical-index", "lldp-port-number", "peth-pse-port", "if-name", "hardware-component")
)
_Key = TypeVar("_Key")
Told = tuple[str, str]  # backend and local name: who tells, and of what
ForeignKey = tuple[str, str]  # canonical kind and value


class Names:
    """The identifiers in use, configured and discovered, and the ids that devices use for others."""

    def __init__(self, nodes: ForeignIdNodes) -> None:
        self._nodes = nodes
        self.configured: dict[ForeignKey, str] = {}  # by which entity has it
        self.aliases: dict[str, str] = {}  # the id a backend gives -> the id it goes by here
        self._discovered: dict[ForeignKey, dict[Told, None]] = {}
        self._mentioned: dict[str, dict[Told, None]] = {}  # by the ids they use, who speaks of others

    def configure(self, id_: str, before: Inner | None, after: Inner | None) -> tuple[set[ForeignKey], set[ForeignKey]]:
        """Take the identifiers of a configured entry in place of the one before; those it has, and the new ones."""
        old, new = self._configured_keys(before), self._configured_keys(after)
        for key in old - new:
            self.configured.pop(key, None)
        for key in new:
            self.configured[key] = id_
        return new, new - old

    def _configured_keys(self, config: Inner | None) -> set[ForeignKey]:
        data = config.get(self._nodes.list) if config is not None else None
        return {(kind, value) for kind, value in data.entries} if isinstance(data, ListNode) else set()

    def discover(self, told: Told, old: EntityInfo | None, new: EntityInfo | None) -> None:
        """Take what a backend tells of an entity in place of what it told before."""
        for key in self._keys(old) if old is not None else ():
            _discard(self._discovered, key, told)
        for key in self._keys(new) if new is not None else ():
            self._discovered.setdefault(key, {})[told] = None
        for uuid in told_uuids([old]) if old is not None else ():
            if (UUID_KIND, uuid) not in self._discovered:
                self.aliases.pop(uuid, None)
        for id_ in _mentions(old) if old is not None else ():
            _discard(self._mentioned, id_, told)
        for id_ in _mentions(new) if new is not None else ():
            self._mentioned.setdefault(id_, {})[told] = None

    def _keys(self, info: EntityInfo) -> list[ForeignKey]:
        """The identifiers by which configuration may mean what a backend tells of."""
        foreign = [key for key, _ in self._nodes.canonical(info.foreign_ids)]
        return foreign + [(UUID_KIND, uuid) for uuid in told_uuids([info])]

    def tellers(self, key: ForeignKey) -> list[Told]:
        """Who tells of an identifier, the first one first."""
        return list(self._discovered.get(key, ()))

    def mentioning(self, id_: str) -> list[Told]:
        """Who speaks of the entity that devices know by ``id_``."""
        return list(self._mentioned.get(id_, ()))

    def alias(self, told_id: str, id_: str) -> bool:
        """Devices may know the entity ``id_`` by ``told_id``; whether that is news."""
        if self.aliases.get(told_id, told_id) == id_:
            return False
        if told_id == id_:
            self.aliases.pop(told_id, None)
        else:
            self.aliases[told_id] = id_
        return True

    def identify(self, told: Told, info: EntityInfo, entities: Mapping[str, Entity]) -> str:
        """The id an entity goes by: its own where that is configured, else a configured one with its foreign id."""
        assert info.id is not None
        own = entities.get(info.id)
        if own is not None and own.config is not None:
            return info.id
        for key in self._keys(info):
            configured = self.configured.get(key)
            if configured is None:
                continue
            holder = entities.get(configured)
            others = set(holder.tellers) - {told} if holder is not None else set()
            if key[0] not in SCOPED or not others:
                return configured
        return info.id

    def single(self, info: EntityInfo | None) -> dict[str, str]:
        """The values of the kinds of foreign identifier that there is exactly one of, by kind."""
        values: dict[str, list[str]] = {}
        for (kind, value), _ in self._nodes.canonical(info.foreign_ids) if info is not None else ():
            values.setdefault(kind, []).append(clipped(value))
        return {kind: found[0] for kind, found in values.items() if len(found) == 1}


def normalised(backend: str, inventory: Inventory) -> dict[str, EntityInfo]:
    """An inventory by local name, with ids, names and numbers that fit and containers by id."""
    infos: dict[str, EntityInfo] = {}
    ids: dict[str, str] = {}  # by local name
    for info in inventory.entities:
        default = f"{backend}.{info.local}" if info.local else backend
        id_ = fit_name(info.id or default, 128) or fit_name(default, 128)
        ids.setdefault(info.local, id_)
        if info.local not in infos:
            sound = plausible(info)
            infos[info.local] = sound if sound.id == id_ else replace(sound, id=id_)
    for local, info in infos.items():
        inside = info.contained_in
        if inside is not None:
            inside = ids.get(inside, inside)
            if inside == info.id or not inside or fit_name(inside, 128) != inside:
                inside = None
        if inside != info.contained_in:
            infos[local] = replace(info, contained_in=inside)
        infos[local] = _with_peers(infos[local], ids)
    return infos


def _with_peers(info: EntityInfo, ids: Mapping[str, str]) -> EntityInfo:
    """The same, with the ids of those that it names by their local names."""
    if any(relation.peer in ids for relation in info.relationships):
        told = tuple(replace(one, peer=ids.get(one.peer, one.peer)) for one in info.relationships)
        info = replace(info, relationships=told)
    if any(peer.entity in ids for interface in info.interfaces for peer in interface.connected_to):
        interfaces = tuple(
            replace(
                one,
                connected_to=tuple(
                    replace(peer, entity=ids.get(peer.entity, peer.entity)) for peer in one.connected_to
                ),
            )
            for one in info.interfaces
        )
        info = replace(info, interfaces=interfaces)
    return info


def _discard(tellers: dict[_Key, dict[Told, None]], key: _Key, told: Told) -> None:
    known = tellers.get(key, {})
    known.pop(told, None)
    if not known:
        tellers.pop(key, None)


def _mentions(info: EntityInfo) -> set[str]:
    """The ids of others that a backend uses to tell of wires and relations."""
    peers = {peer.entity for interface in info.interfaces for peer in interface.connected_to}
    return peers | {relation.peer for relation in info.relationships}

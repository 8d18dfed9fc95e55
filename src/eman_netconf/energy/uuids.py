"""Which entity has which uuid (RFC 6988 sections 4.1 and 4.2; decision 16).

A uuid is the device's own where it tells one, else one made of the id the entity appeared under. It stays when the
entity is configured, goes by another id, or is not heard of any more; no two entities have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eman_netconf.energy.canonical import is_uuid
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.values import EntityInfo

#: The kind of identifier that a uuid is (eman-entity).
UUID_KIND = "eman-entity:uuid"


class Uuids:
    """The uuids in use. ``make`` makes one of a name, the same one each time."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make
        #: whether what is told now was told in an earlier life: who has a uuid keeps it
        self.recalling = False
        self._holders: dict[str, Entity] = {}

    def settle(self, entity: Entity, told: Iterable[str], gone: str | None = None) -> list[tuple[Entity, str]]:
        """Give ``entity`` the uuid it is to have: one of ``told``, else the one it had, else one of its own making.

        The uuid ``gone`` is that of a device that does not stand behind the entity any more. What comes back are the
        entities of which the uuid changed, with the one before: an entity whose device is heard of under another id
        now has to do without.
        """
        told = tuple(told)
        before = entity.uuid
        if not before and not told:
            self._hold(entity, self._made(entity))
            return []
        kept = self._holders.get(before) in (None, entity) and is_uuid(before) and before != gone
        free = (uuid for uuid in told if self._free(uuid, entity))
        uuid = before if kept and (self.recalling or not told or before in told) else next(free, before if kept else "")
        changed = []
        other = self._holders.get(uuid)
        if other is not None and other is not entity:
            changed.append((other, uuid))
            self._hold(other, self._made(other))
        if uuid != before or not uuid:
            if before:
                changed.append((entity, before))
            self._hold(entity, uuid or self._made(entity))
        self._holders[entity.uuid] = entity
        return changed

    def may_be(self, uuid: str, entity: Entity) -> bool:
        """Whether ``uuid`` is that of ``entity``, or at least of nobody else."""
        return self._holders.get(uuid) in (None, entity)

    def release(self, entity: Entity) -> None:
        """The entity is gone."""
        if self._holders.get(entity.uuid) is entity:
            del self._holders[entity.uuid]

    def _hold(self, entity: Entity, uuid: str) -> None:
        self.release(entity)
        entity.uuid = uuid
        self._holders[uuid] = entity

    def _free(self, uuid: str, entity: Entity) -> bool:
        """Whether no other entity has a uuid by the word of its device."""
        holder = self._holders.get(uuid)
        return holder is None or holder is entity or uuid not in told_uuids(holder.infos)

    def _made(self, entity: Entity) -> str:
        made, number = self._make(entity.id), 1
        while self._holders.get(made, entity) is not entity:
            number += 1
            made = self._make(f"{entity.id} {number}")  # no id has a space
        return made


def told_uuids(infos: Iterable[EntityInfo]) -> list[str]:
    """The uuids that devices tell of themselves."""
    return [info.uuid.lower() for info in infos if info.uuid is not None and is_uuid(info.uuid)]

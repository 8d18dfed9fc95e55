"""What the maker states of a thing: what its readings are judged by, and whether it is still the same thing."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from eman_netconf.energy.canonical import in_thousandths
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.values import EntityInfo, Persistence
from eman_netconf.yang.tree import Data

_PASSING_ON = frozenset({"distributor", "meter"})  # the power of others goes through them


def rate(entity: Entity) -> None:
    """Let the meters of an entity and of its interfaces know what they may measure at most."""
    nodes = entity.nodes
    category = entity.configured(nodes.category) or next((i.category for i in entity.infos if i.category), None)
    told: Iterable[str | Decimal | None] = (
        entity.configured(nodes.nameplate_power),
        *(info.nameplate_power for info in entity.infos),
    )
    entity.meter.rate(None if category in _PASSING_ON else _first(told))
    for interface in entity.interfaces.values():
        configured: Data | None = None
        if interface.config is not None:
            configured = interface.config.get(nodes.interfaces.rated_power)
        info = interface.info
        interface.meter.rate(
            _first((configured if isinstance(configured, str) else None, info.rated_power if info else None))
        )


def _first(told: Iterable[str | Decimal | None]) -> int | None:
    """The first value that was told, of watts or volt-amperes, in thousandths."""
    for value in told:
        if value is not None and Decimal(value).is_finite():
            return in_thousandths(Decimal(value))
    return None


def replaced(before: EntityInfo, after: EntityInfo) -> bool:
    """Whether another device stands in the place of the one before: its uuid is another, or its serial number."""
    if (
        before.uuid
        and after.uuid
        and Persistence.BOOT_SCOPED
        not in (
            before.identifier_persistence,
            after.identifier_persistence,
        )
    ):
        return before.uuid.lower() != after.uuid.lower()
    serials = [_serials(before), _serials(after)]
    return all(serials) and serials[0].isdisjoint(serials[1])


def _serials(info: EntityInfo) -> set[str]:
    return {known.value for known in info.foreign_ids if known.kind.rpartition(":")[2] == "serial-number"}


def renew(entity: Entity, components: Iterable[Entity]) -> None:
    """Another device stands here: its meters, and those of its components, begin elsewhere."""
    for one in (entity, *components):
        one.meter.energy.replace()
        for interface in one.interfaces.values():
            interface.meter.energy.replace()

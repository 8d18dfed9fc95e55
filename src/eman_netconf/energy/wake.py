"""Wake-on-LAN: which entities can be woken over the network, and by which packet."""

from __future__ import annotations

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.values import Magic
from eman_netconf.yang.tree import Inner, ListNode

#: Seconds a woken machine gets to show itself.
BOOTING = 300.0

_EVERYBODY, _DISCARD = "255.255.255.255", 9  # where a packet goes when nothing else is configured
_MAC = "eman-entity:mac-address"


def magic(entity: Entity) -> Magic | None:
    """How an entity is woken by configuration; None where it is not, or where its address is not known."""
    config = entity.config.at("power-state", "wake") if entity.config is not None else None
    if not isinstance(config, Inner):
        return None
    mac = config.leaf("mac-address") or _learned(entity)
    return (
        None if mac is None else Magic(mac, config.leaf("address") or "255.255.255.255", int(config.leaf("port") or 9))
    )


def _learned(entity: Entity) -> str | None:
    """The one hardware address of the entity that is known as a foreign identifier."""
    data = entity.base.children.get(entity.nodes.foreign_ids.list)
    found = [key[1].lower() for key in data.entries if key[0] == _MAC] if isinstance(data, ListNode) else []
    return clipped(found[0]) if len(found) == 1 and _is_mac(found[0]) else None


def _is_mac(text: str) -> bool:
    octets = text.split(":")
    return len(octets) == 6 and all(len(octet) == 2 and set(octet) <= set("0123456789abcdef") for octet in octets)

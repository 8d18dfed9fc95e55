"""What configuration and inventories state of wires and relations, as claims on the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eman_netconf.energy.canonical import Identities, clipped
from eman_netconf.energy.entities import EntityNodes, fit_name
from eman_netconf.energy.relationships import INVERSE, PROXIED_BY, REPORTING, Claim, End, Evidence, Relation
from eman_netconf.energy.values import EntityInfo
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Inner, ListNode

RELATIONSHIP_TYPE = "eman-relationship:relationship-type"
_NOTHING = Claim()


def configured_claim(nodes: EntityNodes, id_: str, config: Inner) -> Claim:
    """The wires and relations stated by the configured entry of an entity."""
    wires: list[tuple[End, End]] = []
    interfaces = config.get(nodes.interfaces.interface)
    connected_to = nodes.interfaces.connected_to
    if isinstance(interfaces, ListNode):
        for (name,), entry in interfaces.entries.items():
            connected = entry.get(connected_to)
            if isinstance(connected, ListNode):
                wires += [(End(id_, name), End(*key)) for key in connected.entries]
    relations: list[Relation] = []
    stated = config.get(nodes.relationship)
    if isinstance(stated, ListNode):
        relations += [
            Relation(
                id_,
                type_,
                peer,
                _leaf_list(entry, nodes.relation_interface),
                _leaf_list(entry, nodes.relation_peer_interface),
                _bits(entry, nodes.reports),
                _bits(entry, nodes.controls),
                entry.leaf("endpoint"),
            )
            for (type_, peer), entry in stated.entries.items()
        ]
    return Claim(tuple(wires), tuple(relations)) if wires or relations else _NOTHING


def discovered_claim(identities: Identities, aliases: Mapping[str, str], id_: str, info: EntityInfo) -> Claim:
    """The wires and relations a device tells of; ``aliases`` are the ids here of what it knows by other ids."""
    wires = [
        (End(id_, name), End(aliases.get(peer.entity, peer.entity), other))
        for interface in info.interfaces
        if (name := fit_name(interface.name, 64))
        for peer in interface.connected_to
        if fit_name(peer.entity, 128) == peer.entity != "" and (other := fit_name(peer.interface, 64))
    ]
    relations: list[Relation] = []
    for told in info.relationships:
        type_ = identities.find(told.type, RELATIONSHIP_TYPE)
        peer = aliases.get(told.peer, told.peer)
        if type_ is not None and peer not in ("", id_) and fit_name(peer, 128) == peer:
            relations.append(
                Relation(
                    id_,
                    type_,
                    peer,
                    _fit(told.interfaces),
                    _fit(told.peer_interfaces),
                    told.reports,
                    told.controls,
                    clipped(told.endpoint, 2048) if told.endpoint else None,
                    Evidence.DISCOVERED,
                )
            )
    return Claim(tuple(wires), tuple(relations), Evidence.DISCOVERED)


def proxying_claim(id_: str, info: EntityInfo, gateway: str, own: Claim | None) -> Claim | None:
    """That ``gateway`` speaks for an entity of which it tells; None where the entity has it report on itself by its
    ``own`` word.
    """
    reported = {(INVERSE[type_], gateway) for type_ in REPORTING}
    if own is not None and any((relation.type, relation.peer) in reported for relation in own.relations):
        return None
    kinds = {"power-state": info.state_sets, "battery": info.batteries}
    reports = frozenset(kind for kind, told in kinds.items() if told)
    return Claim((), (Relation(id_, PROXIED_BY, gateway, reports=reports, evidence=Evidence.INFERRED),))


def _fit(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fit for name in names if (fit := fit_name(name, 64))))


def _leaf_list(entry: Inner, node: SchemaNode) -> tuple[str, ...]:
    value = entry.get(node)
    return value if isinstance(value, tuple) else ()


def _bits(entry: Inner, node: SchemaNode) -> frozenset[str]:
    value = entry.get(node)
    return frozenset(value.split()) if isinstance(value, str) else frozenset()

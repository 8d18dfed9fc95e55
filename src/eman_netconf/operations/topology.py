"""The action what-if: what would come of failures and of switching, as far as the user may know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from eman_netconf.datastore.commit import paced
from eman_netconf.energy.canonical import decimal64
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.what_if import Assumed, Fate, Outlook
from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.yang.tree import Inner, ListNode, Path, make_inner, path_text

_watts = decimal64(3)


def actions(domain: Domain) -> Mapping[tuple[str, str], ActionHandler]:
    """The handlers by module and action, for ``Server.actions``."""

    async def what_if(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        seen = server.judge.readable(session, server.datastores.operational())
        told = seen.at("energy-management", "entities", "entity")
        entities = told.entries if isinstance(told, ListNode) else {}
        assumed = list(_assumed(given, entities, path))
        outlook = await paced(domain.what_if(assumed), server.datastores.breathe)
        output = given.schema.parent
        assert output is not None
        return make_inner(output.child("output"), _told(domain, outlook, entities))

    return {("eman-topology", "what-if"): what_if}


def _assumed(given: Inner, entities: Mapping[tuple[str, ...], Inner], path: Path) -> Iterator[Assumed]:
    """What is assumed, of things that there are. Raises RpcError data-missing."""
    told = given.at("assume")
    assert isinstance(told, ListNode)
    for each in told.entries.values():
        id_, name = each.leaf("entity") or "", each.leaf("interface")
        entity = entities.get((id_,))
        if entity is None:
            raise _missing(f"There is no entity {id_}.", "entity", path)
        interfaces = entity.at("power-interface")
        if name is not None and not (isinstance(interfaces, ListNode) and (name,) in interfaces.entries):
            raise _missing(f"{id_} has no power interface {name}.", "interface", path)
        yield Assumed(id_, name, each.leaf("state") == "on")


def _missing(message: str, element: str, path: Path) -> RpcError:
    return RpcError(ErrorTag.DATA_MISSING, message, path=path_text(path), info=(ErrorInfo("bad-element", element),))


def _told(domain: Domain, outlook: Outlook, entities: Mapping[tuple[str, ...], Inner]) -> dict[str, Any]:
    """The output: entities, powers and batteries that the user may read."""
    powers = [_number(entities.get((id_,)), "power", "active") for id_ in outlook.shed]
    known = [power for power in powers if power is not None]
    return {
        "lost": _fates(domain, outlook.lost, entities),
        "weakened": _fates(domain, outlook.weakened, entities),
        "regained": _fates(domain, outlook.regained, entities),
        "power-shed": _watts(sum(known)) if known else None,
        "battery": [each for id_ in outlook.batteries for each in _batteries(id_, entities.get((id_,)))],
    }


def _fates(domain: Domain, fates: Iterable[Fate], entities: Mapping[tuple[str, ...], Inner]) -> list[dict[str, Any]]:
    vital = domain.control.guard.vital
    return [
        {
            "entity": fate.entity,
            "feeds-before": fate.before.feeds,
            "feeds-left": fate.after.feeds,
            "sources-before": fate.before.sources,
            "sources-left": fate.after.sources,
            "vital": "" if vital(fate.entity) else None,
            **({"held": ""} if fate.held else {}),  # which only those have that are lost
        }
        for fate in fates
        if (fate.entity,) in entities
    ]


def _number(entity: Inner | None, *names: str) -> Decimal | None:
    *above, leaf = names
    inside = entity.at(*above) if entity is not None else None
    text = inside.leaf(leaf) if isinstance(inside, Inner) else None
    return None if text is None else Decimal(text)


def _batteries(id_: str, entity: Inner | None) -> Iterator[dict[str, Any]]:
    told = entity.at("battery") if entity is not None else None
    for (name,), battery in told.entries.items() if isinstance(told, ListNode) else ():
        yield {
            "entity": id_,
            "name": name,
            "charge-percent": battery.leaf("charge-percent"),
            "runtime-remaining": battery.leaf("runtime-remaining"),
        }

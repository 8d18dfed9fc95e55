"""``discover``: which of the addresses given a backend could be made for, and the configuration that would do it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Protocol

from eman_netconf.energy.canonical import Identities, clipped
from eman_netconf.energy.values import ForeignId
from eman_netconf.errors import AppTag, ErrorTag, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, Opaque, Path, Step, make_inner, path_text

Address = IPv4Address | IPv6Address

MOST = 4096  # addresses of one search
_LONGEST_NAME = 64
_NO_NAME = re.compile(r"[^A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True)
class Search:
    """What is to be asked: addresses, names yet to be resolved, and with what; times in seconds."""

    addresses: tuple[Address, ...]
    names: tuple[str, ...]
    using: tuple[Inner, ...]  # each the container of one protocol, as its module has it in the input
    timeout: float
    rate: int
    time_limit: float
    path: Path  # of ``using``


@dataclass(frozen=True, slots=True)
class Found:
    """A device that a backend could be made for; ``settings`` is the container of its protocol."""

    address: str
    protocol: str
    settings: Inner | None
    title: str
    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    foreign_ids: tuple[ForeignId, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """An address where something answered that does not let itself be read."""

    address: str
    protocol: str
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a search, by address."""

    addresses: int
    asked: int
    found: tuple[Found, ...] = ()
    failed: tuple[Failed, ...] = ()


class Finder(Protocol):
    """Who asks the addresses."""

    async def find(self, search: Search, departed: Callable[[], Awaitable[None]]) -> Findings:
        """Ask, until ``departed`` returns at most. Raises RpcError: resource-denied while another search is on,
        operation-not-supported for a protocol that cannot look, invalid-value for settings and names that are no use.
        """


def actions(finder: Finder) -> Mapping[tuple[str, str], ActionHandler]:
    """The handler by module and action, for ``Server.actions``."""

    async def discover(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        search = asked_for(given, path)
        findings = await finder.find(search, partial(server.sessions.departed, session.id))
        action = given.schema.parent
        assert action is not None
        seen = _backends(server.judge.readable(session, server.datastores.running))
        taken = {key[0] for key in _backends(server.datastores.running)}
        found = [_shown(each, server.schema, seen, taken) for each in findings.found]
        failed = [
            {"address": each.address, "protocol": each.protocol, "reason": clipped(each.reason)}
            for each in findings.failed
        ]
        answered = {each.address for each in findings.found} | {each.address for each in findings.failed}
        told = {"addresses": findings.addresses, "asked": findings.asked, "answered": len(answered)}
        return make_inner(action.child("output"), {**told, "found": found, "failed": failed})

    return {("eman-backend", "discover"): discover}


# --- what is asked for -----------------------------------------------------------------------------------------------


def asked_for(given: Inner, path: Path) -> Search:
    """The search an input speaks of; ``path`` is that of the node the action is on. Raises RpcError."""
    here = (*path, Step(given.schema.parent or given.schema))
    addresses: dict[Address, None] = {}
    names: dict[str, None] = {}
    for text in _items(given, "address"):
        try:
            addresses[single(ip_address(text), here)] = None
        except ValueError:
            names[text] = None
    for address in _spread(given, here):
        if len(addresses) + len(names) >= MOST:
            raise too_many(here)
        addresses[address] = None
    using = given.schema.child("using")
    chosen = given.children.get(using)
    return Search(
        tuple(addresses),
        tuple(names),
        tuple(data for data in chosen.children.values() if isinstance(data, Inner))
        if isinstance(chosen, Inner)
        else (),
        timeout=float(_said(given, "timeout")),
        rate=int(_said(given, "rate")),
        time_limit=float(_said(given, "time-limit")),
        path=(*here, Step(using)),
    )


def too_many(path: Path) -> RpcError:
    """Why a search is refused that would ask more than ``MOST`` addresses."""
    return RpcError(
        ErrorTag.TOO_BIG,
        f"These are more than {MOST} addresses; ask for fewer at a time.",
        path=path_text(path),
        app_tag=AppTag.TOO_MANY_ELEMENTS,
    )


def _spread(given: Inner, path: Path) -> Iterator[Address]:
    """The addresses of prefixes and ranges, one after the other."""
    for text in _items(given, "prefix"):
        network = ip_network(text, strict=False)
        if network.num_addresses > MOST + 2:  # those of the network itself and of all its hosts are not asked
            raise too_many(path)
        yield from (single(address, path) for address in network.hosts())
    ranges = given.children.get(given.schema.child("range"))
    for first, last in ranges.entries if isinstance(ranges, ListNode) else ():
        low, high = ip_address(first), ip_address(last)
        if low.version != high.version or int(low) > int(high):
            raise RpcError(
                ErrorTag.INVALID_VALUE,
                f"{first} to {last} is no range; the first address must come before the last, both of one kind.",
                path=path_text(path),
            )
        if int(high) - int(low) >= MOST:
            raise too_many(path)
        yield from (single(low + step, path) for step in range(int(high) - int(low) + 1))


def single(address: Address, path: Path) -> Address:
    """An address that can be that of one device. Raises RpcError."""
    if address.is_multicast or address.is_unspecified or int(address) == 0xFFFF_FFFF:
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            f"{address} is not the address of one device; only such are asked.",
            path=path_text(path),
        )
    return address


def _items(given: Inner, name: str) -> tuple[str, ...]:
    data = given.at(name)
    return data if isinstance(data, tuple) else ()


def _said(given: Inner, name: str) -> str:
    return given.leaf(name) or given.schema.child(name).default or ""


# --- what is told ----------------------------------------------------------------------------------------------------


def _shown(found: Found, schema: Schema, seen: Mapping[tuple[str, ...], Inner], taken: set[str]) -> dict[str, Any]:
    """One entry of the output; a name that is proposed is ``taken`` from then on."""
    already = _configured(found, seen)
    return {
        "address": found.address,
        "protocol": found.protocol,
        "title": clipped(found.title),
        "name": None if found.name is None else clipped(found.name),
        "manufacturer": None if found.manufacturer is None else clipped(found.manufacturer),
        "model": None if found.model is None else clipped(found.model),
        "foreign-id": _foreign_ids(found.foreign_ids, schema),
        "already": already,
        "configuration": None if already or found.settings is None else _entry(found, found.settings, schema, taken),
    }


def _foreign_ids(ids: Iterable[ForeignId], schema: Schema) -> list[dict[str, Any]]:
    kinds = Identities(schema)
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for each in ids:
        kind = kinds.find(each.kind, "eman-entity:foreign-id-kind")
        if kind is not None and each.value:
            value = clipped(each.value)
            authority = None if each.authority is None else clipped(each.authority)
            shown[kind, value] = {
                "kind": kind,
                "value": value,
                "authority": authority or None,
                "persistence": each.persistence,
            }
    return list(shown.values())


def _backends(root: Inner) -> Mapping[tuple[str, ...], Inner]:
    entries = root.at("energy-management", "backends", "backend")
    return entries.entries if isinstance(entries, ListNode) else {}


def _configured(found: Found, backends: Mapping[tuple[str, ...], Inner]) -> str | None:
    """The backend that is there for this protocol at this address, and at the same port where both have one."""
    for (name,), backend in backends.items():
        for node, settings in backend.children.items():
            if node.name == found.protocol and isinstance(settings, Inner) and _same_place(settings, found):
                return name
    return None


def _same_place(settings: Inner, found: Found) -> bool:
    if _leaf(settings, "address") != found.address:
        return False
    return found.settings is None or _leaf(settings, "port") == _leaf(found.settings, "port")


def _leaf(settings: Inner, name: str) -> str | None:
    node = next((node for node in settings.schema.children.values() if node.name == name), None)
    data = None if node is None else settings.children.get(node, node.default)
    return data if isinstance(data, str) else None


def _entry(found: Found, settings: Inner, schema: Schema, taken: set[str]) -> Opaque:
    """What would add a backend, as the content of <config>."""
    top = schema.find("eman-entity:energy-management")
    backends = top.child("backends")
    backend = backends.child("backend")
    name = _free(found, taken)
    taken.add(name)
    entry = Inner(backend, {backend.child("name"): name, settings.schema: settings})
    listed = Inner(backends, {backend: ListNode(backend, {(name,): entry})})
    return Opaque(Inner(schema.root, {top: Inner(top, {backends: listed})}).xml())


def _free(found: Found, taken: set[str]) -> str:
    """A name for a backend: what the device calls itself, or where it is."""
    own = _NO_NAME.sub("-", found.name or "").strip("-._~")
    base = (own or _NO_NAME.sub("-", f"{found.protocol}-{found.address}"))[:_LONGEST_NAME]
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base[: _LONGEST_NAME - 5]}-{number}"
    return name

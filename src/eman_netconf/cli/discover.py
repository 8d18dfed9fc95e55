"""``discover``: which addresses a running server could read devices at, and what would configure them."""

from __future__ import annotations

import argparse
import asyncio
import copy
import sys
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from lxml import etree

from eman_netconf import safexml
from eman_netconf.cli import CommandError
from eman_netconf.cli.client import Client, address_of, text_of
from eman_netconf.errors import BASE_NS, YANG_NS, RpcError

EMAN = "urn:eman:yang:eman-entity"
BACKEND = "urn:eman:yang:eman-backend"
SNMP = "urn:eman:yang:eman-backend-snmp"
GRACE = 30.0  # seconds that an answer may come after the time a search may take
_HEAD = ("ADDRESS", "PROTOCOL", "NAME", "WHAT IT IS", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One address where something answered."""

    address: str
    protocol: str
    name: str
    title: str
    state: str


def main(options: argparse.Namespace) -> int:
    """Print what was found; with ``--add`` configure it. Raises CommandError."""
    request = action(options)
    trusted = {_digits(word) for word in options.trust} | {_digits(given) for given in _fingerprints(request)}
    reply, added, left = asyncio.run(_ask(options, etree.tostring(request), trusted))
    rows = [*_rows(reply)]
    report = sys.stderr if options.config else sys.stdout
    for line in table(rows) if rows else ():
        print(line, file=report)
    for found in reply.iterfind(f"{{{BACKEND}}}found"):
        for shown in _fingerprints(found):
            if _digits(shown) not in trusted:
                print(f"{_said(found, 'address')} {_said(found, 'protocol')}: its certificate is {shown}", file=report)
    print(_counts(reply), file=report)
    if not rows:
        print(
            "see whether the port is right, and who may ask there; wrong communities are met with silence", file=report
        )
    if options.config:
        print(etree.tostring(configuration(reply), encoding="unicode", pretty_print=True), end="")
    if added:
        print(f"added: {', '.join(added)}")
    if left:
        print(f"not added: {', '.join(left)}; compare the certificate with the device's own, then --trust FINGERPRINT")
    return 0


async def _ask(
    options: argparse.Namespace, request: bytes, trusted: AbstractSet[str]
) -> tuple[etree._Element, list[str], list[str]]:
    """The reply, the names of what was added, and of what was not, since its certificate is not trusted."""
    async with Client(address_of(options)) as client:
        reply = await client.request(request, deadline=options.time_limit + GRACE)
        if not options.add:
            return reply, [], []
        config = configuration(reply)
        left: list[str] = []
        for entry in [*config.iter(f"{{{BACKEND}}}backend")]:
            if not {_digits(shown) for shown in _fingerprints(entry)} <= trusted:
                left.append(_said(entry, "name"))
                parent = entry.getparent()
                assert parent is not None
                parent.remove(entry)
        names = [_said(entry, "name") for entry in config.iter(f"{{{BACKEND}}}backend")]
        if names:
            edit = _element(BASE_NS, "edit-config")
            _element(BASE_NS, "running", _element(BASE_NS, "target", edit))
            edit.append(config)
            await client.request(etree.tostring(edit))
    return reply, names, left


def _fingerprints(of: etree._Element) -> list[str]:
    """The fingerprints of certificates that settings hold, whatever the protocol."""
    return [leaf.text or "" for leaf in of.iterfind(".//{*}fingerprint")]


def _digits(fingerprint: str) -> str:
    return fingerprint.replace(":", "").strip().lower()


# --- what is asked ---------------------------------------------------------------------------------------------------


def action(options: argparse.Namespace) -> etree._Element:
    """The request for a search. Raises CommandError for what is no address and what cannot be read."""
    top = _element(YANG_NS, "action")
    place = _element(EMAN, "energy-management", top)
    for step in ("backends", "control", "discover"):
        place = _element(BACKEND, step, place)
    for word in options.address:
        place.append(_where(word))
    using = _element(BACKEND, "using", place)
    for protocol in _protocols(options):
        using.append(protocol)
    for name, value in (("timeout", options.timeout), ("rate", options.rate), ("time-limit", options.time_limit)):
        _element(BACKEND, name, place).text = str(value)
    return top


def _where(word: str) -> etree._Element:
    """What an address, a name, a network or a range is in the request."""
    first, dash, last = word.partition("-")
    if dash and _is_address(first):
        if last.isdecimal():
            last = first[: first.rfind(".") + 1] + last
        if not _is_address(last):
            raise CommandError(f"{word} is no range; write 192.0.2.10-192.0.2.20, or 192.0.2.10-20")
        element = _element(BACKEND, "range")
        _element(BACKEND, "first", element).text = first
        _element(BACKEND, "last", element).text = last
        return element
    element = _element(BACKEND, "prefix" if "/" in word else "address")
    if "/" in word:
        try:
            ip_network(word, strict=False)
        except ValueError as wrong:
            raise CommandError(f"{wrong}; write a network as 192.0.2.0/24") from None
    element.text = word
    return element


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _protocols(options: argparse.Namespace) -> list[etree._Element]:
    """The protocols to ask with, from the files that hold them."""
    found: list[etree._Element] = []
    for path in options.using:
        try:
            found.append(safexml.parse(text_of(path).encode()))
        except RpcError as wrong:
            raise CommandError(f"{path}: {wrong.message}") from None
    if options.snmp_community_file is not None:
        snmp = _element(SNMP, "snmp")
        community = text_of(options.snmp_community_file).strip()
        _element(SNMP, "community", _element(SNMP, "v2c", snmp)).text = f"$0${community}"
        found.append(snmp)
    if not found:
        raise CommandError("say with what to ask: --snmp-community-file FILE, or --using FILE.xml")
    return found


# --- what is told ----------------------------------------------------------------------------------------------------


def _counts(reply: etree._Element) -> str:
    addresses, asked, answered = (_said(reply, name) or "0" for name in ("addresses", "asked", "answered"))
    late = "" if addresses == asked else f" of {addresses}; the time was over before the others"
    return f"{answered} answered, {asked} asked{late}"


def _rows(reply: etree._Element) -> Iterable[Row]:
    for found in reply.iterfind(f"{{{BACKEND}}}found"):
        already = _said(found, "already")
        state = f"configured as {already}" if already else "new"
        yield Row(_said(found, "address"), _said(found, "protocol"), _said(found, "name"), _said(found, "title"), state)
    for failed in reply.iterfind(f"{{{BACKEND}}}failed"):
        yield Row(_said(failed, "address"), _said(failed, "protocol"), "", _said(failed, "reason"), "cannot be read")


def _said(element: etree._Element, name: str) -> str:
    """A leaf without what could move a terminal's cursor."""
    text = element.findtext(f"{{{BACKEND}}}{name}") or ""
    return "".join(character if character.isprintable() else "?" for character in text)


def table(rows: Sequence[Row]) -> Iterable[str]:
    """The rows below their headings, each column as wide as it must be."""
    cells = [_HEAD, *((row.address, row.protocol, row.name, row.title, row.state) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def configuration(reply: etree._Element) -> etree._Element:
    """One <config> that would add all that is new, and fails where a backend of the name has come meanwhile."""
    config = _element(BASE_NS, "config")
    backends = _element(BACKEND, "backends", _element(EMAN, "energy-management", config), nc=BASE_NS)
    for entry in reply.iterfind(f"{{{BACKEND}}}found/{{{BACKEND}}}configuration//{{{BACKEND}}}backend"):
        new = copy.deepcopy(entry)
        new.set(f"{{{BASE_NS}}}operation", "create")
        new.tail = None
        backends.append(new)
    return config


def _element(namespace: str, name: str, parent: etree._Element | None = None, **prefixes: str) -> etree._Element:
    """An element in a default namespace, below ``parent`` where there is one."""
    known: Any = {None: namespace, **prefixes}
    tag = f"{{{namespace}}}{name}"
    return etree.Element(tag, nsmap=known) if parent is None else etree.SubElement(parent, tag, nsmap=known)

"""``show``: the power tree of a running server, from its sources down, with watts and states, and what is not read."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lxml import etree

from eman_netconf.cli import CommandError
from eman_netconf.cli.client import Address, Client, address_of

EMAN = "urn:eman:yang:eman-entity"
BACKEND = "urn:eman:yang:eman-backend"
_NAMED = 5  # of those that a sum lacks
_FILTER = f"""<energy-management xmlns="{EMAN}"><entities><entity>
<id/><name/><contained-in/><reachability/><reachability-since/>
<power xmlns="urn:eman:yang:eman-measurement"><active/><method/><missing/></power>
<energy xmlns="urn:eman:yang:eman-measurement"><received/><provided/></energy>
<power-state xmlns="urn:eman:yang:eman-power-state"><set><name/><oper-state/></set></power-state>
<battery xmlns="urn:eman:yang:eman-battery"><name/><charge-percent/><charging-state/><runtime-remaining/>
<alarm><active/></alarm><test><result/></test></battery>
<power-interface xmlns="urn:eman:yang:eman-power-interface"><name/><label/><direction/><power-available/>
<supply><oper-state/><request><state/><status/></request></supply>
<power xmlns="urn:eman:yang:eman-measurement"><active/><method/></power>
<neighbour><name/></neighbour><connected-to><entity/><interface/><peer-role/></connected-to></power-interface>
</entity></entities><backends xmlns="urn:eman:yang:eman-backend"><backend><name/>
<link><state/><state-since/><last-error/></link></backend></backends></energy-management>""".encode()


@dataclass(slots=True)
class Interface:
    """One power interface of an entity."""

    name: str
    direction: str | None = None
    supply: str | None = None
    watts: float | None = None
    method: str | None = None
    label: str | None = None
    peers: list[str] = field(default_factory=list)  # entity/interface at the other ends of its wires


@dataclass(frozen=True, slots=True)
class Trouble:
    """A backend that cannot be read as it is configured, or is not read at present."""

    name: str
    state: str
    since: str
    error: str


@dataclass(slots=True)
class Line:
    """One entity as the tree shows it."""

    id: str
    name: str | None = None
    state: str | None = None
    watts: float | None = None
    method: str | None = None
    reachability: str | None = None
    reachability_since: str | None = None
    missing: list[str] = field(default_factory=list)  # entities that the watts do without
    batteries: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    contained_in: str | None = None
    interfaces: list[Interface] = field(default_factory=list)


def main(options: argparse.Namespace) -> int:
    """Print the tree. Raises CommandError."""
    found, troubles = asyncio.run(_fetch(address_of(options)))
    lines = {line.id: line for line in found}
    if not lines and not troubles and options.output == "text":
        raise CommandError(f"there is no entity that {options.user} may read; add backends, or rules of access")
    if options.entity is not None and options.entity not in lines:
        raise CommandError(f"there is no entity {options.entity}; without a name, show prints them all")
    if options.output == "json":
        chosen = [line for line in lines.values() if options.entity in {None, line.id}]
        json.dump([asdict(line) for line in chosen], sys.stdout, indent=2)
        print()
    else:
        for text in tree(lines, options.entity):
            print(text)
        for trouble in troubles if options.entity is None else ():
            print(f"backend {trouble.name}  !{trouble.state}{_since(trouble.since)}: {trouble.error}")
    return 0


async def _fetch(address: Address) -> tuple[list[Line], list[Trouble]]:
    async with Client(address) as client:
        data = await client.get(_FILTER)
    entities = data.iter(f"{{{EMAN}}}entity")
    lines = [read(entity) for entity in entities if entity.find(f"{{{EMAN}}}id") is not None]
    found = (
        Trouble(*(_text(backend, path) or "" for path in ("name", "link/state", "link/state-since", "link/last-error")))
        for backend in data.iter(f"{{{BACKEND}}}backend")
        if backend.find(f"{{{BACKEND}}}name") is not None
    )
    return lines, [trouble for trouble in found if trouble.state not in {"", "up"} and trouble.error]


def _text(element: etree._Element, path: str) -> str | None:
    """A leaf below an element, without what could move a terminal's cursor; None where there is none."""
    found = element.find("/".join(f"{{*}}{step}" for step in path.split("/")))
    return None if found is None else "".join(sign if sign.isprintable() else "?" for sign in found.text or "")


def read(entity: etree._Element) -> Line:
    """One line from an entity's XML."""

    def text(path: str, of: etree._Element = entity) -> str | None:
        return _text(of, path)

    states = {
        (text("name", item) or "").rpartition(":")[2]: (text("oper-state", item) or "").rpartition(":")[2]
        for item in entity.iterfind("{*}power-state/{*}set")
    }
    native = [state for name, state in states.items() if name != "ieee1621" and state]
    known = native or [state for state in states.values() if state]
    return Line(
        id=text("id") or "",
        name=text("name"),
        state=known[0] if known else None,
        **_power(entity),
        reachability=text("reachability"),
        reachability_since=text("reachability-since"),
        missing=[item.text or "" for item in entity.iterfind("{*}power/{*}missing")],
        batteries=[_battery(item) for item in entity.iterfind("{*}battery")],
        sources=[
            text("entity", wire) or ""
            for wire in entity.iterfind("{*}power-interface/{*}connected-to")
            if text("peer-role", wire) == "source"
        ],
        contained_in=text("contained-in"),
        interfaces=[_interface(item) for item in entity.iterfind("{*}power-interface")],
    )


def _power(of: etree._Element) -> dict[str, Any]:
    watts = _text(of, "power/active")
    method = (_text(of, "power/method") or "").rpartition(":")[2]
    return {"watts": None if watts is None else float(watts), "method": method or None}


def _interface(item: etree._Element) -> Interface:
    wires = item.iterfind("{*}connected-to")
    peers = [f"{_text(wire, 'entity')}/{_text(wire, 'interface')}" for wire in wires]
    neighbour = _text(item, "neighbour/name")
    supply = _text(item, "supply/oper-state") or {"false": "no power"}.get(_text(item, "power-available") or "")
    wish = _text(item, "supply/request/state")
    if wish is not None and wish != supply:
        supply = f"{supply or '?'} ({wish} wanted, {_text(item, 'supply/request/status') or '?'})"
    return Interface(
        name=_text(item, "name") or "",
        direction=_text(item, "direction"),
        supply=supply,
        label=_text(item, "label"),
        peers=peers or ([f'"{neighbour}"'] if neighbour else []),
        **_power(item),
    )


def _battery(item: etree._Element) -> str:
    """``battery 97.0 %, discharging, 42 min`` and what deserves attention."""
    state = _text(item, "charging-state") or "unknown"
    parts = [f"{_text(item, 'name')} {_text(item, 'charge-percent') or '?'} %", state]
    left = _text(item, "runtime-remaining")
    if left and state == "discharging":
        parts.append(f"{float(left) / 60:.0f} min left")
    test = _text(item, "test/result")
    if test in {"in-progress", "warning", "failed", "aborted"}:
        parts.append(f"test {test}")
    parts += [f"!{alarm}" for alarm in (_text(item, "alarm/active") or "").split()]
    return ", ".join(parts)


def tree(lines: dict[str, Line], root: str | None) -> Iterator[str]:
    """The lines of the tree: each entity under all its sources, what hangs on it under the first."""
    loads: dict[str, list[str]] = {}
    roots: list[str] = []
    for line in lines.values():
        parents = [source for source in dict.fromkeys(line.sources) if source in lines]
        if not parents and line.contained_in in lines:
            parents = [line.contained_in] if line.contained_in else []
        for parent in parents:
            loads.setdefault(parent, []).append(line.id)
        if not parents:
            roots.append(line.id)
    shown: set[str] = set()

    def below(ids: Sequence[str], indent: str) -> Iterator[str]:
        for number, id_ in enumerate(ids):
            last = number == len(ids) - 1
            again = id_ in shown
            yield f"{indent}{'└─ ' if last else '├─ '}{describe(lines[id_], again=again)}"
            if not again:
                shown.add(id_)
                yield from below(loads.get(id_, []), indent + ("   " if last else "│  "))

    for id_ in [root] if root is not None else roots:
        shown.add(id_)
        yield describe(lines[id_], again=False)
        if root is not None:
            yield from interfaces(lines[id_], "│  " if loads.get(id_) else "   ")
        yield from below(loads.get(id_, []), "")
    for id_, line in lines.items():  # wired in a ring with nothing above: still shown
        if root is None and id_ not in shown:
            shown.add(id_)
            yield describe(line, again=False)
            yield from below(loads.get(id_, []), "")


def describe(line: Line, *, again: bool) -> str:
    """``pdu-a  "Rack 1 left"  on  1,240.5 W`` and what deserves attention."""
    if again:
        return f"{line.id} (see above)"
    parts = [line.id]
    if line.name:
        parts.append(f'"{line.name}"')
    if line.state:
        parts.append(line.state)
    if line.watts is not None:
        parts.append(_watts(line))
    if line.missing:
        others = len(line.missing) - _NAMED
        parts.append(f"!without {', '.join(line.missing[:_NAMED])}{f' and {others} others' if others > 0 else ''}")
    parts.extend(f"[{battery}]" for battery in line.batteries)
    if line.reachability not in {None, "reachable"}:
        parts.append(f"!{line.reachability}{_since(line.reachability_since)}")
    return "  ".join(parts)


def interfaces(line: Line, indent: str) -> Iterator[str]:
    """``outlet-1  outlet  on  -81.0 W  "db-2"  to srv-1/psu-1`` of each power interface, in columns."""
    rows = [
        (
            one.name,
            one.direction or "",
            one.supply or "",
            "" if one.watts is None else _watts(one),
            f'"{one.label}"' if one.label else "",
            f"{'from' if one.direction == 'inlet' else 'to'} {', '.join(one.peers)}" if one.peers else "",
        )
        for one in line.interfaces
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"{indent}{'  '.join(cells)}".rstrip()


def _since(time: str | None) -> str:
    """A time of YANG to the second."""
    return f" since {re.sub(r'[.][0-9]+', '', time)}" if time else ""


def _watts(of: Line | Interface) -> str:
    estimated = "" if of.method in {None, "direct-meter", "remote-meter"} else f" ({of.method})"
    return f"{of.watts:,.1f} W{estimated}"

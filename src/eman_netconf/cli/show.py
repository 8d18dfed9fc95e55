"""``show``: the power tree of a running server, from its sources down, with watts and states."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from lxml import etree

from eman_netconf.cli import CommandError
from eman_netconf.cli.client import Address, Client, address_of

EMAN = "urn:eman:yang:eman-entity"
_FILTER = f"""<energy-management xmlns="{EMAN}"><entities><entity>
<id/><name/><contained-in/><reachability/>
<power xmlns="urn:eman:yang:eman-measurement"><active/><method/></power>
<energy xmlns="urn:eman:yang:eman-measurement"><received/><provided/></energy>
<power-state xmlns="urn:eman:yang:eman-power-state"><set><name/><oper-state/></set></power-state>
<battery xmlns="urn:eman:yang:eman-battery"><name/><charge-percent/><charging-state/></battery>
<power-interface xmlns="urn:eman:yang:eman-power-interface"><name/>
<connected-to><entity/><interface/><peer-role/></connected-to></power-interface>
</entity></entities></energy-management>""".encode()


@dataclass(slots=True)
class Line:
    """One entity as the tree shows it."""

    id: str
    name: str | None = None
    state: str | None = None
    watts: float | None = None
    method: str | None = None
    reachability: str | None = None
    batteries: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    contained_in: str | None = None


def main(options: argparse.Namespace) -> int:
    """Print the tree. Raises CommandError."""
    lines = {line.id: line for line in asyncio.run(_fetch(address_of(options)))}
    if not lines and options.output == "text":
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
    return 0


async def _fetch(address: Address) -> list[Line]:
    async with Client(address) as client:
        data = await client.get(_FILTER)
    return [read(entity) for entity in data.iter(f"{{{EMAN}}}entity") if entity.find(f"{{{EMAN}}}id") is not None]


def read(entity: etree._Element) -> Line:
    """One line from an entity's XML."""

    def text(path: str, of: etree._Element = entity) -> str | None:
        found = of.find("/".join(f"{{*}}{step}" for step in path.split("/")))
        return None if found is None else (found.text or "")

    states = {
        (text("name", item) or "").rpartition(":")[2]: (text("oper-state", item) or "").rpartition(":")[2]
        for item in entity.iterfind("{*}power-state/{*}set")
    }
    native = [state for name, state in states.items() if name != "ieee1621" and state]
    known = native or [state for state in states.values() if state]
    watts = text("power/active")
    return Line(
        id=text("id") or "",
        name=text("name"),
        state=known[0] if known else None,
        watts=None if watts is None else float(watts),
        method=(text("power/method") or "").rpartition(":")[2] or None,
        reachability=text("reachability"),
        batteries=[
            f"{text('name', item)} {text('charge-percent', item) or '?'} %, {text('charging-state', item) or 'unknown'}"
            for item in entity.iterfind("{*}battery")
        ],
        sources=[
            text("entity", wire) or ""
            for wire in entity.iterfind("{*}power-interface/{*}connected-to")
            if text("peer-role", wire) == "source"
        ],
        contained_in=text("contained-in"),
    )


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
        estimated = "" if line.method in {None, "direct-meter", "remote-meter"} else f" ({line.method})"
        parts.append(f"{line.watts:,.1f} W{estimated}")
    parts.extend(f"[{battery}]" for battery in line.batteries)
    if line.reachability not in {None, "reachable"}:
        parts.append(f"!{line.reachability}")
    return "  ".join(parts)

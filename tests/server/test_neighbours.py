"""Over NETCONF: what a switch hears at its ports is shown, and wires it to the telephone that another backend reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eman_netconf.backend import (
    Backend,
    Context,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Inventory,
    Neighbour,
    Pass,
    Settings,
)
from eman_netconf.server import plugins
from eman_netconf.yang.schema import Schema
from tests.peer import PATIENCE, Peer
from tests.server.running import backends, edited, entity, get, link_until, serving, simulated

EMPI = "urn:eman:yang:eman-power-interface"
PORT = InterfaceInfo(
    "port-1",
    Direction.OUTLET,
    neighbour=Neighbour((ForeignId("mac-address", "00-00-5E-00-53-07"),), "SEP7", "a telephone", "Port 1"),
)
INVENTORIES: Mapping[str, EntityInfo] = {
    "sw": EntityInfo(interfaces=(PORT,)),
    "phone": EntityInfo(
        foreign_ids=(ForeignId("mac-address", "00:00:5e:00:53:07"),),
        interfaces=(InterfaceInfo("poe", Direction.INLET),),
    ),
}


class Told:
    """A device that tells what it is and measures nothing."""

    def __init__(self, info: EntityInfo) -> None:
        self.info = info

    async def open(self) -> Inventory:
        return Inventory((self.info,))

    async def read(self) -> Pass:
        return Pass(())

    async def close(self) -> None: ...


def build(settings: Settings, context: Context) -> Backend:
    return Told(INVENTORIES[str(settings["box"])])


async def wires(peer: Peer, id_: str) -> list[tuple[str, ...]]:
    """Interface, other end, role and evidence of each wire of an entity."""
    data = await get(peer, entity(id_, f'<power-interface xmlns="{EMPI}"/>'))
    return [
        (
            interface.findtext(f"{{{EMPI}}}name") or "",
            *(wire.findtext(f"{{{EMPI}}}{leaf}") or "" for leaf in ("entity", "interface", "peer-role", "evidence")),
        )
        for interface in data.iter(f"{{{EMPI}}}power-interface")
        for wire in interface.iterfind(f"{{{EMPI}}}connected-to")
    ]


async def wires_until(peer: Peer, id_: str, wanted: list[tuple[str, ...]]) -> None:
    """Ask until they are as wanted; each question is a round trip."""
    async with asyncio.timeout(PATIENCE):
        while await wires(peer, id_) != wanted:
            pass


async def test_neighbours_are_wired(tmp_path: Path, schema: Schema) -> None:
    """A wire is there as soon as both are, gives way to a configured one, and goes with its load."""
    found = dict(plugins.find())
    found["simulated"] = replace(found["simulated"], plugin=replace(found["simulated"].plugin, build=build))
    async with serving(tmp_path / "state", schema, installed=found) as server, server.peer() as peer:
        await edited(peer, backends(simulated("sw", "sw")))
        await link_until(peer, "sw", state="up")
        assert await wires(peer, "sw") == []
        data = await get(peer, entity("sw", f'<power-interface xmlns="{EMPI}"><neighbour/></power-interface>'))
        (neighbour,) = data.iter(f"{{{EMPI}}}neighbour")
        assert neighbour.findtext(f"{{{EMPI}}}name") == "SEP7"
        assert neighbour.findtext(f"{{{EMPI}}}foreign-id/{{{EMPI}}}value") == "00-00-5E-00-53-07"
        await edited(peer, backends(simulated("phone", "phone")))
        await wires_until(peer, "sw", [("port-1", "phone", "poe", "load", "discovered")])
        assert await wires(peer, "phone") == [("poe", "sw", "port-1", "source", "inferred")]
        better = (
            f'<power-interface xmlns="{EMPI}"><name>port-1</name><connected-to {{}}><entity>lamp</entity>'
            "<interface>in</interface></connected-to></power-interface>"
        )
        await edited(peer, entity("sw", better.format("")))
        assert await wires(peer, "sw") == [("port-1", "lamp", "in", "load", "configured")]
        await edited(peer, entity("sw", better.format('nc:operation="remove"')))
        assert await wires(peer, "phone") == [("poe", "sw", "port-1", "source", "inferred")]
        removed = '<backend nc:operation="remove"><name>phone</name></backend>'
        await edited(peer, backends(removed))
        await wires_until(peer, "sw", [])

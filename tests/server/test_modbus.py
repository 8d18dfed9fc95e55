"""A whole server with Modbus devices: found, configured, read, told what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_backends.modbus.tests.counterparts import COMMON, Device, eastron, sunspec
from eman_backends.modbus.tests.plant import CONTROLS, INVERTER, NAMEPLATE
from eman_netconf.errors import YANG_NS
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.conftest import BACKENDS
from tests.peer import Peer
from tests.server.running import BACKEND, EMAN, PATIENCE, backends, edited, entity, get, serving

OWN = "urn:eman:yang:eman-backend-modbus"
MEASUREMENT = "urn:eman:yang:eman-measurement"
INTERFACE = "urn:eman:yang:eman-power-interface"


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The schema of a server with this backend alone."""
    return sources.load(["eman-backend-modbus"], [BACKENDS / "modbus"])


@pytest.fixture
def start() -> Iterator[Callable[..., Device]]:
    """Devices of modbus-serial that are gone at the end."""
    made: list[Device] = []

    def one(units: Any) -> Device:
        made.append(Device(units))
        return made[-1]

    yield one
    for device in made:
        device.close()


async def until(peer: Peer, id_: str, path: str, wanted: str) -> None:
    """Ask for a leaf of an entity until it is as wanted; each question is a round trip, so nothing spins."""
    subtree = (
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>{id_}</id></entity></entities></energy-management>'
    )
    names = {"e": EMAN, "m": MEASUREMENT, "i": INTERFACE}
    async with asyncio.timeout(PATIENCE):
        while (await get(peer, subtree)).findtext(f".//e:entity/{path}", namespaces=names) != wanted:
            pass


async def test_an_inverter_is_found_configured_read_and_disconnected(
    tmp_path: Path, schema: Schema, start: Callable[..., Device]
) -> None:
    """What discover proposes is taken as configuration; the inverter provides, and an order shows in what is read."""
    inverter = sunspec((1, COMMON), (103, INVERTER), (120, NAMEPLATE), (123, CONTROLS))
    there = await asyncio.to_thread(start, {1: inverter})
    using = f'<using><modbus xmlns="{OWN}"><port>{there.port}</port></modbus></using>'
    call = f"<control><discover><address>127.0.0.1</address>{using}<timeout>{PATIENCE}</timeout></discover></control>"
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        reply = await peer.rpc(f'<action xmlns="{YANG_NS}">{backends(call)}</action>')
        assert reply.element.findtext(f".//{{{BACKEND}}}title") == "Sonnenwerk SW-10k, read by SunSpec"
        (proposed,) = reply.element.iter(f"{{{BACKEND}}}configuration")
        name = str(proposed.findtext(f".//{{{BACKEND}}}name"))
        await edited(peer, "".join(etree.tostring(each).decode() for each in proposed))
        await until(peer, name, "m:power/m:active", "-6000.0")
        await until(peer, name, "i:power-interface[i:name='ac']/i:supply/i:oper-state", "on")
        order = entity(
            name,
            f'<power-interface xmlns="{INTERFACE}"><name>ac</name><control><switch-supply><state>off</state>'
            "</switch-supply></control></power-interface>",
        )
        done = await peer.rpc(f'<action xmlns="{YANG_NS}">{order}</action>')
        assert done.ok, done.errors
        await until(peer, name, "i:power-interface[i:name='ac']/i:supply/i:oper-state", "off")
    assert await asyncio.to_thread(there.get, "holding", 40002 + 68 + 52 + 28 + 4) == 0


async def test_a_unit_that_shows_itself_later_is_in_the_inventory(
    tmp_path: Path, schema: Schema, start: Callable[..., Device]
) -> None:
    """Two units behind a gateway, of which one is dead at first: when it is there its kind is told without a word from
    the operator.
    """
    meter = eastron(0x20, {0: 230, 12: 100, 70: 50})
    there = await asyncio.to_thread(start, {1: meter, 2: None})
    configured = (
        f"<backend><name>cellar</name><poll-interval>0.1</poll-interval>"
        f'<modbus xmlns="{OWN}"><address>127.0.0.1</address><port>{there.port}</port>'
        "<unit><id>1</id><name>house</name><table>eastron-sdm120</table></unit>"
        "<unit><id>2</id><name>roof</name></unit></modbus></backend>"
    )
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, backends(configured))
        await until(peer, "cellar.house", "m:power/m:active", "100.0")
        await asyncio.to_thread(there.put, 2, sunspec((1, COMMON), (103, INVERTER)))
        await until(peer, "cellar.roof", "e:model", "SW-10k")
        await until(peer, "cellar.roof", "m:power/m:active", "-6000.0")

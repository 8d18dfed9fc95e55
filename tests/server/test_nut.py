"""A whole server with UPSs behind upsd: found, configured, read, told what to do, and away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from lxml import etree

from eman_backends.nut.tests.counterparts import DESK, PASSWORD, RACK, USER, Upsd
from eman_netconf.errors import YANG_NS
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.conftest import BACKENDS
from tests.peer import Peer
from tests.server.running import BACKEND, EMAN, PATIENCE, backends, edited, entity, get, serving

OWN = "urn:eman:yang:eman-backend-nut"
INTERFACE = "urn:eman:yang:eman-power-interface"
NAMES = {
    "e": EMAN,
    "i": INTERFACE,
    "m": "urn:eman:yang:eman-measurement",
    "b": "urn:eman:yang:eman-battery",
    "r": "urn:eman:yang:eman-relationship",
}
OUTLET = "i:power-interface[i:name='outlet-1']/i:supply/i:oper-state"


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The schema of a server with this backend alone."""
    return sources.load(["eman-backend-nut"], [BACKENDS / "nut"])


@pytest.fixture
def start() -> Iterator[Callable[[Mapping[str, Mapping[str, str]]], Upsd]]:
    """Servers of UPSs that are gone at the end."""
    made: list[Upsd] = []

    def one(devices: Mapping[str, Mapping[str, str]]) -> Upsd:
        made.append(Upsd(devices))
        return made[-1].start()

    yield one
    for server in made:
        server.stop()


async def until(peer: Peer, id_: str, path: str, wanted: str) -> None:
    """Ask for a leaf of an entity until it is as wanted; each question is a round trip, so nothing spins."""
    subtree = (
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>{id_}</id></entity></entities></energy-management>'
    )
    async with asyncio.timeout(PATIENCE):
        while (await get(peer, subtree)).findtext(f".//e:entity/{path}", namespaces=NAMES) != wanted:
            pass


async def switched(peer: Peer, id_: str, state: str) -> None:
    """Switch the first outlet, and have it accepted."""
    order = entity(
        id_,
        f'<power-interface xmlns="{INTERFACE}"><name>outlet-1</name><control><switch-supply><state>{state}</state>'
        "</switch-supply></control></power-interface>",
    )
    done = await peer.rpc(f'<action xmlns="{YANG_NS}">{order}</action>')
    assert done.ok, done.errors


async def test_a_ups_is_found_configured_read_and_switched(
    tmp_path: Path, schema: Schema, start: Callable[[Mapping[str, Mapping[str, str]]], Upsd]
) -> None:
    """What discover proposes for a server of one UPS is taken as configuration; an outlet goes off and on again."""
    there = await asyncio.to_thread(start, {"rack": RACK})
    password = PASSWORD.replace('"', "&quot;")
    using = (
        f'<using><nut xmlns="{OWN}"><port>{there.port}</port><user-name>{USER}</user-name>'
        f"<password>$0${password}</password></nut></using>"
    )
    call = f"<control><discover><address>127.0.0.1</address>{using}<timeout>{PATIENCE}</timeout></discover></control>"
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        reply = await peer.rpc(f'<action xmlns="{YANG_NS}">{backends(call)}</action>')
        title = reply.element.findtext(f".//{{{BACKEND}}}title")
        assert title == "Acme Power Smart 3000, UPS rack of Network UPS Tools upsd 2.8.0"
        (proposed,) = reply.element.iter(f"{{{BACKEND}}}configuration")
        name = str(proposed.findtext(f".//{{{BACKEND}}}name"))
        text = "".join(etree.tostring(each).decode() for each in proposed)
        assert PASSWORD not in text
        await edited(peer, text)
        await until(peer, name, "e:model", "Smart 3000")
        await until(peer, name, "i:power-interface[i:name='output']/m:power/m:active", "-1134.0")
        await until(peer, name, "b:battery/b:test/b:result", "passed")
        for state in ("off", "on"):
            await switched(peer, name, state)
            await until(peer, name, OUTLET, state)
            assert (await asyncio.to_thread(there.told, "rack"))["outlet.1.switch"] == state


async def test_ups_of_a_server_come_and_go_by_themselves(
    tmp_path: Path, schema: Schema, start: Callable[[Mapping[str, Mapping[str, str]]], Upsd]
) -> None:
    """A UPS whose driver stops is stale and the others are not; one whose driver comes late shows what it is."""
    there = await asyncio.to_thread(start, {"rack": RACK, "desk": DESK})
    await asyncio.to_thread(there.kill_driver, "rack")
    await asyncio.to_thread(there.until_away, "rack")
    configured = (
        "<backend><name>cellar</name><poll-interval>0.2</poll-interval>"
        f'<nut xmlns="{OWN}"><address>127.0.0.1</address><port>{there.port}</port></nut></backend>'
    )
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, backends(configured))
        await until(peer, "cellar", "e:firmware-version", "2.8.0")
        await until(peer, "cellar.desk", "r:relationship/r:peer", "cellar")
        await until(peer, "cellar.desk", "b:battery/b:charge-percent", "100.0")
        await until(peer, "cellar.rack", "e:reachability", "stale")
        await asyncio.to_thread(there.start_driver, "rack")
        await until(peer, "cellar.rack", "e:model", "Smart 3000")
        await until(peer, "cellar.rack", "i:power-interface[i:name='output']/m:power/m:active", "-1134.0")
        await until(peer, "cellar.rack", "e:reachability", "reachable")
        await asyncio.to_thread(there.kill_driver, "desk")
        await until(peer, "cellar.desk", "e:reachability", "stale")
        await until(peer, "cellar.rack", "e:reachability", "reachable")

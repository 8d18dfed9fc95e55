"""A whole server with services that speak Redfish: found with an unknown certificate, added, read, told what to do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from lxml import etree

from eman_backends.redfish.tests import mockups
from eman_backends.redfish.tests.bmc import PASSWORD, USER, Bmc
from eman_backends.redfish.tests.bmc import serving as service
from eman_backends.redfish.tests.test_events import EVENT, telling
from eman_backends.redfish.tests.test_trust import made
from eman_netconf.errors import YANG_NS
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.conftest import BACKENDS
from tests.peer import Peer
from tests.server.running import BACKEND, EMAN, PATIENCE, backends, edited, entity, get, link_until, serving

OWN = "urn:eman:yang:eman-backend-redfish"
STATE = "urn:eman:yang:eman-power-state"
SETS = "urn:eman:yang:eman-power-state-set"
NAMES = {
    "e": EMAN,
    "m": "urn:eman:yang:eman-measurement",
    "i": "urn:eman:yang:eman-power-interface",
    "s": STATE,
}
FIRST = "s:power-state/s:set[1]/s:oper-state"
SYSTEM = "/redfish/v1/Systems/437XR"


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The schema of a server with this backend alone."""
    return sources.load(["eman-backend-redfish"], [BACKENDS / "redfish"])


def credentials(port: int) -> str:
    return f"<port>{port}</port><user-name>{USER}</user-name><password>$0${PASSWORD}</password>"


def configured(name: str, port: int, poll: float) -> str:
    inside = f"<address>127.0.0.1</address>{credentials(port)}<unencrypted/>"
    return (
        f"<backend><name>{name}</name><poll-interval>{poll}</poll-interval><timeout>{PATIENCE}</timeout>"
        f'<redfish xmlns="{OWN}">{inside}</redfish></backend>'
    )


async def until(peer: Peer, id_: str, path: str, wanted: str) -> None:
    """Ask for a leaf of an entity until it is as wanted; each question is a round trip, so nothing spins."""
    subtree = (
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>{id_}</id></entity></entities></energy-management>'
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            said = (await get(peer, subtree)).findtext(f".//e:entity/{path}", namespaces=NAMES)
            if said is not None and said.rpartition(":")[2] == wanted:
                return


async def ordered(peer: Peer, order: str) -> None:
    done = await peer.rpc(f'<action xmlns="{YANG_NS}">{order}</action>')
    assert done.ok, done.errors


async def test_a_controller_is_found_added_by_its_fingerprint_and_read(tmp_path: Path, schema: Schema) -> None:
    """discover proposes the fingerprint of a certificate that nobody signed; as configuration it opens the service."""
    identity = made(tmp_path, "controller")
    bmc = Bmc(mockups.new_server())
    await bmc.start(identity.context)
    using = f'<using><redfish xmlns="{OWN}">{credentials(bmc.port)}</redfish></using>'
    call = f"<control><discover><address>127.0.0.1</address>{using}<timeout>{PATIENCE}</timeout></discover></control>"
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        reply = await peer.rpc(f'<action xmlns="{YANG_NS}">{backends(call)}</action>')
        assert "nobody known vouches" in (reply.element.findtext(f".//{{{BACKEND}}}title") or "")
        assert bmc.seen["token"] == bmc.seen["basic"] == 0
        (proposed,) = reply.element.iter(f"{{{BACKEND}}}configuration")
        told = etree.tostring(proposed, encoding="unicode")
        assert PASSWORD not in told
        name = str(proposed.findtext(f".//{{{BACKEND}}}name"))
        await edited(peer, "".join(etree.tostring(part, encoding="unicode") for part in proposed))
        await until(peer, name, "m:power/m:active", "374.0")
        await until(peer, name, "i:power-interface[i:name='psu-Bay1']/m:power/m:active", "191.4")
        await until(peer, f"{name}.psu-Bay2", "e:class", "component")
    assert bmc.sessions == {}
    await bmc.stop()


async def test_orders_show_in_what_is_read(tmp_path: Path, schema: Schema) -> None:
    """A state, a limit and an outlet are told what to do, and oper-state moves when the service shows it."""
    async with service(Bmc(mockups.new_server())) as bmc, service(Bmc(mockups.rack_pdu())) as pdu:
        async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
            await edited(peer, backends(configured("srv", bmc.port, 0.2) + configured("pdu", pdu.port, 0.2)))
            await until(peer, "srv", FIRST, "redfish-on")
            await until(peer, "srv", "s:power-state/s:power-limit/s:oper-limit", "500.0")
            asked = f'<set-power-state xmlns="{STATE}" xmlns:x="{SETS}"><state>x:ieee1621-off</state></set-power-state>'
            await ordered(peer, entity("srv", f"<control>{asked}</control>"))
            assert bmc.orders == [(f"{SYSTEM}/Actions/ComputerSystem.Reset", {"ResetType": "GracefulShutdown"})]
            await until(peer, "srv", FIRST, "redfish-on")  # accepted, and not there yet
            bmc.tree[SYSTEM]["PowerState"] = "Off"
            await until(peer, "srv", FIRST, "redfish-off")
            switch = f'<power-interface xmlns="{NAMES["i"]}"><name>outlet-A2</name><control><switch-supply>'
            switch += "<state>off</state></switch-supply></control></power-interface>"
            await until(peer, "pdu", "i:power-interface[i:name='outlet-A2']/i:supply/i:oper-state", "on")
            await ordered(peer, entity("pdu", switch))
            await until(peer, "pdu", "i:power-interface[i:name='outlet-A2']/i:supply/i:oper-state", "off")
        assert bmc.sessions == pdu.sessions == {}
    assert PASSWORD not in json.dumps([*bmc.orders, *pdu.orders])


async def test_an_event_is_read_long_before_the_next_pass(tmp_path: Path, schema: Schema) -> None:
    """With an hour between two passes, an event of the service is enough to see what changed."""
    async with service(Bmc(telling())) as bmc:
        async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
            await edited(peer, backends(configured("srv", bmc.port, 3600.0)))
            await link_until(peer, "srv", state="up")
            await until(peer, "srv", FIRST, "redfish-on")
            async with asyncio.timeout(PATIENCE):
                stream = await bmc.streams.get()
            bmc.tree[SYSTEM]["PowerState"] = "Off"
            await stream.response.write(EVENT)
            await until(peer, "srv", FIRST, "redfish-off")
        assert bmc.sessions == {}

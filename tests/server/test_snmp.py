"""A whole server with SNMP devices: found, configured, heard, told what to do, and silent about its secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lxml import etree
from pysnmp.proto import rfc1902

from eman_backends.snmp.settings import Community, User
from eman_backends.snmp.tests.agent import Agent, switch
from eman_backends.snmp.tests.agent import serving as answering
from eman_backends.snmp.tests.counterparts import AUTH_KEY, PRIV_KEY, free_port, snmpd
from eman_backends.snmp.tests.notifier import send
from eman_netconf.errors import YANG_NS
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.conftest import BACKENDS
from tests.peer import Peer
from tests.server.running import BACKEND, EMAN, PATIENCE, backends, edited, entity, get, serving

OWN = "urn:eman:yang:eman-backend-snmp"
INTERFACE = "urn:eman:yang:eman-power-interface"
SECURE = User("sha256-aes128", "sha256", AUTH_KEY, "aes128", PRIV_KEY)
V3 = (
    f"<v3><user-name>{SECURE.name}</user-name><auth-protocol>sha256</auth-protocol><auth-key>$0${AUTH_KEY}</auth-key>"
    f"<priv-protocol>aes128</priv-protocol><priv-key>$0${PRIV_KEY}</priv-key></v3>"
)
SUPPLY = "power-interface[i:name='port-1.1']/i:supply/i:oper-state"


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The schema of a server with this backend alone."""
    return sources.load(["eman-backend-snmp"], [BACKENDS / "snmp"])


async def until(peer: Peer, id_: str, path: str, wanted: str) -> None:
    """Ask for a leaf of an entity until it is as wanted; each question is a round trip, so nothing spins."""
    subtree = (
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>{id_}</id></entity></entities></energy-management>'
    )
    async with asyncio.timeout(PATIENCE):
        while (await get(peer, subtree)).findtext(
            f".//e:entity/i:{path}", namespaces={"e": EMAN, "i": INTERFACE}
        ) != wanted:
            pass


async def test_a_switch_is_found_and_ordered(tmp_path: Path, schema: Schema) -> None:
    """What discover proposes over SNMPv3 is taken as configuration, an order shows in what is read, and the keys that
    were given are shown nowhere."""
    there = snmpd()
    using = f'<using><snmp xmlns="{OWN}"><port>{there.port}</port>{V3}</snmp></using>'
    call = f"<control><discover><address>127.0.0.1</address>{using}<timeout>{PATIENCE}</timeout></discover></control>"
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        reply = await peer.rpc(f'<action xmlns="{YANG_NS}">{backends(call)}</action>')
        assert str(reply.element.findtext(f".//{{{BACKEND}}}title")).endswith(", read as rfc3621-poe, over SNMPv3")
        (proposed,) = reply.element.iter(f"{{{BACKEND}}}configuration")
        name = str(proposed.findtext(f".//{{{BACKEND}}}name"))
        await edited(peer, "".join(etree.tostring(each).decode() for each in proposed))
        await until(peer, name, SUPPLY, "on")
        for state in ("off", "on"):
            order = entity(
                name,
                f'<power-interface xmlns="{INTERFACE}"><name>port-1.1</name><control><switch-supply>'
                f"<state>{state}</state></switch-supply></control></power-interface>",
            )
            done = await peer.rpc(f'<action xmlns="{YANG_NS}">{order}</action>')
            assert done.ok, done.errors
            await until(peer, name, SUPPLY, state)
        shown = etree.tostring((await peer.rpc("<get/>")).element).decode()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    for secret in (AUTH_KEY, PRIV_KEY):
        assert secret not in shown
        assert secret.encode() not in kept


async def test_a_trap_is_told_within_the_interval(tmp_path: Path, schema: Schema) -> None:
    """A device that is read once an hour is read at once when it says that something happened."""
    port = free_port()
    state = "1.3.6.1.2.1.105.1.1.1.3.1.1"
    async with (
        answering(Agent(switch())) as agent,
        serving(tmp_path / "state", schema) as server,
        server.peer() as peer,
    ):
        await edited(
            peer,
            backends(
                f"<backend><name>switch-1</name><poll-interval>3600</poll-interval>"
                f'<snmp xmlns="{OWN}"><address>127.0.0.1</address><port>{agent.port}</port>'
                f"<v2c><community>$0$public</community></v2c>"
                f"<traps><listen>127.0.0.1</listen><port>{port}</port></traps></snmp></backend>"
            ),
        )
        await until(peer, "switch-1", SUPPLY, "on")
        agent.tree[tuple(int(number) for number in state.split("."))] = rfc1902.Integer32(2)
        async with asyncio.timeout(PATIENCE):
            while await send(port, Community("public"), tmp_path, inform=True):  # until somebody listens
                pass
        await until(peer, "switch-1", SUPPLY, "off")

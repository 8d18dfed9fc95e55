"""SNMPv1, against snmpsim, snmpd and an agent with scripted manners; on both paths."""

from __future__ import annotations

from typing import Any

import pytest
from pysnmp.proto.api import v2c

from eman_backends.snmp import client as seam
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.tests.agent import GET, GET_BULK, GET_NEXT, SET, Agent, oid, serving, switch
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import COMMANDS, SNMPD_WRITER, ask, snmpd, snmpsim
from eman_backends.snmp.tests.told import of, outlet
from eman_netconf.backend import Quantity, Refused, Supply, Unavailable

PORTS = "1.3.6.1.2.1.105.1.1.1"


def at(port: int, community: str = "public", **more: Any) -> Target:
    return Target("127.0.0.1", port, Community(community, "v1"), bulk=False, **more)


def old(agent: Agent, pdu: Any, _: bytes) -> list[bytes] | None:
    """The manners of an honest agent of SNMPv1 (RFC 1157 section 4.1): one missing object spoils the whole request."""
    assert agent.version == 0
    assert type(pdu) is not GET_BULK
    names = [tuple(name) for name, _ in v2c.apiPDU.get_varbinds(pdu)]
    if type(pdu) is GET_NEXT:
        unknown = [place for place, name in enumerate(names, 1) if name >= agent.order[-1]]
    else:
        unknown = [place for place, name in enumerate(names, 1) if name not in agent.tree]
    return [agent.fault(pdu, 2, unknown[0])] if unknown else None


async def test_a_pdu_is_the_same_in_both_versions(make: Make) -> None:
    """What a rack PDU has and what it tells does not depend on the version of SNMP."""
    simulator = snmpsim()
    first, second = (
        make(at(simulator.port, "apc-8932")),
        make(Target("127.0.0.1", simulator.port, Community("apc-8932"))),
    )
    assert await first.open() == await second.open()
    one, other = await first.read(), await second.read()
    assert {(reading.point, reading.quantity) for reading in one.readings} == {
        (reading.point, reading.quantity) for reading in other.readings
    }
    assert not one.missing


async def test_switching(make: Make) -> None:
    """An outlet is switched over SNMPv1."""
    simulator = snmpsim()
    backend = make(at(simulator.port, "apc-7902b-writable"))
    await backend.open()
    await backend.switch_supply(outlet("outlet-5"), Supply.OFF)
    assert ask(simulator.port, "apc-7902b-writable", f"{COMMANDS['apc-7902b']}.5") == 2


async def test_net_snmp_is_read_and_told(make: Make) -> None:
    """Net-SNMP's agent is read over SNMPv1, refuses who may not write, and obeys who may."""
    agent = snmpd()
    backend = make(at(agent.port))
    await backend.open()
    port = outlet("port-1.2")
    assert of(await backend.read(), port) == {Quantity.SUPPLY_STATE: Supply.ON, Quantity.IN_USE: False}
    with pytest.raises(Refused, match="no such object"):
        await backend.switch_supply(port, Supply.OFF)
    writer = make(at(agent.port, SNMPD_WRITER))
    await writer.open()
    await writer.switch_supply(port, Supply.OFF)
    try:
        assert of(await backend.read(), port)[Quantity.SUPPLY_STATE] is Supply.OFF
    finally:
        await writer.switch_supply(port, Supply.ON)


async def test_a_wrong_community_is_silence(make: Make) -> None:
    """A community that the device does not know gets no answer, which is told with advice."""
    with pytest.raises(Unavailable, match="check its address"):
        await make(at(snmpd().port, "nobody's")).open()


async def test_what_is_not_there_spoils_one_pass_and_is_asked_for_again(make: Make) -> None:
    """A port that vanishes is left out of the following requests, and read again some passes after it is back."""
    async with serving(Agent(switch(3), old)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        kept = {name: agent.tree.pop(name) for name in map(oid, (f"{PORTS}.3.1.3", f"{PORTS}.6.1.3"))}
        assert outlet("port-1.3") in (await backend.read()).missing
        asked = agent.seen.count(GET)
        assert outlet("port-1.3") in (await backend.read()).missing
        assert agent.seen.count(GET) - asked == 1
        agent.tree.update(kept)
        for _ in range(seam.PASSES_APART):
            result = await backend.read()
        assert not result.missing
        assert of(result, outlet("port-1.3"))[Quantity.SUPPLY_STATE] is Supply.ON


async def test_an_answer_of_another_version_is_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is asked in SNMPv1 and answers in SNMPv2c has not answered."""
    monkeypatch.setattr(seam, "ANSWER", 1.0)

    def modern(agent: Agent, pdu: Any, _: bytes) -> list[bytes] | None:
        agent.version = 1
        return None

    async with serving(Agent(switch(), modern)) as agent:
        with pytest.raises(Unavailable):
            await make(at(agent.port, retries=0)).open()
        assert SET not in agent.seen

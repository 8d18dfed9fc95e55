"""Switching outlets: what is written, what is read back, and what is said when it does not go well."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import Any

import pytest
from pysnmp.proto import rfc1902

from eman_backends.snmp import client as seam
from eman_backends.snmp.client import Client
from eman_backends.snmp.complete import Complete, Kind
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.tests.agent import GET_BULK, SET, Agent, oid, serving, switch
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import Counterpart, snmpsim
from eman_backends.snmp.tests.told import of, outlet
from eman_backends.snmp.writes import Syntax, Write
from eman_netconf.backend import OutcomeUnknown, Point, Quantity, Refused, Supply, Unavailable

RPDU2 = "1.3.6.1.4.1.318.1.1.26.9.2"
RPDU = "1.3.6.1.4.1.318.1.1.12.3"


@pytest.fixture(scope="session")
def recordings() -> Counterpart:
    return snmpsim()


def at(port: int, community: str = "public", **more: Any) -> Target:
    return Target("127.0.0.1", port, Community(community), **more)


async def written(target: Target, oid: str, value: int | None = None) -> Any:
    """What stands at an object of the device, after writing it where a value is given."""
    way = Complete(target, random.Random(2))
    try:
        if value is not None:
            await way.ask(Kind.SET, [oid], wait=60, write=Write(oid, value))
        return (await way.ask(Kind.GET, [oid], wait=60)).variables[0][1]
    finally:
        way.close()


@pytest.mark.parametrize(("supply", "command", "state"), [(Supply.OFF, 2, 1), (Supply.ON, 1, 2)])
async def test_the_second_generation_has_other_codes_for_command_and_state(
    make: Make, recordings: Counterpart, supply: Supply, command: int, state: int
) -> None:
    """On is written as 1 and read as 2, off is written as 2 and read as 1."""
    target = at(recordings.port, "apc-8641-writable")
    backend = make(target)
    await backend.open()
    await backend.switch_supply(outlet("outlet-7"), supply)
    assert await written(target, f"{RPDU2}.4.1.5.7") == command
    await written(target, f"{RPDU2}.3.1.5.7", state)  # as the device does after the command
    assert of(await backend.read(), outlet("outlet-7"))[Quantity.SUPPLY_STATE] is supply


@pytest.mark.parametrize(("supply", "code"), [(Supply.OFF, 2), (Supply.ON, 1)])
async def test_the_first_generation_has_the_same_codes(
    make: Make, recordings: Counterpart, supply: Supply, code: int
) -> None:
    """On is 1 and off is 2 in command and state."""
    target = at(recordings.port, "apc-7902b-writable")
    backend = make(target)
    await backend.open()
    await backend.switch_supply(outlet("outlet-2"), supply)
    assert await written(target, f"{RPDU}.3.1.1.4.2") == code
    await written(target, f"{RPDU}.5.1.1.4.2", code)
    assert of(await backend.read(), outlet("outlet-2"))[Quantity.SUPPLY_STATE] is supply


@pytest.mark.parametrize(("supply", "column", "state"), [(Supply.OFF, 3, 2), (Supply.ON, 4, 1)])
async def test_a_group_of_outlets_is_switched_by_a_delay(
    make: Make, recordings: Counterpart, supply: Supply, column: int, state: int
) -> None:
    """Eaton 9PX: a delay of 0 is written, to one object for off and to another for on; pending is 3 and 4."""
    groups = "1.3.6.1.4.1.534.1.12.2.1"
    target = at(recordings.port, "eaton-9px-writable")
    backend = make(target)
    await backend.open()
    await backend.switch_supply(outlet("group-2"), supply)
    assert await written(target, f"{groups}.{column}.2") == 0
    for code, said in ((column, Supply.SWITCHING), (state, supply)):  # as the device does after the command
        await written(target, f"{groups}.2.2", code)
        assert of(await backend.read(), outlet("group-2"))[Quantity.SUPPLY_STATE] is said


async def test_a_test_of_a_battery_is_started_and_followed(make: Make, recordings: Counterpart) -> None:
    """Eaton 9PX: 1 starts it; 4 is in progress, 3 has failed."""
    tests = "1.3.6.1.4.1.534.1.8"
    target = at(recordings.port, "eaton-9px-writable")
    backend = make(target)
    await backend.open()
    await written(target, f"{tests}.1.0", 2)
    await backend.test_battery(Point(battery="battery"))
    assert await written(target, f"{tests}.1.0") == 1
    for code, said in ((4, "in-progress"), (3, "failed"), (1, "none")):
        await written(target, f"{tests}.2.0", code)
        assert of(await backend.read(), Point(battery="battery"))[Quantity.TEST_RESULT] == said


async def test_a_recording_that_cannot_be_written_refuses(make: Make, recordings: Counterpart) -> None:
    """A refusal of the device becomes a sentence that names device, object and reason."""
    backend = make(at(recordings.port, "apc-8932"))
    await backend.open()
    with pytest.raises(Refused, match=r"does not set 1\.3\.6\..*\.5\.4 to 2: "):
        await backend.switch_supply(outlet("outlet-4"), Supply.OFF)


async def test_what_has_no_switch_is_not_asked(make: Make) -> None:
    """A command for something that cannot be switched is refused without a word to the device."""
    async with serving(Agent(switch())) as agent:
        backend = make(at(agent.port))
        await backend.open()
        for point in (Point("pse-1"), Point(), outlet("port-9.9")):
            with pytest.raises(Refused, match="cannot be switched"):
                await backend.switch_supply(point, Supply.OFF)
        with pytest.raises(Refused, match="on or off"):
            await backend.switch_supply(outlet("port-1.1"), Supply.SWITCHING)
        assert SET not in agent.seen


@pytest.mark.parametrize(
    ("write", "tag", "value"),
    [
        (Write("1.3.6.1.4.1.9.1.0", -2), 0x02, b"\xfe"),
        (Write("1.3.6.1.4.1.9.1.0", 4000000000, Syntax.UNSIGNED), 0x42, b"\x00\xee\x6b\x28\x00"),
        (Write("1.3.6.1.4.1.9.1.0", 6000, Syntax.TICKS), 0x43, b"\x17\x70"),
        (Write("1.3.6.1.4.1.9.1.0", b"off\x00", Syntax.OCTETS), 0x04, b"off\x00"),
        (
            Write("1.3.6.1.4.1.9.1.0", "1.3.6.1.2.1.33.1.7.7.4", Syntax.OBJECT),
            0x06,
            bytes.fromhex("2b060102012101070704"),
        ),
    ],
    ids=lambda one: one.syntax.value if isinstance(one, Write) else "",
)
async def test_every_type_is_written_as_itself(write: Write, tag: int, value: bytes) -> None:
    """A value goes over the wire with the type that the object has (RFC 3416 section 3)."""
    heard: list[bytes] = []

    def notes(agent: Agent, pdu: Any, datagram: bytes) -> None:
        heard.append(datagram)

    async with serving(Agent(switch(), notes)) as agent:
        client = Client(at(agent.port), random.Random(1), logging.getLogger(__name__))
        try:
            await client.set(write)
        finally:
            client.close()
    assert [datagram.endswith(bytes([tag, len(value)]) + value) for datagram in heard] == [True]


@pytest.mark.parametrize("what", ["state", "test"])
async def test_states_and_tests_are_written_as_planned(make: Make, what: str) -> None:
    """A power state and a battery's test are one SET of what the plan says, and what is not planned is refused."""
    name = "1.3.6.1.4.1.9.1.0"
    async with serving(Agent(switch() | {name: rfc1902.Integer32(1)})) as agent:
        backend = make(at(agent.port))
        await backend.open()
        assert backend._plan is not None
        if what == "state":
            backend._plan = replace(backend._plan, states={Point(): {"ieee1621-off": Write(name, 2)}})
            await backend.set_power_state(Point(), "ieee1621-off")
            for point, state in ((Point(), "ieee1621-on"), (Point("pse-1"), "ieee1621-off")):
                with pytest.raises(Refused, match=f"cannot be ordered into {state}"):
                    await backend.set_power_state(point, state)
        else:
            backend._plan = replace(backend._plan, tests={Point(battery="battery"): Write(name, 2)})
            await backend.test_battery(Point(battery="battery"))
            with pytest.raises(Refused, match="has no test of its battery"):
                await backend.test_battery(Point(battery="another"))
        assert agent.seen.count(SET) == 1
        assert agent.tree[oid(name)] == 2


async def test_a_backend_that_is_not_open_says_so(make: Make) -> None:
    """Before open() and after close() there is nothing to read and nothing to switch."""
    backend = make(at(1))
    for step in (backend.read(), backend.switch_supply(outlet("port-1.1"), Supply.ON)):
        with pytest.raises(Unavailable, match="is not open"):
            await step


@pytest.mark.parametrize("status", [1, 2, 5, 6, 10, 13, 16, 17, 99])
async def test_every_error_of_a_device_is_a_refusal(make: Make, status: int) -> None:
    """Whatever error-status comes for a SET, it is Refused with words."""
    agent = Agent(switch(), lambda agent, pdu, _: [agent.fault(pdu, status, 1)] if type(pdu) is SET else None)
    async with serving(agent):
        backend = make(at(agent.port))
        await backend.open()
        with pytest.raises(Refused, match=r": (the|there|this|error 99)"):
            await backend.switch_supply(outlet("port-1.1"), Supply.OFF)
        assert agent.seen.count(SET) == 1


async def test_no_answer_to_a_command_is_an_unknown_outcome(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose answer gets lost is on the wire once, and the next reading tells what happened."""
    monkeypatch.setattr(seam, "ANSWER", 2.0)

    def carries_out_in_silence(agent: Agent, pdu: Any, _: bytes) -> list[bytes] | None:
        if type(pdu) is SET:
            agent.answer(pdu)
            return []
        return None

    async with serving(Agent(switch(), carries_out_in_silence)) as agent:
        backend = make(at(agent.port, retries=5))
        await backend.open()
        with pytest.raises(OutcomeUnknown, match="was told"):
            await backend.switch_supply(outlet("port-1.1"), Supply.OFF)
        assert agent.seen.count(SET) == 1
        assert of(await backend.read(), outlet("port-1.1"))[Quantity.SUPPLY_STATE] is Supply.OFF
        assert agent.seen.count(SET) == 1


async def test_a_late_answer_to_a_command_is_not_taken_for_another(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a command that was given up does not answer the next one."""
    monkeypatch.setattr(seam, "ANSWER", 2.0)
    late: list[bytes] = []

    def answers_the_one_before(agent: Agent, pdu: Any, _: bytes) -> list[bytes] | None:
        if type(pdu) is not SET:
            return None
        late.append(agent.answer(pdu))
        return late[-2:-1]

    async with serving(Agent(switch(), answers_the_one_before)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        for supply in (Supply.OFF, Supply.ON):
            with pytest.raises(OutcomeUnknown):
                await backend.switch_supply(outlet("port-1.1"), supply)
        assert agent.seen.count(SET) == 2


async def test_a_command_that_is_given_up_leaves_nothing(make: Make) -> None:
    """When the caller's deadline passes during a command, nothing goes on in the background."""
    silent = Agent(switch(), lambda agent, pdu, _: [] if type(pdu) is SET else None)
    async with serving(silent):
        backend = make(at(silent.port))
        await backend.open()
        tasks = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await backend.switch_supply(outlet("port-1.1"), Supply.OFF)
        await backend.close()
        assert asyncio.all_tasks() <= tasks
        assert silent.seen.count(SET) == 1
        assert GET_BULK in silent.seen

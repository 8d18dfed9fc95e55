"""Agents without manners: silent, limited, lying, garbled; on both paths."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import random
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from eman_backends.snmp import client as seam
from eman_backends.snmp.backend import DOUBTS
from eman_backends.snmp.client import Client
from eman_backends.snmp.complete import Complete
from eman_backends.snmp.settings import Community, Target, User
from eman_backends.snmp.tests.agent import GET, GET_BULK, GET_NEXT, Agent, oid, serving, switch
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.told import of, outlet
from eman_backends.snmp.usm import Usm
from eman_netconf.backend import Point, Quantity, Supply, Unavailable
from tests.pace import ten_milliseconds
from tests.traces import CancelledAt, leaves_nothing, sockets

PORTS = "1.3.6.1.2.1.105.1.1.1.3"
Datagrams = Iterable[bytes] | None


def at(port: int, **more: Any) -> Target:
    return Target("127.0.0.1", port, Community("public"), **more)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for who will not answer, yet longer than a busy machine takes to answer."""
    monkeypatch.setattr(seam, "ANSWER", 2.0)


# --- silence ----------------------------------------------------------------------------------------------------------


async def test_a_silent_device_is_unavailable_within_the_deadline(make: Make) -> None:
    """A socket that never answers is asked once with its retries, which together wait for less than the usual deadline
    of five seconds; then it is Unavailable, with advice."""
    assert seam.ANSWER < 5.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        backend = make(at(silent.getsockname()[1], retries=1))
        with pytest.raises(Unavailable, match="check its address"):
            await backend.open()
        assert [silent.recv(2048)[:1] for _ in range(2)] == [b"\x30"] * 2
        with pytest.raises(BlockingIOError):
            silent.recv(2048)


async def test_nobody_at_the_port_is_unavailable_at_once(make: Make) -> None:
    """Where the network says that nobody listens, nobody waits."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    backend = make(at(port))
    with pytest.raises(Unavailable):
        await backend.open()


async def test_a_name_that_does_not_exist_is_unavailable(make: Make) -> None:
    """A device whose name cannot be resolved is Unavailable, not Misconfigured: names come and go."""
    backend = make(Target("no-such-device.invalid", 161, Community("public")))
    with pytest.raises(Unavailable, match="no-such-device"):
        await backend.open()


@pytest.mark.parametrize("address", ["::1", "localhost"])
async def test_addresses_of_both_families_and_names(make: Make, address: str) -> None:
    """A device is reached by an IPv6 address and by a name."""
    host = "::1" if address == "::1" else socket.getaddrinfo("localhost", 0, type=socket.SOCK_DGRAM)[0][4][0]
    async with serving(Agent(switch()), str(host)) as agent:
        backend = make(Target(address, agent.port, Community("public")))
        await backend.open()
        assert (await backend.read()).readings


@pytest.mark.usefixtures("hasty")
async def test_a_lost_answer_is_asked_for_again(make: Make) -> None:
    """A request without an answer is sent again, as often as the settings say, and then the pass goes on."""
    lost: list[type] = []

    def loses_some(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        lost.append(type(pdu))
        return [] if len(lost) % 9 == 1 else None

    async with serving(Agent(switch(), loses_some)) as agent:
        backend = make(at(agent.port, retries=1, bulk=False))
        await backend.open()
        assert of(await backend.read(), outlet("port-1.1"))[Quantity.IN_USE] is True


@pytest.mark.usefixtures("hasty")
@pytest.mark.usefixtures("hasty")
async def test_a_slow_answer_counts(fast: bool) -> None:
    """An answer that comes after the request was sent again is the answer: a slow device is read, with more waiting."""
    del fast

    def slow(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        kept.append(agent.answer(pdu))
        return [kept[0]] if len(kept) == 3 else []

    kept: list[bytes] = []
    async with serving(Agent(switch(), slow)) as agent:
        client = Client(at(agent.port, retries=3), random.Random(1), logging.getLogger(__name__), fast=False)
        try:
            assert await client.get(["1.3.6.1.2.1.1.5.0"]) == {"1.3.6.1.2.1.1.5.0": b"switch-1"}
        finally:
            client.close()
        assert len(kept) == 3


async def test_a_device_that_falls_silent_in_the_midst_gives_what_it_gave(make: Make) -> None:
    """Values that came are readings; points of which nothing came are missing, with the reason."""
    answered: list[int] = []
    spoiled = False

    def tires(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        if not spoiled:
            return None
        answered.append(1)
        return None if len(answered) == 1 else []

    async with serving(Agent(switch(12), tires)) as agent:
        backend = make(at(agent.port, max_variables=10, retries=0))
        await backend.open()
        spoiled = True
        result = await backend.read()
        assert of(result, outlet("port-1.1"))
        assert outlet("port-1.12") in result.missing
        assert not {reading.point for reading in result.readings} & set(result.missing)


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("how", ["silence", "error", "nothing"])
async def test_without_getbulk_the_device_is_read_with_getnext(
    make: Make, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A device that cannot do GETBULK is asked with GETNEXT from then on, which is said once."""

    def refuses(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        if type(pdu) is not GET_BULK:
            return None
        return {"silence": [], "error": [agent.fault(pdu, 5, 1)], "nothing": [agent.answer(pdu, [])]}[how]

    async with serving(Agent(switch(8), refuses)) as agent:
        backend = make(at(agent.port))
        first = await backend.open()
        assert len(first.entities[0].interfaces) == 8
        assert agent.seen.count(GET_BULK) == 1
        assert await backend.open() == first
        assert agent.seen.count(GET_BULK) == 1
    assert [record.getMessage() for record in caplog.records].count(
        f"127.0.0.1 port {agent.port} does not do GETBULK; it is read with GETNEXT"
    ) == 1


async def test_getbulk_is_not_tried_where_the_settings_forbid_it(make: Make) -> None:
    """With bulk false there is no GETBULK on the wire."""
    async with serving(Agent(switch())) as agent:
        backend = make(at(agent.port, bulk=False))
        inventory = await backend.open()
        assert len(inventory.entities[0].interfaces) == 3
        assert GET_BULK not in agent.seen
        assert GET_NEXT in agent.seen


async def test_too_big_answers_are_asked_for_in_smaller_parts(make: Make) -> None:
    """On tooBig repetitions and variables are halved until it fits, and stay so."""

    def small(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        if type(pdu) is GET_BULK and int(v2c.apiBulkPDU.get_max_repetitions(pdu)) > 3:
            return [agent.fault(pdu, 1)]
        return [agent.fault(pdu, 1)] if type(pdu) is GET and agent.sizes[-1] > 4 else None

    async with serving(Agent(switch(20), small)) as agent:
        backend = make(at(agent.port))
        inventory = await backend.open()
        assert len(inventory.entities[0].interfaces) == 20
        result = await backend.read()
        assert len(result.readings) == 41
        asked = len(agent.seen)
        await backend.read()
        assert len(agent.seen) - asked <= 41 / 3 + 1
        assert max(agent.sizes[asked:]) <= 4


@pytest.mark.usefixtures("hasty")
async def test_a_device_that_loses_long_answers_is_asked_for_less(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """After a pass without an answer the last try asks for half; where that helps, only half is asked for soon."""
    careless = False

    def loses(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        return [] if careless and type(pdu) is GET and agent.sizes[-1] > 6 else None

    async with serving(Agent(switch(4), loses)) as agent:
        backend = make(at(agent.port, max_variables=10))
        await backend.open()
        careless = True
        with pytest.raises(Unavailable):
            await backend.read()
        for _ in range(seam.LOSSES):
            result = await backend.read()
            assert len(result.readings) == 9
            assert not result.missing
        asked = len(agent.seen)
        assert len((await backend.read()).readings) == 9
        assert max(agent.sizes[asked:]) == 5
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if " answers 5 variables in a request, but loses " in text]) == 1


async def test_a_value_that_the_device_fails_to_tell_is_left_out(make: Make) -> None:
    """genErr for one variable costs one more request, once, and not the others; later the variable is tried again."""
    broken = oid(f"{PORTS[:-2]}.6.1.2")
    failing = False

    def fails(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        names = [tuple(name) for name, _ in v2c.apiPDU.get_varbinds(pdu)]
        return [agent.fault(pdu, 5, names.index(broken) + 1)] if failing and broken in names else None

    async with serving(Agent(switch(3), fails)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        failing = True
        for _ in range(2):
            assert len((await backend.read()).readings) == 6
        asked = len(agent.seen)
        await backend.read()
        assert len(agent.seen) - asked == 1
        failing = False
        for _ in range(seam.PASSES_APART):
            result = await backend.read()
        assert len(result.readings) == 7


async def test_requests_keep_their_distance(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two requests there is the gap of the settings, over passes and commands too."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float, *more: Any) -> None:
        slept.append(seconds)
        await sleep(0)

    async with serving(Agent(switch(3))) as agent:
        backend = make(at(agent.port, gap=100.0))
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", noted)
            await backend.open()
            await backend.read()
            await backend.switch_supply(outlet("port-1.1"), Supply.OFF)
        waits = [seconds for seconds in slept if seconds]
        assert len(waits) == len(agent.seen) - 1
        assert all(later - earlier > 90 for earlier, later in itertools.pairwise(waits))


@pytest.mark.parametrize("at_index", [True, False])
async def test_an_agent_of_the_first_version_names_what_it_does_not_have(make: Make, at_index: bool) -> None:
    """noSuchName for a whole GET, with or without the right index: the others are read, the bad one is left out."""
    gone = oid(f"{PORTS[:-2]}.6.1.2")

    def old(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        if type(pdu) is GET_BULK:
            return [agent.fault(pdu, 5)]
        names = [tuple(name) for name, _ in v2c.apiPDU.get_varbinds(pdu)]
        if type(pdu) is GET:
            unknown = [place for place, name in enumerate(names, 1) if name not in agent.tree or name == gone]
            return [agent.fault(pdu, 2, unknown[0] if at_index else 0)] if unknown else None
        after = [[known for known in agent.order if known > name] for name in names]
        return [agent.fault(pdu, 2, 1)] if not all(after) else None

    async with serving(Agent(switch(3), old)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        result = await backend.read()
        assert of(result, outlet("port-1.1")) == {Quantity.IN_USE: True, Quantity.SUPPLY_STATE: Supply.ON}
        assert of(result, outlet("port-1.2")) == {Quantity.SUPPLY_STATE: Supply.ON}
        assert of(result, Point("pse-1")) == {Quantity.ACTIVE_POWER: 212}
        asked = len(agent.seen)
        await backend.read()
        assert len(agent.seen) - asked == 1


async def test_what_vanishes_is_missing(make: Make) -> None:
    """A port that is pulled out with its module is told as missing; it comes back with the module."""
    async with serving(Agent(switch(3))) as agent:
        backend = make(at(agent.port))
        await backend.open()
        kept = {name: agent.tree.pop(name) for name in list(agent.tree) if name[-1] == 3 and name[-2] == 1}
        result = await backend.read()
        assert outlet("port-1.3") in result.missing
        assert len((await backend.read()).missing) == 1
        agent.tree.update(kept)
        assert not (await backend.read()).missing


async def test_a_device_that_tells_nothing_any_more_is_unavailable(make: Make) -> None:
    """When not one value comes of a device that answers, that is no empty pass."""
    async with serving(Agent(switch())) as agent:
        backend = make(at(agent.port))
        await backend.open()
        agent.tree.clear()
        with pytest.raises(Unavailable, match="none of its values"):
            await backend.read()


# --- lies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_walk_in_a_circle_ends(make: Make, bulk: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An agent whose names do not grow is believed up to there, and named in the log once."""
    circle = [f"{PORTS}.1.1", f"{PORTS}.1.2"]

    def circles(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        if type(pdu) not in {GET_BULK, GET_NEXT}:
            return None
        name = ".".join(str(number) for number in tuple(v2c.apiPDU.get_varbinds(pdu)[0][0]))
        if not name.startswith(PORTS):
            return None
        following = circle if bulk else [circle[1] if name == circle[0] else circle[0]]
        return [agent.answer(pdu, [(oid(one), rfc1902.Integer32(1)) for one in following * 2])]

    async with serving(Agent(switch(), circles)) as agent:
        backend = make(at(agent.port, bulk=bulk, tables=("rfc3621-poe",)))
        for _ in range(2):
            inventory = await backend.open()
            assert [one.name for one in inventory.entities[0].interfaces] == ["port-1.1", "port-1.2"]
        assert len(agent.seen) < 40
    assert sum("in a circle" in record.getMessage() for record in caplog.records) == 1


async def test_a_table_without_end_is_cut(fast: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An agent that invents rows for ever is read up to the bound."""

    def invents(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        name = tuple(v2c.apiPDU.get_varbinds(pdu)[0][0])
        last = name[-1] if len(name) > len(oid(PORTS)) else 0
        rows = [((*oid(PORTS), last + step), rfc1902.Integer32(1)) for step in range(1, 26)]
        return [agent.answer(pdu, rows)]

    async with serving(Agent(switch(), invents)) as agent:
        client = Client(at(agent.port), random.Random(1), logging.getLogger("eman_netconf.backend.it"), fast=fast)
        try:
            await client.open()
            assert len(await client.walk(PORTS, 100)) == 100
        finally:
            client.close()
        assert len(agent.seen) == 4
    assert "100 rows or more" in caplog.text


async def test_garbage_before_the_answer_is_not_the_answer(make: Make) -> None:
    """Datagrams that are no SNMP, not of this version, or answers to other questions do not disturb."""
    elsewhere = switch()
    elsewhere["1.3.6.1.2.1.105.1.3.1.1.4.1"] = rfc1902.Gauge32(9999)
    liar = Agent(elsewhere)

    def chatters(agent: Agent, pdu: Any, datagram: bytes) -> Datagrams:
        wrong, true = liar.answer(pdu, number=12345), agent.answer(pdu)
        return [b"", b"\x30", b"hello", b"\x30\x82\xff\xff", datagram, wrong, bytes(65_000), true]

    async with serving(Agent(switch(), chatters)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        for _ in range(3):
            assert of(await backend.read(), Point("pse-1")) == {Quantity.ACTIVE_POWER: 212}


@pytest.mark.usefixtures("hasty")
async def test_nothing_but_garbage_is_silence(make: Make) -> None:
    """A device that only sends garbage is Unavailable; a flood of it does not prolong the waiting."""
    garbage = random.Random(3)
    flood = [garbage.randbytes(garbage.randrange(0, 200)) for _ in range(200)]
    async with serving(Agent(switch(), lambda agent, pdu, _: flood)) as agent:
        backend = make(at(agent.port, retries=1))
        with pytest.raises(Unavailable):
            await backend.open()
        assert len(agent.seen) <= 3  # two tries, and one that the fast path gives up at the first datagram


@pytest.mark.usefixtures("hasty")
async def test_half_an_inventory_is_none(make: Make) -> None:
    """An agent that falls silent while it is surveyed is Unavailable, so that nothing it has seems to be gone."""
    asked = 0

    def silent_after_a_while(agent: Agent, pdu: Any, _: bytes) -> Datagrams:
        nonlocal asked
        asked += type(pdu) is GET and len(v2c.apiPDU.get_varbinds(pdu)) > 1
        return [] if asked > 1 else None

    async with serving(Agent(switch(40), silent_after_a_while)) as agent:
        backend = make(at(agent.port))
        with pytest.raises(Unavailable):
            await backend.open()
        assert asked > 1
        agent.manner = lambda agent, pdu, datagram: None
        assert len((await backend.open()).entities[0].interfaces) == 40


@pytest.mark.parametrize("returns", [True, False])
async def test_a_device_that_starts_is_not_another_one(make: Make, *, returns: bool) -> None:
    """Without its tables the switch is Unavailable for a while; then it is what it was, or what it looks like."""
    async with serving(Agent(switch())) as agent:
        backend = make(at(agent.port))
        before = await backend.open()
        whole = agent.order
        agent.tree = {name: value for name, value in agent.tree.items() if name[:8] != oid("1.3.6.1.2.1.105.1")[:8]}
        agent.order = sorted(agent.tree)
        for _ in range(DOUBTS):
            with pytest.raises(Unavailable, match="was read as rfc3621-poe"):
                await backend.open()
        if returns:
            agent.__post_init__()
            assert agent.order == whole
            assert await backend.open() == before
            return
        (entity,) = (await backend.open()).entities
        assert entity.name == before.entities[0].name
        assert not entity.interfaces


async def test_values_of_wrong_types_are_not_known(make: Make) -> None:
    """Text where a number belongs, null, an OID or a huge number: no reading, and no harm to the others."""
    values = switch(5)
    for port, odd in enumerate((b"yes", None, "1.3.6", 2**64 - 1), 1):
        kind = {bytes: rfc1902.OctetString, str: rfc1902.ObjectName, int: rfc1902.Counter64}.get(type(odd))
        for column in (3, 6):
            values[f"{PORTS[:-2]}.{column}.1.{port}"] = rfc1905.unSpecified if kind is None else kind(odd)
    values["1.3.6.1.2.1.1.5.0"] = rfc1902.OctetString(b"\xff\xfe\x00\x1b[31m")
    values["1.3.6.1.2.1.1.1.0"] = rfc1902.OctetString(b"line one\r\nline\x07 two")
    async with serving(Agent(values)) as agent:
        backend = make(at(agent.port))
        entity = (await backend.open()).entities[0]
        result = await backend.read()
        assert entity.description == "line one line two"
        assert entity.name == "\ufffd\ufffd"
        assert of(result, outlet("port-1.1")) == {}
        assert of(result, outlet("port-1.4")) == {}
        assert of(result, outlet("port-1.5")) == {Quantity.IN_USE: False, Quantity.SUPPLY_STATE: Supply.ON}


async def test_numbers_as_text_are_numbers(make: Make) -> None:
    """Some agents give their integers as text."""
    values = switch(1)
    values[f"{PORTS[:-2]}.6.1.1"] = rfc1902.OctetString("3")
    async with serving(Agent(values)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        assert of(await backend.read(), outlet("port-1.1"))[Quantity.IN_USE] is True


async def test_numbers_beyond_a_quantity_are_not_known(make: Make) -> None:
    """A battery at 65535 percent and at 2147483647 degrees is a battery whose charge and temperature are not known."""
    base = "1.3.6.1.2.1.33.1"
    values = {name: value for name, value in switch().items() if ".105." not in name}
    values |= {
        f"{base}.2.1.0": rfc1902.Integer32(3),
        f"{base}.2.4.0": rfc1902.Integer32(65535),
        f"{base}.2.6.0": rfc1902.Integer32(120),
        f"{base}.2.7.0": rfc1902.Integer32(2147483647),
        f"{base}.4.1.0": rfc1902.Integer32(5),
    }
    async with serving(Agent(values)) as agent:
        backend = make(at(agent.port))
        await backend.open()
        assert of(await backend.read(), Point(battery="battery")) == {
            Quantity.ALARM: frozenset({"low"}),
            Quantity.BATTERY_CURRENT: -12.0,
            Quantity.CHARGING_STATE: "discharging",
        }


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.binary(max_size=300), v3=st.booleans())
def test_no_datagram_harms_the_parser(data: bytes, v3: bool) -> None:
    """Whatever octets arrive are dropped without an error where they are no answer."""
    way = Complete(at(161), random.Random(1))
    if v3:
        way._usm = Usm(
            User("eman", "sha256", "a long enough key", "aes128", "another long key", engine=b"12345"), float
        )
    way._heard(data)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_mutation_of_an_answer_harms_the_parser(data: st.DataObject) -> None:
    """An answer with some octets changed is an answer or is dropped."""
    agent = Agent(switch())
    pdu = v2c.GetRequestPDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [(f"{PORTS}.1.1", v2c.null), ("1.3.6.1.2.1.1.1.0", v2c.null)])
    answer = bytearray(agent.answer(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    Complete(at(161), random.Random(1))._heard(bytes(answer))


# --- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["open", "read"])
async def test_cancellation_leaves_no_socket_and_no_task(make: Make, step: str) -> None:
    """A pass given up in the midst leaves nothing open once the backend is closed, and it can be opened again."""
    held = False
    async with serving(Agent(switch(), lambda agent, pdu, _: [] if held else None)) as agent:
        async with leaves_nothing():
            backend = make(at(agent.port))
            if step == "read":
                await backend.open()
            held = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await getattr(backend, step)()
            await backend.close()
            held = False
        await backend.open()
        assert (await backend.read()).readings


async def test_a_socket_is_not_left_to_the_collector(make: Make) -> None:
    """Who gives up and closes has closed its socket, though nobody collects what holds itself."""

    async def finished(awaitable: CancelledAt) -> None:
        await awaitable

    async with serving(Agent(switch())) as agent:
        gc.disable()
        try:
            async with leaves_nothing():
                for step in range(15):
                    backend = make(at(agent.port))
                    task = asyncio.ensure_future(finished(CancelledAt(backend.open(), step)))
                    with contextlib.suppress(asyncio.CancelledError):
                        async with asyncio.timeout(60):
                            await task
                    await backend.close()
        finally:
            gc.enable()


async def test_a_big_switch_does_not_hold_the_loop(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of ports are surveyed and read without a step of more work than ten milliseconds'."""
    worked: list[float] = []
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        work = time.thread_time()
        run(handle)
        if "Agent" not in repr(handle) and "_read_ready" not in repr(handle):  # the agent is no part of the backend
            worked.append(time.thread_time() - work)

    async with serving(Agent(switch(250))) as agent:
        backend = make(at(agent.port, max_repetitions=100))
        inventory = await backend.open()
        assert len(inventory.entities[0].interfaces) == 250
        best = []
        for _ in range(5):  # the best of five, since the collector is not the backend's
            worked.clear()
            with monkeypatch.context() as patch:
                patch.setattr(asyncio.Handle, "_run", measured)
                await backend.open()
                result = await backend.read()
            best.append(max(worked))
        assert len(result.readings) == 501
        assert min(best) <= ten_milliseconds()


async def test_one_socket_for_each_device_that_is_polled(make: Make) -> None:
    """Between passes a device costs one descriptor, so that ten thousand of them fit into the limit of a process."""
    async with serving(Agent(switch())) as agent:
        before = sockets()
        backends = [make(at(agent.port)) for _ in range(5)]
        for backend in backends:
            await backend.open()
            await backend.read()
        assert len(sockets() - before) <= 5


def test_this_machine_shows_its_descriptors() -> None:
    """The tests above look into /proc, which is there."""
    assert Path("/proc/self/fd").is_dir()

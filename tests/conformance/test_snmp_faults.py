"""Dead, slow and lying SNMP agents: their entities become stale, everybody else is read and served as before."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import Any, TypeVar

import pytest
from ncclient import manager
from ncclient.operations import RPCError
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v2c

from eman_backends.snmp.tests.agent import GET_BULK, GET_NEXT, Agent, oid, serving
from eman_backends.snmp.tests.agent import switch as poe_switch
from eman_backends.snmp.tests.counterparts import RPDU2, SNMPD_WRITER, ask, start_snmpd, start_snmpsim
from eman_backends.snmp.tests.relay import Relay
from tests.conformance.conftest import entity, one, switch, texts, until
from tests.conformance.installed import (
    COMMUNITIES,
    PDU,
    Site,
    community,
    configure_backends,
    device,
    first_read,
    link,
    read_on,
    remove_backend,
    shows,
)
from tests.conformance.site import interface, leaves, the

T = TypeVar("T")
INTERVAL = 0.5  # seconds between two passes of every backend here
PASSES = 4  # of the others that are watched


@pytest.fixture
def site(snmp_site: Site) -> Site:
    """Honest devices, among which each test puts one that is not."""
    return snmp_site


@pytest.fixture
def client(site: Site) -> Iterator[manager.Manager]:
    """An ncclient session of the administrator."""
    with site.server.connect() as session:
        yield session


class Aside:
    """A loop of events in a thread of its own, for agents and relays that answer while the test asks the server."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stack = AsyncExitStack()

    def run(self, does: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(does, self._loop).result(60)

    def agent(self, agent: Agent) -> Agent:
        """The agent, at its port."""
        return self.run(self._stack.enter_async_context(serving(agent)))

    def relay(self, port: int) -> Relay:
        """A relay in front of a port."""
        relay = Relay(port)
        self.run(relay.start())
        self._stack.callback(relay.stop)
        return relay

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@pytest.fixture
def aside() -> Iterator[Aside]:
    aside = Aside()
    yield aside
    aside.close()


@contextmanager
def backend(
    session: manager.Manager, name: str, port: int, secret: str, timeout: float = 3.0, interval: float = INTERVAL
) -> Iterator[None]:
    """A device among the others, from when it was read first until nothing of it is left."""
    configure_backends(session, device(name, port, community(secret), interval=interval, timeout=timeout))
    try:
        first_read(session, name)
        yield
    finally:
        remove_backend(session, name)
        until(lambda: not texts(session, entity(name, "/eman:id")), f"{name} is gone with its backend")


def reachability(session: manager.Manager, id_: str) -> str | None:
    return one(session, entity(id_, "/eman:reachability"))


def lost(session: manager.Manager, id_: str, metered: str | None = None) -> Mapping[str, str] | None:
    """Wait until readings of an entity fail; its link tells why. What is ``metered`` there, the entity itself if it is
    not told, then shows the power read last, or none where it was given up meanwhile."""
    until(lambda: reachability(session, id_) in {"stale", "unreachable"}, f"{id_} is stale")
    until(lambda: link(session, id_)["state"] != "up", f"the link of {id_} is not up")
    told = link(session, id_)
    assert told["last-error"]
    assert int(told["failures"]) > 0
    return shown_power(session, metered or id_)


def shown_power(session: manager.Manager, id_: str) -> Mapping[str, str] | None:
    """The power of an entity that is not read: there while it is stale, None from when it is given up."""
    now = the(session, entity(id_))
    power = now.find("{*}power")
    assert leaves(now)["reachability"] == ("unreachable" if power is None else "stale")
    return None if power is None else leaves(power)


def assert_not_newer(session: manager.Manager, id_: str, last: Mapping[str, str] | None) -> None:
    """While stale an entity shows the power read last, with its time; given up, it shows none."""
    assert shown_power(session, id_) in (last, None)


def back(session: manager.Manager, id_: str) -> None:
    """Wait until an entity is read again."""
    shows(session, entity(id_, "/eman:reachability"), "reachable")
    read_on(session, id_, 2)
    until(lambda: link(session, id_)["state"] == "up", f"{id_} is up")


def energy(session: manager.Manager, id_: str) -> Mapping[str, str]:
    """The energy of an entity, as its leaves."""
    return leaves(the(session, entity(id_, "/emm:energy")))


def counting(session: manager.Manager, id_: str) -> Mapping[str, str]:
    """The energy of an entity, once it has grown."""
    until(lambda: float(energy(session, id_)["received"]) > 0, f"{id_} has received energy")
    return energy(session, id_)


def others_go_on(session: manager.Manager) -> None:
    """The honest devices are read pass after pass, and the server answers meanwhile."""

    def stand() -> dict[str, tuple[int, str]]:
        return {
            name: (int(link(session, name)["polls"]), one(session, entity(name, "/emm:power/emm:time")) or "")
            for name in ("pdu", "old")
        }

    before = stand()

    def read_again() -> bool:
        now = stand()
        return all(now[name][0] >= polls + PASSES and now[name][1] > at for name, (polls, at) in before.items())

    until(read_again, "the others are read on")
    for name in ("pdu", "strip", "old", "ups"):
        shows(session, entity(name, "/eman:reachability"), "reachable")


def assert_nothing_invented(before: Mapping[str, str], after: Mapping[str, str], watts: float) -> None:
    """What was received is the power, the same at both ends of the gap, over the time between them."""
    times = [datetime.fromisoformat(energy["end-time"]) for energy in (before, after)]
    hours = (times[1] - times[0]).total_seconds() / 3600
    grown = float(after["received"]) - float(before["received"])
    assert grown == pytest.approx(watts * hours, rel=0.01, abs=0.002)


# --- dead


def test_a_device_that_dies_and_returns(site: Site, client: manager.Manager) -> None:
    """Killed, a PDU is stale and then unreachable with its last values; back, its energy is what it counted itself."""
    simulator = start_snmpsim((PDU,))
    secret, counter = f"{PDU}-writable", f"{RPDU2}.4.3.1.9.1"  # tenths of kWh
    with backend(client, "mortal", simulator.port, secret, timeout=5.0):
        before = energy(client, "mortal")
        simulator.process.send_signal(signal.SIGKILL)
        simulator.process.wait(60)
        last = lost(client, "mortal")
        shows(client, entity("mortal", "/eman:reachability"), "unreachable")
        assert "cannot be reached" in link(client, "mortal")["last-error"]
        others_go_on(client)
        assert_not_newer(client, "mortal", last)
        assert energy(client, "mortal")["received"] == before["received"]
        again = start_snmpsim((PDU,), simulator.port)
        try:
            ask(again.port, secret, counter, ask(again.port, secret, counter) + 3)
            back(client, "mortal")
            grown = str(float(before["received"]) + 300)
            shows(client, entity("mortal", "/emm:energy/emm:received"), grown)
            assert "discontinuity-time" not in energy(client, "mortal")
            if last is not None:
                assert leaves(the(client, entity("mortal", "/emm:power")))["time"] > last["time"]
        finally:
            again.process.terminate()
            again.process.wait(60)


# --- slow


def test_a_device_that_stops_and_goes_on(client: manager.Manager) -> None:
    """Stopped in the middle of a pass, a switch holds up nobody; nothing is added until it goes on, nor made up."""
    agent = start_snmpd()
    try:
        with backend(client, "frozen", agent.port, SNMPD_WRITER, timeout=3.0):
            counting(client, "frozen.pse-1")
            agent.process.send_signal(signal.SIGSTOP)
            others_go_on(client)
            last = lost(client, "frozen", "frozen.pse-1")
            before = energy(client, "frozen.pse-1")
            others_go_on(client)
            assert_not_newer(client, "frozen.pse-1", last)
            assert energy(client, "frozen.pse-1") == before
            agent.process.send_signal(signal.SIGCONT)
            back(client, "frozen")
            assert_nothing_invented(before, energy(client, "frozen.pse-1"), 212)
    finally:
        agent.process.kill()
        agent.process.wait(60)


def test_a_command_to_a_stopped_device_is_sent_once(client: manager.Manager, aside: Aside) -> None:
    """Nobody answers the command: its outcome is unknown and it is not repeated; later a reading tells what became."""
    agent = start_snmpd()
    relay = aside.relay(agent.port)
    try:
        with backend(client, "deaf", relay.port, SNMPD_WRITER):
            supply = interface("deaf", "port-1.1", "/empi:supply")
            shows(client, f"{supply}/empi:oper-state", "on")
            relay.before_order = lambda: agent.process.send_signal(signal.SIGSTOP)
            with pytest.raises(RPCError) as unknown:
                switch(client, "deaf", "port-1.1", "off")
            assert unknown.value.tag == "operation-failed"
            assert "nobody knows" in unknown.value.message
            request = leaves(the(client, f"{supply}/empi:request"))
            assert (request["state"], request["status"]) == ("off", "outcome-unknown")
            assert one(client, f"{supply}/empi:oper-state") == "on"
            shows(client, entity("deaf", "/eman:reachability"), "unreachable")
            with pytest.raises(RPCError, match="deaf"):  # known to be away: nothing is sent at all
                switch(client, "deaf", "port-1.2", "off")
            assert relay.orders == 1
            agent.process.send_signal(signal.SIGCONT)
            back(client, "deaf")
            until(
                lambda: one(client, f"{supply}/empi:request/empi:status") == "reached", "a reading shows the port off"
            )
            assert one(client, f"{supply}/empi:oper-state") == "off"
            assert relay.orders == 1
    finally:
        agent.process.kill()
        agent.process.wait(60)


def test_others_are_read_while_one_owes_an_answer(site: Site, client: manager.Manager, aside: Aside) -> None:
    """In the time in which one silent device is asked once and given up, another is read pass after pass."""
    relay = aside.relay(site.simulator.port)

    def polls(name: str) -> int:
        return int(link(client, name)["polls"])

    def read_within_one_pass() -> bool:
        """Whether the other was read so often while one pass of the silent device, its opening if need be, lasted.

        That it is asked between two looks at its finished passes, which are the same, says that one has begun.
        """
        ended, asked = polls("silent"), relay.questions
        until(lambda: relay.questions > asked, "the silent device is asked")
        if polls("silent") != ended:
            return False
        begun = polls("quick")
        until(lambda: polls("quick") >= begun + PASSES, "the other is read on")
        return polls("silent") == ended

    with (
        backend(client, "silent", relay.port, COMMUNITIES["old"], timeout=5.0),
        backend(client, "quick", site.simulator.port, COMMUNITIES["pdu"], interval=0.1),
    ):
        relay.silent = True
        until(read_within_one_pass, "the other is read while the silent device is waited for")
        relay.silent = False
        back(client, "silent")


def test_a_device_whose_answers_come_too_late(site: Site, client: manager.Manager, aside: Aside) -> None:
    """Answers after the deadline count for nothing, also not for the next question."""
    relay = aside.relay(site.simulator.port)
    with backend(client, "late", relay.port, COMMUNITIES["old"], timeout=2.0):
        before = counting(client, "late")
        relay.delay = 3.0
        lost(client, "late")
        assert "no answer within the deadline" in link(client, "late")["last-error"]
        stuck = energy(client, "late")
        others_go_on(client)
        assert energy(client, "late") == stuck
        relay.delay = 0.0
        back(client, "late")
        assert_nothing_invented(before, energy(client, "late"), 192)


# --- lying


def garbage(agent: Agent, pdu: Any) -> Iterable[bytes]:
    honest = agent.answer(pdu)
    return [
        b"",
        b"garbage",
        bytes(2000),
        honest[:-3],
        honest[:10] + bytes(len(honest) - 10),
        b"\x30\x84" + b"\xff" * 40,
    ]


def other_numbers(agent: Agent, pdu: Any) -> Iterable[bytes]:
    number = int(v2c.apiPDU.get_request_id(pdu))
    return [agent.answer(pdu, number=(number + step) % 2**31) for step in (1, -1, 1000)]


def other_names(agent: Agent, pdu: Any) -> Iterable[bytes]:
    """Powers of other groups than those asked for, large ones."""
    return [agent.answer(pdu, [(oid("1.3.6.1.2.1.105.1.3.1.1.4.9"), rfc1902.Gauge32(4_000_000))])]


def errors_only(agent: Agent, pdu: Any) -> Iterable[bytes]:
    return [agent.fault(pdu, 5, 1)]


@pytest.mark.parametrize("lie", [garbage, other_numbers, other_names, errors_only], ids=lambda lie: str(lie.__name__))
def test_a_device_that_lies(
    client: manager.Manager, aside: Aside, lie: Callable[[Agent, Any], Iterable[bytes]]
) -> None:
    """What is no answer to a question is nothing: the switch is stale, no energy comes of it, and truth mends it."""
    lying = threading.Event()
    agent = aside.agent(Agent(poe_switch(), lambda agent, pdu, _: lie(agent, pdu) if lying.is_set() else None))
    with backend(client, "liar", agent.port, "public"):
        before = counting(client, "liar.pse-1")
        lying.set()
        last = lost(client, "liar", "liar.pse-1")
        stuck = energy(client, "liar.pse-1")
        others_go_on(client)
        assert_not_newer(client, "liar.pse-1", last)
        assert energy(client, "liar.pse-1") == stuck
        lying.clear()
        back(client, "liar")
        assert_nothing_invented(before, energy(client, "liar.pse-1"), 212)


def test_a_device_whose_tables_run_in_a_circle(site: Site, client: manager.Manager, aside: Aside) -> None:
    """Names that do not grow end a walk: what came before is served, the log says so, nobody waits."""

    def in_a_circle(agent: Agent, pdu: Any, _: bytes) -> Iterable[bytes] | None:
        if type(pdu) not in {GET_NEXT, GET_BULK}:
            return None
        column = "1.3.6.1.2.1.105.1.1.1.3"
        rows = [(oid(f"{column}.{row}"), rfc1902.Integer32(1)) for row in ("1.1", "1.2", "1.1")]
        (asked, _value), *more = v2c.apiPDU.get_varbinds(pdu)
        return None if more or not str(asked).startswith(column) else [agent.answer(pdu, rows)]

    agent = aside.agent(Agent(poe_switch(), in_a_circle))
    with backend(client, "circle", agent.port, "public"):
        shows(client, entity("circle", "/eman:reachability"), "reachable")
        ports = texts(client, entity("circle", "/empi:power-interface/empi:name"))
        assert ports == ["port-1.1", "port-1.2"]
        others_go_on(client)
        assert "answers a walk of" in site.server.log.read_text()

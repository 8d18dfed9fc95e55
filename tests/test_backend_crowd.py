"""A thousand devices of which three hundred are dead: the living are read as if they were alone.

Every device has a link of its own under one poller, as in a server. The living are many ways to one counterpart that
costs little; half of the dead refuse whoever comes, the others take what is sent and never answer.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import eman_backends._blueprint as blueprint
import eman_backends.modbus as modbus
import eman_backends.nut as nut
import eman_backends.snmp as snmp
from eman_backends._blueprint.tests.contract import Clamp
from eman_backends.modbus.tests.counterparts import Device as Registers
from eman_backends.modbus.tests.counterparts import eastron
from eman_backends.nut.tests.counterparts import shared
from eman_backends.snmp.tests.counterparts import snmpd
from eman_netconf.backend import Inventory, LinkState, Outcome, Pass, Plugin, Settings
from eman_netconf.server.clock import Clock
from eman_netconf.server.poller import BackendConfig, Poller
from tests.traces import leaves_nothing

pytestmark = pytest.mark.slow

LIVING, DEAD = 700, 300
AT_ONCE = 50  # devices that are opened
INTERVAL = 2.0  # seconds between two passes
GIVEN_UP = 3  # times each of the dead was, in 1 + 2 + 4 s of pauses at least
PASSES = 2  # of each of the living meanwhile; their schedule has three
PATIENCE = 300.0  # seconds; for hangs, and a busy machine is none


@dataclass
class Roll:
    """Counts what the poller tells of each backend, and wakes who waits for a count."""

    passes: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def inventory(self, backend: str, inventory: Inventory) -> None:
        assert inventory.entities
        self.opened[backend] += 1

    def readings(self, backend: str, readings: Pass) -> None:
        assert readings.readings
        self.passes[backend] += 1
        self.told.set()

    def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None:
        self.given_up[backend] += state is LinkState.BACKING_OFF
        self.told.set()

    def outcome(self, command_id: int, outcome: Outcome, reason: str | None) -> None:
        raise AssertionError("nobody gave an order")

    def forgotten(self, backend: str) -> None:
        pass

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                self.told.clear()
                await self.told.wait()


@asynccontextmanager
async def clamp() -> AsyncIterator[Settings]:
    device = Clamp()
    await device.start()
    try:
        yield {"address": "127.0.0.1", "port": device.port}
    finally:
        await device.stop()


@asynccontextmanager
async def poe_switch() -> AsyncIterator[Settings]:
    device = await asyncio.to_thread(snmpd)
    yield {"address": "127.0.0.1", "port": device.port, "v2c": {"community": "public"}}


@asynccontextmanager
async def meter() -> AsyncIterator[Settings]:
    device = await asyncio.to_thread(Registers, {1: eastron(0x0070, {0: 230.0, 52: 3450.0})})
    yield {
        "address": "127.0.0.1",
        "port": device.port,
        "answer-time": 5.0,
        "unit": [{"id": 1, "table": "eastron-sdm630"}],
    }
    await asyncio.to_thread(device.close)


@asynccontextmanager
async def ups() -> AsyncIterator[Settings]:
    server = await asyncio.to_thread(shared)
    yield {"address": "127.0.0.1", "port": server.port, "device": "desk"}


#: What there may be a thousand of: the plugin, and one device that many may ask at once, as settings.
CROWDS: dict[str, tuple[Plugin, Callable[[], AbstractAsyncContextManager[Settings]]]] = {
    "blueprint": (blueprint.PLUGIN, clamp),
    "modbus": (modbus.PLUGIN, meter),
    "nut": (nut.PLUGIN, ups),
    "snmp": (snmp.PLUGIN, poe_switch),
}


@contextmanager
def nobody() -> Iterator[tuple[int, int]]:
    """Two ports of this machine, for UDP and TCP: one that refuses, and one that takes all and answers nothing."""
    with ExitStack() as stack:
        pairs = [[stack.enter_context(socket.socket(type=kind)) for kind in KINDS] for _ in range(2)]
        ports = [_bound(pair) for pair in pairs]
        pairs[1][0].listen(DEAD)  # connections are taken by the kernel, and by nobody else
        for each in pairs[0]:
            each.close()
        yield ports[0], ports[1]


KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _bound(pair: list[socket.socket]) -> int:
    """Bind both to one port that is free for both."""
    stream, datagram = pair
    stream.bind(("127.0.0.1", 0))
    port: int = stream.getsockname()[1]
    datagram.bind(("127.0.0.1", port))
    return port


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many sockets as there are devices, and some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("protocol", CROWDS)
async def test_the_dead_do_not_hold_up_the_living(protocol: str, tmp_path: Path) -> None:
    """While each of 300 dead devices is tried again and given up, each of 700 others is read on its schedule."""
    plugin, living = CROWDS[protocol]
    async with living() as settings:
        with nobody() as ports:
            alive = {f"living-{number}": _config(f"living-{number}", protocol, settings) for number in range(LIVING)}
            dead = {
                f"dead-{number}": _config(f"dead-{number}", protocol, {**settings, "port": ports[number % 2]})
                for number in range(DEAD)
            }
            async with leaves_nothing():
                await _watch(plugin, alive, dead, tmp_path)


def _config(name: str, protocol: str, settings: Settings) -> BackendConfig:
    return BackendConfig(name, protocol, settings, INTERVAL, timeout=PATIENCE)


async def _watch(
    plugin: Plugin, alive: dict[str, BackendConfig], dead: dict[str, BackendConfig], directory: Path
) -> None:
    roll = Roll()
    poller = Poller({plugin.name: plugin}, roll, Clock(), directory)
    try:
        for count in range(0, LIVING, AT_ONCE):  # their one counterpart could not hear all at once
            poller.configure(dict(list(alive.items())[: count + AT_ONCE]))
            await roll.until(lambda count=count: len(roll.passes) >= count + AT_ONCE)
        before = Counter(roll.passes)
        poller.configure(alive | dead)
        await roll.until(lambda: sum(roll.given_up[name] >= GIVEN_UP for name in dead) == DEAD)
        read = [roll.passes[name] - before[name] for name in alive]
    finally:
        await poller.close()
    assert min(read) >= PASSES
    assert max(read) - min(read) <= 1 + max(read) // 5, "some were held up and others not"
    assert roll.opened.keys() == alive.keys()
    assert set(roll.opened.values()) == {1}, "a living device was given up"
    assert not [name for name in alive if roll.given_up[name]]

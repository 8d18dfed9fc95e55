"""What a pass costs over each protocol, beside the same requests by the bare library; SNMP has a group of its own."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from pymodbus.client import AsyncModbusTcpClient

from bench.servers import Place
from bench.table import Row, Table
from eman_backends.modbus import PLUGIN as MODBUS
from eman_backends.nut import PLUGIN as NUT
from eman_backends.redfish import PLUGIN as REDFISH
from eman_netconf.backend import (
    Backend,
    Context,
    EntityInfo,
    Inventory,
    LinkState,
    Now,
    Outcome,
    Pass,
    Plugin,
    Settings,
)
from eman_netconf.server.clock import Clock
from eman_netconf.server.poller import BackendConfig, Poller
from tests.equipment.devices import Device, Inverter, Meter, NutUps, Server
from tests.equipment.fronts import Fronts, Stream

PASSES = 300
LINKS = 1000
TIMES = 5

Ask = Callable[[], Awaitable[object]]


class Heard:
    """In the place of who counts orders: keeps what the backend says."""

    def __init__(self) -> None:
        self.said = bytearray()

    def count(self, received: bytearray) -> int:
        """No order is of interest."""
        self.said += received
        received.clear()
        return 0


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("polling: processor time of this side for a pass, beside the bare library")
    with Fronts() as fronts:
        for title, plugin, kind, more, bare in (
            ("a UPS of 27 variables over NUT", NUT, NutUps, {}, _streams),
            ("a server over Redfish", REDFISH, Server, {"unencrypted": True}, _aiohttp),
            ("an SDM630 over Modbus", MODBUS, Meter, {"unit": [{"id": 1, "table": "eastron-sdm630"}]}, _pymodbus),
            ("an inverter over SunSpec", MODBUS, Inverter, {}, _pymodbus),
        ):
            device = kind(fronts)
            await asyncio.to_thread(device.start)
            try:
                await _compare(place, table, title, plugin, device, more, bare)
            finally:
                await asyncio.to_thread(device.kill)
    table.add(Row(f"the poller's own for a pass, {LINKS:,} links", "ms", await _poller(place)))


async def _compare(
    place: Place,
    table: Table,
    title: str,
    plugin: Plugin,
    device: Device,
    more: Settings,
    bare: Callable[[int, bytes], AsyncIterator[Ask]],
) -> None:
    """Measure a backend's pass, then what it said in one pass said by its library alone."""
    assert isinstance(device.front, Stream)
    device.front._counter = heard = Heard()  # type: ignore[assignment]  # in the place of who counts
    settings = {"address": "127.0.0.1", **more}
    through = plugin.build({**settings, "port": device.front.port}, _context(place.folder))
    await through.open()
    await through.read()
    heard.said.clear()
    await through.read()
    said = bytes(heard.said)
    await through.close()
    backend = plugin.build({**settings, "port": device.front.device}, _context(place.folder))
    await backend.open()
    count = place.times(PASSES)
    ours = [await _cost(backend.read, count) for _ in range(place.times(TIMES))]
    await backend.close()
    async with asynccontextmanager(bare)(device.front.device, said) as ask:
        theirs = [await _cost(ask, count) for _ in range(place.times(TIMES))]
    table.add(Row(title, "ms", ours))
    table.add(Row(f"  the same by {bare.__name__[1:]} alone", "ms", theirs))


async def _cost(act: Ask, count: int) -> float:
    """Milliseconds of this thread's processor time for one of so many."""
    await act()
    before = time.thread_time()
    for _ in range(count):
        await act()
    return (time.thread_time() - before) / count * 1000


async def _streams(port: int, said: bytes) -> AsyncIterator[Ask]:
    """asyncio's streams: lines out, and lines in until each list has ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    questions = [line for line in said.splitlines(keepends=True) if line.startswith((b"LIST", b"GET"))]

    async def ask() -> None:
        writer.write(b"".join(questions))
        for question in questions:
            last = b"END " + question if question.startswith(b"LIST") else b""
            while not (await reader.readline()).startswith(last):
                pass

    yield ask
    writer.close()


async def _aiohttp(port: int, said: bytes) -> AsyncIterator[Ask]:
    """aiohttp: the same documents, and their JSON."""
    paths = [path.decode() for path in re.findall(rb"GET (\S+) HTTP", said)]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def ask() -> None:
            for path in paths:
                async with session.get(path) as response:
                    await response.json()

        yield ask


async def _pymodbus(port: int, said: bytes) -> AsyncIterator[Ask]:
    """pymodbus: the same registers."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    reads = {3: client.read_holding_registers, 4: client.read_input_registers}
    frames = []
    while said:
        whole = 6 + int.from_bytes(said[4:6], "big")
        unit, code, at, count = said[6], said[7], said[8:10], said[10:12]
        frames.append((reads[code], int.from_bytes(at, "big"), int.from_bytes(count, "big"), unit))
        said = said[whole:]

    async def ask() -> None:
        for read, address, count, unit in frames:
            await read(address, count=count, device_id=unit)

    yield ask
    client.close()


# --- the poller


class _Nothing:
    """A backend that costs nothing, and a receiver that keeps nothing but how often it was told."""

    passes = 0

    async def open(self) -> Inventory:
        return Inventory((EntityInfo(),))

    async def read(self) -> Pass:
        return Pass(())

    async def close(self) -> None:
        pass

    def inventory(self, backend: str, inventory: Inventory) -> None:
        pass

    def readings(self, backend: str, readings: Pass) -> None:
        self.passes += 1

    def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None:
        pass

    def outcome(self, command_id: int, outcome: Outcome, reason: str | None) -> None:
        pass

    def forgotten(self, backend: str) -> None:
        pass


def _build(settings: Settings, context: Context) -> Backend:
    return _Nothing()


async def _poller(place: Place) -> list[float]:
    """Milliseconds of processor time for one pass of one of so many links."""
    counted = _Nothing()
    poller = Poller({"none": Plugin("none", "none", _build)}, counted, Clock(), place.folder, seed=1)
    poller.configure({f"b{number}": BackendConfig(f"b{number}", "none", {}, 0.2) for number in range(LINKS)})
    await asyncio.sleep(1)
    found = []
    for _ in range(place.times(TIMES)):
        passes, before = counted.passes, time.thread_time()
        await asyncio.sleep(1)
        found.append((time.thread_time() - before) / (counted.passes - passes) * 1000)
    await poller.close()
    return found


def _context(folder: Path) -> Context:
    return Context(
        "it",
        lambda: Now(time.time(), time.monotonic()),
        random.Random(1),
        folder / "polling",
        logging.getLogger("bench"),
    )

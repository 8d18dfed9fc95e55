"""Reading: one entity by key, everything, the configuration; memory, and what others notice of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench import site
from bench.client import GET, GET_CONFIG, Client, get_subtree, get_xpath
from bench.servers import ROOT, YUMA, Place, Server, expect, ours, peers
from bench.table import Row, Table

MB = 1_000_000


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("reads: <get> and <get-config>")
    for entities in place.sizes(100, 1000, 10_000):
        async with ours(place, entities) as server:
            await _memory(table, entities, server)
            async with peers(place, server) as others:
                await _keyed(place, table, entities, server, others)
                await _whole(place, table, entities, server, others)
            if entities == max(place.sizes(100, 1000, 10_000)):
                await _beside(place, table, entities, server)


async def timed(call: Callable[[], Awaitable[object]], times: int, warm: int = 3) -> list[float]:
    """Milliseconds of each of ``times`` calls."""
    for _ in range(warm):
        await call()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        took.append((time.perf_counter() - started) * 1000)
    return took


async def _memory(table: Table, entities: int, server: Server) -> None:
    """What the process holds before anything was asked, and after everything was."""
    before = server.resident()
    server.reset_peak()
    async with Client(server.address) as client:
        await client.rpc(GET)
        await client.rpc(GET)
    large = entities >= 10_000
    for name, value, promise in (
        ("loaded", before, 200.0),
        ("after a full get", server.resident(), 250.0),
        ("at most", server.peak(), None),
    ):
        table.add(Row(f"memory, {name}, N={entities:,}", "MB", [value / MB], promise if large else None))


async def _keyed(place: Place, table: Table, entities: int, server: Server, others: list[Server]) -> None:
    wanted = site.entity_id(entities // 2)
    for name, question in (("subtree", get_subtree(wanted)), ("XPath", get_xpath(wanted))):
        async with Client(server.address) as client:
            reply = await client.rpc(question)
        assert wanted.encode() in reply, reply
        assert reply.count(b"<entity>") + reply.count(b"<entity ") == 1
        samples = await _asked(server, question, place.times(300), warm=20)
        theirs = {}
        for other in others:
            # the filter of netconf takes seconds with many entities
            times = place.times(100) if other.name == YUMA else max(1, place.times(1000) // entities)
            theirs[other.name] = await _asked(other, question, times, warm=int(times > 1))
        table.add(Row(f"one entity by {name}, N={entities:,} ({len(reply):,} bytes)", "ms", samples, 0.8, theirs))


async def _asked(server: Server, question: bytes, times: int, warm: int = 1) -> list[float]:
    """Milliseconds of each of so many requests in a session of their own."""
    async with Client(server.address) as client:
        return await timed(lambda: client.rpc(question), times, warm)


async def _whole(place: Place, table: Table, entities: int, server: Server, others: list[Server]) -> None:
    large = entities >= 10_000
    times = place.times(10 if large else 30)
    await server.tell("read")
    table.add(Row(f"get of everything, all values new, N={entities:,}", "ms", await _asked(server, GET, 1, warm=0)))
    for name, question, promise in (("get", GET, 300.0), ("get-config", GET_CONFIG, 100.0)):
        async with Client(server.address) as client:
            size = len(await client.rpc(question))
        samples = await _asked(server, question, times)
        theirs = {
            other.name: await _asked(other, question, max(3, times // 3))
            for other in others
            if name == "get" or other.name != YUMA  # to which all of it is configuration
        }
        title = f"{name} of everything, N={entities:,} ({size / MB:.1f} MB)"
        table.add(Row(title, "ms", samples, promise if large else None, theirs))
        if large:
            rate = [size / MB / took * 1000 for took in samples]
            table.add(Row("  the same as a rate", "MB/s", rate, 75 if name == "get" else None, rising=True))
    for other in others:
        table.note(f"{other.name} holds {other.resident() / MB:.0f} MB, {other.peak() / MB:.0f} MB at most")


async def _beside(place: Place, table: Table, entities: int, server: Server) -> None:
    """The waiting times of a small session while another one reads everything again and again."""
    async with prober(server, site.entity_id(entities // 3)) as waits, Client(server.address) as client:
        await asyncio.sleep(1)
        alone = await waits()
        for _ in range(place.times(20)):
            await client.rpc(GET)
        table.add(Row(f"another session alone, N={entities:,}", "ms", alone))
        beside = sorted(await waits())
        table.add(Row(f"another session during full gets, N={entities:,}", "ms", beside))
        table.add(Row("  its p99", "ms", [beside[int(len(beside) * 0.99)]], 25))


@asynccontextmanager
async def prober(server: Server, entity: str) -> AsyncIterator[Callable[[], Awaitable[list[float]]]]:
    """A session in a process of its own; what it yields gives the milliseconds of its requests since last asked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.probe",
        server.address.host,
        str(server.address.port),
        str(server.address.key),
        entity,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
        cwd=ROOT,
    )
    assert process.stdin is not None
    stdin = process.stdin

    async def waits() -> list[float]:
        stdin.write(b"report\n")
        values: list[float] = json.loads((await expect(process, b"report"))[0])
        return values

    try:
        await expect(process, b"ready")
        yield waits
    finally:
        stdin.close()
        await process.wait()

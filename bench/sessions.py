"""Sessions: how fast they are set up, and what each one held costs."""

from __future__ import annotations

import asyncio
import time

import asyncssh

from bench.client import Client
from bench.servers import NETCONF, Place, Server, ours, peers
from bench.table import Row, Table

HELD = 1000
KB = 1000


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("sessions: set-up with ed25519 keys, and sessions held")
    async with ours(place, 100) as server, peers(place, server) as others:
        for at_once, count, promise in ((1, 50, 125.0), (4, 100, 230.0), (50, 300, 230.0)):
            samples = await _set_ups(server, at_once, place.times(count), table)
            theirs = {other.name: await _set_ups(other, at_once, place.times(count // 2), table) for other in others}
            name = "one after another" if at_once == 1 else f"{at_once} at once"
            table.add(Row(f"set-ups, {name}", "per s", samples, promise, theirs, True))
    held = place.times(HELD)
    async with ours(place, 100) as server, peers(place, server, [NETCONF]) as others:
        samples = [await _held(server, held)]
        theirs = {other.name: [await _held(other, held)] for other in others}
        table.add(Row(f"memory of each of {held:,} sessions held", "KB", samples, 60, theirs))


async def _set_ups(server: Server, at_once: int, count: int, table: Table) -> list[float]:
    """Sessions per second, measured three times; each is opened up to the server's hello, all are counted."""
    rates = []
    lost = 0
    for _ in range(3):
        room = asyncio.Semaphore(at_once)
        clients = [Client(server.address) for _ in range(count)]

        async def one(client: Client, room: asyncio.Semaphore) -> bool:
            async with room:
                try:
                    await client.open()
                except (OSError, TimeoutError, asyncssh.Error):
                    return False
                client.abort()
                return True

        started = time.perf_counter()
        opened = sum(await asyncio.gather(*(one(client, room) for client in clients)))
        rates.append(opened / (time.perf_counter() - started))
        lost += count - opened
        await asyncio.sleep(0.2)
    if lost:
        table.note(f"{server.name}: {lost} of {3 * count} sessions were lost, {at_once} at once")
    return rates


async def _held(server: Server, count: int) -> float:
    """KB of memory for each of so many open sessions."""
    before = server.resident()
    clients = [Client(server.address) for _ in range(count)]
    try:
        for start in range(0, count, 20):
            await asyncio.gather(*(client.open() for client in clients[start : start + 20]))
        return (server.resident() - before) / count / KB
    finally:
        for client in clients:
            client.abort()
        await asyncio.sleep(1)

"""Small requests, pipelined: a <get> of one leaf by key."""

from __future__ import annotations

import asyncio
import time

from bench import site
from bench.client import Client, get_subtree
from bench.servers import YUMA, Place, Server, ours, peers
from bench.table import Row, Table

_ENTITIES = 100


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("rpcs: pipelined <get> of one leaf by key, per second in all")
    async with ours(place, _ENTITIES) as server, peers(place, server) as others:
        for sessions in (1, 20):
            samples = await _rates(server, sessions, place.times(6000))
            theirs = {
                other.name: await _rates(other, sessions, place.times(6000 if other.name == YUMA else 200))
                for other in others
            }
            table.add(Row(f"{sessions} session{'s' * (sessions > 1)}", "per s", samples, 6000, theirs, True))


async def _rates(server: Server, sessions: int, count: int) -> list[float]:
    """Replies per second, measured five times."""
    clients = [Client(server.address) for _ in range(sessions)]
    each = max(1, count // sessions)
    questions = [get_subtree(site.entity_id(number % _ENTITIES), "name") for number in range(each)]
    rates = []
    try:
        for client in clients:
            await client.open()
        for _ in range(5):
            started = time.perf_counter()
            await asyncio.gather(*(client.pipeline(questions) for client in clients))
            rates.append(each * sessions / (time.perf_counter() - started))
    finally:
        for client in clients:
            client.abort()
    return rates

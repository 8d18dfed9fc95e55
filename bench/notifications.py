"""Notifications: how many events a second reach 1, 20 and 100 sessions, none lost, and what one delivery costs."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench.client import Client
from bench.servers import Place, Server, ours
from bench.table import Row, Table
from eman_netconf.messages.framing import frame
from eman_netconf.messages.rpc import NOTIFICATION_NS, rpc_bytes

DELIVERIES = 100_000
PROMISE = 50_000
REPLAYED = 50_000
_BURST = 10_000
_END = b"</notification>"
_SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION_NS}">%s</create-subscription>'


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("notifications: power-state-changed to sessions that read all the time")
    deliveries = place.times(DELIVERIES)
    async with ours(place, 100) as server:
        for sessions in (1, 20, 100):
            rates, costs = await _live(server, sessions, max(1, deliveries // sessions))
            name = f"{sessions} session{'s' if sessions > 1 else ''}"
            table.add(Row(f"deliveries to {name}", "per s", rates, PROMISE, {}, True))
            table.add(Row(f"processor time of a delivery to {name}", "µs", costs))
    async with ours(place, 100) as server:
        rates = await _replay(server, place.times(REPLAYED))
        table.add(Row("replay to 1 session", "per s", rates, None, {}, True))


async def _live(server: Server, sessions: int, events: int) -> tuple[list[float], list[float]]:
    """Deliveries per second, and microseconds of the server's processor each, measured three times."""
    rates, costs = [], []
    async with AsyncExitStack() as stack:
        readers = [_Reader(await stack.enter_async_context(Client(server.address))) for _ in range(sessions)]
        for reader in readers:
            first = reader.expect(1)
            reader.subscribe()
            await server.tell("prepare 1")
            await server.tell("notify")
            await first
        for _ in range(3):
            await server.tell(f"prepare {events}")
            wanted = [reader.expect(events) for reader in readers]
            spent, started = _processor(server), time.perf_counter()
            await server.tell("notify")
            await asyncio.gather(*wanted)
            rates.append(sessions * events / (time.perf_counter() - started))
            costs.append((_processor(server) - spent) / (sessions * events) * 1e6)
    return rates, costs


async def _replay(server: Server, events: int) -> list[float]:
    rates = []
    for _ in range(0, events, _BURST):
        await server.tell(f"prepare {_BURST}")
        await server.tell("notify")
        await asyncio.sleep(1)  # the log takes so many at once before it gives up the oldest
    for _ in range(3):
        async with Client(server.address) as client:
            reader = _Reader(client)
            started = time.perf_counter()
            whole = reader.expect(events)
            reader.subscribe("<startTime>2000-01-01T00:00:00Z</startTime>")
            await whole
            rates.append(events / (time.perf_counter() - started))
    return rates


class _Reader:
    """A session that counts what it hears, with no more work than that."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._left = 0
        self._tail = b""
        self._heard: asyncio.Future[None] | None = None

    def subscribe(self, content: str = "") -> None:
        """The reply is not waited for: what is replayed comes right behind it."""
        self._client._wire.data_received = self._received
        request = rpc_bytes("1", (_SUBSCRIBE % content).encode())
        self._client._channel.write(frame(request, chunked=True))

    def expect(self, events: int) -> asyncio.Future[None]:
        """Done when so many more were heard."""
        self._left = events
        self._heard = asyncio.get_running_loop().create_future()
        return self._heard

    def _received(self, data: bytes, datatype: object = None) -> None:
        data = self._tail + data
        self._left -= data.count(_END)
        self._tail = data[1 - len(_END) :]
        if self._left <= 0 and self._heard is not None and not self._heard.done():
            self._heard.set_result(None)


def _processor(server: Server) -> float:
    """Seconds of processor time the server has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

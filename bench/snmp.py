"""Rack PDUs read over SNMP: what a whole pass of a backend costs, beside the same requests by the bare library."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bench.servers import Place
from bench.table import Row, Table
from eman_backends.snmp import PLUGIN
from eman_backends.snmp.backend import Snmp
from eman_backends.snmp.tests.counterparts import AUTH_KEY, PRIV_KEY, start_posing
from eman_netconf.backend import Context, Now
from tests.traces import sockets

DEVICES = 200
AGENTS = 2  # programs that pose as them
AT_ONCE = 20  # passes that wait for their devices together
PROMISE = 0.6  # milliseconds of a pass: 10,000 devices in a minute are then a tenth of a core
PDUS = {  # by recording: what it is, and below what its objects are
    "apc-7902b": ("AP7902B, 16 outlets", "1.3.6.1.4.1.318.1.1.12"),
    "apc-8641": ("AP8641, 24 metered outlets", "1.3.6.1.4.1.318.1.1.26"),
}
VERSIONS: Mapping[str, Mapping[str, Any]] = {
    "v2c": {"community": "public"},
    "v3": {
        "user-name": "sha256-aes128",
        "auth-protocol": "sha256",
        "auth-key": AUTH_KEY,
        "priv-protocol": "aes128",
        "priv-key": PRIV_KEY,
    },
}


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("snmp: rack PDUs that Net-SNMP's agent poses as, processor time of this side")
    for recording, (title, below) in PDUS.items():
        agents = [await asyncio.to_thread(start_posing, recording, below) for _ in range(AGENTS)]
        for version in VERSIONS:
            await _measure(title, version, [agent.port for agent in agents], place, table)
        for agent in agents:
            agent.process.terminate()
            agent.process.wait()


async def _measure(title: str, version: str, ports: Sequence[int], place: Place, table: Table) -> None:
    gc.collect()
    before, open_before = _resident(), len(sockets())
    async with _opened(version, ports, place) as backends:
        gc.collect()
        memory, held = (_resident() - before) / len(backends), (len(sockets()) - open_before) / len(backends)
        ours, bare = await _passes(backends, place.times(5))
        values = len(backends[0]._plan.oids) if backends[0]._plan is not None else 0
    table.add(Row(f"a pass, {title}, {values} values, {version}", "ms", ours, PROMISE))
    table.add(Row("  of which are gufo-snmp alone", "ms", bare))
    table.add(Row("  times as much as gufo-snmp alone", "x", [statistics.median(ours) / statistics.median(bare)]))
    if title == next(iter(PDUS.values()))[0] and version == next(iter(VERSIONS)):  # while nothing was freed before
        table.note(f"between passes a device holds {memory / 1024:.0f} kB and {held:.2f} sockets")


@asynccontextmanager
async def _opened(version: str, ports: Sequence[int], place: Place) -> AsyncIterator[list[Snmp]]:
    """Many devices, all of them found and read once."""
    async with AsyncExitStack() as stack:
        backends = []
        for number in range(place.times(DEVICES)):
            context = Context(
                name=f"pdu-{number}",
                clock=lambda: Now(time.time(), time.monotonic()),
                random=random.Random(number),
                directory=place.folder / "snmp",
                log=logging.getLogger("bench"),
            )
            settings = {"address": "127.0.0.1", "port": ports[number % len(ports)], version: VERSIONS[version]}
            backend = PLUGIN.build(settings, context)
            assert isinstance(backend, Snmp)
            stack.push_async_callback(backend.close)
            await backend.open()
            assert not (await backend.read()).missing
            backends.append(backend)
        yield backends


async def _passes(backends: Sequence[Snmp], rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a pass, one mean over all devices for each round, and of the same requests without us."""
    plan = backends[0]._plan
    assert plan is not None
    names, chunk = list(plan.oids), backends[0]._client._chunk
    chunks = [names[start : start + chunk] for start in range(0, len(names), chunk)]

    async def alone(backend: Snmp) -> None:
        fast = backend._client._fast
        assert fast is not None
        for wanted in chunks:
            await fast._session.get_many(wanted)

    ours, bare = [], []
    for _ in range(rounds):
        ours.append(await _cost(backends, lambda backend: backend.read()))
        bare.append(await _cost(backends, alone))
    return ours, bare


async def _cost(backends: Sequence[Snmp], does: Callable[[Snmp], Awaitable[object]]) -> float:
    """Milliseconds of processor time for each device, with ``AT_ONCE`` of them in flight."""
    waiting = iter(backends)

    async def work() -> None:
        for backend in waiting:
            await does(backend)

    gc.collect()
    started = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - started) / len(backends) * 1e3


def _resident() -> int:
    """Bytes of this process in memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024

"""Starting: until the server answers with a stored site, and until the command line has told its options."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from bench.servers import Place, ours
from bench.table import Row, Table


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("start: from the command to the first answer, the site on the disk")
    for entities in place.sizes(100, 1000, 10_000):
        state = place.folder / f"start-{entities}"
        async with ours(place, entities, state=state):
            pass
        samples = []
        for _ in range(place.times(3)):
            async with ours(place, entities, state=state) as server:
                samples.append(server.seconds_to_ready)
        table.add(Row(f"ready, N={entities:,}", "s", samples))
    table.add(Row("--help", "s", [await asyncio.to_thread(_help) for _ in range(place.times(5))]))


def _help() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "eman_netconf", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started

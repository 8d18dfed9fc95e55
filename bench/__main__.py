"""``python -m bench [group ...]``: measure, and print what was promised beside it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench import (
    access,
    edits,
    history,
    ingest,
    notifications,
    peer_yuma,
    polling,
    reads,
    rpcs,
    sessions,
    snmp,
    start,
    year,
)
from bench.servers import Place
from bench.table import Table

GROUPS = {
    "reads": reads.run,
    "edits": edits.run,
    "access": access.run,
    "sessions": sessions.run,
    "rpcs": rpcs.run,
    "ingest": ingest.run,
    "history": history.run,
    "year": year.run,
    "notifications": notifications.run,
    "start": start.run,
    "polling": polling.run,
    "snmp": snmp.run,
}


def main() -> int:
    """Status 0 when every promise was kept, 1 when one was missed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("group", nargs="*", metavar="group", help=f"what to measure, else all: {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, no more than 1,000 entities")
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="a Python with the package netconf")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where states are kept (its disk counts)")
    options = parser.parse_args()
    for group in options.group:
        if group not in GROUPS:
            parser.error(f"there is no group {group!r}; there are: {', '.join(GROUPS)}")
    _raise_file_limit()
    print(f"{os.cpu_count()} x {_processor()}, Linux {platform.release()}, Python {platform.python_version()}")
    busy = os.getloadavg()[0]
    if busy > 0.5:
        print(f"the load is {busy:.1f} already: others work here too, and the times below are theirs as well")
    if options.peer_python is None:
        print("without the peer netconf: --peer-python was not given")
    if absent := peer_yuma.missing():
        print(f"without the peer yuma123: {absent} is not installed")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder, ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), options.peer_python, options.quick)
        table = Table(place.peers)
        uvloop.run(_run(options.group or list(GROUPS), place, table))
    missed = [row for row in table.rows if row.kept is False]
    print(f"\n{time.perf_counter() - started:.0f} s; {len(missed)} of the promises missed")
    for row in missed:
        print(f"  {row.name}: {row.cells(())[2]} instead of {row.cells(())[4]} {row.unit}")
    return 1 if missed else 0


async def _run(groups: list[str], place: Place, table: Table) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # and no server stays behind
    for group in groups:
        await GROUPS[group](place, table)
        gc.collect()
        await asyncio.sleep(0.5)


def _raise_file_limit() -> None:
    """A thousand sessions need as many sockets, here and (inherited) in the servers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())

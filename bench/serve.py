"""The server under measurement, in a process of its own: a Daemon on a generated site; commands come on stdin.

    python -m bench.serve FOLDER ENTITIES PUBLIC-KEY POLL-INTERVAL

prints ``ready HOST PORT`` when it answers and ``settled`` when all backends were read once. The line ``read``
on stdin has all of them read again, told by another ``settled``. ``prepare COUNT`` makes so many changes of power
states and ``notify`` lets them happen, no faster than all who subscribed read it; each is told by ``settled`` too. The
end of stdin stops the server.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

import eman_backends.simulated
from bench import site
from bench.client import USER
from eman_netconf.energy.effects import Notify
from eman_netconf.server.administrator import credentials
from eman_netconf.server.config import Bootstrap, Limits, Listen
from eman_netconf.server.daemon import Daemon, load_schema
from eman_netconf.server.plugins import Installed

_BATCH = 50  # events that happen together
_AHEAD = 256 * 1024  # bytes that wait for a session before the next ones happen


async def main(folder: Path, entities: int, key: tuple[str, str], poll_interval: int) -> None:
    passes = site.Passes()
    plugins = {
        "simulated": Installed(site.plugin(entities, passes), Path(eman_backends.simulated.__path__[0])),
    }
    daemon = Daemon(
        Bootstrap(state=folder, admin=USER, listen=(Listen(port=0),), limits=Limits()),
        plugins,
        load_schema(plugins),
        initial=[credentials(USER, key=key), site.configuration(entities, poll_interval)],
    )

    prepared: list[Notify] = []

    async def settle(count: int) -> None:
        await passes.reach(count)
        print("settled", flush=True)

    def ready(addresses: Sequence[tuple[str, int]]) -> None:
        host, port = addresses[0]
        print(f"ready {host} {port}", flush=True)
        group.create_task(settle(site.boxes(entities)))
        group.create_task(commands())

    async def commands() -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            if line == b"read\n":
                wanted = passes.count + site.boxes(entities)
                for box in range(site.boxes(entities)):
                    daemon.energy.poller.read_soon(site.box_id(box))
                await settle(wanted)
            elif line.startswith(b"prepare "):
                prepared[:] = (site.changed(daemon.schema, number) for number in range(int(line.split()[1])))
                print("settled", flush=True)
            elif line == b"notify\n":
                await notify()
                print("settled", flush=True)
        daemon.stop()

    async def notify() -> None:
        for start in range(0, len(prepared), _BATCH):
            daemon.energy.perform(prepared[start : start + _BATCH])
            await asyncio.sleep(0)
            while any(live.unread > _AHEAD for live in daemon.sessions.live()):  # noqa: ASYNC110 - a session tells nobody
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run(ready))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    algorithm, blob = Path(sys.argv[3]).read_text(encoding="ascii").split()[:2]
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), (algorithm, blob), int(sys.argv[4])))

"""Another session's waiting times, from a process of its own: one small <get> after another.

    python -m bench.probe HOST PORT KEY ENTITY

The line ``report`` on stdin prints the milliseconds each took since the last report, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from bench.client import Address, Client, get_subtree

_PAUSE = 0.001


async def main(address: Address, entity: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = loop.create_task(reader.readline())
    question = get_subtree(entity, "name")
    took: list[float] = []
    async with Client(address) as client:
        print("ready", flush=True)
        while True:
            started = time.perf_counter()
            await client.rpc(question)
            took.append((time.perf_counter() - started) * 1000)
            if line.done():
                if not line.result():
                    return
                print("report", json.dumps(took).replace(" ", ""), flush=True)
                took = []
                line = loop.create_task(reader.readline())
            await asyncio.sleep(_PAUSE)


if __name__ == "__main__":
    uvloop.run(main(Address(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])), sys.argv[4]))

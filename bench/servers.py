"""Servers as processes of their own: started, told to read or to stop, and their memory looked at."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from bench import peer_yuma
from bench.client import GET, GET_CONFIG, Address, Client

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300.0
_OURS = (ROOT / "src", ROOT / "backends", ROOT)  # of this checkout, also where another one is installed
NETCONF = "netconf 2.1.0"
YUMA = peer_yuma.NAME
ALL = (NETCONF, YUMA)


@dataclass(slots=True)
class Server:
    """A running server."""

    name: str
    process: asyncio.subprocess.Process
    address: Address
    seconds_to_ready: float

    async def tell(self, line: str) -> None:
        """One command to ``bench.serve``; returns when it is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.settled()

    async def settled(self) -> None:
        """Wait for the next ``settled``."""
        await expect(self.process, b"settled")

    def resident(self) -> float:
        """Bytes in memory now."""
        return self._status(b"VmRSS:")

    def peak(self) -> float:
        """Bytes in memory at most, since ``reset_peak``."""
        return self._status(b"VmHWM:")

    def reset_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def _status(self, name: bytes) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_bytes().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise LookupError(name)


@dataclass(slots=True)
class Place:
    """Where a run keeps its keys and states, and what it was asked for."""

    folder: Path
    peer_python: Path | None = None
    quick: bool = False
    key: Path = field(init=False)
    peers: tuple[str, ...] = field(init=False)  # the names of those that can be measured here

    def __post_init__(self) -> None:
        known = {NETCONF: self.peer_python is not None, YUMA: peer_yuma.missing() is None}
        self.peers = tuple(name for name, there in known.items() if there)
        self.key = self.folder / "client-key"
        for path in (self.key, self.folder / "host-key"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            path.touch(mode=0o600)
            path.write_bytes(key.export_private_key())
            key.write_public_key(f"{path}.pub")

    def times(self, count: int) -> int:
        """How often to measure something: less in a quick run."""
        return max(3, count // 10) if self.quick else count

    def sizes(self, *counts: int) -> tuple[int, ...]:
        """Numbers of entities to measure with: without the largest in a quick run."""
        return tuple(count for count in counts if count < 10_000) if self.quick else counts


async def expect(process: asyncio.subprocess.Process, word: bytes) -> list[str]:
    """The rest of the next line that begins with ``word``."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stdout.readline():
            first, *rest = line.split()
            if first == word:
                return [item.decode() for item in rest]
    raise RuntimeError(f"process {process.pid} ended before it said {word.decode()}")


@asynccontextmanager
async def ours(place: Place, entities: int, *, state: Path | None = None, poll: int = 86_400) -> AsyncIterator[Server]:
    """Our server with a generated site, all of its backends read once."""
    state = state or place.folder / f"state-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "bench.serve", str(state), str(entities), f"{place.key}.pub", str(poll)]
    async with _running("eman-netconf", place, command) as server:
        await server.settled()
        yield server


@asynccontextmanager
async def peers(place: Place, model: Server, wanted: Collection[str] = ALL) -> AsyncIterator[list[Server]]:
    """Those of ``place.peers`` that are ``wanted``, each with what ``model`` answers now."""
    async with AsyncExitStack() as stack:
        names = set(place.peers).intersection(wanted)
        if not names:
            yield []
            return
        async with Client(model.address) as client:
            state, config = [_data(await client.rpc(operation)) for operation in (GET, GET_CONFIG)]
        servers = []
        if NETCONF in names:
            servers.append(await stack.enter_async_context(_netconf(place, state, config)))
        if YUMA in names:
            servers.append(await stack.enter_async_context(_yuma(place, state)))
        yield servers


def _data(reply: bytes) -> bytes:
    """What stands in <data>."""
    return reply[reply.index(b">", reply.index(b"<data")) + 1 : reply.rindex(b"</data>")]


@asynccontextmanager
async def _netconf(place: Place, state: bytes, config: bytes) -> AsyncIterator[Server]:
    files = [place.folder / "get.xml", place.folder / "get-config.xml"]
    for path, content in zip(files, (state, config), strict=True):
        path.write_bytes(content)
    keys = [place.folder / "host-key", f"{place.key}.pub"]
    command = [place.peer_python, ROOT / "bench" / "peer_netconf.py", *files, *keys]
    async with _running(NETCONF, place, [str(word) for word in command]) as server:
        yield server


@asynccontextmanager
async def _yuma(place: Place, state: bytes) -> AsyncIterator[Server]:
    folder = place.folder / f"yuma-{time.monotonic_ns()}"
    folder.mkdir()
    keys = place.folder / "host-key", Path(f"{place.key}.pub")
    async with peer_yuma.serving(folder, state, *keys) as (process, port, user):
        yield Server(YUMA, process, Address("127.0.0.1", port, place.key, user), 0.0)


@asynccontextmanager
async def _running(name: str, place: Place, command: list[str]) -> AsyncIterator[Server]:
    log = (place.folder / "servers.log").open("ab")
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _OURS))},
    )
    try:
        host, port = await expect(process, b"ready")
        yield Server(name, process, Address(host, int(port), place.key), time.perf_counter() - started)
    finally:
        await _stopped(process)
        log.close()


async def _stopped(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()

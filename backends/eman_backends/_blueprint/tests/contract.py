"""The device that the contract tests put behind this backend: a small TCP server that can die, dawdle and lie."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eman_backends._blueprint import PLUGIN
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings


@dataclass
class Clamp:
    """The imagined device, on a free port of this machine."""

    on: bool = True
    orders: int = 0
    silent: bool = False
    lying: bool = False
    forgetful: bool = False  # carries out orders but does not answer them
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                answer = self._answer(line.decode().strip())
                if answer is not None and not self.silent:
                    writer.write(f"{answer}\n".encode())
        writer.transport.abort()
        self._writers.discard(writer)

    def _answer(self, question: str) -> str | None:
        if question in {"on", "off"}:
            self.orders += 1
            self.on = question == "on"
            return None if self.forgetful else "done"
        if self.lying:
            return "NaN watts, or so"
        return {"model": "Clamp 2", "supply": "on" if self.on else "off", "power": "812.5" if self.on else "0.0"}.get(
            question, "what?"
        )


@dataclass
class Case:
    """What the contract tests are given; see docs/backends.md."""

    settings: Settings
    device: Clamp
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no address": {"port": 7000},
            "no such port": {"address": "127.0.0.1", "port": 70000},
        }
    )
    orders: tuple[Command, ...] = (Command(1, "", CommandKind.SWITCH_SUPPLY, Point(interface="out"), "off", 5.0),)

    async def die(self) -> None:
        await self.device.stop()

    async def revive(self) -> None:
        await self.device.start()

    async def dawdle(self) -> None:
        self.device.silent = True

    async def lie(self) -> None:
        self.device.lying = True

    async def lose_answers(self) -> None:
        self.device.forgetful = True

    def carried_out(self) -> int:
        return self.device.orders


@contextlib.asynccontextmanager
async def subject(tmp_path: Path) -> AsyncIterator[Case]:
    """A device that works, until a test spoils it."""
    del tmp_path
    device = Clamp()
    await device.start()
    try:
        yield Case({"address": "127.0.0.1", "port": device.port}, device)
    finally:
        await device.stop()

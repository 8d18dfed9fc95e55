"""A relay on a port of its own before a device: it can lose, spoil and hold back what the device answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

WRITES = frozenset({5, 6, 15, 16})
Spoil = Callable[[bytes, bytes], bytes | None]  # question and answer, whole frames; what is passed on


class Relay:
    """Passes on frame by frame; ``spoil`` decides what becomes of each answer."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.spoil: Spoil = lambda question, answer: answer
        self.questions: list[bytes] = []
        self.carried_out = 0  # writes that the device accepted
        self.connections = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """No longer there: nothing listens, what was open is cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Close what is open."""
        for writer in self._writers:
            writer.transport.abort()

    def lead_to(self, target: int) -> None:
        """Another device stands there from now on."""
        self._target = target
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, behind_writer}
        with contextlib.suppress(OSError, EOFError):
            while True:
                question = await _frame(reader)
                self.questions.append(question)
                behind_writer.write(question)
                answer = await _frame(behind_reader)
                if question[7] in WRITES and answer[7] == question[7]:
                    self.carried_out += 1
                passed = self.spoil(question, answer)
                if passed is not None:
                    writer.write(passed)
        for one in (writer, behind_writer):
            one.transport.abort()
            self._writers.discard(one)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(6)
    return header + await reader.readexactly(int.from_bytes(header[4:], "big"))

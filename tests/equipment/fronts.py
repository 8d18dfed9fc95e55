"""What stands between the server and each device: it passes everything on and counts the orders."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from eman_backends.snmp.tests.relay import Relay

T = TypeVar("T")
PATIENCE = 60.0  # seconds
WRITES = frozenset({5, 6, 15, 16})  # function codes of Modbus
LONGEST = 1 << 20  # octets without an end of line that are looked at again


class Lines:
    """Counts orders in a stream of lines."""

    def __init__(self, order: str) -> None:
        self._order = re.compile(order.encode())

    def count(self, received: bytearray) -> int:
        """The orders in what was received; what was looked at is taken out."""
        end = received.rfind(b"\n") + 1
        if not end and len(received) > LONGEST:
            end = len(received)
        found = len(self._order.findall(bytes(received[:end])))
        del received[:end]
        return found


class Frames:
    """Counts writes in a stream of Modbus TCP frames."""

    @staticmethod
    def count(received: bytearray) -> int:
        """As of Lines."""
        found = 0
        while len(received) >= 8 and len(received) >= (whole := 6 + int.from_bytes(received[4:6], "big")):
            found += received[7] in WRITES
            del received[:whole]
        return found


class Stream:
    """A front of TCP. ``device`` is the port behind it, which may change while connections come and go."""

    def __init__(self, counter: Lines | Frames) -> None:
        self.port = 0
        self.device = 0
        self.orders = 0
        self._counter = counter
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            behind, to_device = await asyncio.open_connection("127.0.0.1", self.device)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, to_device, bytearray()))
                    group.create_task(self._pump(behind, writer, None))
            finally:
                to_device.transport.abort()
        except (OSError, ExceptionGroup):
            pass  # one of the two went, and so does the other
        finally:
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None) -> None:
        while data := await reader.read(65536):
            if seen is not None:
                seen += data
                self.orders += self._counter.count(seen)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


class Fronts:
    """All fronts of a site, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fronts")
        self._opened: list[Stream | Relay] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for front in self._opened:
            self.run(_stopped(front))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def run(self, does: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(does, self._loop).result(PATIENCE)

    def stream(self, counter: Lines | Frames) -> Stream:
        front = Stream(counter)
        self.run(front.start())
        self._opened.append(front)
        return front

    def datagrams(self, device: int) -> Relay:
        """A front of SNMP, with ``device`` behind it for good."""
        front = Relay(device)
        self.run(front.start())
        self._opened.append(front)
        return front


async def _stopped(front: Stream | Relay) -> None:
    if isinstance(front, Stream):
        await front.stop()
    else:
        front.stop()

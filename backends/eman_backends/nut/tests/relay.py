"""A relay between the backend and upsd, which counts orders and can spoil the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

ORDERS = (b"INSTCMD ", b"SET VAR ")
LIES: tuple[Callable[[bytes], bytes], ...] = (
    lambda said: said.replace(b'"', b""),
    lambda said: said.replace(b"VAR ", b"VAR another"),
    lambda said: said[: len(said) // 2] + b"\n",
    lambda said: said.translate(bytes.maketrans(b"0123456789", b"-eE.nN+_ ~")),
    lambda said: said[::-1],
    lambda said: said.replace(b"END LIST", b"END LISP"),
)


@dataclass
class Relay:
    """Passes lines on to the server and back, as long as it is in the mood."""

    server: int  # the port of upsd
    port: int = 0
    silent: bool = False
    lying: bool = False
    forgetful: bool = False  # passes on what is asked, but no answers
    orders: int = 0
    heard: list[bytes] = field(default_factory=list)  # all lines that were passed on
    _listener: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)
    _lie: int = 0

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(to_server)
        there = asyncio.create_task(self._pump(reader, to_server, self._ask))
        back = asyncio.create_task(self._pump(from_server, writer, self._answer))
        self._pumps |= {there, back}
        for pump in (there, back):
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while said := await reader.read(65536):
                writer.write(mood(said))
                await writer.drain()
        writer.transport.abort()

    def _ask(self, said: bytes) -> bytes:
        lines = said.splitlines()
        self.heard += lines
        self.orders += sum(line.startswith(ORDERS) for line in lines)
        return said

    def _answer(self, said: bytes) -> bytes:
        if self.silent or self.forgetful:
            return b""
        if self.lying:
            self._lie += 1
            return LIES[self._lie % len(LIES)](said)
        return said

"""The store as the server has it: takes what is recorded, answers what operations ask, tells of itself."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from eman_netconf.energy.samples import Channel, Energy, Recorded, Sample, Span, Stretch
from eman_netconf.energy.values import Now
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.server.samples.file import SamplesUnusable
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.waiting import MOST
from eman_netconf.server.samples.writer import Told, Writer

log = logging.getLogger(__name__)

FILE: Final = "samples.sqlite"

_READERS: Final = 2  # that read at once; more wait
_MOST_AT_ONCE: Final = 10_000  # samples of one answer
_PATIENCE: Final = 2.0  # seconds an answer waits for what is not written yet

Answer = TypeVar("Answer")


class SampleStore:
    """Of the file ``samples.sqlite`` in ``folder``; ``now`` tells the clocks by which samples age.

    A disk or a file that fails costs samples and answers, and nothing else.
    """

    def __init__(
        self, folder: Path, now: Callable[[], Now], settings: Settings | None = None, *, most: int = MOST
    ) -> None:
        self._path = folder / FILE
        self.sources: list[Callable[[], Awaitable[None]]] = []  # asked for what they still have to record
        self._writer = Writer(self._path, now, settings or Settings(), most)
        self._writer.start()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="samples-read")
        self._local = threading.local()
        self._open: set[Reader] = set()

    def record(self, what: Recorded) -> None:
        """Keep it; it is on the disk within about a second. Never waits."""
        self._writer.put(what)

    def hold(self, held: bool) -> None:
        """Keep what is recorded off the disk, within bounds, as long as what goes before it is not stored."""
        self._writer.hold(held)

    def configure(self, settings: Settings) -> None:
        """Keep samples as long as this from now on."""
        self._writer.configure(settings)

    @property
    def told(self) -> Told:
        """What the store says of itself, a few seconds old; what was lost is of now."""
        told = self._writer.told
        return Told(told.samples, told.size, told.oldest, told.newest, told.last_write, self._writer.lost)

    async def close(self) -> None:
        """Write the rest and close the file, within a few seconds.

        The writer is the last to close it: then SQLite leaves one whole file, and nothing beside it.
        """
        await asyncio.to_thread(self._readers.shutdown)
        for reader in self._open:
            reader.close()
        self._open.clear()
        self._writer.stop()
        if not await asyncio.to_thread(self._writer.join):
            log.error("the disk does not take the last samples; they are given up")

    # --- what operations ask (operations/samples_port.py)

    async def samples(
        self, channel: Channel, start: float, end: float, resolution: float | None, limit: int
    ) -> tuple[list[Sample], float | None]:
        return await self._ask(
            lambda reader: reader.samples(channel, start, end, resolution, min(limit, _MOST_AT_ONCE))
        )

    async def energy(self, owner: str, part: str, start: float, end: float) -> Energy | None:
        return await self._ask(lambda reader: reader.energy(owner, part, start, end))

    async def span(self, channel: Channel) -> Span:
        return await self._ask(lambda reader: reader.span(channel))

    async def corrections(self, owner: str, part: str, start: float, end: float) -> list[Stretch]:
        return await self._ask(lambda reader: reader.corrections(owner, part, start, end))

    async def written(self) -> None:
        """Wait until what was recorded by now can be read, or the disk takes too long over it."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for source in self.sources:
                    await source()
                await asyncio.wrap_future(self._writer.flushed())
        except TimeoutError:
            return

    async def _ask(self, question: Callable[[Reader], Answer]) -> Answer:
        await self.written()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._answer, question)

    def _answer(self, question: Callable[[Reader], Answer]) -> Answer:
        try:
            return question(self._reader())
        except (SamplesUnusable, sqlite3.Error, ValueError, OSError) as error:
            self._forget()
            log.error("samples cannot be read: %s", error)
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                "The samples cannot be read at present; the server's log tells why. Try again later.",
            ) from None

    def _reader(self) -> Reader:
        known: tuple[int, Reader] | None = getattr(self._local, "reader", None)
        if known is not None and known[0] == self._writer.files:
            return known[1]
        self._forget()
        files = self._writer.files
        reader = Reader(self._path)
        self._local.reader = (files, reader)
        self._open.add(reader)
        return reader

    def _forget(self) -> None:
        known: tuple[int, Reader] | None = getattr(self._local, "reader", None)
        if known is not None:
            self._local.reader = None
            self._open.discard(known[1])
            known[1].close()

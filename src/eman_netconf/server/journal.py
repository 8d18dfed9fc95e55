"""The journal in the shell: commits go to the disk in a thread, and a confirmed commit is rolled back in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from eman_netconf.datastore import history
from eman_netconf.datastore.commit import roll_back_due
from eman_netconf.datastore.datastores import Datastores
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import ErrorTag, RpcError

log = logging.getLogger(__name__)

_LONGEST = 3600.0  # seconds asleep at once; a timer of a hundred years is asked for again


class DiskJournal:
    """The port of commits to the disk: one thread, never left half-way by a cancelled session."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    async def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        await self._finished(partial(self.storage.append, record, unconfirmed=unconfirmed))

    async def confirm(self) -> None:
        await self._finished(self.storage.confirm)

    def owe(self, record: bytes) -> None:
        self.storage.owe(record)

    async def checkpoint(self, content: bytes, wall: float) -> None:
        await self._finished(partial(self.storage.checkpoint, content, wall))

    async def read(self, first: int, last: int) -> list[bytes]:
        """The records of the commits from ``first`` to ``last``, as many as there are. Raises RpcError."""
        try:
            call = partial(history.read, self.storage.directory, first, last)
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except OSError as error:
            text = f"The history cannot be read ({error.strerror or error}); repair the disk."
            raise RpcError(ErrorTag.OPERATION_FAILED, text) from None

    async def _finished(self, call: Callable[[], None]) -> None:
        """Wait for the disk whatever happens meanwhile; a cancellation is passed on afterwards."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, call)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError as error:
                cancelled = error
            except Exception:  # noqa: BLE001, S110 - told by result() below
                pass
        future.result()
        if cancelled is not None:
            raise cancelled

    def close(self) -> None:
        self._thread.shutdown()
        self.storage.close()


async def keep_time(datastores: Datastores, wall: Callable[[], float], mono: Callable[[], float]) -> None:
    """Roll confirmed commits back when their time is over or their session has gone, until cancelled.

    ``mono`` gives seconds of the clock that nobody sets, in which their deadlines are.
    """
    moved = asyncio.Event()
    datastores.timer_moved = moved.set
    while True:
        moved.clear()
        due = datastores.next_timer()
        wait = None if due is None else min(due - mono(), _LONGEST)
        if wait is None or wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await moved.wait()
            continue
        try:
            await roll_back_due(datastores, wall(), mono())
        except Exception:
            log.exception("a confirmed commit could not be rolled back; tried again in a second")
            await asyncio.sleep(1.0)

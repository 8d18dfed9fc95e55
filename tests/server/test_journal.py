"""The timer of confirmed commits in the shell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eman_netconf.datastore.candidate import edit_candidate
from eman_netconf.datastore.commit import commit_candidate
from eman_netconf.datastore.confirmed import Action, Ask
from eman_netconf.datastore.datastores import Author, Confirmation, Datastores
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.storage import Storage
from eman_netconf.server.journal import DiskJournal, keep_time
from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema
from tests.datastore.toy import MODELS, config, plain

AUTHOR = Author("u", 1, 0.0)
PATIENCE = 60.0


@pytest.fixture(scope="module")
def toy() -> Schema:
    """A small schema with every kind of node."""
    return compile_schema(["toy"], [MODELS, *sources.standard_models()])


class Timed:
    """Datastores with their timer, and what it told."""

    def __init__(self, datastores: Datastores) -> None:
        self.datastores = datastores
        self.told: asyncio.Queue[Confirmation] = asyncio.Queue()
        self.wall = 0.0
        datastores.confirmations.append(self.told.put_nowait)

    async def confirmed(self, left: float, *, persist: str | None = None) -> None:
        """A confirmed commit whose time is over in so many seconds."""
        schema = self.datastores.schema

        await edit_candidate(
            self.datastores,
            lambda root: apply_edit(root, config("<motto>m</motto>"), schema),
            AUTHOR,
            lambda _change: None,
        )
        ask = Ask(1, confirmed=True, timeout=600, persist=persist)
        await commit_candidate(self.datastores, AUTHOR, lambda _change: None, ask, time.monotonic() - 600 + left)
        assert await self.next() is Action.START
        assert plain(self.datastores.running) == "<motto>m</motto>"

    async def next(self) -> Action:
        async with asyncio.timeout(PATIENCE):
            return (await self.told.get()).event


@asynccontextmanager
async def timed(directory: Path, schema: Schema) -> AsyncIterator[Timed]:
    storage = Storage(directory, schema)
    found = storage.recover(lambda _root: [], 0.0)
    journal = DiskJournal(storage)
    datastores = Datastores(schema, found.root, found.generation, journal=journal, writer=asyncio.Lock())
    made = Timed(datastores)
    task = asyncio.create_task(keep_time(datastores, lambda: made.wall, time.monotonic))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait({task})
        journal.close()


async def test_the_time_is_over(tmp_path: Path, toy: Schema) -> None:
    """A commit that is not confirmed in time is rolled back, on the disk too."""
    async with timed(tmp_path, toy) as made:
        await made.confirmed(0.05)
        assert await made.next() is Action.TIMEOUT
        assert plain(made.datastores.running) == ""
        assert made.datastores.generation == 2


async def test_the_session_is_over(tmp_path: Path, toy: Schema) -> None:
    """The end of the session rolls its commit back at once; a persistent one waits on."""
    async with timed(tmp_path, toy) as made:
        await made.confirmed(500.0)
        made.datastores.release(2)
        made.datastores.release(1)
        assert await made.next() is Action.CANCEL
        assert plain(made.datastores.running) == ""
        await made.confirmed(500.0, persist="t")
        made.datastores.release(1)
        assert made.datastores.next_timer() != 0.0


async def test_a_stepped_wall_clock(tmp_path: Path, toy: Schema) -> None:
    """A wall clock that is set forward by a year fires nothing, set back by one it forgets nothing."""
    async with timed(tmp_path, toy) as made:
        await made.confirmed(500.0)
        made.wall += 365 * 86400
        made.datastores.timer_moved()
        for _ in range(10):
            await asyncio.sleep(0)
        assert plain(made.datastores.running) == "<motto>m</motto>"
        await commit_candidate(made.datastores, AUTHOR, lambda _change: None, Ask(1), time.monotonic())
        assert await made.next() is Action.COMPLETE
        made.wall -= 2 * 365 * 86400
        await made.confirmed(0.05, persist="t")
        assert await made.next() is Action.TIMEOUT


async def test_a_new_time_replaces_the_old(tmp_path: Path, toy: Schema) -> None:
    """A follow-up with less time is rolled back in that time, not in the first one's."""
    async with timed(tmp_path, toy) as made:
        await made.confirmed(500.0)
        ask = Ask(1, confirmed=True, timeout=600)
        await commit_candidate(made.datastores, AUTHOR, lambda _change: None, ask, time.monotonic() - 599.95)
        assert [await made.next(), await made.next()] == [Action.EXTEND, Action.TIMEOUT]
        assert plain(made.datastores.running) == ""

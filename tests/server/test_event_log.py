"""The log of events on the disk: what is kept, in which order, over restarts, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eman_netconf.notifications.streams import Streams
from eman_netconf.server import event_log
from eman_netconf.server.event_log import KEPT_SECONDS, MOST_WAITING, StoredEvents
from eman_netconf.server.history import HistoryUnusable
from eman_netconf.yang.schema import Schema
from tests.notifications.stage import Stage
from tests.server.test_ssh import until


class LogStage(Stage):
    """A stage with the log under test, which writes while ``tended``."""

    def __init__(self, schema: Schema, path: Path, kept: int = 1000) -> None:
        super().__init__(schema)
        self.path = path
        self.kept = kept
        self.open()

    def open(self) -> None:
        self.stored = StoredEvents(self.path, self.schema, lambda: self.wall, kept=self.kept)
        self.streams = Streams(self.stored, lambda: self.wall)

    @asynccontextmanager
    async def tended(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.stored.tend())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def again(self) -> None:
        """Close in order and open anew."""
        await self.stored.close()
        self.open()

    async def numbers(self, after: int = 0, start: float = 0.0, stop: float | None = None, limit: int = 5000) -> list:
        return [event.number for event in await self.stored.read(after, start, stop, limit)]


@pytest.fixture
async def kept(schema: Schema, tmp_path: Path) -> AsyncIterator[LogStage]:
    stage = LogStage(schema, tmp_path / "history.sqlite")
    yield stage
    await stage.stored.close()


async def test_read(kept: LogStage) -> None:
    """Events are found by number and time, so many at once, whether they are on the disk yet or not."""
    for _ in range(5):
        kept.happen()
        kept.wall += 1
    await kept.again()
    for _ in range(5):
        kept.happen()
        kept.wall += 1
    first = kept.wall - 10
    assert await kept.numbers() == list(range(1, 11))
    assert await kept.numbers(after=4) == [5, 6, 7, 8, 9, 10]
    assert await kept.numbers(limit=7) == [1, 2, 3, 4, 5, 6, 7]
    assert await kept.numbers(limit=3) == [1, 2, 3]
    assert await kept.numbers(start=first + 3, stop=first + 7) == [4, 5, 6, 7, 8]
    assert await kept.numbers(after=10) == []


async def test_restart(kept: LogStage) -> None:
    """After a restart the events are there with the same bytes, and numbers go on."""
    assert (kept.stored.last, kept.stored.oldest, kept.stored.created) == (0, None, kept.wall)
    created = kept.wall
    before = [kept.happen(entity) for entity in ("ups-1", "pdu-1")]
    kept.wall += 60
    await kept.again()
    assert (kept.stored.last, kept.stored.oldest, kept.stored.created) == (2, created, created)
    after = await kept.stored.read(0, 0.0, None, 10)
    assert [(event.number, event.wall, event.entity, event.message) for event in after] == [
        (event.number, event.wall, event.entity, event.message) for event in before
    ]
    assert [event.notification for event in after] == [event.notification for event in before]
    assert kept.happen().number == 3


async def test_read_while_written(kept: LogStage) -> None:
    """While batches go to the disk a reader finds each event once and in order."""
    async with kept.tended():
        found: list[int] = []
        for _ in range(40):
            for _ in range(100):
                kept.happen()
            found += await kept.numbers(after=found[-1] if found else 0)
        assert found == list(range(1, 4001))[-len(found) :]
        assert found[-1] == 4000


async def test_written_soon(kept: LogStage) -> None:
    """What is appended goes to the disk by itself, where a process that is killed leaves it."""
    with contextlib.closing(sqlite3.connect(kept.path)) as other:
        async with kept.tended(), asyncio.timeout(60):
            kept.happen()
            await until(lambda: other.execute("SELECT count(*) FROM event").fetchone()[0])


async def test_bounded_by_count(schema: Schema, tmp_path: Path) -> None:
    """The log keeps so many events; the time of the newest one that went is told."""
    stage = LogStage(schema, tmp_path / "history.sqlite", kept=10)
    for _ in range(25):
        stage.happen()
        stage.wall += 1
    first = stage.wall - 25
    assert stage.stored.aged is None
    await stage.again()
    assert await stage.numbers() == list(range(16, 26))
    assert (stage.stored.oldest, stage.stored.aged) == (first + 15, first + 14)
    await stage.stored.close()


async def test_bounded_by_age(kept: LogStage) -> None:
    """Events that are too old go."""
    first = kept.wall
    kept.happen()
    kept.wall += 10
    kept.happen()
    await kept.again()
    kept.wall = first + KEPT_SECONDS + 5
    kept.happen()
    await kept.again()
    assert await kept.numbers() == [2, 3]
    assert kept.stored.aged == first


async def test_unknown_notifications_go(kept: LogStage) -> None:
    """Events of a model that is gone are not kept: nobody could judge or filter them."""
    kept.happen()
    kept.happen()
    await kept.stored.close()
    with contextlib.closing(sqlite3.connect(kept.path)) as db, db:
        db.execute("UPDATE event SET name = 'gone' WHERE number = 1")
    kept.open()
    assert await kept.numbers() == [2]


async def test_content_is_read_when_asked(kept: LogStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that comes back is sent as the bytes it had; it is read only for filters and rules."""
    kept.happen("ups-1")
    await kept.again()
    reads: list[object] = []
    monkeypatch.setattr(event_log, "read_inner", lambda *given, **_: reads.append(given))
    (event,) = await kept.stored.read(0, 0.0, None, 10)
    assert b">ups-1<" in event.message
    assert not reads
    monkeypatch.undo()
    (event,) = await kept.stored.read(0, 0.0, None, 10)
    assert event.notification.leaf("entity") == "ups-1"


async def test_disk_trouble(kept: LogStage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk cannot be written events are told once in the log, kept in memory and read; then written."""
    monkeypatch.setattr(event_log, "STORE_WITHIN", 0.01)
    with contextlib.closing(sqlite3.connect(kept.path, isolation_level=None)) as other:
        kept.stored._db.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN IMMEDIATE")  # a writer that does not end is trouble enough
        async with kept.tended(), asyncio.timeout(60):
            kept.happen()
            await until(lambda: "events cannot be written" in caplog.text)
            kept.happen()
            assert await kept.numbers() == [1, 2]
            with caplog.at_level(logging.INFO):
                other.execute("ROLLBACK")
                await until(lambda: "events are written again" in caplog.text)
    assert caplog.text.count("events cannot be written") == 1
    await kept.again()
    assert await kept.numbers() == [1, 2]


async def test_memory_is_bounded(kept: LogStage) -> None:
    """Without a disk the oldest events are given up."""
    notification = kept.notification()
    for _ in range(MOST_WAITING + 5):
        kept.streams.publish(notification)
    assert (await kept.numbers(limit=1)) == [6]


async def test_unusable(schema: Schema, tmp_path: Path) -> None:
    """A file that is no database is told in one sentence."""
    path = tmp_path / "history.sqlite"
    path.write_text("something else, long enough to be looked at" * 100)
    with pytest.raises(HistoryUnusable, match="move the file away"):
        StoredEvents(path, schema, lambda: 0.0)

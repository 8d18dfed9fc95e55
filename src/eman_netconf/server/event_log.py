"""The log of events on the disk: a table of history.sqlite within bounds, written in batches off the loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, TypeVarTuple

from eman_netconf import safexml
from eman_netconf.notifications.streams import Event
from eman_netconf.server.history import HistoryUnusable
from eman_netconf.yang.events import event_schema
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Late

log = logging.getLogger(__name__)

#: So many events are kept, and for so many seconds.
KEPT: Final = 100_000
KEPT_SECONDS: Final = 30 * 86_400.0

#: Seconds from an event to the disk, at most; what a crash may lose.
STORE_WITHIN: Final = 0.5

#: Events written in one transaction; more make it begin at once.
BATCH: Final = 2_000

#: Events that wait for a disk that cannot be written; past it the oldest of them are given up.
MOST_WAITING: Final = 20_000

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY, wall REAL NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    entity TEXT NOT NULL, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS event_log (created REAL NOT NULL, aged REAL, announced TEXT NOT NULL DEFAULT '[]');
"""
_AGE_EVERY: Final = 60.0  # seconds between looks for events that are too old
_READ: Final = """
SELECT number, wall, namespace, name, entity, content FROM event
WHERE number > ? AND wall >= ? AND wall <= ? ORDER BY number LIMIT ?
"""
_TOO_MANY: Final = ("SELECT max(wall) FROM event WHERE number <= ?", "DELETE FROM event WHERE number <= ?")
_TOO_OLD: Final = ("SELECT max(wall) FROM event WHERE wall < ?", "DELETE FROM event WHERE wall < ?")

Given = TypeVarTuple("Given")
Answer = TypeVar("Answer")
_Row = tuple[int, float, str, str, str, bytes]


class _Bounds(NamedTuple):
    """What is in the table: when its oldest event happened, and the newest one that it has lost."""

    oldest: float | None
    aged: float | None


class StoredEvents:
    """An EventLog in ``path``. ``tend`` writes what is appended; ``close`` writes the rest.

    Raises HistoryUnusable when the file cannot be opened.
    """

    def __init__(self, path: Path, schema: Schema, wall: Callable[[], float], *, kept: int = KEPT) -> None:
        self._schema = schema
        self._events = event_schema(schema).root.children
        self._wall = wall
        self._kept = kept
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._trouble = False
        self._looked_for_old = -math.inf
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            row = self._db.execute("SELECT created FROM event_log").fetchone()
            if row is None:
                row = (wall(),)
                self._db.execute("INSERT INTO event_log (created) VALUES (?)", row)
            self._forget_unknown()
            (last,) = self._db.execute("SELECT max(number) FROM event").fetchone()
            self._bounds = self._look()
        except sqlite3.Error as error:
            raise HistoryUnusable(f"{path}: {error}; move the file away to start with an empty history") from None
        self.created: float = row[0]
        self.last: int = last or 0
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="events")

    @property
    def aged(self) -> float | None:
        return self._bounds.aged

    @property
    def oldest(self) -> float | None:
        if self._bounds.oldest is not None:
            return self._bounds.oldest
        return self._waiting[0].wall if self._waiting else None

    def append(self, event: Event) -> None:
        self.last = event.number
        self._waiting.append(event)
        self._news.set()
        if len(self._waiting) >= BATCH:
            self._urgent.set()
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()

    async def read(self, after: int, start: float, stop: float | None, limit: int) -> Sequence[Event]:
        until = math.inf if stop is None else stop
        waiting = [event for event in self._waiting if event.number > after and start <= event.wall <= until]
        rows = await self._on_disk(self._find, (after, start, until, limit))
        events = [self._event(row) for row in rows]
        newest = events[-1].number if events else after
        events += islice((event for event in waiting if event.number > newest), limit - len(events))
        return events

    async def announced(self, capabilities: Sequence[str]) -> list[str]:
        """What the hello announced when this was asked last, empty at first; ``capabilities`` is what it does now."""
        return await self._on_disk(self._announced, json.dumps(list(capabilities)))

    async def tend(self) -> None:
        """Write what is appended, soon, until cancelled."""
        while True:
            await self._news.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STORE_WITHIN):
                    await self._urgent.wait()
            self._news.clear()
            self._urgent.clear()
            await self._store()
            if self._trouble:
                await asyncio.sleep(STORE_WITHIN)
                self._news.set()

    async def close(self) -> None:
        """Write the rest and close the file."""
        await self._store()
        self._disk.shutdown()
        self._db.close()

    # --- on the loop

    async def _store(self) -> None:
        while self._waiting:
            rows = [self._row(event) for event in islice(self._waiting, BATCH)]
            wall = self._wall()
            look = abs(wall - self._looked_for_old) >= _AGE_EVERY
            try:
                self._bounds = await self._on_disk(self._write, rows, wall - KEPT_SECONDS if look else None)
            except sqlite3.Error as error:
                if not self._trouble:
                    log.error("events cannot be written (%s); the newest are kept in memory and tried again", error)
                self._trouble = True
                return
            if look:
                self._looked_for_old = wall
            if self._trouble:
                log.info("events are written again")
                self._trouble = False
            while self._waiting and self._waiting[0].number <= rows[-1][0]:
                self._waiting.popleft()

    @staticmethod
    def _row(event: Event) -> _Row:
        node = event.notification.schema
        return event.number, event.wall, node.namespace, node.name, event.entity, event.notification.xml()

    def _event(self, row: _Row) -> Event:
        number, wall, namespace, name, entity, content = row
        node = self._events[namespace, name]
        return Event(number, wall, Late(node, partial(_children, content, node, self._schema), xml=content), entity)

    # --- in the thread

    async def _on_disk(self, call: Callable[[*Given], Answer], *arguments: *Given) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call, *arguments)

    def _find(self, asked: tuple[int, float, float, int]) -> list[_Row]:
        return self._db.execute(_READ, asked).fetchall()

    def _announced(self, now: str) -> list[str]:
        (before,) = self._db.execute("SELECT announced FROM event_log").fetchone()
        if before != now:
            self._db.execute("UPDATE event_log SET announced = ?", (now,))
        return list(json.loads(before))

    def _write(self, rows: Sequence[_Row], older_than: float | None) -> _Bounds:
        """One batch in one transaction, and out with what is too much or too old. Raises sqlite3.Error."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._drop(*_TOO_MANY, rows[-1][0] - self._kept)
            if older_than is not None:
                self._drop(*_TOO_OLD, older_than)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return self._look()

    def _drop(self, newest_of: str, delete: str, bound: float) -> None:
        (newest,) = self._db.execute(newest_of, (bound,)).fetchone()
        if newest is not None:
            self._db.execute(delete, (bound,))
            self._db.execute("UPDATE event_log SET aged = max(coalesce(aged, ?), ?)", (newest, newest))

    def _look(self) -> _Bounds:
        row = self._db.execute("SELECT wall FROM event ORDER BY number LIMIT 1").fetchone()
        (aged,) = self._db.execute("SELECT aged FROM event_log").fetchone()
        return _Bounds(row and row[0], aged)

    def _forget_unknown(self) -> None:
        """Events of notifications that no model describes any more cannot be judged or filtered: they go."""
        for known in self._db.execute("SELECT DISTINCT namespace, name FROM event").fetchall():
            if known not in self._events:
                self._db.execute("DELETE FROM event WHERE namespace = ? AND name = ?", known)


def _children(content: bytes, node: SchemaNode, schema: Schema) -> dict[SchemaNode, Data]:
    """What the notification holds, read when a filter or a rule asks; what a newer model does not know is left out."""
    return dict(read_inner(safexml.parse(content), node, schema, errors=[]).children)

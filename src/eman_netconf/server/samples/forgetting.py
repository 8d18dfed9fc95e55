"""Forgetting: things of which nothing is kept any more give their numbers back, some at a time."""

from __future__ import annotations

import sqlite3
from typing import Final

from eman_netconf.server.samples.file import SHARD_BITS, SHELF_BITS
from eman_netconf.server.samples.names import Names
from eman_netconf.server.samples.state import State
from eman_netconf.server.samples.values import DAY, unpack

_AT_ONCE: Final = 8 << SHARD_BITS  # shelves looked at in one step
_OPEN: Final = 2  # days before the present one whose hours may not be put together yet
_SHELF: Final = (1 << SHELF_BITS) - 1


class Round:
    """A round over all shelves whenever a day was put together or dropped: nothing is forgotten in between."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._last: tuple[int, int] | None = None

    def step(self, db: sqlite3.Connection, names: Names, state: State, now: float) -> bool:
        """Look at some shelves, within a transaction; whether there was something to look at."""
        if self._at is None:
            (oldest,) = db.execute("SELECT coalesce(min(key), 0) FROM daily").fetchone()
            mark = (state.closed, oldest >> SHELF_BITS)
            if mark == self._last:
                return False
            self._last, self._at = mark, 0
        first, last = self._at, self._at + _AT_ONCE
        gone = _gone(db, names, state, now, first, last)
        if gone:
            names.forget(gone)
        (more,) = db.execute("SELECT min(id) FROM shelf WHERE id >= ?", (last,)).fetchone()
        self._at = None if more is None else more >> SHARD_BITS << SHARD_BITS
        return True


def _gone(db: sqlite3.Connection, names: Names, state: State, now: float, first: int, last: int) -> set[int]:
    """The shelves from ``first`` to before ``last`` of which nothing is kept.

    Looked up where most are found at once: in the head, then day by day from the newest. A block has its hour or day.
    """
    shelves = {shelf for (shelf,) in db.execute("SELECT id FROM shelf WHERE id >= ? AND id < ?", (first, last))}
    for query in (
        "SELECT DISTINCT shelf FROM stretch WHERE shelf >= ? AND shelf < ?",
        "SELECT shelf FROM channel WHERE shelf >= ? AND shelf < ? AND series != ''",
    ):
        shelves.difference_update(shelf for (shelf,) in db.execute(query, (first, last)))
    shelves.difference_update(known.shelf for id_ in _fresh(db, first, last) if (known := names.by_id.get(id_)))
    _thin(db, "daily", 0, shelves, first, last)
    opened = min(state.closed, int(now // DAY)) - _OPEN
    _thin(db, "hourly", opened * 24, shelves, first, last)
    return shelves


def _fresh(db: sqlite3.Connection, first: int, last: int) -> set[int]:
    """The channels of what is not sealed yet."""
    shards = first >> SHARD_BITS, (last - 1) >> SHARD_BITS
    found = {id_ for (id_,) in db.execute("SELECT DISTINCT channel FROM piece WHERE shard BETWEEN ? AND ?", shards)}
    rows = db.execute(
        "SELECT channels FROM layout WHERE id IN (SELECT layout FROM tick WHERE shard BETWEEN ? AND ?)", shards
    )
    for (channels,) in rows:
        found.update(unpack("I", channels))
    return found


def _thin(db: sqlite3.Connection, table: str, oldest: int, shelves: set[int], first: int, last: int) -> None:
    """Take out of ``shelves`` those with a row in ``table`` of the time ``oldest`` or later."""
    newest_before = f"SELECT max(key) FROM {table} WHERE key < ?"  # noqa: S608 - one of two words of ours
    within = f"SELECT key FROM {table} WHERE key >= ? AND key < ?"  # noqa: S608 - one of two words of ours
    key = (1 << 62,)
    while shelves:
        (newest,) = db.execute(newest_before, key).fetchone()
        if newest is None or newest >> SHELF_BITS < oldest:
            return
        time = newest >> SHELF_BITS << SHELF_BITS
        rows = db.execute(within, (time | first, time + last))
        shelves.difference_update(found & _SHELF for (found,) in rows)
        key = (time,)

"""What is too old or too much goes: the finest first, in steps that hold nobody up."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from eman_netconf.energy.values import Now
from eman_netconf.server.samples.file import SHELF_BITS
from eman_netconf.server.samples.state import State
from eman_netconf.server.samples.values import DAY, HOUR

_VACUUM: Final = 512  # pages given back to the disk in one step
_EVEN: Final = 3600.0  # seconds by which a clock may be off its course
_HELD: Final = 6 * 3600.0  # seconds for which a clock has to keep its new course until it is believed
_SPARE: Final = 64_000_000  # octets of free pages that may stay for what comes, beside a quarter of the file


@dataclass(frozen=True, slots=True)
class Settings:
    """How long samples are kept, in seconds, and how many octets they may take; None = what the disk holds."""

    raw: float = 90.0 * DAY
    hourly: float = 1100.0 * DAY
    daily: float = 7300.0 * DAY
    size: int | None = 20_000_000_000


class Age:
    """The time by which samples age. What is dropped is gone, so a clock that leaps ahead is not believed at once.

    It is once it has run on from there for some hours; until then only the time passes that does by the monotonic
    clock. A clock that is behind lets nothing age.
    """

    def __init__(self) -> None:
        self._mono: float | None = None
        self._offset = 0.0
        self._since = 0.0  # when the wall clock took its present course

    def at(self, state: State, now: Now) -> float:
        """``now``, or as much of it as is believed."""
        offset = now.wall - now.mono
        passed = 0.0 if self._mono is None else now.mono - self._mono
        if self._mono is None or abs(offset - self._offset) > _EVEN:
            self._offset, self._since = offset, now.mono
        self._mono = now.mono
        state.aged = (state.aged or now.wall) + passed
        if abs(now.wall - state.aged) <= _EVEN or now.mono - self._since >= _HELD:
            state.aged = now.wall
        return min(state.aged, now.wall)


def file_size(db: sqlite3.Connection) -> tuple[int, int]:
    """Octets of the file, and of the free pages within."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return pages * size, free * size


def step(db: sqlite3.Connection, state: State, settings: Settings, now: float) -> bool:
    """Drop one hour, one day or one lot of pages, within a transaction. Whether there was something to drop.

    Blocks that are not sealed yet are never dropped, nor hours whose day is not put together.
    """
    sealed = _first(db, "block")
    if sealed is not None and (sealed + 1) * HOUR <= now - settings.raw:
        return _drop_raw(db, state, sealed)
    hourly = _first(db, "hourly")
    day = None if hourly is None else hourly // 24
    if day is not None and day < state.closed and (day + 1) * DAY <= now - max(settings.hourly, settings.raw):
        return _drop_hours(db, state, day)
    daily = _first(db, "daily")
    if daily is not None and (daily + 1) * DAY <= now - max(settings.daily, settings.hourly, settings.raw):
        return _drop_days(db, daily)
    size, free = file_size(db)
    if settings.size is not None and size - free > settings.size:
        if sealed is not None:
            return _drop_raw(db, state, sealed)
        if day is not None and day < state.closed:
            return _drop_hours(db, state, day)
        if daily is not None and (day is None or daily < day):
            return _drop_days(db, daily)
    return False


def shrink(db: sqlite3.Connection, settings: Settings) -> bool:
    """Give some free pages back, outside of a transaction, when there are many; whether there were."""
    size, free = file_size(db)
    too_big = settings.size is not None and size > settings.size and free > 0
    if not too_big and free < size // 4 + _SPARE:
        return False
    db.execute(f"PRAGMA incremental_vacuum({_VACUUM})").fetchall()
    return file_size(db)[0] < size


def _first(db: sqlite3.Connection, table: str) -> int | None:
    row = db.execute(f"SELECT min(key) FROM {table}").fetchone()  # noqa: S608 - one of three words of ours
    return None if row[0] is None else row[0] >> SHELF_BITS


def _drop_raw(db: sqlite3.Connection, state: State, hour: int) -> bool:
    db.execute("DELETE FROM block WHERE key < ?", ((hour + 1) << SHELF_BITS,))
    db.execute("DELETE FROM hour WHERE hour <= ?", (hour,))
    state.raw_from = max(state.raw_from, hour + 1)
    state.write(db)
    return True


def _drop_hours(db: sqlite3.Connection, state: State, day: int) -> bool:
    """One day of hours; raw of that day, if any is left, goes too, so that what is left is all of one kind."""
    last = (day + 1) * 24
    db.execute("DELETE FROM block WHERE key < ?", (last << SHELF_BITS,))
    db.execute("DELETE FROM hourly WHERE key < ?", (last << SHELF_BITS,))
    state.raw_from = max(state.raw_from, last)
    state.hourly_from = max(state.hourly_from, day + 1)
    state.write(db)
    return True


def _drop_days(db: sqlite3.Connection, day: int) -> bool:
    db.execute("DELETE FROM daily WHERE key < ?", ((day + 1) << SHELF_BITS,))
    db.execute("DELETE FROM stretch WHERE by = '' AND \"end\" <= ?", ((day + 1) * DAY,))
    return True

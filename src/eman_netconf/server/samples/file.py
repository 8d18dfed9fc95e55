"""samples.sqlite: its tables, its format, how it is opened, and how one that cannot be used is set aside."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FORMAT: Final = 2

#: A row of ``block``, ``hourly`` and ``daily`` is found by (hour or day) << SHELF_BITS | shelf: rows of one time lie
#: side by side, so sealing appends, and what is too old goes in one piece.
SHELF_BITS: Final = 24

#: Shelves whose samples of one tick share a row: 1 << SHARD_BITS.
SHARD_BITS: Final = 7

#: shelf: the things samples are of. Two shelves of one owner are read as one, so that a rename never moves samples.
#: channel: series '' is the history of the site; else ``capacity`` bounds the rows of the channel in ``series``, and
#: ``joining`` says how they become coarser ('' = as those of the history).
#: tick: what came and is not sealed yet; ``layout`` says which channels ``body`` holds.
#: hour: how many samples of the finest interval there are of each hour.
#: piece: energy that goes into the block of its hour when that is sealed, and is added when it is read until then.
#: stretch: energy that is added whenever it is read: corrections, and what flowed over a long time.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shelf (id INTEGER PRIMARY KEY, owner TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shelf_owner ON shelf (owner);
CREATE TABLE IF NOT EXISTS channel (
    id INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, part TEXT NOT NULL, quantity TEXT NOT NULL,
    phase INTEGER NOT NULL, series TEXT NOT NULL, period REAL NOT NULL, capacity INTEGER NOT NULL, since REAL NOT NULL,
    joining TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS channel_shelf ON channel (shelf);
CREATE TABLE IF NOT EXISTS layout (id INTEGER PRIMARY KEY, channels BLOB NOT NULL, qualities BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tick (
    id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, hour INTEGER NOT NULL, "end" REAL NOT NULL, period REAL NOT NULL,
    layout INTEGER NOT NULL, code TEXT NOT NULL, body BLOB NOT NULL, qualities BLOB, starts BLOB
);
CREATE INDEX IF NOT EXISTS tick_place ON tick (shard, hour);
CREATE TABLE IF NOT EXISTS hour (hour INTEGER PRIMARY KEY, samples INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS block (key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS hourly (key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS daily (key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS series (
    channel INTEGER NOT NULL, "end" REAL NOT NULL, start REAL NOT NULL, value INTEGER, quality INTEGER NOT NULL,
    PRIMARY KEY (channel, "end")
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, shard INTEGER NOT NULL, hour INTEGER NOT NULL,
    start REAL NOT NULL, "end" REAL NOT NULL, amount INTEGER NOT NULL, mark TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS piece_channel ON piece (channel);
CREATE INDEX IF NOT EXISTS piece_place ON piece (hour, shard);
CREATE TABLE IF NOT EXISTS stretch (
    id INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, part TEXT NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL,
    received INTEGER NOT NULL, provided INTEGER NOT NULL, mark TEXT NOT NULL, at REAL NOT NULL, by TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS stretch_shelf ON stretch (shelf);
"""

#: format of the file -> statements that bring it to the next one
MIGRATIONS: Mapping[int, str] = {1: "ALTER TABLE channel ADD COLUMN joining TEXT NOT NULL DEFAULT ''"}

_WAL_PAGES: Final = 512  # of 16 KB, after which what was written goes into the file itself
_LEFT_BESIDE: Final = ("", "-wal", "-shm")


class SamplesUnusable(Exception):
    """The file holds nothing this server can read; the text is one sentence for an operator."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """The file at ``path``, made when it is not there, for one thread.

    Raises SamplesUnusable when it has to be set aside, sqlite3.Error or OSError when it may work later.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size=16384")  # a block of an hour is a kilobyte: less is left over at the end of pages
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        db.execute("PRAGMA journal_size_limit=33554432")
        _bring_up_to_date(path, db)
    except sqlite3.Error as error:
        db.close()
        if damaged(error):
            raise SamplesUnusable(f"{path} is damaged ({error})") from None
        raise
    except SamplesUnusable:
        db.close()
        raise
    return db


def _bring_up_to_date(path: Path, db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in _TABLES.split(";"):
            db.execute(statement)
        row = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        found = FORMAT if row is None else int(row[0])
        if found > FORMAT:
            raise SamplesUnusable(f"{path} has format {found}, this server knows up to {FORMAT}")
        for step in range(found, FORMAT):
            for statement in MIGRATIONS[step].split(";"):
                db.execute(statement)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (FORMAT,))
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def open_to_read(path: Path) -> sqlite3.Connection:
    """The file beside whoever writes it. Raises SamplesUnusable, or sqlite3.Error when there is none."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    try:
        row = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.Error as error:
        db.close()
        if damaged(error):
            raise SamplesUnusable(f"{path} is damaged ({error})") from None
        raise
    if row is None or int(row[0]) != FORMAT:
        db.close()
        raise SamplesUnusable(f"{path} has format {row and row[0]}, this program reads {FORMAT}")
    return db


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault, rather than the disk it lies on or who may read it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def place(path: Path) -> tuple[int, int] | None:
    """Which file lies at ``path``: device and number; None when there is none. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def empty_journal(db: sqlite3.Connection, path: Path) -> bool:
    """Bring a file that was moved away from ``path`` to rest, so that another can be opened there.

    False while somebody reads it. Raises sqlite3.Error, OSError.
    """
    busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        return False
    db.close()
    journal, shared = (path.with_name(path.name + ending) for ending in _LEFT_BESIDE[1:])
    if journal.exists() and not journal.stat().st_size:  # else it came with the file that is there now
        journal.unlink()
    shared.unlink(missing_ok=True)
    return True


def set_aside(path: Path, stamp: str) -> Path:
    """Move the file out of the way, whole, so that a new one can begin; its new name. Raises OSError."""
    aside = path.with_name(f"{path.name}.aside-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.aside-{stamp}-{number}")
    for ending in _LEFT_BESIDE:
        before = path.with_name(path.name + ending)
        if before.exists():
            before.rename(aside.with_name(aside.name + ending))
    return aside

"""SQLite: counters, statistics and wishes that outlive the process; batched writes off the loop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

#: format of the file -> statements that bring it to the next one
MIGRATIONS: Mapping[int, str] = {}


class HistoryUnusable(Exception):
    """The history file cannot be opened; the text is one sentence for an operator."""


class History:
    """One file. Not for two threads at once: whoever calls it keeps calls apart (the daemon has one writer task).

    ``clean`` tells whether the last process closed the file in order; after a crash, up to the last batch may be lost.
    """

    def __init__(self, path: Path, revisions: Mapping[str, str]) -> None:
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            meta = dict(self._db.execute("SELECT name, value FROM meta"))
        except sqlite3.Error as error:
            raise HistoryUnusable(f"{path}: {error}; move the file away to start with an empty history") from None
        self._migrate(path, int(meta.get("format", FORMAT)))
        newer = sorted(
            f"{name}@{revision}"
            for name, revision in json.loads(meta.get("revisions", "{}")).items()
            if name in revisions and revision > revisions[name]
        )
        if newer:
            raise HistoryUnusable(
                f"{path} was written with newer models ({', '.join(newer)}); run the newer server or restore a backup"
            )
        self.clean = meta.get("clean", "1") == "1"
        try:
            self._set_meta({"format": str(FORMAT), "revisions": json.dumps(dict(revisions)), "clean": "0"})
        except sqlite3.Error as error:
            raise HistoryUnusable(f"{path}: {error}; make room, or make the file writable for the server") from None

    def _migrate(self, path: Path, found: int) -> None:
        if found > FORMAT:
            raise HistoryUnusable(
                f"{path} has format {found}, this server knows up to {FORMAT}; run the newer server or restore a backup"
            )
        for step in range(found, FORMAT):
            self._db.executescript(MIGRATIONS[step])

    def _set_meta(self, values: Mapping[str, str]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
        self._db.execute("COMMIT")

    def records(self) -> dict[str, dict[str, Any]]:
        """Everything stored, by name."""
        return {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM record")}

    def store(self, records: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        """One batch in one transaction; None deletes. Raises sqlite3.Error (disk full), having changed nothing."""
        rows = [(name, None if record is None else json.dumps(record)) for name, record in records]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO record VALUES (?, ?)", [row for row in rows if row[1] is not None]
            )
            self._db.executemany(
                "DELETE FROM record WHERE name = ?", [(name,) for name, value in rows if value is None]
            )
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self, *, clean: bool) -> None:
        """Close; ``clean`` says that everything to keep was stored."""
        try:
            if clean:
                self._set_meta({"clean": "1"})
        finally:
            self._db.close()

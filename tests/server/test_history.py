"""History keeps records over restarts, tells a crash from an orderly stop, and refuses what it cannot read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eman_netconf.server.history import FORMAT, History, HistoryUnusable

MODELS = {"eman-entity": "2026-11-20"}


def test_records_outlive_the_process(tmp_path: Path) -> None:
    """What one process stored, the next one reads; None deletes."""
    first = History(tmp_path / "h.sqlite", MODELS)
    first.store([("a", {"wh": "1.5"}), ("b", {"wh": "2"})])
    first.store([("b", None), ("a", {"wh": "2.5"})])
    first.close(clean=True)
    second = History(tmp_path / "h.sqlite", MODELS)
    assert second.records() == {"a": {"wh": "2.5"}}
    assert second.clean
    second.close(clean=True)


def test_a_crash_is_seen(tmp_path: Path) -> None:
    """A process that did not close in order leaves its mark, and what it stored."""
    crashed = History(tmp_path / "h.sqlite", MODELS)
    crashed.store([("a", {"wh": "1"})])
    crashed.close(clean=False)
    after = History(tmp_path / "h.sqlite", MODELS)
    assert not after.clean
    assert after.records() == {"a": {"wh": "1"}}
    after.close(clean=True)


def test_a_newer_servers_file_is_refused(tmp_path: Path) -> None:
    """Written with newer models: refused with a sentence that says what to do."""
    History(tmp_path / "h.sqlite", {"eman-entity": "2031-01-01"}).close(clean=True)
    with pytest.raises(HistoryUnusable, match=r"newer models .eman-entity@2031-01-01.*run the newer server"):
        History(tmp_path / "h.sqlite", MODELS)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A format this server does not know: refused."""
    History(tmp_path / "h.sqlite", MODELS).close(clean=True)
    with sqlite3.connect(tmp_path / "h.sqlite") as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (FORMAT + 1,))
    db.close()
    with pytest.raises(HistoryUnusable, match="has format"):
        History(tmp_path / "h.sqlite", MODELS)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Garbage in the file's place is one sentence."""
    (tmp_path / "h.sqlite").write_bytes(b"garbage " * 1000)
    with pytest.raises(HistoryUnusable, match="move the file away"):
        History(tmp_path / "h.sqlite", MODELS)


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    """A batch that fails half-way changes nothing and the next one works."""
    history = History(tmp_path / "h.sqlite", MODELS)
    history.store([("a", {"wh": "1"})])
    history._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON record WHEN NEW.name = 'z' BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(sqlite3.Error):
        history.store([("a", {"wh": "2"}), ("z", {"wh": "3"})])
    assert history.records() == {"a": {"wh": "1"}}
    history.store([("b", {"wh": "4"})])
    assert set(history.records()) == {"a", "b"}
    history.close(clean=True)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """No room from the start on is one sentence."""
    History(tmp_path / "h.sqlite", MODELS).close(clean=True)
    with sqlite3.connect(tmp_path / "h.sqlite") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(FAIL, 'the disk is full'); END")
    db.close()
    with pytest.raises(HistoryUnusable, match=r"h\.sqlite: the disk is full; make room"):
        History(tmp_path / "h.sqlite", MODELS)

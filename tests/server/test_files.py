"""Small private files: whole or not at all, whatever was there before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eman_netconf.server.files import write_private


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    """The content stands at the path, nobody else may read it, and nothing else is left beside it."""
    path = tmp_path / "key"
    for content in (b"first", b""):
        write_private(path, content)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_no_hindrance(tmp_path: Path) -> None:
    """A draft of an earlier life, or a link that somebody put in its place, is not written through."""
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / ".key.new").symlink_to(other)
    write_private(tmp_path / "key", b"new")
    assert ((tmp_path / "key").read_bytes(), other.read_bytes()) == (b"new", b"mine")


def test_what_was_there_stays_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old content is there until the new is on the disk."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "key"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"

"""The history of commits: told in short, kept with the journals, undone one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.datastore import history
from eman_netconf.datastore.edit import at_once
from eman_netconf.datastore.history import TOLD, History, entry, read, read_entry, undoing
from eman_netconf.datastore.record import CHANGES, record
from eman_netconf.datastore.sharing import share_inner
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.test_record import settled
from tests.datastore.test_storage import Disk, disk, item  # noqa: F401 - a fixture
from tests.datastore.toy import edited, tree
from tests.strategies import instances


def test_an_entry_tells_who_did_what(toy: Schema) -> None:
    """The record of a commit and the change itself give the same entry: user, time, and the first changes."""
    before = "<box><name>x</name><tag>a</tag></box>"
    after = edited(toy, before, '<box><name nc:operation="delete"/><tag>b</tag><lid/></box>' + item(1)).root
    change = diff(tree(toy, before), after)
    assert change is not None
    said = {"generation": 7, "wall": 1_700_000_000.25, "user": "<o&p>", "session": 3}
    made = entry(change, **said)  # type: ignore[arg-type]  # as named
    assert made == read_entry(b"".join(record(change, **said)))  # type: ignore[arg-type]  # as named
    assert (made.generation, made.time, made.user, made.session) == (7, "2023-11-14T22:13:20.250Z", "<o&p>", 3)
    assert set(made.told) == {
        ("delete", "/toy:box/name"),
        ("modify", "/toy:box"),
        ("create", "/toy:box/lid"),
        ("create", "/toy:shelf"),
    }
    assert made.changes == 4


def test_an_entry_is_short(toy: Schema) -> None:
    """However much a commit changes, a few changes are told and all are counted."""
    before = "<shelf><limit>1</limit></shelf>"
    many = f"<shelf>{''.join(f'<item><id>{number}</id></item>' for number in range(50))}</shelf>"
    change = diff(tree(toy, before), edited(toy, before, many).root)
    assert change is not None
    made = entry(change, generation=1, wall=0.0, user="u", session=1)
    assert (made.changes, len(made.told)) == (50, CHANGES)
    kept = History(made for _ in range(TOLD + 5))
    assert len(kept.entries) == TOLD


def test_any_two_configurations(toy: Schema) -> None:
    """The edit that undoes a commit gives the configuration of before, whatever was changed."""
    shapes = instances(toy.root, config=True, width=6).map(lambda inner: settled(toy, inner))

    @settings(max_examples=150, deadline=None)
    @given(st.lists(shapes, min_size=2, max_size=4))
    def leads_back(drawn: list[Inner]) -> None:
        trees = [drawn[0]]
        records: list[bytes] = []
        for new in drawn[1:]:
            change = diff(trees[-1], share_inner(trees[-1], new))
            if change is not None:
                assert isinstance(change.new, Inner)
                trees.append(change.new)
                records.append(b"".join(record(change, generation=len(records) + 1, wall=0.0, user="u", session=1)))
        for first in range(1, len(trees)):
            found = at_once(undoing(trees[-1], records, first, len(records), toy))
            assert found.root == trees[first - 1]

    leads_back()


def test_journals_stay_for_the_history(disk: Disk) -> None:  # noqa: F811 - the fixture
    """Checkpoints take journals out of the way of recovery, and every commit can still be undone."""
    for number in range(6):
        disk.commit(item(number))
        disk.checkpoint()
    again = disk.again().start()
    assert again.notes == ()
    again.commit(item(9))
    assert (disk.directory / "history").stat().st_mode & 0o077 == 0
    records = read(disk.directory, 1, 7)
    assert [read_entry(text).generation for text in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [read_entry(text).generation for text in read(disk.directory, 3, 4)] == [3, 4]
    for first in range(1, 8):
        wanted = disk.past[first - 1]
        assert at_once(undoing(again.root, records, first, 7, disk.schema)).root == wanted
    again.storage.close()


def test_journals_that_cannot_be_moved_stay(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811 - the fixture
    """A disk that refuses the folder of the history costs neither a checkpoint nor a start; it is tried again."""
    (disk.directory / "history").write_bytes(b"")
    for number in range(4):
        disk.commit(item(number))
        disk.checkpoint()
    assert "cannot be moved" in caplog.text
    again = disk.again().start()
    assert again.root == disk.root
    (disk.directory / "history").unlink()
    again.commit(item(9))
    again.checkpoint()
    assert [read_entry(text).generation for text in read(disk.directory, 1, 5)] == [1, 2, 3, 4, 5]
    assert list((disk.directory / "history").iterdir())
    again.storage.close()


def test_old_journals_go(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """Past so many commits, or so many bytes, the oldest journals are deleted; what is gone is not undone."""
    monkeypatch.setattr(history, "COMMITS", 4)
    for number in range(9):
        disk.commit(item(number))
        disk.checkpoint()
    kept = [read_entry(text).generation for text in read(disk.directory, 1, 9)]
    assert kept[0] > 1
    assert set(kept) >= {6, 7, 8, 9}
    with pytest.raises(RpcError) as caught:
        at_once(undoing(disk.root, read(disk.directory, 1, 9), 1, 9, disk.schema))
    assert caught.value.tag == ErrorTag.DATA_MISSING
    monkeypatch.setattr(history, "BYTES", 0)
    disk.commit(item(99))
    disk.checkpoint()
    assert list((disk.directory / "history").iterdir()) == []


def test_a_directory_of_before_has_no_history(tmp_path: Path, toy: Schema) -> None:
    """A commit whose record says nothing of undoing it is told, and refused when it is to be undone."""
    text = b'<commit xmlns="urn:eman:storage" generation="1" time="t" user="u" session="2"/>'
    assert read_entry(text).changes == 0
    with pytest.raises(RpcError) as caught:
        at_once(undoing(Inner(toy.root), [text], 1, 1, toy))
    assert caught.value.tag == ErrorTag.DATA_MISSING
    assert read(tmp_path, 1, 5) == []

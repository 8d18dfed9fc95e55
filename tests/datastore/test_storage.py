"""The disk: what was committed is there again after any end, and nothing is ever lost or half."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.datastore import storage
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.record import STORAGE_NS, record
from eman_netconf.datastore.storage import (
    StateInUse,
    StateTooNew,
    StateUnusable,
    Storage,
    content,
)
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.diff import diff
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from eman_netconf.yang.validate import validate
from tests.datastore.toy import MODELS, config, plain


def no_fault(_root: Inner) -> list[RpcError]:
    return []


class Disk:
    """A directory of state, a server that commits to it, and the configurations it had."""

    def __init__(self, directory: Path, schema: Schema, **options: object) -> None:
        self.directory = directory
        self.schema = schema
        self.storage = Storage(directory, schema, **options)  # type: ignore[arg-type]  # passed on
        self.notes: tuple[str, ...] = ()
        self.root = Inner(schema.root)
        self.past: list[Inner] = []

    def start(self, check: object = no_fault) -> Disk:
        found = self.storage.recover(check, 0.0)  # type: ignore[arg-type]  # passed on
        self.root, self.notes = found.root, found.notes
        self.past = [self.root]
        return self

    def commit(self, edit: str) -> None:
        new = apply_edit(self.root, config(edit), self.schema).root
        change = diff(self.root, new)
        assert change is not None
        generation = self.storage.generation + 1
        self.storage.append(b"".join(record(change, generation=generation, wall=0.0, user="u", session=1)))
        self.root = new
        self.past.append(new)

    def checkpoint(self) -> None:
        self.storage.checkpoint(content(self.root), 0.0)

    def again(self, schema: Schema | None = None, **options: object) -> Disk:
        """The server dies (nothing is written at its end) and one starts anew on the same directory."""
        self.storage.close()
        return Disk(self.directory, schema or self.schema, **options)

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} - {"lock", "history"}


@pytest.fixture
def disk(tmp_path: Path, toy: Schema) -> Iterator[Disk]:
    made = Disk(tmp_path / "state", toy).start()
    yield made
    made.storage.close()


def item(number: int, value: int = 1) -> str:
    return f"<shelf><item><id>{number}</id><value>{value}</value></item></shelf>"


def test_empty_directory(disk: Disk) -> None:
    """A server that never ran starts with no configuration, generation 0."""
    assert disk.root.xml() == b""
    assert disk.storage.generation == 0
    assert disk.notes == ()
    assert disk.names() == {"checkpoint-00000000.xml", "journal-00000000"}


def test_commits_are_there_again(disk: Disk) -> None:
    """After any end every commit is there, with its generation and to the byte."""
    disk.commit(item(2))
    disk.commit(item(1))
    disk.commit("<shelf><item><id>2</id><value>9</value></item></shelf><motto>ä&amp;</motto>")
    again = disk.again().start()
    assert again.root.xml() == disk.root.xml()
    assert again.storage.generation == 3
    assert again.notes == ()
    again.commit(item(3))
    assert again.again().start().root == again.root


def test_only_the_server_reads_it(disk: Disk) -> None:
    """The files are the server's own: they hold secrets."""
    disk.commit(item(1))
    disk.checkpoint()
    assert {path.stat().st_mode & 0o077 for path in disk.directory.iterdir()} == {0}
    assert disk.directory.stat().st_mode & 0o077 == 0


def test_checkpoint_takes_over(disk: Disk) -> None:
    """After a checkpoint the journal starts anew, and the last checkpoint but one is kept with its journal."""
    for number in range(3):
        disk.commit(item(number))
        disk.checkpoint()
        disk.commit(item(number, 7))
    assert disk.names() == {
        "checkpoint-00000003.xml",
        "checkpoint-00000005.xml",
        "journal-00000003",
        "journal-00000005",
    }
    again = disk.again().start()
    assert again.root.xml() == disk.root.xml()
    assert again.storage.generation == 6


def test_checkpoint_is_due_when_the_journal_is_long(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is asked for when the journal has grown, and no more after it."""
    monkeypatch.setattr(storage, "JOURNAL_BYTES", 2_000)
    assert not disk.storage.checkpoint_due
    for number in range(10):
        disk.commit(item(number))
    assert disk.storage.checkpoint_due
    disk.checkpoint()
    assert not disk.storage.checkpoint_due


def test_files_are_readable(disk: Disk) -> None:
    """A person reads who committed what, and a checkpoint has a line for each entry."""
    disk.commit(item(1))
    disk.commit(item(2))
    disk.checkpoint()
    journal = (disk.directory / "journal-00000000").read_text(encoding="utf-8")
    assert '<commit xmlns="urn:eman:storage" generation="2"' in journal
    text = (disk.directory / "checkpoint-00000002.xml").read_text(encoding="utf-8")
    assert "\n<item><id>2</id><value>1</value></item>\n" in text
    assert etree.fromstring(text.encode()).get("generation") == "2"


def test_two_servers(disk: Disk) -> None:
    """A second server on the same directory is refused."""
    with pytest.raises(StateInUse):
        Disk(disk.directory, disk.schema).start()


def test_any_truncation_is_a_prefix(disk: Disk) -> None:
    """However much of the journal is on the disk, what starts is one of the states committed, and work goes on."""
    for number in range(4):
        disk.commit(item(number))
    whole = (disk.directory / "journal-00000000").read_bytes()
    folders = (disk.directory.with_name(f"cut-{number}") for number in itertools.count())

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, len(whole)))
    def starts(length: int) -> None:
        folder = next(folders)
        folder.mkdir()
        shutil.copy(disk.directory / "checkpoint-00000000.xml", folder)
        (folder / "journal-00000000").write_bytes(whole[:length])
        again = Disk(folder, disk.schema).start()
        generation = again.storage.generation
        assert again.root.xml() == disk.past[generation].xml()
        if generation < 4:
            following = whole.index(f"commit {generation + 1} ".encode())
            assert length <= whole.index(b"</commit>\n", following) + len(b"</commit>")
        again.commit(item(99))
        later = again.again().start()
        assert later.root == again.root
        later.storage.close()

    starts()


def test_torn_record_is_cut_with_a_word(disk: Disk) -> None:
    """A commit the power went out on is cut off, and a note says how much."""
    disk.commit(item(1))
    disk.commit(item(2))
    disk.storage.close()
    journal = disk.directory / "journal-00000000"
    journal.write_bytes(journal.read_bytes()[:-10])
    again = Disk(disk.directory, disk.schema).start()
    assert plain(again.root) == item(1)
    (note,) = again.notes
    assert "never answered" in note
    assert again.again().start().notes == ()


def test_zeros_behind_the_last_record(disk: Disk) -> None:
    """Blocks of zeros, which some file systems leave after a crash, are cut off."""
    disk.commit(item(1))
    disk.storage.close()
    journal = disk.directory / "journal-00000000"
    journal.write_bytes(journal.read_bytes() + bytes(4096))
    again = Disk(disk.directory, disk.schema).start()
    assert plain(again.root) == item(1)
    again.commit(item(2))
    assert again.again().start().root == again.root


def test_damage_in_the_middle(disk: Disk) -> None:
    """A journal damaged before good commits starts the last state before it; all files are kept and named."""
    for number in range(3):
        disk.commit(item(number))
    disk.storage.close()
    journal = disk.directory / "journal-00000000"
    data = journal.read_bytes()
    place = data.index(b"<commit", data.index(b"commit 2 "))
    journal.write_bytes(data[:place] + b"X" + data[place + 1 :])
    again = Disk(disk.directory, disk.schema).start()
    assert plain(again.root) == item(0)
    assert any("damaged" in note for note in again.notes)
    assert (disk.directory / "refused-00000001" / "journal-00000000").read_bytes().count(b"<commit") == 2
    assert again.again().start().notes == ()


def test_unreadable_checkpoint(disk: Disk) -> None:
    """A checkpoint that cannot be read is made up for by the one before and the journals."""
    disk.commit(item(1))
    disk.checkpoint()
    disk.commit(item(2))
    disk.checkpoint()
    disk.commit(item(3))
    disk.storage.close()
    (disk.directory / "checkpoint-00000002.xml").write_bytes(b"<checkpoint")
    again = Disk(disk.directory, disk.schema).start()
    assert again.root == disk.root
    assert any("checkpoint-00000002.xml" in note for note in again.notes)
    assert again.again().start().notes == ()


def test_full_disk(tmp_path: Path, toy: Schema) -> None:
    """A commit the disk has no room for is refused; the state before it stays, and later commits work."""
    script = f"""
        import resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tests.datastore.test_storage import Disk, MODELS, item, sources, compile_schema
        from eman_netconf.errors import RpcError
        schema = compile_schema(["toy", "ietf-netconf"], [MODELS, *sources.standard_models()])
        disk = Disk(Path({str(tmp_path / "state")!r}), schema).start()
        disk.commit(item(1))
        length = disk.storage.journal_length
        resource.setrlimit(resource.RLIMIT_FSIZE, (length + 100, -1))
        try:
            disk.commit(item(2))
        except RpcError as refusal:
            print(refusal.tag)
        print((Path({str(tmp_path / "state")!r}) / "journal-00000000").stat().st_size == length)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        disk.commit(item(3))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == [ErrorTag.RESOURCE_DENIED, "True"]
    again = Disk(tmp_path / "state", toy).start()
    assert again.notes == ()
    assert plain(again.root) == (
        "<shelf><item><id>1</id><value>1</value></item><item><id>3</id><value>1</value></item></shelf>"
    )
    again.storage.close()


def test_broken_disk(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When not even the failed record can be taken back, nothing more is written until a restart."""

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    disk.commit(item(1))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fails)
        with pytest.raises(RpcError) as first:
            disk.commit(item(2))
    assert first.value.tag == ErrorTag.ROLLBACK_FAILED
    with pytest.raises(RpcError) as second:
        disk.commit(item(3))
    assert second.value.tag == ErrorTag.OPERATION_FAILED
    assert "restart" in second.value.message
    again = disk.again().start()
    assert plain(again.root) == item(1)
    again.storage.close()


def test_failed_checkpoint(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that cannot be written changes nothing; the journal goes on."""

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    disk.commit(item(1))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fails)
        with pytest.raises(OSError, match="No space"):
            disk.checkpoint()
    assert disk.names() == {"checkpoint-00000000.xml", "journal-00000000"}
    disk.commit(item(2))
    assert disk.again().start().root == disk.root


def fewer_than(limit: int) -> object:
    """A rule that came later: not so many items."""

    def check(root: Inner) -> list[RpcError]:
        items = plain(root).count("<item>")
        return [RpcError(ErrorTag.OPERATION_FAILED, f"{items} items are too many")] if items >= limit else []

    return check


@pytest.mark.parametrize("checkpointed", [False, True])
def test_invalid_configuration(disk: Disk, checkpointed: bool) -> None:
    """A configuration that is no longer valid starts with the last valid one; the bad one is kept and named."""
    for number in range(9):
        disk.commit(item(number))
        if checkpointed and number == 3:
            disk.checkpoint()
    again = disk.again().start(fewer_than(6))
    assert again.root == disk.past[5]
    assert again.storage.generation == 10
    assert any("generation 9" in note and "refused-00000009" in note for note in again.notes)
    kept = disk.directory / "refused-00000009"
    assert b"<id>8</id>" in b"".join(path.read_bytes() for path in kept.iterdir())
    again.commit(item(99))
    last = again.again().start(fewer_than(7))
    assert last.root == again.root
    assert last.notes == ()
    last.storage.close()


def test_nothing_valid(disk: Disk) -> None:
    """When no configuration can be used the server does not start, and nothing is touched."""
    for number in range(3):
        disk.commit(item(number))
        disk.checkpoint()
    before = {path.name: path.read_bytes() for path in disk.directory.glob("*-0*")}
    with pytest.raises(StateUnusable, match="too many"):
        disk.again().start(fewer_than(1))
    assert {path.name: path.read_bytes() for path in disk.directory.glob("*-0*")} == before


def test_validation_is_the_check(disk: Disk) -> None:
    """Full validation serves as the check at start."""
    disk.commit("<shelf><limit>1</limit><item><id>1</id></item></shelf>")
    disk.commit(item(2))
    again = disk.again().start(lambda root: validate(disk.schema, root))
    assert again.root == disk.past[1]
    again.storage.close()


def changed_toy(tmp_path: Path, revision: str, change: tuple[str, str] = ("", "")) -> Schema:
    """The schema with toy of another revision."""
    text = (MODELS / "toy.yang").read_text(encoding="utf-8")
    folder = tmp_path / revision
    folder.mkdir()
    text = text.replace("revision 2026-11-20", f"revision {revision}").replace(*change)
    (folder / "toy.yang").write_text(text, encoding="utf-8")
    return compile_schema(["toy", "ietf-netconf", "ietf-netconf-monitoring"], [folder, *sources.standard_models()])


def test_newer_server_reads_older_state(disk: Disk, tmp_path: Path) -> None:
    """A newer server takes the state over and writes it down as its own."""
    disk.commit(item(1))
    newer = disk.again(changed_toy(tmp_path, "2027-01-01")).start()
    assert plain(newer.root) == item(1)
    assert newer.notes == ()
    assert 'revision="2027-01-01"' in (disk.directory / "checkpoint-00000001.xml").read_text(encoding="utf-8")
    newer.storage.close()


def test_older_server_refuses_newer_state(disk: Disk, tmp_path: Path) -> None:
    """A state that a newer server has written is refused in one sentence, untouched."""
    newer = disk.again(changed_toy(tmp_path, "2027-01-01")).start()
    newer.commit(item(1))
    before = {path.name: path.read_bytes() for path in disk.directory.glob("*-0*")}
    with pytest.raises(StateTooNew, match="newer server"):
        newer.again(disk.schema).start()
    assert {path.name: path.read_bytes() for path in disk.directory.glob("*-0*")} == before


def test_nodes_that_are_no_more(disk: Disk, tmp_path: Path) -> None:
    """Data of nodes that the models no longer have are set aside in a file, the others are kept."""
    disk.commit(item(1) + "<motto>m</motto>")
    disk.commit("<shelf><item><id>1</id><note>n</note></item></shelf>")
    gone = ("leaf note {\n        type string;\n      }\n      leaf refers", "leaf refers")
    newer = disk.again(changed_toy(tmp_path, "2027-01-01", gone)).start()
    assert plain(newer.root) == item(1) + "<motto>m</motto>"
    assert any("set-aside-00000002.xml" in note for note in newer.notes)
    kept = etree.parse(disk.directory / "set-aside-00000002.xml").getroot()
    (note,) = kept.iter("{urn:toy}note")
    assert note.text == "n"
    assert note.get(f"{{{STORAGE_NS}}}in") == "/shelf/item[id='1']"
    assert newer.again(newer.schema).start().notes == ()


def test_migration(disk: Disk, tmp_path: Path) -> None:
    """Data of an older revision are migrated on the way in, in checkpoints and commits alike."""
    disk.commit("<motto>one</motto>")
    disk.checkpoint()
    disk.commit("<motto>two</motto>")
    renamed = changed_toy(tmp_path, "2027-01-01", ("leaf motto", "leaf slogan"))

    def rename(element: Element) -> str:
        for found in element.iter("{urn:toy}motto"):
            found.tag = "{urn:toy}slogan"
        return "2027-01-01"

    newer = disk.again(renamed, migrations={("toy", "2026-11-20"): rename}).start()
    assert plain(newer.root) == "<slogan>two</slogan>"
    assert newer.notes == ()
    newer.storage.close()

"""Durable configuration: a journal of commits, checkpoints of the whole, and the recovery of both.

In the directory, with G the generation (number of commits) a file starts from:

- ``checkpoint-G.xml``: the configuration after G commits, and the revisions of the models it was written with;
- ``journal-G``: those revisions, then every commit after G as the edit-config that makes it. Each record stands
  under a line ``commit GENERATION LENGTH CRC32``, so that a torn one is seen and cut. The word is ``unconfirmed``
  for a confirmed commit: those at the end are rolled back by a start, unless ``confirmed`` follows them;
- ``refused-G/``: files whose configuration could not be used, kept for a person;
- ``set-aside-G.xml``: data that no module of this server describes any more, kept for a person.

The two newest checkpoints are kept with all journals from the older one on; older journals go to ``history/``, from
which commits are undone (see ``history``). Everything is readable text.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lxml import etree

from eman_netconf import safexml
from eman_netconf.datastore import history
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.frames import damaged, frame, frames
from eman_netconf.datastore.record import SERVER, STORAGE_NS, record
from eman_netconf.datastore.select import EVERYTHING, slices
from eman_netconf.errors import BASE_NS, ErrorTag, RpcError, RpcErrors
from eman_netconf.yang.diff import diff
from eman_netconf.yang.instance import Element, read_inner
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Inner, quoted

FORMAT = 1

#: A checkpoint is due when the journal is longer than this, or than a quarter of the checkpoint.
JOURNAL_BYTES = 1_000_000
JOURNAL_COMMITS = 1_000

#: What the server wrote itself is read back whatever its size.
_LIMITS = safexml.XmlLimits(size=1 << 40, tags=1 << 40, attributes=1 << 40)
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_log = logging.getLogger(__name__)

#: Changes a ``<config>`` element (whole or an edit) in place; returns the revision it then has.
Migration = Callable[[Element], str]

#: What to do with data written under an older revision, by module and that revision.
MIGRATIONS: Mapping[tuple[str, str], Migration] = {}

#: All that is wrong with a configuration; empty when it may be used.
Check = Callable[[Inner], Sequence[RpcError]]


class StateTooNew(Exception):
    """A newer server wrote this state; the text is one line for a person."""


class StateUnusable(Exception):
    """There is no configuration that can be used; the text is one line for a person."""


class StateInUse(Exception):
    """Another server works on this directory."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The configuration to start with; ``notes`` are lines for the log on all that was not as it should be."""

    root: Inner
    generation: int
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Record:
    generation: int
    text: bytes
    models: Mapping[str, str]
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """The newest tree that can be used, its generation, and that of the checkpoint it was made from.

    ``undone`` is the tree of the ``unconfirmed`` commits that follow it and are to be rolled back.
    """

    root: Inner
    generation: int
    start: int
    undone: Inner
    unconfirmed: int = 0


@dataclass(slots=True)
class _File:
    """One journal as found: its good records, and how it ends."""

    path: Path
    start: int
    models: dict[str, str] = field(default_factory=dict)
    records: list[_Record] = field(default_factory=list)
    good: int = 0  # bytes up to the end of the last good record
    size: int = 0
    damaged: bool = False  # there are good records behind a bad one


class Storage:
    """One directory of state. ``append`` and ``checkpoint`` block until the disk has it: call them in a thread.

    Not more than one call at a time; the writer lock sees to that.
    """

    def __init__(
        self, directory: Path, schema: Schema, *, migrations: Mapping[tuple[str, str], Migration] = MIGRATIONS
    ) -> None:
        self.directory = directory
        self.schema = schema
        self.generation = 0
        self.journal_length = 0
        self.journal_commits = 0
        self.checkpoint_size = 0
        self._migrations = migrations
        self._models = models(schema)
        self._journal = -1
        self._guard = -1
        self._broken: str | None = None
        self._unknown: list[str] = []
        self._owed = b""

    # ---- start

    def recover(self, check: Check, wall: float) -> Recovered:
        """Lock the directory and give its newest configuration that ``check`` finds nothing wrong with.

        What could not be used is moved aside, never deleted. ``wall`` stamps a checkpoint written on the way.
        Raises StateInUse, StateTooNew, StateUnusable, OSError.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock()
        for path in self.directory.glob("*.tmp"):
            path.unlink()
        notes: list[str] = []
        files = [self._read_journal(path, start) for start, path in self._found("journal-")]
        checkpoints = self._found("checkpoint-", ".xml")
        newest = max(
            [start for start, _ in checkpoints] + [record.generation for file in files for record in file.records],
            default=0,
        )
        for file in files:
            notes.extend(_endings(file, last=file is files[-1]))
        found = self._newest_usable(checkpoints, files, check, notes)
        root, reached = found.root, found.generation + found.unconfirmed
        passed_over = bool(checkpoints) and found.start < checkpoints[-1][0]
        refused = reached < newest or passed_over or any(file.damaged for file in files)
        last = files[-1] if files else None
        if refused or self._unknown or last is None or last.models != self._models:
            self.generation = newest + 1 if refused or found.unconfirmed else reached
            aside = [path for _, path in [*self._found("journal-"), *checkpoints]] if refused else []
            self._keep_unknown(notes)
            self._write_checkpoint(content(root), self.generation, wall)
            self._start_journal()
            if refused:
                self._refuse(aside, newest, found.generation, notes)
        else:
            self.generation = reached
            self._continue_journal(last)
            self._roll_back(found, wall)
        if found.unconfirmed:
            notes.append(
                f"The configuration of generation {reached} was never confirmed; it is rolled back to that of "
                f"generation {found.generation}."
            )
        self._drop_old()
        for note in notes:
            _log.warning("%s", note)
        return Recovered(root, self.generation, tuple(notes))

    def _roll_back(self, found: _Found, wall: float) -> None:
        """Undo the unconfirmed commits at the end of the journal in the journal too, so that others may follow."""
        change = diff(found.undone, found.root)
        if change is None:
            return
        parts = record(change, generation=self.generation + 1, wall=wall, user=SERVER, session=0)
        undoing = b"".join(parts)
        try:
            self.append(undoing)
        except RpcError as error:
            _log.error("The roll-back is in force but not stored yet: %s", error.message)
            self.owe(undoing)

    def close(self) -> None:
        """Let go of the files; safe twice."""
        for descriptor in (self._journal, self._guard):
            if descriptor >= 0:
                os.close(descriptor)
        self._journal = self._guard = -1

    # ---- work

    def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        """Add one commit and wait until it is on the disk; the next generation is then durable.

        Raises RpcError: resource-denied on a full disk, operation-failed for other faults of the disk, nothing
        being added then; rollback-failed when what was added in part could not be taken back.
        """
        self._write_frame("unconfirmed" if unconfirmed else "commit", self.generation + 1, record)
        self.generation += 1
        self.journal_commits += 1

    def confirm(self) -> None:
        """Add word that the unconfirmed commits are confirmed, and wait until it is on the disk. Raises as append."""
        self._write_frame("confirmed", self.generation, b"")

    def owe(self, record: bytes) -> None:
        """Write this commit right before the next one: a roll-back, which happens although the disk did not take it.

        Should the process end before, the next start rolls back the same.
        """
        self.generation += 1
        self._owed += frame("commit", self.generation, record)

    def _write_frame(self, kind: str, generation: int, text: bytes) -> None:
        if self._broken is not None:
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                f"The journal cannot be written since {self._broken}; nothing was changed. "
                "Repair the disk and restart the server.",
            )
        data = self._owed + frame(kind, generation, text)
        try:
            _write(self._journal, data)
            os.fsync(self._journal)
        except OSError as error:
            if not self._take_back(error):
                raise RpcError(
                    ErrorTag.ROLLBACK_FAILED,
                    f"The change could not be stored ({_reason(error)}), nor taken back from the disk: it is not in "
                    f"force now, but may be after a restart. Repair the disk of {self.directory}, then restart.",
                ) from None
            raise RpcError(
                ErrorTag.RESOURCE_DENIED if error.errno in _FULL else ErrorTag.OPERATION_FAILED,
                f"The change could not be stored ({_reason(error)}); nothing was changed. "
                f"Make room or repair the disk of {self.directory} and send it again.",
            ) from None
        self._owed = b""
        self.journal_length += len(data)

    @property
    def checkpoint_due(self) -> bool:
        """Whether the journal has grown so long that reading it would take more than the whole."""
        limit = max(JOURNAL_BYTES, self.checkpoint_size // 4)
        return self.journal_length > limit or self.journal_commits > JOURNAL_COMMITS

    def checkpoint(self, content: bytes, wall: float) -> None:
        """Write the present configuration out whole and start a new journal.

        ``content`` is the XML of all top-level nodes at the present generation. Raises OSError; the journal
        then goes on as before.
        """
        self._write_checkpoint(content, self.generation, wall)
        self._start_journal()
        self._owed = b""
        self._drop_old()

    # ---- files

    def _found(self, head: str, tail: str = "") -> list[tuple[int, Path]]:
        """The files of one kind with their generation, oldest first."""
        name = re.compile(rf"{head}(\d{{1,19}}){re.escape(tail)}")
        found = [(name.fullmatch(path.name), path) for path in self.directory.iterdir()]
        return sorted((int(match[1]), path) for match, path in found if match)

    def _lock(self) -> None:
        if self._guard >= 0:
            return
        guard = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(guard)
            raise StateInUse(f"Another server is working on {self.directory}; stop it first.") from None
        self._guard = guard

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _replace(self, name: str, parts: Iterable[bytes]) -> Path:
        """Write a file so that it is there whole or not at all, also after a crash."""
        path = self.directory / name
        draft = self.directory / f"{name}.tmp"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for part in parts:
                _write(descriptor, part)
            os.fsync(descriptor)
        except BaseException:
            draft.unlink()
            raise
        finally:
            os.close(descriptor)
        draft.replace(path)
        self._sync_directory()
        return path

    def _write_checkpoint(self, content: bytes, generation: int, wall: float) -> None:
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<checkpoint xmlns="{STORAGE_NS}" format="{FORMAT}" generation="{generation}" time="{stamp(wall)}">\n'
            f'{_models_xml(self._models)}\n<config xmlns="{BASE_NS}">\n'
        )
        self._replace(f"checkpoint-{generation:08}.xml", (head.encode(), content, b"\n</config>\n</checkpoint>\n"))
        self.checkpoint_size = len(content)

    def _start_journal(self) -> None:
        """A new journal behind the present generation takes over."""
        head = frame("models", self.generation, _models_xml(self._models).encode())
        path = self._replace(f"journal-{self.generation:08}", (head,))
        self._open_journal(path, len(head), 0)

    def _continue_journal(self, file: _File) -> None:
        if file.size > file.good:
            with file.path.open("r+b") as torn:
                torn.truncate(file.good)
                os.fsync(torn.fileno())
        self._open_journal(file.path, file.good, len(file.records))

    def _open_journal(self, path: Path, length: int, commits: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if self._journal >= 0:
            os.close(self._journal)
        self._journal = descriptor
        self._broken = None
        self.journal_length = length
        self.journal_commits = commits

    def _take_back(self, error: OSError) -> bool:
        """Cut what a failed append left behind; if even that fails, nothing is appended any more."""
        try:
            os.ftruncate(self._journal, self.journal_length)
            os.fsync(self._journal)
        except OSError as second:
            self._broken = f"an error of the disk ({_reason(error)}, then {_reason(second)})"
            _log.error("The journal in %s is broken: %s.", self.directory, self._broken)
        return self._broken is None

    def _drop_old(self) -> None:
        """Delete what is older than the last checkpoint but one."""
        checkpoints = self._found("checkpoint-", ".xml")
        if len(checkpoints) < 2:
            return
        oldest = checkpoints[-2][0]
        journals = self._found("journal-")
        # the journal that leads from one checkpoint to the next starts at or before the first of them
        needed = max((start for start, _ in journals if start <= oldest), default=oldest)
        for start, path in checkpoints[:-2]:
            if start < oldest:
                path.unlink()
        history.keep(self.directory, [path for start, path in journals if start < needed], self.generation)

    # ---- recovery

    def _read_journal(self, path: Path, start: int) -> _File:
        data = path.read_bytes()
        file = _File(path, start, size=len(data))
        for found in frames(data):
            if found.kind == "models":
                file.models = self._known(_parse(found.text))
            elif found.kind == "confirmed":
                for each in file.records:
                    each.unconfirmed = False
            else:
                file.records.append(_Record(found.generation, found.text, file.models, found.kind == "unconfirmed"))
            file.good = found.end
        file.damaged = damaged(data, file.good)
        return file

    def _known(self, element: Element) -> dict[str, str]:
        """The models a file was written with. Raises StateTooNew."""
        named = {item.get("name", ""): item.get("revision", "") for item in element.iter(f"{{{STORAGE_NS}}}model")}
        for name, revision in named.items():
            ours = self._models.get(name, revision)
            if revision > ours:
                raise StateTooNew(
                    f"The configuration in {self.directory} was written by a newer server (module {name} of "
                    f"{revision}, here of {ours}): start that server, or restore a backup from before it."
                )
        return named

    def _newest_usable(
        self, checkpoints: list[tuple[int, Path]], files: list[_File], check: Check, notes: list[str]
    ) -> _Found:
        records = sorted((record for file in files for record in file.records), key=lambda record: record.generation)
        bases: list[tuple[int, Path | None]] = [*reversed(checkpoints)]
        if not checkpoints or any(file.start == 0 for file in files):
            bases.append((0, None))
        for start, path in bases:
            name = path.name if path else "the beginning"
            try:
                base = Inner(self.schema.root) if path is None else self._read_checkpoint(path)
            except RpcErrors as faults:
                notes.append(f"{name} cannot be used: {_first(faults.errors)}.")
                continue
            found = self._newest_from(base, start, records, check)
            if isinstance(found, _Found):
                return found
            notes.append(f"The configuration of {name} is refused: {_first(found)}.")
        raise StateUnusable(
            f"No configuration in {self.directory} can be used: {' '.join(notes)} Repair the newest checkpoint "
            "by hand, or move the files away to start without configuration."
        )

    def _newest_from(
        self, base: Inner, start: int, records: list[_Record], check: Check
    ) -> _Found | Sequence[RpcError]:
        """The newest confirmed state that passes, by replay from a checkpoint; what is wrong with that if none does.

        Every commit was valid when it was made. Where a newer server finds some invalid, halving finds one
        that is valid right before one that is not.
        """
        following: list[_Record] = []
        for each in records:
            if each.generation == start + len(following) + 1:
                following.append(each)
        kept = len(following)
        while kept and following[kept - 1].unconfirmed:
            kept -= 1
        root, count = self._replay(base, following[:kept])
        if not check(root):
            undone, unconfirmed = self._replay(root, following[kept:] if count == kept else ())
            return _Found(root, start + count, start, undone, unconfirmed)
        wrong = check(base)
        if wrong:
            return wrong
        good, bad, last = 0, count, base
        while bad - good > 1:
            middle = (good + bad) // 2
            root, _ = self._replay(base, following[:middle])
            if check(root):
                bad = middle
            else:
                good, last = middle, root
        return _Found(last, start + good, start, last)

    def _replay(self, root: Inner, records: Sequence[_Record]) -> tuple[Inner, int]:
        """``root`` after as many of the records as can be applied, and how many those are."""
        for count, each in enumerate(records):
            try:
                config = _config(_parse(each.text))
                self._bring_up(config, each.models, each.generation)
                root = apply_edit(root, config, self.schema).root
            except (RpcError, RpcErrors) as fault:
                _log.error("Commit %d cannot be read: %s.", each.generation, fault)
                return root, count
        return root, len(records)

    def _read_checkpoint(self, path: Path) -> Inner:
        """Raises RpcErrors, StateTooNew."""
        try:
            element = _parse(path.read_bytes())
            config = _config(element)
        except RpcError as fault:
            raise RpcErrors([fault]) from None
        if int(element.get("format", "1")) > FORMAT:
            raise StateTooNew(f"{path} was written by a newer server: start that server, or restore a backup.")
        self._bring_up(config, self._known(element), int(element.get("generation", "0")))
        errors: list[RpcError] = []
        root = read_inner(config, self.schema.root, self.schema, state=False, errors=errors)
        if errors:
            raise RpcErrors(errors)
        self.checkpoint_size = path.stat().st_size
        return root

    def _bring_up(self, config: Element, written: Mapping[str, str], generation: int) -> None:
        """Make data of older models fit ours: migrate, then set aside what no module describes any more."""
        if written == self._models:
            return
        for module, revision in written.items():
            for _ in range(len(self._migrations)):
                migration = self._migrations.get((module, revision))
                if migration is None:
                    break
                revision = migration(config)  # noqa: PLW2901 - one revision leads to the next
        for element in _strip(config, self.schema.root):
            text = etree.tostring(element, encoding="unicode")
            mark = f'<data xmlns="{STORAGE_NS}" generation="{generation}">{text}</data>'
            if mark not in self._unknown:
                self._unknown.append(mark)

    def _keep_unknown(self, notes: list[str]) -> None:
        if not self._unknown:
            return
        text = f'<set-aside xmlns="{STORAGE_NS}">\n' + "\n".join(self._unknown) + "\n</set-aside>\n"
        path = self._replace(f"set-aside-{self.generation:08}.xml", (text.encode(),))
        notes.append(
            f"{len(self._unknown)} parts of the configuration belong to no module of this server; they are kept "
            f"in {path}."
        )
        self._unknown.clear()

    def _refuse(self, paths: Iterable[Path], newest: int, generation: int, notes: list[str]) -> None:
        """Move files aside whose newest configuration was not taken; what took over is written already."""
        aside = self.directory / f"refused-{newest:08}"
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in paths:
            if path.exists():
                path.replace(aside / path.name)
        self._sync_directory()
        notes.append(
            f"The configuration of generation {newest} cannot be used; the server starts with that of generation "
            f"{generation}. All files are kept in {aside}."
        )


def content(root: Inner) -> bytes:
    """What a checkpoint holds: every top-level node, a line for each entry of a list that stands outside others."""
    return b"\n".join(slices(EVERYTHING, root))


def models(schema: Schema) -> dict[str, str]:
    """The modules that hold configuration, with their revisions."""
    holding = {node.module for node in schema.root.descendants() if node.config}
    return {module.name: module.revision or "" for module in sorted(holding, key=lambda module: module.name)}


def _models_xml(named: Mapping[str, str]) -> str:
    items = "".join(f"<model name={quoteattr(name)} revision={quoteattr(text)}/>" for name, text in named.items())
    return f'<models xmlns="{STORAGE_NS}">{items}</models>'


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _parse(text: bytes) -> Element:
    return safexml.parse(text, limits=_LIMITS)


def _config(element: Element) -> Element:
    config = element.find(f"{{{BASE_NS}}}config")
    if config is None:
        raise RpcError(ErrorTag.MALFORMED_MESSAGE, "it holds no <config>")
    return config


def _strip(element: Element, node: SchemaNode, where: str = "") -> list[Element]:
    """Take the elements out that the schema does not know, each with the path of its parent as an attribute."""
    removed: list[Element] = []
    for child in list(element):
        known = node.by_tag.get(child.tag)
        if known is None or not known.config:
            child.tail = None
            element.remove(child)
            child.set(f"{{{STORAGE_NS}}}in", where or "/")
            removed.append(child)
        elif known.children:
            keys = "".join(f"[{leaf.name}={quoted(child.findtext(leaf.tag) or '')}]" for leaf in known.keys)
            removed.extend(_strip(child, known, f"{where}/{known.name}{keys}"))
    return removed


def _endings(file: _File, *, last: bool) -> list[str]:
    """What to say about the end of a journal."""
    rest = file.size - file.good
    if file.damaged:
        return [f"{file.path.name} is damaged at byte {file.good}; commits behind it cannot be trusted."]
    if rest and last:
        return [f"{file.path.name} ended in the middle of a commit that was never answered; {rest} bytes were cut."]
    return []


def _first(errors: Sequence[RpcError]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0]}{more}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

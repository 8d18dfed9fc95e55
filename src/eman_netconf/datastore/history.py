"""The history of commits: who changed what, when, and the edits that undo it, from the journals on the disk."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eman_netconf import safexml
from eman_netconf.datastore.edit import Edited, Steps, editing
from eman_netconf.datastore.frames import frames
from eman_netconf.datastore.record import STORAGE_NS, summary
from eman_netconf.errors import BASE_NS, ErrorTag, RpcError
from eman_netconf.yang.diff import Change
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Inner

#: Commits whose journals are kept after the checkpoints have made them needless, and bytes of them.
COMMITS = 1_000
BYTES = 64_000_000

#: Commits that are told of.
TOLD = 100

_log = logging.getLogger(__name__)
_LIMITS = safexml.XmlLimits(size=1 << 40, tags=1 << 40, attributes=1 << 40)
_CONFIG = f"{{{BASE_NS}}}config"
_UNDO = f"{{{STORAGE_NS}}}undo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit in short: ``changes`` counts all, of which the first are told as operation and place."""

    generation: int
    time: str  # date-and-time
    user: str
    session: int
    changes: int
    told: tuple[tuple[str, str], ...]


def entry(change: Change, *, generation: int, wall: float, user: str, session: int) -> Entry:
    """The entry of a commit; ``wall`` in seconds since the epoch."""
    told, changes = summary(change)
    return Entry(generation, stamp(wall), user, session, changes, told)


class History:
    """The newest commits, oldest first."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: deque[Entry] = deque(entries, TOLD)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def load(self, records: Iterable[bytes]) -> None:
        """Take the entries of records, oldest first."""
        self.entries.extend(map(read_entry, records))


# --- on the disk -----------------------------------------------------------------------------------------------------


def journals(directory: Path) -> list[tuple[int, Path]]:
    """The journals of a directory of state, kept ones included, with the generation each starts from, oldest first."""
    found = [*directory.glob("journal-*"), *(directory / "history").glob("journal-*")]
    named = [(path.name.removeprefix("journal-"), path) for path in found]
    return sorted((int(digits), path) for digits, path in named if digits.isdecimal())


def keep(directory: Path, gone: Sequence[Path], generation: int) -> None:
    """Move journals that recovery does not need to where the history is; drop those that are too old or too many.

    What the disk does not let be moved stays where it is, and is tried again with the next checkpoint.
    """
    try:
        if gone:
            (directory / "history").mkdir(mode=0o700, exist_ok=True)
        for path in gone:
            path.replace(directory / "history" / path.name)
    except OSError as error:
        _log.warning("Old journals in %s cannot be moved to history/ (%s).", directory, error.strerror or error)
    size = 0
    starts = journals(directory)
    following = [start for start, _ in starts[1:]]
    for end, (_, path) in reversed(list(zip([*following, generation], starts, strict=True))):
        if path.parent == directory:
            continue
        size += path.stat().st_size
        if end < generation - COMMITS or size > BYTES:
            path.unlink()


def read(directory: Path, first: int, last: int) -> list[bytes]:
    """The records of the commits from ``first`` to ``last``, as many as there are, oldest first. Raises OSError."""
    starts = journals(directory)
    found: dict[int, bytes] = {}
    for index, (start, path) in enumerate(starts):
        following = starts[index + 1][0] if index + 1 < len(starts) else last + 1
        if start < last and following >= first:
            for frame in frames(path.read_bytes()):
                if frame.kind in ("commit", "unconfirmed") and first <= frame.generation <= last:
                    found[frame.generation] = frame.text
    return [found[generation] for generation in sorted(found)]


def read_entry(text: bytes) -> Entry:
    """The entry of a record; its edits, which may be long, are not read."""
    head, _, _ = text.partition(b"<config ")
    element = safexml.parse(head if head.endswith(b"/>") else head + b"</commit>")
    told = [(item.get("operation", ""), item.text or "") for item in element.iterchildren(f"{{{STORAGE_NS}}}change")]
    number = {name: int(element.get(name, "0")) for name in ("generation", "session", "changes")}
    return Entry(
        number["generation"],
        element.get("time", ""),
        element.get("user", ""),
        number["session"],
        number["changes"],
        tuple(told),
    )


# --- undoing ---------------------------------------------------------------------------------------------------------


def edits_of(text: bytes, generation: int) -> Steps[tuple[Element, Element]]:
    """The <config> that makes what a commit made, and the one that undoes it. Raises RpcError data-missing."""
    element = yield from safexml.parsing(text, limits=_LIMITS)
    done, undone = element.find(_CONFIG), element.find(f"{_UNDO}/{_CONFIG}")
    if done is None or undone is None:
        raise unknown(generation)
    return done, undone


def undoing(running: Inner, records: Sequence[bytes], first: int, last: int, schema: Schema) -> Steps[Edited]:
    """Running as it was before commit ``first``, by undoing all from ``last``, the newest, back to it.

    ``records`` are those of ``read``. Raises RpcError data-missing where one of them is gone.
    """
    by_generation = {read_entry(text).generation: text for text in records}
    root = running
    for generation in range(last, first - 1, -1):
        text = by_generation.get(generation)
        if text is None:
            raise unknown(generation)
        _, undone = yield from edits_of(text, generation)
        edited = yield from editing(root, undone, schema)
        root = edited.root
        yield
    return Edited(root, None)


def unknown(generation: int) -> RpcError:
    """The refusal where a commit is not, or not any more, in the history."""
    return RpcError(
        ErrorTag.DATA_MISSING,
        f"Commit {generation} is not in the history, which holds the last {COMMITS} commits at most; "
        "see eman-server/commits for the newest.",
    )

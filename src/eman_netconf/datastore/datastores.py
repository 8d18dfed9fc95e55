"""The datastores of the server: what they hold, and who holds a lock (RFC 8342; RFC 6241 sections 5.1, 7.5, 8.3, 8.7).

The candidate is running and what was changed on the way to the next commit; trees share what is the same, so it costs
what was changed. While nothing was changed it follows running. Once something was, it is a tree of its own: another
change of running does not reach it, and a commit makes running what the candidate is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from eman_netconf.datastore.confirmed import Action, ConfirmedCommit, in_use, session_ended
from eman_netconf.datastore.edit import Transform
from eman_netconf.datastore.partial_locks import PartialLocks, denied
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.yang.diff import Change, Touched, diff
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner


class Datastore(StrEnum):
    """The configuration datastores a client may name."""

    RUNNING = "running"
    CANDIDATE = "candidate"
    STARTUP = "startup"


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes configuration and when; ``wall`` in seconds since the epoch, session 0 is the server itself."""

    user: str
    session: int
    wall: float


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a whole datastore; ``since`` in seconds since the epoch."""

    session: int
    since: float


class Participant(Protocol):
    """A part of the server that has a say in a change of configuration and acts upon it."""

    def prepare(self, change: Change, new: Inner) -> None:
        """Look at a change that is valid; raise RpcErrors to refuse it. Nothing may be remembered."""

    def apply(self, change: Change, new: Inner) -> None:
        """The change is durable and in force: act on it. Must not fail."""


class OperationalSource(Protocol):
    """Tells state."""

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        """Top-level nodes as they are in operation, each in place of that of ``running``; None = absent.

        The data are a snapshot: whoever reads them piece by piece sees one moment.
        """


class Journal(Protocol):
    """Where commits become durable."""

    async def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        """Return when the record is on the disk. Raises RpcError when it is not and will not be.

        What is ``unconfirmed`` is rolled back by a restart, until ``confirm`` or a record that is not follows.

        Whoever is cancelled meanwhile is told so only when the record is on the disk; ``commit`` then finishes
        before it ends, for what is on the disk and what is in force must not part.
        """

    async def confirm(self) -> None:
        """As ``append``, of word that what is on the disk is confirmed."""

    def owe(self, record: bytes) -> None:
        """Put the record of a roll-back before the next one, for it could not be appended and happens all the same."""


#: Lets everybody else have a turn in the middle of long work.
Breathe = Callable[[], Awaitable[None]]


async def _breathless() -> None:
    """No pause: for those who have nobody beside them."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of running that is in force, as told to listeners.

    ``confirmed`` is what waits to be confirmed after it, None when the change is there to stay.
    """

    change: Change
    author: Author
    generation: int
    confirmed: ConfirmedCommit | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What became of a confirmed commit, as told to those who listen for it.

    ``event`` is start, extend, complete, cancel or timeout; ``timeout`` the seconds until the roll-back, for the first
    two. The changes themselves are told as Commit.
    """

    event: Action
    author: Author
    timeout: int | None = None


@dataclass(slots=True)
class Draft:
    """A candidate that was changed: its tree, the steps in which it may differ from running, who changed it last."""

    root: Inner
    touched: Touched
    session: int


class Datastores:
    """The content of the datastores, their locks, and who takes part in a commit.

    ``generation`` is the number of commits of running. ``running`` is an immutable tree: whoever reads it keeps what
    he started with. It is replaced by ``commit.finish`` alone. ``writer`` lets one writer in at a time; readers never
    wait for it. With a ``startup``, that datastore is what the journal keeps (``saved`` changes of it), and running is
    lost with the process; without it running is kept itself.
    """

    def __init__(
        self,
        schema: Schema,
        running: Inner,
        generation: int,
        *,
        journal: Journal,
        writer: AbstractAsyncContextManager[object],
        startup: Inner | None = None,
        participants: Sequence[Participant] = (),
        sources: Sequence[OperationalSource] = (),
        transform: Transform | None = None,
        breathe: Breathe = _breathless,
    ) -> None:
        self.schema = schema
        self.running = running
        self.generation = generation
        self.startup = startup
        self.saved = generation
        self.draft: Draft | None = None
        self.confirmed: ConfirmedCommit | None = None
        self.journal = journal
        self.writer = writer
        self.participants = list(participants)
        self.sources = list(sources)
        self.transform = transform
        self.breathe = breathe
        self.listeners: list[Callable[[Commit], None]] = []
        self.confirmations: list[Callable[[Confirmation], None]] = []
        self.saves: list[Callable[[Commit], None]] = []  # told of changes of startup, with ``saved`` as generation
        self.stored: list[Callable[[], None]] = []  # told when the journal has grown
        self.timer_moved: Callable[[], None] = lambda: None  # told when ``next_timer`` gives something else
        self.locks: dict[Datastore, Lock] = {}
        self.partial_locks = PartialLocks()  # of running

    @property
    def offered(self) -> tuple[Datastore, ...]:
        """The configuration datastores there are."""
        return (Datastore.RUNNING, Datastore.CANDIDATE, *(() if self.startup is None else (Datastore.STARTUP,)))

    def tree(self, datastore: Datastore) -> Inner:
        """The present content of a datastore that is offered."""
        if datastore is Datastore.CANDIDATE and self.draft is not None:
            return self.draft.root
        if datastore is Datastore.STARTUP:
            assert self.startup is not None, "startup is not offered"
            return self.startup
        return self.running

    @property
    def durable(self) -> Inner:
        """What the journal keeps."""
        return self.running if self.startup is None else self.startup

    def next_timer(self) -> float | None:
        """When the confirmed commit is to be rolled back, in seconds of the clock that nobody sets; None: never."""
        if self.confirmed is None:
            return None
        return 0.0 if self.confirmed.ended else self.confirmed.deadline

    def modified(self) -> bool:
        """Whether the candidate holds changes; it follows running again when they have come to nothing."""
        draft = self.draft
        if draft is not None and diff(self.running, draft.root, draft.touched) is None:
            self.draft = None
        return self.draft is not None

    def operational(self) -> Inner:
        """Running with the state of all sources merged in: what <get> shows."""
        children = dict(self.running.children)
        for source in self.sources:
            for node, data in source.operational(self.running):
                if data is None:
                    children.pop(node, None)
                else:
                    children[node] = data
        return Inner(self.schema.root, children)

    def lock(self, datastore: Datastore, session: int, wall: float) -> None:
        """Raises RpcError lock-denied, also when the session itself holds the lock (RFC 6241 section 7.5)."""
        held = self.locks.get(datastore)
        waiting = self.confirmed
        if held is not None:
            what = f"session {held.session}; wait until it is unlocked or that session ends"
            if held.session == session:
                what = "this session already; unlock it first, or go on"
            raise _lock_denied(f"{datastore} is locked by {what}.", held.session)
        if datastore is Datastore.CANDIDATE and self.modified():
            assert self.draft is not None
            raise _lock_denied(
                f"The candidate holds changes, the last by session {self.draft.session}; commit or discard them first.",
                0,
            )
        if datastore is Datastore.RUNNING and waiting is not None and waiting.session != session:
            raise _lock_denied(str(in_use(waiting).message), waiting.session)
        part = self.partial_locks.by_others(session) if datastore is Datastore.RUNNING else None
        if part is not None:
            raise denied(part.session, f"Session {part.session} has locked a part of running")
        self.locks[datastore] = Lock(session, wall)

    def unlock(self, datastore: Datastore, session: int) -> None:
        """Raises RpcError operation-failed when the session does not hold the lock (RFC 6241 section 7.6)."""
        held = self.locks.get(datastore)
        if held is None or held.session != session:
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                f"{datastore} is not locked."
                if held is None
                else f"{datastore} is locked by session {held.session}, which alone can unlock it.",
                type=ErrorType.PROTOCOL,
                info=() if held is None else (ErrorInfo("session-id", str(held.session)),),
            )
        self._free(datastore)

    def release(self, session: int) -> None:
        """A session has ended: its locks are free, and a confirmed commit that ends with it is to be rolled back."""
        for datastore, held in list(self.locks.items()):
            if held.session == session:
                self._free(datastore)
        self.partial_locks.release(session)
        if self.confirmed is not None:
            self.confirmed = session_ended(self.confirmed, session)
            self.timer_moved()

    def _free(self, datastore: Datastore) -> None:
        """A lock ends, and with that of the candidate the changes in it (RFC 6241 section 8.3.5.2)."""
        del self.locks[datastore]
        if datastore is Datastore.CANDIDATE:
            self.draft = None

    def check_unlocked(self, datastore: Datastore, session: int) -> None:
        """Raises RpcError in-use when another session holds the lock."""
        held = self.locks.get(datastore)
        if held is not None and held.session != session:
            raise RpcError(
                ErrorTag.IN_USE,
                f"{datastore} is locked by session {held.session}; try again when it is unlocked.",
                type=ErrorType.PROTOCOL,
            )


def _lock_denied(message: str, session: int) -> RpcError:
    info = (ErrorInfo("session-id", str(session)),)
    return RpcError(ErrorTag.LOCK_DENIED, message, type=ErrorType.PROTOCOL, info=info)

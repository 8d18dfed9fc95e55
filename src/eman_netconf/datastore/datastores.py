"""The datastores of the server: running, what is operational, who holds a lock (RFC 8342, RFC 6241 section 7.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from eman_netconf.datastore.edit import Transform
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner


class Datastore(StrEnum):
    """The configuration datastores a client may name."""

    RUNNING = "running"


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

    async def append(self, record: bytes) -> None:
        """Return when the record is on the disk. Raises RpcError when it is not and will not be.

        Whoever is cancelled meanwhile is told so only when the record is on the disk; ``commit`` then finishes
        before it ends, for what is on the disk and what is in force must not part.
        """


#: Lets everybody else have a turn in the middle of long work.
Breathe = Callable[[], Awaitable[None]]


async def _breathless() -> None:
    """No pause: for those who have nobody beside them."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of running that is in force, as told to listeners."""

    change: Change
    author: Author
    generation: int


class Datastores:
    """Running with its generation (the number of commits), its locks, and who takes part in a commit.

    ``running`` is an immutable tree: whoever reads it keeps what he started with. It is replaced by
    ``commit.finish`` alone. ``writer`` lets one writer in at a time; readers never wait for it.
    """

    def __init__(
        self,
        schema: Schema,
        running: Inner,
        generation: int,
        *,
        journal: Journal,
        writer: AbstractAsyncContextManager[object],
        participants: Sequence[Participant] = (),
        sources: Sequence[OperationalSource] = (),
        transform: Transform | None = None,
        breathe: Breathe = _breathless,
    ) -> None:
        self.schema = schema
        self.running = running
        self.generation = generation
        self.journal = journal
        self.writer = writer
        self.participants = list(participants)
        self.sources = list(sources)
        self.transform = transform
        self.breathe = breathe
        self.listeners: list[Callable[[Commit], None]] = []
        self.locks: dict[Datastore, Lock] = {}

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
        if held is not None:
            whose = "this session" if held.session == session else f"session {held.session}"
            raise RpcError(
                ErrorTag.LOCK_DENIED,
                f"{datastore} is locked by {whose}; wait until it is unlocked or that session ends.",
                type=ErrorType.PROTOCOL,
                info=(ErrorInfo("session-id", str(held.session)),),
            )
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
        del self.locks[datastore]

    def release(self, session: int) -> None:
        """Give the locks of a session back that has ended."""
        for datastore, held in list(self.locks.items()):
            if held.session == session:
                del self.locks[datastore]

    def check_unlocked(self, datastore: Datastore, session: int) -> None:
        """Raises RpcError in-use when another session holds the lock."""
        held = self.locks.get(datastore)
        if held is not None and held.session != session:
            raise RpcError(
                ErrorTag.IN_USE,
                f"{datastore} is locked by session {held.session}; try again when it is unlocked.",
                type=ErrorType.PROTOCOL,
            )

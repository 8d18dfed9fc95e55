"""Locks of parts of running (RFC 5717): who holds which nodes, and whom a change would cross.

A lock holds the nodes it was given and all that is below them; what stands above may not be deleted meanwhile. Of a
leaf-list all values are held together. Cost: that of the paths asked about, not of the locks there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Kind
from eman_netconf.yang.tree import Path, Step, path_text

#: Nodes that all locks together may hold, and locks there may be.
MAX_NODES = 20_000
MAX_LOCKS = 1_000


@dataclass(frozen=True, slots=True)
class PartialLock:
    """``since`` in seconds since the epoch, ``select`` as the client wrote it."""

    id: int
    session: int
    since: float
    select: tuple[str, ...]
    nodes: tuple[Path, ...]


@dataclass(slots=True)
class _Place:
    """A node on the way to what is locked: the locks that hold it itself, and the places below."""

    locks: set[PartialLock] = field(default_factory=set)
    below: dict[Step, _Place] = field(default_factory=dict)

    def all(self) -> Iterator[PartialLock]:
        """The locks that hold this node or one below."""
        yield from self.locks
        for place in self.below.values():
            yield from place.all()


class PartialLocks:
    """All partial locks of running."""

    def __init__(self) -> None:
        self._held: dict[int, PartialLock] = {}
        self._top = _Place()
        self._last = 0
        self._nodes = 0

    def held(self) -> Sequence[PartialLock]:
        """In the order they were taken."""
        return tuple(self._held.values())

    def by_others(self, session: int) -> PartialLock | None:
        """A lock that another session holds, if there is one."""
        return next((lock for lock in self._held.values() if lock.session != session), None)

    def take(self, session: int, wall: float, select: Sequence[str], nodes: Iterable[Path]) -> PartialLock:
        """Lock ``nodes`` for a session, which may hold some of them already.

        Raises RpcError: lock-denied when another session holds one of them, one above or one below;
        resource-denied past MAX_NODES or MAX_LOCKS.
        """
        ways = {tuple(map(_step, path)): path for path in nodes}
        for way, path in ways.items():
            holder = next((lock for lock in self._around(way) if lock.session != session), None)
            if holder is not None:
                raise denied(holder.session, f"{path_text(path).text} is locked by session {holder.session}", path)
        if self._nodes + len(ways) > MAX_NODES:
            raise RpcError(
                ErrorTag.RESOURCE_DENIED,
                f"All partial locks together may hold {MAX_NODES} nodes; lock what is above them instead.",
                type=ErrorType.APPLICATION,
            )
        if len(self._held) >= MAX_LOCKS:
            raise RpcError(
                ErrorTag.RESOURCE_DENIED,
                f"There are {MAX_LOCKS} partial locks, the most allowed; give some back, or lock more with each.",
                type=ErrorType.APPLICATION,
            )
        self._last += 1
        lock = PartialLock(self._last, session, wall, tuple(select), tuple(ways.values()))
        self._held[lock.id] = lock
        self._nodes += len(ways)
        for way in ways:
            place = self._top
            for step in way:
                place = place.below.setdefault(step, _Place())
            place.locks.add(lock)
        return lock

    def _around(self, way: Path) -> Iterator[PartialLock]:
        """The locks that hold the node, one above or one below."""
        place = self._top
        for step in way:
            yield from place.locks
            below = place.below.get(step)
            if below is None:
                return
            place = below
        yield from place.all()

    def give_back(self, lock_id: int, session: int) -> None:
        """Raises RpcError invalid-value when the session holds no such lock (RFC 5717 section 2.4.2)."""
        lock = self._held.get(lock_id)
        if lock is None or lock.session != session:
            whose = "There is no" if lock is None else f"Session {lock.session} alone can unlock"
            raise RpcError(
                ErrorTag.INVALID_VALUE,
                f"{whose} partial lock {lock_id}.",
                type=ErrorType.PROTOCOL,
                info=(ErrorInfo("bad-element", "lock-id"),),
            )
        self._drop(lock)

    def release(self, session: int) -> None:
        """Give back what a session held that has ended."""
        for lock in self.held():
            if lock.session == session:
                self._drop(lock)

    def _drop(self, lock: PartialLock) -> None:
        del self._held[lock.id]
        self._nodes -= len(lock.nodes)
        for path in lock.nodes:
            places = [self._top]
            way = [_step(step) for step in path]
            for step in way:
                places.append(places[-1].below[step])
            places[-1].locks.discard(lock)
            for above, step in zip(reversed(places[:-1]), reversed(way), strict=True):
                place = above.below[step]
                if place.locks or place.below:
                    break
                del above.below[step]

    def check(self, change: Change, session: int) -> None:
        """Raises RpcError in-use when a change of running touches what another session holds."""
        if self._held:
            self._check(change, self._top, (), session)

    def _check(self, change: Change, place: _Place, path: Path, session: int) -> None:
        touched = place.locks if change.children else place.all()
        holder = next((lock for lock in touched if lock.session != session), None)
        if holder is not None:
            where = path_text(path)
            raise RpcError(
                ErrorTag.IN_USE,
                f"{where.text} is in the part of running that session {holder.session} has locked; "
                "try again when it is unlocked.",
                type=ErrorType.PROTOCOL,
                path=where,
            )
        for child in change.children:
            step = Step(child.schema, child.key)
            below = place.below.get(step)
            if below is not None:
                self._check(child, below, (*path, step), session)


def _step(step: Step) -> Step:
    return Step(step.schema) if step.schema.kind is Kind.LEAF_LIST else step


def denied(holder: int, why: str, path: Path | None = None) -> RpcError:
    """The refusal of a lock that ``holder``, a session, stands in the way of (RFC 5717 section 2.4.1)."""
    return RpcError(
        ErrorTag.LOCK_DENIED,
        f"{why}; wait until it is unlocked or that session ends.",
        type=ErrorType.PROTOCOL,
        path=path_text(path) if path else None,
        info=(ErrorInfo("session-id", str(holder)),),
    )

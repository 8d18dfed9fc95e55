"""The transaction: what happens between an edit and its being in force, step by step.

Before step 7 nothing has changed; after it nothing can fail. A crash between 7 and 10 restarts into the
configuration that was committed, or, where it waits to be confirmed, into the one before. With a startup datastore
running is not kept, and step 7 does nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from eman_netconf.datastore.confirmed import Action, Ask, ConfirmedCommit, decide, following, in_use
from eman_netconf.datastore.datastores import Author, Breathe, Commit, Confirmation, Datastore, Datastores
from eman_netconf.datastore.edit import PAUSE, Edited, Steps
from eman_netconf.datastore.record import SERVER, record
from eman_netconf.errors import RpcError, RpcErrors
from eman_netconf.yang.diff import Change, diff, touch
from eman_netconf.yang.tree import Inner
from eman_netconf.yang.validate import prune_when, validate_change_steps

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)

#: Refuses a change by raising RpcError or RpcErrors: access control.
Judgement = Callable[[Change], None]


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that nobody refuses, not yet durable."""

    change: Change
    root: Inner
    generation: int
    author: Author
    record: bytes


async def commit(
    datastores: Datastores,
    edit: Callable[[Inner], Edited | Steps[Edited]],
    author: Author,
    judge: Judgement,
    *,
    test_only: bool = False,
) -> None:
    """Make what ``edit`` makes of running the new running, durably; with ``test_only`` only say what is wrong.

    Raises RpcErrors with all that is wrong. Faults the edit itself has left out (continue-on-error) are raised
    at the end, when the rest is in force; if the rest is not valid either, nothing is. While a confirmed commit of
    this session waits, the change belongs to what will be confirmed or rolled back.
    """
    # (1) one writer at a time, nobody else's lock, nobody else's confirmed commit
    async with datastores.writer:
        await _settle(datastores, author.wall)
        datastores.check_unlocked(Datastore.RUNNING, author.session)
        waiting = datastores.confirmed
        if waiting is not None and waiting.session != author.session:
            raise in_use(waiting)
        edited = await made(datastores, edit, datastores.running)
        try:
            pending = await paced(prepare(datastores, edited, author, judge), datastores.breathe)
        except RpcErrors as refusal:
            raise RpcErrors((*edited.errors, *refusal.errors)) from None
        if pending is not None and not test_only:
            datastores.partial_locks.check(pending.change, author.session)
            await _put_in_force(datastores, pending, waiting)
    if edited.errors:
        raise RpcErrors(edited.errors)


async def commit_candidate(datastores: Datastores, author: Author, judge: Judgement, ask: Ask, mono: float) -> None:
    """<commit>: make the candidate running, for good or until it is rolled back (RFC 6241 section 8.3.4.1).

    ``mono`` in seconds of the clock that nobody sets. Raises RpcError and RpcErrors; nothing has changed then.
    """
    async with datastores.writer:
        await _settle(datastores, author.wall)
        action = decide(datastores.confirmed, ask)
        datastores.check_unlocked(Datastore.RUNNING, author.session)
        datastores.check_unlocked(Datastore.CANDIDATE, author.session)
        waiting = following(datastores.confirmed, ask, action, datastores.running, datastores.generation, mono)
        draft = datastores.draft
        pending = None
        if draft is not None:
            edited = Edited(draft.root, draft.touched)
            pending = await paced(prepare(datastores, edited, author, judge), datastores.breathe)
            if pending is not None:
                datastores.partial_locks.check(pending.change, author.session)

        def confirm() -> None:
            datastores.draft = None
            _wait_for(datastores, waiting, action, author, ask.timeout)

        if pending is not None:
            await _put_in_force(datastores, pending, waiting, confirm)
        elif action is Action.COMPLETE and _undone_by_restart(datastores):
            await whole(datastores.journal.confirm(), confirm)
        else:
            confirm()


async def cancel_commit(datastores: Datastores, author: Author, ask: Ask) -> None:
    """<cancel-commit>: roll the confirmed commit back now (RFC 6241 section 8.4.4.1). Raises RpcError."""
    async with datastores.writer:
        await _settle(datastores, author.wall)
        decide(datastores.confirmed, ask)
        datastores.check_unlocked(Datastore.RUNNING, author.session)
        await _roll_back(datastores, author, Action.CANCEL)


async def roll_back_due(datastores: Datastores, wall: float, mono: float) -> None:
    """Roll the confirmed commit back if its time is over or its session has gone; never fails, whoever has a lock."""
    async with datastores.writer:
        await _settle(datastores, wall)
        waiting = datastores.confirmed
        if waiting is not None and waiting.due(mono):
            await _roll_back(datastores, Author(SERVER, 0, wall), Action.TIMEOUT)


async def settle(datastores: Datastores, wall: float) -> None:
    """Roll a confirmed commit back whose session has gone; return when that is done. Otherwise nobody is waited for."""
    if datastores.confirmed is not None and datastores.confirmed.ended:
        async with datastores.writer:
            await _settle(datastores, wall)


async def _settle(datastores: Datastores, wall: float) -> None:
    """Before anything else a confirmed commit whose session has gone is rolled back."""
    if datastores.confirmed is not None and datastores.confirmed.ended:
        await _roll_back(datastores, Author(SERVER, 0, wall), Action.CANCEL)


async def _roll_back(datastores: Datastores, author: Author, event: Action) -> None:
    """Make running what it was before the confirmed commit. Nobody is asked, and a disk that fails does not stop it."""
    waiting = datastores.confirmed
    assert waiting is not None
    change = diff(datastores.running, waiting.before)
    done = partial(_wait_for, datastores, None, event, author)
    if change is None:
        done()
        return
    pending = await paced(_recorded(datastores, change, waiting.before, author), datastores.breathe)
    try:
        await _put_in_force(datastores, pending, None, done)
    except RpcError as error:
        _log.error("The confirmed commit is rolled back, but this is not stored yet: %s", error.message)
        datastores.journal.owe(pending.record)
        finish(datastores, pending)
        done()


async def made(datastores: Datastores, edit: Callable[[Inner], Edited | Steps[Edited]], root: Inner) -> Edited:
    """What an edit makes of a tree, with turns for others when it comes in steps."""
    found = edit(root)
    return found if isinstance(found, Edited) else await paced(found, datastores.breathe)


async def paced(steps: Steps[T], breathe: Breathe) -> T:
    """The result of work in steps, with a turn for everybody else between them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await breathe()


def prepare(datastores: Datastores, edited: Edited, author: Author, judge: Judgement) -> Steps[Pending | None]:
    """Steps 2 to 6, without any effect; None when the edit changes nothing. Raises RpcErrors."""
    found = yield from examine(datastores, datastores.running, edited, judge)
    if found is None:
        return None
    return (yield from _recorded(datastores, *found, author))


def examine(datastores: Datastores, old: Inner, edited: Edited, judge: Judgement) -> Steps[tuple[Change, Inner] | None]:
    """Steps 2 to 5: the change from ``old``, which is valid, and the tree after it. Raises RpcErrors."""
    # (2) the Change, with what goes because its when is no longer true (RFC 7950 section 8.2)
    asked, change, root = changed(datastores, old, edited)
    if change is None:
        return None
    yield
    # (3) may its author make it?
    judged(judge, asked)
    # (4) is the result valid?
    errors: list[RpcError] = []
    for error in validate_change_steps(datastores.schema, change, root):
        if error is None:
            yield
        else:
            errors.append(error)
    if errors:
        raise RpcErrors(errors)
    # (5) does anybody refuse it?
    for participant in datastores.participants:
        try:
            participant.prepare(change, root)
        except RpcErrors as refusal:
            errors.extend(refusal.errors)
        except RpcError as refusal:
            errors.append(refusal.with_traceback(None))  # which leads back to here, and so to the tree
        yield
    if errors:
        raise RpcErrors(errors)
    return change, root


def changed(datastores: Datastores, old: Inner, edited: Edited) -> tuple[Change | None, Change | None, Inner]:
    """The change that an edit asks for, and with what goes by itself the change that it makes; the tree after it.

    The changes are None when there are none.
    """
    root = edited.root
    asked = diff(old, root, edited.touched)
    pruned = prune_when(datastores.schema, asked, root)
    return (asked, asked, root) if pruned is root else (asked, diff(old, pruned), pruned)


def judged(judge: Judgement, asked: Change | None) -> None:
    """Raises RpcErrors when the change is not allowed; what follows from it needs no leave (RFC 8341 section 3.2.5)."""
    try:
        if asked is not None:
            judge(asked)
    except RpcError as refusal:
        raise RpcErrors([refusal]) from None


def _recorded(datastores: Datastores, change: Change, root: Inner, author: Author) -> Steps[Pending]:
    # (6) what will be on the disk
    generation = datastores.generation + 1
    written = yield from recorded(change, generation, author)
    return Pending(change, root, generation, author, written)


def recorded(change: Change, generation: int, author: Author) -> Steps[bytes]:
    """The record of a change."""
    parts: list[bytes] = []
    for part in record(change, generation=generation, wall=author.wall, user=author.user, session=author.session):
        parts.append(part)
        if len(parts) % PAUSE == 0:
            yield
    return b"".join(parts)


async def _put_in_force(
    datastores: Datastores,
    pending: Pending,
    waiting: ConfirmedCommit | None,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Steps 7 to 10; ``waiting`` is what waits to be confirmed after it, ``then`` what else is done."""

    def done() -> None:
        finish(datastores, pending, waiting)
        then()

    if datastores.startup is not None:
        done()
        return
    # (7) durable, or refused with everything as it was
    await whole(datastores.journal.append(pending.record, unconfirmed=waiting is not None), done)
    for told in datastores.stored:
        act(told)


async def whole(stored: Awaitable[None], then: Callable[[], None]) -> None:
    """Once the disk has it, ``then`` happens, even to one who is cancelled meanwhile."""
    try:
        await stored
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # a cancellation, passed on when the record was durable: so it holds
        then()
        raise
    then()


def finish(datastores: Datastores, pending: Pending, waiting: ConfirmedCommit | None = None) -> None:
    """Steps 8 to 10, when the record is on the disk."""
    assert pending.generation == datastores.generation + 1, "one writer at a time"
    # (8) running is swapped; a candidate with changes stays what it is, and so differs here now
    datastores.running = pending.root
    datastores.generation = pending.generation
    if datastores.draft is not None:
        touch(datastores.draft.touched, pending.change)
    # (9) those who take part act on it
    for participant in datastores.participants:
        act(participant.apply, pending.change, pending.root)
    # (10) the change is told
    told = Commit(pending.change, pending.author, pending.generation, waiting)
    for listener in datastores.listeners:
        act(listener, told)


def _wait_for(
    datastores: Datastores, waiting: ConfirmedCommit | None, event: Action, author: Author, timeout: int | None = None
) -> None:
    """The confirmed commit that waits from now on, and the telling of it."""
    datastores.confirmed = waiting
    if event is Action.COMMIT:
        return
    datastores.timer_moved()
    told = Confirmation(event, author, timeout if waiting is not None else None)
    for listener in datastores.confirmations:
        act(listener, told)


def _undone_by_restart(datastores: Datastores) -> bool:
    """Whether the journal holds commits that wait to be confirmed."""
    waiting = datastores.confirmed
    return datastores.startup is None and waiting is not None and waiting.generation != datastores.generation


def act(call: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
    """Call one who is told of what is in force already."""
    try:
        call(*arguments, **named)
    except Exception:  # noqa: BLE001 - the commit is durable: one part's fault must keep neither others nor the reply
        _log.exception("A part of the server failed to act on a commit.")

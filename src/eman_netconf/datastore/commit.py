"""The transaction: what happens between an edit and its being in force, step by step.

Before step 7 nothing has changed; after it nothing can fail. A crash between 7 and 10 restarts into the
configuration that was committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from eman_netconf.datastore.datastores import Author, Breathe, Commit, Datastore, Datastores
from eman_netconf.datastore.edit import PAUSE, Edited, Steps
from eman_netconf.datastore.record import record
from eman_netconf.errors import RpcError, RpcErrors
from eman_netconf.yang.diff import Change, diff
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
    at the end, when the rest is in force; if the rest is not valid either, nothing is.
    """
    # (1) one writer at a time, and nobody else's lock
    async with datastores.writer:
        datastores.check_unlocked(Datastore.RUNNING, author.session)
        made = edit(datastores.running)
        edited = made if isinstance(made, Edited) else await paced(made, datastores.breathe)
        try:
            pending = await paced(prepare(datastores, edited, author, judge), datastores.breathe)
        except RpcErrors as refusal:
            raise RpcErrors((*edited.errors, *refusal.errors)) from None
        if pending is not None and not test_only:
            # (7) durable, or refused with everything as it was
            try:
                await datastores.journal.append(pending.record)
            except (Exception, GeneratorExit):
                raise
            except BaseException:  # a cancellation, passed on when the record was durable: so it holds
                finish(datastores, pending)
                raise
            finish(datastores, pending)
    if edited.errors:
        raise RpcErrors(edited.errors)


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
    # (2) the Change, with what goes because its when is no longer true (RFC 7950 section 8.2)
    root = edited.root
    change = diff(datastores.running, root, edited.touched)
    pruned = prune_when(datastores.schema, change, root)
    if pruned is not root:
        root = pruned
        change = diff(datastores.running, root)
    if change is None:
        return None
    yield
    # (3) may its author make it?
    try:
        judge(change)
    except RpcError as refusal:
        raise RpcErrors([refusal]) from None
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
            errors.append(refusal)
        yield
    if errors:
        raise RpcErrors(errors)
    # (6) what will be on the disk
    generation = datastores.generation + 1
    parts: list[bytes] = []
    for part in record(change, generation=generation, wall=author.wall, user=author.user, session=author.session):
        parts.append(part)
        if len(parts) % PAUSE == 0:
            yield
    return Pending(change, root, generation, author, b"".join(parts))


def finish(datastores: Datastores, pending: Pending) -> None:
    """Steps 8 to 10, when the record is on the disk."""
    assert pending.generation == datastores.generation + 1, "one writer at a time"
    # (8) running is swapped
    datastores.running = pending.root
    datastores.generation = pending.generation
    # (9) those who take part act on it
    for participant in datastores.participants:
        _act(participant.apply, pending.change, pending.root)
    # (10) the change is told
    told = Commit(pending.change, pending.author, pending.generation)
    for listener in datastores.listeners:
        _act(listener, told)


def _act(call: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
    try:
        call(*arguments, **named)
    except Exception:  # noqa: BLE001 - the commit is durable: one part's fault must keep neither others nor the reply
        _log.exception("A part of the server failed to act on a commit.")

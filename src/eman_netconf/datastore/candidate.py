"""Editing the candidate (RFC 6241 section 8.3): what would be the next running, and need not be valid yet.

Names, keys and types are checked, and access; constraints are when somebody asks, or at the commit (RFC 7950 section
8.3.3).
"""

from __future__ import annotations

from collections.abc import Callable

from eman_netconf.datastore.commit import Judgement, changed, examine, judged, made, paced
from eman_netconf.datastore.datastores import Author, Datastore, Datastores, Draft
from eman_netconf.datastore.edit import Edited, Steps
from eman_netconf.errors import RpcErrors
from eman_netconf.yang.diff import Change, Touched, diff, touch
from eman_netconf.yang.tree import Inner


async def edit_candidate(
    datastores: Datastores,
    edit: Callable[[Inner], Edited | Steps[Edited]],
    author: Author,
    judge: Judgement,
    *,
    test_only: bool = False,
    checked: bool = False,
) -> None:
    """Make what ``edit`` makes of the candidate the new candidate; with ``test_only`` only say what is wrong.

    With ``checked`` or ``test_only`` what would keep the result from being committed refuses the edit. Raises
    RpcErrors with all that is wrong, and RpcError in-use; the candidate stays as it was then, except that faults the
    edit itself has left out (continue-on-error) are raised when the rest is in it.
    """
    async with datastores.writer:
        datastores.check_unlocked(Datastore.CANDIDATE, author.session)
        edited = await made(datastores, edit, datastores.tree(Datastore.CANDIDATE))
        asked, change, root = changed(datastores, datastores.tree(Datastore.CANDIDATE), edited)
        if change is not None:
            judged(judge, asked)
            if checked or test_only:
                await paced(_would_hold(datastores, root, change, edited), datastores.breathe)
            if not test_only:
                if datastores.draft is None:
                    datastores.draft = Draft(root, {}, author.session)
                _redraw(datastores.draft, root, change, author)
    if edited.errors:
        raise RpcErrors(edited.errors)


async def discard(datastores: Datastores, session: int) -> None:
    """<discard-changes>: the candidate follows running again (section 8.3.4.2). Raises RpcError in-use."""
    async with datastores.writer:
        datastores.check_unlocked(Datastore.CANDIDATE, session)
        datastores.draft = None


def validate_candidate(datastores: Datastores) -> Steps[None]:
    """Whether the candidate could become running, except for who asks; the cost is that of its changes.

    Raises RpcErrors.
    """
    draft = datastores.draft
    if draft is not None:
        yield from examine(datastores, datastores.running, Edited(draft.root, draft.touched), _anybody)


def _would_hold(datastores: Datastores, root: Inner, change: Change, edited: Edited) -> Steps[None]:
    touched: Touched = {}
    draft = datastores.draft
    before = None if draft is None else diff(datastores.running, draft.root, draft.touched)
    for each in (before, change):
        if each is not None:
            touch(touched, each)
    try:
        yield from examine(datastores, datastores.running, Edited(root, touched), _anybody)
    except RpcErrors as refusal:
        raise RpcErrors((*edited.errors, *refusal.errors)) from None


def _redraw(draft: Draft, root: Inner, change: Change, author: Author) -> None:
    draft.root = root
    draft.session = author.session
    touch(draft.touched, change)


def _anybody(_change: Change) -> None:
    """The change is allowed: nobody in particular asks."""

"""Changes of the startup datastore (RFC 6241 section 8.7): what the journal keeps when running is volatile."""

from __future__ import annotations

from collections.abc import Callable

from eman_netconf.datastore.commit import Judgement, act, examine, made, paced, recorded, whole
from eman_netconf.datastore.datastores import Author, Commit, Datastore, Datastores
from eman_netconf.datastore.edit import Edited, Steps
from eman_netconf.errors import ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.yang.diff import Change, diff
from eman_netconf.yang.tree import Inner


async def edit_startup(
    datastores: Datastores,
    edit: Callable[[Inner], Edited | Steps[Edited]],
    author: Author,
    judge: Judgement,
    *,
    test_only: bool = False,
) -> None:
    """Make what ``edit`` makes of startup the new startup, durably, as ``commit.commit`` does of running.

    It is valid at any time, and what nobody refuses as running (RFC 7950 section 8.3.3).
    """
    async with datastores.writer:
        datastores.check_unlocked(Datastore.STARTUP, author.session)
        startup = datastores.tree(Datastore.STARTUP)
        edited = await made(datastores, edit, startup)
        try:
            found = await paced(examine(datastores, startup, edited, judge), datastores.breathe)
        except RpcErrors as refusal:
            raise RpcErrors((*edited.errors, *refusal.errors)) from None
        if found is not None and not test_only:
            await _keep(datastores, *found, author)
    if edited.errors:
        raise RpcErrors(edited.errors)


async def save(datastores: Datastores, author: Author) -> None:
    """Running becomes startup. Raises RpcError in-use, also while it may still be rolled back: a restart would come up
    with what was never confirmed (RFC 6241 section 8.4.1).
    """
    async with datastores.writer:
        if datastores.confirmed is not None:
            raise RpcError(
                ErrorTag.IN_USE,
                "A confirmed commit waits to be confirmed; save running when it is confirmed or rolled back.",
                type=ErrorType.PROTOCOL,
            )
        datastores.check_unlocked(Datastore.STARTUP, author.session)
        change = diff(datastores.tree(Datastore.STARTUP), datastores.running)
        if change is not None:
            await _keep(datastores, change, datastores.running, author)


async def delete_startup(datastores: Datastores, author: Author) -> None:
    """Leave startup empty: the next start is a server's first one (section 7.4). Raises RpcError in-use.

    Nobody judges the content: who may call delete-config at all is denied by default.
    """
    async with datastores.writer:
        datastores.check_unlocked(Datastore.STARTUP, author.session)
        empty = Inner(datastores.schema.root)
        change = diff(datastores.tree(Datastore.STARTUP), empty)
        if change is not None:
            await _keep(datastores, change, empty, author)


async def _keep(datastores: Datastores, change: Change, root: Inner, author: Author) -> None:
    written = await paced(recorded(change, datastores.saved + 1, author), datastores.breathe)

    def done() -> None:
        datastores.startup = root
        datastores.saved += 1
        told = Commit(change, author, datastores.saved)
        for listener in datastores.saves:
            act(listener, told)

    await whole(datastores.journal.append(written), done)
    for grown in datastores.stored:
        act(grown)

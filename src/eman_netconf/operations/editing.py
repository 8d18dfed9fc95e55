"""One way to change any configuration datastore: locks, access, checks and durability as each of them wants it."""

from __future__ import annotations

from collections.abc import Callable

from eman_netconf.datastore.candidate import edit_candidate
from eman_netconf.datastore.commit import Judgement, commit
from eman_netconf.datastore.datastores import Author, Datastore
from eman_netconf.datastore.edit import Edited, Steps, Transform
from eman_netconf.datastore.startup import edit_startup
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import Server
from eman_netconf.yang.tree import Inner, Path


async def edit(
    server: Server,
    session: SessionInfo,
    datastore: Datastore,
    edit: Callable[[Inner], Edited | Steps[Edited]],
    *,
    test_only: bool = False,
    checked: bool = False,
) -> None:
    """Make what ``edit`` makes of a datastore its new content, for a session; it is in force when this returns.

    Running and startup are valid afterwards, or nothing has changed (RFC 7950 section 8.3.3). The candidate need not
    be; ``checked`` asks for it, which is test-option test-then-set (RFC 6241 section 7.2). With ``test_only`` nothing
    changes. Raises RpcError in-use, and RpcErrors with all that is wrong.
    """
    datastores, author, judge = server.datastores, author_of(server, session), judge_of(server, session)
    match datastore:
        case Datastore.RUNNING:
            await commit(datastores, edit, author, judge, test_only=test_only)
        case Datastore.CANDIDATE:
            await edit_candidate(datastores, edit, author, judge, test_only=test_only, checked=checked)
        case Datastore.STARTUP:
            await edit_startup(datastores, edit, author, judge, test_only=test_only)


def storing(server: Server, session: SessionInfo) -> Transform | None:
    """The datastores' Transform for edits of a session: it tells only those who may write a secret that it is in place.

    Without this whoever may edit anything could try passwords, since what changes nothing needs no permission.
    """
    transform = server.datastores.transform
    if transform is None:
        return None

    def guarded(path: Path, value: str, old: str | None, /) -> str:
        server.judge.secret(session, path, exists=old is not None)
        return transform(path, value, old)

    return guarded


def author_of(server: Server, session: SessionInfo) -> Author:
    """The session as the author of a change made now."""
    return Author(session.user, session.id, server.wall())


def judge_of(server: Server, session: SessionInfo) -> Judgement:
    """Access control of the session's changes."""
    return lambda change: server.judge.change(session, change)

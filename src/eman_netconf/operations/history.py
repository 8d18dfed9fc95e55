"""The history of commits: the newest are told, each can be shown, and the commits behind one be undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from lxml import etree

from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.datastores import Commit, Datastore, Datastores
from eman_netconf.datastore.edit import Edited, Steps
from eman_netconf.datastore.history import Entry, History, edits_of, entry, undoing, unknown
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import Ok, Reply, SessionInfo
from eman_netconf.operations.editing import edit
from eman_netconf.operations.ports import ActionHandler, Handler, Request, Server
from eman_netconf.yang.instance import Element
from eman_netconf.yang.tree import Inner, Opaque, Path, make_inner

SERVER_NS = "urn:eman:yang:eman-server"

#: The records of the commits from one number to another, as many as there are.
Read = Callable[[int, int], Awaitable[Sequence[bytes]]]


class Commits:
    """The history of what the journal keeps, as state; a listener of commits."""

    def __init__(self, datastores: Datastores, read: Read) -> None:
        self.history = History()
        self.read = read
        self._datastores = datastores

    def committed(self, told: Commit) -> None:
        """As a listener of ``Datastores``; with a startup datastore commits of running are not kept."""
        if self._datastores.startup is None:
            author = told.author
            made = entry(
                told.change, generation=told.generation, wall=author.wall, user=author.user, session=author.session
            )
            self.history.add(made)

    def state(self) -> Mapping[str, Any]:
        """The container commits as plain values."""
        return {"commit": [_described(each) for each in self.history.entries]}

    def actions(self) -> Mapping[tuple[str, str], ActionHandler]:
        """The handlers by module and action, for ``Server.actions``."""

        async def show(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
            generation = int((path[-1].key or ("0",))[0])
            found = await self.read(generation, generation)
            if not found:
                raise unknown(generation)
            done, undone = await paced(edits_of(found[0], generation), self._datastores.breathe)
            node = path[-1].schema.actions[SERVER_NS, "show"].child("output")
            return make_inner(node, {"edit": Opaque(_content(done)), "undo": Opaque(_content(undone))})

        return {("eman-server", "show"): show}


def _described(each: Entry) -> Mapping[str, Any]:
    return {
        "id": each.generation,
        "time": each.time,
        "user": each.user,
        "session": each.session,
        "changes": each.changes,
        "change": [{"operation": operation, "target": place} for operation, place in each.told],
    }


def _content(config: Element) -> bytes:
    return b"".join(etree.tostring(child) for child in config)


async def revert(server: Server, request: Request) -> Reply:
    """Make running, or the candidate, what running was after a commit."""
    datastores, said = server.datastores, request.input.leaf
    to = int(said("to") or 0)
    if datastores.startup is not None:
        raise RpcError(
            ErrorTag.OPERATION_NOT_SUPPORTED,
            "With a startup datastore commits of running are not kept; copy startup to running instead.",
            type=ErrorType.PROTOCOL,
        )
    newest = datastores.generation
    if to > newest:
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            f"The newest commit is {newest}; there is no commit {to} to go back to.",
            info=(ErrorInfo("bad-element", "to"),),
        )
    records = await server.read_commits(to + 1, newest)

    def undo(_present: Inner) -> Steps[Edited]:
        if datastores.generation != newest:
            raise RpcError(ErrorTag.IN_USE, "Somebody else committed meanwhile; look again and repeat this.")
        return undoing(datastores.running, records, to + 1, newest, server.schema)

    await edit(server, request.session, Datastore(said("datastore") or Datastore.RUNNING), undo)
    return Ok()


HANDLERS: Mapping[tuple[str, str], Handler] = {(SERVER_NS, "revert"): revert}

"""RFC 5717: locks of parts of running."""

from __future__ import annotations

from collections.abc import Mapping

from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.datastores import Datastore
from eman_netconf.datastore.evaluate import locating
from eman_netconf.datastore.partial_locks import denied
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import Ok, Output, Reply
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.yang import xpath
from eman_netconf.yang.tree import Step, make_inner
from eman_netconf.yang.xpath_functions import Returns
from eman_netconf.yang.xpath_instance import to_instance_identifier

PARTIAL_LOCK_NS = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
CAPABILITY = "urn:ietf:params:netconf:capability:partial-lock:1.0"

#: Expressions in one request, and the characters of all of them: they are compiled at once, and kept with the lock.
MAX_SELECTS = 64
MAX_CHARACTERS = 65_536

_SELECT = f"{{{PARTIAL_LOCK_NS}}}select"


async def partial_lock(server: Server, request: Request) -> Reply:
    """Lock all that the expressions select in running, or nothing (section 2.4.1)."""
    datastores, session = server.datastores, request.session
    selects = list(request.element.iterchildren(_SELECT))
    if len(selects) > MAX_SELECTS or sum(len(select.text or "") for select in selects) > MAX_CHARACTERS:
        raise RpcError(
            ErrorTag.TOO_BIG,
            f"One request locks by at most {MAX_SELECTS} expressions of {MAX_CHARACTERS} characters together; "
            "make several locks.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "select"),),
        )
    programs = [_compiled(server, select.text or "", select.nsmap) for select in selects]
    async with datastores.writer:  # what is selected stays as it is until it is locked
        root = server.judge.readable(session, datastores.running)
        nodes = await paced(locating(programs, root), datastores.breathe)
        held = datastores.locks.get(Datastore.RUNNING)
        if held is not None and held.session != session.id:
            raise denied(held.session, f"All of running is locked by session {held.session}")
        waiting = datastores.confirmed
        if waiting is not None and waiting.session != session.id:
            refusal = denied(waiting.session or 0, "A commit of another session waits to be confirmed")
            refusal.app_tag = "outstanding-confirmed-commit"
            raise refusal
        if not nodes:
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                "The expressions select no node of running, so there is nothing to lock.",
                app_tag="no-matches",
            )
        lock = datastores.partial_locks.take(session.id, server.wall(), [str(select.text) for select in selects], nodes)
    output = request.node.child("output")
    whole = () in lock.nodes
    located = (
        [to_instance_identifier((Step(node),)) for node in root.children]
        if whole
        else ([to_instance_identifier(path) for path in lock.nodes])
    )
    return Output(make_inner(output, {"lock-id": lock.id, "locked-node": located}).xml())


async def partial_unlock(server: Server, request: Request) -> Reply:
    """Section 2.4.2."""
    server.datastores.partial_locks.give_back(int(request.input.leaf("lock-id") or 0), request.session.id)
    return Ok()


def _compiled(server: Server, text: str, namespaces: Mapping[str | None, str]) -> xpath.Expr:
    prefixes = {prefix: uri for prefix, uri in namespaces.items() if prefix}
    try:
        program = xpath.compile(text, prefixes, None, server.schema)
    except xpath.XPathFault as fault:
        raise _invalid(f"The expression {text[:200]!r} cannot be read: {fault}") from None
    if program.returns is not Returns.NODES:
        refusal = _invalid(f"The expression {text[:200]!r} gives a {program.returns}; select nodes by their path.")
        refusal.app_tag = "not-a-node-set"
        raise refusal
    return program


def _invalid(message: str) -> RpcError:
    return RpcError(
        ErrorTag.INVALID_VALUE, message, type=ErrorType.PROTOCOL, info=(ErrorInfo("bad-element", "select"),)
    )


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (PARTIAL_LOCK_NS, "partial-lock"): partial_lock,
    (PARTIAL_LOCK_NS, "partial-unlock"): partial_unlock,
}

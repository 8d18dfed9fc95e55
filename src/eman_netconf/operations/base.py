"""The operations of RFC 6241 section 7 that read, lock and end sessions; those that change: transactions.py."""

from __future__ import annotations

from collections.abc import Mapping

from eman_netconf.datastore.commit import settle
from eman_netconf.datastore.select import Selection
from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import Data, Ok, Reply
from eman_netconf.operations.filters import read_filter
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.operations.retrieval import Asked, answer, mode_of
from eman_netconf.operations.targets import named

_FILTER = f"{{{BASE_NS}}}filter"


async def get(server: Server, request: Request) -> Reply:
    """Configuration and state (section 7.7)."""
    asked = Asked(_selection(server, request), mode_of(request), state=True)
    return Data(await answer(server, request.session, server.datastores.operational(), asked))


async def get_config(server: Server, request: Request) -> Reply:
    """Configuration (section 7.1)."""
    asked = Asked(_selection(server, request), mode_of(request))
    return Data(await answer(server, request.session, server.datastores.tree(named(server, request, "source")), asked))


async def lock(server: Server, request: Request) -> Reply:
    """Section 7.5."""
    async with server.datastores.writer:  # who is writing now, comes before
        server.datastores.lock(named(server, request, "target"), request.session.id, server.wall())
    return Ok()


async def unlock(server: Server, request: Request) -> Reply:
    """Section 7.6."""
    server.datastores.unlock(named(server, request, "target"), request.session.id)
    return Ok()


async def close_session(server: Server, request: Request) -> Reply:
    """Section 7.8: the session ends itself once the reply is out, and its locks go with it."""
    return Ok()


async def kill_session(server: Server, request: Request) -> Reply:
    """Section 7.9: the reply comes when the other session is gone, with its locks and what it left unconfirmed."""
    number = int(request.input.leaf("session-id") or 0)
    if number == request.session.id:
        raise _bad_session("This is the number of the session that asks; use close-session to end it.")
    if not await server.sessions.kill(number, request.session.id):
        raise _bad_session(f"There is no session {number}; see netconf-state/sessions for those there are.")
    await settle(server.datastores, server.wall())
    return Ok()


def _bad_session(message: str) -> RpcError:
    return RpcError(
        ErrorTag.INVALID_VALUE, message, type=ErrorType.PROTOCOL, info=(ErrorInfo("bad-element", "session-id"),)
    )


def _selection(server: Server, request: Request) -> Selection:
    """The filter of <get> and <get-config>. Raises RpcError."""
    return read_filter(request.element.find(_FILTER), server.schema)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (BASE_NS, "get"): get,
    (BASE_NS, "get-config"): get_config,
    (BASE_NS, "lock"): lock,
    (BASE_NS, "unlock"): unlock,
    (BASE_NS, "close-session"): close_session,
    (BASE_NS, "kill-session"): kill_session,
}

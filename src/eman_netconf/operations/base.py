"""The operations of RFC 6241 section 7 with :writable-running, :validate, :rollback-on-error and :xpath.

How error-option is met (RFC 6241 section 7.2). An edit is one transaction, whatever its error-option:

- ``stop-on-error`` and ``rollback-on-error``: any error leaves running as it was. RFC 6241 lets a server stop
  half-way with the former; this one always leaves a whole, and tells all errors instead of the first.
- ``continue-on-error``: what the edit asks of nodes without fault is done, and the reply tells the faults. What
  is left must still be valid as a whole, since running always is (RFC 7950 section 8.1); if it is not, nothing
  is done.

``test-option`` ``set`` does not skip validation, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.commit import commit, paced, prepare
from eman_netconf.datastore.datastores import Author, Datastore
from eman_netconf.datastore.edit import Edited, Steps, Transform, editing
from eman_netconf.datastore.select import Selection, settling
from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import Data, Ok, Reply
from eman_netconf.operations.filters import read_filter
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.yang.instance import Element
from eman_netconf.yang.tree import Inner
from eman_netconf.yang.validate import validate_steps

_CONFIG = f"{{{BASE_NS}}}config"
_FILTER = f"{{{BASE_NS}}}filter"


async def get(server: Server, request: Request) -> Reply:
    """Configuration and state (section 7.7)."""
    return await _data(server, request, server.datastores.operational())


async def get_config(server: Server, request: Request) -> Reply:
    """Configuration (section 7.1); running is the one source there is."""
    return await _data(server, request, server.datastores.running)


async def _data(server: Server, request: Request, root: Inner) -> Data:
    """What of a tree this user may read and the filter selects."""
    selection = _selection(server, request)
    return Data(
        await paced(settling(selection, server.judge.readable(request.session, root)), server.datastores.breathe)
    )


async def edit_config(server: Server, request: Request) -> Reply:
    """Change running (section 7.2)."""
    said = request.input.leaf
    config = request.element.find(_CONFIG)
    assert config is not None, "the choice edit-content is mandatory, and :url is not supported"

    def edit(running: Inner) -> Steps[Edited]:
        return editing(
            running,
            config,
            server.schema,
            default_operation=Operation(said("default-operation") or Operation.MERGE),
            keep_going=said("error-option") == "continue-on-error",
            transform=server.datastores.transform,
        )

    await commit(
        server.datastores,
        edit,
        _author(server, request),
        lambda change: server.judge.change(request.session, change),
        test_only=said("test-option") == "test-only",
    )
    return Ok()


async def copy_config(server: Server, request: Request) -> Reply:
    """Replace running by a whole configuration that the request holds (section 7.3)."""
    config = request.element.find(f"{{{BASE_NS}}}source/{_CONFIG}")
    if config is None:
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            "Source and target are both running; copy from a <config> instead.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "source"),),
        )
    await commit(
        server.datastores,
        lambda running: _whole(server, running, config, server.datastores.transform),
        _author(server, request),
        lambda change: server.judge.change(request.session, change),
    )
    return Ok()


async def validate_config(server: Server, request: Request) -> Reply:
    """Say what is wrong with running or with a whole configuration that the request holds (section 8.6.4.1)."""
    config = request.element.find(f"{{{BASE_NS}}}source/{_CONFIG}")
    datastores = server.datastores
    if config is None:
        steps = _valid(server, datastores.running)
    else:
        steps = _would_be(server, config, _author(server, request))
    await paced(steps, datastores.breathe)
    return Ok()


async def lock(server: Server, request: Request) -> Reply:
    """Section 7.5."""
    server.datastores.lock(_target(request), request.session.id, server.wall())
    return Ok()


async def unlock(server: Server, request: Request) -> Reply:
    """Section 7.6."""
    server.datastores.unlock(_target(request), request.session.id)
    return Ok()


async def close_session(server: Server, request: Request) -> Reply:
    """Section 7.8: the session ends itself once the reply is out, and its locks go with it."""
    return Ok()


async def kill_session(server: Server, request: Request) -> Reply:
    """Section 7.9: the reply comes when the other session is gone and its locks are free."""
    number = int(request.input.leaf("session-id") or 0)
    if number == request.session.id:
        raise _bad_session("This is the number of the session that asks; use close-session to end it.")
    if not await server.sessions.kill(number, request.session.id):
        raise _bad_session(f"There is no session {number}; see netconf-state/sessions for those there are.")
    return Ok()


def _bad_session(message: str) -> RpcError:
    return RpcError(
        ErrorTag.INVALID_VALUE, message, type=ErrorType.PROTOCOL, info=(ErrorInfo("bad-element", "session-id"),)
    )


def _valid(server: Server, root: Inner) -> Steps[None]:
    errors: list[RpcError] = []
    for error in validate_steps(server.schema, root):
        if error is None:
            yield
        else:
            errors.append(error)
    if errors:
        raise RpcErrors(errors)


def _would_be(server: Server, config: Element, author: Author) -> Steps[None]:
    """Whether ``config`` could become running, except for who asks.

    Secrets are left as they were sent: hashing them would only cost time, and the time would tell whether a password
    is the one that is in place.
    """
    edited = yield from _whole(server, server.datastores.running, config, transform=None)
    yield from prepare(server.datastores, edited, author, lambda _change: None)


def _whole(server: Server, running: Inner, config: Element, transform: Transform | None) -> Steps[Edited]:
    return editing(
        running,
        config,
        server.schema,
        default_operation=Operation.REPLACE,
        plain=True,
        transform=transform,
    )


def _author(server: Server, request: Request) -> Author:
    return Author(request.session.user, request.session.id, server.wall())


def _target(request: Request) -> Datastore:
    target = request.input.at("target")
    assert isinstance(target, Inner)
    return next(Datastore(node.name) for node in target.children)


def _selection(server: Server, request: Request) -> Selection:
    """The filter of <get> and <get-config>. Raises RpcError."""
    return read_filter(request.element.find(_FILTER), server.schema)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (BASE_NS, "get"): get,
    (BASE_NS, "get-config"): get_config,
    (BASE_NS, "edit-config"): edit_config,
    (BASE_NS, "copy-config"): copy_config,
    (BASE_NS, "validate"): validate_config,
    (BASE_NS, "lock"): lock,
    (BASE_NS, "unlock"): unlock,
    (BASE_NS, "close-session"): close_session,
    (BASE_NS, "kill-session"): kill_session,
}

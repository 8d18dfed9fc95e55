"""The operations that change and check configuration (RFC 6241 sections 7.2 to 7.4, 8.3.4, 8.4.4, 8.6.4).

How error-option is met (RFC 6241 section 7.2). An edit is one transaction, whatever its error-option:

- ``stop-on-error`` and ``rollback-on-error``: any error leaves the datastore as it was. RFC 6241 lets a server stop
  half-way with the former; this one always leaves a whole, and tells all errors instead of the first.
- ``continue-on-error``: what the edit asks of nodes without fault is done, and the reply tells the faults. What
  is left of running must still be valid as a whole, since running always is (RFC 7950 section 8.1); if it is not,
  nothing is done.

``test-option`` ``set`` does not skip validation of running, for the same reason. The candidate is validated where
``test-then-set`` is asked for in so many words; otherwise its constraints wait for validate or commit (RFC 7950
section 8.3.3), so that a change may be made in several edits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eman_netconf.datastore import commit as transaction
from eman_netconf.datastore import startup
from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.candidate import discard, validate_candidate
from eman_netconf.datastore.commit import examine, paced
from eman_netconf.datastore.confirmed import TIMEOUT, Ask
from eman_netconf.datastore.datastores import Datastore
from eman_netconf.datastore.edit import Edited, Steps, Transform, editing
from eman_netconf.datastore.select import EVERYTHING, stream
from eman_netconf.datastore.sharing import share_inner
from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import Ok, Reply, SessionInfo
from eman_netconf.operations import url
from eman_netconf.operations.editing import author_of, edit, judge_of, storing
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.operations.retrieval import Asked, answer, mode_of
from eman_netconf.operations.targets import by_url, named
from eman_netconf.yang.diff import Change
from eman_netconf.yang.instance import Element
from eman_netconf.yang.tree import Inner
from eman_netconf.yang.validate import validate_steps

_CONFIG = f"{{{BASE_NS}}}config"


async def edit_config(server: Server, request: Request) -> Reply:
    """Change running or the candidate (section 7.2)."""
    said = request.input.leaf
    found = request.element.find(_CONFIG)
    config = found if found is not None else await url.read(server, said("url") or "")

    def change(root: Inner) -> Steps[Edited]:
        return editing(
            root,
            config,
            server.schema,
            default_operation=Operation(said("default-operation") or Operation.MERGE),
            keep_going=said("error-option") == "continue-on-error",
            transform=storing(server, request.session),
        )

    await edit(
        server,
        request.session,
        named(server, request, "target"),
        change,
        test_only=said("test-option") == "test-only",
        checked=said("test-option") == "test-then-set",
    )
    return Ok()


async def copy_config(server: Server, request: Request) -> Reply:
    """Replace a datastore by another, or by a whole configuration that the request holds (section 7.3)."""
    file = by_url(request, "target")
    if file is not None:
        await _copy_to_file(server, request, file)
        return Ok()
    target = named(server, request, "target")
    config = await _given(server, request)
    if config is not None:
        whole = config
        await edit(
            server,
            request.session,
            target,
            lambda old: _whole(server, old, whole, storing(server, request.session)),
        )
        return Ok()
    source = named(server, request, "source")
    if source is target:
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            f"Source and target are both {target}; copy from another datastore or a <config>.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "source"),),
        )
    if (source, target) == (Datastore.RUNNING, Datastore.STARTUP):
        # to be allowed to ask is enough (RFC 8341 section 3.2.6)
        await startup.save(server.datastores, author_of(server, request.session))
    else:
        await edit(server, request.session, target, lambda old: _copied(server, request.session, source, old))
    return Ok()


async def _copy_to_file(server: Server, request: Request, file: str) -> None:
    """Write what the session may read of a datastore, or a whole configuration that it gives, to a file.

    The former with defaults as with-defaults wants them (RFC 6243 section 4.5.1).
    """
    config = await _given(server, request)
    if config is None:
        source = server.datastores.tree(named(server, request, "source"))
        slices = await answer(server, request.session, source, Asked(mode=mode_of(request)))
    else:
        transform = server.datastores.transform
        edited = await paced(_whole(server, Inner(server.schema.root), config, transform), server.datastores.breathe)
        slices = stream(EVERYTHING, edited.root)
    await url.write(server, file, slices)


async def _given(server: Server, request: Request) -> Element | None:
    """The whole configuration that is the source: in the request itself, or in a file it names."""
    found = request.element.find(f"{{{BASE_NS}}}source/{_CONFIG}")
    if found is not None:
        return found
    file = by_url(request, "source")
    return None if file is None else await url.read(server, file)


async def delete_config(server: Server, request: Request) -> Reply:
    """Empty startup, or delete a file (section 7.4); running and the candidate cannot be deleted."""
    file = by_url(request, "target")
    if file is not None:
        await url.delete(server, file)
        return Ok()
    await startup.delete_startup(server.datastores, author_of(server, request.session))
    return Ok()


async def validate_config(server: Server, request: Request) -> Reply:
    """Say what is wrong with a datastore or a whole configuration that the request holds (section 8.6.4.1)."""
    config = await _given(server, request)
    datastores = server.datastores
    if config is not None:
        steps = _would_be(server, config)
    elif (source := named(server, request, "source")) is Datastore.CANDIDATE:
        steps = validate_candidate(datastores)
    else:
        steps = _valid(server, datastores.tree(source))
    await paced(steps, datastores.breathe)
    return Ok()


async def commit(server: Server, request: Request) -> Reply:
    """Make the candidate running (section 8.3.4.1); access is judged by what differs in running."""
    said = request.input.leaf
    confirmed = said("confirmed") is not None
    for parameter in ("confirm-timeout", "persist"):
        if said(parameter) is not None and not confirmed:
            raise RpcError(
                ErrorTag.MISSING_ELEMENT,
                f"{parameter} goes with <confirmed/>; without it the commit would be there to stay.",
                type=ErrorType.PROTOCOL,
                info=(ErrorInfo("bad-element", "confirmed"),),
            )
    ask = Ask(
        request.session.id,
        confirmed=confirmed,
        timeout=int(said("confirm-timeout") or TIMEOUT),
        persist=said("persist"),
        persist_id=said("persist-id"),
    )
    author, judge = author_of(server, request.session), judge_of(server, request.session)
    await transaction.commit_candidate(server.datastores, author, judge, ask, server.mono())
    return Ok()


async def cancel_commit(server: Server, request: Request) -> Reply:
    """Section 8.4.4.1. The recovery session needs no persist-id: somebody has to end what nobody can name any more."""
    said, waiting = request.input.leaf("persist-id"), server.datastores.confirmed
    if said is None and waiting is not None and server.judge.recovers(request.session):
        said = waiting.token
    ask = Ask(request.session.id, persist_id=said, cancel=True)
    await transaction.cancel_commit(server.datastores, author_of(server, request.session), ask)
    return Ok()


async def discard_changes(server: Server, request: Request) -> Reply:
    """Section 8.3.4.2."""
    await discard(server.datastores, request.session.id)
    return Ok()


def _copied(server: Server, session: SessionInfo, source: Datastore, old: Inner) -> Edited:
    """``old`` replaced by what the session may read of a datastore (RFC 8341 section 3.2.6)."""
    datastores = server.datastores
    root = datastores.tree(source)
    readable = server.judge.readable(session, root)
    if readable is not root:
        return Edited(share_inner(root, readable), None)
    # the candidate and running are known to differ in few places
    draft = datastores.draft
    few = draft is not None and any(
        root is one and old is other
        for one, other in ((draft.root, datastores.running), (datastores.running, draft.root))
    )
    return Edited(root, draft.touched if draft is not None and few else None)


def _valid(server: Server, root: Inner) -> Steps[None]:
    errors: list[RpcError] = []
    for error in validate_steps(server.schema, root):
        if error is None:
            yield
        else:
            errors.append(error)
    if errors:
        raise RpcErrors(errors)


def _would_be(server: Server, config: Element) -> Steps[None]:
    """Whether ``config`` could become running, except for who asks.

    Secrets are left as they were sent: hashing them would only cost time, and the time would tell whether a password
    is the one that is in place.
    """
    running = server.datastores.running
    edited = yield from _whole(server, running, config, transform=None)
    yield from examine(server.datastores, running, edited, _anybody)


def _whole(server: Server, old: Inner, config: Element, transform: Transform | None) -> Steps[Edited]:
    return editing(
        old,
        config,
        server.schema,
        default_operation=Operation.REPLACE,
        plain=True,
        transform=transform,
    )


def _anybody(_change: Change) -> None:
    """The change is allowed: it does not matter who asks."""


def _meant(element: Element) -> None:
    """A <config> without namespace, as examples of Ansible and of ncclient write it, can mean nothing else."""
    for holder in (element, *element.iterchildren(f"{{{BASE_NS}}}source")):
        for child in holder.iterchildren("config"):
            child.tag = _CONFIG


#: As ``notifications.MEANT``.
MEANT: Mapping[tuple[str, str], Callable[[Element], None]] = {
    (BASE_NS, name): _meant for name in ("edit-config", "copy-config", "validate")
}

HANDLERS: Mapping[tuple[str, str], Handler] = {
    (BASE_NS, "edit-config"): edit_config,
    (BASE_NS, "copy-config"): copy_config,
    (BASE_NS, "delete-config"): delete_config,
    (BASE_NS, "validate"): validate_config,
    (BASE_NS, "commit"): commit,
    (BASE_NS, "cancel-commit"): cancel_commit,
    (BASE_NS, "discard-changes"): discard_changes,
}

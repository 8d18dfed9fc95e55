"""The audit log: who came in and who did not, who changed what, who controlled what, with before and after.

Every line goes to the logger ``eman_netconf.audit``; as JSON it has the fields ``event``, ``user``, ``session``,
``address`` and those of its event. Secrets are never in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Final

from lxml import etree

from eman_netconf.datastore.confirmed import Action
from eman_netconf.datastore.datastores import Commit, Confirmation
from eman_netconf.datastore.record import edit
from eman_netconf.energy.effects import Notify
from eman_netconf.energy.site import Site
from eman_netconf.errors import ErrorTag, RpcError, RpcErrors
from eman_netconf.messages.rpc import Output, Rpc, SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.server.secrets import CRYPT_HASH, MASK, SECRET
from eman_netconf.server.sessions import End, Sessions
from eman_netconf.yang.diff import Change, invert
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, path_text

log = logging.getLogger("eman_netconf.audit")

#: Nodes and bytes of one change that a line holds; what is beyond is in the history of configurations.
MOST_NODES: Final = 500
LONGEST: Final = 16 * 1024


def _tell(event: str, text: str, **fields: object) -> None:
    log.info("%s", text, extra={"fields": {"event": event, **fields}})


# --- coming in


def login(user: str, address: str, transport: str, how: str) -> None:
    """Somebody is who he says; ``how`` tells by what."""
    _tell(
        "login",
        f"{user} from {address}: logged in over {transport} by {how}",
        user=user,
        address=address,
        transport=transport,
        by=how,
    )


def refused(user: str | None, address: str, transport: str, reason: str) -> None:
    """Somebody stays outside; ``user`` is None where no name was given."""
    shown = f"{user[:64]!r}" if user is not None else "somebody"
    _tell(
        "refused",
        f"{shown} from {address}: refused over {transport}, {reason}",
        user=user,
        address=address,
        transport=transport,
        reason=reason,
    )


def watch(sessions: Sessions) -> None:
    """From now on sessions are told as they open and end."""
    sessions.opened.append(_opened)
    sessions.ended.append(_ended)


def _opened(info: SessionInfo) -> None:
    _tell("session-start", f"{_who(info)}: opened", **_fields(info), transport=info.transport)


def _ended(info: SessionInfo, end: End) -> None:
    by = f" by session {end.killed_by}" if end.killed_by is not None else ""
    _tell("session-end", f"{_who(info)}: ended, {end.reason}{by}", **_fields(info), reason=end.reason)


def deaf(info: SessionInfo) -> None:
    """A session is closed since it does not read what it subscribed to."""
    _tell("deaf", f"{_who(info)}: closed, it does not read its notifications", **_fields(info))


def _who(info: SessionInfo) -> str:
    return f"{info.user} from {info.source_host} in session {info.id}"


def _fields(info: SessionInfo) -> dict[str, object]:
    return {"user": info.user, "session": info.id, "address": info.source_host}


# --- what is asked for


def denied(session: SessionInfo, rpc: Rpc, refusal: RpcError | RpcErrors) -> None:
    """A request was refused; told only if it was for want of a right."""
    errors = refusal.errors if isinstance(refusal, RpcErrors) else (refusal,)
    lacking = [error for error in errors if error.tag is ErrorTag.ACCESS_DENIED]
    if lacking:
        operation = etree.QName(rpc.operation).localname
        where = [str(error.path) for error in lacking[:10] if error.path]
        _tell(
            "denied",
            f"{_who(session)}: {operation} denied{' at ' if where else ''}{', '.join(where)}",
            **{**_fields(session), "operation": operation, "at": where},
        )


def killed(by: SessionInfo, subscription: int, owner: SessionInfo) -> None:
    """Somebody has ended a subscription of ``owner``."""
    _tell(
        "kill-subscription",
        f"{_who(by)}: killed subscription {subscription} of {_who(owner)}",
        **_fields(by),
        subscription=subscription,
        owner=owner.user,
        owner_session=owner.id,
    )


def audited(handlers: Mapping[tuple[str, str], ActionHandler], site: Site) -> Mapping[tuple[str, str], ActionHandler]:
    """The same actions, each of which is told when it is over."""
    return {name: _audited(name[1], handler, site) for name, handler in handlers.items()}


def _audited(action: str, handler: ActionHandler, site: Site) -> ActionHandler:
    async def told(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner | Output | None:
        before = _state(site, path)
        outcome = "cancelled"
        try:
            output = await handler(server, session, path, given)
            outcome = "done"
        except (RpcError, RpcErrors) as refusal:
            outcome = str(refusal)
            raise
        finally:
            after = _state(site, path)
            asked = _cut(_bare(given).xml())
            _tell(
                "control",
                f"{_who(session)}: {action} at {path_text(path)}, {before} before, {after} after, {outcome}: {asked}",
                **_fields(session),
                action=action,
                at=path_text(path),
                input=asked,
                before=before,
                after=after,
                outcome=outcome,
            )
        return output

    return told


def _state(site: Site, path: Path) -> str:
    """The operational state of what an action is on, as far as it is one thing."""
    keys = {step.schema.name: step.key[0] for step in path if step.key}
    entity = site.entities.get(keys.get("entity", ""))
    if entity is None:
        return "unknown"
    if "power-interface" in keys:
        interface = entity.interfaces.get(keys["power-interface"])
        return interface.supply or "unknown" if interface is not None else "unknown"
    if "battery" in keys:
        battery = entity.batteries.get(keys["battery"])
        return battery.test.result or "unknown" if battery is not None else "unknown"
    return (entity.states.state or "unknown").rpartition(":")[2]


def energy(by: str, entity: str, event: str) -> None:
    """What the energy core did for somebody, or for nobody but itself."""
    _tell("energy", f"{by or 'server'}: {entity or '-'}: {event}", user=by, entity=entity, what=event)


def notified(notify: Notify) -> None:
    """Something happened that operators are told of."""
    name = notify.notification.schema.name
    backend = notify.notification.leaf("backend") if not notify.entity else None
    about = notify.entity or (f"backend {backend}" if backend else "-")
    _tell("notification", f"{about}: {name}", entity=notify.entity, backend=backend, notification=name)


# --- configuration


def committed(told: Commit) -> None:
    """The configuration is another one: the edit that made it so, and the one that would undo it."""
    _changed("configuration", "committed", told)


def saved(told: Commit) -> None:
    """As ``committed``, of the startup datastore."""
    _changed("startup", "saved for the next start", told)


def _changed(event: str, how: str, told: Commit) -> None:
    if not log.isEnabledFor(logging.INFO):
        return  # the texts cost more than the rest
    author = told.author
    made = change_text(told.change)
    _tell(
        event,
        f"{author.user}: configuration {told.generation} {how} by session {author.session}: {made}",
        user=author.user,
        session=author.session,
        generation=told.generation,
        edit=made,
        undo=change_text(invert(told.change)),
    )


_CONFIRMING: Final[Mapping[Action, str]] = {
    Action.START: "is rolled back in {} s unless confirmed",
    Action.EXTEND: "is rolled back in {} s from now unless confirmed",
    Action.COMPLETE: "is confirmed",
    Action.CANCEL: "is rolled back",
    Action.TIMEOUT: "is rolled back: it was not confirmed in time",
}


def confirming(told: Confirmation) -> None:
    """What becomes of a confirmed commit, beside the changes themselves."""
    author = told.author
    _tell(
        "confirmed-commit",
        f"{author.user}: the confirmed commit {_CONFIRMING[told.event].format(told.timeout)}, by session "
        f"{author.session}",
        user=author.user,
        session=author.session,
        confirm=told.event.value,
        timeout=told.timeout,
    )


def change_text(change: Change) -> str:
    """A change as the content of an edit-config, without secrets and of bounded length."""
    room = repeat(None, MOST_NODES)
    shown = _shown(change, room)
    text = _cut(edit(shown)) if shown is not None else ""
    return text if next(room, False) is None or text.endswith("…") else f"{text}…"


def _cut(text: bytes) -> str:
    return text.decode() if len(text) <= LONGEST else text[:LONGEST].decode(errors="ignore") + "…"


def _shown(change: Change, room: Iterator[None]) -> Change | None:
    """The change without secrets, as far as there is room; None when there is none."""
    if next(room, False) is False:
        return None
    if change.children:
        children = tuple(filter(None, (_shown(child, room) for child in change.children)))
        return Change(change.schema, change.key, change.op, change.old, change.new, children)
    old, new = (None if data is None else _masked(change.schema, data, room) for data in (change.old, change.new))
    return Change(change.schema, change.key, change.op, old, new)


def _bare(given: Inner) -> Inner:
    """An input without secrets."""
    masked = _masked(given.schema, given, repeat(None, MOST_NODES))
    assert isinstance(masked, Inner)
    return masked


def _masked(node: SchemaNode, data: Data, room: Iterator[None]) -> Data:
    """Data without secrets; of what is inside as much as there is room for, list keys always."""
    if isinstance(data, Inner):
        kept: dict[SchemaNode, Data] = {}
        for child, below in data.ordered():
            if child.is_key or next(room, False) is None:
                kept[child] = _masked(child, below, room)
        return Inner(data.schema, kept)
    if isinstance(data, ListNode):
        entries: dict[Key, Inner] = {}
        for key, entry in data.entries.items():
            if next(room, False) is False:
                break
            masked = _masked(node, entry, room)
            assert isinstance(masked, Inner)
            entries[key] = masked
        return ListNode(data.schema, entries)
    if node.kind in (Kind.LEAF, Kind.LEAF_LIST) and node.type is not None and _SECRETS & {*node.type.typedefs}:
        return MASK if isinstance(data, str) else (MASK,)
    return data


_SECRETS: Final = frozenset({SECRET, CRYPT_HASH})

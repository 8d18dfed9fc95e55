"""The notifications of the server about itself: sessions, changes of the configuration (RFC 6470)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from ipaddress import ip_address
from itertools import islice
from typing import Final

from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.yang.diff import Change, Op, paths
from eman_netconf.yang.schema import Kind, Schema
from eman_netconf.yang.tree import Inner, Path, make_inner, quoted

MODULE: Final = "ietf-netconf-notifications"

#: A change of configuration is told in so many edits at most; what is more is told at the nodes above.
MOST_EDITS: Final = 100

_MERGE: Final = "merge"
_OPERATIONS: Final = {Op.CREATE: "create", Op.DELETE: "delete", Op.MODIFY: _MERGE, Op.MOVE: _MERGE}
_DEEPEST: Final = 1_000  # more than any path has steps


class Confirming(StrEnum):
    """What became of a confirmed commit (RFC 6470 section 2.2, confirm-event)."""

    START = "start"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    EXTEND = "extend"
    COMPLETE = "complete"


class BaseNotifications:
    """Makes them. A session given as None means that the server itself is the cause."""

    def __init__(self, schema: Schema) -> None:
        namespace = schema.modules[MODULE].namespace
        self._nodes = {name: node for (space, name), node in schema.notifications.items() if space == namespace}

    def session_start(self, session: SessionInfo) -> Inner:
        return self._made("netconf-session-start", _who(session))

    def session_end(self, session: SessionInfo, reason: str, killed_by: int | None) -> Inner:
        """``reason`` is a termination-reason, ``killed_by`` the session that killed it, if one did."""
        told = {"termination-reason": reason, "killed-by": killed_by if reason == "killed" else None}
        return self._made("netconf-session-end", {**_who(session), **told})

    def config_change(self, session: SessionInfo | None, datastore: str, change: Change | None) -> Inner:
        """``datastore`` is running or startup; ``change`` None where nobody knows what changed."""
        edits = [] if change is None else [{"target": path, "operation": made} for path, made in edits_of(change)]
        return self._made(
            "netconf-config-change", {"changed-by": _changed_by(session), "datastore": datastore, "edit": edits}
        )

    def capability_change(self, session: SessionInfo | None, old: Iterable[str], new: Iterable[str]) -> Inner | None:
        """None when nothing changed; a capability whose parameters alone differ is modified."""
        before, after = {_base(uri): uri for uri in old}, {_base(uri): uri for uri in new}
        told = {
            "added-capability": [after[base] for base in after if base not in before],
            "deleted-capability": [before[base] for base in before if base not in after],
            "modified-capability": [after[base] for base in after if base in before and before[base] != after[base]],
        }
        if not any(told.values()):
            return None
        return self._made("netconf-capability-change", {"changed-by": _changed_by(session), **told})

    def confirmed_commit(self, session: SessionInfo | None, event: Confirming, timeout: int | None = None) -> Inner:
        """``timeout`` in seconds, for start and extend. At a timeout there is no session; else the server may be it."""
        told: Mapping[str, object] = {"confirm-event": event, "timeout": timeout}
        if event is not Confirming.TIMEOUT:
            told = {**(_who(session) if session else {"username": "eman-netconf", "session-id": 0}), **told}
        return self._made("netconf-confirmed-commit", told)

    def _made(self, name: str, values: Mapping[str, object]) -> Inner:
        return make_inner(self._nodes[name], values)


def _who(session: SessionInfo) -> dict[str, object]:
    return {"username": session.user, "session-id": session.id, "source-host": _address(session.source_host)}


def _changed_by(session: SessionInfo | None) -> dict[str, object]:
    return {"server": ""} if session is None else _who(session)


def _address(host: str) -> str | None:
    """What the leaf can hold: an IP address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _base(uri: str) -> str:
    return uri.partition("?")[0]


# --- what changed ----------------------------------------------------------------------------------------------------


def edits_of(change: Change) -> list[tuple[str, str]]:
    """Targets and operations of a change of the configuration, at most ``MOST_EDITS``.

    Where there would be more, those below one node are told as a merge of that node, as near to the leaves as goes.
    """
    found: dict[Path, str] = {}
    deepest = _DEEPEST
    for path, op, _, _ in paths(change):
        _add(found, _addressable(path), _OPERATIONS[op], deepest)
        while len(found) > MOST_EDITS and deepest > 1:
            deepest = max(map(len, found)) - 1
            shorter: dict[Path, str] = {}
            for known, operation in found.items():
                _add(shorter, known, operation, deepest)
            found = shorter
    return [(_target(path), operation) for path, operation in islice(found.items(), MOST_EDITS)]


def _add(found: dict[Path, str], path: Path, operation: str, deepest: int) -> None:
    path, operation = (path, operation) if len(path) <= deepest else (path[:deepest], _MERGE)
    found[path] = operation if found.get(path, operation) == operation else _MERGE


def _addressable(path: Path) -> Path:
    """The path as far as an instance-identifier goes: no leaf-list as a whole, no key with both kinds of quotes."""
    for length, (schema, key) in enumerate(path):
        whole = schema.kind is Kind.LEAF_LIST or (schema.kind is Kind.LIST and not key)
        if whole or (key and any("'" in value and '"' in value for value in key)):
            return path[:length]
    return path


def _target(path: Path) -> str:
    """A path as instance-identifier in canonical form: a module name where the module changes."""
    parts: list[str] = []
    module = None
    for schema, key in path:
        parts.append(f"/{schema.name if schema.module is module else schema.qualified_name}")
        module = schema.module
        for leaf, value in zip(schema.keys, key or (), strict=False):
            parts.append(f"[{leaf.name}={quoted(value)}]")
    return "".join(parts)

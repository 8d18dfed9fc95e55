"""What the server reads from its own configuration: backends with their settings, limits of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from eman_netconf.backend import Settings
from eman_netconf.errors import AppTag, RpcError
from eman_netconf.server.config import Limits
from eman_netconf.server.poller import BackendConfig
from eman_netconf.server.secrets import SECRET, SecretUnreadable, Vault
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode
from eman_netconf.yang.types import TypeFault
from eman_netconf.yang.validate import validate

_WHOLE = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_OWN = frozenset({"control", "link"})
_NO_PROTOCOL = "the backend of its protocol is not installed any more; install it again, or configure another protocol"


class Opener(Protocol):
    """Who knows the clear text of what is stored."""

    def decrypt(self, value: str) -> str:
        """Raises SecretUnreadable."""


class Opened:
    """An opener that remembers what it opened."""

    def __init__(self, vault: Opener) -> None:
        self.secrets: list[str] = []
        self._vault = vault

    def decrypt(self, value: str) -> str:
        self.secrets.append(self._vault.decrypt(value))
        return self.secrets[-1]


def backends(running: Inner, vault: Vault) -> Mapping[str, BackendConfig]:
    """Every backend, enabled or not; one whose settings cannot be used says so in its ``fault``."""
    entries = running.at("energy-management", "backends", "backend")
    found: dict[str, BackendConfig] = {}
    if isinstance(entries, ListNode):
        for (name,), entry in entries.entries.items():
            found[name] = backend(name, entry, vault)
    return found


def backend(name: str, entry: Inner, vault: Vault) -> BackendConfig:
    """One entry."""
    enabled = bool(value_of(entry, "enabled", vault))
    interval = float(value_of(entry, "poll-interval", vault))
    timeout = float(value_of(entry, "timeout", vault))
    for node, data in entry.children.items():
        if node.kind is Kind.CONTAINER and node.presence and node.name not in _OWN and isinstance(data, Inner):
            try:
                opened = Opened(vault)
                settings = plain(data, opened)
                return BackendConfig(
                    name, node.name, settings, interval, timeout, enabled, secrets=tuple(opened.secrets)
                )
            except SecretUnreadable as error:
                return BackendConfig(name, node.name, {}, interval, timeout, enabled, str(error))
    return BackendConfig(name, "", {}, interval, timeout, enabled, _NO_PROTOCOL)


def faults(schema: Schema, root: Inner) -> list[RpcError]:
    """What keeps a stored configuration from being used at all; empty when it may be.

    A backend without protocol is not among it: its plugin was there when it was configured and is not now, which
    stops that backend alone. Nobody can configure one so.
    """
    return [error for error in validate(schema, root) if not _lacks_protocol(error)]


def _lacks_protocol(error: RpcError) -> bool:
    return error.app_tag == AppTag.MISSING_CHOICE and any(item.value == "protocol" for item in error.info)


def session_limits(running: Inner, limits: Limits) -> Limits:
    """``limits`` with what the configuration says of sessions."""
    schema = running.schema.child("eman-server:eman-server").child("session-limits")
    configured = running.at("eman-server", "session-limits")
    inner = configured if isinstance(configured, Inner) else Inner(schema)

    def number(name: str) -> float:
        return float(inner.leaf(name) or schema.child(name).default or 0)

    return replace(
        limits,
        sessions=int(number("max-sessions")),
        sessions_per_user=int(number("max-sessions-per-user")),
        login_seconds=number("login-timeout"),
        idle_seconds=number("idle-timeout"),
    )


def value_of(inner: Inner, name: str, vault: Opener) -> Any:
    """A leaf as a Python value, its default when absent, None when there is none."""
    node = inner.schema.child(name)
    value = inner.leaf(name)
    return _value(node, node.default if value is None else value, vault)


def plain(inner: Inner, vault: Opener) -> dict[str, Any]:
    """A container as plain Python values by local name, defaults included, secrets in clear."""
    values: dict[str, Any] = {}
    for node in inner.schema.children.values():
        data = inner.children.get(node)
        if data is None:
            if node.default is not None:
                values[node.name] = _value(node, node.default, vault)
            elif node.kind is Kind.CONTAINER and not node.presence and node.case is None:
                values[node.name] = plain(Inner(node), vault)
        elif isinstance(data, Inner):
            values[node.name] = plain(data, vault)
        elif isinstance(data, ListNode):
            values[node.name] = [plain(entry, vault) for entry in data.entries.values()]
        elif isinstance(data, tuple):
            values[node.name] = [_value(node, item, vault) for item in data]
        elif isinstance(data, str):
            values[node.name] = _value(node, data, vault)
    return values


def is_secret(node: SchemaNode) -> bool:
    """Whether a leaf holds what must be known in clear text towards a device and is told nobody."""
    return node.type is not None and SECRET in node.type.typedefs


def stored(node: SchemaNode, settings: Settings, vault: Vault) -> Inner:
    """The container ``node`` as configuration, of plain values by local name: secrets encrypted, defaults left out.

    Raises ValueError where something does not fit the model.
    """
    known = {child.name: child for child in node.children.values()}
    children: dict[SchemaNode, Data] = {}
    for name, value in settings.items():
        child = known.get(name)
        if child is None:
            raise ValueError(f"{node.name} has no {name}")
        if value is None:
            continue
        if child.kind is Kind.LIST:
            entries = [stored(child, entry, vault) for entry in value]
            children[child] = ListNode(child, {entry.key(): entry for entry in entries})
        elif child.kind is Kind.CONTAINER:
            inner = stored(child, value, vault)
            if inner.children or child.presence:
                children[child] = inner
        elif child.kind is Kind.LEAF_LIST:
            children[child] = tuple(_text(child, item, vault) for item in value)
        elif (text := _text(child, value, vault)) != child.default:
            children[child] = text
    return Inner(node, children)


def _text(node: SchemaNode, value: Any, vault: Vault) -> str:
    """The canonical text of one plain value."""
    assert node.type is not None
    if is_secret(node):
        return vault.encrypt(str(value))
    if node.type.base == "empty":
        return ""
    text = ("false", "true")[value] if isinstance(value, bool) else str(value)
    try:
        return node.type.parse_canonical(text)
    except TypeFault as wrong:
        raise ValueError(f"{node.name} {wrong.message}") from None


def _value(node: SchemaNode, value: str | None, vault: Opener) -> Any:
    assert node.type is not None
    if value is None:
        return None
    if node.type.base in _WHOLE:
        return int(value)
    match node.type.base:
        case "decimal64":
            return Decimal(value)
        case "boolean":
            return value == "true"
        case "empty":
            return True
    return vault.decrypt(value) if SECRET in node.type.typedefs else value

"""The bootstrap file (TOML): what must be known before the datastores open."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The bootstrap file cannot be used; the text is one line for a person."""


class Transport(StrEnum):
    """What a listener speaks."""

    SSH = "ssh"


@dataclass(frozen=True, slots=True)
class Listen:
    """One address the server answers on; port 0 lets the system choose."""

    transport: Transport = Transport.SSH
    address: str = "127.0.0.1"
    port: int = 830


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold for every session: counts, bytes and seconds.

    The first four are configuration (eman-server: session-limits) and may change at run time; the file sets the rest.
    """

    sessions: int = 5000
    sessions_per_user: int = 5000
    login_seconds: float = 30.0
    idle_seconds: float = 0.0  # 0 = a session may stay silent for ever
    message_bytes: int = 64 * 1024 * 1024
    login_attempts: int = 6
    hello_seconds: float = 30.0
    drain_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Log:
    """Where log lines go: ``stderr``, ``journal`` or a file's path."""

    destination: str = "stderr"
    level: str = "info"
    json: bool = False


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The whole file. Relative paths are relative to the file."""

    state: Path
    admin: str = "admin"
    host_entity: str | None = None
    listen: tuple[Listen, ...] = (Listen(),)
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)


LEVELS = ("debug", "info", "warning", "error")


def load(path: Path) -> Bootstrap:
    """Read and check a bootstrap file. Raises ConfigError naming the file and what to change."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return parse(document, base=path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: Mapping[str, Any], *, base: Path) -> Bootstrap:
    """Check a parsed bootstrap document. Raises ConfigError."""
    top = _table(document, "the file", {"server", "listen", "admin", "limits", "log"})
    server = _table(top.get("server", {}), "[server]", {"state", "host-entity"})
    admin = _table(top.get("admin", {}), "[admin]", {"user"})
    listeners = top.get("listen", [{}])
    if not isinstance(listeners, list) or not listeners:
        raise ConfigError("listen must be one or more [[listen]] tables")
    return Bootstrap(
        state=base / _text(server, "[server]", "state", "/var/lib/eman-netconf"),
        host_entity=_text(server, "[server]", "host-entity", "") or None,
        admin=_text(admin, "[admin]", "user", "admin"),
        listen=tuple(_listen(item) for item in listeners),
        limits=_limits(top.get("limits", {})),
        log=_log(top.get("log", {})),
    )


def _listen(item: object) -> Listen:
    table = _table(item, "[[listen]]", {"transport", "address", "port"})
    transport = _text(table, "[[listen]]", "transport", "ssh")
    if transport not in set(Transport):
        raise ConfigError(f"[[listen]] transport {transport!r} is not served; use one of: {', '.join(Transport)}")
    address = _text(table, "[[listen]]", "address", "127.0.0.1")
    try:
        ip_address(address)
    except ValueError:
        raise ConfigError(f"[[listen]] address {address!r} is not an IPv4 or IPv6 address") from None
    port = _number(table, "[[listen]]", "port", 830, int)
    if not 0 <= port <= 65535:
        raise ConfigError(f"[[listen]] port {port} is outside 0..65535")
    return Listen(Transport(transport), address, int(port))


def _limits(item: object) -> Limits:
    configured = {"sessions", "sessions_per_user", "login_seconds", "idle_seconds"}
    names = {field.name.replace("_", "-"): field.name for field in fields(Limits) if field.name not in configured}
    table = _table(item, "[limits]", set(names))
    values: dict[str, Any] = {}
    for name, attribute in names.items():
        default = getattr(Limits(), attribute)
        values[attribute] = _number(table, "[limits]", name, default, type(default))
        if values[attribute] <= 0:
            raise ConfigError(f"[limits] {name} must be more than 0")
    return Limits(**values)


def _log(item: object) -> Log:
    table = _table(item, "[log]", {"destination", "level", "json"})
    level = _text(table, "[log]", "level", "info")
    if level not in LEVELS:
        raise ConfigError(f"[log] level {level!r} is unknown; use one of: {', '.join(LEVELS)}")
    as_json = table.get("json", False)
    if not isinstance(as_json, bool):
        raise ConfigError("[log] json must be true or false")
    return Log(_text(table, "[log]", "destination", "stderr"), level, as_json)


def _table(value: object, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a table")
    for name in value:
        if name not in known:
            raise ConfigError(f"{where} has no setting {name!r}; it knows: {', '.join(sorted(known))}")
    return value


def _text(table: Mapping[str, Any], where: str, name: str, default: str) -> str:
    value = table.get(name, default)
    if not isinstance(value, str):
        raise ConfigError(f"{where} {name} must be a string")
    return value


def _number(table: Mapping[str, Any], where: str, name: str, default: float, kind: type) -> Any:
    """An int where ``kind`` is int, else a float; Any because the caller's dataclass tells which."""
    value: object = table.get(name, default)
    whole = kind is int
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ConfigError(f"{where} {name} must be a {'whole ' if whole else ''}number")
    return kind(value)

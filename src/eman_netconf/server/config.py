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
    TLS = "tls"
    UNIX = "unix"


class StartWith(StrEnum):
    """Which client of several is called first after a connection has ended (RFC 8071 section 4.1)."""

    FIRST_LISTED = "first-listed"
    LAST_CONNECTED = "last-connected"
    RANDOM_SELECTION = "random-selection"


@dataclass(frozen=True, slots=True)
class Listen:
    """One place the server answers at: an address and a port, where 0 lets the system choose, or a socket's path."""

    transport: Transport = Transport.SSH
    address: str = "127.0.0.1"
    port: int = 830
    path: Path = Path()  # of a Unix socket
    mode: int = 0o600  # of a Unix socket

    def __str__(self) -> str:
        return str(self.path) if self.transport is Transport.UNIX else f"{self.address} port {self.port}"


@dataclass(frozen=True, slots=True)
class CallHome:
    """Clients that the server calls, one at a time (RFC 8071); durations in seconds.

    ``period`` 0 keeps a connection standing; otherwise one is made so often. A client is tried ``max_attempts`` times
    before the next one; the wait between two attempts doubles from one second up to ``max_wait``.
    """

    transport: Transport
    addresses: tuple[str, ...]
    port: int
    start_with: StartWith = StartWith.FIRST_LISTED
    max_attempts: int = 3
    max_wait: float = 60.0
    period: float = 0.0
    keepalive: float = 60.0


@dataclass(frozen=True, slots=True)
class Ssh:
    """``user_ca`` holds the keys of those who may certify users, one public key a line."""

    user_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the server's certificates and key, the authorities of clients, and what these have revoked."""

    certificate: Path
    private_key: Path
    client_ca: Path
    client_crl: Path | None = None


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
class Control:
    """Whether clients may control anything (RFC 6988 section 9.3); what they may not is not in the schema either."""

    power_state: bool = True
    supply: bool = True
    battery: bool = True


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The whole file. Relative paths are relative to the file."""

    state: Path
    admin: str = "admin"
    host_entity: str | None = None
    startup: bool = False  # :startup is offered, and running is lost with the process
    url_folder: Path | None = None  # :url is offered: configurations are copied to and from files in this folder
    listen: tuple[Listen, ...] = (Listen(),)
    call_home: tuple[CallHome, ...] = ()
    control: Control = field(default_factory=Control)
    ssh: Ssh = field(default_factory=Ssh)
    tls: Tls | None = None
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)

    @property
    def features(self) -> list[str]:
        """The features of ietf-netconf that are in force by this file."""
        return [*(["startup"] if self.startup else []), *([] if self.url_folder is None else ["url"])]

    @property
    def left_out(self) -> list[str]:
        """The features of our own models that are not in force by this file."""
        control = {
            "control-power-state": self.control.power_state,
            "control-supply": self.control.supply,
            "control-battery": self.control.battery,
        }
        return [feature for feature, wanted in control.items() if not wanted]


LEVELS = ("debug", "info", "warning", "error")


def load(path: Path) -> Bootstrap:
    """Read and check a bootstrap file. Raises ConfigError naming the file and what to change."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: No such file; eman-netconf init makes one, --config names another") from None
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
    tables = {"server", "datastores", "listen", "call-home", "control", "ssh", "tls", "admin", "limits", "log"}
    top = _table(document, "the file", tables)
    server = _table(top.get("server", {}), "[server]", {"state", "host-entity"})
    admin = _table(top.get("admin", {}), "[admin]", {"user"})
    datastores = _table(top.get("datastores", {}), "[datastores]", {"startup", "url-folder"})
    url_folder = _text(datastores, "[datastores]", "url-folder", "")
    listeners = top.get("listen", [{}])
    if not isinstance(listeners, list) or not listeners:
        raise ConfigError("listen must be one or more [[listen]] tables")
    called = top.get("call-home", [])
    if not isinstance(called, list):
        raise ConfigError("call-home must be [[call-home]] tables")
    bootstrap = Bootstrap(
        state=base / _text(server, "[server]", "state", "/var/lib/eman-netconf"),
        host_entity=_text(server, "[server]", "host-entity", "") or None,
        admin=_text(admin, "[admin]", "user", "admin"),
        startup=_truth(datastores, "[datastores]", "startup"),
        url_folder=base / url_folder if url_folder else None,
        listen=tuple(_listen(item, base) for item in listeners),
        call_home=tuple(map(_call_home, called)),
        control=_control(top.get("control", {})),
        ssh=_ssh(top.get("ssh", {}), base),
        tls=_tls(top["tls"], base) if "tls" in top else None,
        limits=_limits(top.get("limits", {})),
        log=_log(top.get("log", {})),
    )
    transports = {each.transport for each in bootstrap.listen} | {each.transport for each in bootstrap.call_home}
    if bootstrap.tls is None and Transport.TLS in transports:
        raise ConfigError('transport "tls" needs a table [tls] with certificate, private-key and client-ca')
    return bootstrap


#: The ports that IANA gave NETCONF: where a server listens, and where a client waits for calls.
_PORTS = {Transport.SSH: 830, Transport.TLS: 6513}
_CALL_HOME_PORTS = {Transport.SSH: 4334, Transport.TLS: 4335}
_MODES = {"0600": 0o600, "0660": 0o660, "0666": 0o666}
_WEEK = 604_800


def _listen(item: object, base: Path) -> Listen:
    transport = _transport(item, "[[listen]]", frozenset(Transport))
    if transport is Transport.UNIX:
        table = _table(item, "[[listen]] of transport unix", {"transport", "path", "mode"})
        path = _text(table, "[[listen]]", "path", "")
        if not path:
            raise ConfigError("[[listen]] of transport unix needs a path")
        mode = _text(table, "[[listen]]", "mode", "0600")
        if mode not in _MODES:
            raise ConfigError(f"[[listen]] mode {mode!r} is none of {', '.join(_MODES)}")
        return Listen(transport, "", 0, base / path, _MODES[mode])
    table = _table(item, f"[[listen]] of transport {transport}", {"transport", "address", "port"})
    address = _text(table, "[[listen]]", "address", "127.0.0.1")
    try:
        ip_address(address)
    except ValueError:
        raise ConfigError(f"[[listen]] address {address!r} is not an IPv4 or IPv6 address") from None
    return Listen(transport, address, _port(table, "[[listen]]", _PORTS[transport], 0))


def _call_home(item: object) -> CallHome:
    where = "[[call-home]]"
    durations = {"max-wait": 60.0, "period": 0.0, "keepalive": 60.0}
    known = {"transport", "address", "port", "start-with", "max-attempts", *durations}
    table = _table(item, where, known)
    transport = _transport(table, where, frozenset(_CALL_HOME_PORTS))
    said = table.get("address")
    addresses = [said] if isinstance(said, str) else said
    if (
        not isinstance(addresses, list)
        or not addresses
        or not all(isinstance(each, str) and each for each in addresses)
    ):
        raise ConfigError(f"{where} needs an address: a client's name or IP address, or a list of them")
    start_with = _text(table, where, "start-with", StartWith.FIRST_LISTED)
    if start_with not in set(StartWith):
        raise ConfigError(f"{where} start-with {start_with!r} is unknown; use one of: {', '.join(StartWith)}")
    attempts = _number(table, where, "max-attempts", 3, int)
    if attempts < 1:
        raise ConfigError(f"{where} max-attempts must be at least 1")
    seconds = {name: _number(table, where, name, default, float) for name, default in durations.items()}
    for name, value in seconds.items():
        if not 1 <= value <= _WEEK and (name != "period" or value != 0):
            raise ConfigError(f"{where} {name} must be 1 to {_WEEK} seconds")
    return CallHome(
        transport,
        tuple(addresses),
        _port(table, where, _CALL_HOME_PORTS[transport], 1),
        StartWith(start_with),
        attempts,
        seconds["max-wait"],
        seconds["period"],
        seconds["keepalive"],
    )


def _transport(item: object, where: str, served: frozenset[Transport]) -> Transport:
    name = _text(item, where, "transport", Transport.SSH) if isinstance(item, dict) else Transport.SSH
    if name not in served:
        known = ", ".join(each for each in Transport if each in served)
        raise ConfigError(f"{where} transport {name!r} is not served; use one of: {known}")
    return Transport(name)


def _port(table: Mapping[str, Any], where: str, default: int, least: int) -> int:
    port = _number(table, where, "port", default, int)
    if not least <= port <= 65535:
        raise ConfigError(f"{where} port {port} is outside {least}..65535")
    return int(port)


def _control(item: object) -> Control:
    names = ("power-state", "supply", "battery")
    table = _table(item, "[control]", set(names))
    return Control(*(_truth(table, "[control]", name, default=True) for name in names))


def _ssh(item: object, base: Path) -> Ssh:
    file = _text(_table(item, "[ssh]", {"user-ca"}), "[ssh]", "user-ca", "")
    return Ssh(base / file if file else None)


def _tls(item: object, base: Path) -> Tls:
    names = ("certificate", "private-key", "client-ca")
    table = _table(item, "[tls]", {*names, "client-crl"})
    for name in names:
        if not _text(table, "[tls]", name, ""):
            raise ConfigError(f"[tls] needs {name}, the path of a PEM file")
    revoked = _text(table, "[tls]", "client-crl", "")
    certificate, private_key, client_ca = (base / table[name] for name in names)
    return Tls(certificate, private_key, client_ca, base / revoked if revoked else None)


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
    return Log(_text(table, "[log]", "destination", "stderr"), level, _truth(table, "[log]", "json"))


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


def _truth(table: Mapping[str, Any], where: str, name: str, *, default: bool = False) -> bool:
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{where} {name} must be true or false")
    return value


def _number(table: Mapping[str, Any], where: str, name: str, default: float, kind: type) -> Any:
    """An int where ``kind`` is int, else a float; Any because the caller's dataclass tells which."""
    value: object = table.get(name, default)
    whole = kind is int
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ConfigError(f"{where} {name} must be a {'whole ' if whole else ''}number")
    return kind(value)

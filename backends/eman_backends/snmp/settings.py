"""The settings of one device, checked: where it is, with what credentials, and how gently it is to be asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from eman_netconf.backend import Misconfigured, Settings

AUTH = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
VERSIONS = ("v1", "v2c", "v3")
PRIV = ("des", "aes128", "aes192", "aes256")
ANYWHERE = "0.0.0.0"  # noqa: S104 - listening is asked for, and only configured devices are heeded
SHORTEST_KEY = 8  # characters, RFC 3414 section 11.2


@dataclass(frozen=True, slots=True)
class Community:
    """SNMPv1 and SNMPv2c: the community is all there is, and it goes over the wire in clear text."""

    name: str = field(repr=False)
    version: str = "v2c"  # or v1, which has no GETBULK and tells of one missing object at a time


@dataclass(frozen=True, slots=True)
class User:
    """SNMPv3 with the user-based security model (RFC 3414); passphrases are None where a service is not used."""

    name: str
    auth: str | None = None  # of AUTH
    auth_key: str | None = field(default=None, repr=False)
    priv: str | None = None  # of PRIV
    priv_key: str | None = field(default=None, repr=False)
    context: str = ""
    engine: bytes | None = None  # None: the device is asked


@dataclass(frozen=True, slots=True)
class Hearing:
    """Where the device's notifications are listened for, and the community they bear where it is one of their own."""

    address: str
    port: int
    community: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One device. ``tables`` empty: chosen by what the device says it is."""

    address: str
    port: int
    credentials: Community | User
    tables: tuple[str, ...] = ()
    bulk: bool = True
    max_repetitions: int = 25
    max_variables: int = 50
    retries: int = 1
    gap: float = 0.0  # seconds between two requests
    hearing: Hearing | None = None

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"

    @property
    def version(self) -> str:
        """The version of SNMP, as the configuration calls it."""
        return self.credentials.version if isinstance(self.credentials, Community) else "v3"


def target(settings: Settings) -> Target:
    """The device that the settings speak of. Raises Misconfigured."""
    address = settings.get("address")
    if not isinstance(address, str) or not address:
        raise Misconfigured("the address of the device is missing: set snmp/address")
    versions = [name for name in VERSIONS if name in settings]
    if len(versions) != 1:
        raise Misconfigured("the device needs one version of SNMP: set one of snmp/v1, snmp/v2c and snmp/v3")
    version = versions[0]
    tables = settings.get("table", ())
    if isinstance(tables, str) or not all(isinstance(name, str) for name in tables):
        raise Misconfigured("snmp/table is a list of the names of tables")
    return Target(
        address=address,
        port=_number(settings, "port", 161, 1, 65535),
        credentials=_user(settings["v3"]) if version == "v3" else _community(settings[version], version),
        tables=tuple(tables),
        bulk=bool(settings.get("bulk", True)) and version != "v1",
        max_repetitions=_number(settings, "max-repetitions", 25, 1, 100),
        max_variables=_number(settings, "max-variables", 50, 1, 100),
        retries=_number(settings, "retries", 1, 0, 10),
        gap=_number(settings, "request-gap", 0, 0, 1000) / 1000,
        hearing=_hearing(settings["traps"]) if "traps" in settings else None,
    )


def _number(settings: Settings, name: str, default: int, low: int, high: int, inside: str = "") -> int:
    value = settings.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Misconfigured(f"{value!r} cannot be used: set snmp/{inside}{name} to a number from {low} to {high}")
    return value


def _hearing(settings: Settings) -> Hearing:
    try:
        address = str(ipaddress.ip_address(settings.get("listen", ANYWHERE)))
    except ValueError:
        raise Misconfigured("where to listen is no address of this server: set snmp/traps/listen") from None
    community = settings.get("community")
    if community is not None and (not isinstance(community, str) or not community):
        raise Misconfigured("the community of the traps is empty: set snmp/traps/community or leave it out")
    return Hearing(address, _number(settings, "port", 162, 1, 65535, "traps/"), community)


def _community(settings: Settings, version: str) -> Community:
    name = settings.get("community")
    if not isinstance(name, str) or not name:
        raise Misconfigured(f"the community of the device is missing: set snmp/{version}/community")
    return Community(name, version)


def _user(settings: Settings) -> User:
    name = settings.get("user-name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 32:
        raise Misconfigured("the user is missing or longer than 32 octets: set snmp/v3/user-name")
    auth, auth_key = _service(settings, "auth", AUTH)
    priv, priv_key = _service(settings, "priv", PRIV)
    if priv and not auth:
        raise Misconfigured("encryption needs authentication: set snmp/v3/auth-protocol and auth-key")
    engine = settings.get("engine-id")
    try:
        engine_id = bytes.fromhex(engine) if engine else None
    except (TypeError, ValueError):
        raise Misconfigured("the engine id is not hexadecimal: set snmp/v3/engine-id or leave it out") from None
    return User(name, auth, auth_key, priv, priv_key, str(settings.get("context-name", "")), engine_id)


def _service(settings: Settings, which: str, known: tuple[str, ...]) -> tuple[str | None, str | None]:
    protocol, key = settings.get(f"{which}-protocol"), settings.get(f"{which}-key")
    if protocol is None and key is None:
        return None, None
    if protocol not in known:
        raise Misconfigured(f"snmp/v3/{which}-protocol is missing or unknown: use one of {', '.join(known)}")
    if not isinstance(key, str) or len(key) < SHORTEST_KEY:
        raise Misconfigured(f"snmp/v3/{which}-key is missing or shorter than {SHORTEST_KEY} characters")
    return protocol, key

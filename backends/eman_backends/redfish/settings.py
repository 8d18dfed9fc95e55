"""The settings of one service, checked: where it is, whom it is to trust, and how gently it is to be asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from eman_netconf.backend import Misconfigured, Settings

_FINGERPRINT = re.compile(r"[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}")
_TRUST = ("ca-file", "fingerprint", "unencrypted")


@dataclass(frozen=True, slots=True)
class Target:
    """One Redfish service. Without ``user`` it is asked without credentials."""

    address: str
    port: int
    encrypted: bool = True
    ca_file: str | None = None  # None: the authorities that this machine trusts
    server_name: str | None = None  # what the certificate has to name, where that is not the address
    fingerprint: bytes | None = None  # SHA-256 of the certificate, instead of an authority
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    basic: bool = False  # credentials with each request, no session
    expand: bool = True
    events: bool = True

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a URL begins."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.encrypted else 'http'}://{host}:{self.port}"


def target(settings: Settings) -> Target:
    """The service that the settings speak of. Raises Misconfigured."""
    address = settings.get("address")
    if not isinstance(address, str) or not re.fullmatch(r"[0-9A-Za-z.:_%\-]{1,253}", address):
        raise Misconfigured("the address of the service is missing or is none: set redfish/address")
    if sum(name in settings for name in _TRUST) > 1:
        raise Misconfigured("one thing says whom to trust: set one of redfish/ca-file, fingerprint and unencrypted")
    user, password = settings.get("user-name"), settings.get("password")
    if (user is None) is not (password is None):
        raise Misconfigured("a user has a password: set both redfish/user-name and redfish/password, or neither")
    if user is not None and (not isinstance(user, str) or not user or ":" in user):
        raise Misconfigured("a user's name has no colon and is not empty: set redfish/user-name")
    authentication = settings.get("authentication", "session")
    if authentication not in {"session", "basic"}:
        raise Misconfigured(f"{authentication!r} is no way to log in: set redfish/authentication to session or basic")
    encrypted = "unencrypted" not in settings
    return Target(
        address=address,
        port=_port(settings, 443 if encrypted else 80),
        encrypted=encrypted,
        ca_file=settings.get("ca-file"),
        server_name=settings.get("server-name"),
        fingerprint=_fingerprint(settings.get("fingerprint")),
        user=user,
        password=password,
        basic=authentication == "basic",
        expand=bool(settings.get("expand", True)),
        events=bool(settings.get("events", True)),
    )


def _port(settings: Settings, default: int) -> int:
    port = settings.get("port", default)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise Misconfigured(f"{port!r} is not a port: set redfish/port to a number from 1 to 65535")
    return port


def _fingerprint(digits: object) -> bytes | None:
    if digits is None:
        return None
    if not isinstance(digits, str) or not _FINGERPRINT.fullmatch(digits):
        raise Misconfigured(
            "a fingerprint is the SHA-256 of the certificate, 64 hexadecimal digits: redfish/fingerprint"
        )
    return bytes.fromhex(digits.replace(":", ""))

"""The settings of one upsd, checked: where it is, how it is spoken to, and which of its UPSs are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from eman_netconf.backend import Misconfigured, Settings

from .protocol import CONTROL

LONGEST_NAME = 127  # octets; what upsd.users and ups.conf can hold in one word is not much more


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server proves who it is: by a certificate authority, or by the very certificate it must have."""

    ca_file: str | None = None  # None: what this machine trusts
    fingerprint: bytes | None = None  # SHA-256 of the certificate; then nothing else is asked of it
    server_name: str | None = None  # the name in its certificate, where that is not the address


@dataclass(frozen=True, slots=True)
class Target:
    """One upsd. ``device`` is the UPS that the backend stands for; ``chosen`` empty shows all."""

    address: str
    port: int = 3493
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    device: str | None = None
    chosen: tuple[str, ...] = ()
    power_factor: Decimal | None = None

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"

    def shows(self, ups: str) -> bool:
        """Whether that UPS is one of those asked for."""
        return ups == self.device if self.device is not None else not self.chosen or ups in self.chosen


def target(settings: Settings) -> Target:
    """The server that the settings speak of. Raises Misconfigured."""
    address = settings.get("address")
    if not isinstance(address, str) or not address:
        raise Misconfigured("the address of the server is missing: set nut/address")
    port = settings.get("port", 3493)
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise Misconfigured(f"{port!r} cannot be used: set nut/port to a number from 1 to 65535")
    user, password = _word(settings, "user-name"), _word(settings, "password")
    if (user is None) != (password is None):
        raise Misconfigured("a user needs a password and the other way round: set nut/user-name and nut/password")
    chosen = settings.get("ups", ())
    if isinstance(chosen, str) or not all(isinstance(name, str) and _sendable(name) for name in chosen):
        raise Misconfigured("nut/ups is a list of the names that UPSs have at the server")
    device = _word(settings, "device")
    if device is not None and chosen:
        raise Misconfigured("either one UPS is the device or several are shown: set nut/device or nut/ups")
    return Target(address, port, user, password, _tls(settings.get("tls")), device, tuple(chosen), _factor(settings))


def _word(settings: Settings, name: str) -> str | None:
    word = settings.get(name)
    if word is None:
        return None
    if not isinstance(word, str) or not _sendable(word):
        raise Misconfigured(f"nut/{name} is empty, too long or holds control characters, which cannot be sent")
    return word


def _sendable(word: str) -> bool:
    return 1 <= len(word.encode()) <= LONGEST_NAME and not CONTROL.search(word)


def _tls(settings: object) -> Tls | None:
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise Misconfigured("nut/tls is a container with what the certificate is checked by")
    fingerprint = settings.get("fingerprint")
    ca_file = settings.get("ca-file")
    if fingerprint is not None and ca_file is not None:
        raise Misconfigured("the certificate is checked in one way: set nut/tls/ca-file or nut/tls/fingerprint")
    try:
        digest = bytes.fromhex(str(fingerprint).replace(":", "")) if fingerprint is not None else None
    except ValueError:
        digest = b""
    if digest is not None and len(digest) != 32:
        raise Misconfigured("nut/tls/fingerprint is the SHA-256 of a certificate: 32 octets in hexadecimal")
    return Tls(ca_file, digest, settings.get("server-name"))


def _factor(settings: Settings) -> Decimal | None:
    factor = settings.get("assumed-power-factor")
    if factor is None:
        return None
    try:
        number = Decimal(str(factor))
    except ArithmeticError:
        number = Decimal(0)
    if not 0 < number <= 1:
        raise Misconfigured("nut/assumed-power-factor is a number above 0 and at most 1")
    return number

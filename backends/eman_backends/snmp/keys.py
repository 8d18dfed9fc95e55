"""Keys and ciphers of the user-based security model, and the numbers its parts share (RFC 3414, RFC 3826, RFC 7860)."""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import Any, NamedTuple

from pyasn1.type import univ
from pysnmp.proto.secmod.rfc3414.service import SnmpUSMSecurityModel

from .settings import User

LARGEST = 65507  # octets of a message we take: what UDP can carry
WINDOW = 150  # seconds a message may be old (RFC 3414 section 2.2.3)
AUTHENTICATED, ENCRYPTED, REPORTABLE = 1, 2, 4  # msgFlags, RFC 3412 section 6.4
REPORTS = "1.3.6.1.6.3.15.1.1."  # usmStats
_PASSPHRASE = 1048576  # octets that a passphrase is stretched to (RFC 3414 appendix A.2)


class Auth(NamedTuple):
    """A protocol of authentication: its hash, the octets of a digest that are sent, its OID."""

    hash: str
    digest: int
    oid: tuple[int, ...]


_AUTH_PROTOCOLS = (1, 3, 6, 1, 6, 3, 10, 1, 1)  # snmpAuthProtocols
AUTH = {
    "md5": Auth("md5", 12, (*_AUTH_PROTOCOLS, 2)),
    "sha1": Auth("sha1", 12, (*_AUTH_PROTOCOLS, 3)),
    "sha224": Auth("sha224", 16, (*_AUTH_PROTOCOLS, 4)),
    "sha256": Auth("sha256", 24, (*_AUTH_PROTOCOLS, 5)),
    "sha384": Auth("sha384", 32, (*_AUTH_PROTOCOLS, 6)),
    "sha512": Auth("sha512", 48, (*_AUTH_PROTOCOLS, 7)),
}
_CIPHERS: Any = SnmpUSMSecurityModel.PRIV_SERVICES
PRIV = {
    "des": _CIPHERS[(1, 3, 6, 1, 6, 3, 10, 1, 2, 2)],
    "aes128": _CIPHERS[(1, 3, 6, 1, 6, 3, 10, 1, 2, 4)],
    # longer keys are not standardised; these stretch them as Net-SNMP does (draft-blumenthal-aes-usm-04)
    "aes192": _CIPHERS[(1, 3, 6, 1, 4, 1, 9, 12, 6, 1, 1)],
    "aes256": _CIPHERS[(1, 3, 6, 1, 4, 1, 9, 12, 6, 1, 2)],
}


class UnreadableError(Exception):
    """A datagram that is not a valid answer; it is dropped as RFC 3414 section 3.2 asks."""


@functools.lru_cache(maxsize=8192)  # where each device has keys of its own
def master_key(protocol: str, passphrase: str) -> bytes:
    """Ku of a passphrase (RFC 3414 appendix A.2); takes milliseconds, so it belongs into a thread."""
    octets = passphrase.encode()
    repeated = octets * (_PASSPHRASE // len(octets) + 1)
    return hashlib.new(AUTH[protocol].hash, repeated[:_PASSPHRASE]).digest()


class Keys:
    """A user's keys at one engine (RFC 3414 section 2.6). To make them takes time where passphrases are not stretched
    yet, see ``stretch``."""

    def __init__(self, user: User, engine: bytes) -> None:
        self.level = (AUTHENTICATED if user.auth else 0) | (ENCRYPTED if user.priv else 0)
        self._auth = AUTH[user.auth] if user.auth else None
        self._auth_key = b""
        self._cipher: Any = PRIV[user.priv] if user.priv else None
        self._priv_key: Any = None
        if user.auth and user.auth_key:
            auth = AUTH[user.auth]
            master = master_key(user.auth, user.auth_key)
            self._auth_key = hashlib.new(auth.hash, master + engine + master).digest()
            if self._cipher is not None and user.priv_key:
                self._priv_key = self._cipher.localize_key(
                    auth.oid, univ.OctetString(master_key(user.auth, user.priv_key)), univ.OctetString(engine)
                )

    @property
    def length(self) -> int:
        """The octets of a digest."""
        return self._auth.digest if self._auth else 0

    def digest(self, whole: bytes) -> bytes:
        """The digest of a message in which there are zeros for it."""
        assert self._auth is not None
        return hmac.new(self._auth_key, whole, self._auth.hash).digest()[: self._auth.digest]

    def proves(self, whole: bytes, at: int, digest: bytes) -> bool:
        """Whether the digest, which stands at ``at``, is that of the message."""
        if len(digest) != self.length or not digest:
            return False
        zeroed = whole[:at] + bytes(len(digest)) + whole[at + len(digest) :]
        return hmac.compare_digest(self.digest(zeroed), digest)

    def encrypt(self, plain: bytes, boots: int, seconds: int) -> tuple[bytes, bytes]:
        """The octets encrypted, and the salt that goes with them."""
        sealed, salt = self._cipher.encrypt_data(self._priv_key, (boots, seconds, None), plain)
        return bytes(sealed), bytes(salt)

    def decrypt(self, sealed: bytes, salt: bytes, boots: int, seconds: int) -> bytes:
        """The octets as they were. Raises UnreadableError."""
        if self._priv_key is None:
            raise UnreadableError("encrypted, though encryption is not agreed upon")
        place = (boots, seconds, univ.OctetString(salt))
        try:
            return bytes(self._cipher.decrypt_data(self._priv_key, place, univ.OctetString(sealed)))
        except Exception:  # noqa: BLE001 - whatever the cipher makes of octets from outside, they are not readable
            raise UnreadableError("cannot be decrypted") from None


def stretch(user: User) -> None:
    """Stretch the passphrases of a user; for a thread."""
    for key in (user.auth_key, user.priv_key):
        if user.auth and key:
            master_key(user.auth, key)

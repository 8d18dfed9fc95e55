"""Security of SNMPv3 messages towards one device: engine discovery, time, authentication, encryption (RFC 3414)."""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.proto import rfc1905
from pysnmp.proto.mpmod.rfc3412 import ScopedPDU, SNMPv3Message
from pysnmp.proto.secmod.rfc3414.service import SnmpUSMSecurityModel, UsmSecurityParameters

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


class Report(NamedTuple):
    """Why a device did not process a message."""

    number: int  # of the usmStats counters
    text: str
    recoverable: bool  # asking again, with what the report taught, can help


_REPORTS = {
    1: "the device does not offer this level of security to the user",
    2: "the message was outside the time window of the device",
    3: "the device does not know the user",
    4: "the device has another engine id",
    5: "the device computed another digest: the key or the protocol of authentication is wrong",
    6: "the device could not decrypt the message: the key or the protocol of privacy is wrong",
}
_NOT_IN_TIME_WINDOW, _UNKNOWN_ENGINE = 2, 4


class Message(NamedTuple):
    """What came out of a datagram: a PDU, or the report of why there is none."""

    number: int  # msgID
    pdu: Any
    report: Report | None


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


class Usm:
    """What is known of a device's security, and messages in both directions."""

    def __init__(self, user: User, now: Callable[[], float]) -> None:
        self._user = user
        self._now = now  # seconds that go on steadily
        self._keys = Keys(User(user.name), b"")
        self._flags = (AUTHENTICATED if user.auth else 0) | (ENCRYPTED if user.priv else 0)
        self._engine = b""
        self._boots = 0
        self._offset = 0.0  # engine time minus ours
        self._in_step = False
        if user.engine:
            self._meet(user.engine)

    @property
    def user(self) -> User:
        """With whose credentials the device is spoken to."""
        return self._user

    @property
    def engine(self) -> bytes:
        """The engine id of the device, empty while it is not known."""
        return self._engine

    @property
    def keys(self) -> Keys:
        """The user's keys at the device."""
        return self._keys

    @property
    def acquainted(self) -> bool:
        """Whether the engine id is known, without which nothing can be asked."""
        return bool(self._engine)

    @property
    def in_step(self) -> bool:
        """Whether the time of the device is known, so that a message will not be refused for its time."""
        return self._in_step or not self._user.auth

    def wrap(self, number: int, pdu: Any) -> bytes:
        """The message that carries ``pdu``; a discovery (RFC 3414 section 4) while the device is not known."""
        flags = self._flags if self._engine else 0
        boots, seconds = (self._boots, self._engine_time()) if flags and self._in_step else (0, 0)
        salt = b""
        scoped = ScopedPDU()
        scoped.setComponentByPosition(0, self._engine)
        scoped.setComponentByPosition(1, self._user.context.encode() if self._engine else b"")
        scoped.setComponentByPosition(2)
        _choose(scoped.getComponentByPosition(2), pdu)
        message = SNMPv3Message()
        message.setComponentByPosition(0, 3)
        header = message.setComponentByPosition(1).getComponentByPosition(1)
        for position, value in enumerate((number, LARGEST, bytes([flags | REPORTABLE]), 3)):
            header.setComponentByPosition(position, value)
        data = message.setComponentByPosition(3).getComponentByPosition(3)
        if flags & ENCRYPTED:
            sealed, salt = self._keys.encrypt(encoder.encode(scoped), boots, seconds)
            data.setComponentByPosition(1, sealed)
        else:
            data.setComponentByPosition(0, scoped)
        marker = os.urandom(self._keys.length) if flags & AUTHENTICATED else b""
        name = self._user.name.encode() if self._engine else b""
        parameters = UsmSecurityParameters()
        for position, value in enumerate((self._engine, boots, seconds, name, marker, salt)):
            parameters.setComponentByPosition(position, value)
        message.setComponentByPosition(2, encoder.encode(parameters))
        whole: bytes = encoder.encode(message)
        return self._signed(whole, marker) if marker else whole

    def unwrap(self, datagram: bytes) -> Message:
        """What a datagram says, once it is proved to be from the device. Raises UnreadableError."""
        message, _ = decoder.decode(datagram, asn1Spec=SNMPv3Message())
        number, _, flag, model = (message[1][position] for position in range(4))
        parameters, _ = decoder.decode(bytes(message[2]), asn1Spec=UsmSecurityParameters())
        engine, boots, seconds = bytes(parameters[0]), int(parameters[1]), int(parameters[2])
        if int(message[0]) != 3 or int(model) != 3:
            raise UnreadableError("not a message of SNMPv3 with the user-based security model")
        flags = bytes(flag)[0] & (AUTHENTICATED | ENCRYPTED)
        proved = bool(flags & AUTHENTICATED) and self._proves(datagram, bytes(parameters[4]), engine)
        if flags & AUTHENTICATED and not proved:
            raise UnreadableError("the digest is wrong")
        if proved:
            self.keep_time(boots, seconds)
        pdu = self._pdu(message[3], flags, boots, seconds, bytes(parameters[5]))
        if pdu.isSameTypeWith(rfc1905.ReportPDU(), matchConstraints=False):
            return Message(int(number), None, self._report(pdu, engine, proved=proved))
        if flags != self._flags or engine != self._engine or bytes(parameters[3]) != self._user.name.encode():
            raise UnreadableError("the answer is secured otherwise than the question")
        return Message(int(number), pdu, None)

    def _meet(self, engine: bytes) -> None:
        self._engine = engine
        self._in_step = False
        self._keys = Keys(self._user, engine)

    def _engine_time(self) -> int:
        return max(0, int(self._now() + self._offset))

    def keep_time(self, boots: int, seconds: int) -> None:
        """RFC 3414 section 3.2 step 7b: learn from newer messages, refuse old ones. Raises UnreadableError."""
        if self._in_step and (boots, seconds + WINDOW) < (self._boots, self._engine_time()):
            raise UnreadableError("the message is from the past")
        if not self._in_step or (boots, seconds) > (self._boots, self._engine_time()):
            self._boots, self._offset = boots, seconds - self._now()
            self._in_step = True

    def _signed(self, whole: bytes, marker: bytes) -> bytes:
        start = whole.index(marker)
        head, tail = whole[:start], whole[start + len(marker) :]
        return head + self._keys.digest(head + bytes(len(marker)) + tail) + tail

    def _proves(self, datagram: bytes, digest: bytes, engine: bytes) -> bool:
        return engine == self._engine and self._keys.proves(datagram, datagram.find(digest), digest)

    def _pdu(self, data: Any, flags: int, boots: int, seconds: int, salt: bytes) -> Any:
        if flags & ENCRYPTED:
            plain = self._keys.decrypt(bytes(data[1]), salt, boots, seconds)
            scoped, _ = decoder.decode(plain, asn1Spec=ScopedPDU())
        else:
            scoped = data[0]
        return scoped[2].getComponent()

    def _report(self, pdu: Any, engine: bytes, *, proved: bool) -> Report:
        """What the device complains of; what can be learned from it is kept (RFC 3414 section 3.2)."""
        name = str(pdu[3][0][0]) if len(pdu[3]) else ""
        number = int(name[len(REPORTS) :].split(".")[0]) if name.startswith(REPORTS) else 0
        recoverable = proved and number == _NOT_IN_TIME_WINDOW
        if number == _UNKNOWN_ENGINE and engine and engine != self._engine and not self._user.engine:
            self._meet(engine)
            recoverable = True
        return Report(number, _REPORTS.get(number, "the device reports an error of its own"), recoverable)


def _choose(choice: Any, pdu: Any) -> None:
    choice.setComponentByType(pdu.tagSet, pdu, verifyConstraints=False, matchTags=False, matchConstraints=False)

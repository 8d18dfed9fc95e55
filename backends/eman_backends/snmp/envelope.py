"""Messages of SNMPv3 with the user-based security model, taken apart and put together (RFC 3412, RFC 3414)."""

from __future__ import annotations

from dataclasses import dataclass

from . import ber
from .ber import MalformedError, Reader
from .keys import AUTHENTICATED, ENCRYPTED, LARGEST, REPORTABLE, Keys

VERSION, MODEL = 3, 3  # SNMPv3; the user-based security model
LONGEST_NAME = 32  # octets of a user's name and of an engine id


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it arrived; nothing of it is proved yet."""

    whole: bytes
    number: int  # msgID
    flags: int
    engine: bytes
    boots: int
    seconds: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    data: Reader  # msgData

    @property
    def level(self) -> int:
        """Which services it claims to use."""
        return self.flags & (AUTHENTICATED | ENCRYPTED)

    @property
    def reportable(self) -> bool:
        """Whether the sender wants to hear what is wrong with it."""
        return bool(self.flags & REPORTABLE)

    def proved_by(self, keys: Keys) -> bool:
        """Whether the digest is right."""
        return keys.proves(self.whole, self.digest_at, self.digest)

    def open(self, keys: Keys) -> Scoped:
        """What is in it. Raises UnreadableError, MalformedError."""
        data = self.data
        if self.level & ENCRYPTED:
            sealed = Reader(data.whole, data.at, data.end).octets()
            data = Reader(keys.decrypt(sealed, self.salt, self.boots, self.seconds))
        inside = Reader(data.whole, data.at, data.end).enter()
        return Scoped(inside.octets(), inside.octets(), inside)


@dataclass(frozen=True, slots=True)
class Scoped:
    """A PDU with its context; the reader stands before the PDU."""

    engine: bytes
    context: bytes
    pdu: Reader


def take_apart(datagram: bytes) -> Envelope:
    """A message by its parts. Raises MalformedError."""
    message = Reader(datagram).enter()
    version = message.integer()
    header = message.enter()
    number, _, flags, model = header.integer(), header.integer(), header.octets(), header.integer()
    if version != VERSION or model != MODEL or len(flags) != 1:
        raise MalformedError("not a message of SNMPv3 with the user-based security model")
    parameters = message.enter(ber.OCTETS).enter()
    engine, boots, seconds, user = parameters.octets(), parameters.integer(), parameters.integer(), parameters.octets()
    digest = parameters.enter(ber.OCTETS)
    salt = parameters.octets()
    if len(engine) > LONGEST_NAME or len(user) > LONGEST_NAME or boots < 0 or seconds < 0:
        raise MalformedError("security parameters that cannot be")
    return Envelope(datagram, number, flags[0], engine, boots, seconds, user, digest.rest(), digest.at, salt, message)


def put_together(
    number: int, flags: int, place: tuple[bytes, int, int], user: bytes, scoped: bytes, keys: Keys
) -> bytes:
    """A message with these flags; ``place`` is the authoritative engine, its boots and its seconds."""
    engine, boots, seconds = place
    salt = b""
    if flags & ENCRYPTED:
        sealed, salt = keys.encrypt(scoped, boots, seconds)
        scoped = ber.octets(sealed)
    digest = bytes(keys.length) if flags & AUTHENTICATED else b""
    parameters = ber.sequence(
        ber.octets(engine), ber.integer(boots), ber.integer(seconds), *map(ber.octets, (user, digest, salt))
    )
    header = ber.sequence(ber.integer(number), ber.integer(LARGEST), ber.octets(bytes([flags])), ber.integer(MODEL))
    whole = ber.sequence(ber.integer(VERSION), header, ber.octets(parameters), scoped)
    if not digest:
        return whole
    at = take_apart(whole).digest_at
    return whole[:at] + keys.digest(whole) + whole[at + len(digest) :]


def scope(engine: bytes, context: bytes, pdu: bytes) -> bytes:
    """A PDU with its context."""
    return ber.sequence(ber.octets(engine), ber.octets(context), pdu)

"""This server as an SNMP engine of its own: it is the authoritative one for informs (RFC 3414 section 1.5.1)."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import ber
from .ber import MalformedError
from .envelope import Envelope, put_together, scope
from .keys import AUTHENTICATED, REPORTS, WINDOW, Keys, UnreadableError
from .notices import Notice, Pdu, notice
from .settings import User

FILE = "engine.json"
MOST_BOOTS = 2**31 - 1
_PREFIX = bytes.fromhex("8000000005")  # of an engine id that its administrator chose (RFC 3411, SnmpEngineID)
_COUNTER = 0x41  # the tag of Counter32


class Fault(UnreadableError):
    """A message that is answered with a report, if the sender wants one (RFC 3414 section 3.2)."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


LEVEL, TIME, USER, ENGINE, DIGEST, PRIVACY = range(1, 7)  # usmStats


class Engine:
    """Who it is, how often it started, and since when it runs."""

    def __init__(self, identity: bytes, boots: int, now: Callable[[], float]) -> None:
        self.identity = identity
        self.boots = boots
        self._now = now  # seconds that go on steadily
        self._started = now()
        self._faults: Counter[int] = Counter()

    @property
    def seconds(self) -> int:
        """Since the last start."""
        return int(self._now() - self._started)

    def open(self, envelope: Envelope, user: User, keys: Keys) -> tuple[Notice, bytes]:
        """The inform in a message of this user, and the message that confirms it. Raises Fault, MalformedError."""
        if envelope.user != user.name.encode():
            raise Fault(USER, "they are of a user that is not configured")
        if envelope.level != keys.level:
            raise Fault(LEVEL, "they are secured otherwise than configured")
        if envelope.level & AUTHENTICATED:
            if not envelope.proved_by(keys):
                raise Fault(DIGEST, "their digest is wrong: the key or the protocol of authentication differs")
            late = abs(envelope.seconds - self.seconds) > WINDOW
            if envelope.boots != self.boots or self.boots == MOST_BOOTS or late:
                raise Fault(TIME, "they are out of time")
        try:
            scoped = envelope.open(keys)
            heard = notice(scoped.pdu)
        except (UnreadableError, MalformedError):
            raise Fault(PRIVACY, "they cannot be decrypted: the key or the protocol of privacy differs") from None
        if heard.response is None:
            raise MalformedError("a trap that names this server as its authority")
        said = scope(scoped.engine, scoped.context, heard.response)
        return heard, self._message(envelope, envelope.level, user.name.encode(), said, keys)

    def report(self, envelope: Envelope, fault: int, keys: Keys) -> bytes | None:
        """What to tell the sender of a message that was not accepted."""
        if not envelope.reportable:
            return None
        self._faults[fault] += 1
        variable = ber.sequence(
            ber.oid(f"{REPORTS}{fault}.0"),
            ber.integer(self._faults[fault] & 0x7FFFFFFF, _COUNTER),
        )
        numbers = (ber.integer(_request(envelope)), ber.integer(0), ber.integer(0))
        pdu = ber.element(Pdu.REPORT, *numbers, ber.sequence(variable))
        level = AUTHENTICATED if fault == TIME else 0  # so that its time is believed
        return self._message(envelope, level, envelope.user, scope(self.identity, b"", pdu), keys)

    def _message(self, envelope: Envelope, level: int, user: bytes, scoped: bytes, keys: Keys) -> bytes:
        return put_together(envelope.number, level, (self.identity, self.boots, self.seconds), user, scoped, keys)


def start(directory: Path, now: Callable[[], float]) -> Engine:
    """The engine of this server, one start older than it was; for a thread. Raises OSError.

    What cannot be read of it is made anew: an engine of another name, which knows no old messages.
    """
    path = directory / FILE
    try:
        kept = json.loads(path.read_text(encoding="ascii"))
        identity, boots = bytes.fromhex(kept["engine-id"]), int(kept["boots"]) + 1
        if not 5 <= len(identity) <= 32 or not 1 <= boots < MOST_BOOTS:
            raise ValueError
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        identity, boots = _PREFIX + secrets.token_bytes(12), 1
    directory.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        json.dump({"engine-id": identity.hex(), "boots": boots}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return Engine(identity, boots, now)


def _request(envelope: Envelope) -> int:
    """The request-id, where it can be read (RFC 3412 section 7.1 step 3)."""
    try:
        data = ber.Reader(envelope.data.whole, envelope.data.at, envelope.data.end).enter()
        data.octets()
        data.octets()
        return data.enter(data.tag).integer()
    except MalformedError:
        return 0

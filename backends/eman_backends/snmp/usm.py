"""Security of SNMPv3 messages towards one device: engine discovery, time, authentication, encryption (RFC 3414)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import ber
from .ber import Reader, oid_of
from .envelope import put_together, scope, take_apart
from .keys import AUTHENTICATED, REPORTABLE, REPORTS, WINDOW, Keys, UnreadableError
from .notices import Pdu
from .settings import User


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
    pdu: Reader | None
    report: Report | None


class Usm:
    """What is known of a device's security, and messages in both directions."""

    def __init__(self, user: User, now: Callable[[], float]) -> None:
        self._user = user
        self._now = now  # seconds that go on steadily
        self._keys = Keys(User(user.name), b"")
        self._level = Keys(user, b"").level
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

    def wrap(self, number: int, pdu: bytes) -> bytes:
        """The message that carries ``pdu``; a discovery (RFC 3414 section 4) while the device is not known."""
        known = bool(self._engine)
        level = self._level if known else 0
        boots, seconds = (self._boots, self._engine_time()) if level and self._in_step else (0, 0)
        name, context = (self._user.name, self._user.context) if known else ("", "")
        scoped = scope(self._engine, context.encode(), pdu)
        place = (self._engine, boots, seconds)
        return put_together(number, level | REPORTABLE, place, name.encode(), scoped, self._keys)

    def unwrap(self, datagram: bytes) -> Message:
        """What a datagram says, once it is proved to be from the device. Raises UnreadableError, MalformedError."""
        envelope = take_apart(datagram)
        proved = bool(envelope.level & AUTHENTICATED)
        if proved:
            if envelope.engine != self._engine or not envelope.proved_by(self._keys):
                raise UnreadableError("the digest is wrong")
            self.keep_time(envelope.boots, envelope.seconds)
        pdu = envelope.open(self._keys).pdu
        if pdu.tag == Pdu.REPORT:
            return Message(envelope.number, None, self._report(pdu, envelope.engine, proved=proved))
        same = (envelope.level, envelope.engine, envelope.user)
        if same != (self._level, self._engine, self._user.name.encode()):
            raise UnreadableError("the answer is secured otherwise than the question")
        return Message(envelope.number, pdu, None)

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

    def _report(self, pdu: Reader, engine: bytes, *, proved: bool) -> Report:
        """What the device complains of; what can be learned from it is kept (RFC 3414 section 3.2)."""
        inside = pdu.enter(Pdu.REPORT)
        for _ in range(3):
            inside.integer()
        variables = inside.enter()
        name = oid_of(variables.enter().octets(ber.OBJECT)) if variables.tag == ber.SEQUENCE else ""
        number = int(name[len(REPORTS) :].split(".")[0]) if name.startswith(REPORTS) else 0
        recoverable = proved and number == _NOT_IN_TIME_WINDOW
        if number == _UNKNOWN_ENGINE and engine and engine != self._engine and not self._user.engine:
            self._meet(engine)
            recoverable = True
        return Report(number, _REPORTS.get(number, "the device reports an error of its own"), recoverable)

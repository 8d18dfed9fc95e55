"""The complete path: every SNMP operation over one UDP socket, with the codec and the ciphers of pysnmp."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from .envelope import take_apart
from .settings import Community, Target, User
from .usm import Message, Usm, stretch
from .writes import Syntax, Write

Oid = str  # dotted numbers without a leading dot
Value = int | bytes | str  # str is an OID or an IPv4 address

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
RECKONED = 320  # octets an answer may have for each variable asked for: an OID and a text of 255
SHORTEST = 2048  # octets an answer may have anyway
REPORTS_TAKEN = 3  # engine id, time, and once more
NUMBER_OF = {"v1": 0, "v2c": 1}  # in a message of a community (RFC 1157 section 4, RFC 1901 section 3)


class Kind(Enum):
    """What is asked of an agent (RFC 3416)."""

    GET = v2c.GetRequestPDU
    GET_NEXT = v2c.GetNextRequestPDU
    GET_BULK = v2c.GetBulkRequestPDU
    SET = v2c.SetRequestPDU


_TYPES: dict[Syntax, Any] = {
    Syntax.INTEGER: rfc1902.Integer32,
    Syntax.UNSIGNED: rfc1902.Unsigned32,  # the same on the wire as Gauge32
    Syntax.OBJECT: rfc1902.ObjectIdentifier,
    Syntax.OCTETS: rfc1902.OctetString,
    Syntax.TICKS: rfc1902.TimeTicks,
}


class Answer(NamedTuple):
    """A response: error-status, error-index (RFC 3416 section 3) and the variables; None where there is no value.

    An end of the MIB is None too, under the name that was asked for; in SNMPv1 both are noSuchName for the whole.
    """

    status: int
    position: int
    variables: Sequence[tuple[Oid, Value | None]]


class NoAnswerError(Exception):
    """Nothing came back in time, or the network says that nobody is there; the text is a part of a sentence."""


class RejectedError(Exception):
    """The device reports that it did not process the request (RFC 3414); the text is a part of a sentence."""


class Complete:
    """A way to one device. The socket is opened at need; ``close`` may come at any time, and the next ask reopens."""

    def __init__(self, target: Target, randomness: random.Random) -> None:
        self._target = target
        self._random = randomness
        self._waiting: dict[int, asyncio.Future[Answer | Message]] = {}
        self._longest = SHORTEST
        self._tries = 1
        self._distance = 0.0  # seconds from one try to the next
        self._socket: asyncio.DatagramTransport | None = None
        self._usm: Usm | None = None

    async def ask(
        self,
        kind: Kind,
        names: Sequence[Oid],
        *,
        wait: float,
        tries: int = 1,
        repetitions: int = 0,
        write: Write | None = None,
    ) -> Answer:
        """One request, one answer, within ``wait`` seconds. Raises NoAnswerError, RejectedError.

        A request is sent as often as there are ``tries``, at equal distances, and the answer to any counts; only what
        the device reports not to have processed is sent anew. ``write`` belongs to a SET, which has one try.
        """
        self._tries, self._distance = tries, wait / tries
        given = v2c.null if write is None else _TYPES[write.syntax](write.value)
        self._longest = max(SHORTEST, RECKONED * len(names) * max(repetitions, 1))
        try:
            async with asyncio.timeout(wait):
                await self._open()
                if isinstance(self._target.credentials, Community):
                    return await self._plainly(_pdu(kind, names, repetitions, given), self._target.credentials)
                return await self._securely(_pdu(kind, names, repetitions, given), settled=kind is Kind.SET)
        except TimeoutError:
            raise NoAnswerError("does not answer") from None
        except OSError as error:
            raise NoAnswerError(f"cannot be reached: {error.strerror or error}") from None

    async def acquaint(self, wait: float) -> Usm | None:
        """What is known of the security of the device, its time included; None without SNMPv3.

        Raises NoAnswerError, RejectedError.
        """
        if isinstance(self._target.credentials, User) and (self._usm is None or not self._usm.in_step):
            await self.ask(Kind.GET, [SYS_UP_TIME], wait=wait)
        return self._usm

    def close(self) -> None:
        """Let go of the socket; who waits for an answer gets none."""
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NoAnswerError("was let go of"))

    async def address(self) -> str:
        """The address that the name of the device stands for. Raises NoAnswerError."""
        try:
            await self._open()
        except OSError as error:
            raise NoAnswerError(f"cannot be reached: {error.strerror or error}") from None
        assert self._socket is not None
        return str(self._socket.get_extra_info("peername")[0])

    async def _open(self) -> None:
        if self._socket is not None and not self._socket.is_closing():
            return
        target = (self._target.address, self._target.port)
        self._socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Ear(self._heard, self._unheard), remote_addr=target
        )

    async def _plainly(self, pdu: Any, community: Community) -> Answer:
        number = self._number()
        v2c.apiPDU.set_request_id(pdu, number)
        message = v2c.Message()
        v2c.apiMessage.set_defaults(message)
        message.setComponentByPosition(0, NUMBER_OF[community.version])
        v2c.apiMessage.set_community(message, community.name.encode())
        v2c.apiMessage.set_pdu(message, pdu)
        answer = await self._exchange(number, encoder.encode(message))
        assert isinstance(answer, Answer)
        return answer

    async def _securely(self, pdu: Any, *, settled: bool) -> Answer:
        usm = await self._security()
        if settled and not usm.in_step:  # so that a command is not refused for its time and has to be said twice
            await self._securely(_pdu(Kind.GET, [SYS_UP_TIME]), settled=False)
        text = ""
        for _ in range(REPORTS_TAKEN + 1):
            number = self._number()
            asked = pdu if usm.acquainted else _pdu(Kind.GET, [])
            v2c.apiPDU.set_request_id(asked, number)
            message = await self._exchange(number, usm.wrap(number, asked))
            assert isinstance(message, Message)
            if message.report is None:
                return _answer(message.pdu)
            if not message.report.recoverable:
                raise RejectedError(message.report.text)
            text = message.report.text
        raise RejectedError(f"{text}, again and again")

    async def _security(self) -> Usm:
        if self._usm is None:
            credentials = self._target.credentials
            assert not isinstance(credentials, Community)
            await asyncio.to_thread(stretch, credentials)
            self._usm = Usm(credentials, asyncio.get_running_loop().time)
        return self._usm

    async def _exchange(self, number: int, datagram: bytes) -> Answer | Message:
        assert self._socket is not None
        waiting: asyncio.Future[Answer | Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            for _ in range(self._tries):
                self._socket.sendto(datagram)
                await asyncio.wait({waiting}, timeout=self._distance)
                if waiting.done():
                    return waiting.result()
            raise TimeoutError
        finally:
            del self._waiting[number]

    def _heard(self, datagram: bytes) -> None:
        """Give an answer to who waits for it; what is not an answer to anything asked is dropped."""
        if len(datagram) > self._longest:
            return
        try:
            number, answer = self._parse(datagram)
        except Exception:  # noqa: BLE001 - whatever the codec makes of octets from outside, it is not an answer
            return
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _parse(self, datagram: bytes) -> tuple[int, Answer | Message]:
        if self._usm is not None:
            if take_apart(datagram).number not in self._waiting:
                raise ValueError("not an answer to anything asked, and nothing is to be learned from it")
            message = self._usm.unwrap(datagram)
            return message.number, message
        message, _ = decoder.decode(datagram, asn1Spec=v2c.Message())
        if int(message[0]) != NUMBER_OF.get(self._target.version):
            raise ValueError("not a message of the version that is spoken")
        pdu = v2c.apiMessage.get_pdu(message)
        return int(v2c.apiPDU.get_request_id(pdu)), _answer(pdu)

    def _unheard(self, error: OSError) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    def _number(self) -> int:
        while (number := self._random.getrandbits(31)) in self._waiting:
            pass
        return number


class _Ear(asyncio.DatagramProtocol):
    """Hands on what a connected UDP socket hears."""

    def __init__(self, heard: Callable[[bytes], None], unheard: Callable[[OSError], None]) -> None:
        self._heard = heard
        self._unheard = unheard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self._unheard(exc)


def _pdu(kind: Kind, names: Sequence[Oid], repetitions: int = 0, given: Any = v2c.null) -> Any:
    """A PDU of SNMPv2, which for GET, GETNEXT and SET is that of SNMPv1 too."""
    pdu = kind.value()
    if kind is Kind.GET_BULK:
        v2c.apiBulkPDU.set_defaults(pdu)
        v2c.apiBulkPDU.set_max_repetitions(pdu, repetitions)
    else:
        v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [(name, given) for name in names])
    return pdu


def _answer(pdu: Any) -> Answer:
    if not pdu.isSameTypeWith(rfc1905.ResponsePDU(), matchConstraints=False):
        raise ValueError("not a response")
    variables = tuple((str(name), _value(value)) for name, value in v2c.apiPDU.get_varbinds(pdu))
    return Answer(int(v2c.apiPDU.get_error_status(pdu)), int(pdu[2]), variables)


def _value(value: Any) -> Value | None:
    if isinstance(value, rfc1902.IpAddress):
        return ".".join(str(octet) for octet in bytes(value))
    if isinstance(value, univ.Null):
        return None  # noSuchObject, noSuchInstance and endOfMibView are kinds of it
    if isinstance(value, univ.Integer):
        return int(value)
    if isinstance(value, univ.ObjectIdentifier):
        return str(value)
    return bytes(value)

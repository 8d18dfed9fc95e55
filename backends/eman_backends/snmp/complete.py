"""The complete path: every SNMP operation over one UDP socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from eman_backends.names import reached

from . import ber
from .envelope import take_apart
from .keys import stretch
from .pdu import Answer, Kind, Oid, Value, request, response
from .settings import Community, Target, User
from .usm import Report, Usm
from .writes import Write

__all__ = ["Answer", "Complete", "Kind", "NoAnswerError", "Oid", "RejectedError", "Value"]

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
RECKONED = 320  # octets an answer may have for each variable asked for: an OID and a text of 255
SHORTEST = 2048  # octets an answer may have anyway
REPORTS_TAKEN = 3  # engine id, time, and once more
NUMBER_OF = {"v1": 0, "v2c": 1}  # in a message of a community (RFC 1157 section 4, RFC 1901 section 3)


class NoAnswerError(Exception):
    """Nothing came back in time, or the network says that nobody is there; the text is a part of a sentence."""


class RejectedError(Exception):
    """The device reports that it did not process the request (RFC 3414); the text is a part of a sentence."""


class Complete:
    """A way to one device. The socket is opened at need; ``close`` may come at any time, and the next ask reopens."""

    def __init__(self, target: Target, randomness: random.Random) -> None:
        self._target = target
        self._random = randomness
        self._waiting: dict[int, asyncio.Future[Answer | Report]] = {}
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
        self._longest = max(SHORTEST, RECKONED * len(names) * max(repetitions, 1))
        try:
            async with asyncio.timeout(wait):
                await self._open()
                if isinstance(self._target.credentials, Community):
                    return await self._plainly(kind, names, repetitions, write)
                return await self._securely(kind, names, repetitions, write)
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
        loop, port = asyncio.get_running_loop(), self._target.port
        self._socket, _ = await reached(
            self._target.address,
            lambda address: loop.create_datagram_endpoint(
                lambda: _Ear(self._heard, self._unheard), remote_addr=(address, port)
            ),
        )

    async def _plainly(self, kind: Kind, names: Sequence[Oid], repetitions: int, write: Write | None) -> Answer:
        credentials = self._target.credentials
        assert isinstance(credentials, Community)
        number = self._number()
        pdu = request(kind, number, names, repetitions, write)
        version, community = ber.integer(NUMBER_OF[credentials.version]), ber.octets(credentials.name.encode())
        answer = await self._exchange(number, ber.sequence(version, community, pdu))
        assert isinstance(answer, Answer)
        return answer

    async def _securely(self, kind: Kind, names: Sequence[Oid], repetitions: int, write: Write | None) -> Answer:
        usm = await self._security()
        if write is not None and not usm.in_step:  # so that it is not refused for its time and has to be said twice
            await self._securely(Kind.GET, [SYS_UP_TIME], 0, None)
        text = ""
        for _ in range(REPORTS_TAKEN + 1):
            number = self._number()
            pdu = request(kind, number, names, repetitions, write) if usm.acquainted else request(Kind.GET, number, [])
            answer = await self._exchange(number, usm.wrap(number, pdu))
            if isinstance(answer, Answer):
                return answer
            if not answer.recoverable:
                raise RejectedError(answer.text)
            text = answer.text
        raise RejectedError(f"{text}, again and again")

    async def _security(self) -> Usm:
        if self._usm is None:
            credentials = self._target.credentials
            assert not isinstance(credentials, Community)
            await asyncio.to_thread(stretch, credentials)
            self._usm = Usm(credentials, asyncio.get_running_loop().time)
        return self._usm

    async def _exchange(self, number: int, datagram: bytes) -> Answer | Report:
        assert self._socket is not None
        waiting: asyncio.Future[Answer | Report] = asyncio.get_running_loop().create_future()
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

    def _parse(self, datagram: bytes) -> tuple[int, Answer | Report]:
        if self._usm is not None:
            if take_apart(datagram).number not in self._waiting:
                raise ValueError("not an answer to anything asked, and nothing is to be learned from it")
            told = self._usm.unwrap(datagram)
            if told.report is not None:
                return told.number, told.report
            assert told.pdu is not None
            number, answer = response(told.pdu)
            if number != told.number:
                raise ValueError("the answer to another question")
            return number, answer
        message = ber.Reader(datagram).enter()
        if message.integer() != NUMBER_OF.get(self._target.version):
            raise ValueError("not a message of the version that is spoken")
        message.octets()  # the community
        return response(message)

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

"""The one connection to an upsd: made when it is needed, encrypted where that is asked for, dropped at every doubt."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from eman_backends.authorities import trusting
from eman_backends.names import reached
from eman_netconf.backend import OutcomeUnknown, Refused, Unavailable

from .protocol import LONGEST, Garbled, Question, quoted, shown
from .settings import Target, Tls

ANSWER = 4.0  # seconds for connecting, and again for one batch of questions; less than the usual deadline of a pass
WHOLE = 1 << 24  # octets of the answers to one batch; 256 UPSs tell a tenth of that
FAREWELL = 0.5  # seconds that saying goodbye may take
ASK_AGAIN = (0.02, 0.05, 0.1, 0.2, 0.4)  # seconds between questions after a command that is pending; the last goes on
TRACKED = 8.0  # seconds a command may be pending
QUICK = getattr(socket, "TCP_QUICKACK", None)  # of Linux


class Line(asyncio.Protocol):
    """Lines from the server, each to the question that waits for it. What nobody asked for ends the connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.gone = asyncio.get_running_loop().create_future()
        self.trouble: str | None = None  # why it cannot be used any more
        self._rest = b""
        self._size = 0  # octets since the last questions were sent
        self._waiting: deque[Question] = deque()
        self._answered: asyncio.Future[None] | None = None
        self._socket: socket.socket | None = None

    async def ask(self, questions: Sequence[Question]) -> None:
        """Send all at once, and return when all are answered. Raises ConnectionError with a sentence."""
        assert self.transport is not None
        if self.trouble is not None:
            raise ConnectionError(self.trouble)
        self._waiting.extend(questions)
        self._size = 0
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write("".join(f"{question.text}\n" for question in questions).encode())
        await self._answered

    @property
    def clean(self) -> bool:
        """Whether nothing is left over."""
        return self.trouble is None and not self._rest and not self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        self._acknowledge()
        self._size += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            if self._size > WHOLE:
                raise Garbled("the server says far more than it was asked for")
            if len(self._rest) > LONGEST:
                raise Garbled("the server sends a line without end")
            for line in lines:
                if not self._waiting:
                    raise Garbled("the server says what nobody asked for")
                if len(line) > LONGEST:
                    raise Garbled("the server sends a line without end")
                if self._waiting[0].hear(line.decode(errors="replace").rstrip("\r")):
                    self._waiting.popleft()
        except Garbled as error:
            self.end(str(error))
            return
        if not self._waiting and self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"the connection broke: {exc}" if exc is not None else "the server closed the connection")
        if not self.gone.done():
            self.gone.set_result(None)

    def end(self, why: str) -> None:
        """Let go at once; who waits for an answer hears why."""
        if self.trouble is None:
            self.trouble = why
        if self.transport is not None:
            self.transport.abort()
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(self.trouble))

    def _acknowledge(self) -> None:
        """Have what came acknowledged at once: upsd writes a list line by line, and waits for that after the first."""
        if QUICK is not None and self._socket is not None:
            with suppress(OSError):  # a socket that is being closed
                self._socket.setsockopt(socket.IPPROTO_TCP, QUICK, 1)


class Connection:
    """Questions and orders to one upsd, one batch after the other."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._line: Line | None = None
        self._turn = asyncio.Lock()
        self.tracks = False  # whether the server tells how a command went on

    async def ask(self, *questions: Question) -> None:
        """Have all questions answered, each with lines or with an error. Raises Unavailable."""
        async with self._turn:
            line = await self._connected()
            try:
                async with asyncio.timeout(ANSWER):
                    await line.ask(questions)
            except BaseException as error:  # cancelled, too: a late answer must not meet the next question
                self.drop("it is not trusted any more")
                if isinstance(error, (OSError, TimeoutError)):
                    raise Unavailable(f"{self._target}: {_why(error)}") from error
                raise

    async def order(self, question: Question) -> None:
        """Send an order once. Raises Unavailable before it was sent, Refused, OutcomeUnknown."""
        async with self._turn:
            line = await self._connected()
            try:
                async with asyncio.timeout(ANSWER):
                    await line.ask([question])
            except BaseException as error:
                self.drop("it is not trusted any more")
                if isinstance(error, (OSError, TimeoutError)):
                    raise OutcomeUnknown(f"{self._target} was told, and then: {_why(error)}") from error
                raise
        if question.error is not None:
            raise Refused(question.refusal)
        match question.lines[0].split():
            case ["OK", "TRACKING", order]:
                await self._track(order)
            case ["OK", *_]:
                return
            case _:
                raise OutcomeUnknown(f"{self._target} answers an order with {shown(question.lines[0][:64])!r}")

    async def _track(self, order: str) -> None:
        """Return when the driver has done it. Raises Refused, OutcomeUnknown."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TRACKED
        pauses = iter(ASK_AGAIN)
        while True:
            question = Question(f"GET TRACKING {quoted(order)}")
            try:
                await self.ask(question)
            except Unavailable as error:
                raise OutcomeUnknown(f"the order was passed on to the driver, and then: {error}") from error
            if question.error is not None:
                raise Refused(question.refusal)
            if question.lines[0] == "SUCCESS":
                return
            if question.lines[0] != "PENDING" or loop.time() >= until:
                raise OutcomeUnknown(f"the driver has the order, of which is told: {shown(question.lines[0][:64])}")
            await asyncio.sleep(next(pauses, ASK_AGAIN[-1]))

    async def close(self) -> None:
        """Say goodbye where that is possible, and let go; safe at any time and twice."""
        line = self._line
        if line is None:
            return
        if not self._turn.locked():
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await line.ask([Question("LOGOUT")])
        self.drop("it was closed")
        await asyncio.wait({line.gone}, timeout=FAREWELL)

    def drop(self, why: str) -> None:
        """Let go of the connection at once."""
        line, self._line = self._line, None
        if line is not None:
            line.end(why)

    async def _connected(self) -> Line:
        """The connection, made anew where there is none. Raises Unavailable."""
        if self._line is not None and self._line.trouble is None:
            return self._line
        try:
            async with asyncio.timeout(ANSWER):
                return await self._connect()
        except BaseException as error:
            self.drop("it did not come about")
            if isinstance(error, (OSError, TimeoutError)):  # ssl.SSLError is an OSError
                raise Unavailable(f"{self._target} cannot be reached: {_why(error)}") from error
            raise

    async def _connect(self) -> Line:
        loop = asyncio.get_running_loop()
        target = self._target
        _, line = await reached(target.address, lambda address: loop.create_connection(Line, address, target.port))
        self._line = line
        if target.tls is not None:
            await self._encrypt(line, target.tls)
        self.tracks = False
        if target.user is not None and target.password is not None:
            user = Question(f"USERNAME {quoted(target.user)}")
            password = Question(f"PASSWORD {quoted(target.password)}")
            tracking = Question("SET TRACKING ON")
            await line.ask([user, password, tracking])
            for question in (user, password):
                if question.error is not None:
                    raise ConnectionError(f"the server does not take the user: {question.refusal}")
            self.tracks = tracking.error is None
        return line

    async def _encrypt(self, line: Line, tls: Tls) -> None:
        """STARTTLS, or no connection. Raises OSError."""
        context = await asyncio.to_thread(_context, tls)
        question = Question("STARTTLS")
        await line.ask([question])
        if question.error is not None:
            raise ConnectionError(f"the server does not encrypt: {question.refusal}")
        if question.lines[0] != "OK STARTTLS":
            raise ConnectionError(f"the server answers STARTTLS with {shown(question.lines[0][:64])!r}")
        if not line.clean or line.transport is None:
            raise ConnectionError("the server sent what should have been encrypted")
        encrypted = await asyncio.get_running_loop().start_tls(
            line.transport, line, context, server_hostname=tls.server_name or self._target.address
        )
        if encrypted is None:
            raise ConnectionError("the connection was lost while it was being encrypted")
        line.transport = encrypted
        if tls.fingerprint is not None:
            certificate = encrypted.get_extra_info("ssl_object").getpeercert(binary_form=True)
            found = hashlib.sha256(certificate or b"").digest()
            if not hmac.compare_digest(found, tls.fingerprint):
                raise ConnectionError(
                    f"it has another certificate than configured; its fingerprint is {found.hex(':')}"
                )


def _context(tls: Tls) -> ssl.SSLContext:
    """What is asked of the certificate. Raises OSError."""
    if tls.fingerprint is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the fingerprint is compared instead, and names one certificate
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return trusting(tls.ca_file)
    except OSError as error:
        why = "" if isinstance(error, ssl.SSLError) else f": {_why(error)}"
        raise ConnectionError(f"the file {tls.ca_file} has no certificates{why}") from error


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return str(error) or type(error).__name__

"""One question over HTTP and its answer, bounded, to one host and to nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from eman_backends.authorities import trusting
from eman_backends.names import addresses
from eman_netconf.backend import Unavailable

from .documents import Document, parsed, path_of
from .settings import Target

CONNECT = 3.0  # seconds until there is a connection
ANSWER = 15.0  # seconds without an octet of the answer
WHOLE = 30.0  # seconds for all of it; the caller's deadline is usually shorter
LARGEST = 1 << 20  # octets of an answer
_REDIRECTIONS = 4  # requests for one resource that moved
MOVED = frozenset({301, 302, 303, 307, 308})
_MOVED_FOR_GOOD = frozenset({301, 308})
_MOVED_UNDONE = frozenset({307, 308})  # nothing was done, and the same order is to be given elsewhere (RFC 9110)
_MOST_MOVED = 4096  # resources of which another place is remembered
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "OData-Version": "4.0"}


class Unanswered(Unavailable):
    """The question was sent, or may have been, and no answer came."""


class Untrusted(Unavailable):
    """Who answers is not whom the settings trust; nothing was sent."""


class Unreadable(Unavailable):
    """The authorities to trust cannot be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``fault`` says what is wrong with a body that is no document; then ``document`` is empty."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    document: Document = field(repr=False)
    fault: str | None = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Http:
    """The connections to one service: one for questions, which are asked in turn, one for its events."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._origin = URL(target.origin)
        self._client: aiohttp.ClientSession | None = None
        self._trust: ssl.SSLContext | aiohttp.Fingerprint | bool = True
        self._turn = asyncio.Lock()
        self._moved: dict[str, str] = {}  # where resources are that have another path than their links say

    async def open(self) -> None:
        """Make ready to ask; nothing is sent yet. Raises Unreadable where the authorities cannot be read."""
        await self.close()
        self._moved.clear()
        self._trust = await self._whom_to_trust()
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2, ssl=self._trust, keepalive_timeout=60.0, resolver=_Resolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=WHOLE, sock_connect=CONNECT, sock_read=ANSWER),
            headers=_HEADERS,
            auto_decompress=False,  # none is asked for
        )

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One answer, after those asked for before. Raises Unavailable where nothing was sent, else Unanswered."""
        async with self._turn:
            asked = path
            path = self._moved.get(path, path)
            for _ in range(_REDIRECTIONS):
                answer = await self._ask(method, path, query, body, headers or {})
                if answer.status == HTTPStatus.NOT_FOUND:
                    self._moved.pop(asked, None)
                if answer.status not in (MOVED if method == "GET" else _MOVED_UNDONE):
                    break
                there = self._elsewhere(path, answer)
                if there is None:
                    break
                if answer.status in _MOVED_FOR_GOOD and len(self._moved) < _MOST_MOVED:
                    self._moved[asked] = there
                path = there
        return answer

    async def _ask(
        self, method: str, path: str, query: str, body: Document | None, headers: Mapping[str, str]
    ) -> Answer:
        with self._troubles():
            async with self._request(method, path, query, json=body, headers=headers) as response:
                return await self._answer(response)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, query: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that goes on, beside the other questions. Raises as ``ask``."""
        waits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=None)
        headers = {**headers, "Accept": "text/event-stream"}
        with self._troubles():
            async with self._request("GET", path, query, headers=headers, timeout=waits) as response:
                yield response

    def _request(self, method: str, path: str, query: str, **options: Any) -> Any:
        if self._client is None:
            raise Unavailable(f"{self._target} is not open")
        url = self._origin.join(URL(path + query, encoded=True))
        name = self._target.server_name if self._target.encrypted else None
        return self._client.request(method, url, allow_redirects=False, server_hostname=name, **options)

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > LARGEST:
                response.close()
                return Answer(response.status, headers, {}, f"more than {LARGEST} octets were sent")
            pieces.append(piece)
        if not size:
            return Answer(response.status, headers, {}, "nothing was sent")
        try:
            return Answer(response.status, headers, parsed(b"".join(pieces)))
        except ValueError as error:
            return Answer(response.status, headers, {}, f"what was sent is not JSON: {type(error).__name__}")

    def _elsewhere(self, path: str, answer: Answer) -> str | None:
        """Where a redirection leads, if that is on the same service."""
        try:
            there = self._origin.join(URL(path, encoded=True)).join(URL(answer.headers.get("location", "")))
            same = there.origin() == self._origin.origin()
        except ValueError:
            return None
        return there.raw_path if same and path_of(there.raw_path) is not None else None

    @contextlib.contextmanager
    def _troubles(self) -> Any:
        """What goes wrong with a connection, in words."""
        where = str(self._target)
        try:
            yield
        except aiohttp.ServerFingerprintMismatch as error:
            got = error.got.hex(":")
            raise Untrusted(f"{where} has another certificate than configured; its fingerprint is {got}") from None
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
            trust = (
                "" if self._target.ca_file else "; set redfish/fingerprint, which discover tells, or redfish/ca-file"
            )
            raise Untrusted(f"the certificate of {where} is not trusted: {why}{trust}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"{where} cannot be reached: {_cause(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(f"{where} does not answer: {_cause(error)}") from None

    async def _whom_to_trust(self) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        target = self._target
        if target.fingerprint is not None:
            return aiohttp.Fingerprint(target.fingerprint)
        if target.ca_file is None or not target.encrypted:
            return True
        try:  # in a thread, since reading certificates takes its time
            return await asyncio.to_thread(trusting, target.ca_file)
        except OSError as error:
            why = "there are none" if isinstance(error, ssl.SSLError) else _cause(error)
            raise Unreadable(f"no certificates of authorities can be read in {target.ca_file}: {why}") from error


class _Resolver(AbstractResolver):
    """Finds names without the threads of the loop."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError."""
        found: list[ResolveResult] = []
        for address in await addresses(host):
            kind = socket.AF_INET6 if ":" in address else socket.AF_INET
            if family in (socket.AF_UNSPEC, kind):
                found.append(ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0))
        return found

    async def close(self) -> None:
        """There is nothing to let go of."""


def _cause(error: BaseException) -> str:
    inner = getattr(error, "os_error", error)
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closes the connection; see whether the port is right, and whether it speaks TLS"
    if isinstance(inner, ssl.SSLError):
        return f"no TLS comes about ({inner.reason or 'no reason is told'}); see whether the port is right"
    if isinstance(inner, OSError) and (inner.errno or 0) > 0:
        return os.strerror(inner.errno or 0)
    return getattr(inner, "strerror", None) or type(error).__name__

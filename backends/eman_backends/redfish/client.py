"""One service that is logged in to: one session, which ends with the client whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

from eman_netconf.backend import OutcomeUnknown, Refused, Unavailable

from .documents import Document, link, path_of
from .http import MOVED, Answer, Http, Unanswered
from .messages import sentence
from .settings import Target

ROOT = "/redfish/v1/"
SESSIONS = "/redfish/v1/SessionService/Sessions"
FAREWELL = 2.0  # seconds for a login under way to end, and as long for the logout
TASK = 3.0  # seconds that a task is followed; after that its order counts as accepted
LONGEST_REST = 300.0  # seconds a busy service is left alone at most
_NO_SUCH = frozenset({404, 405, 410, 501})
_BUSY = frozenset({429, 503})
_LOST = frozenset({502, 504})  # a gateway that does not know what became of a question


class Missing(Exception):
    """One resource cannot be read; the text says why. The others may well be. ``passing``: it may be there later."""

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


class Client:
    """Reads and orders, in turn. A session that the service no longer knows is made anew, once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http = Http(target)
        self._sessions: str | None = SESSIONS  # None: the service has none
        self._login: asyncio.Task[None] | None = None
        self._token: str | None = None
        self._session: str | None = None
        self._rest_until = -math.inf
        self._resting: dict[str, float] = {}  # of single resources until when they want to be left alone
        self.renewed = False  # the service had forgotten the session since it was opened

    async def open(self) -> Document:
        """The root of the service, after logging in. Raises Unavailable."""
        await self.close()
        self._let_rest()
        self._resting.clear()
        self.renewed = False
        await self._http.open()
        self._sessions = SESSIONS
        answer = await self._http.ask("GET", ROOT)
        if answer.status == 401:  # which it should not be, but some hide even that
            await self._log_in()
            answer = await self._http.ask("GET", ROOT, headers=self._credentials())
        root = self._root(answer)
        if self._token is None:
            self._sessions = link(root, "Links", "Sessions")
            if self._sessions is None and "SessionService" in root:
                self._sessions = SESSIONS
            await self._log_in()
        return root

    def _root(self, answer: Answer) -> Document:
        """Who answers. Raises Unavailable where it is no Redfish service."""
        if answer.status in _BUSY:
            raise self._busy(answer)
        if not answer.good or "RedfishVersion" not in answer.document:
            raise Unavailable(f"{self._target} does not answer like a Redfish service")
        return answer.document

    async def probe(self) -> Document:
        """The root alone, with no login. Raises Unavailable."""
        await self._http.open()
        return self._root(await self._http.ask("GET", ROOT))

    async def get(self, path: str, query: str = "") -> Document:
        """One resource. Raises Missing, or Unavailable where there is no service to ask."""
        until, loop = self._resting.get(path, -math.inf), asyncio.get_running_loop()
        if loop.time() < until:
            raise Missing("it is busy and wants to be left alone for a while", passing=True)
        answer = await self._ask("GET", path, query=query)
        if answer.good and answer.fault is None:
            return answer.document
        if answer.status == 503:
            self._resting[path] = loop.time() + _rest(answer)
        elif answer.status in _BUSY:
            raise self._busy(answer)
        if answer.status in MOVED:
            raise Missing("it is said to be elsewhere, where it is not looked for")
        why = answer.fault if answer.good and answer.fault else sentence(answer.status, answer.document)
        raise Missing(why, passing=answer.good or (answer.status >= 500 and answer.status not in _NO_SUCH))

    async def post(self, path: str, body: Document) -> None:
        """An order; returns when it was accepted. Raises Refused, Unavailable, OutcomeUnknown."""
        await self._judge(await self._order("POST", path, body, {}))

    async def patch(self, path: str, body: Document) -> None:
        """A change of the resource as it is now, where that can be told. Raises as ``post``."""
        for _ in range(2):  # once more where somebody else changed it meanwhile
            answer = await self._ask("GET", path)
            etag = answer.headers.get("etag") or answer.document.get("@odata.etag")
            match = {"If-Match": etag} if answer.good and isinstance(etag, str) and etag.isprintable() else {}
            done = await self._order("PATCH", path, body, match)
            if done.status != 412:
                break
        await self._judge(done)

    @contextlib.asynccontextmanager
    async def events(self, path: str, query: str) -> AsyncIterator[Any]:
        """The stream of events. Raises Unavailable."""
        async with self._http.stream(path, query, self._credentials()) as response:
            yield response

    async def close(self) -> None:
        """Log out and let go of the connections; safe at any time and twice."""
        try:
            login, self._login = self._login, None
            if login is not None and not login.done():  # its answer names the session that is to be ended
                await asyncio.wait({login}, timeout=FAREWELL)
                login.cancel()
                await asyncio.wait({login})
            await self._log_out()
        finally:
            await self._http.close()

    # --- the session

    def _credentials(self) -> Mapping[str, str]:
        target = self._target
        if self._token is not None:
            return {"X-Auth-Token": self._token}
        if target.user is None or self._needs_session:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{target.user}:{target.password}".encode()).decode()}

    @property
    def _needs_session(self) -> bool:
        return self._target.user is not None and not self._target.basic and self._sessions is not None

    async def _log_in(self) -> None:
        """Have a session, where there are any. Raises Unavailable.

        The login is a task of its own: who gives up waiting for it does not leave a session behind that nobody knows.
        """
        if not self._needs_session or self._sessions is None:
            return
        if self._login is None or self._login.done():
            self._login = asyncio.create_task(self._begin_session(self._sessions))
            self._login.add_done_callback(_heard)
        try:
            await asyncio.shield(self._login)
        except Unanswered as error:  # whatever was to be asked, this was only the login
            raise Unavailable(str(error)) from error

    async def _begin_session(self, sessions: str) -> None:
        body = {"UserName": self._target.user, "Password": self._target.password}
        answer = await self._http.ask("POST", sessions, body=body)
        token = answer.headers.get("x-auth-token")
        if answer.good and token:
            self._token = token
            self._session = path_of(_path(answer.headers.get("location")) or answer.document.get("@odata.id"))
        elif answer.status in _NO_SUCH:
            self._sessions = None
        elif answer.status in _BUSY:
            raise self._busy(answer)
        else:
            said = sentence(answer.status, answer.document)
            if self._target.password:  # some repeat what they were told
                said = said.replace(self._target.password, "***")
            raise Unavailable(f"{self._target} does not let us log in: {said}")

    async def _log_out(self) -> None:
        credentials = self._credentials()
        session = self._forget_session()
        if session is not None:
            with contextlib.suppress(Unavailable, TimeoutError):  # the service ends it by itself after a while
                async with asyncio.timeout(FAREWELL):
                    await self._http.ask("DELETE", session, headers=credentials)

    def _forget_session(self) -> str | None:
        session, self._session, self._token = self._session, None, None
        return session

    async def _ask(self, method: str, path: str, **options: Any) -> Answer:
        """An answer to somebody who is logged in. What a service that forgot the session refuses is asked once more."""
        self._let_rest()
        if self._needs_session and self._token is None:
            await self._log_in()
        extra = options.pop("headers", {})
        answer = await self._http.ask(method, path, headers={**extra, **self._credentials()}, **options)
        if answer.status == 401 and self._token is not None and not await self._is_known():
            self.renewed = True
            self._forget_session()
            await self._log_in()
            answer = await self._http.ask(method, path, headers={**extra, **self._credentials()}, **options)
        return answer

    async def _is_known(self) -> bool:
        """Whether the session is alive, and the service just lets it not do everything."""
        if self._session is None:
            return False
        try:
            return (await self._http.ask("GET", self._session, headers=self._credentials())).good
        except Unanswered as error:
            raise Unavailable(str(error)) from error

    # --- orders

    async def _order(self, method: str, path: str, body: Document, headers: Mapping[str, str]) -> Answer:
        try:
            return await self._ask(method, path, body=body, headers=headers)
        except Unanswered as error:
            raise OutcomeUnknown(f"the order was sent, and then: {error}") from error

    async def _judge(self, answer: Answer) -> None:
        """Return where the order was accepted."""
        if answer.status == 202:
            answer = await self._followed(answer)
        if answer.good:
            return
        if answer.status in _BUSY:
            raise self._busy(answer)
        said = sentence(answer.status, answer.document)
        if answer.status in _LOST:
            raise OutcomeUnknown(f"the order was passed on and nothing came back: {said}")
        raise Refused(f"the service says: {said}")

    async def _followed(self, answer: Answer) -> Answer:
        """How the task of an accepted order ended, or that it goes on."""
        monitor = path_of(_path(answer.headers.get("location")))
        loop = asyncio.get_running_loop()
        until = loop.time() + TASK
        while monitor is not None:
            pause = min(_seconds(answer.headers.get("retry-after")) or 0.5, TASK)
            if loop.time() + pause > until:
                break
            await asyncio.sleep(pause)
            try:
                seen = await self._ask("GET", monitor)
            except Unavailable:
                break  # it was accepted; how it ends the readings tell
            if seen.status in {202, *_NO_SUCH, *_BUSY}:
                answer = Answer(202, seen.headers, seen.document)
                if seen.status != 202:
                    break
                continue
            if seen.good and seen.document.get("TaskState") in {"Exception", "Killed", "Cancelled"}:
                messages = {"@Message.ExtendedInfo": seen.document.get("Messages")}
                raise Refused(f"the service says: {sentence(500, messages)}")
            return seen
        return answer

    def _let_rest(self) -> None:
        """Raises Unavailable while the service wants to be left alone."""
        rest = self._rest_until - asyncio.get_running_loop().time()
        if rest > 0:
            raise Unavailable(f"{self._target} is busy and wants to be left alone for {math.ceil(rest)} seconds")

    def _busy(self, answer: Answer) -> Unavailable:
        """The service is to be left alone for as long as it says."""
        self._rest_until = asyncio.get_running_loop().time() + _rest(answer)
        return Unavailable(f"{self._target} is busy: {sentence(answer.status, answer.document)}")


def _rest(answer: Answer) -> float:
    """Seconds that a service asks to be left alone."""
    return min(_seconds(answer.headers.get("retry-after")) or 0.0, LONGEST_REST)


def _path(location: str | None) -> str | None:
    """The path of a Location, which may be a whole URL."""
    if location is not None and "://" in location:
        return "/" + location.split("://", 1)[1].partition("/")[2]
    return location


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 9 else None


def _heard(login: asyncio.Task[None]) -> None:
    """Who waits for a login hears how it went; where nobody waits any more, nobody is to be warned."""
    if not login.cancelled():
        login.exception()  # noqa: LOG004 - a task, no log

"""A service of ours, for what no counterpart has: sessions, changes, $expand, tasks, events, and bad manners.

It stands in front of another service where it is given one, and passes on to it what it does not know itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping, MutableSequence
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from .mockups import V1, Tree

SESSIONS = f"{V1}/SessionService/Sessions"
USER, PASSWORD = "eman", "a secret that is one"


class Stream(NamedTuple):
    """A stream of events that somebody listens to."""

    response: web.StreamResponse
    ended: asyncio.Event  # to be set when the service has no more to tell


class Bmc:
    """A service on a port of this machine. What its attributes say it does at the next request."""

    def __init__(self, tree: Tree | None = None, *, upstream: int | None = None) -> None:
        self.tree = copy.deepcopy(tree or {})
        self.upstream = upstream
        self.port = 0
        self.users: Mapping[str, str] | None = {USER: PASSWORD}  # None: nobody has to log in
        self.sessions: dict[str, str] = {}  # of the open ones the token, by path
        self.most_sessions = 4
        self.requests: MutableSequence[tuple[str, str]] = []  # method and path with query
        self.orders: list[tuple[str, Any]] = []  # path and body of what was changed or done
        self.answers: dict[tuple[str, str], list[web.Response]] = {}  # said instead, once each, by method and path
        self.silent = self.lying = self.forgetful = False
        self.etags: dict[str, str] = {}  # by path; a change then needs the right one
        self.expands = True
        self.slashes = False  # whether paths without a slash at the end are sent to those with one
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()  # as they are opened
        self.seen: Counter[str] = Counter()  # requests by who made them: token, basic, nobody
        self._count = 0
        self._runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls)
        await site.start()
        server: Any = site._server
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def settings(self, **more: Any) -> dict[str, Any]:
        known = {"address": "127.0.0.1", "port": self.port, "unencrypted": True}
        return {**known, "user-name": USER, "password": PASSWORD, **more}

    def gets(self) -> list[str]:
        """What was asked for, in order."""
        return [path for method, path in self.requests if method == "GET"]

    # --- answers

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/")
        self.requests.append((request.method, request.path_qs.rstrip("/")))
        self.seen[next((kind for kind, name in _SHOWN.items() if name in request.headers), "nobody")] += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.lying:
            return web.Response(body=_GARBAGE[len(self.requests) % len(_GARBAGE)], content_type="application/json")
        if waiting := self.answers.get((request.method, path)):
            return waiting.pop(0)
        if self.slashes and not request.path.endswith("/"):
            return web.Response(status=308, headers={"Location": f"{request.path}/"})
        if (refusal := self._refusal(request, path)) is not None:
            return refusal
        response = await self._done(request, path)
        if self.forgetful and request.method in {"POST", "PATCH"} and path != SESSIONS:
            assert request.transport is not None
            request.transport.abort()
        return response

    def _refusal(self, request: web.Request, path: str) -> web.Response | None:
        """Everybody may see the root and log in; the rest is for who is logged in."""
        if self.users is None or (path in {"/redfish", V1, SESSIONS} and request.method != "DELETE"):
            return None
        if request.headers.get("X-Auth-Token") in self.sessions.values():
            return None
        given = request.headers.get("Authorization", "")
        with contextlib.suppress(ValueError):
            login = aiohttp.BasicAuth.decode(given)
            if self.users.get(login.login) == login.password:
                return None
        return failure(401, "The session is not known, or its user is not.")

    async def _done(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        if path == SESSIONS and self.users is not None and request.method == "POST":
            return self._log_in(body)
        if request.method == "DELETE" and path in self.sessions:
            del self.sessions[path]
            return web.Response(status=204)
        if request.method in {"POST", "PATCH"}:
            return await self._order(request, path, body)
        if path == f"{V1}/EventService/SSE":
            return await self._stream(request)
        document = self.tree.get(path)
        if document is None and self.upstream is not None:
            return await self._passed_on(request, None)
        if document is None:
            return failure(404, f"The resource {path} was not found.")
        if "$expand" in request.query:
            document = self._expanded(document, 2 if "2" in request.query["$expand"] else 1)
        headers = {"ETag": self.etags[path]} if path in self.etags else {}
        return web.json_response(document, headers=headers)

    def _log_in(self, body: Mapping[str, Any]) -> web.Response:
        assert self.users is not None
        if self.users.get(body.get("UserName", "")) != body.get("Password"):
            return failure(401, "The user name or the password is wrong.")
        if len(self.sessions) >= self.most_sessions:
            return failure(503, "The maximum number of user sessions is reached.")
        self._count += 1
        path = f"{SESSIONS}/{self._count}"
        self.sessions[path] = f"token-{self._count}"
        headers = {"X-Auth-Token": self.sessions[path], "Location": path}
        return web.json_response({"@odata.id": path}, status=201, headers=headers)

    async def _order(self, request: web.Request, path: str, body: Any) -> web.Response:
        if path in self.etags:
            if request.headers.get("If-Match") != self.etags[path]:
                return failure(412, "The ETag does not match.")
            self.etags[path] += "'"
        self.orders.append((path, body))
        if request.method == "PATCH" and path in self.tree:
            _merge(self.tree[path], body)
            return web.Response(status=204)
        subject, _, action = path.partition("/Actions/")
        if action == "Outlet.PowerControl":
            self.tree[subject]["PowerState"] = body["PowerState"]
            return web.Response(status=204)
        if self.upstream is not None:
            return await self._passed_on(request, body)
        return web.Response(status=204)

    async def _passed_on(self, request: web.Request, body: Any) -> web.Response:
        url = f"http://127.0.0.1:{self.upstream}{request.path_qs}"
        async with aiohttp.request(request.method, url, json=body) as response:
            told = await response.read()
            if request.path.rstrip("/") == V1:  # which cannot know of the sessions here
                told = json.dumps({**json.loads(told), "Links": {"Sessions": {"@odata.id": SESSIONS}}}).encode()
            return web.Response(status=response.status, body=told, content_type=response.content_type)

    def _expanded(self, document: Mapping[str, Any], levels: int) -> Any:
        """Links of a resource replaced by what they lead to, where that is below it."""
        if not self.expands:
            return document
        own = document["@odata.id"]

        def replaced(value: Any, left: int) -> Any:
            if isinstance(value, list):
                return [replaced(item, left) for item in value]
            if not isinstance(value, dict):
                return value
            target = value.get("@odata.id", "") if set(value) == {"@odata.id"} else ""
            if left and target.startswith(f"{own}/") and target in self.tree:
                return {name: replaced(item, left - 1) for name, item in self.tree[target].items()}
            return {name: replaced(item, left) for name, item in value.items()}

        return {name: replaced(value, levels) for name, value in document.items()}

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = Stream(response, asyncio.Event())
        self.streams.put_nowait(stream)
        with contextlib.suppress(ConnectionError):
            await stream.ended.wait()
        return response


_SHOWN = {"token": "X-Auth-Token", "basic": "Authorization"}
_GARBAGE = (
    b"<html>502</html>",
    b"[" * 100_000,
    b'{"PowerWatts": {"Reading": 1e999999999}, "PowerState": 7, "Members": "none", "PowerControl": [null]}',
    b'{"PowerWatts": [], "PowerState": {"On": null}, "Members": [{"@odata.id": "//elsewhere/redfish/v1"}], "x": NaN}',
    b"\xff\xfe\x00",
    b"",
)


def failure(status: int, message: str, **headers: str) -> web.Response:
    """An error as DSP0266 has it."""
    info = [{"MessageId": "Base.1.18.GeneralError", "Message": message, "Severity": "Critical"}]
    body = {"error": {"code": "Base.1.18.GeneralError", "message": "See ExtendedInfo.", "@Message.ExtendedInfo": info}}
    return web.json_response(body, status=status, headers={name.replace("_", "-"): v for name, v in headers.items()})


def _merge(document: dict[str, Any], change: Mapping[str, Any]) -> None:
    """A change as PATCH means it: objects are merged, members of lists by their place."""
    for name, value in change.items():
        old = document.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            for place, item in enumerate(value):
                _merge(old[place], item)
        else:
            document[name] = value


@contextlib.asynccontextmanager
async def serving(bmc: Bmc, tls: ssl.SSLContext | None = None) -> AsyncIterator[Bmc]:
    """The service, as long as it is needed."""
    await bmc.start(tls)
    try:
        yield bmc
    finally:
        await bmc.stop()

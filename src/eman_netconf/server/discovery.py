"""Asking addresses who is there: a few at a time, not faster than asked for, and nobody else."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from eman_netconf.backend import BackendError, Context, Finding, Misconfigured, Plugin, Settings, Unavailable
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.operations.discovery import MOST, Address, Failed, Findings, Found, Search, single, too_many
from eman_netconf.server.clock import Clock
from eman_netconf.server.masks import Mask
from eman_netconf.server.secrets import CIPHER, Vault
from eman_netconf.server.settings import Opened, is_secret, plain, stored
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Step, path_text, walk
from eman_netconf.yang.tree import Path as InstancePath

log = logging.getLogger(__name__)
T = TypeVar("T")

Departed = Callable[[], Awaitable[None]]  # returns when the client has gone

AT_ONCE = 64  # addresses
_NAMES_AT_ONCE = 16  # in threads of their own: dead names hold them long, and those of the loop are for everybody


class Discovery:
    """The Finder of one server: one search at a time."""

    def __init__(self, schema: Schema, plugins: Mapping[str, Plugin], clock: Clock, vault: Vault, state: Path) -> None:
        self._plugins = plugins
        self._clock = clock
        self._vault = vault
        self._directory = state / "backends"
        self._backend = schema.find("eman-entity:energy-management/eman-backend:backends/backend")
        self._searching = False
        self._threads = ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="discover")

    async def find(self, search: Search, departed: Departed) -> Findings:
        """As ``Finder.find``."""
        if self._searching:
            raise RpcError(
                ErrorTag.RESOURCE_DENIED,
                "The server is looking for devices already, one search at a time; try again when that is over.",
                path=path_text(search.path[:-1]),
            )
        self._searching = True
        try:
            questions = [self._question(using, search.path) for using in search.using]
            with ExitStack() as stack:
                for question in questions:
                    question.context.log.addFilter(question.mask)
                    stack.callback(question.context.log.removeFilter, question.mask)
                sweep = _Sweep(search, questions, self._vault, self._threads)
                return await _until(sweep, search.time_limit, departed)
        finally:
            self._searching = False

    def _question(self, using: Inner, path: InstancePath) -> _Question:
        """What is asked over one protocol. Raises RpcError where that cannot be."""
        name = using.schema.name
        here = (*path, Step(using.schema))
        plugin = self._plugins.get(name)
        if plugin is None or plugin.probe is None:
            raise RpcError(
                ErrorTag.OPERATION_NOT_SUPPORTED,
                f"The backend {name} cannot look for devices; configure it for an address, and see whether it answers.",
                path=path_text(here),
            )
        for place, value in walk(using, here):
            if is_secret(place[-1].schema) and any(item.startswith(CIPHER) for item in _items(value)):
                raise RpcError(
                    ErrorTag.INVALID_VALUE,
                    f"Give {place[-1].schema.name} in clear text, after $0$; what is stored is not sent to unknown "
                    "devices.",
                    path=path_text(place),
                )
        context = Context(
            name="discover",
            clock=self._clock.now,
            random=random.Random(),  # noqa: S311 - spreads requests, guards nothing
            directory=self._directory / name,
            log=logging.getLogger(f"eman_netconf.discover.{name}"),
        )
        container = next(node for node in self._backend.children.values() if node.name == name)
        opened = Opened(self._vault)
        settings = plain(using, opened)
        return _Question(plugin, settings, context, container, Mask(opened.secrets), here)


async def _until(sweep: _Sweep, seconds: float, departed: Departed) -> Findings:
    """What a sweep finds within the time. Raises RpcError, also when the one who asked has departed."""
    gone = asyncio.ensure_future(departed())
    sweeping = asyncio.create_task(sweep.run(), name="discover")
    try:
        await asyncio.wait({gone, sweeping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise RpcError(ErrorTag.OPERATION_FAILED, "The client went away; the search is given up.")
    finally:
        gone.cancel()
        sweeping.cancel()
        await asyncio.wait({gone, sweeping})
    if not sweeping.cancelled():
        sweeping.result()
    return sweep.findings()


@dataclass(frozen=True, slots=True)
class _Question:
    """What every address is asked over one protocol."""

    plugin: Plugin
    settings: Settings = field(repr=False)
    context: Context
    container: SchemaNode  # of the configuration
    mask: Mask
    path: InstancePath


class _Sweep:
    """One search under way."""

    def __init__(self, search: Search, questions: Sequence[_Question], vault: Vault, threads: Executor) -> None:
        self._search = search
        self._questions = questions
        self._vault = vault
        self._threads = threads  # for looking up names
        self._addresses: list[Address] = list(search.addresses)
        self._next = 0  # the place of the address that is asked next
        self._due = 0.0  # by the loop's time, when it may be
        self._asked = 0
        self._found: list[tuple[int, Found]] = []  # with the place of the address
        self._failed: list[tuple[int, Failed]] = []
        self._fault: RpcError | None = None  # why nothing can come of it
        self._logged: set[str] = set()  # the protocols that failed unexpectedly

    async def run(self) -> None:
        """Ask every address. Raises RpcError."""
        await self._resolve()
        self._due = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(self._addresses))):
                group.create_task(self._work())
        if self._fault is not None:
            raise self._fault

    def findings(self) -> Findings:
        """What is known by now, in the order of the addresses."""
        return Findings(len(self._addresses), self._asked, _in_order(self._found), _in_order(self._failed))

    async def _resolve(self) -> None:
        """Every name becomes the addresses it has now, and is not looked up again. Raises RpcError."""
        loop = asyncio.get_running_loop()
        looking_up = (loop.run_in_executor(self._threads, _known_as, name) for name in self._search.names)
        resolved = await asyncio.gather(*looking_up)
        here = self._search.path[:-1]
        lost = [name for name, addresses in zip(self._search.names, resolved, strict=True) if not addresses]
        if lost:
            raise RpcError(
                ErrorTag.INVALID_VALUE,
                f"No address is known of {', '.join(lost[:5])}{' and others' if len(lost) > 5 else ''}.",
                path=path_text(here),
            )
        more = (single(address, here) for addresses in resolved for address in addresses)
        self._addresses = [*dict.fromkeys((*self._addresses, *more))]
        if len(self._addresses) > MOST:
            raise too_many(here)

    async def _work(self) -> None:
        """Ask one address after the other, each when its time has come."""
        loop = asyncio.get_running_loop()
        while self._next < len(self._addresses) and self._fault is None:
            place = self._next
            self._next += 1
            due = max(self._due, loop.time())
            self._due = due + 1 / self._search.rate
            await asyncio.sleep(due - loop.time())
            for question in self._questions:
                await self._ask(place, question)
            self._asked += 1

    async def _ask(self, place: int, question: _Question) -> None:
        address = str(self._addresses[place])
        protocol = question.plugin.name
        assert question.plugin.probe is not None
        try:
            async with asyncio.timeout(self._search.timeout):
                finding = await question.plugin.probe(address, question.settings, question.context)
        except (Unavailable, TimeoutError):
            return
        except Misconfigured as error:
            self._fault = RpcError(
                ErrorTag.INVALID_VALUE, question.mask.text(str(error)), path=path_text(question.path)
            )
        except BackendError as error:
            self._failed.append((place, Failed(address, protocol, question.mask.text(str(error)))))
        except Exception as error:
            if protocol not in self._logged:
                told = "discover: the backend %s failed unexpectedly at %s"
                log.error(told, protocol, address, exc_info=question.mask.veiled(error))
            self._logged.add(protocol)
            reason = f"the backend failed unexpectedly: {type(error).__name__}"
            self._failed.append((place, Failed(address, protocol, reason)))
        else:
            if finding is not None:
                self._found.append((place, self._as_found(address, question, finding)))

    def _as_found(self, address: str, question: _Question, finding: Finding) -> Found:
        try:
            settings: Inner | None = stored(question.container, finding.settings, self._vault)
        except ValueError as error:
            log.error(
                "discover: the backend %s proposes what its model does not allow: %s", question.plugin.name, error
            )
            settings = None
        return Found(
            address,
            question.plugin.name,
            settings,
            finding.title,
            finding.name,
            finding.manufacturer,
            finding.model,
            finding.foreign_ids,
        )


def _known_as(name: str) -> list[Address]:
    """The addresses of a name; none where it has none."""
    try:
        known = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(place[0]) for *_, place in known]


def _items(data: Data) -> tuple[str, ...]:
    return (data,) if isinstance(data, str) else data if isinstance(data, tuple) else ()


def _in_order(placed: Iterable[tuple[int, T]]) -> tuple[T, ...]:
    return tuple(what for _, what in sorted(placed, key=lambda each: each[0]))

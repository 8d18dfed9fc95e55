"""One task per configured backend: open, poll, watch, command, back off; a slow pass never overlaps itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from eman_netconf.backend import (
    Backend,
    BackendError,
    Command,
    CommandKind,
    Context,
    Inventory,
    LimitsPower,
    LinkState,
    Misconfigured,
    Outcome,
    OutcomeUnknown,
    Pass,
    Plugin,
    Refused,
    SetsPowerState,
    Settings,
    StartsBatteryTest,
    Supply,
    SwitchesSupply,
    Unavailable,
    Watches,
)
from eman_netconf.server.clock import Clock
from eman_netconf.server.masks import Mask

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0
STALE_PASSES = 3  # failed passes in a row before the connection is given up and opened anew
COMMANDS_WAITING = 1000
_REPLACED = "the device has other parts than when this was ordered; look at them, and order again"
OPENINGS_APART = 10.0  # seconds at least between two openings of a device because it says that it has other parts
READINGS_APART = 1.0  # seconds at least between two readings of a device, where it is read because it said something


class Happening(StrEnum):
    """What can happen to the way to a backend."""

    START = "start"
    OPENED = "opened"
    ANSWERED = "answered"
    FAILED = "failed"
    GAVE_UP = "gave-up"
    RETRY = "retry"
    STOP = "stop"


#: (state, what happened) -> next state; what is not here cannot happen
LINK: Mapping[tuple[LinkState, Happening], LinkState] = {
    (LinkState.CLOSED, Happening.START): LinkState.OPENING,
    (LinkState.OPENING, Happening.OPENED): LinkState.UP,
    (LinkState.OPENING, Happening.FAILED): LinkState.BACKING_OFF,
    (LinkState.UP, Happening.ANSWERED): LinkState.UP,
    (LinkState.UP, Happening.FAILED): LinkState.STALE,
    (LinkState.STALE, Happening.ANSWERED): LinkState.UP,
    (LinkState.STALE, Happening.FAILED): LinkState.STALE,
    (LinkState.STALE, Happening.GAVE_UP): LinkState.BACKING_OFF,
    (LinkState.UP, Happening.RETRY): LinkState.OPENING,
    (LinkState.STALE, Happening.RETRY): LinkState.OPENING,
    (LinkState.BACKING_OFF, Happening.RETRY): LinkState.OPENING,
    **{(state, Happening.STOP): LinkState.CLOSED for state in LinkState},
}


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One entry of backends/backend, as the poller needs it."""

    name: str
    protocol: str
    settings: Settings = field(hash=False, repr=False)
    poll_interval: float = 10.0
    timeout: float = 15.0
    enabled: bool = True
    fault: str | None = None  # why the settings cannot be used
    secrets: tuple[str, ...] = field(default=(), repr=False)  # those of the settings, never to be told


class Receiver(Protocol):
    """Where what the backends say goes; the daemon's side of the energy core. All calls are quick and on the loop."""

    def inventory(self, backend: str, inventory: Inventory) -> None: ...
    def readings(self, backend: str, readings: Pass) -> None: ...
    def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None: ...
    def outcome(self, command_id: int, outcome: Outcome, reason: str | None) -> None: ...
    def forgotten(self, backend: str) -> None: ...


class Poller:
    """All backends' tasks. ``configure`` starts, restarts and stops them; it never waits for a device."""

    def __init__(
        self, plugins: Mapping[str, Plugin], receiver: Receiver, clock: Clock, directory: Path, seed: int | None = None
    ) -> None:
        self._plugins = plugins
        self._receiver = receiver
        self._clock = clock
        self._directory = directory
        self._random = random.Random(seed)  # noqa: S311 - spreads polls, guards nothing
        self._links: dict[str, Link] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}

    def configure(self, configs: Mapping[str, BackendConfig]) -> None:
        """Bring the tasks in line with what is configured; what is disabled stays known and is not spoken to."""
        for name in [name for name, link in self._links.items() if configs.get(name) != link.config]:
            self._retire(self._links.pop(name), gone=name not in configs)
        for name, config in configs.items():
            if name not in self._links:
                self._links[name] = self._begin(config)

    def _begin(self, config: BackendConfig) -> Link:
        context = Context(
            name=config.name,
            clock=self._clock.now,
            random=random.Random(self._random.random()),  # noqa: S311 - as above
            directory=self._directory / config.protocol,
            log=logging.getLogger(f"eman_netconf.backend.{config.name}"),
        )
        link = Link(config, self._plugins.get(config.protocol), context, self._receiver, self._clock)
        link.task = asyncio.create_task(link.run(after=self._stopping.get(config.name)), name=f"backend {config.name}")
        return link

    def _retire(self, link: Link, *, gone: bool) -> None:
        self._stopping[link.config.name] = asyncio.create_task(self._stop(link, gone=gone))

    async def _stop(self, link: Link, *, gone: bool) -> None:
        name = link.config.name
        await link.stop()
        if self._stopping.get(name) is asyncio.current_task():
            del self._stopping[name]
        if gone and name not in self._links:
            self._receiver.forgotten(name)

    def send(self, command: Command) -> None:
        """Queue a command; its outcome comes back to the receiver."""
        link = self._links.get(command.backend)
        if link is None or not link.offer(command):
            reason = "the backend is not configured" if link is None else "too many commands are waiting"
            asyncio.get_running_loop().call_soon(
                self._receiver.outcome, command.id, Outcome.UNAVAILABLE, f"{command.backend}: {reason}"
            )

    def read_soon(self, backend: str) -> None:
        """Poll now rather than at the next interval."""
        if link := self._links.get(backend):
            link.hurried = True
            link.wake.set()

    def rediscover(self, backend: str) -> bool:
        """Close and open again, so that the inventory is taken anew. False when there is no such backend."""
        link = self._links.get(backend)
        if link is None:
            return False
        link.reopen = True
        link.wake.set()
        return True

    async def close(self) -> None:
        """Stop all; commands in flight are awaited, those not yet sent are told unavailable."""
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(link.stop() for link in links), *self._stopping.values(), return_exceptions=True)


class Link:
    """The way to one backend."""

    def __init__(
        self, config: BackendConfig, plugin: Plugin | None, context: Context, receiver: Receiver, clock: Clock
    ) -> None:
        self.config = config
        self.state = LinkState.CLOSED
        self.wake = asyncio.Event()
        self.reopen = False
        self.hurried = False  # somebody wishes to read soon, since the last opening or reading began
        self.task: asyncio.Task[None] | None = None
        self._plugin = plugin
        self._context = context
        self._receiver = receiver
        self._clock = clock
        self._commands: asyncio.Queue[Command] = asyncio.Queue(COMMANDS_WAITING)
        self._stopping = False
        self._error: str | None = None
        self._mask = Mask(config.secrets)
        context.log.addFilter(self._mask)
        self._told = False  # that it failed is in the log, and no pass has worked since
        self._bug = ""  # how it failed unexpectedly since then
        self._read_at = -math.inf  # by the loop's time
        self._inventory: Inventory | None = None  # by which commands that wait were planned; None = one remembered
        self._anew_at = -math.inf  # by the loop's time, when it was opened anew because the inventory was
        self._outdated = False  # the last pass said that the inventory is not what it was
        self._asking: asyncio.Timeout | None = None  # the deadline of what the device is asked right now

    def offer(self, command: Command) -> bool:
        try:
            self._commands.put_nowait(command)
        except asyncio.QueueFull:
            return False
        self.wake.set()
        return True

    async def stop(self) -> None:
        """End the task: at once, unless a command is in flight; that is awaited."""
        self._stopping = True
        self.wake.set()
        if self._asking is not None:
            self._asking.reschedule(asyncio.get_running_loop().time())
        if self.task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    async def run(self, after: asyncio.Task[None] | None = None) -> None:
        """The life of the link, until stopped; it begins when its predecessor has let go of the device."""
        try:
            if after is not None:
                await asyncio.wait({after})
            backend = self._build()
            if backend is None:
                await self._wait_for_stop()
                return
            back_off = FIRST_BACK_OFF
            while not self._stopping:
                self._step(Happening.START if self.state is LinkState.CLOSED else Happening.RETRY)
                if await self._open(backend) and await self._poll(backend):
                    back_off = FIRST_BACK_OFF
                await self._close(backend)
                if not self._stopping and not self.reopen:
                    await self._pause(back_off)
                    back_off = min(back_off * 2, LONGEST_BACK_OFF)
        except Exception as error:
            told = "backend %s: its task failed; enable it again after the cause is mended"
            log.error(told, self.config.name, exc_info=self._mask.veiled(error))
        finally:
            self._refuse_waiting("the backend is being stopped")
            self._step(Happening.STOP)
            self._context.log.removeFilter(self._mask)

    def _build(self) -> Backend | None:
        if not self.config.enabled:
            self._receiver.link(self.config.name, LinkState.CLOSED, None, None)
            return None
        if self.config.fault is not None:
            self._error = self.config.fault
        elif self._plugin is None:
            self._error = f"no backend {self.config.protocol!r} is installed"
        else:
            try:
                return self._plugin.build(self.config.settings, self._context)
            except Misconfigured as error:
                self._error = f"misconfigured: {self._said(error)}"
            except Exception as error:
                log.error("backend %s: cannot be built", self.config.name, exc_info=self._mask.veiled(error))
                self._error = f"cannot be built: {self._said(error)}"
        log.error("backend %s: %s", self.config.name, self._error)
        self._receiver.link(self.config.name, LinkState.CLOSED, self._error, None)
        return None

    async def _wait_for_stop(self) -> None:
        while not self._stopping:
            self.wake.clear()
            self._refuse_waiting(self._error or "the backend is not enabled")
            await asyncio.sleep(0)
            await self.wake.wait()

    async def _open(self, backend: Backend) -> bool:
        self.reopen = self.hurried = self._outdated = False
        try:
            inventory = await self._ask(backend.open())
        except Exception as error:  # noqa: BLE001 - a backend may be anybody's code; its faults are its own
            self._failed(error, "open")
            return False
        self._error = None
        if not self._commands.empty() and self._inventory is not None and inventory != self._inventory:
            self._refuse_waiting(_REPLACED)
        self._inventory = inventory
        self._receiver.inventory(self.config.name, inventory)
        self._step(Happening.OPENED)
        return True

    async def _ask(self, answer: Awaitable[T]) -> T:
        """What the device answers within the deadline, which ``stop`` brings near. Raises TimeoutError."""
        try:
            async with asyncio.timeout(self.config.timeout) as self._asking:
                return await answer
        finally:
            self._asking = None

    async def _poll(self, backend: Backend) -> bool:
        """Pass after pass, commands between them, until stopped, asked to reopen, or given up; whether any worked."""
        passes = failures = 0
        watching = self._watch(backend)
        try:
            while not self._stopping and not self.reopen:
                if await self._read(backend):
                    passes, failures = passes + 1, 0
                else:
                    failures += 1
                if failures >= STALE_PASSES:
                    self._step(Happening.GAVE_UP)
                    break
                await self._until_next(backend)
                if self._outdated:
                    await self._until_anew()
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
        return passes > 0

    async def _read(self, backend: Backend) -> bool:
        self.hurried = False
        self._read_at = asyncio.get_running_loop().time()
        started = self._clock.now().mono
        try:
            result = await self._ask(backend.read())
        except Exception as error:  # noqa: BLE001 - as in _open
            self._failed(error, "read")
            return False
        if self._told:
            log.info("backend %s: answers again", self.config.name)
        self._told, self._error, self._bug = False, None, ""
        self._outdated = result.outdated
        self._receiver.readings(self.config.name, result)
        self._step(Happening.ANSWERED, duration=self._clock.now().mono - started)
        return True

    async def _until_next(self, backend: Backend) -> None:
        """Wait for the next pass, carrying out commands as they come."""
        loop = asyncio.get_running_loop()
        spread = 1 + (self._context.random.random() - 0.5) / 10
        due = loop.time() + self._clock.real(self.config.poll_interval * spread)
        while not self._stopping and not self.reopen:
            commanded = False
            if self._outdated:  # what was an outlet of one may be that of another now
                self._refuse_waiting(_REPLACED)
            while not (self._commands.empty() or self._stopping or self._outdated):
                await self._command(backend, self._commands.get_nowait())
                commanded = True
            if commanded or self.hurried:
                return  # to read, after commands what they did
            self.wake.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self.wake.wait()
            except TimeoutError:
                return

    async def _until_anew(self) -> None:
        """Wait until the inventory may be taken anew, so that who has other parts in every pass is not asked for them
        without end.
        """
        loop = asyncio.get_running_loop()
        while not (self._stopping or self.reopen) and loop.time() < self._anew_at + OPENINGS_APART:
            self.wake.clear()
            self._refuse_waiting(_REPLACED)
            await asyncio.sleep(0)  # as in _pause
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._anew_at + OPENINGS_APART):
                    await self.wake.wait()
        self._anew_at = loop.time()
        self.reopen = True

    def _watch(self, backend: Backend) -> asyncio.Task[None] | None:
        if not isinstance(backend, Watches):
            return None
        return asyncio.create_task(self._listen(backend), name=f"watch {self.config.name}")

    async def _listen(self, backend: Watches) -> None:
        """Hear what the device says by itself; try again where that fails."""
        back_off, said = FIRST_BACK_OFF, ""
        while True:
            try:
                async for heard in backend.watch():
                    back_off, said = FIRST_BACK_OFF, ""
                    await self._heard(heard)
            except Exception as error:  # noqa: BLE001 - as in _open
                if (text := self._said(error)) != said:
                    log.warning("backend %s: what the device says by itself is not heard: %s", self.config.name, text)
                said = text
            else:
                return
            await asyncio.sleep(back_off * (1 + self._context.random.random() / 4))
            back_off = min(back_off * 2, LONGEST_BACK_OFF)

    async def _heard(self, heard: Pass) -> None:
        if heard.readings or heard.missing:
            self._receiver.readings(self.config.name, heard)
            return
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._read_at + READINGS_APART - loop.time())  # whoever says much is not read without end
        self.hurried = True
        self.wake.set()

    async def _command(self, backend: Backend, command: Command) -> None:
        try:
            async with asyncio.timeout(command.deadline):
                await _carry_out(backend, command)
        except Exception as error:  # noqa: BLE001 - as in _open
            outcome = _OUTCOMES.get(type(error), Outcome.UNKNOWN)
            log.warning("backend %s: %s %s: %s", self.config.name, command.kind, outcome, self._said(error))
            self._receiver.outcome(command.id, outcome, self._said(error))
        else:
            self._receiver.outcome(command.id, Outcome.ACCEPTED, None)

    async def _pause(self, seconds: float) -> None:
        """Back off; commands meanwhile are answered unavailable, a wish to read soon ends the pause."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds * (1 + self._context.random.random() / 4)
        while not (self._stopping or self.reopen or self.hurried):
            self.wake.clear()
            self._refuse_waiting(self._error or "the device does not answer")
            await asyncio.sleep(0)  # what is answered may bring new commands, which are not to hold the loop
            try:
                async with asyncio.timeout_at(until):
                    await self.wake.wait()
            except TimeoutError:
                return

    async def _close(self, backend: Backend) -> None:
        try:
            async with asyncio.timeout(self.config.timeout):
                await backend.close()
        except Exception as error:  # noqa: BLE001 - as in _open
            log.warning("backend %s: close: %s", self.config.name, self._said(error))

    def _refuse_waiting(self, reason: str) -> None:
        """Those that wait now, not those that come of it."""
        for _ in range(self._commands.qsize()):
            command = self._commands.get_nowait()
            self._receiver.outcome(command.id, Outcome.UNAVAILABLE, reason)

    def _failed(self, error: Exception, doing: str) -> None:
        if self._stopping:
            return  # cut short by us
        text = f"{doing}: {self._said(error)}"
        if not isinstance(error, (BackendError, TimeoutError)):
            bug = f"{doing}: {type(error).__name__}"  # without its text, in which a device may have its word
            if bug != self._bug:
                told = "backend %s: %s failed unexpectedly"
                log.error(told, self.config.name, doing, exc_info=self._mask.veiled(error))
            self._bug = bug
        elif not self._told:
            log.warning("backend %s: %s", self.config.name, text)
        self._told, self._error = True, text
        self._step(Happening.FAILED)

    def _said(self, error: BaseException) -> str:
        """What went wrong in a sentence, without secrets."""
        return self._mask.text(_sentence(error))

    def _step(self, happening: Happening, duration: float | None = None) -> None:
        self.state = LINK[(self.state, happening)]
        self._receiver.link(self.config.name, self.state, self._error, duration)


_OUTCOMES: Mapping[type[Exception], Outcome] = {
    Refused: Outcome.REFUSED,
    Unavailable: Outcome.UNAVAILABLE,
    OutcomeUnknown: Outcome.UNKNOWN,
    TimeoutError: Outcome.UNKNOWN,
}


async def _carry_out(backend: Backend, command: Command) -> None:
    does: Awaitable[Any]
    match command.kind:
        case CommandKind.SET_POWER_STATE if isinstance(backend, SetsPowerState):
            does = backend.set_power_state(command.point, str(command.value))
        case CommandKind.SWITCH_SUPPLY if isinstance(backend, SwitchesSupply):
            does = backend.switch_supply(command.point, Supply(str(command.value)))
        case CommandKind.LIMIT_POWER if isinstance(backend, LimitsPower) and not isinstance(command.value, str):
            does = backend.limit_power(command.point, command.value)
        case CommandKind.TEST_BATTERY if isinstance(backend, StartsBatteryTest):
            does = backend.test_battery(command.point)
        case _:
            raise Refused(f"this backend cannot {command.kind}")
    await does


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer within the deadline"
    return str(error) or type(error).__name__

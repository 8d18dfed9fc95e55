"""The energy core in the shell: what backends say goes in, its effects go to their places, its records to history."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from eman_netconf.backend import Inventory, LinkState, Outcome, Pass, Plugin
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Answered, Audit, Changed, Effect, Notify, Poll, Record, Send, Wake, Warn
from eman_netconf.energy.samples import Recorded
from eman_netconf.energy.values import Now
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.server import audit
from eman_netconf.server.clock import Clock, synchronised
from eman_netconf.server.history import History
from eman_netconf.server.poller import Poller
from eman_netconf.server.secrets import Vault
from eman_netconf.server.settings import backends
from eman_netconf.server.wake import Waker
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner

log = logging.getLogger(__name__)

STORE_EVERY = 1.0  # seconds between batches of records
RECORDS = 200  # so many of them are made in one turn of the loop
RECORDING = 1000  # so much waits for the records of its instant, before those who keep it have to bound it
CLOCK_EVERY = 10.0  # seconds between questions to the kernel about its clock


#: Records to be stored, by name; None = it may be deleted.
Changes = list[tuple[str, dict[str, Any] | None]]


class Keeper(Protocol):
    """Somebody else whose records are stored with those of the core."""

    def restore(self, saved: Mapping[str, Mapping[str, Any]], /) -> None:
        """Take up the records of an earlier life."""

    def dirty(self, limit: int, /) -> Changes:
        """At most ``limit`` records that changed since they were asked for, by name."""


class Energy:
    """Receiver of the poller, participant of commits, source of operational state; one per server."""

    def __init__(
        self, domain: Domain, plugins: Mapping[str, Plugin], history: History, clock: Clock, vault: Vault, state: Path
    ) -> None:
        self.domain = domain
        self.clock = clock
        self.poller = Poller(plugins, self, clock, state / "backends")
        self._waker = Waker(self.outcome)
        self.published: list[Callable[[Notify], None]] = []
        self.recorded: list[Callable[[Recorded], None]] = []
        self._recording: list[Recorded] = []  # that they are not told of yet
        self._handed = 0  # that they were told of
        self.withheld: list[Callable[[bool], None]] = []  # told whether what was recorded may not be kept at present
        self._storing = asyncio.Lock()
        self.layers: list[Callable[[Inner], Inner]] = []  # what completes energy-management in operational state
        self.stirred: list[Callable[[set[str], set[str]], None]] = []  # entities; entities whose power was read
        #: told of entities, backends, and keys of totals with which something may be wrong or well again
        self.troubled: list[Callable[[set[str], set[str], set[str]], None]] = []
        #: by the word their records begin with, which no id does
        self.keepers: dict[str, Keeper] = {"thresholds": domain.thresholds, "batteries": domain.batteries}
        self._history = history
        self._vault = vault
        self._timer_moved = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Answered]] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._disk_trouble = False
        self._unsaved: dict[str, Mapping[str, Any] | None] = {}
        self._configured: Data | None = None  # the backends the poller has
        self._clock_state: tuple[float, Inner | None] = (-CLOCK_EVERY, None)

    # --- life

    def start(self, running: Inner) -> None:
        """Take over what history kept and what is configured, then begin to poll."""
        now = self.clock.now()
        saved = self._history.records()
        for word, keeper in self.keepers.items():
            start = f"{word}:"
            names = [name for name in saved if name.startswith(start)]
            keeper.restore({name.removeprefix(start): saved.pop(name) for name in names})
        self.domain.restore(saved, now, clean=self._history.clean)
        self._deliver(self.domain.configure(None, running, now))
        self._configure_backends(running)

    async def tend(self) -> None:
        """Timers and batches, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            group.create_task(self._keep_history())

    async def close(self, *, patience: float | None = None) -> None:
        """Let backends finish within ``patience`` seconds, store the rest, and leave word whether all was stored."""
        self._waker.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.poller.close()
        try:
            await self._store()
            self._disk.shutdown()
            self._history.close(clean=not self._unsaved)
        except sqlite3.Error as error:
            log.error("history could not be closed in order (%s); the next start takes it as after a crash", error)
        finally:
            self._disk.shutdown()

    async def _keep_time(self) -> None:
        while True:
            self._timer_moved.clear()
            due = self.domain.next_timer()
            now = self.clock.now()
            if due is not None and due <= now.mono:
                self._deliver(self.domain.timer(now))
                await asyncio.sleep(0)
                continue
            wait = None if due is None else self.clock.real(due - now.mono)
            try:
                async with asyncio.timeout(wait):
                    await self._timer_moved.wait()
            except TimeoutError:
                continue

    async def _keep_history(self) -> None:
        while True:
            await asyncio.sleep(STORE_EVERY)
            await self._store()

    async def hand_over(self) -> None:
        """See to it that all that was to be recorded by now was given to those who record it."""
        if self._recording:
            await self._store()

    async def _store(self) -> None:
        """One batch of records, then what was to be recorded before it.

        Records go first: they say what of the energy is in samples already. After a crash between the two the last
        tick is lost; the other way round it would be told twice. So while records cannot be stored, nobody keeps any.
        """
        async with self._storing:
            upto = self._handed + len(self._recording)
            await self._store_records()
            self._hold(self._disk_trouble or self._handed > upto)
            self._hand(max(upto - self._handed, 0))

    def _hold(self, held: bool) -> None:
        for hold in self.withheld:
            hold(held)

    def _hand(self, count: int) -> None:
        """Give the oldest of what was to be recorded to those who do."""
        ready = self._recording[:count]
        del self._recording[:count]
        self._handed += count
        for what in ready:
            for record in self.recorded:
                record(what)

    def _record(self, what: Recorded) -> None:
        """It is handed on with the next batch. While the disk hangs it is at once, to be kept within bounds and
        written only after a batch that is made later.
        """
        self._recording.append(what)
        if len(self._recording) >= RECORDING:
            self._hold(True)
            self._hand(len(self._recording))

    async def _store_records(self) -> None:
        """One batch; what is not known to be stored is kept for the next."""
        sources: list[Callable[[int], Changes]] = [self.domain.dirty]
        sources += [partial(_kept, word, keeper) for word, keeper in self.keepers.items()]
        more = True
        while more:  # all of one instant: what flowed is in a total, its sums, its history and its series, or in none
            more = False
            for source in sources:
                self._unsaved.update(source(RECORDS))
                if rest := source(1):
                    self._unsaved.update(rest)
                    more = True
                    await asyncio.sleep(0)
        if not self._unsaved:
            return
        batch = dict(self._unsaved)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._disk, self._history.store, list(batch.items()))
        except sqlite3.Error as error:
            if not self._disk_trouble:
                log.error("history cannot be written (%s); kept in memory and tried again every second", error)
            self._disk_trouble = True
            return
        self._unsaved = {name: record for name, record in self._unsaved.items() if batch.get(name) is not record}
        if self._disk_trouble:
            log.info("history is written again")
            self._disk_trouble = False

    # --- what backends say

    def inventory(self, backend: str, inventory: Inventory) -> None:
        self._tell(backend, lambda now: self.domain.inventory(backend, inventory, now))

    def readings(self, backend: str, readings: Pass) -> None:
        self._tell(backend, lambda now: self.domain.ingest(backend, readings.readings, now, readings.missing))

    def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None:
        self._tell(backend, lambda now: self.domain.link(backend, state, now, error, duration))

    def outcome(self, command_id: int, outcome: Outcome, reason: str | None) -> None:
        told = self._tell(f"command {command_id}", lambda now: self.domain.outcome(command_id, outcome, now, reason))
        if not told:  # nobody can say any more whose answer this was: none is left to wait for ever
            for waiting in list(self._answers.values()):
                if not waiting.done():
                    waiting.set_exception(_lost())

    def forgotten(self, backend: str) -> None:
        self._tell(backend, lambda now: self.domain.forget(backend, now))

    def _tell(self, whom: str, call: Callable[[Now], Iterable[Effect]]) -> bool:
        """Hand something to the core; a fault in it is logged and costs this one message, not the backend's task."""
        try:
            self._deliver(call(self.clock.now()))
        except Exception:
            log.exception("%s: what it said could not be taken in", whom)
            return False
        return True

    # --- commits

    def prepare(self, change: Change, new: Inner) -> None:
        self.domain.prepare(change, new)

    def apply(self, change: Change, new: Inner) -> None:
        self._deliver(self.domain.configure(change, new, self.clock.now()))
        self._configure_backends(new)

    def _configure_backends(self, running: Inner) -> None:
        configured = running.at("energy-management", "backends")
        if configured is not self._configured:
            self.poller.configure(backends(running, self._vault))
            self._configured = configured

    # --- state

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        merged = self.domain.operational(running, self.clock.now())
        merged = merged.replace(merged.schema.child("clock"), self._clock(merged.schema))
        for layer in self.layers:
            merged = layer(merged)
        hardware = self.domain.hardware(running)
        return [(merged.schema, merged), (hardware.schema, hardware)]

    def _clock(self, schema: SchemaNode) -> Inner | None:
        """How far the machine's clock may be trusted (RFC 6988 section 5.7.1)."""
        mono = self.clock.now().mono / self.clock.speed
        asked, inner = self._clock_state
        if mono - asked >= CLOCK_EVERY:
            inner = _clock_inner(schema.child("clock"))
            self._clock_state = (mono, inner)
        return inner

    # --- effects

    def now(self) -> Now:
        return self.clock.now()

    def rediscover(self, backend: str) -> bool:
        return self.poller.rediscover(backend)

    def answer(self, request: int) -> asyncio.Future[Answered]:
        """What the devices answer to what ``request`` sent; ask for it before its effects are performed."""
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._answers[request] = future
        future.add_done_callback(lambda _: self._answers.pop(request, None))
        return future

    def perform(self, effects: Iterable[Effect]) -> None:
        """Effects of something asked by an operation."""
        self._deliver(effects)

    def _deliver(self, effects: Iterable[Effect]) -> None:
        powers: set[str] = set()
        for effect in effects:
            match effect:
                case Changed(entity, "power"):
                    powers.add(entity)
                case Send(command):
                    self.poller.send(command)
                case Wake():
                    self._waker.send(effect)
                case Poll(backend):
                    self.poller.read_soon(backend)
                case Notify():
                    for publish in self.published:
                        publish(effect)
                case Record(what):
                    self._record(what)
                case Answered(request):
                    waiting = self._answers.get(request)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(effect)
                case Audit(_, by, entity, event):
                    audit.energy(by, entity, event)
                case Warn(text):
                    log.warning("%s", text)
        self._timer_moved.set()
        stirred, turned, upset = self.domain.stirred(), self.domain.turned(), self.domain.upset()
        if stirred or turned or upset:
            for judge in self.troubled:
                judge(stirred, turned, upset)
        if stirred or powers:
            for told in self.stirred:
                told(stirred, powers)


def _kept(word: str, keeper: Keeper, limit: int) -> Changes:
    return [(f"{word}:{name}", record) for name, record in keeper.dirty(limit)]


def _clock_inner(node: SchemaNode) -> Inner | None:
    answer = synchronised()
    if answer is None:
        return None
    disciplined, error = answer
    leaves: dict[SchemaNode, Data] = {node.child("synchronized"): "true" if disciplined else "false"}
    if disciplined:
        leaf = node.child("estimated-error")
        assert leaf.type is not None
        leaves[leaf] = leaf.type.parse_canonical(f"{error:.3f}")
    return Inner(node, leaves)


def _lost() -> RpcError:
    return RpcError(
        ErrorTag.OPERATION_FAILED,
        "The command was sent, but its outcome could not be taken in; the server's log tells why. Read the state.",
    )

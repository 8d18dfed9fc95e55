"""Who hears what a poller tells, in a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from eman_netconf.backend import Inventory, LinkState, Outcome, Pass
from tests.peer import PATIENCE


@dataclass
class Seen:
    """A receiver that remembers, and wakes who waits for something."""

    links: list[tuple[str, LinkState, str | None]] = field(default_factory=list)
    passes: list[tuple[str, Pass]] = field(default_factory=list)
    outcomes: list[tuple[int, Outcome, str | None]] = field(default_factory=list)
    inventories: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def _wake(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def inventory(self, backend: str, inventory: Inventory) -> None:
        self.inventories.append(backend)
        self._wake()

    def readings(self, backend: str, readings: Pass) -> None:
        self.passes.append((backend, readings))
        self._wake()

    def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None:
        self.links.append((backend, state, error))
        self._wake()

    def outcome(self, command_id: int, outcome: Outcome, reason: str | None) -> None:
        self.outcomes.append((command_id, outcome, reason))
        self._wake()

    def forgotten(self, backend: str) -> None:
        self.gone.append(backend)
        self._wake()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(true)

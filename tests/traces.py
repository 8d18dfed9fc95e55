"""What a piece of code leaves behind or does on the way: sockets, tasks, files, and cancellation at each await."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

SETTLING = 30.0  # seconds that the other end of a closed connection may take to notice


def sockets() -> set[str]:
    """The sockets this process holds open."""
    found = set()
    for name in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(name.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


def traces() -> tuple[set[str], set[asyncio.Task[Any]]]:
    return sockets(), {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@contextlib.asynccontextmanager
async def leaves_nothing() -> AsyncIterator[None]:
    """What is inside leaves no socket and no task, given the time a peer needs to notice."""
    before_sockets, before_tasks = traces()
    yield
    until = time.monotonic() + SETTLING
    while True:
        now_sockets, now_tasks = traces()
        left = (now_sockets - before_sockets) | {str(task) for task in now_tasks - before_tasks}
        if not left:
            return
        assert time.monotonic() < until, f"left behind: {left}"
        await asyncio.sleep(0.01)


class Watch:
    """Records what audit events tell (PEP 578) while it is on; the hook itself cannot be taken away again."""

    def __init__(self) -> None:
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        self.on = False
        self._by_all = True
        self._ours: ContextVar[bool] = ContextVar("ours", default=False)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or not event.startswith(("open", "socket.", "subprocess.", "os.", "shutil.")):
            return
        if self._by_all or self._ours.get():
            self.events.append((event, arguments))

    @contextlib.contextmanager
    def listening(self, *, ours: bool = False) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
        """All events meanwhile; with ``ours`` those alone that the block or a task that it begins brings about."""
        self.events = []
        self._by_all = not ours
        token = self._ours.set(True)
        self.on = True
        try:
            yield self.events
        finally:
            self.on = False
            self._ours.reset(token)


WATCH = Watch()


def is_input_or_output(event: str, arguments: tuple[Any, ...], own: Path) -> bool:
    """Whether an audit event is more than importing code or reading the plugin's own data."""
    if event in {"open", "os.listdir", "os.scandir"} and arguments and isinstance(arguments[0], str | bytes | Path):
        path = Path(os.fsdecode(arguments[0]))
        writes = event == "open" and str(arguments[1] or "r").strip("rbtU") != ""
        imported = path.suffix in {".py", ".pyc", ".so"} or any(path == Path(entry) for entry in sys.path)
        return not imported and (writes or not path.is_relative_to(own))
    return True


class CancelledAt:
    """Awaits a coroutine and cancels the task at its n-th await; ``reached`` tells whether it had that many."""

    def __init__(self, coroutine: Any, at: int) -> None:
        self._coroutine = coroutine
        self._at = at
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        send: Callable[[], Any] = lambda: inner.send(None)  # noqa: E731 - replaced by a throw below
        count = 0
        while True:
            try:
                waiting = send()
            except StopIteration as end:
                return end.value
            if count == self._at:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            count += 1
            try:
                value = yield waiting
            except BaseException as error:
                send = lambda error=error: inner.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                send = lambda value=value: inner.send(value)  # type: ignore[misc]  # noqa: E731

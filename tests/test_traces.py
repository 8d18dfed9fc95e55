"""The instruments of the contract tests notice what they are there to notice."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests import traces
from tests.traces import WATCH, CancelledAt, is_input_or_output, leaves_nothing


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing is waited for, until undone."""
    monkeypatch.setattr(traces, "SETTLING", 0.0)
    return monkeypatch


async def test_a_socket_left_open_is_noticed(impatient: pytest.MonkeyPatch) -> None:
    """A socket that is not closed fails, and passes once it is."""
    left = socket.socket()
    left.close()
    with pytest.raises(AssertionError, match="left behind"):
        async with leaves_nothing():
            left = socket.socket()
    impatient.undo()
    left.close()
    async with leaves_nothing():
        socket.socket().close()


async def test_a_task_left_running_is_noticed(impatient: pytest.MonkeyPatch) -> None:
    """A task that goes on fails, and one that ends in time does not."""
    tasks: list[asyncio.Task[object]] = []
    with pytest.raises(AssertionError, match="left behind"):
        async with leaves_nothing():
            tasks.append(asyncio.create_task(asyncio.Event().wait()))
    impatient.undo()
    tasks[0].cancel()
    async with leaves_nothing():
        tasks.append(asyncio.create_task(asyncio.sleep(0)))


async def test_cancellation_comes_at_each_await_in_turn() -> None:
    """The n-th await of a coroutine is cancelled and no other; past the last one it ends by itself."""
    seen: list[int] = []

    async def three() -> str:
        for number in range(3):
            seen.append(number)
            await asyncio.sleep(0.001 if number == 1 else 0)
        return "done"

    async def finish(at: int) -> bool:
        cancelled = CancelledAt(three(), at)
        seen.clear()
        try:
            assert await cancelled == "done"
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return cancelled.reached

    assert [(await asyncio.create_task(finish(at)), seen[-1]) for at in range(4)] == [
        (True, 0),
        (True, 1),
        (True, 2),
        (False, 2),
    ]


def test_files_and_sockets_are_heard(tmp_path: Path) -> None:
    """Writing a file, reading a foreign one and making a socket are I/O; reading one's own data is not."""
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    for folder in (own, foreign):
        folder.mkdir()
        (folder / "table.toml").write_text("")

    def heard(*paths: Path) -> list[str]:
        with WATCH.listening() as events:
            for path in paths:
                path.read_text()
        return [event for event, arguments in events if is_input_or_output(event, arguments, own)]

    assert heard(own / "table.toml") == []
    assert heard(foreign / "table.toml") == ["open"]
    with WATCH.listening() as events:
        (own / "table.toml").write_text("x")
        socket.socket().close()
    assert {"open", "socket.__new__"} <= {
        event for event, arguments in events if is_input_or_output(event, arguments, own)
    }

"""The transaction: its order, what may refuse it and when, and what a cancelled session leaves behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eman_netconf.datastore.commit import commit
from eman_netconf.datastore.datastores import Author, Commit, Datastore, Datastores
from eman_netconf.datastore.edit import Edited, Steps, apply_edit, editing
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import ErrorTag, RpcError, RpcErrors
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.toy import config, plain

AUTHOR = Author("admin", 1, 0.0)


class Diary:
    """Journal, judge, participant and listener in one: writes down what happens in which order, refuses when asked."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.events: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.datastores: Datastores

    def note(self, event: str) -> None:
        self.events.append(f"{event} {self.datastores.generation}")
        if event in self.refuse:
            raise self.refuse[event]

    async def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        self.note("append-unconfirmed" if unconfirmed else "append")
        await self.written(lambda: self.storage.append(record, unconfirmed=unconfirmed))

    async def confirm(self) -> None:
        self.note("confirm")
        await self.written(self.storage.confirm)

    def owe(self, record: bytes) -> None:
        self.note("owe")
        self.storage.owe(record)

    async def written(self, write: Callable[[], None]) -> None:
        cancelled = None
        if self.gate is not None:
            self.reached.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        write()
        if cancelled is not None:
            raise cancelled

    def judge(self, change: Change) -> None:
        self.note("judge")

    def prepare(self, change: Change, new: Inner) -> None:
        self.note("prepare")

    def apply(self, change: Change, new: Inner) -> None:
        self.note("apply")

    def told(self, told: Commit) -> None:
        self.note(f"told-{told.author.user}-{told.generation}")


@pytest.fixture
async def diary(tmp_path: Path, toy: Schema) -> AsyncIterator[Diary]:
    storage = Storage(tmp_path, toy)
    found = storage.recover(lambda _root: [], 0.0)
    made = Diary(storage)
    made.datastores = Datastores(
        toy,
        found.root,
        found.generation,
        journal=made,
        writer=asyncio.Lock(),
        participants=[made],
        breathe=lambda: asyncio.sleep(0),
    )
    made.datastores.listeners.append(made.told)
    yield made
    storage.close()


def merging(schema: Schema, body: str) -> Callable[[Inner], Edited]:
    return lambda running: apply_edit(running, config(body), schema)


async def test_order(diary: Diary, toy: Schema) -> None:
    """Judged, prepared and on the disk before it is in force; applied and told after."""
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert diary.events == ["judge 0", "prepare 0", "append 0", "apply 1", "told-admin-1 1"]
    assert plain(diary.datastores.running) == "<motto>m</motto>"
    assert diary.storage.generation == 1


async def test_no_change_is_no_commit(diary: Diary, toy: Schema) -> None:
    """An edit that changes nothing is not judged, stored or told."""
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    diary.events.clear()
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert diary.events == []
    assert diary.datastores.generation == 1


REFUSAL = RpcError(ErrorTag.OPERATION_FAILED, "no")


@pytest.mark.parametrize("step", ["judge", "prepare", "append"])
@pytest.mark.parametrize("gathered", [False, True])
async def test_refusal_changes_nothing(diary: Diary, toy: Schema, step: str, gathered: bool) -> None:
    """Whoever refuses, and at whatever step, everything stays as it was and later commits work."""
    diary.refuse[step] = RpcErrors([REFUSAL]) if gathered else REFUSAL
    with pytest.raises((RpcErrors, RpcError)) as caught:
        await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    errors = caught.value.errors if isinstance(caught.value, RpcErrors) else (caught.value,)
    assert errors == (REFUSAL,)
    assert diary.events[-1] == f"{step} 0"
    assert plain(diary.datastores.running) == ""
    assert diary.storage.generation == 0
    diary.refuse.clear()
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert diary.datastores.generation == 1


async def test_all_participants_are_heard(diary: Diary, toy: Schema) -> None:
    """The refusals of all participants are told together."""
    diary.datastores.participants.append(diary)
    diary.refuse["prepare"] = RpcErrors([REFUSAL])
    with pytest.raises(RpcErrors) as caught:
        await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert caught.value.errors == (REFUSAL, REFUSAL)


@pytest.mark.parametrize("step", ["apply", "told-admin-1"])
async def test_a_fault_after_the_disk_stops_nothing(
    diary: Diary, toy: Schema, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When a part of the server fails to act on a commit it is logged, and the others are still told."""
    diary.refuse[step] = ZeroDivisionError("a bug")
    with caplog.at_level(logging.ERROR):
        await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert diary.events[-2:] == ["apply 1", "told-admin-1 1"]
    assert "failed to act" in caplog.text


async def test_cancelled_while_the_disk_writes(diary: Diary, toy: Schema) -> None:
    """A session that ends while its commit is being stored leaves disk and running alike."""
    diary.gate = asyncio.Event()
    task = asyncio.create_task(commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge))
    await diary.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary.storage.generation == diary.datastores.generation == 1
    assert plain(diary.datastores.running) == "<motto>m</motto>"
    assert diary.events[-1] == "told-admin-1 1"


async def test_cancelled_before_the_disk(diary: Diary, toy: Schema) -> None:
    """A session that ends in the middle of a long edit leaves nothing behind, and the next writer goes on."""

    def long(running: Inner) -> Steps[Edited]:
        body = "".join(f"<item><id>{number}</id></item>" for number in range(2_000))
        return editing(running, config(f"<shelf>{body}</shelf>"), toy)

    task = asyncio.create_task(commit(diary.datastores, long, AUTHOR, diary.judge))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary.events == []
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert plain(diary.datastores.running) == "<motto>m</motto>"


async def test_long_edits_give_others_their_turn(diary: Diary, toy: Schema) -> None:
    """While a long edit is read, checked and written down, everybody else runs in between."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    body = "".join(f"<item><id>{number}</id><refers>0</refers></item>" for number in range(2_000))
    running = asyncio.create_task(others())
    await commit(
        diary.datastores,
        lambda root: editing(root, config(f"<shelf>{body}</shelf>"), toy),
        AUTHOR,
        diary.judge,
    )
    running.cancel()
    assert turns > 40


async def test_writers_wait_for_each_other(diary: Diary, toy: Schema) -> None:
    """Commits at the same time are made one after the other, each on what the one before left."""
    edits = [f"<shelf><item><id>{number}</id></item></shelf>" for number in range(20)]
    await asyncio.gather(*(commit(diary.datastores, merging(toy, body), AUTHOR, diary.judge) for body in edits))
    assert diary.datastores.generation == diary.storage.generation == 20
    assert plain(diary.datastores.running).count("<item>") == 20


async def test_readers_keep_what_they_have(diary: Diary, toy: Schema) -> None:
    """A tree that was taken before a commit is the same after it."""
    await commit(diary.datastores, merging(toy, "<motto>one</motto>"), AUTHOR, diary.judge)
    before = diary.datastores.running
    await commit(diary.datastores, merging(toy, "<motto>two</motto>"), AUTHOR, diary.judge)
    assert plain(before) == "<motto>one</motto>"


async def test_lock_of_another_session(diary: Diary, toy: Schema) -> None:
    """Nothing is read or judged while another session holds the lock; its end frees it."""
    diary.datastores.lock(Datastore.RUNNING, 2, 0.0)
    with pytest.raises(RpcError) as caught:
        await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert caught.value.tag == ErrorTag.IN_USE
    assert diary.events == []
    diary.datastores.release(2)
    await commit(diary.datastores, merging(toy, "<motto>m</motto>"), AUTHOR, diary.judge)
    assert diary.datastores.generation == 1

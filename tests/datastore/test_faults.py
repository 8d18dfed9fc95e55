"""Faults at every step of a commit: the process is killed, the disk is full; never a third configuration."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from eman_netconf.datastore.candidate import edit_candidate
from eman_netconf.datastore.commit import cancel_commit, commit, commit_candidate, roll_back_due
from eman_netconf.datastore.confirmed import Ask
from eman_netconf.datastore.datastores import Author, Datastore, Datastores
from eman_netconf.datastore.edit import Edited, apply_edit
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.toy import Disk, config, plain

AUTHOR = Author("u", 1, 0.0)


class Killed(BaseException):
    """The process ends here."""


class Machine:
    """The calls to the system, of which the one numbered ``last`` is the last, done by half; or the disk is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.last: int | None = None
        self.full = False
        self.count = 0
        self.directory = directory
        for name in ("write", "fsync", "ftruncate"):
            monkeypatch.setattr(os, name, self.watched(name, getattr(os, name)))
        monkeypatch.setattr(Path, "replace", self.watched("replace", Path.replace))

    def watched(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def made(*arguments: object) -> object:
            if self.last is None and not self.full:
                return call(*arguments)
            if self.full:
                if name == "write":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return call(*arguments)
            self.count += 1
            if self.count == self.last:
                if name == "write":
                    descriptor, data = arguments
                    assert isinstance(data, memoryview)
                    call(descriptor, data[: len(data) // 2])
                raise Killed
            return call(*arguments)

        return made


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


def start(directory: Path, schema: Schema) -> tuple[Datastores, Storage]:
    storage = Storage(directory, schema)
    found = storage.recover(lambda _root: [], 0.0)
    return Datastores(schema, found.root, found.generation, journal=Disk(storage), writer=asyncio.Lock()), storage


def motto(schema: Schema, text: str) -> Callable[[Inner], Edited]:
    return lambda root: apply_edit(root, config(f"<motto>{text}</motto>"), schema)


def shown(datastores: Datastores) -> str:
    return plain(datastores.running).removeprefix("<motto>").removesuffix("</motto>")


async def running(datastores: Datastores, text: str) -> None:
    await commit(datastores, motto(datastores.schema, text), AUTHOR, lambda _change: None)


async def candidate(datastores: Datastores, text: str) -> None:
    await edit_candidate(datastores, motto(datastores.schema, text), AUTHOR, lambda _change: None)


async def take(datastores: Datastores, text: str | None = None, *, confirmed: bool = False, session: int = 1) -> None:
    """Commit the candidate, edited first."""
    if text is not None:
        await candidate(datastores, text)
    await commit_candidate(datastores, AUTHOR, lambda _change: None, Ask(session, confirmed, 10), 0.0)


async def cancel(datastores: Datastores) -> None:
    await cancel_commit(datastores, AUTHOR, Ask(1, cancel=True))


Acts = Callable[[Datastores], Awaitable[None]]


async def nothing(_datastores: Datastores) -> None: ...


async def waiting(datastores: Datastores) -> None:
    await take(datastores, "tried", confirmed=True)


async def twice(datastores: Datastores) -> None:
    await waiting(datastores)
    await take(datastores, "tried more", confirmed=True)


#: what came before, what is done when the process is killed, and what may be there afterwards
STEPS: dict[str, tuple[Acts, Acts, set[str]]] = {
    "an edit of running": (nothing, lambda made: running(made, "new"), {"old", "new"}),
    "a commit": (nothing, lambda made: take(made, "new"), {"old", "new"}),
    "a confirmed commit": (nothing, waiting, {"old"}),
    "a follow-up": (waiting, lambda made: take(made, "more", confirmed=True), {"old"}),
    "a confirming commit": (twice, take, {"old", "tried more"}),
    "a confirming commit with a change": (twice, lambda made: take(made, "new"), {"old", "new"}),
    "an edit of running meanwhile": (waiting, lambda made: running(made, "more"), {"old"}),
    "a roll-back by cancel-commit": (twice, cancel, {"old"}),
    "a roll-back by its timer": (twice, lambda made: roll_back_due(made, 0.0, 10.0), {"old"}),
}


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_every_call(machine: Machine, toy: Schema, step: str) -> None:
    """Killed at any call to the system, a write done by half: the next start has the old or the new configuration,
    and after a confirmed commit the old one; and it goes on from there."""
    before, act, allowed = STEPS[step]
    reached = set()
    for last in range(1, 50):
        directory = machine.directory / str(last)
        datastores, storage = start(directory, toy)
        await running(datastores, "old")
        await before(datastores)
        machine.count, machine.last = 0, last
        try:
            await act(datastores)
            survived = True
        except Killed:
            survived = False
        machine.last = None
        done = shown(datastores)
        lasting = datastores.confirmed is None
        storage.close()
        datastores, storage = start(directory, toy)
        reached.add(shown(datastores))
        if survived:
            assert shown(datastores) == (done if lasting else "old")
        await running(datastores, "after")
        storage.close()
        datastores, storage = start(directory, toy)
        assert shown(datastores) == "after"
        storage.close()
        if survived:
            break
    else:
        pytest.fail("the act never ended")
    assert last > 2
    assert reached == allowed


async def test_killed_while_a_start_rolls_back(machine: Machine, toy: Schema) -> None:
    """Killed at any call of the start that rolls back: the start after it rolls back all the same."""
    for last in range(1, 50):
        directory = machine.directory / str(last)
        datastores, storage = start(directory, toy)
        await running(datastores, "old")
        await twice(datastores)
        storage.close()
        machine.count, machine.last = 0, last
        dying = Storage(directory, toy)
        try:
            dying.recover(lambda _root: [], 0.0)
            survived = True
        except Killed:
            survived = False
        machine.last = None
        dying.close()
        datastores, storage = start(directory, toy)
        assert shown(datastores) == "old"
        await running(datastores, "after")
        storage.close()
        if survived:
            assert last > 2
            return
    pytest.fail("the start never ended")


async def test_a_full_disk_refuses_a_commit(machine: Machine, toy: Schema) -> None:
    """On a full disk a commit is refused; running and the candidate stay, and it succeeds when there is room."""
    datastores, storage = start(machine.directory / "s", toy)
    await running(datastores, "old")
    await candidate(datastores, "new")
    for confirmed in (False, True):
        machine.full = True
        with pytest.raises(RpcError) as refused:
            await take(datastores, confirmed=confirmed)
        assert refused.value.tag == ErrorTag.RESOURCE_DENIED
        assert shown(datastores) == "old"
        assert plain(datastores.tree(Datastore.CANDIDATE)) == "<motto>new</motto>"
        assert datastores.confirmed is None
    machine.full = False
    await take(datastores)
    assert shown(datastores) == "new"
    storage.close()


async def test_a_full_disk_refuses_a_confirmation(machine: Machine, toy: Schema) -> None:
    """What could not be stored as confirmed waits on, and is confirmed when there is room."""
    datastores, storage = start(machine.directory / "s", toy)
    await waiting(datastores)
    machine.full = True
    with pytest.raises(RpcError):
        await take(datastores)
    assert datastores.confirmed is not None
    machine.full = False
    await take(datastores)
    storage.close()
    datastores, storage = start(machine.directory / "s", toy)
    assert shown(datastores) == "tried"
    storage.close()


@pytest.mark.parametrize("room", [False, True])
async def test_a_full_disk_does_not_stop_a_roll_back(machine: Machine, toy: Schema, room: bool) -> None:
    """A roll-back happens on a full disk too; a restart has it, whether it could be written later or not."""
    datastores, storage = start(machine.directory / "s", toy)
    await running(datastores, "old")
    await twice(datastores)
    machine.full = True
    await roll_back_due(datastores, 0.0, 10.0)
    assert shown(datastores) == "old"
    assert datastores.confirmed is None
    with pytest.raises(RpcError):
        await running(datastores, "new")
    assert shown(datastores) == "old"
    machine.full = False
    if room:
        await running(datastores, "new")
    generation = datastores.generation
    storage.close()
    datastores, storage = start(machine.directory / "s", toy)
    assert shown(datastores) == ("new" if room else "old")
    assert datastores.generation == generation
    storage.close()


async def test_a_full_disk_at_the_start(machine: Machine, toy: Schema) -> None:
    """A start that cannot write its roll-back down serves the configuration from before all the same."""
    datastores, storage = start(machine.directory / "s", toy)
    await running(datastores, "old")
    await twice(datastores)
    storage.close()
    machine.full = True
    datastores, storage = start(machine.directory / "s", toy)
    assert shown(datastores) == "old"
    machine.full = False
    await running(datastores, "new")
    storage.close()
    datastores, storage = start(machine.directory / "s", toy)
    assert shown(datastores) == "new"
    storage.close()

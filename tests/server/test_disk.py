"""A disk that takes no more: edits are refused, records kept in memory, and with room all goes on."""

from __future__ import annotations

import asyncio
import logging
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.errors import ErrorTag
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.server import energy
from eman_netconf.server.history import History
from eman_netconf.yang.schema import Schema
from tests.peer import Peer
from tests.server.running import (
    EMAN,
    NC,
    PATIENCE,
    Process,
    backends,
    edit,
    edit_config,
    edited,
    entity,
    get,
    link_until,
    running_config,
    serving,
    simulated,
)

MEASURED = "urn:eman:yang:eman-measurement"


def limit_files(process: Process, octets: int) -> None:
    """From now on no file of the process can grow past so many octets (RLIMIT_FSIZE); what is longer stays."""
    assert process.child is not None
    resource.prlimit(process.child.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


async def test_a_full_disk_refuses_edits_and_nothing_else(process: Process) -> None:
    """Without room an edit is resource-denied and running stays; readers notice nothing; with room it works again."""
    await process.start()
    async with process.peer() as admin, process.peer() as reader:
        await edited(admin, entity("a"))
        before = await running_config(admin)
        journal = max((process.state / "running").glob("journal-*"))
        size = journal.stat().st_size
        limit_files(process, size + 20)
        for _ in range(2):
            reply = await edit(admin, entity("b"))
            assert [error.tag for error in reply.errors] == [ErrorTag.RESOURCE_DENIED]
            assert "nothing was changed" in reply.errors[0].message
            assert await running_config(reader) == before
            assert journal.stat().st_size == size
        limit_files(process, resource.RLIM_INFINITY)
        await edited(admin, entity("c"))
        after = await running_config(reader)
        assert b"<id>b</id>" not in after
        assert b"<id>c</id>" in after
    assert await process.end() == 0
    await process.start()
    async with process.peer() as admin:
        assert await running_config(admin) == after


async def test_a_full_disk_refuses_commits_and_stops_no_roll_back(process: Process) -> None:
    """Without room a commit is resource-denied with running and the candidate as they were, and a confirmed commit is
    still rolled back; with room all goes on, and a restart has what was served."""
    await process.start()
    candidate = "<candidate/>"
    async with process.peer() as admin:
        await edited(admin, entity("a"))
        before = await running_config(admin)
        journal = max((process.state / "running").glob("journal-*"))
        assert (await admin.rpc(edit_config(entity("b")).replace("<running/>", candidate))).ok
        changed = await admin.rpc(READ.format(candidate))
        for commit in (COMMIT, TRIAL):
            limit_files(process, journal.stat().st_size + 20)
            reply = await admin.rpc(commit)
            assert [error.tag for error in reply.errors] == [ErrorTag.RESOURCE_DENIED]
            assert await running_config(admin) == before
            assert content(await admin.rpc(READ.format(candidate))) == content(changed)
        limit_files(process, resource.RLIM_INFINITY)
        assert (await admin.rpc(TRIAL)).ok
        limit_files(process, journal.stat().st_size + 20)
        assert (await admin.rpc(CANCEL)).ok
        assert await running_config(admin) == before
        limit_files(process, resource.RLIM_INFINITY)
        await edited(admin, entity("c"))
        after = await running_config(admin)
    process.kill()
    await process.start()
    async with process.peer() as admin:
        assert await running_config(admin) == after


READ = f'<get-config xmlns="{NC}"><source>{{}}</source></get-config>'
COMMIT, CANCEL = f'<commit xmlns="{NC}"/>', f'<cancel-commit xmlns="{NC}"/>'
TRIAL = f'<commit xmlns="{NC}"><confirmed/></commit>'


def content(reply: RpcReply) -> bytes:
    """What a reply holds."""
    assert reply.ok, reply.errors
    return b"".join(etree.tostring(child) for child in reply.element)


async def test_a_crash_after_a_full_disk_loses_nothing(process: Process) -> None:
    """Killed when an edit was refused for want of room, the server starts with what it had acknowledged."""
    await process.start()
    async with process.peer() as admin:
        await edited(admin, entity("a"))
        before = await running_config(admin)
        journal = max((process.state / "running").glob("journal-*"))
        limit_files(process, journal.stat().st_size + 100)
        assert not (await edit(admin, entity("b"))).ok
        process.kill()
    await process.start()
    async with process.peer() as admin:
        assert await running_config(admin) == before


@contextmanager
def refusing(history: Path) -> Iterator[Callable[[], None]]:
    """The file takes no records until what this gives is called."""
    with sqlite3.connect(history, timeout=PATIENCE, isolation_level=None) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
        yield lambda: other.execute("DROP TRIGGER full") and None
    other.close()


async def received(peer: Peer) -> float:
    """The energy that the entity has received, in watt-hours."""
    inner = f'<energy xmlns="{MEASURED}"><received/></energy>'
    data = await get(peer, entity("srv-02", inner))
    return float(data.findtext(f".//{{{MEASURED}}}received") or 0)


async def test_a_history_that_cannot_be_written_is_told_once(
    tmp_path: Path, schema: Schema, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records that find no room are kept and tried again; the log tells it once, and once that it works again."""
    tries = asyncio.Event()
    real, loop = History.store, asyncio.get_running_loop()

    def store(history: History, records: object) -> None:
        loop.call_soon_threadsafe(tries.set)
        real(history, records)  # type: ignore[arg-type]

    async def tried(times: int) -> None:
        for _ in range(times):
            tries.clear()
            async with asyncio.timeout(PATIENCE):
                await tries.wait()

    monkeypatch.setattr(History, "store", store)
    monkeypatch.setattr(energy, "STORE_EVERY", 0.01)
    caplog.set_level(logging.INFO)
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        fast = simulated("srv", "srv-02").replace("<simulated", "<poll-interval>0.1</poll-interval><simulated", 1)
        await edited(admin, backends(fast))
        await link_until(admin, "srv", state="up")
        with refusing(tmp_path / "state" / "history.sqlite") as make_room:
            await tried(5)
            assert len([line for line in caplog.messages if "history cannot be written" in line]) == 1
            while not (counted := await received(admin)):
                pass
            make_room()
            while "history is written again" not in caplog.messages:
                await tried(1)
            await tried(3)
        assert caplog.messages.count("history is written again") == 1
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        assert await received(admin) >= counted


async def test_a_stop_without_room_is_no_crash(
    tmp_path: Path, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """When the last records find no room the server still ends; the next one takes the history as after a crash."""
    async with serving(tmp_path / "state", schema) as server:
        async with server.peer() as admin:
            await edited(admin, backends(simulated("srv", "srv-02")))
            await link_until(admin, "srv", state="up")
        with refusing(tmp_path / "state" / "history.sqlite") as make_room:
            await server.stopped()
            make_room()
    assert "history cannot be written" in caplog.text
    left = History(tmp_path / "state" / "history.sqlite", {})
    assert not left.clean
    left.close(clean=True)
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await link_until(admin, "srv", state="up")
        assert (await get(admin, entity("srv-02"))).find(f".//{{{EMAN}}}entity") is not None

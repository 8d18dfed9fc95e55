"""A running server whose disk or file of samples fails: energy is served all the while, and history is whole again."""

from __future__ import annotations

import contextlib
import resource
import signal
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import NS, ServerProcess, entity, one, run, summer_process, until
from tests.conformance.test_requirements_series import LEAST, SERIES, energy, kept, known, manage, some_history

pytestmark = pytest.mark.slow

INTERVAL = 10
FULL = 64 * 1024  # octets that no file may grow beyond; the log is shorter, and what is written of samples is not


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A site whose history has begun; it must stop in order."""
    with run(summer_process(tmp_path / "state")) as server:
        with server.connect() as session:
            manage(session, f'<history xmlns="{SERIES}"><interval>{INTERVAL}</interval></history>')
            some_history(session, 1)
        yield server


def counter(session: manager.Manager) -> Decimal:
    return Decimal(one(session, entity("pdu-a", "/emm:energy/emm:received")) or "NaN")


def adds_up(session: manager.Manager, start: str) -> bool:
    """Whether what is kept and what is open is the counter."""
    before = counter(session)
    told = Decimal(energy(session, start)["received"])
    return before - LEAST <= told <= counter(session) + LEAST


def logged(server: ServerProcess, words: str) -> None:
    until(lambda: words in server.log.read_text(), f"the log tells: {words}")


def about_history(session: manager.Manager) -> dict[str, str]:
    """The leaves of the container history."""
    path = f'<energy-management xmlns="{NS["eman"]}"><history xmlns="{SERIES}"/></energy-management>'
    data = session.get(filter=("subtree", path)).data_ele
    return {etree.QName(each).localname: each.text or "" for each in data.iter(f"{{{SERIES}}}*")}


def test_a_full_disk(server: ServerProcess) -> None:
    """While no file can grow energy is served and counted; when there is room again all of the time is in the history,
    nothing is lost, and a kill afterwards finds it there."""
    assert server.process is not None
    with server.connect() as session:
        start = one(session, entity("pdu-a", "/emm:energy/emm:start-time")) or ""
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
        logged(server, "history cannot be written")
        begun, full = one(session, entity("pdu-a", "/emm:energy/emm:end-time")) or "", counter(session)
        until(lambda: counter(session) > full + 40, "energy is counted for some intervals")
        written = one(session, entity("pdu-a", "/emm:energy/emm:end-time")) or ""
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: about_history(session).get("last-write", "") > written, "samples are written again")
        until(lambda: adds_up(session, start), "the history adds up")
        rows = known(kept(session, "energy-received", "<limit>10000</limit>"))
        assert any(begun < row["start-time"] and row["end-time"] < written for row in rows)
        assert about_history(session)["lost"] == "0"
        served = counter(session)
    server.end(signal.SIGKILL)
    server.start()
    with server.connect() as session:
        again = kept(session, "energy-received", "<limit>10000</limit>")
        assert {row["end-time"] for row in rows} <= {row["end-time"] for row in again}
        until(lambda: counter(session) >= served, "energy is counted on")
    log = server.log.read_text()
    assert log.count("history cannot be written") == 1
    assert log.count("samples cannot be written") <= 1  # they are not tried where totals are not taken
    assert "Traceback" not in log


def test_totals_that_cannot_be_written(server: ServerProcess) -> None:
    """While the totals are not taken by the disk, nor is what is made of them: killed then, the server tells no energy
    twice, but has what was counted meanwhile in the time it flowed in."""
    totals = server.state / "history.sqlite"
    with server.connect() as session:
        start = one(session, entity("pdu-a", "/emm:energy/emm:start-time")) or ""
        statement(totals, "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
        logged(server, "history cannot be written")
        written = known(kept(session, "energy-received", "<limit>10000</limit>"))
        refused = counter(session)
        until(lambda: counter(session) > refused + 40, "energy is counted for some intervals")
    server.end(signal.SIGKILL)
    statement(totals, "DROP TRIGGER full")
    server.start()
    with server.connect() as session:
        until(lambda: counter(session) > refused + 40, "energy is counted on")
        before, told, now = counter(session), Decimal(energy(session, start)["received"]), counter(session)
        had = sum(Decimal(row["value"]) for row in written)  # what came after it may not have been on the disk
        assert had + before - refused - LEAST <= told <= now + LEAST


def statement(file: Path, text: str) -> None:
    """Done by another process to a database of the server."""
    with contextlib.closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as db:
        db.execute(text)


def test_a_damaged_file(server: ServerProcess) -> None:
    """A file of samples that holds garbage is set aside: the server starts, says so, and history begins anew."""
    with server.connect() as session:
        before = counter(session)
    assert server.end() == 0
    (file,) = server.state.glob("samples.sqlite*")  # an orderly stop leaves it whole
    size = file.stat().st_size
    with file.open("r+b") as damaged:
        damaged.write(b"garbage " * (size // 8))
    server.start()
    with server.connect() as session:
        logged(server, "it is set aside as samples.sqlite")
        until(lambda: counter(session) > before, "energy is counted")
        oldest = some_history(session, 3)[0]["end-time"]
        assert Decimal(energy(session, oldest)["received"]) > 0
        with pytest.raises(RPCError) as refused:
            energy(session, "2026-06-22T06:00:00Z")
        assert refused.value.tag == "data-missing"
    (aside,) = server.state.glob("samples.sqlite.aside-*")
    assert aside.read_bytes().startswith(b"garbage")
    assert "Traceback" not in server.log.read_text()

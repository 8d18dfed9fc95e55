"""The state of an older server is brought up without loss; that of a newer one is refused with one sentence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.yang.schema import Schema
from tests.server.running import (
    EMAN,
    Process,
    command,
    edited,
    entity,
    get,
    link_until,
    running_config,
    serving,
)

STATES = Path(__file__).parent / "states"
MEASURED = "urn:eman:yang:eman-measurement"


def restore(name: str, state: Path) -> None:
    """Lay a kept state out as a server left it."""
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(STATES / name, state)
    with sqlite3.connect(state / "history.sqlite") as history:
        history.executescript((state / "history.sql").read_text())
    history.close()
    (state / "history.sql").unlink()


async def test_an_older_state_is_brought_up(tmp_path: Path, schema: Schema, caplog: pytest.LogCaptureFixture) -> None:
    """All that the models still know is there; the rest is set aside in a file that the log names; counters go on."""
    state = tmp_path / "state"
    restore("older", state)
    async with serving(state, schema, initial=()) as server, server.peer() as admin:
        config = await running_config(admin)
        for part in (
            b"<name>Build server</name><importance>60</importance>",
            b"<id>desk-1</id><name>A desk</name><importance>7</importance>",
            b"<id>desk-2</id>",
            b"<max-sessions>77</max-sessions>",
            b"<box>srv-02</box>",
        ):
            assert part in config
        assert b"shelf-colour" not in config
        assert b"telemetry" not in config
        await link_until(admin, "srv", state="up")
        energy = await get(admin, entity("srv-02", f'<energy xmlns="{MEASURED}"><received/></energy>'))
        assert float(energy.findtext(f".//{{{MEASURED}}}received") or 0) >= 1234.567
        (aside,) = (state / "running").glob("set-aside-*.xml")
        assert str(aside) in caplog.text
        await edited(admin, entity("desk-3"))
        config = await running_config(admin)
    kept = etree.tostring(etree.parse(aside))
    for part in (b">green<", b">grey<", b">blue<", b"192.0.2.9", b"entity[id='desk-1']"):
        assert part in kept
    # the second start finds a state of its own
    caplog.clear()
    async with serving(state, schema, initial=()) as server, server.peer() as admin:
        assert await running_config(admin) == config
    assert "set-aside" not in caplog.text
    assert list((state / "running").glob("set-aside-*.xml")) == [aside]


async def test_entities_keep_their_names_for_machines(tmp_path: Path, schema: Schema) -> None:
    """The UUID of an entity is the same before and after, whatever the server's version."""
    state = tmp_path / "state"
    restore("older", state)

    async def uuid() -> str | None:
        async with serving(state, schema, initial=()) as server, server.peer() as admin:
            return (await get(admin, entity("desk-1", "<uuid/>"))).findtext(f".//{{{EMAN}}}uuid")

    first = await uuid()
    assert first is not None
    assert await uuid() == first


def newer_configuration(state: Path) -> None:
    """As if a server with a later model had written the last checkpoint."""
    running = state / "running"
    for journal in running.glob("journal-*"):
        journal.unlink()
    checkpoint = max(running.glob("checkpoint-*.xml"))
    checkpoint.write_text(checkpoint.read_text().replace("2026-06-01", "2031-01-01"))


def newer_history(state: Path) -> None:
    """As if a server with a later model had written the counters."""
    with sqlite3.connect(state / "history.sqlite") as history:
        history.execute("UPDATE meta SET value = replace(value, '2026-06-01', '2031-01-01') WHERE name = 'revisions'")
    history.close()


def snapshot(folder: Path) -> Mapping[str, object]:
    """Every file and folder with its content, mode and time of change."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes() if path.is_file() else None,
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("spoil", "verb", "words"),
    [
        (newer_configuration, ("run",), "written by a newer server (module eman-entity of 2031-01-01, here of 2026-"),
        (newer_configuration, ("check",), "written by a newer server (module eman-entity of 2031-01-01, here of 2026-"),
        (newer_configuration, ("passwd", "--stdin", "admin"), "written by a newer server (module eman-entity of"),
        (newer_history, ("run",), "written with newer models (eman-entity@2031-01-01, eman-server@2031-01-01)"),
        (newer_history, ("check",), "written with newer models (eman-entity@2031-01-01, eman-server@2031-01-01)"),
    ],
)
def test_a_newer_state_is_refused(
    process: Process, spoil: Callable[[Path], None], verb: tuple[str, ...], words: str
) -> None:
    """One sentence that says what is newer and what to do, status 1, and the configuration stays as it was."""
    restore("older", process.state)
    spoil(process.state)
    (process.state / "running" / "lock").touch()
    before = snapshot(process.state / "running")
    done = command(verb[0], "--config", process.config, *verb[1:], input="a new password\n")
    assert done.returncode == 1
    told = [line for line in (done.stdout + done.stderr).splitlines() if words in line]
    assert len(told) == 1, done
    assert "start that server" in told[0] or "run the newer server" in told[0]
    assert "restore a backup" in told[0]
    assert "Traceback" not in done.stderr
    if verb == ("check",):
        assert told[0].startswith("FAIL ")
        assert str(process.state) in told[0]
    elif spoil is newer_configuration:
        assert done.stderr == told[0] + "\n"
    if spoil is newer_configuration:
        assert snapshot(process.state / "running") == before

"""The store of samples in a running server: its settings followed, its state shown, a kill survived."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest

from eman_netconf.energy.canonical import instant
from eman_netconf.energy.samples import Channel
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.shown import settings_of
from eman_netconf.server.samples.values import DAY
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.peer import Peer
from tests.server.running import EMAN, PATIENCE, Process, backends, edited, get, link_until, serving, simulated, site
from tests.server.test_samples import FOREVER

SERIES = "urn:eman:yang:eman-series"
HISTORY = f'<energy-management xmlns="{EMAN}"><history xmlns="{SERIES}"/></energy-management>'


def history(content: str) -> str:
    """The container history as configuration."""
    return f'<energy-management xmlns="{EMAN}"><history xmlns="{SERIES}">{content}</history></energy-management>'


async def told(peer: Peer) -> dict[str, str]:
    """The leaves of the container history."""
    data = await get(peer, HISTORY)
    return {
        node.tag.rpartition("}")[2]: node.text or "" for node in data.iter() if node.tag.startswith(f"{{{SERIES}}}")
    }


async def written(peer: Peer, before: str | None = None) -> str | None:
    """Wait until something was written after what was written ``before``; when that was. Each question is a round trip,
    so nothing spins."""
    async with asyncio.timeout(PATIENCE):
        while (last := (await told(peer)).get("last-write")) in {None, before}:
            pass
    return last


def test_settings_without_configuration(schema: Schema) -> None:
    """What nobody configured is kept as long as the model says."""
    assert settings_of(Inner(schema.root)) == Settings()


async def test_settings_are_followed_live(tmp_path: Path, schema: Schema) -> None:
    """A commit changes how long samples are kept at once, and what the store holds is shown beside it."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        writer = server.daemon.samples._writer
        assert writer.settings == Settings()
        retention = (
            "<raw-age>2</raw-age><hourly-age>3</hourly-age><daily-age>4</daily-age><maximum-size>16</maximum-size>"
        )
        await edited(admin, history(f"<retention>{retention}</retention>"))
        assert writer.settings == Settings(2.0 * DAY, 3.0 * DAY, 4.0 * DAY, 16_000_000)
        shown = await told(admin)
        assert (shown["raw-age"], shown["maximum-size"], shown["lost"]) == ("2", "16", "0")
    assert (tmp_path / "state" / "samples.sqlite").stat().st_mode & 0o777 == 0o600


async def test_what_is_kept_is_shown(tmp_path: Path, schema: Schema) -> None:
    """The ticks of a site that is read come to the file by themselves, and their number and times are shown."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, history("<interval>10</interval>"))
        await edited(admin, backends(simulated("srv", "srv-02")))
        await link_until(admin, "srv", state="up")
        last = await written(admin)
        while int((shown := await told(admin))["samples"]) == 0:
            last = await written(admin, last)
        assert instant(shown["oldest"]) < instant(shown["newest"]) <= instant(shown["last-write"])
        assert not any(shown[name].endswith(".000Z") for name in ("oldest", "newest")), "whole seconds, as in a query"
        assert int(shown["size"]) > 0


async def test_a_file_of_no_use_does_not_stop_the_server(
    tmp_path: Path, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """Energy is served beside a file of samples that nobody can read, which is set aside."""
    caplog.set_level(logging.ERROR)
    state = tmp_path / "state"
    state.mkdir()
    (state / "samples.sqlite").write_bytes(b"garbage " * 1000)
    async with serving(state, schema) as server, server.peer() as admin:
        await edited(admin, backends(simulated("srv", "srv-02")))
        await link_until(admin, "srv", state="up")
    assert "set aside" in caplog.text


@pytest.mark.slow
async def test_a_killed_server_loses_a_tick_at_most(process: Process) -> None:
    """After a kill what was kept is there without a hole but the time of the kill, and is written on."""
    ends: list[float] = []
    for _ in range(2):
        await process.start()
        async with process.peer() as admin:
            await edited(admin, site(history("<interval>10</interval>"), backends(simulated("srv", "srv-02"))))
            before, ends, last = ends, [], None
            while len(ends) < len(before) + 2:
                last = await written(admin, last)
                ends = await asyncio.to_thread(kept, process.state)
        process.kill()
        after = await asyncio.to_thread(kept, process.state)
        assert after[: len(ends)] == ends
        assert ends[: len(before)] == before
    await process.start()
    assert await process.end() == 0
    assert (await asyncio.to_thread(kept, process.state))[: len(ends)] == ends


def kept(state: Path) -> list[float]:
    """The ends of the samples that another process finds."""
    with contextlib.closing(Reader(state / "samples.sqlite")) as reader:
        found, _ = reader.samples(Channel("srv-02", "", "energy-received"), 0.0, FOREVER, None, 10_000)
        return [sample.end for sample in found if sample.value is not None]

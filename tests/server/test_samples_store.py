"""The store of samples in the shell: soon on the disk, whatever the disk, other processes or a kill do to it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eman_netconf.energy.samples import Channel, Mark, Renamed, Sample, Stretch, Tick
from eman_netconf.energy.values import Now
from eman_netconf.errors import RpcError
from eman_netconf.server.samples import file, names, sealing, writer
from eman_netconf.server.samples.file import FORMAT
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.store import SampleStore
from eman_netconf.server.samples.values import DAY, HOUR
from tests.server.test_samples import FOREVER, PDU, T0, WATTS, tick
from tests.server.test_ssh import until

PATIENCE = 60.0


class Site:
    """A store whose clock the test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wall = T0
        self.leapt: Now | None = None  # where the wall clock does not run as time does
        self.stores: list[SampleStore] = []

    def store(self, settings: Settings | None = None, **more: int) -> SampleStore:
        self.stores.append(SampleStore(self.folder, self.now, settings, **more))
        return self.stores[-1]

    def now(self) -> Now:
        return self.leapt or Now(self.wall, self.wall)

    @property
    def path(self) -> Path:
        return self.folder / "samples.sqlite"


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(writer, "WRITE_WITHIN", 0.02)
    monkeypatch.setattr(writer, "LOOK_EVERY", 0.02)
    made = Site(tmp_path)
    yield made
    for store in made.stores:
        await store.close()


async def sums(store: SampleStore) -> int | None:
    energy = await store.energy("pdu", "", 0.0, FOREVER)
    return None if energy is None else energy.received


async def test_what_is_recorded_can_be_asked_for(site: Site) -> None:
    """An answer holds everything that was recorded before it was asked for, page by page."""
    store = site.store()
    assert await sums(store) is None
    for minute in range(1, 11):
        store.record(tick(T0 + 60 * minute, {PDU: minute, WATTS: 1000 * minute}))
    assert await sums(store) == 55
    first, more = await store.samples(WATTS, 0.0, FOREVER, None, 4)
    assert [sample.value for sample in first] == [1000, 2000, 3000, 4000]
    assert more == T0 + 240
    rest, more = await store.samples(WATTS, more, FOREVER, None, 100)
    assert ([sample.value for sample in rest], more) == ([1000 * minute for minute in range(5, 11)], None)
    span = await store.span(WATTS)
    assert (span.stored, span.oldest, span.newest) == (10, T0, T0 + 600)
    assert stat.S_IMODE(site.path.stat().st_mode) == 0o600


async def test_sealed_and_dropped_by_itself(site: Site) -> None:
    """As time goes on hours are sealed, days put together, the finest dropped by age; sums stay."""
    store = site.store(Settings(raw=DAY))
    for minute in range(1, 73):
        store.record(tick(T0 + 3600 * minute - 3540, {PDU: 10, WATTS: 5000}))
    await looked_after(store)
    site.wall = T0 + 73 * HOUR
    store.configure(Settings(raw=DAY))
    await until(lambda: store.told.oldest == T0 and 0 < store.told.samples <= 50)
    assert await sums(store) == 720
    found, _ = await store.samples(PDU, 0.0, FOREVER, None, 1000)
    lengths = {round(sample.end - sample.start) for sample in found if sample.value is not None}
    assert {60, 3600} <= lengths
    days, _ = await store.samples(PDU, 0.0, FOREVER, DAY, 1000)
    assert [sample.value for sample in days] == [240, 240, 240]
    store.configure(Settings(raw=DAY, hourly=DAY, daily=DAY))
    await until(lambda: (store.told.oldest or 0) > T0)
    assert store.told.size > 0
    assert store.told.last_write is not None


async def test_a_clock_that_leaps_ages_nothing(site: Site) -> None:
    """A clock years ahead, or not set at all, costs nothing that is kept, and what comes afterwards is found; one that
    stays there is believed after some hours."""
    store = site.store(Settings(raw=DAY, hourly=DAY, daily=DAY))
    years = 3000 * DAY
    for turn, leap in enumerate((0.0, years, years, 1e5 - T0, 0.0)):
        site.leapt = Now(T0 + 60 * turn + leap, 60.0 * turn)
        store.record(tick(site.leapt.wall // 60 * 60, {PDU: turn, WATTS: turn}))
        store.configure(Settings(raw=DAY, hourly=DAY, daily=DAY))
        await looked_after(store)
    found, _ = await store.samples(WATTS, T0 - 60, T0 + HOUR, None, 100)
    assert [one.value for one in found if one.value is not None] == [0, 4]
    await store.close()
    for hour in range(6):
        site.leapt = Now(T0 + 300 + years + HOUR * hour, 300.0 + HOUR * hour)
        if not hour:
            store = site.store(Settings(raw=DAY, hourly=DAY, daily=DAY))
        await looked_after(store)
        assert (await store.samples(WATTS, T0 - 60, T0 + HOUR, None, 100))[0]
    site.leapt = Now(T0 + 300 + years + 6 * HOUR, 300.0 + 6 * HOUR)
    await until(lambda: (store.told.oldest or 0) > T0 + DAY)


async def looked_after(store: SampleStore) -> None:
    """Wait until the file was looked after, from now on."""
    await store.written()
    for _ in range(2):  # the first may have begun before
        before = store._writer.told
        await until(lambda before=before: store._writer.told is not before)


async def test_bounded_by_size(site: Site) -> None:
    """The oldest of the finest intervals make room, the file stays within its bound, and hours stay."""
    store = site.store()
    rng = random.Random(1)
    channels = [Channel(f"pdu.{number}", "", "active-power") for number in range(300)]
    for hour in range(40):
        end = T0 + HOUR * hour + 60
        for minute in range(10):
            values: dict[Channel, int | None] = {channel: rng.randrange(10**9) for channel in channels}
            store.record(tick(end + 60 * minute, values))
        await store.written()
        site.wall = end + HOUR + 1000
    await until(lambda: store.told.samples > 100_000)
    bound = store.told.size * 3 // 4
    store.configure(Settings(size=bound))
    await until(lambda: store.told.size <= bound)
    assert 0 < store.told.samples < 100_000
    hours, _ = await store.samples(channels[0], 0.0, FOREVER, HOUR, 1000)
    assert len(hours) >= 39


async def test_a_kept_correction_tells_who_and_why(site: Site) -> None:
    """A correction changes sums and samples, and stays with who made it and why, also after a rename."""
    store = site.store()
    for minute in range(1, 61):
        store.record(tick(T0 + 60 * minute, {PDU: 100}))
    made = Stretch("pdu", "", T0, T0 + HOUR, -600, 0, Mark.ESTIMATED, T0 + 7200, "ann", "the meter was replaced")
    store.record(made)
    assert await sums(store) == 5400
    found, _ = await store.samples(PDU, 0.0, FOREVER, None, 100)
    assert {sample.value for sample in found} == {90}
    store.record(Renamed("pdu", "pdu-b"))
    assert await store.corrections("pdu", "", 0.0, FOREVER) == []
    (kept,) = await store.corrections("pdu-b", "", 0.0, FOREVER)
    assert (kept.by, kept.reason, kept.received) == ("ann", "the meter was replaced", -600)


async def test_a_stretch_of_weeks_costs_one_row(site: Site) -> None:
    """Energy of a device that was away for weeks lies evenly over the gap, at every resolution, and costs one row."""
    store = site.store()
    store.record(tick(T0 + 60, {PDU: 5}))
    end = T0 + 28 * DAY
    store.record(tick(end + 60, {PDU: 5}))
    store.record(Stretch("pdu", "", T0 + 60, end, 28 * 24 * 60 - 1, 0, Mark.ESTIMATED, end))
    found, _ = await store.samples(PDU, T0 + 10 * DAY, T0 + 11 * DAY, None, 10_000)
    assert len(found) == 1440
    assert {(sample.value, sample.mark) for sample in found} == {(1, Mark.ESTIMATED)}
    days, _ = await store.samples(PDU, T0 + DAY, T0 + 20 * DAY, DAY, 10_000)
    assert [sample.value for sample in days] == [1440] * 19
    energy = await store.energy("pdu", "", T0 + 5 * DAY, T0 + 6 * DAY)
    assert energy is not None
    assert (energy.received, energy.coverage, energy.mark) == (1440, 100.0, Mark.ESTIMATED)
    with contextlib.closing(sqlite3.connect(site.path)) as other:
        assert other.execute("SELECT (SELECT count(*) FROM stretch) + (SELECT count(*) FROM piece)").fetchone() == (1,)


# --- files that cannot be used


@pytest.mark.parametrize("kind", ["garbage", "newer"])
async def test_a_file_of_no_use_is_set_aside(site: Site, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged file, or one of a newer server, is kept under another name; one line says so, and samples go on."""
    if kind == "garbage":
        site.path.write_bytes(b"garbage " * 1000)
    else:
        file.open_to_write(site.path).close()
        with contextlib.closing(sqlite3.connect(site.path, isolation_level=None)) as db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (FORMAT + 1,))
    before = site.path.read_bytes()
    store = site.store()
    store.record(tick(T0 + 60, {PDU: 7}))
    await until(lambda: store.told.samples == 1)
    assert await sums(store) == 7
    (aside,) = [
        path for path in site.folder.iterdir() if ".aside-" in path.name and path.name[-4:] not in {"-shm", "-wal"}
    ]
    assert aside.read_bytes()[100:] == before[100:]
    (line,) = [record.message for record in caplog.records if "set aside" in record.message]
    assert ("is damaged" if kind == "garbage" else "has format") in line
    assert aside.name in line


@pytest.mark.parametrize("how", ["moved", "moved with its journal", "removed", "another"])
async def test_a_file_that_is_moved_away(
    site: Site, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever moves the file away while it is written has all that was written in it; one line says so, and samples
    go on in a new file, or in the one that was put there."""
    monkeypatch.setattr(writer, "LOOK_EVERY", 86_400.0)
    store, away = site.store(), site.folder / "away.sqlite"
    store.record(tick(T0 + 60, {PDU: 1}))
    assert await sums(store) == 1  # a reader has it open
    await until(lambda: store.told.samples == 1)  # from now on only a batch makes the thread look
    if how == "removed":
        site.path.unlink()
    elif how != "another":
        site.path.rename(away)
    if how == "moved with its journal":
        for ending in ("-wal", "-shm"):
            site.path.with_name(site.path.name + ending).rename(away.with_name(away.name + ending))
    if how == "another":
        (site.folder / "other").mkdir()
        other = SampleStore(site.folder / "other", site.now)
        other.record(tick(T0 + 60, {PDU: 100}))
        await other.close()
        site.path.rename(away)
        (site.folder / "other" / site.path.name).rename(site.path)
    for minute in (2, 3):
        store.record(tick(T0 + 60 * minute, {PDU: minute}))
        assert await sums(store) == {2: 2, 3: 5}[minute] + (100 if how == "another" else 0)
    assert caplog.text.count("is not the file any more that was opened") == 1
    await store.close()
    assert not site.path.with_name(site.path.name + "-wal").exists()
    for path in (site.path, away):
        if path.exists():
            with contextlib.closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if how != "removed":
        reader = Reader(away)
        energy = reader.energy("pdu", "", 0.0, FOREVER)
        reader.close()
        assert energy is not None
        assert energy.received == 1


async def test_too_many_channels_cost_the_new_ones(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond so many channels samples and energy of new ones are lost and counted, which one line says; everybody
    else's are written."""
    monkeypatch.setattr(names, "MOST_CHANNELS", 3)
    store = site.store()
    store.record(tick(T0 + 60, {PDU: 1, WATTS: 1, Channel("a", "", "active-power"): 1}))
    for minute in range(2, 12):
        store.record(tick(T0 + 60 * minute, {PDU: 1, Channel("b", "", "active-power"): 1}))
        await store.written()
    assert store.told.lost == 10
    late = Stretch("c", "", T0, T0 + 600, 5, 5, Mark.ESTIMATED, T0 + 600)
    store.record(late)
    store.record(tick(T0 + 720, {PDU: 1}))
    assert await sums(store) == 12
    assert store.told.lost == 11
    assert caplog.text.count("those of more are lost") == 1


# --- disks that take nothing


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """While it lasts the file takes no tick, with the error of a full disk."""
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON tick BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
        yield
        other.execute("DROP TRIGGER full")


async def test_a_full_disk_costs_samples_but_no_energy(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What waits is bounded; the oldest samples are lost and counted, their energy is not; it resumes by itself."""
    caplog.set_level(logging.INFO)
    store = site.store(most=100)
    store.record(tick(T0 + 60, {PDU: 1, WATTS: 1}))
    await store.written()
    with refusing(site.path):
        for minute in range(2, 202):
            store.record(tick(T0 + 60 * minute, {PDU: 1, WATTS: 1}))
        await until(lambda: store.told.lost)
        await until(lambda: "cannot be written" in caplog.text)
    await until(lambda: "samples are written again" in caplog.text)
    assert caplog.text.count("samples cannot be written (database or disk is full)") == 1
    assert 300 <= store.told.lost <= 400
    assert await sums(store) == 201
    kept, _ = await store.samples(WATTS, 0.0, FOREVER, None, 1000)
    assert len([sample for sample in kept if sample.value is not None]) == 201 - store.told.lost // 2


async def test_what_is_at_fault_costs_nothing_beside_it(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Of a batch in which something makes no sense all else is kept, corrections above all; what is lost is counted."""
    store = site.store()
    store.hold(True)
    nonsense = Sample(T0 + 60, math.inf, 7, "direct-meter")
    store.record(tick(T0 + 60, {PDU: 5}))
    store.record(Tick(math.inf, 60.0, {PDU: nonsense}))
    store.record(tick(T0 + 180, {PDU: 6}))
    store.record(Stretch("pdu", "", T0, T0 + 60, 100, 0, Mark.ESTIMATED, T0 + 200, "ann", "the bill says so"))
    store.hold(False)
    assert await sums(store) == 111
    assert [each.reason for each in await store.corrections("pdu", "", 0.0, FOREVER)] == ["the bill says so"]
    assert store.told.lost == 1
    assert caplog.text.count("given up is a Tick") == 1


async def test_a_hung_disk_holds_nobody_up(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """While the disk does not answer, recording goes on within bounds and questions are answered from what is there."""
    store = site.store(most=1000)
    store.record(tick(T0 + 60, {PDU: 1}))
    assert await sums(store) == 1
    with contextlib.closing(sqlite3.connect(site.path, timeout=PATIENCE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # whoever writes now waits
        for minute in range(2, 3002):
            store.record(tick(T0 + 60 * minute, {PDU: 1}))
        assert store.told.lost >= 900  # what is being written is beside what waits
        assert await sums(store) == 1
        other.execute("ROLLBACK")
    await until(lambda: store.told.samples > 1)
    assert await sums(store) == 3001


async def test_without_a_file_an_answer_is_a_sentence(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Where no file can be made the server goes on; a question is refused in words, and all is kept until it can be."""
    site.path.mkdir()
    store = site.store()
    store.record(tick(T0 + 60, {PDU: 1}))
    with pytest.raises(RpcError, match="cannot be read at present"):
        await sums(store)
    assert caplog.text.count("samples cannot be written") == 1
    site.path.rmdir()
    await until(lambda: store.told.samples == 1)
    assert await sums(store) == 1


# --- other processes

WRITES = """
import sys, time
from pathlib import Path
from eman_netconf.server.samples import sealing, writer
from eman_netconf.server.samples.store import SampleStore
from tests.server.test_samples import PDU, T0, WATTS, tick
from eman_netconf.energy.samples import Channel
from eman_netconf.energy.values import Now

writer.WRITE_WITHIN, writer.LOOK_EVERY, sealing.GRACE = 0.001, 0.001, 0.0
first, wall = int(sys.argv[2]), [T0]
store = SampleStore(Path(sys.argv[1]), lambda: Now(wall[0], wall[0]))
others = [Channel(f"o{number}", "", "active-power") for number in range(200)]
minute = first
while True:
    minute += 1
    wall[0] = T0 + 60 * minute
    store.record(tick(wall[0], {PDU: 1, WATTS: minute, **dict.fromkeys(others, minute)}))
    store._writer.flushed().result()
    print(minute, flush=True)
"""


@contextmanager
def writing(folder: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    """A process that writes tick after tick, seals hours as they end, and tells each tick that is in the file."""
    root = Path(__file__).resolve().parent.parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def told(child: subprocess.Popen[str], count: int) -> int:
    """Read so many lines; the last tick that was told."""
    assert child.stdout is not None
    last = 0
    for _ in range(count):
        last = int(child.stdout.readline())
    return last


def test_killed_at_any_time(tmp_path: Path) -> None:
    """However often a process is killed, in the middle of a batch or of sealing, what it told is there."""
    rng = random.Random(7)
    minute = 0
    for _ in range(12):
        with writing(tmp_path, minute) as child:
            minute = told(child, rng.randint(20, 150))
            child.kill()
            assert child.stdout is not None
            rest = child.stdout.read().split()
        reader = Reader(tmp_path / "samples.sqlite")
        found, more = reader.samples(WATTS, 0.0, FOREVER, None, 10_000)
        energy = reader.energy("pdu", "", 0.0, FOREVER)
        reader.close()
        minute = int(rest[-1]) if rest else minute
        assert more is None
        last = len(found)
        assert last - minute in {0, 1}  # the one that was on its way
        assert [sample.value for sample in found] == list(range(1, last + 1))
        assert energy is not None
        assert (energy.received, energy.coverage, energy.mark) == (last, 100.0, Mark.MEASURED)
        minute = last
    with contextlib.closing(sqlite3.connect(tmp_path / "samples.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM block").fetchone()[0] > 0


def test_read_while_another_process_writes(tmp_path: Path) -> None:
    """A reader sees whole ticks and whole hours, never less than before, and holds nobody up."""
    with writing(tmp_path, 0) as child:
        told(child, 1)
        reader = Reader(tmp_path / "samples.sqlite")
        before = 0
        while before < 300:
            minute = told(child, 1)
            found, _ = reader.samples(WATTS, 0.0, FOREVER, None, 10_000)
            energy = reader.energy("pdu", "", 0.0, FOREVER)
            assert [sample.value for sample in found] == list(range(1, len(found) + 1))
            assert energy is not None
            assert (energy.received or 0) >= len(found) >= max(minute, before)
            before = len(found)
        reader.close()


async def test_a_damaged_block_costs_its_hour(site: Site) -> None:
    """A block that cannot be read makes a question an error in words, not a fault of the server."""
    store = site.store()
    for minute in range(1, 61):
        store.record(tick(T0 + 60 * minute, {PDU: 1}))
    site.wall = T0 + HOUR + sealing.GRACE + 3600
    await store.written()
    with contextlib.closing(sqlite3.connect(site.path, timeout=PATIENCE, isolation_level=None)) as other:
        await until(lambda: other.execute("SELECT count(*) FROM block").fetchone()[0])
        other.execute("UPDATE block SET body = x'00'")
    with pytest.raises(RpcError, match="cannot be read at present"):
        await store.samples(PDU, 0.0, FOREVER, None, 10)

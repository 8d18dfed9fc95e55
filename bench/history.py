"""The store of samples: taking in, sealing, size and fetching, beside a plain SQLite table of one row per sample."""

from __future__ import annotations

import random
import sqlite3
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from bench.servers import Place
from bench.table import Row, Table
from eman_netconf.energy.samples import Channel, Sample, Tick
from eman_netconf.server.samples import sealing
from eman_netconf.server.samples.file import open_to_write
from eman_netconf.server.samples.filing import Filing
from eman_netconf.server.samples.queries import Reader

PEER = "narrow table"

_START = 20_000 * 86_400.0
_QUANTITIES = (
    "energy-received",
    "energy-provided",
    "active-power",
    "apparent-power",
    "power-factor",
    "voltage",
    "current",
    "frequency",
    "thd-current",
    "reactive-power",
)


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head(f"history: samples of ten quantities of each entity, once a minute (ratio to a {PEER})")
    peers, table.peers = table.peers, (PEER,)
    try:
        _measure(place, table, entities=1000 if place.quick else 10_000, minutes=6 if place.quick else 62)
        _day(place, table, entities=200, days=1)
    finally:
        table.peers = peers


def _measure(place: Place, table: Table, entities: int, minutes: int) -> None:
    """Ticks of a whole site, and the hour that is sealed."""
    store, peer = _Store(place.folder / "wide.sqlite"), _Narrow(place.folder / "wide-narrow.sqlite")
    ours, commits, theirs = [], [], []
    for number, tick in enumerate(_ticks(entities, minutes)):
        spent, commit = store.take(tick)
        ours.append(spent)
        commits.append(commit)
        if number < 3:
            theirs.append(peer.take(tick))
    name = f"a tick of {entities * len(_QUANTITIES):,} samples"
    table.add(Row(f"{name} into the file, all told", "ms", ours, None, {PEER: theirs}))
    table.add(Row(f"{name}, of which SQLite's", "ms", commits, 20))
    slices, spent = store.seal()
    samples = store.sealed()
    if samples:
        table.add(Row("sealing, CPU for 6,000,000 samples", "s", [spent / samples * 6e6], 10))
        table.add(Row("sealing, the longest it holds the file", "ms", [max(slices)], 500))
    store.close()
    peer.close()


def _day(place: Place, table: Table, entities: int, days: int) -> None:
    """A day of fewer entities: what it takes of the disk, and one entity's day of it."""
    store, peer = _Store(place.folder / "day.sqlite"), _Narrow(place.folder / "day-narrow.sqlite")
    for number, tick in enumerate(_ticks(entities, 1440 * days + 10)):
        store.take(tick)
        peer.take(tick)
        if number % 60 == 9:
            store.seal()
    table.add(
        Row("a sample on the disk, sealed, with roll-ups", "octets", [store.octets()], 2, {PEER: [peer.octets()]})
    )
    reader = Reader(store.path)
    rng = random.Random(3)
    ours, theirs, sums = [], [], []
    for _ in range(place.times(50)):
        entity = rng.randrange(entities)
        channel = Channel(_owner(entity), "", "active-power")
        started = time.perf_counter()
        found, _ = reader.samples(channel, _START, _START + 86_400, None, 10_000)
        ours.append((time.perf_counter() - started) * 1000)
        assert len(found) == 1440
        theirs.append(peer.day(channel))
        started = time.perf_counter()
        reader.energy(channel.owner, "", _START + 100, _START + 86_000)
        sums.append((time.perf_counter() - started) * 1000)
    reader.close()
    table.add(Row("one day of one entity, each minute", "ms", ours, 10, {PEER: theirs}))
    table.add(Row("energy of one entity between two instants", "ms", sums, 10))
    store.close()
    peer.close()


def _owner(entity: int) -> str:
    return f"box-{entity // 10:04}.outlet-{entity:05}"


def _ticks(entities: int, minutes: int) -> Iterator[Tick]:
    """Power on a random walk, noisy mains, and what follows from both."""
    rng = random.Random(1)
    channels = [[Channel(_owner(entity), "", quantity) for quantity in _QUANTITIES] for entity in range(entities)]
    watts = [rng.randint(50_000, 900_000) for _ in range(entities)]
    for minute in range(minutes):
        start, end = _START + 60.0 * minute, _START + 60.0 * (minute + 1)
        samples: dict[Channel, Sample] = {}
        for entity, own in enumerate(channels):
            power = watts[entity] = max(1000, watts[entity] + rng.randint(-5000, 5000))
            volts, factor = 230_000 + 100 * rng.randint(-4, 4), 9500 + rng.randint(-30, 30)
            apparent = power * 10_000 // factor
            values = (
                power // 60,
                0,
                power,
                apparent,
                factor,
                volts,
                power * 1000 // volts,
                50_000 + 10 * rng.randint(-2, 2),
                rng.randint(20, 60) * 100,
                int((apparent * apparent - power * power) ** 0.5),
            )
            for channel, value in zip(own, values, strict=True):
                samples[channel] = Sample(start, end, value, "direct-meter")
        yield Tick(end, 60.0, samples)


class _Store:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_to_write(path)
        self._filing = Filing(self._db)

    def take(self, tick: Tick) -> tuple[float, float]:
        """Milliseconds for all, and for SQLite to commit."""
        started = time.perf_counter()
        self._db.execute("BEGIN IMMEDIATE")
        self._filing.take([tick])
        filed = time.perf_counter()
        self._db.execute("COMMIT")
        ended = time.perf_counter()
        return (ended - started) * 1000, (ended - filed) * 1000

    def seal(self) -> tuple[list[float], float]:
        """Milliseconds of each slice, and CPU seconds of all, for what is over at the newest tick."""
        began, slices = time.process_time(), []
        now = self._filing.state.newest + sealing.GRACE
        for hour, shard in sealing.due(self._db, now):
            started = time.perf_counter()
            self._db.execute("BEGIN IMMEDIATE")
            sealing.seal(self._db, self._filing.names, self._filing.state, hour, shard)
            self._db.execute("COMMIT")
            slices.append((time.perf_counter() - started) * 1000)
        return slices, time.process_time() - began

    def sealed(self) -> int:
        """Samples in sealed hours."""
        hour = self._filing.state.sealed
        return int(self._db.execute("SELECT coalesce(sum(samples), 0) FROM hour WHERE hour < ?", (hour,)).fetchone()[0])

    def octets(self) -> float:
        """Octets per sealed sample, of the pages in use."""
        self._db.execute("DELETE FROM tick")
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return float((pages - free) * size / self.sealed())

    def close(self) -> None:
        self._db.close()


class _Narrow:
    """What one would do first: a row for each sample, by series and time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE sample (series INTEGER, time INTEGER, value INTEGER, PRIMARY KEY (series, time)) "
            "WITHOUT ROWID"
        )
        self._ids: dict[Channel, int] = {}
        self._rows = 0

    def take(self, tick: Tick) -> float:
        started = time.perf_counter()
        ids, end = self._ids, int(tick.end)
        rows = [(ids.setdefault(channel, len(ids)), end, sample.value) for channel, sample in tick.samples.items()]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO sample VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")
        self._rows += len(rows)
        return (time.perf_counter() - started) * 1000

    def octets(self) -> float:
        pages, size = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return float(pages * size / self._rows)

    def day(self, channel: Channel) -> float:
        started = time.perf_counter()
        query = "SELECT value FROM sample WHERE series = ? AND time > ? AND time <= ? ORDER BY time"
        found = self._db.execute(query, (self._ids[channel], int(_START), int(_START) + 86_400))
        values = array("q", [value for (value,) in found])
        assert len(values) == 1440
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        self._db.close()

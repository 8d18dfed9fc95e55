"""The head: ticks as they came, a row per shard of a tick, until their hour is sealed."""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from eman_netconf.energy.samples import Mark, Sample
from eman_netconf.server.samples.columns import Column
from eman_netconf.server.samples.values import fits, hour_of, pack, qualified, quality, unpack

_LAYOUTS: Final = 4096  # remembered at most; a site has one for each shard, a hundred entities each
_INSERT: Final = (
    'INSERT INTO tick (shard, hour, "end", period, layout, code, body, qualities, starts) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT: Final = (
    'SELECT "end", period, channels, code, body, coalesce(tick.qualities, layout.qualities), starts, hour '
    "FROM tick JOIN layout ON layout.id = layout "
)


class Row(NamedTuple):
    """What one row of the head holds, by place in ``channels``."""

    end: float
    period: float
    channels: bytes
    code: str
    body: bytes
    qualities: bytes
    starts: bytes | None
    hour: int

    def values(self) -> Sequence[int]:
        return unpack(self.code, self.body)

    def codes(self) -> Sequence[int]:
        return unpack("I", zlib.decompress(self.qualities))

    def begins(self) -> Mapping[int, float]:
        """The starts that are not the end less the period, by place."""
        if self.starts is None:
            return {}
        places = unpack("I", self.starts[: len(self.starts) // 3])
        return dict(zip(places, unpack("d", self.starts[len(self.starts) // 3 :]), strict=True))


class Head:
    """Writes rows of the head; the next tick of the same channels shares the layout of the last."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._layouts: dict[bytes, tuple[int, bytes]] = {}  # channels -> number and qualities of their layout

    def add(self, shard: int, end: float, period: float, samples: Sequence[tuple[int, Sample]]) -> None:
        """Samples of one tick by channel id, all of one shard."""
        channels = pack("I", [channel for channel, _ in samples])
        numbers: list[int] = []
        packed: list[int] = []
        method, coverage, mark, code = "", -1.0, Mark.MISSING, 0
        for _, (_start, _end, value, its_method, its_coverage, its_mark) in samples:
            if its_method != method or its_coverage != coverage or its_mark is not mark:  # than the one before
                method, coverage, mark = its_method, its_coverage, its_mark
                code = quality(method, coverage, mark, True)
            number = fits(value)
            numbers.append(number or 0)
            packed.append(code if number is not None else quality(method, coverage, mark, False))
        codes = pack("I", packed)
        kind, body = _body(numbers)
        begin = end - period
        odd = [(place, sample.start) for place, (_, sample) in enumerate(samples) if sample.start != begin]
        starts = pack("I", [place for place, _ in odd]) + pack("d", [start for _, start in odd]) if odd else None
        layout, usual = self._layout(channels, codes)
        different = None if codes == usual else zlib.compress(codes, 1)
        self._db.execute(_INSERT, (shard, hour_of(end), end, period, layout, kind, body, different, starts))

    def _layout(self, channels: bytes, codes: bytes) -> tuple[int, bytes]:
        found = self._layouts.get(channels)
        if found is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            made = self._db.execute(
                "INSERT INTO layout (channels, qualities) VALUES (?, ?)", (channels, zlib.compress(codes, 1))
            )
            found = self._layouts[channels] = (made.lastrowid or 0, codes)
        return found

    def tidy(self) -> None:
        """Out with layouts that no row needs any more."""
        self._db.execute("DELETE FROM layout WHERE id NOT IN (SELECT DISTINCT layout FROM tick)")
        self._layouts.clear()


def _body(numbers: list[int]) -> tuple[str, bytes]:
    try:
        return "i", pack("i", numbers)
    except OverflowError:
        return "q", pack("q", numbers)


def rows(db: sqlite3.Connection, shard: int, first: int, last: int) -> list[Row]:
    """The rows of a shard in the hours ``first`` to ``last``, oldest first."""
    found = db.execute(_SELECT + 'WHERE shard = ? AND hour BETWEEN ? AND ? ORDER BY "end"', (shard, first, last))
    return [Row(*row) for row in found]


def of_channels(found: Iterable[Row], wanted: Iterable[int]) -> Iterator[tuple[int, int, Column]]:
    """Hour, channel and single sample of some channels in rows of the head."""
    places: dict[bytes, list[tuple[int, int]]] = {}
    wanted = set(wanted)
    last: tuple[bytes, Sequence[int]] = (b"", ())
    for row in found:
        where = places.get(row.channels)
        if where is None:
            ids = unpack("I", row.channels)
            where = places[row.channels] = [(place, id_) for place, id_ in enumerate(ids) if id_ in wanted]
        if not where:
            continue
        values = row.values()
        if row.qualities != last[0]:
            last = (row.qualities, row.codes())
        begins = row.begins()
        for place, id_ in where:
            starts = {0: begins[place]} if place in begins else {}
            yield row.hour, id_, Column(row.period, (row.end,), (values[place],), (last[1][place],), starts)


def columns(found: Iterable[Row]) -> dict[int, list[Column]]:
    """All columns in rows of one hour, by channel; several where samples do not share one raster of time."""
    alike: dict[tuple[bytes, float], list[Row]] = defaultdict(list)
    for row in found:
        alike[row.channels, row.period].append(row)
    made: dict[int, list[Column]] = defaultdict(list)
    for (channels, period), same in alike.items():
        for group in _distinct(same):
            ends = [row.end for row in group]
            begins = [row.begins() for row in group]
            values = zip(*(row.values() for row in group), strict=True)
            if all(row.qualities == group[0].qualities for row in group):
                qualities: Iterable[Sequence[int]] = ([code] * len(group) for code in group[0].codes())
            else:
                qualities = zip(*(row.codes() for row in group), strict=True)
            odd = any(begins)
            for place, (channel, numbers, codes) in enumerate(
                zip(unpack("I", channels), values, qualities, strict=True)
            ):
                starts = {step: begin[place] for step, begin in enumerate(begins) if place in begin} if odd else {}
                made[channel].append(Column(period, ends, _held(numbers, codes), codes, starts))
    return made


def _held(values: Sequence[int], codes: Sequence[int]) -> Sequence[int]:
    """Where a value is not known, the one before, which is pressed to nothing."""
    if all(code & 1 for code in codes):
        return values
    held, last = [], 0
    for value, code in zip(values, codes, strict=True):
        last = value if qualified(code)[0] else last
        held.append(last)
    return held


def _distinct(same: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows, oldest first, in groups without two of one instant."""
    groups: list[list[Row]] = []
    for row in same:
        group = next((group for group in groups if group[-1].end != row.end), None)
        if group is None:
            groups.append(group := [])
        group.append(row)
    yield from groups

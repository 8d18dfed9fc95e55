"""What came in one batch goes into the file: ticks, stretches, series, renames; all of it or nothing."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from eman_netconf.energy.samples import Channel, Kept, Recorded, Renamed, Sample, Stretch, Tick, worst
from eman_netconf.energy.values import Quantity
from eman_netconf.server.samples.file import SHARD_BITS
from eman_netconf.server.samples.names import Full, Known, Names
from eman_netconf.server.samples.state import State
from eman_netconf.server.samples.stretches import LONG, Overlay, by_hour, overlay
from eman_netconf.server.samples.ticks import Head
from eman_netconf.server.samples.values import DAY, Summary, added_as, fits, hour_of, qualified, quality

#: Of a series whose tick comes before word of the series itself.
_CAPACITY: Final = 1000

_DIRECTIONS: Final = (Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED)


class Filing:
    """Puts what is recorded into an open file; each batch within a transaction of the caller.

    After one that was rolled back, make another.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.names = Names(db)
        self.state = State.read(db)
        self.head = Head(db)
        self.refused = 0  # samples of channels for which there was no room
        self._groups: dict[tuple[float, float, int], list[tuple[int, Sample]]] = defaultdict(list)

    def take(self, batch: Iterable[Recorded]) -> None:
        """Raises sqlite3.Error."""
        for what in batch:
            match what:
                case Tick():
                    self._tick(what)
                case Stretch() | Kept():
                    self._flush()
                    try:
                        self._stretch(what) if isinstance(what, Stretch) else self._kept(what)
                    except Full:
                        self.refused += 1
                case Renamed():
                    self._flush()
                    self._renamed(what)
        self._flush()
        self.state.write(self.db)

    # --- ticks

    def _tick(self, tick: Tick) -> None:
        channels, groups, end, period = self.names.channels, self._groups, tick.end, tick.period
        again = end <= self.state.newest  # another slice of it, or a clock that was set back
        for channel, sample in tick.samples.items():
            known = channels.get(channel) or self._new(channel, period, sample.start)
            if known is None:
                self.refused += 1
                continue
            if known.period != period or (again and sample.start < known.since):
                since = min(known.since, sample.start)
                self.names.change(known, period=period, since=since, capacity=known.capacity)
            if channel.series:
                self._one(known, sample)
            else:
                groups[end, period, known.shelf >> SHARD_BITS].append((known.id, sample))
        self.state.aged = self.state.aged or self.state.newest or end
        self.state.newest = max(self.state.newest, end)

    def _new(self, channel: Channel, period: float, since: float) -> Known | None:
        try:
            return self.names.new(channel, period, since, _CAPACITY if channel.series else 0)
        except Full:
            return None

    def _flush(self) -> None:
        counts: dict[int, int] = defaultdict(int)
        for (end, period, shard), samples in self._groups.items():
            self.head.add(shard, end, period, samples)
            counts[hour_of(end)] += len(samples)
        self._groups.clear()
        self.db.executemany(
            "INSERT INTO hour VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET samples = samples + excluded.samples",
            counts.items(),
        )

    # --- series

    def _one(self, known: Known, sample: Sample) -> None:
        """A sample of a series; the oldest make room."""
        if known.stored is None:
            row = self.db.execute("SELECT count(*) FROM series WHERE channel = ?", (known.id,)).fetchone()
            known.stored = int(row[0])
        if sample.start < known.since:
            self.names.change(known, period=known.period, since=sample.start, capacity=known.capacity)
        before = self.db.execute(
            'SELECT start, "end", value, quality FROM series WHERE channel = ? AND "end" = ?', (known.id, sample.end)
        ).fetchone()
        value = fits(sample.value)
        new = Summary(sample.start, sample.end, value, value or 0, value or 0, *sample[3:])
        if before is None:
            known.stored += 1
        else:
            new = added_as(_summary(*before), new, known.joining)
        self._put(known.id, new)
        self._cap(known, sample.end)

    def _put(self, channel: int, one: Summary) -> None:
        code = quality(one.method, one.coverage, one.mark, one.value is not None)
        self.db.execute(
            "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?)", (channel, one.end, one.start, one.value, code)
        )

    def _cap(self, known: Known, at: float = math.inf) -> None:
        """The oldest make room; before them, what a clock that was wrong put far ahead of ``at``."""
        excess = (known.stored or 0) - known.capacity
        if excess > 0:
            self.db.execute(
                'DELETE FROM series WHERE channel = ? AND "end" IN '
                '(SELECT "end" FROM series WHERE channel = ? ORDER BY "end" > ? DESC, "end" LIMIT ?)',
                (known.id, known.id, at + DAY, excess),
            )
            known.stored = known.capacity

    def _kept(self, kept: Kept) -> None:
        known = self.names.channels.get(kept.channel)
        if not kept.capacity:
            if known is not None:
                self.db.execute("DELETE FROM series WHERE channel = ?", (known.id,))
                self.names.drop(kept.channel)
            return
        capacity = kept.capacity if kept.channel.series else 0
        if known is None:
            known = self.names.new(kept.channel, kept.period, self.state.newest, capacity, kept.joining)
        else:
            self.names.change(known, period=kept.period, since=known.since, capacity=capacity)
            self.names.join(known, kept.joining)
        if kept.channel.series:
            row = self.db.execute("SELECT count(*) FROM series WHERE channel = ?", (known.id,)).fetchone()
            known.stored = int(row[0])
            self._cap(known)

    # --- energy that is known late

    def _stretch(self, stretch: Stretch) -> None:
        """A short one goes into its hours; a long one, and a correction, is added whenever something is read."""
        channels = self._directions(stretch)
        since = overlay(stretch, Quantity.ENERGY_RECEIVED).start
        for _, known in channels:
            if since < known.since:
                self.names.change(known, period=known.period, since=since, capacity=known.capacity)
        if stretch.by:  # what came late the series have told themselves
            self._into_series(stretch)
        late = hour_of(since) < self.state.raw_from
        if stretch.by or late or stretch.end - since > LONG:
            row = (since, stretch.end, stretch.received, stretch.provided, stretch.mark, stretch.at)
            self.db.execute(
                'INSERT INTO stretch (shelf, part, start, "end", received, provided, mark, at, by, reason) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self.names.shelf(stretch.owner), stretch.part, *row, stretch.by, stretch.reason),
            )
            return
        for channel, known in channels:
            self.db.executemany(
                'INSERT INTO piece (channel, shard, hour, start, "end", amount, mark) VALUES (?, ?, ?, ?, ?, ?, ?)',
                [
                    (known.id, known.shard, hour, piece.start, piece.end, piece.amount, piece.mark)
                    for hour, piece in by_hour(overlay(stretch, channel.quantity))
                ],
            )

    def _directions(self, stretch: Stretch) -> list[tuple[Channel, Known]]:
        """The channels of the history it goes into: those that are there, and those that have to be now."""
        found, full = [], False
        for quantity, amount in zip(_DIRECTIONS, (stretch.received, stretch.provided), strict=True):
            channel = Channel(stretch.owner, stretch.part, quantity)
            known = self.names.channels.get(channel)
            if known is None and amount:
                known = self._new(channel, 60.0, stretch.end)
                full = full or known is None
            if known is not None:
                found.append((channel, known))
        if full and not found:
            raise Full
        return found

    def _into_series(self, stretch: Stretch) -> None:
        for channel, known in self.names.of(stretch.owner):
            if channel.series and channel.part == stretch.part and channel.quantity in _DIRECTIONS:
                over = overlay(stretch, channel.quantity)
                rows = self.db.execute(
                    'SELECT start, "end", value, quality FROM series WHERE channel = ? AND "end" > ? AND start < ?',
                    (known.id, over.start, over.end),
                ).fetchall()
                for row in rows:
                    self._put(known.id, _raised(_summary(*row), over))

    # --- renames

    def _renamed(self, renamed: Renamed) -> None:
        for moved, stays in self.names.rename(renamed.before, renamed.after):
            rows = self.db.execute(
                'SELECT start, "end", value, quality FROM series WHERE channel = ?', (moved.id,)
            ).fetchall()
            self.db.execute("DELETE FROM series WHERE channel = ?", (moved.id,))
            for row in rows:
                one = _summary(*row)
                self._one(stays, one.sample())


def _summary(start: float, end: float, value: int | None, code: int) -> Summary:
    _, method, coverage, mark = qualified(code)
    return Summary(start, end, value, value or 0, value or 0, method, coverage, mark)


def _raised(one: Summary, over: Overlay) -> Summary:
    value = (one.value or 0) + over.within(one.start, one.end)
    mark = over.mark if one.value is None else worst(one.mark, over.mark)
    return one._replace(value=value, low=value, high=value, mark=mark)

"""Reading: samples, energy and corrections of one thing, each from one snapshot of the file."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from eman_netconf.energy.samples import Channel, Energy, Joining, Mark, Sample, Span, Stretch, worst
from eman_netconf.energy.values import Quantity
from eman_netconf.server.samples import ticks
from eman_netconf.server.samples.columns import Column, decode, decode_summaries, merged
from eman_netconf.server.samples.file import SHARD_BITS, SHELF_BITS, open_to_read
from eman_netconf.server.samples.names import joining_of
from eman_netconf.server.samples.state import State
from eman_netconf.server.samples.stretches import Overlay, overlay, spread
from eman_netconf.server.samples.values import (
    DAY,
    HOUR,
    Summary,
    added,
    began,
    hour_of,
    qualified,
    share,
    together,
    together_as,
)

_DAYS: Final = 32  # days that are looked up at once
_EPSILON: Final = 1e-3  # seconds of which a gap is none


class Level(IntEnum):
    """How fine what is kept is."""

    RAW = 0
    HOURLY = HOUR
    DAILY = DAY


class Unit(NamedTuple):
    """An hour or a day of a channel; ``parts`` by ascending end, without what overlays add."""

    start: int
    end: int
    level: Level
    parts: list[Summary]


@dataclass(frozen=True, slots=True)
class _Found:
    """A channel in the file: more than one number when owners were put together."""

    places: tuple[tuple[int, int], ...]  # shelf and channel
    period: float
    since: float
    joining: Joining

    @property
    def energy(self) -> bool:
        return self.joining is Joining.SUM

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(channel for _, channel in self.places)


class Reader:
    """The file of ``path``, read beside whoever writes it, by one thread at a time.

    Raises SamplesUnusable or sqlite3.Error when it cannot be read, ValueError for what is damaged in it.
    """

    def __init__(self, path: Path) -> None:
        self._db = open_to_read(path)

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[State]:
        self._db.execute("BEGIN")
        try:
            yield State.read(self._db)
        finally:
            self._db.execute("COMMIT")

    # --- what operations ask

    def samples(
        self, channel: Channel, start: float, end: float, resolution: float | None, limit: int
    ) -> tuple[list[Sample], float | None]:
        """As operations/samples_port.py says."""
        with self._snapshot() as state:
            found: list[Sample] = []
            for item in self._summaries(state, channel, start, end, resolution):
                if len(found) == limit:
                    return found, found[-1].end
                found.append(item.sample())
            return found, None

    def summaries(
        self, channel: Channel, start: float, end: float, resolution: float | None, limit: int
    ) -> tuple[list[Summary], float | None]:
        """As ``samples``, with the least and the greatest value of each interval."""
        with self._snapshot() as state:
            found: list[Summary] = []
            for item in self._summaries(state, channel, start, end, resolution):
                if len(found) == limit:
                    return found, found[-1].end
                found.append(item)
            return found, None

    def energy(self, owner: str, part: str, start: float, end: float) -> Energy | None:
        """As operations/samples_port.py says."""
        with self._snapshot() as state:
            both = [
                self._found(Channel(owner, part, quantity))
                for quantity in (Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED)
            ]
            known = [found for found in both if found is not None]
            if not known:
                return None
            start = max(start, min(found.since for found in known))
            end = min(end, max(state.horizon, self._late(owner, part, known)))
            if end <= start:
                return None
            sums = [None if found is None else self._sum(state, found, start, end) for found in both]
            there = [one for one in sums if one is not None]
            values = [None if one is None else one[0] for one in sums]
            coverage = min(one[1] for one in there)
            return Energy(values[0], values[1], start, end, coverage, worst(*(one[2] for one in there)))

    def span(self, channel: Channel) -> Span:
        """As operations/samples_port.py says; of the history of the site, what is kept at its finest."""
        with self._snapshot() as state:
            found = self._found(channel)
            if found is None:
                return Span(0, None, None)
            if channel.series:
                marks = ",".join("?" * len(found.ids))
                row = self._db.execute(
                    f'SELECT count(*), min(start), max("end") FROM series WHERE channel IN ({marks})',  # noqa: S608 - marks
                    tuple(found.ids),
                ).fetchone()
                return Span(*row)
            count, oldest, newest = 0, None, None
            since = max(found.since, state.raw_from * HOUR, self._oldest())
            for unit in self._units(state, found, since, state.horizon, 0):
                for part in unit.parts:
                    count += 1
                    oldest = part.start if oldest is None else oldest
                    newest = part.end
            return Span(count, oldest, newest)

    def corrections(self, owner: str, part: str, start: float, end: float) -> list[Stretch]:
        """As operations/samples_port.py says."""
        with self._snapshot():
            return [one for one in self._stretches(owner, part, start, end) if one.by]

    # --- what the command line asks

    def channels(self, owners: Iterable[str] = ()) -> list[Channel]:
        """All channels that are kept, or those of ``owners``, by name."""
        wanted = set(owners)
        rows = self._db.execute(
            "SELECT DISTINCT owner, part, quantity, phase, series FROM channel JOIN shelf ON shelf.id = shelf "
            "ORDER BY owner, part, quantity, phase, series"
        ).fetchall()
        return [Channel(*row) for row in rows if not wanted or row[0] in wanted]

    # --- names

    def _found(self, channel: Channel) -> _Found | None:
        rows = self._db.execute(
            "SELECT shelf.id, channel.id, period, since, joining FROM shelf JOIN channel ON shelf = shelf.id "
            "WHERE owner = ? AND part = ? AND quantity = ? AND phase = ? AND series = ? ORDER BY channel.id",
            channel,
        ).fetchall()
        if not rows:
            return None
        return _Found(
            tuple((shelf, id_) for shelf, id_, *_ in rows),
            rows[0][2],
            min(row[3] for row in rows),
            joining_of(channel, rows[0][4]),
        )

    def _oldest(self) -> float:
        """Before this nothing is kept of anything, whenever it may have begun by a clock that was wrong."""
        found = [
            self._db.execute(f"SELECT {oldest}").fetchone()[0]
            for oldest in (
                f"(min(key) >> {SHELF_BITS}) * {DAY} FROM daily",
                f"(min(key) >> {SHELF_BITS}) * {HOUR} FROM hourly",
                f"(min(key) >> {SHELF_BITS}) * {HOUR} FROM block",
                f"min(hour) * {HOUR} FROM hour",
                f"min(hour) * {HOUR} FROM piece",
                "min(start) FROM stretch",
            )
        ]
        return min((float(one) for one in found if one is not None), default=0.0)

    def _stretches(self, owner: str, part: str, start: float, end: float) -> list[Stretch]:
        rows = self._db.execute(
            'SELECT start, "end", received, provided, mark, at, by, reason FROM stretch JOIN shelf ON shelf.id = shelf '
            'WHERE owner = ? AND part = ? AND start < ? AND "end" > ? ORDER BY stretch.id',
            (owner, part, end, start),
        )
        return [
            Stretch(owner, part, since, until, received, provided, Mark(mark), at, by, reason)
            for since, until, received, provided, mark, at, by, reason in rows
        ]

    def _late(self, owner: str, part: str, known: Iterable[_Found]) -> float:
        """The end of what came late: after a restart the interval that holds it may not be over for anybody yet."""
        (end,) = self._db.execute(
            'SELECT max("end") FROM stretch JOIN shelf ON shelf.id = shelf WHERE owner = ? AND part = ?', (owner, part)
        ).fetchone()
        ends = [end or 0.0]
        for id_ in (id_ for found in known for id_ in found.ids):
            (end,) = self._db.execute('SELECT max("end") FROM piece WHERE channel = ?', (id_,)).fetchone()
            ends.append(end or 0.0)
        return max(ends, default=0.0)

    def _overlays(self, channel: Channel, found: _Found, start: float, end: float) -> list[Overlay]:
        if not found.energy:
            return []
        overlays = [overlay(one, channel.quantity) for one in self._stretches(channel.owner, channel.part, start, end)]
        for id_ in found.ids:
            rows = self._db.execute(
                'SELECT start, "end", amount, mark FROM piece WHERE channel = ? AND start < ? AND "end" > ? '
                "ORDER BY id",
                (id_, end, start),
            )
            overlays += [
                Overlay(since, until, amount, Mark(mark), mark != Mark.MISSING) for since, until, amount, mark in rows
            ]
        return overlays

    # --- samples

    def _summaries(
        self, state: State, channel: Channel, start: float, end: float, resolution: float | None
    ) -> Iterator[Summary]:
        """What ends in (start, end], gaps included."""
        found = self._found(channel)
        if found is None:
            return
        start = max(start, found.since)
        step = math.ceil((resolution or 0) / found.period - 1e-9) * found.period if resolution else 0.0
        if step <= found.period:
            step = 0.0
        if channel.series:
            oldest = next(self._rows(found, 0.0, end), None)
            start = max(start, oldest.start if oldest is not None else start)
            values = _joined(
                self._rows(found, start // step * step if step else start, end), step, found.joining, found.since
            )
        else:
            start, end = max(start, self._oldest()), min(end, state.horizon)
            if end <= start:
                return
            values = self._history(state, channel, found, start, end, step)
        at, later = start, None
        for item in values:
            if item.end > end:
                later = item.start
                break
            if item.end > start:
                yield from _gap(at, item.start, start, step)
                yield item
                at = max(at, math.ceil(item.end / step - 1e-9) * step if step else item.end)
        if end - at > _EPSILON:
            later = self._later(state, channel, found, end) if later is None else later
            if later is not None:
                yield from _gap(at, min(end, later), start, step)

    def _rows(self, found: _Found, start: float, end: float) -> Iterator[Summary]:
        marks = ",".join("?" * len(found.ids))
        rows = self._db.execute(
            'SELECT start, "end", value, quality FROM series '  # noqa: S608 - question marks
            f'WHERE channel IN ({marks}) AND "end" > ? AND "end" <= ? ORDER BY "end"',
            (*found.ids, start, end),
        )
        for since, until, value, code in rows:
            _, method, coverage, mark = qualified(code)
            yield Summary(since, until, value, value or 0, value or 0, method, coverage, mark)

    def _history(
        self, state: State, channel: Channel, found: _Found, start: float, end: float, step: float
    ) -> Iterator[Summary]:
        since = start // step * step if step else start
        overlays = self._overlays(channel, found, since, end)
        units = self._units(state, found, since, end, step, always=bool(overlays))
        for level, group in groupby(units, key=lambda unit: unit.level):
            raster = math.ceil(step / level) * level if level and step else step
            yield from _joined(self._spread(group, overlays, found, level), raster, found.joining, found.since)

    @staticmethod
    def _spread(units: Iterable[Unit], overlays: Sequence[Overlay], found: _Found, level: Level) -> Iterator[Summary]:
        for unit in units:
            over = [one for one in overlays if one.start < unit.end and one.end > unit.start]
            if over:
                since = began(unit.start, unit.end, found.since)
                yield from spread(unit.parts, over, since, unit.end, level or found.period)
            else:
                yield from unit.parts

    def _later(self, state: State, channel: Channel, found: _Found, end: float) -> float | None:
        """When the first interval that ends after ``end`` begins; None when there is none."""
        if channel.series:
            parts = self._rows(found, end, math.inf)
        elif end >= state.horizon:
            return None
        else:
            units = self._units(state, found, end, state.horizon, 0)
            parts = (part for unit in units for part in unit.parts if part.end > end)
        return next((part.start for part in parts), None)

    # --- energy

    def _sum(self, state: State, found: _Found, start: float, end: float) -> tuple[int | None, float, Mark]:
        """Energy from ``start`` to ``end``, its coverage in percent, and its mark."""
        total, known, covered, there = 0, False, 0.0, 0.0
        marks = [Mark.MEASURED]
        for unit in self._units(state, found, start, end, DAY, whole=(start, end)):
            for part in unit.parts:
                begin, until = max(part.start, start), min(part.end, end)
                if until <= begin:
                    continue
                there += until - begin
                covered += part.coverage * (until - begin)
                marks.append(part.mark)
                if part.value is None:
                    continue
                known = True
                total += share(part.value, part.start, part.end, start, end)
                if until - begin < part.end - part.start - _EPSILON:
                    marks.append(Mark.ESTIMATED)
        owner = self._channel_of(found)
        for over in self._overlays(owner, found, start, end):
            begin, until = max(over.start, start), min(over.end, end)
            total += over.within(start, end)
            marks.append(over.mark)
            known = True
            if over.counted:
                covered += 100.0 * (until - begin)
                there += max(min(until, state.horizon) - begin, 0.0)
            if until - begin < over.end - over.start - _EPSILON:
                marks.append(Mark.ESTIMATED)
        if there < min(end, state.horizon) - start - _EPSILON:
            marks.append(Mark.MISSING)
        coverage = min(100.0, round(covered / (end - start), 2))
        return total if known else None, coverage, worst(*marks)

    def _channel_of(self, found: _Found) -> Channel:
        row = self._db.execute(
            "SELECT owner, part, quantity FROM channel JOIN shelf ON shelf.id = shelf WHERE channel.id = ?",
            (found.places[0][1],),
        ).fetchone()
        return Channel(*row)

    # --- units of time

    def _units(
        self,
        state: State,
        found: _Found,
        start: float,
        end: float,
        step: float,
        *,
        whole: tuple[float, float] | None = None,
        always: bool = False,
    ) -> Iterator[Unit]:
        """The hours and days from ``start`` to ``end`` in which something is kept (or ``always``), oldest first.

        They are as coarse as ``step`` allows, or finer where they have to lie within ``whole``; coarser where nothing
        finer is left.
        """
        first, last = int(start // HOUR), hour_of(end)
        late = self._head(found, first, last)

        def level_of(hour: int) -> Level:
            day = hour // 24
            if day < state.hourly_from:
                return Level.DAILY
            inside = whole is None or (whole[0] <= day * DAY and (day + 1) * DAY <= whole[1])
            if step and step % DAY == 0 and day < state.closed and inside:
                return Level.DAILY
            inside = whole is None or (whole[0] <= hour * HOUR and (hour + 1) * HOUR <= whole[1])
            if hour < state.raw_from or (step and step % HOUR == 0 and inside):
                return Level.HOURLY
            return Level.RAW

        hour = first
        while hour <= last:
            plan: list[tuple[Level, int]] = []
            while hour <= last and len(plan) < _DAYS and (not plan or plan[0][0] is Level.DAILY or hour % 24):
                level = level_of(hour)
                plan.append((level, hour // 24 if level is Level.DAILY else hour))
                hour = (hour // 24 + 1) * 24 if level is Level.DAILY else hour + 1
            yield from self._read(found, plan, late, always=always)

    def _read(
        self,
        found: _Found,
        plan: Sequence[tuple[Level, int]],
        late: dict[int, list[tuple[int, Column]]],
        *,
        always: bool,
    ) -> Iterator[Unit]:
        bodies: dict[Level, dict[int, list[bytes]]] = {}
        for level in {level for level, _ in plan}:
            bodies[level] = self._bodies(level, [number for own, number in plan if own is level], found)
        ids = found.ids
        for level, number in plan:
            length = DAY if level is Level.DAILY else HOUR
            start, end = number * length, (number + 1) * length
            hours = range(number * 24, number * 24 + 24) if level is Level.DAILY else range(number, number + 1)
            here = bodies[level].get(number, ())
            fresh = [one for hour in hours for _, one in late.get(hour, ())]
            if level is Level.RAW:
                columns = [one for body in here for id_, one in decode(body, ids.__contains__).items() if id_ in ids]
                columns += fresh
                parts = merged(columns, energy=found.energy) if columns else []
            else:
                begin = began(start, end, found.since)
                parts = [one for body in here for id_, one in decode_summaries(body, begin, end).items() if id_ in ids]
                if fresh:
                    more = merged(fresh, energy=found.energy)
                    parts = [*parts, together(more, begin, end, energy=found.energy)] if parts else more
                if len({part.end for part in parts}) == 1:
                    parts = [_added(parts, energy=found.energy)]
            if parts or always:
                yield Unit(start, end, level, parts)

    def _bodies(self, level: Level, numbers: Sequence[int], found: _Found) -> dict[int, list[bytes]]:
        shelves = {shelf for shelf, _ in found.places}
        keys = [number << SHELF_BITS | shelf for number in numbers for shelf in shelves]
        table = {Level.RAW: "block", Level.HOURLY: "hourly", Level.DAILY: "daily"}[level]
        bodies: dict[int, list[bytes]] = defaultdict(list)
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, body FROM {table} WHERE key IN ({marks}) ORDER BY key"  # noqa: S608 - our word, marks
        for key, body in self._db.execute(query, keys):
            bodies[key >> SHELF_BITS].append(body)
        return bodies

    def _head(self, found: _Found, first: int, last: int) -> dict[int, list[tuple[int, Column]]]:
        """What is not sealed yet, by hour."""
        by_hour: dict[int, list[tuple[int, Column]]] = defaultdict(list)
        ids = found.ids
        for shard in {shelf >> SHARD_BITS for shelf, _ in found.places}:
            for hour, id_, one in ticks.of_channels(ticks.rows(self._db, shard, first, last), ids):
                by_hour[hour].append((id_, one))
        return by_hour


def _added(parts: Sequence[Summary], *, energy: bool) -> Summary:
    total = parts[0]
    for part in parts[1:]:
        total = added(total, part, energy=energy)
    return total


def _joined(parts: Iterable[Summary], step: float, joining: Joining, since: float) -> Iterator[Summary]:
    """``parts``, of a channel that is kept ``since`` then, put together into intervals of ``step``; 0 = as they are."""
    if not step:
        yield from parts
        return
    for number, group in groupby(parts, key=lambda part: math.ceil(part.end / step - 1e-9)):
        yield together_as(list(group), began((number - 1) * step, number * step, since), number * step, joining)


def _gap(at: float, until: float, start: float, step: float) -> Iterator[Summary]:
    """What is not known from ``at`` to ``until``: one gap, or as many as intervals of ``step`` are missing."""
    if step:
        number = math.floor(at / step + 1e-9)
        while (number + 1) * step <= until + _EPSILON:
            if (number + 1) * step > start:
                yield Summary(number * step, (number + 1) * step, None, 0, 0, "", 0.0, Mark.MISSING)
            number += 1
    elif until - at > _EPSILON:
        yield Summary(at, until, None, 0, 0, "", 0.0, Mark.MISSING)

"""Sealing: the ticks of an hour that is over become a block and a roll-up per shelf; hours of a day become a day."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from eman_netconf.energy.samples import Mark
from eman_netconf.server.samples import ticks
from eman_netconf.server.samples.columns import (
    Column,
    column,
    decode,
    decode_summaries,
    encode,
    encode_summaries,
    joined,
    summarised,
)
from eman_netconf.server.samples.file import SHARD_BITS, SHELF_BITS
from eman_netconf.server.samples.names import Names
from eman_netconf.server.samples.state import State
from eman_netconf.server.samples.stretches import Overlay, spread
from eman_netconf.server.samples.values import DAY, HOUR, Summary, added, began, together

log = logging.getLogger(__name__)

#: Seconds after its end in which an hour is not sealed, since ticks of it may still come.
GRACE: Final = 300.0

_OF_A_DAY: Final = 64  # shelves whose days are put together at once


def due(db: sqlite3.Connection, now: float) -> list[tuple[int, int]]:
    """The hours and shards to seal at ``now``, oldest first."""
    before = int((now - GRACE) // HOUR)
    return db.execute(
        "SELECT hour, shard FROM tick WHERE hour < ? UNION SELECT hour, shard FROM piece WHERE hour < ? ORDER BY 1, 2",
        (before, before),
    ).fetchall()


def seal(db: sqlite3.Connection, names: Names, state: State, hour: int, shard: int) -> None:
    """One shard of one hour, within a transaction. What is sealed already is taken up again, with what came late."""
    found = ticks.columns(ticks.rows(db, shard, hour, hour))
    pieces = _pieces(db, hour, shard)
    by_shelf: dict[int, list[int]] = defaultdict(list)
    for channel in sorted(found.keys() | pieces.keys()):
        known = names.by_id.get(channel)
        if known is not None:  # else it was dropped
            by_shelf[known.shelf].append(channel)
    for shelf, channels in by_shelf.items():
        key = hour << SHELF_BITS | shelf
        block = _block(db, key) if hour >= state.raw_from else {}
        fresh: dict[int, Column] = {}
        for channel in channels:
            parts = [*([block[channel]] if channel in block else []), *found.get(channel, ())]
            fresh[channel] = _whole(names, channel, parts, pieces.get(channel, ()), hour)
        if hour >= state.raw_from:
            db.execute("INSERT OR REPLACE INTO block VALUES (?, ?)", (key, encode({**block, **fresh})))
        _roll_up(db, names, state, hour, shelf, fresh)
    state.sealed = max(state.sealed, hour + 1)
    state.write(db)
    db.execute("DELETE FROM tick WHERE shard = ? AND hour = ?", (shard, hour))
    db.execute("DELETE FROM piece WHERE shard = ? AND hour = ?", (shard, hour))
    if state.hourly_from <= hour // 24 < state.closed:
        close_shelves(db, names, hour // 24, shard << SHARD_BITS, (shard + 1) << SHARD_BITS)


def _pieces(db: sqlite3.Connection, hour: int, shard: int) -> Mapping[int, Sequence[Overlay]]:
    found: dict[int, list[Overlay]] = defaultdict(list)
    rows = db.execute(
        'SELECT channel, start, "end", amount, mark FROM piece WHERE hour = ? AND shard = ? ORDER BY id', (hour, shard)
    )
    for channel, start, end, amount, mark in rows:
        found[channel].append(Overlay(start, end, amount, Mark(mark), mark != Mark.MISSING))
    return found


def _block(db: sqlite3.Connection, key: int) -> dict[int, Column]:
    row = db.execute("SELECT body FROM block WHERE key = ?", (key,)).fetchone()
    if row is None:
        return {}
    try:
        return decode(row[0])
    except ValueError as error:
        log.error("samples of one hour are lost: %s", error)
        return {}


def _summaries(body: bytes, start: float, end: float) -> dict[int, Summary]:
    try:
        return decode_summaries(body, start, end)
    except ValueError as error:
        log.error("sums of one hour or day are lost: %s", error)
        return {}


def _whole(names: Names, channel: int, parts: list[Column], pieces: Iterable[Overlay], hour: int) -> Column:
    energy = channel in names.energies
    period = parts[0].period if parts else names.by_id[channel].period
    if not pieces:
        return joined(parts, energy=energy)
    samples = joined(parts, energy=energy).summaries() if parts else []
    end = (hour + 1) * HOUR
    return column(spread(samples, pieces, began(hour * HOUR, end, names.by_id[channel].since), end, period), period)


def _roll_up(
    db: sqlite3.Connection, names: Names, state: State, hour: int, shelf: int, fresh: Mapping[int, Column]
) -> None:
    """The hour of a shelf; where the finer samples are gone, what came late is added to what is left."""
    start, end = hour * HOUR, (hour + 1) * HOUR
    new = {
        channel: summarised(one, began(start, end, names.by_id[channel].since), end, energy=channel in names.energies)
        for channel, one in fresh.items()
    }
    table, key = "hourly", hour << SHELF_BITS | shelf
    if hour // 24 < state.hourly_from:
        table, key = "daily", (hour // 24) << SHELF_BITS | shelf
        start, end = hour // 24 * DAY, (hour // 24 + 1) * DAY
        new = {
            channel: together(
                [one], began(start, end, names.by_id[channel].since), end, energy=channel in names.energies
            )
            for channel, one in new.items()
        }
    row = db.execute(f"SELECT body FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608 - one of two words
    before = {} if row is None else _summaries(row[0], start, end)
    if hour < state.raw_from:
        for channel, one in new.items():
            if channel in before:
                new[channel] = added(before[channel], one, energy=channel in names.energies)
    body = encode_summaries({**before, **new})
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, body))  # noqa: S608 - one of two words


# --- days


def day_due(db: sqlite3.Connection, state: State, now: float) -> int | None:
    """The next day whose hours are all sealed and not put together yet; None when there is none at ``now``."""
    row = db.execute(
        "SELECT key FROM hourly WHERE key >= ? ORDER BY key LIMIT 1", (state.closed * 24 << SHELF_BITS,)
    ).fetchone()
    if row is None:
        return None
    day = (int(row[0]) >> SHELF_BITS) // 24
    return day if (day + 1) * DAY + GRACE < now else None


def close_some(db: sqlite3.Connection, names: Names, day: int, first: int) -> int | None:
    """Put together the hours of ``day`` of some shelves from ``first`` on; where to go on, None when that was all."""
    row = db.execute("SELECT max(id) FROM shelf").fetchone()
    close_shelves(db, names, day, first, first + _OF_A_DAY)
    return first + _OF_A_DAY if row[0] is not None and first + _OF_A_DAY <= row[0] else None


def close_shelves(db: sqlite3.Connection, names: Names, day: int, first: int, last: int) -> None:
    """The day of the shelves from ``first`` to before ``last``, from what is kept of its hours."""
    parts: dict[int, dict[int, list[Summary]]] = defaultdict(lambda: defaultdict(list))
    for hour in range(day * 24, day * 24 + 24):
        rows = db.execute(
            "SELECT key, body FROM hourly WHERE key >= ? AND key < ?",
            (hour << SHELF_BITS | first, (hour << SHELF_BITS) + last),
        )
        for key, body in rows:
            shelf = parts[key & (1 << SHELF_BITS) - 1]
            for channel, one in _summaries(body, hour * HOUR, (hour + 1) * HOUR).items():
                known = names.by_id.get(channel)
                if known is not None:  # else it was dropped
                    shelf[channel].append(one._replace(start=began(one.start, one.end, known.since)))
    start, end = day * DAY, (day + 1) * DAY
    for number, channels in parts.items():
        days = {
            channel: together(
                hours, began(start, end, names.by_id[channel].since), end, energy=channel in names.energies
            )
            for channel, hours in channels.items()
        }
        db.execute("INSERT OR REPLACE INTO daily VALUES (?, ?)", (day << SHELF_BITS | number, encode_summaries(days)))

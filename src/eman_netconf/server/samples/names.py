"""Who is who: owners and channels by number, as the writer knows them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from eman_netconf.energy.samples import Channel, Joining
from eman_netconf.server.samples.file import SHARD_BITS, SHELF_BITS
from eman_netconf.server.samples.values import ENERGIES

_MOST_SHELVES: Final = 1 << SHELF_BITS

#: Channels kept at most. The largest site has a tenth of it; each takes about half a kilobyte of memory.
MOST_CHANNELS: Final = 1_000_000


class Full(Exception):
    """There are as many channels as there may be; a new one gets a number once others are forgotten."""


@dataclass(slots=True)
class Known:
    """A channel in the file."""

    id: int
    shelf: int
    period: float
    capacity: int  # 0 = the history of the site
    since: float  # the start of its oldest sample, kept or not
    joining: Joining = Joining.MEAN  # of a series
    stored: int | None = None  # samples of a series; None = not counted yet

    @property
    def shard(self) -> int:
        return self.shelf >> SHARD_BITS


class Names:
    """All names of a file. After a transaction that was rolled back they are read anew."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._owners: dict[str, int] = {}  # the oldest shelf of each
        self._of: dict[str, list[Channel]] = {}
        self.channels: dict[Channel, Known] = {}
        self.energies: set[int] = set()  # ids of channels that are added, not averaged
        self.by_id: dict[int, Known] = {}
        self.since: float | None = None  # the oldest sample of all
        self._last: int = db.execute("SELECT coalesce(max(id), 0) FROM shelf").fetchone()[0]  # shelf that got a number
        self._read()

    def _read(self, owner: str | None = None) -> None:
        """What the file has of all, or of one owner of whom nothing is known here."""
        of, name = ("", ()) if owner is None else ("WHERE owner = ? ", (owner,))
        for shelf, whose in self._db.execute(f"SELECT id, owner FROM shelf {of}ORDER BY id DESC", name):  # noqa: S608 - our words
            self._owners[whose] = shelf
        rows = self._db.execute(
            "SELECT owner, part, quantity, phase, series, channel.id, shelf, period, capacity, since, joining "  # noqa: S608 - our words
            f"FROM channel JOIN shelf ON shelf.id = shelf {of}ORDER BY channel.id DESC",
            name,
        )
        for *name, id_, shelf, period, capacity, since, joining in rows:
            channel = Channel(*name)
            self._take_up(channel, Known(id_, shelf, period, capacity, since, joining_of(channel, joining)))

    def _take_up(self, channel: Channel, known: Known) -> None:
        if channel not in self.channels:
            self._of.setdefault(channel.owner, []).append(channel)
        self.channels[channel] = known
        self.by_id[known.id] = known
        self.since = known.since if self.since is None else min(self.since, known.since)
        if channel.quantity in ENERGIES:
            self.energies.add(known.id)

    def shelf(self, owner: str) -> int:
        """The number of an owner, who gets one if there is none. Raises Full."""
        found = self._owners.get(owner)
        if found is None:
            if len(self._owners) >= MOST_CHANNELS:
                raise Full
            found = self._owners[owner] = self._number()
            self._db.execute("INSERT INTO shelf VALUES (?, ?)", (found, owner))
        return found

    def _number(self) -> int:
        """The next one that is free, round and round: those of the forgotten are given again."""
        for _ in range(_MOST_SHELVES):
            self._last = self._last % (_MOST_SHELVES - 1) + 1
            if self._db.execute("SELECT 1 FROM shelf WHERE id = ?", (self._last,)).fetchone() is None:
                return self._last
        raise Full

    @property
    def full(self) -> bool:
        return max(len(self.by_id), len(self._owners)) >= MOST_CHANNELS

    def of(self, owner: str) -> list[tuple[Channel, Known]]:
        """The channels of an owner."""
        return [(channel, self.channels[channel]) for channel in self._of.get(owner, ())]

    def new(
        self, channel: Channel, period: float, since: float, capacity: int = 0, joining: Joining | None = None
    ) -> Known:
        """A channel that is not there yet. Raises Full, but of series, which are as many as are configured."""
        if self.full and not channel.series:
            raise Full
        shelf = self.shelf(channel.owner)
        row = (
            shelf,
            channel.part,
            channel.quantity,
            channel.phase,
            channel.series,
            period,
            capacity,
            since,
            joining or "",
        )
        made = self._db.execute(
            "INSERT INTO channel (shelf, part, quantity, phase, series, period, capacity, since, joining) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        known = Known(made.lastrowid or 0, shelf, period, capacity, since, joining_of(channel, joining or ""), 0)
        self._take_up(channel, known)
        return known

    def change(self, known: Known, *, period: float, since: float, capacity: int) -> None:
        """Another period or capacity, or older samples than all before."""
        known.period, known.since, known.capacity = period, since, capacity
        self.since = since if self.since is None else min(self.since, since)
        self._db.execute(
            "UPDATE channel SET period = ?, since = ?, capacity = ? WHERE id = ?", (period, since, capacity, known.id)
        )

    def join(self, known: Known, joining: Joining) -> None:
        """A series whose values become coarser in another way than was known."""
        if joining is not known.joining:
            known.joining = joining
            self._db.execute("UPDATE channel SET joining = ? WHERE id = ?", (joining, known.id))

    def drop(self, channel: Channel) -> None:
        """Nobody asks for this channel any more; what blocks hold of it is passed over until it goes with them."""
        known = self.channels.pop(channel)
        del self.by_id[known.id]
        self.energies.discard(known.id)  # its number may be given again
        self._db.execute("DELETE FROM channel WHERE id = ?", (known.id,))
        self._of[channel.owner].remove(channel)

    def forget(self, shelves: Collection[int]) -> None:
        """Nothing is kept of these shelves any more: their numbers and those of their channels go."""
        owners: set[str] = set()
        for shelf in shelves:
            owners.update(owner for (owner,) in self._db.execute("SELECT owner FROM shelf WHERE id = ?", (shelf,)))
            for (id_,) in self._db.execute("SELECT id FROM channel WHERE shelf = ?", (shelf,)):
                self.by_id.pop(id_, None)
                self.energies.discard(id_)
            self._db.execute("DELETE FROM channel WHERE shelf = ?", (shelf,))
            self._db.execute("DELETE FROM shelf WHERE id = ?", (shelf,))
        for owner in owners:
            self._owners.pop(owner, None)
            for channel in self._of.pop(owner, ()):
                del self.channels[channel]
            self._read(owner)  # who was put together of several has others

    def rename(self, before: str, after: str) -> list[tuple[Known, Known]]:
        """All of ``before`` belongs to ``after``. Answers the channels that both had, the moved one first."""
        self._db.execute("UPDATE shelf SET owner = ? WHERE owner = ?", (after, before))
        shelf = self._owners.pop(before, None)
        if shelf is not None:
            self._owners.setdefault(after, shelf)
        both = []
        for channel in self._of.pop(before, []):
            known, moved = self.channels.pop(channel), channel._replace(owner=after)
            if moved in self.channels:
                both.append((known, self.channels[moved]))
            else:
                self._take_up(moved, known)
        return both


def joining_of(channel: Channel, stored: str) -> Joining:
    """How values of a channel become coarser, by what the file says of it."""
    if stored:
        return Joining(stored)
    return Joining.SUM if channel.quantity in ENERGIES else Joining.MEAN

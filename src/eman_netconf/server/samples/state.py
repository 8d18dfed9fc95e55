"""How far the file got: what was dropped, put together and written last; the same for writer and readers."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass

from eman_netconf.server.samples.values import DAY, HOUR


@dataclass(slots=True)
class State:
    """Numbers of the table meta. Hours and days count from the epoch."""

    raw_from: int = 0  # before this hour blocks were dropped
    hourly_from: int = 0  # before this day hours were dropped
    sealed: int = 0  # the hours before this one are sealed, but for what comes late
    closed: int = 0  # the days before this one are put together
    newest: float = 0.0  # the end of the newest tick
    aged: float = 0.0  # up to when time is known to have passed (retention.Age); 0 = not known

    @property
    def horizon(self) -> float:
        """The end of what is over: nothing is told of a time after it."""
        return max(self.newest, self.sealed * float(HOUR), self.closed * float(DAY))

    @classmethod
    def read(cls, db: sqlite3.Connection) -> State:
        known = {name: value for name, value in db.execute("SELECT name, value FROM meta") if name in cls.__slots__}
        return cls(**known)

    def write(self, db: sqlite3.Connection) -> None:
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", asdict(self).items())

"""The thread that alone writes samples.sqlite: batches as they come, sealing and dropping in between."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eman_netconf.energy.samples import Recorded
from eman_netconf.energy.values import Now
from eman_netconf.server.samples import forgetting, retention, sealing
from eman_netconf.server.samples.file import SamplesUnusable, damaged, empty_journal, open_to_write, place, set_aside
from eman_netconf.server.samples.filing import Filing
from eman_netconf.server.samples.names import MOST_CHANNELS
from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.values import DAY, HOUR
from eman_netconf.server.samples.waiting import BATCH, Waiting, weight

log = logging.getLogger(__name__)

#: Seconds from a sample to the disk, about; what a crash may lose.
WRITE_WITHIN: Final = 1.0

#: Seconds between looks for what is to be sealed, dropped or told.
LOOK_EVERY: Final = 10.0

_PATIENCE: Final = 10.0  # seconds a disk has at the end


@dataclass(frozen=True, slots=True)
class Told:
    """What the store says of itself; times in seconds since the epoch, None when there is none."""

    samples: int = 0
    size: int = 0
    oldest: float | None = None
    newest: float | None = None
    last_write: float | None = None
    lost: int = 0


class Writer:
    """One thread, from ``start`` to ``close``. ``now`` tells the clocks by which samples age."""

    def __init__(self, path: Path, now: Callable[[], Now], settings: Settings, most: int) -> None:
        self._path = path
        self._now = now
        self._change = threading.Condition()
        # under _change
        self._waiting = Waiting(most)
        self._put = 1  # things that came, the file itself among them, and that are in the file or given up
        self._done = 0
        self._wanted: list[tuple[int, Future[None]]] = []
        self._stopping = self._held = False
        self._since: float | None = None  # when the oldest that waits came
        self.settings = settings
        # of the thread
        self._db: sqlite3.Connection | None = None
        self._filing: Filing | None = None
        self._age = retention.Age()
        self._round = forgetting.Round()
        self._place: tuple[int, int] | None = None  # of the file that is open
        self._moved = self._trouble = self._full = False  # told, and not over
        self._looked = -LOOK_EVERY
        self._last_write: float | None = None
        self._closing: tuple[int, int] | None = None  # the day that is put together, and the next shelf
        self.told = Told()
        self.files = 0  # how often a file was begun or taken up: readers open it anew
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # --- from other threads

    def put(self, what: Recorded) -> None:
        """Have it written soon; never waits."""
        with self._change:
            self._waiting.put(what)
            self._put += 1
            if self._since is None:
                self._since = time.monotonic()
                self._change.notify_all()
            elif self._waiting.samples >= BATCH:
                self._change.notify_all()

    def flushed(self) -> Future[None]:
        """Done when everything that came by now is in the file."""
        future: Future[None] = Future()
        with self._change:
            if self._done >= self._put:
                future.set_result(None)
            else:
                self._wanted.append((self._put, future))
                self._change.notify_all()
        return future

    def configure(self, settings: Settings) -> None:
        with self._change:
            self.settings = settings
            self._looked = -LOOK_EVERY
            self._change.notify_all()

    def hold(self, held: bool) -> None:
        """Write nothing, and keep what comes within bounds, until it is not held any more."""
        with self._change:
            if held is not self._held:
                self._held = held
                self._change.notify_all()

    def stop(self) -> None:
        """Write the rest, and end; does not wait."""
        with self._change:
            self._stopping = True
            self._change.notify_all()

    def join(self, patience: float = _PATIENCE) -> bool:
        """Wait for the end; False when the disk holds it up."""
        self._thread.join(patience)
        return not self._thread.is_alive()

    @property
    def lost(self) -> int:
        with self._change:
            return self._waiting.lost

    # --- the thread

    def _run(self) -> None:
        pause = 0.0
        while self._wait(pause):
            pause = 0.0
            if self._write() and not self._stopping:
                started = time.monotonic()
                if self._tend():
                    pause = time.monotonic() - started  # as long as the work took, so that others come to theirs
        self._end()

    def _wait(self, pause: float) -> bool:
        """Until something is to be written, asked for, or looked after; False when it is time to end."""
        with self._change:
            until = time.monotonic() + (pause or WRITE_WITHIN)
            while not self._stopping:
                now = time.monotonic()
                blocked = self._trouble or self._held
                if not blocked:
                    if self._wanted or self._waiting.samples >= BATCH:
                        return True
                    if self._since is not None and now - self._since >= WRITE_WITHIN:
                        return True
                if now >= until:
                    return True
                wake = until if self._since is None or blocked else min(until, self._since + WRITE_WITHIN)
                self._change.wait(max(wake - now, 0.001))
            return False

    def _write(self) -> bool:
        """All that waits, batch by batch; False when the disk does not take it."""
        while True:
            self._relieve()
            with self._change:
                if self._held:
                    return False
                batch = self._waiting.take()
                upto = self._put
                if not self._waiting:
                    self._since = None
            if not batch and self._filing is not None:
                self._wake(upto)
                return True
            try:
                rest: Sequence[Recorded] = () if self._try(lambda filing: filing.take(batch)) else batch  # noqa: B023 - called at once
            except Exception:
                log.exception("samples: a batch could not be taken in; what is at fault in it is given up")
                rest = self._sift(batch)
            if rest:
                with self._change:
                    self._waiting.give_back(rest)
                    self._since = self._since or time.monotonic()
                self._relieve()
                return False
            self._last_write = self._now().wall
            self._count_refused()

    def _sift(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """Take a batch in piece by piece, but for what is at fault; what of it the disk did not take."""
        for number, what in enumerate(batch):
            try:
                if not self._try(lambda filing: filing.take([what])):  # noqa: B023 - called at once
                    return batch[number:]
            except Exception as fault:  # noqa: BLE001 - whatever is wrong with one thing is no reason to lose others
                log.error("samples: given up is a %s: %r", type(what).__name__, fault)
                with self._change:
                    self._waiting.lost += weight(what)
        return ()

    def _relieve(self) -> None:
        """Give up what is too much, in steps between which others come to put."""
        more = True
        while more:
            with self._change:
                more = self._waiting.relieve()
            time.sleep(0)  # else this thread takes the lock again before one that waits for it

    def _count_refused(self) -> None:
        if self._filing is None or not self._filing.refused:
            return
        with self._change:
            self._waiting.lost += self._filing.refused
        self._filing.refused = 0
        if not self._full:
            log.error(
                "there are samples of %d quantities already; those of more are lost until the oldest are dropped, "
                "which a shorter daily-age does sooner",
                MOST_CHANNELS,
            )
        self._full = True

    def _wake(self, upto: int) -> None:
        with self._change:
            self._done = max(self._done, upto)
            ready = [future for number, future in self._wanted if number <= self._done]
            self._wanted = [(number, future) for number, future in self._wanted if number > self._done]
        for future in ready:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _try(self, work: Callable[[Filing], object]) -> bool:
        """``work`` as one transaction; whether it is done. A fault of the disk is told once."""
        try:
            db, filing = self._open()
            with self._transaction(db):
                work(filing)
        except SamplesUnusable as error:
            return self._begin_anew(str(error))
        except sqlite3.Error as error:
            if damaged(error):
                return self._begin_anew(f"{self._path} is damaged ({error})")
            return self._failed(error)
        except OSError as error:
            return self._failed(error)
        if self._trouble:
            log.info("samples are written again; %d were lost", self.lost)
            self._trouble = False
        return True

    def _failed(self, error: Exception) -> bool:
        if not self._trouble:
            log.error("samples cannot be written (%s); the newest are kept in memory and tried again", error)
        self._trouble = True
        return False

    def _begin_anew(self, why: str) -> bool:
        """The file is of no use: it is kept under another name, and a new one begins."""
        self._shut()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now().wall))
        try:
            aside = set_aside(self._path, stamp)
        except OSError as error:
            return self._failed(error)
        log.error(
            "%s; it is set aside as %s and samples begin anew; restore a backup of it, or run the server that wrote it",
            why,
            aside.name,
        )
        return False

    def _open(self) -> tuple[sqlite3.Connection, Filing]:
        if self._db is not None and place(self._path) != self._place:
            self._leave(self._db)
        if self._db is None:
            self._db = open_to_write(self._path)
            self._place = place(self._path)
            self._moved = False
            self.files += 1
            self._looked = -LOOK_EVERY
        if self._filing is None:
            self._filing = Filing(self._db)
        return self._db, self._filing

    def _leave(self, db: sqlite3.Connection) -> None:
        """Somebody moved the file, or put another in its place: go on in what is there."""
        if not self._moved:
            log.error(
                "%s is not the file any more that was opened; what was written is where that was moved to, "
                "and samples go on in a new one, or in what is there now",
                self._path,
            )
        self._moved = True
        if empty_journal(db, self._path):
            self._shut()

    @contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("COMMIT")
        except BaseException:
            self._filing = None  # what it knows may be of what is undone
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _shut(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._filing = self._closing = None
        self._round = forgetting.Round()

    # --- looking after the file

    def _tend(self) -> bool:
        """One step of sealing, putting together or dropping; whether there may be more to do."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return False
        try:
            steps: list[bool] = []
            if not self._try(lambda filing: steps.append(self._step(filing))):
                return False
            if steps == [True] or self._shrink():
                return True
            self._looked = now
            self._tell()
        except Exception:
            log.exception("samples: what is old could not be looked after")
            self._looked = now
        return False

    def _step(self, filing: Filing) -> bool:
        """Within a transaction."""
        db, names, state, now = filing.db, filing.names, filing.state, self._now()
        for hour, shard in sealing.due(db, now.wall):
            sealing.seal(db, names, state, hour, shard)
            return True
        if self._closing is None:
            day = sealing.day_due(db, state, now.wall)
            self._closing = None if day is None else (day, 0)
        if self._closing is not None:
            day, first = self._closing
            next_ = sealing.close_some(db, names, day, first)
            self._closing = None if next_ is None else (day, next_)
            if next_ is None:
                state.closed = day + 1
                state.write(db)
            return True
        if retention.step(db, state, self.settings, self._age.at(state, now)):
            return True
        if self._round.step(db, names, state, now.wall):
            return True
        filing.head.tidy()
        return False

    def _shrink(self) -> bool:
        try:
            return self._db is not None and retention.shrink(self._db, self.settings)
        except sqlite3.Error as error:
            return self._failed(error)

    def _tell(self) -> None:
        if self._db is None or self._filing is None:
            return
        try:
            size, _ = retention.file_size(self._db)
            (count,) = self._db.execute("SELECT coalesce(sum(samples), 0) FROM hour").fetchone()
            oldest = self._oldest(self._db, self._filing.names.since)
        except sqlite3.Error as error:
            self._failed(error)
            return
        newest = self._filing.state.newest or None
        self._full = self._full and self._filing.names.full
        self.told = Told(int(count), size, oldest, newest, self._last_write, self.lost)

    @staticmethod
    def _oldest(db: sqlite3.Connection, since: float | None) -> float | None:
        """The start of what is kept of the oldest time."""
        for table, length in (("daily", DAY), ("hourly", HOUR), ("block", HOUR)):
            row = db.execute(f"SELECT min(key) >> 24 FROM {table}").fetchone()  # noqa: S608 - a word of ours
            if row[0] is not None:
                return max(float(row[0] * length), since or 0.0)
        return since

    def _end(self) -> None:
        """The rest goes to the disk, if it takes it."""
        if not self._write():
            with self._change:
                log.error("%d samples could not be written", self._waiting.samples)
        self._shut()

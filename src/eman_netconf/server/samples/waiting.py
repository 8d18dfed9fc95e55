"""What waits for the disk: bounded, the oldest given up first, their energy kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from eman_netconf.energy.samples import Channel, Mark, Recorded, Sample, Stretch, Tick, worst
from eman_netconf.energy.values import Quantity

#: Samples that wait at most for a disk that cannot be written; a hundred octets or two each.
MOST: Final = 300_000

#: Samples written in one transaction, about.
BATCH: Final = 100_000

#: Samples given up in one step, for which whoever records may have to wait.
STEP: Final = 1000


def weight(what: Recorded) -> int:
    return len(what.samples) if isinstance(what, Tick) else 1


class Waiting:
    """A queue of what is recorded; its owner keeps threads apart.

    Ticks past ``most`` are lost, and counted. The energy in them is not: it becomes a stretch of each meter over the
    time of what was lost. Renames, series that begin or end and corrections are few and are kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._queue: deque[Recorded] = deque()
        self._kept: list[Recorded] = []  # of what is older than the queue
        self._falling: Iterator[tuple[Channel, Sample]] = iter(())  # given up; their energy is not owed yet
        self._owed: dict[tuple[str, str], Stretch] = {}
        self.samples = 0
        self.lost = 0

    def __bool__(self) -> bool:
        return bool(self._queue or self._kept or self._owed)

    def put(self, what: Recorded) -> None:
        self._queue.append(what)
        self.samples += weight(what)
        self.relieve(STEP + 2 * weight(what))  # more than came, so that what is too much becomes less

    def take(self) -> list[Recorded]:
        """The next batch, what is owed first."""
        for channel, sample in self._falling:
            self._owe(channel, sample)
        batch: list[Recorded] = [*self._owed.values(), *self._kept]
        taken = sum(map(weight, self._kept))
        self._owed, self._kept = {}, []
        while self._queue and taken < BATCH:
            what = self._queue.popleft()
            batch.append(what)
            taken += weight(what)
        self.samples -= taken
        return batch

    def give_back(self, batch: Sequence[Recorded]) -> None:
        """A batch that could not be written, to be taken again; ``relieve`` gives up what is too much."""
        self._queue.extendleft(reversed(self._kept))
        self._kept = []
        self._queue.extendleft(reversed(batch))
        self.samples += sum(map(weight, batch))

    def relieve(self, most: int = STEP) -> bool:
        """One step of giving up the oldest past the bound, ``most`` samples or so; whether that was not all."""
        for _ in range(most):
            falling = next(self._falling, None)
            if falling is not None:
                self._owe(*falling)
            elif self._queue and self.samples > self._most:
                self._give_up(self._queue.popleft())
            else:
                return False
        return True

    def _give_up(self, what: Recorded) -> None:
        match what:
            case Tick():
                self.lost += len(what.samples)
                self._falling = iter(what.samples.items())
            case Stretch(by=""):
                self._add(what)
            case _:
                self._kept.append(what)
                return
        self.samples -= weight(what)

    def _owe(self, channel: Channel, sample: Sample) -> None:
        value = sample.value
        if channel.series or value is None:
            return
        owner, part, start, end = channel.owner, channel.part, sample.start, sample.end
        if channel.quantity == Quantity.ENERGY_RECEIVED:
            self._add(Stretch(owner, part, start, end, value, 0, Mark.ESTIMATED, end))
        elif channel.quantity == Quantity.ENERGY_PROVIDED:
            self._add(Stretch(owner, part, start, end, 0, value, Mark.ESTIMATED, end))

    def _add(self, stretch: Stretch) -> None:
        key = (stretch.owner, stretch.part)
        owed = self._owed.get(key)
        if owed is not None:
            stretch = Stretch(
                stretch.owner,
                stretch.part,
                min(owed.start, stretch.start),
                max(owed.end, stretch.end),
                owed.received + stretch.received,
                owed.provided + stretch.provided,
                worst(owed.mark, stretch.mark),
                stretch.at,
            )
        self._owed[key] = stretch

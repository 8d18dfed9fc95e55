"""What waits for the disk: bounded, the oldest given up first, their energy kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from eman_netconf.energy.samples import Channel, Mark, Recorded, Sample, Stretch, Tick, worst
from eman_netconf.energy.values import Quantity

#: Samples that wait at most for a disk that cannot be written; a hundred octets or two each.
MOST: Final = 300_000

#: Samples written in one transaction, about.
BATCH: Final = 100_000


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
        self._owed: dict[tuple[str, str], Stretch] = {}
        self.samples = 0
        self.lost = 0

    def __bool__(self) -> bool:
        return bool(self._queue or self._owed)

    def put(self, what: Recorded) -> None:
        self._queue.append(what)
        self.samples += weight(what)
        self._bound()

    def take(self) -> list[Recorded]:
        """The next batch, what is owed first."""
        batch: list[Recorded] = list(self._owed.values())
        self._owed.clear()
        taken = 0
        while self._queue and taken < BATCH:
            what = self._queue.popleft()
            batch.append(what)
            taken += weight(what)
        self.samples -= taken
        return batch

    def give_back(self, batch: Sequence[Recorded]) -> None:
        """A batch that could not be written, to be taken again."""
        self._queue.extendleft(reversed(batch))
        self.samples += sum(map(weight, batch))
        self._bound()

    def _bound(self) -> None:
        if self.samples <= self._most:
            return
        kept: list[Recorded] = []
        while self._queue and self.samples > self._most:
            what = self._queue.popleft()
            match what:
                case Tick():
                    self.lost += len(what.samples)
                    for channel, sample in what.samples.items():
                        if not channel.series and sample.value is not None:
                            self._owe(channel, sample, sample.value)
                case Stretch(by=""):
                    self._add(what)
                case _:
                    kept.append(what)
                    continue
            self.samples -= weight(what)
        self._queue.extendleft(reversed(kept))

    def _owe(self, channel: Channel, sample: Sample, value: int) -> None:
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

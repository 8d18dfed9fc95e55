"""Timers of the energy core: what is to be done at which instant of the monotonic clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from eman_netconf.energy.effects import Effect
from eman_netconf.energy.values import Now

Due = Callable[[Now, list[Effect]], None]


class Timers:
    """Callbacks in order of time; a callback whose reason has gone does nothing when its time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._number = count()

    def at(self, mono: float, due: Due) -> None:
        heapq.heappush(self._heap, (mono, next(self._number), due))

    @property
    def next(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def run(self, now: Now, out: list[Effect]) -> None:
        """Everything due by ``now``, also what becomes due by that."""
        while self._heap and self._heap[0][0] <= now.mono:
            heapq.heappop(self._heap)[2](now, out)

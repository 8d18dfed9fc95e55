"""What operations ask of the store of samples."""

from __future__ import annotations

from typing import Protocol

from eman_netconf.energy.samples import Channel, Energy, Sample, Span, Stretch


class Samples(Protocol):
    """What is kept over time; times are wall-clock seconds since the epoch. Ticks not yet closed are not in it."""

    async def samples(
        self, channel: Channel, start: float, end: float, resolution: float | None, limit: int
    ) -> tuple[list[Sample], float | None]:
        """At most ``limit`` samples whose intervals end in (start, end], oldest first, and the start to go on
        from, None when that was all.

        With a ``resolution`` (seconds) they are put together into intervals that long, as they are kept without one:
        energies are added, all else is averaged over time. An interval within what is kept that nothing is known of
        comes with value None and coverage 0; before the oldest and after the newest sample comes nothing.
        """

    async def energy(self, owner: str, part: str, start: float, end: float) -> Energy | None:
        """What flowed between two times, from the finest that still exists; a piece of a tick or block is its share
        of time. ``start`` and ``end`` of the answer are what it could answer for, within what was asked; None when
        nothing is kept of that time. Halves of a stretch sum to the whole within 1 mWh.
        """

    async def span(self, channel: Channel) -> Span:
        """What is kept of one channel."""

    async def corrections(self, owner: str, part: str, start: float, end: float) -> list[Stretch]:
        """The corrections somebody made that overlap a stretch, oldest first."""

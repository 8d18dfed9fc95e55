"""The explorers of general MIBs, in the order in which a device is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from . import lldp, physical
from .builder import Builder
from .survey import Asks, Explorer

EXPLORERS: tuple[Explorer, ...] = (physical.explore, lldp.explore)
ATTEMPTS = 2  # that a device may spoil before it is read without what they would tell


class Exploration:
    """All explorers as one, for one device.

    There are agents that fall silent when asked for ENTITY-MIB, and chassis that take longer to list their parts than
    an attempt to open may last. Such a device is to be read all the same: where no attempt ever came to the end, the
    third does without. Once it did, the device is waited for, or its parts would come and go with every delay.
    """

    def __init__(self, explorers: Sequence[Explorer] = EXPLORERS) -> None:
        self._explorers = explorers
        self._spoilt = 0
        self._ended = False

    async def __call__(self, client: Asks, builder: Builder) -> None:
        """Raises Unavailable when the device stops answering."""
        if self._spoilt >= ATTEMPTS and not self._ended:
            client.say("does not tell its parts and neighbours in time; it is read without, until its settings change")
            return
        self._spoilt += 1
        for explore in self._explorers:
            builder.turn()
            await explore(client, builder)
        self._spoilt = 0
        self._ended = True

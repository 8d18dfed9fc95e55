"""The explorers of general MIBs, in the order in which a device is looked at."""

from __future__ import annotations

from . import physical
from .survey import Explorer

EXPLORERS: tuple[Explorer, ...] = (physical.explore,)

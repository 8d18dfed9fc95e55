"""The explorers of general MIBs, in the order in which a device is looked at."""

from __future__ import annotations

from . import lldp, physical
from .survey import Explorer

EXPLORERS: tuple[Explorer, ...] = (physical.explore, lldp.explore)

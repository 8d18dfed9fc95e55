"""/alarms/control: how much history is kept, and which changes are told (RFC 8632 section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from eman_netconf.energy.conditions import Severity
from eman_netconf.yang.tree import Inner


class Told(StrEnum):
    """Which changes of state are notified of (leaf notify-status-changes)."""

    ALL = "all-state-changes"
    RAISE_AND_CLEAR = "raise-and-clear"
    SEVERITY_LEVEL = "severity-level"


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration in force; ``level`` counts with SEVERITY_LEVEL alone."""

    most_changes: int = 32
    told: Told = Told.ALL
    level: Severity = Severity.INDETERMINATE

    def tells(self, before: Severity | None, after: Severity | None) -> bool:
        """Whether a change of severity or text is notified of; None = cleared, or not raised yet."""
        if before is None or after is None or self.told is Told.ALL:
            return self.told is not Told.SEVERITY_LEVEL or after is None or after.rank >= self.level.rank
        return self.told is Told.SEVERITY_LEVEL and max(before.rank, after.rank) >= self.level.rank


def read_policy(control: Inner | None) -> Policy:
    """The policy of the container control; what is not configured has its default."""
    said = control.leaf if control is not None else lambda _name: None
    return Policy(
        int(said("max-alarm-status-changes") or Policy().most_changes),
        Told(said("notify-status-changes") or Policy().told),
        Severity(said("notify-severity-level") or Policy().level),
    )

"""Which alarms a purge is about (RFC 8632, grouping filter-input)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from eman_netconf.alarms.alarm import Alarm
from eman_netconf.energy.conditions import Severity
from eman_netconf.yang.tree import Inner

_SECONDS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}


class Clearance(StrEnum):
    """The leaf alarm-clearance-status."""

    ANY = "any"
    CLEARED = "cleared"
    NOT_CLEARED = "not-cleared"


@dataclass(frozen=True, slots=True)
class Criteria:
    """All that is given has to match; None = not asked for. ``older_than`` is in seconds."""

    clearance: Clearance = Clearance.ANY
    older_than: int | None = None
    below: Severity | None = None
    is_: Severity | None = None
    above: Severity | None = None
    state: str | None = None
    user: str | None = None

    def match(self, alarm: Alarm, now: int) -> bool:
        """Whether ``alarm`` is meant at ``now``, in milliseconds since the epoch."""
        rank = alarm.severity.rank
        return (
            (self.clearance is Clearance.ANY or alarm.cleared is (self.clearance is Clearance.CLEARED))
            and (self.older_than is None or alarm.changes[0].time < now - 1000 * self.older_than)
            and (self.below is None or rank < self.below.rank)
            and (self.is_ is None or rank == self.is_.rank)
            and (self.above is None or rank > self.above.rank)
            and (self.state is None or alarm.state == self.state)
            and (self.user is None or bool(alarm.said and alarm.said[0].operator == self.user))
        )


def read_criteria(given: Inner) -> Criteria:
    """The criteria of an input that is valid."""
    age, severity, operator = (_inner(given, name) for name in ("older-than", "severity", "operator-state-filter"))
    ages = ((age.leaf(unit), seconds) for unit, seconds in _SECONDS.items())
    below, is_, above = (severity.leaf(name) for name in ("below", "is", "above"))
    return Criteria(
        Clearance(given.leaf("alarm-clearance-status") or Clearance.ANY),
        next((int(count) * seconds for count, seconds in ages if count is not None), None),
        Severity(below) if below else None,
        Severity(is_) if is_ else None,
        Severity(above) if above else None,
        operator.leaf("state"),
        operator.leaf("user"),
    )


def _inner(given: Inner, name: str) -> Inner:
    """A container of the input, empty where it was not given."""
    found = given.at(name)
    return found if isinstance(found, Inner) else Inner(given.schema.child(name))

"""One alarm: how its state and the operators' view of it changed (RFC 8632 section 3.5), and its record.

Instants are whole milliseconds since the epoch, for what can be said of them is what tells two changes apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, Final, NamedTuple

from eman_netconf.energy.conditions import Condition, Kind, Severity, Sort, Subject
from eman_netconf.yang.tree import Inner

#: So many changes of the operators' view are kept for one alarm.
OPERATOR_CHANGES: Final = 32


class OperatorState(StrEnum):
    """What an operator says of an alarm (typedef writable-operator-state)."""

    NONE = "none"
    ACK = "ack"
    CLOSED = "closed"


class Key(NamedTuple):
    """What tells alarms apart; no alarm type of this server has a qualifier."""

    resource: str  # canonical instance-identifier
    kind: Kind


class StatusChange(NamedTuple):
    """What the resource told; ``severity`` None = cleared."""

    time: int
    severity: Severity | None
    text: str


class OperatorChange(NamedTuple):
    """What an operator said."""

    time: int
    operator: str
    state: OperatorState
    text: str | None


class Alarm:
    """An alarm from when it was first raised until it is purged.

    ``changes`` and ``said`` are newest first, the former with at least one entry. ``severity`` is the last one it had
    while it was not cleared. ``node`` is its entry, remembered until something changes.
    """

    __slots__ = ("changes", "created", "key", "node", "part", "raised", "said", "severity", "subject")

    def __init__(self, subject: Subject, key: Key, part: str, created: int, severity: Severity, text: str) -> None:
        self.subject = subject
        self.key = key
        self.part = part
        self.created = self.raised = created
        self.severity = severity
        self.changes: deque[StatusChange] = deque([StatusChange(created, severity, text)])
        self.said: deque[OperatorChange] = deque(maxlen=OPERATOR_CHANGES)
        self.node: Inner | None = None

    @property
    def cleared(self) -> bool:
        return self.changes[0].severity is None

    @property
    def text(self) -> str:
        return self.changes[0].text

    @property
    def changed(self) -> int:
        """When either list was last changed."""
        return max(self.changes[0].time, self.said[0].time if self.said else 0)

    @property
    def state(self) -> OperatorState:
        return self.said[0].state if self.said else OperatorState.NONE

    def is_as(self, condition: Condition) -> bool:
        """Whether the condition is what is known already."""
        return (self.changes[0].severity, self.text) == (condition.severity, condition.text)

    def change(self, now: int, severity: Severity | None, text: str, most: int) -> StatusChange:
        """The resource tells something else; at most ``most`` changes are kept."""
        newest = self.changes[0]
        change = StatusChange(max(now, newest.time + 1), severity, text)
        if severity is not None:
            self.severity = severity
            if newest.severity is None:
                self.raised = change.time
        self.changes.appendleft(change)
        self.keep(most)
        return change

    def say(self, now: int, operator: str, state: OperatorState, text: str | None) -> OperatorChange:
        """An operator tells his view."""
        time = max(now, self.said[0].time + 1) if self.said else now
        change = OperatorChange(time, operator, state, text)
        self.said.appendleft(change)
        self.node = None
        return change

    def keep(self, most: int) -> bool:
        """Keep no more than ``most`` changes of state; whether there were more."""
        self.node = None
        more = len(self.changes) > most
        if more:
            self.changes = deque(islice(self.changes, most))
        return more

    # --- what outlives the process

    def dump(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "subject": list(self.subject),
            "part": self.part,
            "created": self.created,
            "raised": self.raised,
            "severity": self.severity.value,
            "changes": [list(change) for change in self.changes],
            "said": [list(change) for change in self.said],
        }


def load(key: Key, saved: Mapping[str, Any]) -> Alarm:
    """The alarm of a record. Raises LookupError, TypeError or ValueError for one that is none."""
    sort, name = saved["subject"]
    severity = Severity(saved["severity"])
    alarm = Alarm(Subject(Sort(sort), name), key, saved["part"], saved["created"], severity, "")
    alarm.raised = saved["raised"]
    alarm.changes = deque(
        StatusChange(time, None if told is None else Severity(told), text) for time, told, text in saved["changes"]
    )
    alarm.said.extend(
        OperatorChange(time, operator, OperatorState(state), text) for time, operator, state, text in saved["said"]
    )
    if not alarm.changes:
        raise ValueError("an alarm without changes")
    return alarm

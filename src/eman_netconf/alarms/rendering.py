"""Alarms as instance trees of ietf-alarms: the list, its summary, the inventory, and the notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from eman_netconf.alarms.alarm import Alarm, OperatorChange, OperatorState, StatusChange
from eman_netconf.alarms.inventory import TYPES, type_id
from eman_netconf.energy.canonical import stamp
from eman_netconf.energy.conditions import Severity
from eman_netconf.yang.events import event_schema
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, make_inner


class Trees:
    """Makes the trees of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.alarms = alarms = schema.find("ietf-alarms:alarms")
        self.control = alarms.child("control")
        self.list = alarms.child("alarm-list")
        self.alarm = self.list.child("alarm")
        self.inventory = alarms.child("alarm-inventory")
        self.summary = alarms.child("summary")
        self._event = event_schema(schema).root.child("ietf-alarms:alarms")
        self._notification = schema.notifications[alarms.namespace, "alarm-notification"]
        self._types = make_inner(
            self.inventory,
            {
                "alarm-type": [
                    {
                        "alarm-type-id": type_id(kind),
                        "alarm-type-qualifier": "",
                        "resource": list(told.resources),
                        "will-clear": True,
                        "severity-level": list(told.severities),
                        "description": told.description,
                    }
                    for kind, told in TYPES.items()
                ]
            },
        )

    def shown(self, alarms: Iterable[Alarm], changed: int | None) -> list[Inner]:
        """The inventory, the summary and the list; ``changed`` is when the list last was."""
        alarms = list(alarms)
        entries = [self.entry(alarm) for alarm in alarms]
        leaves = {"number-of-alarms": len(alarms), "last-changed": None if changed is None else _stamp(changed)}
        listed = make_inner(self.list, leaves)
        if entries:
            listed = listed.replace(self.alarm, ListNode(self.alarm, {entry.key(): entry for entry in entries}))
        return [self._types, self._summary(alarms), listed]

    def _summary(self, alarms: list[Alarm]) -> Inner:
        counted = Counter((alarm.severity, alarm.cleared, alarm.state is OperatorState.CLOSED) for alarm in alarms)

        def count(severity: Severity, *, cleared: bool | None = None, closed: bool | None = None) -> int:
            return sum(
                number
                for (of, is_cleared, is_closed), number in counted.items()
                if of is severity and cleared in (None, is_cleared) and closed in (None, is_closed)
            )

        rows = [
            {
                "severity": severity,
                "total": count(severity),
                "not-cleared": count(severity, cleared=False),
                "cleared": count(severity, cleared=True),
                "cleared-not-closed": count(severity, cleared=True, closed=False),
                "cleared-closed": count(severity, cleared=True, closed=True),
                "not-cleared-closed": count(severity, cleared=False, closed=True),
                "not-cleared-not-closed": count(severity, cleared=False, closed=False),
            }
            for severity in reversed(Severity)
        ]
        return make_inner(self.summary, {"alarm-summary": rows})

    def entry(self, alarm: Alarm) -> Inner:
        """The entry of an alarm, remembered until it changes."""
        if alarm.node is None:
            alarm.node = make_inner(
                self.alarm,
                {
                    **_named(alarm),
                    "time-created": _stamp(alarm.created),
                    "is-cleared": alarm.cleared,
                    "last-raised": _stamp(alarm.raised),
                    "last-changed": _stamp(alarm.changed),
                    "perceived-severity": alarm.severity,
                    "alarm-text": alarm.text,
                    "status-change": [_status(change) for change in alarm.changes],
                    "operator-state-change": [_said(change) for change in alarm.said],
                },
            )
        return alarm.node

    def changed(self, alarm: Alarm, change: StatusChange) -> Inner:
        """An alarm-notification."""
        return make_inner(self._notification, {**_named(alarm), **_status(change)})

    def acted(self, alarm: Alarm, change: OperatorChange) -> Inner:
        """An operator-action, with the nodes it stands in (RFC 7950 section 7.16.2)."""
        entry = {**_named(alarm), "operator-action": _said(change)}
        return make_inner(self._event, {"alarm-list": {"alarm": [entry]}})


def _named(alarm: Alarm) -> dict[str, Any]:
    key = alarm.key
    return {"resource": key.resource, "alarm-type-id": type_id(key.kind), "alarm-type-qualifier": ""}


def _status(change: StatusChange) -> dict[str, Any]:
    severity = "cleared" if change.severity is None else change.severity
    return {"time": _stamp(change.time), "perceived-severity": severity, "alarm-text": change.text}


def _said(change: OperatorChange) -> dict[str, Any]:
    return {"time": _stamp(change.time), "operator": change.operator, "state": change.state, "text": change.text}


def _stamp(milliseconds: int) -> str:
    return stamp(milliseconds / 1000)

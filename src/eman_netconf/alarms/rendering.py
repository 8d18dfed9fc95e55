"""Alarms as instance trees of ietf-alarms: the list, its summary, the inventory, and the notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from eman_netconf.alarms.alarm import Alarm, OperatorChange, OperatorState, StatusChange
from eman_netconf.alarms.inventory import TYPES, type_id
from eman_netconf.energy.conditions import Severity
from eman_netconf.yang.events import event_schema
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode, make_inner


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
        entries = _Entries(self, alarms)
        leaves = {"number-of-alarms": len(entries), "last-changed": None if changed is None else _stamp(changed)}
        listed = make_inner(self.list, leaves)
        if entries:
            listed = listed.replace(self.alarm, ListNode(self.alarm, entries))
        return [self._types, Late(self.summary, partial(self._summary, entries.alarms)), listed]

    def _summary(self, alarms: Iterable[Alarm]) -> Mapping[SchemaNode, Data]:
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
        return make_inner(self.summary, {"alarm-summary": rows}).children

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


class _Entries(Mapping[Key, Inner]):
    """The entries of the list, each rendered when it is asked for."""

    def __init__(self, trees: Trees, alarms: Iterable[Alarm]) -> None:
        self.alarms = tuple(alarms)
        self._trees = trees
        self._by_key: dict[Key, Alarm] | None = None

    def __getitem__(self, key: Key) -> Inner:
        if self._by_key is None:
            self._by_key = {_key(alarm): alarm for alarm in self.alarms}
        return self._trees.entry(self._by_key[key])

    def __iter__(self) -> Iterator[Key]:
        return map(_key, self.alarms)

    def __len__(self) -> int:
        return len(self.alarms)


def _key(alarm: Alarm) -> Key:
    return alarm.key.resource, type_id(alarm.key.kind), ""


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

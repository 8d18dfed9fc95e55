"""The register of alarms: conditions and what operators do go in; the list, notifications and records come out.

Cleared alarms stay until they are purged. What is purged while it holds comes back when it changes, not before
(RFC 8632, list alarm). Where there is no room for another alarm, the one that was cleared longest ago makes some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from eman_netconf.alarms.alarm import Alarm, Key, OperatorState, load
from eman_netconf.alarms.criteria import Criteria
from eman_netconf.alarms.inventory import TYPES, type_id
from eman_netconf.alarms.policy import Policy, read_policy
from eman_netconf.alarms.rendering import Trees
from eman_netconf.energy.conditions import Condition, Kind, Sort, Subject
from eman_netconf.energy.effects import Notify
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner

#: So many alarms are kept.
MOST: Final = 10_000

_LIST: Final = ""  # the name of the record of the list itself

Record = Mapping[str, Any]


class Register:
    """All alarms of the server. ``turned_away`` counts how often there was no room for one."""

    def __init__(self, schema: Schema, *, most: int = MOST) -> None:
        self.trees = Trees(schema)
        self.policy = Policy()
        self.turned_away = 0
        self._most = most
        self._alarms: dict[Key, Alarm] = {}  # in the order in which they were first raised
        self._purged: dict[Key, Alarm] = {}  # what still holds of those that were purged
        self._held: dict[Subject, dict[Key, Alarm]] = {}  # what is not cleared, listed and purged
        self._changed: int | None = None
        self._unsaved: dict[str, None] = {}
        self._shown: tuple[Inner, ...] | None = None

    # --- configuration

    def configure(self, control: Inner | None) -> None:
        """Take the container control of running."""
        self.policy = read_policy(control)
        for alarm in self._alarms.values():
            if alarm.keep(self.policy.most_changes):
                self._touch(alarm)

    # --- what resources tell

    def judge(
        self,
        subject: Subject,
        holding: Iterable[Condition],
        unsure: Callable[[Kind, str], bool],
        wall: float,
        hush: str | None = None,
    ) -> list[Notify]:
        """All that is wrong with ``subject`` at ``wall``, in seconds since the epoch.

        What was wrong and is so no more is cleared, unless it is ``unsure``, by kind and part. ``hush``: why nobody is
        alarmed about the subject, which is then what a cleared alarm says.
        """
        out: list[Notify] = []
        found: dict[Key, Condition] = {Key(each.resource, each.kind): each for each in holding}
        held = tuple(self._held.get(subject, {}).items())
        if not found and not held:
            return out
        now = _milliseconds(wall)
        for key, condition in found.items():
            self._hold(subject, key, condition, now, out)
        for key, alarm in held:
            if key not in found and not unsure(key.kind, alarm.part):
                self._clear(key, alarm, now, hush or TYPES[key.kind].cleared, out)
        return out

    def _hold(self, subject: Subject, key: Key, condition: Condition, now: int, out: list[Notify]) -> None:
        purged = self._purged.get(key)
        if purged is not None:
            if purged.is_as(condition):
                return
            self._forget(self._purged, purged)
        alarm = self._alarms.get(key)
        if alarm is None:
            if not self._make_room():
                self.turned_away += 1
                return
            alarm = Alarm(subject, key, condition.part, now, condition.severity, condition.text)
            self._alarms[key] = alarm
            before, change = None, alarm.changes[0]
        elif alarm.is_as(condition):
            return
        else:
            before = alarm.changes[0].severity
            change = alarm.change(now, condition.severity, condition.text, self.policy.most_changes)
        self._held.setdefault(subject, {})[key] = alarm
        self._touch(alarm)
        if self.policy.tells(before, condition.severity):
            out.append(Notify(self.trees.changed(alarm, change), _entity(alarm)))

    def _clear(self, key: Key, alarm: Alarm, now: int, text: str, out: list[Notify]) -> None:
        if self._purged.get(key) is alarm:
            self._forget(self._purged, alarm)
            return
        change = alarm.change(now, None, text, self.policy.most_changes)
        self._let_go(alarm)
        self._touch(alarm)
        if self.policy.tells(alarm.severity, None):
            out.append(Notify(self.trees.changed(alarm, change), _entity(alarm)))

    @property
    def has_room(self) -> bool:
        """Whether one more could be listed."""
        return self._has_space or any(alarm.cleared for alarm in self._alarms.values())

    @property
    def _has_space(self) -> bool:
        return len(self._alarms) + len(self._purged) < self._most

    def _make_room(self) -> bool:
        """Make room for one more; False when nothing that is listed has been cleared."""
        if self._has_space:
            return True
        cleared = (alarm for alarm in self._alarms.values() if alarm.cleared)
        oldest = min(cleared, key=lambda alarm: (alarm.state is not OperatorState.CLOSED, alarm.changed), default=None)
        if oldest is not None:
            self._forget(self._alarms, oldest)
        return oldest is not None

    def subjects(self) -> set[Subject]:
        """What something is wrong with."""
        return set(self._held)

    def __len__(self) -> int:
        return len(self._alarms)

    # --- what operators do

    def find(self, resource: str, type_: str, qualifier: str) -> Alarm | None:
        """The alarm of an entry of the list, by its keys."""
        kind = next((kind for kind in Kind if type_id(kind) == type_), None)
        return self._alarms.get(Key(resource, kind)) if kind is not None and not qualifier else None

    def operate(self, alarm: Alarm, operator: str, state: OperatorState, text: str | None, wall: float) -> Notify:
        """An operator says how an alarm stands for him."""
        change = alarm.say(_milliseconds(wall), operator, state, text)
        self._touch(alarm)
        return Notify(self.trees.acted(alarm, change), _entity(alarm))

    def purge(self, criteria: Criteria, wall: float) -> int:
        """Take all that match off the list; how many they were."""
        now = _milliseconds(wall)
        found = [alarm for alarm in self._alarms.values() if criteria.match(alarm, now)]
        for alarm in found:
            if alarm.cleared:
                self._forget(self._alarms, alarm)
            else:
                del self._alarms[alarm.key]
                self._purged[alarm.key] = alarm
                self._save(alarm)
        if found:
            self._move(now)
        return len(found)

    def compress(self, resources: Callable[[str], bool], type_: str | None, qualifier: str | None, wall: float) -> int:
        """Keep the newest change of state alone of all that match; how many had more. None = any."""
        count = 0
        for alarm in self._alarms.values():
            if type_ not in (None, type_id(alarm.key.kind)) or qualifier not in (None, ""):
                continue
            if resources(alarm.key.resource) and alarm.keep(1):
                self._save(alarm)
                count += 1
        if count:
            self._move(_milliseconds(wall))
        return count

    # --- what is shown

    def shown(self, control: Data | None) -> Mapping[SchemaNode, Data]:
        """The children of the container alarms at this moment; ``control`` as configured."""
        if self._shown is None:
            self._shown = tuple(self.trees.shown(self._alarms.values(), self._changed))
        children: dict[SchemaNode, Data] = {inner.schema: inner for inner in self._shown}
        if control is not None:
            children[self.trees.control] = control
        return children

    # --- what outlives the process

    def dirty(self, limit: int) -> list[tuple[str, dict[str, Any] | None]]:
        """At most ``limit`` records that changed since they were asked for, by name; None = it may be deleted."""
        names = [name for name, _ in zip(self._unsaved, range(limit), strict=False)]
        for name in names:
            del self._unsaved[name]
        return [(name, self._record(name)) for name in names]

    def _record(self, name: str) -> dict[str, Any] | None:
        if name == _LIST:
            return {"changed": self._changed}
        try:
            key = _key(name)
        except ValueError:
            return None  # what was restored and is no record of an alarm
        alarm = self._alarms.get(key) or self._purged.get(key)
        return None if alarm is None else {**alarm.dump(), "purged": key in self._purged}

    def restore(self, saved: Mapping[str, Record]) -> None:
        """Take up the records of an earlier life, before anything is judged; what is no record is forgotten."""
        alarms: list[tuple[Alarm, bool]] = []
        for name, record in saved.items():
            try:
                if name == _LIST:
                    self._changed = None if record["changed"] is None else int(record["changed"])
                else:
                    alarms.append((load(_key(name), record), bool(record["purged"])))
            except (LookupError, TypeError, ValueError):
                self._unsaved[name] = None  # of a server that knew other alarms
        for alarm, purged in sorted(alarms, key=lambda each: each[0].created):
            (self._purged if purged else self._alarms)[alarm.key] = alarm
            alarm.keep(self.policy.most_changes)
            if not alarm.cleared:
                self._held.setdefault(alarm.subject, {})[alarm.key] = alarm
        self._shown = None

    # --- bookkeeping

    def _touch(self, alarm: Alarm) -> None:
        """An alarm of the list is not what it was."""
        self._save(alarm)
        self._move(alarm.changed)

    def _move(self, now: int) -> None:
        """The list is not what it was."""
        self._changed = max(now, self._changed or 0)
        self._unsaved[_LIST] = None
        self._shown = None

    def _save(self, alarm: Alarm) -> None:
        self._unsaved[_name(alarm.key)] = None

    def _let_go(self, alarm: Alarm) -> None:
        held = self._held.get(alarm.subject, {})
        held.pop(alarm.key, None)
        if not held:
            self._held.pop(alarm.subject, None)

    def _forget(self, where: dict[Key, Alarm], alarm: Alarm) -> None:
        del where[alarm.key]
        self._let_go(alarm)
        self._save(alarm)


def _milliseconds(wall: float) -> int:
    return round(wall * 1000)


def _entity(alarm: Alarm) -> str:
    """The entity a notification is about, "" = none."""
    return alarm.subject.name if alarm.subject.sort is Sort.ENTITY else ""


def _name(key: Key) -> str:
    return f"{key.kind}:{key.resource}"


def _key(name: str) -> Key:
    """Raises ValueError for a name that no alarm has."""
    kind, _, resource = name.partition(":")
    return Key(resource, Kind(kind))

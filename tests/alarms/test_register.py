"""The register of alarms: raised, changed, cleared, purged, kept (RFC 8632)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.alarms.alarm import OPERATOR_CHANGES, Alarm, OperatorState
from eman_netconf.alarms.criteria import Clearance, Criteria
from eman_netconf.alarms.inventory import type_id
from eman_netconf.alarms.policy import Policy, Told
from eman_netconf.alarms.register import Register
from eman_netconf.energy.conditions import Condition, Kind, Severity, Subject
from eman_netconf.energy.effects import Notify
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode
from eman_netconf.yang.validate import validate_notification, validate_state
from tests.alarms.conditions import PDU, START, UPS, condition, resource

LOW = condition()
CRITICAL = condition(severity=Severity.CRITICAL)
OLD = condition(Kind.BATTERY_AGING, Severity.WARNING, "It is old")


@pytest.fixture
def register(schema: Schema) -> Register:
    return Register(schema)


def judge(
    register: Register, *holding: Condition, at: float = 0, subject: Subject = UPS, unsure: Iterable[Kind] = ()
) -> list[dict[str, str]]:
    """What is told when these conditions hold; each notification as its leaves."""
    told = register.judge(subject, holding, lambda kind, _part: kind in unsure, START + at)
    return [leaves(notify) for notify in told]


def leaves(notify: Notify) -> dict[str, str]:
    return {node.name: data for node, data in notify.notification.children.items() if isinstance(data, str)}


def listed(register: Register) -> list[Inner]:
    """The entries of the list as they are served."""
    shown = register.shown(None)[register.trees.list]
    entries = shown.children.get(register.trees.alarm) if isinstance(shown, Inner) else None
    return list(entries.entries.values()) if isinstance(entries, ListNode) else []


def the(register: Register, kind: Kind = Kind.BATTERY_LOW) -> Alarm:
    found = register.find(resource(UPS, "b"), type_id(kind), "")
    assert found is not None
    return found


def history(register: Register, kind: Kind = Kind.BATTERY_LOW) -> list[str]:
    return [change.severity or "cleared" for change in the(register, kind).changes]


def test_raised_worse_and_cleared(register: Register) -> None:
    """An alarm is raised once, changes with what the resource tells, is cleared, and stays on the list."""
    assert [told["perceived-severity"] for told in judge(register, LOW)] == ["minor"]
    assert judge(register, LOW, at=1) == []
    assert [told["perceived-severity"] for told in judge(register, CRITICAL, at=2)] == ["critical"]
    assert [told["perceived-severity"] for told in judge(register, at=3)] == ["cleared"]
    assert judge(register, at=4) == []
    (entry,) = listed(register)
    assert entry.leaf("is-cleared") == "true"
    assert entry.leaf("perceived-severity") == "critical", "the last it had"
    assert entry.leaf("time-created") == entry.leaf("last-raised") == "2026-02-02T02:40:00Z"
    assert entry.leaf("last-changed") == "2026-02-02T02:40:03Z"
    assert history(register) == ["cleared", "critical", "minor"]
    judge(register, LOW, at=5)
    (entry,) = listed(register)
    assert (entry.leaf("is-cleared"), entry.leaf("last-raised")) == ("false", "2026-02-02T02:40:05Z")
    assert entry.leaf("time-created") == "2026-02-02T02:40:00Z"


def test_what_nobody_can_tell_stays(register: Register) -> None:
    """An alarm is not cleared by mere silence."""
    judge(register, LOW, OLD)
    assert judge(register, OLD, unsure=[Kind.BATTERY_LOW]) == []
    assert not the(register).cleared
    assert len(judge(register, OLD)) == 1


def test_cleared_since_nobody_is_to_be_alarmed(register: Register) -> None:
    """An alarm that is hushed says why, and does not claim that all is well again."""
    judge(register, LOW)
    (told,) = register.judge(UPS, [], lambda _kind, _part: False, START + 1, "ups is in maintenance")
    assert leaves(told)["alarm-text"] == "ups is in maintenance"


def test_two_changes_in_one_instant(register: Register) -> None:
    """Changes are told apart by their time, also when the clock stands still or is set back."""
    for at, holding in ((0, LOW), (0, CRITICAL), (-50, LOW), (-50, CRITICAL)):
        judge(register, holding, at=at)
    times = [change.time for change in the(register).changes]
    assert times == sorted(set(times), reverse=True)
    assert len(times) == 4


T = Severity


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (Policy(told=Told.ALL), [1, 2, 3, 4, 5, 6, 7, 8]),
        (Policy(told=Told.RAISE_AND_CLEAR), [1, 8]),
        (Policy(told=Told.SEVERITY_LEVEL, level=T.MAJOR), [1, 2, 5, 6, 7, 8]),
        (Policy(told=Told.SEVERITY_LEVEL, level=T.CRITICAL), [6, 7, 8]),
    ],
)
def test_which_changes_are_told(register: Register, policy: Policy, told: list[int]) -> None:
    """Notifications as /alarms/control wants them, by the example that stands at notify-status-changes."""
    register.policy = policy
    life = [T.MAJOR, T.MINOR, T.WARNING, T.MINOR, T.MAJOR, T.CRITICAL, T.MAJOR, None]
    heard = [
        at
        for at, severity in enumerate(life, 1)
        if judge(register, *([condition(severity=severity)] if severity else []))
    ]
    assert heard == told
    assert len(history(register)) == 8, "the history has them all"


def test_operators(register: Register) -> None:
    """What operators say is kept beside what the resource tells, newest first, up to a bound."""
    judge(register, LOW)
    told = register.operate(the(register), "anna", OperatorState.ACK, "on my way", START + 1)
    assert told.entity == "ups"
    assert told.notification.xml().endswith(b"<text>on my way</text></operator-action></alarm></alarm-list></alarms>")
    for at in range(2, 2 * OPERATOR_CHANGES):
        register.operate(the(register), "ben", OperatorState.CLOSED, None, START + at)
    (entry,) = listed(register)
    said = entry.at("operator-state-change")
    assert isinstance(said, ListNode)
    assert len(said.entries) == OPERATOR_CHANGES
    assert next(iter(said.entries.values())).leaf("operator") == "ben"
    assert entry.leaf("is-cleared") == "false"
    assert entry.leaf("last-changed") == "2026-02-02T02:41:03Z"


def test_history_is_bounded(register: Register, schema: Schema) -> None:
    """Only the newest changes are kept, as many as configured, also when that is configured later."""
    for at in range(100):
        judge(register, LOW if at % 2 else CRITICAL, at=at)
    assert len(history(register)) == 32
    control = schema.find("ietf-alarms:alarms/control")
    register.configure(Inner(control, {control.child("max-alarm-status-changes"): "3"}))
    assert history(register) == ["minor", "critical", "minor"]


def purged(register: Register, at: float = 10, **criteria: Any) -> list[Kind]:
    """What is gone from the list by a purge."""
    before = {alarm.key() for alarm in listed(register)}
    count = register.purge(Criteria(**criteria), START + at)
    gone = before - {alarm.key() for alarm in listed(register)}
    assert count == len(gone)
    return sorted(Kind(key[1].rpartition(":")[2]) for key in gone)


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        ({}, [Kind.BATTERY_AGING, Kind.BATTERY_LOW]),
        ({"clearance": Clearance.CLEARED}, [Kind.BATTERY_LOW]),
        ({"clearance": Clearance.NOT_CLEARED}, [Kind.BATTERY_AGING]),
        ({"older_than": 5}, [Kind.BATTERY_AGING]),
        ({"older_than": 60}, []),
        ({"below": T.MINOR}, [Kind.BATTERY_AGING]),
        ({"is_": T.MINOR}, [Kind.BATTERY_LOW]),
        ({"above": T.WARNING}, [Kind.BATTERY_LOW]),
        ({"state": "none"}, [Kind.BATTERY_AGING]),
        ({"state": "closed", "user": "anna"}, [Kind.BATTERY_LOW]),
        ({"state": "closed", "user": "ben"}, []),
    ],
)
def test_purge(register: Register, criteria: dict[str, Any], gone: list[Kind]) -> None:
    """All that match every criterion are taken off the list."""
    judge(register, LOW, OLD)
    judge(register, OLD, at=8)
    register.operate(the(register), "anna", OperatorState.CLOSED, None, START + 9)
    assert purged(register, **criteria) == gone


def test_purged_while_it_holds(register: Register) -> None:
    """What is purged while it holds comes back when it changes, not because it still holds."""
    judge(register, LOW)
    assert purged(register) == [Kind.BATTERY_LOW]
    assert judge(register, LOW, at=11) == []
    assert listed(register) == []
    assert len(judge(register, CRITICAL, at=12)) == 1
    assert history(register) == ["critical"]
    purged(register, at=13)
    assert judge(register, at=14) == [], "it ends unheard"
    assert len(judge(register, LOW, at=15)) == 1


def test_compress(register: Register) -> None:
    """All changes but the newest go, of those alarms that are meant."""
    for holding in (LOW, CRITICAL, LOW):
        judge(register, holding, OLD)
    everything = lambda _resource: True  # noqa: E731 - a name for what is given twice
    assert register.compress(everything, type_id(Kind.BATTERY_AGING), None, START) == 0
    assert register.compress(lambda _resource: False, None, None, START) == 0
    assert register.compress(everything, None, "x", START) == 0
    assert register.compress(everything, None, "", START) == 1
    assert history(register) == ["minor"]


def test_room(schema: Schema) -> None:
    """The list is bounded: closed and cleared ones make room first, what holds is never thrown out."""
    register = Register(schema, most=2)
    judge(register, LOW, at=0)
    judge(register, condition(subject=PDU, kind=Kind.BACKEND_UNREACHABLE, part=""), subject=PDU, at=1)
    assert judge(register, LOW, OLD, at=2) == []
    assert (register.turned_away, register.has_room) == (1, False)
    judge(register, at=3, subject=PDU)
    assert register.has_room
    assert len(judge(register, LOW, OLD, at=4)) == 1
    assert len(register) == 2
    assert register.find(resource(PDU), type_id(Kind.BACKEND_UNREACHABLE), "") is None


def reborn(register: Register, schema: Schema) -> Register:
    """A register that takes up all records of another."""
    records = {}
    while changed := register.dirty(2):
        for name, record in changed:
            records[name] = record
            if record is None:
                del records[name]
    made = Register(schema)
    made.restore(json.loads(json.dumps(records)))
    return made


def test_a_new_life(register: Register, schema: Schema) -> None:
    """All is as it was after a restart, what was purged stays away, and nothing is told again."""
    judge(register, LOW, OLD)
    judge(register, CRITICAL, OLD, at=1)
    register.operate(the(register), "anna", OperatorState.ACK, "soon", START + 2)
    register.purge(Criteria(is_=Severity.WARNING), START + 3)
    later = reborn(register, schema)
    assert [entry.xml() for entry in listed(later)] == [entry.xml() for entry in listed(register)]
    assert later.shown(None) == register.shown(None)
    assert later.subjects() == {UPS}
    assert judge(later, CRITICAL, OLD, at=9) == []
    assert len(judge(later, at=10)) == 1, "and is cleared in this life"


def test_records_of_another_server(schema: Schema) -> None:
    """Records that tell of no alarm are forgotten, and the others are taken up."""
    register = Register(schema)
    judge(register, LOW)
    records = dict(register.dirty(10))
    kept = {name: record for name, record in records.items() if record is not None}
    broken = {"coffee-cold:/x": {}, "battery-low:/x": {"subject": []}, "battery-aging:/y": {"purged": None}, "x": {}}
    later = Register(schema)
    later.restore(kept | broken)
    assert len(listed(later)) == 1
    assert set(later.dirty(10)) == {(name, None) for name in broken}


def test_summary(register: Register) -> None:
    """The summary counts what the list holds, by severity, clearance and what operators closed."""
    judge(register, LOW, OLD)
    judge(register, OLD, at=1)
    register.operate(the(register), "anna", OperatorState.CLOSED, None, START)
    summary = register.shown(None)[register.trees.summary]
    assert isinstance(summary, Inner)
    rows = summary.at("alarm-summary")
    assert isinstance(rows, ListNode)
    counts = {
        key[0]: [data for name, data in row.children.items() if not name.is_key] for key, row in rows.entries.items()
    }
    # total, not-cleared, cleared, cleared-not-closed, cleared-closed, not-cleared-closed, not-cleared-not-closed
    assert counts["minor"] == ["1", "0", "1", "0", "1", "0", "0"]
    assert counts["warning"] == ["1", "1", "0", "0", "0", "0", "1"]
    assert counts["major"] == ["0"] * 7
    assert list(counts) == ["critical", "major", "minor", "warning", "indeterminate"]


def test_all_is_valid(register: Register, schema: Schema) -> None:
    """The inventory, the list and the notifications are valid by the model, and every kind of alarm is in it."""
    judge(register, *(condition(kind) for kind in Kind))
    told = register.judge(UPS, [], lambda _kind, _part: False, START + 1)
    for notify in told:
        assert not validate_notification(schema, notify.notification, Inner(schema.root))
    alarms = Inner(register.trees.alarms, register.shown(None))
    root = Inner(schema.root, {register.trees.alarms: alarms})
    errors = validate_state(schema, root)
    assert [error for error in errors if error.path and "alarm" in error.path.text] == []
    inventory = alarms.children[register.trees.inventory]
    assert isinstance(inventory, Inner)
    types = inventory.at("alarm-type")
    assert isinstance(types, ListNode)
    assert {key[0] for key in types.entries} == {type_id(kind) for kind in Kind}
    concrete = {name for name in schema.identities if schema.derived(name, "eman-alarm:energy-alarm")}
    assert {key[0] for key in types.entries} == concrete


SEVERITIES = st.sampled_from([None, *Severity])
KINDS = [Kind.BATTERY_LOW, Kind.BATTERY_AGING]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([UPS, PDU]),
        st.fixed_dictionaries(dict.fromkeys(KINDS, SEVERITIES)),
        st.sets(st.sampled_from(KINDS)),
        st.floats(0, 5),
    ),
    max_size=30,
)


@given(steps=STEPS, restart=st.integers(0, 30))
def test_the_list_is_as_one_would_write_it_down(steps: list[Any], restart: int, schema: Schema) -> None:
    """After whatever is told in whatever order, over a restart too, the list is what a naive clerk has noted."""
    register, notes, at = Register(schema), {}, 0.0
    for number, (subject, wrong, unsure, passed) in enumerate(steps):
        if number == restart:
            register = reborn(register, schema)
        at += passed
        holding = [condition(kind, wrong[kind], subject=subject) for kind in KINDS if wrong[kind] is not None]
        expected = []
        for kind in KINDS:
            severity, log = wrong[kind], notes.setdefault((subject, kind), [])
            if severity is None and (not log or log[-1] is None or kind in unsure):
                continue
            if not log or log[-1] != severity:
                log.append(severity)
                expected.append(severity or "cleared")
        told = judge(register, *holding, at=at, subject=subject, unsure=unsure)
        assert sorted(each["perceived-severity"] for each in told) == sorted(expected)
    noted = {
        (resource(subject, "b"), type_id(kind), ""): [severity or "cleared" for severity in reversed(log)][:32]
        for (subject, kind), log in notes.items()
        if log
    }
    shown = {entry.key(): entry for entry in listed(register)}
    assert {key: changes(entry) for key, entry in shown.items()} == noted
    for key, entry in shown.items():
        assert entry.leaf("is-cleared") == ("true" if noted[key][0] == "cleared" else "false")
        assert entry.leaf("perceived-severity") == next(severity for severity in noted[key] if severity != "cleared")


def changes(entry: Inner) -> list[str | None]:
    told = entry.at("status-change")
    assert isinstance(told, ListNode)
    return [change.leaf("perceived-severity") for change in told.entries.values()]

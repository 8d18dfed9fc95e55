"""Maintenance: no commands, no alarms, begin and end told once, and wishes that wait for the end."""

from __future__ import annotations

from typing import Any

import pytest

from eman_netconf.energy.conditions import Kind, Sort, Subject
from eman_netconf.energy.effects import Audit
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import EntityInfo, LinkState, Quantity, Supply, Wish
from eman_netconf.errors import AppTag
from eman_netconf.yang.schema import Schema
from tests.energy.bench import DMTF, START, Bench, inlet, outlet, saved

Q = Quantity
NOON = "2023-11-14T23:13:20Z"  # an hour after the bench's start


def at_work(id_: str, **more: str) -> dict[str, Any]:
    return {"id": id_, "maintenance": {"enabled": True, **more}}


def rack(bench: Bench) -> Bench:
    """A strip with a server and a lamp on it; the server has a part."""
    faces = (inlet("in"), outlet("o1", ("srv", "in")), outlet("o2", ("lamp", "in")), outlet("o3"))
    bench.discover("pdu", EntityInfo(interfaces=faces))
    bench.discover("srv", EntityInfo(state_sets=(DMTF,)), EntityInfo("disk", contained_in="", state_sets=(DMTF,)))
    for face in ("o1", "o2", "o3"):
        bench.tell("pdu", Q.SUPPLY_STATE, "on", "", face)
    bench.tell("srv", Q.POWER_STATE, "dmtf-on")
    return bench


def shown(bench: Bench, id_: str) -> dict[str, str]:
    inner = bench.at(id_, "in-maintenance")
    return {} if inner is None else {node.name: data for node, data in inner.children.items()}


def told(bench: Bench) -> list[tuple[str, str]]:
    return [(notice["entity"], notice["in-maintenance"]) for notice in bench.notices("maintenance-changed")]


def test_many_ends_cost_one_look_each(bench: Bench) -> None:
    """However many spells end one after the other, and far away, few timers wait for them."""
    ends = [
        f"2023-11-14T22:{13 + (20 + 10 * number + 10) // 60:02d}:{(20 + 10 * number + 10) % 60:02d}Z"
        for number in range(40)
    ] + ["9999-12-31T23:59:59Z"]
    bench.commit(*(at_work(f"e{number}", until=end) for number, end in enumerate(ends)))
    for number in range(40):
        assert shown(bench, f"e{number}")
        bench.wait(10)
        assert not shown(bench, f"e{number}")
        assert len(bench.domain.timers._heap) < 5
    assert shown(bench, "e40")


@pytest.mark.parametrize(
    "wish",
    [
        {"entity": "srv", "state": "dmtf-off-soft"},
        {"entity": "srv.disk", "state": "dmtf-sleep-deep"},
        {"entity": "pdu", "interface": "o1", "supply": Supply.OFF, "accept_collateral": True},
        {"entity": "pdu", "interface": "o1", "supply": Supply.ON},
        {"entity": "pdu", "interface": "o1", "cycle": 10.0},
    ],
)
def test_commands_are_refused(bench: Bench, wish: dict[str, Any]) -> None:
    """Whatever would switch the entity, a part of it, or its supply, with who is at work and why."""
    rack(bench).commit(at_work("srv", reason="fan", responsible="Ann", until=NOON))
    with pytest.raises(Refusal) as refused:
        bench.wish(**wish)
    assert refused.value.app_tag is AppTag.IN_MAINTENANCE
    assert "in maintenance" in refused.value.reason
    assert f"(until {NOON}, fan, responsible is Ann)" in refused.value.reason


def test_others_are_not_concerned(bench: Bench) -> None:
    """The outlet beside it is switched as ever."""
    rack(bench).commit(at_work("srv"))
    bench.wish(entity="pdu", interface="o2", supply=Supply.OFF)
    assert bench.told() == [("o2", "off")]


def test_nothing_is_switched_at_what_is_worked_on(bench: Bench) -> None:
    """A strip in maintenance switches none of its outlets."""
    rack(bench).commit(at_work("pdu"))
    with pytest.raises(Refusal):
        bench.wish(entity="pdu", interface="o3", supply=Supply.OFF)


def test_a_group_is_in_maintenance_with_its_members(bench: Bench) -> None:
    """Members and their parts are, for as long as they are members."""
    rack(bench)
    group = {"name": "row", "member": ["srv"], "maintenance": {"enabled": True, "reason": "cabling"}}
    bench.commit(groups={"group": [group]})
    assert shown(bench, "srv")["from-group"] == shown(bench, "srv.disk")["from-group"] == "row"
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="srv", state="dmtf-off-soft")
    assert "with the group row" in refused.value.reason
    bench.commit(groups={"group": [{**group, "member": ["lamp"]}]})
    assert shown(bench, "srv") == {}
    bench.wish(entity="srv", state="dmtf-off-soft")


def test_it_is_shown_and_told(bench: Bench) -> None:
    """Since when, by what, and until when; begin and end are told once for each entity, and audited."""
    rack(bench)
    bench.wait(5)
    bench.commit(at_work("srv", reason="fan", responsible="Ann", until=NOON))
    assert shown(bench, "srv") == {
        "since": "2023-11-14T22:13:25Z",
        "until": NOON,
        "reason": "fan",
        "responsible": "Ann",
    }
    assert shown(bench, "srv.disk")["from-entity"] == "srv"
    assert told(bench) == [("srv", "true"), ("srv.disk", "true")]
    bench.commit(at_work("srv", reason="fan and disk"))
    assert shown(bench, "srv")["since"] == "2023-11-14T22:13:25Z"
    bench.commit()
    bench.commit({"id": "srv"})
    assert shown(bench, "srv") == {}
    assert told(bench)[2:] == [("srv", "false"), ("srv.disk", "false")]
    audited = [effect.event for effect in bench.effects if isinstance(effect, Audit) and effect.entity == "srv"]
    assert audited == ["maintenance begins: fan, Ann", "maintenance ends"]


def test_it_ends_by_itself(bench: Bench) -> None:
    """When its time has come, by the wall clock also where that was set back meanwhile."""
    rack(bench).commit(at_work("srv", until=NOON))
    bench.step_clock(-600)
    bench.wait(3600)
    assert shown(bench, "srv")
    bench.wait(600)
    assert shown(bench, "srv") == {}
    bench.wish(entity="srv", state="dmtf-off-soft")
    assert told(bench)[-2:] == [("srv", "false"), ("srv.disk", "false")]


def test_what_is_over_does_not_begin(bench: Bench) -> None:
    """A maintenance whose end has passed is none."""
    rack(bench).commit(at_work("srv", until="2020-01-01T00:00:00Z"))
    assert shown(bench, "srv") == {}


def test_standing_wishes_wait_for_the_end(bench: Bench) -> None:
    """A wish in configuration says what it waits for, and is sent when the maintenance is over."""
    rack(bench)
    standing = {"power-interface": [{"name": "o1", "supply": {"admin-state": "off"}}], "id": "pdu"}
    bench.commit(at_work("srv", until=NOON), standing)
    request = bench.at("pdu", "power-interface", ("o1",), "supply", "request")
    assert (request.leaf("status"), request.leaf("waiting-for")[:22]) == ("pending", "srv is in maintenance ")
    bench.link("pdu", LinkState.STALE, error="x")
    bench.link("pdu", LinkState.UP)
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    assert bench.commands() == []
    assert bench.notices("control-failed") == []
    bench.wait(3600)
    assert bench.told() == [("o1", "off")]
    assert bench.at("pdu", "power-interface", ("o1",), "supply", "request").leaf("waiting-for") is None


def test_what_is_under_way_stops(bench: Bench) -> None:
    """An outlet that is off for a while stays off when work begins meanwhile, and that is told as a failure."""
    rack(bench)
    bench.wish(entity="pdu", interface="o1", cycle=60.0)
    bench.answer()
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    bench.commit(at_work("srv"))
    bench.wait(61)
    assert bench.commands() == []
    assert "srv is in maintenance" in bench.notices("control-failed")[0]["reason"]


def test_nobody_is_alarmed(bench: Bench) -> None:
    """What is wrong is no condition meanwhile, of the entity and of the way to it, and is one again afterwards."""
    rack(bench)
    subjects = Subject(Sort.ENTITY, "pdu"), Subject(Sort.BACKEND, "pdu")
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "fault", "", "o2")
    bench.link("pdu", LinkState.BACKING_OFF, error="x")

    def kinds() -> list[list[str]]:
        return [[each.kind.value for each in bench.domain.conditions.holding(subject)] for subject in subjects]

    assert kinds() == [["supply-fault"], ["backend-unreachable"]]
    bench.commit(at_work("pdu"))
    assert kinds() == [[], []]
    assert not bench.domain.conditions.unsure(subjects[0], Kind.SUPPLY_LOST, "o2")
    bench.domain.turned()
    bench.commit({"id": "pdu"})
    assert kinds() == [["supply-fault"], ["backend-unreachable"]]
    assert "pdu" in bench.domain.turned()
    assert "pdu" in bench.domain.stirred()


def test_it_goes_on_over_a_restart(bench: Bench, schema: Schema) -> None:
    """Who was in maintenance still is, since the same time, and is not told of again; who is out is told as such."""
    rack(bench).commit(at_work("srv"), at_work("pdu", until=NOON))
    kept = dict(bench.domain.maintenance.dirty(100))
    again = Bench(schema, start=START + 4000)
    again.running = bench.running
    again.domain.maintenance.restore({id_: record for id_, record in kept.items() if record is not None})
    again.boot(saved(bench))
    assert shown(again, "srv")["since"] == "2023-11-14T22:13:20Z"
    assert shown(again, "pdu") == {}
    assert told(again) == [("pdu", "false")]


def test_a_whole_group_is_told_who_could_not(bench: Bench) -> None:
    """A member in maintenance is refused for itself, the others are switched."""
    rack(bench)
    bench.commit(at_work("srv"), {"id": "lamp"}, groups={"group": [{"name": "all", "member": ["srv", "lamp"]}]})
    plan = bench.domain.plan(Wish(group="all", state="ieee1621-off"), bench.now)
    verdicts = {member.entity: member.refusal.app_tag if member.refusal else None for member in plan.members}
    assert verdicts == {"lamp": None, "srv": AppTag.IN_MAINTENANCE}


@pytest.mark.parametrize(
    ("calm", "why"),
    [
        ({"maintenance": {"enabled": True, "reason": "fan"}}, "m is in maintenance (fan)"),
        ({"lifecycle": "retired"}, "m is not in service"),
    ],
)
def test_warnings_are_not_sent(bench: Bench, calm: dict[str, Any], why: str) -> None:
    """A threshold that is crossed meanwhile tells nobody; its state can be read all the same."""
    threshold = {"name": "hot", "quantity": "eman-types:active-power", "direction": "above", "level": "50.0"}
    bench.discover("m", EntityInfo())

    def measured(watts: int, **more: Any) -> int:
        bench.commit({"id": "m", "threshold": [threshold], **more})
        bench.wait(60)
        bench.tell("m", Q.ACTIVE_POWER, watts)
        return len(bench.notices("threshold-crossed"))

    assert measured(10) == 0
    assert measured(100) == 1
    assert measured(10) == 2
    assert measured(100, **calm) == 2
    assert bench.at("m", "threshold", ("hot",)) is not None
    conditions, subject = bench.domain.conditions, Subject(Sort.ENTITY, "m")
    assert (conditions.holding(subject), conditions.hush(subject)) == ([], why)
    bench.commit({"id": "m", "threshold": [threshold]})
    assert [each.kind for each in conditions.holding(subject)] == [Kind.THRESHOLD_CROSSED]
    assert conditions.hush(subject) is None

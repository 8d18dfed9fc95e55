"""Which events a filter lets through (RFC 5277 section 3.6)."""

from __future__ import annotations

import pytest
from lxml import etree

from eman_netconf.datastore.select import EVERYTHING, compile_subtree, compile_xpath
from eman_netconf.notifications.filters import Undecided, event_schema, passes
from eman_netconf.yang.events import notification_of
from eman_netconf.yang.schema import Kind, Schema
from eman_netconf.yang.tree import make_inner
from tests.notifications.stage import EMPS, Stage

EMPI = "urn:eman:yang:eman-power-interface"


@pytest.mark.parametrize(
    ("content", "through"),
    [
        (f'<power-state-changed xmlns="{EMPS}"/>', {"pdu-1", "ups-1"}),
        (f'<power-state-changed xmlns="{EMPS}"><entity>ups-1</entity></power-state-changed>', {"ups-1"}),
        (f'<power-state-changed xmlns="{EMPS}"><entity>ups-2</entity></power-state-changed>', set()),
        (f'<power-state-changed xmlns="{EMPS}"><entity/></power-state-changed>', {"pdu-1", "ups-1"}),
        (f'<power-state-changed xmlns="{EMPS}"><from/></power-state-changed>', set()),
        ("<power-state-changed/>", {"pdu-1", "ups-1"}),
        (f'<supply-switched xmlns="{EMPI}"/>', set()),
        (f'<nonsense xmlns="{EMPI}"/>', set()),
        ("", set()),
    ],
)
def test_subtree(stage: Stage, content: str, through: set[str]) -> None:
    """A subtree filter lets an event through when it selects something of it."""
    events = event_schema(stage.schema)
    selection = compile_subtree(etree.fromstring(f"<filter>{content}</filter>"), events)
    assert {id_ for id_ in ("pdu-1", "ups-1") if passes(selection, events, stage.notification(id_))} == through


@pytest.mark.parametrize(
    ("expression", "through"),
    [
        ("/s:power-state-changed", {"pdu-1", "ups-1"}),
        ("/s:power-state-changed[s:entity='ups-1']", {"ups-1"}),
        ("/s:power-state-changed/s:entity[starts-with(., 'pdu')]", {"pdu-1"}),
        ("//s:entity", {"pdu-1", "ups-1"}),
        ("/*[s:entity='pdu-1' or s:entity='pdu-2']", {"pdu-1"}),
        ("/i:supply-switched", set()),
        ("/i:supply-switched | /s:power-state-changed[s:entity = 'ups-1']", {"ups-1"}),
    ],
)
def test_xpath(stage: Stage, expression: str, through: set[str]) -> None:
    """So does an XPath filter."""
    events = event_schema(stage.schema)
    selection = compile_xpath(expression, {"s": EMPS, "i": EMPI}, events)
    assert {id_ for id_ in ("pdu-1", "ups-1") if passes(selection, events, stage.notification(id_))} == through


def test_a_costly_expression_ends(stage: Stage) -> None:
    """An expression that takes too many steps on an event is given up, and soon."""
    events = event_schema(stage.schema)
    selection = compile_xpath("//*" + "[//*" * 12 + "]" * 12, {}, events)
    with pytest.raises(Undecided, match="power-state-changed, on which the XPath filter takes more than 3000 steps"):
        passes(selection, events, stage.notification())
    shorter = compile_xpath("//*[//*]", {}, events)
    assert passes(shorter, events, stage.notification())


def test_everything(stage: Stage) -> None:
    """Without a filter every event goes through."""
    assert passes(EVERYTHING, event_schema(stage.schema), stage.notification())


def test_schema_of_events(schema: Schema) -> None:
    """The schema of events is made once and holds every notification, and of the data what one stands in."""
    events = event_schema(schema)
    assert event_schema(schema) is events
    kinds = {node.kind for name, node in events.root.children.items() if name not in schema.notifications}
    assert schema.notifications.items() <= events.root.children.items()
    assert kinds == {Kind.CONTAINER}
    alarm = events.find("ietf-alarms:alarms/alarm-list/alarm")
    assert [node.name for node in alarm.children.values()] == [*(key.name for key in alarm.keys), "operator-action"]


AL = "urn:ietf:params:xml:ns:yang:ietf-alarms"


@pytest.mark.parametrize(("state", "through"), [("ack", True), ("closed", False)])
def test_what_stands_in_the_data(schema: Schema, state: str, through: bool) -> None:
    """A notification that is defined in the data tree is chosen by what it holds and where it stands."""
    events = event_schema(schema)
    said = {"time": "2026-11-20T10:46:30Z", "operator": "anna", "state": "ack"}
    key = {"resource": "x", "alarm-type-id": "eman-alarm:battery-low", "alarm-type-qualifier": ""}
    entry = {**key, "operator-action": said}
    told = make_inner(events.root.child("ietf-alarms:alarms"), {"alarm-list": {"alarm": [entry]}})
    path = f"/al:alarms/al:alarm-list/al:alarm[al:resource='x']/al:operator-action[al:state='{state}']"
    assert passes(compile_xpath(path, {"al": AL}, events), events, told) is through
    inside = f"<alarm><operator-action><state>{state}</state></operator-action></alarm>"
    subtree = etree.fromstring(f'<filter><alarms xmlns="{AL}"><alarm-list>{inside}</alarm-list></alarms></filter>')
    assert passes(compile_subtree(subtree, events), events, told) is through
    assert notification_of(told).schema.name == "operator-action"

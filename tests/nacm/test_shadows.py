"""What tells of a value beside the leaf that shows it: thresholds, series, anomalies, and the alarms of them."""

from __future__ import annotations

from typing import Any

import pytest

from eman_netconf.energy.places import retold
from eman_netconf.nacm.judge import Nacm
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, make_inner
from tests.nacm.writing import ACM, deny, nacm, notification, permit, rule_list, session

TOP = "/eman-entity:energy-management"
ENTITY = f"{TOP}/entities/entity"
POWER = f"{ENTITY}/eman-measurement:power"
DOMAIN = f"{TOP}/eman-group:domains/domain[name='hall']"
STAMP = "2026-11-20T10:40:00Z"


def threshold(name: str, quantity: str = "eman-types:active-power", **more: str) -> dict[str, Any]:
    return {
        "name": name,
        "quantity": quantity,
        "direction": "above",
        "level": "100.0",
        "state": "crossed",
        "state-since": STAMP,
        "crossings": "1",
        **more,
    }


def series(name: str, quantity: str = "eman-types:active-power") -> dict[str, Any]:
    return {"name": name, "quantity": quantity, "length": "60", "peak": {"value": "120.0", "start-time": STAMP}}


def anomaly(quantity: str, place: str) -> dict[str, str]:
    return {"kind": "absurd-power", "quantity": quantity, "place": place, "count": "1", "last-value": "120"}


def alarm(resource: str) -> dict[str, Any]:
    return {
        "resource": resource,
        "alarm-type-id": "eman-alarm:threshold-crossed",
        "alarm-type-qualifier": "",
    }


def site(schema: Schema) -> Inner:
    """A server with a threshold, a series and an anomaly of its power and of another thing each; a hall with both."""
    box = {
        "id": "srv",
        "eman-measurement:power": {"active": "120.0"},
        "eman-threshold:threshold": [threshold("hot"), threshold("in", interface="in"), threshold("all", "vendor:own")],
        "eman-series:series": [series("day"), series("bill", "eman-types:energy-received")],
        "eman-measurement:anomaly": [
            anomaly("active-power", "entity"),
            anomaly("active-power", "power-interface in"),
            anomaly("frequency", "entity"),
            anomaly("power-state", "entity"),
        ],
    }
    room = {"name": "hall", "eman-threshold:threshold": [threshold("hot")], "eman-series:series": [series("day")]}
    resources = (
        f"{ENTITY}[id='srv']/eman-threshold:threshold[name='hot']",
        f"{ENTITY}[id='srv']/eman-threshold:threshold[name='in']",
        f"{ENTITY}[id='srv']/eman-threshold:threshold[name='gone']",
        f"{ENTITY}[id='srv']/eman-power-interface:power-interface[name='in']",
        f"{DOMAIN}/eman-threshold:threshold[name='hot']",
        "somewhere else",
    )
    return make_inner(
        schema.root,
        {
            "eman-entity:energy-management": {
                "entities": {"entity": [box]},
                "eman-group:domains": {"domain": [room]},
            },
            "ietf-alarms:alarms": {"alarm-list": {"alarm": [alarm(each) for each in resources]}},
        },
    )


def judge(schema: Schema, *paths: str) -> tuple[Nacm, Inner]:
    """Whoever is of the staff may read all but these."""
    container = nacm(schema, rule_list(*(deny("read", path=path) for path in paths), permit("read", path="/")))
    root = site(schema).replace(schema.root.child(ACM), container)
    return Nacm(schema, "root", lambda: root, retold(schema)), root


def entries(inner: Inner, *names: str) -> dict[tuple[str, ...], Inner]:
    told = inner.at(*names)
    return dict(told.entries) if isinstance(told, ListNode) else {}


def server(root: Inner) -> Inner:
    return entries(root, "energy-management", "entities", "entity")["srv",]


def hall(root: Inner) -> Inner:
    return entries(root, "energy-management", "domains", "domain")["hall",]


def telling(inner: Inner, name: str) -> list[str]:
    """The keys of the entries of a list that tell of a value."""
    telling = {"state", "peak", "last-value"}
    told = entries(inner, name).items()
    return [" ".join(key) for key, entry in told if telling & {node.name for node in entry.children}]


def test_whoever_may_read_all_sees_the_same_tree(schema: Schema) -> None:
    """Nothing is looked at where nothing is hidden."""
    by, root = judge(schema)
    assert by.readable(session(), root) is root


def test_values_that_are_hidden_are_told_by_nothing(schema: Schema) -> None:
    """Without the power of an entity: neither the state of a threshold, nor the peak of a series, nor an odd value."""
    by, root = judge(schema, POWER)
    seen = by.readable(session(), root)
    assert telling(server(seen), "threshold") == ["in"], "nobody knows what a vendor's quantity shows"
    assert telling(server(seen), "series") == ["bill"]
    assert telling(server(seen), "anomaly") == [
        "absurd-power active-power power-interface in",
        "absurd-power frequency entity",
    ]
    assert telling(hall(seen), "threshold") == ["hot"]
    assert entries(server(seen), "threshold")["hot",].leaf("level") == "100.0", "what is configured is nothing new"
    assert telling(server(root), "series") == ["day", "bill"], "others see what they saw"


def test_totals_tell_no_more_than_they_show(schema: Schema) -> None:
    """The power of a domain may be hidden while that of its members is not."""
    by, root = judge(schema, f"{TOP}/eman-group:domains/domain/eman-group:power")
    seen = by.readable(session(), root)
    assert telling(hall(seen), "threshold") == []
    assert telling(hall(seen), "series") == []
    assert telling(server(seen), "series") == ["day", "bill"]


def alarms(root: Inner) -> list[str]:
    """The last step of what has an alarm."""
    return [key[0].rpartition("/")[2] for key in entries(root, "ietf-alarms:alarms", "alarm-list", "alarm")]


@pytest.mark.parametrize(
    ("hidden", "left"),
    [
        (
            POWER,
            [
                "eman-threshold:threshold[name='in']",
                "eman-power-interface:power-interface[name='in']",
                "eman-threshold:threshold[name='hot']",
                "somewhere else",
            ],
        ),
        (ENTITY, ["eman-threshold:threshold[name='hot']", "somewhere else"]),
        (TOP, ["somewhere else"]),
    ],
)
def test_alarms_are_those_of_what_may_be_read(schema: Schema, hidden: str, left: list[str]) -> None:
    """Whoever may not read a thing finds no alarm of it; nor one that tells that a hidden value is too high."""
    by, root = judge(schema, hidden)
    assert alarms(by.readable(session(), root)) == left


@pytest.mark.parametrize(("name", "heard"), [("hot", False), ("in", True), ("gone", False)])
def test_alarms_of_hidden_values_are_not_heard(schema: Schema, name: str, heard: bool) -> None:
    """The notification of an alarm goes to those who find the alarm in the list."""
    by, _ = judge(schema, POWER)
    node = notification(schema, "alarm-notification")
    told = make_inner(node, alarm(f"{ENTITY}[id='srv']/eman-threshold:threshold[name='{name}']"))
    assert by.notification(session(), node, told) is heard

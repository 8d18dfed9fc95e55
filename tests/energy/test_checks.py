"""What a commit is refused for though YANG allows it."""

from __future__ import annotations

from typing import Any

import pytest

from eman_netconf.energy.relationships import End, Graph
from eman_netconf.energy.values import EntityInfo, StateInfo, StateSetInfo
from eman_netconf.errors import AppTag, ErrorTag, RpcError, RpcErrors
from tests.energy.bench import DMTF, Bench, canonical, inlet, outlet


def errors(bench: Bench, *entities: dict[str, Any]) -> tuple[RpcError, ...]:
    """What a commit is refused with; the bench stays as it was."""
    before = bench.running
    with pytest.raises(RpcErrors) as raised:
        bench.commit(*entities)
    assert bench.running is before
    return raised.value.errors


def wired(id_: str, *ends: tuple[str, str, str, str]) -> dict[str, Any]:
    """An entity with interfaces: name, direction, other entity, other interface."""
    return {
        "id": id_,
        "power-interface": [
            {"name": name, "direction": way, "connected-to": [{"entity": entity, "interface": interface}]}
            for name, way, entity, interface in ends
        ],
    }


def test_a_power_loop_is_refused_with_its_way(bench: Bench) -> None:
    """The error names who feeds whom, and its path points at the wire."""
    (error,) = errors(
        bench,
        wired("a", ("in", "inlet", "b", "out")),
        wired("b", ("in", "inlet", "a", "out")),
    )[:1]
    assert (error.app_tag, error.tag) == (AppTag.POWER_LOOP, ErrorTag.OPERATION_FAILED)
    assert "a, which is fed by b, which is fed by a" in error.message
    assert str(error.path).endswith("eman:entity[eman:id='a']/empi:power-interface[empi:name='in']")


def test_a_loop_closed_by_what_is_discovered_is_refused(bench: Bench) -> None:
    """Half of the loop is told by a device, half configured."""
    bench.discover("x", EntityInfo(id="x", interfaces=(inlet("in", ("y", "out")), outlet("out"))))
    bench.commit({"id": "y"})
    (error,) = errors(bench, wired("y", ("in", "inlet", "x", "out")))
    assert error.app_tag is AppTag.POWER_LOOP
    assert list(bench.domain.site.graph.wired(End("x", "out"))) == []


def test_a_strip_plugged_into_itself_is_a_loop(bench: Bench) -> None:
    """The shortest loop there is."""
    (error,) = errors(bench, wired("a", ("in", "inlet", "a", "out")))
    assert error.app_tag is AppTag.POWER_LOOP


def test_wires_whose_way_is_not_known_are_no_loop(bench: Bench) -> None:
    """A ring of interfaces that can work either way is a bus tie, not a loop."""
    bench.commit(
        wired("a", ("x", "both", "b", "y")),
        wired("b", ("x", "both", "a", "y")),
    )


def test_a_containment_loop_is_refused(bench: Bench) -> None:
    """Directly or by steps, configured or in part discovered."""
    bench.discover("gw", EntityInfo("blade", "blade", contained_in="box"))
    (error,) = errors(bench, {"id": "box", "contained-in": "blade"})
    assert (error.app_tag, str(error.path)) == (
        AppTag.CONTAINMENT_LOOP,
        "/eman:energy-management/eman:entities/eman:entity[eman:id='box']/eman:contained-in",
    )
    assert errors(bench, {"id": "me", "contained-in": "me"})[0].app_tag is AppTag.CONTAINMENT_LOOP
    bench.commit({"id": "box", "contained-in": "rack"}, {"id": "rack"})


@pytest.mark.parametrize(
    ("kind", "leaf", "app_tag", "message"),
    [
        ("group", "includes", AppTag.GROUP_LOOP, "A group cannot include itself: a includes c includes b includes a."),
        ("domain", "parent", AppTag.DOMAIN_LOOP, "A domain cannot be a part of itself: a in c in b in a."),
    ],
)
def test_what_is_inside_itself_is_refused(bench: Bench, kind: str, leaf: str, app_tag: AppTag, message: str) -> None:
    """Groups and domains by way of others or at once; the same one inside two others is well."""

    def commit(**inside: str) -> None:
        entries = [
            {"name": name} | ({leaf: [inside[name]] if kind == "group" else inside[name]} if name in inside else {})
            for name in "abc"
        ]
        bench.commit(**{f"{kind}s": {kind: entries}})

    commit(b="a", c="a")
    commit(b="a", c="b")
    before = bench.running
    with pytest.raises(RpcErrors) as raised:
        commit(a="c", b="a", c="b")
    (error,) = raised.value.errors
    assert (error.app_tag, error.message) == (app_tag, message)
    assert str(error.path).endswith(f"emgrp:{kind}[emgrp:name='a']/emgrp:{leaf}")
    with pytest.raises(RpcErrors, match=r"a in a|a includes a"):
        commit(a="a")
    assert bench.running is before


def test_a_state_the_entity_does_not_have_is_refused(bench: Bench) -> None:
    """Only once the device has told its states; a state of another set is mapped."""
    wish = {"id": "m", "power-state": {"admin-state": canonical("acpi-c1")}}
    bench.commit({"id": "later", "power-state": {"admin-state": canonical("ieee1621-sleep")}})
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    bench.commit(wish)
    info = StateSetInfo("redfish", (StateInfo("redfish-on"), StateInfo("redfish-off")), settable=True)
    bench.discover("r", EntityInfo(state_sets=(info,)))
    (error,) = errors(bench, wish, {"id": "r", "power-state": {"admin-state": canonical("ieee1621-sleep")}})
    assert (error.tag, error.app_tag) == (ErrorTag.INVALID_VALUE, AppTag.STATE_NOT_SUPPORTED)
    assert str(error.path).endswith("[eman:id='r']/emps:power-state/emps:admin-state")


def test_a_state_stands_in_its_own_set_only(bench: Bench) -> None:
    """supported-state of one set cannot list a state of another."""
    row = {"name": canonical("dmtf"), "supported-state": [{"state": canonical("eman-high")}]}
    (error,) = errors(bench, {"id": "m", "power-state": {"set": [row]}})
    assert error.app_tag is AppTag.STATE_NOT_SUPPORTED


def test_a_foreign_id_is_for_one_entity(bench: Bench) -> None:
    """Taken already, taken twice in one commit; moved in one commit it is fine."""
    serial = [{"kind": "eman-entity:serial-number", "value": "S1"}]
    (error,) = errors(bench, {"id": "a", "foreign-id": serial}, {"id": "b", "foreign-id": serial})
    assert error.app_tag is AppTag.FOREIGN_ID_IN_USE
    place = "[eman:id='b']/eman:foreign-id[eman:kind='eman-entity:serial-number'][eman:value='S1']"
    assert str(error.path).endswith(place)
    bench.commit({"id": "a", "foreign-id": serial})
    (error,) = errors(bench, {"id": "a", "foreign-id": serial}, {"id": "b", "foreign-id": serial})
    assert "a" in error.message
    bench.commit({"id": "a"}, {"id": "b", "foreign-id": serial})


def test_all_errors_are_gathered(bench: Bench) -> None:
    """One commit with several faults names each."""
    found = errors(
        bench,
        {"id": "a", "contained-in": "a"},
        {"id": "b", "contained-in": "b"},
        wired("c", ("in", "inlet", "c", "out")),
    )
    assert [error.app_tag for error in found] == [
        AppTag.CONTAINMENT_LOOP,
        AppTag.CONTAINMENT_LOOP,
        AppTag.POWER_LOOP,
    ]


def test_the_whole_configuration_is_judged_at_start(bench: Bench) -> None:
    """Without a change everything is looked at."""
    running = bench.configured(entities={"entity": [{"id": "a", "contained-in": "a"}]})
    with pytest.raises(RpcErrors):
        bench.domain.prepare(None, running)


def test_the_cost_is_that_of_the_change(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many wired entities a change of one asks for the feeds of that one and what is above it, no others."""
    chain = [wired(f"e{number}", ("in", "inlet", f"e{number - 1}", "out")) for number in range(1, 200)]
    bench.commit({"id": "e0"}, *chain)
    asked: list[str] = []
    feeds = Graph.feeds

    def counted(self: Graph, entity: str) -> list[Any]:
        asked.append(entity)
        return feeds(self, entity)

    monkeypatch.setattr(Graph, "feeds", counted)
    chain[5] = {**chain[5], "name": "renamed"}
    bench.commit({"id": "e0"}, *chain)
    renaming = len(asked)
    chain[3] = wired("e4", ("in2", "inlet", "e3", "out"))
    bench.commit({"id": "e0"}, *chain)
    assert renaming < 5
    assert len(asked) < 30

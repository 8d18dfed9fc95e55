"""The wiring as a whole: levels, redundancy, single points of failure, and what if something failed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.domain import Domain
from eman_netconf.energy.planning import Refusal
from eman_netconf.energy.relationships import End, Graph
from eman_netconf.energy.topology import MOST_POINTS, Redundancy, Topology, circles
from eman_netconf.energy.values import (
    BatteryInfo,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Quantity,
    RelationInfo,
    StateInfo,
    StateSetInfo,
    Supply,
    Wish,
)
from eman_netconf.energy.what_if import Assumed, Outlook
from tests.energy.bench import Bench, inlet, outlet

SELF = StateSetInfo("ieee1621", (StateInfo("ieee1621-on"), StateInfo("ieee1621-off")), settable=True)
T = TypeVar("T")


def at_once(steps: Generator[None, None, T]) -> T:
    """The result of what is worked out in steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns


def suppose(domain: Domain, *assumed: Assumed) -> Outlook:
    return at_once(domain.what_if(assumed))


@pytest.fixture
def room(bench: Bench) -> Bench:
    """Two feeds, a UPS with a strip behind it and a strip of its own, a server on both, a lamp on one, a disk."""
    bench.discover("feed-a", EntityInfo(interfaces=(outlet("o", ("ups", "in")),)))
    bench.discover("feed-b", EntityInfo(interfaces=(outlet("o", ("pdu-b", "in")),)))
    bench.discover(
        "ups", EntityInfo(interfaces=(inlet("in"), outlet("o", ("pdu-a", "in"))), batteries=(BatteryInfo("string"),))
    )
    for strip, lamp in (("pdu-a", ()), ("pdu-b", (("lamp", "in"),))):
        faces = (inlet("in"), outlet("o1", ("srv", strip)), outlet("o2", *lamp))
        bench.discover(strip, EntityInfo(interfaces=faces, state_sets=(SELF,)))
    bench.discover("srv", EntityInfo(interfaces=(inlet("pdu-a"), inlet("pdu-b"))))
    bench.discover("lamp", EntityInfo(interfaces=(inlet("in"),)))
    bench.commit({"id": "srv", "vital": True}, {"id": "disk", "contained-in": "srv"}, {"id": "clock"})
    return bench


def states(bench: Bench, *ids: str) -> list[str]:
    return [bench.domain.topology.supply(id_).state.value for id_ in ids]


def test_levels_and_states(room: Bench) -> None:
    """Sources are at level 0, each load one above its highest source; redundancy is told for each, a part's too."""
    topology = room.domain.topology
    ids = ("feed-a", "feed-b", "ups", "pdu-a", "pdu-b", "srv", "lamp")
    assert [topology.supply(id_).level for id_ in ids] == [0, 0, 1, 2, 1, 3, 2]
    assert states(room, *ids) == ["none", "none", "single", "single", "single", "redundant", "single"]
    assert states(room, "disk", "clock") == ["redundant", "none"]
    assert topology.supply("srv").sources == 2
    assert [way.sources_left for way in topology.supply("srv").ways] == [1, 1]
    assert list(topology.points("lamp")) == [
        End("lamp", "in"),
        End("pdu-b", "o2"),
        "pdu-b",
        End("pdu-b", "in"),
        End("feed-b", "o"),
        "feed-b",
    ]
    assert list(topology.points("srv")) == []
    assert list(topology.points("disk")) == ["srv"]


def test_what_is_switched_is_seen(room: Bench) -> None:
    """An outlet off, a strip off, a wire more: who hangs on it stands otherwise at the next question, and back."""
    topology = room.domain.topology
    assert states(room, "srv", "lamp") == ["redundant", "single"]
    room.tell("pdu-a", Quantity.SUPPLY_STATE, "off", "", "o1")
    assert states(room, "srv", "disk") == ["degraded", "degraded"]
    assert [(way.passes, way.supplies) for way in topology.supply("srv").ways] == [(False, False), (True, True)]
    room.tell("pdu-b", Quantity.POWER_STATE, "ieee1621-off")
    assert states(room, "srv", "disk", "lamp", "pdu-b") == ["unpowered", "unpowered", "unpowered", "single"]
    room.wait(1.0)
    room.tell("pdu-a", Quantity.SUPPLY_STATE, "on", "", "o1")
    room.tell("pdu-b", Quantity.POWER_STATE, "ieee1621-on")
    assert states(room, "srv", "lamp") == ["redundant", "single"]
    room.discover("feed-c", EntityInfo(interfaces=(outlet("o", ("lamp", "second")),)))
    assert states(room, "lamp") == ["redundant"]
    assert topology.supply("lamp").sources == 2


def test_a_command_under_way_counts_as_carried_out(room: Bench) -> None:
    """As for the guard, an outlet that was told to go off is not counted on any more."""
    assert states(room, "srv") == ["redundant"]
    room.wish(entity="pdu-a", interface="o1", supply=Supply.OFF)
    assert states(room, "srv") == ["degraded"]


def test_a_common_point_is_found_behind_two_feeds(room: Bench) -> None:
    """Two strips that hang on one box make nothing redundant: the box and all above it are named."""
    room.discover("feed-b", EntityInfo(interfaces=(outlet("o"),)))
    room.discover("ups", EntityInfo(interfaces=(inlet("in"), outlet("o", ("pdu-a", "in"), ("pdu-b", "in")))))
    assert states(room, "srv") == ["single"]
    points = [End("ups", "o"), "ups", End("ups", "in"), End("feed-a", "o"), "feed-a"]
    assert list(room.domain.topology.points("srv")) == points


def test_long_chains_are_worked_out_and_their_points_counted(bench: Bench) -> None:
    """A chain of a thousand boxes is no recursion; all points of failure are counted, the nearest are named."""
    names = [f"n{number}" for number in range(1000)]
    for here, there in pairwise(names):
        bench.discover(here, EntityInfo(interfaces=(inlet("in"), outlet("o", (there, "in")))))
    bench.discover(names[-1], EntityInfo(interfaces=(inlet("in"),)))
    last = bench.domain.topology.supply(names[-1])
    assert (last.level, last.state, last.point_count) == (999, Redundancy.SINGLE, 3 * 999)
    assert len(last.points) == MOST_POINTS


def test_loops_are_tolerated(bench: Bench) -> None:
    """Boxes that feed each other share a level, and have power if one of them is fed from elsewhere."""
    ring = ("a", "b", "c")
    for here, there in zip(ring, (*ring[1:], ring[0]), strict=True):
        bench.discover(here, EntityInfo(interfaces=(inlet("in"), inlet("grid"), outlet("o", (there, "in")))))
    topology = bench.domain.topology
    assert {topology.supply(id_).level for id_ in ring} == {0}
    assert states(bench, *ring) == ["unpowered"] * 3
    bench.discover("feed", EntityInfo(interfaces=(outlet("o", ("b", "grid")),)))
    assert {topology.supply(id_).level for id_ in ring} == {1}
    assert states(bench, *ring) == ["single", "single", "single"]
    assert list(topology.points("a"))[-3:] == [End("b", "grid"), End("feed", "o"), "feed"]


def test_circles_come_after_what_is_above_them() -> None:
    """Those that reach each other come together, once, after all they reach."""
    above = {"d": ["c"], "c": ["b", "a"], "b": ["c", "e"], "a": ["e"], "e": []}
    found = [sorted(circle) for circle in circles("d", above.__getitem__)]
    assert sorted(found) == [["a"], ["b", "c"], ["d"], ["e"]]
    assert found.index(["e"]) < found.index(["a"]) < found.index(["b", "c"]) < found.index(["d"])


# --- against the guard


@st.composite
def sites(draw: st.DrawFn) -> list[tuple[str, str, str, str]]:
    """Wires (outlet's entity and name, inlet's entity and name) between up to eight boxes; loops are possible."""
    boxes = [f"n{number}" for number in range(draw(st.integers(2, 8)))]
    box = st.sampled_from(boxes)
    wire = st.tuples(box, st.sampled_from(["o1", "o2"]), box, st.sampled_from(["i1", "i2"]))
    return draw(st.lists(wire, max_size=16))


def wire_up(bench: Bench, wires: Iterable[tuple[str, str, str, str]], parts: dict[str, str]) -> list[str]:
    boxes = sorted({box for wire in wires for box in (wire[0], wire[2])} | parts.keys() | {*parts.values()})
    for box in boxes:
        faces = [
            outlet(name, *[(wire[2], wire[3]) for wire in wires if wire[:2] == (box, name)]) for name in ("o1", "o2")
        ]
        info = EntityInfo(
            interfaces=(*faces, inlet("i1"), inlet("i2")), state_sets=(SELF,), contained_in=parts.get(box)
        )
        bench.discover(box, info)
    return boxes


@settings(max_examples=150, deadline=None)
@given(sites(), st.data())
def test_points_of_failure_are_what_the_guard_says(
    boot: Callable[[], Bench], wires: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    """Random sites in random states: exactly those things are points of failure whose loss darkens one by the guard.

    What is remembered between questions is the same as what is worked out anew.
    """
    bench = boot()
    boxes = sorted({box for wire in wires for box in (wire[0], wire[2])})
    parts = {}
    if len(boxes) > 3 and data.draw(st.booleans()):
        parts[boxes[1]] = boxes[0]
    boxes = wire_up(bench, wires, parts)
    graph, topology = bench.domain.site.graph, bench.domain.topology
    ends = [End(box, name) for box in boxes for name in ("o1", "o2", "i1", "i2")]
    for _ in range(3):
        for _ in range(data.draw(st.integers(0, 3)) if boxes else 0):
            bench.wait(1.0)
            box = data.draw(st.sampled_from(boxes))
            if data.draw(st.booleans()):
                name = data.draw(st.sampled_from(["o1", "o2", "i1"]))
                bench.tell(box, Quantity.SUPPLY_STATE, data.draw(st.sampled_from(["on", "off"])), "", name)
            else:
                state = data.draw(st.sampled_from(["ieee1621-on", "ieee1621-off"]))
                bench.tell(box, Quantity.POWER_STATE, state)
        anew = Topology(bench.domain.site, graph, set())
        for box in reversed(boxes):
            assert topology.supply(box).powered == graph.fed(box)
            assert topology.supply(box) == anew.supply(box)
            if graph.fed(box):
                dark = {end for end in ends if box in graph.loss([end])} | {
                    other for other in boxes if box in graph.loss((), [other])
                }
                assert set(topology.points(box)) == dark


@settings(max_examples=100, deadline=None)
@given(sites(), st.data())
def test_what_if_says_what_the_guard_says(
    boot: Callable[[], Bench], wires: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    """Whoever would lose power by a wish is exactly for whom the guard refuses it when he is vital."""
    bench = boot()
    boxes = wire_up(bench, wires, {})
    if not boxes:
        return
    domain = bench.domain
    box = data.draw(st.sampled_from(boxes))
    name = data.draw(st.sampled_from([None, "o1", "o2"]))
    what: dict[str, Any] = {"state": "ieee1621-off"} if name is None else {"interface": name, "supply": Supply.OFF}
    wish = Wish(by="ann", entity=box, accept_collateral=True, **what)
    outlook = suppose(domain, Assumed(box, name))
    lost = {fate.entity for fate in outlook.lost}
    plan = domain.plan(wish, bench.now)
    orders = [order for stage in plan.stages for order in stage.orders]
    assert lost == set(domain.control.guard.lost(orders))
    assert lost - {box} == set(plan.affected)
    for other in sorted(lost - {box}):
        bench.commit({"id": other, "vital": True})
        with pytest.raises(Refusal) as refused:
            domain.plan(wish, bench.now)
        assert refused.value.entities == (other,)
    for fate in outlook.lost:
        assert fate.after == (0, 0)
    assert not {fate.entity for fate in outlook.weakened} & lost


# --- what if


def test_what_if_a_feed_fails(room: Bench) -> None:
    """Who loses power, who keeps it by another feed, whose batteries take over, and what is not taken any more."""
    for id_, watts in (("srv", 300), ("lamp", 20), ("pdu-b", 180), ("ups", 150)):
        room.tell(id_, Quantity.ACTIVE_POWER, Decimal(watts))
    outlook = suppose(room.domain, Assumed("feed-b"))
    assert sorted(fate.entity for fate in outlook.lost) == ["lamp", "pdu-b"]
    assert [(fate.entity, *fate.before, *fate.after) for fate in outlook.weakened] == [
        ("disk", 0, 2, 0, 1),
        ("srv", 2, 2, 1, 1),
    ]
    assert outlook.shed == ["lamp"], "of what the strip takes, the other strip gives the server's part"
    assert outlook.batteries == []
    outlook = suppose(room.domain, Assumed("feed-a", "o"), Assumed("pdu-b", "o1"))
    assert {fate.entity: fate.held for fate in outlook.lost} == dict.fromkeys(("ups", "pdu-a", "srv", "disk"), True)
    assert outlook.batteries == ["ups"]
    assert outlook.shed == ["ups"]
    assert states(room, "srv", "ups") == ["redundant", "single"], "nothing was changed"


def test_what_if_an_inlet_fails(room: Bench) -> None:
    """A power supply that fails leaves the others; the only inlet takes all behind it."""
    assert [fate.entity for fate in suppose(room.domain, Assumed("srv", "pdu-a")).weakened] == ["disk", "srv"]
    lost = suppose(room.domain, Assumed("pdu-b", "in")).lost
    assert sorted(fate.entity for fate in lost) == ["lamp", "pdu-b"]


def test_what_if_something_is_switched_on(room: Bench) -> None:
    """With the outlet on again, or the strip, its loads would have power; with both still off they would not."""
    room.tell("pdu-b", Quantity.SUPPLY_STATE, "off", "", "o2")
    assert states(room, "lamp") == ["unpowered"]
    back = suppose(room.domain, Assumed("pdu-b", "o2", on=True))
    assert [(fate.entity, *fate.after) for fate in back.regained] == [("lamp", 1, 1)]
    room.tell("pdu-b", Quantity.POWER_STATE, "ieee1621-off")
    assert suppose(room.domain, Assumed("pdu-b", "o2", on=True)).regained == []
    both = (Assumed("pdu-b", "o2", on=True), Assumed("pdu-b", on=True))
    assert [fate.entity for fate in suppose(room.domain, *both).regained] == ["lamp"]


def test_the_grid_is_a_feed_that_may_fail(bench: Bench) -> None:
    """An interface for both directions without a wire leads to the grid: with the roof as well no single one counts."""
    grid = InterfaceInfo("grid", Direction.BOTH, switchable=True)
    bench.discover("roof", EntityInfo(interfaces=(outlet("ac", ("panel", "solar")),)))
    bench.discover("panel", EntityInfo(interfaces=(grid, inlet("solar"), outlet("o", ("lamp", "in")))))
    bench.discover("lamp", EntityInfo(interfaces=(inlet("in"),)))
    topology = bench.domain.topology
    assert states(bench, "panel", "lamp") == ["redundant", "single"]
    assert topology.supply("panel").sources == 2
    assert list(topology.points("lamp")) == [End("lamp", "in"), End("panel", "o"), "panel"]
    assert suppose(bench.domain, Assumed("roof")).lost == []
    assert [fate.entity for fate in suppose(bench.domain, Assumed("panel", "grid")).weakened] == ["lamp", "panel"]
    both = suppose(bench.domain, Assumed("panel", "grid"), Assumed("roof"))
    assert [fate.entity for fate in both.lost] == ["lamp", "panel"]
    bench.tell("panel", Quantity.POWER_AVAILABLE, False, "", "grid")
    assert states(bench, "panel", "lamp") == ["degraded", "single"]
    assert "roof" in topology.points("lamp")


def test_the_guard_sees_to_the_grid(bench: Bench) -> None:
    """What hangs on the grid alone is not cut from it while it is vital."""
    grid = InterfaceInfo("grid", Direction.BOTH, switchable=True)
    bench.discover("panel", EntityInfo(interfaces=(grid, outlet("o", ("lamp", "in")))))
    bench.discover("lamp", EntityInfo(interfaces=(inlet("in"),)))
    bench.commit({"id": "lamp", "vital": True})
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="panel", interface="grid", supply=Supply.OFF, accept_collateral=True)
    assert refused.value.entities == ("lamp",)


def test_relations_feed_where_no_wire_is_known(bench: Bench) -> None:
    """A source that is only stated feeds too, by an outlet or as a whole."""
    bench.discover(
        "box",
        EntityInfo(interfaces=(outlet("o"),), relationships=(RelationInfo("powering", "load"),)),
    )
    bench.discover("load", EntityInfo())
    supply = bench.domain.topology.supply("load")
    assert [(way.feed.source, way.feed.outlet, way.feed.inlet) for way in supply.ways] == [("box", None, None)]
    assert supply.points == ("box",)


# --- as it is served


def served(bench: Bench) -> Any:
    return bench.served().at("eman-topology:topology", "node").entries  # type: ignore[union-attr]


def test_it_is_served_entry_by_entry(room: Bench) -> None:
    """The list holds whom the wiring concerns, in the order of the entities; an entry says what the core knows."""
    nodes = served(room)
    assert [key[0] for key in nodes] == ["srv", "disk", "feed-a", "feed-b", "ups", "pdu-a", "pdu-b", "lamp"]
    assert len(nodes) == 8
    assert ("clock",) not in nodes
    lamp = nodes["lamp",]
    assert lamp.leaf("level") == "2"
    feed = lamp.at("feed").entries["0",]
    assert {node.name: value for node, value in feed.children.items()} == {
        "source": "pdu-b",
        "source-interface": "o2",
        "interface": "in",
        "passes": "true",
        "supplies": "true",
        "sources-left": "0",
    }
    assert lamp.at("redundancy").leaf("points-of-failure") == "6"
    assert b"<state>single</state>" in lamp.xml()


def test_a_question_costs_what_hangs_above(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outlet that is switched costs those behind it; of the others what was worked out is kept."""
    racks = [f"r{number}" for number in range(20)]
    bench.discover("feed", EntityInfo(interfaces=tuple(outlet(rack, (rack, "in")) for rack in racks)))
    for rack in racks:
        loads = tuple(outlet(f"o{number}", (f"{rack}-{number}", "in")) for number in range(10))
        bench.discover(rack, EntityInfo(interfaces=(inlet("in"), *loads)))
    asked: list[str] = []
    graph = bench.domain.site.graph
    topology = bench.domain.topology
    everybody = [*racks, *(f"{rack}-{number}" for rack in racks for number in range(10))]
    for id_ in everybody:
        topology.supply(id_)

    def ways(entity: str) -> Any:
        asked.append(entity)
        return Graph.ways(graph, entity)

    monkeypatch.setattr(graph, "ways", ways)
    for box, name in (("r3", "o4"), ("feed", "r3")):
        bench.tell(box, Quantity.SUPPLY_STATE, "off", "", name)
        asked.clear()
        assert topology.supply("r1-1").powered
        assert asked == []
    bench.tell("feed", Quantity.SUPPLY_STATE, "off", "", "r1")
    asked.clear()
    assert not topology.supply("r1-1").powered
    assert sorted(asked) == ["r1", "r1-1"]

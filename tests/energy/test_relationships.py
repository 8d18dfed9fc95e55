"""The graph of wires and relations: both ends show it, and who loses the last supply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.relationships import (
    PROXIED_BY,
    PROXYING,
    Claim,
    End,
    Evidence,
    Graph,
    Relation,
    find_loop,
    find_loops,
)
from eman_netconf.energy.values import Direction, EntityInfo, ForeignId, LinkState, Quantity, RelationInfo
from tests.energy.bench import DMTF, Bench, inlet, outlet

REL = "eman-relationship:"


def relations(bench: Bench, id_: str) -> dict[tuple[str, str], str]:
    """The relations of an entity with their evidence."""
    data = bench.at(id_, "relationship")
    entries = data.entries if data is not None else {}
    return {(key[0].removeprefix(REL), key[1]): entry.leaf("evidence") for key, entry in entries.items()}


def wires(bench: Bench, id_: str, name: str) -> dict[tuple[str, str], tuple[str | None, str]]:
    data = bench.at(id_, "power-interface", (name,), "connected-to")
    entries = data.entries if data is not None else {}
    return {key: (entry.leaf("peer-role"), entry.leaf("evidence")) for key, entry in entries.items()}


def test_configuring_one_end_shows_the_other(bench: Bench) -> None:
    """A wire configured at an inlet stands at the outlet, too, where it is inferred."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))
    wire = {"entity": "pdu", "interface": "o1"}
    bench.commit({"id": "srv", "power-interface": [{"name": "a", "direction": "inlet", "connected-to": [wire]}]})
    assert wires(bench, "srv", "a") == {("pdu", "o1"): ("source", "configured")}
    assert wires(bench, "pdu", "o1") == {("srv", "a"): ("load", "inferred")}
    assert relations(bench, "srv")["powered-by", "pdu"] == "inferred"
    assert relations(bench, "pdu")["powering", "srv"] == "inferred"
    assert relations(bench, "pdu")["controlling", "srv"] == "inferred"
    uuid = bench.at("srv", "power-interface", ("a",), "connected-to", ("pdu", "o1"), "entity-uuid")
    assert uuid == bench.at("pdu", "uuid")
    bench.commit({"id": "srv"})
    assert wires(bench, "pdu", "o1") == {}
    assert relations(bench, "pdu") == {}


def test_discovering_one_end_shows_the_other(bench: Bench) -> None:
    """What the strip tells of its plugs is seen at the server, in an interface nobody else knows of."""
    bench.commit({"id": "srv"})
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "psu-1")),)))
    assert wires(bench, "srv", "psu-1") == {("pdu", "o1"): ("source", "inferred")}
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))
    assert bench.at("srv", "power-interface") is None


def test_a_wire_turns_with_a_reversible_interface(bench: Bench) -> None:
    """The peer's role follows what the interface works as at present."""
    bench.commit(
        {"id": "grid", "power-interface": [{"name": "g", "connected-to": [{"entity": "ess", "interface": "x"}]}]},
        {"id": "ess", "power-interface": [{"name": "x", "direction": "both"}]},
    )
    bench.discover("b", EntityInfo(id="ess", interfaces=(inlet("x"),)))
    assert wires(bench, "grid", "g")["ess", "x"][0] is None
    for way, role in (("inlet", "load"), ("outlet", "source"), ("inlet", "load")):
        bench.wait(1)
        bench.tell("b", Quantity.OPERATIONAL_DIRECTION, way, "", "x")
        assert wires(bench, "grid", "g")["ess", "x"][0] == role
        assert bench.at("ess", "power-interface", ("x",), "operational-direction") == way


def test_an_outlet_that_measures_meters_its_load(bench: Bench) -> None:
    """With its first reading an outlet is metering what it feeds, and the load is metered by the strip."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")),)))
    bench.commit({"id": "srv"})
    assert ("metering", "srv") not in relations(bench, "pdu")
    bench.tell("pdu", Quantity.ACTIVE_POWER, -5, "", "o1")
    assert ("metering", "srv") in relations(bench, "pdu")
    entry = bench.at("srv", "relationship", (f"{REL}metered-by", "pdu"))
    assert entry.leaf("reports") == "power energy"


def test_statements_about_one_relation_are_joined(bench: Bench) -> None:
    """An operator's statement goes first, a device's adds what it leaves open."""
    bench.discover(
        "gw",
        EntityInfo(relationships=(RelationInfo("controlling", "lamp", controls=frozenset({"power-state"})),)),
    )
    stated = {"type": f"{REL}controlled-by", "peer": "gw", "endpoint": "https://lamp.example"}
    bench.commit({"id": "lamp", "relationship": [stated]})
    entry = bench.at("lamp", "relationship", (f"{REL}controlled-by", "gw"))
    assert (entry.leaf("evidence"), entry.leaf("controls")) == ("configured", "power-state")
    assert entry.leaf("endpoint") == "https://lamp.example"
    assert relations(bench, "gw")["controlling", "lamp"] == "discovered"
    bench.link("gw", LinkState.UP)


def test_a_device_may_say_a_thing_twice(bench: Bench) -> None:
    """The same wire and the same relation told twice are one, and go away as one."""
    twice = (RelationInfo("metering", "srv"), RelationInfo("metering", "srv", interfaces=("o",)))
    bench.commit({"id": "srv"})
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o", ("srv", "in"), ("srv", "in")),), relationships=twice))
    assert wires(bench, "srv", "in") == {("pdu", "o"): ("source", "inferred")}
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o"),)))
    assert relations(bench, "srv") == {}
    assert bench.at("srv", "power-interface") is None


def test_a_device_may_name_its_own_by_their_local_names(bench: Bench) -> None:
    """Peers of the same inventory are found by the names they have there, whatever their ids come to be."""
    bench.commit({"id": "phone-7", "foreign-id": [{"kind": "eman-entity:serial-number", "value": "S7"}]})
    phone = EntityInfo(
        "phone",
        foreign_ids=(ForeignId("serial-number", "S7"),),
        interfaces=(inlet("in", ("", "p1")),),
        relationships=(RelationInfo("metered-by", ""),),
    )
    bench.discover(
        "sw", EntityInfo(interfaces=(outlet("p1"),), relationships=(RelationInfo("powering", "phone"),)), phone
    )
    assert wires(bench, "sw", "p1") == {("phone-7", "in"): ("load", "inferred")}
    assert relations(bench, "phone-7")["metered-by", "sw"] == "discovered"
    assert relations(bench, "sw")["powering", "phone-7"] == "discovered"


def test_who_tells_the_uuid_of_another_is_not_taken_for_it(bench: Bench) -> None:
    """What is stated of a uuid stays with the device that told it first, whoever tells it later and takes it back."""
    uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    bench.discover("pdu", EntityInfo(uuid=uuid))
    bench.discover("liar", EntityInfo(uuid=uuid))
    bench.discover("srv", EntityInfo(relationships=(RelationInfo("metered-by", uuid),)))
    assert relations(bench, "srv") == {("metered-by", "pdu"): "discovered"}
    bench.discover("liar", EntityInfo())
    bench.discover("srv", EntityInfo(name="again", relationships=(RelationInfo("metered-by", uuid),)))
    assert relations(bench, "srv") == {("metered-by", "pdu"): "discovered"}


def test_a_device_may_name_others_by_their_uuids(bench: Bench) -> None:
    """The peer is found when a device tells that uuid of itself, before or after, and is lost with it."""
    uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    bench.discover("srv", EntityInfo(relationships=(RelationInfo("metered-by", uuid),)))
    assert relations(bench, "srv") == {("metered-by", uuid): "discovered"}
    bench.discover("pdu", EntityInfo(uuid=uuid.upper()))
    assert relations(bench, "srv") == {("metered-by", "pdu"): "discovered"}
    assert relations(bench, "pdu") == {("metering", "srv"): "inferred"}
    bench.discover("pdu", EntityInfo(uuid="6ba7b811-9dad-11d1-80b4-00c04fd430c8"))
    bench.discover("srv", EntityInfo(name="again", relationships=(RelationInfo("metered-by", uuid),)))
    assert relations(bench, "srv") == {("metered-by", uuid): "discovered"}


def test_a_loop_is_found_with_its_way() -> None:
    """The way back to the start is told in order."""
    edges = {"a": ["b", "x"], "b": ["c"], "c": ["a"], "x": ["x"]}
    assert find_loop("a", lambda one: edges.get(one, [])) == ["a", "b", "c"]
    assert find_loop("x", lambda one: edges.get(one, [])) == ["x"]
    assert find_loop("q", lambda one: edges.get(one, [])) is None


@dataclass
class Yard:
    """A site as the graph sees it: outlets are named o..., inlets i..., and some pass no power."""

    cold: set[End] = field(default_factory=set)
    asleep: set[str] = field(default_factory=set)
    inside: dict[str, str] = field(default_factory=dict)

    def direction(self, end: End) -> Direction:
        return Direction.OUTLET if end.interface.startswith("o") else Direction.INLET

    def passes(self, end: End) -> bool:
        return end not in self.cold

    def takes(self, end: End) -> bool:
        return end not in self.cold

    def grids(self, entity: str) -> Iterable[str]:
        return ()

    def runs(self, entity: str) -> bool:
        return entity not in self.asleep

    def switchable(self, end: End) -> bool:
        return True

    def measures(self, end: End) -> bool:
        return False

    def container(self, entity: str) -> str | None:
        return self.inside.get(entity)

    def components(self, entity: str) -> Iterable[str]:
        return [part for part, whole in self.inside.items() if whole == entity]


Wire = tuple[int, int, int]


@st.composite
def yards(draw: st.DrawFn) -> tuple[Yard, Graph, int, list[Wire]]:
    """Entities 0..n-1, wired from lower to higher numbers or (rarely) back, some parts of others."""
    size = draw(st.integers(2, 7))
    number = st.integers(0, size - 1)
    found = draw(st.lists(st.tuples(number, number, st.integers(0, 1)), max_size=10))
    yard = Yard()
    for part, whole in draw(st.dictionaries(number, number, max_size=2)).items():
        if whole < part:
            yard.inside[str(part)] = str(whole)
    graph = Graph(yard)
    for place, (source, load, plug) in enumerate(found):
        here, there = End(str(source), f"o{plug}"), End(str(load), f"i{place}")
        graph.claim(place, Claim(((here, there),)))
    yard.cold = {
        End(str(entity), f"o{plug}") for entity, plug in draw(st.sets(st.tuples(number, st.integers(0, 1)), max_size=2))
    }
    yard.asleep = {str(entity) for entity in draw(st.sets(number, max_size=1))}
    return yard, graph, size, found


def lit(yard: Yard, graph: Graph, size: int, cuts: set[End], off: set[str]) -> set[str]:
    """Who has supply, worked out the slow way: light spreads from those that need no feed."""
    entities = {str(number) for number in range(size)}

    def feeds(entity: str) -> list[End]:
        own = [End(feed.source, feed.outlet or "") for feed in graph.feeds(entity)]
        return own + [end for part in yard.components(entity) for end in feeds(part)]

    shining: set[str] = set()
    while True:
        more = {
            entity
            for entity in entities - shining - off
            for outlets in [feeds(entity)]
            if (not outlets and (yard.container(entity) is None or passing(yard, shining, yard.inside[entity])))
            or any(end not in cuts and yard.passes(end) and passing(yard, shining, end.entity) for end in outlets)
        }
        if not more:
            return shining
        shining |= more


def passing(yard: Yard, shining: set[str], entity: str) -> bool:
    return entity in shining and yard.runs(entity)


def test_loops_are_found_once_and_long_ways_walked_once() -> None:
    """Of a ring one loop is told; a chain of any length, or a ladder of it, costs a few steps for each member."""
    asked: list[str] = []

    def following(edges: dict[str, list[str]], one: str) -> list[str]:
        asked.append(one)
        return edges.get(one, [])

    size = 2_000
    ring = {str(number): [str((number + 1) % size)] for number in range(size)}
    (loop,) = find_loops(ring, partial(following, ring))
    assert sorted(loop) == sorted(ring)
    ladder = {str(number): [str(number + 1), str(number + 2)] for number in range(size)}
    assert list(find_loops(ladder, partial(following, ladder))) == []
    assert len(asked) < 10 * size


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_everyone_on_a_loop_is_in_one_that_is_told(edges: dict[str, list[str]]) -> None:
    """No loop hides behind another."""
    looped = {here for here in edges if find_loop(here, lambda one: edges.get(one, []))}
    told = list(find_loops(edges, lambda one: edges.get(one, [])))
    assert {one for loop in told for one in loop} == looped
    for loop in told:
        assert all(after in edges[before] for before, after in pairwise([*loop, loop[0]]))


@settings(deadline=None)
@given(yards(), st.data())
def test_loss_is_what_goes_dark(site: tuple[Yard, Graph, int, list[Wire]], data: st.DataObject) -> None:
    """Whoever is lit before and dark after is in the answer; whoever is lit after is not."""
    yard, graph, size, found = site
    ends = sorted({End(str(source), f"o{plug}") for source, _, plug in found})
    cuts = set(data.draw(st.lists(st.sampled_from(ends), max_size=3))) if ends else set()
    off = {str(number) for number in data.draw(st.sets(st.integers(0, size - 1), max_size=1))}
    lost = set(graph.loss(cuts, off))
    before, after = lit(yard, graph, size, set(), set()), lit(yard, graph, size, cuts, off)
    assert before - after - off <= lost
    assert not lost & after
    assert not lost & off


@settings(deadline=None)
@given(yards(), st.data())
def test_claims_taken_back_leave_nothing(site: tuple[Yard, Graph, int, list[Wire]], data: st.DataObject) -> None:
    """Whatever is claimed and taken back in whatever order: in the end the graph is empty."""
    _, graph, size, found = site
    fact = Relation("0", f"{REL}metering", "1", evidence=Evidence.DISCOVERED)
    graph.claim("w", Claim((), (fact,)))
    for place in data.draw(st.permutations(range(len(found)))):
        graph.claim(place, None)
    graph.claim("w", Claim())
    for one, other in product(range(size), repeat=2):
        assert graph.of(str(one)) == []
        assert graph.loads(str(one)) == []
        assert not list(graph.interfaces(str(other)))
    assert not any((graph._claims, graph._wires, graph._said, graph._relations))


def test_a_device_speaks_for_those_it_tells_of(bench: Bench) -> None:
    """Whom a backend tells of its device proxies, unless it says that it meters them; also under other names."""
    bench.discover(
        "gw",
        EntityInfo(
            local="", id="gw", relationships=(RelationInfo("metering", "lamp-2", reports=frozenset({"power"})),)
        ),
        EntityInfo(local="l1", id="lamp-1", foreign_ids=(ForeignId("asset-tag", "7"),), state_sets=(DMTF,)),
        EntityInfo(local="l2", id="lamp-2"),
    )
    graph = bench.domain.site.graph
    proxied = [(relation.peer, set(relation.reports)) for relation in graph.related("gw", PROXYING)]
    assert proxied == [("lamp-1", {"power-state"})]
    assert [relation.peer for relation in graph.related("lamp-1", PROXIED_BY)] == ["gw"]
    bench.commit({"id": "desk", "foreign-id": [{"kind": "eman-entity:asset-tag", "value": "7"}]}, {"id": "gw"})
    assert [relation.peer for relation in graph.related("gw", PROXYING)] == ["desk"]
    bench.discover("gw", EntityInfo(local="", id="gw"), EntityInfo(local="l2", id="lamp-2"))
    assert [relation.peer for relation in graph.related("gw", PROXYING)] == ["lamp-2"]
    assert graph.related("desk", PROXIED_BY) == []

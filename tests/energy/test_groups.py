"""Domains and groups: members, totals, and nobody counted twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.values import EntityInfo, LinkState, Quantity
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.energy.bench import Bench, inlet, outlet, saved
from tests.energy.test_measurements import Boot

Q = Quantity


def total(bench: Bench, kind: str, name: str) -> Inner:
    container, entry = {"group": ("groups", "group"), "domain": ("domains", "domain")}[kind]
    return bench.served().at(container, entry).entries[name,]  # type: ignore[union-attr, return-value]


def watts(bench: Bench, kind: str, name: str) -> str | None:
    data = total(bench, kind, name).at("power", "active")
    return data if isinstance(data, str) else None


def three(bench: Bench) -> None:
    bench.discover("gw", *(EntityInfo(name, name) for name in "abc"))
    for number, name in enumerate("abc", 1):
        bench.tell("gw", Q.ACTIVE_POWER, 10 * number, name)


def test_members_are_named_or_match(bench: Bench) -> None:
    """Keywords (all of them), class and category; the derived view stands at the entity."""
    bench.commit(
        {"id": "a", "keyword": ["lobby", "light"]},
        {"id": "b", "keyword": ["light"], "category": "producer"},
        {"id": "c", "class": "eman-entity:component"},
        groups={
            "group": [
                {"name": "lights", "match": {"keyword": ["light"]}},
                {"name": "lobby", "match": {"keyword": ["light", "lobby"]}},
                {"name": "parts", "match": {"class": "eman-entity:component"}, "member": ["gone"]},
                {"name": "none", "match": {}},
                {"name": "solar", "match": {"category": "producer", "keyword": ["light"]}},
            ]
        },
    )
    members = {name: total(bench, "group", name).at("member") for name in ("lights", "lobby", "parts", "none", "solar")}
    assert members == {"lights": ("a", "b"), "lobby": ("a",), "parts": ("gone", "c"), "none": None, "solar": ("b",)}
    assert bench.at("a", "group") == ("lights", "lobby")
    assert bench.domain.groups.members("parts") == ["c"]


def test_a_total_is_the_sum_of_its_contributors(bench: Bench) -> None:
    """Who has no value is named as missing, who is gone too; what changes in a member changes in the total."""
    bench.commit(groups={"group": [{"name": "g", "member": ["a", "b", "c"]}]})
    bench.discover("gw", *(EntityInfo(name, name) for name in "abc"))
    bench.tell("gw", Q.ACTIVE_POWER, Decimal("10.5"), "a")
    bench.tell("gw", Q.ACTIVE_POWER, Decimal("-4.25"), "b")
    assert watts(bench, "group", "g") == "6.25"
    assert total(bench, "group", "g").at("contributor") == ("a", "b", "c")
    assert total(bench, "group", "g").at("power", "missing") == ("c",)
    bench.wait(1)
    bench.tell("gw", Q.ACTIVE_POWER, 1, "c")
    assert watts(bench, "group", "g") == "7.25"
    bench.link("gw", LinkState.BACKING_OFF, error="x")
    assert watts(bench, "group", "g") is None


def test_what_is_inside_another_is_not_added_again(bench: Bench) -> None:
    """A strip and the server on it, a chassis and its blade: only the outer ones contribute."""
    bench.commit(groups={"group": [{"name": "g", "member": ["pdu", "srv", "box", "blade"]}]})
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o", ("srv", "a")))))
    bench.discover("bmc", EntityInfo(id="srv", interfaces=(inlet("a"),)))
    bench.discover("box", EntityInfo(), EntityInfo("blade", "blade", contained_in="box"))
    for backend, local in (("pdu", ""), ("bmc", ""), ("box", ""), ("box", "blade")):
        bench.tell(backend, Q.ACTIVE_POWER, 100, local)
    assert total(bench, "group", "g").at("contributor") == ("pdu", "box")
    assert watts(bench, "group", "g") == "200.0"
    bench.commit(groups={"group": [{"name": "g", "member": ["srv", "box", "blade"]}]})
    assert total(bench, "group", "g").at("contributor") == ("srv", "box")


def test_domains_have_the_members_of_those_below(bench: Bench) -> None:
    """The domain of an entity and all above it; with boundary meters the total is theirs."""
    domains: list[dict[str, Any]] = [{"name": "site"}, {"name": "hall", "parent": "site"}]
    entities = ({"id": "a", "domain": "hall"}, {"id": "b", "domain": "site"})
    bench.commit(*entities, domains={"domain": domains})
    three(bench)
    assert (watts(bench, "domain", "hall"), watts(bench, "domain", "site")) == ("10.0", "30.0")
    domains[0] = {"name": "site", "boundary-meter": ["c"]}
    bench.commit(*entities, domains={"domain": domains})
    assert watts(bench, "domain", "site") == "30.0"
    assert total(bench, "domain", "site").at("contributor") == ("c",)
    bench.commit({"id": "b", "domain": "site"}, domains={"domain": domains[1:]})
    assert total(bench, "domain", "hall").at("contributor") is None


def test_the_energy_of_a_total_only_grows(bench: Bench) -> None:
    """It takes the increments of whoever contributes at the time, so members may come and go."""
    group: dict[str, Any] = {"name": "g", "member": ["a", "b"]}
    bench.commit(groups={"group": [group]})
    bench.discover("gw", *(EntityInfo(name, name) for name in "ab"))
    energies = []
    for step in range(6):
        for name in "ab":
            bench.tell("gw", Q.ENERGY_RECEIVED, 1000 + 5 * step, name)
        if step == 3:
            bench.commit(groups={"group": [{"name": "g", "member": ["a"]}]})
        bench.wait(10)
        energies.append(total(bench, "group", "g").at("energy", "received"))
    assert energies == ["0.0", "10.0", "20.0", "30.0", "35.0", "40.0"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["join", "leave", "remove", "wire", "unwire", "contain"])),
        max_size=25,
    )
)
def test_members_and_contributors_are_as_if_worked_out_anew(boot: Boot, steps: list[tuple[str, str]]) -> None:
    """After any history of changes they are what a domain started with the last configuration has."""
    bench = boot()
    bench.discover("gw", *(EntityInfo(name, name) for name in "abcd"))
    entities: dict[str, dict[str, Any]] = {}
    groups = {"group": [{"name": "g", "match": {"keyword": ["k"]}}]}
    bench.commit(groups=groups)
    for name, step in steps:
        entry = entities.setdefault(name, {"id": name})
        match step:
            case "join":
                entry["keyword"] = ["k"]
            case "leave":
                entry.pop("keyword", None)
            case "remove":
                del entities[name]
            case "wire" if name > "a":
                before = chr(ord(name) - 1)
                wire = {"entity": before, "interface": "out"}
                entry["power-interface"] = [{"name": "in", "direction": "inlet", "connected-to": [wire]}]
            case "unwire":
                entry.pop("power-interface", None)
            case "contain" if name > "b":
                entry["contained-in"] = chr(ord(name) - 2)
        bench.commit(*entities.values(), groups=groups)
        total(bench, "group", "g")
    fresh = boot()
    fresh.discover("gw", *(EntityInfo(name, name) for name in "abcd"))
    fresh.commit(*entities.values(), groups=groups)
    for leaf in ("member", "contributor"):
        one, other = total(bench, "group", "g").at(leaf), total(fresh, "group", "g").at(leaf)
        assert sorted(one or ()) == sorted(other or ())  # type: ignore[arg-type]


def test_a_group_has_the_members_of_those_it_includes(bench: Bench) -> None:
    """By steps, those that match as well; a total counts each once."""
    bench.discover("m", EntityInfo(), *(EntityInfo(name, category="consumer") for name in "abc"))
    for name in "abc":
        bench.tell("m", Q.ACTIVE_POWER, Decimal(10), name)
    row = {"name": "row", "member": ["m.a"]}
    room = {"name": "room", "member": ["m.a", "m.b"], "includes": ["row"]}
    floor = {"name": "floor", "match": {"category": "producer"}, "includes": ["room"]}

    def members(name: str) -> set[str]:
        return set(bench.domain.groups.members(name) or ())

    bench.commit(groups={"group": [row, room, floor]})
    assert (members("row"), members("room"), members("floor")) == ({"m.a"}, {"m.a", "m.b"}, {"m.a", "m.b"})
    total = bench.served().at("groups", "group").entries["floor",]  # type: ignore[union-attr]
    assert total.at("power").leaf("active") == "20.0"
    assert bench.at("m.a", "group") == ("row", "room", "floor")
    bench.commit(groups={"group": [{**row, "member": ["m.c"]}, room, floor | {"includes": ["room", "row"]}]})
    assert (members("room"), members("floor")) == ({"m.a", "m.b", "m.c"}, {"m.a", "m.b", "m.c"})
    bench.commit(groups={"group": [row, {**room, "includes": []}, floor]})
    assert members("row") == {"m.a"}
    bench.commit(groups={"group": [floor | {"includes": []}]})
    assert members("floor") == set()


def test_a_deleted_group_leaves_no_record(bench: Bench, schema: Schema) -> None:
    """One of the same name begins at nothing, also when the old one was deleted while no server ran."""

    def kept(bench: Bench) -> dict[str, Any]:
        return {key: record for key, record in bench.domain.dirty() if ":" in key}

    def flow(bench: Bench) -> None:
        for _ in range(2):
            bench.tell("m", Quantity.ACTIVE_POWER, 3600)
            bench.wait(10)

    site = {"groups": {"group": [{"name": "g", "member": ["m"]}]}, "domains": {"domain": [{"name": "d"}]}}
    member = {"id": "m", "domain": "d"}
    bench.commit(member, **site)
    bench.discover("m", EntityInfo())
    flow(bench)
    before = {key: record for key, record in saved(bench).items() if key in ("groups:g", "domains:d")}
    assert len(before) == 2
    bench.commit(member)
    gone = {"groups:g": None, "domains:d": None}
    assert {key: record for key, record in kept(bench).items() if record is None} == gone
    bench.commit(member, **site)
    flow(bench)
    bench.commit(member)
    bench.commit(member, **site)
    assert gone.items() <= kept(bench).items()
    again = Bench(schema).boot(before)
    assert gone.items() <= kept(again).items()

"""Entities: what is configured and what is discovered become one, under one id."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from eman_netconf.energy.effects import Changed
from eman_netconf.energy.values import (
    BatteryInfo,
    EntityInfo,
    ForeignId,
    LinkState,
    Persistence,
    Point,
    Quantity,
)
from tests.energy.bench import DMTF, Bench, inlet, outlet, power

SERIAL = "eman-entity:serial-number"


def ids(bench: Bench) -> list[str]:
    data = bench.served().at("entities", "entity")
    return [key[0] for key in data.entries] if data is not None else []  # type: ignore[union-attr]


def serial(value: str) -> tuple[ForeignId, ...]:
    return (ForeignId("serial-number", value, "maker", Persistence.PERSISTENT),)


def test_discovered_entities_come_and_go(bench: Bench) -> None:
    """Each appearance and each end is told with the uuid; what is gone is not served any more."""
    effects = bench.discover("gw", EntityInfo(), EntityInfo("lamp", contained_in=""))
    assert [notice["entity"] for notice in bench.notices("entity-added", effects)] == ["gw", "gw.lamp"]
    assert bench.notices("entity-added")[1]["contained-in"] == "gw"
    assert bench.at("gw.lamp", "contained-in") == "gw"
    assert ids(bench) == ["gw", "gw.lamp"]
    uuid = bench.at("gw.lamp", "uuid")
    bench.discover("gw", EntityInfo())
    assert [(n["entity"], n["entity-uuid"]) for n in bench.notices("entity-removed")] == [("gw.lamp", uuid)]
    bench.domain.forget("gw", bench.now)
    assert ids(bench) == []


def test_configuration_goes_over_discovery(bench: Bench) -> None:
    """With the same id, configured leaves are shown before those the device tells, which fill the rest."""
    bench.commit({"id": "pdu", "name": "Strip 7", "role": "rack power"})
    bench.discover("pdu", EntityInfo(name="ACME", manufacturer="ACME", foreign_ids=serial("S1")))
    shown = bench.entity("pdu")
    assert (shown.leaf("name"), shown.leaf("manufacturer"), shown.leaf("role")) == ("Strip 7", "ACME", "rack power")
    assert shown.at("backend") == ("pdu",)
    assert bench.at("pdu", "foreign-id", (SERIAL, "S1"), "authority") == "maker"
    bench.commit({"id": "pdu"})
    assert bench.at("pdu", "name") == "ACME"


def test_a_device_may_tell_what_its_parts_are_for(bench: Bench) -> None:
    """Role, keywords and importance are shown where none are configured; they put nothing into a group."""
    bench.commit({"id": "gw", "role": "gateway"}, groups={"group": [{"name": "lab", "match": {"keyword": ["lab"]}}]})
    told = EntityInfo("lamp", role="lobby", keywords=("lab", "light", "lab"), importance=80)
    bench.discover("gw", replace(told, local=""), told)
    assert [bench.at("gw.lamp", leaf) for leaf in ("role", "keyword", "importance")] == [
        "lobby",
        ("lab", "light"),
        "80",
    ]
    assert bench.at("gw", "role") == "gateway"
    assert not bench.at("gw.lamp", "group")
    bench.discover("gw", EntityInfo("lamp", importance=101))
    assert bench.at("gw.lamp", "importance") in {None, "1"}


def test_a_configured_foreign_id_binds_what_is_discovered_later(bench: Bench) -> None:
    """The configured id wins from the start, so nothing has changed its identifier."""
    bench.commit({"id": "core-switch", "foreign-id": [{"kind": SERIAL, "value": "S1"}]})
    bench.discover("sw", EntityInfo(foreign_ids=serial("S1")))
    assert ids(bench) == ["core-switch"]
    assert bench.at("core-switch", "backend") == ("sw",)
    assert bench.notices("identifier-changed") == []


def test_a_configured_foreign_id_renames_what_is_there(bench: Bench) -> None:
    """The thing keeps uuid, readings and wires under its new id; without the configuration it has the old one again."""
    bench.discover("sw", EntityInfo(foreign_ids=serial("S1"), interfaces=(outlet("p1", ("phone", "in")),)))
    bench.commit({"id": "phone"})
    for _ in range(2):
        bench.tell("sw", Quantity.ACTIVE_POWER, 3600)
        bench.wait(10)
    uuid = bench.at("sw", "uuid")
    bench.commit({"id": "phone"}, {"id": "core", "foreign-id": [{"kind": SERIAL, "value": "S1"}]})
    assert ids(bench) == ["phone", "core"]
    (notice,) = bench.notices("identifier-changed")
    assert (notice["entity"], notice["old-value"], notice["new-value"]) == ("core", "sw", "core")
    assert (bench.at("core", "uuid"), bench.at("core", "energy", "received")) == (uuid, "10.0")
    assert list(bench.at("phone", "power-interface", ("in",), "connected-to").entries) == [("core", "p1")]
    bench.tell("sw", Quantity.ACTIVE_POWER, 7200)
    assert power(bench, "core") == "7200.0"
    bench.commit({"id": "phone"})
    assert ids(bench) == ["phone", "sw"]
    assert bench.at("sw", "energy", "received") == "25.0"
    assert bench.notices("identifier-changed")[-1]["new-value"] == "sw"
    assert bench.notices("entity-removed") == []


def test_two_backends_may_tell_of_one_entity(bench: Bench) -> None:
    """Bound by one serial number, what the controller and the agent see is one entity, reachable by either."""
    bench.commit({"id": "srv", "foreign-id": [{"kind": SERIAL, "value": "S1"}]})
    bench.discover("bmc", EntityInfo(foreign_ids=serial("S1"), state_sets=(DMTF,)))
    bench.discover("agent", EntityInfo(foreign_ids=serial("S1"), model="R7"))
    bench.tell("bmc", Quantity.POWER_STATE, "dmtf-on")
    bench.tell("agent", Quantity.ACTIVE_POWER, 77)
    assert ids(bench) == ["srv"]
    assert bench.at("srv", "backend") == ("bmc", "agent")
    assert (power(bench, "srv"), bench.at("srv", "model")) == ("77.0", "R7")
    bench.link("bmc", LinkState.BACKING_OFF, error="x")
    assert bench.at("srv", "reachability") == "reachable"
    bench.link("agent", LinkState.STALE, error="x")
    assert bench.at("srv", "reachability") == "stale"


def test_who_is_configured_only(bench: Bench) -> None:
    """Nobody knows whether it can be reached; its states are in the set that everybody has."""
    bench.commit({"id": "plan"})
    assert bench.at("plan", "reachability") is None
    assert bench.at("plan", "power-state", "set", ("eman-power-state-set:ieee1621",)) is not None


def test_numbers_of_one_authority_bind_only_one(bench: Bench) -> None:
    """An entPhysicalIndex is unique in its agent alone: the second device with number 1 keeps its own id."""
    bench.commit({"id": "first", "foreign-id": [{"kind": "eman-entity:ent-physical-index", "value": "1"}]})
    number = (ForeignId("ent-physical-index", "1"),)
    bench.discover("a", EntityInfo(foreign_ids=number))
    bench.discover("b", EntityInfo(foreign_ids=number))
    assert ids(bench) == ["first", "b"]


def test_a_renumbered_device_is_told(bench: Bench) -> None:
    """When a device gives itself another identifier, old and new value are sent with the kind."""
    info = EntityInfo(foreign_ids=(ForeignId("ent-physical-index", "5"),))
    bench.discover("a", info)
    bench.discover("a", replace(info, foreign_ids=(ForeignId("ent-physical-index", "6"),)))
    (notice,) = bench.notices("identifier-changed")
    assert (notice["kind"], notice["old-value"], notice["new-value"]) == ("eman-entity:ent-physical-index", "5", "6")


def test_the_order_is_configuration_then_discovery(bench: Bench) -> None:
    """Configured entities first, in their order, then the others as they were found; the order stays."""
    bench.discover("x", EntityInfo(), EntityInfo("2"), EntityInfo("1"))
    bench.commit({"id": "z"}, {"id": "x.1"})
    assert ids(bench) == ["z", "x.1", "x", "x.2"]
    bench.tell("x", Quantity.ACTIVE_POWER, 1, "2")
    bench.commit({"id": "x.1"}, {"id": "z"}, {"id": "a"})
    assert ids(bench) == ["x.1", "z", "a", "x", "x.2"]


@pytest.mark.parametrize("name", ["Gi1/0/24", "Ausgang größer", "-x", "a" * 200, "out let"])
def test_names_are_made_to_fit(bench: Bench, name: str) -> None:
    """Whatever a device calls its parts, ids and names fit their patterns and the readings still arrive."""
    bench.discover("sw", EntityInfo(interfaces=(inlet(name),), batteries=(BatteryInfo(name),)), EntityInfo(local=name))
    bench.tell("sw", Quantity.ACTIVE_POWER, 4, "", name)
    bench.tell("sw", Quantity.ACTIVE_POWER, 5, name)
    (interface,) = bench.at("sw", "power-interface").entries.values()
    assert interface.at("power", "active") == "4.0"
    assert len(ids(bench)) == 2
    assert power(bench, ids(bench)[1]) == "5.0"


def test_backend_loss_is_told_once(bench: Bench) -> None:
    """One notification for each loss and one for each recovery, with the number of entities behind it."""
    bench.discover("gw", EntityInfo(), EntityInfo("a"))
    for _ in range(3):
        bench.link("gw", LinkState.STALE, error="no answer")
    bench.link("gw", LinkState.BACKING_OFF, error="no answer")
    bench.link("gw", LinkState.OPENING, error="no answer")
    bench.link("gw", LinkState.UP)
    (lost,) = bench.notices("backend-unreachable")
    assert (lost["backend"], lost["error"], lost["entity-count"]) == ("gw", "no answer", "2")
    assert len(bench.notices("backend-recovered")) == 1


def test_the_link_is_shown_with_its_statistics(bench: Bench) -> None:
    """Passes, failures, the last error and the last contact stand at the backend."""
    bench.commit(backends={"backend": [{"name": "gw", "poll-interval": "5.0"}]})
    bench.discover("gw", EntityInfo())
    bench.link("gw", LinkState.UP, duration=0.25)
    bench.link("gw", LinkState.STALE, error="no answer")
    link = bench.served().at("backends", "backend").entries["gw",].at("link")  # type: ignore[union-attr]
    shown = {node.name: value for node, value in link.children.items()}  # type: ignore[union-attr]
    assert (shown["state"], shown["polls"], shown["failures"]) == ("stale", "2", "1")
    assert (shown["last-error"], shown["poll-duration"]) == ("no answer", "0.25")


def test_an_entity_that_does_not_answer_is_stale(bench: Bench) -> None:
    """One device of a gateway is missing: it alone is stale, unreachable after long, and reachable again when read."""
    bench.discover("gw", EntityInfo(), EntityInfo("a"), EntityInfo("b"))
    bench.tell("gw", Quantity.ACTIVE_POWER, 1, "a")
    gone = {Point("a"): "timeout"}
    bench.read("gw", bench.reading(Quantity.ACTIVE_POWER, 1, "b"), missing=gone)
    assert [bench.at(f"gw.{name}", "reachability") for name in "ab"] == ["stale", "reachable"]
    bench.wait(400)
    bench.read("gw", missing=gone)
    assert (bench.at("gw.a", "reachability"), power(bench, "gw.a")) == ("unreachable", None)
    bench.tell("gw", Quantity.ACTIVE_POWER, 2, "a")
    assert (bench.at("gw.a", "reachability"), power(bench, "gw.a")) == ("reachable", "2.0")


def test_what_changed_is_told_by_part(bench: Bench) -> None:
    """Each pass names the entities and parts it changed, once each."""
    bench.discover("m", EntityInfo(interfaces=(inlet("in"),)))
    effects = bench.read(
        "m",
        bench.reading(Quantity.ACTIVE_POWER, 1),
        bench.reading(Quantity.APPARENT_POWER, 2),
        bench.reading(Quantity.VOLTAGE, 230, "", "in"),
    )
    assert effects == [Changed("m", "power"), Changed("m", "power-interface")]


def test_only_what_changed_is_rendered_again(bench: Bench) -> None:
    """After one reading of one entity every other entry, and its other containers, are the very same objects."""
    bench.discover("gw", *(EntityInfo(f"e{number}", interfaces=(inlet("in"),)) for number in range(50)))
    for number in range(50):
        bench.tell("gw", Quantity.ACTIVE_POWER, 1, f"e{number}")
        bench.tell("gw", Quantity.VOLTAGE, 230, f"e{number}")
    before = dict(bench.served().at("entities", "entity").entries)  # type: ignore[union-attr]
    bench.wait(1)
    bench.tell("gw", Quantity.ACTIVE_POWER, 2, "e7")
    after = dict(bench.served().at("entities", "entity").entries)  # type: ignore[union-attr]
    changed = [key for key in after if after[key] is not before[key]]
    assert changed == [("gw.e7",)]
    old, new = before["gw.e7",], after["gw.e7",]
    kept = [node.name for node, data in new.children.items() if old.children.get(node) is data]
    assert {"electrical", "power-interface", "power-state"} <= set(kept)
    assert "power" not in kept


def test_a_reader_keeps_the_entities_it_began_with(bench: Bench) -> None:
    """While somebody iterates, entities may vanish: the reader still gets all of them."""
    bench.discover("gw", *(EntityInfo(f"e{number}") for number in range(5)))
    entries = bench.served().at("entities", "entity").entries  # type: ignore[union-attr]
    seen = []
    for key in entries:
        seen.append(entries[key].leaf("id"))
        bench.discover("gw", EntityInfo("e9"))
    assert seen == [f"gw.e{number}" for number in range(5)]
    assert ids(bench) == ["gw.e9"]


def test_nameplate_and_device_numbers_are_decimal(bench: Bench) -> None:
    """What a device tells of itself is shown in canonical form."""
    bench.discover("m", EntityInfo(nameplate_power=Decimal(500), power_limits=(Decimal(50), Decimal("450.50"))))
    assert bench.at("m", "nameplate-power") == "500.0"
    assert bench.at("m", "power-state", "power-limit", "maximum") == "450.5"

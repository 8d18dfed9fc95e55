"""Uuids of entities and interfaces: whose they are, how long they stay, and what is told when they change."""

from __future__ import annotations

import pytest

from eman_netconf.energy.values import Direction, EntityInfo, ForeignId, InterfaceInfo, Persistence, Quantity
from eman_netconf.yang.schema import Schema
from tests.energy.bench import START, Bench, inlet, outlet, saved

OWN = "11111111-1111-4111-8111-11111111111a"
OTHER = "22222222-2222-4222-8222-22222222222b"
UUID = "eman-entity:uuid"
SERIAL = "eman-entity:serial-number"


def changes(bench: Bench) -> list[tuple[str, str, str]]:
    """Of which entities the uuid changed, from what to what."""
    told = [notice for notice in bench.notices("identifier-changed") if notice.get("kind") == UUID]
    assert all(notice["entity-uuid"] == notice["new-value"] for notice in told)
    return [(notice["entity"], notice["old-value"], notice["new-value"]) for notice in told]


def again(bench: Bench, schema: Schema, *, without: str = "") -> Bench:
    """The same site after a restart, ``without`` the records that begin so."""
    kept = {key: record for key, record in saved(bench).items() if not (without and key.startswith(without))}
    second = Bench(schema, start=START + 3600)
    second.running = bench.running
    return second.boot(kept)


@pytest.mark.parametrize("own", [None, OWN])
@pytest.mark.parametrize("without", ["", "backends:"])
def test_the_uuid_survives_configuration_and_restart(
    bench: Bench, schema: Schema, own: str | None, without: str
) -> None:
    """Discovered, then configured, then the server starts anew with a dead device, even if all it told is lost."""
    device = EntityInfo(uuid=own, interfaces=(inlet("in"),))
    bench.commit(backends={"backend": [{"name": "sw"}]})
    bench.discover("sw", device)
    first = bench.at("sw", "uuid")
    assert first == own or own is None
    bench.commit({"id": "sw", "power-interface": [{"name": "in"}]}, backends={"backend": [{"name": "sw"}]})
    inside = bench.at("sw", "power-interface", ("in",), "uuid")
    second = again(bench, schema, without=without)
    second.discover("sw", device) if without else None
    for each in (bench, second):
        assert (each.at("sw", "uuid"), each.at("sw", "power-interface", ("in",), "uuid")) == (first, inside)
        assert changes(each) == []


def test_a_uuid_made_goes_along_with_another_id(bench: Bench, schema: Schema) -> None:
    """Who is configured by its serial number keeps its uuid over that and a restart, and nobody else gets it."""
    serial = (ForeignId(SERIAL, "S1"),)
    bench.discover("sw", EntityInfo(foreign_ids=serial))
    first = bench.at("sw", "uuid")
    bench.commit({"id": "core", "foreign-id": [{"kind": SERIAL, "value": "S1"}]}, backends={"backend": [{"name": "b"}]})
    second = again(bench, schema)
    second.discover("b", EntityInfo(id="sw"))
    assert second.at("core", "uuid") == first
    assert second.at("sw", "uuid") != first
    third = again(second, schema)
    assert [third.at(id_, "uuid") for id_ in ("core", "sw")] == [second.at(id_, "uuid") for id_ in ("core", "sw")]


def test_the_uuid_of_the_device_goes_over_one_made(bench: Bench) -> None:
    """Configured first, then heard of: the device's own uuid is shown and told, also by those around; it stays when
    the device does not tell it any more, or is not there.
    """
    bench.commit({"id": "srv", "power-interface": [{"name": "a"}]}, {"id": "pdu"})
    made, inside = bench.at("srv", "uuid"), bench.at("srv", "power-interface", ("a",), "uuid")
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")),)))
    wire = ("pdu", "power-interface", ("o1",), "connected-to", ("srv", "a"), "entity-uuid")
    relation = ("pdu", "relationship", ("eman-relationship:powering", "srv"), "peer-uuid")
    assert bench.at(*wire) == bench.at(*relation) == made
    bench.discover("srv", EntityInfo(uuid=OWN.upper()))
    assert bench.at("srv", "uuid") == bench.at(*wire) == bench.at(*relation) == OWN
    assert bench.at("srv", "power-interface", ("a",), "uuid") != inside
    assert changes(bench) == [("srv", made, OWN)]
    bench.discover("srv", EntityInfo(model="R2"))
    bench.discover("srv")
    assert bench.at("srv", "uuid") == OWN
    assert len(changes(bench)) == 1


@pytest.mark.parametrize("persistence", list(Persistence))
def test_another_device_in_its_place_has_another_uuid(bench: Bench, persistence: Persistence) -> None:
    """The new uuid is shown and told; energy goes on under the id, with a gap said to be there, unless the device gives
    itself another uuid at each start."""
    for uuid, counted in ((OWN, 1000), (OWN, 1010), (OTHER, 1012), (OTHER, 1014)):
        bench.discover("m", EntityInfo(uuid=uuid, identifier_persistence=persistence))
        bench.tell("m", Quantity.ENERGY_RECEIVED, counted)
        bench.wait(10)
    assert bench.at("m", "uuid") == OTHER
    assert changes(bench) == [("m", OWN, OTHER)]
    same = persistence is Persistence.BOOT_SCOPED
    assert bench.at("m", "energy", "received") == ("14.0" if same else "12.0")
    assert (bench.at("m", "energy", "discontinuity-time") is None) is same


def test_a_successor_without_uuid_does_not_inherit_one(bench: Bench) -> None:
    """Known to be another by its serial number alone, it gets a uuid made for it."""
    bench.discover("m", EntityInfo(uuid=OWN, foreign_ids=(ForeignId(SERIAL, "S1"),)))
    bench.discover("m", EntityInfo(foreign_ids=(ForeignId(SERIAL, "S2"),)))
    assert changes(bench) == [("m", OWN, bench.at("m", "uuid"))]
    assert bench.at("m", "uuid") != OWN


def test_a_swap_while_the_server_was_down_is_told(bench: Bench, schema: Schema) -> None:
    """The server knows the uuid from its earlier life, and tells that it is another now."""
    bench.commit({"id": "m"}, backends={"backend": [{"name": "m"}]})
    bench.discover("m", EntityInfo(uuid=OWN))
    second = again(bench, schema)
    second.discover("m", EntityInfo(uuid=OTHER))
    assert changes(second) == [("m", OWN, OTHER)]


def test_no_two_entities_have_the_same(bench: Bench, schema: Schema) -> None:
    """Of devices that tell the same uuid the first has it, over restarts in any order; it goes to another when the
    first has no device any more.
    """
    configured = {"backends": {"backend": [{"name": "b"}, {"name": "a"}]}}
    bench.commit({"id": "a"}, {"id": "b"}, **configured)
    bench.discover("a", EntityInfo(uuid=OWN))
    bench.discover("b", EntityInfo(uuid=OWN))
    made = bench.at("b", "uuid")
    for each in (bench, again(bench, schema)):
        assert (each.at("a", "uuid"), each.at("b", "uuid")) == (OWN, made)
    bench.discover("a")
    assert (bench.at("a", "uuid"), changes(bench)[1:]) == (OWN, [])
    bench.discover("b", EntityInfo(uuid=OWN, model="R2"))
    assert bench.at("b", "uuid") == OWN != bench.at("a", "uuid")
    assert changes(bench)[1:] == [("a", OWN, bench.at("a", "uuid")), ("b", made, OWN)]


def test_configuration_may_name_a_uuid(bench: Bench) -> None:
    """A configured foreign identifier of the kind uuid is the device that tells it, also when it moves to another."""
    named = [{"kind": UUID, "value": OWN}]
    bench.discover("gw", EntityInfo(uuid=OWN))
    bench.commit({"id": "mine", "foreign-id": named})
    assert (bench.at("mine", "uuid"), bench.at("mine", "backend")) == (OWN, ("gw",))
    bench.commit({"id": "mine"}, {"id": "yours", "foreign-id": named})
    assert (bench.at("yours", "uuid"), bench.at("yours", "backend")) == (OWN, ("gw",))
    assert bench.at("mine", "uuid") != OWN


def test_what_is_no_uuid_is_not_taken(bench: Bench) -> None:
    """Nonsense of a device, of itself or of an interface, does not stand where a uuid is expected."""
    bench.discover("m", EntityInfo(uuid="none", interfaces=(InterfaceInfo("in", Direction.INLET, uuid="none"),)))
    assert len(bench.at("m", "uuid")) == len(bench.at("m", "power-interface", ("in",), "uuid")) == len(OWN)


def test_the_uuid_of_an_interface_is_the_devices(bench: Bench) -> None:
    """An interface whose device tells a uuid of it has that one."""
    bench.discover("m", EntityInfo(interfaces=(InterfaceInfo("in", Direction.INLET, uuid=OWN.upper()),)))
    assert bench.at("m", "power-interface", ("in",), "uuid") == OWN

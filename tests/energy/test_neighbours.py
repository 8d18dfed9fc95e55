"""Who was heard over a cable becomes a wire when it is exactly one entity, and stops being one when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eman_netconf.energy.relationships import End
from eman_netconf.energy.values import Direction, EntityInfo, ForeignId, InterfaceInfo, Neighbour, Peer
from eman_netconf.errors import RpcErrors
from tests.energy.bench import Bench, inlet, outlet
from tests.energy.test_relationships import wires
from tests.work import calls

MAC = "00:00:5e:00:53:07"


def heard(name: str, value: str = MAC, *, kind: str = "mac-address", port: str | None = None) -> InterfaceInfo:
    """An outlet that hears somebody."""
    return replace(outlet(name), neighbour=Neighbour((ForeignId(kind, value),), interface=port))


def phone(*interfaces: InterfaceInfo, value: str = MAC, kind: str = "mac-address", id_: str = "phone") -> EntityInfo:
    return EntityInfo(id=id_, foreign_ids=(ForeignId(kind, value),), interfaces=interfaces)


def load_of(bench: Bench, name: str, switch: str = "sw") -> list[tuple[str, str]]:
    """The other ends at an interface of the switch."""
    return list(wires(bench, switch, name))


@pytest.mark.parametrize(
    ("kind", "said", "known"),
    [
        ("mac-address", "00-00-5E-00-53-07", MAC),
        ("mac-address", "0000.5e00.5307", MAC),
        ("mac-address", "00005E005307", MAC),
        ("uuid", "1A5C2D30-9F64-4B7E-8C11-0D5E6F7A8B07", "1a5c2d30-9f64-4b7e-8c11-0d5e6f7a8b07"),
        ("domain-name", "Phone.example.net.", "phone.example.net"),
        ("serial-number", "5A12", "5A12"),
        ("ip-address", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_heard_and_known(bench: Bench, kind: str, said: str, known: str) -> None:
    """Who has an identifier that an outlet hears is its load, however the identifier is written."""
    bench.discover("sw", EntityInfo(interfaces=(heard("1", said, kind=kind), outlet("2"))))
    assert load_of(bench, "1") == []
    bench.discover("b", phone(inlet("in"), value=known, kind=kind))
    assert wires(bench, "sw", "1") == {("phone", "in"): ("load", "discovered")}
    assert wires(bench, "phone", "in") == {("sw", "1"): ("source", "inferred")}
    assert load_of(bench, "2") == []


@pytest.mark.parametrize("kind", ["lldp-port-number", "if-name", "ent-physical-index"])
def test_identifiers_of_small_places_say_nothing(bench: Bench, kind: str) -> None:
    """An identifier that is unique within one device alone makes nobody a neighbour."""
    bench.discover("sw", EntityInfo(interfaces=(heard("1", "7", kind=kind),)))
    bench.discover("b", phone(inlet("in"), value="7", kind=kind))
    assert load_of(bench, "1") == []


def test_neighbour_shown_as_heard(bench: Bench) -> None:
    """What was heard is shown though nobody is known by it."""
    said = Neighbour((ForeignId("mac-address", MAC),), "phone-7", "a telephone", "eth0")
    bench.discover("sw", EntityInfo(interfaces=(replace(outlet("1"), neighbour=said),)))
    shown = bench.at("sw", "power-interface", ("1",), "neighbour")
    assert (shown.leaf("name"), shown.leaf("description"), shown.leaf("interface")) == (
        "phone-7",
        "a telephone",
        "eth0",
    )
    assert list(shown.at("foreign-id").entries) == [("eman-entity:mac-address", MAC)]
    bench.discover("sw", EntityInfo(interfaces=(outlet("1"),)))
    assert bench.at("sw", "power-interface", ("1",), "neighbour") is None


def test_the_inlet_of_the_name_heard(bench: Bench) -> None:
    """The wire ends at the interface the neighbour named, by name, label or identifier."""
    named = InterfaceInfo("psu-2", Direction.INLET, label="Eth 2", foreign_ids=(ForeignId("if-name", "Gi0/2"),))
    for port in ("PSU-2", "eth 2", "gi0/2"):
        bench.discover("sw", EntityInfo(interfaces=(heard("1", port=port),)))
        bench.discover("b", phone(inlet("psu-1"), named))
        assert load_of(bench, "1") == [("phone", "psu-2")]


def test_an_inlet_nobody_told_of(bench: Bench) -> None:
    """Where no inlet is known, one stands there for the wire, called as was heard; where several are, there is none."""
    bench.commit({"id": "phone", "foreign-id": [{"kind": "eman-entity:mac-address", "value": MAC}]})
    bench.discover("sw", EntityInfo(interfaces=(heard("1", port="Port 1"), outlet("2"))))
    assert wires(bench, "phone", "Port-1") == {("sw", "1"): ("source", "inferred")}
    bench.discover("b", phone(inlet("psu-1"), inlet("psu-2")))
    assert load_of(bench, "1") == []
    bench.discover("b", phone(inlet("psu-1")))
    assert load_of(bench, "1") == [("phone", "psu-1")]
    assert list(bench.at("phone", "power-interface").entries) == [("psu-1",)]
    bench.discover("sw", EntityInfo(interfaces=(heard("1"),)))
    bench.discover("b", phone())
    assert load_of(bench, "1") == [("phone", "inlet")]


def test_an_inlet_that_hears(bench: Bench) -> None:
    """An inlet that hears who feeds it is wired to the outlet named, and to nothing that is none."""
    said = Neighbour((ForeignId("mac-address", MAC),), interface="Gi0/1")
    ear = replace(inlet("in"), neighbour=said)
    bench.discover("b", EntityInfo(id="phone", interfaces=(ear,)))
    bench.discover("sw", EntityInfo(foreign_ids=(ForeignId("mac-address", MAC),), interfaces=(outlet("other"),)))
    assert load_of(bench, "other") == []
    bench.discover("sw", EntityInfo(foreign_ids=(ForeignId("mac-address", MAC),), interfaces=(outlet("Gi0/1"),)))
    assert wires(bench, "phone", "in") == {("sw", "Gi0-1"): ("source", "discovered")}


def test_two_outlets_feed_nobody(bench: Bench) -> None:
    """Two switches that hear each other at outlets do not feed each other."""
    mine, theirs = ForeignId("mac-address", MAC), ForeignId("mac-address", "00:00:5e:00:53:08")
    one = replace(outlet("1"), neighbour=Neighbour((theirs,), interface="5"))
    five = replace(outlet("5"), neighbour=Neighbour((mine,), interface="1"))
    bench.discover("a", EntityInfo(foreign_ids=(mine,), interfaces=(one,)))
    bench.discover("b", EntityInfo(foreign_ids=(theirs,), interfaces=(five,)))
    assert wires(bench, "a", "1") == wires(bench, "b", "5") == {}


def test_no_wire_closes_a_loop(bench: Bench) -> None:
    """What would have somebody feed itself is not believed, until something else has changed."""
    mine, theirs = ForeignId("mac-address", MAC), ForeignId("mac-address", "00:00:5e:00:53:08")
    bench.discover("a", EntityInfo(foreign_ids=(mine,), interfaces=(inlet("in", ("b", "5")), heard("1", theirs.value))))
    bench.discover("b", EntityInfo(foreign_ids=(theirs,), interfaces=(outlet("5"), inlet("in"))))
    assert wires(bench, "a", "1") == {}
    bench.discover("a", EntityInfo(foreign_ids=(mine,), interfaces=(inlet("in"), heard("1", theirs.value))))
    assert load_of(bench, "1", "a") == [("b", "in")]


def test_who_is_meant_must_be_clear(bench: Bench) -> None:
    """Two entities that fit are none; when one of them is gone, the other is the one."""
    bench.discover("sw", EntityInfo(interfaces=(heard("1"),)))
    bench.discover("b", phone(inlet("in")))
    bench.discover("c", phone(inlet("in"), id_="impostor"))
    assert load_of(bench, "1") == []
    bench.discover("b", phone(inlet("in"), value="00:00:5e:00:53:09"))
    assert load_of(bench, "1") == [("impostor", "in")]
    bench.domain.forget("c", bench.now)
    assert load_of(bench, "1") == []


def test_nobody_is_his_own_neighbour(bench: Bench) -> None:
    """A device that hears itself is not wired to itself."""
    bench.discover("sw", EntityInfo(foreign_ids=(ForeignId("mac-address", MAC),), interfaces=(heard("1"), inlet("in"))))
    assert load_of(bench, "1") == []


def test_who_moves_is_followed(bench: Bench) -> None:
    """A load that is heard at another outlet hangs there, and not where it hung before."""
    bench.discover("b", phone(inlet("in")))
    bench.discover("sw", EntityInfo(interfaces=(heard("1"), outlet("2"))))
    bench.discover("sw", EntityInfo(interfaces=(outlet("1"), heard("2"))))
    assert (load_of(bench, "1"), load_of(bench, "2")) == ([], [("phone", "in")])
    bench.domain.forget("sw", bench.now)
    assert wires(bench, "phone", "in") == {}


def test_names_change_and_wires_stay(bench: Bench) -> None:
    """When configuration calls the load or the switch otherwise, the wire goes with them."""
    serial = ForeignId("serial-number", "S1")
    bench.discover("sw", EntityInfo(foreign_ids=(serial,), interfaces=(heard("1"),)))
    bench.discover("b", phone(inlet("in")))
    desk = {"id": "desk-7", "foreign-id": [{"kind": "eman-entity:mac-address", "value": MAC}]}
    closet = {"id": "closet", "foreign-id": [{"kind": "eman-entity:serial-number", "value": "S1"}]}
    bench.commit(desk, closet)
    assert load_of(bench, "1", "closet") == [("desk-7", "in")]
    bench.commit({"id": "lone"})
    assert load_of(bench, "1") == [("phone", "in")]


def wired(id_: str, name: str, direction: str, *peer: str) -> dict[str, Any]:
    wire = {"entity": peer[0], "interface": peer[1]}
    return {"id": id_, "power-interface": [{"name": name, "direction": direction, "connected-to": [wire]}]}


def test_configuration_knows_better(bench: Bench) -> None:
    """Where a wire is configured, at either end, what was heard makes none; without it, it does again."""
    bench.discover("sw", EntityInfo(interfaces=(heard("1"), outlet("2"))))
    bench.discover("b", phone(inlet("in")))
    bench.commit(wired("sw", "1", "outlet", "lamp", "in"))
    assert load_of(bench, "1") == [("lamp", "in")]
    assert wires(bench, "phone", "in") == {}
    bench.commit(wired("lamp", "x", "inlet", "sw", "1"))
    assert load_of(bench, "1") == [("lamp", "x")]
    bench.commit(wired("phone", "in", "inlet", "sw", "2"))
    assert (load_of(bench, "1"), load_of(bench, "2")) == ([], [("phone", "in")])
    bench.commit({"id": "other"})
    assert load_of(bench, "1") == [("phone", "in")]


@pytest.mark.parametrize("heard_by", [heard("1"), outlet("1", ("server", "eth0"))], ids=["heard", "claimed"])
def test_who_is_heard_is_no_safer_for_it(bench: Bench, heard_by: InterfaceInfo) -> None:
    """A device that hears a vital server, or claims to feed it, does not make its own supplies dispensable."""
    fed = {"type": "eman-relationship:powered-by", "peer": "pdu", "peer-interface": ["a", "b"]}
    names = [{"kind": "eman-entity:mac-address", "value": MAC}]
    bench.commit({"id": "server", "vital": True, "foreign-id": names, "relationship": [fed]})
    bench.discover("pdu", EntityInfo(interfaces=(outlet("a"), outlet("b"))))
    bench.discover("sw", EntityInfo(interfaces=(heard_by,)))
    assert list(wires(bench, "sw", "1")) != []
    graph = bench.domain.site.graph
    assert graph.loss([End("pdu", "a")]) == []
    assert graph.loss([End("pdu", "a"), End("pdu", "b")]) == ["server"]
    assert graph.loss([End("sw", "1")]) == []


def test_what_was_heard_refuses_no_configuration(bench: Bench) -> None:
    """A configured wire at the same place is judged as if nothing had been heard; elsewhere a loop is a loop."""
    bench.discover("sw", EntityInfo(interfaces=(heard("1"), inlet("in"))))
    bench.discover("b", phone(inlet("in"), outlet("out")))
    assert load_of(bench, "1") == [("phone", "in")]
    with pytest.raises(RpcErrors, match="cannot feed itself"):
        bench.commit(wired("sw", "in", "inlet", "phone", "out"))
    both = wired("sw", "in", "inlet", "phone", "out")
    both["power-interface"] += wired("sw", "1", "outlet", "lamp", "in")["power-interface"]
    bench.commit(both)
    assert (load_of(bench, "1"), load_of(bench, "in")) == ([("lamp", "in")], [("phone", "out")])


def test_what_the_device_knows_itself_comes_first(bench: Bench) -> None:
    """An outlet that tells where its cable ends is not wired to whom it hears."""
    ear = replace(heard("1"), connected_to=(Peer("lamp", "in"),))
    bench.discover("b", phone(inlet("in")))
    bench.discover("sw", EntityInfo(interfaces=(ear,)))
    assert load_of(bench, "1") == [("lamp", "in")]


def test_known_again_after_a_restart(boot: Callable[[], Bench], bench: Bench) -> None:
    """What was heard is remembered with the inventory."""
    backends = {"backend": [{"name": name} for name in ("sw", "b")]}
    bench.commit(backends=backends)
    bench.discover("sw", EntityInfo(interfaces=(heard("1"),)))
    bench.discover("b", phone(inlet("in")))
    saved = {name: record for name, record in bench.domain.dirty() if record is not None}
    again = Bench(bench.schema)
    again.running = bench.running
    again.boot(saved)
    assert load_of(again, "1") == [("phone", "in")]


def test_cost_is_that_of_the_cables(boot: Callable[[], Bench]) -> None:
    """A phone that comes to a large site costs what it costs in a small one."""

    def cost(switches: int) -> int:
        bench = boot()
        for switch in range(switches):
            ports = tuple(heard(str(port), f"00:00:5e:{switch:04x}:{port:02x}") for port in range(24))
            bench.discover(f"sw{switch}", EntityInfo(interfaces=ports))
            phones = (
                phone(inlet("in"), value=f"00005e{switch:04x}{port:02x}", id_=f"p{switch}-{port}") for port in range(23)
            )
            for number, one in enumerate(phones):
                bench.discover(f"b{switch}-{number}", one)
        late = phone(inlet("in"), value="00005e000017", id_="late")
        spent = calls(lambda: bench.discover("late", late))
        assert load_of(bench, "23", "sw0") == [("late", "in")]
        return spent

    small, large = cost(2), cost(40)
    assert large < small * 1.5

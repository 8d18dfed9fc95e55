"""RFC 6988 section 5.2 asked over NETCONF: inlets, outlets, and the wires between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import (
    ENTITIES,
    NS,
    edit,
    entity,
    found,
    one,
    run,
    summer_process,
    switch,
    texts,
    until,
)
from tests.conformance.hearing import content
from tests.conformance.site import interface, leaves, name_of, number, the

OUTLETS = {f"outlet-{index}" for index in range(1, 17)}
GRID = interface("feed-a", "grid")


class Wire(NamedTuple):
    """One entry of connected-to, as one of its ends tells it."""

    entity: str
    interface: str
    peer: str
    peer_interface: str
    peer_role: str


def wires(session: manager.Manager) -> list[Wire]:
    """All wires of the site, each from both ends."""
    told = []
    for id_ in found(session, f"{ENTITIES}/empi:power-interface/empi:connected-to"):
        said = leaves(id_)
        end = id_.getparent()
        owner = end.getparent()
        told.append(Wire(name_of(owner), name_of(end), said["entity"], said["interface"], said["peer-role"]))
    return told


@pytest.mark.req("d5.2.1", "r5.2.1")
def test_interfaces_are_those_that_the_box_has(client: manager.Manager) -> None:
    """A strip has its inlet and sixteen outlets, a server two inlets, a switch two inlets and sixteen ports."""
    strip = found(client, entity("pdu-a", "/empi:power-interface"))
    assert Counter(leaves(each)["direction"] for each in strip) == {"inlet": 1, "outlet": 16}
    assert {name_of(each) for each in strip} == {"input", *OUTLETS}
    assert sorted(texts(client, entity("srv-01", "/empi:power-interface/empi:name"))) == ["psu-1", "psu-2"]
    assert len(texts(client, entity("sw-1", "/empi:power-interface/empi:name"))) == 18
    assert texts(client, entity("meter-1", "/empi:power-interface/empi:name")) == []


@pytest.fixture
def morning(tmp_path: Path) -> Iterator[manager.Manager]:
    """A client of a demo site of its own early on a summer's day: the sun's height must not hang on other tests."""
    with run(summer_process(tmp_path / "state")) as server, server.connect() as session:
        yield session


def subscribe(session: manager.Manager) -> Callable[[], str | None]:
    """Subscribe to the present direction of the grid inlet, on change; what gives the next that is told, the first for
    what it is now."""
    names = "".join(f' xmlns:{prefix}="{NS[prefix]}"' for prefix in ("eman", "empi"))
    request = (
        '<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications" '
        'xmlns:yp="urn:ietf:params:xml:ns:yang:ietf-yang-push" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">'
        f"<yp:datastore>ds:operational</yp:datastore><yp:datastore-xpath-filter{names}>{GRID}/empi:operational-direction"
        "</yp:datastore-xpath-filter><yp:on-change/></establish-subscription>"
    )
    session.dispatch(etree.fromstring(request))

    def next_one() -> str | None:
        return content(session).findtext(f".//{{{NS['empi']}}}operational-direction")

    return next_one


@pytest.mark.req("r5.2.2")
def test_the_present_direction_follows_the_sun(morning: manager.Manager) -> None:
    """The grid inlet is an inlet, until the sun gives more than the feed needs: then it is an outlet, and back."""

    def direction() -> tuple[str, bool]:
        grid = the(morning, GRID)
        return leaves(grid)["operational-direction"], number(grid, "emm:power/emm:active") >= 0

    client = morning
    told = subscribe(morning)
    assert one(client, f"{GRID}/empi:direction") == "both"
    assert one(client, interface("pdu-a", "outlet-1", "/empi:operational-direction")) == "outlet"
    assert one(client, interface("pdu-a", "input", "/empi:operational-direction")) == "inlet"
    until(lambda: direction() == ("inlet", True), "the feed takes from the grid")
    switch(client, "feed-a", "ats", "off", "<accept-collateral>true</accept-collateral>")  # feed B carries it all
    until(lambda: direction() == ("outlet", False), "the feed gives to the grid")
    switch(client, "feed-a", "ats", "on")
    until(lambda: direction() == ("inlet", True), "the feed takes from the grid again")
    assert [told() for _ in range(3)] == ["inlet", "outlet", "inlet"], "each turn is told once"


@pytest.mark.req("d5.2.2", "r5.2.3")
def test_an_inlet_tells_the_outlet_that_feeds_it(client: manager.Manager) -> None:
    """Each of the two inlets of a server names one outlet as its source, each of another strip."""
    sources = {
        wire.interface: (wire.peer, wire.peer_interface, wire.peer_role)
        for wire in wires(client)
        if wire.entity == "srv-04"
    }
    assert sources == {"psu-1": ("pdu-a", "outlet-4", "source"), "psu-2": ("pdu-b", "outlet-4", "source")}


@pytest.mark.req("d5.2.3", "r5.2.4")
def test_an_outlet_tells_the_inlets_that_it_feeds(client: manager.Manager) -> None:
    """An outlet names its loads, one or eight of them; all wires are told alike from both ends."""
    told = wires(client)
    lamps = [wire for wire in told if (wire.entity, wire.interface) == ("feed-a", "lighting")]
    assert [wire.peer for wire in lamps] == [f"lamp-{index:02}" for index in range(1, 9)]
    assert {wire.peer_role for wire in lamps} == {"load"}
    other = {"source": "load", "load": "source"}
    seen_from_there = {
        Wire(wire.peer, wire.peer_interface, wire.entity, wire.interface, other[wire.peer_role]) for wire in told
    }
    assert len(told) > 100
    assert set(told) == seen_from_there


@pytest.mark.req("d5.2.3", "r5.2.4")
def test_a_wire_is_configured_at_one_end_and_told_at_both(client: manager.Manager) -> None:
    """What no device discovers is configured at the inlet; the outlet tells it too, with the peer's uuid."""
    wire = (
        f'<entity><id>pdu-b</id><power-interface xmlns="{NS["empi"]}"><name>outlet-16</name>'
        "<connected-to{}><entity>fan-1</entity><interface>mains</interface></connected-to></power-interface></entity>"
    )
    fan = "<entity{0}><id>fan-1</id>{1}</entity>"
    inlet = f'<power-interface xmlns="{NS["empi"]}"><name>mains</name><direction>inlet</direction></power-interface>'
    delete = f' xmlns:nc="{NS["nc"]}" nc:operation="delete"'
    edit(client, wire.format("") + fan.format("", inlet))
    there = leaves(the(client, interface("fan-1", "mains", "/empi:connected-to")))
    assert there["peer-role"] == "source"
    assert (there["entity"], there["interface"]) == ("pdu-b", "outlet-16")
    assert there["entity-uuid"] == one(client, entity("pdu-b", "/eman:uuid"))
    here = leaves(the(client, interface("pdu-b", "outlet-16", "/empi:connected-to")))
    assert (here["peer-role"], here["evidence"]) == ("load", "configured")
    edit(client, wire.format(delete) + fan.format(delete, ""))
    assert found(client, interface("pdu-b", "outlet-16", "/empi:connected-to")) == []


@pytest.mark.req("d5.2.4", "r5.2.5")
def test_power_is_available_at_both_ends_or_at_none(summer_client: manager.Manager) -> None:
    """With an outlet off, it and the inlet that it feeds say that no power is available, and neither is in use."""

    client = summer_client

    def available() -> set[str | None]:
        ends = (interface("pdu-a", "outlet-6"), interface("srv-06", "psu-1"))
        return {one(client, f"{end}/empi:power-available") for end in ends}

    def in_use() -> set[str | None]:
        return {one(client, interface(*end, "/empi:in-use")) for end in (("pdu-a", "outlet-6"), ("srv-06", "psu-1"))}

    until(lambda: available() == in_use() == {"true"}, "both have power")
    switch(client, "pdu-a", "outlet-6", "off")
    until(lambda: available() == in_use() == {"false"}, "both are dark")
    switch(client, "pdu-a", "outlet-6", "on")
    until(lambda: available() == {"true"}, "both have power again")


@pytest.mark.req("d5.2.5", "r5.2.6")
def test_available_is_not_in_use(client: manager.Manager) -> None:
    """An outlet with nothing plugged in has power available and is not in use; one with a server is."""
    for outlet, in_use in (("outlet-12", "true"), ("outlet-14", "true"), ("outlet-15", "false")):
        said = leaves(the(client, interface("pdu-a", outlet)))
        assert (said["power-available"], said["in-use"]) == ("true", in_use), outlet


@pytest.mark.req("d5.2.6", "r5.2.7")
def test_the_kind_of_current_is_told_at_both_levels(client: manager.Manager) -> None:
    """Strips are AC, phones DC, the switch both: it takes AC and gives DC."""
    kinds = {id_: one(client, entity(id_, "/eman:current-type")) for id_ in ("pdu-a", "phone-01", "sw-1")}
    assert kinds == {"pdu-a": "ac", "phone-01": "dc", "sw-1": "mixed"}
    of_switch = {leaves(each)["name"]: leaves(each)["current-type"] for each in found(client, interfaces("sw-1"))}
    assert of_switch.pop("psu-1") == of_switch.pop("psu-2") == "ac"
    assert set(of_switch.values()) == {"dc"}


def interfaces(id_: str) -> str:
    return entity(id_, "/empi:power-interface")


@pytest.mark.req("d5.2.7", "r5.2.8")
def test_nominal_voltage_is_a_range(client: manager.Manager) -> None:
    """Interfaces tell the nominal voltage; a range that the operator knows better goes before."""
    port = the(client, interface("sw-1", "port-1"))
    bounds = [number(port, f"empi:nominal-voltage/empi:{bound}") for bound in ("minimum", "maximum")]
    assert bounds == [Decimal("53.5")] * 2
    edit(
        client,
        f'<entity><id>srv-10</id><power-interface xmlns="{NS["empi"]}"><name>psu-1</name><nominal-voltage>'
        "<minimum>100</minimum><maximum>240</maximum></nominal-voltage></power-interface></entity>",
    )
    supply = the(client, interface("srv-10", "psu-1"))
    bounds = [number(supply, f"empi:nominal-voltage/empi:{bound}") for bound in ("minimum", "maximum")]
    assert bounds == [100, 240]


@pytest.mark.req("d5.2.8", "r5.2.9")
def test_nominal_frequency_is_one_of_alternating_current(client: manager.Manager) -> None:
    """AC interfaces have a nominal frequency, DC interfaces have none."""
    for each in found(client, interfaces("sw-1")):
        said = leaves(each)
        expected = {"ac": Decimal(50), "dc": None}[said["current-type"]]
        told = said.get("nominal-frequency")
        assert (None if told is None else Decimal(told)) == expected, said["name"]


@pytest.mark.req("d5.2.9", "r5.2.10")
def test_phases_are_counted(client: manager.Manager) -> None:
    """One phase or three, and how they are connected; direct current has none."""
    grid = leaves(the(client, GRID))
    assert (grid["ac-phases"], grid["ac-configuration"]) == ("3", "wye")
    outlet = leaves(the(client, interface("pdu-a", "outlet-1")))
    assert (outlet["ac-phases"], outlet["ac-configuration"]) == ("1", "single")
    port = leaves(the(client, interface("sw-1", "port-1")))
    assert "ac-phases" not in port


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_the_wiring_of_the_site_is_a_graph_without_loops(client: manager.Manager) -> None:
    """From the wires alone one gets from every load to the utility feeds, and never in a circle."""
    sources: dict[str, set[str]] = {}
    for wire in wires(client):
        if wire.peer_role == "source":
            sources.setdefault(wire.entity, set()).add(wire.peer)
    order = list(TopologicalSorter(sources).static_order())  # raises CycleError
    everything = set(texts(client, f"{ENTITIES}[empi:power-interface]/eman:id"))
    assert everything <= set(order) | {"feed-b"}

    def roots(id_: str) -> set[str]:
        above = sources.get(id_, set())
        return set().union(*(roots(source) for source in above)) if above else {id_}

    assert roots("phone-03") == {"feed-b", "pv-1"}, "feed A takes from the roof and from the grid"
    assert roots("lamp-02") == {"pv-1"}

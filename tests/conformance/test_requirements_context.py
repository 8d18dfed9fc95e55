"""The context of entities asked over NETCONF: their wiring as a whole, who tells of whom, search, other models."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    EMAN,
    ENTITIES,
    NS,
    ServerProcess,
    adding,
    all_read,
    demo_process,
    edit,
    entity,
    found,
    one,
    run,
    switch,
    texts,
    until,
)
from tests.conformance.hearing import heard
from tests.conformance.site import interface, leaves, local, name_of, number, the

TOPOLOGY = "urn:eman:yang:eman-topology"
HARDWARE = "urn:ietf:params:xml:ns:yang:ietf-hardware"
INVERSE = {
    "powering": "powered-by",
    "controlling": "controlled-by",
    "metering": "metered-by",
    "aggregating": "aggregated-by",
    "proxying": "proxied-by",
}
REPORTING = {"metering", "aggregating", "proxying"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[manager.Manager]:
    """A client of a demo site of its own, to switch."""
    server = demo_process(tmp_path / "state", "--start-time", "2026-01-20T18:00:00Z", "--speed", "5").start()
    try:
        with server.connect() as session:
            all_read(session)
            yield session
        assert server.end() == 0
    finally:
        server.end(signal.SIGKILL)


def subtree(session: manager.Manager, inner: str) -> etree._Element:
    """What a subtree filter below energy-management selects."""
    return session.get(filter=("subtree", f'<energy-management xmlns="{EMAN}">{inner}</energy-management>')).data_ele


# --- the wiring


def topology(session: manager.Manager) -> dict[str, etree._Element]:
    """The nodes of the wiring, by entity, by one filter."""
    answer = subtree(session, f'<topology xmlns="{TOPOLOGY}"/>')
    return {node.findtext("{*}entity"): node for node in answer.iter(f"{{{TOPOLOGY}}}node")}


def feeds(node: etree._Element) -> set[tuple[str | None, ...]]:
    """Source, outlet and inlet of the feeds of a node."""
    words = ("source", "source-interface", "interface")
    return {tuple(feed.findtext(f"{{*}}{word}") for word in words) for feed in node.findall("{*}feed")}


def supply(node: etree._Element) -> dict[str, str]:
    return leaves(node.find("{*}redundancy"))


def what_if(session: manager.Manager, *assumed: str) -> etree._Element:
    told = "".join(f"<assume>{each}</assume>" for each in assumed)
    request = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">'
        f'<topology xmlns="{TOPOLOGY}"><what-if>{told}</what-if></topology></energy-management></action>'
    )
    return etree.fromstring(session.dispatch(etree.fromstring(request)).xml.encode())


def entities(reply: etree._Element, name: str) -> dict[str, dict[str, str]]:
    """The entries of a list in the answer of what-if, by entity."""
    return {leaves(each)["entity"]: leaves(each) for each in reply.iter(f"{{{TOPOLOGY}}}{name}")}


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_one_filter_gives_the_whole_wiring(client: manager.Manager) -> None:
    """The tree holds every wire, levels grow from the sources to the loads, and no way leads in a circle."""
    nodes = topology(client)
    wires = {
        (leaves(each)["entity"], leaves(each)["interface"], name_of(each.getparent().getparent()))
        for each in found(client, f"{ENTITIES}/empi:power-interface/empi:connected-to[empi:peer-role='source']")
    }
    told = {(source, outlet, id_) for id_, node in nodes.items() for source, outlet, _ in feeds(node) if source}
    assert told == wires
    assert len(told) > 50
    levels = {id_: int(leaves(node)["level"]) for id_, node in nodes.items()}
    assert all(levels[source] < levels[load] for source, _, load in told)
    assert {id_ for id_, level in levels.items() if level == 0} == {"feed-b", "pv-1"}
    sources = {id_: {source for source, _, _ in feeds(node) if source} for id_, node in nodes.items()}
    assert set(TopologicalSorter(sources).static_order()) == set(nodes)  # raises CycleError
    assert "meter-1" not in nodes, "it hangs on no wire"
    assert {leaves(node)["powered"] for node in nodes.values()} == {"true"}


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_redundancy_is_told_for_each(client: manager.Manager) -> None:
    """A server on two strips is redundant; a lamp names what it hangs on, the nearest first; a feed names the grid."""
    nodes = topology(client)
    states = {id_: supply(nodes[id_])["state"] for id_ in ("srv-03", "ats-1", "ups-1", "lamp-02", "phone-01", "pv-1")}
    assert states == {
        "srv-03": "redundant",
        "ats-1": "redundant",
        "ups-1": "single",
        "lamp-02": "single",
        "phone-01": "single",
        "pv-1": "none",
    }
    points = [
        (leaves(each)["entity"], leaves(each).get("interface"))
        for each in nodes["lamp-02"].findall("{*}redundancy/{*}single-point-of-failure")
    ]
    assert points == [("lamp-02", "mains"), ("feed-a", "lighting"), ("feed-a", None)]
    assert supply(nodes["lamp-02"])["points-of-failure"] == "3"
    assert feeds(nodes["feed-b"]) == {(None, None, "grid")}
    left = {leaves(feed)["source"]: leaves(feed)["sources-left"] for feed in nodes["srv-03"].findall("{*}feed")}
    assert left == {"pdu-a": "1", "pdu-b": "3"}, "the strip behind the UPS has both feeds and the roof"


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_redundancy_follows_what_is_switched(own: manager.Manager) -> None:
    """With one outlet off its server is degraded, with both unpowered, and as before when they are on again."""

    def state() -> str:
        return supply(topology(own)["srv-06"])["state"]

    assert state() == "redundant"
    switch(own, "pdu-a", "outlet-6", "off")
    until(lambda: state() == "degraded", "one feed is dark")
    regained = what_if(own, "<entity>pdu-a</entity><interface>outlet-6</interface><state>on</state>")
    assert entities(regained, "regained") == {}
    switch(own, "pdu-b", "outlet-6", "off")
    until(lambda: state() == "unpowered", "both feeds are dark")
    regained = what_if(own, "<entity>pdu-a</entity><interface>outlet-6</interface><state>on</state>")
    assert entities(regained, "regained")["srv-06"]["sources-left"] == "3"
    switch(own, "pdu-a", "outlet-6", "on")
    switch(own, "pdu-b", "outlet-6", "on")
    until(lambda: state() == "redundant", "both feeds are there again")


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_what_if_a_strip_fails(client: manager.Manager) -> None:
    """Who would be dark, who would keep one feed of two, and what is vital among them; nothing is switched."""
    answer = what_if(client, "<entity>pdu-a</entity>")
    assert set(entities(answer, "lost")) == {"gw-1"}
    weakened = entities(answer, "weakened")
    assert {f"srv-{place:02}" for place in range(1, 13)} | {"sw-1"} <= set(weakened)
    assert (weakened["srv-05"]["feeds-before"], weakened["srv-05"]["feeds-left"]) == ("2", "1")
    assert {id_ for id_, said in weakened.items() if "vital" in said} == {"srv-01", "sw-1"}
    shed = Decimal(answer.findtext(f"{{{TOPOLOGY}}}power-shed"))
    assert 0 < shed < 20, "the gateway's own power: the servers take theirs from the other strip"
    outlets = f"{ENTITIES}[eman:id='pdu-a']/empi:power-interface/empi:supply/empi:oper-state"
    assert set(texts(client, outlets)) == {"on"}


@pytest.mark.req("d5.2.text", "r5.2.text")
def test_what_if_both_feeds_fail(client: manager.Manager) -> None:
    """Everything is dark, the strip behind the UPS is held for a while, and the UPS says how long."""
    answer = what_if(client, "<entity>feed-a</entity>", "<entity>feed-b</entity>")
    lost = entities(answer, "lost")
    assert set(lost) == set(topology(client)) - {"feed-a", "feed-b", "pv-1"}
    held = {id_ for id_, said in lost.items() if "held" in said}
    assert {"ups-1", "pdu-a", "srv-09", "phone-02"} <= held
    assert not held & {"pdu-b", "ats-1", "lamp-01"}
    batteries = [leaves(each) for each in answer.iter(f"{{{TOPOLOGY}}}battery")]
    assert [(said["entity"], said["name"]) for said in batteries] == [("ups-1", "string-1"), ("ups-1", "string-2")]
    assert all(float(said["runtime-remaining"]) > 0 for said in batteries)
    site = number(the(client, f"{ENTITIES}[eman:id='feed-b']"), "emm:power/emm:active")
    assert Decimal(answer.findtext(f"{{{TOPOLOGY}}}power-shed")) > site


@pytest.mark.req("d5.1.text", "r5.1.text")
@pytest.mark.req("d5.2.text", "r5.2.text")
@pytest.mark.parametrize("outlet", ["port-3", "port-14"])
def test_what_if_and_the_guard_agree(client: manager.Manager, outlet: str) -> None:
    """Whom what-if says to be dark is for whom switching is refused once he is vital."""
    (dark,) = entities(what_if(client, f"<entity>sw-1</entity><interface>{outlet}</interface>"), "lost")
    edit(client, f"<entity><id>{dark}</id><vital>true</vital></entity>")
    assert "vital" in entities(what_if(client, f"<entity>sw-1</entity><interface>{outlet}</interface>"), "lost")[dark]
    with pytest.raises(RPCError) as refused:
        switch(client, "sw-1", outlet, "off", "<accept-collateral>true</accept-collateral>")
    assert dark in refused.value.message


@pytest.mark.req("d5.2.text", "r5.2.text")
@pytest.mark.parametrize(
    "assumed",
    ["<entity>nobody</entity>", "<entity>pdu-a</entity><interface>outlet-99</interface>"],
)
def test_what_if_of_what_is_not_there_is_refused(client: manager.Manager, assumed: str) -> None:
    """An entity or an interface that does not exist is named in the refusal."""
    with pytest.raises(RPCError) as refused:
        what_if(client, assumed)
    assert refused.value.tag == "data-missing"
    assert "nobody" in refused.value.message or "outlet-99" in refused.value.message


# --- reporting on others, both ways


def relationships(session: manager.Manager) -> dict[tuple[str, str, str], dict[str, str]]:
    """All relationships of the site by entity, kind and peer."""
    told = {}
    for each in found(session, f"{ENTITIES}/emrel:relationship"):
        said = leaves(each)
        told[name_of(each.getparent()), local(said["type"]), said["peer"]] = said
    return told


@pytest.mark.req("d7.2", "r7.2")
@pytest.mark.req("d7.4", "r7.4")
@pytest.mark.req("d7.5", "r7.5")
@pytest.mark.req("d8.1.3", "r8.1.3")
@pytest.mark.req("d8.1.4", "r8.1.4")
def test_relationships_are_told_at_both_ends(client: manager.Manager) -> None:
    """Whatever one entity is to another is told there too, with the same kinds of information and of control."""
    told = relationships(client)
    inverse = INVERSE | {there: here for here, there in INVERSE.items()}
    assert len(told) > 200
    for (id_, kind, peer), said in told.items():
        there = told[peer, inverse[kind], id_]
        assert there.get("reports") == said.get("reports")
        assert there.get("controls") == said.get("controls")


@pytest.mark.req("d7.1", "r7.1")
@pytest.mark.req("d7.4", "r7.4")
@pytest.mark.req("d7.5", "r7.5")
def test_whoever_reports_lists_whom(client: manager.Manager) -> None:
    """Every reporter of a value lists its entity among those it reports on, and says what it reports."""
    told = relationships(client)
    values = found(client, f"{ENTITIES}/emm:power/emm:reporter")
    reporters = {(name_of(each.getparent().getparent()), each.text or "") for each in values}
    assert len(reporters) >= 14
    for id_, reporter in reporters:
        kinds = [said["reports"] for kind in REPORTING if (said := told.get((reporter, kind, id_)))]
        assert kinds
        assert "power" in " ".join(kinds).split()
    for id_ in ("gw-1", "sw-1"):
        own = texts(client, f"{ENTITIES}[embe:backend='{id_}']/eman:id")
        reported = {peer for here, kind, peer in told if here == id_ and kind in REPORTING}
        assert set(own) - {id_} <= reported


# --- search


@pytest.mark.req("d5.1.2", "r5.1.2")
@pytest.mark.req("d5.1.5", "r5.1.5")
def test_search_by_anything_in_one_filter(client: manager.Manager) -> None:
    """Domain, group, keyword, role, category, class and foreign identifier: each alone, together, or one of several."""
    serial = the(client, entity("lamp-03", "/eman:foreign-id[eman:kind='eman:serial-number']/eman:value")).text

    def ids(predicate: str) -> set[str]:
        return set(texts(client, f"{ENTITIES}{predicate}/eman:id"))

    lamps = {f"lamp-{place:02}" for place in range(1, 9)}
    assert ids("[emgrp:group='lighting']") == lamps
    assert lamps < ids("[emgrp:domain='lab-building']")
    assert ids("[eman:role='lighting'][emgrp:domain='lab-building']") == lamps
    assert ids("[eman:category='store']") == {"ups-1", "ups-1.string-1", "ups-1.string-2"}
    assert ids("[eman:keyword='rack-1' and eman:role='storage']") == {f"srv-{place:02}" for place in range(9, 13)}
    assert lamps <= ids("[derived-from-or-self(eman:class,'eman:device')]")
    assert ids(f"[eman:foreign-id[eman:value='{serial}']]") == {"lamp-03"}
    either = f"[eman:keyword='ups' or emgrp:group='generation' or eman:foreign-id/eman:value='{serial}']"
    assert ids(either) == {"ups-1", "pv-1", "lamp-03"}
    union = f"{ENTITIES}[eman:category='meter']/eman:id | {ENTITIES}[emgrp:group='cameras']/eman:id"
    data = client.get(filter=("xpath", (NS, union))).data_ele
    cameras = {f"cam-{place:02}" for place in range(1, 5)}
    assert {node.text for node in data.iter(f"{{{EMAN}}}id")} == {"meter-1"} | cameras


@pytest.mark.req("d5.1.2", "r5.1.2")
@pytest.mark.req("d5.1.5", "r5.1.5")
@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        ('<domain xmlns="{g}">lab-building</domain><role>telephony</role>', "phone-"),
        ('<group xmlns="{g}">servers</group><role>storage</role>', "srv-"),
        ("<keyword>camera</keyword><importance>70</importance>", "cam-"),
        ("<category>producer</category>", "pv-"),
    ],
)
def test_search_by_subtree(client: manager.Manager, tests: str, wanted: str) -> None:
    """Content matches beside each other must all hold, and select whole entities or what is named beside them."""
    asked = tests.format(g=NS["emgrp"])
    data = subtree(client, f"<entities><entity><id/>{asked}</entity></entities>")
    ids = [node.text or "" for node in data.iter(f"{{{EMAN}}}id")]
    assert ids
    assert all(id_.startswith(wanted) for id_ in ids)


@pytest.mark.req("d4.3", "r4.4")
def test_identifiers_of_ports_lead_to_their_entity(client: manager.Manager) -> None:
    """A port is found by its PSE number or by the name its switch gives it, a component by the one its entity has."""
    by_port = "[empi:power-interface/empi:foreign-id[empi:kind='eman:peth-pse-port'][empi:value='1.7']]"
    assert texts(client, f"{ENTITIES}{by_port}/eman:id") == ["sw-1"]
    by_name = "[empi:foreign-id[empi:kind='eman:if-name'][empi:value='Gi1/0/9']]"
    assert texts(client, f"{ENTITIES}/empi:power-interface{by_name}/empi:name") == ["port-9"]
    edit(
        client,
        "<entity><id>srv-02</id><foreign-id><kind>hardware-component</kind><value>srv-02</value></foreign-id></entity>",
    )
    names = {**NS, "hw": HARDWARE}
    known = f"{ENTITIES}/eman:foreign-id[eman:kind='eman:hardware-component']/eman:value"
    by_component = f"/hw:hardware/hw:component[hw:name={known}]"
    data = client.get(filter=("xpath", (names, by_component))).data_ele
    assert [node.text for node in data.iter(f"{{{HARDWARE}}}model-name")] == ["Server 2U"]


# --- identifiers that change


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this file's own, to rename what is in it."""
    with run(demo_process(tmp_path_factory.mktemp("renamed") / "state")) as server:
        yield server


@pytest.mark.req("r4.3")
def test_a_new_name_for_what_was_discovered_is_told(renamed: ServerProcess) -> None:
    """An entity bound by its serial number goes by the new id, the change is told with both, and the uuid stays."""
    with adding(renamed, "desk-lamp") as session:
        session.create_subscription()
        lamp = the(session, entity("lamp-05"))
        serial = lamp.xpath("eman:foreign-id[contains(eman:kind, 'serial-number')]/eman:value", namespaces=NS)[0].text
        uuid = leaves(lamp)["uuid"]
        bound = f"<foreign-id><kind>serial-number</kind><value>{serial}</value></foreign-id>"
        edit(session, f'<entity xmlns:nc="{NS["nc"]}" nc:operation="remove"><id>lamp-05</id></entity>')
        edit(session, f"<entity><id>desk-lamp</id>{bound}</entity>")
        change = heard(session, "identifier-changed")
        assert (change["entity"], change["old-value"], change["new-value"]) == ("desk-lamp", "lamp-05", "desk-lamp")
        assert change["entity-uuid"] == uuid
        assert one(session, entity("desk-lamp", "/eman:uuid")) == uuid
        assert found(session, entity("lamp-05")) == []


@pytest.mark.req("d4.2", "r4.2")
def test_persistence_is_told_for_each_identifier(client: manager.Manager) -> None:
    """Every identifier that a device gave says whether it outlives a restart, at entities and at their interfaces."""
    for path in (f"{ENTITIES}/eman:foreign-id", f"{ENTITIES}/empi:power-interface/empi:foreign-id"):
        told = [leaves(each).get("persistence") for each in found(client, path)]
        assert told
        assert set(told) <= {"persistent", "boot-scoped", "unknown"}
    assert set(texts(client, f"{ENTITIES}[embe:backend]/eman:identifier-persistence")) == {"persistent"}


# --- the same entities as hardware


def components(session: manager.Manager, *names: str) -> dict[str, etree._Element]:
    wanted = "".join(f"<component><name>{name}</name></component>" for name in names)
    data = session.get(filter=("subtree", f'<hardware xmlns="{HARDWARE}">{wanted}</hardware>')).data_ele
    return {node.findtext("{*}name"): node for node in data.iter(f"{{{HARDWARE}}}component")}


@pytest.mark.req("rfc8348-3.1")
def test_entities_are_components(client: manager.Manager) -> None:
    """Every entity is a component with its uuid; interfaces and batteries stand inside, and each knows its parent."""
    everything = components(client)
    uuids = dict(zip(texts(client, f"{ENTITIES}/eman:id"), texts(client, f"{ENTITIES}/eman:uuid"), strict=True))
    own = {name: leaves(node)["uuid"] for name, node in everything.items() if name in uuids}
    assert own == uuids
    for name, node in everything.items():
        parent = node.findtext("{*}parent")
        if parent is not None:
            assert name in {child.text for child in everything[parent].findall("{*}contains-child")}
    classes = {name: local(everything[name].findtext("{*}class")) for name in everything}
    shown = ("srv-01", "srv-01/psu-1", "pdu-a/outlet-3", "ups-1/battery/string-1")
    assert [classes[name] for name in shown] == ["chassis", "power-supply", "port", "battery"]
    srv = leaves(everything["srv-01"])
    assert (srv["mfg-name"], srv["model-name"], srv["firmware-rev"]) == ("Simulated", "Server 2U", "BMC 2.8")
    serial = entity("srv-01", "/eman:foreign-id[eman:kind='eman:serial-number']/eman:value")
    assert srv["serial-num"] == one(client, serial)


@pytest.mark.req("rfc8348-5")
def test_what_is_read_are_sensors(client: manager.Manager) -> None:
    """Power, voltage, current, frequency and temperature are sensors with unit, scale, precision and time."""
    wanted = {
        "srv-01:active-power": ("watts", (50, 600)),
        "feed-a/grid:voltage": ("volts-AC", (200, 260)),
        "sw-1/port-1:voltage": ("volts-DC", (45, 58)),
        "pdu-a/outlet-1:current": ("amperes", (0, 10)),
        "feed-a/grid:frequency": ("hertz", (49, 51)),
        "ups-1/battery/string-1:temperature": ("celsius", (5, 60)),
    }
    said = {name: leaves(node.find("{*}sensor-data")) for name, node in components(client, *wanted).items()}
    assert said.keys() == wanted.keys()
    for name, (kind, (low, high)) in wanted.items():
        data = said[name]
        assert (data["value-type"], data["value-scale"], data["oper-status"]) == (kind, "units", "ok")
        assert low <= Decimal(data["value"]).scaleb(-int(data["value-precision"])) <= high
        assert data["value-timestamp"].startswith("20")


@pytest.mark.req("rfc8348-3.1")
def test_hardware_is_not_configured(client: manager.Manager) -> None:
    """Components are state of the server: an edit of one is refused, and no configuration shows any."""
    kind = '<class xmlns:i="urn:ietf:params:xml:ns:yang:iana-hardware">i:chassis</class>'
    hardware = f'<hardware xmlns="{HARDWARE}"><component><name>srv-01</name>{kind}</component></hardware>'
    with pytest.raises(RPCError) as refused:
        client.edit_config(target="running", config=f'<config xmlns="{NS["nc"]}">{hardware}</config>')
    assert refused.value.tag in {"invalid-value", "unknown-element"}
    assert f"{{{HARDWARE}}}hardware" not in {child.tag for child in client.get_config("running").data_ele}


def test_interface_of_a_component(client: manager.Manager) -> None:
    """The uuid of an interface is the same in both models."""
    name = "pdu-a/outlet-3"
    assert leaves(components(client, name)[name])["uuid"] == one(client, interface("pdu-a", "outlet-3", "/empi:uuid"))

"""RFC 6988 sections 4 and 5.1 asked over NETCONF: who an entity is, and what an operator says about it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    EMAN,
    ENTITIES,
    NS,
    act,
    all_read,
    demo_process,
    edit,
    entity,
    found,
    one,
    switch,
    texts,
    until,
)
from tests.conformance.site import DRIFT, interface, leaves, local, name_of, number, numbers, state_set, the

DELETE = f'xmlns:nc="{NS["nc"]}" nc:operation="delete"'
GROUPS = "/eman:energy-management/emgrp:groups/emgrp:group"
DOMAINS = "/eman:energy-management/emgrp:domains/emgrp:domain"


def edit_groups(session: manager.Manager, inner: str) -> None:
    session.edit_config(
        target="running",
        config=f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}"><groups xmlns="{NS["emgrp"]}">{inner}'
        "</groups></energy-management></config>",
    )


class Restart(NamedTuple):
    """The entities of one server before and after a restart."""

    before: dict[str, etree._Element]
    after: dict[str, etree._Element]


def identities(session: manager.Manager) -> dict[str, etree._Element]:
    """All entities by id."""
    return {name_of(element): element for element in found(session, ENTITIES)}


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restart]:
    """A second server, told a name for an entity, then stopped and started again."""
    server = demo_process(tmp_path_factory.mktemp("restarted") / "state").start()
    try:
        with server.connect() as session:
            all_read(session)
            edit(session, "<entity><id>srv-02</id><name>Kept</name><description>Over a restart</description></entity>")
            before = identities(session)
        assert server.end() == 0
        server.start()
        with server.connect() as session:
            all_read(session)
            yield Restart(before, identities(session))
    finally:
        server.end(signal.SIGKILL)


@pytest.mark.req("d4.1", "r4.1")
def test_no_two_entities_share_an_identity(client: manager.Manager, restarted: Restart) -> None:
    """Every entity has a uuid that no other has, neither here nor at another server of the same kind of site."""
    here = {name_of(element): leaves(element)["uuid"] for element in found(client, ENTITIES)}
    there = {id_: leaves(element)["uuid"] for id_, element in restarted.before.items()}
    assert len(here) > 30
    assert len(set(here.values())) == len(here)
    assert here.keys() == there.keys()
    assert not set(here.values()) & set(there.values())
    with pytest.raises(RPCError) as refused:
        edit(client, f"<entity {DELETE.replace('delete', 'create')}><id>srv-01</id></entity>")
    assert refused.value.tag == "data-exists"


@pytest.mark.req("d4.2", "r4.2")
def test_persistence_of_identifiers_is_said_and_true(restarted: Restart) -> None:
    """Identifiers said to be persistent are the same after a restart: ids, uuids, and those that others gave."""
    assert restarted.before.keys() == restarted.after.keys()
    persistent = 0
    for id_, before in restarted.before.items():
        after = restarted.after[id_]
        assert leaves(before)["identifier-persistence"] in {"persistent", "boot-scoped", "unknown"}
        if leaves(before)["identifier-persistence"] == "persistent":
            assert leaves(before)["uuid"] == leaves(after)["uuid"]
        for foreign in before.iter(f"{{{EMAN}}}foreign-id", f"{{{NS['empi']}}}foreign-id"):
            said = leaves(foreign)
            if said.get("persistence") == "persistent":
                persistent += 1
                assert said["value"] in {node.text for node in after.iter(f"{{{EMAN}}}value", f"{{{NS['empi']}}}value")}
    assert persistent > 30


@pytest.mark.req("d4.3", "r4.4")
def test_an_entity_is_found_by_what_others_call_it(client: manager.Manager) -> None:
    """A filter on kind and value of a foreign identifier gives the one entity, or the one port, that has it."""
    serial = the(client, entity("pdu-a", "/eman:foreign-id[eman:kind='eman:serial-number']/eman:value")).text
    match = f"[eman:foreign-id[eman:kind='eman:serial-number' and eman:value='{serial}']]"
    assert texts(client, f"{ENTITIES}{match}/eman:id") == ["pdu-a"]
    wanted = f"<entity><id/><foreign-id><value>{serial}</value></foreign-id></entity>"
    subtree = client.get(
        filter=("subtree", f'<energy-management xmlns="{EMAN}"><entities>{wanted}</entities></energy-management>')
    ).data_ele
    with_value = subtree.xpath(f".{ENTITIES}[eman:foreign-id]/eman:id", namespaces=NS)
    assert [node.text for node in with_value] == ["pdu-a"]
    port = "[empi:foreign-id[empi:kind='eman:peth-pse-port' and empi:value='1.7']]"
    assert texts(client, f"{ENTITIES}/empi:power-interface{port}/empi:name") == ["port-7"]


@pytest.mark.req("d4.3", "r4.4")
@pytest.mark.parametrize("kind", ["ent-physical-index", "lldp-port-number", "asset-tag", "alternate-key"])
def test_identifiers_of_any_kind_are_added_by_hand(client: manager.Manager, kind: str) -> None:
    """What no device tells is configured: entPhysicalIndex, LldpPortNumber, and others; it is matched alike."""
    foreign = f"<foreign-id{{}}><kind>{kind}</kind><value>1007</value></foreign-id>"
    edit(client, f"<entity><id>gw-1</id>{foreign.format('')}</entity>")
    match = f"[eman:foreign-id[eman:kind='eman:{kind}'][eman:value='1007']]"
    assert texts(client, f"{ENTITIES}{match}/eman:id") == ["gw-1"]
    edit(client, f"<entity><id>gw-1</id>{foreign.format(f' {DELETE}')}</entity>")
    assert texts(client, f"{ENTITIES}{match}/eman:id") == []


@pytest.mark.req("d4.text", "r4.text")
def test_parts_are_entities_of_which_only_what_is_known_is_told(client: manager.Manager) -> None:
    """A disk is a component within its server; its power is absent, not zero, while the server's is there."""
    edit(
        client,
        "<entity><id>srv-06.disk-1</id><class>component</class><contained-in>srv-06</contained-in></entity>",
    )
    disk = the(client, entity("srv-06.disk-1"))
    assert local(leaves(disk)["class"]) == "component"
    assert leaves(disk)["contained-in"] == "srv-06"
    assert disk.find("emm:power", NS) is None
    assert disk.find("emm:energy", NS) is None
    server = the(client, entity("srv-06"))
    assert local(leaves(server)["class"]) == "device"
    assert number(server, "emm:power/emm:active") > 0
    edit(client, f"<entity {DELETE}><id>srv-06.disk-1</id></entity>")
    assert found(client, entity("srv-06.disk-1")) == []


@pytest.mark.req("d5.1.1", "r5.1.1")
def test_name_and_description_are_configured_and_kept(client: manager.Manager, restarted: Restart) -> None:
    """Name and description are written, read back, and are the same after a restart."""
    edit(client, "<entity><id>srv-06</id><name>Mail &amp; more</name><description>Straße</description></entity>")
    said = leaves(the(client, entity("srv-06")))
    assert (said["name"], said["description"]) == ("Mail & more", "Straße")
    kept = leaves(restarted.after["srv-02"])
    assert (kept["name"], kept["description"]) == ("Kept", "Over a restart")


@pytest.mark.req("d5.1.2", "r5.1.2")
def test_entities_are_found_by_their_context(client: manager.Manager) -> None:
    """Keywords, role and category are configured, and filters on them give exactly the entities that have them."""
    assert len(texts(client, f"{ENTITIES}[eman:keyword='server']/eman:id")) == 12
    edit(
        client,
        "<entity><id>lamp-08</id><keyword>lobby</keyword><role>emergency lighting</role></entity>"
        "<entity><id>cam-01</id><keyword>lobby</keyword></entity>",
    )
    assert sorted(texts(client, f"{ENTITIES}[eman:keyword='lobby']/eman:id")) == ["cam-01", "lamp-08"]
    assert texts(client, f"{ENTITIES}[eman:keyword='lobby'][eman:role='emergency lighting']/eman:id") == ["lamp-08"]
    assert texts(client, f"{ENTITIES}[eman:category='producer']/eman:id") == ["pv-1"]


@pytest.mark.req("d5.1.3", "r5.1.3")
def test_importance_is_configured_between_1_and_100(client: manager.Manager) -> None:
    """Importance is written and read back; 0 and 101 are refused."""
    edit(client, "<entity><id>ap-01</id><importance>100</importance></entity>")
    assert one(client, entity("ap-01", "/eman:importance")) == "100"
    for wrong in ("0", "101"):
        with pytest.raises(RPCError) as refused:
            edit(client, f"<entity><id>ap-01</id><importance>{wrong}</importance></entity>")
        assert refused.value.tag == "invalid-value"
    assert one(client, entity("ap-01", "/eman:importance")) == "100"


@pytest.mark.req("d5.1.4", "r5.1.4")
def test_the_lowest_power_priority_is_lowered_first(summer_client: manager.Manager) -> None:
    """A group is lowered in the order of power priority, against the order of importance and of names."""
    client = summer_client
    edit(
        client,
        "<entity><id>lamp-06</id><importance>10</importance><power-priority>9</power-priority></entity>"
        "<entity><id>lamp-07</id><importance>20</importance><power-priority>3</power-priority></entity>",
    )
    edit_groups(client, "<group><name>shed</name><member>lamp-06</member><member>lamp-07</member></group>")

    def shed(state: str) -> list[str]:
        request = (
            f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">'
            f'<groups xmlns="{NS["emgrp"]}"><group><name>shed</name><control><set-power-state>'
            f'<state xmlns:s="urn:eman:yang:eman-power-state-set">s:ieee1621-{state}</state><stagger>60</stagger>'
            "</set-power-state></control></group></groups></energy-management></action>"
        )
        reply = etree.fromstring(client.dispatch(etree.fromstring(request)).xml.encode())
        assert {node.text for node in reply.iter("{*}outcome")} == {"accepted"}
        return [node.text or "" for node in reply.iter("{*}entity")]

    def since(id_: str) -> str | None:
        entry = the(client, state_set(id_, "ieee1621"))
        said = leaves(entry)
        return said["oper-state-since"] if local(said["oper-state"]) == "ieee1621-off" else None

    assert shed("off") == ["lamp-07", "lamp-06"]
    first, then = (until(lambda id_=id_: since(id_), f"{id_} is off") for id_ in ("lamp-07", "lamp-06"))
    assert first < then
    shed("on")
    for id_ in ("lamp-06", "lamp-07"):
        until(lambda id_=id_: since(id_) is None, f"{id_} is on")
    edit_groups(client, f"<group {DELETE}><name>shed</name></group>")


@pytest.mark.req("d5.1.5", "r5.1.5")
def test_groups_by_tag_by_domain_and_by_type_have_totals(client: manager.Manager) -> None:
    """Groups by tag, by category and by list, and domains, show who contributes; their power is the sum of it."""
    by_tag = set(texts(client, f"{ENTITIES}[eman:keyword='server']/eman:id"))
    group = the(client, f"{GROUPS}[emgrp:name='servers']")
    assert {node.text for node in group.findall("emgrp:contributor", NS)} == by_tag
    by_type = texts(client, f"{GROUPS}[emgrp:name='generation']/emgrp:contributor")
    assert by_type == ["pv-1"]
    listed = texts(client, f"{GROUPS}[emgrp:name='lighting']/emgrp:contributor")
    assert sorted(listed) == [f"lamp-{number:02}" for number in range(1, 9)]
    assert "servers" in texts(client, entity("srv-03", "/emgrp:group"))
    rack = set(texts(client, f"{ENTITIES}[emgrp:domain='lab-rack-1']/eman:id"))
    assert {"pdu-a", "sw-1", "srv-12"} <= rack
    contributing = set(texts(client, f"{DOMAINS}[emgrp:name='lab-rack-1']/emgrp:contributor"))
    assert contributing
    both = client.get(filter=("xpath", (NS, f"{GROUPS}[emgrp:name='servers'] | {ENTITIES}[eman:keyword='server']")))
    total = both.data_ele.xpath(f".{GROUPS}/emgrp:power/emgrp:active", namespaces=NS)
    members = numbers(both.data_ele.xpath(f".{ENTITIES}", namespaces=NS), "emm:power/emm:active")
    assert len(members) == 12
    assert abs(Decimal(total[0].text) - sum(members)) < DRIFT


@pytest.mark.req("d5.1.text", "r5.1.text")
def test_a_vital_entity_stays_supplied_until_a_commit_says_otherwise(summer_client: manager.Manager) -> None:
    """The only source of a vital entity is not switched off, whatever is accepted; without the mark it is."""
    client = summer_client
    outlet = interface("sw-1", "port-14", "/empi:supply/empi:oper-state")
    edit(client, "<entity><id>ap-04</id><vital>true</vital></entity>")
    for more in ("", "<accept-collateral>true</accept-collateral>"):
        with pytest.raises(RPCError) as refused:
            switch(client, "sw-1", "port-14", "off", more)
        assert "ap-04" in refused.value.message
    assert one(client, outlet) == "on"
    edit(client, f"<entity><id>ap-04</id><vital {DELETE}>true</vital></entity>")
    switch(client, "sw-1", "port-14", "off")
    until(lambda: one(client, outlet) == "off", "the port is off")
    switch(client, "sw-1", "port-14", "on")
    until(lambda: one(client, outlet) == "on", "the port is on")


@pytest.mark.req("d5.1.text", "r5.1.text")
def test_a_vital_entity_is_not_lowered(client: manager.Manager) -> None:
    """A state command that would lower a vital entity is refused, and names it."""
    edit(client, "<entity><id>lamp-04</id><vital>true</vital></entity>")
    lower = (
        f'<set-power-state xmlns="{NS["emps"]}"><state xmlns:s="urn:eman:yang:eman-power-state-set">s:ieee1621-off'
        "</state></set-power-state>"
    )
    with pytest.raises(RPCError) as refused:
        act(client, "lamp-04", lower)
    assert "lamp-04" in refused.value.message
    edit(client, f"<entity><id>lamp-04</id><vital {DELETE}>true</vital></entity>")

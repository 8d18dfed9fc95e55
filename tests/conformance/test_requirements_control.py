"""RFC 6988 sections 6 to 8 asked over NETCONF: control, reporting on others, and control of others."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    EMAN,
    ENTITIES,
    NS,
    SharedSite,
    act,
    edit,
    entity,
    found,
    one,
    set_state,
    switch,
    texts,
    until,
)
from tests.conformance.hearing import heard_until
from tests.conformance.site import DRIFT, interface, leaves, local, name_of, numbers, read, state_set, the

DELETE = f'xmlns:nc="{NS["nc"]}" nc:operation="delete"'
GROUPS = "/eman:energy-management/emgrp:groups/emgrp:group"
BEHIND_THE_SWITCH = {
    *(f"phone-{number:02}" for number in range(1, 7)),
    *(f"cam-{number:02}" for number in range(1, 5)),
    *(f"ap-{number:02}" for number in range(1, 5)),
}
LAMPS = {f"lamp-{number:02}" for number in range(1, 9)}


def state_of(session: manager.Manager, id_: str) -> str:
    return local(one(session, state_set(id_, "ieee1621", "/emps:oper-state")))


def peers(session: manager.Manager, id_: str, kind: str) -> list[dict[str, str]]:
    """The relationships of an entity whose type is ``kind`` or derived from it."""
    path = f"/emrel:relationship[derived-from-or-self(emrel:type,'emrel:{kind}')]"
    return [leaves(each) for each in found(session, entity(id_, path))]


@pytest.mark.req("d6.1", "r6.1")
def test_a_state_is_set_by_an_action(summer_client: manager.Manager) -> None:
    """The state follows the action; meanwhile and afterwards the request tells who wished what, and how it went."""
    client = summer_client
    read(client, "srv-10")
    reply = set_state(client, "srv-10", "redfish-paused", "<reason>lunch</reason>")
    request = the(client, entity("srv-10", "/emps:power-state/emps:request"))
    assert leaves(request)["id"] == reply.findtext("{*}request-id")
    assert (leaves(request)["origin"], leaves(request)["by"]) == ("action", "admin")
    assert leaves(request)["reason"] == "lunch"
    actual = state_set("srv-10", "redfish", "/emps:oper-state")
    until(lambda: local(one(client, actual)) == "redfish-paused", "the server is paused")
    until(lambda: one(client, entity("srv-10", "/emps:power-state/emps:request/emps:status")) == "reached", "reached")
    set_state(client, "srv-10", "redfish-on")
    until(lambda: local(one(client, actual)) == "redfish-on", "the server is on")


@pytest.mark.req("d6.1", "r6.1")
def test_a_state_is_set_by_configuration(summer_client: manager.Manager) -> None:
    """A standing wish is applied at commit; an action goes before it until it is released."""
    client = summer_client
    read(client, "lamp-01")
    wish = f'<admin-state xmlns:s="{NS["emss"]}"{{}}>s:ieee1621-off</admin-state>'
    lamp = f'<entity><id>lamp-01</id><power-state xmlns="{NS["emps"]}">{wish}</power-state></entity>'
    edit(client, lamp.format(""))
    until(lambda: state_of(client, "lamp-01") == "ieee1621-off", "the lamp is off")
    origin = entity("lamp-01", "/emps:power-state/emps:request/emps:origin")
    assert one(client, origin) == "configuration"
    set_state(client, "lamp-01", "ieee1621-on")
    until(lambda: state_of(client, "lamp-01") == "ieee1621-on", "the lamp is on")
    assert one(client, origin) == "action"
    act(client, "lamp-01", f'<set-power-state xmlns="{NS["emps"]}"><release/></set-power-state>')
    until(lambda: state_of(client, "lamp-01") == "ieee1621-off", "the standing wish rules again")
    edit(client, lamp.format(f" {DELETE}"))
    set_state(client, "lamp-01", "ieee1621-on")
    until(lambda: state_of(client, "lamp-01") == "ieee1621-on", "the lamp is on")


@pytest.mark.req("d6.1", "r6.1")
def test_a_state_that_nobody_confirms_is_taken_back(summer_site: SharedSite, summer_client: manager.Manager) -> None:
    """A confirmed commit switches a lamp off; when its session is gone without a word the lamp is on as before."""
    client = summer_client
    read(client, "lamp-01")
    wish = f'<admin-state xmlns:s="{NS["emss"]}">s:ieee1621-{{}}</admin-state>'
    lamp = f'<entity><id>lamp-01</id><power-state xmlns="{NS["emps"]}">{wish}</power-state></entity>'
    edit(client, lamp.format("on"))
    act(client, "lamp-01", f'<set-power-state xmlns="{NS["emps"]}"><release/></set-power-state>')  # whoever wished what
    with summer_site.server.connect() as doubtful:
        doubtful.edit_config(target="candidate", config=energy_management(f"<entities>{lamp.format('off')}</entities>"))
        doubtful.commit(confirmed=True, timeout="600")
        until(lambda: state_of(client, "lamp-01") == "ieee1621-off", "the lamp is off")
    until(lambda: state_of(client, "lamp-01") == "ieee1621-on", "the lamp is on again")
    assert local(one(client, entity("lamp-01", "/emps:power-state/emps:admin-state"))) == "ieee1621-on"


def energy_management(inside: str) -> str:
    return f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}">{inside}</energy-management></config>'


@pytest.mark.req("d6.2", "r6.2")
@pytest.mark.req("d8.2", "r8.2")
def test_supply_of_others_is_switched(summer_site: SharedSite, summer_client: manager.Manager) -> None:
    """A port goes off and on; who hangs on it is told with the answer and to whoever listens, loses its power, and
    gets it back."""
    client = summer_client
    supply = interface("sw-1", "port-3", "/empi:supply/empi:oper-state")
    phone = interface("phone-03", "poe", "/empi:power-available")
    until(lambda: one(client, phone) == "true", "the phone has power")
    with summer_site.server.connect() as listener:
        listener.create_subscription()
        reply = switch(client, "sw-1", "port-3", "off")
        assert {node.text for node in reply.iter("{*}affected")} == {"phone-03"}
        (told,) = heard_until(listener, "supply-switched", lambda _: True, lambda each: each["interface"] == "port-3")
    assert (told["entity"], local(told["to"])) == ("sw-1", "off")
    assert (told["affected"], told["requested-by"]) == ("phone-03", "admin")
    until(lambda: (one(client, supply), one(client, phone)) == ("off", "false"), "the phone is dark")
    switch(client, "sw-1", "port-3", "on")
    until(lambda: (one(client, supply), one(client, phone)) == ("on", "true"), "the phone has power again")


@pytest.mark.req("d6.2", "r6.2")
def test_supply_is_switched_by_configuration(summer_client: manager.Manager) -> None:
    """A standing wish for an outlet switches it; where another entity would lose its last supply it is refused."""
    client = summer_client
    wish = (
        f'<entity><id>pdu-a</id><power-interface xmlns="{NS["empi"]}"><name>{{}}</name><supply>'
        "<admin-state{}>off</admin-state></supply></power-interface></entity>"
    )
    supply = interface("pdu-a", "outlet-16", "/empi:supply/empi:oper-state")
    until(lambda: one(client, supply) == "on", "the outlet is on")
    edit(client, wish.format("outlet-16", ""))
    until(lambda: one(client, supply) == "off", "the outlet is off")
    edit(client, wish.format("outlet-16", f" {DELETE}"))
    switch(client, "pdu-a", "outlet-16", "on")
    until(lambda: one(client, supply) == "on", "the outlet is on")


@pytest.mark.req("d6.text", "r6.text")
def test_a_load_shuts_down_before_its_supply_goes(summer_client: manager.Manager) -> None:
    """With a shutdown-timeout the server goes off in good order first, and only then its last outlet."""
    client = summer_client
    read(client, "srv-11")
    outlet = interface("pdu-b", "outlet-11", "/empi:supply")
    switch(client, "pdu-a", "outlet-11", "off")
    until(lambda: one(client, interface("pdu-a", "outlet-11", "/empi:supply/empi:oper-state")) == "off", "one is off")
    state = state_set("srv-11", "redfish", "/emps:oper-state{}")
    switch(client, "pdu-b", "outlet-11", "off", "<shutdown-timeout>1200</shutdown-timeout>")
    until(lambda: one(client, f"{outlet}/empi:oper-state") == "off", "the outlet is off")
    assert local(one(client, state.format(""))) == "redfish-off"
    assert (one(client, state.format("-since")) or "") < (one(client, f"{outlet}/empi:oper-state-since") or "")
    outlets = {strip: interface(strip, "outlet-11", "/empi:supply/empi:oper-state") for strip in ("pdu-a", "pdu-b")}
    for strip, supply in outlets.items():
        switch(client, strip, "outlet-11", "on")
        until(lambda supply=supply: one(client, supply) == "on", f"{strip} gives power")
    link = "/eman:energy-management/embe:backends/embe:backend[embe:name='srv-11']/embe:link/embe:state"
    until(lambda: one(client, link) == "up", "it answers")
    set_state(client, "srv-11", "redfish-on")
    until(lambda: state_of(client, "srv-11") == "ieee1621-on", "the server is on again")


@pytest.mark.req("d7.1", "r7.1")
def test_an_entity_reports_on_others(client: manager.Manager) -> None:
    """Phones have no management of their own: the switch reports their power, and is named as who does."""
    read(client, "phone-01")
    reporter = f"{ENTITIES}[emm:power/emm:reporter='sw-1']/eman:id"
    assert set(texts(client, reporter)) == BEHIND_THE_SWITCH
    assert one(client, entity("srv-08", "/emm:power/emm:reporter")) is None


@pytest.mark.req("d7.2", "r7.2")
@pytest.mark.req("d7.4", "r7.4")
def test_who_is_reported_on_is_listed_completely(client: manager.Manager) -> None:
    """One filter on the kind of relationship lists all that an entity reports on, by id and by uuid."""
    assert {said["peer"] for said in peers(client, "sw-1", "reporting")} == BEHIND_THE_SWITCH
    assert {said["peer"] for said in peers(client, "gw-1", "reporting")} == LAMPS
    metered = peers(client, "meter-1", "reporting")
    assert [said["peer"] for said in metered] == ["feed-a"]
    assert metered[0]["peer-uuid"] == one(client, entity("feed-a", "/eman:uuid"))


@pytest.mark.req("d7.2", "r7.2")
def test_who_is_reported_on_is_configured_where_nobody_tells(client: manager.Manager) -> None:
    """A clamp cannot know what it is put around: the relationship is configured, and told at the other end too."""
    clamp = (
        '<entity><id>clamp-1</id><relationship xmlns="urn:eman:yang:eman-relationship"><type>metering</type>'
        "<peer>gw-1</peer><reports>power energy</reports></relationship></entity>"
    )
    edit(client, clamp)
    assert [said["evidence"] for said in peers(client, "clamp-1", "metering")] == ["configured"]
    there = peers(client, "gw-1", "metered-by")
    assert {(said["peer"], said["evidence"]) for said in there} == {("clamp-1", "inferred"), ("pdu-a", "inferred")}
    edit(client, f"<entity {DELETE}><id>clamp-1</id></entity>")
    assert [said["peer"] for said in peers(client, "gw-1", "metered-by")] == ["pdu-a"]


@pytest.mark.req("d7.3", "r7.3")
def test_contributors_to_a_sum_are_listed(client: manager.Manager) -> None:
    """A group's power is that of the contributors it lists, in the same answer; who is missing would be named."""
    read(client, "cam-01")
    path = f"{GROUPS}[emgrp:name='cameras'] | {ENTITIES}[starts-with(eman:id,'cam-')]"
    answer = client.get(filter=("xpath", (NS, path))).data_ele
    (group,) = answer.xpath(f".{GROUPS}", namespaces=NS)
    contributors = {node.text for node in group.findall("emgrp:contributor", NS)}
    cameras = {name_of(each): each for each in answer.findall(".//eman:entity", NS)}
    assert contributors == set(cameras)
    total = Decimal(group.findtext("emgrp:power/emgrp:active", namespaces=NS))
    assert abs(total - sum(numbers(list(cameras.values()), "emm:power/emm:active"))) < DRIFT
    assert group.find("emgrp:power/emgrp:missing", NS) is None


@pytest.mark.req("d7.3", "r7.3")
def test_what_is_missing_from_a_sum_is_named(client: manager.Manager) -> None:
    """A member whose power nobody knows is named as missing from the group's power."""
    change = (
        f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}"><entities>'
        "<entity{0}><id>heater-1</id></entity></entities>"
        f'<groups xmlns="{NS["emgrp"]}"><group{{0}}><name>heated</name>{{1}}</group></groups>'
        "</energy-management></config>"
    )
    members = "<member>gw-1</member><member>heater-1</member>"
    read(client, "gw-1")
    client.edit_config(target="running", config=change.format("", members))
    power = leaves_of_group(client, "heated")
    assert power["missing"] == "heater-1"
    assert Decimal(power["active"]) > 0
    client.edit_config(target="running", config=change.format(f" {DELETE}", ""))


def leaves_of_group(session: manager.Manager, name: str) -> dict[str, str]:
    return leaves(the(session, f"{GROUPS}[emgrp:name='{name}']/emgrp:power"))


@pytest.mark.req("d7.5", "r7.5")
def test_what_is_reported_is_told_for_each(client: manager.Manager) -> None:
    """The meter and the switch report power, energy and electrical values; the gateway also tells states."""
    kinds = {id_: {said["reports"] for said in peers(client, id_, "reporting")} for id_ in ("meter-1", "sw-1", "gw-1")}
    assert kinds == {
        "meter-1": {"power energy electrical"},
        "sw-1": {"power energy electrical"},
        "gw-1": {"power energy power-state"},
    }


@pytest.mark.req("d7.6")
def test_an_entity_tells_where_else_to_ask(client: manager.Manager) -> None:
    """A phone names the switch as its reporter, what it reports, and, once configured, where it is reached."""
    assert [(said["peer"], said["reports"]) for said in peers(client, "phone-02", "reported-by")] == [
        ("sw-1", "power energy electrical")
    ]
    source = (
        '<entity><id>phone-02</id><relationship xmlns="urn:eman:yang:eman-relationship"{}><type>metered-by</type>'
        "<peer>sw-1</peer>{}</relationship></entity>"
    )
    edit(client, source.format("", "<endpoint>https://sw-1.example.net/</endpoint>"))
    assert [said["endpoint"] for said in peers(client, "phone-02", "metered-by")] == ["https://sw-1.example.net/"]
    edit(client, source.format(f" {DELETE}", ""))
    assert "endpoint" not in peers(client, "phone-02", "metered-by")[0]


@pytest.mark.req("d8.1.1", "r8.1.1")
@pytest.mark.req("d8.1.4", "r8.1.4")
def test_a_command_goes_through_the_controller(summer_client: manager.Manager) -> None:
    """A lamp has no network: its gateway carries the command out; the lamp tells its controllers and who wished."""
    client = summer_client
    read(client, "lamp-06")
    controllers = {said["peer"]: said["controls"] for said in peers(client, "lamp-06", "controlled-by")}
    assert controllers == {"gw-1": "power-state", "feed-a": "supply"}
    assert one(client, entity("lamp-06", "/embe:backend")) == "gw-1"
    set_state(client, "lamp-06", "ieee1621-off")
    until(lambda: state_of(client, "lamp-06") == "ieee1621-off", "the lamp is off")
    assert one(client, entity("lamp-06", "/emps:power-state/emps:request/emps:by")) == "admin"
    set_state(client, "lamp-06", "ieee1621-on")
    until(lambda: state_of(client, "lamp-06") == "ieee1621-on", "the lamp is on")


@pytest.mark.req("d8.1.2", "r8.1.2")
@pytest.mark.req("d8.1.3", "r8.1.3")
def test_who_can_be_controlled_is_listed_completely(client: manager.Manager) -> None:
    """One filter lists all that an entity controls, with uuids, and what of each: states or supply."""
    lamps = peers(client, "gw-1", "controlling")
    assert {said["peer"] for said in lamps} == LAMPS
    assert {said["controls"] for said in lamps} == {"power-state"}
    uuids = dict(zip(texts(client, f"{ENTITIES}/eman:id"), texts(client, f"{ENTITIES}/eman:uuid"), strict=True))
    assert all(said["peer-uuid"] == uuids[said["peer"]] for said in lamps)
    ports = peers(client, "sw-1", "controlling")
    assert {said["peer"] for said in ports} == BEHIND_THE_SWITCH
    assert {said["controls"] for said in ports} == {"supply"}


@pytest.mark.req("d8.1.1", "r8.1.1")
def test_a_command_that_nobody_can_carry_out_is_refused(client: manager.Manager) -> None:
    """The meter takes no commands, and nobody takes them for it."""
    with pytest.raises(RPCError) as refused:
        set_state(client, "meter-1", "ieee1621-off")
    assert refused.value.tag == "operation-not-supported"
    assert "meter-1" in refused.value.message

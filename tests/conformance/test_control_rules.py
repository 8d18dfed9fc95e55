"""What holds control back and who carries it out, asked over NETCONF: pace, maintenance, life, waking, groups."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
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
    act,
    edit,
    entity,
    found,
    one,
    run,
    set_state,
    switch,
    texts,
    until,
    winter_process,
)
from tests.conformance.hearing import content
from tests.conformance.site import interface, leaves, local, read, state_set

REMOVE = f'xmlns:nc="{NS["nc"]}" nc:operation="remove"'
PATIENCE = 120
GROUPS = "/eman:energy-management/emgrp:groups/emgrp:group"
ALARMS = "urn:ietf:params:xml:ns:yang:ietf-alarms"
MAC = "02:00:5e:10:00:12"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with run(winter_process(tmp_path_factory.mktemp("rules") / "state")) as server:
        yield server


@pytest.fixture
def session(site: ServerProcess) -> Iterator[manager.Manager]:
    with site.connect() as session:
        yield session


@pytest.fixture
def listener(site: ServerProcess) -> Iterator[manager.Manager]:
    with site.connect() as listener:
        listener.create_subscription()
        yield listener


def heard(listener: manager.Manager, wanted: Callable[[str, dict[str, str]], bool]) -> tuple[str, dict[str, str]]:
    """The next notification that is wanted: its name and its leaves."""
    while True:
        event = content(listener)
        name, said = etree.QName(event).localname, leaves(event)
        if wanted(name, said):
            return name, said


def refused(ask: Callable[[], object], app_tag: str) -> RPCError:
    """What an action was refused with."""
    with pytest.raises(RPCError) as error:
        ask()
    assert error.value.app_tag == app_tag
    return error.value


def supply_of(session: manager.Manager, strip: str, name: str, state: str) -> None:
    path = interface(strip, name, "/empi:supply/empi:oper-state")
    until(lambda: one(session, path) == state, f"{strip} {name} is {state}")


def outlet(strip: str, name: str, supply: str, operation: str = "") -> str:
    return (
        f'<entity><id>{strip}</id><power-interface xmlns="{NS["empi"]}"><name>{name}</name>'
        f"<supply{' ' + operation if operation else ''}>{supply}</supply></power-interface></entity>"
    )


def group(name: str, inside: str, operation: str = "") -> str:
    return (
        f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}"><groups xmlns="{NS["emgrp"]}">'
        f"<group {operation}><name>{name}</name>{inside}</group></groups></energy-management></config>"
    )


# --- pace


@pytest.mark.req("d6.2", "r6.2")
def test_too_early_is_refused_with_the_time_to_wait(session: manager.Manager) -> None:
    """An outlet that was just switched off may not be switched on for an hour, and the error says how long yet."""
    supply_of(session, "pdu-b", "outlet-16", "on")
    edit(session, outlet("pdu-b", "outlet-16", "<pacing><min-off-time>3600</min-off-time></pacing>"))
    switch(session, "pdu-b", "outlet-16", "off")
    supply_of(session, "pdu-b", "outlet-16", "off")
    error = refused(lambda: switch(session, "pdu-b", "outlet-16", "on"), "too-early")
    assert error.tag == "operation-failed"
    info = etree.fromstring(error.info.encode())
    (wait,) = info.iter(f"{{{EMAN}}}retry-after")
    assert 0 < float(wait.text or "") <= 3600
    pacing = interface("pdu-b", "outlet-16", "/empi:supply/empi:pacing")
    not_before = one(session, f"{pacing}/empi:not-before")
    assert not_before
    assert not_before in error.message
    assert one(session, f"{pacing}/empi:last-switched")
    edit(session, outlet("pdu-b", "outlet-16", f"<pacing {REMOVE}/>"))
    switch(session, "pdu-b", "outlet-16", "on")
    supply_of(session, "pdu-b", "outlet-16", "on")


@pytest.mark.req("d6.2", "r6.2")
def test_a_standing_wish_waits_for_its_time(session: manager.Manager) -> None:
    """It is pending and tells why and until when, and comes true by itself."""
    supply_of(session, "pdu-b", "outlet-15", "on")
    edit(session, outlet("pdu-b", "outlet-15", "<pacing><min-off-time>3600</min-off-time></pacing>"))
    switch(session, "pdu-b", "outlet-15", "off")
    supply_of(session, "pdu-b", "outlet-15", "off")
    edit(session, outlet("pdu-b", "outlet-15", "<admin-state>on</admin-state>"))
    act(session, "pdu-b", "<switch-supply><state>off</state><hold-time>1</hold-time></switch-supply>", "outlet-15")
    request = interface("pdu-b", "outlet-15", "/empi:supply/empi:request")

    def told(leaf: str) -> str | None:
        return one(session, f"{request}/empi:{leaf}")

    until(lambda: told("waiting-for"), "the standing wish waits")
    assert (told("origin"), told("status")) == ("configuration", "pending")
    assert "switched lately" in (told("waiting-for") or "")
    assert told("not-before")
    edit(session, outlet("pdu-b", "outlet-15", f"<pacing {REMOVE}/><admin-state {REMOVE}/>"))
    switch(session, "pdu-b", "outlet-15", "on")
    supply_of(session, "pdu-b", "outlet-15", "on")


@pytest.mark.req("d6.2", "r6.2")
def test_a_released_outlet_follows_its_standing_wish(session: manager.Manager) -> None:
    """Switched by an action it leaves admin-state aside and shows so, until the action's wish is given back."""
    supply_of(session, "pdu-b", "outlet-14", "on")
    switch(session, "pdu-b", "outlet-14", "on")
    edit(session, outlet("pdu-b", "outlet-14", "<admin-state>off</admin-state>"))
    request = interface("pdu-b", "outlet-14", "/empi:supply/empi:request")
    (shown,) = found(session, request)
    momentary = leaves(shown)
    assert (momentary["origin"], momentary["state"]) == ("action", "on")
    act(session, "pdu-b", "<switch-supply><release/><reason>done</reason></switch-supply>", "outlet-14")
    supply_of(session, "pdu-b", "outlet-14", "off")
    (shown,) = found(session, request)
    standing = leaves(shown)
    assert (standing["id"], standing["origin"]) == (momentary["overrides"], "configuration")
    assert "overrides" not in standing
    edit(session, outlet("pdu-b", "outlet-14", f"<admin-state {REMOVE}/>"))
    switch(session, "pdu-b", "outlet-14", "on")
    supply_of(session, "pdu-b", "outlet-14", "on")


# --- maintenance


MAINTENANCE = "<maintenance><enabled>true</enabled><reason>new fan</reason><responsible>Ann</responsible></maintenance>"


@pytest.mark.req("d6.1", "r6.1")
def test_maintenance_refuses_commands(session: manager.Manager, listener: manager.Manager) -> None:
    """For everyone and for the supply too; begin and end are told and shown, a standing wish waits for the end."""
    read(session, "srv-12")
    edit(session, f"<entity><id>srv-12</id>{MAINTENANCE}</entity>")
    _, begun = heard(listener, lambda name, said: name == "maintenance-changed" and said["entity"] == "srv-12")
    assert (begun["in-maintenance"], begun["reason"], begun["responsible"]) == ("true", "new fan", "Ann")
    assert one(session, entity("srv-12", "/eman:in-maintenance/eman:since")) == begun["time"]
    for ask in (
        lambda: set_state(session, "srv-12", "redfish-paused"),
        lambda: switch(session, "pdu-a", "outlet-12", "off"),
    ):
        assert "responsible is Ann" in refused(ask, "in-maintenance").message
    state = f'<admin-state {{}} xmlns:s="{NS["emss"]}">s:redfish-paused</admin-state>'
    wish = f'<power-state xmlns="{NS["emps"]}">{state}</power-state>'
    edit(session, f"<entity><id>srv-12</id>{wish.format('')}</entity>")
    waiting = entity("srv-12", "/emps:power-state/emps:request/emps:waiting-for")
    until(lambda: one(session, waiting), "the wish waits")
    edit(session, f"<entity><id>srv-12</id><maintenance {REMOVE}/></entity>")
    _, ended = heard(listener, lambda name, said: name == "maintenance-changed" and said["entity"] == "srv-12")
    assert ended["in-maintenance"] == "false"
    actual = state_set("srv-12", "redfish", "/emps:oper-state")
    until(lambda: local(one(session, actual)) == "redfish-paused", "the standing wish is done")
    assert one(session, waiting) is None
    edit(session, f"<entity><id>srv-12</id>{wish.format(REMOVE)}</entity>")
    set_state(session, "srv-12", "redfish-on")
    until(lambda: local(one(session, actual)) == "redfish-on", "the server is on")


def alarms(session: manager.Manager) -> dict[str, str]:
    """Whether alarms are cleared, by what they are about."""
    listed = session.get(filter=("subtree", f'<alarms xmlns="{ALARMS}"><alarm-list/></alarms>')).data_ele
    each = listed.iter(f"{{{ALARMS}}}alarm")
    return {alarm.findtext(f"{{{ALARMS}}}resource"): alarm.findtext(f"{{{ALARMS}}}is-cleared") for alarm in each}


def gateway_alarm(session: manager.Manager) -> str | None:
    return next((cleared for place, cleared in alarms(session).items() if "backend" in place and "gw-1" in place), None)


def test_maintenance_of_a_group_mutes_alarms(session: manager.Manager) -> None:
    """A gateway that is dark is no alarm while it and all behind it are in maintenance, and is one again afterwards."""
    switch(session, "pdu-a", "outlet-14", "off", "<accept-collateral>true</accept-collateral>")
    until(lambda: gateway_alarm(session) == "false", "the gateway's silence is an alarm")
    members = "<member>gw-1</member>" + "".join(f"<member>lamp-0{number}</member>" for number in range(1, 9))
    session.edit_config(target="running", config=group("building", members + MAINTENANCE))
    until(lambda: gateway_alarm(session) == "true", "the alarm is cleared")
    listed = session.get(filter=("subtree", f'<alarms xmlns="{ALARMS}"><alarm-list/></alarms>')).data_ele
    told = [text.text for text in listed.iter(f"{{{ALARMS}}}alarm-text")]
    assert "All behind the backend gw-1 is in maintenance or not in service" in told
    assert one(session, entity("lamp-03", "/eman:in-maintenance/eman:from-group")) == "building"
    refused(lambda: switch(session, "pdu-a", "outlet-14", "on"), "in-maintenance")
    session.edit_config(target="running", config=group("building", "", REMOVE))
    until(lambda: gateway_alarm(session) == "false", "the alarm is back")
    switch(session, "pdu-a", "outlet-14", "on")
    until(lambda: gateway_alarm(session) == "true", "the gateway answers again")


def test_they_outlive_the_server(tmp_path: Path) -> None:
    """After a restart the pace runs on, and the maintenance goes on since when it began, without being told again."""
    state = tmp_path / "state"
    with run(winter_process(state)) as server, server.connect() as session:
        supply_of(session, "pdu-b", "outlet-16", "on")
        edit(session, outlet("pdu-b", "outlet-16", "<pacing><min-off-time>100000</min-off-time></pacing>"))
        edit(session, f"<entity><id>srv-12</id>{MAINTENANCE}</entity>")
        switch(session, "pdu-b", "outlet-16", "off")
        supply_of(session, "pdu-b", "outlet-16", "off")
        since = one(session, entity("srv-12", "/eman:in-maintenance/eman:since"))
    with run(winter_process(state)) as server, server.connect() as session:
        assert one(session, entity("srv-12", "/eman:in-maintenance/eman:since")) == since
        refused(lambda: switch(session, "pdu-b", "outlet-16", "on"), "too-early")
        refused(lambda: set_state(session, "srv-12", "redfish-paused"), "in-maintenance")


# --- life


@pytest.mark.req("d7.3", "r7.3")
def test_a_retired_entity_keeps_its_past(session: manager.Manager) -> None:
    """It takes no commands and contributes to no sum any more; its counters stay, and it tells who came after it."""
    read(session, "lamp-08")
    contributors = f"{GROUPS}[emgrp:name='lighting']/emgrp:contributor"
    until(lambda: "lamp-08" in texts(session, contributors), "it contributes")
    uuid = one(session, entity("lamp-08", "/eman:uuid"))
    edit(
        session,
        "<entity><id>lamp-08</id><lifecycle>retired</lifecycle></entity>"
        "<entity><id>lamp-18</id><lifecycle>planned</lifecycle><replaces>lamp-08</replaces></entity>",
    )
    assert "lamp-08" not in texts(session, contributors)
    assert texts(session, entity("lamp-08", "/eman:replaced-by")) == ["lamp-18"]
    assert one(session, entity("lamp-08", "/eman:uuid")) == uuid
    assert found(session, entity("lamp-08", "/emm:energy"))
    assert "retired" in refused(lambda: set_state(session, "lamp-08", "ieee1621-off"), "not-in-service").message
    assert "planned" in refused(lambda: set_state(session, "lamp-18", "ieee1621-on"), "not-in-service").message
    edit(session, f"<entity><id>lamp-08</id><lifecycle {REMOVE}/></entity><entity {REMOVE}><id>lamp-18</id></entity>")
    assert "lamp-08" in texts(session, contributors)


# --- waking


@pytest.mark.req("d6.1", "r6.1")
def test_a_machine_is_woken(session: manager.Manager) -> None:
    """Asked for on by an action, and by nothing else, the magic packet comes to the configured port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE)
        wake = f"<mac-address>{MAC}</mac-address><address>127.0.0.1</address><port>{ear.getsockname()[1]}</port>"
        edit(
            session,
            f'<entity><id>desk-12</id><power-state xmlns="{NS["emps"]}"><wake>{wake}</wake></power-state></entity>',
        )
        set_state(session, "desk-12", "ieee1621-on")
        assert ear.recv(2000) == b"\xff" * 6 + bytes.fromhex(MAC.replace(":", "")) * 16
        request = entity("desk-12", "/emps:power-state/emps:request/emps:status")
        assert one(session, request) == "pending"
        with pytest.raises(RPCError) as error:
            set_state(session, "desk-12", "ieee1621-off")
        assert error.value.tag == "operation-not-supported"
    edit(session, f"<entity {REMOVE}><id>desk-12</id></entity>")


# --- groups


def switch_group(session: manager.Manager, name: str, state: str, more: str = "") -> dict[str, dict[str, str]]:
    """The results of switching a group, by member, in their order."""
    call = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">'
        f'<groups xmlns="{NS["emgrp"]}"><group><name>{name}</name><control>'
        f'<set-power-state><state xmlns:s="{NS["emss"]}">s:{state}</state>{more}'
        "</set-power-state></control></group></groups></energy-management></action>"
    )
    reply = etree.fromstring(session.dispatch(etree.fromstring(call)).xml.encode())
    results = [leaves(each) for each in reply.iter("{*}result")]
    return {result["entity"]: result for result in results}


@pytest.mark.req("d5.1.4", "r5.1.4")
@pytest.mark.req("d6.1", "r6.1")
def test_a_group_goes_in_order_with_a_result_for_each(session: manager.Manager) -> None:
    """Lowest priority first when going off, highest first when coming on, a stagger apart; who cannot is told, and who
    is no member is left alone."""
    lamps = ["lamp-01", "lamp-02", "lamp-03"]
    priorities = zip(lamps, (30, 10, 20), strict=True)
    edit(
        session,
        "".join(f"<entity><id>{id_}</id><power-priority>{rank}</power-priority></entity>" for id_, rank in priorities),
    )
    edit(session, f"<entity><id>lamp-04</id>{MAINTENANCE}</entity>")
    members = "".join(f"<member>{id_}</member>" for id_ in (*lamps, "lamp-04"))
    session.edit_config(target="running", config=group("row", members + "<stagger>20</stagger>"))
    since = {id_: state_set(id_, "ieee1621", "/emps:oper-state-since") for id_ in lamps}
    try:
        for state, order in (
            ("ieee1621-off", ["lamp-02", "lamp-03", "lamp-01"]),
            ("ieee1621-on", ["lamp-01", "lamp-03", "lamp-02"]),
        ):
            results = switch_group(session, "row", state)
            assert {id_: result["outcome"] for id_, result in results.items()} == {
                **dict.fromkeys(lamps, "accepted"),
                "lamp-04": "refused",
            }
            assert "in maintenance" in results["lamp-04"]["reason"]
            for id_ in lamps:
                path = state_set(id_, "ieee1621", "/emps:oper-state")
                until(lambda path=path, state=state: local(one(session, path)) == state, f"{id_} is {state}")
            assert sorted(lamps, key=lambda id_: one(session, since[id_]) or "") == order
        assert one(session, entity("lamp-05", "/emps:power-state/emps:request/emps:id")) is None
    finally:
        session.edit_config(target="running", config=group("row", "", REMOVE))
        edit(session, f"<entity><id>lamp-04</id><maintenance {REMOVE}/></entity>")


# --- order


@pytest.mark.req("d6.text", "r6.text")
def test_the_load_is_told_to_be_off_before_its_supply(session: manager.Manager, listener: manager.Manager) -> None:
    """Who listens hears that the server went off, and only then that its last outlet did."""
    read(session, "srv-10")
    switch(session, "pdu-a", "outlet-10", "off")
    supply_of(session, "pdu-a", "outlet-10", "off")
    more = "<shutdown-timeout>3600</shutdown-timeout><on-timeout>keep</on-timeout>"
    switch(session, "pdu-b", "outlet-10", "off", more)

    def concerned(name: str, said: dict[str, str]) -> bool:
        off = name == "power-state-changed" and said["entity"] == "srv-10" and local(said["to"]) == "redfish-off"
        return off or (name == "supply-switched" and (said["entity"], said["interface"]) == ("pdu-b", "outlet-10"))

    assert [heard(listener, concerned)[0] for _ in range(2)] == ["power-state-changed", "supply-switched"]
    for strip in ("pdu-a", "pdu-b"):
        switch(session, strip, "outlet-10", "on")
        supply_of(session, strip, "outlet-10", "on")


# --- through others


@pytest.mark.req("d8.1.1", "r8.1.1")
@pytest.mark.req("d8.1.4", "r8.1.4")
def test_who_carried_it_out_is_told(session: manager.Manager, listener: manager.Manager) -> None:
    """The change of a lamp names its gateway, who asked, and the request; the last controller can be read after."""
    read(session, "lamp-07")
    set_state(session, "lamp-07", "ieee1621-off")
    _, told = heard(listener, lambda name, said: name == "power-state-changed" and said["entity"] == "lamp-07")
    assert (told["through"], told["requested-by"], local(told["to"])) == ("gw-1", "admin", "ieee1621-off")
    request = entity("lamp-07", "/emps:power-state/emps:request")
    assert one(session, f"{request}/emps:id") == told["request-id"]
    assert one(session, f"{request}/emps:by") == "admin"
    set_state(session, "lamp-07", "ieee1621-on")


@pytest.mark.req("d8.1.3", "r8.1.3")
@pytest.mark.req("d8.1.4", "r8.1.4")
def test_lists_are_complete_both_ways(session: manager.Manager) -> None:
    """Whom an entity controls names it as controller, with the same capabilities, and nobody else does."""

    def edges(kind: str) -> dict[tuple[str, str], str]:
        listed = found(session, f"{ENTITIES}/emrel:relationship[emrel:type='emrel:{kind}']")
        told = {}
        for each in listed:
            owner = each.getparent().findtext("eman:id", namespaces=NS)
            said = leaves(each)
            told[owner, said["peer"]] = said.get("controls", "")
        return told

    forth, back = edges("controlling"), edges("controlled-by")
    assert len(forth) > 40
    assert {(peer, owner): what for (owner, peer), what in forth.items()} == back
    assert {"power-state", "supply"} <= set(" ".join(forth.values()).split())

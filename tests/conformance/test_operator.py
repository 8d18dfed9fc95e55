"""An operator's first session, with ncclient against the demo site as ``make run`` starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    ENTITIES,
    NS,
    ServerProcess,
    act,
    edit,
    entity,
    one,
    set_state,
    switch,
    texts,
    until,
)
from tests.conformance.site import leaves, the

SITE = {
    *["feed-a", "feed-b", "ats-1", "ups-1", "pdu-a", "pdu-b", "sw-1", "pv-1", "meter-1", "gw-1"],
    *(f"srv-{number:02}" for number in range(1, 13)),
}


def test_all_entities_are_there(client: manager.Manager) -> None:
    """The site's boxes are all listed, in <get> of everything too."""
    assert set(texts(client, f"{ENTITIES}/eman:id")) >= SITE
    everything = client.get().data_ele
    assert {node.text for node in everything.xpath(f".{ENTITIES}/eman:id", namespaces=NS)} >= SITE


def test_one_by_key_is_the_same_by_subtree_and_by_xpath(client: manager.Manager) -> None:
    """A key selects one entity, whichever filter says it; only readings may have moved between the two."""

    def names(element: etree._Element) -> list[str]:
        return [str(node.tag) for node in element.iter()]

    one = "<entities><entity><id>pdu-a</id></entity></entities>"
    filter_ = f'<energy-management xmlns="{NS["eman"]}">{one}</energy-management>'

    def alike() -> bool:
        subtree = client.get(filter=("subtree", filter_)).data_ele
        xpath = client.get(filter=("xpath", (NS, entity("pdu-a")))).data_ele
        assert len(subtree.xpath(f".{ENTITIES}", namespaces=NS)) == 1
        return names(subtree) == names(xpath)

    until(alike, "both filters select the same")  # a reading between the two may have brought something new


def test_every_schema_is_offered_and_valid(client: manager.Manager, tmp_path: Path) -> None:
    """get-schema gives every module that netconf-state lists, and pyang accepts what it gave."""
    monitoring = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    listed = client.get(filter=("subtree", f'<netconf-state xmlns="{monitoring}"><schemas/></netconf-state>')).data_ele
    for schema in listed.iter(f"{{{monitoring}}}schema"):
        name, version = (schema.findtext(f"{{{monitoring}}}{leaf}") for leaf in ("identifier", "version"))
        text = client.get_schema(name, version=version).data
        (tmp_path / f"{name}.yang").write_text(text)
    got = sorted(tmp_path.glob("*.yang"))
    assert {"eman-entity", "eman-backend-simulated", "ietf-netconf", "ietf-inet-types"} <= {file.stem for file in got}
    pyang = subprocess.run(
        [Path(sys.executable).parent / "pyang", "--path", tmp_path, *got], capture_output=True, text=True, check=False
    )
    assert "error" not in pyang.stderr, pyang.stderr


def test_context_is_configured_and_kept(client: manager.Manager) -> None:
    """Name, importance and a nominal voltage are set and read back; running shows them, and no state."""
    edit(
        client,
        "<entity><id>srv-05</id><name>Render node</name><importance>77</importance>"
        f'<power-interface xmlns="{NS["empi"]}"><name>psu-1</name><nominal-voltage><minimum>220</minimum>'
        "<maximum>240</maximum></nominal-voltage></power-interface></entity>",
    )
    assert one(client, entity("srv-05", "/eman:name")) == "Render node"
    assert one(client, entity("srv-05", "/eman:importance")) == "77"
    assert one(
        client, entity("srv-05", "/empi:power-interface[empi:name='psu-1']/empi:nominal-voltage/empi:maximum")
    ) == ("240.0")
    running = client.get_config("running", filter=("xpath", (NS, entity("srv-05")))).data_ele
    assert running.findtext(".//{*}importance") == "77"
    assert running.find(".//{*}oper-state") is None


def test_importance_101_is_refused_where_it_stands(client: manager.Manager) -> None:
    """A value out of range is refused with its path and a sentence, and nothing changes."""
    before = client.get_config("running").data_xml
    with pytest.raises(RPCError) as refused:
        edit(client, "<entity><id>srv-05</id><name>No</name><importance>101</importance></entity>")
    assert refused.value.tag == "invalid-value"
    assert refused.value.path == ("/eman:energy-management/eman:entities/eman:entity[eman:id='srv-05']/eman:importance")
    assert "1..100" in refused.value.message
    assert client.get_config("running").data_xml == before


def test_a_state_is_asked_for_and_follows(client: manager.Manager) -> None:
    """set-power-state is answered when the device accepted it; oper-state follows by a reading, and back again."""
    state = entity("srv-03", "/emps:power-state/emps:set[emps:name='emss:dmtf']/emps:oper-state")
    until(lambda: "dmtf-on" in (one(client, state) or ""), "srv-03 is on")
    reply = set_state(client, "srv-03", "dmtf-off-soft", "<reason>test</reason>")
    assert reply.findtext("{*}request-id") is not None
    assert one(client, entity("srv-03", "/emps:power-state/emps:request/emps:by")) == "admin"
    until(lambda: "dmtf-off-soft" in (one(client, state) or ""), "srv-03 is off")
    ieee = entity("srv-03", "/emps:power-state/emps:set[emps:name='emss:ieee1621']/emps:oper-state")
    assert "ieee1621-off" in (one(client, ieee) or "")
    assert float(one(client, entity("srv-03", "/emm:power/emm:active")) or "999") < 50
    set_state(client, "srv-03", "dmtf-on")
    until(lambda: "dmtf-on" in (one(client, state) or ""), "srv-03 is on again")


def test_an_outlet_goes_dark_and_the_other_feed_carries_the_server(client: manager.Manager) -> None:
    """An outlet off: its inlet has no power, the server's other inlet carries all, and the server stays on."""

    def inlet(name: str, leaf: str) -> str | None:
        return one(client, entity("srv-04", f"/empi:power-interface[empi:name='{name}']/{leaf}"))

    def watts(name: str) -> float:
        return float(inlet(name, "emm:power/emm:active") or 0)

    until(lambda: watts("psu-1") > 50 and watts("psu-2") > 50, "both inlets carry the server")
    before = watts("psu-1") + watts("psu-2")
    switch(client, "pdu-a", "outlet-4", "off")
    until(lambda: inlet("psu-1", "empi:power-available") == "false", "the inlet has lost power")
    until(lambda: watts("psu-2") > 0.7 * before and watts("psu-1") == 0, "the other inlet carries the load")
    outlet = entity("pdu-a", "/empi:power-interface[empi:name='outlet-4']")
    assert one(client, f"{outlet}/empi:supply/empi:oper-state") == "off"
    assert one(client, f"{outlet}/empi:power-available") == "false"
    switch(client, "pdu-a", "outlet-4", "on")
    until(lambda: watts("psu-1") > 50, "both feeds share the load again")


def test_a_vital_entity_is_not_darkened(client: manager.Manager) -> None:
    """No action takes a vital entity's last supply or its state, and the refusal names it."""
    with pytest.raises(RPCError) as refused:
        set_state(client, "srv-01", "dmtf-off-soft")
    assert "srv-01" in refused.value.message
    assert "vital" in refused.value.message
    switch(client, "pdu-a", "outlet-1", "off")
    until(
        lambda: (
            one(client, entity("srv-01", "/empi:power-interface[empi:name='psu-1']/empi:power-available")) == "false"
        ),
        "one supply of srv-01 is off",
    )
    with pytest.raises(RPCError) as refused:
        switch(client, "pdu-b", "outlet-1", "off")
    assert "srv-01" in refused.value.message
    with pytest.raises(RPCError) as refused:
        switch(client, "feed-b", "rack", "off", "<accept-collateral>true</accept-collateral>")
    assert "srv-01" in refused.value.message
    switch(client, "pdu-a", "outlet-1", "on")
    until(
        lambda: (
            one(client, entity("srv-01", "/empi:power-interface[empi:name='psu-1']/empi:power-available")) == "true"
        ),
        "both supplies of srv-01 are on",
    )


def test_other_loads_are_not_switched_silently(client: manager.Manager) -> None:
    """Switching off what feeds others is refused, naming them, until the request accepts them."""
    with pytest.raises(RPCError) as refused:
        switch(client, "feed-a", "lighting", "off")
    assert "lamp-01" in refused.value.message
    reply = switch(client, "feed-a", "lighting", "off", "<accept-collateral>true</accept-collateral>")
    assert "lamp-08" in {node.text for node in reply.iter("{*}affected")}
    lamps = f"{ENTITIES}[starts-with(eman:id,'lamp-')]/empi:power-interface/empi:power-available"
    until(lambda: texts(client, lamps) == ["false"] * 8, "the lamps are dark")
    switch(client, "feed-a", "lighting", "on")
    until(lambda: texts(client, lamps) == ["true"] * 8, "the lamps have power")


def test_one_entity_is_controlled_through_another(client: manager.Manager) -> None:
    """A lamp without a network is switched through its gateway, which is named as its controller."""
    state = entity("lamp-02", "/emps:power-state/emps:set[emps:name='emss:ieee1621']/emps:oper-state")
    controllers = texts(
        client,
        entity("lamp-02", "/emrel:relationship[derived-from-or-self(emrel:type,'emrel:controlled-by')]/emrel:peer"),
    )
    assert "gw-1" in controllers
    set_state(client, "lamp-02", "ieee1621-off")
    until(lambda: "off" in (one(client, state) or ""), "the lamp is off")
    set_state(client, "lamp-02", "ieee1621-on")
    until(lambda: "on" in (one(client, state) or "").rpartition("-")[2], "the lamp is on")


def test_a_standing_wish_is_configuration(client: manager.Manager) -> None:
    """supply/admin-state in running switches the outlet; deleting it leaves the outlet as it is."""
    path = "/empi:power-interface[empi:name='outlet-15']/empi:supply/empi:oper-state"

    def wish(inner: str) -> None:
        edit(
            client,
            f'<entity><id>pdu-b</id><power-interface xmlns="{NS["empi"]}"><name>outlet-15</name><supply>'
            f"{inner}</supply></power-interface></entity>",
        )

    wish("<admin-state>off</admin-state>")
    until(lambda: one(client, entity("pdu-b", path)) == "off", "the outlet is off")
    wish("<admin-state>on</admin-state>")
    until(lambda: one(client, entity("pdu-b", path)) == "on", "the outlet is on")
    wish(f'<admin-state xmlns:nc="{NS["nc"]}" nc:operation="delete"/>')


@pytest.mark.req("d6.2", "r6.2")
def test_the_supply_is_cycled(client: manager.Manager) -> None:
    """cycle-supply takes the supply away and brings it back by itself: it is on since later than before."""
    path = entity("pdu-b", "/empi:power-interface[empi:name='outlet-16']/empi:supply")

    def supply() -> tuple[str, str]:
        said = leaves(the(client, path))
        return said["oper-state"], said["oper-state-since"]

    state, before = supply()
    assert state == "on"
    act(client, "pdu-b", "<cycle-supply><off-time>30</off-time></cycle-supply>", "outlet-16")
    until(lambda: supply() > ("on", before), "the outlet was off and is on again")


def test_what_does_not_exist_is_said_so(client: manager.Manager) -> None:
    """Acting on an unknown entity, or on a state it does not have, is refused in words."""
    with pytest.raises(RPCError) as refused:
        set_state(client, "srv-99", "dmtf-on")
    assert refused.value.tag == "data-missing"
    with pytest.raises(RPCError) as refused:
        set_state(client, "lamp-03", "ieee1621-sleep")
    assert "lamp-03" in refused.value.message
    assert refused.value.app_tag == "state-not-supported"


def test_show_prints_the_tree(demo: ServerProcess) -> None:
    """``eman-netconf show`` prints every box under its source, with watts."""
    shown = subprocess.run(
        [
            *(sys.executable, "-m", "eman_netconf", "show", "--port", str(demo.port)),
            *("--password-file", str(demo.state / "demo-password")),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert all(box in shown for box in SITE)
    assert " W" in shown
    assert "└─" in shown

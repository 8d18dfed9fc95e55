"""The whole server with SNMP equipment: recordings of real devices replayed by snmpsim, and Net-SNMP's agent."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from ncclient import manager
from ncclient.operations import RPCError

from eman_backends.snmp.tests.counterparts import AUTH_KEY, COMMANDS, PRIV_KEY, RPDU2, STATES, start_snmpd
from tests.conformance.conftest import NS, edit, entity, found, one, switch, texts, until
from tests.conformance.installed import (
    COMMUNITIES,
    OLD,
    PDU,
    STRIP,
    Site,
    assert_unwritten,
    configure_backends,
    device,
    equipped,
    link,
    read_on,
    remove_backend,
    shows,
    user,
)
from tests.conformance.site import interface, leaves, local, number, the

LISTEN = 0x0A  # a state of /proc/net/tcp


@pytest.fixture
def site(snmp_site: Site) -> Site:
    """Honest devices; what a test changes it puts back."""
    return snmp_site


@pytest.fixture
def client(site: Site) -> Iterator[manager.Manager]:
    """An ncclient session of the administrator."""
    with site.server.connect() as session:
        yield session


def load(id_: str, inlets: dict[str, tuple[str, str]], more: str = "") -> str:
    """A configured entity whose inlets hang on outlets of others."""
    wires = "".join(
        f'<power-interface xmlns="{NS["empi"]}"><name>{name}</name><direction>inlet</direction>'
        f"<connected-to><entity>{peer}</entity><interface>{outlet}</interface></connected-to></power-interface>"
        for name, (peer, outlet) in inlets.items()
    )
    return f"<entity><id>{id_}</id>{more}{wires}</entity>"


def forget(session: manager.Manager, *ids: str) -> None:
    """Take entities out of configuration."""
    edit(
        session,
        "".join(f'<entity xmlns:nc="{NS["nc"]}" nc:operation="remove"><id>{id_}</id></entity>' for id_ in ids),
    )


# --- what the devices tell


def test_a_metered_pdu_appears(client: manager.Manager) -> None:
    """The PDU comes up with what it is, its inlet and its metered outlets, in the units of the model."""
    pdu = leaves(the(client, entity("pdu")))
    assert (pdu["manufacturer"], pdu["model"], pdu["firmware-version"]) == ("APC", "AP8641", "6.7.2")
    assert (pdu["reachability"], pdu["backend"], pdu["nameplate-power"]) == ("reachable", "pdu", "5000.0")
    assert texts(client, entity("pdu", "/eman:foreign-id/eman:value")) == ["3F3452A52295"]
    names = texts(client, entity("pdu", "/empi:power-interface/empi:name"))
    assert names == ["inlet", *(f"outlet-{index}" for index in range(1, 25))]
    power = leaves(the(client, entity("pdu", "/emm:power")))
    assert (power["active"], power["apparent"], local(power["method"])) == ("1210.0", "1310.0", "direct-meter")
    electrical = leaves(the(client, interface("pdu", "inlet", "/emm:electrical")))
    assert (electrical["voltage"], electrical["current"]) == ("201.0", "6.5")
    first = the(client, interface("pdu", "outlet-1"))
    assert leaves(first)["label"] == "CP-CM-SAN-01"
    assert leaves(first)["direction"] == "outlet"
    assert number(first, "emm:power/emm:active") == -163
    assert number(first, "emm:electrical/emm:current") == Decimal("0.9")
    assert first.findtext("empi:supply/empi:oper-state", namespaces=NS) == "on"


def test_a_device_that_counts_one_way_has_energy_of_that_way(client: manager.Manager) -> None:
    """The PDU counts what it received and its outlets what they provided; the other way is absent, not zero."""
    received = leaves(the(client, entity("pdu", "/emm:energy")))
    provided = leaves(the(client, interface("pdu", "outlet-1", "/emm:energy")))
    assert local(received["method"]) == local(provided["method"]) == "direct-meter"
    assert "received" in received
    assert "provided" not in received
    assert "provided" in provided
    assert "received" not in provided


def test_a_ups_appears_with_its_battery(client: manager.Manager) -> None:
    """The UPS of RFC 1628 comes up with phases, signs and battery; its input has no meter, so no power is shown."""
    ups = leaves(the(client, entity("ups")))
    assert (ups["manufacturer"], ups["model"], ups["category"]) == ("EATON", "EATON 93E 80", "store")
    directions = {
        leaves(each)["name"]: leaves(each)["direction"]
        for each in found(client, entity("ups", "/empi:power-interface"))
    }
    assert directions == {"input": "inlet", "bypass": "inlet", "output": "outlet"}
    output = the(client, interface("ups", "output"))
    assert number(output, "emm:power/emm:active") == -11_400
    phases = {leaves(phase)["name"]: leaves(phase)["active"] for phase in output.iterfind(".//{*}phase")}
    assert phases == {"l1": "-5100.0", "l2": "-3600.0", "l3": "-2700.0"}
    assert not found(client, interface("ups", "input", "/emm:power"))
    battery = leaves(the(client, entity("ups", "/embat:battery")))
    assert (battery["charge-percent"], battery["charging-state"]) == ("100.0", "maintaining")
    assert (battery["voltage"], battery["runtime-remaining"]) == ("521.0", "65520.0")


def test_the_links_are_up_and_polled(client: manager.Manager) -> None:
    """Every backend's link is up, is read again and again, and has no error to tell."""
    for name in COMMUNITIES:
        read_on(client, name, 2)
        until(lambda name=name: well(link(client, name)), f"{name} is up, without an error")


def well(link: Mapping[str, str]) -> bool:
    return link["state"] == "up" and "last-error" not in link


# --- what the operator knows


def test_context_and_wiring_are_configured(client: manager.Manager) -> None:
    """A server on the PDU, the PDU on the UPS: told at one end, shown at both; its power is what the outlet meters."""
    edit(
        client,
        load("host", {"psu": ("pdu", "outlet-3")}, "<name>Database</name><importance>80</importance>")
        + load("pdu", {"inlet": ("ups", "output")}, "<name>Rack 1</name>"),
    )
    edit(
        client,
        f'<entity><id>host</id><power-interface xmlns="{NS["empi"]}"><name>psu</name><nominal-voltage>'
        "<minimum>200</minimum><maximum>240</maximum></nominal-voltage></power-interface></entity>",
    )
    host = the(client, entity("host"))
    assert (leaves(host)["name"], leaves(host)["importance"]) == ("Database", "80")
    assert one(client, interface("host", "psu", "/empi:nominal-voltage/empi:maximum")) == "240.0"
    assert one(client, entity("pdu", "/eman:name")) == "Rack 1"
    for id_, name, peer, far, role, evidence in (
        ("host", "psu", "pdu", "outlet-3", "source", "configured"),
        ("pdu", "outlet-3", "host", "psu", "load", "inferred"),
        ("pdu", "inlet", "ups", "output", "source", "configured"),
        ("ups", "output", "pdu", "inlet", "load", "inferred"),
    ):
        wire = leaves(the(client, interface(id_, name, "/empi:connected-to")))
        assert (wire["entity"], wire["interface"]) == (peer, far)
        assert (wire["peer-role"], wire["evidence"]) == (role, evidence)
        assert wire["entity-uuid"] == one(client, entity(peer, "/eman:uuid"))
    power = leaves(the(client, entity("host", "/emm:power")))
    assert (power["active"], local(power["method"]), power["reporter"]) == ("81.0", "remote-meter", "pdu")
    assert one(client, interface("host", "psu", "/empi:power-available")) == "true"
    forget(client, "host", "pdu")
    assert not found(client, interface("ups", "output", "/empi:connected-to"))


def test_importance_101_is_refused(client: manager.Manager) -> None:
    """A value out of range is refused with its path, and nothing of the edit is done."""
    with pytest.raises(RPCError) as refused:
        edit(client, "<entity><id>pdu</id><name>No</name><importance>101</importance></entity>")
    assert refused.value.tag == "invalid-value"
    assert refused.value.path == "/eman:energy-management/eman:entities/eman:entity[eman:id='pdu']/eman:importance"
    assert one(client, entity("pdu", "/eman:name")) == "pwr-dc01-pdu-rack01-01"


# --- switching


@pytest.mark.parametrize(
    ("name", "recording", "outlet", "off", "shown_off", "on", "shown_on"),
    [("strip", STRIP, 4, 2, 1, 1, 2), ("old", OLD, 2, 2, 2, 1, 1)],
    ids=["AP8932", "AP7902B"],
)
def test_an_outlet_is_switched(
    site: Site,
    client: manager.Manager,
    name: str,
    recording: str,
    outlet: int,
    off: int,
    shown_off: int,
    on: int,
    shown_on: int,
) -> None:
    """An action writes the device's command; only the device's own word changes state and power of the load."""
    command, state = f"{COMMANDS[recording]}.{outlet}", f"{STATES[recording]}.{outlet}"
    path = interface(name, f"outlet-{outlet}")
    edit(client, load(f"{name}-load", {"psu": (name, f"outlet-{outlet}")}))
    available = interface(f"{name}-load", "psu", "/empi:power-available")
    shows(client, available, "true")
    for wish, code, shown, power in (("off", off, shown_off, "false"), ("on", on, shown_on, "true")):
        switch(client, name, f"outlet-{outlet}", wish, "<reason>test</reason>")
        assert site.told(name, command) == code
        read_on(client, name, 2)
        request = leaves(the(client, f"{path}/empi:supply/empi:request"))
        assert (request["state"], request["status"], request["by"]) == (wish, "pending", "admin")
        assert one(client, f"{path}/empi:supply/empi:oper-state") != wish
        site.told(name, state, shown)  # as the relay of a PDU does after the command
        shows(client, f"{path}/empi:supply/empi:oper-state", wish)
        assert one(client, f"{path}/empi:supply/empi:request/empi:status") == "reached"
        assert one(client, available) == power
    forget(client, f"{name}-load")


def test_a_vital_load_keeps_its_last_supply(site: Site, client: manager.Manager) -> None:
    """The only outlet of a vital entity is not switched off, and nothing is sent; with a second feed it may be."""
    command = f"{COMMANDS[STRIP]}.7"
    before = site.told("strip", command)
    edit(client, load("heart", {"psu-1": ("strip", "outlet-7")}, "<vital>true</vital>"))
    with pytest.raises(RPCError) as refused:
        switch(client, "strip", "outlet-7", "off", "<accept-collateral>true</accept-collateral>")
    assert "heart" in refused.value.message
    assert "vital" in refused.value.message
    assert site.told("strip", command) == before
    assert not found(client, interface("strip", "outlet-7", "/empi:supply/empi:request"))
    edit(client, load("heart", {"psu-2": ("ups", "output")}))
    switch(client, "strip", "outlet-7", "off")
    assert site.told("strip", command) == 2
    switch(client, "strip", "outlet-7", "on")
    forget(client, "heart")


def test_snmpv3_is_read_and_switched(site: Site, client: manager.Manager) -> None:
    """With authentication and privacy a PoE switch is read, a port switched off and on, and the keys stay hidden."""
    agent = start_snmpd()
    site.secrets |= {AUTH_KEY, PRIV_KEY}
    keys = {"auth_protocol": "sha256", "auth_key": f"$0${AUTH_KEY}", "priv_protocol": "aes128"}
    credentials = user("sha256-aes128", **keys, priv_key=f"$0${PRIV_KEY}")
    try:
        configure_backends(client, device("poe", agent.port, credentials))
        shows(client, entity("poe.pse-1", "/emm:power/emm:active"), "212.0")
        assert one(client, entity("poe.pse-1", "/eman:contained-in")) == "poe"
        state = interface("poe", "port-1.1", "/empi:supply/empi:oper-state")
        assert one(client, state) == "on"
        for wish in ("off", "on"):
            switch(client, "poe", "port-1.1", wish)
            shows(client, state, wish)
        shown = client.get_config("running").data_xml + client.get().data_xml
        assert AUTH_KEY not in shown
        assert PRIV_KEY not in shown
        assert "sha256-aes128" in shown
    finally:
        remove_backend(client, "poe")
        agent.process.terminate()
        agent.process.wait(60)
    until(lambda: not found(client, entity("poe")), "the switch is gone with its backend")


# --- secrets


def test_communities_cannot_be_read(site: Site, client: manager.Manager) -> None:
    """Configuration and state show ciphertext, which may be written back and changes nothing."""
    path = "/eman:energy-management/embe:backends/embe:backend/*/*/*"
    config = client.get_config("running", filter=("xpath", (NS, path))).data_ele
    ciphers = [node.text or "" for node in config.iterfind(".//{*}community")]
    assert len(ciphers) == len(COMMUNITIES)
    assert all(cipher.startswith("$aes$") for cipher in ciphers)
    shown = client.get_config("running").data_xml + client.get().data_xml
    assert not [secret for secret in COMMUNITIES.values() if secret in shown]
    since = link(client, "ups")["state-since"]
    (ups,) = [each for each in config.iterfind(".//{*}backend") if leaves(each)["name"] == "ups"]
    cipher = ups.findtext(".//{*}community")
    configure_backends(client, device("ups", site.simulator.port, f"<v2c><community>{cipher}</community></v2c>"))
    read_on(client, "ups")
    assert link(client, "ups")["state-since"] == since


def test_a_key_that_cannot_be_used_is_not_told(site: Site, client: manager.Manager) -> None:
    """A backend with a key that is too short says so in its link, without the key, and may be mended."""
    secret = "wee key"
    site.secrets.add(secret)
    credentials = user("someone", auth_protocol="sha256", auth_key=f"$0${secret}")
    configure_backends(client, device("shy", site.simulator.port, credentials))
    try:
        until(lambda: link(client, "shy").get("last-error"), "the backend tells what is wrong")
        error = link(client, "shy")["last-error"]
        assert "shorter than 8" in error
        assert secret not in error
    finally:
        remove_backend(client, "shy")


# --- pulling the plug


def test_nothing_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """After kill -9 the configuration is as it was, wishes hold, and what devices counted meanwhile is in the energy;
    ``check`` finds all well, and nothing the server wrote has a community in clear."""
    counter = f"{RPDU2}.4.3.1.9.1"  # tenths of kWh
    with equipped(tmp_path) as site:
        session = site.server.connect()  # never closed: its server is killed
        edit(session, load("host", {"psu": ("pdu", "outlet-3")}, "<name>Kept</name><vital>true</vital>"))
        switch(session, "pdu", "outlet-9", "off")
        site.told("pdu", f"{STATES[PDU]}.9", 1)
        outlet = interface("pdu", "outlet-9", "/empi:supply")
        shows(session, f"{outlet}/empi:oper-state", "off")
        site.told("pdu", counter, site.told("pdu", counter) + 1)
        received = entity("pdu", "/emm:energy/emm:received")
        shows(session, received, "100.0")
        until(lambda: '"admin"' in kept(site.server.state, "pdu"), "the wish is written down")
        configuration = session.get_config("running").data_xml
        served = energies(session)
        assert len(served) > 25
        assert served["old", "", "received"][1] is None
        site.server.end(signal.SIGKILL)
        assert_unwritten(site)
        site.told("pdu", counter, site.told("pdu", counter) + 2)
        site.server.start()
        with site.server.connect() as session:
            assert session.get_config("running").data_xml == configuration
            until(lambda: energies(session).keys() >= served.keys(), "all devices have been read again")
            after = energies(session)
            for place, (value, since) in served.items():
                now, since_now = after[place]
                assert now >= value or since_now != since, (place, value, now)
            shows(session, received, "300.0")
            assert after["pdu", "", "received"][1] is None
            assert after["old", "", "received"][1] is not None
            assert one(session, f"{outlet}/empi:oper-state") == "off"
            request = leaves(the(session, f"{outlet}/empi:request"))
            assert (request["state"], request["by"]) == ("off", "admin")
        assert site.server.end() == 0
        checked = site.server.check()
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert all(f"backend {name}: reachable" in checked.stdout for name in COMMUNITIES)
        assert not [secret for secret in site.secrets if secret in checked.stdout + checked.stderr]


def kept(state: Path, id_: str) -> str:
    """What is written down of an entity, as JSON; empty before there is anything."""
    with closing(sqlite3.connect(f"{(state / 'history.sqlite').as_uri()}?mode=ro", uri=True)) as history:
        row = history.execute("SELECT value FROM record WHERE name = ?", (id_,)).fetchone()
        return "" if row is None else str(row[0])


Place = tuple[str, str, str]  # entity, interface or "", direction


def energies(session: manager.Manager) -> dict[Place, tuple[Decimal, str | None]]:
    """Every energy value served, with its discontinuity-time."""
    told: dict[Place, tuple[Decimal, str | None]] = {}
    for id_ in COMMUNITIES:
        for path in (entity(id_, "/emm:energy"), entity(id_, "/empi:power-interface/emm:energy")):
            for energy in found(session, path):
                above = energy.getparent()
                assert above is not None
                name = above.findtext("empi:name", default="", namespaces=NS)
                said = leaves(energy)
                for way in ("received", "provided"):
                    if way in said:
                        told[id_, name, way] = Decimal(said[way]), said.get("discontinuity-time")
    return told


def sockets(pid: int, *kinds: str) -> list[tuple[str, int, int, bool]]:
    """The sockets of a process as the kernel knows them (proc(5)): address, port, state, and whether it has a peer."""
    own = {each.readlink().name for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    told = []
    for kind in kinds:
        for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            fields = row.split()
            if f"socket:[{fields[9]}]" in own:
                address, _, port = fields[1].partition(":")
                told.append((address, int(port, 16), int(fields[3], 16), fields[2].strip("0:") != ""))
    return told


@pytest.mark.req("r9.2")
def test_devices_are_not_open_to_the_network(site: Site) -> None:
    """The server stands between devices and clients: it takes nothing but NETCONF, here from this machine alone, and
    what it asks devices by takes answers from the one that was asked alone."""
    server = site.server
    assert server.process is not None
    until(lambda: sockets(server.process.pid, "udp"), "a device is asked")
    here = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}"
    listening = [told for told in sockets(server.process.pid, "tcp", "tcp6") if told[2] == LISTEN]
    assert [(address, port) for address, port, _, _ in listening] == [(here, server.port)]
    asking = sockets(server.process.pid, "udp", "udp6")
    assert all(peer for _, _, _, peer in asking)

"""Alarms over the wire: a device dies, an operator sees to it, the server restarts, all is well again (RFC 8632)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import NS, ServerProcess, edit, found, run, switch, until, winter_process
from tests.conformance.hearing import content

AL = "urn:ietf:params:xml:ns:yang:ietf-alarms"
EMAL = "urn:eman:yang:eman-alarm"
NAMES = NS | {"al": AL, "emal": EMAL}
GATEWAY = "/eman:energy-management/embe:backends/embe:backend[embe:name='gw-1']"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this file's own."""
    with run(winter_process(tmp_path_factory.mktemp("alarms") / "state")) as server:
        yield server


@pytest.fixture
def client(site: ServerProcess) -> Iterator[manager.Manager]:
    with site.connect() as session:
        yield session


def alarms(session: manager.Manager, kind: str) -> list[etree._Element]:
    """The entries of one type."""
    listed = session.get(filter=("subtree", f'<alarms xmlns="{AL}"><alarm-list/></alarms>')).data_ele
    return [each for each in listed.iter(f"{{{AL}}}alarm") if each.findtext(f"{{{AL}}}alarm-type-id") == f"emal:{kind}"]


def the(session: manager.Manager, kind: str, *, cleared: bool) -> etree._Element:
    """The one alarm of a type, once it is there and cleared, or not."""
    told = "true" if cleared else "false"
    return until(
        lambda: [each for each in alarms(session, kind) if text(each, "is-cleared") == told],
        f"an alarm {kind} is there, cleared: {told}",
    )[0]


def text(element: etree._Element, name: str) -> str | None:
    return element.findtext(f"{{{AL}}}{name}")  # type: ignore[no-any-return]


def texts(element: etree._Element, listed: str, name: str) -> list[str | None]:
    return [text(each, name) for each in element.iterfind(f"{{{AL}}}{listed}")]


def act(session: manager.Manager, inside: str) -> etree._Element:
    """Call an action below /alarms/alarm-list."""
    request = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><alarms xmlns="{AL}"><alarm-list>{inside}</alarm-list></alarms>'
        "</action>"
    )
    return etree.fromstring(session.dispatch(etree.fromstring(request)).xml.encode())


def say(session: manager.Manager, kind: str, resource: str, state: str, note: str) -> etree._Element:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
    return act(
        session,
        f"<alarm><resource {declared}>{resource}</resource><alarm-type-id {declared}>emal:{kind}</alarm-type-id>"
        f"<alarm-type-qualifier/><set-operator-state><state>{state}</state><text>{note}</text></set-operator-state>"
        "</alarm>",
    )


def heard(session: manager.Manager, name: str) -> etree._Element:
    """The next notification of that name, wherever it stands."""
    while True:
        found = content(session)
        for each in found.iter(f"{{{AL}}}{name}"):
            return found if each is not found else each


@pytest.mark.req("rfc8632-3.5.1", "rfc8632-3.5.2", "rfc8632-3.5.3")
def test_life_of_an_alarm(tmp_path: Path) -> None:
    """A device that dies raises an alarm that an operator acknowledges; both outlive the server; life clears it."""
    state = tmp_path / "state"
    with run(winter_process(state)) as server, server.connect() as session, server.connect() as listener:
        listener.create_subscription()
        assert not alarms(session, "backend-unreachable")

        switch(session, "pdu-a", "outlet-14", "off", "<accept-collateral>true</accept-collateral>")
        raised = the(session, "backend-unreachable", cleared=False)
        assert text(raised, "perceived-severity") == "major"
        assert "gw-1" in (text(raised, "alarm-text") or "")
        resource = raised.find(f"{{{AL}}}resource")
        assert found(session, str(resource.text)), "the resource is a path of the site"
        told = heard(listener, "alarm-notification")
        assert told.findtext(f"{{{AL}}}perceived-severity") == "major"

        say(session, "backend-unreachable", GATEWAY, "ack", "on my way")
        told = heard(listener, "operator-action")
        assert etree.QName(told).localname == "alarms"
        assert told.xpath("al:alarm-list/al:alarm/al:operator-action/al:state/text()", namespaces=NAMES) == ["ack"]
        acknowledged = the(session, "backend-unreachable", cleared=False)
        assert texts(acknowledged, "operator-state-change", "text") == ["on my way"]
        assert texts(acknowledged, "operator-state-change", "operator") == ["admin"]
        before = texts(acknowledged, "status-change", "time")

    server = winter_process(state).start()
    try:
        with server.connect() as session, server.connect() as listener:
            listener.create_subscription()
            kept = the(session, "backend-unreachable", cleared=False)
            assert texts(kept, "operator-state-change", "text") == ["on my way"]
            assert text(kept, "time-created") == text(raised, "time-created")
            assert texts(kept, "status-change", "time")[-len(before) :] == before

            switch_when_there(session)
            cleared = the(session, "backend-unreachable", cleared=True)
            assert texts(cleared, "status-change", "perceived-severity")[0] == "cleared"
            told = heard(listener, "alarm-notification")
            while told.findtext(f"{{{AL}}}alarm-type-id") != "emal:backend-unreachable":
                told = heard(listener, "alarm-notification")
            assert told.findtext(f"{{{AL}}}perceived-severity") == "cleared", "a restart raises no alarm again"

            with server.connect() as later:
                acted = f'<alarms xmlns="{AL}"><alarm-list><alarm><operator-action/></alarm></alarm-list></alarms>'
                later.create_subscription(filter=("subtree", acted), start_time="2000-01-01T00:00:00Z")
                told = heard(later, "operator-action")
                assert told.xpath("//al:operator-action/al:text/text()", namespaces=NAMES) == ["on my way"]

            counted = purge(session, "<alarm-clearance-status>cleared</alarm-clearance-status>")
            assert counted >= 1
            assert not alarms(session, "backend-unreachable")
    finally:
        server.end(signal.SIGKILL)


def switch_when_there(session: manager.Manager) -> None:
    """Switch the gateway on again; the outlet is known once its device was read."""

    def switched() -> bool:
        try:
            switch(session, "pdu-a", "outlet-14", "on")
        except RPCError:
            return False
        return True

    until(switched, "the outlet can be switched")


def purge(session: manager.Manager, criteria: str) -> int:
    reply = act(session, f"<purge-alarms>{criteria}</purge-alarms>")
    return int(reply.findtext(f"{{{AL}}}purged-alarms") or -1)


def battery(session: manager.Manager, alarm: str) -> None:
    """Configure the thresholds of the battery of the UPS."""
    inside = f'<battery xmlns="{NS["embat"]}"><name>string-1</name><alarm>{alarm}</alarm></battery>'
    edit(session, f"<entity><id>ups-1</id>{inside}</entity>")


LOW = "<low-voltage{}>1000</low-voltage>"
GONE = f' xmlns:nc="{NS["nc"]}" nc:operation="delete"'


@pytest.mark.req("rfc8632-4.4")
def test_a_battery_and_its_thresholds(client: manager.Manager) -> None:
    """An alarm is raised with the notification of the energy model and cleared with it; the list counts its entries."""
    battery(client, LOW.format(""))
    entry = the(client, "battery-low", cleared=False)
    assert text(entry, "perceived-severity") == "minor"
    battery(client, LOW.format(GONE))
    entry = the(client, "battery-low", cleared=True)
    assert texts(entry, "status-change", "perceived-severity")[:2] == ["cleared", "minor"]
    assert text(entry, "last-changed") == texts(entry, "status-change", "time")[0]
    listed = client.get(filter=("subtree", f'<alarms xmlns="{AL}"><alarm-list/></alarms>')).data_ele[0][0]
    assert text(listed, "number-of-alarms") == str(len(listed.findall(f"{{{AL}}}alarm")))
    assert (text(listed, "last-changed") or "") >= (text(entry, "last-changed") or "")


@pytest.mark.req("rfc8632-4.2", "rfc8632-4.3")
def test_inventory_and_summary(client: manager.Manager) -> None:
    """All alarms there can be are told with what to do, and those that are there are counted by severity."""
    battery(client, LOW.format(""))
    the(client, "battery-low", cleared=False)
    told = client.get(filter=("subtree", f'<alarms xmlns="{AL}"/>')).data_ele[0]
    types = told.findall("al:alarm-inventory/al:alarm-type", NAMES)
    kinds = {text(each, "alarm-type-id") for each in types}
    listed = told.findall("al:alarm-list/al:alarm", NAMES)
    assert {text(each, "alarm-type-id") for each in listed} <= kinds
    assert all(text(each, "will-clear") == "true" and text(each, "description") for each in types)
    for row in told.findall("al:summary/al:alarm-summary", NAMES):
        of = [each for each in listed if text(each, "perceived-severity") == text(row, "severity")]
        assert text(row, "total") == str(len(of))
        assert text(row, "not-cleared") == str(sum(text(each, "is-cleared") == "false" for each in of))
    battery(client, LOW.format(GONE))
    the(client, "battery-low", cleared=True)


@pytest.mark.req("rfc8632-4.1")
def test_control(client: manager.Manager, site: ServerProcess) -> None:
    """How much history is kept and what is told of is configured; a compression leaves the newest change alone."""

    def configure(control: str) -> None:
        config = f'<config xmlns="{NS["nc"]}"><alarms xmlns="{AL}"><control>{control}</control></alarms></config>'
        client.edit_config(target="running", config=config)

    def toggle() -> None:
        battery(client, LOW.format(""))
        the(client, "battery-low", cleared=False)
        battery(client, LOW.format(GONE))
        the(client, "battery-low", cleared=True)

    configure("<max-alarm-status-changes>3</max-alarm-status-changes>")
    toggle()
    toggle()
    (entry,) = alarms(client, "battery-low")
    assert texts(entry, "status-change", "perceived-severity") == ["cleared", "minor", "cleared"]
    resource = entry.find(f"{{{AL}}}resource")
    assert resource is not None
    reply = act(client, f"<compress-alarms>{etree.tostring(resource, encoding='unicode')}</compress-alarms>")
    assert reply.findtext(f"{{{AL}}}compressed-alarms") == "1"
    (entry,) = alarms(client, "battery-low")
    assert texts(entry, "status-change", "perceived-severity") == ["cleared"]

    with pytest.raises(RPCError):
        configure("<notify-status-changes>severity-level</notify-status-changes>")
    level = "<notify-severity-level>critical</notify-severity-level>"
    configure(f"<notify-status-changes>severity-level</notify-status-changes>{level}")
    with site.connect() as listener:
        listener.create_subscription()
        toggle()
        told = heard(listener, "alarm-notification")
        assert told.findtext(f"{{{AL}}}perceived-severity") == "cleared", "the end is told, what is minor is not"


@pytest.mark.req("rfc8632-4.4")
def test_what_is_vital(client: manager.Manager) -> None:
    """A vital entity that has no way for power is a critical alarm until it has one."""
    switch(client, "pdu-a", "outlet-14", "off", "<accept-collateral>true</accept-collateral>")
    edit(client, "<entity><id>gw-1</id><vital>true</vital></entity>")
    assert text(the(client, "supply-cut", cleared=False), "perceived-severity") == "critical"
    switch(client, "pdu-a", "outlet-14", "on")
    the(client, "supply-cut", cleared=True)
    edit(client, "<entity><id>gw-1</id><vital>false</vital></entity>")

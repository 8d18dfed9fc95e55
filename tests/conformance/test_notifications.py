"""Notifications as ncclient gets them: energy and the server itself, replay, filters, receivers that do not read."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    ENDS_WITHIN,
    NS,
    ServerProcess,
    all_read,
    demo_process,
    edit,
    entity,
    one,
    set_state,
    switch,
    until,
)
from tests.conformance.site import interface

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
NETMOD = "urn:ietf:params:xml:ns:netmod:notification"
BASE_NOTES = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
CAPABILITY = "urn:ietf:params:netconf:capability:"
EVER = "2000-01-01T00:00:00Z"
HEARD_WITHIN = 100.0
DELETE = f'xmlns:nc="{NS["nc"]}" nc:operation="delete"'
ACCEPTED = "<accept-collateral>true</accept-collateral>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site whose devices these tests switch."""
    process = demo_process(tmp_path_factory.mktemp("notifications") / "state").start()
    try:
        with process.connect() as session:
            all_read(session)
        yield process
    finally:
        process.end(signal.SIGKILL)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[manager.Manager]:
    with server.connect() as session:
        yield session


@pytest.fixture
def watcher(server: ServerProcess) -> Iterator[manager.Manager]:
    with server.connect() as session:
        yield session


def name(notification: etree._Element) -> str:
    return etree.QName(notification[1]).localname


def leaves(notification: etree._Element) -> dict[str, str | None]:
    """The leaves of an event by name."""
    return {etree.QName(leaf).localname: leaf.text for leaf in notification[1].iter() if not len(leaf)}


def heard(session: manager.Manager) -> etree._Element:
    """The next notification."""
    taken = session.take_notification(timeout=HEARD_WITHIN)
    assert taken is not None, "nothing was heard"
    root = etree.fromstring(taken.notification_xml.encode())
    assert root.tag == f"{{{NOTIFICATION}}}notification"
    assert root[0].tag == f"{{{NOTIFICATION}}}eventTime"
    return root


def first(session: manager.Manager, wanted: str, **said: str) -> etree._Element:
    """The next notification of that name with those leaves."""
    while True:
        notification = heard(session)
        if name(notification) == wanted and said.items() <= leaves(notification).items():
            return notification


def until_complete(session: manager.Manager) -> list[etree._Element]:
    """What comes up to replayComplete."""
    told = []
    while name(notification := heard(session)) != "replayComplete":
        told.append(notification)
    return told


def subtree(event: str, namespace: str) -> tuple[str, str]:
    return "subtree", f'<{event} xmlns="{namespace}"/>'


@pytest.mark.req("rfc5277-3.1", "rfc5277-6")
def test_capabilities(client: manager.Manager) -> None:
    """The server announces notifications, and that other requests may come between."""
    assert f"{CAPABILITY}notification:1.0" in client.server_capabilities
    assert f"{CAPABILITY}interleave:1.0" in client.server_capabilities


@pytest.mark.req("rfc5277-3.2")
def test_streams(client: manager.Manager) -> None:
    """The streams can be read: NETCONF with all events, which are replayed."""
    data = client.get(filter=("subtree", f'<netconf xmlns="{NETMOD}"><streams/></netconf>')).data_ele
    (stream,) = data.iter(f"{{{NETMOD}}}stream")
    told = {etree.QName(leaf).localname: leaf.text for leaf in stream}
    assert (told["name"], told["replaySupport"]) == ("NETCONF", "true")
    assert told["replayLogCreationTime"]


@pytest.mark.req("rfc5277-2.2")
@pytest.mark.req("rfc5277-2.1", "rfc5277-4", "d5.4.8", "r5.4.8")
def test_power_states_are_told(watcher: manager.Manager, client: manager.Manager) -> None:
    """When the actual power state changes, whoever subscribed is told from which state to which, and on whose wish."""
    watcher.create_subscription(stream_name="NETCONF")
    set_state(client, "srv-06", "dmtf-off-soft", "<reason>lunch</reason>")
    told = leaves(first(watcher, "power-state-changed", entity="srv-06"))
    assert (told["from"] or "").endswith("dmtf-on")
    assert (told["to"] or "").endswith("dmtf-off-soft")
    assert told["entity-uuid"] == one(client, entity("srv-06", "/eman:uuid"))
    assert (told["requested-by"], told["reason"]) == ("admin", "lunch")


@pytest.mark.req("rfc5277-6")
def test_supplies_are_told_between_replies(client: manager.Manager) -> None:
    """A session that subscribed switches an outlet itself: reply and supply-switched both come."""
    client.create_subscription(filter=subtree("supply-switched", NS["empi"]))
    outlet = interface("pdu-b", "outlet-15", "/empi:supply/empi:oper-state")
    before = one(client, outlet)
    switch(client, "pdu-b", "outlet-15", "off" if before == "on" else "on", ACCEPTED)
    told = leaves(first(client, "supply-switched", entity="pdu-b"))
    assert told["interface"] == "outlet-15"
    assert one(client, outlet) != before
    switch(client, "pdu-b", "outlet-15", str(before), ACCEPTED)
    first(client, "supply-switched", entity="pdu-b")


@pytest.mark.req("r5.6.7", "r5.6.8")
@pytest.mark.parametrize(
    ("threshold", "beyond", "event"),
    [("low-charge", "7200", "battery-low"), ("high-cycle-count", "20", "battery-aging")],
)
def test_batteries_are_told(
    watcher: manager.Manager, client: manager.Manager, threshold: str, beyond: str, event: str
) -> None:
    """A battery that passes a configured threshold is told."""
    watcher.create_subscription(filter=subtree(event, NS["embat"]))

    def set_threshold(inner: str) -> None:
        battery = f'<battery xmlns="{NS["embat"]}"><name>string-2</name><alarm>{inner}</alarm></battery>'
        edit(client, f"<entity><id>ups-1</id>{battery}</entity>")

    set_threshold(f"<{threshold}>{beyond}</{threshold}>")
    told = leaves(first(watcher, event, entity="ups-1"))
    assert told["battery"] == "string-2"
    set_threshold(f"<{threshold} {DELETE}/>")


@pytest.mark.req("r4.3")
def test_new_identifiers_are_told(watcher: manager.Manager, client: manager.Manager) -> None:
    """A device that was discovered and gets another identifier by configuration is told with the old and the new."""
    serial = one(client, entity("lamp-08", "/eman:foreign-id[eman:kind='eman:serial-number']/eman:value"))
    edit(client, f"<entity {DELETE}><id>lamp-08</id></entity>")
    watcher.create_subscription(filter=subtree("identifier-changed", NS["eman"]))
    edit(
        client,
        f"<entity><id>renamed</id><foreign-id><kind>serial-number</kind><value>{serial}</value></foreign-id></entity>",
    )
    told = leaves(first(watcher, "identifier-changed", entity="renamed"))
    assert (told["old-value"], told["new-value"]) == ("lamp-08", "renamed")
    edit(client, f"<entity {DELETE}><id>renamed</id></entity>")
    assert leaves(first(watcher, "identifier-changed", entity="lamp-08"))["old-value"] == "renamed"


@pytest.mark.req("rfc5277-3.6")
def test_filters(server: ServerProcess, watcher: manager.Manager, client: manager.Manager) -> None:
    """Subtree and XPath filters let the same events through."""
    namespaces = {"n": BASE_NOTES}
    by_path = server.connect()
    with by_path:
        user = "<username>admin</username>"
        watcher.create_subscription(
            filter=("subtree", f'<netconf-session-end xmlns="{BASE_NOTES}">{user}</netconf-session-end>')
        )
        by_path.create_subscription(filter=("xpath", (namespaces, "/n:netconf-session-end[n:username='admin']")))
        for _ in range(3):
            server.connect().close_session()
        both = [[etree.tostring(heard(session)) for _ in range(3)] for session in (watcher, by_path)]
    assert both[0] == both[1]


@pytest.mark.req("rfc6470-2")
def test_the_server_tells_of_itself(server: ServerProcess, watcher: manager.Manager) -> None:
    """Sessions that begin, end or are killed, and changes of the configuration, are told with who did it."""
    watcher.create_subscription()
    with server.connect() as other:
        who = {"username": "admin", "session-id": other.session_id, "source-host": "127.0.0.1"}
        assert leaves(first(watcher, "netconf-session-start", **who)) == who
        edit(other, "<entity><id>spare</id></entity>")
        told = leaves(first(watcher, "netconf-config-change", **who))
        assert told["target"] == "/eman:energy-management/eman:entities/eman:entity[eman:id='spare']"
        assert (told["datastore"], told["operation"]) == ("running", "create")
        edit(other, f"<entity {DELETE}><id>spare</id></entity>")
        assert leaves(first(watcher, "netconf-config-change", **who))["operation"] == "delete"
    assert leaves(first(watcher, "netconf-session-end", **who))["termination-reason"] == "closed"
    victim = server.connect()
    watcher.kill_session(victim.session_id)
    told = leaves(first(watcher, "netconf-session-end", **{"session-id": victim.session_id}))
    assert (told["termination-reason"], told["killed-by"]) == ("killed", watcher.session_id)


@pytest.mark.req("rfc6470-2")
def test_confirmed_commits_are_told(watcher: manager.Manager, client: manager.Manager) -> None:
    """A confirmed commit is told as it starts and as it is cancelled."""
    watcher.create_subscription(filter=subtree("netconf-confirmed-commit", BASE_NOTES))
    client.edit_config(
        target="candidate",
        config=f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{NS["eman"]}"><entities><entity><id>trial</id>'
        "</entity></entities></energy-management></config>",
    )
    client.commit(confirmed=True, timeout="600")
    started = leaves(heard(watcher))
    assert (started["confirm-event"], started["timeout"], started["username"]) == ("start", "600", "admin")
    client.cancel_commit()
    assert leaves(heard(watcher))["confirm-event"] == "cancel"
    client.discard_changes()


@pytest.mark.req("rfc5277-3.5")
@pytest.mark.req("rfc5277-2.1")
def test_refusals(client: manager.Manager) -> None:
    """What cannot be subscribed to is refused with the tags of RFC 5277, and the session goes on."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"stream_name": "alarms"}, "invalid-value"),
        ({"start_time": "2999-01-01T00:00:00Z"}, "bad-element"),
        ({"start_time": EVER, "stop_time": "1999-01-01T00:00:00Z"}, "bad-element"),
        ({"filter": ("xpath", "/a[")}, "invalid-value"),
    ]
    for said, tag in wrong:
        with pytest.raises(RPCError) as refused:
            client.create_subscription(**said)
        assert refused.value.tag == tag
    client.create_subscription()
    with pytest.raises(RPCError) as refused:
        client.create_subscription()
    assert refused.value.tag == "operation-failed"


@pytest.mark.req("rfc5277-2.3")
@pytest.mark.req("rfc5277-2.1", "rfc5277-3.3")
def test_stop_time(server: ServerProcess, client: manager.Manager) -> None:
    """A replay of the past ends with both notices, and the session may subscribe again."""
    edit(client, "<entity><id>before</id></entity>")
    with server.connect() as reader:
        reader.create_subscription(start_time=EVER)
        *_, last = until_complete(reader)
    stop = last.findtext(f"{{{NOTIFICATION}}}eventTime")
    edit(client, "<entity><id>after</id></entity>")
    client.create_subscription(start_time=EVER, stop_time=stop)
    told = until_complete(client)
    assert all((each.findtext(f"{{{NOTIFICATION}}}eventTime") or "") <= stop for each in told)
    assert any("before" in str(leaves(each).get("target")) for each in told)
    assert not any("after" in str(leaves(each).get("target")) for each in told)
    assert name(heard(client)) == "notificationComplete"
    client.create_subscription()


def stored(server: ServerProcess, event: str) -> bool:
    """Whether the log of events on the disk holds one of that name."""
    with contextlib.closing(sqlite3.connect(server.state / "history.sqlite")) as db:
        (count,) = db.execute("SELECT count(*) FROM event WHERE name = ?", (event,)).fetchone()
    return bool(count)


@pytest.mark.req("rfc5277-3.3")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_replay_after_a_restart(tmp_path: Path, number: int) -> None:
    """What happened before the server stopped is replayed by the next one, each event once; when it is killed, what
    had gone to the disk by itself.
    """
    server = demo_process(tmp_path / "state").start()
    try:
        with server.connect() as client, server.connect() as watcher:
            all_read(client)
            watcher.create_subscription()
            switch(client, "pdu-a", "outlet-14", "off", ACCEPTED)
            switched = leaves(first(watcher, "supply-switched", entity="pdu-a"))
            until(lambda: stored(server, "supply-switched"), "the event is on the disk")
        server.end(number)
        server.start()
        with server.connect() as client:
            client.create_subscription(start_time=EVER)
            told = until_complete(client)
            times = [each.findtext(f"{{{NOTIFICATION}}}eventTime") for each in told]
            assert [leaves(each) for each in told].count(switched) == 1
            assert times == sorted(times, key=str)
    finally:
        server.end(signal.SIGKILL)


@pytest.mark.req("rfc5277-2.1")
def test_who_does_not_read_is_closed(server: ServerProcess, watcher: manager.Manager, client: manager.Manager) -> None:
    """A session that subscribes and does not read is closed; another gets every event, that end included."""
    names = [f"bulk-{number}" for number in range(100)]
    edit(client, "".join(f"<entity><id>{id_}</id><name>0</name></entity>" for id_ in names))
    watcher.create_subscription(filter=subtree("netconf-session-end", BASE_NOTES))
    deaf = server.connect()
    reads = threading.Event()
    with server.connect() as reader:
        for session in (deaf, reader):
            session.create_subscription(filter=subtree("netconf-config-change", BASE_NOTES))

        def nothing_until_the_end() -> bytes:
            reads.wait(ENDS_WITHIN)
            return b""

        deaf._session._transport_read = nothing_until_the_end
        turn = 0
        while (taken := watcher.take_notification(block=False)) is None:
            turn += 1
            assert turn < 2000, "nobody was closed"
            edit(client, "".join(f"<entity><id>{id_}</id><name>{turn}</name></entity>" for id_ in names))
        told = leaves(etree.fromstring(taken.notification_xml.encode()))
        assert (told["session-id"], told["termination-reason"]) == (deaf.session_id, "other")
        for _ in range(turn):
            assert len(heard(reader)[1].findall(f"{{{BASE_NOTES}}}edit")) == 100
        assert reader.take_notification(block=False) is None
    reads.set()
    edit(client, "".join(f"<entity {DELETE}><id>{id_}</id></entity>" for id_ in names))

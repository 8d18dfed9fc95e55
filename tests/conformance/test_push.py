"""Subscriptions over the wire: RFC 8639 and RFC 8641 over NETCONF (RFC 8640)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RaiseMode

from eman_netconf.errors import RpcError
from eman_netconf.notifications.observable import Observable
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema
from tests.conformance.conftest import EMAN, NS, ServerProcess, demo_process, edit, set_state, switch, until
from tests.conformance.hearing import content
from tests.conformance.talking import Asyncssh
from tests.notifications.subscriber import Subscriber, meaning

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
NCN = "urn:ietf:params:xml:ns:netconf:notification:1.0"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this file's own."""
    server = demo_process(tmp_path_factory.mktemp("push") / "state").start()
    yield server
    assert server.end() == 0, server.log.read_text()[-2000:]


@pytest.fixture
def session(site: ServerProcess) -> Iterator[manager.Manager]:
    """A session that is told errors as replies."""
    with connected(site) as opened:
        yield opened


@pytest.fixture
def other(site: ServerProcess) -> Iterator[manager.Manager]:
    """A session that is told errors as replies."""
    with connected(site) as opened:
        yield opened


def connected(site: ServerProcess) -> AbstractContextManager[Any]:
    opened = site.connect()
    opened.raise_mode = RaiseMode.NONE
    return opened


def call(session: manager.Manager, operation: str, body: str, namespace: str = SN) -> etree._Element:
    request = f'<{operation} xmlns="{namespace}" xmlns:yp="{YP}" xmlns:ds="{DS}">{body}</{operation}>'
    return etree.fromstring(session.dispatch(etree.fromstring(request)).xml.encode())


def establish(session: manager.Manager, body: str) -> int:
    """The number of a new subscription."""
    reply = call(session, "establish-subscription", body)
    number = reply.findtext(f"{{{SN}}}id")
    assert number is not None, etree.tostring(reply)
    return int(number)


def store(trigger: str, selection: str = "", name: str = "operational") -> str:
    return f"<yp:datastore>ds:{name}</yp:datastore>{selection}{trigger}"


def subtree(content: str) -> str:
    return f"<yp:datastore-subtree-filter>{content}</yp:datastore-subtree-filter>"


def entity_filter(id_: str, below: str = "") -> str:
    return subtree(
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>{id_}</id>{below}</entity></entities>'
        "</energy-management>"
    )


def error(reply: etree._Element) -> dict[str, str]:
    found = reply.find("nc:rpc-error", NS)
    assert found is not None, etree.tostring(reply)
    return {etree.QName(child).localname: (child.text or "").strip() for child in found}


@pytest.mark.req("rfc8641-3.1", "rfc8641-3.5.1")
@pytest.mark.req("rfc8641-3.7", "rfc8641-4.4.1", "rfc8640-4")
def test_periodic(session: manager.Manager) -> None:
    """A periodic subscription sends the selected data at once and then every period."""
    number = establish(session, store("<yp:periodic><yp:period>100</yp:period></yp:periodic>", entity_filter("pdu-a")))
    for _ in range(2):
        update = content(session)
        assert update.tag == f"{{{YP}}}push-update"
        assert update.findtext(f"{{{YP}}}id") == str(number)
        assert update.xpath(".//eman:entity/eman:id/text()", namespaces=NS) == ["pdu-a"]


@pytest.mark.req("rfc8641-3.6")
def test_periodic_by_xpath(session: manager.Manager) -> None:
    """A periodic subscription takes any XPath expression that selects nodes."""
    path = "//eman:entity[starts-with(eman:id, 'pdu-')]/eman:class"
    selection = f'<yp:datastore-xpath-filter xmlns:eman="{EMAN}">{path}</yp:datastore-xpath-filter>'
    establish(session, store("<yp:periodic><yp:period>6000</yp:period></yp:periodic>", selection))
    ids = content(session).xpath(".//eman:entity/eman:id/text()", namespaces=NS)
    assert {"pdu-a", "pdu-b"} <= set(ids)
    assert all(id_.startswith("pdu-") for id_ in ids)


@pytest.mark.req("rfc8641-4.4.1", "rfc8639-3.3")
def test_anchor(session: manager.Manager) -> None:
    """A subscription with an anchor-time is accepted, shown with it, and sends."""
    anchor = "2020-01-01T00:00:00.5Z"
    number = establish(
        session,
        store(
            f"<yp:periodic><yp:period>100</yp:period><yp:anchor-time>{anchor}</yp:anchor-time></yp:periodic>",
            entity_filter("pdu-a"),
        ),
    )
    shown = session.get(filter=("subtree", f'<subscriptions xmlns="{SN}"/>')).data_ele
    (entry,) = (one for one in shown.iter(f"{{{SN}}}subscription") if one.findtext(f"{{{SN}}}id") == str(number))
    assert entry.findtext(f".//{{{YP}}}anchor-time") == anchor
    assert entry.find(f"{{{YP}}}datastore-subtree-filter/{{{EMAN}}}energy-management") is not None
    content(session, "push-update")


ON_CHANGE = "<yp:on-change/>"
SUPPLY = "eman:energy-management/eman:entities/eman:entity/empi:power-interface/empi:supply/empi:oper-state"


def supplies(update: etree._Element) -> dict[str, str]:
    """The states of outlets in a push-update, by interface."""
    return {
        str(state.getparent().getparent().findtext(f"{{{NS['empi']}}}name")): state.text or ""
        for state in update.iterfind(f".//{{{NS['empi']}}}oper-state")
    }


@pytest.mark.req("rfc8641-3.1", "rfc8641-3.5.2")
@pytest.mark.req("rfc8641-3.3", "rfc8641-3.7", "rfc8641-3.10", "rfc8640-6")
def test_on_change(session: manager.Manager, other: manager.Manager, schema: Schema) -> None:
    """A subscriber on change gets the whole once, then patches; making the edits it holds what the server shows."""
    establish(session, store(ON_CHANGE, entity_filter("pdu-a", f'<power-interface xmlns="{NS["empi"]}"/>')))
    subscriber = Subscriber(schema)
    first = content(session)
    assert first.tag == f"{{{YP}}}push-update"
    assert supplies(first)["outlet-11"] == "on"
    assert not first.findall(f".//{{{NS['emm']}}}power"), "readings are not told on change"
    subscriber.take(first)

    switch(other, "pdu-a", "outlet-11", "off")

    entities = schema.find("eman-entity:energy-management/entities/entity")
    outlets = entities.child("power-interface")
    state = "on"
    while state != "off":
        change = content(session, "push-change-update")
        subscriber.take(change)
        held = subscriber.tree.at("energy-management", "entities", "entity").entries["pdu-a",]  # type: ignore[union-attr]
        state = held.children[outlets].entries["outlet-11",].at("supply").leaf("oper-state")  # type: ignore[union-attr]
    assert subscriber.patches == [str(number) for number in range(1, len(subscriber.patches) + 1)]
    switch(other, "pdu-a", "outlet-11", "on")


@pytest.mark.req("rfc8641-3.4")
@pytest.mark.req("rfc8641-3.7", "rfc8641-3.10")
def test_nothing_is_missed(own_demo: ServerProcess, schema: Schema) -> None:
    """Whatever is switched and configured, who makes all edits holds all of the site that is told on change."""
    observable = Observable(schema)
    listener, actor = connected(own_demo), connected(own_demo)
    with listener, actor:
        establish(listener, store(ON_CHANGE, subtree(f'<energy-management xmlns="{EMAN}"/>')))
        subscriber = Subscriber(schema)
        subscriber.take(content(listener))

        set_state(actor, "server-3", "ieee1621-off")
        switch(actor, "pdu-a", "outlet-16", "off")
        switch(actor, "sw-1", "port-3", "off")
        edit(actor, "<entity><id>ups-1</id><role>renamed</role><keyword>told</keyword></entity>")
        edit(actor, "<entity><id>new-1</id><contained-in>pdu-a</contained-in><keyword>told</keyword></entity>")
        members = "<member>new-1</member><match><keyword>told</keyword></match>"
        groups = f'<groups xmlns="{NS["emgrp"]}"><group><name>told</name>{members}</group></groups>'
        configure(actor, f'<energy-management xmlns="{EMAN}">{groups}</energy-management>')
        edit(
            actor,
            '<entity xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="delete"><id>new-1</id></entity>',
        )

        def same() -> bool:
            shown = actor.get(filter=("subtree", f'<energy-management xmlns="{EMAN}"/>')).data_ele
            while (told := listener.take_notification(block=False)) is not None:
                subscriber.take(etree.fromstring(told.notification_xml.encode())[1])
            errors: list[RpcError] = []
            tree = read_inner(etree.fromstring(etree.tostring(shown)), schema.root, schema, errors=errors)
            assert not errors, errors
            told_on_change = observable.without_readings(tree, None, lambda _key: None)
            return meaning(told_on_change, empty=False) == meaning(subscriber.tree, empty=False)

        until(same, "the subscriber holds what is shown")


@pytest.mark.req("rfc8641-3.7", "rfc8641-3.10")
def test_on_change_of_configuration(session: manager.Manager, other: manager.Manager, schema: Schema) -> None:
    """What a commit changed in running comes as edits of just that."""
    establish(session, store(ON_CHANGE, entity_filter("ups-1"), "running"))
    subscriber = Subscriber(schema)
    subscriber.take(content(session))

    edit(other, "<entity><id>ups-1</id><role>told on change</role></entity>")

    change = content(session)
    subscriber.take(change)
    targets = [target.text or "" for target in change.iter(f"{{{YP}}}target")]
    assert targets == ["/eman-entity:energy-management/entities/entity=ups-1/role"]
    entry = subscriber.tree.at("energy-management", "entities", "entity").entries["ups-1",]  # type: ignore[union-attr]
    assert entry.leaf("role") == "told on change"


@pytest.mark.req("rfc8342-5.3", "rfc8641-3.7")
def test_what_no_device_tells_of(session: manager.Manager, other: manager.Manager) -> None:
    """What is configured and was never seen is not in operation: neither updates nor changes tell it, nor get-data."""
    entity = "<entity><id/><role/></entity>"
    everybody = subtree(f'<energy-management xmlns="{EMAN}"><entities>{entity}</entities></energy-management>')

    def ids(told: etree._Element) -> set[str]:
        return set(told.xpath(".//eman:entity/eman:id/text()", namespaces=NS))

    edit(other, "<entity><id>spare-1</id></entity>")
    try:
        establish(session, store(ON_CHANGE, everybody))
        listed = ids(content(session, "push-update"))
        edit(other, "<entity><id>spare-2</id></entity>")
        edit(other, "<entity><id>spare-1</id><role>unseen</role></entity>")
        edit(other, "<entity><id>pdu-b</id><role>seen</role></entity>")
        targets: list[str] = []
        while not any("pdu-b" in target for target in targets):
            change = content(session, "push-change-update")
            targets += [target.text or "" for target in change.iter(f"{{{YP}}}target")]
        establish(session, store("<yp:periodic><yp:period>6000</yp:period></yp:periodic>", everybody))
        periodic = ids(content(session, "push-update"))
        selection = f'<xpath-filter xmlns:eman="{EMAN}">//eman:entity/eman:id</xpath-filter>'
        read = ids(call(other, "get-data", f"<datastore>ds:operational</datastore>{selection}", NMDA))
    finally:
        removed = f'<entity xmlns:nc="{NS["nc"]}" nc:operation="remove">'
        edit(other, f"{removed}<id>spare-1</id></entity>{removed}<id>spare-2</id></entity>")
    assert "pdu-b" in listed
    assert listed == periodic == read
    assert not [id_ for id_ in listed | {*targets} if "spare" in id_]


@pytest.mark.req("rfc8641-3.3")
def test_without_sync(session: manager.Manager, other: manager.Manager) -> None:
    """Without sync-on-start nothing is sent until something changes, and excluded kinds of changes never are."""
    trigger = (
        "<yp:on-change><yp:sync-on-start>false</yp:sync-on-start>"
        "<yp:excluded-change>replace</yp:excluded-change></yp:on-change>"
    )
    establish(session, store(trigger, entity_filter("ups-1"), "running"))
    edit(other, "<entity><id>ups-1</id><role>first</role></entity>")
    edit(other, "<entity><id>ups-1</id><role>second</role><keyword>new</keyword></entity>")

    operations = [item.text for item in content(session, "push-change-update").iter(f"{{{YP}}}operation")]
    while "create" not in operations:
        operations = [item.text for item in content(session, "push-change-update").iter(f"{{{YP}}}operation")]
    assert "replace" not in operations


@pytest.mark.req("rfc8641-4.4.4")
def test_resync(session: manager.Manager) -> None:
    """resync-subscription sends the whole again; for one that is not on change it is an error."""
    number = establish(session, store(ON_CHANGE, entity_filter("ups-1"), "running"))
    first = content(session)
    reply = call(session, "resync-subscription", f"<id>{number}</id>", YP)
    assert reply.find("nc:ok", NS) is not None
    again = content(session)
    assert etree.tostring(again) == etree.tostring(first)
    periodic = establish(session, store("<yp:periodic><yp:period>6000</yp:period></yp:periodic>"))
    refusal = error(call(session, "resync-subscription", f"<id>{periodic}</id>", YP))
    assert refusal["error-app-tag"] == "ietf-yang-push:no-such-subscription-resync"


@pytest.mark.req("rfc8639-2.4.6", "rfc8640-7", "rfc8641-3.2", "rfc8641-3.6")
@pytest.mark.parametrize(
    ("body", "tag", "reason", "hint"),
    [
        (
            store("<yp:periodic><yp:period>1</yp:period></yp:periodic>"),
            "invalid-value",
            "ietf-yang-push:period-unsupported",
            ("period-hint", "100"),
        ),
        (
            store(ON_CHANGE, subtree('<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"/>')),
            "operation-not-supported",
            "ietf-yang-push:on-change-unsupported",
            None,
        ),
        (store(ON_CHANGE, name="candidate"), "invalid-value", "ietf-yang-push:datastore-not-subscribable", None),
        (
            store(ON_CHANGE, subtree('<nothing xmlns="urn:nobody"/>')),
            "operation-failed",
            "ietf-yang-push:unchanging-selection",
            None,
        ),
        (
            store(ON_CHANGE, "<yp:datastore-xpath-filter>1 + 1</yp:datastore-xpath-filter>"),
            "invalid-value",
            "ietf-subscribed-notifications:filter-unsupported",
            ("filter-failure-hint", "The filter's expression gives a number; select nodes by their path."),
        ),
        (
            store(ON_CHANGE, "<yp:datastore-xpath-filter>//*[starts-with(., 'pdu')]</yp:datastore-xpath-filter>"),
            "invalid-value",
            "ietf-subscribed-notifications:filter-unsupported",
            ("filter-failure-hint", "conditions on keys only"),
        ),
    ],
)
def test_refusals(session: manager.Manager, body: str, tag: str, reason: str, hint: tuple[str, str] | None) -> None:
    """What cannot be had is refused with the identity that says why, and a hint where there is one."""
    reply = call(session, "establish-subscription", body)
    refusal = error(reply)
    assert (refusal["error-type"], refusal["error-tag"], refusal["error-app-tag"]) == ("application", tag, reason)
    if hint is not None:
        info = reply.find(f".//{{{YP}}}establish-subscription-datastore-error-info")
        assert info is not None
        assert info.findtext(f"{{{YP}}}{hint[0]}") == hint[1]


STREAM = "<stream>NETCONF</stream>"
PERIODIC = "<yp:periodic><yp:period>6000</yp:period></yp:periodic>"


@pytest.mark.req("rfc8639-2.4.2")
@pytest.mark.parametrize(
    ("body", "tag", "element"),
    [
        (store(""), "missing-element", "periodic"),
        ("<stream>OTHER</stream>", "invalid-value", "stream"),
        (STREAM + PERIODIC, "invalid-value", "periodic"),
        (f"{STREAM}<stop-time>2020-01-01T00:00:00Z</stop-time>", "invalid-value", "stop-time"),
        (f"{STREAM}<stop-time>9999-12-31T23:59:60Z</stop-time>", "invalid-value", "stop-time"),
        (f"{STREAM}<replay-start-time>9000-01-01T00:00:00Z</replay-start-time>", "invalid-value", "replay-start-time"),
        (STREAM + store(PERIODIC), "bad-element", None),
        (PERIODIC, "missing-element", None),
        (store(PERIODIC, "<yp:selection-filter-ref>none</yp:selection-filter-ref>"), "data-missing", None),
    ],
)
def test_wrong_requests(session: manager.Manager, body: str, tag: str, element: str | None) -> None:
    """What makes no sense is refused with the element that is wrong."""
    reply = call(session, "establish-subscription", body)
    assert error(reply)["error-tag"] == tag
    if element is not None:
        assert reply.findtext(".//nc:bad-element", namespaces=NS) == element


@pytest.mark.req("rfc8641-4.4.2")
def test_wrong_modifications(session: manager.Manager) -> None:
    """A subscription stays to its datastore, and periodic or on change as it was."""
    number = establish(session, store(PERIODIC, entity_filter("pdu-a")))
    for other in (store(ON_CHANGE), store(PERIODIC, name="running"), "<stream-subtree-filter/>"):
        assert error(call(session, "modify-subscription", f"<id>{number}</id>{other}"))["error-tag"] == "invalid-value"
    assert call(session, "modify-subscription", f"<id>{number}</id>{store('')}").find("nc:ok", NS) is not None


@pytest.mark.req("rfc8641-3.6")
def test_filters_are_bounded(session: manager.Manager) -> None:
    """A filter that is kept as long as its subscription has a largest size."""
    long = store(PERIODIC, subtree(f'<energy-management xmlns="{EMAN}"/>' * 2_000))
    refusal = error(call(session, "establish-subscription", long))
    assert refusal["error-app-tag"] == "ietf-subscribed-notifications:filter-unsupported"


@pytest.mark.req("rfc8641-4.4.3")
@pytest.mark.req("rfc8641-3.8")
@pytest.mark.req("rfc8639-2.4.3", "rfc8639-2.4.4", "rfc8641-4.4.2")
def test_modify_and_delete(session: manager.Manager, other: manager.Manager) -> None:
    """A subscription goes on with another filter and ends when it is deleted, by its own session alone."""
    number = establish(session, store("<yp:periodic><yp:period>100</yp:period></yp:periodic>", entity_filter("pdu-a")))
    assert content(session).xpath(".//eman:entity/eman:id/text()", namespaces=NS) == ["pdu-a"]
    new = f"<id>{number}</id>" + store("<yp:periodic><yp:period>200</yp:period></yp:periodic>", entity_filter("pdu-b"))
    assert call(session, "modify-subscription", new).find("nc:ok", NS) is not None
    while content(session).xpath(".//eman:entity/eman:id/text()", namespaces=NS) != ["pdu-b"]:
        pass
    for operation in ("modify-subscription", "delete-subscription"):
        refusal = error(call(other, operation, new if operation.startswith("modify") else f"<id>{number}</id>"))
        assert refusal["error-app-tag"] == "ietf-subscribed-notifications:no-such-subscription"

    assert call(session, "delete-subscription", f"<id>{number}</id>").find("nc:ok", NS) is not None

    refusal = error(call(session, "delete-subscription", f"<id>{number}</id>"))
    assert refusal["error-tag"] == "invalid-value"
    assert refusal["error-app-tag"] == "ietf-subscribed-notifications:no-such-subscription"


@pytest.mark.req("rfc8639-2.4.5", "rfc8639-2.7.3")
def test_kill(session: manager.Manager, other: manager.Manager) -> None:
    """The administrator ends anybody's subscription, whose receiver is told."""
    number = establish(session, store(ON_CHANGE, entity_filter("pdu-b")))
    assert call(other, "kill-subscription", f"<id>{number}</id>").find("nc:ok", NS) is not None
    told = content(session, "subscription-terminated")
    assert told.findtext(f"{{{SN}}}id") == str(number)
    assert (told.findtext(f"{{{SN}}}reason") or "").endswith("no-such-subscription")


@pytest.mark.req("rfc8639-2.6")
@pytest.mark.req("rfc8639-2.1", "rfc8639-2.2", "rfc8639-2.4.2")
def test_stream(session: manager.Manager, other: manager.Manager) -> None:
    """A subscription to the stream gets the events its filter selects."""
    establish(
        session,
        f'<stream>NETCONF</stream><stream-subtree-filter><supply-switched xmlns="{NS["empi"]}"/>'
        "</stream-subtree-filter>",
    )
    switch(other, "pdu-a", "outlet-12", "off")
    event = content(session)
    assert etree.QName(event).localname == "supply-switched"
    assert event.findtext(f"{{{NS['empi']}}}interface") == "outlet-12"
    switch(other, "pdu-a", "outlet-12", "on")


@pytest.mark.req("rfc8639-2.4.2.1", "rfc8639-2.7.7")
def test_replay(session: manager.Manager, other: manager.Manager) -> None:
    """What happened before is replayed, then replay-completed, then what happens."""
    live = establish(session, "<stream>NETCONF</stream>")
    edit(other, "<entity><id>ups-1</id><role>before the replay</role></entity>")
    content(session, "netconf-config-change")
    call(session, "delete-subscription", f"<id>{live}</id>")
    reply = call(
        other,
        "establish-subscription",
        "<stream>NETCONF</stream><replay-start-time>2020-01-01T00:00:00Z</replay-start-time>",
    )
    revision = reply.findtext(f"{{{SN}}}replay-start-time-revision")
    assert revision is not None
    assert datetime.fromisoformat(revision) > datetime.fromisoformat("2020-01-01T00:00:00Z")
    names = []
    while "replay-completed" not in names:
        names.append(etree.QName(content(other)).localname)
    assert "netconf-config-change" in names
    edit(session, "<entity><id>ups-1</id><role>after the replay</role></entity>")
    content(other, "netconf-config-change")


@pytest.mark.req("rfc8639-2.4.2")
def test_stop_time(session: manager.Manager) -> None:
    """At its stop-time a subscription ends, and its receiver is told; a stop-time in the past is refused."""
    soon = datetime.fromtimestamp(time.time() + 3, UTC).isoformat()
    number = establish(session, f"<stream>NETCONF</stream><stop-time>{soon}</stop-time>")
    told = content(session, "subscription-terminated")
    assert told.findtext(f"{{{SN}}}id") == str(number)
    refusal = error(
        call(
            session,
            "establish-subscription",
            "<stream>NETCONF</stream><stop-time>2020-01-01T00:00:00Z</stop-time>",
        )
    )
    assert refusal["error-tag"] == "invalid-value"


# --- named filters ---------------------------------------------------------------------------------------------------


def configure(session: manager.Manager, content: str) -> etree._Element:
    config = f'<config xmlns="{NS["nc"]}" xmlns:nc="{NS["nc"]}">{content}</config>'
    return etree.fromstring(session.edit_config(target="running", config=config).xml.encode())


def selection_filter(content: str, operation: str = "replace") -> str:
    return (
        f'<filters xmlns="{SN}"><selection-filter xmlns="{YP}" nc:operation="{operation}">'
        f"<filter-id>mine</filter-id>{content}</selection-filter></filters>"
    )


def xpath_filter(id_: str) -> str:
    path = f"/e:energy-management/e:entities/e:entity[e:id='{id_}']"
    return f'<datastore-xpath-filter xmlns:e="{EMAN}">{path}</datastore-xpath-filter>'


@pytest.mark.req("rfc8639-2.2", "rfc8639-2.7.2", "rfc8639-2.7.3", "rfc8641-3.6")
def test_named_filter(session: manager.Manager, other: manager.Manager) -> None:
    """A subscription by the name of a filter follows what that filter selects, and ends with it."""
    assert configure(other, selection_filter(xpath_filter("pdu-a"))).find("nc:ok", NS) is not None
    number = establish(session, store(ON_CHANGE, "<yp:selection-filter-ref>mine</yp:selection-filter-ref>"))
    assert content(session).xpath(".//eman:entity/eman:id/text()", namespaces=NS) == ["pdu-a"]

    configure(other, selection_filter(xpath_filter("pdu-b")))
    told = content(session, "subscription-modified")
    assert told.findtext(f"{{{SN}}}id") == str(number)
    assert told.findtext(f"{{{YP}}}selection-filter-ref") == "mine"
    assert content(session, "push-update").xpath(".//eman:entity/eman:id/text()", namespaces=NS) == ["pdu-b"]

    configure(other, selection_filter("", "delete"))
    told = content(session, "subscription-terminated")
    assert (told.findtext(f"{{{SN}}}reason") or "").endswith("filter-unavailable")


@pytest.mark.req("rfc8639-2.2")
def test_filters_that_cannot_be_read(other: manager.Manager) -> None:
    """A filter that nobody could use is not committed, and nobody configures subscriptions."""
    wrong = error(configure(other, selection_filter("<datastore-xpath-filter>1 +</datastore-xpath-filter>")))
    assert wrong["error-tag"] == "invalid-value"
    subscription = f'<subscriptions xmlns="{SN}"><subscription><id>9</id><stream>NETCONF</stream>'
    receivers = "<receivers><receiver><name>me</name></receiver></receivers>"
    refused = error(configure(other, f"{subscription}{receivers}</subscription></subscriptions>"))
    assert refused["error-tag"] == "operation-not-supported"


# --- what is shown, who may see what, who is slow --------------------------------------------------------------------


def listed(session: manager.Manager) -> dict[str, str]:
    """The subscriptions there are, with the states of their receivers."""
    shown = session.get(filter=("subtree", f'<subscriptions xmlns="{SN}"/>')).data_ele
    return {
        entry.findtext(f"{{{SN}}}id"): entry.findtext(f".//{{{SN}}}state")
        for entry in shown.iter(f"{{{SN}}}subscription")
    }


@pytest.mark.req("rfc8641-3.8")
@pytest.mark.req("rfc8639-2.8")
@pytest.mark.req("rfc8639-3.1", "rfc8639-3.3", "rfc8640-5")
def test_shown(site: ServerProcess, other: manager.Manager) -> None:
    """Streams and subscriptions are state that can be read; a session's subscriptions end with it."""
    with connected(site) as session:
        numbers = {
            str(establish(session, "<stream>NETCONF</stream>")),
            str(establish(session, store(ON_CHANGE, entity_filter("pdu-a")))),
        }
        assert numbers <= listed(other).keys()
    until(lambda: not numbers & listed(other).keys(), "the subscriptions end with their session")
    streams = other.get(filter=("subtree", f'<streams xmlns="{SN}"/>')).data_ele
    assert streams.findtext(f".//{{{SN}}}name") == "NETCONF"
    assert streams.find(f".//{{{SN}}}replay-support") is not None


@pytest.mark.req("rfc8640-3")
def test_not_both_kinds(session: manager.Manager, other: manager.Manager) -> None:
    """A session has subscriptions of RFC 5277 or of RFC 8639, not of both."""
    assert call(session, "create-subscription", "", NCN).find("nc:ok", NS) is not None
    refusal = error(call(session, "establish-subscription", "<stream>NETCONF</stream>"))
    assert (refusal["error-type"], refusal["error-tag"]) == ("protocol", "operation-not-supported")
    establish(other, "<stream>NETCONF</stream>")
    refusal = error(call(other, "create-subscription", "", NCN))
    assert (refusal["error-type"], refusal["error-tag"]) == ("protocol", "operation-not-supported")


@pytest.mark.req("rfc8639-5.4", "rfc8641-3.9")
def test_only_what_may_be_read(site: ServerProcess, other: manager.Manager) -> None:
    """Who may not read an entity is told nothing of it; when the rules change he gets what he may read then."""
    rule = (
        '<rule-list nc:operation="{operation}"><name>eve</name><group>eves</group><rule><name>hidden</name>'
        f"<path xmlns:em=\"{EMAN}\">/em:energy-management/em:entities/em:entity[em:id='pdu-b']</path>"
        "<action>deny</action></rule></rule-list>"
    )
    acm = f'<nacm xmlns="{ACM}">{{}}</nacm>'
    groups = "<groups><group><name>eves</name><user-name>eve</user-name></group></groups>"
    configure(
        other,
        f'<system xmlns="{SYSTEM}"><authentication><user><name>eve</name><password>$0$open sesame</password></user>'
        "</authentication></system>"
        + acm.format(f"<exec-default>permit</exec-default>{groups}{rule.format(operation='merge')}"),
    )
    eve = site.connect(username="eve", password="open sesame")
    eve.raise_mode = RaiseMode.NONE
    with eve:
        number = establish(eve, store(ON_CHANGE, subtree(f'<energy-management xmlns="{EMAN}"/>'), "running"))
        first = content(eve).xpath(".//eman:entity/eman:id/text()", namespaces=NS)
        assert "pdu-a" in first
        assert "pdu-b" not in first
        configure(other, acm.format(rule.format(operation="delete")))
        assert "pdu-b" in content(eve, "push-update").xpath(".//eman:entity/eman:id/text()", namespaces=NS)
        refusal = error(call(eve, "kill-subscription", f"<id>{number}</id>"))
        assert refusal["error-tag"] == "access-denied"


class Deaf(Asyncssh):
    """A client that reads when it is told to, and then tells replies from notifications."""

    def establish(self, body: str) -> None:
        namespaces = f'xmlns="{SN}" xmlns:yp="{YP}" xmlns:ds="{DS}"'
        message = f"<establish-subscription {namespaces}>{body}</establish-subscription>"
        self.tell(f'<rpc xmlns="{NS["nc"]}" message-id="deaf">{message}</rpc>')

    def next_of(self, *names: str) -> str:
        """Read until a message holds one of these."""
        while True:
            content = self.hear()
            for name in names:
                if name.encode() in content[:500]:
                    return name


@pytest.mark.req("rfc8639-2.4.2", "rfc8640-6")
def test_the_reply_comes_first(site: ServerProcess) -> None:
    """Nothing of a subscription comes before the reply that tells its number."""
    listener = Deaf(site)
    try:
        known: set[str] = set()
        for _ in range(10):
            listener.establish(store(ON_CHANGE, entity_filter("pdu-a")))
            while True:
                message = etree.fromstring(listener.hear())
                if message.tag == f"{{{NS['nc']}}}rpc-reply":
                    known.add(message.findtext(f"{{{SN}}}id") or "")
                    break
                assert message[1].findtext(f"{{{YP}}}id") in known
        assert len(known) == 10
    finally:
        listener.close()


@pytest.mark.req("rfc8639-2.4.1", "rfc8639-2.7.4", "rfc8639-2.7.5", "rfc8641-3.11")
def test_slow_receiver(site: ServerProcess, session: manager.Manager, other: manager.Manager) -> None:
    """A receiver that does not read is suspended while others are served; when it reads again it is resumed."""
    before = set(listed(other))
    deaf = Deaf(site)
    try:
        trigger = "<yp:periodic><yp:period>100</yp:period></yp:periodic>"
        for _ in range(20):
            deaf.establish(store(trigger, subtree(f'<energy-management xmlns="{EMAN}"/>')))
        until(lambda: "suspended" in listed(other).values(), "somebody who does not read is suspended")
        number = establish(session, store(trigger, entity_filter("pdu-a")))
        for _ in range(3):
            assert content(session).findtext(f"{{{YP}}}id") == str(number)
        assert listed(other)[str(number)] == "active"

        assert deaf.next_of("subscription-suspended") == "subscription-suspended"
        assert deaf.next_of("subscription-resumed") == "subscription-resumed"
    finally:
        deaf.close()
    until(lambda: set(listed(other)) <= {*before, str(number)}, "the subscriptions of a lost session end")


@pytest.mark.req("rfc8639-2.7.3")
def test_server_ends(own_demo: ServerProcess) -> None:
    """When the server stops, subscribers are told before their sessions end."""
    opened = connected(own_demo)
    establish(opened, store(ON_CHANGE, entity_filter("pdu-a")))
    content(opened)
    assert own_demo.end(signal.SIGTERM) == 0
    told = content(opened, "subscription-terminated")
    assert (told.findtext(f"{{{SN}}}reason") or "").endswith("datastore-not-subscribable")

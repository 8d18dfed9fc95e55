"""RFC 6988 section 5.3.6 asked over NETCONF: what leaves its thresholds is told once, and once when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    ENTITIES,
    NS,
    ServerProcess,
    entity,
    found,
    one,
    run,
    set_state,
    summer_process,
    until,
)
from tests.conformance.hearing import heard, heard_until
from tests.conformance.site import leaves

AL = "urn:ietf:params:xml:ns:yang:ietf-alarms"
TH = f'xmlns="{NS["emth"]}" xmlns:emt="urn:eman:yang:eman-types" xmlns:embat="{NS["embat"]}"'
ALL = "/eman:energy-management"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this file's own."""
    with run(summer_process(tmp_path_factory.mktemp("thresholds") / "state")) as server:
        yield server


@pytest.fixture
def client(site: ServerProcess) -> Iterator[manager.Manager]:
    with site.connect() as session:
        yield session


@pytest.fixture
def listener(site: ServerProcess) -> Iterator[manager.Manager]:
    """A session that hears of thresholds and of alarms."""
    with site.connect() as session:
        session.create_subscription()
        yield session


def threshold(name: str, quantity: str, level: str, more: str = "", *, selects: str = "") -> str:
    """The configuration of a threshold from above."""
    return (
        f"<threshold {TH}><name>{name}</name><quantity>{quantity}</quantity>{selects}<direction>above</direction>"
        f"<level>{level}</level>{more}</threshold>"
    )


def configure(session: manager.Manager, place: str, inner: str) -> None:
    """Edit below an entity, domain or group, named as ``entity srv-01``."""
    kind, name = place.split()
    if kind == "entity":
        body = f"<entities><entity><id>{name}</id>{inner}</entity></entities>"
    else:
        body = f'<{kind}s xmlns="{NS["emgrp"]}"><{kind}><name>{name}</name>{inner}</{kind}></{kind}s>'
    top = f'<energy-management xmlns="{NS["eman"]}">{body}</energy-management>'
    session.edit_config(target="running", config=f'<config xmlns="{NS["nc"]}">{top}</config>')


def take_out(session: manager.Manager, place: str, name: str) -> None:
    """Delete a threshold."""
    inner = f'<threshold {TH} xmlns:nc="{NS["nc"]}" nc:operation="delete"><name>{name}</name></threshold>'
    configure(session, place, inner)


def path(place: str, name: str) -> str:
    """Where a threshold stands."""
    kind, of = place.split()
    way = ENTITIES if kind == "entity" else f"{ALL}/emgrp:{kind}s/emgrp:{kind}"
    key = "eman:id" if kind == "entity" else "emgrp:name"
    return f"{way}[{key}='{of}']/emth:threshold[emth:name='{name}']"


def state(session: manager.Manager, place: str, name: str) -> str | None:
    return one(session, f"{path(place, name)}/emth:state")


def watts(session: manager.Manager, id_: str) -> Decimal:
    return Decimal(one(session, entity(id_, "/emm:power/emm:active")) or "NaN")


def alarms(session: manager.Manager, part: str) -> list[tuple[str, str]]:
    """Severity of the alarms of crossed thresholds whose resource holds ``part``, and whether they are cleared."""
    listed = session.get(filter=("subtree", f'<alarms xmlns="{AL}"><alarm-list/></alarms>')).data_ele
    entries = [leaves(each) for each in listed.iter(f"{{{AL}}}alarm")]
    return [
        (each["perceived-severity"], each["is-cleared"])
        for each in entries
        if each["alarm-type-id"] == "emal:threshold-crossed" and part in each["resource"]
    ]


@pytest.mark.req("d5.3.6", "r5.3.6")
def test_a_load_over_and_back(client: manager.Manager, listener: manager.Manager) -> None:
    """Power driven over the level, into the hysteresis, over again and back: one crossing and one end are told."""
    place, server = "entity srv-05", "srv-05"
    set_state(client, server, "dmtf-sleep-deep")
    until(lambda: watts(client, server) < 30, "the server sleeps deeply")
    configure(
        client,
        place,
        threshold("awake", "emt:active-power", "100", "<hysteresis>70</hysteresis><severity>major</severity>"),
    )
    until(lambda: state(client, place, "awake") == "normal", "the threshold knows its value")

    set_state(client, server, "dmtf-on")
    until(lambda: state(client, place, "awake") == "crossed", "the load is over the level")
    assert alarms(client, "srv-05") == [("major", "false")]
    set_state(client, server, "dmtf-sleep-light")
    until(lambda: 30 < watts(client, server) < 70, "the load is within the hysteresis")
    assert state(client, place, "awake") == "crossed"
    set_state(client, server, "dmtf-on")
    until(lambda: watts(client, server) > 100, "the load is over the level again")
    set_state(client, server, "dmtf-sleep-deep")
    until(lambda: state(client, place, "awake") == "normal", "the load is back")

    mine = heard_until(
        listener,
        "threshold-crossed",
        lambda told: told["event"] == "cleared",
        lambda told: told.get("entity") == server,
    )
    assert [told["event"] for told in mine] == ["crossed", "cleared"]
    assert {told["entity-uuid"] for told in mine} == {one(client, entity(server, "/eman:uuid"))}
    over, back = mine
    assert (over["threshold"], over["direction"], over["level"], over["severity"]) == (
        "awake",
        "above",
        "100.0",
        "major",
    )
    assert over["quantity"].endswith(":active-power")
    assert Decimal(over["value"]) > 100
    assert Decimal(back["value"]) <= 30
    until(lambda: alarms(client, "srv-05") == [("major", "true")], "the alarm is cleared")
    shown = found(client, path(place, "awake"))[0]
    assert leaves(shown)["crossings"] == "1"
    take_out(client, place, "awake")
    set_state(client, server, "dmtf-on")


@pytest.mark.req("d5.3.6", "r5.3.6")
@pytest.mark.parametrize(
    ("place", "quantity", "selects"),
    [
        ("entity pdu-a", "emt:active-power", "<interface>outlet-5</interface>"),
        ("entity feed-a", "emt:current", "<phase>l2</phase><interface>grid</interface>"),
        ("entity ups-1", "embat:battery-temperature", "<battery>string-2</battery>"),
        ("entity ups-1", "embat:battery-charge-percent", "<battery>string-1</battery>"),
        ("entity ups-1", "embat:battery-cycle-count", "<battery>string-1</battery>"),
        ("entity meter-1", "emt:frequency", ""),
        ("entity srv-09", "emt:energy-received", ""),
        ("group servers", "emt:active-power", ""),
        ("domain lab-rack-1", "emt:active-power", ""),
        ("domain lab", "emt:energy-received", ""),
    ],
)
def test_whatever_can_be_watched(
    client: manager.Manager, listener: manager.Manager, place: str, quantity: str, selects: str
) -> None:
    """Entities, phases, interfaces, batteries, groups and domains have thresholds on power, energy and the rest; the
    notification says what was selected, and the commit of another level ends it."""
    kind, name = place.split()
    configure(client, place, threshold("all", quantity, "-1000000", selects=selects))
    mine = heard_until(listener, "threshold-crossed", lambda told: True, lambda told: told["threshold"] == "all")[0]
    assert mine["event"] == "crossed"
    assert mine[kind] == name
    assert mine["quantity"].partition(":")[2] == quantity.partition(":")[2]
    chosen = etree.fromstring(f"<selects>{selects}</selects>")
    assert leaves(chosen).items() <= mine.items()
    until(lambda: state(client, place, "all") == "crossed", "it is shown")
    until(lambda: ("minor", "false") in alarms(client, f"'{name}'"), "the alarm is raised")

    configure(client, place, threshold("all", quantity, "1000000000", selects=selects))
    back = heard_until(listener, "threshold-crossed", lambda told: True, lambda told: told["threshold"] == "all")[0]
    assert (back["event"], back["level"]) == ("cleared", "1000000000.0")
    take_out(client, place, "all")
    assert not found(client, path(place, "all"))


@pytest.mark.req("d5.3.6", "r5.3.6")
def test_a_hold_time_and_a_switch(client: manager.Manager, listener: manager.Manager) -> None:
    """Only what lasts for the hold time is told; what is switched off tells nothing and shows no state."""
    place = "entity srv-10"
    held = threshold("held", "emt:active-power", "1", "<hold-time>60</hold-time>")
    read = until(lambda: one(client, entity("srv-10", "/emm:power/emm:time")), "its power is known")
    configure(client, place, held)
    told = heard(listener, "threshold-crossed")
    assert (told["threshold"], told["event"]) == ("held", "crossed")
    assert datetime.fromisoformat(told["time"]) - datetime.fromisoformat(read) >= timedelta(seconds=60)
    assert told["time"] == one(client, f"{path(place, 'held')}/emth:state-since")
    configure(client, place, held.replace("<hold-time>", "<enabled>false</enabled><hold-time>"))
    assert state(client, place, "held") is None
    until(lambda: alarms(client, "srv-10") == [("minor", "true")], "the alarm is cleared")
    configure(client, place, held.replace("<hold-time>", "<enabled>true</enabled><hold-time>"))
    assert state(client, place, "held") == "crossed"
    until(lambda: alarms(client, "srv-10") == [("minor", "false")], "the alarm is raised")


def test_what_cannot_be_watched_is_refused(client: manager.Manager) -> None:
    """A quantity of batteries without a battery is refused with words, and with the place."""
    with pytest.raises(RPCError, match="needs the battery's name") as refused:
        configure(client, "entity ups-1", threshold("x", "embat:battery-charge", "1"))
    assert refused.value.path.endswith("quantity")
    with pytest.raises(RPCError, match="no batteries"):
        configure(client, "group servers", threshold("x", "embat:battery-charge", "1"))


@pytest.mark.req("d5.3.6", "r5.3.6")
def test_thresholds_outlive_the_server(tmp_path: Path) -> None:
    """After a restart a crossed threshold is crossed, is not told again, and its end is told."""
    place, of, group = "entity srv-06", "srv-06", "group lighting"
    with run(summer_process(tmp_path / "state")) as server, server.connect() as session:
        configure(session, place, threshold("awake", "emt:active-power", "100", "<hysteresis>50</hysteresis>"))
        configure(session, group, threshold("lit", "emt:active-power", "0"))
        until(lambda: state(session, place, "awake") == "crossed", "the server is on")
        until(lambda: state(session, group, "lit") == "crossed", "the lamps are on")
        since = one(session, f"{path(place, 'awake')}/emth:state-since")
    with run(summer_process(tmp_path / "state")) as server, server.connect() as session, server.connect() as listener:
        assert state(session, place, "awake") == "crossed"
        assert one(session, f"{path(place, 'awake')}/emth:state-since") == since
        assert state(session, group, "lit") == "crossed"
        assert alarms(session, "srv-06") == [("minor", "false")]
        assert alarms(session, "lighting") == [("minor", "false")]
        set_state(session, of, "dmtf-sleep-deep")
        until(lambda: state(session, place, "awake") == "normal", "the server sleeps")
        listener.create_subscription(start_time="2000-01-01T00:00:00Z")
        told = heard_until(
            listener,
            "threshold-crossed",
            lambda each: each["event"] == "cleared",
        )
        assert sorted((each["threshold"], each["event"]) for each in told) == [
            ("awake", "cleared"),
            ("awake", "crossed"),
            ("lit", "crossed"),
        ]

"""RFC 6988 section 5.6 asked over NETCONF: what is in the batteries, and when they should be looked after."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import NS, ServerProcess, edit, entity, found, one, run, summer_process, switch, until
from tests.conformance.hearing import heard, heard_until
from tests.conformance.site import leaves, local, name_of, number, read

CUT = "<accept-collateral>true</accept-collateral>"


def warn(session: manager.Manager, name: str, inner: str) -> None:
    """Configure when to warn of a battery of the UPS."""
    battery = f'<battery xmlns="{NS["embat"]}"><name>{name}</name><alarm>{inner}</alarm></battery>'
    edit(session, f"<entity><id>ups-1</id>{battery}</entity>")


def string(name: str, below: str = "") -> str:
    """The path of a battery of the UPS, or of something below it."""
    return entity("ups-1", f"/embat:battery[embat:name='{name}']{below}")


@pytest.fixture
def strings(client: manager.Manager) -> dict[str, etree._Element]:
    """The batteries of the UPS by name."""
    read(client, "ups-1")
    return {name_of(each): each for each in found(client, entity("ups-1", "/embat:battery"))}


@pytest.mark.req("d5.6.1", "r5.6.1")
def test_present_charge(strings: dict[str, etree._Element]) -> None:
    """The charge is told in milliampere-hours, and as a share of what the battery can hold."""
    for each in strings.values():
        charge, capacity = number(each, "embat:charge"), number(each, "embat:actual-capacity")
        assert 0 < charge <= capacity
        assert abs(charge / capacity * 100 - number(each, "embat:charge-percent")) < 1
        assert datetime.fromisoformat(leaves(each)["time"]).tzinfo is not None


@pytest.mark.req("d5.6.2", "r5.6.2")
def test_charging_state(strings: dict[str, etree._Element]) -> None:
    """Each battery tells what happens with it, in accord with its current."""
    for each in strings.values():
        state, amperes = leaves(each)["charging-state"], number(each, "embat:current")
        sign = {"charging": amperes > 0, "discharging": amperes < 0, "maintaining": amperes == 0}
        assert sign.get(state, amperes == 0)


@pytest.mark.req("d5.6.3", "r5.6.3")
def test_cycle_count(strings: dict[str, etree._Element]) -> None:
    """Each battery tells its own number of cycles."""
    assert [int(leaves(each)["cycle-count"]) for each in strings.values()] == [31, 33]


@pytest.mark.req("d5.6.4", "r5.6.4")
def test_actual_capacity(strings: dict[str, etree._Element]) -> None:
    """An aged battery holds less than it was built for."""
    assert [int(leaves(each)["actual-capacity"]) for each in strings.values()] == [6912, 6552]


@pytest.mark.req("r5.6.5")
def test_temperature(strings: dict[str, etree._Element]) -> None:
    """Each battery tells its temperature in degrees Celsius."""
    for each in strings.values():
        assert 15 < number(each, "embat:temperature") < 45


@pytest.mark.req("d5.6.5", "r5.6.6")
def test_what_a_battery_is(strings: dict[str, etree._Element]) -> None:
    """Nominal capacity and voltage, number of cells and technology."""
    for each in strings.values():
        said = leaves(each)
        assert (said["nominal-capacity"], said["nominal-voltage"], said["cell-count"]) == ("7200", "192.0", "96")
        assert local(said["technology"]) == "vrla-agm"


@pytest.mark.req("d5.6.8", "r5.6.9")
def test_every_battery_has_it_all(strings: dict[str, etree._Element]) -> None:
    """The UPS has two batteries, each told in full."""
    assert list(strings) == ["string-1", "string-2"]
    one, other = (leaves(each).keys() for each in strings.values())
    assert one == other
    assert leaves(strings["string-1"])["identifier"] != leaves(strings["string-2"])["identifier"]


@pytest.mark.req("d5.6.6", "r5.6.7")
@pytest.mark.req("d5.6.7", "r5.6.8")
@pytest.mark.parametrize(
    ("threshold", "beyond", "alarm"), [("low-charge", "7200", "low"), ("high-cycle-count", "20", "aging")]
)
def test_thresholds_of_batteries_raise_alarms(
    summer_client: manager.Manager, threshold: str, beyond: str, alarm: str
) -> None:
    """With a configured threshold passed, the alarm is active at that battery alone; without, it ends."""
    client = summer_client

    def raised() -> list[bool]:
        return [
            alarm in each.findtext("embat:alarm/embat:active", "", NS).split()
            for each in found(client, entity("ups-1", "/embat:battery"))
        ]

    read(client, "ups-1")
    warn(client, "string-2", f"<{threshold}>{beyond}</{threshold}>")
    until(lambda: raised() == [False, True], f"the alarm {alarm} is active")
    warn(client, "string-2", f'<{threshold} xmlns:nc="{NS["nc"]}" nc:operation="delete"/>')
    until(lambda: raised() == [False, False], f"the alarm {alarm} has ended")


@pytest.mark.req("d5.6.2", "r5.6.2")
@pytest.mark.req("d5.6.6", "r5.6.7")
@pytest.mark.req("d5.6.8", "r5.6.9")
def test_a_discharge_is_told(tmp_path: Path) -> None:
    """Both feeds fail and come back: what each string does is told, and low charge once at the string that is watched
    for it, and once that it is enough again; the charge that went through is counted."""
    site = summer_process(tmp_path / "state", speed=40)
    with run(site) as server, server.connect() as session, server.connect() as listener:
        warn(session, "string-1", "<low-charge-percent>98</low-charge-percent>")
        listener.create_subscription()
        for feed in ("feed-a", "feed-b"):
            switch(session, feed, "ats", "off", CUT)
        doing = [heard(listener, "battery-charging-state-changed") for _ in range(2)]
        assert {(each["battery"], each["to"]) for each in doing} == {
            ("string-1", "discharging"),
            ("string-2", "discharging"),
        }
        low = heard(listener, "battery-low")
        assert (low["entity"], low["battery"], low["level"]) == ("ups-1", "string-1", "low")
        assert low["entity-uuid"] == one(session, entity("ups-1", "/eman:uuid"))
        assert 90 < float(low["charge-percent"]) < 98
        assert 0 < int(low["charge"]) < 6912
        assert float(low["runtime-remaining"]) > 0
        told = leaves(found(session, string("string-1"))[0])
        assert (told["charging-state"], local(told["runtime-method"])) == ("discharging", "direct-meter")
        for feed in ("feed-a", "feed-b"):
            switch(session, feed, "ats", "on")
        doing = [heard(listener, "battery-charging-state-changed") for _ in range(2)]
        assert {(each["from"], each["to"]) for each in doing} == {("discharging", "charging")}
        received = string("string-1", "/embat:statistics/embat:charge-received")
        until(lambda: int(one(session, received) or 0) > 0, "charge is put in")
        warn(session, "string-1", "<low-charge-percent>50</low-charge-percent>")
        rest = heard_until(listener, "battery-low", lambda each: each["level"] == "cleared")
        assert [(each["battery"], each["level"]) for each in rest] == [("string-1", "cleared")]
        counted = leaves(found(session, string("string-1", "/embat:statistics"))[0])
        assert int(counted["discharges"]) == 1
        assert int(counted["charge-provided"]) > 0
        assert datetime.fromisoformat(counted["start-time"]).tzinfo is not None


@pytest.mark.req("d5.6.7", "r5.6.8")
@pytest.mark.req("d5.6.3", "r5.6.3")
def test_an_old_battery_is_told_once(tmp_path: Path) -> None:
    """More cycles than wanted are told once, whatever restarts come, and stay an alarm."""

    def active(session: manager.Manager) -> str | None:
        return one(session, string("string-2", "/embat:alarm/embat:active"))

    with run(summer_process(tmp_path / "state")) as server, server.connect() as session, server.connect() as listener:
        listener.create_subscription()
        warn(session, "string-2", "<high-cycle-count>20</high-cycle-count>")
        old = heard(listener, "battery-aging")
        assert (old["battery"], old["cycle-count"], old["actual-capacity"]) == ("string-2", "33", "6552")
        assert active(session) == "aging"
        counted = leaves(found(session, string("string-2", "/embat:statistics"))[0])
    with run(summer_process(tmp_path / "state")) as server, server.connect() as session, server.connect() as listener:
        assert active(session) == "aging"
        again = leaves(found(session, string("string-2", "/embat:statistics"))[0])
        assert again["start-time"] == counted["start-time"]
        assert int(again["charge-received"]) >= int(counted["charge-received"])
        assert "discontinuity-time" in again, "nobody saw what went through while the server was down"
        until(lambda: one(session, string("string-2", "/embat:cycle-count")) == "33", "the battery was read")
        warn(session, "string-1", "<high-cycle-count>20</high-cycle-count>")
        listener.create_subscription(start_time="2000-01-01T00:00:00Z")
        told = heard_until(listener, "battery-aging", lambda each: each["battery"] == "string-1")
        assert [each["battery"] for each in told] == ["string-2", "string-1"]


@pytest.mark.req("d5.6.8", "r5.6.9")
def test_a_battery_may_be_an_entity(file_demo: ServerProcess) -> None:
    """A string with an entry of its own is found from either side, and a threshold works at either."""
    threshold = (
        f'<threshold xmlns="{NS["emth"]}" xmlns:embat="{NS["embat"]}"><name>full</name>'
        "<quantity>embat:battery-charge-percent</quantity><battery>string-1</battery><direction>above</direction>"
        "<level>1</level></threshold>"
    )
    with file_demo.connect() as session, file_demo.connect() as listener:
        read(session, "ups-1")
        listener.create_subscription()
        battery = f'<battery xmlns="{NS["embat"]}"><name>string-1</name><entity>ups-1.string-1</entity></battery>'
        edit(
            session,
            f"<entity><id>ups-1</id>{battery}{threshold}</entity>"
            f"<entity><id>ups-1.string-1</id><contained-in>ups-1</contained-in>{threshold}</entity>",
        )
        assert one(session, string("string-1", "/embat:entity")) == "ups-1.string-1"
        assert leaves(found(session, entity("ups-1.string-1", "/embat:battery-of"))[0]) == {
            "entity": "ups-1",
            "battery": "string-1",
        }
        told = [heard(listener, "threshold-crossed") for _ in range(2)]
        assert {each["entity"] for each in told} == {"ups-1", "ups-1.string-1"}
        assert {each["battery"] for each in told} == {"string-1"}

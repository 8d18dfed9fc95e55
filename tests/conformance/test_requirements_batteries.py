"""RFC 6988 section 5.6 asked over NETCONF: what is in the batteries, and when they should be looked after."""

from __future__ import annotations

from datetime import datetime

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import NS, edit, entity, found, until
from tests.conformance.site import leaves, local, name_of, number, read


@pytest.fixture
def strings(client: manager.Manager) -> dict[str, etree._Element]:
    """The batteries of the UPS by name."""
    read(client, "ups-1")
    return {name_of(each): each for each in found(client, entity("ups-1", "/embat:battery"))}


@pytest.mark.req("d5.6.1", "r5.6.1")
def test_present_charge(strings: dict[str, etree._Element]) -> None:
    """The charge is told in milliampere-hours, and as a share of what the battery can hold."""
    for string in strings.values():
        charge, capacity = number(string, "embat:charge"), number(string, "embat:actual-capacity")
        assert 0 < charge <= capacity
        assert abs(charge / capacity * 100 - number(string, "embat:charge-percent")) < 1
        assert datetime.fromisoformat(leaves(string)["time"]).tzinfo is not None


@pytest.mark.req("d5.6.2", "r5.6.2")
def test_charging_state(strings: dict[str, etree._Element]) -> None:
    """Each battery tells what happens with it, in accord with its current."""
    for string in strings.values():
        state, amperes = leaves(string)["charging-state"], number(string, "embat:current")
        sign = {"charging": amperes > 0, "discharging": amperes < 0, "maintaining": amperes == 0}
        assert sign.get(state, amperes == 0)


@pytest.mark.req("d5.6.3", "r5.6.3")
def test_cycle_count(strings: dict[str, etree._Element]) -> None:
    """Each battery tells its own number of cycles."""
    assert [int(leaves(string)["cycle-count"]) for string in strings.values()] == [31, 33]


@pytest.mark.req("d5.6.4", "r5.6.4")
def test_actual_capacity(strings: dict[str, etree._Element]) -> None:
    """An aged battery holds less than it was built for."""
    assert [int(leaves(string)["actual-capacity"]) for string in strings.values()] == [6912, 6552]


@pytest.mark.req("r5.6.5")
def test_temperature(strings: dict[str, etree._Element]) -> None:
    """Each battery tells its temperature in degrees Celsius."""
    for string in strings.values():
        assert 15 < number(string, "embat:temperature") < 45


@pytest.mark.req("d5.6.5", "r5.6.6")
def test_what_a_battery_is(strings: dict[str, etree._Element]) -> None:
    """Nominal capacity and voltage, number of cells and technology."""
    for string in strings.values():
        said = leaves(string)
        assert (said["nominal-capacity"], said["nominal-voltage"], said["cell-count"]) == ("7200", "192.0", "96")
        assert local(said["technology"]) == "vrla-agm"


@pytest.mark.req("d5.6.8", "r5.6.9")
def test_every_battery_has_it_all(strings: dict[str, etree._Element]) -> None:
    """The UPS has two batteries, each told in full."""
    assert list(strings) == ["string-1", "string-2"]
    one, other = (leaves(string).keys() for string in strings.values())
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

    def set_threshold(inner: str) -> None:
        edit(
            client,
            f'<entity><id>ups-1</id><battery xmlns="{NS["embat"]}"><name>string-2</name><alarm>{inner}</alarm>'
            "</battery></entity>",
        )

    def raised() -> list[bool]:
        return [
            alarm in string.findtext("embat:alarm/embat:active", "", NS).split()
            for string in found(client, entity("ups-1", "/embat:battery"))
        ]

    read(client, "ups-1")
    set_threshold(f"<{threshold}>{beyond}</{threshold}>")
    until(lambda: raised() == [False, True], f"the alarm {alarm} is active")
    set_threshold(f'<{threshold} xmlns:nc="{NS["nc"]}" nc:operation="delete"/>')
    until(lambda: raised() == [False, False], f"the alarm {alarm} has ended")

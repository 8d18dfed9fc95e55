"""The entities as components of ietf-hardware: names, places, classes and sensors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.energy.hardware import entity_of, scaled
from eman_netconf.energy.values import BatteryInfo, EntityInfo, ForeignId, InterfaceInfo, LinkState, Quantity
from eman_netconf.energy.values import Direction as Way
from eman_netconf.yang.tree import Inner, ListNode
from tests.energy.bench import Bench
from tests.work import calls

CARD = {"id": "card", "class": "eman-entity:component", "contained-in": "ups"}
POWERS = {"units": 0, "kilo": 3, "mega": 6, "giga": 9, "tera": 12, "peta": 15}


@pytest.fixture
def box(bench: Bench) -> Bench:
    """A UPS with an inlet, an outlet, a battery and a card."""
    info = EntityInfo(
        name="UPS",
        manufacturer="Acme",
        model="U1",
        firmware_version="2.1",
        foreign_ids=(ForeignId("serial-number", "S7"), ForeignId("asset-tag", "A9")),
        interfaces=(InterfaceInfo("in", Way.INLET, label="Line"), InterfaceInfo("out", Way.OUTLET, current_type="dc")),
        batteries=(BatteryInfo("string", identifier="B5"),),
    )
    bench.discover("ups", info)
    bench.commit(CARD)
    return bench


def components(bench: Bench) -> Any:
    listed = bench.domain.hardware(bench.running).at("component")
    assert isinstance(listed, ListNode)
    return listed.entries


def said(entry: Inner) -> dict[str, Any]:
    return {node.name: value for node, value in entry.children.items() if not isinstance(value, Inner)}


def sensor(bench: Bench, name: str) -> dict[str, Any]:
    return {node.name: value for node, value in components(bench)[name,].at("sensor-data").children.items()}


def test_what_there_is_has_components(box: Bench) -> None:
    """An entity, its parts, its interfaces and batteries are components, each inside the one it belongs to."""
    found = components(box)
    assert [key[0] for key in found] == ["card", "ups", "ups/in", "ups/out", "ups/battery/string"]
    assert {key[0]: entry.leaf("parent") for key, entry in found.items()} == {
        "card": "ups",
        "ups": None,
        "ups/in": "ups",
        "ups/out": "ups",
        "ups/battery/string": "ups",
    }
    classes = [entry.leaf("class").removeprefix("iana-hardware:") for entry in found.values()]
    assert classes == ["energy-object", "chassis", "power-supply", "port", "battery"]
    ups = said(found["ups",])
    uuid = box.at("ups", "uuid")
    assert ups.pop("contains-child") == ("card", "ups/in", "ups/out", "ups/battery/string")
    assert ups == {
        "name": "ups",
        "class": "iana-hardware:chassis",
        "mfg-name": "Acme",
        "model-name": "U1",
        "firmware-rev": "2.1",
        "alias": "UPS",
        "serial-num": "S7",
        "asset-id": "A9",
        "uuid": uuid,
        "uri": (f"urn:uuid:{uuid}",),
    }
    assert [found[name,].leaf("parent-rel-pos") for name in ("card", "ups/in", "ups/out")] == ["1", "1", "2"]
    assert found["ups/battery/string",].leaf("serial-num") == "B5"
    assert len(found) == 5
    assert ("ups/battery/string",) in found
    assert ("ups/none",) not in found
    assert ("nobody",) not in found


def test_what_is_read_has_sensors(box: Bench) -> None:
    """Power, voltage, current, frequency and temperature are sensors of what they are read of, with unit and time."""
    readings = (
        box.reading(Quantity.ACTIVE_POWER, Decimal("1234.5")),
        box.reading(Quantity.VOLTAGE, Decimal("230.12"), "", "in", phase=2),
        box.reading(Quantity.FREQUENCY, Decimal("49.98"), "", "in"),
        box.reading(Quantity.VOLTAGE, Decimal(-48), "", "out"),
        box.reading(Quantity.CURRENT, Decimal("0.125"), "", "out"),
        box.reading(Quantity.TEMPERATURE, Decimal("24.5"), battery="string"),
    )
    box.read("ups", *readings)
    power = sensor(box, "ups:active-power")
    assert power.pop("value-timestamp").startswith("2023-11-14T22:13:20")
    assert power == {
        "value": "1234500",
        "value-type": "watts",
        "value-scale": "units",
        "value-precision": "3",
        "oper-status": "ok",
        "units-display": "watts",
    }
    shown = {
        name: (data["value"], data["value-type"])
        for name in ("ups/in:voltage-l2", "ups/in:frequency", "ups/out:voltage", "ups/out:current")
        for data in [sensor(box, name)]
    }
    assert shown == {
        "ups/in:voltage-l2": ("230120", "volts-AC"),
        "ups/in:frequency": ("49980", "hertz"),
        "ups/out:voltage": ("-48000", "volts-DC"),
        "ups/out:current": ("125", "amperes"),
    }
    assert sensor(box, "ups/battery/string:temperature")["value-type"] == "celsius"
    entry = components(box)["ups/in:frequency",]
    assert (entry.leaf("parent"), entry.leaf("class")) == ("ups/in", "iana-hardware:sensor")
    assert components(box)["ups",].children[entry.schema.child("contains-child")][0] == "card"


def test_a_sensor_that_does_not_answer_is_there_still(box: Bench) -> None:
    """With the device away the power has no value and is unavailable."""
    box.tell("ups", Quantity.ACTIVE_POWER, Decimal(100))
    box.link("ups", LinkState.BACKING_OFF, error="gone")
    assert sensor(box, "ups:active-power") == {
        "value-type": "watts",
        "units-display": "watts",
        "oper-status": "unavailable",
    }


def test_entries_are_the_same_however_they_are_asked_for(box: Bench) -> None:
    """By name, by entry and by value come the same components; the list says when it changed."""
    box.tell("ups", Quantity.ACTIVE_POWER, Decimal(100))
    found = components(box)
    assert list(found.values()) == [entry for _, entry in found.items()] == [found[key] for key in found]
    assert {entity_of(key[0]) for key in found} == {"ups", "card"}
    before = box.domain.hardware(box.running).leaf("last-change")
    box.wait(5.0)
    box.tell("ups", Quantity.ACTIVE_POWER, Decimal(101))
    assert box.domain.hardware(box.running).leaf("last-change") == before
    box.discover("other", EntityInfo())
    assert box.domain.hardware(box.running).leaf("last-change") > before


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=3))
def test_values_are_scaled_into_the_range_of_a_sensor(value: Decimal) -> None:
    """Any power fits, is off by less than one part in a hundred million, and exact where the range allows it."""
    text = format(value, "f").rstrip("0")
    number, scale, precision = scaled(f"{text}0" if text.endswith(".") else text)
    assert abs(number) <= 999_999_999
    assert -8 <= precision <= 9
    back = Decimal(number).scaleb(POWERS[scale] - precision)
    assert abs(back - value) <= abs(value) / 10**8
    if abs(value) < 999_999:
        assert (back, scale, precision) == (value, "units", 3)


def test_components_are_printed_once_until_something_changes(box: Bench) -> None:
    """Who reads all components again gets their bytes at once, and after a change those that a fresh look gives."""

    def printed() -> list[bytes]:
        return [entry.xml() for entry in components(box).values()]

    def fresh() -> list[bytes]:
        found = components(box)
        return [found[key].xml() for key in found]

    box.read("ups", box.reading(Quantity.ACTIVE_POWER, Decimal(100)))
    first = printed()
    assert first == fresh()
    assert calls(printed) < calls(fresh) // 3
    box.wait(10)
    box.read("ups", box.reading(Quantity.ACTIVE_POWER, Decimal(200)))
    assert printed() != first
    assert printed() == fresh()
    box.commit(CARD, {**CARD, "id": "another"})
    assert printed() == fresh()


def test_a_part_stays_where_it_is(box: Bench) -> None:
    """An edit of something else of a part does not move it among the parts of what it is in."""
    box.commit(CARD, {**CARD, "id": "another"})
    box.commit({**CARD, "role": "network"}, {**CARD, "id": "another"})
    assert [components(box)[name,].leaf("parent-rel-pos") for name in ("card", "another")] == ["1", "2"]

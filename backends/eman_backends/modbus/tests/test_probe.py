"""Who is at an address: by SunSpec, by register map, or nobody we know."""

from __future__ import annotations

from typing import Any

import pytest

from eman_backends.modbus import PLUGIN
from eman_backends.modbus.probe import probe
from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import COMMON, eastron, free_port, relays, sunspec
from eman_backends.modbus.tests.plant import INVERTER
from eman_backends.modbus.tests.relay import WRITES
from eman_backends.modbus.tests.told import context
from eman_netconf.backend import Finding, Misconfigured, Refused
from tests.traces import leaves_nothing


async def ask(port: int, **settings: Any) -> Finding | None:
    told = {name.replace("_", "-"): value for name, value in settings.items()}
    async with leaves_nothing():
        return await probe("127.0.0.1", {"port": port, **told}, context())


async def test_a_device_with_sunspec_is_found(device: Devices) -> None:
    """Maker, model and serial number come from the common model, and the settings need no register map."""
    port = device({1: sunspec((1, COMMON), (103, INVERTER))}).port
    found = await ask(port)
    assert found is not None
    assert found.title == "Sonnenwerk SW-10k, read by SunSpec"
    assert found.settings == {"address": "127.0.0.1", "port": port, "unit": [{"id": 1}]}
    assert (found.manufacturer, found.model) == ("Sonnenwerk", "SW-10k")
    assert [one.value for one in found.foreign_ids] == ["SW0815"]


@pytest.mark.parametrize(
    ("code", "table"), [(0x20, "eastron-sdm120"), (0x2B, "eastron-sdm230"), (0x70, "eastron-sdm630")]
)
async def test_a_meter_is_told_by_its_code(code: int, table: str, device: Devices) -> None:
    """The code of the meter and values that can be choose the register map."""
    port = device({1: eastron(code, {0: 230, 70: 50})}).port
    found = await ask(port)
    assert found is not None
    assert found.settings["unit"] == [{"id": 1, "table": table}]
    assert found.manufacturer == "Eastron"


async def test_what_answers_can_be_opened_with_what_was_found(device: Devices) -> None:
    """The settings that are found make a backend that reads the device."""
    port = device({1: relays()}).port
    found = await ask(port)
    assert found is not None
    made = PLUGIN.build(found.settings, context())
    await made.open()
    assert len((await made.read()).readings) == 8
    await made.close()


async def test_a_meter_with_impossible_values_is_not_believed(device: Devices) -> None:
    """The code alone is not enough: what has no mains frequency is no meter at work."""
    port = device({1: eastron(0x70, {0: 230, 70: 5000})}).port
    with pytest.raises(Refused, match="fits no register map"):
        await ask(port)


async def test_a_device_nobody_knows_is_named(device: Devices) -> None:
    """Something that speaks Modbus and fits nothing is refused with what it says of itself."""
    identity = {0: "Pumpenbau", 1: "P-7", 2: "1.0"}
    port = device({1: {"holding": {0: 1}, "identity": identity}}).port
    with pytest.raises(Refused, match="Pumpenbau P-7 has no SunSpec"):
        await ask(port)


async def test_other_units_are_asked_when_the_first_is_not_there(device: Devices) -> None:
    """A device that only answers as unit 255 is found."""
    port = device({255: sunspec((1, COMMON), (103, INVERTER))}).port
    found = await ask(port)
    assert found is not None
    assert found.settings["unit"] == [{"id": 255}]


async def test_only_the_units_named_are_asked(relayed: Relays) -> None:
    """With units in the settings those alone are asked, all of them, and their names and orientation are kept."""
    meter = eastron(0x20, {0: 230, 70: 50})
    relay = await relayed({1: meter, 2: meter, 3: None, 4: sunspec((1, COMMON), (103, INVERTER))})
    units = [
        {"id": 2, "name": "two", "orientation": "provided"},
        {"id": 3, "name": "three"},
        {"id": 4, "name": "four"},
    ]
    found = await ask(relay.port, unit=units)
    assert found is not None
    assert found.settings["unit"] == [
        {"id": 2, "name": "two", "table": "eastron-sdm120", "orientation": "provided"},
        {"id": 4, "name": "four"},
    ]
    assert "and 1 more unit" in found.title
    assert {question[6] for question in relay.questions} == {2, 3, 4}
    assert not {question[7] for question in relay.questions} & WRITES


async def test_nobody_there_is_nothing(device: Devices) -> None:
    """Without a device, and with one whose units are all silent, nothing is found."""
    assert await ask(free_port()) is None
    assert await ask(device({1: None, 255: None, 126: None}).port) is None


async def test_silence_is_nothing(relayed: Relays) -> None:
    """A device that takes connections and says nothing is not found, and is asked once for each unit."""
    relay = await relayed({1: relays()})
    relay.spoil = lambda question, answer: None
    assert await ask(relay.port, answer_time=0.1) is None
    assert len(relay.questions) == 3


async def test_settings_that_cannot_be_are_said() -> None:
    """A probe checks its settings as a backend does."""
    with pytest.raises(Misconfigured):
        await ask(70000)

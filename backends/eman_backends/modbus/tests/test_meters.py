"""Register maps against devices of modbus-serial: every value of each model with its unit and sign."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eman_backends.modbus.tables import load
from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import eastron, free_port, relays
from eman_backends.modbus.tests.told import HERE, backend, numbers, opened, until_read, values
from eman_netconf.backend import ForeignId, Method, Persistence, Point, Quantity, Refused, Supply, Unavailable

SINGLE = {
    0: 231.4,
    6: 4.35,
    12: 987.6,
    18: 1006.6,
    24: -194.2,
    30: 0.981,
    36: 348.9,
    70: 49.98,
    72: 12345.678,
    74: 0.25,
    76: 55.5,
    342: 12345.928,
}
THREE = {
    0: 230.1,
    2: 231.2,
    4: 229.8,
    6: 10.5,
    8: 4.25,
    10: 15.75,
    12: 2400.5,
    14: -950.25,
    16: 3600,
    18: 2416,
    20: 982.5,
    22: 3619,
    24: 280,
    26: -250.5,
    28: 370,
    30: 0.9935,
    32: -0.967,
    34: 0.9947,
    36: 6.5,
    38: 14.75,
    40: 5.9,
    42: 230.37,
    46: 10.17,
    52: 5050.25,
    56: 7017.5,
    60: 399.5,
    62: 0.7197,
    66: 4.5,
    70: 50.02,
    72: 98765.43,
    74: 432.1,
    200: 399.5,
    202: 398.7,
    204: 399.1,
    206: 399.1,
    224: 3.5,
    234: 1.8,
    236: 1.75,
    238: 1.9,
    240: 12.5,
    242: 11,
    244: 9.75,
    248: 1.82,
    250: 11.08,
}


async def test_an_sdm120_tells_one_phase(device: Devices) -> None:
    """All that a single-phase meter measures comes with its unit, kilowatt-hours as watt-hours, and who it is."""
    port = device({1: eastron(0x20, SINGLE, serial=19071234)}).port
    made = backend(port, unit=[{"id": 1, "table": "eastron-sdm120"}])
    (entity,) = (await made.open()).entities
    told = await made.read()
    await made.close()
    assert (entity.manufacturer, entity.model, entity.category) == ("Eastron", "SDM120", "meter")
    assert entity.foreign_ids == (ForeignId("serial-number", "19071234", persistence=Persistence.PERSISTENT),)
    assert values(told.readings) == numbers(
        voltage=231.4,
        current=4.35,
        active_power=987.6,
        apparent_power=1006.6,
        reactive_power=-194.2,
        power_factor=0.981,
        frequency=49.98,
        energy_received="12345678",
        energy_provided=250,
    )
    assert told.missing == {}


async def test_an_sdm230_tells_the_angle_as_well(device: Devices) -> None:
    """The larger single-phase meter has a phase angle beside what the small one has."""
    port = device({1: eastron(0x2B, SINGLE)}).port
    async with opened(port, unit=[{"id": 1, "table": "eastron-sdm230"}]) as made:
        told = values((await made.read()).readings)
    assert told["phase-angle"] == Decimal("348.9")
    assert len(told) == 10


async def test_an_sdm630_tells_three_phases(device: Devices) -> None:
    """Each phase and the whole are told; a phase that provides has negative watts and amperes."""
    port = device({7: eastron(0x70, THREE)}).port
    async with opened(port, unit=[{"id": 7, "table": "eastron-sdm630"}]) as made:
        told = values((await made.read()).readings)
    assert told == numbers(
        voltage__1=230.1,
        voltage__2=231.2,
        voltage__3=229.8,
        voltage=230.37,
        current__1=10.5,
        current__2=-4.25,
        current__3=15.75,
        current=10.17,
        active_power__1=2400.5,
        active_power__2=-950.25,
        active_power__3=3600,
        active_power=5050.25,
        apparent_power__1=2416,
        apparent_power__2=982.5,
        apparent_power__3=3619,
        apparent_power=7017.5,
        reactive_power__1=280,
        reactive_power__2=-250.5,
        reactive_power__3=370,
        reactive_power=399.5,
        power_factor__1=0.9935,
        power_factor__2=-0.967,
        power_factor__3=0.9947,
        power_factor=0.7197,
        phase_angle__1=6.5,
        phase_angle__2=14.75,
        phase_angle__3=5.9,
        phase_angle=4.5,
        voltage_to_next__1=399.5,
        voltage_to_next__2=398.7,
        voltage_to_next__3=399.1,
        voltage_to_next=399.1,
        neutral_current=3.5,
        frequency=50.02,
        thd_voltage__1=1.8,
        thd_voltage__2=1.75,
        thd_voltage__3=1.9,
        thd_voltage=1.82,
        thd_current__1=12.5,
        thd_current__2=11,
        thd_current__3=9.75,
        thd_current=11.08,
        energy_received="98765430",
        energy_provided=432100,
    )


async def test_a_meter_mounted_the_other_way_round_is_turned(device: Devices) -> None:
    """With the orientation provided, power, amperes and power factor change sign, and the counters places."""
    port = device({1: eastron(0x20, SINGLE)}).port
    async with opened(port, unit=[{"id": 1, "table": "eastron-sdm120", "orientation": "provided"}]) as made:
        told = values((await made.read()).readings)
    assert told == numbers(
        voltage=231.4,
        current=-4.35,
        active_power=-987.6,
        apparent_power=1006.6,
        reactive_power=194.2,
        power_factor=-0.981,
        frequency=49.98,
        energy_provided="12345678",
        energy_received=250,
    )


async def test_a_pass_asks_in_few_requests_that_the_meter_can_answer(relayed: Relays) -> None:
    """All of a three-phase meter is read in two requests, none for more registers than its maker allows."""
    relay = await relayed({1: eastron(0x70, THREE)})
    async with opened(relay.port, unit=[{"id": 1, "table": "eastron-sdm630"}]) as made:
        relay.questions.clear()
        await made.read()
    asked = [(int.from_bytes(one[8:10], "big"), int.from_bytes(one[10:12], "big")) for one in relay.questions]
    assert asked == [(0, 76), (200, 52)]
    assert max(count for _, count in asked) <= load()["eastron-sdm630"].most


async def test_readings_say_how_exact_they_are(device: Devices) -> None:
    """Values are those of a meter, with the accuracy that its maker states."""
    port = device({1: eastron(0x20, SINGLE)}).port
    async with opened(port, unit=[{"id": 1, "table": "eastron-sdm120"}]) as made:
        told = {reading.quantity: reading for reading in (await made.read()).readings}
    assert {reading.method for reading in told.values()} == {Method.DIRECT_METER}
    assert told[Quantity.VOLTAGE].accuracy == Decimal("0.5")
    assert told[Quantity.ENERGY_RECEIVED].accuracy_class == "iec-62053-21-class-1"


async def test_what_is_no_number_is_left_out(device: Devices) -> None:
    """NaN and infinity are not told, and the other values are."""
    port = device({1: eastron(0x20, {**SINGLE, 12: float("nan"), 30: float("inf")})}).port
    async with opened(port, unit=[{"id": 1, "table": "eastron-sdm120"}]) as made:
        told = values((await made.read()).readings)
    assert "active-power" not in told
    assert "power-factor" not in told
    assert told["current"] == Decimal("4.35")


async def test_a_register_that_the_device_lacks_is_left_out_alone(relayed: Relays) -> None:
    """A request refused for one register is divided until all others are read, and asked for no more."""
    unit = eastron(0x70, THREE)
    del unit["input"][240]
    relay = await relayed({1: unit})
    async with opened(relay.port, unit=[{"id": 1, "table": "eastron-sdm630"}]) as made:
        first = await made.read()
        relay.questions.clear()
        second = await made.read()
    assert values(first.readings) == values(second.readings)
    assert len(values(first.readings)) == 43
    assert "thd-current/1" not in values(first.readings)
    assert first.missing == {}
    assert len(relay.questions) <= 8


async def test_a_meter_that_lacks_everything_is_not_there(device: Devices) -> None:
    """When every register is refused the pass has nothing, and says what the device said."""
    port = device({1: {"holding": {0xFC00: 0, 0xFC01: 1}}}).port
    async with opened(port, unit=[{"id": 1, "table": "eastron-sdm120"}]) as made:
        with pytest.raises(Unavailable, match="no such register"):
            await made.read()


async def test_relays_are_read_and_switched(device: Devices) -> None:
    """Each coil is an outlet; an order reaches its coil alone and shows in the next pass."""
    board = device({1: relays((1, 0, 0, 0, 0, 0, 0, 1))})
    async with opened(board.port, unit=[{"id": 1, "table": "waveshare-relay-8"}]) as made:
        before = (await made.read()).readings
        await made.switch_supply(Point(interface="relay-3"), Supply.ON)
        await made.switch_supply(Point(interface="relay-8"), Supply.OFF)
        after = (await made.read()).readings
    assert [reading.value for reading in before] == ["on", *["off"] * 6, "on"]
    assert [reading.value for reading in after] == ["on", "off", "on", *["off"] * 5]
    assert (board.get("coil", 2), board.get("coil", 7)) == (1, 0)


async def test_what_cannot_be_switched_is_refused(device: Devices) -> None:
    """A meter has no switch, a relay is on or off and nothing else, and nobody is asked."""
    port = device({1: eastron(0x20, SINGLE), 2: relays()}).port
    units = [{"id": 1, "table": "eastron-sdm120"}, {"id": 2, "name": "board", "table": "waveshare-relay-8"}]
    async with opened(port, unit=units) as made:
        with pytest.raises(Refused, match="cannot be switched"):
            await made.switch_supply(HERE, Supply.OFF)
        with pytest.raises(Refused, match="on or off"):
            await made.switch_supply(Point("board", "relay-1"), Supply.FAULT)
        with pytest.raises(Refused, match="cannot be limited"):
            await made.limit_power(HERE, Decimal(100))
        with pytest.raises(Refused, match="not known"):
            await made.switch_supply(Point("nobody", "relay-1"), Supply.OFF)


async def test_a_meter_of_another_model_is_doubted(device: Devices, caplog: pytest.LogCaptureFixture) -> None:
    """A device whose code is another than that of its register map is read all the same, and the log says it once."""
    port = device({1: eastron(0x70, THREE)}).port
    made = backend(port, unit=[{"id": 1, "table": "eastron-sdm120"}])
    for _ in range(2):
        await made.open()
        assert values((await made.read()).readings)["voltage"] == Decimal("230.1")
        await made.close()
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("eman_netconf")]
    assert "does not look like Eastron SDM120 single-phase meter" in said


async def test_a_board_that_is_not_there_cannot_be_opened() -> None:
    """What is known from the register map alone does not stand for a device that answers."""
    with pytest.raises(Unavailable, match="cannot be reached"):
        await backend(free_port(), unit=[{"id": 1, "table": "waveshare-relay-8"}]).open()


async def test_another_meter_in_its_place_is_noticed(device: Devices, relayed: Relays) -> None:
    """A meter with another serial number behind the same address makes the inventory outdated."""
    relay = await relayed({1: eastron(0x20, SINGLE, serial=1)})
    async with opened(relay.port, unit=[{"id": 1, "table": "eastron-sdm120"}]) as made:
        relay.lead_to(device({1: eastron(0x20, SINGLE, serial=2)}).port)
        assert (await until_read(made)).outdated
        (entity,) = (await made.open()).entities
    assert [one.value for one in entity.foreign_ids] == ["2"]

"""Many units behind one address: who is silent does not hold up who answers, and who returns is read again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from eman_backends.modbus import backend as modbus_backend
from eman_backends.modbus.station import FIRST_REST
from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import COMMON, Unit, eastron, sunspec
from eman_backends.modbus.tests.plant import INVERTER
from eman_backends.modbus.tests.relay import Relay
from eman_backends.modbus.tests.told import backend, opened, values
from eman_netconf.backend import EntityInfo, Now, Point, Supply, Unavailable

COUNT = 8
METERS = {number: eastron(0x20, {0: 230.0 + number, 12: 100.0 * number, 70: 50}) for number in range(1, COUNT + 1)}


def units(count: int = COUNT) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"m{number}", "table": "eastron-sdm120"} for number in range(1, count + 1)]


@dataclass
class Clock:
    """Time that a test moves."""

    seconds: float = 1000.0

    def __call__(self) -> Now:
        self.seconds += 0.001  # nothing happens at the same moment
        return Now(self.seconds + 1_700_000_000, self.seconds)


def silence(*dead: int) -> Callable[[bytes, bytes], bytes | None]:
    """Answers of these units get lost."""
    return lambda question, answer: None if question[6] in dead else answer


def asked(relay: Relay) -> list[int]:
    """Which units were asked, once each, in this order."""
    return list(dict.fromkeys(question[6] for question in relay.questions))


async def test_each_unit_is_an_entity(device: Devices) -> None:
    """Behind a gateway every unit has its own readings; the gateway itself is there and tells nothing."""
    port = device(METERS).port
    made = backend(port, unit=units())
    inventory = await made.open()
    told = await made.read()
    await made.close()
    assert inventory.entities[0] == EntityInfo()
    assert [entity.local for entity in inventory.entities[1:]] == [f"m{number}" for number in METERS]
    for number in METERS:
        assert values(told.readings, Point(f"m{number}"))["active-power"] == 100 * number
    assert told.missing == {}


async def test_a_unit_without_an_answer_is_missing_and_the_others_are_read(device: Devices) -> None:
    """A gateway that says that a unit does not answer tells so in the pass, in which the others are complete."""
    port = device({**METERS, 3: None}).port
    async with opened(port, unit=units()) as made:
        told = await made.read()
    assert told.missing == {Point("m3"): "unit 3 says no: the unit does not answer the gateway"}
    assert {reading.point.entity for reading in told.readings} == {f"m{one}" for one in METERS if one != 3}


@pytest.fixture
def two_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an answer time of 0.1 seconds a pass waits for two units in vain."""
    monkeypatch.setattr(modbus_backend, "IN_VAIN", 0.2)


@pytest.mark.usefixtures("two_in_vain")
async def test_a_pass_waits_for_few_silent_units(relayed: Relays) -> None:
    """However many fall silent, a pass waits for so many only; the next go on behind them, and all others are read."""
    relay = await relayed(METERS)
    async with opened(relay.port, Clock(), unit=units(), answer_time=0.1) as made:
        await made.read()
        relay.spoil = silence(1, 3, 5, 6, 7)
        seen = []
        for _ in range(3):
            relay.questions.clear()
            told = await made.read()
            seen.append(asked(relay))
    assert seen == [[1, 2, 3], [4, 5, 6], [7, 8, 2, 4, 1]]
    assert {reading.point.entity for reading in told.readings} == {"m2", "m4", "m8"}
    assert set(told.missing) == {Point(f"m{number}") for number in (1, 3, 5, 6, 7)}


async def test_a_silent_unit_is_left_alone_for_longer_each_time(relayed: Relays) -> None:
    """It is asked again in the next pass, then after ten seconds, then after twenty, while the others are read."""
    relay = await relayed(METERS)
    clock = Clock()
    async with opened(relay.port, clock, unit=units(2), answer_time=0.1) as made:
        relay.spoil = silence(1)
        pauses = []
        last = clock.seconds
        for _ in range(45):
            relay.questions.clear()
            told = await made.read()
            assert values(told.readings, Point("m2"))["active-power"] == 200
            assert Point("m1") in told.missing
            if 1 in asked(relay):
                pauses.append(clock.seconds - last)
                last = clock.seconds
            clock.seconds += 2
    assert [round(pause / 2) for pause in pauses] == [0, 1, 5, 10, 20]
    assert FIRST_REST == 10


async def test_a_unit_that_returns_is_read_again(relayed: Relays) -> None:
    """Once its rest is over a unit that answers again has readings, and may be silent once more without a rest."""
    relay = await relayed(METERS)
    clock = Clock()
    async with opened(relay.port, clock, unit=units(2), answer_time=0.1) as made:
        relay.spoil = silence(1)
        for _ in range(4):
            await made.read()
        relay.spoil = silence()
        assert Point("m1") in (await made.read()).missing
        clock.seconds += 400
        assert values((await made.read()).readings, Point("m1"))["active-power"] == 100
        relay.spoil = silence(1)
        assert Point("m1") in (await made.read()).missing
        relay.spoil = silence()
        assert (await made.read()).missing == {}


async def test_a_unit_alone_is_asked_each_time(relayed: Relays) -> None:
    """Without others to spare there is no rest: how often to ask is the poller's business."""
    relay = await relayed({1: METERS[1]})
    async with opened(relay.port, Clock(), unit=units(1), answer_time=0.1) as made:
        relay.spoil = silence(1)
        for _ in range(4):
            relay.questions.clear()
            with pytest.raises(Unavailable, match="unit 1 does not answer"):
                await made.read()
            assert asked(relay) == [1]
        relay.spoil = silence()
        assert (await made.read()).readings


@pytest.mark.usefixtures("two_in_vain")
async def test_units_that_are_dead_at_the_beginning_are_in_the_inventory(relayed: Relays) -> None:
    """Each attempt to open waits for a few and goes on behind them; units by register map are known all the same."""
    relay = await relayed(METERS)
    relay.spoil = silence(1, 2, 3)
    made = backend(relay.port, Clock(), unit=units(), answer_time=0.1)
    with pytest.raises(Unavailable, match="unit 1 does not answer"):
        await made.open()
    assert asked(relay) == [1, 2]
    inventory = await made.open()
    assert [entity.local for entity in inventory.entities] == ["", *(f"m{number}" for number in METERS)]
    told = await made.read()
    await made.close()
    assert {reading.point.entity for reading in told.readings} == {"m4", "m5", "m6", "m7", "m8"}


async def test_a_unit_that_shows_itself_later_has_the_inventory_taken_anew(device: Devices) -> None:
    """What a unit by SunSpec has is not known before it answers; then the pass says so, and it is read."""
    unit: Unit = sunspec((1, COMMON), (103, INVERTER))
    there = device({1: METERS[1], 2: {"holding": {}}})
    clock = Clock()
    made = backend(there.port, clock, unit=[{"id": 1, "table": "eastron-sdm120"}, {"id": 2, "name": "roof"}])
    before = await made.open()
    assert before.entities[1] == EntityInfo("roof")
    first = await made.read()
    assert "has no SunSpec" in first.missing[Point("roof")]
    there.set("holding", unit["holding"], unit=2)
    clock.seconds += 1000
    assert (await made.read()).outdated
    after = await made.open()
    assert after.entities[1].category == "producer"
    told = await made.read()
    await made.close()
    assert not told.outdated
    assert values(told.readings, Point("roof"))["active-power"] == -6000


async def test_a_pass_that_is_given_up_goes_on_with_others_next_time(relayed: Relays) -> None:
    """A unit at which the time of a pass ran out counts as silent, so that the next pass begins with the others."""
    relay = await relayed(METERS)
    async with opened(relay.port, Clock(), unit=units(3), answer_time=5) as made:
        held = asyncio.Event()

        def hold(question: bytes, answer: bytes) -> bytes | None:
            if question[6] == 1:
                held.set()
                return None
            return answer

        relay.spoil = hold
        reading = asyncio.ensure_future(made.read())
        await held.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        relay.questions.clear()
        relay.spoil = silence()
        assert (await made.read()).missing == {}
        assert asked(relay) == [2, 3, 1]


async def test_an_order_to_one_unit_does_not_wait_for_a_silent_one_to_rest(relayed: Relays) -> None:
    """Orders go to their unit over the same connection, whatever the others do."""
    board = {"coil": dict.fromkeys(range(8), 0)}
    relay = await relayed({1: METERS[1], 2: board})
    settings = [{"id": 1, "name": "m1", "table": "eastron-sdm120"}, {"id": 2, "table": "waveshare-relay-8"}]
    async with opened(relay.port, unit=settings, answer_time=0.1) as made:
        relay.spoil = silence(1)
        await made.read()
        await made.switch_supply(Point(interface="relay-1"), Supply.ON)
        assert values((await made.read()).readings, Point(interface="relay-1")) == {"supply-state": "on"}
    assert relay.carried_out == 1


async def test_a_unit_that_was_replaced_while_it_was_silent_is_noticed(device: Devices) -> None:
    """After a silence a unit is asked once more who it is, over the same connection."""
    there = device({1: METERS[1], 2: eastron(0x20, {0: 230}, serial=1)})
    clock = Clock()
    async with opened(there.port, clock, unit=units(2)) as made:
        there.put(2, None)
        assert Point("m2") in (await made.read()).missing
        there.put(2, eastron(0x20, {0: 230}, serial=77))
        assert (await made.read()).outdated
        assert [one.value for one in (await made.open()).entities[2].foreign_ids] == ["77"]


async def test_the_silence_of_a_unit_is_logged_when_it_begins_and_ends(
    relayed: Relays, caplog: pytest.LogCaptureFixture
) -> None:
    """However often a unit is asked in vain, there is one line when it falls silent and one when it is back."""
    caplog.set_level(logging.INFO)
    relay = await relayed(METERS)
    clock = Clock()
    async with opened(relay.port, clock, unit=units(2), answer_time=0.1) as made:
        relay.spoil = silence(1)
        for _ in range(5):
            await made.read()
            clock.seconds += 60
        relay.spoil = silence()
        clock.seconds += 600
        for _ in range(3):
            await made.read()
    place = f"127.0.0.1 port {relay.port}"
    said = [record.getMessage() for record in caplog.records if record.name.startswith("eman_netconf")]
    assert said == [f"{place}: unit 1 does not answer", f"{place}: unit 1 answers again"]


async def test_two_hundred_devices_are_read_at_once(device: Devices) -> None:
    """Two hundred backends, each with its connection, read their devices side by side and keep them apart."""
    ports = [device({1: eastron(0x20, {0: 230, 12: number, 70: 50})}).port for number in range(20)]
    made = [backend(ports[number % 20], unit=[{"id": 1, "table": "eastron-sdm120"}]) for number in range(200)]
    try:
        await asyncio.gather(*(one.open() for one in made))
        for _ in range(3):
            told = await asyncio.gather(*(one.read() for one in made))
    finally:
        for one in made:
            await one.close()
    watts = [values(one.readings)["active-power"] for one in told]
    assert watts == [Decimal(number % 20) for number in range(200)]

"""What inverters are told: limits of power, connection; each order once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import COMMON, Unit, sunspec
from eman_backends.modbus.tests.plant import CONTROLS, DER, INVERTER, NAMEPLATE
from eman_backends.modbus.tests.told import HERE, backend, opened, values
from eman_netconf.backend import OutcomeUnknown, Point, Refused, Supply


def plant(**controls: Any) -> Unit:
    """An inverter of 10 kW with controls by tenths of a percent."""
    data = {**CONTROLS, "WMaxLimPct": 1000, "WMaxLimPct_SF": -1, **controls}
    return sunspec((1, COMMON), (103, INVERTER), (120, NAMEPLATE), (123, data))


CONTROLS_AT = 40002 + 68 + 52 + 28


async def test_an_inverter_is_limited_and_let_go(device: Devices) -> None:
    """A limit in watts becomes a percentage rounded down, holds, is read back as wished, and is lifted again."""
    there = device({1: plant()})
    made = backend(there.port)
    (entity,) = (await made.open()).entities
    assert entity.power_limits == (Decimal(0), Decimal(10000))
    assert values((await made.read()).readings)["power-limit"] == 10000
    await made.limit_power(HERE, Decimal(4567))
    assert (there.get("holding", CONTROLS_AT + 5), there.get("holding", CONTROLS_AT + 9)) == (456, 1)
    assert values((await made.read()).readings)["power-limit"] == 4567
    there.set("holding", {CONTROLS_AT + 5: 300})
    assert values((await made.read()).readings)["power-limit"] == 3000
    await made.limit_power(HERE, None)
    assert there.get("holding", CONTROLS_AT + 9) == 0
    assert values((await made.read()).readings)["power-limit"] == 10000
    await made.close()


async def test_limits_beyond_what_it_does_are_refused(device: Devices) -> None:
    """Less than nothing and more than all is refused before anything is written."""
    there = device({1: plant()})
    async with opened(there.port) as made:
        for watts in (-1, 10001):
            with pytest.raises(Refused, match="at most"):
                await made.limit_power(HERE, Decimal(watts))
    assert there.get("holding", CONTROLS_AT + 9) == 0


async def test_the_most_that_is_set_counts_for_percentages(device: Devices) -> None:
    """Where basic settings lower the most power, percentages are of that, and the nameplate stays."""
    settings = {"WMax": 800, "WMax_SF": 1, "VRef": 230, "VRef_SF": 0, "VRefOfs": 0, "VRefOfs_SF": 0}
    controls = {**CONTROLS, "WMaxLimPct": 50, "WMaxLim_Ena": 1}
    port = device({1: sunspec((1, COMMON), (103, INVERTER), (120, NAMEPLATE), (121, settings), (123, controls))}).port
    made = backend(port)
    (entity,) = (await made.open()).entities
    told = await made.read()
    await made.close()
    assert (entity.nameplate_power, entity.power_limits) == (Decimal(10000), (Decimal(0), Decimal(8000)))
    assert values(told.readings)["power-limit"] == 4000


async def test_newer_inverters_are_limited_too(device: Devices) -> None:
    """Models 702 and 704 do what 120 and 123 did."""
    capacity = {"WMaxRtg": 1000, "WMax": 900, "W_SF": 1}
    controls = {"WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WMaxLimPct_SF": -1}
    there = device({1: sunspec((1, COMMON), (701, DER), (702, capacity), (704, controls))})
    async with opened(there.port) as made:
        await made.limit_power(HERE, Decimal(4500))
        assert values((await made.read()).readings)["power-limit"] == 4500
    at = 40002 + 68 + 155 + 52
    assert (there.get("holding", at + 14), there.get("holding", at + 15)) == (1, 500)


async def test_a_limit_of_which_half_was_told_is_of_unknown_outcome(relayed: Relays) -> None:
    """When the connection is lost between the percentage and the word to hold it, nobody can tell what holds."""
    relay = await relayed({1: plant()})
    async with opened(relay.port, answer_time=0.3) as made:

        def spoil(question: bytes, answer: bytes) -> bytes | None:
            return None if question[7] == 6 and question[8:10] == (CONTROLS_AT + 9).to_bytes(2, "big") else answer

        relay.spoil = spoil
        with pytest.raises(OutcomeUnknown):
            await made.limit_power(HERE, Decimal(5000))


async def test_an_inverter_is_disconnected_and_connected(device: Devices) -> None:
    """The connection of an inverter is the supply at its ac interface."""
    there = device({1: plant()})
    ac = Point(interface="ac")
    async with opened(there.port) as made:
        assert values((await made.read()).readings, ac) == {"supply-state": "on"}
        await made.switch_supply(ac, Supply.OFF)
        assert there.get("holding", CONTROLS_AT + 4) == 0
        assert values((await made.read()).readings, ac) == {"supply-state": "off"}
        with pytest.raises(Refused, match="cannot be switched"):
            await made.switch_supply(Point(interface="dc"), Supply.OFF)


async def test_another_device_in_its_place_is_told_nothing(device: Devices) -> None:
    """An order to registers that hold another model by now is refused, and nothing is written there."""
    there = device({1: plant()})
    async with opened(there.port) as made:
        await made.read()
        there.set("holding", {CONTROLS_AT: 160})
        for order in (
            made.switch_supply(Point(interface="ac"), Supply.OFF),
            made.limit_power(HERE, Decimal(5000)),
            made.limit_power(HERE, None),
        ):
            with pytest.raises(Refused, match="nothing was written"):
                await order
    assert [there.get("holding", CONTROLS_AT + at) for at in (4, 5, 9)] == [1, 1000, 0]

"""The blueprint against its small device: what a copied backend should show of its own protocol."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from eman_backends._blueprint import PLUGIN
from eman_backends._blueprint.backend import Blueprint
from eman_backends._blueprint.tests.contract import Case, subject
from eman_netconf.backend import Context, Now, OutcomeUnknown, Point, Quantity, Reading, Refused, Supply, Unavailable

OUT = Point(interface="out")


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    async with subject(tmp_path) as case:
        yield case


@pytest.fixture
async def backend(case: Case, tmp_path: Path) -> AsyncIterator[Blueprint]:
    """A backend opened at a device that works."""
    made = PLUGIN.build(
        case.settings,
        Context("clamp-1", lambda: Now(time.time(), 0.0), random.Random(1), tmp_path, logging.getLogger(__name__)),
    )
    assert isinstance(made, Blueprint)
    await made.open()
    yield made
    await made.close()


def values(readings: tuple[Reading, ...]) -> dict[Quantity, object]:
    return {reading.quantity: reading.value for reading in readings}


async def test_power_and_supply_are_read(backend: Blueprint) -> None:
    """One pass tells the power of the device and the supply at its output."""
    result = await backend.read()
    assert values(result.readings) == {Quantity.SUPPLY_STATE: Supply.ON, Quantity.ACTIVE_POWER: Decimal("812.5")}
    assert not result.missing


async def test_switching_is_seen_by_the_next_reading(backend: Blueprint) -> None:
    """An accepted order shows in what is read after it."""
    await backend.switch_supply(OUT, Supply.OFF)
    assert values((await backend.read()).readings)[Quantity.SUPPLY_STATE] == Supply.OFF


async def test_what_has_no_switch_is_refused(backend: Blueprint, case: Case) -> None:
    """The input cannot be switched, and the device is not asked."""
    with pytest.raises(Refused, match="cannot be switched"):
        await backend.switch_supply(Point(interface="in"), Supply.OFF)
    assert case.device.orders == 0


async def test_garbage_is_missing_not_guessed(backend: Blueprint, case: Case) -> None:
    """An answer that is no number and no state is told as missing, with the reason."""
    case.device.lying = True
    result = await backend.read()
    assert result.readings == ()
    assert set(result.missing) == {Point(), OUT}


async def test_a_late_answer_never_meets_the_next_question(backend: Blueprint, case: Case) -> None:
    """After an order without an answer the connection is made anew, so that what is read belongs to what was asked."""
    case.device.forgetful = True
    with pytest.raises(OutcomeUnknown):
        await backend.switch_supply(OUT, Supply.OFF)
    assert values((await backend.read()).readings)[Quantity.SUPPLY_STATE] == Supply.OFF
    assert case.device.orders == 1


async def test_a_lost_connection_is_made_again_by_the_next_reading(backend: Blueprint, case: Case) -> None:
    """A device that restarted is read again without a new open()."""
    await case.die()
    with pytest.raises(Unavailable):
        await backend.read()
    await case.revive()
    assert (await backend.read()).readings

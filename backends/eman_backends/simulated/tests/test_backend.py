"""Boxes as backends: they share one site, are reached or not, and take orders."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from eman_backends.simulated import PLUGIN
from eman_backends.simulated.backend import Simulated, site_of
from eman_backends.simulated.lies import STRANGER
from eman_backends.simulated.site import AT_ONCE, Fault
from eman_backends.simulated.tests.sites import DEMO, NOON
from eman_netconf.backend import (
    Context,
    LimitsPower,
    Now,
    Pass,
    Point,
    Quantity,
    Refused,
    SetsPowerState,
    StartsBatteryTest,
    Supply,
    SwitchesSupply,
    Unavailable,
)

Open = Callable[..., Awaitable[Simulated]]


class Hands:
    """The hands of the clock that all boxes of a test look at."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> Now:
        return Now(NOON + self.elapsed, self.elapsed)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def opened(tmp_path: Path, hands: Hands) -> Open:
    """Opens boxes of the demo site, all in one directory."""

    async def open_(box: str, scenario: str = "demo") -> Simulated:
        context = Context(box, hands.now, random.Random(1), tmp_path / "simulated", logging.getLogger(box))
        backend = PLUGIN.build({"box": box, "scenario": scenario}, context)
        assert isinstance(backend, Simulated)
        await backend.open()
        return backend

    return open_


def watts(result: Pass, quantity: Quantity = Quantity.ACTIVE_POWER, point: Point | None = None) -> object:
    """The value of a quantity at a point, the box itself if none is given."""
    (value,) = [
        r.value for r in result.readings if (r.point, r.quantity, r.phase) == (point or Point(), quantity, None)
    ]
    return value


async def test_boxes_share_one_site(opened: Open, hands: Hands) -> None:
    """An outlet switched at one box darkens a power supply that another box tells of."""
    strip, server = await opened("pdu-a"), await opened("srv-06")
    inlet = Point(interface="psu-1")
    assert watts(await server.read(), Quantity.POWER_AVAILABLE, inlet) is True
    await strip.switch_supply(Point(interface="outlet-6"), Supply.OFF)
    hands.elapsed += 1
    assert watts(await server.read(), Quantity.POWER_AVAILABLE, inlet) is False
    for backend in (strip, server):
        await backend.close()


async def test_every_box_of_the_demo_opens_and_reads_at_once(opened: Open) -> None:
    """All boxes opened together find one site between them."""
    backends = await asyncio.gather(*(opened(box) for box in DEMO.boxes()))
    assert len({id(backend._site) for backend in backends}) == 1
    passes = await asyncio.gather(*(backend.read() for backend in backends))
    assert all(result.readings for result in passes)
    for backend in backends:
        await backend.close()


async def test_boxes_have_all_capabilities(opened: Open) -> None:
    """A box can be told states, supply and limits; what this one cannot do it refuses."""
    strip = await opened("pdu-a")
    assert isinstance(strip, SetsPowerState)
    assert isinstance(strip, SwitchesSupply)
    assert isinstance(strip, LimitsPower)
    assert isinstance(strip, StartsBatteryTest)
    for refused in (
        strip.set_power_state(Point(), "dmtf-on"),
        strip.switch_supply(Point(interface="input"), Supply.OFF),
        strip.switch_supply(Point(interface="outlet-99"), Supply.OFF),
        strip.switch_supply(Point("ghost", "outlet-1"), Supply.OFF),
        strip.switch_supply(Point(interface="outlet-1"), Supply.FAULT),
        strip.limit_power(Point(), Decimal(100)),
        strip.test_battery(Point(battery="string-1")),
    ):
        with pytest.raises(Refused):
            await refused
    assert site_of(strip._context.directory).carried_out == {}
    await strip.close()


async def test_lamps_are_switched_through_their_gateway(opened: Open, hands: Hands) -> None:
    """The gateway takes orders for what is behind it."""
    gateway = await opened("gw-1")
    await gateway.set_power_state(Point("lamp-03"), "ieee1621-off")
    hands.elapsed += 0.001
    result = await gateway.read()
    assert watts(result, Quantity.POWER_STATE, Point("lamp-03")) == "ieee1621-off"
    assert watts(result, point=Point("lamp-03")) == Decimal("0.4")
    assert watts(result, Quantity.POWER_STATE, Point("lamp-04")) == "ieee1621-on"
    await gateway.close()


async def test_a_box_without_power_does_not_answer(opened: Open, hands: Hands) -> None:
    """With both outlets off a server cannot be reached, and when supply returns it can, in the state it woke to."""
    strips = [await opened("pdu-a"), await opened("pdu-b")]
    server = await opened("srv-07")
    for strip in strips:
        await strip.switch_supply(Point(interface="outlet-7"), Supply.OFF)
    hands.elapsed += 1
    for asked in (server.read, server.open):
        with pytest.raises(Unavailable, match="it has no power"):
            await asked()
    await strips[0].switch_supply(Point(interface="outlet-7"), Supply.ON)
    hands.elapsed += 2
    assert watts(await server.read(), Quantity.POWER_STATE) == "dmtf-off-hard"
    for backend in (*strips, server):
        await backend.close()


async def test_a_limit_is_shown_while_it_is_set(opened: Open) -> None:
    """A power limit appears in the readings, holds the power, and goes away when lifted."""
    server = await opened("srv-08")
    await server.limit_power(Point(), Decimal("151.5"))
    result = await server.read()
    assert watts(result, Quantity.POWER_LIMIT) == watts(result) == Decimal("151.5")
    await server.limit_power(Point(), None)
    assert not [r for r in (await server.read()).readings if r.quantity is Quantity.POWER_LIMIT]
    await server.close()


async def test_a_flaky_box_answers_most_of_the_time(opened: Open) -> None:
    """Every third question to a flaky box is lost, the others are not."""
    strip = await opened("pdu-a")
    site_of(strip._context.directory).faults["pdu-a"] = Fault.FLAKY
    lost = 0
    for _ in range(9):
        try:
            await strip.read()
        except Unavailable:
            lost += 1
    assert lost == 3
    await strip.close()


async def test_a_fault_of_one_box_is_not_that_of_another(opened: Open) -> None:
    """The site goes on when the way to one of its boxes is dead."""
    dead, well = await opened("pdu-a"), await opened("pdu-b")
    site_of(dead._context.directory).faults["pdu-a"] = Fault.DEAD
    with pytest.raises(Unavailable):
        await dead.read()
    assert (await well.read()).readings
    for backend in (dead, well):
        await backend.close()


async def test_the_last_to_leave_has_the_site_remembered(opened: Open, hands: Hands, tmp_path: Path) -> None:
    """Closed and opened again, meters go on where they were, and identifiers are the same."""
    strip = await opened("pdu-a")
    hands.elapsed += 700
    before = watts(await strip.read(), Quantity.ENERGY_RECEIVED)
    told = await strip.open()
    await strip.close()
    async with asyncio.timeout(60):
        while True:  # the thread that did the last work lets go of the site when it gets its turn
            await asyncio.to_thread(gc.collect)
            try:
                site_of(tmp_path / "simulated")
            except KeyError:
                break
    again = await opened("pdu-a")
    assert watts(await again.read(), Quantity.ENERGY_RECEIVED) == before
    assert await again.open() == told
    await again.close()


async def test_two_sites_never_share_identifiers(opened: Open, tmp_path: Path) -> None:
    """The same scenario in another server has other UUIDs and hardware addresses."""
    here = await opened("srv-01")
    context = Context("srv-01", lambda: Now(NOON, 0), random.Random(2), tmp_path / "elsewhere", logging.getLogger("x"))
    there = PLUGIN.build({"box": "srv-01"}, context)
    one, other = (await here.open()).entities[0], (await there.open()).entities[0]
    assert one.uuid != other.uuid
    assert {each.value for each in one.foreign_ids}.isdisjoint(each.value for each in other.foreign_ids)
    assert one.interfaces[0].uuid != other.interfaces[0].uuid
    for backend in (here, there):
        await backend.close()


async def test_a_long_absence_is_caught_up_without_holding_the_loop(opened: Open, hands: Hands) -> None:
    """A year is caught up in small steps between which others run, and several boxes may do so at once."""
    backends = [await opened(box) for box in ("pdu-a", "srv-01", "ups-1")]
    site = site_of(backends[0]._context.directory)
    hands.elapsed += 365 * 86_400
    turns: list[int] = []

    async def bystander() -> None:
        while True:
            turns.append(site.segments)
            await asyncio.sleep(0)

    task = asyncio.create_task(bystander())
    await asyncio.gather(*(backend.read() for backend in backends))
    task.cancel()
    worked = [after - before for before, after in itertools.pairwise(turns)]
    assert len(worked) > 10
    assert max(worked) <= 3 * (AT_ONCE + 1)  # each of the three takes its turn between two looks
    for backend in backends:
        await backend.close()


async def test_a_scenario_of_ones_own_is_read_from_its_path(opened: Open, hands: Hands, tmp_path: Path) -> None:
    """Any file will do; an unknown box in it is told when it is opened."""
    path = tmp_path / "shed.toml"
    path.write_text(
        """
        [[entity]]
        id = "main"
        kind = "feed"
        self-powered = true
        inlets.in = { switchable = true }
        outlets = [{ name = "out" }]
        [[entity]]
        id = "heater"
        load = { watts = 500 }
        inlets.plug = "main/out"
        """
    )
    heater = await opened("heater", str(path))
    hands.elapsed += 3600
    result = await heater.read()
    assert watts(result) == 500
    assert watts(result, Quantity.ENERGY_RECEIVED) == 500
    await heater.close()
    with pytest.raises(Unavailable, match="no box 'cooler'; it has main, heater"):
        await opened("cooler", str(path))
    with pytest.raises(Unavailable, match="cannot be read"):
        await opened("heater", str(tmp_path / "none.toml"))


async def test_before_open_and_after_close_nothing_answers(opened: Open) -> None:
    """A box that is not open is Unavailable."""
    strip = await opened("pdu-a")
    await strip.close()
    with pytest.raises(Unavailable, match="not open"):
        await strip.read()


async def test_what_is_swapped_is_another_of_its_kind(opened: Open, hands: Hands, tmp_path: Path) -> None:
    """A swapped server has other identifiers and counts from nothing; its way breaks until it is opened again."""
    server, strip = await opened("srv-03"), await opened("pdu-b")
    hands.elapsed += 3600
    assert watts(await server.read(), Quantity.ENERGY_RECEIVED) != 0
    (before,) = (await server.open()).entities
    site = site_of(tmp_path / "simulated")
    site.swap(site.scenario.entity("srv-03"))
    with pytest.raises(Unavailable, match="not what it was"):
        await server.read()
    (after,) = (await server.open()).entities
    assert {each.kind for each in after.foreign_ids} == {each.kind for each in before.foreign_ids}
    assert not set(after.foreign_ids) & set(before.foreign_ids)
    assert after.uuid != before.uuid
    assert (after.id, after.model) == (before.id, before.model)
    assert watts(await server.read(), Quantity.ENERGY_RECEIVED) == 0
    assert watts(await strip.read(), Quantity.ENERGY_RECEIVED) != 0, "others are as they were"


async def test_a_part_is_swapped_alone(opened: Open, hands: Hands, tmp_path: Path) -> None:
    """A network card leaves the serial number; a string of batteries has its cycles from 0 and leaves the other."""
    server, ups = await opened("srv-03"), await opened("ups-1")
    identifiers = {each.kind: each.value for each in (await server.open()).entities[0].foreign_ids}
    strings = [battery.identifier for battery in (await ups.open()).entities[0].batteries]
    site = site_of(tmp_path / "simulated")
    site.swap(site.scenario.entity("srv-03"), "mac-address")
    site.swap(site.scenario.entity("ups-1"), "string-1")
    again = {each.kind: each.value for each in (await server.open()).entities[0].foreign_ids}
    assert again["serial-number"] == identifiers["serial-number"]
    assert again["mac-address"] != identifiers["mac-address"]
    one, other = (await ups.open()).entities[0].batteries
    assert one.identifier != strings[0]
    assert other.identifier == strings[1]
    told = await ups.read()
    assert watts(told, Quantity.CYCLE_COUNT, Point("", None, "string-1")) == 0
    assert watts(told, Quantity.CYCLE_COUNT, Point("", None, "string-2")) == 33


async def test_a_confused_box_tells_of_others(opened: Open, tmp_path: Path) -> None:
    """Its readings are as they were, and there are some of an entity that it never told of."""
    box = await opened("srv-03")
    site_of(tmp_path / "simulated").faults["srv-03"] = Fault.CONFUSED
    entities = {reading.point.entity for reading in (await box.read()).readings}
    assert entities == {"", STRANGER}

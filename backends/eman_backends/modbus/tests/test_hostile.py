"""Devices that hold anything at all: what is made of it is well formed, and its search has an end."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from eman_backends.modbus import sunspec
from eman_backends.modbus.plan import readings
from eman_backends.modbus.registers import Block, Space, Words
from eman_backends.modbus.settings import Unit
from eman_backends.modbus.station import Station
from eman_backends.modbus.tables import load, load_models
from eman_backends.modbus.wire import Denied, Wire
from eman_netconf.backend import Inventory, Pass
from tests.well_formed import check_inventory, check_pass

NUMBERS = st.sampled_from([*load_models(), 0, 2, 64999])


class Memory(Wire):
    """A device in this process: registers and nothing else."""

    def __init__(self, words: Words) -> None:
        super().__init__("nowhere", 1, 1.0, 0.0)
        self.asked = 0
        self._words = words

    async def read(self, unit: int, block: Block) -> Sequence[int]:
        self.asked += 1
        try:
            return [self._words[block.space, block.address + at] for at in range(block.count)]
        except KeyError:
            raise Denied(unit, 2) from None


@st.composite
def chains(draw: st.DrawFn) -> Words:
    """Models with numbers that we know, of any length and content."""
    words = [*sunspec.MARK]
    for number in draw(st.lists(NUMBERS, min_size=1, max_size=6)):
        length = draw(st.integers(0, 200))
        octets = draw(st.binary(max_size=2 * length) | st.sampled_from((b"\x80\0", b"\xff\xff", b"\0\0")))
        content = struct.unpack(f">{length}H", (octets * 2 * length + bytes(2 * length))[: 2 * length])
        words += [number, draw(st.just(length) | st.integers(0, 0xFFFF)), *content]
    words += draw(st.sampled_from(([0xFFFF, 0], [], [0xFFFF])))
    return {(Space.HOLDING, 40000 + at): word for at, word in enumerate(words)}


@given(chains(), st.sampled_from((None, "roof")), st.booleans())
def test_any_chain_makes_a_plan_that_can_be_read(words: Words, name: str | None, provided: bool) -> None:
    """Whatever models a device claims to have, there is an inventory, and each reading belongs to it."""
    wire = Memory(words)
    station = Station(Unit(1, name, None, provided), None, load_models())
    asyncio.run(station.survey(wire))
    assert wire.asked <= 4 + 2 * sunspec.MOST_MODELS
    inventory = Inventory(station.plan.entities)
    check_inventory(inventory)
    told = asyncio.run(station.read(wire, 1.0))
    check_pass(inventory, told)


@given(st.sampled_from(sorted(load())), st.randoms(use_true_random=False))
def test_any_registers_are_readings_of_their_kind(name: str, chance: Random) -> None:
    """Whatever the registers of a device hold, what is told of them is well formed."""
    station = Station(Unit(table=name), load()[name], {})
    held = {(one.space, at): chance.randrange(65536) for one in station.plan.fields() for at in one.addresses}
    told = tuple(readings(station.plan.cells, held, 1.0))
    check_pass(Inventory(station.plan.entities), Pass(told))

"""Devices for tests: started when asked for, gone at the end of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest

from eman_backends.modbus.tests.counterparts import Device, Unit
from eman_backends.modbus.tests.relay import Relay

Devices = Callable[[Mapping[int, Unit | None]], Device]
Relays = Callable[[Mapping[int, Unit | None]], Awaitable[Relay]]


@pytest.fixture
def device() -> Iterator[Devices]:
    """Devices of modbus-serial with the units given."""
    made: list[Device] = []

    def start(units: Mapping[int, Unit | None]) -> Device:
        made.append(Device(units))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
async def relayed(device: Devices) -> AsyncIterator[Relays]:
    """The same behind a relay that can be told to spoil what they answer."""
    made: list[Relay] = []

    async def start(units: Mapping[int, Unit | None]) -> Relay:
        relay = Relay((await asyncio.to_thread(device, units)).port)
        await relay.start()
        made.append(relay)
        return relay

    yield start
    for one in made:
        await one.stop()

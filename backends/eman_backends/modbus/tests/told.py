"""What the tests of this backend share: a backend at a port, and what it tells in a form to compare."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from eman_backends.modbus import PLUGIN
from eman_backends.modbus.backend import Modbus
from eman_netconf.backend import Context, Now, Pass, Point, Quantity, Reading, Unavailable

HERE = Point()
Key = tuple[Point, Quantity, int | None]


def context(clock: Callable[[], Now] = lambda: Now(time.time(), time.monotonic())) -> Context:
    return Context("it", clock, random.Random(1), Path("unused"), logging.getLogger("eman_netconf.backend.it"))


def backend(port: int, clock: Callable[[], Now] | None = None, **settings: Any) -> Modbus:
    """A backend for this machine's ``port``; settings with a dash are given with an underscore."""
    told = {name.replace("_", "-"): value for name, value in settings.items()}
    made = PLUGIN.build({"address": "127.0.0.1", "port": port, **told}, context(clock) if clock else context())
    assert isinstance(made, Modbus)
    return made


@contextlib.asynccontextmanager
async def opened(port: int, clock: Callable[[], Now] | None = None, **settings: Any) -> AsyncIterator[Modbus]:
    made = backend(port, clock, **settings)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def values(readings: Iterable[Reading], point: Point = HERE) -> Mapping[str, Any]:
    """The values at a point, by quantity and, where it has one, phase: ``voltage/1``."""
    return {
        f"{reading.quantity}/{reading.phase}" if reading.phase else str(reading.quantity): reading.value
        for reading in readings
        if reading.point == point
    }


def numbers(**told: float | str) -> dict[str, Decimal]:
    """``values`` to expect, with underscores for dashes and double ones before the phase."""
    return {name.replace("__", "/").replace("_", "-"): Decimal(str(value)) for name, value in told.items()}


async def until_read(made: Modbus) -> Pass:
    """The first pass that comes; what was asked over a connection that was being cut has none."""
    while True:
        with contextlib.suppress(Unavailable):
            return await made.read()

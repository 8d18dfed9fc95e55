"""What a pass tells of one point, for comparing."""

from __future__ import annotations

from eman_backends.nut.tests.counterparts import eventually
from eman_netconf.backend import Backend, Method, Pass, Point, Quantity


def of(result: Pass, point: Point, phase: int | None = None) -> dict[Quantity, object]:
    """The values of a point and phase by quantity."""
    return {one.quantity: one.value for one in result.readings if one.point == point and one.phase == phase}


def methods(result: Pass, point: Point) -> dict[Quantity, Method]:
    """How the whole values of a point came about."""
    return {one.quantity: one.method for one in result.readings if one.point == point and one.phase is None}


def output(entity: str) -> Point:
    return Point(entity, "output")


def inlet(entity: str) -> Point:
    return Point(entity, "input")


def battery(entity: str) -> Point:
    return Point(entity, battery="battery")


async def until(backend: Backend, point: Point, quantity: Quantity, value: object) -> Pass:
    """Read until a point has a value."""

    async def reads() -> Pass | None:
        result = await backend.read()
        return result if of(result, point).get(quantity) == value else None

    return await eventually(reads)

"""What a pass told, in a form that tests can compare."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from eman_netconf.backend import Pass, Point, Quantity


def of(result: Pass, point: Point) -> dict[Any, Any]:
    """The readings of one point: by quantity, those of a phase by (quantity, phase); numbers as floats."""
    return {
        (one.quantity if one.phase is None else (one.quantity, one.phase)): (
            float(one.value) if isinstance(one.value, Decimal) else one.value
        )
        for one in result.readings
        if one.point == point
    }


def outlet(name: str) -> Point:
    return Point(interface=name)


def three(quantity: Quantity, *values: float) -> dict[Any, float]:
    """Values of the three phases."""
    return {(quantity, phase): value for phase, value in enumerate(values, 1)}

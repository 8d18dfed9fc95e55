"""The garbage that a box with the fault of lying or confusion tells: well formed, and not to be used."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from eman_netconf.backend import Pass, Point, Quantity, Reading

STRANGER = "stranger"

WILD = (
    *(Decimal(0), Decimal(-1), Decimal("1e12"), Decimal("-1e12"), Decimal("0.0004"), Decimal(2**32 - 1)),
    *(Decimal(2**63), Decimal("99999.9999")),
)


def lie(result: Pass, random: Random) -> Pass:
    """Every number wild, truths turned round, stamps in the future and in the past."""
    return Pass(tuple(_lie(reading, random) for reading in result.readings), result.missing)


def confuse(result: Pass) -> Pass:
    """The pass, and its first reading as one of an entity that no inventory has."""
    strangers = [reading._replace(point=Point(STRANGER)) for reading in result.readings[:1]]
    return Pass((*result.readings, *strangers), result.missing)


def _lie(reading: Reading, random: Random) -> Reading:
    at = reading.at + random.choice((0.0, 0.0, -86400.0, 86400.0))
    if isinstance(reading.value, bool):
        return reading._replace(value=not reading.value, at=at)
    if isinstance(reading.value, Decimal):
        return reading._replace(value=random.choice(WILD), at=at)
    if reading.quantity is Quantity.CHARGING_STATE:
        return reading._replace(value=random.choice(("charging", "discharging", "maintaining", "not-charging")), at=at)
    return reading._replace(at=at)

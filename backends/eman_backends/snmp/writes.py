"""What a command comes to on the wire: one value for one object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Syntax(StrEnum):
    """The type of a value that is written (RFC 2578 section 7.1)."""

    INTEGER = "integer"  # Integer32 and enumerations
    UNSIGNED = "unsigned"  # Unsigned32 and Gauge32
    OBJECT = "object-identifier"
    OCTETS = "octets"
    TICKS = "ticks"  # TimeTicks: hundredths of a second


@dataclass(frozen=True, slots=True)
class Write:
    """One SET of one variable.

    ``value`` is an int for INTEGER, UNSIGNED and TICKS, dotted numbers for OBJECT, bytes for OCTETS. A plan has one
    Write for each thing that a point can be told; the backend sends it once, and readings tell what it brings about.
    """

    oid: str
    value: int | str | bytes
    syntax: Syntax = Syntax.INTEGER

    def __str__(self) -> str:
        return f"{self.oid} to {self.value!r}" if isinstance(self.value, bytes) else f"{self.oid} to {self.value}"

"""Registers of 16 bits and what they say: numbers and texts over one or more of them, and which say nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

LARGEST = 65535  # the last address, and the largest value of one register
LARGEST_EXPONENT = 10  # either way, of a scale factor of SunSpec
NO_FACTOR = 0x8000

Words = Mapping[tuple["Space", int], int]  # what was read, by space and address


class Space(StrEnum):
    """The four tables of Modbus (Application Protocol 1.1b3, section 4.3); coils count as registers of 0 or 1."""

    INPUT = "input"
    HOLDING = "holding"
    COIL = "coil"
    DISCRETE = "discrete"


class Type(StrEnum):
    """How registers make a value."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"


class Order(StrEnum):
    """Which register of a value comes first; within a register the high byte does."""

    BIG = "big"  # the one with the highest bits
    LITTLE = "little"


_FORMATS = {
    Type.INT16: ">h",
    Type.UINT16: ">H",
    Type.INT32: ">i",
    Type.UINT32: ">I",
    Type.INT64: ">q",
    Type.UINT64: ">Q",
    Type.FLOAT32: ">f",
    Type.FLOAT64: ">d",
}
FLOATS = frozenset({Type.FLOAT32, Type.FLOAT64})
SIZES = {type_: struct.calcsize(form) // 2 for type_, form in _FORMATS.items()}


@dataclass(frozen=True, slots=True)
class Field:
    """A value in registers.

    ``absent`` are raw numbers that say that there is none; of floats, NaN and the infinities always do. ``factor`` is
    the address of a register that holds a power of ten (SunSpec: sunssf).
    """

    address: int
    type: Type = Type.UINT16
    space: Space = Space.HOLDING
    order: Order = Order.BIG
    length: int = 1  # registers; of a text as many as it says, of a number as many as its type takes
    absent: frozenset[int] = field(default=frozenset())
    factor: int | None = None

    def moved(self, by: int) -> Field:
        """The same field ``by`` registers further on."""
        return replace(self, address=self.address + by, factor=None if self.factor is None else self.factor + by)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Every register the value needs."""
        own = tuple(range(self.address, self.address + self.length))
        return own if self.factor is None else (*own, self.factor)

    def raw(self, words: Words) -> tuple[int, ...] | None:
        """Its registers in the order of the device, None unless all were read."""
        found = tuple(
            words[at]
            for at in ((self.space, address) for address in range(self.address, self.address + self.length))
            if at in words
        )
        return found if len(found) == self.length else None

    def number(self, words: Words) -> Decimal | None:
        """The number that was read, None where the device has none."""
        raw = self.raw(words)
        if raw is None or self.type is Type.STRING:
            return None
        value = decode(self.type, raw, self.order)
        if value is None or value in self.absent:
            return None
        if self.factor is None:
            return value
        exponent = words.get((self.space, self.factor), NO_FACTOR)
        exponent -= 0x10000 if exponent >= 0x8000 else 0
        return value.scaleb(exponent) if abs(exponent) <= LARGEST_EXPONENT else None

    def text(self, words: Words) -> str | None:
        """The text that was read, or the number as a text; None where there is none."""
        if self.type is not Type.STRING:
            number = self.number(words)
            return None if number is None else f"{number:f}"
        raw = self.raw(words)
        return None if raw is None else text(b"".join(word.to_bytes(2, "big") for word in raw))


def text(octets: bytes) -> str | None:
    """What is printable of a text that ends with the first NUL; None where nothing is."""
    decoded = octets.partition(b"\0")[0].decode("utf-8", errors="replace")
    kept = "".join(letter for letter in decoded if letter.isprintable() and letter != "\N{REPLACEMENT CHARACTER}")
    return kept.strip() or None


def decode(type_: Type, words: Sequence[int], order: Order = Order.BIG) -> Decimal | None:
    """The number in ``words``, None for a float that is none. ``words`` are as many as ``SIZES[type_]``."""
    in_order = words if order is Order.BIG else words[::-1]
    octets = b"".join(word.to_bytes(2, "big") for word in in_order)
    (value,) = struct.unpack(_FORMATS[type_], octets)
    if type_ not in FLOATS:
        return Decimal(value)
    if not math.isfinite(value):
        return None
    return Decimal(repr(value)) if type_ is Type.FLOAT64 else _shortest(value)


def encode(type_: Type, value: Decimal, order: Order = Order.BIG) -> tuple[int, ...]:
    """The registers that hold ``value``, rounded where the type has no fractions. Raises OverflowError."""
    try:
        octets = struct.pack(_FORMATS[type_], float(value) if type_ in FLOATS else int(value.to_integral_value()))
    except struct.error as error:
        raise OverflowError(f"{value} does not fit {type_}") from error
    words = struct.unpack(f">{len(octets) // 2}H", octets)
    return words if order is Order.BIG else words[::-1]


def _shortest(value: float) -> Decimal:
    """The number with the fewest digits that is the same as a float of 32 bits, so that 230.1 is not 230.100006."""
    packed = struct.pack(">f", value)
    for digits in (6, 7, 8):
        written = f"{value:.{digits}g}"
        try:
            if struct.pack(">f", float(written)) == packed:
                return Decimal(written)
        except OverflowError:  # rounded up beyond the largest
            continue
    return Decimal(f"{value:.9g}")


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that follow each other and are read in one request."""

    space: Space
    address: int
    count: int

    def words(self, values: Sequence[int]) -> dict[tuple[Space, int], int]:
        """What was read, by place."""
        return {(self.space, self.address + number): value for number, value in enumerate(values)}


def blocks(fields: Sequence[Field], most: int, gap: int) -> tuple[Block, ...]:
    """The requests that read all fields, each whole in one of them.

    A request has at most ``most`` registers, and reads along at most ``gap`` that nobody asked for between two fields.
    """
    spans = sorted({(one.space, min(one.addresses), max(one.addresses) + 1) for one in fields})
    made: list[Block] = []
    for space, first, end in spans:
        if made and made[-1].space is space:
            last = made[-1]
            far = max(end, last.address + last.count)
            if first - (last.address + last.count) <= gap and far - last.address <= most:
                made[-1] = Block(space, last.address, far - last.address)
                continue
        made.append(Block(space, first, end - first))
    return tuple(made)

"""Registers and what they say: properties over all types, and how requests are made of fields."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_backends.modbus.registers import FLOATS, SIZES, Block, Field, Order, Space, Type, blocks, decode, encode, text

WORD = st.integers(0, 0xFFFF)
INTEGERS = sorted(set(SIZES) - FLOATS)
BITS = {type_: 16 * size for type_, size in SIZES.items()}


@given(st.sampled_from(INTEGERS), st.sampled_from(Order), st.data())
def test_whole_numbers_come_back_as_they_went(type_: Type, order: Order, data: st.DataObject) -> None:
    """Every whole number that fits a type is the same after encoding and decoding, in either order of registers."""
    signed = type_.value.startswith("int")
    low, high = (-(2 ** (BITS[type_] - 1)), 2 ** (BITS[type_] - 1) - 1) if signed else (0, 2 ** BITS[type_] - 1)
    number = Decimal(data.draw(st.integers(low, high)))
    words = encode(type_, number, order)
    assert len(words) == SIZES[type_]
    assert decode(type_, words, order) == number


@given(st.sampled_from(sorted(FLOATS)), st.sampled_from(Order), st.data())
def test_any_registers_are_a_number_or_none(type_: Type, order: Order, data: st.DataObject) -> None:
    """Whatever registers a float is made of, it is the number that they are, or nothing where they are none."""
    words = data.draw(st.lists(WORD, min_size=SIZES[type_], max_size=SIZES[type_]))
    octets = struct.pack(f">{len(words)}H", *(words if order is Order.BIG else words[::-1]))
    (expected,) = struct.unpack(">f" if type_ is Type.FLOAT32 else ">d", octets)
    told = decode(type_, words, order)
    if not math.isfinite(expected):
        assert told is None
    else:
        assert told is not None
        assert told.is_finite()
        form = ">f" if type_ is Type.FLOAT32 else ">d"
        assert struct.pack(form, float(told)) == struct.pack(form, expected)


@given(st.integers(-99999, 99999), st.integers(0, 4))
def test_short_decimals_stay_short(number: int, digits: int) -> None:
    """A number of up to five digits that a meter sends as a float is told with those digits."""
    value = Decimal(number).scaleb(-digits)
    assert decode(Type.FLOAT32, encode(Type.FLOAT32, value)) == value


def test_numbers_that_do_not_fit_are_refused() -> None:
    """Encoding never wraps a number around."""
    for type_, number in ((Type.UINT16, 65536), (Type.INT16, 32768), (Type.UINT32, -1)):
        with pytest.raises(OverflowError):
            encode(type_, Decimal(number))


@given(st.binary(max_size=64))
def test_any_octets_are_a_text_that_can_be_shown(octets: bytes) -> None:
    """A text from a device ends with its first NUL and has no control characters, and nothing is None."""
    told = text(octets)
    assert told is None or (told == told.strip() and told.isprintable() and told != "")


def test_scale_factors_are_signed_and_bounded() -> None:
    """A scale factor is a signed power of ten; the one that says none, and any beyond ten, leave no value."""
    field = Field(0, Type.INT16, factor=1)
    space = Space.HOLDING
    cases = {0: Decimal(1234), 0xFFFE: Decimal("12.34"), 2: Decimal(123400), 0x8000: None, 11: None, 0xFFF0: None}
    for factor, value in cases.items():
        assert field.number({(space, 0): 1234, (space, 1): factor}) == value
    assert field.number({(space, 0): 1234}) is None


FIELDS = st.lists(
    st.builds(
        lambda address, type_, space, factor: Field(
            address, type_, space, length=SIZES[type_], factor=None if factor is None else address + factor
        ),
        st.integers(0, 400),
        st.sampled_from(sorted(SIZES)),
        st.sampled_from((Space.INPUT, Space.HOLDING)),
        st.none() | st.integers(4, 20),
    ),
    max_size=40,
)


@given(FIELDS, st.integers(24, 125), st.integers(0, 40))
def test_requests_hold_every_field_whole(fields: list[Field], most: int, gap: int) -> None:
    """Each field is within one request with its scale factor, requests keep to the limit and have no idle ends."""
    made = blocks(fields, most, gap)
    for one in fields:
        assert any(
            block.space is one.space
            and block.address <= min(one.addresses)
            and max(one.addresses) < block.address + block.count
            for block in made
        )
    asked = {(one.space, address) for one in fields for address in one.addresses}
    for block in made:
        assert block.count <= most
        assert (block.space, block.address) in asked
        assert (block.space, block.address + block.count - 1) in asked
    assert len(made) <= len(fields)


def test_a_gap_is_read_along_only_while_it_is_small() -> None:
    """Registers that nobody asked for are read along up to the gap."""
    fields = [Field(0), Field(10), Field(21)]
    assert blocks(fields, 125, 9) == (Block(Space.HOLDING, 0, 11), Block(Space.HOLDING, 21, 1))
    assert blocks(fields, 125, 10) == (Block(Space.HOLDING, 0, 22),)
    assert blocks(fields, 11, 10) == (Block(Space.HOLDING, 0, 11), Block(Space.HOLDING, 21, 1))

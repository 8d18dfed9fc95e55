"""Ranges and lengths: the numbers they allow, and how to say so (RFC 7950 sections 9.2.4 and 9.4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """One part of a range or length, both ends included; None at the high end means without limit."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range or length: numbers (decimal64 scaled to integers) and what to say of others."""

    intervals: tuple[Interval, ...]
    text: str  # as written for people: "1..100"
    message: str | None = None
    app_tag: str | None = None

    def allow(self, number: int) -> bool:
        for part in self.intervals:  # noqa: SIM110 - every value read passes here, and a generator costs a third of it
            if part.low <= number and (part.high is None or number <= part.high):
                return True
        return False


def _integer_bounds(bits: int, *, signed: bool) -> Bounds:
    low = -(1 << bits - 1) if signed else 0
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1
    return Bounds((Interval(low, high),), f"{low}..{high}")


INTEGER_BOUNDS: Mapping[str, Bounds] = {
    f"{'' if signed else 'u'}int{bits}": _integer_bounds(bits, signed=signed)
    for bits in (8, 16, 32, 64)
    for signed in (True, False)
}


def decimal_bounds(fraction_digits: int) -> Bounds:
    """What a decimal64 with so many digits after the point can hold."""
    low, high = -(1 << 63), (1 << 63) - 1
    return Bounds((Interval(low, high),), f"{_unscaled(low, fraction_digits)}..{_unscaled(high, fraction_digits)}")


def make_bounds(text: str, parent: Bounds, fraction_digits: int = 0) -> Bounds:
    """The Bounds that the argument of a range or length means inside those of the type it restricts."""
    parts = [[end.strip() for end in part.split("..")] for part in text.split("|")]
    intervals: list[Interval] = []
    words: list[str] = []
    for ends in parts:
        low, high = ends[0], ends[-1]
        intervals.append(
            Interval(
                _bound(low, parent, fraction_digits) or 0,
                _bound(high, parent, fraction_digits),
            )
        )
        if high == "max" != low:
            words.append(f"at least {low}" if low != "min" else parent.text)
        elif low == "min" != high:
            words.append(f"at most {high}")
        else:
            words.append(low if low == high else f"{low}..{high}")
    return Bounds(tuple(intervals), " or ".join(words))


def _bound(text: str, parent: Bounds, fraction_digits: int) -> int | None:
    if text == "min":
        return parent.intervals[0].low
    if text == "max":
        return parent.intervals[-1].high
    whole, _, fraction = text.partition(".")
    if fraction_digits:
        return int(whole + fraction.ljust(fraction_digits, "0"))
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole.lstrip("+"))
    if len(digits) > 1 and digits[0] == "0":  # section 9.2.1: octal or hexadecimal
        return int(sign + digits, 16 if digits[1] in "xX" else 8)
    return int(sign + digits)


ANY_LENGTH = Bounds((Interval(0, None),), "any number of")


def _unscaled(number: int, fraction_digits: int) -> str:
    digits = str(abs(number)).rjust(fraction_digits + 1, "0")
    return f"{'-' if number < 0 else ''}{digits[:-fraction_digits]}.{digits[-fraction_digits:]}"

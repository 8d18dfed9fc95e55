"""Columns: the samples of one channel within an hour, and their packed form in the block of a shelf."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import gcd
from operator import sub
from struct import calcsize
from typing import Final

from eman_netconf.energy.samples import Mark
from eman_netconf.server.samples.values import Summary, added, pack, qualified, quality, together, unpack

#: How well blocks are pressed; more takes several times as long and saves next to nothing.
LEVEL: Final = 6

_HEAD: Final = struct.Struct("<HHHH")  # axes, qualities, columns, starts that are not the end less the period
_FRONT: Final = struct.Struct("<I?")  # octets of what comes first; whether the rest is not pressed
_AXIS: Final = struct.Struct("<ddH?")  # period, first end, how many; whether each end is the period after the last
_START: Final = struct.Struct("<HHd")  # column, place in it, start
#: A column's form: bits of each number, whether they are differences rather than values, and octets, not bits, apart.
_BITS: Final = 0x7F
_DELTA: Final = 0x80
_OCTETS: Final = 0x100
_HEADS: Final = "IHHHqqq"  # channel less the one before, axis, quality, form, first value, offset, factor
_OUTLIERS: Final = 5  # bits the largest number has more than most, from which on bits would be wasted on it


@dataclass(slots=True)
class Column:
    """Samples by ascending ``ends``. A value that is not known repeats the one before.

    Each begins a ``period`` before its end, but for those in ``starts`` (by place).
    """

    period: float
    ends: Sequence[float]
    values: Sequence[int]
    qualities: Sequence[int]
    starts: dict[int, float] = field(default_factory=dict)

    def summaries(self) -> list[Summary]:
        period, found = self.period, []
        for end, value, code in zip(self.ends, self.values, self.qualities, strict=True):
            known, method, coverage, mark = qualified(code)
            found.append(Summary(end - period, end, value if known else None, value, value, method, coverage, mark))
        for place, start in self.starts.items():
            found[place] = found[place]._replace(start=start)
        return found


def column(summaries: Sequence[Summary], period: float) -> Column:
    """The column of ``summaries``, whose ends ascend."""
    values, last = [], 0
    for item in summaries:
        last = last if item.value is None else item.value
        values.append(last)
    return Column(
        period,
        [item.end for item in summaries],
        values,
        [quality(item.method, item.coverage, item.mark, item.value is not None) for item in summaries],
        {place: item.start for place, item in enumerate(summaries) if item.start != item.end - period},
    )


def merged(columns: Sequence[Column], *, energy: bool) -> list[Summary]:
    """The samples of several columns of one channel; those of one instant are added up."""
    if len(columns) == 1:
        return columns[0].summaries()
    by_end: dict[float, Summary] = {}
    for one in columns:
        for item in one.summaries():
            before = by_end.get(item.end)
            by_end[item.end] = item if before is None else added(before, item, energy=energy)
    return [by_end[end] for end in sorted(by_end)]


def joined(columns: Sequence[Column], *, energy: bool) -> Column:
    """Several columns of one channel as one."""
    period = columns[0].period
    if len(columns) == 1:
        return columns[0]
    ends = [end for one in columns for end in one.ends]
    plain = all(one.period == period and not one.starts for one in columns)
    if not plain or len(set(ends)) != len(ends):
        return column(merged(columns, energy=energy), period)
    order = sorted(range(len(ends)), key=ends.__getitem__)
    values = [value for one in columns for value in one.values]
    codes = [code for one in columns for code in one.qualities]
    return Column(period, [ends[at] for at in order], [values[at] for at in order], [codes[at] for at in order])


def summarised(one: Column, start: float, end: float, *, energy: bool) -> Summary:
    """What a column, which lies within ``start`` to ``end``, comes to."""
    codes, values = one.qualities, one.values
    count = len(codes)
    known, method, coverage, mark = qualified(codes[0])
    if not known or one.starts or any(code != codes[0] for code in codes):
        return together(one.summaries(), start, end, energy=energy)
    there = count * one.period
    value = sum(values) if energy else round(sum(values) / count)
    covered = min(100.0, round(coverage * there / (end - start), 2))
    return Summary(
        start,
        end,
        value,
        min(values),
        max(values),
        method,
        covered,
        Mark.MISSING if there < end - start - 1e-3 else mark,
    )


# --- the packed form


def encode(columns: Mapping[int, Column]) -> bytes:
    """A block: columns by channel id, each with at most 65,535 samples."""
    axes: dict[tuple[float, tuple[float, ...]], int] = {}
    qualities: dict[tuple[int, ...], int] = {}
    heads: list[tuple[int, ...]] = []
    bodies: list[bytes] = []
    starts: list[bytes] = []
    before = 0
    for place, (channel, one) in enumerate(sorted(columns.items())):
        codes = tuple(one.qualities)
        if codes.count(codes[0]) == len(codes):
            codes = codes[:1]
        axis = axes.setdefault((one.period, tuple(one.ends)), len(axes))
        *head, body = _numbers(one.values)
        heads.append((channel - before, axis, qualities.setdefault(codes, len(qualities)), *head))
        before = channel
        bodies.append(body)
        starts += [_START.pack(place, index, start) for index, start in one.starts.items()]
    parts = [_HEAD.pack(len(axes), len(qualities), len(columns), len(starts)), *starts]
    for period, ends in axes:
        regular = all(end == ends[0] + period * step for step, end in enumerate(ends))
        parts.append(_AXIS.pack(period, ends[0], len(ends), regular))
        if not regular:
            parts.append(pack("d", ends))
    for codes in qualities:
        parts += [pack("H", (len(codes),)), _planes(pack("I", codes), 4)]
    for code, numbers in zip(_HEADS, zip(*heads, strict=True), strict=True):
        parts.append(_planes(pack(code, numbers), calcsize(code)))
    front, body = zlib.compress(b"".join(parts), LEVEL), b"".join(bodies)
    pressed = zlib.compress(body, LEVEL)
    whole = len(pressed) >= len(body)  # noise, which bits hold best
    return _FRONT.pack(len(front), whole) + front + (body if whole else pressed)


def decode(packed: bytes, wanted: Callable[[int], bool] | None = None) -> dict[int, Column]:
    """The columns of a block, or those of the channels that are ``wanted``. Raises ValueError for what is no block."""
    try:
        length, whole = _FRONT.unpack_from(packed)
        body = packed[_FRONT.size + length :]
        front = zlib.decompress(packed[_FRONT.size : _FRONT.size + length])
        return _decode(front, body if whole else zlib.decompress(body), wanted)
    except (zlib.error, struct.error, IndexError, EOFError) as error:
        raise ValueError(f"a block cannot be read ({error})") from None


def _decode(octets: bytes, body: bytes, wanted: Callable[[int], bool] | None) -> dict[int, Column]:
    count_axes, count_qualities, count, count_starts = _HEAD.unpack_from(octets)
    at = _HEAD.size
    starts: dict[int, dict[int, float]] = {}
    for _ in range(count_starts):
        place, index, start = _START.unpack_from(octets, at)
        starts.setdefault(place, {})[index] = start
        at += _START.size
    axes: list[tuple[float, Sequence[float]]] = []
    for _ in range(count_axes):
        period, first, length, regular = _AXIS.unpack_from(octets, at)
        at += _AXIS.size
        if regular:
            axes.append((period, [first + period * step for step in range(length)]))
        else:
            axes.append((period, unpack("d", octets[at : at + 8 * length])))
            at += 8 * length
    qualities: list[Sequence[int]] = []
    for _ in range(count_qualities):
        length = unpack("H", octets[at : at + 2])[0]
        qualities.append(unpack("I", _whole(octets[at + 2 : at + 2 + 4 * length], 4)))
        at += 2 + 4 * length
    heads: list[array[int]] = []
    for code in _HEADS:
        size = calcsize(code)
        heads.append(unpack(code, _whole(octets[at : at + size * count], size)))
        at += size * count
    columns: dict[int, Column] = {}
    channel = at = 0
    for place, (step, axis, codes, form, first, offset, factor) in enumerate(zip(*heads, strict=True)):
        channel += step
        period, ends = axes[axis]
        numbers = len(ends) - 1 if form & _DELTA else len(ends)
        size = (numbers * (form & _BITS) + 7) // 8
        if wanted is None or wanted(channel):
            values = _values(body[at : at + size], numbers, form, first, offset, factor)
            found = qualities[codes]
            if len(found) != len(ends):
                found = [found[0]] * len(ends)
            columns[channel] = Column(period, ends, values, found, starts.get(place, {}))
        at += size
    return columns


def _numbers(values: Sequence[int]) -> tuple[int, int, int, int, bytes]:
    """Form, first value, offset, factor and octets: values or differences, whichever are smaller.

    Of them their least is taken off, and what remains divided by what divides all.
    """
    form, offset, numbers = 0, min(values), values
    spread = max(values) - offset
    if spread:
        deltas = list(map(sub, values[1:], values))
        least = min(deltas)
        wander = max(deltas) - least
        if wander < spread:
            form, offset, numbers, spread = _DELTA, least, deltas, wander
    if not spread:
        return form, values[0], offset, 1, b""
    rest = [number - offset for number in numbers]
    factor = gcd(*rest)
    if factor > 1:
        rest = [number // factor for number in rest]
    bits = (spread // factor).bit_length()
    if bits - sum(map(int.bit_length, rest)) / len(rest) <= _OUTLIERS:
        whole = int("".join(map(f"{{:0{bits}b}}".format, rest)), 2)
        return form | bits, values[0], offset, factor, whole.to_bytes((bits * len(rest) + 7) // 8, "little")
    size = (bits + 7) // 8
    octets = b"".join(number.to_bytes(size, "little") for number in rest)
    return form | _OCTETS | 8 * size, values[0], offset, factor, _planes(octets, size)


def _values(body: bytes, count: int, form: int, first: int, offset: int, factor: int) -> list[int]:
    bits = form & _BITS
    if not bits:
        rest = [0] * count
    elif form & _OCTETS:
        size = bits // 8
        octets = _whole(body, size)
        rest = [int.from_bytes(octets[at : at + size], "little") for at in range(0, len(octets), size)]
    else:
        text = f"{int.from_bytes(body, 'little'):0{bits * count}b}"
        rest = [int(text[at : at + bits], 2) for at in range(0, bits * count, bits)]
    if form & _DELTA:
        return list(accumulate((number * factor + offset for number in rest), initial=first))
    return [number * factor + offset for number in rest]


def _planes(octets: bytes, width: int) -> bytes:
    """The lowest octets of all numbers, then the next ones: the upper ones hardly differ and are pressed to nothing."""
    return octets if width == 1 else b"".join(octets[plane::width] for plane in range(width))


def _whole(planes: bytes, width: int) -> bytes:
    """``_planes`` undone."""
    if width == 1:
        return planes
    count = len(planes) // width
    octets = bytearray(len(planes))
    for plane in range(width):
        octets[plane::width] = planes[plane * count : (plane + 1) * count]
    return bytes(octets)


# --- what a block comes to


def encode_summaries(summaries: Mapping[int, Summary]) -> bytes:
    """A roll-up of one hour or day: what each channel of a shelf came to."""
    codes = [quality(item.method, item.coverage, item.mark, item.value is not None) for item in summaries.values()]
    numbers = [(item.value or 0, item.low, item.high) for item in summaries.values()]
    parts = [_planes(pack("I", summaries), 4), _planes(pack("I", codes), 4)]
    parts += [_planes(pack("q", [number[place] for number in numbers]), 8) for place in range(3)]
    return zlib.compress(b"".join(parts), LEVEL)


def decode_summaries(packed: bytes, start: float, end: float) -> dict[int, Summary]:
    """The roll-up from ``start`` to ``end``, by channel id. Raises ValueError for what is none."""
    try:
        octets = zlib.decompress(packed)
        count = len(octets) // 32
        ids = unpack("I", _whole(octets[: 4 * count], 4))
        codes = unpack("I", _whole(octets[4 * count : 8 * count], 4))
        numbers = [unpack("q", _whole(octets[at : at + 8 * count], 8)) for at in (8 * count, 16 * count, 24 * count)]
        found = {}
        for channel, code, value, low, high in zip(ids, codes, *numbers, strict=True):
            known, method, coverage, mark = qualified(code)
            found[channel] = Summary(start, end, value if known else None, low, high, method, coverage, mark)
    except (zlib.error, ValueError, IndexError) as error:
        raise ValueError(f"a roll-up cannot be read ({error})") from None
    return found

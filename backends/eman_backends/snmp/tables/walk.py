"""A device that somebody walked: what ``snmpwalk -On`` printed, asked as if the device were there."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

from .model import Oid

Value = int | bytes | str

_LINE = re.compile(r"\.?(?P<oid>[0-9]+(?:\.[0-9]+)+) = (?P<said>.*)", re.DOTALL)
_TYPED = re.compile(r"(?P<type>[A-Za-z][A-Za-z0-9 -]*): ?(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+")
_NUMBERS = {"INTEGER", "Gauge32", "Counter32", "Counter64", "Unsigned32", "UInteger32", "Integer32", "Timeticks"}


class WalkError(Exception):
    """What is no walk; the text says where and why."""


class Walk:
    """Answers what a device answered when it was walked. It keeps what was remarked in ``remarks``."""

    def __init__(self, text: str) -> None:
        """``text`` is the output of ``snmpwalk -On``. Raises WalkError."""
        self.values = dict(_values(text))
        if not self.values:
            raise WalkError("has no line of the form .1.3.6.1.2.1.1.5.0 = STRING: ...; use snmpwalk -On")
        self.remarks: list[str] = []
        self._order = sorted(self.values, key=_parts)
        self._keys = [_parts(oid) for oid in self._order]

    async def get(self, names: Sequence[Oid], *, whole: bool = False) -> dict[Oid, Value]:
        """What is in the walk of these names."""
        del whole
        return {name: self.values[name] for name in names if name in self.values}

    async def walk(self, column: Oid, most: int) -> list[str]:
        """The indexes of the rows of a column."""
        return [oid[len(column) + 1 :] for oid in self._below(column)][:most]

    async def column(self, column: Oid, most: int) -> dict[str, Value]:
        """What stands in a column, by the indexes of its rows."""
        return {index: self.values[f"{column}.{index}"] for index in await self.walk(column, most)}

    async def first(self, prefixes: Sequence[Oid]) -> dict[Oid, Value]:
        """The first value below each prefix that has one."""
        found = {prefix: next(self._below(prefix), None) for prefix in prefixes}
        return {prefix: self.values[oid] for prefix, oid in found.items() if oid is not None}

    def say(self, text: str) -> None:
        """Keep a remark."""
        self.remarks.append(text)

    def _below(self, prefix: Oid) -> Iterator[Oid]:
        for oid in self._order[bisect.bisect_left(self._keys, _parts(prefix)) :]:
            if oid == prefix:
                continue
            if not oid.startswith(f"{prefix}."):
                return
            yield oid


def _parts(oid: Oid) -> tuple[int, ...]:
    return tuple(int(part) for part in oid.split("."))


def _values(text: str) -> Iterator[tuple[Oid, Value]]:
    """The variables; texts and octets may go on over several lines, remarks with # may go before the first."""
    pending: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if _LINE.match(line):
            yield from _variable("\n".join(pending))
            pending = [line]
        elif pending:
            pending.append(line)
        elif line.strip() and not line.startswith("#"):
            raise WalkError(
                f"line {number}: {line[:60]!r} is not of the form .1.3.6.1.2.1.1.5.0 = STRING: ...; use snmpwalk -On"
            )
    yield from _variable("\n".join(pending))


def _variable(said: str) -> Iterator[tuple[Oid, Value]]:
    line = _LINE.fullmatch(said)
    if line is None:
        return
    value = _value(line["said"])
    if value is not None:
        yield line["oid"], value


def _value(said: str) -> Value | None:
    """One value as Net-SNMP prints it; None where there is none."""
    if said.strip() == '""':
        return b""
    typed = _TYPED.fullmatch(said)
    if typed is None:
        return None  # No Such Object, No more variables, NULL
    kind, value = typed["type"], typed["value"].strip()
    if kind in _NUMBERS:
        # enumerations may come as up(1), ticks as (4711) 0:00:47.11, and units may follow
        numbers = re.search(r"\((-?[0-9]+)\)", value) or _NUMBER.match(value)
        return int(numbers[numbers.re.groups]) if numbers else None
    if kind in {"Hex-STRING", "BITS"}:
        octets = re.match(r"(?:[0-9A-Fa-f]{2}(?:\s+|$))*", value)
        return bytes.fromhex(octets[0]) if octets else b""
    if kind == "STRING":
        return value.removeprefix('"').removesuffix('"').replace('\\"', '"').encode()
    if kind == "OID":
        return value.removeprefix(".")
    if kind in {"IpAddress", "Network Address"}:
        return value
    return None

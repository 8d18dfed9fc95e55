"""``export``: samples from the state folder as CSV or Parquet, read beside a running server or without one."""

from __future__ import annotations

import argparse
import csv
import math
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

from eman_netconf.cli import CommandError
from eman_netconf.energy.quantities import UNITS
from eman_netconf.energy.samples import Channel, digits, trusted
from eman_netconf.energy.values import Quantity
from eman_netconf.server.samples.file import SamplesUnusable
from eman_netconf.server.samples.queries import Reader
from eman_netconf.server.samples.store import FILE
from eman_netconf.server.samples.values import ENERGIES, Summary
from eman_netconf.yang.stamps import stamp

#: The columns, in both formats. ``value``, ``minimum`` and ``maximum`` are in ``unit``; times are UTC.
COLUMNS: Final = (
    "start",
    "end",
    "owner",
    "part",
    "quantity",
    "phase",
    "series",
    "unit",
    "value",
    "minimum",
    "maximum",
    "method",
    "coverage_percent",
    "mark",
)

_PAGE: Final = 10_000  # samples in memory at once


class _Sheet(Protocol):
    """Where rows go."""

    def add(self, channel: Channel, rows: Sequence[Summary]) -> None: ...


def main(options: argparse.Namespace) -> int:
    """Write all that was asked for. Raises CommandError."""
    if options.format == "parquet" and options.output is None:
        raise CommandError("Parquet is not for terminals; name a file with --output")
    start = 0.0 if options.from_ is None else _instant(options.from_)
    end = math.inf if options.to is None else _instant(options.to)
    if options.resolution is not None and options.resolution <= 0:
        raise CommandError("--resolution is a number of seconds above 0")
    quantities = _quantities(options.quantity)
    path = options.state / FILE
    try:
        with ExitStack() as stack:
            if not path.exists():
                raise CommandError(f"{options.state} holds no samples: there is no {FILE} in it")
            reader = Reader(path)
            stack.callback(reader.close)
            channels = [
                channel
                for channel in reader.channels(options.entity)
                if not quantities or channel.quantity in quantities
            ]
            missing = sorted(set(options.entity) - {channel.owner for channel in channels})
            if missing:
                hint = "a domain is domains:NAME, a group groups:NAME"
                raise CommandError(f"nothing of that is kept of {', '.join(missing)} ({hint})")
            sheet = _sheet(options.format, options.output, stack)
            for channel in channels:
                for page in _pages(reader, channel, start, end, options.resolution):
                    sheet.add(channel, page)
    except (SamplesUnusable, sqlite3.Error, ValueError) as error:
        raise CommandError(f"{path} cannot be read ({error}); run this as the server's user") from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror}") from None
    return 0


def _instant(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no time; write it as 2026-06-21T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _quantities(names: Sequence[str]) -> frozenset[str]:
    unknown = sorted(set(names) - set(Quantity))
    if unknown:
        raise CommandError(f"there is no quantity {unknown[0]}; there are {', '.join(UNITS)}")
    return frozenset(names)


def _pages(
    reader: Reader, channel: Channel, start: float, end: float, resolution: float | None
) -> Iterator[list[Summary]]:
    more: float | None = start
    while more is not None:
        page, more = reader.summaries(channel, more, end, resolution, _PAGE)
        if page:
            yield page


def _sheet(format_: str, output: Path | None, stack: ExitStack) -> _Sheet:
    if format_ == "parquet":
        assert output is not None
        return _Parquet(output, stack)
    if output is None:
        return _Csv(sys.stdout)
    return _Csv(stack.enter_context(os.fdopen(_private(output), "w", encoding="utf-8", newline="")))


def _private(path: Path) -> int:
    """Samples tell when people are present: a new file is for its owner alone."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _fields(channel: Channel, one: Summary) -> tuple[Any, ...]:
    """A row after its times. Least and greatest are of what is averaged alone."""
    scale = 10 ** digits(channel.quantity)
    value = None if one.value is None else one.value / scale
    energy = channel.quantity in ENERGIES
    extremes = (None, None) if value is None or energy else (one.low / scale, one.high / scale)
    mark = trusted(one.mark, one.coverage, energy=energy)
    unit = next((unit for quantity, unit in UNITS.items() if quantity == channel.quantity), "")
    phase = f"l{channel.phase}" if channel.phase else None  # as the models call it
    names = (channel.owner, channel.part, channel.quantity, phase, channel.series, unit)
    return (*names, value, *extremes, one.method, one.coverage, str(mark))


class _Csv:
    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, channel: Channel, rows: Sequence[Summary]) -> None:
        places = digits(channel.quantity)
        for one in rows:
            fields = _fields(channel, one)
            numbers = ["" if number is None else f"{number:.{places}f}" for number in fields[6:9]]
            self._writer.writerow((stamp(one.start), stamp(one.end), *fields[:6], *numbers, *fields[9:]))


class _Parquet:
    """Needs pyarrow, which comes with the extra ``parquet``."""

    def __init__(self, output: Path, stack: ExitStack) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra: who does not export Parquet does not have it
            from pyarrow import parquet  # noqa: PLC0415 - as above
        except ModuleNotFoundError:
            raise CommandError(
                "Parquet needs the package pyarrow: pip install 'eman-netconf[parquet]', or use --format csv"
            ) from None
        self._arrow = pa
        instant = pa.timestamp("ms", tz="UTC")
        text, number = pa.string(), pa.float64()
        kinds = [instant, instant, text, text, text, text, text, text, *[number] * 3, text, number, text]
        self._schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
        file = stack.enter_context(os.fdopen(_private(output), "wb"))
        self._writer = stack.enter_context(parquet.ParquetWriter(file, self._schema, compression="zstd"))

    def add(self, channel: Channel, rows: Sequence[Summary]) -> None:
        columns = list(
            zip(
                *((round(one.start * 1000), round(one.end * 1000), *_fields(channel, one)) for one in rows),
                strict=True,
            )
        )
        arrays = [
            self._arrow.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

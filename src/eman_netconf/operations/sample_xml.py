"""Samples as XML: the list value of a query's answer, printed without a tree, in slices.

What one sample has in common with many, its method with coverage and mark, is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from eman_netconf.energy.canonical import decimal64, thousandths
from eman_netconf.energy.measurements import METHOD_NAMES
from eman_netconf.energy.quantities import COUNTERS
from eman_netconf.energy.samples import Sample, digits, trusted
from eman_netconf.messages.rpc import Output
from eman_netconf.yang.render import data_bytes
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp

SLICE = 500  # samples that are printed in one go

_percent = decimal64(2)


def printed(output: SchemaNode, quantity: str, samples: Sequence[Sample], more_from: float | None) -> Output:
    """The answer of a query: ``output`` is its node, with the leaf more-from and the list value."""
    head = b"" if more_from is None else data_bytes(output.child("more-from"), stamp(more_from))
    slices = _slices(output.child("value"), quantity, samples)
    return Output(head + next(slices, b""), slices)


def _slices(entry: SchemaNode, quantity: str, samples: Sequence[Sample]) -> Iterator[bytes]:
    text, energy = _scaled(digits(quantity)), quantity in COUNTERS
    opened, _ = _tags(entry)
    end, start, around = (_tags(entry.child(name)) for name in ("end-time", "start-time", "value"))
    before, between, after = opened + end[0], end[1] + start[0], start[1]
    tails: dict[tuple[str, float, str], str] = {}
    for first in range(0, len(samples), SLICE):
        parts: list[str] = []
        for sample in samples[first : first + SLICE]:
            quality = sample.method, sample.coverage, sample.mark
            tail = tails.get(quality)
            if tail is None:
                tail = tails[quality] = _tail(entry, sample, energy=energy)
            value = "" if sample.value is None else text(sample.value).join(around)
            parts.append(f"{before}{stamp(sample.end)}{between}{stamp(sample.start)}{after}{value}{tail}")
        yield "".join(parts).encode()


def _tail(entry: SchemaNode, sample: Sample, *, energy: bool) -> str:
    """What follows the value, to the end of the entry."""
    known = {
        "method": METHOD_NAMES.get(sample.method),
        "coverage": _percent(sample.coverage),
        "mark": trusted(sample.mark, sample.coverage, energy=energy),
    }
    leaves = [data_bytes(entry.child(name), text) for name, text in known.items() if text is not None]
    return b"".join((*leaves, entry.close_tag)).decode()


def _tags(node: SchemaNode) -> tuple[str, str]:
    return node.open_tag.decode(), node.close_tag.decode()


def _scaled(fraction: int) -> Callable[[int], str]:
    """A printer of numbers in units of their last digit."""
    if fraction == 3:
        return thousandths
    canonical = decimal64(fraction)
    return lambda number: canonical(Decimal(number).scaleb(-fraction))

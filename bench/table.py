"""What was measured, row by row: least, median and most, beside the promise and the peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

_HEAD = ("", "min", "median", "max", "promise", "")
_WIDTHS = (58, 9, 9, 9, 10, 7)
_PEER = 14


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. ``promise`` and the samples are in ``unit``; more is better when ``rising``.

    ``peers`` holds the samples of each peer by its name, of those that can do it.
    """

    name: str
    unit: str
    samples: Sequence[float]
    promise: float | None = None
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rising: bool = False

    @property
    def kept(self) -> bool | None:
        """Whether the median keeps the promise; None when nothing was promised."""
        if self.promise is None:
            return None
        middle = median(self.samples)
        return middle >= self.promise if self.rising else middle <= self.promise

    def ratio(self, peer: str) -> float | None:
        """How many times better than this peer."""
        if peer not in self.peers:
            return None
        ours, theirs = median(self.samples), median(self.peers[peer])
        if self.rising:
            ours, theirs = theirs, ours
        return theirs / ours if ours else None

    def cells(self, peers: Sequence[str]) -> list[str]:
        verdict = {None: "", True: "kept", False: "MISSED"}[self.kept]
        promise = "" if self.promise is None else f"{'≥' if self.rising else '≤'} {number(self.promise)}"
        cells = [
            f"{self.name} [{self.unit}]",
            *(number(value) for value in (min(self.samples), median(self.samples), max(self.samples))),
            promise,
            verdict,
        ]
        for peer in peers:
            ratio = self.ratio(peer)
            cells += ["-", "-"] if ratio is None else [number(median(self.peers[peer])), f"{number(ratio)} x"]
        return cells


@dataclass(slots=True)
class Table:
    """Rows, printed as they come; ``peers`` are the names of those that are measured too."""

    peers: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)

    def head(self, title: str) -> None:
        print(f"\n{title}")
        self._print([*_HEAD, *(word for peer in self.peers for word in (peer, "ratio"))])

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self._print(row.cells(self.peers))

    @staticmethod
    def note(text: str) -> None:
        print(f"  ({text})", flush=True)

    def _print(self, cells: Sequence[str]) -> None:
        first, *rest = cells
        widths = [*_WIDTHS[1:], *(_PEER for _ in rest[len(_WIDTHS) - 1 :])]
        line = f"{first:<{_WIDTHS[0]}}" + " ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths, strict=True))
        print(line.rstrip(), flush=True)


def number(value: float) -> str:
    """Three digits that count."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"

"""What is kept of quantities over time, and what crosses between the energy core and the store of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from eman_netconf.energy.values import Quantity


class Mark(StrEnum):
    """How far energy of a stretch of time may be trusted, the best first."""

    MEASURED = "measured"  # a meter counted it, or power was sampled without a gap
    ESTIMATED = "estimated"  # the amount or its place in time is a guess that stands to reason
    MISSING = "missing"  # some of it is not known


_RANKS = {mark: rank for rank, mark in enumerate(Mark)}


def worst(*marks: Mark) -> Mark:
    return max(marks, key=_RANKS.__getitem__)


ENOUGH = 95.0  # percent of an interval that have to be known for the whole to count as measured


def trusted(mark: Mark, coverage: float, *, energy: bool) -> Mark:
    """How far a value may be trusted of which ``coverage`` percent are known, and that as ``mark`` says: of a mean the
    rest is guessed to be like that, of energy it is not there.
    """
    if coverage >= ENOUGH:
        return mark
    return worst(mark, Mark.MISSING if energy else Mark.ESTIMATED)


class Joining(StrEnum):
    """How values of several intervals become the value of a longer one."""

    SUM = "sum"
    MEAN = "mean"  # over time
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    LAST = "last"  # that of the newest
    NEWEST = "newest"  # the intervals overlap: the newest stands as it is, with its own beginning and end


#: Fraction digits to which samples are kept; three where nothing else is said.
DIGITS: Mapping[str, int] = {Quantity.POWER_FACTOR: 4}


def digits(quantity: str) -> int:
    """So many fraction digits samples of ``quantity`` have; energies in watt-hours, so they are milliwatt-hours."""
    return DIGITS.get(quantity, 3)


class Channel(NamedTuple):
    """Whose samples: ``owner`` is a record key (entity id, ``domains:…``, ``groups:…``).

    ``part`` is "" for the owner itself, ``interface:<name>`` or ``battery:<name>``; ``phase`` 0 is the whole;
    ``series`` "" is the history that is kept of the whole site, else the name of a series of the owner.
    """

    owner: str
    part: str
    quantity: str  # Quantity
    phase: int = 0
    series: str = ""


class Sample(NamedTuple):
    """A value over an interval of wall-clock time.

    ``value`` is an integer in units of the last digit (``digits``), None where nothing is known. Of energy it is what
    flowed within the interval, never a meter's reading. ``coverage`` is the share in percent of the interval that the
    value rests on readings of; ``mark`` tells of that share only, and of the whole as ``trusted`` says.
    """

    start: float
    end: float
    value: int | None
    method: str  # Method
    coverage: float = 100.0
    mark: Mark = Mark.MEASURED


@dataclass(frozen=True, slots=True)
class Tick:
    """Samples of many channels whose intervals ended at one instant. Several of one instant add up."""

    end: float  # wall-clock seconds, a multiple of ``period``
    period: float  # seconds between two ticks of these channels
    samples: Mapping[Channel, Sample]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Energy (milliwatt-hours, may be negative) to be added to what is kept from ``start`` to ``end``, evenly.

    It came to be known after the ticks it lies in were over, or somebody corrected them: then ``by`` and ``reason``
    say who and why, and ``at`` when.
    """

    owner: str
    part: str
    start: float
    end: float
    received: int
    provided: int
    mark: Mark
    at: float
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A series of an owner begins, or has another ``capacity`` (samples kept); 0 = it and its samples are dropped."""

    channel: Channel
    period: float
    capacity: int
    joining: Joining


@dataclass(frozen=True, slots=True)
class Renamed:
    """What was kept for the owner ``before`` belongs to ``after``."""

    before: str
    after: str


Recorded = Tick | Stretch | Kept | Renamed


@dataclass(frozen=True, slots=True)
class Energy:
    """What flowed from ``start`` to ``end``, in milliwatt-hours; None where nothing is known of that direction.

    ``coverage`` is the share in percent of that time which the figures rest on readings of.
    """

    received: int | None
    provided: int | None
    start: float
    end: float
    coverage: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Span:
    """How many samples of a channel are kept, and the time they are of: the oldest's start and the newest's end."""

    stored: int
    oldest: float | None
    newest: float | None

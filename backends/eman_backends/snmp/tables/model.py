"""What a table says: frozen values, made by ``grammar`` of TOML, or by an explorer of what it found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from eman_backends.snmp.writes import Write
from eman_netconf.backend import Direction, Method, Persistence, Quantity

Oid = str
_PLACE = re.compile(r"\{(?:index|([1-9]))\}")
Word = str | bool | frozenset[str]


class Kind(StrEnum):
    """What the rows of a section are."""

    UNIT = "unit"  # boxes that are chained and answer as one; the first is the device
    DEVICE = "device"  # values of the device as a whole
    INTERFACE = "interface"
    BATTERY = "battery"
    COMPONENT = "component"  # entities of their own, contained in the device


class Whole(StrEnum):
    """How values of phases or rows make one of the whole."""

    SUM = "sum"
    MEAN = "mean"
    FIRST = "first"  # that is known


def instance(oid: Oid, index: str) -> Oid:
    """The instance of a column in a row.

    The index goes where the OID says ``{index}`` or ``{1}``, ``{2}`` for its parts, 0 where it has no such part, else
    to the end. What ends in 0 is a scalar's instance already, the same for all rows.
    """
    if "{" in oid:
        parts = dict(enumerate(index.split("."), 1)) if index else {}
        return _PLACE.sub(lambda place: parts.get(int(place[1]), "0") if place[1] else index or "0", oid)
    return oid if not index or oid.endswith(".0") else f"{oid}.{index}"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something a number of the device must be."""

    oid: Oid
    equals: frozenset[int] | None = None
    unlike: frozenset[int] = frozenset()
    below: Decimal | None = None
    above: Decimal | None = None

    def holds(self, number: int) -> bool:
        """Whether ``number`` meets all that is asked."""
        return (
            (self.equals is None or number in self.equals)
            and number not in self.unlike
            and (self.below is None or number < self.below)
            and (self.above is None or number > self.above)
        )


@dataclass(frozen=True, slots=True)
class Case:
    """What a state is while its condition holds."""

    condition: Condition
    value: Word


@dataclass(frozen=True, slots=True)
class Exponent:
    """A power of ten that the device tells beside a number: 10 to the ``sign`` times what stands at ``oid``."""

    oid: Oid
    sign: int = 1  # -1 where the device tells decimal digits
    words: Mapping[int, int] | None = None  # what its codes mean, where it does not tell the power itself


@dataclass(frozen=True, slots=True)
class Rule:
    """How one quantity is read: a number by ``oid``, a state by ``cases`` of which the first that holds counts."""

    quantity: Quantity
    oid: Oid | None = None
    scale: Decimal = Decimal(1)
    digits: Oid | None = None  # decimal digits of what the device tells, looked up once; nothing is assumed without
    exponents: tuple[Exponent, ...] = ()
    between: tuple[Decimal, Decimal] | None = None
    absent: frozenset[int] = frozenset()
    only_when: Condition | None = None  # what is told counts only while this holds; else the device does not measure
    unless: Condition | None = None  # ... does not count while this holds; a device without the object is believed
    zero_when: Condition | None = None  # a zero is believed only while this holds; some devices do not measure
    negative_when: Condition | None = None  # the device tells a size; its sign is told elsewhere
    cases: tuple[Case, ...] = ()
    every: bool = False  # the cases are of alarms, and all that hold count together
    phase: int | None = None
    whole: Whole | None = None
    method: Method = Method.DIRECT_METER
    accuracy: Decimal | None = None  # percent
    accuracy_at: Attribute | None = None  # where the device tells it, looked up once
    accuracy_class: str | None = None
    wraps_at: int | None = None  # of a counter, as the device counts: at this it starts again at 0
    needs: tuple[Oid, ...] = field(init=False)  # everything the rule asks of the device in a pass

    def __post_init__(self) -> None:
        found = [self.oid] if self.oid is not None else []
        found += [exponent.oid for exponent in self.exponents]
        found += [case.condition.oid for case in self.cases]
        conditions = (self.only_when, self.unless, self.zero_when, self.negative_when)
        found += [condition.oid for condition in conditions if condition is not None]
        object.__setattr__(self, "needs", tuple(dict.fromkeys(found)))


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value that does not change while the device runs: ``text`` as it stands here, or read from ``oid``."""

    text: str | None = None
    oid: Oid | None = None
    scale: Decimal = Decimal(1)
    absent: frozenset[int | str] = frozenset()
    words: Mapping[int, str | int | Decimal] | None = None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    """A foreign identifier: read from ``oid``, or ``template`` filled with the row's index."""

    kind: str
    oid: Oid | None = None
    template: str | None = None
    persistence: Persistence = Persistence.UNKNOWN
    absent: frozenset[int | str] = frozenset()
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A part of a row's name that stands in a column instead of the index."""

    oid: Oid
    words: Mapping[int, int] | None = None  # what its codes mean; rows with others are not of the section
    pattern: str | None = None  # of its text, of which the first group counts; rows with others are not of the section


@dataclass(frozen=True, slots=True)
class Switch:
    """What is written to switch on and off; ``when`` tells which rows can be, ``unless`` which cannot."""

    on: Write
    off: Write
    when: Condition | None = None
    unless: Condition | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One thing or the rows of one SNMP table; with ``rows`` an OID is a column (see ``instance``)."""

    kind: Kind
    name: str = ""  # with {index}, {1}, {2} ... for the parts of the row's index, {word} for a column
    rows: Oid | None = None
    count: Oid | None = None  # how many rows are real
    where: Condition | None = None  # which rows are real
    columns: Mapping[str, Column] = field(default_factory=dict)
    unit: str | None = None  # template of the number of the unit it belongs to; None = the device
    phase: str | None = None  # template of the number of the phase
    direction: Direction = Direction.OUTLET
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    identifiers: tuple[Identifier, ...] = ()
    rules: tuple[Rule, ...] = ()
    switch: Switch | None = None
    test: Write | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """All that is known of one kind of device."""

    name: str
    title: str
    source: str
    objects: tuple[Oid, ...] = ()  # prefixes of sysObjectID; empty = any
    probe: Oid | None = None  # something below it must exist
    unlike: frozenset[int] = frozenset()  # ... and not be one of these
    instead_of: frozenset[str] = frozenset()
    first_unit: int = 1  # the number of the unit that is the device
    entity: Section = Section(Kind.DEVICE)
    sections: tuple[Section, ...] = ()

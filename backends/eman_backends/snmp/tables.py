"""What is known of kinds of devices: tables/*.toml, loaded and checked; README.md tells how one is written."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from eman_netconf.backend import Direction, Method, Persistence, Quantity, Supply

Oid = str
FOLDER = Path(__file__).parent / "tables"
GENERIC = "generic"  # the table that is applied to every device, after the others

_OID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_TEMPLATE = re.compile(r"[A-Za-z0-9]?(?:[A-Za-z0-9._~\-]|\{(?:index|[1-9])\})*")
E = TypeVar("E", bound=StrEnum)

PHASED = {
    *(Quantity.VOLTAGE, Quantity.VOLTAGE_TO_NEXT, Quantity.CURRENT, Quantity.ACTIVE_POWER, Quantity.APPARENT_POWER),
    *(Quantity.REACTIVE_POWER, Quantity.POWER_FACTOR, Quantity.PHASE_ANGLE),
    *(Quantity.THD_VOLTAGE, Quantity.THD_CURRENT),
}
TRUTHS = {Quantity.POWER_AVAILABLE, Quantity.IN_USE, Quantity.LOCAL_CONTROL}
WORDS = {
    Quantity.SUPPLY_STATE: frozenset(Supply),
    Quantity.CHARGING_STATE: frozenset({"charging", "maintaining", "not-charging", "discharging"}),
    Quantity.OPERATIONAL_DIRECTION: frozenset({"inlet", "outlet"}),
}
ALARMS = frozenset({"low", "critical", "aging", "temperature"})
BATTERY = {
    *(Quantity.CHARGE, Quantity.CHARGE_PERCENT, Quantity.CHARGING_STATE, Quantity.CYCLE_COUNT),
    *(Quantity.ACTUAL_CAPACITY, Quantity.BATTERY_VOLTAGE, Quantity.BATTERY_CURRENT, Quantity.TEMPERATURE),
    *(Quantity.RUNTIME_REMAINING, Quantity.ALARM),
}
BETWEEN = {  # what a quantity can be; other numbers are taken as not known
    Quantity.CHARGE_PERCENT: (Decimal(0), Decimal(100)),
    Quantity.POWER_FACTOR: (Decimal(-1), Decimal(1)),
    Quantity.FREQUENCY: (Decimal(0), Decimal(1000)),
    Quantity.TEMPERATURE: (Decimal(-100), Decimal(200)),
    Quantity.RUNTIME_REMAINING: (Decimal(0), Decimal(10**8)),
    Quantity.CYCLE_COUNT: (Decimal(0), Decimal(10**6)),
    Quantity.APPARENT_POWER: (Decimal(0), Decimal(10**9)),
}
ATTRIBUTES = {
    "entity": {  # name stands as display-name in a table
        *("name", "description", "manufacturer", "model", "firmware-version", "category", "nameplate-power"),
        *("current-type", "uuid"),
    },
    "interface": {"label", "current-type", "nominal-frequency", "rated-current", "rated-power"},
    "battery": {
        *("identifier", "firmware-version", "type", "technology", "nominal-capacity", "nominal-voltage", "cell-count"),
    },
}
NUMBERS = {
    *("nameplate-power", "nominal-frequency", "rated-current", "rated-power"),
    *("nominal-capacity", "nominal-voltage", "cell-count"),
}


class TableError(Exception):
    """A table that cannot be used; the text names the file and the key."""


class Kind(StrEnum):
    """What the rows of a section are."""

    DEVICE = "device"  # values of the device as a whole
    INTERFACE = "interface"
    BATTERY = "battery"
    COMPONENT = "component"  # entities of their own, contained in the device


class Whole(StrEnum):
    """How values of phases or rows make one of the whole."""

    SUM = "sum"
    MEAN = "mean"
    FIRST = "first"


def instance(oid: Oid, index: str) -> Oid:
    """The instance of a column in a row. What ends in 0 is a scalar's instance already, the same for all rows."""
    return oid if not index or oid.endswith(".0") else f"{oid}.{index}"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something a number of the device must be."""

    oid: Oid
    equals: frozenset[int] | None = None
    below: Decimal | None = None
    above: Decimal | None = None

    def holds(self, number: int) -> bool:
        """Whether ``number`` meets all that is asked."""
        return (
            (self.equals is None or number in self.equals)
            and (self.below is None or number < self.below)
            and (self.above is None or number > self.above)
        )


@dataclass(frozen=True, slots=True)
class Exponent:
    """A power of ten that the device tells beside a number: 10 to the ``sign`` times what stands at ``oid``."""

    oid: Oid
    sign: int = 1  # -1 where the device tells decimal digits
    words: Mapping[int, int] | None = None  # what its codes mean, where it does not tell the power itself


Word = str | bool | frozenset[str]


@dataclass(frozen=True, slots=True)
class Case:
    """What a state is while its condition holds."""

    condition: Condition
    value: Word


@dataclass(frozen=True, slots=True)
class Rule:
    """How one quantity is read: a number by ``oid``, a state by ``cases`` of which the first that holds counts."""

    quantity: Quantity
    oid: Oid | None = None
    scale: Decimal = Decimal(1)
    exponents: tuple[Exponent, ...] = ()
    between: tuple[Decimal, Decimal] | None = None
    absent: frozenset[int] = frozenset()
    zero_when: Condition | None = None  # a zero is believed only while this holds; some devices do not measure
    negative_when: Condition | None = None  # the device tells a size; its sign is told elsewhere
    cases: tuple[Case, ...] = ()
    phase: int | None = None
    whole: Whole | None = None
    method: Method = Method.DIRECT_METER
    accuracy: Decimal | None = None
    needs: tuple[Oid, ...] = field(init=False)  # everything the rule asks of the device

    def __post_init__(self) -> None:
        found = [self.oid] if self.oid is not None else []
        found += [exponent.oid for exponent in self.exponents]
        found += [case.condition.oid for case in self.cases]
        found += [condition.oid for condition in (self.zero_when, self.negative_when) if condition is not None]
        object.__setattr__(self, "needs", tuple(dict.fromkeys(found)))


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value that does not change while the device runs: ``text`` as it stands here, or read from ``oid``."""

    text: str | None = None
    oid: Oid | None = None
    scale: Decimal = Decimal(1)
    absent: frozenset[int | str] = frozenset()
    words: Mapping[int, str] | None = None
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
class Switch:
    """Where a command is written, and the numbers that mean on and off."""

    oid: Oid
    on: int
    off: int


@dataclass(frozen=True, slots=True)
class Section:
    """One thing or the rows of one SNMP table; with ``rows`` an OID is a column unless it ends in 0 (``instance``)."""

    kind: Kind
    name: str = ""  # with {index}, {1}, {2} ... for the parts of the row's index
    rows: Oid | None = None
    count: Oid | None = None  # how many rows are real
    where: Condition | None = None  # which rows are real
    phase: int | None = None  # which part of the index is the number of the phase
    direction: Direction = Direction.OUTLET
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    identifiers: tuple[Identifier, ...] = ()
    rules: tuple[Rule, ...] = ()
    switch: Switch | None = None


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
    entity: Section = Section(Kind.DEVICE)
    sections: tuple[Section, ...] = ()


@functools.cache
def load(folder: Path = FOLDER) -> Mapping[str, Table]:
    """All tables by name. Raises TableError."""
    tables = {path.stem: read(path) for path in sorted(folder.glob("*.toml"))}
    for table in tables.values():
        if unknown := table.instead_of - tables.keys():
            raise TableError(f"{table.name}.toml: instead-of: there is no table {', '.join(sorted(unknown))}")
    if GENERIC not in tables:
        raise TableError(f"{folder} has no {GENERIC}.toml")
    return tables


def read(path: Path) -> Table:
    """One table. Raises TableError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"{path.name}: {error}") from None
    return _table(Node(document, path.name, str(document.get("base", ""))), path.stem)


class Node:
    """A TOML table that is read key by key; what nobody asked for is an error."""

    def __init__(self, content: Any, where: str, base: str) -> None:
        if not isinstance(content, dict):
            raise TableError(f"{where}: must be a table")
        self._content = dict(content)
        self._where = where
        self._base = base

    def fail(self, key: str, text: str) -> TableError:
        return TableError(f"{self._where}: {key}: {text}")

    def done(self) -> None:
        """Raise when a key is left that means nothing here."""
        if self._content:
            raise TableError(f"{self._where}: {', '.join(sorted(self._content))}: is not known here")

    def take(self, key: str, kind: type | tuple[type, ...], what: str, default: Any = None) -> Any:
        if key not in self._content:
            return default
        value = self._content.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.fail(key, f"{value!r} is not {what}")
        return value

    def text(self, key: str) -> str | None:
        value: str | None = self.take(key, str, "a text")
        return value

    def need(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise self.fail(key, "is missing")
        return value

    def oid(self, key: str) -> Oid | None:
        value = self.text(key)
        return None if value is None else self._full(key, value)

    def oids(self, key: str) -> tuple[Oid, ...]:
        return tuple(self._full(key, value) for value in self.take(key, list, "a list of OIDs", []))

    def _full(self, key: str, value: Any) -> Oid:
        full = f"{self._base}{value}" if isinstance(value, str) and value.startswith(".") else value
        if not isinstance(full, str) or not _OID.fullmatch(full):
            raise self.fail(key, f"{value!r} is not an OID")
        return full

    def integer(self, key: str) -> int | None:
        value: int | None = self.take(key, int, "a whole number")
        return value

    def decimal(self, key: str) -> Decimal | None:
        value = self.take(key, (int, Decimal), "a number")
        return None if value is None else Decimal(value)

    def member(self, key: str, kind: type[E], default: E) -> E:
        value = self.text(key)
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            raise self.fail(key, f"{value!r} is not one of {', '.join(kind)}") from None

    def integers(self, key: str) -> frozenset[int] | None:
        values = self.take(key, list, "a list of whole numbers")
        if values is None:
            return None
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            raise self.fail(key, "is a list of whole numbers")
        return frozenset(values)

    def absent(self) -> frozenset[int | str]:
        values = self.take("absent", list, "a list of numbers and texts", [])
        if not all(isinstance(value, int | str) and not isinstance(value, bool) for value in values):
            raise self.fail("absent", "is a list of numbers and texts")
        return frozenset(values)

    def template(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None and not _TEMPLATE.fullmatch(value):
            raise self.fail(key, f"{value!r} is not a name with {{index}}, {{1}}, {{2}} for the row's index")
        return value

    def node(self, key: str) -> Node | None:
        value = self.take(key, dict, "a table")
        return None if value is None else Node(value, f"{self._where}: {key}", self._base)

    def text_or_node(self, key: str) -> str | Node | None:
        return self.text(key) if isinstance(self._content.get(key), str) else self.node(key)

    def nodes(self, key: str) -> list[Node]:
        values = self.take(key, list, "a list of tables", [])
        return [Node(value, f"{self._where}: {key}[{number}]", self._base) for number, value in enumerate(values, 1)]

    def each(self, key: str, make: Callable[[Node], Any]) -> tuple[Any, ...]:
        made = []
        for node in self.nodes(key):
            made.append(make(node))
            node.done()
        return tuple(made)

    def words(self, key: str) -> dict[int, Any] | None:
        """A map from the device's numbers; TOML has only texts as keys."""
        values = self.take(key, dict, "a table of numbers and what they mean")
        if values is None:
            return None
        try:
            return {int(number): value for number, value in values.items()}
        except ValueError:
            raise self.fail(key, "has keys that are no numbers") from None


def _table(node: Node, name: str) -> Table:
    if (base := node.oid("base")) is not None and base.startswith("."):
        raise node.fail("base", "cannot be relative")
    objects: tuple[Oid, ...] = ()
    probe, unlike = None, None
    if match := node.node("match"):
        objects, probe, unlike = match.oids("sys-object-id"), match.oid("probe"), match.integers("unlike")
        match.done()
    if not objects and probe is None and name != GENERIC:
        raise node.fail("match", "needs a sys-object-id or a probe, or every device would be one of these")
    sections = [section for kind in Kind for section in node.each(kind.value, functools.partial(_section, kind=kind))]
    entity = Section(Kind.DEVICE)
    if (described := node.node("entity")) is not None:
        entity = replace(
            entity, attributes=_attributes(described, "entity"), identifiers=described.each("foreign-ids", _identifier)
        )
        described.done()
    table = Table(
        name=name,
        title=node.need("title"),
        source=node.need("source"),
        objects=objects,
        probe=probe,
        unlike=unlike or frozenset(),
        instead_of=frozenset(node.take("instead-of", list, "a list of tables", [])),
        entity=entity,
        sections=tuple(sections),
    )
    node.done()
    return table


def _section(node: Node, kind: Kind) -> Section:
    rows = node.oid("rows")
    count, where, phase = node.oid("count"), _condition(node.node("where")), node.text("phase")
    if phase is not None and not re.fullmatch(r"\{[1-9]\}", phase):
        raise node.fail("phase", f"{phase!r} is not a part of the row's index, such as {{1}}")
    if rows is None and (count or where or phase):
        raise node.fail("rows", "is missing, without which count, where and phase mean nothing")
    switch = node.node("switch") if kind is Kind.INTERFACE else None
    section = Section(
        kind=kind,
        name=_name(node, kind, rowed=rows is not None and phase is None),
        rows=rows,
        count=count,
        where=where,
        phase=int(phase[1]) if phase else None,
        direction=node.member("direction", Direction, Direction.OUTLET) if kind is Kind.INTERFACE else Direction.BOTH,
        attributes=_attributes(node, "entity" if kind is Kind.COMPONENT else kind.value),
        identifiers=node.each("foreign-ids", _identifier),
        rules=node.each("readings", _rule),
        switch=_switch(switch) if switch else None,
    )
    for rule in section.rules:
        _agree(node, section, rule)
    return section


def _name(node: Node, kind: Kind, *, rowed: bool) -> str:
    if kind is Kind.DEVICE:
        return ""
    name = node.template("name")
    if not name:
        raise node.fail("name", "is missing")
    if rowed is not ("{" in name):
        raise node.fail("name", "must tell the rows apart" if rowed else "is one name, for there is one thing")
    return name


def _agree(node: Node, section: Section, rule: Rule) -> None:
    """Raise where a rule cannot belong to its section."""
    if (rule.quantity in BATTERY) is not (section.kind is Kind.BATTERY):
        raise node.fail(
            "readings", f"{rule.quantity} does not belong to a{'n' * (section.kind is Kind.INTERFACE)} {section.kind}"
        )
    phased = section.phase is not None
    if phased and rule.phase is not None:
        raise node.fail("readings", f"{rule.quantity} has a phase of its own, though the rows are phases")
    if rule.phase is not None and rule.quantity not in PHASED:
        raise node.fail("readings", f"{rule.quantity} has no phases")
    if phased and rule.whole is None and rule.quantity not in PHASED:
        raise node.fail("readings", f"{rule.quantity} has no phases, so whole must tell how one is made of them")
    if section.kind is Kind.DEVICE and section.rows is not None and rule.whole is None and not phased:
        raise node.fail("readings", f"{rule.quantity} has many rows, so whole must tell how one is made of them")
    if section.kind is Kind.INTERFACE and section.direction is Direction.OUTLET:
        if rule.quantity is Quantity.ACTIVE_POWER and rule.scale > 0:
            raise node.fail("readings", "an outlet provides, so the scale of active-power is negative")
        if rule.quantity is Quantity.ENERGY_RECEIVED:
            raise node.fail("readings", "an outlet provides: use energy-provided")


def _attributes(node: Node, kind: str) -> dict[str, Attribute]:
    """Fixed texts, or where to read them."""
    found = {}
    for name in sorted(ATTRIBUTES.get(kind, ())):
        place = node.text_or_node("display-name" if name == "name" else name)
        if place is not None:
            found[name] = Attribute(text=place) if isinstance(place, str) else _attribute(place)
    return found


def _attribute(place: Node) -> Attribute:
    oid = place.oid("oid")
    if oid is None:
        raise place.fail("oid", "is missing")
    made = Attribute(
        oid=oid,
        scale=_or_one(place.decimal("scale")),
        absent=place.absent(),
        words=place.words("words"),
        when=_condition(place.node("when")),
    )
    place.done()
    return made


def _identifier(node: Node) -> Identifier:
    oid, template = node.oid("oid"), node.template("value")
    if (oid is None) is (template is None):
        raise node.fail("oid", "give either an oid or a value")
    return Identifier(
        kind=node.need("kind"),
        oid=oid,
        template=template,
        persistence=node.member("persistence", Persistence, Persistence.UNKNOWN),
        absent=node.absent(),
        when=_condition(node.node("when")),
    )


def _switch(node: Node) -> Switch:
    oid, on, off = node.oid("oid"), node.integer("on"), node.integer("off")
    if oid is None or on is None or off is None or on == off:
        raise node.fail("switch", "needs oid, on and off, and two numbers that differ")
    node.done()
    return Switch(oid, on, off)


def _condition(node: Node | None) -> Condition | None:
    if node is None:
        return None
    condition = _open_condition(node)
    node.done()
    return condition


def _open_condition(node: Node) -> Condition:
    oid = node.oid("oid")
    condition = Condition(oid or "", node.integers("is"), node.decimal("below"), node.decimal("above"))
    if oid is None or (condition.equals is None and condition.below is None and condition.above is None):
        raise node.fail("oid", "a condition needs an oid and one of is, below, above")
    return condition


def _rule(node: Node) -> Rule:
    quantity = _quantity(node)
    oid = node.oid("oid")
    cases = _cases(node, quantity, oid)
    number = quantity not in WORDS and quantity not in TRUTHS and quantity is not Quantity.ALARM
    if number and (cases or oid is None):
        raise node.fail("oid", f"{quantity} is a number: give the oid to read it from")
    if not number and not cases:
        raise node.fail("cases", f"{quantity} is a state: give words or cases that tell which")
    phase = node.integer("phase")
    if phase is not None and phase not in {1, 2, 3}:
        raise node.fail("phase", f"{phase} is not 1, 2 or 3")
    low, high = node.decimal("at-least"), node.decimal("at-most")
    between = BETWEEN.get(quantity)
    if low is not None or high is not None:
        usual = between or (Decimal(-(10**15)), Decimal(10**15))
        between = (usual[0] if low is None else low, usual[1] if high is None else high)
    whole = node.text("whole")
    if whole is not None and whole not in set(Whole):
        raise node.fail("whole", f"{whole!r} is not one of {', '.join(Whole)}")
    return Rule(
        quantity=quantity,
        oid=oid if number else None,
        scale=_or_one(node.decimal("scale")),
        between=between,
        absent=node.integers("absent") or frozenset(),
        zero_when=_condition(node.node("zero-when")),
        negative_when=_condition(node.node("negative-when")),
        cases=cases,
        phase=phase,
        whole=Whole(whole) if whole else None,
        method=node.member("method", Method, Method.DIRECT_METER),
        accuracy=node.decimal("accuracy"),
    )


def _or_one(number: Decimal | None) -> Decimal:
    return Decimal(1) if number is None else number


def _quantity(node: Node) -> Quantity:
    name = node.need("quantity")
    try:
        return Quantity(name)
    except ValueError:
        raise node.fail("quantity", f"{name!r} is not a quantity") from None


def _cases(node: Node, quantity: Quantity, oid: Oid | None) -> tuple[Case, ...]:
    """Cases as they stand, or made of words for the numbers of one oid."""
    made: list[Case] = []
    words = node.words("words")
    if words is not None:
        if oid is None:
            raise node.fail("words", "needs the oid whose numbers they stand for")
        made = [
            Case(Condition(oid, frozenset({number})), _word(node, quantity, word)) for number, word in words.items()
        ]
    for one in node.nodes("cases"):
        value = one.take("value", (str, bool, list), "a word, true or false, or a list of alarms")
        if value is None:
            raise one.fail("value", "is missing")
        made.append(Case(_open_condition(one), _word(one, quantity, value)))
        one.done()
    return tuple(made)


def _word(node: Node, quantity: Quantity, value: object) -> Word:
    if quantity in TRUTHS and isinstance(value, bool):
        return value
    if quantity is Quantity.ALARM and isinstance(value, list) and set(value) <= ALARMS:
        return frozenset(value)
    if isinstance(value, str) and value in WORDS.get(quantity, ()):
        return Supply(value) if quantity is Quantity.SUPPLY_STATE else value
    raise node.fail("value", f"{value!r} is not something {quantity} can be")


def names(tables: Iterable[Table]) -> str:
    """The tables' names for a sentence."""
    return ", ".join(sorted(table.name for table in tables))

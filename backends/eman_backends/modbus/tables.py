"""What is known of kinds of devices: tables/*.toml of register maps and models/*.toml of SunSpec, loaded and checked.

README.md tells how one is written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from eman_backends import documents
from eman_backends.documents import TableError, parsed
from eman_netconf.backend import Direction, Method, Quantity, Supply

from .registers import FLOATS, LARGEST, SIZES, Field, Order, Space, Type

FOLDER = Path(__file__).parent
MOST = 125  # registers that one request may ask for (Application Protocol 1.1b3, section 6.3)
GAP = 16  # registers that nobody asked for and that are read along rather than asked for in another request

FLOWS = frozenset({Quantity.ACTIVE_POWER, Quantity.REACTIVE_POWER})
SIGNED = FLOWS | {Quantity.CURRENT, Quantity.POWER_FACTOR, Quantity.BATTERY_CURRENT}
ENERGY = {
    Quantity.ENERGY_RECEIVED: Quantity.ENERGY_PROVIDED,
    Quantity.ENERGY_PROVIDED: Quantity.ENERGY_RECEIVED,
}
PHASED = frozenset(
    {
        *(Quantity.VOLTAGE, Quantity.VOLTAGE_TO_NEXT, Quantity.CURRENT, Quantity.ACTIVE_POWER, Quantity.APPARENT_POWER),
        *(Quantity.REACTIVE_POWER, Quantity.POWER_FACTOR, Quantity.PHASE_ANGLE),
        *(Quantity.THD_VOLTAGE, Quantity.THD_CURRENT),
    }
)
BATTERY = frozenset(
    {
        *(Quantity.CHARGE_PERCENT, Quantity.CHARGING_STATE, Quantity.CYCLE_COUNT, Quantity.BATTERY_VOLTAGE),
        *(Quantity.BATTERY_CURRENT, Quantity.TEMPERATURE, Quantity.RUNTIME_REMAINING),
    }
)
STATES: Mapping[Quantity, frozenset[Any]] = {
    Quantity.SUPPLY_STATE: frozenset(Supply),
    Quantity.CHARGING_STATE: frozenset({"charging", "maintaining", "not-charging", "discharging"}),
    Quantity.IN_USE: frozenset({True, False}),
    Quantity.LOCAL_CONTROL: frozenset({True, False}),
}
NUMBERS = frozenset(Quantity) - {
    *STATES,
    *(Quantity.POWER_STATE, Quantity.POWER_AVAILABLE, Quantity.OPERATIONAL_DIRECTION, Quantity.ALARM),
    *(Quantity.TEST_RESULT, Quantity.POWER_LIMIT),
}
#: What a quantity can be; other numbers are taken as not known.
BETWEEN = {
    Quantity.CHARGE_PERCENT: (Decimal(0), Decimal(100)),
    Quantity.POWER_FACTOR: (Decimal(-1), Decimal(1)),
    Quantity.FREQUENCY: (Decimal(0), Decimal(1000)),
    Quantity.TEMPERATURE: (Decimal(-100), Decimal(200)),
    Quantity.CYCLE_COUNT: (Decimal(0), Decimal(10**6)),
    Quantity.APPARENT_POWER: (Decimal(0), Decimal(10**9)),
    Quantity.ENERGY_RECEIVED: (Decimal(0), Decimal(10**18)),
    Quantity.ENERGY_PROVIDED: (Decimal(0), Decimal(10**18)),
}
#: What says that SunSpec has no value, by type; of counters it is a zero.
UNIMPLEMENTED = {
    Type.INT16: -0x8000,
    Type.UINT16: 0xFFFF,
    Type.INT32: -0x80000000,
    Type.UINT32: 0xFFFFFFFF,
    Type.INT64: -0x8000000000000000,
    Type.UINT64: 0xFFFFFFFFFFFFFFFF,
}

E = TypeVar("E", bound=StrEnum)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~\-]*")


class Role(StrEnum):
    """What a model of SunSpec is about."""

    COMMON = "common"
    INVERTER = "inverter"
    METER = "meter"
    BATTERY = "battery"
    STORAGE = "storage"  # of an inverter, without a power of its own
    NAMEPLATE = "nameplate"
    CONTROLS = "controls"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one quantity is read: ``field`` times ``scale``, or the word that stands for its number.

    The sign of ``signed_by`` is put before a size that the device tells without one: its own, turned where ``scale``
    is negative, or the one that ``signs`` has for its number; without such a one the value keeps its sign. ``counter``
    wraps at the end of its type.
    """

    quantity: Quantity
    field: Field
    scale: Decimal = Decimal(1)
    phase: int | None = None
    words: Mapping[int, str | bool] | None = None
    signed_by: Field | None = None
    signs: Mapping[int, int] | None = None
    counter: bool = False
    method: Method = Method.DIRECT_METER
    accuracy: Decimal | None = None
    accuracy_class: str | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """All it needs."""
        return (self.field,) if self.signed_by is None else (self.field, self.signed_by)

    def turned(self) -> Rule:
        """The rule of a meter that counts as received what is provided."""
        if self.quantity in ENERGY:
            return replace(self, quantity=ENERGY[self.quantity])
        return replace(self, scale=-self.scale) if self.quantity in SIGNED else self

    def moved(self, by: int) -> Rule:
        """The same rule ``by`` registers further on."""
        signed_by = None if self.signed_by is None else self.signed_by.moved(by)
        return replace(self, field=self.field.moved(by), signed_by=signed_by)


@dataclass(frozen=True, slots=True)
class Switch:
    """Where an order is written, and the numbers that mean on and off."""

    field: Field
    on: int = 1
    off: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A power interface or a battery, or as many like it as ``rows`` says, ``step`` registers apart."""

    name: str  # with {row}, from 1, where there are rows
    rules: tuple[Rule, ...] = ()
    direction: Direction = Direction.OUTLET
    current_type: str | None = None
    rows: int = 1
    step: int = 1
    switch: Switch | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Something a number of the device must be, or it is no device of this kind."""

    field: Field
    equals: frozenset[Decimal] | None
    between: tuple[Decimal, Decimal] | None

    def holds(self, number: Decimal) -> bool:
        """Whether ``number`` is what it must be."""
        return (self.equals is None or number in self.equals) and (
            self.between is None or self.between[0] <= number <= self.between[1]
        )


@dataclass(frozen=True, slots=True)
class Table:
    """All that is known of one kind of device, or of one model of SunSpec, whose addresses begin with its id's."""

    name: str
    title: str
    source: str
    rules: tuple[Rule, ...] = ()
    interfaces: tuple[Section, ...] = ()
    batteries: tuple[Section, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    manufacturer: str | None = None
    model: str | None = None
    category: str | None = None
    current_type: str | None = None
    most: int = MOST
    gap: int = GAP
    models: tuple[int, ...] = ()
    single_phase: frozenset[int] = frozenset()  # those of the models whose first phase is the whole
    role: Role | None = None
    registers: int = 0  # a model of SunSpec: how many of its registers are needed, id and length included


@functools.cache
def load(folder: Path = FOLDER / "tables") -> Mapping[str, Table]:
    """The tables of register maps by name, read once for each folder. Raises TableError."""
    return {path.stem: parse(path.stem, path.read_bytes()) for path in sorted(folder.glob("*.toml"))}


@functools.cache
def load_models(folder: Path = FOLDER / "models") -> Mapping[int, Table]:
    """The models of SunSpec by number, read once for each folder. Raises TableError."""
    found: dict[int, Table] = {}
    for path in sorted(folder.glob("*.toml")):
        table = parse(path.stem, path.read_bytes(), sunspec=True)
        for number in table.models:
            if number in found:
                raise TableError(f"{path.name}: models: {found[number].name}.toml has {number} as well")
            found[number] = table
    return found


def parse(name: str, content: bytes, *, sunspec: bool = False) -> Table:
    """One table. Raises TableError."""
    document = parsed(f"{name}.toml", content)
    root = Node(document, f"{name}.toml", {"sunspec": sunspec} | document.pop("defaults", {}))
    table = _model(root, name) if sunspec else _table(root, name)
    root.done()
    return table


class Node(documents.Node):
    """One table of a document. ``defaults`` are what its fields are where they do not say."""

    def __init__(self, content: Any, where: str, defaults: Mapping[str, Any]) -> None:
        super().__init__(content, where)
        self.defaults = defaults

    def _inner(self, content: Any, where: str) -> Self:
        return type(self)(content, where, self.defaults)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int | None:
        """A whole number within bounds."""
        value = self.integer(key)
        if value is not None and not low <= value <= high:
            raise self.fail(key, f"{value} is not from {low} to {high}")
        return default if value is None else value

    def usual(self, key: str, kind: type[E], default: E) -> E:
        """One of several words; where none stands, that of the defaults."""
        return self.member(key, kind, kind(self.defaults.get(key, default)))


def _table(root: Node, name: str) -> Table:
    device = root.node("device") or Node({}, f"{name}.toml: device", {})
    table = Table(
        name=name,
        title=root.need("title"),
        source=root.need("source"),
        rules=_rules(root),
        interfaces=_sections(root, "interface"),
        batteries=_sections(root, "battery"),
        fields=_fields(device, ("serial-number", "firmware-version")),
        checks=tuple(_check(node) for node in root.nodes("check")),
        manufacturer=device.text("manufacturer"),
        model=device.text("model"),
        category=device.text("category"),
        current_type=device.text("current-type"),
        most=root.whole("most", 1, MOST, MOST) or MOST,
        gap=root.whole("gap", 0, MOST, GAP) or 0,
    )
    device.done()
    if not table.checks:
        raise root.fail("check", "is missing: nothing tells a device of this kind from others")
    return table


def for_one_phase(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Rules of three phases, for a device with one: what is told of the first is the whole, unless that is there."""
    whole = {rule.quantity: rule for rule in rules if rule.phase is None}
    power = whole[Quantity.ACTIVE_POWER].field if Quantity.ACTIVE_POWER in whole else None
    first = [
        replace(rule, phase=None, signed_by=rule.signed_by and power)
        for rule in rules
        if rule.phase == 1 and rule.quantity not in whole
    ]
    return (*whole.values(), *first)


def _model(root: Node, name: str) -> Table:
    models = root.take("models", list, "a list of numbers of models", [])
    if not models or not all(isinstance(number, int) and 0 < number < LARGEST for number in models):
        raise root.fail("models", "is a list of numbers of models")
    fields = root.node("fields")
    table = Table(
        name=name,
        title=root.need("title"),
        source=root.need("source"),
        rules=_rules(root),
        interfaces=_sections(root, "interface"),
        batteries=_sections(root, "battery"),
        fields={} if fields is None else _fields(fields, tuple(fields)),
        models=tuple(models),
        single_phase=frozenset(root.take("single-phase", list, "a list of numbers of models", [])),
        role=Role(root.usual("role", Role, Role.COMMON)),
        category=root.text("category"),
        current_type=root.text("current-type"),
    )
    if fields is not None:
        fields.done()
    sections = [*table.interfaces, *table.batteries]
    used = [*table.rules, *(rule for section in sections for rule in section.rules)]
    needed = [*table.fields.values(), *(field for rule in used for field in rule.fields)]
    registers = max((max(one.addresses) + 1 for one in needed), default=2)
    if registers > MOST:
        raise root.fail("models", f"{registers} registers are needed, and a request reads {MOST}")
    return replace(table, registers=registers)


def _fields(node: Node, names: tuple[str, ...]) -> dict[str, Field]:
    found = {}
    for name in names:
        one = node.node(name)
        if one is not None:
            found[name] = _field(one)
            one.done()
    return found


def _field(node: Node) -> Field:
    address = node.whole("address", 0, LARGEST)
    if address is None:
        raise node.fail("address", "is missing")
    space = node.usual("space", Space, Space.HOLDING)
    bits = space in {Space.COIL, Space.DISCRETE}
    type_ = Type.UINT16 if bits else node.usual("type", Type, Type.UINT16)
    length = node.whole("length", 1, MOST)
    if (length is None) is (type_ is Type.STRING):
        raise node.fail("length", "belongs to a string, and to nothing else")
    absent = node.take("absent", list, "a list of numbers", [])
    if not all(isinstance(value, int) for value in absent):
        raise node.fail("absent", "is a list of whole numbers")
    if node.defaults["sunspec"] and type_ in UNIMPLEMENTED and node.peek("counter") is not True:
        absent = [*absent, UNIMPLEMENTED[type_]]
    made = Field(
        address,
        type_,
        space,
        node.usual("order", Order, Order.BIG),
        length or SIZES[type_],
        frozenset(absent),
        node.whole("factor", 0, LARGEST),
    )
    if max(made.addresses) > LARGEST:
        raise node.fail("address", f"the value ends beyond register {LARGEST}")
    return made


def _check(node: Node) -> Check:
    field_ = _field(node)
    equals = node.take("is", list, "a list of numbers")
    between = node.take("between", list, "two numbers")
    if (equals is None) is (between is None) or (between is not None and len(between) != 2):
        raise node.fail("is", "a check needs either numbers to be one of, or two to be between")
    node.done()
    low_high = None if between is None else (Decimal(str(between[0])), Decimal(str(between[1])))
    return Check(field_, None if equals is None else frozenset(Decimal(value) for value in equals), low_high)


def _sections(root: Node, kind: str) -> tuple[Section, ...]:
    made = []
    for node in root.nodes(kind):
        name, rows = node.need("name"), node.whole("rows", 1, 256, 1) or 1
        if not _NAME.fullmatch(name.replace("{row}", "1")) or ("{row}" in name) is (rows == 1):
            raise node.fail("name", f"{name!r} is no name, or has {{row}} though there is one, or lacks it")
        switch = node.node("switch")
        section = Section(
            name,
            _rules(node, battery=kind == "battery"),
            node.usual("direction", Direction, Direction.OUTLET),
            node.text("current-type"),
            rows,
            node.whole("step", 1, LARGEST, 1) or 1,
            None if switch is None else _switch(switch),
        )
        node.done()
        if kind == "interface" and section.direction is Direction.OUTLET:
            for rule in section.rules:
                if rule.quantity is Quantity.ACTIVE_POWER and rule.scale > 0:
                    raise node.fail("readings", "an outlet provides, so the scale of active-power is negative")
        made.append(section)
    return tuple(made)


def _switch(node: Node) -> Switch:
    field_ = _field(node)
    on, off = node.whole("on", 0, LARGEST, 1), node.whole("off", 0, LARGEST, 0)
    if field_.length != 1 or field_.space not in {Space.COIL, Space.HOLDING} or on == off or on is None or off is None:
        raise node.fail("address", "a switch is one coil or holding register, with two numbers that differ")
    node.done()
    return Switch(field_, on, off)


def _rules(node: Node, *, battery: bool = False) -> tuple[Rule, ...]:
    made = []
    for one in node.nodes("readings"):
        rule = _rule(one)
        if (rule.quantity in BATTERY) is not battery:
            raise one.fail("quantity", f"{rule.quantity} does not belong here")
        one.done()
        made.append(rule)
    told = [(rule.quantity, rule.phase) for rule in made]
    if len(set(told)) < len(told):
        raise node.fail("readings", "the same quantity is there twice")
    return tuple(made)


def _rule(node: Node) -> Rule:
    name = node.need("quantity")
    if name not in {*NUMBERS, *STATES}:
        raise node.fail("quantity", f"{name!r} is not a quantity that registers tell")
    quantity = Quantity(name)
    field_ = _field(node)
    counter = bool(node.take("counter", bool, "true or false", default=False))
    if counter:
        if quantity not in ENERGY or field_.type in FLOATS:
            raise node.fail("counter", "belongs to energy in whole numbers")
        field_ = replace(field_, absent=field_.absent | {0})
    scale = node.decimal("scale")
    phase = node.whole("phase", 1, 3)
    if phase is not None and quantity not in PHASED:
        raise node.fail("phase", f"{quantity} has no phases")
    signed_by = node.node("signed-by")
    signs = None if signed_by is None else _signs(signed_by)
    if signed_by is not None and quantity not in SIGNED:
        raise node.fail("signed-by", f"{quantity} has no sign")
    made = Rule(
        quantity=quantity,
        field=field_,
        scale=Decimal(1) if scale is None else scale,
        phase=phase,
        words=_words(node, quantity),
        signed_by=None if signed_by is None else _field(signed_by),
        signs=signs,
        counter=counter,
        method=node.usual("method", Method, Method.DIRECT_METER),
        accuracy=node.decimal("accuracy"),
        accuracy_class=node.text("accuracy-class"),
    )
    if signed_by is not None:
        signed_by.done()
    return made


def _signs(node: Node) -> Mapping[int, int] | None:
    """Which sign the numbers of a state give."""
    signs = node.take("signs", dict, "a table of numbers and their signs")
    if signs is None:
        return None
    for number, sign in signs.items():
        if not number.isdecimal() or sign not in {1, -1}:
            raise node.fail("signs", f"{number} = {sign!r} is not a number and 1 or -1")
    return {int(number): sign for number, sign in signs.items()}


def _words(node: Node, quantity: Quantity) -> Mapping[int, str | bool] | None:
    """What the numbers of a state mean; TOML has only texts as keys."""
    words = node.take("words", dict, "a table of numbers and what they mean")
    if (words is None) is (quantity in STATES):
        raise node.fail("words", f"{quantity} is a {'state, which needs them' if words is None else 'number'}")
    if words is None:
        return None
    for number, word in words.items():
        if not number.isdecimal() or word not in STATES[quantity]:
            raise node.fail("words", f"{number} = {word!r} is not a number and something {quantity} can be")
    return {int(number): Supply(word) if quantity is Quantity.SUPPLY_STATE else word for number, word in words.items()}

"""What TOML becomes a table, and what each key may say."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from eman_backends.snmp.writes import Syntax, Write
from eman_netconf.backend import Direction, Method, Persistence, Quantity, Supply

from .document import Node
from .model import (
    Attribute,
    Case,
    Column,
    Condition,
    Exponent,
    Identifier,
    Kind,
    Oid,
    Rule,
    Section,
    Switch,
    Table,
    Whole,
    Word,
)

GENERIC = "generic"  # the table that is applied to every device, after the others

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
    Quantity.TEST_RESULT: frozenset({"none", "in-progress", "passed", "warning", "failed", "aborted"}),
}
ALARMS = frozenset({"low", "critical", "aging", "temperature"})
BATTERY = {
    *(Quantity.CHARGE, Quantity.CHARGE_PERCENT, Quantity.CHARGING_STATE, Quantity.CYCLE_COUNT),
    *(Quantity.ACTUAL_CAPACITY, Quantity.BATTERY_VOLTAGE, Quantity.BATTERY_CURRENT, Quantity.TEMPERATURE),
    *(Quantity.RUNTIME_REMAINING, Quantity.ALARM, Quantity.TEST_RESULT),
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
    "interface": {
        *("label", "current-type", "ac-configuration", "nominal-voltage", "nominal-voltage-min", "nominal-voltage-max"),
        *("nominal-frequency", "rated-current", "rated-power"),
    },
    "battery": {
        *("identifier", "firmware-version", "type", "technology", "nominal-capacity", "nominal-voltage", "cell-count"),
    },
}
NUMBERS = {
    *("nameplate-power", "nominal-frequency", "rated-current", "rated-power"),
    *("nominal-capacity", "nominal-voltage", "nominal-voltage-min", "nominal-voltage-max", "cell-count"),
}
_COUNTERS = {Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED}
_VARIABLE = re.compile(r"\{([^}]+)\}")


def table(node: Node, name: str) -> Table:
    """A whole document. Raises TableError."""
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
        _filled(described, entity)
    first = node.integer("first-unit")
    made = Table(
        name=name,
        title=node.need("title"),
        source=node.need("source"),
        objects=objects,
        probe=probe,
        unlike=unlike or frozenset(),
        instead_of=frozenset(node.take("instead-of", list, "a list of tables", [])),
        first_unit=1 if first is None else first,
        entity=entity,
        sections=tuple(sections),
    )
    node.done()
    return made


def _section(node: Node, kind: Kind) -> Section:
    rows = node.oid("rows")
    count, where, columns = node.oid("count"), _condition(node.node("where")), _columns(node.node("columns"))
    phase, unit = _variable(node, "phase", columns), _variable(node, "unit", columns)
    if rows is None and (count or where or phase or columns or unit):
        raise node.fail("rows", "is missing, without which count, where, columns, unit and phase mean nothing")
    if kind is Kind.UNIT and unit is None:
        raise node.fail("unit", 'is missing: say what numbers the units, such as "{1}"')
    switch = node.node("switch") if kind is Kind.INTERFACE else None
    test = node.node("test") if kind is Kind.BATTERY else None
    section = Section(
        kind=kind,
        name=_name(node, kind, columns, rowed=rows is not None, free=bool(phase or unit)),
        rows=rows,
        count=count,
        where=where,
        columns=columns,
        unit=unit,
        phase=phase,
        direction=node.member("direction", Direction, Direction.OUTLET) if kind is Kind.INTERFACE else Direction.BOTH,
        attributes=_attributes(node, "entity" if kind in {Kind.UNIT, Kind.COMPONENT} else kind.value),
        identifiers=node.each("foreign-ids", _identifier),
        rules=node.each("readings", _rule),
        switch=_switch(switch) if switch else None,
        test=_write(test) if test else None,
    )
    for rule in section.rules:
        _agree(node, section, rule)
    _filled(node, section)
    return section


def _filled(node: Node, section: Section) -> None:
    """Raise where a text asks for a part of a row that no row has."""
    texts = {name: attribute.text for name, attribute in section.attributes.items()}
    texts |= {f"foreign-ids: {one.kind}": one.template for one in section.identifiers}
    for name, text in texts.items():
        if text and "{" in text and (section.rows is None or not _known(text, section.columns)):
            raise node.fail(name, f"{text!r} has a word that is no part of a row's index, nor one of the columns")


def _columns(node: Node | None) -> dict[str, Column]:
    if node is None:
        return {}
    found = {}
    for name in node:
        if not re.fullmatch(r"[a-z]+", name) or name == "index":
            raise node.fail(name, "is a name in small letters, and not index")
        place = node.text_or_node(name)
        if isinstance(place, Node):
            found[name] = Column(place.need_oid(), place.words("words", int), _pattern(place))
            place.done()
        elif place is not None:
            found[name] = Column(node.full(name, place))
    return found


def _pattern(node: Node) -> str | None:
    pattern = node.text("pattern")
    if pattern is not None:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise node.fail("pattern", f"is not a regular expression: {error}") from None
        if groups != 1:
            raise node.fail("pattern", "needs one group, in round brackets: the part that counts")
    return pattern


def _variable(node: Node, key: str, columns: dict[str, Column]) -> str | None:
    """A part of the row's index, or a column."""
    value = node.text(key)
    if value is not None and not (value.startswith("{") and _known(value, columns) and value.count("{") == 1):
        raise node.fail(key, f"{value!r} is not a part of the row's index, such as {{1}}, nor one of the columns")
    return value


def _known(template: str, columns: Mapping[str, Column]) -> bool:
    return all(name in columns or name == "index" or name.isdigit() for name in _VARIABLE.findall(template))


def _name(node: Node, kind: Kind, columns: dict[str, Column], *, rowed: bool, free: bool) -> str:
    if kind in {Kind.DEVICE, Kind.UNIT}:
        return ""
    name = node.template("name")
    if not name:
        raise node.fail("name", "is missing")
    if not _known(name, columns):
        raise node.fail("name", f"{name!r} has a word that is none of the columns")
    if rowed and not free and "{" not in name:
        raise node.fail("name", "must tell the rows apart")
    if not rowed and "{" in name:
        raise node.fail("name", "is one name, for there is one thing")
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
    made = Attribute(
        oid=place.need_oid(),
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
    """One object that takes two numbers, or two objects that take one each."""
    when, unless, oid = _condition(node.node("when")), _condition(node.node("unless")), node.oid("oid")
    if oid is not None:
        on, off = node.integer("on"), node.integer("off")
        if on is None or off is None or on == off:
            raise node.fail("switch", "needs oid, on and off, and two numbers that differ")
        made = Switch(Write(oid, on), Write(oid, off), when, unless)
    else:
        places = node.node("on"), node.node("off")
        if places[0] is None or places[1] is None:
            raise node.fail("switch", "needs oid, on and off, or on and off with an oid and a value each")
        made = Switch(_write(places[0]), _write(places[1]), when, unless)
    node.done()
    return made


def _write(node: Node) -> Write:
    oid, syntax = node.need_oid(), node.member("type", Syntax, Syntax.INTEGER)
    if syntax is Syntax.OBJECT:
        made = Write(oid, node.need_oid("value"), syntax)
    elif syntax is Syntax.OCTETS:
        made = Write(oid, node.need("value").encode(), syntax)
    else:
        number = node.integer("value")
        if number is None:
            raise node.fail("value", "is missing")
        made = Write(oid, number, syntax)
    node.done()
    return made


def _condition(node: Node | None) -> Condition | None:
    if node is None:
        return None
    condition = _open_condition(node)
    node.done()
    return condition


def _open_condition(node: Node) -> Condition:
    oid, equals, unlike = node.oid("oid"), node.integers("is"), node.integers("is-not") or frozenset()
    condition = Condition(oid or "", equals, unlike, node.decimal("below"), node.decimal("above"))
    if oid is None or (equals is None and not unlike and condition.below is None and condition.above is None):
        raise node.fail("oid", "a condition needs an oid and one of is, is-not, below, above")
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
    wraps = node.integer("wraps-at")
    if wraps is not None and (quantity not in _COUNTERS or wraps <= 0):
        raise node.fail("wraps-at", "is a number above 0, of energy, which is counted")
    accuracy = node.number_or_node("accuracy")
    return Rule(
        quantity=quantity,
        oid=oid if number else None,
        scale=_or_one(node.decimal("scale")),
        digits=node.oid("digits"),
        exponents=_exponents(node),
        between=between,
        absent=node.integers("absent") or frozenset(),
        only_when=_condition(node.node("only-when")),
        unless=_condition(node.node("unless")),
        zero_when=_condition(node.node("zero-when")),
        negative_when=_condition(node.node("negative-when")),
        cases=cases,
        phase=phase,
        whole=Whole(whole) if whole else None,
        method=node.member("method", Method, Method.DIRECT_METER),
        accuracy=accuracy if isinstance(accuracy, Decimal) else None,
        accuracy_at=_attribute(accuracy) if isinstance(accuracy, Node) else None,
        wraps_at=wraps,
    )


def _exponents(node: Node) -> tuple[Exponent, ...]:
    place = node.node("exponent")
    if place is None:
        return ()
    made = Exponent(place.need_oid(), words=place.words("words", int))
    place.done()
    return (made,)


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

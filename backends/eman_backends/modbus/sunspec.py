"""SunSpec: where its models begin, which there are, and the plan that comes of them.

A device has the word SunS at one of three places, then models one after the other, each with its number and its length
(SunSpec Device Information Model Specification 1.1, section 6). A common model begins every device; a second one
begins what is read through the first, as the meters of an inverter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from eman_netconf.backend import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Persistence,
    Point,
)

from .plan import Anchor, Cell, Limit, Plan
from .registers import LARGEST, Block, Field, Space, Words
from .settings import Unit
from .tables import MOST, Role, Rule, Section, Switch, Table, for_one_phase
from .wire import NO_PATH, NO_TARGET, Denied, Wire

BASES = (40000, 50000, 0)
MARK = (0x5375, 0x6E53)  # "SunS"
END = 0xFFFF
MOST_MODELS = 100
MEASURING = (Role.INVERTER, Role.BATTERY, Role.METER)  # the first of a device is the device, the others its parts
#: Of models that say the same, the one that says it best.
PREFERRED = ("der-measurement", "inverter", "inverter-float", "meter", "meter-float", "der-controls", "controls")
TECHNOLOGIES = {  # model 802, Typ
    1: "lead-acid",
    2: "nickel-metal-hydride",
    3: "nickel-cadmium",
    4: "lithium-ion",
    5: "zinc-carbon",
    6: "zinc-chloride",
    7: "alkaline",
}
UNKNOWN_TECHNOLOGIES = frozenset({0, 99})


class Placed(NamedTuple):
    """A model that the device has: ``address`` is that of its number, ``length`` what follows the length."""

    number: int
    address: int
    length: int

    def holds(self, one: Field) -> bool:
        """Whether all of a field of the device lies within the model."""
        return max(one.addresses) < self.address + 2 + self.length


@dataclass(slots=True)
class Part:
    """What one common model begins."""

    common: Mapping[str, str | None]
    identity: Anchor | None = None
    models: list[tuple[Placed, Table, Words]] = field(default_factory=list)  # the words of models with fields

    def of(self, role: Role) -> list[tuple[Placed, Table, Words]]:
        """The models of this role, of those that say the same the best."""
        found = [one for one in self.models if one[1].role is role]
        best = min((_rank(table) for _, table, _ in found), default=0)
        return [one for one in found if _rank(one[1]) == best]


def _rank(table: Table) -> int:
    return PREFERRED.index(table.name) if table.name in PREFERRED else len(PREFERRED)


async def locate(wire: Wire, unit: int) -> int | None:
    """The address of the first model, None where there is no SunSpec. Raises as ``Wire.read``."""
    for base in BASES:
        try:
            words = await wire.read(unit, Block(Space.HOLDING, base, len(MARK)))
        except Denied as denied:
            if denied.code in {NO_PATH, NO_TARGET}:
                raise
            continue
        if tuple(words) == MARK:
            return base + len(MARK)
    return None


async def chain(wire: Wire, unit: int, address: int) -> Sequence[Placed]:
    """The models from ``address`` on, as far as they go. Raises as ``Wire.read``."""
    found: list[Placed] = []
    while len(found) < MOST_MODELS and address + 1 <= LARGEST:
        try:
            number, length = await wire.read(unit, Block(Space.HOLDING, address, 2))
        except Denied:  # some have no end
            break
        if number in {END, 0} or length in {END, 0} or address + 2 + length > LARGEST + 1:
            break
        found.append(Placed(number, address, length))
        address += 2 + length
    return found


async def parts(wire: Wire, unit: int, placed: Iterable[Placed], models: Mapping[int, Table]) -> Sequence[Part]:
    """The models we know, with what of them does not change. Raises as ``Wire.read``."""
    found: list[Part] = []
    for one in placed:
        table = models.get(one.number)
        if table is None:
            continue
        words: Words = {}
        block = Block(Space.HOLDING, one.address, min(table.registers, one.length + 2, MOST))
        if table.fields:
            words = block.words(await wire.read(unit, block))
        if table.role is Role.COMMON:
            told = {name: value.moved(one.address).text(words) for name, value in table.fields.items()}
            found.append(Part(told, Anchor(block, tuple(words.values()))))
        elif not found:
            found.append(Part({}))
        if table.role is not Role.COMMON:
            found[-1].models.append((one, table, words))
    return found


def plan(unit: Unit, found: Sequence[Part]) -> Plan:
    """What is read of a unit that has these parts."""
    making = _Making(unit)
    for number, part in enumerate(found):
        making.part(part, first=number == 0)
    return replace(making.plan(), identity=tuple(part.identity for part in found if part.identity is not None))


async def survey(wire: Wire, unit: Unit, models: Mapping[int, Table]) -> Plan | None:
    """The plan of a unit, None where it has no SunSpec. Raises as ``Wire.read``."""
    first = await locate(wire, unit.id)
    if first is None:
        return None
    return plan(unit, await parts(wire, unit.id, await chain(wire, unit.id, first), models))


class _Making:
    """A plan as it grows."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._entities: list[EntityInfo] = []
        self._cells: list[Cell] = []
        self._anchors: list[Anchor] = []
        self._switches: dict[Point, Switch] = {}
        self._limits: dict[Point, Limit] = {}
        self._names: dict[str, int] = {}

    def plan(self) -> Plan:
        entities = tuple(self._entities) or (EntityInfo(local=self._unit.local),)
        return Plan(
            entities,
            tuple(self._cells),
            self._switches,
            self._limits,
            anchors=tuple(self._anchors),
        )

    def part(self, part: Part, *, first: bool) -> None:
        measuring = [one for role in MEASURING for one in part.of(role)]
        common = EntityInfo(
            manufacturer=part.common.get("manufacturer"),
            model=part.common.get("model"),
            firmware_version=part.common.get("firmware-version"),
            identifier_persistence=Persistence.UNKNOWN,
            foreign_ids=tuple(
                ForeignId("serial-number", serial, persistence=Persistence.PERSISTENT)
                for serial in (part.common.get("serial-number"),)
                if serial
            ),
        )
        if not measuring:
            if first:
                self._entities.append(replace(common, local=self._unit.local))
            return
        primary = self._unit.local if first else self._name(measuring[0][1])
        for number, (placed, table, words) in enumerate(measuring):
            if number == 0:
                info = replace(common, local=primary)
            else:
                info = EntityInfo(self._name(table), contained_in=primary, entity_class="component", name=table.title)
            also = part.of(Role.CONTROLS) if table.role is Role.INVERTER else []
            if table.role is Role.INVERTER:
                also += [] if part.of(Role.BATTERY) else part.of(Role.STORAGE)
            self._measuring(info, [(placed, table, words), *also])
            if table.role is Role.INVERTER:
                self._rating(part)

    def _name(self, table: Table) -> str:
        """A name that nothing of the unit has yet."""
        name = str(table.role)
        count = self._names[name] = self._names.get(name, 0) + 1
        name = name if count == 1 else f"{name}-{count}"
        return f"{self._unit.local}.{name}" if self._unit.local else name

    def _measuring(self, info: EntityInfo, models: Sequence[tuple[Placed, Table, Words]]) -> None:
        """An entity, with everything that its models tell."""
        own = models[0][1]
        turn = own.role is Role.METER and self._unit.provided
        interfaces: dict[str, InterfaceInfo] = {}
        batteries: list[BatteryInfo] = []
        for placed, table, words in models:
            rules = [rule.turned() if turn else rule for rule in self._rules(placed, table, table.rules)]
            cells = [Cell(Point(info.local), rule) for rule in rules]
            for section in table.interfaces:
                point = Point(info.local, section.name)
                interfaces[section.name] = _interface(section, interfaces.get(section.name))
                cells += [Cell(point, rule) for rule in self._rules(placed, table, section.rules)]
                if section.switch is not None:
                    self._switches[point] = replace(section.switch, field=section.switch.field.moved(placed.address))
            for section in table.batteries:
                point = Point(info.local, battery=section.name)
                batteries.append(_battery(section, placed, table, words))
                cells += [Cell(point, rule) for rule in self._rules(placed, table, section.rules)]
            if cells or table.role is Role.CONTROLS:
                self._cells += cells
                self._anchors.append(Anchor(Block(Space.HOLDING, placed.address, 2), (placed.number, placed.length)))
        self._entities.append(
            replace(
                info,
                category=own.category,
                current_type=own.current_type,
                interfaces=tuple(interfaces.values()),
                batteries=tuple(batteries),
            )
        )

    def _rules(self, placed: Placed, table: Table, rules: tuple[Rule, ...]) -> list[Rule]:
        """At their addresses, those that the model is long enough for."""
        fitting = for_one_phase(rules) if placed.number in table.single_phase else rules
        moved = [rule.moved(placed.address) for rule in fitting]
        return [rule for rule in moved if all(placed.holds(one) for one in rule.fields)]

    def _rating(self, part: Part) -> None:
        """What the inverter just added is made for, and whether it can be limited."""
        info = self._entities[-1]
        told = {
            name: number
            for placed, table, words in part.of(Role.NAMEPLATE)
            for name, one in table.fields.items()
            if (number := one.moved(placed.address).number(words)) is not None and number > 0
        }
        maximum = told.get("maximum", told.get("power"))
        nameplate = told.get("power", maximum)
        controls = part.of(Role.CONTROLS)
        limits: tuple[Decimal, Decimal] | None = None
        if controls and maximum is not None:
            placed, table, _ = controls[0]
            percent, enabled = (table.fields[name].moved(placed.address) for name in ("percent", "enabled"))
            if placed.holds(percent) and placed.holds(enabled):
                self._limits[Point(info.local)] = Limit(percent, enabled, maximum)
                limits = (Decimal(0), maximum)
        self._entities[-1] = replace(info, nameplate_power=nameplate, power_limits=limits)


def _interface(section: Section, known: InterfaceInfo | None) -> InterfaceInfo:
    made = known or InterfaceInfo(section.name, Direction(section.direction), current_type=section.current_type)
    return replace(made, switchable=made.switchable or section.switch is not None)


def _battery(section: Section, placed: Placed, table: Table, words: Words) -> BatteryInfo:
    told = {name: one.moved(placed.address).number(words) for name, one in table.fields.items()}
    capacity, technology = told.get("charge-capacity"), told.get("technology")
    known = None if technology is None or technology in UNKNOWN_TECHNOLOGIES else int(technology)
    return BatteryInfo(
        section.name,
        type="rechargeable",
        technology=None if known is None else TECHNOLOGIES.get(known, "other-technology"),
        nominal_capacity=None if not capacity else int(capacity * 1000),
    )

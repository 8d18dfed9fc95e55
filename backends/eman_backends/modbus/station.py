"""One unit as it goes: its plan, which of its registers it does not have, and how long it has been silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from eman_netconf.backend import (
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Pass,
    Persistence,
    Point,
    Quantity,
    Reading,
    Refused,
)

from . import sunspec
from .plan import Anchor, Cell, Plan, readings
from .registers import Block, Field, Space, Words, blocks
from .settings import Unit
from .tables import Rule, Table
from .wire import LASTING, NO_PATH, NO_TARGET, Denied, Silent, Wire

FIRST_REST = 10.0  # seconds a unit is left alone after its second silence in a row; then twice as long each time
LONGEST_REST = 300.0


class Station:
    """The way to one unit. Its methods raise ``Silent`` when it does not answer, Unavailable when nothing is there."""

    def __init__(self, unit: Unit, table: Table | None, models: Mapping[int, Table]) -> None:
        self.unit = unit
        self.plan = Plan((EntityInfo(local=unit.local),)) if table is None else _of_table(unit, table, {})
        self.known = False  # whether the plan is of what answers there now
        self.fresh = False  # whether it was made by the attempt to open that is under way
        self.asked_at = 0.0  # monotonic seconds
        self.failures = 0  # silences in a row
        self.reason = f"unit {unit.id} was not asked yet"
        self.doubt: str | None = None  # why it may be something else than it is configured to be
        self.rests_until = 0.0  # monotonic seconds
        self._table = table
        self._models = models
        self._without: dict[Field, str] = {}
        self._blocks: list[Block] = []
        self._met_on = 0  # the number of the connection over which it was last recognised

    async def survey(self, wire: Wire) -> None:
        """Find out what the unit is."""
        try:
            plan = await (self._by_sunspec(wire) if self._table is None else self._by_table(wire, self._table))
        except Denied as denied:
            raise Silent(str(denied)) from denied
        self.plan = plan
        self._without = {}
        self._blocks = list(plan.blocks())
        self.known = self.fresh = True
        self._met_on = wire.connections

    async def read(self, wire: Wire, at: float) -> Pass:
        """One pass over the unit; ``at`` is wall time."""
        words: dict[tuple[Space, int], int] = {}
        reasons: dict[Block, str] = {}
        queue = list(self._blocks)
        while queue:
            block = queue.pop(0)
            try:
                words |= block.words(await wire.read(self.unit.id, block))
            except Denied as denied:
                if denied.code in {NO_PATH, NO_TARGET}:
                    raise Silent(str(denied)) from denied
                if denied.code in LASTING:
                    queue[:0] = self._divide(block, str(denied))
                reasons[block] = str(denied)
        if any(anchor.moved(words) for anchor in self.plan.anchors) or not await self._recognised(wire):
            self.known = False
            raise Silent(f"unit {self.unit.id} is another than it was; it is looked at anew")
        made = [*readings(self.plan.cells, words, at), *self._limits(words, at)]
        told = {reading.point for reading in made}
        heard = {cell.point for cell in self.plan.cells if cell.rule.field.raw(words) is not None}
        why = next(iter(reasons.values()), None) or next(iter(self._without.values()), None)
        missing = {
            point: why or f"unit {self.unit.id} tells nothing of it"
            for point in self.plan.points()
            if point not in told and point not in heard
        }
        return Pass(tuple(made), missing)

    async def write(self, wire: Wire, place: Field, value: int) -> None:
        """Write a register of the unit, having made sure that it still is where it was. Raises as ``Wire.write``."""
        anchor = self.plan.anchor(place.address)
        if anchor is not None and anchor.moved(anchor.block.words(await wire.read(self.unit.id, anchor.block))):
            self.known = False
            raise Refused(f"unit {self.unit.id} is another than it was; it is looked at anew, and nothing was written")
        await wire.write(self.unit.id, place.space, place.address, (value,))

    def silent(self, reason: str, now: float) -> None:
        """It did not; leave it alone for longer each time. ``now`` is monotonic seconds."""
        self.failures += 1
        self.reason = reason
        rest = 0.0 if self.failures == 1 else min(FIRST_REST * 2.0 ** min(self.failures - 2, 30), LONGEST_REST)
        self.rests_until = now + rest

    def missing(self) -> dict[Point, str]:
        """All its points, with the reason why nothing came."""
        return dict.fromkeys(self.plan.points() or (Point(self.unit.local),), self.reason)

    async def _recognised(self, wire: Wire) -> bool:
        """Whether it is the same device after a silence or over a new connection."""
        if self._met_on == wire.connections and not self.failures:
            return True
        for anchor in self.plan.identity:
            try:
                if anchor.moved(anchor.block.words(await wire.read(self.unit.id, anchor.block))):
                    return False
            except Denied as denied:
                if denied.code not in LASTING:
                    raise Silent(str(denied)) from denied
        self._met_on = wire.connections
        return True

    def _divide(self, block: Block, why: str) -> list[Block]:
        """Ask for the halves of what was refused from now on; what is refused alone is not asked for any more."""
        fields = sorted(
            {
                one
                for one in self.plan.fields()
                if one.space is block.space
                and one not in self._without
                and block.address <= min(one.addresses)
                and max(one.addresses) < block.address + block.count
            },
            key=lambda one: one.address,
        )
        self._blocks.remove(block)
        if len(fields) <= 1:
            self._without |= dict.fromkeys(fields, why)
            return []
        halves = (fields[: len(fields) // 2], fields[len(fields) // 2 :])
        made = [*chain.from_iterable(blocks(half, self.plan.most, self.plan.gap) for half in halves)]
        made = [one for one in dict.fromkeys(made) if one not in self._blocks]
        if made == [block]:  # fields over the same registers; halving leads nowhere
            self._without |= dict.fromkeys(fields, why)
            return []
        self._blocks += made
        return made

    def _limits(self, words: Words, at: float) -> list[Reading]:
        told = ((point, limit.told(words)) for point, limit in self.plan.limits.items())
        return [Reading(point, Quantity.POWER_LIMIT, watts, at) for point, watts in told if watts is not None]

    async def _by_sunspec(self, wire: Wire) -> Plan:
        plan = await sunspec.survey(wire, self.unit, self._models)
        if plan is None:
            raise Silent(f"unit {self.unit.id} answers and has no SunSpec: name its register map in modbus/unit/table")
        return plan

    async def _by_table(self, wire: Wire, table: Table) -> Plan:
        check = table.checks[0]
        number = check.field.number(await self._held(wire, check.field))
        self.doubt = None
        if number is not None and not check.holds(number):
            self.doubt = f"unit {self.unit.id} does not look like {table.title}; is {table.name} its register map?"
        held = {name: await self._held(wire, one) for name, one in table.fields.items()}
        plan = _of_table(self.unit, table, {name: one.text(held[name]) for name, one in table.fields.items()})
        identity = [(one, held[name]) for name, one in table.fields.items() if held[name]]
        return replace(
            plan,
            identity=tuple(Anchor(blocks([one], one.length, 0)[0], tuple(words.values())) for one, words in identity),
        )

    async def _held(self, wire: Wire, one: Field) -> Words:
        """What a field holds; nothing where the device lacks it."""
        try:
            (block,) = blocks([one], one.length, 0)
            return block.words(await wire.read(self.unit.id, block))
        except Denied as denied:
            if denied.code not in LASTING:
                raise
            return {}


def _of_table(unit: Unit, table: Table, told: Mapping[str, str | None]) -> Plan:
    """The plan of a unit that is read by a register map; ``told`` is what it says of itself."""
    cells = [Cell(Point(unit.local), rule) for rule in _turned(table.rules, turn=unit.provided)]
    interfaces, switches = [], {}
    for section in table.interfaces:
        for row in range(section.rows):
            name = section.name.replace("{row}", str(row + 1))
            point = Point(unit.local, name)
            interfaces.append(
                InterfaceInfo(
                    name,
                    section.direction,
                    current_type=section.current_type,
                    switchable=section.switch is not None,
                )
            )
            cells += [Cell(point, rule.moved(row * section.step)) for rule in section.rules]
            if section.switch is not None:
                field = section.switch.field.moved(row * section.step)
                switches[point] = replace(section.switch, field=field)
    serial = told.get("serial-number")
    entity = EntityInfo(
        local=unit.local,
        manufacturer=table.manufacturer,
        model=table.model,
        firmware_version=told.get("firmware-version"),
        category=table.category,
        current_type=table.current_type,
        foreign_ids=(ForeignId("serial-number", serial, persistence=Persistence.PERSISTENT),) if serial else (),
        interfaces=tuple(interfaces),
    )
    return Plan((entity,), tuple(cells), switches, most=table.most, gap=table.gap)


def _turned(rules: tuple[Rule, ...], *, turn: bool) -> list[Rule]:
    return [rule.turned() if turn else rule for rule in rules]

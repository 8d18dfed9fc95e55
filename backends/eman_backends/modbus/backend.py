"""One Modbus TCP address: its life, its passes over the units behind it, its commands."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from decimal import ROUND_FLOOR, Decimal

from eman_netconf.backend import (
    Context,
    EntityInfo,
    Inventory,
    OutcomeUnknown,
    Pass,
    Point,
    Quantity,
    Reading,
    Refused,
    Supply,
    Unavailable,
)

from .registers import LARGEST_EXPONENT, NO_FACTOR, Block
from .settings import Target
from .station import Station
from .tables import Table
from .wire import Silent, Wire

IN_VAIN = 3.0  # seconds that one pass may wait for silent units; those that come after are left for the next


class Modbus:
    """A way to the units at one address, asked one after the other; who is silent does not hold up who answers."""

    def __init__(
        self, target: Target, tables: Mapping[str, Table], models: Mapping[int, Table], context: Context
    ) -> None:
        self._target = target
        self._context = context
        self._wire = Wire(target.address, target.port, target.patience, target.gap)
        self._stations = [
            Station(unit, None if unit.table is None else tables[unit.table], models) for unit in target.units
        ]
        self._most_silent = max(1, int(IN_VAIN / target.patience))
        self._inventory: Inventory | None = None
        self._limited: dict[Point, tuple[Decimal, Decimal]] = {}  # the percentage written, and the watts wished

    async def open(self) -> Inventory:
        """Find out what the units are. Raises Unavailable when none of them answers."""
        await self.close()
        silent = 0
        for station in self._in_turn():
            if not station.fresh and silent < self._most_silent:
                station.known = False
                silent += not await self._survey(station)
        if not any(station.fresh for station in self._stations):
            self._wire.drop()
            raise Unavailable(f"{self._target}: {self._stations[0].reason}")
        for station in self._stations:
            station.fresh = False
            station.rests_until = 0.0
        self._inventory = self._told()
        return self._inventory

    async def read(self) -> Pass:
        """One pass over all units that are due. Raises Unavailable when none of them tells anything."""
        if self._inventory is None:
            raise Unavailable(f"{self._target} is not open")
        made: list[Reading] = []
        missing: dict[Point, str] = {}
        silent = 0
        now = self._context.clock().mono
        for station in self._in_turn():
            resting = station.failures > 0 and now < station.rests_until and len(self._stations) > 1
            told = None
            if not resting and silent < self._most_silent:
                told = await self._read(station)
                silent += told is None
            made += told.readings if told is not None else ()
            missing |= told.missing if told is not None else station.missing()
        told_now = self._told()
        if told_now != self._inventory:  # what is new will be read when it was announced
            same = {entity.local for entity in told_now.entities} & {one.local for one in self._inventory.entities}
            return Pass((), {Point(local): "it has other parts than it had" for local in same}, outdated=True)
        if not made:
            raise Unavailable(f"{self._target}: {next(iter(missing.values()), 'it tells nothing')}")
        return Pass(tuple(made), missing)

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Write the relay or the connection. Raises Refused, Unavailable, OutcomeUnknown."""
        station = self._station(point)
        switch = station.plan.switches.get(point)
        if switch is None:
            raise Refused(f"{point.interface or 'this'} of {self._context.name} cannot be switched")
        if supply not in {Supply.ON, Supply.OFF}:
            raise Refused(f"supply can be switched on or off, not {supply}")
        value = switch.on if supply is Supply.ON else switch.off
        await station.write(self._wire, switch.field, value)

    async def limit_power(self, point: Point, watts: Decimal | None) -> None:
        """Write the percentage, then let it hold; or let it hold no more. Raises Refused, Unavailable, OutcomeUnknown.

        The percentage is rounded down, as far as the device can tell it.
        """
        station = self._station(point)
        limit = station.plan.limits.get(point)
        if limit is None:
            raise Refused(f"the power of {point.entity or self._context.name} cannot be limited")
        unit, percent, enabled = station.unit.id, limit.percent, limit.enabled
        if watts is None:
            await station.write(self._wire, enabled, 0)
            return
        if not 0 <= watts <= limit.watts:
            raise Refused(f"{watts} W is not from 0 to the {limit.watts} W that it does at most")
        exponent = 0
        if percent.factor is not None:
            (told,) = await self._wire.read(unit, Block(percent.space, percent.factor, 1))
            exponent = told - 0x10000 if told > NO_FACTOR else told
            if abs(exponent) > LARGEST_EXPONENT:
                raise Refused(f"unit {unit} does not tell in what its limit is written")
        raw = (watts * 100 / limit.watts).scaleb(-exponent).to_integral_value(ROUND_FLOOR)
        if raw >= 0xFFFF:
            raise Refused(f"unit {unit} has no number for {watts} W")
        self._limited.pop(point, None)
        await station.write(self._wire, percent, int(raw))
        try:
            await station.write(self._wire, enabled, 1)
        except Unavailable as error:  # half of it is done
            raise OutcomeUnknown(f"unit {unit} has the limit and was not told to hold it: {error}") from error
        self._limited[point] = (raw.scaleb(exponent) * limit.watts / 100, watts)

    async def close(self) -> None:
        """Let go of everything; safe at any time and twice."""
        self._inventory = None
        self._wire.drop()

    def _in_turn(self) -> list[Station]:
        """Who answered first, and of those who were asked longest ago: a pass that is cut short goes on next time."""
        return sorted(self._stations, key=lambda station: (station.failures > 0, station.asked_at))

    def _station(self, point: Point) -> Station:
        """The unit that a point belongs to. Raises Unavailable, Refused."""
        if self._inventory is None:
            raise Unavailable(f"{self._target} is not open")
        for station in self._stations:
            if any(entity.local == point.entity for entity in station.plan.entities):
                return station
        raise Refused(f"{point.entity} is not known at {self._target}")

    async def _survey(self, station: Station) -> bool:
        """Whether the unit answered what it is. Raises Unavailable when nothing can be reached."""
        doubt = station.doubt
        if not await self._answers(station, station.survey(self._wire)):
            return False
        if station.doubt is not None and station.doubt != doubt:
            self._context.log.warning("%s: %s", self._target, station.doubt)
        return True

    async def _read(self, station: Station) -> Pass | None:
        """What the unit tells, None when it is silent; it is looked at first where it is not known, or not any more.

        Raises Unavailable when nothing can be reached.
        """
        told: list[Pass] = []

        async def read() -> None:
            told.append(await station.read(self._wire, self._context.clock().wall))

        for _ in range(2):
            if not station.known and not await self._survey(station):
                return None
            if await self._answers(station, read()):
                return Pass(tuple(self._as_wished(reading) for reading in told[0].readings), told[0].missing)
            if station.known:
                return None
        return None

    async def _answers(self, station: Station, asking: Awaitable[None]) -> bool:
        """Whether the unit answers; its silence is logged when it begins and when it ends, where it has neighbours."""
        station.asked_at = self._context.clock().mono
        failures, log = station.failures, len(self._stations) > 1
        try:
            await asking
        except Silent as silent:
            station.silent(str(silent), self._context.clock().mono)
            if log and not failures:
                self._context.log.warning("%s: %s", self._target, silent)
            return False
        except Unavailable:
            raise
        except BaseException:  # given up: the next attempt begins with those who answer
            station.silent(f"unit {station.unit.id} took too long", self._context.clock().mono)
            raise
        station.failures = 0
        if log and failures:
            self._context.log.info("%s: unit %d answers again", self._target, station.unit.id)
        return True

    def _as_wished(self, reading: Reading) -> Reading:
        """While a device holds the percentage that was written, its limit is the watts that were wished."""
        if reading.quantity is Quantity.POWER_LIMIT and reading.point in self._limited:
            told, wished = self._limited[reading.point]
            if reading.value == told:
                return reading._replace(value=wished)
        return reading

    def _told(self) -> Inventory:
        entities = [entity for station in self._stations for entity in station.plan.entities]
        if not any(station.unit.name is None for station in self._stations):
            entities.insert(0, EntityInfo())  # the gateway itself
        return Inventory(tuple(entities))

"""One device that speaks SNMP: its life, its passes, its commands."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping

from eman_netconf.backend import Context, Inventory, Pass, Point, Reading, Refused, Supply, Unavailable

from .client import Client
from .complete import Value
from .explorers import Exploration
from .readings import Plan, shared
from .settings import Target
from .survey import choose, survey
from .tables import GENERIC, Table, names
from .traps import Ear

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
TICKS = 100  # of sysUpTime in a second
CLOCKS_DIFFER = 300.0  # seconds that a device's clock may be ahead of ours between two passes
REBUILT = 900.0  # seconds from one time that a device says it has other parts to the next that is believed
DOUBTS = 5  # attempts to open, one after the other, at which a device must look like less before that is believed


class Snmp:
    """A way to one device, read as its tables tell."""

    def __init__(self, target: Target, tables: Mapping[str, Table], context: Context, *, fast: bool = True) -> None:
        self._target = target
        self._tables = tables
        self._context = context
        self._client = Client(target, context.random, context.log, fast=fast)
        self._exploration = Exploration()
        self._plan: Plan | None = None
        self._up: tuple[int, float] | None = None  # sysUpTime as last told, and when by the monotonic clock
        self._witnessed: Value | None = None  # what the witness of the plan said in the first pass
        self._rebuilt = -math.inf  # when it last said something else, by the monotonic clock
        self._read_as: tuple[Table, ...] = ()
        self._doubts = 0
        self._said = ""
        self._restarted = False  # the device said so, and may have other parts now
        self._ear: Ear | None = None

    async def open(self) -> Inventory:
        """Find out what the device is and has. Raises Unavailable."""
        await self.close()
        try:
            await self._client.open()
            inventory, plan = await self._surveyed()
        except BaseException:  # nothing stays open of an attempt that failed or was given up
            self._client.close()
            raise
        self._client.rest()
        self._up = None
        self._witnessed = None
        self._plan = shared(plan)
        self._restarted = False
        return inventory

    async def read(self) -> Pass:
        """One pass over everything the plan names. Raises Unavailable."""
        plan = self._opened()
        if self._restarted:
            return Pass((), outdated=True)
        about = [SYS_UP_TIME, *([plan.witness] if plan.witness is not None else [])]
        values = await self._client.get([*about, *plan.oids])
        if not values or (plan.oids and values.keys() <= set(about)):
            raise Unavailable(f"{self._target} answers, but tells none of its values any more")
        if not self._goes_on(values.get(SYS_UP_TIME)) or self._is_rebuilt(values.get(plan.witness or "")):
            return Pass((), outdated=True)
        at = self._context.clock().wall
        if len(plan.parts) == 1:
            return plan.parts[0].read(values, at)
        made: list[Reading] = []
        missing: dict[Point, str] = {}
        for part in plan.parts:
            told = part.read(values, at)
            made += told.readings
            missing |= told.missing
            await asyncio.sleep(0)
        return Pass(tuple(made), missing)

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Switch the supply at an interface. Raises Refused, Unavailable, OutcomeUnknown."""
        writes = self._opened().switches.get(point)
        if writes is None:
            raise Refused(f"{point.interface or 'this'} of {self._context.name} cannot be switched")
        if supply not in writes:
            raise Refused(f"supply can be switched on or off, not {supply}")
        await self._client.set(writes[supply])

    async def set_power_state(self, point: Point, state: str) -> None:
        """Order an entity into a power state or through a transition. Raises Refused, Unavailable, OutcomeUnknown."""
        write = self._opened().states.get(point, {}).get(state)
        if write is None:
            raise Refused(f"{point.entity or 'this'} of {self._context.name} cannot be ordered into {state}")
        await self._client.set(write)

    async def test_battery(self, point: Point) -> None:
        """Have a battery test itself. Raises Refused, Unavailable, OutcomeUnknown."""
        write = self._opened().tests.get(point)
        if write is None:
            raise Refused(f"{point.battery or 'this'} of {self._context.name} has no test of its battery")
        await self._client.set(write)

    async def watch(self) -> AsyncIterator[Pass]:
        """What the device says by itself has it read soon. Raises Unavailable where nothing can be heard."""
        hearing = self._target.hearing
        if hearing is None:
            return
        self._opened()
        self._hush()
        ear = self._ear = await self._client.listen(hearing, self._context.directory)
        try:
            while (restarted := await ear.heard()) is not None:
                self._restarted = self._restarted or restarted
                yield Pass(())
        finally:
            ear.close()

    async def close(self) -> None:
        """Let go of everything; safe at any time and twice."""
        self._hush()
        self._plan = None
        self._client.close()

    def _goes_on(self, ticks: object) -> bool:
        """Whether the device, from how long it is up, is the one of the last pass and has not started since."""
        if not isinstance(ticks, int):
            return True
        now = self._context.clock().mono
        before, self._up = self._up, (ticks, now)
        if before is None:
            return True
        passed = ticks - before[0]
        return 0 <= passed <= (now - before[1] + CLOCKS_DIFFER) * TICKS

    def _is_rebuilt(self, told: Value | None) -> bool:
        """Whether the device says that its parts are others than in the first pass; some say so all the time."""
        if self._witnessed is None:
            self._witnessed = told
        now = self._context.clock().mono
        if told in {None, self._witnessed} or now - self._rebuilt < REBUILT:
            return False
        self._rebuilt = now
        return True

    def _hush(self) -> None:
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _opened(self) -> Plan:
        if self._plan is None:
            raise Unavailable(f"{self._target} is not open")
        return self._plan

    async def _surveyed(self) -> tuple[Inventory, Plan]:
        """What the device has, and how it is read. Raises Unavailable."""
        tables = await choose(self._client, self._tables, self._target.tables)
        self._recognise(tables)
        found = await survey(self._client, tables, self._tables[GENERIC], (self._exploration,))
        self._read_as = tables
        self._doubts = 0
        self._tell(tables)
        return found

    def _recognise(self, tables: tuple[Table, ...]) -> None:
        """A device that starts may answer before its tables are there. Raises Unavailable while that may be so."""
        gone = [table for table in self._read_as if table not in tables]
        if gone and self._doubts < DOUBTS:
            self._doubts += 1
            raise Unavailable(
                f"{self._target} was read as {names(gone)}, and shows nothing of that now; it may be starting"
            )

    def _tell(self, tables: tuple[Table, ...]) -> None:
        """Log as what the device is read, whenever that changes."""
        said = f"is read as {names(tables)}" if tables else "fits no table, so only its name is shown; set snmp/table"
        if said != self._said:
            self._said = said
            self._context.log.info("%s %s", self._target, said)

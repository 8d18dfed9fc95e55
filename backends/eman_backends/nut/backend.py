"""One upsd with the UPSs behind it: its life, its passes, its commands."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping

from eman_netconf.backend import (
    Context,
    EntityInfo,
    Finding,
    Inventory,
    Pass,
    Point,
    Reading,
    Refused,
    RelationInfo,
    Settings,
    Supply,
    Unavailable,
)

from .connection import Connection
from .protocol import Garbled, Question, quoted, shown, variables
from .readings import readings
from .settings import Target, target
from .survey import Abilities, Order, Ups, shape, survey

MOST = 256  # UPSs of one server
LONGEST_LOCAL = 64
ABILITIES_EVERY = 10  # passes, the first included, in which is asked what the UPSs can be told
_ILLEGAL = re.compile(r"[^A-Za-z0-9._~-]+")
REPORTS = frozenset({"power", "electrical", "battery"})


class Asked:
    """What is asked of one UPS: its variables, and now and then what it can be told."""

    def __init__(self, name: str, *, abilities: bool) -> None:
        self.name = name
        self.variables = variables(name)
        self._commands = Question(f"LIST CMD {quoted(name)}", f"CMD {name}") if abilities else None
        self._writable = Question(f"LIST RW {quoted(name)}", f"RW {name}") if abilities else None

    @property
    def questions(self) -> list[Question]:
        """What is to be sent."""
        return [one for one in (self.variables, self._commands, self._writable) if one is not None]

    @property
    def away(self) -> str | None:
        """Why the UPS tells nothing; None where it does."""
        if self.variables.error is not None:
            return f"{self.name}: {self.variables.refusal}"
        return None if self.variables.lines else f"{self.name}: its driver has told nothing yet"

    @property
    def abilities(self) -> Abilities | None:
        """What the UPS can be told; None where that was not asked, or not answered. Raises Garbled."""
        if self._commands is None or self._writable is None or self._commands.error or self._writable.error:
            return None
        commands = frozenset(row[0] for row in self._commands.rows() if row)
        return Abilities(commands, frozenset(self._writable.pairs()))


class Nut:
    """A way to one upsd. Each UPS is an entity behind the server's own, or one UPS is the device itself."""

    def __init__(self, server: Target, context: Context) -> None:
        self._target = server
        self._context = context
        self._connection = Connection(server)
        self._fleet: dict[str, Ups] | None = None
        self._descriptions: dict[str, str] = {}  # of the UPSs that the server had when it was opened
        self._known: dict[str, Ups] = {}  # as last surveyed, for those whose driver is away when the server is opened
        self._passes = 0
        self._said: frozenset[str] = frozenset()  # UPSs of which was logged that they are not served

    async def open(self) -> Inventory:
        """Connect, and ask what UPSs there are and what they have. Raises Unavailable."""
        await self.close()
        version, listed = Question("VER"), Question("LIST UPS", "UPS")
        await self._connection.ask(version, listed)
        if listed.error is not None:
            raise Unavailable(f"{self._target} does not list its UPSs: {listed.refusal}")
        try:
            self._fleet = await self._survey(listed)
        except Garbled as error:
            raise self._doubted(error) from error
        self._passes = 0
        infos = [ups.info for ups in self._fleet.values()]
        if self._target.device is None:
            infos.insert(0, self._gateway(version, infos))
        return Inventory(tuple(infos))

    async def read(self) -> Pass:
        """One pass over all UPSs. Raises Unavailable when the server, or the one UPS that is the device, is away."""
        fleet = self._fleet
        if fleet is None:
            raise Unavailable(f"{self._target} is not open")
        listed = Question("LIST UPS", "UPS")
        asked = {name: Asked(name, abilities=self._passes % ABILITIES_EVERY == 0) for name in fleet}
        await self._connection.ask(listed, *(question for one in asked.values() for question in one.questions))
        self._passes += 1
        at = self._context.clock().wall
        made: list[Reading] = []
        missing: dict[Point, str] = {}
        try:
            outdated = self._shown(listed) != self._descriptions
            for name, answer in asked.items():
                if (error := answer.away) is not None:
                    missing[fleet[name].point] = error
                    continue
                told = answer.variables.pairs()
                await asyncio.sleep(0)
                outdated |= self._look_again(fleet, name, told, answer.abilities)
                await asyncio.sleep(0)
                one = readings(fleet[name], told, at, self._target.power_factor)
                made += one.readings
                missing |= one.missing
                await asyncio.sleep(0)
        except Garbled as error:
            raise self._doubted(error) from error
        self._tell(fleet, missing)
        if self._target.device is not None and missing and not made:
            raise Unavailable(next(iter(missing.values())))
        return Pass(tuple(made), missing, outdated=outdated)

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Pass the order on. Raises Refused, Unavailable, OutcomeUnknown."""
        ups = self._ups(point)
        orders = ups.switches.get(point)
        if orders is None:
            raise Refused(f"{point.interface or 'this'} of {ups.name} cannot be switched")
        if supply not in {Supply.ON, Supply.OFF}:
            raise Refused(f"supply can be switched on or off, not {supply}")
        await self._order(ups, orders[supply is Supply.OFF])

    async def test_battery(self, point: Point) -> None:
        """Start the test of the battery. Raises Refused, Unavailable, OutcomeUnknown."""
        ups = self._ups(point)
        if ups.test is None or point != ups.battery:
            raise Refused(f"{point.battery or 'this'} of {ups.name} cannot test itself")
        await self._order(ups, ups.test)

    async def close(self) -> None:
        """Let go of everything; safe at any time and twice."""
        self._fleet = None
        await self._connection.close()

    # --- what is there

    def _shown(self, listed: Question) -> dict[str, str]:
        """The UPSs of the server that are asked for, with their descriptions. Raises Garbled."""
        return {name: text for name, text in listed.pairs().items() if self._target.shows(name)}

    async def _survey(self, listed: Question) -> dict[str, Ups]:
        """What each UPS has; of one whose driver is away, no more than its name. Raises Unavailable, Garbled."""
        self._descriptions = self._shown(listed)
        device = self._target.device
        if device is not None and device not in self._descriptions:
            raise Unavailable(f"{self._target} has no UPS {device!r}; it has {names(listed)}")
        wanted = dict.fromkeys((*self._descriptions, *self._target.chosen))
        if len(wanted) > MOST:
            raise Unavailable(f"{self._target} has more than {MOST} UPSs: choose some with nut/ups")
        asked = [Asked(name, abilities=True) for name in wanted]
        await self._connection.ask(*(question for one in asked for question in one.questions))
        fleet: dict[str, Ups] = {}
        for answer, local in zip(asked, self._locals(wanted), strict=True):
            name = answer.name
            if device is not None and answer.away is not None:
                raise Unavailable(answer.away)
            known = self._known.get(name)
            if answer.away is None or known is None or known.info.local != local:
                told = answer.variables.pairs()
                await asyncio.sleep(0)
                known = self._known[name] = self._surveyed(name, local, told, answer.abilities)
            fleet[name] = known
            await asyncio.sleep(0)
        return fleet

    def _surveyed(self, name: str, local: str, told: Mapping[str, str], abilities: Abilities | None) -> Ups:
        return survey(
            name,
            local,
            told,
            abilities or Abilities(),
            description=self._descriptions.get(name),
            where=self._target.address,
        )

    def _look_again(
        self, fleet: dict[str, Ups], name: str, told: Mapping[str, str], abilities: Abilities | None
    ) -> bool:
        """Whether the UPS is not what the inventory says. Names that come and go, as that of an alarm, are no change.

        A upsd that starts tells of its drivers piece by piece, what can be ordered last of all.
        """
        ups = fleet[name]
        abilities = abilities or ups.abilities
        if shape(told) == ups.shape and abilities == ups.abilities:
            return False
        found = self._surveyed(name, ups.info.local, told, abilities)
        if found.info == ups.info:
            fleet[name] = self._known[name] = found
            return False
        return True

    def _locals(self, ups: Iterable[str]) -> Iterator[str]:
        """A legal local name for each UPS."""
        if self._target.device is not None:
            yield ""
            return
        taken: set[str] = set()
        for name in ups:
            plain = _ILLEGAL.sub("-", name).strip("-._~")[:LONGEST_LOCAL] or "ups"
            local = next(one for one in _numbered(plain) if one not in taken)
            taken.add(local)
            yield local

    def _gateway(self, version: Question, behind: list[EntityInfo]) -> EntityInfo:
        """The server itself, which measures nothing and speaks for the UPSs behind it."""
        said = shown(version.lines[0])[:255] if version.lines else None
        release = re.search(r"upsd (\S+)", said or "")
        relations = (RelationInfo("proxying", info.local, reports=REPORTS) for info in behind)
        return EntityInfo(
            name=self._target.address,
            description=f"NUT server of {len(behind)} UPS" + ("" if len(behind) == 1 else "s"),
            model="upsd" if release else said,
            firmware_version=release[1] if release else None,
            relationships=tuple(relations),
        )

    # --- orders and troubles

    def _ups(self, point: Point) -> Ups:
        if self._fleet is None:
            raise Unavailable(f"{self._target} is not open")
        found = next((ups for ups in self._fleet.values() if ups.info.local == point.entity), None)
        if found is None:
            raise Refused(f"{point.entity or 'the server itself'} takes no orders")
        return found

    async def _order(self, ups: Ups, order: Order) -> None:
        if self._target.user is None:
            raise Refused("a user with the right to do that is needed: set nut/user-name and nut/password")
        if order.value is None:
            text = f"INSTCMD {quoted(ups.name)} {quoted(order.name)}"
        else:
            text = f"SET VAR {quoted(ups.name)} {quoted(order.name)} {quoted(order.value)}"
        await self._connection.order(Question(text))

    def _doubted(self, error: Garbled) -> Unavailable:
        """Nothing more is believed over this connection."""
        self._connection.drop(str(error))
        return Unavailable(f"{self._target} says what cannot be understood: {error}")

    def _tell(self, fleet: Mapping[str, Ups], missing: Mapping[Point, str]) -> None:
        """Log which UPSs are away, whenever that changes."""
        away = frozenset(name for name, ups in fleet.items() if ups.point in missing)
        for name in sorted(away - self._said):
            self._context.log.warning("%s", missing[fleet[name].point])
        for name in sorted(self._said - away):
            self._context.log.info("%s: served again", name)
        self._said = away


def _numbered(name: str) -> Iterator[str]:
    yield name
    for count in range(2, MOST + 2):
        yield f"{name}-{count}"


def names(listed: Question) -> str:
    """The first names of a list of UPSs, for a person."""
    found = list(listed.pairs())
    return ", ".join(found[:8]) + (" ..." if len(found) > 8 else "") or "none"


async def probe(address: str, settings: Settings, context: Context) -> Finding | None:
    """Whether a upsd answers at the address; None where none does, or not as the settings ask for."""
    del context
    whole = {**settings, "address": address}
    connection = Connection(target(whole))
    version, listed = Question("VER"), Question("LIST UPS", "UPS")
    try:
        await connection.ask(version, listed)
        if listed.error is not None:
            return None
        found = list(listed.pairs())
        release = shown(version.lines[0]) if version.lines else "NUT server"
        told = variables(found[0]) if len(found) == 1 else None
        if told is None:
            return Finding(whole, f"{release.split(' - ')[0]} with {len(found)} UPSs: {names(listed)}"[:255])
        await connection.ask(told)
        info = survey(found[0], "", told.pairs(), Abilities(), where=address).info
    except (Unavailable, Garbled):
        return None
    finally:
        await connection.close()
    what = " ".join(part for part in (info.manufacturer, info.model) if part) or "a UPS whose driver is away"
    return Finding(
        {**whole, "device": found[0]},
        f"{what}, UPS {found[0]} of {release.split(' - ')[0]}"[:255],
        name=found[0],
        manufacturer=info.manufacturer,
        model=info.model,
        foreign_ids=info.foreign_ids,
    )

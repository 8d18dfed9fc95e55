"""A generated site of N entities: its configuration, and what its devices tell and read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache

from eman_netconf.backend import (
    Backend,
    Context,
    EntityInfo,
    Inventory,
    Pass,
    Persistence,
    Plugin,
    Point,
    Quantity,
    Reading,
    Settings,
    StateInfo,
    StateSetInfo,
)
from eman_netconf.energy.effects import Notify
from eman_netconf.errors import BASE_NS
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import make_inner

ENTITY_NS = "urn:eman:yang:eman-entity"
GROUP_NS = "urn:eman:yang:eman-group"
INTERFACE_NS = "urn:eman:yang:eman-power-interface"
BACKEND_NS = "urn:eman:yang:eman-backend"
SERIES_NS = "urn:eman:yang:eman-series"
THRESHOLD_NS = "urn:eman:yang:eman-threshold"
TYPES_NS = "urn:eman:yang:eman-types"
SIMULATED_NS = "urn:eman:yang:eman-backend-simulated"

#: Entities behind one backend, and in one domain.
BOX = 100

_ACCURACY = Decimal("0.5")


def entity_id(number: int) -> str:
    return f"rack{number // BOX:03}-srv{number % BOX:02}"


def box_id(number: int) -> str:
    """The backend (and the domain) of the entities from ``number * BOX`` on."""
    return f"rack{number:03}"


def boxes(entities: int) -> int:
    """How many backends a site of so many entities has."""
    return -(-entities // BOX)


def entity_xml(number: int, domain: int | None = None, name: str | None = None, extra: str = "") -> str:
    """One entity as configured: 17 leaves, and what is ``extra``."""
    return (
        f"<entity><id>{name or entity_id(number)}</id><name>Server {number}</name>"
        f"<description>Place {number % 40 + 1} of rack {number // BOX}, row {number // 1000}</description>"
        f"<role>application server</role><keyword>production</keyword><keyword>row-{number // 1000}</keyword>"
        f"<category>consumer</category><importance>{number % 100 + 1}</importance>"
        f"<power-priority>{number % 10 + 1}</power-priority><nameplate-power>750.0</nameplate-power>"
        f'<domain xmlns="{GROUP_NS}">{box_id(number // BOX if domain is None else domain)}</domain>'
        f'<power-interface xmlns="{INTERFACE_NS}"><name>psu-1</name><direction>inlet</direction>'
        "<current-type>ac</current-type><ac-phases>1</ac-phases><rated-current>4.0</rated-current>"
        f"<rated-power>920.0</rated-power></power-interface>{extra}</entity>"
    )


def _watched() -> str:
    """Two thresholds and two series of an entity; one threshold is crossed now and then."""
    kinds = f'xmlns:t="{TYPES_NS}"'
    levels = (("high", "active-power", "above", "450.0"), ("low", "voltage", "below", "200.0"))
    thresholds = "".join(
        f'<threshold xmlns="{THRESHOLD_NS}" {kinds}><name>{name}</name><quantity>t:{quantity}</quantity>'
        f"<direction>{direction}</direction><level>{level}</level><hysteresis>5.0</hysteresis></threshold>"
        for name, quantity, direction, level in levels
    )
    series = "".join(
        f'<series xmlns="{SERIES_NS}" {kinds}><name>{quantity}</name><quantity>t:{quantity}</quantity>'
        "<length>60</length></series>"
        for quantity in ("active-power", "energy-received")
    )
    return thresholds + series


def configuration(entities: int, poll_interval: int = 86_400, *, watched: bool = False) -> bytes:
    """The <config> of a site of so many entities: with their domains, and the backends that read them."""
    extra = _watched() if watched else ""
    racks = range(boxes(entities))
    domains = "".join(f"<domain><name>{box_id(rack)}</name></domain>" for rack in racks)
    backends = "".join(
        f"<backend><name>{box_id(rack)}</name><poll-interval>{poll_interval}</poll-interval><timeout>60</timeout>"
        f'<simulated xmlns="{SIMULATED_NS}"><box>{rack}</box></simulated></backend>'
        for rack in racks
    )
    return config(
        f"<entities>{''.join(entity_xml(number, extra=extra) for number in range(entities))}</entities>"
        f'<domains xmlns="{GROUP_NS}">{domains}</domains><backends xmlns="{BACKEND_NS}">{backends}</backends>'
    ).encode()


def config(content: str) -> str:
    """A <config> around what stands in /energy-management."""
    return f'<config xmlns="{BASE_NS}"><energy-management xmlns="{ENTITY_NS}">{content}</energy-management></config>'


# --- what the devices tell -------------------------------------------------------------------------------------------


def members(box: int, entities: int) -> range:
    """The numbers of the entities of one backend."""
    return range(box * BOX, min((box + 1) * BOX, entities))


def inventory(numbers: Iterable[int]) -> Inventory:
    """What a backend tells of its entities when it is opened."""
    return Inventory(
        tuple(
            EntityInfo(
                local=entity_id(number),
                id=entity_id(number),
                identifier_persistence=Persistence.PERSISTENT,
                manufacturer="Example Computers",
                model="R750 G2",
                firmware_version="2.14.3",
                current_type="ac",
                state_sets=(StateSetInfo("ieee1621", (StateInfo("ieee1621-on"),)),),
            )
            for number in numbers
        )
    )


@cache
def _point(number: int) -> Point:
    return Point(entity_id(number))


def readings(numbers: Iterable[int], turn: int, wall: float) -> Iterator[Reading]:
    """Ten readings of each entity; ``turn`` counts the passes, and no value is that of the pass before."""
    for number in numbers:
        point = _point(number)
        watts = Decimal(2000 + (number * 7 + turn * 13) % 3000) / 10
        for quantity, value in (
            (Quantity.ACTIVE_POWER, watts),
            (Quantity.APPARENT_POWER, watts + 20),
            (Quantity.REACTIVE_POWER, watts / 10),
            (Quantity.POWER_FACTOR, Decimal(90 + (turn + number) % 10) / 100),
            (Quantity.ENERGY_RECEIVED, Decimal(1000 * number + turn)),
            (Quantity.ENERGY_PROVIDED, Decimal(turn)),
            (Quantity.VOLTAGE, Decimal(2300 + (turn + number) % 30) / 10),
            (Quantity.CURRENT, (watts / 230).quantize(Decimal("0.001"))),
            (Quantity.FREQUENCY, Decimal(4998 + (turn + number) % 5) / 100),
        ):
            yield Reading(point, quantity, value, wall, accuracy=_ACCURACY)
        yield Reading(point, Quantity.POWER_STATE, "ieee1621-on", wall)


class Rack:
    """The backend of some entities, all in this process."""

    def __init__(self, numbers: range, context: Context, passes: Passes) -> None:
        self._numbers = numbers
        self._context = context
        self._passes = passes
        self._turn = 0

    async def open(self) -> Inventory:
        return inventory(self._numbers)

    async def read(self) -> Pass:
        self._turn += 1
        self._passes.passed()
        return Pass(tuple(readings(self._numbers, self._turn, self._context.clock().wall)))

    async def close(self) -> None:
        pass


class Passes:
    """Counts the passes of all backends."""

    def __init__(self) -> None:
        self.count = 0
        self._wanted = 0
        self._enough = asyncio.Event()

    def passed(self) -> None:
        self.count += 1
        if self.count >= self._wanted:
            self._enough.set()

    async def reach(self, count: int) -> None:
        """Wait until there were so many."""
        self._wanted = count
        if self.count < count:
            self._enough.clear()
            await self._enough.wait()


def changed(schema: Schema, number: int) -> Notify:
    """The power state of an entity changes."""
    node = schema.notifications["urn:eman:yang:eman-power-state", "power-state-changed"]
    leaves = {
        "entity": entity_id(number % 100),
        "entity-uuid": f"6ba7b810-9dad-11d1-80b4-{number % 100:012x}",
        "time": "2026-11-21T12:00:00.250Z",
        "set": "ieee1621",
        "from": f"eman-power-state-set:ieee1621-{'off' if number % 2 else 'on'}",
        "to": f"eman-power-state-set:ieee1621-{'on' if number % 2 else 'off'}",
    }
    return Notify(make_inner(node, leaves), leaves["entity"])


def plugin(entities: int, passes: Passes) -> Plugin:
    """The plugin behind the configuration of ``configuration``."""

    def build(settings: Settings, context: Context) -> Backend:
        return Rack(members(int(settings["box"]), entities), context, passes)

    return Plugin(name="simulated", module="eman-backend-simulated", build=build)

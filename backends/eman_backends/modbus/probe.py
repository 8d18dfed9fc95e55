"""Who answers at an address: by SunSpec, by the register maps that fit, by what the device says of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eman_netconf.backend import Context, EntityInfo, Finding, Refused, Settings, Unavailable

from . import sunspec
from .registers import Field, blocks
from .settings import Target, Unit, target
from .station import Station
from .tables import Table, load, load_models
from .wire import NO_PATH, NO_TARGET, Denied, Silent, Wire

IDS = (
    1,
    126,
    255,
)  # of units, where the settings name none: the usual first, that of SMA, and that of devices with TCP
MAKER, PRODUCT = 0, 1  # numbers in an identification


async def probe(address: str, settings: Settings, context: Context) -> Finding | None:
    """What answers at ``address``, or None; the settings may name units, which alone are asked then.

    A unit that is silent costs one answer time. Raises Misconfigured, and Refused where something speaks Modbus that
    no table fits.
    """
    del context
    given = target({**settings, "address": address})
    units = given.units if settings.get("unit") else tuple(Unit(number) for number in IDS)
    wire = Wire(given.address, given.port, given.patience, given.gap)
    found: list[tuple[Unit, EntityInfo]] = []
    strange: Refused | None = None
    try:
        for unit in units:
            try:
                found.append(await _unit(wire, unit))
            except Silent:
                continue
            except Refused as refused:
                strange = strange or refused
                continue
            if not settings.get("unit"):
                break
    except Unavailable:
        return None
    finally:
        wire.drop()
    if not found and strange is not None:
        raise strange
    return _finding(given, settings, found) if found else None


async def _unit(wire: Wire, unit: Unit) -> tuple[Unit, EntityInfo]:
    """The unit as it would be configured, and what it is. Raises Refused where nothing of it is understood."""
    identity: Mapping[int, str] = {}
    with contextlib.suppress(Denied):
        identity = await wire.identity(unit.id)
    station = None
    try:
        if unit.table is None and await sunspec.locate(wire, unit.id) is not None:
            station = Station(unit, None, load_models())
        for name, table in load().items():
            if station is None and unit.table in {None, name} and await _fits(wire, unit, table):
                station = Station(replace(unit, table=name), table, {})
    except Denied as denied:  # of the gateway: there is no such unit
        raise Silent(str(denied)) from denied
    if station is None:
        what = " ".join(filter(None, map(identity.get, (MAKER, PRODUCT)))) or "it"
        raise Refused(f"unit {unit.id} speaks Modbus, but {what} has no SunSpec and fits no register map")
    await station.survey(wire)
    told = station.plan.entities[0]
    return station.unit, replace(
        told, manufacturer=told.manufacturer or identity.get(MAKER), model=told.model or identity.get(PRODUCT)
    )


async def _fits(wire: Wire, unit: Unit, table: Table) -> bool:
    """Whether everything that a device of this kind must say is so. Raises Silent, Denied of a gateway."""
    for check in table.checks:
        try:
            number = await _number(wire, unit, check.field)
        except Denied as denied:
            if denied.code in {NO_PATH, NO_TARGET}:
                raise
            return False
        if number is None or not check.holds(number):
            return False
    return True


async def _number(wire: Wire, unit: Unit, one: Field) -> Any:
    (block,) = blocks([one], one.length, 0)
    return one.number(block.words(await wire.read(unit.id, block)))


def _finding(given: Target, settings: Settings, found: list[tuple[Unit, EntityInfo]]) -> Finding:
    made = {name: value for name, value in settings.items() if name != "unit"}
    made["address"] = given.address
    made["unit"] = [_as_configured(unit) for unit, _ in found]
    unit, first = found[0]
    what = " ".join(filter(None, (first.manufacturer, first.model))) or f"unit {unit.id}"
    how = ", ".join(sorted({one.table or "SunSpec" for one, _ in found}))
    return Finding(
        settings=made,
        title=f"{what}, read by {how}" + (f", and {len(found) - 1} more units" if len(found) > 1 else ""),
        manufacturer=first.manufacturer,
        model=first.model,
        foreign_ids=first.foreign_ids if len(found) == 1 else (),
    )


def _as_configured(unit: Unit) -> dict[str, Any]:
    made: dict[str, Any] = {"id": unit.id, "name": unit.name, "table": unit.table}
    if unit.provided:
        made["orientation"] = "provided"
    return {name: value for name, value in made.items() if value is not None}

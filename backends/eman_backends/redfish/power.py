"""The energy side of a chassis: its power, its power supplies and batteries, in the newer schemas or the older ones."""

from __future__ import annotations

from decimal import Decimal

from eman_netconf.backend import Direction, InterfaceInfo, Point, Quantity

from . import describe
from .documents import Document, dig, link, links, number, path_of, text
from .drafts import Draft, Drafts
from .orders import Limit, bounds
from .readings import ONE, THOUSAND, Rule, Value, balance, meter, scaled, worded

_LINE: dict[str, Value] = {"Normal": True, "OutOfRange": True, "LossOfInput": False}
_CHARGING: dict[str, Value] = {"Charging": "charging", "Discharging": "discharging", "Idle": "not-charging"}
_OUT = "out"


async def look(drafts: Drafts, draft: Draft, chassis: Document) -> None:
    """Add what a chassis tells to the entity it is, or is part of. Raises Unavailable."""
    subsystem_at = link(chassis, "PowerSubsystem")
    subsystem = await drafts.library.get(subsystem_at)
    nameplate = number(chassis, "MaxPowerWatts")
    if draft.nameplate is None and nameplate is not None and nameplate > 0:
        draft.nameplate = nameplate
    supplies = await _supplies(drafts, draft, link(subsystem, "PowerSupplies"))
    capacity = sum(supplies, Decimal(0)) or number(subsystem, "CapacityWatts")
    await _environment(drafts, draft, link(chassis, "EnvironmentMetrics"), capacity)
    await _batteries(drafts, draft, link(subsystem, "Batteries"))
    power_at = link(chassis, "Power")
    if power_at is not None and not (supplies and drafts.tells(draft.point(), Quantity.ACTIVE_POWER)):
        await _older(drafts, draft, power_at, with_supplies=not supplies)
    if not drafts.tells(draft.point(), Quantity.ACTIVE_POWER):
        await _sensors(drafts, draft, link(chassis, "Sensors"))


async def _environment(drafts: Drafts, draft: Draft, path: str | None, capacity: Decimal | None) -> None:
    document = await drafts.library.get(path)
    if path is None or not document:
        return
    place = await drafts.place(document, path, draft.point())
    drafts.tell(place.circuit(document))
    control = dig(document, "PowerLimitWatts")
    if isinstance(control, dict) and draft.limits is None:
        drafts.tell([Rule(path, draft.point(), Quantity.POWER_LIMIT, _limit_now)])
        draft.limits = bounds(control, capacity)
        if draft.limits is not None:
            source = path_of(dig(control, "DataSourceUri"))
            limit = Limit(path, ("PowerLimitWatts",)) if source is None else Limit(source)
            drafts.limits[draft.point()] = limit


def _limit_now(document: Document) -> Value | None:
    """The limit in force; none while the control is switched off."""
    if dig(document, "PowerLimitWatts", "ControlMode") == "Disabled":
        return None
    return number(document, "PowerLimitWatts", "SetPoint")


async def _supplies(drafts: Drafts, draft: Draft, path: str | None) -> list[Decimal]:
    """The power supplies of PowerSubsystem; the watts each can provide."""
    capacities = []
    for at in await drafts.library.members(path, depth=2):
        supply = await drafts.library.get(at)
        if not describe.there(supply) or drafts.full or at in drafts.found:  # which another chassis shows as well
            continue
        capacities.append(number(supply, "PowerCapacityWatts") or Decimal(0))
        name = _supply(drafts, draft, at, supply)
        inlet, part = draft.point(name), drafts.found[at]
        metrics_at = link(supply, "Metrics")
        metrics = await drafts.library.get(metrics_at)
        if "LineInputStatus" in supply:
            drafts.tell([Rule(at, inlet, Quantity.POWER_AVAILABLE, worded(_LINE, "LineInputStatus"))])
        if metrics_at is None or not metrics:
            continue
        direct = draft.interfaces[name].current_type == "dc"
        place = await drafts.place(metrics, metrics_at, inlet, direct=direct)
        drafts.tell(place.power(metrics, "InputPowerWatts"))
        drafts.tell(place.voltage(metrics, "InputVoltage"))
        drafts.tell(place.current(metrics, "InputCurrentAmps"))
        drafts.tell(place.circuit(metrics))  # energy, frequency, phases
        place = await drafts.place(metrics, metrics_at, part.point(_OUT), Direction.OUTLET, direct=True)
        if drafts.tell(place.power(metrics, "OutputPowerWatts")):
            part.interfaces[_OUT] = InterfaceInfo(_OUT, Direction.OUTLET)
    return capacities


def _supply(drafts: Drafts, draft: Draft, at: str, supply: Document) -> str:
    """A power supply: an inlet of the device, and a component of it. The name of both."""
    name = draft.free(describe.slug("psu", describe.identifier(supply, at)))
    draft.interfaces[name] = describe.inlet(supply, name)
    drafts.supplies[at] = draft.point(name)
    drafts.add(at, name, attributes=describe.attributes(supply), inside=draft.key, entity_class="component")
    return name


async def _batteries(drafts: Drafts, draft: Draft, path: str | None) -> None:
    for at in await drafts.library.members(path, depth=2):
        found = await drafts.library.get(at)
        if not describe.there(found) or len(draft.batteries) >= 64:
            continue
        name = describe.slug(describe.identifier(found, at))
        if name in draft.batteries:
            continue
        point = draft.point(battery=name)
        test = path_of(dig(found, "Actions", "#Battery.SelfTest", "target"))
        if test is not None:
            drafts.tests[point] = test
        draft.batteries[name] = describe.battery(found, name, testable=test is not None)
        drafts.tell(_of_battery(found, at, point))
        metrics_at = link(found, "Metrics")
        metrics = await drafts.library.get(metrics_at)
        if metrics_at is not None and metrics:
            drafts.tell(_of_metrics(metrics, metrics_at, point))


def _of_battery(battery: Document, at: str, point: Point) -> list[Rule]:
    rules = []
    if "ChargeState" in battery:
        rules.append(Rule(at, point, Quantity.CHARGING_STATE, worded(_CHARGING, "ChargeState")))
    if "CapacityActualAmpHours" in battery:
        capacity = scaled("CapacityActualAmpHours", scale=THOUSAND)
        rules.append(Rule(at, point, Quantity.ACTUAL_CAPACITY, capacity))
    return rules


_METRICS: tuple[tuple[Quantity, tuple[str | int, ...], Decimal], ...] = (
    (Quantity.CHARGE_PERCENT, ("ChargePercent", "Reading"), ONE),
    (Quantity.CHARGE, ("StoredChargeAmpHours", "Reading"), THOUSAND),
    (Quantity.CYCLE_COUNT, ("DischargeCycles",), ONE),
    (Quantity.TEMPERATURE, ("TemperatureCelsius", "Reading"), ONE),
    (Quantity.BATTERY_VOLTAGE, ("OutputVoltages", 0, "Reading"), ONE),
    (Quantity.BATTERY_VOLTAGE, ("InputVoltage", "Reading"), ONE),
)


def _of_metrics(metrics: Document, at: str, point: Point) -> list[Rule]:
    rules = [
        Rule(at, point, quantity, scaled(*path, scale=scale))
        for quantity, path, scale in _METRICS
        if dig(metrics, path[0]) is not None
    ]
    if "InputCurrentAmps" in metrics or "OutputCurrentAmps" in metrics:
        rules.append(Rule(at, point, Quantity.BATTERY_CURRENT, balance))
    return rules


# --- the older schema, Power


async def _older(drafts: Drafts, draft: Draft, path: str, *, with_supplies: bool) -> None:
    document = await drafts.library.get(path)
    controls = dig(document, "PowerControl")
    for place, control in enumerate(controls[:8] if isinstance(controls, list) else ()):
        _control(drafts, draft, path, place, control)
    supplies = dig(document, "PowerSupplies")
    if not with_supplies or not isinstance(supplies, list):
        return
    for place, supply in enumerate(supplies[:64]):
        if isinstance(supply, dict) and describe.there(supply) and not drafts.full:
            _older_supply(drafts, draft, path, place, supply)


def _control(drafts: Drafts, draft: Draft, path: str, place: int, control: Document) -> None:
    """One member of PowerControl; the first that tells power is that of the whole chassis."""
    at: tuple[str | int, ...] = ("PowerControl", place)
    point = draft.point()
    if isinstance(control, dict) and not drafts.tells(point, Quantity.ACTIVE_POWER):
        if "PowerConsumedWatts" in control:
            drafts.tell([Rule(path, point, Quantity.ACTIVE_POWER, scaled(*at, "PowerConsumedWatts"))])
        elif number(control, "PowerMetrics", "AverageConsumedWatts") is not None:
            mean = scaled(*at, "PowerMetrics", "AverageConsumedWatts")
            over = scaled(*at, "PowerMetrics", "IntervalInMin", scale=Decimal(60))
            drafts.tell([Rule(path, point, Quantity.ACTIVE_POWER, mean, interval=over)])
    if draft.limits is None and isinstance(dig(control, "PowerLimit"), dict):
        drafts.tell([Rule(path, point, Quantity.POWER_LIMIT, scaled(*at, "PowerLimit", "LimitInWatts"))])
        draft.limits = bounds(None, number(control, "PowerCapacityWatts"))
        if draft.limits is not None:
            drafts.limits[point] = Limit(path, place=place)


def _older_supply(drafts: Drafts, draft: Draft, path: str, place: int, supply: Document) -> None:
    key = f"{path}#/PowerSupplies/{place}"
    name = _supply(drafts, draft, key, supply)
    at: tuple[str | int, ...] = ("PowerSupplies", place)
    part, inlet = drafts.found[key], draft.point(name)
    for quantity, property_ in ((Quantity.ACTIVE_POWER, "PowerInputWatts"), (Quantity.VOLTAGE, "LineInputVoltage")):
        if property_ in supply:
            drafts.tell([Rule(path, inlet, quantity, scaled(*at, property_))])
    for property_ in ("PowerOutputWatts", "LastPowerOutputWatts"):
        if number(supply, property_) is not None:
            out = scaled(*at, property_, scale=-ONE)
            drafts.tell([Rule(path, part.point(_OUT), Quantity.ACTIVE_POWER, out)])
            part.interfaces[_OUT] = InterfaceInfo(_OUT, Direction.OUTLET)
            break


# --- sensors by themselves

_SENSED: dict[str, tuple[Quantity, Decimal]] = {
    "Power": (Quantity.ACTIVE_POWER, ONE),
    "EnergykWh": (Quantity.ENERGY_RECEIVED, THOUSAND),
    "EnergyWh": (Quantity.ENERGY_RECEIVED, ONE),
}


async def _sensors(drafts: Drafts, draft: Draft, path: str | None) -> None:
    """Power and energy of a chassis that only a Sensor tells: one of each that says it is of the whole chassis."""
    found: dict[Quantity, list[Rule]] = {}
    for at in await drafts.library.members(path):
        sensor = await drafts.library.get(at)
        kind = _SENSED.get(text(sensor, "ReadingType") or "")
        if kind is None or not _of_whole(sensor):
            continue
        rule = Rule(at, draft.point(), kind[0], scaled("Reading", scale=kind[1]), meter=meter(sensor))
        found.setdefault(kind[0], []).append(rule)
    for rules in found.values():
        if len(rules) == 1:
            drafts.tell(rules)


def _of_whole(sensor: Document) -> bool:
    """Whether a sensor says that it measures all of a chassis or system."""
    related = links(sensor, "RelatedItem")
    whole = any(item.count("/") == 4 and item.split("/")[3] in {"Chassis", "Systems"} for item in related)
    context = text(sensor, "PhysicalContext")
    return (context == "Chassis" or whole) and text(sensor, "ElectricalContext") in {None, "Total"}

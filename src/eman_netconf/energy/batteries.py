"""Batteries of an entity: charge, health, and the warnings before they fail (RFC 6988 section 5.6, RFC 7577)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from eman_netconf.energy.canonical import Identities, Number, clipped, decimal64, stamp
from eman_netconf.energy.taps import Taps
from eman_netconf.energy.values import BatteryInfo, Method, Quantity, Reading
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner

TECHNOLOGY = "eman-battery:battery-technology"
_CHARGING_STATES = frozenset({"charging", "maintaining", "not-charging", "discharging"})


class Alarm(StrEnum):
    """The bits of alarm/active, in the order of their positions."""

    LOW = "low"
    CRITICAL = "critical"
    AGING = "aging"
    TEMPERATURE = "temperature"


def _whole(value: Number) -> str:
    return str(round(value))


class _Gauge(NamedTuple):
    leaf: str
    printer: Callable[[Number], str]
    low: float
    high: float


_GAUGES: Mapping[Quantity, _Gauge] = {
    Quantity.CHARGE: _Gauge("charge", _whole, 0, 2**32 - 1),
    Quantity.CHARGE_PERCENT: _Gauge("charge-percent", decimal64(2), 0, 1e6),
    Quantity.CYCLE_COUNT: _Gauge("cycle-count", _whole, 0, 2**32 - 1),
    Quantity.ACTUAL_CAPACITY: _Gauge("actual-capacity", _whole, 0, 2**32 - 1),
    Quantity.BATTERY_VOLTAGE: _Gauge("voltage", decimal64(3), -1e9, 1e9),
    Quantity.BATTERY_CURRENT: _Gauge("current", decimal64(3), -1e9, 1e9),
    Quantity.TEMPERATURE: _Gauge("temperature", decimal64(1), -274, 1e6),
    Quantity.RUNTIME_REMAINING: _Gauge("runtime-remaining", decimal64(3), 0, 1e12),
}
QUANTITIES = frozenset({*_GAUGES, Quantity.CHARGING_STATE, Quantity.ALARM})


class _Threshold(NamedTuple):
    """Beyond ``leaf`` the alarm goes on; it goes off again when the value is ``back`` on the good side of it."""

    leaf: str
    quantity: Quantity
    alarm: Alarm
    sign: int  # -1: warn below, 1: warn above
    back: float = 0.0


#: A value that hovers at its threshold must not raise and clear the alarm with every reading.
_THRESHOLDS = (
    _Threshold("low-charge", Quantity.CHARGE, Alarm.LOW, -1, 1),
    _Threshold("low-charge-percent", Quantity.CHARGE_PERCENT, Alarm.LOW, -1, 1),
    _Threshold("low-voltage", Quantity.BATTERY_VOLTAGE, Alarm.LOW, -1, 0.1),
    _Threshold("low-capacity", Quantity.ACTUAL_CAPACITY, Alarm.AGING, -1),
    _Threshold("high-cycle-count", Quantity.CYCLE_COUNT, Alarm.AGING, 1),
    _Threshold("high-temperature", Quantity.TEMPERATURE, Alarm.TEMPERATURE, 1, 1),
    _Threshold("low-temperature", Quantity.TEMPERATURE, Alarm.TEMPERATURE, -1, 1),
)


class Event(NamedTuple):
    """Something worth a notification: its name and its own leaves."""

    notification: str
    leaves: Mapping[str, str]


class BatteryNodes:
    """The schema nodes of the list battery below ``entity``."""

    def __init__(self, entity: SchemaNode, identities: Identities) -> None:
        self.identities = identities
        self.battery = battery = entity.child("battery")
        self.name = battery.child("name")
        self.identifier = battery.child("identifier")
        self.firmware_version = battery.child("firmware-version")
        self.type = battery.child("type")
        self.technology = battery.child("technology")
        self.nominal_capacity = battery.child("nominal-capacity")
        self.nominal_voltage = battery.child("nominal-voltage")
        self.cell_count = battery.child("cell-count")
        self.gauges = {quantity: battery.child(gauge.leaf) for quantity, gauge in _GAUGES.items()}
        self.charging_state = battery.child("charging-state")
        self.last_full_cycle = battery.child("last-full-cycle")
        self.time = battery.child("time")
        self.method = battery.child("method")
        self.alarm = battery.child("alarm")
        self.active = self.alarm.child("active")
        self.thresholds = {threshold.leaf: self.alarm.child(threshold.leaf) for threshold in _THRESHOLDS}


class Battery:
    """One battery: its readings, and which warnings are in force."""

    __slots__ = (
        "_device_alarms",
        "_heat_told",
        "_limits",
        "_nodes",
        "_samples",
        "active",
        "charging_state",
        "config",
        "info",
        "last_full_cycle",
        "name",
        "node",
        "taps",
    )

    def __init__(self, nodes: BatteryNodes, name: str) -> None:
        self._nodes = nodes
        self.name = name
        self.info: BatteryInfo | None = None
        self.config: Inner | None = None
        self.node: Inner | None = None
        self.charging_state: str | None = None
        self.last_full_cycle: float | None = None
        self.taps: Taps | None = None  # who watches its values
        self.active: frozenset[Alarm] = frozenset()
        self._samples: dict[Quantity, tuple[float, Reading]] = {}
        self._device_alarms: frozenset[Alarm] = frozenset()
        self._heat_told = False
        self._limits: tuple[tuple[_Threshold, Decimal], ...] = ()

    def configure(self, config: Inner | None) -> list[Event]:
        """Take the configured entry and judge the last readings by its thresholds."""
        self.config, self.node = config, None
        alarm = config.get(self._nodes.alarm) if config is not None else None
        limits: list[tuple[_Threshold, Decimal]] = []
        if isinstance(alarm, Inner):
            for threshold in _THRESHOLDS:
                value = alarm.get(self._nodes.thresholds[threshold.leaf])
                if isinstance(value, str):
                    limits.append((threshold, Decimal(value)))
        self._limits = tuple(limits)
        return self._judge()

    def renew(self) -> None:
        """Another battery was put in: what was known of the old one does not hold for it."""
        self._samples.clear()
        self._device_alarms = self.active = frozenset()
        self._heat_told = False
        self.charging_state = self.last_full_cycle = self.node = None

    def take(self, quantity: Quantity, reading: Reading, mono: float) -> list[Event] | None:
        """Take a reading that held at ``mono``; what follows from it, or None when it is late or makes no sense."""
        last = self._samples.get(quantity)
        if last is not None and (mono <= last[0] or reading.at == last[1].at):
            return None
        value = reading.value
        events: list[Event] = []
        if quantity is Quantity.CHARGING_STATE:
            if not isinstance(value, str) or value not in _CHARGING_STATES:
                return None
            before, self.charging_state = self.charging_state, value
            if before is not None and before != value:
                leaves = {"from": before, "to": value}
                events.append(Event("battery-charging-state-changed", leaves))
        elif quantity is Quantity.ALARM:
            if not isinstance(value, frozenset):
                return None
            self._device_alarms = frozenset(alarm for alarm in Alarm if alarm in value)
        else:
            gauge = _GAUGES[quantity]
            try:
                if not gauge.low <= value <= gauge.high:  # type: ignore[operator]  # the quantity says: a number
                    return None
            except (TypeError, ArithmeticError):
                return None
            if quantity is Quantity.CYCLE_COUNT and last is not None and value > last[1].value:  # type: ignore[operator]
                self.last_full_cycle = reading.at
        self._samples[quantity] = (mono, reading)
        self.node = None
        return events + self._judge()

    def _value(self, quantity: Quantity) -> Number | None:
        sample = self._samples.get(quantity)
        return sample[1].value if sample is not None else None  # type: ignore[return-value]  # checked: a number

    @property
    def charge_percent(self) -> Number | None:
        """As read, else from charge and actual capacity; None = not known."""
        read = self._value(Quantity.CHARGE_PERCENT)
        if read is not None:
            return read
        charge, capacity = self._value(Quantity.CHARGE), self._value(Quantity.ACTUAL_CAPACITY)
        return float(charge) / float(capacity) * 100 if charge is not None and capacity else None

    @property
    def was_read(self) -> bool:
        """Whether anything is known of it, so that an alarm that is not active is off."""
        return bool(self._samples)

    def _judge(self) -> list[Event]:
        """Which alarms are in force now, and what to tell about those that changed."""
        active = set(self._device_alarms)
        for threshold, limit in self._limits:
            percent = threshold.quantity is Quantity.CHARGE_PERCENT
            value = self.charge_percent if percent else self._value(threshold.quantity)
            if value is None:
                continue
            beyond = (float(value) - float(limit)) * threshold.sign
            if beyond > 0 or (threshold.alarm in self.active and beyond > -threshold.back):
                active.add(threshold.alarm)
        before, self.active = self.active, frozenset(active)
        if before != self.active:
            self.node = None
        return self._tell(before)

    def _tell(self, before: frozenset[Alarm]) -> list[Event]:
        events: list[Event] = []
        old, new = _level(before), _level(self.active)
        if old != new:
            leaves = {"level": new or "cleared"}
            told = (Quantity.CHARGE, Quantity.BATTERY_VOLTAGE, Quantity.RUNTIME_REMAINING)
            leaves.update(self._printed(*told))
            percent = self.charge_percent
            if percent is not None:
                leaves["charge-percent"] = _GAUGES[Quantity.CHARGE_PERCENT].printer(percent)
            events.append(Event("battery-low", leaves))
        if Alarm.AGING in self.active - before:
            events.append(Event("battery-aging", self._printed(Quantity.CYCLE_COUNT, Quantity.ACTUAL_CAPACITY)))
        if Alarm.TEMPERATURE not in self.active:
            self._heat_told = False
        elif not self._heat_told and Quantity.TEMPERATURE in self._samples:  # a device may tell the alarm first
            self._heat_told = True
            events.append(Event("battery-temperature", self._printed(Quantity.TEMPERATURE)))
        return events

    def _printed(self, *quantities: Quantity) -> dict[str, str]:
        values = ((_GAUGES[quantity], self._value(quantity)) for quantity in quantities)
        return {gauge.leaf: gauge.printer(value) for gauge, value in values if value is not None}

    def render(self, *, hidden: bool) -> Inner:
        """The entry, remembered until something in it changes; ``hidden``: unreachable for long, no readings shown."""
        if self.node is not None:
            return self.node
        nodes = self._nodes
        children: dict[SchemaNode, Data] = {nodes.name: self.name}
        if self.info is not None:
            self._lay_info(children, self.info)
        if self.config is not None:
            children.update(self.config.children)
        if self._samples:
            alarm = children.get(nodes.alarm)
            below: dict[SchemaNode, Data] = dict(alarm.children) if isinstance(alarm, Inner) else {}
            below[nodes.active] = " ".join(alarm for alarm in Alarm if alarm in self.active)
            children[nodes.alarm] = Inner(nodes.alarm, below)
            if not hidden:
                self._lay_readings(children)
        self.node = Inner(nodes.battery, children)
        return self.node

    def _lay_info(self, children: dict[SchemaNode, Data], info: BatteryInfo) -> None:
        nodes = self._nodes
        technology = nodes.identities.find(info.technology, TECHNOLOGY) if info.technology is not None else None
        told = (
            (nodes.identifier, clipped(info.identifier) if info.identifier else None),
            (nodes.firmware_version, clipped(info.firmware_version) if info.firmware_version else None),
            (nodes.type, info.type if info.type in ("primary", "rechargeable", "capacitor") else None),
            (nodes.technology, technology),
            (nodes.nominal_capacity, None if info.nominal_capacity is None else str(info.nominal_capacity)),
            (nodes.nominal_voltage, None if info.nominal_voltage is None else decimal64(3)(info.nominal_voltage)),
            (nodes.cell_count, str(info.cell_count) if info.cell_count else None),
        )
        children.update((node, value) for node, value in told if value is not None)

    def _lay_readings(self, children: dict[SchemaNode, Data]) -> None:
        nodes = self._nodes
        for quantity, (_mono, reading) in self._samples.items():
            gauge = _GAUGES.get(quantity)
            if gauge is not None:
                children[nodes.gauges[quantity]] = gauge.printer(reading.value)  # type: ignore[arg-type]  # a number
        percent = self.charge_percent
        if percent is not None:
            children[nodes.gauges[Quantity.CHARGE_PERCENT]] = _GAUGES[Quantity.CHARGE_PERCENT].printer(percent)
        if self.charging_state is not None:
            children[nodes.charging_state] = self.charging_state
        if self.last_full_cycle is not None:
            children[nodes.last_full_cycle] = stamp(self.last_full_cycle)
        _mono, newest = max(self._samples.values(), key=lambda sample: sample[0])
        children[nodes.time] = stamp(newest.at)
        children[nodes.method] = f"eman-types:{Method(newest.method)}"


def _level(active: frozenset[Alarm]) -> str | None:
    if Alarm.CRITICAL in active:
        return "critical"
    return "low" if Alarm.LOW in active else None

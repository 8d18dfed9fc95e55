"""Batteries of an entity: charge, health, and the warnings before they fail (RFC 6988 section 5.6, RFC 7577)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from eman_netconf.energy.accumulation import Energy
from eman_netconf.energy.battery_tests import BatteryTest
from eman_netconf.energy.canonical import Identities, Number, clipped, decimal64, in_thousandths, optional
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.requests import Request
from eman_netconf.energy.taps import Taps, millionths
from eman_netconf.energy.values import BatteryInfo, Method, Quantity, Reading
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner

if TYPE_CHECKING:
    from eman_netconf.energy.measurements import Meter

TECHNOLOGY = "eman-battery:battery-technology"
_CHARGING_STATES = frozenset({"charging", "maintaining", "not-charging", "discharging"})


class Alarm(StrEnum):
    """The bits of alarm/active, in the order of their positions."""

    LOW = "low"
    CRITICAL = "critical"
    AGING = "aging"
    TEMPERATURE = "temperature"
    TEST_FAILED = "test-failed"


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
QUANTITIES = frozenset({*_GAUGES, Quantity.CHARGING_STATE, Quantity.ALARM, Quantity.TEST_RESULT})


#: What is worked out from a quantity where the device does not tell it.
_DERIVED: Mapping[Quantity, tuple[Quantity, ...]] = {
    Quantity.CHARGE: (Quantity.CHARGE_PERCENT, Quantity.RUNTIME_REMAINING),
    Quantity.CHARGE_PERCENT: (Quantity.RUNTIME_REMAINING,),
    Quantity.ACTUAL_CAPACITY: (Quantity.CHARGE_PERCENT, Quantity.RUNTIME_REMAINING),
    Quantity.BATTERY_VOLTAGE: (Quantity.RUNTIME_REMAINING,),
    Quantity.BATTERY_CURRENT: (Quantity.RUNTIME_REMAINING,),
}


class _Threshold(NamedTuple):
    """Beyond ``leaf`` the alarm goes on; it goes off again when the value is on the good side of it by ``back`` and
    the ``share`` of it."""

    leaf: str
    quantity: Quantity
    alarm: Alarm
    sign: int  # -1: warn below, 1: warn above
    back: float = 0.0
    share: float = 0.0


#: What a reading of these changes is remembered over a restart.
_REMEMBERED = frozenset(
    {Quantity.CYCLE_COUNT, Quantity.BATTERY_CURRENT, Quantity.CHARGING_STATE, Quantity.ALARM, Quantity.TEST_RESULT}
)
#: A value that hovers at its threshold must not raise and clear the alarm with every reading.
_THRESHOLDS = (
    _Threshold("low-charge", Quantity.CHARGE, Alarm.LOW, -1, 1, 0.01),
    _Threshold("low-charge-percent", Quantity.CHARGE_PERCENT, Alarm.LOW, -1, 1),
    _Threshold("low-voltage", Quantity.BATTERY_VOLTAGE, Alarm.LOW, -1, 0.1),
    _Threshold("low-capacity", Quantity.ACTUAL_CAPACITY, Alarm.AGING, -1, 1, 0.02),
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
        self.entity = battery.child("entity")
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
        self.runtime_method = battery.child("runtime-method")
        self.statistics = battery.child("statistics")
        self.charge_received = self.statistics.child("charge-received")
        self.charge_provided = self.statistics.child("charge-provided")
        self.discharges = self.statistics.child("discharges")
        self.start_time = self.statistics.child("start-time")
        self.discontinuity_time = self.statistics.child("discontinuity-time")
        self.time = battery.child("time")
        self.method = battery.child("method")
        self.alarm = battery.child("alarm")
        self.active = self.alarm.child("active")
        self.thresholds = {threshold.leaf: self.alarm.child(threshold.leaf) for threshold in _THRESHOLDS}
        self.test = battery.child("test")
        self.control = optional(battery, "control")


class Seat:
    """A battery as the quantities of the entity it is are watched."""

    __slots__ = ("battery", "taps")

    def __init__(self, battery: Battery) -> None:
        self.battery = battery
        self.taps: Taps | None = None

    def unread(self, phase: int, quantity: Quantity) -> tuple[int | None, str, float | None] | None:
        return self.battery.unread(phase, quantity)


class Battery:
    """One battery: its readings, and which warnings are in force."""

    __slots__ = (
        "_beyond",
        "_cycles",
        "_device_alarms",
        "_heat_told",
        "_limits",
        "_nodes",
        "_samples",
        "_state_told",
        "active",
        "charge",
        "charging_state",
        "config",
        "discharges",
        "hidden",
        "info",
        "keep",
        "last_full_cycle",
        "meter",
        "name",
        "node",
        "seat",
        "taps",
        "test",
    )

    def __init__(self, nodes: BatteryNodes, name: str) -> None:
        self._nodes = nodes
        self.name = name
        self.info: BatteryInfo | None = None
        self.config: Inner | None = None
        self.node: Inner | None = None
        self.taps: Taps | None = None  # who watches its values
        self.seat = Seat(self)
        self.meter: Meter | None = None  # of the entity it is
        self.hidden = False  # unreachable for long: its values are not known
        self.keep: Callable[[], None] | None = None  # what is remembered of it is not what it was
        self.test = BatteryTest()
        self._limits: tuple[tuple[_Threshold, Decimal], ...] = ()
        self._forget()

    def _forget(self) -> None:
        self._samples: dict[Quantity, tuple[float, Reading]] = {}
        self._beyond: frozenset[str] = frozenset()  # leaves of thresholds
        self._device_alarms: frozenset[Alarm] = frozenset()
        self.active: frozenset[Alarm] = frozenset()
        self._heat_told = False
        self._state_told: str | None = None  # as it was when it was told last
        self._cycles: Number | None = None
        self.charging_state: str | None = None
        self.last_full_cycle: float | None = None
        self.charge = Energy()  # milliampere-hours in and out, from the current
        self.discharges = 0
        self.test.forget()

    @property
    def entity(self) -> str | None:
        """The entity it is, as configured or else told."""
        configured = self.config.get(self._nodes.entity) if self.config is not None else None
        if isinstance(configured, str):
            return configured
        return self.info.entity if self.info is not None else None

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
        self._forget()
        self._upset()

    def hide(self, *, hidden: bool) -> None:
        """It is out of reach for long, or was found again."""
        self.hidden = hidden
        self._upset()

    def _upset(self) -> None:
        """What was known is not known any more."""
        self.node = None
        for seat in (self, self.seat):
            if seat.taps is not None:
                seat.taps.unsettled[seat] = None
        if self.keep is not None:
            self.keep()

    def take(self, quantity: Quantity, reading: Reading, mono: float, longest: float = 60.0) -> list[Event] | None:
        """Take a reading that held at ``mono``; what follows from it, or None when it is late or makes no sense.

        Samples of the current are joined over gaps of at most ``longest`` seconds.
        """
        last = self._samples.get(quantity)
        if last is not None and (mono <= last[0] or reading.at == last[1].at):
            return None
        value = reading.value
        events: list[Event] = []
        if quantity is Quantity.CHARGING_STATE:
            if not isinstance(value, str) or value not in _CHARGING_STATES:
                return None
            self.charging_state = value
            before, self._state_told = self._state_told, value
            if before is not None and before != value:
                self.discharges += value == "discharging"
                events.append(Event("battery-charging-state-changed", {"from": before, "to": value}))
        elif quantity is Quantity.ALARM:
            if not isinstance(value, frozenset):
                return None
            self._device_alarms = frozenset(alarm for alarm in Alarm if alarm in value)
        elif quantity is Quantity.TEST_RESULT:
            told = self.test.take(value, reading.at)
            if told is None:
                return None
            events += [Event("battery-tested", told)] if told else []
        else:
            gauge = _GAUGES[quantity]
            try:
                if not gauge.low <= value <= gauge.high:  # type: ignore[operator]  # the quantity says: a number
                    return None
            except (TypeError, ArithmeticError):
                return None
            self._count(quantity, reading, mono, longest)
        self._samples[quantity] = (mono, reading)
        self.node = None
        events += self._judge()
        if (events or quantity in _REMEMBERED) and self.keep is not None:
            self.keep()
        return events

    @property
    def spent(self) -> bool:
        """Whether there is too little in it for a test."""
        return not self.active.isdisjoint((Alarm.LOW, Alarm.CRITICAL))

    def asked(self, request: Request) -> None:
        """A wish for a test goes on."""
        self.test.request, self.node = request, None

    def _count(self, quantity: Quantity, reading: Reading, mono: float, longest: float) -> None:
        """What adds up over the life of a battery."""
        value: Number = reading.value  # type: ignore[assignment]  # checked: a number
        if quantity is Quantity.CYCLE_COUNT:
            if self._cycles is not None and value > self._cycles:
                self.last_full_cycle = reading.at
            elif self._cycles is not None and value < self._cycles:
                self.charge.broken = reading.at  # another battery, or one whose memory was cleared
            self._cycles = value
        elif quantity is Quantity.BATTERY_CURRENT:
            amperes = in_thousandths(value)
            self.charge.integrate(amperes, reading.at, mono, mean_over=reading.interval, longest=longest)

    def tell(self, reading: Reading, mono: float, out: list[Effect]) -> None:
        """Tell who watches it a reading that was taken, and what is worked out from it."""
        value = reading.value
        for taps in (self.taps, self.seat.taps):
            if taps is None or not isinstance(value, Decimal | int | float):
                continue
            taps.observe(0, reading.quantity, value, reading.method, reading.at, mono, out)
            for quantity in _DERIVED.get(reading.quantity, ()):
                if quantity not in self._samples:
                    taps.observe(0, quantity, self._value(quantity), Method.INTEGRATED, reading.at, mono, out)

    def unread(self, phase: int, quantity: Quantity) -> tuple[int | None, str, float | None] | None:
        """Value, method and time of a quantity that is watched from now on, or not known any more."""
        value = None if self.hidden or phase else self._value(quantity)
        if value is None:
            return None, Method.DIRECT_METER, None
        sample = self._samples.get(quantity)
        if sample is None:
            return millionths(value), Method.INTEGRATED, None
        return millionths(value), sample[1].method, sample[1].at

    def _value(self, quantity: Quantity) -> Number | None:
        """As read, or else worked out; None = not known."""
        sample = self._samples.get(quantity)
        if sample is not None:
            return sample[1].value  # type: ignore[return-value]  # checked: a number
        if quantity is Quantity.CHARGE_PERCENT:
            return self.charge_percent
        return self._runtime() if quantity is Quantity.RUNTIME_REMAINING else None

    def _runtime(self) -> float | None:
        """Seconds for which what is left carries the present load; None = that cannot be known, or there is none.

        The load is the current, or else the power of the entity that the battery is, at the present voltage.
        """
        charge, amperes = self._left(), self._value(Quantity.BATTERY_CURRENT)
        if amperes is None and self.meter is not None:
            watts, volts = self.meter.watts(), self._value(Quantity.BATTERY_VOLTAGE)
            if watts is not None and volts is not None and volts > 0:
                amperes = watts.milliwatts / 1000 / float(volts)
        if charge is None or amperes is None or amperes >= 0:
            return None
        seconds = charge * 3.6 / -float(amperes)
        return seconds if seconds <= _GAUGES[Quantity.RUNTIME_REMAINING].high else None

    def _left(self) -> float | None:
        """The charge in milliampere-hours, as read, or else by its share of the capacity now or when it was new."""
        charge = self._value(Quantity.CHARGE)
        if charge is not None:
            return float(charge)
        percent, capacity = self._samples.get(Quantity.CHARGE_PERCENT), self._value(Quantity.ACTUAL_CAPACITY)
        if capacity is None and self.info is not None:
            capacity = self.info.nominal_capacity
        if percent is None or capacity is None:
            return None
        return float(percent[1].value) * float(capacity) / 100  # type: ignore[arg-type]  # checked: a number

    @property
    def charge_percent(self) -> Number | None:
        """As read, else from charge and actual capacity; None = not known."""
        read = self._samples.get(Quantity.CHARGE_PERCENT)
        if read is not None:
            return read[1].value  # type: ignore[return-value]  # checked: a number
        charge, capacity = self._value(Quantity.CHARGE), self._value(Quantity.ACTUAL_CAPACITY)
        return float(charge) / float(capacity) * 100 if charge is not None and capacity else None

    @property
    def was_read(self) -> bool:
        """Whether anything is known of it, so that an alarm that is not active is off."""
        return bool(self._samples)

    def _judge(self) -> list[Event]:
        """Which alarms are in force now, and what to tell about those that changed."""
        beyond = frozenset(threshold.leaf for threshold, limit in self._limits if self._is_beyond(threshold, limit))
        before = self.active
        self._beyond = beyond
        self.active = self._alarms()
        if before != self.active:
            self.node = None
        return self._tell(before)

    def _alarms(self) -> frozenset[Alarm]:
        """The warnings that are in force by what is known."""
        failed = {Alarm.TEST_FAILED} if self.test.failed else set()
        return self._device_alarms | {each.alarm for each, _ in self._limits if each.leaf in self._beyond} | failed

    def _is_beyond(self, threshold: _Threshold, limit: Decimal) -> bool:
        """Whether the value is beyond a limit; one that is not known is where it was."""
        was = threshold.leaf in self._beyond
        value = self._value(threshold.quantity)
        if value is None:
            return was
        beyond = (float(value) - float(limit)) * threshold.sign
        back = threshold.back + threshold.share * abs(float(limit))
        return beyond > 0 or (was and beyond > -back)

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

    def render(self) -> Inner:
        """The entry, remembered until something in it changes; no readings are shown of what is hidden."""
        if self.node is not None:
            return self.node
        nodes = self._nodes
        children: dict[SchemaNode, Data] = {nodes.name: self.name}
        if self.info is not None:
            self._lay_info(children, self.info)
        if self.config is not None:
            children.update(self.config.children)
        if self._samples or self.active:
            alarm = children.get(nodes.alarm)
            below: dict[SchemaNode, Data] = dict(alarm.children) if isinstance(alarm, Inner) else {}
            below[nodes.active] = " ".join(alarm for alarm in Alarm if alarm in self.active)
            children[nodes.alarm] = Inner(nodes.alarm, below)
        if self._samples and not self.hidden:
            self._lay_readings(children)
        if self.charge.start is not None:
            children[nodes.statistics] = self._render_statistics(self.charge.start)
        test = self.test.render(nodes.test)
        if test is not None:
            children[nodes.test] = test
        self.node = Inner(nodes.battery, children)
        return self.node

    def _render_statistics(self, start: float) -> Inner:
        nodes, charge = self._nodes, self.charge
        children: dict[SchemaNode, Data] = {
            nodes.charge_received: str(charge.received or 0),
            nodes.charge_provided: str(charge.provided or 0),
            nodes.discharges: str(self.discharges),
            nodes.start_time: stamp(start),
        }
        if charge.broken is not None:
            children[nodes.discontinuity_time] = stamp(charge.broken)
        return Inner(nodes.statistics, children)

    def _lay_info(self, children: dict[SchemaNode, Data], info: BatteryInfo) -> None:
        nodes = self._nodes
        technology = nodes.identities.find(info.technology, TECHNOLOGY) if info.technology is not None else None
        told = (
            (nodes.entity, info.entity),
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
        for quantity in (Quantity.CHARGE_PERCENT, Quantity.RUNTIME_REMAINING):
            value = self._value(quantity)
            if value is not None:
                children[nodes.gauges[quantity]] = _GAUGES[quantity].printer(value)
        if nodes.gauges[Quantity.RUNTIME_REMAINING] in children:
            read = self._samples.get(Quantity.RUNTIME_REMAINING)
            children[nodes.runtime_method] = f"eman-types:{Method(read[1].method) if read else 'estimated'}"
        if self.charging_state is not None:
            children[nodes.charging_state] = self.charging_state
        if self.last_full_cycle is not None:
            children[nodes.last_full_cycle] = stamp(self.last_full_cycle)
        _mono, newest = max(self._samples.values(), key=lambda sample: sample[0])
        children[nodes.time] = stamp(newest.at)
        children[nodes.method] = f"eman-types:{Method(newest.method)}"

    # --- what outlives the process

    def dump(self) -> dict[str, Any]:
        """JSON-able."""
        cycles = self._cycles
        return {
            "identifier": self.info.identifier if self.info is not None else None,
            "beyond": sorted(self._beyond),
            "alarms": sorted(self._device_alarms),
            "state": self._state_told,
            "cycles": None if cycles is None else str(cycles),
            "last-full-cycle": self.last_full_cycle,
            "discharges": self.discharges,
            "charge": self.charge.dump(),
            "test": self.test.dump(),
        }

    def load(self, saved: Mapping[str, Any], wall: float) -> None:
        """Go on from a record: what was told is not told again. Nothing was read yet.

        Raises LookupError, TypeError, ValueError or ArithmeticError for what is no record; that of another battery is
        left alone.
        """
        if self.info is not None and saved["identifier"] not in (None, self.info.identifier):
            return
        self._beyond = frozenset(str(leaf) for leaf in saved["beyond"])
        self._device_alarms = frozenset(Alarm(alarm) for alarm in saved["alarms"])
        self._state_told = saved["state"]
        self._cycles = None if saved["cycles"] is None else Decimal(saved["cycles"])
        self.last_full_cycle = saved["last-full-cycle"]
        self.discharges = int(saved["discharges"])
        self.charge.load(saved["charge"], wall, clean=True)
        self.test.load(saved.get("test"))
        self.active = self._alarms()
        self._heat_told = Alarm.TEMPERATURE in self.active
        self.node = None


def _level(active: frozenset[Alarm]) -> str | None:
    if Alarm.CRITICAL in active:
        return "critical"
    return "low" if Alarm.LOW in active else None

"""Quantities: which leaf each stands in, and what it may be; other values are taken as not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eman_netconf.energy.canonical import Number, decimal64, optional
from eman_netconf.energy.taps import Selector
from eman_netconf.energy.values import Quantity
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Inner

MOST = 9.2e15  # what decimal64 with three fraction digits can hold


class Gauge(NamedTuple):
    """Where a quantity stands and what it may be; other values are taken as not known."""

    leaf: str
    digits: int = 3
    low: float = -MOST
    high: float = MOST


POWER = {
    Quantity.ACTIVE_POWER: Gauge("active"),
    Quantity.APPARENT_POWER: Gauge("apparent", low=0),
    Quantity.REACTIVE_POWER: Gauge("reactive"),
    Quantity.POWER_FACTOR: Gauge("power-factor", 4, -1, 1),
    Quantity.PHASE_ANGLE: Gauge("phase-angle", 2, -180, 180),
}
_DISTORTION = {
    Quantity.THD_VOLTAGE: Gauge("thd-voltage", 2, 0),
    Quantity.THD_CURRENT: Gauge("thd-current", 2, 0),
}
_IMPEDANCE = {
    Quantity.RESISTANCE: Gauge("resistance", 6, -9.2e12, 9.2e12),
    Quantity.REACTANCE: Gauge("reactance", 6, -9.2e12, 9.2e12),
}
_WHOLE = {
    Quantity.VOLTAGE: Gauge("voltage"),
    Quantity.CURRENT: Gauge("current"),
    Quantity.NEUTRAL_CURRENT: Gauge("neutral-current"),
    Quantity.FREQUENCY: Gauge("frequency", low=0),
    **_DISTORTION,
}
_PHASE = {
    Quantity.VOLTAGE: Gauge("voltage"),
    Quantity.VOLTAGE_TO_NEXT: Gauge("voltage-to-next"),
    Quantity.CURRENT: Gauge("current"),
    **POWER,
    **_DISTORTION,
}
GAUGES: dict[Quantity, Gauge] = {**POWER, **_WHOLE, **_PHASE, **_IMPEDANCE}
COUNTERS = (Quantity.ENERGY_RECEIVED, Quantity.ENERGY_PROVIDED)

_OF_METERS = (
    *POWER,
    Quantity.VOLTAGE,
    Quantity.VOLTAGE_TO_NEXT,
    Quantity.CURRENT,
    Quantity.NEUTRAL_CURRENT,
    Quantity.FREQUENCY,
    *_DISTORTION,
    *COUNTERS,
)
_OF_BATTERIES = {
    "battery-charge": Quantity.CHARGE,
    "battery-charge-percent": Quantity.CHARGE_PERCENT,
    "battery-actual-capacity": Quantity.ACTUAL_CAPACITY,
    "battery-cycle-count": Quantity.CYCLE_COUNT,
    "battery-voltage": Quantity.BATTERY_VOLTAGE,
    "battery-current": Quantity.BATTERY_CURRENT,
    "battery-temperature": Quantity.TEMPERATURE,
    "battery-runtime-remaining": Quantity.RUNTIME_REMAINING,
}
#: The identities derived from eman-types:quantity, by canonical name, and what they mean here.
IDENTITIES: Mapping[str, Quantity] = {
    **{f"eman-types:{quantity}": quantity for quantity in _OF_METERS},
    **{f"eman-battery:{name}": quantity for name, quantity in _OF_BATTERIES.items()},
}
BATTERY_QUANTITIES = frozenset(_OF_BATTERIES.values())
#: What the values of a quantity are counted in, as people write it.
UNITS: Mapping[Quantity, str] = {
    Quantity.ACTIVE_POWER: "W",
    Quantity.APPARENT_POWER: "VA",
    Quantity.REACTIVE_POWER: "var",
    Quantity.POWER_FACTOR: "",
    Quantity.PHASE_ANGLE: "degrees",
    Quantity.VOLTAGE: "V",
    Quantity.VOLTAGE_TO_NEXT: "V",
    Quantity.CURRENT: "A",
    Quantity.NEUTRAL_CURRENT: "A",
    Quantity.FREQUENCY: "Hz",
    Quantity.THD_VOLTAGE: "%",
    Quantity.THD_CURRENT: "%",
    Quantity.ENERGY_RECEIVED: "Wh",
    Quantity.ENERGY_PROVIDED: "Wh",
    Quantity.CHARGE: "mAh",
    Quantity.CHARGE_PERCENT: "%",
    Quantity.ACTUAL_CAPACITY: "mAh",
    Quantity.CYCLE_COUNT: "cycles",
    Quantity.BATTERY_VOLTAGE: "V",
    Quantity.BATTERY_CURRENT: "A",
    Quantity.TEMPERATURE: "degrees Celsius",
    Quantity.RUNTIME_REMAINING: "s",
}
_PHASES = {"l1": 1, "l2": 2, "l3": 3}


class SelectorNodes:
    """The leaves of the grouping quantity-selector below ``parent``; of a total only the quantity is selected."""

    def __init__(self, parent: SchemaNode) -> None:
        self.quantity = parent.child("quantity")
        self.phase = optional(parent, "phase")
        self.interface = optional(parent, "interface")
        self.battery = optional(parent, "battery")


def selector(entry: Inner, nodes: SelectorNodes) -> Selector | None:
    """What an entry with the grouping quantity-selector selects; None = a quantity that only its vendor knows."""
    meant = IDENTITIES.get(_text(entry, nodes.quantity))
    if meant is None:
        return None
    phase = _PHASES.get(_text(entry, nodes.phase), 0)
    return Selector(meant, phase, _text(entry, nodes.interface), _text(entry, nodes.battery))


def _text(entry: Inner, node: SchemaNode | None) -> str:
    value = entry.get(node) if node is not None else None
    return value if isinstance(value, str) else ""


Field = tuple[SchemaNode, Callable[[Number], str]]


def _fields(parent: SchemaNode, gauges: dict[Quantity, Gauge]) -> dict[Quantity, Field]:
    """The leaves of ``gauges`` below ``parent``, with their printers; without those whose feature is off."""
    found = ((quantity, optional(parent, gauge.leaf), gauge.digits) for quantity, gauge in gauges.items())
    return {quantity: (node, decimal64(digits)) for quantity, node, digits in found if node is not None}


class QualityNodes:
    """The leaves that tell how the values beside them came about."""

    def __init__(self, parent: SchemaNode) -> None:
        self.method = parent.child("method")
        self.accuracy = parent.child("accuracy")
        self.accuracy_bound = parent.child("accuracy-bound")
        self.accuracy_class = parent.child("accuracy-class")
        self.reporter = parent.child("reporter")
        self.missing = parent.child("missing")
        self.time = optional(parent, "time")
        self.interval = optional(parent, "interval")


class ElectricalNodes:
    """The container electrical and what it holds of the whole or of a phase."""

    def __init__(self, parent: SchemaNode, gauges: dict[Quantity, Gauge]) -> None:
        self.fields = _fields(parent, gauges)
        self.impedance = optional(parent, "impedance")
        self.impedance_fields = _fields(self.impedance, _IMPEDANCE) if self.impedance is not None else {}


class ReadingNodes:
    """The schema nodes of the grouping readings (or power-and-energy) below ``parent``.

    ``accuracy_classes``: canonical names of the identities by the names that readings use.
    """

    def __init__(self, parent: SchemaNode, accuracy_classes: Mapping[str, str]) -> None:
        self.accuracy_classes = accuracy_classes
        self.power = parent.child("power")
        self.power_fields = _fields(self.power, POWER)
        self.active = self.power.child("active")
        self.power_quality = QualityNodes(self.power)
        self.energy = parent.child("energy")
        self.energy_quality = QualityNodes(self.energy)
        self.received = self.energy.child("received")
        self.provided = self.energy.child("provided")
        self.start_time = self.energy.child("start-time")
        self.end_time = self.energy.child("end-time")
        self.discontinuity_time = self.energy.child("discontinuity-time")
        self.electrical = optional(parent, "electrical")
        if self.electrical is not None:
            self.whole = ElectricalNodes(self.electrical, _WHOLE)
            self.electrical_quality = QualityNodes(self.electrical)
            self.phase = self.electrical.child("phase")
            self.phase_name = self.phase.child("name")
            self.of_phase = ElectricalNodes(self.phase, _PHASE)

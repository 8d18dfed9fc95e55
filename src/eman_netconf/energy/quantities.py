"""Quantities: which leaf each stands in, and what it may be; other values are taken as not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eman_netconf.energy.canonical import Number, decimal64, optional
from eman_netconf.energy.values import Quantity
from eman_netconf.yang.schema import SchemaNode

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

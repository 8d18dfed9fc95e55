"""Where the present value of a quantity stands in the models, whether or not it is known."""

from __future__ import annotations

from collections.abc import Iterator

from eman_netconf.energy.canonical import optional
from eman_netconf.energy.quantities import BATTERY_QUANTITIES, COUNTERS, GAUGES, POWER
from eman_netconf.energy.taps import Observed, Selector
from eman_netconf.energy.values import Quantity
from eman_netconf.yang.tree import Path, Step
from eman_netconf.yang.xpath_instance import to_instance_identifier


def place(owner: Path, selected: Selector) -> Path:
    """The path of the leaf that shows what is selected; ``owner`` is that of an entity, a domain or a group.

    It ends where the models go no further: with the container where a feature leaves the leaf out.
    """
    path = owner
    for name, key in _steps(selected):
        node = optional(path[-1].schema, name)
        if node is None:
            break
        path = (*path, Step(node, None if key is None else (key,)))
    return path


def source(observed: Observed, selected: Selector) -> str:
    """The instance-identifier of that leaf, of something that is observed."""
    entry = observed.node_of_list
    name = observed.record_key.rpartition(":")[2]
    owner = (*(Step(node) for node in reversed([*entry.ancestors()])), Step(entry, (name,)))
    return to_instance_identifier(place(owner, selected))


def _steps(selected: Selector) -> Iterator[tuple[str, str | None]]:
    quantity = selected.quantity
    if selected.battery or quantity in BATTERY_QUANTITIES:
        yield "eman-battery:battery", selected.battery
        yield quantity.removeprefix("battery-"), None
        return
    if selected.interface:
        yield "eman-power-interface:power-interface", selected.interface
    if quantity in COUNTERS:
        yield "energy", None
        yield "received" if quantity is Quantity.ENERGY_RECEIVED else "provided", None
    elif quantity in POWER and not selected.phase:
        yield "power", None
        yield GAUGES[quantity].leaf, None
    else:
        yield "electrical", None
        if selected.phase:
            yield "phase", f"l{selected.phase}"
        yield GAUGES[quantity].leaf, None

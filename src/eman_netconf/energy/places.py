"""Where the present value of a quantity stands in the models, whether or not it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from eman_netconf.energy.canonical import optional
from eman_netconf.energy.quantities import BATTERY_QUANTITIES, COUNTERS, GAUGES, POWER, SelectorNodes, selector
from eman_netconf.energy.taps import Observed, Selector
from eman_netconf.energy.values import Quantity
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Path, Step
from eman_netconf.yang.xpath_instance import to_instance_identifier

#: What tells of the value that an entry selects, by list.
_RETOLD: Final = {
    "eman-threshold:threshold": ("state", "state-since", "crossings"),
    "eman-series:series": ("peak",),
}
_SHOWN: Final = frozenset({*COUNTERS, *GAUGES, *BATTERY_QUANTITIES})


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


# --- what tells of values beside the leaves that show them


@dataclass(frozen=True, slots=True)
class Retold:
    """A list below an entity, a domain or a group of which ``leaves`` tell of a value that is shown elsewhere."""

    list: SchemaNode
    leaves: frozenset[SchemaNode]
    selected: Callable[[Inner], Selector | None]

    def source(self, owner: Path, entry: Inner) -> Path | None:
        """The leaf that shows the value; None = there is none, or the entry does not tell which."""
        selected = self.selected(entry)
        return place(owner, selected) if selected is not None else None


def retold(schema: Schema) -> Iterator[Retold]:
    """All of them."""
    top = "/eman-entity:energy-management"
    entity = f"{top}/entities/entity"
    for owner in (entity, f"{top}/eman-group:domains/domain", f"{top}/eman-group:groups/group"):
        for name, leaves in _RETOLD.items():
            node = schema.find(f"{owner}/{name}")
            yield Retold(node, frozenset(map(node.child, leaves)), partial(selector, nodes=SelectorNodes(node)))
    node = schema.find(f"{entity}/eman-measurement:anomaly")
    keys = node.child("quantity"), node.child("place")
    yield Retold(node, frozenset({node.child("last-value")}), partial(_odd, keys))


def _odd(keys: tuple[SchemaNode, SchemaNode], entry: Inner) -> Selector | None:
    """Where the value of an anomaly belongs; None where it was no value of a quantity that is shown."""
    quantity, where = map(entry.get, keys)
    if not isinstance(quantity, str) or quantity not in _SHOWN or not isinstance(where, str):
        return None
    kind, _, name = where.partition(" ")
    return Selector(
        Quantity(quantity),
        interface=name if kind == "power-interface" else "",
        battery=name if kind == "battery" else "",
    )

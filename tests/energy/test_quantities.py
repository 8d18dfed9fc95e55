"""Quantities as identities: each one of the models means something here."""

from __future__ import annotations

from eman_netconf.energy.canonical import Identities
from eman_netconf.energy.quantities import IDENTITIES, SelectorNodes, selector
from eman_netconf.energy.taps import Selector
from eman_netconf.energy.values import Quantity
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner


def test_every_quantity_of_the_models_is_known(schema: Schema) -> None:
    """Whoever selects a quantity that our models name gets one that is read somewhere."""
    named = {name for name in Identities(schema).derived("eman-types:quantity") if name.startswith("eman-")}
    assert named == set(IDENTITIES)


def test_a_selection_names_a_quantity_a_phase_and_a_part(schema: Schema) -> None:
    """The leaves of the grouping become one value; what a vendor added selects nothing of ours."""
    entry = schema.find("/eman-entity:energy-management/entities/entity/eman-threshold:threshold")
    nodes = SelectorNodes(entry)
    leaves = {nodes.quantity: "eman-types:current", nodes.phase: "l2", nodes.interface: "a"}
    assert selector(Inner(entry, leaves), nodes) == Selector(Quantity.CURRENT, 2, "a")
    leaves = {nodes.quantity: "eman-battery:battery-temperature", nodes.battery: "string1"}
    assert selector(Inner(entry, leaves), nodes) == Selector(Quantity.TEMPERATURE, battery="string1")
    assert selector(Inner(entry, {nodes.quantity: "vendor:noise"}), nodes) is None

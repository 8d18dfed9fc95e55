"""The generated site of the measurements is one that the server takes."""

from __future__ import annotations

from bench import site
from eman_netconf import safexml
from eman_netconf.backend import Quantity
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode
from eman_netconf.yang.validate import validate


def test_generated_configuration_is_valid(schema: Schema) -> None:
    """A site of 250 entities has three racks, and nothing in it is wrong."""
    root = apply_edit(Inner(schema.root), safexml.parse(site.configuration(250)), schema).root
    assert validate(schema, root) == []
    entities = root.at("energy-management", "entities", "entity")
    assert isinstance(entities, ListNode)
    assert len(entities.entries) == 250
    backends = root.at("energy-management", "backends", "backend")
    assert isinstance(backends, ListNode)
    assert list(backends.entries) == [("rack000",), ("rack001",), ("rack002",)]


def test_backends_tell_of_the_configured_entities(schema: Schema) -> None:
    """What the generated backends find is what the configuration holds, and no pass repeats a value of the last."""
    found = [info.id for box in range(3) for info in site.inventory(site.members(box, 250)).entities]
    assert found == [site.entity_id(number) for number in range(250)]
    first, second = ({reading.quantity: reading.value for reading in site.readings([7], turn, 0.0)} for turn in (1, 2))
    assert first.keys() == second.keys()
    assert [quantity for quantity in first if first[quantity] == second[quantity]] == [Quantity.POWER_STATE]

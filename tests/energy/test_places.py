"""Where the present value of a quantity stands, for those who may or may not read it."""

from __future__ import annotations

import pytest

from eman_netconf.energy.places import place, source
from eman_netconf.energy.quantities import IDENTITIES
from eman_netconf.energy.taps import Selector
from eman_netconf.energy.values import EntityInfo, Quantity
from eman_netconf.yang.schema import Kind, Schema
from eman_netconf.yang.tree import Path, Step
from tests.energy.bench import Bench

Q = Quantity


def owner(schema: Schema, *names: str) -> Path:
    """The path of an entry of a list directly below energy-management."""
    node, path = schema.root, ()
    for name in ("energy-management", *names):
        node = node.child(name)
        path = (*path, Step(node, ("a",) if node.kind is Kind.LIST else None))
    return path


@pytest.mark.parametrize(
    ("selected", "leads"),
    [
        (Selector(Q.ACTIVE_POWER), "power/active"),
        (Selector(Q.ENERGY_PROVIDED, interface="in"), "power-interface[in]/energy/provided"),
        (Selector(Q.VOLTAGE), "electrical/voltage"),
        (Selector(Q.ACTIVE_POWER, 2), "electrical/phase[l2]/active"),
        (Selector(Q.THD_CURRENT, 1, interface="in"), "power-interface[in]/electrical/phase[l1]/thd-current"),
        (Selector(Q.BATTERY_VOLTAGE, battery="b"), "battery[b]/voltage"),
        (Selector(Q.CHARGE_PERCENT, battery="b"), "battery[b]/charge-percent"),
    ],
)
def test_the_leaf_of_a_quantity(schema: Schema, selected: Selector, leads: str) -> None:
    """Each quantity leads to the leaf that shows it: of the entity, an interface, a phase or a battery."""
    steps = place(owner(schema, "entities", "entity"), selected)[3:]
    assert "/".join(step.schema.name + (f"[{step.key[0]}]" if step.key else "") for step in steps) == leads


def test_every_quantity_has_its_leaf(schema: Schema) -> None:
    """No quantity that can be selected is without a leaf at an entity."""
    entity = owner(schema, "entities", "entity")
    for quantity in IDENTITIES.values():
        phase = 1 if quantity is Q.VOLTAGE_TO_NEXT else 0
        end = place(entity, Selector(quantity, phase, battery="b" if quantity.startswith("battery") else ""))[-1]
        assert end.schema.kind is Kind.LEAF, quantity


def test_what_sums_do_not_have(schema: Schema) -> None:
    """At a domain, which has power and energy alone, other quantities lead to the domain itself."""
    domain = owner(schema, "domains", "domain")
    assert [step.schema.name for step in place(domain, Selector(Q.ACTIVE_POWER))[3:]] == ["power", "active"]
    assert place(domain, Selector(Q.VOLTAGE)) == domain


def test_the_source_of_an_observed_quantity(schema: Schema) -> None:
    """The leaf is told as an instance-identifier, of entities and of sums."""
    bench = Bench(schema).boot()
    bench.discover("a", EntityInfo(id="box"))
    bench.commit({"id": "box", "domain": "lab"}, domains={"domain": [{"name": "lab"}]})
    box, lab = bench.domain.site.entities["box"], bench.domain.groups.domains["lab"]
    interface = (
        "/eman-entity:energy-management/entities/entity[id='box']/eman-power-interface:power-interface[name='in']"
    )
    voltage = "/eman-measurement:electrical/phase[name='l3']/voltage"
    assert source(box, Selector(Q.VOLTAGE, 3, "in")) == interface + voltage
    received = "/eman-entity:energy-management/eman-group:domains/domain[name='lab']/energy/received"
    assert source(lab, Selector(Q.ENERGY_RECEIVED)) == received

"""Whether what a backend tells is well formed: names, wires, points, and values of their quantities' kinds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from eman_netconf.backend import EntityInfo, Inventory, Method, Pass, Point, Quantity, Supply

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~\-]*")
NUMBERS = frozenset(Quantity) - {
    *(Quantity.POWER_STATE, Quantity.SUPPLY_STATE, Quantity.POWER_AVAILABLE, Quantity.IN_USE),
    *(Quantity.OPERATIONAL_DIRECTION, Quantity.LOCAL_CONTROL, Quantity.CHARGING_STATE, Quantity.ALARM),
    Quantity.TEST_RESULT,
}
CHARGING = {"charging", "maintaining", "not-charging", "discharging"}
TEST_RESULTS = {"none", "in-progress", "passed", "warning", "failed", "aborted"}
ALARMS = {"low", "critical", "aging", "temperature"}


def check_inventory(inventory: Inventory) -> None:
    """Fail where the names of an inventory are not legal, not unique, or lead nowhere."""
    locals_ = [entity.local for entity in inventory.entities]
    assert len(set(locals_)) == len(locals_)
    ids = [entity.id for entity in inventory.entities if entity.id is not None]
    assert len(set(ids)) == len(ids)
    for entity in inventory.entities:
        for name in (entity.local, entity.id):
            assert not name or (ID.fullmatch(name) and len(name) <= 128), name
        check_interfaces(entity, locals_)
        for info in entity.state_sets:
            assert info.states
            names = [state.state for state in info.states]
            assert len(set(names)) == len(names)
            assert all(name.startswith((info.name.split("-")[0], "acpi")) for name in names), names
        batteries = [battery.name for battery in entity.batteries]
        assert len(set(batteries)) == len(batteries)
        for relation in entity.relationships:
            assert relation.peer in locals_ or ID.fullmatch(relation.peer)
            assert set(relation.interfaces) <= {interface.name for interface in entity.interfaces}


def check_interfaces(entity: EntityInfo, locals_: Collection[str] = ()) -> None:
    names = [interface.name for interface in entity.interfaces]
    assert len(set(names)) == len(names)
    for interface in entity.interfaces:
        assert ID.fullmatch(interface.name)
        assert len(interface.name) <= 64
        for peer in interface.connected_to:
            assert peer.entity in locals_ or ID.fullmatch(peer.entity)
            assert ID.fullmatch(peer.interface)


def check_pass(inventory: Inventory, result: Pass) -> None:
    """Fail where a reading or a missing point is not of the inventory, or a value not of its quantity's kind."""
    entities = {entity.local: entity for entity in inventory.entities}
    for point in [*(reading.point for reading in result.readings), *result.missing]:
        check_point(entities, point)
    seen = set()
    for reading in result.readings:
        assert isinstance(reading.method, Method)
        assert reading.phase in {None, 1, 2, 3}
        assert reading.interval is None or reading.interval >= 0
        assert reading.accuracy is None or reading.accuracy >= 0
        key = (reading.point, reading.quantity, reading.phase)
        assert key not in seen, f"told twice: {key}"
        seen.add(key)
        check_value(entities[reading.point.entity], reading.quantity, reading.value)
    for why in result.missing.values():
        assert len(why.split()) >= 2


def check_point(entities: Mapping[str, EntityInfo], point: Point) -> None:
    entity = entities[point.entity]
    assert point.interface is None or point.battery is None
    if point.interface is not None:
        assert point.interface in {interface.name for interface in entity.interfaces}
    if point.battery is not None:
        assert point.battery in {battery.name for battery in entity.batteries}


def check_value(entity: EntityInfo, quantity: Quantity, value: object) -> None:
    if quantity in NUMBERS:
        assert isinstance(value, Decimal | int | float), (quantity, value)
        assert not isinstance(value, bool)
        assert Decimal(value).is_finite()
    elif quantity is Quantity.POWER_STATE:
        assert value in {state.state for info in entity.state_sets for state in info.states}, value
    elif quantity is Quantity.SUPPLY_STATE:
        assert value in set(Supply), value
    elif quantity is Quantity.OPERATIONAL_DIRECTION:
        assert value in {"inlet", "outlet"}
    elif quantity is Quantity.CHARGING_STATE:
        assert value in CHARGING
    elif quantity is Quantity.TEST_RESULT:
        assert value in TEST_RESULTS
    elif quantity is Quantity.ALARM:
        assert isinstance(value, frozenset)
        assert value <= ALARMS
    else:
        assert isinstance(value, bool), (quantity, value)

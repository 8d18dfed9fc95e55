"""What boxes tell of themselves: wires with both ends, names, states, batteries and relationships."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from eman_backends.simulated.inventory import inventory
from eman_backends.simulated.tests.sites import DEMO
from eman_netconf.backend import Direction, EntityInfo, InterfaceInfo, Peer

SITE = uuid.UUID(int=7)
ALL = {entity.id or "": entity for box in DEMO.boxes() for entity in inventory(DEMO, box, SITE).entities}


def interface(entity: str, name: str) -> InterfaceInfo:
    (found,) = [each for each in ALL[entity].interfaces if each.name == name]
    return found


def relations(entity: EntityInfo, kind: str) -> set[str]:
    return {relation.peer for relation in entity.relationships if relation.type == kind}


def test_every_wire_is_told_at_both_ends() -> None:
    """What an inlet names as its source names the inlet among its loads, and the other way round."""
    ends = {
        (entity.id or "", each.name, peer.entity, peer.interface)
        for entity in ALL.values()
        for each in entity.interfaces
        for peer in each.connected_to
    }
    assert len(ends) > 100
    assert {(two, end, one, start) for one, start, two, end in ends} == ends


@pytest.mark.parametrize("number", range(1, 13))
def test_servers_hang_on_both_strips(number: int) -> None:
    """Each server's power supplies are on the outlets of its number at strip A and strip B."""
    for name, strip in (("psu-1", "pdu-a"), ("psu-2", "pdu-b")):
        found = interface(f"srv-{number:02}", name)
        assert found.connected_to == (Peer(strip, f"outlet-{number}"),)
        assert found.direction is Direction.INLET


def test_identifiers_are_unique_in_the_site() -> None:
    """No two entities or interfaces share a UUID, no two entities an address or a serial number."""
    uuids = [entity.uuid for entity in ALL.values()]
    uuids += [each.uuid for entity in ALL.values() for each in entity.interfaces]
    assert len(set(uuids)) == len(uuids)
    foreign = [(each.kind, each.value) for entity in ALL.values() for each in entity.foreign_ids]
    assert len(set(foreign)) == len(foreign)


def test_ports_have_their_numbers_in_other_systems() -> None:
    """A PoE port is known by group and number and by its interface name."""
    port = interface("sw-1", "port-7")
    assert {(each.kind, each.value) for each in port.foreign_ids} == {("peth-pse-port", "1.7"), ("if-name", "Gi1/0/7")}
    assert (port.current_type, port.ac_phases, port.switchable) == ("dc", None, True)


def test_the_utility_side_of_a_feed_works_both_ways() -> None:
    """The grid inlet of feed A is built for both directions and three phases, and ends the site."""
    grid = interface("feed-a", "grid")
    assert (grid.direction, grid.ac_phases, grid.ac_configuration) == (Direction.BOTH, 3, "wye")
    assert grid.connected_to == ()


def test_relationships_tell_who_measures_and_who_controls() -> None:
    """The meter meters the feed, the switch what its ports feed; the gateway controls and speaks for its lamps."""
    assert relations(ALL["meter-1"], "metering") == {"feed-a"}
    lamps = {f"lamp-{number:02}" for number in range(1, 9)}
    assert relations(ALL["gw-1"], "controlling") == relations(ALL["gw-1"], "proxying") == lamps
    assert "phone-01" in relations(ALL["sw-1"], "metering")
    (metering,) = [each for each in ALL["sw-1"].relationships if (each.type, each.peer) == ("metering", "cam-01")]
    assert (metering.interfaces, metering.peer_interfaces) == (("port-7",), ("poe",))


def test_states_and_batteries_are_described() -> None:
    """Servers tell what their states draw and how long entering takes; the UPS its two strings."""
    (states,) = ALL["srv-01"].state_sets
    assert (states.name, states.settable) == ("dmtf", True)
    assert {state.state: state.enter_time for state in states.states}["dmtf-on"] == 40
    assert [battery.name for battery in ALL["ups-1"].batteries] == ["string-1", "string-2"]
    assert ALL["srv-09"].state_sets[0].name == "redfish"
    assert ALL["srv-01"].power_limits == (Decimal(150), Decimal(500))


def test_strings_of_batteries_are_parts_of_their_storage() -> None:
    """Each string is an entity inside the UPS, named by its entry there, with the serial number it has there."""
    for battery in ALL["ups-1"].batteries:
        part = ALL[battery.entity or ""]
        assert (part.contained_in, part.entity_class) == ("ups-1", "component")
        assert [each.value for each in part.foreign_ids] == [battery.identifier]

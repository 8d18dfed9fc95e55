"""Power state sets and their mapping."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.canonical import Identities
from eman_netconf.energy.state_sets import StateSets
from eman_netconf.yang.schema import Schema
from tests.energy.bench import canonical


@pytest.fixture(scope="module")
def sets(schema: Schema) -> StateSets:
    """All sets of the schema."""
    return StateSets(schema, Identities(schema))


@pytest.mark.parametrize(
    ("state", "name", "expected"),
    [
        ("eman-mechoff", "dmtf", "dmtf-off-hard"),
        ("eman-hibernate", "acpi-system", "acpi-s4"),
        ("eman-standby", "acpi-system", "acpi-s2"),
        ("eman-ready", "ieee1621", "ieee1621-sleep"),
        ("eman-medium-minus", "acpi-performance", "acpi-p3"),
        ("dmtf-hibernate", "eman", "eman-hibernate"),
        ("dmtf-sleep-deep", "acpi-system", "acpi-s3"),
        ("dmtf-on", "eman", "eman-high"),
        ("ieee1621-off", "eman", "eman-softoff"),
        ("ieee1621-sleep", "dmtf", "dmtf-sleep-deep"),
        ("acpi-s5", "dmtf", "dmtf-off-soft"),
        ("acpi-g1", "ieee1621", "ieee1621-sleep"),
        ("redfish-off", "eman", "eman-softoff"),
        ("redfish-paused", "eman", "eman-ready"),
        ("acpi-c2", "ieee1621", "ieee1621-on"),
        ("acpi-d3cold", "eman", "eman-mechoff"),
        ("ieee1621-sleep", "acpi-processor", None),
    ],
)
def test_the_mapping_of_the_framework(sets: StateSets, state: str, name: str, expected: str | None) -> None:
    """States mean what RFC 7326 section 6.5.5 says; a class that a set does not have has no equal in it."""
    assert sets.translate(canonical(state), canonical(name)) == (canonical(expected) if expected else None)


def test_every_state_keeps_its_class(sets: StateSets) -> None:
    """Whatever is mapped to whatever: on stays on, sleep sleep, off off."""
    for state, name in product(sets.classes, sets.states):
        mapped = sets.translate(state, name)
        if mapped is not None:
            assert sets.classes[mapped] is sets.classes[state]
            assert sets.set_of[mapped] == name


def test_every_set_is_ordered_and_complete(sets: StateSets) -> None:
    """Each set lists exactly its states, and ranks them from 0."""
    for name, states in sets.states.items():
        assert {state for state, owner in sets.set_of.items() if owner == name} == set(states)
        assert [sets.ranks[state] for state in states] == list(range(len(states)))


@settings(deadline=None)
@given(data=st.data())
def test_only_supported_states_are_answered(sets: StateSets, data: st.DataObject) -> None:
    """With the states of an entity given, one of them is answered, of the same class, or none."""
    name = data.draw(st.sampled_from(sorted(sets.states)))
    supported = data.draw(st.lists(st.sampled_from(sets.states[name]), min_size=1, unique=True))
    state = data.draw(st.sampled_from(sorted(sets.classes)))
    mapped = sets.translate(state, name, supported)
    alike = [item for item in supported if sets.classes[item] is sets.classes[state]]
    assert (mapped in alike) if alike else mapped is None


def test_an_entity_may_have_its_own_mapping(sets: StateSets) -> None:
    """Configured equivalents go before the usual ones, in both directions."""
    own = {canonical("eman-medium"): (canonical("dmtf-sleep-light"),)}
    assert sets.translate(canonical("eman-medium"), canonical("dmtf"), (), own) == canonical("dmtf-sleep-light")
    assert sets.translate(canonical("dmtf-sleep-light"), canonical("eman"), (), own) == canonical("eman-medium")


@pytest.mark.parametrize(
    ("before", "after", "lowers"),
    [
        ("dmtf-on", "dmtf-off-soft", True),
        ("dmtf-off-soft", "dmtf-on", False),
        ("eman-high", "eman-medium", True),
        ("eman-high", "ieee1621-on", False),
        ("dmtf-on", "eman-low", True),
        ("acpi-p0", "acpi-p9", True),
        (None, "ieee1621-on", False),
        (None, "dmtf-sleep-light", True),
    ],
)
def test_what_lowers_the_service(sets: StateSets, before: str | None, after: str, lowers: bool) -> None:
    """A vital entity is not brought from one state to another that gives less."""
    assert sets.lowers(canonical(before) if before else None, canonical(after)) is lowers

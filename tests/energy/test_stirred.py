"""Entities that show something else say so, apart from their readings: who is told of changes looks at no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eman_netconf.energy.values import EntityInfo, LinkState, Outcome, Quantity, Reading
from eman_netconf.notifications.observable import Observable
from eman_netconf.yang.tree import Inner, Key, ListNode
from tests.energy.bench import Bench, inlet, outlet
from tests.energy.test_garbage import happenings

Q = Quantity


def shown(bench: Bench, observable: Observable) -> Mapping[Key, Inner]:
    """The entities without what is told periodically only."""
    found = bench.served().at("entities", "entity")
    assert isinstance(found, ListNode)
    return {key: observable.without_readings(entry, None, lambda _key: None) for key, entry in found.entries.items()}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(happenings, min_size=1, max_size=8))
def test_whoever_changes_says_so(boot: Callable[[], Bench], said: list[object]) -> None:
    """Whatever devices say, an entity that came, went or shows something else is among those that are stirred."""
    bench = boot()
    observable = Observable(bench.schema)
    bench.commit(
        {"id": "gw", "foreign-id": [{"kind": "eman-entity:serial-number", "value": "b"}]},
        {"id": "a", "power-interface": [{"name": "o1", "connected-to": [{"entity": "gw", "interface": "o1"}]}]},
        groups={"group": [{"name": "g", "member": ["gw", "a"]}]},
    )
    before = shown(bench, observable)
    bench.domain.stirred()
    for place, happening in enumerate(said):
        backend = ("gw", "b")[place % 2]
        bench.wait(10)
        if isinstance(happening, LinkState):
            bench.link(backend, happening, error="x" if happening is not LinkState.UP else None)
        elif happening and isinstance(happening[0], Reading):  # type: ignore[index]
            bench.read(backend, *happening)  # type: ignore[misc]
        else:
            bench.discover(backend, *happening)  # type: ignore[misc]
        after = shown(bench, observable)
        changed = {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed <= bench.domain.stirred()
        before = after


def test_readings_stir_nobody(bench: Bench) -> None:
    """Power that is read again stirs nobody; an outlet that is switched stirs its own entity and the load."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "psu1")),)))
    bench.discover("srv", EntityInfo(interfaces=(inlet("psu1"),)))
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    for watts in (90, 95):
        bench.served()
        bench.domain.stirred()
        bench.wait(10)
        bench.tell("pdu", Q.ACTIVE_POWER, watts, "", "o1")
        bench.tell("srv", Q.ACTIVE_POWER, watts)
    assert bench.domain.stirred() == set()
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    assert bench.domain.stirred() == {"pdu", "srv"}


def test_a_wish_stirs(bench: Bench) -> None:
    """A wish and its outcome are told of the entity it is for."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    bench.domain.stirred()
    bench.wish(entity="pdu", interface="o1", state="off")
    assert bench.domain.stirred() == {"pdu"}
    bench.answer(Outcome.REFUSED, "no")
    assert bench.domain.stirred() == {"pdu"}

"""Devices may say anything: nothing breaks, and what is served stays valid."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eman_netconf.energy.effects import Notify
from eman_netconf.energy.values import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    LinkState,
    Method,
    Peer,
    Persistence,
    Point,
    Quantity,
    Reading,
    RelationInfo,
    StateInfo,
    StateSetInfo,
)
from eman_netconf.yang.tree import walk
from tests.energy.bench import Bench

NAMES = ["", "a", "b", "gw", "gw.a", "x y", "ü", "-", "o1", "\x00", "a" * 300, "<&>"]
names = st.sampled_from(NAMES)
texts = st.none() | names | st.text(max_size=5)
#: What a few octets of JSON can hold, and what would take minutes or gigabytes to write out.
bombs = st.sampled_from(
    [Decimal("1E+999990"), Decimal("-1E+999990"), Decimal("1E-999990"), Decimal("sNaN"), Decimal("Infinity"), 10**400]
)
amounts = st.one_of(
    bombs,
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12),
    st.integers(-5, 5),
    st.floats(allow_nan=True),
)
known = st.none() | st.decimals(0, 1000, places=2) | bombs
states = st.sampled_from(["dmtf-on", "dmtf-off-soft", "eman-high", "no-such-state", "eman-power-state-set:on", "on"])
interfaces = st.builds(
    InterfaceInfo,
    name=names,
    direction=st.sampled_from(Direction),
    label=texts,
    uuid=texts,
    foreign_ids=st.lists(st.builds(ForeignId, st.sampled_from(["if-name", "nonsense"]), names, texts), max_size=2).map(
        tuple
    ),
    current_type=texts,
    nominal_frequency=known,
    ac_phases=st.none() | st.integers(-1, 5),
    ac_configuration=texts,
    rated_power=known,
    switchable=st.booleans(),
    connected_to=st.lists(st.builds(Peer, names, names), max_size=2).map(tuple),
)
sets = st.builds(
    StateSetInfo,
    name=st.sampled_from(["dmtf", "eman", "nonsense", "dmtf-state"]),
    states=st.lists(st.builds(StateInfo, states, known), max_size=3).map(tuple),
    transitions=st.lists(st.sampled_from(["dmtf-on", "dmtf-master-bus-reset", "x"]), max_size=2).map(tuple),
    settable=st.booleans(),
)
entities = st.builds(
    EntityInfo,
    local=names,
    id=st.none() | names,
    contained_in=st.none() | names,
    entity_class=st.sampled_from(["device", "component", "nonsense", "entity-class"]),
    uuid=texts,
    identifier_persistence=st.sampled_from(Persistence),
    name=texts,
    description=texts,
    model=texts,
    category=texts,
    nameplate_power=known,
    current_type=texts,
    foreign_ids=st.lists(st.builds(ForeignId, st.just("serial-number"), names), max_size=2).map(tuple),
    interfaces=st.lists(interfaces, max_size=3).map(tuple),
    state_sets=st.lists(sets, max_size=2).map(tuple),
    batteries=st.lists(st.builds(BatteryInfo, names, texts, texts, texts, texts), max_size=2).map(tuple),
    relationships=st.lists(
        st.builds(
            RelationInfo,
            type=st.sampled_from(["metering", "powered-by", "nonsense", "reporting"]),
            peer=names,
            interfaces=st.lists(names, max_size=2).map(tuple),
            reports=st.sets(st.sampled_from(["power", "nonsense"])).map(frozenset),
            endpoint=texts,
        ),
        max_size=2,
    ).map(tuple),
)
readings = st.builds(
    Reading,
    point=st.builds(Point, names, st.none() | names, st.none() | names),
    quantity=st.sampled_from(Quantity),
    value=st.one_of(amounts, st.booleans(), states, names, st.just(frozenset({"low", "x"}))),
    at=st.one_of(st.floats(1.6e9, 1.8e9), st.floats()),
    phase=st.none() | st.integers(-1, 4),
    method=st.sampled_from(Method),
    accuracy=st.none() | st.just(Decimal("NaN")) | st.decimals(-1, 100, places=1),
    accuracy_class=texts,
    interval=st.none() | st.floats(),
    wraps_at=st.none() | st.integers(-5, 2**64),
)
happenings = st.one_of(
    st.lists(entities, max_size=4), st.lists(readings, min_size=1, max_size=12), st.sampled_from(LinkState)
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(happenings, min_size=1, max_size=8))
def test_whatever_devices_say_is_served_canonically(boot: Callable[[], Bench], said: list[object]) -> None:
    """Random inventories, readings and links of two backends: every leaf served or sent is canonical for its type."""
    bench = boot()
    bench.commit(
        {"id": "gw", "foreign-id": [{"kind": "eman-entity:serial-number", "value": "b"}]},
        {"id": "a", "power-interface": [{"name": "o1", "connected-to": [{"entity": "gw", "interface": "o1"}]}]},
        groups={"group": [{"name": "g", "member": ["gw", "a"]}]},
    )
    for place, happening in enumerate(said):
        backend = ("gw", "b")[place % 2]
        bench.wait(10)
        if isinstance(happening, LinkState):
            bench.link(backend, happening, error="x" if happening is not LinkState.UP else None)
        elif happening and isinstance(happening[0], Reading):  # type: ignore[index]
            bench.read(backend, *happening)  # type: ignore[misc]
        else:
            bench.discover(backend, *happening)  # type: ignore[misc]
        served = bench.served()
        assert served.xml()
        for path, data in walk(served):
            kind = path[-1].schema.type
            if kind is not None:
                for value in data if isinstance(data, tuple) else (data,):
                    assert kind.parse_canonical(value) == value, path  # type: ignore[arg-type]
    for effect in bench.effects:
        if isinstance(effect, Notify):
            for node, value in effect.notification.children.items():
                assert node.type is not None
                for item in value if isinstance(value, tuple) else (value,):
                    assert node.type.parse_canonical(item) == item  # type: ignore[arg-type]
    assert bench.domain.dirty() is not None

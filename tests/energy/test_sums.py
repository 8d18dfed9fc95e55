"""Sums of many meters are what adding them all up gives, at the cost of what changed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.energy.accumulation import Flow
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.quantities import ReadingNodes
from eman_netconf.energy.sums import LONG, Part, Watts, combine
from eman_netconf.energy.values import Method, Point, Quantity, Reading
from eman_netconf.energy.wiring import set_parts
from eman_netconf.yang.schema import Schema
from tests.work import calls

_METHODS = (Method.DIRECT_METER, Method.STATE_MODEL, Method.NAMEPLATE)
#: which meter, its watts, its accuracy, its method
CHANGE = st.tuples(
    st.integers(0, LONG + 9),
    st.integers(-500, 500),
    st.none() | st.sampled_from([Decimal("0.5"), Decimal(2)]),
    st.sampled_from(_METHODS),
)


class _Nobody:
    """Whose meters these are."""

    def changed(self) -> None: ...

    def flowed(self, flow: Flow, wall: float) -> None: ...

    def corrected(self, received: int, provided: int, wall: float) -> None: ...


class _Sum:
    """Meters, the last of which goes in twice if it is ``shared``, and the meter that adds them up."""

    def __init__(self, schema: Schema, count: int, *, shared: bool = False) -> None:
        nodes = ReadingNodes(schema.find("/eman-entity:energy-management/entities/entity"), {})
        self.meters = [Meter(nodes, _Nobody()) for _ in range(count)]
        parts = [Part(meter, number % 7 == 0, f"e{number}") for number, meter in enumerate(self.meters)]
        if shared:
            inside = Meter(nodes, _Nobody())
            set_parts(inside, (Part(self.meters[-1], False, "inside"),))
            parts.insert(0, Part(inside, False, "outside"))
        self.total = Meter(nodes, _Nobody())
        set_parts(self.total, tuple(parts))
        self.seconds = 0.0

    def read(self, number: int, watts: int, accuracy: Decimal | None = None, method: Method = _METHODS[0]) -> None:
        self.seconds += 1
        quantity = Quantity.ACTIVE_POWER
        reading = Reading(Point("e"), quantity, Decimal(watts), self.seconds, method=method, accuracy=accuracy)
        self.meters[number].take(quantity, reading, self.seconds)


def assert_same(one: Watts | None, other: Watts | None) -> None:
    """Equal but for the last digits of accuracies, which are added in another order."""
    if one is None or other is None:
        assert one is other
        return
    for name in ("accuracy", "bound"):
        assert getattr(one.quality, name) == pytest.approx(getattr(other.quality, name))
    exact = {"accuracy": None, "bound": None}
    assert one.quality._replace(**exact) == other.quality._replace(**exact)
    assert one._replace(quality=other.quality) == other


@given(st.lists(st.lists(CHANGE, max_size=6), max_size=6), st.booleans())
def test_a_long_sum_is_what_adding_all_up_gives(
    schema: Schema, turns: list[list[tuple[int, int, Decimal | None, Method]]], shared: bool
) -> None:
    """Whatever changed since a sum was asked for, it is the sum of all; a meter that is in it twice counts once."""
    added = _Sum(schema, LONG + 10, shared=shared)
    for changes in turns:
        for change in changes:
            added.read(*change)
        assert_same(added.total.watts(), combine(added.total.parts))


def test_a_long_sum_costs_what_changed(schema: Schema) -> None:
    """After one of ten thousand parts changed, far fewer of them are asked again."""
    added = _Sum(schema, 10_000)
    for number in range(10_000):
        added.read(number, number % 100)
    before = added.total.watts()
    added.read(5_000, 777)
    found: list[Watts | None] = []
    assert calls(lambda: found.append(added.total.watts())) < 10_000 // 2
    assert before is not None
    assert found[0] is not None
    assert found[0].milliwatts - before.milliwatts == 777_000

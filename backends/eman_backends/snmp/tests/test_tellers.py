"""What a pass does with values: the quick ways tell what the long way tells, and plans are shared."""

from __future__ import annotations

import gc
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eman_backends.snmp import readings as seam
from eman_backends.snmp import tellers
from eman_backends.snmp.readings import Plan, cell, readings, shared
from eman_backends.snmp.tables import Case, Condition, Rule
from eman_backends.snmp.writes import Write
from eman_netconf.backend import Method, Point, Quantity, Reading, Supply

OID, OTHER = "1.3.6.1.1", "1.3.6.1.2"
SCALES = [Decimal(text) for text in ("1", "-1", "0.1", "-0.001", "1000", "1E+3", "-3.6E+6")]
BOUNDS = [None, (Decimal(0), Decimal(100)), (Decimal("-10.5"), Decimal("10.5")), (Decimal(5), Decimal("7.25"))]
NUMBERS = st.one_of(st.integers(-20, 120), st.integers(-(2**63), 2**64 - 1))
VALUES = st.one_of(
    NUMBERS, NUMBERS.map(lambda number: str(number).encode()), st.sampled_from([b"", b"no", "1.3", None])
)


@given(st.sampled_from(SCALES), st.sampled_from(BOUNDS), st.frozensets(st.integers(-2, 10), max_size=3), VALUES)
def test_a_number_is_told_as_by_the_long_way(scale: Decimal, between: Any, absent: frozenset[int], value: Any) -> None:
    """Scale, bounds and numbers that mean nothing: the same value, written the same, without a negative zero."""
    rule = Rule(Quantity.CURRENT, OID, scale, between=between, absent=absent)
    told = {OID: value} if value is not None else {}
    quick, long = tellers.teller(rule, [OID])(told), tellers._any(rule, [OID])(told)
    assert quick == long
    if isinstance(quick, Decimal):
        assert not quick.is_signed() or quick
        assert "E+" not in str(quick)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([OID, OTHER]),
            st.one_of(st.none(), st.frozensets(st.integers(0, 3))),
            st.frozensets(st.integers(0, 1), max_size=1),
            st.one_of(st.none(), st.integers(0, 3).map(Decimal)),
        ),
        min_size=1,
        max_size=4,
    ),
    VALUES,
    VALUES,
)
def test_a_word_is_told_as_by_the_long_way(cases: list[tuple[Any, ...]], one: Any, other: Any) -> None:
    """The first case that holds, by whatever it asks."""
    made = tuple(
        Case(Condition(oid, equals, unlike, above=above), f"word {number}")
        for number, (oid, equals, unlike, above) in enumerate(cases)
    )
    rule = Rule(Quantity.CHARGING_STATE, cases=made)
    told = {oid: value for oid, value in ((OID, one), (OTHER, other)) if value is not None}
    assert tellers.teller(rule, rule.needs)(told) == tellers._any(rule, rule.needs)(told)


def test_a_reading_says_what_its_rule_says() -> None:
    """Method, accuracy and the end of a counter come from the rule, the last in the unit of the value."""
    rule = Rule(
        Quantity.ENERGY_RECEIVED, OID, Decimal(100), method=Method.LOAD_MODEL, accuracy=Decimal("0.5"), wraps_at=1000
    )
    (made,) = readings([cell(Point(), rule)], {OID: 7}, 12.5).readings
    assert made == Reading(
        *(Point(), Quantity.ENERGY_RECEIVED, Decimal(700), 12.5),
        method=Method.LOAD_MODEL,
        accuracy=Decimal("0.5"),
        wraps_at=Decimal(100_000),
    )


def plan(value: int = 1) -> Plan:
    point = Point(interface="outlet-1")
    return Plan((cell(point, Rule(Quantity.CURRENT, OID)),), {point: {Supply.ON: Write(OTHER, value)}})


def test_devices_that_are_read_alike_share_a_plan() -> None:
    """Equal plans become one; what differs, if only in what is written, does not; who is gone leaves nothing."""
    first = shared(plan())
    assert shared(plan()) is first
    other = plan(2)
    assert shared(other) is other
    key = first.oids
    del first, other
    gc.collect()
    assert key not in seam._PLANS

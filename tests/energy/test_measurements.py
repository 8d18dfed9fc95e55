"""Power and energy of interfaces, entities and sums: whose readings stand for whom, and how good they are."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.values import EntityInfo, LinkState, Method, Quantity
from tests.energy.bench import DMTF, Bench, inlet, outlet, power

Q = Quantity


def strip(bench: Bench) -> None:
    """A strip whose two metered outlets feed the two inlets of a server of another backend."""
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("srv", "a")), outlet("o2", ("srv", "b")))))
    bench.discover("bmc", EntityInfo(id="srv", interfaces=(inlet("a"), inlet("b"))))


def test_an_outlet_stands_for_the_inlet_it_feeds(bench: Bench) -> None:
    """What the outlet provides the inlet receives, metered remotely and reported by the strip."""
    strip(bench)
    bench.tell("pdu", Q.ACTIVE_POWER, Decimal("-120.5"), "", "o1", accuracy=Decimal(1))
    inside = bench.at("srv", "power-interface", ("a",), "power")
    assert inside.leaf("active") == "120.5"
    assert inside.leaf("method") == "eman-types:remote-meter"
    assert inside.leaf("reporter") == "pdu"
    assert bench.at("pdu", "power-interface", ("o1",), "power", "method") == "eman-types:direct-meter"


def test_an_entity_without_meter_is_the_sum_of_its_inlets(bench: Bench) -> None:
    """Two metered inlets make the entity, with its accuracy and its bound, and a part without value is named."""
    strip(bench)
    bench.tell("pdu", Q.ACTIVE_POWER, Decimal(-100), "", "o1", accuracy=Decimal(1))
    assert bench.at("srv", "power").leaf("active") == "100.0"
    assert bench.at("srv", "power", "missing") == ("pdu",)
    bench.tell("pdu", Q.ACTIVE_POWER, Decimal(-300), "", "o2", accuracy=Decimal(2))
    total = bench.at("srv", "power")
    assert total.leaf("active") == "400.0"
    assert total.at("missing") is None
    assert (total.leaf("accuracy"), total.leaf("accuracy-bound")) == ("1.52", "1.75")
    assert total.leaf("reporter") == "pdu"


def test_the_own_meter_goes_first(bench: Bench) -> None:
    """Once the server tells its own power, the sum of its inlets is not shown any more."""
    strip(bench)
    bench.tell("pdu", Q.ACTIVE_POWER, Decimal(-100), "", "o1")
    bench.tell("bmc", Q.ACTIVE_POWER, Decimal(97))
    assert bench.at("srv", "power").leaf("active") == "97.0"
    assert bench.at("srv", "power").leaf("method") == "eman-types:direct-meter"


def test_energy_goes_along_the_wire(bench: Bench) -> None:
    """Outlet, inlet and entity count the same increments, turned round at the wire."""
    strip(bench)
    for _ in range(4):
        bench.tell("pdu", Q.ENERGY_PROVIDED, Decimal(5000) + Decimal(bench.now.mono - 1000) / 10, "", "o1")
        bench.tell("pdu", Q.ACTIVE_POWER, Decimal(-360), "", "o2")
        bench.wait(10)
    assert bench.at("pdu", "power-interface", ("o1",), "energy", "provided") == "3.0"
    assert bench.at("srv", "power-interface", ("a",), "energy", "received") == "3.0"
    assert bench.at("srv", "power-interface", ("b",), "energy", "received") == "3.0"
    assert bench.at("srv", "energy", "received") == "6.0"
    assert bench.at("srv", "energy", "method") == "eman-types:integrated"


def test_received_and_provided_are_never_netted(bench: Bench) -> None:
    """A battery that charges and discharges shows both, each growing."""
    bench.discover("ess", EntityInfo())
    for watts in (3600, 3600, -3600, -3600):
        bench.tell("ess", Q.ACTIVE_POWER, Decimal(watts))
        bench.wait(10)
    energy = bench.at("ess", "energy")
    assert (energy.leaf("received"), energy.leaf("provided")) == ("12.5", "12.5")


def test_values_of_lesser_origin_are_left_out(bench: Bench) -> None:
    """The container states the method of its power; what was estimated does not stand beside what was metered."""
    bench.discover("m", EntityInfo())
    bench.read(
        "m",
        bench.reading(Q.APPARENT_POWER, Decimal(110), method=Method.LOAD_MODEL),
        bench.reading(Q.ACTIVE_POWER, Decimal(100)),
        bench.reading(Q.POWER_FACTOR, Decimal("0.9091")),
    )
    children = bench.at("m", "power")
    assert children.leaf("method") == "eman-types:direct-meter"
    assert children.leaf("apparent") is None
    assert children.leaf("power-factor") == "0.9091"


def test_old_values_are_not_shown_as_new(bench: Bench) -> None:
    """A value that was not read again for long is left out of a container that was."""
    bench.discover("m", EntityInfo())
    bench.tell("m", Q.ACTIVE_POWER, 5)
    bench.tell("m", Q.REACTIVE_POWER, 2)
    for _ in range(40):
        bench.wait(10)
        bench.tell("m", Q.ACTIVE_POWER, 5)
    assert bench.at("m", "power").leaf("reactive") is None
    assert bench.at("m", "power").leaf("active") == "5.0"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("1e30"), "text", None, frozenset()]
)
@pytest.mark.parametrize("quantity", [Q.ACTIVE_POWER, Q.VOLTAGE, Q.ENERGY_RECEIVED, Q.POWER_LIMIT, Q.SUPPLY_STATE])
def test_nonsense_is_taken_as_not_known(bench: Bench, quantity: Quantity, value: Any) -> None:
    """A device may say anything: no number of it is shown and nothing breaks."""
    bench.discover("m", EntityInfo(interfaces=(inlet("in"),)))
    bench.tell("m", quantity, value)
    bench.tell("m", quantity, value, "", "in")
    assert bench.at("m", "power") is None
    assert bench.at("m", "energy") is None
    assert bench.at("m", "electrical") is None


def test_phases_stand_apart(bench: Bench) -> None:
    """Values of a phase go to its row, complex power included, and impedance has a container of its own."""
    bench.discover("m", EntityInfo(interfaces=(inlet("in"),)))
    for phase in (3, 1):
        bench.tell("m", Q.VOLTAGE, Decimal(230 + phase), "", "in", phase=phase)
        bench.tell("m", Q.ACTIVE_POWER, Decimal(10 * phase), "", "in", phase=phase)
    bench.tell("m", Q.FREQUENCY, Decimal("49.98"), "", "in")
    bench.tell("m", Q.RESISTANCE, Decimal("0.000123"), "", "in")
    electrical = bench.at("m", "power-interface", ("in",), "electrical")
    assert list(electrical.at("phase").entries) == [("l1",), ("l3",)]
    assert electrical.at("phase").entries["l3",].leaf("active") == "30.0"
    assert electrical.leaf("frequency") == "49.98"
    assert electrical.at("impedance", "resistance") == "0.000123"
    assert bench.at("m", "power-interface", ("in",), "power") is None


def test_stale_values_stay_and_unreachable_ones_go(bench: Bench) -> None:
    """While the link is stale the last values stand with their time; when it backs off only energy is left."""
    bench.discover("m", EntityInfo())
    bench.tell("m", Q.ACTIVE_POWER, 3600)
    bench.wait(10)
    bench.tell("m", Q.ACTIVE_POWER, 3600)
    bench.link("m", LinkState.STALE, error="timeout")
    assert (bench.at("m", "reachability"), power(bench, "m")) == ("stale", "3600.0")
    bench.wait(500)
    assert bench.at("m", "energy", "received") == "10.0"
    bench.link("m", LinkState.BACKING_OFF, error="timeout")
    assert (bench.at("m", "reachability"), power(bench, "m")) == ("unreachable", None)
    assert bench.at("m", "energy", "received") == "10.0"
    bench.link("m", LinkState.UP)
    bench.tell("m", Q.ACTIVE_POWER, 3600)
    assert bench.at("m", "energy", "received") == "10.0"
    assert bench.at("m", "energy", "discontinuity-time") is not None


def test_a_clamp_meter_measures_what_it_is_said_to(bench: Bench) -> None:
    """An operator says what a meter measures; then its readings are those of that entity."""
    bench.discover("clamp", EntityInfo(category="meter"))
    bench.commit(
        {"id": "pump", "relationship": [{"type": "eman-relationship:metered-by", "peer": "clamp"}]},
    )
    bench.tell("clamp", Q.ACTIVE_POWER, Decimal(750))
    assert power(bench, "pump") == "750.0"
    assert bench.at("pump", "power", "reporter") == "clamp"
    assert bench.at("pump", "power", "method") == "eman-types:remote-meter"


def test_an_aggregate_is_the_sum_of_its_contributors(bench: Bench) -> None:
    """An entity without meter that aggregates others is their sum; who is missing is named."""
    bench.discover("g", EntityInfo(local="a", id="a"), EntityInfo(local="b", id="b"))
    peers = [{"type": "eman-relationship:aggregating", "peer": name} for name in ("a", "b")]
    bench.commit({"id": "hall", "relationship": peers})
    bench.tell("g", Q.ACTIVE_POWER, 10, "a")
    assert (power(bench, "hall"), bench.at("hall", "power", "missing")) == ("10.0", ("b",))
    bench.tell("g", Q.ACTIVE_POWER, 5, "b", method=Method.LOAD_MODEL)
    assert (power(bench, "hall"), bench.at("hall", "power", "missing")) == ("15.0", None)
    assert bench.at("hall", "power", "method") == "eman-types:load-model"


def test_a_loop_of_aggregation_ends(bench: Bench) -> None:
    """Two entities that claim to sum up each other are shown without a power and without harm."""
    bench.commit(
        {"id": "a", "relationship": [{"type": "eman-relationship:aggregating", "peer": "b"}]},
        {"id": "b", "relationship": [{"type": "eman-relationship:aggregating", "peer": "a"}]},
    )
    assert power(bench, "a") is None


Jump = tuple[int, int, float]
Boot = Callable[[], Bench]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 55), st.integers(0, 3000), st.floats(-1e6, 1e6)), min_size=2, max_size=15))
def test_a_stepped_clock_invents_no_energy(boot: Callable[[], Bench], jumps: list[Jump]) -> None:
    """However the wall clock is set between readings, the energy is that of the time that really passed."""
    steady, stepped = boot(), boot()
    for bench in (steady, stepped):
        bench.discover("m", EntityInfo())
    for seconds, watts, jump in jumps:
        for bench in (steady, stepped):
            bench.wait(seconds)
            if bench is stepped:
                bench.step_clock(jump)
            bench.tell("m", Q.ACTIVE_POWER, watts)
    one = steady.domain.site.entities["m"].meter.energy
    other = stepped.domain.site.entities["m"].meter.energy
    assert one.received is not None
    assert abs(one.received - (other.received or 0)) <= len(jumps)  # microseconds of float rounding
    assert other.broken is None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([Q.ACTIVE_POWER, Q.ENERGY_RECEIVED]), st.integers(0, 100)), max_size=15),
    st.data(),
)
def test_duplicated_and_late_readings_change_nothing(
    boot: Callable[[], Bench], readings: list[tuple[Quantity, int]], data: st.DataObject
) -> None:
    """A pass delivered twice, or an old one delivered again, leaves every byte that is served as it was."""
    bench = boot()
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o", ("srv", "a")))), EntityInfo("srv", "srv"))
    passes = []
    counted = Decimal(0)
    for quantity, value in readings:
        bench.wait(10)
        counted += value
        entity, sign = ("", -1) if quantity is Q.ACTIVE_POWER else ("srv", 1)
        told = counted if quantity is Q.ENERGY_RECEIVED else Decimal(value * sign)
        taken = (
            bench.reading(quantity, told, entity, "o" if not entity else None),
            bench.reading(Q.POWER_STATE, "dmtf-on" if value % 2 else "dmtf-off-soft", "srv"),
        )
        passes.append(taken)
        bench.read("pdu", *taken)
        before = bench.served().xml()
        for again in data.draw(st.lists(st.sampled_from(passes), max_size=2)):
            assert bench.read("pdu", *again) == []
        assert bench.served().xml() == before


def test_what_is_counted_is_not_modelled_as_well(bench: Bench) -> None:
    """A server whose outlet counts energy and tells no power: its typical power adds nothing to that."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o", ("srv", "a")),)))
    bench.discover("bmc", EntityInfo(id="srv", interfaces=(inlet("a"),), state_sets=(DMTF,)))
    for number in range(4):
        bench.tell("pdu", Q.ENERGY_PROVIDED, Decimal(number), "", "o")
        bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
        bench.wait(10)
    assert power(bench, "srv") == "200.0"
    assert bench.at("srv", "energy", "received") == "3.0"

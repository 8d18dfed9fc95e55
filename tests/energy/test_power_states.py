"""Power states of an entity: what is shown, and what each state took."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.values import EntityInfo, LinkState, Quantity
from tests.energy.bench import DMTF, Bench, canonical, inlet, outlet, power

Q = Quantity
STATES = ("dmtf-on", "dmtf-sleep-deep", "dmtf-off-soft")


def state_of(bench: Bench, id_: str, name: str, leaf: str = "oper-state") -> str | None:
    return bench.at(id_, "power-state", "set", (canonical(name),), leaf)


def statistics(bench: Bench, id_: str, name: str, leaf: str) -> dict[str, Decimal]:
    rows = bench.at(id_, "power-state", "set", (canonical(name),), "supported-state").entries
    return {key[0]: Decimal(row.at("statistics", leaf) or 0) for key, row in rows.items()}


def test_ieee_1621_is_there_in_every_case(bench: Bench) -> None:
    """One filter works for all: entities that tell no state have the set, too."""
    bench.commit({"id": "rack"})
    assert list(bench.at("rack", "power-state", "set").entries) == [(canonical("ieee1621"),)]


def test_a_state_is_shown_in_native_mapped_and_configured_words(bench: Bench) -> None:
    """The device's set, IEEE 1621, and whatever set the operator adds."""
    bench.commit({"id": "m", "power-state": {"set": [{"name": canonical("eman")}]}})
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    bench.tell("m", Q.POWER_STATE, "dmtf-sleep-deep")
    shown = {name: state_of(bench, "m", name) for name in ("dmtf", "ieee1621", "eman")}
    assert shown == {
        "dmtf": canonical("dmtf-sleep-deep"),
        "ieee1621": canonical("ieee1621-sleep"),
        "eman": canonical("eman-sleep"),
    }
    rows = bench.at("m", "power-state", "set", (canonical("dmtf"),), "supported-state").entries
    assert rows[canonical("dmtf-on"),].leaf("rank") == "5"
    assert canonical("ieee1621-on") in rows[canonical("dmtf-on"),].at("equivalent")
    assert bench.at("m", "power-state", "set", (canonical("dmtf"),), "supported-transition") is not None


def test_a_change_is_told_once_for_each_native_set(bench: Bench) -> None:
    """The first state found is no change; a later one is told in the device's words, as of local origin."""
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.tell("m", Q.LOCAL_CONTROL, value=True)
    bench.wait(10)
    bench.tell("m", Q.POWER_STATE, "dmtf-sleep-deep")
    (notice,) = bench.notices("power-state-changed")
    assert (notice["set"], notice["from"], notice["to"]) == (
        canonical("dmtf"),
        canonical("dmtf-on"),
        canonical("dmtf-sleep-deep"),
    )
    assert notice["reason"] == "local control"
    assert "requested-by" not in notice


Stay = tuple[str, int, int]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATES), st.integers(1, 55), st.integers(0, 5000)), min_size=1, max_size=25))
def test_states_add_up_to_the_total_exactly(boot: Callable[[], Bench], stays: list[Stay]) -> None:
    """Over all states time is what passed and energy what the entity received since the first state, to the digit."""
    bench = boot()
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.tell("m", Q.ACTIVE_POWER, 100)
    changes = dict.fromkeys(STATES, 0)
    before = "dmtf-on"
    for state, seconds, watts in stays:
        bench.wait(seconds)
        bench.tell("m", Q.ACTIVE_POWER, Decimal(watts) / 7)
        bench.tell("m", Q.POWER_STATE, state)
        changes[state] += state != before
        before = state
    passed = sum(seconds for _, seconds, _ in stays)
    total = Decimal(bench.at("m", "energy", "received"))
    for name in ("dmtf", "ieee1621"):
        assert sum(statistics(bench, "m", name, "total-time").values()) == passed
        assert sum(statistics(bench, "m", name, "energy-received").values()) == total
    assert statistics(bench, "m", "dmtf", "entered") == {canonical(name): count for name, count in changes.items()}


@settings(deadline=None)
@given(st.lists(st.sampled_from(["state", "energy", "both", "down", "up"]), max_size=30), st.booleans())
def test_counted_energy_is_shared_out_whatever_the_order(
    boot: Callable[[], Bench], events: list[str], first: bool
) -> None:
    """State and counter read in any order and with any gaps: the states together have what the total has."""
    bench = boot()
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    counted = Decimal(1000)
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.tell("m", Q.ENERGY_RECEIVED, counted)
    for number, event in enumerate(events):
        bench.wait(7 if event != "down" else 1000)
        counted += number
        state = bench.reading(Q.POWER_STATE, STATES[number % 3])
        energy = bench.reading(Q.ENERGY_RECEIVED, counted)
        match event:
            case "state":
                bench.read("m", state)
            case "energy":
                bench.read("m", energy)
            case "both":
                bench.read("m", *((state, energy) if first else (energy, state)))
            case "down":
                bench.link("m", LinkState.STALE, error="gone")
            case "up":
                bench.link("m", LinkState.UP)
    total = Decimal(bench.at("m", "energy", "received"))
    assert sum(statistics(bench, "m", "dmtf", "energy-received").values()) == total


def test_a_stretch_nobody_saw_is_not_counted(bench: Bench) -> None:
    """After a long gap the time goes to no state, and the statistics say since when they are whole."""
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.wait(10)
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.wait(500)
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    assert statistics(bench, "m", "dmtf", "total-time")[canonical("dmtf-on")] == 10
    row = bench.at("m", "power-state", "set", (canonical("dmtf"),), "supported-state", (canonical("dmtf-on"),))
    assert row.at("statistics", "discontinuity-time") is not None


def test_power_is_estimated_from_the_state(bench: Bench) -> None:
    """Where nothing measures, the typical power of the present state stands, configured before told."""
    row = {"state": canonical("dmtf-on"), "typical-power": "150.0"}
    bench.commit({"id": "m", "power-state": {"set": [{"name": canonical("dmtf"), "supported-state": [row]}]}})
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    for state in ("dmtf-on", "dmtf-on", "dmtf-off-soft"):
        bench.tell("m", Q.POWER_STATE, state)
        bench.wait(36)
    assert (power(bench, "m"), bench.at("m", "power", "method")) == ("5.0", "eman-types:state-model")
    assert bench.at("m", "energy", "method") == "eman-types:integrated"
    assert bench.at("m", "energy", "received") == "2.275"  # 36 s at 150 W, then 36 s falling to 5 W, less a wait
    bench.tell("m", Q.ACTIVE_POWER, 3)
    assert bench.at("m", "power", "method") == "eman-types:direct-meter"


def test_an_entity_that_tells_nothing_is_on_or_off_with_its_supply(bench: Bench) -> None:
    """Off when all outlets that feed it are off, on when one is on; it supports on and off."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("lamp", "in")), outlet("o2", ("lamp", "spare")))))
    bench.commit({"id": "lamp", "power-interface": [{"name": "in", "direction": "inlet"}]})
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    assert state_of(bench, "lamp", "ieee1621") is None
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o2")
    assert state_of(bench, "lamp", "ieee1621") == canonical("ieee1621-on")
    bench.wait(5)
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o2")
    assert state_of(bench, "lamp", "ieee1621") == canonical("ieee1621-off")
    assert [notice["to"] for notice in bench.notices("power-state-changed")] == [canonical("ieee1621-off")]
    rows = bench.at("lamp", "power-state", "set", (canonical("ieee1621"),), "supported-state").entries
    assert list(rows) == [(canonical("ieee1621-off"),), (canonical("ieee1621-on"),)]


def test_power_is_available_at_both_ends(bench: Bench) -> None:
    """An outlet that is off has no power available, and neither has the inlet it feeds."""
    bench.discover(
        "pdu", EntityInfo(interfaces=(outlet("o", ("srv", "a")),)), EntityInfo("srv", "srv", interfaces=(inlet("a"),))
    )
    for supply, available in (("on", "true"), ("off", "false"), ("switching", "false"), ("on", "true")):
        bench.wait(1)
        bench.tell("pdu", Q.SUPPLY_STATE, supply, "", "o")
        for id_, name in (("pdu", "o"), ("srv", "a")):
            assert bench.at(id_, "power-interface", (name,), "power-available") == available
    notice, *others = bench.notices("supply-switched")
    assert (notice["from"], notice["to"], notice["affected"]) == ("on", "off", ("srv",))
    assert [other["to"] for other in others] == ["switching", "on"]

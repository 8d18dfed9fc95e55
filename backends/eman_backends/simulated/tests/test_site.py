"""The site in time: supply, transfer, batteries, states, and energies that are the integral of powers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_backends.simulated import loads
from eman_backends.simulated.loads import DAY
from eman_backends.simulated.scenario import Kind
from eman_backends.simulated.site import STEPS
from eman_backends.simulated.tests.sites import DEMO, MIDNIGHT, NOON, Clocked, check_conservation
from eman_netconf.backend import Refused, Supply

SWITCHES = [
    (entity.id, DEMO.wires[index].name)
    for entity in DEMO.entities
    for index in (*entity.inlets, *entity.outlets)
    if DEMO.wires[index].switchable
]
SERVERS = [entity.id for entity in DEMO.entities if entity.id.startswith("srv-")]

acts = st.one_of(
    st.tuples(st.just("run"), st.floats(0.001, 4000)),
    st.tuples(st.just("switch"), st.sampled_from(SWITCHES), st.sampled_from([Supply.ON, Supply.OFF])),
    st.tuples(st.just("state"), st.sampled_from(SERVERS), st.integers(0, 20)),
    st.tuples(st.just("trip"), st.sampled_from(SWITCHES)),
    st.tuples(st.just("limit"), st.sampled_from(SERVERS), st.none() | st.integers(150, 380)),
)


def act(clocked: Clocked, what: tuple[Any, ...]) -> None:
    """Do to the site what Hypothesis says."""
    site = clocked.site
    match what:
        case ("run", seconds):
            clocked.run(seconds)
        case ("switch", (entity, interface), supply):
            clocked.switch(entity, interface, supply)
        case ("trip", (entity, interface)):
            site.trip(site.scenario.wire(entity, interface))
        case ("limit", entity, watts):
            site.limit(site.scenario.entity(entity), watts)
        case ("state", entity, number):
            states = site.scenario.entity(entity).states
            assert states is not None
            names = [*(state.name for state in states.states), *states.transitions]
            clocked.set_state(entity, names[number % len(names)])


@given(st.lists(acts, max_size=12))
@settings(max_examples=60, deadline=None)
def test_power_is_conserved_whatever_happens(what: list[tuple[Any, ...]]) -> None:
    """Each outlet provides what its inlets receive, nothing passes on more than it takes, and no counter falls."""
    clocked = Clocked()
    before = clocked.energies()
    for each in what:
        act(clocked, each)
        check_conservation(clocked.site.scenario, clocked.site.flows)
        now = clocked.energies()
        assert all(new[0] >= old[0] and new[1] >= old[1] for new, old in zip(now, before, strict=True))
        before = now


# all but what keeps the battery full, whose being full or empty comes at no round time
HARMLESS = [each for each in SWITCHES if each not in {("feed-b", "grid"), ("feed-a", "ats"), ("feed-b", "ats")}]
harmless_acts = st.one_of(
    st.tuples(st.just("switch"), st.sampled_from(HARMLESS), st.sampled_from([Supply.ON, Supply.OFF])),
    st.tuples(st.just("state"), st.sampled_from(SERVERS), st.integers(0, 20)),
    st.tuples(st.just("trip"), st.sampled_from(HARMLESS)),
)


@given(st.lists(harmless_acts, max_size=10))
@settings(max_examples=25, deadline=None)
def test_energy_is_the_integral_of_power(what: list[tuple[Any, ...]]) -> None:
    """Counters hold exactly the sum of power times duration, to the microjoule, and never fall."""
    clocked = Clocked()
    summed = [[0, 0] for _ in DEMO.wires]
    for each in what:
        act(clocked, each)
        for _ in range(150):  # all that happens does so at whole half seconds, so powers hold in between
            for pair, power in zip(summed, clocked.site.flows.power, strict=True):
                pair[power < 0] += abs(power) * 500
            clocked.run(0.5)
    assert [list(clocked.site.energy(wire)) for wire in DEMO.wires] == summed


@given(st.lists(st.floats(0.001, 1100), min_size=1, max_size=12), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_looking_often_or_seldom_makes_no_difference(pauses: list[float], seed: int) -> None:
    """Within an absence's length, a site read many times has the counters of one read once at the end."""
    pauses = [round(each, 3) for each in pauses]
    often, seldom = Clocked(seed=seed), Clocked(seed=seed)
    for site in (often, seldom):
        site.switch("feed-a", "grid", Supply.OFF)
    for each in pauses:
        often.run(each)
    seldom.elapsed = often.elapsed
    seldom.run(0)
    assert often.energies() == seldom.energies()
    assert often.site.flows == seldom.site.flows


def test_same_seed_clock_and_orders_give_the_same_site() -> None:
    """Two sites told the same at the same times are the same to the microjoule."""
    both = [Clocked(), Clocked()]
    for clocked in both:
        clocked.run(777)
        clocked.switch("pdu-a", "outlet-3", Supply.OFF)
        clocked.run(5000)
        clocked.set_state("srv-04", "dmtf-power-cycle-off-soft")
        clocked.run(90_000)
    assert both[0].energies() == both[1].energies()
    assert both[0].site.memory == both[1].site.memory


def test_an_outlet_switched_off_moves_the_load_to_the_other_feed() -> None:
    """A server with two power supplies draws all from the one that is left, until the other is back a second later."""
    clocked = Clocked()
    outlet = DEMO.wire("pdu-a", "outlet-2")
    whole = clocked.flow("srv-02", "psu-1") + clocked.flow("srv-02", "psu-2")
    clocked.switch("pdu-a", "outlet-2", Supply.OFF)
    assert clocked.site.supply(outlet) is Supply.OFF
    assert (clocked.flow("srv-02", "psu-1"), clocked.flow("srv-02", "psu-2")) == (0, whole)
    assert not clocked.live("srv-02", "psu-1")
    clocked.switch("pdu-a", "outlet-2", Supply.ON)
    clocked.run(0.999)
    assert clocked.site.supply(outlet) is Supply.SWITCHING
    assert clocked.flow("srv-02", "psu-1") == 0
    clocked.run(0.001)
    assert clocked.site.supply(outlet) is Supply.ON
    assert clocked.flow("srv-02", "psu-1") == -(-whole // 2)


def test_a_server_without_supply_is_off_and_returns_to_what_it_was() -> None:
    """With both outlets off it is hard off at once; with one of them on again it starts, which takes its time."""
    clocked = Clocked()
    for pdu in ("pdu-a", "pdu-b"):
        clocked.switch(pdu, "outlet-5", Supply.OFF)
    clocked.run(1)
    assert clocked.state("srv-05") == "dmtf-off-hard"
    assert clocked.watts("srv-05") == 0
    clocked.switch("pdu-b", "outlet-5", Supply.ON)
    clocked.run(1)
    assert (clocked.state("srv-05"), clocked.watts("srv-05")) == ("dmtf-off-hard", 7)
    clocked.run(40)
    assert clocked.state("srv-05") == "dmtf-on"
    assert clocked.watts("srv-05") > 150


def test_a_start_that_is_cut_short_begins_anew() -> None:
    """Supply lost while starting: the server stays off, and starts from the beginning when supply returns."""
    clocked = Clocked()
    clocked.set_state("srv-05", "dmtf-off-soft")
    clocked.run(12)
    clocked.set_state("srv-05", "dmtf-on")
    clocked.run(20)
    for pdu in ("pdu-a", "pdu-b"):
        clocked.switch(pdu, "outlet-5", Supply.OFF)
    clocked.run(100)
    assert clocked.state("srv-05") == "dmtf-off-hard"
    clocked.switch("pdu-a", "outlet-5", Supply.ON)
    clocked.run(40)
    assert clocked.state("srv-05") == "dmtf-off-hard"
    clocked.run(1)
    assert clocked.state("srv-05") == "dmtf-on"


def test_a_server_told_to_stay_off_stays_off_when_supply_returns() -> None:
    """What was switched off before the loss of supply does not start after it."""
    clocked = Clocked()
    clocked.set_state("srv-05", "dmtf-off-soft")
    clocked.run(12)
    for supply in (Supply.OFF, Supply.ON):
        for pdu in ("pdu-a", "pdu-b"):
            clocked.switch(pdu, "outlet-5", supply)
        clocked.run(60)
    assert clocked.state("srv-05") == "dmtf-off-soft"


def test_a_power_state_follows_its_order_later() -> None:
    """An accepted order changes nothing until the state is entered; then the load is that of the state."""
    clocked = Clocked()
    before = clocked.watts("srv-03")
    clocked.set_state("srv-03", "dmtf-off-soft")
    clocked.run(11.999)
    assert (clocked.state("srv-03"), clocked.watts("srv-03")) == ("dmtf-on", before)
    clocked.run(0.001)
    assert (clocked.state("srv-03"), clocked.watts("srv-03")) == ("dmtf-off-soft", 9)


def test_a_transition_goes_through_its_states() -> None:
    """A power cycle is off for as long as starting takes, then on."""
    clocked = Clocked()
    clocked.set_state("srv-10", "redfish-power-cycle")
    clocked.run(10)
    assert clocked.state("srv-10") == "redfish-off"
    clocked.run(30)
    assert clocked.state("srv-10") == "redfish-on"


def test_a_later_order_replaces_the_one_before() -> None:
    """Told to go off and then to stay on, a server never goes off."""
    clocked = Clocked()
    clocked.set_state("srv-03", "dmtf-off-soft")
    clocked.run(5)
    clocked.set_state("srv-03", "dmtf-on")
    clocked.run(100)
    assert clocked.state("srv-03") == "dmtf-on"


def test_a_limit_holds_the_load_down() -> None:
    """A limit below the load is the load; lifted, the load returns; outside its range it is refused."""
    clocked = Clocked()
    entity = DEMO.entity("srv-02")
    before = clocked.watts("srv-02")
    clocked.site.limit(entity, 160)
    assert clocked.watts("srv-02") == 160
    clocked.site.limit(entity, None)
    assert clocked.watts("srv-02") == before
    with pytest.raises(Refused, match="from 150 to 500 watts"):
        clocked.site.limit(entity, 10)


@pytest.mark.parametrize(("entity", "state"), [("srv-01", "redfish-on"), ("pdu-a", "dmtf-on"), ("lamp-01", "nonsense")])
def test_a_state_the_device_does_not_know_is_refused(entity: str, state: str) -> None:
    """States of another set, of nothing at all, and of entities without states are refused by name."""
    with pytest.raises(Refused, match=entity):
        Clocked().set_state(entity, state)


def test_the_transfer_switch_takes_the_other_feed_and_returns() -> None:
    """Without feed A all comes from B and nothing downstream notices; with A back it is preferred again."""
    clocked = Clocked()
    servers = clocked.watts("pdu-a")
    clocked.switch("feed-a", "grid", Supply.OFF)
    clocked.run(1)
    assert clocked.flow("ats-1", "a") == 0
    assert clocked.flow("ats-1", "b") > servers * 1000
    assert clocked.watts("pdu-a") == servers
    assert clocked.watts("lamp-01") == 0
    clocked.switch("feed-a", "grid", Supply.ON)
    clocked.run(1)
    assert clocked.flow("ats-1", "b") == 0


def test_the_ups_carries_its_load_until_it_is_empty_and_recharges() -> None:
    """Both feeds dark: the battery carries strip A for as long as it said, then all is dark; later it fills again."""
    clocked = Clocked()
    ups = DEMO.entity("ups-1")
    assert ups.bank is not None
    for feed in ("feed-a", "feed-b"):
        clocked.switch(feed, "grid", Supply.OFF)
    site = clocked.run(1)
    assert clocked.flow("ups-1", "input") == 0
    assert clocked.watts("srv-01") > 0
    assert not clocked.live("pdu-b", "input")
    assert site.stored(ups) == pytest.approx(ups.bank.full, rel=0.001)
    promised = site.runtime(ups)
    assert 1000 < promised < 6000
    clocked.run(600)
    drawn = ups.bank.full - site.stored(ups)
    assert drawn == pytest.approx(-site.flows.battery[ups.index] * 600_000, rel=0.1)
    clocked.run(promised * 1.3)
    assert site.stored(ups) == 0
    assert not clocked.live("ups-1", "output")
    assert clocked.state("srv-01") == "dmtf-off-hard"
    assert clocked.watts("srv-01") == 0
    clocked.switch("feed-b", "grid", Supply.ON)
    clocked.run(60)
    assert clocked.state("srv-01") == "dmtf-on"
    assert site.flows.battery[ups.index] > 0
    clocked.run(2 * 3600)
    half = site.stored(ups)
    assert 0 < half < ups.bank.full
    clocked.run(24 * 3600)
    assert site.stored(ups) == ups.bank.full
    assert site.flows.battery[ups.index] == 0
    assert site.discharged(ups) == ups.bank.full


def test_the_sun_gives_by_day_alone_and_only_to_a_living_grid() -> None:
    """Nothing at midnight, surplus into the utility at noon, nothing again when the grid is off."""
    assert Clocked(MIDNIGHT).watts("pv-1") == 0
    day = Clocked(NOON)
    assert day.watts("pv-1") < -2000
    assert day.flow("feed-a", "grid") < 0
    assert day.flow("feed-a", "solar") == -day.flow("pv-1", "ac")
    day.switch("feed-a", "grid", Supply.OFF)
    day.run(1)
    assert day.watts("pv-1") == 0


def test_a_tripped_breaker_is_a_fault_until_switched_on() -> None:
    """A fallen breaker darkens at once and shows as fault; switching it on mends it."""
    clocked = Clocked()
    wire = DEMO.wire("sw-1", "port-7")
    clocked.site.trip(wire)
    assert clocked.site.supply(wire) is Supply.FAULT
    assert clocked.watts("cam-01") == 0
    clocked.switch("sw-1", "port-7", Supply.ON)
    clocked.run(1)
    assert clocked.site.supply(wire) is Supply.ON
    assert clocked.watts("cam-01") > 5


@pytest.mark.parametrize("days", [1, 30, 400, 40_000])
def test_a_long_absence_costs_bounded_work(days: int) -> None:
    """However long nobody looked, catching up takes a bounded number of segments and ends in the fine present."""
    clocked = Clocked()
    before = clocked.site.segments
    clocked.run(days * 86_400)
    assert clocked.site.segments - before <= STEPS + 300
    present = Clocked(clocked.start + clocked.elapsed)
    assert clocked.site.flows.power == present.site.flows.power


def test_coarse_steps_keep_the_energy_of_a_day() -> None:
    """Days passed at once have nearly the energy of days looked at hour by hour, by day and by night."""
    coarse, fine = Clocked(), Clocked()
    coarse.run(4 * 86_400)
    for _ in range(4 * 24):
        fine.run(3600)
    assert coarse.site.segments * 20 < fine.site.segments
    for entity in DEMO.entities:
        if entity.kind is Kind.METER:
            continue
        rough, exact = sum(coarse.site.entity_energy(entity)), sum(fine.site.entity_energy(entity))
        assert rough == pytest.approx(exact, rel=0.1 if entity.kind is Kind.SOLAR else 0.03), entity.id


def test_a_year_at_once_sees_all_hours_of_the_day() -> None:
    """Steps as long as days take their samples all round the clock: the sun of a year is neither noon nor night."""
    clocked = Clocked()
    clocked.run(400 * 86_400)
    solar = DEMO.entity("pv-1")
    begin = round(NOON * 1000)
    samples = [loads.solar(DEMO, solar, at) for at in range(begin, begin + 400 * DAY, 37 * loads.MINUTE)]
    mean = sum(samples) / len(samples)
    assert clocked.site.entity_energy(solar)[1] == pytest.approx(mean * 400 * DAY, rel=0.1)


def test_a_clock_that_is_set_back_invents_and_takes_nothing() -> None:
    """The wall clock may jump; time passes by the monotonic one, and never backwards."""
    clocked = Clocked()
    clocked.run(100)
    before = clocked.energies()
    clocked.start -= 7200
    clocked.run(0)
    assert clocked.energies() == before
    clocked.run(60)
    assert clocked.site.at == round((NOON + 160) * 1000)


def test_days_turn_and_seasons_differ() -> None:
    """A winter's day gives less sun than a summer's, and loads differ between night and day."""

    def day(start: float) -> int:
        clocked = Clocked(start)
        clocked.run(86_400 / 24 * 3)
        clocked.run(86_400 - 86_400 / 24 * 3)
        return clocked.site.entity_energy(DEMO.entity("pv-1"))[1]

    winter = MIDNIGHT + 183 * DAY / 1000
    assert day(winter) * 4 < day(MIDNIGHT)
    assert Clocked(NOON + 3 * 3600).watts("srv-01") != Clocked(MIDNIGHT).watts("srv-01")

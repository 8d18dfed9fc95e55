"""Energy that only grows: counters unwrapped, power integrated, nothing invented."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eman_netconf.energy.accumulation import Energy, split
from eman_netconf.energy.anomalies import Kind
from eman_netconf.energy.counters import Flow, Step, unwrap
from eman_netconf.energy.samples import Mark

RECEIVED = "energy-received"
HOUR = 3600.0


def count(energy: Energy, raw: int, at: float, wraps_at: int | None = None) -> bool:
    """A reading at the same instant of both clocks; whether it was taken."""
    return energy.count(RECEIVED, raw, at, at, wraps_at) is not None


def sample(energy: Energy, milliwatts: int, at: float, longest: float = 60.0, mean: float | None = None) -> bool:
    return energy.integrate(milliwatts, at, at, mean_over=mean, longest=longest) is not None


KWH = 1_000_000


@pytest.mark.parametrize(
    ("last", "raw", "wraps_at", "expected"),
    [
        (1000, 1000, None, (Step.FROZEN, 0)),
        (1000, 5000, None, (Step.GROWN, 4000)),
        (2**32 - 10, 20, 2**32, (Step.WRAPPED, 30)),
        (2**64 - 10, 20, 2**64, (Step.WRAPPED, 30)),
        (2**32 - 10, 20, None, (Step.DOUBTFUL, 0)),
        (10**9, 20, 2**32, (Step.DOUBTFUL, 0)),
        (60_000, 20, 65_536, (Step.WRAPPED, 5_556)),
        (10_000, 20, 65_536, (Step.DOUBTFUL, 0)),
        (70_000, 20, 65_536, (Step.DOUBTFUL, 0)),
        (500_000, 499_500, None, (Step.NOISE, 0)),
        (500_000, 400_000, None, (Step.DOUBTFUL, 0)),
        (1000, 2**32, None, (Step.DOUBTFUL, 0)),
    ],
)
def test_one_step(last: int, raw: int, wraps_at: int | None, expected: tuple[Step, int]) -> None:
    """Growth, standstill, wrap and rounding are told from what does not stand to reason."""
    assert unwrap(last, raw, KWH, wraps_at, KWH) == expected


def test_a_counter_starts_at_zero_with_its_first_reading() -> None:
    """What the device counted before the server knew it has no known start, so it is not in the total."""
    energy = Energy()
    count(energy, 123_456, 100.0)
    assert (energy.received, energy.provided, energy.start, energy.end) == (0, None, 100.0, 100.0)
    count(energy, 123_956, 110.0)
    assert (energy.received, energy.start, energy.end) == (500, 100.0, 110.0)


def test_a_reset_breaks_the_total_and_adds_what_is_counted_from_there() -> None:
    """What flowed until the counter was first read again is missing; what it counted from there on is in."""
    energy = Energy()
    for at, raw in ((0.0, 900_000), (10.0, 901_000)):
        count(energy, raw, at)
    assert not count(energy, 50, 20.0)
    assert (energy.received, energy.broken, energy.odd) == (1000, None, Kind.COUNTER_JUMPED)
    assert count(energy, 150, 30.0)
    assert (energy.received, energy.broken, energy.odd) == (1100, 30.0, Kind.COUNTER_RESTARTED)
    count(energy, 250, 40.0)
    assert (energy.received, energy.broken) == (1200, 30.0)


@pytest.mark.parametrize("slip", [0, 5, 10**13])
def test_a_single_slip_loses_nothing(slip: int) -> None:
    """One wild reading between good ones is left out, and the total is exact."""
    energy = Energy()
    for at, raw in ((0.0, 900_000), (10.0, 901_000), (20.0, slip), (30.0, 903_000)):
        count(energy, raw, at)
    assert (energy.received, energy.broken) == (3000, None)


def test_the_repetition_of_a_slip_confirms_nothing() -> None:
    """The same reading delivered twice is one reading: it does not decide what the first one left open."""
    energy = Energy()
    for at, raw in ((0.0, 900_000), (10.0, 901_000), (20.0, 50), (20.0, 50), (30.0, 903_000)):
        count(energy, raw, at)
    assert (energy.received, energy.broken) == (3000, None)


def test_a_reset_near_the_end_of_the_range_is_no_wrap() -> None:
    """A counter of 429 kWh that starts again at 300 kWh did not count the 129 kWh that are left."""
    energy = Energy()
    modulus = 429_496_729_600
    for at, raw in ((0.0, 0), (60.0, 17_000), (120.0, 34_000), (180.0, 51_000)):
        count(energy, 300_000_000_000 + raw, at, modulus)
    count(energy, 1000, 240.0, modulus)
    count(energy, 18_000, 300.0, modulus)
    assert energy.received == 51_000 + 17_000
    assert energy.broken == 300.0


def test_power_tells_a_jump_from_growth() -> None:
    """Beside 100 W a counter does not grow by 400 kWh in a minute: it is another one, and is counted on from there."""
    energy = Energy()
    for turn in range(5):
        sample(energy, 100_000, 60.0 * turn + 1)
        count(energy, 5_000_000 + turn * 1667, 60.0 * turn + 2)
    assert energy.received == 4 * 1667
    sample(energy, 100_000, 301.0)
    assert not count(energy, 405_000_000, 302.0)
    sample(energy, 100_000, 361.0)
    assert count(energy, 405_001_667, 362.0)
    assert (energy.received, energy.broken) == (5 * 1667, 362.0)


def test_a_counter_is_believed_against_power_that_is_wrong() -> None:
    """Power told in kilowatts instead of watts holds a big counter up for one reading, and takes nothing from it."""
    energy = Energy()
    for turn in range(3):
        sample(energy, 1_000_000, 60.0 * turn + 1)
        count(energy, turn * 16_666_667, 60.0 * turn + 2)
    assert energy.odd is Kind.POWER_DISAGREES
    assert (energy.received, energy.broken) == (2 * 16_666_667, None)
    sample(energy, 1_000_000, 181.0)
    count(energy, 3 * 16_666_667, 182.0)
    assert energy.received == 3 * 16_666_667


def test_power_that_is_read_seldom_judges_nothing() -> None:
    """A charger that ran between two readings was counted, though at the times of the readings it did not run."""
    energy = Energy()
    for turn, raw in enumerate((0, 25_000, 50_000, 3_750_000, 3_775_000)):
        energy.integrate(100_000, turn * 900.0, turn * 900.0, mean_over=None, longest=2700.0)
        assert energy.count(RECEIVED, raw, turn * 900.0 + 1, turn * 900.0 + 1, None, 2700.0) is not None
    assert (energy.received, energy.broken) == (3_775_000, None)


def test_a_counter_that_stands_still_while_power_flows_is_in_doubt() -> None:
    """After half an hour its standstill is marked; what it catches up lies in all that time and is counted once."""
    energy = Energy()
    flows: list[Flow] = []
    for turn in range(400):
        at = 10.0 * turn
        sample(energy, 3_600_000, at)
        raw = turn * 10_000 if not 50 <= turn < 300 else 490_000
        flow = energy.count(RECEIVED, raw, at, at, None)
        assert flow is not None
        flows.append(flow)
    assert energy.received == 3_990_000
    assert energy.broken is None
    assert sum(flow.received for flow in flows) == 3_990_000
    assert flows[100].mark is Mark.MEASURED
    assert {flow.mark for flow in flows[231:301]} == {Mark.ESTIMATED}
    assert (flows[300].since, flows[300].until, flows[300].received) == (490.0, 3000.0, 2_510_000)
    assert flows[301].mark is Mark.MEASURED


def test_a_coarse_counter_does_not_stand_still() -> None:
    """A meter that counts in steps of 100 Wh at 100 W waits an hour between two steps, and nothing is wrong."""
    energy = Energy()
    for turn in range(1000):
        at = 30.0 * turn
        sample(energy, 100_000, at)
        flow = energy.count(RECEIVED, turn // 120 * 100_000, at, at, None)
        assert flow is not None
        assert (energy.odd, flow.mark) == (None, Mark.MEASURED)
    assert energy.received == 800_000


def test_a_counter_that_may_have_gone_round_twice_says_so() -> None:
    """After weeks away a small counter tells its growth only up to its modulus: some of it is missing."""
    energy = Energy()
    modulus = 65_536_000
    for turn in range(10):
        count(energy, turn * 16_667, 60.0 * turn, modulus)
    away = 14 * 86_400.0
    flow = energy.count(RECEIVED, 20_000_000, away, away, modulus)
    assert flow is not None
    assert (flow.mark, flow.broken, energy.odd) == (Mark.MISSING, True, Kind.COUNTER_AMBIGUOUS)
    assert energy.received == 20_000_000


def test_a_counter_away_for_weeks_is_exact() -> None:
    """A counter that is large enough tells all that flowed, exactly; when it flowed is an estimate."""
    energy = Energy()
    modulus = 2**32 * 100
    for turn in range(10):
        count(energy, modulus - 400_000 + turn * 16_667, 60.0 * turn, modulus)
    away = 14 * 86_400.0
    flow = energy.count(RECEIVED, 336_000_000, away, away, modulus)
    assert flow is not None
    assert (flow.mark, energy.broken) == (Mark.ESTIMATED, None)
    assert energy.received == 336_400_000


def test_another_meter_begins_elsewhere() -> None:
    """A counter of a replaced device is not compared with that of the one before; what flowed between is missing."""
    energy = Energy()
    count(energy, 1_000, 0.0)
    count(energy, 2_000, 10.0)
    energy.replace()
    count(energy, 500_000, 20.0)
    assert (energy.received, energy.broken) == (1_000, 20.0)
    count(energy, 500_700, 30.0)
    assert (energy.received, energy.broken) == (1_700, 20.0)


@st.composite
def metered_days(draw: st.DrawFn) -> tuple[int, list[tuple[str, int, float]]]:
    """A device counter with its modulus, and what happens to it: (event, growth, seconds)."""
    modulus = draw(st.sampled_from([65_536_000, 2**32, 2**32 * 100, 2**64]))
    steps = st.tuples(
        st.sampled_from(["read", "read", "read", "again", "late", "restart"]),
        st.integers(0, 400_000),
        st.floats(1, 60, allow_nan=False),
    )
    return modulus, draw(st.lists(steps, max_size=40))


@settings(deadline=None)
@given(metered_days(), st.integers(0, 2**64))
def test_a_simulated_counter_is_unwrapped_exactly(day: tuple[int, list[tuple[str, int, float]]], first: int) -> None:
    """Whatever wraps, restarts, repeats and stragglers there are, the total is what was seen to flow, to the digit."""
    modulus, steps = day
    energy = Energy()
    at, device, expected, broken = 1000.0, first % modulus, 0, False
    count(energy, device, at, modulus)
    readings = [(device, at)]
    for event, growth, seconds in steps:
        at += seconds
        flowed = 0 if event == "restart" else growth
        device += flowed
        if event == "restart":
            assume(2_000 < readings[-1][0] < modulus // 2)  # else nobody could tell it from rounding or a wrap
            device, broken = 0, True
            assert not count(energy, device, at, modulus)  # it is held until the next one goes on from it
            at += 1.0
        device %= modulus
        if event == "again":
            assert not count(energy, *readings[-1], modulus)
        if event == "late" and len(readings) > 1:
            assert not count(energy, *readings[-2], modulus)
        assert count(energy, device, at, modulus)
        expected += flowed
        readings.append((device, at))
    assert energy.received == expected
    assert (energy.broken is not None) == broken


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5_000_000, 5_000_000), st.integers(1, 59)), min_size=1, max_size=30))
def test_integration_follows_the_straight_lines_exactly(samples: list[tuple[int, int]]) -> None:
    """Received and provided are the areas above and below zero of the line through the samples, within a rounding."""
    energy = Energy()
    at = 0
    received = provided = Fraction(0)
    before: int | None = None
    for milliwatts, seconds in samples:
        at += seconds
        sample(energy, milliwatts, float(at))
        if before is not None:
            lows, highs = sorted((before, milliwatts))
            if lows >= 0 or highs <= 0:
                area = Fraction(before + milliwatts, 2) * seconds
                received, provided = received + max(area, 0), provided + max(-area, 0)
            else:
                slope = Fraction(highs - lows, seconds)
                received, provided = received + Fraction(highs**2, 2) / slope, provided + Fraction(lows**2, 2) / slope
        before = milliwatts
    assert energy.received == math.floor(received / 3600)
    assert energy.provided == math.floor(provided / 3600)


@settings(deadline=None)
@given(st.floats(0.001, 0.5), st.integers(2, 30), st.integers(100, 400))
def test_the_error_of_integration_is_bounded(frequency: float, period: int, samples: int) -> None:
    """For a smooth load the trapezoids err by no more than the calculus allows: T h^2 max|P''| / 12."""
    energy = Energy()
    amplitude, mean = 400.0, 1000.0
    for number in range(samples):
        at = float(number * period)
        watts = mean + amplitude * math.sin(frequency * at)
        sample(energy, round(watts * 1000), at)
    length = (samples - 1) * period
    exact = (mean * length + amplitude * (1 - math.cos(frequency * length)) / frequency) / HOUR
    bound = length * period**2 * amplitude * frequency**2 / 12 / HOUR
    rounding = 0.0005 * length / HOUR + 0.002
    assert energy.received is not None
    assert abs(energy.received / 1000 - exact) <= bound + rounding


def test_a_crossing_of_zero_is_split() -> None:
    """Power that goes from +100 W to -100 W within 72 s received 1 Wh/2 and provided as much, never nothing."""
    assert split(100_000, -100_000, 72_000_000) == (2 * 1800 * 10**9, 2 * 1800 * 10**9)
    energy = Energy()
    sample(energy, 100_000, 0.0, longest=100)
    sample(energy, -100_000, 72.0, longest=100)
    assert (energy.received, energy.provided) == (500, 500)


def test_a_gap_is_missing_not_invented() -> None:
    """Samples too far apart are not joined; the total tells where it was broken."""
    energy = Energy()
    sample(energy, 1_000_000, 0.0)
    sample(energy, 1_000_000, 36.0)
    assert (energy.received, energy.broken) == (10_000, None)
    sample(energy, 1_000_000, 136.0)
    assert (energy.received, energy.broken) == (10_000, 136.0)
    sample(energy, 1_000_000, 172.0)
    assert energy.received == 20_000


def test_a_mean_holds_over_its_interval() -> None:
    """A sample that is a mean of the time since the last one counts as it is, whatever the sample before was."""
    energy = Energy()
    sample(energy, 0, 0.0)
    sample(energy, 3_600_000, 10.0, mean=10.0)
    assert energy.received == 10_000
    sample(energy, 0, 20.0, mean=4.0)
    assert energy.received == 10_000 + 3_000


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 50)), min_size=2, max_size=20), st.data())
def test_repeated_and_late_samples_change_nothing(samples: list[tuple[int, int]], data: st.DataObject) -> None:
    """Between any two samples any earlier one may come again, once or often: the totals are the same."""
    clean, noisy = Energy(), Energy()
    at = 0.0
    seen: list[tuple[int, float]] = []
    for milliwatts, seconds in samples:
        at += seconds
        seen.append((milliwatts, at))
        sample(clean, milliwatts, at)
        sample(noisy, milliwatts, at)
        for late in data.draw(st.lists(st.sampled_from(seen), max_size=3)):
            assert not sample(noisy, *late)
    assert (clean.received, clean.provided, clean.broken) == (noisy.received, noisy.provided, noisy.broken)


def test_what_a_device_counts_goes_on_exactly_after_a_crash() -> None:
    """The total is hidden until the device is read, then it is what it would have been without the crash."""
    energy = Energy()
    count(energy, 1_000_000, 0.0)
    count(energy, 1_000_500, 10.0)
    kept = energy.dump()
    count(energy, 1_000_900, 20.0)
    again = Energy()
    again.load(kept, 25.0, clean=False)
    assert again.hidden
    assert again.count(RECEIVED, 1_001_000, 30.0, 3.0, None) is not None
    assert (again.hidden, again.received, again.broken) == (False, 1000, None)


def test_what_was_integrated_is_broken_by_a_crash() -> None:
    """Nobody can say what flowed since the last record, so the total says since when it is whole again."""
    energy = Energy()
    sample(energy, 3_600_000, 0.0)
    sample(energy, 3_600_000, 10.0)
    again = Energy()
    again.load(energy.dump(), 50.0, clean=False)
    assert (again.received, again.broken, again.hidden) == (10_000, 50.0, False)


def test_a_clean_restart_breaks_integration_with_the_next_sample() -> None:
    """While the server was away nothing was integrated: the first sample after it says so, and adds nothing."""
    energy = Energy()
    sample(energy, 3_600_000, 0.0)
    sample(energy, 3_600_000, 10.0)
    again = Energy()
    again.load(energy.dump(), 50.0, clean=True)
    assert (again.received, again.broken) == (10_000, None)
    again.integrate(3_600_000, 60.0, 5.0, mean_over=None, longest=60.0)
    assert (again.received, again.broken) == (10_000, 60.0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=10), st.integers(0, 9), st.booleans())
def test_no_served_counter_goes_down_unmarked(growths: list[int], cut: int, clean: bool) -> None:
    """Whenever the server stops and however long ago its last record was made, what it serves next is not less."""
    energy = Energy()
    raw, at, served = 5_000_000, 0.0, 0
    count(energy, raw, at)
    kept = energy.dump()
    for number, growth in enumerate(growths):
        raw, at = raw + growth, at + 10
        count(energy, raw, at)
        served = energy.received or 0
        if clean or number < cut:
            kept = energy.dump()
    again = Energy()
    again.load(kept, at + 5, clean=clean)
    assert again.hidden or again.broken is not None or (again.received or 0) >= served
    again.count(RECEIVED, raw, at + 20, 1.0, None)
    assert again.received == served
    assert Decimal(again.received or 0) == sum(growths)


def test_energy_says_how_far_it_may_be_trusted() -> None:
    """Counted or sampled closely it is measured, over a long gap estimated; what was lost is missing."""
    counted = Energy()
    flows = [counted.count(RECEIVED, raw, at, at, None) for raw, at in ((5, 0.0), (15, 10.0), (95, 100.0))]
    assert counted.count(RECEIVED, 1, 110.0, 110.0, None) is None
    flows.append(counted.count(RECEIVED, 2, 120.0, 120.0, None))
    assert [flow.mark for flow in flows if flow] == [Mark.MEASURED, Mark.MEASURED, Mark.ESTIMATED, Mark.MISSING]
    sampled = Energy()
    marks = []
    for at in (0.0, 30.0, 61.0, 122.0):
        flow = sampled.integrate(1000, at, at, mean_over=None, longest=60.0)
        assert flow is not None
        marks.append(flow.mark)
    assert marks == [Mark.MEASURED, Mark.MEASURED, Mark.ESTIMATED, Mark.MISSING]


def test_what_was_counted_in_the_servers_absence_lies_in_it() -> None:
    """The amount is exact, and its place in time is the time the server was away, as an estimate."""
    energy = Energy()
    count(energy, 1_000_000, 100.0)
    again = Energy()
    again.load(energy.dump(), 1100.0, clean=True)
    flow = again.count(RECEIVED, 1_000_500, 1100.0, 7.0, None)
    assert flow is not None
    assert (flow.received, flow.until - flow.since, flow.mark) == (500, 1000.0, Mark.ESTIMATED)

"""Loads, the sun and the grid: plausible, within bounds, and the same for the same seed and time."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_backends.simulated import loads
from eman_backends.simulated.tests.sites import DEMO

times = st.integers(1_600_000_000_000, 2_200_000_000_000)
SUMMER = round(datetime.fromisoformat("2026-06-21T00:00:00+00:00").timestamp() * 1000)


@given(st.integers(0, 2**31), st.text(max_size=20), st.integers())
def test_noise_stays_within_one(seed: int, name: str, number: int) -> None:
    """Noise is from -1 to 1 and the same each time."""
    value = loads.noise(seed, name, number)
    assert -1 <= value <= 1
    assert loads.noise(seed, name, number) == value


def test_noise_looks_like_chance() -> None:
    """Its mean is near nothing and its spread that of an even distribution."""
    values = [loads.noise(1, "it", number) for number in range(5000)]
    assert abs(statistics.fmean(values)) < 0.05
    assert statistics.pstdev(values) == pytest.approx(0.577, abs=0.03)


@given(times)
def test_loads_stay_below_their_nameplate(at: int) -> None:
    """No profile draws less than nothing or more than its maker states."""
    for entity in DEMO.entities:
        if entity.profile is not None:
            drawn = loads.load(DEMO, entity, entity.profile, at)
            assert 0 < drawn <= (entity.nameplate or 1e9) * 1000, entity.id


@given(times)
def test_loads_are_constant_within_a_minute(at: int) -> None:
    """All instants of one minute see the same load and the same sun."""
    at -= at % loads.MINUTE
    server, sun = DEMO.entity("srv-03"), DEMO.entity("pv-1")
    assert server.profile is not None
    for later in (1, 30_000, loads.MINUTE - 1):
        assert loads.load(DEMO, server, server.profile, at) == loads.load(DEMO, server, server.profile, at + later)
        assert loads.solar(DEMO, sun, at) == loads.solar(DEMO, sun, at + later)


def test_servers_are_busier_by_day_and_on_working_days() -> None:
    """The mean of a Monday afternoon is above that of its night and that of a Sunday afternoon."""
    server = DEMO.entity("srv-03")
    assert server.profile is not None
    monday = SUMMER + loads.DAY  # the 22nd of June 2026

    def mean(begin: int) -> float:
        assert server.profile is not None
        return statistics.fmean(
            loads.load(DEMO, server, server.profile, begin + minute * loads.MINUTE) for minute in range(180)
        )

    afternoon = mean(monday + 12 * loads.HOUR)
    assert afternoon > 1.2 * mean(monday + loads.HOUR)
    assert afternoon > 1.1 * mean(monday - 12 * loads.HOUR)


@given(times)
def test_the_sun_gives_at_most_what_is_on_the_roof(at: int) -> None:
    """From nothing up to the peak, and never below."""
    sun = DEMO.entity("pv-1")
    assert 0 <= loads.solar(DEMO, sun, at) <= sun.peak_watts * 1000


def test_the_sun_stands_highest_at_solar_noon() -> None:
    """At 13.4 degrees east that is about 11:06 UTC, and at night it is down."""
    heights = {minute: loads.sunshine(52.5, 13.4, SUMMER + minute * loads.MINUTE) for minute in range(0, 1440, 2)}
    assert max(heights, key=heights.__getitem__) == pytest.approx(11 * 60 + 6, abs=3)
    assert max(heights.values()) == pytest.approx(0.874, abs=0.005)  # sine of 61 degrees
    assert heights[23 * 60] == 0


def test_the_southern_summer_is_the_northern_winter() -> None:
    """South of the equator June is dark."""
    noon = SUMMER + 11 * loads.HOUR
    assert loads.sunshine(-52.5, 13.4, noon) < loads.sunshine(52.5, 13.4, noon) / 2


@given(times, st.integers(1, 3))
def test_the_grid_stays_within_its_norm(at: int, phase: int) -> None:
    """Voltage within 3 percent, frequency within 50 millihertz."""
    assert 0.97 < loads.voltage(DEMO, DEMO.entity("feed-a"), phase, at) < 1.03
    assert 49.95 < loads.frequency(DEMO, at) < 50.05


def test_another_seed_is_another_day() -> None:
    """Sites with different seeds do not draw the same."""
    server = DEMO.entity("srv-03")
    assert server.profile is not None
    other = replace(DEMO, seed=DEMO.seed + 1)
    assert loads.load(DEMO, server, server.profile, SUMMER) != loads.load(other, server, server.profile, SUMMER)

"""What loads draw, the sun gives and the grid is like at a given time: pure functions of seed and time.

Time is in milliseconds since the epoch, UTC; days turn by solar time at the site's longitude.
"""

from __future__ import annotations

import math
import zlib

from .scenario import Entity, Profile, Scenario

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
_WAVE = 10 * MINUTE  # length of the slow part of noise


def noise(seed: int, name: str, number: int) -> float:
    """A number from -1 to 1 that looks like chance and is always the same."""
    mixed = zlib.crc32(f"{seed}/{name}/{number}".encode()) * 2654435761 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 2246822519 & 0xFFFFFFFF
    return (mixed ^ mixed >> 13) / 0xFFFFFFFF * 2 - 1


def wandering(seed: int, name: str, at: int) -> float:
    """Noise from -1 to 1 that goes smoothly from one value to the next within ten minutes."""
    number, rest = divmod(at, _WAVE)
    share = rest / _WAVE
    share = share * share * (3 - 2 * share)
    return noise(seed, name, number) * (1 - share) + noise(seed, name, number + 1) * share


def solar_hour(longitude: float, at: int) -> float:
    """The hour of the day by the mean sun, 0 to 24."""
    return (at / HOUR + longitude / 15) % 24


def sunshine(latitude: float, longitude: float, at: int) -> float:
    """The sine of the sun's height, 0 when it is down."""
    day = at / DAY - 10957  # from the first of January 2000
    declination = math.radians(-23.44) * math.cos(math.tau * (day + 10) / 365.2422)
    angle = math.radians(15 * (solar_hour(longitude, at) - 12))
    height = math.sin(math.radians(latitude)) * math.sin(declination) + (
        math.cos(math.radians(latitude)) * math.cos(declination) * math.cos(angle)
    )
    return max(height, 0.0)


def load(scenario: Scenario, entity: Entity, profile: Profile, at: int) -> int:
    """What the profile draws at the minute of ``at``, in milliwatts."""
    at -= at % MINUTE
    hour = solar_hour(scenario.longitude, at)
    factor = 1 + profile.swing * math.cos(math.tau * (hour - profile.peak) / 24)
    if profile.weekend != 1.0 and (at // DAY + 4) % 7 in {0, 6}:  # the epoch began on a Thursday
        factor *= profile.weekend
    if profile.noise:
        slow = wandering(scenario.seed, entity.id, at)
        quick = noise(scenario.seed, entity.id, at // MINUTE)
        factor *= 1 + profile.noise * (0.7 * slow + 0.3 * quick)
    if profile.night != 1.0 and not sunshine(scenario.latitude, scenario.longitude, at):
        factor *= profile.night
    return max(round(profile.watts * factor * 1000), 0)


def solar(scenario: Scenario, entity: Entity, at: int) -> int:
    """What a solar inverter could give at the minute of ``at``, in milliwatts."""
    at -= at % MINUTE
    sine = sunshine(scenario.latitude, scenario.longitude, at)
    if sine <= 0.02:
        return 0
    clouds = 0.78 + 0.22 * wandering(scenario.seed, "clouds", at)
    air = math.pow(0.7, math.pow(sine, -0.678))  # what the atmosphere lets through, the longer the way the less
    return round(entity.peak_watts * 1000 * sine * air / 0.7 * clouds)


def voltage(scenario: Scenario, feed: Entity, phase: int, at: int) -> float:
    """The voltage between a phase (1 to 3) of a feed and neutral, as a share of the nominal one."""
    daily = 0.006 * math.cos(math.tau * (solar_hour(scenario.longitude, at) - 3) / 24)
    return 1 + daily + 0.006 * wandering(scenario.seed, f"{feed.id} l{phase}", at)


def frequency(scenario: Scenario, at: int) -> float:
    """The frequency of the grid in hertz, the same at all feeds."""
    return 50 + 0.025 * wandering(scenario.seed, "frequency", at) + 0.005 * noise(scenario.seed, "hertz", at // MINUTE)


def harmonics(scenario: Scenario, name: str, at: int) -> float:
    """A total harmonic distortion that wanders around 1, to be scaled."""
    return 1 + 0.2 * wandering(scenario.seed, f"harmonics {name}", at)

"""What cannot be is refused or marked, said once, kept where it is seen, and bounded however much of it comes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_netconf.energy.effects import Changed, Effect, Warn
from eman_netconf.energy.values import EntityInfo, ForeignId, Method, Quantity
from tests.energy.bench import Bench, inlet, power

Q = Quantity


def anomalies(bench: Bench, id_: str) -> dict[tuple[str, ...], tuple[str, str, str]]:
    """State, count and last value of each anomaly of an entity, by kind, quantity and place."""
    found = bench.at(id_, "anomaly")
    if found is None:
        return {}
    return {
        key: (entry.leaf("state"), entry.leaf("count"), entry.leaf("last-value"))
        for key, entry in found.entries.items()
    }


def warnings(effects: list[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Warn)]


@pytest.mark.parametrize(
    ("quantity", "value", "kind", "shown"),
    [
        (Q.ACTIVE_POWER, float("nan"), "not-a-number", "nan"),
        (Q.ACTIVE_POWER, Decimal("Infinity"), "not-a-number", "Infinity"),
        (Q.ACTIVE_POWER, Decimal("sNaN"), "not-a-number", "sNaN"),
        (Q.VOLTAGE, "many", "not-a-number", "many"),
        (Q.POWER_FACTOR, Decimal(2), "out-of-range", "2"),
        pytest.param(Q.ACTIVE_POWER, 10**5000, "out-of-range", "a number of 16610 bits", id="huge"),
        (Q.ENERGY_RECEIVED, Decimal(-1), "out-of-range", "-1"),
        (Q.ENERGY_RECEIVED, float("inf"), "not-a-number", "inf"),
        (Q.POWER_LIMIT, Decimal("NaN"), "not-a-number", "NaN"),
    ],
)
def test_what_cannot_be_is_refused_and_seen(
    bench: Bench, quantity: Quantity, value: Any, kind: str, shown: str
) -> None:
    """The value is not taken, one warning tells of it, and the entity shows it until a good value comes."""
    bench.discover("m", EntityInfo())
    effects = bench.tell("m", quantity, value)
    assert anomalies(bench, "m") == {(kind, quantity.value, "entity"): ("active", "1", shown)}
    assert Changed("m", "anomaly") in effects
    assert len(warnings(effects)) == 1
    assert warnings(effects)[0].startswith(f"m: {quantity.value} told as {shown} is ")
    bench.wait(10)
    effects = bench.tell("m", quantity, value)
    assert effects == []
    assert anomalies(bench, "m") == {(kind, quantity.value, "entity"): ("active", "2", shown)}
    if quantity is not Q.POWER_LIMIT:
        bench.wait(10)
        assert Changed("m", "anomaly") in bench.tell("m", quantity, Decimal(1))
        assert anomalies(bench, "m") == {(kind, quantity.value, "entity"): ("past", "2", shown)}


@pytest.mark.parametrize("change", [{"at": -1.0}, {"at": 1e18}, {"method": "guess"}, {"phase": 7}])
def test_what_makes_no_sense_beside_the_value_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    """Times, methods and phases that cannot be spoil the reading and nothing else."""
    bench.discover("m", EntityInfo(interfaces=(inlet("in"),)))
    reading = bench.reading(Q.VOLTAGE, 230, "", "in")._replace(**change)
    bench.read("m", reading, bench.reading(Q.ACTIVE_POWER, 5))
    assert power(bench, "m") == "5.0"
    assert anomalies(bench, "m") == {("malformed", "voltage", "power-interface in"): ("active", "1", "230")}


def test_power_beyond_the_nameplate(bench: Bench) -> None:
    """A little beyond is shown, with its energy estimated; far beyond is refused; a distributor has no bound."""
    bench.discover("m", EntityInfo(nameplate_power=Decimal(100)))
    for watts in (100, 160, 5000):
        bench.tell("m", Q.ACTIVE_POWER, Decimal(watts))
        bench.wait(10)
    assert power(bench, "m") == "160.0"
    assert anomalies(bench, "m") == {
        ("above-nameplate", "active-power", "entity"): ("active", "1", "160"),
        ("absurd-power", "active-power", "entity"): ("active", "1", "5000"),
    }
    bench.tell("m", Q.ACTIVE_POWER, Decimal(100))
    assert {state for state, _, _ in anomalies(bench, "m").values()} == {"past"}
    bench.discover("pdu", EntityInfo(nameplate_power=Decimal(5), category="distributor"))
    bench.tell("pdu", Q.ACTIVE_POWER, Decimal(5000))
    assert anomalies(bench, "pdu") == {}


def test_a_configured_nameplate_goes_first(bench: Bench) -> None:
    """What an operator states bounds the readings in place of what the device tells."""
    bench.commit({"id": "m", "nameplate-power": "1000.0"})
    bench.discover("m", EntityInfo(nameplate_power=Decimal(100)))
    bench.tell("m", Q.ACTIVE_POWER, Decimal(1200))
    assert anomalies(bench, "m") == {}


def test_a_counter_that_jumps_says_what_it_was(bench: Bench) -> None:
    """A fall is held, and when the counter goes on from there the fall is past and the restart is told."""
    bench.discover("m", EntityInfo())
    for watt_hours in (5000, 5001, 3):
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(watt_hours))
        bench.wait(10)
    assert anomalies(bench, "m") == {("counter-jumped", "energy-received", "entity"): ("active", "1", "3")}
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(4))
    assert anomalies(bench, "m") == {
        ("counter-jumped", "energy-received", "entity"): ("past", "1", "3"),
        ("counter-restarted", "energy-received", "entity"): ("active", "1", "4"),
    }
    assert bench.at("m", "energy", "received") == "2.0"
    assert bench.at("m", "energy", "discontinuity-time") is not None


def test_another_device_in_the_same_place_begins_anew(bench: Bench) -> None:
    """With another serial number nothing is made of the difference between the two counters."""

    def info(serial: str) -> EntityInfo:
        return EntityInfo(foreign_ids=(ForeignId("serial-number", serial),), interfaces=(inlet("in"),))

    bench.discover("m", info("A1"))
    for watt_hours in (5000, 5001):
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(watt_hours))
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(watt_hours), "", "in")
        bench.wait(10)
    bench.discover("m", info("B2"))
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal("5001.5"))
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(90), "", "in")
    bench.wait(10)
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal("5002.5"))
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(91), "", "in")
    assert bench.at("m", "energy", "received") == "2.0"
    assert bench.at("m", "power-interface", ("in",), "energy", "received") == "2.0"
    assert bench.at("m", "energy", "discontinuity-time") is not None
    assert ("meter-replaced", "energy-received", "power-interface in") in anomalies(bench, "m")


def test_a_flood_of_nonsense_is_bounded(bench: Bench) -> None:
    """However many places and kinds there are, 16 are kept, and the log gets one line of a kind and hour."""
    names = [f"in-{number}" for number in range(40)]
    bench.discover("m", EntityInfo(interfaces=tuple(map(inlet, names))))
    said: list[str] = []
    for _turn in range(5):
        bench.wait(1)
        for name in names:
            for quantity, value in ((Q.VOLTAGE, "x" * 10_000), (Q.POWER_FACTOR, Decimal(9))):
                said += warnings(bench.tell("m", quantity, value, "", name))
    assert len(said) == 2
    assert len(anomalies(bench, "m")) == 16
    assert all(len(value) <= 64 for _, _, value in anomalies(bench, "m").values())
    bench.wait(3600)
    assert len(warnings(bench.tell("m", Q.VOLTAGE, "x", "", "in-0"))) == 1


def test_points_of_nobody_are_counted_at_the_link(bench: Bench) -> None:
    """What a backend reads beside its inventory is counted, the first few are named, and one warning tells."""
    bench.discover("m", EntityInfo())
    stray = [bench.reading(Q.ACTIVE_POWER, 1, f"e{number}", "o") for number in range(100)]
    effects = bench.read("m", *stray, *stray)
    assert len(effects) == 1
    assert warnings(effects) == [
        "backend m reads entity e0 power-interface o, which is not in its inventory; that is left out"
    ]
    shown = bench.domain.site.links["m"].render()
    assert shown.leaf("unknown-readings") == "200"
    named = shown.at("unknown-point")
    assert len(named) == 16
    assert named[0] == "entity e0 power-interface o"
    bench.discover("m", EntityInfo(), EntityInfo("e0", interfaces=(inlet("o"),)))
    assert bench.domain.site.links["m"].render().at("unknown-point")[0] == "entity e1 power-interface o"


def test_a_good_day_shows_nothing(bench: Bench) -> None:
    """Without trouble there is no list, and readings of an estimate are no trouble."""
    bench.discover("m", EntityInfo(nameplate_power=Decimal(100)))
    bench.tell("m", Q.ACTIVE_POWER, Decimal(90), method=Method.LOAD_MODEL)
    assert bench.at("m", "anomaly") is None


def test_a_counter_that_is_no_longer_told_is_missed(bench: Bench) -> None:
    """Power alone does not make energy where a counter did: the silence is shown, and ends with all that it counted."""
    bench.discover("m", EntityInfo())
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(1000))
    for minute in range(130):
        bench.tell("m", Q.ACTIVE_POWER, Decimal(600))
        assert bool(anomalies(bench, "m")) is (minute > 120)
        bench.wait(60)
    assert bench.at("m", "energy", "received") == "0.0"
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(2300))
    bench.tell("m", Q.ACTIVE_POWER, Decimal(600))
    assert anomalies(bench, "m") == {("counter-silent", "active-power", "entity"): ("past", "9", "600")}
    assert bench.at("m", "energy", "received") == "1300.0"
    assert bench.at("m", "energy", "discontinuity-time") is None


def test_from_integrating_to_counting_nothing_goes_unsaid(bench: Bench) -> None:
    """A counter that appears where power was integrated begins there; what flowed since the last sample is missing."""
    bench.discover("m", EntityInfo())
    for _ in range(3):
        bench.tell("m", Q.ACTIVE_POWER, Decimal(360))
        bench.wait(10)
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(1000))
    bench.wait(10)
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(1001))
    assert bench.at("m", "energy", "received") == "3.0"
    assert bench.at("m", "energy", "discontinuity-time") is not None

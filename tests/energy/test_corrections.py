"""Corrections: a difference that reaches a meter and every sum it goes into, once, marked, audited, never below 0."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.accumulation import shares
from eman_netconf.energy.effects import Audit, Effect, Record
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.samples import Stretch
from eman_netconf.energy.values import EntityInfo, Quantity
from tests.energy.bench import DMTF, START, Bench, inlet, outlet, saved

Q = Quantity
INLET, OUTLET = "interface:a", "interface:o"


def correct(bench: Bench, owner: str, part: str, received: int, provided: int, **more: Any) -> list[Effect]:
    """A correction of the last minute, by ann."""
    start, end = more.pop("start", bench.now.wall - 60), more.pop("end", bench.now.wall)
    return bench._keep(
        bench.domain.correct(owner, part, received, provided, start, end, "ann", "the fitter's protocol", bench.now)
    )


def stretches(effects: list[Effect]) -> dict[tuple[str, str], tuple[int, int]]:
    found = [effect.what for effect in effects if isinstance(effect, Record) and isinstance(effect.what, Stretch)]
    assert len({(one.owner, one.part) for one in found}) == len(found), "each owner once"
    return {(one.owner, one.part): (one.received, one.provided) for one in found}


@pytest.fixture
def site(bench: Bench) -> Bench:
    """A strip that feeds a server, both in a room whose total is a domain; 10 Wh have flowed."""
    bench.commit(
        {"id": "pdu", "domain": "room"},
        {"id": "srv", "domain": "room"},
        domains={"domain": [{"name": "room"}]},
    )
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o", ("srv", "a")),)))
    bench.discover("bmc", EntityInfo(id="srv", interfaces=(inlet("a"),), state_sets=(DMTF,)))
    for number in range(11):
        bench.tell("pdu", Q.ENERGY_PROVIDED, Decimal(500 + number), "", "o")
        bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(500 + number))
        if number == 0:
            bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
        if number == 4:
            bench.tell("bmc", Q.POWER_STATE, "dmtf-sleep-deep")
        bench.wait(10)
    return bench


def energy(bench: Bench, id_: str, *path: Any) -> tuple[str | None, str | None, bool]:
    found = bench.at(id_, *path, "energy")
    return found.leaf("received"), found.leaf("provided"), found.leaf("discontinuity-time") is not None


def test_a_correction_goes_along_the_wires(site: Bench) -> None:
    """The outlet provided more, so the inlet and the server received it; who metered otherwise is left alone."""
    effects = correct(site, "pdu", OUTLET, 0, 2500)
    assert energy(site, "pdu", "power-interface", ("o",)) == (None, "12.5", True)
    assert energy(site, "srv", "power-interface", ("a",)) == ("12.5", None, True)
    assert energy(site, "srv") == ("12.5", None, True)
    assert energy(site, "pdu") == ("10.0", None, False)
    assert stretches(effects) == {("pdu", OUTLET): (0, 2500), ("srv", INLET): (2500, 0), ("srv", ""): (2500, 0)}
    total = site.domain.groups.domains["room"].meter.energy
    assert (total.received, total.broken) == (10_000, None)


def test_a_correction_reaches_totals(site: Bench) -> None:
    """The total of the domain moves by what one of its contributors was corrected by."""
    effects = correct(site, "pdu", "", -4000, 0)
    assert energy(site, "pdu") == ("6.0", None, True)
    total = site.domain.groups.domains["room"].meter.energy
    assert (total.received, total.broken) == (6000, site.now.wall)
    assert stretches(effects) == {("pdu", ""): (-4000, 0), ("domains:room", ""): (-4000, 0)}
    assert stretches(correct(site, "domains:room", "", 1, 0)) == {("domains:room", ""): (1, 0)}


def test_a_correction_is_in_the_audit_log(site: Bench) -> None:
    """Who, what, by how much, where in time and why, in one sentence; the stretch carries them too."""
    effects = correct(site, "srv", INLET, 2500, 0, start=START, end=START + 60)
    audits = [effect for effect in effects if isinstance(effect, Audit)]
    assert audits == [
        Audit(
            site.now.wall,
            "ann",
            "srv",
            "energy of srv power-interface a corrected: received +2.5 Wh, provided 0.0 Wh from "
            "2023-11-14T22:13:20Z to 2023-11-14T22:14:20Z; the fitter's protocol",
        )
    ]
    told = next(effect.what for effect in effects if isinstance(effect, Record))
    assert isinstance(told, Stretch)
    assert (told.by, told.reason, told.at, told.mark) == ("ann", "the fitter's protocol", site.now.wall, "estimated")


@pytest.mark.parametrize(
    ("owner", "part", "received", "provided", "sentence"),
    [
        ("nobody", "", 1, 0, "There is no meter nobody"),
        ("srv", "interface:z", 1, 0, "There is no meter srv interface:z"),
        ("domains:nowhere", "", 1, 0, "There is no meter domains:nowhere"),
        ("srv", "", -10_001, 0, "The energy that srv received is 10.0 Wh in all; 10.001 Wh cannot be taken off."),
        ("srv", "", 0, 5, "srv counts no provided energy, so that there is none to correct."),
        ("srv", "", 2**63 - 1, 0, "9223372036854775.807 Wh more is more than the total of srv can hold."),
        ("pdu", OUTLET, 0, -10_001, "The energy that pdu power-interface o provided is 10.0 Wh in all"),
    ],
)
def test_what_cannot_be_corrected_is_refused(
    site: Bench, owner: str, part: str, received: int, provided: int, sentence: str
) -> None:
    """A sentence says why, and nothing has moved anywhere."""
    before = site.served().xml()
    with pytest.raises(Refusal) as refused:
        correct(site, owner, part, received, provided)
    assert refused.value.reason.startswith(sentence)
    assert site.served().xml() == before


def test_a_sum_that_would_fall_below_nothing_refuses(site: Bench) -> None:
    """Also a sum that got only a part of it keeps what it has: the whole correction is refused."""
    site.domain.site.entities["srv"].meter.energy.received = 1000
    with pytest.raises(Refusal, match=r"srv received is 1\.0 Wh"):
        correct(site, "pdu", OUTLET, 0, -2000)
    assert energy(site, "pdu", "power-interface", ("o",)) == (None, "10.0", False)


def test_a_sum_that_began_later_never_had_it(site: Bench) -> None:
    """A correction of the time before a sum began is none of its own."""
    site.domain.groups.domains["room"].meter.energy.start = START + 50
    assert set(stretches(correct(site, "pdu", "", -5000, 0, start=START, end=START + 40))) == {("pdu", "")}


def test_a_correction_outlives_the_process(site: Bench) -> None:
    """What was corrected is persisted with everything that moved by it."""
    site.domain.dirty()
    correct(site, "pdu", OUTLET, 0, 2500)
    kept = saved(site)
    assert kept["srv"]["energy"]["received"] == 12_500
    assert kept["pdu"]["interfaces"]["o"]["energy"]["provided"] == 12_500


def test_a_doubled_way_moves_a_sum_once(bench: Bench) -> None:
    """An entity that goes into a sum directly and through another sum moves it by the difference once."""
    aggregating = "eman-relationship:aggregating"
    bench.discover("m", EntityInfo())
    bench.commit(
        {"id": "row", "relationship": [{"type": aggregating, "peer": "m"}]},
        {"id": "hall", "relationship": [{"type": aggregating, "peer": peer} for peer in ("m", "row")]},
    )
    for number in range(5):
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(number))
        bench.wait(10)
    effects = correct(bench, "m", "", 1000, 0)
    assert stretches(effects) == {("m", ""): (1000, 0), ("row", ""): (1000, 0), ("hall", ""): (1000, 0)}
    assert bench.at("hall", "energy", "received") == "5.0"


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["dmtf-on", "dmtf-sleep-deep", "dmtf-off-soft"]), st.integers(0, 5000)), max_size=12
    ),
    st.lists(st.integers(-9000, 9000), max_size=6),
)
def test_the_energies_of_the_states_sum_to_the_total(
    boot: Callable[[], Bench], steps: list[tuple[str, int]], differences: list[int]
) -> None:
    """Whatever flowed in whichever state and however it is corrected, the states together have what the entity has."""
    bench = boot()
    bench.discover("m", EntityInfo(state_sets=(DMTF,)))
    counted = 1_000_000
    bench.tell("m", Q.POWER_STATE, "dmtf-on")
    bench.tell("m", Q.ENERGY_RECEIVED, Decimal(counted).scaleb(-3))
    for state, growth in steps:
        bench.wait(10)
        counted += growth
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(counted).scaleb(-3))
        bench.tell("m", Q.POWER_STATE, state)
    entity = bench.domain.site.entities["m"]
    for difference in differences:
        try:
            correct(bench, "m", "", difference, 0)
        except Refusal:
            assert (entity.meter.energy.received or 0) + difference < 0
    for tracker in entity.states.trackers.values():
        taken = [statistics.received for statistics in tracker.statistics.values()]
        assert sum(taken) == entity.meter.energy.received
        assert min(taken) >= 0


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**12), max_size=6))
def test_shares_add_up_and_leave_nothing_below_zero(difference: int, amounts: list[int]) -> None:
    """In whole parts, in proportion, to the digit."""
    found = shares(difference, amounts)
    whole = sum(amounts)
    assert sum(found) == (max(difference, -whole) if whole else 0)
    for amount, share in zip(amounts, found, strict=True):
        assert amount + share >= 0
        assert not whole or abs(share - max(difference, -whole) * amount / whole) <= 1 + abs(share) * 1e-9

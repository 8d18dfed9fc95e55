"""Energy against exact solutions that are worked out apart: what is counted is exact, what is sampled is near, and
whatever is neither says so. The days are simulated from a seed, so that each can be lived again."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.energy.accumulation import Energy
from eman_netconf.energy.counters import Flow
from eman_netconf.energy.samples import Mark
from eman_netconf.energy.values import EntityInfo, Quantity
from tests.energy.bench import Bench, inlet, outlet, power

Q = Quantity
RECEIVED = "energy-received"
SEEDS = st.integers(0, 2**32)
Boot = Callable[[], Bench]


class Steps:
    """A load that jumps now and then, and what it takes exactly: milliwatts by microseconds, in whole numbers."""

    def __init__(self, chance: Random, steps: int, mean: int) -> None:
        self.starts = [0]
        self.watts = [chance.randrange(5_000, 2_000_000)]
        for _ in range(steps):
            self.starts.append(self.starts[-1] + round(chance.uniform(0.7, 1.3) * mean))
            self.watts.append(chance.randrange(5_000, 2_000_000))
        self.areas = [0]
        for (start, end), milliwatts in zip(pairwise(self.starts), self.watts, strict=False):
            self.areas.append(self.areas[-1] + (end - start) * milliwatts)

    def power(self, at: int) -> int:
        """Milliwatts at an instant in microseconds."""
        return self.watts[bisect_right(self.starts, at) - 1]

    def energy(self, since: float, until: float) -> Fraction:
        """Milliwatt-hours between two instants in seconds."""
        return Fraction(self._area(round(until * 1e6)) - self._area(round(since * 1e6)), 3_600_000_000)

    def _area(self, at: int) -> int:
        index = bisect_right(self.starts, at) - 1
        return self.areas[index] + (at - self.starts[index]) * self.watts[index]


def delivered(chance: Random, instants: list[int], lost: float) -> list[int]:
    """The instants of samples as they arrive: some lost, some twice, some after later ones."""
    arriving: list[tuple[float, int]] = []
    for number, at in enumerate(instants):
        if chance.random() < lost:
            continue
        arriving.append((number + (2.5 if chance.random() < 0.01 else 0.0), at))
        if chance.random() < 0.05:
            arriving.append((number + chance.choice((0.1, 1.5, 30.0)), at))
    return [at for _, at in sorted(arriving)]


def lived(chance: Random, load: Steps, instants: list[int], longest: float) -> list[Flow]:
    """The flows that an integrator makes of samples of a load, under a wall clock that is set now and then."""
    energy, flows, offset = Energy(), [], 1_700_000_000.0
    for at in instants:
        if chance.random() < 0.002:
            offset += chance.uniform(-4000, 4000)
        mono = at / 1e6
        flow = energy.integrate(load.power(at), mono + offset, mono, mean_over=None, longest=longest)
        if flow is not None:
            flows.append(flow)
    assert energy.received == sum(flow.received for flow in flows)
    assert energy.provided == 0
    return flows


@settings(deadline=None, max_examples=5)
@given(SEEDS)
def test_sampled_energy_is_within_a_thousandth(seed: int) -> None:
    """A tenth of the samples lost, others twice, late or off their time, while the load steps every 50 samples.

    Each step falls anywhere between two samples, by which a single one may err more than that; in ten days it is out.
    """
    chance = Random(seed)
    load = Steps(chance, 2000, 500_000_000)
    period = 10_000_000
    wanted = [number * period + chance.randrange(-2_000_000, 2_000_000) for number in range(1, 1900 * 50)]
    flows = lived(chance, load, delivered(chance, wanted, 0.1), 120.0)
    exact = load.energy(flows[0].until, flows[-1].until)
    assert abs(sum(flow.received for flow in flows) - exact) < exact / 1000
    assert Mark.MISSING not in {flow.mark for flow in flows}


@settings(deadline=None, max_examples=5)
@given(SEEDS)
def test_what_is_not_within_a_thousandth_is_marked(seed: int) -> None:
    """However long nothing comes: the flows tile the time, what is called measured is right, and the rest is marked."""
    chance = Random(seed)
    load = Steps(chance, 2000, 500_000_000)
    instants, at = [], 0
    while at < 950_000_000_000:
        at += round(10_000_000 * (1 if chance.random() < 0.995 else chance.choice((4, 8, 14, 60, 700))))
        instants.append(at)
    flows = lived(chance, load, instants, 120.0)
    for before, after in pairwise(flows):
        assert after.since == before.until
    for flow in flows:
        gap = flow.until - flow.since
        assert flow.broken is (flow.mark is Mark.MISSING)
        assert flow.mark is (Mark.MISSING if gap > 120 else Mark.ESTIMATED if gap > 60 else Mark.MEASURED)
        assert not (flow.broken and flow.received)
    measured = [flow for flow in flows if flow.mark is Mark.MEASURED]
    exact = sum((load.energy(flow.since, flow.until) for flow in measured), Fraction())
    assert abs(sum(flow.received for flow in measured) - exact) < exact / 1000 + 1


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_means_are_exact_without_loss(seed: int) -> None:
    """A device that tells means over the time since its last sample is integrated to the rounding, whatever it does."""
    chance = Random(seed)
    load = Steps(chance, 50, 40_000_000)
    energy, before = Energy(), 0
    energy.integrate(load.power(0), 0.0, 0.0, mean_over=None, longest=60.0)
    bound = 1.0
    while before < 1_000_000_000:
        now = before + chance.randrange(1_000_000, 59_000_000)
        mean = round(load.energy(before / 1e6, now / 1e6) * 3_600_000_000 / (now - before))
        energy.integrate(mean, now / 1e6, now / 1e6, mean_over=(now - before) / 1e6, longest=60.0)
        bound += 0.5 * (now - before) / 3.6e9  # half a milliwatt of rounding
        before = now
    assert energy.received is not None
    assert abs(energy.received - load.energy(0, before / 1e6)) <= bound


class Device:
    """A counter as devices have them: a modulus, a resolution, resets, and a true total to compare with."""

    def __init__(self, chance: Random) -> None:
        self.modulus = chance.choice([2**32 * 1000, 2**32 * 100, 999_999_999_000, 10**15 + 7_000])
        self.resolution = chance.choice([1, 10, 1000, 100_000])
        self.modulus -= self.modulus % self.resolution
        self.base = chance.randrange(self.modulus)
        self.flowed = 0  # since the base

    def shown(self) -> int:
        total = self.base + self.flowed
        return (total - total % self.resolution) % self.modulus

    def steps(self, since: int) -> int:
        """What it must have counted while ``flowed`` grew from ``since``."""
        before, now = self.base + since, self.base + self.flowed
        return (now - now % self.resolution) - (before - before % self.resolution)

    def reset(self) -> None:
        self.base, self.flowed = 0, 0


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_what_a_device_counts_is_exact(seed: int) -> None:
    """Wraps, repeats, stragglers, slips, weeks away and restarts of the server: each flow is what was counted then.

    Resets cost the interval until the counter is read again, and that is marked; nothing else is ever missing.
    """
    chance = Random(seed)
    device, energy = Device(chance), Energy()
    mono, offset = 1000.0, 1_700_000_000.0
    told: list[tuple[int, float]] = []
    known: int | None = None  # what had flowed when it was read and believed the last time; None = before a reset
    beside = chance.random() < 0.5

    def read(raw: int) -> Flow | None:
        told.append((raw, mono))
        return energy.count(RECEIVED, raw, mono + offset, mono, device.modulus)

    assert read(device.shown()) is not None
    known, total, missing = device.flowed, 0, 0
    for _ in range(250):
        event = chance.choices(
            ["read", "again", "late", "slip", "away", "server", "reset", "clock"], [200, 8, 8, 4, 3, 2, 2, 2]
        )[0]
        seconds = chance.uniform(5, 15) if event != "away" else chance.uniform(100, 1_800_000)
        mono += seconds
        watts = chance.randrange(1_000, 3_000_000)
        if event == "clock":
            offset += chance.uniform(-3000, 3000)
        if event == "reset":
            if device.shown() < 10_000_000:
                continue
            device.reset()
            assert read(device.shown()) is None
            first, mono = device.flowed, mono + 10
            device.flowed += 10 * watts // 3600
            flow = read(device.shown())
            assert flow is not None
            assert flow.mark is Mark.MISSING
            assert flow.received == device.steps(first)
            missing += 1
        else:
            device.flowed += round(seconds) * watts // 3600
            if beside and event != "away":
                energy.integrate(watts, mono + offset, mono, mean_over=None, longest=60.0)
            if event == "again":
                assert energy.count(RECEIVED, told[-1][0], told[-1][1] + offset, told[-1][1], device.modulus) is None
            elif event == "late" and len(told) > 3:
                raw, at = told[-3]
                assert energy.count(RECEIVED, raw, at + offset, at, device.modulus) is None
            elif event == "slip":
                raw = (device.shown() + device.modulus // 2) % device.modulus // 3
                taken = energy.count(RECEIVED, raw, mono - 1 + offset, mono - 1, device.modulus)
                if taken is not None:  # by chance it was a slip that could be true
                    return
            elif event == "server":
                record = json.loads(json.dumps(energy.dump()))
                energy = Energy()
                energy.load(record, mono + offset, clean=chance.random() < 0.5)
                mono += 1
            flow = read(device.shown())
            assert flow is not None
            assert flow.mark is not Mark.MISSING
            assert flow.received == device.steps(known)
            assert (flow.mark is Mark.MEASURED) or not flow.broken
        total += flow.received
        known = device.flowed
    assert energy.received == total
    assert (energy.broken is None) is (missing == 0)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_parts_and_sums_get_the_same_increments(boot: Boot, seed: int) -> None:
    """A domain, a group and an aggregate have, to the digit, what their outlets and devices counted or integrated."""
    chance = Random(seed)
    bench = boot()
    names = [f"s{number}" for number in range(4)]
    aggregating = [{"type": "eman-relationship:aggregating", "peer": name} for name in names]
    bench.commit(
        *({"id": name, "domain": "room"} for name in names),
        {"id": "row", "relationship": aggregating},
        domains={"domain": [{"name": "room"}]},
        groups={"group": [{"name": "servers", "member": names}]},
    )
    bench.discover("pdu", EntityInfo(interfaces=tuple(outlet(f"o{i}", (name, "a")) for i, name in enumerate(names))))
    for name in names:
        bench.discover(f"b-{name}", EntityInfo(id=name, interfaces=(inlet("a"),)))
    counted = [chance.randrange(10**6) for _ in names]
    for turn in range(30):
        for number in range(len(names)):
            if chance.random() < 0.9 or not turn:
                counted[number] = counted[number] + chance.randrange(5000) if chance.random() < 0.97 else 0
                if number < 2:
                    bench.tell("pdu", Q.ENERGY_PROVIDED, Decimal(counted[number]).scaleb(-3), "", f"o{number}")
                else:
                    bench.tell("pdu", Q.ACTIVE_POWER, -Decimal(chance.randrange(900_000)).scaleb(-3), "", f"o{number}")
        bench.wait(chance.choice((10, 10, 10, 100)))
    outlets = bench.domain.site.entities["pdu"].interfaces
    provided = sum(item.meter.energy.provided or 0 for item in outlets.values())
    for meter in (
        bench.domain.site.entities["row"].meter,
        bench.domain.groups.domains["room"].meter,
        bench.domain.groups.groups["servers"].meter,
    ):
        assert meter.energy.received == provided
    for number, name in enumerate(names):
        assert bench.domain.site.entities[name].meter.energy.received == outlets[f"o{number}"].meter.energy.provided


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_the_outlets_make_the_inlet_within_what_is_stated(boot: Boot, seed: int) -> None:
    """Meters that err within their accuracies: the sum is off by no more than its bound, in power and in energy."""
    chance = Random(seed)
    bench = boot()
    count = chance.randrange(2, 6)
    names = [f"s{number}" for number in range(count)]
    bench.commit(*({"id": name} for name in names), groups={"group": [{"name": "rack", "member": names}]})
    bench.discover(
        "pdu", EntityInfo(interfaces=(inlet("in"), *(outlet(f"o{i}", (name, "a")) for i, name in enumerate(names))))
    )
    for name in names:
        bench.discover(f"b-{name}", EntityInfo(id=name, interfaces=(inlet("a"),)))
    accuracies = [Decimal(chance.randrange(1, 500)).scaleb(-2) for _ in names]
    told = [1 / (1 + accuracy * Decimal(chance.uniform(-1, 1)) / 100) for accuracy in accuracies]  # of what is true
    truth = [Decimal(0)] * count
    watts = [Decimal(0)] * count
    for turn in range(40):
        for number, (share, accuracy) in enumerate(zip(told, accuracies, strict=True)):
            watts[number] = Decimal(chance.randrange(20, 900))
            truth[number] += watts[number] * 10 / 3600 if turn else 0
            place = "", f"o{number}"
            bench.tell("pdu", Q.ENERGY_PROVIDED, truth[number] * share, *place, accuracy=accuracy)
            bench.tell("pdu", Q.ACTIVE_POWER, -watts[number] * share, *place, accuracy=accuracy)
        bench.tell("pdu", Q.ENERGY_RECEIVED, sum(truth, Decimal()), "", "in")
        bench.wait(10)
    shown = bench.domain.groups.groups["rack"].render(None)
    inside = shown.at("power")
    assert inside is not None
    off = abs(Decimal(inside.leaf("active")) - sum(watts)) / Decimal(inside.leaf("active")) * 100
    assert off <= Decimal(inside.leaf("accuracy-bound")) + Decimal("0.02")
    weights = [float(w * share * accuracy) for w, share, accuracy in zip(watts, told, accuracies, strict=True)]
    square = sqrt(sum(weight**2 for weight in weights)) / float(inside.leaf("active"))
    assert float(inside.leaf("accuracy")) == pytest.approx(square, abs=0.006)
    energy = shown.at("energy")
    assert energy is not None
    inlet_meter = Decimal(bench.at("pdu", "power-interface", ("in",), "energy", "received"))
    counted = Decimal(energy.leaf("received"))
    assert abs(counted - inlet_meter) <= counted * Decimal(energy.leaf("accuracy-bound")) / 100 + Decimal("0.02")
    assert Decimal(energy.leaf("accuracy")) <= Decimal(energy.leaf("accuracy-bound"))


def test_a_meter_reached_on_two_ways_counts_once(bench: Bench) -> None:
    """A hall that sums up a row and a device of that row has the watts and the watt-hours of the device once."""
    aggregating = "eman-relationship:aggregating"
    bench.discover("g", *(EntityInfo(local=name, id=name) for name in ("a", "b")))
    bench.commit(
        {"id": "row", "relationship": [{"type": aggregating, "peer": peer} for peer in ("a", "b")]},
        {"id": "hall", "relationship": [{"type": aggregating, "peer": peer} for peer in ("row", "a")]},
    )
    for _ in range(2):
        bench.tell("g", Q.ACTIVE_POWER, 360, "a", accuracy=Decimal(1))
        bench.tell("g", Q.ACTIVE_POWER, 36, "b", accuracy=Decimal(1))
        bench.wait(10)
    assert power(bench, "row") == power(bench, "hall") == "396.0"
    assert bench.at("hall", "energy", "received") == bench.at("row", "energy", "received") == "1.1"
    assert bench.at("hall", "power", "accuracy") == bench.at("row", "power", "accuracy")


def test_a_group_of_a_strip_and_its_servers_counts_the_strip(bench: Bench) -> None:
    """What the servers take goes through the strip, so that the strip is the one contributor."""
    bench.commit({"id": "pdu"}, {"id": "srv"}, groups={"group": [{"name": "rack", "member": ["pdu", "srv"]}]})
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o", ("srv", "a")))))
    bench.discover("bmc", EntityInfo(id="srv", interfaces=(inlet("a"),)))
    for number in range(3):
        bench.tell("pdu", Q.ACTIVE_POWER, 110)
        bench.tell("pdu", Q.ACTIVE_POWER, -100, "", "o")
        bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(number))
        bench.tell("bmc", Q.ACTIVE_POWER, 99)
        bench.wait(10)
    shown = bench.domain.groups.groups["rack"].render(None)
    assert shown.at("contributor") == ("pdu",)
    assert shown.at("power", "active") == "110.0"
    assert shown.at("energy", "received") == "2.0"


def test_boundary_meters_behind_each_other_count_once(bench: Bench) -> None:
    """A domain whose boundary meters stand one behind the other is what the first one measures."""
    bench.discover("main", EntityInfo(category="meter", interfaces=(outlet("o", ("sub", "a")),)))
    bench.discover("sub", EntityInfo(category="meter", interfaces=(inlet("a"),)))
    bench.commit(
        {"id": "main", "domain": "site"},
        {"id": "sub", "domain": "site"},
        domains={"domain": [{"name": "site", "boundary-meter": ["main", "sub"]}]},
    )
    bench.tell("main", Q.ACTIVE_POWER, 500)
    bench.tell("sub", Q.ACTIVE_POWER, 200)
    shown = bench.domain.groups
    shown.arrange()
    assert shown.domains["site"].render(None).at("power", "active") == "500.0"


def test_complex_power_adds_up_as_vectors(bench: Bench) -> None:
    """An inductive and a capacitive load: their reactive powers cancel, and the apparent power is less than the sum."""
    bench.discover("g", *(EntityInfo(local=name, id=name) for name in ("a", "b", "c")))
    bench.commit(
        *({"id": name} for name in ("a", "b", "c")),
        groups={"group": [{"name": "two", "member": ["a", "b"]}, {"name": "all", "member": ["a", "b", "c"]}]},
    )
    for name, active, reactive in (("a", 300, 500), ("b", 100, -200)):
        bench.tell("g", Q.ACTIVE_POWER, active, name)
        bench.tell("g", Q.REACTIVE_POWER, reactive, name)
    two = bench.domain.groups.groups["two"].render(None).at("power")
    assert two is not None
    leaves = ("active", "reactive", "apparent", "power-factor", "phase-angle")
    assert [two.leaf(leaf) for leaf in leaves] == ["400.0", "300.0", "500.0", "0.8", "36.87"]
    bench.tell("g", Q.ACTIVE_POWER, 50, "c")
    everybody = bench.domain.groups.groups["all"].render(None).at("power")
    assert everybody is not None
    assert [everybody.leaf(leaf) for leaf in leaves] == ["450.0", None, None, None, None]

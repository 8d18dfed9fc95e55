"""The history adds up while everything around it is changed: its interval, what it keeps, names, members, polls."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.energy.bench import Bench
from tests.energy.test_recorder import METERS, Kept, Q
from tests.energy.test_series import RECEIVED
from tests.energy.test_series import Site as Collected

changes = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((1.0, 10.0, 31.0, 85.0, 700.0, 4000.0))),
    st.tuples(st.just("count"), st.integers(0, 5_000)),
    st.tuples(st.just("late"), st.sampled_from((0.5, 45.0, 300.0))),
    st.tuples(st.just("interval"), st.sampled_from((7, 60, 700, 3600))),
    st.tuples(st.just("poll"), st.sampled_from((10, 600, 3000))),
    st.tuples(st.just("member"), st.booleans()),
    st.tuples(st.just("step"), st.sampled_from((-7200.0, -61.0, 45.0, 86_400.0))),
    st.tuples(st.just("stop"), st.sampled_from((0.0, 600.0, -600.0))),
    st.tuples(st.just("crash"), st.sampled_from((0.0, 600.0, -600.0))),
)


class Site:
    """A box with an outlet in a group, whose configuration changes."""

    def __init__(self, boot: Callable[[], Bench]) -> None:
        self.kept = Kept(boot)
        self.counter = Decimal(1000)
        self._read = -inf
        self._said: dict[str, Any] = {"interval": 60, "poll": 10, "member": True}

    def change(self, what: str, value: Any) -> None:
        kept, bench = self.kept, self.kept.bench
        match what:
            case "wait":
                bench.wait(value)
            case "count":
                self.counter += Decimal(value) / 1000
                self._tell(0.0)
            case "late":
                self.counter += Decimal("0.1")
                self._tell(value)
            case "step":
                bench.step_clock(value)
            case "stop" | "crash":
                kept.restart(value, clean=what == "stop")
            case _:
                self._said[what] = value
                member = ["pdu"] if self._said["member"] else []
                bench.commit(
                    groups={"group": [{"name": "all", "member": member}]},
                    backends={"backend": [{"name": "pdu", "poll-interval": str(self._said["poll"])}]},
                    history={"interval": str(self._said["interval"])},
                )
                kept.meet()

    def _tell(self, age: float) -> None:
        bench = self.kept.bench
        at = bench.now.wall - age
        bench.tell("pdu", Q.ENERGY_RECEIVED, self.counter, "", "o1", at=at)
        bench.tell("pdu", Q.ENERGY_RECEIVED, self.counter, at=at)


@settings(deadline=None, max_examples=200)
@given(st.lists(changes, max_size=25))
def test_it_adds_up_while_all_changes(boot: Callable[[], Bench], said: list[tuple[str, Any]]) -> None:
    """Whatever is reconfigured in the middle, what was recorded and what is open are the totals, and can be asked."""
    site = Site(boot)
    for what, value in said:
        site.change(what, value)
        for meter in METERS:
            site.kept.bench.domain.recorder.open(*meter, 0.0, 1e12)
    site.kept.bench.wait(11_000)
    assert site.kept.sums() == site.kept.totals()


lengths = st.sampled_from((60, 700, 3600))
events = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((1.0, 10.0, 31.0, 85.0, 700.0, 1000.0))),
    st.tuples(st.just("count"), st.integers(0, 5_000)),
    st.tuples(st.just("count-late"), st.integers(0, 5_000)),
    st.tuples(st.just("step"), st.sampled_from((-700.0, -61.0, 45.0))),
    st.tuples(st.just("stop"), st.sampled_from((0.0, 600.0, -600.0))),
    st.tuples(st.just("crash"), st.sampled_from((0.0, 600.0, -600.0))),
)


@settings(deadline=None, max_examples=200)
@given(lengths, st.lists(events, max_size=25))
def test_series_add_up(boot: Callable[[], Bench], length: int, said: list[tuple[str, Any]]) -> None:
    """Whatever clocks, servers and late readings do, rows of energy sum to what the counter grew by, and so does the
    newest row of a running total."""
    one = {"quantity": RECEIVED, "length": str(length)}
    site = Collected(boot, {"name": "delta", **one}, {"name": "total", **one, "interval-type": "total"})
    counter = 10_000
    site.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(10))
    for what, value in said:
        match what:
            case "wait":
                site.bench.wait(value)
            case "count" | "count-late":
                counter += value
                at = site.bench.now.wall - (45.0 if what == "count-late" else 0.0)
                site.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(counter) / 1000, at=at)
            case "step":
                site.bench.step_clock(value)
            case "stop" | "crash":
                site.save()
                site.restart(value, clean=what == "stop")
    site.bench.wait(20_000)  # until the last interval is new, wherever the clock was
    site.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(counter) / 1000)
    site.bench.wait(10)
    site.bench.tell("pdu", Q.ENERGY_RECEIVED, Decimal(counter + 10) / 1000)
    site.bench.wait(11_000)
    energy = site.bench.domain.site.entities["pdu"].meter.energy.received
    assert sum(value or 0 for value in site.values("delta")) == energy
    assert site.values("total")[-1] == energy


def test_who_is_removed_has_told_all(boot: Callable[[], Bench]) -> None:
    """An entity that goes in the middle of an interval leaves what flowed until then in its history and its sums'."""
    site = Site(boot)
    bench = site.kept.bench
    for _ in range(10):
        site.change("count", 100)
        site.change("wait", 10.0)
    totals = site.kept.totals()
    bench.commit(groups={"group": [{"name": "all", "member": ["pdu"]}]})
    bench.effects += bench.domain.forget("pdu", bench.now)
    assert "pdu" not in bench.domain.site.entities
    bench.wait(200)
    assert site.kept.sums() == totals
    assert totals["groups:all", ""] == (900, 0)

"""A storage that tries its batteries: for a while it carries its load from them, and then it knows."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from eman_backends.simulated.scenario import PACKAGED, Entity, Scenario, parse
from eman_backends.simulated.site import TEST
from eman_backends.simulated.tests.sites import DEMO, Clocked, check_conservation
from eman_netconf.backend import Refused, Supply

UPS = DEMO.entity("ups-1")
SECONDS = TEST / 1000


def aged(**strings: Any) -> Scenario:
    """The demo site with a first string that is worse than it should be."""
    document = tomllib.loads((PACKAGED / "demo.toml").read_text(encoding="utf-8"))
    (ups,) = (entity for entity in document["entity"] if entity["id"] == "ups-1")
    ups["battery"]["strings"][0] |= strings
    return parse("aged", document)


def result(clocked: Clocked, name: str = "string-1") -> str:
    ups = clocked.site.scenario.entity("ups-1")
    assert ups.bank is not None
    return clocked.site.tested(ups, next(string for string in ups.bank.strings if string.name == name))


def charge(clocked: Clocked) -> int:
    return clocked.site.stored(clocked.site.scenario.entity("ups-1"))


def test_the_load_is_carried_for_a_while() -> None:
    """During a test nothing is drawn from the mains, the load stays on, and a little of the charge is gone after it."""
    clocked = Clocked()
    clocked.run(10)
    full, watts = charge(clocked), clocked.flow("ups-1", "input")
    clocked.site.test(UPS, "string-1")
    assert (result(clocked), result(clocked, "string-2")) == ("in-progress", "none")
    assert clocked.flow("ups-1", "input") == 0
    assert clocked.live("ups-1", "input")
    assert clocked.live("pdu-a", "outlet-1")
    check_conservation(DEMO, clocked.site.flows)
    clocked.run(SECONDS - 1)
    assert result(clocked) == "in-progress"
    clocked.run(1)
    assert result(clocked) == "passed"
    clocked.run(60)
    assert clocked.flow("ups-1", "input") > watts, "what was taken out is put in again"
    assert 0.9 * full < charge(clocked) < full


@pytest.mark.parametrize(
    ("string", "wanted"),
    [({"health": 0.65}, "failed"), ({"cycles": 400}, "failed"), ({"health": 0.75}, "warning"), ({}, "passed")],
)
def test_the_aged_fail(string: dict[str, Any], wanted: str) -> None:
    """A string that is weak or worn out fails its test, and the other one of the same bank passes it."""
    clocked = Clocked(scenario=aged(**string))
    ups = clocked.site.scenario.entity("ups-1")
    clocked.site.test(ups, "string-1")
    clocked.run(SECONDS)
    clocked.site.test(ups, "string-2")
    clocked.run(SECONDS)
    assert (result(clocked), result(clocked, "string-2")) == (wanted, "passed")
    clocked.site.swap(ups, "string-1")
    assert result(clocked) == "none"
    clocked.site.test(ups, "string-1")
    clocked.run(SECONDS)
    assert result(clocked) == "passed"


def refused(clocked: Clocked, entity: Entity = UPS, string: str = "string-1") -> str:
    with pytest.raises(Refused) as caught:
        clocked.site.test(entity, string)
    return str(caught.value)


def test_who_should_not_be_tested_is_not() -> None:
    """What is no battery, is at a test, runs on its batteries or has little in them refuses."""
    clocked = Clocked()
    assert "no battery" in refused(clocked, string="string-9")
    assert "no battery" in refused(clocked, DEMO.entity("pdu-a"))
    clocked.site.test(UPS, "string-2")
    assert "at a test" in refused(clocked)
    clocked.run(SECONDS)
    for feed in ("feed-a", "feed-b"):
        clocked.switch(feed, "grid", Supply.OFF)
    assert "runs on its batteries" in refused(clocked)
    clocked.run(2400)
    clocked.switch("feed-a", "grid", Supply.ON)
    clocked.run(2)
    assert "too little" in refused(clocked)


def test_a_test_outlives_the_process(tmp_path: Path) -> None:
    """A test under way goes on after a restart, also where it ended meanwhile, and its result is remembered."""
    path = tmp_path / "demo.json"
    clocked = Clocked(path=path)
    clocked.site.test(UPS, "string-1")
    clocked.run(SECONDS / 2)
    again = Clocked(clocked.start + clocked.elapsed, path)
    assert result(again) == "in-progress"
    again.run(SECONDS)
    assert result(again) == "passed"
    again.site.save()
    later = Clocked(clocked.start + clocked.elapsed + 1000, path)
    assert result(later) == "passed"
    other = tmp_path / "other.json"
    killed = Clocked(path=other)
    killed.site.test(UPS, "string-1")
    after = Clocked(killed.start + 5000, other)
    after.run(1)
    assert result(after) == "passed"

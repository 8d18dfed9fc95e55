"""What a site keeps over a restart, and that nothing it has shown is ever taken back."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_backends.simulated.scenario import parse
from eman_backends.simulated.site import HORIZON, Site
from eman_backends.simulated.tests.sites import DEMO, NOON, Clocked
from eman_netconf.backend import Supply

DUSK = NOON + 92 * 86_400 + 5.1 * 3600 + 1150  # in September, half an hour before the inverter stops


def restarted(clocked: Clocked, path: Path, away: float = 0.0) -> Clocked:
    """A new process that finds the file of one that was killed: its clock is the wall clock alone."""
    return Clocked(clocked.start + clocked.elapsed + away, path)


def test_switches_states_limits_and_meters_outlive_the_process(tmp_path: Path) -> None:
    """What was switched, ordered and counted is the same after a restart, without a farewell."""
    path = tmp_path / "deep" / "demo.json"
    clocked = Clocked(path=path)
    clocked.run(5000)
    clocked.switch("pdu-a", "outlet-7", Supply.OFF)
    clocked.switch("pdu-a", "outlet-8", Supply.OFF)
    clocked.run(60)
    clocked.switch("pdu-a", "outlet-8", Supply.ON)
    clocked.set_state("srv-03", "dmtf-off-soft")
    clocked.site.trip(DEMO.wire("sw-1", "port-8"))
    clocked.site.limit(DEMO.entity("srv-02"), 170)
    again = restarted(clocked, path)
    assert again.energies() == clocked.energies()
    assert again.site.memory.uuid == clocked.site.memory.uuid
    assert again.site.supply(DEMO.wire("pdu-a", "outlet-7")) is Supply.OFF
    assert again.site.supply(DEMO.wire("pdu-a", "outlet-8")) is Supply.SWITCHING
    again.run(20)
    assert again.site.supply(DEMO.wire("pdu-a", "outlet-8")) is Supply.ON
    assert again.site.supply(DEMO.wire("sw-1", "port-8")) is Supply.FAULT
    assert again.state("srv-03") == "dmtf-off-soft"
    assert again.watts("srv-02") == 170


@given(st.lists(st.floats(0.01, 900), max_size=6), st.floats(0, 900), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_killed_process_goes_on_as_if_it_had_not_been(pauses: list[float], rest: float, dark: bool) -> None:
    """Killed at any instant and started again, the site is the one that ran on, to the microjoule."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.json"
        clocked = Clocked(path=path)
        if dark:
            for feed in ("feed-a", "feed-b"):
                clocked.switch(feed, "grid", Supply.OFF)
            clocked.run(300)
            clocked.switch("feed-b", "grid", Supply.ON)  # the charger takes ever less from now on
        for pause in pauses:
            clocked.run(round(pause, 3))
        again = restarted(clocked, path)
        again.run(0)
        assert again.energies() == clocked.energies()
        for site in (clocked, again):
            site.run(round(rest, 3))
        assert again.energies() == clocked.energies()


@pytest.mark.parametrize("away", [0.5, 600, 5 * 3600, 3 * 86_400, 700 * 86_400])
def test_no_counter_falls_behind_what_was_shown(tmp_path: Path, away: float) -> None:
    """Killed as long as possible after the last writing and away for any time, every counter has at least its value.

    Dusk is the hardest: what is passed too roughly then is not made good by the night.
    """
    for day in range(12):
        path = tmp_path / f"{day}.json"
        clocked = Clocked(DUSK + day * 86_400 - day * 130, path)
        clocked.run(HORIZON / 1000)  # written
        clocked.run(HORIZON / 1000 - 0.001)  # not written
        shown = clocked.energies()
        again = restarted(clocked, path, away)
        again.run(0)
        for new, old in zip(again.energies(), shown, strict=True):
            assert new[0] >= old[0]
            assert new[1] >= old[1]


def test_site_time_does_not_run_backwards_over_a_restart(tmp_path: Path) -> None:
    """When the wall clock was set back meanwhile, the site goes on from where it was."""
    path = tmp_path / "demo.json"
    clocked = Clocked(path=path)
    clocked.run(3600)
    clocked.site.save()
    again = Clocked(NOON - 86_400, path)
    again.run(60)
    assert again.site.at == round((NOON + 3660) * 1000)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 99}', '{"version": 1, "at": "x"}']
)
def test_a_file_that_is_not_ours_is_set_aside(tmp_path: Path, text: str) -> None:
    """A broken file costs the site its memory, not its life, and is kept for whoever wants to look."""
    path = tmp_path / "demo.json"
    path.write_text(text)
    clocked = Clocked(path=path)
    clocked.run(10)
    assert clocked.watts("srv-01") > 0
    assert path.with_suffix(".bad").read_text() == text


def test_a_scenario_may_change_between_two_starts(tmp_path: Path) -> None:
    """Counters are kept by name: what is gone is forgotten, what is new begins at zero."""
    document = {
        "entity": [
            {"id": "grid", "kind": "feed", "inlets": {"in": {"switchable": True}}, "outlets": [{"name": "out"}]},
            {"id": "oven", "load": {"watts": 1000}, "inlets": {"plug": "grid/out"}},
        ]
    }
    path = tmp_path / "small.json"
    first = Clocked(path=path, scenario=parse("small", document))
    first.run(3600)
    first.site.save()
    document["entity"][1] = {"id": "fridge", "load": {"watts": 100}, "inlets": {"plug": "grid/out"}}
    changed = parse("small", document)
    again = Clocked(first.start + first.elapsed, path, scenario=changed)
    again.run(0)
    assert again.site.entity_energy(changed.entity("grid"))[0] == 1000 * 1000 * 3_600_000
    assert again.site.entity_energy(changed.entity("fridge"))[0] == 0


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A site that cannot be kept goes on, and says so one time."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    clocked = Clocked()
    site = Site(DEMO, clocked.now(), Random(1), None, logging.getLogger("site"))
    site._path = blocked / "demo.json"
    for outlet in ("outlet-1", "outlet-2", "outlet-3"):
        site.switch(DEMO.wire("pdu-a", outlet), Supply.OFF)
    assert [record.getMessage() for record in caplog.records if "cannot be kept" in record.getMessage()][1:] == []
    assert "cannot be kept" in caplog.text


def test_the_file_is_json_by_names(tmp_path: Path) -> None:
    """A person can read what is kept."""
    path = tmp_path / "demo.json"
    clocked = Clocked(path=path)
    clocked.switch("pdu-a", "outlet-7", Supply.OFF)
    clocked.run(2)
    clocked.site.save()
    kept = json.loads(path.read_text())
    assert kept["supply"] == {"pdu-a/outlet-7": "off"}
    assert kept["state"]["srv-01"] == "dmtf-on"


def test_what_was_swapped_stays_so(tmp_path: Path) -> None:
    """A site that is started again has what was put in last."""
    path = tmp_path / "demo.json"
    clocked = Clocked(path=path)
    clocked.run(600)
    for entity, part in (("srv-03", None), ("ups-1", "string-1")):
        clocked.site.swap(DEMO.entity(entity), part)
    again = restarted(clocked, path)
    assert again.site.memory.swapped == {"srv-03": 1, "ups-1/string-1": 1}
    assert again.site.memory.unworn == clocked.site.memory.unworn
    assert again.site.swaps("srv-03") == 1
    assert again.site.swaps("srv-04") == 0

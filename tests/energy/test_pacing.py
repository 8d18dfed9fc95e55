"""Not too often: minimum times on and off, switchings in a window, and turns at being switched on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from eman_netconf.energy.effects import Send
from eman_netconf.energy.pacing import Inrush, Pace, Rules
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import EntityInfo, LinkState, Outcome, Quantity, Supply
from eman_netconf.errors import AppTag
from eman_netconf.yang.schema import Schema
from tests.energy.bench import DMTF, START, Bench, inlet, outlet, saved

Q = Quantity


def limited(**pacing: Any) -> dict[str, Any]:
    """The configuration of a strip whose first outlet has rules."""
    leaves = {name.replace("_", "-"): str(value) for name, value in pacing.items()}
    return {"id": "pdu", "power-interface": [{"name": "o1", "supply": {"pacing": leaves}}]}


def strip(bench: Bench, *loads: str) -> Bench:
    faces = [outlet(f"o{number}", (load, "in")) for number, load in enumerate(loads, 1)] or [outlet("o1")]
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), *faces)))
    for face in faces:
        bench.tell("pdu", Q.SUPPLY_STATE, "on", "", face.name)
    return bench


def show(bench: Bench, *, on: bool, name: str = "o1") -> None:
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "on" if on else "off", "", name)


def switched(bench: Bench, *, on: bool) -> None:
    """Switched by an action, and seen to be."""
    bench.wish(entity="pdu", interface="o1", supply=Supply.ON if on else Supply.OFF)
    bench.answer()
    show(bench, on=on)


def request(bench: Bench, leaf: str, name: str = "o1") -> str | None:
    container = bench.at("pdu", "power-interface", (name,), "supply", "request")
    return container.leaf(leaf) if container is not None else None


# --- the arithmetic


def test_minimum_times_count_from_the_last_switching() -> None:
    """Off holds for min-off, on for min-on; what would change nothing may come at any time."""
    pace = Pace(Rules(min_on=60, min_off=300))
    assert pace.earliest(on=False, at=100.0) == 100.0
    pace.moved(on=False, at=100.0)
    assert pace.earliest(on=True, at=110.0) == 400.0
    assert pace.earliest(on=False, at=110.0) == 110.0
    assert not pace.moved(on=False, at=120.0)
    pace.moved(on=True, at=500.0)
    assert pace.earliest(on=False, at=510.0) == 560.0
    assert pace.earliest(on=False, at=600.0) == 600.0


def test_a_window_takes_so_many_switchings() -> None:
    """The next one waits until the first of them has left the window."""
    pace = Pace(Rules(most=2, window=100))
    pace.moved(on=False, at=0.0)
    assert pace.earliest(on=True, at=10.0) == 10.0
    pace.moved(on=True, at=10.0)
    assert pace.earliest(on=False, at=20.0) == 100.0
    assert pace.earliest(on=False, at=101.0) == 101.0


def test_a_clock_that_was_set_back_holds_nothing_up_for_ever() -> None:
    """A switching stamped in the future counts as now."""
    pace = Pace(Rules(min_off=60))
    pace.moved(on=False, at=1_000_000.0)
    assert pace.earliest(on=True, at=100.0) == 160.0


def test_those_of_a_group_have_their_turns() -> None:
    """The first at once, each of the others a stagger later; who is in two groups keeps apart in both."""
    inrush = Inrush()
    assert [inrush.turn({"a": 2.0}, 100.0) for _ in range(3)] == [0.0, 2.0, 4.0]
    assert inrush.turn({"b": 5.0}, 100.0) == 0.0
    assert inrush.turn({"a": 2.0, "b": 5.0}, 100.0) == 6.0
    assert inrush.turn({"a": 2.0}, 200.0) == 0.0


# --- actions


def test_another_stagger_is_another_queue() -> None:
    """A stagger that was much too long keeps nobody once it is shorter."""
    inrush = Inrush()
    assert [inrush.turn({"row": 3600.0}, 100.0) for _ in range(3)] == [0.0, 3600.0, 7200.0]
    assert [inrush.turn({"row": 5.0}, 101.0) for _ in range(2)] == [0.0, 5.0]


def test_an_action_that_comes_too_early_is_refused(bench: Bench) -> None:
    """With a sentence that says from when, and the seconds until then; afterwards it is granted."""
    strip(bench).commit(limited(min_off_time=300))
    switched(bench, on=False)
    bench.wait(60)
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="pdu", interface="o1", supply=Supply.ON)
    assert refused.value.app_tag is AppTag.TOO_EARLY
    assert refused.value.retry_after == 300 - 61
    assert "pdu o1" in refused.value.reason
    assert "from 2023-11-14T22:18:20Z" in refused.value.reason
    bench.wait(refused.value.retry_after)
    switched(bench, on=True)


def test_the_rate_of_switching_is_limited(bench: Bench) -> None:
    """Whoever switches back and forth is refused when the window is full."""
    strip(bench).commit(limited(max_switchings=3, window=600))
    for on in (False, True, False):
        switched(bench, on=on)
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="pdu", interface="o1", supply=Supply.ON)
    assert refused.value.retry_after == 600 - 3
    bench.wait(600)
    switched(bench, on=True)


def test_a_cycle_has_to_fit(bench: Bench) -> None:
    """A cycle is refused whose off time is shorter than the minimum."""
    strip(bench).commit(limited(min_off_time=60))
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="pdu", interface="o1", cycle=10.0)
    assert refused.value.retry_after == 50
    bench.wish(entity="pdu", interface="o1", cycle=60.0)
    bench.answer()
    show(bench, on=False)
    bench.wait(59)
    assert bench.told() == [("o1", "on")]


def test_what_a_device_does_by_itself_counts(bench: Bench) -> None:
    """Somebody pressed the button at the strip: the times run from there."""
    strip(bench).commit(limited(min_off_time=100))
    show(bench, on=False)
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="pdu", interface="o1", supply=Supply.ON)
    assert refused.value.retry_after == 100


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNAVAILABLE])
def test_what_was_not_done_does_not_count(bench: Bench, outcome: Outcome) -> None:
    """A device that refused or could not be reached has switched nothing."""
    strip(bench).commit(limited(min_on_time=100, max_switchings=1))
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(outcome)
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    assert bench.told() == [("o1", "off")]


def test_what_may_have_been_done_counts(bench: Bench) -> None:
    """After a lost answer the outlet counts as switched."""
    strip(bench).commit(limited(min_off_time=100))
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.UNKNOWN)
    with pytest.raises(Refusal):
        bench.wish(entity="pdu", interface="o1", supply=Supply.ON)


def test_an_entity_has_its_own_pace(bench: Bench) -> None:
    """A machine that switches itself is held back like an outlet; sleep is no switching off."""
    bench.discover("srv", EntityInfo(state_sets=(DMTF,)))
    bench.tell("srv", Q.POWER_STATE, "dmtf-on")
    bench.commit({"id": "srv", "power-state": {"pacing": {"min-off-time": "120.0"}}})
    bench.wish(entity="srv", state="dmtf-off-soft")
    bench.answer()
    bench.wait(1)
    bench.tell("srv", Q.POWER_STATE, "dmtf-off-soft")
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="srv", state="dmtf-on")
    assert refused.value.retry_after == 119
    bench.wait(119)
    bench.wish(entity="srv", state="dmtf-on")
    bench.answer()
    bench.wait(1)
    bench.tell("srv", Q.POWER_STATE, "dmtf-on")
    bench.wish(entity="srv", state="dmtf-sleep-deep")


def test_the_pace_of_a_load_holds_at_its_outlet(bench: Bench) -> None:
    """A compressor keeps its rest, whether it or the outlet that feeds it is asked for."""
    strip(bench, "compressor").commit({"id": "compressor", "power-state": {"pacing": {"min-off-time": "300.0"}}})
    show(bench, on=True)
    switched(bench, on=False)
    for wish in (
        {"entity": "pdu", "interface": "o1", "supply": Supply.ON},
        {"entity": "compressor", "state": "ieee1621-on"},
    ):
        with pytest.raises(Refusal) as refused:
            bench.wish(**wish)
        assert refused.value.app_tag is AppTag.TOO_EARLY
    bench.wait(300)
    switched(bench, on=True)


def test_when_it_was_switched_is_shown(bench: Bench) -> None:
    """The last switching, and from when on it may be switched back."""
    strip(bench).commit(limited(min_off_time=300))
    switched(bench, on=False)
    pacing = bench.at("pdu", "power-interface", ("o1",), "supply", "pacing")
    assert (pacing.leaf("last-switched"), pacing.leaf("not-before")) == ("2023-11-14T22:13:20Z", "2023-11-14T22:18:20Z")


def test_the_pace_outlives_the_process(bench: Bench, schema: Schema) -> None:
    """After a restart the times run on from the last switching."""
    strip(bench).commit(limited(min_off_time=300))
    switched(bench, on=False)
    again = Bench(schema, start=START + 30)
    again.running = bench.running
    again.boot(saved(bench))
    strip_again = EntityInfo(interfaces=(inlet("in"), outlet("o1")))
    again.discover("pdu", strip_again)
    again.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    with pytest.raises(Refusal) as refused:
        again.wish(entity="pdu", interface="o1", supply=Supply.ON)
    assert refused.value.retry_after == 270


def test_the_pace_of_an_outlet_outlives_a_wish_for_its_load(bench: Bench) -> None:
    """The outlet's record is kept, whoever was asked for."""
    strip(bench, "fan").commit(limited(min_off_time=300), {"id": "fan"})
    show(bench, on=True)
    saved(bench)
    bench.wish(entity="fan", state="ieee1621-off")
    assert saved(bench)["pdu"]["interfaces"]["o1"]["switched"] == [[bench.now.wall, False]]


# --- standing wishes


def test_a_standing_wish_waits(bench: Bench) -> None:
    """It is shown as pending, with what it waits for and until when, and is sent as soon as that is over."""
    strip(bench).commit(limited(min_off_time=300))
    switched(bench, on=False)
    bench.wait(60)
    wanted = limited(min_off_time=300)
    wanted["power-interface"][0]["supply"]["admin-state"] = "on"
    bench.commit(wanted)
    bench.wish(entity="pdu", interface="o1", release=True)
    assert bench.commands() == []
    assert (request(bench, "status"), request(bench, "not-before")) == ("pending", "2023-11-14T22:18:20Z")
    assert "switched lately" in (request(bench, "waiting-for") or "")
    bench.wait(238)
    assert bench.commands() == []
    bench.wait(1)
    assert bench.told() == [("o1", "on")]
    assert request(bench, "waiting-for") is None
    bench.answer()
    show(bench, on=True)
    assert request(bench, "status") == "reached"


def test_standing_wishes_of_a_group_come_one_after_the_other(bench: Bench) -> None:
    """Outlets of a group with a stagger are switched on in turns, and off at once."""
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), *(outlet(f"o{n}", (f"l{n}", "in")) for n in range(3)))))
    loads = [{"id": f"l{n}"} for n in range(3)]
    group = {"group": [{"name": "row", "member": [f"l{n}" for n in range(3)], "stagger": "5.0"}]}

    def want(state: str) -> dict[str, Any]:
        return {"id": "pdu", "power-interface": [{"name": f"o{n}", "supply": {"admin-state": state}} for n in range(3)]}

    for n in range(3):
        bench.tell("pdu", Q.SUPPLY_STATE, "on", "", f"o{n}")
    bench.commit(*loads, want("off"), groups=group)
    assert len(bench.told()) == 3
    for _ in range(3):
        bench.answer()
    for n in range(3):
        show(bench, on=False, name=f"o{n}")
    bench.commit(*loads, want("on"), groups=group)
    assert bench.told() == [("o0", "on")]
    bench.wait(4.9)
    assert len(bench.told()) == 1
    bench.wait(0.1)
    assert len(bench.told()) == 2
    bench.wait(5)
    assert len(bench.told()) == 3


# --- whatever happens


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["on", "off", "cycle", "release", "ok", "no", "read", "stand-on", "stand-off", "gone"]),
            st.sampled_from([0.0, 1.0, 7.0, 40.0]),
        ),
        max_size=30,
    ),
    st.sampled_from([{"min_on_time": 20, "min_off_time": 30}, {"max_switchings": 2, "window": 60}]),
)
def test_nothing_is_ever_switched_too_early(
    boot: Callable[[], Bench], events: list[tuple[str, float]], rules: dict[str, int]
) -> None:
    """Whatever is wished and configured, lost and found: commands keep the times and the rate."""
    bench = strip(boot())
    bench.commit(limited(**rules))
    really = True
    for event, pause in events:
        bench.wait(pause)
        try:
            match event:
                case "on" | "off":
                    bench.wish(entity="pdu", interface="o1", supply=Supply(event))
                case "cycle":
                    bench.wish(entity="pdu", interface="o1", cycle=30.0)
                case "release":
                    bench.wish(entity="pdu", interface="o1", release=True)
                case "stand-on" | "stand-off":
                    wanted = limited(**rules)
                    wanted["power-interface"][0]["supply"]["admin-state"] = event.removeprefix("stand-")
                    bench.commit(wanted)
                case "ok" | "no":
                    waiting = bench.commands()
                    if waiting and event == "ok":
                        sent = next(e for e in bench.effects if isinstance(e, Send) and e.command.id == waiting[0].id)
                        really = sent.command.value == "on"
                    if waiting:
                        bench.answer(Outcome.ACCEPTED if event == "ok" else Outcome.REFUSED)
                case "read":
                    show(bench, on=really)
                case "gone":
                    bench.link("pdu", LinkState.STALE, error="x")
                    bench.link("pdu", LinkState.UP)
        except Refusal as refusal:
            note(refusal.reason)
        _kept(bench, rules)


def _kept(bench: Bench, rules: dict[str, int]) -> None:
    """The switchings that count now are as far apart as the rules say."""
    interface = bench.domain.site.entities["pdu"].interfaces["o1"]
    assert interface.pace is not None
    moves = list(interface.pace.moves)
    for earlier, later in pairwise(moves):
        assert later[0] - earlier[0] >= rules.get("min_on_time" if earlier[1] else "min_off_time", 0)
    most = rules.get("max_switchings", len(moves))
    for first, last in zip(moves, moves[most:], strict=False):
        assert last[0] - first[0] >= rules["window"]


def test_a_wish_that_waits_goes_on_when_the_rules_are_others(bench: Bench) -> None:
    """Whoever shortens a time that was much too long does not wait for it."""

    def configure(state: str, seconds: str) -> None:
        supply = {"admin-state": state, "pacing": {"min-off-time": seconds}}
        bench.commit({"id": "pdu", "power-interface": [{"name": "o1", "supply": supply}]})

    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1"),)))
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    configure("off", "604800")
    bench.answer()
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    configure("on", "604800")
    bench.wait(3600)
    assert bench.told() == []
    configure("on", "1")
    bench.wait(60)
    assert bench.told() == [("o1", "on")]

"""Wishes carried out: what is sent when, what readings confirm, and that request tells the truth."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eman_netconf.energy.effects import Answered, Audit, Poll
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.requests import TABLE, Input
from eman_netconf.energy.values import (
    Answer,
    EntityInfo,
    LinkState,
    Outcome,
    Quantity,
    RequestState,
    Supply,
)
from eman_netconf.yang.schema import Schema
from tests.energy.bench import DMTF, Bench, canonical, inlet, outlet, saved

Q = Quantity


def strip(bench: Bench, *loads: str) -> None:
    outlets = [outlet(f"o{number}", (load, "in")) for number, load in enumerate(loads, 1)]
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), *(outlets or [outlet("o1")]))))


def supply(bench: Bench, *, on: bool, name: str = "o1") -> None:
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "on" if on else "off", "", name)


def request(bench: Bench, *leaves: str, name: str = "o1") -> list[str | None]:
    container = bench.at("pdu", "power-interface", (name,), "supply", "request")
    return [container.leaf(leaf) if container is not None else None for leaf in leaves]


def answers(bench: Bench) -> list[tuple[int, Answer]]:
    return [(effect.request, effect.answer) for effect in bench.effects if isinstance(effect, Answered)]


def test_the_table_is_complete() -> None:
    """Every input has a meaning in every state, and only a reading makes a request reached."""
    assert set(TABLE) == {(state, happened) for state in RequestState for happened in Input}
    reaching = {happened for (state, happened), (after, _) in TABLE.items() if after is RequestState.REACHED != state}
    assert reaching == {Input.SEEN}


def test_a_wish_is_reached_when_a_reading_shows_it(bench: Bench) -> None:
    """Sent once, pending while accepted, reached with the reading; oper-state moves with nothing else."""
    strip(bench)
    supply(bench, on=True)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF, reason="repair")
    assert bench.told() == [("o1", "off")]
    assert request(bench, "status", "by", "reason", "state", "origin") == ["pending", "ann", "repair", "off", "action"]
    bench.answer(Outcome.ACCEPTED)
    assert answers(bench) == [(number, Answer.ACCEPTED)]
    assert Poll("pdu") in bench.effects
    assert bench.at("pdu", "power-interface", ("o1",), "supply", "oper-state") == "on"
    assert bench.status(number) == "pending"
    supply(bench, on=False)
    assert bench.status(number) == "reached"
    (notice,) = bench.notices("supply-switched")
    assert (notice["requested-by"], notice["request-id"]) == ("ann", str(number))
    assert any(isinstance(effect, Audit) and effect.by == "ann" for effect in bench.effects)


def test_a_reading_from_before_the_command_confirms_nothing(bench: Bench) -> None:
    """Only what held after the command was sent counts."""
    strip(bench)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.ACCEPTED)
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1", at=bench.now.wall - 5)
    assert bench.status(number) == "pending"


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [
        (Outcome.REFUSED, "failed", "refused"),
        (Outcome.UNAVAILABLE, "failed", "failed"),
        (Outcome.UNKNOWN, "outcome-unknown", "outcome-unknown"),
    ],
)
def test_what_goes_wrong_is_told(bench: Bench, outcome: Outcome, status: str, told: str) -> None:
    """The request shows it, control-failed says it with the device's reason, nothing is sent again."""
    strip(bench)
    supply(bench, on=True)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(outcome, "relay stuck")
    assert bench.status(number) == status
    (notice,) = bench.notices("control-failed")
    assert (notice["outcome"], notice["interface"], notice["request-id"]) == (told, "o1", str(number))
    assert "relay stuck" in notice["reason"]
    bench.wait(20)
    supply(bench, on=True)
    assert bench.commands() == []


def test_an_unknown_outcome_is_read_back(bench: Bench) -> None:
    """The backend is polled at once; what the reading shows decides."""
    strip(bench)
    supply(bench, on=True)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.UNKNOWN)
    assert Poll("pdu") in bench.effects
    supply(bench, on=False)
    assert bench.status(number) == "reached"


def test_a_device_that_only_says_yes_is_found_out(bench: Bench) -> None:
    """Accepted but never done: after the device had time enough the request has failed."""
    strip(bench)
    supply(bench, on=True)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.ACCEPTED)
    for _ in range(12):
        bench.wait(10)
        supply(bench, on=True)
    assert bench.status(number) == "failed"
    assert bench.notices("control-failed")[0]["outcome"] == "failed"


def test_a_poller_that_never_answers_is_not_waited_for(bench: Bench) -> None:
    """Past the deadline and some grace the outcome counts as unknown, and the point is free again."""
    strip(bench)
    number = bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.wait(600)
    assert bench.status(number) == "outcome-unknown"
    assert answers(bench) == [(number, Answer.OUTCOME_UNKNOWN)]
    assert bench.wish(entity="pdu", interface="o1", supply=Supply.ON) == number + 1


def test_a_cycle_is_off_then_on(bench: Bench) -> None:
    """Off at once, on after the off time, by timer; the one who asked is answered when it is off."""
    strip(bench)
    supply(bench, on=True)
    number = bench.wish(entity="pdu", interface="o1", cycle=10.0)
    assert bench.told() == [("o1", "off")]
    bench.answer()
    assert answers(bench) == [(number, Answer.ACCEPTED)]
    supply(bench, on=False)
    assert (bench.status(number), bench.commands()) == ("pending", [])
    bench.wait(9)
    assert bench.told() == [("o1", "on")]
    bench.answer()
    supply(bench, on=True)
    assert bench.status(number) == "reached"
    assert request(bench, "id") == [None]


def test_both_outlets_of_a_server_and_a_half_success(bench: Bench) -> None:
    """One strip refuses: the request fails and says which outlet did what."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")), outlet("o2", ("srv", "b")))))
    bench.commit({"id": "srv"})
    number = bench.wish(entity="srv", state="ieee1621-off")
    assert bench.told() == [("o1", "off"), ("o2", "off")]
    bench.answer(Outcome.ACCEPTED)
    assert bench.domain.request(number).answer is None  # type: ignore[union-attr]
    bench.answer(Outcome.REFUSED, "locked")
    status = bench.domain.request(number)
    assert status is not None
    assert (status.status, status.answer) == (RequestState.FAILED, Answer.REFUSED)
    assert status.reason == "pdu o1 off: accepted; pdu o2 off: refused (locked)"


def test_a_server_by_its_outlets(bench: Bench) -> None:
    """Switched on one by one; reached when the readings of the outlets say so; the strip carried it out."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")), outlet("o2", ("srv", "b")))))
    bench.commit({"id": "srv"})
    for name in ("o1", "o2"):
        supply(bench, on=False, name=name)
    number = bench.wish(entity="srv", state="ieee1621-on")
    assert bench.told() == [("o1", "on")]
    bench.answer()
    assert bench.commands() == []
    bench.wait(1)
    assert bench.told() == [("o2", "on")]
    bench.answer()
    for name in ("o1", "o2"):
        supply(bench, on=True, name=name)
    assert bench.status(number) == "reached"
    (notice,) = bench.notices("power-state-changed")
    assert (notice["to"], notice["through"], notice["requested-by"]) == (canonical("ieee1621-on"), ("pdu",), "ann")
    assert bench.notices("supply-switched")[0]["request-id"] == str(number)


def test_loads_shut_down_before_the_supply_is_cut(bench: Bench) -> None:
    """The server is asked; when its reading says off, the outlet is switched without waiting longer."""
    strip(bench, "srv")
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF, shutdown_timeout=120.0)
    assert bench.told() == [("", "dmtf-off-soft-graceful")]
    bench.answer()
    bench.wait(30)
    assert bench.commands() == []
    bench.tell("bmc", Q.POWER_STATE, "dmtf-off-soft")
    assert bench.told() == [("o1", "off")]


def test_the_supply_is_kept_where_a_load_does_not_go(bench: Bench) -> None:
    """With on-timeout keep the wish has failed when the time is over, naming who is still on; nothing is cut."""
    strip(bench, "srv")
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    wish = {"entity": "pdu", "interface": "o1", "supply": Supply.OFF, "shutdown_timeout": 120.0}
    number = bench.wish(**wish, keep_on_timeout=True)
    bench.answer(Outcome.REFUSED)
    bench.wait(121)
    assert bench.commands() == []
    assert bench.status(number) == "failed"
    (notice,) = bench.notices("control-failed")
    assert "srv did not shut down in time" in notice["reason"]
    bench.wish(entity="pdu", interface="o1", supply=Supply.ON)
    bench.answer()
    bench.wish(**wish, keep_on_timeout=True)
    bench.answer()
    bench.wait(1)
    bench.tell("bmc", Q.POWER_STATE, "dmtf-off-soft")
    assert bench.told() == [("o1", "off")]


def test_who_carries_it_out_is_told(bench: Bench) -> None:
    """The gateway of a lamp without a network, the strip of a load without states; of who does it itself nobody."""
    bench.discover("gw", EntityInfo(), EntityInfo("lamp", id="lamp", state_sets=(DMTF,)))
    strip(bench, "fan")
    supply(bench, on=True)
    bench.commit({"id": "fan"})
    carried = {}
    for id_ in ("lamp", "fan"):
        bench.wish(entity=id_, state="ieee1621-off")
        request = bench.domain.site.entities[id_].state_holder.in_force
        assert request is not None
        carried[id_] = request.through
    assert carried == {"lamp": ("gw",), "fan": ("pdu",)}


def test_a_load_that_does_not_go_is_cut_off_in_the_end(bench: Bench) -> None:
    """After the timeout the supply goes, whatever the load said."""
    strip(bench, "srv")
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF, shutdown_timeout=120.0)
    bench.answer(Outcome.REFUSED)
    bench.wait(119)
    assert bench.commands() == []
    bench.wait(2)
    assert bench.told() == [("o1", "off")]


def test_the_guard_looks_again_when_the_moment_comes(bench: Bench) -> None:
    """While loads shut down the other feed of a vital server failed: the command is withheld and that is told."""
    bench.commit({"id": "srv", "vital": True})
    states = EntityInfo(id="aux", state_sets=(DMTF,), interfaces=(inlet("in"),))
    bench.discover("aux", states)
    bench.discover(
        "pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a"), ("aux", "in")), outlet("o2", ("srv", "b"))))
    )
    for name in ("o1", "o2"):
        supply(bench, on=True, name=name)
    wish = {"entity": "pdu", "interface": "o1", "supply": Supply.OFF, "shutdown_timeout": 60.0}
    number = bench.wish(**wish, accept_collateral=True)
    bench.answer()
    supply(bench, on=False, name="o2")
    bench.wait(70)
    assert bench.commands() == []
    assert bench.status(number) == "failed"
    assert bench.notices("control-failed")[0]["affected"] == ("srv",)


def twice_fed(bench: Bench) -> None:
    """A vital server and an aid that is no vital one, both on o1; the server also on o2."""
    bench.commit({"id": "srv", "vital": True})
    bench.discover("aid", EntityInfo(id="aid", state_sets=(DMTF,), interfaces=(inlet("in"),)))
    bench.tell("aid", Q.POWER_STATE, "dmtf-on")
    bench.discover("lamp", EntityInfo(id="lamp", interfaces=(inlet("in"),)))
    plugs = (("srv", "a"), ("aid", "in"), ("lamp", "in"))
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", *plugs), outlet("o2", ("srv", "b")))))
    for name in ("o1", "o2"):
        supply(bench, on=True, name=name)


@pytest.mark.parametrize("end", ["withdrawn", "busy"])
def test_who_gives_up_does_not_speak_for_others(bench: Bench, end: str) -> None:
    """An outlet that one request has cut is not counted on because another that was to cut it does not any more."""
    twice_fed(bench)
    bench.wish(entity="lamp", state="ieee1621-off", shutdown_timeout=60.0, accept_collateral=True)
    assert bench.told() == [("", "dmtf-off-soft-graceful")]
    bench.answer()
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF, accept_collateral=True)
    assert bench.told() == [("o1", "off")]
    if end == "withdrawn":
        bench.answer()
        bench.wish(entity="lamp", release=True)
    else:
        bench.tell("aid", Q.POWER_STATE, "dmtf-off-soft")
        assert bench.told() == [("o1", "off")]
    with pytest.raises(Refusal, match="srv would lose"):
        bench.wish(entity="pdu", interface="o2", supply=Supply.OFF)


def test_what_was_turned_on_meanwhile_is_off_when_its_turn_comes(bench: Bench) -> None:
    """A cut that was planned long ago counts from when it is sent, though its outlet was wished on since."""
    twice_fed(bench)
    bench.wish(entity="lamp", state="ieee1621-off", shutdown_timeout=60.0, accept_collateral=True)
    bench.answer()
    bench.wish(entity="pdu", interface="o1", supply=Supply.ON)
    bench.answer()
    bench.wait(61)
    assert bench.told() == [("o1", "off")]
    with pytest.raises(Refusal, match="srv would lose"):
        bench.wish(entity="pdu", interface="o2", supply=Supply.OFF)


def test_a_limit_does_not_keep_what_goes_off(bench: Bench) -> None:
    """A strip that was turned off is not counted on because it has accepted a power limit after that."""
    bench.commit({"id": "srv", "vital": True})
    for name in ("one", "two"):
        bench.discover(
            name,
            EntityInfo(
                id=name,
                state_sets=(DMTF,),
                power_limits=(Decimal(100), Decimal(500)),
                interfaces=(outlet("o", ("srv", name)),),
            ),
        )
        bench.tell(name, Q.POWER_STATE, "dmtf-on")
    bench.wish(entity="one", state="dmtf-off-soft")
    bench.answer()
    bench.wish(entity="one", power_limit=Decimal(250))
    bench.answer()
    with pytest.raises(Refusal, match="srv would lose"):
        bench.wish(entity="two", state="dmtf-off-soft")


@pytest.mark.parametrize("other", [("typo", "o9"), ("aid", "o9")])
def test_a_feed_that_is_only_named_is_not_counted_on(bench: Bench, other: tuple[str, str]) -> None:
    """A wire to an entity or an outlet that nobody configured or discovered keeps no vital server alight."""
    bench.discover("aid", EntityInfo(id="aid", interfaces=(outlet("o1"),)))
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")),)))
    supply(bench, on=True)
    wire = {"entity": other[0], "interface": other[1]}
    inlet = {"name": "b", "direction": "inlet", "connected-to": [wire]}
    bench.commit({"id": "srv", "vital": True, "power-interface": [inlet]})
    with pytest.raises(Refusal, match="srv would lose"):
        bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)


# --- standing wishes


def standing(bench: Bench, state: str | None) -> None:
    interface = {"name": "o1", **({"supply": {"admin-state": state}} if state else {})}
    bench.commit({"id": "pdu", "power-interface": [interface]})


def test_a_standing_wish_is_applied_at_commit(bench: Bench) -> None:
    """Configured on, found off: switched; configured as it is: left alone."""
    strip(bench)
    supply(bench, on=False)
    standing(bench, "off")
    assert (bench.commands(), request(bench, "status", "origin")) == ([], ["reached", "configuration"])
    standing(bench, "on")
    assert bench.told() == [("o1", "on")]
    bench.answer()
    supply(bench, on=True)
    assert request(bench, "status") == ["reached"]
    standing(bench, None)
    assert request(bench, "status") == [None]
    assert bench.commands() == []


def test_a_standing_wish_waits_for_its_device(bench: Bench) -> None:
    """Configured before the device is there: applied with its first reading that shows something else."""
    standing(bench, "on")
    strip(bench)
    assert bench.commands() == []
    supply(bench, on=False)
    assert bench.told() == [("o1", "on")]


def test_a_standing_wish_is_restored_after_a_reconnect(bench: Bench) -> None:
    """The strip was lost and comes back with the outlet off: switched on again, once."""
    strip(bench)
    supply(bench, on=True)
    standing(bench, "on")
    supply(bench, on=False)
    assert bench.commands() == []
    bench.link("pdu", LinkState.STALE, error="x")
    strip(bench)
    supply(bench, on=False)
    assert bench.told() == [("o1", "on")]
    bench.answer()
    supply(bench, on=False)
    assert bench.commands() == []


def test_wishes_for_a_lost_device_wait_for_its_readings(bench: Bench) -> None:
    """Two wishes for a device that is away do not send each other on; back, neither is asked for again: the one whose
    outcome is unknown has failed once it reads as not done, as the other that was answered so."""
    strip(bench, "a", "b")
    supply(bench, on=True)
    supply(bench, on=True, name="o2")
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.UNKNOWN)
    bench.link("pdu", LinkState.STALE, error="x")
    bench.link("pdu", LinkState.BACKING_OFF, error="x")
    bench.wish(entity="pdu", interface="o2", supply=Supply.OFF)
    bench.answer(Outcome.UNAVAILABLE)
    assert bench.commands() == []
    strip(bench, "a", "b")
    supply(bench, on=True)
    supply(bench, on=True, name="o2")
    assert bench.told() == []
    assert request(bench, "status", name="o1") == request(bench, "status", name="o2") == ["failed"]
    assert [notice["outcome"] for notice in bench.notices("control-failed")] == ["outcome-unknown", "failed", "failed"]


def test_an_unknown_outcome_is_known_when_the_device_is_back(bench: Bench) -> None:
    """What was carried out before the device was lost is reached, and is not asked for again."""
    strip(bench)
    supply(bench, on=True)
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.UNKNOWN)
    bench.link("pdu", LinkState.STALE, error="x")
    bench.wait(1)
    strip(bench)
    supply(bench, on=False)
    assert bench.told() == []
    assert request(bench, "status") == ["reached"]


def test_a_standing_wish_that_darkens_a_vital_entity_is_withheld(bench: Bench) -> None:
    """The commit stands, the command does not go, and control-failed says who would suffer."""
    strip(bench, "srv")
    supply(bench, on=True)
    bench.commit(
        {"id": "srv", "vital": True},
        {"id": "pdu", "power-interface": [{"name": "o1", "supply": {"admin-state": "off"}}]},
    )
    assert bench.commands() == []
    (notice,) = bench.notices("control-failed")
    assert (notice["outcome"], notice["affected"]) == ("refused", ("srv",))
    assert request(bench, "status") == ["failed"]


def test_an_action_goes_before_configuration_until_it_ends(bench: Bench) -> None:
    """A momentary wish rules while it holds; when its time is over the standing one rules again."""
    strip(bench)
    supply(bench, on=True)
    standing(bench, "on")
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF, hold_time=300.0)
    bench.answer()
    supply(bench, on=False)
    assert request(bench, "origin", "state") == ["action", "off"]
    standing(bench, "on")
    bench.wait(200)
    assert bench.commands() == []
    bench.wait(100)
    assert bench.told() == [("o1", "on")]
    assert request(bench, "origin", "until") == ["configuration", None]


def test_a_released_wish_leaves_things_as_they_are(bench: Bench) -> None:
    """Without a standing wish nothing is sent; the request is gone."""
    strip(bench)
    supply(bench, on=True)
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer()
    supply(bench, on=False)
    bench.wish(entity="pdu", interface="o1", release=True)
    assert (bench.commands(), request(bench, "id")) == ([], [None])


def test_a_momentary_state_wish_and_its_release(bench: Bench) -> None:
    """set-power-state holds over a reconnect; released, admin-state rules again."""
    bench.commit({"id": "srv", "power-state": {"admin-state": canonical("dmtf-on")}})
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    bench.wait(1)
    bench.wish(entity="srv", state="dmtf-sleep-deep")
    bench.answer()
    bench.wait(1)
    bench.tell("bmc", Q.POWER_STATE, "dmtf-sleep-deep")
    shown = bench.at("srv", "power-state", "set", (canonical("ieee1621"),), "requested-state")
    assert shown == canonical("ieee1621-sleep")
    bench.link("bmc", LinkState.BACKING_OFF, error="x")
    bench.link("bmc", LinkState.UP)
    bench.wait(1)
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    assert bench.told() == [("", "dmtf-sleep-deep")]
    bench.answer()
    bench.wish(entity="srv", release=True)
    bench.wait(1)
    bench.tell("bmc", Q.POWER_STATE, "dmtf-sleep-deep")
    assert bench.told() == [("", "dmtf-on")]


def test_a_momentary_wish_survives_a_restart(schema: Schema) -> None:
    """It is in force again with its number, author and end, and is sent again if the device is not there."""
    first = Bench(schema).boot()
    strip(first)
    number = first.wish(entity="pdu", interface="o1", supply=Supply.OFF, hold_time=600.0, reason="night")
    first.answer()
    kept = saved(first)
    second = Bench(schema, start=first.now.wall + 100).boot(kept)
    strip(second)
    assert request(second, "id", "by", "reason", "state") == [str(number), "ann", "night", "off"]
    supply(second, on=True)
    assert second.told() == [("o1", "off")]
    second.wait(600)
    assert request(second, "id") == [None]
    assert second.wish(entity="pdu", interface="o1", supply=Supply.ON) > number


def test_a_transition_is_done_once(bench: Bench) -> None:
    """It leaves no wish behind."""
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    number = bench.wish(entity="srv", transition="dmtf-power-cycle-off-soft")
    assert bench.told() == [("", "dmtf-power-cycle-off-soft")]
    bench.answer()
    assert answers(bench) == [(number, Answer.ACCEPTED)]
    assert bench.at("srv", "power-state", "request") is None


def test_a_limit_is_set_shown_and_lifted(bench: Bench) -> None:
    """The limit read back makes it reached; released without a standing limit it is lifted."""
    bench.discover("bmc", EntityInfo(id="srv", power_limits=(Decimal(100), Decimal(500))))
    number = bench.wish(entity="srv", power_limit=Decimal(250))
    assert bench.told() == [("", Decimal(250))]
    bench.answer()
    bench.wait(1)
    bench.tell("bmc", Q.POWER_LIMIT, 250.0)
    assert bench.status(number) == "reached"
    assert bench.at("srv", "power-state", "power-limit", "oper-limit") == "250.0"
    bench.wish(entity="srv", release=True)
    assert bench.told() == [("", None)]


def test_one_request_supersedes_another(bench: Bench) -> None:
    """A new wish stops what the old one still had to do, and the one who waits is answered."""
    strip(bench)
    supply(bench, on=True)
    cycle = bench.wish(entity="pdu", interface="o1", cycle=60.0, reason="x")
    bench.answer()
    bench.wait(5)
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer()
    bench.wait(200)
    assert bench.commands() == []
    assert [answer for number, answer in answers(bench) if number == cycle] == [Answer.ACCEPTED]

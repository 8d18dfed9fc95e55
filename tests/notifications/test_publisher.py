"""The publisher: what each receiver is sent, and when."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.datastore.edit import at_once
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.notifications import publisher, push
from eman_netconf.notifications.publisher import LONGEST_SUSPENSION, RETRY
from eman_netconf.notifications.subscriptions import (
    IN_ALL,
    PER_SESSION,
    SN_NS,
    TABLE,
    Input,
    OnChange,
    Periodic,
    Reason,
    Refused,
    State,
    Subscription,
)
from eman_netconf.yang import sources
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, make_inner
from tests.notifications.desk import EMAN, Desk
from tests.notifications.stage import Stage
from tests.notifications.test_parts import tidy

SITE = {f"e-{number}": {"name": f"n{number}", "reachability": "reachable"} for number in range(5)}
POWER = '<power xmlns="urn:eman:yang:eman-measurement"/>'
WITHOUT_SYNC = OnChange(sync=False)


def entities(below: str) -> str:
    return f'<energy-management xmlns="{EMAN}"><entities><entity>{below}</entity></entities></energy-management>'


@cache
def loaded() -> Schema:
    """The schema, for tests that are given their arguments by Hypothesis, which would print it."""
    return sources.load()


@pytest.fixture
def desk(schema: Schema) -> Desk:
    return Desk(schema, {id_: dict(leaves) for id_, leaves in SITE.items()})


# --- states


def test_table() -> None:
    """Whatever happens to a subscription that is not concluded has an answer; a concluded one is gone."""
    assert set(TABLE) == {(state, cause) for state in State if state is not State.CONCLUDED for cause in Input}


@given(st.lists(st.sampled_from(list(Input)), max_size=12))
@settings(max_examples=150, deadline=None)
def test_walk(inputs: list[Input]) -> None:
    """Whatever happens in whatever order, a subscription is where the table says, and says so in the right order."""
    desk = Desk(loaded(), {id_: dict(leaves) for id_, leaves in SITE.items()})
    terms = desk.terms(OnChange(), entities("<id>e-1</id>"), filter_name="mine", stop=desk.now.wall + 1e6)
    subscription = desk.subscribe(1, terms)
    desk.later(1)
    expected = State.ACTIVE
    for cause in inputs:
        happens(desk, subscription, cause)
        expected = TABLE[expected, cause][0]
        assert subscription.state is expected, cause
        if expected is State.CONCLUDED:
            break
    desk.change("e-1", {"name": "last"})
    desk.full.clear()
    desk.later(LONGEST_SUSPENSION)
    suspended = ended = False
    for name in desk.names(1):
        assert not ended, f"{name} after the end"
        assert not suspended or name.startswith("subscription-") or Input.MODIFY in inputs, f"{name} while suspended"
        suspended = name == "subscription-suspended" or (suspended and name == "subscription-terminated")
        ended = name == "subscription-terminated"
    if subscription.state is State.ACTIVE:
        assert tidy(desk.held(1)) == tidy(desk.shown(subscription.terms))
    else:
        assert subscription.state is State.CONCLUDED
        assert not desk.publisher.registry.live
        assert desk.publisher.next_timer(desk.now) is None


def happens(desk: Desk, subscription: Subscription, cause: Input) -> None:
    """Make something happen to a subscription."""
    number, session = subscription.id, subscription.session
    match cause:
        case Input.MODIFY:
            desk.full.clear()
            other = desk.terms(OnChange(), entities("<id>e-2</id>"), filter_name="mine", stop=subscription.terms.stop)
            at_once(desk.publisher.modify(session, number, other, desk.now))
        case Input.ALTER:
            other = desk.terms(OnChange(), entities("<id>e-3</id>"), filter_name="mine", stop=subscription.terms.stop)
            desk.publisher.altered(subscription, other, desk.now)
        case Input.OVERFLOW:
            desk.full.add(session.id)
            for id_ in SITE:
                desk.change(id_, {"name": f"at {desk.now.mono}"})
            desk.later(1)
        case Input.RELIEF:
            desk.full.clear()
            desk.later(3 * RETRY)
        case Input.TIMEOUT:
            desk.later(LONGEST_SUSPENSION + 3 * RETRY)
        case Input.STOP:
            desk.later(2e6)
        case Input.DELETE:
            desk.publisher.delete(session, number)
        case Input.KILL:
            desk.publisher.kill(number, desk.now)
        case Input.WITHDRAW:
            desk.publisher.withdrawn(subscription, desk.now)
        case Input.LEAVE:
            desk.publisher.left(session.id)


def test_ends(desk: Desk, stage: Stage) -> None:
    """Whoever ends a subscription, nothing of it is left, and only those who do not know are told."""
    told = {"delete": 0, "left": 0, "kill": 1, "close": 1, "withdrawn": 1}
    for way, notices in told.items():
        subscription = desk.subscribe(1, desk.terms(OnChange()))
        desk.later(1)
        desk.sent.clear()
        match way:
            case "delete":
                desk.publisher.delete(subscription.session, subscription.id)
            case "kill":
                desk.publisher.kill(subscription.id, desk.now)
            case "left":
                desk.publisher.left(1)
            case "close":
                desk.publisher.close(desk.now)
            case _:
                desk.publisher.withdrawn(subscription, desk.now)
        desk.change("e-1", {"name": way})
        desk.later(10)
        assert desk.names(1) == ["subscription-terminated"] * notices, way
        assert not desk.publisher.registry.live
        assert not desk.publisher.watches_entities
        assert desk.publisher.next_timer(desk.now) is None


def test_of_others(desk: Desk) -> None:
    """A session can neither modify nor delete nor resynchronise the subscription of another."""
    subscription = desk.subscribe(1, desk.terms(OnChange()))
    other = desk.subscribe(2, desk.terms(OnChange())).session
    with pytest.raises(Refused, match="no subscription 1"):
        desk.publisher.delete(other, subscription.id)
    with pytest.raises(Refused, match="no subscription 1"):
        at_once(desk.publisher.modify(other, subscription.id, desk.terms(OnChange()), desk.now))
    with pytest.raises(Refused) as refused:
        desk.publisher.resync(other, subscription.id, desk.now)
    assert refused.value.reason is Reason.NO_SUCH_SUBSCRIPTION_RESYNC


def test_limits(desk: Desk) -> None:
    """There are only so many subscriptions in a session and in all."""
    session = 0
    while len(desk.publisher.registry.live) < IN_ALL:
        session += len(desk.publisher.registry.live) % PER_SESSION == 0
        desk.subscribe(session, desk.terms(Periodic(1e6)))
    for asking in (1, session + 1):
        with pytest.raises(Refused) as refused:
            desk.subscribe(asking, desk.terms(Periodic(1e6)))
        assert refused.value.reason is Reason.INSUFFICIENT_RESOURCES


# --- periodic


def test_periodic(desk: Desk) -> None:
    """Updates come when the subscription begins and every period after it, with what is then."""
    desk.subscribe(1, desk.terms(Periodic(10.0), entities("<id>e-1</id><name/>")))
    desk.later(5)
    assert desk.names(1) == ["push-update"]
    desk.change("e-1", {"name": "other"})
    desk.later(5)
    assert desk.names(1) == ["push-update"] * 2
    entry = desk.held(1).at("energy-management", "entities", "entity").entries["e-1",]  # type: ignore[union-attr]
    assert entry.leaf("name") == "other"


@given(
    st.floats(1.0, 1e5),
    st.one_of(st.none(), st.floats(0.0, 2e9)),
    st.floats(1e9, 2e9),
    st.lists(st.floats(0.0, 3e5), min_size=1, max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_times(period: float, anchor: float | None, wall: float, late: list[float]) -> None:
    """Updates are due at whole periods from the anchor, each later than the last and after what is past."""
    trigger = Periodic(period, anchor)
    mono = 0.0
    due = push.first_update(trigger, wall, mono)
    assert -1e-3 <= due - mono <= period * (1 + 1e-6) + 1e-3
    for delay in late:
        start = due
        now = due + delay
        due = push.next_update(trigger, due, wall + now, mono + now)
        assert due > start
        assert due >= now - period * 0.51
        if anchor is not None:
            turns = (wall + due - anchor) / period
            assert turns == pytest.approx(round(turns), abs=1e-3)


def test_alike_share(desk: Desk) -> None:
    """Equal subscriptions of one user are looked up once for all; those of another user for themselves."""
    for session, user in ((1, "ada"), (2, "ada"), (3, "bob")):
        desk.subscribe(session, desk.terms(Periodic(10.0)), user)
    desk.later(5)
    desk.seen = 0
    desk.later(10)
    assert desk.seen == 2
    assert {session: len(sent) for session, sent in desk.sent.items()} == {1: 2, 2: 2, 3: 2}


def test_too_much(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A selection larger than an update is refused; one that becomes so is suspended, and resumed when it fits."""
    monkeypatch.setattr(push, "UPDATE_BYTES", 2_000)
    desk.subscribe(1, desk.terms(Periodic(10.0)))
    desk.later(1)
    desk.change("e-9", {"description": "x" * 3_000})
    for trigger, reason in ((Periodic(10.0), Reason.UPDATE_TOO_BIG), (OnChange(), Reason.SYNC_TOO_BIG)):
        with pytest.raises(Refused) as refused:
            desk.subscribe(1, desk.terms(trigger))
        assert refused.value.reason is reason
        assert refused.value.hints == {"kilobytes-limit": "2"}
    desk.later(10)
    assert desk.names(1) == ["push-update", "subscription-suspended"]
    desk.change("e-9", None)
    desk.later(publisher.RETRY_TOO_BIG + 10)
    assert desk.names(1)[2:4] == ["subscription-resumed", "push-update"]


# --- on change


def test_cost_follows_the_change(desk: Desk) -> None:
    """When one entity changes, no other is looked at."""
    desk.subscribe(1, desk.terms(OnChange()))
    desk.later(1)
    desk.change("e-3", {"name": "moved"})
    desk.looked.clear()
    desk.later(1)
    assert set(desk.looked) == {"e-3"}
    assert desk.names(1) == ["push-update", "push-change-update"]


def test_dampening(desk: Desk) -> None:
    """After an update no other comes until the dampening period is over; then all that changed comes at once."""
    desk.subscribe(1, desk.terms(OnChange(dampening=60.0, sync=False)))
    for name in ("a", "b", "c"):
        desk.change("e-1", {"name": name})
        desk.later(1)
    assert desk.names(1) == ["push-change-update"]
    desk.later(60)
    assert desk.names(1) == ["push-change-update"] * 2
    values = desk.contents(1)[1].xpath(".//*[local-name()='value']/*/text()")
    assert values == ["c"]


def test_slow_receiver(desk: Desk) -> None:
    """A receiver without room is suspended while others go on; with room again it is told, and gets the whole."""
    for session in (1, 2):
        desk.subscribe(session, desk.terms(OnChange()))
    desk.later(1)
    desk.full.add(1)
    desk.change("e-1", {"name": "one"})
    desk.later(1)
    desk.change("e-1", {"name": "two"})
    desk.later(5)
    assert desk.names(1) == ["push-update"]
    assert desk.names(2) == ["push-update", "push-change-update", "push-change-update"]
    desk.full.clear()
    desk.later(RETRY)
    assert desk.names(1) == ["push-update", "subscription-suspended", "subscription-resumed", "push-update"]
    reason = desk.contents(1)[1].findtext(f"{{{SN_NS}}}reason") or ""
    assert reason.endswith("unsupportable-volume")
    assert desk.held(1) == desk.held(2)


def test_suspended_for_too_long(desk: Desk) -> None:
    """A receiver that stays without room loses its subscription."""
    desk.subscribe(1, desk.terms(OnChange()))
    desk.full.add(1)
    desk.later(LONGEST_SUSPENSION + 10)
    assert not desk.publisher.registry.live


def test_resync(desk: Desk) -> None:
    """resync-subscription sends the whole again, also to one that began without."""
    terms = desk.terms(WITHOUT_SYNC)
    subscription = desk.subscribe(1, terms)
    desk.later(1)
    assert not desk.sent
    desk.publisher.resync(subscription.session, subscription.id, desk.now)
    desk.later(1)
    assert desk.names(1) == ["push-update"]
    assert tidy(desk.held(1)) == tidy(desk.shown(terms))


def test_large_patch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change with many edits comes in several updates, all but the last marked incomplete."""
    monkeypatch.setattr(push, "PATCH_BYTES", 500)
    terms = desk.terms(OnChange())
    desk.subscribe(1, terms)
    desk.later(1)
    for id_ in SITE:
        desk.change(id_, {"name": "y", "description": "z" * 200})
    desk.later(1)
    updates = desk.contents(1)[1:]
    incomplete = [update.find(f"{{{push.YP_NS}}}incomplete-update") is not None for update in updates]
    assert len(updates) > 2
    assert incomplete == [True] * (len(updates) - 1) + [False]
    assert tidy(desk.held(1)) == tidy(desk.shown(terms))


def test_deadband(desk: Desk) -> None:
    """Power is told of an entity with a deadband, when it moved that far from what was told last."""

    def power(watts: str) -> dict[str, Any]:
        return {"report-deadband": "10.0", "power": {"active": watts}}

    with pytest.raises(Refused) as refused:
        desk.subscribe(1, desk.terms(OnChange(), entities(POWER)))
    assert refused.value.reason is Reason.ON_CHANGE_UNSUPPORTED
    desk.change("e-1", power("100.0"))
    desk.change("e-2", {"power": {"active": "5.0"}})
    desk.subscribe(1, desk.terms(OnChange(), entities(POWER)))
    desk.later(1)
    for watts in ("105.0", "109.9", "110.0", "119.0", "90.0"):
        desk.change("e-1", power(watts))
        desk.change("e-2", {"power": {"active": watts}})
        desk.later(1)
    told = [update.xpath("string(.//*[local-name()='value']/*)") for update in desk.contents(1)[1:]]
    assert told == ["110.0", "90.0"]


def test_other_rules_of_access(desk: Desk) -> None:
    """When who may read what changes, subscribers get the whole that they may read now."""
    terms = desk.terms(OnChange())
    desk.subscribe(1, terms)
    desk.later(1)
    desk.hidden.add("e-2")
    before = desk.roots["running"]
    nacm = make_inner(desk.schema.find("ietf-netconf-acm:nacm"), {"enable-nacm": True})
    change = diff(before, before.replace(nacm.schema, nacm))
    assert change is not None
    desk.publisher.committed(change, desk.now)
    desk.later(1)
    assert desk.names(1) == ["push-update"] * 2
    assert tidy(desk.held(1)) == tidy(desk.shown(terms))


def test_altered_filter(desk: Desk) -> None:
    """When the filter a subscription names selects something else, its receiver is told, and gets the whole."""
    terms = desk.terms(OnChange(), entities("<id>e-1</id>"), filter_name="mine")
    subscription = desk.subscribe(1, terms)
    desk.later(1)
    other = desk.terms(OnChange(), entities("<id>e-2</id>"), filter_name="mine")
    desk.publisher.altered(subscription, other, desk.now)
    desk.later(1)
    assert desk.names(1) == ["push-update", "subscription-modified", "push-update"]
    assert tidy(desk.held(1)) == tidy(desk.shown(other))


def test_altered_filter_without_sync(desk: Desk) -> None:
    """Also who began without the whole gets it when his filter selects something else, and changes after it."""
    terms = desk.terms(WITHOUT_SYNC, entities("<id>e-1</id>"), filter_name="mine")
    subscription = desk.subscribe(1, terms)
    other = desk.terms(WITHOUT_SYNC, entities("<id>e-2</id>"), filter_name="mine")
    desk.publisher.altered(subscription, other, desk.now)
    desk.later(1)
    desk.change("e-2", {"name": "after"})
    desk.later(1)
    assert desk.names(1) == ["subscription-modified", "push-update", "push-change-update"]
    assert tidy(desk.held(1)) == tidy(desk.shown(other))


def test_modified_while_suspended(desk: Desk) -> None:
    """A modification ends a suspension; what was not told of it is not told any more."""
    subscription = desk.subscribe(1, desk.terms(OnChange()))
    desk.full.add(1)
    desk.later(1)
    desk.full.clear()
    other = desk.terms(OnChange(), entities("<id>e-2</id>"))
    at_once(desk.publisher.modify(subscription.session, subscription.id, other, desk.now))
    desk.later(1)
    assert desk.names(1) == ["push-update"]
    assert tidy(desk.held(1)) == tidy(desk.shown(other))


def test_altered_while_suspended(desk: Desk) -> None:
    """A change of the filter is told when the subscription is resumed, in place of its resumption."""
    subscription = desk.subscribe(1, desk.terms(OnChange(), entities("<id>e-1</id>"), filter_name="mine"))
    desk.full.add(1)
    desk.later(1)
    other = desk.terms(OnChange(), entities("<id>e-2</id>"), filter_name="mine")
    desk.publisher.altered(subscription, other, desk.now)
    desk.full.clear()
    desk.later(2 * RETRY)
    assert desk.names(1) == ["subscription-suspended", "subscription-modified", "push-update"]


def test_a_fault_costs_nobody_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in making the update of one subscription ends that one alone."""
    broken = desk.subscribe(1, desk.terms(OnChange(), entities("<id>e-1</id>")), "bob")
    desk.subscribe(2, desk.terms(OnChange()), "ada")
    desk.later(1)
    readable = desk.readable

    def failing(session: SessionInfo, root: Inner) -> Inner:
        if session.user == "bob":
            raise ZeroDivisionError
        return readable(session, root)

    monkeypatch.setattr(desk, "readable", failing)
    desk.change("e-1", {"name": "moved"})
    desk.later(1)
    assert desk.failures == [broken.id]
    assert desk.names(1) == ["push-update", "subscription-terminated"]
    assert desk.names(2) == ["push-update", "push-change-update"]


def test_the_last_one_out(desk: Desk) -> None:
    """The outlet hears of each session one of whose subscriptions is over."""
    for session in (1, 2, 2):
        desk.subscribe(session, desk.terms(None))
    desk.publisher.left(2)
    assert desk.over == [2, 2]


def test_later_stop(desk: Desk, stage: Stage) -> None:
    """A stop-time may be moved, while events are delivered."""
    subscription = desk.subscribe(1, desk.terms(None, stop=desk.now.wall + 10))
    later = desk.terms(None, stop=desk.now.wall + 100)
    at_once(desk.publisher.modify(subscription.session, subscription.id, later, desk.now))
    desk.later(50)
    stage.wall = desk.now.wall
    desk.happen(stage.happen())
    desk.later(100)
    assert desk.names(1) == ["power-state-changed", "subscription-terminated"]


# --- the stream


def test_stream(desk: Desk, stage: Stage) -> None:
    """Events go to those who subscribed to the stream, as they happen; a suspended one misses them."""
    desk.subscribe(1, desk.terms(None))
    desk.happen(stage.happen())
    desk.full.add(1)
    desk.happen(stage.happen())
    desk.full.clear()
    desk.happen(stage.happen())
    desk.later(RETRY)
    desk.happen(stage.happen())
    assert desk.names(1) == [
        *("power-state-changed", "subscription-suspended", "subscription-resumed", "power-state-changed")
    ]


def test_stop_time(desk: Desk, stage: Stage) -> None:
    """At its stop-time a subscription is over."""
    desk.subscribe(1, desk.terms(None, stop=desk.now.wall + 10))
    desk.later(9)
    desk.happen(stage.happen())
    desk.later(2)
    desk.happen(stage.happen())
    assert desk.names(1) == ["power-state-changed", "subscription-terminated"]


# --- everything at once

LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "c"]),
        "role": st.sampled_from(["r", "s"]),
        "reachability": st.sampled_from(["reachable", "stale"]),
        "power": st.sampled_from([{"active": "1.0"}, {"active": "2.0"}]),
        "keyword": st.sampled_from([["k"], ["l", "k"]]),
    },
)
EVENTS = st.one_of(
    st.tuples(st.just("change"), st.sampled_from([*SITE, "new"]), st.one_of(st.none(), LEAVES)),
    st.tuples(st.just("later"), st.sampled_from([0.01, 0.5, 3.0, 70.0]), st.none()),
    st.tuples(st.just("full"), st.sampled_from([1, 2]), st.none()),
    st.tuples(st.just("room"), st.sampled_from([1, 2]), st.none()),
    st.tuples(st.just("resync"), st.sampled_from([1, 2]), st.none()),
)
SELECTIONS = (
    None,
    entities("<id>e-1</id>"),
    entities("<id/><reachability>stale</reachability><name/>"),
    entities("<role>r</role>"),
    entities("<keyword>l</keyword>"),
)


@given(
    st.lists(EVENTS, max_size=30),
    st.sampled_from(SELECTIONS),
    st.sampled_from(["running", "operational"]),
    st.sampled_from([0.0, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_who_makes_all_edits_holds_the_tree(
    events: list[tuple[str, Any, Any]], subtree: str | None, datastore: str, dampening: float
) -> None:
    """Whatever happens, a receiver that makes every edit it is sent ends with what the server shows."""
    desk = Desk(loaded(), {id_: dict(leaves) for id_, leaves in SITE.items()})
    terms = desk.terms(OnChange(dampening), subtree, datastore)
    subscriptions = {session: desk.subscribe(session, terms) for session in (1, 2)}
    for kind, what, how in events:
        match kind:
            case "change":
                desk.change(what, how)
            case "later":
                desk.later(what)
            case "full":
                desk.full.add(what)
            case "room":
                desk.full.discard(what)
            case _:
                subscription = subscriptions[what]
                if subscription.state is State.ACTIVE:
                    desk.publisher.resync(subscription.session, subscription.id, desk.now)
    desk.full.clear()
    desk.later(LONGEST_SUSPENSION / 2)
    for session, subscription in subscriptions.items():
        assert subscription.state is State.ACTIVE
        assert tidy(desk.held(session)) == tidy(desk.shown(terms, datastore))


def test_registry_shows(desk: Desk) -> None:
    """The list of subscriptions shows what was asked for, for whom, and how it stands."""
    desk.subscribe(7, desk.terms(None))
    shown = desk.publisher.registry.listed(desk.schema.find("ietf-subscribed-notifications:subscriptions"))
    assert isinstance(shown, Inner)
    assert b"<name>session-7</name>" in shown.xml()
    assert b"<state>active</state>" in shown.xml()

"""Whatever is wished in whatever order, answered however late or never: no vital entity goes dark by our doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from eman_netconf.energy.effects import Send
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import (
    Command,
    EntityInfo,
    LinkState,
    Outcome,
    Quantity,
    StateInfo,
    StateSetInfo,
    Supply,
)
from tests.energy.bench import Bench, inlet, outlet

SELF = StateSetInfo("ieee1621", (StateInfo("ieee1621-on"), StateInfo("ieee1621-off")), settable=True)


@dataclass
class World:
    """What is really so: which outlets are on, which strips run, who is fed by what."""

    wiring: dict[str, list[tuple[str, str]]]  # load -> outlets
    outlets: dict[tuple[str, str], bool] = field(default_factory=dict)
    running: dict[str, bool] = field(default_factory=dict)

    def lit(self, entity: str) -> bool:
        feeds = self.wiring.get(entity, [])
        return not feeds or any(self.outlets[feed] and self.running[feed[0]] and self.lit(feed[0]) for feed in feeds)

    def obey(self, command: Command) -> None:
        if command.point.interface is not None:
            self.outlets[command.backend, command.point.interface] = command.value == "on"
        else:
            self.running[command.backend] = command.value == "ieee1621-on"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Two or three strips of four outlets, one of which may hang on another; loads on one or two outlets each."""
    strips = [f"pdu{number}" for number in range(draw(st.integers(2, 3)))]
    free = {strip: [f"o{number}" for number in range(4)] for strip in strips}
    wiring: dict[str, list[tuple[str, str]]] = {}
    if len(strips) == 3 and draw(st.booleans()):
        wiring["pdu2"] = [(above := draw(st.sampled_from(strips[:2])), free[above].pop())]
    for load, feeds in (("srv", 2), ("nas", draw(st.integers(1, 2))), ("lamp", 1)):
        wiring[load] = [(strip, free[strip].pop()) for strip in draw(st.permutations(strips))[:feeds]]
    outlets = {(strip, f"o{number}"): True for strip in strips for number in range(4)}
    return World(wiring, outlets, dict.fromkeys(strips, True))


def build(bench: Bench, world: World) -> Bench:
    for strip in world.running:
        plugs: dict[str, list[tuple[str, str]]] = {f"o{number}": [] for number in range(4)}
        for load, feeds in world.wiring.items():
            for place, feed in enumerate(feeds):
                if feed[0] == strip:
                    plugs[feed[1]].append((load, f"in{place}"))
        faces = [outlet(name, *peers) for name, peers in plugs.items()]
        bench.discover(strip, EntityInfo(interfaces=(inlet("in0"), *faces), state_sets=(SELF,)))
    bench.commit(*configured(world, frozenset(), {}))
    return bench


def configured(world: World, at_work: frozenset[str], pacing: dict[str, str]) -> list[dict[str, Any]]:
    """Two vital loads; those ``at_work`` in maintenance, and every outlet with rules of ``pacing``."""
    marks = {"srv": {"vital": True}, "nas": {"vital": True}}
    faces = [{"name": f"o{number}", "supply": {"pacing": pacing}} for number in range(4)] if pacing else []
    return [
        {
            "id": id_,
            **marks.get(id_, {}),
            "maintenance": {"enabled": id_ in at_work},
            "power-interface": faces if id_ in world.running else [],
        }
        for id_ in ("srv", "nas", "lamp", *world.running)
    ]


def show(bench: Bench, world: World, strip: str) -> None:
    """The strip is read; one without power does not answer."""
    if not world.lit(strip):
        bench.link(strip, LinkState.STALE, error="no power")
        return
    bench.link(strip, LinkState.UP, duration=0.1)
    readings = [
        bench.reading(Quantity.SUPPLY_STATE, "on" if on else "off", "", name)
        for (owner, name), on in world.outlets.items()
        if owner == strip
    ]
    state = "ieee1621-on" if world.running[strip] else "ieee1621-off"
    bench.read(strip, *readings, bench.reading(Quantity.POWER_STATE, state))


def wishes(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Mostly outlets that feed somebody; now and then a strip or a load as a whole."""
    strips = sorted(world.running)
    feeds = [feed for load in ("srv", "srv", "nas", *world.wiring) for feed in world.wiring.get(load, [])]
    end = st.sampled_from(feeds or [(strips[0], "o0")])
    switch = st.builds(
        lambda end, supply, hold: {"entity": end[0], "interface": end[1], "supply": supply, "hold_time": hold},
        end,
        st.sampled_from([Supply.OFF, Supply.OFF, Supply.OFF, Supply.ON]),
        st.sampled_from([None, None, 20.0]),
    )
    cycle = st.builds(
        lambda end, timeout: {"entity": end[0], "interface": end[1], "cycle": 10.0, "shutdown_timeout": timeout},
        end,
        st.sampled_from([None, 15.0]),
    )
    state = st.builds(
        lambda entity, state: {"entity": entity, "state": state},
        st.sampled_from([*strips, *strips, "lamp"]),
        st.sampled_from(["ieee1621-off", "ieee1621-off", "ieee1621-on"]),
    )
    release = st.builds(lambda end: {"entity": end[0], "interface": end[1], "release": True}, end)
    return st.one_of(switch, state, switch, cycle, release)


@settings(max_examples=120, deadline=None)
@given(worlds(), st.data())
def test_no_plan_ever_darkens_a_vital_entity(boot: Callable[[], Bench], world: World, data: st.DataObject) -> None:
    """Random sites, wishes, readings, timers and outcomes, among them lost answers: srv and nas keep their light.

    Maintenance and limits to switching come and go meanwhile; where there is maintenance nothing is commanded.
    """
    bench = build(boot(), world)
    at_work: frozenset[str] = frozenset()
    for strip in world.running:
        show(bench, world, strip)
    protected = [load for load in ("srv", "nas") if world.lit(load)]
    for _ in range(data.draw(st.integers(3, 12))):
        sent = len(bench.effects)
        match data.draw(st.sampled_from(["wish", "wish", "wish", "answer", "answer", "read", "wait", "commit"])):
            case "commit":
                at_work = frozenset(data.draw(st.lists(st.sampled_from([*world.running, "lamp"]), max_size=2)))
                pacing = data.draw(st.sampled_from([{}, {"min-off-time": "20.0"}, {"max-switchings": "2"}]))
                note(f"{sorted(at_work)} {pacing}")
                bench.commit(*configured(world, at_work, pacing))
            case "wish":
                wish = data.draw(wishes(world))
                note(str(wish))
                try:
                    bench.wish(**wish, accept_collateral=True)
                except Refusal as refusal:
                    note(refusal.reason)
            case "answer":
                waiting = bench.commands()
                if waiting:
                    command = data.draw(st.sampled_from(waiting))
                    outcome = data.draw(st.sampled_from(list(Outcome)))
                    if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and data.draw(st.booleans())):
                        world.obey(command)
                    note(f"{command} {outcome}")
                    bench.answer(outcome, number=command.id)
            case "read":
                strip = data.draw(st.sampled_from(sorted(world.running)))
                bench.wait(1)
                show(bench, world, strip)
            case "wait":
                bench.wait(data.draw(st.sampled_from([1, 5, 12, 30])))
        dark = [load for load in protected if not world.lit(load)]
        assert not dark
        commands = [effect.command for effect in bench.effects[sent:] if isinstance(effect, Send)]
        assert not [command for command in commands if command.backend in at_work]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["off", "on", "cycle", "release", "ok", "no", "lost", "read", "wait", "gone"]), max_size=25
    )
)
def test_request_tells_the_truth(boot: Callable[[], Bench], events: list[str]) -> None:
    """However wishes, answers and readings interleave, what request says is borne out by what happened.

    Reached needs a reading of the wanted state after the command was sent; a request in force is the last wish that
    was neither released nor a finished cycle; and whoever asked is answered exactly once.
    """
    bench = boot()
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o"),)))
    really = "on"
    bench.tell("pdu", Quantity.SUPPLY_STATE, really, "", "o")
    started: list[int] = []
    in_force: int | None = None
    for event in events:
        bench.wait(1)
        match event:
            case "off" | "on" | "cycle" | "release":
                wish: dict[str, Any] = {
                    "off": {"supply": Supply.OFF},
                    "on": {"supply": Supply.ON},
                    "cycle": {"cycle": 5.0},
                    "release": {"release": True},
                }[event]
                try:
                    number = bench.wish(entity="pdu", interface="o", **wish)
                except Refusal:
                    assert bench.commands()
                    continue
                started.append(number)
                in_force = None if event == "release" else number
            case "ok" | "no" | "lost":
                waiting = bench.commands()
                if waiting:
                    if event == "ok":
                        really = str(waiting[0].value)
                    outcomes = {"ok": Outcome.ACCEPTED, "no": Outcome.REFUSED, "lost": Outcome.UNKNOWN}
                    bench.answer(outcomes[event])
            case "read":
                bench.tell("pdu", Quantity.SUPPLY_STATE, really, "", "o")
            case "wait":
                bench.wait(7)
            case "gone":
                bench.link("pdu", LinkState.STALE, error="x")
                bench.link("pdu", LinkState.UP)
        shown = bench.at("pdu", "power-interface", ("o",), "supply", "request")
        shown_id = int(shown.leaf("id")) if shown is not None else None
        status = bench.domain.request(in_force) if in_force is not None else None
        if shown_id is None and status is not None:
            assert status.state == "on"  # a cycle that is over
            assert status.status.value in ("reached", "failed")
        else:
            assert shown_id == in_force
        if shown is not None and shown.leaf("status") == "reached":
            assert bench.at("pdu", "power-interface", ("o",), "supply", "oper-state") is not None
    for _ in range(4):
        bench.wait(20)
        if bench.commands():
            bench.answer(Outcome.ACCEPTED)
    answered = [effect.request for effect in bench.effects if type(effect).__name__ == "Answered"]
    assert sorted(set(answered)) == sorted(started)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["on", "off"]), st.floats(0.1, 20)), max_size=12))
def test_reached_means_read(boot: Callable[[], Bench], moments: list[tuple[str, float]]) -> None:
    """A request for off is reached at the first reading of off that held after the command, and not before."""
    bench = boot()
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o"),)))
    bench.tell("pdu", Quantity.SUPPLY_STATE, "on", "", "o")
    bench.wait(30)
    number = bench.wish(entity="pdu", interface="o", supply=Supply.OFF)
    sent = bench.now.wall
    bench.answer(Outcome.UNKNOWN)
    expected = False
    newest = 0.0
    for state, age in moments:
        bench.wait(3)
        at = bench.now.wall - age
        taken = at > newest
        newest = max(newest, at)
        bench.tell("pdu", Quantity.SUPPLY_STATE, state, "", "o", at=at)
        expected = expected or (taken and state == "off" and at > sent)
        assert (bench.status(number) == "reached") == expected

"""The power states of one entity: what it can be in, what it is in, and what each state took of time and energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from eman_netconf.energy.accumulation import Flow, shares
from eman_netconf.energy.canonical import boolean, clipped, decimal64, optional, thousandths
from eman_netconf.energy.pacing import Pace, PacingNodes
from eman_netconf.energy.printing import Leaves
from eman_netconf.energy.requests import Request, RequestNodes
from eman_netconf.energy.state_sets import IEEE1621, StateClass, StateSets
from eman_netconf.energy.values import StateInfo, StateSetInfo
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

_decimal = decimal64(3)
# what most entities have in common until something is known of their states
_NOTHING: Mapping[str, Any] = {}
_UNKNOWN: Mapping[str, tuple[str, ...]] = {IEEE1621: ()}


class Statistics:
    """What one state took since the tracker began: milliseconds, entries, milliwatt-hours."""

    __slots__ = ("end", "entered", "last_entered", "milliseconds", "provided", "received", "row")

    def __init__(self) -> None:
        self.milliseconds = 0
        self.entered = 0
        self.last_entered: float | None = None
        self.received = 0
        self.provided = 0
        self.end: float | None = None  # wall-clock seconds up to which this holds
        self.row: Inner | None = None  # as rendered


class Tracker:
    """One set of one entity: the present state and the statistics of all. Times named ``*_mono`` are monotonic."""

    __slots__ = (
        "_carry",
        "_mono",
        "broken",
        "changed_mono",
        "node",
        "previous",
        "reason",
        "since",
        "start",
        "state",
        "statistics",
        "wall",
    )

    def __init__(self) -> None:
        self.state: str | None = None
        self.since: float | None = None
        self.reason: str | None = None
        self.previous: str | None = None
        self.changed_mono = 0.0
        self.start: float | None = None
        self.wall: float | None = None  # of the last observation
        self.broken: float | None = None
        self.statistics: dict[str, Statistics] = {}
        self.node: Inner | None = None
        self._mono: int | None = None  # microseconds of the last observation
        self._carry = 0  # microseconds not yet a millisecond

    def observe(self, state: str, wall: float, mono: float, longest: float) -> bool:
        """The entity is in ``state``; False when the reading is a duplicate or late.

        The time since the last observation goes to the state before, unless it is longer than ``longest`` seconds:
        then nobody knows, and the statistics are discontinuous.
        """
        now = round(mono * 1e6)
        if self._mono is not None and (now <= self._mono or wall == self.wall):
            return False
        before = self.state
        if before is not None:
            held = self.statistics[before]
            if self._mono is not None and now - self._mono <= longest * 1e6:
                milliseconds, self._carry = divmod(self._carry + now - self._mono, 1000)
                held.milliseconds += milliseconds
            else:
                self._break(wall)
            held.end, held.row = wall, None
        else:
            self.start = wall
        self._mono, self.wall, self.node = now, wall, None
        if state != before:
            entered = self.statistics.setdefault(state, Statistics())
            if before is not None:  # it was in the first state found before anybody looked
                entered.entered += 1
                entered.last_entered = wall
            entered.end, entered.row = wall, None
            self.previous, self.state = before, state
            self.since, self.changed_mono = wall, mono
        return True

    def flowed(self, flow: Flow, wall: float) -> None:
        """Give the energy to the state that was in force in the middle of its time."""
        if self.state is None:
            return
        state = self.state
        if self.previous is not None and (flow.since + flow.until) / 2 < self.changed_mono:
            state = self.previous
        statistics = self.statistics[state]
        statistics.received += flow.received
        statistics.provided += flow.provided
        statistics.row = self.node = None
        if flow.broken:
            self._break(wall)

    def corrected(self, received: int, provided: int, wall: float) -> None:
        """The energy of all states together is another one: each takes a share in proportion to what it has."""
        if self.state is None:
            return
        states = list(self.statistics.values())
        for taken, share in zip(states, shares(received, [taken.received for taken in states]), strict=True):
            taken.received += share
        for taken, share in zip(states, shares(provided, [taken.provided for taken in states]), strict=True):
            taken.provided += share
        present = self.statistics[self.state]
        if not any(taken.received for taken in states):
            present.received += max(received, 0)
        if not any(taken.provided for taken in states):
            present.provided += max(provided, 0)
        self._break(wall)

    def _break(self, wall: float) -> None:
        self.broken = wall
        self.upset()

    def upset(self) -> None:
        """Nothing rendered so far holds any more."""
        self.node = None
        for statistics in self.statistics.values():
            statistics.row = None

    def dump(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "since": self.since,
            "reason": self.reason,
            "start": self.start,
            "broken": self.broken,
            "carry": self._carry,
            "states": {
                state: [s.milliseconds, s.entered, s.last_entered, s.received, s.provided, s.end]
                for state, s in self.statistics.items()
            },
        }

    def load(self, saved: Mapping[str, Any], now_wall: float, *, clean: bool) -> None:
        self.state, self.since, self.reason = saved["state"], saved["since"], saved["reason"]
        self.start, self.broken, self._carry = saved["start"], saved["broken"], saved["carry"]
        for state, values in saved["states"].items():
            kept = self.statistics[state] = Statistics()
            (kept.milliseconds, kept.entered, kept.last_entered, kept.received, kept.provided, kept.end) = values
        if not clean:
            self.broken = now_wall


class StateNodes:
    """The schema nodes of the container power-state below ``entity``."""

    def __init__(self, entity: SchemaNode) -> None:
        self.container = container = entity.child("power-state")
        self.admin_state = optional(container, "admin-state")
        self.local_control = container.child("local-control")
        self.request = RequestNodes(container.child("request"))
        pacing = optional(container, "pacing")
        self.pacing = PacingNodes(pacing) if pacing is not None else None
        self.power_limit = optional(container, "power-limit")
        if self.power_limit is not None:
            self.oper_limit = self.power_limit.child("oper-limit")
            self.minimum = self.power_limit.child("minimum")
            self.maximum = self.power_limit.child("maximum")
        self.set = container.child("set")
        self.name = self.set.child("name")
        self.oper_state = self.set.child("oper-state")
        self.oper_state_since = self.set.child("oper-state-since")
        self.reason = self.set.child("reason")
        self.requested_state = self.set.child("requested-state")
        self.supported_transition = self.set.child("supported-transition")
        self.supported_state = row = self.set.child("supported-state")
        self.state = row.child("state")
        self.rank = row.child("rank")
        self.typical_power = row.child("typical-power")
        self.max_power = row.child("max-power")
        self.enter_time = row.child("enter-time")
        self.exit_time = row.child("exit-time")
        self.equivalent = row.child("equivalent")
        self.statistics = taken = row.child("statistics")
        self.total_time = taken.child("total-time")
        self.entered = taken.child("entered")
        self.last_entered = taken.child("last-entered")
        self.received = taken.child("energy-received")
        self.provided = taken.child("energy-provided")
        self.start_time = taken.child("start-time")
        self.end_time = taken.child("end-time")
        self.discontinuity_time = taken.child("discontinuity-time")
        # entities of which nothing is known share one tree: the IEEE 1621 set is there in every case
        bare = Leaves(self.set, {self.name: IEEE1621})
        self.bare = Inner(container, {self.set: ListNode(self.set, {(IEEE1621,): bare})})


class PowerStates:
    """The power states of one entity, native, mapped and configured."""

    __slots__ = (
        "_equivalents",
        "_nodes",
        "_own",
        "_provided_known",
        "_received_known",
        "_sets",
        "_shown",
        "_supported",
        "by_supply",
        "config",
        "limits",
        "local_control",
        "native",
        "node",
        "oper_limit",
        "pace",
        "trackers",
    )

    def __init__(self, nodes: StateNodes, sets: StateSets) -> None:
        self._nodes = nodes
        self._sets = sets
        self.config: Inner | None = None
        self.native: dict[str, StateSetInfo] = {}
        self.trackers: dict[str, Tracker] = {}
        self.limits: tuple[Decimal, Decimal] | None = None
        self.oper_limit: Any = None
        self.local_control: bool | None = None
        self.by_supply = False  # switched and observed by the outlets that feed the entity
        self.pace: Pace | None = None  # how often it may be switched on and off, where that is limited
        self.node: Inner | None = None
        self._received_known = self._provided_known = False
        self._own: Mapping[str, Mapping[str, Inner]] = _NOTHING  # configured rows by set and state
        self._equivalents: Mapping[str, tuple[str, ...]] = _NOTHING
        # as ``arrange`` leaves it when nothing is known
        self._shown: tuple[str, ...] = (IEEE1621,)
        self._supported: Mapping[str, tuple[str, ...]] = _UNKNOWN

    # what there is

    def learn(self, infos: Sequence[StateSetInfo], config: Inner | None) -> None:
        """Take what the device tells of its sets and what is configured below power-state."""
        if config is None and not infos and not self.known:
            return  # nothing was known, and nothing is
        sets = self._sets
        self.config = config
        self.native = {name: info for info in infos if (name := sets.find_set(info.name)) is not None}
        own: dict[str, Mapping[str, Inner]] = {}
        configured = config.get(self._nodes.set) if config is not None else None
        if isinstance(configured, ListNode):
            for (name,), entry in configured.entries.items():
                rows = entry.get(self._nodes.supported_state)
                entries = rows.entries if isinstance(rows, ListNode) else {}
                own[name] = {state: row for (state,), row in entries.items()}
        equivalents: dict[str, tuple[str, ...]] = {}
        for own_rows in own.values():
            for state, row in own_rows.items():
                equivalent = row.get(self._nodes.equivalent)
                if isinstance(equivalent, tuple):
                    equivalents[state] = equivalent
        self._own, self._equivalents = own or _NOTHING, equivalents or _NOTHING
        self.arrange()

    def arrange(self) -> None:
        """Work out which sets are shown and which states each has."""
        names = dict.fromkeys((*self.native, *(name for name in self.trackers if name not in self._own)))
        names.update(dict.fromkeys((IEEE1621, *self._own)))
        self._shown = tuple(names)
        supported: dict[str, tuple[str, ...]] = {}
        self._supported = supported  # mapped sets are worked out of those before
        for name in self._shown:
            supported[name] = self._states_of(name)
        for name, tracker in self.trackers.items():
            if tracker.start is not None:
                for state in self._supported[name]:
                    tracker.statistics.setdefault(state, Statistics())
            tracker.upset()
        self.node = None

    def _states_of(self, name: str) -> tuple[str, ...]:
        sets = self._sets
        info = self.native.get(name)
        states: dict[str, None] = {}
        if info is not None:
            found = (sets.find(state.state) for state in info.states)
            states.update((state, None) for state in found if state is not None and sets.set_of[state] == name)
        else:
            for native in self.native:
                mapped = (
                    sets.translate(state, name, (), self._equivalents) for state in self._supported.get(native, ())
                )
                states.update((state, None) for state in mapped if state is not None)
            if name == IEEE1621 and not self.native and self.by_supply:
                states.update((state, None) for state in sets.states[name] if sets.classes[state] != StateClass.SLEEP)
            tracker = self.trackers.get(name)
            if tracker is not None:
                states.update((state, None) for state in tracker.statistics)
        states.update((state, None) for state in self._own.get(name, ()))
        return tuple(sorted(states, key=lambda state: sets.ranks.get(state, 0)))

    @property
    def known(self) -> bool:
        """Whether anything is known of the states of the entity."""
        return bool(self.native or self.trackers or self._own or self.by_supply)

    def supported(self, name: str) -> tuple[str, ...]:
        return self._supported.get(name, ())

    @property
    def transitions(self) -> set[str]:
        """The transitions that some settable set of the device knows, by canonical name."""
        found = (
            self._sets.find_transition(name)
            for info in self.native.values()
            if info.settable
            for name in info.transitions
        )
        return {name for name in found if name is not None}

    def settable(self, state: str) -> str | None:
        """What to tell the device so that it goes to ``state``, in the words of a set it takes; None = it cannot."""
        own = self._sets.set_of[state]
        names = [name for name, info in self.native.items() if info.settable]
        for name in sorted(names, key=lambda name: name != own):
            told = self._sets.translate(state, name, self._supported[name], self._equivalents)
            if told is not None:
                return told
        return None

    def can_be(self, state: str) -> bool:
        """Whether ``state`` is one of the entity's, by itself or mapped; True where the device has not told yet."""
        if not self.native:
            return True
        return any(
            self._sets.translate(state, name, self._supported[name], self._equivalents) is not None
            for name in self.native
        )

    def seconds_to(self, state: str) -> float:
        """How long the device says it takes to enter ``state``; 0.0 = not known."""
        for info in self.native.values():
            for known in info.states:
                if known.enter_time is not None and self._sets.find(known.state) == state:
                    return float(known.enter_time)
        return 0.0

    # what is

    @property
    def primary(self) -> str | None:
        """The set whose readings the mapped sets follow."""
        for name in self.native:
            if name in self.trackers:
                return name
        return next(iter(self.trackers), None) if not self.native else None

    @property
    def state(self) -> str | None:
        """The present state in the words of the primary set; None = not known."""
        name = self.primary
        return self.trackers[name].state if name is not None else None

    @property
    def is_off(self) -> bool:
        """Whether the present state is one of being off."""
        state = self.state
        return state is not None and self._sets.classes[state] is StateClass.OFF

    def in_words_of(self, state: str) -> str | None:
        """The present state in the words of the set ``state`` belongs to."""
        name = self._sets.set_of[state]
        tracker = self.trackers.get(name)
        if tracker is not None:
            return tracker.state
        present = self.state
        if present is None:
            return None
        return self._sets.translate(present, name, (), self._equivalents)

    def satisfies(self, wanted: str) -> bool:
        """Whether the present state is what ``wanted`` comes to on this entity."""
        present = self.state
        if present is None:
            return False
        if present == wanted or self.in_words_of(wanted) == wanted:
            return True
        if not self.native:  # an outlet knows on and off, not the kinds of them
            return self._sets.classes[present] is self._sets.classes[wanted]
        for name in self.native:
            tracker = self.trackers.get(name)
            told = self._sets.translate(wanted, name, self._supported[name], self._equivalents)
            if tracker is not None and tracker.state is not None and tracker.state == told:
                return True
        return False

    def observe(self, state: str, wall: float, mono: float, longest: float) -> list[tuple[str, str | None, str]] | None:
        """A reading of ``state``: the changes (set, from, to) in the set it is in; None when it is late or doubled."""
        name = self._sets.set_of.get(state)
        if name is None:
            return None
        arrange = name not in self.trackers
        tracker = self.trackers.setdefault(name, Tracker())
        before = tracker.state
        if not tracker.observe(state, wall, mono, longest):
            return None
        changes = [(name, before, state)] if before != state else []
        if name == self.primary:
            for other in self._shown:
                if other != name and other not in self.native:
                    mapped = self._sets.translate(state, other, (), self._equivalents)
                    if mapped is not None:
                        arrange = arrange or other not in self.trackers
                        self.trackers.setdefault(other, Tracker()).observe(mapped, wall, mono, longest)
        if arrange:
            self.arrange()
        self.node = None
        return changes

    def explain(self, reason: str | None) -> None:
        """Why the entity is in its present state."""
        for tracker in self.trackers.values():
            tracker.reason = reason
            tracker.node = None
        self.node = None

    def flowed(self, flow: Flow, wall: float, *, received: bool, provided: bool) -> None:
        """Energy flowed; ``received`` and ``provided``: which directions are known at all."""
        upset = (received, provided) != (self._received_known, self._provided_known)
        self._received_known, self._provided_known = received, provided
        for tracker in self.trackers.values():
            tracker.flowed(flow, wall)
            if upset:
                tracker.upset()
        self.node = None

    def corrected(self, received: int, provided: int, wall: float) -> None:
        """Somebody knows better what flowed."""
        for tracker in self.trackers.values():
            tracker.corrected(received, provided, wall)
        self.node = None

    def typical(self) -> Decimal | None:
        """The typical power of the present state in watts, as configured or as the device tells; None = not known."""
        for name, tracker in self.trackers.items():
            if tracker.state is None:
                continue
            row = self._own.get(name, {}).get(tracker.state)
            configured = row.get(self._nodes.typical_power) if row is not None else None
            if isinstance(configured, str):
                return Decimal(configured)
            info = self._info(name, tracker.state)
            if info is not None and info.typical_power is not None:
                return info.typical_power
        return None

    def _info(self, name: str, state: str) -> StateInfo | None:
        told = self.native.get(name)
        if told is None:
            return None
        return next((info for info in told.states if self._sets.find(info.state) == state), None)

    # rendering

    def render(self, request: Request | None) -> Inner:
        """The container power-state, remembered until something in it changes."""
        if self.node is not None:
            return self.node
        nodes = self._nodes
        if not self.known and self.config is None and request is None and self.limits is None:
            self.node = nodes.bare
            return nodes.bare
        children: dict[SchemaNode, Data] = dict(self.config.children) if self.config is not None else {}
        if self.local_control is not None:
            children[nodes.local_control] = boolean(self.local_control)
        if request is not None:
            children[nodes.request.container] = nodes.request.render(request)
        if nodes.pacing is not None:
            nodes.pacing.lay(children, self.pace)
        self._render_limit(children)
        entries: dict[Key, Inner] = {}
        wanted = request.state if request is not None and request.wanted else None
        for name in self._shown:
            entries[name,] = self._render_set(name, wanted)
        children[nodes.set] = ListNode(nodes.set, entries)
        self.node = Inner(nodes.container, children)
        return self.node

    def _render_limit(self, children: dict[SchemaNode, Data]) -> None:
        nodes = self._nodes
        if nodes.power_limit is None or (self.limits is None and self.oper_limit is None):
            return
        configured = children.get(nodes.power_limit)
        below: dict[SchemaNode, Data] = dict(configured.children) if isinstance(configured, Inner) else {}
        if self.oper_limit is not None:
            below[nodes.oper_limit] = _decimal(self.oper_limit)
        if self.limits is not None:
            below[nodes.minimum], below[nodes.maximum] = _decimal(self.limits[0]), _decimal(self.limits[1])
        children[nodes.power_limit] = Inner(nodes.power_limit, below)

    def _render_set(self, name: str, wanted: str | None) -> Inner:
        nodes = self._nodes
        tracker = self.trackers.get(name)
        if tracker is not None and tracker.node is not None and wanted is None:
            return tracker.node
        children: dict[SchemaNode, Data] = {nodes.name: name}
        if tracker is not None and tracker.state is not None and tracker.since is not None:
            children[nodes.oper_state] = tracker.state
            children[nodes.oper_state_since] = stamp(tracker.since)
            if tracker.reason:
                children[nodes.reason] = clipped(tracker.reason)
        if wanted is not None:
            words = self._sets.translate(wanted, name, self._supported[name], self._equivalents)
            if words is not None:
                children[nodes.requested_state] = words
        info = self.native.get(name)
        if info is not None and info.transitions:
            found = (self._sets.find_transition(transition) for transition in info.transitions)
            children[nodes.supported_transition] = tuple(dict.fromkeys(item for item in found if item is not None))
        rows: dict[Key, Inner] = {}
        for state in self._supported[name]:
            statistics = tracker.statistics.get(state) if tracker is not None else None
            if statistics is not None and statistics.row is not None:
                rows[state,] = statistics.row
                continue
            row = Leaves(nodes.supported_state, self._row(name, state, tracker, statistics))
            rows[state,] = row
            if statistics is not None:
                statistics.row = row
        if rows:
            children[nodes.supported_state] = ListNode(nodes.supported_state, rows)
        node = Leaves(nodes.set, children)
        if tracker is not None and wanted is None:
            tracker.node = node
        return node

    def _row(
        self, name: str, state: str, tracker: Tracker | None, statistics: Statistics | None
    ) -> dict[SchemaNode, Data]:
        nodes, sets = self._nodes, self._sets
        children: dict[SchemaNode, Data] = {nodes.state: state, nodes.rank: str(sets.ranks.get(state, 0))}
        info = self._info(name, state)
        if info is not None:
            told = (
                (nodes.typical_power, info.typical_power),
                (nodes.max_power, info.max_power),
                (nodes.enter_time, info.enter_time),
                (nodes.exit_time, info.exit_time),
            )
            children.update((node, _decimal(value)) for node, value in told if value is not None)
        mapped = (sets.translate(state, other, (), self._equivalents) for other in self._shown if other != name)
        equivalents = tuple(dict.fromkeys(item for item in mapped if item is not None))
        if equivalents:
            children[nodes.equivalent] = equivalents
        own = self._own.get(name, {}).get(state)
        if own is not None:
            children.update(own.children)
        if tracker is not None and tracker.start is not None:
            children[nodes.statistics] = self._render_statistics(tracker, statistics or Statistics())
        return children

    def _render_statistics(self, tracker: Tracker, statistics: Statistics) -> Inner:
        nodes = self._nodes
        assert tracker.start is not None
        end = statistics.end if statistics.end is not None else tracker.start
        children: dict[SchemaNode, Data] = {
            nodes.total_time: thousandths(statistics.milliseconds),
            nodes.entered: str(statistics.entered),
            nodes.start_time: stamp(tracker.start),
            nodes.end_time: stamp(max(end, tracker.start)),
        }
        if statistics.last_entered is not None:
            children[nodes.last_entered] = stamp(statistics.last_entered)
        if self._received_known:
            children[nodes.received] = thousandths(statistics.received)
        if self._provided_known:
            children[nodes.provided] = thousandths(statistics.provided)
        if tracker.broken is not None:
            children[nodes.discontinuity_time] = stamp(tracker.broken)
        return Leaves(nodes.statistics, children)

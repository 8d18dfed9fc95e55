"""Thresholds: a quantity is watched for a level, and each crossing is told once (RFC 6988 section 5.3.6).

A value equal to the level is not beyond it, and one that is exactly the hysteresis behind it is back. A value that is
not known leaves a threshold as it was; an excess that did not yet last for the hold time has to begin anew after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from eman_netconf.energy.canonical import decimal64
from eman_netconf.energy.effects import Changed, Effect
from eman_netconf.energy.entities import Entity, EntityNodes
from eman_netconf.energy.notices import Notices
from eman_netconf.energy.places import source
from eman_netconf.energy.quantities import UNITS, SelectorNodes, selector
from eman_netconf.energy.taps import Observed, Selector, has
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Now
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

WORD = "thresholds"  # of its taps, extras and records
_LISTS = (
    "/eman-entity:energy-management/entities/entity/eman-threshold:threshold",
    "/eman-entity:energy-management/eman-group:domains/domain/eman-threshold:threshold",
    "/eman-entity:energy-management/eman-group:groups/group/eman-threshold:threshold",
)
_LOOK = 86_400.0  # seconds that a timer takes at most, so that none outlives its threshold for long
_MOST = 2**63 - 1  # millionths that a decimal64 can hold
_number = decimal64(6)


class State(StrEnum):
    """How a threshold stands."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    EXCEEDING = "exceeding"
    CROSSED = "crossed"


class Input(StrEnum):
    """What is found of its value."""

    BEYOND = "beyond the level"
    BETWEEN = "within the hysteresis"
    BACK = "back"
    LOST = "not known"
    HELD = "hold time over"


class Action(StrEnum):
    """What is done about it."""

    NONE = "none"
    WAIT = "wait for the hold time"
    TELL_CROSSED = "tell that it is crossed"
    TELL_CLEARED = "tell that it is cleared"


#: What is not here changes nothing.
TABLE: Mapping[tuple[State, Input], tuple[State, Action]] = {
    (State.UNKNOWN, Input.BEYOND): (State.EXCEEDING, Action.WAIT),
    (State.UNKNOWN, Input.BETWEEN): (State.NORMAL, Action.NONE),
    (State.UNKNOWN, Input.BACK): (State.NORMAL, Action.NONE),
    (State.NORMAL, Input.BEYOND): (State.EXCEEDING, Action.WAIT),
    (State.EXCEEDING, Input.BETWEEN): (State.NORMAL, Action.NONE),
    (State.EXCEEDING, Input.BACK): (State.NORMAL, Action.NONE),
    (State.EXCEEDING, Input.LOST): (State.NORMAL, Action.NONE),
    (State.EXCEEDING, Input.HELD): (State.CROSSED, Action.TELL_CROSSED),
    (State.CROSSED, Input.BACK): (State.NORMAL, Action.TELL_CLEARED),
}
_TOLD = {Action.TELL_CROSSED: "crossed", Action.TELL_CLEARED: "cleared"}


class Rule(NamedTuple):
    """What is configured of a threshold.

    ``level`` and ``back`` are millionths of the quantity's unit, with the sign turned for a threshold ``below``, so
    that greater is always beyond. ``watched`` is None for a quantity that nobody here reads, ``hold`` seconds.
    """

    watched: Selector | None
    enabled: bool
    above: bool
    level: int
    back: int
    hold: float
    severity: str


class _Nodes:
    """The schema nodes of a list of thresholds."""

    def __init__(self, node: SchemaNode) -> None:
        self.list = node
        self.selector = SelectorNodes(node)
        selected = (self.selector.quantity, self.selector.phase, self.selector.interface, self.selector.battery)
        self.selected = tuple(leaf for leaf in selected if leaf is not None)
        self.enabled = node.child("enabled")
        self.direction = node.child("direction")
        self.level = node.child("level")
        self.hysteresis = node.child("hysteresis")
        self.hold_time = node.child("hold-time")
        self.severity = node.child("severity")
        self.state = node.child("state")
        self.state_since = node.child("state-since")
        self.crossings = node.child("crossings")

    def rule(self, entry: Inner) -> Rule:
        above = self.value(entry, self.direction) == "above"
        level = _millionths(self.value(entry, self.level)) * (1 if above else -1)
        return Rule(
            selector(entry, self.selector),
            self.value(entry, self.enabled) == "true",
            above,
            level,
            level - _millionths(self.value(entry, self.hysteresis)),
            float(self.value(entry, self.hold_time)),
            self.value(entry, self.severity),
        )

    @staticmethod
    def value(entry: Inner, node: SchemaNode) -> str:
        """What is configured, or else the default; a leaf that has neither is ""."""
        value = entry.get(node)
        return value if isinstance(value, str) else node.default or ""


class Threshold:
    """One threshold: the state machine and what it needs to remember."""

    __slots__ = (
        "_beyond",
        "_due",
        "_found",
        "_home",
        "_node",
        "config",
        "crossings",
        "name",
        "rule",
        "since",
        "state",
        "value",
    )

    def __init__(self, home: _Home, name: str, config: Inner) -> None:
        self._home = home
        self.name = name
        self.config = config
        self.rule = home.nodes.rule(config)
        self.state = State.UNKNOWN
        self.since: float | None = None  # wall-clock seconds at which what is shown as its state began
        self.crossings = 0
        self.value: int | None = None  # millionths; None = not known
        self._beyond = (0.0, 0.0)  # since when it exceeds: by the wall clock and the monotonic one
        self._found: Input | None = None  # of the last value
        self._due: float | None = None  # when the timer that is set for it runs
        self._node: Inner | None = None

    @property
    def crossed(self) -> bool:
        """Whether it is crossed, as far as it watches at all."""
        return self.state is State.CROSSED and self.rule.enabled

    @property
    def unsure(self) -> bool:
        """Whether it watches, and no value was known yet."""
        return self.state is State.UNKNOWN and self.rule.enabled

    @property
    def node_of_list(self) -> SchemaNode:
        return self._home.nodes.list

    @property
    def text(self) -> str:
        """In words, what holds while it is crossed."""
        nodes, config = self._home.nodes, self.config
        quantity, *parts = (nodes.value(config, node).rpartition(":")[2] for node in nodes.selected)
        of = " of ".join(each for each in (*parts, self._home.key.rpartition(":")[2]) if each)
        direction, level = nodes.value(config, nodes.direction), nodes.value(config, nodes.level)
        unit = UNITS[self.rule.watched.quantity] if self.rule.watched is not None else ""
        return f"The {quantity} of {of} is {direction} {level} {unit}".rstrip()

    def configure(self, config: Inner, now: Now, out: list[Effect]) -> None:
        """Take the configured entry; the last value is judged by it at once."""
        if config is self.config:
            return
        before, self.config, self.rule = self.rule, config, self._home.nodes.rule(config)
        self._node = None
        if (before.watched, before.above) != (self.rule.watched, self.rule.above):
            self.state, self.since, self.crossings, self.value = State.UNKNOWN, None, 0, None
            self._found = None
            self._home.keep(self)
        elif before != self.rule and self.state is State.EXCEEDING:
            self.state = State.NORMAL  # of another level nobody knows how long it was exceeded
            self._found = None
        if not self.rule.enabled:
            self.observe(None, "", now.wall, now.mono, out)
        elif self.value is not None:
            self.observe(self.value, "", now.wall, now.mono, out)

    def observe(self, value: int | None, method: str, wall: float, mono: float, out: list[Effect]) -> None:
        """The quantity had ``value`` millionths at ``wall`` and ``mono``, or is not known any more (taps.Tap)."""
        if self.state is State.EXCEEDING:
            self._held(mono, out)
        self.value = value
        if value is None:
            happened = Input.LOST
        else:
            rule = self.rule
            outward = value if rule.above else -value
            happened = Input.BEYOND if outward > rule.level else Input.BACK
            if happened is Input.BACK and outward > rule.back:
                happened = Input.BETWEEN
        if happened is self._found:  # the table has nothing more for what it has acted upon
            return
        self._found = happened
        if (self.state, happened) in TABLE:
            if happened is Input.BEYOND:
                self._beyond = wall, mono
            self._step(happened, wall, out)
            if self.state is State.EXCEEDING and not self._held(mono, out):
                self._wait(mono)

    def _held(self, mono: float, out: list[Effect]) -> bool:
        """Whether the hold time is over; a timer that ran late makes no difference."""
        since_wall, since_mono = self._beyond
        over = mono >= since_mono + self.rule.hold
        if over:
            self._step(Input.HELD, since_wall + self.rule.hold, out)
        return over

    def _wait(self, mono: float) -> None:
        due = min(self._beyond[1] + self.rule.hold, mono + _LOOK)
        if self._due is None or due < self._due:
            self._due = due
            self._home.timers.at(due, self._timer)

    def _timer(self, now: Now, out: list[Effect]) -> None:
        """One timer at a time: set again if the excess began anew meanwhile."""
        if self._due is None or now.mono < self._due:
            return
        self._due = None
        if self.state is State.EXCEEDING and not self._held(now.mono, out):
            self._wait(now.mono)

    def _step(self, happened: Input, wall: float, out: list[Effect]) -> None:
        before = self._shown()
        self.state, action = TABLE[self.state, happened]
        if action is Action.TELL_CROSSED:
            self.crossings += 1
        if self._shown() != before:
            self.since, self._node = wall, None
            self._home.keep(self)
            self._home.turned(out)
        if action in _TOLD:
            out.append(self._home.notice(self, _TOLD[action], wall))

    def _shown(self) -> str | None:
        """The leaf state: an excess that does not last is none."""
        if self.state is State.UNKNOWN:
            return None
        return State.CROSSED if self.state is State.CROSSED else State.NORMAL

    def retire(self) -> None:
        """It is not configured any more; a timer that is set finds nothing to do."""
        self.state = State.UNKNOWN

    def render(self) -> Inner:
        """The entry, remembered until something in it changes."""
        if self._node is None:
            nodes, shown = self._home.nodes, self._shown()
            children = dict(self.config.children)
            if self.rule.enabled and shown is not None and self.since is not None:
                children[nodes.state] = shown
                children[nodes.state_since] = stamp(self.since)
            children[nodes.crossings] = str(self.crossings)
            self._node = Inner(nodes.list, children)
        return self._node

    def leaves(self, event: str) -> dict[str, str | None]:
        """Those of the notification of ``event``."""
        nodes, config = self._home.nodes, self.config
        assert self.value is not None
        assert self.rule.watched is not None
        return {
            "threshold": self.name,
            **{node.name: nodes.value(config, node) or None for node in nodes.selected},
            "source": source(self._home.observed, self.rule.watched),
            "event": event,
            "direction": nodes.value(config, nodes.direction),
            "level": nodes.value(config, nodes.level),
            "value": _number(Decimal(max(min(self.value, _MOST), -_MOST)).scaleb(-6)),
            "severity": self.rule.severity,
        }

    # --- what outlives the process

    def dump(self) -> dict[str, Any] | None:
        """JSON-able; None = there is nothing to remember."""
        shown = self._shown()
        return None if shown is None else {"state": shown, "since": self.since, "crossings": self.crossings}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take up a record, which is left alone where it is none."""
        state, since, crossings = saved.get("state"), saved.get("since"), saved.get("crossings")
        if state in (State.NORMAL, State.CROSSED) and isinstance(since, int | float) and isinstance(crossings, int):
            self.state, self.since, self.crossings = State(state), float(since), crossings


class _Home:
    """The thresholds of one observed thing (taps.Extra)."""

    __slots__ = ("_thresholds", "by_name", "config", "key", "nodes", "observed")

    def __init__(self, thresholds: Thresholds, nodes: _Nodes, key: str, observed: Observed) -> None:
        self._thresholds = thresholds
        self.nodes = nodes
        self.key = key
        self.observed = observed
        self.config: ListNode | None = None
        self.by_name: dict[str, Threshold] = {}

    @property
    def timers(self) -> Timers:
        return self._thresholds.timers

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        entries: dict[Key, Inner] = {(name,): threshold.render() for name, threshold in self.by_name.items()}
        children[self.nodes.list] = ListNode(self.nodes.list, entries)

    def keep(self, threshold: Threshold) -> None:
        """What is remembered of a threshold is not what it was."""
        self._thresholds.unsaved[self.key, threshold.name] = None

    def turned(self, out: list[Effect]) -> None:
        """What is shown is not what it was."""
        self.observed.stir()
        if isinstance(self.observed, Entity):
            out.append(Changed(self.key, "threshold"))
        else:
            self._thresholds.upset.add(self.key)

    def notice(self, threshold: Threshold, event: str, wall: float) -> Effect:
        notices, leaves = self._thresholds.notices, threshold.leaves(event)
        if isinstance(self.observed, Entity):
            return notices.about("threshold-crossed", self.observed, wall, leaves)
        subject = {self.observed.node_of_list.name: self.key.partition(":")[2]}
        return notices.about_total("threshold-crossed", wall, {**subject, **leaves})


class Thresholds:
    """All thresholds: follows what is observed (taps.Follower), and keeps how they stand."""

    def __init__(self, schema: Schema, nodes: EntityNodes, timers: Timers, notices: Notices) -> None:
        self.timers = timers
        self.notices = notices
        self.upset: set[str] = set()  # keys of totals of which a threshold stands otherwise since somebody looked
        self.unsaved: dict[tuple[str, str], None] = {}  # keys and names
        self._nodes = {node.parent: _Nodes(node) for node in map(schema.find, _LISTS)}
        self._homes: dict[str, _Home] = {}
        self._waiting: dict[str, Mapping[str, Any]] = {}  # records of an earlier life
        nodes.laid |= {each.list for each in self._nodes.values()}

    def of(self, key: str) -> Mapping[str, Threshold]:
        """The thresholds of an entity, by its id, or of a total by its key."""
        home = self._homes.get(key)
        return home.by_name if home is not None else {}

    # --- what is observed

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        key, nodes = observed.record_key, self._nodes[observed.node_of_list]
        configured = observed.config.get(nodes.list) if observed.config is not None else None
        home = self._homes.get(key)
        if not isinstance(configured, ListNode):
            if home is not None:
                self.leave(key, now, out)
                observed.tapped.pop(WORD, None)
                observed.extras.pop(WORD, None)
                home.turned(out)
            return
        if home is None:
            home = self._homes[key] = _Home(self, nodes, key, observed)
        home.observed = observed
        if home.config is not configured:
            home.config = configured
            self._configure(home, configured, now, out)
        observed.extras[WORD] = home
        enabled = [each for each in home.by_name.values() if each.rule.enabled]
        observed.tapped[WORD] = tuple((each.rule.watched, each) for each in enabled if each.rule.watched is not None)
        for watched, threshold in observed.tapped[WORD]:
            if not has(observed, watched):
                threshold.observe(None, "", now.wall, now.mono, out)

    def _configure(self, home: _Home, configured: ListNode, now: Now, out: list[Effect]) -> None:
        for name in [name for name in home.by_name if (name,) not in configured.entries]:
            home.by_name.pop(name).retire()
            self.unsaved[home.key, name] = None
        known = home.by_name
        home.by_name = {}
        for (name,), entry in configured.entries.items():
            threshold = known.get(name)
            if threshold is None:
                threshold = Threshold(home, name, entry)
                threshold.load(self._waiting.pop(_name(home.key, name), {}))
            home.by_name[name] = threshold
            threshold.configure(entry, now, out)
        home.turned(out)

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(record_key, None)
        for name, threshold in home.by_name.items() if home is not None else ():
            threshold.retire()
            self.unsaved[record_key, name] = None
        self.upset |= {record_key} if ":" in record_key else set()

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(before, None)
        if home is not None:
            self.unsaved.update(dict.fromkeys((key, name) for key in (before, after) for name in home.by_name))
            home.key = after
            self._homes[after] = home

    # --- what outlives the process

    def restore(self, saved: Mapping[str, Mapping[str, Any]], /) -> None:
        """Take up the records of an earlier life, before anything is observed."""
        self._waiting = dict(saved)

    def dirty(self, limit: int, /) -> list[tuple[str, dict[str, Any] | None]]:
        """At most ``limit`` records that changed since they were asked for, by name; None = it may be deleted."""
        found: list[tuple[str, dict[str, Any] | None]] = []
        while self._waiting and len(found) < limit:  # of thresholds that were not configured when all was
            found.append((self._waiting.popitem()[0], None))
        keys = [key for key, _ in zip(self.unsaved, range(limit - len(found)), strict=False)]
        return found + [(_name(*key), self._record(*key)) for key in keys]

    def _record(self, key: str, name: str) -> dict[str, Any] | None:
        del self.unsaved[key, name]
        threshold = self.of(key).get(name)
        return threshold.dump() if threshold is not None else None


def _name(key: str, name: str) -> str:
    """Of a record: neither ids nor names have a slash."""
    return f"{key}/{name}"


def _millionths(text: str) -> int:
    return int(Decimal(text).scaleb(6))

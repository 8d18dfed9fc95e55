"""All series of the site: whose they are, when they begin and end, and how many samples they may keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from eman_netconf.energy.canonical import decimal64
from eman_netconf.energy.changes import touched
from eman_netconf.energy.effects import Changed, Effect, Notify, Record
from eman_netconf.energy.entities import Entity, EntityNodes
from eman_netconf.energy.ledger import Rounds, Wall
from eman_netconf.energy.measurements import METHOD_NAMES, Meter
from eman_netconf.energy.notices import Notices
from eman_netconf.energy.places import source
from eman_netconf.energy.samples import Sample, Stretch, trusted
from eman_netconf.energy.series import CAPACITY, EnergySeries, Interval, Series, SeriesNodes, ValueSeries
from eman_netconf.energy.taps import Observed, Selector
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Now
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step, path_text

if TYPE_CHECKING:
    from eman_netconf.yang.diff import Change

WORD = "series"  # of its taps, extras and records
ALL = 50_000_000  # samples that all series together may keep, which take some 100 MB
PACE = 10_000.0  # steps of sliding intervals that all series together may add up in a second
_STEPS = 1000  # of them in one batch of records
_LISTS = (
    "/eman-entity:energy-management/entities/entity/eman-series:series",
    "/eman-entity:energy-management/eman-group:domains/domain/eman-series:series",
    "/eman-entity:energy-management/eman-group:groups/group/eman-series:series",
)
_percent = decimal64(2)


class _Home:
    """The series of one observed thing (taps.Extra)."""

    __slots__ = ("_collector", "by_name", "config", "key", "nodes", "observed")

    def __init__(self, collector: Collector, nodes: SeriesNodes, key: str, observed: Observed) -> None:
        self._collector = collector
        self.nodes = nodes
        self.key = key
        self.observed = observed
        self.config: ListNode | None = None
        self.by_name: dict[str, Series] = {}

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        entries: dict[Key, Inner] = {(name,): series.render() for name, series in self.by_name.items()}
        children[self.nodes.list] = ListNode(self.nodes.list, entries)

    def keep(self, series: Series) -> None:
        self._collector.unsaved[self.key, series.name] = None

    def turned(self, out: list[Effect]) -> None:
        """What is shown is not what it was."""
        self.observed.changed()
        if isinstance(self.observed, Entity):
            out.append(Changed(self.key, "series"))

    def notice(self, series: Series, samples: list[Sample], wall: float) -> Effect:
        """A block of new values is told."""
        nodes, observed, notices = self.nodes, self.observed, self._collector.notices
        assert series.rule.watched is not None
        leaves: dict[str, str | None] = {
            "series": series.name,
            **{node.name: nodes.value(series.config, node) or None for node in nodes.selected},
            "source": source(observed, series.rule.watched),
        }
        if isinstance(observed, Entity):
            notify = notices.about("series-samples", observed, wall, leaves)
        else:
            subject = {observed.node_of_list.name: self.key.partition(":")[2]}
            notify = notices.about_total("series-samples", wall, {**subject, **leaves})
        node = notify.notification.schema.child("value")
        entries: dict[Key, Inner] = {(stamp(sample.end),): _entry(node, series, sample) for sample in samples}
        return Notify(notify.notification.replace(node, ListNode(node, entries)), notify.entity)


def _entry(node: SchemaNode, series: Series, sample: Sample) -> Inner:
    assert sample.value is not None
    leaves = {
        "end-time": stamp(sample.end),
        "start-time": stamp(sample.start),
        "value": series.text(sample.value),
        "method": METHOD_NAMES[sample.method],
        "coverage": _percent(sample.coverage),
        "mark": trusted(sample.mark, sample.coverage, energy=series.rule.counts).value,
    }
    return Inner(node, {node.child(name): text for name, text in leaves.items()})


class Collector:
    """All series: follows what is observed (taps.Follower), and keeps what they need (server.energy.Keeper)."""

    def __init__(self, schema: Schema, nodes: EntityNodes, timers: Timers, wall: Wall, notices: Notices) -> None:
        self.notices = notices
        self.unsaved: dict[tuple[str, str], None] = {}  # keys and names
        self._timers = timers
        self._wall = wall
        self._nodes: dict[SchemaNode, SeriesNodes] = {}
        for node in map(schema.find, _LISTS):
            assert node.parent is not None
            self._nodes[node.parent] = SeriesNodes(node)
        self._homes: dict[str, _Home] = {}
        self._waiting: dict[str, Mapping[str, Any]] = {}  # records of an earlier life
        self._unlooked = False  # whether some of them are of series that are configured no more
        self._rounds: dict[int, Rounds] = {}  # by length
        self._taken = 0  # samples that all of them may keep
        self._pace = 0.0  # steps that all of them add up in a second
        nodes.laid |= {each.list for each in self._nodes.values()}

    # --- configuration

    def refused(self, change: Change) -> list[RpcError]:
        """What of a change of configuration asks for more than can be kept."""
        errors: list[RpcError] = []
        taken, pace = self._taken, self._pace
        for owner, nodes in self._nodes.items():
            for key, old, new in touched(change, owner):
                before = dict(_claims(nodes, old))
                taken -= sum(capacity for capacity, _ in before.values())
                pace -= sum(steps for _, steps in before.values())
                for name, (capacity, steps) in _claims(nodes, new):
                    taken, pace = taken + capacity, pace + steps
                    kept, slid = before.get(name, (0, 0.0))
                    if capacity > kept and (capacity > CAPACITY or taken > ALL):
                        errors.append(_too_much(nodes, key, name, capacity > CAPACITY))
                    if steps > slid and pace > PACE:
                        errors.append(_too_fast(nodes, key, name))
        return errors

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
        for series in home.by_name.values():
            self._track(home, series, now, out)
        observed.tapped[WORD] = tuple(
            (series.rule.watched, series.track)
            for series in home.by_name.values()
            if isinstance(series.track, ValueSeries) and series.rule.watched is not None
        )

    def _configure(self, home: _Home, configured: ListNode, now: Now, out: list[Effect]) -> None:
        known, home.by_name = home.by_name, {}
        for (name,), entry in configured.entries.items():
            series = known.pop(name, None)
            if series is not None and series.config is not entry and series.rule != home.nodes.rule(entry):
                self._drop(home, series, now, out)
                series = None
            if series is None:
                series = Series(home, name, entry, now.wall)
                series.load(self._waiting.get(_name(home.key, name), {}))
                self._taken += series.capacity
                self._pace += series.rule.pace
                out.append(Record(series.kept(series.capacity)))
            elif series.config is not entry:
                self._taken -= series.capacity
                series.reconfigure(entry)
                self._taken += series.capacity
                out.append(Record(series.kept(series.capacity)))
            home.by_name[name] = series
        for series in known.values():
            self._drop(home, series, now, out)
        home.turned(out)

    def _track(self, home: _Home, series: Series, now: Now, out: list[Effect]) -> None:
        """Begin to collect, go on with another meter, or end."""
        watched, observed, nodes = series.rule.watched, home.observed, home.nodes
        enabled = nodes.value(series.config, nodes.enabled) == "true"
        meter = _meter(observed, watched) if watched is not None and enabled else None
        track = series.track
        if watched is not None and enabled and not series.rule.counts and isinstance(track, ValueSeries):
            return
        if isinstance(track, EnergySeries) and track.meter is meter:
            return
        self._untrack(series, now, out)
        if watched is None or not enabled or (series.rule.counts and (meter is None or watched.phase)):
            return
        if series.rule.counts and meter is not None:
            series.track = EnergySeries(series, self._wall, meter)
            meter.listeners += (series.track,)
        else:
            series.track = ValueSeries(series, self._wall, observed)
        series.resume(self._waiting.pop(_name(home.key, series.name), {}))
        length = series.rule.length
        self._rounds.setdefault(length, Rounds(length, self._timers, self._wall)).add(series, now)

    def _untrack(self, series: Series, now: Now, out: list[Effect]) -> None:
        if series.track is None:
            return
        self._rounds[series.rule.length].remove(series, now, out)
        if isinstance(series.track, EnergySeries):
            meter, gone = series.track.meter, series.track
            meter.listeners = tuple(listener for listener in meter.listeners if listener is not gone)
        series.track = None

    def _drop(self, home: _Home, series: Series, now: Now, out: list[Effect]) -> None:
        """It is configured no more, or is another series now."""
        self._untrack(series, now, out)
        self._taken -= series.capacity
        self._pace -= series.rule.pace
        self.unsaved[home.key, series.name] = None
        out.append(Record(series.kept(0)))

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(record_key, None)
        for series in home.by_name.values() if home is not None else ():
            assert home is not None
            self._drop(home, series, now, out)

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(before, None)
        if home is not None:
            self.unsaved.update(dict.fromkeys((key, name) for key in (before, after) for name in home.by_name))
            home.key = after
            self._homes[after] = home

    def corrected(self, effects: Iterable[Effect]) -> None:
        """Follow the corrections of energy among ``effects``."""
        for effect in effects:
            if not isinstance(effect, Record) or not isinstance(effect.what, Stretch):
                continue
            home = self._homes.get(effect.what.owner)
            for series in home.by_name.values() if home is not None else ():
                if series.channel.part == effect.what.part:
                    series.corrected(effect.what)

    # --- what outlives the process

    def restore(self, saved: Mapping[str, Mapping[str, Any]], /) -> None:
        """Take up the records of an earlier life, before anything is observed."""
        self._waiting = dict(saved)
        self._unlooked = True

    def dirty(self, limit: int, /) -> list[tuple[str, dict[str, Any] | None]]:
        """At most ``limit`` records that changed since they were asked for, by name; None = it may be deleted. Of long
        ones fewer, so that nobody waits for them.
        """
        if self._unlooked:  # the first time: all that is configured has its series by now
            self._unlooked = False
            there = {_name(home.key, name) for home in self._homes.values() for name in home.by_name}
            self.unsaved.update(dict.fromkeys(_key(name) for name in self._waiting if name not in there))
        found: list[tuple[str, dict[str, Any] | None]] = []
        steps = 0
        while self.unsaved and len(found) < limit and steps < _STEPS:
            key = next(iter(self.unsaved))
            record = self._record(*key)
            steps += len(record["ring"]) if record is not None else 0
            found.append((_name(*key), record))
        return found

    def _record(self, key: str, name: str) -> dict[str, Any] | None:
        del self.unsaved[key, name]
        home = self._homes.get(key)
        series = home.by_name.get(name) if home is not None else None
        return series.dump() if series is not None else None


def _meter(observed: Observed, watched: Selector) -> Meter | None:
    if watched.battery:
        return None
    if not watched.interface:
        return observed.meter
    interface = observed.interfaces.get(watched.interface)
    return interface.meter if interface is not None else None


def _claims(nodes: SeriesNodes, entry: Inner | None) -> Iterator[tuple[str, tuple[int, float]]]:
    """Samples that each series wants to keep, and steps that it wants to add up in a second, by its name."""
    configured = entry.get(nodes.list) if entry is not None else None
    for (name,), series in configured.entries.items() if isinstance(configured, ListNode) else ():
        slides = nodes.value(series, nodes.interval) == Interval.SLIDING
        yield name, (nodes.number(series, nodes.capacity), nodes.rule(series).pace if slides else 0.0)


def _too_much(nodes: SeriesNodes, key: Key, name: str, alone: bool) -> RpcError:
    most = f"A series keeps {CAPACITY} samples at most" if alone else f"All series together keep {ALL} samples at most"
    text = f"{most}; choose a smaller capacity, or longer intervals."
    return RpcError(ErrorTag.RESOURCE_DENIED, text, path=path_text((*_place(nodes, key, name), Step(nodes.capacity))))


def _too_fast(nodes: SeriesNodes, key: Key, name: str) -> RpcError:
    text = (
        f"The sliding intervals of all series together are added up of {PACE:.0f} steps a second at most; "
        "choose longer steps, or a shorter window."
    )
    return RpcError(ErrorTag.RESOURCE_DENIED, text, path=path_text((*_place(nodes, key, name), Step(nodes.window))))


def _place(nodes: SeriesNodes, key: Key, name: str) -> Path:
    owner = nodes.list.parent
    assert owner is not None
    return (*(Step(node) for node in reversed([*owner.ancestors()])), Step(owner, key), Step(nodes.list, (name,)))


def _name(key: str, name: str) -> str:
    """Of a record: neither ids nor names have a slash."""
    return f"{key}/{name}"


def _key(name: str) -> tuple[str, str]:
    key, _, series = name.partition("/")
    return key, series

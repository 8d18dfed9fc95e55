"""The ways to the devices: the state of each link, its statistics, and the points its readings belong to."""

from __future__ import annotations

from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.canonical import clipped, decimal64
from eman_netconf.energy.effects import Effect, Warn
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.values import LinkState, Now, Point
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner

_seconds = decimal64(3)
_SHORTEST_GAP = 60.0  # seconds without a reading that are always bridged
_DEFAULT_INTERVAL = 10.0
_MOST_UNKNOWN = 16  # unknown points that are remembered

#: What a link is in when its device does not answer.
LOST = frozenset({LinkState.STALE, LinkState.BACKING_OFF})


class LinkNodes:
    """The schema nodes of the list backend."""

    def __init__(self, schema: Schema) -> None:
        self.backends = schema.find("/eman-entity:energy-management/eman-backend:backends")
        self.backend = backend = self.backends.child("backend")
        self.name = backend.child("name")
        self.poll_interval = backend.child("poll-interval")
        self.timeout = backend.child("timeout")
        self.enabled = backend.child("enabled")
        self.link = link = backend.child("link")
        self.state = link.child("state")
        self.state_since = link.child("state-since")
        self.last_contact = link.child("last-contact")
        self.last_error = link.child("last-error")
        self.polls = link.child("polls")
        self.failures = link.child("failures")
        self.poll_duration = link.child("poll-duration")
        self.unknown_readings = link.child("unknown-readings")
        self.unknown_point = link.child("unknown-point")


class Link:
    """The way to one configured backend, as its poller tells of it."""

    __slots__ = (
        "_nodes",
        "enabled",
        "error",
        "failures",
        "last_contact",
        "lost",
        "missed",
        "name",
        "node",
        "points",
        "poll_duration",
        "poll_interval",
        "polls",
        "since",
        "state",
        "tells",
        "timeout",
        "unknown_points",
        "unknown_readings",
        "unusable",
    )

    def __init__(self, nodes: LinkNodes, name: str) -> None:
        self._nodes = nodes
        self.name = name
        self.state = LinkState.CLOSED
        self.since: float | None = None
        self.last_contact: float | None = None
        self.error: str | None = None
        self.polls = 0
        self.failures = 0
        self.poll_duration: float | None = None
        self.poll_interval = _DEFAULT_INTERVAL
        self.timeout = 15.0
        self.enabled = True
        self.lost = False  # backend-unreachable was sent, backend-recovered not yet
        self.unusable = False  # as it is configured, nothing can be tried
        self.points: dict[Point, tuple[Entity, Interface | Battery | None]] = {}
        self.tells: dict[str, str] = {}  # local name -> entity id
        self.missed: dict[str, float] = {}  # local names without readings, since when (monotonic)
        self.unknown_readings = 0  # of points that belong to nothing here
        self.unknown_points: dict[Point, None] = {}  # the first few of them
        self.node: Inner | None = None

    def unknown(self, point: Point, out: list[Effect]) -> None:
        """A reading came for a point that belongs to nothing here; the log is told of the first one alone."""
        self.unknown_readings += 1
        self.node = None
        if len(self.unknown_points) < _MOST_UNKNOWN and point not in self.unknown_points:
            if not self.unknown_points:
                told = f"backend {self.name} reads {_text(point)}, which is not in its inventory; that is left out"
                out.append(Warn(told))
            self.unknown_points[point] = None

    def found(self) -> None:
        """The points are others than before."""
        self.unknown_points = {point: None for point in self.unknown_points if point not in self.points}
        self.node = None

    def configure(self, config: Inner | None) -> None:
        """Take the intervals from the configured entry, and whether it is at work."""
        interval = config.get(self._nodes.poll_interval) if config is not None else None
        timeout = config.get(self._nodes.timeout) if config is not None else None
        self.poll_interval = float(interval) if isinstance(interval, str) else _DEFAULT_INTERVAL
        self.timeout = float(timeout) if isinstance(timeout, str) else 15.0
        self.enabled = config is not None and config.get(self._nodes.enabled) != "false"

    @property
    def longest_gap(self) -> float:
        """Seconds between two readings over which power and states are still taken to be known."""
        return max(_SHORTEST_GAP, 3 * self.poll_interval)

    @property
    def down(self) -> bool:
        """Whether nothing comes over it: the device does not answer, or cannot be asked."""
        return self.state in LOST or self.unusable

    def turn(self, state: LinkState, now: Now, error: str | None, duration: float | None) -> bool:
        """Take a step of the link; whether its state changed.

        ``duration`` comes with a pass that succeeded. A pass failed when the link is stale with an error, an
        attempt to open it when it goes from opening to backing off. A link that was closed and stays so with an error
        cannot be used as it is configured.
        """
        failed = state is LinkState.STALE or (state is LinkState.BACKING_OFF and self.state is LinkState.OPENING)
        if duration is not None:
            self.polls += 1
            self.poll_duration = duration
        elif failed and error is not None:
            self.polls += 1
            self.failures += 1
        if state is LinkState.UP:
            self.last_contact = now.wall
        closed = state is LinkState.CLOSED is self.state
        self.unusable = closed and (self.unusable or error is not None)
        self.error = error or self.error
        self.node = None
        if state is self.state and self.since is not None:
            return False
        self.state, self.since = state, now.wall
        return True

    def render(self) -> Inner:
        """The container link."""
        if self.node is not None:
            return self.node
        nodes = self._nodes
        children: dict[SchemaNode, Data] = {
            nodes.state: self.state.value,
            nodes.polls: str(self.polls),
            nodes.failures: str(self.failures),
            nodes.unknown_readings: str(self.unknown_readings),
        }
        if self.unknown_points:
            children[nodes.unknown_point] = tuple(dict.fromkeys(map(_text, self.unknown_points)))
        if self.since is not None:
            children[nodes.state_since] = stamp(self.since)
        if self.last_contact is not None:
            children[nodes.last_contact] = stamp(self.last_contact)
        if self.error is not None:
            children[nodes.last_error] = clipped(self.error)
        if self.poll_duration is not None:
            children[nodes.poll_duration] = _seconds(max(self.poll_duration, 0.0))
        self.node = Inner(nodes.link, children)
        return self.node


def _text(point: Point) -> str:
    """A point in words, as a backend names it."""
    words = [f"entity {point.entity}" if point.entity else "the device"]
    if point.interface is not None:
        words.append(f"power-interface {point.interface}")
    if point.battery is not None:
        words.append(f"battery {point.battery}")
    return clipped(" ".join(words))

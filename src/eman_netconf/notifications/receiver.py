"""One subscription of RFC 5277, without I/O: what is replayed, then what happens, each event once and in order.

While it replays, the log is the queue: what happens meanwhile is read from there too, after <replayComplete>, until the
receiver has caught up. So a long replay to a slow client holds no events in memory.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from eman_netconf.messages.rpc import notification_bytes
from eman_netconf.notifications.streams import Event, event_time

#: Events are asked of the log so many at a time: to read and filter them takes some milliseconds at most.
CHUNK: Final = 100

#: That of the model of streams and of the notices about a subscription (RFC 5277 section 3.4).
NETMOD_NS: Final = "urn:ietf:params:xml:ns:netmod:notification"


class State(StrEnum):
    """Where a subscription stands."""

    REPLAYING = "replaying"  # what happened before it was made
    CATCHING_UP = "catching-up"  # what happened since then, still from the log
    LIVE = "live"
    ENDED = "ended"


class Input(StrEnum):
    """What can happen to it."""

    REPLAYED = "replayed"
    CAUGHT_UP = "caught-up"
    STOP_TIME = "stop-time"  # all that happened up to the stop time is sent
    GONE = "gone"  # the session is over


class Action(StrEnum):
    """What to send about it."""

    REPLAY_COMPLETE = "replayComplete"
    NOTIFICATION_COMPLETE = "notificationComplete"
    NOTHING = "nothing"


#: (state, input) -> (next state, action); RFC 5277 sections 2.1.1, 3.3.2 and 5
TABLE: Final[Mapping[tuple[State, Input], tuple[State, Action]]] = MappingProxyType(
    {
        (State.REPLAYING, Input.REPLAYED): (State.CATCHING_UP, Action.REPLAY_COMPLETE),
        (State.REPLAYING, Input.GONE): (State.ENDED, Action.NOTHING),
        (State.CATCHING_UP, Input.CAUGHT_UP): (State.LIVE, Action.NOTHING),
        (State.CATCHING_UP, Input.GONE): (State.ENDED, Action.NOTHING),
        (State.LIVE, Input.STOP_TIME): (State.ENDED, Action.NOTIFICATION_COMPLETE),
        (State.LIVE, Input.GONE): (State.ENDED, Action.NOTHING),
    }
)


class Reading(NamedTuple):
    """What to ask the log for, as ``EventLog.read`` takes it."""

    after: int
    start: float
    stop: float | None
    limit: int


def notice(action: Action, wall: float) -> bytes:
    """The message of RFC 5277 that a replay or the subscription is over."""
    return notification_bytes(event_time(wall), f'<{action} xmlns="{NETMOD_NS}"/>'.encode())


class Receiver:
    """``wanted`` says whether an event is for this receiver; ``last`` is the number of the newest one so far.

    ``start`` and ``stop`` are in seconds since the epoch; with ``start`` None nothing is replayed. The caller hands
    each new event to ``live`` and at ``next_timer`` calls ``timer``, sending what they give. Beside that he asks
    ``reading`` until it gives None, and sends what ``stored`` makes of the answers of the log. ``notice`` makes the
    messages about the subscription itself.
    """

    def __init__(
        self,
        wanted: Callable[[Event], bool],
        *,
        last: int,
        start: float | None = None,
        stop: float | None = None,
        notice: Callable[[Action, float], bytes] = notice,
    ) -> None:
        self.state = State.LIVE if start is None else State.REPLAYING
        self._wanted = wanted
        self._notice = notice
        self._start = -math.inf if start is None else start
        self._stop = stop
        self._made_at = last
        self._sent = 0  # while it replays: up to this number all is dealt with
        self._held: deque[Event] | None = None  # what happened since the last reading, None when that is too much

    @property
    def replays(self) -> bool:
        """Whether it still has to be asked for a ``reading``."""
        return self.state in (State.REPLAYING, State.CATCHING_UP)

    def live(self, event: Event) -> bytes | None:
        """What to send since ``event`` happens, None: nothing (now)."""
        if self.state is State.LIVE:
            return event.message if self._is_for(event) else None
        if self._held is not None:
            self._held.append(event)
            if len(self._held) > CHUNK:
                self._held = None
        return None

    def next_timer(self) -> float | None:
        """When ``timer`` is to be called, in seconds since the epoch; None: never."""
        return self._stop if self.state is State.LIVE else None

    def timer(self, wall: float) -> bytes | None:
        """What to send since it is ``wall``, None: nothing."""
        if self.state is State.LIVE and self._stop is not None and wall >= self._stop:
            return self._step(Input.STOP_TIME, wall)
        return None

    def stop_at(self, stop: float | None) -> None:
        """It is to end at another time."""
        self._stop = stop

    def gone(self) -> None:
        """The session is over."""
        if self.state is not State.ENDED:
            self._step(Input.GONE, 0.0)

    def reading(self) -> Reading | None:
        """What to ask the log for, at once, before another event is published; None when there is nothing to replay."""
        if self.state is State.REPLAYING:
            return Reading(self._sent, self._start, self._stop, CHUNK)
        if self.state is State.CATCHING_UP:
            self._held = deque()
            return Reading(self._sent, -math.inf, self._stop, CHUNK)
        return None

    def stored(self, events: Sequence[Event], wall: float) -> Iterator[bytes]:
        """What to send of the events the log gave to the last reading; b"" for those that are not for this receiver.

        Whoever takes it may wait between one and the next.
        """
        for event in events:
            if self.state is State.REPLAYING and event.number > self._made_at:
                break
            self._sent = event.number
            yield event.message if self._wanted(event) else b""
        more = len(events) == CHUNK
        if self.state is State.REPLAYING:
            if not more or events[-1].number >= self._made_at:
                self._sent = self._made_at
                yield self._step(Input.REPLAYED, wall)
        elif not more:
            while self._held:
                event = self._held.popleft()
                if event.number > self._sent:
                    self._sent = event.number
                    if self._is_for(event):
                        yield event.message
            if self._held is not None and self.state is State.CATCHING_UP:
                self._held = None
                self._step(Input.CAUGHT_UP, wall)

    def _is_for(self, event: Event) -> bool:
        return (self._stop is None or event.wall <= self._stop) and self._wanted(event)

    def _step(self, cause: Input, wall: float) -> bytes:
        """Go on by the table; the message to send, b"" for none."""
        self.state, action = TABLE[self.state, cause]
        return b"" if action is Action.NOTHING else self._notice(action, wall)

"""The event stream: events are numbered, kept in a log, and told to whoever listens (RFC 5277 sections 3.2 and 3.3).

There is one stream, NETCONF, with all events of the server. Access control and filters are of those who listen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

from eman_netconf.messages.rpc import notification_bytes
from eman_netconf.yang.tree import Inner

#: The stream of all events (RFC 5277 section 3.2.3).
NETCONF: Final = "NETCONF"


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that happened.

    ``number`` grows by one with each event, over restarts too; ``wall`` is when, in seconds since the epoch. ``entity``
    is the energy object it is about, whose readers may get it; "" = about none.
    """

    number: int
    wall: float
    notification: Inner
    entity: str = ""
    _message: list[bytes] = field(default_factory=list, init=False, repr=False)

    @property
    def message(self) -> bytes:
        """The whole <notification> (RFC 5277 section 4), made when somebody receives it, once for all who do."""
        if not self._message:
            self._message.append(notification_bytes(event_time(self.wall), self.notification.xml()))
        return self._message[0]


class EventLog(Protocol):
    """Where events are kept, oldest first; it is bounded, so the oldest go."""

    @property
    def created(self) -> float:
        """When the log was begun, in seconds since the epoch."""

    @property
    def aged(self) -> float | None:
        """When the newest event happened that is kept no more; None while all are kept."""

    @property
    def oldest(self) -> float | None:
        """When the oldest event happened that is kept; None when there is none."""

    @property
    def last(self) -> int:
        """The number of the newest event, 0 when there was none."""

    def append(self, event: Event) -> None:
        """Keep ``event``, whose number is the one after ``last``. Must not fail; ``read`` finds it from now on."""

    async def read(self, after: int, start: float, stop: float | None, limit: int) -> Sequence[Event]:
        """The first ``limit`` events kept with a number above ``after`` that happened at ``start`` or later, and not
        after ``stop``, in order. Fewer than ``limit`` = there were no more when it was asked.
        """


class Streams:
    """The one stream: whatever is published is kept in the log and told to all listeners, in the same order.

    ``wall`` gives the time. A listener must not fail; what it publishes itself is told when all have heard the event
    before.
    """

    def __init__(self, log: EventLog, wall: Callable[[], float]) -> None:
        self.log = log
        self.listeners: list[Callable[[Event], None]] = []
        self._wall = wall
        self._untold: deque[Event] = deque()

    @property
    def last(self) -> int:
        """The number of the newest event, 0 when there was none."""
        return self.log.last

    def publish(self, notification: Inner, entity: str = "") -> Event:
        """Something happened now; ``notification`` is an instance of a notification of the schema."""
        wall = round(self._wall(), 6)  # what eventTime can say
        event = Event(self.log.last + 1, wall, notification, entity)
        self.log.append(event)
        self._untold.append(event)
        if len(self._untold) == 1:
            while self._untold:
                for listener in tuple(self.listeners):
                    listener(self._untold[0])
                self._untold.popleft()
        return event


def event_time(wall: float) -> str:
    """An instant as date-and-time in UTC with microseconds, so that a replay can begin exactly there."""
    second, micro = divmod(round(wall * 1_000_000), 1_000_000)
    return f"{_whole_second(second)}.{micro:06d}Z"


@lru_cache(16)  # many events happen in one second
def _whole_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")

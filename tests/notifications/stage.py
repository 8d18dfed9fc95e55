"""A stream in memory: the log that keeps everything, a clock that is moved, notifications of the server's models."""

from __future__ import annotations

from collections.abc import Sequence

from eman_netconf.notifications.streams import Event, Streams
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, make_inner

EMPS = "urn:eman:yang:eman-power-state"


class Kept:
    """A log that loses nothing."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.created = 0.0
        self.aged: float | None = None

    @property
    def oldest(self) -> float | None:
        return self.events[0].wall if self.events else None

    @property
    def last(self) -> int:
        return self.events[-1].number if self.events else 0

    def append(self, event: Event) -> None:
        self.events.append(event)

    def find(self, after: int, start: float, stop: float | None, limit: int) -> list[Event]:
        """What ``read`` gives, at once."""
        return [
            event
            for event in self.events
            if event.number > after and event.wall >= start and (stop is None or event.wall <= stop)
        ][:limit]

    async def read(self, after: int, start: float, stop: float | None, limit: int) -> Sequence[Event]:
        return self.find(after, start, stop, limit)


class Stage:
    """``happen`` publishes; ``wall`` is the time."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.wall = 1_800_000_000.0
        self.log = Kept()
        self.streams = Streams(self.log, lambda: self.wall)

    def notification(self, entity: str = "pdu-1", name: str = "power-state-changed") -> Inner:
        """One of eman-power-state about an entity."""
        (node,) = (node for node in self.schema.notifications.values() if node.name == name)
        return make_inner(node, {"entity": entity})

    def happen(self, entity: str = "pdu-1") -> Event:
        return self.streams.publish(self.notification(entity), entity)

"""The event stream: numbers, order, bytes."""

from __future__ import annotations

import pytest
from lxml import etree

from eman_netconf.messages.rpc import read_notification
from eman_netconf.notifications.streams import Event, event_time
from tests.notifications.stage import EMPS, Stage


def test_publish(stage: Stage) -> None:
    """An event is numbered, stamped, kept and told to everybody, in that order."""
    heard: list[Event] = []
    stage.streams.listeners += [heard.append, lambda event: heard.append(stage.log.events[-1])]
    first = stage.happen("ups-1")
    stage.wall += 1.5
    second = stage.happen()
    assert (first.number, first.wall, first.entity) == (1, 1_800_000_000.0, "ups-1")
    assert (second.number, second.wall) == (2, 1_800_000_001.5)
    assert heard == [first, first, second, second]
    assert stage.streams.last == 2


def test_message(stage: Stage) -> None:
    """The message is a <notification> with eventTime and the event, the same bytes for everybody."""
    stage.wall += 0.25
    event = stage.happen()
    told = read_notification(etree.fromstring(event.message))
    assert told.event_time == "2027-01-15T08:00:00.250000Z"
    assert told.content.tag == f"{{{EMPS}}}power-state-changed"
    assert told.content.findtext(f"{{{EMPS}}}entity") == "pdu-1"
    assert event.message is event.message


def test_publish_while_told(stage: Stage) -> None:
    """What a listener publishes is heard by all after the event before, so everybody hears one order."""
    heard: list[int] = []

    def answer(event: Event) -> None:
        if event.number < 3:
            stage.happen("another")

    stage.streams.listeners += [answer, lambda event: heard.append(event.number)]
    stage.happen()
    assert heard == [1, 2, 3]


def test_listener_leaves(stage: Stage) -> None:
    """A listener may go while an event is told; the others hear it."""
    heard: list[int] = []

    def once(_event: Event) -> None:
        stage.streams.listeners.remove(once)

    stage.streams.listeners += [once, lambda event: heard.append(event.number)]
    stage.happen()
    stage.happen()
    assert heard == [1, 2]


@pytest.mark.parametrize("wall", [1_800_000_000.123456, 1_763_000_000.999999, 0.000001, 1_799_999_999.9999997])
def test_event_time(stage: Stage, wall: float) -> None:
    """eventTime says exactly when, so a replay that begins there begins with that event."""
    from datetime import datetime

    stage.wall = wall
    event = stage.happen()
    assert datetime.fromisoformat(event_time(event.wall)).timestamp() == event.wall

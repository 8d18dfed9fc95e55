"""One subscription: replay, then live, whatever happens in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.messages.rpc import NOTIFICATION_NS
from eman_netconf.notifications.receiver import CHUNK, NETMOD_NS, TABLE, Action, Input, Receiver, State
from eman_netconf.notifications.streams import Event
from eman_netconf.yang.schema import Schema
from tests.notifications.stage import Stage


class Subscriber:
    """The caller of a Receiver, step by step: what is sent, as event numbers and names of notices."""

    def __init__(self, stage: Stage, start: float | None = None, stop: float | None = None) -> None:
        self.stage = stage
        self.sent: list[int | str] = []
        self.receiver = Receiver(lambda event: True, last=stage.streams.last, start=start, stop=stop)
        stage.streams.listeners.append(self.hear)

    def hear(self, event: Event) -> None:
        self.send(self.receiver.live(event))

    def send(self, message: bytes | None) -> None:
        if not message:
            return
        found = [event.number for event in self.stage.log.events if event.message is message]
        self.sent.append(found[0] if found else etree.QName(etree.fromstring(message)[1]).localname)

    def tick(self) -> None:
        due = self.receiver.next_timer()
        if due is not None and due <= self.stage.wall:
            self.send(self.receiver.timer(self.stage.wall))

    def replay(self, pause=lambda: None) -> None:
        """Replay to the end; ``pause`` runs while the log is asked and before each message."""
        while (reading := self.receiver.reading()) is not None:
            found = self.stage.log.find(*reading)
            pause()
            for message in self.receiver.stored(found, self.stage.wall):
                self.send(message)
                pause()
        self.tick()


def test_live(stage: Stage) -> None:
    """Without a start time only what happens from now on is delivered, and nothing is said of a replay."""
    stage.happen()
    subscriber = Subscriber(stage)
    assert subscriber.receiver.reading() is None
    stage.happen()
    stage.happen()
    assert subscriber.sent == [2, 3]


def test_replay(stage: Stage) -> None:
    """What happened since the start time is replayed, then replayComplete, then what happens."""
    for _ in range(4):
        stage.happen()
        stage.wall += 10
    subscriber = Subscriber(stage, start=stage.log.events[1].wall)
    subscriber.replay()
    stage.happen()
    assert subscriber.sent == [2, 3, 4, "replayComplete", 5]


def test_replay_of_nothing(stage: Stage) -> None:
    """replayComplete is sent also when there was nothing to replay."""
    subscriber = Subscriber(stage, start=0.0)
    subscriber.replay()
    assert subscriber.sent == ["replayComplete"]


def test_stop_in_the_past(stage: Stage) -> None:
    """A replay with a stop time that is over ends with both notices and delivers nothing later."""
    for _ in range(4):
        stage.happen()
        stage.wall += 10
    subscriber = Subscriber(stage, start=0.0, stop=stage.log.events[1].wall)
    subscriber.replay()
    stage.happen()
    assert subscriber.sent == [1, 2, "replayComplete", "notificationComplete"]
    assert subscriber.receiver.state is State.ENDED


def test_stop_in_the_future(stage: Stage) -> None:
    """Until the stop time events are delivered, then notificationComplete; what comes after it is not."""
    subscriber = Subscriber(stage, start=stage.wall, stop=stage.wall + 10)
    subscriber.replay()
    stage.wall += 10
    stage.happen()
    stage.wall += 1
    stage.happen()
    assert subscriber.sent == ["replayComplete", 1]
    subscriber.tick()
    stage.happen()
    subscriber.tick()
    assert subscriber.sent == ["replayComplete", 1, "notificationComplete"]


def test_notices(stage: Stage) -> None:
    """Both notices are <notification>s with an eventTime and an empty element in the streams' namespace."""
    receiver = Receiver(lambda event: True, last=0, start=0.0, stop=1.0)
    reading = receiver.reading()
    assert reading is not None
    (complete,) = receiver.stored([], 5.0)
    receiver.reading()
    assert list(receiver.stored([], 5.0)) == []
    ended = receiver.timer(5.0)
    assert ended is not None
    for message, name in ((complete, "replayComplete"), (ended, "notificationComplete")):
        root = etree.fromstring(message)
        assert [child.tag for child in root] == [f"{{{NOTIFICATION_NS}}}eventTime", f"{{{NETMOD_NS}}}{name}"]


def test_only_what_is_wanted(stage: Stage) -> None:
    """Stored and new events go through the same question."""
    receiver = Receiver(lambda event: event.entity == "ups-1", last=3, start=0.0)
    events = [stage.happen(entity) for entity in ("ups-1", "pdu-1", "ups-1")]
    receiver.reading()
    *replayed, _complete = receiver.stored(events, 0.0)
    assert replayed == [events[0].message, b"", events[2].message]
    receiver.reading()
    assert list(receiver.stored([], 0.0)) == []
    assert receiver.live(stage.happen("pdu-1")) is None
    assert receiver.live(event := stage.happen("ups-1")) is event.message


@given(
    before=st.integers(0, 3 * CHUNK),
    start=st.integers(0, 3 * CHUNK),
    bursts=st.lists(st.sampled_from([0, 0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1]), max_size=30),
    after=st.integers(0, 3),
    gap=st.sampled_from([0.0, 1.0]),
)
def test_each_event_once_in_order(
    schema: Schema, before: int, start: int, bursts: list[int], after: int, gap: float
) -> None:
    """Whatever happens while the log is read and while messages wait: each event comes once and in order, those from
    before the subscription first, then replayComplete, then the others.
    """
    stage = Stage(schema)
    notification = stage.notification()

    def happen(count: int) -> None:
        for _ in range(count):
            stage.streams.publish(notification)
            stage.wall += gap

    first = stage.wall
    happen(before)
    subscriber = Subscriber(stage, start=first + start * gap)
    waiting = list(bursts)
    subscriber.replay(lambda: happen(waiting.pop()) if waiting else None)
    assert subscriber.receiver.state is State.LIVE
    happen(after)
    replayed = [event.number for event in stage.log.events[:before] if event.wall >= first + start * gap]
    assert subscriber.sent == [*replayed, "replayComplete", *range(before + 1, stage.streams.last + 1)]


@given(inputs=st.lists(st.sampled_from(Input)), start=st.sampled_from([State.REPLAYING, State.LIVE]))
def test_table(inputs: list[Input], start: State) -> None:
    """Whatever the table is fed: one replayComplete at most, notificationComplete at most once and last."""
    state, sent = start, []
    for cause in inputs:
        if (state, cause) in TABLE:
            state, action = TABLE[state, cause]
            if action is not Action.NOTHING:
                sent.append(action)
    assert sent in ([], [Action.REPLAY_COMPLETE], [Action.NOTIFICATION_COMPLETE], [*Action][:2])
    assert not any(state is State.ENDED for state, _ in TABLE)
    assert {state for state, cause in TABLE if cause is Input.GONE} == set(State) - {State.ENDED}

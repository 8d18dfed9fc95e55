"""Events in the shell: each goes to the sessions that subscribed to it (RFC 5277), beside what they are answered."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from eman_netconf.datastore.datastores import Author, Commit, Confirmation, Datastore, Datastores
from eman_netconf.datastore.select import Selection
from eman_netconf.energy.effects import Notify
from eman_netconf.errors import ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.notifications.base import BaseNotifications, Confirming
from eman_netconf.notifications.filters import Undecided, event_schema, passes
from eman_netconf.notifications.receiver import Receiver, State
from eman_netconf.notifications.streams import Event, Streams
from eman_netconf.operations.notifications import StreamsShown
from eman_netconf.operations.ports import Judge
from eman_netconf.server import audit
from eman_netconf.server.clock import Clock
from eman_netconf.server.event_log import StoredEvents
from eman_netconf.server.sessions import End, LiveSession, Sessions, Termination
from eman_netconf.yang.events import notification_of
from eman_netconf.yang.schema import Schema

log = logging.getLogger(__name__)

#: Seconds a replay waits for a client that reads nothing.
PATIENCE: Final = 60.0

#: Seconds after which the clock is looked at again, since somebody may set it.
LOOK_AGAIN: Final = 60.0

# Seconds a replay works before it lets the others run.
_TURN: Final = 0.001


@dataclass(slots=True, eq=False)
class _Subscriber:
    session: LiveSession
    receiver: Receiver
    replay: asyncio.Task[None] | None = None


class Receivers:
    """The sessions that have a subscription of RFC 5277.

    A session that does not read what it asked for is ended as soon as its queue is full, so that it slows nobody; only
    a replay waits for its reader.
    """

    def __init__(self, schema: Schema, streams: Streams, sessions: Sessions, judge: Judge, clock: Clock) -> None:
        self._events = event_schema(schema)
        self._streams = streams
        self._sessions = sessions
        self._judge = judge
        self._clock = clock
        self._subscribed: dict[int, _Subscriber] = {}
        self._timer: asyncio.TimerHandle | None = None
        streams.listeners.append(self._tell)
        sessions.ended.append(self._ended)

    def subscribed(self, session_id: int) -> bool:
        """Whether the session has a subscription."""
        return session_id in self._subscribed

    def subscribe(
        self, session: SessionInfo, selection: Selection, start: float | None = None, stop: float | None = None
    ) -> None:
        """Deliver from now on. Raises RpcError operation-failed when the session has a subscription already."""
        live = self._sessions.get(session.id)
        assert live is not None, "a session asks for itself"
        if session.id in self._subscribed:
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                "This session has a subscription; open another session for another one.",
                type=ErrorType.PROTOCOL,
            )

        said = False

        def wanted(event: Event) -> bool:
            nonlocal said
            notification = event.notification
            try:
                through = passes(selection, self._events, notification)
            except Undecided as undecided:
                if not said:
                    said = True
                    log.warning("create-subscription: %s in session %d %s", session.user, session.id, undecided)
                return False
            return through and self._judge.notification(session, notification_of(notification).schema, notification)

        receiver = Receiver(wanted, last=self._streams.last, start=start, stop=stop)
        subscriber = self._subscribed[session.id] = _Subscriber(live, receiver)
        live.watching = True
        if receiver.replays:
            subscriber.replay = asyncio.create_task(self._replay(subscriber), name=f"replay-{session.id}")
        self._set_timer()

    # --- live

    def _tell(self, event: Event) -> None:
        for subscriber in tuple(self._subscribed.values()):
            try:
                message = subscriber.receiver.live(event)
            except Exception:
                log.exception("session %d: whether it gets an event could not be told", subscriber.session.info.id)
                continue
            if message is not None and not subscriber.session.notify(message):
                self._too_slow(subscriber)

    def _too_slow(self, subscriber: _Subscriber) -> None:
        audit.deaf(subscriber.session.info)
        self._end(subscriber)

    def _end(self, subscriber: _Subscriber) -> None:
        self._forget(subscriber)
        subscriber.session.cancel()

    def _ended(self, session: SessionInfo, _end: End) -> None:
        subscriber = self._subscribed.get(session.id)
        if subscriber is not None:
            self._forget(subscriber)

    def _forget(self, subscriber: _Subscriber) -> None:
        del self._subscribed[subscriber.session.info.id]
        subscriber.receiver.gone()
        if subscriber.replay is not None and subscriber.replay is not asyncio.current_task():
            subscriber.replay.cancel()

    # --- replay

    async def _replay(self, subscriber: _Subscriber) -> None:
        try:
            await self._replayed(subscriber)
        except TimeoutError:
            self._too_slow(subscriber)
        except Exception:
            log.exception("session %d: closed, its replay failed", subscriber.session.info.id)
            self._end(subscriber)
        else:
            subscriber.replay = None
            self._keep_time()

    async def _replayed(self, subscriber: _Subscriber) -> None:
        session, receiver = subscriber.session, subscriber.receiver
        turn = monotonic()
        while (reading := receiver.reading()) is not None:
            events = await self._streams.log.read(*reading)
            for message in receiver.stored(events, self._clock.now().wall):
                while message and not session.notify(message):
                    async with asyncio.timeout(PATIENCE):
                        await session.drained()
                if monotonic() - turn > _TURN:
                    await asyncio.sleep(0)
                    turn = monotonic()

    # --- stop times

    def _set_timer(self) -> None:
        times = [subscriber.receiver.next_timer() for subscriber in self._subscribed.values()]
        due = min((time for time in times if time is not None), default=None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            wait = self._clock.real(max(due - self._clock.now().wall, 0.0))
            self._timer = asyncio.get_running_loop().call_later(min(wait, LOOK_AGAIN), self._keep_time)

    def _keep_time(self) -> None:
        wall = self._clock.now().wall
        for subscriber in tuple(self._subscribed.values()):
            message = subscriber.receiver.timer(wall)
            if message is not None and not subscriber.session.notify(message):
                self._too_slow(subscriber)
            elif subscriber.receiver.state is State.ENDED:
                self._forget(subscriber)
                subscriber.session.watching = False
        self._set_timer()


class Events:
    """The stream of the server with its log in ``path``, and who publishes: energy, sessions, commits.

    Raises HistoryUnusable. ``wire`` comes before ``tend``, ``close`` when nobody publishes any more.
    """

    def __init__(self, path: Path, schema: Schema, clock: Clock) -> None:
        self._schema = schema
        self._clock = clock
        self._log = StoredEvents(path, schema, lambda: clock.now().wall)
        self.streams = Streams(self._log, lambda: clock.now().wall)
        self._notifications = BaseNotifications(schema)
        self._sessions: Sessions
        self._open: set[int] = set()

    def wire(self, sessions: Sessions, datastores: Datastores, judge: Judge) -> Receivers:
        """From now on sessions and commits are told; sessions may subscribe at what is returned."""
        self._sessions = sessions
        sessions.opened.append(self._opened)
        sessions.ended.append(self._ended)
        datastores.listeners.append(self._committed)
        datastores.saves.append(self._saved)
        datastores.confirmations.append(self._confirming)
        datastores.sources.append(StreamsShown(self._schema, self.streams))
        return Receivers(self._schema, self.streams, sessions, judge, self._clock)

    async def tend(self) -> None:
        """Keep the log, until cancelled."""
        await self._log.tend()

    async def close(self) -> None:
        await self._log.close()

    def notified(self, notify: Notify) -> None:
        """The energy core has something to tell."""
        self.streams.publish(notify.notification, notify.entity)

    async def announced(self, capabilities: Sequence[str]) -> None:
        """What the hello announces from now on; told when it is something else than before, over restarts too."""
        try:
            before = await self._log.announced(capabilities)
        except sqlite3.Error as error:
            log.error("whether the capabilities have changed is not known (%s)", error)
            return
        told = self._notifications.capability_change(None, before, capabilities) if before else None
        if told is not None:
            self.streams.publish(told)

    def _opened(self, session: SessionInfo) -> None:
        self._open.add(session.id)
        self.streams.publish(self._notifications.session_start(session))

    def _ended(self, session: SessionInfo, end: End) -> None:
        if session.id in self._open or end.reason is Termination.BAD_HELLO:
            self._open.discard(session.id)
            self.streams.publish(self._notifications.session_end(session, end.reason, end.killed_by))

    def _committed(self, told: Commit) -> None:
        self.streams.publish(
            self._notifications.config_change(self._author(told.author), Datastore.RUNNING, told.change)
        )

    def _saved(self, told: Commit) -> None:
        self.streams.publish(
            self._notifications.config_change(self._author(told.author), Datastore.STARTUP, told.change)
        )

    def _confirming(self, told: Confirmation) -> None:
        self.streams.publish(
            self._notifications.confirmed_commit(self._author(told.author), Confirming(told.event), told.timeout)
        )

    def _author(self, author: Author) -> SessionInfo | None:
        """The session of an author, also of one that has ended; None for the server itself."""
        if not author.session:
            return None
        live = self._sessions.get(author.session)
        return live.info if live is not None else SessionInfo(author.session, author.user, "", 0.0)

"""Dynamic subscriptions in the shell: what happens goes in, messages go to their sessions, one task keeps the time."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.datastores import Commit, Datastores
from eman_netconf.energy.origins import Origins
from eman_netconf.energy.values import Now
from eman_netconf.errors import ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.notifications.filters import Undecided, event_schema, passes
from eman_netconf.notifications.publisher import Publisher
from eman_netconf.notifications.streams import Event, Streams
from eman_netconf.notifications.subscriptions import State, Subscription
from eman_netconf.operations.ports import Judge
from eman_netconf.operations.subscriptions import NamedFilters, SubscriptionsShown, follow
from eman_netconf.server import audit
from eman_netconf.server.clock import Clock
from eman_netconf.server.energy import Energy
from eman_netconf.server.events import Receivers
from eman_netconf.server.sessions import NOTIFICATIONS_AHEAD, End, Sessions
from eman_netconf.yang.events import notification_of
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode

log = logging.getLogger(__name__)

# Seconds of work before the others run.
_TURN: Final = 0.002

#: Seconds after which the clock is looked at again, since somebody may set it.
LOOK_AGAIN: Final = 60.0


class Subscriptions:
    """The port of the operations, the trees and the outlet of the publisher; ``tend`` runs as long as the server."""

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        sessions: Sessions,
        judge: Judge,
        streams: Streams,
        receivers: Receivers,
        energy: Energy,
        clock: Clock,
    ) -> None:
        self._schema = schema
        self._datastores = datastores
        self._sessions = sessions
        self._judge = judge
        self._streams = streams
        self._receivers = receivers
        self._clock = clock
        self._events = event_schema(schema)
        self._origins = Origins.of(schema)
        self._moved = asyncio.Event()
        self._replays: set[asyncio.Task[None]] = set()
        self.publisher = Publisher(schema, self, self, self._wanted, lambda: streams.last)
        streams.listeners.append(self._happened)
        datastores.listeners.append(self._committed)
        datastores.participants.append(NamedFilters(schema))
        datastores.sources.append(SubscriptionsShown(schema, self.publisher, streams))
        sessions.ended.append(self._left)
        energy.stirred.append(self._stirred)

    # --- the port of the operations

    def now(self) -> Now:
        return self._clock.now()

    def check_session(self, session_id: int, /) -> None:
        if self._receivers.subscribed(session_id):
            raise RpcError(
                ErrorTag.OPERATION_NOT_SUPPORTED,
                "This session has a subscription by create-subscription; establish others in another session.",
                type=ErrorType.PROTOCOL,
            )

    def begun(self, subscription: Subscription, /) -> None:
        live = self._sessions.get(subscription.session.id)
        if live is not None:
            live.watching = True
        if subscription.id in self.publisher.receivers and self.publisher.receivers[subscription.id].replays:
            task = asyncio.create_task(self._replay(subscription), name=f"replay-{subscription.id}")
            self._replays.add(task)
            task.add_done_callback(self._replays.discard)
        self.wake()

    def killed(self, by: SessionInfo, subscription: Subscription, /) -> None:
        audit.killed(by, subscription.id, subscription.session)

    def wake(self) -> None:
        self._moved.set()

    # --- the trees and the outlet of the publisher

    def tree(self, datastore: str, /) -> Inner:
        if datastore == "operational":
            return self._origins.in_use(self._datastores.operational())
        return self._datastores.running

    def readable(self, session: SessionInfo, root: Inner, /) -> Inner:
        return self._judge.readable(session, root)

    def send(self, session: int, message: bytes, /) -> bool:
        live = self._sessions.get(session)
        return live is None or live.notify(message)

    def room(self, session: int, /) -> bool:
        live = self._sessions.get(session)
        return live is None or live.unread < NOTIFICATIONS_AHEAD // 4

    def ended(self, session: int, /) -> None:
        live = self._sessions.get(session)
        if live is not None and not any(self.publisher.registry.of(session)):
            live.watching = False

    def failed(self, subscription: int, fault: Exception, /) -> None:
        log.error("subscription %d: ended, what was due could not be made", subscription, exc_info=fault)

    # --- what happens

    def _happened(self, event: Event) -> None:
        if self.publisher.receivers:
            self.publisher.event(event, self.now())
            self.wake()

    def _committed(self, told: Commit) -> None:
        now = self.now()
        try:
            follow(self.publisher, self._schema, told.change, self._datastores.running, now)
            self.publisher.committed(told.change, now)
        except Exception:
            log.exception("subscribers could not be told of commit %d", told.generation)  # which holds all the same
        self.wake()

    def _stirred(self, stirred: set[str], powers: set[str]) -> None:
        if self.publisher.watches_entities:
            self.publisher.stirred(stirred.union(filter(self._has_deadband, powers)), self.now())
            self.wake()

    def _has_deadband(self, id_: str) -> bool:
        found = self._datastores.running.at("eman-entity:energy-management", "entities", "entity")
        entry = found.entries.get((id_,)) if isinstance(found, ListNode) else None
        return entry is not None and entry.leaf("report-deadband") is not None

    def _left(self, session: SessionInfo, _end: End) -> None:
        self.publisher.left(session.id)

    def _wanted(self, subscription: Subscription, event: Event) -> bool:
        notification = event.notification
        try:
            return passes(subscription.terms.selection, self._events, notification) and self._judge.notification(
                subscription.session, notification_of(notification).schema, notification
            )
        except Undecided as undecided:
            if not subscription.undecided:
                subscription.undecided = True
                who = subscription.session
                log.warning("subscription %d: %s in session %d %s", subscription.id, who.user, who.id, undecided)
            return False
        except Exception:
            log.exception("subscription %d: whether it gets an event could not be told", subscription.id)
            return False

    # --- time

    async def tend(self) -> None:
        """Send what is due when it is due, until cancelled."""
        while True:
            self._moved.clear()
            now = self.now()
            due = self.publisher.next_timer(now)
            if due is not None and due <= now.mono:
                try:
                    await paced(self.publisher.timer(now), self._breathe)
                except Exception:
                    log.exception("what was due for subscribers could not be sent")
                    await asyncio.sleep(1.0)  # what is wrong now may be wrong again at once
                await asyncio.sleep(0)
                continue
            wait = LOOK_AGAIN if due is None else min(self._clock.real(due - now.mono), LOOK_AGAIN)
            try:
                async with asyncio.timeout(wait):
                    await self._moved.wait()
            except TimeoutError:
                continue

    async def _breathe(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        """Tell all subscribers that the server ends."""
        self.publisher.close(self.now())
        for task in self._replays:
            task.cancel()

    # --- replay

    async def _replay(self, subscription: Subscription) -> None:
        receiver = self.publisher.receivers[subscription.id]
        turn = monotonic()
        try:
            while (reading := receiver.reading()) is not None:
                events = await self._streams.log.read(*reading)
                for message in receiver.stored(events, self.now().wall):
                    await self._room_for(subscription)
                    if message:
                        self.publisher.replayed(subscription, message, self.now())
                    if monotonic() - turn > _TURN:
                        await asyncio.sleep(0)
                        turn = monotonic()
                if subscription.state is State.CONCLUDED:
                    return
        except Exception:
            log.exception("subscription %d: its replay failed", subscription.id)
        self.wake()

    async def _room_for(self, subscription: Subscription) -> None:
        """Wait until the receiver has taken most of what it was sent."""
        live = self._sessions.get(subscription.session.id)
        while live is not None and subscription.state is not State.CONCLUDED and not self.room(live.info.id):
            await live.drained()
            await asyncio.sleep(0)  # a session that is lost drains at once, and its end is to be heard

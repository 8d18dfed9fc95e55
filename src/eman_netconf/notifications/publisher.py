"""The publisher: all dynamic subscriptions, to the stream and to datastores, and what each is sent when.

Things that happen go in with the time, messages go out through the ``Outlet``. Long work comes in steps, so that
others have their turns in between. What a request asks for is sent only at the next ``timer``, so that the reply
comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from eman_netconf.datastore.pick import Pick
from eman_netconf.errors import RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.notifications.observable import Observable
from eman_netconf.notifications.parts import reached
from eman_netconf.notifications.patch import written
from eman_netconf.notifications.push import (
    SHORTEST_PERIOD,
    Feed,
    Steps,
    Trees,
    audience,
    change_update,
    contents,
    entities,
    first_update,
    next_update,
    portions,
    update,
)
from eman_netconf.notifications.receiver import Receiver
from eman_netconf.notifications.streams import Event
from eman_netconf.notifications.subscriptions import (
    Action,
    Input,
    Now,
    OnChange,
    Periodic,
    Reason,
    Refused,
    Registry,
    State,
    Subscription,
    Terms,
)
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema

#: Seconds between two looks at whether a suspended receiver has room again.
RETRY: Final = 1.0

#: Seconds until a subscription that was suspended since its data are too much is tried again.
RETRY_TOO_BIG: Final = 30.0

#: Bytes that all feeds together may hold, as XML.
FEEDS_BYTES: Final = 64_000_000

#: Seconds after which a suspended subscription is given up.
LONGEST_SUSPENSION: Final = 600.0

_ACCESS_CONTROL = "ietf-netconf-acm"


class Outlet(Protocol):
    """The way to the receivers."""

    def send(self, session: int, message: bytes, /) -> bool:
        """False when the session has no room for it (any more)."""

    def room(self, session: int, /) -> bool:
        """Whether most of what was sent has left, so that it is worth going on."""

    def ended(self, session: int, /) -> None:
        """A subscription of the session is over."""

    def failed(self, subscription: int, fault: Exception, /) -> None:
        """A fault of the server itself ends this subscription."""


#: Whether a subscriber wants an event and may have it.
Wanted = Callable[[Subscription, Event], bool]


class Publisher:
    """All subscriptions. ``wanted`` judges events; ``last`` is the number of the newest event."""

    def __init__(
        self, schema: Schema, trees: Trees, outlet: Outlet, wanted: Wanted, last: Callable[[], int] = lambda: 0
    ) -> None:
        self.registry = Registry(schema)
        self.observable = Observable(schema)
        self.receivers: dict[int, Receiver] = {}  # of those to the stream
        self._schema = schema
        self._trees = trees
        self._outlet = outlet
        self._wanted = wanted
        self._last = last
        self._feeds: dict[object, Feed] = {}

    # --- requests

    def establish(self, session: SessionInfo, terms: Terms, now: Now) -> Steps[Subscription]:
        """Raises Refused, and RpcError as the selection does."""
        self.registry.check_room(session.id)
        try:
            yield from self._possible(session, terms)
            subscription = self.registry.add(session, terms)
            self._start(subscription, now)
        finally:
            self._sweep()
        if terms.trigger is None:
            self.receivers[subscription.id] = Receiver(
                lambda event: self._passes(subscription, event),
                last=self._last(),
                start=terms.replay_start,
                stop=terms.stop,
                notice=lambda _action, wall: self.registry.notice("replay-completed", subscription, wall),
            )
        return subscription

    def modify(self, session: SessionInfo, number: int, terms: Terms, now: Now) -> Steps[None]:
        """As ``establish``; the subscription goes on with other terms, also when it was suspended."""
        self.registry.find(number, session.id)
        try:
            yield from self._possible(session, terms)
            subscription = self.registry.find(number, session.id)
            self._leave_feed(subscription)
            subscription.terms = terms
            subscription.step(Input.MODIFY)
            subscription.notices.clear()  # of a suspension that is over
            subscription.altered = False
            self._start(subscription, now)
            if number in self.receivers:
                self.receivers[number].stop_at(terms.stop)
        finally:
            self._sweep()

    def delete(self, session: SessionInfo, number: int) -> None:
        """Raises Refused no-such-subscription, also for one of another session."""
        self._end(self.registry.find(number, session.id), Input.DELETE)

    def kill(self, number: int, now: Now) -> Subscription:
        """End anybody's subscription, which is given back. Raises Refused no-such-subscription."""
        subscription = self.registry.find(number)
        self._end(subscription, Input.KILL, now, Reason.NO_SUCH_SUBSCRIPTION)
        return subscription

    def resync(self, session: SessionInfo, number: int, now: Now) -> None:
        """Send the whole again. Raises Refused, also for one that is not on change or suspended."""
        reason = Reason.NO_SUCH_SUBSCRIPTION_RESYNC
        subscription = self.registry.find(number, session.id, reason)
        feed = self._feed(subscription)
        if feed is None:
            raise Refused(reason, f"Subscription {number} is not on change, or suspended; there is nothing to resync.")
        subscription.whole, subscription.due = True, now.mono

    # --- what happens

    def event(self, event: Event, now: Now) -> None:
        """Something was published to the stream."""
        for number, receiver in list(self.receivers.items()):
            message = receiver.live(event)
            subscription = self.registry.live[number]
            if message is not None and subscription.state is State.ACTIVE:
                self._deliver(subscription, message, now)

    def committed(self, change: Change, now: Now) -> None:
        """Running has changed."""
        if any(child.schema.module.name == _ACCESS_CONTROL for child in change.children):
            self._judge_anew(now)
        if self._feeds:
            touched = reached(change)
            for feed in self._feeds.values():
                feed.touch(touched, now.mono)

    @property
    def watches_entities(self) -> bool:
        """Whether somebody is told of changes of the operational state."""
        return any(feed.datastore == "operational" for feed in self._feeds.values())

    def stirred(self, ids: Iterable[str], now: Now) -> None:
        """These entities show something else than before."""
        feeds = [feed for feed in self._feeds.values() if feed.datastore == "operational"]
        if feeds and ids:
            touched = entities(self._schema, ids)
            for feed in feeds:
                feed.touch(touched, now.mono)

    def altered(self, subscription: Subscription, terms: Terms, now: Now) -> None:
        """The filter that a subscription names selects something else."""
        self._leave_feed(subscription)
        subscription.terms = terms
        try:
            self._check_selection(terms)
        except Refused:
            self.withdrawn(subscription, now)
            return
        if subscription.step(Input.ALTER) is Action.REMEMBER:
            subscription.altered = True
            return
        self._tell(subscription, self.registry.notice(Action.MODIFIED, subscription, now.wall))
        self._start(subscription, now)
        self._owe_whole(subscription, now)

    def withdrawn(self, subscription: Subscription, now: Now) -> None:
        """The filter that a subscription names is gone."""
        self._end(subscription, Input.WITHDRAW, now, Reason.FILTER_UNAVAILABLE)

    def left(self, session: int) -> None:
        """A session is over."""
        for subscription in list(self.registry.of(session)):
            self._end(subscription, Input.LEAVE)

    def close(self, now: Now) -> None:
        """The server ends: all are told."""
        for subscription in list(self.registry.live.values()):
            stream = subscription.terms.trigger is None
            gone = Reason.STREAM_UNAVAILABLE if stream else Reason.DATASTORE_NOT_SUBSCRIBABLE
            self._end(subscription, Input.WITHDRAW, now, gone)

    def replayed(self, subscription: Subscription, message: bytes, now: Now) -> bool:
        """Send what the log had; False when the receiver has no room for it or the subscription is over."""
        return subscription.state is State.ACTIVE and self._deliver(subscription, message, now)

    # --- time

    def next_timer(self, now: Now) -> float | None:
        """When ``timer`` is to be called, by the monotonic clock; None = not until something happens."""
        times = [feed.due for feed in self._feeds.values()]
        for subscription in self.registry.live.values():
            times.append(subscription.due)
            if subscription.terms.stop is not None and not self._replays(subscription):
                times.append(now.mono + subscription.terms.stop - now.wall)
        return min((time for time in times if time is not None), default=None)

    def timer(self, now: Now) -> Steps[None]:
        """Send what is due."""
        for feed in list(self._feeds.values()):
            if feed.due is not None and feed.due <= now.mono:
                try:
                    self._flush(feed, now)
                except Exception as fault:  # noqa: BLE001 - told by the outlet; it must cost no other subscriber anything
                    for subscription in list(feed.members.values()):
                        self._fail(subscription, fault, now)
                yield
        made: dict[object, bytes] = {}
        for subscription in list(self.registry.live.values()):
            stop = subscription.terms.stop
            if subscription.state is State.CONCLUDED:
                continue  # since this began
            if stop is not None and stop <= now.wall and not self._replays(subscription):
                self._end(subscription, Input.STOP, now, Reason.NO_SUCH_SUBSCRIPTION)
            elif subscription.due is not None and subscription.due <= now.mono:
                try:
                    yield from self._due(subscription, now, made)
                except Exception as fault:  # noqa: BLE001 - as above
                    self._fail(subscription, fault, now)

    def _due(self, subscription: Subscription, now: Now, made: dict[object, bytes]) -> Steps[None]:
        if subscription.state is State.SUSPENDED:
            yield from self._try_again(subscription, now)
        if subscription.state is not State.ACTIVE:
            return
        trigger = subscription.terms.trigger
        if isinstance(trigger, Periodic):
            due = subscription.due if subscription.due is not None else now.mono
            subscription.due = next_update(trigger, due, now.wall, now.mono)
            yield from self._push_contents(subscription, now, made)
            return
        subscription.due = None
        if subscription.whole:
            feed = self._join(subscription)
            try:
                yield from feed.ready()
            except (Refused, RpcError):
                self._suspend(subscription, Reason.SYNC_TOO_BIG, now)
            else:
                if subscription.id in feed.members:
                    self._push_whole(subscription, feed, now)

    def _push_contents(self, subscription: Subscription, now: Now, made: dict[object, bytes]) -> Steps[None]:
        terms = subscription.terms
        same = audience(subscription.session), terms.datastore, terms.alike
        try:
            if same not in made:
                made[same] = yield from contents(self._trees, subscription.session, terms)
        except Refused as refused:
            self._suspend(subscription, refused.reason, now)
        except RpcError:
            self._suspend(subscription, Reason.INSUFFICIENT_RESOURCES, now)
        else:
            if subscription.state is State.ACTIVE and subscription.terms is terms:
                self._deliver(subscription, update(subscription, made[same], now.wall), now)

    def _push_whole(self, subscription: Subscription, feed: Feed, now: Now) -> None:
        try:
            content = feed.content()
        except Refused as refused:
            self._suspend(subscription, refused.reason, now)
            return
        subscription.whole = False
        self._deliver(subscription, update(subscription, content, now.wall), now)

    def _flush(self, feed: Feed, now: Now) -> None:
        texts = portions(written(feed.flush(now.mono)))
        for subscription in list(feed.members.values()):
            if subscription.whole:
                continue  # what it gets next has this in it
            for number, text in enumerate(texts, 1):
                incomplete = number < len(texts)
                subscription.patches += 1
                message = change_update(subscription, text, now.wall, incomplete=incomplete)
                if not self._deliver(subscription, message, now):
                    break

    # --- parts of all that

    def _possible(self, session: SessionInfo, terms: Terms) -> Steps[None]:
        """Whether the terms can be met now. Raises Refused."""
        trigger = terms.trigger
        self._check_selection(terms)
        if isinstance(trigger, Periodic):
            if trigger.period < SHORTEST_PERIOD:
                raise Refused(
                    Reason.PERIOD_UNSUPPORTED,
                    f"Updates come every {SHORTEST_PERIOD:g} s or less often; ask for a longer period.",
                    period_hint=round(SHORTEST_PERIOD * 100),
                )
            yield from contents(self._trees, session, terms)
        elif isinstance(trigger, OnChange):
            feed = self._feed_for(session, terms)
            yield from feed.ready()
            if sum(other.size for other in self._feeds.values()) > FEEDS_BYTES:
                raise Refused(
                    Reason.INSUFFICIENT_RESOURCES,
                    "Subscribers on change hold as much as the server remembers for all of them; select less, or take "
                    "a periodic subscription.",
                )

    def _check_selection(self, terms: Terms) -> None:
        """Raises Refused for what can never be told as it was asked for."""
        pick = terms.selection.pick
        if terms.trigger is not None and pick is not None and not _selects(pick):
            raise Refused(Reason.UNCHANGING_SELECTION, "The filter selects nothing of any model of this server.")
        if isinstance(terms.trigger, OnChange):
            self._check_observable(terms)

    def _check_observable(self, terms: Terms) -> None:
        pick = terms.selection.pick
        if pick is None:
            raise Refused(
                Reason.FILTER_UNSUPPORTED,
                "On change a filter names its paths step by step, with keys as the only conditions; take another "
                "filter, or a periodic subscription.",
                filter_failure_hint="conditions on keys only",
            )
        if terms.datastore != "operational":
            return
        root, observable = self._schema.root, self.observable
        if observable.selected(pick, root, power=False):
            return
        if not (observable.selected(pick, root, power=True) and observable.has_deadband(self._trees.tree("running"))):
            raise Refused(
                Reason.ON_CHANGE_UNSUPPORTED,
                "All that is selected changes by itself and is told periodically only; take a periodic subscription, "
                "or configure a report-deadband for the power of entities.",
            )

    def _passes(self, subscription: Subscription, event: Event) -> bool:
        wanted = self._wanted(subscription, event)
        subscription.excluded += not wanted
        return wanted

    def _replays(self, subscription: Subscription) -> bool:
        receiver = self.receivers.get(subscription.id)
        return receiver is not None and receiver.replays

    def _start(self, subscription: Subscription, now: Now) -> None:
        """Begin with the terms it has, at the next ``timer``."""
        trigger = subscription.terms.trigger
        subscription.whole = False
        subscription.due = None
        if isinstance(trigger, Periodic):
            subscription.due = first_update(trigger, now.wall, now.mono)
        elif isinstance(trigger, OnChange):
            self._join(subscription)
            if trigger.sync:
                subscription.whole, subscription.due = True, now.mono

    def _feed(self, subscription: Subscription) -> Feed | None:
        feed = self._feeds.get(_alike(subscription.session, subscription.terms))
        return feed if feed is not None and subscription.id in feed.members else None

    def _feed_for(self, session: SessionInfo, terms: Terms) -> Feed:
        key = _alike(session, terms)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(self._schema, self._trees, self.observable, session, terms)
        return feed

    def _join(self, subscription: Subscription) -> Feed:
        feed = self._feed_for(subscription.session, subscription.terms)
        feed.members[subscription.id] = subscription
        return feed

    def _sweep(self) -> None:
        """Feeds that nobody joined, since what was asked for was refused."""
        self._feeds = {key: feed for key, feed in self._feeds.items() if feed.members or feed.filling}

    def _leave_feed(self, subscription: Subscription) -> None:
        key = _alike(subscription.session, subscription.terms)
        feed = self._feeds.get(key)
        if feed is not None:
            feed.members.pop(subscription.id, None)
            if not feed.members:
                del self._feeds[key]

    def _judge_anew(self, now: Now) -> None:
        """Who may read what may be different: all who are told of changes get the whole again."""
        for feed in self._feeds.values():
            feed.judge_anew()
            for subscription in feed.members.values():
                subscription.whole, subscription.due = True, now.mono

    def _deliver(self, subscription: Subscription, message: bytes, now: Now) -> bool:
        """Send an update or an event; a receiver without room is suspended."""
        if not self._tell(subscription, None) or not self._outlet.send(subscription.session.id, message):
            self._suspend(subscription, Reason.UNSUPPORTABLE_VOLUME, now)
            return False
        subscription.sent += 1
        return True

    def _fail(self, subscription: Subscription, fault: Exception, now: Now) -> None:
        self._outlet.failed(subscription.id, fault)
        if subscription.state is not State.CONCLUDED:
            self._end(subscription, Input.WITHDRAW, now, Reason.NO_SUCH_SUBSCRIPTION)

    def _tell(self, subscription: Subscription, notice: bytes | None) -> bool:
        """Send notices about the subscription in their order; those for which there is no room wait."""
        if notice is not None:
            subscription.notices.append(notice)
        while subscription.notices:
            if not self._outlet.send(subscription.session.id, subscription.notices[0]):
                return False
            del subscription.notices[0]
        return True

    def _suspend(self, subscription: Subscription, reason: Reason, now: Now) -> None:
        if subscription.state is not State.ACTIVE:
            return
        subscription.step(Input.OVERFLOW)
        self._leave_feed(subscription)
        subscription.since = now.mono
        subscription.due = now.mono + RETRY
        self._tell(subscription, self.registry.notice(Action.SUSPENDED, subscription, now.wall, reason))

    def _try_again(self, subscription: Subscription, now: Now) -> Steps[None]:
        """Resume it if what comes next would be taken."""
        terms = subscription.terms
        if now.mono - subscription.since >= LONGEST_SUSPENSION:
            self._end(subscription, Input.TIMEOUT, now, Reason.SUSPENSION_TIMEOUT)
            return
        if not self._outlet.room(subscription.session.id) or not self._tell(subscription, None):
            subscription.due = now.mono + RETRY
            return
        try:
            yield from self._possible(subscription.session, terms)
            if subscription.state is State.SUSPENDED and subscription.terms is terms:
                self._resume(subscription, now)
        except (Refused, RpcError):
            subscription.due = now.mono + RETRY_TOO_BIG
        finally:
            self._sweep()

    def _resume(self, subscription: Subscription, now: Now) -> None:
        subscription.step(Input.RELIEF)
        name = Action.MODIFIED if subscription.altered else Action.RESUMED
        subscription.altered = False
        self._tell(subscription, self.registry.notice(name, subscription, now.wall))
        self._start(subscription, now)
        self._owe_whole(subscription, now)

    @staticmethod
    def _owe_whole(subscription: Subscription, now: Now) -> None:
        """What the receiver holds is not what changes are told of."""
        if isinstance(subscription.terms.trigger, OnChange):
            subscription.whole, subscription.due = True, now.mono

    def _end(
        self, subscription: Subscription, cause: Input, now: Now | None = None, reason: Reason | None = None
    ) -> None:
        self._leave_feed(subscription)
        receiver = self.receivers.pop(subscription.id, None)
        if receiver is not None:
            receiver.gone()
        if subscription.step(cause) is Action.TERMINATED and now is not None:
            self._tell(subscription, self.registry.notice(Action.TERMINATED, subscription, now.wall, reason))
        del self.registry.live[subscription.id]
        self._outlet.ended(subscription.session.id)


def _selects(pick: Pick) -> bool:
    """Whether a filter leads to anything."""
    return pick.whole or any(_selects(below) for picks in pick.children.values() for below in picks)


def _alike(session: SessionInfo, terms: Terms) -> object:
    """Subscriptions on change of which this is the same share a feed."""
    return audience(session), terms.datastore, terms.alike, _paced(terms)


def _paced(terms: Terms) -> tuple[float, frozenset[str]] | None:
    trigger = terms.trigger
    return (trigger.dampening, trigger.excluded) if isinstance(trigger, OnChange) else None

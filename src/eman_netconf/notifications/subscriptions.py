"""Dynamic subscriptions: what was asked for, where each stands, and what its receiver is told of it (RFC 8639).

One subscription is one row of a table of states; streams (RFC 8639) and datastores (RFC 8641) share it. What is
sent about a subscription itself is no event of any stream: no filter and no rule of access applies to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

from eman_netconf.datastore.select import Selection
from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError
from eman_netconf.messages.rpc import SessionInfo, notification_bytes
from eman_netconf.notifications.streams import event_time
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, make_inner

SN_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-push"

#: Subscriptions one session may have, and all together.
PER_SESSION: Final = 32
IN_ALL: Final = 1_000

_LAST_ID = 4_294_967_295


# --- states ----------------------------------------------------------------------------------------------------------


class State(StrEnum):
    """Where a subscription stands (RFC 8639 section 2.4.1)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"  # nothing is sent, since the receiver does not take it
    CONCLUDED = "concluded"


class Input(StrEnum):
    """What can happen to it."""

    MODIFY = "modify"  # modify-subscription
    ALTER = "alter"  # the filter it names is another one
    OVERFLOW = "overflow"  # the receiver takes no more, or the update is too big
    RELIEF = "relief"  # there is room again
    TIMEOUT = "timeout"  # it was suspended for too long
    STOP = "stop"  # its stop-time is reached
    DELETE = "delete"  # delete-subscription
    KILL = "kill"  # kill-subscription
    WITHDRAW = "withdraw"  # what it is about is gone: the filter it names, or the server
    LEAVE = "leave"  # its session is over


class Action(StrEnum):
    """What follows."""

    NOTHING = "nothing"
    RESTART = "restart"  # begin anew with the terms it has now
    REMEMBER = "remember"  # tell of the change when it is resumed
    MODIFIED = "subscription-modified"
    SUSPENDED = "subscription-suspended"
    RESUMED = "subscription-resumed"
    TERMINATED = "subscription-terminated"


#: (state, input) -> (next state, action); RFC 8639 sections 2.4 and 2.7
TABLE: Final[Mapping[tuple[State, Input], tuple[State, Action]]] = MappingProxyType(
    {
        (State.ACTIVE, Input.MODIFY): (State.ACTIVE, Action.RESTART),
        (State.ACTIVE, Input.ALTER): (State.ACTIVE, Action.MODIFIED),
        (State.ACTIVE, Input.OVERFLOW): (State.SUSPENDED, Action.SUSPENDED),
        (State.ACTIVE, Input.RELIEF): (State.ACTIVE, Action.NOTHING),
        (State.ACTIVE, Input.TIMEOUT): (State.ACTIVE, Action.NOTHING),
        (State.ACTIVE, Input.STOP): (State.CONCLUDED, Action.TERMINATED),
        (State.ACTIVE, Input.DELETE): (State.CONCLUDED, Action.NOTHING),
        (State.ACTIVE, Input.KILL): (State.CONCLUDED, Action.TERMINATED),
        (State.ACTIVE, Input.WITHDRAW): (State.CONCLUDED, Action.TERMINATED),
        (State.ACTIVE, Input.LEAVE): (State.CONCLUDED, Action.NOTHING),
        (State.SUSPENDED, Input.MODIFY): (State.ACTIVE, Action.RESTART),
        (State.SUSPENDED, Input.ALTER): (State.SUSPENDED, Action.REMEMBER),
        (State.SUSPENDED, Input.OVERFLOW): (State.SUSPENDED, Action.NOTHING),
        (State.SUSPENDED, Input.RELIEF): (State.ACTIVE, Action.RESUMED),
        (State.SUSPENDED, Input.TIMEOUT): (State.CONCLUDED, Action.TERMINATED),
        (State.SUSPENDED, Input.STOP): (State.CONCLUDED, Action.TERMINATED),
        (State.SUSPENDED, Input.DELETE): (State.CONCLUDED, Action.NOTHING),
        (State.SUSPENDED, Input.KILL): (State.CONCLUDED, Action.TERMINATED),
        (State.SUSPENDED, Input.WITHDRAW): (State.CONCLUDED, Action.TERMINATED),
        (State.SUSPENDED, Input.LEAVE): (State.CONCLUDED, Action.NOTHING),
    }
)


# --- reasons ---------------------------------------------------------------------------------------------------------


class Reason(StrEnum):
    """The identities that say why (RFC 8639 section 2.4.6, RFC 8641 appendix A.1), in canonical form."""

    FILTER_UNAVAILABLE = "ietf-subscribed-notifications:filter-unavailable"
    FILTER_UNSUPPORTED = "ietf-subscribed-notifications:filter-unsupported"
    INSUFFICIENT_RESOURCES = "ietf-subscribed-notifications:insufficient-resources"
    NO_SUCH_SUBSCRIPTION = "ietf-subscribed-notifications:no-such-subscription"
    STREAM_UNAVAILABLE = "ietf-subscribed-notifications:stream-unavailable"
    SUSPENSION_TIMEOUT = "ietf-subscribed-notifications:suspension-timeout"
    UNSUPPORTABLE_VOLUME = "ietf-subscribed-notifications:unsupportable-volume"
    CANT_EXCLUDE = "ietf-yang-push:cant-exclude"
    DATASTORE_NOT_SUBSCRIBABLE = "ietf-yang-push:datastore-not-subscribable"
    NO_SUCH_SUBSCRIPTION_RESYNC = "ietf-yang-push:no-such-subscription-resync"
    ON_CHANGE_UNSUPPORTED = "ietf-yang-push:on-change-unsupported"
    PERIOD_UNSUPPORTED = "ietf-yang-push:period-unsupported"
    SYNC_TOO_BIG = "ietf-yang-push:sync-too-big"
    UNCHANGING_SELECTION = "ietf-yang-push:unchanging-selection"
    UPDATE_TOO_BIG = "ietf-yang-push:update-too-big"


#: The error-tag that goes with an identity (RFC 8640 section 7); invalid-value with all others.
_TAGS: Mapping[Reason, ErrorTag] = {
    Reason.INSUFFICIENT_RESOURCES: ErrorTag.RESOURCE_DENIED,
    Reason.CANT_EXCLUDE: ErrorTag.OPERATION_NOT_SUPPORTED,
    Reason.ON_CHANGE_UNSUPPORTED: ErrorTag.OPERATION_NOT_SUPPORTED,
    Reason.SYNC_TOO_BIG: ErrorTag.TOO_BIG,
    Reason.UPDATE_TOO_BIG: ErrorTag.TOO_BIG,
    Reason.UNCHANGING_SELECTION: ErrorTag.OPERATION_FAILED,
}


class Refused(Exception):
    """A subscription is not taken or changed: why, a sentence, and hints by the name of their leaf."""

    def __init__(self, reason: Reason, message: str, **hints: str | int) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hints = {name.replace("_", "-"): str(value) for name, value in hints.items()}

    def error(self, structure: str | None, namespace: str) -> RpcError:
        """As RFC 8640 section 7 has it; ``structure`` is the name of the yang-data that carries the hints."""
        info: tuple[ErrorInfo, ...] = ()
        if structure is not None and self.hints:
            module, _, name = self.reason.partition(":")
            prefix = "sn" if module == "ietf-subscribed-notifications" else "yp"
            uri = SN_NS if prefix == "sn" else YP_NS
            reason = ErrorInfo("reason", f"{prefix}:{name}", namespace, {prefix: uri})
            hints = (ErrorInfo(hint, value, namespace) for hint, value in self.hints.items())
            info = (ErrorInfo(structure, "", namespace, inside=(reason, *hints)),)
        tag = _TAGS.get(self.reason, ErrorTag.INVALID_VALUE)
        return RpcError(tag, self.message, app_tag=self.reason.value, info=info)


class Now(Protocol):
    """The time: seconds since the epoch, and by a clock that nobody sets."""

    @property
    def wall(self) -> float: ...

    @property
    def mono(self) -> float: ...


# --- one subscription ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Periodic:
    """An update every ``period`` seconds, counted from ``anchor`` (seconds since the epoch) where there is one."""

    period: float
    anchor: float | None = None


@dataclass(frozen=True, slots=True)
class OnChange:
    """An update when something changed, ``dampening`` seconds or more after the last."""

    dampening: float = 0.0
    sync: bool = True  # begin with the whole
    excluded: frozenset[str] = frozenset()  # kinds of changes that are not wanted


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked for, understood and found possible. Times are in seconds since the epoch.

    ``asked`` is the same in the words of the request, as ``make_inner`` takes them. ``alike`` says which selections
    are the same: those of equal texts. A subscription without ``trigger`` is to a stream.
    """

    selection: Selection
    alike: bytes
    asked: Mapping[str, Any]
    filter_name: str | None = None
    stop: float | None = None
    replay_start: float | None = None
    datastore: str = ""  # "running" or "operational"
    trigger: Periodic | OnChange | None = None

    def with_selection(self, selection: Selection, alike: bytes) -> Terms:
        """The same with another selection."""
        return replace(self, selection=selection, alike=alike)


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription; ``since`` and ``due`` by the monotonic clock."""

    id: int
    session: SessionInfo
    terms: Terms
    state: State = State.ACTIVE
    sent: int = 0
    excluded: int = 0  # events that its filter or access control kept back
    patches: int = 0
    altered: bool = False  # its named filter is another one since it was suspended
    undecided: bool = False  # the log has that its filter could not be told for an event
    whole: bool = False  # its next update is to be a whole one
    since: float = 0.0  # suspended since then
    due: float | None = None  # when something is to be sent or tried next
    notices: list[bytes] = field(default_factory=list)  # that the receiver had no room for

    def step(self, cause: Input) -> Action:
        """Go on by the table. KeyError for one that is concluded."""
        self.state, action = TABLE[self.state, cause]
        return action


class Registry:
    """All subscriptions there are, by number, none of them concluded."""

    def __init__(self, schema: Schema) -> None:
        self.live: dict[int, Subscription] = {}
        self._last = 0
        self._notices = {
            name: schema.notifications[SN_NS, name]
            for name in (Action.MODIFIED, Action.SUSPENDED, Action.RESUMED, Action.TERMINATED, "replay-completed")
        }

    def check_room(self, session: int) -> None:
        """Raises Refused insufficient-resources when this session, or all, have as many as they may."""
        if sum(1 for _ in self.of(session)) >= PER_SESSION:
            raise Refused(
                Reason.INSUFFICIENT_RESOURCES,
                f"This session has {PER_SESSION} subscriptions, the most allowed; delete one first.",
            )
        if len(self.live) >= IN_ALL:
            raise Refused(
                Reason.INSUFFICIENT_RESOURCES,
                f"The server has {IN_ALL} subscriptions, the most it takes; try again later.",
            )

    def add(self, session: SessionInfo, terms: Terms) -> Subscription:
        """A new subscription under a number that no other has."""
        self.check_room(session.id)
        while True:
            self._last = self._last % _LAST_ID + 1
            if self._last not in self.live:
                break
        made = self.live[self._last] = Subscription(self._last, session, terms)
        return made

    def of(self, session: int) -> Iterator[Subscription]:
        return (subscription for subscription in self.live.values() if subscription.session.id == session)

    def find(
        self, number: int, session: int | None = None, reason: Reason = Reason.NO_SUCH_SUBSCRIPTION
    ) -> Subscription:
        """Raises Refused; ``session``: only one of this session (RFC 8639 sections 2.4.3 and 2.4.4)."""
        found = self.live.get(number)
        if found is None or (session is not None and found.session.id != session):
            where = "There is" if session is None else "This session has"
            raise Refused(reason, f"{where} no subscription {number}.")
        return found

    def notice(self, name: str, subscription: Subscription, wall: float, reason: Reason | None = None) -> bytes:
        """A whole message about a subscription itself (RFC 8639 section 2.7)."""
        said: dict[str, Any] = {"id": subscription.id, "reason": reason}
        if name == Action.MODIFIED:
            said = {"id": subscription.id, **subscription.terms.asked}
        elif reason is None:
            del said["reason"]
        return notification_bytes(event_time(wall), make_inner(self._notices[name], said).xml())

    def listed(self, container: SchemaNode) -> Inner:
        """The container subscriptions with all there are (RFC 8639 section 3.3)."""
        return make_inner(
            container,
            {
                "subscription": [
                    {
                        "id": one.id,
                        **one.terms.asked,
                        "receivers": {
                            "receiver": [
                                {
                                    "name": f"session-{one.session.id}",
                                    "sent-event-records": one.sent,
                                    "excluded-event-records": one.excluded,
                                    "state": one.state,
                                }
                            ]
                        },
                    }
                    for one in self.live.values()
                ]
            },
        )

"""Requests: the wishes in force, which of them rules, and how each went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.values import Answer, Origin, RequestState
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner


class Aspect(StrEnum):
    """What of an entity a wish is about."""

    STATE = "state"
    LIMIT = "limit"
    SUPPLY = "supply"
    BATTERY = "battery"


class Target(NamedTuple):
    """What a wish is about: an aspect of an entity, the supply at one of its interfaces, or one of its batteries."""

    entity: str
    aspect: Aspect
    interface: str | None = None
    battery: str | None = None


@dataclass(slots=True, eq=False)
class Request:
    """One wish and how it goes. ``state``: a canonical state identity, or on|off; ``limit``: watts."""

    id: int
    target: Target
    origin: Origin
    time: float  # wall-clock seconds
    by: str = ""
    reason: str | None = None
    until: float | None = None  # wall-clock seconds
    state: str | None = None
    limit: Decimal | None = None
    lasting: bool = True  # False: done once, then the next wish in precedence rules again
    accept_collateral: bool = False
    status: RequestState = RequestState.PENDING
    answer: Answer | None = None
    account: list[str] = field(default_factory=list)  # what each device answered, in sentences
    affected: tuple[str, ...] = ()
    through: tuple[str, ...] = ()  # the entities that carry it out
    backends: frozenset[str] = frozenset()
    renew: bool = False  # the device was lost: ask again if its next reading shows something else
    waiting_for: str | None = None  # why nothing more is sent yet, as a sentence
    not_before: float | None = None  # wall-clock seconds at which that ends, where it is known
    overrides: int | None = None  # the wish that rules when this one has ended
    slow: float = 0.0  # seconds the device gets beyond the usual to show it, as one that boots

    @property
    def wanted(self) -> bool:
        """Whether it is a wish for a state, as against one for a limit."""
        return self.state is not None and self.target.aspect is not Aspect.LIMIT


class Input(StrEnum):
    """What can happen to a request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "outcome-unknown"
    SEEN = "seen"  # a reading shows what was wanted
    LATE = "late"  # the device had time enough, and no reading shows it
    RENEWED = "renewed"  # it is asked for again


class Duty(StrEnum):
    """What follows."""

    NONE = "none"
    READ_BACK = "read-back"
    REPORT = "report"
    REPORT_AND_READ_BACK = "report-and-read-back"


_PENDING, _REACHED = RequestState.PENDING, RequestState.REACHED
_FAILED, _UNKNOWN = RequestState.FAILED, RequestState.OUTCOME_UNKNOWN

#: The life of a request. Only a reading makes it reached; a device's yes leaves it pending.
TABLE: Mapping[tuple[RequestState, Input], tuple[RequestState, Duty]] = {
    (_PENDING, Input.ACCEPTED): (_PENDING, Duty.READ_BACK),
    (_PENDING, Input.REFUSED): (_FAILED, Duty.REPORT),
    (_PENDING, Input.UNAVAILABLE): (_FAILED, Duty.REPORT),
    (_PENDING, Input.UNKNOWN): (_UNKNOWN, Duty.REPORT_AND_READ_BACK),
    (_PENDING, Input.SEEN): (_REACHED, Duty.NONE),
    (_PENDING, Input.LATE): (_FAILED, Duty.REPORT),
    (_PENDING, Input.RENEWED): (_PENDING, Duty.NONE),
    (_UNKNOWN, Input.ACCEPTED): (_UNKNOWN, Duty.READ_BACK),
    (_UNKNOWN, Input.REFUSED): (_FAILED, Duty.REPORT),
    (_UNKNOWN, Input.UNAVAILABLE): (_FAILED, Duty.REPORT),
    (_UNKNOWN, Input.UNKNOWN): (_UNKNOWN, Duty.READ_BACK),
    (_UNKNOWN, Input.SEEN): (_REACHED, Duty.NONE),
    (_UNKNOWN, Input.LATE): (_FAILED, Duty.REPORT),
    (_UNKNOWN, Input.RENEWED): (_PENDING, Duty.NONE),
    (_FAILED, Input.ACCEPTED): (_FAILED, Duty.READ_BACK),
    (_FAILED, Input.REFUSED): (_FAILED, Duty.NONE),
    (_FAILED, Input.UNAVAILABLE): (_FAILED, Duty.NONE),
    (_FAILED, Input.UNKNOWN): (_FAILED, Duty.READ_BACK),
    (_FAILED, Input.SEEN): (_REACHED, Duty.NONE),
    (_FAILED, Input.LATE): (_FAILED, Duty.NONE),
    (_FAILED, Input.RENEWED): (_PENDING, Duty.NONE),
    (_REACHED, Input.ACCEPTED): (_REACHED, Duty.NONE),
    (_REACHED, Input.REFUSED): (_REACHED, Duty.NONE),
    (_REACHED, Input.UNAVAILABLE): (_REACHED, Duty.NONE),
    (_REACHED, Input.UNKNOWN): (_REACHED, Duty.READ_BACK),
    (_REACHED, Input.SEEN): (_REACHED, Duty.NONE),
    (_REACHED, Input.LATE): (_REACHED, Duty.NONE),
    (_REACHED, Input.RENEWED): (_PENDING, Duty.NONE),
}


#: Which wish rules where there are several: an operator's, then a policy's, then the standing one.
PRECEDENCE = (Origin.ACTION, Origin.POLICY, Origin.CONFIGURATION)


_NONE: Mapping[Origin, Request] = {}  # shared by most holders


class Holder:
    """The wishes for one target, at most one of each origin.

    ``read_at`` and ``sent_at`` (monotonic): when the state that was last read held, and when the last command went out.
    """

    __slots__ = ("read_at", "sent_at", "wishes")

    def __init__(self) -> None:
        self.wishes: Mapping[Origin, Request] = _NONE
        self.read_at: float | None = None
        self.sent_at: float | None = None

    @property
    def read_since_sent(self) -> bool:
        """Whether what was last read held after the last command went out."""
        return self.read_at is not None and self.is_since_sent(self.read_at)

    def is_since_sent(self, mono: float) -> bool:
        """Whether ``mono`` is after the last command went out."""
        return self.sent_at is None or mono > self.sent_at

    @property
    def in_force(self) -> Request | None:
        return next((self.wishes[origin] for origin in PRECEDENCE if origin in self.wishes), None)

    def put(self, request: Request) -> None:
        self._take({**self.wishes, request.origin: request})

    def drop(self, origin: Origin) -> Request | None:
        dropped = self.wishes.get(origin)
        self._take({known: wish for known, wish in self.wishes.items() if known is not origin})
        return dropped

    def _take(self, wishes: Mapping[Origin, Request]) -> None:
        self.wishes = wishes or _NONE
        behind: Request | None = None
        for wish in reversed([wishes[origin] for origin in PRECEDENCE if origin in wishes]):
            wish.overrides = behind.id if behind is not None else None
            behind = wish


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """How a request stands, for the one who made it."""

    id: int
    entity: str
    interface: str | None
    status: RequestState
    answer: Answer | None  # None until the devices have answered
    reason: str | None
    affected: tuple[str, ...]
    state: str | None


def status_of(request: Request) -> RequestStatus:
    return RequestStatus(
        request.id,
        request.target.entity,
        request.target.interface,
        request.status,
        request.answer,
        "; ".join(request.account) or None,
        request.affected,
        request.state,
    )


class RequestNodes:
    """The schema nodes of one container request."""

    def __init__(self, container: SchemaNode) -> None:
        self.container = container
        self.state = container.child("state")
        self.id = container.child("id")
        self.origin = container.child("origin")
        self.by = container.child("by")
        self.reason = container.child("reason")
        self.time = container.child("time")
        self.until = container.child("until")
        self.waiting_for = container.child("waiting-for")
        self.not_before = container.child("not-before")
        self.status = container.child("status")
        self.overrides = container.child("overrides")

    def render(self, request: Request) -> Inner:
        children: dict[SchemaNode, Data] = {
            self.id: str(request.id),
            self.origin: request.origin.value,
            self.time: stamp(request.time),
            self.status: request.status.value,
        }
        if request.state is not None:
            children[self.state] = request.state
        if request.by:
            children[self.by] = clipped(request.by)
        if request.reason is not None:
            children[self.reason] = clipped(request.reason)
        if request.until is not None:
            children[self.until] = stamp(request.until)
        if request.waiting_for is not None:
            children[self.waiting_for] = clipped(request.waiting_for)
        if request.not_before is not None:
            children[self.not_before] = stamp(request.not_before)
        if request.overrides is not None:
            children[self.overrides] = str(request.overrides)
        return Inner(self.container, children)


def dump(request: Request) -> dict[str, Any]:
    """JSON-able: a momentary wish outlives the process."""
    return {
        "id": request.id,
        "aspect": request.target.aspect.value,
        "interface": request.target.interface,
        "origin": request.origin.value,
        "time": request.time,
        "by": request.by,
        "reason": request.reason,
        "until": request.until,
        "state": request.state,
        "limit": None if request.limit is None else str(request.limit),
        "accept-collateral": request.accept_collateral,
        "status": request.status.value,
    }


def load(entity: str, saved: Mapping[str, Any]) -> Request:
    """The wish as it was; what was under way is asked for again when its device is there."""
    return Request(
        id=saved["id"],
        target=Target(entity, Aspect(saved["aspect"]), saved["interface"]),
        origin=Origin(saved["origin"]),
        time=saved["time"],
        by=saved["by"],
        reason=saved["reason"],
        until=saved["until"],
        state=saved["state"],
        limit=None if saved["limit"] is None else Decimal(saved["limit"]),
        accept_collateral=saved["accept-collateral"],
        status=RequestState(saved["status"]),
        renew=True,
    )

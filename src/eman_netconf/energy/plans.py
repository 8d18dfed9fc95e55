"""Plans: which orders in which stages fulfil a wish, or why it is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from eman_netconf.energy.relationships import End
from eman_netconf.energy.requests import Target
from eman_netconf.energy.values import CommandKind, Magic, Point, Wish
from eman_netconf.errors import AppTag, ErrorTag


class Refusal(Exception):
    """Why a wish is not granted: a sentence for a person, the entities it is about, and the error-tag.

    ``retry_after``: seconds until it may be granted, where it was only too early.
    """

    def __init__(
        self,
        reason: str,
        entities: Iterable[str] = (),
        tag: ErrorTag = ErrorTag.OPERATION_FAILED,
        app_tag: AppTag | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.entities = tuple(entities)
        self.tag = tag
        self.app_tag = app_tag
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Order:
    """One command as planned. ``entity`` carries it out, ``end`` is the outlet that is switched.

    What is sent as a ``magic`` packet goes to no backend; the point is then that of the entity's id.
    """

    backend: str
    point: Point
    kind: CommandKind
    value: str | Decimal | None
    entity: str
    end: End | None = None
    turns_off: bool = False
    magic: Magic | None = None

    @property
    def switches(self) -> bool:
        """Whether it turns something on or off."""
        return self.kind in (CommandKind.SET_POWER_STATE, CommandKind.SWITCH_SUPPLY)

    def __str__(self) -> str:
        """What is told to whom."""
        if self.kind is CommandKind.TEST_BATTERY:
            return f"{self.entity} battery {self.point.battery} test"
        where = f"{self.entity} {self.end.interface}" if self.end is not None else self.entity
        return f"{where} {self.value if self.value is not None else 'no limit'}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Orders given together, ``after`` seconds from the answers to the stage before.

    With ``awaits`` it comes as soon as all those entities are off; ``patient``: not at all where they are not.
    ``asking``: a request to loads to shut down, of which nothing depends but how long to wait.
    """

    orders: tuple[Order, ...]
    after: float = 0.0
    awaits: frozenset[str] = frozenset()
    asking: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """What a wish for a group comes to at one member: a plan, or why not."""

    entity: str
    plan: Plan | None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a wish is to be fulfilled. The user needs the right to control every entity in ``touched``, and to switch
    every outlet in ``switched``.

    ``affected`` are the other entities whose supply changes. A plan for a group has ``members`` and nothing else.
    """

    wish: Wish
    target: Target | None = None
    state: str | None = None  # canonical, or on|off
    limit: Decimal | None = None
    stages: tuple[Stage, ...] = ()
    touched: frozenset[str] = frozenset()
    switched: frozenset[End] = frozenset()
    affected: tuple[str, ...] = ()
    lasting: bool = True
    members: tuple[Member, ...] = ()

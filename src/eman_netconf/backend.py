"""The contract for devices: what a backend provides, what it is given, and what it may raise.

The laws, held by the contract tests over every installed backend:

- The constructor only checks its settings; ``open()`` is the first I/O.
- ``read()`` is one pass, ends within the deadline its caller sets, and may be cancelled at any await without
  leaving anything open.
- A backend never blocks the loop over 10 ms, never logs the same trouble twice in a row, and leaves no task or
  socket after ``close()``, which is safe at any time.
- What is not known is absent: never a zero, never an old value as new.
- A command is sent at most once. No answer is ``OutcomeUnknown``; the poller reads back, nobody resends.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from eman_netconf.energy.values import (
    BatteryInfo,
    Command,
    CommandKind,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Inventory,
    LinkState,
    Method,
    Neighbour,
    Now,
    Outcome,
    Pass,
    Peer,
    Persistence,
    Point,
    Quantity,
    Reading,
    RelationInfo,
    StateInfo,
    StateSetInfo,
    Supply,
)

__all__ = [
    "Backend",
    "BackendError",
    "BatteryInfo",
    "Command",
    "CommandKind",
    "Context",
    "Direction",
    "EntityInfo",
    "Finding",
    "ForeignId",
    "InterfaceInfo",
    "Inventory",
    "LimitsPower",
    "LinkState",
    "Method",
    "Misconfigured",
    "Neighbour",
    "Now",
    "Outcome",
    "OutcomeUnknown",
    "Pass",
    "Peer",
    "Persistence",
    "Plugin",
    "Point",
    "Quantity",
    "Reading",
    "Refused",
    "RelationInfo",
    "SetsPowerState",
    "Settings",
    "StartsBatteryTest",
    "StateInfo",
    "StateSetInfo",
    "Supply",
    "SwitchesSupply",
    "Unavailable",
    "Watches",
]

#: The backend's own container of configuration, by local leaf names: str, int, bool, Decimal, list or nested Settings.
#: Secrets arrive in clear text here and nowhere else.
Settings = Mapping[str, Any]


class BackendError(Exception):
    """Anything a backend may raise; the text is one sentence for an operator."""


class Misconfigured(BackendError):
    """The settings cannot work; raised by ``build`` only."""


class Unavailable(BackendError):
    """The device cannot be reached or does not answer; try later."""


class Refused(BackendError):
    """The device answered no."""


class OutcomeUnknown(BackendError):
    """A command was sent and nothing came back: it may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a backend is given beside its settings."""

    name: str  # the name of the configured backend
    clock: Callable[[], Now]
    random: random.Random
    directory: Path  # a folder of the server's state that all backends of one plugin share; may not exist yet
    log: logging.Logger


class Backend(Protocol):
    """A way to one device or gateway."""

    async def open(self) -> Inventory:
        """Connect and tell what is there. Raises Unavailable."""

    async def read(self) -> Pass:
        """One pass over everything worth reading. Raises Unavailable when nothing can be had at all."""

    async def close(self) -> None:
        """Let go of everything; safe at any time and twice."""


@runtime_checkable
class SetsPowerState(Protocol):
    """Can order an entity into a power state (or through a transition)."""

    async def set_power_state(self, point: Point, state: str) -> None:
        """Return when the device accepted it. Raises Refused, Unavailable, OutcomeUnknown."""


@runtime_checkable
class SwitchesSupply(Protocol):
    """Can switch the supply at a power interface."""

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Return when the device accepted it. Raises Refused, Unavailable, OutcomeUnknown."""


@runtime_checkable
class LimitsPower(Protocol):
    """Can hold an entity below a limit."""

    async def limit_power(self, point: Point, watts: Decimal | None) -> None:
        """Set (or with None lift) the limit in watts; return when accepted. Raises as the others."""


@runtime_checkable
class StartsBatteryTest(Protocol):
    """Can have a battery test itself."""

    async def test_battery(self, point: Point) -> None:
        """Return when the device accepted it; the test-result tells the rest. Raises as the others."""


@runtime_checkable
class Watches(Protocol):
    """Hears what the device says by itself (traps, events, messages)."""

    def watch(self) -> AsyncIterator[Pass]:
        """Yield what was heard until closed; a pass without readings means that something changed: read soon.

        It runs beside ``read`` and the commands, and is cancelled before ``close``.
        """


@dataclass(frozen=True, slots=True)
class Finding:
    """What answers at an address, and how it would be configured."""

    #: Of the backend's own container: address and whatever suits the device, secrets as they were given.
    settings: Settings = field(repr=False)
    title: str  # for an operator: "APC AP8932, read as apc-rpdu2"
    name: str | None = None  # what the device calls itself
    manufacturer: str | None = None
    model: str | None = None
    foreign_ids: tuple[ForeignId, ...] = ()


@dataclass(frozen=True, slots=True)
class Plugin:
    """What the entry-point group ``eman_netconf.backends`` leads to."""

    name: str  # also the name of the presence container in the configuration
    module: str  # the YANG module that augments the configuration, found in the plugin's own folder
    build: Callable[[Settings, Context], Backend]  # raises Misconfigured; does no I/O
    demo: Callable[[], bytes] | None = None  # a whole <config> of a site of its own, served by ``run --demo``
    #: Say what answers at one address with these settings (which lack only the address); None when nothing of this
    #: kind does. It asks that address alone, changes nothing there, may be cancelled and leaves nothing open.
    probe: Callable[[str, Settings, Context], Awaitable[Finding | None]] | None = None

"""One Redfish service: its life, its passes, its orders."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from eman_netconf.backend import (
    Context,
    Inventory,
    Pass,
    Point,
    Quantity,
    Refused,
    Supply,
    Unavailable,
)

from .client import Client, Missing
from .documents import Document, link
from .drafts import Service
from .events import events, stream_of
from .library import Library
from .orders import PAUSED
from .readings import told
from .settings import Target
from .survey import survey

DOUBTS = 5  # attempts to open, one after the other, at which a service must tell too little before that is believed
GOES_ON = 120.0  # seconds after which an attempt to open that was cut short is begun anew
SURVEYED_ANEW = 3600.0  # seconds at least between two openings because a service seems to have started anew


class _Begun(NamedTuple):
    """A survey under way."""

    library: Library
    root: Document
    since: float  # by the monotonic clock


class Redfish:
    """A way to one BMC, or to any other service that speaks Redfish."""

    def __init__(self, target: Target, context: Context) -> None:
        self._target = target
        self._context = context
        self._client = Client(target)
        self._library: Library | None = None
        self._service: Service | None = None
        self._stream: tuple[str, str] | None = None
        self._paused: frozenset[Point] = frozenset()
        self._begun: _Begun | None = None
        self._names: frozenset[str] = frozenset()  # of the entities when it was opened the last time
        self._doubts = 0
        self._doubted = -math.inf  # by the monotonic clock, when the service seemed to have started anew

    async def open(self) -> Inventory:
        """Log in and find out what there is. Raises Unavailable.

        A slow service may need more than one attempt: what was read when the time was over need not be read again.
        """
        await self.close()
        try:
            root = await self._client.open()
            library = self._begun_with(root)
            service = await survey(library, root, self._context.name)
            self._stream = await self._events(root)
            self._believe(service, library)
        except Exception:
            self._begun = None
            await self.close()
            raise
        self._begun = None
        self._library, self._service = library, service
        return service.inventory

    def _begun_with(self, root: Document) -> Library:
        """Where an attempt that was cut short a moment ago had come, if it was the same service."""
        now = self._context.clock().mono
        if self._begun is None or self._begun.root != root or now > self._begun.since + GOES_ON:
            self._begun = _Begun(Library(self._client, root, expand=self._target.expand), root, now)
        return self._begun.library

    def _believe(self, service: Service, library: Library) -> None:
        """A service that starts may tell less than it has. Raises Unavailable while that may be so.

        Who shows something that was not there before is another, and believed at once.
        """
        names = frozenset(entity.local for entity in service.inventory.entities)
        doubt = library.doubt or ("it shows less than it did" if names < self._names else "")
        if doubt and self._doubts < DOUBTS:
            self._doubts += 1
            raise Unavailable(f"{self._target} may be starting: {doubt}")
        self._names, self._doubts = names, 0

    async def read(self) -> Pass:
        """One pass over all resources that hold values. Raises Unavailable."""
        service, library = self._service, self._library
        if service is None or library is None:
            raise Unavailable(f"{self._target} is not open")
        fetched = await library.read(service.plan.resources or ("/redfish/v1",))
        result = await told(service.plan, fetched, self._context.clock().wall)
        self._paused = frozenset(
            reading.point
            for reading in result.readings
            if reading.quantity is Quantity.POWER_STATE and reading.value == PAUSED
        )
        return replace(result, outdated=self._started_anew())

    async def set_power_state(self, point: Point, state: str) -> None:
        """Return when the service accepted it. Raises Refused, Unavailable, OutcomeUnknown."""
        reset = self._opened().resets.get(point)
        if reset is None:
            raise Refused(f"{point.entity or self._context.name} takes no power states")
        await self._client.post(reset.action.target, reset.body(state, paused=point in self._paused))

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Return when the service accepted it. Raises Refused, Unavailable, OutcomeUnknown."""
        switch = self._opened().switches.get(point)
        if switch is None:
            raise Refused(f"{point.interface or 'this'} of {self._context.name} cannot be switched")
        await self._client.post(switch.action.target, switch.body(supply))

    async def limit_power(self, point: Point, watts: Decimal | None) -> None:
        """Return when the service accepted it. Raises Refused, Unavailable, OutcomeUnknown."""
        limit = self._opened().limits.get(point)
        if limit is None:
            raise Refused(f"{point.entity or self._context.name} takes no power limit")
        await self._client.patch(limit.resource, limit.body(watts))

    async def test_battery(self, point: Point) -> None:
        """Return when the service accepted it. Raises Refused, Unavailable, OutcomeUnknown."""
        target = self._opened().tests.get(point)
        if target is None:
            raise Refused(f"{point.battery or 'this'} of {self._context.name} is no battery that tests itself")
        await self._client.post(target, {})

    async def watch(self) -> AsyncIterator[Pass]:
        """An empty pass whenever the service told of an event; ends where it tells of none."""
        if self._stream is not None:
            async for _ in events(self._client, self._stream, self._context.random):
                yield Pass(())

    async def close(self) -> None:
        """Log out and let go of everything; safe at any time and twice."""
        self._service = self._library = self._stream = None
        await self._client.close()

    def _opened(self) -> Service:
        if self._service is None:
            raise Unavailable(f"{self._target} is not open")
        return self._service

    def _started_anew(self) -> bool:
        """A service that forgot its session has perhaps other firmware, or is another one: worth a look."""
        now = self._context.clock().mono
        if not self._client.renewed or now < self._doubted + SURVEYED_ANEW:
            return False
        self._doubted = now
        return True

    async def _events(self, root: Document) -> tuple[str, str] | None:
        path = link(root, "EventService")
        if path is None or not self._target.events:
            return None
        try:
            return stream_of(await self._client.get(path))
        except Missing:
            return None

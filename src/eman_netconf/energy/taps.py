"""Where values are watched: thresholds and series hang as taps on the quantities of meters and batteries."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from eman_netconf.energy.canonical import Number
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Now, Quantity
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner

if TYPE_CHECKING:
    from eman_netconf.energy.batteries import Battery, Seat
    from eman_netconf.energy.interfaces import Interface
    from eman_netconf.energy.measurements import Meter

SETTLING = 1.0  # seconds after which a sum is added up anew, however often its parts changed meanwhile
_AT_ONCE = 500  # things that are settled in one turn
_NEXT_TURN = 0.005  # seconds to the next one


class Selector(NamedTuple):
    """A quantity of an observed thing or of a part of it; ``phase`` 0 = the whole, "" = the thing itself."""

    quantity: Quantity
    phase: int = 0
    interface: str = ""
    battery: str = ""

    @property
    def part(self) -> str:
        """As samples call it (samples.Channel)."""
        if self.interface:
            return f"interface:{self.interface}"
        return f"battery:{self.battery}" if self.battery else ""


class Tap(Protocol):
    """Something that is told each value of one quantity."""

    def observe(self, value: int | None, method: str, wall: float, mono: float, out: list[Effect]) -> None:
        """``value`` in millionths of the quantity's unit held at ``wall`` and ``mono``; None = it is not known now.

        What comes of it is added to ``out``.
        """


class Extra(Protocol):
    """Data that stands in the entry of an observed thing, beside what the thing itself renders."""

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        """Put it into ``children``, which hold what is configured."""


class Tapped(Protocol):
    """Something with quantities: a meter, a battery."""

    taps: Taps | None

    def unread(self, phase: int, quantity: Quantity) -> tuple[int | None, str, float | None] | None:
        """Value, method and time of what is not told by readings, or not known now; None where readings tell it."""


class Observed(Protocol):
    """An entity, domain or group, as far as its quantities are watched.

    ``record_key`` names its records: the id of an entity, ``domains:<name>`` or ``groups:<name>``.
    """

    config: Inner | None
    meter: Meter
    extras: dict[str, Extra]  # by the word of who lays them
    tapped: dict[str, tuple[tuple[Selector, Tap], ...]]  # by the word of who taps

    @property
    def record_key(self) -> str: ...

    @property
    def node_of_list(self) -> SchemaNode: ...

    @property
    def interfaces(self) -> Mapping[str, Interface]: ...

    @property
    def batteries(self) -> Mapping[str, Battery]: ...

    @property
    def stands_for(self) -> Battery | None:
        """The battery of another entity that this one is."""

    def stir(self) -> None:
        """What an extra lays is not what it was."""

    def changed(self) -> None:
        """As ``stir``, of what changes as often as readings do."""

    def keep(self) -> None:
        """What is persisted of it is not what it was."""


class Follower(Protocol):
    """Somebody who follows what is observed: told when it comes, changes or goes."""

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        """``observed`` is new, or its configuration or parts are: set its entries in ``tapped`` and ``extras``."""

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        """The thing is gone."""

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        """The thing goes by another record key; ``bind`` follows."""


class Taps:
    """The taps of one meter or battery, by phase and quantity."""

    __slots__ = ("at", "unsettled")

    def __init__(self, unsettled: dict[Tapped, None]) -> None:
        self.at: dict[tuple[int, Quantity], list[Tap]] = {}
        self.unsettled = unsettled

    def observe(
        self,
        phase: int,
        quantity: Quantity,
        value: Number | None,
        method: str,
        wall: float,
        mono: float,
        out: list[Effect],
    ) -> None:
        """A value was read, or with None is not known any more."""
        taps = self.at.get((phase, quantity))
        if taps:
            told = None if value is None else round(value * 1_000_000)  # as millionths, for each of many readings
            for tap in taps:
                tap.observe(told, method, wall, mono, out)


def millionths(value: Number) -> int:
    """``value`` in millionths, rounded to the nearest."""
    return round(value * 1_000_000)


class Settling:
    """Adds up watched sums once a second, and lays taps where they belong."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._unsettled: dict[Tapped, None] = {}
        self._waiting = False

    def lay(self, observed: Observed) -> None:
        """Put the taps of ``observed`` on its meters and batteries, in place of those that were there."""
        interfaces = observed.interfaces
        batteries: dict[str, Battery | Seat] = dict(observed.batteries)
        if observed.stands_for is not None:
            batteries.setdefault(observed.stands_for.name, observed.stands_for.seat)
        things: list[Tapped] = [observed.meter, *batteries.values()]
        things += [interface.meter for interface in interfaces.values()]
        for thing in things:
            thing.taps = None
        for tapped in observed.tapped.values():
            for selector, tap in tapped:
                thing = observed.meter
                if selector.interface:
                    if selector.interface not in interfaces:
                        continue
                    thing = interfaces[selector.interface].meter
                elif selector.battery:
                    if selector.battery not in batteries:
                        continue
                    thing = batteries[selector.battery]
                if thing.taps is None:
                    thing.taps = Taps(self._unsettled)
                thing.taps.at.setdefault((selector.phase, selector.quantity), []).append(tap)
        self._unsettled.update((thing, None) for thing in things if thing.taps is not None)

    def later(self, now: Now) -> None:
        """See to it that what is unsettled is settled."""
        if self._unsettled and not self._waiting:
            self._waiting = True
            self._timers.at(now.mono + SETTLING, self._settle)

    def _settle(self, now: Now, out: list[Effect]) -> None:
        for thing in list(islice(self._unsettled, _AT_ONCE)):
            del self._unsettled[thing]
            _settle(thing, now, out)
        self._waiting = bool(self._unsettled)
        if self._waiting:
            self._timers.at(now.mono + _NEXT_TURN, self._settle)


def has(observed: Observed, selector: Selector) -> bool:
    """Whether the part that is selected is there."""
    if selector.interface:
        return selector.interface in observed.interfaces
    own = observed.stands_for
    name = selector.battery
    return not name or name in observed.batteries or (own is not None and own.name == name)


def _settle(thing: Tapped, now: Now, out: list[Effect]) -> None:
    """Tell the taps of a thing what no reading tells them: sums, energies, and that nothing is known any more."""
    taps = thing.taps
    for (phase, quantity), each in taps.at.items() if taps is not None else ():
        told = thing.unread(phase, quantity)
        if told is None:
            continue
        value, method, wall = told
        for tap in each:
            tap.observe(value, method, wall if wall is not None else now.wall, now.mono, out)

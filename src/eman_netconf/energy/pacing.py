"""How often something may be switched: how long it stays on or off at least, and how many switchings a window takes.

Switchings are stamped with the wall clock, so that they outlive the process. A stamp from the future, left by a clock
that was set back, counts as now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner

if TYPE_CHECKING:
    from eman_netconf.energy.entities import Entity

_MOST = 101  # switchings remembered: one more than a window can be limited to
_WINDOW = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What is configured; seconds, and switchings in a window (None = as many as one likes)."""

    min_on: float = 0.0
    min_off: float = 0.0
    most: int | None = None
    window: float = _WINDOW


class Pace:
    """The switchings of one outlet or entity, and the rules for them."""

    __slots__ = ("_under_way", "moves", "rules")

    def __init__(self, rules: Rules, moves: Iterable[tuple[float, bool]] = ()) -> None:
        self.rules = rules
        self.moves: deque[tuple[float, bool]] = deque(moves, _MOST)  # when, and whether on; the newest last
        self._under_way = False  # the last of them was commanded, and not seen yet

    def moved(self, *, on: bool, at: float, was: bool | None = None) -> bool:
        """It is told to switch; False where that changes nothing. ``was``: how it was found last, None = not known."""
        before = self.moves[-1][1] if self.moves else was
        if before is on:
            return False
        self.moves.append((at, on))
        self._under_way = True
        return True

    def found(self, *, on: bool, at: float, changed: bool) -> bool:
        """It is found to be so, after the last command; ``changed``: it was otherwise before. Whether it was switched
        by others: while a command is not seen to be done, what is found is what was so before it.
        """
        if self.moves and self.moves[-1][1] is on:
            self._under_way = False
            return False
        if not changed or self._under_way:
            return False
        self.moves.append((at, on))
        return True

    def take_back(self, *, on: bool) -> None:
        """The last switching, to ``on``, has not come true."""
        if self.moves and self.moves[-1][1] is on:
            self.moves.pop()
            self._under_way = False

    def earliest(self, *, on: bool, at: float) -> float:
        """The first moment from ``at`` (wall clock) at which it may be switched so."""
        if not self.moves or self.moves[-1][1] is on:
            return at
        rules, times = self.rules, [min(when, at) for when, _ in self.moves]
        held = times[-1] + (rules.min_off if on else rules.min_on)
        if rules.most is not None and len(times) >= rules.most:
            held = max(held, times[-rules.most] + rules.window)
        return max(held, at)

    def copy(self) -> Pace:
        """As it is now, to be tried."""
        return Pace(self.rules, self.moves)

    def dump(self) -> list[list[Any]]:
        """JSON-able."""
        return [[when, on] for when, on in self.moves]


def load(saved: Iterable[Iterable[Any]]) -> Pace:
    """The switchings of an earlier life; the rules come from configuration."""
    return Pace(Rules(), [(float(when), bool(on)) for when, on in saved])


def paced(before: Pace | None, config: Inner | None) -> Pace | None:
    """The pace by the container pacing as configured below ``config``; None where there are no rules."""
    container = config.at("pacing") if config is not None else None
    if not isinstance(container, Inner):
        return None
    given = {name: container.leaf(name) for name in ("min-on-time", "min-off-time", "max-switchings", "window")}
    if not any(given.values()):
        return None
    most, window = given["max-switchings"], given["window"]
    rules = Rules(
        float(given["min-on-time"] or 0),
        float(given["min-off-time"] or 0),
        int(most) if most is not None else None,
        float(window) if window is not None else _WINDOW,
    )
    if before is None:
        return Pace(rules)
    before.rules = rules
    return before


def set_paces(entity: Entity) -> None:
    """Take what is configured of the pace of an entity and of its interfaces."""
    states = entity.states
    states.pace = paced(states.pace, states.config)
    for interface in entity.interfaces.values():
        supply = interface.config.at("supply") if interface.config is not None else None
        interface.pace = paced(interface.pace, supply if isinstance(supply, Inner) else None)


class PacingNodes:
    """The schema nodes of what is shown in a container pacing."""

    def __init__(self, container: SchemaNode) -> None:
        self.container = container
        self.last_switched = container.child("last-switched")
        self.not_before = container.child("not-before")

    def lay(self, children: dict[SchemaNode, Data], pace: Pace | None) -> None:
        """Add when it was switched to what is configured."""
        configured = children.get(self.container)
        if pace is None or not pace.moves or not isinstance(configured, Inner):
            return
        at, on = pace.moves[-1]
        shown = {self.last_switched: stamp(at), self.not_before: stamp(pace.earliest(on=not on, at=at))}
        children[self.container] = Inner(self.container, {**configured.children, **shown})


class Inrush:
    """Turns at being switched on, so that those of a group come one after the other (monotonic seconds).

    Another stagger begins a queue of its own: whoever shortens one that was much too long need not wait for it.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, float], float] = {}  # by group and stagger

    def turn(self, staggers: Mapping[str, float], mono: float) -> float:
        """Seconds until the turn of who is next in each of these groups; ``staggers``: seconds by name."""
        at = max(mono, *(self._next.get(queue, mono) for queue in staggers.items()))
        self._next = {queue: when for queue, when in self._next.items() if when > mono}
        self._next.update((queue, at + queue[1]) for queue in staggers.items())
        return at - mono

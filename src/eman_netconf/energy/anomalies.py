"""What devices told that cannot be, or can hardly be: refused or marked, said once, and kept where it is seen.

An entity keeps at most ``MOST`` troubles, each with when it was first and last, how often, and with which value. The
good path of a reading costs a comparison; however much nonsense comes, one warning an hour and kind goes to the log.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.effects import Changed, Effect, Warn
from eman_netconf.energy.printing import Leaves
from eman_netconf.energy.values import Now, Reading
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, ListNode

MOST = 16  # troubles kept of one entity
_QUIET = 3600.0  # seconds until the log is told of the same kind of trouble of the same entity again
_LONGEST = 64  # characters of a value that are kept
_LONGEST_PLACE = 80


class Kind(StrEnum):
    """What is wrong with a reading (eman-measurement: anomaly/kind)."""

    NOT_A_NUMBER = "not-a-number"
    OUT_OF_RANGE = "out-of-range"
    MALFORMED = "malformed"
    ABOVE_NAMEPLATE = "above-nameplate"
    ABSURD_POWER = "absurd-power"
    COUNTER_JUMPED = "counter-jumped"
    COUNTER_RESTARTED = "counter-restarted"
    COUNTER_AMBIGUOUS = "counter-ambiguous"
    COUNTER_FROZEN = "counter-frozen"
    COUNTER_SILENT = "counter-silent"
    POWER_DISAGREES = "power-disagrees"
    METER_REPLACED = "meter-replaced"


#: What is said of it, and what was done about it.
_SAID = {
    Kind.NOT_A_NUMBER: "is no number that can be used; it was refused",
    Kind.OUT_OF_RANGE: "is beyond what the quantity can be; it was refused",
    Kind.MALFORMED: "has a time, method or phase that cannot be; it was refused",
    Kind.ABOVE_NAMEPLATE: "is far above the nameplate; it was taken, and its energy counts as estimated",
    Kind.ABSURD_POWER: "is beyond all reason for the nameplate; it was refused",
    Kind.COUNTER_JUMPED: "fell or jumped beyond reason; nothing was added until the next reading tells why",
    Kind.COUNTER_RESTARTED: "goes on from elsewhere than before; energy is missing",
    Kind.COUNTER_AMBIGUOUS: "may have gone round more than once in a gap; energy may be missing",
    Kind.COUNTER_FROZEN: "stands still while power flows; its energy is in doubt",
    Kind.COUNTER_SILENT: "still comes, but the counter beside it does not; no energy is counted until it does again",
    Kind.POWER_DISAGREES: "counts much more than the power beside it makes; the counter was believed",
    Kind.METER_REPLACED: "comes from another device than before; it is counted on from here, and energy is missing",
}


class AnomalyNodes:
    """The schema nodes of the list anomaly below ``entity``."""

    def __init__(self, entity: SchemaNode) -> None:
        self.list = entity.child("anomaly")
        self.kind = self.list.child("kind")
        self.quantity = self.list.child("quantity")
        self.place = self.list.child("place")
        self.state = self.list.child("state")
        self.first_time = self.list.child("first-time")
        self.last_time = self.list.child("last-time")
        self.count = self.list.child("count")
        self.last_value = self.list.child("last-value")


class _Where(NamedTuple):
    """What of an entity, and where, as told in the model."""

    quantity: str
    place: str


def _where(reading: Reading) -> _Where:
    point = reading.point
    place = "entity"
    if point.interface is not None:
        place = f"power-interface {point.interface}"
    elif point.battery is not None:
        place = f"battery {point.battery}"
    return _Where(str(reading.quantity)[:_LONGEST_PLACE], clipped(place, _LONGEST_PLACE))


class _Trouble:
    """One kind of trouble with one quantity at one place."""

    __slots__ = ("active", "count", "first", "last", "value")

    def __init__(self, wall: float) -> None:
        self.active = True
        self.count = 0
        self.first = self.last = wall
        self.value = ""


class Anomalies:
    """The troubles with the readings of one entity."""

    __slots__ = ("_node", "_nodes", "_said", "_troubles", "active")

    def __init__(self, nodes: AnomalyNodes) -> None:
        self._nodes = nodes
        self._troubles: dict[_Where, dict[Kind, _Trouble]] = {}
        self._said: dict[Kind, float] = {}  # when the log was told, by the monotonic clock
        self._node: ListNode | None = None
        self.active = 0

    def note(self, kind: Kind, entity: str, reading: Reading, now: Now, out: list[Effect], *, taken: bool) -> bool:
        """``reading`` of ``entity`` was odd, and yet ``taken`` or not. Whether more is said now than how often."""
        where = _where(reading)
        kinds = self._troubles.get(where)
        trouble = kinds.get(kind) if kinds is not None else None
        if trouble is None:
            self._make_room()
            trouble = self._troubles.setdefault(where, {})[kind] = _Trouble(now.wall)
            news = True
            self.active += 1
        else:
            news = not trouble.active
            self.active += news
            trouble.active = True
        if taken:  # then this is what is wrong with it, and what was before is past
            news = self._end(where, but=kind) or news
        trouble.count += 1
        trouble.last = now.wall
        trouble.value = _text(reading.value)
        self._node = None
        if news:
            out.append(Changed(entity, "anomaly"))
        if now.mono - self._said.get(kind, -_QUIET) >= _QUIET:
            self._said[kind] = now.mono
            told = f"{where.quantity} at {where.place}" if where.place != "entity" else where.quantity
            out.append(Warn(f"{entity}: {told} told as {trouble.value} {_SAID[kind]}"))
        return news

    def good(self, entity: str, reading: Reading, out: list[Effect]) -> bool:
        """A reading was taken without a doubt: the troubles with its quantity are past. Whether there were any."""
        if not self._end(_where(reading)):
            return False
        self._node = None
        out.append(Changed(entity, "anomaly"))
        return True

    def _end(self, where: _Where, but: Kind | None = None) -> bool:
        """All troubles there are past, but one; whether any was not."""
        ended = [
            trouble for kind, trouble in self._troubles.get(where, {}).items() if trouble.active and kind is not but
        ]
        for trouble in ended:
            trouble.active = False
        self.active -= len(ended)
        return bool(ended)

    def _make_room(self) -> None:
        """Forget the one that was last seen the longest ago, of those that are past if there are any."""
        found = [
            (trouble.active, trouble.last, where, kind)
            for where, kinds in self._troubles.items()
            for kind, trouble in kinds.items()
        ]
        if len(found) < MOST:
            return
        active, _, where, kind = min(found)
        self.active -= active
        del self._troubles[where][kind]
        if not self._troubles[where]:
            del self._troubles[where]

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        """Put the list into the entry of the entity."""
        if self._node is None:
            self._node = self._render()
        children[self._nodes.list] = self._node

    def _render(self) -> ListNode:
        nodes = self._nodes
        entries: dict[Key, Inner] = {}
        for where, kinds in self._troubles.items():
            for kind, trouble in kinds.items():
                leaves: dict[SchemaNode, Data] = {
                    nodes.kind: kind.value,
                    nodes.quantity: where.quantity,
                    nodes.place: where.place,
                    nodes.state: "active" if trouble.active else "past",
                    nodes.first_time: stamp(trouble.first),
                    nodes.last_time: stamp(trouble.last),
                    nodes.count: str(trouble.count),
                    nodes.last_value: trouble.value,
                }
                entries[kind.value, where.quantity, where.place] = Leaves(nodes.list, leaves)
        return ListNode(nodes.list, entries)


def _text(value: object) -> str:
    """A value that a device told, however long, so that it can be shown."""
    if isinstance(value, int) and value.bit_length() > _LONGEST:
        return f"a number of {value.bit_length()} bits"
    return clipped(str(value)[:_LONGEST])

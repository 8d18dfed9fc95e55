"""What of batteries outlives the process, and which entity is which battery (RFC 6988 sections 5.6.8 and 5.6.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.effects import Changed, Effect
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.site import Site
from eman_netconf.energy.taps import Observed
from eman_netconf.energy.values import Now
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner

_WORD = "battery-of"
_Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Shown:
    """In whose list the battery stands that an entity is: an extra of its entry."""

    node: SchemaNode
    holder: str
    name: str

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        leaves: dict[SchemaNode, Data] = {
            self.node.child("entity"): self.holder,
            self.node.child("battery"): self.name,
        }
        children[self.node] = Inner(self.node, leaves)


class Batteries:
    """All batteries of a site: follows the entities (taps.Follower), and keeps what is remembered of each battery."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.nodes.entity.child(_WORD)
        self._known: dict[str, dict[str, Battery]] = {}  # by entity and name
        self._stands: dict[str, dict[str, Battery]] = {}  # by the holder, then by the entity a battery is
        self._holders: dict[str, dict[str, None]] = {}  # the other way round
        self._waiting: dict[str, _Record] = {}  # records of an earlier life
        self._unsaved: dict[tuple[str, str], None] = {}

    # --- what is observed

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        if not isinstance(observed, Entity):
            return
        id_ = observed.id
        known = self._known.get(id_, {})
        if observed.batteries or known:
            for name in known.keys() - observed.batteries.keys():
                self._unsaved[id_, name] = None
            self._known[id_] = dict(observed.batteries)
            for name, battery in observed.batteries.items():
                if battery.keep is None and battery.info is not None:
                    self._take_up(id_, name, battery, now)
                    observed.batteries_changed()
            standing = {battery.entity: battery for battery in observed.batteries.values() if battery.entity}
            standing.pop(id_, None)
            self._stand(id_, standing, now, out)
        if id_ in self._holders or observed.stands_for is not None:
            self._show(id_, out)

    def _take_up(self, id_: str, name: str, battery: Battery, now: Now) -> None:
        """A battery is told of for the first time; what was told of it in an earlier life is not told again."""
        record = self._waiting.pop(f"{id_}/{name}", None)
        if record is not None:
            try:
                battery.load(record, now.wall)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                self._unsaved[id_, name] = None  # of a server that knew other things
        battery.keep = partial(self._unsaved.__setitem__, (id_, name), None)

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        for name in self._known.pop(record_key, {}):
            self._unsaved[record_key, name] = None
        for holder in self._holders.get(record_key, ()):
            self._stands[holder][record_key].meter = None
        self._stand(record_key, {}, now, out)

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        known = self._known.get(before, {})
        self.leave(before, now, out)
        for name, battery in known.items():
            battery.keep = partial(self._unsaved.__setitem__, (after, name), None)
            battery.keep()

    # --- batteries that are entities

    def _stand(self, holder: str, standing: Mapping[str, Battery], now: Now, out: list[Effect]) -> None:
        """The batteries of ``holder`` that are entities, by the id of these, in place of those that were."""
        before = self._stands.pop(holder, {})
        if standing:
            self._stands[holder] = dict(standing)
        for id_ in before.keys() - standing.keys():
            before[id_].meter = None
            self._holders[id_].pop(holder)
            if not self._holders[id_]:
                del self._holders[id_]
        for id_ in standing.keys() - before.keys():
            self._holders.setdefault(id_, {})[holder] = None
        for id_ in before.keys() | standing.keys():
            self._show(id_, out)

    def _show(self, id_: str, out: list[Effect]) -> None:
        """Bring an entity in line with the battery that it is, of several the first that said so."""
        entity = self._site.entities.get(id_)
        if entity is None:
            return
        holder = next(iter(self._holders.get(id_, ())), None)
        battery = self._stands[holder][id_] if holder is not None else None
        if battery is not None:
            battery.meter = entity.meter
        shown = _Shown(self._node, holder, battery.name) if holder is not None and battery is not None else None
        if entity.stands_for is battery and entity.extras.get(_WORD) == shown:
            return
        if entity.stands_for is not None:
            entity.stands_for.seat.taps = None
        entity.stands_for = battery
        if shown is not None:
            entity.extras[_WORD] = shown
        else:
            entity.extras.pop(_WORD, None)
        entity.stir()
        self._site.refreshed[id_] = entity  # who watches it is laid anew
        out.append(Changed(id_, _WORD))

    # --- what outlives the process

    def restore(self, saved: Mapping[str, _Record], /) -> None:
        """Take up the records of an earlier life, before anything is observed."""
        self._waiting = dict(saved)

    def dirty(self, limit: int, /) -> list[tuple[str, dict[str, Any] | None]]:
        """At most ``limit`` records that changed since they were asked for, by name; None = it may be deleted."""
        keys = [key for key, _ in zip(self._unsaved, range(limit), strict=False)]
        for key in keys:
            del self._unsaved[key]
        return [(f"{id_}/{name}", self._record(id_, name)) for id_, name in keys]

    def _record(self, id_: str, name: str) -> dict[str, Any] | None:
        battery = self._known.get(id_, {}).get(name)
        return battery.dump() if battery is not None else None

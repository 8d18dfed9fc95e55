"""Maintenance: nothing is commanded and nobody alarmed while people are at work on an entity or on a group.

What is in maintenance follows from configuration, containment, groups and the wall clock. Begin and end are told, once
each, also when the process was away meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from eman_netconf.energy.canonical import instant
from eman_netconf.energy.effects import Audit, Changed, Effect, Notify
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.groups import Groups
from eman_netconf.energy.site import Site
from eman_netconf.energy.taps import Observed
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Now
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, make_inner

_WORD = "maintenance"
_GROUPS = "groups:"
_LOOK = 86_400.0  # seconds after which it is looked again at the latest, whatever becomes of the wall clock
#: What is kept from subscribers while an entity is in maintenance or not in service; facts about states are told.
MUTED = frozenset({"threshold-crossed", "battery-low", "battery-aging", "battery-temperature"})


@dataclass(frozen=True, slots=True)
class Spell:
    """One maintenance as configured. ``key`` is the id of its entity or ``groups:<name>``; ``until`` by wall clock."""

    key: str
    until: float | None = None
    until_said: str | None = None
    reason: str | None = None
    responsible: str | None = None

    def sentence(self, id_: str) -> str:
        """Why ``id_`` takes no commands."""
        group = f" with the group {self.key.removeprefix(_GROUPS)}" if self.key.startswith(_GROUPS) else ""
        whole = f" as a part of {self.key}" if not group and self.key != id_ else ""
        details = [f"until {self.until_said}"] if self.until_said else []
        details += [self.reason] if self.reason else []
        details += [f"responsible is {self.responsible}"] if self.responsible else []
        return f"{id_} is in maintenance{group}{whole}" + (f" ({', '.join(details)})" if details else "") + "."


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an entity shows of the maintenance it is in: an extra of its entry."""

    node: SchemaNode
    id: str
    spell: Spell
    since: float

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        spell, group = self.spell, self.spell.key.startswith(_GROUPS)
        told = {
            "since": stamp(self.since),
            "until": spell.until_said,
            "reason": spell.reason,
            "responsible": spell.responsible,
            "from-group": spell.key.removeprefix(_GROUPS) if group else None,
            "from-entity": spell.key if not group and spell.key != self.id else None,
        }
        children[self.node] = make_inner(self.node, {leaf: text for leaf, text in told.items() if text is not None})


class Maintenance:
    """All maintenance of a site. ``ended`` is called where some has ended; ``turned`` collects backends whose alarms
    may be others.
    """

    def __init__(self, site: Site, groups: Groups, timers: Timers, ended: Callable[[Now, list[Effect]], None]) -> None:
        self._site = site
        self._groups = groups
        self._timers = timers
        self._ended = ended
        self.turned: set[str] = set()
        site.maintenance = self._sentence
        self._node = site.nodes.entity.child("in-maintenance")
        self._spells: dict[str, Spell] = {}  # those that have not ended by themselves
        self._due: float | None = None  # when it is looked which are over
        self._since: dict[str, float] = {}  # entities in maintenance, since when by wall clock
        self._doubtful: dict[str, None] = {}  # entities to be judged anew
        self._unsaved: dict[str, None] = {}

    # --- which there are

    def configure(self, ids: Iterable[str], now: Now) -> None:
        """Take what is configured at these entities and at the groups that changed, before wishes are seen to."""
        found = {id_: self._read(id_, self._config_of(id_), now) for id_ in ids}
        for key, total in self._groups.configured.items():
            if key.startswith(_GROUPS):
                found[key] = self._read(key, total.config if total is not None else None, now)
        for key, spell in found.items():
            if spell != self._spells.get(key):
                self._doubt(self._concerned(key))
                self._set(key, spell)
                self._await(spell, now)

    def _config_of(self, id_: str) -> Inner | None:
        entity = self._site.entities.get(id_)
        return entity.config if entity is not None else None

    def _read(self, key: str, config: Inner | None, now: Now) -> Spell | None:
        said = config.at(_WORD) if config is not None else None
        if not isinstance(said, Inner) or said.leaf("enabled") != "true":
            return None
        until = said.leaf("until")
        end = instant(until) if until is not None else None
        if end is not None and end <= now.wall:
            return None
        return Spell(key, end, until, said.leaf("reason"), said.leaf("responsible"))

    def _set(self, key: str, spell: Spell | None) -> None:
        if spell is None:
            self._spells.pop(key, None)
        else:
            self._spells[key] = spell
        self._site.maintained = bool(self._spells)

    def _await(self, spell: Spell | None, now: Now) -> None:
        """See to it that somebody looks when a spell is over: one timer serves all, the next look sets the next one."""
        if spell is None or spell.until is None:
            return
        due = now.mono + min(spell.until - now.wall, _LOOK)
        if self._due is None or due < self._due:
            self._due = due
            self._timers.at(due, self._over)

    def _over(self, now: Now, out: list[Effect]) -> None:
        """The time of some has come; where the clock was set back it has not."""
        if self._due is None or now.mono < self._due:
            return
        self._due = None
        for key, spell in list(self._spells.items()):
            if spell.until is not None and spell.until <= now.wall:
                self._doubt(self._concerned(key))
                self._set(key, None)
            else:
                self._await(spell, now)

    def _concerned(self, key: str) -> list[str]:
        """Who is in maintenance by a spell, now or by what was known before."""
        if not key.startswith(_GROUPS):
            return [key]
        self._groups.arrange()
        known = self._groups.groups.get(key.removeprefix(_GROUPS))
        return [*self._since, *(known.members if known is not None else ())]

    # --- who is in it

    def spell(self, id_: str) -> Spell | None:
        """The maintenance that an entity is in: its own, that of what it is a part of, or that of a group."""
        if not self._spells:
            return None
        groups = [name for name in self._groups.groups if _GROUPS + name in self._spells]
        if groups:
            self._groups.arrange()
        inside: str | None = id_
        for _ in range(32):  # no further than any housing goes
            if inside is None:
                break
            if inside in self._spells:
                return self._spells[inside]
            for name in groups:
                if inside in self._groups.groups[name].members:
                    return self._spells[_GROUPS + name]
            inside = self._site.container(inside)
        return None

    def _sentence(self, id_: str) -> str | None:
        spell = self.spell(id_)
        return spell.sentence(id_) if spell is not None else None

    # --- begin and end, told

    def _doubt(self, ids: Iterable[str]) -> None:
        waiting = list(ids)
        while waiting:
            id_ = waiting.pop()
            if id_ not in self._doubtful:
                self._doubtful[id_] = None
                waiting += self._site.components(id_)

    def settle(self, now: Now, out: list[Effect]) -> None:
        """Tell who has come into maintenance and who is out of it again."""
        if not self._doubtful:
            return
        ended = False
        doubtful, self._doubtful = self._doubtful, {}
        for id_ in doubtful:
            entity = self._site.entities.get(id_)
            if entity is None:
                continue
            spell, before = self.spell(id_), entity.extras.get(_WORD)
            if spell is None:
                ended |= self._end(entity, now, out)
            elif not isinstance(before, _Shown) or before.spell != spell:
                self._begin(entity, spell, now, out)
        if ended:
            self._ended(now, out)

    def _begin(self, entity: Entity, spell: Spell, now: Now, out: list[Effect]) -> None:
        known = entity.id in self._since
        since = self._since.setdefault(entity.id, now.wall)
        entity.extras[_WORD] = _Shown(self._node, entity.id, spell, since)
        if not known:
            self._tell(entity, spell, now, out)
        self._stir(entity, out)

    def _end(self, entity: Entity, now: Now, out: list[Effect]) -> bool:
        if self._since.pop(entity.id, None) is None:
            return False
        entity.extras.pop(_WORD, None)
        self._tell(entity, None, now, out)
        self._stir(entity, out)
        return True

    def _tell(self, entity: Entity, spell: Spell | None, now: Now, out: list[Effect]) -> None:
        leaves = {"in-maintenance": "true" if spell is not None else "false"}
        told = spell or Spell(entity.id)
        more = {"until": told.until_said, "reason": told.reason, "responsible": told.responsible}
        out.append(self._site.notices.about("maintenance-changed", entity, now.wall, {**leaves, **more}))
        details = ", ".join(filter(None, (told.reason, told.responsible)))
        event = "maintenance begins" + (f": {details}" if details else "") if spell else "maintenance ends"
        out.append(Audit(now.wall, "", entity.id, event))

    def _stir(self, entity: Entity, out: list[Effect]) -> None:
        self._unsaved[entity.id] = None
        self.turned.update(entity.backends)
        entity.stir()
        out.append(Changed(entity.id, "in-maintenance"))

    def muted(self, out: list[Effect]) -> list[Effect]:
        """``out`` without what nobody is to be troubled with now."""
        return [effect for effect in out if not self._mute(effect)] if any(map(_troubling, out)) else out

    def _mute(self, effect: Effect) -> bool:
        return _troubling(effect) and self._site.quiet(effect.entity)

    # --- what comes, changes and goes

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        """An entity or a group changed: by what it is a part of, it may be in maintenance or out of it."""
        if not self._spells and not self._since:
            return
        key = observed.record_key
        if key.startswith(_GROUPS):
            self._doubt(self._concerned(key))
        elif isinstance(observed, Entity):
            self._doubt([key])

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        """An entity is gone, and with it what was configured of it."""
        self._set(record_key, None)
        if self._since.pop(record_key, None) is not None:
            self._unsaved[record_key] = None

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        """An entity goes by another id."""
        since = self._since.pop(before, None)
        if since is not None:
            self._since[after] = since
            self._unsaved.update(dict.fromkeys((before, after)))
        self._doubt([after])

    # --- what outlives the process

    def dirty(self, limit: int) -> list[tuple[str, dict[str, Any] | None]]:
        """Since when entities are in maintenance, as far as that changed; None = it is not any more."""
        ids = [id_ for id_, _ in zip(self._unsaved, range(limit), strict=False)]
        for id_ in ids:
            del self._unsaved[id_]
        return [(id_, {"since": self._since[id_]} if id_ in self._since else None) for id_ in ids]

    def restore(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what was told in an earlier life; who is out of it meanwhile is told when it is there."""
        for id_, record in saved.items():
            since = record.get("since")
            if isinstance(since, int | float):
                self._since[id_] = float(since)
                self._doubtful[id_] = None
            else:
                self._unsaved[id_] = None


def _troubling(effect: Effect) -> TypeGuard[Notify]:
    return isinstance(effect, Notify) and effect.notification.schema.name in MUTED

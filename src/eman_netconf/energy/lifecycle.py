"""The life of entities: who came in whose place, and whose values count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eman_netconf.energy.effects import Effect
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.relationships import AGGREGATED_BY
from eman_netconf.energy.site import Site
from eman_netconf.energy.taps import Observed
from eman_netconf.energy.values import Now
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data

_WORD = "lifecycle"


@dataclass(frozen=True, slots=True)
class _Shown:
    """Who came in place of an entity: an extra of its entry."""

    node: SchemaNode
    successors: tuple[str, ...]

    def lay(self, children: dict[SchemaNode, Data]) -> None:
        children[self.node] = self.successors


class Succession:
    """Who replaces whom, seen from those that were replaced; ``returned`` is called where one comes into service."""

    def __init__(self, site: Site, returned: Callable[[Now, list[Effect]], None]) -> None:
        self._site = site
        self._returned = returned
        self._replaces = site.nodes.entity.child("replaces")
        self._replaced_by = site.nodes.entity.child("replaced-by")
        self._out: set[str] = set()  # who is not in service
        self._before: dict[str, str] = {}  # successor -> whom it replaces
        self._after: dict[str, dict[str, None]] = {}  # the other way round

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        """An entity came or changed: whom it replaces, and by whom it is replaced."""
        if not isinstance(observed, Entity):
            return
        self._set(observed.id, observed.configured(self._replaces))
        self._show(observed)
        if observed.in_service is (observed.id in self._out):
            self._out.symmetric_difference_update((observed.id,))
            self._site.rewire(relation.peer for relation in self._site.graph.related(observed.id, AGGREGATED_BY))
            if observed.in_service:
                self._returned(now, out)

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        """An entity is gone."""
        self._out.discard(record_key)
        self._set(record_key, None)

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        """An entity goes by another id; ``bind`` follows."""
        self.leave(before, now, out)

    def _set(self, successor: str, replaced: str | None) -> None:
        before = self._before.get(successor)
        if before == replaced:
            return
        if before is not None:
            del self._before[successor]
            self._after[before].pop(successor)
            if not self._after[before]:
                del self._after[before]
        if replaced is not None:
            self._before[successor] = replaced
            self._after.setdefault(replaced, {})[successor] = None
        for id_ in (before, replaced):
            entity = self._site.entities.get(id_) if id_ is not None else None
            if entity is not None:
                self._show(entity)

    def _show(self, entity: Entity) -> None:
        successors = tuple(self._after.get(entity.id, ()))
        shown = entity.extras.get(_WORD)
        if (shown.successors if isinstance(shown, _Shown) else ()) == successors:
            return
        if successors:
            entity.extras[_WORD] = _Shown(self._replaced_by, successors)
        else:
            del entity.extras[_WORD]
        entity.stir()

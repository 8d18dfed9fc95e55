"""Domains and groups: who belongs to them, whose values make up their totals, and nobody counted twice."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from eman_netconf.energy.accumulation import Flow
from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.canonical import optional
from eman_netconf.energy.entities import Entity, EntityNodes
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.quantities import ReadingNodes
from eman_netconf.energy.relationships import AGGREGATED_BY, AGGREGATING, METERED_BY, METERING, Graph
from eman_netconf.energy.site import Site
from eman_netconf.energy.sums import Part
from eman_netconf.energy.taps import Extra, Selector, Tap
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key


class _Nodes:
    """The schema nodes of the list of domains or of groups."""

    def __init__(self, schema: Schema, container: str, entry: str, entities: EntityNodes) -> None:
        self.container = schema.find(f"/eman-entity:energy-management/eman-group:{container}")
        self.list = self.container.child(entry)
        self.contributor = self.list.child("contributor")
        self.unsaved: dict[Total, None] = {}  # whose energy grew since it was last persisted
        self.readings = ReadingNodes(self.list, entities.accuracy_classes)


class GroupNodes:
    def __init__(self, schema: Schema, entities: EntityNodes) -> None:
        self.domains = _Nodes(schema, "domains", "domain", entities)
        self.groups = _Nodes(schema, "groups", "group", entities)
        self.parent = self.domains.list.child("parent")
        self.boundary_meter = self.domains.list.child("boundary-meter")
        self.member = self.groups.list.child("member")
        self.includes = self.groups.list.child("includes")
        self.match = self.groups.list.child("match")
        self.stagger = optional(self.groups.list, "stagger")
        self.keyword = self.match.child("keyword")
        self.entity_class = self.match.child("class")
        self.category = self.match.child("category")


class Total:
    """One domain or group: its members, and the meter that adds them up."""

    __slots__ = ("_nodes", "config", "extras", "key", "members", "meter", "name", "node", "parts", "tapped")

    interfaces: Mapping[str, Interface] = MappingProxyType({})
    batteries: Mapping[str, Battery] = MappingProxyType({})
    stands_for: Battery | None = None

    def __init__(self, nodes: _Nodes, key: str, name: str) -> None:
        self._nodes = nodes
        self.key = key  # under which its counters are kept
        self.name = name
        self.config: Inner | None = None
        self.meter = Meter(nodes.readings, self)
        self.members: dict[str, None] = {}
        self.parts: dict[str, Part] = {}  # by contributor
        self.node: Inner | None = None
        self.extras: dict[str, Extra] = {}
        self.tapped: dict[str, tuple[tuple[Selector, Tap], ...]] = {}

    @property
    def record_key(self) -> str:
        """By which its records are kept."""
        return self.key

    @property
    def node_of_list(self) -> SchemaNode:
        return self._nodes.list

    def changed(self) -> None:
        self.node = None

    stir = changed

    def keep(self) -> None:
        """Its counters are not what they were: its record is to be persisted."""
        self._nodes.unsaved[self] = None

    def flowed(self, flow: Flow, wall: float) -> None:
        self.keep()

    def corrected(self, received: int, provided: int, wall: float) -> None:
        self.keep()

    def set_part(self, id_: str, part: Part | None) -> None:
        """Let the values of an entity go into the total, or with None no longer."""
        old = self.parts.get(id_)
        if old is part or (old is not None and part is not None and old.meter is part.meter):
            return
        if old is not None:
            old.meter.dependents = tuple(item for item in old.meter.dependents if item[0] is not self.meter)
            del self.parts[id_]
        if part is not None:
            part.meter.dependents += ((self.meter, False),)
            self.parts[id_] = part

    def settle(self) -> None:
        """All parts are set."""
        self.parts = {id_: self.parts[id_] for id_ in (*self.members, *self.parts) if id_ in self.parts}
        self.meter.parts = tuple(self.parts.values())
        self.meter.reset()

    def render(self, member: SchemaNode | None) -> Inner:
        """The entry; ``member`` is the leaf-list in which the members are shown."""
        if self.node is not None:
            return self.node
        children: dict[SchemaNode, Data] = dict(self.config.children) if self.config is not None else {}
        if member is not None and self.members:
            children[member] = tuple(self.members)
        if self.parts:
            children[self._nodes.contributor] = tuple(self.parts)
        self.meter.render(children)
        for extra in self.extras.values():
            extra.lay(children)
        self.node = Inner(self._nodes.list, children)
        return self.node


class Groups:
    """All domains and groups. Cost follows what changed: only entities that were touched are judged again."""

    def __init__(self, schema: Schema, site: Site) -> None:
        self._site = site
        self.nodes = GroupNodes(schema, site.nodes)
        self.domains: dict[str, Total] = {}
        self.groups: dict[str, Total] = {}
        self._touched: dict[str, None] = {}
        self._all = True
        self.appeared: Callable[[Total], None] = lambda _total: None
        self.forgotten: Callable[[str], None] = lambda _key: None  # a key means nothing any more
        self._belongs: dict[str, frozenset[str]] = {}  # entity -> keys of totals
        self._including: dict[str, list[str]] = {}  # group -> those that include it
        self.configured: dict[str, Total | None] = {}  # since somebody looked, by key; None = gone

    def configure(self, kind: str, configs: Mapping[Key, Inner]) -> None:
        """Take the configured entries of ``domains`` or ``groups``."""
        totals = self.domains if kind == "domains" else self.groups
        nodes = self.nodes.domains if kind == "domains" else self.nodes.groups
        for name in [name for name in totals if (name,) not in configs]:
            total = totals.pop(name)
            self.configured[total.key] = None
            self.forgotten(total.key)
            for id_ in list(total.parts):
                total.set_part(id_, None)
            self._all = True
        for (name,), config in configs.items():
            known = totals.get(name)
            if known is None:
                known = totals[name] = Total(nodes, f"{kind}:{name}", name)
                self.appeared(known)
                self._all = True
            if known.config is not config:
                self._all = self._all or self._decisive(known.config) != self._decisive(config)
                known.config = config
                known.changed()
                self.configured[known.key] = known

    def _decisive(self, config: Inner | None) -> list[Data | None]:
        """What of a configured entry decides who belongs to it."""
        nodes = (self.nodes.member, self.nodes.includes, self.nodes.match, self.nodes.parent, self.nodes.boundary_meter)
        return [config.get(node) if config is not None else None for node in nodes]

    def touch(self, ids: Iterable[str]) -> None:
        """These entities came, went, or changed in what groups go by."""
        if self.domains or self.groups:
            self._touched.update(dict.fromkeys(ids))

    def members(self, name: str) -> Sequence[str] | None:
        """The members of a group that are there; None if there is no such group."""
        self.arrange()
        total = self.groups.get(name)
        return None if total is None else [id_ for id_ in total.members if id_ in self._site.entities]

    def stagger(self, name: str) -> float | None:
        """Seconds between the members of a group that are switched, as configured."""
        total = self.groups.get(name)
        config = total.config if total is not None else None
        value = config.get(self.nodes.stagger) if config is not None and self.nodes.stagger is not None else None
        return float(value) if isinstance(value, str) else None

    def staggers(self, ids: Iterable[str]) -> dict[str, float]:
        """The groups that one of these entities is in and that have a stagger, with it."""
        found = {name: seconds for name in self.groups if (seconds := self.stagger(name))}
        if not found:
            return found
        self.arrange()
        wanted = set(ids)
        return {name: seconds for name, seconds in found.items() if not wanted.isdisjoint(self.groups[name].members)}

    @property
    def totals(self) -> list[Total]:
        return [*self.domains.values(), *self.groups.values()]

    # --- who belongs where

    def arrange(self) -> None:
        """Bring members and contributors up to date with what was touched since."""
        if self._all:
            self._all = False
            self._touched.update(dict.fromkeys((*self._site.entities, *self._belongs)))
            self._including = {}
            for total in self.groups.values():
                total.members = dict.fromkeys(_values(total, self.nodes.member))
                for included in _values(total, self.nodes.includes):
                    self._including.setdefault(included, []).append(total.name)
            for total in self.domains.values():
                total.members = {}
        if not self._touched:
            return
        judged = dict(self._touched)
        self._touched.clear()
        totals = {total.key: total for total in self.totals}
        waiting = list(judged)
        for id_ in list(judged):
            self._place(id_, totals)
        while waiting:  # whose values are inside another's depends on where that one belongs
            for inside in self._inside(waiting.pop()):
                if inside not in judged:
                    judged[inside] = None
                    waiting.append(inside)
        upset: dict[str, Total] = {}
        for id_ in judged:
            entity = self._site.entities.get(id_)
            for total in self._of(id_, totals):
                counts = entity is not None and entity.in_service and not self.counted_already(id_, total.members)
                before = len(total.parts), total.parts.get(id_)
                total.set_part(id_, Part(entity.meter, False, id_) if counts and entity is not None else None)
                if before != (len(total.parts), total.parts.get(id_)):
                    upset[total.key] = total
        for total in self.domains.values():
            if self._bounded(total):
                upset[total.key] = total
        for total in upset.values():
            total.settle()

    def _place(self, id_: str, totals: Mapping[str, Total]) -> None:
        """Put an entity into the totals it belongs to now, and out of the others."""
        entity = self._site.entities.get(id_)
        new = frozenset(self._belonging(entity)) if entity is not None else frozenset()
        for key in self._belongs.get(id_, frozenset()) - new:
            total = totals.get(key)
            if total is not None:
                if not self._named(total, id_):
                    total.members.pop(id_, None)
                total.set_part(id_, None)
                total.settle()
        for key in new:
            totals[key].members.setdefault(id_, None)
            totals[key].changed()
        if new:
            self._belongs[id_] = _shared(new)
        else:
            self._belongs.pop(id_, None)
        if entity is not None:
            names = tuple(total.name for total in self.groups.values() if total.key in new)
            if names != entity.groups:
                entity.groups = names
                entity.identity_changed()

    def _of(self, id_: str, totals: Mapping[str, Total]) -> list[Total]:
        return [totals[key] for key in sorted(self._belongs.get(id_, ()))]

    def _named(self, total: Total, id_: str) -> bool:
        return id_ in _values(total, self.nodes.member)

    def _belonging(self, entity: Entity) -> Iterable[str]:
        """The keys of the totals an entity belongs to: its domain with those above, and its groups."""
        domain = self.domains.get(entity.configured(self._site.nodes.domain) or "")
        seen: set[str] = set()
        while domain is not None and domain.key not in seen:
            seen.add(domain.key)
            yield domain.key
            parent = domain.config.get(self.nodes.parent) if domain.config is not None else None
            domain = self.domains.get(parent) if isinstance(parent, str) else None
        waiting = [
            total for total in self.groups.values() if self._named(total, entity.id) or self._matches(total, entity)
        ]
        while waiting:
            total = waiting.pop()
            if total.key not in seen:
                seen.add(total.key)
                yield total.key
                waiting += (self.groups[name] for name in self._including.get(total.name, ()))

    def _matches(self, total: Total, entity: Entity) -> bool:
        match = total.config.get(self.nodes.match) if total.config is not None else None
        if not isinstance(match, Inner) or not match.children:
            return False
        nodes = self._site.nodes
        keywords = match.get(self.nodes.keyword)
        if isinstance(keywords, tuple) and not set(keywords) <= set(entity.values(nodes.keyword)):
            return False
        category = match.get(self.nodes.category)
        if category is not None and entity.value(nodes.category) != category:
            return False
        wanted = match.get(self.nodes.entity_class)
        if not isinstance(wanted, str):
            return True
        known = entity.value(nodes.entity_class)
        return known is not None and self._site.identities.is_a(known, wanted)

    # --- whose values are inside whose

    def _bounded(self, total: Total) -> bool:
        """A domain with boundary meters is what they measure; whether that changed its parts."""
        meters = total.config.get(self.nodes.boundary_meter) if total.config is not None else None
        if not isinstance(meters, tuple) or not meters:
            return False
        before = dict(total.parts)
        for id_ in [id_ for id_ in total.parts if id_ not in meters]:
            total.set_part(id_, None)
        for id_ in meters:
            entity = self._site.entities.get(id_)
            counts = entity is not None and not self.counted_already(id_, meters)
            total.set_part(id_, Part(entity.meter, False, id_) if counts and entity is not None else None)
        return before != total.parts

    def _inside(self, id_: str) -> list[str]:
        """The entities whose values may be part of the values of this one."""
        graph = self._site.graph
        found = [*graph.loads(id_), *self._site.components(id_)]
        for type_ in (AGGREGATING, METERING):
            found += [relation.peer for relation in graph.related(id_, type_)]
        return found

    def counted_already(self, id_: str, members: Container[str], graph: Graph | None = None) -> bool:
        """Whether the value of a member is in that of another member, directly or by steps."""
        graph = graph or self._site.graph
        seen = {id_}
        waiting = [id_]
        while waiting:
            here = waiting.pop()
            around = [feed.source for feed in graph.feeds(here)]
            container = self._site.container(here)
            if container is not None:
                around.append(container)
            for type_ in (AGGREGATED_BY, METERED_BY):
                around += [relation.peer for relation in graph.related(here, type_)]
            for other in around:
                if other in seen:
                    continue
                if other in members and (known := self._site.entities.get(other)) is not None and known.in_service:
                    return True
                seen.add(other)
                waiting.append(other)
        return False


@lru_cache(1024)
def _shared(keys: frozenset[str]) -> frozenset[str]:
    """An equal set, the same one for all entities that belong to the same totals."""
    return keys


def _values(total: Total, node: SchemaNode) -> tuple[str, ...]:
    """The configured values of a leaf-list."""
    value = total.config.get(node) if total.config is not None else None
    return value if isinstance(value, tuple) else ()

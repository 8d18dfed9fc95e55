"""The site: every entity by id, what is discovered bound to what is configured, and all of it wired together."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

from eman_netconf.energy import nameplates
from eman_netconf.energy.binding import ForeignKey, Names, Told, normalised
from eman_netconf.energy.canonical import Identities
from eman_netconf.energy.claims import configured_claim, discovered_claim, proxying_claim
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.entities import Entity, EntityNodes, Teller
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.links import Link, LinkNodes
from eman_netconf.energy.neighbours import Ear, Neighbours, far_end
from eman_netconf.energy.notices import Notices
from eman_netconf.energy.relationships import REPORTING, Claim, End, Evidence, Graph, Role
from eman_netconf.energy.state_sets import StateSets
from eman_netconf.energy.upkeep import bind_points, lacks_interfaces, learn_batteries, refresh, refresh_interfaces
from eman_netconf.energy.uuids import UUID_KIND, Uuids, told_uuids
from eman_netconf.energy.values import Direction, EntityInfo, Inventory, Now, Supply
from eman_netconf.energy.wiring import connect, set_parts
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner


class Site:
    """All records, kept consistent with configuration and inventories. What makes no sense in them is left out."""

    def __init__(self, schema: Schema, new_uuid: Callable[[str], str]) -> None:
        self.identities = Identities(schema)
        self.nodes = EntityNodes(schema, self.identities, new_uuid)
        self.link_nodes = LinkNodes(schema)
        self.sets = StateSets(schema, self.identities)
        self.notices = Notices(schema)
        self.graph = Graph(self)
        self.entities: dict[str, Entity] = {}  # in order of appearance
        self.links: dict[str, Link] = {}
        self.generation = 0  # moves when an entity comes, goes, or changes its id or container
        self.appeared: Callable[[Entity], bool] = lambda _entity: False  # whether it was known in an earlier life
        self.interface_appeared: Callable[[Interface], None] = lambda _interface: None
        self.forgotten: Callable[[str], None] = lambda _id: None  # an id means nothing any more
        self.touched: Callable[[Iterable[str]], None] = lambda _ids: None  # what groups go by may have changed
        self.maintained = False  # whether anything is in maintenance
        self.maintenance: Callable[[str], str | None] = lambda _id: None  # of an entity, as a sentence
        self.refreshed: dict[str, Entity | None] = {}  # since somebody looked; None = gone
        self.renamed: list[tuple[str, str]] = []  # ids before and after, since somebody looked
        self.uuids = Uuids(new_uuid)
        self._names = Names(self.nodes.foreign_ids)
        self._neighbours = Neighbours(self.nodes.foreign_ids)
        self._supposed: Mapping[End, Direction] = {}
        self.both_ways: dict[str, tuple[str, ...]] = {}  # by entity, its interfaces that are built to take and to give
        self._containers: dict[str, str] = {}
        self._components: dict[str, dict[str, None]] = {}

    # --- what the graph and the entries ask

    def interface(self, end: End) -> Interface | None:
        entity = self.entities.get(end.entity)
        return entity.interfaces.get(end.interface) if entity is not None else None

    def direction(self, end: End) -> Direction | None:
        supposed = self._supposed.get(end)
        if supposed is not None:
            return supposed if supposed is not Direction.BOTH else None
        interface = self.interface(end)
        return interface.works_as if interface is not None else None

    @contextmanager
    def supposing(self, directions: Mapping[End, Direction]) -> Iterator[None]:
        """As if interfaces were built as ``directions`` says, for a configuration that is only tried."""
        self._supposed = directions
        try:
            yield
        finally:
            self._supposed = {}

    def foreign_id_holder(self, key: ForeignKey) -> str | None:
        """The entity that has an identifier by configuration."""
        return self._names.configured.get(key)

    def quiet(self, id_: str) -> bool:
        """Whether nobody is to be alarmed about an entity: people are at work on it, or it is not in service."""
        entity = self.entities.get(id_)
        return entity is not None and (not entity.in_service or self.maintenance(id_) is not None)

    def passes(self, end: End) -> bool:
        """Whether the outlet can be counted on; one that its entity does not have among others cannot."""
        entity = self.entities.get(end.entity)
        interface = self.interface(end)
        if interface is None or not interface.exists:
            return entity is None or not any(other.exists for other in entity.interfaces.values())
        return interface.passes

    def takes(self, end: End) -> bool:
        """Whether an inlet can be counted on to take power: nobody switched it off, or is about to."""
        interface = self.interface(end)
        if interface is None:
            return True
        dark = interface.available is False and end.interface in self.both_ways.get(end.entity, ())
        return interface.passes and not dark

    def grids(self, entity: str) -> Iterable[str]:
        """The interfaces of an entity that are built to take power and to give it."""
        return self.both_ways.get(entity, ())

    def runs(self, entity: str) -> bool:
        """Whether the entity can be counted on to pass power on: not off, and not about to be.

        One that is named in a wire and was neither configured nor discovered may be a slip of the pen.
        """
        record = self.entities.get(entity)
        return record is not None and record.exists and record.runs

    def switchable(self, end: End) -> bool:
        interface = self.interface(end)
        return interface is not None and interface.switch is not None

    def measures(self, end: End) -> bool:
        interface = self.interface(end)
        return interface is not None and interface.meter.measures

    def container(self, entity: str) -> str | None:
        return self._containers.get(entity)

    def components(self, entity: str) -> Iterable[str]:
        return self._components.get(entity, ())

    def uuid_of(self, entity: str) -> str | None:
        record = self.entities.get(entity)
        return record.uuid if record is not None else None

    def sources_pass(self, interface: Interface) -> bool | None:
        """Whether one of the sources of an inlet passes power; None = no source is known, or not whether it does."""
        verdict: bool | None = None
        for source in self.graph.peers(interface.end, Role.SOURCE):
            other = self.interface(source)
            if other is not None and other.supply is not None:
                if other.supply is Supply.ON:
                    return True
                verdict = False
        return verdict

    # --- configuration

    def set_config(self, id_: str, config: Inner | None, now: Now, out: list[Effect], *, quiet: bool = False) -> None:
        """Take the configured entry of an entity (None = deleted); ``quiet``: at start, when nothing appears newly."""
        entity = self.entities.get(id_)
        before = entity.config if entity is not None else None
        if entity is not None and before is config and config is not None:
            return
        identifiers, news = self._names.configure(id_, before, config)
        if entity is None and config is not None:
            entity = self._take_over(id_, identifiers, now, out) or self._create(id_, config, now, out, quiet=quiet)
        if entity is None:
            return
        if (before is None) is not (config is None):
            self.generation += 1
        entity.config = config
        for told in list(entity.tellers):
            self._settle(told, entity, now, out)
        for key in news:
            for told in self._names.tellers(key):
                holder = self.entities.get(self.links[told[0]].tells.get(told[1], ""))
                if holder is not None and holder is not entity:
                    self._settle(told, holder, now, out)
        touched = self.graph.claim(
            ("configuration", id_), configured_claim(self.nodes, id_, config) if config is not None else None
        )
        current = self.entities.get(id_)
        if current is not None and not current.exists:
            self._remove(current, now, out)
            current = None
        if current is not None:
            self._refresh(current)
            learn_batteries(self, current, now, out, announce=False)
        for other in touched:
            if other in self.entities:
                self._neighbours.stir(self.entities[other])
        self.rewire(touched | {id_}, (id_,))
        self.touched(touched | {id_})

    def _take_over(self, id_: str, keys: Iterable[ForeignKey], now: Now, out: list[Effect]) -> Entity | None:
        """The discovered entity that one of the configured identifiers means goes by ``id_`` from now on."""
        for key in keys:
            for told in self._names.tellers(key):
                entity = self.entities.get(self.links[told[0]].tells.get(told[1], ""))
                if entity is not None and entity.config is None:
                    self._rename(entity, id_, now, out)
                    return entity
        return None

    # --- inventories

    def set_inventory(self, link: Link, inventory: Inventory, now: Now, out: list[Effect]) -> None:
        """Take what a backend sees: entities come, change and go."""
        infos = normalised(link.name, inventory)
        for local in [local for local in link.tells if local not in infos]:
            self._untell((link.name, local), now, out)
        touched: dict[str, None] = {}  # in order, so that everything that follows is the same each time
        for local, info in infos.items():
            touched[self._tell((link.name, local), info, now, out).id] = None
        for local, info in infos.items():
            touched.update(dict.fromkeys(sorted(self._claim_discovered((link.name, local), info))))
        touched.update(dict.fromkeys(sorted(self._claim_proxying(link))))
        for id_ in list(touched):
            entity = self.entities.get(id_)
            if entity is not None:
                self._refresh(entity)
        bind_points(self, link)
        self.rewire(touched, touched)
        self.touched(touched)

    def _tell(self, told: Told, info: EntityInfo, now: Now, out: list[Effect]) -> Entity:
        """A backend tells of an entity, newly or again."""
        link = self.links[told[0]]
        known = self.entities.get(link.tells.get(told[1], ""))
        old = known.tellers[told].info if known is not None else None
        if known is not None and old == info:
            return known
        self._names.discover(told, old, info)
        self._neighbours.hear(told, old, info)
        id_ = self._names.identify(told, info, self.entities)
        if known is not None and known.id != id_:
            known = self._move(told, known, id_, now, out)
        entity = known or self.entities.get(id_) or self._create(id_, None, now, out, info=info)
        link.tells[told[1]] = entity.id
        gone: str | None = None
        if told in entity.tellers:
            entity.tellers[told].info = info
            if old is not None and nameplates.replaced(old, info):
                gone = old.uuid.lower() if old.uuid else None
                inside = (self.entities.get(id_) for id_ in self.components(entity.id))
                nameplates.renew(entity, [component for component in inside if component is not None])
            self._tell_changed_ids(entity, old, info, now, out)
        else:
            entity.tellers[told] = Teller(told[0], info)
        self._settle_uuid(entity, told_uuids(entity.infos), now, out, gone)
        learn_batteries(self, entity, now, out, announce=old is not None)
        self._alias(info, entity)
        return entity

    def _alias(self, info: EntityInfo, entity: Entity) -> None:
        """Remember by which id or uuid others may know the entity; statements that used it are made again.

        A uuid that another entity had before by the word of its device stays that one's.
        """
        assert info.id is not None
        own = (uuid for uuid in told_uuids([info]) if self.uuids.may_be(uuid, entity))
        news = [name for name in (info.id, *own) if self._names.alias(name, entity.id)]
        for told in dict.fromkeys(told for name in news for told in self._names.mentioning(name)):
            other = self.entities[self.links[told[0]].tells[told[1]]]
            self.rewire(self._claim_discovered(told, other.tellers[told].info))

    def _untell(self, told: Told, now: Now, out: list[Effect]) -> None:
        """A backend no longer tells of an entity."""
        link = self.links[told[0]]
        entity = self.entities.get(link.tells.pop(told[1], ""))
        if entity is None:
            return
        teller = entity.tellers.pop(told, None)
        if teller is not None:
            self._names.discover(told, teller.info, None)
            self._neighbours.hear(told, teller.info, None)
            if teller.info.id is not None:
                self._names.aliases.pop(teller.info.id, None)
        touched = self.graph.claim(told, None) | self.graph.claim(("proxy", *told), None)
        link.points = {point: sink for point, sink in link.points.items() if point.entity != told[1]}
        if entity.exists:
            entity.judge_reach(now.wall)
            learn_batteries(self, entity, now, out, announce=True)
            self._refresh(entity)
        else:
            self._remove(entity, now, out)
        self.rewire(touched | {entity.id})
        self.touched(touched | {entity.id})

    def told_by(self, link: Link) -> dict[str, EntityInfo]:
        """What a backend tells, by local name."""
        return {local: self.entities[id_].tellers[link.name, local].info for local, id_ in link.tells.items()}

    def forget_backend(self, name: str, now: Now, out: list[Effect]) -> None:
        link = self.links.get(name)
        if link is not None:
            for local in list(link.tells):
                self._untell((name, local), now, out)
            del self.links[name]

    def _claim_discovered(self, told: Told, info: EntityInfo) -> set[str]:
        id_ = self.links[told[0]].tells[told[1]]
        return self.graph.claim(told, discovered_claim(self.identities, self._names.aliases, id_, info))

    def _claim_proxying(self, link: Link) -> set[str]:
        """The device itself speaks for all others its backend tells of, unless it says what else it does for them."""
        gateway = link.tells.get("")
        own = self.graph.claimed((link.name, ""))
        stated = {relation.peer for relation in own.relations if relation.type in REPORTING} if own is not None else ()
        touched: set[str] = set()
        for local, id_ in link.tells.items():
            claim = None
            if gateway not in (None, id_) and id_ not in stated:
                info = self.entities[id_].tellers[link.name, local].info
                claim = proxying_claim(id_, info, gateway, self.graph.claimed((link.name, local)))
            touched |= self.graph.claim(("proxy", link.name, local), claim)
        return touched

    # --- neighbours

    def meet(self) -> None:
        """Bring the wires to those who were heard in line with who is there; to be called after every change."""
        touched: dict[str, None] = {}
        for ear in self._neighbours.due():
            changed = self.graph.claim(ear, None if (wire := self._heard(ear)) is None else wire)
            if wire is not None and self.graph.loop(wire.wires[0][0].entity) is not None:
                changed |= self.graph.claim(ear, None)
                self._neighbours.refuse(ear)
            touched.update(dict.fromkeys(sorted(changed)))
        if touched:
            self.rewire(touched)
            self.touched(touched)

    def _heard(self, ear: Ear) -> Claim | None:
        """The wire from an interface to the neighbour it hears; None where none is known, or a better one is."""
        link, heard = self.links.get(ear.backend), self._neighbours.at(ear)
        if link is None or heard is None or ear.local not in link.tells:
            return None
        neighbour, there = heard
        near = self.interface(End(link.tells[ear.local], ear.interface))
        if near is None or there == near.end.entity or there not in self.entities:
            return None
        far = far_end(near, self.entities[there], neighbour.interface)
        if far is None or any(self._wired_by_hand(end) for end in (near.end, far)):
            return None
        return Claim(((near.end, far),), (), Evidence.DISCOVERED)

    def _wired_by_hand(self, end: End) -> bool:
        return Evidence.CONFIGURED in self.graph.witnesses(end).values()

    # --- coming, going, changing names

    def _create(
        self,
        id_: str,
        config: Inner | None,
        now: Now,
        out: list[Effect],
        *,
        info: EntityInfo | None = None,
        quiet: bool = False,
    ) -> Entity:
        entity = self.entities[id_] = Entity(self.nodes, self.sets, id_)
        entity.config = config
        entity.stir()
        self.generation += 1
        known = self.appeared(entity)
        self._settle_uuid(entity, told_uuids([info] if info is not None else []), now, out)
        if not known and not quiet:
            inside = info.contained_in if info is not None else entity.configured(self.nodes.contained_in)
            out.append(self.notices.about("entity-added", entity, now.wall, {"contained-in": inside}))
        return entity

    def _remove(self, entity: Entity, now: Now, out: list[Effect]) -> None:
        self._drop(entity.id)
        self.uuids.release(entity)
        for meter in (entity.meter, *(interface.meter for interface in entity.interfaces.values())):
            set_parts(meter, ())
        out.append(self.notices.about("entity-removed", entity, now.wall))

    def _drop(self, id_: str) -> None:
        self.entities.pop(id_).stir()
        self._contain(id_, None)
        self.both_ways.pop(id_, None)
        self.generation += 1
        self._neighbours.forget(id_)
        self.refreshed[id_] = None
        self.forgotten(id_)

    def _settle(self, told: Told, entity: Entity, now: Now, out: list[Effect]) -> None:
        """Configuration changed: does what is told still mean ``entity``?"""
        info = entity.tellers[told].info
        id_ = self._names.identify(told, info, self.entities)
        if id_ != entity.id:
            moved = self._move(told, entity, id_, now, out)
            self._alias(info, moved)
            self.rewire(self._claim_discovered(told, info) | {entity.id, moved.id})

    def _move(self, told: Told, entity: Entity, id_: str, now: Now, out: list[Effect]) -> Entity:
        """What ``told`` means goes by ``id_`` from now on: its record moves along unless others need it."""
        link = self.links[told[0]]
        if id_ not in self.entities and entity.config is None and len(entity.tellers) == 1:
            self._rename(entity, id_, now, out)
            return entity
        teller = entity.tellers.pop(told)
        target = self.entities.get(id_) or self._create(id_, None, now, out, info=teller.info)
        target.tellers[told] = teller
        link.tells[told[1]] = id_
        self._announce_rename(target, entity.id, now, out)
        if entity.exists:
            entity.judge_reach(now.wall)
            self._refresh(entity)
        else:
            self._drop(entity.id)
            self.uuids.release(entity)
        self._settle_uuid(target, told_uuids(target.infos), now, out)
        target.judge_reach(now.wall)
        learn_batteries(self, target, now, out, announce=False)
        self._refresh(target)
        bind_points(self, link)
        self.rewire(self._claim_proxying(link))
        self.touched((entity.id, target.id))
        return target

    def _rename(self, entity: Entity, id_: str, now: Now, out: list[Effect]) -> None:
        before = entity.id
        self._drop(before)
        self.refreshed.pop(before, None)
        entity.rename(id_)
        self.entities[id_] = entity
        self.renamed.append((before, id_))
        self.generation += 1
        for (backend, local), teller in entity.tellers.items():
            self.links[backend].tells[local] = id_
            self._alias(teller.info, entity)
            self.rewire(self._claim_discovered((backend, local), teller.info))
            self.rewire(self._claim_proxying(self.links[backend]))
        self._announce_rename(entity, before, now, out)
        self._refresh(entity)
        self.touched((before, id_))

    def _announce_rename(self, entity: Entity, before: str, now: Now, out: list[Effect]) -> None:
        leaves = {"old-value": before, "new-value": entity.id}
        out.append(self.notices.about("identifier-changed", entity, now.wall, leaves))

    def _settle_uuid(
        self, entity: Entity, told: list[str], now: Now, out: list[Effect], gone: str | None = None
    ) -> None:
        """See to it that an entity has the uuid of its device, and that those around show it."""
        for changed, before in self.uuids.settle(entity, told, gone):
            leaves = {"kind": UUID_KIND, "old-value": before, "new-value": changed.uuid}
            out.append(self.notices.about("identifier-changed", changed, now.wall, leaves))
            changed.identity_changed()
            changed.keep()
            around = {relation.peer for relation in self.graph.of(changed.id)}
            for interface in changed.interfaces.values():
                interface.identity_changed()
                around.update(other.entity for other, _, _ in self.graph.wired(interface.end))
            self.rewire((changed.id, *sorted(around)))

    def _tell_changed_ids(
        self, entity: Entity, old: EntityInfo | None, new: EntityInfo, now: Now, out: list[Effect]
    ) -> None:
        """Send identifier-changed for foreign identifiers that an entity has one of each kind of."""
        before, after = self._names.single(old), self._names.single(new)
        for kind in dict.fromkeys((*before, *after)):
            if before.get(kind) != after.get(kind):
                leaves = {"kind": kind, "old-value": before.get(kind), "new-value": after.get(kind)}
                out.append(self.notices.about("identifier-changed", entity, now.wall, leaves))

    # --- one record kept whole

    def _refresh(self, entity: Entity) -> None:
        """Bring everything below the record in line with configuration, inventories and wires."""
        refresh(self, entity)
        self._neighbours.know(entity)
        self._contain(entity.id, entity.container)
        self.refreshed[entity.id] = entity

    def _contain(self, entity: str, container: str | None) -> None:
        container = container if container != entity else None
        before = self._containers.get(entity)
        if before == container:
            return
        self.generation += 1
        if before is not None:
            del self._containers[entity]
            self._components[before].pop(entity, None)
            if not self._components[before]:
                del self._components[before]
        if container is not None:
            self._containers[entity] = container
            self._components.setdefault(container, {})[entity] = None

    # --- meters along wires

    def rewire(self, touched: Iterable[str], fresh: Container[str] = ()) -> None:
        """Wires or relations of ``touched`` changed: what they show of each other, and whose meter serves whom.

        Those in ``fresh`` have the right interfaces.
        """
        touched = list(touched)
        for id_ in touched:
            entity = self.entities.get(id_) if id_ not in fresh else None
            if entity is not None and lacks_interfaces(self, entity):
                refresh_interfaces(self, entity)
                self.refreshed[id_] = entity
        for id_ in touched:
            entity = self.entities.get(id_)
            if entity is not None:
                connect(self, entity)

    def now_measured(self, interface: Interface) -> None:
        """An interface told its first value: what was taken from elsewhere may come from it now."""
        self.rewire({interface.end.entity, *(other.entity for other, _, _ in self.graph.wired(interface.end))})

    def turned(self, interface: Interface) -> None:
        """An interface works the other way round now."""
        interface.identity_changed()
        touched = {interface.end.entity, *(other.entity for other, _, _ in self.graph.wired(interface.end))}
        self.rewire(touched)
        self.touched(touched)

"""The Energy Management Domain: the one door to the energy core (RFC 7326 section 2).

Values and time go in, effects come out; nothing here waits, asks the clock or opens anything. The parts:
``site`` holds what there is, ``intake`` takes readings, ``control`` carries out wishes, ``groups`` adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from eman_netconf.energy.battery_keeping import Batteries
from eman_netconf.energy.changes import Touched, entries, touched
from eman_netconf.energy.checks import Checks, nesting
from eman_netconf.energy.collector import Collector
from eman_netconf.energy.conditions import Conditions
from eman_netconf.energy.control import Control
from eman_netconf.energy.corrections import correct
from eman_netconf.energy.effects import Changed, Effect
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.groups import Groups
from eman_netconf.energy.hardware import Hardware
from eman_netconf.energy.intake import Intake
from eman_netconf.energy.ledger import Wall
from eman_netconf.energy.lifecycle import Succession
from eman_netconf.energy.links import Link
from eman_netconf.energy.maintenance import Maintenance
from eman_netconf.energy.plans import Plan
from eman_netconf.energy.recorder import Recorder
from eman_netconf.energy.records import Archive
from eman_netconf.energy.requests import RequestStatus
from eman_netconf.energy.site import Site
from eman_netconf.energy.taps import Follower, Observed, Settling
from eman_netconf.energy.thresholds import Thresholds
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.topology import Topology
from eman_netconf.energy.topology_nodes import TopologyNodes
from eman_netconf.energy.values import Inventory, LinkState, Now, Outcome, Point, Reading, Wish
from eman_netconf.energy.what_if import Assumed, Outlook, what_if
from eman_netconf.errors import RpcErrors
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode

if TYPE_CHECKING:
    from eman_netconf.yang.diff import Change


class Domain:
    """Everything the server knows and does about energy.

    ``host_entity`` is the entity the server itself runs on: vital by construction. ``new_uuid`` makes the uuid of an
    id, the same one each time.
    """

    def __init__(self, schema: Schema, *, host_entity: str | None = None, new_uuid: Callable[[str], str]) -> None:
        self.site = Site(schema, new_uuid)
        self.timers = Timers()
        self.control = Control(self.site, self.timers, host_entity)
        self.intake = Intake(self.site, self.control)
        self.groups = Groups(schema, self.site)
        self.batteries = Batteries(self.site)
        self.thresholds = Thresholds(schema, self.site.nodes, self.timers, self.site.notices)
        self.conditions = Conditions(self.site, self.control.guard.vital, self.thresholds)
        self.topology = Topology(self.site, self.site.graph, self.site.nodes.shifted)
        self._topology_nodes = TopologyNodes(schema)
        self._hardware = Hardware(schema, self.site)
        self.settling = Settling(self.timers)
        self.followers: list[Follower] = [self.batteries, self.thresholds]
        self._wall = Wall()
        self.recorder = Recorder(schema, self.timers, self._wall, self.settling.lay)
        self.series = Collector(schema, self.site.nodes, self.timers, self._wall, self.site.notices)
        self.followers += [self.recorder, self.series]
        self._archive = Archive(self.site, self.control, self.groups)
        self.maintenance = Maintenance(self.site, self.groups, self.timers, self.control.resume)
        self.followers += [self.maintenance, Succession(self.site, self.control.resume)]
        self.control.staggers = self.groups.staggers
        self._turned: set[str] = set()
        self._order: tuple[int, Mapping[Key, Inner], Mapping[Key, Entity]] = (-1, {}, {})
        self.site.touched = self.groups.touch

    # --- configuration

    def prepare(self, change: Change | None, running: Inner) -> None:
        """Judge a configuration that is about to be committed; None = all of it.

        Raises RpcErrors: power-loop, containment-loop, group-loop, domain-loop, state-not-supported, foreign-id-in-use;
        resource-denied.
        """
        errors = Checks(self.site, self._touched(change, running, self.site.nodes.entity)).run()
        errors += nesting(self.groups.nodes, lambda node: self._touched(change, running, node), running)
        if change is not None:
            errors += self.series.refused(change)
        if errors:
            raise RpcErrors(errors)

    def configure(self, change: Change | None, running: Inner, now: Now) -> list[Effect]:
        """Take a committed configuration; None = all of it, at start."""
        out: list[Effect] = []
        quiet = change is None
        self._archive.now = now
        self._wall.set(now)
        self.recorder.configure(running, now)
        for (name,), _old, config in self._touched(change, running, self.site.link_nodes.backend):
            if config is not None:
                self._link(name).configure(config)
                self._turned.add(name)
        ids = []
        for (id_,), _old, config in self._touched(change, running, self.site.nodes.entity):
            self.site.set_config(id_, config, now, out, quiet=quiet)
            ids.append(id_)
        if quiet:
            self._recall(running, now)
        for kind, nodes in (("domains", self.groups.nodes.domains), ("groups", self.groups.nodes.groups)):
            if quiet or any(True for _ in self._touched(change, running, nodes.list)):
                self.groups.configure(kind, entries(running, nodes.list))
        if quiet:
            self._archive.forget()
        self.maintenance.configure(ids, now)
        for id_ in ids:
            entity = self.site.entities.get(id_)
            if entity is not None:
                self.control.configure(entity, now, out, quiet=quiet)
                self._turned.update(entity.backends)  # what is not in service any more has no alarms
                out.append(Changed(id_, "entity"))
        return self._follow(now, out)

    def _recall(self, running: Inner, now: Now) -> None:
        """What devices told before they were last seen is known at once; it is news to nobody."""
        self.site.uuids.recalling = True
        for (name,) in entries(running, self.site.link_nodes.backend):
            told = self._archive.inventory(name)
            if told is not None:
                link = self._link(name)
                self.site.set_inventory(link, told, now, [])
                self.intake.link_turned(link, now, [])
        self.site.uuids.recalling = False

    def _touched(self, change: Change | None, running: Inner, node: SchemaNode) -> Iterable[Touched]:
        if change is not None:
            return touched(change, node)
        return [(key, None, entry) for key, entry in entries(running, node).items()]

    # --- devices

    def _link(self, backend: str) -> Link:
        link = self.site.links.get(backend)
        if link is None:
            link = self.site.links[backend] = Link(self.site.link_nodes, backend)
        return link

    def inventory(self, backend: str, inventory: Inventory, now: Now) -> list[Effect]:
        """Take all that a backend sees of its device, in place of what it saw before."""
        out: list[Effect] = []
        self._archive.now = now
        self._wall.set(now)
        link = self._link(backend)
        before = self.site.told_by(link)
        self.site.set_inventory(link, inventory, now, out)
        self._archive.told(backend, before, self.site.told_by(link))
        self.intake.link_turned(link, now, out)
        out.extend(Changed(id_, "entity") for id_ in link.tells.values())
        return self._follow(now, out)

    def ingest(
        self, backend: str, readings: Iterable[Reading], now: Now, missing: Mapping[Point, str] | None = None
    ) -> list[Effect]:
        """Take the readings of one pass, and which points did not answer. Unknown points change nothing."""
        out: list[Effect] = []
        link = self.site.links.get(backend)
        if link is None:
            return out
        self._wall.set(now)
        self.groups.arrange()
        readings = tuple(readings)
        self.intake.take(link, readings, now, out)
        if missing or link.missed:
            self.intake.missing(link, missing or {}, {reading.point.entity for reading in readings}, now, out)
        return self._follow(now, out)

    def link(
        self, backend: str, state: LinkState, now: Now, error: str | None = None, duration: float | None = None
    ) -> list[Effect]:
        """Take a step of the link: ``duration`` in seconds after a good pass, ``error`` after one that failed."""
        out: list[Effect] = []
        link = self._link(backend)
        about = self.site.notices.about_backend
        count = {"entity-count": str(len(link.tells))}
        self._turned.add(backend)
        if link.turn(state, now, error, duration):
            self.intake.link_turned(link, now, out)
            if state is not LinkState.UP:
                self.control.lost(backend)
        if link.down and not link.lost:
            link.lost = True
            out.append(about("backend-unreachable", backend, now.wall, {**count, "error": error}))
        elif state is LinkState.UP and link.lost:
            link.lost = False
            out.append(about("backend-recovered", backend, now.wall, count))
        if state is LinkState.UP and duration is not None:
            self.control.found(backend, now, out)
        return self._follow(now, out)

    def forget(self, backend: str, now: Now) -> list[Effect]:
        """The backend was taken out of configuration; what only it told of is gone."""
        out: list[Effect] = []
        link = self.site.links.get(backend)
        if link is not None:
            self._archive.told(backend, self.site.told_by(link), {})
        self.site.forget_backend(backend, now, out)
        self._turned.add(backend)
        return self._follow(now, out)

    # --- wishes

    def plan(self, wish: Wish, now: Now) -> Plan:
        """How ``wish`` would be carried out. Raises Refusal. Nothing is changed."""
        if wish.group is not None and wish.stagger is None:
            wish = replace(wish, stagger=self.groups.stagger(wish.group))
        return self.control.planner.plan(wish, self.groups.members, now)

    def start(self, plan: Plan, now: Now) -> tuple[list[int], list[Effect]]:
        """Carry out a plan made just now: the numbers of its requests (of a group: of its members with a plan)."""
        out: list[Effect] = []
        plans = [member.plan for member in plan.members if member.plan is not None] if plan.members else [plan]
        numbers = [self.control.start(item, now, out) for item in plans if item.target is not None]
        return numbers, self._follow(now, out)

    def outcome(self, command_id: int, outcome: Outcome, now: Now, reason: str | None = None) -> list[Effect]:
        """How a command that was sent ended; one already answered changes nothing."""
        out: list[Effect] = []
        self.control.jobs.outcome(command_id, outcome, now, reason, out)
        return self._follow(now, out)

    def request(self, request_id: int) -> RequestStatus | None:
        """How a request stands; None when it is not known (any more)."""
        return self.control.status(request_id)

    def next_timer(self) -> float | None:
        """When ``timer`` is to be called next, by the monotonic clock; None = not until something else happens."""
        return self.timers.next

    def timer(self, now: Now) -> list[Effect]:
        """Do what is due."""
        out: list[Effect] = []
        self._wall.set(now)
        self.timers.run(now, out)
        return self._follow(now, out)

    def what_if(self, assumed: Iterable[Assumed]) -> Generator[None, None, Outlook]:
        """What would come of failures and of switching, worked out in steps. Nothing is changed."""
        return what_if(self.site, self.topology, self.groups, assumed)

    # --- corrections

    def correct(
        self,
        owner: str,
        part: str,
        received: int,
        provided: int,
        start: float,
        end: float,
        by: str,
        reason: str,
        now: Now,
    ) -> list[Effect]:
        """Move the energy of a meter and of its sums by milliwatt-hours (corrections.correct). Raises Refusal."""
        out = correct(self.site, self.groups, owner, part, received, provided, start, end, by, reason, now)
        self.series.corrected(out)
        return self._follow(now, out)

    # --- who follows

    def follow(self, follower: Follower) -> None:
        """Tell ``follower`` of all that is observed from now on; to be called before ``configure``."""
        self.followers.append(follower)

    def _follow(self, now: Now, out: list[Effect]) -> list[Effect]:
        """Tell the followers what came, changed and went, and see to the sums that are watched."""
        site, groups = self.site, self.groups
        site.meet()
        while site.renamed:
            before, after = site.renamed.pop(0)
            for follower in self.followers:
                follower.renamed(before, after, now, out)
        if site.refreshed:
            self._hardware.changed = now.wall
        while site.refreshed or groups.configured:
            known: dict[str, Observed | None] = {**site.refreshed, **groups.configured}
            site.refreshed.clear()
            groups.configured.clear()
            for key, observed in known.items():
                for follower in self.followers:
                    if observed is None:
                        follower.leave(key, now, out)
                    else:
                        follower.bind(observed, now, out)
                if observed is not None:
                    self.settling.lay(observed)
        self.maintenance.settle(now, out)
        self.settling.later(now)
        self.recorder.tell(now, out)
        return self.maintenance.muted(out)

    # --- what is served

    def stirred(self) -> set[str]:
        """The ids of entities that came, went or show something else, readings aside, since this was asked last."""
        ids, self.site.nodes.stirred = self.site.nodes.stirred, set()
        self.topology.touch()
        return ids

    def turned(self) -> set[str]:
        """The names of backends of whose links there was news since this was asked last."""
        names, self._turned = self._turned | self.maintenance.turned, set()
        self.maintenance.turned = set()
        return names

    def upset(self) -> set[str]:
        """The keys of domains and groups of which a threshold stands otherwise since this was asked last."""
        keys, self.thresholds.upset = self.thresholds.upset, set()
        return keys

    def operational(self, running: Inner, now: Now) -> Inner:
        """The container energy-management: ``running`` with all that was discovered and read merged in.

        Entries are rendered when they are asked for, and remembered until something in them changes.
        """
        nodes, groups, links = self.site.nodes, self.groups.nodes, self.site.link_nodes
        top = nodes.entities.parent
        assert top is not None
        configured = running.get(top)
        children: dict[SchemaNode, Data] = dict(configured.children) if isinstance(configured, Inner) else {}
        if self.site.entities:
            entities = ListNode(nodes.entity, _Entities(self, running))
            children[nodes.entities] = Inner(nodes.entities, {nodes.entity: entities})
            wiring = self._topology_nodes
            children[wiring.container] = wiring.served(
                self.topology, self.site.entities, partial(self.ordered, running)
            )
        if groups.domains.container in children:
            children[groups.domains.container] = Late(groups.domains.container, self._domains)
        if groups.groups.container in children:
            children[groups.groups.container] = Late(groups.groups.container, self._groups)
        if links.backends in children:
            children[links.backends] = Late(links.backends, partial(self._backends, running))
        return Inner(top, children)

    def hardware(self, running: Inner) -> Inner:
        """The container hardware: the same entities as components."""
        return self._hardware.served(lambda: self.ordered(running).values())

    def _domains(self) -> Mapping[SchemaNode, Data]:
        self.groups.arrange()
        shown = _Rendered(self.groups.domains, lambda name: self.groups.domains[name].render(None))
        node = self.groups.nodes.domains.list
        return {node: ListNode(node, shown)}

    def _groups(self) -> Mapping[SchemaNode, Data]:
        self.groups.arrange()
        member = self.groups.nodes.member
        shown = _Rendered(self.groups.groups, lambda name: self.groups.groups[name].render(member))
        node = self.groups.nodes.groups.list
        return {node: ListNode(node, shown)}

    def _backends(self, running: Inner) -> Mapping[SchemaNode, Data]:
        node = self.site.link_nodes.backend
        backends = entries(running, node)
        shown = _Rendered((key[0] for key in backends), lambda name: self._backend(backends[name,]))
        return {node: ListNode(node, shown)}

    def _backend(self, config: Inner) -> Inner:
        nodes = self.site.link_nodes
        link = self.site.links.get(config.key()[0])
        return config.replace(nodes.link, link.render()) if link is not None else config

    def ordered(self, running: Inner) -> Mapping[Key, Entity]:
        """The entities in the order they are served: as configured, then in the order of discovery."""
        configured = entries(running, self.site.nodes.entity)
        generation, before, order = self._order
        if generation != self.site.generation or before is not configured:
            known = self.site.entities
            order = {key: known[key[0]] for key in configured if key[0] in known}
            order.update((entity.key, entity) for entity in known.values())
            self._order = self.site.generation, configured, order
        return order

    # --- what outlives the process

    def dirty(self, limit: int | None = None) -> list[tuple[str, dict[str, Any] | None]]:
        """JSON-able records that changed since the last call, by key; None = the record may be deleted.

        At most ``limit`` of them, the others with the next call: a caller that may not block for long asks often.
        Before the process ends everything has to be asked for.
        """
        return self._archive.dirty(limit)

    def restore(self, saved: Mapping[str, Mapping[str, Any]], now: Now, *, clean: bool) -> None:
        """Take up the records of an earlier life, before ``configure``; ``clean``: it had saved all it knew."""
        self._archive.restore(saved, now, clean=clean)


class _Entities(Mapping[Key, Inner]):
    """The entries of the list entity, each rendered when it is asked for.

    Whoever iterates keeps the entities that were there when it began.
    """

    def __init__(self, domain: Domain, running: Inner) -> None:
        self._domain = domain
        self._running = running
        self._order: Mapping[Key, Entity] | None = None

    def __getitem__(self, key: Key) -> Inner:
        site = self._domain.site
        entity = site.entities.get(key[0]) if len(key) == 1 else None
        if entity is None:
            if self._order is None:
                raise KeyError(key)
            entity = self._order[key]
        return entity.node or entity.render(site)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 1 and key[0] in self._domain.site.entities

    def __iter__(self) -> Iterator[Key]:
        if self._order is None:
            self._order = self._domain.ordered(self._running)
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._domain.site.entities if self._order is None else self._order)


class _Rendered(Mapping[Key, Inner]):
    """Entries of a short list with one key, each rendered when it is asked for."""

    def __init__(self, names: Iterable[str], render: Callable[[str], Inner]) -> None:
        self._names = dict.fromkeys(names)
        self._render = render

    def __getitem__(self, key: Key) -> Inner:
        if len(key) != 1 or key[0] not in self._names:
            raise KeyError(key)
        return self._render(key[0])

    def __iter__(self) -> Iterator[Key]:
        return ((name,) for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

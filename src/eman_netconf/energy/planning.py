"""From a wish to a plan: which commands fulfil it, whom they touch, and what the guard forbids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from eman_netconf.energy.entities import Entity
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.relationships import End, Role
from eman_netconf.energy.requests import Aspect, Target
from eman_netconf.energy.site import Site
from eman_netconf.energy.state_sets import IEEE1621, StateClass
from eman_netconf.energy.values import CommandKind, Point, Supply, Wish
from eman_netconf.errors import AppTag, ErrorTag

#: Seconds between two outlets that feed one entity being switched on, so that inrush currents come apart.
ON_STAGGER = 1.0

#: Transitions that leave an entity running; all others may interrupt what it feeds.
_HARMLESS = frozenset({"redfish-force-on", "redfish-resume"})
#: How an entity is asked to go off in good order, the best first.
_GRACEFUL = ("dmtf-off-soft-graceful", "redfish-graceful-shutdown")
_OFF = f"{IEEE1621}-off"


class Refusal(Exception):
    """Why a wish is not granted: a sentence for a person, the entities it is about, and the error-tag."""

    def __init__(
        self,
        reason: str,
        entities: Iterable[str] = (),
        tag: ErrorTag = ErrorTag.OPERATION_FAILED,
        app_tag: AppTag | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.entities = tuple(entities)
        self.tag = tag
        self.app_tag = app_tag


@dataclass(frozen=True, slots=True)
class Order:
    """One command as planned. ``entity`` carries it out, ``end`` is the outlet that is switched."""

    backend: str
    point: Point
    kind: CommandKind
    value: str | Decimal | None
    entity: str
    end: End | None = None
    turns_off: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Orders given together, ``after`` seconds from the answers to the stage before.

    With ``awaits`` it comes as soon as all those entities are off. ``asking``: a request to loads to shut down, of
    which nothing depends but how long to wait.
    """

    orders: tuple[Order, ...]
    after: float = 0.0
    awaits: frozenset[str] = frozenset()
    asking: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """What a wish for a group comes to at one member: a plan, or why not."""

    entity: str
    plan: Plan | None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a wish is to be fulfilled. The user needs the right to control every entity in ``touched``.

    ``affected`` are the other entities whose supply changes. A plan for a group has ``members`` and nothing else.
    """

    wish: Wish
    target: Target | None = None
    state: str | None = None  # canonical, or on|off
    limit: Decimal | None = None
    stages: tuple[Stage, ...] = ()
    touched: frozenset[str] = frozenset()
    affected: tuple[str, ...] = ()
    lasting: bool = True
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Assumed:
    """What other plans are about to do, as the guard must see it."""

    cut: frozenset[End] = frozenset()
    off: frozenset[str] = frozenset()

    def with_plan(self, plan: Plan) -> Assumed:
        orders = [order for stage in plan.stages if not stage.asking for order in stage.orders if order.turns_off]
        return Assumed(
            self.cut | {order.end for order in orders if order.end is not None},
            self.off | {order.entity for order in orders if order.end is None},
        )


class Planner:
    """Makes plans; changes nothing.

    ``host``: the entity this server runs on, vital by construction. ``busy``: whether a command to a backend's point
    has not been answered yet.
    """

    def __init__(self, site: Site, host: str | None, busy: Callable[[str, Point], bool]) -> None:
        self._site = site
        self._host = host
        self._busy = busy

    def plan(self, wish: Wish, members: Callable[[str], Sequence[str] | None]) -> Plan:
        """The plan for ``wish``; ``members`` tells those of a group, None where there is no such group."""
        if wish.group is not None:
            return self._group(wish, wish.group, members(wish.group))
        return self._single(wish, Assumed())

    def _single(self, wish: Wish, assumed: Assumed) -> Plan:
        entity = self._site.entities.get(wish.entity)
        if entity is None:
            raise Refusal(f"There is no entity {wish.entity}.", (wish.entity,), ErrorTag.DATA_MISSING)
        if wish.interface is not None:
            plan = self._supply(wish, entity, wish.interface)
        elif wish.release:
            plan = Plan(wish, Target(entity.id, Aspect.STATE), touched=frozenset({entity.id}))
        elif wish.state is not None:
            plan = self._state(wish, entity, wish.state)
        elif wish.transition is not None:
            plan = self._transition(wish, entity, wish.transition)
        else:
            plan = self._limit(wish, entity)
        return self._guarded(plan, entity, assumed)

    def _group(self, wish: Wish, name: str, members: Sequence[str] | None) -> Plan:
        if members is None:
            raise Refusal(f"There is no group {name}.", (), ErrorTag.DATA_MISSING)
        planned: list[Member] = []
        assumed = Assumed()
        ordered = sorted(members, key=self._turn)
        for member in ordered:
            single = replace(wish, group=None, entity=member)
            try:
                plan = self._single(single, assumed)
            except Refusal as refusal:
                planned.append(Member(member, None, refusal))
                continue
            delay = wish.stagger * sum(item.plan is not None for item in planned)
            if delay and plan.stages:
                first = replace(plan.stages[0], after=plan.stages[0].after + delay)
                plan = replace(plan, stages=(first, *plan.stages[1:]))
            assumed = assumed.with_plan(plan)
            planned.append(Member(member, plan))
        touched = frozenset(id_ for item in planned if item.plan is not None for id_ in item.plan.touched)
        return Plan(wish, touched=touched, members=tuple(planned))

    def _turn(self, id_: str) -> tuple[int, int, str]:
        """Members go by power priority, lowest first, then those without one by importance."""
        entity = self._site.entities.get(id_)
        priority = entity.configured(self._site.nodes.power_priority) if entity is not None else None
        importance = entity.configured(self._site.nodes.importance) if entity is not None else None
        return (0, int(priority), id_) if priority is not None else (1, int(importance or 1), id_)

    # --- what the device can be told

    def _state(self, wish: Wish, entity: Entity, name: str) -> Plan:
        sets = self._site.sets
        state = sets.find(name)
        if state is None:
            raise Refusal(f"{name} is not a power state.", (), ErrorTag.INVALID_VALUE)
        target = Target(entity.id, Aspect.STATE)
        told = entity.states.settable(state)
        if told is not None:
            if self.vital(entity.id) and sets.lowers(entity.states.state, told):
                raise Refusal(
                    f"{entity.id} is vital: its state is not lowered to {_local(told)}. Only a commit that removes "
                    "its mark allows that.",
                    (entity.id,),
                )
            backend, point = self._speaker(entity, told)
            off = sets.classes[told] is StateClass.OFF
            order = Order(backend, point, CommandKind.SET_POWER_STATE, _local(told), entity.id, turns_off=off)
            return Plan(wish, target, state, stages=(Stage((order,)),))
        if any(info.settable for info in entity.states.native.values()):
            raise Refusal(
                f"{entity.id} has no power state like {_local(state)}.",
                (entity.id,),
                ErrorTag.INVALID_VALUE,
                AppTag.STATE_NOT_SUPPORTED,
            )
        return self._state_by_supply(wish, entity, target, state)

    def _state_by_supply(self, wish: Wish, entity: Entity, target: Target, state: str) -> Plan:
        """An entity that cannot switch itself is switched by the outlets that feed it: off by all, on one by one."""
        kind = self._site.sets.classes[state]
        outlets = self._site.graph.outlets_of(entity.id)
        found = [(end, self._site.interface(end)) for end in outlets]
        switched = [item for end, item in found if item is not None and item.switch is not None]
        if not switched or kind is StateClass.SLEEP:
            raise Refusal(
                f"Nothing here can bring {entity.id} into the state {_local(state)}: neither the entity itself nor "
                "an outlet that feeds it takes commands.",
                (entity.id,),
                ErrorTag.OPERATION_NOT_SUPPORTED,
                AppTag.STATE_NOT_SUPPORTED,
            )
        if kind is StateClass.ON:
            orders = [self._switching(item, Supply.ON) for item in switched]
            stages = tuple(Stage((order,), ON_STAGGER if number else 0.0) for number, order in enumerate(orders))
            return Plan(wish, target, state, stages=stages)
        if len(switched) < len(found):
            fixed = [f"{end.entity} {end.interface}" for end, item in found if item is None or item.switch is None]
            raise Refusal(
                f"{entity.id} stays powered by {', '.join(fixed)}, which cannot be switched.",
                [end.entity for end, item in found if item is None or item.switch is None],
                ErrorTag.OPERATION_NOT_SUPPORTED,
            )
        if self.vital(entity.id):
            raise Refusal(
                f"{entity.id} is vital: its last supply is not cut. Only a commit that removes its mark allows that.",
                (entity.id,),
            )
        return Plan(wish, target, state, stages=(Stage(tuple(self._switching(item, Supply.OFF) for item in switched)),))

    def _transition(self, wish: Wish, entity: Entity, name: str) -> Plan:
        transition = self._site.sets.find_transition(name)
        if transition is None or transition not in entity.states.transitions:
            raise Refusal(
                f"{entity.id} has no transition {name}.",
                (entity.id,),
                ErrorTag.INVALID_VALUE,
                AppTag.STATE_NOT_SUPPORTED,
            )
        disturbs = _local(transition) not in _HARMLESS
        if disturbs and self.vital(entity.id):
            raise Refusal(f"{entity.id} is vital: it is not taken through {_local(transition)}.", (entity.id,))
        order = self._transiting(entity, transition, turns_off=disturbs)
        return Plan(wish, Target(entity.id, Aspect.STATE), stages=(Stage((order,)),), lasting=False)

    def _transiting(self, entity: Entity, transition: str, *, turns_off: bool) -> Order:
        for teller in entity.tellers.values():
            for info in teller.info.state_sets:
                known = {self._site.sets.find_transition(item) for item in info.transitions}
                if info.settable and transition in known:
                    kind = CommandKind.SET_POWER_STATE
                    return Order(teller.backend, teller.point, kind, _local(transition), entity.id, turns_off=turns_off)
        raise Refusal(f"Nobody takes the transition {_local(transition)} of {entity.id}.", (entity.id,))

    def _speaker(self, entity: Entity, state: str) -> tuple[str, Point]:
        """The backend that takes states of the set ``state`` belongs to, and its point."""
        name = self._site.sets.set_of[state]
        for teller in entity.tellers.values():
            if any(info.settable and self._site.sets.find_set(info.name) == name for info in teller.info.state_sets):
                return teller.backend, teller.point
        raise Refusal(f"Nobody takes power states of {entity.id}.", (entity.id,), ErrorTag.OPERATION_NOT_SUPPORTED)

    def _limit(self, wish: Wish, entity: Entity) -> Plan:
        watts = wish.power_limit
        if watts is None:
            nameplate = entity.value(self._site.nodes.nameplate_power)
            if nameplate is None or wish.nameplate_percent is None:
                raise Refusal(
                    f"The nameplate power of {entity.id} is not known; give the limit in watts.",
                    (entity.id,),
                    ErrorTag.OPERATION_FAILED,
                )
            watts = (Decimal(nameplate) * wish.nameplate_percent / 100).quantize(Decimal("0.001"))
        if entity.states.limits is None:
            raise Refusal(f"{entity.id} takes no power limit.", (entity.id,), ErrorTag.OPERATION_NOT_SUPPORTED)
        low, high = entity.states.limits
        if not low <= watts <= high:
            raise Refusal(
                f"{entity.id} takes limits from {low} to {high} watts, not {watts}.",
                (entity.id,),
                ErrorTag.INVALID_VALUE,
            )
        order = self.limiting(entity, watts)
        return Plan(wish, Target(entity.id, Aspect.LIMIT), limit=watts, stages=(Stage((order,)),))

    def limiting(self, entity: Entity, watts: Decimal | None) -> Order:
        """The order that sets or (with None) lifts the limit of an entity."""
        for teller in entity.tellers.values():
            if teller.info.power_limits is not None:
                return Order(teller.backend, teller.point, CommandKind.LIMIT_POWER, watts, entity.id)
        raise Refusal(f"{entity.id} takes no power limit.", (entity.id,), ErrorTag.OPERATION_NOT_SUPPORTED)

    def _supply(self, wish: Wish, entity: Entity, name: str) -> Plan:
        interface = entity.interfaces.get(name)
        if interface is None:
            raise Refusal(f"{entity.id} has no power interface {name}.", (entity.id,), ErrorTag.DATA_MISSING)
        target = Target(entity.id, Aspect.SUPPLY, name)
        if wish.release:
            return Plan(wish, target, touched=frozenset({entity.id}))
        if interface.switch is None:
            raise Refusal(
                f"The supply at {entity.id} {name} cannot be switched.", (entity.id,), ErrorTag.OPERATION_NOT_SUPPORTED
            )
        if wish.cycle is not None:
            stages = (
                Stage((self._switching(interface, Supply.OFF),)),
                Stage((self._switching(interface, Supply.ON),), wish.cycle),
            )
            return Plan(wish, target, Supply.ON.value, stages=stages, lasting=False)
        supply = wish.supply or Supply.ON
        return Plan(wish, target, supply.value, stages=(Stage((self._switching(interface, supply),)),))

    def _switching(self, interface: Interface, supply: Supply) -> Order:
        assert interface.switch is not None
        backend, point = interface.switch
        off = supply is Supply.OFF
        kind = CommandKind.SWITCH_SUPPLY
        return Order(backend, point, kind, supply.value, interface.end.entity, interface.end, turns_off=off)

    # --- the guard

    def vital(self, id_: str) -> bool:
        """Whether an entity must be kept running: marked so, or the host of this server."""
        entity = self._site.entities.get(id_)
        return id_ == self._host or (entity is not None and entity.vital)

    def lost(self, orders: Iterable[Order], assumed: Assumed | None = None) -> list[str]:
        """Who loses the last supply by ``orders`` and by what is assumed to happen anyway."""
        others = assumed or Assumed()
        offs = [order for order in orders if order.turns_off]
        cut = {order.end for order in offs if order.end is not None} | others.cut
        off = {order.entity for order in offs if order.end is None} | others.off
        return self._site.graph.loss(cut, off) if cut or off else []

    def endangered(self, orders: Iterable[Order], assumed: Assumed | None = None) -> list[str]:
        """The vital entities among those."""
        return [id_ for id_ in self.lost(orders, assumed) if self.vital(id_)]

    def _guarded(self, plan: Plan, entity: Entity, assumed: Assumed) -> Plan:
        """The plan with all it touches, after the guard let it through."""
        orders = [order for stage in plan.stages for order in stage.orders]
        in_use = [order for order in orders if self._busy(order.backend, order.point)]
        if in_use:
            names = dict.fromkeys(order.entity for order in in_use)
            raise Refusal(f"A command to {', '.join(names)} is still under way.", names, ErrorTag.IN_USE)
        vital = self.endangered(orders, assumed)
        if vital:
            raise Refusal(
                f"{', '.join(vital)} would lose the last supply and {_is(vital)} vital. Only a commit that removes "
                "the mark allows that.",
                vital,
            )
        lost = self.lost(orders)
        own = {entity.id, *self._inside(entity.id)}
        served = own if plan.target is None or plan.target.interface is None else own | self._served(orders)
        collateral = [id_ for id_ in lost if id_ not in served]
        if collateral and not plan.wish.accept_collateral:
            raise Refusal(
                f"{', '.join(collateral)} would lose the supply, too. Wish it with accept-collateral if that is meant.",
                collateral,
            )
        touched = frozenset({entity.id, *collateral})
        affected = tuple(id_ for id_ in lost if id_ != entity.id)
        return replace(plan, touched=touched, affected=affected, stages=self._with_asking(plan, lost))

    def _served(self, orders: Iterable[Order]) -> set[str]:
        """What an outlet is there for: the one entity it feeds, with its parts. Several are each other's collateral."""
        served: set[str] = set()
        for order in orders:
            if order.end is not None:
                loads = {other.entity for other in self._site.graph.peers(order.end, Role.LOAD)}
                if len(loads) == 1:
                    load = loads.pop()
                    served |= {load, *self._inside(load)}
        return served

    def _inside(self, id_: str) -> set[str]:
        """The parts of an entity, and what it is a part of."""
        inside: set[str] = set()
        waiting = [id_]
        while waiting:
            for part in self._site.components(waiting.pop()):
                if part not in inside:
                    inside.add(part)
                    waiting.append(part)
        container = self._site.container(id_)
        while container is not None and container not in inside:
            inside.add(container)
            container = self._site.container(container)
        return inside

    def _with_asking(self, plan: Plan, lost: Iterable[str]) -> tuple[Stage, ...]:
        """The stages with one before the first that asks the loads to shut down, where that is wished."""
        timeout = plan.wish.shutdown_timeout
        if timeout is None or not plan.stages:
            return plan.stages
        asked: dict[str, Order] = {}
        own = {order.entity for order in plan.stages[0].orders if order.end is None}
        for id_ in lost:
            load = self._site.entities.get(id_)
            if load is not None and id_ not in own and not load.states.is_off:
                order = self._goodbye(load)
                if order is not None and not self._busy(order.backend, order.point):
                    asked[id_] = order
        if not asked:
            return plan.stages
        first = replace(plan.stages[0], after=plan.stages[0].after + timeout, awaits=frozenset(asked))
        return Stage(tuple(asked.values()), asking=True), first, *plan.stages[1:]

    def _goodbye(self, load: Entity) -> Order | None:
        """The order by which a load shuts down in good order; None where it takes none."""
        known: Mapping[str, str] = {_local(name): name for name in load.states.transitions}
        for graceful in _GRACEFUL:
            if graceful in known:
                return self._transiting(load, known[graceful], turns_off=True)
        told = load.states.settable(_OFF)
        if told is None:
            return None
        backend, point = self._speaker(load, told)
        return Order(backend, point, CommandKind.SET_POWER_STATE, _local(told), load.id, turns_off=True)


def _local(identity: str) -> str:
    """The name by which a backend knows an identity."""
    return identity.rpartition(":")[2]


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

"""From a wish to a plan: which commands fulfil it, and whom they touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from eman_netconf.energy.entities import Entity
from eman_netconf.energy.guard import Assumed, Guard
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.plans import Member, Order, Plan, Refusal, Stage
from eman_netconf.energy.requests import Aspect, Target
from eman_netconf.energy.site import Site
from eman_netconf.energy.state_sets import IEEE1621, StateClass
from eman_netconf.energy.values import CommandKind, LinkState, Now, Origin, Point, Supply, Wish
from eman_netconf.energy.wake import magic
from eman_netconf.errors import AppTag, ErrorTag

#: Seconds between two outlets that feed one entity being switched on, so that inrush currents come apart.
ON_STAGGER = 1.0
#: Seconds from an outlet being switched on until what hangs on it can be woken.
_STANDBY = 5.0

#: Transitions that leave an entity running; all others may interrupt what it feeds.
_HARMLESS = frozenset({"redfish-force-on", "redfish-resume"})
#: How an entity is asked to go off in good order, the best first.
_GRACEFUL = ("dmtf-off-soft-graceful", "redfish-graceful-shutdown")
_OFF = f"{IEEE1621}-off"


class Planner:
    """Makes plans; changes nothing.

    ``busy``: whether a command to a backend's point has not been answered yet.
    """

    def __init__(self, site: Site, guard: Guard, busy: Callable[[str, Point], bool]) -> None:
        self._site = site
        self._guard = guard
        self._busy = busy

    def plan(self, wish: Wish, members: Callable[[str], Sequence[str] | None], now: Now | None = None) -> Plan:
        """The plan for ``wish``; ``members`` tells those of a group, None where there is no such group.

        With ``now`` it is refused when it comes too early after the last switching; without it will be held up.
        """
        if wish.group is not None:
            return self._group(wish, wish.group, members(wish.group), now)
        return self._single(wish, Assumed(), now)

    def _single(self, wish: Wish, assumed: Assumed, now: Now | None, delay: float = 0.0) -> Plan:
        entity = self._site.entities.get(wish.entity)
        if entity is None:
            raise Refusal(f"There is no entity {wish.entity}.", (wish.entity,), ErrorTag.DATA_MISSING)
        barred = None if wish.release else self._guard.barred((), entity.id)
        if barred is not None:
            raise barred
        if wish.test is not None:
            plan = self._test(wish, entity, wish.test)
        elif wish.interface is not None:
            plan = self._supply(wish, entity, wish.interface)
        elif wish.release:
            plan = Plan(wish, Target(entity.id, Aspect.STATE), touched=frozenset({entity.id}))
        elif wish.state is not None:
            plan = self._state(wish, entity, wish.state)
        elif wish.transition is not None:
            plan = self._transition(wish, entity, wish.transition)
        else:
            plan = self._limit(wish, entity)
        plan = self._guarded(_delayed(plan, delay), entity, assumed)
        if now is not None:
            self._guard.check_pace(plan, now)
        return plan

    def _group(self, wish: Wish, name: str, members: Sequence[str] | None, now: Now | None) -> Plan:
        if members is None:
            raise Refusal(f"There is no group {name}.", (), ErrorTag.DATA_MISSING)
        planned: list[Member] = []
        assumed = Assumed()
        wanted = self._site.sets.find(wish.state) if wish.state is not None else None
        rising = wanted is not None and self._site.sets.classes[wanted] is StateClass.ON
        for member in sorted(members, key=self._turn, reverse=rising):
            single = replace(wish, group=None, entity=member)
            delay = (wish.stagger or 0.0) * sum(item.plan is not None for item in planned)
            try:
                plan = self._single(single, assumed, now, delay)
            except Refusal as refusal:
                planned.append(Member(member, None, refusal))
                continue
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
        waking = self._waking(wish, entity, state)
        if told is not None and not (waking and self._unheard(entity, told)):
            if self._guard.vital(entity.id) and sets.lowers(entity.states.state, told):
                raise Refusal(
                    f"{entity.id} is vital: its state is not lowered to {_local(told)}. Only a commit that removes "
                    "its mark allows that.",
                    (entity.id,),
                )
            backend, point = self._speaker(entity, told)
            off = sets.classes[told] is StateClass.OFF
            order = Order(backend, point, CommandKind.SET_POWER_STATE, _local(told), entity.id, turns_off=off)
            return Plan(wish, target, state, stages=(Stage((order,)),))
        if told is None and any(info.settable for info in entity.states.native.values()):
            raise Refusal(
                f"{entity.id} has no power state like {_local(state)}.",
                (entity.id,),
                ErrorTag.INVALID_VALUE,
                AppTag.STATE_NOT_SUPPORTED,
            )
        return self._state_by_supply(wish, entity, target, state, waking)

    def _waking(self, wish: Wish, entity: Entity, state: str) -> Order | None:
        """The order that wakes an entity over the network, where somebody asks now for a state of being on."""
        asked = wish.origin is not Origin.CONFIGURATION
        found = magic(entity) if asked and self._site.sets.classes[state] is StateClass.ON else None
        if found is None:
            return None
        return Order("", Point(entity.id), CommandKind.SET_POWER_STATE, _local(state), entity.id, magic=found)

    def _unheard(self, entity: Entity, told: str) -> bool:
        """Whether nobody takes commands for an entity now, as where its agent went off with it."""
        link = self._site.links.get(self._speaker(entity, told)[0])
        return link is None or link.state is not LinkState.UP

    def _state_by_supply(self, wish: Wish, entity: Entity, target: Target, state: str, waking: Order | None) -> Plan:
        """An entity that cannot switch itself is switched by the outlets that feed it: off by all, on one by one.

        One that can be woken gets its packet when its outlets are on.
        """
        kind = self._site.sets.classes[state]
        outlets = self._site.graph.outlets_of(entity.id)
        found = [(end, self._site.interface(end)) for end in outlets]
        switched = [item for end, item in found if item is not None and item.switch is not None]
        if waking is not None:
            off = [item for item in switched if item.supply is not Supply.ON or not item.passes]
            orders = [*(self._switching(item, Supply.ON) for item in off), waking]
            waits = [0.0, *([ON_STAGGER] * (len(off) - 1)), *([_STANDBY] if off else [])]
            stages = tuple(Stage((order,), wait) for order, wait in zip(orders, waits, strict=True))
            return Plan(wish, target, state, stages=stages)
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
        if self._guard.vital(entity.id):
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
        if disturbs and self._guard.vital(entity.id):
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

    def _test(self, wish: Wish, entity: Entity, name: str) -> Plan:
        battery = entity.batteries.get(name)
        if battery is None:
            raise Refusal(f"{entity.id} has no battery {name}.", (entity.id,), ErrorTag.DATA_MISSING)
        about = (entity.id,)
        if battery.test.tester is None:
            text = f"Nobody takes the order to test the battery {name} of {entity.id}."
            raise Refusal(text, about, ErrorTag.OPERATION_NOT_SUPPORTED)
        if battery.test.under_way:
            raise Refusal(f"A test of the battery {name} of {entity.id} is under way.", about, ErrorTag.IN_USE)
        if battery.spent:
            raise Refusal(f"The battery {name} of {entity.id} is too low to be tested; let it be charged first.", about)
        if battery.charging_state == "discharging":
            text = f"The battery {name} of {entity.id} is in use; let it be tested when it is not needed."
            raise Refusal(text, about, ErrorTag.IN_USE)
        backend, point = battery.test.tester
        order = Order(backend, point, CommandKind.TEST_BATTERY, None, entity.id)
        target = Target(entity.id, Aspect.BATTERY, battery=name)
        return Plan(wish, target, stages=(Stage((order,)),), lasting=False)

    def _switching(self, interface: Interface, supply: Supply) -> Order:
        assert interface.switch is not None
        backend, point = interface.switch
        off = supply is Supply.OFF
        kind = CommandKind.SWITCH_SUPPLY
        return Order(backend, point, kind, supply.value, interface.end.entity, interface.end, turns_off=off)

    # --- what goes with it

    def _guarded(self, plan: Plan, entity: Entity, assumed: Assumed) -> Plan:
        """The plan with all it touches, after the guard let it through."""
        orders = [order for stage in plan.stages for order in stage.orders]
        in_use = [order for order in orders if self._busy(order.backend, order.point)]
        if in_use:
            names = dict.fromkeys(order.entity for order in in_use)
            raise Refusal(f"A command to {', '.join(names)} is still under way.", names, ErrorTag.IN_USE)
        barred = None if plan.wish.release else self._guard.barred(orders, entity.id)
        if barred is not None:
            raise barred
        vital = self._guard.endangered(orders, assumed)
        if vital:
            raise Refusal(
                f"{', '.join(vital)} would lose the last supply and {_is(vital)} vital. Only a commit that removes "
                "the mark allows that.",
                vital,
            )
        lost = self._guard.lost(orders)
        by_interface = plan.target is not None and plan.target.interface is not None
        served = self._guard.served(entity.id, orders if by_interface else ())
        collateral = [id_ for id_ in lost if id_ not in served]
        if collateral and not plan.wish.accept_collateral:
            raise Refusal(
                f"{', '.join(collateral)} would lose the supply, too. Wish it with accept-collateral if that is meant.",
                collateral,
            )
        touched = frozenset({entity.id, *collateral})
        affected = tuple(id_ for id_ in lost if id_ != entity.id)
        switched = frozenset(order.end for order in orders if order.end is not None)
        stages = self._with_asking(plan, lost)
        return replace(plan, touched=touched, switched=switched, affected=affected, stages=stages)

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
        first = replace(
            plan.stages[0],
            after=plan.stages[0].after + timeout,
            awaits=frozenset(asked),
            patient=plan.wish.keep_on_timeout,
        )
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


def _delayed(plan: Plan, seconds: float) -> Plan:
    """The plan begun so much later."""
    if not seconds or not plan.stages:
        return plan
    first = replace(plan.stages[0], after=plan.stages[0].after + seconds)
    return replace(plan, stages=(first, *plan.stages[1:]))


def _local(identity: str) -> str:
    """The name by which a backend knows an identity."""
    return identity.rpartition(":")[2]


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

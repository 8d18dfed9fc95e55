"""Wishes kept: which one rules, what readings say of it, and what comes after; standing ones seen to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from eman_netconf.energy.canonical import in_thousandths
from eman_netconf.energy.effects import Answered, Audit, Changed, Effect, Poll
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.guard import Guard
from eman_netconf.energy.jobs import Job, Jobs
from eman_netconf.energy.pacing import Inrush
from eman_netconf.energy.planning import Planner
from eman_netconf.energy.plans import Order, Plan, Refusal, Stage
from eman_netconf.energy.relationships import Role
from eman_netconf.energy.requests import (
    TABLE,
    Aspect,
    Duty,
    Holder,
    Input,
    Request,
    RequestStatus,
    Target,
    dump,
    load,
    status_of,
)
from eman_netconf.energy.site import Site
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Answer, LinkState, Now, Origin, RequestState, Supply, Wish
from eman_netconf.errors import AppTag, ErrorTag

_REMEMBERED = 4096  # requests kept for those who ask how they went
_LOOK = 1.0  # seconds until a device is read again that has accepted something, then twice as long each time ...
_LOOK_LONGEST = 16.0  # ... up to this
_SETTLING = 30.0  # seconds a device gets to show what it accepted, beside three of its polls

#: Refusals that pass by themselves: the wish waits.
_PASSING = frozenset({AppTag.IN_MAINTENANCE, AppTag.NOT_IN_SERVICE})

_REPORTED = {
    Input.REFUSED: Answer.REFUSED,
    Input.UNAVAILABLE: Answer.FAILED,
    Input.LATE: Answer.FAILED,
    Input.UNKNOWN: Answer.OUTCOME_UNKNOWN,
}


class Control:
    """The requests of the whole site. Every method appends what follows to ``out``."""

    def __init__(self, site: Site, timers: Timers, host: str | None) -> None:
        self._site = site
        self._timers = timers
        self.jobs = Jobs(site, timers, self)
        self.guard = Guard(site, host)
        self.planner = Planner(site, self.guard, self.jobs.busy)
        self._requests: dict[int, Request] = {}
        self._inrush = Inrush()
        self.staggers: Callable[[Iterable[str]], Mapping[str, float]] = lambda _ids: {}  # of the groups of entities
        self._withheld: dict[int, Request] = {}  # what waits for the end of a maintenance
        self._ended: deque[int] = deque()  # requests that rule no more, kept for those who ask
        self.next_request = 1

    def status(self, request: int) -> RequestStatus | None:
        """How a request stands; None when it is not known any more."""
        known = self._requests.get(request)
        return status_of(known) if known is not None else None

    # --- wishes

    def holder(self, target: Target) -> Holder | None:
        """Where the wishes for a target are kept."""
        entity = self._site.entities.get(target.entity)
        if entity is None:
            return None
        if target.aspect is Aspect.SUPPLY:
            interface = entity.interfaces.get(target.interface or "")
            return interface.holder if interface is not None else None
        if target.aspect is Aspect.BATTERY:
            battery = entity.batteries.get(target.battery or "")
            return battery.test.holder if battery is not None else None
        return entity.limit_holder if target.aspect is Aspect.LIMIT else entity.state_holder

    def start(self, plan: Plan, now: Now, out: list[Effect]) -> int:
        """Carry out a plan that was just made; the number of its request."""
        wish, target = plan.wish, plan.target
        assert target is not None
        request = self._new(target, wish.origin, now)
        request.by, request.reason = wish.by, wish.reason
        request.state, request.limit, request.lasting = plan.state, plan.limit, plan.lasting
        request.affected, request.accept_collateral = plan.affected, wish.accept_collateral
        entity = self._site.entities[target.entity]
        out.append(Audit(now.wall, wish.by, entity.id, _sentence(wish, plan)))
        if wish.release:
            request.answer = Answer.ACCEPTED
            request.status = RequestState.REACHED
            out.append(Answered(request.id, Answer.ACCEPTED))
            aspects = (target,) if target.interface is not None else (target, target._replace(aspect=Aspect.LIMIT))
            for aspect in aspects:
                self._drop(aspect, Origin.ACTION, now, out)
            self._end(request)
            return request.id
        if wish.hold_time is not None and plan.lasting:
            request.until = now.wall + wish.hold_time
            self._timers.at(now.mono + wish.hold_time, partial(self._expire, request))
        holder = self.holder(target)
        transition = target.aspect is Aspect.STATE and plan.state is None
        if holder is not None and not transition:
            self._put(holder, request, out)
            if holder.in_force is not request:  # kept for when it rules
                request.answer = Answer.ACCEPTED
                out.append(Answered(request.id, Answer.ACCEPTED))
                self._shown(request, out)
                return request.id
        self._begin(request, plan.stages, now, out)
        return request.id

    def _new(self, target: Target, origin: Origin, now: Now) -> Request:
        request = Request(self.next_request, target, origin, now.wall)
        self.next_request += 1
        self._requests[request.id] = request
        return request

    def _end(self, request: Request) -> None:
        """It rules no more; it is remembered for a while."""
        self._ended.append(request.id)
        if len(self._ended) > _REMEMBERED:
            self._requests.pop(self._ended.popleft(), None)

    def _put(self, holder: Holder, request: Request, out: list[Effect]) -> None:
        """Keep a wish in place of the one of the same origin; if it rules, the others stop what is left to do."""
        old = holder.wishes.get(request.origin)
        if old is not None:
            self.jobs.cancel(old, out)
            self._end(old)
        holder.put(request)
        if holder.in_force is request:
            for other in holder.wishes.values():
                if other is not request:
                    self.jobs.cancel(other, out)

    def _expire(self, request: Request, now: Now, out: list[Effect]) -> None:
        holder = self.holder(request.target)
        if holder is not None and holder.wishes.get(request.origin) is request:
            out.append(Audit(now.wall, request.by, request.target.entity, "the hold time of a wish is over"))
            self._drop(request.target, request.origin, now, out)

    def _drop(self, target: Target, origin: Origin, now: Now, out: list[Effect]) -> None:
        """A wish ends; the next in precedence rules again, and without one the thing is left as it is."""
        holder = self.holder(target)
        request = holder.drop(origin) if holder is not None else None
        if holder is None or request is None:
            return
        self.jobs.cancel(request, out)
        self._end(request)
        self._shown(request, out)
        following = holder.in_force
        if following is not None:
            self.apply(following, now, out)
        elif request.limit is not None:
            self._lift(target, now, out)

    def _lift(self, target: Target, now: Now, out: list[Effect]) -> None:
        """Nobody wants a limit any more."""
        entity = self._site.entities.get(target.entity)
        if entity is None or entity.states.limits is None:
            return
        request = self._new(target, Origin.LOCAL, now)
        request.lasting = False
        try:
            order = self.planner.limiting(entity, None)
        except Refusal:
            return
        self._begin(request, (Stage((order,)),), now, out)

    # --- standing wishes

    def configure(self, entity: Entity, now: Now, out: list[Effect], *, quiet: bool = False) -> None:
        """Take the standing wishes of an entity; ``quiet``: at start, when devices are not there yet."""
        nodes = self._site.nodes.states
        states = entity.states.config
        admin = states.get(nodes.admin_state) if states is not None and nodes.admin_state is not None else None
        limit = states.get(nodes.power_limit) if states is not None and nodes.power_limit is not None else None
        watts = getattr(limit, "leaf", lambda _name: None)("admin-limit")
        self._stand(Target(entity.id, Aspect.STATE), admin if isinstance(admin, str) else None, now, out, quiet)
        self._stand(Target(entity.id, Aspect.LIMIT), watts, now, out, quiet)
        for interface in entity.interfaces.values():
            target = Target(entity.id, Aspect.SUPPLY, interface.name)
            self._stand(target, interface.admin_state, now, out, quiet)

    def _stand(self, target: Target, value: str | None, now: Now, out: list[Effect], quiet: bool) -> None:
        holder = self.holder(target)
        if holder is None or (value is None and not holder.wishes):
            return
        known = holder.wishes.get(Origin.CONFIGURATION)
        limit = Decimal(value) if value is not None and target.aspect is Aspect.LIMIT else None
        state = value if limit is None else None
        if known is None and value is None:
            return
        if known is not None and value is not None and (known.state, known.limit) == (state, limit):
            return
        if value is None:
            self._drop(target, Origin.CONFIGURATION, now, out)
            return
        request = self._new(target, Origin.CONFIGURATION, now)
        request.state, request.limit = state, limit
        request.accept_collateral = True  # whoever may write it has been judged; vital entities are still guarded
        self._put(holder, request, out)
        if quiet or holder.in_force is not request:
            request.renew = quiet
            self._shown(request, out)
        else:
            self.apply(request, now, out)

    def apply(self, request: Request, now: Now, out: list[Effect]) -> None:
        """See to a wish in force: nothing where it is fulfilled, else commands, as far as the guard lets them through.

        Where the device is not known yet, the wish waits until it was read. An action that failed, or of which nobody
        knows whether it was carried out, is not done later: who asked for it was told so.
        """
        entity = self._site.entities.get(request.target.entity)
        holder = self.holder(request.target)
        if entity is None or holder is None or request in self.jobs:
            return
        request.renew = False
        if request.origin is Origin.ACTION and request.status is RequestState.FAILED:
            return
        if request.origin is Origin.ACTION and request.status is RequestState.OUTCOME_UNKNOWN:
            request.renew = holder.read_at is not None and not holder.read_since_sent
            if not holder.read_since_sent:
                return
            if self.fulfilled(request, entity):
                self.happened(request, Input.SEEN, now, out)
            else:
                request.account.append("it was not carried out before the device was lost")
                self.happened(request, Input.LATE, now, out)
            return
        self.happened(request, Input.RENEWED, now, out)
        if holder.read_since_sent and self.fulfilled(request, entity):
            self.happened(request, Input.SEEN, now, out)
            return
        wish = Wish(
            entity.id,
            request.target.interface,
            state=request.state if request.target.aspect is Aspect.STATE else None,
            power_limit=request.limit,
            supply=Supply(request.state) if request.target.aspect is Aspect.SUPPLY and request.state else None,
            by=request.by,
            origin=request.origin,
            reason=request.reason,
            accept_collateral=request.accept_collateral,
        )
        try:
            plan = self.planner.plan(wish, lambda _name: None)
        except Refusal as refusal:
            if refusal.app_tag in _PASSING:
                self.waits(request, refusal.reason, None, out)
                self.withheld(request, out)
            elif refusal.tag is ErrorTag.IN_USE or not self._known(entity, request.target):
                request.renew = True
                self._shown(request, out)
            else:
                request.account = [refusal.reason]
                request.affected = refusal.entities
                self.happened(request, Input.REFUSED, now, out)
            return
        request.affected = plan.affected
        self._begin(request, self._in_turn(plan.stages, now), now, out)

    def _in_turn(self, stages: tuple[Stage, ...], now: Now) -> tuple[Stage, ...]:
        """Standing wishes that switch something on come one after the other where their groups say so."""
        rising = [order for stage in stages for order in stage.orders if not order.turns_off and not stage.asking]
        ids = {order.entity for order in rising if order.switches}
        loads = (self._site.graph.peers(order.end, Role.LOAD) for order in rising if order.end is not None)
        ids.update(load.entity for peers in loads for load in peers)
        staggers = self.staggers(ids) if ids else {}
        if not staggers:
            return stages
        first = replace(stages[0], after=stages[0].after + self._inrush.turn(staggers, now.mono))
        return first, *stages[1:]

    def waits(self, request: Request, reason: str | None, until: float | None, out: list[Effect]) -> None:
        """Why nothing more is sent for a request yet; None = nothing keeps it."""
        if (request.waiting_for, request.not_before) != (reason, until):
            request.waiting_for, request.not_before = reason, until
            self._shown(request, out)

    def withheld(self, request: Request, out: list[Effect]) -> None:
        """A wish that lasts is seen to when the maintenance is over that keeps it now."""
        if request.lasting:
            self._withheld[request.id] = request

    def resume(self, now: Now, out: list[Effect]) -> None:
        """Some maintenance is over, or somebody is in service: wishes that waited for it are seen to."""
        waiting, self._withheld = self._withheld, {}
        for request in waiting.values():
            holder = self.holder(request.target)
            if holder is not None and holder.in_force is request:
                self.waits(request, None, None, out)
                self.apply(request, now, out)

    def _known(self, entity: Entity, target: Target) -> bool:
        """Whether a device has told what it can do about the target."""
        if target.aspect is Aspect.SUPPLY:
            interface = entity.interfaces.get(target.interface or "")
            return interface is not None and interface.info is not None
        return bool(entity.tellers) or entity.states.by_supply

    def fulfilled(self, request: Request, entity: Entity, *, settled: bool = False) -> bool:
        """Whether the last reading shows what is wanted; ``settled``: the device had time enough to show it."""
        if request.target.aspect is Aspect.SUPPLY:
            interface = entity.interfaces.get(request.target.interface or "")
            return interface is not None and interface.supply is not None and interface.supply == request.state
        if request.target.aspect is Aspect.LIMIT:
            shown, wanted = entity.states.oper_limit, request.limit
            return shown is not None and wanted is not None and in_thousandths(shown) == in_thousandths(wanted)
        if request.target.aspect is Aspect.BATTERY:
            battery = entity.batteries.get(request.target.battery or "")
            return battery is not None and battery.test.shown_since(request.time, settled=settled)
        return request.state is not None and entity.states.satisfies(request.state)

    # --- plans under way

    def _begin(self, request: Request, stages: Iterable[Stage], now: Now, out: list[Effect]) -> None:
        self.jobs.begin(request, stages, now, out)
        self._shown(request, out)

    def sent(self, request: Request, order: Order, now: Now) -> None:
        """What is read from before this moment tells nothing of the wish, nor of another for the same outlet."""
        interface = self._site.interface(order.end) if order.end is not None else None
        for holder in (self.holder(request.target), interface.holder if interface is not None else None):
            if holder is not None:
                holder.sent_at = now.mono

    def freed(self, order: Order, now: Now, out: list[Effect]) -> None:
        """A wish that could not have the point meanwhile gets its turn; with a lost device it comes with a reading."""
        entity = self._site.entities.get(order.entity)
        link = self._site.links.get(order.backend)
        if entity is None or link is None or link.state is not LinkState.UP:
            return
        for holder in entity.holders():
            request = holder.in_force
            if request is not None and request.renew and request not in self.jobs:
                self.apply(request, now, out)

    def finished(self, job: Job, now: Now, out: list[Effect]) -> None:
        """Everything was sent and answered: now only readings tell."""
        request = job.request
        holder = self.holder(request.target)
        if holder is None or holder.wishes.get(request.origin) is not request:
            self._end(request)  # a transition, or the lifting of a limit: done once, nothing to compare with
        elif request.status in (RequestState.PENDING, RequestState.OUTCOME_UNKNOWN):
            self._timers.at(now.mono + self._settling(request), partial(self._settle, request, job))
            self._timers.at(now.mono + _LOOK, partial(self._look, request, _LOOK))
        elif not request.lasting:
            self._drop(request.target, request.origin, now, out)

    def _look(self, request: Request, waited: float, now: Now, out: list[Effect]) -> None:
        """Devices take their time: read again, ever less often, until the wish is reached or given up."""
        holder = self.holder(request.target)
        current = holder is not None and holder.wishes.get(request.origin) is request
        if current and request.status is RequestState.PENDING and request not in self.jobs and waited < _LOOK_LONGEST:
            out.extend(Poll(name) for name in sorted({*request.backends, *self._readers(request)}))
            self._timers.at(now.mono + waited, partial(self._look, request, 2 * waited))

    def _settling(self, request: Request) -> float:
        """Seconds until readings should show what was accepted."""
        polls = [self._site.links[name].poll_interval for name in request.backends if name in self._site.links]
        entity = self._site.entities.get(request.target.entity)
        if entity is not None:
            polls += [self._site.links[name].poll_interval for name in entity.backends if name in self._site.links]
        enter = entity.states.seconds_to(request.state) if entity is not None and request.state is not None else 0.0
        return request.slow + _SETTLING + 3 * max(polls, default=0.0) + 2 * enter

    def _settle(self, request: Request, job: Job, now: Now, out: list[Effect]) -> None:
        """The device had time enough. Where it was not read since, nobody can tell yet."""
        holder = self.holder(request.target)
        undecided = request.status in (RequestState.PENDING, RequestState.OUTCOME_UNKNOWN)
        if holder is None or holder.wishes.get(request.origin) is not request or not undecided:
            return
        if request in self.jobs:
            return
        if holder.read_at is None and request.target.aspect in (Aspect.LIMIT, Aspect.BATTERY):
            if not request.lasting:
                self._seen(request, now, out)
            return  # a device that never tells its limit or how a test goes is taken at its word
        if not holder.read_since_sent:
            self._timers.at(now.mono + self._settling(request), partial(self._settle, request, job))
            return
        entity = self._site.entities.get(request.target.entity)
        if entity is not None and self.fulfilled(request, entity, settled=True):
            self._seen(request, now, out)
            return
        self.jobs.ignored(job.orders)
        request.account.append("it was accepted, but no reading shows it")
        self.happened(request, Input.LATE, now, out)

    # --- readings

    def read(self, holder: Holder, entity: Entity, mono: float, now: Now, out: list[Effect]) -> None:
        """A new reading of what the wishes of ``holder`` are about, which held at ``mono``."""
        holder.read_at = mono
        request = holder.in_force
        if request is None:
            return
        if request.renew:
            self.apply(request, now, out)
            return
        if request.status is RequestState.REACHED or not holder.read_since_sent:
            return
        if not self.jobs.has_more(request) and self.fulfilled(request, entity):
            self._seen(request, now, out)

    def _seen(self, request: Request, now: Now, out: list[Effect]) -> None:
        """What was wanted is there; a wish that does not last is over with that."""
        self.happened(request, Input.SEEN, now, out)
        if not request.lasting and request not in self.jobs:
            self._drop(request.target, request.origin, now, out)

    def lost(self, backend: str) -> None:
        """A backend was lost: what is wanted there is asked for again if it comes back in another state."""
        for request in self._in_force():
            entity = self._site.entities.get(request.target.entity)
            if request.lasting and entity is not None:
                request.renew = request.renew or backend in request.backends or backend in entity.backends

    def found(self, backend: str, now: Now, out: list[Effect]) -> None:
        """A pass over a backend is complete: wishes for what it never tells the state of are asked for now."""
        for request in self._in_force():
            entity = self._site.entities.get(request.target.entity)
            holder = self.holder(request.target)
            if entity is None or holder is None or holder.read_at is not None or not request.renew:
                continue
            if backend in entity.backends or backend in request.backends:
                self.apply(request, now, out)

    def _in_force(self) -> list[Request]:
        found: list[Request] = []
        for request in self._requests.values():
            holder = self.holder(request.target)
            if holder is not None and holder.in_force is request:
                found.append(request)
        return found

    # --- what follows

    def happened(self, request: Request, happened: Input, now: Now, out: list[Effect]) -> None:
        """A request goes on as its table says."""
        before = request.status
        request.status, duty = TABLE[before, happened]
        if happened is Input.UNAVAILABLE and request.lasting:
            links = (self._site.links.get(name) for name in request.backends)
            request.renew = any(link is not None and link.state is not LinkState.UP for link in links)
        if request.status is not before:
            self._shown(request, out)
        if duty in (Duty.READ_BACK, Duty.REPORT_AND_READ_BACK):
            out.extend(Poll(name) for name in self._readers(request))
        if duty in (Duty.REPORT, Duty.REPORT_AND_READ_BACK):
            self._report(request, _REPORTED[happened], now, out)

    def _readers(self, request: Request) -> list[str]:
        """The backends that tell the state of what a request is about."""
        entity = self._site.entities.get(request.target.entity)
        return [name for name in (entity.backends if entity is not None else ()) if name not in request.backends]

    def _report(self, request: Request, outcome: Answer, now: Now, out: list[Effect]) -> None:
        entity = self._site.entities.get(request.target.entity)
        if entity is None:
            return
        reason = "; ".join(request.account) or None
        leaves = {
            "interface": request.target.interface,
            "request-id": str(request.id),
            "outcome": outcome.value,
            "requested-by": request.by or None,
            "reason": reason,
            "affected": request.affected,
        }
        out.append(self._site.notices.about("control-failed", entity, now.wall, leaves))
        out.append(Audit(now.wall, request.by, entity.id, f"control failed ({outcome.value}): {reason or ''}"))

    def _shown(self, request: Request, out: list[Effect]) -> None:
        """What the entity shows of its requests is not what it was."""
        entity = self._site.entities.get(request.target.entity)
        if entity is None:
            return
        entity.keep()
        interface = entity.interfaces.get(request.target.interface or "")
        battery = entity.batteries.get(request.target.battery or "")
        if interface is not None:
            interface.supply_changed()
            out.append(Changed(entity.id, "power-interface"))
        elif battery is not None:
            battery.asked(request)
            entity.batteries_changed()
            out.append(Changed(entity.id, "battery"))
        else:
            entity.states_changed()
            out.append(Changed(entity.id, "power-state"))

    # --- what outlives the process

    def dump(self, holders: Iterable[Holder]) -> list[dict[str, Any]]:
        """The momentary wishes kept; standing ones are in configuration."""
        return [
            dump(request)
            for holder in holders
            for origin, request in holder.wishes.items()
            if origin is not Origin.CONFIGURATION and request.lasting
        ]

    def restore(self, entity: Entity, saved: Iterable[Mapping[str, Any]], now: Now) -> None:
        """Take up the momentary wishes of an earlier life."""
        for values in saved:
            request = load(entity.id, values)
            holder = entity.state_holder if request.target.aspect is Aspect.STATE else entity.limit_holder
            if request.target.interface is not None:
                holder = entity.interfaces[request.target.interface].holder
            if request.origin in holder.wishes:
                continue
            self._requests[request.id] = request
            holder.put(request)
            if request.until is not None:
                self._timers.at(now.mono + request.until - now.wall, partial(self._expire, request))


def _sentence(wish: Wish, plan: Plan) -> str:
    """A wish as the audit log has it."""
    where = f" at {wish.interface}" if wish.interface else ""
    reason = f" ({wish.reason})" if wish.reason else ""
    if wish.release:
        return f"gives back the wish{where}{reason}"
    if wish.cycle is not None:
        return f"cycles the supply{where}, {wish.cycle:g} s off{reason}"
    if wish.test is not None:
        return f"has the battery {wish.test} tested{reason}"
    if plan.limit is not None:
        return f"wishes a limit of {plan.limit} W{reason}"
    return f"wishes {plan.state or wish.transition}{where}{reason}"

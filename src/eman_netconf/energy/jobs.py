"""Plans under way: commands sent stage by stage, their outcomes, and the guard asked again before each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Protocol

from eman_netconf.energy.effects import Answered, Audit, Effect, Poll, Send, Wake
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.guard import Guard
from eman_netconf.energy.pacing import Pace
from eman_netconf.energy.plans import Order, Stage
from eman_netconf.energy.relationships import End
from eman_netconf.energy.requests import Input, Request
from eman_netconf.energy.site import Site
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Answer, Command, CommandKind, Now, Outcome, Point, Supply
from eman_netconf.energy.wake import BOOTING

_LOOK = 60.0  # seconds after which it is asked again whether it is still too early: the rules may be others
_PATIENCE = 5.0  # seconds a wait between stages may last before the one who asked is answered
#: Seconds beyond a command's deadline until its outcome counts as unknown. A net: whoever carries it out tells in time,
#: but by real time, and the time of a simulated site may run forty times as fast.
_GRACE = 300.0
_DEADLINE = 15.0  # seconds a command may take where the backend's timeout is not known

_INPUTS: Mapping[Outcome, Input] = {
    Outcome.ACCEPTED: Input.ACCEPTED,
    Outcome.REFUSED: Input.REFUSED,
    Outcome.UNAVAILABLE: Input.UNAVAILABLE,
    Outcome.UNKNOWN: Input.UNKNOWN,
}
_ANSWERS: Mapping[Outcome, Answer] = {
    Outcome.ACCEPTED: Answer.ACCEPTED,
    Outcome.REFUSED: Answer.REFUSED,
    Outcome.UNAVAILABLE: Answer.FAILED,
    Outcome.UNKNOWN: Answer.OUTCOME_UNKNOWN,
}
#: Of several answers the one that is told, the first of these.
_WORST = (Answer.REFUSED, Answer.FAILED, Answer.OUTCOME_UNKNOWN, Answer.ACCEPTED)


@dataclass(slots=True, eq=False)
class Job:
    """A plan under way."""

    request: Request
    stages: list[Stage]  # those not begun
    orders: tuple[Order, ...] = ()  # all it gives, without those that only ask
    waiting: dict[int, Order] = field(default_factory=dict)  # commands not answered yet
    asking: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    awaits: frozenset[str] = frozenset()
    cancelled: bool = False


class Principal(Protocol):
    """Who the jobs are done for."""

    guard: Guard

    def happened(self, request: Request, what: Input, now: Now, out: list[Effect]) -> None:
        """Something happened to a request."""

    def waits(self, request: Request, reason: str | None, until: float | None, out: list[Effect]) -> None:
        """A request waits for something before more is sent, or (None) no longer; ``until`` by wall clock."""

    def withheld(self, request: Request, out: list[Effect]) -> None:
        """The rest of its plan was given up because of a maintenance, or a life that is over."""

    def sent(self, request: Request, order: Order, now: Now) -> None:
        """A command went out for it."""

    def finished(self, job: Job, now: Now, out: list[Effect]) -> None:
        """Everything was sent and answered: now only readings tell."""

    def freed(self, order: Order, now: Now, out: list[Effect]) -> None:
        """A command was answered; its point takes others again."""


class Jobs:
    """All plans under way. Every method appends what follows to ``out``."""

    def __init__(self, site: Site, timers: Timers, principal: Principal) -> None:
        self._site = site
        self._timers = timers
        self._principal = principal
        self._jobs: dict[int, Job] = {}  # by request
        self._commands: dict[int, tuple[Job, Order]] = {}
        self._busy_points: dict[tuple[str, Point], int] = {}
        self._switched: dict[int, list[tuple[Pace, bool]]] = {}  # by command, what counts as switched by it
        self._expected: dict[End | str, set[int]] = {}  # requests that turn an outlet or an entity off
        self._command_ids = count(1)

    def __contains__(self, request: Request) -> bool:
        return request.id in self._jobs

    def has_more(self, request: Request) -> bool:
        """Whether stages of the request's plan are still to come."""
        job = self._jobs.get(request.id)
        return job is not None and bool(job.stages)

    def busy(self, backend: str, point: Point) -> bool:
        """Whether a command to a point has not been answered yet."""
        return (backend, point) in self._busy_points

    def begin(self, request: Request, stages: Iterable[Stage], now: Now, out: list[Effect]) -> None:
        """Start on a plan; what needs no wait is sent at once."""
        job = Job(request, list(stages))
        job.orders = tuple(order for stage in job.stages if not stage.asking for order in stage.orders)
        self._jobs[request.id] = job
        self.expect(request, job.orders, expected=True)
        request.backends = frozenset(order.backend for order in job.orders if order.magic is None)
        request.slow = BOOTING if any(order.magic is not None for order in job.orders) else 0.0
        carriers = dict.fromkeys(self._carrier(order) for order in job.orders)
        request.through = tuple(id_ for id_ in carriers if id_ != request.target.entity)
        request.account = []
        request.answer = None
        self._advance(job, now, out)

    def _carrier(self, order: Order) -> str:
        """Who carries an order out: the entity itself, or the one that takes commands for it, such as a gateway."""
        link = self._site.links.get(order.backend) if order.end is None else None
        return link.tells.get("", order.entity) if link is not None else order.entity

    def cancel(self, request: Request, out: list[Effect]) -> None:
        """What is not sent yet is not sent; what was sent is not taken back."""
        job = self._jobs.pop(request.id, None)
        if job is None:
            return
        job.cancelled = True
        self._abandon(job)
        if request.answer is None:
            request.account.append("another wish took its place")
            request.answer = Answer.FAILED
            out.append(Answered(request.id, request.answer))

    def expect(self, request: Request, orders: Iterable[Order], *, expected: bool) -> None:
        """Count outlets and entities as off from the moment that is planned: the guard must not rely on them.

        What several requests turn off is relied on again when none of them is about to.
        """
        for order in orders:
            if not order.turns_off:
                continue
            by = self._expected.setdefault(order.end or order.entity, set())
            if not self._counts_as_off(order):
                by.clear()  # a reading has shown what those wanted
            if expected:
                by.add(request.id)
            else:
                by.discard(request.id)
            self._count_as_off(order, off=bool(by))

    def ignored(self, orders: Iterable[Order]) -> None:
        """Readings show that a device did not do what it accepted: only requests under way are counted still."""
        for order in orders:
            by = self._expected.get(order.end or order.entity, set())
            for number in by - self._jobs.keys():
                by.discard(number)
            if order.turns_off:
                self._count_as_off(order, off=bool(by))
            for _, pace, on, _ in self._principal.guard.paces(order):
                pace.take_back(on=on)

    def _turned_on(self, order: Order) -> None:
        """A device has accepted to turn something on: what was to turn it off before does not count any more."""
        self._expected.pop(order.end or order.entity, None)
        self._count_as_off(order, off=False)

    def _counts_as_off(self, order: Order) -> bool:
        if order.end is not None:
            interface = self._site.interface(order.end)
            return interface is not None and interface.pending is Supply.OFF
        entity = self._site.entities.get(order.entity)
        return entity is not None and entity.going_off

    def _count_as_off(self, order: Order, *, off: bool) -> None:
        if order.end is not None:
            interface = self._site.interface(order.end)
            if interface is not None:
                interface.pending = Supply.OFF if off else None
                interface.entity.stir()
        else:
            entity = self._site.entities.get(order.entity)
            if entity is not None:
                entity.going_off = off
                entity.stir()

    def _abandon(self, job: Job) -> None:
        orders = (order for stage in job.stages if not stage.asking for order in stage.orders)
        self.expect(job.request, orders, expected=False)
        job.stages.clear()

    # --- stages

    def _advance(self, job: Job, now: Now, out: list[Effect]) -> None:
        """The commands of a stage were answered: the next one, at once or when its time has come."""
        if job.cancelled or job.waiting:
            return
        if not job.stages:
            self._finish(job, now, out)
            return
        stage = job.stages[0]
        job.awaits = stage.awaits
        if stage.after <= 0 or (stage.awaits and self._all_off(stage.awaits)):
            self._send(job, now, out)
            return
        if stage.after > _PATIENCE:
            self._answer(job, out)
        self._timers.at(now.mono + stage.after, partial(self._due, job, stage))

    def _due(self, job: Job, stage: Stage, now: Now, out: list[Effect]) -> None:
        if job.cancelled or job.waiting or not job.stages or job.stages[0] is not stage:
            return
        awake = [id_ for id_ in job.awaits if not self._all_off((id_,))] if stage.patient else []
        if awake:
            reason = f"withheld: {', '.join(awake)} did not shut down in time, and keeps the supply"
            self._give_up(job, reason, awake, now, out)
            return
        self._send(job, now, out)

    def _all_off(self, ids: Iterable[str]) -> bool:
        entities = (self._site.entities.get(id_) for id_ in ids)
        return all(entity is None or entity.states.is_off for entity in entities)

    def went_off(self, entity: Entity, now: Now, out: list[Effect]) -> None:
        """A reading shows an entity off: whoever waited for that goes on."""
        for job in list(self._jobs.values()):
            if entity.id in job.awaits and job.stages and not job.waiting and self._all_off(job.awaits):
                self._send(job, now, out)

    def _send(self, job: Job, now: Now, out: list[Effect]) -> None:
        """Give the orders of the next stage, if the guard still lets them through now."""
        stage, guard = job.stages[0], self._principal.guard
        job.awaits = frozenset()
        barred = guard.barred(stage.orders, job.request.target.entity)
        if barred is not None:
            self._give_up(job, f"withheld: {barred.reason}", barred.entities, now, out)
            self._principal.withheld(job.request, out)
            return
        vital = [] if stage.asking else guard.endangered(stage.orders)
        if vital:  # something else failed since the plan was made
            self._give_up(job, f"withheld: {', '.join(vital)} would lose the last supply", vital, now, out)
            return
        held = None if stage.asking else guard.held(stage.orders, now.wall)
        if held is not None:
            wait = held.until - now.wall
            if wait > _PATIENCE:
                self._answer(job, out)
            self._timers.at(now.mono + min(wait, _LOOK), partial(self._due, job, stage))
            self._principal.waits(job.request, held.reason, held.until, out)
            return
        self._principal.waits(job.request, None, None, out)
        del job.stages[0]
        job.asking = stage.asking
        for order in stage.orders:
            if self.busy(order.backend, order.point):
                job.request.account.append(f"{order}: another command is under way")
                self._answered(job, order, Outcome.UNAVAILABLE, now, out)
            else:
                self._command(job, order, now, out)
        self._advance(job, now, out)

    def _give_up(self, job: Job, reason: str, about: Iterable[str], now: Now, out: list[Effect]) -> None:
        """What is not sent yet is not sent."""
        self._abandon(job)
        job.request.affected = tuple(about)
        job.request.account.append(reason)
        job.outcomes.append(Outcome.REFUSED)
        self._principal.waits(job.request, None, None, out)
        self._principal.happened(job.request, Input.REFUSED, now, out)
        self._finish(job, now, out)

    def _command(self, job: Job, order: Order, now: Now, out: list[Effect]) -> None:
        number = next(self._command_ids)
        link = self._site.links.get(order.backend)
        deadline = link.timeout if link is not None else _DEADLINE
        self._commands[number] = job, order
        self._busy_points[order.backend, order.point] = number
        job.waiting[number] = order
        if not job.asking:
            self.expect(job.request, (order,), expected=True)  # something may have been turned on since it was planned
        self._principal.sent(job.request, order, now)
        self._count_as_switched(number, order, now)
        if order.magic is not None:
            out.append(Wake(number, order.entity, order.magic))
        else:
            out.append(Send(Command(number, order.backend, order.kind, order.point, order.value, deadline)))
        queued = sum(1 for backend, _ in self._busy_points if backend == order.backend)  # done one after the other
        self._timers.at(now.mono + queued * deadline + _GRACE, partial(self._overdue, number))

    def _count_as_switched(self, number: int, order: Order, now: Now) -> None:
        """From the moment of the command, whatever becomes of it, until a device says that it was not done."""
        switched: list[tuple[Pace, bool]] = []
        for name, pace, on, was in self._principal.guard.paces(order):
            if pace.moved(on=on, at=now.wall, was=was):
                switched.append((pace, on))
                for id_ in (order.entity, name):  # whose record has it
                    entity = self._site.entities.get(id_)
                    if entity is not None:
                        entity.keep()
        if switched:
            self._switched[number] = switched

    # --- outcomes

    def _overdue(self, number: int, now: Now, out: list[Effect]) -> None:
        self.outcome(number, Outcome.UNKNOWN, now, "nobody told the outcome in time", out)

    def outcome(self, number: int, outcome: Outcome, now: Now, reason: str | None, out: list[Effect]) -> None:
        """How a command ended; unknown numbers and repeated outcomes change nothing."""
        known = self._commands.pop(number, None)
        if known is None:
            return
        job, order = known
        del self._busy_points[order.backend, order.point]
        del job.waiting[number]
        told = f"{order}: {outcome.value}"
        job.request.account.append(f"{told} ({reason})" if reason else told)
        out.append(
            Audit(now.wall, job.request.by, order.entity, f"{order.kind.value} {_value(order)}: {outcome.value}")
        )
        if outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN) and order.magic is None:
            out.append(Poll(order.backend))
        switched = self._switched.pop(number, ())
        if outcome in (Outcome.REFUSED, Outcome.UNAVAILABLE):
            for pace, on in switched:
                pace.take_back(on=on)
        self._answered(job, order, outcome, now, out)
        self._advance(job, now, out)
        self._principal.freed(order, now, out)

    def _answered(self, job: Job, order: Order, outcome: Outcome, now: Now, out: list[Effect]) -> None:
        if job.asking:
            return
        job.outcomes.append(outcome)
        failed = outcome in (Outcome.REFUSED, Outcome.UNAVAILABLE)
        if order.turns_off and failed:
            self.expect(job.request, (order,), expected=False)
            self._abandon(job)  # half off is no use: the rest is left as it is
        elif order.switches and not order.turns_off and not failed:
            self._turned_on(order)
        if not job.cancelled:
            self._principal.happened(job.request, _INPUTS[outcome], now, out)

    def _answer(self, job: Job, out: list[Effect]) -> None:
        request = job.request
        if request.answer is None:
            answers = [_ANSWERS[outcome] for outcome in job.outcomes] or [Answer.ACCEPTED]
            request.answer = next(answer for answer in _WORST if answer in answers)
            out.append(Answered(request.id, request.answer))

    def _finish(self, job: Job, now: Now, out: list[Effect]) -> None:
        self._jobs.pop(job.request.id, None)
        self._answer(job, out)
        self._principal.finished(job, now, out)


def _value(order: Order) -> str | Decimal | None:
    return order.point.battery if order.kind is CommandKind.TEST_BATTERY else order.value

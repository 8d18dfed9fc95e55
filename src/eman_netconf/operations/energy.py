"""The actions of the energy modules: a wish is planned, judged, started, and answered when the devices have."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Any, Protocol

from eman_netconf.energy.canonical import clipped, thousandths
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Answered, Effect
from eman_netconf.energy.plans import Member, Plan, Refusal
from eman_netconf.energy.relationships import End
from eman_netconf.energy.requests import Aspect, RequestStatus, Target
from eman_netconf.energy.values import Answer, Now, Supply, Wish
from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError, RpcErrors
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Inner, Path, Step, make_inner, path_text


class Control(Protocol):
    """The energy core, and what carries out what it asks for."""

    @property
    def domain(self) -> Domain: ...

    def now(self) -> Now: ...

    def perform(self, effects: Iterable[Effect]) -> None:
        """Carry effects out; answers come later, never within this call."""

    def answer(self, request: int) -> Awaitable[Answered]:
        """What the devices answer to a request; to be asked for before anything can have come."""

    def rediscover(self, backend: str) -> bool:
        """Take the inventory of a backend anew; False when there is no such backend at work."""


def actions(control: Control) -> Mapping[tuple[str, str], ActionHandler]:
    """The handlers by module and action, for ``Server.actions``."""

    async def set_power_state(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        said = given.leaf
        limit, percent = said("power-limit"), said("nameplate-percent")
        wish = replace(
            _wish(session, given),
            entity=_key(path, "entity"),
            state=said("state"),
            transition=said("transition"),
            power_limit=None if limit is None else Decimal(limit),
            nameplate_percent=None if percent is None else Decimal(percent),
            release=said("release") is not None,
        )
        status = await _carry_out(control, server, session, path, wish)
        site = control.domain.site
        holder = control.domain.control.holder(Target(wish.entity, Aspect.STATE))
        in_force = holder.in_force if holder is not None else None
        entity = site.entities.get(wish.entity)
        return _output(
            given,
            **_accepted(status),
            **{
                "admin-state": in_force.state if in_force is not None else None,
                "oper-state": entity.states.state if entity is not None else None,
            },
        )

    async def switch_supply(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        wish = replace(
            _wish(session, given),
            entity=_key(path, "entity"),
            interface=_key(path, "power-interface"),
            supply=None if (state := given.leaf("state")) is None else Supply(state),
            release=given.leaf("release") is not None,
        )
        return _output(given, **_accepted(await _carry_out(control, server, session, path, wish)))

    async def cycle_supply(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        wish = replace(
            _wish(session, given),
            entity=_key(path, "entity"),
            interface=_key(path, "power-interface"),
            cycle=float(_said(given, "off-time")),
        )
        return _output(given, **_accepted(await _carry_out(control, server, session, path, wish)))

    async def test_battery(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        wish = replace(_wish(session, given), entity=_key(path, "entity"), test=_key(path, "battery"))
        status = await _carry_out(control, server, session, path, wish)
        return _output(given, **{"request-id": status.id})

    async def set_group_power_state(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        wish = replace(
            _wish(session, given),
            group=_key(path, "group"),
            state=given.leaf("state"),
            release=given.leaf("release") is not None,
            stagger=None if (stagger := given.leaf("stagger")) is None else float(stagger),
        )
        now = control.now()
        try:
            plan = control.domain.plan(wish, now)
        except Refusal as refusal:
            raise _refused(refusal, path) from None
        members = tuple(_judged(server, session, member) for member in plan.members)
        numbers = await _started(control, replace(plan, members=members), now)
        started = iter(numbers)
        results = [_result(control, member, next(started) if member.plan is not None else None) for member in members]
        return _output(given, result=results)

    async def rediscover(server: Server, session: SessionInfo, path: Path, given: Inner) -> None:
        name = _key(path, "backend")
        if not control.rediscover(name):
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                f"The backend {name} is not at work; enable it and try again.",
                path=path_text(path),
            )

    return {
        ("eman-power-state", "set-power-state"): set_power_state,
        ("eman-power-interface", "switch-supply"): switch_supply,
        ("eman-power-interface", "cycle-supply"): cycle_supply,
        ("eman-battery", "test-battery"): test_battery,
        ("eman-group", "set-power-state"): set_group_power_state,
        ("eman-backend", "rediscover"): rediscover,
    }


# --- one wish --------------------------------------------------------------------------------------------------------


def _wish(session: SessionInfo, given: Inner) -> Wish:
    """What every wish says (eman-entity:wish)."""
    hold, shutdown = given.leaf("hold-time"), given.leaf("shutdown-timeout")
    return Wish(
        by=session.user,
        reason=given.leaf("reason"),
        hold_time=None if hold is None else float(hold),
        shutdown_timeout=None if shutdown is None else float(shutdown),
        keep_on_timeout=given.leaf("on-timeout") == "keep",
        accept_collateral=given.leaf("accept-collateral") == "true",
    )


async def _carry_out(control: Control, server: Server, session: SessionInfo, path: Path, wish: Wish) -> RequestStatus:
    """Plan, judge and start with nothing in between, then wait. Raises RpcError when a device did not accept."""
    now = control.now()
    try:
        plan = control.domain.plan(wish, now)
    except Refusal as refusal:
        raise _refused(refusal, path) from None
    _judge(server, session, plan)
    (number,) = await _started(control, plan, now)
    status = control.domain.request(number)
    if status is None:
        raise RpcError(ErrorTag.OPERATION_FAILED, f"Request {number} was overtaken by others.", path=path_text(path))
    if status.answer is not Answer.ACCEPTED:
        raise RpcError(ErrorTag.OPERATION_FAILED, _told(status), path=path_text(path))
    return status


async def _started(control: Control, plan: Plan, now: Now) -> list[int]:
    """Start a plan and wait until every device that is told something now has answered; the requests' numbers."""
    numbers, effects = control.domain.start(plan, now)
    answered = {effect.request for effect in effects if isinstance(effect, Answered)}
    waiting = [control.answer(number) for number in numbers if number not in answered]
    control.perform(effects)
    for answer in waiting:
        await answer
    return numbers


def _told(status: RequestStatus) -> str:
    """Why a wish was not accepted, for the one who wished."""
    reason = status.reason or "no reason was given"
    if status.answer is Answer.OUTCOME_UNKNOWN:
        return f"Request {status.id} was sent, but nobody knows whether it was carried out: {reason}. It is read back."
    return f"Request {status.id} was not accepted: {reason}."


# --- access ----------------------------------------------------------------------------------------------------------


def _judge(server: Server, session: SessionInfo, plan: Plan) -> None:
    """Whoever touches more than the one entity needs the right to control each, and whoever has outlets switched for
    it, that to switch them (RFC 8341). Raises RpcErrors.
    """
    entity = server.schema.find("eman-entity:energy-management/entities/entity")
    *above, last = _steps_to(entity)
    wanted: list[tuple[SchemaNode, Path]] = []
    for touched in sorted(plan.touched - {plan.wish.entity}):
        control = entity.child("control")
        wanted.append((_action(control, "set-power-state"), (*above, last._replace(key=(touched,)), Step(control))))
    for end in sorted(plan.switched - {End(plan.wish.entity, plan.wish.interface or "")}):
        interface = entity.child("power-interface")
        control = interface.child("control")
        way = (*above, last._replace(key=(end.entity,)), Step(interface, (end.interface,)), Step(control))
        wanted.append((_action(control, "switch-supply"), way))
    errors: list[RpcError] = []
    for action, path in wanted:
        try:
            server.judge.action(session, action, path)
        except RpcError as denied:
            errors.append(denied.with_traceback(None))  # which leads back to here
        except RpcErrors as denied:
            errors.extend(denied.errors)
    if errors:
        raise RpcErrors(errors)


def _action(control: SchemaNode, name: str) -> SchemaNode:
    """The action of a container; the container itself where control of that kind is left out."""
    return next((each for each in control.actions.values() if each.name == name), control)


def _steps_to(node: SchemaNode) -> list[Step]:
    return [*(Step(each) for each in reversed([*node.ancestors()])), Step(node)]


def _judged(server: Server, session: SessionInfo, member: Member) -> Member:
    """The member of a group as far as the user may control it."""
    if member.plan is None:
        return member
    try:
        _judge(server, session, replace(member.plan, wish=replace(member.plan.wish, entity="")))
    except RpcErrors as denied:
        return Member(member.entity, None, Refusal(denied.errors[0].message, (), denied.errors[0].tag))
    return member


# --- answers ---------------------------------------------------------------------------------------------------------


def _refused(refusal: Refusal, path: Path) -> RpcError:
    later = refusal.retry_after
    info = () if later is None else (ErrorInfo("retry-after", _seconds(later), path[0].schema.module.namespace),)
    return RpcError(refusal.tag, refusal.reason, path=path_text(path), app_tag=refusal.app_tag, info=info)


def _seconds(seconds: float) -> str:
    """At least so many, as a decimal64 with three digits."""
    return thousandths(ceil(seconds * 1000))


def _accepted(status: RequestStatus) -> dict[str, Any]:
    return {"request-id": status.id, "affected": list(status.affected)}


def _result(control: Control, member: Member, number: int | None) -> dict[str, Any]:
    if number is None:
        reason = member.refusal.reason if member.refusal is not None else None
        later = member.refusal.retry_after if member.refusal is not None else None
        return {
            "entity": member.entity,
            "outcome": Answer.REFUSED,
            "reason": clipped(reason or ""),
            "retry-after": None if later is None else _seconds(later),
        }
    status = control.domain.request(number)
    answer = status.answer if status is not None and status.answer is not None else Answer.OUTCOME_UNKNOWN
    reason = status.reason if status is not None and answer is not Answer.ACCEPTED else None
    return {
        "entity": member.entity,
        "request-id": number,
        "outcome": answer,
        "reason": None if reason is None else clipped(reason),
    }


def _output(given: Inner, **values: Any) -> Inner:
    """The output that belongs to an input."""
    action = given.schema.parent
    assert action is not None
    return make_inner(action.child("output"), values)


# --- input -----------------------------------------------------------------------------------------------------------


def _key(path: Path, name: str) -> str:
    """The key of the list entry called ``name`` on the way to an action."""
    return next(step.key[0] for step in path if step.schema.name == name and step.key is not None)


def _said(given: Inner, name: str) -> str:
    """The value of a parameter that has a default."""
    value = given.leaf(name)
    return value if value is not None else given.schema.child(name).default or ""

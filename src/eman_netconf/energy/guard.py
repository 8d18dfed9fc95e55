"""The guard: no plan darkens what is vital, disturbs a maintenance, or switches more often than allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from eman_netconf.energy.entities import Entity
from eman_netconf.energy.pacing import Pace
from eman_netconf.energy.plans import Order, Plan, Refusal
from eman_netconf.energy.relationships import End, Role
from eman_netconf.energy.site import Site
from eman_netconf.energy.values import Now, Supply
from eman_netconf.errors import AppTag, ErrorTag
from eman_netconf.yang.stamps import stamp


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


class Held(NamedTuple):
    """Why orders have to wait, and until when by wall clock."""

    reason: str
    until: float


class Switched(NamedTuple):
    """What an order switches: its name, its pace, whether it will be on, and whether it is now (None = not known)."""

    name: str
    pace: Pace
    on: bool
    was: bool | None


class Guard:
    """Asked when a plan is made, and again before each of its stages. Nothing and nobody overrides it.

    ``host``: the entity this server runs on, vital by construction.
    """

    def __init__(self, site: Site, host: str | None) -> None:
        self._site = site
        self._host = host

    # --- what is vital

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

    # --- whom a wish is about

    def served(self, id_: str, orders: Iterable[Order]) -> set[str]:
        """Whom a wish for an entity is about: itself with its parts, and what the outlets of ``orders`` are there for:
        the one entity that each feeds. Several are each other's collateral.
        """
        served = {id_, *self._inside(id_)}
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

    # --- who takes no commands now

    def barred(self, orders: Iterable[Order], target: str) -> Refusal | None:
        """Why ``orders`` for ``target`` may not be given: an entity is not in service, or in maintenance, or gets or
        loses power where people are at work.
        """
        orders = tuple(orders)
        for id_ in dict.fromkeys((target, *(order.entity for order in orders))):
            entity = self._site.entities.get(id_)
            if entity is not None and not entity.in_service:
                return Refusal(
                    f"{id_} is {entity.life}: it takes no commands.",
                    (id_,),
                    ErrorTag.OPERATION_FAILED,
                    AppTag.NOT_IN_SERVICE,
                )
        if not self._site.maintained:
            return None
        for id_ in dict.fromkeys((target, *(order.entity for order in orders), *self.lost(orders), *self._fed(orders))):
            sentence = self._site.maintenance(id_)
            if sentence is not None:
                return Refusal(sentence, (id_,), ErrorTag.OPERATION_FAILED, AppTag.IN_MAINTENANCE)
        return None

    def _fed(self, orders: Iterable[Order]) -> list[str]:
        """To whom the power at the outlets of ``orders`` goes: as far as what runs passes it on."""
        found: dict[str, None] = {}
        waiting = [order.end for order in orders if order.end is not None]
        while waiting:
            for load in self._site.graph.peers(waiting.pop(), Role.LOAD):
                if load.entity in found:
                    continue
                found[load.entity] = None
                entity = self._site.entities.get(load.entity)
                if entity is not None and entity.runs:
                    waiting += [other.end for other in entity.interfaces.values() if self._site.passes(other.end)]
        return list(found)

    # --- how often

    def paces(self, order: Order) -> list[Switched]:
        """What an order switches that has rules for it."""
        entity = self._site.entities.get(order.entity)
        if not order.switches or entity is None:
            return []
        if order.end is None:
            return _own(entity, on=not order.turns_off)
        found: list[Switched] = []
        on = order.value == Supply.ON
        interface = self._site.interface(order.end)
        if interface is not None and interface.pace is not None:
            was = None if interface.supply is None else interface.supply is Supply.ON
            found.append(Switched(f"{order.entity} {order.end.interface}", interface.pace, on, was))
        for load in self._site.graph.peers(order.end, Role.LOAD):
            other = self._site.entities.get(load.entity)
            if other is not None and other.states.pace is not None and (on or other.id in self.lost((order,))):
                found += _own(other, on=on)
        return found

    def held(self, orders: Iterable[Order], wall: float) -> Held | None:
        """Why ``orders`` may not be given yet at ``wall``; None where they may."""
        latest: Held | None = None
        for order in orders:
            for name, pace, on, _ in self.paces(order):
                until = pace.earliest(on=on, at=wall)
                if until > wall and (latest is None or until > latest.until):
                    latest = Held(_too_early(name, until, on=on), until)
        return latest

    def check_pace(self, plan: Plan, now: Now) -> None:
        """Try the whole plan in its time. Raises Refusal too-early."""
        tried: dict[int, Pace] = {}
        at = now.wall
        for stage in plan.stages:
            at += stage.after
            for order in stage.orders if not stage.asking else ():
                for name, pace, on, _ in self.paces(order):
                    copy = tried.setdefault(id(pace), pace.copy())
                    until = copy.earliest(on=on, at=at)
                    if until > at:
                        raise Refusal(
                            _too_early(name, until, on=on),
                            (order.entity,),
                            ErrorTag.OPERATION_FAILED,
                            AppTag.TOO_EARLY,
                            retry_after=until - at,
                        )
                    copy.moved(on=on, at=at)


def _own(entity: Entity, *, on: bool) -> list[Switched]:
    """The entity itself, if it has rules."""
    pace, states = entity.states.pace, entity.states
    return [] if pace is None else [Switched(entity.id, pace, on, None if states.state is None else not states.is_off)]


def _too_early(name: str, until: float, *, on: bool) -> str:
    return f"{name} was switched lately and may be switched {'on' if on else 'off'} again from {stamp(until)}."

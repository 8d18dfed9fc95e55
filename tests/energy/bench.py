"""An energy domain on a test bench: devices are dictionaries, time moves when told to, effects are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Effect, Notify, Send
from eman_netconf.energy.values import (
    Command,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Inventory,
    LinkState,
    Now,
    Outcome,
    Peer,
    Point,
    Quantity,
    Reading,
    StateInfo,
    StateSetInfo,
    Wish,
)
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, make_inner

START = 1_700_000_000.0
DMTF = StateSetInfo(
    "dmtf",
    (
        StateInfo("dmtf-on", Decimal(200)),
        StateInfo("dmtf-sleep-deep", Decimal(20)),
        StateInfo("dmtf-off-soft", Decimal(5)),
    ),
    ("dmtf-power-cycle-off-soft", "dmtf-off-soft-graceful"),
    settable=True,
)


def canonical(state: str) -> str:
    return f"eman-power-state-set:{state}"


def inlet(name: str, *peers: tuple[str, str]) -> InterfaceInfo:
    return InterfaceInfo(name, Direction.INLET, connected_to=tuple(Peer(*peer) for peer in peers))


def outlet(name: str, *peers: tuple[str, str], switchable: bool = True) -> InterfaceInfo:
    return InterfaceInfo(
        name, Direction.OUTLET, switchable=switchable, connected_to=tuple(Peer(*peer) for peer in peers)
    )


class Bench:
    """One domain, its configuration and its clock."""

    def __init__(self, schema: Schema, *, host: str | None = None, start: float = START) -> None:
        self.schema = schema
        self.now = Now(start, 1000.0)
        self.effects: list[Effect] = []
        self.running = Inner(schema.root)
        self.domain = Domain(schema, host_entity=host, new_uuid=lambda id_: str(uuid5(NAMESPACE_OID, id_)))

    def boot(self, saved: Mapping[str, Any] | None = None, *, clean: bool = True) -> Bench:
        self.domain.restore(saved or {}, self.now, clean=clean)
        self._keep(self.domain.configure(None, self.running, self.now))
        return self

    def _keep(self, effects: Iterable[Effect]) -> list[Effect]:
        new = list(effects)
        self.effects += new
        return new

    # time

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass, and timers run when they are due."""
        end = Now(self.now.wall + seconds, self.now.mono + seconds)
        new: list[Effect] = []
        while (due := self.domain.next_timer()) is not None and due <= end.mono:
            step = max(due - self.now.mono, 0.0)
            self.now = Now(self.now.wall + step, self.now.mono + step)
            new += self._keep(self.domain.timer(self.now))
        self.now = end
        return new

    def step_clock(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now = Now(self.now.wall + seconds, self.now.mono)

    # configuration

    def configured(self, **energy_management: Any) -> Inner:
        """A configuration from plain values below energy-management."""
        top = self.schema.find("/eman-entity:energy-management")
        return Inner(self.schema.root, {top: make_inner(top, energy_management)})

    def commit(self, *entities: Mapping[str, Any], **others: Any) -> list[Effect]:
        """Judge and take a configuration of entities (and of what else is given) in place of the one before."""
        wanted = dict(others)
        if entities:
            wanted["entities"] = {"entity": list(entities)}
        new = self.configured(**wanted)
        change = diff(self.running, new)
        if change is None:
            return []
        self.domain.prepare(change, new)
        self.running = new
        return self._keep(self.domain.configure(change, new, self.now))

    # devices

    def discover(self, backend: str, *entities: EntityInfo, up: bool = True) -> list[Effect]:
        new = self._keep(self.domain.inventory(backend, Inventory(entities), self.now))
        if up:
            new += self._keep(self.domain.link(backend, LinkState.UP, self.now))
        return new

    def link(self, backend: str, state: LinkState, **said: Any) -> list[Effect]:
        return self._keep(self.domain.link(backend, state, self.now, **said))

    def read(self, backend: str, *readings: Reading, missing: Mapping[Point, str] | None = None) -> list[Effect]:
        return self._keep(self.domain.ingest(backend, readings, self.now, missing))

    def reading(
        self, quantity: Quantity, value: Any, entity: str = "", interface: str | None = None, **more: Any
    ) -> Reading:
        battery = more.pop("battery", None)
        at = more.pop("at", self.now.wall)
        return Reading(Point(entity, interface, battery), quantity, value, at, **more)

    def tell(
        self, backend: str, quantity: Quantity, value: Any, entity: str = "", interface: str | None = None, **more: Any
    ) -> list[Effect]:
        """One reading, now."""
        return self.read(backend, self.reading(quantity, value, entity, interface, **more))

    # wishes

    def wish(self, **wish: Any) -> int:
        """Plan and start; the number of the request."""
        numbers, effects = self.domain.start(self.domain.plan(Wish(by="ann", **wish), self.now), self.now)
        self._keep(effects)
        return numbers[0]

    def answer(self, outcome: Outcome = Outcome.ACCEPTED, reason: str | None = None, number: int | None = None) -> None:
        """The device answers the oldest command that waits, or the one with ``number``."""
        waiting = self.commands()
        command = waiting[0] if number is None else next(item for item in waiting if item.id == number)
        self.answered.add(command.id)
        self._keep(self.domain.outcome(command.id, outcome, self.now, reason))

    @property
    def answered(self) -> set[int]:
        return self.__dict__.setdefault("_answered", set())

    def commands(self) -> list[Command]:
        """The commands that were sent and not answered yet."""
        sent = [effect.command for effect in self.effects if isinstance(effect, Send)]
        return [command for command in sent if command.id not in self.answered]

    def told(self) -> list[tuple[str, str | Decimal | None]]:
        """Those commands as the name of what is told and the value."""
        return [(command.point.interface or command.point.entity, command.value) for command in self.commands()]

    def status(self, request: int) -> str:
        status = self.domain.request(request)
        assert status is not None
        return status.status.value

    # what is seen

    def notices(self, name: str, since: Iterable[Effect] | None = None) -> list[dict[str, Any]]:
        """The leaves of the notifications called ``name``, in order."""
        effects = self.effects if since is None else since
        return [
            {node.name: data for node, data in effect.notification.children.items()}
            for effect in effects
            if isinstance(effect, Notify) and effect.notification.schema.name == name
        ]

    def served(self) -> Inner:
        """The container energy-management as it is served now."""
        return self.domain.operational(self.running, self.now)

    def entity(self, id_: str) -> Inner:
        return self.served().at("entities", "entity").entries[id_,]  # type: ignore[union-attr]

    def at(self, id_: str, *path: str | tuple[str, ...]) -> Any:
        """What stands at an entity below names of nodes and keys of entries; None where there is nothing."""
        here: Any = self.entity(id_)
        for step in path:
            if here is None:
                return None
            here = here.entries.get(step) if isinstance(step, tuple) else here.at(step)
        return here


def power(bench: Bench, id_: str, *path: str | tuple[str, ...]) -> str | None:
    return bench.at(id_, *path, "power", "active")


def saved(bench: Bench) -> dict[str, Any]:
    """Everything the domain would have kept, as if asked for since its start."""
    import json

    return json.loads(json.dumps({key: record for key, record in bench.domain.dirty() if record is not None}))

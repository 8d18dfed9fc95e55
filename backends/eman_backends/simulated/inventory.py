"""What a box tells of itself and of what is behind it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from eman_netconf.backend import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    Inventory,
    Peer,
    Persistence,
    RelationInfo,
    StateInfo,
    StateSetInfo,
)

from .scenario import Entity, Kind, Scenario, States, String, Wire

MEASURED = frozenset({"power", "energy", "electrical"})


def inventory(scenario: Scenario, box: str, site: uuid.UUID, swapped: Mapping[str, int] | None = None) -> Inventory:
    """The inventory of a box; identifiers are made of the site's own, so that no two sites share them.

    ``swapped`` tells how often an entity, or a part of it (entity/part), was swapped for another.
    """
    made = Made(site, swapped or {})
    return Inventory(tuple(each for entity in scenario.box(box) for each in _entities(scenario, entity, box, made)))


@dataclass(frozen=True, slots=True)
class Made:
    """Where the identifiers of a site's things come from."""

    site: uuid.UUID
    swapped: Mapping[str, int]

    def of(self, entity: str) -> uuid.UUID:
        """That of a device, other than that of the one before it."""
        return self._own(self.site, entity, entity)

    def part(self, entity: str, part: str) -> uuid.UUID:
        """That of a part of a device, which may have been swapped alone."""
        return self._own(self.of(entity), part, f"{entity}/{part}")

    def _own(self, above: uuid.UUID, name: str, path: str) -> uuid.UUID:
        swaps = self.swapped.get(path, 0)
        return uuid.uuid5(above, f"{name} {swaps}" if swaps else name)


def local(entity: Entity) -> str:
    """The name of an entity within its backend."""
    return "" if entity.id == entity.box else entity.id


def number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _entities(scenario: Scenario, entity: Entity, box: str, made: Made) -> Iterator[EntityInfo]:
    """An entity, and its batteries as parts of it."""
    yield _entity(scenario, entity, box, made)
    for string in entity.bank.strings if entity.bank is not None else ():
        yield EntityInfo(
            local=f"{local(entity)}.{string.name}".lstrip("."),
            id=_part(entity, string),
            contained_in=entity.id,
            entity_class="component",
            uuid=str(made.part(entity.id, string.name)),
            identifier_persistence=Persistence.PERSISTENT,
            name=_part(entity, string),
            category="store",
            current_type="dc",
            foreign_ids=(_foreign("serial-number", _serial(made, entity, string)),),
        )


def _part(entity: Entity, string: String) -> str:
    """The entity id of a string of batteries."""
    return f"{entity.id}.{string.name}"


def _serial(made: Made, entity: Entity, string: String) -> str:
    return f"BAT{made.part(entity.id, string.name).int % 10**8:08}"


def _entity(scenario: Scenario, entity: Entity, box: str, made: Made) -> EntityInfo:
    own = made.of(entity.id)
    wires = [scenario.wires[index] for index in (*entity.inlets, *entity.outlets)]
    direct = {wire.direct for wire in wires}
    return EntityInfo(
        local=local(entity),
        id=entity.id,
        uuid=str(own),
        identifier_persistence=Persistence.PERSISTENT,
        name=entity.id,
        manufacturer=entity.manufacturer,
        model=entity.model,
        firmware_version=entity.firmware,
        category=entity.category,
        nameplate_power=number(entity.nameplate),
        current_type={frozenset({True}): "dc", frozenset({False}): "ac"}.get(frozenset(direct), "mixed")
        if direct
        else None,
        foreign_ids=(
            _foreign("serial-number", f"SIM{made.part(entity.id, 'serial-number').int % 10**10:010}"),
            _foreign("mac-address", _mac(made.part(entity.id, "mac-address"))),
        ),
        interfaces=tuple(_interface(scenario, wire, entity, own) for wire in wires),
        state_sets=(_state_set(entity.states),) if entity.states else (),
        power_limits=(Decimal(str(entity.limits[0])), Decimal(str(entity.limits[1]))) if entity.limits else None,
        batteries=_batteries(entity, made),
        relationships=_relationships(scenario, entity, box),
    )


def _foreign(kind: str, value: str) -> ForeignId:
    return ForeignId(kind, value, persistence=Persistence.PERSISTENT)


def _mac(own: uuid.UUID) -> str:
    """A locally administered address."""
    return ":".join(f"{octet:02x}" for octet in (0x02, *own.bytes[:5]))


def _interface(scenario: Scenario, wire: Wire, entity: Entity, own: uuid.UUID) -> InterfaceInfo:
    foreign = []
    if wire.port is not None:
        foreign = [_foreign("peth-pse-port", wire.port), _foreign("if-name", wire.label or wire.name)]
    one_way = Direction.INLET if wire.inlet else Direction.OUTLET
    nominal = Decimal(str(wire.volts))
    return InterfaceInfo(
        name=wire.name,
        direction=Direction.BOTH if wire.reversible else one_way,
        label=wire.label,
        uuid=str(uuid.uuid5(own, wire.name)),
        foreign_ids=tuple(foreign),
        current_type="dc" if wire.direct else "ac",
        nominal_voltage=(nominal, nominal),
        nominal_frequency=None if wire.direct else Decimal(50),
        ac_phases=None if wire.direct else wire.phases,
        ac_configuration=None if wire.direct else {1: "single", 3: "wye"}[wire.phases],
        rated_current=number(wire.rated_current),
        rated_power=_rating(wire),
        switchable=wire.switchable,
        connected_to=_peers(scenario, wire),
    )


def _rating(wire: Wire) -> Decimal | None:
    if wire.rated_current is None:
        return None
    return Decimal(str(round(wire.rated_current * wire.volts * wire.phases, 1)))


def _peers(scenario: Scenario, wire: Wire) -> tuple[Peer, ...]:
    others = [wire.source] if wire.inlet else list(scenario.feeds.get(wire.index, ()))
    ends = [scenario.wires[index] for index in others if index is not None]
    return tuple(Peer(scenario.entities[end.owner].id, end.name) for end in ends)


def _state_set(states: States) -> StateSetInfo:
    return StateSetInfo(
        name=states.set,
        states=tuple(
            StateInfo(
                state=state.name,
                typical_power=number(state.typical),
                max_power=number(state.most if state.most is not None else state.watts),
                enter_time=number(state.enter),
            )
            for state in states.states
        ),
        transitions=tuple(states.transitions),
        settable=True,
    )


def _batteries(entity: Entity, made: Made) -> tuple[BatteryInfo, ...]:
    bank = entity.bank
    if bank is None:
        return ()
    return tuple(
        BatteryInfo(
            name=string.name,
            identifier=_serial(made, entity, string),
            firmware_version="1.0",
            type="rechargeable",
            technology=bank.technology,
            nominal_capacity=string.capacity,
            nominal_voltage=Decimal(str(bank.volts)),
            cell_count=bank.cells,
            entity=_part(entity, string),
            testable=True,
        )
        for string in bank.strings
    )


def _relationships(scenario: Scenario, entity: Entity, box: str) -> tuple[RelationInfo, ...]:
    """A meter meters; a box meters what it feeds and controls what is behind it."""
    found = []
    if entity.kind is Kind.METER and entity.measures is not None:
        wire = scenario.wires[entity.measures]
        found.append(
            RelationInfo(
                "metering",
                scenario.entities[wire.owner].id,
                peer_interfaces=(wire.name,),
                reports=MEASURED,
            )
        )
    for other in scenario.entities:
        if entity.id != box or other.controller != entity.id:
            continue
        if other.states is not None:
            found.append(RelationInfo("controlling", other.id, controls=frozenset({"power-state"})))
            found.append(RelationInfo("proxying", other.id, reports=frozenset({"power", "energy", "power-state"})))
        else:
            outlets = tuple(scenario.wires[index].name for index in _outlets_of(scenario, entity, other))
            inlets = tuple(scenario.wires[index].name for index in other.inlets)
            found.append(
                RelationInfo(
                    "metering", other.id, outlets, inlets, reports=frozenset({"power", "energy", "electrical"})
                )
            )
            found.append(RelationInfo("controlling", other.id, outlets, inlets, controls=frozenset({"supply"})))
    return tuple(found)


def _outlets_of(scenario: Scenario, feeding: Entity, fed: Entity) -> list[int]:
    sources = [scenario.wires[inlet].source for inlet in fed.inlets]
    return [source for source in sources if source is not None and scenario.wires[source].owner == feeding.index]

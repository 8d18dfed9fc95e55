"""What a box tells of itself and of what is behind it."""

from __future__ import annotations

import uuid
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

from .scenario import Entity, Kind, Scenario, States, Wire

MEASURED = frozenset({"power", "energy", "electrical"})


def inventory(scenario: Scenario, box: str, site: uuid.UUID) -> Inventory:
    """The inventory of a box; identifiers are made of the site's own, so that no two sites share them."""
    return Inventory(tuple(_entity(scenario, entity, box, site) for entity in scenario.box(box)))


def local(entity: Entity) -> str:
    """The name of an entity within its backend."""
    return "" if entity.id == entity.box else entity.id


def number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _entity(scenario: Scenario, entity: Entity, box: str, site: uuid.UUID) -> EntityInfo:
    own = uuid.uuid5(site, entity.id)
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
            _foreign("serial-number", f"SIM{own.int % 10**10:010}"),
            _foreign("mac-address", _mac(own)),
        ),
        interfaces=tuple(_interface(scenario, wire, entity, own) for wire in wires),
        state_sets=(_state_set(entity.states),) if entity.states else (),
        power_limits=(Decimal(str(entity.limits[0])), Decimal(str(entity.limits[1]))) if entity.limits else None,
        batteries=_batteries(entity, own),
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


def _batteries(entity: Entity, own: uuid.UUID) -> tuple[BatteryInfo, ...]:
    bank = entity.bank
    if bank is None:
        return ()
    return tuple(
        BatteryInfo(
            name=string.name,
            identifier=f"BAT{uuid.uuid5(own, string.name).int % 10**8:08}",
            firmware_version="1.0",
            type="rechargeable",
            technology=bank.technology,
            nominal_capacity=string.capacity,
            nominal_voltage=Decimal(str(bank.volts)),
            cell_count=bank.cells,
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

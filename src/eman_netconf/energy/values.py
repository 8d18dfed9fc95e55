"""What crosses between the energy core and the outside: points, readings, inventory, commands and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Now:
    """An instant: ``wall`` in seconds since the epoch (UTC) for stamps, ``mono`` in seconds for durations."""

    wall: float
    mono: float


class Quantity(StrEnum):
    """What a reading tells, with its unit; the names are those of the eman modules."""

    # of an entity or a power interface; watts, volt-amperes, volt-amperes-reactive, ratio, degrees
    ACTIVE_POWER = "active-power"
    APPARENT_POWER = "apparent-power"
    REACTIVE_POWER = "reactive-power"
    POWER_FACTOR = "power-factor"
    PHASE_ANGLE = "phase-angle"
    # volts, amperes, hertz, percent
    VOLTAGE = "voltage"
    VOLTAGE_TO_NEXT = "voltage-to-next"
    CURRENT = "current"
    NEUTRAL_CURRENT = "neutral-current"
    FREQUENCY = "frequency"
    THD_VOLTAGE = "thd-voltage"
    THD_CURRENT = "thd-current"
    # of the supply at an interface; ohms
    RESISTANCE = "resistance"
    REACTANCE = "reactance"
    # watt-hours since some start the device knows: growing counters that may wrap or reset
    ENERGY_RECEIVED = "energy-received"
    ENERGY_PROVIDED = "energy-provided"
    # states: an identity name ("dmtf-on"); on|off|switching|fault; bool; bool; inlet|outlet; watts
    POWER_STATE = "power-state"
    SUPPLY_STATE = "supply-state"
    POWER_AVAILABLE = "power-available"
    IN_USE = "in-use"
    OPERATIONAL_DIRECTION = "operational-direction"
    POWER_LIMIT = "power-limit"
    LOCAL_CONTROL = "local-control"
    # of a battery: milliampere-hours, percent, enum, count, mAh, volts, amperes, degrees Celsius, seconds, set of names
    CHARGE = "charge"
    CHARGE_PERCENT = "charge-percent"
    CHARGING_STATE = "charging-state"
    CYCLE_COUNT = "cycle-count"
    ACTUAL_CAPACITY = "actual-capacity"
    BATTERY_VOLTAGE = "battery-voltage"
    BATTERY_CURRENT = "battery-current"
    TEMPERATURE = "temperature"
    RUNTIME_REMAINING = "runtime-remaining"
    ALARM = "alarm"
    # none|in-progress|passed|warning|failed|aborted: how the last test of the battery went
    TEST_RESULT = "test-result"


class Method(StrEnum):
    """How a value came about (eman-types:measurement-method)."""

    DIRECT_METER = "direct-meter"
    REMOTE_METER = "remote-meter"
    LOAD_MODEL = "load-model"
    STATE_MODEL = "state-model"
    INTEGRATED = "integrated"
    NAMEPLATE = "nameplate"


class Supply(StrEnum):
    """Whether an interface passes power (eman-power-interface)."""

    ON = "on"
    OFF = "off"
    SWITCHING = "switching"
    FAULT = "fault"


class Direction(StrEnum):
    """Which way an interface is built to pass power."""

    INLET = "inlet"
    OUTLET = "outlet"
    BOTH = "both"


class Point(NamedTuple):
    """Where a reading belongs, in the backend's own words.

    ``entity`` is the local name of an EntityInfo of the same backend ("" is the device itself).
    At most one of ``interface`` and ``battery`` is given.
    """

    entity: str = ""
    interface: str | None = None
    battery: str | None = None


Value = Decimal | int | float | bool | str | frozenset[str]


class Reading(NamedTuple):
    """One value of one quantity at one point; units as Quantity says, sign positive = received.

    A tuple, since a site makes thousands in a second.
    """

    point: Point
    quantity: Quantity
    value: Value
    at: float  # wall-clock seconds at which the value held, as near as the backend can tell
    phase: int | None = None  # 1..3, None = the whole
    method: Method = Method.DIRECT_METER
    accuracy: Decimal | None = None  # percent, None = not known
    accuracy_class: str | None = None  # identity of eman-types:accuracy-class
    interval: float | None = None  # seconds the value is a mean over; None = instantaneous
    wraps_at: Decimal | int | None = None  # energy: watt-hours at which the counter starts again at 0; None = not known


@dataclass(frozen=True, slots=True)
class Pass:
    """What one read() brought: readings, and the points that should have answered but did not, with the reason.

    ``outdated`` says that the inventory is not what ``open`` told: it is opened again instead of the next pass.
    """

    readings: tuple[Reading, ...]
    missing: Mapping[Point, str] = field(default_factory=dict)
    outdated: bool = False


class Persistence(StrEnum):
    """Whether an identifier outlives a restart of what it names (RFC 6988 section 4.2)."""

    PERSISTENT = "persistent"
    BOOT_SCOPED = "boot-scoped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ForeignId:
    """An identifier of the entity or interface in another system (identity of eman-entity:foreign-id-kind)."""

    kind: str
    value: str
    authority: str | None = None
    persistence: Persistence = Persistence.UNKNOWN


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a wire: an entity and the name of its interface.

    The entity is named by its id at this server (any backend's), or by a local name of the same inventory.
    """

    entity: str
    interface: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who is at the other end of a cable as the device heard it say (IEEE 802.1AB); None = not known.

    Which entity that is, is found by its identifiers: any one that an entity has is enough.
    """

    foreign_ids: tuple[ForeignId, ...] = ()
    name: str | None = None
    description: str | None = None
    interface: str | None = None  # the neighbour's own word for the port


@dataclass(frozen=True, slots=True)
class InterfaceInfo:
    """A power interface as the device tells it; None = not known."""

    name: str
    direction: Direction
    label: str | None = None
    uuid: str | None = None
    foreign_ids: tuple[ForeignId, ...] = ()
    current_type: str | None = None  # ac | dc
    nominal_voltage: tuple[Decimal, Decimal] | None = None  # minimum, maximum in volts
    nominal_frequency: Decimal | None = None  # hertz
    ac_phases: int | None = None
    ac_configuration: str | None = None  # single | split | delta | wye
    rated_current: Decimal | None = None  # amperes
    rated_power: Decimal | None = None  # volt-amperes
    switchable: bool = False  # the backend's switch_supply accepts this interface
    connected_to: tuple[Peer, ...] = ()
    neighbour: Neighbour | None = None


@dataclass(frozen=True, slots=True)
class StateInfo:
    """One state of a power-state set as the device supports it; watts and seconds, None = not known."""

    state: str  # identity name, as "dmtf-on"
    typical_power: Decimal | None = None
    max_power: Decimal | None = None
    enter_time: Decimal | None = None
    exit_time: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StateSetInfo:
    """A power-state set native to the device."""

    name: str  # identity name of eman-power-state-set:power-state-set, as "dmtf"
    states: tuple[StateInfo, ...]
    transitions: tuple[str, ...] = ()
    settable: bool = False  # the backend's set_power_state accepts these states


@dataclass(frozen=True, slots=True)
class BatteryInfo:
    """A battery as the device tells it; None = not known."""

    name: str
    identifier: str | None = None
    firmware_version: str | None = None
    type: str | None = None  # primary | rechargeable | capacitor
    technology: str | None = None  # identity name of eman-battery:battery-technology
    nominal_capacity: int | None = None  # milliampere-hours
    nominal_voltage: Decimal | None = None  # volts
    cell_count: int | None = None
    entity: str | None = None  # entity id of the component it is, where the device shows it as one
    testable: bool = False  # the backend's test_battery accepts this battery


@dataclass(frozen=True, slots=True)
class RelationInfo:
    """A relationship the device knows of (identity name of eman-relationship:relationship-type)."""

    type: str
    peer: str  # entity id of this server, a local name of the same inventory, or the uuid that a device tells of it
    interfaces: tuple[str, ...] = ()
    peer_interfaces: tuple[str, ...] = ()
    reports: frozenset[str] = frozenset()  # power energy electrical power-state battery series
    controls: frozenset[str] = frozenset()  # power-state power-limit supply
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """An entity as its backend tells it; None = not known.

    ``local`` names it within the backend ("" = the device itself). Its entity id is ``id`` when given,
    else the backend's name for "" and ``<backend>.<local>`` for the others.
    """

    local: str = ""
    id: str | None = None
    contained_in: str | None = None  # entity id or local name of the container
    entity_class: str = "device"  # device | component
    uuid: str | None = None
    identifier_persistence: Persistence = Persistence.UNKNOWN
    name: str | None = None
    description: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    category: str | None = None  # consumer | producer | meter | distributor | store
    role: str | None = None  # this and the next two are shown where none are configured; nothing is decided by them
    keywords: tuple[str, ...] = ()
    importance: int | None = None  # 1 to 100
    nameplate_power: Decimal | None = None  # watts
    current_type: str | None = None  # ac | dc | mixed
    foreign_ids: tuple[ForeignId, ...] = ()
    interfaces: tuple[InterfaceInfo, ...] = ()
    state_sets: tuple[StateSetInfo, ...] = ()
    power_limits: tuple[Decimal, Decimal] | None = None  # minimum, maximum in watts that limit_power accepts
    batteries: tuple[BatteryInfo, ...] = ()
    relationships: tuple[RelationInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """All a backend can see of its device or gateway."""

    entities: tuple[EntityInfo, ...]


class CommandKind(StrEnum):
    """The things a device can be told; one capability protocol of a backend each."""

    SET_POWER_STATE = "set-power-state"
    SWITCH_SUPPLY = "switch-supply"
    LIMIT_POWER = "limit-power"
    TEST_BATTERY = "test-battery"


@dataclass(frozen=True, slots=True)
class Command:
    """One order to one backend. ``value``: a state or transition identity, on|off, or watts (None = no limit).

    A battery test has no value.
    """

    id: int
    backend: str
    kind: CommandKind
    point: Point
    value: str | Decimal | None
    deadline: float  # seconds the backend may take


class Magic(NamedTuple):
    """A magic packet: whom it wakes, and where it is sent."""

    mac: str  # six octets in hexadecimal, with colons
    address: str
    port: int

    @property
    def payload(self) -> bytes:
        """Six octets of ones, then the address sixteen times."""
        return b"\xff" * 6 + bytes.fromhex(self.mac.replace(":", "")) * 16


class Outcome(StrEnum):
    """How a command ended, as the backend saw it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # the device said no
    UNAVAILABLE = "unavailable"  # not sent: try later
    UNKNOWN = "outcome-unknown"  # sent, no answer: read back, never resend


class LinkState(StrEnum):
    """The life of the way to a backend (eman-backend: link/state)."""

    CLOSED = "closed"
    OPENING = "opening"
    UP = "up"
    STALE = "stale"
    BACKING_OFF = "backing-off"


class Origin(StrEnum):
    """Where a wish comes from (eman-entity:request/origin)."""

    CONFIGURATION = "configuration"
    ACTION = "action"
    POLICY = "policy"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of one entity, of one of its power interfaces, or of a group.

    Exactly one of ``state``, ``transition``, ``power_limit``, ``nameplate_percent``, ``supply``, ``cycle``, ``test``
    and ``release`` is given. ``interface`` goes with ``supply``, ``cycle`` and ``release``; ``group`` goes with
    ``state`` and ``release``, and then ``entity`` is "". ``test`` names a battery.
    """

    entity: str = ""
    interface: str | None = None
    group: str | None = None
    state: str | None = None  # identity, as "dmtf-on" or "eman-power-state-set:dmtf-on"
    transition: str | None = None
    power_limit: Decimal | None = None  # watts
    nameplate_percent: Decimal | None = None  # of the nameplate power
    supply: Supply | None = None  # ON or OFF
    cycle: float | None = None  # seconds the supply stays off
    test: str | None = None  # the battery that is to test itself
    release: bool = False  # the momentary wish ends, the standing one rules again
    by: str = ""
    origin: Origin = Origin.ACTION
    reason: str | None = None
    hold_time: float | None = None  # seconds until the wish ends by itself
    shutdown_timeout: float | None = None  # seconds loads get to shut down before their supply is cut
    keep_on_timeout: bool = False  # supply is not cut where they have not shut down by then
    accept_collateral: bool = False
    stagger: float | None = None  # seconds between the members of a group; None = as configured there


class RequestState(StrEnum):
    """How a wish went (eman-entity:request/status)."""

    PENDING = "pending"
    REACHED = "reached"
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome-unknown"


class Answer(StrEnum):
    """What became of the commands of a wish, as an action reports it (eman-group: result/outcome)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome-unknown"

"""The entities as components of ietf-hardware (RFC 8348), each made from its record when it is asked for.

The component of an entity has its id as name; below it stand its power interfaces (``id/interface``), its batteries
(``id/battery/name``), and as sensors what is read of each (``...:active-power``). No id or name holds a slash or colon.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from eman_netconf.energy.batteries import Battery
from eman_netconf.energy.entities import ENTITY_CLASS, Entity
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.printing import Leaves
from eman_netconf.energy.site import Site
from eman_netconf.energy.values import Direction, Quantity
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode

Make = Callable[[], Inner]

_COMPONENT = f"{ENTITY_CLASS.partition(':')[0]}:component"
_SERIAL, _ASSET = "eman-entity:serial-number", "eman-entity:asset-tag"
_CLASSES: Final = {Direction.INLET: "iana-hardware:power-supply"}  # of power interfaces; else port
_MOST = 999_999_999  # of sensor-value
_SCALES = ("units", "kilo", "mega", "giga", "tera", "peta")
_MOST_PLACES = 256  # parts of one entity of which the position is told


class Kind(NamedTuple):
    """What a sensor measures: its type in ietf-hardware, and its unit in words."""

    type: str
    unit: str


_VOLTS_AC, _VOLTS_DC = Kind("volts-AC", "volts"), Kind("volts-DC", "volts")
_AMPERES, _HERTZ = Kind("amperes", "amperes"), Kind("hertz", "hertz")
_WATTS, _CELSIUS = Kind("watts", "watts"), Kind("celsius", "degrees-celsius")
_ELECTRICAL = {Quantity.VOLTAGE: _VOLTS_AC, Quantity.CURRENT: _AMPERES, Quantity.FREQUENCY: _HERTZ}
_OF_BATTERIES = {
    Quantity.BATTERY_VOLTAGE: ("voltage", _VOLTS_DC),
    Quantity.BATTERY_CURRENT: ("current", _AMPERES),
    Quantity.TEMPERATURE: ("temperature", _CELSIUS),
}


class Reading(NamedTuple):
    """What a sensor says: canonical decimal64 and date-and-time; None = nobody knows at present."""

    value: str | None
    time: str | None


class Hardware:
    """The container hardware."""

    def __init__(self, schema: Schema, site: Site) -> None:
        self._site = site
        self.container = schema.find("/ietf-hardware:hardware")
        self.component = self.container.child("component")
        self.changed: float | None = None  # when a component came or went, by wall clock
        child = self.component.child
        self._last_change = self.container.child("last-change")
        self._name, self._class, self._description = child("name"), child("class"), child("description")
        self._parent, self._position, self._contains = child("parent"), child("parent-rel-pos"), child("contains-child")
        self._alias, self._asset, self._serial = child("alias"), child("asset-id"), child("serial-num")
        self._manufacturer, self._model, self._firmware = child("mfg-name"), child("model-name"), child("firmware-rev")
        self._uuid, self._uri = child("uuid"), child("uri")
        self._sensor = sensor = child("sensor-data")
        self._value, self._value_type = sensor.child("value"), sensor.child("value-type")
        self._scale, self._precision = sensor.child("value-scale"), sensor.child("value-precision")
        self._status, self._unit = sensor.child("oper-status"), sensor.child("units-display")
        self._timestamp = sensor.child("value-timestamp")

    def served(self, order: Callable[[], Iterable[Entity]]) -> Inner:
        """The container; ``order`` gives the entities in the order in which they are served."""

        def make() -> Mapping[SchemaNode, Data]:
            children: dict[SchemaNode, Data] = {
                self.component: ListNode(self.component, _Components(self, self._site.entities, order))
            }
            if self.changed is not None:
                children[self._last_change] = stamp(self.changed)
            return children

        return Late(self.container, make)

    # --- the components of one entity

    def entries(self, entity: Entity) -> Iterator[tuple[str, Inner]]:
        """The components of an entity by name, in the order of ``of``; their bytes are kept until something changes."""
        shown, generation = entity.render(self._site), self._site.generation
        makes: dict[str, Make] = {}
        known = shown.beside
        if known is None or known[0] != generation:
            makes.update(self.of(entity))
            known = shown.beside = generation, dict.fromkeys(makes)

        def make(name: str) -> Inner:
            if not makes:
                makes.update(self.of(entity))
            return makes[name]() if name in makes else Inner(self.component, {self._name: name})

        printed = known[1]
        for name in printed:
            yield name, _Component(self.component, name, printed, make)

    def of(self, entity: Entity) -> Iterator[tuple[str, Make]]:
        """The components of an entity by name, with what makes each of them; the entity's own comes first."""
        nodes = self._site.nodes
        shown = entity.render(self._site)
        dc = entity.value(nodes.current_type) == "dc"
        own = list(self._sensors(entity.id, shown, entity.meter, dc=dc))
        faces = [(f"{entity.id}/{name}", interface) for name, interface in entity.interfaces.items()]
        batteries = [(f"{entity.id}/battery/{name}", battery) for name, battery in entity.batteries.items()]
        names = (name for names in (own, faces, batteries) for name, _ in names)
        inside = (*self._site.components(entity.id), *names)
        yield entity.id, partial(self._entity, entity, inside)
        yield from own
        for place, (name, interface) in enumerate(faces, 1):
            face = _entry(shown, nodes.interfaces.interface, interface.name)
            if face is not None:
                dc = face.get(nodes.interfaces.current_type) == "dc"
                sensors = list(self._sensors(name, face, interface.meter, dc=dc))
                yield name, partial(self._interface, name, place, interface, tuple(each for each, _ in sensors))
                yield from sensors
        for place, (name, battery) in enumerate(batteries, 1):
            entry = _entry(shown, nodes.batteries.battery, battery.name)
            if entry is not None:
                sensors = list(self._battery_sensors(name, entry))
                yield name, partial(self._battery, name, place, battery, entry, tuple(each for each, _ in sensors))
                yield from sensors

    def _entity(self, entity: Entity, inside: tuple[str, ...]) -> Inner:
        nodes, site = self._site.nodes, self._site
        part = (entity.value(nodes.entity_class) or "") == _COMPONENT
        children = self._start(entity.id, "iana-hardware:energy-object" if part else "iana-hardware:chassis")
        container = site.container(entity.id)
        if container is not None:
            children[self._parent] = container
            siblings = list(islice(site.components(container), _MOST_PLACES))
            if entity.id in siblings:
                children[self._position] = str(siblings.index(entity.id) + 1)
        if inside:
            children[self._contains] = inside
        told = (
            (self._description, entity.value(nodes.description)),
            (self._manufacturer, entity.value(nodes.manufacturer)),
            (self._model, entity.value(nodes.model)),
            (self._firmware, entity.value(nodes.firmware_version)),
            (self._alias, entity.value(nodes.name)),
        )
        children.update((node, value) for node, value in told if value is not None)
        foreign = entity.base.children.get(nodes.foreign_ids.list)
        if isinstance(foreign, ListNode):
            for kind, value in foreign.entries:
                if kind in (_SERIAL, _ASSET):
                    children.setdefault(self._serial if kind == _SERIAL else self._asset, value)
        children[self._uuid] = entity.uuid
        children[self._uri] = (f"urn:uuid:{entity.uuid}",)
        return Leaves(self.component, children)

    def _interface(self, name: str, place: int, interface: Interface, inside: tuple[str, ...]) -> Inner:
        kind = interface.works_as or interface.built_as
        children = self._start(name, _CLASSES.get(kind, "iana-hardware:port") if kind else "iana-hardware:port")
        children[self._parent] = interface.end.entity
        children[self._position] = str(place)
        if inside:
            children[self._contains] = inside
        if interface.info is not None and interface.info.label:
            children[self._alias] = interface.info.label[:255]
        children[self._uuid] = interface.uuid
        children[self._uri] = (f"urn:uuid:{interface.uuid}",)
        return Leaves(self.component, children)

    def _battery(self, name: str, place: int, battery: Battery, entry: Inner, inside: tuple[str, ...]) -> Inner:
        nodes = self._site.nodes.batteries
        children = self._start(name, "iana-hardware:battery")
        children[self._parent] = name.partition("/")[0]
        children[self._position] = str(place)
        if inside:
            children[self._contains] = inside
        for node, source in ((self._serial, nodes.identifier), (self._firmware, nodes.firmware_version)):
            value = entry.get(source)
            if isinstance(value, str):
                children[node] = value
        return Leaves(self.component, children)

    def _start(self, name: str, kind: str) -> dict[SchemaNode, Data]:
        return {self._name: name, self._class: kind}

    # --- sensors

    def _sensors(self, owner: str, shown: Inner, meter: Meter, *, dc: bool) -> Iterator[tuple[str, Make]]:
        """What is read of an entity or an interface; a meter that does not answer is there still."""
        nodes = meter.nodes
        power = shown.get(nodes.power)
        if not isinstance(power, Inner) and meter.reads_power:
            yield self._made(owner, "active-power", _WATTS, Reading(None, None))
        elif isinstance(power, Inner):
            yield self._made(owner, "active-power", _WATTS, _read(power, nodes.active, nodes.power_quality.time))
        electrical = shown.get(nodes.electrical) if nodes.electrical is not None else None
        if not isinstance(electrical, Inner):
            return
        time = nodes.electrical_quality.time
        phases = electrical.get(nodes.phase)
        whole = [("", electrical, nodes.whole.fields)]
        if isinstance(phases, ListNode):
            whole += [(f"-{name}", phase, nodes.of_phase.fields) for (name,), phase in phases.entries.items()]
        for suffix, read, fields in whole:
            for quantity, kind in _ELECTRICAL.items():
                field = fields.get(quantity)
                if field is not None and field[0] in read.children:
                    what = _VOLTS_DC if dc and kind is _VOLTS_AC else kind
                    at = electrical.get(time) if time is not None else None
                    reading = Reading(_text(read.get(field[0])), _text(at))
                    yield self._made(owner, f"{quantity.value}{suffix}", what, reading)

    def _battery_sensors(self, owner: str, entry: Inner) -> Iterator[tuple[str, Make]]:
        nodes = self._site.nodes.batteries
        for quantity, (name, kind) in _OF_BATTERIES.items():
            node = nodes.gauges[quantity]
            if node in entry.children:
                yield self._made(owner, name, kind, _read(entry, node, nodes.time))

    def _made(self, owner: str, quantity: str, kind: Kind, reading: Reading) -> tuple[str, Make]:
        name = f"{owner}:{quantity}"
        return name, partial(self._render_sensor, name, owner, kind, reading)

    def _render_sensor(self, name: str, owner: str, kind: Kind, reading: Reading) -> Inner:
        data: dict[SchemaNode, Data] = {self._value_type: kind.type, self._unit: kind.unit}
        if reading.value is not None:
            value, scale, precision = scaled(reading.value)
            data[self._value] = str(value)
            data[self._scale], data[self._precision] = scale, str(precision)
        data[self._status] = "ok" if reading.value is not None else "unavailable"
        if reading.time is not None:
            data[self._timestamp] = reading.time
        children = self._start(name, "iana-hardware:sensor")
        children[self._parent] = owner
        children[self._sensor] = Leaves(self._sensor, data)
        return Leaves(self.component, children)


def scaled(text: str) -> tuple[int, str, int]:
    """A canonical decimal64 with up to three fraction digits as value, scale and precision of a sensor, as fine as the
    range of sensor-value lets it be.
    """
    whole, _, rest = text.partition(".")
    value = int(whole + rest.ljust(3, "0"))
    dropped = max(len(str(abs(value))) - len(str(_MOST)), 0)
    sign, size = (-1, -value) if value < 0 else (1, value)
    size = (size + 10**dropped // 2) // 10**dropped
    if size > _MOST:
        size, dropped = (size + 5) // 10, dropped + 1
    step = max(-(-(dropped - 3) // 3), 0)
    return sign * size, _SCALES[step], 3 - dropped + 3 * step


def _entry(shown: Inner, node: SchemaNode, name: str) -> Inner | None:
    found = shown.get(node)
    return found.entries.get((name,)) if isinstance(found, ListNode) else None


def _read(shown: Inner, node: SchemaNode, time: SchemaNode | None) -> Reading:
    return Reading(_text(shown.get(node)), _text(shown.get(time)) if time is not None else None)


def _text(data: Data | None) -> str | None:
    return data if isinstance(data, str) else None


# --- the list -----------------------------------------------------------------------------------------------------


class _Component(Inner):
    """A component that is made when somebody looks into it, and whose bytes may be known."""

    __slots__ = ("_make", "_name", "_printed")

    def __init__(
        self, schema: SchemaNode, name: str, printed: dict[str, bytes | None], make: Callable[[str], Inner]
    ) -> None:
        self.schema = schema
        self._name = name
        self._printed = printed
        self._make = make

    def __getattr__(self, name: str) -> Mapping[SchemaNode, Data]:
        """``children`` while they are not made: Python asks here for what is not set."""
        if name != "children":
            raise AttributeError(name)
        self.children = self._make(self._name).children
        return self.children

    def xml(self) -> bytes:
        xml = self._printed[self._name]
        if xml is None:
            xml = self._printed[self._name] = self._make(self._name).xml()
        return xml


class _Components(Mapping[Key, Inner]):
    """The entries of the list component, those of one entity after the other."""

    def __init__(self, hardware: Hardware, known: Mapping[str, Entity], order: Callable[[], Iterable[Entity]]) -> None:
        self._hardware = hardware
        self._known = known
        self._order = order

    def made(self) -> Iterator[tuple[str, Inner]]:
        return (each for entity in self._order() for each in self._hardware.entries(entity))

    def _find(self, key: object) -> Make | None:
        if not isinstance(key, tuple) or len(key) != 1 or not isinstance(key[0], str):
            return None
        entity = self._known.get(entity_of(key[0]))
        found = self._hardware.of(entity) if entity is not None else ()
        return next((make for name, make in found if name == key[0]), None)

    def __getitem__(self, key: Key) -> Inner:
        make = self._find(key)
        if make is None:
            raise KeyError(key)
        return make()

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __iter__(self) -> Iterator[Key]:
        return ((name,) for name, _ in self.made())

    def __len__(self) -> int:
        return sum(1 for _ in self.made())

    def items(self) -> ItemsView[Key, Inner]:
        return _Items(self)

    def values(self) -> ValuesView[Inner]:
        return _Values(self)


class _Items(ItemsView[Key, Inner]):
    """Names and entries, each entity looked at once."""

    def __init__(self, components: _Components) -> None:
        super().__init__(components)
        self._components = components

    def __iter__(self) -> Iterator[tuple[Key, Inner]]:
        return (((name,), entry) for name, entry in self._components.made())


class _Values(ValuesView[Inner]):
    """Entries, each entity looked at once."""

    def __init__(self, components: _Components) -> None:
        super().__init__(components)
        self._components = components

    def __iter__(self) -> Iterator[Inner]:
        return (entry for _, entry in self._components.made())


def entity_of(component: str) -> str:
    """The id of the entity to which a component belongs."""
    return component.partition(":")[0].partition("/")[0]

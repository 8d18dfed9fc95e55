"""Lists that show entities again under other names: who may not read a thing does not see its mirror image either.

Rules about a mirror hold beside this, and can only take more away.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from functools import partial
from typing import NamedTuple

from eman_netconf.nacm.paths import PathFault, read_path
from eman_netconf.nacm.rights import Rights
from eman_netconf.nacm.rules import Access
from eman_netconf.nacm.shadows import Shadows
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode, Path, Step

_ENTITIES = ("eman-entity:energy-management", "entities", "entity")
_TOPOLOGY = ("eman-entity:energy-management", "eman-topology:topology", "node")
_HARDWARE = ("ietf-hardware:hardware", "component")
_ALARMS = ("ietf-alarms:alarms", "alarm-list", "alarm")


class _Mirror(NamedTuple):
    """A list with the containers it stands in, and the instance that an entry shows."""

    way: tuple[SchemaNode, ...]
    shows: Callable[[Key], Path]


class Mirrors:
    """The mirrors that a schema has."""

    def __init__(self, schema: Schema, shadows: Shadows) -> None:
        self._schema = schema
        self._shadows = shadows
        self._entity = _found(schema, _ENTITIES)
        self._mirrors: list[_Mirror] = []
        if self._entity:
            candidates = ((_TOPOLOGY, self._node), (_HARDWARE, partial(self._component, _Parts(self._entity[-1]))))
            for names, shows in candidates:
                way = _found(schema, names)
                if way:
                    self._mirrors.append(_Mirror(way, shows))
        self._alarms = _found(schema, _ALARMS)

    def narrowed(self, root: Inner, rights: Rights) -> Inner:
        """A tree whose mirrors show no more than a user may read; the tree itself where that is all."""
        if not self._entity:
            return root
        scope = rights.scope(Access.READ).child(self._entity[0])
        if self._alarms and not scope.whole:
            root = _replaced(root, self._alarms, partial(self._rings, rights))
        for node in self._entity[1:]:
            if not scope.permitted:
                break
            scope = scope.child(node)
        if scope.schema is self._entity[-1] and scope.whole:
            return root
        for mirror in self._mirrors:
            root = _replaced(root, mirror.way, partial(_may, rights, mirror))
        return root

    def _rings(self, rights: Rights, key: Key) -> bool:
        """Whether a user may know of an alarm, whose first key is the resource that has it (RFC 8632)."""
        try:
            stops = read_path(key[0], self._schema) if key[0].startswith("/") else ()
        except PathFault:
            return False
        path: Path = tuple(Step(stop.node, stop.pattern) for stop in stops)  # type: ignore[arg-type]  # all keys are there
        return rights.reads(path) and self._shadows.reads(rights, path)

    def _steps(self, id_: str) -> Path:
        *above, entity = self._entity
        return (*map(Step, above), Step(entity, (id_,)))

    def _node(self, key: Key) -> Path:
        return self._steps(key[0])

    def _component(self, parts: _Parts, key: Key) -> Path:
        """A component is called ``id``, ``id/interface`` or ``id/battery/name``; with ``:quantity`` it is a sensor."""
        thing, _, quantity = key[0].partition(":")
        id_, _, below = thing.partition("/")
        path = self._steps(id_)
        name, _, battery = below.partition("/")
        if battery:
            return (*path, Step(parts.battery, (battery,)))
        readings = parts.of_entity
        if name:
            path = (*path, Step(parts.interface, (name,)))
            readings = parts.of_interface
        if quantity:
            path = (*path, Step(readings["power" if quantity == "active-power" else "electrical"]))
        return path


def _may(rights: Rights, mirror: _Mirror, key: Key) -> bool:
    """Whether a user may read what an entry shows."""
    return rights.reads(mirror.shows(key))


class _Parts:
    """What of an entity has components of its own."""

    def __init__(self, entity: SchemaNode) -> None:
        self.interface = entity.child("power-interface")
        self.battery = entity.child("battery")
        self.of_entity = {name: entity.child(name) for name in ("power", "electrical")}
        self.of_interface = {name: self.interface.child(name) for name in ("power", "electrical")}


def _found(schema: Schema, names: tuple[str, ...]) -> tuple[SchemaNode, ...]:
    """The nodes on a way from the root; () where the schema has them not."""
    node, found = schema.root, []
    for name in names:
        try:
            node = node.child(name)
        except KeyError:
            return ()
        found.append(node)
    return tuple(found)


def _replaced(inner: Inner, way: tuple[SchemaNode, ...], shown: Callable[[Key], bool]) -> Inner:
    """A tree with the list at the end of ``way`` reduced to the entries that are ``shown``, when somebody looks."""
    node, *more = way
    if not more:
        return Late(inner.schema, lambda: _reduced(inner, node, shown))
    below = inner.children.get(node)
    return inner.replace(node, _replaced(below, tuple(more), shown)) if isinstance(below, Inner) else inner


def _reduced(inner: Inner, node: SchemaNode, shown: Callable[[Key], bool]) -> Mapping[SchemaNode, Data]:
    data = inner.children.get(node)
    return {**inner.children, node: ListNode(node, _Shown(data.entries, shown))} if isinstance(data, ListNode) else {}


class _Shown(Mapping[Key, Inner]):
    """Those entries of a list that are ``shown``."""

    def __init__(self, entries: Mapping[Key, Inner], shown: Callable[[Key], bool]) -> None:
        self.entries = entries
        self.shown = shown

    def __getitem__(self, key: Key) -> Inner:
        entry = self.entries[key]
        if not self.shown(key):
            raise KeyError(key)
        return entry

    def __contains__(self, key: object) -> bool:
        return key in self.entries and isinstance(key, tuple) and self.shown(key)

    def __iter__(self) -> Iterator[Key]:
        return filter(self.shown, self.entries)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def items(self) -> ItemsView[Key, Inner]:
        return _Items(self)

    def values(self) -> ValuesView[Inner]:
        return _Values(self)


class _Items(ItemsView[Key, Inner]):
    def __init__(self, shown: _Shown) -> None:
        super().__init__(shown)
        self._shown = shown

    def __iter__(self) -> Iterator[tuple[Key, Inner]]:
        return (item for item in self._shown.entries.items() if self._shown.shown(item[0]))


class _Values(ValuesView[Inner]):
    def __init__(self, shown: _Shown) -> None:
        super().__init__(shown)
        self._shown = shown

    def __iter__(self) -> Iterator[Inner]:
        return (entry for _, entry in self._shown.items())

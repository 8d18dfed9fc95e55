"""Bytes of what the energy core renders: one template for each shape of leaves, and entries joined from parts.

A reading changes a few leaves of an entity. Their container is printed by one formatting of a template that was
made when its shape was first seen; all other parts keep their bytes.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Mapping
from itertools import islice

from eman_netconf.yang.render import data_bytes, escape
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner

_MOST_SHAPES = 4096  # of leaves that stand together; a client's configuration decides about some of them
_MOST_VALUES = 4096
_NUMBERS = (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NEVER_EMPTY = frozenset({"decimal64", "boolean", *_NUMBERS})  # nor ever in need of escaping
#: strings of which the same can be said, by their patterns
_SAFE = frozenset({"ietf-yang-types:date-and-time", "ietf-yang-types:uuid", "eman-types:entity-id", "eman-types:name"})
_UNUSUAL = re.compile(r"[^ !-%'-;=?-~]")  # anything but printable ASCII without markup

_Fix = Callable[[Data], str]
_Shape = tuple[str, tuple[int, ...] | None, tuple[tuple[int, _Fix], ...]]
_shapes: dict[tuple[SchemaNode, ...], _Shape] = {}
_cut_shapes: dict[tuple[tuple[int, ...], tuple[SchemaNode, ...]], _Shape] = {}
_elements: dict[tuple[SchemaNode, str], str] = {}
_CUT = "\0"  # stands in no XML


def _leaves(children: Mapping[SchemaNode, Data]) -> bytes:
    """A node by its children, of which there are some."""
    shape = tuple(children)
    known = _shapes.get(shape)
    if known is None:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        template, order, fixes = _compile(shape, ())
        parent = shape[0].parent
        assert parent is not None
        known = _shapes[shape] = f"{parent.open_tag.decode()}{template}{parent.close_tag.decode()}", order, fixes
    return _filled(known, children).encode()


def segments(children: Mapping[SchemaNode, Data], cuts: tuple[int, ...]) -> list[bytes]:
    """The bytes of children in the order of the schema: those before the first of ``cuts``, which are orders of
    siblings, those between them, and those after the last.
    """
    shape = cuts, tuple(children)
    known = _cut_shapes.get(shape)
    if known is None:
        if len(_cut_shapes) >= _MOST_SHAPES:
            _cut_shapes.clear()
        known = _cut_shapes[shape] = _compile(shape[1], cuts)
    return _filled(known, children).encode().split(_CUT.encode())


def _filled(shape: _Shape, children: Mapping[SchemaNode, Data]) -> str:
    template, order, fixes = shape
    if not fixes and order is None:
        return template % tuple(children.values())
    values: list[Data] = list(children.values())
    if order is not None:
        values = [values[index] for index in order]
    for index, fix in fixes:
        values[index] = fix(values[index])
    return template % tuple(values)


def _compile(given: tuple[SchemaNode, ...], cuts: tuple[int, ...]) -> _Shape:
    """The template of a shape, the order in which the values given go into it, and what is done to some before."""
    order = tuple(sorted(range(len(given)), key=lambda index: given[index].order))
    parts: list[str] = []
    fixes: list[tuple[int, _Fix]] = []
    passed = 0
    for index, node in enumerate(given[place] for place in order):
        ahead = bisect(cuts, node.order)
        parts.append(_CUT * (ahead - passed))
        passed = ahead
        if node.kind is Kind.LEAF and node.type is not None:
            if node.type.base in _NEVER_EMPTY or not _SAFE.isdisjoint(node.type.typedefs):
                parts.append(f"{node.open_tag.decode()}%s{node.close_tag.decode()}")
                continue
            fixes.append((index, _remembered(node) if node.type.prefixed else _element(node)))
        else:
            fixes.append((index, _items(node) if node.kind is Kind.LEAF_LIST else _whole(node)))
        parts.append("%s")
    parts.append(_CUT * (len(cuts) - passed))
    return "".join(parts), None if order == tuple(range(len(given))) else order, tuple(fixes)


def _remembered(node: SchemaNode) -> _Fix:
    """An element whose few values need declarations of prefixes."""

    def fix(value: Data) -> str:
        assert isinstance(value, str)
        known = _elements.get((node, value))
        if known is None:
            if len(_elements) >= _MOST_VALUES:
                _elements.clear()
            known = _elements[node, value] = data_bytes(node, value).decode()
        return known

    return fix


def _element(node: SchemaNode) -> _Fix:
    opening, closing, empty = node.open_tag.decode(), node.close_tag.decode(), node.empty_tag.decode()

    def fix(value: Data) -> str:
        assert isinstance(value, str)
        if not value:
            return empty
        return f"{opening}{escape(value).decode() if _UNUSUAL.search(value) else value}{closing}"

    return fix


def _items(node: SchemaNode) -> _Fix:
    item = _remembered(node) if node.type is not None and node.type.prefixed else _element(node)

    def fix(value: Data) -> str:
        assert isinstance(value, tuple)
        return "".join([item(text) for text in value])

    return fix


def _whole(node: SchemaNode) -> _Fix:
    return lambda value: data_bytes(node, value).decode()


class Leaves(Inner):
    """A node that holds leaves and little else. Its bytes are not remembered: they are made in no time."""

    __slots__ = ()

    def xml(self) -> bytes:
        return _leaves(self.children) if self.children else self.schema.empty_tag


def _by_order(item: tuple[SchemaNode, Data]) -> int:
    return item[0].order


class Base:
    """The children of an entry that seldom change."""

    __slots__ = ("children",)

    def __init__(self, children: Mapping[SchemaNode, Data]) -> None:
        self.children = dict(children)


class Entry(Inner):
    """A list entry made of a base and of parts; ``children`` has the base's first, and is made when asked for."""

    __slots__ = ("_base", "_parts", "beside")

    def __init__(self, schema: SchemaNode, base: Base, children: Mapping[SchemaNode, Data]) -> None:
        self.schema = schema
        self._xml = None
        self._base = base
        self._parts = dict(islice(children.items(), len(base.children), None))
        #: bytes of what else is made of this entry, by name, and the state of the site in which they hold
        self.beside: tuple[int, dict[str, bytes | None]] | None = None

    def __getattr__(self, name: str) -> Mapping[SchemaNode, Data]:
        """``children`` while they are not made: Python asks here for what is not set."""
        if name != "children":
            raise AttributeError(name)
        self.children = {**self._base.children, **self._parts}
        return self.children

    def get(self, schema: SchemaNode) -> Data | None:
        found = self._parts.get(schema)
        return self._base.children.get(schema) if found is None else found

    def xml(self) -> bytes:
        if self._xml is None:
            parts = sorted(self._parts.items(), key=_by_order)
            between = iter(segments(self._base.children, tuple([node.order for node, _ in parts])))
            printed = [self.schema.open_tag, next(between)]
            for node, data in parts:
                printed.append(data.xml() if isinstance(data, Inner) else data_bytes(node, data))
                printed.append(next(between))
            printed.append(self.schema.close_tag)
            self._xml = b"".join(printed)
        return self._xml

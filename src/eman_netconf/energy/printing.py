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
_elements: dict[tuple[SchemaNode, str], str] = {}


def content(children: Mapping[SchemaNode, Data]) -> bytes:
    """The children of a node as XML, in the order of the schema."""
    shape = tuple(children)
    known = _shapes.get(shape)
    if known is None:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        known = _shapes[shape] = _compile(shape)
    template, order, fixes = known
    if not fixes and order is None:
        return (template % tuple(children.values())).encode()
    values: list[Data] = list(children.values())
    if order is not None:
        values = [values[index] for index in order]
    for index, fix in fixes:
        values[index] = fix(values[index])
    return (template % tuple(values)).encode()


def _compile(given: tuple[SchemaNode, ...]) -> _Shape:
    """The template of a shape, the order in which the values given go into it, and what is done to some before."""
    order = tuple(sorted(range(len(given)), key=lambda index: given[index].order))
    parts: list[str] = []
    fixes: list[tuple[int, _Fix]] = []
    for index, node in enumerate(given[place] for place in order):
        if node.kind is Kind.LEAF and node.type is not None:
            if node.type.base in _NEVER_EMPTY or not _SAFE.isdisjoint(node.type.typedefs):
                parts.append(f"{node.open_tag.decode()}%s{node.close_tag.decode()}")
                continue
            fixes.append((index, _remembered(node) if node.type.prefixed else _element(node)))
        else:
            fixes.append((index, _items(node) if node.kind is Kind.LEAF_LIST else _whole(node)))
        parts.append("%s")
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
    """A node that holds leaves and little else."""

    __slots__ = ()

    def xml(self) -> bytes:
        if self._xml is None:
            schema = self.schema
            children = self.children
            self._xml = (
                b"%b%b%b" % (schema.open_tag, content(children), schema.close_tag) if children else schema.empty_tag
            )
        return self._xml


def _by_order(item: tuple[SchemaNode, Data]) -> int:
    return item[0].order


class Base:
    """The children of an entry that seldom change, and their bytes."""

    __slots__ = ("_cuts", "_segments", "children")

    def __init__(self, children: Mapping[SchemaNode, Data]) -> None:
        self.children = dict(sorted(children.items(), key=_by_order))
        self._cuts: tuple[int, ...] | None = None
        self._segments: list[bytes] = []

    def segments(self, cuts: tuple[int, ...]) -> list[bytes]:
        """The bytes before the first of ``cuts`` (orders of siblings), those between them, and those after the last."""
        if self._cuts != cuts:
            below: list[dict[SchemaNode, Data]] = [{} for _ in range(len(cuts) + 1)]
            for node, data in self.children.items():
                below[bisect(cuts, node.order)][node] = data
            self._cuts, self._segments = cuts, [content(children) for children in below]
        return self._segments


class Entry(Inner):
    """A list entry made of a base and of parts that keep their own bytes; ``children`` has the base's first."""

    __slots__ = ("_base",)

    def __init__(self, schema: SchemaNode, base: Base, children: Mapping[SchemaNode, Data]) -> None:
        super().__init__(schema, children)
        self._base = base

    def xml(self) -> bytes:
        if self._xml is None:
            base = self._base
            parts = sorted(islice(self.children.items(), len(base.children), None), key=_by_order)
            segments = iter(base.segments(tuple([node.order for node, _ in parts])))
            printed = [self.schema.open_tag, next(segments)]
            for node, data in parts:
                printed.append(data.xml() if isinstance(data, Inner) else data_bytes(node, data))
                printed.append(next(segments))
            printed.append(self.schema.close_tag)
            self._xml = b"".join(printed)
        return self._xml

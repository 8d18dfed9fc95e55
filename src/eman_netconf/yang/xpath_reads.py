"""Which schema nodes the value of an expression may depend on, told from the schema alone.

The expression is walked with sets of *places* instead of nodes. A place is a schema node and its *hinge*: the
ancestor (or self) of the context node below which the node must be. An expression that goes up two levels and
down again has that ancestor as hinge, an absolute path has the root. So when something changes, only context
nodes below the same instance of the hinge can be affected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from eman_netconf.yang.schema import Constraint, Kind, SchemaNode
from eman_netconf.yang.types import InstanceIdentifierType, LeafrefType, UnionType, YangType
from eman_netconf.yang.xpath_functions import FUNCTIONS
from eman_netconf.yang.xpath_nodes import ANY_NAME, NodeTest, Scope
from eman_netconf.yang.xpath_parser import (
    Axis,
    Call,
    Chain,
    Filter,
    Junction,
    LocationPath,
    Negate,
    Root,
    StepSyntax,
    Syntax,
)

Place = tuple[SchemaNode, SchemaNode]  # a schema node and its hinge
Source = Callable[[Constraint, SchemaNode], tuple[Syntax, Scope]]
_EXISTENCE = frozenset(("not", "boolean", "count"))  # functions that ask whether nodes are there, not for values


class _Anything(Exception):
    """The expression may read any node of the tree."""


@dataclass
class Reads:
    """The schema nodes read, each with its highest hinge; ``nodes`` None: any node."""

    nodes: dict[SchemaNode, SchemaNode] | None = field(default_factory=dict)


def read_nodes(syntax: Syntax, scope: Scope, context: SchemaNode, source: Source) -> Reads:
    """What ``syntax`` reads at ``context``; ``source`` gives the syntax of whens and leafref paths."""
    node: SchemaNode | None = context
    while node is not None and node.kind is not Kind.ROOT:
        if node.kind in (Kind.RPC, Kind.ACTION, Kind.NOTIFICATION):
            return Reads(None)  # judged as a whole, once
        node = node.parent
    reader = _Reader(source)
    try:
        reader.visit(syntax, scope, {(context, context)}, (context, context), existence=True)
    except _Anything:
        return Reads(None)
    return Reads(reader.reads)


def read_existence(node: SchemaNode, source: Source) -> Reads:
    """What decides whether an implicit ``node`` is there: its whens and the cases beside it; ``node`` included."""
    reader = _Reader(source)
    try:
        reader.note((node, node))
    except _Anything:
        return Reads(None)
    return Reads(reader.reads)


def read_whens(node: SchemaNode, source: Source) -> Reads:
    """What the whens of ``node`` read; hinges are the parent of ``node`` or above."""
    assert node.parent is not None
    reader = _Reader(source)
    try:
        for when in node.whens:
            reader.read_when(when, (node, node), (node.parent, node.parent))
    except _Anything:
        return Reads(None)
    # a dummy without children stands for the node itself, so nothing is read below it
    return Reads({read: node.parent if hinge is node else hinge for read, hinge in reader.reads.items()})


def merge(*parts: Mapping[SchemaNode, SchemaNode] | None) -> dict[SchemaNode, SchemaNode] | None:
    """All nodes read with their highest hinges; None if one part reads anything."""
    merged: dict[SchemaNode, SchemaNode] = {}
    for part in parts:
        if part is None:
            return None
        for node, hinge in part.items():
            if node not in merged or _above(hinge, merged[node]):
                merged[node] = hinge
    return merged


class _Reader:
    def __init__(self, source: Source) -> None:
        self.reads: dict[SchemaNode, SchemaNode] = {}
        self._source = source
        self._visited: set[tuple[Constraint, SchemaNode, SchemaNode]] = set()

    def visit(self, syntax: Syntax, scope: Scope, focus: set[Place], current: Place, *, existence: bool) -> set[Place]:
        """The places selected, none for other values; what is read on the way is noted.

        ``existence``: only whether nodes are there matters, else also their string-values.
        """
        places: set[Place] = set()
        if isinstance(syntax, Root):
            places = {(root := _root(current[0]), root)}
        elif isinstance(syntax, LocationPath):
            places = self._path(syntax, scope, focus, current)
        elif isinstance(syntax, Filter):
            places = self.visit(syntax.primary, scope, focus, current, existence=existence)
            for predicate in syntax.predicates:
                self.visit(predicate, scope, places, current, existence=True)
        elif isinstance(syntax, Junction):
            for operand in syntax.operands:
                union = syntax.operator == "|"
                found = self.visit(operand, scope, focus, current, existence=existence if union else True)
                places |= found if union else set()
        elif isinstance(syntax, Chain):
            for operand in (syntax.first, *(operand for _, operand in syntax.rest)):
                self.visit(operand, scope, focus, current, existence=False)
        elif isinstance(syntax, Negate):
            self.visit(syntax.operand, scope, focus, current, existence=False)
        elif isinstance(syntax, Call):
            places = self._call(syntax, scope, focus, current)
        if not existence:
            self._read_values(places)
        return places

    def _call(self, syntax: Call, scope: Scope, focus: set[Place], current: Place) -> set[Place]:
        if syntax.name == "current":
            return {current}
        if not syntax.arguments and syntax.name in FUNCTIONS and FUNCTIONS[syntax.name].context_default:
            self._read_values(focus)
        asks_existence = syntax.name in _EXISTENCE
        arguments = [
            self.visit(argument, scope, focus, current, existence=asks_existence) for argument in syntax.arguments
        ]
        return self._refer(arguments[0]) if syntax.name == "deref" else set()

    def _path(self, syntax: LocationPath, scope: Scope, focus: set[Place], current: Place) -> set[Place]:
        places = focus
        if syntax.start is not None:
            places = self.visit(syntax.start, scope, focus, current, existence=True)
        for step in syntax.steps:
            places = self._step(step, scope, places, current)
        return places

    def _step(self, step: StepSyntax, scope: Scope, places: set[Place], current: Place) -> set[Place]:
        test = scope.test(step.test)
        found = {place for start in places for place in _move(step.axis, start, test)}
        if step.axis not in (Axis.SELF, Axis.PARENT, Axis.ANCESTOR, Axis.ANCESTOR_OR_SELF):
            for place in found:
                self.note(place)
        for predicate in step.predicates:
            self.visit(predicate, scope, found, current, existence=True)
        return found

    # -- notes --

    def note(self, place: Place) -> None:
        """Remember that the place is read, and what decides whether a node is there without being written."""
        node, hinge = place
        known = self.reads.get(node)
        if known is not None and not _above(hinge, known):
            return
        self.reads[node] = hinge
        implicit = node.default is not None or node.defaults or (node.kind is Kind.CONTAINER and not node.presence)
        if not implicit or node.parent is None:
            return
        around = (node.parent, node.parent if node is hinge else hinge)
        case = node.case
        while case is not None:
            for nodes in case[0].cases.values():
                for other in nodes:
                    if other is not node:
                        self.note((other, around[1]))
            case = case[0].parent_case
        for when in node.whens:
            self.read_when(when, (node, hinge), around)

    def read_when(self, when: Constraint, place: Place, around: Place) -> None:
        """Note what a when of ``place`` reads; ``around`` is the place of its parent."""
        context = around if when.on_parent else place
        if (when, *context) in self._visited:
            return
        self._visited.add((when, *context))
        syntax, scope = self._source(when, context[0])
        self.visit(syntax, scope, {context}, context, existence=True)

    def _read_values(self, places: Iterable[Place]) -> None:
        """String-values of inner nodes are made of everything below."""
        for place in places:
            if place[0].type is None:
                for below in _move(Axis.DESCENDANT, place, ANY_NAME):
                    self.note(below)

    def _refer(self, places: set[Place]) -> set[Place]:
        return {target for place in places for target in self._targets(place, place[0].type)}

    def _targets(self, place: Place, type_: YangType | None) -> set[Place]:
        if isinstance(type_, UnionType):
            return {target for member in type_.members for target in self._targets(place, member)}
        if isinstance(type_, InstanceIdentifierType):
            raise _Anything
        if isinstance(type_, LeafrefType):
            syntax, scope = self._source(type_.path, place[0])
            return self.visit(syntax, scope, {place}, place, existence=False)
        return set()


def _root(node: SchemaNode) -> SchemaNode:
    while node.parent is not None:
        node = node.parent
    return node


def _above(node: SchemaNode, other: SchemaNode) -> bool:
    up = other.parent
    while up is not None:
        if up is node:
            return True
        up = up.parent
    return False


def _up(place: Place) -> Place | None:
    node, hinge = place
    if node.parent is None:
        return None
    return node.parent, node.parent if node is hinge else hinge


def _ups(place: Place) -> list[Place]:
    found: list[Place] = []
    up = _up(place)
    while up is not None:
        found.append(up)
        up = _up(up)
    return found


def _move(axis: Axis, place: Place, test: NodeTest) -> set[Place]:
    """Where an axis leads from a place."""
    node, hinge = place
    if axis in (Axis.ATTRIBUTE, Axis.NAMESPACE):
        return set()
    if axis is Axis.CHILD:
        if node.type is not None and test.text:
            return {place}
        return {(child, hinge) for child in node.children.values() if test.matches(child)}
    if axis in (Axis.DESCENDANT, Axis.DESCENDANT_OR_SELF):
        found = {(child, hinge) for child in node.descendants() if test.text or test.matches(child)}
        return found | _passing([place], test) if axis is Axis.DESCENDANT_OR_SELF or test.text else found
    if axis is Axis.SELF:
        return _passing([place], test)
    if axis is Axis.PARENT:
        return _passing(_ups(place)[:1], test)
    if axis in (Axis.ANCESTOR, Axis.ANCESTOR_OR_SELF):
        return _passing([*([place] if axis is Axis.ANCESTOR_OR_SELF else []), *_ups(place)], test)
    if axis in (Axis.FOLLOWING_SIBLING, Axis.PRECEDING_SIBLING):
        up = _up(place)
        return _move(Axis.CHILD, up, test) if up is not None else set()
    root = _root(node)  # following and preceding reach everything
    return _move(Axis.DESCENDANT, (root, root), test)


def _passing(places: Iterable[Place], test: NodeTest) -> set[Place]:
    return {place for place in places if test.text or (place[0].parent is not None and test.matches(place[0]))}

"""The accessible tree of RFC 7950 section 6.4.1: nodes in place, defaults in use, axes and document order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from eman_netconf.yang.schema import Choice, Constraint, Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step
from eman_netconf.yang.xpath_parser import Axis, KindTest, NameTest, XPathFault

MAX_WHEN_DEPTH = 16  # whens that ask for defaults that have whens: a chain longer than this is a circle


class BudgetExceeded(Exception):
    """The expression looked at more nodes than it was allowed to."""


class Budget:
    """Counts the nodes an evaluation looks at and the conditions it tests.

    It stops the evaluation at ``limit`` of them, and pauses it after each ``every``.
    """

    __slots__ = ("_due", "_every", "_pause", "limit", "used")

    def __init__(
        self, limit: float = math.inf, *, pause: Callable[[], None] | None = None, every: float = math.inf
    ) -> None:
        self.limit = limit
        self.used = 0
        self._pause = pause
        self._every = every
        self._due = min(limit, every)

    def spend(self, steps: int = 1) -> None:
        self.used += steps
        if self.used > self._due:
            self._stop_or_pause()

    def _stop_or_pause(self) -> None:
        if self.used > self.limit:
            raise BudgetExceeded(f"the expression takes more than {self.limit:.0f} steps")
        self._due = min(self.limit, self.used + self._every)
        self.rest()

    def rest(self) -> None:
        """Pause now."""
        if self._pause is not None:
            self._pause()


class Ref:
    """A node in place: what it is, its data, and the node it stands in.

    A list has no node of its own, each entry is one; the same for a leaf-list and its values. ``index`` is the
    position of a leaf-list value. Two Refs may mean one node: compare ``place``.
    """

    __slots__ = ("data", "index", "key", "parent", "schema")

    def __init__(
        self, schema: SchemaNode, data: Data, parent: Ref | None = None, key: Key | None = None, index: int = 0
    ) -> None:
        self.schema = schema
        self.data = data
        self.parent = parent
        self.key = key
        self.index = index

    @classmethod
    def root(cls, inner: Inner) -> Ref:
        """The root node of the tree ``inner``."""
        return cls(inner.schema, inner)

    @property
    def path(self) -> Path:
        """The instance path; empty at the root."""
        steps: list[Step] = []
        node: Ref = self
        while node.parent is not None:
            steps.append(Step(node.schema, node.key))
            node = node.parent
        return tuple(reversed(steps))

    @property
    def place(self) -> tuple[tuple[SchemaNode, Key | None, int], ...]:
        """What tells this node from every other one of its tree; hashable."""
        steps: list[tuple[SchemaNode, Key | None, int]] = []
        node: Ref = self
        while node.parent is not None:
            steps.append((node.schema, node.key, node.index))
            node = node.parent
        return tuple(steps)

    def child(self, schema: SchemaNode, key: Key | None = None) -> Ref | None:
        """The child that is there explicitly; of a list the entry with ``key``."""
        data = self.data.children.get(schema) if isinstance(self.data, Inner) else None
        if isinstance(data, ListNode):
            entry = data.entries.get(key) if key is not None else None
            return None if entry is None else Ref(schema, entry, self, key)
        if isinstance(data, tuple):
            return Ref(schema, key[0], self, key, data.index(key[0])) if key is not None and key[0] in data else None
        return None if data is None else Ref(schema, data, self)

    def __repr__(self) -> str:
        return f"<Ref {self.schema.path} {self.key or ''}>"


class Text(Ref):
    """The text node inside a leaf (XPath 1.0 section 5.7); its path is the leaf's."""

    __slots__ = ()

    @property
    def path(self) -> Path:
        assert self.parent is not None
        return self.parent.path


Value = list[Ref] | str | float | bool


class Program(Protocol):
    """A compiled expression, as far as this module needs one."""

    def run(self, evaluation: Evaluation, node: Ref) -> Value: ...


class Evaluation:
    """What all steps of one evaluation share: schema, budget, the current() node, positions of list entries."""

    __slots__ = ("answers", "budget", "current", "depth", "positions", "program", "schema", "state")

    def __init__(
        self,
        schema: Schema,
        program: Callable[[Constraint, SchemaNode], Program],
        budget: Budget,
        current: Ref,
        *,
        state: bool = False,
    ) -> None:
        self.schema = schema
        self.program = program  # compiled whens and leafref paths
        self.budget = budget
        self.current = current
        self.state = state  # whether configuration and state are one tree
        self.depth = 0
        self.positions: dict[int, tuple[ListNode, dict[Key, int]]] = {}
        self.answers: dict[tuple[SchemaNode, str], bool] = {}  # whether a node with a value is there

    def at(self, current: Ref) -> Evaluation:
        """The same evaluation for an expression inside it, which has its own current() node."""
        inner = Evaluation(self.schema, self.program, self.budget, current, state=self.state)
        inner.depth = self.depth + 1
        inner.positions = self.positions
        inner.answers = self.answers
        return inner

    # -- children, with what is there implicitly --

    def child_data(self, node: Ref, schema: SchemaNode) -> Data | None:
        """The data of one child: explicit, a default in use, or an implicit non-presence container."""
        assert isinstance(node.data, Inner)
        data = node.data.children.get(schema)
        return self.implicit(node, schema) if data is None else data

    def implicit(self, node: Ref, schema: SchemaNode) -> Data | None:
        """What is there without being written (RFC 7950 sections 6.4.1, 7.6.1, 7.7.2)."""
        data: Data | None = None
        if schema.kind is Kind.LEAF:
            data = schema.default
        elif schema.kind is Kind.LEAF_LIST:
            data = schema.defaults or None
        elif schema.kind is Kind.CONTAINER and not schema.presence:
            data = Inner(schema)
        if data is None or (node.schema.config and not schema.config and not self.state):
            return None  # a datastore of configuration has no defaults of state
        assert isinstance(node.data, Inner)
        if schema.case is not None and not case_in_use(node.data, schema.case):
            return None
        return data if self.admitted(node, schema) else None

    def admitted(self, node: Ref, schema: SchemaNode) -> bool:
        """Whether all whens of the child ``schema`` are true below ``node``."""
        return all(self.holds(when, node, schema) for when in schema.whens)

    def holds(self, when: Constraint, node: Ref, schema: SchemaNode) -> bool:
        """Whether one when of the child ``schema`` is true below ``node`` (RFC 7950 section 7.21.5)."""
        if self.depth > MAX_WHEN_DEPTH:
            return True
        # a when of the node itself is asked at a dummy without value and children
        context = node if when.on_parent else Ref(schema, "" if schema.type else Inner(schema), node)
        program = self.program(when, context.schema)
        return to_boolean(program.run(self.at(context), context))

    def expand(self, node: Ref, schema: SchemaNode) -> list[Ref]:
        """The children of ``node`` that are instances of ``schema``, in order."""
        data = self.child_data(node, schema)
        if data is None:
            return []
        if isinstance(data, ListNode):
            return self._entries(node, data)
        if isinstance(data, tuple):
            found = [Ref(schema, value, node, (value,), index) for index, value in enumerate(data)]
        else:
            found = [Ref(schema, data, node)]
        self.budget.spend(len(found))
        return found

    def _entries(self, node: Ref, data: ListNode) -> list[Ref]:
        """The entries of a list, paid for while they are made: each may be rendered only now."""
        schema, spend = data.schema, self.budget.spend
        found: list[Ref] = []
        for key, entry in data.entries.items():
            spend()
            found.append(Ref(schema, entry, node, key))
        return found

    def children(self, node: Ref, test: NodeTest) -> list[Ref]:
        """The child axis."""
        if isinstance(node.data, Inner):
            found: list[Ref] = []
            for schema in test.children(node.data):
                found.extend(self.expand(node, schema))
            return found
        if test.text and isinstance(node.data, str) and node.data and not isinstance(node, Text):
            self.budget.spend()
            return [Text(node.schema, node.data, node)]
        return []

    # -- values --

    def string(self, node: Ref) -> str:
        """The string-value: of a leaf its canonical value, of others all leaf values below joined."""
        data = node.data
        if isinstance(data, str):
            return data
        if not isinstance(data, Inner):
            return ""
        return "".join(self.string(child) for child in self.children(node, ANY_NAME))

    def order(self, node: Ref) -> tuple[int, ...]:
        """A key that sorts nodes of one tree into document order."""
        steps: list[int] = []
        while node.parent is not None:
            steps.append(self._position(node))
            # a text node stands inside its leaf, before which there is nothing
            steps.append(-1 if isinstance(node, Text) else node.schema.order)
            node = node.parent
        return tuple(reversed(steps))

    def _position(self, node: Ref) -> int:
        if node.schema.kind is not Kind.LIST or node.parent is None or not isinstance(node.parent.data, Inner):
            return node.index
        entries = node.parent.data.children.get(node.schema)
        if not isinstance(entries, ListNode) or node.key is None:
            return 0
        known = self.positions.get(id(entries))
        if known is None:
            known = entries, {key: position for position, key in enumerate(entries.entries)}
            self.positions[id(entries)] = known  # holds the list, so that its id stays its own
            self.budget.spend(len(known[1]))
        return known[1].get(node.key, 0)

    def sorted(self, nodes: Iterable[Ref]) -> list[Ref]:
        """Document order, each node once."""
        unique = {node.place: node for node in nodes}
        self.budget.spend(len(unique))
        return sorted(unique.values(), key=self.order)

    # -- axes --

    def axis(self, axis: Axis, node: Ref, test: NodeTest) -> list[Ref]:
        """The nodes on ``axis`` from ``node`` that pass ``test``, nearest first."""
        return list(_AXES[axis](self, node, test))


class NodeTest:
    """A node test bound to namespaces: which schema nodes it can mean, remembered per parent."""

    __slots__ = ("_below", "_children", "_routes", "any_namespace", "name", "named", "namespace", "text")

    def __init__(
        self,
        namespace: str | None,
        name: str | None,
        *,
        any_namespace: bool = False,
        named: bool = True,
        text: bool = False,
    ) -> None:
        self.namespace = namespace
        self.name = name  # None: every name
        self.any_namespace = any_namespace
        self.named = named  # False: matches no element at all, as text()
        self.text = text  # True: matches text nodes
        self._children: dict[SchemaNode, tuple[SchemaNode, ...]] = {}
        self._below: dict[SchemaNode, bool] = {}
        self._routes: dict[SchemaNode, list[tuple[SchemaNode, bool, bool]]] = {}

    def matches(self, schema: SchemaNode) -> bool:
        return (
            self.named
            and (self.name is None or schema.name == self.name)
            and (self.any_namespace or schema.module.namespace == self.namespace)
        )

    def accepts(self, node: Ref) -> bool:
        if isinstance(node, Text):
            return self.text
        if node.parent is None:
            return self.named and self.text  # only node() means the root
        return self.matches(node.schema)

    def children(self, inner: Inner) -> tuple[SchemaNode, ...]:
        """The matching child schema nodes of ``inner`` in order."""
        found = self._children.get(inner.schema)
        if found is None:
            found = tuple(
                sorted((node for node in inner.schema.children.values() if self.matches(node)), key=lambda n: n.order)
            )
            self._children[inner.schema] = found
        if inner.schema.kind is Kind.ROOT:
            # the rpc or notification under evaluation is a child of the root as well
            return (*found, *(node for node in inner.children if node.kind in _OPERATIONS and self.matches(node)))
        return found

    def routes(self, inner: Inner) -> list[tuple[SchemaNode, bool, bool]]:
        """The children of ``inner`` on the way to descendants that match: whether it does, whether one below may."""
        found = self._routes.get(inner.schema)
        if found is None:
            routes = ((schema, self.matches(schema), self._fertile(schema)) for schema in ANY_NAME.children(inner))
            found = [route for route in routes if route[1] or route[2]]
            if inner.schema.kind is not Kind.ROOT:  # whose children may be rpcs and notifications too
                self._routes[inner.schema] = found
        return found

    def _fertile(self, schema: SchemaNode) -> bool:
        """Whether something below ``schema`` may match, so that a descent is worth it."""
        if self.text or schema.kind in _OPERATIONS:
            return True
        known = self._below.get(schema)
        if known is None:
            known = any(self.matches(child) or self._fertile(child) for child in schema.children.values())
            self._below[schema] = known
        return known


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean in one expression."""

    prefixes: Mapping[str, str]  # prefix -> namespace
    default_namespace: str | None
    module_names: Mapping[str, str]  # namespace -> module name

    def identity(self, text: str) -> str | None:
        """The canonical form ``module:name`` of an identity written with the prefixes of the expression."""
        prefix, colon, name = text.rpartition(":")
        namespace = self.prefixes.get(prefix) if colon else self.default_namespace
        module = self.module_names.get(namespace) if namespace else None
        return f"{module}:{name}" if module else None

    def test(self, syntax: NameTest | KindTest) -> NodeTest:
        """A node test with its prefix resolved. Raises XPathFault for an unknown prefix."""
        if isinstance(syntax, KindTest):
            if syntax.kind == "node":
                return NodeTest(None, None, any_namespace=True, text=True)
            return NodeTest(None, None, named=False, text=syntax.kind == "text")
        if syntax.prefix is None:
            # a star without prefix means every module; so does a bare name where no default namespace is in scope
            everywhere = syntax.name is None or self.default_namespace is None
            return NodeTest(self.default_namespace, syntax.name, any_namespace=everywhere)
        namespace = self.prefixes.get(syntax.prefix)
        if namespace is None:
            raise XPathFault(f"unknown prefix {syntax.prefix!r}", syntax.position)
        return NodeTest(namespace, syntax.name)


ANY_NAME = NodeTest(None, None, any_namespace=True)
_OPERATIONS = frozenset((Kind.RPC, Kind.ACTION, Kind.NOTIFICATION))


def _descend(run: Evaluation, node: Ref, test: NodeTest) -> list[Ref]:
    found: list[Ref] = []
    _gather(run, node, test, found)
    return found


def _gather(run: Evaluation, node: Ref, test: NodeTest, found: list[Ref]) -> None:
    """Descendants in document order; parts of the schema without a match are not entered."""
    if not isinstance(node.data, Inner):
        found.extend(run.children(node, test))
        return
    for schema, matches, deeper in test.routes(node.data):
        for child in run.expand(node, schema):
            if matches:
                found.append(child)
            if deeper:
                _gather(run, child, test, found)


def _self(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    run.budget.spend()
    if test.accepts(node):
        yield node


def _parent(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    if node.parent is not None:
        yield from _self(run, node.parent, test)


def _ancestor(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    up = node.parent
    while up is not None:
        yield from _self(run, up, test)
        up = up.parent


def _ancestor_or_self(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    yield from _self(run, node, test)
    yield from _ancestor(run, node, test)


def _descendant_or_self(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    yield from _self(run, node, test)
    yield from _descend(run, node, test)


def _siblings(run: Evaluation, node: Ref, test: NodeTest, *, after: bool) -> list[Ref]:
    """Siblings on one side in document order."""
    if node.parent is None or not isinstance(node.parent.data, Inner):
        return []
    own = run.order(node)
    chosen = [
        schema
        for schema in test.children(node.parent.data)
        if (schema.order >= node.schema.order if after else schema.order <= node.schema.order)
    ]
    found = [child for schema in chosen for child in run.expand(node.parent, schema)]
    return [child for child in found if (run.order(child) > own if after else run.order(child) < own)]


def _following_sibling(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    yield from _siblings(run, node, test, after=True)


def _preceding_sibling(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    yield from reversed(_siblings(run, node, test, after=False))


def _following(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    up: Ref | None = node
    while up is not None:
        for sibling in _siblings(run, up, ANY_NAME, after=True):
            yield from _descendant_or_self(run, sibling, test)
        up = up.parent


def _preceding(run: Evaluation, node: Ref, test: NodeTest) -> Iterator[Ref]:
    up: Ref | None = node
    while up is not None:
        for sibling in reversed(_siblings(run, up, ANY_NAME, after=False)):
            yield from reversed(list(_descendant_or_self(run, sibling, test)))
        up = up.parent


def _child(run: Evaluation, node: Ref, test: NodeTest) -> Iterable[Ref]:
    return run.children(node, test)


def _nothing(_run: Evaluation, _node: Ref, _test: NodeTest) -> Iterable[Ref]:
    return ()


_AXES: dict[Axis, Callable[[Evaluation, Ref, NodeTest], Iterable[Ref]]] = {
    Axis.CHILD: _child,
    Axis.PARENT: _parent,
    Axis.SELF: _self,
    Axis.DESCENDANT: _descend,
    Axis.DESCENDANT_OR_SELF: _descendant_or_self,
    Axis.ANCESTOR: _ancestor,
    Axis.ANCESTOR_OR_SELF: _ancestor_or_self,
    Axis.FOLLOWING: _following,
    Axis.FOLLOWING_SIBLING: _following_sibling,
    Axis.PRECEDING: _preceding,
    Axis.PRECEDING_SIBLING: _preceding_sibling,
    Axis.ATTRIBUTE: _nothing,
    Axis.NAMESPACE: _nothing,
}
REVERSE_AXES = frozenset((Axis.PARENT, Axis.ANCESTOR, Axis.ANCESTOR_OR_SELF, Axis.PRECEDING, Axis.PRECEDING_SIBLING))


def present(data: Data | None) -> bool:
    """Whether data is really there: a non-presence container only by what it holds."""
    if isinstance(data, Inner) and data.schema.kind is Kind.CONTAINER and not data.schema.presence:
        return any(present(child) for child in data.children.values())
    return data is not None


def selected_case(inner: Inner, choice: Choice) -> str | None:
    """The case of ``choice`` that has data in ``inner``."""
    for name, nodes in choice.cases.items():
        if any(present(inner.children.get(node)) for node in nodes):
            return name
    return None


def case_in_use(inner: Inner, case: tuple[Choice, str]) -> bool:
    """Whether the case is selected, or is the default of a choice without any (RFC 7950 section 7.9.3)."""
    choice, name = case
    selected = selected_case(inner, choice)
    if selected is not None:
        return selected == name
    if choice.default != name:
        return False
    return choice.parent_case is None or case_in_use(inner, choice.parent_case)


def to_boolean(value: Value) -> bool:
    """boolean() of XPath 1.0 section 4.3."""
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)

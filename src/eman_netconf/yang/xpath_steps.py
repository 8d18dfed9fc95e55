"""One step of a location path: along an axis, through predicates, by key where keys are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Inner, ListNode
from eman_netconf.yang.xpath_functions import Returns, holds_identity, number_text
from eman_netconf.yang.xpath_nodes import REVERSE_AXES, Evaluation, NodeTest, Ref, Value
from eman_netconf.yang.xpath_parser import Axis

MAX_KEYS = 256  # so many keys are looked up one by one; more are cheaper to find by a scan

Operation = Callable[[Evaluation, Ref, int, int], Value]  # at a node with its position and the size of the context
Condition = Callable[[Evaluation, Ref, int, int], bool]
Walk = Callable[[Evaluation, list[Ref]], list[Ref]]
_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


class KeyTest(NamedTuple):
    """A conjunct ``name = value`` whose value does not depend on the node that is tested."""

    name: NodeTest
    value: Operation
    returns: Returns
    identity: str | None  # what a literal means where the key is an identityref


class Conjunct(NamedTuple):
    holds: Condition
    key: KeyTest | None


class _Lookup(NamedTuple):
    """How entries of one list are found without a scan."""

    keys: tuple[tuple[SchemaNode, KeyTest], ...]
    rest: tuple[Condition, ...]


class Step:
    """One step: an axis, a test, predicates. Conditions without positions stand apart, as keys may be among them."""

    def __init__(
        self, axis: Axis, test: NodeTest, conjuncts: tuple[Conjunct, ...], predicates: tuple[Condition, ...]
    ) -> None:
        self.axis = axis
        self.test = test
        self.conjuncts = conjuncts
        self.predicates = predicates
        self.reverse = axis in REVERSE_AXES
        self.keyed = axis in (Axis.CHILD, Axis.DESCENDANT) and any(conjunct.key for conjunct in conjuncts)
        self._lookups: dict[SchemaNode, _Lookup | None] = {}

    def select(self, run: Evaluation, node: Ref) -> list[Ref]:
        """The nodes from one context node, in document order."""
        if self.keyed:
            found = self._children(run, node) if self.axis is Axis.CHILD else self._descendants(run, node, [])
        else:
            found = run.axis(self.axis, node, self.test)
            found = [node for node in found if self._holds(run, node)]
        for predicate in self.predicates:
            size = len(found)
            run.budget.spend(size)
            found = [node for position, node in enumerate(found, 1) if predicate(run, node, position, size)]
        if self.reverse:
            found.reverse()
        return found

    def _children(self, run: Evaluation, node: Ref) -> list[Ref]:
        if not isinstance(node.data, Inner):
            return []
        return [found for schema in self.test.children(node.data) for found in self._instances(run, node, schema)]

    def _descendants(self, run: Evaluation, node: Ref, found: list[Ref]) -> list[Ref]:
        """Descendants in document order; a list is scanned only where there may be more of them inside it."""
        if not isinstance(node.data, Inner):
            return found
        for schema, matches, deeper in self.test.routes(node.data):
            if not deeper:
                found.extend(self._instances(run, node, schema))
                continue
            for child in run.expand(node, schema):
                if matches and self._holds(run, child):
                    found.append(child)
                self._descendants(run, child, found)
        return found

    def _instances(self, run: Evaluation, node: Ref, schema: SchemaNode) -> list[Ref]:
        """The children that are instances of ``schema`` and pass, by key where that can be."""
        entries = self._look_up(run, node, schema)
        if entries is None:
            entries = [entry for entry in run.expand(node, schema) if self._holds(run, entry)]
        return entries

    def _holds(self, run: Evaluation, node: Ref) -> bool:
        run.budget.spend(len(self.conjuncts))
        return all(conjunct.holds(run, node, 1, 1) for conjunct in self.conjuncts)

    def _look_up(self, run: Evaluation, node: Ref, schema: SchemaNode) -> list[Ref] | None:
        """The entries with the keys asked for; None where a scan is needed."""
        if schema not in self._lookups:
            self._lookups[schema] = self._plan(schema)
        lookup = self._lookups[schema]
        if lookup is None or not isinstance(node.data, Inner):
            return None
        data = node.data.children.get(schema)
        if not isinstance(data, ListNode):
            return []
        values = [_key_values(run, node, leaf, key) for leaf, key in lookup.keys]
        if math.prod(len(value) for value in values) > MAX_KEYS:
            return None
        found: list[Ref] = []
        for key in product(*values):
            run.budget.spend()
            entry = data.entries.get(key)
            if entry is not None:
                ref = Ref(schema, entry, node, key)
                if all(condition(run, ref, 1, 1) for condition in lookup.rest):
                    found.append(ref)
        return run.sorted(found) if len(found) > 1 else found

    def _plan(self, schema: SchemaNode) -> _Lookup | None:
        if schema.kind is not Kind.LIST or not schema.keys:
            return None
        chosen: list[tuple[SchemaNode, KeyTest]] = []
        used: set[int] = set()
        for leaf in schema.keys:
            for index, conjunct in enumerate(self.conjuncts):
                if conjunct.key is not None and index not in used and _selects(conjunct.key, schema, leaf):
                    chosen.append((leaf, conjunct.key))
                    used.add(index)
                    break
            else:
                return None
        rest = tuple(conjunct.holds for index, conjunct in enumerate(self.conjuncts) if index not in used)
        return _Lookup(tuple(chosen), rest)


def _selects(key: KeyTest, schema: SchemaNode, leaf: SchemaNode) -> bool:
    if [child for child in schema.children.values() if key.name.matches(child)] != [leaf]:
        return False
    # a number equals every text that reads as it, which a look-up can know of integers only
    return key.returns is not Returns.NUMBER or (leaf.type is not None and leaf.type.base in _INTEGERS)


def _key_values(run: Evaluation, node: Ref, leaf: SchemaNode, key: KeyTest) -> list[str]:
    value = key.value(run, node, 1, 1)
    if isinstance(value, list):
        return list(dict.fromkeys(run.string(found) for found in value))
    if isinstance(value, float):
        return [number_text(value)]
    text = str(value)
    return [text, key.identity] if key.identity and key.identity != text and holds_identity(leaf.type) else [text]


def walk(step: Step, *, single: bool, even: bool) -> Walk:
    """A step from many nodes: sorted only where the order can be lost."""

    def take(run: Evaluation, nodes: list[Ref]) -> list[Ref]:
        if single or len(nodes) == 1:
            return step.select(run, nodes[0])
        if even and step.axis is Axis.PARENT:
            # siblings stand beside each other and share their parent
            nodes = [
                node for index, node in enumerate(nodes) if index == 0 or node.parent is not nodes[index - 1].parent
            ]
        found = [selected for node in nodes for selected in step.select(run, node)]
        return found if even and step.axis in _ORDERLY else run.sorted(found)

    return take


_ORDERLY = frozenset((Axis.CHILD, Axis.SELF, Axis.PARENT, Axis.DESCENDANT, Axis.DESCENDANT_OR_SELF))

"""Picks: what a filter selects from the instances of a schema node, and the XPath paths that can be said in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Key
from eman_netconf.yang.xpath_parser import (
    Axis,
    Chain,
    Junction,
    KindTest,
    Literal,
    LocationPath,
    NameTest,
    Root,
    StepSyntax,
    Syntax,
)

#: A leaf or leaf-list and the canonical value it must have.
Match = tuple[SchemaNode, str]


@dataclass(slots=True, eq=False)
class Pick:
    """What is selected from an instance of one schema node.

    ``tests`` must all hold, each by one of its matches (several where the filter left the namespace open).
    Then ``whole`` selects everything below, else ``children`` says what; ``values`` are those of a leaf-list.
    ``key`` is that of the one entry the tests can hold for, if they name one.
    """

    tests: list[list[Match]] = field(default_factory=list)
    children: dict[SchemaNode, list[Pick]] = field(default_factory=dict)
    whole: bool = False
    key: Key | None = None
    values: frozenset[str] | None = None

    def holds(self, inner: Inner) -> bool:
        return all(any(_matches(inner, node, value) for node, value in test) for test in self.tests)


def _matches(inner: Inner, node: SchemaNode, value: str) -> bool:
    data = inner.children.get(node)
    return value in data if isinstance(data, tuple) else data == value


def beneath(picks: Sequence[Pick]) -> Mapping[SchemaNode, list[Pick]]:
    """What several picks that all hold select below."""
    if len(picks) == 1:
        return picks[0].children
    merged: dict[SchemaNode, list[Pick]] = {}
    for pick in picks:
        for node, inside in pick.children.items():
            merged.setdefault(node, []).extend(inside)
    return merged


def entry_key(node: SchemaNode, pick: Pick) -> Key | None:
    """The one entry a pick can hold for, when it tests every key."""
    if not node.keys:
        return None
    said = {test[0][0]: test[0][1] for test in pick.tests if len(test) == 1}
    values = [said[leaf] for leaf in node.keys if leaf in said]
    return tuple(values) if len(values) == len(node.keys) else None


# --- XPath that is a filter in other words ---------------------------------------------------------------------------

#: A union of more paths is evaluated, where the work is counted; so is what would come to more picks.
MAX_PATHS = 64
MAX_PICKS = 5_000

_ANYWHERE = StepSyntax(Axis.DESCENDANT_OR_SELF, KindTest("node"), ())


def pick_of(syntax: Syntax, prefixes: Mapping[str, str], schema: Schema) -> Pick | None:
    """The pick at the root that selects what an expression selects; None where it must be evaluated.

    Paths of names, also behind ``//``, with predicates that compare keys to literals, and unions of them: there
    selecting needs no evaluation, so nothing is held while the answer is sent.
    """
    pick = Pick()
    paths = syntax.operands if isinstance(syntax, Junction) and syntax.operator == "|" else (syntax,)
    if len(paths) > MAX_PATHS:
        return None
    room = itertools.repeat(None, MAX_PICKS)
    for path in paths:
        if not isinstance(path, LocationPath) or not isinstance(path.start, Root | None) or not _plain(path.steps):
            return None
        if not _pick_path(pick, schema.root, path.steps, prefixes, room):
            return None
    return pick


def _plain(steps: Sequence[StepSyntax]) -> bool:
    """Whether all steps are names, each at most once behind ``//``."""
    if not steps or steps[-1] == _ANYWHERE:
        return False
    named = all(step == _ANYWHERE or (step.axis is Axis.CHILD and isinstance(step.test, NameTest)) for step in steps)
    return named and not any(a == b == _ANYWHERE for a, b in itertools.pairwise(steps))


def _pick_path(
    pick: Pick, node: SchemaNode, steps: Sequence[StepSyntax], prefixes: Mapping[str, str], room: Iterator[None]
) -> bool:
    """Add to ``pick``, which is one of ``node``, what the steps select below.

    False where a predicate is not plain, or there is no ``room`` for one pick more.
    """
    if next(room, False) is False:
        return False
    anywhere = steps[0] == _ANYWHERE
    step, *rest = steps[1:] if anywhere else steps
    for child in node.children.values():
        if _named(child, step.test, prefixes):
            below = Pick(whole=not rest)
            tests = [_key_test(predicate, child, prefixes) for predicate in step.predicates]
            for test in tests:
                if test is None:
                    return False
                below.tests.extend([match] for match in test)
            below.key = entry_key(child, below)
            if rest and not _pick_path(below, child, rest, prefixes, room):
                return False
            if below.whole or below.children:
                pick.children.setdefault(child, []).append(below)
        if anywhere and child.children:
            deeper = Pick()
            if not _pick_path(deeper, child, steps, prefixes, room):
                return False
            if deeper.children:
                pick.children.setdefault(child, []).append(deeper)
    return True


def _named(node: SchemaNode, test: NameTest | KindTest, prefixes: Mapping[str, str]) -> bool:
    """Whether a name test means a node; without prefix any module's, as in the expression itself."""
    assert isinstance(test, NameTest)
    if test.name is not None and test.name != node.name:
        return False
    return test.prefix is None or prefixes.get(test.prefix) == node.namespace


def _key_test(predicate: Syntax, node: SchemaNode, prefixes: Mapping[str, str]) -> list[Match] | None:
    """The keys and values a predicate asks for; None when it asks for anything else.

    Keys have no defaults, and where names need no prefixes the literal is compared as it stands.
    """
    if node.kind is not Kind.LIST:
        return None
    found: list[Match] = []
    for part in predicate.operands if isinstance(predicate, Junction) and predicate.operator == "and" else (predicate,):
        if not isinstance(part, Chain) or len(part.rest) != 1 or part.rest[0][0] != "=":
            return None
        sides = (part.first, part.rest[0][1])
        literal = next((side for side in sides if isinstance(side, Literal)), None)
        path = next((side for side in sides if isinstance(side, LocationPath)), None)
        leaves = list(_key_leaves(path, node, prefixes)) if path is not None else []
        if literal is None or len(leaves) != 1:
            return None
        found.append((leaves[0], literal.text))
    return found


def _key_leaves(path: LocationPath, node: SchemaNode, prefixes: Mapping[str, str]) -> Iterator[SchemaNode]:
    """The keys of ``node`` that a path of one name means; none when it may mean something else as well."""
    if path.start is not None or len(path.steps) != 1:
        return
    step = path.steps[0]
    if step.axis is not Axis.CHILD or step.predicates or not isinstance(step.test, NameTest):
        return
    for child in node.children.values():
        if _named(child, step.test, prefixes):
            if not child.is_key or child.type is None or child.type.prefixed:
                return
            yield child

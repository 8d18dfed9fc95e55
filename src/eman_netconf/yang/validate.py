"""Validation of trees (RFC 7950 section 8): everything, or what a Change can break, with the same verdict.

Cost: a full validation looks at every instance that has a constraint. An incremental one looks at what changed
and at the instances whose expressions read it, found from the schema. Three things still cost the length of a
list: deleting what leafrefs refer to (each referrer's value is compared), changing a leaf of a ``unique`` (the
leaves of all entries are compared), and an expression that reads a whole list from outside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang import violations
from eman_netconf.yang.constraints import Check, Dependent, Plan, Reference, Rule, Rules, Structure, Unique
from eman_netconf.yang.diff import Change, Op, diff
from eman_netconf.yang.schema import Choice, Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Path, inner_at
from eman_netconf.yang.xpath import evaluation
from eman_netconf.yang.xpath_nodes import Ref, present, selected_case

MAX_ERRORS = 100  # so many errors are told; who repairs these finds out about more
SLICE = 256  # nodes looked at between two pauses of a stepwise validation
MAX_ROUNDS = 32  # whens that prune what other whens read

Steps = Iterator[RpcError | None]


@dataclass(slots=True)
class Visits:
    """The work a validation did: inner nodes looked into, and constraints evaluated."""

    nodes: int = 0
    constraints: int = 0


def validate(schema: Schema, root: Inner, *, visits: Visits | None = None) -> list[RpcError]:
    """All that is wrong with a configuration (values are of their types already), at most MAX_ERRORS."""
    return _gather(validate_steps(schema, root, visits=visits))


def validate_steps(schema: Schema, root: Inner, *, visits: Visits | None = None, state: bool = False) -> Steps:
    """As validate, step by step: an error when one is found, None now and then so that others may have their turn."""
    return _Validator(Rules.of(schema, state=state), root, visits).everything()


def validate_change(
    schema: Schema, change: Change | None, root: Inner, *, visits: Visits | None = None
) -> list[RpcError]:
    """All that is wrong with ``root``, which ``change`` made of a valid configuration."""
    return _gather(validate_change_steps(schema, change, root, visits=visits))


def validate_change_steps(schema: Schema, change: Change | None, root: Inner, *, visits: Visits | None = None) -> Steps:
    """As validate_change, step by step."""
    return _Validator(Rules.of(schema, state=False), root, visits).changed(change)


def validate_input(schema: Schema, inner: Inner, root: Inner, *, path: Path = ()) -> list[RpcError]:
    """All that is wrong with the input (or output) of an rpc, or of an action at the node ``path``.

    ``root`` is what its expressions may refer to: running with operational state (RFC 7950 section 6.4.1).
    """
    assert inner.schema.parent is not None
    return _operation(schema, inner.schema.parent, inner, root, path, ErrorTag.MISSING_ELEMENT)


def validate_notification(schema: Schema, inner: Inner, root: Inner, *, path: Path = ()) -> list[RpcError]:
    """All that is wrong with a notification, of the node ``path`` where it is not a top-level one."""
    return _operation(schema, inner.schema, inner, root, path, ErrorTag.DATA_MISSING)


def validate_state(schema: Schema, root: Inner, *, visits: Visits | None = None) -> list[RpcError]:
    """All that is wrong with a whole document of configuration and state together.

    A server may answer such a document even so (RFC 8342 section 5.3); ours does not.
    """
    return _gather(validate_steps(schema, root, visits=visits, state=True))


def prune_when(schema: Schema, change: Change | None, root: Inner) -> Inner:
    """``root`` without the nodes whose when became false by ``change`` (RFC 7950 section 8.2).

    What ``change`` itself creates or modifies under a false when stays, for validation to refuse it.
    Returns ``root`` itself when nothing goes.
    """
    if change is None or not isinstance(change.old, Inner):
        return root
    before = change.old
    for _ in range(MAX_ROUNDS):
        pruned = _Validator(Rules.of(schema, state=False), root, None).pruned(change, before)
        if pruned is root:
            break
        change, root = diff(root, pruned), pruned
        if change is None:
            break
    return root


def _gather(steps: Steps) -> list[RpcError]:
    return [error for error in steps if error is not None]


def _operation(
    schema: Schema, node: SchemaNode, inner: Inner, root: Inner, path: Path, missing: ErrorTag
) -> list[RpcError]:
    # an rpc or notification stands below the root, an action below its node; upwards is all that these can see
    above = Ref.root(root if path else Inner(root.schema, {**root.children, node: inner}))
    for step in path:
        below = above.child(*step)
        if below is None and step.schema.kind is Kind.CONTAINER and not step.schema.presence:
            below = Ref(step.schema, Inner(step.schema), above)  # there without being written
        if below is None:
            return [violations.error(ErrorTag.DATA_MISSING, f"there is no {step.schema.name} here", path)]
        above = below
    validator = _Validator(Rules.of(schema, state=True), root, None, missing=missing)
    return _gather(validator.one(Ref(node, inner, above)))


class _Validator:
    """One validation of one tree."""

    def __init__(
        self, rules: Rules, root: Inner, visits: Visits | None, *, missing: ErrorTag = ErrorTag.DATA_MISSING
    ) -> None:
        self.rules = rules
        self.root = Ref.root(root)
        self.visits = visits if visits is not None else Visits()
        self.run = evaluation(rules.schema, self.root, state=rules.state)
        self.missing = missing
        self.paused = 0
        self.told: set[tuple[str, ...]] = set()
        self.tasks: list[Callable[[], Steps]] = []  # checks at what changed itself
        self.jobs: dict[tuple[object, ...], tuple[Rule, Ref, set[str] | None]] = {}  # checks of what reads it

    # -- the three ways through a tree --

    def everything(self) -> Steps:
        yield from self._limited(self._walk(self.root))

    def one(self, node: Ref) -> Steps:
        """An input or notification: its own musts, then all below."""
        assert isinstance(node.data, Inner)
        checks = self.rules.checks(node.data.schema)
        yield from self._limited(self._own(node, checks))
        yield from self._limited(self._walk(node))

    def changed(self, change: Change | None) -> Steps:
        if change is None or not isinstance(change.new, Inner):
            return
        yield from self._limited(self._changed(change))

    def _changed(self, change: Change) -> Steps:
        for task in self._planned(change):
            yield from task()
        for rule in self.rules.always:
            self._plan_job(rule, self.root, None)
        for rule, hinge, values in self.jobs.values():
            yield from self._apply(rule, hinge, values)

    def _planned(self, change: Change) -> list[Callable[[], Steps]]:
        """The checks at what changed itself. They refer to this: kept here, all of a tree would wait for a collection
        of garbage.
        """
        self._visit(change, self.root)
        tasks, self.tasks = self.tasks, []
        return tasks

    def _limited(self, steps: Steps) -> Steps:
        """Each error once, and no more than can be read."""
        for error in steps:
            if error is not None:
                mark = (error.tag, error.app_tag or "", str(error.path), error.message)
                if mark in self.told:
                    continue
                self.told.add(mark)
            yield error
            if len(self.told) >= MAX_ERRORS:
                return

    # -- everything below a node --

    def _walk(self, node: Ref) -> Steps:
        """All constraints of an inner node's children and of all below them."""
        assert isinstance(node.data, Inner)
        plan = self.rules.plan(node.data.schema)
        self.visits.nodes += 1
        if self.visits.nodes - self.paused >= SLICE:
            self.paused = self.visits.nodes
            yield None
        yield from self._structure(node, plan)
        for unique in plan.uniques:
            yield from self._unique(unique, node)
        for schema, checks, deep in plan.below:
            yield from self._below(node, schema, checks, deep)

    def _below(self, node: Ref, schema: SchemaNode, checks: tuple[Check, ...], deep: bool) -> Steps:
        """All constraints at and below the instances of one child, implicit ones included."""
        assert isinstance(node.data, Inner)
        data = node.data.children.get(schema)
        if data is None or not present(data):
            implied = self.run.implicit(node, schema)
            if implied is None:
                return
            data = implied if data is None else data
        if isinstance(data, ListNode):
            for key, entry in data.entries.items():
                ref = Ref(schema, entry, node, key)
                yield from self._own(ref, checks)
                if deep:
                    yield from self._walk(ref)
        elif isinstance(data, tuple):
            for index, value in enumerate(data):
                yield from self._own(Ref(schema, value, node, (value,), index), checks)
        else:
            ref = Ref(schema, data, node)
            yield from self._own(ref, checks)
            if deep:
                yield from self._walk(ref)

    def _own(self, node: Ref, checks: tuple[Check, ...]) -> Steps:
        for check in checks:
            self.visits.constraints += 1
            if not check.holds(self.run.at(node), node):
                yield violations.broken(check, node)

    # -- which children an inner node has --

    def _structure(self, node: Ref, plan: Plan) -> Steps:
        inner = node.data
        assert isinstance(inner, Inner)
        children = inner.children
        for schema in plan.conditional:
            if schema in children and not self._admitted(node, schema):
                yield violations.not_admitted(node, schema)
        for schema in plan.mandatory:
            if schema not in children and self._required(node, schema):
                yield violations.missing(node, schema, self.missing)
        for schema in plan.counted:
            yield from self._counted(node, schema, children.get(schema))
        for choice in plan.choices:
            yield from self._choice(node, choice)

    def _admitted(self, node: Ref, schema: SchemaNode) -> bool:
        self.visits.constraints += len(schema.whens)
        return self.run.admitted(node, schema)

    def _required(self, node: Ref, schema: SchemaNode) -> bool:
        """Whether a mandatory child must be there: its case is chosen and its whens are true."""
        assert isinstance(node.data, Inner)
        if schema.case is not None and selected_case(node.data, schema.case[0]) != schema.case[1]:
            return False
        return self._admitted(node, schema)

    def _counted(self, node: Ref, schema: SchemaNode, data: Data | None) -> Steps:
        count = len(data.entries) if isinstance(data, ListNode) else len(data) if isinstance(data, tuple) else 0
        if schema.max_elements is not None and count > schema.max_elements:
            yield violations.too_many(node, schema, count)
        if count < schema.min_elements and (count or self._required(node, schema)):
            yield violations.too_few(node, schema, count)

    def _choice(self, node: Ref, choice: Choice) -> Steps:
        inner = node.data
        assert isinstance(inner, Inner)
        chosen = [
            schemas[0]
            for members in choice.cases.values()
            if (schemas := [member for member in members if present(inner.children.get(member))])
        ]
        if len(chosen) > 1:
            yield violations.two_cases(node, choice, chosen[0], chosen[1])
        if chosen or not choice.mandatory:
            return
        above = choice.parent_case
        if above is not None and selected_case(inner, above[0]) != above[1]:
            return
        self.visits.constraints += len(choice.whens)
        if all(self.run.holds(when, node, node.schema) for when in choice.whens):
            yield violations.no_case(node, choice)

    def _unique(self, unique: Unique, node: Ref) -> Steps:
        assert isinstance(node.data, Inner)
        data = node.data.children.get(unique.node)
        if not isinstance(data, ListNode):
            return
        seen: dict[tuple[str, ...], tuple[Ref, list[Ref]]] = {}
        for key, entry in data.entries.items():
            self.visits.nodes += 1
            ref = Ref(unique.node, entry, node, key)
            leaves = [leaf for chain in unique.leaves if (leaf := self._leaf(ref, chain)) is not None]
            if len(leaves) < len(unique.leaves):
                continue
            first, others = seen.setdefault(tuple(str(leaf.data) for leaf in leaves), (ref, leaves))
            if first is not ref:
                yield violations.not_unique(node, unique, first, ref, [*others, *leaves])

    def _leaf(self, node: Ref, chain: tuple[SchemaNode, ...]) -> Ref | None:
        for schema in chain:
            data = self.run.child_data(node, schema)
            if data is None:
                return None
            node = Ref(schema, data, node)
        return node

    # -- what a change can break --

    def _visit(self, change: Change, node: Ref) -> None:
        """Note what to check for the changes below an inner node, whose place in the new tree is ``node``."""
        structural = False
        for child in change.children:
            schema, new = child.schema, child.new
            if not (self.rules.state or schema.config):
                continue
            if child.op in (Op.MODIFY, Op.MOVE) and isinstance(new, Inner):
                appeared = present(child.old) is not present(new)
                structural = structural or appeared
                if appeared or child.op is Op.MOVE:
                    self._note(schema, node, child.op)
                self._visit(child, Ref(schema, new, node, child.key))
                continue
            structural = structural or child.op is not Op.MODIFY or schema.kind is Kind.LEAF_LIST
            if schema.type is not None:
                self._note(schema, node, child.op, child.old)
            else:
                self._note_all(child, node)
            checks = self.rules.checks(schema)
            if schema.kind is not Kind.LIST:
                self.tasks.append(partial(self._below, node, schema, checks, deep=schema.kind is Kind.CONTAINER))
            elif isinstance(new, Inner):
                entry = Ref(schema, new, node, child.key)
                self.tasks.append(partial(self._own, entry, checks))
                self.tasks.append(partial(self._walk, entry))
        if structural:
            self.tasks.append(partial(self._restructured, node))

    def _restructured(self, node: Ref) -> Steps:
        """The structure of a node whose children came or went, with what is now implicitly there."""
        assert isinstance(node.data, Inner)
        plan = self.rules.plan(node.data.schema)
        self.visits.nodes += 1
        yield from self._structure(node, plan)
        for schema, checks, deep in plan.below:
            if not present(node.data.children.get(schema)):
                yield from self._below(node, schema, checks, deep)

    def _note(self, schema: SchemaNode, parent: Ref, op: Op, old: Data | None = None) -> None:
        """Remember whom a change of one node concerns."""
        for dependent in self.rules.dependents(schema):
            if not (dependent.grows and op is Op.CREATE):
                self._plan_dependent(dependent, parent, _values(dependent.rule, schema, old))

    def _note_all(self, change: Change, parent: Ref) -> None:
        """Remember whom the creation or deletion of an inner node with all below concerns outside of it."""
        outer = self.rules.outer(change.schema)
        if change.op is Op.CREATE:
            outer = tuple((read, dependent) for read, dependent in outer if not dependent.grows)
        elif change.op is Op.DELETE and change.key is not None:
            # an entry less leaves the others as unique as they were
            outer = tuple(
                (read, dependent)
                for read, dependent in outer
                if not (isinstance(dependent.rule, Unique) and dependent.rule.node is change.schema)
            )
        if not outer:
            return
        found: dict[SchemaNode, list[str]] = {}
        for data in (change.old, change.new):
            if isinstance(data, Inner):
                found.setdefault(change.schema, [])
                _collect(data, found)
        for read, dependent in outer:
            if read not in found:
                continue
            values: tuple[str, ...] | None = None
            targets = dependent.rule.targets if isinstance(dependent.rule, Reference) and dependent.grows else None
            if targets is not None and (read.type is None or read.is_key or read in targets):
                # a part of the way to targets: the values that go with it tell which referrers are concerned
                values = tuple(value for target in targets for value in found.get(target, ()))
            self._plan_dependent(dependent, parent, values)

    def _plan_dependent(self, dependent: Dependent, parent: Ref, values: tuple[str, ...] | None) -> None:
        hinge: Ref | None = parent
        while hinge is not None and hinge.schema is not dependent.hinge:
            hinge = hinge.parent
        if hinge is not None:
            self._plan_job(dependent.rule, hinge, values)
        # else the hinge is the changed node itself, which is checked with all below it

    def _plan_job(self, rule: Rule, hinge: Ref, values: tuple[str, ...] | None) -> None:
        key = (_identity(rule), hinge.place)
        known = self.jobs.get(key)
        if known is None:
            self.jobs[key] = rule, hinge, None if values is None else set(values)
        elif values is None:
            self.jobs[key] = rule, hinge, None
        elif known[2] is not None:
            known[2].update(values)

    def _apply(self, rule: Rule, hinge: Ref, values: set[str] | None) -> Steps:
        """One rule at all its instances below ``hinge``; of a reference only those with one of ``values``."""
        if values is not None and not values:
            return
        node = rule.node.parent if isinstance(rule, Unique) else rule.node
        assert node is not None
        for found in self._instances(hinge, node):
            if isinstance(rule, Unique):
                yield from self._unique(rule, found)
            elif isinstance(rule, Structure):
                yield from self._restructured(found)
            elif values is None or found.data in values:
                yield from self._own(found, (rule,))

    def _instances(self, hinge: Ref, node: SchemaNode) -> Iterator[Ref]:
        """The instances of ``node`` at or below ``hinge``, implicit ones included."""
        if hinge.schema is node:
            yield hinge
            return
        chain = [node]
        while chain[-1].parent is not None and chain[-1].parent is not hinge.schema:
            chain.append(chain[-1].parent)
        yield from self._down(hinge, chain)

    def _down(self, node: Ref, chain: list[SchemaNode]) -> Iterator[Ref]:
        for child in self.run.expand(node, chain[-1]):
            if len(chain) == 1:
                yield child
            else:
                yield from self._down(child, chain[:-1])

    # -- whens that became false --

    def pruned(self, change: Change, before: Inner) -> Inner:
        """The tree without nodes that stood in ``before`` already and whose when became false by ``change``."""
        self._planned(change)
        root = self.root.data
        assert isinstance(root, Inner)
        for rule, hinge, _ in self.jobs.values():
            if isinstance(rule, Structure):
                for node in self._instances(hinge, rule.node):
                    root = self._prune_children(root, before, node)
        return root

    def _prune_children(self, root: Inner, before: Inner, node: Ref) -> Inner:
        assert isinstance(node.data, Inner)
        for schema in self.rules.plan(node.data.schema).conditional:
            data = node.data.children.get(schema)
            if data is None or self.run.admitted(node, schema):
                continue
            above = inner_at(before, node.path)
            old = above.children.get(schema) if above is not None else None
            if old is not None and (old is data or old == data):
                root = _without(root, node.path, schema)
        return root


def _without(inner: Inner, path: Path, schema: SchemaNode) -> Inner:
    """``inner`` without the child ``schema`` of the node at ``path``; containers left empty go too."""
    if not path:
        return inner.replace(schema, None) if schema in inner.children else inner
    step, rest = path[0], path[1:]
    data = inner.children.get(step.schema)
    if isinstance(data, ListNode) and step.key is not None and step.key in data.entries:
        return inner.replace(step.schema, data.replace(step.key, _without(data.entries[step.key], rest, schema)))
    if isinstance(data, Inner):
        below = _without(data, rest, schema)
        return inner.replace(step.schema, below if present(below) else None)
    return inner


def _identity(rule: Rule) -> object:
    # several whens ask for the structure of one node; asking once is enough
    return (Structure, rule.node) if isinstance(rule, Structure) else rule


def _values(rule: Rule, schema: SchemaNode, old: Data | None) -> tuple[str, ...] | None:
    """The values that referrers of a changed leaf had; None where that is not the question."""
    if isinstance(rule, Reference) and rule.targets is not None and schema in rule.targets:
        return (old,) if isinstance(old, str) else old if isinstance(old, tuple) else None
    return None


def _collect(inner: Inner, found: dict[SchemaNode, list[str]]) -> None:
    """The schema nodes of all data below ``inner``, and the values of those that have some."""
    for schema, data in inner.children.items():
        values = found.setdefault(schema, [])
        if isinstance(data, str):
            values.append(data)
        elif isinstance(data, tuple):
            values.extend(data)
        elif isinstance(data, Inner):
            _collect(data, found)
        elif isinstance(data, ListNode):
            for entry in data.entries.values():
                _collect(entry, found)

"""The constraints of a schema made ready: what to check at each node, and what to check again after a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from eman_netconf.yang.schema import Choice, Constraint, Kind, Schema, SchemaNode
from eman_netconf.yang.types import InstanceIdentifierType, LeafrefType, TypeFault, UnionType, YangType
from eman_netconf.yang.xpath import Expr, expression, reference, source
from eman_netconf.yang.xpath_instance import find_instance
from eman_netconf.yang.xpath_nodes import Evaluation, Ref, to_boolean
from eman_netconf.yang.xpath_parser import LocationPath, Root, Syntax
from eman_netconf.yang.xpath_reads import merge, read_existence, read_whens

Dependencies = Mapping[SchemaNode, SchemaNode] | None  # a node read -> its hinge (see xpath_reads); None: any node


@dataclass(frozen=True, slots=True, eq=False)
class Must:
    """A must of ``node``."""

    node: SchemaNode
    constraint: Constraint
    program: Expr

    def holds(self, run: Evaluation, node: Ref) -> bool:
        return to_boolean(self.program.run(run, node))


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A leafref or instance-identifier of ``node``, or a union with one, that needs its target.

    ``targets``: the leafs that the values are values of, where that is known.
    """

    node: SchemaNode
    exists: Callable[[Evaluation, Ref], bool]
    programs: tuple[Expr, ...]
    targets: frozenset[SchemaNode] | None

    def holds(self, run: Evaluation, node: Ref) -> bool:
        return self.exists(run, node)


@dataclass(frozen=True, slots=True, eq=False)
class Unique:
    """One unique of the list ``node``; ``leaves`` as chains of schema nodes."""

    node: SchemaNode
    leaves: tuple[tuple[SchemaNode, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Which children an instance of ``node`` must, may and must not have; as a dependent: for whens below it."""

    node: SchemaNode


Check = Must | Reference
Rule = Must | Reference | Unique | Structure


@dataclass(frozen=True, slots=True, eq=False)
class Dependent:
    """A rule to apply again at all its instances below one instance of ``hinge``."""

    rule: Rule
    hinge: SchemaNode
    grows: bool  # more nodes cannot break it, only less or other ones


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What there is to look at in an instance of one inner node."""

    conditional: tuple[SchemaNode, ...]  # children with whens
    mandatory: tuple[SchemaNode, ...]  # leafs and anydata
    counted: tuple[SchemaNode, ...]  # lists and leaf-lists with min- or max-elements
    choices: tuple[Choice, ...]
    uniques: tuple[Unique, ...]
    below: tuple[tuple[SchemaNode, tuple[Check, ...], bool], ...]  # child, its checks, whether to go into it

    @property
    def empty(self) -> bool:
        return not (self.conditional or self.mandatory or self.counted or self.choices or self.uniques or self.below)


class Rules:
    """All constraints of a schema; ``state`` tells whether config false nodes are looked at.

    Raises XPathFault when a must, when or path of the modules cannot be compiled.
    """

    def __init__(self, schema: Schema, *, state: bool) -> None:
        self.schema = schema
        self.state = state
        self._plans: dict[SchemaNode, Plan] = {}
        self._checks: dict[SchemaNode, tuple[Check, ...]] = {}
        self._index: dict[SchemaNode, list[Dependent]] | None = None
        self._always: list[Rule] = []
        self._outer: dict[SchemaNode, tuple[tuple[SchemaNode, Dependent], ...]] = {}

    @classmethod
    def of(cls, schema: Schema, *, state: bool) -> Rules:
        """The rules of ``schema``, made once."""
        known = schema.cache.get(("rules", state))
        if not isinstance(known, Rules):
            known = schema.cache["rules", state] = cls(schema, state=state)
        return known

    # -- what to check --

    def plan(self, node: SchemaNode) -> Plan:
        """The plan of an inner node."""
        known = self._plans.get(node)
        if known is None:
            known = self._plans[node] = self._make_plan(node)
        return known

    def _make_plan(self, node: SchemaNode) -> Plan:
        children = [child for child in node.children.values() if self.state or child.config]
        below: list[tuple[SchemaNode, tuple[Check, ...], bool]] = []
        for child in children:
            checks = self.checks(child)
            deep = child.type is None and not self.plan(child).empty
            if checks or deep:
                below.append((child, checks, deep))
        return Plan(
            conditional=tuple(child for child in children if child.whens),
            mandatory=tuple(child for child in children if child.mandatory),
            counted=tuple(child for child in children if child.min_elements or child.max_elements is not None),
            choices=tuple(choice for choice in node.choices if self._governs(choice, children)),
            uniques=tuple(unique for child in children for unique in self._uniques(child)),
            below=tuple(below),
        )

    @staticmethod
    def _governs(choice: Choice, children: list[SchemaNode]) -> bool:
        members = [member for nodes in choice.cases.values() for member in nodes]
        return not members or any(member in children for member in members)

    @staticmethod
    def _uniques(node: SchemaNode) -> Iterator[Unique]:
        for leaves in node.uniques:
            yield Unique(node, leaves)

    def checks(self, node: SchemaNode) -> tuple[Check, ...]:
        """The musts and references of one node, asked at every instance."""
        known = self._checks.get(node)
        if known is None:
            found: list[Check] = [Must(node, must, expression(self.schema, must, node)) for must in node.musts]
            needed = self._reference(node)
            if needed is not None:
                found.append(needed)
            known = self._checks[node] = tuple(found)
        return known

    def _reference(self, node: SchemaNode) -> Reference | None:
        programs: list[Expr] = []
        targets: set[SchemaNode] = set()
        exists = self._existence(node, node.type, programs, targets)
        if exists is None:
            return None
        known = None if _points_anywhere(node.type) else frozenset(targets)
        return Reference(node, exists, tuple(programs), known)

    def _existence(
        self, node: SchemaNode, type_: YangType | None, programs: list[Expr], targets: set[SchemaNode]
    ) -> Callable[[Evaluation, Ref], bool] | None:
        """The question whether the target of a value is there; None where none is needed."""
        if isinstance(type_, LeafrefType) and type_.require_instance:
            program = reference(self.schema, type_.path, node, type_.target)
            programs.append(program)
            targets.add(type_.target)
            if _leads_to_the_same(expression(self.schema, type_.path, node).syntax):
                return partial(_answered, program, type_.target)
            return lambda run, ref: bool(program.run(run, ref))
        if isinstance(type_, InstanceIdentifierType) and type_.require_instance:
            return lambda run, ref: isinstance(ref.data, str) and find_instance(run, ref, ref.data) is not None
        if isinstance(type_, UnionType):
            members = [(member, self._existence(node, member, programs, targets)) for member in type_.members]
            if all(exists is None for _, exists in members):
                return None
            return lambda run, ref: any(
                _allows(member, ref.data) and (exists is None or exists(run, ref)) for member, exists in members
            )
        return None

    # -- what to check again --

    def dependents(self, node: SchemaNode) -> list[Dependent]:
        """Whom a change of an instance of ``node`` itself concerns."""
        return self._indexed().get(node, [])

    def outer(self, node: SchemaNode) -> tuple[tuple[SchemaNode, Dependent], ...]:
        """Whom creating or deleting an instance of ``node`` with all below concerns outside, with what each reads."""
        known = self._outer.get(node)
        if known is None:
            inside = {node, *node.descendants()}
            known = self._outer[node] = tuple(
                (read, dependent)
                for read in inside
                for dependent in self.dependents(read)
                if dependent.hinge not in inside
            )
        return known

    @property
    def always(self) -> list[Rule]:
        """Rules that any change may break."""
        self._indexed()
        return self._always

    def _indexed(self) -> dict[SchemaNode, list[Dependent]]:
        if self._index is None:
            index: dict[SchemaNode, list[Dependent]] = {}
            for node in (self.schema.root, *self.schema.root.descendants()):
                if node.config or self.state:
                    for rule, reads, grows in self._dependencies(node):
                        if reads is None:
                            self._always.append(rule)
                        for read, hinge in (reads or {}).items():
                            index.setdefault(read, []).append(Dependent(rule, hinge, grows))
            self._index = index
        return self._index

    def _dependencies(self, node: SchemaNode) -> Iterator[tuple[Rule, Dependencies, bool]]:
        finder = source(self.schema)
        implicit = node.default is not None or bool(node.defaults) or _is_plain_container(node)
        existence = read_existence(node, finder).nodes if implicit else {}
        for check in self.checks(node):
            programs = check.programs if isinstance(check, Reference) else (check.program,)
            reads = merge(existence, *(program.dependencies for program in programs))
            grows = False
            if isinstance(check, Reference):
                if check.targets is None:
                    reads = None
                else:
                    grows = all(target.default is None and not target.defaults for target in check.targets)
            yield check, reads, grows
        if node.whens and node.parent is not None:
            yield Structure(node.parent), read_whens(node, finder).nodes, False
        for unique in self._uniques(node):
            assert node.parent is not None
            reads = merge(
                {node: node},
                *({step: step for step in chain} for chain in unique.leaves),
                *(read_existence(chain[-1], finder).nodes for chain in unique.leaves),
            )
            yield unique, None if reads is None else _outside(reads, node), False


def _outside(reads: Mapping[SchemaNode, SchemaNode], node: SchemaNode) -> dict[SchemaNode, SchemaNode]:
    """The same reads seen from the parent of ``node``: a unique is asked of all entries together."""
    assert node.parent is not None
    inside = {node, *node.descendants()}
    return {read: node.parent if hinge in inside else hinge for read, hinge in reads.items()}


def _leads_to_the_same(path: Syntax) -> bool:
    """Whether a leafref path means the same nodes wherever it begins."""
    return (
        isinstance(path, LocationPath)
        and isinstance(path.start, Root)
        and not any(step.predicates for step in path.steps)
    )


def _answered(program: Expr, target: SchemaNode, run: Evaluation, ref: Ref) -> bool:
    """Whether a value is one of ``target``, asked once for each value in one evaluation."""
    assert isinstance(ref.data, str)
    question = target, ref.data
    known = run.answers.get(question)
    if known is None:
        known = run.answers[question] = bool(program.run(run, ref))
    return known


def _points_anywhere(type_: YangType | None) -> bool:
    """Whether the target of a value may be any node."""
    if isinstance(type_, UnionType):
        return any(_points_anywhere(member) for member in type_.members)
    return isinstance(type_, InstanceIdentifierType) and type_.require_instance


def _allows(member: YangType, data: object) -> bool:
    """Whether a member of a union takes the value; it may be of a later member than the first that its form fits."""
    try:
        member.parse_canonical(str(data))
    except TypeFault:
        return False
    return True


def _is_plain_container(node: SchemaNode) -> bool:
    return node.kind is Kind.CONTAINER and not node.presence

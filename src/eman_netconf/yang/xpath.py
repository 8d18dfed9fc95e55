"""YANG XPath: compile an expression once, evaluate it on trees (XPath 1.0, RFC 7950 sections 6.4 and 10).

Decisions where the standards leave room:

- The string-value of an identityref is its canonical form ``module:name``. A literal compared with one may also
  use the prefixes of the expression, so ``type = 'ianaift:l2vlan'`` works as people write it.
- With ``default_namespace`` None, as in a NETCONF filter without default namespace, a name without prefix means
  a node of that name in any module.
- ``name()`` is the local name: our documents use default namespaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from eman_netconf.yang.schema import Constraint, Schema, SchemaNode
from eman_netconf.yang.xpath_functions import (
    ARITHMETIC,
    FUNCTIONS,
    Returns,
    compare,
    to_number,
)
from eman_netconf.yang.xpath_instance import from_instance_identifier
from eman_netconf.yang.xpath_nodes import (
    Budget,
    BudgetExceeded,
    Evaluation,
    Ref,
    Scope,
    Value,
    to_boolean,
)
from eman_netconf.yang.xpath_parser import (
    Axis,
    Call,
    Chain,
    Filter,
    Junction,
    KindTest,
    Literal,
    LocationPath,
    NameTest,
    Negate,
    Number,
    Root,
    StepSyntax,
    Syntax,
    XPathFault,
    parse,
)
from eman_netconf.yang.xpath_reads import Reads, read_nodes
from eman_netconf.yang.xpath_steps import Condition, Conjunct, KeyTest, Operation, Step, Walk, walk

__all__ = [
    "Budget",
    "BudgetExceeded",
    "Expr",
    "Ref",
    "XPathFault",
    "compile",
    "expression",
    "from_instance_identifier",
]


class Expr:
    """A compiled expression; may be evaluated any number of times, also at once."""

    __slots__ = ("_context", "_operation", "_reads", "returns", "schema", "scope", "syntax", "text")

    def __init__(self, text: str, syntax: Syntax, scope: Scope, schema: Schema, context: SchemaNode | None) -> None:
        self.text = text
        self.syntax = syntax
        self.schema = schema
        self.scope = scope
        self._context = context
        self._operation, self.returns = _Compiler(scope).compile(syntax)
        self._reads: Reads | None = None

    @property
    def reads(self) -> frozenset[SchemaNode] | None:
        """The schema nodes whose instances the value may depend on; None = any."""
        dependencies = self.dependencies
        return None if dependencies is None else frozenset(dependencies)

    @property
    def dependencies(self) -> Mapping[SchemaNode, SchemaNode] | None:
        """As reads, each node with the ancestor of the context whose instance it shares with the context node.

        ``../a`` of a list entry's leaf depends on the ``a`` of the same entry: {a: entry}. None = any node.
        """
        if self._context is None:
            return None
        if self._reads is None:
            self._reads = read_nodes(self.syntax, self.scope, self._context, source(self.schema))
        return self._reads.nodes

    def run(self, evaluation: Evaluation, node: Ref) -> Value:
        """The value at ``node`` inside a running evaluation."""
        return self._operation(evaluation, node, 1, 1)

    def evaluate(self, context: Ref, *, current: Ref | None = None, budget: Budget | None = None) -> Value:
        """The value at ``context``: node-set in document order, string, number or boolean. Raises BudgetExceeded."""
        return self.run(evaluation(self.schema, current or context, budget), context)

    def boolean(self, context: Ref, *, current: Ref | None = None, budget: Budget | None = None) -> bool:
        """The value as by boolean(); what a must or a when asks."""
        return to_boolean(self.evaluate(context, current=current, budget=budget))

    def nodes(self, context: Ref, *, current: Ref | None = None, budget: Budget | None = None) -> list[Ref]:
        """The nodes selected, in document order. Raises XPathFault if the expression selects none by its type."""
        value = self.evaluate(context, current=current, budget=budget)
        if not isinstance(value, list):
            raise XPathFault(f"the expression gives a {self.returns}, not nodes")
        return value

    def __repr__(self) -> str:
        return f"<Expr {self.text}>"


def compile(  # noqa: A001 - as re.compile
    text: str,
    prefixes: Mapping[str, str],
    default_namespace: str | None,
    schema: Schema,
    *,
    context: SchemaNode | None = None,
) -> Expr:
    """Compile ``text`` with the prefixes in scope (prefix to namespace).

    ``context`` is the schema node it will be evaluated at, needed only for ``reads``. Raises XPathFault.
    """
    names = {namespace: module.name for namespace, module in schema.by_namespace.items()}
    return Expr(text, parse(text), Scope(dict(prefixes), default_namespace, names), schema, context)


def expression(schema: Schema, constraint: Constraint, context: SchemaNode) -> Expr:
    """The compiled form of a must, when or leafref path of the schema, kept with the schema."""
    key = ("xpath", constraint, context)
    known = schema.cache.get(key)
    if not isinstance(known, Expr):
        try:
            known = compile(constraint.text, constraint.prefixes, constraint.default_namespace, schema, context=context)
        except XPathFault as fault:
            raise XPathFault(f"{context.path}: {constraint.text!r}: {fault.message}", fault.position) from fault
        schema.cache[key] = known
    return known


def reference(schema: Schema, path: Constraint, context: SchemaNode, target: SchemaNode) -> Expr:
    """The leafref ``path`` of ``context``, narrowed to the nodes with the value of the current one.

    As a predicate the value of a key goes straight to the entry, however long the list is.
    """
    plain = expression(schema, path, context)
    assert isinstance(plain.syntax, LocationPath)
    *above, last = plain.syntax.steps
    equals = (("=", Call("current", (), 0)),)
    if target.is_key and above and not last.predicates and above[-1].axis is Axis.CHILD:
        named = LocationPath(None, (StepSyntax(Axis.CHILD, last.test, ()),))
        above[-1] = _narrowed(above[-1], Chain(named, equals))
    else:
        last = _narrowed(last, Chain(LocationPath(None, (StepSyntax(Axis.SELF, KindTest("node"), ()),)), equals))
    syntax = LocationPath(plain.syntax.start, (*above, last))
    return Expr(path.text, syntax, plain.scope, schema, context)


def _narrowed(step: StepSyntax, predicate: Syntax) -> StepSyntax:
    return StepSyntax(step.axis, step.test, (*step.predicates, predicate))


def source(schema: Schema) -> Callable[[Constraint, SchemaNode], tuple[Syntax, Scope]]:
    """Where whens and leafref paths are found when it is asked what an expression reads."""

    def find(constraint: Constraint, context: SchemaNode) -> tuple[Syntax, Scope]:
        program = expression(schema, constraint, context)
        return program.syntax, program.scope

    return find


def evaluation(schema: Schema, current: Ref, budget: Budget | None = None, *, state: bool = False) -> Evaluation:
    """A new evaluation for expressions of ``schema``; with ``state`` nothing implicit of config false is hidden."""
    return Evaluation(
        schema,
        lambda constraint, context: expression(schema, constraint, context),
        budget or Budget(),
        current,
        state=state,
    )


class _Compiler:
    """Syntax to operations: names resolved, types checked, key look-ups planned."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._known: dict[int, tuple[Operation, Returns]] = {}  # by id of the syntax, all of which is kept alive

    def compile(self, syntax: Syntax) -> tuple[Operation, Returns]:
        """The operation of ``syntax``, each part compiled once however often it is asked for."""
        known = self._known.get(id(syntax))
        if known is None:
            known = self._known[id(syntax)] = self._compile(syntax)
        return known

    def _compile(self, syntax: Syntax) -> tuple[Operation, Returns]:
        if isinstance(syntax, Literal | Number):
            value: Value = syntax.text if isinstance(syntax, Literal) else syntax.value
            returns = Returns.STRING if isinstance(syntax, Literal) else Returns.NUMBER
            return (lambda _run, _node, _position, _size: value), returns
        if isinstance(syntax, Root):
            return _root, Returns.NODES
        if isinstance(syntax, LocationPath):
            return self._path(syntax), Returns.NODES
        if isinstance(syntax, Filter):
            return self._filter(syntax), Returns.NODES
        if isinstance(syntax, Call):
            return self._call(syntax)
        if isinstance(syntax, Negate):
            operand, _ = self.compile(syntax.operand)
            return (lambda run, node, position, size: -to_number(run, operand(run, node, position, size))), (
                Returns.NUMBER
            )
        if isinstance(syntax, Junction):
            return self._junction(syntax)
        return self._chain(syntax)

    def condition(self, syntax: Syntax) -> Condition:
        """The value as a boolean."""
        operation, returns = self.compile(syntax)
        if returns is Returns.BOOLEAN:
            return operation  # type: ignore[return-value]  # its values are booleans
        return lambda run, node, position, size: to_boolean(operation(run, node, position, size))

    def nodes(self, syntax: Syntax, what: str) -> Operation:
        operation, returns = self.compile(syntax)
        if returns is not Returns.NODES:
            raise XPathFault(f"{what} must select nodes and gives a {returns}", _position(syntax))
        return operation

    # -- operators --

    def _junction(self, syntax: Junction) -> tuple[Operation, Returns]:
        if syntax.operator == "|":
            parts = [self.nodes(operand, "an operand of |") for operand in syntax.operands]
            return (
                lambda run, node, position, size: run.sorted(
                    found for part in parts for found in _as_nodes(part(run, node, position, size))
                )
            ), Returns.NODES
        conditions = [self.condition(operand) for operand in syntax.operands]
        decide = any if syntax.operator == "or" else all
        return (
            lambda run, node, position, size: decide(condition(run, node, position, size) for condition in conditions)
        ), Returns.BOOLEAN

    def _chain(self, syntax: Chain) -> tuple[Operation, Returns]:
        first, _ = self.compile(syntax.first)
        rest = [(name, self.compile(operand)[0], self._identity(operand)) for name, operand in syntax.rest]
        if syntax.rest[0][0] in ARITHMETIC:
            steps = [(ARITHMETIC[name], operand) for name, operand, _ in rest]

            def calculate(run: Evaluation, node: Ref, position: int, size: int) -> Value:
                number = to_number(run, first(run, node, position, size))
                for calculation, operand in steps:
                    number = calculation(number, to_number(run, operand(run, node, position, size)))
                return number

            return calculate, Returns.NUMBER
        first_identity = self._identity(syntax.first)

        def relate(run: Evaluation, node: Ref, position: int, size: int) -> Value:
            left, identity = first(run, node, position, size), first_identity
            for name, operand, other_identity in rest:
                right = operand(run, node, position, size)
                left = compare(run, name, left, right, identity or other_identity)
                identity = None
            return left

        return relate, Returns.BOOLEAN

    def _identity(self, syntax: Syntax) -> str | None:
        return self._scope.identity(syntax.text) if isinstance(syntax, Literal) else None

    # -- functions --

    def _call(self, syntax: Call) -> tuple[Operation, Returns]:
        if syntax.name in ("position", "last"):
            if syntax.arguments:
                raise XPathFault(f"{syntax.name}() takes no arguments", syntax.position)
            if syntax.name == "position":
                return (lambda _run, _node, position, _size: float(position)), Returns.NUMBER
            return (lambda _run, _node, _position, size: float(size)), Returns.NUMBER
        function = FUNCTIONS.get(syntax.name)
        if function is None:
            raise XPathFault(f"unknown function {syntax.name}()", syntax.position)
        given = len(syntax.arguments)
        if given < function.least or (function.most is not None and given > function.most):
            raise XPathFault(f"{syntax.name}() cannot take {given} arguments", syntax.position)
        arguments = [
            self.nodes(argument, f"argument {index + 1} of {syntax.name}()")
            if index in function.nodes
            else self.compile(argument)[0]
            for index, argument in enumerate(syntax.arguments)
        ]
        if not arguments and function.context_default:
            arguments = [lambda _run, node, _position, _size: [node]]
        call, scope = function.call, self._scope
        if any(function is FUNCTIONS[name] for name in ("true", "false", "current")):
            return (lambda run, node, _position, _size: call(run, scope, node, ())), function.returns
        return (
            lambda run, node, position, size: call(
                run, scope, node, [argument(run, node, position, size) for argument in arguments]
            )
        ), function.returns

    # -- paths --

    def _filter(self, syntax: Filter) -> Operation:
        primary = self.nodes(syntax.primary, "what predicates follow")
        predicates = [self._predicate(predicate) for predicate in syntax.predicates]

        def evaluate(run: Evaluation, node: Ref, position: int, size: int) -> Value:
            found = _as_nodes(primary(run, node, position, size))
            for predicate in predicates:
                count = len(found)
                run.budget.spend(count)
                found = [item for number, item in enumerate(found, 1) if predicate(run, item, number, count)]
            return found

        return evaluate

    def _predicate(self, syntax: Syntax) -> Condition:
        operation, returns = self.compile(syntax)
        if returns is Returns.NUMBER:
            return lambda run, node, position, size: operation(run, node, position, size) == position
        if returns is Returns.BOOLEAN:
            return operation  # type: ignore[return-value]  # its values are booleans
        return lambda run, node, position, size: to_boolean(operation(run, node, position, size))

    def _path(self, syntax: LocationPath) -> Operation:
        start = _self if syntax.start is None else self.nodes(syntax.start, "the start of a path")
        single = syntax.start is None or isinstance(syntax.start, Root) or _is_current(syntax.start)
        walks: list[Walk] = []
        even = single  # all nodes at one depth, made from one node by child and parent steps alone
        for step in self._joined(syntax.steps):
            walks.append(walk(self._step(step), single=single, even=even))
            single = single and step.axis in (Axis.SELF, Axis.PARENT)
            even = even and step.axis in (Axis.SELF, Axis.PARENT, Axis.CHILD)

        def evaluate(run: Evaluation, node: Ref, position: int, size: int) -> Value:
            found = _as_nodes(start(run, node, position, size))
            for take in walks:
                if not found:
                    break
                found = take(run, found)
            return found

        return evaluate

    def _joined(self, steps: tuple[StepSyntax, ...]) -> list[StepSyntax]:
        """Steps with ``//name`` as one descendant step, where no predicate counts positions."""
        joined: list[StepSyntax] = []
        for step in steps:
            last = joined[-1] if joined else None
            if (
                last is not None
                and last.axis is Axis.DESCENDANT_OR_SELF
                and last.test == KindTest("node")
                and not last.predicates
                and step.axis is Axis.CHILD
                and not any(self._positional(predicate) for predicate in step.predicates)
            ):
                joined[-1] = StepSyntax(Axis.DESCENDANT, step.test, step.predicates)
            else:
                joined.append(step)
        return joined

    def _step(self, syntax: StepSyntax) -> Step:
        conjuncts: list[Conjunct] = []
        predicates = list(syntax.predicates)
        while predicates and not self._positional(predicates[0]):
            predicate = predicates.pop(0)
            parts = (
                predicate.operands if isinstance(predicate, Junction) and predicate.operator == "and" else (predicate,)
            )
            conjuncts.extend(Conjunct(self.condition(part), self._key_test(part)) for part in parts)
        return Step(
            syntax.axis,
            self._scope.test(syntax.test),
            tuple(conjuncts),
            tuple(self._predicate(predicate) for predicate in predicates),
        )

    def _positional(self, syntax: Syntax) -> bool:
        """Whether a predicate's value may depend on positions."""
        return self.compile(syntax)[1] is Returns.NUMBER or _mentions(syntax, ("position", "last"))

    def _key_test(self, syntax: Syntax) -> KeyTest | None:
        if not isinstance(syntax, Chain) or len(syntax.rest) != 1 or syntax.rest[0][0] != "=":
            return None
        for name, value in ((syntax.first, syntax.rest[0][1]), (syntax.rest[0][1], syntax.first)):
            if isinstance(name, LocationPath) and name.start is None and len(name.steps) == 1:
                step = name.steps[0]
                if step.axis is not Axis.CHILD or step.predicates or not isinstance(step.test, NameTest):
                    continue
                operation, returns = self.compile(value)
                if returns is not Returns.BOOLEAN and _independent(value):
                    return KeyTest(self._scope.test(step.test), operation, returns, self._identity(value))
        return None


def _root(_run: Evaluation, node: Ref, _position: int, _size: int) -> Value:
    while node.parent is not None:
        node = node.parent
    return [node]


def _self(_run: Evaluation, node: Ref, _position: int, _size: int) -> Value:
    return [node]


def _as_nodes(value: Value) -> list[Ref]:
    assert isinstance(value, list)  # checked when it was compiled
    return value


def _is_current(syntax: Syntax) -> bool:
    return isinstance(syntax, Call) and syntax.name == "current"


def _position(syntax: Syntax) -> int:
    return syntax.position if isinstance(syntax, Call) else 0


def _parts(syntax: Syntax) -> list[Syntax]:
    """The expressions directly inside one; steps' predicates left out."""
    if isinstance(syntax, Call):
        return list(syntax.arguments)
    if isinstance(syntax, Filter):
        return [syntax.primary, *syntax.predicates]
    if isinstance(syntax, LocationPath):
        return [syntax.start] if syntax.start is not None else []
    if isinstance(syntax, Negate):
        return [syntax.operand]
    if isinstance(syntax, Chain):
        return [syntax.first, *(operand for _, operand in syntax.rest)]
    return list(syntax.operands) if isinstance(syntax, Junction) else []


def _mentions(syntax: Syntax, names: Sequence[str]) -> bool:
    """Whether one of the functions is called in the context of the expression itself."""
    if isinstance(syntax, Call) and syntax.name in names:
        return True
    return any(_mentions(part, names) for part in _parts(syntax))


def _independent(syntax: Syntax) -> bool:
    """Whether the value is the same at every context node of one evaluation."""
    if isinstance(syntax, LocationPath) and syntax.start is None:
        return False
    if isinstance(syntax, Call):
        if syntax.name in ("position", "last"):
            return False
        if not syntax.arguments and syntax.name in FUNCTIONS and FUNCTIONS[syntax.name].context_default:
            return False
    if isinstance(syntax, Filter):
        return _independent(syntax.primary)
    return all(_independent(part) for part in _parts(syntax))

"""Instance-identifiers (RFC 7950 section 9.13, RFC 7951 section 6.11): text to Path, and Path to node."""

from __future__ import annotations

from collections.abc import Callable

from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, ListNode, Path, Step, quoted
from eman_netconf.yang.types import TypeFault
from eman_netconf.yang.xpath_nodes import Evaluation, Ref
from eman_netconf.yang.xpath_parser import (
    Axis,
    Chain,
    KindTest,
    Literal,
    LocationPath,
    NameTest,
    Number,
    Root,
    StepSyntax,
    Syntax,
    XPathFault,
    parse,
)

Resolve = Callable[[str | None], str | None]


def from_instance_identifier(text: str, resolve: Resolve, schema: Schema) -> Path:
    """The Path that ``text`` names; ``resolve`` gives the namespace of a prefix.

    A name without prefix is in the module of the node above it, as in JSON. A list entry needs all its keys
    (or its position where it has none). Raises XPathFault.
    """
    syntax = parse(text)
    if not isinstance(syntax, LocationPath) or not isinstance(syntax.start, Root) or not syntax.steps:
        raise XPathFault("an instance-identifier is a path of nodes that starts with '/'")
    node = schema.root
    path: list[Step] = []
    for step in syntax.steps:
        if step.axis is not Axis.CHILD or not isinstance(step.test, NameTest) or step.test.name is None:
            raise XPathFault("an instance-identifier names one node at each step")
        node = _child(node, step.test, resolve)
        path.append(Step(node, _key(node, step, resolve)))
    return tuple(path)


def to_instance_identifier(path: Path) -> str:
    """The canonical text of a path of at least one step: a module name where the module changes."""
    parts: list[str] = []
    module = None
    for schema, key in path:
        parts.append(f"/{schema.name if schema.module is module else schema.qualified_name}")
        module = schema.module
        if key is None:
            continue
        if schema.keys:
            parts.extend(f"[{leaf.name}={quoted(value)}]" for leaf, value in zip(schema.keys, key, strict=True))
        elif schema.kind is Kind.LEAF_LIST:
            parts.append(f"[.={quoted(key[0])}]")
        else:
            parts.append(f"[{int(key[0]) + 1}]")
    return "".join(parts)


def _child(node: SchemaNode, test: NameTest, resolve: Resolve) -> SchemaNode:
    namespace = resolve(test.prefix) if test.prefix is not None else node.namespace if node.parent else resolve(None)
    if namespace is None:
        raise XPathFault(f"unknown prefix {test.prefix!r}" if test.prefix else "a prefix is missing", test.position)
    child = node.children.get((namespace, str(test.name)))
    if child is None:
        raise XPathFault(f"{node.path or '/'} has no child {test.name!r} in {namespace}", test.position)
    return child


def _key(node: SchemaNode, step: StepSyntax, resolve: Resolve) -> tuple[str, ...] | None:
    given: dict[SchemaNode | None, str] = {}
    for predicate in step.predicates:
        leaf, value = _predicate(node, predicate, resolve)
        if leaf in given:
            raise XPathFault(f"{node.name} is given one key twice", _place(step))
        given[leaf] = value
    if node.kind is Kind.LIST and node.keys:
        if set(given) != set(node.keys):
            names = ", ".join(leaf.name for leaf in node.keys)
            raise XPathFault(f"{node.name} must be selected by its keys ({names})", _place(step))
        return tuple(given[leaf] for leaf in node.keys)
    if node.kind in (Kind.LIST, Kind.LEAF_LIST):
        if set(given) != {None}:
            raise XPathFault(f"one instance of {node.name} must be selected", _place(step))
        return (given[None],)
    if given:
        raise XPathFault(f"{node.name} is neither a list nor a leaf-list", _place(step))
    return None


def _predicate(node: SchemaNode, predicate: Syntax, resolve: Resolve) -> tuple[SchemaNode | None, str]:
    """The key leaf (None: the value or position itself) and its canonical value."""
    if isinstance(predicate, Number) and predicate.value >= 1 and node.kind is Kind.LIST:
        return None, str(int(predicate.value) - 1)
    if isinstance(predicate, Chain) and len(predicate.rest) == 1 and isinstance(predicate.first, LocationPath):
        [(operator, literal)] = predicate.rest
        steps = predicate.first.steps
        if operator == "=" and isinstance(literal, Literal) and predicate.first.start is None and len(steps) == 1:
            test = steps[0].test
            leaf = node
            if isinstance(test, NameTest) and test.name is not None and steps[0].axis is Axis.CHILD:
                leaf = _child(node, test, resolve)
            elif not (isinstance(test, KindTest) and steps[0].axis is Axis.SELF):
                raise XPathFault(f"{node.name} must be selected by its keys")
            if leaf.type is None:
                raise XPathFault(f"{leaf.name} has no value")
            return (None if leaf is node else leaf), _canonical(leaf, literal.text, resolve)
    raise XPathFault(f"{node.name} must be selected by name = 'value'")


def _canonical(leaf: SchemaNode, text: str, resolve: Resolve) -> str:
    assert leaf.type is not None
    try:
        return leaf.type.parse_canonical(text)
    except TypeFault:
        pass
    try:
        return leaf.type.parse(text, resolve)
    except TypeFault as fault:
        raise XPathFault(f"{leaf.name} {fault.message}") from fault


def _place(step: StepSyntax) -> int:
    return step.test.position if isinstance(step.test, NameTest) else 0


def find_instance(run: Evaluation, node: Ref, text: str) -> Ref | None:
    """The node that a canonical instance-identifier names in the tree of ``node``, defaults in use included."""
    while node.parent is not None:
        node = node.parent
    modules = run.schema.modules
    try:
        path = from_instance_identifier(
            text, lambda name: modules[name].namespace if name is not None and name in modules else None, run.schema
        )
    except XPathFault:
        return None
    for schema, key in path:
        data = run.child_data(node, schema) if isinstance(node.data, Inner) else None
        run.budget.spend()
        if isinstance(data, ListNode):
            data = data.entries.get(key) if key is not None else None
        elif isinstance(data, tuple):
            data = key[0] if key is not None and key[0] in data else None
        if data is None:
            return None
        node = Ref(schema, data, node, key)
    return node

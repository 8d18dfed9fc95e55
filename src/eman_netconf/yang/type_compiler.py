"""Compile type statements: follow typedefs, gather restrictions, lead leafrefs to their targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from eman_netconf.yang.bounds import ANY_LENGTH, INTEGER_BOUNDS, Bounds, decimal_bounds, make_bounds
from eman_netconf.yang.schema import Constraint, Identity, Kind, Module, SchemaNode
from eman_netconf.yang.types import (
    BinaryType,
    BitsType,
    BooleanType,
    Decimal64Type,
    EmptyType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    IntegerType,
    LeafrefType,
    Pattern,
    StringType,
    UnionType,
    XPathType,
    YangType,
)

Statement = Any  # pyang has no type information

_XPATH_TYPEDEF = "ietf-yang-types:xpath1.0"


class Names(Protocol):
    """What is needed of the compiler of the whole schema."""

    def supported(self, statement: Statement) -> bool: ...
    def constraint(self, statement: Statement, module: Module, *, on_parent: bool) -> Constraint: ...


class TypeCompiler:
    """Type statements to YangTypes, each statement once; leafrefs anew for each leaf, since a path is relative."""

    def __init__(
        self,
        names: Names,
        identities: Iterable[Identity],
        root: SchemaNode,
        modules: Mapping[str, Module],
        by_namespace: Mapping[str, Module],
    ) -> None:
        self.names = names
        self.identities = tuple(identities)
        self.root = root
        self.modules = modules
        self.by_namespace = by_namespace
        self.compiled: dict[int, YangType] = {}  # by id of pyang's statement
        self.settled: dict[int, bool] = {}  # by id of the type; False while in work

    def compile(self, statement: Statement, node: SchemaNode) -> YangType:
        """The type that ``statement`` stands for at ``node``."""
        known = self.compiled.get(id(statement))
        if known is None:
            known = self.make(statement, node)
            if not any(True for _ in leafrefs(known)):
                self.compiled[id(statement)] = known
        return known

    def make(self, statement: Statement, node: SchemaNode) -> YangType:
        chain = list(type_chain(statement))
        typedefs = tuple(f"{found.i_typedef.i_orig_module.i_modulename}:{found.i_typedef.arg}" for found in chain[:-1])
        innermost_first = chain[::-1]
        base: str = chain[-1].arg
        if base in INTEGER_BOUNDS:
            return IntegerType(base, typedefs, self.bounds(innermost_first, "range", INTEGER_BOUNDS[base]))
        if base == "decimal64":
            digits = int(chain[-1].search_one("fraction-digits").arg)
            return Decimal64Type(
                digits, typedefs, self.bounds(innermost_first, "range", decimal_bounds(digits), digits)
            )
        if base == "string":
            text = StringType(typedefs, self.length(innermost_first), self.patterns(innermost_first))
            return XPathType(self.modules, self.by_namespace, text) if _XPATH_TYPEDEF in typedefs else text
        if base == "binary":
            return BinaryType(typedefs, self.length(innermost_first))
        if base == "boolean":
            return BooleanType(typedefs)
        if base == "empty":
            return EmptyType(typedefs)
        if base == "enumeration":
            return EnumerationType(self.members(innermost_first, "enum", "i_value"), typedefs)
        if base == "bits":
            return BitsType(self.members(innermost_first, "bit", "i_position"), typedefs)
        if base == "identityref":
            bases = [
                f"{found.i_identity.i_module.i_modulename}:{found.i_identity.arg}" for found in chain[-1].search("base")
            ]
            return IdentityrefType(bases, self.identities, self.by_namespace, typedefs)
        if base == "instance-identifier":
            return InstanceIdentifierType(self.require_instance(chain), self.root, self.by_namespace, typedefs)
        if base == "union":
            return UnionType([self.compile(found, node) for found in chain[-1].search("type")], typedefs)
        assert base == "leafref", base
        return LeafrefType(self.leafref_path(chain[-1], node), self.require_instance(chain), typedefs)

    # restrictions --------------------------------------------------------------------------------------

    def bounds(self, chain: list[Statement], keyword: str, parent: Bounds, digits: int = 0) -> Bounds:
        for statement in chain:
            found = statement.search_one(keyword)
            if found is not None:
                parent = replace(
                    make_bounds(found.arg, parent, digits),
                    message=_argument(found, "error-message"),
                    app_tag=_argument(found, "error-app-tag"),
                )
        return parent

    def length(self, chain: list[Statement]) -> Bounds | None:
        bounds = self.bounds(chain, "length", ANY_LENGTH)
        return None if bounds is ANY_LENGTH else bounds

    def patterns(self, chain: list[Statement]) -> list[Pattern]:
        return [
            Pattern(
                found.arg,
                invert=_argument(found, "modifier") == "invert-match",
                message=_argument(found, "error-message"),
                app_tag=_argument(found, "error-app-tag"),
            )
            for statement in chain
            for found in statement.search("pattern")
        ]

    def members(self, chain: list[Statement], keyword: str, number: str) -> dict[str, int]:
        """Enums or bits in force with their numbers, which a restriction inherits."""
        known: dict[str, int] = {}
        for statement in chain:
            found = statement.search(keyword)
            if found:
                explicit = {"i_value": "value", "i_position": "position"}[number]
                known = {
                    member.arg: (
                        known[member.arg]
                        if member.arg in known and member.search_one(explicit) is None
                        else getattr(member, number)
                    )
                    for member in found
                    if self.names.supported(member)
                }
        return known

    @staticmethod
    def require_instance(chain: list[Statement]) -> bool:
        """The outermost require-instance of a chain of types, true by default."""
        for statement in chain:
            written = _argument(statement, "require-instance")
            if written is not None:
                return written == "true"
        return True

    # defaults ------------------------------------------------------------------------------------------

    @staticmethod
    def typedef_default(statement: Statement) -> Statement | None:
        """The default statement that a type inherits from the nearest typedef that has one."""
        for found in type_chain(statement):
            if found.i_typedef is not None:
                default = found.i_typedef.search_one("default")
                if default is not None:
                    return default
        return None

    @staticmethod
    def typedef_argument(statement: Statement, keyword: str) -> str | None:
        """The argument of, say, units as the nearest typedef has it."""
        for found in type_chain(statement):
            if found.i_typedef is not None:
                argument = _argument(found.i_typedef, keyword)
                if argument is not None:
                    return argument
        return None

    # leafrefs ------------------------------------------------------------------------------------------

    def leafref_path(self, statement: Statement, node: SchemaNode) -> Constraint:
        path = statement.search_one("path")
        module = node.module
        # a YANG 1 typedef means its own module by a name without prefix (RFC 6020 section 6.4.1)
        if path.i_orig_module.i_version == "1" and statement.parent.keyword == "typedef":
            module = self.modules[path.i_orig_module.i_modulename]
        return self.names.constraint(path, module, on_parent=False)

    def resolve(self, node: SchemaNode, kind: YangType) -> Iterator[str]:
        """Find the targets of all leafrefs in a type; yields what is wrong."""
        for leafref in leafrefs(kind):
            target = self.target(node, leafref.path)
            if target is None or target.type is None:
                yield f"the leafref {node.path} leads to no leaf of the schema: {leafref.path.text}"
            else:
                leafref.target = target

    def target(self, node: SchemaNode, path: Constraint) -> SchemaNode | None:
        """Follow a path-arg (RFC 7950 section 9.9.2) over schema nodes; predicates choose instances, not nodes."""
        here: SchemaNode | None = self.root if path.text.lstrip().startswith("/") else node
        for namespace, name in _steps(path):
            if here is None:
                return None
            if name == "..":
                # input and output stand for their operation, which is no node of its own in XPath
                here = here.parent.parent if here.kind in {Kind.INPUT, Kind.OUTPUT} and here.parent else here.parent
                continue
            here = here.children.get((namespace, name)) or (
                _operation(node, namespace, name) if here is self.root else None
            )
        return here

    def settle(self, kind: YangType) -> None:
        """Tell each leafref the type of its values, the leafrefs it depends on first."""
        if self.settled.get(id(kind)):
            return
        self.settled[id(kind)] = True
        if isinstance(kind, LeafrefType):
            referred = kind.target.type
            assert referred is not None
            self.settle(referred)
            kind.settle(referred.referred if isinstance(referred, LeafrefType) else referred)
        elif isinstance(kind, UnionType):
            for member in kind.members:
                self.settle(member)
            kind.settle()


def type_chain(statement: Statement) -> Iterator[Statement]:
    """A type statement, the type of its typedef, and so on down to the built-in type."""
    while True:
        yield statement
        if statement.i_typedef is None:
            return
        statement = statement.i_typedef.search_one("type")


def leafrefs(kind: YangType) -> Iterator[LeafrefType]:
    """The leafrefs a type is or has among its members."""
    if isinstance(kind, LeafrefType):
        yield kind
    elif isinstance(kind, UnionType):
        for member in kind.members:
            yield from leafrefs(member)


def entered(kind: YangType) -> Iterator[str]:
    """The namespaces of all nodes on the paths of a type's leafrefs."""
    for leafref in leafrefs(kind):
        yield from (namespace for namespace, name in _steps(leafref.path) if name != "..")


def _steps(path: Constraint) -> Iterator[tuple[str, str]]:
    """Namespace and name of each step of a path, without its predicates."""
    for step in re.sub(r"\[[^\]]*\]|\s", "", path.text).strip("/").split("/"):
        prefix, _, name = step.rpartition(":")
        yield path.prefixes.get(prefix, "") if prefix else path.default_namespace, name


def _operation(node: SchemaNode, namespace: str, name: str) -> SchemaNode | None:
    """The input, output or notification ``node`` stands in, if that is its operation's name."""
    here: SchemaNode | None = node
    while here is not None:
        named = here.parent if here.kind in {Kind.INPUT, Kind.OUTPUT} else here
        if (
            here.kind in {Kind.INPUT, Kind.OUTPUT, Kind.NOTIFICATION}
            and named is not None
            and (named.namespace, named.name) == (namespace, name)
        ):
            return here
        here = here.parent
    return None


def _argument(statement: Statement, keyword: str) -> str | None:
    found = statement.search_one(keyword)
    return None if found is None else found.arg

"""Compile YANG modules into a Schema.

pyang reads the modules, checks them, and expands what YANG abbreviates (uses, augment, refine, deviation).
This file turns its statements into SchemaNodes; features are judged here, because pyang does not follow a
feature that depends on another one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pyang import error, syntax
from pyang.context import Context
from pyang.repository import FileRepository

from eman_netconf.yang.patterns import PatternFault
from eman_netconf.yang.schema import Choice, Constraint, Identity, Kind, Module, Schema, SchemaNode
from eman_netconf.yang.type_compiler import TypeCompiler, entered
from eman_netconf.yang.types import TypeFault

Statement = Any  # pyang has no type information

_KINDS = {
    "container": Kind.CONTAINER,
    "list": Kind.LIST,
    "leaf": Kind.LEAF,
    "leaf-list": Kind.LEAF_LIST,
    "anydata": Kind.ANYDATA,
    "anyxml": Kind.ANYXML,
    "rpc": Kind.RPC,
    "action": Kind.ACTION,
    "input": Kind.INPUT,
    "output": Kind.OUTPUT,
    "notification": Kind.NOTIFICATION,
}


class SchemaError(Exception):
    """The modules do not make a schema; ``messages`` says all that is wrong, each with file and line."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("\n".join(self.messages))


def compile_schema(
    modules: Sequence[str],
    path: Sequence[Path],
    *,
    features: Mapping[str, frozenset[str]] | None = None,
    unlisted: Sequence[str] = (),
    state: Sequence[str] = (),
) -> Schema:
    """The schema that implements ``modules``, found in the directories ``path`` and below.

    A module that an implemented one augments, deviates or has a leafref into is implemented too (RFC 7950
    section 5.6.5); other imports only lend their definitions. ``features`` maps a module to the features in
    force there; a module that is missing has all of its own. The modules ``unlisted`` are implemented too, and clients
    are not told of them. What the modules ``state`` define is state alone here, whatever they say (RFC 8525 lets a
    server implement a module in some datastores only). Raises SchemaError.
    """
    modules = (*modules, *unlisted)
    while True:
        try:
            return _Compiler(modules, path, features or {}, frozenset(unlisted), frozenset(state)).compile()
        except _NeededError as needed:
            modules = (*modules, *needed.modules)


class _NeededError(Exception):
    """Leafrefs lead into modules that were only imported: these have to be implemented too."""

    def __init__(self, modules: Iterable[str]) -> None:
        super().__init__()
        self.modules = tuple(modules)


class _Compiler:
    def __init__(
        self,
        names: Sequence[str],
        path: Sequence[Path],
        features: Mapping[str, frozenset[str]],
        unlisted: frozenset[str],
        state: frozenset[str],
    ) -> None:
        self.names = names
        self.unlisted = unlisted
        self.state = state
        self.context = Context(FileRepository(os.pathsep.join(map(str, path)), use_env=False))
        self.wished = features
        self.judged: dict[tuple[str, str], bool] = {}
        self.statements: dict[str, Statement] = {}  # main modules by name
        self.modules: dict[str, Module] = {}
        self.by_namespace: dict[str, Module] = {}
        self.nodes: dict[int, SchemaNode] = {}  # by id of pyang's statement
        self.cases: dict[Choice, dict[str, tuple[SchemaNode, ...]]] = {}  # while they fill
        self.fixed: set[SchemaNode] = set()  # below input, output and notification, where config means nothing
        self.leaves: list[tuple[SchemaNode, Statement]] = []
        self.lists: list[tuple[SchemaNode, Statement]] = []
        nowhere = Module("", None, "", "", (), True, Path())
        self.root = SchemaNode(Kind.ROOT, "", nowhere, None)
        self.rpcs: dict[tuple[str, str], SchemaNode] = {}
        self.notifications: dict[tuple[str, str], SchemaNode] = {}

    def compile(self) -> Schema:
        self.load()
        self.make_modules()
        identities = self.make_identities()
        self.types = TypeCompiler(self, identities.values(), self.root, self.modules, self.by_namespace)
        for statement in self.implemented():
            self.top_level(statement)
        self.seal(self.root)
        for node in (*self.rpcs.values(), *self.notifications.values()):
            self.seal(node)
        self.settle_types()
        self.settle_uniques()
        return Schema(
            modules=self.modules,
            by_namespace=self.by_namespace,
            root=self.root,
            rpcs=self.rpcs,
            notifications=self.notifications,
            identities=identities,
            content_id=self.content_id(),
        )

    # reading -------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read and validate the modules and all they import; a SchemaError tells everything pyang found."""
        asked = error.Position("the list of modules")
        asked.line = 0
        for name in self.names:
            self.context.search_module(asked, name)
        self.context.validate()
        faults = [
            f"{position}: {error.err_to_str(tag, args)}"
            for position, tag, args in self.context.errors
            if error.is_error(error.err_level(tag))
        ]
        if faults:
            raise SchemaError(faults)
        for (name, _), statement in self.context.modules.items():
            if statement.keyword == "module":
                known = self.statements.get(name)
                if known is None or (statement.i_latest_revision or "") > (known.i_latest_revision or ""):
                    self.statements[name] = statement
        parts = [name for name in self.names if name not in self.statements]
        if parts:
            raise SchemaError(f"{name} is a submodule; name the module that it belongs to" for name in parts)

    def implemented(self) -> list[Statement]:
        return [statement for name, statement in self.statements.items() if self.modules[name].implemented]

    def make_modules(self) -> None:
        implemented = dict.fromkeys(self.names)
        deviations: dict[str, dict[str, None]] = {}
        grown = True
        while grown:
            grown = False
            for name in list(implemented):
                for kind, target in self.reaches(self.statements[name]):
                    if kind == "deviation":
                        deviations.setdefault(target, {})[name] = None
                    if target not in implemented:
                        implemented[target] = None
                        grown = True
        for name, statement in self.statements.items():
            features = tuple(name_ for name_ in statement.i_features if self.has_feature(name, name_))
            self.modules[name] = module = Module(
                name=name,
                revision=statement.i_latest_revision,
                namespace=statement.search_one("namespace").arg,
                prefix=statement.i_prefix,
                features=features if name in implemented else (),
                implemented=name in implemented,
                path=Path(statement.pos.ref),
                submodules=tuple(self.submodules(statement)),
                deviated_by=tuple(sorted(deviations.get(name, ()))),
                yang_version=_argument(statement, "yang-version") or "1",
                listed=name not in self.unlisted,
                configurable=name not in self.state,
            )
            self.by_namespace[module.namespace] = module

    def reaches(self, statement: Statement) -> Iterator[tuple[str, str]]:
        """The other modules whose nodes this one augments, deviates or passes on the way there."""
        for part in (statement, *self.included(statement)):
            for kind in ("augment", "deviation"):
                for found in part.search(kind):
                    steps = re.findall(r"/\s*([\w.-]+):", found.arg)
                    for place, prefix in enumerate(steps, 1):
                        name = self.module_name(found, prefix)
                        if name != statement.arg:
                            yield kind if place == len(steps) else "passes", name

    def included(self, statement: Statement) -> list[Statement]:
        parts = [self.context.get_module(found.arg) for found in statement.search("include")]
        return [part for part in parts if part is not None]

    def submodules(self, statement: Statement) -> Iterator[tuple[str, str | None, Path]]:
        for part in self.included(statement):
            yield part.arg, part.i_latest_revision, Path(part.pos.ref)

    # names and features --------------------------------------------------------------------------------

    def module_name(self, statement: Statement, prefix: str | None) -> str:
        """The module that a prefix means where ``statement`` was written."""
        written = statement.i_orig_module
        own: str = written.i_modulename
        if not prefix or prefix == written.i_prefix:
            return own
        name: str = written.i_prefixes[prefix][0]
        return name

    def prefixes(self, statement: Statement) -> dict[str, str]:
        """Every prefix in scope where ``statement`` was written, with its namespace."""
        found = {}
        for prefix in statement.i_orig_module.i_prefixes:
            module = self.modules.get(self.module_name(statement, prefix))
            if module is not None:
                found[prefix] = module.namespace
        return found

    def namespace(self, statement: Statement, prefix: str | None) -> str | None:
        """As module_name, the namespace; for values written in a module."""
        try:
            return self.modules[self.module_name(statement, prefix)].namespace
        except KeyError:
            return None

    def has_feature(self, module: str, name: str) -> bool:
        """Whether a feature is in force: wished for, and all it depends on in force too."""
        key = (module, name)
        if key not in self.judged:
            self.judged[key] = False  # pyang has refused circles; this only bounds the recursion
            wished = self.wished.get(module)
            statement = self.statements[module].i_features.get(name)
            self.judged[key] = (
                statement is not None and (wished is None or name in wished) and self.supported(statement)
            )
        return self.judged[key]

    def supported(self, statement: Statement) -> bool:
        """Whether all if-feature statements of a statement hold."""
        return all(
            self.holds(found, syntax.parse_if_feature_expr(found.arg)) for found in statement.search("if-feature")
        )

    def holds(self, statement: Statement, expression: Any) -> bool:
        if isinstance(expression, str):
            prefix, _, name = expression.rpartition(":")
            return self.has_feature(self.module_name(statement, prefix), name)
        operator, one, two = expression
        if operator == "not":
            return not self.holds(statement, one)
        if operator == "and":
            return self.holds(statement, one) and self.holds(statement, two)
        return self.holds(statement, one) or self.holds(statement, two)

    def make_identities(self) -> dict[str, Identity]:
        """All identities in force, by canonical name, each with all its ancestors."""
        statements = {
            f"{name}:{identity.arg}": identity
            for name, module in self.statements.items()
            for identity in module.i_identities.values()
            if self.supported(identity)
        }
        ancestors: dict[str, frozenset[str]] = {}

        def collect(name: str) -> frozenset[str]:
            if name not in ancestors:
                found: set[str] = set()
                for base in statements[name].search("base") if name in statements else ():
                    above = f"{base.i_identity.i_module.i_modulename}:{base.i_identity.arg}"
                    found |= {above, *collect(above)}
                ancestors[name] = frozenset(found)
            return ancestors[name]

        return {name: Identity(name, self.modules[name.partition(":")[0]], collect(name)) for name in statements}

    # nodes ---------------------------------------------------------------------------------------------

    def top_level(self, module: Statement) -> None:
        for statement in module.i_children:
            if not self.present(statement):
                continue
            if statement.keyword == "rpc":
                node = self.operation(statement, self.root)
                self.rpcs[node.namespace, node.name] = node
            elif statement.keyword == "notification":
                node = self.node(statement, self.root, config=False)
                self.notifications[node.namespace, node.name] = node
            else:
                self.child(statement, self.root, config=module.arg not in self.state)

    def present(self, statement: Statement) -> bool:
        augment = getattr(statement, "i_augment", None)
        return self.supported(statement) and (augment is None or self.supported(augment))

    def child(
        self,
        statement: Statement,
        parent: SchemaNode,
        *,
        config: bool,
        case: tuple[Choice, str] | None = None,
        whens: tuple[Constraint, ...] = (),
    ) -> None:
        """Add what ``statement`` stands for below ``parent``: a node, or all nodes of a choice."""
        if statement.keyword == "choice":
            self.choice(statement, parent, config=config, case=case, whens=whens)
        elif statement.keyword == "action":
            action = self.operation(statement, parent)
            parent.actions[action.namespace, action.name] = action
        elif statement.keyword == "notification":
            notification = self.node(statement, parent, config=False)
            parent.notifications[notification.namespace, notification.name] = notification
        else:
            node = self.node(statement, parent, config=config, whens=whens)
            node.case = case
            parent.children[node.namespace, node.name] = node
            while case is not None:
                choice, name = case
                self.cases[choice][name] += (node,)
                case = choice.parent_case

    def choice(
        self,
        statement: Statement,
        parent: SchemaNode,
        *,
        config: bool,
        case: tuple[Choice, str] | None,
        whens: tuple[Constraint, ...],
    ) -> None:
        whens = (*whens, *self.whens(statement, on_parent=True))
        cases: dict[str, tuple[SchemaNode, ...]] = {}
        choice = Choice(
            name=statement.arg,
            mandatory=_is_true(statement, "mandatory"),
            default=_argument(statement, "default"),
            cases=cases,
            parent_case=case,
            whens=whens,
        )
        parent.choices = (*parent.choices, choice)
        self.cases[choice] = cases
        config = self.config(statement, config)
        for branch in statement.i_children:
            if not self.present(branch):
                continue
            cases[branch.arg] = ()
            below = (*whens, *self.whens(branch, on_parent=True))
            for found in branch.i_children:
                if self.present(found):
                    self.child(found, parent, config=config, case=(choice, branch.arg), whens=below)

    def operation(self, statement: Statement, parent: SchemaNode) -> SchemaNode:
        """An rpc or action with its input and output."""
        node = self.bare(statement, parent)
        node.config = False
        for part in sorted(statement.i_children, key=lambda part: str(part.keyword)):  # input before output
            below = self.bare(part, node)
            below.config = False
            below.musts = self.musts(part, below)
            node.children[below.namespace, below.name] = below
            self.fixed.add(below)
            self.fill(part, below)
        return node

    def node(
        self, statement: Statement, parent: SchemaNode, *, config: bool, whens: tuple[Constraint, ...] = ()
    ) -> SchemaNode:
        """A data node or notification with all below it."""
        node = self.bare(statement, parent)
        if parent in self.fixed or node.kind is Kind.NOTIFICATION:
            self.fixed.add(node)
            node.config = config
        else:
            node.config = self.config(statement, config)
        node.musts = self.musts(statement, node)
        node.whens = (*whens, *self.whens(statement))
        node.units = _argument(statement, "units")
        node.mandatory = _is_true(statement, "mandatory")
        node.presence = statement.search_one("presence") is not None
        node.ordered_by_user = _argument(statement, "ordered-by") == "user"
        node.min_elements = int(_argument(statement, "min-elements") or 0)
        limit = _argument(statement, "max-elements")
        node.max_elements = int(limit) if limit and limit != "unbounded" else None
        if node.kind in {Kind.LEAF, Kind.LEAF_LIST}:
            self.leaves.append((node, statement))
            try:
                node.type = self.types.compile(statement.search_one("type"), node)
            except (PatternFault, TypeFault) as fault:
                raise SchemaError([f"{statement.pos}: {fault}"]) from None
            if node.units is None:
                node.units = self.types.typedef_argument(statement.search_one("type"), "units")
        elif node.kind not in {Kind.ANYDATA, Kind.ANYXML}:
            self.fill(statement, node)
        if node.kind is Kind.LIST:
            self.make_keys(statement, node)
            self.lists.append((node, statement))
        return node

    def bare(self, statement: Statement, parent: SchemaNode) -> SchemaNode:
        node = SchemaNode(
            kind=_KINDS[statement.keyword],
            name=statement.arg,
            module=self.modules[statement.i_module.i_modulename],
            parent=parent,
            description=_argument(statement, "description"),
            status=_argument(statement, "status") or "current",
            extensions={
                f"{found.keyword[0]}:{found.keyword[1]}": found.arg or ""
                for found in statement.substmts
                if isinstance(found.keyword, tuple)
            },
        )
        self.nodes[id(statement)] = node
        return node

    def fill(self, statement: Statement, node: SchemaNode) -> None:
        for found in statement.i_children:
            if self.present(found):
                self.child(found, node, config=node.config)

    def make_keys(self, statement: Statement, node: SchemaNode) -> None:
        names = [name.rpartition(":")[2] for name in (_argument(statement, "key") or "").split()]
        node.keys = tuple(node.children[node.namespace, name] for name in names)
        for key in node.keys:
            key.is_key = True
        rest = {name: child for name, child in node.children.items() if not child.is_key}
        node.children = {(key.namespace, key.name): key for key in node.keys} | rest

    @staticmethod
    def config(statement: Statement, inherited: bool) -> bool:
        written = _argument(statement, "config")
        return inherited and written != "false"

    def musts(self, statement: Statement, node: SchemaNode) -> tuple[Constraint, ...]:
        return tuple(self.constraint(found, node.module, on_parent=False) for found in statement.search("must"))

    def whens(self, statement: Statement, *, on_parent: bool = False) -> tuple[Constraint, ...]:
        """The whens on a statement, those of its uses included, and that of the augment it came by."""
        module = self.modules[statement.i_module.i_modulename]
        augment = getattr(statement, "i_augment", None)
        inherited = augment.search("when") if augment is not None else []
        return (
            *(self.constraint(found, module, on_parent=True) for found in inherited),
            *(
                self.constraint(found, module, on_parent=on_parent or getattr(found, "i_origin", None) == "uses")
                for found in statement.search("when")
            ),
        )

    def constraint(self, statement: Statement, module: Module, *, on_parent: bool) -> Constraint:
        return Constraint(
            text=statement.arg,
            prefixes=self.prefixes(statement),
            default_namespace=module.namespace,
            error_message=_argument(statement, "error-message"),
            error_app_tag=_argument(statement, "error-app-tag"),
            on_parent=on_parent,
        )

    # what needs the whole tree -------------------------------------------------------------------------

    def seal(self, node: SchemaNode) -> None:
        node.seal()
        for order, child in enumerate((*node.children.values(), *node.notifications.values())):
            child.order = order
        for child in (*node.children.values(), *node.actions.values(), *node.notifications.values()):
            self.seal(child)

    def settle_types(self) -> None:
        """Lead every leafref to its target, then compute the defaults, which may need the target's type."""
        needed = {
            self.by_namespace[namespace].name: None
            for node, _ in self.leaves
            if node.type is not None
            for namespace in entered(node.type)
            if namespace in self.by_namespace and not self.by_namespace[namespace].implemented
        }
        if needed:
            raise _NeededError(needed)
        faults: list[str] = []
        for node, statement in self.leaves:
            assert node.type is not None
            faults.extend(f"{statement.pos}: {fault}" for fault in self.types.resolve(node, node.type))
        if not faults:
            for node, statement in self.leaves:
                try:
                    self.settle_default(node, statement)
                except TypeFault as fault:
                    faults.append(f"{statement.pos}: the default of {node.name} {fault.message}")
        if faults:
            raise SchemaError(faults)

    def settle_default(self, node: SchemaNode, statement: Statement) -> None:
        assert node.type is not None
        self.types.settle(node.type)
        written = statement.search("default")
        if not written and not node.mandatory and not node.is_key and node.min_elements == 0:
            inherited = self.types.typedef_default(statement.search_one("type"))
            written = [inherited] if inherited is not None else []
        values = tuple(node.type.parse_default(found.arg, partial(self.namespace, found)) for found in written)
        if node.kind is Kind.LEAF_LIST:
            node.defaults = values
        elif values and not node.is_key:
            node.default = values[0]

    def settle_uniques(self) -> None:
        for node, statement in self.lists:
            uniques = []
            for _, leaves in getattr(statement, "i_unique", ()):
                found = [self.nodes.get(id(leaf)) for leaf in leaves]
                # a unique over a leaf that a feature took away can never be broken
                if all(leaf is not None for leaf in found):
                    uniques.append(tuple(_chain(node, leaf) for leaf in found if leaf is not None))
            node.uniques = tuple(uniques)

    def content_id(self) -> str:
        """A hash of everything that decides what the schema is, down to the text of the modules."""
        digest = hashlib.sha256()
        for name in sorted(self.modules):
            module = self.modules[name]
            facts = (
                *(name, module.revision, module.implemented, sorted(module.features)),
                *(module.deviated_by, module.configurable),
            )
            digest.update(repr(facts).encode())
            for path in (module.path, *(path for _, _, path in module.submodules)):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:32]


def _chain(ancestor: SchemaNode, node: SchemaNode) -> tuple[SchemaNode, ...]:
    """The nodes on the way from below ``ancestor`` down to ``node``."""
    chain = [node]
    while (above := chain[-1].parent) is not None and above is not ancestor:
        chain.append(above)
    return tuple(reversed(chain))


def _argument(statement: Statement, keyword: str) -> str | None:
    found = statement.search_one(keyword)
    return None if found is None else found.arg


def _is_true(statement: Statement, keyword: str) -> bool:
    return _argument(statement, keyword) == "true"

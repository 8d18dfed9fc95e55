"""The compiled schema: a frozen graph of SchemaNodes, modules and identities (RFC 7950)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eman_netconf.yang.types import YangType


class Kind(StrEnum):
    """What a schema node is; choices and cases are no SchemaNodes (see Choice)."""

    ROOT = "root"
    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"
    ANYDATA = "anydata"
    ANYXML = "anyxml"
    RPC = "rpc"
    ACTION = "action"
    INPUT = "input"
    OUTPUT = "output"
    NOTIFICATION = "notification"


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One module of the schema. ``implemented`` is False for modules that are only imported."""

    name: str
    revision: str | None
    namespace: str
    prefix: str
    features: tuple[str, ...]  # those in force
    implemented: bool
    path: Path  # the file it was read from, served as it is by get-schema
    submodules: tuple[tuple[str, str | None, Path], ...] = ()  # name, revision, file
    deviated_by: tuple[str, ...] = ()
    yang_version: str = "1"
    listed: bool = True  # False: clients are told by a capability, not as a module (decision 9)
    configurable: bool = True  # False: its nodes are in the operational datastore alone


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """An identity; ``name`` is canonical, as ``module:identity``. ``bases`` holds all ancestors, not itself."""

    name: str
    module: Module
    bases: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """A must or when: XPath text with the prefixes in scope where it was written.

    ``on_parent`` is True for a when that stands on an augment, uses, choice or case: its context node is
    the data node the nodes are added to (RFC 7950 section 7.21.5), not the node itself.
    """

    text: str
    prefixes: Mapping[str, str]  # prefix -> namespace
    default_namespace: str  # of names without prefix: the module the expression belongs to
    error_message: str | None = None
    error_app_tag: str | None = None
    on_parent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A choice under a data node: its cases by name, each with its data nodes, nested choices included."""

    name: str
    mandatory: bool
    default: str | None
    cases: Mapping[str, tuple[SchemaNode, ...]]
    parent_case: tuple[Choice, str] | None = None  # for a choice inside a case
    whens: tuple[Constraint, ...] = ()


@dataclass(slots=True, eq=False)
class SchemaNode:
    """A data node, rpc, action, notification, input or output. Written by the compiler, then never changed.

    ``children`` holds the data nodes below in schema order, list keys first, choices and cases flattened away.
    """

    kind: Kind
    name: str
    module: Module
    parent: SchemaNode | None
    config: bool = True
    order: int = 0  # position among its siblings
    description: str | None = None
    units: str | None = None
    status: str = "current"
    children: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)  # (namespace, name) -> node
    actions: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)
    notifications: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()  # all choices whose parent data node is this one, outer before inner
    case: tuple[Choice, str] | None = None  # the innermost case this node sits in
    type: YangType | None = None  # leaf, leaf-list
    default: str | None = None  # leaf: canonical
    defaults: tuple[str, ...] = ()  # leaf-list: canonical
    keys: tuple[SchemaNode, ...] = ()  # list; empty = a keyless (config false) list
    is_key: bool = False
    ordered_by_user: bool = False
    presence: bool = False
    mandatory: bool = False
    min_elements: int = 0
    max_elements: int | None = None
    uniques: tuple[tuple[tuple[SchemaNode, ...], ...], ...] = ()  # each unique: paths, each a chain of nodes
    musts: tuple[Constraint, ...] = ()
    whens: tuple[Constraint, ...] = ()
    extensions: Mapping[str, str] = field(default_factory=dict)  # "module:name" -> argument
    # bytes for printing, computed by seal()
    open_tag: bytes = b""
    close_tag: bytes = b""
    empty_tag: bytes = b""
    tag: str = ""  # lxml's {namespace}name
    by_tag: dict[str, SchemaNode] = field(default_factory=dict)  # children by their tag
    by_name: dict[str, SchemaNode] = field(default_factory=dict)  # children by name and by module:name

    @property
    def namespace(self) -> str:
        return self.module.namespace

    @property
    def qualified_name(self) -> str:
        """``module:name``."""
        return f"{self.module.name}:{self.name}"

    @property
    def path(self) -> str:
        """The schema path, as ``/eman-entity:energy-management/entities/entity``; prefix only where it changes."""
        if self.parent is None or self.kind is Kind.ROOT:
            return ""
        same = self.parent.kind is not Kind.ROOT and self.parent.module is self.module
        return f"{self.parent.path}/{self.name if same else self.qualified_name}"

    def child(self, name: str) -> SchemaNode:
        """The child data node named ``name`` or ``module:name``; without module, any one module's. KeyError if none."""
        found = self.by_name.get(name)
        if found is None:  # not there, or this node is not sealed yet
            module, _, local = name.rpartition(":")
            for node in self.children.values():
                if node.name == local and (not module or node.module.name == module):
                    return node
            raise KeyError(f"{self.path or '/'} has no child {name}")
        return found

    def ancestors(self) -> Iterator[SchemaNode]:
        """From the parent up, the root excluded."""
        node = self.parent
        while node is not None and node.kind is not Kind.ROOT:
            yield node
            node = node.parent

    def descendants(self) -> Iterator[SchemaNode]:
        """Every data node below, parents before children."""
        for node in self.children.values():
            yield node
            yield from node.descendants()

    def seal(self) -> None:
        """Compute what printing and looking up need; called once by the compiler when the node is complete."""
        parent = self.parent
        namespace = self.module.namespace
        # what stands directly in <data>, <config>, <rpc> or <rpc-reply> cannot count on its parent's namespace
        outermost = parent is None or parent.kind in (Kind.ROOT, Kind.INPUT, Kind.OUTPUT)
        inherits = not outermost and parent is not None and parent.module.namespace == namespace
        start = self.name if inherits else f'{self.name} xmlns="{namespace}"'
        self.open_tag = f"<{start}>".encode()
        self.empty_tag = f"<{start}/>".encode()
        self.close_tag = f"</{self.name}>".encode()
        self.tag = f"{{{namespace}}}{self.name}"
        for child in self.children.values():
            self.by_tag[f"{{{child.namespace}}}{child.name}"] = child
            self.by_name.setdefault(child.name, child)
            self.by_name[child.qualified_name] = child

    def __repr__(self) -> str:
        return f"<{self.kind} {self.path}>"


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """Everything the server knows of its models."""

    modules: Mapping[str, Module]  # by name; the newest where several revisions are imported
    by_namespace: Mapping[str, Module]  # implemented and imported
    root: SchemaNode  # its children are the top-level data nodes
    rpcs: Mapping[tuple[str, str], SchemaNode]
    notifications: Mapping[tuple[str, str], SchemaNode]
    identities: Mapping[str, Identity]  # by canonical name
    content_id: str = ""  # changes with modules, revisions, features and deviations
    cache: dict[object, object] = field(default_factory=dict, repr=False)  # what is compiled from it once, as XPaths

    def find(self, path: str) -> SchemaNode:
        """The data node at ``/module:a/b/...`` or ``module:a/b``. KeyError names what is missing."""
        node = self.root
        for step in path.strip("/").split("/"):
            node = node.child(step)
        return node

    def listed(self) -> list[Module]:
        """The modules that clients are told of, implemented and imported, by name."""
        return sorted((module for module in self.modules.values() if module.listed), key=lambda module: module.name)

    def derived(self, identity: str, base: str, *, or_self: bool = False) -> bool:
        """Whether ``identity`` is derived from ``base`` (both canonical)."""
        if identity == base:
            return or_self
        known = self.identities.get(identity)
        return known is not None and base in known.bases

    def __repr__(self) -> str:
        return f"<Schema {self.content_id} {len(self.modules)} modules>"

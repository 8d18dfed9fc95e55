"""Random instance trees and random edits of them, for every schema; the randomness is Hypothesis's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Opaque
from eman_netconf.yang.types import (
    BitsType,
    BooleanType,
    Decimal64Type,
    EmptyType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    IntegerType,
    LeafrefType,
    TypeFault,
    UnionType,
    XPathType,
    YangType,
)

MODELS = Path(__file__).parent / "models"
TEXTS = (
    *("a", "b", "c", "x y", "10.0.0.1", "::1", "srv.example", "08:30", "24:00", "2026-01-01T00:00:00Z"),
    *("00:11:22:33:44:55", "4e2fa1c4-0b5a-4d2c-9a4a-0d8c1c2b3a44", "http://e.example/", "$0$secret", "*", "YWJj"),
)
POINTERS = (
    "/probe:site/name",
    "/probe:site/box[id='a']",
    "/probe:site/box[id='b']/port[name='a']/speed",
    "/probe:site/slot[number='1'][kind='probe-shapes:circle']/use",
    "/probe:site/watch[.='a']",
    "/probe:site/box[id='a']/fans",
)


def probe_schema() -> Schema:
    """The schema of the probe modules beside this file."""
    return compile_schema(["probe", "probe-shapes"], [MODELS, *sources.model_path()])


def value(random: Random, kind: YangType) -> str:
    """A canonical value of a type, from few enough that values meet."""
    if isinstance(kind, UnionType):
        return value(random, random.choice(kind.members))
    if isinstance(kind, LeafrefType):
        return value(random, kind.referred)
    if isinstance(kind, EnumerationType):
        return random.choice(list(kind.enums))
    if isinstance(kind, BitsType):
        return " ".join(name for name in kind.bits if random.random() < 0.5)
    if isinstance(kind, BooleanType):
        return random.choice(["true", "false"])
    if isinstance(kind, EmptyType):
        return ""
    if isinstance(kind, IdentityrefType):
        return random.choice(list(kind.values))
    if isinstance(kind, InstanceIdentifierType):
        return random.choice(POINTERS)
    if isinstance(kind, XPathType):
        return "/"
    candidates = TEXTS
    if isinstance(kind, IntegerType | Decimal64Type):
        low = kind.bounds.intervals[0].low
        candidates = ("1", "2", "5", "9", "12", "300", str(low) if isinstance(kind, IntegerType) else "0")
    fitting = [text for text in candidates if _fits(kind, text)]
    if not fitting:
        raise LookupError(f"no text fits {kind}")
    return kind.parse_canonical(random.choice(fitting))


def _fits(kind: YangType, text: str) -> bool:
    try:
        kind.parse_canonical(text)
    except TypeFault:
        return False
    return True


class Grower:
    """Makes data of schema nodes; ``density`` is how likely a child is there."""

    def __init__(self, random: Random, *, density: float = 0.5, state: bool = False, modules: set[str] | None = None):
        self.random = random
        self.density = density
        self.state = state
        self.modules = modules  # None: all

    def wanted(self, node: SchemaNode) -> bool:
        return (self.state or node.config) and (self.modules is None or node.module.name in self.modules)

    def inner(self, node: SchemaNode, key: Key = ()) -> Inner:
        children: dict[SchemaNode, Data] = dict(zip(node.keys, key, strict=True)) if key else {}
        cases = {choice: self.random.choice(list(choice.cases)) for choice in node.choices if choice.cases}
        for child in node.children.values():
            if child.is_key or not self.wanted(child) or not self.chosen(child, cases):
                continue
            likely = 0.9 if child.mandatory or child.min_elements else self.density
            if self.random.random() < likely and (data := self.data(child)) is not None:
                children[child] = data
        return Inner(node, children)

    @staticmethod
    def chosen(node: SchemaNode, cases: dict) -> bool:
        case = node.case
        while case is not None:
            if cases[case[0]] != case[1]:
                return False
            case = case[0].parent_case
        return True

    def data(self, node: SchemaNode) -> Data | None:
        """Data of one node; None where only an empty one came out, or its type has no values."""
        try:
            return self._data(node)
        except LookupError:
            return None

    def _data(self, node: SchemaNode) -> Data | None:
        if node.kind is Kind.LEAF:
            return value(self.random, node.type)
        if node.kind is Kind.LEAF_LIST:
            values = [value(self.random, node.type) for _ in range(self.random.randint(1, 3))]
            return tuple(dict.fromkeys(values))
        if node.kind in (Kind.ANYDATA, Kind.ANYXML):
            return Opaque(f'<x xmlns="urn:x">{self.random.randint(1, 9)}</x>'.encode())
        if node.kind is Kind.LIST:
            entries: dict[Key, Inner] = {}
            for number in range(self.random.randint(1, 3)):
                key = self.key(node) if node.keys else (str(number),)
                entries[key] = self.inner(node, key if node.keys else ())
            return ListNode(node, entries)
        made = self.inner(node)
        return made if made.children or node.presence else None

    def key(self, node: SchemaNode) -> Key:
        return tuple(value(self.random, leaf.type) for leaf in node.keys)


def edited(grower: Grower, root: Inner, count: int = 3) -> Inner:
    """The tree after some random edits; what they do not reach is shared."""
    for _ in range(count):
        root = _edit(grower, root)
    return root


def _edit(grower: Grower, inner: Inner) -> Inner:
    """One edit somewhere in or below ``inner``."""
    random = grower.random
    below = [(schema, data) for schema, data in inner.children.items() if isinstance(data, Inner | ListNode)]
    if below and random.random() < 0.75:
        schema, data = random.choice(below)
        if isinstance(data, Inner):
            changed = _edit(grower, data)
            return inner.replace(schema, changed if changed.children or schema.presence else None)
        return inner.replace(schema, _edit_list(grower, data))
    choices = [node for node in inner.schema.children.values() if not node.is_key and grower.wanted(node)]
    if not choices:
        return inner
    node = random.choice(choices)
    if node in inner.children and random.random() < 0.5:
        return inner.replace(node, None)
    made = grower.data(node)
    if made is None:
        return inner
    children = {other: data for other, data in inner.children.items() if not _excluded(node, other)}
    return Inner(inner.schema, children).replace(node, made)


def _excluded(node: SchemaNode, other: SchemaNode) -> bool:
    """Whether setting ``node`` removes ``other`` as being of another case."""
    mine = dict(_cases(node))
    return any(choice in mine and mine[choice] != name for choice, name in _cases(other))


def _cases(node: SchemaNode) -> Iterator[tuple]:
    case = node.case
    while case is not None:
        yield case
        case = case[0].parent_case


def _edit_list(grower: Grower, data: ListNode) -> ListNode | None:
    random = grower.random
    entries = dict(data.entries)
    keys = list(entries)
    act = random.random()
    if act < 0.5 and keys:
        key = random.choice(keys)
        entries[key] = _edit(grower, entries[key])
    elif act < 0.65 and keys and data.schema.keys:
        del entries[random.choice(keys)]
    elif act < 0.8 and data.schema.ordered_by_user:
        random.shuffle(keys)
        entries = {key: entries[key] for key in keys}
    elif data.schema.keys:
        key = grower.key(data.schema)
        entries[key] = grower.inner(data.schema, key)
    return ListNode(data.schema, entries) if entries else None

"""A judge as the RFC words it: every rule asked about every instance, nothing remembered; and data to try it on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from eman_netconf.nacm.rules import Access
from eman_netconf.yang.diff import Change, Op
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Path, Step
from tests.nacm.writing import tree

_SECRET = ("password",)
_MARKED = {"vault": "all", "control": "all", "safety": "write"}


@dataclass(frozen=True)
class Said:
    """One rule about data; a key of None stands for a predicate left out."""

    permit: bool
    accesses: frozenset[Access]
    module: str
    path: tuple[tuple[SchemaNode, tuple[str | None, ...] | None], ...] | None  # None = no rule-type

    def leaves(self) -> dict[str, str]:
        """As it is configured."""
        told = {
            "action": "permit" if self.permit else "deny",
            "access-operations": "*" if self.accesses == frozenset(Access) else " ".join(sorted(self.accesses)),
            "module-name": self.module,
        }
        if self.path is not None:
            told["path"] = "".join(f"/{node.qualified_name}{_predicates(node, key)}" for node, key in self.path) or "/"
        return told

    def covers(self, path: Path, access: Access) -> bool:
        node = path[-1].schema
        if access not in self.accesses or self.module not in ("*", node.module.name):
            return False
        if self.path is None:
            return True
        if len(self.path) > len(path):
            return False
        return all(
            step.schema is wanted and (key is None or _same(key, step.key))
            for (wanted, key), step in zip(self.path, path, strict=False)
        )


def _predicates(node: SchemaNode, key: tuple[str | None, ...] | None) -> str:
    if key is None:
        return ""
    if node.kind is Kind.LEAF_LIST:
        return f"[.='{key[0]}']"
    if not node.keys:
        return f"[{int(key[0] or 0) + 1}]"
    named = zip(node.keys, key, strict=True)
    return "".join(f"[{leaf.qualified_name}='{value}']" for leaf, value in named if value is not None)


def _same(key: tuple[str | None, ...], given: tuple[str, ...] | None) -> bool:
    return given is not None and all(a is None or a == b for a, b in zip(key, given, strict=True))


def permitted(rules: list[Said], path: Path, access: Access, *, default: bool) -> bool:
    """The verdict on one node (RFC 8341 section 3.4.5)."""
    for rule in rules:
        if rule.covers(path, access):
            return rule.permit
    for step in path:
        marked = _MARKED.get(step.schema.name)
        if marked == "all" or step.schema.name in _SECRET or (marked == "write" and access is not Access.READ):
            return False
    return default


def instances(inner: Inner, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every instance that says something, with its value; each value of a leaf-list by itself."""
    for node, data in inner.children.items():
        for step, value in _items(node, data):
            here = (*path, step)
            if not isinstance(value, Inner):
                yield here, value
                continue
            if node.kind is Kind.LIST or node.presence:
                yield here, None
            yield from instances(value, here)


def _items(node: SchemaNode, data: Data) -> Iterator[tuple[Step, Any]]:
    if isinstance(data, ListNode):
        yield from ((Step(node, key), entry) for key, entry in data.entries.items())
    elif isinstance(data, tuple):
        yield from ((Step(node, (value,)), value) for value in data)
    else:
        yield Step(node), data


def readable(rules: list[Said], root: Inner, *, default: bool) -> set[tuple[Path, object]]:
    """All instances that may be read: with everything they are in, and list entries with their keys."""

    def sees(path: Path) -> bool:
        node = path[-1].schema
        return permitted(rules, path, Access.READ, default=default) and all(
            permitted(rules, (*path, Step(leaf)), Access.READ, default=default) for leaf in node.keys
        )

    return {
        (path, value)
        for path, value in instances(root)
        if all(sees(path[:length]) for length in range(1, len(path) + 1))
    }


def touched(change: Change, path: Path = ()) -> Iterator[tuple[Access, Path]]:
    """Every node that a change creates, alters or deletes."""
    coming = {child.schema.name for child in change.children if child.op is not Op.DELETE}
    for child in change.children:
        here = (*path, Step(child.schema, child.key))
        if child.op is Op.DELETE and _other_case(child.schema.name, coming):
            continue
        if isinstance(child.old or child.new, tuple):
            old, new = set(child.old or ()), set(child.new or ())
            yield from ((Access.CREATE, (*path, Step(child.schema, (value,)))) for value in new - old)
            yield from ((Access.DELETE, (*path, Step(child.schema, (value,)))) for value in old - new)
            if old == new:
                yield Access.UPDATE, here
        elif child.op in (Op.CREATE, Op.DELETE):
            access = Access(str(child.op))
            data = child.new if child.op is Op.CREATE else child.old
            if not isinstance(data, Inner) or child.schema.kind is Kind.LIST or child.schema.presence:
                yield access, here
            if isinstance(data, Inner):
                yield from ((access, below) for below, _ in instances(data, here))
        else:
            if child.op is Op.MOVE or not isinstance(child.new, Inner):
                yield Access.UPDATE, here
            yield from touched(child, here)


def _other_case(name: str, coming: set[str]) -> bool:
    electric = {"phases", "fuse"}
    return (name == "gas" and bool(coming & electric)) or (name in electric and "gas" in coming)


# --- data and rules --------------------------------------------------------------------------------------------------


_TEXT = st.sampled_from(["a", "b", "c"])
_NUMBER = st.integers(0, 2)
_LAMP = st.fixed_dictionaries({"id": _TEXT}, optional={"watts": _NUMBER, "safety": st.booleans()})


def _unique(entries: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[Any]:
    return st.lists(entries, max_size=3, unique_by=lambda entry: tuple(entry[key] for key in keys))


_ROOM = st.fixed_dictionaries(
    {"floor": _NUMBER, "number": _NUMBER},
    optional={
        "use": _TEXT,
        "plant-more:carpet": _TEXT,
        "lamps": st.fixed_dictionaries({"lamp": _unique(_LAMP, "id")}),
        "fuse": st.fixed_dictionaries({}, optional={"amperes": _NUMBER}),
        "phases": _NUMBER,
    },
) | st.fixed_dictionaries({"floor": _NUMBER, "number": _NUMBER, "gas": _TEXT})
_SITE = st.fixed_dictionaries(
    {},
    optional={
        "name": _TEXT,
        "tag": st.lists(_TEXT, unique=True, max_size=3),
        "room": _unique(_ROOM, "floor", "number"),
        "vault": st.fixed_dictionaries({}, optional={"code": _TEXT, "inside": st.just({"gold": 9})}),
        "password": st.just("$6$salt$hash"),
    },
)
_USERS = _unique(st.fixed_dictionaries({"name": _TEXT}, optional={"colour": _TEXT}), "name")


def trees(schema: Schema, *, state: bool = False) -> st.SearchStrategy[Inner]:
    """Sites and homes with few different keys."""

    def made(site: Mapping[str, Any], users: list[Any], events: list[str]) -> Inner:
        told = [{"what": text} for text in events] if state else []
        return tree(schema, {"plant:site": {**site, "event": told}, "plant:home": {"user": users}})

    return st.builds(made, _SITE, _USERS, st.lists(_TEXT, max_size=3))


@st.composite
def rules(draw: st.DrawFn, root: Inner) -> list[Said]:
    """Rules about instances that are there, with some of their keys or none, and about everything."""
    paths: list[Path] = [path for path, _ in instances(root)]
    found = []
    for _ in range(draw(st.integers(0, 5))):
        path: tuple[tuple[SchemaNode, tuple[str | None, ...] | None], ...] | None = None
        if paths and draw(st.booleans()):
            meant = draw(st.sampled_from(paths))
            meant = meant[: draw(st.integers(0, len(meant)))]
            path = tuple((step.schema, _loosened(draw, step)) for step in meant)
        accesses = draw(st.just(frozenset(Access)) | st.sets(st.sampled_from(Access), min_size=1).map(frozenset))
        module = draw(st.sampled_from(["*", "*", "plant", "plant-more"]))
        found.append(Said(draw(st.booleans()), accesses, module, path))
    return found


def _loosened(draw: st.DrawFn, step: Step) -> tuple[str | None, ...] | None:
    if step.key is None or draw(st.booleans()):
        return None
    if len(step.key) == 1:
        return step.key
    kept = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    return tuple(value if keep else None for value, keep in zip(step.key, kept, strict=True))

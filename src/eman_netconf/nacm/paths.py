"""Paths of rules: instance-identifiers in which keys may be left out (RFC 8341, node-instance-identifier)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Key
from eman_netconf.yang.types import TypeFault

_NAME = r"(?:(?P<module>[A-Za-z_][\w.-]*):)?(?P<name>[A-Za-z_][\w.-]*)"
_STEP = re.compile(rf"\s*/\s*{_NAME}\s*")
_PREDICATE = re.compile(
    rf"""\[\s*(?:(?P<position>[1-9][0-9]{{0,9}})
    |(?:(?P<self>\.)|{_NAME})\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<user>\$USER)))\s*\]\s*""",
    re.VERBOSE,
)


class Variable(Enum):
    """What stands in a path for something that is known only with the session."""

    USER = "USER"


#: One value for each key of a list, or for the one value of a leaf-list; None = any.
Pattern = tuple[str | Variable | None, ...]


class PathFault(ValueError):
    """A path that leads nowhere; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One step of a rule's path; without ``pattern`` all instances are meant."""

    node: SchemaNode
    pattern: Pattern | None = None


RulePath = tuple[Stop, ...]


def read_path(text: str, schema: Schema) -> RulePath:
    """The steps of a path in its canonical form, whose prefixes are module names; "/" has none. Raises PathFault.

    It may end at an action or a notification that is defined in the data tree. A name without prefix belongs
    to the module of the node above it.
    """
    if text.strip() == "/":
        return ()
    node = schema.root
    stops: list[Stop] = []
    place = 0
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            raise PathFault(f"{text!r} is no path of nodes such as /module:container/list[key='value'].")
        node = _below(node, step["module"], step["name"], schema)
        place = step.end()
        given: dict[SchemaNode | None, str | Variable] = {}
        while (predicate := _PREDICATE.match(text, place)) is not None:
            leaf, value = _predicate(node, predicate, schema)
            if leaf in given:
                raise PathFault(f"{node.name} is given one key twice.")
            given[leaf] = value
            place = predicate.end()
        stops.append(Stop(node, _pattern(node, given)))
    if not stops:
        raise PathFault("A path must not be empty; / means everything.")
    return tuple(stops)


def _below(node: SchemaNode, module: str | None, name: str, schema: Schema) -> SchemaNode:
    if module is None and node.kind is Kind.ROOT:
        raise PathFault(f"The first name of a path needs a prefix; {name} has none.")
    known = schema.modules.get(module) if module is not None else node.module
    if known is not None:
        wanted = (known.namespace, name)
        found = node.children.get(wanted) or node.actions.get(wanted) or node.notifications.get(wanted)
        if found is not None:
            return found
    where = node.path or "the top"
    raise PathFault(f"{module or node.module.name}:{name} is no node below {where}.")


def _predicate(node: SchemaNode, found: re.Match[str], schema: Schema) -> tuple[SchemaNode | None, str | Variable]:
    """The key that is asked for, or None for the value or the position itself, and its canonical value."""
    if found["position"] is not None:
        if node.kind is not Kind.LIST or node.keys:
            raise PathFault(f"{node.name} cannot be selected by position.")
        return None, str(int(found["position"]) - 1)
    leaf = node
    if found["self"] is None:
        leaf = _below(node, found["module"], found["name"], schema)
        if leaf not in node.keys:
            raise PathFault(f"{leaf.name} is no key of {node.name}.")
    elif node.kind is not Kind.LEAF_LIST:
        raise PathFault(f"{node.name} is no leaf-list; give keys by their names.")
    which = None if leaf is node else leaf
    if found["user"] is not None:
        return which, Variable.USER
    text = found["double"] if found["double"] is not None else found["single"]
    value = canonical(leaf, text)
    if value is None:
        raise PathFault(f"{text!r} is no value of {leaf.name}.")
    return which, value


def canonical(leaf: SchemaNode, text: str) -> str | None:
    """The canonical form of a value in which prefixes are module names; None for what the type does not allow."""
    assert leaf.type is not None
    try:
        return leaf.type.parse_canonical(text)
    except TypeFault:
        return None


def _pattern(node: SchemaNode, given: dict[SchemaNode | None, str | Variable]) -> Pattern | None:
    if not given:
        return None
    if node.kind is Kind.LIST and node.keys:
        return tuple(given.get(leaf) for leaf in node.keys)
    return (given[None],)


def for_user(path: RulePath, user: str) -> RulePath | None:
    """The path with the user's name in place of $USER; None where no node can have it as its key."""
    stops: list[Stop] = []
    for stop in path:
        pattern: list[str | Variable | None] = []
        for leaf, value in zip(stop.node.keys or (stop.node,), stop.pattern or (), strict=False):
            named = canonical(leaf, user) if value is Variable.USER else value
            if named is None and value is not None:
                return None
            pattern.append(named)
        stops.append(Stop(stop.node, tuple(pattern) or None))
    return tuple(stops)


def matches(pattern: Pattern, key: Key) -> bool:
    """Whether an instance with ``key`` is meant."""
    return all(wanted is None or wanted == given for wanted, given in zip(pattern, key, strict=True))

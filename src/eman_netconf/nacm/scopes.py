"""Decisions by place: which rules hold for the instances of a schema node, worked out once and walked afterwards.

A Scope stands for all instances of one schema node that the same rules hold for. From the scope of the root one
walks down as one walks down a tree: ``child`` by schema node, ``entry`` by the key of a list entry or the value
of a leaf-list item. Rules that name keys are found by key, so what they cost does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from eman_netconf.nacm.paths import Pattern, matches
from eman_netconf.nacm.rules import About, Access, Rule
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Key

_DENY_ALL = "ietf-netconf-acm:default-deny-all"
_DENY_WRITE = "ietf-netconf-acm:default-deny-write"
_SECRET_TYPES = frozenset({"iana-crypt-hash:crypt-hash", "eman-types:secret"})

#: So many scopes are remembered for all users together, and so many entries of one list by key.
_MOST = 50_000


def sensitive(node: SchemaNode, access: Access) -> bool:
    """Whether the model keeps a node, and all below it, from those whom no rule permits it (sections 3.4.5, 8.2).

    Hashes of passwords and secrets of devices are kept as if they were marked with default-deny-all.
    """
    if _DENY_ALL in node.extensions:
        return True
    if _DENY_WRITE in node.extensions and access not in (Access.READ, Access.EXEC):
        return True
    return node.type is not None and not _SECRET_TYPES.isdisjoint(node.type.typedefs)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all scopes of one kind of access share. ``settled`` are those that no longer depend on any key."""

    access: Access
    default: bool
    settled: dict[tuple[SchemaNode, tuple[Rule, ...], bool], Scope] = field(default_factory=dict)


class Scope:
    """What holds for some instances of a schema node.

    ``permitted`` is the verdict on the node itself, of a list entry that no rule names by its key.
    """

    __slots__ = (
        "_by_key",
        "_children",
        "_depth",
        "_entries",
        "_ground",
        "_loose",
        "_marked",
        "_narrowed",
        "_pending",
        "_rules",
        "_visible",
        "_whole",
        "gated",
        "permitted",
        "schema",
    )

    def __init__(
        self,
        ground: Ground,
        schema: SchemaNode,
        depth: int,
        rules: tuple[Rule, ...],
        pending: tuple[Rule, ...],
        gated: tuple[Rule, ...],
        *,
        marked: bool,
    ) -> None:
        self.schema = schema
        self.gated = gated  # rules whose path names keys of this very node
        self._ground = ground
        self._depth = depth  # steps from the root
        self._rules = rules  # those in force here and below
        self._pending = pending  # rules whose path leads through here to nodes below
        self._marked = marked
        self._children: dict[SchemaNode, Scope] = {}
        self._entries: dict[tuple[Rule, ...], Scope] = {}
        self._by_key, self._loose = _sorted(gated, depth)
        self._narrowed: Mapping[SchemaNode, Scope] | None = None
        self._visible: bool | None = None
        self._whole: bool | None = None
        self.permitted = next(
            (rule.permit for rule in rules if rule.module in (None, schema.module.name)),
            ground.default and not marked,
        )

    def child(self, node: SchemaNode) -> Scope:
        """The scope of a data node, action or notification below."""
        found = self._children.get(node)
        if found is None:
            found = self._children[node] = self._make(node)
        return found

    def entry(self, key: Key) -> Scope:
        """The scope of one list entry or leaf-list item."""
        if not self.gated:
            return self
        named = self._by_key.get(key, ())
        if self._loose:
            named += tuple(rule for rule in self._loose if matches(_pattern(rule, self._depth), key))
        if not named:
            return self
        found = self._entries.get(named)
        if found is None:
            if len(self._entries) >= _MOST:
                self._entries.clear()
            found = self._entries[named] = self._opened(named)
        return found

    @property
    def visible(self) -> bool:
        """Whether an instance can be shown: a list entry cannot without its keys."""
        if self._visible is None:
            self._visible = self.permitted and all(self.child(leaf).permitted for leaf in self.schema.keys)
        return self._visible

    @property
    def whole(self) -> bool:
        """Whether the node with everything below it is permitted, whatever the keys are."""
        if self._whole is None:
            self._whole = self.permitted and all(rule.permit for rule in self.gated) and not self.narrowed
        return self._whole

    @property
    def narrowed(self) -> Mapping[SchemaNode, Scope]:
        """The children that are not permitted as a whole."""
        if self._narrowed is None:
            scopes = ((node, self.child(node)) for node in self.schema.children.values() if self._counts(node))
            self._narrowed = {node: scope for node, scope in scopes if not scope.whole}
        return self._narrowed

    def _counts(self, node: SchemaNode) -> bool:
        """Whether a node can hold anything; containers that are there for their actions alone do not."""
        return bool(node.children) or node.kind is not Kind.CONTAINER or node.presence

    def _make(self, node: SchemaNode) -> Scope:
        leading = [rule for rule in self._pending if rule.path[self._depth].node is node]
        free = [rule for rule in leading if rule.path[self._depth].pattern is None]
        gated = tuple(rule for rule in leading if rule.path[self._depth].pattern is not None)
        rules, pending = self._split(self._rules, free, self._depth + 1)
        marked = self._marked or sensitive(node, self._ground.access)
        if gated or pending:
            return Scope(self._ground, node, self._depth + 1, rules, pending, gated, marked=marked)
        settled = self._ground.settled
        known = settled.get((node, rules, marked))
        if known is None:
            if len(settled) >= _MOST:
                settled.clear()
            known = settled[node, rules, marked] = Scope(
                self._ground, node, self._depth + 1, rules, (), (), marked=marked
            )
        return known

    def _opened(self, named: Iterable[Rule]) -> Scope:
        """This scope with rules that name the key in question."""
        rules, pending = self._split(self._rules, named, self._depth)
        return Scope(self._ground, self.schema, self._depth, rules, self._pending + pending, (), marked=self._marked)

    @staticmethod
    def _split(rules: tuple[Rule, ...], more: Iterable[Rule], depth: int) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """The rules in force when some more lead here, and those of them that lead on."""
        ending = [rule for rule in more if len(rule.path) == depth]
        pending = tuple(rule for rule in more if len(rule.path) > depth)
        return (in_force((*rules, *ending)) if ending else rules), pending


def in_force(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules in order, without those behind one that always matches."""
    found: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: rule.order):
        found.append(rule)
        if rule.module is None:
            break
    return tuple(found)


def top(ground: Ground, root: SchemaNode, rules: Iterable[Rule]) -> Scope:
    """The scope of the root: nothing is said of the root itself, it is permitted."""
    mine = [rule for rule in rules if ground.access in rule.accesses and rule.about in (About.ANYTHING, About.DATA)]
    everywhere = in_force(rule for rule in mine if not rule.path)
    scope = Scope(ground, root, 0, everywhere, tuple(rule for rule in mine if rule.path), (), marked=False)
    scope.permitted = True
    return scope


def _pattern(rule: Rule, depth: int) -> Pattern:
    pattern = rule.path[depth - 1].pattern
    assert pattern is not None, "only rules that name keys stand at a gate"
    return pattern


def _sorted(gated: Iterable[Rule], depth: int) -> tuple[Mapping[Key, tuple[Rule, ...]], tuple[Rule, ...]]:
    """Rules that name all keys, by key, and the others."""
    by_key: dict[Key, tuple[Rule, ...]] = {}
    loose: list[Rule] = []
    for rule in gated:
        pattern = _pattern(rule, depth)
        key = tuple(value for value in pattern if isinstance(value, str))
        if len(key) == len(pattern):
            by_key[key] = (*by_key.get(key, ()), rule)
        else:
            loose.append(rule)
    return by_key, tuple(loose)

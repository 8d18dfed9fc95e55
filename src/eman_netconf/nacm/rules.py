"""The container nacm as values: defaults, groups and rules in order (RFC 8341 section 3.2 to 3.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.nacm.paths import PathFault, RulePath, Variable, for_user, read_path
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode, Step, path_text

CONTAINER = "ietf-netconf-acm:nacm"
_ALL = "*"


class Access(StrEnum):
    """What may be permitted (RFC 8341 section 3.2.2)."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    EXEC = "exec"


class About(StrEnum):
    """What a rule is about: the cases of rule-type, and ANYTHING for a rule without any."""

    ANYTHING = "anything"
    RPC = "rpc-name"
    NOTIFICATION = "notification-name"
    DATA = "path"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule; None for a module or a name means all of them. ``order`` is its place among all rules."""

    order: int
    permit: bool
    accesses: frozenset[Access]
    about: About = About.ANYTHING
    module: str | None = None
    name: str | None = None  # of the rpc or notification
    path: RulePath = ()  # of data; () = everything

    def names(self, about: About, node: SchemaNode) -> bool:
        """Whether the rule is about this rpc or notification."""
        return (
            self.about in (About.ANYTHING, about)
            and self.module in (None, node.module.name)
            and (self.about is About.ANYTHING or self.name in (None, node.name))
        )


@dataclass(frozen=True, slots=True, eq=False)
class RuleList:
    """Rules for those who are in one of the ``groups``; None = in any group."""

    groups: frozenset[str] | None
    rules: tuple[Rule, ...]
    per_user: bool  # whether a path speaks of $USER

    def concerns(self, groups: frozenset[str]) -> bool:
        return bool(groups) and (self.groups is None or not self.groups.isdisjoint(groups))


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """All that is configured in nacm."""

    enabled: bool
    defaults: Mapping[Access, bool]
    external_groups: bool
    groups: Mapping[str, frozenset[str]]  # by user
    lists: tuple[RuleList, ...]


def read_policy(nacm: Inner | None, schema: Schema) -> Policy:
    """What the container says, or its defaults. A rule whose path names no node of the schema matches nothing."""
    nacm = nacm if nacm is not None else Inner(schema.root.child(CONTAINER))
    writing = _said(nacm, "write-default") == "permit"
    return Policy(
        enabled=_said(nacm, "enable-nacm") == "true",
        defaults={
            Access.READ: _said(nacm, "read-default") == "permit",
            Access.EXEC: _said(nacm, "exec-default") == "permit",
            **dict.fromkeys((Access.CREATE, Access.UPDATE, Access.DELETE), writing),
        },
        external_groups=_said(nacm, "enable-external-groups") == "true",
        groups=_groups(nacm),
        lists=tuple(_lists(nacm, schema)),
    )


def faults(nacm: Inner, schema: Schema) -> Iterator[RpcError]:
    """What cannot be meant: paths that lead nowhere, each with its place."""
    top = nacm.schema
    for list_key, rule_list in _entries(nacm, "rule-list"):
        for key, entry in _entries(rule_list, "rule"):
            text = entry.leaf("path")
            if text is None:
                continue
            try:
                read_path(text, schema)
            except PathFault as fault:
                where = (Step(top), Step(rule_list.schema, list_key), Step(entry.schema, key))
                yield RpcError(
                    ErrorTag.INVALID_VALUE, str(fault), path=path_text((*where, Step(entry.schema.child("path"))))
                )


def rules_for(lists: tuple[RuleList, ...], user: str) -> tuple[Rule, ...]:
    """The rules of these lists in order, each path with the user's name in it."""
    found: list[Rule] = []
    for rule_list in lists:
        for rule in rule_list.rules:
            if not (rule_list.per_user and _speaks_of_user(rule.path)):
                found.append(rule)
                continue
            path = for_user(rule.path, user)
            if path is not None:
                found.append(replace(rule, path=path))
    return tuple(found)


def _said(inner: Inner, name: str) -> str | None:
    value = inner.leaf(name)
    return value if value is not None else inner.schema.child(name).default


def _groups(nacm: Inner) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    groups = nacm.at("groups")
    for key, group in _entries(groups, "group") if isinstance(groups, Inner) else ():
        for user in _values(group, "user-name"):
            found.setdefault(user, set()).add(key[0])
    return {user: frozenset(names) for user, names in found.items()}


def _lists(nacm: Inner, schema: Schema) -> Iterator[RuleList]:
    order = 0
    for _, entry in _entries(nacm, "rule-list"):
        rules: list[Rule] = []
        for _, said in _entries(entry, "rule"):
            rule = _rule(said, order, schema)
            order += 1
            if rule is not None:
                rules.append(rule)
        groups = frozenset(_values(entry, "group"))
        per_user = any(_speaks_of_user(rule.path) for rule in rules)
        yield RuleList(None if _ALL in groups else groups, tuple(rules), per_user)


def _rule(said: Inner, order: int, schema: Schema) -> Rule | None:
    about = next((case for case in About if case is not About.ANYTHING and said.leaf(case) is not None), About.ANYTHING)
    path: RulePath = ()
    name: str | None = None
    if about is About.DATA:
        try:
            path = read_path(said.leaf("path") or "", schema)
        except PathFault:
            return None
    elif about is not About.ANYTHING:
        name = _unless_all(said.leaf(about))
    accesses = _said(said, "access-operations") or _ALL
    return Rule(
        order,
        said.leaf("action") == "permit",
        frozenset(Access) if accesses == _ALL else frozenset(map(Access, accesses.split())),
        about,
        _unless_all(_said(said, "module-name")),
        name,
        path,
    )


def _unless_all(value: str | None) -> str | None:
    return None if value == _ALL else value


def _speaks_of_user(path: RulePath) -> bool:
    return any(stop.pattern is not None and Variable.USER in stop.pattern for stop in path)


def _entries(inner: Inner, name: str) -> Iterator[tuple[Key, Inner]]:
    data = inner.at(name)
    return iter(data.entries.items() if isinstance(data, ListNode) else ())


def _values(inner: Inner, name: str) -> tuple[str, ...]:
    data = inner.at(name)
    return data if isinstance(data, tuple) else ()

"""What the rules say for all users they say the same for (RFC 8341 sections 3.4.4 to 3.4.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile

from eman_netconf.errors import BASE_NS
from eman_netconf.nacm.rules import About, Access, Policy, Rule
from eman_netconf.nacm.scopes import Ground, Scope, sensitive, top
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Path

_NEVER_BY_DEFAULT = frozenset({(BASE_NS, "kill-session"), (BASE_NS, "delete-config")})  # sections 3.2.7 and 3.2.10


class Rights:
    """What the rules say for all users they say the same for."""

    def __init__(self, schema: Schema, policy: Policy, grounds: Mapping[Access, Ground], rules: tuple[Rule, ...]):
        self._schema = schema
        self._policy = policy
        self._grounds = grounds
        self._rules = rules
        self._tops: dict[Access, Scope] = {}
        self._hears: dict[SchemaNode, bool] = {}
        self._sees_all: dict[SchemaNode, bool] = {}

    def scope(self, access: Access) -> Scope:
        """Where a walk begins: the scope of the root."""
        found = self._tops.get(access)
        if found is None:
            found = self._tops[access] = top(self._grounds[access], self._schema.root, self._rules)
        return found

    def calls(self, node: SchemaNode) -> bool:
        """Whether an rpc may be called (section 3.4.4)."""
        said = self._said(About.RPC, Access.EXEC, node)
        if said is not None:
            return said
        if (node.namespace, node.name) in _NEVER_BY_DEFAULT or sensitive(node, Access.EXEC):
            return False
        return self._policy.defaults[Access.EXEC]

    def hears(self, node: SchemaNode) -> bool:
        """Whether a notification of a module's own may be received (section 3.4.6)."""
        known = self._hears.get(node)
        if known is None:
            said = self._said(About.NOTIFICATION, Access.READ, node)
            open_ = self._policy.defaults[Access.READ] and not sensitive(node, Access.READ)
            known = self._hears[node] = open_ if said is None else said
        return known

    def _said(self, about: About, access: Access, node: SchemaNode) -> bool | None:
        return next((rule.permit for rule in self._rules if access in rule.accesses and rule.names(about, node)), None)

    def reads(self, path: Path) -> bool:
        """Whether every instance on a path may be read."""
        return all(scope.visible for scope in walk(self.scope(Access.READ), path))

    def sees_all(self, node: SchemaNode) -> bool:
        """Whether every instance of a list may be read, whatever its keys are and those it stands in."""
        known = self._sees_all.get(node)
        if known is None:
            scope, known = self.scope(Access.READ), True
            for each in reversed([node, *node.ancestors()]):
                scope = scope.child(each)
                known = known and scope.visible and all(rule.permit for rule in scope.gated)
            self._sees_all[node] = known
        return known

    def shown(self, path: Path) -> Path:
        """As much of a path as may be read."""
        scopes = walk(self.scope(Access.READ), path)
        return path[: sum(1 for _ in takewhile(lambda scope: scope.visible, scopes))]

    def writes(self, path: Path) -> bool:
        """Whether the last node of a path may be changed in any way."""
        return any(self.may(way, path) for way in (Access.CREATE, Access.UPDATE, Access.DELETE))

    def may(self, access: Access, path: Path) -> bool:
        """Whether the last node of a path may be accessed so."""
        *_, scope = (self.scope(access), *walk(self.scope(access), path))
        return scope.permitted

    def acts(self, path: Path, action: SchemaNode) -> bool:
        """Whether an action may be called on the last node of a path (sections 3.1.3 and 3.4.5)."""
        if not self.reads(path):
            return False
        *_, last = (self.scope(Access.EXEC), *walk(self.scope(Access.EXEC), path))
        return last.child(action).permitted


def walk(scope: Scope, path: Path) -> Iterator[Scope]:
    """The scope of each step of a path."""
    for node, key in path:
        scope = scope.child(node)
        if key is not None:
            scope = scope.entry(key)
        yield scope

"""The judge: who may call, read, change, act and be notified (RFC 8341 section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice, takewhile

from eman_netconf.errors import BASE_NS, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.nacm import rules as configured
from eman_netconf.nacm.paths import PathFault, read_path
from eman_netconf.nacm.rules import About, Access, Policy, Rule, RuleList, read_policy, rules_for
from eman_netconf.nacm.scopes import Ground, Scope, sensitive, top
from eman_netconf.nacm.view import seen
from eman_netconf.nacm.writes import Denied, Scopes, denials
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, ListNode, Path, Step, make_inner, path_text
from eman_netconf.yang.types import LeafrefType, TypeFault

#: Denials of one change that are told, each with its path; the first of them is reason enough.
MOST_DENIALS = 20

#: So many kinds of users are remembered; with $USER in a rule's path every user is a kind.
_MOST_RIGHTS = 1_000

_NEVER_BY_DEFAULT = frozenset({(BASE_NS, "kill-session"), (BASE_NS, "delete-config")})  # sections 3.2.7 and 3.2.10
_ALWAYS = (BASE_NS, "close-session")
_REPLAY_NS = "urn:ietf:params:xml:ns:netmod:notification"
_ALWAYS_TOLD = frozenset({(_REPLAY_NS, "replayComplete"), (_REPLAY_NS, "notificationComplete")})


class Rights:
    """What the rules say for all users they say the same for."""

    def __init__(self, schema: Schema, policy: Policy, grounds: Mapping[Access, Ground], rules: tuple[Rule, ...]):
        self._schema = schema
        self._policy = policy
        self._grounds = grounds
        self._rules = rules
        self._tops: dict[Access, Scope] = {}

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
        said = self._said(About.NOTIFICATION, Access.READ, node)
        if said is not None:
            return said
        return self._policy.defaults[Access.READ] and not sensitive(node, Access.READ)

    def _said(self, about: About, access: Access, node: SchemaNode) -> bool | None:
        return next((rule.permit for rule in self._rules if access in rule.accesses and rule.names(about, node)), None)

    def reads(self, path: Path) -> bool:
        """Whether every instance on a path may be read."""
        return all(scope.visible for scope in _walk(self.scope(Access.READ), path))

    def shown(self, path: Path) -> Path:
        """As much of a path as may be read."""
        scopes = _walk(self.scope(Access.READ), path)
        return path[: sum(1 for _ in takewhile(lambda scope: scope.visible, scopes))]

    def writes(self, path: Path) -> bool:
        """Whether the last node of a path may be changed in any way."""
        ways = (Access.CREATE, Access.UPDATE, Access.DELETE)
        return any(scope.permitted for way in ways for *_, scope in [_walk(self.scope(way), path)])

    def acts(self, path: Path, action: SchemaNode) -> bool:
        """Whether an action may be called on the last node of a path (sections 3.1.3 and 3.4.5)."""
        if not self.reads(path):
            return False
        *_, last = (self.scope(Access.EXEC), *_walk(self.scope(Access.EXEC), path))
        return last.child(action).permitted


class Nacm:
    """Access control by the container nacm of running, which is compiled anew whenever it changed.

    ``recovery`` is the user whom no rule binds (section 3.3.3, recovery session); ``running`` gives the
    configuration in force. It takes part in commits to refuse rules that cannot be meant, and counts what it
    denies as an OperationalSource.
    """

    def __init__(self, schema: Schema, recovery: str, running: Callable[[], Inner]) -> None:
        self.denied_operations = 0
        self.denied_writes = 0
        self.denied_notifications = 0
        self._schema = schema
        self._recovery = recovery
        self._running = running
        self._node = schema.root.child(configured.CONTAINER)
        path_type = self._node.child("rule-list").child("rule").child("path").type
        assert path_type is not None
        self._path_type = path_type
        self._source: Data | None = None
        self._compile(None)

    # --- rules

    def _compile(self, source: Data | None) -> None:
        self._source = source
        self._policy = read_policy(source if isinstance(source, Inner) else None, self._schema)
        self._grounds = {access: Ground(access, self._policy.defaults[access]) for access in Access}
        self._rights: dict[tuple[tuple[RuleList, ...], str], Rights] = {}

    def _rights_of(self, session: SessionInfo) -> Rights | None:
        """What binds a session; None = nothing does."""
        if session.user == self._recovery:
            return None
        source = self._running().children.get(self._node)
        if source is not self._source:
            self._compile(source)
        policy = self._policy
        if not policy.enabled:
            return None
        groups = policy.groups.get(session.user, frozenset())
        if policy.external_groups:
            groups |= session.groups
        lists = tuple(each for each in policy.lists if each.concerns(groups))
        user = session.user if any(each.per_user for each in lists) else ""
        found = self._rights.get((lists, user))
        if found is None:
            if len(self._rights) >= _MOST_RIGHTS:
                self._rights.clear()
            found = Rights(self._schema, policy, self._grounds, rules_for(lists, user))
            self._rights[lists, user] = found
        return found

    # --- judging

    def operation(self, session: SessionInfo, node: SchemaNode) -> None:
        """Raises RpcError access-denied."""
        rights = self._rights_of(session)
        if rights is None or (node.namespace, node.name) == _ALWAYS or rights.calls(node):
            return
        self.denied_operations += 1
        raise _refused(session, f"call {node.name}", ErrorType.PROTOCOL)

    def readable(self, session: SessionInfo, root: Inner) -> Inner:
        """What the user sees of a tree; the tree itself where that is all of it."""
        rights = self._rights_of(session)
        return root if rights is None else seen(root, rights.scope(Access.READ))

    def change(self, session: SessionInfo, change: Change) -> None:
        """Raises RpcErrors access-denied, one for each node denied, up to MOST_DENIALS."""
        rights = self._rights_of(session)
        if rights is None:
            return
        scopes = Scopes(*(rights.scope(access) for access in (Access.CREATE, Access.UPDATE, Access.DELETE)))
        found = list(islice(denials(change, scopes), MOST_DENIALS))
        if found:
            self.denied_writes += 1
            raise RpcErrors(_denied(session, found, rights))

    def veiled(self, session: SessionInfo, errors: Iterable[RpcError]) -> list[RpcError]:
        """The errors of a request without what they tell of nodes that the user may neither read nor write.

        Such an error becomes the one that a change there is denied with, so that nobody finds out by trying what
        exists (RFC 8341 section 3.2.5).
        """
        rights = self._rights_of(session)
        if rights is None:
            return list(errors)
        found: list[RpcError] = []
        concealed: set[Path] = set()
        for error in errors:
            path = self._place_of(error)
            shown = () if path is None else rights.shown(path)
            if path is None or shown == path or rights.writes(path):
                found.append(error)
            elif shown not in concealed:
                concealed.add(shown)
                found.append(_concealed(session, shown))
        return found

    def _place_of(self, error: RpcError) -> Path | None:
        """The data node an error is about; None when it is about something else."""
        where = error.path
        if where is None:
            return None
        try:
            text = self._path_type.parse(where.text, lambda prefix: where.namespaces.get(prefix or ""))
            stops = read_path(text, self._schema)
        except (PathFault, TypeFault):
            return None
        return tuple(Step(stop.node, stop.pattern) for stop in stops)  # type: ignore[arg-type]  # no key is left out

    def action(self, session: SessionInfo, node: SchemaNode, path: Path) -> None:
        """Raises RpcError access-denied, whether or not the instances on the path exist."""
        rights = self._rights_of(session)
        if rights is None or rights.acts(path, node):
            return
        self.denied_operations += 1
        raise _refused(session, f"call {node.name} here", ErrorType.APPLICATION, path)

    def notification(self, session: SessionInfo, node: SchemaNode, notification: Inner) -> bool:
        """Whether the user may receive it: the type itself, and the list entries that its leafrefs name.

        A notification of a module's own speaks of instances in its leaves; one that is defined in the data tree
        comes with the nodes it stands in. Either way whoever may not read an instance hears nothing of it.
        """
        rights = self._rights_of(session)
        if rights is None or (node.namespace, node.name) in _ALWAYS_TOLD:
            return True
        if node.parent is not None and node.parent.kind is not Kind.ROOT:
            heard = rights.reads(_place(node, notification))
        else:
            heard = rights.hears(node) and all(map(rights.reads, _named(notification)))
        self.denied_notifications += not heard
        return heard

    # --- taking part in commits

    def prepare(self, change: Change, new: Inner) -> None:
        """Raises RpcErrors for rules whose paths lead nowhere."""
        nacm = new.children.get(self._node)
        old = change.old.children.get(self._node) if isinstance(change.old, Inner) else None
        if nacm is old or not isinstance(nacm, Inner):
            return
        errors = list(configured.faults(nacm, self._schema))
        if errors:
            raise RpcErrors(errors)

    def apply(self, change: Change, new: Inner) -> None:
        pass  # the rules are compiled when somebody is judged by them

    # --- what it tells

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        """The counters of the container nacm."""
        return ((self._node, Late(self._node, partial(self._counted, running.children.get(self._node)))),)

    def _counted(self, source: Data | None) -> Mapping[SchemaNode, Data]:
        counted = make_inner(
            self._node,
            {
                "denied-operations": self.denied_operations,
                "denied-data-writes": self.denied_writes,
                "denied-notifications": self.denied_notifications,
            },
        )
        return {**(source.children if isinstance(source, Inner) else {}), **counted.children}


# --- paths -----------------------------------------------------------------------------------------------------------


def _walk(scope: Scope, path: Path) -> Iterator[Scope]:
    for node, key in path:
        scope = scope.child(node)
        if key is not None:
            scope = scope.entry(key)
        yield scope


def _place(node: SchemaNode, notification: Inner) -> Path:
    """The path of a notification in the data tree; ``notification`` is the top-level node it comes in."""
    path: list[Step] = []
    inner = Inner(node, {notification.schema: notification})
    for each in reversed([*node.ancestors()]):
        named = (below for node, below in inner.children.items() if node.tag == each.tag)
        data = next(named, None)
        if isinstance(data, ListNode):
            data = next(iter(data.entries.values()), None)
        inner = data if isinstance(data, Inner) else Inner(each)
        path.append(Step(each, inner.key() if each.keys and inner.children else None))
    return (*path, Step(node))


def _named(notification: Inner) -> Iterator[Path]:
    """The list entries that the leafrefs directly in a notification name, as far as their keys are all told.

    Where several leaves name entries of one list, those in others stand in the entry that is named first.
    """
    told: dict[SchemaNode, tuple[str, ...]] = {}
    for leaf, data in notification.ordered():
        if isinstance(leaf.type, LeafrefType) and isinstance(data, str | tuple):
            values = (data,) if isinstance(data, str) else data
            told[leaf.type.target] = told.get(leaf.type.target, ()) + values
    for target, values in told.items():
        entry = target.parent
        if entry is not None and entry.keys == (target,):
            above = _above(entry, told)
            if above is not None:
                yield from ((*above, Step(entry, (value,))) for value in values)


def _above(entry: SchemaNode, told: Mapping[SchemaNode, tuple[str, ...]]) -> Path | None:
    """The path down to a list; None when it stands in an entry of which the notification does not tell which."""
    path: list[Step] = []
    for node in reversed([*entry.ancestors()]):
        if not all(leaf in told for leaf in node.keys):
            return None
        path.append(Step(node, tuple(told[leaf][0] for leaf in node.keys) or None))
    return tuple(path)


# --- refusals --------------------------------------------------------------------------------------------------------


def _refused(session: SessionInfo, what: str, layer: ErrorType, path: Path = ()) -> RpcError:
    return RpcError(
        ErrorTag.ACCESS_DENIED,
        f"User {session.user} may not {what}; a rule for one of the user's groups has to permit it.",
        type=layer,
        path=path_text(path) if path else None,
    )


def _denied(session: SessionInfo, found: Iterable[Denied], rights: Rights) -> Iterator[RpcError]:
    """One error for each place; none tells of more than the user may read, for others may have put it there."""
    concealed: set[Path] = set()
    for denied in found:
        shown = rights.shown(denied.path)
        if shown == denied.path:
            yield _refused(session, f"{denied.access} {shown[-1].schema.name}", ErrorType.APPLICATION, shown)
        elif shown not in concealed:
            concealed.add(shown)
            yield _concealed(session, shown)


def _concealed(session: SessionInfo, shown: Path) -> RpcError:
    name = shown[-1].schema.name if shown else "the top"
    return _refused(session, f"change something below {name} that this user cannot read", ErrorType.APPLICATION, shown)

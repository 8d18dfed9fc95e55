"""The judge: who may call, read, change, act and be notified (RFC 8341 section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice

from eman_netconf.errors import BASE_NS, ErrorPath, ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.nacm import rules as configured
from eman_netconf.nacm.mirrors import Mirrors
from eman_netconf.nacm.paths import PathFault, read_path
from eman_netconf.nacm.rights import Rights
from eman_netconf.nacm.rules import Access, RuleList, read_policy, rules_for
from eman_netconf.nacm.scopes import Ground
from eman_netconf.nacm.shadows import Shadow, Shadows
from eman_netconf.nacm.subjects import Subjects, in_data
from eman_netconf.nacm.view import seen
from eman_netconf.nacm.writes import Denied, Scopes, denials
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, Path, Step, make_inner, path_text
from eman_netconf.yang.types import TypeFault

#: Denials of one change that are told, each with its path; the first of them is reason enough.
MOST_DENIALS = 20

#: So many kinds of users are remembered; with $USER in a rule's path every user is a kind.
_MOST_RIGHTS = 1_000

_ALWAYS = (BASE_NS, "close-session")
_REPLAY_NS = "urn:ietf:params:xml:ns:netmod:notification"
_ALWAYS_TOLD = frozenset({(_REPLAY_NS, "replayComplete"), (_REPLAY_NS, "notificationComplete")})


class Nacm:
    """Access control by the container nacm of running, which is compiled anew whenever it changed.

    ``recovery`` is the user whom no rule binds (section 3.3.3, recovery session); ``running`` gives the
    configuration in force, ``shadows`` are leaves that tell of what others show. It takes part in commits to refuse
    rules that cannot be meant, and counts what it denies as an OperationalSource.
    """

    def __init__(
        self, schema: Schema, recovery: str, running: Callable[[], Inner], shadows: Iterable[Shadow] = ()
    ) -> None:
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
        self._subjects = Subjects(schema)
        self._shadows = Shadows(shadows, running)
        self._mirrors = Mirrors(schema, self._shadows)
        self._source: Data | None = None
        self._compile(None)

    # --- rules

    def _compile(self, source: Data | None) -> None:
        self._source = source
        self._policy = read_policy(source if isinstance(source, Inner) else None, self._schema)
        self._grounds = {access: Ground(access, self._policy.defaults[access]) for access in Access}
        self._rights: dict[tuple[tuple[RuleList, ...], str], Rights] = {}
        self._known: dict[tuple[str, frozenset[str]], Rights] = {}  # by user and the groups the transport tells

    def _rights_of(self, session: SessionInfo) -> Rights | None:
        """What binds a session; None = nothing does."""
        if session.user == self._recovery:
            return None
        source = self._running().children.get(self._node)
        if source is not self._source:
            self._compile(source)
        if not self._policy.enabled:
            return None
        found = self._known.get((session.user, session.groups))
        if found is None:
            if len(self._known) >= _MOST_RIGHTS:
                self._known.clear()
            found = self._known[session.user, session.groups] = self._find_rights(session)
        return found

    def _find_rights(self, session: SessionInfo) -> Rights:
        policy = self._policy
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

    def recovers(self, session: SessionInfo) -> bool:
        """Whether it is a recovery session."""
        return session.user == self._recovery

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
        if rights is None:
            return root
        told = self._shadows.dimmed(self._mirrors.narrowed(root, rights), rights)
        return seen(told, rights.scope(Access.READ))

    def read(self, session: SessionInfo, *paths: Path) -> list[Path]:
        """Those of ``paths`` whose nodes may be read, whether or not there is anything. Raises RpcError access-denied
        where that is none.
        """
        rights = self._rights_of(session)
        readable = list(paths) if rights is None else [path for path in paths if rights.reads(path)]
        if rights is not None and not readable:
            self.denied_operations += 1
            what = " or ".join(path[-1].schema.name for path in paths)
            raise _refused(session, f"read {what} here", ErrorType.APPLICATION, rights.shown(paths[0]))
        return readable

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

    def secret(self, session: SessionInfo, path: Path, *, exists: bool) -> None:
        """Whether the clear text of a secret may be written, also where it is the one in place: whoever may not write
        it must not find out by trying. Raises RpcError access-denied.
        """
        rights = self._rights_of(session)
        if rights is None or rights.may(Access.UPDATE if exists else Access.CREATE, path):
            return
        self.denied_writes += 1
        shown = rights.shown(path)
        if shown != path:
            raise _concealed(session, shown)
        raise _refused(session, f"write {path[-1].schema.name}", ErrorType.APPLICATION, path)

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
            if not all(map(rights.reads, filter(None, map(self._place, error.about)))):
                error.message = error.discreet
            path = self._place(error.path)
            shown = () if path is None else rights.shown(path)
            if path is None or shown == path or rights.writes(path):
                found.append(error)
            elif shown not in concealed:
                concealed.add(shown)
                found.append(_concealed(session, shown))
        return found

    def _place(self, where: ErrorPath | None) -> Path | None:
        """The data node a path leads to; None when it leads to something else."""
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
        """Whether the user may receive it: the type itself, and all the instances it is about.

        A notification of a module's own speaks of instances in its leaves; one that is defined in the data tree
        comes with the nodes it stands in. Either way whoever may not read an instance hears nothing of it.
        """
        rights = self._rights_of(session)
        if rights is None or (node.namespace, node.name) in _ALWAYS_TOLD:
            return True
        lists = self._subjects.lists(node)
        heard = (in_data(node) or rights.hears(node)) and (
            (lists is not None and all(map(rights.sees_all, lists)))
            or all(
                rights.reads(path) and self._shadows.reads(rights, path)
                for path in self._subjects.of(node, notification)
            )
        )
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
    return _refused(
        session, f"change or call something below {name} that this user cannot read", ErrorType.APPLICATION, shown
    )

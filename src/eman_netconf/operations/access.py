"""Access control without rules: one administrator; everybody else reads what is no secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from eman_netconf.errors import BASE_NS, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode, Path, make_inner, path_text

_DENY_ALL = "ietf-netconf-acm:default-deny-all"
_SECRET_TYPES = frozenset({"iana-crypt-hash:crypt-hash", "eman-types:secret"})


class AdministratorOnly:
    """Everybody who is authenticated reads what is no secret; one user alone writes, locks, acts and ends sessions.

    Secret is what a model marks default-deny-all (RFC 8341 section 3.4), and passwords and keys of any kind.

    It counts what it denies where RFC 8341 wants that shown, as an OperationalSource.
    """

    READING = frozenset(
        (
            (BASE_NS, "get"),
            (BASE_NS, "get-config"),
            (BASE_NS, "validate"),
            (BASE_NS, "close-session"),
            ("urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring", "get-schema"),
        )
    )

    def __init__(self, user: str) -> None:
        self.user = user
        self.denied_operations = 0
        self.denied_writes = 0
        self._leading: dict[SchemaNode, frozenset[SchemaNode]] = {}

    def readable(self, session: SessionInfo, root: Inner) -> Inner:
        return root if session.user == self.user else self._open(root)

    def _open(self, inner: Inner) -> Inner:
        """``inner`` without what is secret; only children that lead to secrets are looked at, lists when asked."""
        leading = self._leading_of(inner.schema)
        if leading.isdisjoint(inner.children):
            return inner
        children: dict[SchemaNode, Data] = {}
        for node, data in inner.children.items():
            if node not in leading:
                children[node] = data
            elif _is_secret(node):
                continue
            elif isinstance(data, Inner):
                children[node] = self._open(data)
            elif isinstance(data, ListNode):
                children[node] = ListNode(node, _OpenEntries(data.entries, self))
        return Inner(inner.schema, children)

    def _leading_of(self, schema: SchemaNode) -> frozenset[SchemaNode]:
        """The children of a schema node that are secret, or have something secret below."""
        known = self._leading.get(schema)
        if known is None:
            known = frozenset(
                node
                for node in schema.children.values()
                if _is_secret(node) or any(_is_secret(below) for below in node.descendants())
            )
            self._leading[schema] = known
        return known

    def operation(self, session: SessionInfo, node: SchemaNode) -> None:
        if session.user != self.user and (node.namespace, node.name) not in self.READING:
            self.denied_operations += 1
            raise self._denied(session, f"call {node.name}", ErrorType.PROTOCOL)

    def change(self, session: SessionInfo, change: Change) -> None:
        if session.user != self.user:
            self.denied_writes += 1
            raise self._denied(session, "change the configuration", ErrorType.APPLICATION)

    def action(self, session: SessionInfo, node: SchemaNode, path: Path) -> None:
        if session.user != self.user:
            self.denied_operations += 1
            raise self._denied(session, f"call {node.name}", ErrorType.APPLICATION, path)

    def notification(self, session: SessionInfo, node: SchemaNode, notification: Inner) -> bool:
        return True

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        """The counters of the container nacm (RFC 8341 section 3.3)."""
        node = running.schema.child("ietf-netconf-acm:nacm")
        return ((node, Late(node, partial(self._counted, node, running.children.get(node)))),)

    def _counted(self, node: SchemaNode, configured: Data | None) -> Mapping[SchemaNode, Data]:
        counted = make_inner(
            node,
            {
                "denied-operations": self.denied_operations,
                "denied-data-writes": self.denied_writes,
                "denied-notifications": 0,
            },
        )
        return {**(configured.children if isinstance(configured, Inner) else {}), **counted.children}

    def _denied(self, session: SessionInfo, what: str, layer: ErrorType, path: Path | None = None) -> RpcError:
        return RpcError(
            ErrorTag.ACCESS_DENIED,
            f"User {session.user} may not {what}; only the administrator {self.user} may.",
            type=layer,
            path=path_text(path) if path else None,
        )


class _OpenEntries(Mapping[Key, Inner]):
    """The entries of a list without what is secret in them, each made when it is asked for."""

    def __init__(self, entries: Mapping[Key, Inner], judge: AdministratorOnly) -> None:
        self._entries = entries
        self._judge = judge

    def __getitem__(self, key: Key) -> Inner:
        return self._judge._open(self._entries[key])  # noqa: SLF001 - the other half of one idea

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[Key]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _is_secret(node: SchemaNode) -> bool:
    if _DENY_ALL in node.extensions:
        return node.kind is not Kind.CONTAINER or bool(node.children)
    return node.type is not None and not _SECRET_TYPES.isdisjoint(node.type.typedefs)

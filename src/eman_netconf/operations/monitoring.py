"""RFC 6022 and RFC 8525: get-schema, the state of the server, its YANG library, the capabilities it announces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as File
from typing import NamedTuple

from eman_netconf.datastore.datastores import Datastore, Datastores
from eman_netconf.datastore.partial_locks import PartialLock
from eman_netconf.errors import AppTag, ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Data, Reply, escape
from eman_netconf.operations import nmda, notifications, partial_lock, url
from eman_netconf.operations.ports import Counters, Handler, LiveSession, Request, Server, Sessions
from eman_netconf.yang import tree
from eman_netconf.yang.library import modules_state, yang_library
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Inner, Key, Late, ListNode, make_inner
from eman_netconf.yang.xpath_instance import to_instance_identifier

MONITORING_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
CAPABILITY = "urn:ietf:params:netconf:capability:"
YANG = "ietf-netconf-monitoring:yang"


def capabilities(schema: Schema) -> list[str]:
    """What the <hello> announces (RFC 6241 section 8, RFC 6020 and RFC 7950 sections 5.6.4, RFC 8526 section 2).

    Modules of YANG 1.1 are told by the YANG library alone; those of YANG 1 also here, for older clients.
    """
    library = schema.modules["ietf-yang-library"]
    announced = [
        BASE_1_0,
        BASE_1_1,
        f"{CAPABILITY}writable-running:1.0",
        f"{CAPABILITY}candidate:1.0",
        f"{CAPABILITY}confirmed-commit:1.1",
        f"{CAPABILITY}rollback-on-error:1.0",
        f"{CAPABILITY}validate:1.1",
        f"{CAPABILITY}xpath:1.0",
        *notifications.CAPABILITIES,
        *nmda.CAPABILITIES,
        partial_lock.CAPABILITY,
        f"{CAPABILITY}yang-library:1.0?revision={library.revision}&module-set-id={schema.content_id}",
        f"{CAPABILITY}yang-library:1.1?revision={library.revision}&content-id={schema.content_id}",
    ]
    if "startup" in schema.modules["ietf-netconf"].features:
        announced.append(f"{CAPABILITY}startup:1.0")
    if "url" in schema.modules["ietf-netconf"].features:
        announced.append(url.CAPABILITY)
    for module in schema.listed():
        if not module.implemented or module.yang_version != "1":
            continue
        parameters = [f"module={module.name}"]
        if module.revision:
            parameters.append(f"revision={module.revision}")
        if module.features:
            parameters.append(f"features={','.join(sorted(module.features))}")
        if module.deviated_by:
            parameters.append(f"deviations={','.join(sorted(module.deviated_by))}")
        announced.append(f"{module.namespace}?{'&'.join(parameters)}")
    return announced


# --- get-schema ------------------------------------------------------------------------------------------------------


class SchemaText(NamedTuple):
    """One module or submodule that can be asked for."""

    name: str
    version: str  # revision date, "" if it has none
    namespace: str
    file: File


def schema_texts(schema: Schema) -> Iterator[SchemaText]:
    """Every module and submodule of the server, imported ones included."""
    for module in schema.listed():
        yield SchemaText(module.name, module.revision or "", module.namespace, module.path)
        for name, revision, file in module.submodules:
            yield SchemaText(name, revision or "", module.namespace, file)


async def get_schema(server: Server, request: Request) -> Reply:
    """The text of one module as it is (RFC 6022 section 3.1)."""
    said = request.input.leaf
    name, version, form = said("identifier"), said("version"), said("format") or YANG
    if form != YANG:
        raise _no_schema(f"Schemas are offered as yang only, not as {form.partition(':')[2]}.", "format")
    named = [text for text in schema_texts(server.schema) if text.name == name]
    if not named:
        raise _no_schema(
            f"There is no module or submodule {name}; see netconf-state/schemas for those there are.", "identifier"
        )
    found = named if version is None else [text for text in named if text.version == version]
    if not found:
        have = ", ".join(text.version or "(none)" for text in named)
        raise _no_schema(f"{name} is not here in version {version}, but in {have}.", "version")
    if len(found) > 1:
        raise RpcError(
            ErrorTag.OPERATION_FAILED,
            f"There is more than one version of {name}; name one of {', '.join(text.version for text in found)}.",
            app_tag=AppTag.DATA_NOT_UNIQUE,
        )
    text = server.read_file(found[0].file).decode()
    return Data((escape(text).encode(),), MONITORING_NS)


def _no_schema(message: str, parameter: str) -> RpcError:
    return RpcError(
        ErrorTag.INVALID_VALUE, message, type=ErrorType.APPLICATION, info=(ErrorInfo("bad-element", parameter),)
    )


HANDLERS: Mapping[tuple[str, str], Handler] = {(MONITORING_NS, "get-schema"): get_schema}


# --- state -----------------------------------------------------------------------------------------------------------


class Monitoring:
    """The containers netconf-state, yang-library and modules-state; what never changes is made once."""

    def __init__(self, schema: Schema, datastores: Datastores, sessions: Sessions, started: float) -> None:
        self.datastores = datastores
        self.sessions = sessions
        self.started = started
        self._node = schema.find("ietf-netconf-monitoring:netconf-state")
        self._session = self._node.child("sessions").child("session")
        self._fixed = make_inner(
            self._node,
            {
                "capabilities": {"capability": capabilities(schema)},
                "schemas": {
                    "schema": [
                        {
                            "identifier": text.name,
                            "version": text.version,
                            "format": YANG,
                            "namespace": text.namespace,
                            "location": ["NETCONF"],
                        }
                        for text in schema_texts(schema)
                    ]
                },
            },
        )
        library = (yang_library(schema), modules_state(schema))
        self._library: tuple[tuple[SchemaNode, tree.Data], ...] = tuple((inner.schema, inner) for inner in library)

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, tree.Data | None]]:
        """As OperationalSource; all that changes is described when it is asked for."""
        return ((self._node, Late(self._node, self._state)), *self._library)

    def _state(self) -> Mapping[SchemaNode, tree.Data]:
        sessions = self._node.child("sessions")
        children = dict(self._fixed.children)
        listed = ListNode(self._session, _Sessions(self._session, self.sessions.live()))
        if listed.entries:
            children[sessions] = Inner(sessions, {self._session: listed})
        stores = self._node.child("datastores")
        children[stores] = Late(stores, lambda: self._datastores().children)  # locks can have many nodes
        children[self._node.child("statistics")] = self._statistics()
        return children

    def _datastores(self) -> Inner:
        def locks(datastore: Datastore) -> dict[str, object] | None:
            held = self.datastores.locks.get(datastore)
            if held is not None:
                return {"global-lock": {"locked-by-session": held.session, "locked-time": stamp(held.since)}}
            parts = self.datastores.partial_locks.held() if datastore is Datastore.RUNNING else ()
            return {"partial-lock": [_part(lock) for lock in parts]} if parts else None

        return make_inner(
            self._node.child("datastores"),
            {"datastore": [{"name": datastore, "locks": locks(datastore)} for datastore in self.datastores.offered]},
        )

    def _statistics(self) -> Inner:
        totals = self.sessions.totals
        return make_inner(
            self._node.child("statistics"),
            {
                "netconf-start-time": stamp(self.started),
                "in-bad-hellos": _counter32(totals.in_bad_hellos),
                "in-sessions": _counter32(totals.in_sessions),
                "dropped-sessions": _counter32(totals.dropped_sessions),
                **_counters(totals),
            },
        )


def _part(lock: PartialLock) -> dict[str, object]:
    return {
        "lock-id": lock.id,
        "locked-by-session": lock.session,
        "locked-time": stamp(lock.since),
        "select": lock.select,
        "locked-node": [to_instance_identifier(path) for path in lock.nodes if path],
    }


class _Sessions(Mapping[Key, Inner]):
    """The entries of the session list at one moment, each made when it is asked for."""

    def __init__(self, node: SchemaNode, live: Iterable[LiveSession]) -> None:
        self._node = node
        self._live: dict[Key, LiveSession] = {(str(session.info.id),): session for session in live}

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._live)

    def __getitem__(self, key: Key) -> Inner:
        session = self._live[key]
        info = session.info
        return make_inner(
            self._node,
            {
                "session-id": info.id,
                "transport": info.transport if ":" in info.transport else f"ietf-netconf-monitoring:{info.transport}",
                "username": info.user,
                "source-host": info.source_host or None,
                "login-time": stamp(info.login_time),
                **_counters(session.counters),
            },
        )


def _counters(counters: Counters) -> dict[str, int]:
    return {
        "in-rpcs": _counter32(counters.in_rpcs),
        "in-bad-rpcs": _counter32(counters.in_bad_rpcs),
        "out-rpc-errors": _counter32(counters.out_rpc_errors),
        "out-notifications": _counter32(counters.out_notifications),
    }


def _counter32(count: int) -> int:
    return count % (1 << 32)

"""What operations are handed by the server: datastores, sessions, access control, clock, files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Protocol

from eman_netconf.datastore.datastores import Datastores
from eman_netconf.datastore.select import Selection
from eman_netconf.errors import RpcError
from eman_netconf.messages.rpc import Output, Reply, SessionInfo
from eman_netconf.notifications.publisher import Publisher
from eman_netconf.notifications.streams import Streams
from eman_netconf.notifications.subscriptions import Now, Subscription
from eman_netconf.yang.diff import Change
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Path


class Counters(Protocol):
    """What is counted for a session and for all together (RFC 6022 sections 2.1.3 and 2.1.4)."""

    @property
    def in_rpcs(self) -> int: ...

    @property
    def in_bad_rpcs(self) -> int: ...

    @property
    def out_rpc_errors(self) -> int: ...

    @property
    def out_notifications(self) -> int: ...


class Totals(Counters, Protocol):
    """What is counted for the server alone."""

    @property
    def in_sessions(self) -> int: ...

    @property
    def in_bad_hellos(self) -> int: ...

    @property
    def dropped_sessions(self) -> int: ...


class LiveSession(Protocol):
    """One open session."""

    @property
    def info(self) -> SessionInfo: ...

    @property
    def counters(self) -> Counters: ...


class Sessions(Protocol):
    """All open sessions."""

    @property
    def totals(self) -> Totals: ...

    def live(self) -> Sequence[LiveSession]: ...

    async def kill(self, session_id: int, /, by: int | None = None) -> bool:
        """End a session as ``by`` asks; True when it is gone with its locks, False when there is none."""

    async def departed(self, session_id: int, /) -> None:
        """Return when the client of a session has gone."""


class Receivers(Protocol):
    """Who receives the event stream in its own session (RFC 5277)."""

    def subscribe(self, session: SessionInfo, selection: Selection, start: float | None, stop: float | None) -> None:
        """Deliver from now on what a filter of ``event_schema`` lets through; replay from ``start``, end at ``stop``,
        in seconds since the epoch. Raises RpcError operation-failed when the session has a subscription already.
        """


class Subscriptions(Protocol):
    """Dynamic subscriptions to the stream and to datastores (RFC 8639)."""

    @property
    def publisher(self) -> Publisher: ...

    def now(self) -> Now: ...

    def check_session(self, session_id: int, /) -> None:
        """Raises RpcError for a session that has a subscription of RFC 5277 (RFC 8640 section 3)."""

    def begun(self, subscription: Subscription, /) -> None:
        """A subscription was established: what is due is sent after the reply."""

    def killed(self, by: SessionInfo, subscription: Subscription, /) -> None:
        """Somebody has ended a subscription, which may be another's."""

    def wake(self) -> None:
        """Something may be due earlier than before."""


class Files(Protocol):
    """The files that clients may name by URL; each method raises RpcError."""

    async def read(self, name: str, /) -> bytes: ...

    async def write(self, name: str, content: bytes, /) -> None: ...

    async def delete(self, name: str, /) -> None: ...


class Judge(Protocol):
    """Access control; each method raises RpcError or RpcErrors access-denied."""

    def operation(self, session: SessionInfo, node: SchemaNode) -> None:
        """May this user call this rpc?"""

    def recovers(self, session: SessionInfo) -> bool:
        """Is this the recovery session, which no rule binds?"""

    def readable(self, session: SessionInfo, root: Inner) -> Inner:
        """What of a tree this user may read; what is left out is gone before any filter looks. Raises nothing."""

    def read(self, session: SessionInfo, *paths: Path) -> list[Path]:
        """At which of ``paths`` may this user read what stands there, or would stand there? At least at one."""

    def change(self, session: SessionInfo, change: Change) -> None:
        """May this user make this change?"""

    def secret(self, session: SessionInfo, path: Path, *, exists: bool) -> None:
        """May this user write clear text in place of a secret, even if it is the same?"""

    def veiled(self, session: SessionInfo, errors: Iterable[RpcError]) -> list[RpcError]:
        """The errors of a request as far as this user may know what they tell. Raises nothing."""

    def action(self, session: SessionInfo, node: SchemaNode, path: Path) -> None:
        """May this user call this action at ``path``, which ends with the node the action is defined on?"""

    def notification(self, session: SessionInfo, node: SchemaNode, notification: Inner) -> bool:
        """May this user receive this notification of type ``node``? What is denied is counted. Raises nothing."""


#: Raises RpcError or RpcErrors; gives the output, also as it is printed, None for <ok/>. ``path`` ends with the node
#: the action is on.
ActionHandler = Callable[["Server", SessionInfo, Path, Inner], Awaitable[Inner | Output | None]]


@dataclass(slots=True)
class Server:
    """All an operation may use; ``actions`` by module and name."""

    schema: Schema
    datastores: Datastores
    sessions: Sessions
    judge: Judge
    wall: Callable[[], float]
    mono: Callable[[], float]  # seconds of a clock that nobody sets
    read_file: Callable[[File], bytes]
    started: float  # seconds since the epoch
    streams: Streams
    receivers: Receivers
    subscriptions: Subscriptions
    read_commits: Callable[[int, int], Awaitable[Sequence[bytes]]]  # records of the history, first to last
    actions: Mapping[tuple[str, str], ActionHandler] = field(default_factory=dict)
    files: Files | None = None  # with :url alone


@dataclass(frozen=True, slots=True)
class Request:
    """One rpc that passed the schema; what stands in its anyxml and anydata is left to ``element``."""

    session: SessionInfo
    node: SchemaNode
    input: Inner
    element: Element


#: Raises RpcError or RpcErrors.
Handler = Callable[[Server, Request], Awaitable[Reply]]

"""A whole server below its transport: real sessions, datastores and disk, reached over memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from eman_netconf.datastore import history
from eman_netconf.datastore.datastores import Datastores
from eman_netconf.datastore.storage import Storage
from eman_netconf.energy.places import retold
from eman_netconf.errors import BASE_NS, RpcError
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.nacm.judge import Nacm
from eman_netconf.notifications.streams import Streams
from eman_netconf.operations.dispatch import dispatch
from eman_netconf.operations.monitoring import Monitoring, capabilities
from eman_netconf.operations.notifications import StreamsShown
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.server.clock import Clock
from eman_netconf.server.config import Limits
from eman_netconf.server.events import Receivers
from eman_netconf.server.sessions import Sessions
from eman_netconf.server.subscriptions import Subscriptions
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.validate import validate
from tests.notifications.stage import Kept
from tests.peer import Peer, memory_peer

START = 1_770_000_000.0  # the wall clock of these servers, which stands still


class Disk:
    """The journal of a real directory, written in a thread."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        await asyncio.to_thread(self.storage.append, record, unconfirmed=unconfirmed)

    async def confirm(self) -> None:
        await asyncio.to_thread(self.storage.confirm)

    def owe(self, record: bytes) -> None:
        self.storage.owe(record)


class _Idle:
    """An energy core in which nothing stirs."""

    def __init__(self) -> None:
        self.stirred: list[Callable[[set[str], set[str]], None]] = []


@dataclass
class Bench:
    """A server and the sessions opened to it."""

    server: Server
    sessions: Sessions
    storage: Storage
    clock: Clock
    actions: dict[tuple[str, str], ActionHandler] = field(default_factory=dict)
    mono: float = 0.0  # stands still until a test moves it

    @property
    def datastores(self) -> Datastores:
        return self.server.datastores

    async def peer(self, user: str = "admin") -> Peer:
        """A session that has exchanged hellos."""
        return await memory_peer(self.sessions, user=user)


@asynccontextmanager
async def bench(
    directory: Path, schema: Schema, *, limits: Limits | None = None, startup: bool = False, **options: Any
) -> AsyncIterator[Bench]:
    """A server on a directory of state, until the end of the block."""
    storage = Storage(directory, schema)
    found = storage.recover(lambda root: validate(schema, root), START)
    datastores = Datastores(
        schema,
        found.root,
        found.generation,
        journal=Disk(storage),
        writer=asyncio.Lock(),
        startup=found.root if startup else None,
        breathe=lambda: asyncio.sleep(0),
        **options,
    )
    made: list[Bench] = []
    sessions = Sessions(
        lambda session, rpc: dispatch(made[0].server, session, rpc),
        capabilities=lambda: tuple(capabilities(schema)),
        limits=lambda: limits or Limits(),
        wall=lambda: START,
    )
    sessions.ended.append(lambda info, _end: datastores.release(info.id))
    datastores.sources.append(Monitoring(schema, datastores, sessions, START))
    actions: dict[tuple[str, str], ActionHandler] = {}
    shadows = retold(schema) if "eman-entity" in schema.modules else ()
    judge = Nacm(schema, "admin", lambda: datastores.running, shadows)
    datastores.participants.append(judge)
    datastores.sources.append(judge)
    clock = Clock(real_origin=time.time(), site_origin=START)
    streams = Streams(Kept(), lambda: clock.now().wall)
    datastores.sources.append(StreamsShown(schema, streams))
    receivers = Receivers(schema, streams, sessions, judge, clock)
    subscriptions: Any = None  # they need the models of a site
    if "eman-entity" in schema.modules:
        subscriptions = Subscriptions(schema, datastores, sessions, judge, streams, receivers, _Idle(), clock)

    async def read_commits(first: int, last: int) -> list[bytes]:
        return history.read(storage.directory, first, last)

    server = Server(
        schema=schema,
        datastores=datastores,
        sessions=sessions,
        judge=judge,
        wall=lambda: START,
        mono=lambda: made[0].mono,
        read_file=Path.read_bytes,
        started=START,
        streams=streams,
        receivers=receivers,
        subscriptions=subscriptions,
        read_commits=read_commits,
        actions=actions,
    )
    made.append(Bench(server, sessions, storage, clock, actions))
    try:
        yield made[0]
    finally:
        await sessions.drain(1.0)
        storage.close()


def error(reply: RpcReply) -> RpcError:
    """The one error of a reply."""
    (found,) = reply.errors
    return found


def body(reply: RpcReply) -> str:
    """What a reply holds, without namespaces; of <data> its content."""
    assert reply.ok, reply.errors
    (found,) = reply.element
    inside = etree.QName(found).localname == "data"
    return "".join(bare(child) for child in found) + (found.text or "") if inside else bare(found)


def bare(element: Any) -> str:
    """An element as XML without namespaces and the space between elements."""
    copy = etree.fromstring(etree.tostring(element, with_tail=False))
    for node in copy.iter():
        node.tag = etree.QName(node).localname
        node.tail = None
    etree.cleanup_namespaces(copy)
    return etree.tostring(copy, encoding="unicode")


def edit(config: str, **options: str) -> str:
    """An <edit-config> of running; ``options`` such as default_operation."""
    named = "".join(f"<{name.replace('_', '-')}>{value}</{name.replace('_', '-')}>" for name, value in options.items())
    return f"<edit-config {NAMESPACES}><target><running/></target>{named}<config>{config}</config></edit-config>"


NAMESPACES = f'xmlns="{BASE_NS}" xmlns:nc="{BASE_NS}"'


def named(found: RpcError) -> Mapping[str, str]:
    """The error-info by name."""
    return {info.name: info.value for info in found.info}

"""A NETCONF client for tests: messages.Session as client, over asyncssh or straight into a server's session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from eman_netconf.messages.framing import WORKING
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Hello, Notification, RpcReply
from eman_netconf.messages.session import Event, Opened, Role, Session, State
from eman_netconf.server.sessions import LiveSession, Sessions

BOTH = (BASE_1_0, BASE_1_1)
PATIENCE = 60.0  # seconds after which a test gives up on the server


class Peer:
    """One client session. ``send`` carries raw bytes, ``rpc`` whole requests."""

    def __init__(self, send: Callable[[bytes], None], capabilities: tuple[str, ...] = BOTH) -> None:
        self.wire = Session(Role.CLIENT, Hello(capabilities))
        self.send = send
        self.notifications: list[Notification] = []
        self.hello: Hello | None = None
        self._arrived = asyncio.Event()
        self._gone = False
        self._ids = itertools.count(101)

    @property
    def session_id(self) -> int:
        assert self.hello is not None
        assert self.hello.session_id is not None
        return self.hello.session_id

    def receive(self, data: bytes) -> None:
        self.wire.receive(data)
        self._arrived.set()

    def lose(self) -> None:
        self._gone = True
        self.wire.end_of_input()
        self._arrived.set()

    async def event(self) -> Event | None:
        """What comes next; None when the server has ended the session."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = self.wire.next_event()
                if event is WORKING:
                    await asyncio.sleep(0)
                    continue
                if event is not None or self.wire.state is State.CLOSED:
                    return event
                self._arrived.clear()
                await self._arrived.wait()

    async def greet(self) -> Hello:
        """Exchange hellos."""
        self.send(self.wire.greeting())
        opened = await self.event()
        assert isinstance(opened, Opened)
        self.hello = opened.peer
        return opened.peer

    def ask(self, operation: str | bytes, message_id: str | None = None) -> str:
        """Send a request without waiting; its message-id."""
        message_id = message_id or str(next(self._ids))
        self.send(self.wire.request(message_id, operation.encode() if isinstance(operation, str) else operation))
        return message_id

    async def reply(self) -> RpcReply:
        """The next answer; notifications before it are kept aside."""
        while True:
            event = await self.event()
            if isinstance(event, Notification):
                self.notifications.append(event)
                continue
            assert isinstance(event, RpcReply), f"the session ended with {event}"
            return event

    async def rpc(self, operation: str | bytes) -> RpcReply:
        """Ask and wait for the answer."""
        message_id = self.ask(operation)
        reply = await self.reply()
        assert reply.message_id == message_id
        return reply

    async def notification(self) -> Notification:
        """The next notification."""
        while not self.notifications:
            event = await self.event()
            assert isinstance(event, Notification)
            self.notifications.append(event)
        return self.notifications.pop(0)

    async def closed(self) -> None:
        """Wait until the channel is gone; whatever comes before is dropped."""
        async with asyncio.timeout(PATIENCE):
            while not self._gone:
                self._arrived.clear()
                await self._arrived.wait()


class _ClientChannel(asyncssh.SSHClientSession[bytes]):
    """Feeds a Peer from an SSH channel."""

    peer: Peer

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.peer.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.lose()


async def open_peer(
    connection: asyncssh.SSHClientConnection, *, capabilities: tuple[str, ...] = BOTH, greet: bool = True
) -> Peer:
    """A session on an SSH connection; several may share one."""
    made: list[_ClientChannel] = []

    def factory() -> _ClientChannel:
        session = _ClientChannel()
        session.peer = Peer(lambda _: None, capabilities)
        made.append(session)
        return session

    channel, _ = await connection.create_session(factory, subsystem="netconf", encoding=None)
    peer = made[0].peer

    def send(data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # the server may have ended it meanwhile, as reading then tells
            channel.write(data)

    peer.send = send
    if greet:
        await peer.greet()
    return peer


def connect(port: int, *, user: str = "admin", host: str = "127.0.0.1", **options: Any) -> Any:
    """An SSH connection that takes nothing from this machine's own settings; give password= or client_keys=."""
    return asyncssh.connect(
        host, port, username=user, known_hosts=None, config=(), agent_path=None, **{"client_keys": None, **options}
    )


@asynccontextmanager
async def ssh_peer(port: int, *, greet: bool = True, **options: Any) -> AsyncIterator[Peer]:
    """One session on a connection of its own."""
    async with connect(port, **options) as connection:
        yield await open_peer(connection, greet=greet)


class MemoryChannel:
    """The server's end of a channel without a network: what is written arrives at the Peer at once.

    ``full`` makes it like a client that does not read.
    """

    def __init__(self, capabilities: tuple[str, ...] = BOTH) -> None:
        self.session: LiveSession
        self.peer = Peer(self._to_server, capabilities)
        self.written: list[int] = []  # size of each write
        self.held: list[bytes] = []  # sent by the client, not read by the server
        self.open = True
        self._paused = False
        self._full = False

    def _to_server(self, data: bytes) -> None:
        if not self.open:
            return
        if self._paused:
            self.held.append(data)
        else:
            self.session.received(data)

    @property
    def paused(self) -> bool:
        return self._paused

    def fill(self) -> None:
        """The client reads no more."""
        self._full = True
        self.session.pause()

    def drain(self) -> None:
        """The client reads again."""
        self._full = False
        self.session.resume()

    def vanish(self) -> None:
        """The client is gone without a word."""
        self.open = False
        self.session.lost()

    def write(self, data: bytes) -> None:
        if self.open:
            self.written.append(len(data))
            self.peer.receive(data)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        while self.held and not self._paused:
            self.session.received(self.held.pop(0))

    def close(self) -> None:
        if self.open:
            self.open = False
            self.peer.lose()
            asyncio.get_running_loop().call_soon(self.session.lost)

    def abort(self) -> None:
        self.close()


def memory_channel(sessions: Sessions, *, user: str = "admin", capabilities: tuple[str, ...] = BOTH) -> MemoryChannel:
    """A started session; the Peer has not greeted yet."""
    channel = MemoryChannel(capabilities)
    channel.session = sessions.open(channel, user=user, source_host="memory")
    channel.session.start()
    return channel


async def memory_peer(sessions: Sessions, **options: Any) -> Peer:
    """A greeted Peer without a network."""
    channel = memory_channel(sessions, **options)
    await channel.peer.greet()
    return channel.peer

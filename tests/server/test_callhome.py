"""Call home: whom the server calls, when, and what the called client then sees (RFC 8071)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import asyncssh
import pytest

from eman_netconf.server.callhome import Attempts, CallHomes
from eman_netconf.server.certificates import MapType, load_credentials
from eman_netconf.server.config import CallHome, StartWith, Transport
from eman_netconf.server.tls import TlsServer
from tests.certificates import StreamClient, StreamPeer, authority, client_context
from tests.peer import PATIENCE, open_peer
from tests.server.conftest import PASSWORD, Served, Wire
from tests.server.test_sessions import op
from tests.server.test_tls import files, rule


def told(*addresses: str, **more: object) -> CallHome:
    values = {"transport": Transport.SSH, "addresses": addresses, "port": 4334, **more}
    return CallHome(**values)  # type: ignore[arg-type]


# --- the strategy, without a network


@pytest.mark.req("rfc8071-4.1")
def test_a_client_is_tried_so_often_before_the_next() -> None:
    """Each client has its attempts, then the next one, and after the last the first again."""
    attempts = Attempts(told("a", "b", "c", max_attempts=2), lambda: 0.5)
    called = []
    for _ in range(7):
        called.append(attempts.address)
        attempts.failed()
    assert called == ["a", "a", "b", "b", "c", "c", "a"]


@pytest.mark.parametrize(
    ("start_with", "chance", "called"),
    [
        (StartWith.FIRST_LISTED, 0.9, "a"),
        (StartWith.LAST_CONNECTED, 0.9, "b"),
        (StartWith.RANDOM_SELECTION, 0.9, "c"),
        (StartWith.RANDOM_SELECTION, 0.0, "a"),
    ],
)
def test_whom_to_call_after_a_connection(start_with: StartWith, chance: float, called: str) -> None:
    """After a connection the first of the list is called, the last one served, or any of them."""
    numbers = iter((0.0, 0.0, 0.0, *(chance,) * 9))
    attempts = Attempts(told("a", "b", "c", max_attempts=1, start_with=start_with), lambda: next(numbers))
    attempts.failed()
    assert attempts.address == "b"
    numbers = iter((chance,) * 9)
    attempts.succeeded()
    assert attempts.address == called


def test_waits_grow_up_to_a_bound() -> None:
    """The wait doubles with each failure up to the bound, whatever chance says, and begins anew after a session."""
    for chance in (0.0, 0.999):
        attempts = Attempts(told("a", "b", max_wait=20.0), lambda chance=chance: chance)
        waits = [attempts.failed() for _ in range(200)]
        assert all(earlier <= later for earlier, later in pairwise(waits))
        assert 0.5 <= waits[0] <= 1.0
        assert 10.0 <= waits[-1] <= 20.0
        assert attempts.succeeded() <= 1.0
        assert attempts.failed() == waits[0]


@pytest.mark.req("rfc8071-4.1")
def test_periodic_calls() -> None:
    """A periodic connection is made anew a period after it was over."""
    assert Attempts(told("a", period=3600.0), lambda: 0.3).succeeded() == 3600.0


# --- with a network


class Home:
    """A client that waits to be called."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    async def called(self) -> socket.socket:
        async with asyncio.timeout(PATIENCE):
            connected, _ = await asyncio.get_running_loop().sock_accept(self.socket)
        return connected


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    home = Home()
    yield home
    home.socket.close()


Serve = Callable[[socket.socket], Awaitable[bool]]


@asynccontextmanager
async def calling(serve: Serve, entry: CallHome) -> AsyncIterator[CallHomes]:
    homes = CallHomes(lambda connected, _: serve(connected))
    homes.follow([entry])
    try:
        yield homes
    finally:
        tasks = list(homes._tasks.values())
        homes.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def ssh_client(connected: socket.socket) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A client of SSH on a connection that was made to it."""
    async with asyncssh.connect(
        sock=connected, username="alice", password=PASSWORD, known_hosts=None, config=(), client_keys=None
    ) as connection:
        yield connection


async def test_ssh(server: Served, home: Home) -> None:
    """The server calls, is the SSH server on that connection, and calls again when the session is over."""
    async with calling(server.ssh.serve, told("127.0.0.1", port=home.port)):
        for _ in range(2):
            async with ssh_client(await home.called()) as connection:
                peer = await open_peer(connection)
                assert (await peer.rpc(op("whoami"))).element[0].text == "alice@127.0.0.1"


async def test_a_called_client_logs_in_like_any_other(
    server: Served, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Who answers a call with a wrong password is refused, and called again."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    async with calling(server.ssh.serve, told("127.0.0.1", port=home.port)):
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                sock=await home.called(),
                username="alice",
                password="wrong",
                known_hosts=None,
                config=(),
                client_keys=None,
            )
        assert any("'alice' from 127.0.0.1: refused" in line for line in caplog.messages)
        async with ssh_client(await home.called()) as connection:
            assert (await (await open_peer(connection)).rpc(op("echo"))).ok


async def test_tls(wire: Wire, home: Home, tmp_path: Path) -> None:
    """The server calls, is the TLS server on that connection, and knows the client by its certificate."""
    root = authority()
    tls = TlsServer(wire.sessions, lambda: wire.limits, lambda: (rule(root, MapType.COMMON_NAME),))
    tls.credentials = load_credentials(files(tmp_path, root))
    context = client_context(tmp_path / "ca.pem", root.issue("alice").write(tmp_path, "alice"))
    async with calling(tls.connections.serve, told("127.0.0.1", port=home.port)):
        for _ in range(2):
            async with tls_client(await home.called(), context) as peer:
                assert (await peer.rpc(op("whoami"))).element[0].text == "alice@127.0.0.1"
    await tls.connections.close()


@asynccontextmanager
async def tls_client(connected: socket.socket, context: object) -> AsyncIterator[StreamPeer]:
    transport, client = await asyncio.get_running_loop().create_connection(
        StreamClient,
        sock=connected,
        ssl=context,  # type: ignore[arg-type]
        server_hostname="127.0.0.1",
    )
    try:
        await client.peer.greet()
        yield client.peer
    finally:
        transport.abort()
        await client.peer.closed()


async def test_nobody_at_home(server: Served, home: Home) -> None:
    """Where nobody listens the next client is called."""
    entry = told("127.0.0.99", "127.0.0.1", port=home.port, max_attempts=1)
    async with calling(server.ssh.serve, entry), ssh_client(await home.called()) as connection:
        assert (await (await open_peer(connection)).rpc(op("echo"))).ok


async def test_sessions_outlive_the_entry(server: Served, home: Home) -> None:
    """An entry that is kept is not disturbed, and a session stays when its entry goes."""
    entry = told("127.0.0.1", port=home.port)
    async with calling(server.ssh.serve, entry) as homes, ssh_client(await home.called()) as connection:
        peer = await open_peer(connection)
        (task,) = homes._tasks.values()
        homes.follow([entry, told("127.0.0.98")])
        assert homes._tasks[entry] is task
        homes.follow([])
        await asyncio.gather(task, return_exceptions=True)
        assert (await peer.rpc(op("echo"))).ok

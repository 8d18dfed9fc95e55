"""A whole server to try: in the test's own loop, or in a process of its own as an operator starts it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import asyncssh
import pytest
from lxml import etree
from passlib.hash import sha512_crypt

from eman_netconf.messages.rpc import RpcReply
from eman_netconf.server import plugins
from eman_netconf.server.administrator import credentials
from eman_netconf.server.config import Bootstrap, Limits, Listen
from eman_netconf.server.daemon import Daemon
from eman_netconf.server.plugins import Installed
from eman_netconf.yang.schema import Schema
from tests.peer import Peer, ssh_peer

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
EMAN = "urn:eman:yang:eman-entity"
BACKEND = "urn:eman:yang:eman-backend"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"
SERVER = "urn:eman:yang:eman-server"
PASSWORD = "the administrator's"
ADMIN = credentials("admin", password_hash=str(sha512_crypt.using(rounds=1000).hash(PASSWORD)))
PATIENCE = 60.0  # seconds after which a test gives up on a process


# --- in the test's own loop


@dataclass
class Serving:
    """A daemon under way, and how to talk to it."""

    daemon: Daemon
    port: int
    task: asyncio.Task[None]

    def peer(self, **options: Any) -> Any:
        """``async with server.peer() as peer``: a session of the administrator, unless told otherwise."""
        return ssh_peer(self.port, **{"password": PASSWORD, **options})

    async def stopped(self) -> None:
        """Stop in order; raises what the daemon ended with."""
        self.daemon.stop()
        async with asyncio.timeout(PATIENCE):
            await self.task


@asynccontextmanager
async def serving(
    state: Path,
    schema: Schema,
    *,
    installed: Mapping[str, Installed] | None = None,
    initial: Sequence[bytes] = (ADMIN,),
    limits: Limits | None = None,
    startup: bool = False,
) -> AsyncIterator[Serving]:
    """A server on ``state`` whose administrator is admin, stopped in order at the end."""
    collecting = gc.get_threshold()  # a daemon sets it for a process of its own
    bootstrap = Bootstrap(state, listen=(Listen(port=0),), limits=limits or Limits(drain_seconds=5.0), startup=startup)
    daemon = Daemon(bootstrap, plugins.find() if installed is None else installed, schema, initial=initial)
    ports: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(daemon.run(lambda addresses: ports.set_result(addresses[0][1])))
    await asyncio.wait({task, ports}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    if not ports.done():
        ports.cancel()
        await task
    server = Serving(daemon, ports.result(), task)
    try:
        yield server
    finally:
        await server.stopped()
        gc.set_threshold(*collecting)
        gc.unfreeze()


# --- what is said to it


def config_of(content: str) -> str:
    return f'<config xmlns="{NC}">{content}</config>'


def backends(content: str) -> str:
    """Backends as configuration."""
    return f'<energy-management xmlns="{EMAN}"><backends xmlns="{BACKEND}">{content}</backends></energy-management>'


def entity(id_: str, content: str = "") -> str:
    """An entity as configuration."""
    inner = f"<entity><id>{id_}</id>{content}</entity>"
    return f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def site(*parts: str) -> str:
    """Several parts of energy-management as one."""
    contents = (part.partition(">")[2].removesuffix("</energy-management>") for part in parts)
    return f'<energy-management xmlns="{EMAN}">{"".join(contents)}</energy-management>'


def users(content: str) -> str:
    """Users as configuration."""
    return f'<system xmlns="{SYSTEM}"><authentication>{content}</authentication></system>'


def session_limits(content: str) -> str:
    return f'<eman-server xmlns="{SERVER}"><session-limits>{content}</session-limits></eman-server>'


def edit_config(content: str) -> str:
    """The operation that merges ``content`` into running; ``nc:`` names operations."""
    return f'<edit-config xmlns="{NC}" xmlns:nc="{NC}"><target><running/></target>{config_of(content)}</edit-config>'


async def edit(peer: Peer, content: str) -> RpcReply:
    return await peer.rpc(edit_config(content))


async def edited(peer: Peer, content: str) -> None:
    """Edit, and have it accepted."""
    reply = await edit(peer, content)
    assert reply.ok, reply.errors


async def get(peer: Peer, subtree: str) -> etree._Element:
    reply = await peer.rpc(f'<get xmlns="{NC}"><filter>{subtree}</filter></get>')
    assert reply.ok, reply.errors
    return reply.element


async def running_config(peer: Peer) -> bytes:
    """The whole of running, as bytes."""
    reply = await peer.rpc(f'<get-config xmlns="{NC}"><source><running/></source></get-config>')
    assert reply.ok, reply.errors
    return etree.tostring(reply.element[0])


async def link(peer: Peer, name: str) -> dict[str, str | None]:
    """What the server says of the way to a backend: state, last-error ..."""
    data = await get(peer, backends(f"<backend><name>{name}</name><link/></backend>"))
    found = data.find(f".//{{{BACKEND}}}link")
    return {} if found is None else {etree.QName(leaf).localname: leaf.text for leaf in found}


async def link_until(peer: Peer, name: str, **wanted: str) -> dict[str, str | None]:
    """Ask until the link is as wanted; each question is a round trip, so nothing spins."""
    said: dict[str, str | None] = {}
    async with asyncio.timeout(PATIENCE):
        while {key: said.get(key) for key in wanted} != wanted:
            said = await link(peer, name)
    return said


# --- clients and devices that are slow


class SlowClient(asyncssh.SSHClientSession[bytes]):
    """Takes a few kilobytes of what comes after the hello and reads no more until told to."""

    def __init__(self) -> None:
        self.peer = Peer(self._send)
        self.full = asyncio.Event()  # set when it has stopped reading
        self._channel: asyncssh.SSHClientChannel[bytes]

    def _send(self, data: bytes) -> None:
        self._channel.write(data)

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.peer.receive(data)
        if self.peer.hello is not None and not self.full.is_set():
            self._channel.pause_reading()
            self.full.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.lose()

    def read_on(self) -> None:
        self._channel.resume_reading()


async def slow_client(connection: asyncssh.SSHClientConnection) -> SlowClient:
    """A greeted session that takes little at once."""
    _, client = await connection.create_session(SlowClient, subsystem="netconf", encoding=None, window=8192)
    await client.peer.greet()
    return client


async def refused(port: int, host: str = "127.0.0.1") -> None:
    """Try until nobody listens there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it came just before the listener went
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.contextmanager
def silent_device() -> Iterator[int]:
    """The UDP port of a device that takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind(("127.0.0.1", 0))
        yield device.getsockname()[1]


def snmp(name: str, port: int, *, community: str = "$0$public", timeout: float = 5.0) -> str:
    """A backend of a device on this machine, as configuration."""
    return (
        f"<backend><name>{name}</name><timeout>{timeout:g}</timeout>"
        '<snmp xmlns="urn:eman:yang:eman-backend-snmp"><address>127.0.0.1</address>'
        f"<port>{port}</port><v2c><community>{community}</community></v2c></snmp></backend>"
    )


def simulated(name: str, box: str) -> str:
    """A backend of a box of the demo site, as configuration."""
    return (
        f'<backend><name>{name}</name><simulated xmlns="urn:eman:yang:eman-backend-simulated"><box>{box}</box>'
        "</simulated></backend>"
    )


# --- in a process of its own


@dataclass
class Process:
    """``eman-netconf run`` on a folder that ``init`` made: ``eman-netconf.toml``, ``state/``, the log beside them."""

    folder: Path
    key: asyncssh.SSHKey
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ("-m", "eman_netconf")
    child: subprocess.Popen[str] | None = None
    ports: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # what came on stderr
    rest: str = ""  # what came on stdout and nobody had read
    _said: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: threading.Thread | None = None

    @property
    def config(self) -> Path:
        return self.folder / "eman-netconf.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def stderr(self) -> str:
        return "".join(self.lines)

    def configure(self, *listen: str, more: str = "") -> None:
        """Write the bootstrap file: listeners at port 0 unless an address is given as ADDRESS PORT."""
        tables = [
            f'[[listen]]\naddress = "{address}"\nport = {port or 0}\n'
            for address, _, port in (item.partition(" ") for item in listen or ("127.0.0.1",))
        ]
        new = self.config.with_suffix(".new")
        new.write_text(f'[server]\nstate = "state"\n{"".join(tables)}[admin]\nuser = "admin"\n{more}')
        new.replace(self.config)

    def begin(self) -> Process:
        """Start the process, and do not wait until it is ready."""
        self.child = subprocess.Popen(
            [sys.executable, *self.program, "run", *(self.arguments or ("--config", str(self.config)))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )
        self.lines.clear()
        self._reader = threading.Thread(target=self._read, args=(self.child.stderr, asyncio.get_running_loop()))
        self._reader.start()
        return self

    def _read(self, stderr: IO[str], loop: asyncio.AbstractEventLoop) -> None:
        for line in stderr:
            self.lines.append(line)
            with contextlib.suppress(RuntimeError):  # the test is over
                loop.call_soon_threadsafe(self._said.set)
        stderr.close()

    async def ready(self) -> str:
        """Wait for the line that tells it is ready; the line."""
        assert self.child is not None
        assert self.child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await asyncio.to_thread(self.child.stdout.readline)
        assert line.startswith("ready "), f"no ready line but {line!r}; on stderr: {self.stderr[-2000:]}"
        places = line.partition(" user=")[0].split()[1:]
        self.ports = [int(place.rpartition(":")[2]) for place in places]
        return line

    async def printed(self, last: str) -> str:
        """The lines on stdout up to one that begins so."""
        assert self.child is not None
        assert self.child.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while not lines or not lines[-1].startswith(last):
                lines.append(await asyncio.to_thread(self.child.stdout.readline))
                assert lines[-1], "stdout has ended"
        return "".join(lines)

    async def start(self) -> Process:
        self.begin()
        await self.ready()
        return self

    def signal(self, number: int = signal.SIGTERM) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    async def wait(self) -> int:
        """The exit status."""
        assert self.child is not None
        assert self.child.stdout is not None
        status = await asyncio.to_thread(self.child.wait, PATIENCE)
        self._close()
        return status

    async def end(self) -> int:
        self.signal()
        return await self.wait()

    async def logged(self, words: str, count: int = 1) -> str:
        """Wait until so many lines on stderr hold the words; the last of them."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [line for line in self.lines if words in line]) < count:
                self._said.clear()
                await self._said.wait()
        return found[count - 1]

    def peer(self, port: int | None = None, **options: Any) -> Any:
        """A session of the administrator, by key."""
        return ssh_peer(port or self.ports[0], **{"client_keys": [self.key], **options})

    def listening(self) -> set[int]:
        """The TCP ports at which the process listens, as the kernel knows it (proc(5))."""
        assert self.child is not None
        mine = set()
        for descriptor in Path(f"/proc/{self.child.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile, as files of SQLite often are
                mine.add(descriptor.readlink().name)
        rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine}

    def kill(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        if self.child is not None:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait(PATIENCE)
            self._close()

    def _close(self) -> None:
        assert self._reader is not None
        self._reader.join(PATIENCE)
        assert self.child is not None
        assert self.child.stdout is not None
        if not self.child.stdout.closed:
            self.rest = self.child.stdout.read()
            self.child.stdout.close()


def command(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``eman-netconf`` with these arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", "eman_netconf", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        **options,
    )


class Systemd:
    """The socket on which systemd is told how a service is."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self.told: list[str] = []

    def environment(self, **more: str) -> Mapping[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), **more}

    async def next(self) -> str:
        """The next message, in full."""
        async with asyncio.timeout(PATIENCE):
            message = (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()
        self.told.append(message)
        return message

    async def until(self, message: str) -> None:
        while await self.next() != message:
            pass

    def close(self) -> None:
        self._socket.close()


# --- fixtures; the conftest of each folder takes them in


@pytest.fixture(scope="session")
def admin_key() -> asyncssh.SSHKey:
    """The key of the administrator of every process."""
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, admin_key: asyncssh.SSHKey) -> Path:
    """A folder as ``init`` makes it; tests work on copies."""
    folder = tmp_path_factory.mktemp("seed")
    admin_key.write_public_key(folder / "key.pub")
    made = command("init", folder / "site", "--key", folder / "key.pub")
    assert made.returncode == 0, made.stderr
    return folder / "site"


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.close()


@pytest.fixture
def process(seed: Path, admin_key: asyncssh.SSHKey, tmp_path: Path) -> Iterator[Process]:
    """A server of the test's own, not started yet."""
    folder = tmp_path / "site"
    shutil.copytree(seed, folder)
    process = Process(folder, admin_key)
    process.configure()
    yield process
    process.kill()
    if process.child is not None:
        assert "Traceback" not in process.stderr

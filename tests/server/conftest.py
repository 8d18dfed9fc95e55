"""A wire without a site behind it: sessions over a small handler, and a real SSH server on port 0."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from passlib.hash import sha512_crypt

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Data, Ok, Output, Reply, Rpc, SessionInfo
from eman_netconf.server.config import Limits
from eman_netconf.server.sessions import End, Sessions
from eman_netconf.server.ssh import SshServer, load_host_key
from eman_netconf.server.users import Users
from eman_netconf.yang.schema import Kind, Module, SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode
from tests.peer import PATIENCE
from tests.server.rack import asker, installed, rack  # noqa: F401 - fixtures
from tests.server.running import admin_key, process, seed, systemd  # noqa: F401 - fixtures

WIRE_NS = "urn:test:wire"
PASSWORD = "correct horse"
SLICE = b"<entry xmlns='urn:test:wire'>" + b"x" * 2200 + b"</entry>"


class Wire:
    """Sessions with a handler that obeys its operation: echo, stream, wait, refuse, break, break-late ..."""

    def __init__(self) -> None:
        self.limits = Limits(sessions=200, sessions_per_user=100, login_seconds=PATIENCE, hello_seconds=PATIENCE)
        self.gate = asyncio.Event()  # <wait/> is answered once it is set
        self.waiting = asyncio.Event()  # set when a <wait/> has come
        self.finished: list[str] = []  # what <wait/> came to: done or cancelled
        self.slices = 0  # how many <stream/> has made
        self.ended: list[int] = []
        self.sessions = Sessions(
            self.handle,
            capabilities=lambda: (BASE_1_0, BASE_1_1),
            limits=lambda: self.limits,
            wall=lambda: 1_800_000_000.0,
        )
        self.opened: list[int] = []
        self.ends: dict[int, End] = {}
        self.sessions.opened.append(lambda info: self.opened.append(info.id))
        self.sessions.ended.append(lambda info, end: self.take_end(info.id, end))

    def take_end(self, number: int, end: End) -> None:
        self.ended.append(number)
        self.ends[number] = end

    def limit(self, **changes: Any) -> None:
        self.limits = replace(self.limits, **changes)

    async def handle(self, session: SessionInfo, rpc: Rpc) -> Reply:
        text = rpc.operation.text or ""
        match rpc.operation.tag.rpartition("}")[2]:
            case "echo":
                return Output(f'<said xmlns="{WIRE_NS}">{text}</said>'.encode())
            case "whoami":
                return Output(f'<user xmlns="{WIRE_NS}">{session.user}@{session.source_host}</user>'.encode())
            case "stream":
                return Data(self.stream(int(text)))
            case "wait":
                self.waiting.set()
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.finished.append("cancelled")
                    raise
                self.finished.append("done")
                return Ok()
            case "refuse":
                raise RpcError(ErrorTag.IN_USE, "That is in use.")
            case "break":
                raise ZeroDivisionError("a secret of the inside")
            case "break-late":
                return Data(self.broken(int(text)))
            case _:
                return Ok()

    def stream(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            self.slices += 1
            yield SLICE

    def broken(self, count: int) -> Iterator[bytes]:
        yield from self.stream(count)
        raise ZeroDivisionError("a secret of the inside")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    yield wire
    wire.gate.set()
    await wire.sessions.drain(5.0)


@pytest.fixture(scope="session")
def keys() -> dict[str, asyncssh.SSHKey]:
    """One client key of each kind that is served."""
    return {
        "ed25519": asyncssh.generate_private_key("ssh-ed25519"),
        "ecdsa": asyncssh.generate_private_key("ecdsa-sha2-nistp256"),
        "rsa": asyncssh.generate_private_key("ssh-rsa", key_size=2048),
    }


_MODULE = Module("ietf-system", "2014-08-06", "urn:ietf:params:xml:ns:yang:ietf-system", "sys", (), True, Path("none"))


class _Users:
    """The schema below /system/authentication that logging in reads, and trees of it."""

    def __init__(self) -> None:
        self.authentication = self._node(Kind.CONTAINER, "authentication", None)
        self.user = self._node(Kind.LIST, "user", self.authentication)
        self.name = self._key(self.user)
        self.password = self._node(Kind.LEAF, "password", self.user)
        self.key = self._node(Kind.LIST, "authorized-key", self.user)
        self.key_name = self._key(self.key)
        self.key_data = self._node(Kind.LEAF, "key-data", self.key)

    @staticmethod
    def _node(kind: Kind, name: str, parent: SchemaNode | None) -> SchemaNode:
        node = SchemaNode(kind, name, _MODULE, parent)
        if parent is not None:
            node.order = len(parent.children)
            parent.children[_MODULE.namespace, name] = node
        return node

    def _key(self, parent: SchemaNode) -> SchemaNode:
        node = self._node(Kind.LEAF, "name", parent)
        node.is_key = True
        parent.keys = (node,)
        return node

    def entry(self, name: str, password: str | None, blobs: tuple[str, ...]) -> Inner:
        entry = Inner(self.user, {self.name: name})
        if password is not None:
            entry = entry.replace(self.password, password)
        if blobs:
            keys: dict[Key, Inner] = {
                (str(number),): Inner(self.key, {self.key_name: str(number), self.key_data: blob})
                for number, blob in enumerate(blobs)
            }
            entry = entry.replace(self.key, ListNode(self.key, keys))
        return entry

    def tree(self, *entries: Inner) -> Inner:
        return Inner(self.authentication, {self.user: ListNode(self.user, {entry.key(): entry for entry in entries})})


def blob(key: asyncssh.SSHKey) -> str:
    """A public key as it stands in key-data."""
    return key.export_public_key("openssh").split()[1].decode()


class Directory:
    """The users a server reads, changed by tests as a commit would."""

    def __init__(self) -> None:
        self.schema = _Users()
        self.now: Inner | None = self.schema.tree()

    def set(self, *users: tuple[str, str | None, tuple[str, ...]]) -> None:
        self.now = self.schema.tree(*(self.schema.entry(*user) for user in users))


@pytest.fixture
def directory() -> Directory:
    return Directory()


class Served(Wire):
    """The same behind SSH."""

    def __init__(self, directory: Directory, host_key: asyncssh.SSHKey) -> None:
        super().__init__()
        self.users = Users(lambda: directory.now)
        self.ssh = SshServer(self.sessions, self.users, host_key, lambda: self.limits)
        self.port = 0


@pytest.fixture(scope="session")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> asyncssh.SSHKey:
    return load_host_key(tmp_path_factory.mktemp("host") / "host-key")


@pytest.fixture(scope="session")
def password_hash() -> str:
    return str(sha512_crypt.using(rounds=1000).hash(PASSWORD))


@pytest.fixture
async def server(
    directory: Directory, keys: dict[str, asyncssh.SSHKey], host_key: asyncssh.SSHKey, password_hash: str
) -> AsyncIterator[Served]:
    """A server on port 0: admin with three keys, alice with a password, eve with nothing."""
    directory.set(
        ("admin", None, tuple(map(blob, keys.values()))),
        ("alice", password_hash, ()),
        ("eve", None, ()),
    )
    served = Served(directory, host_key)
    served.port = await served.ssh.listen("127.0.0.1", 0)
    yield served
    served.gate.set()
    await served.sessions.drain(5.0)
    await served.ssh.close()
    served.users.close()

"""NETCONF clients of other people behind one small interface, so that each can have the same conversation."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from lxml import etree
from ncclient import manager
from ncclient.operations import RaiseMode
from scrapli import netconf as scrapli
from scrapli.auth import Options as ScrapliAuth
from scrapli.session import Options as ScrapliSession
from scrapli.transport import BinOptions, Ssh2Options

from tests.conformance.conftest import NS, ServerProcess

BASE = NS["nc"]
BASE_1_0, BASE_1_1 = "urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
PATIENCE = 120.0  # seconds after which a client gives up on the server
END = b"]]>]]>"


class Client(ABC):
    """One session. Every operation returns the whole <rpc-reply>."""

    capabilities: list[str]

    @abstractmethod
    def get(self, subtree: str) -> etree._Element: ...

    @abstractmethod
    def get_by_xpath(self, path: str) -> etree._Element: ...

    @abstractmethod
    def get_config(self) -> etree._Element: ...

    @abstractmethod
    def edit_config(self, config: str) -> etree._Element: ...

    @abstractmethod
    def get_schema(self, name: str) -> etree._Element: ...

    @abstractmethod
    def lock(self) -> etree._Element: ...

    @abstractmethod
    def unlock(self) -> etree._Element: ...

    @abstractmethod
    def close(self) -> None: ...


class Ncclient(Client):
    """ncclient, over paramiko."""

    def __init__(self, server: ServerProcess) -> None:
        self._session: manager.Manager = server.connect()
        self._session.raise_mode = RaiseMode.NONE
        self.capabilities = list(self._session.server_capabilities)

    def get(self, subtree: str) -> etree._Element:
        return self._read(self._session.get(filter=("subtree", subtree)))

    def get_by_xpath(self, path: str) -> etree._Element:
        return self._read(self._session.get(filter=("xpath", (NS, path))))

    def get_config(self) -> etree._Element:
        return self._read(self._session.get_config("running"))

    def edit_config(self, config: str) -> etree._Element:
        return self._read(
            self._session.edit_config(target="running", config=f'<config xmlns="{BASE}">{config}</config>')
        )

    def get_schema(self, name: str) -> etree._Element:
        return self._read(self._session.get_schema(name))

    def lock(self) -> etree._Element:
        return self._read(self._session.lock("running"))

    def unlock(self) -> etree._Element:
        return self._read(self._session.unlock("running"))

    def close(self) -> None:
        self._session.close_session()

    @staticmethod
    def _read(reply: Any) -> etree._Element:
        return etree.fromstring(reply.xml.encode())


class Scrapli(Client):
    """scrapli, whose core is a compiled library; over OpenSSH's client or over libssh2."""

    def __init__(self, server: ServerProcess, transport: BinOptions | Ssh2Options, **auth: Any) -> None:
        self._session = scrapli.Netconf(
            "127.0.0.1",
            port=server.port,
            auth_options=ScrapliAuth(username="admin", **auth),
            transport_options=transport,
            session_options=ScrapliSession(operation_timeout_s=int(PATIENCE)),
        )
        self._session.open()
        self.capabilities = self._session.get_capabilities()

    def get(self, subtree: str) -> etree._Element:
        return self._read(self._session.get(filter_=subtree))

    def get_by_xpath(self, path: str) -> etree._Element:
        return self._read(
            self._session.get(
                filter_=path,
                filter_type=scrapli.FilterType.XPATH,
                filter_namespace_prefix="eman",
                filter_namespace=NS["eman"],
            )
        )

    def get_config(self) -> etree._Element:
        return self._read(self._session.get_config())

    def edit_config(self, config: str) -> etree._Element:
        return self._read(self._session.edit_config(config=f"<config>{config}</config>"))

    def get_schema(self, name: str) -> etree._Element:
        return self._read(self._session.get_schema(name))

    def lock(self) -> etree._Element:
        return self._read(self._session.lock(target=scrapli.DatastoreType.RUNNING))

    def unlock(self) -> etree._Element:
        return self._read(self._session.unlock(target=scrapli.DatastoreType.RUNNING))

    def close(self) -> None:
        self._session.close()

    @staticmethod
    def _read(result: Any) -> etree._Element:
        return etree.fromstring(result.result.encode())


class ByHand(Client):
    """XML and framing written by hand, as somebody without a library does."""

    def __init__(self, versions: tuple[str, ...]) -> None:
        self._received = bytearray()
        self._numbers = itertools.count(1)
        self._chunked = False
        offered = "".join(f"<capability>{version}</capability>" for version in versions)
        hello = f'<hello xmlns="{BASE}"><capabilities>{offered}</capabilities></hello>'
        self.tell(f'<?xml version="1.0" encoding="UTF-8"?>{hello}')
        theirs = etree.fromstring(self.hear())
        self.capabilities = [node.text or "" for node in theirs.iter(f"{{{BASE}}}capability")]
        self._chunked = BASE_1_1 in versions and BASE_1_1 in self.capabilities

    @abstractmethod
    def send(self, data: bytes) -> None: ...

    @abstractmethod
    def receive(self) -> bytes:
        """Some bytes; b"" once the server has ended the session."""

    def tell(self, message: str) -> None:
        data = message.encode()
        self.send(b"\n#%d\n%b\n##\n" % (len(data), data) if self._chunked else data + END)

    def hear(self) -> bytes:
        """One whole message."""
        return self._hear_chunks() if self._chunked else self._until(END)

    def _hear_chunks(self) -> bytes:
        message = bytearray()
        while True:
            assert self._until(b"\n#") == b""
            size = self._until(b"\n")
            if size == b"#":
                return bytes(message)
            while len(self._received) < int(size):
                self._more()
            message += self._received[: int(size)]
            del self._received[: int(size)]

    def _until(self, mark: bytes) -> bytes:
        while (at := self._received.find(mark)) < 0:
            self._more()
        found = bytes(self._received[:at])
        del self._received[: at + len(mark)]
        return found

    def _more(self) -> None:
        data = self.receive()
        assert data, "the server has ended the session"
        self._received += data

    def rpc(self, operation: str) -> etree._Element:
        number = str(next(self._numbers))
        self.tell(f'<rpc xmlns="{BASE}" message-id="{number}">{operation}</rpc>')
        reply = etree.fromstring(self.hear())
        assert reply.get("message-id") == number
        return reply

    def get(self, subtree: str) -> etree._Element:
        return self.rpc(f"<get><filter type='subtree'>{subtree}</filter></get>")

    def get_by_xpath(self, path: str) -> etree._Element:
        return self.rpc(f'<get><filter type="xpath" xmlns:eman="{NS["eman"]}" select="{path}"/></get>')

    def get_config(self) -> etree._Element:
        return self.rpc("<get-config><source><running/></source></get-config>")

    def edit_config(self, config: str) -> etree._Element:
        return self.rpc(f"<edit-config><target><running/></target><config>{config}</config></edit-config>")

    def get_schema(self, name: str) -> etree._Element:
        return self.rpc(f'<get-schema xmlns="{MONITORING}"><identifier>{name}</identifier></get-schema>')

    def lock(self) -> etree._Element:
        return self.rpc("<lock><target><running/></target></lock>")

    def unlock(self) -> etree._Element:
        return self.rpc("<unlock><target><running/></target></unlock>")


class Asyncssh(ByHand):
    """A channel of asyncssh."""

    def __init__(self, server: ServerProcess, versions: tuple[str, ...] = (BASE_1_0, BASE_1_1)) -> None:
        self._runner = asyncio.Runner()
        self._runner.run(self._open(server))
        super().__init__(versions)

    async def _open(self, server: ServerProcess) -> None:
        self._connection = await asyncssh.connect(
            "127.0.0.1", server.port, username="admin", password=server.password, known_hosts=None, config=None
        )
        self._writer, self._reader, _ = await self._connection.open_session(subsystem="netconf", encoding=None)

    def send(self, data: bytes) -> None:
        async def write() -> None:
            self._writer.write(data)
            await self._writer.drain()

        self._runner.run(write())

    def receive(self) -> bytes:
        return self._runner.run(asyncio.wait_for(self._reader.read(65536), PATIENCE))

    def close(self) -> None:
        async def end() -> None:
            self._connection.close()
            await self._connection.wait_closed()

        try:
            self._runner.run(end())
        finally:
            self._runner.close()


class OpenSsh(ByHand):
    """OpenSSH's own client with its netconf subsystem on standard input and output."""

    def __init__(self, server: ServerProcess, key: Path) -> None:
        self._process = subprocess.Popen(
            ["ssh", *self.options(key, server.port), "admin@127.0.0.1", "-s", "netconf"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        super().__init__((BASE_1_0, BASE_1_1))

    @staticmethod
    def options(key: Path, port: int) -> list[str]:
        """A port, a key, and nothing from this machine's configuration."""
        options = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
        )
        return ["-F", "none", "-i", str(key), "-p", str(port), *(word for option in options for word in ("-o", option))]

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        while data:
            data = data[self._process.stdin.write(data) :]

    def receive(self) -> bytes:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert readable, f"nothing within {PATIENCE:g} s"
        return os.read(self._process.stdout.fileno(), 65536)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.stdout.close()


#: (server, private key of the administrator) -> a session
CLIENTS: dict[str, Callable[[ServerProcess, Path], Client]] = {
    "ncclient": lambda server, _: Ncclient(server),
    "scrapli-bin": lambda server, key: Scrapli(
        server, BinOptions(enable_strict_key=False, known_hosts_path="/dev/null"), private_key_path=str(key)
    ),
    "scrapli-ssh2": lambda server, _: Scrapli(server, Ssh2Options(), password=server.password),
    "asyncssh": lambda server, _: Asyncssh(server),
    "asyncssh-1.0": lambda server, _: Asyncssh(server, (BASE_1_0,)),
    "openssh": OpenSsh,
}

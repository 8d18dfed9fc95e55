"""A NETCONF client for the command line: one session over SSH, one request at a time."""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh
from lxml import etree

from eman_netconf.cli import CommandError
from eman_netconf.errors import BASE_NS, RpcErrors
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Hello, RpcReply
from eman_netconf.messages.session import Opened, ProtocolFault, Role, Session, State

READ_BYTES = 256 * 1024
DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and how to log in."""

    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    key: Path | None = None
    host_key: Path | None = None  # None: those in ~/.ssh/known_hosts; on loopback, any


def address_of(options: argparse.Namespace) -> Address:
    """Where the options of a verb say that the server is. Raises CommandError."""
    password = None if options.password_file is None else text_of(options.password_file).strip()
    return Address(options.host, options.port, options.user, password, options.key, options.host_key)


def text_of(path: Path) -> str:
    """What a file holds. Raises CommandError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path}: is not UTF-8 text") from None


class Client:
    """``async with Client(address) as client: await client.request(b"<get/>")``. Raises CommandError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._session = Session(Role.CLIENT, Hello((BASE_1_0, BASE_1_1)))
        self._connection: asyncssh.SSHClientConnection | None = None
        self._next_id = 1

    async def __aenter__(self) -> Self:
        where = f"{self._address.host} port {self._address.port}"
        try:
            async with asyncio.timeout(DEADLINE):
                event = await self._open()
        except asyncssh.PermissionDenied:
            hint = "" if self._address.password or self._address.key else "; give --password-file or --key"
            raise CommandError(f"{where} refused the login of {self._address.user}{hint}") from None
        except asyncssh.HostKeyNotVerifiable:
            raise CommandError(f"{where} showed another host key than the one expected") from None
        except (OSError, asyncssh.Error, TimeoutError) as error:
            await self._close()
            raise CommandError(f"no NETCONF at {where}: {_reason(error)}") from None
        if not isinstance(event, Opened):
            await self._close()
            raise CommandError(f"{where} did not answer with a NETCONF hello")
        return self

    async def _open(self) -> object:
        """Log in and exchange hellos; what the server began with."""
        address = self._address
        self._connection = await asyncssh.connect(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            client_keys=[_private_key(address.key)] if address.key else ([] if address.password else ()),
            known_hosts=_trusted(address),
            config=None,
        )
        writer, reader, _ = await self._connection.open_session(subsystem="netconf", encoding=None)
        self._writer, self._reader = writer, reader
        self._writer.write(self._session.greeting())
        return await self._event()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()

    async def request(self, operation: bytes, *, deadline: float = DEADLINE) -> etree._Element:
        """The <rpc-reply> of one operation. Raises CommandError with the server's own words."""
        self._writer.write(self._session.request(str(self._next_id), operation))
        self._next_id += 1
        try:
            async with asyncio.timeout(deadline):
                reply = await self._event()
        except TimeoutError:
            raise CommandError(f"no answer within {deadline:g} s") from None
        except (OSError, asyncssh.Error) as error:
            raise CommandError(f"the connection was lost: {_reason(error)}") from None
        if not isinstance(reply, RpcReply):
            raise CommandError("the server closed the session")
        if reply.errors:
            raise CommandError(str(RpcErrors(reply.errors)))
        return reply.element

    async def get(self, filter_xml: bytes) -> etree._Element:
        """The <data> of a <get> with a subtree filter."""
        reply = await self.request(b'<get xmlns="%b"><filter>%b</filter></get>' % (BASE_NS.encode(), filter_xml))
        data = reply.find(f"{{{BASE_NS}}}data")
        if data is None:
            raise CommandError("the server's reply to <get> holds no <data>")
        return data

    async def _event(self) -> object:
        """The next hello, reply or notification; None when the session has ended."""
        while True:
            try:
                event = self._session.next_event()
            except ProtocolFault as fault:
                raise CommandError(f"the server broke the protocol: {fault}") from None
            if isinstance(event, (Opened, RpcReply)):
                return event
            if event is None:
                if self._session.state is State.CLOSED:
                    return None
                data = await self._reader.read(READ_BYTES)
                if data:
                    self._session.receive(data)
                else:
                    self._session.end_of_input()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or "no answer"


def _private_key(path: Path) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise CommandError(f"{path}: is no private key without passphrase ({error})") from None


def _trusted(address: Address) -> object:
    """What asyncssh takes as known hosts: one key, None for any, () for the user's own file."""
    if address.host_key is None:
        return None if _is_loopback(address.host) else ()
    try:
        return ([asyncssh.read_public_key(address.host_key)], [], [])
    except OSError as error:
        raise CommandError(f"{address.host_key}: {error.strerror}") from None
    except asyncssh.KeyImportError as error:
        raise CommandError(f"{address.host_key}: is no public key ({error}); give the server's .pub file") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

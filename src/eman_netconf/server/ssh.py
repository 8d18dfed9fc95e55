"""NETCONF over SSH: listeners, authentication, and the netconf subsystem as the only thing there (RFC 6242)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncssh

from eman_netconf.server import audit
from eman_netconf.server.config import ConfigError, Limits
from eman_netconf.server.connections import KEEPALIVE, KEEPALIVES
from eman_netconf.server.files import write_private
from eman_netconf.server.sessions import Full, LiveSession, Sessions
from eman_netconf.server.users import Users

log = logging.getLogger(__name__)

#: Bytes a client may send ahead of our reading, per channel.
WINDOW: Final = 512 * 1024

# Seconds a closing channel may take to carry what was written, and a connection without a session may stay.
_LINGER = 10.0

_ALGORITHMS: Final = {
    # patterns: the post-quantum ones depend on the version of the cryptography library; no exchange with large
    # exponents, which would let strangers burn our time
    "kex_algs": "*25519*,ecdh-sha2-nistp*,diffie-hellman-group14-sha256",
    "encryption_algs": (
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ),
    "mac_algs": (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ),
    "signature_algs": (
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
}


class HostKeyError(Exception):
    """The host key cannot be used; the text is one line for a person."""


def load_host_key(path: Path) -> asyncssh.SSHKey:
    """The server's private key; an ed25519 key is made at first use, readable by the server alone.

    Raises HostKeyError.
    """
    try:
        if not path.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="eman-netconf")
            write_private(path, key.export_private_key())
        if path.stat().st_mode & 0o077:
            raise HostKeyError(f"{path}: others may read this private key; run chmod 600 on it")
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise HostKeyError(f"{path}: {error.strerror or error}") from None
    except asyncssh.KeyImportError as error:
        raise HostKeyError(f"{path}: is no private key without passphrase ({error})") from None


class Authorities:
    """The keys of those who may certify users."""

    def __init__(self, keys: Iterable[asyncssh.SSHKey] = ()) -> None:
        self._blobs = frozenset(key.public_data for key in keys)

    def fault(self, signer: asyncssh.SSHKey, principals: Sequence[str], user: str) -> str:
        """What speaks against a certificate that names ``principals``; "": nothing of what is known here."""
        if signer.public_data not in self._blobs:
            return "is of an authority that is not believed"
        return "" if user in principals else "does not name the user"


class _Certificates(asyncssh.SSHAuthorizedKeys):
    """What one client shows of certificates, as asyncssh asks about it.

    asyncssh tells who has signed a certificate and whom it names. When that is believed, it looks by itself whether
    the certificate is a user's, in force and for the client's address, and tells nobody what it found.
    """

    def __init__(self, authorities: Authorities, user: str) -> None:
        super().__init__()
        self.fault = ""  # of the last one
        self.believed = False  # one was, as far as asyncssh tells
        self._authorities = authorities
        self._user = user

    def validate(
        self,
        key: asyncssh.SSHKey,
        client_host: str,
        client_addr: str,
        cert_principals: Sequence[str] | None = None,
        ca: bool = False,
    ) -> dict[str, Any] | None:
        if not ca:
            return None
        self.fault = self._authorities.fault(key, cert_principals or (), self._user)
        self.believed = self.believed or not self.fault
        return None if self.fault else {}


def load_authorities(path: Path | None) -> Authorities:
    """The keys of a file, one public key a line; nobody's without a file. Raises ConfigError."""
    if path is None:
        return Authorities()
    try:
        keys = asyncssh.read_public_key_list(path)
    except OSError as error:
        raise ConfigError(f"[ssh] user-ca {path}: {error.strerror or error}") from None
    except (asyncssh.KeyImportError, ValueError) as error:
        raise ConfigError(f"[ssh] user-ca {path}: holds no public keys, one a line ({error})") from None
    if not keys:
        raise ConfigError(f"[ssh] user-ca {path}: holds no public keys, one a line")
    return Authorities(keys)


class SshServer:
    """The listeners and the connections that came in through them, or that the server made.

    ``authorities`` may be replaced at any time: they hold for the next login.
    """

    def __init__(
        self, sessions: Sessions, users: Users, host_key: asyncssh.SSHKey, limits: Callable[[], Limits]
    ) -> None:
        self.sessions = sessions
        self.users = users
        self.limits = limits
        self.authorities = Authorities()
        self.connections: set[_Connection] = set()
        self._host_key = host_key
        self._listeners: dict[tuple[str, int], asyncssh.SSHAcceptor] = {}
        self._closing: list[asyncssh.SSHAcceptor] = []
        self._idle = asyncio.Event()  # no connection has a channel

    async def listen(self, address: str, port: int) -> int:
        """Accept connections at an IPv4 or IPv6 address; 0 lets the system choose. Returns the port.

        Raises OSError.
        """
        listener = await asyncssh.listen(
            address, port, server_factory=lambda: _Connection(self), backlog=1024, **self._options()
        )
        bound = listener.get_port()
        self._listeners[address, bound] = listener
        return bound

    async def serve(self, connected: socket.socket, keepalive: float = KEEPALIVE) -> bool:
        """Answer on a connection that this server made, until it is over; True when it had a session.

        Whoever cancels this leaves the connection open once somebody has logged in.
        """
        connection = _Connection(self)
        try:
            answering = await asyncssh.run_server(
                connected, server_factory=lambda: connection, **self._options(keepalive)
            )
        except (OSError, asyncssh.Error) as error:
            log.info("a client that was called did not log in: %.200r", str(error))
            return False
        await answering.wait_closed()
        return connection.served

    def _options(self, keepalive: float = KEEPALIVE) -> Mapping[str, Any]:
        return dict(
            server_host_keys=[self._host_key],
            server_version="eman-netconf",
            encoding=None,
            line_editor=False,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            gss_host=None,
            compression_algs=None,
            window=WINDOW,
            login_timeout=0,  # the limit may change while we listen: _Connection keeps it
            keepalive_interval=keepalive,
            keepalive_count_max=KEEPALIVES,
            **_ALGORITHMS,
        )

    def stop_listening(self, port: int | None = None, address: str | None = None) -> None:
        """Take no more connections, at one port (of one address) or at all; those that are open stay."""
        for at, listener in list(self._listeners.items()):
            if port in {None, at[1]} and address in {None, at[0]}:
                listener.close()
                self._closing.append(self._listeners.pop(at))

    async def finish(self, seconds: float) -> None:
        """Wait until all channels are closed and what was written to them is out, for so long at most."""
        self._idle.clear()
        if any(connection.busy for connection in self.connections):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._idle.wait()

    def connection_idle(self) -> None:
        """Called by a connection when its last channel is gone."""
        if not any(connection.busy for connection in self.connections):
            self._idle.set()

    async def close(self) -> None:
        """Stop listening and cut every connection; sessions are drained before."""
        self.stop_listening()
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        for listener in self._closing:
            await listener.wait_closed()
        for connection in connections:
            await connection.wait_closed()
        self._closing.clear()


def _nothing_more() -> bool:
    return False


class _Connection(asyncssh.SSHServer):
    """One SSH connection: who it is, and its sessions."""

    def __init__(self, server: SshServer) -> None:
        self.served = False  # there was a session
        self.source_host = "unknown"
        self._server = server
        self._failures = 0
        self._left = "it went without logging in"  # why, where nothing else is known
        self._username: str | None = None  # who it says it is
        self._shown: str | None = None  # what was believed last
        self._certificates: _Certificates | None = None  # once there is a name
        self._channels: set[_Channel] = set()
        self._deadline: asyncio.TimerHandle | None = None
        self._connection: asyncssh.SSHServerConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        peer = conn.get_extra_info("peername")
        if peer:
            self.source_host = str(peer[0])
        # The SSH window alone does not bound what waits in the socket's buffer: a client may announce gigabytes.
        conn.pause_writing = self._pause  # type: ignore[method-assign]  # what asyncio calls at the high-water mark
        conn.resume_writing = self._resume  # type: ignore[method-assign]  # and at the low one
        most = self._server.limits().sessions
        if len(self._server.connections) >= most:
            self._left = f"no connection is free of the {most} that max-sessions allows"
            conn.abort()
        self._server.connections.add(self)
        self._arm_deadline(self._server.limits().login_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._shown is None and self._certificates is not None and self._certificates.believed:
            reason = "its certificate has expired, is not valid yet, or is for another address or a host"
            audit.refused(self._username, self.source_host, "netconf-ssh", reason)
        elif self._shown is None and not self._failures:
            audit.refused(self._username, self.source_host, "netconf-ssh", self._left)
        for channel in list(self._channels):
            channel.connection_lost(exc)  # one that was being opened is not told by asyncssh
        self._cancel_deadline()
        self._server.connections.discard(self)
        # bound methods that would keep both alive for each other until a full collection of garbage
        del self._connection.pause_writing, self._connection.resume_writing
        self._connection._recv_handler = _nothing_more  # noqa: SLF001 - asyncssh leaves its own in place

    def abort(self) -> None:
        self._connection.abort()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    # --- authentication

    def begin_auth(self, username: str) -> bool:
        self._username = username
        self._certificates = _Certificates(self._server.authorities, username)
        self._connection.set_authorized_keys(self._certificates)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._judge(self._server.users.permits_key(username, key.public_data), username, "public key")

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        assert self._certificates is not None, "whose certificate it is was asked before"
        return self._judge(False, username, "certificate", self._certificates.fault)  # it was not believed there

    async def validate_password(self, username: str, password: str) -> bool:
        return self._judge(await self._server.users.permits_password(username, password), username, "password")

    def _judge(self, permitted: bool, username: str, what: str, fault: str = "is none of the user's") -> bool:
        """Count what was refused; past the limit the connection ends."""
        if permitted:
            self._shown = what
            return True
        self._failures += 1
        audit.refused(username, self.source_host, "netconf-ssh", f"its {what} {fault}")
        if self._failures >= self._server.limits().login_attempts:
            audit.refused(username, self.source_host, "netconf-ssh", "too many failed logins")
            raise asyncssh.PermissionDenied("Too many failed logins.")
        return False

    def auth_completed(self) -> None:
        self._shown = self._shown or "certificate"  # which asyncssh judges
        audit.login(self._user, self.source_host, "netconf-ssh", self._shown)
        self._arm_deadline(self.patience)

    # --- sessions

    @property
    def patience(self) -> float:
        """Seconds a client may take from one step to the next until its session stands."""
        return self._server.limits().hello_seconds

    @property
    def _user(self) -> str:
        return str(self._connection.get_extra_info("username"))

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        channel = _Channel(self)
        try:
            channel.session = self._server.sessions.open(channel, user=self._user, source_host=self.source_host)
        except Full as refusal:
            audit.refused(self._user, self.source_host, "netconf-ssh", str(refusal))
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, str(refusal)) from None
        self._channels.add(channel)
        return channel

    @property
    def busy(self) -> bool:
        """Whether there is a channel."""
        return bool(self._channels)

    def session_started(self) -> None:
        self.served = True
        self._cancel_deadline()

    def session_over(self, channel: _Channel) -> None:
        """A connection without a session has no purpose; its client is given a moment to close it itself."""
        self._channels.discard(channel)
        if not self._channels:
            self._arm_deadline(_LINGER)
            self._server.connection_idle()

    def _arm_deadline(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _pause(self) -> None:
        for channel in self._channels:
            channel.pause_for_socket()

    def _resume(self) -> None:
        for channel in self._channels:
            channel.resume_for_socket()


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One SSH channel with its NETCONF session: events in one direction, writing and closing in the other."""

    session: LiveSession

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes]
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False
        self._window_full = False
        self._socket_full = False

    # --- from the client

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._after(self._connection.patience, self.abort)  # unless the subsystem is asked for

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        self._cancel_timer()
        self._connection.session_started()
        self.session.start()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:
            self.session.received(data)

    def eof_received(self) -> bool:
        self.session.ended()
        return True  # replies still go out

    def connection_lost(self, exc: Exception | None) -> None:
        if self._gone:
            return
        self._gone = True
        self._cancel_timer()
        self.session.lost()
        self._connection.session_over(self)
        del self.session  # which refers to this channel: neither would go before a full collection of garbage

    def pause_writing(self) -> None:
        self._window_full = True
        self._tell_writable()

    def resume_writing(self) -> None:
        self._window_full = False
        self._tell_writable()

    def pause_for_socket(self) -> None:
        self._socket_full = True
        self._tell_writable()

    def resume_for_socket(self) -> None:
        self._socket_full = False
        self._tell_writable()

    def _tell_writable(self) -> None:
        if self._window_full or self._socket_full:
            self.session.pause()
        else:
            self.session.resume()

    # --- to the client (sessions.Channel)

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has closed the channel; ``lost`` follows
            self._channel.write(data)

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.exit(0)
        self._after(_LINGER, self._connection.abort)  # unless the client closes its end too

    def abort(self) -> None:
        self._channel.abort()
        self._after(_LINGER, self._connection.abort)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._cancel_timer()
        if not self._gone:
            self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

"""NETCONF over TLS 1.2 and 1.3 with certificates on both sides (RFC 7589, RFC 9918)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from cryptography import x509

from eman_netconf.server.certificates import Credentials, Rule, name_of, peer_chain
from eman_netconf.server.config import Limits
from eman_netconf.server.connections import LINGER, Caller, Connections, Refused, keep_alive
from eman_netconf.server.sessions import Sessions


class TlsServer:
    """Listeners and connections. ``credentials`` may be replaced at any time: they hold for the next connection."""

    def __init__(self, sessions: Sessions, limits: Callable[[], Limits], rules: Callable[[], tuple[Rule, ...]]) -> None:
        self.credentials: Credentials | None = None
        self.connections = Connections("netconf-tls", sessions, limits, self._admit)
        self._limits = limits
        self._rules = rules

    async def listen(self, address: str, port: int) -> asyncio.Server:
        """Accept connections at an IPv4 or IPv6 address; 0 lets the system choose the port. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(self.connections.protocol, address, port, backlog=1024)
        for listening in server.sockets:
            keep_alive(listening)
        return server

    async def _admit(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol
    ) -> tuple[asyncio.Transport, Caller]:
        """The handshake, and the name that the client's certificate stands for."""
        credentials = self.credentials
        if credentials is None:
            raise Refused("there is no certificate of this server")
        address = str(transport.get_extra_info("peername")[0])
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                protocol,
                credentials.context,
                server_side=True,
                ssl_handshake_timeout=self._limits().login_seconds,
                ssl_shutdown_timeout=LINGER,
            )
        except ssl.SSLError as error:
            raise Refused(f"TLS: {error.reason or error}") from None
        assert secured is not None
        try:
            chain = peer_chain(secured.get_extra_info("ssl_object"), credentials.authorities)
        except ValueError as error:
            raise Refused(f"its certificate cannot be read: {error}") from None
        name = name_of(chain, self._rules())
        if name is None:
            raise Refused(f"no cert-to-name rule gives a name for {_told(chain[0])}")
        return secured, Caller(name, address, f"certificate {_told(chain[0])}")


def _told(certificate: x509.Certificate) -> str:
    """A certificate as the audit log has it: its subject and serial number."""
    try:
        subject = certificate.subject.rfc4514_string()
    except ValueError:
        subject = "unreadable subject"
    return f"{subject[:200]!r} (serial {certificate.serial_number:x})"

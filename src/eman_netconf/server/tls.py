"""NETCONF over TLS 1.2 and 1.3 with certificates on both sides (RFC 7589, RFC 9918)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from cryptography import x509

from eman_netconf.server.certificates import Credentials, Rule, name_of, peer_chain
from eman_netconf.server.config import Limits
from eman_netconf.server.connections import Caller, Close, Connections, Refused, keep_alive
from eman_netconf.server.sessions import Sessions


class TlsServer:
    """Listeners and connections. ``credentials`` may be replaced at any time: they hold for the next connection."""

    def __init__(self, sessions: Sessions, limits: Callable[[], Limits], rules: Callable[[], tuple[Rule, ...]]) -> None:
        self.credentials: Credentials | None = None
        self.connections = Connections("netconf-tls", sessions, limits, self._admit, self._context)
        self._rules = rules

    def listen(self, address: str, port: int) -> tuple[int, Close]:
        """Accept connections at an IPv4 or IPv6 address; 0 lets the system choose. The port. Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, port), family=family, backlog=1024)
        listening.setblocking(False)
        keep_alive(listening)
        return listening.getsockname()[1], self.connections.listen(listening)

    def _context(self) -> ssl.SSLContext | None:
        return self._present().context

    def _present(self) -> Credentials:
        if self.credentials is None:
            raise Refused("this server has no certificate any more")
        return self.credentials

    async def _admit(self, transport: asyncio.Transport) -> Caller:
        """The name that the client's certificate stands for."""
        authorities = self._present().authorities
        try:
            chain = peer_chain(transport.get_extra_info("ssl_object"), authorities)
        except ValueError as error:
            raise Refused(f"its certificate cannot be read: {error}") from None
        name = name_of(chain, self._rules())
        if name is None:
            raise Refused(f"no cert-to-name rule gives a name for {_told(chain[0])}")
        return Caller(name, f"certificate {_told(chain[0])}")


def _told(certificate: x509.Certificate) -> str:
    """A certificate as the audit log has it: its subject and serial number."""
    try:
        subject = certificate.subject.rfc4514_string()
    except ValueError:
        subject = "unreadable subject"
    return f"{subject[:200]!r} (serial {certificate.serial_number:x})"

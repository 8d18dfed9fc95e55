"""X.509 certificates made for a test, and a NETCONF client that shows one."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.peer import PATIENCE, Peer

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
DAY = datetime.timedelta(days=1)


@dataclass
class Identity:
    """A certificate with its key and those of the authorities above it that are shown with it."""

    certificate: x509.Certificate
    key: Key
    above: Sequence[x509.Certificate] = ()
    parent: Identity | None = field(default=None, repr=False)

    def fingerprint(self, algorithm: int = 4) -> str:
        """As a tls-fingerprint: the hash's number, then the hash."""
        kind = {1: hashes.MD5, 2: hashes.SHA1, 4: hashes.SHA256, 6: hashes.SHA512}[algorithm]
        return bytes([algorithm, *self.certificate.fingerprint(kind())]).hex(":")

    def issue(
        self,
        name: str,
        *alternatives: x509.GeneralName,
        ca: bool = False,
        key: Key | None = None,
        expired: bool = False,
    ) -> Identity:
        """A certificate below this one."""
        above = (*((self.certificate,) if self.parent else ()), *self.above)
        return _made(name, alternatives, self, above, key or ec.generate_private_key(ec.SECP256R1()), ca, expired)

    def revoke(self, *revoked: Identity) -> bytes:
        """The list of certificates that this authority has revoked, in PEM."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, now - DAY, now + DAY)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.certificate.serial_number, now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm).public_bytes(Encoding.PEM)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """PEM files of the certificates and of the key."""
        certificates, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain = (self.certificate, *self.above)
        certificates.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)
        return certificates, key


def authority(name: str = "Test CA") -> Identity:
    """One that certifies itself."""
    return _made(name, (), None, (), ed25519.Ed25519PrivateKey.generate(), True, False)


def _made(
    name: str,
    alternatives: Sequence[x509.GeneralName],
    issuer: Identity | None,
    above: Sequence[x509.Certificate],
    key: Key,
    ca: bool,
    expired: bool,
) -> Identity:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * DAY)
        .not_valid_after(now + (-DAY if expired else DAY))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=not name)
    signer = issuer.key if issuer else key
    signed = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return Identity(signed, key, above, issuer)


LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


def client_context(trusted: Path, shown: tuple[Path, Path] | None = None, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    """What a client trusts and shows."""
    context = ssl.create_default_context(cafile=trusted)
    if shown is not None:
        context.load_cert_chain(*shown)
    if shown is not None and versions.get("maximum_version", ssl.TLSVersion.TLSv1_3) < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    for bound, version in versions.items():
        setattr(context, bound, version)
    return context


class StreamPeer(Peer):
    """A session on a stream of bytes, which a test may stop reading."""

    transport: asyncio.Transport


class StreamClient(asyncio.Protocol):
    """Feeds a Peer from a stream of bytes."""

    def __init__(self) -> None:
        self.peer = StreamPeer(lambda _: None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer.transport = cast("asyncio.Transport", transport)
        self.peer.send = self.peer.transport.write

    def data_received(self, data: bytes) -> None:
        self.peer.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.lose()


@asynccontextmanager
async def tls_peer(port: int, context: ssl.SSLContext, *, greet: bool = True) -> AsyncIterator[StreamPeer]:
    """A session over TLS."""
    transport, client = await asyncio.get_running_loop().create_connection(
        StreamClient, "127.0.0.1", port, ssl=context, ssl_handshake_timeout=PATIENCE
    )
    async with _using(transport, client, greet=greet) as peer:
        yield peer


@asynccontextmanager
async def unix_peer(path: Path, *, greet: bool = True) -> AsyncIterator[StreamPeer]:
    """A session over a Unix socket."""
    transport, client = await asyncio.get_running_loop().create_unix_connection(StreamClient, str(path))
    async with _using(transport, client, greet=greet) as peer:
        yield peer


@asynccontextmanager
async def _using(transport: asyncio.Transport, client: StreamClient, *, greet: bool) -> AsyncIterator[StreamPeer]:
    try:
        if greet:
            await client.peer.greet()
        yield client.peer
    finally:
        transport.abort()
        await client.peer.closed()

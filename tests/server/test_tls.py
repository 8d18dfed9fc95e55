"""NETCONF over TLS on port 0, with certificates made for the test."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from eman_netconf.errors import ErrorTag
from eman_netconf.messages.framing import frame
from eman_netconf.server.certificates import MapType, Rule, load_credentials, name_of
from eman_netconf.server.config import ConfigError, Tls
from eman_netconf.server.tls import TlsServer
from tests.certificates import LOOPBACK, Identity, StreamPeer, authority, client_context, tls_peer
from tests.peer import PATIENCE, Peer
from tests.server.conftest import Wire
from tests.server.test_sessions import op


def rule(identity: Identity, map_type: MapType, name: str | None = None, *, id_: int = 1, algorithm: int = 4) -> Rule:
    return Rule(id_, bytes.fromhex(identity.fingerprint(algorithm).replace(":", "")), map_type, name)


Talk = contextlib.AbstractAsyncContextManager[StreamPeer]


@dataclass
class Site:
    """A server with its authority, and what its clients need."""

    folder: Path
    root: Identity
    wire: Wire
    tls: TlsServer
    rules: list[Rule] = field(default_factory=list)
    port: int = 0
    count: int = 0

    def context(self, identity: Identity | None, **versions: ssl.TLSVersion) -> ssl.SSLContext:
        self.count += 1
        shown = identity.write(self.folder, f"client-{self.count}") if identity else None
        return client_context(self.folder / "ca.pem", shown, **versions)

    def peer(self, identity: Identity, *, greet: bool = True, **versions: ssl.TLSVersion) -> Talk:
        return tls_peer(self.port, self.context(identity, **versions), greet=greet)

    async def outside(self, identity: Identity | None, **versions: ssl.TLSVersion) -> None:
        """Come, and be turned away: in the handshake, or before any hello."""
        context = self.context(identity, **versions)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(OSError):
                async with tls_peer(self.port, context, greet=False) as peer:
                    assert await peer.event() is None
            await self.alone()
        assert self.wire.sessions.live() == []

    async def alone(self) -> None:
        """Wait until the server has no connection."""
        async with asyncio.timeout(PATIENCE):
            while self.tls.connections.open or self.tls.connections.arriving:
                self.tls.connections._changed.clear()
                await self.tls.connections._changed.wait()


def files(folder: Path, root: Identity) -> Tls:
    certificate, key = root.issue("server", LOOPBACK).write(folder, "server")
    ca, _ = root.write(folder, "ca")
    return Tls(certificate, key, ca)


@pytest.fixture
async def site(wire: Wire, tmp_path: Path) -> AsyncIterator[Site]:
    """A server that takes the common name of everybody whom its authority has certified."""
    root = authority()
    rules: list[Rule] = []
    tls = TlsServer(wire.sessions, lambda: wire.limits, lambda: tuple(rules))
    tls.credentials = load_credentials(files(tmp_path, root))
    port, close = tls.listen("127.0.0.1", 0)
    site = Site(tmp_path, root, wire, tls, rules, port)
    rules.append(rule(root, MapType.COMMON_NAME))
    yield site
    await close()
    wire.gate.set()
    await wire.sessions.drain(5.0)
    await tls.connections.close()


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection without TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except OSError:
            return b""


async def whoami(peer: Peer) -> str | None:
    return (await peer.rpc(op("whoami"))).element[0].text


# --- who gets in


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_versions(site: Site, version: ssl.TLSVersion) -> None:
    """A client with a certificate has a session over either version, known by name, address and transport."""
    async with site.peer(site.root.issue("alice"), minimum_version=version, maximum_version=version) as peer:
        assert await whoami(peer) == "alice@127.0.0.1"
        (session,) = site.wire.sessions.live()
        assert session.info.transport == "netconf-tls"


async def test_both_kinds_of_key(site: Site) -> None:
    """Certificates of ECDSA and of Ed25519 keys are believed alike."""
    ed = site.root.issue("ed", key=ed25519.Ed25519PrivateKey.generate())
    async with site.peer(ed) as first, site.peer(site.root.issue("ec")) as second:
        assert [await whoami(first), await whoami(second)] == ["ed@127.0.0.1", "ec@127.0.0.1"]


@pytest.mark.req("rfc7589-5")
async def test_who_stays_outside(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """No certificate, one of a stranger, one that has expired, and old versions of TLS end without a session."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    await site.outside(None)
    await site.outside(authority("Stranger").issue("alice"))
    await site.outside(site.root.issue("alice", expired=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which says what this test says
        await site.outside(
            site.root.issue("alice"), minimum_version=ssl.TLSVersion.TLSv1_1, maximum_version=ssl.TLSVersion.TLSv1_1
        )
    assert len([line for line in caplog.messages if "refused over netconf-tls" in line]) == 4


@pytest.mark.req("rfc7589-5")
async def test_revoked_certificates(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate on its authority's list of revoked ones is refused, the others are believed."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    alice, bob = site.root.issue("alice"), site.root.issue("bob")
    (site.folder / "crl.pem").write_bytes(site.root.revoke(alice))
    site.tls.credentials = load_credentials(replace(files(site.folder, site.root), client_crl=site.folder / "crl.pem"))
    await site.outside(alice)
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.messages[-1]
    async with site.peer(bob) as peer:
        assert await whoami(peer) == "bob@127.0.0.1"


@pytest.mark.req("rfc7589-7")
async def test_nobody_without_a_name(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate to which no rule gives a name ends the connection before any hello, and is told."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    site.rules.clear()
    await site.outside(site.root.issue("alice"))
    assert any("no cert-to-name rule" in line and "CN=alice" in line for line in caplog.messages)


async def test_rules_are_live(site: Site) -> None:
    """A rule that is put in holds for the next connection, one that is taken out no more; sessions stay."""
    alice = site.root.issue("alice")
    async with site.peer(alice) as old:
        site.rules[:] = [rule(alice, MapType.SPECIFIED, "bob")]
        async with site.peer(alice) as new:
            assert await whoami(new) == "bob@127.0.0.1"
        assert await whoami(old) == "alice@127.0.0.1"


async def test_intermediate_authority(site: Site) -> None:
    """A chain over an intermediate authority is followed, and a rule for any certificate in it fits."""
    below = site.root.issue("Below", ca=True)
    alice = below.issue("alice")
    for certified in (site.root, below, alice):
        site.rules[:] = [rule(certified, MapType.COMMON_NAME)]
        async with site.peer(alice) as peer:
            assert await whoami(peer) == "alice@127.0.0.1"
    site.rules[:] = [rule(site.root.issue("Other", ca=True), MapType.COMMON_NAME)]
    await site.outside(alice)


async def test_a_resumed_session_shows_its_certificate_again(site: Site) -> None:
    """Over TLS 1.2 a session may be resumed, and rules for the authority still fit; over 1.3 none is offered."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = site.context(site.root.issue("alice"), minimum_version=version, maximum_version=version)
        first = await asyncio.to_thread(_hello_of, context, site.port, None)
        second = await asyncio.to_thread(_hello_of, context, site.port, first)
        assert second is not None or version is ssl.TLSVersion.TLSv1_3


def _hello_of(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """Be greeted by the server, in a session of TLS that stood before; the session to go on with."""
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secured,
    ):
        assert secured.recv(1000).startswith(b"<hello")
        if context.maximum_version is ssl.TLSVersion.TLSv1_3:
            assert not secured.session_reused
            assert secured.session is None or not secured.session.has_ticket
            return None
        return secured.session


async def test_a_server_that_has_no_certificate_any_more(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """When TLS is taken out of the server nobody is served, least of all without encryption; sessions stay."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    async with site.peer(site.root.issue("alice")) as peer:
        site.tls.credentials = None
        async with raw(site.port) as (reader, _):
            assert await until_closed(reader) == b""
        assert "no certificate any more" in caplog.messages[-1]
        assert await whoami(peer) == "alice@127.0.0.1"


# --- from a certificate to a name (RFC 7407)

ALTERNATIVES = (
    x509.UniformResourceIdentifier("urn:x"),
    x509.RFC822Name("FooBar@Example.COM"),
    x509.DNSName("Host.Example.COM"),
    x509.IPAddress(ip_address("192.0.2.1")),
    x509.IPAddress(ip_address("2001:db8::1")),
)


@pytest.mark.parametrize(
    ("map_type", "alternatives", "name"),
    [
        (MapType.SPECIFIED, ALTERNATIVES, "told"),
        (MapType.COMMON_NAME, ALTERNATIVES, "Cömmon"),
        (MapType.SAN_RFC822_NAME, ALTERNATIVES, "FooBar@example.com"),
        (MapType.SAN_DNS_NAME, ALTERNATIVES, "host.example.com"),
        (MapType.SAN_IP_ADDRESS, ALTERNATIVES, "192.0.2.1"),
        (MapType.SAN_IP_ADDRESS, ALTERNATIVES[4:], "20010db8000000000000000000000001"),
        (MapType.SAN_ANY, ALTERNATIVES, "FooBar@example.com"),
        (MapType.SAN_ANY, ALTERNATIVES[::-1], "20010db8000000000000000000000001"),
        (MapType.SAN_ANY, ALTERNATIVES[2:], "host.example.com"),
        (MapType.SAN_ANY, ALTERNATIVES[:1], None),
        (MapType.SAN_ANY, (), None),
        (MapType.SAN_DNS_NAME, ALTERNATIVES[:2], None),
    ],
)
def test_map_types(map_type: MapType, alternatives: tuple[x509.GeneralName, ...], name: str | None) -> None:
    """Each map-type finds its kind of name, the first of several, and nothing where there is none."""
    identity = authority().issue("Cömmon", *alternatives)
    told = "told" if map_type is MapType.SPECIFIED else None
    assert name_of([identity.certificate], [rule(identity, map_type, told)]) == name


@pytest.mark.parametrize("algorithm", [1, 2, 4, 6])
def test_hashes_of_fingerprints(algorithm: int) -> None:
    """The first octet of a fingerprint names its hash."""
    identity = authority().issue("alice")
    assert name_of([identity.certificate], [rule(identity, MapType.COMMON_NAME, algorithm=algorithm)]) == "alice"


@pytest.mark.parametrize("fingerprint", ["", "04", "09" + "ab" * 32, "04" + "ab" * 32])
def test_fingerprints_that_fit_nothing(fingerprint: str) -> None:
    """A fingerprint of another certificate, of an unknown hash or of no length fits nothing."""
    identity = authority().issue("alice")
    assert name_of([identity.certificate], [Rule(1, bytes.fromhex(fingerprint), MapType.COMMON_NAME)]) is None


def test_a_rule_without_a_name_is_passed_over() -> None:
    """Where a rule that fits finds no name, or one that nobody could write down, those behind it are tried."""
    root = authority()
    alice = root.issue("al\nice", x509.DNSName("alice"))
    rules = [rule(root, each) for each in (MapType.SAN_IP_ADDRESS, MapType.COMMON_NAME, MapType.SAN_DNS_NAME)]
    assert name_of([alice.certificate, root.certificate], rules) == "alice"
    assert name_of([alice.certificate, root.certificate], rules[:2]) is None


# --- one session like any other


async def test_long_replies_and_slow_readers(site: Site) -> None:
    """A long reply arrives whole, and is not made faster than it is read."""
    async with site.peer(site.root.issue("alice")) as slow, site.peer(site.root.issue("bob")) as other:
        slow.transport.pause_reading()
        slow.ask(op("stream", 12_000))
        assert (await other.rpc(op("stream", 3000))).ok
        assert site.wire.slices < 15_000
        slow.transport.resume_reading()
        assert len((await slow.reply()).element[0]) == 12_000


async def test_a_message_before_the_server_knows_who(site: Site) -> None:
    """What a client sends together with the end of its handshake is not lost."""
    async with site.peer(site.root.issue("alice"), greet=False) as peer:
        peer.send(peer.wire.greeting())
        await peer.event()
        assert await whoami(peer) == "alice@127.0.0.1"


async def test_close_session(site: Site) -> None:
    """After close-session the reply arrives and the server ends the connection."""
    async with site.peer(site.root.issue("alice")) as peer:
        assert (await peer.rpc("<close-session/>")).ok
        await peer.closed()
    await site.alone()


async def test_kill(site: Site) -> None:
    """A session that is killed is gone with its connection."""
    async with site.peer(site.root.issue("alice")) as peer:
        assert await site.wire.sessions.kill(peer.session_id)
        await peer.closed()
    await site.alone()


async def test_bad_input(site: Site) -> None:
    """A broken message is told to its sender over TLS as over SSH."""
    async with site.peer(site.root.issue("alice")) as peer:
        peer.send(frame(b"<rpc><get></rpc>", chunked=True))
        (error,) = (await peer.reply()).errors
        assert error.tag == ErrorTag.MALFORMED_MESSAGE


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, b"<hello/>]]>]]>", b""]
)
async def test_what_is_no_tls(site: Site, noise: bytes) -> None:
    """What is no TLS is cut off, at the latest when the time for logging in is over; others are served."""
    site.wire.limit(login_seconds=1.0)
    async with raw(site.port) as (reader, writer):
        writer.write(noise)
        await until_closed(reader)
    await site.alone()
    site.wire.limit(login_seconds=30.0)
    async with site.peer(site.root.issue("alice")) as peer:
        assert await whoami(peer) == "alice@127.0.0.1"


async def test_hello_timeout(site: Site) -> None:
    """A client that never says hello is cut off after hello-seconds."""
    site.wire.limit(hello_seconds=0.1)
    async with site.peer(site.root.issue("alice"), greet=False) as peer:
        await peer.closed()
    await site.alone()


async def test_idle_timeout(site: Site) -> None:
    """A session that is silent for idle-seconds is closed."""
    site.wire.limit(idle_seconds=0.2)
    async with site.peer(site.root.issue("alice")) as peer:
        await peer.closed()
    await site.alone()


async def test_limits(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A session too many of a user is refused and told; connections beyond all sessions are cut at once."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    site.wire.limit(sessions_per_user=1)
    async with site.peer(site.root.issue("alice")) as peer:
        async with site.peer(site.root.issue("alice"), greet=False) as second:
            await second.closed()
        assert any("User alice has 1 sessions open" in line for line in caplog.messages)
        site.wire.limit(sessions=1)
        async with raw(site.port) as (reader, _):
            assert await until_closed(reader) == b""
        assert (await peer.rpc(op("echo"))).ok


# --- the server's files


def test_files_for_the_server_alone(tmp_path: Path) -> None:
    """A private key that others may read is refused with what to do."""
    tls = files(tmp_path, authority())
    tls.private_key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_credentials(tls)


Damage = Callable[[Tls], object]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda tls: tls.certificate.unlink(), "certificate .*No such file"),
        (lambda tls: tls.private_key.unlink(), "private-key .*No such file"),
        (lambda tls: tls.client_ca.unlink(), "client-ca .*No such file"),
        (lambda tls: tls.certificate.write_text("no PEM"), "belong together"),
        (lambda tls: tls.private_key.write_text("no PEM"), "belong together"),
        (lambda tls: tls.client_ca.write_text("no PEM"), "holds no certificates"),
        (lambda tls: tls.certificate.write_bytes(tls.client_ca.read_bytes()), "belong together"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, damage: Damage, words: str) -> None:
    """A file that is missing, broken or of another pair is named in one line."""
    tls = files(tmp_path, authority())
    damage(tls)
    with pytest.raises(ConfigError, match=words) as caught:
        load_credentials(tls)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no PEM", "a certificate"])
def test_lists_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    """A list of revoked certificates that is missing, broken or something else is named."""
    tls = replace(files(tmp_path, authority()), client_crl=tmp_path / "crl.pem")
    if content is not None:
        (tmp_path / "crl.pem").write_text(tls.client_ca.read_text() if content == "a certificate" else content)
    with pytest.raises(ConfigError, match="client-crl"):
        load_credentials(tls)


def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    """A key that asks for a passphrase is refused and nobody is asked."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    root = authority()
    tls = files(tmp_path, root)
    key = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    tls.private_key.write_bytes(key)
    with pytest.raises(ConfigError, match="passphrase"):
        load_credentials(tls)

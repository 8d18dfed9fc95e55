"""All transports of one server together: what a reload opens and closes, what a drain does, whom groups let act."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pwd import getpwuid

import pytest

from eman_netconf.server.config import Bootstrap, CallHome, ConfigError, Listen, Ssh, Tls, Transport
from eman_netconf.server.local import identify
from eman_netconf.yang.schema import Schema
from tests.certificates import Identity, StreamPeer, authority, client_context, tls_peer, unix_peer
from tests.server.running import NC, SERVER, Serving, edit, edited, entity, get, serving
from tests.server.test_tls import files

ME = getpwuid(os.geteuid()).pw_name
X509 = "urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"


@dataclass
class Site:
    """A server that begins with SSH alone, and the files of the other transports."""

    folder: Path
    server: Serving
    root: Identity
    tls: Tls

    @property
    def bootstrap(self) -> Bootstrap:
        return self.server.daemon.bootstrap

    @property
    def everything(self) -> Bootstrap:
        """A bootstrap file with every transport."""
        more = (Listen(Transport.TLS, port=0), Listen(Transport.UNIX, "", 0, self.socket))
        return replace(self.bootstrap, listen=(*self.bootstrap.listen, *more), tls=self.tls)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def tls_port(self) -> int:
        return self.server.daemon.listeners.addresses[1][1]

    @asynccontextmanager
    async def by_tls(self) -> AsyncIterator[StreamPeer]:
        context = client_context(self.tls.client_ca, self.root.issue("admin").write(self.folder, "admin"))
        async with tls_peer(self.tls_port, context) as peer:
            yield peer


@pytest.fixture
async def site(tmp_path: Path, schema: Schema) -> AsyncIterator[Site]:
    root = authority()
    async with serving(tmp_path / "state", schema) as server:
        async with server.peer() as admin:
            await edited(
                admin,
                f'<eman-server xmlns="{SERVER}"><tls><cert-to-name><id>7</id>'
                f"<fingerprint>{root.fingerprint()}</fingerprint>"
                f'<map-type xmlns:x="{X509}">x:common-name</map-type></cert-to-name></tls></eman-server>',
            )
        yield Site(tmp_path, server, root, files(tmp_path, root))


async def version(peer: StreamPeer) -> str | None:
    data = await get(peer, f'<eman-server xmlns="{SERVER}"><version/></eman-server>')
    return data.findtext(f".//{{{SERVER}}}version")


async def test_reload_opens_and_closes_transports(site: Site) -> None:
    """A reload opens what is new and closes what is gone, and the sessions of both stay."""
    plain = site.bootstrap
    await site.server.daemon.reload(site.everything)
    addresses = site.server.daemon.listeners.addresses
    assert [address for address, _ in addresses] == ["127.0.0.1", "127.0.0.1", str(site.socket)]
    async with site.by_tls() as first, unix_peer(site.socket) as second, site.server.peer() as third:
        port = site.tls_port
        await site.server.daemon.reload(plain)
        assert not site.socket.exists()
        with pytest.raises(ConnectionRefusedError):
            async with tls_peer(port, client_context(site.tls.client_ca)):
                pass
        assert await version(first)
        assert (await second.rpc(f'<get xmlns="{NC}"/>')).ok
        assert (await third.rpc(f'<get xmlns="{NC}"><filter/></get>')).ok


async def test_a_reload_that_fails_changes_nothing(site: Site) -> None:
    """Files that are no good, and places that are taken, leave every listener and certificate as it was."""
    await site.server.daemon.reload(site.everything)
    before = site.server.daemon.listeners.addresses
    credentials = site.server.daemon.listeners.tls.credentials
    nowhere = Listen(Transport.UNIX, "", 0, site.folder)  # which is no socket
    lost = replace(site.tls, certificate=site.folder / "none")
    for bootstrap, kind, words in (
        (replace(site.everything, ssh=Ssh(site.folder / "none")), ConfigError, "none: No such file"),
        (replace(site.everything, tls=lost), ConfigError, "No such file"),
        (replace(site.everything, listen=(*site.everything.listen, nowhere)), OSError, "cannot listen on"),
        (replace(site.everything, listen=(nowhere,), tls=None), OSError, "cannot listen on"),
    ):
        with pytest.raises(kind, match=words):
            await site.server.daemon.reload(bootstrap)
        assert site.server.daemon.listeners.addresses == before
        assert site.server.daemon.listeners.tls.credentials is credentials
    async with site.by_tls() as peer:
        assert await version(peer)


async def test_the_same_place_in_another_way(site: Site) -> None:
    """A socket whose mode changes, and a port that changes its transport, are closed before they are opened anew."""
    await site.server.daemon.reload(site.everything)
    ssh, tls, _ = (port for _, port in site.server.daemon.listeners.addresses)
    other = (
        Listen(Transport.TLS, port=ssh),
        Listen(Transport.SSH, port=tls),
        Listen(Transport.UNIX, "", 0, site.socket, 0o660),
    )
    await site.server.daemon.reload(replace(site.everything, listen=other))
    assert site.socket.stat().st_mode & 0o777 == 0o660
    context = client_context(site.tls.client_ca, site.root.issue("admin").write(site.folder, "admin"))
    async with tls_peer(ssh, context) as peer, unix_peer(site.socket):
        assert await version(peer)


async def test_stop_answers_every_transport(site: Site) -> None:
    """At the end every session is told by its connection, whatever it came over, and the socket is gone."""
    await site.server.daemon.reload(replace(site.everything, call_home=(CallHome(Transport.SSH, ("127.0.0.97",), 1),)))
    async with site.by_tls() as first, unix_peer(site.socket) as second:
        assert await version(first)
        asked = first.ask(f'<get xmlns="{NC}"/>')
        site.server.daemon.stop()
        assert (await first.reply()).message_id == asked
        await first.closed()
        await second.closed()
        await site.server.task
    assert not site.socket.exists()


async def test_groups_of_the_system(site: Site) -> None:
    """Rules for a group of the system hold for its users on the Unix socket, unless external groups are off."""
    group = min(identify(os.geteuid(), os.getegid())[1])
    await site.server.daemon.reload(site.everything)
    rules = (
        f"<rule-list><name>local</name><group>{group}</group><rule><name>all</name>"
        "<access-operations>*</access-operations><action>permit</action></rule></rule-list>"
    )
    async with site.server.peer() as admin, unix_peer(site.socket) as local:
        assert not (await edit(local, entity("a"))).ok
        await edited(admin, f'<nacm xmlns="{NACM}">{rules}</nacm>')
        await edited(local, entity("a"))
        await edited(admin, f'<nacm xmlns="{NACM}"><enable-external-groups>false</enable-external-groups></nacm>')
        assert not (await edit(local, entity("b"))).ok
        (session,) = [each for each in site.server.daemon.sessions.live() if each.info.user == ME]
        assert group in session.info.groups

"""NETCONF over a real SSH server on port 0, asked by real clients."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport import AuthenticationError

from eman_netconf.errors import BASE_NS, ErrorTag
from eman_netconf.messages.framing import frame
from eman_netconf.messages.rpc import BASE_1_0
from eman_netconf.server.ssh import HostKeyError, load_host_key
from tests.peer import PATIENCE, connect, open_peer, ssh_peer
from tests.programs import program
from tests.server.conftest import PASSWORD, Directory, Served, blob
from tests.server.test_sessions import op

Keys = dict[str, asyncssh.SSHKey]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something holds that this process itself brings about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is inside the server and tells nobody
            await asyncio.sleep(0.001)


# --- who gets in


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
async def test_public_keys(server: Served, keys: Keys, kind: str) -> None:
    """A user logs in with each kind of key, and is known by name and address."""
    async with ssh_peer(server.port, client_keys=[keys[kind]]) as peer:
        assert (await peer.rpc(op("whoami"))).element[0].text == "admin@127.0.0.1"


async def test_password(server: Served) -> None:
    """A user logs in with a password."""
    async with ssh_peer(server.port, user="alice", password=PASSWORD) as peer:
        assert (await peer.rpc(op("whoami"))).element[0].text == "alice@127.0.0.1"


async def test_refused_logins(server: Served, keys: Keys) -> None:
    """Wrong passwords, others' keys, users without credentials, unknown users and certificates stay outside."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(keys["ed25519"], "admin", principals=["alice"])
    attempts: list[dict[str, Any]] = [
        {"user": "alice", "password": "wrong"},
        {"user": "alice", "password": ""},
        {"user": "alice", "client_keys": [keys["ed25519"]]},
        {"user": "alice", "client_keys": [(keys["ed25519"], certificate)]},
        {"user": "admin", "client_keys": [stranger]},
        {"user": "admin", "password": PASSWORD},
        {"user": "eve", "password": ""},
        {"user": "nobody", "password": PASSWORD},
        {"user": "", "password": PASSWORD},
        {"user": "ä" * 500, "password": PASSWORD},
    ]
    for attempt in attempts:
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(server.port, **attempt)
    assert server.sessions.live() == []
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        assert (await peer.rpc(op("echo"))).ok


async def test_users_are_live(server: Served, directory: Directory, keys: Keys) -> None:
    """A user taken out of the configuration cannot log in any more; one put in can."""
    directory.set(("carol", None, (blob(keys["rsa"]),)))
    async with ssh_peer(server.port, user="carol", client_keys=[keys["rsa"]]) as peer:
        assert (await peer.rpc(op("echo"))).ok
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(server.port, client_keys=[keys["rsa"]])


async def test_login_attempts(server: Served) -> None:
    """After so many failed logins the connection is cut."""
    server.limit(login_attempts=3)
    tried = 0

    class Guesser(asyncssh.SSHClient):
        def password_auth_requested(self) -> str:
            nonlocal tried
            tried += 1
            return f"guess {tried}"

        def kbdint_auth_requested(self) -> None:
            return None

    with pytest.raises(asyncssh.PermissionDenied, match="Too many failed logins"):
        await connect(server.port, user="alice", client_factory=Guesser)
    assert tried == 3
    await until(lambda: not server.ssh.connections)


async def test_login_timeout(server: Served) -> None:
    """Who connects and says nothing is cut off after login-seconds."""
    server.limit(login_seconds=0.1)
    port = await server.ssh.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE):
        assert (await reader.read()).startswith(b"SSH-2.0-eman-netconf\r\n")
    writer.close()
    await until(lambda: not server.ssh.connections)


async def test_more_connections_than_sessions(server: Served, keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """Connections beyond the number of sessions are cut at once, before anything is computed for them, and told why."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    server.limit(sessions=1)
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(PATIENCE):
            assert len(await reader.read()) < 100
        writer.close()
        assert (await peer.rpc(op("echo"))).ok
        await until(lambda: "no connection is free of the 1 that max-sessions allows" in caplog.text)


async def test_session_limit(server: Served, keys: Keys) -> None:
    """A session too many is refused with a reason; the others stay, and a place is free when one ends."""
    server.limit(sessions_per_user=1)
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        peer = await open_peer(connection)
        with pytest.raises(asyncssh.ChannelOpenError, match="User admin has 1 sessions open"):
            await open_peer(connection)
        await peer.rpc("<close-session/>")
        await peer.closed()
        await until(lambda: not server.sessions.live())
        assert (await (await open_peer(connection)).rpc(op("echo"))).ok


# --- what is there: the netconf subsystem


async def test_only_netconf(server: Served, keys: Keys, tmp_path: Path) -> None:
    """No shell, no commands, no files, no forwarding, no environment: the netconf subsystem is all (RFC 6242)."""
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        for request in ({}, {"command": "id"}, {"subsystem": "sftp"}, {"subsystem": "other"}, {"term_type": "xterm"}):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_session(asyncssh.SSHClientSession, **request)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_connection(asyncssh.SSHTCPSession, "127.0.0.1", server.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_unix_connection(asyncssh.SSHUNIXSession, str(tmp_path / "socket"))
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.create_server(lambda *_: asyncssh.SSHTCPSession(), "127.0.0.1", 0)
        with pytest.raises((asyncssh.ChannelOpenError, OSError)):
            await asyncssh.scp(str(tmp_path), (connection, "x"), recurse=True)
        assert (await (await open_peer(connection)).rpc(op("echo"))).ok


@pytest.mark.parametrize(
    "old",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"kex_algs": ["diffie-hellman-group18-sha512"]},
        {"encryption_algs": ["3des-cbc", "aes128-cbc"]},
        {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-sha1", "hmac-md5"]},
    ],
)
async def test_old_algorithms(server: Served, keys: Keys, old: dict[str, Any]) -> None:
    """Algorithms of yesterday, and those that cost a server most, are not offered."""
    with pytest.raises(asyncssh.KeyExchangeFailed):
        await connect(server.port, client_keys=[keys["ed25519"]], **old)


async def test_sessions_share_a_connection(server: Served, keys: Keys) -> None:
    """Several sessions on one connection are sessions of their own: ending one leaves the others."""
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        first, second = await open_peer(connection), await open_peer(connection)
        assert first.session_id != second.session_id
        assert await server.sessions.kill(first.session_id)
        await first.closed()
        assert (await second.rpc(op("echo"))).ok


async def test_connection_without_session(server: Served, keys: Keys) -> None:
    """A connection that opens no session is cut after hello-seconds; so is one whose channel asks for nothing."""
    server.limit(hello_seconds=0.1)
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        async with asyncio.timeout(PATIENCE):
            await connection.wait_closed()
    await until(lambda: not server.ssh.connections)
    assert server.ended == []


async def test_channel_without_subsystem(server: Served, keys: Keys) -> None:
    """A channel that asks for no subsystem gives its place back."""
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        peer = await open_peer(connection)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_session(asyncssh.SSHClientSession, subsystem="other")
        await until(lambda: len(server.sessions._live) == 1)
        server.limit(hello_seconds=0.1)
        opened = server.sessions._last_id
        other = asyncio.ensure_future(_bare_channel(connection))
        await until(lambda: server.sessions._last_id > opened)
        assert len(server.sessions.live()) == 1
        await until(lambda: len(server.sessions._live) == 1)
        assert (await peer.rpc(op("echo"))).ok
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


async def _bare_channel(connection: asyncssh.SSHClientConnection) -> None:
    """Open a session channel and ask for nothing on it."""
    channel: Any = asyncssh.channel.SSHClientChannel(
        connection, asyncio.get_running_loop(), "strict", None, "strict", 1 << 20, 1 << 15
    )
    await channel._open(b"session")
    await asyncio.get_running_loop().create_future()


# --- bad input on a real channel

BAD_INPUT = {
    "malformed XML": (frame(b"<rpc><get></rpc>", chunked=True), ErrorTag.MALFORMED_MESSAGE),
    "wrong namespace": (frame(b'<rpc xmlns="urn:x" message-id="1"><get/></rpc>', chunked=True), "unknown-namespace"),
    "no message-id": (frame(f'<rpc xmlns="{BASE_NS}"><get/></rpc>'.encode(), chunked=True), "missing-attribute"),
    "entity bomb": (
        frame(b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><rpc>&b;</rpc>', chunked=True),
        ErrorTag.MALFORMED_MESSAGE,
    ),
    "a million nested elements": (frame(b"<a>" * 1_000_000, chunked=True), ErrorTag.MALFORMED_MESSAGE),
    "1 GB chunk header": (b"\n#1073741824\n" + b"x" * 200_000, ErrorTag.MALFORMED_MESSAGE),
}


@pytest.mark.parametrize("name", BAD_INPUT)
async def test_bad_input(server: Served, keys: Keys, name: str) -> None:
    """Bad input is told to its sender, and nobody else feels it."""
    async with (
        ssh_peer(server.port, client_keys=[keys["ed25519"]]) as other,
        ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer,
    ):
        live = server.sessions.get(peer.session_id)
        assert live is not None
        data, tag = BAD_INPUT[name]
        peer.send(data)
        (error,) = (await peer.reply()).errors
        assert error.tag == tag
        assert live.buffered < 100_000
        assert (await other.rpc(op("echo", "here"))).element[0].text == "here"
        if name == "1 GB chunk header":
            await peer.closed()
        else:
            assert (await peer.rpc(op("echo"))).ok


async def test_silence_after_half_a_hello(server: Served, keys: Keys) -> None:
    """Half a hello and then nothing ends after hello-seconds."""
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        other = await open_peer(connection)
        server.limit(hello_seconds=0.1)
        peer = await open_peer(connection, greet=False)
        peer.send(peer.wire.greeting()[:50])
        await peer.closed()
        assert (await other.rpc(op("echo"))).ok


async def test_cut_inside_message(server: Served, keys: Keys) -> None:
    """A connection that breaks inside a message ends its session, and only that."""
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as other:
        connection = await connect(server.port, client_keys=[keys["ed25519"]])
        peer = await open_peer(connection)
        peer.send(frame(op("echo").encode(), chunked=True)[:-5])
        connection.abort()
        await until(lambda: server.ended == [peer.session_id])
        assert (await other.rpc(op("echo"))).ok


async def test_noise_instead_of_ssh(server: Served, keys: Keys) -> None:
    """What is no SSH at all is cut off; others are served."""
    server.limit(login_seconds=0.2)
    port = await server.ssh.listen("127.0.0.1", 0)
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"SSH-1.0-old\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 5000):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(noise)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
    await until(lambda: not server.ssh.connections)
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        assert (await peer.rpc(op("echo"))).ok


# --- long replies


async def test_stream(server: Served, keys: Keys) -> None:
    """A long reply arrives whole."""
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        reply = await peer.rpc(op("stream", 3000))
        assert len(reply.element[0]) == 3000


@pytest.mark.parametrize("window", [128 * 1024, 1 << 30], ids=["small window", "window of a gigabyte"])
async def test_client_that_stops_reading(server: Served, keys: Keys, window: int) -> None:
    """A client that stops reading stops its reply being made, whatever window it announced; others go on."""
    async with (
        ssh_peer(server.port, client_keys=[keys["ed25519"]]) as other,
        connect(server.port, client_keys=[keys["ed25519"]]) as connection,
    ):
        made: list[Any] = []

        class Deaf(asyncssh.SSHClientSession[bytes]):
            received = 0

            def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
                self.received += len(data)

        def factory() -> Deaf:
            made.append(Deaf())
            return made[0]  # type: ignore[no-any-return]

        channel, _ = await connection.create_session(factory, subsystem="netconf", encoding=None, window=window)
        peer = await open_peer(connection)  # for its wire alone: the same bytes serve the deaf channel
        channel.write(frame(f'<hello xmlns="{BASE_NS}"><capabilities><capability>{BASE_1_0}</capability>'
                            "</capabilities></hello>".encode(), chunked=False))  # fmt: skip
        await until(lambda: made[0].received > 0)
        transport: Any = connection._transport
        channel.write(
            frame(f'<rpc xmlns="{BASE_NS}" message-id="1">{op("stream", 25_000)}</rpc>'.encode(), chunked=False)
        )
        await asyncio.sleep(0)
        transport.pause_reading()
        await until(lambda: server.slices > 0)
        stalled = -1
        while stalled != server.slices:  # until nothing moves during 20 answers to somebody else
            stalled = server.slices
            for _ in range(20):
                assert (await other.rpc(op("echo"))).ok
        assert stalled < 10_000  # 22 MB of 55: what sockets of this machine hold by themselves
        transport.resume_reading()
        await until(lambda: server.slices == 25_000)
        assert (await peer.rpc(op("echo"))).ok


# --- many, and the end


async def test_fifty_at_once(server: Served, keys: Keys) -> None:
    """Fifty clients that come at the same moment are all served."""

    async def one(number: int) -> str | None:
        async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
            return (await peer.rpc(op("echo", number))).element[0].text

    assert await asyncio.gather(*map(one, range(50))) == [str(number) for number in range(50)]
    await until(lambda: not server.sessions.live())
    assert sorted(server.ended) == list(range(1, 51))


async def test_close(server: Served, keys: Keys) -> None:
    """After stop_listening nobody gets in; after close nobody is left."""
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        server.ssh.stop_listening()
        with pytest.raises(OSError):  # noqa: PT011 - the system's words differ
            await connect(server.port, client_keys=[keys["ed25519"]])
        assert (await peer.rpc(op("echo"))).ok
        await server.ssh.close()
        await peer.closed()
    assert server.ssh.connections == set()
    assert server.sessions.live() == []


async def test_stop_one_listener(server: Served, keys: Keys) -> None:
    """One listener can go while the others and every connection stay, in any order and twice."""
    ports = [await server.ssh.listen("127.0.0.1", 0) for _ in range(2)]
    async with ssh_peer(ports[0], client_keys=[keys["ed25519"]]) as peer:
        for port in (*ports, ports[0]):
            server.ssh.stop_listening(port, "127.0.0.1")
            with pytest.raises(OSError):  # noqa: PT011 - the system's words differ
                await connect(port, client_keys=[keys["ed25519"]])
        server.ssh.stop_listening(server.port, "::1")  # the same port of another address
        assert (await peer.rpc(op("echo"))).ok
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        assert (await peer.rpc(op("echo"))).ok


async def test_ipv6(server: Served, keys: Keys) -> None:
    """A listener on an IPv6 address, beside the one on IPv4."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise
        pytest.skip("this machine has no IPv6")
    port = await server.ssh.listen("::1", 0)
    async with ssh_peer(port, host="::1", client_keys=[keys["ed25519"]]) as peer:
        assert (await peer.rpc(op("whoami"))).element[0].text == "admin@::1"


async def test_port_taken(server: Served) -> None:
    """A port in use is an OSError for the caller to tell."""
    with pytest.raises(OSError, match=str(server.port)):
        await server.ssh.listen("127.0.0.1", server.port)


# --- the host key


def test_host_key_is_made_once(tmp_path: Path) -> None:
    """The first start makes an ed25519 key that only the server may read; later ones use it."""
    path = tmp_path / "host-key"
    key = load_host_key(path)
    assert key.get_algorithm() == "ssh-ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_host_key(path).public_data == key.public_data
    assert [item.name for item in tmp_path.iterdir()] == ["host-key"]


def test_host_key_after_crash(tmp_path: Path) -> None:
    """A key half written by an interrupted first start is no obstacle."""
    (tmp_path / ".host-key.new").write_text("half")
    assert load_host_key(tmp_path / "host-key").get_algorithm() == "ssh-ed25519"


def test_bad_host_keys(tmp_path: Path) -> None:
    """A key that others may read, is none, or cannot be read: one line that names the file."""
    open_to_all = tmp_path / "open"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(open_to_all)
    open_to_all.chmod(0o644)
    garbage = tmp_path / "garbage"
    garbage.write_text("no key")
    garbage.chmod(0o600)
    for path in (open_to_all, garbage, tmp_path / "nowhere" / "key", tmp_path):
        with pytest.raises(HostKeyError, match=str(path)) as refusal:
            load_host_key(path)
        assert "\n" not in str(refusal.value)


async def test_client_sees_host_key(server: Served, keys: Keys, host_key: asyncssh.SSHKey) -> None:
    """The server proves itself with its key."""
    public = asyncssh.import_public_key(host_key.export_public_key())
    async with connect(server.port, client_keys=[keys["ed25519"]]) as connection:
        assert connection.get_server_host_key().public_data == public.public_data


# --- a foreign client


def ncclient_session(port: int, **login: Any) -> Any:
    return manager.connect(
        host="127.0.0.1",
        port=port,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=PATIENCE,
        **login,
    )


async def test_ncclient(server: Served, keys: Keys, tmp_path: Path) -> None:
    """ncclient logs in with a key and with a password, asks, is refused in its own exceptions, and leaves."""
    key_file = tmp_path / "key"
    keys["ed25519"].write_private_key(key_file)

    def talk(**login: Any) -> list[str]:
        with ncclient_session(server.port, **login) as session:
            assert session.connected
            heard = [session.session_id]
            answer = session.rpc(etree.fromstring(op("whoami")))
            heard.append(etree.fromstring(answer.xml.encode())[0].text)
            long = session.rpc(etree.fromstring(op("stream", 200)))
            heard.append(str(len(etree.fromstring(long.xml.encode())[0])))
            with pytest.raises(RPCError) as refusal:
                session.rpc(etree.fromstring(op("refuse")))
            heard += [refusal.value.tag, refusal.value.message]
            return heard

    with_key = await asyncio.to_thread(talk, username="admin", key_filename=str(key_file))
    with_password = await asyncio.to_thread(talk, username="alice", password=PASSWORD)
    assert with_key[1:] == ["admin@127.0.0.1", "200", "in-use", "That is in use."]
    assert with_password[1:] == ["alice@127.0.0.1", "200", "in-use", "That is in use."]
    await until(lambda: not server.sessions.live())
    assert server.sessions.totals.dropped_sessions == 0


async def test_ncclient_is_refused(server: Served) -> None:
    """ncclient with a wrong password gets its AuthenticationError."""
    with pytest.raises(AuthenticationError):
        await asyncio.to_thread(ncclient_session, server.port, username="alice", password="wrong")


async def test_openssh(server: Served, keys: Keys, tmp_path: Path) -> None:
    """A typed session through OpenSSH's own client: requests and the end of input at once, every answer comes."""
    key_file = tmp_path / "key"
    keys["ed25519"].write_private_key(key_file)
    key_file.chmod(0o600)
    options = {
        "Port": server.port,
        "User": "admin",
        "IdentityFile": key_file,
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    typed = (
        f'<?xml version="1.0"?>\n<hello xmlns="{BASE_NS}"><capabilities>\n<capability>{BASE_1_0}</capability>\n'
        f'</capabilities></hello>\n]]>]]>\n<?xml version="1.0"?>\n<rpc message-id="1" xmlns="{BASE_NS}">{op("whoami")}'
        f'</rpc>\n]]>]]>\n<rpc message-id="2" xmlns="{BASE_NS}"><close-session/></rpc>\n]]>]]>\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(program("ssh", "openssh-client"), "-F", "none", *(f"-o{name}={value}" for name, value in options.items())),
        *("-s", "127.0.0.1", "netconf"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        heard, complaints = await process.communicate(typed.encode())
    hello, who, closed, rest = heard.split(b"]]>]]>")
    assert b"<session-id>" in hello
    assert b"admin@127.0.0.1" in who
    assert b"<ok/>" in closed
    assert (rest, complaints, process.returncode) == (b"", b"", 0)

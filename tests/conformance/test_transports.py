"""Every transport of one server with clients of other people: TLS, call home, OpenSSH's certificates and its sshd."""

from __future__ import annotations

import getpass
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager

from tests.certificates import LOOPBACK, Identity, authority, client_context
from tests.conformance.conftest import NS, until
from tests.conformance.installed import Installed, prepare
from tests.conformance.talking import BASE_1_0, BASE_1_1, MONITORING, PATIENCE, ByHand, OpenSsh
from tests.programs import program

SERVER = "urn:eman:yang:eman-server"
VERSION = f'<eman-server xmlns="{SERVER}"><version/></eman-server>'
SESSIONS = f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>'


@dataclass
class Site:
    """A server on all transports, and what its clients need."""

    folder: Path
    server: Installed
    root: Identity
    admin: tuple[Path, Path]  # the administrator's certificate and key
    call_home: dict[str, int]  # where clients are called, by transport

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def tls_port(self) -> int:
        return int(self.server.places[1].rpartition(":")[2])

    @property
    def socket(self) -> Path:
        return self.folder / "netconf.sock"

    def configure(self, *more: str) -> None:
        """Write the bootstrap file: all listeners, and what else is given."""
        homes = (
            f'[[call-home]]\ntransport = "{transport}"\naddress = "127.0.0.1"\nport = {port}\nmax-wait = 1\n'
            for transport, port in self.call_home.items()
        )
        listeners = (
            '[[listen]]\ntransport = "ssh"\nport = 0\n',
            '[[listen]]\ntransport = "tls"\nport = 0\n',
            f'[[listen]]\ntransport = "unix"\npath = "{self.socket}"\n',
        )
        files = (
            f'[tls]\ncertificate = "{self.folder}/server.pem"\nprivate-key = "{self.folder}/server.key"\n'
            f'client-ca = "{self.ca}"\n[ssh]\nuser-ca = "{self.folder}/user-ca.pub"\n'
        )
        top = '[server]\nstate = "state"\n[admin]\nuser = "admin"\n'
        self.server.config.write_text("".join((top, *listeners, *homes, files, *more)))

    def hello_by_tls(self) -> ByTls:
        return ByTls(socket.create_connection(("127.0.0.1", self.tls_port), PATIENCE), self)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for tests that leave its configuration alone."""
    with serving(tmp_path_factory.mktemp("transports")) as site:
        yield site


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    keygen = program("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / "user-ca"], check=True)
    root = authority()
    root.issue("server", LOOPBACK).write(folder, "server")
    root.write(folder, "ca")
    admin = root.issue("admin").write(folder, "admin")
    site = Site(folder, prepare(folder), root, admin, {name: free_port() for name in ("ssh", "tls")})
    site.configure()
    site.server.start()
    try:
        with site.server.connect() as session:
            session.edit_config(
                target="running",
                config=f'<config xmlns="{NS["nc"]}"><eman-server xmlns="{SERVER}"><tls><cert-to-name>'
                f"<id>1</id><fingerprint>{root.fingerprint()}</fingerprint>"
                '<map-type xmlns:x="urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name">x:common-name</map-type>'
                "</cert-to-name></tls></eman-server></config>",
            )
        yield site
    finally:
        assert site.server.end() == 0, site.server.log.read_text()[-2000:]


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Piped(OpenSsh):
    """A program that carries NETCONF on its standard input and output."""

    def __init__(self, command: Sequence[str | Path], versions: tuple[str, ...] = (BASE_1_0, BASE_1_1)) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        ByHand.__init__(self, versions)

    def close(self) -> None:
        self.tell(f'<rpc xmlns="{NS["nc"]}" message-id="last"><close-session/></rpc>')
        super().close()


class ByTls(ByHand):
    """Python's own TLS with the administrator's certificate, on a connection that stands."""

    def __init__(self, connected: socket.socket, site: Site) -> None:
        context = client_context(site.ca, site.admin)
        self.socket = context.wrap_socket(connected, server_hostname="127.0.0.1")
        super().__init__((BASE_1_0, BASE_1_1))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> bytes:
        return self.socket.recv(65536)

    def close(self) -> None:
        self.socket.close()


def version_told(client: ByHand) -> str | None:
    return client.get(VERSION).findtext(f".//{{{SERVER}}}version")


def sessions_over(site: Site, transport: str) -> list[tuple[str, str]]:
    """User and host of every session over a transport, as the administrator sees them."""
    with site.server.connect() as session:
        listed = session.get(filter=("subtree", SESSIONS)).data_ele.iter(f"{{{MONITORING}}}session")
        told = [{etree.QName(leaf).localname: leaf.text or "" for leaf in each} for each in listed]
    return [
        (each["username"], each["source-host"]) for each in told if each["transport"].rpartition(":")[2] == transport
    ]


# --- TLS


@pytest.mark.req("rfc8341-3.3.1")
@pytest.mark.req("rfc7589-2")
@pytest.mark.req("rfc7589-6")
@pytest.mark.req("rfc7589-7")
def test_ncclient_over_tls(site: Site) -> None:
    """ncclient has a session over TLS as the user whom its certificate names."""
    certificate, key = site.admin
    with manager.connect_tls(
        host="127.0.0.1",
        port=site.tls_port,
        certfile=str(certificate),
        keyfile=str(key),
        ca_certs=str(site.ca),
        protocol=ssl.PROTOCOL_TLS_CLIENT,
    ) as session:
        answer = session.get(filter=("subtree", VERSION)).data_ele
    assert answer.findtext(f".//{{{SERVER}}}version")


@pytest.mark.req("rfc7589-3", "rfc7589-8")
@pytest.mark.req("rfc7589-2")
@pytest.mark.req("rfc7589-4")
@pytest.mark.req("rfc9918-4")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_over_tls(site: Site, version: str) -> None:
    """openssl with a client's certificate exchanges hellos and reads, over both versions of TLS."""
    certificate, key = site.admin
    with closing(Piped([*s_client(site), version, "-cert", certificate, "-key", key])) as client:
        assert version_told(client)
        assert ("admin", "127.0.0.1") in sessions_over(site, "netconf-tls")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_requests_from_a_file_over_tls(site: Site, version: str) -> None:
    """A client that sends its requests at once gets all replies, if it keeps its side open until close-session."""
    certificate, key = site.admin
    hello = f'<hello xmlns="{NS["nc"]}"><capabilities><capability>{BASE_1_0}</capability></capabilities></hello>'
    operations = ["<get/>"] * 3 + ["<close-session/>"]
    requests = [
        f'<rpc xmlns="{NS["nc"]}" message-id="{number}">{operation}</rpc>'
        for number, operation in enumerate(operations, 1)
    ]
    file = site.folder / "requests"
    file.write_text("".join(f"{message}]]>]]>" for message in (hello, *requests)))
    command = [*s_client(site), version, "-cert", certificate, "-key", key]
    with file.open("rb") as given:
        done = subprocess.run(command, stdin=given, capture_output=True, timeout=PATIENCE, check=True)
    replies = [etree.fromstring(message) for message in done.stdout.split(b"]]>]]>")[1:] if message.strip()]
    assert [reply.get("message-id") for reply in replies] == ["1", "2", "3", "4"]
    assert not [reply for reply in replies if reply.find("nc:rpc-error", NS) is not None]


def s_client(site: Site) -> list[str | Path]:
    openssl = program("openssl", "openssl")
    address = f"127.0.0.1:{site.tls_port}"
    return [openssl, "s_client", "-quiet", "-connect", address, "-CAfile", site.ca, "-verify_return_error"]


@pytest.mark.req("rfc7589-5")
def test_nobody_without_a_certificate(site: Site) -> None:
    """Without a certificate, or with that of a stranger, there is no hello."""
    stranger = authority("Stranger").issue("admin").write(site.folder, "stranger")
    for shown in ([], ["-cert", stranger[0], "-key", stranger[1]]):
        done = subprocess.run(
            [*s_client(site), *shown], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
        assert b"hello" not in done.stdout


@pytest.mark.req("rfc9918-3")
def test_no_early_data(site: Site) -> None:
    """A session ticket, which early data would need, is never given."""
    certificate, key = site.admin
    openssl = program("openssl", "openssl")
    address = f"127.0.0.1:{site.tls_port}"
    command = [
        openssl,
        "s_client",
        "-connect",
        address,
        "-CAfile",
        site.ca,
        "-tls1_3",
        "-cert",
        certificate,
        "-key",
        key,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        told = _until(child.stdout.fileno(), b"]]>]]>")
        child.kill()
    assert b"TLSv1.3" in told
    assert b"New Session Ticket" not in told
    assert b"Early data was not sent" in told


def _until(source: int, mark: bytes) -> bytes:
    told = b""
    while mark not in told:
        readable, _, _ = select.select([source], [], [], PATIENCE)
        assert readable, told
        more = os.read(source, 65536)
        assert more, told
        told += more
    return told


# --- call home


@pytest.mark.req("rfc8071-4.1")
def test_ncclient_called_home_over_ssh(site: Site) -> None:
    """ncclient waits, is called by the server, and is the client of SSH on that connection."""
    with socket.create_server(("127.0.0.1", site.call_home["ssh"])) as home:  # manager.call_home never closes its own
        home.settimeout(PATIENCE)
        connected, _ = home.accept()
    with manager.connect_ssh(
        host="127.0.0.1",
        sock=connected,
        username="admin",
        key_filename=str(site.server.key),
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
    ) as session:
        answer = session.get(filter=("subtree", VERSION)).data_ele
    assert answer.findtext(f".//{{{SERVER}}}version")


@pytest.mark.req("rfc8071-4.1")
def test_called_home_over_tls(site: Site) -> None:
    """A client is called, is the client of TLS on that connection, and is called again when its session is over."""
    with socket.create_server(("127.0.0.1", site.call_home["tls"])) as home:
        home.settimeout(PATIENCE)
        for _ in range(2):
            with closing(ByTls(home.accept()[0], site)) as client:
                assert version_told(client)


# --- OpenSSH


@pytest.mark.req("rfc6242-3")
def test_a_certificate_of_ssh_keygen(site: Site) -> None:
    """OpenSSH's client logs in with a certificate that ssh-keygen made for the user."""
    keygen, ssh = program("ssh-keygen", "openssh-client"), program("ssh", "openssh-client")
    key = site.folder / "certified"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signing = [keygen, "-q", "-s", site.folder / "user-ca", "-I", "a test", "-n", "admin", "-V", "+1h", f"{key}.pub"]
    subprocess.run(signing, check=True)
    with closing(
        Piped([ssh, *QUIET, "-i", key, "-p", str(site.server.port), "admin@127.0.0.1", "-s", "netconf"])
    ) as client:
        assert version_told(client)


QUIET = [
    *("-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
]


@pytest.mark.req("rfc6242-3")
def test_the_subsystem_of_sshd(site: Site) -> None:
    """The system's own sshd serves NETCONF by our subsystem, and the server knows its user from the kernel."""
    keygen, ssh, sshd = (
        program(name, f"openssh-{package}")
        for name, package in (("ssh-keygen", "client"), ("ssh", "client"), ("sshd", "server"))
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where its process without privileges lives
    host, key, config = (site.folder / name for name in ("sshd-host", "sshd-user", "sshd_config"))
    for each in (host, key):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", each], check=True)
    config.write_text(
        f"HostKey {host}\nAuthorizedKeysFile {key}.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
        f"Subsystem netconf {sys.executable} -m eman_netconf subsystem --socket {site.socket}\n"
        f"PermitRootLogin prohibit-password\nSetEnv PYTHONPATH={':'.join(filter(None, sys.path))}\n"
    )
    me = getpass.getuser()
    proxy = f"ProxyCommand={sshd} -i -f {config}"
    with closing(Piped([ssh, *QUIET, "-i", key, "-o", proxy, f"{me}@sshd", "-s", "netconf"])) as client:
        assert BASE_1_1 in client.capabilities
        assert sessions_over(site, "netconf-local") == [(me, "localhost")]


# --- reload


@pytest.mark.req("rfc7589-6")
def test_reload_changes_certificates_and_keeps_sessions(tmp_path: Path) -> None:
    """SIGHUP takes new certificates and authorities in; sessions stay, and files that are no good change nothing."""
    with serving(tmp_path) as site, closing(site.hello_by_tls()) as old:
        shown = old.socket.getpeercert(binary_form=True)
        (tmp_path / "server.pem").write_text("no certificate")
        log_until(site, "not reloaded", lambda: site.server.process)
        with closing(site.hello_by_tls()) as other:
            assert other.socket.getpeercert(binary_form=True) == shown
        renewed = site.root.issue("renewed", LOOPBACK)
        renewed.write(tmp_path, "server")
        log_until(site, "read again", lambda: site.server.process)
        with closing(site.hello_by_tls()) as new:
            assert new.socket.getpeercert(binary_form=True) != shown
            assert version_told(new)
        assert version_told(old)


def log_until(site: Site, words: str, process: Any) -> None:
    """Send SIGHUP and wait until the log says what came of it."""
    before = len(re.findall(words, site.server.log.read_text()))
    process().send_signal(signal.SIGHUP)
    until(lambda: len(re.findall(words, site.server.log.read_text())) > before, words)

"""The bootstrap file is read strictly: every fault is one line that names what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from eman_netconf.server.config import (
    Bootstrap,
    CallHome,
    ConfigError,
    Control,
    Limits,
    Listen,
    Log,
    Ssh,
    StartWith,
    Tls,
    Transport,
    load,
)


def test_every_setting_is_read(tmp_path: Path) -> None:
    """All tables and settings arrive, relative paths relative to the file."""
    file = tmp_path / "eman.toml"
    file.write_text(
        """
        [server]
        state = "state"
        host-entity = "srv-07"
        [datastores]
        startup = true
        [[listen]]
        address = "::1"
        port = 0
        [[listen]]
        transport = "ssh"
        [admin]
        user = "alice"
        [control]
        supply = false
        [limits]
        message-bytes = 1000
        drain-seconds = 2
        [log]
        destination = "journal"
        level = "debug"
        json = true
        """
    )
    assert load(file) == Bootstrap(
        state=tmp_path / "state",
        admin="alice",
        host_entity="srv-07",
        startup=True,
        listen=(Listen(address="::1", port=0), Listen()),
        control=Control(supply=False),
        limits=Limits(message_bytes=1000, drain_seconds=2.0),
        log=Log("journal", "debug", json=True),
    )


def test_transports_are_read(tmp_path: Path) -> None:
    """Each transport has its own settings, ports of its own, and files that are relative to the bootstrap file."""
    file = tmp_path / "eman.toml"
    file.write_text(
        """
        [[listen]]
        transport = "tls"
        [[listen]]
        transport = "unix"
        path = "socket"
        mode = "0660"
        [[call-home]]
        address = "nms.example.net"
        [[call-home]]
        transport = "tls"
        address = ["192.0.2.1", "::1"]
        port = 1
        start-with = "last-connected"
        max-attempts = 5
        max-wait = 10
        period = 3600
        keepalive = 30
        [tls]
        certificate = "server.pem"
        private-key = "/keys/server.key"
        client-ca = "ca.pem"
        client-crl = "crl.pem"
        [ssh]
        user-ca = "ca.pub"
        """
    )
    read = load(file)
    assert read.listen == (
        Listen(Transport.TLS, port=6513),
        Listen(Transport.UNIX, "", 0, tmp_path / "socket", 0o660),
    )
    assert read.call_home == (
        CallHome(Transport.SSH, ("nms.example.net",), 4334),
        CallHome(Transport.TLS, ("192.0.2.1", "::1"), 1, StartWith.LAST_CONNECTED, 5, 10.0, 3600.0, 30.0),
    )
    assert read.tls == Tls(tmp_path / "server.pem", Path("/keys/server.key"), tmp_path / "ca.pem", tmp_path / "crl.pem")
    assert read.ssh == Ssh(tmp_path / "ca.pub")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server", "Expected"),
        ("colour = 1", "no setting 'colour'"),
        ("[server]\nstat = 'x'", "[server] has no setting 'stat'"),
        ("[server]\nstate = 1", "state must be a string"),
        ("listen = 1", "[[listen]] tables"),
        ("[[listen]]\nport = 65536", "outside 0..65535"),
        ("[[listen]]\nport = true", "whole number"),
        ("[[listen]]\nport = 1.5", "whole number"),
        ("[[listen]]\naddress = 'pdu'", "not an IPv4 or IPv6 address"),
        ("[[listen]]\ntransport = 'telnet'", "use one of: ssh"),
        ("[[listen]]\ntransport = 'tls'", "needs a table [tls]"),
        ("[[listen]]\ntransport = 'unix'", "needs a path"),
        ("[[listen]]\ntransport = 'unix'\npath = 'x'\nmode = '0777'", "none of 0600, 0660, 0666"),
        ("[[listen]]\ntransport = 'unix'\npath = 'x'\nport = 1", "no setting 'port'"),
        ("[[listen]]\npath = 'x'", "no setting 'path'"),
        ("[tls]\ncertificate = 'x'", "[tls] needs private-key"),
        ("[ssh]\nuser-ca = 1", "user-ca must be a string"),
        ("call-home = 1", "[[call-home]] tables"),
        ("[[call-home]]\nport = 1", "needs an address"),
        ("[[call-home]]\naddress = []", "needs an address"),
        ("[[call-home]]\naddress = ['a', 1]", "needs an address"),
        ("[[call-home]]\naddress = 'a'\ntransport = 'tls'", "needs a table [tls]"),
        ("[[call-home]]\naddress = 'a'\ntransport = 'unix'", "use one of: ssh, tls"),
        ("[[call-home]]\naddress = 'a'\nport = 0", "outside 1..65535"),
        ("[[call-home]]\naddress = 'a'\nstart-with = 'me'", "use one of: first-listed"),
        ("[[call-home]]\naddress = 'a'\nmax-attempts = 0", "at least 1"),
        ("[[call-home]]\naddress = 'a'\nmax-wait = nan", "max-wait must be 1 to 604800"),
        ("[[call-home]]\naddress = 'a'\nperiod = inf", "period must be 1 to 604800"),
        ("[[call-home]]\naddress = 'a'\nkeepalive = 0", "keepalive must be 1 to 604800"),
        ("[limits]\nmessage-bytes = 0", "must be more than 0"),
        ("[limits]\nsessions = 5", "no setting 'sessions'"),
        ("[log]\nlevel = 'loud'", "use one of: debug"),
        ("[log]\njson = 'yes'", "true or false"),
        ("[datastores]\nstartup = 1", "[datastores] startup must be true or false"),
        ("[datastores]\ncandidate = true", "[datastores] has no setting 'candidate'"),
        ("admin = 'root'", "[admin] must be a table"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, text: str, words: str) -> None:
    """A wrong file is refused with its name and what is wrong, in one line."""
    file = tmp_path / "eman.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No file at all is a sentence, not a traceback."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")


def test_binary_is_no_bootstrap(tmp_path: Path) -> None:
    """A file that is no text says so."""
    file = tmp_path / "eman.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file)

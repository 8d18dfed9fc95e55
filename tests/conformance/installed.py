"""A server as an operator installs it: ``eman-netconf init``, a key to log in with, devices added over NETCONF."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from ncclient import manager

from eman_backends.snmp.tests.counterparts import Counterpart, ask, start_snmpsim
from tests.conformance.conftest import EMAN, NS, ServerProcess, one, until

SNMP = "urn:eman:yang:eman-backend-snmp"
BACKEND = "/eman:energy-management/embe:backends/embe:backend[embe:name='{}']"


@dataclass
class Installed(ServerProcess):
    """A server with a bootstrap file, whose administrator has a key and no password."""

    config: Path = field(default_factory=Path)
    key: Path = field(default_factory=Path)

    def connect(self, **changes: Any) -> manager.Manager:
        """An ncclient session of the administrator."""
        login = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "admin",
            "key_filename": str(self.key),
            "hostkey_verify": False,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": 60,
        }
        return manager.connect(**(login | changes))

    def check(self) -> subprocess.CompletedProcess[str]:
        """``eman-netconf check`` on the stopped server's state."""
        return verb("check", "--config", str(self.config))

    def written(self) -> Iterable[tuple[Path, bytes]]:
        """All that the server wrote: its state, its bootstrap file and its log."""
        files = [file for file in self.config.parent.rglob("*") if file.is_file()]
        return [(file, file.read_bytes()) for file in (*files, self.log)]


def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eman_netconf", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def install(directory: Path) -> Installed:
    """``eman-netconf init`` with a new key, and the server started."""
    server = prepare(directory)
    server.start()
    return server


def prepare(directory: Path) -> Installed:
    """``eman-netconf init`` with a new key; the server is not started yet."""
    key = directory / "key"
    pair = asyncssh.generate_private_key("ssh-ed25519")
    pair.write_private_key(key)
    pair.write_public_key(directory / "key.pub")
    done = verb("init", str(directory / "installed"), "--key", str(directory / "key.pub"), "--port", "0")
    assert done.returncode == 0, done.stderr
    config = directory / "installed" / "eman-netconf.toml"
    return Installed(["run", "--config", str(config)], config.parent / "state", config=config, key=key)


# --- devices


def community(name: str) -> str:
    """The credentials of SNMPv2c."""
    return f"<v2c><community>$0${name}</community></v2c>"


def user(name: str, **leaves: str) -> str:
    """The credentials of SNMPv3; underscores stand for hyphens."""
    inner = "".join(f"<{leaf.replace('_', '-')}>{value}</{leaf.replace('_', '-')}>" for leaf, value in leaves.items())
    return f"<v3><user-name>{name}</user-name>{inner}</v3>"


def device(name: str, port: int, credentials: str, *, interval: float = 0.5, timeout: float = 5.0) -> str:
    """A backend entry for an SNMP agent on this machine."""
    return (
        f"<backend><name>{name}</name><poll-interval>{interval}</poll-interval><timeout>{timeout}</timeout>"
        f'<snmp xmlns="{SNMP}"><address>127.0.0.1</address><port>{port}</port>{credentials}</snmp></backend>'
    )


def configure_backends(session: manager.Manager, *entries: str) -> None:
    """edit-config of running with the content of energy-management/backends."""
    session.edit_config(
        target="running",
        config=f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}">'
        f'<backends xmlns="{NS["embe"]}">{"".join(entries)}</backends></energy-management></config>',
    )


def remove_backend(session: manager.Manager, name: str) -> None:
    configure_backends(session, f'<backend xmlns:nc="{NS["nc"]}" nc:operation="remove"><name>{name}</name></backend>')


def link(session: manager.Manager, name: str) -> Mapping[str, str]:
    """The leaves of a backend's link, by name."""
    data = session.get(filter=("xpath", (NS, f"{BACKEND.format(name)}/embe:link"))).data_ele
    return {leaf.tag.rpartition("}")[2]: leaf.text or "" for leaf in data.iterfind(".//{*}link/*")}


def first_read(session: manager.Manager, name: str) -> None:
    """Wait until a device was read once."""
    until(lambda: link(session, name).get("poll-duration"), f"{name} was read")


def read_on(session: manager.Manager, name: str, passes: int = 1) -> None:
    """Wait until a device was read so many times more."""
    polls = int(link(session, name).get("polls", 0))
    until(lambda: int(link(session, name).get("polls", 0)) >= polls + passes, f"{name} is read on")


def shows(session: manager.Manager, path: str, text: str) -> None:
    """Wait until the one leaf at a path has a value."""
    until(lambda: one(session, path) == text, f"{path} is {text}")


# --- a site


PDU, STRIP, OLD, UPS = "apc-8641", "apc-8932", "apc-7902b", "eaton-93e-80"  # recordings
COMMUNITIES = {"pdu": f"{PDU}-writable", "strip": f"{STRIP}-writable", "old": f"{OLD}-writable", "ups": UPS}


@dataclass
class Site:
    """A server, and snmpsim that poses as three rack PDUs and a UPS; each is called as its backend."""

    server: Installed
    simulator: Counterpart
    secrets: set[str]

    def told(self, name: str, oid: str, value: int | None = None) -> int:
        """What stands at an object of a device, after writing it where a value is given."""
        return ask(self.simulator.port, COMMUNITIES[name], oid, value)


@contextmanager
def equipped(directory: Path) -> Iterator[Site]:
    """The site, once all was read; in the end it stops in order and has written no secret anywhere."""
    simulator = start_snmpsim((PDU, STRIP, OLD, UPS))
    try:
        site = Site(install(directory), simulator, set(COMMUNITIES.values()))
        try:
            with site.server.connect() as session:
                entries = [device(name, simulator.port, community(secret)) for name, secret in COMMUNITIES.items()]
                configure_backends(session, *entries)
                for name in COMMUNITIES:
                    first_read(session, name)
            yield site
            assert site.server.end() == 0, site.server.log.read_text()[-2000:]
            assert "Traceback" not in site.server.log.read_text()
            assert_unwritten(site)
        finally:
            site.server.end(signal.SIGKILL)
    finally:
        simulator.process.terminate()
        simulator.process.wait(60)


def assert_unwritten(site: Site) -> None:
    """No secret is in clear in anything the server wrote."""
    files = list(site.server.written())
    assert any(b"$aes$" in content for _, content in files)
    found = [(file, secret) for file, content in files for secret in site.secrets if secret.encode() in content]
    assert not found

"""Finding real equipment: a recording replayed at several addresses is found there, told, added and read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lxml import etree

from eman_backends.snmp.tests.counterparts import Counterpart, start_snmpsim
from tests.conformance.conftest import entity, one, until
from tests.conformance.installed import Installed, install, verb

SNMP = "urn:eman:yang:eman-backend-snmp"
AGENTS = ("127.0.9.2", "127.0.9.3")
OUTSIDE = ("127.0.9.1", "127.0.9.5", "127.0.9.6")
SECRET = "apc-8641"  # the recording is the community it answers to


@pytest.fixture(scope="module")
def agents() -> Counterpart:
    return start_snmpsim([SECRET], addresses=("127.0.0.1", *AGENTS))


@pytest.fixture(scope="module")
def neighbours(agents: Counterpart) -> Iterator[list[socket.socket]]:
    """Who listens at the same port of addresses nearby."""
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in OUTSIDE]
        for each, address in zip(bound, OUTSIDE, strict=True):
            each.setblocking(False)
            each.bind((address, agents.port))
        yield bound


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    installed = install(tmp_path_factory.mktemp("discover"))
    yield installed
    installed.end()


def using(folder: Path, port: int, community: str) -> str:
    """A file that says how to ask."""
    file = folder / f"{community}.xml"
    file.write_text(
        f'<snmp xmlns="{SNMP}"><port>{port}</port><v2c><community>$0${community}</community></v2c>'
        "<retries>0</retries></snmp>"
    )
    return str(file)


def discover(server: Installed, *words: str) -> list[str]:
    """The lines that ``eman-netconf discover`` prints."""
    login = ("--port", str(server.port), "--key", str(server.key), "--timeout", "20")
    done = verb("discover", *words, *login)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout, "the community is told"
    return done.stdout.splitlines()


def test_devices_are_found_and_added(
    server: Installed, agents: Counterpart, neighbours: list[socket.socket], tmp_path: Path
) -> None:
    """Of a range, those that answer are shown as what they are; added, they come up; nobody else was asked anything."""
    words = (f"{AGENTS[0]}-{AGENTS[1]}", "127.0.9.4", "--using", using(tmp_path, agents.port, SECRET))
    _, *rows, counts = discover(server, *words)
    assert counts == "2 answered, 3 asked"
    assert [row.split()[:2] for row in rows] == [[address, "snmp"] for address in AGENTS]
    assert all("APC" in row and "AP8641" in row and "apc-rpdu2" in row and row.endswith("new") for row in rows)
    with server.connect() as session:
        assert etree.tostring(session.get_config("running").data_ele).count(b"127.0.9.") == 0
    names = discover(server, *words, "--add")[-1].removeprefix("added: ").split(", ")
    assert len(set(names)) == 2
    with server.connect() as session:
        for name in names:
            until(lambda name=name: one(session, entity(name, "/eman:model")) == "AP8641", f"{name} is read")
        assert one(session, f"/eman:energy-management/embe:backends/embe:backend[embe:name='{names[0]}']/embe:name")
        assert etree.tostring(session.get_config("running").data_ele).count(b"$aes$") == 2
    again = discover(server, *words)
    assert [row.rpartition("configured as ")[2] for row in again[1:3]] == names
    for each in neighbours:
        with pytest.raises(BlockingIOError):
            each.recv(1)


def test_a_wrong_community_finds_nobody(server: Installed, agents: Counterpart, tmp_path: Path) -> None:
    """Who does not know the word is not told of, and the audit log has the search without the word."""
    words = (AGENTS[0], "--using", using(tmp_path, agents.port, "a wrong word"), "--timeout", "1")
    login = ("--port", str(server.port), "--key", str(server.key))
    done = verb("discover", *words, *login)
    assert done.stdout.splitlines()[0] == "0 answered, 1 asked", done.stderr
    log = server.log.read_text(encoding="utf-8")
    assert "discover at" in log
    assert "a wrong word" not in log

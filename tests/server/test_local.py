"""NETCONF on a Unix socket, and the subsystem that carries it for the system's own sshd."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from pwd import getpwuid

import pytest

from eman_netconf.errors import BASE_NS
from eman_netconf.server.connections import Refused
from eman_netconf.server.local import LocalServer, identify
from tests.certificates import unix_peer
from tests.peer import PATIENCE
from tests.server.conftest import Wire
from tests.server.running import command
from tests.server.test_sessions import op

ME = getpwuid(os.geteuid()).pw_name


@pytest.fixture
async def local(wire: Wire) -> AsyncIterator[LocalServer]:
    server = LocalServer(wire.sessions, lambda: wire.limits)
    yield server
    wire.gate.set()
    await wire.sessions.drain(5.0)
    await server.connections.close()


@pytest.fixture
async def path(local: LocalServer, tmp_path: Path) -> AsyncIterator[Path]:
    """Where the server listens."""
    close = local.listen(tmp_path / "socket", 0o600)
    yield tmp_path / "socket"
    await close()
    assert not (tmp_path / "socket").exists()


async def test_the_kernel_tells_who_it_is(wire: Wire, path: Path) -> None:
    """A session has the name of the process's user, the system's groups, and no log in."""
    async with unix_peer(path) as peer:
        assert (await peer.rpc(op("whoami"))).element[0].text == f"{ME}@localhost"
        (session,) = wire.sessions.live()
        assert session.info.transport == "eman-server:netconf-local"
        assert session.info.groups == identify(os.geteuid(), os.getegid())[1]


def test_groups_are_those_of_the_system() -> None:
    """The groups are those that the user database gives, by name; a number without a name is nobody."""
    name, groups = identify(0, 0)
    assert (name, "root" in groups) == ("root", True)
    with pytest.raises(Refused, match="4000000000 has no name"):
        identify(4_000_000_000, 0)


@pytest.mark.parametrize("mode", [0o600, 0o660])
async def test_mode(local: LocalServer, tmp_path: Path, mode: int) -> None:
    """Only those may connect whom the mode of the socket lets write, from its first moment."""
    close = local.listen(tmp_path / "socket", mode)
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == mode
    await close()


async def test_a_socket_left_behind(local: LocalServer, tmp_path: Path) -> None:
    """The socket of a server that is gone is replaced; that of one at work, or another file, is left alone."""
    left, taken, file = (tmp_path / name for name in ("left", "taken", "file"))
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left))
    file.write_text("precious")
    await local.listen(left, 0o600)()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(taken))
        other.listen()
        with pytest.raises(OSError, match="Another server"):
            local.listen(taken, 0o600)
    with pytest.raises(OSError, match="something else"):
        local.listen(file, 0o600)
    assert file.read_text() == "precious"


async def test_end_of_input(path: Path) -> None:
    """A client that writes no more still gets the replies to what it asked."""
    async with unix_peer(path) as peer:
        peer.ask(op("echo", "last"))
        peer.transport.write_eof()
        assert (await peer.reply()).element[0].text == "last"
        await peer.closed()


async def test_slow_reader(wire: Wire, path: Path) -> None:
    """A reply is not made faster than it is read."""
    async with unix_peer(path) as slow, unix_peer(path) as other:
        slow.transport.pause_reading()
        slow.ask(op("stream", 12_000))
        assert (await other.rpc(op("stream", 3000))).ok
        assert wire.slices < 15_000
        slow.transport.resume_reading()
        assert len((await slow.reply()).element[0]) == 12_000


async def test_limits(wire: Wire, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Limits of sessions hold, and who is refused is told."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    wire.limit(sessions_per_user=1)
    async with unix_peer(path) as peer, unix_peer(path, greet=False) as second:
        await second.closed()
        assert (await peer.rpc(op("echo"))).ok
    assert any(f"User {ME} has 1 sessions open" in line for line in caplog.messages)


async def test_drain(wire: Wire, local: LocalServer, path: Path) -> None:
    """When the server drains, a request under way is answered and the connection ends."""
    async with unix_peer(path) as peer:
        peer.ask(op("wait"))
        await wire.waiting.wait()
        draining = asyncio.create_task(wire.sessions.drain(PATIENCE))
        await asyncio.sleep(0)
        wire.gate.set()
        await draining
        await local.connections.finish(PATIENCE)
        assert (await peer.reply()).ok
        assert not local.connections.open


# --- the subsystem


async def test_subsystem(path: Path) -> None:
    """Standard input and output are joined to the socket, until the server has closed the session."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "eman_netconf", "subsystem", "--socket", str(path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    capability = "<capability>urn:ietf:params:netconf:base:1.0</capability>"
    hello = f'<hello xmlns="{BASE_NS}"><capabilities>{capability}</capabilities></hello>]]>]]>'
    close = f'<rpc xmlns="{BASE_NS}" message-id="1"><close-session/></rpc>]]>]]>'
    child.stdin.write((hello + close).encode())
    async with asyncio.timeout(PATIENCE):
        said = await child.stdout.read()  # to the end, though standard input is still open
        assert await child.wait() == 0
    assert said.count(b"]]>]]>") == 2
    assert b"<ok/>" in said
    child.stdin.close()
    with contextlib.suppress(OSError):
        await child.stdin.wait_closed()


def test_subsystem_without_a_server(tmp_path: Path) -> None:
    """Without a server it ends with one line that says what to look at."""
    done = command("subsystem", "--socket", tmp_path / "none", stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "is the server running" in done.stderr
    assert done.stdout == ""

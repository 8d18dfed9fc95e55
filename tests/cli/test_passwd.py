"""``passwd``: the way back in, while the server is stopped."""

from __future__ import annotations

import getpass
import io
import sys
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from eman_netconf.cli import run
from eman_netconf.server.users import LONGEST_PASSWORD
from tests.server.running import Process, command, edited, entity, running_config, ssh_peer

PASSWORD = "a password of 2026"


def files(process: Process) -> dict[str, bytes]:
    """All of the state, the lock aside."""
    return {str(path): path.read_bytes() for path in process.state.rglob("*") if path.is_file() and path.name != "lock"}


async def test_the_password_set_logs_in(process: Process) -> None:
    """From standard input: the administrator, and a user who was not there, log in with it at the next start."""
    for user in ("admin", "carol"):
        done = command("passwd", "--config", process.config, "--stdin", user, input=f"{PASSWORD}\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"the password of {user} is set\n", "")
    await process.start()
    async with ssh_peer(process.ports[0], password=PASSWORD) as admin:
        await edited(admin, entity("a"))
        assert PASSWORD.encode() not in await running_config(admin)
    async with ssh_peer(process.ports[0], user="carol", password=PASSWORD):
        pass
    with pytest.raises(asyncssh.PermissionDenied):
        async with ssh_peer(process.ports[0], user="carol", password=PASSWORD[:-1]):
            pass
    async with process.peer():  # the key still does
        pass
    assert await process.end() == 0
    assert all(PASSWORD.encode() not in content for content in files(process).values())


def test_a_password_of_unfit_length_changes_nothing(
    process: Process, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too short, too long or none at all: refused with the bounds."""
    before = files(process)
    for password in ("short", "", "x" * (LONGEST_PASSWORD + 1)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(password))
        assert run(["passwd", "--config", str(process.config), "--stdin", "admin"]) == 1
        said = capsys.readouterr().err
        assert said == f"eman-netconf passwd: a password has 8 to {LONGEST_PASSWORD} bytes; nothing was changed\n"
    assert files(process) == before


async def test_a_running_server_is_not_disturbed(process: Process) -> None:
    """While the server runs, passwd refuses before it asks for anything."""
    await process.start()
    done = command("passwd", "--config", process.config, "--stdin", "admin", input=f"{PASSWORD}\n")
    assert done.returncode == 1
    assert "stop it first" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    async with process.peer() as peer:
        await edited(peer, entity("a"))


@pytest.mark.parametrize(("typed", "status"), [((PASSWORD, PASSWORD), 0), ((PASSWORD, "another one"), 1)])
def test_from_a_terminal_it_is_typed_twice(
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: tuple[str, str],
    status: int,
) -> None:
    """Typed without echo, twice alike; otherwise nothing changes."""
    before, answers = files(process), iter(typed)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(answers))
    assert run(["passwd", "--config", str(process.config), "admin"]) == status
    captured = capsys.readouterr()
    assert ("is set" in captured.out) == (status == 0)
    assert ("the two differ; nothing was changed" in captured.err) == (status == 1)
    assert (files(process) == before) == (status == 1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "eman-netconf.toml").unlink(), "eman-netconf.toml: No such file"),
        (lambda folder: (folder / "state" / "secret.key").write_bytes(b"x"), "secret.key is no key of this server"),
    ],
)
def test_what_is_spoiled_is_one_line(
    process: Process, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], said: str
) -> None:
    """A bootstrap file or a key that cannot be used is named."""
    spoil(process.folder)
    assert run(["passwd", "--config", str(process.config), "admin"]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_user_who_cannot_be_is_refused(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty name, or one with control characters, is no user's."""
    before = files(process)
    for name in ("", "a\x00b", "a\nb"):
        assert run(["passwd", "--config", str(process.config), name]) == 1
        assert "it must be printable text" in capsys.readouterr().err
    assert files(process) == before

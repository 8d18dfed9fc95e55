"""``init``: a folder from which a server starts at once, or nothing at all."""

from __future__ import annotations

import socket
from pathlib import Path

import asyncssh
import pytest

from eman_netconf.cli import run
from eman_netconf.server.config import load
from tests.server.running import Process, command, edited, entity, ssh_peer


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def init(folder: Path, *words: str | Path) -> str:
    """What it prints when it succeeds."""
    done = command("init", folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


async def test_the_server_starts_from_it_and_the_key_logs_in(tmp_path: Path) -> None:
    """With a public key: a server starts at the address given, and the key is the administrator's."""
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256", comment="alice@her-desk")
    key.write_public_key(tmp_path / "key.pub")
    port = free_port()
    folder = tmp_path / "new" / "site"
    listen = ("--address", "127.0.0.2", "--port", str(port))
    said = init(folder, "--admin", "alice", "--key", tmp_path / "key.pub", *listen)
    assert f"eman-netconf run --config {folder}/eman-netconf.toml" in said
    assert "password" not in said
    assert not (folder / "admin-password").exists()
    process = Process(folder, key)
    try:
        await process.start()
        assert process.ports == [port]
        async with process.peer(user="alice", host="127.0.0.2") as peer:
            await edited(peer, entity("a"))
        assert await process.end() == 0
    finally:
        process.kill()


async def test_a_password_is_made_when_no_key_is_given(tmp_path: Path) -> None:
    """Without a key the administrator gets a password in a file that only the owner reads."""
    folder = tmp_path / "site"
    folder.mkdir()
    said = init(folder, "--port", "0")
    file = folder / "admin-password"
    password = file.read_text().strip()
    assert str(file) in said
    assert password not in said
    assert len(password) >= 20
    assert file.stat().st_mode & 0o777 == 0o600
    assert (folder / "state").stat().st_mode & 0o777 == 0o700
    bootstrap = load(folder / "eman-netconf.toml")
    assert (bootstrap.admin, bootstrap.state) == ("admin", folder / "state")
    process = Process(folder, asyncssh.generate_private_key("ssh-ed25519"))
    try:
        await process.start()
        async with ssh_peer(process.ports[0], password=password) as peer:
            await edited(peer, entity("a"))
    finally:
        process.kill()


async def test_the_state_is_kept_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --state the configuration goes there, whatever the path is called, and the server finds it from anywhere."""
    monkeypatch.chdir(tmp_path)
    state = Path('var lib "ä\\😀')
    init(tmp_path / "site", "--state", state, "--port", "0")
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == ["admin-password", "eman-netconf.toml"]
    assert (tmp_path / state / "running").is_dir()
    assert load(tmp_path / "site" / "eman-netconf.toml").state == tmp_path / state
    process = Process(tmp_path / "site", asyncssh.generate_private_key("ssh-ed25519"))
    try:
        await process.start()
        assert await process.end() == 0
    finally:
        process.kill()


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--admin", "two words"], "a user's name is"),
        (["--admin", 'x"\n'], "a user's name is"),
        (["--port", "65536"], "--port 65536 is outside 0..65535"),
        (["--address", "localhost"], "is not an IPv4 or IPv6 address"),
        (["--key", "none.pub"], "none.pub: No such file"),
        (["--key", "garbage"], "is no public key"),
        (["--state", "new\nline"], "is not printable text"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    """Words that cannot be followed: status 1, one line, no folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "garbage").write_bytes(b"\xff garbage")
    before = tree(tmp_path)
    assert run(["init", "site", *words]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("eman-netconf init: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert tree(tmp_path) == before


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds anything, or a file in its place, is refused and stays as it is."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "letter").write_text("mine")
    before = tree(tmp_path)
    assert run(["init", str(tmp_path / "site")]) == 1
    assert "is not empty; give a new folder" in capsys.readouterr().err
    assert run(["init", str(tmp_path / "new"), "--state", str(tmp_path / "site")]) == 1
    assert f"{tmp_path / 'site'} is not empty; give a new folder" in capsys.readouterr().err
    assert run(["init", str(tmp_path / "site" / "letter")]) == 1
    assert "letter: Not a directory" in capsys.readouterr().err
    assert tree(tmp_path) == before

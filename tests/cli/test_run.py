"""``run``: what it prints when it is ready, and one line when it cannot start."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from eman_netconf.cli import run
from eman_netconf.server.history import History
from tests.server.running import EMAN, Process, command, entity, get, ssh_peer

SCRIPTS = Path(sys.executable).parent


def pasted(snippet: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of it, in another folder, with the programs of this environment."""
    return subprocess.run(
        ["bash", "-e"],
        input=snippet,
        env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def demo(process: Process) -> Process:
    """The demo site in a folder of its own, not started yet; its name is none that a shell or Python likes."""
    process.arguments = ("--demo", "--port", "0", "--state", str(process.folder / "it's a demo"))
    return process


def password_file(demo: Process) -> Path:
    return demo.folder / "it's a demo" / "demo-password"


async def test_the_demo_prints_a_snippet_that_runs_as_pasted(demo: Process) -> None:
    """stdout is the ready line and a snippet; pasted into a shell, that asks the server and prints what it says."""
    line = await demo.begin().ready()
    assert re.fullmatch(r"ready 127\.0\.0\.1:\d+ user=admin password-file=(.*)\n", line)
    assert line.endswith(f"password-file={password_file(demo)}\n")
    assert password_file(demo).stat().st_mode & 0o777 == 0o600
    done = pasted(await demo.printed(f"{shlex.quote(sys.executable)} -m eman_netconf show"))
    assert done.returncode == 0, done.stderr
    assert "<id>srv-01</id>" in done.stdout
    assert re.search(r"^feed-[ab] ", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    assert await demo.end() == 0
    assert demo.rest == ""


async def test_a_lost_demo_password_is_made_anew(demo: Process) -> None:
    """The file with the password deleted, the next start makes another that works; the site is the same."""
    await demo.start()
    assert await demo.end() == 0
    old = password_file(demo).read_text()
    password_file(demo).unlink()
    await demo.start()
    new = password_file(demo).read_text()
    assert new != old
    async with ssh_peer(demo.ports[0], password=new.strip()) as peer:
        assert (await get(peer, entity("srv-01", "<name/>"))).findtext(f".//{{{EMAN}}}name")
    with pytest.raises(asyncssh.PermissionDenied):
        async with ssh_peer(demo.ports[0], password=old.strip()):
            pass


async def test_the_demo_keeps_its_time(demo: Process) -> None:
    """Site time runs as it was told and never backwards over a restart."""
    demo.arguments = (*demo.arguments, "--start-time", "2026-06-21T12:00:00Z", "--speed", "30")
    await demo.start()
    assert await demo.end() == 0
    first = json.loads((password_file(demo).parent / "clock.json").read_text())
    await demo.start()
    second = json.loads((password_file(demo).parent / "clock.json").read_text())
    assert first["speed"] == second["speed"] == 30
    assert second["site-origin"] > first["site-origin"] >= 1782043200


def refused(process: Process, *arguments: str) -> str:
    """What it says when it does not start: one line, status 1."""
    done = command("run", *(arguments or ("--config", str(process.config))))
    assert done.returncode == 1, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("eman-netconf run: ")
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "0"], "--port goes with --demo"),
        (["--state", "here"], "--state goes with --demo"),
        (["--demo", "--port", "65536"], "--port 65536 is outside 0..65535"),
        (["--demo", "--port", "-1"], "--port -1 is outside 0..65535"),
        (["--demo", "--speed", "0"], "--speed 0 is outside"),
        (["--demo", "--speed", "nan"], "--speed nan is outside"),
        (["--demo", "--start-time", "2026-06-21T12:00:00"], "needs a time zone"),
        (["--demo", "--start-time", "noon"], "is no time"),
    ],
)
def test_options_out_of_place_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    """An option that only the demo has is refused without it, and so is one that is out of range; nothing is made."""
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o077)
    try:
        assert run(["run", *words]) == 1
    finally:
        os.umask(umask)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("eman-netconf run: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_bad_bootstrap_file_is_named(process: Process) -> None:
    """What is wrong with the file, and which file."""
    process.config.write_text("[server]\nstat = 'x'\n")
    said = refused(process)
    assert f"{process.config}: [server] has no setting 'stat'" in said
    assert "none.toml: No such file" in refused(process, "--config", str(process.folder / "none.toml"))


def test_a_taken_port_is_named(process: Process) -> None:
    """The address and the port, and nothing of the inside."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process.configure(f"127.0.0.1 {port}", more='[log]\nlevel = "error"\n')
        assert refused(process).endswith(f"cannot listen on 127.0.0.1 port {port}: Address already in use")


def test_what_is_spoiled_in_the_state_is_named(process: Process) -> None:
    """Keys, history and configuration that cannot be used: each is told with its file."""
    process.configure(more='[log]\nlevel = "error"\n')
    good = {name: (process.state / name).read_bytes() for name in ("secret.key", "ssh_host_ed25519_key")}
    for name, spoiled, words in (
        ("secret.key", b"short", "is no key of this server"),
        ("ssh_host_ed25519_key", b"garbage", "is no private key"),
        ("namespace-uuid", b"", "holds no UUID; restore it, or remove it"),
        ("history.sqlite", b"garbage " * 1000, "move the file away to start with an empty history"),
    ):
        (process.state / name).write_bytes(spoiled)
        said = refused(process)
        assert f"{process.state / name}" in said
        assert words in said
        if name in good:
            (process.state / name).write_bytes(good[name])
        else:
            (process.state / name).unlink()
    (process.state / "ssh_host_ed25519_key").chmod(0o644)
    assert "run chmod 600 on it" in refused(process)


def test_a_history_is_not_spoiled_by_a_start_that_fails(process: Process) -> None:
    """A start that ends because of a taken port leaves the counters as they were, and no sign of a crash."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process.configure(f"127.0.0.1 {taken.getsockname()[1]}", more='[log]\nlevel = "error"\n')
        refused(process)
    history = History(process.state / "history.sqlite", {})
    assert history.clean
    history.close(clean=True)

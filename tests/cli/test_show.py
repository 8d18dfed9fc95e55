"""``show``: the power tree of a running server, and one line when there is none to be had."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from eman_netconf.cli import run
from eman_netconf.cli.show import Line, interfaces, read, tree
from eman_netconf.yang.schema import Schema
from tests.server.running import PASSWORD, Serving, backends, edited, link_until, serving, simulated


@pytest.fixture
async def site(tmp_path: Path, schema: Schema) -> AsyncIterator[Serving]:
    """A server of one box, and the files that a user of it has."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with serving(tmp_path / "state", schema) as server:
        async with server.peer() as admin:
            await edited(admin, backends(simulated("pdu", "pdu-a") + simulated("srv", "srv-02")))
            for name in ("pdu", "srv"):
                await link_until(admin, name, state="up")
        yield server


async def show(server: Serving, folder: Path, *words: str | Path, password: str = "password") -> int:
    """Run ``show`` beside the server; its status."""
    options = ["--port", str(server.port), *([] if "--key" in words else ["--password-file", str(folder / password)])]
    return await asyncio.to_thread(run, ["show", *options, *map(str, words)])


async def test_text_is_a_tree(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every entity stands below what feeds it, with its state and its watts."""
    assert await show(site, tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    (pdu,) = [line for line in lines if line.startswith("pdu-a ")]
    (server,) = [line for line in lines if "srv-02 " in line]
    assert lines.index(server) > lines.index(pdu)
    assert server.startswith(("├─ ", "└─ ", "│  "))
    assert " W" in server
    assert "dmtf-on" in server


async def test_json_is_for_programs(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON: numbers are numbers, what is unknown is null; one entity when one is named."""
    assert await show(site, tmp_path, "--output", "json") == 0
    everything = json.loads(capsys.readouterr().out)
    assert {entry["id"] for entry in everything} >= {"pdu-a", "srv-02"}
    assert await show(site, tmp_path, "--output", "json", "srv-02") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["id"] == "srv-02"
    assert entry["state"] == "dmtf-on"
    assert entry["watts"] > 50
    assert entry["reachability"] == "reachable"
    assert "pdu-a" in entry["sources"]


async def test_one_entity_alone(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named, an entity stands first, and what it feeds below it; one that is not there is said so."""
    assert await show(site, tmp_path, "srv-02") == 0
    assert capsys.readouterr().out.startswith("srv-02 ")
    assert await show(site, tmp_path, "srv-99") == 1
    captured = capsys.readouterr()
    assert captured.err == "eman-netconf show: there is no entity srv-99; without a name, show prints them all\n"
    assert captured.out == ""


async def test_one_entity_has_its_interfaces(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named, an entity shows each of its interfaces: which way, its supply, its watts, and who is at the other end."""
    assert await show(site, tmp_path, "pdu-a") == 0
    rows = [line.lstrip("│ ").split() for line in capsys.readouterr().out.splitlines()]
    (outlet,) = [row for row in rows if row[-1] == "srv-02/psu-1"]
    assert outlet[:3] == ["outlet-2", "outlet", "on"]
    assert "to" in outlet
    assert "W" in outlet


async def test_backends_that_are_not_read_are_told(
    site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backend that cannot be used has no entity; a line below the tree says why, and none is said of the others."""
    async with site.peer() as admin:
        await edited(admin, backends(simulated("broken", "no-such-entity")))
        await link_until(admin, "broken", state="closed")
    assert await show(site, tmp_path) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("backend ")]
    assert line.startswith("backend broken  !closed")
    assert "no-such-entity" in line


async def test_who_gives_nothing_is_told_what_to_give(site: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """Without password and key the refusal says how to give one."""
    assert await asyncio.to_thread(run, ["show", "--port", str(site.port)]) == 1
    assert capsys.readouterr().err.endswith("refused the login of admin; give --password-file or --key\n")


async def test_a_server_without_entities_says_so(
    tmp_path: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty site is one line that says what to do about it, and an empty list for programs."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with serving(tmp_path / "state", schema) as server:
        assert await show(server, tmp_path) == 1
        assert "no entity that admin may read; add backends" in capsys.readouterr().err
        assert await show(server, tmp_path, "--output", "json") == 0
        assert json.loads(capsys.readouterr().out) == []


async def test_keys_on_both_sides(
    site: Serving, tmp_path: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the server's own host key it answers; with another one nothing is sent."""
    state = tmp_path / "state"
    host_key = asyncssh.read_private_key(state / "ssh_host_ed25519_key")
    host_key.write_public_key(tmp_path / "right.pub")
    asyncssh.generate_private_key("ssh-ed25519").write_public_key(tmp_path / "wrong.pub")
    assert await show(site, tmp_path, "--host-key", tmp_path / "right.pub") == 0
    assert "srv-02" in capsys.readouterr().out
    assert await show(site, tmp_path, "--host-key", tmp_path / "wrong.pub") == 1
    assert "showed another host key than the one expected" in capsys.readouterr().err


async def test_what_is_wrong_is_one_line(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong password, wrong key, files that are not what they should be: one line each, status 1."""
    (tmp_path / "wrong").write_text("another\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "key")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "locked", passphrase="x")
    for words, password, said in (
        ((), "wrong", "refused the login of admin"),
        (("--user", "nobody"), "password", "refused the login of nobody"),
        (("--key", tmp_path / "key"), "", "refused the login of admin\n"),
        ((), "none", "none: No such file"),
        ((), "binary", "binary: is not UTF-8 text"),
        (("--key", tmp_path / "none"), "", "none: No such file"),
        (("--key", tmp_path / "locked"), "", "is no private key without passphrase"),
        (("--key", tmp_path / "binary"), "", "is no private key without passphrase"),
        (("--host-key", tmp_path / "none.pub"), "password", "none.pub: No such file"),
        (("--host-key", tmp_path / "binary"), "password", "binary: is no public key"),
    ):
        assert await show(site, tmp_path, *words, password=password) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith("eman-netconf show: ")
        assert said in captured.err, captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


def ended_by(server: socket.socket, first: bytes) -> None:
    connection, _ = server.accept()
    connection.sendall(first)
    connection.close()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-gone\r\n"])
def test_no_server_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], first: bytes) -> None:
    """Nobody there, somebody else there, and one who hangs up: each is one line."""
    (tmp_path / "password").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = ["show", "--port", str(port), "--password-file", str(tmp_path / "password")]
        thread = threading.Thread(target=ended_by, args=(server, first))
        thread.start()
        assert run(words) == 1
        thread.join()
    captured = capsys.readouterr()
    assert captured.err.startswith(f"eman-netconf show: no NETCONF at 127.0.0.1 port {port}: ")
    assert captured.err.count("\n") == 1
    assert run(words) == 1
    assert "Connection refused" in capsys.readouterr().err


async def test_a_server_that_goes_meanwhile(
    site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection cut before the answer came: one line, no traceback."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def cut(*_: object) -> object:
        loop.call_soon_threadsafe(lambda: [connection.abort() for connection in site.daemon.listeners.ssh.connections])
        return over.wait()

    monkeypatch.setattr(site.daemon.sessions, "handler", cut)
    assert await show(site, tmp_path) == 1
    over.set()
    captured = capsys.readouterr()
    assert captured.err.startswith("eman-netconf show: ")
    assert "connection" in captured.err or "session" in captured.err
    assert captured.err.count("\n") == 1


def test_every_entity_is_shown_however_it_is_wired() -> None:
    """Two sources: under both, its loads once; a ring, and a source that is unknown: all still shown."""
    lines = [
        Line("a"),
        Line("b", name="B", watts=1234.5, state="on"),
        Line("both", sources=["a", "b"]),
        Line("below", sources=["both"]),
        Line("inside", contained_in="below"),
        Line("ring-1", sources=["ring-2"]),
        Line("ring-2", sources=["ring-1"]),
        Line("lonely", sources=["elsewhere"], reachability="stale", batteries=["b-1 90 %, charging"]),
        Line("sum", watts=1.0, method="integrated", missing=["m-1", "m-2", "m-3", "m-4", "m-5", "m-6"]),
        Line("gone", reachability="unreachable", reachability_since="2026-11-21T21:55:02.125Z"),
    ]
    assert list(tree({line.id: line for line in lines}, None)) == [
        "a",
        "└─ both",
        "   └─ below",
        "      └─ inside",
        'b  "B"  on  1,234.5 W',
        "└─ both (see above)",
        "lonely  [b-1 90 %, charging]  !stale",
        "sum  1.0 W (integrated)  !without m-1, m-2, m-3, m-4, m-5 and 1 others",
        "gone  !unreachable since 2026-11-21T21:55:02Z",
        "ring-1",
        "└─ ring-2",
        "   └─ ring-1 (see above)",
    ]


def test_a_battery_tells_what_deserves_attention() -> None:
    """How long it lasts while it discharges, a test that was not passed, and its alarms."""
    entity = etree.fromstring(
        """<entity xmlns="urn:eman:yang:eman-entity"><id>ups</id><battery xmlns="urn:eman:yang:eman-battery">
        <name>b</name><charge-percent>31.0</charge-percent><charging-state>discharging</charging-state>
        <runtime-remaining>754.0</runtime-remaining><alarm><active>low aging</active></alarm>
        <test><result>failed</result></test></battery></entity>"""
    )
    assert read(entity).batteries == ["b 31.0 %, discharging, 13 min left, test failed, !low, !aging"]


def test_a_wish_that_is_not_so_yet_is_told() -> None:
    """An outlet that is on and was told to go off says both, and how that goes; one that is as wished says it once."""
    outlet = """<power-interface xmlns="urn:eman:yang:eman-power-interface"><name>{}</name><direction>outlet</direction>
        <supply><oper-state>{}</oper-state><request><state>off</state><status>pending</status></request></supply>
        </power-interface>"""
    entity = etree.fromstring(
        f'<entity xmlns="urn:eman:yang:eman-entity"><id>pdu</id>{outlet.format("a", "on")}{outlet.format("b", "off")}'
        "</entity>"
    )
    assert list(interfaces(read(entity), "")) == ["a  outlet  on (off wanted, pending)", "b  outlet  off"]

"""``discover``: a running server looks for devices, the terminal shows them, and they are added when told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from lxml import etree

from eman_backends.redfish.tests.bmc import PASSWORD as BMC_PASSWORD
from eman_backends.redfish.tests.bmc import USER as BMC_USER
from eman_backends.redfish.tests.bmc import Bmc
from eman_backends.redfish.tests.bmc import serving as bmc
from eman_backends.redfish.tests.mockups import new_server
from eman_backends.redfish.tests.test_trust import made
from eman_netconf.cli import run
from eman_netconf.server.plugins import Installed
from eman_netconf.yang.schema import Schema
from tests.server.rack import COMMUNITY, Rack
from tests.server.running import NC, PASSWORD, Serving, edited, running_config, serving

ACROSS = '<snmp xmlns="urn:eman:yang:eman-backend-snmp"><port>{}</port><v2c><community>$0${}</community></v2c></snmp>'


@pytest.fixture
async def site(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed]
) -> AsyncIterator[Serving]:
    """A server without backends, and the files that a user of it has."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "using.xml").write_text(ACROSS.format(rack.port, COMMUNITY))
    async with serving(tmp_path / "state", schema, installed=installed) as server:
        yield server


async def discover(server: Serving, folder: Path, *words: str) -> int:
    """Run ``discover`` beside the server; its status."""
    options = ["--port", str(server.port), "--password-file", str(folder / "password"), "--timeout", "1"]
    return await asyncio.to_thread(run, ["discover", *options, *words])


async def configured(server: Serving) -> str:
    async with server.peer() as peer:
        return (await running_config(peer)).decode()


async def test_a_table_of_what_answers(
    site: Serving, rack: Rack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses, networks and ranges are asked, once each, and what answers is a line; nothing is configured."""
    rack.devices["127.0.7.4"].answer = "right\x9b2J"
    words = ("127.0.7.3", "127.0.7.2/31", "127.0.7.3-4", "127.0.7.4-127.0.7.4", "--using", str(tmp_path / "using.xml"))
    assert await discover(site, tmp_path, *words) == 0
    heading, *lines, counts = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ADDRESS", "PROTOCOL", "NAME", "WHAT", "IT", "IS"]
    assert [line.split() for line in lines] == [
        ["127.0.7.3", "snmp", "left", "something", "called", "left", "new"],
        ["127.0.7.4", "snmp", "right?2J", "something", "called", "right?2J", "new"],
    ]
    assert counts == "2 answered, 3 asked"
    assert [rack.questions()[f"127.0.7.{last}"] for last in (2, 3, 4, 5)] == [1, 1, 1, 0]
    assert "backend" not in await configured(site)


async def test_what_would_add_them(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --config the configuration alone is on standard output, and a server takes it; again it says no."""
    words = ("127.0.7.3-4", "--using", str(tmp_path / "using.xml"), "--config")
    assert await discover(site, tmp_path, *words) == 0
    said = capsys.readouterr()
    config = etree.fromstring(said.out)
    assert config.tag == f"{{{NC}}}config"
    assert "2 answered" in said.err
    assert COMMUNITY not in said.out + said.err
    async with site.peer() as peer:
        content = "".join(etree.tostring(each).decode() for each in config)
        await edited(peer, content)
        assert "127.0.7.4" in (await running_config(peer)).decode()
        edit = f'<edit-config xmlns="{NC}"><target><running/></target>{said.out}</edit-config>'
        assert [error.tag for error in (await peer.rpc(edit)).errors] == ["data-exists", "data-exists"]


async def test_added_when_told_so(site: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --add what is new becomes backends; what is configured already is said to be, and stays as it is."""
    words = ("127.0.7.3", "--using", str(tmp_path / "using.xml"), "--add")
    assert await discover(site, tmp_path, *words) == 0
    assert capsys.readouterr().out.endswith("1 answered, 1 asked\nadded: left\n")
    assert "127.0.7.3" in await configured(site)
    assert await discover(site, tmp_path, "127.0.7.4", *words) == 0
    out = capsys.readouterr().out
    assert "configured as left" in out
    assert out.endswith("added: right\n")


async def test_a_community_from_a_file(
    site: Serving, rack: Rack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A community may be in a file of its own; silence is no failure of the command."""
    (tmp_path / "community").write_text(f"{COMMUNITY}\n")
    words = ("127.0.7.99", "--snmp-community-file", str(tmp_path / "community"))
    assert await discover(site, tmp_path, *words) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 answered, 1 asked\n")
    assert "wrong communities are met with silence" in said
    assert not any(rack.questions().values())


async def test_who_shows_an_unknown_certificate_is_added_when_trusted(
    tmp_path: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    """A certificate nobody vouches for is shown, and its device added once the fingerprint was given as compared."""
    identity = made(tmp_path, "controller")
    shown = bytes.fromhex(identity.fingerprint).hex(":")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with serving(tmp_path / "state", schema) as site, bmc(Bmc(new_server()), identity.context) as controller:
        (tmp_path / "redfish.xml").write_text(
            f'<redfish xmlns="urn:eman:yang:eman-backend-redfish"><port>{controller.port}</port>'
            f"<user-name>{BMC_USER}</user-name><password>$0${BMC_PASSWORD}</password></redfish>"
        )
        words = ("127.0.0.1", "--using", str(tmp_path / "redfish.xml"), "--timeout", "30", "--add")
        assert await discover(site, tmp_path, *words) == 0
        out = capsys.readouterr().out
        assert f"127.0.0.1 redfish: its certificate is {shown}\n" in out
        assert "not added: redfish-127.0.0.1; compare the certificate" in out
        assert "redfish" not in await configured(site)
        assert controller.sessions == {}
        assert await discover(site, tmp_path, *words, "--trust", shown.upper()) == 0
        out = capsys.readouterr().out
        assert out.endswith("1 answered, 1 asked\nadded: redfish-127.0.0.1\n")
        assert "its certificate is" not in out
        assert shown in await configured(site)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["127.0.7.3"], "say with what to ask: --snmp-community-file FILE, or --using FILE.xml"),
        (["127.0.7.3", "--using", "{}/none.xml"], "none.xml: No such file or directory"),
        (["127.0.7.3", "--using", "{}/password"], "password: "),
        (["127.0.7.3-x", "--using", "{}/using.xml"], "127.0.7.3-x is no range; write 192.0.2.10-192.0.2.20"),
        (["127.0.7.3/99", "--using", "{}/using.xml"], "write a network as 192.0.2.0/24"),
        (["10.0.0.0/8", "--using", "{}/using.xml"], "more than 4096 addresses"),
        (["a b", "--using", "{}/using.xml"], "invalid-value"),
    ],
)
async def test_what_is_wrong_is_one_line(
    site: Serving, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be asked is one line on standard error, status 1."""
    assert await discover(site, tmp_path, *(word.format(tmp_path) for word in words)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1

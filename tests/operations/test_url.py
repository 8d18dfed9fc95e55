"""Configurations in files, named by URL (RFC 6241 section 8.8), asked over sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eman_netconf import safexml
from eman_netconf.errors import BASE_NS, ErrorTag
from eman_netconf.server.backups import Backups
from eman_netconf.yang.schema import Schema
from tests.operations.bench import NAMESPACES, Bench, bench, body, error
from tests.operations.test_transactions import OVER_LIMIT, commit, copy, edit, motto
from tests.peer import Peer

FILE = "<url>file:a.xml</url>"


@pytest.fixture
async def filed(tmp_path: Path, filing: Schema) -> AsyncIterator[Bench]:
    """A server with a folder of files."""
    async with bench(tmp_path / "state", filing) as made:
        made.server.files = Backups(tmp_path / "files", 1_000_000)
        yield made


def copying(source: str, target: str) -> str:
    return f"<copy-config {NAMESPACES}><target>{target}</target><source>{source}</source></copy-config>"


async def running(peer: Peer) -> str:
    return body(await peer.rpc(f"<get-config {NAMESPACES}><source><running/></source></get-config>"))


async def test_backup_and_restore(filed: Bench) -> None:
    """What is copied to a file is there again when it is copied back, in running and in the candidate."""
    peer = await filed.peer()
    assert peer.hello is not None
    assert "urn:ietf:params:netconf:capability:url:1.0?scheme=file" in peer.hello.capabilities
    assert (await peer.rpc(edit(motto("ä & <b>".replace("&", "&amp;").replace("<", "&lt;")), "running"))).ok
    before = await running(peer)
    assert (await peer.rpc(copying("<running/>", FILE))).ok
    assert (await peer.rpc(edit(motto("two"), "running"))).ok
    assert (await peer.rpc(copying(FILE, "<running/>"))).ok
    assert await running(peer) == before
    assert (await peer.rpc(edit(motto("three"), "running"))).ok
    assert (await peer.rpc(copying(FILE, "<candidate/>"))).ok
    assert (await peer.rpc(commit())).ok
    assert await running(peer) == before


@pytest.mark.req("rfc6241-8.8.5.1", "rfc6241-8.8.5.4")
async def test_edit_and_validate(filed: Bench) -> None:
    """A file may hold what is to be merged, and be checked before it is used."""
    peer = await filed.peer()
    assert (await peer.rpc(copying(f"<config>{motto('m')}</config>", FILE))).ok
    assert (await peer.rpc(f"<validate {NAMESPACES}><source>{FILE}</source></validate>")).ok
    by_url = f"<edit-config {NAMESPACES}><target><running/></target>{FILE}</edit-config>"
    assert (await peer.rpc(by_url)).ok
    assert await running(peer) == "<motto>m</motto>"
    assert (await peer.rpc(copying(f"<config>{OVER_LIMIT}</config>", FILE))).ok
    for request in (by_url, copying(FILE, "<running/>"), f"<validate {NAMESPACES}><source>{FILE}</source></validate>"):
        assert error(await peer.rpc(request)).app_tag == "over-limit"
    assert await running(peer) == "<motto>m</motto>"


async def test_delete(filed: Bench) -> None:
    """A file that is deleted is gone; running cannot be deleted by any name."""
    peer = await filed.peer()
    delete = f"<delete-config {NAMESPACES}><target>{FILE}</target></delete-config>"
    assert (await peer.rpc(copying("<running/>", FILE))).ok
    assert (await peer.rpc(delete)).ok
    for request in (delete, copying(FILE, "<running/>")):
        assert error(await peer.rpc(request)).tag == ErrorTag.DATA_MISSING
    bad = f"<delete-config {NAMESPACES}><target><running/></target></delete-config>"
    assert not (await peer.rpc(bad)).ok


async def test_what_a_file_may_be(filed: Bench, tmp_path: Path) -> None:
    """A file that holds no configuration, or something that is no XML, is refused with its name."""
    peer = await filed.peer()
    (tmp_path / "files").mkdir()
    for content in (b"<data/>", b"<config", b"", b"<!DOCTYPE c [<!ENTITY e 'x'>]><config>&e;</config>"):
        (tmp_path / "files" / "a.xml").write_bytes(content)
        found = error(await peer.rpc(copying(FILE, "<running/>")))
        assert found.tag == ErrorTag.INVALID_VALUE
        assert "a.xml" in found.message


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://localhost/a", "file:../state/running"])
async def test_other_urls(filed: Bench, url: str) -> None:
    """Nothing outside the folder is read or written."""
    peer = await filed.peer()
    for request in (copying(f"<url>{url}</url>", "<running/>"), copying("<running/>", f"<url>{url}</url>")):
        assert error(await peer.rpc(request)).tag == ErrorTag.INVALID_VALUE


async def test_without_the_capability(site: Bench) -> None:
    """A server without a folder knows no URLs, and says so."""
    peer = await site.peer()
    assert peer.hello is not None
    assert not [uri for uri in peer.hello.capabilities if ":url:" in uri]
    assert not (await peer.rpc(copying("<running/>", FILE))).ok
    assert not (await peer.rpc(copy("running", "candidate"))).errors


async def test_defaults_in_files(filed: Bench) -> None:
    """with-defaults tells how defaults are written; a file in which they are marked sets none when it is read."""
    peer = await filed.peer()
    files = filed.server.files
    assert files is not None
    wd = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"'
    tag = 'xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0" wd:default="true"'
    assert (await peer.rpc(edit('<box xmlns="urn:toy"><name>n</name></box>', "running"))).ok
    for mode, written in {
        "report-all-tagged": f"<mode {tag}>off</mode>",
        "trim": "",
        "explicit": "",
        "report-all": "<mode>off</mode>",
    }.items():
        asked = copying("<running/>", FILE).replace("</copy-config>", f"<with-defaults {wd}>{mode}</with-defaults>")
        assert (await peer.rpc(f"{asked}</copy-config>")).ok
        assert f'<box xmlns="urn:toy"><name>n</name>{written}</box>'.encode() in await files.read("a.xml")
        assert (await peer.rpc(copying(FILE, "<running/>"))).ok
        set_ = written if mode == "report-all" else ""
        assert (await running(peer)).startswith(f"<box><name>n</name>{set_}</box>")


async def test_edit_data_of_a_file(filed: Bench) -> None:
    """edit-data takes a file in place of its config (RFC 8526 section 3.1.2)."""
    peer = await filed.peer()
    assert (await peer.rpc(copying(f"<config>{motto('m')}</config>", FILE))).ok
    datastore = '<datastore xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">ds:running</datastore>'
    asked = f'<edit-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda">{datastore}{FILE}</edit-data>'
    assert (await peer.rpc(asked)).ok
    assert await running(peer) == "<motto>m</motto>"
    assert error(await peer.rpc(asked.replace("a.xml", "b.xml"))).tag == ErrorTag.DATA_MISSING


async def test_a_long_file_is_read_with_pauses(filed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is parsed others have their turns, one for each slice of it."""
    peer = await filed.peer()
    file = filed.server.files
    assert file is not None
    comment = b"<!--" + b"x" * (10 * safexml.SLICE) + b"-->"
    await file.write("a.xml", b'<config xmlns="%b">%b</config>' % (BASE_NS.encode(), comment))
    turns = 0

    async def breathe() -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(filed.datastores, "breathe", breathe)
    assert (await peer.rpc(f"<validate {NAMESPACES}><source>{FILE}</source></validate>")).ok
    assert turns >= 10

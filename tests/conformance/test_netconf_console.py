"""netconf-console2, a command line over ncclient, as people try a server with it."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import EMAN, NS, SharedSite, demo_process, entity, one, shared
from tests.conformance.talking import BASE, BASE_1_0, BASE_1_1
from tests.programs import script

ENDS_WITHIN = 300.0  # seconds; for hangs
PREFIXES = ("--ns", f"eman={EMAN}")

Console = Callable[..., list[etree._Element]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    yield from shared(demo_process(tmp_path_factory.mktemp("console") / "state"))


@pytest.fixture
def client(site: SharedSite) -> Iterator[manager.Manager]:
    """Another client, which in the end puts the configuration back."""
    with site.client() as session:
        yield session


@pytest.fixture
def console(site: SharedSite, tmp_path: Path) -> Console:
    """One run of the program in one session; the documents that it printed."""

    def run(*arguments: str, status: int = 0) -> list[etree._Element]:
        place = ("--host", "127.0.0.1", "--port", str(site.server.port))
        done = subprocess.run(
            [script("netconf-console2"), *place, "-u", "admin", "-p", site.server.password, *arguments],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=ENDS_WITHIN,
        )
        assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
        documents = re.split(rb"<\?xml[^>]*>", done.stdout)  # an error stands there without declaration
        return [etree.fromstring(document.strip()) for document in documents if document.strip()]

    return run


def entities(inner: str) -> str:
    return f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def is_ok(reply: etree._Element) -> bool:
    return bool(reply.tag == f"{{{BASE}}}ok")


@pytest.mark.req("rfc6241-8.1")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_hello(console: Console, version: str) -> None:
    """The capabilities are the same whichever version the program insists on."""
    (hello,) = console("--version", version, "--hello")
    assert {BASE_1_0, BASE_1_1} <= {node.text for node in hello.iter(f"{{{BASE}}}capability")}


@pytest.mark.req("rfc6241-7.1", "rfc6241-7.7", "rfc6243-4.5.1")
def test_reading(console: Console) -> None:
    """get and get-config by path, with and without defaults, in one session."""
    path = entity("srv-05")
    plain, whole, state = console(
        *PREFIXES,
        *("--get-config", path),
        *("--with-defaults", "report-all", "--get-config", "/eman:energy-management"),
        *("--get", path),
    )
    assert [node.text for node in plain.iter(f"{{{EMAN}}}id")] == ["srv-05"]
    assert plain.find(f".//{{{EMAN}}}uuid") is None
    assert state.find(f".//{{{EMAN}}}uuid") is not None
    assert len(list(whole.iter())) > len(list(plain.iter()))


@pytest.mark.req("rfc6241-8.3.4.1", "rfc6241-8.3.4.2", "rfc6241-8.6.4.1")
@pytest.mark.req("rfc6241-7.2", "rfc6241-8.3", "rfc6241-8.6")
def test_editing(console: Console, client: manager.Manager, tmp_path: Path) -> None:
    """A file is edited into the candidate, validated and committed; an expression changes running; discard forgets."""
    role, path = uuid.uuid4().hex, entity("srv-05", "/eman:role")
    (tmp_path / "edit.xml").write_text(entities(f"<entity><id>srv-05</id><role>{role}</role></entity>"))
    replies = console("--db", "candidate", "--edit-config", "edit.xml", "--validate", "candidate", "--commit")
    assert [is_ok(reply) for reply in replies] == [True] * 3
    assert one(client, path) == role
    console(*PREFIXES, "--db", "running", "--set", f"{path}=by expression")
    assert one(client, path) == "by expression"
    *done, candidate = console(
        *PREFIXES, "--db", "candidate", "--set", f"{path}=forgotten", "--discard-changes", "--get-config", path
    )
    assert all(is_ok(reply) for reply in done)
    assert candidate.findtext(f".//{{{EMAN}}}role") == "by expression"


@pytest.mark.req("rfc7950-7.15", "rfc6022-3.1")
def test_operations_from_files(console: Console, tmp_path: Path) -> None:
    """Any operation may come from a file: an action, a schema, and one that is refused."""
    control = "<control><switch-supply><state>on</state></switch-supply></control>"
    outlet = f'<power-interface xmlns="{NS["empi"]}"><name>outlet-14</name>{control}</power-interface>'
    (tmp_path / "action.xml").write_text(
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{entities(f"<entity><id>pdu-b</id>{outlet}</entity>")}</action>'
    )
    (tmp_path / "unknown.xml").write_text(f'<no-such-operation xmlns="{BASE}"/>')
    (switched,) = console("--rpc", "action.xml")
    assert switched.find(".//{*}request-id") is not None
    (schema,) = console("--get-schema", "eman-types")
    assert "module eman-types" in "".join(schema.itertext())
    (refused,) = console("--rpc", "unknown.xml", status=255)
    assert refused.findtext(f".//{{{BASE}}}error-tag") == "operation-not-supported"

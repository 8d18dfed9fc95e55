"""What the protocol says of sessions, messages and filters, asked of a running server in bytes written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree
from ncclient.transport.errors import AuthenticationError

from tests.conformance.conftest import EMAN, ServerProcess
from tests.conformance.talking import BASE, BASE_1_0, END, PATIENCE, Asyncssh


@pytest.fixture
def wire(demo: ServerProcess) -> Iterator[Asyncssh]:
    session = Asyncssh(demo)
    yield session
    session.close()


async def whole_session(server: ServerProcess, sent: str) -> list[etree._Element]:
    """What the server says from its hello until it closes the channel, to a client that says this at once."""
    async with asyncssh.connect(
        "127.0.0.1", server.port, username="admin", password=server.password, known_hosts=None, config=None
    ) as connection:
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        writer.write(sent.encode())
        said = await asyncio.wait_for(reader.read(), PATIENCE)
    return [etree.fromstring(message.strip()) for message in said.split(END) if message.strip()]


def hello(inner: str) -> str:
    return f'<hello xmlns="{BASE}">{inner}</hello>{END.decode()}'


def capability(uri: str) -> str:
    return f"<capabilities><capability>{uri}</capability></capabilities>"


@pytest.mark.req("rfc6241-2.2", "d9.1", "r9.1")
@pytest.mark.parametrize("login", [{"password": "guessed"}, {"username": "nobody"}, {"password": None}], ids=str)
def test_no_session_without_authentication(demo: ServerProcess, tmp_path: Path, login: dict[str, Any]) -> None:
    """A wrong password, an unknown user and a key that nobody gave the server get no session."""
    if login.get("password", "") is None:
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "key")
        login = login | {"key_filename": str(tmp_path / "key")}
    with pytest.raises(AuthenticationError):
        demo.connect(**login)


@pytest.mark.req("rfc6241-8.1", "rfc6242-3.1")
@pytest.mark.parametrize(
    "theirs",
    [
        f"{capability(BASE_1_0)}<session-id>4</session-id>",
        capability("urn:ietf:params:netconf:base:9.9"),
        "",
    ],
    ids=["with-session-id", "of-no-known-version", "without-capabilities"],
)
async def test_hellos_that_begin_no_session(demo: ServerProcess, theirs: str) -> None:
    """The server says hello by itself; a hello that no client may say ends the session, and nothing is done."""
    ours, *rest = await whole_session(demo, hello(theirs) + f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>')
    assert ours.tag == f"{{{BASE}}}hello"
    assert int(ours.findtext(f"{{{BASE}}}session-id") or 0) > 0
    assert not [message for message in rest if message.find(f"{{{BASE}}}data") is not None]


@pytest.mark.req("rfc6241-7.8", "rfc6242-5")
async def test_the_channel_closes_with_the_session(demo: ServerProcess) -> None:
    """close-session is answered, then the server closes the channel; what was sent behind it is not done."""
    close = f'<rpc xmlns="{BASE}" message-id="1"><close-session/></rpc>{END.decode()}'
    late = f'<rpc xmlns="{BASE}" message-id="2"><get/></rpc>{END.decode()}'
    _, *replies = await whole_session(demo, hello(capability(BASE_1_0)) + close + late)
    assert [reply.get("message-id") for reply in replies] == ["1"]
    assert replies[0].find(f"{{{BASE}}}ok") is not None


def selected(wire: Asyncssh, inner: str) -> list[str]:
    """The local names below <data> that a subtree filter selects of the configuration, in document order."""
    reply = wire.rpc(f"<get-config><source><running/></source><filter>{inner}</filter></get-config>")
    return [etree.QName(node).localname for node in reply.find(f"{{{BASE}}}data").iterdescendants()]


def entity(inner: str, attribute: str = "") -> str:
    inside = f"<entities><entity{attribute}>{inner}</entity></entities>"
    return f'<energy-management xmlns="{EMAN}">{inside}</energy-management>'


ABOVE = ["energy-management", "entities", "entity"]


@pytest.mark.req("rfc6241-6.2.1", "rfc6241-6.2.2")
def test_namespaces_and_attributes_in_filters(wire: Asyncssh) -> None:
    """A namespace selects its module alone, none selects any; an attribute that no datum carries selects nothing."""
    assert selected(wire, '<energy-management xmlns="urn:x"/>') == []
    assert "energy-management" in selected(wire, '<energy-management xmlns=""/>')
    assert "entity" not in selected(wire, entity("<id>srv-05</id>", ' xmlns:x="urn:x" x:mark="1"'))


@pytest.mark.req("rfc6241-6.2.3", "rfc6241-6.2.4", "rfc6241-6.2.5", "rfc6241-6.3")
def test_nodes_of_filters(wire: Asyncssh) -> None:
    """A selection node selects what is below it, a content match its siblings where it holds, several all together."""
    assert selected(wire, entity("<id>srv-05</id><name/>")) == [*ABOVE, "id", "name"]
    assert {"id", "name", "role"} < set(selected(wire, entity("<id>srv-05</id>")))
    assert selected(wire, entity("<id>srv-05</id><role>no such role</role>")) == []
    both = selected(wire, entity("<id>srv-05</id><name/>") + entity("<id>srv-05</id><role/>"))
    assert both == [*ABOVE, "id", "name", "role"]
    assert selected(wire, "") == []

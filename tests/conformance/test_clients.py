"""The same conversation with every client that operators use, on old framing and new, and as Ansible has it."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RaiseMode

from tests.conformance.conftest import EMAN, ENTITIES, NS, ServerProcess, until
from tests.conformance.talking import BASE, BASE_1_0, BASE_1_1, CLIENTS, END, PATIENCE, Asyncssh, Client, OpenSsh
from tests.programs import program

SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"


@pytest.fixture(scope="session")
def key(demo: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key made by ssh-keygen, which the administrator may log in with."""
    keygen = program("ssh-keygen", "openssh-client")
    path = tmp_path_factory.mktemp("key") / "id_ed25519"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    algorithm, data, *_ = path.with_suffix(".pub").read_text().split()
    with demo.connect() as session:
        session.edit_config(
            target="running",
            config=f'<config xmlns="{BASE}"><system xmlns="{SYSTEM}"><authentication><user><name>admin</name>'
            f"<authorized-key><name>conformance</name><algorithm>{algorithm}</algorithm><key-data>{data}</key-data>"
            "</authorized-key></user></authentication></system></config>",
        )
    return path


@pytest.fixture(params=CLIENTS)
def talker(request: pytest.FixtureRequest, demo: ServerProcess, key: Path) -> Iterator[Client]:
    """Each client in turn, with an open session."""
    client = CLIENTS[request.param](demo, key)
    yield client
    client.close()


def entities(inner: str) -> str:
    return f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def ids(reply: etree._Element) -> list[str]:
    return [node.text or "" for node in reply.iter(f"{{{EMAN}}}id")]


def is_ok(reply: etree._Element) -> bool:
    return [child.tag for child in reply] == [f"{{{BASE}}}ok"]


def error(reply: etree._Element, leaf: str) -> str:
    """A leaf of the one error that a reply holds."""
    (found,) = reply.iter(f"{{{BASE}}}rpc-error")
    return found.findtext(f"{{{BASE}}}{leaf}") or ""


@pytest.mark.req("rfc6241-2.3", "rfc6241-8.1", "rfc6242-3.1")
def test_hello(talker: Client) -> None:
    """The server offers both framings and the optional capabilities it has."""
    assert {BASE_1_0, BASE_1_1} <= set(talker.capabilities)
    assert "urn:ietf:params:netconf:capability:writable-running:1.0" in talker.capabilities
    assert "urn:ietf:params:netconf:capability:xpath:1.0" in talker.capabilities
    assert any("yang-library:1.1" in uri for uri in talker.capabilities)


@pytest.mark.req("rfc6241-7.7", "rfc6241-6.2.5", "rfc6241-8.9.5.1")
def test_get_with_filters(talker: Client) -> None:
    """A subtree filter and an XPath filter select the same entity; its state is with its configuration."""
    by_subtree = talker.get(entities("<entity><id>srv-05</id></entity>"))
    by_xpath = talker.get_by_xpath("/eman:energy-management/eman:entities/eman:entity[eman:id='srv-05']")
    for reply in (by_subtree, by_xpath):
        assert ids(reply) == ["srv-05"]
        assert reply.find(f".//{{{EMAN}}}uuid") is not None
    assert len(ids(talker.get(entities("<entity><id/></entity>")))) > 30


@pytest.mark.req("rfc6242-4.2")
def test_large_answers(talker: Client) -> None:
    """An answer of hundreds of kilobytes, all that is known of all entities, comes whole."""
    reply = talker.get(entities(""))
    assert len(ids(reply)) > 30
    assert len(etree.tostring(reply)) > 300_000


@pytest.mark.req("rfc6241-4.2", "rfc6241-4.3", "rfc6241-4.4", "rfc6241-7.1", "rfc6241-7.2")
def test_editing_and_reading_back(talker: Client, request: pytest.FixtureRequest) -> None:
    """What is written is in running, without state beside it; what is wrong is refused in words."""
    said = f"written by {request.node.callspec.id} & co"
    text = said.replace("&", "&amp;")
    assert is_ok(talker.edit_config(entities(f"<entity><id>srv-05</id><description>{text}</description></entity>")))
    running = talker.get_config()
    (found,) = running.xpath(f".{ENTITIES.replace('/eman:energy', '//eman:energy')}[eman:id='srv-05']", namespaces=NS)
    assert found.findtext(f"{{{EMAN}}}description") == said
    assert found.find(f"{{{EMAN}}}uuid") is None
    refused = talker.edit_config(entities("<entity><id>srv-05</id><importance>0</importance></entity>"))
    assert error(refused, "error-tag") == "invalid-value"
    assert "1..100" in error(refused, "error-message")
    assert error(refused, "error-path").endswith("entity[eman:id='srv-05']/eman:importance")


@pytest.mark.req("rfc6022-3.1")
def test_schemas(talker: Client) -> None:
    """get-schema gives the text of a module; of an unknown one it says so."""
    text = "".join(talker.get_schema("eman-entity").itertext())
    assert text.lstrip().startswith("module eman-entity {")
    assert error(talker.get_schema("no-such-module"), "error-tag") == "invalid-value"


@pytest.mark.req("rfc6241-7.5", "rfc6241-7.6")
def test_locking(talker: Client, client: manager.Manager) -> None:
    """While one session holds the lock no other can write or lock; unlocked, they can."""
    assert is_ok(talker.lock())
    with pytest.raises(manager.operations.RPCError) as refused:
        client.lock("running")
    assert refused.value.tag == "lock-denied"
    with pytest.raises(manager.operations.RPCError) as refused:
        client.edit_config(
            target="running",
            config=f'<config xmlns="{BASE}">{entities("<entity><id>srv-05</id><role>x</role></entity>")}</config>',
        )
    assert refused.value.tag == "in-use"
    assert is_ok(talker.unlock())
    with client.locked("running"):
        assert error(talker.lock(), "error-tag") == "lock-denied"


@pytest.mark.req("rfc6241-2.1")
def test_a_lock_ends_with_its_session(demo: ServerProcess, client: manager.Manager) -> None:
    """A client that vanishes with the lock leaves no lock behind."""
    other = Asyncssh(demo)
    assert is_ok(other.lock())
    other.close()
    client.raise_mode = RaiseMode.NONE
    until(lambda: client.lock("running").ok, "the lock is free")
    client.unlock("running")


@pytest.mark.req("rfc6241-4.5", "rfc6242-5", "rfc6242-3", "rfc6242-4.3")
def test_requests_from_a_file(demo: ServerProcess, key: Path) -> None:
    """OpenSSH's client fed with a file: all that it asks is answered, in order, and the session ends well."""
    operations = ("<get-config><source><running/></source></get-config>", "<close-session/>")
    hello = f'<hello xmlns="{BASE}"><capabilities><capability>{BASE_1_0}</capability></capabilities></hello>'
    requests = [
        f'<rpc xmlns="{BASE}" message-id="{number}">{operation}</rpc>' for number, operation in enumerate(operations)
    ]
    done = subprocess.run(
        [program("ssh", "openssh-client"), *OpenSsh.options(key, demo.port), "admin@127.0.0.1", "-s", "netconf"],
        input="".join(message + END.decode() for message in (hello, *requests)).encode(),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    _, config, closed, rest = (part.strip() for part in done.stdout.split(END))
    assert etree.fromstring(config).find(f"{{{BASE}}}data") is not None
    assert is_ok(etree.fromstring(closed))
    assert rest == b""


# --- Ansible ---------------------------------------------------------------------------------------------------------


class Ansible(Asyncssh):
    """ansible.netcommon's requests: every base element prefixed, the message-id a urn, error-option always there."""

    def ask(self, operation: str) -> bytes:
        """The reply's bytes without its message-id."""
        number = f"urn:uuid:{uuid.uuid4()}"
        opening = f'<?xml version="1.0" encoding="UTF-8"?><nc:rpc xmlns:nc="{BASE}" message-id="{number}">'
        self.tell(f"{opening}{operation}</nc:rpc>")
        reply = self.hear()
        assert number.encode() in reply
        return reply.replace(number.encode(), b"")

    def run(self, content: str) -> bool:
        """What netconf_config does with target running; whether it would say that something has changed."""
        running = "<nc:running/>"
        assert b"<ok/>" in self.ask(f"<nc:lock><nc:target>{running}</nc:target></nc:lock>")
        read = f"<nc:get-config><nc:source>{running}</nc:source></nc:get-config>"
        before = self.ask(read)
        done = self.ask(
            f"<nc:edit-config><nc:target>{running}</nc:target><nc:error-option>stop-on-error</nc:error-option>"
            f"{content}</nc:edit-config>"
        )
        assert b"<ok/>" in done, done
        after = self.ask(read)
        assert b"<ok/>" in self.ask(f"<nc:unlock><nc:target>{running}</nc:target></nc:unlock>")
        return before != after


@pytest.fixture
def ansible(demo: ServerProcess) -> Iterator[Ansible]:
    session = Ansible(demo)
    yield session
    session.close()


@pytest.mark.parametrize("prefix", ["", "nc:"], ids=["default-namespace", "prefixed"])
def test_ansible_changes_once(ansible: Ansible, prefix: str) -> None:
    """A play changes something the first time and nothing the second: get-config is the same to the byte."""
    opening = f"<{prefix}config" + ("" if prefix else f' xmlns="{BASE}"')
    role = uuid.uuid4().hex
    content = f"{opening}>{entities(f'<entity><id>srv-05</id><role>{role}</role></entity>')}</{prefix}config>"
    assert ansible.run(content)
    assert not ansible.run(content)
    read = "<nc:get-config><nc:source><nc:running/></nc:source></nc:get-config>"
    first = ansible.ask(read)
    assert role.encode() in first
    assert all(ansible.ask(read) == first for _ in range(3))


def test_secrets_are_stable_in_get_config(ansible: Ansible) -> None:
    """A secret given once more in clear text keeps its ciphertext, so nothing counts as changed."""
    content = (
        f'<nc:config><energy-management xmlns="{EMAN}"><backends xmlns="{NS["embe"]}"><backend><name>ansible</name>'
        '<enabled>false</enabled><snmp xmlns="urn:eman:yang:eman-backend-snmp"><address>127.0.0.1</address>'
        "<v2c><community>$0$open sesame</community></v2c></snmp></backend></backends></energy-management></nc:config>"
    )
    assert ansible.run(content)
    assert not ansible.run(content)
    read = ansible.ask("<nc:get-config><nc:source><nc:running/></nc:source></nc:get-config>")
    assert b"open sesame" not in read
    delete = f'<backend xmlns:nc="{BASE}" nc:operation="delete"><name>ansible</name></backend>'
    assert ansible.run(re.sub("<backend>.*</backend>", delete, content))


def test_a_config_without_namespace_is_taken(ansible: Ansible) -> None:
    """<config> in no namespace, as the examples of Ansible's module have it, is the parameter; what is in it is not."""
    before = ansible.ask("<nc:get-config><nc:source><nc:running/></nc:source></nc:get-config>")
    edit = "<nc:edit-config><nc:target><nc:candidate/></nc:target>{}</nc:edit-config>"
    reply = etree.fromstring(ansible.ask(edit.format("<config><entities/></config>")))
    assert {node.text for node in reply.iter(f"{{{BASE}}}bad-element")} == {"entities"}
    role = entities("<entity><id>srv-05</id><role>x</role></entity>")
    assert b"<ok/>" in ansible.ask(edit.format(f"<config>{role}</config>"))
    assert b"<ok/>" in ansible.ask("<nc:discard-changes/>")
    assert ansible.ask("<nc:get-config><nc:source><nc:running/></nc:source></nc:get-config>") == before

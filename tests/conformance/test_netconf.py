"""The operations and capabilities of NETCONF, one by one, asked of a running server over SSH."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import EMAN, NS, ServerProcess, act, edit, entity, found, one, switch, texts, until
from tests.conformance.site import leaves, read
from tests.conformance.talking import BASE, BASE_1_0, BASE_1_1, MONITORING, Asyncssh

LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
CAPABILITY = "urn:ietf:params:netconf:capability:"
SESSIONS = {"m": MONITORING}


@pytest.fixture
def wire(demo: ServerProcess) -> Iterator[Asyncssh]:
    """A session whose messages are written by hand."""
    session = Asyncssh(demo)
    yield session
    session.close()


def note(id_: str, text: str | None, operation: str = "") -> str:
    """An entity whose role is written, with the edit operation on it."""
    attribute = f' xmlns:nc="{BASE}" nc:operation="{operation}"' if operation else ""
    return f"<entity{attribute}><id>{id_}</id>{'' if text is None else f'<role>{text}</role>'}</entity>"


def filtered(inner: str) -> tuple[str, str]:
    return "subtree", f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def tag_of(reply: etree._Element) -> list[str | None]:
    return [node.text for node in reply.iter(f"{{{BASE}}}error-tag")]


@pytest.mark.req("rfc6241-3.1", "rfc6241-3.2")
@pytest.mark.req("rfc6241-3")
def test_documents_that_are_no_netconf(wire: Asyncssh) -> None:
    """A document type is refused and no entity expanded; another root than rpc, too; the session goes on."""
    wire.tell(f'<!DOCTYPE rpc [<!ENTITY a "b">]><rpc xmlns="{BASE}" message-id="1"><get>&a;</get></rpc>')
    assert tag_of(etree.fromstring(wire.hear())) == ["malformed-message"]
    wire.tell('<rpc message-id="2"><get/></rpc>')
    assert tag_of(etree.fromstring(wire.hear())) != []
    assert wire.get_config().find(f"{{{BASE}}}data") is not None


@pytest.mark.req("rfc6241-4.1", "rfc6241-4.2", "rfc6241-4.5")
def test_requests_and_their_replies(wire: Asyncssh) -> None:
    """Attributes of rpc come back; without message-id it is refused; pipelined requests are answered in order."""
    wire.tell(f'<rpc xmlns="{BASE}" xmlns:x="urn:x" message-id="&lt;1&gt;" x:mark="a b"><unlock/></rpc>')
    reply = etree.fromstring(wire.hear())
    assert (reply.get("message-id"), reply.get("{urn:x}mark")) == ("<1>", "a b")
    assert tag_of(reply) == ["missing-element"]
    wire.tell(f'<rpc xmlns="{BASE}"><get/></rpc>')
    assert tag_of(etree.fromstring(wire.hear())) == ["missing-attribute"]
    for number in range(20):
        wire.tell(
            f'<rpc xmlns="{BASE}" message-id="{number}"><get-config><source><running/></source></get-config></rpc>'
        )
    assert [etree.fromstring(wire.hear()).get("message-id") for _ in range(20)] == [str(number) for number in range(20)]


@pytest.mark.req("rfc6241-6.2.1", "rfc6241-6.2.5", "rfc6241-6.3")
def test_subtree_filters(client: manager.Manager, wire: Asyncssh) -> None:
    """Selection, content match, several at once, and a namespace wildcard; an empty filter selects nothing."""

    def told(inner: str) -> list[str | None]:
        data = client.get_config("running", filter=filtered(inner)).data_ele
        return [node.text for node in data.iter(f"{{{EMAN}}}id")]

    assert told("<entity><id>pdu-a</id></entity>") == ["pdu-a"]
    assert told("<entity><id>pdu-a</id></entity><entity><id>pdu-b</id></entity>") == ["pdu-a", "pdu-b"]
    assert told("<entity><role>telephony</role><id/></entity>") == [f"phone-{number:02}" for number in range(1, 7)]
    assert told("<entity><id>nobody</id></entity>") == []
    any_namespace = client.get_config("running", filter=("subtree", '<energy-management xmlns=""/>')).data_ele
    assert any_namespace.find(f"{{{EMAN}}}energy-management") is not None
    empty = wire.rpc("<get-config><source><running/></source><filter/></get-config>")
    assert len(empty.find(f"{{{BASE}}}data")) == 0


@pytest.mark.req("rfc6241-5.1")
@pytest.mark.req("rfc6241-7.1")
@pytest.mark.req("rfc6241-7.7")
def test_configuration_and_state(client: manager.Manager) -> None:
    """get-config tells configuration alone, get the same and the state beside it; another source is refused."""
    running = client.get_config("running", filter=filtered("<entity><id>srv-01</id></entity>")).data_ele
    everything = client.get(filter=filtered("<entity><id>srv-01</id></entity>")).data_ele
    names = {etree.QName(node).localname for node in running.iter()}
    assert names < {etree.QName(node).localname for node in everything.iter()}
    assert "uuid" not in names
    with pytest.raises(RPCError) as refused:
        client.get_config("startup")
    assert refused.value.tag in {"unknown-element", "operation-not-supported", "invalid-value"}


@pytest.mark.req("rfc6241-7.2")
@pytest.mark.req("rfc6241-8.2")
def test_edit_operations(client: manager.Manager) -> None:
    """create, merge, replace, delete and remove do what they say, and refuse what they must."""
    target = "edited-1"

    def told() -> dict[str, str] | None:
        elements = found(client, entity(target))
        return leaves(elements[0]) if elements else None

    edit(client, note(target, "one", "create"))
    with pytest.raises(RPCError) as refused:
        edit(client, note(target, "two", "create"))
    assert refused.value.tag == "data-exists"
    edit(client, f"<entity><id>{target}</id><name>kept</name></entity>")
    assert (told() or {})["role"] == "one"
    edit(client, note(target, "three", "replace"))
    assert "name" not in (told() or {})
    edit(client, note(target, None, "delete"))
    assert told() is None
    edit(client, note(target, None, "remove"))
    with pytest.raises(RPCError) as refused:
        edit(client, note(target, None, "delete"))
    assert refused.value.tag == "data-missing"
    with pytest.raises(RPCError) as refused:
        client.edit_config(
            target="running",
            default_operation="none",
            config=f'<config xmlns="{BASE}">{filtered(note(target, "four"))[1]}</config>',
        )
    assert refused.value.tag == "data-missing"
    assert told() is None


@pytest.mark.req("rfc6241-8.5.5.1")
@pytest.mark.req("rfc6241-8.5")
def test_an_edit_is_done_whole_or_not_at_all(client: manager.Manager) -> None:
    """With rollback-on-error one fault leaves running as it was, whatever else the edit asked for."""
    before = client.get_config("running").data_xml
    both = note("edited-2", "x") + "<entity><id>srv-01</id><importance>0</importance></entity>"
    with pytest.raises(RPCError):
        client.edit_config(
            target="running",
            error_option="rollback-on-error",
            config=f'<config xmlns="{BASE}">{filtered(both)[1]}</config>',
        )
    assert client.get_config("running").data_xml == before


@pytest.mark.req("rfc6241-8.6.4.1", "rfc6241-8.6.5.1")
@pytest.mark.req("rfc6241-8.6")
def test_validation(client: manager.Manager) -> None:
    """validate judges running and what a request holds; test-only changes nothing."""
    assert client.validate("running").ok
    wrong = f'<config xmlns="{BASE}">{filtered("<entity><id>a/b</id></entity>")[1]}</config>'
    with pytest.raises(RPCError) as refused:
        client.validate(etree.fromstring(wrong))
    assert refused.value.tag == "invalid-value"
    client.edit_config(
        target="running",
        test_option="test-only",
        config=f'<config xmlns="{BASE}">{filtered(note("edited-3", "x"))[1]}</config>',
    )
    assert found(client, entity("edited-3")) == []


@pytest.mark.req("rfc6241-7.3")
def test_copying_a_whole_configuration(client: manager.Manager, wire: Asyncssh) -> None:
    """What get-config told, copied back, changes nothing; with an entity left out, that is gone."""
    edit(client, note("copied-1", "x"))
    whole = wire.get_config().find(f"{{{BASE}}}data")

    def copy() -> etree._Element:
        content = b"".join(etree.tostring(child) for child in whole).decode()
        return wire.rpc(
            f"<copy-config><target><running/></target><source><config>{content}</config></source></copy-config>"
        )

    before = client.get_config("running").data_xml
    assert copy().find(f"{{{BASE}}}ok") is not None
    assert client.get_config("running").data_xml == before
    (copied,) = whole.xpath("//eman:entity[eman:id='copied-1']", namespaces=NS)
    copied.getparent().remove(copied)
    assert copy().find(f"{{{BASE}}}ok") is not None
    assert found(client, entity("copied-1")) == []


@pytest.mark.req("rfc6241-7.4")
def test_running_is_never_deleted(client: manager.Manager) -> None:
    """delete-config of running is refused."""
    with pytest.raises(RPCError):
        client.delete_config("running")
    assert texts(client, entity("srv-01", "/eman:id")) == ["srv-01"]


@pytest.mark.req("rfc6241-7.5")
@pytest.mark.req("rfc6241-7.6")
@pytest.mark.req("rfc6022-2.1.2")
def test_locks(demo: ServerProcess, client: manager.Manager) -> None:
    """A lock keeps others from writing, is shown with its session, and is given up by its session alone."""
    lock = "/m:netconf-state/m:datastores/m:datastore/m:locks/m:global-lock/m:locked-by-session"
    with client.locked("running"), demo.connect() as other:
        data = other.get(filter=("xpath", (SESSIONS, lock))).data_ele
        assert [node.text for node in data.iter(f"{{{MONITORING}}}locked-by-session")] == [client.session_id]
        with pytest.raises(RPCError) as refused:
            other.unlock("running")
        assert refused.value.tag == "operation-failed"
        with pytest.raises(RPCError) as refused:
            edit(other, note("srv-01", "x"))
        assert refused.value.tag == "in-use"
    with pytest.raises(RPCError):
        client.unlock("running")


@pytest.mark.req("rfc6241-7.8")
def test_closing(demo: ServerProcess, client: manager.Manager) -> None:
    """close-session is answered, then the session is gone from the server's list."""
    other = demo.connect()
    number = other.session_id
    assert number in sessions(client)
    assert other.close_session().ok
    until(lambda: number not in sessions(client), "the session is gone")


def sessions(session: manager.Manager) -> list[str | None]:
    path = "/m:netconf-state/m:sessions/m:session/m:session-id"
    data = session.get(filter=("xpath", (SESSIONS, path))).data_ele
    return [node.text for node in data.iter(f"{{{MONITORING}}}session-id")]


@pytest.mark.req("rfc6241-7.9")
def test_killing(demo: ServerProcess, client: manager.Manager) -> None:
    """kill-session ends another session and frees its lock; its own it refuses."""
    other = demo.connect()
    other.lock("running")
    client.kill_session(other.session_id)
    until(lambda: not other.connected, "the other session has ended")
    with client.locked("running"):
        pass
    with pytest.raises(RPCError) as refused:
        client.kill_session(client.session_id)
    assert refused.value.tag == "invalid-value"


@pytest.mark.req("rfc6241-8.1")
def test_capabilities(client: manager.Manager) -> None:
    """The hello tells both framings and what can be done; what cannot is not told."""
    offered = {uri.partition("?")[0] for uri in client.server_capabilities}
    assert {BASE_1_0, BASE_1_1} <= offered
    for name in (
        "writable-running:1.0",
        "candidate:1.0",
        "confirmed-commit:1.1",
        "rollback-on-error:1.0",
        "validate:1.1",
        "xpath:1.0",
        "yang-library:1.1",
    ):
        assert f"{CAPABILITY}{name}" in offered
    for name in ("startup:1.0", "url:1.0"):
        assert f"{CAPABILITY}{name}" not in offered


@pytest.mark.req("rfc6241-8.9.5.1")
@pytest.mark.req("rfc6241-8.9")
def test_xpath_filters(client: manager.Manager) -> None:
    """Predicates, unions and functions of XPath select; what cannot be understood is refused with its place."""
    read(client, "srv-02")
    distributors = "/eman:energy-management/eman:entities/eman:entity[eman:category='distributor']/eman:id"
    assert {"pdu-a", "sw-1", "feed-a"} <= set(texts(client, distributors))
    strips = "//eman:entity[starts-with(eman:id, 'pdu-') and count(empi:power-interface) > 16]/eman:id"
    data = client.get(filter=("xpath", (NS, strips))).data_ele
    assert [node.text for node in data.iter(f"{{{EMAN}}}id")] == ["pdu-a", "pdu-b"]
    with pytest.raises(RPCError) as refused:
        client.get(filter=("xpath", (NS, "/eman:energy-management[")))
    assert refused.value.tag in {"invalid-value", "bad-attribute"}


@pytest.mark.req("rfc6242-4.1", "rfc6242-5")
@pytest.mark.req("rfc6242-4.2")
@pytest.mark.req("rfc6242-4.3")
@pytest.mark.parametrize("versions", [(BASE_1_0,), (BASE_1_0, BASE_1_1)], ids=["1.0", "1.1"])
def test_framing(demo: ServerProcess, versions: tuple[str, ...]) -> None:
    """After hellos, whole messages go to and fro in the framing of the highest version that both have."""
    session = Asyncssh(demo, versions)
    for _ in range(3):
        assert session.get_config().find(f"{{{BASE}}}data") is not None
    reply = session.rpc("<close-session/>")
    assert reply.find(f"{{{BASE}}}ok") is not None
    session.close()


@pytest.mark.req("rfc6022-2.1.1")
@pytest.mark.req("rfc6022-2.1.4")
@pytest.mark.req("rfc6022-2.1.5")
def test_the_state_of_the_server(client: manager.Manager) -> None:
    """netconf-state tells the capabilities of the hello, this session with its user and transport, and counts."""
    state = client.get(filter=("subtree", f'<netconf-state xmlns="{MONITORING}"/>')).data_ele
    told = {node.text for node in state.iter(f"{{{MONITORING}}}capability")}
    assert told == set(client.server_capabilities)
    (mine,) = (
        each for each in state.iter(f"{{{MONITORING}}}session") if leaves(each)["session-id"] == client.session_id
    )
    assert (leaves(mine)["username"], leaves(mine)["source-host"]) == ("admin", "127.0.0.1")
    assert leaves(mine)["transport"].endswith("netconf-ssh")
    assert int(leaves(mine)["in-rpcs"]) >= 1
    statistics = leaves(state.find(f".//{{{MONITORING}}}statistics"))
    assert int(statistics["in-sessions"]) >= 1
    assert "netconf-start-time" in statistics


@pytest.mark.req("rfc6022-2.1.3")
@pytest.mark.req("rfc6022-3.1")
@pytest.mark.req("rfc8525-3")
def test_schemas_and_library_agree(client: manager.Manager) -> None:
    """get-schema gives a text for every module of the YANG library, with the revision that it names."""
    library = client.get(filter=("subtree", f'<yang-library xmlns="{LIBRARY}"/>')).data_ele
    content = library.findtext(f".//{{{LIBRARY}}}content-id")
    assert any(f"content-id={content}" in uri for uri in client.server_capabilities)
    modules = [*library.iter(f"{{{LIBRARY}}}module"), *library.iter(f"{{{LIBRARY}}}import-only-module")]
    assert len(modules) > 15
    for module in modules:
        said = leaves(module)
        text = client.get_schema(said["name"], version=said["revision"]).data
        assert f"module {said['name']}" in text
        assert said["revision"] in text
    with pytest.raises(RPCError) as refused:
        client.get_schema("eman-entity", version="1999-01-01")
    assert refused.value.tag == "invalid-value"


@pytest.mark.req("rfc8525-3", "rfc8639-2.9")
def test_features_of_subscriptions(client: manager.Manager) -> None:
    """The YANG library tells which parts of subscriptions there are; what needs configuration or QoS is not."""
    library = client.get(filter=("subtree", f'<yang-library xmlns="{LIBRARY}"/>')).data_ele
    features = {
        module.findtext(f"{{{LIBRARY}}}name"): {node.text for node in module.iter(f"{{{LIBRARY}}}feature")}
        for module in library.iter(f"{{{LIBRARY}}}module")
    }
    assert features["ietf-subscribed-notifications"] == {"encode-xml", "replay", "subtree", "xpath"}
    assert features["ietf-yang-push"] == {"on-change"}


@pytest.mark.req("rfc7950-7.15")
def test_actions(summer_client: manager.Manager) -> None:
    """An action of a list entry is called; missing parameters, unknown entries and unknown actions are refused."""
    client = summer_client
    supply = entity("pdu-b", "/empi:power-interface[empi:name='outlet-14']/empi:supply/empi:oper-state")
    until(lambda: one(client, supply) == "on", "the outlet is on")
    assert switch(client, "pdu-b", "outlet-14", "on").findtext("{*}request-id") is not None
    for interface, body, tag in (
        ("outlet-14", "<switch-supply/>", "missing-element"),
        ("outlet-14", "<switch-supply><state>dim</state></switch-supply>", "invalid-value"),
        ("outlet-14", "<explode/>", "unknown-element"),
        ("outlet-99", "<switch-supply><state>on</state></switch-supply>", "data-missing"),
    ):
        with pytest.raises(RPCError) as refused:
            act(client, "pdu-b", body, interface)
        assert refused.value.tag == tag, body

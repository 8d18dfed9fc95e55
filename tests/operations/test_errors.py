"""Every error-tag of RFC 6241 appendix A but the obsolete partial-operation: one test each, over a session."""

from __future__ import annotations

import pytest

from eman_netconf.errors import ErrorTag, ErrorType, RpcError
from tests.operations.bench import NAMESPACES, Bench, edit, error, named
from tests.operations.test_base import TOY, items, lock

SHELF = f"<shelf {TOY}>{{}}</shelf>"
ITEM = "/toy:shelf/toy:item[toy:id='a']"


async def ask(site: Bench, request: str, user: str = "admin") -> RpcError:
    """The one error of a request, which must say in a sentence what to do."""
    found = error(await (await site.peer(user)).rpc(request))
    assert len(found.message.split()) > 3
    return found


async def test_in_use(site: Bench) -> None:
    """Writing what another session has locked."""
    owner = await site.peer()
    await owner.rpc(lock("lock"))
    found = await ask(site, edit(items("a")))
    assert (found.tag, found.type) == (ErrorTag.IN_USE, ErrorType.PROTOCOL)
    assert f"session {owner.session_id}" in found.message


async def test_invalid_value(site: Bench) -> None:
    """A value its type does not allow."""
    found = await ask(site, edit(SHELF.format("<item><id>a</id><value>70000</value></item>")))
    assert (found.tag, str(found.path)) == (ErrorTag.INVALID_VALUE, f"{ITEM}/toy:value")
    assert "65535" in found.message


async def test_too_big(site: Bench) -> None:
    """A message beyond the limits; the session goes on."""
    peer = await site.peer()
    peer.ask(edit(f"<motto {TOY}>{'=' * 250_001}</motto>"))
    found = error(await peer.reply())
    assert (found.tag, found.type) == (ErrorTag.TOO_BIG, ErrorType.RPC)
    assert (await peer.rpc(edit(items("a")))).ok


@pytest.mark.parametrize("content", ["<b/>" * 1_001, "<source>" + "<b/>" * 1_001 + "</source>"])
async def test_too_many_parameters(site: Bench, content: str) -> None:
    """An rpc with thousands of elements that are no parameters of it is refused at once."""
    found = await ask(site, f"<get-config {NAMESPACES}>{content}</get-config>")
    assert (found.tag, found.type) == (ErrorTag.TOO_BIG, ErrorType.PROTOCOL)


async def test_too_many_attributes(site: Bench) -> None:
    """Of thousands of wrong attributes a hundred are told."""
    attributes = " ".join(f"a{number}='1'" for number in range(3_000))
    reply = await (await site.peer()).rpc(f"<get {NAMESPACES} {attributes}/>")
    assert len(reply.errors) == 100


async def test_missing_attribute(site: Bench) -> None:
    """An insert that does not say beside which entry."""
    found = await ask(
        site, edit(f"<box {TOY} xmlns:y='urn:ietf:params:xml:ns:yang:1'><step y:insert='after'>x</step></box>")
    )
    assert (found.tag, str(found.path)) == (ErrorTag.MISSING_ATTRIBUTE, "/toy:box/toy:step")
    assert named(found) == {"bad-attribute": "value", "bad-element": "step"}


async def test_bad_attribute(site: Bench) -> None:
    """An operation nobody knows."""
    found = await ask(site, edit(f"<shelf {TOY} nc:operation='upsert'/>"))
    assert (found.tag, str(found.path)) == (ErrorTag.BAD_ATTRIBUTE, "/toy:shelf")
    assert named(found) == {"bad-attribute": "operation", "bad-element": "shelf"}
    assert "merge, replace, create, delete or remove" in found.message


async def test_unknown_attribute(site: Bench) -> None:
    """An attribute nobody knows."""
    found = await ask(site, edit(f"<shelf {TOY} nc:op='delete'/>"))
    assert (found.tag, str(found.path)) == (ErrorTag.UNKNOWN_ATTRIBUTE, "/toy:shelf")
    assert named(found) == {"bad-attribute": "op", "bad-element": "shelf"}


async def test_missing_element(site: Bench) -> None:
    """An entry without its key."""
    found = await ask(site, edit(SHELF.format("<item><value>1</value></item>")))
    assert (found.tag, str(found.path)) == (ErrorTag.MISSING_ELEMENT, "/toy:shelf/toy:item")
    assert named(found) == {"bad-element": "id"}


async def test_bad_element(site: Bench) -> None:
    """Two cases of one choice."""
    found = await ask(site, edit(f"<box {TOY}><sand>1</sand><water>1</water></box>"))
    assert (found.tag, str(found.path)) == (ErrorTag.BAD_ELEMENT, "/toy:box/toy:water")
    assert named(found) == {"bad-element": "water"}


async def test_unknown_element(site: Bench) -> None:
    """An element that is in no module."""
    found = await ask(site, edit(SHELF.format("<itme/>")))
    assert (found.tag, str(found.path)) == (ErrorTag.UNKNOWN_ELEMENT, "/toy:shelf")
    assert named(found) == {"bad-element": "itme"}


async def test_unknown_namespace(site: Bench) -> None:
    """An element of a module this server does not have."""
    found = await ask(site, edit("<interfaces xmlns='urn:other'/>"))
    assert found.tag == ErrorTag.UNKNOWN_NAMESPACE
    assert named(found) == {"bad-element": "interfaces", "bad-namespace": "urn:other"}


async def test_access_denied(site: Bench) -> None:
    """Writing without the right to."""
    found = await ask(site, edit(items("a")), user="somebody")
    assert (found.tag, found.type) == (ErrorTag.ACCESS_DENIED, ErrorType.APPLICATION)


async def test_lock_denied(site: Bench) -> None:
    """Locking what is locked; the error names the session that has the lock."""
    owner = await site.peer()
    await owner.rpc(lock("lock"))
    found = await ask(site, lock("lock"))
    assert (found.tag, found.type) == (ErrorTag.LOCK_DENIED, ErrorType.PROTOCOL)
    assert named(found) == {"session-id": str(owner.session_id)}


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_resource_denied(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change the disk has no room for."""
    monkeypatch.setattr("eman_netconf.datastore.storage._write", full)
    found = await ask(site, edit(items("a")))
    assert (found.tag, found.type) == (ErrorTag.RESOURCE_DENIED, ErrorType.APPLICATION)
    assert "No space left" in found.message


async def test_rollback_failed(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that could not be stored and whose traces could not be removed."""
    monkeypatch.setattr("os.fsync", full)
    found = await ask(site, edit(items("a")))
    assert (found.tag, found.type) == (ErrorTag.ROLLBACK_FAILED, ErrorType.APPLICATION)
    assert site.datastores.generation == 0


async def test_data_exists(site: Bench) -> None:
    """Creating what is there."""
    await (await site.peer()).rpc(edit(items("a")))
    found = await ask(site, edit(SHELF.format("<item nc:operation='create'><id>a</id></item>")))
    assert (found.tag, str(found.path)) == (ErrorTag.DATA_EXISTS, ITEM)


async def test_data_missing(site: Bench) -> None:
    """Deleting what is not there."""
    found = await ask(site, edit(SHELF.format("<item nc:operation='delete'><id>a</id></item>")))
    assert (found.tag, str(found.path)) == (ErrorTag.DATA_MISSING, ITEM)


async def test_data_missing_for_a_reference(site: Bench) -> None:
    """Referring to what is not there (RFC 7950 section 15.5)."""
    found = await ask(site, edit(SHELF.format("<item><id>a</id><refers>b</refers></item>")))
    assert (found.tag, found.app_tag) == (ErrorTag.DATA_MISSING, "instance-required")
    assert str(found.path) == f"{ITEM}/toy:refers"


async def test_operation_not_supported(site: Bench) -> None:
    """Asking for an operation of a capability that was not announced."""
    found = await ask(site, f"<delete-config {NAMESPACES}><target><startup/></target></delete-config>")
    assert (found.tag, found.type) == (ErrorTag.OPERATION_NOT_SUPPORTED, ErrorType.PROTOCOL)


async def test_operation_failed(site: Bench) -> None:
    """A configuration that breaks a rule of its model: the rule's own message and app-tag (RFC 7950 section 15.4)."""
    found = await ask(site, edit(SHELF.format("<limit>0</limit><item><id>a</id></item>")))
    assert (found.tag, found.app_tag) == (ErrorTag.OPERATION_FAILED, "over-limit")
    assert (found.message, str(found.path)) == (
        "There are more items than the limit allows.",
        "/toy:shelf/toy:limit",
    )


async def test_malformed_message(site: Bench) -> None:
    """A message that is no XML; the session goes on."""
    peer = await site.peer()
    peer.ask("<get")
    found = error(await peer.reply())
    assert (found.tag, found.type) == (ErrorTag.MALFORMED_MESSAGE, ErrorType.RPC)
    assert (await peer.rpc(edit(items("a")))).ok


async def test_all_errors_are_told_at_once(site: Bench) -> None:
    """Every fault of a request is in the reply, in document order, each with its path."""
    request = edit(
        SHELF.format("<item><id>a</id><value>x</value></item><item/><itme/>")
        + f"<box {TOY}><size>200</size><height>1</height></box>"
    )
    reply = await (await site.peer()).rpc(request)
    assert [(found.tag, str(found.path)) for found in reply.errors] == [
        (ErrorTag.INVALID_VALUE, f"{ITEM}/toy:value"),
        (ErrorTag.MISSING_ELEMENT, "/toy:shelf/toy:item"),
        (ErrorTag.UNKNOWN_ELEMENT, "/toy:shelf"),
        (ErrorTag.INVALID_VALUE, "/toy:box/toy:size"),
        (ErrorTag.UNKNOWN_ELEMENT, "/toy:box/toy:height"),
    ]

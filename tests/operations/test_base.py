"""The operations of RFC 6241 section 7, asked over a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from eman_netconf.errors import ErrorTag, RpcErrors
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.operations.bench import NAMESPACES, Bench, bench, body, edit, error, named
from tests.peer import Peer

TOY = 'xmlns="urn:toy" xmlns:toy="urn:toy"'
GET_CONFIG = f"<get-config {NAMESPACES}><source><running/></source></get-config>"
COPY = f"<copy-config {NAMESPACES}><target><running/></target><source>{{}}</source></copy-config>"
VALIDATE = f"<validate {NAMESPACES}><source>{{}}</source></validate>"


def items(*names: str) -> str:
    return f"<shelf {TOY}>{''.join(f'<item><id>{name}</id></item>' for name in names)}</shelf>"


async def running(peer: Peer) -> str:
    return body(await peer.rpc(GET_CONFIG))


async def test_edit_and_read(site: Bench) -> None:
    """What is edited is read back, in the order of the schema, whoever reads."""
    peer = await site.peer()
    assert (await peer.rpc(edit(f"<motto {TOY}>m</motto>{items('b', 'a')}"))).ok
    expected = "<shelf><item><id>b</id></item><item><id>a</id></item></shelf><motto>m</motto>"
    assert await running(peer) == expected
    assert await running(await site.peer("somebody")) == expected


async def test_commits_are_on_the_disk(tmp_path: Path, toy: Schema) -> None:
    """When the reply is there the change is on the disk: another start has it."""
    async with bench(tmp_path, toy) as first:
        assert (await (await first.peer()).rpc(edit(items("a")))).ok
        before = await running(await first.peer())
        first.storage.close()
        async with bench(tmp_path, toy) as second:
            assert await running(await second.peer()) == before
            assert second.datastores.generation == 1


async def test_reply_to_get_config_is_stable(site: Bench) -> None:
    """The same configuration gives the same bytes, also after it was written again."""
    peer = await site.peer()
    await peer.rpc(edit(items("b", "a")))
    first = site.datastores.running.xml()
    for request in (edit(items("a", "b")), COPY.format(f"<config>{items('a', 'b')}</config>")):
        assert (await peer.rpc(request)).ok
    assert site.datastores.running.xml() == first
    assert site.datastores.generation == 1


async def test_filters(site: Bench) -> None:
    """Both types of filter are understood; without type it is a subtree."""
    peer = await site.peer()
    await peer.rpc(edit(items("a", "b")))
    subtree = f"<filter>{items('b')}</filter>"
    xpath = "<filter type='xpath' xmlns:t='urn:toy' select=\"/t:shelf/t:item[t:id='b']\"/>"
    for asked in (subtree, subtree.replace("<filter>", "<filter type='subtree'>"), xpath):
        for operation in (f"<get {NAMESPACES}>{asked}</get>", GET_CONFIG.replace("</source>", f"</source>{asked}")):
            assert body(await peer.rpc(operation)) == "<shelf><item><id>b</id></item></shelf>"
    assert body(await peer.rpc(f"<get {NAMESPACES}><filter/></get>")) == ""


async def test_test_only(site: Bench) -> None:
    """test-only tells what is wrong and changes nothing."""
    peer = await site.peer()
    assert (await peer.rpc(edit(items("a"), test_option="test-only"))).ok
    bad = edit(f"<shelf {TOY}><limit>0</limit><item><id>a</id></item></shelf>", test_option="test-only")
    found = error(await peer.rpc(bad))
    assert (found.tag, found.app_tag) == (ErrorTag.OPERATION_FAILED, "over-limit")
    assert site.datastores.generation == 0


@pytest.mark.parametrize("option", ["test-then-set", "set"])
async def test_running_is_always_valid(site: Bench, option: str) -> None:
    """No test-option lets an invalid configuration into running."""
    peer = await site.peer()
    bad = edit(f"<shelf {TOY}><limit>0</limit><item><id>a</id></item></shelf>", test_option=option)
    assert error(await peer.rpc(bad)).app_tag == "over-limit"
    assert await running(peer) == ""


HALF_GOOD = f"<shelf {TOY}><item><id>a</id><value>x</value></item><item><id>b</id></item></shelf><motto {TOY}>m</motto>"


@pytest.mark.parametrize("option", ["stop-on-error", "rollback-on-error"])
async def test_any_error_leaves_running_as_it_was(site: Bench, option: str) -> None:
    """With stop-on-error and rollback-on-error an edit is done whole or not at all."""
    peer = await site.peer()
    assert error(await peer.rpc(edit(HALF_GOOD, error_option=option))).tag == ErrorTag.INVALID_VALUE
    assert await running(peer) == ""


async def test_continue_on_error(site: Bench) -> None:
    """With continue-on-error the good parts are done and the faults told."""
    peer = await site.peer()
    assert error(await peer.rpc(edit(HALF_GOOD, error_option="continue-on-error"))).tag == ErrorTag.INVALID_VALUE
    assert await running(peer) == ("<shelf><item><id>a</id></item><item><id>b</id></item></shelf><motto>m</motto>")


async def test_continue_on_error_stays_valid(site: Bench) -> None:
    """With continue-on-error parts that are not valid together are not done; every fault is told."""
    peer = await site.peer()
    bad = f"<motto {TOY}><x/></motto><shelf {TOY}><limit>0</limit><item><id>a</id></item></shelf>"
    reply = await peer.rpc(edit(bad, error_option="continue-on-error"))
    assert [found.tag for found in reply.errors] == [ErrorTag.BAD_ELEMENT, ErrorTag.OPERATION_FAILED]
    assert await running(peer) == ""


async def test_default_operation(site: Bench) -> None:
    """default-operation none and replace are followed."""
    peer = await site.peer()
    await peer.rpc(edit(items("a", "b")))
    deleted = f"<shelf {TOY}><item nc:operation='delete'><id>a</id></item></shelf>"
    assert (await peer.rpc(edit(deleted, default_operation="none"))).ok
    assert await running(peer) == "<shelf><item><id>b</id></item></shelf>"
    assert (await peer.rpc(edit(f"<motto {TOY}>m</motto>", default_operation="replace"))).ok
    assert await running(peer) == "<motto>m</motto>"


async def test_node_goes_with_its_condition(site: Bench) -> None:
    """What stands under a when goes when the when is no longer true (RFC 7950 section 8.2)."""
    peer = await site.peer()
    both = f"<shelf {TOY}><limit>1</limit><only-with-limit>x</only-with-limit></shelf><motto {TOY}>m</motto>"
    assert (await peer.rpc(edit(both))).ok
    assert (await peer.rpc(edit(f"<shelf {TOY}><limit nc:operation='delete'/></shelf>"))).ok
    assert await running(peer) == "<motto>m</motto>"
    assert site.datastores.running.at("shelf") is None


async def test_copy_config(site: Bench) -> None:
    """copy-config makes the given configuration the whole of running."""
    peer = await site.peer()
    await peer.rpc(edit(items("a") + f"<motto {TOY}>m</motto>"))
    assert (await peer.rpc(COPY.format(f"<config>{items('b')}</config>"))).ok
    assert await running(peer) == "<shelf><item><id>b</id></item></shelf>"
    assert (await peer.rpc(COPY.format("<config/>"))).ok
    assert await running(peer) == ""


async def test_copy_of_running_to_itself(site: Bench) -> None:
    """Copying running to running is refused (RFC 6241 section 7.3)."""
    assert error(await (await site.peer()).rpc(COPY.format("<running/>"))).tag == ErrorTag.INVALID_VALUE


async def test_copy_takes_no_operations(site: Bench) -> None:
    """A whole configuration holds no edit operations."""
    config = f"<config><shelf {TOY} nc:operation='delete'/></config>"
    assert error(await (await site.peer()).rpc(COPY.format(config))).tag == ErrorTag.UNKNOWN_ATTRIBUTE


async def test_validate(site: Bench) -> None:
    """validate judges running or a configuration that comes along, and changes nothing."""
    peer = await site.peer("somebody")
    assert (await peer.rpc(VALIDATE.format("<running/>"))).ok
    assert (await peer.rpc(VALIDATE.format(f"<config>{items('a')}</config>"))).ok
    bad = f"<config><shelf {TOY}><limit>0</limit><item><id>a</id></item></shelf></config>"
    assert error(await peer.rpc(VALIDATE.format(bad))).app_tag == "over-limit"
    assert await running(peer) == ""


def lock(operation: str) -> str:
    return f"<{operation} {NAMESPACES}><target><running/></target></{operation}>"


def kill(number: int) -> str:
    return f"<kill-session {NAMESPACES}><session-id>{number}</session-id></kill-session>"


async def test_lock(site: Bench) -> None:
    """A lock keeps all others from writing and locking until it is given back."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(lock("lock"))).ok
    denied = error(await other.rpc(lock("lock")))
    assert (denied.tag, named(denied)["session-id"]) == (ErrorTag.LOCK_DENIED, str(owner.session_id))
    again = error(await owner.rpc(lock("lock")))
    assert (again.tag, named(again)["session-id"]) == (ErrorTag.LOCK_DENIED, str(owner.session_id))
    assert "by this session already" in again.message
    assert error(await other.rpc(edit(items("a")))).tag == ErrorTag.IN_USE
    assert error(await other.rpc(COPY.format("<config/>"))).tag == ErrorTag.IN_USE
    assert error(await other.rpc(lock("unlock"))).tag == ErrorTag.OPERATION_FAILED
    assert await running(other) == ""
    assert (await owner.rpc(edit(items("a")))).ok
    assert (await owner.rpc(lock("unlock"))).ok
    assert error(await owner.rpc(lock("unlock"))).tag == ErrorTag.OPERATION_FAILED
    assert (await other.rpc(edit(items("b")))).ok


async def test_lock_dies_with_its_session(site: Bench) -> None:
    """The lock of a session that closes, or is killed, is free at once."""
    other = await site.peer()
    owner = await site.peer()
    assert (await owner.rpc(lock("lock"))).ok
    assert (await owner.rpc(f"<close-session {NAMESPACES}/>")).ok
    await owner.closed()
    assert (await other.rpc(lock("lock"))).ok
    third = await site.peer()
    assert (
        await third.rpc(f"<kill-session {NAMESPACES}><session-id>{other.session_id}</session-id></kill-session>")
    ).ok
    assert (await third.rpc(lock("lock"))).ok


async def test_kill_session(site: Bench) -> None:
    """Neither one's own session nor one that is not there can be killed."""
    peer = await site.peer()
    for number in (peer.session_id, 4_000_000):
        assert error(await peer.rpc(kill(number))).tag == ErrorTag.INVALID_VALUE


async def test_without_a_rule_nobody_else_writes(site: Bench) -> None:
    """Whoever no rule permits more reads and validates, and neither writes nor ends sessions."""
    peer = await site.peer("somebody")
    for request in (edit(items("a")), COPY.format(f"<config>{items('a')}</config>"), kill(1)):
        assert error(await peer.rpc(request)).tag == ErrorTag.ACCESS_DENIED
    assert await running(peer) == ""
    nacm = "<nacm xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-acm'><denied-operations/><denied-data-writes/></nacm>"
    counted = body(await (await site.peer()).rpc(f"<get {NAMESPACES}><filter>{nacm}</filter></get>"))
    assert counted == "<nacm><denied-operations>1</denied-operations><denied-data-writes>2</denied-data-writes></nacm>"


class Cautious:
    """A participant that refuses what it does not like, and remembers what it was told."""

    def __init__(self) -> None:
        self.refuses: RpcErrors | None = None
        self.applied: list[Inner] = []

    def prepare(self, change: Change, new: Inner) -> None:
        if self.refuses is not None:
            raise self.refuses

    def apply(self, change: Change, new: Inner) -> None:
        self.applied.append(new)


async def test_participants(tmp_path: Path, toy: Schema) -> None:
    """A participant may refuse a change, and is told of one that is in force."""
    cautious = Cautious()
    async with bench(tmp_path, toy, participants=[cautious]) as site:
        peer = await site.peer()
        assert (await peer.rpc(edit(items("a")))).ok
        assert cautious.applied == [site.datastores.running]
        refusal = error(await peer.rpc(lock("unlock")))
        cautious.refuses = RpcErrors([refusal])
        assert error(await peer.rpc(edit(items("b")))).message == refusal.message
        assert await running(peer) == "<shelf><item><id>a</id></item></shelf>"
        assert len(cautious.applied) == 1


async def test_full_disk_refuses_the_edit(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that cannot be stored is refused; running and the disk stay as they were."""

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    peer = await site.peer()
    assert (await peer.rpc(edit(items("a")))).ok
    with monkeypatch.context() as patch:
        patch.setattr("eman_netconf.datastore.storage._write", fails)
        assert error(await peer.rpc(edit(items("b")))).tag == ErrorTag.RESOURCE_DENIED
    assert await running(peer) == "<shelf><item><id>a</id></item></shelf>"
    assert (await peer.rpc(edit(items("c")))).ok
    assert site.storage.generation == site.datastores.generation == 2

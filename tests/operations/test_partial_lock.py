"""The operations of RFC 5717, asked over a session."""

from __future__ import annotations

import pytest
from lxml import etree

from eman_netconf.datastore import evaluate
from eman_netconf.errors import ErrorTag
from tests.operations.bench import NAMESPACES, Bench, edit, error, named
from tests.operations.test_base import TOY, items, kill, lock
from tests.operations.test_monitoring import state
from tests.peer import Peer

NS = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"


def partial(*selects: str) -> str:
    listed = "".join(f"<select>{select}</select>" for select in selects)
    return f'<partial-lock xmlns="{NS}" xmlns:t="urn:toy">{listed}</partial-lock>'


def unlock(number: int) -> str:
    return f'<partial-unlock xmlns="{NS}"><lock-id>{number}</lock-id></partial-unlock>'


async def taken(peer: Peer, *selects: str) -> tuple[int, list[str]]:
    """The number of a new lock and the nodes it holds."""
    reply = await peer.rpc(partial(*selects))
    assert reply.ok, reply.errors
    nodes = [str(node.text) for node in reply.element.iterchildren(f"{{{NS}}}locked-node")]
    return int(reply.element.findtext(f"{{{NS}}}lock-id") or 0), nodes


async def test_a_part_is_locked(site: Bench) -> None:
    """What is locked stays as it is until it is given back; all else can be changed."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(edit(items("a", "b")))).ok
    number, nodes = await taken(owner, "/t:shelf/t:item[t:id='a']", "/t:shelf/t:item[t:id='a']/t:id")
    assert len(nodes) == 2
    assert "item" in nodes[0]
    change = f"<shelf {TOY}><item><id>{{}}</id><note>n</note></item></shelf>"
    found = error(await other.rpc(edit(change.format("a"))))
    assert found.tag == ErrorTag.IN_USE
    assert found.path is not None
    assert "item" in found.path.text
    assert (await other.rpc(edit(change.format("b")))).ok
    assert (await owner.rpc(edit(change.format("a")))).ok
    assert error(await other.rpc(unlock(number))).tag == ErrorTag.INVALID_VALUE
    assert (await owner.rpc(unlock(number))).ok
    assert error(await owner.rpc(unlock(number))).tag == ErrorTag.INVALID_VALUE
    assert (await other.rpc(edit(change.format("a").replace("note>n", "note>o").replace("n</note", "o</note")))).ok


async def test_locked_nodes_can_be_found_by_their_identifiers(site: Bench) -> None:
    """The reply names the nodes as instance-identifiers with prefixes of its own, which select the same again."""
    owner = await site.peer()
    assert (await owner.rpc(edit(items("a")))).ok
    reply = await owner.rpc(partial("/t:shelf/t:item"))
    node = reply.element.find(f"{{{NS}}}locked-node")
    assert node is not None
    prefixes = {prefix: uri for prefix, uri in node.nsmap.items() if prefix}
    document = etree.fromstring(f"<data><shelf {TOY}><item><id>a</id></item></shelf></data>")
    (found,) = document.xpath("/data" + str(node.text), namespaces=prefixes)
    assert found.findtext("{urn:toy}id") == "a"


async def test_overlaps(site: Bench) -> None:
    """One session's locks may overlap, those of two never; nor may a lock of the whole come on top of a part."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(edit(items("a", "b")))).ok
    await taken(owner, "/t:shelf/t:item[t:id='a']")
    await taken(owner, "/t:shelf")
    denied = error(await other.rpc(partial("/t:shelf/t:item[t:id='b']/t:id")))
    assert (denied.tag, named(denied)["session-id"]) == (ErrorTag.LOCK_DENIED, str(owner.session_id))
    assert error(await other.rpc(lock("lock"))).tag == ErrorTag.LOCK_DENIED
    assert (await owner.rpc(lock("lock"))).ok
    assert error(await other.rpc(partial("/t:shelf"))).tag == ErrorTag.LOCK_DENIED


async def test_the_end_of_a_session_gives_its_parts_back(site: Bench) -> None:
    """A session that is killed, or closes, leaves nothing locked."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(edit(items("a")))).ok
    await taken(owner, "/")
    assert error(await other.rpc(edit(items("b")))).tag == ErrorTag.IN_USE
    assert (await other.rpc(kill(owner.session_id))).ok
    assert (await other.rpc(edit(items("b")))).ok


async def test_commit_of_the_candidate(site: Bench) -> None:
    """The candidate may be edited, but not committed, where another session holds running."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(edit(items("a")))).ok
    number, _ = await taken(owner, "/t:shelf")
    assert (await other.rpc(edit(items("b")).replace("running", "candidate"))).ok
    assert error(await other.rpc(f"<commit {NAMESPACES}/>")).tag == ErrorTag.IN_USE
    assert (await owner.rpc(unlock(number))).ok
    assert (await other.rpc(f"<commit {NAMESPACES}/>")).ok


async def test_a_confirmed_commit_of_another_stands_in_the_way(site: Bench) -> None:
    """While another session's commit waits to be confirmed nothing can be locked."""
    owner, other = await site.peer(), await site.peer()
    assert (await owner.rpc(edit(items("a")).replace("running", "candidate"))).ok
    assert (await owner.rpc(f"<commit {NAMESPACES}><confirmed/></commit>")).ok
    denied = error(await other.rpc(partial("/t:shelf")))
    assert (denied.tag, denied.app_tag) == (ErrorTag.LOCK_DENIED, "outstanding-confirmed-commit")
    assert (await owner.rpc(f"<commit {NAMESPACES}/>")).ok
    await taken(other, "/t:shelf")


@pytest.mark.parametrize(
    ("select", "tag", "app_tag"),
    [
        ("/t:shelf[", ErrorTag.INVALID_VALUE, None),
        ("/u:shelf", ErrorTag.INVALID_VALUE, None),
        ("count(/t:shelf)", ErrorTag.INVALID_VALUE, "not-a-node-set"),
        ("/t:shelf/t:item[t:id='nobody']", ErrorTag.OPERATION_FAILED, "no-matches"),
    ],
)
async def test_refused(site: Bench, select: str, tag: ErrorTag, app_tag: str | None) -> None:
    """What cannot be read, is no node, or selects nothing is refused by the names the RFC gives."""
    peer = await site.peer()
    assert (await peer.rpc(edit(items("a")))).ok
    found = error(await peer.rpc(partial(select)))
    assert (found.tag, found.app_tag) == (tag, app_tag)


async def test_too_many_expressions(site: Bench) -> None:
    """One request holds a bounded number of expressions, of a bounded length, that share what they may cost."""
    peer = await site.peer()
    assert error(await peer.rpc(partial(*["/t:shelf"] * 65))).tag in (ErrorTag.TOO_BIG, ErrorTag.INVALID_VALUE)
    half = f"/t:shelf[{' ' * 33_000}1 = 1]"
    assert error(await peer.rpc(partial(half, half))).tag == ErrorTag.TOO_BIG


async def test_expressions_share_their_cost(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While parts are looked for nobody writes, so one request of many expressions takes no longer than of one."""
    peer = await site.peer()
    assert (await peer.rpc(edit(items(*map(str, range(50)))))).ok
    one = "/t:shelf/t:item[starts-with(t:id, '4')]"
    monkeypatch.setattr(evaluate, "BUDGET", 600)
    await taken(peer, one)
    assert error(await peer.rpc(partial(*[one] * 20))).tag == ErrorTag.RESOURCE_DENIED


async def test_parts_are_shown(site: Bench) -> None:
    """Who holds which parts since when is told with the datastore (RFC 6022 section 2.1.1)."""
    owner = await site.peer()
    assert (await owner.rpc(edit(items("a")))).ok
    number, _ = await taken(owner, "/t:shelf")
    (shown,) = await state(site, "datastores")
    found = shown.find("datastore/locks/partial-lock")
    assert found is not None
    assert found.findtext("lock-id") == str(number)
    assert found.findtext("locked-by-session") == str(owner.session_id)
    assert found.findtext("select") == "/t:shelf"
    assert (found.findtext("locked-node") or "").endswith("shelf")

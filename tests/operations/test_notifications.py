"""create-subscription and what follows (RFC 5277)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.errors import BASE_NS, ErrorTag, ErrorType
from eman_netconf.messages.rpc import NOTIFICATION_NS, Notification
from eman_netconf.notifications.receiver import NETMOD_NS
from eman_netconf.notifications.streams import event_time
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import make_inner
from tests.operations.bench import START, Bench, bare, bench, body, edit, error, named
from tests.peer import Peer

BASE_NOTES = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"

STARTS_OF_ANN = f'<netconf-session-start xmlns="{BASE_NOTES}"><username>ann</username></netconf-session-start>'


@pytest.fixture
async def site(tmp_path: Path, schema: Schema) -> AsyncIterator[Bench]:
    """A server of all models without configuration."""
    async with bench(tmp_path / "state", schema) as made:
        yield made


def subscribe(content: str = "") -> str:
    return f'<create-subscription xmlns="{NOTIFICATION_NS}">{content}</create-subscription>'


def during(start: float | None = None, stop: float | None = None) -> str:
    """The parameters of a replay."""
    first = "" if start is None else f"<startTime>{event_time(start)}</startTime>"
    return first + ("" if stop is None else f"<stopTime>{event_time(stop)}</stopTime>")


def happen(site: Bench, user: str = "somebody", name: str = "netconf-session-start") -> None:
    """Something happens: a session of ``user`` begins or ends."""
    values: dict[str, object] = {"username": user, "session-id": 99}
    if name == "netconf-session-end":
        values["termination-reason"] = "closed"
    site.server.streams.publish(make_inner(site.server.schema.notifications[BASE_NOTES, name], values))


def told(notification: Notification) -> str:
    """Whom it tells of, or its name."""
    user = notification.content.findtext(f"{{{BASE_NOTES}}}username")
    return user or etree.QName(notification.content).localname


async def heard(peer: Peer, count: int) -> list[str]:
    return [told(await peer.notification()) for _ in range(count)]


async def test_subscription(site: Bench) -> None:
    """Who subscribed hears what happens, beside the answers to what he asks; others hear nothing."""
    peer, other = await site.peer(), await site.peer()
    assert (await peer.rpc(subscribe())).ok
    happen(site, "one")
    happen(site, "two")
    assert await heard(peer, 2) == ["one", "two"]
    assert (await peer.rpc("<get><filter/></get>")).ok
    happen(site, "three")
    assert await heard(peer, 1) == ["three"]
    assert (await other.rpc("<get><filter/></get>")).ok
    assert not other.notifications


async def test_stream_by_name(site: Bench) -> None:
    """NETCONF is the one stream, also when it is named."""
    peer = await site.peer()
    assert (await peer.rpc(subscribe("<stream>NETCONF</stream>"))).ok
    happen(site, "one")
    assert await heard(peer, 1) == ["one"]


@pytest.mark.parametrize(
    "filter_",
    [
        f'<filter type="subtree">{STARTS_OF_ANN}</filter>',
        f"<filter>{STARTS_OF_ANN}</filter>",
        f'<nc:filter xmlns:nc="{BASE_NS}" type="subtree">{STARTS_OF_ANN}</nc:filter>',  # as ncclient writes it
        f'<filter xmlns:n="{BASE_NOTES}" type="xpath" select="/n:netconf-session-start[n:username=\'ann\']"/>',
    ],
)
async def test_filter(site: Bench, filter_: str) -> None:
    """Only events that a filter selects something of are delivered, and whole."""
    peer = await site.peer()
    assert (await peer.rpc(subscribe(filter_))).ok
    happen(site, "bob")
    happen(site, "ann", "netconf-session-end")
    happen(site, "ann")
    found = await peer.notification()
    assert bare(found.content) == (
        "<netconf-session-start><username>ann</username><session-id>99</session-id></netconf-session-start>"
    )


async def test_replay(site: Bench) -> None:
    """With a start time what happened since then comes first, then replayComplete, then what happens."""
    for user in ("one", "two"):
        happen(site, user)
    peer = await site.peer()
    assert (await peer.rpc(subscribe(during(START - 60)))).ok
    assert await heard(peer, 3) == ["one", "two", "replayComplete"]
    happen(site, "three")
    assert await heard(peer, 1) == ["three"]


async def test_stop_time(site: Bench) -> None:
    """At the stop time notificationComplete comes, and the session may subscribe again."""
    happen(site, "one")
    stop = site.server.streams.log.oldest or 0.0
    happen(site, "two")
    peer = await site.peer()
    assert (await peer.rpc(subscribe(during(START - 60, stop)))).ok
    assert await heard(peer, 3) == ["one", "replayComplete", "notificationComplete"]
    assert (await peer.rpc(subscribe())).ok
    happen(site, "three")
    assert await heard(peer, 1) == ["three"]


async def test_stop_time_in_the_future(site: Bench) -> None:
    """The end comes by itself when the clock says so, though nothing happens."""
    peer = await site.peer()
    now = site.clock.now().wall
    assert (await peer.rpc(subscribe(during(START - 60, now + 0.2)))).ok
    assert await heard(peer, 2) == ["replayComplete", "notificationComplete"]
    assert site.clock.now().wall >= now + 0.2


async def test_notices_are_empty(site: Bench) -> None:
    """replayComplete and notificationComplete are empty elements in the namespace of the streams' model."""
    peer = await site.peer()
    assert (await peer.rpc(subscribe(during(START - 60, START - 30)))).ok
    for name in ("replayComplete", "notificationComplete"):
        found = (await peer.notification()).content
        assert (found.tag, len(found), found.text) == (f"{{{NETMOD_NS}}}{name}", 0, None)


@pytest.mark.parametrize(
    ("content", "tag", "element"),
    [
        (f"<stopTime>{event_time(START)}</stopTime>", ErrorTag.MISSING_ELEMENT, "startTime"),
        (during(START - 60, START - 61), ErrorTag.BAD_ELEMENT, "stopTime"),
        (during(START + 1000), ErrorTag.BAD_ELEMENT, "startTime"),
        ("<startTime>yesterday</startTime>", ErrorTag.INVALID_VALUE, None),
        ("<startTime>2026-02-30T00:00:00Z</startTime>", ErrorTag.INVALID_VALUE, None),
        ("<stream>alarms</stream>", ErrorTag.INVALID_VALUE, "stream"),
        ("<since/>", ErrorTag.UNKNOWN_ELEMENT, "since"),
        ('<filter type="regex"/>', ErrorTag.BAD_ATTRIBUTE, "filter"),
        ('<filter type="xpath"/>', ErrorTag.MISSING_ATTRIBUTE, "filter"),
        ('<filter type="xpath" select="/a["/>', ErrorTag.INVALID_VALUE, None),
        ('<filter type="xpath" select="1 + 1"/>', ErrorTag.INVALID_VALUE, None),
        (f"<filter>{'<event/>' * 8_192}</filter>", ErrorTag.TOO_BIG, "filter"),
    ],
)
async def test_errors(site: Bench, content: str, tag: ErrorTag, element: str | None) -> None:
    """What cannot be subscribed to is refused with the tag and element of RFC 5277 section 2.1.1; nothing is left."""
    peer = await site.peer()
    found = error(await peer.rpc(subscribe(content)))
    assert found.tag is tag
    assert found.type in (ErrorType.PROTOCOL, ErrorType.APPLICATION)
    if element is not None:
        assert named(found)["bad-element"] == element
    assert (await peer.rpc(subscribe())).ok


async def test_second_subscription(site: Bench) -> None:
    """A session has one subscription; another session may have its own."""
    peer = await site.peer()
    assert (await peer.rpc(subscribe())).ok
    assert error(await peer.rpc(subscribe())).tag is ErrorTag.OPERATION_FAILED
    other = await site.peer()
    assert (await other.rpc(subscribe())).ok
    happen(site, "one")
    assert await heard(peer, 1) == await heard(other, 1) == ["one"]


async def test_streams(site: Bench) -> None:
    """/netconf/streams tells of the stream, that it is replayed, and since when."""
    peer = await site.peer()
    reply = await peer.rpc(f'<get><filter><netconf xmlns="{NETMOD_NS}"/></filter></get>')
    assert body(reply) == (
        "<netconf><streams><stream><name>NETCONF</name><description>All events of this server.</description>"
        "<replaySupport>true</replaySupport>"
        "<replayLogCreationTime>1970-01-01T00:00:00.000000Z</replayLogCreationTime></stream></streams></netconf>"
    )


async def test_denied_notifications(site: Bench) -> None:
    """An event that its receiver may not have is not delivered, live or replayed, and counted; notices always are."""
    admin, alice = await site.peer(), await site.peer("alice")
    rules = (
        '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups><group><name>some</name>'
        "<user-name>alice</user-name></group></groups><rule-list><name>some</name><group>some</group><rule>"
        "<name>no starts</name><module-name>ietf-netconf-notifications</module-name>"
        "<notification-name>netconf-session-start</notification-name><action>deny</action></rule></rule-list></nacm>"
    )
    assert (await admin.rpc(edit(rules))).ok
    happen(site, "one")
    assert (await alice.rpc(subscribe(during(START - 60)))).ok
    assert await heard(alice, 1) == ["replayComplete"]
    happen(site, "two")
    happen(site, "three", "netconf-session-end")
    assert await heard(alice, 1) == ["three"]
    counted = await admin.rpc(
        '<get><filter><nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><denied-notifications/></nacm>'
        "</filter></get>"
    )
    assert body(counted) == "<nacm><denied-notifications>2</denied-notifications></nacm>"


async def test_a_watching_session_is_not_idle(site: Bench) -> None:
    """While it has a subscription a session may be silent; when that is over no more."""
    peer = await site.peer()
    live = site.sessions.get(peer.session_id)
    assert live is not None
    assert (await peer.rpc(subscribe())).ok
    assert live.watching
    other = await site.peer()
    assert (await other.rpc(subscribe(during(START - 60, START - 30)))).ok
    await heard(other, 2)
    ended = site.sessions.get(other.session_id)
    assert ended is not None
    assert not ended.watching

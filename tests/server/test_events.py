"""Events in the shell: delivery waits for nobody, a replay for its reader; what the server tells of itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.messages.rpc import NOTIFICATION_NS, Notification
from eman_netconf.server import events as events_module
from eman_netconf.server import plugins
from eman_netconf.server.config import Bootstrap
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.sessions import NOTIFICATIONS_AHEAD
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import make_inner
from tests.operations.bench import Bench, bench, edit
from tests.peer import Peer, memory_channel
from tests.server.running import entity, serving
from tests.server.test_sessions import turns

BASE_NOTES = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION_NS}"/>'
SINCE_EVER = (
    f'<create-subscription xmlns="{NOTIFICATION_NS}"><startTime>2000-01-01T00:00:00Z</startTime></create-subscription>'
)


@pytest.fixture
async def site(tmp_path: Path, schema: Schema) -> AsyncIterator[Bench]:
    """A server of all models without configuration."""
    async with bench(tmp_path / "state", schema) as made:
        yield made


def happen(site: Bench, count: int) -> None:
    """So many events, numbered in their session-id."""
    node = site.server.schema.notifications[BASE_NOTES, "netconf-session-start"]
    first = site.server.streams.last
    for number in range(first + 1, first + count + 1):
        site.server.streams.publish(make_inner(node, {"username": "x" * 500, "session-id": number}))


async def next_number(peer: Peer) -> int | str:
    """The number of the next event, or the name of a notice."""
    content = (await peer.notification()).content
    number = content.findtext(f"{{{BASE_NOTES}}}session-id")
    return etree.QName(content).localname if number is None else int(number)


async def test_slow_receiver_is_closed(site: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Who subscribed and does not read is closed and audited; who reads gets every event."""
    slow_channel, good = memory_channel(site.sessions), await site.peer()
    slow = slow_channel.peer
    await slow.greet()
    assert (await slow.rpc(SUBSCRIBE)).ok
    assert (await good.rpc(SUBSCRIBE)).ok
    slow_channel.fill()
    total = 0
    with caplog.at_level(logging.INFO):
        while slow_channel.open:
            happen(site, 10)
            total += 10
            assert total * 500 < 2 * NOTIFICATIONS_AHEAD
            await turns(2)
    assert f"in session {slow.session_id}: closed, it does not read its notifications" in caplog.text
    assert site.sessions.get(slow.session_id) is None
    happen(site, 5)
    assert [await next_number(good) for _ in range(total + 5)] == list(range(1, total + 6))
    assert (await good.rpc("<get><filter/></get>")).ok


async def test_replay_waits_for_its_reader(site: Bench) -> None:
    """A long replay holds no more than a queue for a reader that pauses, and what happens meanwhile comes behind it."""
    happen(site, 5000)
    channel = memory_channel(site.sessions)
    await channel.peer.greet()
    channel.fill()
    channel.peer.ask(SINCE_EVER)
    await turns(200)
    assert 0 < channel.session.unread <= NOTIFICATIONS_AHEAD
    happen(site, 700)
    channel.drain()
    assert (await channel.peer.reply()).ok
    heard = [await next_number(channel.peer) for _ in range(5701)]
    assert heard == [*range(1, 5001), "replayComplete", *range(5001, 5701)]


async def test_replay_gives_up(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay that nobody reads for long ends its session."""
    monkeypatch.setattr(events_module, "PATIENCE", 0.02)
    happen(site, 5000)
    channel = memory_channel(site.sessions)
    await channel.peer.greet()
    channel.fill()
    channel.peer.ask(SINCE_EVER)
    await channel.peer.closed()
    await turns()
    assert site.sessions.live() == []


async def test_replay_ends_with_its_session(site: Bench) -> None:
    """When the client vanishes in the middle of a replay, nothing of it is left."""
    happen(site, 5000)
    channel = memory_channel(site.sessions)
    await channel.peer.greet()
    channel.fill()
    channel.peer.ask(SINCE_EVER)
    await turns(100)
    channel.vanish()
    await turns(100)
    assert site.sessions.live() == []
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("replay-")]


async def test_others_are_answered_during_a_replay(site: Bench) -> None:
    """A replay lets the others have their turns: a request is answered long before it is over."""
    happen(site, 20_000)
    reader, other = await site.peer(), await site.peer()
    reader.ask(SINCE_EVER)
    assert (await reader.reply()).ok
    for _ in range(5):
        assert (await other.rpc("<get><filter/></get>")).ok
    assert site.server.streams.last == 20_000
    receivers = site.server.receivers
    assert next(iter(receivers._subscribed.values())).receiver.replays


COSTLY = "//*" + "[//*" * 12 + "]" * 12


@pytest.mark.parametrize(
    ("operation", "namespace", "parameters"),
    [
        ("create-subscription", NOTIFICATION_NS, f'<filter type="xpath" select="{COSTLY}"/>'),
        ("establish-subscription", SN, f"<stream>NETCONF</stream><stream-xpath-filter>{COSTLY}</stream-xpath-filter>"),
    ],
)
async def test_a_filter_that_takes_too_long(
    site: Bench, caplog: pytest.LogCaptureFixture, operation: str, namespace: str, parameters: str
) -> None:
    """Events whose filter takes too many steps are left out for this receiver alone, and the log says so once."""
    costly, good = await site.peer("admin"), await site.peer()
    assert (await costly.rpc(f'<{operation} xmlns="{namespace}">{parameters}</{operation}>')).ok
    assert (await good.rpc(SUBSCRIBE)).ok
    happen(site, 3)
    assert [await next_number(good) for _ in range(3)] == [1, 2, 3]
    assert (await costly.rpc("<get><filter/></get>")).ok
    (said,) = [record.getMessage() for record in caplog.records if "XPath filter" in record.getMessage()]
    assert f"admin in session {costly.session_id} is not sent netconf-session-start" in said


async def test_a_receiver_that_fails_alone(
    site: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in what one receiver is judged by is logged; it costs neither him his session nor others the event."""
    bad, good = await site.peer("alice"), await site.peer()
    assert (await bad.rpc(SUBSCRIBE)).ok
    assert (await good.rpc(SUBSCRIBE)).ok
    judge = site.server.judge.notification

    def broken(session, node, notification) -> bool:
        if session.user == "alice":
            raise ZeroDivisionError
        return judge(session, node, notification)

    monkeypatch.setattr(site.server.judge, "notification", broken)
    happen(site, 1)
    assert await next_number(good) == 1
    assert f"session {bad.session_id}: whether it gets an event could not be told" in caplog.text
    monkeypatch.undo()
    happen(site, 1)
    assert await next_number(bad) == 2


# --- the whole server


async def found(peer: Peer, wanted: str) -> Notification:
    """The next notification of that name."""
    while True:
        notification = await peer.notification()
        if name(notification) == wanted:
            return notification


def name(notification: Notification) -> str:
    return str(etree.QName(notification.content).localname)


def leaves(notification: Notification) -> dict[str, str | None]:
    return {etree.QName(leaf).localname: leaf.text for leaf in notification.content.iter() if not len(leaf)}


async def test_the_server_tells_of_itself(tmp_path: Path, schema: Schema) -> None:
    """Sessions that begin and end and commits are told, with who did it (RFC 6470)."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as watcher:
        assert (await watcher.rpc(SUBSCRIBE)).ok
        async with server.peer() as other:
            started = leaves(await found(watcher, "netconf-session-start"))
            assert started == {"username": "admin", "session-id": str(other.session_id), "source-host": "127.0.0.1"}
            assert (await other.rpc(edit(entity("pdu-1")))).ok
            assert leaves(await found(watcher, "netconf-config-change")) == {
                "username": "admin",
                "session-id": str(other.session_id),
                "source-host": "127.0.0.1",
                "datastore": "running",
                "target": "/eman:energy-management",
                "operation": "create",
            }
            assert (await other.rpc("<close-session/>")).ok
            ended = leaves(await found(watcher, "netconf-session-end"))
            assert (ended["session-id"], ended["termination-reason"]) == (str(other.session_id), "closed")
        async with server.peer() as victim:
            kill = f"<kill-session><session-id>{victim.session_id}</session-id></kill-session>"
            assert (await watcher.rpc(kill)).ok
            ended = leaves(await found(watcher, "netconf-session-end"))
            assert (ended["session-id"], ended["termination-reason"]) == (str(victim.session_id), "killed")
            assert ended["killed-by"] == str(watcher.session_id)


async def test_saving_is_told(tmp_path: Path) -> None:
    """What becomes startup is told as a change of startup, beside the commit of running."""
    save = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
    models = load_schema(plugins.find(), Bootstrap(tmp_path, startup=True))
    async with serving(tmp_path / "state", models, startup=True) as server, server.peer() as peer:
        assert (await peer.rpc(SUBSCRIBE)).ok
        assert (await peer.rpc(edit(entity("pdu-1")))).ok
        assert leaves(await found(peer, "netconf-config-change"))["datastore"] == "running"
        assert (await peer.rpc(save)).ok
        told = leaves(await found(peer, "netconf-config-change"))
        assert (told["datastore"], told["username"]) == ("startup", "admin")


async def test_replay_over_a_restart(tmp_path: Path, schema: Schema) -> None:
    """What happened before a restart is replayed after it."""
    began = time.time()
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        assert (await peer.rpc(edit(entity("pdu-1")))).ok
        first = peer.session_id
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        assert (await peer.rpc(SINCE_EVER)).ok
        told = leaves(await found(peer, "netconf-config-change"))
        assert (told["username"], told["session-id"]) == ("admin", str(first))
        ended = await found(peer, "netconf-session-end")
        assert ended.event_time > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        await found(peer, "replayComplete")


async def test_changed_capabilities(tmp_path: Path, schema: Schema) -> None:
    """A restart with other capabilities is told, and only that (RFC 6470)."""
    others = sources.load()
    assert others.content_id != schema.content_id
    for models in (schema, schema, others):
        async with serving(tmp_path / "state", models, installed={}) as server, server.peer() as peer:
            assert (await peer.rpc(SINCE_EVER)).ok
            told = [name(await peer.notification())]
            while told[-1] != "replayComplete":
                told.append(name(await peer.notification()))
            assert told.count("netconf-capability-change") == (models is others)

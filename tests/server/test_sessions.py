"""Live sessions: order, bounds, endings; most of it without a network."""

from __future__ import annotations

import asyncio
import logging
import math

import pytest

from eman_netconf.errors import ErrorTag
from eman_netconf.messages.framing import frame
from eman_netconf.messages.rpc import BASE_1_0, BASE_1_1, Hello, notification_bytes
from eman_netconf.messages.session import ProtocolFault
from eman_netconf.server import sessions as sessions_module
from eman_netconf.server.sessions import NOTIFICATIONS_AHEAD, READ_AHEAD, End, Full, Termination
from tests.peer import MemoryChannel, Peer, memory_channel, memory_peer
from tests.server.conftest import SLICE, WIRE_NS, Wire


def op(name: str, text: object = "") -> str:
    return f'<{name} xmlns="{WIRE_NS}">{text}</{name}>'


async def turns(count: int = 20) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def greeted(wire: Wire) -> tuple[MemoryChannel, Peer]:
    channel = memory_channel(wire.sessions)
    await channel.peer.greet()
    await turns()
    return channel, channel.peer


async def test_answers(wire: Wire) -> None:
    """A request is answered with what the handler gives; the handler knows who asks."""
    peer = await memory_peer(wire.sessions, user="alice")
    assert (await peer.rpc(op("echo", "hi"))).element[0].text == "hi"
    assert (await peer.rpc(op("whoami"))).element[0].text == "alice@memory"
    (live,) = wire.sessions.live()
    assert (live.info.id, live.info.user, live.info.login_time) == (peer.session_id, "alice", 1_800_000_000.0)


async def test_order(wire: Wire) -> None:
    """Pipelined requests are answered one after the other, in order (RFC 6241 section 4.5)."""
    peer = await memory_peer(wire.sessions)
    peer.ask(op("wait"))
    asked = [peer.ask(op("echo", number)) for number in range(50)]
    await wire.waiting.wait()
    await turns()
    wire.gate.set()
    await peer.reply()
    answers = [await peer.reply() for _ in asked]
    assert [answer.message_id for answer in answers] == asked
    assert [answer.element[0].text for answer in answers] == [str(number) for number in range(50)]


async def test_small_replies_share_packets(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies to requests that came together go out together: far fewer writes than replies."""
    monkeypatch.setattr(sessions_module, "_TURN", math.inf)  # else a slow machine's turns hold few replies
    channel, peer = await greeted(wire)
    before = len(channel.written)
    for number in range(200):
        peer.ask(op("echo", number))
    for _ in range(200):
        await peer.reply()
    assert len(channel.written) - before < 100


async def test_flood_is_not_read(wire: Wire) -> None:
    """Past a bound the channel is not read while a request runs; nothing is lost when it goes on."""
    channel, peer = await greeted(wire)
    peer.ask(op("wait"))
    await wire.waiting.wait()
    text = "x" * 1000
    for _ in range(2000):
        peer.ask(op("echo", text))
        assert channel.session.buffered <= READ_AHEAD + 2000
    assert channel.paused
    assert len(channel.held) > 1000
    wire.gate.set()
    await peer.reply()
    for _ in range(2000):
        assert (await peer.reply()).element[0].text == text
    assert not channel.paused


async def test_slow_reader(wire: Wire) -> None:
    """A reply is made as fast as the client reads it, never ahead; others are served meanwhile."""
    channel, peer = await greeted(wire)
    other = await memory_peer(wire.sessions)
    channel.fill()
    peer.ask(op("stream", 10_000))
    await turns()
    assert (await other.rpc(op("echo", "me"))).element[0].text == "me"
    assert wire.slices < 100
    assert channel.session.buffered < 100_000
    channel.drain()
    reply = await peer.reply()
    assert len(reply.element[0]) == 10_000
    assert wire.slices == 10_000


async def test_streaming_yields(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a long reply streams, another session's requests are answered between its slices."""
    monkeypatch.setattr(sessions_module, "_TURN", 0.0)  # else a fast machine does it all in two turns
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 0.0)  # within a turn uvloop's stands still
    first = await memory_peer(wire.sessions)
    second = await memory_peer(wire.sessions)
    first.ask(op("stream", 10_000))
    answered_at = []
    while wire.slices < 10_000:
        assert (await second.rpc(op("echo", "hi"))).ok
        answered_at.append(wire.slices)
    assert len(answered_at) > 50


async def test_refusal(wire: Wire) -> None:
    """A handler's RpcError is the reply, and the session goes on."""
    peer = await memory_peer(wire.sessions)
    (error,) = (await peer.rpc(op("refuse"))).errors
    assert (error.tag, error.message) == (ErrorTag.IN_USE, "That is in use.")
    assert (await peer.rpc(op("echo"))).ok


@pytest.mark.parametrize("operation", [op("break"), op("break-late", 0), op("break-late", 3)])
async def test_fault_of_ours(wire: Wire, operation: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception is operation-failed to the client and a traceback in the log only."""
    peer = await memory_peer(wire.sessions)
    (error,) = (await peer.rpc(operation)).errors
    assert error.tag is ErrorTag.OPERATION_FAILED
    assert "secret" not in error.message
    assert "a secret of the inside" in caplog.text
    assert (await peer.rpc(op("echo"))).ok


async def test_fault_inside_reply(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """When data fails after part of it was sent, the session is cut: half a reply cannot become an error."""
    peer = await memory_peer(wire.sessions)
    peer.ask(op("break-late", 1000))
    with pytest.raises(ProtocolFault):
        await peer.event()
    assert "a secret of the inside" in caplog.text
    assert (await (await memory_peer(wire.sessions)).rpc(op("echo"))).ok


async def test_cancellation_inside_handler(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """When something a request waited for is cancelled, that request fails, not the session."""

    async def cancelled(*_: object) -> None:
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    peer = await memory_peer(wire.sessions)
    monkeypatch.setattr(wire.sessions, "handler", cancelled)
    (error,) = (await peer.rpc(op("echo"))).errors
    assert error.tag is ErrorTag.OPERATION_FAILED
    monkeypatch.undo()
    assert (await peer.rpc(op("echo"))).ok


async def test_close_session(wire: Wire) -> None:
    """close-session is answered, then the session ends and its end is told once."""
    channel, peer = await greeted(wire)
    assert (await peer.rpc("<close-session/>")).ok
    await peer.closed()
    await turns()
    assert not channel.open
    assert wire.ended == [peer.session_id]
    assert wire.sessions.live() == []
    assert wire.sessions.totals.dropped_sessions == 0


async def test_kill(wire: Wire) -> None:
    """A killed session is gone with what it held when kill returns, whatever it was doing."""
    channel, victim = await greeted(wire)
    victim.ask(op("wait"))
    await wire.waiting.wait()
    assert await wire.sessions.kill(victim.session_id)
    assert wire.finished == ["cancelled"]
    assert wire.ended == [victim.session_id]
    assert not channel.open
    assert not await wire.sessions.kill(victim.session_id)
    assert wire.sessions.totals.dropped_sessions == 0


async def test_ends(wire: Wire) -> None:
    """Who exchanged hellos is told as opened; every end is told with its reason, and who killed."""
    ended = await memory_peer(wire.sessions)
    await ended.rpc("<close-session/>")
    vanished, _ = await greeted(wire)
    vanished.vanish()
    _, victim = await greeted(wire)
    await wire.sessions.kill(victim.session_id, 77)
    _, peer = await greeted(wire)
    peer.send(b"\n#x")
    await peer.closed()
    stranger = memory_channel(wire.sessions)
    stranger.peer.send(frame(Hello(("urn:other",)).to_bytes(), chunked=False))
    await stranger.peer.closed()
    early = memory_channel(wire.sessions)
    early.vanish()
    wire.limit(hello_seconds=0.01)
    late = memory_channel(wire.sessions)
    await late.peer.closed()
    wire.limit(hello_seconds=20.0)
    _, drained = await greeted(wire)
    await wire.sessions.drain(5.0)
    assert wire.opened == [1, 2, 3, 4, 8]
    assert drained.session_id == 8
    assert wire.ends == {
        1: End(Termination.CLOSED),
        2: End(Termination.DROPPED),
        3: End(Termination.KILLED, 77),
        4: End(Termination.OTHER),
        5: End(Termination.BAD_HELLO),
        6: End(Termination.DROPPED),
        7: End(Termination.TIMEOUT),
        8: End(Termination.OTHER),
    }


async def test_drained(wire: Wire) -> None:
    """Who sends many notifications can wait until they have gone to the channel; a lost session wakes him too."""
    channel, peer = await greeted(wire)
    message = notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'/>")
    channel.fill()
    assert channel.session.notify(message)
    waiting = asyncio.ensure_future(channel.session.drained())
    await turns()
    assert not waiting.done()
    channel.drain()
    await waiting
    await peer.notification()
    channel.fill()
    assert channel.session.notify(message)
    waiting = asyncio.ensure_future(channel.session.drained())
    await turns()
    channel.vanish()
    await waiting


async def test_kill_while_streaming(wire: Wire) -> None:
    """A session whose client does not read can be killed."""
    channel, victim = await greeted(wire)
    channel.fill()
    victim.ask(op("stream", 10_000))
    await turns()
    assert await wire.sessions.kill(victim.session_id)
    assert wire.sessions.live() == []


async def test_vanished_client(wire: Wire) -> None:
    """When the client vanishes its request is finished, its end told, and it counts as dropped."""
    channel, peer = await greeted(wire)
    peer.ask(op("wait"))
    await wire.waiting.wait()
    channel.vanish()
    await turns()
    assert wire.ended == []
    wire.gate.set()
    await turns()
    assert wire.finished == ["done"]
    assert wire.ended == [peer.session_id]
    assert wire.sessions.totals.dropped_sessions == 1


async def test_vanished_while_streaming(wire: Wire) -> None:
    """A reply to a client that vanished is not made to its end."""
    channel, peer = await greeted(wire)
    channel.fill()
    peer.ask(op("stream", 10_000))
    await turns()
    channel.vanish()
    await turns()
    assert wire.slices < 1000
    assert wire.sessions.live() == []


async def test_end_of_input(wire: Wire) -> None:
    """A client that writes its requests and ends its input gets every answer, then the end."""
    channel, peer = await greeted(wire)
    for number in range(3):
        peer.ask(op("echo", number))
    channel.session.ended()
    assert [(await peer.reply()).element[0].text for _ in range(3)] == ["0", "1", "2"]
    await peer.closed()


@pytest.mark.parametrize("part", [b"", b"<hello xmlns="])
async def test_hello_timeout(wire: Wire, part: bytes) -> None:
    """Who does not finish a hello is sent away after hello-seconds; others stay."""
    other = await memory_peer(wire.sessions)
    wire.limit(hello_seconds=0.05)
    channel = memory_channel(wire.sessions)
    channel.peer.send(part)
    await channel.peer.closed()
    assert (await other.rpc(op("echo"))).ok
    assert wire.sessions.totals.dropped_sessions == 1


async def test_idle_timeout(wire: Wire) -> None:
    """A silent session ends after idle-seconds; one with a subscription does not, until that is over."""
    wire.limit(idle_seconds=0.05)
    watching_channel = memory_channel(wire.sessions)
    watching_channel.session.watching = True  # before it first waits
    watching = watching_channel.peer
    await watching.greet()
    silent = await memory_peer(wire.sessions)
    await silent.closed()
    assert (await watching.rpc(op("echo"))).ok
    watching_channel.session.watching = False
    await watching.closed()


async def test_idle_while_not_reading(wire: Wire) -> None:
    """A client that stopped reading its reply is idle too."""
    wire.limit(idle_seconds=0.05)
    channel = memory_channel(wire.sessions)
    channel.session.watching = True  # so that it is not idle before it is asked
    await channel.peer.greet()
    await turns()
    channel.session.watching = False
    channel.fill()
    channel.peer.ask(op("stream", 10_000))
    await channel.peer.closed()
    await turns()
    assert wire.sessions.live() == []


async def test_limits(wire: Wire) -> None:
    """Sessions are bounded for each user and in all; a place is free again when one ends."""
    wire.limit(sessions=3, sessions_per_user=2)
    first = await memory_peer(wire.sessions, user="alice")
    await memory_peer(wire.sessions, user="alice")
    with pytest.raises(Full, match="alice"):
        memory_channel(wire.sessions, user="alice")
    await memory_peer(wire.sessions, user="bob")
    with pytest.raises(Full, match="All 3"):
        memory_channel(wire.sessions, user="carol")
    await first.rpc("<close-session/>")
    await first.closed()
    await turns()
    await memory_peer(wire.sessions, user="carol")


async def test_never_started(wire: Wire) -> None:
    """A session whose channel went before it started leaves nothing, and is not listed."""
    wire.limit(sessions=1)
    channel = MemoryChannel()
    channel.session = wire.sessions.open(channel, user="alice", source_host="memory")
    assert wire.sessions.live() == []
    channel.session.lost()
    await memory_peer(wire.sessions)


async def test_session_ids_differ(wire: Wire) -> None:
    """Session ids are unique among the living, also when the numbers begin again (RFC 6241 section 8.1)."""
    first = await memory_peer(wire.sessions)
    wire.sessions._last_id = 4_294_967_294
    ids = [first.session_id, *[(await memory_peer(wire.sessions)).session_id for _ in range(3)]]
    assert ids == [1, 4_294_967_295, 2, 3]


async def test_drain(wire: Wire) -> None:
    """Draining answers what runs, ends the silent at once, and takes nobody in."""
    silent = await memory_peer(wire.sessions)
    busy = await memory_peer(wire.sessions)
    busy.ask(op("wait"))
    busy.ask(op("echo", "not any more"))
    await wire.waiting.wait()
    draining = asyncio.ensure_future(wire.sessions.drain(20.0))
    await silent.closed()
    with pytest.raises(Full, match="shutting down"):
        memory_channel(wire.sessions)
    wire.gate.set()
    assert (await busy.reply()).ok
    await draining
    await busy.closed()
    assert wire.sessions.live() == []
    assert sorted(wire.ended) == [1, 2]


async def test_drain_deadline(wire: Wire) -> None:
    """What is not done by the deadline is cut."""
    busy = await memory_peer(wire.sessions)
    busy.ask(op("wait"))
    await wire.waiting.wait()
    await wire.sessions.drain(0.05)
    assert wire.finished == ["cancelled"]
    assert wire.sessions.live() == []


async def test_counters(wire: Wire) -> None:
    """What RFC 6022 counts, for a session and for all."""
    channel, peer = await greeted(wire)
    await peer.rpc(op("echo"))
    await peer.rpc(op("refuse"))
    await peer.rpc(op("break"))
    peer.send(frame(b"<rpc", chunked=True))
    await peer.reply()
    assert channel.session.notify(notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'/>"))
    await peer.notification()
    counters = channel.session.counters
    assert (counters.in_rpcs, counters.in_bad_rpcs) == (3, 1)
    assert (counters.out_rpc_errors, counters.out_notifications) == (3, 1)
    stranger = memory_channel(wire.sessions)
    stranger.peer.send(frame(Hello(("urn:other",)).to_bytes(), chunked=False))
    await stranger.peer.closed()
    totals = wire.sessions.totals
    assert (totals.in_sessions, totals.in_bad_hellos, totals.dropped_sessions) == (2, 1, 1)
    assert (totals.in_rpcs, totals.in_bad_rpcs, totals.out_rpc_errors, totals.out_notifications) == (3, 1, 3, 1)


async def test_notifications_between_replies(wire: Wire) -> None:
    """A notification never goes into a reply that is being sent; it waits, bounded, for a slow reader."""
    channel, peer = await greeted(wire)
    channel.fill()
    peer.ask(op("stream", 2000))
    await turns()
    message = notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'>" + b"x" * 10_000 + b"</e>")
    taken = 0
    while channel.session.notify(message):
        taken += 1
    assert taken == NOTIFICATIONS_AHEAD // len(message)
    channel.drain()
    assert len((await peer.reply()).element[0]) == 2000
    for _ in range(taken):
        await peer.notification()
    assert channel.session.notify(message)


async def test_notifications_share_packets(wire: Wire) -> None:
    """Notifications of one moment go out in one write."""
    channel, peer = await greeted(wire)
    before = len(channel.written)
    for _ in range(20):
        channel.session.notify(notification_bytes("2026-01-01T00:00:00Z", b"<e xmlns='urn:e'/>"))
    for _ in range(20):
        await peer.notification()
    assert len(channel.written) == before + 1


BAD_INPUT = {
    "malformed XML": frame(b"<rpc><get></rpc>", chunked=True),
    "wrong namespace": frame(b'<rpc xmlns="urn:wrong" message-id="1"><get/></rpc>', chunked=True),
    "entity bomb": frame(
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]><rpc>&b;</rpc>', chunked=True
    ),
    "a million nested elements": frame(b"<a>" * 1_000_000, chunked=True),
    "1 GB chunk header": b"\n#1073741824\n" + b"x" * 10_000,
    "noise": bytes(range(256)) * 10,
}


@pytest.mark.parametrize("name", BAD_INPUT)
async def test_bad_input(wire: Wire, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Bad input gets an rpc-error (or the end), no traceback anywhere; everybody else is served, little is held."""
    other = await memory_peer(wire.sessions)
    channel, peer = await greeted(wire)
    peer.send(BAD_INPUT[name])
    (error,) = (await peer.reply()).errors
    assert error.tag in {ErrorTag.MALFORMED_MESSAGE, ErrorTag.UNKNOWN_NAMESPACE}
    assert channel.session.buffered < 2000
    assert (await other.rpc(op("echo", "still here"))).element[0].text == "still here"
    if name in {"1 GB chunk header", "noise"}:
        await peer.closed()
    else:
        assert (await peer.rpc(op("echo"))).ok
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


async def test_end_inside_message(wire: Wire) -> None:
    """Input that ends inside a message closes that session only."""
    other = await memory_peer(wire.sessions)
    channel, peer = await greeted(wire)
    peer.send(frame(op("echo").encode(), chunked=True)[:-3])
    channel.session.ended()
    await peer.closed()
    assert (await other.rpc(op("echo"))).ok


async def test_end_of_message_framing(wire: Wire) -> None:
    """A client of base:1.0 is served with end-of-message framing, streams included."""
    peer = await memory_peer(wire.sessions, capabilities=(BASE_1_0,))
    assert not peer.wire.chunked
    assert (await peer.rpc(op("echo", "old"))).element[0].text == "old"
    assert len((await peer.rpc(op("stream", 100))).element[0]) == 100


async def test_only_base_1_1(wire: Wire) -> None:
    """A client that offers base:1.1 alone is served."""
    peer = await memory_peer(wire.sessions, capabilities=(BASE_1_1,))
    assert (await peer.rpc(op("stream", 1))).element[0][0].text == SLICE.partition(b">")[2].partition(b"<")[0].decode()

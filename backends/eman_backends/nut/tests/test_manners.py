"""Servers without manners: endless, garbled, slow, gone in the midst; and orders whose end nobody knows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eman_backends.nut import connection as wire
from eman_backends.nut.connection import Line
from eman_backends.nut.protocol import LONGEST, Question
from eman_backends.nut.tests.conftest import Make
from eman_netconf.backend import OutcomeUnknown, Point, Quantity, Refused, Supply, Unavailable
from tests.pace import ten_milliseconds
from tests.traces import leaves_nothing

OUTLET = Point("u", "outlet-1")
Answer = bytes | None | Callable[[asyncio.StreamWriter], Awaitable[None]]
UPS = {
    b"VER": b"Network UPS Tools upsd 2.8.0 - http://www.networkupstools.org/\n",
    b"LIST UPS": b'BEGIN LIST UPS\nUPS u "a UPS"\nEND LIST UPS\n',
    b"LIST VAR u": (
        b'BEGIN LIST VAR u\nVAR u ups.status "OL"\nVAR u ups.realpower "60"\nVAR u battery.charge "100"\n'
        b'VAR u outlet.1.status "on"\nEND LIST VAR u\n'
    ),
    b"LIST CMD u": (
        b"BEGIN LIST CMD u\nCMD u outlet.1.load.on\nCMD u outlet.1.load.off\nCMD u test.battery.start.quick\n"
        b"END LIST CMD u\n"
    ),
    b"LIST RW u": b"BEGIN LIST RW u\nEND LIST RW u\n",
    b"LOGOUT": b"OK Goodbye\n",
}


class Scripted:
    """A server that answers as a test wishes; what it is not told of it answers with OK."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Answer] = dict(UPS)
        self.heard: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := (await reader.readline()).rstrip():
                self.heard.append(line)
                known = [answer for said, answer in self.answers.items() if line.startswith(said)]
                answer = known[-1] if known else b"OK\n"
                if callable(answer):
                    await answer(writer)
                elif answer is not None:
                    writer.write(answer)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A server to be told its lines."""
    script = Scripted()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    yield script
    server.close()
    await server.wait_closed()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for who will not answer."""
    monkeypatch.setattr(wire, "ANSWER", 1.0)
    monkeypatch.setattr(wire, "TRACKED", 0.2)
    monkeypatch.setattr(wire, "FAREWELL", 0.1)


async def for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b'VAR u ups.mfr "again"\n' * 1000)
        await writer.drain()


async def without_end(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "answer",
    [
        b'BEGIN LIST VAR other\nVAR other ups.status "OL"\nEND LIST VAR other\n',
        b'BEGIN LIST VAR u\nVAR other ups.status "OL"\nEND LIST VAR u\n',
        b'BEGIN LIST VAR u\nVAR u ups.status "OL\nEND LIST VAR u\n',
        b"BEGIN LIST VAR u\nVAR u a b c d\nEND LIST VAR u\n",
        b"OK\n",
        b"\xff\xfe\x00\n",
        b"\n",
        b'BEGIN LIST VAR u\nEND LIST VAR u\nVAR u ups.status "OL"\n',
        b"BEGIN LIST VAR u\n",
        None,
        for_ever,
        without_end,
        hangs_up,
        b"x" * (LONGEST + 1) + b"\n",
    ],
)
async def test_a_server_without_manners_is_unavailable(make: Make, scripted: Scripted, answer: Answer) -> None:
    """Other lists than asked for, garbage, lines and lists without end, silence, and hanging up: the pass fails with a
    sentence, nothing is left, and the next pass works where the server does."""
    async with leaves_nothing():
        backend = make(scripted.port)
        await backend.open()
        scripted.answers[b"LIST VAR u"] = answer
        with pytest.raises(Unavailable) as caught:
            await backend.read()
        assert len(str(caught.value).split()) >= 4
        scripted.answers[b"LIST VAR u"] = UPS[b"LIST VAR u"]
        assert not (await backend.read()).missing
        await backend.close()


async def test_more_than_a_line_holds_is_not_kept() -> None:
    """Of a line without end no more is kept than a line may have."""
    line = Line()
    line.data_received(b"x" * (LONGEST + 1))
    assert line.trouble == "the server sends a line without end"


async def test_many_answers_together_are_bounded(
    make: Make, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists that are each as long as one may be are not taken where together they are more than a server can tell."""
    backend = make(scripted.port)
    await backend.open()
    monkeypatch.setattr(wire, "WHOLE", sum(map(len, UPS.values())) // 2)
    with pytest.raises(Unavailable, match="far more than it was asked for"):
        await backend.read()


async def test_what_nobody_asked_for_ends_the_connection(make: Make, scripted: Scripted) -> None:
    """Lines between two passes are no answer to the next question: another connection is made for it."""
    talking: list[asyncio.StreamWriter] = []

    async def remembers(writer: asyncio.StreamWriter) -> None:
        talking.append(writer)
        writer.write(UPS[b"LIST UPS"])

    scripted.answers[b"LIST UPS"] = remembers
    backend = make(scripted.port)
    await backend.open()
    talking[0].write(b"OK\n")
    await talking[0].drain()
    result = None
    while len(set(map(id, talking))) == 1:  # until the line has arrived
        with contextlib.suppress(Unavailable):
            result = await backend.read()
    assert result is not None
    assert result.readings


async def test_a_server_that_refuses_its_list_is_unavailable(make: Make, scripted: Scripted) -> None:
    """Who may not even list the UPSs is told so."""
    scripted.answers[b"LIST UPS"] = b"ERR ACCESS-DENIED\n"
    with pytest.raises(Unavailable, match="does not list its UPSs: ACCESS-DENIED: "):
        await make(scripted.port).open()


async def test_a_user_that_is_refused_at_once_is_unavailable(make: Make, scripted: Scripted) -> None:
    """A server that refuses the password when it is given is not read with less rights."""
    scripted.answers[b"PASSWORD"] = b"ERR INVALID-PASSWORD\n"
    with pytest.raises(Unavailable, match="INVALID-PASSWORD: the password is wrong"):
        await make(scripted.port).open()


async def test_names_that_are_no_names_become_legal(make: Make, scripted: Scripted) -> None:
    """UPSs called with spaces or alike are entities with legal local names, each with its own."""
    scripted.answers[b"LIST UPS"] = b'BEGIN LIST UPS\nUPS "a b" ""\nUPS "a-b" ""\nUPS "..." ""\nEND LIST UPS\n'
    for name in (b"a b", b"a-b", b"..."):
        for kind in (b"VAR", b"CMD", b"RW"):
            question = b"LIST %b %b" % (kind, b'"a b"' if name == b"a b" else name)
            scripted.answers[question] = b"ERR DRIVER-NOT-CONNECTED\n"
    inventory = await make(scripted.port).open()
    assert [one.local for one in inventory.entities] == ["", "a-b", "a-b-2", "ups"]
    assert [one.name for one in inventory.entities[1:]] == ["a b", "a-b", "..."]


async def test_a_big_pdu_does_not_hold_the_loop(
    make: Make, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand variables of 48 outlets are surveyed and read without a step of more work than ten milliseconds'."""
    leaves = {"status": "on", "current": "1.25", "realpower": "280", "desc": r"a \"host\"", "switchable": "yes"}
    leaves |= {f"limit.{number}": str(number) for number in range(16)}
    told = "".join(f'VAR u outlet.{n}.{leaf} "{value}"\n' for n in range(1, 49) for leaf, value in leaves.items())
    scripted.answers[b"LIST VAR u"] = f"BEGIN LIST VAR u\n{told}END LIST VAR u\n".encode()
    commands = "".join(f"CMD u outlet.{n}.load.{to}\n" for n in range(1, 49) for to in ("on", "off"))
    scripted.answers[b"LIST CMD u"] = f"BEGIN LIST CMD u\n{commands}END LIST CMD u\n".encode()
    worked: list[float] = []
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        work = time.thread_time()
        run(handle)
        if "Scripted" not in repr(handle):  # the server is no part of the backend
            worked.append(time.thread_time() - work)

    backend = make(scripted.port)
    best = []
    for _ in range(5):  # the best of five, since the collector is not the backend's
        worked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", measured)
            inventory = await backend.open()
            result = await backend.read()
        best.append(max(worked))
    assert sum(one.switchable for one in inventory.entities[1].interfaces) == 48
    assert len(result.readings) == 48 * 3
    assert min(best) <= ten_milliseconds()


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("CMD-NOT-SUPPORTED", "the UPS has no such command"),
        ("INVALID-ARGUMENT", "did not understand an argument"),
        ("USERNAME-REQUIRED", "set nut/user-name"),
        ("DRIVER-NOT-CONNECTED", "its driver does not run"),
        ("FLUX-CAPACITOR", "the server says 'FLUX-CAPACITOR'"),
    ],
)
async def test_each_refusal_of_an_order_is_a_sentence(make: Make, scripted: Scripted, code: str, says: str) -> None:
    """What upsd answers to an order with ERR is Refused, with what it means."""
    backend = make(scripted.port)
    await backend.open()
    scripted.answers[b"INSTCMD"] = f"ERR {code}\n".encode()
    with pytest.raises(Refused, match=says):
        await backend.switch_supply(OUTLET, Supply.OFF)
    assert scripted.heard.count(b"INSTCMD u outlet.1.load.off") == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("answer", [None, hangs_up, b"perhaps\n", b"\n", without_end])
async def test_an_order_without_an_answer_is_not_sent_again(make: Make, scripted: Scripted, answer: Answer) -> None:
    """Silence, hanging up, and words that are neither yes nor no: the outcome is unknown, and nothing is repeated."""
    backend = make(scripted.port)
    await backend.open()
    scripted.answers[b"INSTCMD"] = answer
    with pytest.raises(OutcomeUnknown):
        await backend.switch_supply(OUTLET, Supply.OFF)
    assert (await backend.read()).readings
    assert scripted.heard.count(b"INSTCMD u outlet.1.load.off") == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (b"SUCCESS\n", None),
        (b"ERR FAILED\n", Refused),
        (b"ERR UNKNOWN\n", Refused),
        (b"ERR INVALID-ARGUMENT\n", Refused),
        (b"PENDING\n", OutcomeUnknown),
        (b"MAYBE\n", OutcomeUnknown),
        (hangs_up, OutcomeUnknown),
    ],
)
async def test_a_tracked_order_ends_as_the_driver_says(
    make: Make, scripted: Scripted, last: Answer, expected: type[Exception] | None
) -> None:
    """PENDING is asked again, for a while; then it is done, refused, or nobody knows."""
    backend = make(scripted.port)
    await backend.open()
    asked = 0

    async def pending(writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            writer.write(b"PENDING\n")
        elif callable(last):
            await last(writer)
        else:
            writer.write(last or b"")

    scripted.answers[b"INSTCMD"] = b"OK TRACKING 1b2f-77\n"
    scripted.answers[b"GET TRACKING 1b2f-77"] = pending
    if expected is None:
        await backend.test_battery(Point("u", battery="battery"))
    else:
        with pytest.raises(expected):
            await backend.test_battery(Point("u", battery="battery"))
    assert asked >= 3
    assert scripted.heard.count(b"INSTCMD u test.battery.start.quick") == 1


async def test_a_server_that_cannot_track_is_believed_at_its_word(make: Make, scripted: Scripted) -> None:
    """An older upsd refuses SET TRACKING; its OK is all there is."""
    scripted.answers[b"SET TRACKING"] = b"ERR INVALID-ARGUMENT\n"
    backend = make(scripted.port)
    await backend.open()
    await backend.switch_supply(OUTLET, Supply.ON)
    assert not any(line.startswith(b"GET TRACKING") for line in scripted.heard)


async def test_an_order_that_is_given_up_drops_the_connection(make: Make, scripted: Scripted) -> None:
    """After a deadline a late answer to an order never meets the next question."""
    backend = make(scripted.port)
    await backend.open()
    scripted.answers[b"INSTCMD"] = None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await backend.switch_supply(OUTLET, Supply.OFF)
    users = scripted.heard.count(b"USERNAME ems")
    result = await backend.read()
    assert scripted.heard.count(b"USERNAME ems") == users + 1
    assert {one.quantity for one in result.readings if one.point == OUTLET} == {Quantity.SUPPLY_STATE}


async def test_questions_in_one_batch_are_answered_each_by_itself(make: Make, scripted: Scripted) -> None:
    """An error in the midst of a batch is of one question; answers cut anywhere are put together."""

    async def in_pieces(writer: asyncio.StreamWriter) -> None:
        for octet in UPS[b"LIST VAR u"]:
            writer.write(bytes([octet]))
            await writer.drain()

    scripted.answers[b"LIST VAR u"] = in_pieces
    scripted.answers[b"LIST RW u"] = b"ERR FEATURE-NOT-SUPPORTED\r\n"
    backend = make(scripted.port)
    inventory = await backend.open()
    assert [one.name for one in inventory.entities[1].interfaces] == ["input", "output", "outlet-1"]
    assert (await backend.read()).readings
    question = Question("VER")
    await backend._connection.ask(question)
    assert question.lines[0].startswith("Network UPS Tools")

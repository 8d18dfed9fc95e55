"""The wire against devices that answer late, wrongly, or not at all, and against pymodbus' server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from eman_backends.modbus.registers import Block, Space
from eman_backends.modbus.tests.conftest import Devices, Relays
from eman_backends.modbus.tests.counterparts import free_port
from eman_backends.modbus.wire import CODES, Denied, Silent, Wire
from eman_netconf.backend import OutcomeUnknown, Refused, Unavailable

BLOCK = Block(Space.HOLDING, 10, 3)
UNIT = {"holding": dict.fromkeys(range(100), 0) | {10: 1, 11: 2, 12: 3}, "input": {7: 8}, "discrete": {1: 1}}
Wires = Callable[..., Wire]


@pytest.fixture
async def wire() -> AsyncIterator[Wires]:
    """Wires to a port of this machine."""
    made: list[Wire] = []

    def start(port: int, *, patience: float = 5.0, gap: float = 0.0) -> Wire:
        made.append(Wire("127.0.0.1", port, patience, gap))
        return made[-1]

    yield start
    for one in made:
        one.drop()


async def test_all_four_spaces_are_read(device: Devices, wire: Wires) -> None:
    """Registers and bits of every kind come as they are."""
    to = wire(device({1: {**UNIT, "coil": {0: 1, 1: 0, 2: 1}}}).port)
    assert await to.read(1, BLOCK) == [1, 2, 3]
    assert await to.read(1, Block(Space.INPUT, 7, 1)) == [8]
    assert await to.read(1, Block(Space.COIL, 0, 3)) == [1, 0, 1]
    assert await to.read(1, Block(Space.DISCRETE, 1, 1)) == [1]


@pytest.mark.parametrize(
    ("unit", "block", "code", "sentence"),
    [
        (1, Block(Space.INPUT, 500, 2), 2, "unit 1 says no: it has no such register"),
        (2, BLOCK, 11, "unit 2 says no: the unit does not answer the gateway"),
        (3, BLOCK, 10, "unit 3 says no: the gateway has no way to the unit"),
    ],
)
async def test_exceptions_are_sentences(
    unit: int, block: Block, code: int, sentence: str, device: Devices, wire: Wires
) -> None:
    """What a device refuses is told in words, with the number for those who decide by it."""
    to = wire(device({1: UNIT, 2: None}).port)
    with pytest.raises(Denied) as caught:
        await to.read(unit, block)
    assert (caught.value.code, str(caught.value)) == (code, sentence)
    assert isinstance(caught.value, Refused)


async def test_an_identification_is_read_to_its_end(device: Devices, wire: Wires) -> None:
    """The three objects of a basic identification come as texts."""
    identity = {0: "Sonnenwerk", 1: "SW", 2: "V1.2"}
    to = wire(device({1: {**UNIT, "identity": identity}, 2: UNIT}).port)
    assert await to.identity(1) == identity
    with pytest.raises(Denied):
        await to.identity(2)


# --- devices that lie -------------------------------------------------------------------------------------------------

FRAMES = {
    "another transaction": lambda answer: bytes((answer[0] ^ 1,)) + answer[1:],
    "transaction zero": lambda answer: b"\0\0" + answer[2:],
    "another protocol": lambda answer: answer[:2] + b"\0\1" + answer[4:],
    "another unit": lambda answer: answer[:6] + b"\7" + answer[7:],
    "another function": lambda answer: answer[:7] + b"\4" + answer[8:],
    "exception of another function": lambda answer: answer[:4] + b"\0\3" + answer[6:7] + b"\x84\2",
    "fewer registers": lambda answer: answer[:4] + b"\0\7" + answer[6:8] + b"\4" + answer[9:13],
    "more registers": lambda answer: answer[:4] + b"\0\x0b" + answer[6:8] + b"\x08" + answer[9:] + b"\0\0",
    "a length that is not there": lambda answer: answer[:8] + b"\xff" + answer[9:],
    "an odd length": lambda answer: answer[:8] + b"\5" + answer[9:],
    "a length of nothing": lambda answer: answer[:4] + b"\0\1" + answer[6:7],
    "a length beyond all": lambda answer: answer[:4] + b"\xff\xff" + answer[6:],
    "an exception without a code": lambda answer: answer[:4] + b"\0\2" + answer[6:7] + b"\x83",
}


@pytest.mark.parametrize("spoil", FRAMES.values(), ids=FRAMES.keys())
async def test_only_the_answer_to_the_question_is_believed(
    spoil: Callable[[bytes], bytes], relayed: Relays, wire: Wires
) -> None:
    """A frame that is not the answer is none, and the next question goes over a new connection and is answered."""
    relay = await relayed({1: UNIT})
    to = wire(relay.port)
    assert await to.read(1, BLOCK) == [1, 2, 3]
    relay.spoil = lambda question, answer: spoil(answer)
    with pytest.raises(Silent, match="unit 1"):
        await to.read(1, BLOCK)
    relay.spoil = lambda question, answer: answer
    assert await to.read(1, BLOCK) == [1, 2, 3]
    assert relay.connections == 2


async def test_a_late_answer_never_meets_the_next_question(relayed: Relays, wire: Wires) -> None:
    """What comes after patience ended is not taken for the answer to what was asked since."""
    relay = await relayed({1: UNIT})
    held: list[bytes] = []

    def late(question: bytes, answer: bytes) -> bytes | None:
        """Hold the first answer back, and send it before the second."""
        del question
        if not held:
            held.append(answer)
            return None
        return held[0] + answer

    to = wire(relay.port, patience=0.2)
    relay.spoil = late
    with pytest.raises(Silent, match="does not answer"):
        await to.read(1, BLOCK)
    with pytest.raises(Silent):
        await to.read(1, Block(Space.HOLDING, 20, 3))
    relay.spoil = lambda question, answer: answer
    assert await to.read(1, Block(Space.HOLDING, 20, 3)) == [0, 0, 0]


async def test_a_given_up_question_leaves_nothing_behind(relayed: Relays, wire: Wires) -> None:
    """After a cancellation the connection is made anew, so that its answer meets nobody."""
    relay = await relayed({1: UNIT})
    asked = asyncio.Event()

    def hold(question: bytes, answer: bytes) -> None:
        del question, answer
        asked.set()

    to = wire(relay.port)
    relay.spoil = hold
    reading = asyncio.ensure_future(to.read(1, BLOCK))
    await asked.wait()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    relay.spoil = lambda question, answer: answer
    assert await to.read(1, BLOCK) == [1, 2, 3]
    assert relay.connections == 2


async def test_a_connection_that_the_device_closed_is_made_again(relayed: Relays, wire: Wires) -> None:
    """A device that closes what is idle is asked over a new connection, and nobody notices."""
    relay = await relayed({1: UNIT})
    to = wire(relay.port)
    await to.read(1, BLOCK)
    await relay.stop()
    await relay.start()
    assert to._connection is not None
    with contextlib.suppress(ConnectionError):
        await to._connection[0].read()  # until the end has come through
    assert await to.read(1, BLOCK) == [1, 2, 3]


async def test_questions_wait_for_their_turn(relayed: Relays, wire: Wires) -> None:
    """Many at once are asked one after the other over one connection, and each gets its own answer."""
    relay = await relayed({1: {"holding": dict(enumerate(range(50)))}})
    to = wire(relay.port)
    told = await asyncio.gather(*(to.read(1, Block(Space.HOLDING, at, 1)) for at in range(50)))
    assert [one for (one,) in told] == list(range(50))
    assert relay.connections == 1


async def test_a_device_is_left_alone_between_questions(device: Devices, wire: Wires) -> None:
    """After each answer the wire waits for the gap before it asks again, and not before the first."""
    to = wire(device({1: UNIT}).port, gap=0.05)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await to.read(1, BLOCK)
    assert loop.time() - begun >= 0.1


# --- orders -----------------------------------------------------------------------------------------------------------


async def test_an_order_is_written(device: Devices, wire: Wires) -> None:
    """A coil, one register and several reach the device."""
    there = device({1: {**UNIT, "coil": {0: 0, 1: 0}}})
    to = wire(there.port)
    await to.write(1, Space.COIL, 1, (1,))
    await to.write(1, Space.HOLDING, 30, (17,))
    await to.write(1, Space.HOLDING, 40, (18, 19))
    assert there.get("coil", 1) == 1
    assert [there.get("holding", at) for at in (30, 40, 41)] == [17, 18, 19]


@pytest.mark.parametrize(
    ("code", "raised"),
    [(1, Denied), (2, Denied), (3, Denied), (4, Denied), (6, Unavailable), (10, Unavailable), (11, OutcomeUnknown)],
)
async def test_what_a_device_says_to_an_order(code: int, raised: type[Exception], relayed: Relays, wire: Wires) -> None:
    """A no is a no; busy or without a way it was not done; a unit that did not answer its gateway may have done it."""
    relay = await relayed({1: UNIT})
    relay.spoil = lambda question, answer: answer[:4] + b"\0\3" + answer[6:7] + bytes((answer[7] | 0x80, code))
    with pytest.raises(raised) as caught:
        await wire(relay.port).write(1, Space.HOLDING, 30, (17,))
    assert type(caught.value) is raised
    assert len(str(caught.value).split()) >= 3


async def test_an_order_that_takes_time_is_accepted(relayed: Relays, wire: Wires) -> None:
    """A device that acknowledges and goes on working has taken the order."""
    assert CODES[5]
    relay = await relayed({1: UNIT})
    relay.spoil = lambda question, answer: answer[:4] + b"\0\3" + answer[6:7] + bytes((answer[7] | 0x80, 5))
    await wire(relay.port).write(1, Space.HOLDING, 30, (17,))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: None,
        lambda answer: answer[:8] + b"\0\x1f" + answer[10:],
        lambda answer: b"\xff" + answer[1:],
        lambda answer: b"",
    ],
    ids=["lost", "of another register", "to another question", "nothing"],
)
async def test_an_order_without_its_answer_is_of_unknown_outcome(
    spoil: Callable[[bytes], bytes | None], relayed: Relays, wire: Wires
) -> None:
    """After it was sent nobody knows, and it is not sent again."""
    relay = await relayed({1: UNIT})
    relay.spoil = lambda question, answer: spoil(answer)
    with pytest.raises(OutcomeUnknown):
        await wire(relay.port, patience=0.3).write(1, Space.HOLDING, 30, (17,))
    assert relay.carried_out == 1


async def test_an_order_to_nobody_was_not_sent(wire: Wires) -> None:
    """Without a connection an order is unavailable, not unknown."""
    with pytest.raises(Unavailable, match="cannot be reached"):
        await wire(free_port()).write(1, Space.HOLDING, 30, (17,))


# --- pymodbus ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def simulator() -> AsyncIterator[int]:
    """The server of pymodbus with a few registers of unit 1."""
    blocks = [SimData(address, values=address, datatype=DataType.REGISTERS) for address in range(20)]
    port = free_port()
    server = ModbusTcpServer(SimDevice(id=1, simdata=blocks), address=("127.0.0.1", port))
    await server.listen()
    try:
        yield port
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


async def test_pymodbus_is_read_and_written(wire: Wires) -> None:
    """Another implementation of the protocol understands what we ask and order."""
    async with simulator() as port:
        to = wire(port)
        assert await to.read(1, Block(Space.HOLDING, 3, 4)) == [3, 4, 5, 6]
        await to.write(1, Space.HOLDING, 5, (500,))
        await to.write(1, Space.HOLDING, 6, (600, 700))
        assert await to.read(1, Block(Space.HOLDING, 4, 5)) == [4, 500, 600, 700, 8]
        with pytest.raises(Denied, match="no such register"):
            await to.read(1, Block(Space.HOLDING, 100, 1))
        to.drop()


async def test_transactions_begin_anew_before_they_do_not_fit(relayed: Relays, wire: Wires) -> None:
    """After 65535 comes 1, and the device answers both."""
    relay = await relayed({1: UNIT})
    to = wire(relay.port)
    to._transaction = 0xFFFE
    for _ in range(2):
        await to.read(1, BLOCK)
    assert [question[:2] for question in relay.questions] == [b"\xff\xff", b"\0\1"]

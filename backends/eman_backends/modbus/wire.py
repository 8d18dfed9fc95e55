"""One TCP connection to a Modbus device or gateway: one question at a time, and only its own answer is believed.

Requests and answers are encoded by pymodbus; the connection is ours (docs/decisions/0019-modbus.md). It is made when
there is none, and dropped whenever it is in doubt what the next octets on it will be: after silence, after a frame
that is not the answer, after a cancellation.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from typing import TypeVar

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
    WriteSingleCoilRequest,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from eman_backends.names import reached
from eman_netconf.backend import OutcomeUnknown, Refused, Unavailable

from .registers import Block, Space, text

HEADER = struct.Struct(">HHHB")  # transaction, protocol, octets that follow, unit (Messaging Guide 1.0b, section 3.1.3)
LONGEST = 254  # octets that may follow the length: unit and PDU
ERROR = 0x80  # in a function code: the device says no
IDENTITY_REQUESTS = 8  # an identification that needs more has no end

_READS: dict[Space, tuple[type[ModbusPDU], type[ModbusPDU]]] = {
    Space.INPUT: (ReadInputRegistersRequest, ReadInputRegistersResponse),
    Space.HOLDING: (ReadHoldingRegistersRequest, ReadHoldingRegistersResponse),
    Space.COIL: (ReadCoilsRequest, ReadCoilsResponse),
    Space.DISCRETE: (ReadDiscreteInputsRequest, ReadDiscreteInputsResponse),
}
_BITS = frozenset({Space.COIL, Space.DISCRETE})

#: What a device says when it refuses (Application Protocol 1.1b3, section 7).
CODES = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not take this value or this number of registers",
    4: "it failed while doing it",
    5: "it has taken the order and needs time for it",
    6: "it is busy",
    8: "its memory is faulty",
    10: "the gateway has no way to the unit",
    11: "the unit does not answer the gateway",
}
ACKNOWLEDGED, BUSY, NO_PATH, NO_TARGET = 5, 6, 10, 11
#: Not there, rather than not now: asking again tells the same.
LASTING = frozenset({1, 2, 3})

A = TypeVar("A", bound=ModbusPDU)


class Silent(Unavailable):
    """The unit was asked and gave no answer, or none that can be believed."""


class Denied(Refused):
    """The unit answered with an exception; ``code`` is its number."""

    def __init__(self, unit: int, code: int) -> None:
        super().__init__(f"unit {unit} says no: {CODES.get(code, f'it has a reason of its own, number {code}')}")
        self.code = code


class Wire:
    """The way to all units at one address. ``patience`` and ``gap`` are seconds; see ``settings.Target``."""

    def __init__(self, address: str, port: int, patience: float, gap: float) -> None:
        self._address = address
        self._port = port
        self._patience = patience
        self._gap = gap
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._transaction = 0
        self.connections = 0  # made so far
        self._quiet_until = 0.0  # by the clock of the loop

    def __str__(self) -> str:
        return f"{self._address} port {self._port}"

    async def read(self, unit: int, block: Block) -> Sequence[int]:
        """The registers of a block; coils are 0 or 1. Raises Unavailable, Silent, Denied."""
        question, answer = _READS[block.space]
        told = await self._ask(question(dev_id=unit, address=block.address, count=block.count), answer())
        values = [int(bit) for bit in told.bits] if block.space in _BITS else list(told.registers)
        expected = -(-block.count // 8) * 8 if block.space in _BITS else block.count
        if len(values) != expected:
            self.drop()
            raise Silent(f"unit {unit} was asked for {block.count} registers and gives {len(values)}")
        return values[: block.count]

    async def write(self, unit: int, space: Space, address: int, values: Sequence[int]) -> None:
        """Write a coil, a register or several. Raises Unavailable before it was sent, then Denied, OutcomeUnknown."""
        question: ModbusPDU
        answer: ModbusPDU
        if space is Space.COIL:
            question = WriteSingleCoilRequest(dev_id=unit, address=address, bits=[bool(values[0])])
            answer = WriteSingleCoilResponse()
        elif len(values) == 1:
            question = WriteSingleRegisterRequest(dev_id=unit, address=address, registers=list(values))
            answer = WriteSingleRegisterResponse()
        else:
            question = WriteMultipleRegistersRequest(dev_id=unit, address=address, registers=list(values))
            answer = WriteMultipleRegistersResponse()
        try:
            told = await self._ask(question, answer, order=True)
        except Denied as denied:
            if denied.code == ACKNOWLEDGED:
                return
            if denied.code == NO_TARGET:  # the gateway did pass it on
                raise OutcomeUnknown(f"unit {unit} was told and did not answer the gateway") from denied
            if denied.code in {NO_PATH, BUSY}:
                raise Unavailable(str(denied)) from denied
            raise
        if told.address != address:
            self.drop()
            raise OutcomeUnknown(f"unit {unit} was told to write register {address} and speaks of {told.address}")

    async def identity(self, unit: int) -> dict[int, str]:
        """What the unit says it is (function 43/14, basic): 0 maker, 1 product code, 2 revision. Raises as ``read``."""
        found: dict[int, str] = {}
        first = 0
        for _ in range(IDENTITY_REQUESTS):
            question = ReadDeviceInformationRequest(read_code=1, object_id=first, dev_id=unit)
            told = await self._ask(question, ReadDeviceInformationResponse())
            for number, value in told.information.items():
                said = text(value) if isinstance(value, bytes) else None
                if said is not None:
                    found[number] = said
            if not told.more_follows or told.next_object_id <= first:
                break
            first = told.next_object_id
        return found

    def drop(self) -> None:
        """Let go of the connection, if there is one; the next question makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection[1].transport.abort()  # nothing is left to be sent, so there is nothing to wait for

    async def _ask(self, question: ModbusPDU, answer: A, *, order: bool = False) -> A:
        """Send a question once and fill ``answer`` with what comes. Raises as ``read`` or ``write`` says."""
        async with self._turn:
            connection = await self._connected()
            loop = asyncio.get_running_loop()
            if (rest := self._quiet_until - loop.time()) > 0:
                await asyncio.sleep(rest)
            try:
                async with asyncio.timeout(self._patience):
                    pdu = await self._exchange(connection, question)
                if pdu[0] != question.function_code | (pdu[0] & ERROR):
                    raise ValueError("it answers something else")
                if not pdu[0] & ERROR:
                    answer.decode(pdu[1:])
            except (TimeoutError, OSError, EOFError) as error:
                self.drop()
                raise _doubt(question.dev_id, "does not answer", order=order) from error
            except (ValueError, IndexError, struct.error, ModbusException) as error:
                self.drop()
                raise _doubt(question.dev_id, "answers what cannot be understood", order=order) from error
            except BaseException:  # cancelled: a late answer must not meet the next question
                self.drop()
                raise
            finally:
                self._quiet_until = loop.time() + self._gap
        if pdu[0] & ERROR:
            raise Denied(question.dev_id, pdu[1])
        return answer

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], question: ModbusPDU
    ) -> bytes:
        """The PDU that answers. Raises ValueError for a frame that is not the answer, OSError, EOFError."""
        reader, writer = connection
        self._transaction = self._transaction % 0xFFFF + 1
        pdu = bytes((question.function_code,)) + question.encode()
        writer.write(HEADER.pack(self._transaction, 0, len(pdu) + 1, question.dev_id) + pdu)
        await writer.drain()
        transaction, protocol, length, unit = HEADER.unpack(await reader.readexactly(HEADER.size))
        if (transaction, protocol, unit) != (self._transaction, 0, question.dev_id) or not 2 < length <= LONGEST:
            raise ValueError("the frame belongs to another question")
        return await reader.readexactly(length - 1)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._connection is not None and (self._connection[0].at_eof() or self._connection[1].is_closing()):
            self.drop()  # the device closed what was idle
        if self._connection is None:
            try:
                async with asyncio.timeout(self._patience):
                    self._connection = await reached(
                        self._address, lambda address: asyncio.open_connection(address, self._port, limit=1024)
                    )
            except (OSError, TimeoutError) as error:
                raise Unavailable(f"{self} cannot be reached: {_why(error)}") from error
            self.connections += 1
        return self._connection


def _doubt(unit: int, what: str, *, order: bool) -> Unavailable | OutcomeUnknown:
    if order:
        return OutcomeUnknown(f"unit {unit} was given an order and {what}")
    return Silent(f"unit {unit} {what}")


def _why(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return error.strerror or str(error)

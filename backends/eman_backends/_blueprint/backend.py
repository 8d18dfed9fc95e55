"""One device that measures and switches one circuit, asked line by line over TCP: the smallest whole backend."""

from __future__ import annotations

import asyncio
from decimal import Decimal, InvalidOperation

from eman_netconf.backend import (
    Context,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Inventory,
    Method,
    OutcomeUnknown,
    Pass,
    Point,
    Quantity,
    Reading,
    Refused,
    Supply,
    Unavailable,
)

INPUT = "in"
OUTPUT = "out"
ANSWER = 2.0  # seconds the device may take for one line; shorter than the deadline of a whole pass
LONGEST = 256  # octets of a line


class Blueprint:
    """A way to one clamp. It has one connection, made when there is none and dropped when anything went wrong."""

    def __init__(self, address: str, port: int, context: Context) -> None:
        self._address = address
        self._port = port
        self._context = context
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()  # one question at a time, or answers would go to the wrong one

    async def open(self) -> Inventory:
        """Connect and ask who is there. Raises Unavailable."""
        model = await self._ask("model")
        interfaces = (
            InterfaceInfo(INPUT, Direction.INLET),
            InterfaceInfo(OUTPUT, Direction.OUTLET, switchable=True),
        )
        return Inventory((EntityInfo(model=model or None, category="meter", interfaces=interfaces),))

    async def read(self) -> Pass:
        """One pass. Raises Unavailable when the device answers nothing at all."""
        supply = await self._ask("supply")
        at = self._context.clock().wall
        readings = []
        missing = {}
        if supply in {Supply.ON, Supply.OFF}:
            readings.append(Reading(Point(interface=OUTPUT), Quantity.SUPPLY_STATE, Supply(supply), at))
        else:
            missing[Point(interface=OUTPUT)] = "the device tells neither on nor off"
        try:
            watts = Decimal(await self._ask("power"))
        except InvalidOperation:
            missing[Point()] = "the device does not tell its power as a number"
        else:
            if watts.is_finite():
                readings.append(
                    Reading(Point(), Quantity.ACTIVE_POWER, watts, at, method=Method.DIRECT_METER, accuracy=Decimal(2))
                )
        return Pass(tuple(readings), missing)

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        """Return when the device accepted it. Raises Refused, Unavailable, OutcomeUnknown."""
        if point != Point(interface=OUTPUT):
            raise Refused(f"{point.interface} cannot be switched; {OUTPUT} can")
        answer = await self._ask(supply.value, order=True)
        if answer != "done":
            raise Refused(f"the device says {answer!r}")

    async def close(self) -> None:
        """Let go of the connection; safe at any time and twice."""
        await self._drop()

    async def _ask(self, question: str, *, order: bool = False) -> str:
        """One line to the device, one line back.

        Raises Unavailable, or for an order that may have arrived OutcomeUnknown. Never asks twice.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER):
                    reader, writer = await self._connected()
            except (OSError, TimeoutError) as error:
                raise Unavailable(f"{self._address} port {self._port} cannot be reached") from error
            try:
                async with asyncio.timeout(ANSWER):
                    writer.write(f"{question}\n".encode())
                    await writer.drain()
                    line = await reader.readuntil()
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
                await self._drop()
                if order:
                    raise OutcomeUnknown(f"the device was told {question!r} and did not answer") from error
                raise Unavailable("the device does not answer") from error
            except BaseException:  # cancelled: a late answer must not meet the next question
                await self._drop()
                raise
        return line.decode(errors="replace").strip()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._connection is None:
            self._connection = await asyncio.open_connection(self._address, self._port, limit=LONGEST)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection[1].transport.abort()  # nothing is left to be sent, so there is nothing to wait for

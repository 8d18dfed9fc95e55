"""A relay between the backend and a device, which counts orders and can spoil the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SET = 0xA3  # the tag of a SetRequest-PDU


@dataclass
class Relay:
    """Passes questions on to the device, and its answers back to who asked last, as long as it is in the mood."""

    device: int
    port: int = 0
    silent: bool = False
    lying: bool = False
    forgetful: bool = False  # passes questions on, but no answers
    delay: float = 0.0  # seconds every answer comes late
    questions: int = 0
    orders: int = 0
    before_order: Callable[[], None] = lambda: None  # what happens before an order is passed on
    _front: Any = None
    _back: Any = None
    _asker: Any = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(
            lambda: _Ear(self._ask), local_addr=("127.0.0.1", self.port)
        )
        self._back, _ = await loop.create_datagram_endpoint(
            lambda: _Ear(self._answer), remote_addr=("127.0.0.1", self.device)
        )
        self.port = self._front.get_extra_info("sockname")[1]

    def stop(self) -> None:
        self._front.abort()
        self._back.abort()

    def _ask(self, question: bytes, asker: Any) -> None:
        self.questions += 1
        if is_order(question):
            self.orders += 1
            self.before_order()
        self._asker = asker
        self._back.sendto(question)

    def _answer(self, answer: bytes, _: Any) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._front.sendto, answer, self._asker)
            return
        if self.silent or self.forgetful:
            return
        if self.lying:
            self._front.sendto(answer[: len(answer) // 2], self._asker)
            answer = answer[:-1] + bytes([answer[-1] ^ 0xFF])
        self._front.sendto(answer, self._asker)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, heard: Any) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._heard(data, addr)


def is_order(datagram: bytes) -> bool:
    """Whether a message of SNMPv2c with short lengths at its head carries a SET."""
    position = 2 if datagram[1] < 0x80 else 2 + (datagram[1] & 0x7F)  # into the message
    for _ in range(2):  # past version and community
        position += 2 + datagram[position + 1]
    return datagram[position] == SET

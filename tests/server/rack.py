"""Devices at addresses of the loopback network, and a backend of them that can look for devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from eman_netconf.backend import Context, Finding, ForeignId, Misconfigured, Refused, Settings, Unavailable
from eman_netconf.server import plugins
from eman_netconf.server.plugins import Installed

COMMUNITY = "a word of ours"


class Device(asyncio.DatagramProtocol):
    """Who is asked at one address: counts the questions, and answers those that say its word."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.questions = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions += 1
        if self.answer is not None:
            self.transport.sendto((self.answer if data.decode() == COMMUNITY else "no").encode(), addr)


@dataclass
class Rack:
    """Devices at addresses of the loopback network, all at one port."""

    port: int = 0
    devices: dict[str, Device] = field(default_factory=dict)

    async def add(self, address: str, answer: str | None) -> None:
        loop = asyncio.get_running_loop()
        transport, device = await loop.create_datagram_endpoint(lambda: Device(answer), (address, self.port))
        self.port = transport.get_extra_info("sockname")[1]
        self.devices[address] = device

    def questions(self) -> Mapping[str, int]:
        return {address: device.questions for address, device in self.devices.items()}


@pytest.fixture
async def rack() -> AsyncIterator[Rack]:
    """Devices at .3, .4 and .6 of 127.0.7.0/29; at .2 and .5 somebody listens and is silent."""
    made = Rack()
    for last, answer in ((2, None), (3, "left"), (4, "right"), (5, None), (6, "left")):
        await made.add(f"127.0.7.{last}", answer)
    yield made
    for device in made.devices.values():
        device.transport.close()


class Question(asyncio.DatagramProtocol):
    """What came back from one address."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if not self.answered.done():
            self.answered.set_result(data.decode())

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(Unavailable(str(exc)))


class Asker:
    """The way to such devices: says the community, as far as the model of SNMP goes."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0
        self.asking = asyncio.Event()
        self.idle = asyncio.Event()

    async def probe(self, address: str, settings: Settings, context: Context) -> Finding | None:
        del context
        if "v3" in settings:
            raise Misconfigured("such devices know no users")
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.asking.set()
        self.idle.clear()
        transport, question = await asyncio.get_running_loop().create_datagram_endpoint(
            Question, remote_addr=(address, settings["port"])
        )
        try:
            transport.sendto(settings["v2c"]["community"].encode())
            answer = await question.answered
        finally:
            transport.close()
            self.under_way -= 1
            if not self.under_way:
                self.idle.set()
        if answer == "no":
            raise Refused(f"{settings['v2c']['community']!r} is not its word")
        if answer == "broken":
            raise ZeroDivisionError(settings["v2c"]["community"])
        return Finding(
            {**settings, "address": address},
            f"something called {answer}",
            name=answer,
            foreign_ids=(ForeignId("serial-number", f"{answer}-1"), ForeignId("unheard-of", "x")),
        )


@pytest.fixture
def asker() -> Asker:
    return Asker()


@pytest.fixture
def installed(asker: Asker) -> Mapping[str, Installed]:
    """The backends as installed, of which that of SNMP asks in its own way, and another cannot ask."""
    found = dict(plugins.find())
    return {**found, "snmp": replace(found["snmp"], plugin=replace(found["snmp"].plugin, probe=asker.probe))}

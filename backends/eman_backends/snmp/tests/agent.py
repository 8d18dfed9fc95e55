"""An SNMPv2c agent with manners to be chosen, for what no honest counterpart does."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

Oid = tuple[int, ...]
GET, GET_NEXT, GET_BULK, SET = v2c.GetRequestPDU, v2c.GetNextRequestPDU, v2c.GetBulkRequestPDU, v2c.SetRequestPDU


def oid(text: str) -> Oid:
    return tuple(int(number) for number in text.split("."))


@dataclass
class Agent:
    """Answers from ``values``; ``manner`` may answer instead: datagrams, or None to go on as usual."""

    values: Mapping[str, Any]
    manner: Callable[[Agent, Any, bytes], Iterable[bytes] | None] = lambda agent, pdu, datagram: None
    seen: list[type] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    port: int = 0
    version: int = 1  # of the last question, and so of its answer

    def __post_init__(self) -> None:
        self.tree = {oid(name): value for name, value in self.values.items()}
        self.order = sorted(self.tree)

    def answers(self, datagram: bytes) -> Iterable[bytes]:
        message, _ = decoder.decode(datagram, asn1Spec=v2c.Message())
        self.version = int(message[0])
        pdu = v2c.apiMessage.get_pdu(message)
        self.seen.append(type(pdu))
        self.sizes.append(len(v2c.apiPDU.get_varbinds(pdu)))
        instead = self.manner(self, pdu, datagram)
        return [self.answer(pdu)] if instead is None else instead

    def answer(
        self,
        pdu: Any,
        variables: Iterable[tuple[Any, Any]] | None = None,
        status: int = 0,
        at: int = 0,
        number: int | None = None,
    ) -> bytes:
        """A response with these variables, or with what the agent has."""
        response = v2c.ResponsePDU()
        v2c.apiPDU.set_defaults(response)
        v2c.apiPDU.set_request_id(response, v2c.apiPDU.get_request_id(pdu) if number is None else number)
        v2c.apiPDU.set_varbinds(response, list(self.found(pdu) if variables is None else variables))
        v2c.apiPDU.set_error_status(response, status)
        response.setComponentByPosition(2, at, verifyConstraints=False)
        message = v2c.Message()
        v2c.apiMessage.set_defaults(message)
        message.setComponentByPosition(0, self.version)
        v2c.apiMessage.set_community(message, "public")
        v2c.apiMessage.set_pdu(message, response)
        return bytes(encoder.encode(message))

    def fault(self, pdu: Any, status: int, at: int = 0) -> bytes:
        """An error, with the variables as they were asked for."""
        return self.answer(pdu, v2c.apiPDU.get_varbinds(pdu), status, at)

    def found(self, pdu: Any) -> Iterable[tuple[Any, Any]]:
        asked = [(tuple(name), value) for name, value in v2c.apiPDU.get_varbinds(pdu)]
        match pdu:
            case GET():
                for name, _ in asked:
                    yield name, self.tree.get(name, rfc1905.noSuchInstance)
            case SET():
                self.tree.update(asked)
                yield from asked
            case GET_BULK():
                for name, _ in asked:
                    start = bisect.bisect_right(self.order, name)
                    after = self.order[start : start + int(v2c.apiBulkPDU.get_max_repetitions(pdu))]
                    yield from ((one, self.tree[one]) for one in after)
                    if not after:
                        yield name, rfc1905.endOfMibView
            case _:
                for name, _ in asked:
                    after = [known for known in self.order if known > name][:1]
                    yield (after[0], self.tree[after[0]]) if after else (name, rfc1905.endOfMibView)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for answer in self.agent.answers(data):
            self.transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def serving(agent: Agent, host: str = "127.0.0.1") -> AsyncIterator[Agent]:
    """The agent on a free port of this machine."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Ear(agent), local_addr=(host, 0))
    agent.port = transport.get_extra_info("sockname")[1]
    try:
        yield agent
    finally:
        transport.close()


def switch(ports: int = 3) -> dict[str, Any]:
    """A small Ethernet switch that feeds its ports."""
    base = "1.3.6.1.2.1.105.1"
    values: dict[str, Any] = {
        "1.3.6.1.2.1.1.1.0": rfc1902.OctetString("a switch"),
        "1.3.6.1.2.1.1.2.0": rfc1902.ObjectName("1.3.6.1.4.1.9.1.1"),
        "1.3.6.1.2.1.1.3.0": rfc1902.TimeTicks(4711),
        "1.3.6.1.2.1.1.5.0": rfc1902.OctetString("switch-1"),
        f"{base}.3.1.1.2.1": rfc1902.Gauge32(370),
        f"{base}.3.1.1.3.1": rfc1902.Integer32(1),
        f"{base}.3.1.1.4.1": rfc1902.Gauge32(212),
    }
    for port in range(1, ports + 1):
        values[f"{base}.1.1.3.1.{port}"] = rfc1902.Integer32(1)
        values[f"{base}.1.1.6.1.{port}"] = rfc1902.Integer32(3 if port == 1 else 2)
        values[f"{base}.1.1.9.1.{port}"] = rfc1902.OctetString(f"desk {port}")
    return values

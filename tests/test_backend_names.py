"""Devices whose names nobody answers for hold up no others, nor anybody else who needs a thread."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest

from eman_backends import names
from eman_netconf.backend import Context, Now, Unavailable
from tests.backend_cases import packages, plugin_of
from tests.peer import PATIENCE

GETADDRINFO = socket.getaddrinfo
DEAD = 100  # more than the loop has threads

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "nut": {"unencrypted": True},
    "redfish": {"unencrypted": True},
    "modbus": {},
    "snmp": {"v2c": {"community": "public"}},
}


class Silence:
    """Servers of names that do not answer; the names they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()

    def ask(self, host: Any, *rest: Any, **more: Any) -> Any:
        if not str(host).endswith(".example"):
            return GETADDRINFO(host, *rest, **more)
        self.asked.append(str(host))
        self._loop.call_soon_threadsafe(self._more.set)
        self.over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    async def heard(self, count: int) -> None:
        """Return when so many names were asked for."""
        async with asyncio.timeout(PATIENCE):
            while len(self.asked) < count:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def silence(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Silence]:
    """Names of ``example`` are not resolved while the test runs."""
    made = Silence()
    monkeypatch.setattr(socket, "getaddrinfo", made.ask)
    yield made
    made.over.set()


@pytest.mark.parametrize("name", sorted(SETTINGS))
async def test_dead_names_take_no_threads_from_others(name: str, silence: Silence, tmp_path: Path) -> None:
    """While a hundred devices have names that do not resolve, other names do, and threads are free for others."""
    plugin = plugin_of(packages()[name])
    backends = [
        plugin.build(
            {"address": f"{number}.{name}.example", **SETTINGS[name]},
            Context(f"dead-{number}", lambda: Now(0.0, 0.0), random.Random(1), tmp_path, getLogger("dead")),
        )
        for number in range(DEAD)
    ]
    opening = [asyncio.create_task(backend.open()) for backend in backends]
    try:
        await silence.heard(DEAD)
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert await names.addresses("localhost")
    finally:
        for task, backend in zip(opening, backends, strict=True):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await task
            await backend.close()


async def test_a_name_is_looked_up_once_for_all_who_ask(silence: Silence) -> None:
    """Who asks for a name that is being looked up waits for the same answer, whoever else gives up."""
    asking = [asyncio.create_task(names.addresses("one.names.example")) for _ in range(3)]
    await silence.heard(1)
    asking[0].cancel()
    silence.over.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in told] == [asyncio.CancelledError, socket.gaierror, socket.gaierror]
    assert silence.asked == ["one.names.example"]


async def test_more_names_than_can_be_looked_up(silence: Silence, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name too many is refused at once, and an address needs no look-up."""
    monkeypatch.setattr(names, "MOST", 0)
    with pytest.raises(OSError, match="other names are being looked up"):
        await names.addresses("many.names.example")
    assert await names.addresses("192.0.2.1") == ("192.0.2.1",)
    assert await names.addresses("2001:db8::1") == ("2001:db8::1",)
    assert silence.asked == []


async def test_the_next_address_is_tried() -> None:
    """Of a name with several addresses the first that can be reached is taken, and the last fault is told."""
    tried: list[str] = []

    async def connect(address: str) -> str:
        tried.append(address)
        raise ConnectionRefusedError(address)

    with pytest.raises(ConnectionRefusedError):
        await names.reached("localhost", connect)
    assert tried == list(await names.addresses("localhost"))
    with pytest.raises(OSError, match="no name"):
        await names.addresses("a" * 70 + ".invalid")

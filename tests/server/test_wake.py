"""Magic packets: they go out over UDP, in their turn, and what cannot be sent is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from eman_netconf.energy.effects import Wake
from eman_netconf.energy.values import Magic, Outcome
from eman_netconf.server.wake import WAITING, Waker

MAC = "02:00:5e:10:00:12"
Told = asyncio.Queue[tuple[int, Outcome, str | None]]


@pytest.fixture
def told() -> Told:
    return asyncio.Queue()


@pytest.fixture
def waker(told: Told) -> Iterator[Waker]:
    made = Waker(lambda command, outcome, reason: told.put_nowait((command, outcome, reason)))
    yield made
    made.close()


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
def ear(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """A socket that hears, and its address."""
    family, address = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        try:
            made.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        made.settimeout(60)
        yield made, address


async def test_the_packet_arrives(waker: Waker, told: Told, ear: tuple[socket.socket, str]) -> None:
    """Exactly as it should be, and the core hears that it was sent."""
    magic = Magic(MAC, ear[1], ear[0].getsockname()[1])
    waker.send(Wake(7, "desk", magic))
    assert told.empty()
    assert await told.get() == (7, Outcome.ACCEPTED, None)
    assert ear[0].recv(2000) == magic.payload


async def test_several_go_one_after_the_other(waker: Waker, told: Told) -> None:
    """In the order in which they were asked for, each once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(60)
        macs = [f"02:00:5e:10:00:{number:02x}" for number in range(5)]
        for number, mac in enumerate(macs):
            waker.send(Wake(number, "desk", Magic(mac, "127.0.0.1", ear.getsockname()[1])))
        assert [(await told.get())[0] for _ in macs] == [0, 1, 2, 3, 4]
        heard = [ear.recv(2000)[-6:].hex(":") for _ in macs]
    assert heard == macs


@pytest.mark.parametrize("address", ["not-an-address", "::1%nowhere"])
async def test_what_cannot_be_sent_is_told(waker: Waker, told: Told, address: str) -> None:
    """With where it should have gone and why not; nobody is looked up by name."""
    waker.send(Wake(1, "desk", Magic(MAC, address, 9)))
    command, outcome, reason = await told.get()
    assert (command, outcome) == (1, Outcome.UNAVAILABLE)
    assert f"{address} port 9" in (reason or "")


async def test_no_more_than_so_many_wait(waker: Waker, told: Told) -> None:
    """The one too many is refused; what waited when the server closes is not sent."""
    for number in range(WAITING + 1):
        waker.send(Wake(number, "desk", Magic(MAC, "127.0.0.1", 9)))
    refused = await told.get()
    while refused[1] is Outcome.ACCEPTED:
        refused = await told.get()
    assert refused[:2] == (WAITING, Outcome.UNAVAILABLE)
    waker.close()

"""What ended sessions leave behind: nothing that only a collection of garbage would find."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.peer import PATIENCE, ssh_peer
from tests.server.conftest import Served


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collection of garbage meanwhile."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("politely", [True, False])
async def test_ended_session_is_freed_at_once(server: Served, keys: dict[str, Any], politely: bool) -> None:
    """Connection, channel and session go when the client does, though no collection of garbage runs."""
    freed: asyncio.Queue[object] = asyncio.Queue()
    async with ssh_peer(server.port, client_keys=[keys["ed25519"]]) as peer:
        (connection,) = server.ssh.connections
        (channel,) = connection._channels
        left = [weakref.ref(each, freed.put_nowait) for each in (connection, channel, connection._connection)]
        del connection, channel
        assert (await peer.rpc("<echo>here</echo>")).ok
        if politely:
            await peer.rpc('<close-session xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
            await peer.closed()
    async with asyncio.timeout(PATIENCE):
        for _ in left:
            await freed.get()

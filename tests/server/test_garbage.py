"""What ended sessions leave behind: nothing that only a collection of garbage would find."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.server.local import LocalServer
from tests.certificates import unix_peer
from tests.peer import PATIENCE, ssh_peer
from tests.server.conftest import Served, Wire


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


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("politely", [True, False])
async def test_ended_stream_is_freed_at_once(wire: Wire, tmp_path: Path, politely: bool) -> None:
    """The same for connections that carry one session each."""
    local = LocalServer(wire.sessions, lambda: wire.limits)
    close = local.listen(tmp_path / "socket", 0o600)
    freed: asyncio.Queue[object] = asyncio.Queue()
    async with unix_peer(tmp_path / "socket") as peer:
        (connection,) = local.connections.open
        left = weakref.ref(connection, freed.put_nowait)
        del connection
        assert (await peer.rpc("<echo>here</echo>")).ok
        if politely:
            await peer.rpc('<close-session xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
            await peer.closed()
    async with asyncio.timeout(PATIENCE):
        await freed.get()
    assert left() is None
    await close()

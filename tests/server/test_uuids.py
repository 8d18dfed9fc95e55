"""The uuids that the server gives."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid5

import pytest

from eman_netconf.server.daemon import _uuids
from eman_netconf.yang.schema import Schema
from tests.peer import Peer
from tests.server.running import EMAN, backends, edited, entity, get, link_until, serving, simulated


def test_uuids_are_of_names_in_the_space_of_the_server(tmp_path: Path) -> None:
    """Every name has its UUID of version 5 in a space that the server keeps over restarts."""
    given = _uuids(tmp_path)
    space = UUID((tmp_path / "namespace-uuid").read_text().strip())
    for name in ("", "srv-1", "srv-1/psu-1", "é" * 128):
        assert given(name) == str(uuid5(space, name)) == _uuids(tmp_path)(name)


async def _uuid(peer: Peer, id_: str) -> str | None:
    """The uuid of an entity as served."""
    return (await get(peer, entity(id_, "<uuid/>"))).findtext(f".//{{{EMAN}}}uuid")


@pytest.mark.req("d4.1", "r4.1", "d4.2", "r4.2")
async def test_a_device_keeps_its_uuid_over_being_configured_and_a_restart(tmp_path: Path, schema: Schema) -> None:
    """Discovered, configured, started again without the device: one uuid, which is the device's own."""
    state = tmp_path / "state"
    async with serving(state, schema) as server, server.peer() as admin:
        await edited(admin, backends(simulated("srv", "srv-02")))
        await link_until(admin, "srv", state="up")
        first = await _uuid(admin, "srv-02")
        assert first is not None
        assert first != _uuids(state)("srv-02")
        await edited(admin, entity("srv-02", "<name>Two</name>"))
        assert await _uuid(admin, "srv-02") == first
    async with serving(state, schema, installed={}) as server, server.peer() as admin:
        assert await _uuid(admin, "srv-02") == first

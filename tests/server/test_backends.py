"""A backend that cannot work has its own link closed with a reason, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from eman_netconf.server import plugins
from eman_netconf.server.plugins import Installed
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.server.running import (
    EMAN,
    NC,
    PATIENCE,
    backends,
    edit,
    edited,
    entity,
    get,
    link,
    link_until,
    running_config,
    serving,
    silent_device,
    simulated,
    site,
    snmp,
)


@pytest.fixture(scope="session")
def simulated_only() -> Mapping[str, Installed]:
    """What is installed when the SNMP backend is not."""
    return {name: installed for name, installed in plugins.find().items() if name == "simulated"}


@pytest.fixture(scope="session")
def small_schema(simulated_only: Mapping[str, Installed]) -> Schema:
    """The schema of a server without the SNMP backend."""
    installed = simulated_only["simulated"]
    return sources.load([installed.plugin.module], [installed.folder])


async def test_a_misconfigured_backend_says_why(tmp_path: Path, schema: Schema) -> None:
    """Settings its plugin cannot use: the link is closed with the plugin's words; mended, it comes up."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, backends(simulated("wrong", "no-such-box") + simulated("right", "srv-02")))
        await link_until(admin, "right", state="up")
        said = await link_until(admin, "wrong", state="closed")
        assert "misconfigured" in (said["last-error"] or "")
        assert "no-such-box" in (said["last-error"] or "")
        await edited(admin, backends(simulated("wrong", "srv-03")))
        await link_until(admin, "wrong", state="up")


async def test_a_plugin_that_cannot_be_found_says_so(
    tmp_path: Path, schema: Schema, simulated_only: Mapping[str, Installed]
) -> None:
    """The model is known and the plugin is not: closed, with its name."""
    async with serving(tmp_path / "state", schema, installed=simulated_only) as server, server.peer() as admin:
        await edited(admin, backends(snmp("pdu", 161) + simulated("srv", "srv-02")))
        await link_until(admin, "srv", state="up")
        assert (await link_until(admin, "pdu", state="closed"))["last-error"] == "no backend 'snmp' is installed"


async def test_an_uninstalled_backend_keeps_its_entry(
    tmp_path: Path,
    schema: Schema,
    simulated_only: Mapping[str, Installed],
    small_schema: Schema,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without the plugin and its model everything else works; the settings are kept aside, and the log says where."""
    state = tmp_path / "state"
    with silent_device() as port:
        async with serving(state, schema) as server, server.peer() as admin:
            devices = backends(snmp("pdu", port, timeout=0.2) + simulated("srv", "srv-02"))
            await edited(admin, site(devices, entity("a")))
        async with serving(state, small_schema, installed=simulated_only) as server, server.peer() as admin:
            await link_until(admin, "srv", state="up")
            said = await link_until(admin, "pdu", state="closed")
            assert "not installed any more" in (said["last-error"] or "")
            (aside,) = (state / "running").glob("set-aside-*.xml")
            assert "<community>$aes$" in aside.read_text()
            assert str(aside) in caplog.text
            assert b"<id>a</id>" in await running_config(admin)
            await edited(admin, entity("b"))
            refusal = await edit(admin, backends("<backend><name>new</name></backend>"))
            assert "protocol" in refusal.errors[0].message
        async with serving(state, small_schema, installed=simulated_only) as server, server.peer() as admin:
            assert b"<id>b</id>" in await running_config(admin)
        async with serving(state, schema) as server, server.peer() as admin:
            assert (await link_until(admin, "pdu", state="closed"))["last-error"]
            await edited(admin, backends(snmp("pdu", port, timeout=600)))
            await link_until(admin, "pdu", state="opening")


async def test_another_key_closes_only_what_needs_it(tmp_path: Path, schema: Schema) -> None:
    """A key file that does not open the stored secrets: their backends are closed and say so; the others work."""
    state = tmp_path / "state"
    with silent_device() as port:
        async with serving(state, schema) as server, server.peer() as admin:
            await edited(admin, backends(snmp("pdu", port, timeout=0.2) + simulated("srv", "srv-02")))
        (state / "secret.key").unlink()
        async with serving(state, schema) as server, server.peer() as admin:
            await link_until(admin, "srv", state="up")
            said = await link_until(admin, "pdu", state="closed")
            assert "encrypted with another key" in (said["last-error"] or "")
            await edited(admin, backends(snmp("pdu", port, timeout=600)))
            await link_until(admin, "pdu", state="opening")


async def test_a_disabled_backend_is_left_alone(tmp_path: Path, schema: Schema) -> None:
    """Disabled, its entities stay and are unreachable; enabled again they are reachable; removed, they go."""

    async def reachability() -> str | None:
        data = await get(admin, entity("srv-02", "<reachability/>"))
        return data.findtext(f".//{{{EMAN}}}reachability")

    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, backends(simulated("srv", "srv-02")))
        await link_until(admin, "srv", state="up")
        await edited(admin, backends("<backend><name>srv</name><enabled>false</enabled></backend>"))
        await link_until(admin, "srv", state="closed")
        assert await reachability() == "unreachable"
        await edited(admin, backends("<backend><name>srv</name><enabled>true</enabled></backend>"))
        await link_until(admin, "srv", state="up")
        assert await reachability() == "reachable"
        await edited(admin, backends("<backend><name>srv</name><enabled>false</enabled></backend>"))
        await edited(admin, backends(f'<backend xmlns:nc="{NC}" nc:operation="delete"><name>srv</name></backend>'))
        async with asyncio.timeout(PATIENCE):
            while await reachability() is not None:
                pass
        assert await link(admin, "srv") == {}

"""What a probe says of who is at an address."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path
from typing import Any

import pytest

from eman_backends.snmp import PLUGIN
from eman_backends.snmp import client as seam
from eman_backends.snmp.tests.agent import GET_BULK, SET, Agent, serving, switch
from eman_backends.snmp.tests.counterparts import AUTH_KEY, PRIV_KEY, snmpd, snmpsim
from eman_netconf.backend import Context, Finding, Misconfigured, Now, Unavailable

V3 = {
    "user-name": "sha256-aes128",
    "auth-protocol": "sha256",
    "auth-key": AUTH_KEY,
    "priv-protocol": "aes128",
    "priv-key": PRIV_KEY,
}


async def probed(settings: dict[str, Any], tmp_path: Path) -> Finding | None:
    context = Context(
        "it", lambda: Now(time.time(), time.monotonic()), random.Random(1), tmp_path, logging.getLogger(__name__)
    )
    assert PLUGIN.probe is not None
    return await PLUGIN.probe("127.0.0.1", settings, context)


@pytest.mark.parametrize("version", ["v1", "v2c"])
async def test_a_rack_pdu_is_named_with_its_tables(tmp_path: Path, version: str) -> None:
    """The finding says who made the device, which model it is, what reads it, and over which version it answered."""
    settings: dict[str, Any] = {"port": snmpsim().port, version: {"community": "apc-8641"}}
    found = await probed(settings, tmp_path)
    assert found is not None
    assert found.title == f"APC AP8641, read as apc-rpdu2, over SNMP{version}"
    assert (found.manufacturer, found.model) == ("APC", "AP8641")
    assert found.name
    assert "serial-number" in {one.kind for one in found.foreign_ids}
    assert found.settings == {**settings, "address": "127.0.0.1"}


async def test_a_device_of_version_3_is_found_with_its_user(tmp_path: Path) -> None:
    """A device that asks for authentication and privacy is found by who has both."""
    found = await probed({"port": snmpd().port, "v3": V3}, tmp_path)
    assert found is not None
    assert found.title.endswith("read as rfc3621-poe, over SNMPv3")


@pytest.mark.parametrize("credentials", [{"v3": {**V3, "auth-key": "not this key"}}, {"v2c": {"community": "secret"}}])
async def test_wrong_credentials_find_nothing(tmp_path: Path, credentials: dict[str, Any]) -> None:
    """Who does not answer to these credentials is not found; other versions are not tried, and no secret is told."""
    with pytest.raises(Unavailable) as caught:
        await probed({"port": snmpd().port, "retries": 0, **credentials}, tmp_path)
    assert "secret" not in str(caught.value)
    assert "this key" not in str(caught.value)


async def test_what_suits_the_device_is_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without GETBULK is found with bulk false, and nothing is written to it."""
    monkeypatch.setattr(seam, "ANSWER", 2.0)
    agent = Agent(switch(), lambda agent, pdu, _: [agent.fault(pdu, 5, 1)] if type(pdu) is GET_BULK else None)
    async with serving(agent):
        found = await probed({"port": agent.port, "v2c": {"community": "public"}}, tmp_path)
    assert found is not None
    assert found.settings["bulk"] is False
    assert found.title == "a switch, read as rfc3621-poe, over SNMPv2c"
    assert found.name == "switch-1"
    assert SET not in agent.seen


async def test_a_device_that_fits_no_table_is_found(tmp_path: Path) -> None:
    """Whoever speaks SNMP is found, also where nothing is known of it."""
    values = {name: value for name, value in switch().items() if not name.startswith("1.3.6.1.2.1.105")}
    async with serving(Agent(values)) as agent:
        found = await probed({"port": agent.port, "v2c": {"community": "public"}}, tmp_path)
    assert found is not None
    assert found.title == "a switch, which fits no table, over SNMPv2c"


async def test_settings_that_cannot_work_are_misconfigured(tmp_path: Path) -> None:
    """Without credentials nothing is asked."""
    with pytest.raises(Misconfigured, match="one of snmp/v1"):
        await probed({"port": 161}, tmp_path)

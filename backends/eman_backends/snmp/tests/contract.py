"""What the contract tests are given: a rack PDU replayed by snmpsim, behind a relay that can spoil the way to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eman_backends.snmp import PLUGIN
from eman_backends.snmp.tests.counterparts import free_port, snmpsim
from eman_backends.snmp.tests.relay import Relay
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings


@dataclass
class Case:
    """See docs/backends.md."""

    settings: Settings
    relay: Relay
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no address": {"v2c": {"community": "public"}},
            "no version": {"address": "127.0.0.1"},
            "no such port": {"address": "127.0.0.1", "port": 70000, "v2c": {"community": "public"}},
            "no such table": {"address": "127.0.0.1", "v2c": {"community": "public"}, "table": ["toaster"]},
            "short key": {
                "address": "127.0.0.1",
                "v3": {"user-name": "eman", "auth-protocol": "sha256", "auth-key": "short"},
            },
        }
    )
    orders: tuple[Command, ...] = (
        Command(1, "", CommandKind.SWITCH_SUPPLY, Point(interface="outlet-3"), "off", 5.0),
        Command(2, "", CommandKind.SWITCH_SUPPLY, Point(interface="outlet-3"), "on", 5.0),
    )

    async def die(self) -> None:
        self.relay.stop()

    async def revive(self) -> None:
        await self.relay.start()

    async def dawdle(self) -> None:
        self.relay.silent = True

    async def lie(self) -> None:
        self.relay.lying = True

    async def lose_answers(self) -> None:
        self.relay.forgetful = True

    def carried_out(self) -> int:
        return self.relay.orders


@contextlib.asynccontextmanager
async def subject(tmp_path: Path) -> AsyncIterator[Case]:
    """A device that works, until a test spoils it."""
    del tmp_path
    device = await asyncio.to_thread(snmpsim)
    relay = Relay(device.port)
    await relay.start()
    settings = {
        "address": "127.0.0.1",
        "port": relay.port,
        "v2c": {"community": "apc-7902b-writable"},
        "traps": {"listen": "127.0.0.1", "port": free_port()},
    }
    try:
        yield Case(settings, relay)
    finally:
        relay.stop()

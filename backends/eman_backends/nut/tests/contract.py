"""What the contract tests are given: Debian's upsd with two UPSs, behind a relay that can spoil the way to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eman_backends.nut import PLUGIN
from eman_backends.nut.tests.counterparts import PASSWORD, USER, shared
from eman_backends.nut.tests.relay import Relay
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings


@dataclass
class Case:
    """See docs/backends.md."""

    settings: Settings
    relay: Relay
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no address": {"user-name": "ems", "password": "secret"},
            "no such port": {"address": "127.0.0.1", "port": 70000},
            "no password": {"address": "127.0.0.1", "user-name": "ems"},
            "a line in the name": {"address": "127.0.0.1", "device": "ups\nLOGOUT"},
            "two ways to choose": {"address": "127.0.0.1", "device": "rack", "ups": ["desk"]},
            "two ways to trust": {"address": "127.0.0.1", "tls": {"ca-file": "/a", "fingerprint": "00" * 32}},
            "short fingerprint": {"address": "127.0.0.1", "tls": {"fingerprint": "00:11"}},
            "no such factor": {"address": "127.0.0.1", "assumed-power-factor": 2},
        }
    )
    orders: tuple[Command, ...] = (
        Command(1, "", CommandKind.SWITCH_SUPPLY, Point("rack", interface="outlet-1"), "off", 5.0),
        Command(2, "", CommandKind.SWITCH_SUPPLY, Point("rack", interface="outlet-1"), "on", 5.0),
    )

    async def die(self) -> None:
        await self.relay.stop()

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
    """A server that works, until a test spoils it."""
    del tmp_path
    server = await asyncio.to_thread(shared)
    relay = Relay(server.port)
    await relay.start()
    settings = {"address": "127.0.0.1", "port": relay.port, "user-name": USER, "password": PASSWORD}
    try:
        yield Case(settings, relay)
    finally:
        await relay.stop()

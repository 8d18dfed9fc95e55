"""What the contract tests are given: a system of sushy-tools' emulator, behind a service of ours that adds sessions."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eman_backends.redfish import PLUGIN
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings

from .bmc import Bmc, serving
from .counterparts import shared_emulator


@dataclass
class Case:
    """See docs/backends.md."""

    bmc: Bmc
    settings: Settings
    behind: tuple[str, int]
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no address": {"user-name": "eman", "password": "secret"},
            "an address with a path": {"address": "bmc-1/redfish"},
            "no such port": {"address": "127.0.0.1", "port": 70000},
            "a user without password": {"address": "127.0.0.1", "user-name": "eman"},
            "two to trust": {"address": "127.0.0.1", "ca-file": "/etc/ca.pem", "fingerprint": "00" * 32},
            "half a fingerprint": {"address": "127.0.0.1", "fingerprint": "00" * 16},
        }
    )
    orders: tuple[Command, ...] = (
        Command(1, "", CommandKind.SET_POWER_STATE, Point(), "redfish-on", 5.0),
        Command(2, "", CommandKind.SET_POWER_STATE, Point(), "redfish-force-off", 5.0),
    )

    async def die(self) -> None:
        await self.bmc.stop()

    async def revive(self) -> None:
        await self.bmc.start()

    async def dawdle(self) -> None:
        self.bmc.silent = True

    async def lie(self) -> None:
        self.bmc.lying = True

    async def lose_answers(self) -> None:
        self.bmc.forgetful = True

    def carried_out(self) -> int:
        return len(self.bmc.orders)


@contextlib.asynccontextmanager
async def subject(tmp_path: Path) -> AsyncIterator[Case]:
    """A device that works, until a test spoils it."""
    del tmp_path
    device = await asyncio.to_thread(shared_emulator)
    async with serving(Bmc(upstream=device.port)) as bmc:
        bmc.requests = deque(maxlen=64)  # for tests that look at what is kept
        yield Case(bmc, bmc.settings(), ("127.0.0.1", device.port))

"""The devices that the contract tests put behind this backend: an inverter and relays served by modbus-serial."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eman_backends.modbus import PLUGIN
from eman_backends.modbus.tests.counterparts import COMMON, Device, relays, sunspec
from eman_backends.modbus.tests.plant import CONTROLS, INVERTER, NAMEPLATE
from eman_backends.modbus.tests.relay import WRITES, Relay
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings


@dataclass
class Case:
    """What the contract tests are given; see docs/backends.md."""

    settings: Settings
    relay: Relay
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no address": {"port": 502},
            "no such port": {"address": "127.0.0.1", "port": 70000},
            "no such table": {"address": "127.0.0.1", "unit": [{"id": 1, "table": "abacus"}]},
            "two without a name": {"address": "127.0.0.1", "unit": [{"id": 1}, {"id": 2}]},
            "no such unit": {"address": "127.0.0.1", "unit": [{"id": 256}]},
            "no patience": {"address": "127.0.0.1", "answer-time": 0},
        }
    )
    orders: tuple[Command, ...] = (
        Command(1, "", CommandKind.SWITCH_SUPPLY, Point("board", "relay-1"), "off", 5.0),
        Command(2, "", CommandKind.SWITCH_SUPPLY, Point("inverter", "ac"), "off", 5.0),
    )

    async def die(self) -> None:
        await self.relay.stop()

    async def revive(self) -> None:
        await self.relay.start()

    async def dawdle(self) -> None:
        self.relay.spoil = lambda question, answer: None

    async def lie(self) -> None:
        chance = random.Random(1)

        def garbage(question: bytes, answer: bytes) -> bytes:
            """By turns: other registers, a frame cut short in its PDU, noise, the answer to something else."""
            del question
            noise = chance.randbytes(len(answer) - 9)
            return chance.choice(
                [
                    answer[:9] + noise,
                    answer[:4] + b"\x00\x03" + answer[6:9],
                    chance.randbytes(40),
                    chance.randbytes(2) + answer[2:],
                ]
            )

        self.relay.spoil = garbage

    async def lose_answers(self) -> None:
        self.relay.spoil = lambda question, answer: None if question[7] in WRITES else answer

    def carried_out(self) -> int:
        return self.relay.carried_out


@contextlib.asynccontextmanager
async def subject(tmp_path: Path) -> AsyncIterator[Case]:
    """An inverter and a board of relays that work, until a test spoils them."""
    del tmp_path
    inverter = sunspec((1, COMMON), (103, INVERTER), (120, NAMEPLATE), (123, CONTROLS))
    device = await asyncio.to_thread(Device, {1: inverter, 2: relays()})
    relay = Relay(device.port)
    await relay.start()
    units = [{"id": 1, "name": "inverter"}, {"id": 2, "name": "board", "table": "waveshare-relay-8"}]
    try:
        yield Case(
            {"address": "127.0.0.1", "port": relay.port, "answer-time": 0.5, "unit": units},
            relay,
        )
    finally:
        await relay.stop()
        await asyncio.to_thread(device.close)

"""The box that the contract tests put behind this backend: a rack strip of the demo site."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from eman_backends.simulated import PLUGIN
from eman_backends.simulated.backend import site_of
from eman_backends.simulated.site import Fault, Site
from eman_netconf.backend import Command, CommandKind, Plugin, Point, Settings

BOX = "pdu-a"


@dataclass
class Case:
    """What the contract tests are given; see docs/backends.md."""

    directory: Path
    settings: Settings = field(default_factory=lambda: {"box": BOX, "scenario": "demo"})
    plugin: Plugin = PLUGIN
    bad_settings: Mapping[str, Settings] = field(
        default_factory=lambda: {
            "no box": {"scenario": "demo"},
            "no such box": {"box": "pdu-z", "scenario": "demo"},
            "no such scenario": {"box": BOX, "scenario": "atlantis"},
            "an empty scenario": {"box": BOX, "scenario": ""},
        }
    )
    orders: tuple[Command, ...] = (
        Command(1, "", CommandKind.SWITCH_SUPPLY, Point(interface="outlet-16"), "off", 5.0),
        Command(2, "", CommandKind.SWITCH_SUPPLY, Point(interface="outlet-16"), "on", 5.0),
    )

    @cached_property
    def site(self) -> Site:
        """The site that an open backend has built, which from now on outlives it as a real one does."""
        return site_of(self.directory)

    def die(self) -> None:
        self.site.faults[BOX] = Fault.DEAD

    def revive(self) -> None:
        self.site.faults.pop(BOX)

    def dawdle(self) -> None:
        self.site.faults[BOX] = Fault.SLOW

    def lie(self) -> None:
        self.site.faults[BOX] = Fault.LYING

    def lose_answers(self) -> None:
        self.site.faults[BOX] = Fault.DEAF

    def carried_out(self) -> int:
        return self.site.carried_out.get(BOX, 0)


@contextlib.asynccontextmanager
async def subject(tmp_path: Path) -> AsyncIterator[Case]:
    """A box that works, until a test spoils it."""
    yield Case(tmp_path / "state")

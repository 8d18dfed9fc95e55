"""The backends that are asked whether they keep the contract, and the devices they are asked with.

Each backend offers ``tests/contract.py`` in its own folder with ``subject(tmp_path)``, an asynchronous context
manager that yields a case: a device that works, how to reach it, and what can be done to it. docs/backends.md
describes it; eman_backends/_blueprint/tests/contract.py is one to copy.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.backend import (
    Backend,
    Command,
    CommandKind,
    Context,
    LimitsPower,
    Now,
    Plugin,
    SetsPowerState,
    StartsBatteryTest,
    Supply,
    SwitchesSupply,
)

PATIENCE = 60.0  # seconds after which a backend counts as one that does not end by itself
AWAITS = 25  # how many awaits of one call are cancelled at, one after the other


def packages() -> dict[str, str]:
    """The package of every backend to be asked, by the plugin's name."""
    found = {point.name: point.module for point in entry_points(group="eman_netconf.backends")}
    return {"blueprint": "eman_backends._blueprint", **found}


def plugin_of(package: str) -> Plugin:
    """What the package offers the server."""
    plugin = importlib.import_module(package).PLUGIN
    assert isinstance(plugin, Plugin)
    return plugin


def folder(package: str) -> Path:
    """Where the package has its papers."""
    return Path(str(importlib.import_module(package).__file__)).parent


@contextlib.asynccontextmanager
async def device(package: str, tmp_path: Path) -> AsyncIterator[Any]:
    """The case of a backend: a device that works, and the way to it."""
    subject = importlib.import_module(f"{package}.tests.contract").subject(tmp_path)
    if inspect.isawaitable(subject):
        subject = await subject
    async with subject as case:
        yield case


def context(tmp_path: Path) -> Context:
    """What a backend is given that is built in a test."""
    return Context(
        name="it",
        clock=lambda: Now(time.time(), time.monotonic()),
        random=random.Random(1),
        directory=tmp_path / "state",
        log=logging.getLogger("eman_netconf.backend.it"),
    )


async def hook(case: Any, name: str) -> None:
    """Do something to the device, or skip where the fixture cannot."""
    does = getattr(case, name, None)
    if does is None:
        pytest.skip(f"the fixture of {case.plugin.name} cannot {name.replace('_', ' ')}")
    done = does()
    if inspect.isawaitable(done):
        await done


def carry_out(backend: Backend, command: Command) -> Awaitable[None]:
    """Have a backend do what the command says."""
    match command.kind:
        case CommandKind.SET_POWER_STATE:
            assert isinstance(backend, SetsPowerState)
            return backend.set_power_state(command.point, str(command.value))
        case CommandKind.SWITCH_SUPPLY:
            assert isinstance(backend, SwitchesSupply)
            return backend.switch_supply(command.point, Supply(str(command.value)))
        case CommandKind.LIMIT_POWER:
            assert isinstance(backend, LimitsPower)
            assert not isinstance(command.value, str)
            return backend.limit_power(command.point, command.value)
        case CommandKind.TEST_BATTERY:
            assert isinstance(backend, StartsBatteryTest)
            return backend.test_battery(command.point)

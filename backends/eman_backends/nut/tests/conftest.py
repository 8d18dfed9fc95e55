"""What the tests of this backend share."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eman_backends.nut import PLUGIN
from eman_backends.nut.backend import Nut
from eman_backends.nut.tests.counterparts import DESK, PASSWORD, RACK, USER, Upsd, shared
from eman_netconf.backend import Context, Now

Make = Callable[..., Nut]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What a backend is given."""
    return Context(
        name="it",
        clock=lambda: Now(time.time(), time.monotonic()),
        random=random.Random(7),
        directory=tmp_path,
        log=logging.getLogger("eman_netconf.backend.it"),
    )


@pytest.fixture
async def make(context: Context) -> AsyncIterator[Make]:
    """Makes backends of a port and further settings, with a user who may all, and closes them in the end."""
    made: list[Nut] = []

    def build(port: int, **more: Any) -> Nut:
        settings = {"address": "127.0.0.1", "port": port, "user-name": USER, "password": PASSWORD, **more}
        backend = PLUGIN.build({name: value for name, value in settings.items() if value is not None}, context)
        assert isinstance(backend, Nut)
        made.append(backend)
        return backend

    yield build
    for backend in made:
        await backend.close()


@pytest.fixture
async def upsd() -> Upsd:
    """A upsd with two UPSs that no test changes."""
    return await asyncio.to_thread(shared)


@pytest.fixture
def own() -> Iterator[Upsd]:
    """A upsd with two UPSs for one test, to be changed, killed and started again."""
    server = Upsd({"rack": RACK, "desk": DESK}).start()
    yield server
    server.stop()

"""What the tests of this backend share."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from eman_backends.redfish.backend import Redfish
from eman_backends.redfish.settings import target
from eman_netconf.backend import Context, Now

from .bmc import Bmc

Make = Callable[..., Redfish]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(
        name="it",
        clock=lambda: Now(time.time(), time.monotonic()),
        random=random.Random(7),
        directory=tmp_path,
        log=logging.getLogger("eman_netconf.backend.it"),
    )


@pytest.fixture
async def make(context: Context) -> AsyncIterator[Make]:
    """Makes backends, of a service of ours or of settings, and closes them in the end."""
    made: list[Redfish] = []

    def build(of: Bmc | dict[str, Any], **more: Any) -> Redfish:
        settings = of.settings(**more) if isinstance(of, Bmc) else {**of, **more}
        made.append(Redfish(target(settings), context))
        return made[-1]

    yield build
    for backend in made:
        await backend.close()

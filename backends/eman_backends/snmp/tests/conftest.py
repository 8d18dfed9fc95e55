"""What the tests of this backend share."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eman_backends.snmp.backend import Snmp
from eman_backends.snmp.fast import INSTALLED
from eman_backends.snmp.settings import Target
from eman_backends.snmp.tables import load
from eman_netconf.backend import Context, Now
from tests.programs import missing

Make = Callable[[Target], Snmp]


@pytest.fixture(params=["fast", "complete"])
def fast(request: pytest.FixtureRequest) -> bool:
    """Each of the two paths; the fast one where its library is installed."""
    if request.param == "fast" and not INSTALLED:
        missing("gufo-snmp", "gufo-snmp, of the extra fast")
    return bool(request.param == "fast")


@pytest.fixture
async def make(tmp_path: Path, fast: bool) -> AsyncIterator[Make]:
    """Makes backends, and closes them in the end."""
    made: list[Snmp] = []

    def build(target: Target) -> Snmp:
        context = Context(
            name="it",
            clock=lambda: Now(time.time(), time.monotonic()),
            random=random.Random(7),
            directory=tmp_path,
            log=logging.getLogger("eman_netconf.backend.it"),
        )
        made.append(Snmp(target, load(), context, fast=fast))
        return made[-1]

    yield build
    for backend in made:
        await backend.close()

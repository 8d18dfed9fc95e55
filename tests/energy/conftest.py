"""What the tests of the energy core share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eman_netconf.yang.schema import Schema
from tests.energy.bench import Bench


@pytest.fixture
def bench(schema: Schema) -> Bench:
    """A domain without configuration and devices, started."""
    return Bench(schema).boot()


@pytest.fixture(scope="session")
def boot(schema: Schema) -> Callable[[], Bench]:
    """Makes such a domain for each example of a property."""

    def make() -> Bench:
        return Bench(schema).boot()

    return make

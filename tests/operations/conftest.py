"""What the tests of operations share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema
from tests.datastore.toy import MODELS
from tests.operations.bench import Bench, bench


@pytest.fixture(scope="session")
def toy() -> Schema:
    """A small schema with every kind of node, beside the modules of NETCONF."""
    return compile_schema(
        ("toy", *sources.STANDARD),
        [MODELS, sources.unlisted_models(), *sources.standard_models()],
        features=sources.FEATURES,
        unlisted=sources.UNLISTED,
    )


@pytest.fixture
async def site(tmp_path: Path, toy: Schema) -> AsyncIterator[Bench]:
    """A server of the small schema without configuration."""
    async with bench(tmp_path / "state", toy) as made:
        yield made

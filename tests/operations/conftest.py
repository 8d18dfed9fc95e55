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
    return small_schema()


@pytest.fixture(scope="session")
def starting() -> Schema:
    """The small schema with the feature startup."""
    return small_schema("startup")


@pytest.fixture(scope="session")
def filing() -> Schema:
    """The small schema with the feature url."""
    return small_schema("url")


def small_schema(*more: str) -> Schema:
    """The small schema with more features of ietf-netconf than are always there."""
    return compile_schema(
        ("toy", *sources.STANDARD),
        [MODELS, sources.unlisted_models(), *sources.standard_models()],
        features={**sources.FEATURES, "ietf-netconf": sources.FEATURES["ietf-netconf"] | {*more}},
        unlisted=sources.UNLISTED,
    )


@pytest.fixture
async def site(tmp_path: Path, toy: Schema) -> AsyncIterator[Bench]:
    """A server of the small schema without configuration."""
    async with bench(tmp_path / "state", toy) as made:
        yield made

"""What the tests of datastores share."""

from __future__ import annotations

import pytest

from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema
from tests.datastore.toy import MODELS


@pytest.fixture(scope="session")
def toy() -> Schema:
    """A small schema with every kind of node."""
    return compile_schema(["toy", "ietf-netconf", "ietf-netconf-monitoring"], [MODELS, *sources.standard_models()])

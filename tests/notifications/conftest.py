"""What the tests of notifications share."""

from __future__ import annotations

import pytest

from eman_netconf.yang.schema import Schema
from tests.notifications.stage import Stage


@pytest.fixture
def stage(schema: Schema) -> Stage:
    return Stage(schema)

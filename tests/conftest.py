"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ROOT / "backends" / "eman_backends"

# a slow or busy machine is no fault
settings.register_profile("tests", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("tests"), max_examples=30_000)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def schema() -> Schema:
    """The schema of the server with all backends that come with it; nobody changes it."""
    models = sorted(BACKENDS.glob("[!_]*/eman-backend-*.yang"))
    return sources.load([model.stem for model in models], [model.parent for model in models])

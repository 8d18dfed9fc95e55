"""A small schema with everything that rules can be about."""

from __future__ import annotations

from pathlib import Path

import pytest

from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema

MODELS = Path(__file__).resolve().parent / "models"


@pytest.fixture(scope="session")
def plant() -> Schema:
    """The module plant with those of NETCONF and NACM."""
    names = ["plant", "plant-more", "ietf-netconf", "ietf-netconf-acm"]
    return compile_schema(names, [MODELS, *sources.standard_models()])

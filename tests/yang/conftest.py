"""Schemas of small modules, written where they are tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema

Compile = Callable[..., Schema]


def module_text(body: str, name: str = "m", *, version: str = "1.1", imports: str = "") -> str:
    """A whole module around ``body``; its namespace is ``urn:<name>`` and its prefix its name."""
    return f"""module {name} {{
  yang-version {version}; namespace "urn:{name}"; prefix {name};
  {imports}
  {body}
}}"""


@pytest.fixture
def compile_text(tmp_path: Path) -> Compile:
    """Compile the module ``m`` around a body, or modules given as whole texts by name.

    The first is implemented, or those named by ``implement``.
    """

    def compile_modules(
        body: str | None = None,
        *,
        implement: tuple[str, ...] = (),
        features: Mapping[str, frozenset[str]] | None = None,
        **texts: str,
    ) -> Schema:
        if body is not None:
            texts = {"m": module_text(body), **texts}
        for name, text in texts.items():
            (tmp_path / f"{name}.yang").write_text(text, encoding="utf-8")
        path = (tmp_path, *sources.standard_models())
        return compile_schema(implement or (next(iter(texts)),), path, features=features)

    return compile_modules

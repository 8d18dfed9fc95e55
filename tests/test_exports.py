"""What device authors may rely on: ``eman_netconf.backend`` offers what ``__all__`` says, and says all it offers."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from pathlib import Path

import pytest

import eman_netconf
from eman_netconf import backend

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(backend.__file__).read_text(encoding="utf-8")
CONTRACT = [(name, getattr(backend, name)) for name in backend.__all__ if inspect.isclass(getattr(backend, name))]


def test_all_is_sorted_and_exists() -> None:
    """Each name stands once, in order, and leads somewhere."""
    assert list(backend.__all__) == sorted(set(backend.__all__))
    assert all(hasattr(backend, name) for name in backend.__all__)


def test_nothing_public_is_left_out() -> None:
    """Whatever is defined here, or taken from another of our modules, is offered."""
    ours = set()
    for node in ast.parse(SOURCE).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            ours.add(node.name)
        elif isinstance(node, ast.Assign):
            ours |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eman_netconf"):
            ours |= {alias.asname or alias.name for alias in node.names}
    assert {name for name in ours if not name.startswith("_")} == set(backend.__all__)


@pytest.mark.parametrize(("name", "kind"), CONTRACT)
def test_what_crosses_the_seam_is_public_too(name: str, kind: type) -> None:
    """A field of ours in an offered dataclass, or an argument of an offered method, is of an offered type."""
    annotated = [kind, *(each for each in vars(kind).values() if inspect.isfunction(each))]
    for each in annotated:
        for hint in typing.get_type_hints(each).values():
            for found in (hint, *typing.get_args(hint)):
                if getattr(found, "__module__", "").startswith("eman_netconf") and isinstance(found, type):
                    assert found.__name__ in backend.__all__, f"{name} needs {found.__name__}"


@pytest.mark.parametrize(("name", "kind"), CONTRACT)
def test_every_name_is_explained(name: str, kind: type) -> None:
    """Whatever is offered has a docstring of its own."""
    assert kind.__doc__, name
    assert not kind.__doc__.startswith(f"{name}("), name


@pytest.mark.parametrize(("name", "kind"), [each for each in CONTRACT if dataclasses.is_dataclass(each[1])])
def test_values_are_frozen(name: str, kind: type) -> None:
    """What crosses the seam cannot be changed on the way."""
    assert kind.__dataclass_params__.frozen, name  # type: ignore[attr-defined]  # what dataclass leaves on a class
    assert "__slots__" in vars(kind), name


def test_the_changelog_knows_the_version() -> None:
    """Readers find what is in the version that the package says it is."""
    assert f"## {eman_netconf.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

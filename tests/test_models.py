"""The YANG models: accepted by two compilers, described, measured in units, safe by default."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyang import context, repository

from tools import yang_lint

ROOT = Path(__file__).resolve().parent.parent
PATHS = yang_lint.models(ROOT)
CHECKS = ("lint", "yanglint", "layout", "trees")
DESCRIBED = {
    *("module", "revision", "extension", "feature", "identity", "typedef", "enum", "bit", "grouping", "augment"),
    *("container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml", "rpc", "action", "notification"),
}
# The rules for reading hold for what these answer.
READING = frozenset({"query", "query-history", "energy-between", "corrections", "what-if"})
UNITLESS = frozenset({"quantity-value", "power-factor"})  # the quantity says the unit; there is none


def run_checks(root: Path, **environment: str) -> dict[str, str]:
    """Run the checks as a program, as make does; return what each of them said."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "yang_checks.py"), "--root", str(root)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    said = re.split(rf"^({'|'.join(CHECKS)}): ", done.stdout, flags=re.MULTILINE)
    answers = dict(zip(said[1::2], said[2::2], strict=True))
    well = all("not well" not in answer for answer in answers.values())
    assert well == (done.returncode == 0), done.stdout
    return answers


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """What the checks say of the models as they are."""
    return run_checks(ROOT)


@pytest.fixture(scope="module")
def modules() -> list[Any]:
    """All our models as pyang's statements, compiled together."""
    directories = [*dict.fromkeys(path.parent for path in PATHS), *yang_lint.standard_directories()]
    ctx = context.Context(repository.FileRepository(os.pathsep.join(map(str, directories)), use_env=False))
    compiled = [ctx.add_module(str(path), path.read_text(encoding="utf-8")) for path in PATHS]
    ctx.validate()
    return compiled


def statements(parent: Any) -> Iterator[Any]:
    """Every statement below, as written."""
    for statement in parent.substmts:
        yield statement
        yield from statements(statement)


def nodes(parent: Any) -> Iterator[Any]:
    """Every schema node below, with groupings expanded and augments in place."""
    for child in getattr(parent, "i_children", ()):
        yield child
        yield from nodes(child)


def chain(leaf: Any) -> Iterator[Any]:
    """The leaf and the typedefs its type comes through."""
    yield leaf
    kind = leaf.search_one("type")
    while kind is not None and kind.i_typedef is not None:
        yield kind.i_typedef
        kind = kind.i_typedef.search_one("type")


def where(statement: Any) -> str:
    """A statement's place, for a failure that can be acted on."""
    return f"{Path(statement.pos.ref).name}:{statement.pos.line} {statement.keyword} {statement.arg}"


def carries(node: Any, extension: str) -> bool:
    """Whether the node or one above it carries an extension of ietf-netconf-acm."""
    while node is not None:
        if any(each.keyword == ("ietf-netconf-acm", extension) for each in node.substmts):
            return True
        node = getattr(node, "parent", None)
    return False


@pytest.mark.parametrize("check", CHECKS)
def test_models_pass(check: str, answers: dict[str, str]) -> None:
    """pyang and libyang accept every model, laid out the standard way, with its tree up to date."""
    if answers[check].startswith("skipped"):
        pytest.skip(answers[check].strip())

    assert answers[check].strip() == f"{len(PATHS)} models well"


@pytest.mark.parametrize(
    ("check", "model", "old", "new", "complaint"),
    [
        ("lint", "eman-entity", "type emt:entity-id;", "type emt:nothing;", 'type "nothing" not found'),
        ("lint", "eman-entity", "leaf vital {", "leaf is_vital {", "is_vital is not hyphenated"),
        ("lint", "eman-entity", "urn:eman:yang:eman-entity", "urn:eman:yang:entity", "namespace value"),
        ("lint", "eman-types", '"Temperature."', f'"{"Temperature " * 6}"', "exceeds 72 characters"),
        ("lint", "eman-types", 'description\n      "Temperature.";', "", 'a "description" substatement'),
        ("lint", "eman-types", "}\n", "", "premature end of file"),
        ("layout", "eman-types", '    units "hertz";', '    units   "hertz";', "eman-types.yang: differs"),
        ("trees", "eman-entity", "leaf vital {", "leaf crucial {", "eman-entity.txt: differs"),
    ],
)
def test_checks_complain(tmp_path: Path, check: str, model: str, old: str, new: str, complaint: str) -> None:
    """A fault in a model is found by the check that is there for it, and named."""
    for folder in ("yang", "docs/trees"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    broken = tmp_path / "yang" / f"{model}.yang"
    text = broken.read_text(encoding="utf-8")
    assert old in text
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")

    said = run_checks(tmp_path)[check]

    assert said.startswith("not well")
    assert model in said
    assert complaint in said


def test_missing_yanglint_is_an_error_in_ci_only() -> None:
    """Without yanglint a person is told so and goes on; CI does not."""
    missing = {"PATH": "/nonexistent"}

    assert run_checks(ROOT, CI="", **missing)["yanglint"].startswith("skipped")
    assert run_checks(ROOT, CI="1", **missing)["yanglint"].startswith("not well")


def test_everything_is_described(modules: list[Any]) -> None:
    """Whatever an operator can meet by name has a description in sentences."""
    bare = [
        where(each)
        for module in modules
        for each in [module, *statements(module)]
        if each.keyword in DESCRIBED
        and not re.fullmatch(r"[A-Za-z0-9].*\.", getattr(each.search_one("description"), "arg", ""), flags=re.DOTALL)
    ]

    assert not bare


def test_measured_values_have_units(modules: list[Any]) -> None:
    """Every decimal number and every charge has its unit, stated at the leaf or by its type."""
    measured, without = 0, []
    for leaf in (node for module in modules for node in everything(module) if node.keyword in ("leaf", "leaf-list")):
        places = list(chain(leaf))
        names = {place.arg for place in places[1:]}
        if (base(places[-1]) == "decimal64" or "charge" in names) and not names & UNITLESS:
            measured += 1
            if not any(place.search_one("units") for place in places):
                without.append(where(leaf))

    assert measured > 100
    assert not without


def base(place: Any) -> str:
    """The built-in type at the end of a chain."""
    return str(place.search_one("type").arg)


def everything(module: Any) -> Iterator[Any]:
    """Every schema node that the module defines, below its own nodes and its augments."""
    yield from nodes(module)
    for augment in module.search("augment"):
        yield from nodes(augment)


def test_names_are_unique(modules: list[Any]) -> None:
    """No two models share a prefix or a namespace, and the namespace follows from the name."""
    names = [module.arg for module in modules]
    prefixes = [module.search_one("prefix").arg for module in modules]
    namespaces = [module.search_one("namespace").arg for module in modules]

    assert names == [path.stem for path in PATHS]
    assert namespaces == [f"urn:eman:yang:{name}" for name in names]
    assert len(set(prefixes)) == len(prefixes)


def test_secrets_are_unreadable(modules: list[Any]) -> None:
    """Nobody reads a secret without a rule of NACM's that says so."""
    secrets = [
        leaf
        for module in modules
        for leaf in statements(module)
        if leaf.keyword in ("leaf", "leaf-list") and "secret" in {place.arg for place in [*chain(leaf)][1:]}
    ]

    assert secrets
    assert not [where(leaf) for leaf in secrets if not carries(leaf, "default-deny-all")]


def test_control_needs_a_rule(modules: list[Any]) -> None:
    """An action stands where nobody may use it without a rule; one that switches power in a control container."""
    actions = [node for module in modules for node in everything(module) if node.keyword == "action"]

    assert actions
    for action in actions:
        if action.arg in READING:
            continue
        above = action.parent if action.parent.keyword != "augment" else action.parent.i_target_node
        assert above.arg == "control" or action.i_module.arg == "eman-server", where(action)
        around = [above]
        while around[-1].parent is not None:
            around.append(around[-1].parent)
        assert any(carries(node, "default-deny-all") for node in around), where(action)


def test_learned_values_have_no_defaults(modules: list[Any]) -> None:
    """What a device reports is absent when unknown: a default would invent a reading."""
    learned = [node for module in modules for node in everything(module) if getattr(node, "i_config", None) is False]

    assert learned
    assert not [where(node) for node in learned if node.search_one("default")]


def test_entities_may_be_named_before_they_are_seen(modules: list[Any]) -> None:
    """A reference to an entity or its parts never asks for it to be configured."""
    entity = "eman:energy-management/eman:entities/eman:entity"
    paths = [each for module in modules for each in statements(module) if each.keyword == "path"]
    references = [path for path in paths if entity in path.arg]

    assert references
    for path in references:
        assert path.parent.search_one("require-instance", "false"), where(path)


def test_each_power_state_has_three_bases(modules: list[Any]) -> None:
    """A state is a value, of one family, in one class; families and classes are not values."""
    (module,) = [module for module in modules if module.arg == "eman-power-state-set"]
    bases = {each.arg: [base.arg for base in each.search("base")] for each in module.search("identity")}
    sets = {name for name, above in bases.items() if above == ["power-state-set"]}
    families = {f"{name}-state" for name in sets}
    states = {name: above for name, above in bases.items() if "power-state" in above}

    assert len(sets) == 9
    assert all(bases[name] == [] for name in [*families, "on", "sleep", "off"])
    assert {above[1] for above in states.values()} == families
    for name, (value, family, kind) in states.items():
        assert value == "power-state"
        assert name.split("-")[0] == family.split("-")[0]
        assert kind in ("on", "sleep", "off")
    for family in families:
        kinds = {kind for _, own, kind in states.values() if own == family}
        assert "on" in kinds

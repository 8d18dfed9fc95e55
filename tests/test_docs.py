"""The pages say what is so: links lead somewhere, files are where they are said to be, commands and settings work."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.cli import parser
from eman_netconf.errors import RpcError
from eman_netconf.safexml import parse
from eman_netconf.server import config
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Step
from tests.test_examples import find_action
from tools import docs

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "backends/**/*.md")
    for path in ROOT.glob(pattern)
    if "tests" not in path.parts
)
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

EMAN, BACKEND = "urn:eman:yang:eman-entity", "urn:eman:yang:eman-backend"
_BACKENDS = (
    f'<data><energy-management xmlns="{EMAN}"><backends xmlns="{BACKEND}">{{}}</backends></energy-management></data>'
)
#: where a document stands that is shown without its surroundings, by how it begins
WAYS = {
    "<backend": _BACKENDS,
    "<snmp": _BACKENDS.format("<backend><name>one</name>{}</backend>"),
    "<simulated": _BACKENDS.format("<backend><name>one</name>{}</backend>"),
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str = "") -> list[str]:
    """What stands in the fenced blocks of a language."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [block for its_language, block in found if its_language == language]


def test_generated_pages_are_up_to_date() -> None:
    """What is required and what shows it, and the state machines, are as the code has them (python -m tools.docs)."""
    assert docs.outdated() == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link leads to a file or folder of the source tree."""
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    relative = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in relative if not (page.parent / link).exists()] == []


def test_the_tree_is_as_drawn() -> None:
    """Every file and folder that docs/architecture.md draws is there, and so is every part of the server in it."""
    drawn: set[Path] = set()
    folder = Path()
    for line in blocks(ARCHITECTURE)[0].splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        inside = line.startswith(" ")
        if not inside and names[0].endswith("/"):
            folder = Path(names[0])
        drawn |= {folder / name if inside else Path(name) for name in names}
    assert [path for path in drawn if not list(ROOT.glob(str(path)))] == []
    parts = {
        path.relative_to(ROOT) for path in (ROOT / "src" / "eman_netconf").glob("[!_]*") if path.suffix != ".typed"
    }
    assert parts <= drawn


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_modules_spoken_of_are_there(page: Path) -> None:
    """A path below src, tests, tools, docs or backends that a page names exists, there or in each backend's folder."""
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:src|tests|tools|docs|backends|packaging)/[\w./-]+)`", text)
    roots = [[ROOT], list((ROOT / "backends" / "eman_backends").glob("[!_]*/"))]
    lost = [path for path in paths if not any(all((root / path).exists() for root in each) for each in roots)]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_are_understood(page: Path) -> None:
    """Each call of eman-netconf in a block is one that the command line takes."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in (*blocks(text), *blocks(text, "sh")) for line in block.splitlines()]
    for line in lines:
        if re.match(r"\S*eman-netconf ", line):
            words = shlex.split(line, comments=True)
            assert parser().parse_args(words[1:]).verb == words[1]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_documents_are_of_the_models(page: Path, schema: Schema) -> None:
    """What a page shows in XML, but for operations, has the nodes and values that the models know."""
    for block in blocks(page.read_text(encoding="utf-8"), "xml"):
        root = parse(WAYS.get(re.split(r"[\s>]", block, maxsplit=1)[0], "<data>{}</data>").format(block).encode())
        (shown,) = root[:1]
        kind = etree.QName(shown)
        errors: list[RpcError] = []
        if kind.localname == "action":
            path, element, action = find_action(shown, schema.root)
            read_inner(element, action.child("input"), schema, path=(*path, Step(action)), errors=errors)
            below = element.getparent()
            assert below is not None
            below.remove(element)
            root = shown
        if (kind.namespace, kind.localname) not in schema.rpcs:
            read_inner(shown if kind.localname == "config" else root, schema.root, schema, errors=errors)
        assert [str(error) for error in errors] == [], block


def test_the_bootstrap_file_is_as_described() -> None:
    """The example of docs/operating.md is accepted, names every setting, and shows the defaults of limits and log."""
    document = tomllib.loads(blocks(OPERATING, "toml")[0])
    bootstrap = config.parse(document, base=Path("/"))
    assert (bootstrap.limits, bootstrap.log) == (config.Limits(), config.Log())
    known = {"server": {"state", "host-entity"}, "admin": {"user"}, "log": {field.name for field in fields(config.Log)}}
    assert {name: set(document[name]) for name in known} == known
    for tables, kind in (
        (document["listen"], config.Listen),
        (document["call-home"], config.CallHome),
        ([document["tls"]], config.Tls),
        ([document["ssh"]], config.Ssh),
    ):
        said = {name.replace("-", "_") for table in tables for name in table}
        assert said == {field.name.replace("addresses", "address") for field in fields(kind)}
    refused = set()
    for field in fields(config.Limits):
        name = field.name.replace("_", "-")
        try:
            config.parse({"limits": {name: 1}}, base=Path("/"))
        except config.ConfigError:
            refused.add(name)
    assert set(document["limits"]) == {field.name.replace("_", "-") for field in fields(config.Limits)} - refused

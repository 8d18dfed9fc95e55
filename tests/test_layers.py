"""Who may import whom, and who may know the time: the walls between the layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = "eman_netconf"
BACKENDS = "eman_backends"
SHARED = ("authorities", "documents", "names")  # of the backends


def table() -> dict[str, tuple[str, ...]]:
    """layer -> what it may import of ours, beside itself, as docs/architecture.md has it.

    A name stands for itself and all below it.
    """
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = page.partition("| layer | may import of ours |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    layers: dict[str, tuple[str, ...]] = {"__init__": ()}
    for row in rows:
        names, allowed = (tuple(word.strip() for word in cell.split(",")) for cell in row.strip("| ").split("|"))
        above = tuple(layers)
        layers |= dict.fromkeys(names, {("nothing",): (), ("everything above",): above}.get(allowed, allowed))
    del layers[BACKENDS]  # which has a test of its own
    return {**layers, "__main__": tuple(layers)}


LAYERS = table()

#: Third-party and standard modules that belong to some layers only.
CONFINED: dict[str, tuple[str, ...]] = {
    "asyncio": ("server", "cli"),
    "asyncssh": ("server", "cli"),
    "cryptography": ("server", "cli"),
    "passlib": ("server", "cli"),
    "pyang": ("yang",),
    "random": ("server", "cli", "backend"),  # the contract names the type of what a backend is given
    "secrets": ("server", "cli"),
    "socket": ("server", "cli"),
    "sqlite3": ("server", "cli"),
    "threading": ("server", "cli"),
    "uvloop": ("server", "cli"),
    "lxml": tuple(layer for layer in LAYERS if layer not in {"errors", "backend", "__init__"}),
    "gufo": (),
    "pymodbus": (),
    "pysnmp": (),
}

FROM_THE_CLOCK = [
    name + unit
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")
    for unit in ("", "_ns")
]

#: What asks the machine for the time, for chance or for a new name; outside the shell these arrive as arguments.
CLOCKS: dict[str, frozenset[str]] = {
    "time": frozenset((*FROM_THE_CLOCK, "localtime", "ctime", "sleep")),
    "datetime": frozenset(("now", "utcnow", "today")),
    "date": frozenset(("today",)),
    "uuid": frozenset(("uuid1", "uuid4")),
    "os": frozenset(("urandom", "getrandom")),
}
SHELL = ("server", "cli", "__main__")


def module_name(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> str:
    """The layer of one of our modules: errors, yang, server ..."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that is imported anywhere in the file, each submodule by its own name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if is_module(inner) else module


def is_module(name: str) -> bool:
    """Whether one of our packages has a module of this name."""
    for source in (ROOT / "src", ROOT / "backends"):
        path = source.joinpath(*name.split("."))
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return True
    return False


def is_below(module: str, names: tuple[str, ...], root: str = OURS) -> bool:
    return any(module == f"{root}.{name}" or module.startswith(f"{root}.{name}.") for name in names)


def faults(module: str, source: str) -> list[str]:
    """What one of our modules may not do, each as the rule that it breaks."""
    layer = layer_of(module)
    tree = ast.parse(source)
    is_package = is_module(module) and (ROOT / "src").joinpath(*module.split("."), "__init__.py").is_file()
    found: list[str] = []
    if layer not in LAYERS:
        return [f"{module}: {layer} is no layer of docs/architecture.md; give it a place there and in LAYERS"]
    for imported in imports(tree, module if is_package else module.rpartition(".")[0]):
        top = imported.split(".")[0]
        if top == BACKENDS:
            found.append(f"{module} imports {imported}: backends are found through their entry points only")
        elif top == OURS:
            if imported != OURS and not is_below(imported, (layer, *LAYERS[layer])):
                allowed = ", ".join(LAYERS[layer]) or "nothing"
                found.append(f"{module} imports {imported}: of ours, {layer} may import {allowed}")
        elif top in CONFINED and layer not in CONFINED[top]:
            where = ", ".join(CONFINED[top]) or "backends"
            found.append(f"{module} imports {imported}: {top} is for {where} only")
    if layer not in SHELL:
        found += [f"{module} asks {what}: below the shell, time and chance are arguments" for what in clocks(tree)]
    return found


def clocks(tree: ast.AST) -> Iterator[str]:
    """Every use of a clock, a source of chance or of new names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in CLOCKS.get(owner, ()):
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in CLOCKS:
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in CLOCKS[node.module])
        elif isinstance(node, ast.Call) and not node.args and ast.unparse(node.func) == "time.gmtime":
            yield "time.gmtime() without a time"


def backend_faults(module: str, source: str, *, is_package: bool) -> list[str]:
    """As ``faults``, for the modules of a backend."""
    own = module.split(".")[1] if "." in module else ""
    found = []
    for imported in imports(ast.parse(source), module if is_package else module.rpartition(".")[0]):
        if imported.split(".")[0] == OURS and imported != f"{OURS}.backend":
            found.append(f"{module} imports {imported}: of ours, a backend may import {OURS}.backend")
        if imported.split(".")[0] == BACKENDS and not is_below(imported, (own, *SHARED), BACKENDS):
            found.append(f"{module} imports {imported}: a backend may not import another one")
    return found


OUR_FILES = sorted((ROOT / "src" / OURS).rglob("*.py"))
BACKEND_FILES = sorted(path for path in (ROOT / "backends" / BACKENDS).rglob("*.py") if "tests" not in path.parts)


@pytest.mark.parametrize("path", OUR_FILES, ids=lambda path: module_name(path, ROOT / "src"))
def test_layer(path: Path) -> None:
    """Each module imports only what its layer may, and asks no clock below the shell."""
    found = faults(module_name(path, ROOT / "src"), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", BACKEND_FILES, ids=lambda path: module_name(path, ROOT / "backends"))
def test_backend(path: Path) -> None:
    """A backend imports the contract and itself, nothing else of ours."""
    module = module_name(path, ROOT / "backends")
    found = backend_faults(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("eman_netconf.yang.tree", "from eman_netconf.datastore import edit", "yang may import errors, safexml"),
        ("eman_netconf.yang.tree", "def f():\n    import eman_netconf.server.ssh", "yang may import"),
        ("eman_netconf.energy.control", "from eman_netconf import messages", "energy may import"),
        ("eman_netconf.energy.control", "from ..messages import rpc", "energy may import"),
        ("eman_netconf.operations.base", "from eman_netconf.messages.session import Session", "operations may import"),
        ("eman_netconf.operations.base", "import asyncio", "asyncio is for server, cli only"),
        ("eman_netconf.messages.rpc", "from pyang import context", "pyang is for yang only"),
        ("eman_netconf.errors", "from lxml import etree", "lxml is for"),
        ("eman_netconf.server.daemon", "import eman_backends.snmp", "entry points"),
        ("eman_netconf.energy.series", "import time\nnow = time.monotonic()", "time.monotonic"),
        ("eman_netconf.energy.series", "from time import time", "time.time"),
        ("eman_netconf.energy.series", "import time\ntime.gmtime()", "gmtime"),
        ("eman_netconf.datastore.record", "import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("eman_netconf.datastore.record", "import uuid\nuuid.uuid4()", "uuid.uuid4"),
        ("eman_netconf.energy.policy", "import random", "random is for"),
        ("eman_netconf.misc.x", "", "no layer"),
    ],
)
def test_the_rules_bite(module: str, source: str, rule: str) -> None:
    """Each rule finds what breaks it, and says so."""
    (fault,) = faults(module, source)
    assert rule in fault


def test_what_is_allowed() -> None:
    """Values cross the seams: these imports are no faults."""
    for module, source in (
        (
            "eman_netconf.operations.base",
            "from eman_netconf.messages.rpc import Ok\nfrom eman_netconf.yang import diff",
        ),
        ("eman_netconf.energy.domain", "import time\ntime.gmtime(0)\nfrom eman_netconf.yang.tree import Inner"),
        ("eman_netconf.server.clock", "import time\ntime.time()\nimport asyncio"),
        ("eman_netconf.yang.compiler", "import pyang.context\nfrom .schema import Schema"),
    ):
        assert faults(module, source) == []
    assert backend_faults("eman_backends.snmp.tables", "from eman_netconf.backend import Unit", is_package=False) == []


def test_backend_rules_bite() -> None:
    """A backend that reaches past the contract is found."""
    for source in ("from eman_netconf.energy import values", "from eman_backends.simulated import demo"):
        assert backend_faults("eman_backends.snmp.tables", source, is_package=False)
    assert backend_faults("eman_backends.snmp", "from ..simulated import demo", is_package=True)
    assert backend_faults("eman_backends.snmp", "from .tables import X", is_package=True) == []


def test_every_layer_lies_below() -> None:
    """The table has no circle: what a layer may import never leads back to it."""

    def reach(layer: str, seen: frozenset[str]) -> None:
        assert layer not in seen, f"{layer} leads back to itself"
        for name in LAYERS[layer]:
            reach(name.split(".")[0], seen | {layer})

    for layer in LAYERS:
        reach(layer, frozenset())

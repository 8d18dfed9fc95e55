"""The manners of the tests: each says what it holds, none waits by the clock, none is left out without a word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    path
    for folder in (ROOT / "tests", *(ROOT / "backends" / "eman_backends").glob("*/tests"))
    for path in folder.rglob("*.py")
)
#: Who may wait by the clock, and why.
MAY_SLEEP = {
    "backends/eman_backends/nut/tests/counterparts.py": "asks upsd again, which tells nobody what its drivers told it",
    "backends/eman_backends/snmp/tests/test_manners.py": "stands in for asyncio.sleep to see who calls it",
    "backends/eman_backends/snmp/tests/test_traps.py": "asks again what a backend has heard, which tells nobody",
    "tests/conformance/conftest.py": "asks a server again, which has a processor to share with its clients",
    "tests/server/test_ssh.py": "asks again for what happens inside the server, which tells nobody",
    "tests/test_backend_contract.py": "stands in for time.sleep to see who calls it",
    "tests/test_traces.py": "wants an await that takes a while",
    "tests/traces.py": "asks again until what was left is gone",
}
#: What leaves out a test or expects it to fail.
OUT = ("pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.skip", "pytest.xfail")
NEW_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.?!] (?=[A-Z])")


def faults(path: str, source: str) -> Iterator[str]:
    """What is not as it should be in a file of tests, each with its place."""
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            if fault := wrong_sentence(ast.get_docstring(node)):
                yield f"{path}:{node.lineno} {node.name} {fault}"
        elif isinstance(node, ast.Attribute):
            name, call = ast.unparse(node), calls.get(id(node))
            if name in OUT and not (call and says_why(call)):
                yield f"{path}:{node.lineno} {name} says no reason"
            if name in {"time.sleep", "asyncio.sleep"} and path not in MAY_SLEEP and not (call and is_zero(call)):
                yield f"{path}:{node.lineno} {name}: wait for what happens, not for time to pass"
            if name in {"shutil.which", "pytest.importorskip"} and path != "tests/programs.py":
                yield f"{path}:{node.lineno} {name}: tests/programs.py finds programs, and knows when none may lack"


def wrong_sentence(docstring: str | None) -> str | None:
    """What is wrong with a docstring's first paragraph, which is one sentence; None if nothing."""
    summary = " ".join((docstring or "").partition("\n\n")[0].split())
    if not summary:
        return "has no docstring"
    if not summary.endswith((".", "?", "!")):
        return "has a docstring that does not end a sentence"
    if NEW_SENTENCE.search(summary):
        return "says more than one sentence"
    return None


def is_zero(call: ast.Call) -> bool:
    """Whether a sleep only lets others run."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def says_why(call: ast.Call) -> bool:
    """Whether a reason is given: by name to a mark, as the first argument to a function."""
    is_mark = ".mark." in ast.unparse(call.func)
    return any(keyword.arg == "reason" for keyword in call.keywords) or (not is_mark and bool(call.args))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_manners(path: Path) -> None:
    """Every test says in a sentence what it holds, waits for events only, and is left out for a reason if at all."""
    found = list(faults(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def test_a(): pass", "has no docstring"),
        ("class A:\n  async def test_a(self):\n    'Half a'", "does not end a sentence"),
        ("def test_a():\n  'One. Two.'", "more than one sentence"),
        ("time.sleep(0.1)", "not for time to pass"),
        ("async def f():\n  await asyncio.sleep(delay)", "not for time to pass"),
        ("nap = time.sleep", "not for time to pass"),
        ("@pytest.mark.skip\ndef f(): pass", "pytest.mark.skip says no reason"),
        ("@pytest.mark.xfail()\ndef f(): pass", "pytest.mark.xfail says no reason"),
        ("pytestmark = pytest.mark.skipif(True)", "pytest.mark.skipif says no reason"),
        ("pytest.skip()", "pytest.skip says no reason"),
        ("shutil.which('ssh')", "tests/programs.py"),
    ],
)
def test_the_rules_bite(source: str, fault: str) -> None:
    """Each rule finds what breaks it, once, and says so."""
    (found,) = faults("tests/test_x.py", source)
    assert fault in found


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n  'It holds, e.g. in f().'",
        "def test_a():\n  '''It holds.\n\n  Twice. In a row.'''",
        "asyncio.sleep(0)",
        "pytest.skip('no IPv6 here')",
        "@pytest.mark.skipif(True, reason='no IPv6 here')\ndef f(): pass",
        "def a(): pass",
    ],
)
def test_what_is_allowed(source: str) -> None:
    """What keeps to the rules is no fault."""
    assert list(faults("tests/test_x.py", source)) == []


@pytest.mark.parametrize("name", MAY_SLEEP)
def test_who_may_sleep_does(name: str) -> None:
    """Nobody stands among the exceptions who needs none."""
    assert list(faults("tests/test_x.py", (ROOT / name).read_text(encoding="utf-8")))

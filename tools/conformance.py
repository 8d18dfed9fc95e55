"""The conformance page: which test asks for which requirement, and what is missing, from the tests' marks."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eman_netconf.errors import ErrorTag
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema, SchemaNode

TABLE = Path("tests/conformance/requirements.toml")
ERRORS = Path("tests/operations/test_errors.py")  # one test for each error-tag, named after it
FOLDERS = ("tests", "backends")
INTRODUCTION = """\
<!-- made by python -m tools.docs -->
# Conformance

Each requirement that counts as answered here is asked for by a test. Nearly all of them, those in `tests/conformance`,
talk to a running server as any client would, many by way of clients of other people. The tables are made from the marks
of the tests, so they cannot say what nobody asks."""


class TableError(Exception):
    """The table and the tests do not fit together; the text says where."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One test function and what it is marked with."""

    path: str
    name: str
    marks: tuple[str, ...]

    @property
    def link(self) -> str:
        return f"[{self.name.removeprefix('test_').replace('_', ' ')}](../{self.path})"


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement: its names, what it demands, where it is answered, and what is missing."""

    names: tuple[str, ...]
    demand: str
    nodes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    notifications: tuple[str, ...] = ()
    missing: str = ""


def page(root: Path, schema: Schema | None = None) -> str:
    """The page as Markdown. Raises TableError."""
    schema = schema or sources.load()
    tests = list(marked(root))
    eman, netconf = rows(root)
    check(eman + netconf, tests)
    parts = [INTRODUCTION]
    parts.append(
        f"""
## Energy management

The requirements of RFC 6988 (`r`) and of its last draft, draft-ietf-eman-requirements-09 (`d`), which number them
differently; `text` is what a section says beside its numbered requirements. Nodes are those of the [models](trees),
below an entity, or with a leading `/` below `energy-management`. {_count(eman, tests)}

| requirement | demand | answered by | tests |
|---|---|---|---|"""
    )
    for row in eman:
        cells = (", ".join(row.names), row.demand, _answers(row, schema), _asked(row, tests))
        parts.append(f"| {' | '.join(cells)} |")
    parts.append(f"\n## NETCONF\n\n{_count(netconf, tests)}")
    for document, title in documents(root).items():
        its = sorted((row for row in netconf if row.names[0].startswith(f"{document}-")), key=_place)
        parts.append(
            f"""
### RFC {document.removeprefix("rfc")}: {title}

{_count(its, tests)}

| section | demand | answered | tests |
|---|---|---|---|"""
        )
        for row in its:
            cells = (_section(row), row.demand, _state(row, tests), _asked(row, tests))
            parts.append(f"| {' | '.join(cells)} |")
    parts.append(
        """
## Errors

Each error-tag of RFC 6241 appendix A, told where it belongs, with the element or attribute it is about. These tests
ask the server's operations directly, since some of the errors need a full disk or the like.

| error-tag | test |
|---|---|"""
    )
    parts.extend(f"| {tag} | {test.link} |" for tag, test in errors(root))
    return "\n".join(parts) + "\n"


def documents(root: Path) -> dict[str, str]:
    """The RFCs of NETCONF in the order of the page, with what they are about. Raises TableError if one is missing."""
    table = tomllib.loads((root / TABLE).read_text(encoding="utf-8"))
    told: dict[str, str] = table["documents"]
    for row in table["netconf"]:
        document = row["id"].partition("-")[0]
        if document not in told:
            raise TableError(f"{TABLE}: {row['id']} is of {document}, which [documents] does not have")
    return told


def _section(row: Row) -> str:
    return row.names[0].partition("-")[2]


def _place(row: Row) -> list[tuple[int, str]]:
    """Sections in the order of their document, appendices behind."""
    return [(int(part), "") if part.isdigit() else (10**6, part) for part in _section(row).split(".")]


def rows(root: Path) -> tuple[list[Row], list[Row]]:
    """The requirements of energy management, and the sections of NETCONF."""
    table = tomllib.loads((root / TABLE).read_text(encoding="utf-8"))
    eman = [
        Row(
            tuple(f"{letter}{said[key]}" for letter, key in (("d", "draft"), ("r", "rfc")) if key in said),
            said["demand"],
            tuple(said.get("nodes", ())),
            tuple(said.get("actions", ())),
            tuple(said.get("notifications", ())),
            said.get("missing", ""),
        )
        for said in table["row"]
    ]
    netconf = [Row((said["id"],), said["demand"], missing=said.get("missing", "")) for said in table["netconf"]]
    return eman, netconf


def marked(root: Path) -> Iterator[Marked]:
    """Every test function with a mark ``req``, in the order of files and lines."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("test_*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    marks = tuple(mark for decorator in function.decorator_list for mark in _marks(decorator))
                    if marks:
                        yield Marked(path.relative_to(root).as_posix(), function.name, marks)


def _marks(decorator: ast.expr) -> Iterator[str]:
    """The arguments of ``@pytest.mark.req(...)``."""
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.req":
        for argument in decorator.args:
            yield ast.literal_eval(argument)


def errors(root: Path) -> Iterator[tuple[ErrorTag, Marked]]:
    """The error-tags with their tests. Raises TableError if one has none."""
    tree = ast.parse((root / ERRORS).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for tag in ErrorTag:
        name = f"test_{tag.value.replace('-', '_')}"
        if name not in names:
            raise TableError(f"{ERRORS} has no {name}")
        yield tag, Marked(ERRORS.as_posix(), name, ())


def check(table: Sequence[Row], tests: Sequence[Marked]) -> None:
    """Each mark names a requirement, and each requirement has a test or a reason. Raises TableError."""
    known = {name for row in table for name in row.names}
    for test in tests:
        for mark in test.marks:
            if mark not in known:
                raise TableError(f"{test.path}: {test.name} is marked {mark}, which {TABLE} does not know")
    for row in table:
        for name in row.names:
            if not row.missing and not any(name in test.marks for test in tests):
                raise TableError(f"{TABLE}: no test is marked {name}, and nothing is said to be missing")


def find(schema: Schema, path: str) -> SchemaNode:
    """The data node of a row. Raises TableError."""
    top = schema.find("eman-entity:energy-management")
    start = top if path.startswith("/") else top.child("entities").child("entity")
    try:
        for name in path.strip("/").split("/") if path.strip("/") else ():
            start = start.child(name)
    except KeyError as error:
        raise TableError(f"{TABLE}: {path}: {error.args[0]}") from None
    return start


def _answers(row: Row, schema: Schema) -> str:
    """The models' answers, checked to be there."""
    told = []
    for path in row.nodes:
        find(schema, path)
        told.append(f"`{path}`")
    for path in row.actions:
        parent, _, name = path.rpartition("/")
        if not any(known == name for _, known in find(schema, parent).actions):
            raise TableError(f"{TABLE}: there is no action {path}")
        told.append(f"action `{path}`")
    for name in row.notifications:
        if not any(known == name for _, known in schema.notifications):
            raise TableError(f"{TABLE}: there is no notification {name}")
        told.append(f"notification `{name}`")
    return "<br>".join(told)


def _state(row: Row, tests: Sequence[Marked]) -> str:
    """Whether a row is answered, as far as tests show."""
    if not any(set(row.names) & set(test.marks) for test in tests):
        return "no"
    return "partly" if row.missing else "yes"


def _asked(row: Row, tests: Sequence[Marked]) -> str:
    """The tests of a row, and what is missing."""
    told = [test.link for test in tests if set(row.names) & set(test.marks)]
    if row.missing:
        told.append(f"**missing:** {row.missing}")
    return "<br>".join(told)


def _count(table: Sequence[Row], tests: Sequence[Marked]) -> str:
    asked = [row for row in table if any(set(row.names) & set(test.marks) for test in tests)]
    whole = [row for row in asked if not row.missing]
    return (
        f"Of {len(table)}, {len(whole)} are answered, {len(asked) - len(whole)} in part, {len(table) - len(asked)} not."
    )

"""What is known of kinds of devices: *.toml in this folder, loaded and checked; README.md tells how one is written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from eman_backends.documents import TableError, parsed

from .document import Node
from .grammar import ALARMS, GENERIC, NUMBERS, PHASED, table
from .model import (
    Attribute,
    Case,
    Column,
    Condition,
    Exponent,
    Identifier,
    Kind,
    Rule,
    Section,
    Switch,
    Table,
    Whole,
    Word,
    instance,
)

__all__ = [
    "ALARMS",
    "FOLDER",
    "GENERIC",
    "NUMBERS",
    "PHASED",
    "Attribute",
    "Case",
    "Column",
    "Condition",
    "Exponent",
    "Identifier",
    "Kind",
    "Rule",
    "Section",
    "Switch",
    "Table",
    "TableError",
    "Whole",
    "Word",
    "available",
    "instance",
    "load",
    "names",
    "read",
]

FOLDER = Path(__file__).parent

_Stamps = tuple[tuple[Path, int], ...]
_added: dict[Path, tuple[_Stamps, Mapping[str, Table]]] = {}


@functools.cache
def load(folder: Path = FOLDER) -> Mapping[str, Table]:
    """All tables by name. Raises TableError."""
    tables = {path.stem: read(path) for path in sorted(folder.glob("*.toml"))}
    for one in tables.values():
        if unknown := one.instead_of - tables.keys():
            raise TableError(f"{one.name}.toml: instead-of: there is no table {', '.join(sorted(unknown))}")
    if GENERIC not in tables:
        raise TableError(f"{folder} has no {GENERIC}.toml")
    return tables


def available(directory: Path, complain: Callable[[str], None]) -> Mapping[str, Table]:
    """All tables that come along, and those in ``tables`` of a directory of the operator, which go before them.

    They are read anew when a file has changed. A broken one is left out and complained of, once. Raises TableError
    when one of those that come along is broken.
    """
    along = load()
    try:
        stamps = tuple((path, path.stat().st_mtime_ns) for path in sorted((directory / "tables").glob("*.toml")))
    except OSError as error:
        complain(f"{directory / 'tables'}: {error.strerror or error}; no table is read from there")
        return along
    if not stamps:
        return along
    before, tables = _added.get(directory, ((), along))
    if before != stamps:
        tables = dict(along)
        for path, _ in stamps:
            try:
                tables[path.stem] = read(path)
            except TableError as error:
                complain(f"a table of {directory / 'tables'} is not used: {error}")
        _added[directory] = (stamps, tables)
    return tables


def read(path: Path) -> Table:
    """One table. Raises TableError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path.name}: {error}") from None
    document = parsed(path.name, content)
    return table(Node(document, path.name, str(document.get("base", ""))), path.stem)


def names(tables: Iterable[Table]) -> str:
    """The tables' names for a sentence."""
    return ", ".join(sorted(table.name for table in tables))

"""What is known of kinds of devices: *.toml in this folder, loaded and checked; README.md tells how one is written."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from .document import Node, TableError
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
    "instance",
    "load",
    "names",
    "read",
]

FOLDER = Path(__file__).parent


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


def read(path: Path) -> Table:
    """One table. Raises TableError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"{path.name}: {error}") from None
    return table(Node(document, path.name, str(document.get("base", ""))), path.stem)


def names(tables: Iterable[Table]) -> str:
    """The tables' names for a sentence."""
    return ", ".join(sorted(table.name for table in tables))

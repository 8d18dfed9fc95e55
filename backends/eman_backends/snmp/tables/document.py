"""A TOML table that is read key by key; every mistake is named with its file and key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from .model import Oid

_OID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*|\{index\}|\{[1-9]\}))+")
_TEMPLATE = re.compile(r"[A-Za-z0-9]?(?:[A-Za-z0-9._~\-]|\{(?:[a-z]+|[1-9])\})*")
E = TypeVar("E", bound=StrEnum)


class TableError(Exception):
    """A table that cannot be used; the text names the file and the key."""


class Node:
    """One table of a document; what nobody asked for is an error."""

    def __init__(self, content: Any, where: str, base: str) -> None:
        if not isinstance(content, dict):
            raise TableError(f"{where}: must be a table")
        self._content = dict(content)
        self._where = where
        self._base = base

    def fail(self, key: str, text: str) -> TableError:
        """What is wrong at a key, to be raised."""
        return TableError(f"{self._where}: {key}: {text}")

    def done(self) -> None:
        """Raise when a key is left that means nothing here."""
        if self._content:
            raise TableError(f"{self._where}: {', '.join(sorted(self._content))}: is not known here")

    def __iter__(self) -> Iterator[str]:
        """The keys that nobody asked for yet."""
        return iter(tuple(self._content))

    def take(self, key: str, kind: type | tuple[type, ...], what: str, default: Any = None) -> Any:
        """The value of a key, of a kind; a truth is no number here."""
        if key not in self._content:
            return default
        value = self._content.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.fail(key, f"{value!r} is not {what}")
        return value

    def text(self, key: str) -> str | None:
        value: str | None = self.take(key, str, "a text")
        return value

    def need(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise self.fail(key, "is missing")
        return value

    def oid(self, key: str) -> Oid | None:
        value = self.text(key)
        return None if value is None else self.full(key, value)

    def need_oid(self, key: str = "oid") -> Oid:
        value = self.oid(key)
        if value is None:
            raise self.fail(key, "is missing")
        return value

    def oids(self, key: str) -> tuple[Oid, ...]:
        return tuple(self.full(key, value) for value in self.take(key, list, "a list of OIDs", []))

    def full(self, key: str, value: Any) -> Oid:
        """An OID that stands at a key; what begins with a dot goes on from the base."""
        full = f"{self._base}{value}" if isinstance(value, str) and value.startswith(".") else value
        if not isinstance(full, str) or not _OID.fullmatch(full):
            raise self.fail(key, f"{value!r} is not an OID")
        return full

    def integer(self, key: str) -> int | None:
        value: int | None = self.take(key, int, "a whole number")
        return value

    def decimal(self, key: str) -> Decimal | None:
        value = self.take(key, (int, Decimal), "a number")
        return None if value is None else Decimal(value)

    def member(self, key: str, kind: type[E], default: E) -> E:
        value = self.text(key)
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            raise self.fail(key, f"{value!r} is not one of {', '.join(kind)}") from None

    def integers(self, key: str) -> frozenset[int] | None:
        values = self.take(key, list, "a list of whole numbers")
        if values is None:
            return None
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            raise self.fail(key, "is a list of whole numbers")
        return frozenset(values)

    def absent(self) -> frozenset[int | str]:
        values = self.take("absent", list, "a list of numbers and texts", [])
        if not all(isinstance(value, int | str) and not isinstance(value, bool) for value in values):
            raise self.fail("absent", "is a list of numbers and texts")
        return frozenset(values)

    def template(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None and not _TEMPLATE.fullmatch(value):
            raise self.fail(key, f"{value!r} is not a name with {{index}}, {{1}}, {{2}} for the row's index")
        return value

    def node(self, key: str) -> Node | None:
        value = self.take(key, dict, "a table")
        return None if value is None else Node(value, f"{self._where}: {key}", self._base)

    def text_or_node(self, key: str) -> str | Node | None:
        return self.text(key) if isinstance(self._content.get(key), str) else self.node(key)

    def number_or_node(self, key: str) -> Decimal | Node | None:
        return self.node(key) if isinstance(self._content.get(key), dict) else self.decimal(key)

    def nodes(self, key: str) -> list[Node]:
        values = self.take(key, list, "a list of tables", [])
        return [Node(value, f"{self._where}: {key}[{number}]", self._base) for number, value in enumerate(values, 1)]

    def each(self, key: str, make: Callable[[Node], Any]) -> tuple[Any, ...]:
        """What is made of each table of a list; nothing may be left of them."""
        made = []
        for node in self.nodes(key):
            made.append(make(node))
            node.done()
        return tuple(made)

    def words(self, key: str, kind: type | None = None) -> dict[int, Any] | None:
        """A map from the device's numbers; TOML has only texts as keys."""
        values = self.take(key, dict, "a table of numbers and what they mean")
        if values is None:
            return None
        if kind is not None and not all(type(value) is kind for value in values.values()):
            raise self.fail(key, "has a meaning that is no whole number" if kind is int else "has a meaning of no use")
        try:
            return {int(number): value for number, value in values.items()}
        except ValueError:
            raise self.fail(key, "has keys that are no numbers") from None

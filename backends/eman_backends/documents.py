"""TOML tables of what is known of devices, read key by key; every mistake is named with its file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self, TypeVar

E = TypeVar("E", bound=StrEnum)


class TableError(Exception):
    """A table that cannot be used; the text names the file and the key."""


def parsed(file: str, content: bytes) -> dict[str, Any]:
    """A document, with its numbers as they are written. Raises TableError."""
    try:
        return tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"{file}: {error}") from None


class Node:
    """One table of a document; what nobody asked for is an error."""

    def __init__(self, content: Any, where: str) -> None:
        if not isinstance(content, dict):
            raise TableError(f"{where}: must be a table")
        self._content = dict(content)
        self._where = where

    def _inner(self, content: Any, where: str) -> Self:
        """A table inside this one."""
        return type(self)(content, where)

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

    def peek(self, key: str) -> Any:
        """The value of a key, which stays; None where there is none."""
        return self._content.get(key)

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

    def node(self, key: str) -> Self | None:
        value = self.take(key, dict, "a table")
        return None if value is None else self._inner(value, f"{self._where}: {key}")

    def nodes(self, key: str) -> list[Self]:
        values = self.take(key, list, "a list of tables", [])
        return [self._inner(value, f"{self._where}: {key}[{number}]") for number, value in enumerate(values, 1)]

    def each(self, key: str, make: Callable[[Self], Any]) -> tuple[Any, ...]:
        """What is made of each table of a list; nothing may be left of them."""
        made = []
        for node in self.nodes(key):
            made.append(make(node))
            node.done()
        return tuple(made)

"""A table of SNMP, read key by key: OIDs that go on from a base, numbers that devices give, templates of names."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Self

from eman_backends import documents

from .model import Oid

_OID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*|\{index\}|\{[1-9]\}))+")
_TEMPLATE = re.compile(r"[A-Za-z0-9]?(?:[A-Za-z0-9._~\-]|\{(?:[a-z]+|[1-9])\})*")


class Node(documents.Node):
    """One table of a document; OIDs in it go on from ``base``."""

    def __init__(self, content: Any, where: str, base: str) -> None:
        super().__init__(content, where)
        self._base = base

    def _inner(self, content: Any, where: str) -> Self:
        return type(self)(content, where, self._base)

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

    def text_or_node(self, key: str) -> str | Node | None:
        return self.text(key) if isinstance(self.peek(key), str) else self.node(key)

    def number_or_node(self, key: str) -> Decimal | Node | None:
        return self.node(key) if isinstance(self.peek(key), dict) else self.decimal(key)

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

"""Values as canonical YANG text: decimal64, date-and-time, identities by their local names (RFC 7950 section 9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from math import isfinite

from eman_netconf.yang.schema import Schema, SchemaNode

Number = Decimal | int | float

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def decimal64(digits: int) -> Callable[[Number], str]:
    """A printer of canonical decimal64 with at most ``digits`` fraction digits, at least one: ``230.0``, ``-0.125``."""
    spec = f".{digits}f"

    def text(value: Number) -> str:
        result = format(value, spec).rstrip("0")
        if result[-1] == ".":
            result += "0"
        return result if result != "-0.0" else "0.0"

    return text


def thousandths(number: int) -> str:
    """Canonical decimal64 with three fraction digits of ``number`` thousandths: 1250 is ``1.25``."""
    sign = ""
    if number < 0:
        sign, number = "-", -number
    whole, rest = divmod(number, 1000)
    if not rest:
        return f"{sign}{whole}.0"
    return f"{sign}{whole}.{rest:03d}".rstrip("0")


def in_thousandths(value: Number) -> int:
    """``value`` in thousandths, rounded to the nearest."""
    return round(value * 1000)


def instant(text: str) -> float:
    """Seconds since the epoch of a yang:date-and-time; a leap second is the second before it."""
    return datetime.fromisoformat(text.replace(":60", ":59")).timestamp()


def finite(value: Number) -> bool:
    """Whether it is a number, however large."""
    return value.is_finite() if isinstance(value, Decimal) else isinstance(value, int) or isfinite(value)


def boolean(value: object) -> str:
    return "true" if value else "false"


def clipped(text: str, length: int = 255) -> str:
    """``text`` without what XML 1.0 cannot carry, cut to what the leaf can hold."""
    if not text.isprintable():
        text = "".join(character if _is_xml(character) else "\ufffd" for character in text)
    return text[:length]


def _is_xml(character: str) -> bool:
    code = ord(character)
    return code >= 0x20 and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF)


class Identities:
    """Identities by the local names that backends use, as canonical names ``module:name``."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._by_local: dict[str, list[str]] = {}
        for name in schema.identities:
            self._by_local.setdefault(name.rpartition(":")[2], []).append(name)

    def find(self, name: str, base: str) -> str | None:
        """The canonical name of the identity ``name`` derived from ``base`` (canonical); None if there is none."""
        candidates = [name] if ":" in name else self._by_local.get(name, ())
        for candidate in candidates:
            if self._schema.derived(candidate, base):
                return candidate
        return None

    def derived(self, base: str) -> list[str]:
        """All identities derived from ``base``, in the order of the schema."""
        return [name for name in self._schema.identities if self._schema.derived(name, base)]

    def is_a(self, name: str, base: str) -> bool:
        """Whether ``name`` is ``base`` or derived from it."""
        return self._schema.derived(name, base, or_self=True)


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def optional(node: SchemaNode, name: str) -> SchemaNode | None:
    """The child ``name`` of ``node``, or None where its feature or module is not in force."""
    try:
        return node.child(name)
    except KeyError:
        return None

"""What is in a resource: links, names and numbers, taken out of JSON that may hold anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Document = Mapping[str, Any]

LONGEST_LINK = 1024
MOST_PARTS = 32768  # values in a document; a millisecond reads some thousands, and nobody else does anything meanwhile
LONGEST_INTEGER = 32  # digits; long ones take long, and are beyond every measure
LARGEST = Decimal(10) ** 15  # no watt, ampere or watt-hour of a device is beyond
_LINK = re.compile(r"/redfish(/[A-Za-z0-9._~!$&'()*+,;=:@%\-]*)*")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_JUNK = {"", "none", "null", "n/a", "na", "0", "unknown", "not specified", "not available", "to be filled by o.e.m."}


def parsed(body: bytes) -> Document:
    """The object in ``body``, its fractions as decimals, NaN as null. Raises ValueError."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_PARTS:
        raise ValueError("it has too many parts")
    try:
        document = json.loads(body, parse_float=Decimal, parse_int=_integer, parse_constant=lambda _: None)
    except (RecursionError, InvalidOperation) as error:
        raise ValueError("it is nested too deep, or has numbers that are none") from error
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - what is wrong is the text, not a type
    return document


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError("it has a number without end")
    return int(digits)


def dig(document: Any, *path: str | int) -> Any:
    """What is at ``path``, a name of a member or a place in a list each; None where there is nothing."""
    for step in path:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list) and 0 <= step < len(document):
            document = document[step]
        else:
            return None
    return document


def number(document: Any, *path: str | int) -> Decimal | None:
    """The number at ``path``; None where there is none, or none that can be."""
    value = dig(document, *path)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() < -30):
        return None
    return Decimal(value) if -LARGEST < value < LARGEST else None


def text(document: Any, *path: str | int, longest: int = 255) -> str | None:
    """The words at ``path``, on one line; None where there are none, or words that say nothing."""
    value = dig(document, *path)
    if not isinstance(value, str):
        return None
    words = _BLANK.sub(" ", value[: longest * 4]).strip()[:longest].strip()
    return None if words.lower() in _JUNK else words


def path_of(value: Any) -> str | None:
    """A link as the path of a resource on the same service, without fragment and last slash; None for all others."""
    if not isinstance(value, str) or len(value) > LONGEST_LINK:
        return None
    path = value.partition("#")[0]
    if not _LINK.fullmatch(path) or "/.." in path or "/%2e" in path.lower():
        return None
    return path.rstrip("/")


def link(document: Any, *path: str | int) -> str | None:
    """The resource that ``document`` links to at ``path``."""
    return path_of(dig(document, *path, "@odata.id"))


def links(document: Any, *path: str | int, most: int = 1024) -> tuple[str, ...]:
    """The resources that ``document`` links to in the list at ``path``: the first ``most``, each once."""
    found = dig(document, *path)
    if not isinstance(found, list):
        return ()
    return tuple(dict.fromkeys(one for item in found[:most] if (one := link(item)) is not None))

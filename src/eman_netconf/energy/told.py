"""What a backend tells of an entity as plain JSON-able data and back, so that it is known again after a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dump(value: object) -> Any:
    """A value of ``energy.values`` as dicts, lists, strings, numbers and booleans; what has its default is left out."""
    if is_dataclass(value):
        told = {field.name: (getattr(value, field.name), _default(field)) for field in fields(value)}
        return {name: dump(item) for name, (item, default) in told.items() if item != default}
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            return dict(zip(value._fields, map(dump, value), strict=True))
        return [dump(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value) if isinstance(value, Decimal | StrEnum) else value


def load(kind: type[T], saved: Any) -> T:
    """The value of type ``kind`` that was dumped. Raises ValueError, TypeError or KeyError for anything else."""
    value: T = _reader(kind)(saved)  # type: ignore[arg-type]  # types are hashable
    return value


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of ``kind`` of its saved form."""
    origin = get_origin(kind)
    if origin is UnionType:
        inner = _reader(next(part for part in get_args(kind) if part is not type(None)))
        return lambda saved: None if saved is None else inner(saved)
    if origin is frozenset:
        return frozenset
    if origin is tuple:
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            item = _reader(parts[0])
            return lambda saved: tuple(map(item, saved))
        readers = tuple(map(_reader, parts))
        return lambda saved: tuple(read(item) for read, item in zip(readers, saved, strict=True))
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _of_fields(kind)
    return kind if issubclass(kind, Decimal | StrEnum) else _plain


def _of_fields(kind: Any) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}

    def read(saved: Mapping[str, Any]) -> Any:
        return kind(**{name: readers[name](item) for name, item in saved.items()})

    return read


def _plain(saved: Any) -> Any:
    return saved

"""Long mappings that are changed in a few places: the copy shares what it was made of.

A list of a hundred thousand entries takes milliseconds to copy, and an edit of one entry may not.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_LONG = 1024  # below that a copy is cheaper than what it spares


def writable(entries: Mapping[K, V]) -> MutableMapping[K, V]:
    """A copy of ``entries``, in their order, to be changed until it is shown; it costs what was changed lately.

    ``entries`` may not change any more.
    """
    if isinstance(entries, Layered):
        return entries.copy()
    return Layered(entries) if isinstance(entries, dict) and len(entries) >= _LONG else dict(entries)


class Layered(MutableMapping[K, V]):
    """A dict that nobody changes any more, and what is otherwise here; in the order a dict would have.

    Whoever reads all of it has both made one.
    """

    __slots__ = ("_below", "_length", "_moved", "_over")

    def __init__(self, below: dict[K, V]) -> None:
        self._below = below
        self._over: dict[K, V | None] = {}  # None = deleted
        self._moved: set[K] = set()  # deleted and set again: at the end
        self._length = len(below)

    def copy(self) -> Layered[K, V]:
        """To be changed without changing this."""
        if len(self._over) ** 2 > len(self._below):
            return Layered(self._whole())
        copy = Layered(self._below)
        copy._over, copy._moved, copy._length = self._over.copy(), self._moved.copy(), self._length
        return copy

    def _whole(self) -> dict[K, V]:
        if self._over:
            whole = self._below.copy()
            for key, value in self._over.items():
                if value is None or key in self._moved:
                    whole.pop(key, None)
                if value is not None:
                    whole[key] = value
            self._below, self._moved, self._over = whole, set(), {}
        return self._below

    def __getitem__(self, key: K) -> V:
        over = self._over
        if key not in over:
            return self._below[key]
        value = over[key]
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self._over[key] is not None if key in self._over else key in self._below

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            self._length += 1
            if key in self._over:
                del self._over[key]
                self._moved.add(key)
        self._over[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._length -= 1
        self._over[key] = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return iter(self._whole())

    def items(self) -> ItemsView[K, V]:
        return self._whole().items()

    def values(self) -> ValuesView[V]:
        return self._whole().values()

    def __repr__(self) -> str:
        return repr(self._whole())

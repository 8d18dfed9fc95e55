"""Views of trees: the same data seen another way, each part made when somebody looks at it.

A view keeps what it does not change as it is, bytes included, and lists stay lists that make their entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from eman_netconf.yang.tree import Inner, Key


class Entries(Mapping[Key, Inner]):
    """The entries of a list as ``show`` shows them, each made when it is asked for and then let go.

    An entry that ``show`` shows as None is not there. ``every`` vouches that there is none such: then counting and
    looking for one make none.
    """

    def __init__(
        self, entries: Mapping[Key, Inner], show: Callable[[Key, Inner], Inner | None], *, every: bool
    ) -> None:
        self._entries = entries
        self._show = show
        self._every = every
        self._at: tuple[Key, Inner] | None = None  # the entry an iteration stands at: made once, not twice

    def __getitem__(self, key: Key) -> Inner:
        if self._at is not None and self._at[0] == key:
            return self._at[1]
        shown = self._show(key, self._entries[key])
        if shown is None:
            raise KeyError(key)
        return shown

    def __contains__(self, key: object) -> bool:
        return key in self._entries and (self._every or self._show(key, self._entries[key]) is not None)  # type: ignore[index, arg-type]  # what is in it is a key

    def __iter__(self) -> Iterator[Key]:
        if self._every:
            yield from self._entries
            return
        for key, entry in self._entries.items():
            shown = self._show(key, entry)
            if shown is not None:
                self._at = key, shown
                yield key
        self._at = None

    def each(self) -> Iterator[Inner | None]:
        """What is shown of every entry, None where it is not there: for who may not be silent for long."""
        for key, entry in self._entries.items():
            yield self._show(key, entry)

    def __len__(self) -> int:
        return len(self._entries) if self._every else sum(1 for _ in self)


def each(entries: Mapping[Key, Inner]) -> Iterator[Inner | None]:
    """The entries of any list one by one, with None where a view leaves one out."""
    return entries.each() if isinstance(entries, Entries) else iter(entries.values())

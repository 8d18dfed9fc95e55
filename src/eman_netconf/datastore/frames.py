"""How records stand in a journal: each under a line ``KIND GENERATION LENGTH CRC32``, so that a torn one is seen."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = re.compile(rb"(models|commit|unconfirmed|confirmed) (\d{1,19}) (\d{1,12}) ([0-9a-f]{8})\n")


class Frame(NamedTuple):
    """One whole record; ``end`` is the number of bytes up to its end."""

    kind: str
    generation: int
    text: bytes
    end: int


def frame(kind: str, generation: int, text: bytes) -> bytes:
    """The bytes of a record."""
    return b"%b %d %d %08x\n%b\n" % (kind.encode(), generation, len(text), zlib.crc32(text), text)


def frames(data: bytes) -> Iterator[Frame]:
    """The records of a journal up to the first that is not whole."""
    good = 0
    while found := _HEADER.match(data, good):
        end = found.end() + int(found[3])
        text = data[found.end() : end]
        if data[end : end + 1] != b"\n" or zlib.crc32(text) != int(found[4], 16):
            return
        good = end + 1
        yield Frame(found[1].decode(), int(found[2]), text, good)


def damaged(data: bytes, good: int) -> bool:
    """Whether there are whole records behind one that is not, which begins at ``good``."""
    # a whole record right here lacks its last byte only: torn like any other
    later = (match for match in _HEADER.finditer(data, good) if match.start() > good)
    return any(_whole_at(data, match) for match in later)


def _whole_at(data: bytes, header: re.Match[bytes]) -> bool:
    text = data[header.end() : header.end() + int(header[3])]
    return len(text) == int(header[3]) and zlib.crc32(text) == int(header[4], 16)

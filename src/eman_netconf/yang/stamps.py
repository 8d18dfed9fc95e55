"""Instants as yang:date-and-time, told the same way wherever they are served (RFC 6991 section 3)."""

from __future__ import annotations

import time
from functools import lru_cache

_FIRST, _LAST = -30_610_224_000.0, 253_402_300_799.0  # years 1000 to 9999, which have four digits
_STAMPS_KEPT = 4096  # readings of one pass share few instants; the memo is emptied when it is full
_stamps: dict[float, str] = {}
_MINUTES = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440))  # of a day


def stamp(wall: float) -> str:
    """yang:date-and-time in UTC with milliseconds, as ``2026-11-20T09:30:00.250Z``; whole seconds have no fraction.

    What is before year 1000 or after year 9999 is told as the first or the last second of them.
    """
    text = _stamps.get(wall)
    if text is None:
        if len(_stamps) >= _STAMPS_KEPT:
            _stamps.clear()
        milliseconds = round(min(max(wall, _FIRST), _LAST) * 1000)
        seconds, fraction = divmod(milliseconds, 1000)
        day, seconds = divmod(seconds, 86_400)
        minute, second = divmod(seconds, 60)
        clock = f"{_date(day)}T{_MINUTES[minute]}:{second:02d}"
        text = _stamps[wall] = f"{clock}.{fraction:03d}Z" if fraction else f"{clock}Z"
    return text


@lru_cache(64)
def _date(day: int) -> str:
    """The date so many days after 1970-01-01."""
    return time.strftime("%Y-%m-%d", time.gmtime(day * 86_400))

"""How much work a piece of code does, as a number that no machine's speed changes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Counts the calls of functions, of Python's and of C's, in the block; the collector of garbage is kept out."""
    count = 0

    def called(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(called)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


def calls(act: Callable[[], object]) -> int:
    """How many calls ``act`` takes."""
    with counting() as count:
        act()
    return count()

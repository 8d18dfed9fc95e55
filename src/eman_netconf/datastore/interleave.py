"""Deep work in steps: a function that calls ``pause`` now and then, however deep it is, becomes a generator."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar, cast

from greenlet import getcurrent, greenlet

T = TypeVar("T")


def in_steps(work: Callable[[Callable[[], None]], T]) -> Generator[None, None, T]:
    """What ``work(pause)`` returns or raises, in steps: each call of ``pause`` is one yield of the generator.

    For work that recurses, where handing generators up through every level would cost more than the work. It runs on
    a stack of its own, in the same thread, and is unwound where it paused when the generator is closed.
    """
    worker = greenlet(work)

    def pause() -> None:
        assert worker.parent is not None, "only the outermost has none"
        worker.parent.switch()

    try:
        result = worker.switch(pause)
        while not worker.dead:
            yield
            worker.parent = getcurrent()
            result = worker.switch()
        return cast("T", result)
    finally:
        if not worker.dead:
            worker.parent = getcurrent()
            worker.throw()

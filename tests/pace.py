"""Work measured by other work, so that a promise about it holds or not on any machine alike."""

from __future__ import annotations

import time

STEPS = 350_000  # of the loop below; about ten milliseconds on the processors of 2026


def ten_milliseconds() -> float:
    """The processor time, in seconds, that this machine takes now for what ten milliseconds should be enough for."""
    best = float("inf")
    for _ in range(5):
        before, total = time.thread_time(), 0
        for step in range(STEPS):
            total += step & 7
        best = min(best, time.thread_time() - before)
    return best

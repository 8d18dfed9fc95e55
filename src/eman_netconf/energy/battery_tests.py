"""Tests of a battery: who takes the order, the wish for one, and how the last one went (RFC 1628, upsTest)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from eman_netconf.energy.canonical import clipped
from eman_netconf.energy.requests import Holder, Request
from eman_netconf.energy.values import Point
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Inner, make_inner


class Verdict(StrEnum):
    """How a test goes or went (eman-battery: test-result)."""

    NONE = "none"
    IN_PROGRESS = "in-progress"
    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ABORTED = "aborted"


_RESULTS = frozenset(Verdict)
_FINISHED = _RESULTS - {Verdict.NONE, Verdict.IN_PROGRESS}
_GOOD = frozenset({Verdict.NONE, Verdict.PASSED, Verdict.WARNING})  # an earlier failure counts no more


class BatteryTest:
    """The tests of one battery."""

    __slots__ = ("at", "failed", "holder", "request", "result", "tester")

    def __init__(self) -> None:
        self.holder = Holder()  # the wish for a test, while it goes on
        self.request: Request | None = None  # the last of them
        self.tester: tuple[str, Point] | None = None  # who takes the order: backend and point
        self.forget()

    def forget(self) -> None:
        """It is another battery."""
        self.result: Verdict | None = None
        self.at: float | None = None  # when the result was read first, by wall clock
        self.failed = False  # the last test that was finished

    @property
    def under_way(self) -> bool:
        return self.result is Verdict.IN_PROGRESS

    def take(self, value: object, at: float) -> dict[str, str] | None:
        """Take a result that was read; the leaves of a notification, {} where there is nothing to tell, None where it
        makes no sense.
        """
        if not isinstance(value, str) or value not in _RESULTS:
            return None
        before, result = self.result, Verdict(value)
        if result is before:
            return {}
        self.result, self.at = result, at
        self.failed = result is Verdict.FAILED or (self.failed and result not in _GOOD)
        if result not in _FINISHED or (before is None and result is not Verdict.FAILED):
            return {}  # what was found to have been so is no news, unless it is bad
        by = {"requested-by": self.request.by} if self.request is not None and self.request.by else {}
        return {"result": result.value, **by}

    def shown_since(self, wall: float, *, settled: bool) -> bool:
        """Whether what was read last shows a test that began after ``wall``.

        A short test may begin and end as the one before between two readings, so when the device is ``settled`` the
        result of any test is taken for that of this one.
        """
        if self.result is None or self.at is None:
            return False
        return self.under_way or (self.result in _FINISHED and (settled or self.at > wall))

    def render(self, node: SchemaNode) -> Inner | None:
        """The container test; None where there is nothing to tell."""
        request = self.request
        if self.tester is None and self.result is None and request is None:
            return None
        told: dict[str, Any] = {"testable": self.tester is not None}
        if self.result is not None and self.at is not None:
            told |= {"result": self.result.value, "time": stamp(self.at)}
        if request is not None:
            told["request"] = {
                "id": request.id,
                "by": clipped(request.by) or None,
                "reason": None if request.reason is None else clipped(request.reason),
                "time": stamp(request.time),
                "status": request.status.value,
            }
        return make_inner(node, told)

    # --- what outlives the process

    def dump(self) -> list[Any] | None:
        """JSON-able."""
        return None if self.result is None else [self.result.value, self.at, self.failed]

    def load(self, saved: Any) -> None:
        """Go on from a record, None = none. Raises TypeError or ValueError for what is no record."""
        if saved is not None:
            result, at, failed = saved
            self.result, self.at, self.failed = Verdict(result), float(at), bool(failed)

"""Tests of batteries: ordered as other things are, shown, told when they end, and alarmed about when they fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eman_netconf.energy.conditions import Kind, Severity, Sort, Subject
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import (
    BatteryInfo,
    CommandKind,
    EntityInfo,
    Outcome,
    Point,
    Quantity,
    RequestState,
)
from eman_netconf.errors import AppTag, ErrorTag
from tests.energy.bench import Bench


def ups(bench: Bench, *, testable: bool = True, identifier: str = "B1", result: str | None = "passed") -> None:
    """A UPS with a battery, whose last test went as ``result`` says."""
    bench.discover("ups", EntityInfo(batteries=(BatteryInfo("b", identifier, testable=testable),)))
    if result is not None:
        tell(bench, result)


def tell(bench: Bench, result: str) -> None:
    bench.wait(10)
    bench.tell("ups", Quantity.TEST_RESULT, result, battery="b")


def shown(bench: Bench, *path: str) -> Any:
    return bench.at("ups", "battery", ("b",), "test", *path)


def refusal(bench: Bench, battery: str = "b", entity: str = "ups") -> Refusal:
    with pytest.raises(Refusal) as caught:
        bench.wish(entity=entity, test=battery)
    return caught.value


def test_an_order_for_a_test(bench: Bench) -> None:
    """The wish becomes one command to the battery; a reading of the test under way makes it reached."""
    ups(bench)
    request = bench.wish(entity="ups", test="b", reason="monthly")
    (command,) = bench.commands()
    assert (command.kind, command.point, command.value) == (CommandKind.TEST_BATTERY, Point("", None, "b"), None)
    assert (shown(bench, "request", "status"), shown(bench, "request", "by")) == ("pending", "ann")
    assert shown(bench, "request", "reason") == "monthly"
    bench.answer()
    assert bench.status(request) == RequestState.PENDING
    tell(bench, "in-progress")
    assert bench.status(request) == RequestState.REACHED
    assert (shown(bench, "result"), shown(bench, "request", "status")) == ("in-progress", "reached")
    assert bench.notices("battery-tested") == []
    tell(bench, "passed")
    (told,) = bench.notices("battery-tested")
    assert (told["entity"], told["battery"], told["result"], told["requested-by"]) == ("ups", "b", "passed", "ann")
    assert shown(bench, "testable") == "true"


def test_a_test_too_short_to_be_seen(bench: Bench) -> None:
    """A device that shows the same result as before, and never a test under way, is believed when it had its time."""
    ups(bench)
    request = bench.wish(entity="ups", test="b")
    bench.answer()
    tell(bench, "passed")
    assert bench.status(request) == RequestState.PENDING
    for _ in range(20):
        tell(bench, "passed")
    assert bench.status(request) == RequestState.REACHED
    assert bench.notices("control-failed") == []


def test_another_result_is_that_of_this_test(bench: Bench) -> None:
    """A result that was not there before the wish tells that the test was made."""
    ups(bench)
    request = bench.wish(entity="ups", test="b")
    bench.answer()
    tell(bench, "warning")
    assert bench.status(request) == RequestState.REACHED
    assert [told["result"] for told in bench.notices("battery-tested")] == ["warning"]


def test_a_device_that_does_nothing(bench: Bench) -> None:
    """A device that accepts and knows of no test afterwards has not done it, and that is told."""
    ups(bench, result="none")
    request = bench.wish(entity="ups", test="b")
    bench.answer()
    for _ in range(20):
        tell(bench, "none")
    assert bench.status(request) == RequestState.FAILED
    assert len(bench.notices("control-failed")) == 1


def test_a_device_that_tells_nothing(bench: Bench) -> None:
    """A device that never tells how a test goes is taken at its word."""
    ups(bench, result=None)
    request = bench.wish(entity="ups", test="b")
    bench.answer()
    bench.wait(600)
    assert bench.status(request) == RequestState.REACHED


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.REFUSED, RequestState.FAILED),
        (Outcome.UNAVAILABLE, RequestState.FAILED),
        (Outcome.UNKNOWN, RequestState.OUTCOME_UNKNOWN),
    ],
)
def test_what_devices_answer(bench: Bench, outcome: Outcome, status: RequestState) -> None:
    """A refusal or a lost answer is the end of the wish or leaves it open; nothing is sent again."""
    ups(bench)
    request = bench.wish(entity="ups", test="b")
    bench.answer(outcome, "not now")
    assert bench.status(request) == status
    assert "not now" in bench.notices("control-failed")[0]["reason"]
    assert bench.commands() == []
    tell(bench, "in-progress")
    tell(bench, "passed")
    assert bench.commands() == []


def test_who_cannot_be_tested(bench: Bench) -> None:
    """What is not there, takes no such order, is being tested, is low or is in use is refused in a sentence."""
    ups(bench, testable=False)
    refused = refusal(bench)
    assert (refused.tag, shown(bench, "testable")) == (ErrorTag.OPERATION_NOT_SUPPORTED, "false")
    assert refused.reason == "Nobody takes the order to test the battery b of ups."
    assert refusal(bench, "c").tag == ErrorTag.DATA_MISSING
    assert refusal(bench, entity="x").tag == ErrorTag.DATA_MISSING
    ups(bench, result="in-progress")
    assert refusal(bench).tag == ErrorTag.IN_USE
    tell(bench, "passed")
    bench.tell("ups", Quantity.ALARM, frozenset({"low"}), battery="b")
    assert "too low" in refusal(bench).reason
    bench.wait(10)
    bench.tell("ups", Quantity.ALARM, frozenset(), battery="b")
    bench.tell("ups", Quantity.CHARGING_STATE, "discharging", battery="b")
    assert "is in use" in refusal(bench).reason
    assert bench.commands() == []


def test_one_at_a_time(bench: Bench) -> None:
    """While a command is under way, another is refused."""
    ups(bench)
    bench.wish(entity="ups", test="b")
    assert refusal(bench).tag == ErrorTag.IN_USE


def test_maintenance_and_life_go_before(bench: Bench) -> None:
    """Where people are at work, and on what is not in service, nothing is tested."""
    ups(bench)
    bench.commit({"id": "ups", "lifecycle": "retired"})
    assert refusal(bench).app_tag == AppTag.NOT_IN_SERVICE
    bench.commit({"id": "ups", "maintenance": {"enabled": True}})
    assert refusal(bench).app_tag == AppTag.IN_MAINTENANCE
    bench.commit({"id": "ups"})
    bench.wish(entity="ups", test="b")


def test_a_failure_is_alarmed_until_a_test_is_passed(bench: Bench) -> None:
    """A failed test is told and stays a condition while another goes on, or is broken off."""
    ups(bench)

    def conditions() -> list[tuple[Kind, str, Severity]]:
        found = bench.domain.conditions.holding(Subject(Sort.ENTITY, "ups"))
        return [(each.kind, each.part, each.severity) for each in found]

    failed = [(Kind.BATTERY_TEST_FAILED, "b", Severity.MAJOR)]
    assert conditions() == []
    for result, wanted in (
        ("in-progress", []),
        ("failed", failed),
        ("in-progress", failed),
        ("aborted", failed),
        ("in-progress", failed),
        ("warning", []),
    ):
        tell(bench, result)
        assert conditions() == wanted, result
        assert bench.at("ups", "battery", ("b",), "alarm", "active") == ("test-failed" if wanted else "")
    assert [told["result"] for told in bench.notices("battery-tested")] == ["failed", "aborted", "warning"]
    tell(bench, "failed")
    ups(bench, identifier="B2", result=None)
    assert conditions() == []


def test_a_failure_of_before_is_told_and_a_success_is_not(bench: Bench) -> None:
    """What is read first is news only if it is bad."""
    ups(bench, result="passed")
    assert bench.notices("battery-tested") == []
    ups(bench, identifier="B2", result="failed")
    assert len(bench.notices("battery-tested")) == 1


@pytest.mark.parametrize("value", ["exploded", "", 3, True, frozenset({"passed"})])
def test_what_makes_no_sense_changes_nothing(bench: Bench, value: object) -> None:
    """A result that nobody knows is left out."""
    ups(bench)
    bench.wait(10)
    bench.tell("ups", Quantity.TEST_RESULT, value, battery="b")
    assert shown(bench, "result") == "passed"


def test_a_failure_outlives_the_process(bench: Bench, boot: Callable[[], Bench]) -> None:
    """After a restart the result is there, and it is not told again."""
    ups(bench)
    tell(bench, "failed")
    at = shown(bench, "time")
    saved = json.loads(json.dumps(dict(bench.domain.batteries.dirty(10))))
    again = boot()
    again.domain.batteries.restore(saved)
    again.now = bench.now
    ups(again, result=None)
    assert (shown(again, "result"), shown(again, "time")) == ("failed", at)
    tell(again, "failed")
    assert again.notices("battery-tested") == []
    assert [each.kind for each in again.domain.conditions.holding(Subject(Sort.ENTITY, "ups"))] == [
        Kind.BATTERY_TEST_FAILED
    ]


def test_a_record_of_before_there_were_tests(bench: Bench) -> None:
    """What an older server kept of a battery is taken up."""
    ups(bench)
    (battery,) = bench.domain.site.entities["ups"].batteries.values()
    record = battery.dump()
    del record["test"]
    battery.test.forget()
    battery.load(record, bench.now.wall)
    assert battery.test.result is None

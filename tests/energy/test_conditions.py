"""What is wrong now: when a condition holds, when it does not, and when nobody can tell."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_netconf.energy.conditions import Kind, Severity, Sort, Subject
from eman_netconf.energy.values import (
    BatteryInfo,
    EntityInfo,
    LinkState,
    Outcome,
    Point,
    Quantity,
    Supply,
)
from eman_netconf.yang.schema import Schema
from tests.energy.bench import DMTF, Bench, canonical, inlet, outlet, saved

Q = Quantity
HOLDS, UNSURE, NOT = "holds", "unsure", "not"


def judged(bench: Bench, name: str, kind: Kind, part: str = "", sort: Sort = Sort.ENTITY) -> str:
    """Whether a condition holds at an entity or a backend, as one word."""
    conditions, subject = bench.domain.conditions, Subject(sort, name)
    if any((each.kind, each.part) == (kind, part) for each in conditions.holding(subject)):
        return HOLDS
    return UNSURE if conditions.unsure(subject, kind, part) else NOT


def told(bench: Bench, name: str, sort: Sort = Sort.ENTITY) -> list[tuple[str, str]]:
    return [(each.severity, each.text) for each in bench.domain.conditions.holding(Subject(sort, name))]


def test_a_backend(bench: Bench) -> None:
    """Lost when its device does not answer, and that is known as long as it is tried again; well when it answers."""

    def now() -> str:
        return judged(bench, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND)

    assert now() == NOT, "there is none"
    bench.link("pdu", LinkState.OPENING)
    assert now() == UNSURE
    bench.link("pdu", LinkState.BACKING_OFF, error="refused")
    assert now() == HOLDS
    assert told(bench, "pdu", Sort.BACKEND) == [
        (Severity.MAJOR, "The device behind the backend pdu does not answer: refused")
    ]
    (found,) = bench.domain.conditions.holding(Subject(Sort.BACKEND, "pdu"))
    assert found.resource == "/eman-entity:energy-management/eman-backend:backends/backend[name='pdu']"
    bench.link("pdu", LinkState.OPENING)
    assert now() == UNSURE
    bench.link("pdu", LinkState.UP)
    assert now() == NOT
    bench.link("pdu", LinkState.STALE)
    assert now() == HOLDS
    bench.link("pdu", LinkState.CLOSED)
    assert now() == UNSURE, "the server stops"


def backend(*, enabled: bool) -> dict[str, Any]:
    return {"backends": {"backend": [{"name": "pdu", "enabled": enabled}]}}


def test_a_backend_that_is_taken_out(bench: Bench) -> None:
    """Who is not asked any more is not missed."""
    bench.commit(**backend(enabled=True))
    bench.link("pdu", LinkState.BACKING_OFF)
    bench.commit(**backend(enabled=False))
    assert judged(bench, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND) == NOT
    bench.commit(**backend(enabled=True))
    assert judged(bench, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND) == HOLDS
    bench.domain.turned()
    bench.domain.forget("pdu", bench.now)
    assert judged(bench, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND) == NOT
    assert bench.domain.turned() == {"pdu"}


def test_a_backend_that_cannot_be_used(bench: Bench) -> None:
    """Settings with which nothing can be tried are wrong until they are others; what stops with an error is not."""

    def now() -> str:
        return judged(bench, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND)

    bench.commit(**backend(enabled=True))
    bench.link("pdu", LinkState.CLOSED, error="misconfigured: no such box")
    assert now() == HOLDS
    assert told(bench, "pdu", Sort.BACKEND) == [
        (Severity.MAJOR, "The backend pdu cannot be used: misconfigured: no such box")
    ]
    bench.link("pdu", LinkState.CLOSED)
    assert now() == HOLDS, "the server stops"
    bench.link("pdu", LinkState.OPENING)
    assert now() == UNSURE
    bench.link("pdu", LinkState.UP)
    assert now() == NOT
    bench.link("pdu", LinkState.CLOSED, error="the last trouble there was")
    assert now() == UNSURE


def test_one_entity_of_many(bench: Bench) -> None:
    """An entity that is not told of for long is unreachable by itself; when its device is lost, nobody can tell."""
    bench.discover("gw", EntityInfo("a", id="a"), EntityInfo("b", id="b"))

    def now() -> str:
        return judged(bench, "a", Kind.ENTITY_UNREACHABLE)

    assert now() == NOT
    bench.read("gw", missing={Point("a"): "silent"})
    assert now() == UNSURE
    bench.wait(301)
    bench.read("gw", missing={Point("a"): "silent"})
    assert now() == HOLDS
    assert judged(bench, "b", Kind.ENTITY_UNREACHABLE) == NOT
    bench.link("gw", LinkState.BACKING_OFF)
    assert (now(), judged(bench, "b", Kind.ENTITY_UNREACHABLE)) == (UNSURE, UNSURE)
    bench.link("gw", LinkState.UP)
    bench.tell("gw", Q.ACTIVE_POWER, Decimal(5), "a")
    bench.read("gw", missing={})
    assert now() == NOT


def test_a_wish_that_fails(bench: Bench) -> None:
    """Wished and not reached is wrong until it is reached or given back; meanwhile nobody can tell."""
    bench.discover("pdu", EntityInfo("srv", id="srv", state_sets=(DMTF,)))

    def now() -> str:
        return judged(bench, "srv", Kind.CONTROL_FAILED)

    assert now() == NOT
    bench.tell("pdu", Q.POWER_STATE, "dmtf-on", "srv")
    bench.wish(entity="srv", state=canonical("dmtf-off-soft"), reason="night")
    assert now() == UNSURE
    bench.answer(Outcome.REFUSED, "too hot")
    assert now() == HOLDS
    assert told(bench, "srv") == [
        (
            Severity.MAJOR,
            "dmtf-off-soft of srv is wanted by ann and was not reached: srv dmtf-off-soft: refused (too hot)",
        )
    ]
    bench.wish(entity="srv", release=True)
    assert now() == NOT


def test_a_supply(bench: Bench) -> None:
    """Of a supply that cannot be switched the wish fails at the interface; a fault is one as long as it is told."""
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1"))))
    assert judged(bench, "pdu", Kind.SUPPLY_FAULT, "o1") == UNSURE
    bench.tell("pdu", Q.SUPPLY_STATE, "fault", "", "o1")
    assert judged(bench, "pdu", Kind.SUPPLY_FAULT, "o1") == HOLDS
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    assert judged(bench, "pdu", Kind.SUPPLY_FAULT, "o1") == NOT
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.answer(Outcome.UNKNOWN)
    (found,) = bench.domain.conditions.holding(Subject(Sort.ENTITY, "pdu"))
    assert (found.kind, found.part, found.severity) == (Kind.CONTROL_FAILED, "o1", Severity.MINOR)
    assert found.resource.endswith("/entity[id='pdu']/eman-power-interface:power-interface[name='o1']")


@pytest.mark.parametrize(
    ("name", "supply", "verdict"), [("in", None, HOLDS), ("o1", "on", HOLDS), ("o1", "off", NOT), ("o1", None, HOLDS)]
)
def test_no_power(bench: Bench, name: str, supply: str | None, verdict: str) -> None:
    """No power is wrong where nobody switched it off."""
    bench.discover("ats", EntityInfo(interfaces=(inlet("in"), outlet("o1"))))
    assert judged(bench, "ats", Kind.SUPPLY_LOST, name) == UNSURE
    bench.tell("ats", Q.POWER_AVAILABLE, False, "", name)
    if supply is not None:
        bench.tell("ats", Q.SUPPLY_STATE, supply, "", name)
    assert judged(bench, "ats", Kind.SUPPLY_LOST, name) == verdict
    bench.wait(1)
    bench.tell("ats", Q.POWER_AVAILABLE, True, "", name)
    assert judged(bench, "ats", Kind.SUPPLY_LOST, name) == NOT


@pytest.mark.parametrize("first", ["pdu", "srv"])
def test_no_power_by_order(bench: Bench, first: str) -> None:
    """An inlet whose outlet was switched off lost nothing, whichever is read first; one whose outlet is on did."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o1", ("srv", "a")),)))
    bench.discover("srv", EntityInfo(interfaces=(inlet("a"),)))
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    dependent = bench.domain.conditions.dependent
    dependent(["pdu", "srv"])
    bench.wait(1)
    for name in dict.fromkeys((first, "pdu", "srv")):
        if name == "pdu":
            bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
            assert "srv" in dependent(["pdu"])
        else:
            bench.tell("srv", Q.POWER_AVAILABLE, False, "", "a")
    assert judged(bench, "srv", Kind.SUPPLY_LOST, "a") == NOT
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o1")
    assert judged(bench, "srv", Kind.SUPPLY_LOST, "a") == HOLDS


def test_a_vital_entity(bench: Bench) -> None:
    """It must have a way for power, however far up that is cut; who is fed is asked of all that lies below."""
    bench.commit({"id": "srv", "vital": True})
    bench.discover("top", EntityInfo(id="top", interfaces=(outlet("t", ("pdu", "in")),)))
    outlets = (inlet("in"), outlet("o1", ("srv", "a")), outlet("o2", ("srv", "b")), outlet("o3", ("lamp", "in")))
    bench.discover("pdu", EntityInfo(id="pdu", interfaces=outlets))
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    assert judged(bench, "srv", Kind.SUPPLY_CUT) == UNSURE, "the other outlet was not read"
    bench.tell("pdu", Q.SUPPLY_STATE, "on", "", "o2")
    assert judged(bench, "srv", Kind.SUPPLY_CUT) == NOT
    bench.tell("top", Q.SUPPLY_STATE, "off", "", "t")
    assert judged(bench, "srv", Kind.SUPPLY_CUT) == HOLDS
    assert judged(bench, "lamp", Kind.SUPPLY_CUT) == NOT, "nobody said it matters"
    dependent = bench.domain.conditions.dependent
    assert dependent(["lamp"]) == set()
    assert dependent(["top"]) == {"pdu", "srv"}
    assert dependent(["top"]) == set(), "nothing changed"
    bench.wait(1)
    bench.tell("top", Q.SUPPLY_STATE, "on", "", "t")
    assert dependent(["top"]) == {"pdu", "srv"}
    bench.discover("top")
    assert dependent(["top", "pdu"]) == {"srv"}


def test_a_battery(bench: Bench) -> None:
    """Its warnings are conditions, critical the worse of two; without a reading nobody can tell."""
    bench.discover("ups", EntityInfo(batteries=(BatteryInfo("b"),)))
    assert judged(bench, "ups", Kind.BATTERY_LOW, "b") == UNSURE

    def tell(*alarms: str) -> list[tuple[Kind, Severity]]:
        bench.wait(1)
        bench.tell("ups", Q.ALARM, frozenset(alarms), battery="b")
        return [(each.kind, each.severity) for each in bench.domain.conditions.holding(Subject(Sort.ENTITY, "ups"))]

    assert tell("low") == [(Kind.BATTERY_LOW, Severity.MINOR)]
    assert tell("low", "critical", "aging", "temperature") == [
        (Kind.BATTERY_LOW, Severity.CRITICAL),
        (Kind.BATTERY_AGING, Severity.WARNING),
        (Kind.BATTERY_TEMPERATURE, Severity.MAJOR),
    ]
    assert tell() == []
    assert judged(bench, "ups", Kind.BATTERY_LOW, "b") == NOT
    assert judged(bench, "ups", Kind.BATTERY_LOW, "gone") == NOT


def test_after_a_restart(bench: Bench, schema: Schema) -> None:
    """Before devices were asked again nobody can tell what was wrong, and nothing is well for lack of readings."""
    bench.commit({"id": "srv", "vital": True}, **backend(enabled=True))
    interfaces = (inlet("in"), outlet("o1", ("srv", "a")))
    bench.discover("pdu", EntityInfo(id="pdu", interfaces=interfaces, batteries=(BatteryInfo("b"),)))
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    later = Bench(schema)
    later.running = bench.running
    later.boot(saved(bench))
    assert judged(later, "pdu", Kind.BACKEND_UNREACHABLE, sort=Sort.BACKEND) == UNSURE
    assert judged(later, "srv", Kind.SUPPLY_CUT) == UNSURE
    assert judged(later, "pdu", Kind.SUPPLY_FAULT, "o1") == UNSURE
    assert judged(later, "pdu", Kind.BATTERY_LOW, "b") == UNSURE
    assert judged(later, "pdu", Kind.ENTITY_UNREACHABLE) == UNSURE

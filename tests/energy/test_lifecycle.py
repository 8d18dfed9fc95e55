"""The life of entities: planned, in service, retired, and replaced by others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_netconf.energy.conditions import Sort, Subject
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import EntityInfo, ForeignId, Quantity, RelationInfo, Supply
from eman_netconf.errors import AppTag
from tests.energy.bench import DMTF, Bench, inlet, outlet, power

Q = Quantity


def site(bench: Bench) -> Bench:
    """Two machines with meters on a strip."""
    bench.discover(
        "pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("old", "in")), outlet("o2", ("new", "in"))))
    )
    for name in ("old", "new"):
        bench.discover(name, EntityInfo(state_sets=(DMTF,)))
        bench.tell(name, Q.POWER_STATE, "dmtf-on")
        bench.tell(name, Q.ENERGY_RECEIVED, Decimal(1000))
        bench.tell(name, Q.ACTIVE_POWER, Decimal(100))
    return bench


def group(*members: str) -> dict[str, Any]:
    return {"group": [{"name": "row", "member": list(members)}]}


def total(bench: Bench, *path: str) -> Any:
    return bench.served().at("groups", "group").entries["row",].at(*path)  # type: ignore[union-attr]


@pytest.mark.parametrize("life", ["planned", "retired"])
def test_what_is_not_in_service_takes_no_commands(bench: Bench, life: str) -> None:
    """Nor does it switch anybody's supply; an outlet that feeds it may be switched all the same."""
    site(bench).commit({"id": "old", "lifecycle": life})
    with pytest.raises(Refusal) as refused:
        bench.wish(entity="old", state="dmtf-off-soft")
    assert refused.value.app_tag is AppTag.NOT_IN_SERVICE
    assert f"old is {life}" in refused.value.reason
    bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)
    bench.commit({"id": "pdu", "lifecycle": life})
    with pytest.raises(Refusal):
        bench.wish(entity="pdu", interface="o2", supply=Supply.OFF)


def test_a_standing_wish_waits_for_service(bench: Bench) -> None:
    """It is kept while the entity is planned, and sent when it is in service."""
    site(bench)
    wish = {"power-state": {"admin-state": "eman-power-state-set:dmtf-off-soft"}}
    bench.commit({"id": "new", "lifecycle": "planned", **wish})
    assert bench.commands() == []
    assert "planned" in bench.at("new", "power-state", "request").leaf("waiting-for")
    bench.commit({"id": "new", **wish})
    assert [value for _, value in bench.told()] == ["dmtf-off-soft"]


def test_a_total_goes_on_without_a_retired_member(bench: Bench) -> None:
    """Its power is not in the sum any more; the energy that it took before stays in it, and in its own counter."""
    site(bench).commit(groups=group("old", "new"))
    total(bench, "power", "active")
    bench.wait(10)
    for name in ("old", "new"):
        bench.tell(name, Q.ENERGY_RECEIVED, Decimal(1005))
        bench.tell(name, Q.ACTIVE_POWER, Decimal(100))
    assert total(bench, "power", "active") == "200.0"
    assert total(bench, "energy", "received") == "10.0"
    bench.commit({"id": "old", "lifecycle": "retired"}, groups=group("old", "new"))
    assert total(bench, "power", "active") == "100.0"
    assert total(bench, "energy", "received") == "10.0"
    assert total(bench, "contributor") == ("new",)
    assert total(bench, "member") == ("old", "new")
    assert bench.at("old", "energy", "received") == "5.0"
    bench.wait(10)
    for name in ("old", "new"):
        bench.tell(name, Q.ENERGY_RECEIVED, Decimal(1010))
    assert total(bench, "energy", "received") == "15.0"
    assert bench.at("old", "power-state", "set") is not None
    bench.commit({"id": "old"}, groups=group("old", "new"))
    assert total(bench, "power", "active") == "200.0"


def test_a_sum_goes_on_without_a_retired_part(bench: Bench) -> None:
    """The same holds for an entity that adds up others."""
    aggregates = tuple(RelationInfo("aggregating", name) for name in ("old", "new"))
    site(bench)
    bench.discover("sum", EntityInfo(relationships=aggregates))
    assert power(bench, "sum") == "200.0"
    bench.commit({"id": "old", "lifecycle": "retired"})
    assert power(bench, "sum") == "100.0"
    bench.commit({"id": "old", "lifecycle": "in-service"})
    assert power(bench, "sum") == "200.0"


def test_nobody_is_alarmed_about_what_is_retired(bench: Bench) -> None:
    """What is wrong with it is wrong no more."""
    site(bench)
    bench.wait(1)
    bench.tell("pdu", Q.SUPPLY_STATE, "fault", "", "o2")
    subject = Subject(Sort.ENTITY, "pdu")
    assert bench.domain.conditions.holding(subject)
    bench.domain.stirred()
    bench.commit({"id": "pdu", "lifecycle": "retired"})
    assert bench.domain.conditions.holding(subject) == []
    assert "pdu" in bench.domain.stirred()


def test_who_was_replaced_tells_by_whom(bench: Bench) -> None:
    """The successor is configured; the one it replaced shows it for as long as that holds."""
    site(bench).commit({"id": "old", "lifecycle": "retired"}, {"id": "new", "replaces": "old"})
    assert bench.at("old", "replaced-by") == ("new",)
    bench.commit({"id": "old"}, {"id": "new"})
    assert bench.at("old", "replaced-by") is None


def test_a_successor_may_come_first(bench: Bench) -> None:
    """Whom it replaces need not be there yet."""
    bench.commit({"id": "new", "replaces": "old"})
    bench.commit({"id": "new", "replaces": "old"}, {"id": "old", "lifecycle": "retired"})
    assert bench.at("old", "replaced-by") == ("new",)
    bench.commit({"id": "old", "lifecycle": "retired"})
    assert bench.at("old", "replaced-by") is None


def test_what_is_vital_stays_protected(bench: Bench) -> None:
    """Retiring an entity does not take its mark: its last supply is not cut while that stands."""
    site(bench).commit({"id": "old", "vital": True, "lifecycle": "retired"})
    with pytest.raises(Refusal, match="vital"):
        bench.wish(entity="pdu", interface="o1", supply=Supply.OFF)


def test_a_device_is_swapped_behind_its_id(bench: Bench) -> None:
    """Another serial number is another device: what it counted before counts for nothing, the totals go on from what
    they were, and say that something is missing; who listens is told of the identifier.
    """

    def tell(serial: str, reading: int) -> None:
        bench.discover("m", EntityInfo(foreign_ids=(ForeignId("serial-number", serial),)))
        bench.wait(10)
        bench.tell("m", Q.ENERGY_RECEIVED, Decimal(reading))

    bench.commit({"id": "m"}, groups=group("m"))
    tell("S1", 1000)
    total(bench, "power", "active")
    tell("S1", 1005)
    assert bench.at("m", "energy", "discontinuity-time") is None
    tell("S2", 9000)
    tell("S2", 9002)
    assert (bench.at("m", "energy", "received"), total(bench, "energy", "received")) == ("7.0", "7.0")
    assert bench.at("m", "energy", "discontinuity-time") is not None
    assert total(bench, "energy", "discontinuity-time") is not None
    (notice,) = [each for each in bench.notices("identifier-changed") if "kind" in each]
    assert (notice["old-value"], notice["new-value"]) == ("S1", "S2")

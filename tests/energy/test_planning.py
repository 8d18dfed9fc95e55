"""From wish to plan: what can be done at all, who is touched, and what the guard forbids."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_netconf.energy.plans import Plan, Refusal
from eman_netconf.energy.values import EntityInfo, Outcome, Quantity, StateInfo, StateSetInfo, Supply, Wish
from eman_netconf.errors import AppTag, ErrorTag
from eman_netconf.yang.schema import Schema
from tests.energy.bench import DMTF, Bench, inlet, outlet

Q = Quantity


def plan(bench: Bench, **wish: Any) -> Plan:
    return bench.domain.plan(Wish(by="ann", **wish), bench.now)


def refusal(bench: Bench, **wish: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        plan(bench, **wish)
    return raised.value


def dual(bench: Bench, *, vital: str = "") -> None:
    """A server without a controller of its own on outlets of two strips, beside a lamp on the first."""
    bench.commit(*({"id": id_, **({"vital": True} if id_ == vital else {})} for id_ in ("srv", "lamp")))
    bench.discover(
        "pdu-a", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("srv", "a")), outlet("o2", ("lamp", "in"))))
    )
    bench.discover("pdu-b", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("srv", "b")))))
    for strip, name in (("pdu-a", "o1"), ("pdu-a", "o2"), ("pdu-b", "o1")):
        bench.tell(strip, Q.SUPPLY_STATE, "on", "", name)


def told(found: Plan) -> list[list[tuple[str, object]]]:
    return [[(order.entity, order.value) for order in stage.orders] for stage in found.stages]


def test_off_needs_both_outlets_on_comes_one_by_one(bench: Bench) -> None:
    """A dual-fed server is switched off by both outlets at once, and on by one after the other."""
    dual(bench)
    assert told(plan(bench, entity="srv", state="dmtf-off-soft")) == [[("pdu-a", "off"), ("pdu-b", "off")]]
    on = plan(bench, entity="srv", state="ieee1621-on")
    assert told(on) == [[("pdu-a", "on")], [("pdu-b", "on")]]
    assert on.stages[1].after > 0
    assert on.touched == {"srv"}


def test_an_outlet_that_cannot_be_switched_keeps_its_load_on(bench: Bench) -> None:
    """Off is refused, naming what would still feed the server."""
    dual(bench)
    fixed = EntityInfo(interfaces=(inlet("in"), outlet("o1", ("srv", "b"), switchable=False)))
    bench.discover("pdu-b", fixed)
    assert "pdu-b o1" in refusal(bench, entity="srv", state="ieee1621-off").reason


def test_an_entity_with_a_settable_set_is_told_itself(bench: Bench) -> None:
    """The wish is mapped into the device's words."""
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    (order,) = plan(bench, entity="srv", state="eman-mechoff").stages[0].orders
    assert (order.backend, order.value) == ("bmc", "dmtf-off-soft")
    assert plan(bench, entity="srv", state="eman-medium").stages[0].orders[0].value == "dmtf-on"


@pytest.mark.parametrize(
    ("wish", "tag"),
    [
        ({"entity": "nobody", "state": "dmtf-on"}, ErrorTag.DATA_MISSING),
        ({"entity": "srv", "interface": "x", "supply": Supply.ON}, ErrorTag.DATA_MISSING),
        ({"entity": "srv", "interface": "a", "supply": Supply.ON}, ErrorTag.OPERATION_NOT_SUPPORTED),
        ({"entity": "srv", "state": "dmtf-sleep-light"}, ErrorTag.OPERATION_NOT_SUPPORTED),
        ({"entity": "srv", "state": "no-such-state"}, ErrorTag.INVALID_VALUE),
        ({"entity": "srv", "transition": "dmtf-master-bus-reset"}, ErrorTag.INVALID_VALUE),
        ({"entity": "srv", "power_limit": Decimal(100)}, ErrorTag.OPERATION_NOT_SUPPORTED),
        ({"entity": "srv", "nameplate_percent": Decimal(50)}, ErrorTag.OPERATION_FAILED),
        ({"group": "nobody", "state": "dmtf-on"}, ErrorTag.DATA_MISSING),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(bench: Bench, wish: dict[str, Any], tag: ErrorTag) -> None:
    """Every refusal has a sentence and a tag."""
    dual(bench)
    found = refusal(bench, **wish)
    assert found.tag is tag
    assert found.reason.endswith(".")


def test_a_state_outside_the_entity_s_sets_is_told_so(bench: Bench) -> None:
    """A device without a sleeping state cannot sleep."""
    states = StateSetInfo("redfish", (StateInfo("redfish-on"), StateInfo("redfish-off")), settable=True)
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(states,)))
    assert refusal(bench, entity="srv", state="eman-sleep").app_tag is AppTag.STATE_NOT_SUPPORTED


def test_limits_in_watts_and_percent(bench: Bench) -> None:
    """A share of the nameplate becomes watts; what the device does not take is refused."""
    info = EntityInfo(id="srv", nameplate_power=Decimal(800), power_limits=(Decimal(100), Decimal(600)))
    bench.discover("bmc", info)
    assert plan(bench, entity="srv", nameplate_percent=Decimal(50)).limit == 400
    assert refusal(bench, entity="srv", power_limit=Decimal(50)).tag is ErrorTag.INVALID_VALUE


def test_a_vital_entity_is_neither_lowered_nor_cut_off(bench: Bench) -> None:
    """No override in the action: not by its state, not by its outlets, not by those of what feeds them."""
    dual(bench, vital="srv")
    assert refusal(bench, entity="srv", state="ieee1621-off").entities == ("srv",)
    first = plan(bench, entity="pdu-a", interface="o1", supply=Supply.OFF)
    assert first.affected == ()
    bench.wait(1)
    bench.tell("pdu-b", Q.SUPPLY_STATE, "off", "", "o1")
    found = refusal(bench, entity="pdu-a", interface="o1", supply=Supply.OFF, accept_collateral=True)
    assert found.entities == ("srv",)
    assert "srv" in refusal(bench, entity="pdu-a", interface="o1", cycle=5.0, accept_collateral=True).reason
    assert plan(bench, entity="pdu-a", interface="o1", supply=Supply.ON)


def test_vital_entities_with_states_of_their_own(bench: Bench) -> None:
    """A vital server is not put to sleep or restarted, but may be turned on."""
    bench.commit({"id": "srv", "vital": True})
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    bench.tell("bmc", Q.POWER_STATE, "dmtf-on")
    assert refusal(bench, entity="srv", state="dmtf-sleep-deep").entities == ("srv",)
    assert refusal(bench, entity="srv", transition="dmtf-power-cycle-off-soft").entities == ("srv",)
    assert plan(bench, entity="srv", state="dmtf-on").stages


def test_the_host_of_the_server_is_vital_by_construction(schema: Schema) -> None:
    """Never cut the branch one sits on, also two steps up."""
    bench = Bench(schema, host="me").boot()
    bench.discover("ups", EntityInfo(interfaces=(outlet("o", ("pdu", "in")),)))
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("me", "in")))))
    bench.commit({"id": "me"})
    assert refusal(bench, entity="ups", interface="o", supply=Supply.OFF, accept_collateral=True).entities == ("me",)
    assert refusal(bench, entity="me", state="ieee1621-off").entities == ("me",)


def test_collateral_has_to_be_accepted(bench: Bench) -> None:
    """Who else loses the supply is named; with consent the plan touches them all."""
    bench.discover("ups", EntityInfo(interfaces=(outlet("o", ("pdu", "in")),)))
    bench.discover(
        "pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("srv", "a")), outlet("o2", ("lamp", "in"))))
    )
    bench.commit({"id": "srv"}, {"id": "lamp"})
    wish = {"entity": "ups", "interface": "o", "supply": Supply.OFF}
    assert set(refusal(bench, **wish).entities) == {"srv", "lamp"}
    found = plan(bench, **wish, accept_collateral=True)
    assert found.touched == {"ups", "srv", "lamp"}
    assert set(found.affected) == {"pdu", "srv", "lamp"}
    alone = plan(bench, entity="pdu", interface="o1", supply=Supply.OFF)
    assert (alone.touched, alone.affected) == ({"pdu"}, ("srv",))


def test_two_loads_on_one_outlet_are_each_other_s_collateral(bench: Bench) -> None:
    """Switching one of them off through the outlet is refused, naming the other."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o", ("a", "in"), ("b", "in")),)))
    bench.commit({"id": "a"}, {"id": "b"})
    assert refusal(bench, entity="a", state="ieee1621-off").entities == ("b",)
    assert plan(bench, entity="a", state="ieee1621-off", accept_collateral=True).touched == {"a", "b"}


def test_a_point_with_a_command_under_way_is_in_use(bench: Bench) -> None:
    """A second wish for the same outlet waits for the answer to the first."""
    dual(bench)
    bench.wish(entity="pdu-a", interface="o2", supply=Supply.OFF)
    assert refusal(bench, entity="pdu-a", interface="o2", supply=Supply.ON).tag is ErrorTag.IN_USE
    bench.answer(Outcome.ACCEPTED)
    assert plan(bench, entity="pdu-a", interface="o2", supply=Supply.ON)


def test_the_guard_counts_what_is_under_way(bench: Bench) -> None:
    """While one feed of a vital server is being cut, the other cannot be, though both still read as on."""
    dual(bench, vital="srv")
    bench.wish(entity="pdu-a", interface="o1", supply=Supply.OFF)
    for _ in range(2):
        wish = {"entity": "pdu-b", "interface": "o1", "supply": Supply.OFF}
        assert refusal(bench, **wish, accept_collateral=True).entities == ("srv",)
        bench.wait(1)
        if bench.commands():
            bench.answer(Outcome.UNKNOWN)


def test_loads_are_asked_before_their_supply_is_cut(bench: Bench) -> None:
    """With a shutdown timeout, loads that can are told to go off; the outlet follows later."""
    bench.discover("pdu", EntityInfo(interfaces=(outlet("o", ("srv", "a")),)))
    bench.discover("bmc", EntityInfo(id="srv", state_sets=(DMTF,)))
    found = plan(bench, entity="pdu", interface="o", supply=Supply.OFF, shutdown_timeout=60.0)
    assert told(found) == [[("srv", "dmtf-off-soft-graceful")], [("pdu", "off")]]
    assert (found.stages[1].after, found.stages[1].awaits) == (60.0, {"srv"})
    assert len(plan(bench, entity="pdu", interface="o", supply=Supply.OFF).stages) == 1


def test_a_group_goes_by_priority_and_member_by_member(bench: Bench) -> None:
    """Lowest priority first, then by importance; who cannot is named with the reason, and the others still go."""
    bench.commit(
        {"id": "m.a", "power-priority": 9},
        {"id": "m.b", "importance": 50},
        {"id": "m.c", "power-priority": 1},
        {"id": "m.d", "vital": True},
        {"id": "rack"},
        groups={"group": [{"name": "all", "member": ["m.a", "m.b", "m.c", "m.d", "rack", "gone"]}]},
    )
    bench.discover("m", EntityInfo(), *(EntityInfo(name, state_sets=(DMTF,)) for name in "abcd"))
    found = plan(bench, group="all", state="ieee1621-off", stagger=2.0)
    assert [member.entity for member in found.members] == ["m.c", "m.a", "m.d", "rack", "m.b"]
    assert [member.plan is not None for member in found.members] == [True, True, False, False, True]
    delays = [member.plan.stages[0].after for member in found.members if member.plan is not None]
    assert delays == [0.0, 2.0, 4.0]
    assert found.touched == {"m.a", "m.b", "m.c"}


def test_a_group_is_switched_on_the_other_way_round(bench: Bench) -> None:
    """What matters most comes first, a stagger apart, which the group has where the wish says nothing."""
    group = {"name": "all", "member": ["m.a", "m.b", "m.c"], "stagger": "3.0"}
    bench.commit({"id": "m.a", "power-priority": 9}, {"id": "m.c", "power-priority": 1}, groups={"group": [group]})
    bench.discover("m", EntityInfo(), *(EntityInfo(name, state_sets=(DMTF,)) for name in "abc"))
    for stagger, expected in ((None, [0.0, 3.0, 6.0]), (1.0, [0.0, 1.0, 2.0]), (0.0, [0.0, 0.0, 0.0])):
        found = plan(bench, group="all", state="dmtf-on", stagger=stagger)
        assert [member.entity for member in found.members] == ["m.b", "m.a", "m.c"]
        assert [member.plan.stages[0].after for member in found.members if member.plan] == expected


def test_a_group_does_not_darken_a_vital_entity_together(bench: Bench) -> None:
    """Each feed alone could be cut, both not: the second member is refused."""
    bench.commit(
        {"id": "srv", "vital": True},
        groups={"group": [{"name": "feeds", "member": ["fa", "fb"]}]},
    )
    off = StateSetInfo("ieee1621", (StateInfo("ieee1621-on"), StateInfo("ieee1621-off")), settable=True)
    for name in ("fa", "fb"):
        bench.discover(name, EntityInfo(interfaces=(outlet("o", ("srv", name)),), state_sets=(off,)))
    found = plan(bench, group="feeds", state="ieee1621-off")
    assert [member.plan is not None for member in found.members] == [True, False]
    assert found.members[1].refusal is not None
    assert found.members[1].refusal.entities == ("srv",)

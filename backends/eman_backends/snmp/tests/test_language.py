"""What a table can say, on a device of three rows: columns, units, digits, powers of ten, switches of two objects."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from eman_backends.snmp.readings import Plan, readings
from eman_backends.snmp.survey import survey
from eman_backends.snmp.tables import GENERIC, load, read
from eman_backends.snmp.tables.walk import Value, Walk
from eman_backends.snmp.writes import Syntax, Write
from eman_netconf.backend import Inventory, Point, Quantity, Supply

TABLE = """
title = "A device"
source = "nowhere"
base = "1.3.6.1"

[match]
probe = ".2"

[[interface]]
name = "outlet-{number}"
rows = ".2"
columns = { box = ".1", number = { oid = ".8", pattern = "[A-Z]+([0-9]+)" } }
unit = "{box}"
label = { oid = ".9.{2}.{1}" }
rated-current = { oid = ".7" }

[interface.switch]
on = { oid = ".5", value = 0 }
off = { oid = ".6.{index}.1", value = 1, type = "unsigned" }
unless = { oid = ".4", is = [2] }

[[interface.readings]]
quantity = "active-power"
oid = ".2"
scale = -1
exponent = { oid = ".3", words = { 8 = -3, 9 = 0 } }

[[interface.readings]]
quantity = "energy-provided"
oid = ".10"
digits = ".11"
wraps-at = 65536
accuracy = { oid = ".12", scale = 0.01 }
"""
WALK = """
.1.3.6.1.1.1.7 = INTEGER: 1
.1.3.6.1.1.2.7 = INTEGER: 2
.1.3.6.1.1.3.7 = INTEGER: 1
.1.3.6.1.2.1.7 = INTEGER: 2500
.1.3.6.1.2.2.7 = INTEGER: 3
.1.3.6.1.2.3.7 = INTEGER: 99
.1.3.6.1.3.1.7 = INTEGER: 8
.1.3.6.1.3.2.7 = INTEGER: 9
.1.3.6.1.3.3.7 = INTEGER: 9
.1.3.6.1.4.1.7 = INTEGER: 1
.1.3.6.1.4.2.7 = INTEGER: 2
.1.3.6.1.7.1.7 = STRING: "16 A"
.1.3.6.1.7.2.7 = STRING: "10-16A"
.1.3.6.1.8.1.7 = STRING: "AA12"
.1.3.6.1.8.2.7 = STRING: "BA1"
.1.3.6.1.8.3.7 = STRING: "spare"
.1.3.6.1.9.7.1 = STRING: "lamp"
.1.3.6.1.10.1.7 = Counter32: 4095
.1.3.6.1.11.1.7 = INTEGER: 1
.1.3.6.1.12.1.7 = INTEGER: 150
"""
OUTLET = Point(interface="outlet-12")


async def surveyed(tmp_path: Path, **other: int | None) -> tuple[Inventory, Plan, dict[str, Value]]:
    """What the table makes of the device; ``other`` are values that differ, by name, None = not there."""
    (tmp_path / "device.toml").write_text(TABLE, encoding="utf-8")
    walk = Walk(WALK)
    for name, value in other.items():
        del walk.values[f"1.3.6.1.{name}"]
        if value is not None:
            walk.values[f"1.3.6.1.{name}"] = value
    inventory, plan = await survey(walk, [read(tmp_path / "device.toml")], load()[GENERIC])
    return inventory, plan, walk.values


def told(plan: Plan, values: Mapping[str, Value]) -> dict[tuple[str, Quantity], object]:
    """Values by entity and quantity."""
    return {(one.point.entity, one.quantity): one.value for one in readings(plan.cells, values, 0.0).readings}


async def test_rows_are_named_by_columns_and_belong_to_units(tmp_path: Path) -> None:
    """A pattern picks the number out of AA12; the row of box 2 is of another device; a row that fits not is none."""
    inventory, plan, values = await surveyed(tmp_path)
    first, second = inventory.entities
    assert [one.name for one in first.interfaces] == ["outlet-12"]
    assert (second.local, [one.name for one in second.interfaces]) == ("unit-2", ["outlet-1"])
    assert first.interfaces[0].label == "lamp"  # whose index is told the other way round
    assert first.interfaces[0].rated_current == 16
    assert second.interfaces[0].rated_current is None  # "10-16A" is no number
    assert told(plan, values) == {
        ("", Quantity.ACTIVE_POWER): Decimal("-2.5"),  # 2500 milliwatts
        ("", Quantity.ENERGY_PROVIDED): Decimal("409.5"),
        ("unit-2", Quantity.ACTIVE_POWER): -3,
    }


async def test_a_counter_says_where_it_turns_and_how_good_it_is(tmp_path: Path) -> None:
    """65536 counts of a tenth are 6553.6 Wh; 150 hundredths of a percent are the accuracy that the device states."""
    _, plan, values = await surveyed(tmp_path)
    (energy,) = (one for one in readings(plan.cells, values, 0.0).readings if one.quantity is Quantity.ENERGY_PROVIDED)
    assert energy.wraps_at == Decimal("6553.6")
    assert energy.accuracy == Decimal("1.5")


async def test_a_switch_may_be_two_objects(tmp_path: Path) -> None:
    """On and off are written where they are told, in their types; a row that says it cannot be switched has none."""
    _, plan, _ = await surveyed(tmp_path)
    on, off = Write("1.3.6.1.5.1.7", 0), Write("1.3.6.1.6.1.7.1", 1, Syntax.UNSIGNED)
    assert plan.switches == {OUTLET: {Supply.ON: on, Supply.OFF: off}}


@pytest.mark.parametrize("digits", [None, -1, 19])
async def test_without_digits_no_value_is_told(tmp_path: Path, digits: int | None) -> None:
    """A number whose decimal digits are not told, or make no sense, could be anything."""
    _, plan, values = await surveyed(tmp_path, **{"11.1.7": digits})
    assert {quantity for _, quantity in told(plan, values)} == {Quantity.ACTIVE_POWER}


@pytest.mark.parametrize("code", [None, 7])
async def test_a_power_of_ten_that_is_not_known_tells_nothing(tmp_path: Path, code: int | None) -> None:
    """The multiplier is asked in each pass: a code that means nothing makes the value unknown, and not wrong."""
    _, plan, values = await surveyed(tmp_path)
    del values["1.3.6.1.3.1.7"]
    if code is not None:
        values["1.3.6.1.3.1.7"] = code
    assert ("", Quantity.ACTIVE_POWER) not in told(plan, values)
    assert ("", Quantity.ENERGY_PROVIDED) in told(plan, values)

"""What variables mean: real values of drivers, what contradicts itself, what is reckoned and says so."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_backends.nut import status
from eman_backends.nut.readings import readings
from eman_backends.nut.survey import Abilities, Order, Ups, survey
from eman_backends.nut.tests.counterparts import DESK, RACK
from eman_backends.nut.tests.told import battery, inlet, methods, of, output
from eman_netconf.backend import Inventory, Method, Pass, Point, Quantity, Supply
from tests.well_formed import check_inventory, check_pass

#: as snmp-ups 2.8.0 tells of an Eaton 93E: zeros for what it does not measure, a nominal frequency in another unit
EATON = {
    "device.type": "ups",
    "ups.status": "OL",
    "input.phases": "3",
    "input.frequency.nominal": "5",
    "input.voltage.nominal": "220",
    **{f"input.L{n}-N.voltage": volts for n, volts in ((1, "227"), (2, "227"), (3, "233"))},
    **{f"input.L{n}.current": "21" for n in (1, 2, 3)},
    **{f"input.L{n}.realpower": "0" for n in (1, 2, 3)},
    "input.L1.frequency": "50",
    **{f"output.L{n}-N.voltage": "220" for n in (1, 2, 3)},
    **{f"output.L{n}.current": amperes for n, amperes in ((1, "27"), (2, "18"), (3, "15"))},
    **{f"output.L{n}.realpower": watts for n, watts in ((1, "5100"), (2, "3600"), (3, "2700"))},
    "output.power.nominal": "80100",
    "output.realpower.nominal": "72090",
    "battery.runtime": "0",
    "battery.charge": "100",
    "battery.temperature": "0",
}
#: as snmp-ups 2.8.0 tells of a Huawei UPS5000: kilovolt-amperes, as if they were volt-amperes
HUAWEI = {
    "device.type": "ups",
    "ups.status": "OL",
    **{f"output.L{n}-N.voltage": volts for n, volts in ((1, "221.30"), (2, "220.40"), (3, "217.90"))},
    **{f"output.L{n}.current": amperes for n, amperes in ((1, "12.10"), (2, "13.40"), (3, "29.80"))},
    **{f"output.L{n}.power": power for n, power in ((1, "2.70"), (2, "2.90"), (3, "6.40"))},
    "output.L1.realpower": "6",
}


def read(variables: Mapping[str, str], factor: str | None = None, ups: Ups | None = None) -> Pass:
    """One pass over a UPS called u; what comes is well formed."""
    surveyed = ups or survey("u", "u", variables, Abilities())
    inventory = Inventory((surveyed.info,))
    check_inventory(inventory)
    result = readings(surveyed, variables, 7.0, Decimal(factor) if factor else None)
    check_pass(inventory, result)
    return result


def ups(**variables: str) -> dict[str, str]:
    """A UPS on mains with these variables; _ stands for a dot."""
    return {"ups.status": "OL", **{name.replace("_", "."): value for name, value in variables.items()}}


# --- a whole UPS ------------------------------------------------------------------------------------------------------


def test_a_whole_ups() -> None:
    """Volts, amperes, watts, hertz, percent, seconds and degrees of a UPS; what it gives is negative."""
    result = read(RACK)
    assert of(result, inlet("u")) == {
        Quantity.VOLTAGE: Decimal("231.4"),
        Quantity.FREQUENCY: Decimal("49.98"),
        Quantity.POWER_AVAILABLE: True,
    }
    assert of(result, output("u")) == {
        Quantity.VOLTAGE: 230,
        Quantity.CURRENT: Decimal("5.48"),
        Quantity.FREQUENCY: 50,
        Quantity.ACTIVE_POWER: -1134,
        Quantity.APPARENT_POWER: 1260,
        Quantity.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, battery("u")) == {
        Quantity.CHARGE_PERCENT: 97,
        Quantity.RUNTIME_REMAINING: 2520,
        Quantity.BATTERY_VOLTAGE: Decimal("54.4"),
        Quantity.BATTERY_CURRENT: Decimal("1.2"),
        Quantity.TEMPERATURE: Decimal("27.5"),
        Quantity.CHARGING_STATE: "charging",
        Quantity.ALARM: frozenset(),
        Quantity.TEST_RESULT: "passed",
    }
    assert of(result, Point("u", "outlet-1")) == {
        Quantity.ACTIVE_POWER: -810,
        Quantity.CURRENT: Decimal("3.6"),
        Quantity.SUPPLY_STATE: Supply.ON,
    }
    assert of(result, Point("u", "outlet-2")) == {Quantity.SUPPLY_STATE: Supply.OFF}
    assert not result.missing
    assert {one.at for one in result.readings} == {7.0}


def test_the_nameplate_and_the_identifiers() -> None:
    """Maker, model, serial number, ratings and the battery's chemistry are in the inventory."""
    info = survey("u", "u", RACK, Abilities(), description="In the cellar", where="192.0.2.1").info
    assert (info.manufacturer, info.model, info.firmware_version) == ("Acme Power", "Smart 3000", "UPS 09.3")
    assert (info.category, info.nameplate_power, info.description) == ("store", Decimal(2700), "In the cellar")
    assert [(one.kind, one.value) for one in info.foreign_ids] == [
        ("serial-number", "AS1234567890"),
        ("alternate-key", "u@192.0.2.1"),
    ]
    interfaces = {one.name: one for one in info.interfaces}
    assert interfaces["output"].rated_power == 3000
    assert interfaces["input"].nominal_voltage == (Decimal(230), Decimal(230))
    assert interfaces["outlet-1"].label == "Servers"
    assert [(one.technology, one.nominal_voltage) for one in info.batteries] == [("vrla-agm", Decimal(48))]


def test_what_drivers_say_for_nothing_is_nothing() -> None:
    """Empty names, serial numbers of zeros and ratings of zero are not known."""
    told = ups(ups_mfr="", ups_model="Unknown", ups_serial="000000", ups_realpower_nominal="0", device_macaddr="nil")
    info = survey("u", "u", told, Abilities(), description="Description unavailable").info
    assert (info.manufacturer, info.model, info.description, info.nameplate_power) == (None,) * 4
    assert info.foreign_ids == ()


# --- power that is not measured ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "factor", "watts", "apparent"),
    [
        ({"ups_load": "40", "ups_realpower_nominal": "900"}, None, -360, None),
        ({"ups_load": "40", "ups_power_nominal": "1000"}, None, None, 400),
        ({"ups_load": "40", "ups_power_nominal": "1000"}, "0.6", -240, 400),
        ({"ups_load": "40", "ups_power_nominal": "1000", "output_powerfactor": "0.9"}, "0.6", -360, 400),
        ({"output_voltage": "230", "output_current": "2", "output_powerfactor": "0.5"}, None, -230, 460),
        (
            {"output_voltage": "230", "output_current": "2", "ups_load": "50", "ups_realpower_nominal": "600"},
            None,
            -300,
            460,
        ),
        ({"ups_load": "0", "ups_realpower_nominal": "900"}, None, 0, None),
        ({"ups_realpower_nominal": "900"}, "0.6", None, None),
        ({"ups_load": "nan", "ups_realpower_nominal": "900"}, None, None, None),
    ],
)
def test_watts_that_nobody_measured_say_so(
    told: dict[str, str], factor: str | None, watts: int | None, apparent: int | None
) -> None:
    """Of load and rating, or of volts and amperes, comes a load-model; a power factor is told or configured."""
    result = read(ups(**told), factor)
    found = of(result, output("u"))
    assert found.get(Quantity.ACTIVE_POWER) == watts
    assert found.get(Quantity.APPARENT_POWER) == apparent
    how = methods(result, output("u"))
    assert {how.get(one, Method.LOAD_MODEL) for one in (Quantity.ACTIVE_POWER, Quantity.APPARENT_POWER)} == {
        Method.LOAD_MODEL
    }


def test_measured_watts_are_not_reckoned() -> None:
    """Where the UPS tells its watts, rating and assumption do not matter."""
    result = read(RACK, "0.1")
    assert methods(result, output("u"))[Quantity.ACTIVE_POWER] is Method.DIRECT_METER


def test_what_a_ups_takes_in_is_reckoned_of_its_efficiency() -> None:
    """On mains, with watts at the output and an efficiency, the device takes so much more; without it nobody knows."""
    result = read(RACK)
    assert of(result, Point("u")) == {Quantity.ACTIVE_POWER: 1200}
    assert methods(result, Point("u")) == {Quantity.ACTIVE_POWER: Method.LOAD_MODEL}
    assert of(read({**RACK, "ups.status": "OB DISCHRG"}), Point("u")) == {}
    assert of(read({name: value for name, value in RACK.items() if name != "ups.efficiency"}), Point("u")) == {}


def test_what_is_measured_at_the_inlet_is_the_device() -> None:
    """Watts of the input are those of the inlet and of the device."""
    result = read(ups(input_realpower="812", input_power="840"))
    assert of(result, Point("u")) == {Quantity.ACTIVE_POWER: 812}
    assert of(result, inlet("u"))[Quantity.APPARENT_POWER] == 840


def test_a_small_ups_without_watts() -> None:
    """Volt-amperes of load and rating, no watts; a runtime of zero on mains is not reckoned."""
    result = read(DESK)
    assert of(result, output("u")) == {Quantity.APPARENT_POWER: 100, Quantity.SUPPLY_STATE: Supply.ON}
    assert Quantity.RUNTIME_REMAINING not in of(result, battery("u"))


# --- what contradicts itself ------------------------------------------------------------------------------------------


def test_three_phases_and_zeros_that_nobody_measured() -> None:
    """Watts of zero beside amperes are left out, three phases are summed up, a frequency of a phase is the whole's."""
    result = read(EATON)
    assert of(result, output("u")) == {
        Quantity.ACTIVE_POWER: -11400,
        Quantity.VOLTAGE: 220,
        Quantity.CURRENT: 20,
        Quantity.APPARENT_POWER: 13200,
        Quantity.SUPPLY_STATE: Supply.ON,
    }
    assert methods(result, output("u"))[Quantity.APPARENT_POWER] is Method.LOAD_MODEL
    assert of(result, output("u"), 2) == {
        Quantity.VOLTAGE: 220,
        Quantity.CURRENT: 18,
        Quantity.ACTIVE_POWER: -3600,
    }
    assert of(result, inlet("u")) == {
        Quantity.VOLTAGE: 229,
        Quantity.CURRENT: 21,
        Quantity.FREQUENCY: 50,
        Quantity.POWER_AVAILABLE: True,
    }
    assert of(result, battery("u")) == {
        Quantity.CHARGE_PERCENT: 100,
        Quantity.CHARGING_STATE: "maintaining",
        Quantity.ALARM: frozenset(),
    }
    info = survey("u", "u", EATON, Abilities()).info
    assert info.interfaces[0].nominal_frequency is None
    assert info.interfaces[0].ac_phases == 3


def test_powers_of_another_unit_are_left_out() -> None:
    """Volt-amperes a thousand times less than volts times amperes are kilovolt-amperes that nobody scaled."""
    result = read(HUAWEI)
    assert of(result, output("u"), 1) == {Quantity.VOLTAGE: Decimal("221.30"), Quantity.CURRENT: Decimal("12.10")}
    assert of(result, output("u"))[Quantity.APPARENT_POWER] == Decimal("12124.510")


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        ({"input_current": "0", "input_realpower": "0"}, False),
        ({"input_current": "0", "input_realpower": "0", "ups_status": "OB DISCHRG"}, True),
        ({"input_current": "0", "input_realpower": "0", "ups_status": "OL OFF"}, True),
    ],
)
def test_zero_at_the_inlet_is_believed_off_mains_only(told: dict[str, str], believed: bool) -> None:
    """A UPS that runs on mains takes something; on battery or switched off it may take nothing."""
    found = of(read(ups(**told)), inlet("u"))
    assert (found.get(Quantity.ACTIVE_POWER) == 0) is believed
    assert (found.get(Quantity.CURRENT) == 0) is believed


def test_zero_at_the_output_is_believed_without_a_load() -> None:
    """No watts at a load of 30 percent is not measured, at a load of 0 it is."""
    assert Quantity.ACTIVE_POWER not in of(read(ups(output_realpower="0", ups_load="30")), output("u"))
    assert of(read(ups(output_realpower="0", ups_load="0")), output("u"))[Quantity.ACTIVE_POWER] == 0


def test_an_outlet_of_which_nothing_can_be_believed_is_missing() -> None:
    """Where a terminal had values and has none any more, the pass says so."""
    result = read(ups(outlet_1_status="?", outlet_1_realpower="much"))
    assert Point("u", "outlet-1") in result.missing


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "supply", "mains", "does", "alarms"),
    [
        ("OL", Supply.ON, True, "maintaining", set()),
        ("OL CHRG", Supply.ON, True, "charging", set()),
        ("OL CHRG LB", Supply.ON, True, "charging", {"low"}),
        ("OB DISCHRG", Supply.ON, False, "discharging", set()),
        ("OB", Supply.ON, False, "discharging", set()),
        ("OB DISCHRG LB", Supply.ON, False, "discharging", {"low", "critical"}),
        ("FSD OB LB", Supply.ON, False, "discharging", {"low", "critical"}),
        ("OL RB", Supply.ON, True, "maintaining", {"aging"}),
        ("OL BYPASS", Supply.ON, True, "maintaining", set()),
        ("OL TRIM", Supply.ON, True, "maintaining", set()),
        ("OL BOOST OVER", Supply.ON, True, "maintaining", set()),
        ("OL OFF", Supply.OFF, True, "maintaining", set()),
        ("OFF", Supply.OFF, None, None, set()),
        ("CAL OL DISCHRG", Supply.ON, True, "discharging", set()),
        ("WAIT", None, None, None, None),
        ("", None, None, None, None),
    ],
)
def test_status_flags(
    said: str, supply: Supply | None, mains: bool | None, does: str | None, alarms: set[str] | None
) -> None:
    """Each flag of ups.status becomes supply, mains, what the battery does, and what is wrong with it; or nothing."""
    result = read({"ups.status": said, "battery.charge": "100"})
    assert of(result, output("u")).get(Quantity.SUPPLY_STATE) == supply
    assert of(result, inlet("u")).get(Quantity.POWER_AVAILABLE) == mains
    found = of(result, battery("u"))
    assert found.get(Quantity.CHARGING_STATE) == does
    assert found.get(Quantity.ALARM) == (None if alarms is None else frozenset(alarms))


def test_the_bypass_has_power_while_it_is_in_use() -> None:
    """Whether the bypass is fed is known while it feeds."""
    told = {"input.bypass.voltage": "230", "input.bypass.phases": "1"}
    point = Point("u", "bypass")
    assert of(read({**told, "ups.status": "OL BYPASS"}), point)[Quantity.POWER_AVAILABLE] is True
    assert Quantity.POWER_AVAILABLE not in of(read({**told, "ups.status": "OL"}), point)


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("Done and passed", "passed"),
        ("done and passed", "passed"),
        ("Done and warning", "warning"),
        ("Done and error", "failed"),
        ("Diagnostic test failure!", "failed"),
        ("Battery test not passed", "failed"),
        ("Aborted", "aborted"),
        ("In progress", "in-progress"),
        ("Test scheduled", None),
        ("No test initiated", "none"),
        ("no test initiated", "none"),
        ("OK", "passed"),
        ("BT", "failed"),
        ("NO", "none"),
        ("", None),
    ],
)
def test_results_of_tests(said: str, result: str | None) -> None:
    """What drivers of Debian's NUT say of the last test, in the words of the model."""
    assert status.test_result(said) == result


@pytest.mark.parametrize(
    ("kind", "identity"),
    [
        ("PbAc", None),
        ("VRLA AGM", "vrla-agm"),
        ("Li-ion", "lithium-ion"),
        ("LiFePO4", "lithium-ion"),
        ("NiMH", "nickel-metal-hydride"),
        ("", None),
    ],
)
def test_technologies(kind: str, identity: str | None) -> None:
    """What a battery is made of where its type says it; lead alone leaves three kinds open."""
    assert status.technology(kind) == identity


@pytest.mark.parametrize(
    ("flags", "told", "amperes"),
    [("OB DISCHRG", "3.5", "-3.5"), ("OL CHRG", "-1", "1"), ("OL", "-0.2", "-0.2"), ("OB", "-2", "-2")],
)
def test_the_sign_of_the_battery_current_follows_what_it_does(flags: str, told: str, amperes: str) -> None:
    """Positive while charging and negative while discharging, whatever sign the driver gives."""
    found = of(read({"ups.status": flags, "battery.current": told}), battery("u"))
    assert found[Quantity.BATTERY_CURRENT] == Decimal(amperes)


# --- other devices ----------------------------------------------------------------------------------------------------


def test_a_pdu_passes_power_on() -> None:
    """A PDU has an inlet with the sum of its outlets, no output and no battery."""
    told = {
        "device.type": "pdu",
        "ups.status": "",
        "outlet.realpower": "912",
        "outlet.current": "4.2",
        "outlet.voltage": "229.5",
        "outlet.0.id": "0",
        "outlet.1.status": "on",
        "outlet.1.voltage": "230000",
        "outlet.1.current": "0.4",
        "outlet.1.realpower": "80",
        "outlet.12.status": "off",
        "outlet.12.id": "C12",
    }
    found = survey("u", "u", told, Abilities())
    assert [one.name for one in found.info.interfaces] == ["input", "outlet-1", "outlet-12"]
    assert (found.info.category, found.info.batteries) == ("distributor", ())
    result = read(told)
    assert of(result, Point("u")) == {Quantity.ACTIVE_POWER: 912}
    outlet = of(result, Point("u", "outlet-1"))
    assert outlet[Quantity.ACTIVE_POWER] == -80
    assert Quantity.VOLTAGE not in outlet, "millivolts"


def test_a_transfer_switch_has_two_inlets() -> None:
    """Two sources are two inlets, and the device has no single one to be measured at."""
    told = {"device.type": "ats", "input.1.voltage": "231", "input.2.voltage": "229", "output.current": "3"}
    found = survey("u", "u", told, Abilities())
    assert [one.name for one in found.info.interfaces] == ["input-1", "input-2", "output"]
    assert of(read(told), Point("u", "input-2")) == {Quantity.VOLTAGE: 229}


@pytest.mark.parametrize(
    ("commands", "writable", "expected"),
    [
        ({"outlet.1.load.on", "outlet.1.load.off"}, set(), Order("outlet.1.load.off")),
        ({"outlet.1.load.off"}, set(), None),
        (set(), {"outlet.1.switch"}, Order("outlet.1.switch", "off")),
        (set(), {"outlet.1.status"}, None),
    ],
)
def test_what_switches_an_outlet(commands: set[str], writable: set[str], expected: Order | None) -> None:
    """Commands for both directions, or a variable that can be set; one that could only be cut cannot be switched."""
    told = ups(outlet_1_status="on")
    found = survey("u", "u", told, Abilities(frozenset(commands), frozenset(writable)))
    orders = found.switches.get(Point("u", "outlet-1"))
    assert (orders[1] if orders else None) == expected
    assert found.info.interfaces[-1].switchable is (expected is not None)
    locked = survey("u", "u", {**told, "outlet.1.switchable": "no"}, found.abilities)
    assert not locked.switches


@pytest.mark.parametrize(
    ("commands", "test"),
    [
        ({"test.battery.start", "test.battery.start.quick", "test.battery.start.deep"}, "test.battery.start.quick"),
        ({"test.battery.start"}, "test.battery.start"),
        ({"test.battery.start.deep"}, None),
    ],
)
def test_the_test_of_a_battery_is_the_quick_one(commands: set[str], test: str | None) -> None:
    """The shortest test there is; never the deep one, which empties the battery."""
    found = survey("u", "u", ups(), Abilities(frozenset(commands)))
    assert (found.test.name if found.test else None) == test
    assert [one.testable for one in found.info.batteries] == ([True] if test else [])


NAMES = sorted({*RACK, *EATON, *HUAWEI, "ups.load", "input.realpower", "input.bypass.voltage", "outlet.3.status"})
VALUES = st.one_of(
    st.sampled_from(["0", "-1", "1e999", "nan", "inf", "OL", "OB LB", "on", "", "100", "ups", "pdu", "230.0"]),
    st.decimals().map(str),
    st.text(max_size=10),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_whatever_a_driver_tells_the_readings_are_well_formed(before: dict[str, str], after: dict[str, str]) -> None:
    """Any values of known names give a legal inventory and readings of it, or none."""
    read(before)
    read(after, ups=survey("u", "u", before, Abilities()))

"""Orders to devices of every family: what is written, what the device says meanwhile, and what it says in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from eman_backends.snmp import client as seam
from eman_backends.snmp.tests.agent import serving
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.scripted import Device
from eman_backends.snmp.tests.told import of
from eman_netconf.backend import OutcomeUnknown, Point, Quantity, Refused, Supply

PDU2 = "1.3.6.1.4.1.13742.6.4.1.2.1"
RPDU2 = "1.3.6.1.4.1.318.1.1.26.9.2"
UPS = "1.3.6.1.4.1.318.1.1.1"
EPDU = "1.3.6.1.4.1.534.6.6.7.6.6.1"
SENTRY = "1.3.6.1.4.1.1718.4.1.8"
POE = "1.3.6.1.2.1.105.1.1.1"
STANDARD = "1.3.6.1.2.1.33.1"


@dataclass(frozen=True)
class Case:
    """An outlet: the objects and numbers that are written, and what the device then changes, at once and settled."""

    device: str
    point: Point
    off: tuple[str, int]
    on: tuple[str, int]
    while_off: Mapping[str, int] = field(default_factory=dict)
    is_off: Mapping[str, int] = field(default_factory=dict)
    while_on: Mapping[str, int] = field(default_factory=dict)
    is_on: Mapping[str, int] = field(default_factory=dict)


CASES = {
    "apc-rpdu2": Case(
        "apc-rpdu2-chain",
        Point("unit-2", interface="outlet-1"),
        off=(f"{RPDU2}.4.1.5.3", 2),
        on=(f"{RPDU2}.4.1.5.3", 1),
        while_off={f"{RPDU2}.3.1.6.3": 1},
        is_off={f"{RPDU2}.3.1.5.3": 1, f"{RPDU2}.3.1.6.3": 2},
        while_on={f"{RPDU2}.3.1.6.3": 1},
        is_on={f"{RPDU2}.3.1.5.3": 2, f"{RPDU2}.3.1.6.3": 2},
    ),
    "raritan-pdu2": Case(
        "raritan-single-phase",
        Point(interface="outlet-3"),
        off=(f"{PDU2}.2.1.3", 0),
        on=(f"{PDU2}.2.1.3", 1),
        is_off={f"{PDU2}.3.1.3": 8},
        is_on={f"{PDU2}.3.1.3": 7},
    ),
    "eaton-epdu": Case(
        "eaton-epdu",
        Point(interface="outlet-1"),
        off=(f"{EPDU}.3.0.1", 0),
        on=(f"{EPDU}.4.0.1", 0),
        while_off={f"{EPDU}.2.0.1": 2},
        is_off={f"{EPDU}.2.0.1": 0, f"{EPDU}.3.0.1": -1},
        while_on={f"{EPDU}.2.0.1": 3},
        is_on={f"{EPDU}.2.0.1": 1, f"{EPDU}.4.0.1": -1},
    ),
    "servertech-sentry4": Case(
        "servertech-sentry4",
        Point(interface="outlet-AA1"),
        off=(f"{SENTRY}.5.1.2.1.1.1", 2),
        on=(f"{SENTRY}.5.1.2.1.1.1", 1),
        while_off={f"{SENTRY}.5.1.1.1.1.1": 9},
        is_off={f"{SENTRY}.5.1.1.1.1.1": 10, f"{SENTRY}.3.1.1.1.1.1": 2},
        while_on={f"{SENTRY}.5.1.1.1.1.1": 8},
        is_on={f"{SENTRY}.5.1.1.1.1.1": 11, f"{SENTRY}.3.1.1.1.1.1": 1},
    ),
    "rfc3621-poe": Case(
        "poe-stack",
        Point(interface="port-1.2"),
        off=(f"{POE}.3.1.2", 2),
        on=(f"{POE}.3.1.2", 1),
        is_off={f"{POE}.6.1.2": 1},
        is_on={f"{POE}.6.1.2": 3},
    ),
    "rfc1628-ups": Case(
        "rfc1628-ups",
        Point(interface="output"),
        off=(f"{STANDARD}.8.2.0", 0),
        on=(f"{STANDARD}.8.3.0", 0),
        is_off={f"{STANDARD}.4.1.0": 2},
        is_on={f"{STANDARD}.4.1.0": 3},
    ),
    "apc-ups": Case(
        "apc-ups",
        Point(interface="output"),
        off=(f"{UPS}.6.2.1.0", 2),
        on=(f"{UPS}.6.2.6.0", 2),
        is_off={f"{UPS}.4.1.1.0": 7},
        while_on={f"{UPS}.4.1.1.0": 8},
        is_on={f"{UPS}.4.1.1.0": 2},
    ),
    "a group of an apc-ups": Case(
        "apc-ups",
        Point(interface="group-1"),
        off=(f"{UPS}.12.3.2.1.3.1", 2),
        on=(f"{UPS}.12.3.2.1.3.1", 1),
        while_off={f"{UPS}.12.1.2.1.4.1": 1},
        is_off={f"{UPS}.12.1.2.1.3.1": 2, f"{UPS}.12.1.2.1.4.1": 2},
        while_on={f"{UPS}.12.1.2.1.4.1": 1},
        is_on={f"{UPS}.12.1.2.1.3.1": 1, f"{UPS}.12.1.2.1.4.1": 2},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_outlet_goes_off_and_on(make: Make, case: Case) -> None:
    """An order is one SET of the family's own code; a device that takes its time says so, and then that it has."""
    device = Device(case.device)
    async with serving(device.agent):
        backend = make(device.target)
        await backend.open()

        async def state() -> object:
            return of(await backend.read(), case.point)[Quantity.SUPPLY_STATE]

        assert await state() is Supply.ON
        for order, write, at_once, settled in (
            (Supply.OFF, case.off, case.while_off, case.is_off),
            (Supply.ON, case.on, case.while_on, case.is_on),
        ):
            device.acts = {write[0]: (at_once, settled)}
            device.written.clear()
            await backend.switch_supply(case.point, order)
            assert device.written == [write]
            if at_once:
                assert await state() is Supply.SWITCHING
            device.settle()
            assert await state() is order
        others = [one for one in (await backend.read()).readings if one.point != case.point]
        assert {one.value for one in others if one.quantity is Quantity.SUPPLY_STATE} <= set(Supply)


@pytest.mark.parametrize(
    ("name", "write", "result", "running", "passed"),
    [
        ("rfc1628-ups", (f"{STANDARD}.7.1.0", f"{STANDARD}.7.7.4"), f"{STANDARD}.7.3.0", 5, 1),
        ("apc-ups", (f"{UPS}.7.2.2.0", 2), f"{UPS}.7.2.3.0", 4, 1),
    ],
)
async def test_a_battery_tests_itself(
    make: Make, name: str, write: tuple[str, int | str], result: str, running: int, passed: int
) -> None:
    """The standard MIB is told which test by its name, APC by a number; the result is told by readings."""
    device = Device(name, {write[0]: ({result: running}, {result: passed})})
    battery = Point(battery="battery")
    async with serving(device.agent):
        backend = make(device.target)
        await backend.open()
        await backend.test_battery(battery)
        assert device.written == [write]
        assert of(await backend.read(), battery)[Quantity.TEST_RESULT] == "in-progress"
        device.settle()
        assert of(await backend.read(), battery)[Quantity.TEST_RESULT] == "passed"


@pytest.mark.parametrize(
    ("name", "interface"),
    [("raritan-single-phase", "outlet-10"), ("eaton-epdu", "outlet-3"), ("servertech-sentry4", "outlet-AA3")],
)
async def test_an_outlet_that_says_it_cannot_be_switched_is_not_told(make: Make, name: str, interface: str) -> None:
    """Refused by the backend, without a word to the device."""
    device = Device(name)
    async with serving(device.agent):
        backend = make(device.target)
        await backend.open()
        with pytest.raises(Refused, match="cannot be switched"):
            await backend.switch_supply(Point(interface=interface), Supply.OFF)
    assert not device.written


async def test_a_ups_that_would_shut_itself_down_has_no_switch(make: Make) -> None:
    """Where a shutdown shuts the UPS and not its output, it could not be told to come back."""
    device = Device("rfc1628-ups")
    device.change({f"{STANDARD}.8.1.0": 2})
    async with serving(device.agent):
        backend = make(device.target)
        (entity,) = (await backend.open()).entities
        assert not any(one.switchable for one in entity.interfaces)


async def test_an_order_that_is_lost_is_read_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer to a SET is an unknown outcome; the next pass tells that the outlet went off all the same."""
    monkeypatch.setattr(seam, "ANSWER", 2.0)
    case = CASES["raritan-pdu2"]
    device = Device(case.device, {case.off[0]: ({}, case.is_off)})
    carry_out = device.agent.manner

    device.agent.manner = lambda agent, pdu, datagram: [] if carry_out(agent, pdu, datagram) else None
    async with serving(device.agent):
        backend = make(device.target)
        await backend.open()
        with pytest.raises(OutcomeUnknown):
            await backend.switch_supply(case.point, Supply.OFF)
        device.settle()
        assert of(await backend.read(), case.point)[Quantity.SUPPLY_STATE] is Supply.OFF
        assert device.written == [case.off]

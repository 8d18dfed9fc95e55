"""What a service is told: states, supply, limits, tests; and what it may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from eman_netconf.backend import Command, CommandKind, OutcomeUnknown, Point, Quantity, Refused, Supply, Unavailable
from tests.backend_cases import carry_out

from . import mockups
from .bmc import Bmc, failure, serving
from .conftest import Make
from .counterparts import SYSTEM, emulator

HERE = Point()
RESET = "/redfish/v1/Systems/437XR/Actions/ComputerSystem.Reset"
OLD_RESET = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
METRICS = "/redfish/v1/Chassis/1U/EnvironmentMetrics"
CONTROL = "/redfish/v1/Chassis/1U/Controls/PowerLimit"
POWER = "/redfish/v1/Chassis/1/Power"
OUTLET = "/redfish/v1/PowerEquipment/RackPDUs/1/Outlets/A2"


def order(kind: CommandKind, value: Any, point: Point = HERE) -> Command:
    return Command(1, "it", kind, point, value, 5.0)


NEW, OLD, PDU = mockups.new_server, mockups.old_server, mockups.rack_pdu
STATE, SUPPLY, LIMIT, TEST = CommandKind


@pytest.mark.parametrize(
    ("tree", "command", "path", "body"),
    [
        (NEW, order(STATE, "redfish-on"), RESET, {"ResetType": "On"}),
        (NEW, order(STATE, "redfish-off"), RESET, {"ResetType": "GracefulShutdown"}),
        (NEW, order(STATE, "redfish-force-off"), RESET, {"ResetType": "ForceOff"}),
        (NEW, order(STATE, "redfish-graceful-restart"), RESET, {"ResetType": "GracefulRestart"}),
        (NEW, order(STATE, "redfish-power-cycle"), RESET, {"ResetType": "PowerCycle"}),
        (OLD, order(STATE, "redfish-off"), OLD_RESET, {"ResetType": "ForceOff"}),
        (OLD, order(STATE, "redfish-push-power-button"), OLD_RESET, {"ResetType": "PushPowerButton"}),
        (
            PDU,
            order(SUPPLY, "off", Point("", "outlet-A2")),
            f"{OUTLET}/Actions/Outlet.PowerControl",
            {"PowerState": "Off"},
        ),
        (NEW, order(LIMIT, Decimal(300)), CONTROL, {"SetPoint": 300, "ControlMode": "Automatic"}),
        (NEW, order(LIMIT, Decimal("300.5")), CONTROL, {"SetPoint": 300.5, "ControlMode": "Automatic"}),
        (NEW, order(LIMIT, None), CONTROL, {"ControlMode": "Disabled"}),
        (OLD, order(LIMIT, Decimal(410)), POWER, {"PowerControl": [{"PowerLimit": {"LimitInWatts": 410}}]}),
        (OLD, order(LIMIT, None), POWER, {"PowerControl": [{"PowerLimit": {"LimitInWatts": None}}]}),
        (
            NEW,
            order(TEST, None, Point("", None, "BBU")),
            "/redfish/v1/Chassis/1U/PowerSubsystem/Batteries/BBU/Actions/Battery.SelfTest",
            {},
        ),
    ],
)
async def test_an_order_is_sent_as_the_schema_has_it(
    tree: Any, command: Command, path: str, body: Mapping[str, Any], make: Make
) -> None:
    """Each command becomes one request with the body of its schema, chosen by what the resource allows."""
    async with serving(Bmc(tree())) as bmc:
        backend = make(bmc)
        await backend.open()
        await carry_out(backend, command)
        assert bmc.orders == [(path, body)]


@pytest.mark.parametrize(
    ("tree", "command"),
    [
        (NEW, order(STATE, "redfish-paused")),
        (NEW, order(STATE, "redfish-nmi")),
        (NEW, order(STATE, "redfish-push-power-button")),
        (OLD, order(STATE, "redfish-graceful-shutdown")),
        (NEW, order(STATE, "redfish-on", Point("psu-Bay1"))),
        (PDU, order(SUPPLY, "off", Point("", "mains-AC1"))),
        (PDU, order(SUPPLY, "switching", Point("", "outlet-A1"))),
        (PDU, order(LIMIT, Decimal(100))),
        (PDU, order(TEST, None, Point("", None, "BBU"))),
    ],
)
async def test_what_is_not_offered_is_refused_unasked(tree: Any, command: Command, make: Make) -> None:
    """What the resource does not allow is refused in words, and the service hears nothing of it."""
    async with serving(Bmc(tree())) as bmc:
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        with pytest.raises(Refused) as caught:
            await carry_out(backend, command)
        assert len(str(caught.value).split()) > 3
        assert len(bmc.requests) == before


async def test_a_system_that_pauses_is_resumed(make: Make) -> None:
    """Of a paused system, on is reached by Resume; otherwise by On."""
    tree = NEW()
    values = tree["/redfish/v1/Systems/437XR/ResetActionInfo"]["Parameters"][0]["AllowableValues"]
    values += ["Pause", "Resume"]
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        (whole, *_) = (await backend.open()).entities
        assert [state.state for state in whole.state_sets[0].states] == ["redfish-off", "redfish-paused", "redfish-on"]
        await backend.set_power_state(HERE, "redfish-paused")
        bmc.tree["/redfish/v1/Systems/437XR"]["PowerState"] = "Paused"
        await backend.read()
        await backend.set_power_state(HERE, "redfish-on")
        assert [body for _, body in bmc.orders] == [{"ResetType": "Pause"}, {"ResetType": "Resume"}]


async def test_the_emulator_of_others_is_switched_and_read_until_it_is_there(make: Make) -> None:
    """sushy-tools' emulator takes the order at once; its state moves seconds later, and only readings tell."""
    counterpart = await asyncio.to_thread(emulator)
    try:
        backend = make({"address": "127.0.0.1", "port": counterpart.port, "unencrypted": True})
        (whole, *_) = (await backend.open()).entities
        assert whole.uuid == SYSTEM
        assert set(whole.state_sets[0].transitions) == {
            *("redfish-force-on", "redfish-force-off", "redfish-graceful-shutdown"),
            *("redfish-graceful-restart", "redfish-force-restart"),
        }
        seen = [await _state(backend)]
        await backend.set_power_state(HERE, "redfish-on")
        async with asyncio.timeout(60):
            while seen[-1] != "redfish-on":
                seen.append(await _state(backend))
        assert set(seen) == {"redfish-off", "redfish-on"}
        await backend.close()
    finally:
        counterpart.stop()


async def _state(backend: Any) -> Any:
    result = await backend.read()
    return next(it.value for it in result.readings if it.quantity is Quantity.POWER_STATE)


async def test_limits_are_read_back(make: Make) -> None:
    """A limit that was set is told by the next pass; one that was lifted is told no more."""
    tree = NEW()
    del tree[METRICS]["PowerLimitWatts"]["DataSourceUri"]
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        (whole, *_) = (await backend.open()).entities
        assert whole.power_limits == (Decimal(150), Decimal(600))
        await backend.limit_power(HERE, Decimal(320))
        assert bmc.orders == [(METRICS, {"PowerLimitWatts": {"SetPoint": 320, "ControlMode": "Automatic"}})]
        assert await _limit(backend) == 320
        await backend.limit_power(HERE, None)
        assert await _limit(backend) is None


async def _limit(backend: Any) -> Any:
    result = await backend.read()
    return next((it.value for it in result.readings if it.quantity is Quantity.POWER_LIMIT), None)


async def test_a_limit_without_bounds_is_shown_and_not_offered(make: Make) -> None:
    """Where nobody tells the highest limit, none can be set; the one in force is read."""
    tree = OLD()
    del tree[POWER]["PowerControl"][0]["PowerCapacityWatts"]
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        (whole, *_) = (await backend.open()).entities
        assert whole.power_limits is None
        assert await _limit(backend) == 450
        with pytest.raises(Refused):
            await backend.limit_power(HERE, Decimal(300))


async def test_a_change_is_of_the_resource_as_it_is(make: Make) -> None:
    """With an ETag a change goes to what was read; where somebody was faster, it is read once more and then done."""
    async with serving(Bmc(NEW())) as bmc:
        bmc.etags[CONTROL] = '"7"'
        backend = make(bmc)
        await backend.open()
        await backend.limit_power(HERE, Decimal(300))
        bmc.answers["PATCH", CONTROL] = [failure(412, "The ETag does not match.")]
        await backend.limit_power(HERE, Decimal(310))
        assert [body["SetPoint"] for _, body in bmc.orders] == [300, 310]
        bmc.answers["PATCH", CONTROL] = [failure(412, "The ETag does not match.") for _ in range(2)]
        with pytest.raises(Refused, match="The ETag does not match"):
            await backend.limit_power(HERE, Decimal(320))


@pytest.mark.parametrize(
    ("answer", "raised", "words"),
    [
        (lambda: failure(400, "The value On for ResetType is not supported."), Refused, "The value On for ResetType"),
        (lambda: failure(403, "There are insufficient privileges."), Refused, "insufficient privileges"),
        (lambda: web.Response(status=409), Refused, "409 Conflict"),
        (lambda: failure(501, "Not here."), Refused, "Not here"),
        (lambda: failure(503, "Busy with an update.", Retry_After="7"), Unavailable, "Busy with an update"),
        (lambda: web.Response(status=504), OutcomeUnknown, "504"),
    ],
)
async def test_a_spoken_no_is_told_in_the_words_of_the_service(
    answer: Any, raised: type[Exception], words: str, make: Make
) -> None:
    """A refusal is Refused, a service that is busy Unavailable, a gateway that lost its service OutcomeUnknown."""
    async with serving(Bmc(NEW())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.answers["POST", RESET] = [answer()]
        with pytest.raises(raised, match=words) as caught:
            await backend.set_power_state(HERE, "redfish-on")
        assert "\n" not in str(caught.value)
        assert bmc.requests.count(("POST", RESET)) == 1


async def test_a_busy_service_is_left_alone_as_long_as_it_wants(make: Make) -> None:
    """After 503 with Retry-After to an order nothing is sent until then; the pass meanwhile says so."""
    async with serving(Bmc(NEW())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.answers["POST", RESET] = [failure(503, "Updating.", Retry_After="200")]
        with pytest.raises(Unavailable, match="Updating"):
            await backend.set_power_state(HERE, "redfish-on")
        before = len(bmc.requests)
        with pytest.raises(Unavailable, match=r"left alone for (200|199) seconds"):
            await backend.read()
        with pytest.raises(Unavailable, match="left alone"):
            await backend.open()
        assert [path for method, path in bmc.requests[before:] if method != "DELETE"] == []


async def test_a_busy_resource_is_left_alone_as_long_as_it_wants(make: Make) -> None:
    """503 for a single resource is a reason why its values are missing; until it is time only the others are read."""
    async with serving(Bmc(NEW())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.answers["GET", METRICS] = [failure(503, "The host is starting.", Retry_After="200")]
        assert (await backend.read()).missing == {HERE: "cannot be read: The host is starting."}
        before = bmc.gets().count(METRICS)
        assert set((await backend.read()).missing) == {HERE}
        assert bmc.gets().count(METRICS) == before


TASK = "/redfish/v1/TaskService/TaskMonitors/1"


async def test_a_task_is_followed_to_its_end(make: Make) -> None:
    """202 with a monitor: its end is the answer, good or bad; one that goes on was accepted."""
    async with serving(Bmc(NEW())) as bmc:
        backend = make(bmc)
        await backend.open()
        accepted = {"Location": f"http://127.0.0.1:{bmc.port}{TASK}", "Retry-After": "0"}
        bmc.answers["POST", RESET] = [web.Response(status=202, headers=accepted) for _ in range(3)]
        bmc.answers["GET", TASK] = [
            web.json_response({"TaskState": "Running"}, status=202, headers={"Retry-After": "0"}),
            web.Response(status=204),
            failure(400, "The system has no power."),
            web.json_response({"TaskState": "Running"}, status=202, headers={"Retry-After": "3600"}),
        ]
        await backend.set_power_state(HERE, "redfish-on")
        assert bmc.gets().count(TASK) == 2
        with pytest.raises(Refused, match="The system has no power"):
            await backend.set_power_state(HERE, "redfish-on")
        await backend.set_power_state(HERE, "redfish-on")
        assert bmc.requests.count(("POST", RESET)) == 3


async def test_a_task_that_ends_badly_is_refused(make: Make) -> None:
    """A Task resource with TaskState Exception is a no, with its messages."""
    async with serving(Bmc(NEW())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.answers["POST", RESET] = [web.Response(status=202, headers={"Location": TASK, "Retry-After": "0"})]
        said = {"TaskState": "Exception", "Messages": [{"Message": "The shutdown timed out."}]}
        bmc.answers["GET", TASK] = [web.json_response(said)]
        with pytest.raises(Refused, match=r"The shutdown timed out\."):
            await backend.set_power_state(HERE, "redfish-off")


async def test_an_order_without_answer_is_not_sent_again(make: Make) -> None:
    """The connection breaks after the order: nobody knows, and it is there once; the next pass works."""
    async with serving(Bmc(PDU())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.forgetful = True
        with pytest.raises(OutcomeUnknown):
            await backend.switch_supply(Point("", "outlet-A2"), Supply.OFF)
        result = await backend.read()
        assert len(bmc.orders) == 1
        told = {it.point: it.value for it in result.readings if it.quantity is Quantity.SUPPLY_STATE}
        assert told[Point("", "outlet-A2")] == "off"

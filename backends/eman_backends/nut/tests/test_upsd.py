"""With Debian's upsd and its drivers: what is there, what is read, what is ordered, and what goes away."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eman_backends.nut import PLUGIN
from eman_backends.nut.backend import probe
from eman_backends.nut.tests.conftest import Make
from eman_backends.nut.tests.counterparts import DESK, PASSWORD, RACK, USER, Upsd
from eman_backends.nut.tests.relay import Relay
from eman_backends.nut.tests.told import battery, inlet, of, output, until
from eman_netconf.backend import Context, Point, Quantity, Refused, Supply, Unavailable
from tests.traces import sockets

OUTLET = Point("rack", "outlet-1")
#: on mains for a while, then on battery, as dummy-ups plays it in a loop
BLACKOUT = """\
device.type: ups
ups.status: OL
battery.charge: 100
input.voltage: 230
TIMER 1
ups.status: OB DISCHRG
battery.charge: 80
input.voltage: 0
TIMER 1
"""


@pytest.fixture
async def relayed(upsd: Upsd) -> AsyncIterator[Relay]:
    """The way to a server, on which is seen what goes over it."""
    relay = Relay(upsd.port)
    await relay.start()
    yield relay
    await relay.stop()


# --- what is there ----------------------------------------------------------------------------------------------------


async def test_all_ups_are_behind_the_server(make: Make, upsd: Upsd) -> None:
    """The server is an entity that speaks for each UPS; each UPS is one, with what it was told about it."""
    inventory = await make(upsd.port).open()
    server, *fleet = inventory.entities
    assert (server.local, server.model, server.firmware_version) == ("", "upsd", "2.8.0")
    assert server.description == "NUT server of 2 UPSs"
    assert [(one.type, one.peer) for one in server.relationships] == [("proxying", "rack"), ("proxying", "desk")]
    assert [(one.local, one.name, one.description) for one in fleet] == [
        ("rack", "rack", 'The "rack" UPS #1'),
        ("desk", "desk", 'The "desk" UPS #1'),
    ]


async def test_one_ups_can_be_the_device(make: Make, upsd: Upsd) -> None:
    """With nut/device the UPS has the backend's own entity, and there is no other."""
    backend = make(upsd.port, device="rack")
    (entity,) = (await backend.open()).entities
    assert (entity.local, entity.name, entity.model) == ("", "rack", "Smart 3000")
    assert of(await backend.read(), output(""))[Quantity.ACTIVE_POWER] == -1134


async def test_ups_can_be_chosen(make: Make, upsd: Upsd) -> None:
    """With nut/ups the others are not shown; one that the server does not have is missing, and the rest is read."""
    backend = make(upsd.port, ups=["desk", "attic"])
    inventory = await backend.open()
    assert [one.local for one in inventory.entities] == ["", "desk", "attic"]
    result = await backend.read()
    assert {reading.point.entity for reading in result.readings} == {"desk"}
    assert result.missing == {Point("attic"): "attic: UNKNOWN-UPS: the server has no UPS of that name"}
    assert not result.outdated


async def test_a_device_that_the_server_does_not_have_is_unavailable(make: Make, upsd: Upsd) -> None:
    """The sentence says which UPSs there are."""
    with pytest.raises(Unavailable, match=r"has no UPS 'attic'; it has rack, desk"):
        await make(upsd.port, device="attic").open()


async def test_what_is_read_is_what_their_own_client_shows(make: Make, upsd: Upsd) -> None:
    """upsc, as an oracle: each measured number of a pass is a value it shows."""
    backend = make(upsd.port)
    await backend.open()
    result = await backend.read()
    for name in ("rack", "desk"):
        shown = {float(value) for value in upsd.told(name).values() if value.replace(".", "", 1).isdigit()}
        measured = [one for one in result.readings if one.point.entity == name and one.method == "direct-meter"]
        numbers = {abs(float(one.value)) for one in measured if not isinstance(one.value, bool | str | frozenset)}
        assert numbers <= shown
        assert numbers


async def test_reading_needs_no_user(make: Make, upsd: Upsd) -> None:
    """Without a user everything is read, and an order says what is missing."""
    backend = make(upsd.port, **{"user-name": None, "password": None})
    await backend.open()
    assert (await backend.read()).readings
    with pytest.raises(Refused, match="set nut/user-name"):
        await backend.switch_supply(OUTLET, Supply.OFF)


async def test_one_connection_serves_all_and_says_goodbye(make: Make, relayed: Relay) -> None:
    """However many UPSs and passes, there is one connection, which ends with LOGOUT."""
    before = sockets()
    backend = make(relayed.port)
    await backend.open()
    for _ in range(3):
        await backend.read()
    assert relayed.heard.count(f"USERNAME {USER}".encode()) == 1
    assert len(sockets() - before) <= 4  # ours, and the relay's three
    assert b"LOGOUT" not in relayed.heard
    await backend.close()
    assert relayed.heard[-1] == b"LOGOUT"


async def test_a_pass_is_one_batch_of_questions(make: Make, relayed: Relay) -> None:
    """In a pass the server is asked once for its UPSs and once for the variables of each."""
    backend = make(relayed.port)
    await backend.open()
    await backend.read()  # the first asks for commands, too
    relayed.heard.clear()
    await backend.read()
    assert relayed.heard == [b"LIST UPS", b"LIST VAR rack", b"LIST VAR desk"]


# --- orders -----------------------------------------------------------------------------------------------------------


async def test_an_outlet_is_switched_and_read_back(make: Make, own: Upsd) -> None:
    """Off, told by upsd's own client; then on again."""
    backend = make(own.port)
    await backend.open()
    for supply in (Supply.OFF, Supply.ON):
        await backend.switch_supply(OUTLET, supply)
        await until(backend, OUTLET, Quantity.SUPPLY_STATE, supply)
        assert own.told("rack")["outlet.1.switch"] == supply


async def test_an_order_is_tracked_to_its_end(make: Make, relayed: Relay) -> None:
    """Where the server tells how an order went on, it is asked until the driver has done it."""
    backend = make(relayed.port)
    await backend.open()
    await backend.switch_supply(OUTLET, Supply.ON)
    assert relayed.heard.count(b"SET VAR rack outlet.1.switch on") == 1
    assert any(line.startswith(b"GET TRACKING ") for line in relayed.heard)


@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        ("reader", "reads", "ACCESS-DENIED"),
        (USER, "wrong", "ACCESS-DENIED"),
        ("nobody", "knows", "ACCESS-DENIED"),
    ],
)
async def test_who_may_not_is_refused(make: Make, upsd: Upsd, user: str, password: str, says: str) -> None:
    """A user without the right, a wrong password and an unknown user may read, and are told when they order."""
    backend = make(upsd.port, **{"user-name": user, "password": password})
    await backend.open()
    assert (await backend.read()).readings
    with pytest.raises(Refused, match=f"{says}: .*upsd.users"):
        await backend.switch_supply(OUTLET, Supply.ON)


async def test_what_there_is_not_is_refused(make: Make, relayed: Relay) -> None:
    """Outlets that cannot be switched, batteries without a test, the server itself: refused without a word to upsd."""
    backend = make(relayed.port)
    await backend.open()
    for point in (Point("rack", "outlet-2"), output("rack"), Point("", "outlet-1"), Point("attic")):
        with pytest.raises(Refused):
            await backend.switch_supply(point, Supply.OFF)
    with pytest.raises(Refused, match="on or off"):
        await backend.switch_supply(OUTLET, Supply.FAULT)
    with pytest.raises(Refused, match="cannot test itself"):
        await backend.test_battery(battery("rack"))
    assert relayed.orders == 0


async def test_before_it_is_open_nothing_is_there(make: Make, upsd: Upsd) -> None:
    """Reading and ordering before open() is Unavailable."""
    backend = make(upsd.port)
    with pytest.raises(Unavailable, match="not open"):
        await backend.read()
    with pytest.raises(Unavailable, match="not open"):
        await backend.switch_supply(OUTLET, Supply.ON)


# --- what goes away ---------------------------------------------------------------------------------------------------


async def test_a_blackout_is_seen(make: Make) -> None:
    """A UPS that goes on battery and back: mains, charge and what the battery does follow."""
    server = await asyncio.to_thread(Upsd({"seq": BLACKOUT}).start)
    try:
        backend = make(server.port)
        await backend.open()
        result = await until(backend, inlet("seq"), Quantity.POWER_AVAILABLE, value=False)
        assert of(result, battery("seq"))[Quantity.CHARGING_STATE] == "discharging"
        result = await until(backend, inlet("seq"), Quantity.POWER_AVAILABLE, value=True)
        assert of(result, battery("seq"))[Quantity.CHARGING_STATE] in {"maintaining", "discharging"}
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_driver_that_dies_takes_only_its_ups_away(
    make: Make, own: Upsd, caplog: pytest.LogCaptureFixture
) -> None:
    """The UPS is missing, with the reason, the other is read on; it is logged when it goes and when it is back."""
    caplog.set_level(logging.INFO, "eman_netconf.backend")
    backend = make(own.port)
    inventory = await backend.open()
    await asyncio.to_thread(own.kill_driver, "rack")
    await asyncio.to_thread(own.until_away, "rack")
    for _ in range(3):
        result = await backend.read()
        assert set(result.missing) == {Point("rack")}
        assert "driver" in result.missing[Point("rack")]
        assert {reading.point.entity for reading in result.readings} == {"desk"}
    assert await backend.open() == inventory, "what was known of it stays known"
    await asyncio.to_thread(own.start_driver, "rack")
    await asyncio.to_thread(own.until_served, "rack")
    result = await backend.read()
    assert not result.missing
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("rack: D")
    assert said[1] == "rack: served again"


async def test_a_driver_that_hangs_makes_its_ups_stale(make: Make) -> None:
    """upsd says DATA-STALE of a driver that runs and tells nothing; no old value is told as new."""
    server = await asyncio.to_thread(Upsd({"rack": RACK, "desk": DESK}, extra="MAXAGE 2\n").start)
    try:
        backend = make(server.port)
        await backend.open()
        server.drivers["rack"].send_signal(signal.SIGSTOP)
        await asyncio.to_thread(server.until_away, "rack")
        result = await backend.read()
        assert result.missing == {Point("rack"): "rack: DATA-STALE: its driver has told nothing new for a while"}
        assert {reading.point.entity for reading in result.readings} == {"desk"}
        server.drivers["rack"].send_signal(signal.SIGCONT)
        await asyncio.to_thread(server.until_served, "rack")
        assert not (await backend.read()).missing
    finally:
        server.drivers["rack"].send_signal(signal.SIGCONT)
        await asyncio.to_thread(server.stop)


async def test_a_driver_that_comes_late_makes_the_inventory_outdated(make: Make, own: Upsd) -> None:
    """A UPS whose driver was away at first is there by name; when it comes, the inventory is to be taken anew."""
    await asyncio.to_thread(own.kill_driver, "rack")
    await asyncio.to_thread(own.until_away, "rack")
    backend = make(own.port)
    bare = (await backend.open()).entities[1]
    assert (bare.name, bare.interfaces, bare.batteries) == ("rack", (), ())
    assert not (await backend.read()).outdated
    await asyncio.to_thread(own.start_driver, "rack")
    await asyncio.to_thread(own.until_served, "rack")
    assert (await backend.read()).outdated
    rack = (await backend.open()).entities[1]
    assert rack.model == "Smart 3000"
    assert rack.interfaces[2].switchable
    assert not (await backend.read()).outdated


async def test_a_single_ups_whose_driver_is_away_is_unavailable(make: Make, own: Upsd) -> None:
    """Where the UPS is the device itself, nothing can be had of it."""
    backend = make(own.port, device="rack")
    await backend.open()
    await asyncio.to_thread(own.kill_driver, "rack")
    await asyncio.to_thread(own.until_away, "rack")
    for step in (backend.read, backend.open):
        with pytest.raises(Unavailable, match="driver"):
            await step()


async def test_a_server_that_was_restarted_is_reached_again(make: Make, own: Upsd) -> None:
    """While upsd is away reading is Unavailable; when it is back the next pass works, without opening anew."""
    backend = make(own.port)
    await backend.open()
    await asyncio.to_thread(own.kill_server)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await backend.read()
    await asyncio.to_thread(own.start_server)
    await asyncio.to_thread(own.until_served, "rack", "desk")
    result = await backend.read()
    assert not result.missing
    assert {reading.point.entity for reading in result.readings} == {"rack", "desk"}


async def test_another_ups_in_its_place_is_noticed(make: Make, own: Upsd) -> None:
    """Another serial number behind the same name makes the inventory outdated; other values do not."""
    backend = make(own.port)
    await backend.open()
    await asyncio.to_thread(own.set, "rack", "ups.load", "55")
    assert not (await backend.read()).outdated
    await asyncio.to_thread(own.replace, "rack", {**RACK, "ups.serial": "AS9999999999"})
    assert (await backend.read()).outdated
    rack = (await backend.open()).entities[1]
    assert rack.foreign_ids[0].value == "AS9999999999"


async def test_ups_that_come_and_go_are_noticed(make: Make, own: Upsd) -> None:
    """A server that was configured otherwise and restarted has other UPSs: the inventory is outdated."""
    backend = make(own.port)
    await backend.open()
    await asyncio.to_thread(own.stop)
    other = Upsd({"rack": RACK, "hall": DESK}, port=own.port)
    await asyncio.to_thread(other.start)
    try:
        result = await backend.read()
        assert result.outdated
        assert Point("desk") in result.missing
        assert [one.local for one in (await backend.open()).entities] == ["", "rack", "hall"]
    finally:
        await asyncio.to_thread(other.stop)


# --- finding ----------------------------------------------------------------------------------------------------------


async def test_probe_finds_a_server(upsd: Upsd, context: Context) -> None:
    """At the address of a server with several UPSs they are named; the settings found open a backend."""
    assert PLUGIN.probe is probe
    using = {"port": upsd.port, "user-name": USER, "password": PASSWORD}
    found = await probe("127.0.0.1", using, context)
    assert found is not None
    assert found.title == "Network UPS Tools upsd 2.8.0 with 2 UPSs: rack, desk"
    assert found.settings == {**using, "address": "127.0.0.1"}
    backend = PLUGIN.build(found.settings, context)
    assert len((await backend.open()).entities) == 3
    await backend.close()


async def test_probe_makes_a_single_ups_the_device(context: Context) -> None:
    """A server of one UPS is found as that UPS, by maker, model and serial number."""
    server = await asyncio.to_thread(Upsd({"rack": RACK}).start)
    try:
        found = await probe("127.0.0.1", {"port": server.port}, context)
    finally:
        await asyncio.to_thread(server.stop)
    assert found is not None
    assert found.settings == {"port": server.port, "address": "127.0.0.1", "device": "rack"}
    assert found.title == "Acme Power Smart 3000, UPS rack of Network UPS Tools upsd 2.8.0"
    assert (found.name, found.manufacturer, found.model) == ("rack", "Acme Power", "Smart 3000")
    assert found.foreign_ids[0].value == "AS1234567890"


async def test_probe_finds_nothing_where_nobody_is(upsd: Upsd, context: Context, tmp_path: Path) -> None:
    """No server, one that says something else, or one that does not encrypt where that is asked for: None."""
    del tmp_path

    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"220 mail.example.net ESMTP\r\n")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(greets, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    assert await probe("127.0.0.1", {"port": port}, context) is None
    other.close()
    await other.wait_closed()
    assert await probe("127.0.0.1", {"port": port}, context) is None
    assert await probe("127.0.0.1", {"port": upsd.port, "tls": {"fingerprint": "00" * 32}}, context) is None

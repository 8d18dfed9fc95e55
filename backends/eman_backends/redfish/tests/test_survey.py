"""What a service has: systems and chassis as one device or as several, and who is in whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from eman_backends.redfish.backend import DOUBTS
from eman_netconf.backend import Direction, EntityInfo, Peer, Quantity, Unavailable
from tests.traces import CancelledAt
from tests.well_formed import check_inventory, check_pass

from . import mockups
from .bmc import Bmc, failure, serving
from .conftest import Make
from .counterparts import NEIGHBOUR, SYSTEM, emulator
from .mockups import V1, Tree, collection, ref, resource, root


async def entities(tree: Tree, make: Make, **more: Any) -> dict[str, EntityInfo]:
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc, **more)
        inventory = await backend.open()
        check_inventory(inventory)
        check_pass(inventory, await backend.read())
    return {entity.local: entity for entity in inventory.entities}


async def test_a_system_and_its_chassis_are_one_device(make: Make) -> None:
    """The device has the identifiers of both, and the name of the system; supplies and controller are in it."""
    found = await entities(mockups.new_server(), make)
    assert set(found) == {"", "psu-Bay1", "psu-Bay2", "manager-BMC"}
    whole = found[""]
    assert (whole.name, whole.manufacturer, whole.model) == ("web483", "Contoso", "3500RX")
    assert whole.uuid == "38947555-7742-3448-3784-823347823834"
    assert whole.nameplate_power == 650
    assert {(it.kind, it.value) for it in whole.foreign_ids} == {
        ("serial-number", "437XR1138R2"),
        ("alternate-key", "8675309"),
        ("asset-tag", "Chicago-45Z-2381"),
        ("mac-address", "12:44:6a:3b:04:11"),
    }
    assert [(it.name, it.nominal_voltage) for it in whole.interfaces] == [
        ("psu-Bay1", (Decimal(200), Decimal(240))),
        ("psu-Bay2", (Decimal(200), Decimal(240))),
    ]
    assert [(it.name, it.technology, it.nominal_capacity) for it in whole.batteries] == [("BBU", "lithium-ion", 2400)]
    assert found["manager-BMC"].firmware_version == "1.45.455b66-rev4"
    assert {it.entity_class for it in found.values() if it.local} == {"component"}
    assert {it.contained_in for it in found.values() if it.local} == {"it"}


async def test_systems_that_share_a_chassis_are_in_it(make: Make) -> None:
    """sushy-tools' emulator has two systems in one chassis: three devices, each system with states of its own."""
    counterpart = await asyncio.to_thread(emulator, (SYSTEM, NEIGHBOUR))
    try:
        backend = make({"address": "127.0.0.1", "port": counterpart.port, "unencrypted": True})
        inventory = await backend.open()
        result = await backend.read()
        await backend.close()
    finally:
        counterpart.stop()
    check_inventory(inventory)
    found = {entity.local: entity for entity in inventory.entities if entity.entity_class == "device"}
    assert {entity.uuid for entity in found.values() if entity.local} == {SYSTEM, NEIGHBOUR}
    assert {entity.contained_in for entity in found.values() if entity.local} == {"it"}
    states = {it.point.entity for it in result.readings if it.quantity is Quantity.POWER_STATE and it.point.entity}
    assert states == set(found) - {""}


async def test_blades_are_in_their_enclosure(make: Make) -> None:
    """A chassis that others are in is the device; each blade is a device in it, with its own system joined."""
    tree: Tree = {
        V1: root(Systems=ref(f"{V1}/Systems"), Chassis=ref(f"{V1}/Chassis")),
        f"{V1}/Systems": collection(f"{V1}/Systems", "ComputerSystem", [f"{V1}/Systems/{n}" for n in (1, 2)]),
        f"{V1}/Chassis": collection(
            f"{V1}/Chassis", "Chassis", [f"{V1}/Chassis/Enclosure", f"{V1}/Chassis/Blade1", f"{V1}/Chassis/Blade2"]
        ),
        f"{V1}/Chassis/Enclosure": resource(
            f"{V1}/Chassis/Enclosure",
            "Chassis.v1_25_0",
            EnvironmentMetrics=ref(f"{V1}/Chassis/Enclosure/EnvironmentMetrics"),
        ),
        f"{V1}/Chassis/Enclosure/EnvironmentMetrics": {"PowerWatts": {"Reading": 2150.5}},
    }
    for number in (1, 2):
        system, blade = f"{V1}/Systems/{number}", f"{V1}/Chassis/Blade{number}"
        tree[system] = resource(system, "ComputerSystem.v1_22_0", PowerState="On", Links={"Chassis": [ref(blade)]})
        tree[blade] = resource(blade, "Chassis.v1_25_0", Links={"ContainedBy": ref(f"{V1}/Chassis/Enclosure")})
    found = await entities(tree, make)
    assert set(found) == {"", "system-1", "system-2"}
    assert found["system-2"].contained_in == "it"
    assert {it.entity_class for it in found.values()} == {"device"}


async def test_supplies_that_two_chassis_show_are_there_once(make: Make) -> None:
    """Blades that show the power supplies of their enclosure do not have them as well."""
    tree = mockups.new_server()
    shared = tree[f"{V1}/Chassis/1U"]["PowerSubsystem"]
    tree[f"{V1}/Chassis/Backplane"]["PowerSubsystem"] = shared
    supplies = f"{V1}/Chassis/1U/PowerSubsystem/PowerSupplies"
    for at in (f"{supplies}/Bay1", f"{supplies}/Bay2"):
        tree[at]["Id"] = "same"
    found = await entities(tree, make)
    assert [it.name for it in found[""].interfaces] == ["psu-same", "psu-same-2"]
    assert {"psu-same", "psu-same-2"} < set(found)


async def test_chassis_that_are_in_each_other_are_in_nobody(make: Make) -> None:
    """A service whose containment goes in a circle is read as well; the circle is opened."""
    tree = mockups.old_server()
    tree[f"{V1}/Chassis"]["Members"] += [ref(f"{V1}/Chassis/{name}") for name in "ab"]
    for name, other in ("ab", "ba"):
        at = f"{V1}/Chassis/{name}"
        metrics = ref(f"{V1}/Chassis/{name}/EnvironmentMetrics")
        links = {"ContainedBy": ref(f"{V1}/Chassis/{other}")}
        tree[at] = resource(at, "Chassis.v1_25_0", EnvironmentMetrics=metrics, Links=links)
        tree[f"{at}/EnvironmentMetrics"] = {"PowerWatts": {"Reading": 12}}
    found = await entities(tree, make)
    assert {entity.local: entity.contained_in for entity in found.values() if entity.local != "psu-0"} == {
        "system-1": None,
        "chassis-a": None,
        "chassis-b": "it.chassis-a",
    }


async def test_several_devices_behind_one_service_have_names_of_their_own(make: Make) -> None:
    """Two PDUs, of which none is in the other: neither is the service itself."""
    tree = mockups.rack_pdu(1)
    units = f"{V1}/PowerEquipment/RackPDUs"
    tree |= {
        path.replace("/RackPDUs/1", "/RackPDUs/2"): _moved(document)
        for path, document in tree.items()
        if path.startswith(f"{units}/1")
    }
    tree[units] = collection(units, "PowerDistribution", [f"{units}/1", f"{units}/2"])
    found = await entities(tree, make)
    assert {"pdu-1", "pdu-2", "pdu-1-branch-A", "pdu-2-branch-A"} == set(found)


def _moved(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "2" if (name, item) == ("Id", "1") else _moved(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_moved(item) for item in value]
    return value.replace("/RackPDUs/1", "/RackPDUs/2") if isinstance(value, str) else value


async def test_an_outlet_that_says_what_it_feeds_is_wired(make: Make) -> None:
    """The power supplies that an outlet names are at the other end of its cable, where the service has them."""
    tree = mockups.rack_pdu(2) | {path: it for path, it in mockups.new_server().items() if path != V1}
    tree[V1] = {**mockups.new_server()[V1], "PowerEquipment": ref(f"{V1}/PowerEquipment")}
    bay = f"{V1}/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1"
    tree[f"{V1}/PowerEquipment/RackPDUs/1/Outlets/A2"]["Links"]["PowerSupplies"] = [ref(bay), ref(f"{V1}/Nowhere")]
    found = await entities(tree, make)
    wires = {it.name: it.connected_to for it in found["pdu-1"].interfaces}
    assert wires["outlet-A2"] == (Peer("it.system-437XR", "psu-Bay1"),)
    assert wires["outlet-A1"] == ()


async def test_what_leaves_a_floor_pdu_is_an_outlet(make: Make) -> None:
    """Feeders and subfeeds provide power; mains receive it."""
    unit, subfeed = f"{V1}/PowerEquipment/FloorPDUs/1", f"{V1}/PowerEquipment/FloorPDUs/1/Subfeeds/B7"
    tree: Tree = {
        V1: root(PowerEquipment=ref(f"{V1}/PowerEquipment")),
        f"{V1}/PowerEquipment": {"FloorPDUs": ref(f"{V1}/PowerEquipment/FloorPDUs")},
        f"{V1}/PowerEquipment/FloorPDUs": collection(f"{V1}/PowerEquipment/FloorPDUs", "PowerDistribution", [unit]),
        unit: resource(unit, "PowerDistribution.v1_4_0", Subfeeds=ref(f"{unit}/Subfeeds")),
        f"{unit}/Subfeeds": collection(f"{unit}/Subfeeds", "Circuit", [subfeed]),
        subfeed: resource(subfeed, "Circuit.v1_8_0", PowerWatts={"Reading": 5100}, EnergykWh={"Reading": 2}),
    }
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        (whole,) = (await backend.open()).entities
        told = {it.quantity: it.value for it in (await backend.read()).readings}
    assert [(it.name, it.direction) for it in whole.interfaces] == [("subfeed-B7", Direction.OUTLET)]
    assert told == {Quantity.ACTIVE_POWER: -5100, Quantity.ENERGY_PROVIDED: 2000}


async def test_a_transfer_switch_tells_which_mains_it_takes(make: Make) -> None:
    """Of two mains the one that the switch has chosen is in use; while it does not say, nobody knows."""
    unit = f"{V1}/PowerEquipment/TransferSwitches/1"
    mains = [f"{unit}/Mains/{name}" for name in ("Utility", "Generator")]
    tree: Tree = {
        V1: root(PowerEquipment=ref(f"{V1}/PowerEquipment")),
        f"{V1}/PowerEquipment": {"TransferSwitches": ref(f"{V1}/PowerEquipment/TransferSwitches")},
        f"{V1}/PowerEquipment/TransferSwitches": collection(
            f"{V1}/PowerEquipment/TransferSwitches", "PowerDistribution", [unit]
        ),
        unit: resource(
            unit,
            "PowerDistribution.v1_4_0",
            Mains=ref(f"{unit}/Mains"),
            TransferConfiguration={"ActiveMainsId": "Generator"},
        ),
        f"{unit}/Mains": collection(f"{unit}/Mains", "Circuit", mains),
        **{at: resource(at, "Circuit.v1_8_0", Voltage={"Reading": 230.1}) for at in mains},
    }
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        inventory = await backend.open()
        check_inventory(inventory)
        told = {it.point.interface: it.value for it in (await backend.read()).readings if it.quantity == "in-use"}
        assert told == {"mains-Utility": False, "mains-Generator": True}
        bmc.tree[unit]["TransferConfiguration"]["ActiveMainsId"] = None
        result = await backend.read()
        assert {it.quantity for it in result.readings} == {Quantity.VOLTAGE}


async def test_a_service_with_nothing_is_itself_a_device(make: Make) -> None:
    """A service that has neither system nor chassis nor equipment is shown with what its root tells."""
    found = await entities({V1: root(Links={"Sessions": ref(f"{V1}/SessionService/Sessions")})}, make)
    assert (found[""].name, found[""].manufacturer) == ("Ascent BMC", "Contoso")


async def test_identifiers_that_say_nothing_are_none(make: Make) -> None:
    """Placeholders of makers are no serial numbers, and a UUID that many boards share is none."""
    tree = mockups.old_server()
    tree[f"{V1}/Systems/1"] |= {"SerialNumber": "To be filled by O.E.M.", "AssetTag": "N/A", "SKU": " "}
    whole = (await entities(tree, make))[""]
    assert (whole.uuid, whole.foreign_ids) == (None, ())


async def test_a_survey_that_was_cut_short_goes_on(make: Make) -> None:
    """A service too slow for one deadline is surveyed in several: what was read is not read again, sessions end."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        attempts = 0
        while True:
            attempts += 1
            before = len(bmc.gets())
            cut = CancelledAt(backend.open(), 14)
            task = asyncio.ensure_future(_awaited(cut))
            await asyncio.wait({task})
            await backend.close()
            assert bmc.sessions == {}
            if not task.cancelled():
                break
            assert len(bmc.gets()) > before
        assert 2 < attempts < 20
        assert set(Counter(bmc.gets()).values()) <= {1, 2, attempts}  # a resource that was just being read, the root
        check_inventory(task.result())


async def _awaited(cut: CancelledAt) -> Any:
    return await cut


async def test_a_service_that_starts_is_waited_for(make: Make) -> None:
    """What cannot be read yet fails the opening, until it has failed so often that it seems to be so for good."""
    path = f"{V1}/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1"
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        bmc.answers["GET", path] = [failure(500, "Not yet.") for _ in range(2)]
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"may be starting: .*Bay1 cannot be read: Not yet\."):
                await backend.open()
        found = await backend.open()
        assert len(found.entities[0].interfaces) == 2
        bmc.answers["GET", path] = [failure(500, "Never.") for _ in range(99)]
        for _ in range(DOUBTS):
            with pytest.raises(Unavailable):
                await backend.open()
        assert len((await backend.open()).entities[0].interfaces) == 1
        assert bmc.sessions.keys() == {next(reversed(bmc.sessions))}


async def test_a_service_that_shows_less_is_doubted(make: Make) -> None:
    """After a restart there are no systems for a while: the device is away, not another one."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        members = bmc.tree[f"{V1}/Chassis"]["Members"]
        bmc.tree[f"{V1}/Chassis"]["Members"] = []
        with pytest.raises(Unavailable, match="it shows less than it did"):
            await backend.open()
        bmc.tree[f"{V1}/Chassis"]["Members"] = members
        assert len((await backend.open()).entities) == 4

"""Trees of resources, by path: made up after the schemas of the DMTF (DSP0268), with values as devices have them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Tree = dict[str, dict[str, Any]]
V1 = "/redfish/v1"


def ref(path: str) -> dict[str, str]:
    return {"@odata.id": path}


def resource(path: str, kind: str, **properties: Any) -> dict[str, Any]:
    """A resource with its annotations. ``kind`` as in Chassis.v1_25_0."""
    name = kind.partition(".")[0]
    known = {"@odata.id": path, "@odata.type": f"#{kind}.{name}", "Id": path.rpartition("/")[2], "Name": name}
    return {**known, **properties}


def collection(path: str, kind: str, members: Iterable[str]) -> dict[str, Any]:
    found = [ref(member) for member in members]
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} collection",
        "Members": found,
        "Members@odata.count": len(found),
    }


def sensed(reading: Any, source: str | None = None, **more: Any) -> dict[str, Any]:
    """An excerpt of a Sensor."""
    return {"Reading": reading, **({"DataSourceUri": source} if source else {}), **more}


def root(**properties: Any) -> dict[str, Any]:
    known = {"RedfishVersion": "1.20.1", "Vendor": "Contoso", "Product": "Ascent BMC", "Name": "Root"}
    return {**resource(V1, "ServiceRoot.v1_17_0"), **known, **properties}


def new_server() -> Tree:
    """A server of today: PowerSubsystem, EnvironmentMetrics, Sensors, Batteries."""
    chassis = f"{V1}/Chassis/1U"
    system, subsystem, sensors = f"{V1}/Systems/437XR", f"{chassis}/PowerSubsystem", f"{chassis}/Sensors"
    supplies = f"{subsystem}/PowerSupplies"
    battery = f"{subsystem}/Batteries/BBU"
    tree = {
        V1: root(
            Systems=ref(f"{V1}/Systems"),
            Chassis=ref(f"{V1}/Chassis"),
            Managers=ref(f"{V1}/Managers"),
            SessionService=ref(f"{V1}/SessionService"),
            Links={"Sessions": ref(f"{V1}/SessionService/Sessions")},
        ),
        f"{V1}/Systems": collection(f"{V1}/Systems", "ComputerSystem", [system]),
        f"{V1}/Chassis": collection(f"{V1}/Chassis", "Chassis", [chassis, f"{V1}/Chassis/Backplane"]),
        f"{V1}/Managers": collection(f"{V1}/Managers", "Manager", [f"{V1}/Managers/BMC"]),
        system: resource(
            system,
            "ComputerSystem.v1_22_0",
            Name="Web front end",
            HostName="web483",
            Manufacturer="Contoso",
            Model="3500RX",
            SKU="8675309",
            SerialNumber="437XR1138R2",
            AssetTag="",
            UUID="38947555-7742-3448-3784-823347823834",
            BiosVersion="P79 v1.45 (12/06/2025)",
            PowerState="On",
            EthernetInterfaces=ref(f"{system}/EthernetInterfaces"),
            Links={"Chassis": [ref(chassis)], "ManagedBy": [ref(f"{V1}/Managers/BMC")]},
            Actions={
                "#ComputerSystem.Reset": {
                    "target": f"{system}/Actions/ComputerSystem.Reset",
                    "@Redfish.ActionInfo": f"{system}/ResetActionInfo",
                }
            },
        ),
        f"{system}/ResetActionInfo": resource(
            f"{system}/ResetActionInfo",
            "ActionInfo.v1_4_0",
            Parameters=[
                {
                    "Name": "ResetType",
                    "Required": True,
                    "AllowableValues": ["On", "ForceOff", "GracefulShutdown", "GracefulRestart", "PowerCycle", "Nmi"],
                }
            ],
        ),
        f"{system}/EthernetInterfaces": collection(
            f"{system}/EthernetInterfaces", "EthernetInterface", [f"{system}/EthernetInterfaces/1"]
        ),
        f"{system}/EthernetInterfaces/1": resource(
            f"{system}/EthernetInterfaces/1", "EthernetInterface.v1_12_0", PermanentMACAddress="12:44:6A:3B:04:11"
        ),
        chassis: resource(
            chassis,
            "Chassis.v1_25_0",
            ChassisType="RackMount",
            Manufacturer="Contoso",
            Model="3500RX",
            SerialNumber="437XR1138R2",
            AssetTag="Chicago-45Z-2381",
            MaxPowerWatts=650,
            PowerState="On",
            PowerSubsystem=ref(subsystem),
            EnvironmentMetrics=ref(f"{chassis}/EnvironmentMetrics"),
            Sensors=ref(sensors),
            Links={"ComputerSystems": [ref(system)], "ManagedBy": [ref(f"{V1}/Managers/BMC")]},
        ),
        f"{V1}/Chassis/Backplane": resource(
            f"{V1}/Chassis/Backplane",
            "Chassis.v1_25_0",
            ChassisType="Module",
            PowerState="On",
            Links={"ContainedBy": ref(chassis)},
        ),
        f"{V1}/Managers/BMC": resource(
            f"{V1}/Managers/BMC",
            "Manager.v1_19_0",
            ManagerType="BMC",
            Model="Joo Janta 200",
            FirmwareVersion="1.45.455b66-rev4",
            Links={"ManagerForServers": [ref(system)]},
        ),
        f"{chassis}/EnvironmentMetrics": resource(
            f"{chassis}/EnvironmentMetrics",
            "EnvironmentMetrics.v1_3_0",
            PowerWatts=sensed(374, f"{sensors}/TotalPower", ApparentVA=389.6, ReactiveVAR=109.1, PowerFactor=0.96),
            EnergykWh=sensed(325.675, f"{sensors}/TotalEnergy", LifetimeReading=30514.25),
            PowerLimitWatts={
                "SetPoint": 500,
                "AllowableMin": 150,
                "AllowableMax": 600,
                "ControlMode": "Automatic",
                "DataSourceUri": f"{chassis}/Controls/PowerLimit",
            },
        ),
        f"{chassis}/Controls/PowerLimit": resource(
            f"{chassis}/Controls/PowerLimit", "Control.v1_5_0", SetPoint=500, ControlMode="Automatic"
        ),
        sensors: collection(sensors, "Sensor", [f"{sensors}/TotalPower", f"{sensors}/TotalEnergy"]),
        f"{sensors}/TotalPower": resource(
            f"{sensors}/TotalPower",
            "Sensor.v1_10_0",
            ReadingType="Power",
            Reading=374,
            ReadingUnits="W",
            Accuracy=2.5,
            Implementation="PhysicalSensor",
        ),
        f"{sensors}/TotalEnergy": resource(
            f"{sensors}/TotalEnergy",
            "Sensor.v1_10_0",
            ReadingType="EnergykWh",
            Reading=325.675,
            Implementation="Synthesized",
        ),
        subsystem: resource(
            subsystem,
            "PowerSubsystem.v1_1_0",
            CapacityWatts=1600,
            PowerSupplies=ref(supplies),
            Batteries=ref(f"{subsystem}/Batteries"),
        ),
        supplies: collection(supplies, "PowerSupply", [f"{supplies}/{bay}" for bay in ("Bay1", "Bay2", "Bay3")]),
        f"{subsystem}/Batteries": collection(f"{subsystem}/Batteries", "Battery", [battery]),
        battery: resource(
            battery,
            "Battery.v1_3_0",
            Manufacturer="Contoso",
            SerialNumber="BBU-11983",
            FirmwareVersion="1.04",
            BatteryChemistryType="LithiumIon",
            CapacityRatedAmpHours=2.4,
            CapacityActualAmpHours=2.18,
            ChargeState="Charging",
            StateOfHealthPercent=sensed(91),
            Metrics=ref(f"{battery}/Metrics"),
            Actions={"#Battery.SelfTest": {"target": f"{battery}/Actions/Battery.SelfTest"}},
        ),
        f"{battery}/Metrics": resource(
            f"{battery}/Metrics",
            "BatteryMetrics.v1_0_4",
            DischargeCycles=8.67,
            ChargePercent=sensed(87.5),
            StoredChargeAmpHours=sensed(1.9075),
            TemperatureCelsius=sensed(33.2),
            InputVoltage=sensed(12.22),
            InputCurrentAmps=sensed(0.35),
            OutputVoltages=[sensed(11.98)],
            OutputCurrentAmps=[sensed(0)],
        ),
    }
    for bay, volts, watts in (("Bay1", 230.2, 191.4), ("Bay2", 229.7, 188.9)):
        at = f"{supplies}/{bay}"
        tree[at] = resource(
            at,
            "PowerSupply.v1_6_0",
            Name=f"Power supply {bay}",
            Manufacturer="Contoso",
            Model="499253-B21",
            SerialNumber=f"3488247-{bay}",
            FirmwareVersion="1.00",
            PowerCapacityWatts=800,
            InputNominalVoltageType="AC200To240V",
            LineInputStatus="Normal",
            Status={"State": "Enabled", "Health": "OK"},
            Metrics=ref(f"{at}/Metrics"),
        )
        tree[f"{at}/Metrics"] = resource(
            f"{at}/Metrics",
            "PowerSupplyMetrics.v1_1_2",
            InputVoltage=sensed(volts),
            InputCurrentAmps=sensed(0.84, THDPercent=4.1),
            InputPowerWatts=sensed(watts),
            OutputPowerWatts=sensed(174.25),
            FrequencyHz=sensed(50.02),
            EnergykWh=sensed(162.5),
        )
    tree[f"{supplies}/Bay3"] = resource(f"{supplies}/Bay3", "PowerSupply.v1_6_0", Status={"State": "Absent"})
    return tree


def old_server() -> Tree:
    """A server of ten years ago: everything in one resource Power, and no ActionInfo."""
    chassis, system = f"{V1}/Chassis/1", f"{V1}/Systems/1"
    return {
        V1: root(
            RedfishVersion="1.0.2", Systems=ref(f"{V1}/Systems"), Chassis=ref(f"{V1}/Chassis"), Product="Elder BMC"
        ),
        f"{V1}/Systems": collection(f"{V1}/Systems", "ComputerSystem", [system]),
        f"{V1}/Chassis": collection(f"{V1}/Chassis", "Chassis", [chassis]),
        system: resource(
            system,
            "ComputerSystem.v1_1_0",
            Manufacturer="Elder",
            Model="G9",
            SerialNumber="CZ3521YF3K",
            UUID="00000000-0000-0000-0000-000000000000",
            PowerState="Off",
            Actions={
                "#ComputerSystem.Reset": {
                    "target": f"{system}/Actions/ComputerSystem.Reset/",
                    "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart", "PushPowerButton"],
                }
            },
        ),
        chassis: resource(chassis, "Chassis.v1_2_0", ChassisType="RackMount", Power=ref(f"{chassis}/Power")),
        f"{chassis}/Power": resource(
            f"{chassis}/Power",
            "Power.v1_2_0",
            PowerControl=[
                {
                    "@odata.id": f"{chassis}/Power#/PowerControl/0",
                    "MemberId": "0",
                    "Name": "System Power Control",
                    "PowerConsumedWatts": 344,
                    "PowerCapacityWatts": 800,
                    "PowerMetrics": {
                        "IntervalInMin": 30,
                        "MinConsumedWatts": 271,
                        "MaxConsumedWatts": 489,
                        "AverageConsumedWatts": 319,
                    },
                    "PowerLimit": {"LimitInWatts": 450, "LimitException": "LogEventOnly"},
                }
            ],
            PowerSupplies=[
                {
                    "@odata.id": f"{chassis}/Power#/PowerSupplies/0",
                    "MemberId": "0",
                    "Name": "Power Supply Bay",
                    "PowerSupplyType": "AC",
                    "LineInputVoltageType": "AC240V",
                    "LineInputVoltage": 231,
                    "PowerCapacityWatts": 800,
                    "PowerInputWatts": 361.5,
                    "LastPowerOutputWatts": 325,
                    "Model": "720479-B21",
                    "SerialNumber": "5BXRD0DLL8O2",
                    "Status": {"State": "Enabled", "Health": "Warning"},
                }
            ],
            Voltages=[{"MemberId": "0", "Name": "VRM1 Voltage", "ReadingVolts": 12, "PhysicalContext": "CPU"}],
        ),
    }


def rack_pdu(outlets: int = 3) -> Tree:
    """A three-phase rack PDU with outlets that are measured and switched."""
    unit = f"{V1}/PowerEquipment/RackPDUs/1"
    mains, branch = f"{unit}/Mains/AC1", f"{unit}/Branches/A"
    names = [f"A{number}" for number in range(1, outlets + 1)]
    tree = {
        V1: root(Vendor="Contoso", Product="Rack PDU", PowerEquipment=ref(f"{V1}/PowerEquipment")),
        f"{V1}/PowerEquipment": resource(
            f"{V1}/PowerEquipment", "PowerEquipment.v1_2_1", RackPDUs=ref(f"{V1}/PowerEquipment/RackPDUs")
        ),
        f"{V1}/PowerEquipment/RackPDUs": collection(f"{V1}/PowerEquipment/RackPDUs", "PowerDistribution", [unit]),
        unit: resource(
            unit,
            "PowerDistribution.v1_4_0",
            EquipmentType="RackPDU",
            Name="RackPDU1",
            Manufacturer="Contoso",
            Model="ZAP4000",
            SerialNumber="29347ZT536",
            FirmwareVersion="4.3.0",
            UUID="32354641-4135-4332-4a35-313735303734",
            AssetTag="PDX-92381",
            Mains=ref(f"{unit}/Mains"),
            Branches=ref(f"{unit}/Branches"),
            Outlets=ref(f"{unit}/Outlets"),
            Metrics=ref(f"{unit}/Metrics"),
        ),
        f"{unit}/Metrics": resource(
            f"{unit}/Metrics",
            "PowerDistributionMetrics.v1_3_2",
            PowerWatts=sensed(6438, ApparentVA=6510, PowerFactor=0.989),
            EnergykWh=sensed(56438.0),
        ),
        f"{unit}/Mains": collection(f"{unit}/Mains", "Circuit", [mains]),
        mains: resource(
            mains,
            "Circuit.v1_8_0",
            CircuitType="Mains",
            PhaseWiringType="ThreePhase5Wire",
            NominalVoltage="AC208V",
            VoltageType="AC",
            RatedCurrentAmps=16,
            FrequencyHz=sensed(60.1),
            PowerWatts=sensed(6438),
            EnergykWh=sensed(None),
            PolyPhaseVoltage={
                "Line1ToNeutral": sensed(118.2),
                "Line2ToNeutral": sensed(117.6),
                "Line3ToNeutral": sensed(119.0),
                "Line1ToLine2": sensed(203.5),
                "Line2ToLine3": sensed(204.1),
                "Line3ToLine1": sensed(205.4),
            },
            PolyPhaseCurrentAmps={
                "Line1": sensed(18.14),
                "Line2": sensed(17.02),
                "Line3": sensed(19.3),
                "Neutral": sensed(1.29),
            },
            PolyPhasePowerWatts={
                "Line1ToNeutral": sensed(2144),
                "Line2ToNeutral": sensed(2001),
                "Line3ToNeutral": sensed(2293),
            },
        ),
        f"{unit}/Branches": collection(f"{unit}/Branches", "Circuit", [branch]),
        branch: resource(
            branch,
            "Circuit.v1_8_0",
            Name="Branch circuit A",
            CircuitType="Branch",
            NominalVoltage="AC120V",
            Voltage=sensed(118.2),
            CurrentAmps=sensed(5.19),
            PowerWatts=sensed(937.4),
        ),
        f"{unit}/Outlets": collection(f"{unit}/Outlets", "Outlet", [f"{unit}/Outlets/{name}" for name in names]),
    }
    for number, name in enumerate(names):
        at = f"{unit}/Outlets/{name}"
        tree[at] = resource(
            at,
            "Outlet.v1_4_4",
            Name=f"Outlet {name}",
            UserLabel=f"Row 3 / {name}",
            PhaseWiringType="OnePhase3Wire",
            VoltageType="AC",
            NominalVoltage="AC120V",
            RatedCurrentAmps=20,
            PowerState="On",
            Voltage=sensed(117.5),
            CurrentAmps=sensed(1.68 + number),
            PowerWatts=sensed(197.4 + number, ApparentVA=198.1, PowerFactor=1),
            EnergykWh=sensed(36166 + number),
            Actions={
                "#Outlet.PowerControl": {
                    "target": f"{at}/Actions/Outlet.PowerControl",
                    "PowerState@Redfish.AllowableValues": ["On", "Off"],
                },
                "#Outlet.ResetMetrics": {"target": f"{at}/Actions/Outlet.ResetMetrics"},
            },
            Links={"BranchCircuit": ref(branch)},
        )
    return tree


def write(tree: Mapping[str, Any], directory: Path) -> None:
    """A tree as sushy-static serves it: an index.json in a folder for each resource."""
    for path, document in tree.items():
        folder = directory / path.removeprefix(V1).lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").write_text(json.dumps(document), encoding="utf-8")

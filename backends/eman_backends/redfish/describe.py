"""What a resource says of itself: names, makers, identifiers, ratings; in the words of the contract."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from eman_netconf.backend import BatteryInfo, Direction, ForeignId, InterfaceInfo, Persistence

from .documents import Document, dig, number, text

_VOLTS = re.compile(r"(AC|DC)(?:Neg)?([0-9]{1,4})(?:To([0-9]{1,4}))?V(?:.*)")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._~\-]+")
_WIRING = {"One": (1, "single"), "Two": (2, "split"), "Three": (3, None)}
_CHEMISTRY = {"LithiumIon": "lithium-ion", "NickelCadmium": "nickel-cadmium"}
#: UUIDs that many boards share because nobody gave them one.
_NOBODY = frozenset({0, (1 << 128) - 1, int("03000200040005000006000700080009", 16)})


def slug(*parts: str | None) -> str:
    """A name that is legal for an entity or interface."""
    name = _NOT_IN_A_NAME.sub("-", "-".join(part for part in parts if part)).strip("-._~")
    return name[:48] or "unnamed"


def identifier(document: Document, path: str) -> str:
    """What a resource is called among its like: its Id, else the end of its path."""
    for name in ("Id", "MemberId"):
        found = dig(document, name)
        if isinstance(found, str) and found.strip():
            return found.strip()
    return path.rpartition("/")[2]


def there(document: Document) -> bool:
    """Whether the thing is in its place."""
    return bool(document) and dig(document, "Status", "State") != "Absent"


def own_uuid(document: Document) -> str | None:
    """The UUID of a thing; None where it has none, or one that many have."""
    told = text(document, "UUID")
    try:
        found = uuid.UUID(told or "")
    except ValueError:
        return None
    return None if found.int in _NOBODY else str(found)


def attributes(document: Document) -> dict[str, Any]:
    """Name, maker, model, UUID and identifiers of a thing, as EntityInfo has them."""
    found = own_uuid(document)
    return {
        "name": text(document, "HostName") or text(document, "UserLabel") or text(document, "Name"),
        "description": text(document, "Description"),
        "manufacturer": text(document, "Manufacturer"),
        "model": text(document, "Model"),
        "firmware_version": text(document, "BiosVersion") or text(document, "FirmwareVersion"),
        "uuid": found,
        "identifier_persistence": Persistence.PERSISTENT if found else Persistence.UNKNOWN,
        "foreign_ids": identifiers(document),
    }


def identifiers(document: Document) -> tuple[ForeignId, ...]:
    """Serial number, asset tag and the maker's key of a thing."""
    maker = text(document, "Manufacturer")
    found = []
    for kind, name in (("serial-number", "SerialNumber"), ("asset-tag", "AssetTag"), ("alternate-key", "SKU")):
        value = text(document, name)
        if value is not None:
            authority = maker if kind != "asset-tag" else None
            found.append(ForeignId(kind, value, authority, Persistence.PERSISTENT))
    return tuple(found)


def macs(ports: Iterable[Document]) -> tuple[ForeignId, ...]:
    """The addresses of Ethernet interfaces, by which neighbours know a system."""
    found: dict[str, None] = {}
    for port in ports:
        address = (text(port, "PermanentMACAddress") or text(port, "MACAddress") or "").lower().replace("-", ":")
        if _MAC.fullmatch(address) and address != "00:00:00:00:00:00":
            found[address] = None
    return tuple(ForeignId("mac-address", address, None, Persistence.PERSISTENT) for address in found)


def volts(kind: Any) -> tuple[str | None, tuple[Decimal, Decimal] | None]:
    """Alternating or direct, and the nominal voltages, of a type as AC200To240V."""
    found = _VOLTS.fullmatch(kind) if isinstance(kind, str) else None
    if found is None:
        return None, None
    low, high = Decimal(found[2]), Decimal(found[3] or found[2])
    return found[1].lower(), (low, max(low, high))


def interface(document: Document, name: str, direction: Direction, *, switchable: bool = False) -> InterfaceInfo:
    """An outlet or a circuit (schemas Outlet and Circuit)."""
    current, nominal = volts(dig(document, "NominalVoltage"))
    current = {"AC": "ac", "DC": "dc"}.get(text(document, "VoltageType") or "", current)
    wiring = text(document, "PhaseWiringType") or ""
    phases, configuration = next((it for word, it in _WIRING.items() if wiring.startswith(word)), (None, None))
    if phases == 3:
        configuration = "wye" if wiring == "ThreePhase5Wire" else "delta"
    return InterfaceInfo(
        name,
        direction,
        label=text(document, "UserLabel") or text(document, "Name"),
        current_type=current,
        nominal_voltage=nominal,
        ac_phases=phases if current != "dc" else None,
        ac_configuration=configuration if current != "dc" else None,
        rated_current=number(document, "RatedCurrentAmps"),
        switchable=switchable,
    )


def inlet(supply: Document, name: str) -> InterfaceInfo:
    """The inlet of a power supply (schema PowerSupply, and its like in the schema Power)."""
    for kind in (
        dig(supply, "InputNominalVoltageType"),
        dig(supply, "InputRanges", 0, "NominalVoltageType"),
        dig(supply, "LineInputVoltageType"),
    ):
        current, nominal = volts(kind)
        if nominal is not None:
            break
    current = current or {"AC": "ac", "DC": "dc"}.get(text(supply, "PowerSupplyType") or "")
    return InterfaceInfo(
        name, Direction.INLET, label=text(supply, "Name"), current_type=current, nominal_voltage=nominal
    )


def battery(document: Document, name: str, *, testable: bool) -> BatteryInfo:
    """A battery (schema Battery)."""
    chemistry = text(document, "BatteryChemistryType") or ""
    capacity = number(document, "CapacityRatedAmpHours")
    return BatteryInfo(
        name,
        identifier=text(document, "SerialNumber"),
        firmware_version=text(document, "FirmwareVersion"),
        type="rechargeable",
        technology="lead-acid" if chemistry.startswith("LeadAcid") else _CHEMISTRY.get(chemistry),
        nominal_capacity=None if capacity is None or capacity <= 0 else round(capacity * 1000),
        testable=testable,
    )

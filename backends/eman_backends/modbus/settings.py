"""The settings of one Modbus TCP address, checked: where it is, which units answer there, how gently they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eman_netconf.backend import Misconfigured, Settings

PORT = 502
UNIT = 1
PATIENCE = 1.0  # seconds
ORIENTATIONS = ("received", "provided")


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit id at the address. ``name`` None: it is the device itself. ``table`` None: it is asked for SunSpec."""

    id: int = UNIT
    name: str | None = None
    table: str | None = None
    provided: bool = False  # what a meter counts as received is provided by what it stands for

    @property
    def local(self) -> str:
        """Its name within the backend."""
        return self.name or ""


@dataclass(frozen=True, slots=True)
class Target:
    """One address. ``patience``: seconds for an answer; ``gap``: seconds between an answer and the next question."""

    address: str
    port: int = PORT
    units: tuple[Unit, ...] = (Unit(),)
    patience: float = PATIENCE
    gap: float = 0.0

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def target(settings: Settings) -> Target:
    """The address that the settings speak of. Raises Misconfigured."""
    address = settings.get("address")
    if not isinstance(address, str) or not address:
        raise Misconfigured("the address of the device is missing: set modbus/address")
    units = settings.get("unit", ())
    if not isinstance(units, list | tuple) or not all(isinstance(one, Mapping) for one in units):
        raise Misconfigured("modbus/unit is a list of units, each with its id")
    found = tuple(_unit(one) for one in units) or (Unit(),)
    for what, known in (("id", [one.id for one in found]), ("name", [one.local for one in found])):
        if len(set(known)) < len(known):
            raise Misconfigured(f"two units at {address} have the same {what}, or none: give each one of its own")
    return Target(
        address,
        _number(settings, "port", PORT, 1, 65535),
        found,
        _seconds(settings, "answer-time", PATIENCE, 10),
        _number(settings, "gap", 0, 0, 1000) / 1000,
    )


def _unit(settings: Mapping[str, Any]) -> Unit:
    name, table = settings.get("name"), settings.get("table")
    if not all(text is None or (isinstance(text, str) and text) for text in (name, table)):
        raise Misconfigured("name and table of modbus/unit are texts, or are left out")
    orientation = settings.get("orientation", "received")
    if orientation not in ORIENTATIONS:
        raise Misconfigured(f"{orientation!r} is no orientation: set it to {' or '.join(ORIENTATIONS)}")
    return Unit(_number(settings, "id", UNIT, 0, 255), name, table, orientation == "provided")


def _number(settings: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = settings.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Misconfigured(f"{value!r} cannot be used: set {name} of modbus to a number from {low} to {high}")
    return value


def _seconds(settings: Mapping[str, Any], name: str, default: float, high: int) -> float:
    try:
        value = float(settings.get(name, default))
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value <= high:
        raise Misconfigured(f"{settings.get(name)!r} cannot be used: set modbus/{name} to seconds up to {high}")
    return value

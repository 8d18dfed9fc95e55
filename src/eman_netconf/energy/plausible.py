"""Numbers that devices tell of themselves: what no leaf can hold is taken as not told.

Such a number would spoil every answer it stands in, and one with a large exponent takes minutes to write out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from eman_netconf.energy.canonical import Number
from eman_netconf.energy.quantities import MOST
from eman_netconf.energy.values import BatteryInfo, EntityInfo, InterfaceInfo, StateInfo, StateSetInfo

_ANY, _NOT_NEGATIVE, _COUNT = (-MOST, MOST), (0, MOST), (0, 2**32 - 1)
Bounds = Mapping[str, tuple[float, float]]

_ENTITY: Bounds = {"nameplate_power": _ANY, "power_limits": _ANY}
_INTERFACE: Bounds = {
    "nominal_voltage": _ANY,
    "nominal_frequency": _NOT_NEGATIVE,
    "rated_current": _ANY,
    "rated_power": _NOT_NEGATIVE,
}
_STATE: Bounds = {
    "typical_power": _ANY,
    "max_power": _ANY,
    "enter_time": _NOT_NEGATIVE,
    "exit_time": _NOT_NEGATIVE,
}
_BATTERY: Bounds = {"nominal_capacity": _COUNT, "nominal_voltage": _ANY, "cell_count": _COUNT}

_T = TypeVar("_T", EntityInfo, InterfaceInfo, StateSetInfo, StateInfo, BatteryInfo)


def plausible(info: EntityInfo) -> EntityInfo:
    """``info`` without the numbers that no leaf can hold; itself where there are none."""
    return _changed(
        _bounded(info, _ENTITY),
        interfaces=_each(info.interfaces, _INTERFACE),
        batteries=_each(info.batteries, _BATTERY),
        state_sets=tuple(_changed(known, states=_each(known.states, _STATE)) for known in info.state_sets),
    )


def _each(told: Iterable[_T], bounds: Bounds) -> tuple[_T, ...]:
    return tuple(_bounded(one, bounds) for one in told)


def _bounded(told: _T, bounds: Bounds) -> _T:
    beyond = [name for name, (low, high) in bounds.items() if not _fits(getattr(told, name), low, high)]
    unknown: dict[str, Any] = dict.fromkeys(beyond)
    return replace(told, **unknown) if beyond else told


def _fits(value: Number | tuple[Number, Number] | None, low: float, high: float) -> bool:
    if value is None:
        return True
    try:
        return all(low <= one <= high for one in (value if isinstance(value, tuple) else (value,)))
    except (TypeError, ArithmeticError):
        return False


def _changed(told: _T, **fields: Any) -> _T:
    """``told`` with other values; itself where they are those it has."""
    return told if all(getattr(told, name) == value for name, value in fields.items()) else replace(told, **fields)

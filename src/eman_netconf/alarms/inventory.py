"""All alarms there can be: where, how bad, what they mean and what to do (RFC 8632, container alarm-inventory)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from eman_netconf.energy.conditions import Kind, Severity

_ENTITY: Final = "/eman-entity:energy-management/eman-entity:entities/eman-entity:entity"
_INTERFACE: Final = f"{_ENTITY}/eman-power-interface:power-interface"
_BATTERY: Final = f"{_ENTITY}/eman-battery:battery"
_THRESHOLDS: Final = (
    f"{_ENTITY}/eman-threshold:threshold",
    "/eman-entity:energy-management/eman-group:domains/eman-group:domain/eman-threshold:threshold",
    "/eman-entity:energy-management/eman-group:groups/eman-group:group/eman-threshold:threshold",
)
_BACKEND: Final = "/eman-entity:energy-management/eman-backend:backends/eman-backend:backend"


class AlarmType(NamedTuple):
    """One type of alarms. ``resources`` are XPaths with the names of modules as prefixes."""

    resources: tuple[str, ...]
    severities: tuple[Severity, ...]
    description: str
    cleared: str  # what an alarm says when it is cleared


TYPES: Final[Mapping[Kind, AlarmType]] = {
    Kind.BACKEND_UNREACHABLE: AlarmType(
        resources=(_BACKEND,),
        severities=(Severity.MAJOR,),
        description="The device behind a backend does not answer. Look after its power and the network on the way to "
        "it, then at its address and its secrets in the configuration of the backend. What the alarm quotes as "
        "misconfigured has to be configured otherwise.",
        cleared="The device answers again, or is not asked any more",
    ),
    Kind.ENTITY_UNREACHABLE: AlarmType(
        resources=(_ENTITY,),
        severities=(Severity.MINOR,),
        description="The device that tells about an entity answers, but not about this one any more. Look after the "
        "part itself; if it was taken out for good, have the backend rediscover its device.",
        cleared="It is read again, or is there no more",
    ),
    Kind.CONTROL_FAILED: AlarmType(
        resources=(_ENTITY, _INTERFACE),
        severities=(Severity.MINOR, Severity.MAJOR),
        description="What is wanted of an entity or a supply was not reached, or nobody knows whether it was. Ask "
        "again, wish something else, or give the wish back; the text tells what the devices said.",
        cleared="What was wanted is there, or is wanted no more",
    ),
    Kind.SUPPLY_FAULT: AlarmType(
        resources=(_INTERFACE,),
        severities=(Severity.MAJOR,),
        description="A power interface reports a fault, such as a blown fuse or a short circuit. Look after the "
        "outlet and what is connected to it.",
        cleared="The interface reports no fault any more",
    ),
    Kind.SUPPLY_LOST: AlarmType(
        resources=(_INTERFACE,),
        severities=(Severity.MAJOR,),
        description="A power interface has no power, though nobody switched it off. Look after its feed and its fuse.",
        cleared="There is power again, or it was switched off",
    ),
    Kind.SUPPLY_CUT: AlarmType(
        resources=(_ENTITY,),
        severities=(Severity.CRITICAL,),
        description="No way is left on which power could reach a vital entity. Switch one of the outlets on that "
        "lead to it.",
        cleared="Power can reach it again, or it is vital no more",
    ),
    Kind.BATTERY_LOW: AlarmType(
        resources=(_BATTERY,),
        severities=(Severity.MINOR, Severity.CRITICAL),
        description="The charge of a battery is below a threshold, or it is about to fail its load. Restore its "
        "supply, or shut down in order what it feeds.",
        cleared="The battery is charged again, or was taken out",
    ),
    Kind.BATTERY_AGING: AlarmType(
        resources=(_BATTERY,),
        severities=(Severity.WARNING,),
        description="A battery holds too little or had too many cycles. Replace it.",
        cleared="The battery was replaced",
    ),
    Kind.BATTERY_TEMPERATURE: AlarmType(
        resources=(_BATTERY,),
        severities=(Severity.MAJOR,),
        description="A battery is hotter or colder than its threshold. Look after the air around it; stop charging it.",
        cleared="The temperature is well again",
    ),
    Kind.BATTERY_TEST_FAILED: AlarmType(
        resources=(_BATTERY,),
        severities=(Severity.MAJOR,),
        description="A battery has failed its last test. Do not count on it; replace it, or have it charged and "
        "tested again.",
        cleared="A test did not fail, or the battery was replaced",
    ),
    Kind.THRESHOLD_CROSSED: AlarmType(
        resources=_THRESHOLDS,
        severities=(Severity.WARNING, Severity.MINOR, Severity.MAJOR, Severity.CRITICAL),
        description="A quantity is beyond the level that an operator set for it. Look after what the threshold is "
        "named for, or set another level if this one is passed in the ordinary course of things.",
        cleared="The value is back, or it is not watched any more",
    ),
}


def type_id(kind: Kind) -> str:
    """The canonical name of the identity in eman-alarm."""
    return f"eman-alarm:{kind}"

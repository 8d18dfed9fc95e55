"""What the tests of alarms share: conditions in few words."""

from __future__ import annotations

from eman_netconf.energy.conditions import Condition, Kind, Severity, Sort, Subject

START = 1_770_000_000.0
UPS = Subject(Sort.ENTITY, "ups")
PDU = Subject(Sort.BACKEND, "pdu")


def resource(subject: Subject, part: str = "") -> str:
    """An instance-identifier like those the energy core gives."""
    if subject.sort is Sort.BACKEND:
        return f"/eman-entity:energy-management/eman-backend:backends/backend[name='{subject.name}']"
    entity = f"/eman-entity:energy-management/entities/entity[id='{subject.name}']"
    return f"{entity}/eman-battery:battery[name='{part}']" if part else entity


def condition(
    kind: Kind = Kind.BATTERY_LOW,
    severity: Severity = Severity.MINOR,
    text: str = "It is low",
    *,
    subject: Subject = UPS,
    part: str = "b",
) -> Condition:
    return Condition(kind, part, resource(subject, part), severity, text)

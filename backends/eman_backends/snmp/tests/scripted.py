"""Devices that were written down from their MIBs (devices/*.walk), as agents that act on what they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyasn1.type import univ
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v2c

from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.tables.walk import Value, Walk
from eman_backends.snmp.tests.agent import SET, Agent, oid

FOLDER = Path(__file__).parent / "devices"


def walked(name: str) -> Walk:
    return Walk((FOLDER / f"{name}.walk").read_text(encoding="utf-8"))


@dataclass
class Device:
    """An agent with the values of a walk; what it does on a command takes effect in two steps.

    ``acts`` tells for an object that is written what changes ``at_once``, and what when the device has ``settled``.
    """

    name: str
    acts: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]] = field(default_factory=dict)
    written: list[tuple[str, int | str]] = field(default_factory=list)
    _coming: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agent = Agent({name: _typed(value) for name, value in walked(self.name).values.items()}, self._manner)

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.agent.port, Community("public"))

    def settle(self) -> None:
        """The device has done what it was told."""
        self.change(self._coming)
        self._coming.clear()

    def change(self, values: Mapping[str, int]) -> None:
        """Other values from now on."""
        self.agent.tree.update({oid(name): rfc1902.Integer32(value) for name, value in values.items()})

    def _manner(self, agent: Agent, pdu: Any, _: bytes) -> list[bytes] | None:
        if type(pdu) is not SET:
            return None
        answer = agent.answer(pdu)
        for name, value in v2c.apiPDU.get_varbinds(pdu):
            self.written.append((str(name), str(value) if isinstance(value, univ.ObjectIdentifier) else int(value)))
            at_once, settled = self.acts.get(str(name), ({}, {}))
            self.change(at_once)
            self._coming |= settled
        return [answer]


def _typed(value: Value) -> Any:
    kinds: tuple[tuple[type, Callable[[Any], Any]], ...] = ((bytes, rfc1902.OctetString), (str, rfc1902.ObjectName))
    for kind, make in kinds:
        if isinstance(value, kind):
            return make(value)
    return rfc1902.Integer32(value) if -(2**31) <= int(value) < 2**31 else rfc1902.Gauge32(value)

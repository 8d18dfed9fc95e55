"""Power state sets: their states in order of power, and the mapping of one set's states to another's (RFC 7326)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from eman_netconf.energy.canonical import Identities
from eman_netconf.yang.schema import Schema

_MODULE = "eman-power-state-set:"
SET = f"{_MODULE}power-state-set"
STATE = f"{_MODULE}power-state"
TRANSITION = f"{_MODULE}power-state-transition"
IEEE1621 = f"{_MODULE}ieee1621"


class StateClass(StrEnum):
    """The three basic states of IEEE 1621, of which every other state is a variant."""

    OFF = "off"
    SLEEP = "sleep"
    ON = "on"


#: The states of each set from the least power to the most (RFC 7326 sections 6.5.2 to 6.5.5; ACPI; Redfish).
_ORDER: Mapping[str, tuple[str, ...]] = {
    "ieee1621": ("ieee1621-off", "ieee1621-sleep", "ieee1621-on"),
    "dmtf": ("dmtf-off-hard", "dmtf-off-soft", "dmtf-hibernate", "dmtf-sleep-deep", "dmtf-sleep-light", "dmtf-on"),
    "eman": (
        "eman-mechoff",
        "eman-softoff",
        "eman-hibernate",
        "eman-sleep",
        "eman-standby",
        "eman-ready",
        "eman-low-minus",
        "eman-low",
        "eman-medium-minus",
        "eman-medium",
        "eman-high-minus",
        "eman-high",
    ),
    "acpi-global": ("acpi-g3", "acpi-g2", "acpi-g1", "acpi-g0"),
    "acpi-system": ("acpi-s5", "acpi-s4", "acpi-s3", "acpi-s2", "acpi-s1", "acpi-s0"),
    "acpi-device": ("acpi-d3cold", "acpi-d3hot", "acpi-d2", "acpi-d1", "acpi-d0"),
    "acpi-processor": ("acpi-c3", "acpi-c2", "acpi-c1", "acpi-c0"),
    "acpi-performance": tuple(f"acpi-p{number}" for number in range(15, -1, -1)),
    "redfish": ("redfish-off", "redfish-paused", "redfish-on"),
}

#: Each EMAN state beside its equal in the other sets (RFC 7326 section 6.5.5); the first column names the rows.
_COLUMNS = ("eman", "ieee1621", "dmtf", "acpi-global", "acpi-system", "acpi-device", "acpi-performance", "redfish")
_ROWS = (
    ("mechoff", "off", "off-hard", "g3", "s5", "d3cold", None, "off"),
    ("softoff", "off", "off-soft", "g2", "s5", "d3hot", None, "off"),
    ("hibernate", "off", "hibernate", "g1", "s4", "d3hot", None, "off"),
    ("sleep", "sleep", "sleep-deep", "g1", "s3", "d2", None, "paused"),
    ("standby", "sleep", "sleep-light", "g1", "s2", "d2", None, "paused"),
    ("ready", "sleep", "sleep-light", "g1", "s1", "d1", None, "paused"),
    ("low-minus", "on", "on", "g0", "s0", "d0", "p5", "on"),
    ("low", "on", "on", "g0", "s0", "d0", "p4", "on"),
    ("medium-minus", "on", "on", "g0", "s0", "d0", "p3", "on"),
    ("medium", "on", "on", "g0", "s0", "d0", "p2", "on"),
    ("high-minus", "on", "on", "g0", "s0", "d0", "p1", "on"),
    ("high", "on", "on", "g0", "s0", "d0", "p0", "on"),
)

#: The EMAN state that a state of another set means, where several rows hold it.
_CHOSEN: Mapping[str, str] = {
    "ieee1621-off": "softoff",
    "ieee1621-sleep": "sleep",
    "ieee1621-on": "high",
    "dmtf-sleep-light": "ready",
    "dmtf-on": "high",
    "acpi-g1": "sleep",
    "acpi-g0": "high",
    "acpi-s5": "softoff",
    "acpi-s0": "high",
    "acpi-d2": "standby",
    "acpi-d3hot": "softoff",
    "acpi-d0": "high",
    "redfish-off": "softoff",
    "redfish-paused": "ready",
    "redfish-on": "high",
    **{f"acpi-c{number}": "high" for number in range(4)},
    **{f"acpi-p{number}": "low-minus" for number in range(5, 16)},
}
_BY_CLASS = {StateClass.OFF: "softoff", StateClass.SLEEP: "sleep", StateClass.ON: "high"}
_CLASS_RANK = {StateClass.OFF: 0, StateClass.SLEEP: 1, StateClass.ON: 2}


def _spelled(name: str, state: str) -> str:
    """The identity of ``state`` in the set ``name``: g0 of acpi-global is acpi-g0."""
    return f"{'acpi' if name.startswith('acpi-') else name}-{state}"


class StateSets:
    """The sets of the schema, vendors' included. All names are canonical, as ``module:identity``."""

    def __init__(self, schema: Schema, identities: Identities) -> None:
        self._identities = identities
        self.classes: dict[str, StateClass] = {}
        self.set_of: dict[str, str] = {}
        self.states: dict[str, tuple[str, ...]] = {}  # of a set, from the least power to the most
        self.ranks: dict[str, int] = {}
        families = {f"{name}-state": name for name in identities.derived(SET)}
        for state in identities.derived(STATE):
            bases = schema.identities[state].bases
            self.classes[state] = next(kind for kind in StateClass if f"{_MODULE}{kind}" in bases)
            for base in bases:
                if base in families:
                    self.set_of[state] = families[base]
        for name in families.values():
            known = _ORDER.get(name.removeprefix(_MODULE))
            members = [state for state, owner in self.set_of.items() if owner == name]
            if known is not None:
                ordered = [f"{_MODULE}{state}" for state in known]
            else:
                ordered = sorted(members, key=lambda state: _CLASS_RANK[self.classes[state]])
            self.states[name] = tuple(ordered)
            self.ranks.update({state: rank for rank, state in enumerate(ordered)})
        self._to_eman = self._hub()
        self._from_eman = {
            _MODULE + name: {row[0]: f"{_MODULE}{_spelled(name, cell)}" for row in _ROWS if (cell := row[column])}
            for column, name in enumerate(_COLUMNS)
            if _MODULE + name in self.states
        }
        self._eman_order = {row[0]: rank for rank, row in enumerate(_ROWS)}

    def _hub(self) -> dict[str, str]:
        hub: dict[str, str] = {}
        for state, kind in self.classes.items():
            hub[state] = _BY_CLASS[kind]
        for row in _ROWS:
            for column, name in enumerate(_COLUMNS):
                cell = row[column]
                if cell is not None:
                    hub[f"{_MODULE}{_spelled(name, cell)}"] = str(row[0])
        hub.update({f"{_MODULE}{state}": meaning for state, meaning in _CHOSEN.items()})
        return hub

    def find(self, name: str) -> str | None:
        """The canonical name of a state, None if there is no such state."""
        return self._identities.find(name, STATE)

    def find_set(self, name: str) -> str | None:
        return self._identities.find(name, SET)

    def find_transition(self, name: str) -> str | None:
        return self._identities.find(name, TRANSITION)

    def translate(
        self,
        state: str,
        name: str,
        supported: Iterable[str] = (),
        equivalents: Mapping[str, Iterable[str]] | None = None,
    ) -> str | None:
        """``state`` in the words of the set ``name``: None where nothing of the same class is there.

        ``supported`` limits the answer to what an entity can do, the nearest by meaning; empty means the whole set.
        ``equivalents`` are an entity's own mappings, which go first, read in both directions.
        """
        choices = tuple(supported) or self.states.get(name, ())
        if self.set_of.get(state) == name and state in choices:
            return state
        own = equivalents or {}
        for choice in choices:
            if choice in own.get(state, ()) or state in own.get(choice, ()):
                return choice
        meaning = self._to_eman[state]
        exact = self._from_eman.get(name, {}).get(meaning)
        if exact is not None and exact in choices and self.classes[exact] is self.classes[state]:
            return exact
        alike = [choice for choice in choices if self.classes[choice] is self.classes[state]]
        return min(alike, key=lambda choice: self._distance(meaning, choice), default=None)

    def _distance(self, meaning: str, state: str) -> tuple[int, int]:
        """How far ``state`` is from an EMAN state; of two alike the one of more power is nearer."""
        order = self._eman_order
        return abs(order[meaning] - order[self._to_eman[state]]), -self.ranks[state]

    def lowers(self, before: str | None, after: str) -> bool:
        """Whether going to ``after`` gives less service than ``before`` (None = not known, taken as fully on)."""
        if before is not None and self.set_of.get(before) == self.set_of.get(after):
            return self.ranks[after] < self.ranks[before]
        full = self._eman_order["high"]
        service = full if before is None else self._eman_order[self._to_eman[before]]
        return self._eman_order[self._to_eman[after]] < service

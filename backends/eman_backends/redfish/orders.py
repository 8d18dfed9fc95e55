"""What a service can be told: power states, supply, power limits, tests of batteries; as paths and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from eman_netconf.backend import Refused, StateInfo, StateSetInfo, Supply

from .documents import Document, dig, number, path_of, text
from .readings import ONE, Value

ON, OFF, PAUSED = "redfish-on", "redfish-off", "redfish-paused"

#: The words of PowerState; what is on its way from one to the other has no state until it is there.
POWER_STATE: Mapping[str, Value] = {"On": ON, "Off": OFF, "Paused": PAUSED}

#: What each state is reached by: the first that the resource allows. Off is asked for in good order where that can
#: be; who wants it at once asks for the transition redfish-force-off.
_REACHED_BY: Mapping[str, tuple[str, ...]] = {
    ON: ("On", "ForceOn", "Resume"),
    OFF: ("GracefulShutdown", "ForceOff"),
    PAUSED: ("Pause", "Suspend"),
}
#: What may be asked for by name. Nmi is left out: it makes a system dump its memory, which is no matter of energy.
TRANSITIONS: Mapping[str, str] = {
    "redfish-force-on": "ForceOn",
    "redfish-force-off": "ForceOff",
    "redfish-graceful-shutdown": "GracefulShutdown",
    "redfish-graceful-restart": "GracefulRestart",
    "redfish-force-restart": "ForceRestart",
    "redfish-push-power-button": "PushPowerButton",
    "redfish-power-cycle": "PowerCycle",
    "redfish-full-power-cycle": "FullPowerCycle",
    "redfish-suspend": "Suspend",
    "redfish-pause": "Pause",
    "redfish-resume": "Resume",
}
_UNTOLD = frozenset({"On", "ForceOff"})  # what a resource is taken to allow that does not say


@dataclass(frozen=True, slots=True)
class Action:
    """Where an action is posted, and the values its parameter takes; None = not told."""

    target: str
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """The Reset action of a system or a chassis."""

    action: Action

    @property
    def allowed(self) -> frozenset[str]:
        return _UNTOLD if self.action.allowed is None else self.action.allowed

    def states(self, document: Document) -> StateSetInfo:
        """The set of power states, as the resource allows them."""
        pausing = text(document, "PowerState") == "Paused" or bool(self.allowed & {"Pause", "Suspend"})
        states = (OFF, PAUSED, ON) if pausing else (OFF, ON)
        transitions = tuple(name for name, kind in TRANSITIONS.items() if kind in self.allowed)
        return StateSetInfo("redfish", tuple(StateInfo(state) for state in states), transitions, settable=True)

    def body(self, state: str, *, paused: bool) -> Document:
        """What is posted for a state or transition. Raises Refused."""
        kinds = (TRANSITIONS[state],) if state in TRANSITIONS else _REACHED_BY.get(state, ())
        if state == ON and paused:
            kinds = ("Resume", *kinds)
        for kind in kinds:
            if kind in self.allowed:
                return {"ResetType": kind}
        raise Refused(f"{state} is not offered; the service allows {', '.join(sorted(self.allowed)) or 'nothing'}")


READ_ONLY = StateSetInfo("redfish", (StateInfo(OFF), StateInfo(ON)))


@dataclass(frozen=True, slots=True)
class Switch:
    """The PowerControl action of an outlet."""

    action: Action

    def body(self, supply: Supply) -> Document:
        """What is posted to switch. Raises Refused."""
        word = {Supply.ON: "On", Supply.OFF: "Off"}.get(supply)
        if word is None:
            raise Refused(f"supply can be switched on or off, not {supply}")
        if self.action.allowed is not None and word not in self.action.allowed:
            raise Refused(f"the service does not allow the outlet to be switched {supply}")
        return {"PowerState": word}


@dataclass(frozen=True, slots=True)
class Limit:
    """A power limit: the resource that is changed, and what it is called there."""

    resource: str
    within: tuple[str, ...] = ()  # of a newer service: the property that the control stands in
    place: int | None = None  # of an older one: the member of PowerControl

    def body(self, watts: Decimal | None) -> Document:
        """The change that sets the limit, or with None lifts it."""
        value = None if watts is None else int(watts) if watts == watts.to_integral_value() else float(watts)
        if self.place is not None:  # members that are to stay as they are stand as empty objects (DSP0266)
            return {"PowerControl": [*({} for _ in range(self.place)), {"PowerLimit": {"LimitInWatts": value}}]}
        change: Document = (
            {"ControlMode": "Disabled"} if value is None else {"SetPoint": value, "ControlMode": "Automatic"}
        )
        for name in reversed(self.within):
            change = {name: change}
        return change


def action(document: Document, name: str, parameter: str, info: Document) -> Action | None:
    """The action of a resource; ``info`` is its ActionInfo, where it has one and does not say itself."""
    found = dig(document, "Actions", f"#{name}")
    target = path_of(dig(found, "target"))
    if target is None:
        return None
    allowed = dig(found, f"{parameter}@Redfish.AllowableValues")
    if not isinstance(allowed, list):
        told = dig(info, "Parameters")
        for item in told[:16] if isinstance(told, list) else ():
            if dig(item, "Name") == parameter:
                allowed = dig(item, "AllowableValues")
    if not isinstance(allowed, list):
        return Action(target)
    return Action(target, frozenset(word for word in allowed[:64] if isinstance(word, str)))


def bounds(control: Document | None, capacity: Decimal | None) -> tuple[Decimal, Decimal] | None:
    """The limits that are accepted, in watts; None where the highest is not known."""
    low = number(control, "AllowableMin") or ONE  # a limit of 0 W lifts it at some
    high = number(control, "AllowableMax") or capacity
    return (low, high) if high is not None and 0 < low < high else None

"""What the words of a UPS mean: its status, the state of its battery, how a test went."""

from __future__ import annotations

import re

from eman_netconf.backend import Supply

SUPPLYING = frozenset({"OL", "OB", "BYPASS", "TRIM", "BOOST"})
_CHARGERS = {
    "charging": "charging",
    "discharging": "discharging",
    "floating": "maintaining",
    "resting": "not-charging",
    "disabled": "not-charging",
}
#: apcsmart passes on the codes of the UPS itself
_CODES = {"ok": "passed", "bt": "failed", "ng": "failed", "no": "none"}
#: in this order: "done and warning" is a warning, "test not passed" a failure
_RESULTS = (
    ("in-progress", re.compile(r"progress|running|testing|under ?way")),
    ("none", re.compile(r"\bno test|never|not (yet )?(initiated|started|run|done|performed|supported|available)")),
    ("aborted", re.compile(r"abort|cancel|interrupt|stopped")),
    ("warning", re.compile(r"warn")),
    ("failed", re.compile(r"fail|error|\bbad\b|not (passed|ok)|weak|replace|refus|reject")),
    ("passed", re.compile(r"pass|\bok\b|success|\bgood\b|done|complete")),
)
_TECHNOLOGIES = (  # PbAc alone does not say which of the three kinds with lead it is
    (re.compile(r"agm", re.IGNORECASE), "vrla-agm"),
    (re.compile(r"gel", re.IGNORECASE), "vrla-gel"),
    (re.compile(r"li-?p(o|ol|oly|olymer)\b", re.IGNORECASE), "lithium-polymer"),
    (re.compile(r"li-?(ion|fe|fepo4)|lion|lfp|lithium", re.IGNORECASE), "lithium-ion"),
    (re.compile(r"ni-?cd", re.IGNORECASE), "nickel-cadmium"),
    (re.compile(r"ni-?mh", re.IGNORECASE), "nickel-metal-hydride"),
    (re.compile(r"ni-?zn", re.IGNORECASE), "nickel-zinc"),
    (re.compile(r"super-?cap|ultra-?cap|edlc", re.IGNORECASE), "double-layer-capacitor"),
)


def supply(flags: frozenset[str]) -> Supply | None:
    """Whether the UPS feeds its output; None where the status does not tell."""
    if "OFF" in flags:
        return Supply.OFF
    return Supply.ON if flags & SUPPLYING else None


def mains(flags: frozenset[str]) -> bool | None:
    """Whether there is power at the input; None where the status does not tell."""
    if "OB" in flags:
        return False
    return True if "OL" in flags else None


def charging(flags: frozenset[str], charger: str | None, full: bool) -> str | None:
    """What the battery does; None where that is not told. Full on mains, without a word of charging, is kept so."""
    if charger is not None and charger.lower() in _CHARGERS:
        return _CHARGERS[charger.lower()]
    if "DISCHRG" in flags:
        return "discharging"
    if "CHRG" in flags:
        return "charging"
    if "OB" in flags:
        return "discharging"
    return "maintaining" if "OL" in flags and full else None


def alarms(flags: frozenset[str]) -> frozenset[str] | None:
    """What is wrong with the battery; None where the status tells nothing at all."""
    if not flags & {*SUPPLYING, "OFF", "LB", "RB"}:
        return None
    found = set()
    if "LB" in flags:
        found.add("low")
        if "OB" in flags:
            found.add("critical")
    if "RB" in flags:
        found.add("aging")
    return frozenset(found)


def test_result(said: str) -> str | None:
    """How the last test went, by the words of the driver; None where they are not understood."""
    said = said.strip().lower()
    if said in _CODES:
        return _CODES[said]
    return next((result for result, words in _RESULTS if words.search(said)), None)


def technology(kind: str) -> str | None:
    """The identity of what a battery is made of; None where that is not told."""
    return next((name for words, name in _TECHNOLOGIES if words.search(kind)), None)


def switched(said: str) -> Supply | None:
    """The state of an outlet by the word of its driver."""
    word = said.strip().lower()
    if word in {"on", "closed", "yes", "1"}:
        return Supply.ON
    if word in {"off", "open", "no", "0"}:
        return Supply.OFF
    if word.startswith(("pending", "cycling", "switching")):
        return Supply.SWITCHING
    return Supply.FAULT if word in {"fault", "failure", "failed", "error"} else None

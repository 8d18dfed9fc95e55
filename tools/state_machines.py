"""The page of state machines: each table of the code, drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eman_netconf.datastore import confirmed
from eman_netconf.energy import requests, thresholds
from eman_netconf.energy.values import LinkState, RequestState
from eman_netconf.messages import session
from eman_netconf.notifications import publisher, receiver, subscriptions
from eman_netconf.server import poller

INTRODUCTION = """\
<!-- made by python -m tools.docs -->
# State machines

Drawn from the tables that the code runs on. An edge is labelled with what happens, and after the slash with what is
done about it.
"""

# (state, input) -> next state, or (next state, action); Any, since the tables have keys of their own enumerations
Table = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """A table and what to say about it. ``start`` is the first state."""

    title: str
    where: str
    text: str
    table: Table
    start: StrEnum


MACHINES = (
    Machine(
        "A session of the server",
        "src/eman_netconf/messages/session.py",
        "What is not drawn closes the session as a fault of the peer. Over base:1.0 malformed XML is such a fault, "
        "since RFC 6241 appendix A forbids to answer it.",
        session.TABLES[session.Role.SERVER],
        session.State.GREETING,
    ),
    Machine(
        "A session of the client",
        "src/eman_netconf/messages/session.py",
        "The command line's own client.",
        session.TABLES[session.Role.CLIENT],
        session.State.GREETING,
    ),
    Machine(
        "A confirmed commit",
        "src/eman_netconf/datastore/confirmed.py",
        "Cancel and timeout roll back. A restart does so by itself: the journal says what was not confirmed.",
        confirmed.TABLE,
        confirmed.State.IDLE,
    ),
    Machine(
        "A subscription of RFC 5277",
        "src/eman_netconf/notifications/receiver.py",
        "Without a start time it begins as live. While it replays and catches up, the log is its queue.",
        receiver.TABLE,
        receiver.State.REPLAYING,
    ),
    Machine(
        "A dynamic subscription",
        "src/eman_netconf/notifications/subscriptions.py",
        "Of RFC 8639, to the stream or to a datastore. One whose receiver takes nothing any more, or whose update is "
        f"too big, is suspended; it is tried again, and given up after {publisher.LONGEST_SUSPENSION:g} seconds.",
        subscriptions.TABLE,
        subscriptions.State.ACTIVE,
    ),
    Machine(
        "The way to a backend",
        "src/eman_netconf/server/poller.py",
        f"A pass that fails leaves what was read, marked stale; after {poller.STALE_PASSES} in a row the connection is "
        f"given up and opened anew, with pauses of {poller.FIRST_BACK_OFF:g} to {poller.LONGEST_BACK_OFF:g} seconds.",
        poller.LINK,
        LinkState.CLOSED,
    ),
    Machine(
        "A request",
        "src/eman_netconf/energy/requests.py",
        "A wish for a state, a limit or a supply. A device's yes leaves it pending: only a reading shows that it is "
        "reached, and a reading may still show it after the device said no.",
        requests.TABLE,
        RequestState.PENDING,
    ),
    Machine(
        "A threshold",
        "src/eman_netconf/energy/thresholds.py",
        "What is not drawn changes nothing: while the value is not known, and while the threshold is switched off, it "
        "stays as it was. An excess that does not yet last is shown as normal.",
        thresholds.TABLE,
        thresholds.State.UNKNOWN,
    ),
)


def page() -> str:
    """The page as Markdown with mermaid diagrams."""
    return INTRODUCTION + "".join(
        f"\n## {machine.title}\n\nIn [{machine.where}](../{machine.where}). {machine.text}\n\n{diagram(machine)}"
        for machine in MACHINES
    )


def diagram(machine: Machine) -> str:
    """One machine as a mermaid block; inputs with the same effect share an edge."""
    states = list(dict.fromkeys([machine.start, *(state for edge in _edges(machine) for state in edge[:2])]))
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state.value}" as {_id(state)}' for state in states]
    lines.append(f"    [*] --> {_id(machine.start)}")
    for (before, after), labels in _grouped(machine).items():
        lines.append(f"    {_id(before)} --> {_id(after)}: {', '.join(labels)}")
    return "\n".join([*lines, "```", ""])


def _edges(machine: Machine) -> list[tuple[StrEnum, StrEnum, str, str]]:
    """Before, after, input, action."""
    found = []
    for (before, happened), following in machine.table.items():
        after, action = following if isinstance(following, tuple) else (following, None)
        found.append((before, after, happened.value, "" if action is None else action.value))
    return found


def _grouped(machine: Machine) -> dict[tuple[StrEnum, StrEnum], list[str]]:
    """The labels of each edge; inputs with the same action are joined."""
    edges: dict[tuple[StrEnum, StrEnum], dict[str, list[str]]] = {}
    for before, after, happened, action in _edges(machine):
        edges.setdefault((before, after), {}).setdefault(action, []).append(happened)
    return {
        edge: [
            " or ".join(happened) + (f" / {action}" if action not in {"", "none"} else "")
            for action, happened in labels.items()
        ]
        for edge, labels in edges.items()
    }


def _id(state: StrEnum) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in state.value)

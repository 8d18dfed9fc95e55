"""Filters of notifications: what a subscriber wants to hear of (RFC 5277 section 3.6).

A filter is applied to a tree whose top level holds the notification. It chooses events, not parts of them: an event of
which it selects something is delivered whole, so that all receivers share its bytes.
"""

from __future__ import annotations

from typing import Final

from eman_netconf.datastore.select import EVERYTHING, Selection, prune
from eman_netconf.yang import xpath
from eman_netconf.yang.events import event_schema, notification_of
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

__all__ = ["FILTER_BYTES", "Undecided", "event_schema", "passes"]  # filters compile with the second

#: Bytes of the largest filter of a subscription: as long as that lives, it is kept, and tried on each event.
FILTER_BYTES: Final = 65_536

#: Steps an XPath filter may take on one event: milliseconds, in which nobody else is served.
BUDGET: Final = 3_000


class Undecided(Exception):
    """Whether a filter lets an event through cannot be told; the text says who misses what, after "somebody"."""


def passes(selection: Selection, events: Schema, notification: Inner) -> bool:
    """Whether the filter selects anything of the notification; ``events`` is what ``event_schema`` made.

    Raises Undecided for an expression that fails, or takes more than ``BUDGET`` steps.
    """
    if selection is EVERYTHING:
        return True
    tree = Inner(events.root, {notification.schema: notification})
    if selection.expression is None:
        return bool(prune(selection, tree).children)
    try:
        return bool(selection.expression.evaluate(xpath.Ref.root(tree), budget=xpath.Budget(BUDGET)))
    except xpath.BudgetExceeded:
        raise _undecided(notification, f"takes more than {BUDGET} steps") from None
    except xpath.XPathFault as fault:
        raise _undecided(notification, f"fails: {fault.message}") from None


def _undecided(notification: Inner, what: str) -> Undecided:
    event = notification_of(notification).schema.name
    return Undecided(f"is not sent {event}, on which the XPath filter {what}; this is said once")

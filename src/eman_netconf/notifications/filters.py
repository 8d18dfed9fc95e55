"""Filters of notifications: what a subscriber wants to hear of (RFC 5277 section 3.6).

A filter is applied to a tree whose top level holds the notification. It chooses events, not parts of them: an event of
which it selects something is delivered whole, so that all receivers share its bytes.
"""

from __future__ import annotations

from eman_netconf.datastore.select import EVERYTHING, Selection, prune
from eman_netconf.errors import RpcError
from eman_netconf.yang.events import event_schema
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

__all__ = ["event_schema", "passes"]  # filters compile with the former


def passes(selection: Selection, events: Schema, notification: Inner) -> bool:
    """Whether the filter selects anything of the notification; ``events`` is what ``event_schema`` made.

    An expression that cannot be evaluated selects nothing: the subscriber was told its faults when it was compiled.
    """
    if selection is EVERYTHING:
        return True
    try:
        return bool(prune(selection, Inner(events.root, {notification.schema: notification})).children)
    except RpcError:
        return False

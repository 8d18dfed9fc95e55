"""The store beside the configuration: how long it keeps samples, and what it tells of itself."""

from __future__ import annotations

from typing import Final

from eman_netconf.server.samples.retention import Settings
from eman_netconf.server.samples.store import SampleStore
from eman_netconf.server.samples.values import DAY
from eman_netconf.yang.diff import Change
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Inner, make_inner

_MEGABYTE: Final = 1_000_000


class StoreShown:
    """A participant of commits; ``lay`` completes operational state."""

    def __init__(self, store: SampleStore, running: Inner) -> None:
        self._store = store
        self._kept: Settings | None = None
        self.configure(running)

    def configure(self, running: Inner) -> None:
        settings = settings_of(running)
        if settings != self._kept:
            self._kept = settings
            self._store.configure(settings)

    def prepare(self, change: Change, new: Inner) -> None:
        """Every configuration will do."""

    def apply(self, _change: Change, new: Inner) -> None:
        self.configure(new)

    def lay(self, management: Inner) -> Inner:
        """``management`` (energy-management) with what the store tells in its container history."""
        node = management.schema.child("eman-series:history")
        told = self._store.told
        state = make_inner(
            node,
            {
                "samples": str(told.samples),
                "size": str(told.size),
                "oldest": _instant(told.oldest),
                "newest": _instant(told.newest),
                "last-write": _instant(told.last_write),
                "lost": str(told.lost),
            },
        )
        configured = management.children.get(node)
        below = configured.children if isinstance(configured, Inner) else {}
        return management.replace(node, Inner(node, {**below, **state.children}))


def settings_of(running: Inner) -> Settings:
    """The container retention of eman-series."""
    found = running.at("energy-management", "history", "retention")
    node = running.schema.child("eman-entity:energy-management").child("eman-series:history").child("retention")
    inner = found if isinstance(found, Inner) else Inner(node)

    def days(name: str) -> float:
        return float(inner.leaf(name) or node.child(name).default or 0) * DAY

    size = inner.leaf("maximum-size") or node.child("maximum-size").default or ""
    return Settings(days("raw-age"), days("hourly-age"), days("daily-age"), int(size) * _MEGABYTE)


def _instant(wall: float | None) -> str | None:
    return None if wall is None else stamp(wall)

"""What outlives the process: counters, statistics, momentary wishes and inventories, as JSON-able records by key.

The key of an entity's record is its id, of a total ``domains:<name>`` or ``groups:<name>`` (no id has a colon), of
what a backend tells of an entity ``backends:<name>:<local name>``, and "" is that of the domain itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from eman_netconf.energy.control import Control
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.groups import Groups, Total
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.pacing import Pace
from eman_netconf.energy.pacing import load as load_pace
from eman_netconf.energy.power_states import Tracker
from eman_netconf.energy.site import Site
from eman_netconf.energy.told import dump, load
from eman_netconf.energy.values import EntityInfo, Inventory, Now

_TOLD = "backends:"
_TOTALS = ("domains:", "groups:")
_SKIPPED = 1000  # request numbers left out after an unclean stop, so that none is given twice

Record = Mapping[str, Any]


class Archive:
    """Records out of the live objects, and live objects out of records as soon as they appear."""

    def __init__(self, site: Site, control: Control, groups: Groups) -> None:
        self._site = site
        self._control = control
        self._groups = groups
        self._waiting: dict[str, Record] = {}  # of entities and totals that have not appeared yet
        self._waiting_interfaces: dict[str, dict[str, Record]] = {}
        self._gone: dict[str, None] = {}
        self._told: dict[tuple[str, str], tuple[int, EntityInfo] | None] = {}  # backend, local: place, info; unsaved
        self._inventories: dict[str, list[tuple[int, EntityInfo]]] = {}  # of backends that did not answer yet
        self._clean = True
        self._saved_request = control.next_request
        self.now = Now(0.0, 0.0)
        site.appeared = self._appeared
        site.interface_appeared = self._interface_appeared
        site.forgotten = self._forgotten
        groups.appeared = self._total_appeared
        groups.forgotten = self._forgotten

    # --- out

    def dirty(self, limit: int | None) -> list[tuple[str, dict[str, Any] | None]]:
        found: list[tuple[str, dict[str, Any] | None]] = []
        if self._control.next_request != self._saved_request:
            self._saved_request = self._control.next_request
            found.append(("", {"next-request": self._saved_request}))
        gone = [id_ for id_ in self._gone if id_ not in self._site.entities]
        self._gone.clear()
        found += [(id_, None) for id_ in gone]
        groups = self._groups
        for nodes, totals in ((groups.nodes.domains, groups.domains), (groups.nodes.groups, groups.groups)):
            while nodes.unsaved and (limit is None or len(found) < limit):
                total, _ = nodes.unsaved.popitem()
                if totals.get(total.name) is total:
                    found.append((total.key, {"energy": total.meter.energy.dump()}))
        while self._told and (limit is None or len(found) < limit):
            (backend, local), told = self._told.popitem()
            saved = None if told is None else {"place": told[0], "info": dump(told[1])}
            found.append((f"{_TOLD}{backend}:{local}", saved))
        entities, changed = self._site.entities, self._site.nodes.unsaved
        while changed and (limit is None or len(found) < limit):
            entity, _ = changed.popitem()
            if entities.get(entity.id) is entity:
                found.append((entity.id, self._of(entity)))
        return found

    def told(self, backend: str, before: Mapping[str, EntityInfo], after: Mapping[str, EntityInfo]) -> None:
        """A backend told its inventory, by local name, in place of the one before."""
        for local in before.keys() - after.keys():
            self._told[backend, local] = None
        for place, (local, info) in enumerate(after.items()):
            if before.get(local) != info:
                self._told[backend, local] = place, info

    def _of(self, entity: Entity) -> dict[str, Any]:
        interfaces: dict[str, Any] = {}
        for interface in entity.interfaces.values():
            energy, wishes = interface.meter.energy, self._control.dump((interface.holder,))
            if energy.start is not None or wishes or interface.pace is not None:
                interfaces[interface.name] = {
                    "energy": energy.dump(),
                    "metered": interface.meter.metered,
                    "wishes": wishes,
                    **_moves(interface.pace),
                }
        return {
            "uuid": entity.uuid,
            "energy": entity.meter.energy.dump(),
            "metered": entity.meter.metered,
            "states": {name: tracker.dump() for name, tracker in entity.states.trackers.items()},
            "wishes": self._control.dump((entity.state_holder, entity.limit_holder)),
            "interfaces": interfaces,
            **_moves(entity.states.pace),
        }

    # --- in

    def restore(self, saved: Mapping[str, Record], now: Now, *, clean: bool) -> None:
        self._clean = clean
        self.now = now
        self._waiting = {key: record for key, record in saved.items() if key and not key.startswith(_TOLD)}
        for key, record in saved.items():
            if key.startswith(_TOLD):
                self._remember(key, record)
        first = saved.get("", {}).get("next-request", 1)
        self._control.next_request = first if clean else first + _SKIPPED
        self._saved_request = first

    def _remember(self, key: str, record: Record) -> None:
        backend, _, local = key.removeprefix(_TOLD).partition(":")
        try:
            self._inventories.setdefault(backend, []).append((record["place"], load(EntityInfo, record["info"])))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            self._told[backend, local] = None  # of a server that knew other things; the device will tell again

    def inventory(self, backend: str) -> Inventory | None:
        """What a backend told in an earlier life; asked for once."""
        told = self._inventories.pop(backend, None)
        return Inventory(tuple(info for _, info in sorted(told, key=itemgetter(0)))) if told else None

    def forget(self) -> None:
        """All that is configured has appeared: what is left of backends, domains and groups is of none that is."""
        for backend, told in self._inventories.items():
            self._told.update(dict.fromkeys((backend, info.local) for _, info in told))
        self._inventories.clear()
        for key in [key for key in self._waiting if key.startswith(_TOTALS)]:
            del self._waiting[key]
            self._gone[key] = None

    def _appeared(self, entity: Entity) -> bool:
        record = self._waiting.pop(entity.id, None)
        if record is None:
            return False
        entity.uuid = record.get("uuid", "")
        if record["interfaces"]:
            self._waiting_interfaces[entity.id] = dict(record["interfaces"])
        entity.meter.energy.load(record["energy"], self.now.wall, clean=self._clean)
        entity.meter.metered = record["metered"]
        for name, saved in record["states"].items():
            tracker = entity.states.trackers[name] = Tracker()
            tracker.load(saved, self.now.wall, clean=self._clean)
        entity.states.pace = _pace(record)
        self._control.restore(entity, record["wishes"], self.now)
        return True

    def _interface_appeared(self, interface: Interface) -> None:
        record = self._waiting_interfaces.get(interface.end.entity, {}).pop(interface.name, None)
        if record is None:
            return
        interface.meter.energy.load(record["energy"], self.now.wall, clean=self._clean)
        interface.meter.metered = record["metered"]
        interface.pace = _pace(record)
        self._control.restore(interface.entity, record["wishes"], self.now)

    def _total_appeared(self, total: Total) -> None:
        record = self._waiting.pop(total.key, None)
        if record is not None:
            total.meter.energy.load(record["energy"], self.now.wall, clean=self._clean)

    def _forgotten(self, id_: str) -> None:
        self._gone[id_] = None
        self._waiting_interfaces.pop(id_, None)


def _moves(pace: Pace | None) -> dict[str, Any]:
    return {} if pace is None else {"switched": pace.dump()}


def _pace(record: Record) -> Pace | None:
    return load_pace(record["switched"]) if "switched" in record else None

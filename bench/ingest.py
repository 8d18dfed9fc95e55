"""Readings taken in by the energy core, on one core, without a network."""

from __future__ import annotations

import gc
import time
from functools import cache
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import eman_backends.simulated
from bench import site
from bench.servers import Place
from bench.table import Row, Table
from eman_netconf import safexml
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.values import LinkState, Now
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

WALL = 1_795_003_200.0  # a full hour
_EVERY = 10.0  # seconds between passes
_MINUTE = 6  # passes, in which each history has its interval closed once


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("ingest: readings through measurements, statistics and history, per second on one core")
    for entities in place.sizes(1000, 10_000):
        for watched in (False, True):
            name = f"readings, N={entities:,}{', 2 thresholds and 2 series each' if watched else ''}"
            rates = _rates(entities, place.times(5 if entities < 10_000 else 2), watched=watched)
            table.add(Row(name, "per s", rates, 20_000, rising=True))
            gc.collect()


def _rates(entities: int, minutes: int, *, watched: bool) -> list[float]:
    """Readings per second of a core's time in each minute but the first, with all that is due in it and all that is to
    be stored.
    """
    domain = ready(entities, watched=watched)
    boxes = range(site.boxes(entities))
    rates = []
    for minute in range(minutes + 1):
        took = 0.0
        count = 0
        for turn in range(minute * _MINUTE + 1, (minute + 1) * _MINUTE + 1):
            now = Now(WALL + _EVERY * turn, _EVERY * turn)
            passes = [list(site.readings(site.members(box, entities), turn, now.wall)) for box in boxes]
            count += sum(map(len, passes))
            started = time.process_time()
            for box, readings in zip(boxes, passes, strict=True):
                domain.ingest(site.box_id(box), readings, now)
            while (due := domain.next_timer()) is not None and due < now.mono + _EVERY:
                late = max(due - now.mono, 0.0)
                domain.timer(Now(now.wall + late, now.mono + late))
            for keeper in (domain, domain.thresholds, domain.series):
                while keeper.dirty(500):
                    pass
            took += time.process_time() - started
        rates.append(count / took)
    return rates[1:]


def ready(entities: int, *, poll_interval: int = 86_400, watched: bool = False) -> Domain:
    """The energy core with a generated site, all of its devices found and none read yet."""
    schema = _schema()
    config = safexml.parse(site.configuration(entities, poll_interval, watched=watched))
    running = apply_edit(Inner(schema.root), config, schema).root
    domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_DNS, name)))
    start = Now(WALL, 0.0)
    domain.configure(None, running, start)
    for box in range(site.boxes(entities)):
        name = site.box_id(box)
        domain.link(name, LinkState.OPENING, start)
        domain.inventory(name, site.inventory(site.members(box, entities)), start)
        domain.link(name, LinkState.UP, start)
    return domain


@cache
def _schema() -> Schema:
    return sources.load(["eman-backend-simulated"], [Path(eman_backends.simulated.__path__[0])])

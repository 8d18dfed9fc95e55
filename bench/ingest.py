"""Readings taken in by the energy core, on one core, without a network."""

from __future__ import annotations

import time
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
from eman_netconf.yang.tree import Inner

_WALL = 1_795_000_000.0


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("ingest: readings into Domain.ingest, per second on one core")
    schema = sources.load(["eman-backend-simulated"], [Path(eman_backends.simulated.__path__[0])])
    for entities in place.sizes(1000, 10_000):
        running = apply_edit(Inner(schema.root), safexml.parse(site.configuration(entities)), schema).root
        domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_DNS, name)))
        domain.configure(None, running, Now(_WALL, 0.0))
        boxes = range(site.boxes(entities))
        for box in boxes:
            name = site.box_id(box)
            domain.link(name, LinkState.OPENING, Now(_WALL, 0.0))
            domain.inventory(name, site.inventory(site.members(box, entities)), Now(_WALL, 0.0))
            domain.link(name, LinkState.UP, Now(_WALL, 0.0))
        rates = []
        for turn in range(1, place.times(10 if entities < 10_000 else 4) + 2):
            now = Now(_WALL + 10 * turn, 10.0 * turn)
            passes = [list(site.readings(site.members(box, entities), turn, now.wall)) for box in boxes]
            started = time.perf_counter()
            for box, readings in zip(boxes, passes, strict=True):
                domain.ingest(site.box_id(box), readings, now)
            rates.append(sum(map(len, passes)) / (time.perf_counter() - started))
            domain.dirty()
        table.add(Row(f"readings, N={entities:,}", "per s", rates[1:], 20_000, rising=True))

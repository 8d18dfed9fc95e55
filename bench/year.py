"""A year of a site in the energy core, without a network: how long it takes, and whether its totals are right.

Every five minutes all devices are read, and every minute history is cut. Half of the devices count energy themselves,
half tell power alone; power goes straight from one reading to the next, so that its integral is known exactly.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from random import Random

from bench import ingest, site
from bench.servers import Place
from bench.table import Row, Table
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Effect, Record
from eman_netconf.energy.samples import Stretch, Tick
from eman_netconf.energy.values import Now, Point, Quantity, Reading

_DEVICES = 10
_EVERY = 300  # seconds between readings
_DAY = 86_400
_HALF_JOULES = Decimal("7.2")  # in a milliwatt-hour


async def run(place: Place, table: Table) -> None:
    """The row group."""
    days = 30 if place.quick else 365
    title = "a year" if days == 365 else f"{days} days"
    table.head(f"year: {title} of {_DEVICES} devices, read every {_EVERY} s, their history by the minute")
    year = _Year()
    started = time.perf_counter()
    for at in range(0, days * _DAY + 1, _EVERY):
        year.step(at)
    took = time.perf_counter() - started
    year.finish()
    table.add(Row(f"{title} of the site", "s", [took], 600))
    of = f"of {_DEVICES + 1}"
    table.add(Row("totals that are not the integral of power", of, [year.wrong_totals()], 0))
    table.add(Row("histories that do not add up to their totals", of, [year.wrong_histories()], 0))
    table.note(f"{year.readings:,} readings, {year.samples:,} samples of energy")


class _Device:
    """What one device uses, in whole watts."""

    def __init__(self, number: int) -> None:
        self.id = site.entity_id(number)
        self.counts = bool(number % 2)
        self._point = Point(self.id)
        self._random = Random(number)
        self._watts = 0
        self.half_joules = 0

    def readings(self, wall: float, seconds: int) -> Iterator[Reading]:
        """What is read ``seconds`` after the last time."""
        before, self._watts = self._watts, self._random.randrange(50, 700)
        self.half_joules += (before + self._watts) * seconds
        if self.counts:
            watt_hours = Decimal(self.milliwatt_hours).scaleb(-3)
            yield Reading(self._point, Quantity.ENERGY_RECEIVED, watt_hours, wall)
        yield Reading(self._point, Quantity.ACTIVE_POWER, Decimal(self._watts), wall)

    @property
    def milliwatt_hours(self) -> int:
        return int(self.half_joules / _HALF_JOULES)


class _Year:
    """The core, its devices, and what was recorded."""

    def __init__(self) -> None:
        self.domain: Domain = ingest.ready(_DEVICES, poll_interval=_EVERY)
        self.devices = [_Device(number) for number in range(_DEVICES)]
        self.readings = 0
        self.samples = 0
        self._recorded: Counter[str] = Counter()
        self._last = 0

    def step(self, at: int) -> None:
        """What is due until ``at``, then a reading of all devices."""
        self._timers(at)
        now = _now(at)
        readings = [reading for device in self.devices for reading in device.readings(now.wall, at - self._last)]
        self._last = at
        self.readings += len(readings)
        self._keep(self.domain.ingest(site.box_id(0), readings, now))
        while self.domain.dirty(500):
            pass

    def finish(self) -> None:
        """All intervals are over."""
        self._timers(self._last + 2 * _EVERY)

    def _timers(self, until: int) -> None:
        while (due := self.domain.next_timer()) is not None and due <= until:
            self._keep(self.domain.timer(_now(due)))

    def _keep(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Record):
                continue
            if isinstance(effect.what, Tick):
                for channel, sample in effect.what.samples.items():
                    if channel.quantity == Quantity.ENERGY_RECEIVED and not channel.part:
                        self._recorded[channel.owner] += sample.value or 0
                        self.samples += 1
            elif isinstance(effect.what, Stretch) and not effect.what.part:
                self._recorded[effect.what.owner] += effect.what.received

    def _totals(self) -> dict[str, int | None]:
        entities, total = self.domain.site.entities, self.domain.groups.domains[site.box_id(0)]
        totals = {device.id: entities[device.id].meter.energy.received for device in self.devices}
        return {**totals, total.record_key: total.meter.energy.received}

    def wrong_totals(self) -> int:
        exact = {device.id: device.milliwatt_hours for device in self.devices}
        exact[self.domain.groups.domains[site.box_id(0)].record_key] = sum(exact.values())
        return sum(total != exact[key] for key, total in self._totals().items())

    def wrong_histories(self) -> int:
        return sum(total != self._recorded[key] for key, total in self._totals().items())


def _now(at: float) -> Now:
    return Now(ingest.WALL + at, at)

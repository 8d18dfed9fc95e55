"""One simulated site in time: it is advanced when somebody looks, minute by minute and from event to event.

Site time is the context's clock: it starts at the wall clock and then runs with the monotonic one, so that a stepped
clock invents no energy; over a restart it goes on at the wall clock. Within a minute loads are constant, and whatever
happens earlier (a switch moves, a battery is empty) begins a new segment of constant flows. Energies are whole
microjoules, the exact integral of the flows. A long absence is passed in coarser steps, so that it costs a bounded
amount of work; whatever may have been shown before the absence is gone through again as it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from random import Random

from eman_netconf.backend import Now, Refused, Supply

from . import loads, memory
from .flows import Flows, Given, solve
from .scenario import Entity, Kind, Scenario, String, Wire

MINUTE = loads.MINUTE
HORIZON = 15 * MINUTE  # at least so often the memory is written, in site time
ABSENCE = 4 * loads.HOUR  # longer gaps are passed in coarser steps
RECENT = loads.HOUR  # ... except for their end
STEPS = 400  # most of the coarser steps of one absence
AT_ONCE = 8  # segments between two chances for others to run
TEST = 30_000  # milliseconds that a battery test takes
ENOUGH = 0.5  # of a bank's charge, for a test to begin
WORN_OUT = 400  # cycles after which a string should be replaced
WEAK = 0.7  # of the capacity when new: a string with less fails its test ...
POOR = 0.8  # ... and one with less than this has a warning
_LADDER = (10 * MINUTE, loads.HOUR, 6 * loads.HOUR, loads.DAY)
_GOLDEN = 0.6180339887498949


class Fault(StrEnum):
    """What can be wrong with the way to a box; the site itself goes on."""

    DEAD = "dead"  # nothing answers
    SLOW = "slow"  # answers come far too late
    LYING = "lying"  # answers are garbage
    FLAKY = "flaky"  # every third question stays without an answer
    DEAF = "deaf"  # orders are carried out, but their answers get lost
    CONFUSED = "confused"  # answers tell of what the box does not have, too


class Site:
    """The state of a scenario's site at one time, and how it goes on."""

    def __init__(
        self, scenario: Scenario, now: Now, random: Random, path: Path | None = None, log: logging.Logger | None = None
    ) -> None:
        """Take up what was remembered in ``path``, or start anew. Without a path nothing is kept."""
        self.scenario = scenario
        self.faults: dict[str, Fault] = {
            entity.box: Fault(entity.fault) for entity in scenario.entities if entity.fault
        }
        self.carried_out: dict[str, int] = {}  # orders by box
        self.segments = 0  # how many were computed, a measure of work
        self._path = path
        self._log = log or logging.getLogger(__name__)
        wall = round(now.wall * 1000)
        remembered = memory.read(path, scenario, memory.fresh(scenario, wall, random)) if path else None
        self.memory = remembered or memory.fresh(scenario, wall, random)
        self._origin = max(wall, self.memory.at)
        self._mono = now.mono
        self._now = self.memory.at  # up to here the site has been looked at; the memory counts to the segment's start
        self._saved = self.memory.at
        self._coarse = (0, 0, MINUTE)  # from, to, step
        self._drawn: tuple[int, int, list[int], dict[int, int]] | None = None
        self._trouble: str | None = None
        self.flows: Flows
        self._until = 0
        self._begin()
        if remembered is None:
            self.save()

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def at(self) -> int:
        """Milliseconds since the epoch: the site's present."""
        return self._now

    def advance(self, now: Now) -> None:
        """Bring the site to the present."""
        for _ in self.advancing(now):
            pass

    async def catch_up(self, now: Now) -> None:
        """As advance, giving way to others now and then; others may advance the site meanwhile."""
        for _ in self.advancing(now):
            await asyncio.sleep(0)

    def advancing(self, now: Now) -> Iterator[None]:
        """The steps of advance, a few segments at a time."""
        to = self._origin + round((now.mono - self._mono) * 1000)
        if to - self._now > ABSENCE and self._now >= self._coarse[1]:
            self._plan(to)
        count = 0
        while self._until <= to:
            self._count(self._until)
            self._begin()
            count += 1
            if not count % AT_ONCE:
                yield
        self._now = max(self._now, to)
        if self._now - self._saved >= HORIZON:
            self.save()

    def _plan(self, to: int) -> None:
        """Pass the middle of an absence in steps so long that there are not too many of them."""
        begin, end = max(self._now, self._saved + HORIZON), to - RECENT
        step = next((each for each in _LADDER if (end - begin) // each < STEPS), _LADDER[-1])
        while (end - begin) // step >= STEPS:
            step *= 2
        self._coarse = (begin, end, step)

    def _step(self, at: int) -> tuple[int, int, int]:
        """The step of time that ``at`` is in: its begin, its end, and the instant its loads are taken from."""
        begin, end, step = self._coarse
        if not begin <= at < end:
            start = at - at % MINUTE
            return start, min(start + MINUTE, begin) if at < begin else start + MINUTE, start
        number = at // step
        # taken from ever other times of day, or long steps would all see noon
        return number * step, min((number + 1) * step, end), number * step + int(number * _GOLDEN % 1 * step)

    def _count(self, to: int) -> None:
        """Count the energies of the present flows up to ``to``, where the next segment begins."""
        kept = self.memory
        duration = to - kept.at
        if duration > 0:
            for meter, power in zip(kept.wires, self.flows.power, strict=True):
                if power:
                    meter.add(power, duration)
            for meter, power in zip(kept.entities, self.flows.entity_power, strict=True):
                if power:
                    meter.add(power, duration)
            for index, rate in self.flows.battery.items():
                bank = self.scenario.entities[index].bank
                assert bank is not None
                before = kept.stored[index]
                kept.stored[index] = min(max(before + rate * duration, 0), bank.full)
                kept.discharged[index] += max(before - kept.stored[index], 0)
            kept.at = to
        self._now = max(self._now, to)

    def _begin(self) -> None:
        """What is due happens, power finds its way, and it is known how long that holds."""
        at = self.memory.at
        for event in self.memory.due(at):
            if event.switch:
                self.memory.supply[event.target] = Supply(event.value)
            else:
                self.memory.state[event.target] = event.value
        self._end_tests(at)
        for _ in self.scenario.entities:  # each round something changed; it cannot be more often than there are things
            self.flows = solve(self.scenario, self._given(at))
            self.segments += 1
            if not self._supply_changed(at):
                break
        until = self._step(at)[1]
        for index, rate in self.flows.battery.items():
            bank = self.scenario.entities[index].bank
            assert bank is not None
            if rate:
                left = self.memory.stored[index] if rate < 0 else bank.full - self.memory.stored[index]
                until = min(until, at + max(-(-left // abs(rate)), 1))
        if self.memory.events:
            until = min(until, self.memory.events[0].due)
        until = min([until, *(end for _, end in self.memory.testing.values())])
        self._until = until

    def _given(self, at: int) -> Given:
        drawn, sun = self._draw(at)
        kept = self.memory
        closed = [True] * len(self.scenario.wires)
        for index, supply in kept.supply.items():
            closed[index] = supply is Supply.ON
        return Given(closed, self._limited(drawn), sun, kept.stored, self._charging(at), kept.testing)

    def _draw(self, at: int) -> tuple[list[int], dict[int, int]]:
        """What everything would draw when on, and the sun give; the same for the whole step."""
        start, end, sample = self._step(at)
        if self._drawn is None or self._drawn[:2] != (start, end):
            scenario = self.scenario
            drawn = [
                loads.load(scenario, entity, entity.profile, sample) if entity.profile else 0
                for entity in scenario.entities
            ]
            sun = {
                entity.index: loads.solar(scenario, entity, sample)
                for entity in scenario.entities
                if entity.kind is Kind.SOLAR
            }
            self._drawn = (start, end, drawn, sun)
        return self._drawn[2], self._drawn[3]

    def _limited(self, drawn: list[int]) -> list[int]:
        """What things draw in the states they are in, and under their limits."""
        drawn = list(drawn)
        for index, name in self.memory.state.items():
            states = self.scenario.entities[index].states
            assert states is not None
            watts = next(state.watts for state in states.states if state.name == name)
            if watts is not None:
                drawn[index] = round(watts * 1000)
        for index, limit in self.memory.limit.items():
            drawn[index] = min(drawn[index], limit)
        return drawn

    def _charging(self, at: int) -> dict[int, int]:
        """What the chargers take: all they can, then ever less, and nothing into a full bank."""
        kept = self.memory
        new = kept.minute != at // MINUTE
        kept.minute = at // MINUTE
        for index, stored in kept.stored.items():
            bank = self.scenario.entities[index].bank
            assert bank is not None
            if stored >= bank.full:
                kept.charging[index] = 0
            elif new or index not in kept.charging:
                taper = min(max((1 - stored / bank.full) * 5, 0.05), 1.0)
                kept.charging[index] = round(bank.charge_watts * 1000 * taper)
        return kept.charging

    def _supply_changed(self, at: int) -> bool:
        """What lost its supply is off at once; what got it back returns to what it was. True if any state changed."""
        changed = False
        kept = self.memory
        for entity in self.scenario.entities:
            supplied = self.flows.supplied[entity.index]
            if supplied == kept.supplied[entity.index]:
                continue
            kept.supplied[entity.index] = supplied
            if entity.states is None:
                continue
            kept.cancel(switch=False, target=entity.index)
            wanted = kept.wanted[entity.index]
            if not supplied:
                changed |= kept.state[entity.index] != entity.states.dark
                kept.state[entity.index] = entity.states.dark
            elif wanted != entity.states.dark:
                if delay := self._entering(entity, wanted):
                    kept.append(at + delay, switch=False, target=entity.index, value=wanted)
                else:
                    kept.state[entity.index] = wanted
                    changed = True
        return changed

    def _entering(self, entity: Entity, name: str) -> int:
        assert entity.states is not None
        return round(next(state.enter for state in entity.states.states if state.name == name) * 1000)

    # --- what can be told to it ---------------------------------------------------------------------------------------

    def switch(self, wire: Wire, supply: Supply) -> None:
        """Move the switch of an interface: a relay opens at once, and closes in its turn."""
        due = self._now + (round(wire.switch_time * 1000) if supply is Supply.ON else 0)
        self.memory.schedule(due, switch=True, target=wire.index, value=supply.value)
        self._anew(wire.owner)

    def trip(self, wire: Wire) -> None:
        """Let the breaker of an interface fall, at once; switching it on mends it."""
        self.memory.cancel(switch=True, target=wire.index)
        self.memory.supply[wire.index] = Supply.FAULT
        self._anew(None)

    def swap(self, entity: Entity, part: str | None = None) -> None:
        """Put another device of the same make in the place of one: it has identifiers of its own, and counts from 0.

        ``part`` names what of it is swapped alone: a string of batteries, or the kind of a foreign identifier for what
        carries that. Whoever was connected has to open the way to the box anew.
        """
        self._count(self._now)
        name = entity.id if part is None else f"{entity.id}/{part}"
        self.memory.swapped[name] = self.memory.swapped.get(name, 0) + 1
        strings = {string.name for string in entity.bank.strings} if entity.bank is not None else set()
        if part in strings:
            self.memory.unworn[name] = self.memory.discharged[entity.index]
            self.memory.tested.pop(name, None)
            if self.memory.testing.get(entity.index, ("",))[0] == part:
                del self.memory.testing[entity.index]
        elif part is None:
            self.memory.entities[entity.index] = memory.Meter()
            for index in (*entity.inlets, *entity.outlets):
                self.memory.wires[index] = memory.Meter()
        self._anew(None)

    def set_state(self, entity: Entity, name: str) -> None:
        """Order a power state or a transition; entering each state takes its time. Refused if there is none such."""
        states = entity.states
        if states is None:
            raise Refused(f"{entity.id} has no power states")
        chain = states.transitions.get(name, (name,))
        if chain[-1] not in {state.name for state in states.states}:
            raise Refused(f"{entity.id} knows no power state or transition {name}")
        self.memory.cancel(switch=False, target=entity.index)
        self.memory.wanted[entity.index] = chain[-1]
        if self.flows.supplied[entity.index]:
            due = self._now
            for each in chain:
                if len(chain) > 1 or each != self.memory.state[entity.index]:
                    due += self._entering(entity, each)
                    self.memory.append(due, switch=False, target=entity.index, value=each)
        self._anew(entity.index)

    def limit(self, entity: Entity, watts: float | None) -> None:
        """Hold an entity below a limit, or lift it. Refused outside what the entity can."""
        if entity.limits is None:
            raise Refused(f"{entity.id} cannot limit its power")
        least, most = entity.limits
        if watts is None:
            self.memory.limit.pop(entity.index, None)
        elif least <= watts <= most:
            self.memory.limit[entity.index] = round(watts * 1000)
        else:
            raise Refused(f"{entity.id} can hold limits from {least:g} to {most:g} watts, not {watts:g}")
        self._anew(entity.index)

    def test(self, entity: Entity, string: str) -> None:
        """Have a storage carry its load from its bank for a while. Refused where that would be a risk."""
        bank = entity.bank
        if bank is None or string not in {each.name for each in bank.strings}:
            raise Refused(f"{entity.id} has no battery {string!r}")
        if entity.index in self.memory.testing:
            raise Refused(f"{entity.id} is at a test already")
        if not self.flows.live[entity.inlets[0]]:
            raise Refused(f"{entity.id} runs on its batteries")
        if self.stored(entity) < ENOUGH * bank.full:
            raise Refused(f"{entity.id} holds too little for a test")
        self.memory.testing[entity.index] = string, self._now + TEST
        self._anew(entity.index)

    def _end_tests(self, at: int) -> None:
        """Tests that are over have a result."""
        for index, (name, end) in [*self.memory.testing.items()]:
            entity = self.scenario.entities[index]
            assert entity.bank is not None
            if end <= at:
                string = next(each for each in entity.bank.strings if each.name == name)
                self.memory.tested[f"{entity.id}/{name}"] = self._verdict(entity, string)
                del self.memory.testing[index]

    def _verdict(self, entity: Entity, string: String) -> str:
        """How a string does under load: the worn and the weak do not carry it."""
        new = f"{entity.id}/{string.name}" in self.memory.unworn
        health = 1.0 if new else string.health
        if health < WEAK or self._cycles(entity, string, self.memory.discharged[entity.index]) >= WORN_OUT:
            return "failed"
        return "warning" if health < POOR else "passed"

    def _anew(self, owner: int | None) -> None:
        """Something was told at the present: begin a new segment, and remember it."""
        if owner is not None:
            box = self.scenario.entities[owner].box
            self.carried_out[box] = self.carried_out.get(box, 0) + 1
        self._count(self._now)
        self._begin()
        self.save()

    # --- what can be asked --------------------------------------------------------------------------------------------

    def supply(self, wire: Wire) -> Supply:
        """Whether the switch of an interface lets power through, or is moving."""
        if any(event.switch and event.target == wire.index for event in self.memory.events):
            return Supply.SWITCHING
        return self.memory.supply.get(wire.index, Supply.ON)

    def energy(self, wire: Wire) -> tuple[int, int]:
        """Microjoules received and provided at an interface up to now."""
        return self._counted(self.memory.wires[wire.index], self.flows.power[wire.index])

    def entity_energy(self, entity: Entity) -> tuple[int, int]:
        """Microjoules received and provided by an entity up to now."""
        return self._counted(self.memory.entities[entity.index], self.flows.entity_power[entity.index])

    def _counted(self, meter: memory.Meter, power: int) -> tuple[int, int]:
        flown = power * (self._now - self.memory.at)
        return meter.received + max(flown, 0), meter.provided - min(flown, 0)

    def stored(self, entity: Entity) -> int:
        """Microjoules in the bank of a storage now."""
        assert entity.bank is not None
        rate = self.flows.battery.get(entity.index, 0)
        stored = self.memory.stored[entity.index] + rate * (self._now - self.memory.at)
        return min(max(stored, 0), entity.bank.full)

    def swaps(self, box: str) -> int:
        """How many things of a box were swapped ever."""
        ids = {entity.id for entity in self.scenario.box(box)}
        return sum(count for name, count in self.memory.swapped.items() if name.partition("/")[0] in ids)

    def discharged(self, entity: Entity) -> int:
        """Microjoules ever taken out of the bank of a storage."""
        return self.memory.discharged[entity.index] + max(self.memory.stored[entity.index] - self.stored(entity), 0)

    def cycles(self, entity: Entity, string: String) -> int:
        """The cycles of a string of a bank, which has its part of what was ever taken out, by its capacity."""
        return self._cycles(entity, string, self.discharged(entity))

    def _cycles(self, entity: Entity, string: String, discharged: int) -> int:
        bank = entity.bank
        assert bank is not None
        whole = sum(round(each.capacity * each.health) for each in bank.strings) * bank.volts * 3_600_000
        unworn = self.memory.unworn.get(f"{entity.id}/{string.name}")
        used = (discharged - (unworn or 0)) / whole
        return (string.cycles if unworn is None else 0) + int(used)

    def tested(self, entity: Entity, string: String) -> str:
        """How the last test of a string went, or goes."""
        if self.memory.testing.get(entity.index, ("",))[0] == string.name:
            return "in-progress"
        return self.memory.tested.get(f"{entity.id}/{string.name}", "none")

    def runtime(self, entity: Entity) -> float:
        """Seconds for which the bank of a storage can carry the present load."""
        assert entity.bank is not None
        draw = -self.flows.battery.get(entity.index, 0)
        if draw <= 0:
            carried = self.flows.entity_power[entity.index] - self.memory.charging[entity.index]
            draw = round(carried / entity.bank.discharging)
        return self.stored(entity) / draw / 1000 if draw > 0 else math.inf

    # --- keeping ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Remember everything up to now. Trouble with the file is logged once and does not stop the site."""
        self._count(self._now)
        self._saved = self._now
        if self._path is None:
            return
        try:
            memory.write(self._path, memory.to_document(self.scenario, self.memory))
        except OSError as error:
            if self._trouble != str(error):
                self._log.warning("the simulated site cannot be kept: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = None

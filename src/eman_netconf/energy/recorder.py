"""The history of the whole site: what energy flowed in each interval through every meter, and means beside it.

What is kept adds up to the meters' totals. What flowed in an interval that is not over is remembered with the energy
of its meter; what comes to be known after its interval was over is a stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from eman_netconf.energy.accumulation import RANK
from eman_netconf.energy.effects import Effect, Record
from eman_netconf.energy.ledger import (
    MOMENT,
    PATIENCE,
    EnergyTrack,
    Flowed,
    Member,
    Rounds,
    Ticks,
    ValueTrack,
    Wall,
    beginning,
)
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.quantities import BATTERY_QUANTITIES, COUNTERS, IDENTITIES
from eman_netconf.energy.samples import Channel, Energy, Mark, Renamed, Sample, Stretch, digits, worst
from eman_netconf.energy.taps import Observed, Selector, Tap
from eman_netconf.energy.timers import Timers
from eman_netconf.energy.values import Method, Now, Quantity
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

WORD = "history"  # of its taps
METHODS = tuple(RANK)  # by rank
_REBOUND = 100  # so many things get other accounts in one turn, when the configuration of the history is another
_NEXT_TURN = 0.005
_MARKS = tuple(Mark)
_NOBODY: list[Effect] = []


class _Late(NamedTuple):
    """Energy of intervals that were over already, in milliwatt-hours and wall-clock seconds."""

    start: float
    end: float
    received: int
    provided: int
    mark: Mark

    def joined(self, other: _Late) -> _Late | None:
        """Both in one, where that tells about the same time."""
        start, end = min(self.start, other.start), max(self.end, other.end)
        if end - start > 2 * min(self.end - self.start, other.end - other.start):
            return None
        received, provided = self.received + other.received, self.provided + other.provided
        return _Late(start, end, received, provided, worst(self.mark, other.mark))


class Gauge(ValueTrack):
    """The mean of one quantity of one thing. ``scale``: units in which it is told, to one of those that are kept."""

    __slots__ = ("_channel", "_meter", "_observed", "_scale")

    def __init__(
        self, wall: Wall, period: float, observed: Observed, meter: Meter, part: str, quantity: Quantity, scale: int
    ) -> None:
        super().__init__(wall, period)
        self._observed = observed
        self._meter = meter
        self._channel = part, quantity
        self._scale = scale

    channels = 1

    @property
    def gap(self) -> float:
        return self._meter.longest_gap

    def close(self, edge: float, now: Now, ticks: Ticks, out: list[Effect]) -> bool:
        for end, held in self.take(self.over(edge)):
            mean = held.mean
            if mean is not None:
                start = beginning(self._meter.energy.start, end - self.period, end)
                coverage = self.coverage(held.seconds, end - start)
                channel = Channel(self._observed.record_key, *self._channel)
                value = round(mean / self._scale)
                ticks.setdefault(end, {})[channel] = Sample(start, end, value, held.method, coverage, held.mark)
        return self.closed >= edge


class Account(EnergyTrack):
    """What flowed through one meter (measurements.Ledger), and its mean power."""

    __slots__ = ("_behind", "_late_ones", "meter", "observed", "part", "power")

    def __init__(
        self, wall: Wall, period: float, observed: Observed, meter: Meter, part: str, behind: dict[Account, None]
    ) -> None:
        super().__init__(wall, period)
        self._behind = behind  # those that have something late to tell
        self.observed = observed
        self.meter = meter
        self.part = part
        self.power: Gauge | None = None
        self._late_ones: list[_Late] | None = None

    @property
    def channels(self) -> int:
        return 3 + len(self.meter.parts) // 8

    @property
    def gap(self) -> float:
        return self.meter.longest_gap

    def powered(self, milliwatts: int, method: str, mono: float) -> None:
        """Real power was read."""
        if self.power is None:
            owner, meter = self.observed, self.meter
            self.power = Gauge(self._wall, self.period, owner, meter, self.part, Quantity.ACTIVE_POWER, 1)
        self.power.observe(milliwatts, method, 0.0, mono, _NOBODY)

    def _late(self, begin: float, end: float, received: int, provided: int, mark: Mark) -> None:
        self._behind[self] = None
        begun = self.meter.energy.start
        if begun is not None and begun < end and self._edge_before(begun) <= begin < begun + MOMENT:
            begin = begun  # as every interval in which a meter began
        new = _Late(begin, end, received, provided, mark)
        late = self._late_ones = self._late_ones or []
        for index, known in enumerate(late):
            both = known.joined(new)
            if both is not None:
                late[index] = both
                return
        late.append(new)

    # --- what is over

    def over(self, edge: float) -> float:
        """A sum waits for its parts."""
        meter = self.meter
        if meter.metered or not meter.parts or edge - self.closed > PATIENCE:
            return super().over(edge)
        for part in meter.parts:
            ledger = part.meter.ledger
            if ledger is not None and ledger.closed < edge:
                edge = ledger.closed
        return max(edge, self.closed)

    def close(self, edge: float, now: Now, ticks: Ticks, out: list[Effect]) -> bool:
        taken = self.take(self.over(edge))
        for end, slot in taken:
            self._tell(end, slot, ticks)
        if taken:
            self.observed.keep()
        over = self.closed >= edge
        return over if self.power is None else self.power.close(edge, now, ticks, out) and over

    def tell_late(self, now: Now, out: list[Effect]) -> None:
        owner = self.observed.record_key
        out.extend(Record(Stretch(owner, self.part, *late, now.wall)) for late in self._late_ones or ())
        self._late_ones = None
        self.observed.keep()

    def _tell(self, end: float, slot: Flowed, ticks: Ticks) -> None:
        meter, energy = self.meter, self.meter.energy
        rank = RANK.get(energy.method or "", RANK[Method.INTEGRATED])
        start = self._begin(end)
        coverage = self.coverage(slot.seconds, end - start)
        if meter.parts and not meter.metered:
            known = sum(part.meter.energy.start is not None for part in meter.parts)
            rank, coverage = slot.rank, self.coverage(slot.shares / max(known, 1), end - start)
        if slot.seconds <= 0 and not slot.received and not slot.provided:
            return
        for dependent, _turned in meter.dependents:
            if dependent.ledger is not None:
                dependent.ledger.shared(end, coverage / 100 * (end - start), rank)
        owner, part, method, mark = self.observed.record_key, self.part, METHODS[rank], slot.mark
        samples = ticks.setdefault(end, {})
        if energy.received is not None:
            sample = Sample(start, end, slot.received, method, coverage, mark)
            samples[Channel(owner, part, Quantity.ENERGY_RECEIVED)] = sample
        if energy.provided is not None:
            sample = Sample(start, end, slot.provided, method, coverage, mark)
            samples[Channel(owner, part, Quantity.ENERGY_PROVIDED)] = sample
        if slot.seconds > 0 and (self.power is None or self.power.until <= start):
            milliwatts = round((slot.received - slot.provided) * 3600 / slot.seconds)
            likely = Mark.MEASURED if mark is Mark.MEASURED else Mark.ESTIMATED  # the rest is taken to be like it
            sample = Sample(start, end, milliwatts, method, coverage, likely)
            samples[Channel(owner, part, Quantity.ACTIVE_POWER)] = sample

    def _begin(self, end: float) -> float:
        return beginning(self.meter.energy.start, end - self.period, end)

    def shared(self, end: float, seconds: float, rank: int) -> None:
        """A part of the sum knows this of an interval."""
        if end > self.closed and not self.meter.metered:
            slot = self._at(end)
            slot.shares += seconds
            slot.rank = max(slot.rank, rank)

    # --- what is not over

    def open(self, start: float, end: float) -> Energy | None:
        """What flowed between two instants and is in no tick or stretch yet."""
        received = provided = 0
        seconds, since, until, mark, found = 0.0, end, start, Mark.MEASURED, False
        for piece, known in self._pending():
            reach = min(piece.end, max(self.until, piece.start)) if piece.end > self.until > piece.start else piece.end
            share = (min(end, reach) - max(start, piece.start)) / (reach - piece.start)
            if share <= 0:
                continue
            found = True
            received += round(piece.received * share)
            provided += round(piece.provided * share)
            seconds += known * share
            since, until = min(since, max(start, piece.start)), max(until, min(end, reach))
            mark = worst(mark, piece.mark)
        if not found:
            return None
        energy = self.meter.energy
        coverage = self.coverage(seconds, until - since) if until > since else 0.0
        return Energy(
            received if energy.received is not None else None,
            provided if energy.provided is not None else None,
            since,
            until,
            min(coverage, 100.0),
            mark,
        )

    def _pending(self) -> Iterator[tuple[_Late, float]]:
        """All that is in no tick or stretch yet, with the seconds that are known of it."""
        for end, slot in self.everything():
            yield _Late(self._begin(end), end, slot.received, slot.provided, slot.mark), slot.seconds
        for late in self._late_ones or ():
            yield late, late.end - late.start

    def dump(self) -> list[Any] | None:
        """JSON-able; to be kept together with the energy of the meter. None = nothing is open."""
        slots = [
            [end, slot.received, slot.provided, slot.seconds, slot.shares, slot.rank, _MARKS.index(slot.mark)]
            for end, slot in self.everything()
        ]
        late = [[*item[:4], _MARKS.index(item.mark)] for item in self._late_ones or ()]
        return [self.period, slots, late] if slots or late else None

    def load(self, saved: list[Any]) -> None:
        """Go on from what ``dump`` told in an earlier life."""
        period, slots, late = saved
        for end, received, provided, seconds, shares, rank, mark in slots:
            if period != self.period:
                self._late(end - period, end, received, provided, _MARKS[mark])
                continue
            slot = Flowed()
            slot.received, slot.provided, slot.seconds, slot.shares = received, provided, seconds, shares
            slot.rank, slot.mark = rank, _MARKS[mark]
            self.resume([(end, slot)])
        for start, end, received, provided, mark in late:
            self._late(start, end, received, provided, _MARKS[mark])


@lru_cache(1000)
def _selector(quantity: Quantity, interface: str) -> Selector:
    """The same one for all that have an interface of that name: there are many."""
    return Selector(quantity, interface=interface)


class _Home(NamedTuple):
    """One observed thing and what is kept of it."""

    observed: Observed
    accounts: tuple[Account, ...]
    gauges: tuple[tuple[Selector, Gauge], ...]


class Recorder:
    """The accounts of all that is observed (taps.Follower). ``lay`` puts taps where they belong."""

    def __init__(self, schema: Schema, timers: Timers, wall: Wall, lay: Callable[[Observed], None]) -> None:
        top = schema.find("/eman-entity:energy-management")
        self._top = top
        self._node = top.child("eman-series:history")
        self._timers = timers
        self._wall = wall
        self._lay = lay
        self._configured: object = None
        self._rounds: Rounds | None = None  # None = nothing is kept
        self._quantities: tuple[Quantity, ...] = ()
        self._homes: dict[str, _Home] = {}
        self._stale: list[str] = []  # things that have accounts of an earlier configuration
        self._all_rounds: dict[int, Rounds] = {}
        self._behind: dict[Account, None] = {}

    def configure(self, running: Inner, now: Now) -> None:
        """Take the configured container history."""
        energy = running.get(self._top)
        config = energy.get(self._node) if isinstance(energy, Inner) else None
        if self._configured is not None and config is self._configured:
            return
        config = config if isinstance(config, Inner) else Inner(self._node)
        self._configured = config
        enabled, interval = self._node.child("enabled"), self._node.child("interval")
        period = int(str(config.get(interval) or interval.default))
        before = self._rounds, self._quantities
        self._rounds = None
        if (config.get(enabled) or enabled.default) == "true":
            self._rounds = self._all_rounds.setdefault(period, Rounds(period, self._timers, self._wall))
        more = config.get(self._node.child("quantity"))
        named = [IDENTITIES.get(name) for name in (more if isinstance(more, tuple) else ())]
        kept = (*COUNTERS, Quantity.ACTIVE_POWER)
        self._quantities = tuple(quantity for quantity in named if quantity is not None and quantity not in kept)
        if before != (self._rounds, self._quantities) and self._homes:
            waiting = bool(self._stale)
            self._stale = list(self._homes)
            if not waiting:
                self._timers.at(now.mono, self._rebind)

    def _rebind(self, now: Now, out: list[Effect]) -> None:
        for key in self._stale[:_REBOUND]:
            if key in self._homes:
                observed = self._homes[key].observed
                self.bind(observed, now, out)
                self._lay(observed)
        del self._stale[:_REBOUND]
        if self._stale:
            self._timers.at(now.mono + _NEXT_TURN, self._rebind)

    # --- what is observed

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        key = observed.record_key
        before = self._homes.get(key)
        meters = {"": observed.meter}
        for name, interface in observed.interfaces.items():
            meters[f"interface:{name}"] = interface.meter
        known = {account.part: account for account in before.accounts} if before is not None else {}
        accounts = []
        rounds = self._rounds
        for part, meter in meters.items() if rounds is not None else ():
            assert rounds is not None
            account = known.get(part)
            if account is not None and account.meter is meter and account in rounds.members:
                del known[part]
            else:
                account = self._account(rounds, observed, meter, part, now)
            accounts.append(account)
        gauges = self._gauges(observed, meters, before, now, out)
        self._homes[key] = _Home(observed, tuple(accounts), gauges)
        for account in known.values():
            self._retire(account, now, out)
        if gauges:
            observed.tapped[WORD] = tuple[tuple[Selector, Tap], ...](gauges)
        else:
            observed.tapped.pop(WORD, None)

    def _account(self, rounds: Rounds, observed: Observed, meter: Meter, part: str, now: Now) -> Account:
        account = Account(self._wall, rounds.period, observed, meter, part, self._behind)
        rounds.add(account, now)
        if meter.energy.unrecorded is not None:
            account.load(meter.energy.unrecorded)
            meter.energy.unrecorded = None
        meter.ledger = meter.energy.book = account
        return account

    def _gauges(
        self, observed: Observed, meters: Mapping[str, Meter], before: _Home | None, now: Now, out: list[Effect]
    ) -> tuple[tuple[Selector, Gauge], ...]:
        """Those of the further quantities; a sum has none."""
        known = dict(before.gauges) if before is not None else {}
        found: dict[Selector, Gauge] = {}
        rounds = self._rounds
        for selector in self._selectors(observed) if rounds is not None else ():
            assert rounds is not None
            gauge = known.get(selector)
            if gauge is not None and gauge in rounds.members:
                del known[selector]
            else:
                part = selector.part
                meter = meters.get(part, observed.meter)
                scale = 10 ** (6 - digits(selector.quantity))
                gauge = Gauge(self._wall, rounds.period, observed, meter, part, selector.quantity, scale)
                rounds.add(gauge, now)
            found[selector] = gauge
        for gauge in known.values():
            self._drop(gauge, now, out)
        return tuple(found.items())

    def _selectors(self, observed: Observed) -> Iterator[Selector]:
        if ":" in observed.record_key:
            return
        for quantity in self._quantities:
            if quantity in BATTERY_QUANTITIES:
                for name in observed.batteries:
                    yield Selector(quantity, battery=name)
            else:
                yield _selector(quantity, "")
                for name in observed.interfaces:
                    yield _selector(quantity, name)

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(record_key, None)
        for account in home.accounts if home is not None else ():
            self._retire(account, now, out)
        for _, gauge in home.gauges if home is not None else ():
            self._drop(gauge, now, out)

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        home = self._homes.pop(before, None)
        out.append(Record(Renamed(before, after)))
        if home is not None:
            self._homes[after] = home

    def _retire(self, account: Account, now: Now, out: list[Effect]) -> None:
        if account.meter.ledger is account:
            account.meter.ledger = account.meter.energy.book = None
        self._drop(account, now, out)

    def _drop(self, member: Member, now: Now, out: list[Effect]) -> None:
        for rounds in self._all_rounds.values():
            rounds.remove(member, now, out)

    def tell(self, now: Now, out: list[Effect]) -> None:
        """What came to be known after it was over."""
        for account in self._behind:
            account.tell_late(now, out)
        self._behind.clear()

    # --- what is not kept yet

    def closed(self, owner: str, part: str) -> float | None:
        """Up to when all that is known in time is in ticks, as wall-clock seconds; None where nothing is kept."""
        account = self._account_of(owner, part)
        return account.closed if account is not None else None

    def open(self, owner: str, part: str, start: float, end: float) -> Energy | None:
        """What flowed between two wall-clock times and is in no tick or stretch yet; None where that is nothing."""
        account = self._account_of(owner, part)
        return account.open(start, end) if account is not None else None

    def _account_of(self, owner: str, part: str) -> Account | None:
        home = self._homes.get(owner)
        return next((account for account in home.accounts if account.part == part), None) if home is not None else None

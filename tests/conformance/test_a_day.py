"""A day of a site, lived twice at once: by a server that nobody disturbs, and by one that is killed in the middle.

The devices of both are the same to the digit, and go on counting while a server is dead. What flowed meanwhile is in
the totals with the first reading afterwards; when it flowed is an estimate. Energy that no device counts is integrated
here: there what nobody saw is missing, as is the time in power states, and both say since when they count anew.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import BACKENDS, NS, ServerProcess, all_read, demo_process, found, texts, until
from tests.conformance.site import leaves, name_of
from tests.conformance.test_notifications import EVER, name, until_complete
from tests.conformance.test_requirements_series import (
    Row,
    collect,
    collected,
    energy,
    instant,
    kept,
    manage,
    some_history,
)
from tests.conformance.test_requirements_thresholds import configure, threshold

pytestmark = pytest.mark.slow

HOUR = 3600.0
DAY = 24 * HOUR
BEGIN = "2026-06-22T00:00:00Z"
FASTEST = 1100.0  # seconds of the site in one
ABSENCE = 3.5 * HOUR  # simulated devices live through longer ones in another way, so no death may be as long
POLL = 300.0  # seconds of the site between two readings of a device
INTERVAL = 900.0  # seconds of the site
DEATHS = ((2, 3), (9, 12), (20.5, 21.5))  # hours between which the server is killed
LEAST = 0.001  # watt-hours
METERS = {"feed-a": ("", "grid"), "meter-1": ("",), "pdu-a": ("", "outlet-1"), "lamp-01": ("",), "phone-01": ("poe",)}
SUMS = ("domains:lab", "domains:lab-rack-1", "groups:servers", "groups:lighting")


class Place(NamedTuple):
    """Whose energy: of an entity, ``domains:…`` or ``groups:…``, or of an interface."""

    owner: str
    interface: str


class Counter(NamedTuple):
    """What is served of energy: watt-hours, and seconds since the epoch."""

    received: float
    provided: float
    start: str
    end: float
    broken: str | None
    method: str


class Death(NamedTuple):
    """Instants in seconds of the site: the end of the last interval it told, the kill, and when all was read again."""

    told: float
    killed: float
    alive: float


@dataclass
class Life:
    """One server, and what it was seen to serve."""

    server: ServerProcess
    deaths: list[Death] = field(default_factory=list)
    served: dict[Place, Counter] = field(default_factory=dict)

    def look(self, session: manager.Manager) -> dict[Place, Counter]:
        """Read all counters: none is below what it was, but where it says that it counts anew."""
        now = counters(session)
        for place, counter in now.items():
            before = self.served.get(place, counter)
            if before.broken == counter.broken:
                assert counter.received >= before.received, (place, before, counter)
                assert counter.provided >= before.provided, (place, before, counter)
        self.served.update(now)
        return now

    def watch(self, session: manager.Manager, end: float) -> None:
        """Look at the counters all the time until it is so late at the site."""
        while (begun := site_time(self.server)) < end:
            hour = min(end, begun + HOUR)
            until(partial(self._looks, session, hour), "an hour of the site passed", between=0.2)

    def _looks(self, session: manager.Manager, end: float) -> bool:
        self.look(session)
        return site_time(self.server) >= end

    def lived(self, start: float, end: float) -> bool:
        """Whether it was alive from ``start`` to ``end`` and had read all devices."""
        return all(end <= death.told or start >= death.alive for death in self.deaths)


@dataclass
class Days:
    """Both lives after the day, in which the site's time runs as everywhere else again."""

    calm: Life
    killed: Life
    sessions: tuple[manager.Manager, manager.Manager]
    begin: float
    end: float

    def history(
        self, owner: str, quantity: str = "energy-received", inside: str = ""
    ) -> tuple[dict[float, Row], dict[float, Row]]:
        """What both keep of the day."""
        return self._both(lambda session: kept(session, quantity, inside, of=owner))

    def series(self, name: str) -> tuple[dict[float, Row], dict[float, Row]]:
        """What both collected of the day."""
        return self._both(lambda session: collected(session, name))

    def _both(self, ask: Callable[[manager.Manager], list[Row]]) -> tuple[dict[float, Row], dict[float, Row]]:
        """Rows by the ends of their intervals."""
        first, second = (
            {instant(row["end-time"]).timestamp(): row for row in ask(session)} for session in self.sessions
        )
        last = self.end - 4 * INTERVAL  # those at the end may not be over for both
        ends = [end for end in first if self.begin + INTERVAL < end <= last]
        return {end: first[end] for end in ends}, {end: second.get(end, {}) for end in ends}


# --- asking ----------------------------------------------------------------------------------------------------------


def counters(session: manager.Manager) -> dict[Place, Counter]:
    """Every energy that is served."""
    top = "/eman:energy-management"
    paths = (
        f"{top}/eman:entities/eman:entity/emm:energy",
        f"{top}/eman:entities/eman:entity/empi:power-interface/emm:energy",
        f"{top}/emgrp:domains/emgrp:domain/emgrp:energy",
        f"{top}/emgrp:groups/emgrp:group/emgrp:energy",
    )
    data = session.get(filter=("xpath", (NS, " | ".join(paths)))).data_ele
    return {_place(each): _counter(leaves(each)) for each in data.iter("{*}energy")}


def _place(counted: etree._Element) -> Place:
    entry = counted.getparent()
    assert entry is not None
    kind, above = etree.QName(entry).localname, entry.getparent()
    assert above is not None
    if kind == "power-interface":
        return Place(name_of(above), name_of(entry))
    return Place(name_of(entry) if kind == "entity" else f"{kind}s:{name_of(entry)}", "")


def _counter(said: Mapping[str, str]) -> Counter:
    received, provided = (float(said.get(name, 0)) for name in ("received", "provided"))
    start, end = said["start-time"], instant(said["end-time"]).timestamp()
    return Counter(received, provided, start, end, said.get("discontinuity-time"), said["method"].rpartition(":")[2])


def watt_hours(row: Row) -> float:
    return float(row.get("value", 0))


def statistics(session: manager.Manager) -> dict[tuple[str, str], Row]:
    """The statistics of the power states that servers were in."""
    states = found(session, "//emps:power-state/emps:set/emps:supported-state/emps:statistics")
    told = {}
    for each in states:
        row, entity = each.getparent(), next(each.iterancestors(f"{{{NS['eman']}}}entity"))
        assert row is not None
        told[name_of(entity), leaves(row)["state"]] = leaves(each)
    return told


# --- the site's time -------------------------------------------------------------------------------------------------


def site_time(server: ServerProcess) -> float:
    clock = json.loads((server.state / "clock.json").read_text())
    return float(clock["site-origin"] + (time.time() - clock["real-origin"]) * clock["speed"])


def go_on(servers: list[ServerProcess], speed: float) -> None:
    """Servers that stopped go on at another speed, all from the same instant."""
    site = max(map(site_time, servers))
    line = json.dumps({"real-origin": time.time(), "site-origin": site, "speed": speed})
    for server in servers:
        (server.state / "clock.json").write_text(line)
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(ServerProcess.start, servers))


def stop(servers: list[ServerProcess]) -> None:
    with ThreadPoolExecutor(len(servers)) as pool:
        assert list(pool.map(ServerProcess.end, servers)) == [0] * len(servers)


# --- the day ---------------------------------------------------------------------------------------------------------


def prepare(server: ServerProcess) -> float:
    """Configure a site and stop it; how many seconds its start took."""
    began = time.monotonic()
    server.start()
    took = time.monotonic() - began
    try:
        with server.connect() as session:
            all_read(session)
            manage(session, f'<history xmlns="{NS["emser"]}"><interval>{INTERVAL:.0f}</interval></history>')
            collect(session, "pdu-a", "energy", "energy-received", length=int(INTERVAL))
            total = "<interval-type>total</interval-type>"
            collect(session, "pdu-a", "total", "energy-received", total, length=int(INTERVAL))
            collect(session, "pdu-a", "power", "active-power", "<sampling>mean</sampling>", length=int(INTERVAL))
            sun = threshold("sun", "emt:active-power", "-1000", "<hysteresis>900</hysteresis>")
            configure(session, "entity pv-1", sun.replace(">above<", ">below<"))
            configure(session, "entity srv-05", threshold("used", "emt:energy-received", "1000"))
            names = texts(session, f"{BACKENDS}/embe:name")
            poll = f"<poll-interval>{POLL:.0f}</poll-interval>"
            polls = "".join(f"<backend><name>{each}</name>{poll}</backend>" for each in names)
            manage(session, f'<backends xmlns="{NS["embe"]}">{polls}</backends>')
        stop([server])
    finally:
        server.end(signal.SIGKILL)
    return took


def die(life: Life, session: manager.Manager, moment: float) -> None:
    """Kill the server at a moment of the site, start it at once, and see that what it had told of its history stays."""
    before = some_history(session, 1, of="domains:lab")
    life.look(session)
    until(lambda: site_time(life.server) >= moment, "the moment has come")
    life.server.end(signal.SIGKILL)
    told, killed = instant(before[-1]["end-time"]).timestamp(), site_time(life.server)
    life.server.start()
    with life.server.connect() as again:
        life.look(again)
        after = {row["end-time"]: row for row in kept(again, "energy-received", of="domains:lab")}
        for row in before:
            assert watt_hours(after[row["end-time"]]) >= watt_hours(row) - LEAST
        all_read(again)
        life.look(again)
    life.deaths.append(Death(told, killed, site_time(life.server) + POLL))


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("day")
    seed = random.randrange(1 << 32)
    print(f"killed at the moments of seed {seed}")
    moments = random.Random(seed)
    first = demo_process(folder / "first", "--start-time", BEGIN)
    speed = min(ABSENCE / (4 * prepare(first)), FASTEST)
    servers = []
    for each in ("calm", "killed"):
        shutil.copytree(first.state, folder / each)
        servers.append(demo_process(folder / each))
    calm, killed = (Life(server) for server in servers)
    try:
        go_on(servers, speed)
        begin = site_time(servers[0])
        for hours in DEATHS:
            session = killed.server.connect()  # which ends with the server
            killed.watch(session, instant(BEGIN).timestamp() + moments.uniform(*hours) * HOUR)
            die(killed, session, site_time(killed.server) + speed * moments.uniform(0.0, 1.0))
        with killed.server.connect() as session:
            killed.watch(session, begin + DAY)
        end = site_time(servers[0])
        stop(servers)
        go_on(servers, 1.0)
        with servers[0].connect() as one, servers[1].connect() as other:
            for session in (one, other):
                all_read(session)
            yield Days(calm, killed, (one, other), begin, end)
        stop(servers)
    finally:
        for server in servers:
            server.end(signal.SIGKILL)


# --- what both tell of it --------------------------------------------------------------------------------------------


def near(one: Counter, other: Counter) -> float:
    """Watt-hours by which the totals of two lives may differ that were read at different instants."""
    watts = 4 * (one.received + one.provided) / (DAY / HOUR) + 1  # it never takes as much
    return watts * (abs(one.end - other.end) + 1) / HOUR


def test_the_totals(days: Days) -> None:
    """After three deaths every counter of every entity, interface, domain and group is where it would be without them,
    but for the seconds between the two readings, and what a device counts is not discontinuous."""
    calm, killed = map(counters, days.sessions)
    assert calm.keys() == killed.keys()
    assert {place.owner for place in calm} >= {*SUMS, "srv-01", "lamp-08", "phone-06"}
    for place, counter in calm.items():
        other = killed[place]
        assert (counter.start, counter.broken) == (other.start, None)
        assert abs(counter.received - other.received) <= near(counter, other), place
        assert abs(counter.provided - other.provided) <= near(counter, other), place
        assert other.broken is None or ":" in place.owner, place  # sums say that they may lack something, and do not


def lost(days: Days, rows: Mapping[float, Row]) -> float:
    """Watt-hours of the intervals, up to the one in which it was killed, that may not have been on the disk. The one
    that it told last was of a domain: a meter that is read late may have been waited for."""
    return sum(
        watt_hours(row)
        for end, row in rows.items()
        if any(death.told - INTERVAL < end <= death.killed + INTERVAL for death in days.killed.deaths)
    )


@pytest.mark.parametrize("owner", [*SUMS, "feed-a", "pdu-a", "srv-05", "phone-01"])
def test_the_history(days: Days, owner: str) -> None:
    """Interval by interval the same flowed, but that its place in the time of a death is an estimate; in all nothing
    is missing but what was over and not on the disk yet."""
    calm, killed = days.history(owner)
    assert len(calm) > 85
    blur = 3 * max(map(watt_hours, calm.values()))  # at an instant between two readings
    behind = 0.0
    for end, row in calm.items():
        behind += watt_hours(row) - watt_hours(killed[end])
        if any(end - INTERVAL <= death.killed < end for death in days.killed.deaths):
            assert killed[end]["mark"] != "measured"
        if days.killed.lived(end - INTERVAL, end + INTERVAL):
            assert -blur <= behind <= lost(days, calm) + blur
    least = watt_hours(calm[max(calm)])
    assert -least <= behind <= lost(days, calm) + least


@pytest.mark.parametrize(
    ("owner", "interface"),
    [("domains:lab", ""), ("groups:lighting", ""), ("feed-a", "grid"), ("pdu-a", "outlet-3")],
)
def test_energy_between(days: Days, owner: str, interface: str) -> None:
    """Between the same stamps the same is told, and adjacent stretches add up to the whole, over deaths too."""
    more = f"<interface>{interface}</interface>" if interface else ""
    calm, _ = days.history("domains:lab")
    stamps = [row["end-time"] for end, row in calm.items() if days.killed.lived(end - INTERVAL, end + INTERVAL)][::8]
    assert len(stamps) > 5
    told = [
        [energy(session, *pair, of=owner, more=more) for session in days.sessions]
        for pair in (*pairwise(stamps), (stamps[0], stamps[-1]))
    ]
    directions = told[0][0].keys() & {"received", "provided"}
    assert directions
    for direction in directions:
        missing = lost(days, days.history(owner, f"energy-{direction}", more)[0])
        amounts = [[float(each[direction]) for each in both] for both in told]
        blur = 0.02 * amounts[-1][0] + LEAST
        for one, other in amounts:
            assert -blur <= one - other <= missing + blur
        for *parts, whole in zip(*amounts, strict=True):
            assert abs(sum(parts) - whole) <= LEAST * len(parts)


def test_energy_since_the_beginning_is_the_total(days: Days) -> None:
    """What is kept and what is not yet over add up to the counters: to the digit where nobody was killed, and where
    somebody was but for what was not on the disk yet."""
    places = [Place(owner, interface) for owner, parts in METERS.items() for interface in parts]
    for life, session in zip((days.calm, days.killed), days.sessions, strict=True):
        totals = counters(session)
        for place in [*places, *(Place(owner, "") for owner in SUMS)]:
            more = f"<interface>{place.interface}</interface>" if place.interface else ""
            missing = {"received": LEAST, "provided": LEAST}
            for direction, value in zip(missing, totals[place][:2], strict=True):
                if life.deaths and value:
                    missing[direction] += lost(days, days.history(place.owner, f"energy-{direction}", more)[0])
            until(lambda: add_up(life, session, place, more, missing), f"{place} adds up")  # noqa: B023 - at once


def add_up(life: Life, session: manager.Manager, place: Place, more: str, missing: Mapping[str, float]) -> bool:
    """Whether the energy since the beginning is the counter, or less by what may be missing."""
    before = life.look(session)[place]
    told = energy(session, before.start, of=place.owner, more=more)
    after = life.look(session)[place]
    return all(
        getattr(before, each) - missing[each] <= float(told[each]) <= getattr(after, each) + LEAST
        for each in told.keys() & missing.keys()
    )


def test_series(days: Days) -> None:
    """Rows of configured series are the same but at the time of a death, and a running total misses nothing."""
    calm, killed = days.series("power")
    both = [end for end in calm if days.killed.lived(end - 2 * INTERVAL, end + INTERVAL)]
    assert len(calm) > 85
    assert both
    for end in both:
        assert abs(watt_hours(calm[end]) - watt_hours(killed[end])) <= 0.1 * watt_hours(calm[end])
    calm, killed = days.series("total")
    last = max(calm)
    assert abs(watt_hours(calm[last]) - watt_hours(killed[last])) <= 0.01 * watt_hours(calm[last])
    calm, killed = days.series("energy")
    behind = sum(map(watt_hours, calm.values())) - sum(map(watt_hours, killed.values()))
    assert abs(behind) <= lost(days, calm) + watt_hours(calm[last])


def test_thresholds(days: Days) -> None:
    """Each crossing and each end of one is told once, whoever died meanwhile."""
    told = []
    for session in days.sessions:
        session.create_subscription(start_time=EVER)
        crossings = [each[1] for each in until_complete(session) if name(each) == "threshold-crossed"]
        events = [(leaves(each)["threshold"], leaves(each)["event"]) for each in crossings]
        told.append(sorted(events, key=itemgetter(0)))  # two devices may cross theirs while nobody looks
    assert told[0] == told[1] == [("sun", "crossed"), ("sun", "cleared"), ("used", "crossed")]


def test_power_states(days: Days) -> None:
    """Statistics of states go on: the same entries and energies; time that nobody saw is missing, and they say so."""
    calm, killed = map(statistics, days.sessions)
    assert calm.keys() == killed.keys()
    unseen = sum(death.alive - death.told for death in days.killed.deaths)
    for place, row in calm.items():
        other = killed[place]
        assert row["entered"] == other["entered"]
        assert instant(other["discontinuity-time"]).timestamp() > days.killed.deaths[-1].killed
        used, also = (float(each.get("energy-received", 0)) for each in (row, other))
        assert abs(used - also) <= 0.01 * used + LEAST
        if float(row["total-time"]):
            assert 0 < float(row["total-time"]) - float(other["total-time"]) <= unseen

"""What goes wrong on the site, in a drawn order, and what has to hold all the while.

Each fault lasts until the server has noticed it and the others were read on; what is asserted depends on that order of
events and not on time. The same runs for a minute in a test and for an hour with ``python -m tools.soak``.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle, islice
from statistics import median, quantiles

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import NS, act, entity, one, set_state, switch, until
from tests.conformance.installed import link
from tests.conformance.site import leaves
from tests.conformance.test_a_day import Counter as Energy
from tests.conformance.test_a_day import Place, counters
from tests.equipment.devices import Device, Pdu
from tests.equipment.site import Equipment, reachabilities, times, wrong

AT_ONCE = 3  # devices in trouble together
PASSES = 3  # of each living device while others are in trouble
OFTEN = 0.1  # seconds between two questions of who waits
QUIET = 2.0  # seconds without a notification after which none is under way


class Fault(StrEnum):
    """What can happen to a device."""

    KILLED = "killed"  # and started when the server has noticed
    HUNG = "hung"  # and going on when the server has noticed
    BLINKED = "blinked"  # killed and started at once
    REPLACED = "replaced"  # by another of its kind, at the same place


@dataclass(frozen=True)
class Wish:
    """What a client wants of a device: the supply at an interface, or without one its power state."""

    entity: str
    interface: str
    state: str

    def give(self, session: manager.Manager) -> None:
        if self.interface:
            switch(session, self.entity, self.interface, self.state)
        else:
            set_state(session, self.entity, self.state)

    def release(self, session: manager.Manager) -> None:
        if self.interface:
            act(session, self.entity, "<switch-supply><release/></switch-supply>", self.interface)
        else:
            act(session, self.entity, f'<set-power-state xmlns="{NS["emps"]}"><release/></set-power-state>')

    def status(self, session: manager.Manager) -> str | None:
        """What has become of it."""
        below = "/emps:power-state/emps:request/emps:status"
        if self.interface:
            below = f"/empi:power-interface[empi:name='{self.interface}']/empi:supply/empi:request/empi:status"
        return one(session, entity(self.entity, below))


@dataclass
class Trial:
    """The course of it. ``errors`` are sentences on what did not hold; the trial goes on."""

    site: Equipment
    seed: int
    say: Callable[[str], object] = print
    faults: Counter[Fault] = field(default_factory=Counter)
    outages: Counter[str] = field(default_factory=Counter)  # of a backend, that the server told as such
    orders: Counter[str] = field(default_factory=Counter)  # by how they ended
    reached: dict[str, list[float]] = field(default_factory=dict)  # by device, seconds from an order to its reading
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds that small questions took
    heard: list[tuple[str, str]] = field(default_factory=list)  # backend, and what was told of it
    standing: list[Wish] = field(default_factory=list)
    energies: dict[Place, Energy] = field(default_factory=dict)
    looks: int = 0
    slowest: tuple[float, str] = (0.0, "nobody")  # to be right again, in seconds

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.files = self.site.open_files
        self.memory = self.site.resident

    # --- the course

    def lap(self, each: int = len(Fault)) -> None:
        """So many faults to each device, in a drawn order, some at once; then everything has to be right again."""
        with self.sessions() as session:
            faults = cycle(self.chance.sample(list(Fault), len(Fault)))
            todo = [(device, fault) for device in self.site.devices.values() for fault in islice(faults, each)]
            self.chance.shuffle(todo)
            while todo:
                group: list[tuple[Device, Fault]] = []
                for device, fault in list(todo):
                    if len(group) < AT_ONCE and device not in [other for other, _ in group]:
                        group.append((device, fault))
                        todo.remove((device, fault))
                self.trouble(session, group)
            for device in self.site.devices.values():
                self.right(session, device)
        self.judge()

    def trouble(self, session: manager.Manager, group: list[tuple[Device, Fault]]) -> None:
        """Some devices have trouble at once, are noticed, and come back; orders are given meanwhile."""
        self.faults.update(fault for _, fault in group)
        self.say(f"{time.strftime('%H:%M:%S')} " + ", ".join(f"{device.name} {fault}" for device, fault in group))
        before = {device.name: device.front.orders for device, _ in group}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda pair: _begin(*pair), group))
        away = [device for device, fault in group if fault in {Fault.KILLED, Fault.HUNG}]
        hung = [device for device, fault in group if fault is Fault.HUNG]
        given = [self.order(session, device) for device in hung[:1]]
        for device in away:
            self.until(lambda device=device: _away(session, device), f"{device.name} is noticed to be away")
            self.outages[device.name] += 1
        served = {device.name: times(session, device) for device in away}
        living = [device for device in self.site.devices.values() if device not in [each for each, _ in group]]
        self.read_on(session, living)
        for device in living:
            self.order(session, device)
        for device in away:
            if "reachable" in reachabilities(session, device):
                self.errors.append(f"{device.name} is away, and something of it is told as reachable")
            newer = times(session, device).items() - served[device.name].items()
            self.errors += [f"{device.name} is away, and {where} is told of {at}" for where, at in sorted(newer)]
        self.look(session)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda pair: _end(*pair), group))
        for device, _ in group:
            self.right(session, device)
            sent, most = device.front.orders - before[device.name], sum(name == device.name for name in given)
            if sent > most:
                self.errors.append(f"{device.name} was sent {sent} orders of {most}")
        self.release(session)
        self.look(session)

    # --- orders

    def order(self, session: manager.Manager, device: Device) -> str:
        """Give the device an order it takes, if any, and see that it is sent once at most; the name of the device.

        What was wished and reached is released: as long as it stands, a device that comes back otherwise is told again.
        """
        takes = ORDERS.get(device.name)
        if takes is None:
            return ""
        places, states = takes
        wish = Wish(device.name, self.chance.choice(places), self.chance.choice(states))
        before, begun = device.front.orders, time.perf_counter()
        try:
            wish.give(session)
        except RPCError as error:
            self.orders["unknown" if "nobody knows" in (error.message or "") else "refused"] += 1
            self.standing.append(wish)
            if isinstance(device, Pdu):  # which obeys only when it is helped, and would be told again before
                self.release(session)
            least = 0
        else:
            self.orders["accepted"] += 1
            least = 1
            if isinstance(device, Pdu):
                device.obey()
            self.until(lambda: wish.status(session) == "reached", lambda: f"{wish} is {wish.status(session)}")
            self.reached.setdefault(device.name, []).append(time.perf_counter() - begun)
            wish.release(session)
        if not least <= device.front.orders - before <= 1:
            self.errors.append(f"{wish} was sent {device.front.orders - before} times")
        return device.name

    def release(self, session: manager.Manager) -> None:
        """Let go of wishes that may not have been reached."""
        while self.standing:
            with suppress(RPCError):  # it was refused, and does not stand
                self.standing.pop().release(session)

    # --- what has to hold

    def right(self, session: manager.Manager, device: Device) -> None:
        """Wait until all that is served of a device is as the device has it."""
        if isinstance(device, Pdu):
            device.obey()
        begun = time.monotonic()
        self.until(lambda: not wrong(session, device), lambda: "; ".join(wrong(session, device)))
        self.slowest = max(self.slowest, (time.monotonic() - begun, device.name))

    def read_on(self, session: manager.Manager, living: list[Device]) -> None:
        """Each of these devices is read pass after pass."""
        stand = {device.name: int(link(session, device.name)["polls"]) for device in living}
        for name, polls in stand.items():
            self.until(
                lambda name=name, polls=polls: int(link(session, name)["polls"]) >= polls + PASSES,
                f"{name} is read on while others are away",
            )

    def look(self, session: manager.Manager) -> None:
        """Energy is never less than it was, unless it says that it is counted anew, nor more than can have flowed."""
        self.looks += 1
        for place, now in counters(session).items():
            before = self.energies.get(place, now)
            if before.broken == now.broken:
                most = MOST_WATTS * (now.end - before.end + 1) / 3600
                for one_way in ("received", "provided"):
                    grown = getattr(now, one_way) - getattr(before, one_way)
                    if not 0 <= grown <= most:
                        self.errors.append(f"energy {one_way} of {place} changed by {grown:.3f} Wh")
            self.energies[place] = now

    def judge(self) -> None:
        """What was told of the devices, and what the server holds now."""
        for name in self.site.devices:
            told = [what for backend, what in self.heard if backend == name]
            turns = ["backend-unreachable", "backend-recovered"] * (len(told) // 2 + 1)
            if told != turns[: len(told)]:
                self.errors.append(f"of {name} was told {told}")
            if len(told) % 2 or len(told) // 2 < self.outages[name]:
                self.errors.append(f"{name} was away {self.outages[name]} times, and told {told}")
        more = self.site.open_files - self.files
        if more > 2 * len(self.site.devices):
            self.errors.append(f"{more} more files are open than in the beginning")
        if "Traceback" in self.site.server.log.read_text():
            self.errors.append(f"a traceback is in {self.site.server.log}")

    def until(self, true: Callable[[], object], what: str | Callable[[], str]) -> None:
        """Ask again until it is so."""
        try:
            until(true, "it", between=OFTEN)
        except pytest.fail.Exception:
            raise AssertionError(f"seed {self.seed}, never: {what if isinstance(what, str) else what()}") from None

    # --- who listens

    @contextmanager
    def sessions(self) -> Iterator[manager.Manager]:
        """A session to ask in; meanwhile others hear what is told of backends, and time small questions."""
        over = threading.Event()
        with ExitStack() as stack:
            session, pulse, ear = (stack.enter_context(self.site.server.connect()) for _ in range(3))
            ear.create_subscription(filter=("xpath", (NS, " | ".join(f"/embe:{name}" for name in TOLD))))
            pool = stack.enter_context(ThreadPoolExecutor(2))
            running = [pool.submit(self._listen, ear, over), pool.submit(self._pulse, pulse, over)]
            try:
                yield session
            finally:
                over.set()
                for each in running:
                    each.result()

    def _listen(self, ear: manager.Manager, over: threading.Event) -> None:
        while (told := ear.take_notification(timeout=QUIET)) is not None or not over.is_set():
            if told is not None:
                content = etree.fromstring(told.notification_xml.encode())[1]
                self.heard.append((leaves(content)["backend"], etree.QName(content).localname))

    def _pulse(self, pulse: manager.Manager, over: threading.Event) -> None:
        while not over.wait(OFTEN):
            begun = time.perf_counter()
            one(
                pulse,
                f"/eman:energy-management/embe:backends/embe:backend[embe:name='{Pdu.name}']/embe:link/embe:polls",
            )
            self.waits.append(time.perf_counter() - begun)

    def summary(self) -> str:
        """The trial in a few lines."""
        centiles = quantiles(self.waits, n=100) if len(self.waits) > 1 else [0.0] * 99
        middle, most = 1000 * centiles[49], 1000 * centiles[98]
        lines = (
            f"seed {self.seed}: " + ", ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items())),
            f"told {len(self.heard)} times of backends, of {sum(self.outages.values())} outages at least",
            "orders: " + ", ".join(f"{count} {how}" for how, count in sorted(self.orders.items())),
            "from an order to its reading, in the middle: "
            + ", ".join(f"{name} {1000 * median(took):.0f} ms" for name, took in sorted(self.reached.items())),
            f"{self.slowest[1]} took longest to be right again: {self.slowest[0]:.1f} s",
            f"{len(self.energies)} energies, looked at {self.looks} times",
            f"{len(self.waits)} small questions of {middle:.0f} ms, 99 of 100 within {most:.0f} ms",
            f"the slowest took {1000 * max(self.waits, default=0.0):.0f} ms",
            f"memory: {self.memory / 1e6:.0f} MB in the beginning, {self.site.resident / 1e6:.0f} MB now",
            f"open files: {self.files} in the beginning, {self.site.open_files} now",
            *(f"WRONG: {error}" for error in self.errors),
        )
        return "\n".join(lines)


TOLD = ("backend-unreachable", "backend-recovered")
MOST_WATTS = 20_000.0  # no device here takes or gives as much


def _begin(device: Device, fault: Fault) -> None:
    match fault:
        case Fault.KILLED:
            device.kill()
        case Fault.HUNG:
            device.hang()
        case Fault.BLINKED:
            device.kill()
            device.start()
        case Fault.REPLACED:
            device.replace()


def _end(device: Device, fault: Fault) -> None:
    match fault:
        case Fault.KILLED:
            device.start()
        case Fault.HUNG:
            device.go_on()
        case Fault.BLINKED | Fault.REPLACED:
            pass  # it is there already


def _away(session: manager.Manager, device: Device) -> bool:
    return reachabilities(session, device) == {"unreachable"}


#: of each device that takes orders: the interfaces that can be switched ("" for the device itself), and to what
ORDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pdu": (tuple(f"outlet-{number}" for number in range(3, 25)), ("on", "off")),
    "nut-ups": (("outlet-1",), ("on", "off")),
    "inverter": (("ac",), ("on", "off")),
    "server": (("",), ("redfish-on", "redfish-force-off")),
}

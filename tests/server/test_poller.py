"""The poller: a dead or slow backend never disturbs another, commands are sent once, trouble is told once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.backend import (
    Command,
    CommandKind,
    Context,
    EntityInfo,
    Inventory,
    LinkState,
    Misconfigured,
    Outcome,
    OutcomeUnknown,
    Pass,
    Plugin,
    Point,
    Quantity,
    Reading,
    Refused,
    Settings,
    Supply,
    Unavailable,
)
from eman_netconf.server import poller
from eman_netconf.server.clock import Clock
from eman_netconf.server.poller import LINK, BackendConfig, Happening, Poller
from tests.peer import PATIENCE
from tests.receiver import Seen


class Device:
    """A backend whose every answer a test decides."""

    def __init__(self, settings: Settings, context: Context) -> None:
        if settings.get("bad"):
            raise Misconfigured("no address")
        self.name = context.name
        self.reads = 0
        self.running = 0
        self.sent: list[str] = []
        self.closed = 0
        self.opened = 0
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self.on_read: Callable[[], Awaitable[None]] | None = None
        self.on_command: Callable[[], Awaitable[None]] | None = None

    async def open(self) -> Inventory:
        self.opened += 1
        if self.on_open:
            await self.on_open()
        return Inventory((EntityInfo(),))

    async def read(self) -> Pass:
        self.reads += 1
        self.running += 1
        assert self.running == 1, "two passes at once"
        try:
            if self.on_read:
                await self.on_read()
        finally:
            self.running -= 1
        return Pass((Reading(Point(), Quantity.ACTIVE_POWER, Decimal(5), 0.0),))

    async def switch_supply(self, point: Point, supply: Supply) -> None:
        self.sent.append(f"{point.interface} {supply}")
        if self.on_command:
            await self.on_command()

    async def close(self) -> None:
        self.closed += 1


class Bench:
    """A poller with devices that tests can reach."""

    def __init__(self, directory: Path) -> None:
        self.devices: dict[str, Device] = {}
        self.seen = Seen()
        self.poller = Poller({"test": Plugin("test", "none", self._build)}, self.seen, Clock(), directory)
        self.prepare: Callable[[Device], None] = lambda device: None

    def _build(self, settings: Settings, context: Context) -> Device:
        device = Device(settings, context)
        self.devices[context.name] = device
        self.prepare(device)
        return device

    def configure(self, *names: str, **changes: Any) -> None:
        self.poller.configure({name: BackendConfig(name, "test", {}, **changes) for name in names})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A poller that is closed afterwards, leaving no task."""
    made = Bench(tmp_path)
    yield made
    await made.poller.close()
    for device in made.devices.values():
        assert device.closed >= (1 if device.opened else 0)
    await asyncio.gather(*made.seen.tasks)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def switch(
    number: int, backend: str = "a", kind: CommandKind = CommandKind.SWITCH_SUPPLY, deadline: float = PATIENCE
) -> Command:
    return Command(number, backend, kind, Point("", "outlet-1"), "off", deadline=deadline)


async def fail() -> None:
    raise Unavailable("no route")


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_backend_is_opened_and_read(bench: Bench) -> None:
    """Inventory first, then readings, then link up."""
    bench.configure("a")
    await bench.seen.until(lambda: bench.seen.passes)
    assert bench.seen.inventories == ["a"]
    assert [state for _, state, _ in bench.seen.links][:2] == [LinkState.OPENING, LinkState.UP]


async def test_a_hanging_device_stops_nobody_else(bench: Bench) -> None:
    """While one device never answers, another is read again and again."""

    def hang(device: Device) -> None:
        if device.name == "dead":
            device.on_read = never

    bench.prepare = hang
    bench.configure("dead", "alive", poll_interval=0.02, timeout=0.3)
    await bench.seen.until(lambda: sum(name == "alive" for name, _ in bench.seen.passes) >= 5)
    await bench.seen.until(lambda: ("dead", LinkState.STALE, "read: no answer within the deadline") in bench.seen.links)
    assert not any(name == "dead" for name, _ in bench.seen.passes)


async def test_a_device_that_stays_away_is_opened_anew(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Stale, then backing off, then opened again; told once when it went and once when it came back."""
    caplog.set_level(logging.INFO)
    bench.configure("a", poll_interval=0.01)
    await bench.seen.until(lambda: bench.seen.passes)
    device = bench.devices["a"]
    device.on_read = fail
    await bench.seen.until(lambda: any(state is LinkState.BACKING_OFF for _, state, _ in bench.seen.links))
    device.on_read = None
    before = len(bench.seen.passes)
    bench.poller.read_soon("a")
    await bench.seen.until(lambda: len(bench.seen.passes) > before)
    assert device.opened == 2
    told = [record.message for record in caplog.records if "backend a" in record.message]
    assert len(told) == 2
    assert "no route" in told[0]
    assert "again" in told[1]


async def test_a_device_that_opens_and_is_never_read_is_told_of_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says who he is and nothing else is gone until he is read: one line in the log, and pauses that grow."""
    monkeypatch.setattr(poller, "FIRST_BACK_OFF", 0.01)
    pauses: list[float] = []
    pause = poller.Link._pause

    async def noted(link: poller.Link, seconds: float) -> None:
        pauses.append(seconds)
        await pause(link, seconds)

    monkeypatch.setattr(poller.Link, "_pause", noted)
    bench.prepare = lambda device: setattr(device, "on_read", fail)
    bench.configure("a", poll_interval=0.01)
    await bench.seen.until(lambda: len(pauses) == 3)
    assert pauses == [0.01, 0.02, 0.04]
    assert len([record for record in caplog.records if "backend a" in record.message]) == 1
    bench.devices["a"].on_read = None
    await bench.seen.until(lambda: bench.seen.passes)


async def test_a_command_is_sent_once_and_read_back(bench: Bench) -> None:
    """An accepted command is told, and the device is read at once."""
    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    bench.poller.send(switch(1))
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert bench.seen.outcomes == [(1, Outcome.ACCEPTED, None)]
    assert bench.devices["a"].sent == ["outlet-1 off"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Refused("locked"), Outcome.REFUSED),
        (Unavailable("not sent"), Outcome.UNAVAILABLE),
        (OutcomeUnknown("no answer"), Outcome.UNKNOWN),
        (ValueError("bug"), Outcome.UNKNOWN),
        (None, Outcome.UNKNOWN),
    ],
)
async def test_how_a_command_ends(bench: Bench, answer: Exception | None, outcome: Outcome) -> None:
    """What the device said is told as it is; silence and surprises are unknown; nothing is sent twice."""

    async def act() -> None:
        if answer is None:
            await never()
        else:
            raise answer

    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    bench.devices["a"].on_command = act
    bench.poller.send(switch(7, deadline=0.2 if answer is None else PATIENCE))
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert [(number, result) for number, result, _ in bench.seen.outcomes] == [(7, outcome)]
    assert len(bench.devices["a"].sent) == 1


async def test_what_a_backend_cannot_do_is_refused(bench: Bench) -> None:
    """A command without its capability is a refusal with a sentence."""
    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    bench.poller.send(switch(1, kind=CommandKind.SET_POWER_STATE))
    await bench.seen.until(lambda: bench.seen.outcomes)
    assert bench.seen.outcomes[0][1:] == (Outcome.REFUSED, "this backend cannot set-power-state")


async def test_commands_to_nobody_are_answered(bench: Bench) -> None:
    """A backend that is not configured, or away, or misconfigured, makes its commands unavailable at once."""

    def away(device: Device) -> None:
        device.on_open = fail

    bench.prepare = away
    bench.configure("away")
    bench.poller.send(switch(1, "nobody"))
    await bench.seen.until(lambda: any(state is LinkState.BACKING_OFF for _, state, _ in bench.seen.links))
    bench.poller.send(switch(2, "away"))
    await bench.seen.until(lambda: len(bench.seen.outcomes) == 2)
    assert {outcome for _, outcome, _ in bench.seen.outcomes} == {Outcome.UNAVAILABLE}
    assert bench.devices["away"].sent == []


async def test_a_misconfigured_backend_says_so(bench: Bench) -> None:
    """Settings that cannot work leave the link closed with the reason, and nothing else fails."""
    bench.poller.configure({"a": BackendConfig("a", "test", {"bad": True}), "b": BackendConfig("b", "other", {})})
    await bench.seen.until(lambda: len(bench.seen.links) == 2)
    assert set(bench.seen.links) == {
        ("a", LinkState.CLOSED, "misconfigured: no address"),
        ("b", LinkState.CLOSED, "no backend 'other' is installed"),
    }


async def test_configuration_is_followed(bench: Bench) -> None:
    """A removed backend is closed and forgotten, a changed one started anew, an unchanged one left alone."""
    bench.configure("a", "b", poll_interval=0.01)
    await bench.seen.until(lambda: {name for name, _ in bench.seen.passes} == {"a", "b"})
    first = dict(bench.devices)
    config = {"a": BackendConfig("a", "test", {}, 0.01), "b": BackendConfig("b", "test", {"x": 1}, 0.01)}
    bench.poller.configure(config)
    await bench.seen.until(lambda: bench.devices["b"] is not first["b"] and bench.devices["b"].reads)
    assert bench.devices["a"] is first["a"]
    assert bench.seen.gone == []
    bench.poller.configure({})
    await bench.seen.until(lambda: sorted(bench.seen.gone) == ["a", "b"])


async def test_a_changed_backend_waits_until_the_old_one_let_go(bench: Bench) -> None:
    """Two connections to one device never overlap: the new one is built when the old one is closed."""
    started, release = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        started.set()
        await release.wait()

    bench.configure("a", poll_interval=0.01)
    await bench.seen.until(lambda: bench.seen.passes)
    old = bench.devices["a"]
    old.on_command = slowly
    bench.poller.send(switch(1))
    await started.wait()
    bench.configure("a", poll_interval=0.02)
    bench.configure("a", poll_interval=0.03)
    seen = len(bench.seen.links)
    bench.poller.send(switch(2))
    await asyncio.sleep(0)
    assert bench.devices["a"] is old
    release.set()
    await bench.seen.until(lambda: bench.devices["a"].sent == ["outlet-1 off"] and bench.devices["a"] is not old)
    assert old.closed
    states = [state for _, state, _ in bench.seen.links[seen:]]
    assert LinkState.CLOSED not in states[states.index(LinkState.OPENING) :]
    assert bench.seen.gone == []


async def test_commands_that_follow_from_a_refusal_do_not_hold_the_loop(bench: Bench) -> None:
    """Whoever answers "unavailable" with a command again is answered again, but everything else goes on."""
    bench.prepare = lambda device: setattr(device, "on_open", fail)
    bench.configure("a")
    await bench.seen.until(lambda: ("a", LinkState.BACKING_OFF, "open: no route") in bench.seen.links)
    answered = bench.seen.outcome
    obstinate = True

    def again(number: int, outcome: Outcome, reason: str | None) -> None:
        answered(number, outcome, reason)
        if obstinate:
            bench.poller.send(switch(number + 1))

    bench.seen.outcome = again  # type: ignore[assignment]  # this receiver never gives up
    bench.poller.send(switch(1))
    await bench.seen.until(lambda: len(bench.seen.outcomes) > 3)
    obstinate = False


async def test_a_wish_to_read_soon_ends_one_back_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it comes before the pause or in it, the device is opened at once, and the pause after that is whole."""
    monkeypatch.setattr(poller, "FIRST_BACK_OFF", 3600.0)
    early = asyncio.Event()
    failed = ("a", LinkState.BACKING_OFF, "open: no route")

    async def wish_and_fail() -> None:
        if not early.is_set():
            early.set()
            bench.poller.read_soon("a")
        await fail()

    async def pausing(number: int) -> int:
        """How often the device was opened when the link is in the pause, as a command shows that it refuses."""
        bench.poller.send(switch(number))
        await bench.seen.until(lambda: number in {told for told, _, _ in bench.seen.outcomes})
        return bench.devices["a"].opened

    bench.prepare = lambda device: setattr(device, "on_open", wish_and_fail)
    bench.configure("a")
    await bench.seen.until(lambda: bench.seen.links.count(failed) == 2)
    assert await pausing(1) == 2
    bench.poller.read_soon("a")
    await bench.seen.until(lambda: bench.seen.links.count(failed) == 3)
    assert await pausing(2) == 3


async def test_rediscovery_takes_the_inventory_anew(bench: Bench) -> None:
    """Asked to rediscover, the backend is closed, opened and inventoried again at once."""
    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    assert bench.poller.rediscover("a")
    await bench.seen.until(lambda: len(bench.seen.inventories) == 2)
    assert not bench.poller.rediscover("none")


async def test_an_outdated_inventory_is_taken_anew_instead_of_the_next_pass(bench: Bench) -> None:
    """After a pass that says that other things are there, the backend is opened when it would have been read again."""

    class Growing(Device):
        async def read(self) -> Pass:
            return replace(await super().read(), outdated=self.opened == 1)

    made: list[Growing] = []

    def build(settings: Settings, context: Context) -> Growing:
        made.append(Growing(settings, context))
        return made[-1]

    poller = Poller({"test": Plugin("test", "none", build)}, bench.seen, Clock(), Path())
    try:
        poller.configure({"a": BackendConfig("a", "test", {}, poll_interval=0.01)})
        await bench.seen.until(lambda: len(bench.seen.passes) >= 3)
    finally:
        await poller.close()
    assert bench.seen.inventories == ["a", "a"]
    assert [state for _, state, _ in bench.seen.links][:3] == [LinkState.OPENING, LinkState.UP, LinkState.UP]
    assert made[0].reads >= 3


class Renumbered(Device):
    """A device that has other outlets after its first pass, and says so."""

    async def open(self) -> Inventory:
        await super().open()
        return Inventory((EntityInfo(model=f"model {self.opened}"),))

    async def read(self) -> Pass:
        return replace(await super().read(), outdated=self.opened == 1)


@pytest.fixture
async def renumbered(bench: Bench) -> Renumbered:
    """Such a device, read for the first time."""
    made: list[Renumbered] = []

    def build(settings: Settings, context: Context) -> Renumbered:
        made.append(Renumbered(settings, context))
        return made[-1]

    bench.poller = Poller({"test": Plugin("test", "none", build)}, bench.seen, Clock(), Path())
    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    return made[0]


async def test_no_order_goes_to_a_device_that_is_not_what_it_was(bench: Bench, renumbered: Renumbered) -> None:
    """What was ordered by an inventory that the device has disowned since is not sent: it may be another outlet."""
    bench.poller.send(switch(1))
    await bench.seen.until(lambda: bench.seen.outcomes)
    assert [(number, outcome) for number, outcome, _ in bench.seen.outcomes] == [(1, Outcome.UNAVAILABLE)]
    assert renumbered.sent == []


async def test_no_order_outlives_the_inventory_it_was_planned_by(bench: Bench, renumbered: Renumbered) -> None:
    """What was ordered while a device was opened anew is not sent to another that stands there now."""
    opening, found = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        opening.set()
        await found.wait()

    renumbered.on_open = wait
    bench.poller.rediscover("a")
    await opening.wait()
    bench.poller.send(switch(1))
    found.set()
    await bench.seen.until(lambda: bench.seen.outcomes)
    assert [(number, outcome) for number, outcome, _ in bench.seen.outcomes] == [(1, Outcome.UNAVAILABLE)]
    bench.poller.send(switch(2))
    await bench.seen.until(lambda: len(bench.seen.outcomes) == 2)
    assert renumbered.sent == ["outlet-1 off"]


@pytest.mark.parametrize("loud", [False, True], ids=["quiet", "loud"])
async def test_a_device_that_is_another_all_the_time_is_not_taken_stock_of_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, loud: bool
) -> None:
    """Who says in every pass that he has other parts, and calls for passes, is opened anew now and then only."""

    class Restless(Device):
        async def read(self) -> Pass:
            return replace(await super().read(), outdated=True)

    class Loud(Restless):
        async def watch(self) -> AsyncIterator[Pass]:
            while True:
                yield Pass(())

    made: list[Device] = []

    def build(settings: Settings, context: Context) -> Device:
        made.append((Loud if loud else Restless)(settings, context))
        return made[-1]

    monkeypatch.setattr(poller, "READINGS_APART", 0.0)
    monkeypatch.setattr(poller, "OPENINGS_APART", 3600.0)
    bench.poller = Poller({"test": Plugin("test", "none", build)}, bench.seen, Clock(), Path())
    bench.configure("a", poll_interval=0.01)
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    for number in (1, 2):
        bench.poller.send(switch(number))
        await bench.seen.until(lambda number=number: len(bench.seen.outcomes) == number)
    assert (made[0].opened, made[0].reads, made[0].sent) == (2, 2, [])
    bench.poller.rediscover("a")
    await bench.seen.until(lambda: len(bench.seen.passes) == 3)


class Talker(Device):
    """A device that says what a test puts into its mouth."""

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        self.says: asyncio.Queue[Pass | Exception] = asyncio.Queue()
        self.listening = 0

    async def watch(self) -> AsyncIterator[Pass]:
        self.listening += 1
        while True:
            said = await self.says.get()
            if isinstance(said, Exception):
                raise said
            yield said


@pytest.fixture
async def talker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Talker:
    """One that was read and is listened to."""
    monkeypatch.setattr(f"{__name__}.Device", Talker)
    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    device = bench.devices["a"]
    assert isinstance(device, Talker)
    return device


async def test_what_a_device_says_is_handed_on(bench: Bench, talker: Talker) -> None:
    """Readings that a device sends by itself arrive without the device being asked."""
    heard = Pass((Reading(Point(), Quantity.ACTIVE_POWER, Decimal(7), 1.0),))
    talker.says.put_nowait(heard)
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert bench.seen.passes[1] == ("a", heard)
    assert talker.reads == 1


async def test_a_device_that_says_that_something_changed_is_read(
    bench: Bench, talker: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty pass has the device read before its time."""
    monkeypatch.setattr(poller, "READINGS_APART", 0.0)
    talker.says.put_nowait(Pass(()))
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert talker.reads == 2


async def test_a_device_that_says_much_is_not_read_without_end(
    bench: Bench, talker: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a device says that something changed, it is read again only when it is time."""
    monkeypatch.setattr(poller, "READINGS_APART", 3600.0)
    for _ in range(100):
        talker.says.put_nowait(Pass(()))
    bench.poller.send(switch(1))
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert talker.says.qsize() >= 98
    assert talker.reads == 2


async def test_listening_is_tried_again(
    bench: Bench, talker: Talker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where hearing a device fails it is tried again, the same trouble is told once, and reading goes on."""
    monkeypatch.setattr(poller, "FIRST_BACK_OFF", 0.01)
    for _ in range(3):
        talker.says.put_nowait(Unavailable("port 162 is taken"))
    talker.says.put_nowait(Pass((Reading(Point(), Quantity.ACTIVE_POWER, Decimal(7), 1.0),)))
    await bench.seen.until(lambda: len(bench.seen.passes) == 2)
    assert talker.listening == 4
    assert caplog.text.count("port 162 is taken") == 1


async def test_a_backends_bug_is_its_own(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception makes the device stale and is logged once, and the next pass is tried."""

    async def bug() -> None:
        raise ZeroDivisionError(f"in pass {bench.devices['a'].reads}")

    bench.configure("a", poll_interval=0.01)
    await bench.seen.until(lambda: bench.seen.passes)
    bench.devices["a"].on_read = bug
    await bench.seen.until(lambda: [state for _, state, _ in bench.seen.links].count(LinkState.STALE) >= 2)
    bench.devices["a"].on_read = None
    await bench.seen.until(lambda: bench.seen.links[-1][1] is LinkState.UP)
    assert caplog.text.count("failed unexpectedly") == 1


def test_the_link_table_is_whole() -> None:
    """Every state is reached and left, and stopping is possible from everywhere."""
    assert {state for state, _ in LINK} == set(LinkState)
    assert set(LINK.values()) == set(LinkState)
    assert all((state, Happening.STOP) in LINK for state in LinkState)


async def test_stopping_waits_for_the_command_in_flight(tmp_path: Path) -> None:
    """A switch is never left half-told: closing waits until the device has answered."""
    bench = Bench(tmp_path)
    release = asyncio.Event()
    started = asyncio.Event()

    async def slowly() -> None:
        started.set()
        await release.wait()

    bench.configure("a", poll_interval=3600)
    await bench.seen.until(lambda: bench.seen.passes)
    bench.devices["a"].on_command = slowly
    bench.poller.send(Command(1, "a", CommandKind.SWITCH_SUPPLY, Point("", "o"), "off", deadline=PATIENCE))
    await started.wait()
    closing = asyncio.create_task(bench.poller.close())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(closing)
    assert not closing.done()
    release.set()
    await closing
    assert bench.seen.outcomes == [(1, Outcome.ACCEPTED, None)]
    await asyncio.gather(*bench.seen.tasks)

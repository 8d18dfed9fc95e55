"""The laws of the backend contract as the server lives them: every backend under the real poller."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.backend import LinkState, Outcome
from eman_netconf.server import poller
from eman_netconf.server.clock import Clock
from eman_netconf.server.poller import BackendConfig, Poller
from tests.backend_cases import PATIENCE, context, device, hook, packages
from tests.receiver import Seen
from tests.traces import leaves_nothing

NAME = "it"
KEPT_IN = "state"  # below the test's own folder, as for a backend built by hand; a poller has one for each protocol
OFTEN = 0.05  # seconds between two passes
SELDOM = 3600.0
PASSES = 100
KEPT = 1000  # octets that may be kept of a pass, on average over so many; all its values take several times as much


@pytest.fixture(params=sorted(packages().values()))
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """A device that works, and the way to it."""
    async with device(request.param, tmp_path) as case:
        yield case


class Polled:
    """A case that is polled as the server polls it. All deadlines are the backend's own, the poller's are for hangs."""

    def __init__(self, case: Any, directory: Path) -> None:
        self.case = case
        self.seen = Seen()
        self.poller = Poller({KEPT_IN: case.plugin}, self.seen, Clock(), directory)

    def configure(self, interval: float) -> None:
        config = BackendConfig(NAME, KEPT_IN, self.case.settings, interval, PATIENCE)
        self.poller.configure({NAME: config})

    def states(self) -> list[LinkState]:
        """The states of the link one after the other, none twice in a row."""
        told = [state for _, state, _ in self.seen.links]
        return [*(one for one, two in pairwise(told) if one is not two), *told[-1:]]

    async def attempted(self, act: Callable[[], None]) -> None:
        """Act, and wait until the device was asked and answered or not: one attempt tells of the link once."""
        told = len(self.seen.links)
        act()
        await self.seen.until(lambda: len(self.seen.links) > told)

    async def read(self, more: int = 1) -> None:
        """Wait for so many passes more."""
        wanted = len(self.seen.passes) + more
        await self.seen.until(lambda: len(self.seen.passes) >= wanted)


@asynccontextmanager
async def polled(case: Any, directory: Path, interval: float) -> AsyncIterator[Polled]:
    """The case under a poller, from its first pass."""
    under = Polled(case, directory)
    under.configure(interval)
    try:
        await under.seen.until(lambda: under.seen.passes)
        yield under
    finally:
        await under.poller.close()
        await asyncio.gather(*under.seen.tasks)


async def test_a_device_that_goes_is_stale_then_given_up_and_told_of_once(
    case: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that dies is stale first, then backed off from; one line says that it went, one that it is back."""
    monkeypatch.setattr(poller, "FIRST_BACK_OFF", 0.05)
    monkeypatch.setattr(poller, "LONGEST_BACK_OFF", 0.2)
    caplog.set_level(logging.INFO)
    async with polled(case, tmp_path, OFTEN) as under:
        caplog.clear()
        await hook(case, "die")
        await under.seen.until(lambda: under.states().count(LinkState.BACKING_OFF) >= 3)
        await hook(case, "revive")
        await under.read()
        down, *rest = (state for state in under.states() if state is not LinkState.OPENING)
        assert down is LinkState.UP
        assert rest[0] is LinkState.STALE
        assert set(rest[1:-1]) == {LinkState.BACKING_OFF}
        assert rest[-1] is LinkState.UP
    told = [record.getMessage() for record in caplog.records if record.name == poller.log.name]
    assert len(told) == 2, told
    assert "again" in told[1]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("eman_netconf.backend")]
    assert [one for one, two in pairwise(said) if one == two] == []


async def test_an_order_of_unknown_outcome_is_read_back_and_never_sent_again(case: Any, tmp_path: Path) -> None:
    """An order whose answer is lost is told unknown, the device is read at once, and what was sent stays one."""
    for order in case.orders[:1]:
        async with polled(case, tmp_path, SELDOM) as under:
            await hook(case, "lose_answers")
            await under.attempted(partial(under.poller.send, replace(order, backend=NAME, deadline=PATIENCE)))
            assert [outcome for _, outcome, _ in under.seen.outcomes] == [Outcome.UNKNOWN]
            await under.attempted(partial(under.poller.read_soon, NAME))
            assert case.carried_out() <= 1
            assert len(under.seen.outcomes) == 1


async def test_orders_are_carried_out_and_read_back(case: Any, tmp_path: Path) -> None:
    """Every order the device takes is accepted and reaches it once, and a pass follows each without being asked for."""
    async with polled(case, tmp_path, SELDOM) as under:
        for count, order in enumerate(case.orders, 1):
            passes = len(under.seen.passes)
            under.poller.send(replace(order, id=count, backend=NAME, deadline=PATIENCE))
            await under.seen.until(lambda before=passes: len(under.seen.passes) > before)
            assert under.seen.outcomes[-1] == (count, Outcome.ACCEPTED, None)
            assert case.carried_out() == count


async def test_closing_in_the_middle_of_a_pass_leaves_nothing(case: Any, tmp_path: Path) -> None:
    """A poller that is closed while devices are opened or read leaves no task and no socket of them."""
    for steps in (1, 2, 5, 20):
        async with leaves_nothing():
            under = Polled(case, tmp_path)
            under.configure(0.0)
            for _ in range(steps):
                await asyncio.sleep(0)
            await under.poller.close()
            await asyncio.gather(*under.seen.tasks)


async def test_passes_keep_no_memory(case: Any, tmp_path: Path) -> None:
    """However often a device is opened and read, what is kept of that does not grow with it."""
    backend = case.plugin.build(case.settings, context(tmp_path))

    async def lives(openings: int, passes: int) -> None:
        for _ in range(openings):
            await backend.open()
            for _ in range(passes):
                await backend.read()
            await backend.close()

    await lives(2, PASSES // 2)  # what is remembered once, and what is made when first wanted
    with traced():
        await lives(1, PASSES // 4)
        before = memory()
        await lives(4, PASSES // 4)
        grown = sum(each.size_diff for each in memory().compare_to(before, "filename"))
        assert grown < KEPT * PASSES


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def memory() -> tracemalloc.Snapshot:
    """What is in use that was taken since tracing began, but for what the test and its devices took."""
    gc.collect()
    return tracemalloc.take_snapshot().filter_traces(
        (tracemalloc.Filter(inclusive=False, filename_pattern="*/tests/*"),)
    )

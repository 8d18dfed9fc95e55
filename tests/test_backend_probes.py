"""Who is there: the probes of backends, which ask one address and leave it as it was."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eman_netconf.backend import Context, Finding, Refused, Unavailable
from tests.backend_cases import AWAITS, PATIENCE, context, device, hook, packages, plugin_of
from tests.traces import WATCH, CancelledAt, leaves_nothing

PROBING = sorted(package for package in packages().values() if plugin_of(package).probe is not None)


@pytest.fixture(params=PROBING)
async def probed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Probed]:
    """A device of each backend that can probe, and what asks its address who is there."""
    async with device(request.param, tmp_path) as case:
        yield Probed(case, context(tmp_path))


@dataclass(frozen=True)
class Probed:
    """``ask`` probes the address of the case with the other settings of the case."""

    case: Any
    context: Context

    async def ask(self) -> Finding | None:
        settings = dict(self.case.settings)
        address = settings.pop("address")
        assert self.case.plugin.probe is not None
        async with asyncio.timeout(PATIENCE):
            found: Finding | None = await self.case.plugin.probe(address, settings, self.context)
        return found


async def test_a_probe_finds_the_device(probed: Probed) -> None:
    """A probe says what answers, with settings that open it, and leaves nothing behind."""
    async with leaves_nothing():
        found = await probed.ask()
        assert found is not None
        assert len(found.title.split()) >= 2
        backend = probed.case.plugin.build(found.settings, probed.context)
        assert (await backend.open()).entities
        await backend.close()
    assert not hasattr(probed.case, "carried_out") or probed.case.carried_out() == 0


async def test_a_probe_finds_nobody_where_nobody_is(probed: Probed) -> None:
    """Where nothing answers a probe ends by itself, with None or Unavailable."""
    await hook(probed.case, "die")
    async with leaves_nothing():
        found, why = None, "nobody answers there"
        try:
            found = await probed.ask()
        except Unavailable as error:
            why = str(error)
    assert found is None
    assert len(why.split()) >= 3


async def test_a_probe_makes_nothing_of_garbage(probed: Probed) -> None:
    """What answers garbage is no device, or one of which only what it is not is said."""
    await hook(probed.case, "lie")
    async with leaves_nothing():
        with contextlib.suppress(Unavailable, Refused):
            found = await probed.ask()
            assert found is None or isinstance(found, Finding)


async def test_a_probe_that_is_cancelled_at_any_await_leaves_nothing(probed: Probed) -> None:
    """Wherever a probe is given up, no task and no socket is left, and the next one finds the device."""
    for at in range(AWAITS):
        async with leaves_nothing():
            cancelled = CancelledAt(probed.ask(), at)
            task = asyncio.ensure_future(waited_for(cancelled))
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if not cancelled.reached:
            break
    assert await probed.ask() is not None


async def waited_for(probe: CancelledAt) -> None:
    await probe


def bound_to(speaking: socket.socket) -> tuple[Any, ...]:
    """The address and port of a socket; that of the device, where a fixture answers in this process."""
    return () if speaking.fileno() < 0 else tuple(speaking.getsockname()[:2])


async def test_a_probe_speaks_to_its_address_only(probed: Probed) -> None:
    """Whatever a probe connects to or sends to is the address that was given, and the port of the settings."""
    with WATCH.listening(ours=True) as events:  # what stands before a device in a test connects too
        assert await probed.ask() is not None
    allowed = (probed.case.settings["address"], probed.case.settings["port"])
    spoken = {
        arguments[1]
        for event, arguments in events
        if event in {"socket.connect", "socket.sendto"} and bound_to(arguments[0]) != allowed
    }
    behind = getattr(probed.case, "behind", allowed)  # where a fixture in this process passes questions on to
    assert {place[:2] for place in spoken} <= {allowed, behind}
    resolved = {arguments[0] for event, arguments in events if event == "socket.getaddrinfo"}
    assert resolved <= {allowed[0]}

"""How long a device says it is up tells whether it is the one that was surveyed."""

from __future__ import annotations

import pytest
from pysnmp.proto import rfc1902

from eman_backends.snmp.backend import CLOCKS_DIFFER, SYS_UP_TIME, TICKS
from eman_backends.snmp.settings import Community, Target
from eman_backends.snmp.tests.agent import Agent, oid, serving, switch
from eman_backends.snmp.tests.conftest import Make

BEFORE = 4_000_000  # ticks


def up(agent: Agent, ticks: int) -> None:
    agent.tree[oid(SYS_UP_TIME)] = rfc1902.TimeTicks(ticks)


@pytest.mark.parametrize(
    ("now", "outdated"),
    [
        (BEFORE, False),
        (BEFORE + 10 * TICKS, False),
        (BEFORE - 1, True),
        (0, True),
        (BEFORE + 10 * int(CLOCKS_DIFFER) * TICKS, True),
    ],
    ids=["clock that stands", "later", "a tick earlier", "just started", "much longer up"],
)
async def test_a_device_that_started_or_is_another_is_surveyed_anew(make: Make, now: int, outdated: bool) -> None:
    """Up for less than in the last pass, or for much more, the device is not believed to be what was surveyed; in the
    pass after it was opened again it is."""
    async with serving(Agent(switch(2))) as agent:
        up(agent, BEFORE)
        backend = make(Target("127.0.0.1", agent.port, Community("public")))
        await backend.open()
        assert not (await backend.read()).outdated
        up(agent, now)
        result = await backend.read()
        assert result.outdated == outdated
        assert bool(result.readings) != outdated
        await backend.open()
        assert (await backend.read()).readings


async def test_a_device_without_uptime_is_read(make: Make) -> None:
    """Who does not tell how long it is up is read all the same."""
    values = {name: value for name, value in switch(2).items() if name != SYS_UP_TIME}
    async with serving(Agent(values)) as agent:
        backend = make(Target("127.0.0.1", agent.port, Community("public")))
        await backend.open()
        for _ in range(2):
            result = await backend.read()
            assert result.readings
            assert not result.outdated

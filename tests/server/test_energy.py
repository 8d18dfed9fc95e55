"""The energy core in the shell: its faults stay its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from eman_netconf.backend import EntityInfo, Inventory, LinkState, Outcome, Pass, Point, Quantity, Reading
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Record
from eman_netconf.energy.samples import Recorded, Renamed
from eman_netconf.errors import RpcError
from eman_netconf.server.clock import Clock
from eman_netconf.server.energy import RECORDING, Energy
from eman_netconf.server.history import History
from eman_netconf.server.secrets import Vault
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner


@pytest.fixture
async def energy(tmp_path: Path, schema: Schema) -> AsyncIterator[Energy]:
    """The core of a server without configuration and backends."""
    domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_OID, name)))
    history = History(tmp_path / "history.sqlite", {})
    made = Energy(domain, {}, history, Clock(), Vault(tmp_path / "key"), tmp_path)
    made.start(Inner(schema.root))
    yield made
    await made.close()


def broken(*_arguments: object) -> list[object]:
    raise ZeroDivisionError


async def test_a_fault_of_the_core_costs_one_message(
    energy: Energy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the core fails to take in is logged, the backend's task hears nothing of it, and the next is taken in."""
    with monkeypatch.context() as patch:
        for name in ("inventory", "ingest", "link", "forget"):
            patch.setattr(energy.domain, name, broken)
        energy.inventory("pdu", Inventory((EntityInfo(),)))
        energy.readings("pdu", Pass(()))
        energy.link("pdu", LinkState.UP, None, None)
        energy.forgotten("pdu")
    assert caplog.text.count("what it said could not be taken in") == 4
    energy.inventory("pdu", Inventory((EntityInfo(),)))
    assert "pdu" in energy.domain.site.entities


async def test_nonsense_is_logged_once(energy: Energy, caplog: pytest.LogCaptureFixture) -> None:
    """What devices tell that cannot be is one warning, however often it comes, and so is what belongs to nobody."""
    energy.inventory("pdu", Inventory((EntityInfo(),)))
    at = energy.now().wall
    for second in range(20):
        odd = Reading(Point(), Quantity.ACTIVE_POWER, float("nan"), at + second)
        energy.readings("pdu", Pass((odd, Reading(Point("ghost"), Quantity.VOLTAGE, 230, at + second))))
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "pdu: active-power told as nan is no number that can be used; it was refused",
        "backend pdu reads entity ghost, which is not in its inventory; that is left out",
    ]


async def test_nobody_waits_for_an_answer_that_is_lost(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an outcome cannot be taken in, who waits for an answer is told so in words."""
    waiting = energy.answer(1)
    monkeypatch.setattr(energy.domain, "outcome", broken)
    energy.outcome(7, Outcome.ACCEPTED, None)
    with pytest.raises(RpcError, match="Read the state"):
        await waiting


async def test_a_disk_that_hangs_fills_no_memory(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded while a batch hangs is handed on, held, once it is much; it may be written after the next batch,
    which knows of it.
    """
    told: list[Recorded] = []
    held: list[bool] = []
    energy.recorded.append(told.append)
    energy.withheld.append(held.append)
    arrived, go_on = asyncio.Event(), threading.Event()
    loop, store = asyncio.get_running_loop(), energy._history.store

    def hang(records: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        loop.call_soon_threadsafe(arrived.set)
        assert go_on.wait(60)
        store(records)

    monkeypatch.setattr(energy._history, "store", hang)
    energy.inventory("pdu", Inventory((EntityInfo(),)))
    first = Renamed("0", "1")
    energy.perform([Record(first)])
    batch = asyncio.create_task(energy._store())
    await arrived.wait()
    later = [Renamed(str(number), "x") for number in range(RECORDING + 5)]
    energy.perform(map(Record, later))
    assert held == [True]
    assert told == [first, *later[: RECORDING - 1]]
    go_on.set()
    await batch
    assert held == [True, True]
    await energy._store()
    assert held == [True, True, False]
    assert told == [first, *later]

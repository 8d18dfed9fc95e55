"""Alarms in the shell: from what backends say to the event stream, over restarts, and when there is no room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest

from eman_netconf.alarms import register
from eman_netconf.backend import EntityInfo, Inventory, LinkState
from eman_netconf.datastore.datastores import Datastores
from eman_netconf.datastore.storage import Storage
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Notify
from eman_netconf.server.alarms import Alarms
from eman_netconf.server.clock import Clock
from eman_netconf.server.energy import Energy
from eman_netconf.server.history import History
from eman_netconf.server.journal import DiskJournal
from eman_netconf.server.secrets import Vault
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode
from tests.energy.bench import Bench


class Life:
    """One life of the energy core on a folder, with alarms."""

    def __init__(self, energy: Energy, datastores: Datastores) -> None:
        self.energy = energy
        self.datastores = datastores
        self.told: list[tuple[str, str]] = []  # resource and severity of each notification

    def publish(self, notify: Notify) -> None:
        leaf = notify.notification.leaf
        self.told.append(((leaf("resource") or "").split("'")[-2], leaf("perceived-severity") or ""))

    def link(self, name: str, state: LinkState) -> None:
        self.energy.link(name, state, None, None)

    def listed(self) -> dict[str, str | None]:
        """The names of the backends that have alarms, and whether these are cleared."""
        alarms = self.datastores.operational().at("ietf-alarms:alarms", "alarm-list", "alarm")
        entries: Iterable[Inner] = alarms.entries.values() if isinstance(alarms, ListNode) else ()
        return {(entry.leaf("resource") or "").split("'")[-2]: entry.leaf("is-cleared") for entry in entries}


@asynccontextmanager
async def life(folder: Path, schema: Schema, running: Inner | None = None) -> AsyncIterator[Life]:
    """From start to stop."""
    domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_OID, name)))
    energy = Energy(domain, {}, History(folder / "history.sqlite", {}), Clock(), Vault(folder / "key"), folder)
    journal = DiskJournal(Storage(folder / "running", schema))
    datastores = Datastores(schema, running or Inner(schema.root), 0, journal=journal, writer=asyncio.Lock())
    made = Life(energy, datastores)
    Alarms(schema, energy, datastores, made.publish)
    energy.poller.configure = lambda _: None  # the tests tell how links are, in place of pollers
    energy.start(datastores.running)
    try:
        yield made
    finally:
        await energy.close()
        journal.close()


async def test_a_restart_tells_nothing_again(tmp_path: Path, schema: Schema) -> None:
    """What was wrong when the server stopped is listed when it starts, and told again only when it ends."""
    async with life(tmp_path, schema) as first:
        for name in ("one", "two"):
            first.link(name, LinkState.OPENING)
            first.link(name, LinkState.BACKING_OFF)
        assert first.told == [("one", "major"), ("two", "major")]
        first.link("one", LinkState.CLOSED)
    bench = Bench(schema)
    running = bench.configured(backends={"backend": [{"name": "one"}, {"name": "two"}]})
    async with life(tmp_path, schema, running) as second:
        assert second.listed() == {"one": "false", "two": "false"}
        second.link("one", LinkState.OPENING)
        second.link("one", LinkState.BACKING_OFF)
        second.link("two", LinkState.UP)
        assert second.told == [("two", "cleared")]
    async with life(tmp_path, schema, running) as third:
        assert third.listed() == {"one": "false", "two": "true"}


async def test_what_is_gone_after_a_restart(tmp_path: Path, schema: Schema) -> None:
    """A backend that is configured no more when the server starts cannot be unreachable."""
    async with life(tmp_path, schema) as first:
        first.link("one", LinkState.BACKING_OFF)
    async with life(tmp_path, schema) as second:
        second.energy.inventory("other", Inventory((EntityInfo(),)))
        assert second.told == [("one", "cleared")]
        assert second.listed() == {"one": "true"}


async def test_no_room(
    tmp_path: Path, schema: Schema, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What finds no room on a list of alarms that all hold is listed when there is some; one line says so."""
    monkeypatch.setattr(register.Register.__init__, "__kwdefaults__", {"most": 1})
    async with life(tmp_path, schema) as site:
        for name in ("one", "two", "three"):
            site.link(name, LinkState.BACKING_OFF)
        assert site.listed() == {"one": "false"}
        assert caplog.text.count("the list of alarms is full") == 1
        site.link("one", LinkState.UP)
        site.link("four", LinkState.OPENING)
        assert len(site.listed()) == 1
        assert site.listed().keys() <= {"two", "three"}
        assert site.told[-1][1] == "major"

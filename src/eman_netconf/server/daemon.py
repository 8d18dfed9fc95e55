"""The server's life: start from the disk outwards, listeners last; reload; drain; stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from eman_netconf import __version__, safexml
from eman_netconf.datastore.commit import commit
from eman_netconf.datastore.datastores import Author, Commit, Datastores
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.history import TOLD
from eman_netconf.datastore.record import SERVER
from eman_netconf.datastore.select import EVERYTHING, slices
from eman_netconf.datastore.startup import save
from eman_netconf.datastore.storage import Recovered, StateUnusable, Storage, models
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.places import retold
from eman_netconf.errors import RpcError, RpcErrors
from eman_netconf.messages.rpc import Reply, Rpc, SessionInfo
from eman_netconf.nacm.judge import Nacm
from eman_netconf.operations import discovery, series, topology
from eman_netconf.operations import energy as actions
from eman_netconf.operations.dispatch import dispatch
from eman_netconf.operations.history import Commits
from eman_netconf.operations.monitoring import Monitoring, capabilities
from eman_netconf.operations.ports import Server
from eman_netconf.server import audit, systemd
from eman_netconf.server.administrator import AdministratorStays
from eman_netconf.server.alarms import Alarms
from eman_netconf.server.backups import Backups
from eman_netconf.server.certificates import Rule, read_rules
from eman_netconf.server.clock import Clock
from eman_netconf.server.config import Bootstrap
from eman_netconf.server.discovery import Discovery
from eman_netconf.server.energy import Energy
from eman_netconf.server.events import Events
from eman_netconf.server.files import write_private
from eman_netconf.server.history import History
from eman_netconf.server.journal import DiskJournal, keep_time
from eman_netconf.server.listeners import Listeners
from eman_netconf.server.plugins import Installed
from eman_netconf.server.samples.shown import StoreShown
from eman_netconf.server.samples.store import SampleStore
from eman_netconf.server.secrets import Vault
from eman_netconf.server.sessions import Sessions
from eman_netconf.server.settings import faults, session_limits
from eman_netconf.server.subscriptions import Subscriptions
from eman_netconf.server.users import Users
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Late, make_inner

log = logging.getLogger(__name__)

_TURN = 0.002  # seconds of work before the loop gets its turn

# Collections of young garbage before one of all garbage, which holds up everybody for half a second at 10,000
# entities and finds next to nothing: trees, records and ended sessions have no cycles.
_RARELY = 1000


def load_schema(plugins: Mapping[str, Installed], bootstrap: Bootstrap | None = None) -> Schema:
    """Our models, the standard ones, and those of the installed backends, with the features that the file asks for.

    Raises SchemaError.
    """
    return sources.load(
        [installed.plugin.module for installed in plugins.values()],
        [installed.folder for installed in plugins.values()],
        netconf=bootstrap.features if bootstrap is not None else (),
        without=bootstrap.left_out if bootstrap is not None else (),
    )


class Daemon:
    """One server on one folder of state. ``initial`` holds the <config>s that a folder without any begins with."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        plugins: Mapping[str, Installed],
        schema: Schema,
        *,
        clock: Clock | None = None,
        initial: Sequence[bytes] = (),
    ) -> None:
        self.bootstrap = bootstrap
        self.schema = schema
        self.clock = clock or Clock()
        self._plugins = plugins
        self._initial = initial
        self._stop = asyncio.Event()
        self._forced = False
        self._started_up = asyncio.Event()
        self._one_reload = asyncio.Lock()
        self._checkpoint_time: float | None = None
        self._checkpointing: asyncio.Task[None] | None = None
        self._own = schema.find("eman-server:eman-server")

    # --- life

    async def run(self, ready: Callable[[Sequence[tuple[str, int]]], None]) -> None:
        """Serve until ``stop``. ``ready`` is told the addresses once everything answers.

        Raises what a start can fail of: SchemaError, StateInUse, StateTooNew, StateUnusable, HistoryUnusable,
        HostKeyError, SecretUnreadable, OSError; each text is one line for a person.
        """
        state = self.bootstrap.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            # storage
            vault = Vault(state / "secret.key")
            storage = Storage(state / "running", self.schema)
            self.journal = DiskJournal(storage)
            stack.callback(self.journal.close)
            recovered = storage.recover(lambda root: faults(self.schema, root), self.clock.now().wall)
            events = Events(state / "history.sqlite", self.schema, self.clock)
            stack.push_async_callback(events.close)
            stack.push_async_callback(_cancelled, asyncio.create_task(events.tend(), name="events"))
            # samples, which take what the energy core records to its end
            self.samples = SampleStore(state, self.clock.now)
            stack.push_async_callback(self.samples.close)
            # the energy core
            history = History(state / "history.sqlite", models(self.schema))
            domain = Domain(self.schema, host_entity=self.bootstrap.host_entity, new_uuid=_uuids(state))
            plugins = {name: installed.plugin for name, installed in self._plugins.items()}
            self.energy = Energy(domain, plugins, history, self.clock, vault, state)
            stack.push_async_callback(self._close_energy)
            # datastores and operations
            await self._wire(recovered, vault, events)
            await events.announced(self._capabilities)
            self.energy.start(self.datastores.running)
            self.energy.published += [audit.notified, events.notified]
            tending = asyncio.create_task(self.energy.tend(), name="energy")
            stack.push_async_callback(_cancelled, tending)
            telling = asyncio.create_task(self.subscriptions.tend(), name="subscriptions")
            stack.push_async_callback(_cancelled, telling)
            timing = keep_time(self.datastores, lambda: self.clock.now().wall, time.monotonic)
            stack.push_async_callback(_cancelled, asyncio.create_task(timing, name="confirmed commit"))
            # listeners, last
            users = Users(self._authentication)
            stack.callback(users.close)
            self.listeners = Listeners(state, self.sessions, users, lambda: self._limits, self._cert_to_name)
            stack.push_async_callback(self.listeners.close)
            stack.push_async_callback(self._drain)
            await self.listeners.follow(self.bootstrap)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*gc.get_threshold()[:2], _RARELY)
            _give_back_memory()
            if self._stop.is_set():
                return  # asked while it was starting
            self._started_up.set()
            ready(self.listeners.addresses)
            systemd.notify("READY=1")
            log.info("eman-netconf %s started with configuration %d", __version__, self.datastores.generation)
            await self._serve(tending)
            systemd.notify("STOPPING=1")
            log.info("stopping; requests have %g s to end", self._limits.drain_seconds)

    async def _wire(self, recovered: Recovered, vault: Vault, events: Events) -> None:
        self.datastores = Datastores(
            self.schema,
            recovered.root,
            recovered.generation,
            journal=self.journal,
            writer=asyncio.Lock(),
            startup=recovered.root if self.bootstrap.startup else None,
            participants=[AdministratorStays(self.bootstrap.admin)],
            sources=[self.energy, self],
            transform=vault.transform,
            breathe=lambda: asyncio.sleep(0),
        )
        self.datastores.listeners.append(self._committed)
        self.datastores.confirmations.append(audit.confirming)
        self.datastores.saves.append(audit.saved)
        self.commits = Commits(self.datastores, self.journal.read)
        newest = recovered.generation
        self.commits.history.load(await self.journal.read(newest - TOLD + 1, newest))
        self.datastores.listeners.append(self.commits.committed)
        self.datastores.stored.append(self._stored)
        self._limits = session_limits(recovered.root, self.bootstrap.limits)
        if self._initial and not recovered.root.children:  # the first start, or startup was deleted
            await self._configure(self._initial)
        self.datastores.participants.append(self.energy)
        self.sessions = Sessions(
            self._handle,
            capabilities=lambda: self._capabilities,
            limits=lambda: self._limits,
            wall=lambda: self.clock.now().wall,
        )
        self.sessions.ended.append(lambda info, _end: self.datastores.release(info.id))
        audit.watch(self.sessions)
        self._capabilities = tuple(capabilities(self.schema))
        started = self.clock.now().wall
        self._started = stamp(started)
        judge = Nacm(self.schema, self.bootstrap.admin, lambda: self.datastores.running, retold(self.schema))
        self.datastores.participants.append(judge)
        self.datastores.sources += [Monitoring(self.schema, self.datastores, self.sessions, started), judge]
        self.energy.keepers["maintenance"] = self.energy.domain.maintenance
        self.energy.keepers["series"] = self.energy.domain.series
        kept = StoreShown(self.samples, self.datastores.running)
        self.datastores.participants.append(kept)
        self.energy.layers.append(kept.lay)
        self.energy.recorded.append(self.samples.record)
        self.energy.withheld.append(self.samples.hold)
        self.samples.sources.append(self.energy.hand_over)
        alarms = Alarms(self.schema, self.energy, self.datastores, events.notified)
        plugins = {name: installed.plugin for name, installed in self._plugins.items()}
        finder = Discovery(self.schema, plugins, self.clock, vault, self.bootstrap.state)
        receivers = events.wire(self.sessions, self.datastores, judge)
        self.subscriptions = Subscriptions(
            self.schema, self.datastores, self.sessions, judge, events.streams, receivers, self.energy, self.clock
        )
        self._server = Server(
            schema=self.schema,
            datastores=self.datastores,
            sessions=self.sessions,
            judge=judge,
            wall=lambda: self.clock.now().wall,
            mono=time.monotonic,
            read_file=Path.read_bytes,
            started=started,
            streams=events.streams,
            receivers=receivers,
            subscriptions=self.subscriptions,
            read_commits=self.journal.read,
            files=_files(self.bootstrap),
            actions={
                **audit.audited(
                    {**actions.actions(self.energy), **alarms.actions(), **discovery.actions(finder)},
                    self.energy.domain.site,
                ),
                **topology.actions(self.energy.domain),
                **series.actions(self.energy, self.samples),
                **self.commits.actions(),
            },
        )

    async def _configure(self, documents: Sequence[bytes]) -> None:
        """The first configuration, as one commit of the server itself."""
        config, *more = map(safexml.parse, documents)
        for part in more:
            config.extend(part)
        await commit(
            self.datastores,
            lambda running: apply_edit(running, config, self.schema, transform=self.datastores.transform),
            Author(SERVER, 0, self.clock.now().wall),
            lambda change: None,
        )
        if self.bootstrap.startup:
            await save(self.datastores, Author(SERVER, 0, self.clock.now().wall))

    async def _serve(self, tending: asyncio.Task[None]) -> None:
        """Until asked to stop; a sign of life for systemd meanwhile."""
        stop = asyncio.create_task(self._stop.wait())
        interval = systemd.watchdog_interval()
        while not stop.done():
            await asyncio.wait({stop, tending}, timeout=interval, return_when=asyncio.FIRST_COMPLETED)
            if tending.done():
                stop.cancel()
                tending.result()
            systemd.notify("WATCHDOG=1")

    def stop(self) -> None:
        """Begin to drain."""
        self._stop.set()

    def force(self) -> None:
        """Wait for nobody any more, neither clients nor devices; for one who cancels ``run`` next."""
        self._forced = True

    async def reload(self, bootstrap: Bootstrap) -> None:
        """Follow a bootstrap file that was read and checked: listeners and limits; sessions stay.

        Waits until the start is over. Raises OSError or ConfigError, having changed nothing.
        """
        await self._started_up.wait()
        async with self._one_reload:
            systemd.notify(systemd.reloading())
            try:
                await self.listeners.follow(bootstrap)
                old = self.bootstrap
                self.bootstrap = replace(
                    bootstrap,
                    state=old.state,
                    admin=old.admin,
                    host_entity=old.host_entity,
                    startup=old.startup,
                    url_folder=old.url_folder,
                    control=old.control,
                )
                if self.bootstrap != bootstrap:
                    log.warning(
                        "state, host-entity, datastores, control and the administrator change only with a restart"
                    )
                self._limits = session_limits(self.datastores.running, bootstrap.limits)
            finally:
                systemd.notify("READY=1")

    async def _close_energy(self) -> None:
        await self.energy.close(patience=0.0 if self._forced else None)

    async def _drain(self) -> None:
        """No new sessions; the others get what they asked for, within the time that is set for it."""
        await self.listeners.stop()
        self.subscriptions.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.drain_seconds
        await self.sessions.drain(self._limits.drain_seconds)
        await self.listeners.finish(deadline - loop.time())
        if self._checkpointing is not None:
            await asyncio.wait({self._checkpointing})

    # --- requests

    async def _handle(self, session: SessionInfo, rpc: Rpc) -> Reply:
        try:
            return await dispatch(self._server, session, rpc)
        except (RpcError, RpcErrors) as refusal:
            audit.denied(session, rpc, refusal)
            raise

    def _authentication(self) -> Inner | None:
        found = self.datastores.running.at("system", "authentication")
        return found if isinstance(found, Inner) else None

    def _cert_to_name(self) -> tuple[Rule, ...]:
        tls = self.datastores.running.at("eman-server", "tls")
        return read_rules(tls if isinstance(tls, Inner) else None)

    # --- commits

    def _committed(self, told: Commit) -> None:
        audit.committed(told)
        self._limits = session_limits(self.datastores.running, self.bootstrap.limits)

    def _stored(self) -> None:
        # what waits to be confirmed is rolled back with the journal, which goes on until then
        due = self.journal.storage.checkpoint_due and self.datastores.confirmed is None
        if due and self._checkpointing is None:
            self._checkpointing = asyncio.create_task(self._checkpoint(), name="checkpoint")

    async def _checkpoint(self) -> None:
        """Write the configuration out whole, in turns short enough that nobody notices."""
        loop = asyncio.get_running_loop()
        try:
            async with self.datastores.writer:
                if self.datastores.confirmed is not None:
                    return
                parts: list[bytes] = []
                turn = loop.time()
                for part in slices(EVERYTHING, self.datastores.durable):
                    parts.append(part)
                    if loop.time() - turn > _TURN:
                        await asyncio.sleep(0)
                        turn = loop.time()
                wall = self.clock.now().wall
                await self.journal.checkpoint(b"\n".join(parts), wall)
                self._checkpoint_time = wall
        except OSError as error:
            log.error("no checkpoint could be written (%s); the journal grows on", error.strerror or error)
        finally:
            self._checkpointing = None

    # --- what the server tells of itself

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        return [(self._own, Late(self._own, partial(self._state, running.children.get(self._own))))]

    def _state(self, configured: Data | None) -> Mapping[SchemaNode, Data]:
        storage = self.journal.storage
        state = make_inner(
            self._own,
            {
                "version": __version__,
                "started": self._started,
                "schema-content-id": self.schema.content_id,
                "commits": self.commits.state(),
                "subscriptions": {"periodic-only": self.subscriptions.publisher.observable.periodic_only},
                "statistics": {
                    "journal-length": storage.journal_length,
                    "last-checkpoint": None if self._checkpoint_time is None else stamp(self._checkpoint_time),
                    "configuration-size": storage.checkpoint_size + storage.journal_length,
                },
            },
        )
        return {**(configured.children if isinstance(configured, Inner) else {}), **state.children}


def _files(bootstrap: Bootstrap) -> Backups | None:
    folder = bootstrap.url_folder
    return None if folder is None else Backups(folder, bootstrap.limits.message_bytes)


def _give_back_memory() -> None:
    """What reading the configuration took goes back to the system; glibc would keep it for ever."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _uuids(state: Path) -> Callable[[str], str]:
    """Names for entities that stay the same over restarts and differ between servers (RFC 6988 section 4.1)."""
    file = state / "namespace-uuid"
    try:
        space = uuid.UUID(file.read_bytes().decode().strip())
    except FileNotFoundError:
        space = uuid.uuid4()
        write_private(file, f"{space}\n".encode())
    except ValueError:
        raise StateUnusable(f"{file} holds no UUID; restore it, or remove it and all entities get new UUIDs") from None
    return partial(_uuid5, space.bytes)


def _uuid5(space: bytes, name: str) -> str:
    """As uuid.uuid5 (RFC 9562 section 5.5), in a third of its time: entities come by the thousand."""
    octets = bytearray(hashlib.sha1(space + name.encode(), usedforsecurity=False).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50  # the version
    octets[8] = octets[8] & 0x3F | 0x80  # the variant
    digits = octets.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})

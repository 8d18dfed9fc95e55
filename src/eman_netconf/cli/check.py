"""``check``: bootstrap, models, configuration, history, and every backend reachable; nothing is changed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eman_netconf.backend import Backend, BackendError, Context, Misconfigured
from eman_netconf.cli import CommandError
from eman_netconf.cli.offline import CANNOT_START, one_line
from eman_netconf.cli.run import DEMO_PORT, DEMO_STATE, demo_bootstrap
from eman_netconf.datastore.storage import Recovered, Storage, models
from eman_netconf.server import config, plugins
from eman_netconf.server.administrator import can_log_in
from eman_netconf.server.certificates import load_credentials
from eman_netconf.server.clock import Clock
from eman_netconf.server.config import Bootstrap
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.history import History
from eman_netconf.server.masks import Mask
from eman_netconf.server.plugins import Installed
from eman_netconf.server.poller import BackendConfig
from eman_netconf.server.secrets import Vault
from eman_netconf.server.settings import backends, faults
from eman_netconf.server.ssh import load_authorities, load_host_key
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

HOST_KEY = "ssh_host_ed25519_key"


class _Report:
    """Lines of ``ok``, ``warning`` and ``FAIL``; the last make the status 1.

    What is looked at is a copy; the lines speak of the state itself.
    """

    def __init__(self) -> None:
        self.failed = False
        self.copy: Path | None = None
        self.state: Path | None = None

    def ok(self, text: str) -> None:
        self._say("ok", text)

    def warn(self, text: str) -> None:
        self._say("warning", text)

    def fail(self, text: str) -> None:
        self.failed = True
        self._say("FAIL", text)

    def _say(self, how: str, text: str) -> None:
        print(f"{how:<8} {text.replace(str(self.copy), str(self.state))}")


def main(options: argparse.Namespace) -> int:
    """Print what was found; status 1 when anything would keep the server from doing its work."""
    logging.getLogger().addHandler(logging.NullHandler())  # the report is what there is to say
    report = _Report()
    try:
        bootstrap = (
            demo_bootstrap(options.state or DEMO_STATE, DEMO_PORT) if options.demo else config.load(options.config)
        )
        report.ok(f"bootstrap: state in {bootstrap.state}, administrator {bootstrap.admin}")
        if not (bootstrap.state / "running").is_dir():
            raise CommandError(f"{bootstrap.state} holds no state; start the server once, or use init")
        found = plugins.find()
        schema = load_schema(found, bootstrap)
        report.ok(f"models: {sum(module.implemented for module in schema.modules.values())} modules")
        with _copy(bootstrap.state) as copy:
            report.copy, report.state = copy, bootstrap.state
            running = _check_configuration(report, bootstrap, schema, copy)
            _check_history(report, schema, copy)
            _check_files(report, bootstrap)
            if (copy / HOST_KEY).exists():
                load_host_key(copy / HOST_KEY)
                report.ok("host key: usable")
            _check_backends(report, running, found, copy)
    except CANNOT_START as error:
        report.fail(one_line(error))
    return 1 if report.failed else 0


@contextmanager
def _copy(state: Path) -> Iterator[Path]:
    """A copy of the state in a temporary folder, so that nothing that is looked at can change."""
    with tempfile.TemporaryDirectory(prefix="eman-netconf-check-") as folder:
        target = Path(folder) / "state"
        shutil.copytree(state, target, ignore=shutil.ignore_patterns("lock", "*.tmp"))
        yield target


def _check_configuration(report: _Report, bootstrap: Bootstrap, schema: Schema, copy: Path) -> Inner:
    """The configuration a server would start with. Raises what a start would."""
    folder = copy / "running"
    for path in sorted(_aside(folder)):
        report.warn(f"configuration: kept aside at an earlier start: {path}")
    before = _aside(folder)
    recovered = _recover(folder, schema)
    if any(path.is_dir() for path in _aside(folder) - before):
        report.fail(f"configuration: a start would not take the newest one: {' '.join(recovered.notes)}")
    else:
        for note in recovered.notes:
            report.warn(f"configuration: at the next start: {note}")
        report.ok(f"configuration: generation {recovered.generation}, valid")
    if can_log_in(recovered.root, bootstrap.admin):
        report.ok(f"administrator: {bootstrap.admin} can log in")
    else:
        report.fail(f"administrator: {bootstrap.admin} has neither password nor key; use passwd")
    return recovered.root


def _check_files(report: _Report, bootstrap: Bootstrap) -> None:
    """What the bootstrap file names beside the state. Raises what a start would."""
    if bootstrap.tls is not None:
        load_credentials(bootstrap.tls)
        report.ok("certificates: usable")
    if bootstrap.ssh.user_ca is not None:
        load_authorities(bootstrap.ssh.user_ca)
        report.ok("authorities of SSH users: usable")


def _aside(folder: Path) -> set[Path]:
    return {*folder.glob("refused-*"), *folder.glob("set-aside-*.xml")}


def _recover(folder: Path, schema: Schema) -> Recovered:
    storage = Storage(folder, schema)
    try:
        return storage.recover(lambda root: faults(schema, root), time.time())
    finally:
        storage.close()


def _check_history(report: _Report, schema: Schema, copy: Path) -> None:
    if not (copy / "history.sqlite").exists():
        report.warn("history: there is none yet; counters begin at the next start")
        return
    history = History(copy / "history.sqlite", models(schema))
    try:
        report.ok(f"history: {len(history.records())} records")
    finally:
        history.close(clean=False)


def _check_backends(report: _Report, running: Inner, found: Mapping[str, Installed], state: Path) -> None:
    configured = backends(running, Vault(state / "secret.key"))
    if not configured:
        report.warn("backends: none is configured")
    enabled = {name: entry for name, entry in configured.items() if entry.enabled}
    for name in configured.keys() - enabled.keys():
        report.ok(f"backend {name}: not enabled")
    for name, problem, doubts in asyncio.run(_reach_all(enabled, found, state)):
        mask = Mask(enabled[name].secrets)
        if problem is not None:
            report.fail(f"backend {name}: {mask.text(problem)}")
        elif not doubts:
            report.ok(f"backend {name}: reachable")
        for doubt in doubts if problem is None else ():
            report.warn(f"backend {name}: reachable, but {mask.text(doubt)}")


async def _reach_all(
    configured: Mapping[str, BackendConfig], found: Mapping[str, Installed], state: Path
) -> list[tuple[str, str | None, list[str]]]:
    """Of each backend why it cannot be read, or None, and what it warns of."""
    turns = asyncio.Semaphore(50)

    async def one(entry: BackendConfig) -> tuple[str, str | None, list[str]]:
        heard = _Heard()
        log = logging.getLogger(f"eman_netconf.check.{entry.name}")
        log.addHandler(heard)
        try:
            async with turns:
                return entry.name, await _reach(entry, found, state, log), heard.warnings
        finally:
            log.removeHandler(heard)

    return await asyncio.gather(*(one(entry) for entry in configured.values()))


class _Heard(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(record.getMessage())


async def _reach(entry: BackendConfig, found: Mapping[str, Installed], state: Path, log: logging.Logger) -> str | None:
    """None when the device answers, else why not."""
    if entry.fault is not None:
        return entry.fault
    if entry.protocol not in found:
        return f"no backend {entry.protocol!r} is installed"
    context = Context(
        name=entry.name,
        clock=Clock().now,
        random=random.Random(0),  # noqa: S311 - guards nothing
        directory=state / "backends" / entry.protocol,
        log=log,
    )
    try:
        backend: Backend = found[entry.protocol].plugin.build(entry.settings, context)
    except Misconfigured as error:
        return f"misconfigured: {error}"
    except Exception as error:  # noqa: BLE001 - a backend may be anybody's code
        return f"cannot be built: {type(error).__name__}: {error}"
    try:
        async with asyncio.timeout(entry.timeout):
            await backend.open()
    except TimeoutError:
        return f"no answer within {entry.timeout:g} s"
    except BackendError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - as above
        return f"failed unexpectedly: {type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(Exception):  # it was asked whether it answers, not how it ends
            async with asyncio.timeout(entry.timeout):
                await backend.close()
    return None

"""``run``: the server, on a bootstrap file or as the demo site; signals become reload, drain and stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from eman_netconf.cli import CommandError
from eman_netconf.cli.offline import CANNOT_START, edit, one_line, opened
from eman_netconf.server import config, log, plugins
from eman_netconf.server.administrator import credentials
from eman_netconf.server.clock import demo_clock
from eman_netconf.server.config import Bootstrap, ConfigError, Limits, Listen
from eman_netconf.server.daemon import Daemon, load_schema
from eman_netconf.server.files import write_private
from eman_netconf.server.groups import first_rules
from eman_netconf.server.secrets import hash_password, new_password

Ready = Callable[[Sequence[tuple[str, int]]], None]

DEMO_STATE = Path("state/demo")
DEMO_PORT = 8300
DEMO_ADMIN = "admin"
FASTEST = 3600.0


def main(options: argparse.Namespace) -> int:
    """Serve until a signal. Status 0 after an orderly stop, 1 when it could not start, was forced or failed."""
    demo_only = {
        "--port": options.port,
        "--state": options.state,
        "--speed": options.speed,
        "--start-time": options.start_time,
    }
    if not options.demo and (given := [name for name, value in demo_only.items() if value is not None]):
        raise CommandError(f"{given[0]} goes with --demo; otherwise the bootstrap file says it")
    os.umask(0o077)  # what the server writes is for the server
    try:
        return _run_demo(options) if options.demo else _run_file(options.config)
    except CANNOT_START as error:
        raise CommandError(one_line(error)) from None


def _run_file(path: Path) -> int:
    bootstrap = config.load(path)
    log.set_up(bootstrap.log, path.parent)

    def make() -> Daemon:
        found = plugins.find()
        return Daemon(bootstrap, found, load_schema(found, bootstrap))

    return _serve(make, path, _tell)


def _run_demo(options: argparse.Namespace) -> int:
    state: Path = options.state or DEMO_STATE
    bootstrap = demo_bootstrap(state, DEMO_PORT if options.port is None else options.port)
    speed, start = _speed(options.speed), _instant(options.start_time)
    log.set_up(bootstrap.log, state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    password_file = state / "demo-password"
    administrator = _administrator(bootstrap, password_file)

    def make() -> Daemon:
        found = plugins.find()
        sites = [installed.plugin.demo() for installed in found.values() if installed.plugin.demo is not None]
        if not sites:
            raise CommandError("no installed backend brings a demo site")
        clock = demo_clock(state / "clock.json", speed=speed, start=start)
        return Daemon(bootstrap, found, load_schema(found), clock=clock, initial=[administrator, first_rules(), *sites])

    def tell(addresses: Sequence[tuple[str, int]]) -> None:
        address, port = addresses[0]
        file = str(password_file.absolute())
        print(f"ready {address}:{port} user={DEMO_ADMIN} password-file={password_file}")
        snippet = _SNIPPET.format(
            interpreter=shlex.quote(sys.executable),
            address=address,
            port=port,
            user=DEMO_ADMIN,
            literal=repr(file),
            shell=shlex.quote(file),
        )
        print(snippet, end="", flush=True)

    return _serve(make, None, tell)


def demo_bootstrap(state: Path, port: int) -> Bootstrap:
    """What a bootstrap file of the demo would say; 127.0.0.1 and nothing else."""
    if not 0 <= port <= 65535:
        raise CommandError(f"--port {port} is outside 0..65535")
    return Bootstrap(
        state=state, admin=DEMO_ADMIN, listen=(Listen(port=port),), limits=Limits(), log=config.Log(level="warning")
    )


def _administrator(bootstrap: Bootstrap, password_file: Path) -> bytes:
    """The demo's administrator as configuration. The password is made at the first start, and anew when it is lost."""
    if password_file.exists():
        password = password_file.read_text(encoding="utf-8").strip()
        return credentials(DEMO_ADMIN, password_hash=hash_password(password))
    password = new_password()
    administrator = credentials(DEMO_ADMIN, password_hash=hash_password(password))
    if (bootstrap.state / "running").exists():
        with opened(bootstrap) as datastores:
            if datastores.generation:
                edit(datastores, administrator)
    write_private(password_file, f"{password}\n".encode())
    return administrator


def _speed(given: float | None) -> float | None:
    if given is not None and not 0 < given <= FASTEST:
        raise CommandError(f"--speed {given:g} is outside 0..{FASTEST:g}")
    return given


def _instant(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        instant = datetime.fromisoformat(given)
    except ValueError:
        raise CommandError(f"--start-time {given!r} is no time; write it as 2026-06-21T12:00:00Z") from None
    if instant.tzinfo is None:
        raise CommandError(f"--start-time {given!r} needs a time zone; write it as 2026-06-21T12:00:00Z")
    return instant.timestamp()


def _tell(addresses: Sequence[tuple[str, int]]) -> None:
    print(f"ready {' '.join(_place(address, port) for address, port in addresses)}", flush=True)


def _place(address: str, port: int) -> str:
    if not port:
        return f"unix:{address}"
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _serve(make: Callable[[], Daemon], path: Path | None, ready: Ready) -> int:
    try:
        import uvloop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return asyncio.run(_live(make, path, ready))
    return int(uvloop.run(_live(make, path, ready)))


async def _live(make: Callable[[], Daemon], path: Path | None, ready: Ready) -> int:
    """The daemon under signals: HUP reloads, TERM and INT drain, a second one forces.

    The daemon is made here, which takes a while, so that a signal meanwhile is heard as well.
    """
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            daemon.stop()
        else:
            daemon.force()
            running.cancel()

    def reload() -> None:
        task = asyncio.create_task(_reload(daemon, path))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    daemon = make()
    running = asyncio.create_task(daemon.run(ready))
    try:
        await running
    except asyncio.CancelledError:
        return 1
    except CANNOT_START:
        raise
    except Exception:
        logging.getLogger(__name__).exception("the server failed and ends")
        return 1
    return 0


async def _reload(daemon: Daemon, path: Path | None) -> None:
    logger = logging.getLogger(__name__)
    if path is None:
        logger.warning("the demo has no bootstrap file to read again")
        return
    try:
        bootstrap = config.load(path)
        handler = log.opened(bootstrap.log, path.parent)
        try:
            await daemon.reload(bootstrap)
        except (ConfigError, OSError):
            handler.close()
            raise
        log.install(handler, bootstrap.log)
    except (ConfigError, OSError) as error:
        logger.error("not reloaded, nothing changed: %s", one_line(error))
    else:
        logger.info("%s read again", path)


_SNIPPET = """
# try it from another terminal (with ncclient: {interpreter} -m pip install ncclient):
{interpreter} - <<'END'
from pathlib import Path
from ncclient import manager
password = Path({literal}).read_text().strip()
with manager.connect(host="{address}", port={port}, username="{user}", password=password,
                     hostkey_verify=False, allow_agent=False, look_for_keys=False) as m:
    print(m.get(("subtree", '<energy-management xmlns="urn:eman:yang:eman-entity">'
                 '<entities><entity><id>srv-01</id></entity></entities></energy-management>')))
END
# or:
{interpreter} -m eman_netconf show --port {port} --password-file {shell}
"""

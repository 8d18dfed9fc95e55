"""Programs of others that speak Redfish: sushy-tools' emulator of systems, and its server of trees of resources."""

from __future__ import annotations

import atexit
import functools
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import missing

PATIENCE = 60.0  # seconds a counterpart may take to answer first; the machine may be busy
SYSTEM = "38947555-7742-3448-3784-823347823834"
NEIGHBOUR = "59cbb3de-2f2c-4c11-9a3c-1d0c5d9f2a17"


@dataclass(frozen=True)
class Counterpart:
    """A program that answers on a port of this machine."""

    port: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it with all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(PATIENCE)


def emulator(systems: Sequence[str] = (SYSTEM,), state: str = "Off") -> Counterpart:
    """sushy-emulator with systems that are there only in name; their state moves seconds after it was asked for."""
    directory = _temporary()
    described = [{"uuid": one, "name": f"node-{one[:4]}", "power_state": state, "nics": []} for one in systems]
    lines = [
        "SUSHY_EMULATOR_FAKE_DRIVER = True",
        f"SUSHY_EMULATOR_FAKE_SYSTEMS = {described!r}",
        f"SUSHY_EMULATOR_STATE_DIR = {str(directory)!r}",
    ]
    (directory / "emulator.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    port = free_port()
    return _started(
        [_script("sushy-emulator"), "--config", f"{directory}/emulator.conf", "-i", "127.0.0.1", "-p", str(port)],
        port,
        directory,
    )


@functools.cache
def shared_emulator() -> Counterpart:
    """The one emulator that tests share which leave its state alone or do not mind it."""
    return emulator()


def static(tree: Path) -> Counterpart:
    """sushy-static with a tree of resources."""
    port = free_port()
    command = [_script("sushy-static"), "-i", "127.0.0.1", "-p", str(port), "-m", str(tree)]
    return _started(command, port, _temporary())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _script(name: str) -> str:
    found = Path(sys.executable).with_name(name)
    return str(found) if found.exists() else missing(name, "sushy-tools, of the group test")


def _temporary() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="eman-redfish-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _started(command: list[str], port: int, directory: Path) -> Counterpart:
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    found = Counterpart(port, process)
    atexit.register(found.stop)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/redfish/v1/")
            connection.getresponse().read()
        except OSError:
            continue
        finally:
            connection.close()
        return found
    found.stop()
    said = (directory / "output").read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"{command[0]} does not answer: {said[-500:]}")

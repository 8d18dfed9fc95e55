"""systemd is told how the service is, and the unit that comes with the server is one that systemd accepts."""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eman_netconf.server import systemd as module
from tests.programs import program
from tests.server.running import Process, Systemd

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "eman-netconf.service"


async def test_systemd_follows_the_life(process: Process, systemd: Systemd) -> None:
    """READY once it answers, RELOADING with the time and READY again, signs of life, STOPPING at the end."""
    process.environment = systemd.environment(WATCHDOG_USEC="200000")
    process.begin()
    assert await systemd.next() == "READY=1"
    await process.ready()
    await systemd.until("WATCHDOG=1")
    await systemd.until("WATCHDOG=1")
    process.signal(signal.SIGHUP)
    while not (message := await systemd.next()).startswith("RELOADING=1\n"):
        assert message == "WATCHDOG=1"
    assert message.partition("MONOTONIC_USEC=")[2].isdecimal()
    await systemd.until("READY=1")
    process.signal()
    await systemd.until("STOPPING=1")
    assert await process.wait() == 0


async def test_a_failed_reload_is_over_too(process: Process, systemd: Systemd) -> None:
    """After a reload that could not be followed, systemd is not left waiting."""
    process.environment = systemd.environment()
    await process.start()
    await systemd.until("READY=1")
    process.configure("192.0.2.1")
    process.signal(signal.SIGHUP)
    assert (await systemd.next()).startswith("RELOADING=1")
    assert await systemd.next() == "READY=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_wants(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], seconds: float | None
) -> None:
    """Half of what systemd waits; never when nobody watches this process, or in words that are no time."""
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert module.watchdog_interval() == seconds


def test_nobody_listening_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without systemd, or with one that is gone, telling does nothing."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    module.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    module.notify("READY=1")


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of settings keep their case
    parser.read(UNIT)
    return parser


def test_the_unit_says_how_the_server_behaves() -> None:
    """The unit waits for READY, watches, reloads with SIGHUP, and gives a stop the time it may take."""
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["LimitNOFILE"]) >= 16384
    assert int(service["TimeoutStopSec"]) >= 30
    assert service["Restart"] == "on-failure"
    assert service["StateDirectoryMode"] == "0700"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say about the unit, the program being where it is here."""
    text = UNIT.read_text()
    here = tmp_path / UNIT.name
    here.write_text(
        text.replace("/opt/eman-netconf/bin/eman-netconf", str(Path(sys.executable).parent / "eman-netconf"))
    )
    assert here.read_text() != text
    verified = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", here],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert verified.returncode == 0, verified.stderr
    assert UNIT.name not in verified.stderr

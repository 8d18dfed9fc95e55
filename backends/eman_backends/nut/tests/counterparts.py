"""The programs of others that the backend is tried against: upsd of NUT, with its drivers dummy-ups and snmp-ups."""

from __future__ import annotations

import asyncio
import atexit
import functools
import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from eman_backends.snmp.tests.counterparts import (
    RECORDINGS,
    Counterpart,
    place_of_recordings,
    recording,
    simulate,
    temporary,
)
from tests.programs import missing, program

T = TypeVar("T")
USER, PASSWORD = "ems", 'a "pass\\word" #1 = long'
PATIENCE = 60.0  # seconds a counterpart may take; the machine may be busy
PROGRAMS = Path("/lib/nut")  # where Debian has those that are not for people
#: a UPS of 3 kVA as dummy-ups plays it
RACK = {
    "device.type": "ups",
    "ups.mfr": "Acme Power",
    "ups.model": "Smart 3000",
    "ups.serial": "AS1234567890",
    "ups.firmware": "UPS 09.3",
    "ups.status": "OL CHRG",
    "ups.load": "42",
    "ups.realpower": "1134",
    "ups.realpower.nominal": "2700",
    "ups.power": "1260",
    "ups.power.nominal": "3000",
    "ups.efficiency": "94.5",
    "ups.test.result": "Done and passed",
    "input.voltage": "231.4",
    "input.voltage.nominal": "230",
    "input.frequency": "49.98",
    "output.voltage": "230.0",
    "output.current": "5.48",
    "output.frequency": "50.0",
    "battery.charge": "97",
    "battery.runtime": "2520",
    "battery.voltage": "54.4",
    "battery.current": "1.2",
    "battery.voltage.nominal": "48",
    "battery.temperature": "27.5",
    "battery.type": "VRLA AGM",
    "outlet.1.desc": "Servers",
    "outlet.1.switch": "on",
    "outlet.1.realpower": "810",
    "outlet.1.current": "3.6",
    "outlet.2.desc": "Lights",
    "outlet.2.status": "off",
    "outlet.2.switchable": "no",
}
PX = "1.3.6.1.4.1.13742.1"  # PDU-MIB of Raritan
OUTLET = f"{PX}.2.2.1.3"  # its outletOperationalState: 0 is off, 1 is on
TEST = "1.3.6.1.2.1.33.1.7"  # upsTest of RFC 1628; of its id snmp-ups 2.8.0 makes the number 0, which few UPSs take
SHUTDOWN = "1.3.6.1.2.1.33.1.8.2.0"  # upsShutdownAfterDelay
#: a Raritan PX with four outlets, as far as snmp-ups asks for it
RARITAN = (
    "1.3.6.1.2.1.1.1.0|4|Raritan PX, of a test",
    "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.13742.1",
    f"{PX}.1.1.0|4|01.02.03",
    f"{PX}.1.2.0|4|AEX9876543",
    f"{PX}.1.12.0|4|DPXR8-15",
    f"{PX}.2.1.0|2|4",
    *(f"{PX}.3.1.{column}.0|66|{value}" for column, value in ((1, 4200), (2, 229500), (3, 912), (4, 964), (5, 0))),
    *(f"{PX}.2.2.1.1.{outlet}|2|{outlet}" for outlet in range(1, 5)),
    *(f"{PX}.2.2.1.2.{outlet}|4|Shelf {outlet}" for outlet in range(1, 5)),
    *(f"{OUTLET}.{outlet}|2|{outlet % 2}" for outlet in range(1, 5)),
    *(f"{PX}.2.2.1.4.{outlet}|66|{outlet * 400}" for outlet in range(1, 5)),
    *(f"{PX}.2.2.1.6.{outlet}|66|230000" for outlet in range(1, 5)),
    *(f"{PX}.2.2.1.7.{outlet}|66|{outlet * 80}" for outlet in range(1, 5)),
    *(f"{PX}.2.2.1.8.{outlet}|66|{outlet * 92}" for outlet in range(1, 5)),
)
#: what snmp-ups reads: recordings, with what they lack of the objects that it writes
AGENTS: Mapping[str, tuple[str, ...]] = {
    "apc-7902b": (),
    "raritan": RARITAN,
    "eaton-93e-80": (f"{TEST}.1.0|2|7",),
    "huawei": (),
}
WRITTEN = {"raritan": (f"{OUTLET}.",), "eaton-93e-80": (f"{TEST}.1.", f"{TEST}.3.", SHUTDOWN)}  # and kept
#: a small one that tells no watts
DESK = {
    "device.type": "ups",
    "ups.mfr": "Acme Power",
    "ups.model": "Back 500",
    "ups.status": "OL",
    "ups.load": "20",
    "ups.power.nominal": "500",
    "input.voltage": "229",
    "battery.charge": "100",
    "battery.runtime": "0",
    "battery.type": "PbAc",
}


@dataclass
class Upsd:
    """A upsd with its drivers, in a folder of its own. ``devices`` are files of dummy-ups, by the name of the UPS."""

    devices: Mapping[str, Mapping[str, str] | str]
    sections: Mapping[str, str] = field(default_factory=dict)  # of ups.conf, of other drivers
    extra: str = ""  # of upsd.conf
    port: int = 0
    directory: Path = field(default_factory=lambda: temporary("nut"))
    drivers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None

    def start(self) -> Upsd:
        """Start drivers and server; return when each UPS is served."""
        self.port = self.port or free_port()
        self._configure()
        for name in self.names:
            self._launch(name)
        for name in self.names:
            self._until_up(name)
        self.start_server()
        self.until_served(*self.names)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.devices, *self.sections)

    def start_driver(self, name: str) -> None:
        self._launch(name)
        self._until_up(name)

    def _launch(self, name: str) -> None:
        self.drivers[name] = self._run(self._driver(name), "-a", name)

    def _until_up(self, name: str) -> None:
        until((self.directory / f"{self._driver(name)}-{name}").exists, f"the driver of {name}", self.directory)

    def _driver(self, name: str) -> str:
        return "dummy-ups" if name in self.devices else "snmp-ups"

    def replace(self, name: str, device: Mapping[str, str]) -> None:
        """Put another UPS in the place of one; return when it is served."""
        self.kill_driver(name)
        self.devices = {**self.devices, name: device}
        self._configure()
        self.start_driver(name)
        self.until_served(name)
        until(lambda: self.told(name).items() >= device.items(), name, self.directory)

    def kill_driver(self, name: str) -> None:
        end(self.drivers.pop(name))

    def start_server(self) -> None:
        self.server = self._run("upsd")
        until(lambda: "ERR" not in self.say("LIST UPS"), "upsd", self.directory)

    def kill_server(self) -> None:
        assert self.server is not None
        end(self.server)

    def until_served(self, *names: str) -> None:
        """Wait until upsd has heard all of these UPSs; what can be written comes last."""
        for name in names:
            device = self.devices.get(name)
            wanted = [f"RW {name} {variable} " for variable in device] if isinstance(device, Mapping) else []
            if isinstance(device, str):
                wanted = [f"VAR {name} {line.split(':')[0]} " for line in device.splitlines() if ":" in line]
            until(functools.partial(self._hears, name, wanted), name, self.directory)

    def _hears(self, name: str, wanted: Iterable[str]) -> bool:
        said = self.say(f"LIST VAR {name}", f"LIST RW {name}", f"LIST CMD {name}")
        return "END LIST VAR" in said and all(one in said for one in wanted)

    def until_away(self, name: str) -> None:
        """Wait until upsd has noticed that the driver of this UPS is gone."""
        until(lambda: "ERR " in self.say(f"LIST VAR {name}"), name, self.directory)

    def set(self, name: str, variable: str, value: str) -> None:
        """Set a variable by NUT's own client, and wait until it is served."""
        upsrw = program("upsrw", "nut-client")
        command = [upsrw, "-s", f"{variable}={value}", "-u", "upsrw", "-p", "plain", f"{name}@127.0.0.1:{self.port}"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        until(lambda: self.told(name).get(variable) == value, f"{variable} of {name}", self.directory)

    def told(self, name: str) -> dict[str, str]:
        """All variables of a UPS as NUT's own client shows them."""
        command = [program("upsc", "nut-client"), f"{name}@127.0.0.1:{self.port}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
        return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)

    def say(self, *lines: str) -> str:
        """What upsd says to something; "" where it is not there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall("".join(f"{line}\n" for line in (*lines, "LOGOUT")).encode())
                with connection.makefile("rb") as answers:
                    return answers.read().decode(errors="replace")
        except OSError:
            return "ERR NOT-THERE"

    def stop(self) -> None:
        for process in (self.server, *self.drivers.values()):
            if process is not None:
                end(process)

    def _configure(self) -> None:
        etc = self.directory
        sections = dict(self.sections)
        for name, device in self.devices.items():
            text = device if isinstance(device, str) else "".join(f"{key}: {value}\n" for key, value in device.items())
            suffix = "seq" if isinstance(device, str) else "dev"
            (etc / f"{name}.{suffix}").write_text(text)
            mode = "dummy-loop" if isinstance(device, str) else "dummy-once"
            sections[name] = (
                f'driver = dummy-ups\nport = {name}.{suffix}\nmode = {mode}\ndesc = "The \\"{name}\\" UPS \\#1"\n'
            )
        text = "".join(f"[{name}]\npollinterval = 1\n{section}" for name, section in sections.items())
        escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"').replace("#", "\\#")
        for file, content in {
            "ups.conf": text,
            "upsd.conf": f"LISTEN 127.0.0.1 {self.port}\nMAXAGE 10\n{self.extra}",
            "upsd.users": (
                f'[{USER}]\npassword = "{escaped}"\nactions = SET\ninstcmds = ALL\n'
                '[reader]\npassword = "reads"\n'
                '[upsrw]\npassword = "plain"\nactions = SET\n'  # whose client escapes nothing
            ),
        }.items():
            (etc / file).write_text(content)
            (etc / file).chmod(0o600)

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        binary = PROGRAMS / name
        if not binary.exists():
            missing(name, "nut-snmp" if name == "snmp-ups" else "nut-server")
        environment = {
            **os.environ,
            **dict.fromkeys(("NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"), str(self.directory)),
            "SNMP_PERSISTENT_DIR": str(self.directory / "snmp"),
        }
        with (self.directory / "output").open("ab") as output:
            process = subprocess.Popen(
                [str(binary), *arguments, "-F", "-u", getpass.getuser()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )
        atexit.register(end, process)
        return process


@functools.cache
def shared() -> Upsd:
    """The one upsd that tests share which change nothing at it."""
    return Upsd({"rack": RACK, "desk": DESK}).start()


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


def until(true: Callable[[], bool], what: str, directory: Path) -> None:
    """Ask until something is so; fail with what the programs said where it never is."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            output = (directory / "output").read_text(errors="replace")[-2000:]
            raise AssertionError(f"{what} does not come up: {output}")
        time.sleep(0.05)


async def eventually(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until something comes."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await ask()
            if found is not None:
                return found
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@functools.cache
def recordings() -> Counterpart:
    """snmpsim with recordings that snmp-ups is to read: a switched PDU of APC, UPSs of Eaton and Huawei.

    What snmp-ups writes to them is kept, as far as the recording has it: outlets, tests, and the delay of a shutdown.
    """
    directory = temporary("snmpsim")
    (directory / "data").mkdir()
    for name, more in AGENTS.items():
        lines = [
            kept(line) if line.startswith(WRITTEN.get(name, ())) else line
            for line in (*(recording(place_of_recordings() / RECORDINGS[name]) if name in RECORDINGS else ()), *more)
        ]
        lines.sort(key=lambda line: [int(part) for part in line.split("|")[0].split(".")])
        (directory / "data" / f"{name}.snmprec").write_text("\n".join(lines) + "\n", encoding="latin-1")
    return simulate(directory, next(iter(AGENTS)))


def kept(line: str) -> str:
    """An integer of a recording as one that keeps what is written."""
    name, _, value = line.split("|", 2)
    return f"{name}|2:writecache|value={value}"


def snmp_section(port: int, community: str, mibs: str = "auto") -> str:
    """snmp-ups in front of an agent of this machine."""
    lines: Iterable[str] = (
        "driver = snmp-ups",
        f"port = 127.0.0.1:{port}",
        f"community = {community}",
        "snmp_version = v1",  # to noSuchInstance of v2c snmp-ups 2.8.0 does not listen, and counts outlets from 0
        f"mibs = {mibs}",
        "pollfreq = 1",
    )
    return "\n".join(lines) + "\n"

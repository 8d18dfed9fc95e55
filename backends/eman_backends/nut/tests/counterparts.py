"""The programs of others that the backend is tried against: upsd of NUT, with its drivers dummy-ups and snmp-ups."""

from __future__ import annotations

import atexit
import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs import missing, program

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
            self.start_driver(name)
        self.start_server()
        self.until_served(*self.names)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.devices, *self.sections)

    def start_driver(self, name: str) -> None:
        driver = "dummy-ups" if name in self.devices else "snmp-ups"
        self.drivers[name] = self._run(driver, "-a", name)
        until((self.directory / f"{driver}-{name}").exists, f"{driver} of {name}", self.directory)

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
            wanted = [f"RW {name} {variable} " for variable in device] if isinstance(device, Mapping) else ["CMD "]
            until(functools.partial(self._hears, name, wanted), name, self.directory)

    def _hears(self, name: str, wanted: Iterable[str]) -> bool:
        said = self.say(f"LIST VAR {name}", f"LIST RW {name}", f"LIST CMD {name}")
        return "END LIST VAR" in said and all(one in said for one in wanted)

    def until_away(self, name: str) -> None:
        """Wait until upsd has noticed that the driver of this UPS is gone."""
        until(lambda: "ERR " in self.say(f"LIST VAR {name}"), name, self.directory)

    def write(self, name: str, variables: Mapping[str, str]) -> None:
        """Have dummy-ups show something else from now on."""
        for variable, value in variables.items():
            self.set(name, variable, value)

    def set(self, name: str, variable: str, value: str) -> None:
        """Set a variable by NUT's own client, and wait until it is served."""
        upsrw = program("upsrw", "nut-client")
        command = [upsrw, "-s", f"{variable}={value}", "-u", USER, "-p", PASSWORD, f"{name}@127.0.0.1:{self.port}"]
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
                f'[{USER}]\npassword = "{escaped}"\nactions = SET\ninstcmds = ALL\n[reader]\npassword = "reads"\n'
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


def temporary(name: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix=f"eman-{name}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def snmp_section(port: int, community: str, mibs: str = "auto") -> str:
    """snmp-ups in front of an agent of this machine."""
    lines: Iterable[str] = (
        "driver = snmp-ups",
        f"port = 127.0.0.1:{port}",
        f"community = {community}",
        "snmp_version = v2c",
        f"mibs = {mibs}",
        "pollfreq = 1",
    )
    return "\n".join(lines) + "\n"

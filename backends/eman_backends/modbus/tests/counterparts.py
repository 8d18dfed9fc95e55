"""The programs of others that the backend is tried against: modbus-serial of npm, with images made by pysunspec2."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sunspec2.device

from tests.programs import program

VERSION = "8.0.25"
SCRIPT = Path(__file__).with_name("server.js")
INSTALLING = 300  # seconds

Registers = dict[int, int]
Unit = dict[str, Any]  # registers by space, and "identity" by number


def installed() -> Path:
    """The folder whose node_modules has modbus-serial, brought there by npm once for this Python environment."""
    folder = Path(sys.prefix) / "npm" / f"modbus-serial-{VERSION}"
    if not folder.is_dir():
        npm = program("npm", "npm")
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [npm, "install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-save"]
        subprocess.run(
            [*command, "--prefix", str(made), f"modbus-serial@{VERSION}"],
            check=True,
            capture_output=True,
            timeout=INSTALLING,
        )
        try:
            made.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(made)
    return folder


class Node:
    """A process that serves any number of devices, each on a port of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [program("node", "nodejs"), str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(installed() / "node_modules")},
            start_new_session=True,
        )
        atexit.register(self.stop)

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@functools.cache
def node() -> Node:
    """The one of this process, which ends with it."""
    return Node()


class Device:
    """What answers at one port: units by their number, None for one that does not answer its gateway."""

    def __init__(self, units: Mapping[int, Unit | None]) -> None:
        self.port = free_port()
        told = node().ask(op="serve", port=self.port, units={str(number): unit for number, unit in units.items()})
        assert told == {}

    def set(self, space: str, values: Mapping[int, int], unit: int = 1) -> None:
        node().ask(op="set", port=self.port, unit=unit, space=space, values=values)

    def get(self, space: str, address: int, unit: int = 1) -> int:
        value: int = node().ask(op="get", port=self.port, unit=unit, space=space, address=address)["value"]
        return value

    def put(self, unit: int, registers: Unit | None) -> Unit | None:
        """Another unit in the place of this one, or None that does not answer; returns what was there."""
        before: Unit | None = node().ask(op="put", port=self.port, unit=unit, registers=registers)["before"]
        return before

    def close(self) -> None:
        node().ask(op="close", port=self.port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def floats(values: Mapping[int, float]) -> Registers:
    """Floats of 32 bits, the high register first, with zeros wherever nothing was said, as Eastron's meters do."""
    registers: Registers = dict.fromkeys(range(400), 0)
    for address, value in values.items():
        registers[address], registers[address + 1] = struct.unpack(">2H", struct.pack(">f", value))
    return registers


def eastron(code: int, values: Mapping[int, float], serial: int = 20110042) -> Unit:
    """A meter of this code, with floats in its input registers."""
    identity = {0xFC00: serial >> 16, 0xFC01: serial & 0xFFFF, 0xFC02: code}
    return {"input": floats(values), "holding": identity}


def relays(states: Sequence[int] = (1, 0, 0, 0, 0, 0, 0, 0)) -> Unit:
    """A board of eight relays, with version 2.00 of its software."""
    return {"coil": dict(enumerate(states)), "holding": {0x4000: 1, 0x8000: 200}}


COMMON = {"Mn": "Sonnenwerk", "Md": "SW-10k", "Vr": "2.4.1", "SN": "SW0815", "DA": 1}


def sunspec(*models: tuple[int, Mapping[str, Any]], base: int = 40000) -> Unit:
    """A chain of models, encoded by pysunspec2 from raw register values."""
    octets = b"SunS"
    for number, data in models:
        octets += encoded(number, data)
    octets += b"\xff\xff\x00\x00"
    words = struct.unpack(f">{len(octets) // 2}H", octets)
    return {"holding": {base + at: word for at, word in enumerate(words)}}


def encoded(number: int, data: Mapping[str, Any]) -> bytes:
    """One model; points without a value are unimplemented."""
    made = sunspec2.device.Model(number, data={"ID": number, **data})
    octets: bytes = made.get_mb()
    return octets

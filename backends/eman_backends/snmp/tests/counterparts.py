"""The programs of others that the backend is tried against: snmpsim with recordings, and snmpd of Net-SNMP."""

from __future__ import annotations

import atexit
import bz2
import functools
import getpass
import grp
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.proto.api import v2c

from tests.programs import missing, program

RECORDINGS = {
    "apc-8641": "UPS/apc-8641.snmprec",
    "apc-8932": "UPS/apc-8932.snmprec",
    "apc-7902b": "UPS/apc-7902b.snmprec",
    "eaton-93e-80": "UPS/eaton-93e-80.snmprec.bz2",
    "eaton-9px": "UPS/eaton-9px-partial.snmprec.bz2",
    "phoenixtec": "UPS/phoenixtec-power.snmprec.bz2",
    "eastpower": "UPS/eastpower-istars-swv053.snmprec.bz2",
    "huawei": "UPS/huawei-gse200m.snmprec.bz2",
    "ingrasys": "UPS/ingrasys-power-switch.snmprec.bz2",
}
WANTED = (
    "1.3.6.1.2.1.1.",
    "1.3.6.1.2.1.33.",
    "1.3.6.1.4.1.318.1.1.",
    "1.3.6.1.4.1.2011.",
    "1.3.6.1.4.1.534.1.",
    "1.3.6.1.4.1.705.1.1.",
)  # of a recording
XUPS = "1.3.6.1.4.1.534.1"
RPDU, RPDU2 = "1.3.6.1.4.1.318.1.1.12", "1.3.6.1.4.1.318.1.1.26"
COMMANDS = {"apc-7902b": f"{RPDU}.3.3.1.1.4", "apc-8641": f"{RPDU2}.9.2.4.1.5", "apc-8932": f"{RPDU2}.9.2.4.1.5"}
STATES = {"apc-7902b": f"{RPDU}.3.5.1.1.4", "apc-8641": f"{RPDU2}.9.2.3.1.5", "apc-8932": f"{RPDU2}.9.2.3.1.5"}
WRITABLE = {  # prefixes whose integers a copy of a recording lets write
    "apc-7902b": (f"{COMMANDS['apc-7902b']}.", f"{STATES['apc-7902b']}.", f"{RPDU}.1.16."),
    "apc-8641": (
        f"{COMMANDS['apc-8641']}.",
        f"{STATES['apc-8641']}.",
        f"{RPDU2}.4.3.1.9.",  # energy of the device
        f"{RPDU2}.9.4.3.1.11.",  # and of outlets
    ),
    "apc-8932": (f"{COMMANDS['apc-8932']}.", f"{STATES['apc-8932']}."),
    "eaton-9px": (*(f"{XUPS}.12.2.1.{column}." for column in (2, 3, 4)), f"{XUPS}.8."),
}
PATIENCE = 60.0  # seconds a counterpart may take to answer first; the machine may be busy
SNMPD_USERS = (
    ("sha256", "SHA-256", "aes128", "AES"),
    ("sha512", "SHA-512", "aes256", "AES-256"),
    ("sha1", "SHA", "des", "DES"),
)
AUTH_KEY, PRIV_KEY = "a key to prove", "a key to hide"
POE = (  # a switch of two ports, both on, one in use
    *(("1.1.3.1.1", 1), ("1.1.6.1.1", 3), ("1.1.3.1.2", 1), ("1.1.6.1.2", 2)),
    *(("3.1.1.2.1", 370), ("3.1.1.4.1", 212)),
)
SNMPD_TYPES = {"2": "integer", "4": "octet_str", "6": "object_id", "65": "counter", "66": "uinteger", "67": "timetick"}
SNMPD_WRITER = "who-may-write"  # a community


@dataclass(frozen=True)
class Counterpart:
    """A program that answers on a port of this machine."""

    port: int
    directory: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@functools.cache
def snmpsim() -> Counterpart:
    """The one snmpsim, with all recordings, that the tests of a process share."""
    return start_snmpsim()


def start_snmpsim(
    names: Iterable[str] = RECORDINGS, port: int = 0, addresses: Iterable[str] = ("127.0.0.1",)
) -> Counterpart:
    """snmpsim with recordings, each under its name as community, and writable copies as ``<name>-writable``.

    ``addresses`` are those of this machine at which it answers; 127.0.0.1 is to be among them.
    """
    recordings = place_of_recordings()
    names = list(names)
    directory = temporary("snmpsim")
    (directory / "data").mkdir()
    for name in names:
        lines = recording(recordings / RECORDINGS[name])
        (directory / "data" / f"{name}.snmprec").write_text("\n".join(lines) + "\n", encoding="latin-1")
        if prefixes := WRITABLE.get(name):
            copy = [writable(line) if line.startswith(prefixes) else line for line in lines]
            (directory / "data" / f"{name}-writable.snmprec").write_text("\n".join(copy) + "\n", encoding="latin-1")
    return simulate(directory, names[0], port, addresses)


def simulate(directory: Path, community: str, port: int = 0, addresses: Iterable[str] = ("127.0.0.1",)) -> Counterpart:
    """snmpsim with the files in ``directory``/data, each under its name as community, of which this is one."""
    responder = Path(sys.executable).with_name("snmpsim-command-responder")
    simulator = importlib.util.find_spec("snmpsim")
    if not responder.exists() or simulator is None:
        missing("snmpsim", "snmpsim and snmpsim-data, of the group test")
    variations = Path(str(((simulator and simulator.submodule_search_locations) or [""])[0])) / "variation"
    port = port or free_port()
    process = start(
        [
            str(responder),
            f"--data-dir={directory}/data",
            f"--cache-dir={directory}/cache",
            *(f"--agent-udpv4-endpoint={address}:{port}" for address in addresses),
            f"--process-user={getpass.getuser()}",
            f"--process-group={grp.getgrgid(os.getgid()).gr_name}",
            f"--variation-modules-dir={variations}",
            f"--variation-module-options=writecache:file:{directory}/written",
            f"--logging-method=file:{directory}/log",
            "--log-level=error",
        ],
        directory,
    )
    until_it_answers(port, community, directory)
    return Counterpart(port, directory, process)


def place_of_recordings() -> Path:
    """Where the package of recordings keeps them."""
    found = importlib.util.find_spec("snmpsim_data")
    if found is None:
        missing("snmpsim", "snmpsim and snmpsim-data, of the group test")
    return Path(next(iter(found.submodule_search_locations or ()))) / "data"


def recording(path: Path) -> list[str]:
    text = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
    return [line for line in text.decode("latin-1").splitlines() if line.startswith(WANTED)]


def writable(line: str) -> str:
    """An integer of a recording as one that keeps what is written; what the recording lets vary stands at 2."""
    name, tag, value = line.split("|", 2)
    return f"{name}|2:writecache|value={value if tag == '2' else 2}"


@functools.cache
def snmpd() -> Counterpart:
    """The one snmpd that the tests of a process share."""
    return start_snmpd()


def start_snmpd() -> Counterpart:
    """Net-SNMP's agent as a PoE switch of two ports, with users of several protocols named after those of ours."""
    agent = program("snmpd", "snmpd")
    directory = temporary("snmpd")
    port = free_port()
    lines = [f"agentaddress udp:127.0.0.1:{port}", "rocommunity public", f"rwcommunity {SNMPD_WRITER}"]
    for auth, their_auth, priv, their_priv in SNMPD_USERS:
        lines.append(f'createUser {auth}-{priv} {their_auth} "{AUTH_KEY}" {their_priv} "{PRIV_KEY}"')
        lines.append(f"rwuser {auth}-{priv} authPriv")
    lines += [f'createUser unhidden SHA-256 "{AUTH_KEY}"', "rwuser unhidden auth"]
    lines += ["createUser unproved", "rouser unproved noauth"]
    lines += [f"override -rw .1.3.6.1.2.1.105.1.{name} integer {value}" for name, value in POE]
    return run_snmpd(agent, directory, port, lines)


def start_posing(name: str, below: str) -> Counterpart:
    """Net-SNMP's agent as the device of a recording: what it is, and its objects below an OID."""
    agent = program("snmpd", "snmpd")
    port = free_port()
    auth, their_auth, priv, their_priv = SNMPD_USERS[0]
    lines = [f"agentaddress udp:127.0.0.1:{port}", "rocommunity public", f"rouser {auth}-{priv} authPriv"]
    lines.append(f'createUser {auth}-{priv} {their_auth} "{AUTH_KEY}" {their_priv} "{PRIV_KEY}"')
    for line in recording(place_of_recordings() / RECORDINGS[name]):
        oid, tag, value = line.split("|", 2)
        kind = SNMPD_TYPES.get(tag.partition(":")[0].rstrip("x"))
        if oid == "1.3.6.1.2.1.1.2.0":
            lines.append(f"sysobjectid .{value}")
        elif oid.startswith(f"{below}.") and kind is not None:
            told = f"0x{value}" if tag.endswith("x") else f'"{value}"' if kind == "octet_str" else value
            if (varies := re.search(r"initial=(\d+)|value=(\w+)", value)) and ":" in tag:
                told = varies[1] or varies[2]
            lines.append(f"override .{oid} {kind} {told}")
    return run_snmpd(agent, temporary("snmpd"), port, lines)


def run_snmpd(agent: str, directory: Path, port: int, lines: list[str]) -> Counterpart:
    """Net-SNMP's agent with these lines of configuration."""
    (directory / "snmpd.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
    process = start(
        [
            *(agent, "-f", "-Lf", str(directory / "log")),
            *("-C", "-c", str(directory / "snmpd.conf"), "-p", str(directory / "pid")),
        ],
        directory,
        SNMP_PERSISTENT_DIR=str(directory / "kept"),
    )
    until_it_answers(port, "public", directory)
    return Counterpart(port, directory, process)


def temporary(name: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix=f"eman-{name}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def start(command: list[str], directory: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program that ends with this one."""
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environment}
        )

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)

    atexit.register(stop)
    return process


def until_it_answers(port: int, community: str, directory: Path) -> None:
    """Ask for sysUpTime until there is an answer."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            ask(port, community, "1.3.6.1.2.1.1.3.0", wait=0.2)
        except (OSError, LookupError):
            continue
        return
    said = (directory / "output").read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"the counterpart does not answer: {said[-500:]}")


def ask(port: int, community: str, name: str, value: int | None = None, *, wait: float = PATIENCE) -> int:
    """The integer at an object, after writing it where a value is given: by SNMPv2c, without a line of the backend.

    Raises OSError when no answer comes within ``wait`` seconds, LookupError when the device has no such value.
    """
    pdu = v2c.GetRequestPDU() if value is None else v2c.SetRequestPDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [(name, v2c.null if value is None else v2c.Integer(value))])
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, community)
    v2c.apiMessage.set_pdu(message, pdu)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
        question.settimeout(wait)
        question.connect(("127.0.0.1", port))
        question.send(encoder.encode(message))
        answer, _ = decoder.decode(question.recv(2048), asn1Spec=v2c.Message())
    response = v2c.apiMessage.get_pdu(answer)
    assert not int(v2c.apiPDU.get_error_status(response)), f"{name} of {community}: {response.prettyPrint()}"
    ((_, told),) = v2c.apiPDU.get_varbinds(response)
    if isinstance(told, univ.Null):
        raise LookupError(f"{community} has no {name}")  # noqa: TRY004 - what came is no value at all
    return int(told)

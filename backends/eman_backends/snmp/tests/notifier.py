"""Net-SNMP's commands that send traps and informs, and what they put on the wire."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eman_backends.snmp.settings import Community, User
from tests.programs import program

COLD_START, WARM_START, LINK_DOWN = (f"1.3.6.1.6.3.1.1.5.{number}" for number in (1, 2, 3))
PROTOCOLS = {
    "md5": "MD5",
    "sha1": "SHA",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "des": "DES",
    "aes128": "AES",
    "aes192": "AES-192",
    "aes256": "AES-256",
}


def credentials(of: Community | User) -> list[str]:
    """The options of Net-SNMP's commands for these credentials."""
    if isinstance(of, Community):
        return ["-v", "1" if of.version == "v1" else "2c", "-c", of.name]
    level = "authPriv" if of.priv else "authNoPriv" if of.auth else "noAuthNoPriv"
    options = ["-v", "3", "-u", of.name, "-l", level]
    if of.auth and of.auth_key:
        options += ["-a", PROTOCOLS[of.auth], "-A", of.auth_key]
    if of.priv and of.priv_key:
        options += ["-x", PROTOCOLS[of.priv], "-X", of.priv_key]
    return options


async def send(
    port: int,
    of: Community | User,
    tmp_path: Path,
    *,
    inform: bool = False,
    what: str = LINK_DOWN,
    engine: bytes = b"",
    place: tuple[int, int] | None = None,
    variables: Sequence[str] = (),
) -> int:
    """Send a notification to a port of this machine; 0 when it is out, or for an inform when it was confirmed.

    ``engine`` and ``place``, its boots and seconds, are whom a trap of SNMPv3 says to come from.
    """
    command = program("snmpinform" if inform else "snmptrap", "snmp")
    options = credentials(of)
    if engine:
        options += ["-e", f"0x{engine.hex()}"]
    if place is not None:
        options += ["-Z", f"{place[0]},{place[1]}"]
    if inform:
        options += ["-r", "1", "-t", "5"]
    if isinstance(of, Community) and of.version == "v1":
        told = ["1.3.6.1.4.1.318", "127.0.0.1", str(int(what.rpartition(".")[2]) - 1), "0", ""]
    else:
        told = ["", what]
    process = await asyncio.create_subprocess_exec(
        *(command, "-m", "", *options, f"127.0.0.1:{port}", *told, *variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "SNMPCONFPATH": str(tmp_path), "SNMP_PERSISTENT_DIR": str(tmp_path / "kept")},
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def captured(of: Community | User, tmp_path: Path, **more: Any) -> bytes:
    """The datagram of a trap, as ``send`` with these arguments sends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        assert not await send(ear.getsockname()[1], of, tmp_path, **more)
        return ear.recv(65535)

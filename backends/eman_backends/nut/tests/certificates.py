"""Certificates for upsd: Debian's is built with NSS, which reads them of a database of its own."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import program

NICKNAME = "upsd"
PASSWORD = "opens-the-database"


@dataclass(frozen=True)
class Certificate:
    """A certificate that signed itself, for ``localhost`` and 127.0.0.1, in a database and as PEM."""

    database: Path
    pem: Path

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem.read_text())).hexdigest()

    @property
    def configuration(self) -> str:
        """What upsd.conf says of it."""
        return f'CERTPATH {self.database}\nCERTIDENT "{NICKNAME}" "{PASSWORD}"\nDISABLE_WEAK_SSL true\n'


def make(directory: Path, names: str = "dns:localhost,ip:127.0.0.1") -> Certificate:
    """A new certificate with a new key."""
    certutil = program("certutil", "libnss3-tools")
    database = directory / "nss"
    database.mkdir(mode=0o700)
    secret, noise = directory / "secret", directory / "noise"
    secret.write_text(PASSWORD)
    noise.write_bytes(os.urandom(64))

    def run(*arguments: str) -> str:
        command = [certutil, *arguments, "-d", f"sql:{database}", "-f", str(secret)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    run("-N")
    run(
        *(
            "-S",
            "-x",
            "-n",
            NICKNAME,
            "-s",
            "CN=upsd of a test",
            "-t",
            "CT,,",
            "-v",
            "12",
            "-g",
            "2048",
            "-Z",
            "SHA256",
        ),
        *("-z", str(noise), "--extSAN", names),
    )
    pem = directory / "upsd.pem"
    pem.write_text(run("-L", "-n", NICKNAME, "-a"))
    return Certificate(database, pem)

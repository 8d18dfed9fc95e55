"""``init``: a first bootstrap file, keys, the first administrator, and the first rules of access."""

from __future__ import annotations

import argparse
import json
import re
from ipaddress import ip_address
from pathlib import Path

import asyncssh

from eman_netconf.cli import CommandError
from eman_netconf.cli.offline import edit, opened
from eman_netconf.server import config
from eman_netconf.server.administrator import credentials
from eman_netconf.server.files import write_private
from eman_netconf.server.groups import first_rules
from eman_netconf.server.secrets import hash_password, new_password
from eman_netconf.server.ssh import load_host_key

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")

_BOOTSTRAP = """\
# What must be known before the configuration opens; everything else is configured over NETCONF.
[server]
state = {state}

[[listen]]
transport = "ssh"
address = "{address}"
port = {port}

[admin]
user = "{admin}"

[log]
destination = "stderr"
level = "info"
"""


def main(options: argparse.Namespace) -> int:
    """Write everything, or nothing when the folder is in use. Raises CommandError."""
    directory: Path = options.directory
    _check(options)
    key = None if options.key is None else _public_key(options.key)
    try:
        for folder in (directory, options.state):
            if folder is not None and folder.exists() and any(folder.iterdir()):
                raise CommandError(f"{folder} is not empty; give a new folder")
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = directory / "eman-netconf.toml"
        file.write_text(
            _BOOTSTRAP.format(
                state=_toml("state" if options.state is None else str(options.state.absolute())),
                address=options.address,
                port=options.port,
                admin=options.admin,
            ),
            encoding="utf-8",
        )
        bootstrap = config.load(file)
        password = None if key else new_password()
        hashed = None if password is None else hash_password(password)
        with opened(bootstrap) as datastores:
            edit(datastores, credentials(options.admin, password_hash=hashed, key=key))
            edit(datastores, first_rules())
        load_host_key(bootstrap.state / "ssh_host_ed25519_key")
        if password is not None:
            secret = directory / "admin-password"
            write_private(secret, f"{password}\n".encode())
    except OSError as error:
        raise CommandError(f"{error.filename or directory}: {error.strerror or error}") from None
    print(f"bootstrap file  {file}")
    print(f"administrator   {options.admin}, " + (f"password in {secret}" if password else f"key from {options.key}"))
    print(f"start with      eman-netconf run --config {file}")
    return 0


def _toml(text: str) -> str:
    """A string of printable text as TOML writes it, which is as JSON does."""
    return json.dumps(text, ensure_ascii=False)


def _check(options: argparse.Namespace) -> None:
    if options.state is not None and not str(options.state).isprintable():
        raise CommandError(f"--state {str(options.state)!r} is not printable text")
    if not _NAME.fullmatch(options.admin):
        raise CommandError(f"--admin {options.admin!r}: a user's name is 1 to 64 letters, digits and _ . @ -")
    if not 0 <= options.port <= 65535:
        raise CommandError(f"--port {options.port} is outside 0..65535")
    try:
        ip_address(options.address)
    except ValueError:
        raise CommandError(f"--address {options.address!r} is not an IPv4 or IPv6 address") from None


def _public_key(path: Path) -> tuple[str, str]:
    """Algorithm and base64 of a public key file."""
    try:
        key = asyncssh.read_public_key(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except asyncssh.KeyImportError as error:
        raise CommandError(f"{path}: is no public key ({error}); give the .pub file") from None
    algorithm, data = key.export_public_key("openssh").decode().split()[:2]
    return algorithm, data

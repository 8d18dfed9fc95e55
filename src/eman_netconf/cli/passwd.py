"""``passwd``: set a user's password while the server is stopped."""

from __future__ import annotations

import argparse
import getpass
import sys

from eman_netconf.cli import CommandError
from eman_netconf.cli.offline import edit, opened
from eman_netconf.server import config
from eman_netconf.server.administrator import credentials
from eman_netconf.server.config import ConfigError
from eman_netconf.server.secrets import hash_password
from eman_netconf.server.users import LONGEST_PASSWORD

SHORTEST_PASSWORD = 8


def main(options: argparse.Namespace) -> int:
    """Ask for the password, or read a line of it. Raises CommandError."""
    if not options.user or not options.user.isprintable():
        raise CommandError(f"{options.user!r} is no user's name; it must be printable text")
    try:
        bootstrap = config.load(options.config)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    with opened(bootstrap) as datastores:
        password = _from_stdin() if options.stdin else _from_terminal(options.user)
        edit(datastores, credentials(options.user, password_hash=hash_password(password)))
    print(f"the password of {options.user} is set")
    return 0


def _from_stdin() -> str:
    return _checked(sys.stdin.readline().rstrip("\r\n"))


def _from_terminal(user: str) -> str:
    password = _checked(getpass.getpass(f"New password of {user}: "))
    if getpass.getpass("Again: ") != password:
        raise CommandError("the two differ; nothing was changed")
    return password


def _checked(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password.encode()) <= LONGEST_PASSWORD:
        raise CommandError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes; nothing was changed")
    return password

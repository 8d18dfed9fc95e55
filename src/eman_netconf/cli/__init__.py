"""The command line: one verb each; what a verb needs is imported when it is used."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from eman_netconf import __version__

DEFAULT_SOCKET = Path("/run/eman-netconf/netconf.sock")
DEFAULT_CONFIG = Path("/etc/eman-netconf/eman-netconf.toml")


class CommandError(Exception):
    """The command cannot be done; the text is one line that says what to do."""


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        prog="eman-netconf",
        description="An energy-management server: power sites modelled in YANG, served over NETCONF.",
    )
    top.add_argument("--version", action="version", version=f"eman-netconf {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    run_ = verbs.add_parser("run", help="run the server (with --demo: a simulated site on 127.0.0.1)")
    _config(run_)
    run_.add_argument("--demo", action="store_true", help="serve the simulated demo site; needs no bootstrap file")
    run_.add_argument("--port", type=int, metavar="N", help="demo: the port, 0 picks one (default 8300)")
    run_.add_argument("--state", type=Path, metavar="DIR", help="demo: where state is kept (default ./state/demo)")
    run_.add_argument("--speed", type=float, metavar="X", help="demo: how many times as fast the site's time runs")
    run_.add_argument(
        "--start-time", metavar="TIME", help="demo: where the site's time starts, as 2026-06-21T12:00:00Z"
    )

    init = verbs.add_parser("init", help="write a first bootstrap file, keys and the first administrator")
    init.add_argument("directory", type=Path, help="where to write; must be empty or not exist")
    init.add_argument(
        "--state", type=Path, metavar="DIR", help="where state is kept (default: state, in the directory)"
    )
    init.add_argument("--admin", default="admin", metavar="USER", help="the administrator's name (default admin)")
    init.add_argument("--key", type=Path, metavar="FILE", help="the administrator's public key (ssh-keygen's .pub)")
    init.add_argument("--address", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    init.add_argument("--port", type=int, default=830, help="the port to listen on (default 830)")

    passwd = verbs.add_parser("passwd", help="set a user's password while the server is stopped")
    _config(passwd)
    passwd.add_argument("user", help="the user; made when there is none")
    passwd.add_argument("--stdin", action="store_true", help="read the password from standard input, not the terminal")

    check = verbs.add_parser("check", help="check bootstrap, models, configuration and every backend; changes nothing")
    _config(check)
    check.add_argument("--demo", action="store_true", help="check the demo site's state")
    check.add_argument("--state", type=Path, metavar="DIR", help="demo: where its state is (default ./state/demo)")

    show = verbs.add_parser("show", help="show the power tree of a running server")
    _server(show)
    show.add_argument("--output", choices=("text", "json"), default="text", help="how to print (default text)")
    show.add_argument("entity", nargs="?", help="show this entity and what hangs on it only")

    discover = verbs.add_parser(
        "discover",
        help="have a running server look for devices, and say what would add them",
        description="Have a running server ask addresses who is there. It asks these addresses alone, changes nothing "
        "there, and configures nothing unless told to with --add. Communities, keys and passwords are read from files, "
        "never from the command line.",
        epilog="examples:  eman-netconf discover 192.0.2.0/24 --snmp-community-file community  |  "
        "eman-netconf discover 192.0.2.10-30 pdu-9.example.net --using redfish.xml --config > new.xml",
    )
    discover.add_argument(
        "address", nargs="+", metavar="ADDRESS", help="an address, a name, a network (192.0.2.0/24) or a range (.1-.20)"
    )
    discover.add_argument(
        "--snmp-community-file", type=Path, metavar="FILE", help="ask over SNMPv2c with the community that FILE holds"
    )
    discover.add_argument(
        "--using",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="ask over the protocol whose element FILE holds, as in the configuration of a backend but without address "
        "(repeatable)",
    )
    discover.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="seconds for one address and protocol (default 10)"
    )
    discover.add_argument("--rate", type=int, default=50, metavar="N", help="addresses asked in a second (default 50)")
    discover.add_argument("--time-limit", type=float, default=300.0, metavar="S", help="seconds in all (default 300)")
    discover.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="FINGERPRINT",
        help="with --add: a certificate that was compared with the device's own (repeatable); without, devices whose "
        "certificate nobody vouches for are found and not added",
    )
    then = discover.add_mutually_exclusive_group()
    then.add_argument(
        "--config", action="store_true", help="print the <config> of an <edit-config> that would add what is new"
    )
    then.add_argument("--add", action="store_true", help="add what is new to the running configuration, all or nothing")
    _server(discover)

    export = verbs.add_parser("export", help="write samples from the state folder as CSV or Parquet")
    export.add_argument("--state", type=Path, metavar="DIR", required=True, help="where the server keeps its state")
    export.add_argument(
        "--entity",
        action="append",
        default=[],
        metavar="ID",
        help="of this entity only, or of domains:NAME or groups:NAME (repeatable)",
    )
    export.add_argument(
        "--quantity", action="append", default=[], metavar="NAME", help="this quantity only (repeatable)"
    )
    export.add_argument("--from", dest="from_", metavar="TIME", help="what ends after it, as 2026-06-21T12:00:00Z")
    export.add_argument("--to", metavar="TIME", help="what ends by then")
    export.add_argument("--resolution", type=float, metavar="SECONDS", help="join to intervals of so many seconds")
    export.add_argument("--format", choices=("csv", "parquet"), default="csv", help="what to write (default csv)")
    export.add_argument("--output", type=Path, metavar="FILE", help="where to write (default: standard output)")

    subsystem = verbs.add_parser("subsystem", help="carry NETCONF between sshd and a running server's Unix socket")
    subsystem.add_argument(
        "--socket", type=Path, default=DEFAULT_SOCKET, metavar="PATH", help=f"the server's socket ({DEFAULT_SOCKET})"
    )
    return top


def _server(verb: argparse.ArgumentParser) -> None:
    """How a running server is reached."""
    verb.add_argument("--host", default="127.0.0.1", help="the server (default 127.0.0.1)")
    verb.add_argument("--port", type=int, default=8300, help="its port (default 8300, the demo's)")
    verb.add_argument("--user", default="admin", help="log in as (default admin)")
    verb.add_argument("--password-file", type=Path, metavar="FILE", help="a file that holds the password")
    verb.add_argument("--key", type=Path, metavar="FILE", help="a private key to log in with")
    verb.add_argument("--host-key", type=Path, metavar="FILE", help="accept only the host key in FILE (a .pub file)")


def _config(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=f"the bootstrap file ({DEFAULT_CONFIG})"
    )


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; errors meant for people become one line on stderr."""
    options = parser().parse_args(arguments)
    verb = importlib.import_module(f"eman_netconf.cli.{options.verb}")
    try:
        return int(verb.main(options) or 0)
    except CommandError as error:
        print(f"eman-netconf {options.verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130

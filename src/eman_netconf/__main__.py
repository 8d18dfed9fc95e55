"""The command line's way in: ``eman-netconf`` and ``python -m eman_netconf``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eman_netconf.cli import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 after one line of error, or 2 for words it does not know."""
    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())

"""A site with one device of each kind under faults for as long as wished: ``python -m tools.soak --minutes 60``.

Laps as the test of equipment has one, one after the other on one server: every device is killed, stopped, restarted and
replaced in a drawn order. After each lap its figures are printed. Exit 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.equipment.site import equipped
from tests.equipment.trial import Trial

GROWTH = 16e6  # octets of memory that the server may hold more after the last lap than after the first
SLOWEST = 1.0  # seconds that a small question may take


def main(arguments: list[str]) -> int:
    """Status 0 when everything held, 1 when something did not."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="for how long, at least (default: 60)")
    parser.add_argument("--seed", type=int, help="of the order of faults, to have one again")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, equipped(Path(folder)) as site:
        trial = Trial(site, seed)
        ends = time.monotonic() + 60 * options.minutes
        laps, resident = 0, 0
        while time.monotonic() < ends:
            trial.lap()
            laps += 1
            resident = resident or site.resident
            sys.stdout.write(f"lap {laps}\n{trial.summary()}\n\n")
            sys.stdout.flush()
        if site.resident - resident > GROWTH:
            trial.errors.append(f"memory grew by {(site.resident - resident) / 1e6:.0f} MB after the first lap")
        if max(trial.waits) > SLOWEST:
            trial.errors.append(f"a small question took {max(trial.waits):.1f} s")
        sys.stdout.write(trial.summary() + "\n")
    return 1 if trial.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

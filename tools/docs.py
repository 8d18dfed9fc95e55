"""Make the pages of docs/ that are generated: conformance and state machines.

python -m tools.docs            write them
python -m tools.docs --check    say which differ; exit 1 if any does
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools import conformance, state_machines

ROOT = Path(__file__).resolve().parent.parent


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Every generated page by its path below the root. Raises conformance.TableError."""
    return {
        Path("docs/conformance.md"): conformance.page(root),
        Path("docs/state-machines.md"): state_machines.page(),
    }


def outdated(root: Path = ROOT) -> list[Path]:
    """The pages that are not what they would be if made now."""
    return [
        path
        for path, text in pages(root).items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say which pages differ, and change nothing")
    try:
        if parser.parse_args(arguments).check:
            differing = outdated()
            for path in differing:
                sys.stderr.write(f"{path} is not up to date: python -m tools.docs\n")
            return 1 if differing else 0
        for path, text in pages().items():
            (ROOT / path).write_text(text, encoding="utf-8")
    except conformance.TableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

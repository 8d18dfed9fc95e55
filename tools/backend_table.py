"""Make the table of backends in backends/README.md from their quality.toml files.

python -m tools.backend_table            say whether the table is up to date; exit 1 if not
python -m tools.backend_table --write    write it
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = Path("backends/README.md")
BEGIN = "<!-- made by tools/backend_table.py from quality.toml -->"
END = "<!-- end -->"
LEVELS: Mapping[str, tuple[str, ...]] = {
    "bronze": (
        *("config-is-yang", "no-io-in-constructor", "one-pass-read", "deadline", "method-and-accuracy-stated"),
        *("example-validates", "tested-against-a-counterpart"),
    ),
    "silver": (
        *("log-once", "stale-not-dead", "reconnects", "read-back-after-command", "outcome-unknown-handled"),
        "never-blocks-loop",
    ),
    "gold": ("inventory", "wiring", "watches", "caveats-written"),
    "platinum": ("tried-on-a-real-model", "soak"),
}


def level(rules: Mapping[str, Any]) -> str:
    """The highest level whose rules and all those below are done or exempt; none if bronze is not reached."""
    reached = "none"
    for name, needed in LEVELS.items():
        if any(rules.get(rule, "todo") == "todo" for rule in needed):
            break
        reached = name
    return reached


def table(root: Path) -> str:
    """The table as Markdown, a line for each backend; folders that begin with an underscore are not served."""
    lines = ["| backend | what it is | capabilities | level | models tried | caveats |", "|---|---|---|---|---|---|"]
    for path in sorted((root / "backends" / "eman_backends").glob("[!_]*/quality.toml")):
        quality = tomllib.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name
        cells = (
            f"[{name}](eman_backends/{name}/README.md)",
            quality["title"],
            ", ".join(quality["capabilities"]),
            level(quality["rules"]),
            quality["models"],
            quality["caveats"],
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(text: str, made: str) -> str:
    """The page with the table put in the place marked for it. ValueError if there is none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table")
    write = parser.parse_args(arguments).write
    path = ROOT / README
    text = path.read_text(encoding="utf-8")
    made = with_table(text, table(ROOT))
    if write:
        path.write_text(made, encoding="utf-8")
    elif made != text:
        sys.stderr.write(f"{README} is not up to date: python -m tools.backend_table --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

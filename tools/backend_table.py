"""Make the tables of backends in README.md and backends/README.md from their quality.toml files.

python -m tools.backend_table            say whether the tables are up to date; exit 1 if not
python -m tools.backend_table --write    write them
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: page -> the columns of its table
PAGES: Mapping[str, tuple[str, ...]] = {
    "README.md": ("backend", "what it reaches", "capabilities", "level"),
    "backends/README.md": ("backend", "what it reaches", "capabilities", "level", "models tried", "caveats"),
}
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


def table(root: Path, page: str) -> str:
    """The table of a page as Markdown, a line for each backend; one whose folder begins with _ is not served."""
    columns = PAGES[page]
    lines = [line(columns), "|" + "---|" * len(columns)]
    for path in sorted((root / "backends" / "eman_backends").glob("[!_]*/quality.toml")):
        quality = tomllib.loads(path.read_text(encoding="utf-8"))
        readme = (path.parent / "README.md").relative_to((root / page).parent)
        told = {
            "backend": f"[{path.parent.name}]({readme.as_posix()})",
            "what it reaches": quality["title"],
            "capabilities": ", ".join(quality["capabilities"]),
            "level": level(quality["rules"]),
            "models tried": quality["models"],
            "caveats": quality["caveats"],
        }
        lines.append(line([told[column] for column in columns]))
    return "\n".join(lines)


def line(cells: Sequence[str]) -> str:
    """A line of a table, whatever its cells hold."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def with_table(text: str, made: str) -> str:
    """The page with the table put in the place marked for it. ValueError if there is none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables")
    write = parser.parse_args(arguments).write
    for page, (text, made) in pages(ROOT).items():
        if write:
            (ROOT / page).write_text(made, encoding="utf-8")
        elif made != text:
            sys.stderr.write(f"{page} is not up to date: python -m tools.backend_table --write\n")
            return 1
    return 0


def pages(root: Path) -> Mapping[str, tuple[str, str]]:
    """page -> what it says, and what it has to say."""
    texts = {page: (root / page).read_text(encoding="utf-8") for page in PAGES}
    return {page: (text, with_table(text, table(root, page))) for page, text in texts.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
